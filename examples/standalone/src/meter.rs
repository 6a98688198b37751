//! How far something has come, on standard error: a line that is written over and over where somebody watches.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is written at most.
const EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Meter {
    /// Whether there is a terminal that moves its cursor, and the line is wanted.
    is_watched: bool,
    written: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(is_wanted: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
        Self { is_watched: is_wanted && !is_dumb && io::stderr().is_terminal(), written: None }
    }

    /// Something has come so far, of what it comes to where that is known.
    pub(crate) fn at(&mut self, what: &str, bytes: u64, of: Option<u64>) {
        let is_soon = self.written.is_some_and(|written| written.elapsed() < EVERY);
        if self.is_watched && !is_soon {
            self.written = Some(Instant::now());
            // Where standard error is gone there is nobody to tell.
            let _ = write!(io::stderr(), "\r{}\x1b[K", line(what, bytes, of));
        }
    }

    /// A line that stays.
    pub(crate) fn tell(&mut self, text: &str) {
        let erase = if self.written.take().is_some() { "\r\x1b[K" } else { "" };
        let _ = writeln!(io::stderr(), "{erase}{}", text.replace(char::is_control, "\u{fffd}"));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.written.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(what: &str, bytes: u64, of: Option<u64>) -> String {
    const WIDTH: u64 = 24;
    let what: String = what.chars().take(32).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let size = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20);
    match of.filter(|of| *of > 0) {
        Some(of) => {
            let part = |of_what: u64| {
                u64::try_from(u128::from(bytes.min(of)) * u128::from(of_what) / u128::from(of))
                    .unwrap_or(of_what)
            };
            let done: String = (0..WIDTH).map(|at| if at < part(WIDTH) { '#' } else { '.' }).collect();
            format!("{what:<32} [{done}] {:>3}% of {}", part(100), size(of))
        }
        None => format!("{what:<32} {}", size(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_something_has_come() {
        let half = line("app.tar", 3 << 19, Some(3 << 20));
        assert_eq!(half, format!("{:<32} [############............]  50% of 3.0 MiB", "app.tar"));
        assert_eq!(line("a\nb", 3 << 19, None), format!("{:<32} 1.5 MiB", "a\u{fffd}b"));
        assert!(line("more than it was said to be", u64::MAX, Some(1)).contains("100%"));
        assert_eq!(line("nothing", 0, Some(0)), format!("{:<32} 0.0 MiB", "nothing"));
    }
}
