//! The registry of settings.

use super::read::{self, Wrong};
use super::{Draft, Role};

/// One setting, and all that is said about it anywhere.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The flag without its dashes and the key in the file; the environment variable follows from it.
    pub(crate) key: &'static str,
    /// What a value looks like.
    pub(crate) value: &'static str,
    /// What holds when nothing is set, in words.
    pub(crate) default: &'static str,
    pub(crate) shape: Shape,
    /// Who takes it; to the others it is nothing, wherever it stands.
    pub(crate) roles: &'static [Role],
    /// One or more sentences for the operator.
    pub(crate) help: &'static str,
    pub(super) read: fn(&mut Draft, &str) -> Result<(), Wrong>,
}

/// How often a value may be given, and whether it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    /// Separated by commas; the flag may be repeated, the file may have an array.
    List,
    /// Never shown, not even in errors.
    Hidden,
}

impl Setting {
    /// `TIDEWIRE_UDP_PORT` for `udp-port`.
    pub(crate) fn variable(&self) -> String {
        format!("TIDEWIRE_{}", self.key.to_ascii_uppercase().replace('-', "_"))
    }

    pub(crate) fn of(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.key == key)
    }

    /// The settings of a role, in their order.
    pub(crate) fn of_role(role: Role) -> impl Iterator<Item = &'static Self> {
        TABLE.iter().filter(move |setting| setting.roles.contains(&role))
    }
}

const ALL: &[Role] = &[Role::Everything, Role::Gateway, Role::Media];
const SIGNALLING: &[Role] = &[Role::Everything, Role::Gateway];
const FORWARDING: &[Role] = &[Role::Everything, Role::Media];
const APART: &[Role] = &[Role::Gateway, Role::Media];
const MEDIA: &[Role] = &[Role::Media];

