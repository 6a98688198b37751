//! Secrets that are read from standard input: on the command line others could read them.

use std::io::{self, Read as _};

use swr_auth::Secret;

/// The first line, for the flag that asks for it. One that is longer than `bytes_max` is cut, and still longer.
pub(crate) fn secret(flag: &str, bytes_max: usize) -> Result<Secret, String> {
    let mut text = String::new();
    // One that is longer than the longest is refused for its length, and not read to its end.
    let mut input = io::stdin().lock().take(bytes_max as u64 + 3);
    input.read_to_string(&mut text).map_err(|error| format!("{flag}: {error}"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}
