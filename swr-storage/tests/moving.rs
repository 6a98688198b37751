//! A registry in SQLite, and its bytes, come whole into PostgreSQL and another store of bytes.
//!
//! A server is needed: `SWR_TEST_POSTGRES_URL` names a database in which the tests make schemas, one for each.
#![cfg(all(feature = "control", feature = "sqlite", feature = "testing-postgres"))]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod postgres_place;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use rusqlite::types::ValueRef;
use tokio_postgres::Client;

use swr_core::caller::{Actor, Caller, Origin};
use swr_core::commit::{BlobLocation, Change, Commit};
use swr_core::digest::Algorithm;
use swr_core::ports::{BlobStat, BlobStore, ListedBlob, ManifestStore, StoreError, StoreErrorKind};
use swr_core::stream::ByteStream;
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_storage::backup::{self, Facts};
use swr_storage::postgres::{Move, Moved};
use swr_storage::{BucketBlobs, PostgresStore, SqliteStore};

use postgres_place::Place;

/// What a registry of format 2 held: content, people, and what they may do.
const FORMAT_2: &str = include_str!("sqlite_formats/2.sql");

/// Something in every table that the fixture leaves empty, and texts that are hard to pass on.
const MORE: &str = "
    INSERT INTO syncs VALUES (7, 1, 'south', 'math', 1, 0, 1, 2);
    INSERT INTO sync_jobs VALUES (9, 1, 'latest', 'south', 'math', 0, 'asked', 'u', 'ada', 1, 2);
    INSERT INTO rules VALUES (4, 1, 5, '{}');
    INSERT INTO cleared VALUES (3, 1, 4, '{}', 'old', 6);
    INSERT INTO triggers VALUES (2, 1, 'hook', 1, 3, 'a target', '{}', '{}', X'00FF5C', 'u', 'ada', 3);
    INSERT INTO deliveries VALUES (2, 6, 'd', 'a target', 1, 0, 1, 2, 3, 4, NULL, 'latest', X'01AB', 8, '');
    INSERT INTO deliveries VALUES (2, 7, 'e', 'a target', 1, 1, 1, 2, NULL, 4, 9, 'latest', X'01AB', 8, 'done');
    INSERT INTO sync_jobs VALUES (10, 99, 'latest', 'south', 'math', 0, 'asked', 'u', 'ada', 1, 2);
    INSERT INTO cleared VALUES (5, 99, 4, '{}', 'of a repository that is gone', 6);
    INSERT INTO triggers VALUES (3, NULL, 'gone', 0, 3, 'a target', '{}', '{}', NULL, 'u', 'ada', 3);
    INSERT INTO deliveries VALUES (3, 7, 'f', 'a target', 1, 0, 1, 0, NULL, 0, NULL, 'latest', X'01AB', 8, '');
    INSERT INTO delivery_targets VALUES ('a target', 5);
    INSERT INTO usage VALUES ('11111111111111111111111111111111', 1, 700000, 5000000000);
    INSERT INTO trace_cursors VALUES ('file', 3);
    UPDATE accounts SET agency = 1 WHERE name = 'north';
    UPDATE repositories SET description = 'tab\t' || char(10, 13, 92) || 'N ' || char(0, 1, 8) || 'ü' WHERE id = 1;";

/// The bytes of the fixture, by where it says that they are.
#[derive(Debug)]
struct Told {
    content: BTreeMap<String, Bytes>,
    /// How often it may still be read.
    reads: AtomicUsize,
}

impl Told {
    fn new() -> Self {
        let shared = SampleBlob::new("a shared layer");
        let image = |name: &str| SampleManifest::image(name).with_layer(&shared);
        let artifact = SampleManifest::artifact("application/vnd.example", "of a");
        let manifests = [image("a"), image("b").under(Algorithm::Sha512), artifact];
        let waiting = SampleBlob::new("of a push under way");
        let blobs = manifests.iter().flat_map(SampleManifest::blobs).chain([&waiting]);
        let content =
            blobs.map(|blob| (format!("the place of {}", blob.digest), blob.bytes.clone())).collect();
        Self { content, reads: AtomicUsize::new(usize::MAX) }
    }
}

#[async_trait]
impl BlobStore for Told {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        let bytes = self.content.get(at.as_str());
        Ok(bytes.map(|bytes| BlobStat { location: at.clone(), size: bytes.len() as u64 }))
    }

    async fn read(&self, at: &BlobLocation, _: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let left = self.reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "told.read", "the cable is out"));
        }
        Ok(self.content.get(at.as_str()).cloned().map(|bytes| {
            let length = bytes.len() as u64;
            ByteStream::new(stream::iter([Ok(bytes)]).boxed(), Some(length))
        }))
    }

    async fn delete(&self, _: &BlobLocation) -> Result<(), StoreError> {
        unreachable!("a copy removes nothing")
    }

    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        stream::empty().boxed()
    }
}

