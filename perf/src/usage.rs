//! What a process has used so far, and what the kernel says of the sockets of this machine: plain reading of `/proc`.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::{SysconfVar, sysconf};

use crate::machine;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time of all its threads, those that ended too. The kernel counts it in hundredths of a second.
    pub cpu: Duration,
    /// Time on a core of all threads that live, in nanoseconds: precise, but a thread that ends takes its time along.
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
fn scheduled_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// Datagrams that the kernel dropped at the UDP sockets of each local address: by a filter, or because a queue was full.
pub fn udp_drops() -> Result<HashMap<SocketAddr, u64>> {
    let mut drops = HashMap::new();
    for (address, dropped) in std::fs::read_to_string("/proc/net/udp")?.lines().skip(1).filter_map(drops_of_line) {
        *drops.entry(address).or_default() += dropped;
    }
    Ok(drops)
}

fn drops_of_line(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_whitespace();
    let (ip, port) = fields.nth(1)?.rsplit_once(':')?;
    // The kernel prints the address as a number, its bytes as they lie in memory.
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    let address = SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?));
    Some((address, fields.last()?.parse().ok()?))
}

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
        assert_eq!(udp_drops().unwrap().get(&socket.local_addr().unwrap()), Some(&0));
        udp_overruns().unwrap();
    }
}
