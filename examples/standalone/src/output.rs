//! How what was asked for is printed, on standard output.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use serde_json::Value;
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

/// A part of an answer of the management protocol: as it is for scripts, and some of it for people.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Told {
    value: Value,
    #[serde(skip)]
    fields: Fields,
}

/// What people are shown of an answer.
pub(crate) type Fields = fn(&Value) -> Vec<(&'static str, String)>;

impl Told {
    pub(crate) fn new(value: Value, fields: Fields) -> Self {
        Self { value, fields }
    }

    /// Each of a list.
    pub(crate) fn each(values: Vec<Value>, fields: Fields) -> Vec<Self> {
        values.into_iter().map(|value| Self::new(value, fields)).collect()
    }
}

impl Shown for Told {
    fn fields(&self) -> Vec<(&'static str, String)> {
        (self.fields)(&self.value)
    }
}

/// A part of an answer as people read it; nothing where it is not there.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(whether) => yes_or_no(*whether),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(crate) fn yes_or_no(whether: bool) -> String {
    if whether { "yes" } else { "no" }.to_owned()
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

/// Prints what is a document for everybody.
pub(crate) fn document(value: &Value) -> Result<(), String> {
    print(|out| json(out, value))
}

/// Prints lines as they are.
pub(crate) fn lines(lines: &[String]) -> Result<(), String> {
    print(|out| lines.iter().try_for_each(|line| writeln!(out, "{}", harmless(line))))
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
