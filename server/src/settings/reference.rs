//! The settings as text: the reference page, and what is in force.

use super::applications;
use super::sources::{Source, Sources};
use super::table::{Setting, Shape, TABLE};

/// The reference page, `docs/reference/settings.md`.
pub(crate) fn markdown() -> String {
    let mut page = String::from(HEAD);
    for setting in TABLE {
        let list = if setting.shape == Shape::List { ", several with commas between" } else { "" };
        page.push_str(&format!(
            "\n## {key}\n\n{help}\n\n- Flag: `--{key} {value}`{list}\n- Environment: `{variable}`\n- Default: {default}\n- Of: {roles}\n",
            key = setting.key,
            help = setting.help,
            value = setting.value,
            variable = setting.variable(),
            default = setting.default,
            roles = roles(setting),
        ));
    }
    page.push_str(APPLICATIONS);
    page
}

fn roles(setting: &Setting) -> String {
    let commands: Vec<_> = setting.roles.iter().map(|role| format!("`{}`", role.command())).collect();
    commands.join(", ")
}

/// Every setting with what holds and where that comes from, one a line.
pub(crate) fn in_force(sources: &Sources) -> String {
    let mut text = String::new();
    for setting in TABLE {
        let given = sources.of(setting);
        let value = match &given {
            Some(_) if setting.shape == Shape::Hidden => "(hidden)",
            Some(given) => &given.text,
            None => setting.default,
        };
        let source = given.as_ref().map_or(&Source::Default, |given| &given.source);
        text.push_str(&format!("{:<14} {value}  ({})\n", setting.key, source.of(setting)));
    }
    for application in sources.applications() {
        let source = sources.path().display();
        text.push_str(&format!("{:<12} {application:?}  (the file {source})\n", applications::KEY));
    }
    text
}

const APPLICATIONS: &str = "
## Applications

`secret` is for tokens that name no application, or `default`. Others have a table each, in the file only:

```toml
[[application]]
id = \"shop\"
secret = \"32 random bytes or more\"
secret-previous = \"still taken, while its application server goes over to the new one\"

[[application]]
id = \"bank\"
key-set = \"bank.jwks\"
```

- `id`: 1 to 64 of the characters A-Z a-z 0-9 . _ - ~
- `secret`, `secret-previous`: verify tokens signed by HS256.
- `key-set`: a file with public keys (JWKS, RFC 7517), RSA of 2048 bits or more for RS256, P-256 for ES256. It is looked at every five seconds and read again when it has changed; one that cannot be used leaves the keys of before in force, and the log says why.

An application has a secret, or a key set, or both. One named `default` takes the place of `secret`.
";

const HEAD: &str = "\
# Settings

Written by `cargo xtask reference` from the registry in `server/src/settings/table.rs`; do not edit.

Every setting can be given by flag, by environment variable, and by its name in a file. A flag goes before the
environment, the environment before the file, the file before the default. An empty environment variable is one that is
not set.

The file is `tidewire.toml` in the working directory, or the one that `--config FILE` names:

```toml
listen = \"0.0.0.0:8443\"
tls = \"self-signed\"
media-ip = [\"192.0.2.7\", \"2001:db8::7\"]
shards = 3
```

Each program takes the settings that are its own, and passes over the others, so that one file may serve a gateway and a media server.
`tidewire settings` shows what is in force, and where each value comes from.
";
