//! The console over memory, as browsers see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod house;
mod sessions;
mod surroundings;
