#![doc = include_str!("../README.md")]

pub mod memory;

pub use memory::{MemoryBlobs, MemoryManifests};