/// Every setting, in the order of the reference page.
pub(crate) const TABLE: &[Setting] = &[
    Setting {
        key: "listen",
        value: "IP:PORT",
        default: "127.0.0.1:8080, and 127.0.0.1:8081 for `tidewire media`",
        shape: Shape::One,
        roles: ALL,
        help: "Where the page, WHIP, WHEP, health and metrics are served; of a media server health and metrics alone. Port 0 \
               takes any that is free.",
        read: read::listen,
    },
    Setting {
        key: "media-ip",
        value: "IP",
        default: "every local address",
        shape: Shape::List,
        roles: FORWARDING,
        help: "Local addresses that media is sent from and received on. By default every local address, loopback \
               included, IPv6 link-local excluded.",
        read: read::media_ips,
    },
    Setting {
        key: "announce-ip",
        value: "IP",
        default: "none",
        shape: Shape::List,
        roles: FORWARDING,
        help: "Addresses to announce to clients beside the media addresses: the public address of a NAT that hands the \
               media ports on, one to one.",
        read: read::announce_ips,
    },
    Setting {
        key: "udp-port",
        value: "PORT",
        default: "10000",
        shape: Shape::One,
        roles: FORWARDING,
        help: "The media port of the first shard; each further shard has the next. 0 takes any that are free.",
        read: read::udp_port,
    },
    Setting {
        key: "shards",
        value: "NUMBER",
        default: "cores - 1, at least 1",
        shape: Shape::One,
        roles: FORWARDING,
        help: "Threads that forward media, each on a core of its own.",
        read: read::shards,
    },
    Setting {
        key: "io",
        value: "auto|uring|epoll",
        default: "auto",
        shape: Shape::One,
        roles: FORWARDING,
        help: "How packets are moved. auto takes io_uring where it works, and epoll, which is slower, where it does not.",
        read: read::io,
    },
    Setting {
        key: "driver",
        value: "auto|executor|plain",
        default: "auto",
        shape: Shape::One,
        roles: FORWARDING,
        help: "What turns a shard: a glommio executor, which needs io_uring whatever io says, or a plain thread. auto takes \
               the executor where io is uring and it works.",
        read: read::driver,
    },
    Setting {
        key: "dtls",
        value: "1.2|1.3",
        default: "1.2",
        shape: Shape::One,
        roles: FORWARDING,
        help: "The newest DTLS version that clients may use. With 1.3 the client chooses the cipher of its media, which in \
               Chromium is AES-CM: sealing a packet then costs about four times as much as with AES-GCM.",
        read: read::dtls,
    },
    Setting {
        key: "spin-us",
        value: "MICROSECONDS",
        default: "0",
        shape: Shape::One,
        roles: FORWARDING,
        help: "How long a shard that has nothing to do looks for packets before it sleeps. More than 0 trades an idle core \
               for some microseconds of delay. It looks only while at least a quarter of the last pauses were shorter than \
               this.",
        read: read::spin,
    },
    Setting {
        key: "trains",
        value: "on|off",
        default: "on",
        shape: Shape::One,
        roles: FORWARDING,
        help: "Whether the kernel is handed, and hands over, several datagrams of one client as one message (UDP_SEGMENT, \
               UDP_GRO). off makes forwarding two to three times as dear; it is there to find the fault of a network device.",
        read: read::trains,
    },
    Setting {
        key: "connected-sockets",
        value: "NUMBER",
        default: "128",
        shape: Shape::One,
        roles: FORWARDING,
        help: "How many viewers of a shard may have a socket of their own, connected to them, over io_uring, which makes sending \
               cheaper. Those sockets send from the shard's own address and port and receive nothing. Each takes 3 kB of the \
               kernel's memory; all other viewers share the shard's socket, as everybody does with 0. More than the default \
               can pay where packets leave by a network device and caches are large.",
        read: read::connected_sockets,
    },
    Setting {
        key: "loudest",
        value: "NUMBER",
        default: "0",
        shape: Shape::One,
        roles: FORWARDING,
        help: "How many audio tracks of a channel are forwarded at a time: those that are loudest by what their publishers say \
               (RFC 6464). The others are to their viewers as if nobody spoke. 0 forwards all of them. A track whose publisher \
               does not say how loud it is is always forwarded, beside this number.",
        read: read::loudest,
    },
    Setting {
        key: "secret",
        value: "TEXT",
        default: "random, new at each start",
        shape: Shape::Hidden,
        roles: SIGNALLING,
        help: "What signs and verifies tokens (HS256). Should be at least 32 random bytes. Other users of the machine see \
               flags, so prefer the environment or the file.",
        read: read::secret,
    },
    Setting {
        key: "tls",
        value: "off|self-signed",
        default: "off, unless tls-cert is set",
        shape: Shape::One,
        roles: SIGNALLING,
        help: "self-signed serves HTTPS with a certificate made at the start. Browsers warn of it, and then let a page on \
               another machine use camera and microphone.",
        read: read::tls,
    },
    Setting {
        key: "tls-cert",
        value: "FILE",
        default: "none",
        shape: Shape::One,
        roles: SIGNALLING,
        help: "Serve HTTPS with this certificate chain (PEM). Needs tls-key.",
        read: read::certificate,
    },
    Setting {
        key: "tls-key",
        value: "FILE",
        default: "none",
        shape: Shape::One,
        roles: SIGNALLING,
        help: "The private key of tls-cert (PEM).",
        read: read::key,
    },
    Setting {
        key: "gateway-url",
        value: "URL",
        default: "none",
        shape: Shape::One,
        roles: MEDIA,
        help: "The gateway that a media server works for, as in wss://gateway.example or ws://127.0.0.1:8080. The link goes \
               from the media server to the gateway. ws is not encrypted: for one machine, or a network of your own.",
        read: read::gateway_url,
    },
    Setting {
        key: "cluster-secret",
        value: "TEXT",
        default: "none",
        shape: Shape::Hidden,
        roles: APART,
        help: "What media servers show the gateway that they belong to it: the same text for both, at least 32 bytes, another \
               than secret. Without it a gateway takes no media servers and a media server does not start. Other users of \
               the machine see flags, so prefer the environment or the file.",
        read: read::cluster_secret,
    },
    Setting {
        key: "media-name",
        value: "TEXT",
        default: "the host's name",
        shape: Shape::One,
        roles: MEDIA,
        help: "The name of this media server. Each media server of a gateway needs one of its own.",
        read: read::media_name,
    },
    Setting {
        key: "region",
        value: "TEXT",
        default: "none",
        shape: Shape::One,
        roles: MEDIA,
        help: "Where this media server stands, in words of your choice; the gateway is told.",
        read: read::region,
    },
    Setting {
        key: "drain-s",
        value: "SECONDS",
        default: "0",
        shape: Shape::One,
        roles: MEDIA,
        help: "How long a media server that is told to end waits for its connections to end by themselves. It takes no new \
               channels meanwhile. A second signal ends it at once.",
        read: read::drain,
    },
    Setting {
        key: "log",
        value: "FILTER",
        default: "info",
        shape: Shape::One,
        roles: ALL,
        help: "What is logged: error, warn, info, debug or trace, also by module, as in `warn,tidewire_net=debug`.",
        read: read::log,
    },
    Setting {
        key: "log-format",
        value: "text|json",
        default: "text",
        shape: Shape::One,
        roles: ALL,
        help: "How log lines are written to standard error.",
        read: read::log_format,
    },
];
