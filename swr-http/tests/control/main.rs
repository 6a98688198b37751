//! The management protocol and the tokens over a deployment in memory: signed requests in, responses out, without a
//! server between.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod administration;
mod aging;
mod authentication;
mod faults;
mod house;
mod lists;
#[cfg(feature = "axum")]
mod mounting;
mod operations;
mod package;
mod packages;
mod refused;
mod tokens;
mod trail;
mod triggers;
mod usage;
