//! What the program says of itself, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Writes the program's log from here on, as text or as one JSON object a line.
pub(crate) fn start(log: &Log) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(&log.level).map_err(|error| format!("log.level: `{}`: {error}", log.level))?;
    let writer = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Text => writer.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => writer.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("log: {error}"))
}
