//! The floor: the least that forwarding can cost on this kernel, as a program that does nothing else.
//!
//! It takes all that a wake-up brings, decrypts each packet once, seals it for each viewer straight into that viewer's
//! train, and hands all trains to the kernel at once. No signalling, no repair, no timers, no statistics: whatever a
//! server costs beyond this is the server's own. Clients register by one datagram (`registration`), their keys follow
//! from their port: this is a yardstick, not a way to send anything that matters. IPv4 only.
//!
//! `floor` serves until its standard input ends; `floor table` measures itself.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

mod arguments;
mod registration;
mod clients;
mod forwarder;
mod carrier;
mod mmsg;
mod uring;
mod outgoing;
mod memory;
mod system;
mod table;

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;

use clap::Parser;

use self::arguments::{Arguments, Command, Io, Serve};
use self::carrier::Carrier;
use self::forwarder::Forwarder;
use self::mmsg::Mmsg;
use self::uring::Uring;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = system::raise_descriptor_limit().and_then(|()| match &arguments.command {
        Some(Command::Table(table)) => table::run(table),
        None => serve(&arguments.serve),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Serve) -> io::Result<()> {
    if let Some(core) = arguments.core {
        system::pin(core)?;
    }
    let listener = system::listener(arguments.listen, arguments.way.connected)?;
    let mut output = io::stdout().lock();
    writeln!(output, "floor {}", listener.local_addr()?)?;
    output.flush()?;
    thread::spawn(end_with_input);
    let way = &arguments.way;
    match way.io {
        Io::Mmsg => forever(Forwarder::new(Mmsg::new(&listener, way.spin())?, listener, way)),
        Io::Uring => forever(Forwarder::new(Uring::new(&listener, way)?, listener, way)),
    }
}

fn forever<C: Carrier>(mut forwarder: Forwarder<C>) -> io::Result<()> {
    let mut refused = false;
    forwarder.run(|counts| {
        if counts.refused > 0 && !refused {
            refused = true;
            eprintln!("floor: the kernel refuses some of what is sent");
        }
        true
    })
}

/// Whoever started this program need not end it: its end closes our standard input.
fn end_with_input() {
    let mut input = io::stdin().lock();
    let mut ignored = [0; 64];
    while input.read(&mut ignored).is_ok_and(|len| len > 0) {}
    std::process::exit(0);
}
