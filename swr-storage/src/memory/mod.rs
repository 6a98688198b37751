//! Stores that forget everything with the process: the model that others are compared with, and what tests
//! and registries of an afternoon stand on. They promise no durability.

mod blobs;
mod collection;
mod manifest_commit;
mod manifests;
#[cfg(feature = "control")]
mod metadata;
#[cfg(feature = "control")]
mod metadata_commit;
#[cfg(feature = "control")]
mod metadata_trail;
#[cfg(feature = "control")]
mod rules;
#[cfg(feature = "control")]
mod syncs;
#[cfg(feature = "control")]
mod triggers;
mod uploads;
#[cfg(feature = "control")]
mod usage;

// Where a schedule is chosen, each lock is a place where it may turn to another thread.
#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

pub use blobs::MemoryBlobs;
pub use manifests::MemoryManifests;
