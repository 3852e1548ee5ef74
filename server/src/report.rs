//! What the program says once it is up: what it found on this machine, what it chose, and why.
//!
//! Facts in, lines out; finds nothing out by itself but the kernel's release. The page's address is the first fact,
//! since it is what most people look for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tidewire_core::id::Label;
use tidewire_core::limits::SOCKET_BUFFER_LEN;
use tidewire_net::handshake::Versions;
use tidewire_net::{DriverChoice, IoChoice, Probe, ShardHandle};

use crate::addresses::Addresses;
use crate::settings::{Role, Secret, Settings, Tls};

/// How packets are moved.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    pub(crate) io: IoChoice,
    pub(crate) driver: DriverChoice,
    /// Whether io_uring works here, or why it does not.
    pub(crate) uring: Result<(), String>,
    /// Datagrams that the kernel takes in one message.
    pub(crate) train_segments_max: usize,
    /// Bytes of each socket's smaller buffer.
    pub(crate) buffer_len: usize,
    /// The media port of each shard.
    pub(crate) ports: Vec<u16>,
}

impl Packets {
    /// What running shards chose; nothing without any.
    pub(crate) fn of<C>(shards: &[ShardHandle<C>], probe: &Probe) -> Option<Self> {
        let first = shards.first()?;
        let (receive, send) = first.buffers();
        let port = |shard: &ShardHandle<C>| shard.addresses().first().map(SocketAddr::port);
        Some(Self {
            io: first.io(),
            driver: first.driver(),
            uring: probe.uring.clone(),
            train_segments_max: probe.train_segments_max,
            buffer_len: receive.min(send),
            ports: shards.iter().filter_map(port).collect(),
        })
    }
}

impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = match self.driver {
            DriverChoice::Executor => "glommio executors",
            DriverChoice::Plain => "plain threads",
            DriverChoice::Auto => "threads",
        };
        match (self.io, &self.uring) {
            (IoChoice::Epoll, Err(reason)) => {
                write!(f, "epoll on {driver}, which is slower: io_uring does not work here ({reason})")?;
            }
            (IoChoice::Epoll, Ok(())) => {
                write!(f, "epoll on {driver}, as io = epoll asks; slower than io_uring, which works here")?;
            }
            (IoChoice::Uring | IoChoice::Auto, _) => write!(f, "io_uring on {driver}")?,
        }
        match self.train_segments_max {
            0 | 1 => f.write_str("; one send a packet, since the kernel takes no trains"),
            segments => write!(f, "; trains of up to {segments}"),
        }
    }
}

/// Everything that is known at the end of the start. Its `Display` is the report.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) role: Role,
    pub(crate) settings: &'a Settings,
    pub(crate) addresses: &'a Addresses,
    /// Nothing of a gateway alone.
    pub(crate) packets: Option<&'a Packets>,
    /// The name of a media server alone.
    pub(crate) name: Option<&'a Label>,
    /// Where HTTP is served, its port as the system gave it.
    pub(crate) listening: SocketAddr,
    /// The kernel's release.
    pub(crate) kernel: &'a str,
    pub(crate) cores: usize,
}

/// The release of the running kernel, as `uname -r` has it.
pub(crate) fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(|_| "of unknown release".to_owned(), |text| text.trim().to_owned())
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.role {
            Role::Everything => "Tidewire",
            Role::Gateway => "Tidewire gateway",
            Role::Media => "Tidewire media server",
        };
        writeln!(f, "{what} {} on Linux {}", env!("CARGO_PKG_VERSION"), self.kernel)?;
        let (signalling, cluster, media) = (self.signalling_lines(), self.cluster_lines(), self.media_lines());
        let lines = match self.role {
            Role::Everything => [signalling, media, vec![("tokens", self.tokens().to_owned())]].concat(),
            Role::Gateway => [signalling, cluster, vec![("tokens", self.tokens().to_owned())]].concat(),
            Role::Media => [cluster, media].concat(),
        };
        lines.iter().try_for_each(|(about, fact)| writeln!(f, "  {about:<9}  {fact}"))?;
        self.notes().into_iter().try_for_each(|note| writeln!(f, "  note       {note}"))
    }
}

