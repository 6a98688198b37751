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
use swr_core::ports::{ManifestStore, StoreErrorKind, UploadStore as _};
use swr_core::reference::Reference;
use swr_core::registry::{Finding, Limits, Precondition, ScrubCursor, Unpaced};
use swr_core::testing::ManualClock;
use swr_core::testing::minute;
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::scrubbing::{scrub, whatever_befalls_content_is_found_and_a_push_heals_it};
use swr_core::upload::{Upload, UploadId};
use swr_core::{Error, Registry};
use swr_storage::FilesystemBlobs;
use swr_storage::sqlite::SqliteStore;
use tempfile::TempDir;

use crate::house::{access, app, bytes_in, pull_blob, push_of, tag};

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

/// A registry that something happens to the rows of.
struct Rotting {
    folder: TempDir,
}

impl Rotting {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("registry.db")
    }

    async fn open(&self) -> (Registry, Arc<SqliteStore>) {
        let facts = Arc::new(SqliteStore::open(self.database()).await.unwrap());
        let manifests: Arc<dyn ManifestStore> = Arc::clone(&facts) as _;
        let bytes = Arc::new(bytes_in(self.folder.path()));
        let registry = Registry::builder(bytes, manifests, Arc::new(AnyoneMay)).sparse_manifests(true);
        (registry.build(), facts)
    }

    /// While nobody has it open.
    fn rot(&self, table: &str, how: &str, digest: &Digest) {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let rot = format!("UPDATE {table} SET {how} WHERE digest = unhex(?1)");
        assert_eq!(connection.execute(&rot, [format!("01{}", digest.hex())]).unwrap(), 1, "{rot}");
    }
}

/// What makes another digest of one.
const ANOTHER: &str = "digest = CAST(substr(digest, 1, 32) || X'00' AS BLOB)";

/// What leaves no digest.
const NONE: &str = "digest = CAST(X'07' || substr(digest, 2) AS BLOB)";

async fn push(registry: &Registry, bytes: &Bytes) -> Digest {
    let digest = Algorithm::Sha256.digest(bytes);
    access(registry).push_blob(&app(), &digest, bytes.clone().into()).await.unwrap();
    digest
}

fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(Finding::kind).collect()
}

/// Of the record, and of the link to it. What names only what is not there the database itself tells.
#[tokio::test]
async fn a_row_of_content_that_rots_is_found_and_a_push_heals_it() {
    let elsewhere = "location = substr(location, 1, 80) || char(unicode(substr(location, 81)) + 1)
                     || substr(location, 82)";
    for (table, how, expected) in [
        ("blobs", "size = size - 1", ["quarantined"].as_slice()),
        ("blobs", "size = size + (1 << 40)", &["quarantined"]),
        ("blobs", "size = -size", &["quarantined"]),
        ("blobs", elsewhere, &["quarantined"]),
        ("blobs", "location = '~' || substr(location, 2)", &["quarantined"]),
        ("blobs", "quarantined = 1", &["unhealed"]),
        ("blobs", ANOTHER, &["quarantined", "dangling"]),
        ("blobs", NONE, &["fault", "dangling"]),
        ("links", ANOTHER, &["dangling"]),
    ] {
        let rotting = Rotting::new();
        let (registry, facts) = rotting.open().await;
        let (bytes, other_bytes) = (content(1, 1000), content(2, 1000));
        let (digest, other) = (push(&registry, &bytes).await, push(&registry, &other_bytes).await);
        drop((registry, facts));
        rotting.rot(table, how, &digest);

        let (registry, facts) = rotting.open().await;
        let mut found = kinds(&scrub(&registry).await);
        found.extend(facts.check().await.unwrap().iter().map(|_| "dangling"));
        assert_eq!(found, expected, "{how}");
        let pulled = pull_blob(&registry, &digest).await;
        assert!(matches!(pulled, Err(Error::BlobUnknown { .. })), "{how}: {pulled:?}");
        push(&registry, &bytes).await;
        for (digest, bytes) in [(digest, bytes), (other, other_bytes)] {
            assert_eq!(pull_blob(&registry, &digest).await.unwrap(), bytes, "{how}");
        }
    }
}

/// Where they come before it, and of manifests all.
#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_other_from_being_looked_at() {
    let rotting = Rotting::new();
    let (registry, facts) = rotting.open().await;
    let mut digests = Vec::new();
    for seed in 0..9 {
        digests.push(push(&registry, &content(seed, 1000)).await);
    }
    let image = SampleManifest::image("a");
    access(&registry).push_manifest(&app(), push_of(&image, tag("v1"))).await.unwrap();
    drop((registry, facts));
    digests.sort();
    rotting.rot("blobs", NONE, &digests[3]);
    rotting.rot("blobs", "size = size + 1", &digests[8]);

    let (registry, _facts) = rotting.open().await;
    let (mut cursor, mut found, mut looked_at) = (ScrubCursor::default(), Vec::new(), (0, 0));
    loop {
        let step = registry.caretaker(Task::Scrub).scrub(&cursor, &Unpaced).await.unwrap().unwrap();
        looked_at = (looked_at.0 + step.blobs, looked_at.1 + step.manifests);
        found.extend(kinds(&step.findings));
        match step.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(looked_at, (8, 1));
    assert_eq!(found, ["quarantined", "fault"]);
}

#[tokio::test]
async fn a_manifest_whose_row_rots_is_told_and_a_push_brings_it_again() {
    let rotting = Rotting::new();
    let (registry, facts) = rotting.open().await;
    let image = SampleManifest::image("a");
    let digest = image.digest();
    let pushed = async |registry: &Registry| {
        access(registry).push_manifest(&app(), push_of(&image, tag("v1"))).await.unwrap();
    };
    pushed(&registry).await;
    drop((registry, facts));
    rotting.rot("manifests", ANOTHER, &digest);

    let (registry, _facts) = rotting.open().await;
    let findings = scrub(&registry).await;
    let [Finding::BrokenManifest { repository, digest: rotten }] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(*repository, app());
    let stat = async |under: Reference| access(&registry).stat_manifest(&app(), &under).await;
    let unknown = stat(Reference::Digest(digest)).await;
    assert!(matches!(unknown, Err(Error::ManifestUnknown { .. })), "{unknown:?}");
    pushed(&registry).await;
    for under in [Reference::Digest(digest), Reference::Tag(tag("v1"))] {
        assert_eq!(stat(under).await.unwrap().digest, digest);
    }
    // What never was nobody pushes: it is told until it is removed.
    access(&registry).remove_manifest(&app(), rotten, Precondition::None).await.unwrap();
    assert!(scrub(&registry).await.is_empty());
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
