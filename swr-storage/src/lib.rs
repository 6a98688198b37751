#![doc = include_str!("../README.md")]

pub mod memory;
mod page_weight;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod upload_sessions;

pub use memory::{MemoryBlobs, MemoryManifests};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteGauges, SqliteOptions, SqliteStore};
pub use upload_sessions::{MemorySessions, UploadSessions};
