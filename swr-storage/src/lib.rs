#![doc = include_str!("../README.md")]

pub mod memory;
mod page_weight;
pub mod upload_sessions;

pub use memory::{MemoryBlobs, MemoryManifests};
pub use upload_sessions::{MemorySessions, UploadSessions};
