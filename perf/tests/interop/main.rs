//! Two independent peers against the real `tidewire` program: every payload bit-exact, forged traffic without effect, bad
//! requests without remains, an idle server idle, a stopped server gone in good order.
//!
//! The program under test is `$TIDEWIRE_BIN`, or the one that the release build left in the target directory; with
//! `TIDEWIRE_APART` set, everything runs on `tidewire gateway` and `tidewire media` instead. The first
//! module needs no server: there our client meets str0m alone, so that a failure elsewhere can be laid at the right door.

#![allow(clippy::unwrap_used)]

mod floor;
mod str0m_peer;
mod stand_in;
mod scene;
mod calls;
mod repair;
mod forged;
mod requests;
mod lifecycle;
mod fanout;
mod scenarios;
mod relay;
mod apart;
mod member;
mod crowd;
mod watcher;
mod many;
