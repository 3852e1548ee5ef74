//! How packets are moved: the kernel, io_uring, trains, socket buffers, the cipher.
//!
//! What io_uring and trains can do is tried by `net`, on real rings and sockets, since version numbers do not show a
//! seccomp filter.

use tidewire_core::limits::SOCKET_BUFFER_LEN;
use tidewire_net::{IoChoice, Probe};

use super::finding::Finding;
use super::seen;
use crate::report;
use crate::settings::Settings;

pub(super) fn kernel() -> Vec<Finding> {
    vec![judge_kernel(&report::kernel()), judge_cipher(cipher())]
}

pub(super) fn io(settings: &Settings) -> Vec<Finding> {
    let probe = tidewire_net::probe();
    let surroundings = Surroundings {
        container: seen::container(),
        filtered: seen::text("/proc/self/status")
            .is_some_and(|status| seen::status_field(&status, "Seccomp") == Some("2")),
        disabled: seen::text("/proc/sys/kernel/io_uring_disabled").is_some_and(|text| text != "0"),
    };
    let mut findings = vec![judge_uring(settings.io, &probe.uring, &surroundings)];
    findings.extend(judge_executor(probe));
    findings.push(judge_trains(probe));
    findings.push(judge_buffer("receive buffer", "net.core.rmem_max", probe.receive_buffer_len));
    findings.push(judge_buffer("send buffer", "net.core.wmem_max", probe.send_buffer_len));
    findings
}

/// What may stand between a program and io_uring.
struct Surroundings {
    container: Option<&'static str>,
    /// A seccomp filter is on.
    filtered: bool,
    /// The administrator switched io_uring off.
    disabled: bool,
}

fn judge_kernel(release: &str) -> Finding {
    let could = |costs| Finding::could("kernel", format!("Linux {release}"), costs, "Install Linux 6.12 or newer");
    match seen::version(release) {
        Some(version) if version >= (6, 12) => Finding::ok("kernel", format!("Linux {release}")),
        Some(version) if version >= (6, 0) => {
            could("where threads share a core, media waits for the others' time slices")
        }
        _ => could("io_uring cannot receive as it is needed here, so packets are moved by epoll, at more CPU each"),
    }
}

fn judge_uring(choice: IoChoice, uring: &Result<(), String>, around: &Surroundings) -> Finding {
    let Err(reason) = uring else { return Finding::ok("io_uring", "works") };
    let fact = match around.container {
        Some(name) => format!("does not work in this container ({name}): {reason}"),
        None => format!("does not work: {reason}"),
    };
    let mend = if around.disabled {
        "sysctl -w kernel.io_uring_disabled=0"
    } else if around.filtered {
        "Allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile"
    } else {
        "Install Linux 6.0 or newer"
    };
    match choice {
        IoChoice::Uring => Finding::broken("io_uring", fact, "io = uring asks for it, so the start fails", mend),
        IoChoice::Auto | IoChoice::Epoll => {
            Finding::could("io_uring", fact, "packets are moved by epoll, at more CPU each", mend)
        }
    }
}

/// Only told where io_uring works, since the executor needs it.
fn judge_executor(probe: &Probe) -> Option<Finding> {
    probe.uring.as_ref().ok()?;
    Some(match &probe.executor {
        Ok(()) => Finding::ok("executor", "glommio works"),
        Err(reason) => {
            let costs = "shards run on plain threads, which leaves no room for other work beside the packets";
            Finding::could("executor", format!("glommio does not work: {reason}"), costs, "ulimit -l 8192")
        }
    })
}

fn judge_trains(probe: &Probe) -> Finding {
    let (sends, receives) = (probe.train_segments_max, probe.receives_trains);
    match (sends, receives) {
        (2.., true) => Finding::ok("trains", format!("UDP_SEGMENT up to {sends} datagrams, UDP_GRO")),
        (2.., false) => {
            let fact = format!("UDP_SEGMENT up to {sends} datagrams, no UDP_GRO");
            Finding::could(
                "trains",
                fact,
                "the kernel is asked for each datagram that arrives",
                "Install Linux 5.0 or newer",
            )
        }
        (0 | 1, _) => {
            let costs = "each datagram is a send of its own, the dearest part of forwarding it";
            Finding::could("trains", "no UDP_SEGMENT", costs, "Install Linux 4.18 or newer")
        }
    }
}

fn judge_buffer(check: &'static str, setting: &str, given: usize) -> Finding {
    let (kib, asked_kib) = (given >> 10, SOCKET_BUFFER_LEN >> 10);
    if given >= SOCKET_BUFFER_LEN {
        return Finding::ok(check, format!("{kib} KiB a socket"));
    }
    let fact = format!("{kib} KiB a socket, of {asked_kib} that are asked for");
    let costs = "a burst that the shard is too late for, or the network, is lost";
    Finding::could(check, fact, costs, format!("sysctl -w {setting}={SOCKET_BUFFER_LEN}"))
}

