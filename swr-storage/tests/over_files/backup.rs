//! Backups of a registry that is pushed to and collected meanwhile; and what is restored of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use object_store::memory::InMemory;
use swr_auth::AnyoneMay;
use swr_core::caller::Task;
use swr_core::digest::Algorithm;
use swr_core::registry::{Limits, Precondition};
use swr_core::testing::ManualClock;
use swr_core::testing::minute;
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::scrubbing::scrub;
use swr_core::{Error, Registry};
use swr_storage::backup::{self, BackupError, Copied, Facts, Place};
use swr_storage::filesystem::FilesystemReader;
use swr_storage::sqlite::SqliteStore;
use swr_storage::{BucketBlobs, MemorySessions};
use tempfile::TempDir;

use crate::house::{access, app, bytes_in, pull_blob, push_of, tag};

fn place(folder: &Path) -> Place {
    Place { database: folder.join("registry.db"), bytes: folder.join("bytes") }
}

/// The registry in the folder, in which everything that nothing needs may go at once.
async fn open(folder: &Path, clock: &Arc<ManualClock>) -> Registry {
    let facts = SqliteStore::open(place(folder).database).await.unwrap();
    Registry::builder(Arc::new(bytes_in(folder)), Arc::new(facts), Arc::new(AnyoneMay))
        .clock(Arc::clone(clock) as _)
        .limits(Limits { untagged_keep: Some(TimeDelta::zero()), ..Limits::default() })
        .build()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(minute(0)))
}

