//! Whether clients can reach it: ports that are free, addresses that lead here.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use super::finding::Finding;
use super::seen;
use crate::addresses::Addresses;
use crate::settings::Settings;

/// Binds each port for a moment.
pub(super) fn ports(settings: &Settings) -> Vec<Finding> {
    let runs = another_runs();
    let http = TcpListener::bind(settings.listen).map(drop);
    let place = match settings.listen.port() {
        0 => format!("{}, any port", settings.listen.ip()),
        _ => settings.listen.to_string(),
    };
    let http = judge_port("HTTP port", &place, "--listen", http, runs);
    let addresses = Addresses::of(settings).map(|addresses| addresses.local).unwrap_or_default();
    let last = settings.udp_port.saturating_add(u16::from(settings.shards) - 1);
    let shown = match settings.udp_port {
        0 => "any".to_owned(),
        first if first == last => first.to_string(),
        first => format!("{first}-{last}"),
    };
    let media = judge_port("media ports", &format!("UDP {shown}"), "--udp-port", bind(&addresses, settings), runs);
    vec![http, media]
}

pub(super) fn addresses(settings: &Settings) -> Vec<Finding> {
    match Addresses::of(settings) {
        Ok(addresses) => vec![judge_addresses(&addresses.local, &addresses.announced)],
        Err(error) => {
            let fact = format!("the list of interfaces cannot be had: {error}");
            vec![Finding::broken("addresses", fact, "the start fails", "Name them with --media-ip")]
        }
    }
}

fn bind(addresses: &[IpAddr], settings: &Settings) -> io::Result<()> {
    for shard in 0..u16::from(settings.shards) {
        for ip in addresses {
            let port = if settings.udp_port == 0 { 0 } else { settings.udp_port.saturating_add(shard) };
            UdpSocket::bind(SocketAddr::new(*ip, port))?;
        }
    }
    Ok(())
}

/// Whether some other process here is a Tidewire.
fn another_runs() -> bool {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let names = processes.flatten().filter(|entry| entry.file_name() != own.as_str());
    names.into_iter().any(|entry| seen::text(entry.path().join("comm")).as_deref() == Some("tidewire"))
}

fn judge_port(check: &'static str, place: &str, flag: &str, bound: io::Result<()>, another_runs: bool) -> Finding {
    let Err(error) = bound else { return Finding::ok(check, format!("{place} free")) };
    let other = format!("Choose another with {flag}");
    match error.kind() {
        ErrorKind::AddrInUse if another_runs => {
            let fact = format!("{place} taken, and a Tidewire runs here already");
            Finding::could(check, fact, "a second one needs ports of its own", other)
        }
        ErrorKind::AddrInUse => Finding::broken(
            check,
            format!("{place} taken"),
            "the start fails",
            format!("{other}; `ss -lnptu` shows who has it"),
        ),
        ErrorKind::PermissionDenied => {
            let mend = "setcap cap_net_bind_service=+ep $(command -v tidewire)";
            Finding::broken(check, format!("{place} is for the administrator"), "the start fails", mend)
        }
        _ => Finding::broken(check, format!("{place}: {error}"), "the start fails", other),
    }
}

fn judge_addresses(local: &[IpAddr], announced: &[IpAddr]) -> Finding {
    let all: Vec<_> = local.iter().chain(announced).collect();
    let shown = all.iter().map(|ip| ip.to_string()).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return Finding::broken("addresses", "none", "no client can send media", "Name one with --media-ip");
    }
    if all.iter().all(|ip| ip.is_loopback()) {
        let costs = "only browsers on this machine can send media";
        return Finding::could("addresses", shown, costs, "Leave out --media-ip, or name the address of a network");
    }
    if all.iter().all(|ip| ip.is_loopback() || is_private(ip)) {
        let costs = "clients beyond this network cannot send media; where there are none, all is well";
        return Finding::could(
            "addresses",
            shown,
            costs,
            "Start it with --announce-ip and the address that the NAT hands on",
        );
    }
    Finding::ok("addresses", shown)
}

/// RFC 1918, RFC 6598, RFC 3927, RFC 4193.
fn is_private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade::{Broken, CouldBeBetter, Ok as Good};
    use super::*;

    #[test]
    fn port_that_is_taken_is_broken_unless_it_is_ours_already() {
        let judged = |kind: Option<ErrorKind>, runs| {
            let bound = kind.map_or(Ok(()), |kind| Err(kind.into()));
            judge_port("HTTP port", "127.0.0.1:80", "--listen", bound, runs)
        };
        for (kind, runs, grade) in [
            (None, false, Good),
            (Some(ErrorKind::AddrInUse), false, Broken),
            (Some(ErrorKind::AddrInUse), true, CouldBeBetter),
            (Some(ErrorKind::PermissionDenied), true, Broken),
            (Some(ErrorKind::AddrNotAvailable), false, Broken),
        ] {
            assert_eq!(judged(kind, runs).grade, grade, "{kind:?} {runs}");
        }
        assert!(judged(Some(ErrorKind::PermissionDenied), false).mend.unwrap().starts_with("setcap"));
    }

    #[test]
    fn addresses_are_judged_by_who_can_come_to_them() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        for (local, announced, grade) in [
            (&[][..], &[][..], Broken),
            (&["127.0.0.1", "::1"], &[], CouldBeBetter),
            (&["192.168.1.2", "127.0.0.1", "fd00::1"], &[], CouldBeBetter),
            (&["100.64.0.1"], &[], CouldBeBetter),
            (&["10.0.0.2"], &["203.0.113.7"], Good),
            (&["198.51.100.1"], &[], Good),
            (&["10.0.0.2", "2001:db8::1"], &[], Good),
        ] {
            assert_eq!(judge_addresses(&ips(local), &ips(announced)).grade, grade, "{local:?} {announced:?}");
        }
    }
}