/// How far the processor helps with AES-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    /// Several blocks an instruction.
    Wide,
    /// One block an instruction.
    Narrow,
    None,
}

#[cfg(target_arch = "x86_64")]
fn cipher() -> Cipher {
    use std::arch::is_x86_feature_detected as has;
    match (has!("aes") && has!("pclmulqdq"), has!("vaes") && has!("vpclmulqdq") && has!("avx2")) {
        (_, true) => Cipher::Wide,
        (true, false) => Cipher::Narrow,
        (false, false) => Cipher::None,
    }
}

#[cfg(target_arch = "aarch64")]
fn cipher() -> Cipher {
    use std::arch::is_aarch64_feature_detected as has;
    // There is no wider form: the cores run several of these at once.
    if has!("aes") && has!("pmull") { Cipher::Wide } else { Cipher::None }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cipher() -> Cipher {
    Cipher::None
}

fn judge_cipher(cipher: Cipher) -> Finding {
    let mend = "Take a processor, or a machine type of the cloud, that has VAES";
    match cipher {
        Cipher::Wide => Finding::ok("cipher", "AES-GCM in wide instructions"),
        Cipher::Narrow => {
            Finding::could("cipher", "AES-GCM without VAES", "sealing a packet takes more of the processor", mend)
        }
        Cipher::None => Finding::could("cipher", "AES-GCM in software", "sealing is most of what a packet costs", mend),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade::{self, Broken, CouldBeBetter, Ok as Good};
    use super::*;

    const NOTHING: Surroundings = Surroundings { container: None, filtered: false, disabled: false };

    #[test]
    fn kernel_is_judged_by_its_release() {
        for (release, grade) in [
            ("6.18.44", Good),
            ("6.12", Good),
            ("6.1.0-18-amd64", CouldBeBetter),
            ("5.15.0", CouldBeBetter),
            ("of unknown release", CouldBeBetter),
        ] {
            assert_eq!(judge_kernel(release).grade, grade, "{release}");
        }
        assert_ne!(judge_kernel("6.1").costs, judge_kernel("5.15").costs);
    }

    #[test]
    fn missing_io_uring_is_broken_only_where_it_was_asked_for_and_the_mend_is_for_what_forbids_it() {
        let none = Err("Operation not permitted (os error 1)".to_owned());
        let judged = |choice, around: Surroundings| judge_uring(choice, &none, &around);
        assert_eq!(judge_uring(IoChoice::Uring, &Ok(()), &NOTHING).grade, Good);
        assert_eq!(judged(IoChoice::Uring, NOTHING).grade, Broken);
        assert_eq!(judged(IoChoice::Auto, NOTHING).grade, CouldBeBetter);
        let mend = |around| judged(IoChoice::Auto, around).mend.unwrap();
        assert!(mend(Surroundings { disabled: true, ..NOTHING }).starts_with("sysctl"));
        assert!(mend(Surroundings { filtered: true, ..NOTHING }).contains("seccomp"));
        assert!(mend(NOTHING).contains("6.0"));
        let fact = judged(IoChoice::Auto, Surroundings { container: Some("Docker"), ..NOTHING }).fact;
        assert!(fact.contains("Docker") && fact.contains("not permitted"), "{fact}");
    }

    #[test]
    fn trains_buffers_and_cipher_have_their_grades() {
        let probe = |train_segments_max, receives_trains| Probe {
            uring: Ok(()),
            executor: Err("ENOMEM".into()),
            train_segments_max,
            receives_trains,
            receive_buffer_len: 0,
            send_buffer_len: 0,
        };
        let trains = [(128, true, Good), (64, false, CouldBeBetter), (1, true, CouldBeBetter)];
        for (sends, receives, grade) in trains {
            assert_eq!(judge_trains(&probe(sends, receives)).grade, grade);
        }
        assert_eq!(judge_executor(&probe(1, true)).unwrap().grade, CouldBeBetter);
        assert!(judge_executor(&Probe { uring: Err("no".into()), ..probe(1, true) }).is_none());
        let buffer = judge_buffer("send buffer", "net.core.wmem_max", 212_992);
        assert_eq!(buffer.mend.unwrap(), "sysctl -w net.core.wmem_max=4194304");
        assert_eq!(judge_buffer("send buffer", "x", SOCKET_BUFFER_LEN).grade, Good);
        let ciphers: [Grade; 3] = [Cipher::Wide, Cipher::Narrow, Cipher::None].map(|cipher| judge_cipher(cipher).grade);
        assert_eq!(ciphers, [Good, CouldBeBetter, CouldBeBetter]);
    }
}
