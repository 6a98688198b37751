//! The store in SQLite keeps the contracts, and what it says of itself.
#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;

use swr_core::caller::{Actor, Caller, Origin};
use swr_core::commit::{Change, Commit, CommitError, Require};
use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::ports::{ManifestStore, Page, StoreErrorKind, WithBytes};
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::dropped_after_waking;
use swr_storage::{SqliteOptions, SqliteStore};

mod manifests {
    swr_core::manifest_store_suite!(folder = { tempfile::tempdir().unwrap() }, {
        super::open(folder.path()).await
    });
}

mod manifests_in_memory {
    swr_core::manifest_store_suite!({ swr_storage::SqliteStore::in_memory().await.unwrap() });
}

#[cfg(feature = "control")]
mod metadata {
    swr_core::metadata_store_suite!(folder = { tempfile::tempdir().unwrap() }, {
        super::open(folder.path()).await
    });
}

#[cfg(feature = "control")]
mod metadata_in_memory {
    swr_core::metadata_store_suite!({ swr_storage::SqliteStore::in_memory().await.unwrap() });
}

mod sessions {
    swr_storage::upload_sessions_suite!({ swr_storage::SqliteStore::in_memory().await.unwrap() });
}

/// Without what is written ahead of time, so that many can be opened.
fn options() -> SqliteOptions {
    let mut options = SqliteOptions::default();
    options.wal_bytes = 0;
    options.reserve_bytes = 0;
    options
}

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open_with(folder.join("registry.db"), options()).await.unwrap()
}

fn commit(repository: &str, requires: Vec<Require>, changes: Vec<Change>) -> Commit {
    Commit {
        repository: repository.parse().unwrap(),
        actor: Actor::Caller(Caller::Anonymous),
        origin: Origin::default(),
        at: minute(0),
        requires,
        changes,
    }
}

/// An image with one tag, without its blobs.
fn push(repository: &str, tag: &str) -> Commit {
    let record = SampleManifest::image(tag).record();
    let set = Change::SetTag { tag: tag.parse().unwrap(), digest: record.digest };
    commit(repository, Vec::new(), vec![Change::CreateRepository, Change::PutManifest(record), set])
}

fn many() -> NonZeroU32 {
    NonZeroU32::new(100_000).unwrap()
}

async fn log(store: &SqliteStore) -> Vec<RecordedEvent> {
    store.events(EventSeq::START, many()).await.unwrap()
}

// Opening.

#[tokio::test]
async fn a_database_has_one_owner_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let owner = open(folder.path()).await;
    let second = SqliteStore::open(folder.path().join("registry.db")).await.unwrap_err();
    assert_eq!(second.kind(), StoreErrorKind::Unavailable);
    assert!(std::error::Error::source(&second).unwrap().to_string().contains("in use"), "{second:?}");
    drop(owner);
    open(folder.path()).await;
}

