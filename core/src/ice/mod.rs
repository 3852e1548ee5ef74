//! The ICE-lite end of one connection (RFC 8445 2.5): it answers checks, never sends them, and is always controlled.
//!
//! Authenticated binding requests go in; answers come out, and events that say which paths belong to the connection,
//! so that a table may index them. Invariant: a path is validated only by a request that proved our password, and the
//! selected path is always a validated one. Looking a user name up (`Ufrags`) comes before any HMAC. What this does not
//! do: gather candidates, send checks, decide what happens when consent ends (RFC 7675).

mod ufrag;

use arrayvec::ArrayVec;

pub use ufrag::{Ufrags, password};

use crate::count::Discard;
use crate::limits::PATHS_PER_CONNECTION_MAX;
use crate::machine::{CONSENT_TIMEOUT, Path};
use crate::negotiate::agreement::Credentials;
use crate::stun::{self, Binding, Code, Role};
use crate::time::Instant;

/// What whoever indexes paths must know. Events of one answer are in the order in which they are to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceEvent {
    /// The path is no longer one of the connection's.
    Forgotten(Path),
    /// The path is one of the connection's from now on.
    Validated(Path),
    /// What the server sends goes this way from now on.
    Selected(Path),
}

/// The answer to one binding request: the first `len` bytes of the memory that was lent, and what changed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub len: usize,
    /// Empty when the request was refused (role conflict, unknown attribute) or changed nothing, as most do.
    pub events: ArrayVec<IceEvent, 3>,
}

/// One connection's ICE-lite agent. What every packet sent asks for stands in front, whatever a compiler would prefer.
#[derive(Debug)]
#[repr(C)]
pub struct IceLite {
    selected: Option<Path>,
    consented: Instant,
    current: Pair,
    /// Credentials from before a restart: they count until the first check with the current ones (RFC 8445 9).
    previous: Option<Pair>,
    paths: ArrayVec<Validated, PATHS_PER_CONNECTION_MAX>,
}

/// Both ends' credentials, as one offer and answer exchanged them.
#[derive(Debug)]
struct Pair {
    local: Credentials,
    remote: Credentials,
}

#[derive(Clone, Copy, Debug)]
struct Validated {
    path: Path,
    checked: Instant,
}

/// Which of the credentials a request was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Current,
    Previous,
}

impl IceLite {
    pub fn new(local: Credentials, remote: Credentials, now: Instant) -> Self {
        Self { selected: None, consented: now, current: Pair { local, remote }, previous: None, paths: ArrayVec::new() }
    }

    /// Answers a request that came by `path`, into `out` (at least `stun::RESPONSE_LEN_MAX` bytes).
    ///
    /// The caller found this connection by the request's `local_ufrag`; that the whole user name is right, and the
    /// integrity, are checked here. Whatever fails these is a discard without an answer and changes nothing.
    pub fn handle(
        &mut self,
        now: Instant,
        path: &Path,
        binding: &Binding<'_>,
        out: &mut [u8],
    ) -> Result<Answer, Discard> {
        let (age, password) = self.credentials_of(binding)?;
        binding.verify(password)?;
        if let Some(code) = refusal(binding) {
            let len = stun::write_error(&binding.transaction, code, &binding.unknown, password, out);
            return Ok(Answer { len: len.ok_or(Discard::EgressFull)?, events: ArrayVec::new() });
        }
        let len = stun::write_success(&binding.transaction, path.remote, password, out).ok_or(Discard::EgressFull)?;
        Ok(Answer { len, events: self.accept(now, path, age, binding.use_candidate) })
    }

    /// Where to send: the path nominated last, else the first that was validated.
    #[inline]
    pub fn selected(&self) -> Option<Path> {
        self.selected
    }

    pub fn is_validated(&self, path: &Path) -> bool {
        self.paths.iter().any(|validated| validated.path == *path)
    }

