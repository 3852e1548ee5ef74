//! Where the measured packets go: to receivers on loopback, or into a device that throws them away.
//!
//! The device (`ifb`) takes trains whole, as a network card with UDP segmentation in hardware does, and costs next to nothing. It
//! lives in a network of this process alone, which the kernel removes with the process, however that ends.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;

use socket2::SockRef;

use crate::arguments::Sinks;
use crate::system;

pub(crate) enum Sink {
    /// Receivers whose sockets drop everything.
    Lo(Vec<UdpSocket>),
    Ifb,
}

impl Sink {
    /// Opens what is asked for; where there can be no device, says so and leaves it out.
    pub(crate) fn open(wanted: Sinks, viewers: usize) -> io::Result<Vec<Self>> {
        let mut sinks = Vec::new();
        let ifb = if wanted == Sinks::Lo { Ok(()) } else { make_device() };
        if wanted != Sinks::Ifb {
            sinks.push(Self::Lo((0..viewers).map(|_| receiver()).collect::<io::Result<_>>()?));
        }
        match ifb {
            Ok(()) if wanted != Sinks::Lo => sinks.push(Self::Ifb),
            Ok(()) => {}
            Err(error) => eprintln!("floor: without ifb, which this machine does not allow: {error}"),
        }
        Ok(sinks)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Lo(_) => "lo",
            Self::Ifb => "ifb",
        }
    }

    /// Where the forwarder and its driver are.
    pub(crate) fn address(&self) -> Ipv4Addr {
        match self {
            Self::Lo(_) => Ipv4Addr::LOCALHOST,
            Self::Ifb => OWN,
        }
    }

    /// The address of one viewer.
    pub(crate) fn viewer(&self, index: usize) -> io::Result<SocketAddrV4> {
        match self {
            Self::Lo(receivers) => receivers.get(index).map_or_else(|| Err(no_address()), local_address),
            // From 10.77.1.0 on; every viewer is a host of its own.
            Self::Ifb => Ok(SocketAddrV4::new(Ipv4Addr::from(u32::from(OWN) + 0xff + index as u32), 5004)),
        }
    }
}

fn receiver() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    system::drop_everything(&SockRef::from(&socket))?;
    Ok(socket)
}

/// The address of a socket that is bound to one of IPv4.
pub(crate) fn local_address(socket: &UdpSocket) -> io::Result<SocketAddrV4> {
    match socket.local_addr()? {
        std::net::SocketAddr::V4(address) => Ok(address),
        std::net::SocketAddr::V6(_) => Err(no_address()),
    }
}

fn no_address() -> io::Error {
    io::Error::other("a viewer without an address")
}

fn make_device() -> io::Result<()> {
    // Before there is no way back: a network of our own begins with its loopback down.
    ip(&["-Version"])?;
    system::leave_network()?;
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "add", DEVICE, "type", "ifb"])?;
    ip(&["address", "add", &format!("{OWN}/16"), "dev", DEVICE])?;
    ip(&["link", "set", DEVICE, "txqueuelen", "1000", "up"])
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| io::Error::other(format!("ip {}: {said}", arguments.join(" "))))
}

const DEVICE: &str = "floor";
const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