#[tokio::test]
async fn a_later_format_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).await);
    let path = folder.path().join("registry.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 1000).unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    let refusal = SqliteStore::open(&path).await.unwrap_err();
    assert!(std::error::Error::source(&refusal).unwrap().to_string().contains("format 1000"), "{refusal:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    assert_eq!(SqliteStore::open(&path).await.unwrap_err().kind(), StoreErrorKind::Other);
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::write(
        &path,
        "a text, and longer than the header of a database, which has a hundred bytes ".repeat(9),
    )
    .unwrap();
    assert_eq!(SqliteStore::open(&path).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn the_log_and_the_reserve_have_their_length_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let mut options = SqliteOptions::default();
    options.wal_bytes = 3 << 20;
    options.reserve_bytes = 1 << 20;
    let length = |of: &str| fs::metadata(folder.path().join(of)).unwrap().len();
    for _ in 0..2 {
        let store = SqliteStore::open_with(&path, options.clone()).await.unwrap();
        assert_eq!((length("registry.db-wal"), length("registry.db-reserve")), (3 << 20, 1 << 20));
        // Enough for several rounds of the log.
        for round in 0..20 {
            let pages = (0..100).map(|n| push("a", &format!("{round}-{n}")));
            join_all(pages.map(|push| store.commit(push))).await;
        }
        assert_eq!(length("registry.db-wal"), 3 << 20);
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

// Many at once.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_commits_share_a_transaction_and_keep_their_own_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let taken = push("a", "taken");
    store.commit(taken).await.unwrap();

    // Of each ten, one wants a tag to be unset that is set, and one adds what it then cannot have.
    let missing = SampleManifest::image("missing").digest();
    let commits = (0..1000).map(|n| {
        let mut commit = push("a", &format!("tag-{n}"));
        match n % 10 {
            3 => commit.requires = vec![Require::TagUnset("taken".parse().unwrap())],
            7 => {
                commit.changes.push(Change::SetTag { tag: "no".parse().unwrap(), digest: missing });
            }
            _ => {}
        }
        store.commit(commit)
    });
    let answers = join_all(commits).await;

    let mut kept = BTreeSet::from(["taken".to_owned()]);
    for (n, answer) in answers.into_iter().enumerate() {
        match (n % 10, answer) {
            (3, Err(CommitError::Unmet(unmet))) => assert!(matches!(unmet[..], [Require::TagUnset(_)])),
            (7, Err(CommitError::Unmet(unmet))) => assert_eq!(unmet, [Require::ManifestPresent(missing)]),
            (0..=2 | 4..=6 | 8..=9, Ok(receipt)) => {
                assert_eq!(receipt.events.len(), 2, "{receipt:?}");
                kept.insert(format!("tag-{n}"));
            }
            (_, answer) => panic!("{n}: {answer:?}"),
        }
    }
    let page = Page { after: None, limit: many() };
    let tags = store.tags(&"a".parse().unwrap(), &page).await.unwrap().unwrap();
    assert_eq!(tags.into_iter().map(|tag| tag.tag.to_string()).collect::<BTreeSet<_>>(), kept);

    let gauges = store.gauges();
    assert_eq!(gauges.commits, 801);
    assert!(gauges.transactions < gauges.commits / 4, "{gauges:?}");
    assert_eq!(gauges.writes_waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_and_writers_do_not_stand_in_each_others_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    // Whoever is in the way is noticed at once.
    options.busy_timeout = std::time::Duration::ZERO;
    let store = Arc::new(SqliteStore::open_with(folder.path().join("registry.db"), options).await.unwrap());
    let writers = (0..16).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..60 {
                store.commit(push("a", &format!("{writer}-{n}"))).await.unwrap();
            }
        })
    });
    let readers = (0..16).map(|reader| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let name = "a".parse().unwrap();
            for n in 0..60 {
                let tag: swr_core::Tag = format!("{reader}-{n}").parse().unwrap();
                if let Some(found) = store.resolve(&name, &tag.into(), WithBytes::Yes).await.unwrap() {
                    assert_eq!(found.digest.algorithm().digest(&found.bytes.unwrap()), found.digest);
                }
                let limit = NonZeroU32::new(50).unwrap();
                store.tags(&name, &Page { after: None, limit }).await.unwrap();
                store.backlog().await.unwrap();
            }
        })
    });
    let tasks: Vec<_> = writers.chain(readers).collect();
    for outcome in join_all(tasks).await {
        outcome.unwrap();
    }
    assert_eq!(store.gauges().commits, 16 * 60);
}

#[tokio::test]
async fn a_caller_that_leaves_leaves_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut left = 0;
    for n in 0..50 {
        for polls in 0.. {
            // It may be in the queue, or be done, and nobody waits for it any more.
            let commit = store.commit(push("a", &format!("left-{n}-{polls}")));
            let Some(kept) = dropped_after_waking(polls, commit).await else {
                left += 1;
                continue;
            };
            kept.unwrap();
            break;
        }
    }
    assert!(left > 50, "{left} callers left");
    store.commit(push("a", "last")).await.unwrap();
    let page = Page { after: None, limit: many() };
    for tag in store.tags(&"a".parse().unwrap(), &page).await.unwrap().unwrap() {
        let record = SampleManifest::image(tag.tag.as_str()).record();
        assert_eq!(tag.digest, record.digest);
        let found = store.resolve(&"a".parse().unwrap(), &tag.digest.into(), WithBytes::Yes).await.unwrap();
        assert_eq!(found.unwrap().bytes.unwrap(), record.bytes);
    }
    let events = log(&store).await;
    let tags =
        events.iter().filter(|recorded| matches!(recorded.event, swr_core::event::Event::TagSet { .. }));
    let pushed = events
        .iter()
        .filter(|recorded| matches!(recorded.event, swr_core::event::Event::ManifestPushed { .. }));
    assert_eq!(tags.count(), pushed.count());
}

