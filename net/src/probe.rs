//! What this machine allows: found out once, by trying.
//!
//! Everything is really made and thrown away again (a ring with its receives armed, an executor, a train on loopback), so
//! a seccomp filter, an old kernel and a locked-memory limit all show as what they are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::thread;

use crate::count::IoCounter;
use crate::driver::executor;
use crate::io::PacketIo;
use crate::io::uring::Uring;
use crate::socket::{Sockets, set_option};
use crate::wake::Waker;

/// What was found.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whether the `uring` packet I/O works, or why it does not.
    pub uring: Result<(), String>,
    /// Whether the executor driver works, or why it does not.
    pub executor: Result<(), String>,
    /// Datagrams that the kernel takes in one message (UDP_SEGMENT); 1 where it takes no trains.
    pub train_segments_max: usize,
    /// Whether the kernel hands over trains (UDP_GRO).
    pub receives_trains: bool,
    /// Bytes of a socket's receive buffer that the kernel gave of those asked for.
    pub receive_buffer_len: usize,
    /// Bytes of a socket's send buffer that the kernel gave of those asked for.
    pub send_buffer_len: usize,
}

/// What this machine allows. The first call takes some milliseconds.
pub fn probe() -> &'static Probe {
    static PROBE: OnceLock<Probe> = OnceLock::new();
    PROBE.get_or_init(look)
}

fn look() -> Probe {
    let (receive_buffer_len, send_buffer_len) = scratch().map_or((0, 0), |sockets| sockets.buffers());
    Probe {
        uring: aside(try_uring),
        executor: aside(executor::check),
        train_segments_max: train_segments_max(),
        receives_trains: scratch().and_then(|sockets| sockets.receive_trains()).is_ok(),
        receive_buffer_len,
        send_buffer_len,
    }
}

/// Prepares the process; to be called first thing in `main`, before any thread starts.
///
/// Registers for membarrier, which glommio otherwise does at its first sleep, where it takes tens of milliseconds.
pub fn prepare_process() {
    /// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED` of linux/membarrier.h.
    const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
    // SAFETY: the call takes no pointers; a kernel that refuses leaves everything as it was.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}

/// Tries something on a thread of its own, so that neither a panic nor a ring's owner stays behind.
fn aside(attempt: fn() -> io::Result<()>) -> Result<(), String> {
    match thread::Builder::new().name("probe".into()).spawn(attempt).map(thread::JoinHandle::join) {
        Ok(Ok(result)) => result.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("it panicked".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn scratch() -> io::Result<Sockets> {
    Sockets::bind(&[IpAddr::V4(Ipv4Addr::UNSPECIFIED)], 0)
}

fn try_uring() -> io::Result<()> {
    let waker = Waker::new()?;
    let mut uring = Uring::new(scratch()?, &waker, 1, false, 0)?;
    uring.collect();
    // A kernel without multishot receives or provided buffers refuses with the very first call.
    match uring.tally().of(IoCounter::ReceiveFailed) {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "multishot receive is refused")),
    }
}

/// Linux took trains of 64 datagrams at first and takes 128 now.
fn train_segments_max() -> usize {
    [128, 64].into_iter().find(|&segments| takes_train(segments).unwrap_or(false)).unwrap_or(1)
}

fn takes_train(segments: usize) -> io::Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    set_option(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 1)?;
    let train = [0; 128];
    Ok(socket.send_to(&train[..segments.min(train.len())], socket.local_addr()?).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the kernel answer `io_uring_setup` of this thread, and of those it starts, with EPERM, as Docker does.
    fn forbid_io_uring() {
        let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
        let mut filter = [
            // The number of the system call is the first word of what a filter sees.
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
            libc::sock_filter {
                jf: 1,
                ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_io_uring_setup as u32)
            },
            statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: a program of the stated length, which the kernel copies.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64), 0);
            let mode = libc::SECCOMP_MODE_FILTER as u64;
            assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
        }
    }

    #[test]
    fn forbidden_io_uring_is_named_and_the_rest_still_found() {
        let found = thread::spawn(|| {
            forbid_io_uring();
            look()
        });
        let found = found.join().unwrap();
        assert!(found.uring.unwrap_err().contains("not permitted"));
        // An error, and no panic, which would be written to standard error.
        assert!(found.executor.unwrap_err().contains("not permitted"));
        assert!(found.train_segments_max >= 64 && found.receives_trains);
    }

    #[test]
    fn segments_are_what_the_kernel_takes() {
        let segments = train_segments_max();
        assert!(takes_train(segments).unwrap());
        assert!(segments == 128 || !takes_train(128).unwrap());
    }
}
