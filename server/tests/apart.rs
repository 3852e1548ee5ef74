//! `tidewire gateway` and `tidewire media` as their operator meets them: what they need, what they say, how they end.

mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use process::program;

const CLUSTER_SECRET: &str = "a cluster secret of thirty-two b";

/// A publisher's, of audio.
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\na=setup:actpass\r\na=ice-ufrag:cccc\r\na=ice-pwd:cccccccccccccccccccccccc\r\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n";

#[test]
fn a_media_server_finds_its_gateway_and_either_ends_without_the_other() {
    let gateway = Program::start(&["gateway", "--cluster-secret", CLUSTER_SECRET]);
    assert!(gateway.report.contains("those that have the cluster secret"), "{}", gateway.report);
    let media = Program::media(&gateway, &["--region", "north"]);
    assert!(media.report.contains("  name       one in north\n"), "{}", media.report);
    media.until("it is ready", |media| media.get("/readyz").contains("200 OK"));
    assert!(gateway.get("/metrics").contains("\ntidewire_media_servers_reachable 1\n"));
    assert!(media.get("/metrics").contains("tidewire_rtp_forwarded_total"));
    assert!(!gateway.get("/metrics").contains("tidewire_rtp_forwarded_total"), "a gateway forwards nothing");

    let address = gateway.address.clone();
    assert_eq!(gateway.end(), Some(0));
    media.until("it misses its gateway", |media| media.get("/readyz").contains("503"));
    assert!(media.get("/healthz").contains("200 OK"));
    let gateway = Program::start(&["gateway", "--cluster-secret", CLUSTER_SECRET, "--listen", &address]);
    media.until("it has enlisted anew", |media| media.get("/readyz").contains("200 OK"));
    assert_eq!(media.end(), Some(0));
    gateway.until("the gateway knows", |gateway| gateway.get("/metrics").contains("\ntidewire_media_servers 0\n"));
}

#[test]
fn a_media_server_with_another_secret_is_refused_and_says_so() {
    let gateway = Program::start(&["gateway", "--cluster-secret", CLUSTER_SECRET]);
    let mut media = Program::media(&gateway, &["--cluster-secret", "another secret of thirty-two byt"]);
    let said = media.next_complaint();
    assert!(said.contains("401 Unauthorized") && said.contains("signature"), "{said}");
    assert!(gateway.get("/metrics").contains("\ntidewire_media_servers 0\n"));
}

#[test]
fn a_gateway_without_a_cluster_secret_takes_nobody_and_says_how_to_mend_it() {
    let gateway = Program::start(&["gateway"]);
    assert!(gateway.report.contains("none, since there is no cluster secret: set TIDEWIRE_CLUSTER_SECRET"));
    let mut media = Program::media(&gateway, &[]);
    let said = media.next_complaint();
    assert!(said.contains("403 Forbidden") && said.contains("has no cluster secret"), "{said}");
}

#[test]
fn a_second_media_server_of_the_same_name_is_told_so() {
    let gateway = Program::start(&["gateway", "--cluster-secret", CLUSTER_SECRET]);
    let first = Program::media(&gateway, &[]);
    first.until("it is ready", |media| media.get("/readyz").contains("200 OK"));
    let mut second = Program::media(&gateway, &[]);
    let said = second.next_complaint();
    assert!(said.contains("under the name one") && said.contains("set media-name"), "{said}");
}

#[test]
fn a_media_server_that_drains_waits_for_its_connections_and_not_for_nobody() {
    let gateway = Program::start(&["gateway", "--cluster-secret", CLUSTER_SECRET]);
    let media = Program::media(&gateway, &["--drain-s", "600"]);
    media.until("it is ready", |media| media.get("/readyz").contains("200 OK"));
    assert_eq!(media.end(), Some(0), "it has no connections, so there is nothing to wait for");
}

