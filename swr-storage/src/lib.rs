#![doc = include_str!("../README.md")]

#[cfg(all(feature = "filesystem", feature = "sqlite", unix))]
pub mod backup;
#[cfg(feature = "bucket")]
pub mod bucket;
#[cfg(any(feature = "bucket", feature = "filesystem"))]
mod claims;
#[cfg(feature = "filesystem")]
pub mod filesystem;
pub mod memory;
mod page_weight;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod upload_sessions;

#[cfg(feature = "bucket")]
pub use bucket::BucketBlobs;
#[cfg(feature = "filesystem")]
pub use filesystem::FilesystemBlobs;
pub use memory::{MemoryBlobs, MemoryManifests};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteGauges, SqliteOptions, SqliteStore};
pub use upload_sessions::{MemorySessions, UploadSessions};
