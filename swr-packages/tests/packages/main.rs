//! Packages in and out of a registry over memory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod archives;
mod exporting;
mod hostile;
mod importing;
mod interrupted;
mod properties;
mod scene;
