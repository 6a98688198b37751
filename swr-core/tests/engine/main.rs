//! The engine over memory, scenario by scenario.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod collecting;
mod error_codes;
mod interrupted;
mod manifests;
mod mounting;
mod permissions;
mod pulling;
mod pushing;
mod races;
mod referrers;
mod relaying;
mod removing;
mod scene;
mod scrubbing;
mod uploading;
