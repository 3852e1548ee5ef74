//! Whose tokens the gateway takes: the default application by `secret`, and those of the settings file.
//!
//! Reads the files of key sets, at the start and whenever one has changed since: an application server exchanges its keys
//! without a word to anybody. Invariant: what was once read stays in force until there is something better. An
//! application named `default` in the settings file takes the place of the one that `secret` is for.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tidewire_core::id::ApplicationId;
use tidewire_gateway::Gateway;
use tidewire_gateway::limits::KEY_SET_LEN_MAX;
use tidewire_gateway::token::{Applications, KeySet, Keys};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::settings::{Application, Settings};

/// Every application, with what of it was read from a file.
#[derive(Debug)]
pub(crate) struct Known {
    /// Those that no file is read for.
    secret: Applications,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    application: Application,
    key_set: Option<KeySet>,
    seen: Option<Stamp>,
}

/// By which a file is told from what it was before: when it was written, and its length.
type Stamp = (SystemTime, u64);

impl Known {
    /// Fails on the first application that cannot be served, and names it.
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let has_default = settings.applications.iter().any(|entry| entry.id == ApplicationId::default());
        let secret =
            if has_default { Applications::default() } else { Applications::of_secret(settings.secret.bytes()) };
        let mut known = Self { secret, entries: Vec::new() };
        for application in &settings.applications {
            let entry = Entry::read(application).with_context(|| format!("application {}", application.id))?;
            known.entries.push(entry);
        }
        known.applications()?;
        Ok(known)
    }

    /// With the keys that were read last.
    pub(crate) fn applications(&self) -> Result<Applications> {
        let mut applications = self.secret.clone();
        for entry in &self.entries {
            let id = &entry.application.id;
            let keys = entry.keys().with_context(|| format!("application {id}"))?;
            applications.add(id.clone(), keys).with_context(|| format!("application {id}"))?;
        }
        Ok(applications)
    }

    /// Tells the gateway of key sets that change, for as long as the program runs.
    pub(crate) async fn follow(mut self, gateway: Gateway) {
        if self.entries.iter().all(|entry| entry.application.key_set.is_none()) {
            return;
        }
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // The file may lie on a disk that takes its time.
            let looked = spawn_blocking(move || {
                let has_changed = self.look();
                (self, has_changed)
            });
            let Ok((known, has_changed)) = looked.await else {
                return tracing::error!("key sets are looked at no more");
            };
            self = known;
            if !has_changed {
                continue;
            }
            match self.applications() {
                Ok(applications) => gateway.verify_by(applications),
                Err(error) => tracing::error!(error = format!("{error:#}"), "the applications stay as they were"),
            }
        }
    }

    /// Reads the files again that have changed. Whether there are other keys now.
    fn look(&mut self) -> bool {
        let mut has_changed = false;
        for entry in &mut self.entries {
            has_changed |= entry.look();
        }
        has_changed
    }
}

impl Entry {
    fn read(application: &Application) -> Result<Self> {
        let path = application.key_set.as_deref();
        // Before it is read: what is written meanwhile is seen at the next look.
        let seen = path.and_then(stamp);
        let key_set = path.map(read).transpose()?;
        Ok(Self { application: application.clone(), key_set, seen })
    }

    fn keys(&self) -> Result<Keys> {
        let secrets = self.application.secret.iter().chain(&self.application.secret_previous).map(String::as_bytes);
        Ok(Keys::new(secrets, self.key_set.clone())?)
    }

    fn look(&mut self) -> bool {
        let Some(path) = self.application.key_set.as_deref() else { return false };
        let now = stamp(path);
        if std::mem::replace(&mut self.seen, now) == now {
            return false;
        }
        let application = self.application.id.as_str();
        match read(path) {
            Ok(key_set) => {
                tracing::info!(application, keys = ?key_set, "its key set has changed");
                self.key_set = Some(key_set);
                true
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    application,
                    error,
                    "its key set has changed and cannot be used: the keys of before stay"
                );
                false
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let of = |metadata: Metadata| metadata.modified().map(|written| (written, metadata.len()));
    std::fs::metadata(path).and_then(of).ok()
}

fn read(path: &Path) -> Result<KeySet> {
    let mut text = String::new();
    let bound = KEY_SET_LEN_MAX as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(bound).read_to_string(&mut text))
        .with_context(|| format!("key-set: cannot read {}", path.display()))?;
    KeySet::parse(&text).with_context(|| format!("key-set: {}", path.display()))
}

/// How often the files are looked at: sooner than an application server that has published a key will sign with it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tidewire_core::id::ChannelName;
    use tidewire_gateway::token::{ChannelClaim, Claims, sign, verify};