/// What a line is about, and what it says.
type Line = (&'static str, String);

impl Report<'_> {
    fn signalling_lines(&self) -> Vec<Line> {
        self.pages().into_iter().map(|page| ("page", page)).collect()
    }

    /// What joins the two programs, in the words of this one.
    fn cluster_lines(&self) -> Vec<Line> {
        if let (Some(apart), Some(name)) = (&self.settings.apart, self.name) {
            let region = apart.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
            let health = format!("http://{}/readyz says when the link stands; /metrics beside it", self.listening);
            return vec![
                ("name", format!("{name}{region}")),
                ("gateway", apart.gateway.to_string()),
                ("health", health),
            ];
        }
        let taken = match self.settings.cluster_secret {
            Some(_) => "those that have the cluster secret, at /v1/media of the same address",
            None => "none, since there is no cluster secret: set TIDEWIRE_CLUSTER_SECRET, here and for each",
        };
        vec![("media", taken.to_owned())]
    }

    fn media_lines(&self) -> Vec<Line> {
        let Some(packets) = self.packets else { return vec![] };
        let mut lines = vec![("media", format!("UDP {} on {}", ports(&packets.ports), list(&self.addresses.local)))];
        if !self.addresses.announced.is_empty() {
            lines.push(("announced", format!("{} beside these", list(&self.addresses.announced))));
        }
        lines.push(("shards", format!("{} on {} cores", self.settings.shards, self.cores)));
        lines.push(("packets", packets.to_string()));
        lines.push(("DTLS", self.dtls().to_owned()));
        lines
    }

    /// The addresses at which a browser finds the page.
    fn pages(&self) -> Vec<String> {
        let scheme = if self.settings.tls == Tls::Off { "http" } else { "https" };
        let at = |ip: &IpAddr| format!("{scheme}://{}/", SocketAddr::new(*ip, self.listening.port()));
        if !self.listening.ip().is_unspecified() {
            return vec![at(&self.listening.ip())];
        }
        let reached = |ip: &&IpAddr| self.listening.is_ipv6() || ip.is_ipv4();
        self.addresses.local.iter().chain(&self.addresses.announced).filter(reached).map(at).collect()
    }

    fn dtls(&self) -> &'static str {
        match self.settings.dtls {
            Versions::Dtls12 => "1.2",
            Versions::Dtls13 => "1.3 where the client offers it, else 1.2",
        }
    }

    fn tokens(&self) -> &'static str {
        match self.settings.secret {
            Secret::Given(_) => "signed with the secret that was set",
            Secret::Random(_) if self.settings.page_mints_tokens() => {
                "signed with a secret made now; the page makes its own, for browsers on this machine"
            }
            Secret::Random(_) => "signed with a secret made now, so nobody can make one: set --secret",
        }
    }

    /// What will probably surprise.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.role != Role::Media {
            notes.extend(self.signalling_notes());
        }
        if self.settings.apart.as_ref().is_some_and(|apart| apart.gateway.is_exposed()) {
            notes.push("the link to the gateway is not encrypted: use wss beyond a network of your own".to_owned());
        }
        if let Some(packets) = self.packets {
            notes.extend(self.media_notes(packets));
        }
        notes
    }

    fn signalling_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.settings.tls == Tls::Off && !self.listening.ip().is_loopback() {
            notes.push(
                "browsers on other machines open camera and microphone only over HTTPS: --tls self-signed".to_owned(),
            );
        }
        if matches!(&self.settings.secret, Secret::Given(secret) if secret.len() < SECRET_LEN_MIN) {
            notes.push(format!("the secret is shorter than {SECRET_LEN_MIN} bytes, which makes it easier to guess"));
        }
        notes
    }

    fn media_notes(&self, packets: &Packets) -> Vec<String> {
        let mut notes = Vec::new();
        if packets.buffer_len < SOCKET_BUFFER_LEN {
            let (given, asked) = (packets.buffer_len >> 10, SOCKET_BUFFER_LEN >> 10);
            notes.push(format!(
                "socket buffers of {given} KiB where {asked} were asked for: raise net.core.rmem_max and net.core.wmem_max"
            ));
        }
        if !self.addresses.left_out.is_empty() {
            let left_out = list(&self.addresses.left_out);
            notes.push(format!("too many addresses, not used: {left_out}; choose with --media-ip"));
        }
        notes
    }
}

/// RFC 7518 3.2: a key for HS256 has at least the size of its hash.
const SECRET_LEN_MIN: usize = 32;

