//! What was read since the last write, of what is read most.

use std::hash::Hash;

use swr_core::RepositoryName;
use swr_core::digest::Digest;
use swr_core::manifest::StoredManifest;
use swr_core::ports::{LinkedBlob, StoreError, WithBytes};
use swr_core::reference::Reference;
use swr_core::remembered::Remembered;

/// As many manifests are remembered, and as many blobs.
const MOST: usize = 1024;

/// No larger manifest is remembered, in bytes.
const MANIFEST_MAX: u64 = 8 << 10;

/// Answers in place of statements that would find the same. `settled` is always
/// [`WriterState::settled`](super::connections::WriterState::settled), from before the question.
#[derive(Debug)]
pub(super) struct Recent {
    manifests: Remembered<(RepositoryName, Reference, WithBytes), StoredManifest>,
    blobs: Remembered<(RepositoryName, Digest), LinkedBlob>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { manifests: Remembered::new(MOST), blobs: Remembered::new(MOST) }
    }

    pub(super) fn manifest(
        &self,
        settled: Option<u64>,
        asked: (RepositoryName, Reference, WithBytes),
        read: impl FnOnce() -> Result<Option<StoredManifest>, StoreError>,
    ) -> Result<Option<StoredManifest>, StoreError> {
        found(&self.manifests, settled, asked, read, |manifest| manifest.size <= MANIFEST_MAX)
    }

    pub(super) fn blob(
        &self,
        settled: Option<u64>,
        asked: (RepositoryName, Digest),
        read: impl FnOnce() -> Result<Option<LinkedBlob>, StoreError>,
    ) -> Result<Option<LinkedBlob>, StoreError> {
        found(&self.blobs, settled, asked, read, |_| true)
    }
}

/// What is remembered, or else what `read` finds. What is not there is not remembered: anybody may ask for that.
fn found<K: Eq + Hash, V: Clone>(
    remembered: &Remembered<K, V>,
    settled: Option<u64>,
    asked: K,
    read: impl FnOnce() -> Result<Option<V>, StoreError>,
    is_small: impl FnOnce(&V) -> bool,
) -> Result<Option<V>, StoreError> {
    if let Some(found) = remembered.get(settled, &asked) {
        return Ok(Some(found));
    }
    let found = read()?;
    if let Some(found) = found.as_ref().filter(|found| is_small(found)) {
        remembered.keep(settled, asked, found.clone());
    }
    Ok(found)
}
