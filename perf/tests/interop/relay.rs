//! A wire that can be cut: hands TCP connections on to an address, and drops all of them when told to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// A running relay. Its threads end with their connections, and with the process.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    wires: Wires,
}

/// Both ends of every connection.
type Wires = Arc<Mutex<Vec<[TcpStream; 2]>>>;

impl Relay {
    pub(crate) fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let wires = Wires::default();
        let made = Arc::clone(&wires);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // A target that is not there is a connection that ends at once.
                if let Ok(far) = TcpStream::connect(target) {
                    join(&near, &far).unwrap_or_default();
                    made.lock().unwrap_or_else(PoisonError::into_inner).push([near, far]);
                }
            }
        });
        Ok(Self { address, wires })
    }

    /// Cuts every connection; how many there were.
    pub(crate) fn cut(&self) -> usize {
        let wires = std::mem::take(&mut *self.wires.lock().unwrap_or_else(PoisonError::into_inner));
        for end in wires.iter().flatten() {
            // It may have ended by itself.
            end.shutdown(Shutdown::Both).unwrap_or_default();
        }
        wires.len()
    }
}

fn join(near: &TcpStream, far: &TcpStream) -> Result<()> {
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        to.set_nodelay(true)?;
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..len]).is_err() {
                    break;
                }
            }
            to.shutdown(Shutdown::Both).unwrap_or_default();
        });
    }
    Ok(())
}
