//! The limits that the program runs under: locked memory and open files.

use super::finding::Finding;
use super::seen;

pub(super) fn check() -> Vec<Finding> {
    let limits = seen::text("/proc/self/limits").unwrap_or_default();
    let memory = seen::soft_limit(&limits, "Max locked memory").map(judge_locked_memory);
    let files = seen::soft_limit(&limits, "Max open files").map(judge_open_files);
    memory.into_iter().chain(files).collect()
}

fn judge_locked_memory(bytes: u64) -> Finding {
    let fact = amount(bytes, 10, " KiB");
    if bytes >= LOCKED_MEMORY_MIN {
        return Finding::ok("locked memory", fact);
    }
    let costs = "an executor's rings do not fit in, so shards run on plain threads";
    Finding::could("locked memory", fact, costs, "ulimit -l 8192 (LimitMEMLOCK=8M in a systemd unit)")
}

fn judge_open_files(files: u64) -> Finding {
    let fact = amount(files, 0, "");
    let mend = "ulimit -n 65536 (LimitNOFILE=65536 in a systemd unit)";
    match files {
        0..OPEN_FILES_MIN => Finding::broken("open files", fact, "the sockets of the start alone may be more", mend),
        OPEN_FILES_MIN..OPEN_FILES_GOOD => {
            Finding::could("open files", fact, "each client that signals takes one; those beyond are turned away", mend)
        }
        _ => Finding::ok("open files", fact),
    }
}

fn amount(number: u64, shift: u32, unit: &str) -> String {
    if number == u64::MAX { "unlimited".to_owned() } else { format!("{}{unit}", number >> shift) }
}

/// What glommio wants for the rings of one executor.
const LOCKED_MEMORY_MIN: u64 = 512 << 10;

/// Rings, bells, threads and a socket for each address of a few shards.
const OPEN_FILES_MIN: u64 = 256;

/// Ten thousand clients, and some air.
const OPEN_FILES_GOOD: u64 = 16_384;

#[cfg(test)]
mod tests {
    use super::super::finding::Grade::{Broken, CouldBeBetter, Ok as Good};
    use super::*;

    #[test]
    fn limits_are_graded() {
        for (bytes, grade) in [(u64::MAX, Good), (512 << 10, Good), (64 << 10, CouldBeBetter), (0, CouldBeBetter)] {
            assert_eq!(judge_locked_memory(bytes).grade, grade, "{bytes}");
        }
        for (files, grade) in [(u64::MAX, Good), (65_536, Good), (1_024, CouldBeBetter), (64, Broken)] {
            assert_eq!(judge_open_files(files).grade, grade, "{files}");
        }
        assert_eq!((amount(8 << 20, 10, " KiB"), amount(u64::MAX, 0, "")), ("8192 KiB".into(), "unlimited".into()));
    }
}
