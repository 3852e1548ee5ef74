//! Runs a program as in a container that forbids io_uring: `without_uring PROGRAM [ARGUMENT]...`
//!
//! A seccomp filter answers `io_uring_setup` with EPERM and allows all else; the program and its children inherit it.
//! For the tests of what the server does then. It is no sandbox.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: without_uring PROGRAM [ARGUMENT]...");
        return ExitCode::FAILURE;
    };
    let error = match forbid_uring() {
        Ok(()) => Command::new(&program).args(arguments).exec(),
        Err(error) => error,
    };
    eprintln!("without_uring: {}: {error}", program.to_string_lossy());
    ExitCode::FAILURE
}

fn forbid_uring() -> io::Result<()> {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let number_offset = u32::try_from(std::mem::offset_of!(libc::seccomp_data, nr)).map_err(io::Error::other)?;
    let uring_setup = u32::try_from(libc::SYS_io_uring_setup).map_err(io::Error::other)?;
    let mut filter = [
        statement(LOAD_WORD, number_offset),
        libc::sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: uring_setup },
        statement(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs()),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ];
    let len = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: takes no pointers; it only gives up rights of this process.
    succeeded(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: `program` points to `filter`, and both outlive the call, which copies them.
    succeeded(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) })
}

fn succeeded(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

// The constants of libc are wider than the field that takes them.
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
