#![doc = include_str!("../README.md")]

// Values.
pub mod caller;
pub mod commit;
pub mod descriptor;
pub mod digest;
pub mod event;
pub mod manifest;
pub mod media_type;
pub mod reference;
pub mod stream;
pub mod upload;

// What the engine needs.
pub mod ports;

pub use swr_policy::{NameError, RepositoryName, Tag};