    use super::*;
    use crate::settings::{Role, Sources};

    #[test]
    fn each_application_is_known_by_its_own_secrets() {
        let file = "
            secret = 'for whoever names none'
            [[application]]
            id = 'shop'
            secret = 'new'
            secret-previous = 'old'
        ";
        let applications = Known::read(&settings(file)).unwrap().applications().unwrap();
        let takes = |application: &str, secret: &str| {
            let mut claims = Claims::join(ChannelClaim::of(ChannelName::new("a").unwrap()));
            claims.application_id = ApplicationId::new(application).unwrap();
            verify(&applications, &sign(secret.as_bytes(), &claims.lasting(Duration::from_secs(60), 1_000)), 1_000)
                .is_ok()
        };
        assert!(takes("shop", "new") && takes("shop", "old") && takes("default", "for whoever names none"));
        assert!(!takes("default", "new") && !takes("shop", "for whoever names none") && !takes("other", "new"));
    }

    #[test]
    fn key_set_that_cannot_be_used_is_named_with_its_application() {
        let file = |path: PathBuf| format!("[[application]]\nid = 'bank'\nkey-set = '{}'", path.display());
        let absent = format!("{:#}", Known::read(&settings(&file("/nowhere.jwks".into()))).unwrap_err());
        assert!(absent.starts_with("application bank: key-set: cannot read /nowhere.jwks"), "{absent}");
        // A file that is no key set.
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let wrong = format!("{:#}", Known::read(&settings(&file(manifest))).unwrap_err());
        assert!(wrong.contains("it is no JSON Web Key Set"), "{wrong}");
    }

    #[test]
    fn key_set_that_has_changed_is_read_again_and_one_that_is_broken_leaves_the_keys_of_before() {
        let path = std::env::temp_dir().join(format!("tidewire-key-set-{}.jwks", std::process::id()));
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&key_set(&["old"]));
        let file = format!("[[application]]\nid = 'bank'\nkey-set = '{}'", path.display());
        let mut known = Known::read(&settings(&file)).unwrap();
        let keys = |known: &Known| format!("{:?}", known.entries[0].key_set.as_ref().unwrap());
        let count = |known: &Known| format!("{:?}", known.applications().unwrap()).contains("2 public keys");
        assert!(!known.look(), "nothing has changed");
        assert_eq!(keys(&known), r#"[Some("old")]"#);

        write(&key_set(&["old", "next"]));
        assert!(known.look() && !known.look(), "it has changed once");
        assert_eq!(keys(&known), r#"[Some("old"), Some("next")]"#);
        assert!(count(&known));

        for broken in ["{", "{\"keys\": []}", &"x".repeat(KEY_SET_LEN_MAX + 1)] {
            write(broken);
            assert!(!known.look() && count(&known), "{broken:.20}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!known.look() && count(&known), "a file that is gone changes nothing");
        write(&key_set(&["next"]));
        assert!(known.look());
        assert_eq!(keys(&known), r#"[Some("next")]"#);
        std::fs::remove_file(&path).unwrap();
    }

    /// The point of RFC 7517 A.1, under other names.
    fn key_set(names: &[&str]) -> String {
        let key = |name: &&str| {
            format!(
                r#"{{"kty": "EC", "crv": "P-256", "kid": "{name}", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}"#
            )
        };
        format!("{{\"keys\": [{}]}}", names.iter().map(key).collect::<Vec<_>>().join(", "))
    }

    fn settings(file: &str) -> Settings {
        let sources = Sources::default().with_toml(Path::new("test.toml"), file).unwrap();
        Settings::read(Role::Everything, &sources, 2, [9; 32]).unwrap()
    }
}
