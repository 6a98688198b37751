//! How what was asked for is printed, on standard output.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use swr_auth::Secret;

/// How it is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// What can be printed, for people and, serialised, for scripts.
pub(crate) trait Shown: Serialize {
    /// What it says: the names of its fields, and their values.
    fn fields(&self) -> Vec<(&'static str, String)>;

    /// Whether a secret is in it that nobody can show again.
    fn once(&self) -> bool {
        false
    }

    /// The line that signs in, which people copy.
    fn login(&self) -> Option<&str> {
        None
    }
}

/// A secret where it is shown on purpose.
pub(crate) fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// Prints one thing.
pub(crate) fn one(format: Format, shown: &impl Shown) -> Result<(), String> {
    print(|out| match format {
        Format::Json => json(out, shown),
        Format::Text => one_for_people(out, shown),
    })
}

/// Prints a list.
pub(crate) fn many(format: Format, shown: &[impl Shown]) -> Result<(), String> {
    print(|out| match format {
        Format::Json => json(out, &shown),
        Format::Text => many_for_people(out, shown),
    })
}

fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), String> {
    let mut out = io::stdout().lock();
    write(&mut out).and_then(|()| out.flush()).map_err(|error| format!("standard output: {error}"))
}

fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(io::Error::other)?;
    writeln!(out)
}

fn one_for_people(out: &mut dyn Write, shown: &impl Shown) -> io::Result<()> {
    if shown.once() {
        writeln!(out, "This is shown once. Keep it.")?;
        writeln!(out)?;
    }
    for (what, text) in shown.fields() {
        writeln!(out, "{what:>18}  {}", harmless(&text))?;
    }
    if let Some(login) = shown.login() {
        writeln!(out)?;
        writeln!(out, "{}", harmless(login))?;
    }
    Ok(())
}

/// A column for each field, as wide as the longest text in it; the last one ends by itself.
fn many_for_people(out: &mut dyn Write, shown: &[impl Shown]) -> io::Result<()> {
    let rows: Vec<_> = shown.iter().map(Shown::fields).collect();
    let Some(first) = rows.first() else { return Ok(()) };
    let head: Vec<_> = first.iter().map(|(what, _)| (*what).to_owned()).collect();
    let texts = rows.iter().map(|row| row.iter().map(|(_, text)| harmless(text)).collect::<Vec<_>>());
    let lines: Vec<_> = std::iter::once(head).chain(texts).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..first.len()).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A text that moves no cursor: somebody else may have written it.
fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