    /// The paths that the connection's table entry is indexed by.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.paths.iter().map(|validated| validated.path)
    }

    /// Takes new credentials. Media stays where it is, and the old ones stay good for checks and consent, until the
    /// first check with the new ones succeeds (RFC 8445 9).
    pub fn restart(&mut self, local: Credentials, remote: Credentials) {
        let replaced = std::mem::replace(&mut self.current, Pair { local, remote });
        // A restart of a restart that was never used: the credentials in use are still those before it.
        self.previous.get_or_insert(replaced);
    }

    /// Gives a path up, since another connection validated it (a NAT may give one client's port to another).
    /// Says which path is selected instead, if that had to change.
    pub fn forget(&mut self, path: &Path) -> Option<IceEvent> {
        self.paths.retain(|validated| validated.path != *path);
        if self.selected != Some(*path) {
            return None;
        }
        self.selected = self.paths.iter().max_by_key(|validated| validated.checked).map(|validated| validated.path);
        self.selected.map(IceEvent::Selected)
    }

    /// When the connection is gone unless a request comes before (RFC 7675 5.1); never-validated ones count from creation.
    pub fn consent_deadline(&self) -> Instant {
        self.consented + CONSENT_TIMEOUT
    }

    /// Cheap reject before expensive work: both fragments are compared before any HMAC.
    fn credentials_of(&self, binding: &Binding<'_>) -> Result<(Age, &[u8]), Discard> {
        let named = |pair: &Pair| pair.local.ufrag == binding.local_ufrag && pair.remote.ufrag == binding.remote_ufrag;
        let (age, pair) = if named(&self.current) {
            (Age::Current, &self.current)
        } else {
            let previous = self.previous.as_ref().filter(|pair| named(pair)).ok_or(Discard::StunUnknownUser)?;
            (Age::Previous, previous)
        };
        Ok((age, pair.local.password.as_bytes()))
    }

    fn accept(&mut self, now: Instant, path: &Path, age: Age, nominated: bool) -> ArrayVec<IceEvent, 3> {
        let mut events = ArrayVec::new();
        let restarted = age == Age::Current && self.previous.take().is_some();
        self.consented = now;
        self.validate(now, path, &mut events);
        // RFC 8445 8.1.1: a nomination decides; a later one replaces it, as browsers do when the network changes.
        // RFC 8445 9: nor does a nomination from before a restart outlive the first check after it.
        if (nominated || restarted || self.selected_is_stale(now)) && self.selected != Some(*path) {
            self.selected = Some(*path);
            events.push(IceEvent::Selected(*path));
        }
        events
    }

    fn validate(&mut self, now: Instant, path: &Path, events: &mut ArrayVec<IceEvent, 3>) {
        if let Some(known) = self.paths.iter_mut().find(|validated| validated.path == *path) {
            known.checked = now;
            return;
        }
        if self.paths.is_full() {
            events.extend(self.evict().map(IceEvent::Forgotten));
        }
        self.paths.push(Validated { path: *path, checked: now });
        events.push(IceEvent::Validated(*path));
    }

    /// Makes room: of the paths that are not selected, the one not checked for the longest time goes.
    fn evict(&mut self) -> Option<Path> {
        let candidates = self.paths.iter().enumerate().filter(|(_, validated)| Some(validated.path) != self.selected);
        let (oldest, _) = candidates.min_by_key(|(_, validated)| validated.checked)?;
        Some(self.paths.remove(oldest).path)
    }

    /// Nothing is selected, or the client stopped checking what is: then the path it does check is the better one.
    fn selected_is_stale(&self, now: Instant) -> bool {
        let selected = self.paths.iter().find(|validated| Some(validated.path) == self.selected);
        selected.is_none_or(|validated| now.since(validated.checked) > CONSENT_TIMEOUT)
    }
}

/// Why an authenticated request is refused, if it is.
fn refusal(binding: &Binding<'_>) -> Option<Code> {
    // RFC 8489 6.3.1: unknown attributes are looked at once authentication is done.
    if !binding.unknown.is_empty() {
        return Some(Code::UnknownAttribute);
    }
    // RFC 8445 7.3.1.1: a lite agent cannot take the other role, so the client has to change its own.
    match binding.role {
        Some(Role::Controlled(_)) => Some(Code::RoleConflict),
        Some(Role::Controlling(_)) | None => None,
    }
}

#[cfg(test)]
mod tests;
