//! The program as its operator meets it: started, asked, told to end. Real processes on loopback, on ports of their own.

mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use process::program;

#[test]
fn starts_answers_and_ends_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        assert_eq!(server.get("/healthz").0, StatusCode::OK);
        assert_eq!(server.get("/readyz").0, StatusCode::OK);
        let (status, metrics) = server.get("/metrics");
        assert_eq!(status, StatusCode::OK);
        assert!(metrics.contains("tidewire_discards_total{shard=\"0\",reason=\"stun_malformed\"} 0"), "{metrics}");
        assert_eq!(server.end(signal), Some(0));
    }
}

#[test]
fn a_shard_that_has_run_tells_its_longest_turn() {
    let server = Server::start(&["--shards", "1"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    // The first turn is that of the start; it is published when the shard goes to sleep.
    while server.measure("turn_nanoseconds_max").is_none_or(|nanos| nanos == 0) {
        assert!(Instant::now() < deadline, "no turn was told of");
        std::thread::yield_now();
    }
    assert!(server.measure("shard_turn_stalls_total").is_some());
    assert!(server.measure("sleep_overshoot_nanoseconds_max").is_some());
}

#[test]
fn client_that_says_nothing_does_not_hold_up_the_end() {
    let mut server = Server::start(&[]);
    let _silent = TcpStream::connect(&server.address).expect("the server accepts");
    assert_eq!(server.end("TERM"), Some(0));
}

#[test]
fn report_names_the_page_first_and_what_moves_packets() {
    let server = Server::start(&["--io", "epoll", "--shards", "2"]);
    let page = format!("  page       http://{}/", server.address);
    assert_eq!(server.report.lines().nth(1), Some(page.as_str()), "{}", server.report);
    assert!(server.report.contains("  shards     2 on "), "{}", server.report);
    assert!(server.report.contains("epoll on "), "{}", server.report);
}

#[test]
fn token_is_printed_alone_and_opens_its_channel_only() {
    let secret = "a secret of thirty-two bytes, no less";
    let server = Server::start(&["--secret", secret]);
    let output = tidewire(&["token", "--secret", secret, "--channel", "demo"]);
    let token = String::from_utf8(output.stdout).expect("a token is text");
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!((token.lines().count(), token.matches('.').count()), (1, 2), "{token}");

    let watch = |channel| {
        server.ask("POST", &format!("/whep/{channel}"), &format!("Authorization: Bearer {}\r\n", token.trim()))
    };
    assert_eq!(watch("demo").0, StatusCode::UNSUPPORTED_MEDIA_TYPE, "the token is good, the body is not");
    assert_eq!(watch("other").0, StatusCode::FORBIDDEN);
}

#[test]
fn application_of_the_settings_file_has_its_own_tokens() {
    let directory = std::env::temp_dir().join(format!("tidewire-applications-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the directory for temporary files takes one");
    let file = directory.join("tidewire.toml");
    std::fs::write(&file, "[[application]]\nid = 'shop'\nsecret = 'of the shop alone'\n").expect("a file is written");
    let config = ["--config", file.to_str().expect("the path is text")];
    let server = Server::start(&config);

    let token = |more: &[&str]| {
        let output = tidewire(&[&["token", "--channel", "demo", "--user", "alice"], more].concat());
        String::from_utf8(output.stdout).expect("a token is text")
    };
    let status =
        |token: String| server.ask("POST", "/whep/demo", &format!("Authorization: Bearer {}\r\n", token.trim())).0;
    let of_shop = token(&["--application", "shop", config[0], config[1]]);
    assert_eq!(status(of_shop), StatusCode::UNSUPPORTED_MEDIA_TYPE, "the token is good, the body is not");
    assert_eq!(
        status(token(&["--secret", "of the shop alone"])),
        StatusCode::UNAUTHORIZED,
        "another application's secret"
    );
    std::fs::remove_dir_all(&directory).expect("what was written can be removed");
}

#[test]
fn what_cannot_start_says_why_and_how_to_mend_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("a listener has an address").to_string();
    for (arguments, reason) in [
        (
            &["--udp-port", "x"][..],
            "udp-port (the flag --udp-port): \"x\" is not a port. Write a number from 0 to 65535.",
        ),
        (&["--listen", &address], "choose another address with --listen"),
        (&["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key", "--listen", "127.0.0.1:0"], "tls-cert"),
        (
            &["--listen", "127.0.0.1:0", "--udp-port", "0", "--media-ip", "203.0.113.1"],
            "other addresses with --media-ip",
        ),
        (&["--config", "/nowhere.toml"], "Name a file that can be read with --config."),
        (&["token", "--channel", "demo"], "--secret, TIDEWIRE_SECRET or tidewire.toml"),
    ] {
        let output = tidewire(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        assert!(said.lines().last().is_some_and(|line| line.contains(reason)), "{said}");
    }
}

/// A running program, ended when dropped.
struct Server {
    child: Child,
    address: String,
    report: String,
}

impl Server {
    /// Starts it on free ports of loopback and waits for its report.
    fn start(arguments: &[&str]) -> Self {
        let ports = ["--listen", "127.0.0.1:0", "--media-ip", "127.0.0.1", "--udp-port", "0"];
        let mut command = program();
        command.args(ports).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        let mut report = String::new();
        // The last line of the report; end of file if it ends before.
        while !report.contains("  tokens ") {
            let line = lines.next().expect("the program reports before it ends").expect("a report is text");
            report.push_str(&line);
            report.push('\n');
        }
        let (_, page) = report.split_once("://").expect("a report names the page");
        let address = page.split('/').next().unwrap_or_default().to_owned();
        Self { child, address, report }
    }

    fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask("GET", path, "")
    }

    /// The first shard's value of this metric.
    fn measure(&self, name: &str) -> Option<u64> {
        let (_, page) = self.get("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("tidewire_{name}{{shard=\"0\"}} ")));
        line?.trim().parse().ok()
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> (StatusCode, String) {
        let mut stream = TcpStream::connect(&self.address).expect("the server accepts");
        let host = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n{headers}Connection: close\r\n\r\n"
        )
        .expect("the server reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("the server answers");
        let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a response has a status"), response)
    }

    /// Sends a signal; gives the exit code.
    fn end(&mut self, signal: &str) -> Option<i32> {
        process::end(&mut self.child, signal)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn tidewire(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}
