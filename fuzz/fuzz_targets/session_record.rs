//! Whatever the record of an upload says, in a file or where the sessions of a bucket are, it is a session or it is damage:
//! nothing of it leads anywhere but to the upload, and once it was abandoned nothing is left. The input is a record; the
//! bytes of the upload are some that it may or may not count.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use libfuzzer_sys::fuzz_target;
use object_store::ObjectStore as _;
use object_store::memory::InMemory;
use swr_core::digest::Algorithm;
use swr_core::ports::{
    AbandonError, AppendError, BlobStore, FinishError, StoreError, StoreErrorKind, UploadStore,
};
use swr_core::upload::UploadId;
use swr_storage::upload_sessions::{MemorySessions, UploadSession, UploadSessions as _};
use swr_storage::{BucketBlobs, FilesystemBlobs};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
const BYTES: &[u8] = b"ten bytes.";

fn id() -> UploadId {
    UploadId::parse(&"c".repeat(32)).expect("digits are an id")
}

/// No fault of the disk is among them. A bucket in memory has a word of its own for parts that it does not know.
fn is_damage(error: StoreError) {
    let is_damage = matches!(error.kind(), StoreErrorKind::Corrupt | StoreErrorKind::Other);
    assert!(is_damage || format!("{error:?}").contains("UploadNotFound"), "{error:?}");
}

/// Everything that there is to be asked of an upload.
async fn ask(store: &(impl BlobStore + UploadStore)) {
    let id = id();
    let known = match store.find(&id).await {
        Ok(known) => known,
        Err(error) => return is_damage(error),
    };
    assert!(known.as_ref().is_none_or(|upload| upload.id == id));
    let _: Vec<_> = match store.idle_since(DateTime::<Utc>::MAX_UTC).try_collect().await {
        Ok(idle) => idle,
        Err(error) => return is_damage(error),
    };
    let offset = known.map_or(0, |upload| upload.offset);
    match store.append(&id, offset, Bytes::from_static(BYTES).into(), NOW).await {
        Ok(reached) => assert_eq!(Some(reached), offset.checked_add(BYTES.len() as u64)),
        Err(AppendError::Store(error)) => is_damage(error),
        Err(AppendError::Body { error, .. }) => panic!("{error:?}"),
        Err(_) => {}
    }
    match store.finish(&id, &Algorithm::Sha256.digest(BYTES)).await {
        Ok(stored) => {
            let _ = store.stat(&stored.location).await;
        }
        Err(FinishError::Store(error)) => is_damage(error),
        Err(_) => {}
    }
    match store.abandon(&id).await {
        Ok(()) => assert_eq!(store.find(&id).await.map_err(|error| error.to_string()), Ok(None)),
        Err(AbandonError::Store(error)) => is_damage(error),
        Err(_) => {}
    }
    if let Err(error) = store.forget(&id).await {
        is_damage(error);
    }
}

/// A folder in memory, where there is one.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder is made")
});
static FILES: LazyLock<FilesystemBlobs> = LazyLock::new(|| {
    let options = FilesystemBlobs::options().low_water_bytes(0).low_water_inodes(0);
    options.open(FOLDER.path()).expect("a folder of nothing is opened")
});

async fn in_files(record: &[u8]) {
    let (store, uploads, id) = (&*FILES, FOLDER.path().join("uploads"), id());
    let digest = Algorithm::Sha256.digest(record);
    for session in [record.to_vec(), [record, b"\n", digest.to_string().as_bytes(), b"\n"].concat()] {
        fs::write(uploads.join(format!("{id}.session")), session).expect("there is room");
        fs::write(uploads.join(id.as_str()), BYTES).expect("there is room");
        ask(store).await;
        for entry in fs::read_dir(&uploads).expect("it is a folder") {
            fs::remove_file(entry.expect("it is read").path()).expect("it is removed");
        }
    }
}

async fn in_a_bucket(record: &str) {
    let (bucket, sessions) = (Arc::new(InMemory::new()), Arc::new(MemorySessions::new()));
    let key = object_store::path::Path::from(format!("blobs/cc/{}/2", id()));
    bucket
        .put_opts(&key, Bytes::from_static(BYTES).into(), Default::default())
        .await
        .expect("memory takes it");
    let other = object_store::path::Path::from(format!("blobs/dd/{}/2", "d".repeat(32)));
    bucket
        .put_opts(&other, Bytes::from_static(BYTES).into(), Default::default())
        .await
        .expect("memory takes it");
    let session = UploadSession { id: id(), version: 1, touched: NOW, record: record.to_owned() };
    sessions.save(&session).await.expect("memory takes it");
    let store = BucketBlobs::open(bucket.clone(), sessions);
    ask(&store).await;
    if let Err(error) = store.list().try_collect::<Vec<_>>().await {
        is_damage(error);
    }
    bucket.get_opts(&other, Default::default()).await.expect("another upload's is left alone");
}

fuzz_target!(|record: &str| {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            in_files(record.as_bytes()).await;
            in_a_bucket(record).await;
        });
    });
});
