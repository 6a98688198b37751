//! What a scrub finds among files that something happened to.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use swr_auth::AnyoneMay;
use swr_core::caller::{Caller, Task};
use swr_core::commit::StoredBlob;
use swr_core::digest::{Algorithm, Digest};
use swr_core::ports::{StoreErrorKind, UploadStore as _};
use swr_core::registry::{Finding, Limits, ScrubCursor, Unpaced};
use swr_core::testing::ManualClock;
use swr_core::testing::minute;
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::scrubbing::{scrub, whatever_befalls_content_is_found_and_a_push_heals_it};
use swr_core::upload::{Upload, UploadId};
use swr_core::{Error, Registry};
use swr_storage::FilesystemBlobs;
use swr_storage::sqlite::SqliteStore;
use tempfile::TempDir;

use crate::house::{access, app, bytes_in, pull_blob, push_of};

struct House {
    folder: TempDir,
    blobs: Arc<FilesystemBlobs>,
    clock: Arc<ManualClock>,
    registry: Registry,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(bytes_in(folder.path()));
        let facts = SqliteStore::open(folder.path().join("registry.db")).await.unwrap();
        let clock = Arc::new(ManualClock::at(minute(0)));
        let registry = Registry::builder(Arc::clone(&blobs), Arc::new(facts), Arc::new(AnyoneMay))
            .clock(Arc::clone(&clock) as _)
            .limits(Limits { link_hold: TimeDelta::days(30), ..Limits::default() })
            .build();
        Self { folder, blobs, clock, registry }
    }

    async fn push(&self, bytes: &Bytes) -> StoredBlob {
        let digest = Algorithm::Sha256.digest(bytes);
        access(&self.registry).push_blob(&app(), &digest, bytes.clone().into()).await.unwrap()
    }

    async fn pull(&self, digest: &Digest) -> Result<Bytes, Error> {
        pull_blob(&self.registry, digest).await
    }

    fn file(&self, blob: &StoredBlob) -> PathBuf {
        self.folder.path().join("bytes/blobs").join(blob.location.as_str())
    }

    async fn scrub(&self) -> Vec<Finding> {
        scrub(&self.registry).await
    }
}

/// Bytes that are no others'.
fn content(seed: usize, length: usize) -> Bytes {
    (0..length).map(|at| (at.wrapping_mul(31) ^ seed.wrapping_mul(7919) ^ (at >> 8)) as u8).collect()
}

#[tokio::test]
async fn whatever_befalls_a_file_is_found_and_a_push_heals_it() {
    let house = House::new().await;
    whatever_befalls_content_is_found_and_a_push_heals_it(&house.registry, async |blob, bytes| match bytes {
        Some(bytes) => fs::write(house.file(blob), bytes).unwrap(),
        None => fs::remove_file(house.file(blob)).unwrap(),
    })
    .await;
}

#[tokio::test]
async fn a_store_that_lacks_most_of_what_it_should_have_is_not_believed() {
    let house = House::new().await;
    let mut all = Vec::new();
    for seed in 0..15 {
        all.push(house.push(&content(seed, 1000)).await);
    }
    let elsewhere = house.folder.path().join("elsewhere");
    let scrub = async || house.registry.caretaker(Task::Scrub).scrub(&ScrubCursor::default(), &Unpaced).await;
    let hide = |blob: &StoredBlob| {
        fs::create_dir_all(&elsewhere).unwrap();
        fs::rename(house.file(blob), elsewhere.join(blob.digest.hex())).unwrap();
    };
    all[..8].iter().for_each(hide);
    let refused = scrub().await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable, "{refused:?}");
    for blob in &all[..8] {
        fs::rename(elsewhere.join(blob.digest.hex()), house.file(blob)).unwrap();
    }
    for blob in &all {
        house.pull(&blob.digest).await.unwrap();
    }
    // The lease of the one that ended early is over; half of them may get lost.
    house.clock.advance(TimeDelta::hours(1));
    all[..7].iter().for_each(hide);
    assert_eq!(scrub().await.unwrap().unwrap().findings.len(), 7);
}

#[tokio::test]
async fn a_stray_file_goes_when_it_is_old_and_nothing_else_does() {
    let house = House::new().await;
    let kept = house.push(&content(0, 1000)).await;
    let stray = content(1, 1000);
    let upload = Upload {
        id: UploadId::random(),
        repository: app(),
        owner: Caller::Anonymous,
        algorithm: Algorithm::Sha256,
        begun: minute(0),
        offset: 0,
    };
    house.blobs.begin(&upload).await.unwrap();
    house.blobs.append(&upload.id, 0, stray.clone().into(), minute(0)).await.unwrap();
    let stray = house.blobs.finish(&upload.id, &Algorithm::Sha256.digest(&stray)).await.unwrap();
    house.blobs.forget(&upload.id).await.unwrap();
    for blob in [&kept, &stray] {
        File::open(house.file(blob)).unwrap().set_modified(minute(0).into()).unwrap();
    }
    house.clock.advance(TimeDelta::hours(48));
    assert!(house.scrub().await.is_empty());
    house.clock.advance(TimeDelta::seconds(1));
    let found = house.scrub().await;
    assert!(matches!(found.as_slice(), [Finding::Stray { location, .. }] if *location == stray.location));
    house.clock.advance(TimeDelta::seconds(1));
    house.registry.caretaker(Task::Collection).collect().await.unwrap().unwrap();
    assert!(!house.file(&stray).exists() && house.file(&kept).exists());

    // A removal that a power cut took back is made again, though nothing lists it any more.
    fs::write(house.file(&stray), b"back again").unwrap();
    File::open(house.file(&stray)).unwrap().set_modified(minute(0).into()).unwrap();
    assert!(matches!(house.scrub().await.as_slice(), [Finding::Stray { .. }]));
    assert!(!house.file(&stray).exists() && house.file(&kept).exists());
}

#[tokio::test]
async fn a_manifest_whose_bytes_rot_in_the_database_is_told_and_mended_by_a_push() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let image = SampleManifest::image("a").annotated("note", "a very particular note");
    let open = async || {
        let facts = Arc::new(SqliteStore::open(&path).await.unwrap());
        Registry::builder(Arc::new(swr_storage::memory::MemoryBlobs::new()), facts, Arc::new(AnyoneMay))
            .sparse_manifests(true)
            .build()
    };
    let registry = open().await;
    let pushed = async |registry: &Registry| {
        access(registry).push_manifest(&app(), push_of(&image, image.digest())).await.unwrap();
    };
    pushed(&registry).await;
    drop(registry);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let rot = "UPDATE manifest_contents SET bytes = CAST(replace(bytes, 'very', 'Very') AS BLOB)";
    assert_eq!(connection.execute(rot, []).unwrap(), 1);
    drop(connection);

    let registry = open().await;
    let findings = scrub(&registry).await;
    let [Finding::BrokenManifest { repository, digest }] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!((repository, *digest), (&app(), image.digest()));
    pushed(&registry).await;
    let findings = scrub(&registry).await;
    assert!(findings.is_empty(), "{findings:?}");
}
