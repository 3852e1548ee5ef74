//! The system's packages that building and testing need: which are missing, why each is wanted, and their installation.
//!
//! A package counts as present when what it is wanted for is there, whoever put it there. Nothing is installed without
//! saying so first; without the right to install, the exact command is printed and the command ends.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::{complete, on_path};

/// One package of Debian or Ubuntu.
pub(crate) struct Need {
    package: &'static str,
    /// Any one of these, a program's name or a file's path, shows that it is here.
    shown_by: &'static [&'static str],
    why: &'static str,
}

impl Need {
    pub(crate) const fn new(package: &'static str, shown_by: &'static [&'static str], why: &'static str) -> Self {
        Self { package, shown_by, why }
    }
}

/// What `cargo build` needs beyond the Rust toolchain.
pub(crate) const BUILD: &[Need] = &[
    Need::new("gcc", &["cc"], "links every program, and compiles the C of aws-lc and liburing"),
    Need::new("libc6-dev", &["/usr/include/stdio.h"], "the C library's headers, for the same"),
    Need::new("git", &["git"], "glommio's build script calls it"),
];

/// What the tests need beyond `BUILD`.
pub(crate) const TEST: &[Need] = &[
    Need::new(
        "libssl-dev",
        &["/usr/include/openssl/ssl.h"],
        "an independent client of the tests does its DTLS with OpenSSL",
    ),
    Need::new("pkg-config", &["pkg-config"], "finds OpenSSL for it"),
    Need::new("chromium", &["chromium"], "publishes and watches in the browser tests"),
    Need::new("firefox-esr", &["firefox-esr"], "does the same"),
    Need::new("python3-aiortc", &["/usr/lib/python3/dist-packages/aiortc"], "publishes by WHIP, being no browser"),
    Need::new(
        "python3-gst-1.0",
        &["/usr/lib/python3/dist-packages/gi/overrides/Gst.py"],
        "drives GStreamer, another such",
    ),
    Need::new("gir1.2-gst-plugins-bad-1.0", GST_WEBRTC_TYPES, "tells Python what GStreamer's WebRTC looks like"),
    Need::new("gstreamer1.0-plugins-bad", GST_WEBRTC, "is GStreamer's WebRTC"),
    Need::new("gstreamer1.0-plugins-good", GST_VPX, "encodes VP8 and packs it"),
    Need::new("gstreamer1.0-nice", GST_NICE, "does its ICE"),
];

const GST_WEBRTC_TYPES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/girepository-1.0/GstWebRTC-1.0.typelib",
    "/usr/lib/aarch64-linux-gnu/girepository-1.0/GstWebRTC-1.0.typelib",
];
const GST_WEBRTC: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstwebrtc.so",
    "/usr/lib/aarch64-linux-gnu/gstreamer-1.0/libgstwebrtc.so",
];
const GST_VPX: &[&str] =
    &["/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstvpx.so", "/usr/lib/aarch64-linux-gnu/gstreamer-1.0/libgstvpx.so"];
const GST_NICE: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstnice.so",
    "/usr/lib/aarch64-linux-gnu/gstreamer-1.0/libgstnice.so",
];

/// Installs what is missing, after saying what and why.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !is_here(need)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("This machine lacks:");
    for need in &missing {
        println!("  {:<14} {}", need.package, need.why);
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !on_path("apt-get") {
        bail!("there is no apt-get here; install what carries these names in Debian: {}", names.join(" "));
    }
    let Some(prefix) = right_to_install() else {
        bail!(
            "no right to install; run: apt-get update && apt-get install --no-install-recommends {}",
            names.join(" ")
        );
    };
    println!("Installing with apt-get: {}", names.join(" "));
    // One list that cannot be fetched need not concern the packages we want: the installation decides.
    if complete(&mut apt_get(prefix, &["update", "-qq"])).is_err() {
        println!("apt-get update had trouble; trying with what it has");
    }
    let mut install = apt_get(prefix, &["install", "-qq", "-y", "--no-install-recommends"]);
    // What goes wrong is on standard error; the rest is a page of unpacking for each package.
    complete(install.args(&names).stdout(Stdio::null()))
}

fn is_here(need: &Need) -> bool {
    need.shown_by.iter().any(|mark| if mark.starts_with('/') { Path::new(mark).exists() } else { on_path(mark) })
}

/// What goes before `apt-get`: nothing for root, `sudo` where there is one.
fn right_to_install() -> Option<&'static [&'static str]> {
    let identity = Command::new("id").arg("-u").output().ok()?;
    if identity.stdout.trim_ascii() == b"0" {
        Some(&[])
    } else if on_path("sudo") {
        Some(&["sudo"])
    } else {
        None
    }
}

fn apt_get(prefix: &[&str], arguments: &[&str]) -> Command {
    // `env` carries the variable through sudo, which drops the caller's.
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", LOCK_WAIT];
    let mut line = prefix.iter().chain(&words).chain(arguments);
    let mut command = Command::new(line.next().unwrap_or(&"env"));
    command.args(line);
    command
}

/// Another installation may be under way: wait for it this long.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=120";