/// The database of a server that has been stopped.
async fn source(folder: &Path) -> PathBuf {
    let path = folder.join("registry.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(FORMAT_2).unwrap();
    drop(SqliteStore::open(&path).await.unwrap());
    rusqlite::Connection::open(&path).unwrap().execute_batch(MORE).unwrap();
    path
}

async fn run(moving: &Move, from: &Told, bucket: &Arc<InMemory>) -> Result<(Moved, usize), StoreError> {
    let to = BucketBlobs::open(Arc::clone(bucket), moving.sessions());
    let mut followed = 0;
    let moved = moving.run(from, &to, minute(600), &mut |_| followed += 1).await?;
    Ok((moved, followed))
}

/// The tables of a database, each with its columns in order.
type Tables = BTreeMap<String, BTreeSet<String>>;

/// What only the source knows, or only the copy.
const OF_ONE: [&str; 8] =
    ["garbage", "kept", "leases", "log", "reserve", "sessions", "swr_format", "upload_sessions"];

fn tables_of_source(source: &rusqlite::Connection) -> Tables {
    let mut tables = source
        .prepare(
            "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let rows = tables.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    collected(rows.map(Result::unwrap))
}

async fn tables_of_copy(copy: &Client) -> Tables {
    let rows = copy
        .query(
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND is_generated = 'NEVER'",
            &[],
        )
        .await
        .unwrap();
    collected(rows.iter().map(|row| (row.get(0), row.get(1))))
}

fn collected(columns: impl Iterator<Item = (String, String)>) -> Tables {
    let mut tables = Tables::new();
    for (table, column) in columns {
        tables.entry(table).or_default().insert(column);
    }
    tables.retain(|table, _| !OF_ONE.contains(&table.as_str()));
    tables
}

/// What the copy calls a column of the source.
fn there<'a>(table: &str, column: &'a str) -> &'a str {
    match (table, column) {
        ("traces", "user") => "actor",
        ("traces", "user_name") => "actor_name",
        (_, "user") => "holder",
        (_, "visibility") => "public",
        (_, other) => other,
    }
}

