//! The registry over files and SQLite, through what may happen to them.
#![cfg(all(feature = "filesystem", feature = "sqlite"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

#[cfg(unix)]
mod backup;
mod house;
mod interrupted;
mod scrubbing;
