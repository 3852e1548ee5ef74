//! Which core a shard is pinned to.
//!
//! Shards take the last of the cores that this process may use, and leave at least one to everything else; where there
//! are not enough cores for that, nothing is pinned and the system's scheduler shares them out.

use tidewire_core::id::ShardId;

pub(crate) fn for_shard(shard: ShardId, shards: u8) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    choose(&parse(list.trim()), usize::from(shard.0), usize::from(shards))
}

fn choose(allowed: &[usize], shard: usize, shards: usize) -> Option<usize> {
    if allowed.len() <= shards { None } else { allowed.iter().rev().nth(shard).copied() }
}

/// Reads a list like `0-3,8`; what is no number is left out.
fn parse(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_take_the_last_cores_and_leave_one() {
        assert_eq!(parse("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(choose(&[0, 1, 2, 5], 0, 3), Some(5));
        assert_eq!(choose(&[0, 1, 2, 5], 2, 3), Some(1));
        assert_eq!(choose(&[0, 1], 0, 2), None);
    }
}
