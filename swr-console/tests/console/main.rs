//! The console over memory, as browsers see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod audit;
mod credentials;
mod house;
mod images;
mod organisations;
mod package;
mod pages;
mod people;
mod sessions;
mod surroundings;
