//! Structured logs on standard error; standard output is for what was asked for.

use tracing_subscriber::EnvFilter;

use crate::settings::{Log, LogFormat};

/// Begins logging. To be called once; a second call changes nothing.
pub(crate) fn begin(log: &Log) {
    // The filter was read once already, when the setting was checked.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_default();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = begun {
        tracing::warn!(%error, "logging had begun already");
    }
}
