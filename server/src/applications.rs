//! Whose tokens the gateway takes: the default application by `secret`, and those of the settings file.
//!
//! Reads the files of key sets, once, at the start: a new key takes a restart. An application named `default` in the
//! settings file takes the place of the one that `secret` is for.

use std::path::Path;

use anyhow::{Context, Result};
use tidewire_core::id::ApplicationId;
use tidewire_gateway::token::{Applications, KeySet, Keys};

use crate::settings::{Application, Settings};

/// Every application with its keys. Fails on the first that cannot be served, and names it.
pub(crate) fn of(settings: &Settings) -> Result<Applications> {
    let has_default = settings.applications.iter().any(|entry| entry.id == ApplicationId::default());
    let mut applications =
        if has_default { Applications::default() } else { Applications::of_secret(settings.secret.bytes()) };
    for entry in &settings.applications {
        keys(entry)
            .and_then(|keys| Ok(applications.add(entry.id.clone(), keys)?))
            .with_context(|| format!("application {}", entry.id))?;
    }
    Ok(applications)
}

fn keys(entry: &Application) -> Result<Keys> {
    let secrets = entry.secret.iter().chain(&entry.secret_previous).map(String::as_bytes);
    let key_set = entry.key_set.as_deref().map(read).transpose()?;
    Ok(Keys::new(secrets, key_set)?)
}

fn read(path: &Path) -> Result<KeySet> {
    let text = std::fs::read_to_string(path).with_context(|| format!("key-set: cannot read {}", path.display()))?;
    KeySet::parse(&text).with_context(|| format!("key-set: {}", path.display()))
}

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
        let applications = of(&settings(file)).unwrap();
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
        let absent = format!("{:#}", of(&settings(&file("/nowhere.jwks".into()))).unwrap_err());
        assert!(absent.starts_with("application bank: key-set: cannot read /nowhere.jwks"), "{absent}");
        // A file that is no key set.
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let wrong = format!("{:#}", of(&settings(&file(manifest))).unwrap_err());
        assert!(wrong.contains("it is no JSON Web Key Set"), "{wrong}");
    }

    fn settings(file: &str) -> Settings {
        let sources = Sources::default().with_toml(Path::new("test.toml"), file).unwrap();
        Settings::read(Role::Everything, &sources, 2, [9; 32]).unwrap()
    }
}
