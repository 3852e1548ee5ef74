//! SRTP through its public face: against an independent implementation, against time and disorder, against forgers.
#![allow(clippy::unwrap_used)]

mod disorder;
mod fixture;
mod forgery;
mod oracle;
