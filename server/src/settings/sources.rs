//! Where settings come from: flags, environment, file. Gives a setting's text and where it was found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SettingsError;
use super::applications::{self, Application};
use super::table::{Setting, TABLE};

/// The file that is read when none is named.
pub(crate) const FILE: &str = "tidewire.toml";

/// A value and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) source: Source,
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Environment,
    File(PathBuf),
    Default,
}

impl Source {
    /// In words, for a setting.
    pub(crate) fn of(&self, setting: &Setting) -> String {
        match self {
            Self::Flag => format!("the flag --{}", setting.key),
            Self::Environment => format!("the environment variable {}", setting.variable()),
            Self::File(path) => format!("the file {}", path.display()),
            Self::Default => "its default".to_owned(),
        }
    }
}

/// All sources of one start.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    flags: BTreeMap<&'static str, Vec<String>>,
    environment: BTreeMap<&'static str, String>,
    file: BTreeMap<&'static str, String>,
    applications: Vec<Application>,
    path: PathBuf,
}

impl Sources {
    /// Takes the flags as they were given, each key with its values, and whatever of the environment is ours.
    pub(crate) fn new(
        flags: impl IntoIterator<Item = (&'static str, Vec<String>)>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        // Other variables may begin as ours do: Kubernetes makes TIDEWIRE_PORT for a service of that name.
        let ours = TABLE.iter().filter_map(|setting| Some((setting.key, environment(&setting.variable())?)));
        // A variable that is empty is how many tools write one that is not set.
        let environment = ours.filter(|(_, text)| !text.is_empty()).collect();
        Self { flags: flags.into_iter().collect(), environment, ..Self::default() }
    }

    /// Adds the settings file. One that was not asked for need not be there.
    pub(crate) fn with_file(self, asked: Option<&Path>) -> Result<Self, SettingsError> {
        let path = asked.unwrap_or(Path::new(FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => self.with_toml(path, &text),
            Err(error) if asked.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(self),
            Err(error) => Err(SettingsError {
                setting: "config".to_owned(),
                origin: path.display().to_string(),
                problem: error.to_string(),
                mend: "Name a file that can be read with --config".to_owned(),
            }),
        }
    }

    /// Adds the text of a settings file.
    pub(crate) fn with_toml(mut self, path: &Path, text: &str) -> Result<Self, SettingsError> {
        let wrong = |setting: &str, problem: String, mend: String| SettingsError {
            setting: setting.to_owned(),
            origin: format!("the file {}", path.display()),
            problem,
            mend,
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            wrong(
                "config",
                format!("it is not TOML: {}", error.to_string().trim_end()),
                "Write lines like udp-port = 10000".to_owned(),
            )
        })?;
        for (key, value) in table {
            if key == applications::KEY {
                self.applications =
                    applications::parse(value).map_err(|(problem, mend)| wrong(&key, problem, mend.to_owned()))?;
                continue;
            }
            let setting =
                Setting::of(&key).ok_or_else(|| wrong(&key, "there is no such setting".to_owned(), nearest(&key)))?;
            let text = as_text(&value).ok_or_else(|| {
                wrong(
                    &key,
                    "it has neither text nor a number nor an array of these".to_owned(),
                    format!("Write {}", setting.value),
                )
            })?;
            self.file.insert(setting.key, text);
        }
        self.path = path.to_owned();
        Ok(self)
    }

    /// What was set for a setting; nothing when its default holds.
    pub(crate) fn of(&self, setting: &Setting) -> Option<Given> {
        let flags = self.flags.get(setting.key).map(|values| (values.join(","), Source::Flag));
        let environment = || self.environment.get(setting.key).map(|text| (text.clone(), Source::Environment));
        let file = || self.file.get(setting.key).map(|text| (text.clone(), Source::File(self.path.clone())));
        flags.or_else(environment).or_else(file).map(|(text, source)| Given { text, source })
    }

    /// The applications of the file, in its order.
    pub(crate) fn applications(&self) -> &[Application] {
        &self.applications
    }

    /// The file that was read, if one was.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was set under a key of the registry.
    pub(crate) fn of_key(&self, key: &str) -> Option<Given> {
        self.of(Setting::of(key)?)
    }

    /// Refuses a value that is right by itself and wrong beside another.
    pub(super) fn conflict(&self, key: &str, problem: String, mend: &str) -> SettingsError {
        let origin = Setting::of(key).map_or_else(String::new, |setting| {
            self.of(setting).map_or(Source::Default, |given| given.source).of(setting)
        });
        SettingsError { setting: key.to_owned(), origin, problem, mend: mend.to_owned() }
    }
}

/// A value of the file as the flag would have it.
fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<_>> = values.iter().map(as_text).collect();
            texts.map(|texts| texts.join(","))
        }
        toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The setting that was probably meant: the one with the longest beginning in common.
fn nearest(key: &str) -> String {
    let common = |other: &str| key.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    match TABLE.iter().map(|setting| (common(setting.key), setting.key)).max_by_key(|(common, _)| *common) {
        Some((1.., meant)) => format!("Did you mean {meant}? `tidewire settings` lists them all"),
        _ => "`tidewire settings` lists them all".to_owned(),
    }
}
