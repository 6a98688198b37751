#![doc = include_str!("../README.md")]

#[cfg(feature = "filesystem")]
mod claims;
#[cfg(feature = "filesystem")]
pub mod filesystem;
pub mod memory;
mod page_weight;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod upload_sessions;

#[cfg(feature = "filesystem")]
pub use filesystem::FilesystemBlobs;
pub use memory::{MemoryBlobs, MemoryManifests};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteGauges, SqliteOptions, SqliteStore};
pub use upload_sessions::{MemorySessions, UploadSessions};