#[tokio::test]
async fn more_than_may_wait_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.writes_waiting_max = 2.try_into().unwrap();
    let store = SqliteStore::open_with(folder.path().join("registry.db"), options).await.unwrap();
    let answers = join_all((0..200).map(|n| store.commit(push("a", &n.to_string())))).await;
    let (kept, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    for refusal in &refused {
        let Err(CommitError::Store(error)) = refusal else { panic!("{refusal:?}") };
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert!(!kept.is_empty() && !refused.is_empty(), "{} kept, {} refused", kept.len(), refused.len());
    let page = Page { after: None, limit: many() };
    assert_eq!(store.tags(&"a".parse().unwrap(), &page).await.unwrap().unwrap().len(), kept.len());
}

// Crashes.

/// What a crash leaves: the database as it was before the log began, and a part of the log.
fn leave(folder: &Path, database: &[u8], wal: &[u8]) -> tempfile::TempDir {
    let left = tempfile::tempdir_in(folder).unwrap();
    fs::write(left.path().join("registry.db"), database).unwrap();
    fs::write(left.path().join("registry.db-wal"), wal).unwrap();
    left
}

#[tokio::test]
async fn whatever_part_of_the_log_is_left_opens_to_the_first_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for n in 0..12 {
        store.commit(push(&format!("repository-{}", n % 3), &format!("tag-{n}"))).await.unwrap();
    }
    let whole = log(&store).await;
    // So few commits have not been moved out of the log.
    let database = fs::read(folder.path().join("registry.db")).unwrap();
    let wal = fs::read(folder.path().join("registry.db-wal")).unwrap();
    drop(store);

    let mut seen = BTreeSet::new();
    for left in (0..wal.len()).step_by(2900).chain([wal.len()]) {
        let crashed = leave(folder.path(), &database, &wal[..left]);
        let store = open(crashed.path()).await;
        let events = log(&store).await;
        assert_eq!(events, whole[..events.len()], "after {left} bytes");
        // Each commit has two events, and the first in a repository one more.
        let commits = (0..=12).find(|commits| 2 * commits + commits.min(&3) == events.len());
        seen.insert(commits.unwrap_or_else(|| panic!("{} events after {left} bytes", events.len())));
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        store.commit(push("repository-0", "afterwards")).await.unwrap();
    }
    assert_eq!(seen, (0..=12).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_copied_in_the_middle_of_commits_holds_all_that_were_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).await);
    let (answered, mut latest) = tokio::sync::watch::channel(EventSeq::START);
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 0..40 {
                let receipt = store.commit(push("a", &format!("tag-{n}"))).await.unwrap();
                answered.send(receipt.events.last().unwrap().seq).unwrap();
            }
        }
    });
    let mut copies = Vec::new();
    while latest.changed().await.is_ok() {
        let before = *latest.borrow();
        let database = fs::read(folder.path().join("registry.db")).unwrap();
        let wal = fs::read(folder.path().join("registry.db-wal")).unwrap();
        copies.push((before, database, wal));
    }
    writer.await.unwrap();
    let whole = log(&store).await;
    for (answered, database, wal) in copies {
        let crashed = leave(folder.path(), &database, &wal);
        let store = open(crashed.path()).await;
        let events = log(&store).await;
        assert_eq!(events, whole[..events.len()]);
        assert!(events.last().is_some_and(|last| last.seq >= answered));
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

// Times without room.

#[tokio::test]
async fn without_room_what_adds_is_refused_and_what_renews_or_removes_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let reserve = folder.path().join("registry.db-reserve");
    let mut options = options();
    options.reserve_bytes = 1 << 20;
    let store = SqliteStore::open_with(&path, options.clone()).await.unwrap();
    let blob = SampleBlob::new("content").stored_at("place");
    let image = SampleManifest::image("there").record();
    let tag: swr_core::Tag = "there".parse().unwrap();
    store.commit(commit("a", Vec::new(), vec![Change::LinkStored(blob.clone())])).await.unwrap();
    store.commit(push("a", "there")).await.unwrap();
    drop(store);

    // Where a folder stands, no reserve can be put: as if there were no room for it.
    fs::remove_file(&reserve).unwrap();
    fs::create_dir(&reserve).unwrap();
    let store = SqliteStore::open_with(&path, options).await.unwrap();
    assert!(store.gauges().is_full);
    assert_eq!(store.probe().await.unwrap_err().kind(), StoreErrorKind::Full);
    let elsewhere = SampleBlob::new("more content").stored_at("another place");
    for adding in [
        push("a", "new"),
        commit("b", Vec::new(), vec![Change::CreateRepository]),
        commit("a", Vec::new(), vec![Change::LinkStored(elsewhere)]),
        commit("b", Vec::new(), vec![Change::LinkExisting(blob.digest)]),
        commit("a", Vec::new(), vec![Change::SetTag { tag: "2".parse().unwrap(), digest: image.digest }]),
    ] {
        match store.commit(adding).await {
            Err(CommitError::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::Full),
            answer => panic!("{answer:?}"),
        }
    }
    for going_on in [
        push("a", "there"),
        commit("a", Vec::new(), vec![Change::LinkStored(blob.clone())]),
        commit("a", Vec::new(), vec![Change::LinkExisting(blob.digest)]),
        commit("a", Vec::new(), vec![Change::KeepManifest(image.digest)]),
        commit("a", Vec::new(), vec![Change::RemoveTag(tag)]),
        commit("a", Vec::new(), vec![Change::RemoveManifest(image.digest)]),
        commit("a", Vec::new(), vec![Change::UnlinkBlob(blob.digest)]),
    ] {
        store.commit(going_on).await.unwrap();
    }

    fs::remove_dir(&reserve).unwrap();
    store.probe().await.unwrap();
    store.commit(push("a", "new")).await.unwrap();
    assert!(!store.gauges().is_full);
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 1 << 20);
}

