//! The contracts of the ports, as tests for whoever implements one; and what tests of a registry need.
//!
//! A clause of a contract is a function whose name is the law it holds. The suites stamp a test for each:
//!
//! ```
//! mod manifests {
//!     swr_core::manifest_store_suite!({ OwnStore::in_memory().await });
//! }
//! ```
//!
//! The block opens a store that is new and empty. Where what is kept outlives the store, a place comes before
//! it, which is made once for each test; the block may then be evaluated several times, and each time opens
//! what is kept there:
//!
//! ```
//! mod uploads {
//!     swr_core::upload_store_suite!(folder = { tempfile::tempdir().unwrap() }, {
//!         OwnBytes::open(folder.path()).await
//!     });
//! }
//! ```
//!
//! The tests are `#[tokio::test]`s: the crate that stamps them has `tokio` among its development dependencies,
//! with the features `macros` and `rt-multi-thread`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a clause fails by panicking")]

pub mod blob_store;
pub mod history;
pub mod manifest_store;
mod manual_clock;
#[cfg(feature = "control")]
pub mod metadata_history;
#[cfg(feature = "control")]
pub mod metadata_store;
mod recording_sink;
pub mod registry_model;
pub mod sample_images;
pub mod scrubbing;
pub mod stepping;
pub mod upload_store;

pub use manual_clock::ManualClock;
pub use recording_sink::RecordingSink;

use chrono::{DateTime, TimeDelta, Utc};

/// The start of the minute, counted from the beginning of 2026.
pub fn minute(count: i64) -> DateTime<Utc> {
    let beginning = DateTime::from_timestamp_secs(1_767_225_600).expect("a time of this century");
    beginning + TimeDelta::minutes(count)
}

/// Stamps a test for every clause of the [`BlobStore`](crate::ports::BlobStore) contract. The store is an
/// [`UploadStore`](crate::ports::UploadStore) as well: that is how content comes to it.
#[macro_export]
macro_rules! blob_store_suite {
    ($($opening:tt)*) => { $crate::blob_store_clauses!($crate::stamp_suite, $($opening)*); };
}

/// Stamps a test for every clause of the [`UploadStore`](crate::ports::UploadStore) contract. The store is a
/// [`BlobStore`](crate::ports::BlobStore) as well: that is where finished content is looked for.
#[macro_export]
macro_rules! upload_store_suite {
    ($($opening:tt)*) => { $crate::upload_store_clauses!($crate::stamp_suite, $($opening)*); };
}

/// Stamps a test for every clause of the [`ManifestStore`](crate::ports::ManifestStore) contract.
#[macro_export]
macro_rules! manifest_store_suite {
    ($($opening:tt)*) => { $crate::manifest_store_clauses!($crate::stamp_suite, $($opening)*); };
}

/// Stamps a test for every clause of the [`MetadataStore`](crate::ports::MetadataStore) contract (feature
/// `control`).
#[cfg(feature = "control")]
#[macro_export]
macro_rules! metadata_store_suite {
    ($($opening:tt)*) => { $crate::metadata_store_clauses!($crate::stamp_suite, $($opening)*); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! stamp_suite {
    // A store that keeps nothing beyond itself.
    ($suite:path, [$($clause:ident)*], [$($lasting:ident)*], $open:block) => {
        $($crate::stamp_suite!(@clause $suite, $clause, [], $open);)*
    };
    // A store that is opened at a place, and opened again.
    ($suite:path, [$($clause:ident)*], [$($lasting:ident)*], $place:ident = $make:block, $open:block) => {
        $($crate::stamp_suite!(@clause $suite, $clause, [$place = $make], $open);)*
        $($crate::stamp_suite!(@lasting $suite, $lasting, [$place = $make], $open);)*
    };
    (@clause $suite:path, $clause:ident, [$($place:ident = $make:block)?], $open:block) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            use $suite as suite;
            $(let $place = $make;)?
            let store = $open;
            suite::$clause(&store).await;
        }
    };
    (@lasting $suite:path, $clause:ident, [$place:ident = $make:block], $open:block) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            use $suite as suite;
            let $place = $make;
            suite::$clause(async || $open).await;
        }
    };
}

#[cfg(test)]
mod tests {
    /// The names of the clauses in these files, and of those that a macro stamps.
    fn assert_all_stamped(files: &[&str], list: &str) {
        let (_, list) = list.split_once("macro_rules!").unwrap();
        let (list, _) = list.split_once("$($opening)*").unwrap();
        let stamped: Vec<&str> = list.split_whitespace().collect();
        for file in files {
            for line in file.lines() {
                let Some(function) = line.strip_prefix("pub async fn ") else { continue };
                let name = function.split(['(', '<']).next().unwrap();
                assert_eq!(stamped.iter().filter(|stamped| **stamped == name).count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn every_clause_is_stamped_once() {
        let blobs = include_str!("blob_store.rs");
        assert_all_stamped(&[blobs], blobs);
        let uploads = include_str!("upload_store.rs");
        assert_all_stamped(&[uploads], uploads);
        let manifests = [
            include_str!("manifest_store/changes.rs"),
            include_str!("manifest_store/collection.rs"),
            include_str!("manifest_store/content.rs"),
            include_str!("manifest_store/holding.rs"),
            include_str!("manifest_store/leases.rs"),
            include_str!("manifest_store/lists.rs"),
            include_str!("manifest_store/log.rs"),
            include_str!("manifest_store/races.rs"),
            include_str!("manifest_store/requirements.rs"),
            include_str!("manifest_store/scrubbing.rs"),
        ];
        assert_all_stamped(&manifests, include_str!("manifest_store/mod.rs"));
        let metadata = [
            include_str!("metadata_store/credentials.rs"),
            include_str!("metadata_store/deliveries.rs"),
            include_str!("metadata_store/grants.rs"),
            include_str!("metadata_store/identity.rs"),
            include_str!("metadata_store/lists.rs"),
            include_str!("metadata_store/organisations.rs"),
            include_str!("metadata_store/races.rs"),
            include_str!("metadata_store/repositories.rs"),
            include_str!("metadata_store/requirements.rs"),
            include_str!("metadata_store/rules.rs"),
            include_str!("metadata_store/shares.rs"),
            include_str!("metadata_store/standing.rs"),
            include_str!("metadata_store/syncs.rs"),
            include_str!("metadata_store/traces.rs"),
            include_str!("metadata_store/triggers.rs"),
            include_str!("metadata_store/usage.rs"),
            include_str!("metadata_store/versions.rs"),
        ];
        assert_all_stamped(&metadata, include_str!("metadata_store/mod.rs"));
    }
}
