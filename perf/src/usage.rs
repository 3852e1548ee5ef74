//! What a process has used so far, and what the kernel says of the sockets of this machine: plain reading of `/proc`.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{SysconfVar, sysconf};

use crate::machine;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time of all its threads, those that ended too. The kernel counts it in hundredths of a second.
    pub cpu: Duration,
    /// Time on a core of all threads that live, in nanoseconds: finer, but a thread that ends takes its time
    /// along, and beside others in real time it errs (see `cpu_time`).
    pub cpu_ns: u64,
    pub resident_bytes: u64,
    pub threads: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The program's name stands in parentheses and may hold anything; fields are counted from behind it.
        let (_, fields) = stat.rsplit_once(") ").context("an unreadable /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let field =
            |number: usize| -> Result<u64> { Ok(fields.get(number - 3).context("a short /proc/PID/stat")?.parse()?) };
        let page_len = sysconf(SysconfVar::PAGE_SIZE)?.context("no page size")?;
        Ok(Self {
            cpu: machine::tick_time(field(14)? + field(15)?)?,
            cpu_ns: scheduled_ns(pid)?,
            resident_bytes: field(24)? * u64::try_from(page_len)?,
            threads: field(20)?,
        })
    }

    /// Of this process.
    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
    }
}

/// The first number of every thread's schedstat: nanoseconds that it has been on a core.
pub(crate) fn scheduled_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// Datagrams that the kernel dropped at the UDP sockets of each local address: by a filter, or because a queue was full.
///
/// The kernel lists sockets piece by piece, and forgets or repeats one when others come and go meanwhile. So the list is
/// read until all that are `wanted` were in it; one that stands in it twice counts once.
pub fn udp_drops(wanted: &HashSet<SocketAddr>) -> Result<HashMap<SocketAddr, u64>> {
    let mut sockets = HashMap::new();
    for _ in 0..READS_MAX {
        let list = std::fs::read_to_string("/proc/net/udp")?;
        sockets.extend(list.lines().skip(1).filter_map(socket_of_line));
        let mut drops = HashMap::new();
        for (address, dropped) in sockets.values() {
            *drops.entry(*address).or_default() += dropped;
        }
        if wanted.iter().all(|address| drops.contains_key(address)) {
            return Ok(drops);
        }
    }
    bail!("the kernel does not list all of our sockets")
}

/// A socket's inode, which is its own, its local address, and how many datagrams it dropped.
fn socket_of_line(line: &str) -> Option<(u64, (SocketAddr, u64))> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (ip, port) = fields.get(1)?.rsplit_once(':')?;
    // The kernel prints the address as a number, its bytes as they lie in memory.
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    let address = SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?));
    Some((fields.get(9)?.parse().ok()?, (address, fields.last()?.parse().ok()?)))
}

/// Lists that are read until one that is wanted counts as gone.
const READS_MAX: usize = 50;

/// Datagrams that full queues of UDP sockets have cost so far, on the whole machine. Filters are not counted here.
pub fn udp_overruns() -> Result<u64> {
    let snmp = std::fs::read_to_string("/proc/net/snmp")?;
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().context("no UDP counters")?, lines.next().context("no UDP counters")?);
    let counted = |wanted: &str| {
        let pairs = names.split(' ').zip(values.split(' '));
        pairs.filter(|(name, _)| *name == wanted).filter_map(|(_, value)| value.parse::<u64>().ok()).sum::<u64>()
    };
    Ok(counted("RcvbufErrors") + counted("MemErrors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_usage_is_readable() {
        let usage = Usage::own().unwrap();
        assert!(usage.resident_bytes > 0 && usage.threads > 0 && usage.cpu_ns > 0);
    }

    #[test]
    fn a_socket_of_ours_has_dropped_nothing_yet() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(udp_drops(&HashSet::from([address])).unwrap()[&address], 0);
        udp_overruns().unwrap();
    }

    #[test]
    fn a_socket_that_is_gone_is_not_waited_for_without_end() {
        assert!(udp_drops(&HashSet::from(["127.77.0.1:1".parse().unwrap()])).is_err());
    }

    #[test]
    fn a_line_of_the_list_tells_its_socket() {
        let line = "   75: 0100007F:D13A 0100007F:897D 01 00000000:00000000 00:00000000 00000000     0        0 884369 2 0000000008d38b70 1440     ";
        assert_eq!(socket_of_line(line), Some((884_369, ("127.0.0.1:53562".parse().unwrap(), 1440))));
        assert_eq!(socket_of_line("  sl  local_address rem_address"), None);
    }
}
