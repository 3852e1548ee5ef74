//! Sockets, cores and clocks: what is asked of the kernel before packets flow, and around a measurement.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockFilter, SockRef, Socket, Type};

/// The socket to which everything comes. With `shared` others may be bound beside it.
pub(crate) fn listener(address: SocketAddrV4, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    keep_whole(&socket)?;
    socket.set_reuse_address(shared)?;
    socket.set_recv_buffer_size(BUFFER_LEN)?;
    socket.set_send_buffer_size(BUFFER_LEN)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket at the listener's own address, connected to a viewer, whose packets it drops unread.
pub(crate) fn beside(listener: &UdpSocket, viewer: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    drop_everything(&SockRef::from(&socket))?;
    keep_whole(&socket)?;
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(BUFFER_LEN)?;
    socket.bind(&SockAddr::from(listener.local_addr()?))?;
    socket.connect(&viewer.into())?;
    Ok(socket.into())
}

/// Has the kernel drop whatever comes to a socket, before it is queued.
pub(crate) fn drop_everything(socket: &SockRef<'_>) -> io::Result<()> {
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
}

/// Has the kernel cut everything that a socket sends into datagrams of `len` bytes.
pub(crate) fn cut(socket: &UdpSocket, len: usize) -> io::Result<()> {
    set_option(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, len as libc::c_int)
}

/// Never fragments what a socket sends. Datagrams are short enough, and the kernel need not find each a number by which its
/// fragments would know each other.
fn keep_whole(socket: &Socket) -> io::Result<()> {
    set_option(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
}

fn set_option(socket: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: an integer of the stated length, which the kernel only reads.
    succeeded(unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), size) })
}

/// Keeps the calling thread on one core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    // SAFETY: all-zero bytes are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::other(format!("there is no core {core}")));
    }
    // SAFETY: the set has a bit for this core.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: a set of the stated size, which the kernel only reads.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    succeeded(result).map_err(|error| io::Error::new(error.kind(), format!("core {core}: {error}")))
}

/// Allows as many open descriptors as this process may have: each connected viewer takes one.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the structure it is given.
    succeeded(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel only reads the structure.
    succeeded(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
}

/// CPU time of the calling thread, user and system.
pub(crate) fn thread_cpu_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the kernel writes the structure, whose all-zero bytes are valid as well.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr());
        time.assume_init()
    };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The number by which the kernel knows the calling thread.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Gives this thread, and those it starts, a network of their own, which is gone when they are.
pub(crate) fn leave_network() -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    succeeded(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

fn succeeded(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What the server asks for as well.
const BUFFER_LEN: usize = tidewire_core::limits::SOCKET_BUFFER_LEN;
