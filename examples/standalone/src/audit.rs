//! The audit trail in a file, a JSON object a line: for those who keep it elsewhere, or for longer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::Value;
use swr_core::control::trace::Trace;
use swr_core::planted::is_planted;
use swr_core::ports::{DeliveryError, TraceSink};

/// Appends traces to a file, which is made where there is none and may be moved away at any time. They are on the disk
/// when they are taken. The same line may come twice, after a crash say; its `seq` tells.
#[derive(Debug)]
pub(crate) struct AuditFile(PathBuf);

impl AuditFile {
    /// The name under which it is remembered how far the file goes.
    pub(crate) const NAME: &str = "file";

    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

#[async_trait]
impl TraceSink for AuditFile {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn deliver(&self, traces: &[Trace]) -> Result<(), DeliveryError> {
        let mut lines = Vec::new();
        for trace in traces {
            serde_json::to_writer(&mut lines, &Line::new(trace)).map_err(DeliveryError::new)?;
            lines.push(b'\n');
        }
        let path = self.0.clone();
        let appended = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
        if is_planted("a trail with holes") {
            return Ok(());
        }
        appended.map_err(DeliveryError::new)?.map_err(DeliveryError::new)
    }
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if !ends_with_a_line(&mut file)? {
        // What was torn off comes again, on a line of its own.
        file.write_all(b"\n")?;
    }
    file.write_all(lines)?;
    file.sync_data()
}

fn ends_with_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// A trace as a line has it.
#[derive(Serialize)]
struct Line<'t> {
    /// Greater for what was recorded later.
    seq: u64,
    id: &'t str,
    /// RFC 3339, in UTC.
    time: String,
    operation: &'static str,
    resource_type: &'static str,
    resource_id: &'t str,
    resource_name: &'t str,
    /// The status that it was answered with.
    code: u16,
    /// Why it was refused; empty when it was done.
    reason: &'t str,
    account: &'t str,
    account_id: &'t str,
    /// `null` when it was no user.
    user: Option<&'t str>,
    user_id: Option<&'t str>,
    source: Option<String>,
    request_id: Option<&'t str>,
    /// The method and the path.
    call: Option<&'t str>,
    /// What changed, or was to.
    change: Value,
}

impl<'t> Line<'t> {
    fn new(trace: &'t Trace) -> Self {
        let Trace { traced, outcome, origin, user, .. } = trace;
        Self {
            seq: trace.seq,
            id: trace.id.as_str(),
            time: trace.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            operation: traced.operation.trace_name(),
            resource_type: traced.operation.resource_type(),
            resource_id: &traced.resource_id,
            resource_name: &traced.resource_name,
            code: outcome.code,
            reason: &outcome.reason,
            account: trace.account_name.as_str(),
            account_id: trace.account.as_str(),
            user: user.as_ref().map(|(_, name)| name.as_str()),
            user_id: user.as_ref().map(|(id, _)| id.as_str()),
            source: origin.source.map(|source| source.to_string()),
            request_id: origin.request_id.as_deref(),
            call: origin.call.as_deref(),
            change: serde_json::from_str(&traced.change).unwrap_or_default(),
        }
    }
}