/// A file system of 8 MiB at a folder; gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(status.success());
        Self(folder)
    }

    /// Leaves not a byte.
    fn fill(&self) {
        use std::io::Write;
        let mut filler =
            fs::File::options().create(true).append(true).open(self.0.path().join("filler")).unwrap();
        for bytes in [&[1; 4096][..], &[1]] {
            while filler.write_all(bytes).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[tokio::test]
#[ignore = "mounts a file system, which takes an administrator"]
async fn on_a_full_disk_removals_go_on_and_pushes_come_back_with_the_room() {
    let disk = SmallDisk::mount();
    let path = disk.0.path().join("registry.db");
    let mut options = SqliteOptions::default();
    options.wal_bytes = 1 << 20;
    options.reserve_bytes = 2 << 20;
    let mut store = SqliteStore::open_with(&path, options.clone()).await.unwrap();
    for n in 0..200 {
        store.commit(push("a", &format!("tag-{n}"))).await.unwrap();
    }
    disk.fill();

    // Pushed until there is no room; what was answered is there.
    let mut pushed = 200;
    let refusal = loop {
        match store.commit(push("a", &format!("tag-{pushed}"))).await {
            Ok(_) => pushed += 1,
            Err(refusal) => break refusal,
        }
        assert!(pushed < 20_000);
    };
    let CommitError::Store(error) = &refusal else { panic!("{refusal:?}") };
    assert_eq!(error.kind(), StoreErrorKind::Full, "{refusal:?}");
    assert!(store.gauges().is_full);
    assert_eq!(store.probe().await.unwrap_err().kind(), StoreErrorKind::Full);
    disk.fill();

    // Reading and removing go on, over many rounds of the log and across a restart.
    for n in 0..pushed {
        if n == pushed / 2 {
            drop(store);
            disk.fill();
            store = SqliteStore::open_with(&path, options.clone()).await.unwrap();
        }
        let digest = SampleManifest::image(&format!("tag-{n}")).digest();
        let found = store.resolve(&"a".parse().unwrap(), &digest.into(), WithBytes::Yes).await.unwrap();
        assert!(found.is_some(), "tag-{n}");
        store.commit(commit("a", Vec::new(), vec![Change::RemoveManifest(digest)])).await.unwrap();
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());

    disk.free();
    store.commit(push("a", "again")).await.unwrap();
    assert!(!store.gauges().is_full);
    store.probe().await.unwrap();
}

/// A blob that nobody pushed is nobody's.
#[tokio::test]
async fn a_foreign_key_stands_behind_every_link() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let blob = SampleBlob::new("content").stored_at("place");
    store.commit(commit("a", Vec::new(), vec![Change::LinkStored(blob)])).await.unwrap();
    drop(store);
    let database = rusqlite::Connection::open(folder.path().join("registry.db")).unwrap();
    database.pragma_update(None, "foreign_keys", true).unwrap();
    let refusal = database.execute("DELETE FROM blobs", []).unwrap_err();
    assert_eq!(refusal.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation));
}