async fn push(registry: &Registry, tag: &str) -> SampleManifest {
    let image = SampleManifest::image(tag);
    let access = access(registry);
    loop {
        for blob in image.blobs() {
            access.push_blob(&app(), &blob.digest, blob.bytes.clone().into()).await.unwrap();
        }
        match access.push_manifest(&app(), push_of(&image, self::tag(tag))).await {
            Ok(_) => return image,
            // Days may have passed since its blobs came, where the clock is somebody else's.
            Err(Error::ManifestBlobUnknown(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn remove(registry: &Registry, image: &SampleManifest) {
    access(registry).remove_manifest(&app(), &image.digest(), Precondition::None).await.unwrap();
}

async fn assert_pulls(registry: &Registry, tag: &str, image: &SampleManifest) {
    let pulled = access(registry).pull_manifest(&app(), &self::tag(tag).into()).await.unwrap();
    assert_eq!(pulled.bytes.unwrap(), image.bytes());
    for blob in image.blobs() {
        assert_eq!(pull_blob(registry, &blob.digest).await.unwrap(), blob.bytes);
    }
}

async fn backed_up(from: &TempDir, to: &Path) -> Copied {
    let Place { database, bytes } = place(from.path());
    let bytes = Arc::new(FilesystemReader::open(bytes).unwrap());
    backup::back_up(Facts::Sqlite(database), bytes, to.into()).await.unwrap()
}

async fn restore(from: &Path, to: &Path, set_aside: bool) -> Result<Copied, BackupError> {
    backup::restore(from.into(), place(to), set_aside).await
}

/// The files of content in a backup.
fn files(backup: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![backup.join("blobs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn what_is_backed_up_while_the_registry_is_open_is_restored() {
    let (live, backup, back) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    let one = push(&registry, "one").await;
    let two = push(&registry, "two").await;
    let copied = backed_up(&live, backup.path()).await;
    let contents = one.blobs().chain(two.blobs()).count() as u64;
    assert_eq!((copied.blobs, copied.copied, copied.removed), (contents, contents, 0));
    assert_eq!(copied.broken, []);
    let after = push(&registry, "after").await;

    let restored = restore(backup.path(), back.path(), false).await.unwrap();
    assert_eq!(restored.blobs, contents);
    let restored = open(back.path(), &clock).await;
    assert_pulls(&restored, "one", &one).await;
    assert_pulls(&restored, "two", &two).await;
    // And it is a registry as any other.
    push(&restored, "after").await;
    assert_pulls(&restored, "after", &after).await;
    assert_pulls(&registry, "after", &after).await;
}

#[tokio::test]
async fn a_backup_repeated_copies_what_is_new_and_drops_what_is_gone() {
    let (live, backup) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    let gone = push(&registry, "gone").await;
    let kept = push(&registry, "kept").await;
    backed_up(&live, backup.path()).await;
    remove(&registry, &gone).await;
    for _ in 0..3 {
        clock.advance(TimeDelta::hours(25));
        registry.caretaker(Task::Collection).collect().await.unwrap().unwrap();
    }
    let new = push(&registry, "new").await;
    // What an interrupted backup leaves.
    fs::write(files(backup.path())[0].with_extension("part"), b"half").unwrap();

    let copied = backed_up(&live, backup.path()).await;
    let (of_kept, of_new, of_gone) = (kept.blobs().count(), new.blobs().count(), gone.blobs().count());
    assert_eq!(copied.blobs as usize, of_kept + of_new);
    assert_eq!(copied.copied as usize, of_new);
    assert_eq!(copied.removed as usize, of_gone + 1);
    assert_eq!(files(backup.path()).len(), of_kept + of_new);
    let again = backed_up(&live, backup.path()).await;
    assert_eq!((again.copied, again.removed), (0, 0));
}

/// Whatever collection takes away meanwhile, what had been acknowledged before and was not removed is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_pushes_and_collections_has_all_that_was_acknowledged_before() {
    let (live, backups) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    let mut kept = Vec::new();
    for number in 0..5 {
        let tag = format!("kept-{number}");
        kept.push((push(&registry, &tag).await, tag));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let churn = tokio::spawn({
        let (registry, clock, is_over) = (registry.clone(), Arc::clone(&clock), Arc::clone(&is_over));
        async move {
            let mut rounds = 0;
            while !is_over.load(Ordering::Relaxed) || rounds < 3 {
                let image = push(&registry, &format!("churn-{rounds}")).await;
                remove(&registry, &image).await;
                clock.advance(TimeDelta::hours(25));
                registry.caretaker(Task::Collection).collect().await.unwrap();
                clock.advance(TimeDelta::seconds(1));
                registry.caretaker(Task::Collection).collect().await.unwrap();
                rounds += 1;
            }
        }
    });
    for round in 0..4 {
        let tag = format!("acknowledged-{round}");
        kept.push((push(&registry, &tag).await, tag));
        let folder = backups.path().join(round.to_string());
        let copied = backed_up(&live, &folder).await;
        assert_eq!(copied.broken, []);
        let back = TempDir::new().unwrap();
        restore(&folder, back.path(), false).await.unwrap();
        let restored = open(back.path(), &clock).await;
        for (image, tag) in &kept {
            assert_pulls(&restored, tag, image).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    churn.await.unwrap();
}

#[tokio::test]
async fn what_is_broken_already_is_set_aside_in_the_backup_and_told() {
    let (live, backup, back) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    let image = push(&registry, "v1").await;
    let blobs: Vec<_> = image.blobs().collect();
    let [lost, rotten, ..] = blobs.as_slice() else { panic!("there are some") };
    for file in files(&live.path().join("bytes")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(&lost.digest.hex()) {
            fs::remove_file(&file).unwrap();
        } else if name.starts_with(&rotten.digest.hex()) {
            let length = fs::metadata(&file).unwrap().len();
            fs::write(&file, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }
    }
    let mut copied = backed_up(&live, backup.path()).await;
    copied.broken.sort();
    let mut expected = vec![lost.digest, rotten.digest];
    expected.sort();
    assert_eq!(copied.broken, expected);

    restore(backup.path(), back.path(), false).await.unwrap();
    let restored = open(back.path(), &clock).await;
    assert!(matches!(pull_blob(&restored, &lost.digest).await, Err(Error::BlobUnknown { .. })));
    push(&restored, "v1").await;
    assert_pulls(&restored, "v1", &image).await;
}

#[tokio::test]
async fn one_content_that_cannot_be_read_does_not_end_a_backup() {
    let (live, backup, back) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    push(&registry, "v1").await;
    let [unreadable, elsewhere, ..] = &*files(&live.path().join("bytes")) else { panic!("there are some") };
    // To read a folder fails, as to read from a bad sector does.
    fs::remove_file(unreadable).unwrap();
    fs::create_dir(unreadable).unwrap();
    // The bytes are the right ones, and not the registry's.
    let outside = live.path().join("outside");
    fs::rename(elsewhere, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, elsewhere).unwrap();

    let copied = backed_up(&live, backup.path()).await;
    assert_eq!(copied.broken.len(), 2);
    assert_eq!(files(backup.path()).len() as u64, copied.blobs);
    assert_eq!(restore(backup.path(), back.path(), false).await.unwrap().blobs, copied.blobs);
}

#[tokio::test]
async fn what_rots_after_a_backup_is_still_in_the_next_one() {
    let (live, backup, back) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    let image = push(&registry, "v1").await;
    let copied = backed_up(&live, backup.path()).await;
    for file in files(&live.path().join("bytes")) {
        let length = fs::metadata(&file).unwrap().len();
        fs::write(&file, vec![0; usize::try_from(length).unwrap()]).unwrap();
    }
    assert_eq!(scrub(&registry).await.len() as u64, copied.blobs);

    let again = backed_up(&live, backup.path()).await;
    assert_eq!((again.blobs, again.copied, again.removed), (copied.blobs, 0, 0));
    restore(backup.path(), back.path(), false).await.unwrap();
    assert_pulls(&open(back.path(), &clock).await, "v1", &image).await;

    // What the backup has lost as well stays set aside.
    let file = files(backup.path()).remove(0);
    fs::write(&file, b"rot").unwrap();
    let again = backed_up(&live, backup.path()).await;
    assert_eq!((again.blobs, again.copied, again.removed), (copied.blobs - 1, 0, 0));
    let back = TempDir::new().unwrap();
    assert_eq!(restore(backup.path(), back.path(), false).await.unwrap().blobs, copied.blobs - 1);
}

#[tokio::test]
async fn a_backup_that_rots_is_not_restored_unless_it_is_wanted_so() {
    let (live, backup) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let registry = open(live.path(), &clock).await;
    let image = push(&registry, "v1").await;
    backed_up(&live, backup.path()).await;
    let file = files(backup.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();

    let back = TempDir::new().unwrap();
    let refused = restore(backup.path(), back.path(), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::Broken { .. }), "{refused:?}");
    assert!(!place(back.path()).database.exists(), "what was not restored whole is no registry");

    let back = TempDir::new().unwrap();
    let restored = restore(backup.path(), back.path(), true).await.unwrap();
    let [broken] = restored.broken.as_slice() else { panic!("{restored:?}") };
    let hash = Algorithm::Sha256.digest(&bytes);
    assert!(hash != *broken && image.blobs().any(|blob| blob.digest == *broken));
    let restored = open(back.path(), &clock).await;
    assert!(matches!(pull_blob(&restored, broken).await, Err(Error::BlobUnknown { .. })));
}

#[tokio::test]
async fn nothing_is_restored_over_what_is_there() {
    let (live, backup) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let registry = open(live.path(), &clock()).await;
    push(&registry, "v1").await;
    backed_up(&live, backup.path()).await;
    let refused = restore(backup.path(), live.path(), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused:?}");
    let back = TempDir::new().unwrap();
    fs::create_dir_all(back.path().join("bytes")).unwrap();
    fs::write(back.path().join("bytes/precious"), b"x").unwrap();
    let refused = restore(backup.path(), back.path(), false).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused:?}");
    let none = restore(&back.path().join("nothing"), &back.path().join("new"), false).await.unwrap_err();
    assert!(matches!(none, BackupError::Io { .. }), "{none:?}");
}

/// One format for all kinds: what was in a bucket is restored into files.
#[tokio::test]
async fn what_is_in_a_bucket_is_backed_up_and_restored_elsewhere() {
    let (live, backup, back) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = clock();
    let database = place(live.path()).database;
    let bytes = Arc::new(BucketBlobs::open(Arc::new(InMemory::new()), Arc::new(MemorySessions::new())));
    let facts = Arc::new(SqliteStore::open(&database).await.unwrap());
    let registry = Registry::builder(Arc::clone(&bytes) as _, facts, Arc::new(AnyoneMay))
        .clock(Arc::clone(&clock) as _)
        .limits(Limits { untagged_keep: Some(TimeDelta::zero()), ..Limits::default() })
        .build();
    let gone = push(&registry, "gone").await;
    let kept = push(&registry, "kept").await;
    let one = push(&registry, "one").await;
    let contents = (kept.blobs().count() + one.blobs().count()) as u64;
    let back_up = async || {
        let from = Facts::Sqlite(database.clone());
        backup::back_up(from, Arc::clone(&bytes) as _, backup.path().into()).await.unwrap()
    };
    assert_eq!(back_up().await.copied, contents + gone.blobs().count() as u64);
    remove(&registry, &gone).await;
    clock.advance(TimeDelta::hours(25));
    registry.caretaker(Task::Collection).collect().await.unwrap().unwrap();
    // What is still to be removed is nobody's elsewhere.
    let copied = back_up().await;
    assert_eq!((copied.blobs, copied.copied), (contents, 0));
    assert_eq!(copied.removed, gone.blobs().count() as u64);

    assert_eq!(restore(backup.path(), back.path(), false).await.unwrap().blobs, contents);
    let restored = open(back.path(), &clock).await;
    assert_pulls(&restored, "kept", &kept).await;
    assert_pulls(&restored, "one", &one).await;
    clock.advance(TimeDelta::hours(25));
    let collected = restored.caretaker(Task::Collection).collect().await.unwrap().unwrap();
    assert_eq!(collected.deleted, 0);
}
