//! The program as a process of a test's own.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The program without whatever this environment sets for it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("TIDEWIRE_"));
    ours.for_each(|name| {
        command.env_remove(name);
    });
    command
}

pub(crate) fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// Sends a signal; gives the exit code.
pub(crate) fn end(child: &mut Child, name: &str) -> Option<i32> {
    signal(child, name);
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return status.code();
        }
        std::thread::yield_now();
    }
    panic!("the program does not end");
}
