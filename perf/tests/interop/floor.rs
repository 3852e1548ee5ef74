//! The load tool against a stand-in of the floor program: registration, keys, and figures without signalling.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use tidewire_perf::load::{Receivers, Setup, Shape};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use crate::fanout::{assert_whole, measure, setup};

/// What the floor program does, as plainly as it can be done.
struct StandIn {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl StandIn {
    fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let (address, stop) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || forward_until(&flag, &socket));
        Ok(Self { address, stop, thread })
    }

    fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A client that has registered: its group, its role, and the keys for it.
struct Registered {
    group: [u8; 4],
    role: u8,
    context: Context,
}

fn forward_until(stop: &AtomicBool, socket: &UdpSocket) -> Result<()> {
    let mut clients: HashMap<SocketAddr, Registered> = HashMap::new();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, source)) = socket.recv_from(&mut buffer) else { continue };
        let datagram = &buffer[..len];
        if let Some([role, group @ ..]) = datagram.strip_prefix(b"TWFLOOR") {
            let context = context(source.port(), *role)?;
            clients.insert(source, Registered { group: group.try_into()?, role: *role, context });
            socket.send_to(datagram, source)?;
        } else if !(192..224).contains(&datagram[1])
            && let Some(publisher) = clients.get_mut(&source).filter(|client| client.role == b'P')
        {
            let (group, packet) = (publisher.group, publisher.context.decrypt_rtp(datagram)?);
            for (address, viewer) in clients.iter_mut().filter(|(_, client)| client.role == b'V') {
                if viewer.group == group {
                    socket.send_to(&viewer.context.encrypt_rtp(&packet)?, address)?;
                }
            }
        }
    }
    Ok(())
}

fn context(port: u16, role: u8) -> Result<Context> {
    let key = [b"tidewire-floor".as_slice(), &port.to_be_bytes()].concat();
    let salt = [b"floor-salt-".as_slice(), &[role]].concat();
    Ok(Context::new(&key, &salt, ProtectionProfile::AeadAes128Gcm, None, None)?)
}

fn through_the_stand_in(setup: &Setup) -> Result<()> {
    let floor = StandIn::start()?;
    let window = measure(&format!("floor@{}", floor.address), setup)?;
    floor.finish()?;
    assert_whole(&window);
    Ok(())
}

#[test]
fn viewers_of_the_floor_get_everything() -> Result<()> {
    through_the_stand_in(&setup(Shape::broadcast(10), Receivers::Filter))
}

#[test]
fn groups_of_the_floor_are_kept_apart() -> Result<()> {
    through_the_stand_in(&Setup { audio: true, ..setup(Shape::meeting(1, 3), Receivers::Read) })
}
