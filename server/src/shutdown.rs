//! The end: SIGTERM or SIGINT asks for it, a second one demands it.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long the whole end may take.
pub(crate) const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// The two signals that end the program.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes them over from the system's default, which ends the program on the spot.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next that comes.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
