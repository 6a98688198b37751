//! The users of a control plane over memory: how they show who they are, and what they may do then.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod interrupted;
mod keys;
mod logins;
mod management;
mod rights;
mod scene;
mod sessions;
mod telling;
mod tokens;