#[test]
fn a_media_server_that_drains_is_not_ready_for_more() {
    let secret = "an application's secret, 32 bytes";
    let gateway = Program::start(&["gateway", "--cluster-secret", CLUSTER_SECRET, "--secret", secret]);
    let mut media = Program::media(&gateway, &["--drain-s", "600"]);
    media.until("it is ready", |media| media.get("/readyz").contains("200 OK"));
    // A connection for which it waits, as long as nobody connects.
    let token = program().args(["token", "--secret", secret, "--channel", "studio"]).output().expect("it starts");
    let token = String::from_utf8(token.stdout).expect("a token is text");
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/sdp\r\n", token.trim());
    let answer = gateway.send("POST /whip/studio", &headers, OFFER);
    assert!(answer.contains("201 Created"), "{answer}");
    process::signal(&media.child, "TERM");
    media.until("it is told to end", |media| media.get("/readyz").contains("503"));
    assert!(media.get("/healthz").contains("200 OK"));
    assert_eq!(media.child.try_wait().expect("the child is ours"), None, "it waits for the connection");
    assert_eq!(media.end(), Some(0), "a second signal ends the wait");
}

#[test]
fn a_media_server_that_does_not_know_whom_it_works_for_does_not_start() {
    for (arguments, reason) in [
        (&[][..], "gateway-url (its default): a media server needs a gateway to work for."),
        (&["--gateway-url", "http://127.0.0.1:1"], "does not begin with ws:// or wss://"),
        (&["--gateway-url", "ws://127.0.0.1:1"], "cluster-secret (its default): without it no gateway takes"),
        (&["--gateway-url", "ws://127.0.0.1:1", "--cluster-secret", "short"], "openssl rand -hex 32"),
    ] {
        let Output { status, stdout, stderr } =
            program().arg("media").args(arguments).output().expect("the program starts");
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!((status.code(), stdout.len()), (Some(1), 0), "{said}");
        assert!(said.lines().last().is_some_and(|line| line.contains(reason)), "{said}");
        assert!(!said.contains("short\""), "a secret is shown nowhere: {said}");
    }
}

#[test]
fn each_role_has_the_flags_that_are_its_own() {
    let help = |arguments: &[&str]| {
        let output = program().args(arguments).arg("--help").output().expect("the program starts");
        String::from_utf8(output.stdout).expect("help is text")
    };
    let (everything, gateway, media) = (help(&[]), help(&["gateway"]), help(&["media"]));
    let has = |flag: &str| [&everything, &gateway, &media].map(|help| help.contains(flag));
    assert_eq!(has("--listen "), [true, true, true]);
    assert_eq!(has("--udp-port "), [true, false, true]);
    assert_eq!(has("--tls-cert "), [true, true, false]);
    assert_eq!(has("--cluster-secret "), [false, true, true]);
    assert_eq!(has("--gateway-url "), [false, false, true]);
}

/// A running program, killed when dropped.
struct Program {
    child: Child,
    address: String,
    report: String,
}

impl Program {
    /// Starts it on a free port of loopback, unless told otherwise, and waits for its report.
    fn start(arguments: &[&str]) -> Self {
        let mut command = program();
        command.args(arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let mut report = String::new();
        // The last line of a report is about tokens, or about DTLS.
        while !report.contains("  tokens ") && !report.contains("  DTLS ") {
            let line = lines.next().expect("the program reports before it ends").expect("a report is text");
            report = report + &line + "\n";
        }
        let (_, address) = report.split_once("http://").expect("a report names where HTTP is served");
        let address = address.split('/').next().unwrap_or_default().to_owned();
        Self { child, address, report }
    }

    fn media(gateway: &Self, more: &[&str]) -> Self {
        let url = format!("ws://{}", gateway.address);
        let own = ["media", "--gateway-url", &url, "--media-name", "one", "--media-ip", "127.0.0.1", "--udp-port", "0"];
        let secret = ["--cluster-secret", CLUSTER_SECRET];
        let secret = if more.contains(&"--cluster-secret") { &[][..] } else { &secret };
        Self::start(&[&own[..], secret, more].concat())
    }

    fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path}"), "", "")
    }

    /// Sends one request, each of its headers with its line end, and gives the whole response.
    fn send(&self, request: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the program accepts");
        let (host, len) = (&self.address, body.len());
        let head = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len}\r\n");
        write!(stream, "{head}{headers}\r\n{body}").expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("it answers");
        response
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            std::thread::yield_now();
        }
    }

    /// The next warning in its log.
    fn next_complaint(&mut self) -> String {
        let log = BufReader::new(self.child.stderr.as_mut().expect("standard error is piped"));
        let mut lines = log.lines().map(|line| line.expect("a log is text"));
        lines.find(|line| line.contains("WARN")).expect("it warns before it ends")
    }

    /// SIGTERM; gives the exit code.
    fn end(mut self) -> Option<i32> {
        process::end(&mut self.child, "TERM")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