fn ports(ports: &[u16]) -> String {
    match ports {
        [] => "nowhere".to_owned(),
        [only] => only.to_string(),
        [first, .., last] if usize::from(last.saturating_sub(*first)) + 1 == ports.len() => format!("{first}-{last}"),
        many => many.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    #[test]
    fn page_of_a_loopback_server_is_named_and_mints() {
        let report = report(&[], "127.0.0.1:8080", Ok(()));
        assert!(report.contains("  page       http://127.0.0.1:8080/\n"), "{report}");
        assert!(report.contains("the page makes its own"), "{report}");
        assert!(report.contains("io_uring on glommio executors; trains of up to 128\n"), "{report}");
        assert!(!report.contains("note"), "{report}");
    }

    #[test]
    fn where_io_uring_is_forbidden_it_says_that_it_is_slower_and_why() {
        let report = report(&[], "127.0.0.1:1", Err("Operation not permitted (os error 1)".to_owned()));
        assert!(
            report.contains("epoll on plain threads, which is slower: io_uring does not work here (Operation not permitted (os error 1))"),
            "{report}"
        );
    }

    #[test]
    fn every_page_of_an_open_server_is_named_with_the_warning() {
        let report = report(&[("listen", "0.0.0.0:80")], "0.0.0.0:80", Ok(()));
        assert!(report.contains("http://192.0.2.1:80/") && report.contains("http://203.0.113.7:80/"), "{report}");
        assert!(!report.contains("[2001:db8::1]:80"), "{report}");
        assert!(report.contains("--tls self-signed") && report.contains("set --secret"), "{report}");
    }

    #[test]
    fn short_secret_is_told_and_not_shown() {
        let report = report(&[("secret", "hunter2")], "127.0.0.1:1", Ok(()));
        assert!(report.contains("shorter than 32 bytes") && !report.contains("hunter2"), "{report}");
    }

    #[test]
    fn ports_in_a_row_are_a_range() {
        assert_eq!([&[][..], &[9], &[9, 10, 11], &[9, 11]].map(ports), ["nowhere", "9", "9-11", "9, 11"]);
    }

    #[test]
    fn a_gateway_says_whether_it_takes_media_servers() {
        let alone = report_of(Role::Gateway, &[], "127.0.0.1:1", Ok(()));
        assert!(
            alone.contains("  media      none, since there is no cluster secret: set TIDEWIRE_CLUSTER_SECRET"),
            "{alone}"
        );
        assert!(!alone.contains("UDP"), "{alone}");
        let secret = ("cluster-secret", "a cluster secret of thirty-two b");
        let open = report_of(Role::Gateway, &[secret], "127.0.0.1:1", Ok(()));
        assert!(open.contains("those that have the cluster secret") && !open.contains(secret.1), "{open}");
    }

    #[test]
    fn a_media_server_says_whom_it_works_for() {
        let secret = ("cluster-secret", "a cluster secret of thirty-two b");
        let flags = [secret, ("gateway-url", "ws://192.0.2.9:8080"), ("region", "north")];
        let report = report_of(Role::Media, &flags, "127.0.0.1:8081", Ok(()));
        assert!(report.contains("  name       one in north\n  gateway    ws://192.0.2.9:8080/v1/media\n"), "{report}");
        assert!(report.contains("UDP 10000-10001") && report.contains("is not encrypted"), "{report}");
        assert!(!report.contains("page") && !report.contains("tokens"), "{report}");
    }

    fn report(flags: &[(&'static str, &str)], listening: &str, uring: Result<(), String>) -> String {
        report_of(Role::Everything, flags, listening, uring)
    }

    fn report_of(role: Role, flags: &[(&'static str, &str)], listening: &str, uring: Result<(), String>) -> String {
        let flags = flags.iter().map(|(key, value)| (*key, vec![(*value).to_owned()]));
        let settings = Settings::read(role, &Sources::new(flags, |_| None), 4, [0; 32]).unwrap();
        let (io, driver) = match uring {
            Ok(()) => (IoChoice::Uring, DriverChoice::Executor),
            Err(_) => (IoChoice::Epoll, DriverChoice::Plain),
        };
        let (ports, buffer_len) = (vec![10_000, 10_001], SOCKET_BUFFER_LEN);
        let packets = Packets { io, driver, uring, train_segments_max: 128, buffer_len, ports };
        let addresses = Addresses {
            local: ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().unwrap()).to_vec(),
            announced: vec!["203.0.113.7".parse().unwrap()],
            left_out: vec![],
        };
        let listening = listening.parse().unwrap();
        let name = Label::new("one").unwrap();
        let report = Report {
            role,
            settings: &settings,
            addresses: &addresses,
            packets: (role != Role::Gateway).then_some(&packets),
            name: Some(&name),
            listening,
            kernel: "6.18.0",
            cores: 4,
        };
        report.to_string()
    }
}
