//! The floor program as a target: it forwards as cheaply as the kernel allows and has no signalling.
//!
//! A client registers by a datagram of its own; its SRTP keys follow from its source port. What the program's figures are
//! good for: every server's are told as a multiple of them, since the machine's speed changes from hour to hour.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::offer::{Direction, Offer};
use crate::client::srtp::Protection;
use crate::client::wire::widen;
use crate::client::{Call, Profile, wait};
use crate::{clock, machine};

/// The running program. It ends when this is dropped.
pub struct Floor {
    child: Child,
    pub address: SocketAddr,
}

impl Floor {
    /// Starts the program on loopback, on `core` if one is given, and waits for its address.
    pub fn start(binary: &Path, core: Option<usize>, more: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0"]).args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut spawn = || command.spawn().with_context(|| format!("cannot start the floor, {}", binary.display()));
        let mut child = match core {
            Some(core) => machine::with_affinity(core, &mut spawn)??,
            None => spawn()?,
        };
        let output = child.stdout.take().context("no output of the floor")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.strip_prefix("floor ").map(str::trim).and_then(|address| address.parse().ok());
        let mut floor = Self { child, address: "0.0.0.0:0".parse()? };
        floor.address = address.with_context(|| format!("the floor began with {line:?}"))?;
        Ok(floor)
    }

    /// `$TIDEWIRE_FLOOR`, or what the build of the example leaves beside this program.
    pub fn default_binary() -> PathBuf {
        if let Some(binary) = std::env::var_os("TIDEWIRE_FLOOR") {
            return binary.into();
        }
        let beside = std::env::current_exe().ok().and_then(|own| {
            let mut directories = own.ancestors().skip(1).map(|directory| directory.join("examples/floor"));
            directories.find(|path| path.is_file())
        });
        beside.unwrap_or_else(|| "target/release/examples/floor".into())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id())
            && matches!(self.child.try_wait(), Ok(None))
        {
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap_or_default();
            // Its standard input ends here too, whatever became of the signal.
            drop(self.child.stdin.take());
            self.child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Registers a client of `group` in the role that the offer's direction says.
pub fn register(address: SocketAddr, group: u32, offer: &Offer) -> Result<Call> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    widen(&socket)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    let started_ns = clock::unix_ns();
    let role = match offer.direction {
        Direction::Send => b'P',
        Direction::Receive => b'V',
    };
    let request = [REGISTRATION, &[role], &group.to_be_bytes()].concat();
    let deadline = Instant::now() + LIMIT;
    let mut answer = [0; 64];
    loop {
        ensure!(Instant::now() < deadline, "the floor did not answer within {LIMIT:?}");
        socket.send(&request)?;
        wait::one_readable(&socket, INTERVAL)?;
        // Media may come before the answer: it is as lost as it is before a viewer has keys.
        if matches!(socket.recv(&mut answer), Ok(len) if answer[..len] == request) {
            break;
        }
    }
    let protection = keys(socket.local_addr()?.port(), role)?;
    Call::without_signalling(socket, protection, offer, started_ns)
}

/// Both directions of a client have one key.
fn keys(port: u16, role: u8) -> Result<Protection> {
    let key = [b"tidewire-floor".as_slice(), &port.to_be_bytes()].concat();
    let salt = [b"floor-salt-".as_slice(), &[role]].concat();
    Protection::of_keys(Profile::AeadAes128Gcm, (&key, &salt), (&key, &salt))
}

const REGISTRATION: &[u8] = b"TWFLOOR";
const INTERVAL: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(10);