fn rows_of_source(source: &rusqlite::Connection, table: &str, columns: &[&str]) -> Vec<String> {
    let list: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let mut rows = source.prepare(&format!("SELECT {} FROM {table}", list.join(", "))).unwrap();
    let rows = rows.query_map([], |row| {
        let values = (0..columns.len()).map(|column| match row.get_ref(column).unwrap() {
            ValueRef::Null => "null".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            // As the copy has to escape it.
            ValueRef::Text(text) => {
                String::from_utf8_lossy(text).replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0")
            }
            ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        Ok(values.collect::<Vec<_>>().join(" | "))
    });
    let mut rows: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

async fn rows_of_copy(copy: &Client, table: &str, columns: &[&str]) -> Vec<String> {
    let types = copy
        .query(
            "SELECT column_name::text, data_type::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1",
            &[&table],
        )
        .await
        .unwrap();
    let types: BTreeMap<String, String> = types.iter().map(|row| (row.get(0), row.get(1))).collect();
    let list = columns.iter().map(|column| match types[*column].as_str() {
        "boolean" => format!("coalesce({column}::integer::text, 'null')"),
        "bytea" => format!("coalesce(encode({column}, 'hex'), 'null')"),
        _ => format!("coalesce({column}::text, 'null')"),
    });
    let list: Vec<String> = list.collect();
    let statement = format!("SELECT concat_ws(' | ', {}) FROM {table}", list.join(", "));
    let mut rows: Vec<String> =
        copy.query(&statement, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    rows.sort();
    rows
}

/// Also what comes to SQLite later: a table or a column that is not copied fails here.
#[tokio::test]
async fn whatever_one_database_holds_the_other_holds_afterwards() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let path = source(folder.path()).await;
    let (from, bucket) = (Told::new(), Arc::new(InMemory::new()));
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    let (moved, followed) = run(&moving, &from, &bucket).await.unwrap();
    assert_eq!((moved.blobs, followed, moved.damaged_links), (8, 8, 0));
    drop(moving);

    let (source, copy) = (rusqlite::Connection::open(&path).unwrap(), place.connect().await);
    let tables = tables_of_source(&source);
    let expected: Tables = tables
        .iter()
        .map(|(table, columns)| {
            (table.clone(), columns.iter().map(|column| there(table, column).to_owned()).collect())
        })
        .collect();
    assert_eq!(tables_of_copy(&copy).await, expected);
    for (table, columns) in &tables {
        let columns: Vec<&str> =
            columns.iter().map(String::as_str).filter(|column| *column != "location").collect();
        let rows = rows_of_source(&source, table, &columns);
        assert!(!rows.is_empty(), "nothing is in {table}");
        let columns: Vec<&str> = columns.iter().map(|column| there(table, column)).collect();
        assert_eq!(rows_of_copy(&copy, table, &columns).await, rows, "{table}");
    }
}

/// Content is where the copy says that it is, the log goes on where it was, and no id is given a second time.
#[tokio::test]
async fn the_copy_goes_on_where_the_registry_was() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let path = source(folder.path()).await;
    let (from, bucket) = (Told::new(), Arc::new(InMemory::new()));
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    run(&moving, &from, &bucket).await.unwrap();
    drop(moving);

    let before = SqliteStore::open(&path).await.unwrap();
    let store = Arc::new(place.open().await);
    let blobs = BucketBlobs::open(bucket, Arc::clone(&store) as _);
    let layer = SampleBlob::new("a shared layer");
    let held = store.blob(&"math/a".parse().unwrap(), &layer.digest).await.unwrap().unwrap();
    let body = blobs.read(&held.stored.location, 0..held.stored.size).await.unwrap().unwrap();
    assert_eq!(body.collect(64).await.unwrap(), layer.bytes);
    // Nothing else was left: every object is some blob's.
    let kept: Vec<ListedBlob> = blobs.list().try_collect().await.unwrap();
    assert_eq!(kept.len(), 8);

    let push = Commit {
        repository: "math/new".parse().unwrap(),
        actor: Actor::Caller(Caller::Anonymous),
        origin: Origin::default(),
        at: minute(700),
        requires: Vec::new(),
        changes: vec![Change::CreateRepository, Change::PutManifest(SampleManifest::image("new").record())],
    };
    let expected = before.commit(push.clone()).await.unwrap();
    assert_eq!(store.commit(push).await.unwrap().events, expected.events);
    let id = async |store: &dyn ManifestStore| store.repository(&"math/new".parse().unwrap()).await.unwrap();
    assert_eq!(id(&*store).await, id(&before).await);
}

#[tokio::test]
async fn a_copy_that_was_broken_off_goes_on_and_is_no_registry_before_it_is_whole() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let path = source(folder.path()).await;
    let (from, bucket) = (Told::new(), Arc::new(InMemory::new()));
    from.reads.store(3, Ordering::Relaxed);
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    let failed = run(&moving, &from, &bucket).await.unwrap_err();
    assert_eq!(failed.kind(), StoreErrorKind::Unavailable);
    drop(moving);
    let refused = PostgresStore::open_with(place.options()).await.unwrap_err();
    assert!(refused.source().unwrap().to_string().contains("being copied"), "{refused:?}");

    from.reads.store(usize::MAX, Ordering::Relaxed);
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    let (moved, followed) = run(&moving, &from, &bucket).await.unwrap();
    assert_eq!((moved.blobs, followed), (8, 5));
    drop(moving);
    place.open().await;
    let again = Move::begin(&path, false, place.options()).await.unwrap_err();
    assert!(again.source().unwrap().to_string().contains("a registry's already"), "{again:?}");
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_not_copied() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let path = source(folder.path()).await;
    let (mut from, bucket) = (Told::new(), Arc::new(InMemory::new()));
    let layer = SampleBlob::new("a shared layer");
    let content = from.content.get_mut(&format!("the place of {}", layer.digest)).unwrap();
    *content = Bytes::from_static(b"another  layer");
    assert_eq!(content.len(), layer.bytes.len());
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    let failed = run(&moving, &from, &bucket).await.unwrap_err();
    assert_eq!(failed.kind(), StoreErrorKind::Corrupt);
    assert!(failed.source().unwrap().to_string().contains(&layer.digest.to_string()), "{failed:?}");
    drop(moving);

    // Once it is known to be damaged, all but its links is copied.
    let database = rusqlite::Connection::open(&path).unwrap();
    let quarantined = "UPDATE blobs SET quarantined = 1 WHERE location = 'the place of ' || ?1";
    database.execute(quarantined, [layer.digest.to_string()]).unwrap();
    drop(database);
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    let (moved, _) = run(&moving, &from, &bucket).await.unwrap();
    assert_eq!(moved.blobs, 7);
    assert!(moved.damaged_links > 0);
    drop(moving);
    let store = place.open().await;
    assert_eq!(store.blob(&"math/a".parse().unwrap(), &layer.digest).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_store_has_open_is_copied_only_where_that_was_said() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let path = source(folder.path()).await;
    let open = SqliteStore::open(&path).await.unwrap();
    let refused = Move::begin(&path, false, place.options()).await.unwrap_err();
    assert!(refused.source().unwrap().to_string().contains("is in use"), "{refused:?}");
    let (from, bucket) = (Told::new(), Arc::new(InMemory::new()));
    let moving = Move::begin(&path, true, place.options()).await.unwrap();
    assert_eq!(run(&moving, &from, &bucket).await.unwrap().0.blobs, 8);
    drop(open);
}

/// Through the folder of a backup, and out of it into another database: nothing on the way is kept back.
#[tokio::test]
async fn a_backup_of_a_database_is_another_registry_with_all_that_it_held() {
    let (folder, place, other) = (tempfile::tempdir().unwrap(), Place::new().await, Place::new().await);
    let path = source(folder.path()).await;
    let (from, bucket) = (Told::new(), Arc::new(InMemory::new()));
    let moving = Move::begin(&path, false, place.options()).await.unwrap();
    run(&moving, &from, &bucket).await.unwrap();
    drop(moving);
    let store = Arc::new(place.open().await);
    let bytes = Arc::new(BucketBlobs::open(bucket, Arc::clone(&store) as _));
    // Ids that were given, and places in the log, are so also where nothing has them any more.
    let copy = place.connect().await;
    copy.batch_execute("SELECT nextval(pg_get_serial_sequence('rules', 'id')); UPDATE log SET events = 9000")
        .await
        .unwrap();

    let to = folder.path().join("backup");
    let copied = backup::back_up(Facts::Postgres(place.options()), bytes.clone(), to.clone()).await.unwrap();
    assert_eq!((copied.blobs, copied.copied, copied.removed, copied.broken), (8, 8, 0, vec![]));
    let again = backup::back_up(Facts::Postgres(place.options()), bytes, to.clone()).await.unwrap();
    assert_eq!((again.blobs, again.copied, again.removed), (8, 0, 0));

    let unpacked = backup::unpack(to.clone(), folder.path().into(), false).await.unwrap();
    let there = BucketBlobs::open(Arc::new(InMemory::new()), Arc::clone(&store) as _);
    let moving = Move::begin(unpacked.database(), false, other.options()).await.unwrap();
    let moved = moving.run(unpacked.bytes(), &there, minute(700), &mut |_| {}).await.unwrap();
    assert_eq!((moved.blobs, moved.damaged_links), (8, 0));
    drop((moving, unpacked));
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        left.into_iter().all(|name| !name.to_string_lossy().contains("restore")),
        "what was unpacked has gone"
    );

    let restored = other.connect().await;
    let tables = tables_of_copy(&copy).await;
    assert_eq!(tables_of_copy(&restored).await, tables);
    for (table, columns) in &tables {
        let columns: Vec<&str> =
            columns.iter().map(String::as_str).filter(|column| *column != "location").collect();
        let rows = rows_of_copy(&copy, table, &columns).await;
        assert!(!rows.is_empty(), "nothing is in {table}");
        assert_eq!(rows_of_copy(&restored, table, &columns).await, rows, "{table}");
    }
    for question in ["SELECT events FROM log", "SELECT nextval(pg_get_serial_sequence('rules', 'id'))"] {
        let [one, two]: [i64; 2] = [
            copy.query_one(question, &[]).await.unwrap().get(0),
            restored.query_one(question, &[]).await.unwrap().get(0),
        ];
        assert_eq!(one, two, "{question}");
    }
}

#[tokio::test]
async fn a_database_that_is_no_whole_registry_is_not_backed_up_and_stays_as_it_is() {
    let (folder, place) = (tempfile::tempdir().unwrap(), Place::new().await);
    let nothing: Arc<dyn BlobStore> = Arc::new(Told::new());
    let to = folder.path().join("backup");
    let refused = backup::back_up(Facts::Postgres(place.options()), nothing.clone(), to.clone()).await;
    assert!(matches!(refused, Err(backup::BackupError::Facts { .. })), "{refused:?}");
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace";
    assert_eq!(place.connect().await.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);

    let path = source(folder.path()).await;
    drop(Move::begin(&path, false, place.options()).await.unwrap());
    let refused = backup::back_up(Facts::Postgres(place.options()), nothing, to.clone()).await;
    assert!(matches!(refused, Err(backup::BackupError::Facts { .. })), "{refused:?}");
    assert!(!to.join("registry.db").exists());
}
