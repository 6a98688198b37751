//! The protocol over a registry in memory: requests in, responses out, without a server between.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod admission;
mod challenges;
mod disconnects;
mod door;
mod endpoints;
mod paging;
mod registry_model;
mod streaming;
mod telling;
