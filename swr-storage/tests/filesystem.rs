//! The file system store: the contracts, and what only files can have happen to them.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::future::poll_fn;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, StreamExt as _};
use swr_core::caller::Caller;
use swr_core::commit::{BlobLocation, StoredBlob};
use swr_core::digest::{Algorithm, Digest};
use swr_core::ports::{
    AbandonError, AppendError, BlobStore as _, FinishError, StoreErrorKind, UploadStore as _,
};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::upload::{Upload, UploadId};
use swr_storage::FilesystemBlobs;
use swr_storage::filesystem::{FilesystemReader, OpenError};
use tempfile::TempDir;
use tokio::sync::Notify;

fn open(folder: &TempDir) -> FilesystemBlobs {
    FilesystemBlobs::options().low_water_bytes(0).low_water_inodes(0).open(folder.path()).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn upload() -> Upload {
    Upload {
        id: UploadId::random(),
        repository: "library/hello".parse().unwrap(),
        owner: Caller::Anonymous,
        algorithm: Algorithm::Sha256,
        begun: now(),
        offset: 0,
    }
}

/// Bytes without a pattern that a wrong offset would hide.
fn content(length: usize) -> Bytes {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn digest(bytes: &[u8]) -> Digest {
    Algorithm::Sha256.digest(bytes)
}

async fn begin(store: &FilesystemBlobs) -> UploadId {
    let upload = upload();
    store.begin(&upload).await.unwrap();
    upload.id
}

async fn append(store: &FilesystemBlobs, id: &UploadId, offset: u64, bytes: &Bytes) -> u64 {
    store.append(id, offset, bytes.clone().into(), now()).await.unwrap()
}

async fn push(store: &FilesystemBlobs, bytes: &Bytes) -> StoredBlob {
    let id = begin(store).await;
    append(store, &id, 0, bytes).await;
    let stored = store.finish(&id, &digest(bytes)).await.unwrap();
    store.forget(&id).await.unwrap();
    stored
}

async fn read(store: &FilesystemBlobs, stored: &StoredBlob) -> Bytes {
    let body = store.read(&stored.location, 0..stored.size).await.unwrap().unwrap();
    assert_eq!(body.length(), Some(stored.size));
    body.collect(usize::MAX).await.unwrap()
}

async fn offset(store: &FilesystemBlobs, id: &UploadId) -> Option<u64> {
    store.find(id).await.unwrap().map(|upload| upload.offset)
}

fn bytes_path(folder: &TempDir, id: &UploadId) -> PathBuf {
    folder.path().join("uploads").join(id.as_str())
}

fn session_path(folder: &TempDir, id: &UploadId) -> PathBuf {
    folder.path().join("uploads").join(format!("{id}.session"))
}

fn blob_path(folder: &TempDir, stored: &StoredBlob) -> PathBuf {
    folder.path().join("blobs").join(stored.location.as_str())
}

/// A body that gives its chunks and then nothing more, without an end; tells when it has given them all.
fn endless(chunks: Vec<Bytes>) -> (ByteStream, Arc<Notify>) {
    let drained = Arc::new(Notify::new());
    let end = stream::once({
        let drained = drained.clone();
        async move {
            drained.notify_one();
            std::future::pending().await
        }
    });
    (ByteStream::new(stream::iter(chunks).map(Ok).chain(end).boxed(), None), drained)
}

fn pieces(bytes: &Bytes, length: usize) -> Vec<Bytes> {
    bytes.chunks(length).map(Bytes::copy_from_slice).collect()
}

/// Lets `future` run until it has been woken `turns` times; `None` when it was not done by then.
async fn run_for<T>(turns: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut turn = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if turn == turns => Poll::Ready(None),
        Poll::Pending => {
            turn += 1;
            Poll::Pending
        }
    })
    .await
}

/// Where the second slot of a session file begins.
const SLOT: usize = 8 * 1024;

mod blobs {
    swr_core::blob_store_suite!(folder = { super::folder() }, { super::open(&folder) });
}

mod uploads {
    swr_core::upload_store_suite!(folder = { super::folder() }, { super::open(&folder) });
}

mod opening {
    use super::*;

    #[tokio::test]
    async fn a_store_is_opened_once_at_a_time() {
        let folder = folder();
        let first = open(&folder);
        let second = FilesystemBlobs::open(folder.path());
        assert!(matches!(&second, Err(OpenError::InUse { path }) if path == folder.path()), "{second:?}");
        drop(first);
        open(&folder);
    }

    #[tokio::test]
    async fn missing_folders_are_made_and_what_is_there_is_kept() {
        let folder = folder();
        let path = folder.path().join("a/b/c");
        let bytes = content(10);
        let stored = push(&FilesystemBlobs::open(&path).unwrap(), &bytes).await;
        assert_eq!(read(&FilesystemBlobs::open(&path).unwrap(), &stored).await, bytes);
    }

    #[test]
    fn a_newer_format_is_refused_and_not_touched() {
        let folder = folder();
        fs::write(folder.path().join("format"), "2\n").unwrap();
        let opened = FilesystemBlobs::open(folder.path());
        assert!(matches!(opened, Err(OpenError::NewerFormat { found: 2, .. })), "{opened:?}");
        assert!(!folder.path().join("blobs").exists());
    }

    #[test]
    fn a_damaged_format_is_refused() {
        for damaged in ["", "1", "0\n", "-1\n", "1\n1\n", "one\n", "99999999999\n"] {
            let folder = folder();
            fs::write(folder.path().join("format"), damaged).unwrap();
            let opened = FilesystemBlobs::open(folder.path());
            assert!(matches!(opened, Err(OpenError::UnknownFormat { .. })), "{damaged:?}: {opened:?}");
        }
    }

    #[test]
    fn a_folder_planted_as_a_link_is_refused() {
        for planted in ["blobs", "uploads", "lock", "format", "format.new"] {
            let (folder, elsewhere) = (folder(), folder());
            symlink(elsewhere.path(), folder.path().join(planted)).unwrap();
            let opened = FilesystemBlobs::open(folder.path());
            assert!(matches!(opened, Err(OpenError::Io { .. })), "{planted}: {opened:?}");
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        }
    }
}

mod resuming {
    use super::*;

    /// Changed behind the store's back, the bytes would give another digest if they were read.
    #[tokio::test]
    async fn nothing_is_read_back_to_be_hashed() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let id = begin(&store).await;
        append(&store, &id, 0, &bytes.slice(..50)).await;
        drop(store);
        fs::write(bytes_path(&folder, &id), [0; 50]).unwrap();
        let store = open(&folder);
        append(&store, &id, 50, &bytes.slice(50..)).await;
        store.finish(&id, &digest(&bytes)).await.unwrap();
    }

    #[tokio::test]
    async fn a_hash_state_of_another_version_is_made_again_from_the_bytes() {
        let (folder, bytes) = (folder(), content(1_000_000));
        let store = open(&folder);
        for appended in [1_000_000, 600_000] {
            let id = begin(&store).await;
            append(&store, &id, 0, &bytes.slice(..appended)).await;
            let path = session_path(&folder, &id);
            let session = fs::read(&path).unwrap();
            let line = std::str::from_utf8(&session[SLOT..]).unwrap().lines().next().unwrap();
            let line = line.replace("sha2-0.11:", "sha2-0.99:");
            fs::write(&path, format!("{line}\n{}\n", digest(line.as_bytes()))).unwrap();
            append(&store, &id, appended as u64, &bytes.slice(appended..)).await;
            let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
            assert_eq!(read(&store, &stored).await, bytes);
        }
    }

    #[tokio::test]
    async fn bytes_beyond_what_was_saved_are_cut_off() {
        let (folder, bytes) = (folder(), content(100));
        for saved in [0, 50, 100] {
            let store = open(&folder);
            let id = begin(&store).await;
            append(&store, &id, 0, &bytes.slice(..saved)).await;
            drop(store);
            let mut longer = bytes.slice(..saved).to_vec();
            longer.extend([7; 1000]);
            fs::write(bytes_path(&folder, &id), longer).unwrap();
            let store = open(&folder);
            assert_eq!(offset(&store, &id).await, Some(saved as u64));
            append(&store, &id, saved as u64, &bytes.slice(saved..)).await;
            let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
            assert_eq!(read(&store, &stored).await, bytes);
            assert_eq!(store.stat(&stored.location).await.unwrap().unwrap().size, 100);
        }
    }

    #[tokio::test]
    async fn an_upload_with_fewer_bytes_than_were_saved_is_unknown() {
        let (folder, bytes) = (folder(), content(100));
        for left in [None, Some(99)] {
            let store = open(&folder);
            let id = begin(&store).await;
            append(&store, &id, 0, &bytes).await;
            drop(store);
            fs::remove_file(bytes_path(&folder, &id)).unwrap();
            if let Some(left) = left {
                fs::write(bytes_path(&folder, &id), bytes.slice(..left)).unwrap();
            }
            unknown(&open(&folder), &id).await;
        }
    }

    #[tokio::test]
    async fn a_torn_session_is_an_unknown_upload_and_swept() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let whole = fs::read(session_path(&folder, &begin(&store).await)).unwrap();
        let mut torn = vec![vec![], whole[..whole.len() / 2].to_vec(), whole[..whole.len() - 2].to_vec()];
        torn.push(vec![0; whole.len()]);
        torn.push(vec![b'{'; 1 << 20]);
        // Whole, and another upload's.
        torn.push(whole);
        for torn in torn {
            let id = begin(&store).await;
            append(&store, &id, 0, &bytes).await;
            fs::write(session_path(&folder, &id), torn).unwrap();
            unknown(&store, &id).await;

            let before = now();
            assert!(!idle(&store, before).await.contains(&id));
            assert!(session_path(&folder, &id).exists(), "it is not that old");
            let after = Utc::now() + TimeDelta::hours(1);
            assert!(!idle(&store, after).await.contains(&id));
            assert!(!session_path(&folder, &id).exists());
            assert!(!bytes_path(&folder, &id).exists());
        }
    }

    #[tokio::test]
    async fn a_session_torn_while_it_was_saved_is_the_one_before() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let id = begin(&store).await;
        for (at, end) in [(0, 40), (40, 70), (70, 100)] {
            append(&store, &id, at, &bytes.slice(at as usize..end)).await;
            let path = session_path(&folder, &id);
            let whole = fs::read(&path).unwrap();
            let newest = if at == 40 { 0..SLOT } else { SLOT..whole.len() };
            let mut torn = whole.clone();
            torn[newest][100..].fill(0);
            fs::write(&path, torn).unwrap();
            assert_eq!(offset(&store, &id).await, Some(at));
            fs::write(&path, whole).unwrap();
            assert_eq!(offset(&store, &id).await, Some(end as u64));
        }
        // The bytes that the lost session counted are sent again.
        let mut torn = fs::read(session_path(&folder, &id)).unwrap();
        torn.truncate(SLOT);
        fs::write(session_path(&folder, &id), torn).unwrap();
        append(&store, &id, 70, &bytes.slice(70..)).await;
        let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
        assert_eq!(read(&store, &stored).await, bytes);
    }

    #[tokio::test]
    async fn bytes_without_a_session_are_swept() {
        let folder = folder();
        let store = open(&folder);
        let id = UploadId::random();
        let foreign = folder.path().join("uploads/notes");
        fs::write(bytes_path(&folder, &id), "left over").unwrap();
        fs::write(&foreign, "somebody's").unwrap();
        unknown(&store, &id).await;
        assert!(idle(&store, now()).await.is_empty());
        assert!(bytes_path(&folder, &id).exists(), "they are not that old");
        assert!(idle(&store, Utc::now() + TimeDelta::hours(1)).await.is_empty());
        assert!(!bytes_path(&folder, &id).exists());
        assert!(foreign.exists());
    }

    /// What a crash leaves between the two: the location is saved, the bytes have not moved.
    #[tokio::test]
    async fn finishing_that_was_cut_short_is_finished_by_the_next() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let id = begin(&store).await;
        append(&store, &id, 0, &bytes).await;
        let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
        drop(store);
        fs::rename(blob_path(&folder, &stored), bytes_path(&folder, &id)).unwrap();

        let store = open(&folder);
        let refused = store.append(&id, 100, ByteStream::empty(), now()).await;
        assert!(matches!(refused, Err(AppendError::Unknown)), "{refused:?}");
        let refused = store.abandon(&id).await;
        assert!(matches!(&refused, Err(AbandonError::Finished(at)) if *at == stored), "{refused:?}");
        assert_eq!(store.finish(&id, &digest(&bytes)).await.unwrap(), stored);
        assert_eq!(read(&store, &stored).await, bytes);
    }

    #[tokio::test]
    async fn finished_bytes_that_vanished_are_damage() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let id = begin(&store).await;
        append(&store, &id, 0, &bytes).await;
        let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
        fs::remove_file(blob_path(&folder, &stored)).unwrap();
        let again = store.finish(&id, &digest(&bytes)).await;
        assert!(
            matches!(&again, Err(FinishError::Store(error)) if error.kind() == StoreErrorKind::Corrupt),
            "{again:?}"
        );
    }

    async fn unknown(store: &FilesystemBlobs, id: &UploadId) {
        assert_eq!(offset(store, id).await, None);
        for offset in [0, 100] {
            let appended = store.append(id, offset, content(1).into(), now()).await;
            assert!(matches!(appended, Err(AppendError::Unknown)), "{appended:?}");
        }
        let finished = store.finish(id, &digest(b"")).await;
        assert!(matches!(finished, Err(FinishError::Unknown)), "{finished:?}");
    }

    async fn idle(store: &FilesystemBlobs, cutoff: DateTime<Utc>) -> Vec<UploadId> {
        store.idle_since(cutoff).map_ok(|upload| upload.id).try_collect().await.unwrap()
    }
}

mod dropping {
    use super::*;

    #[tokio::test]
    async fn all_that_a_dropped_append_took_in_stays() {
        let (folder, bytes) = (folder(), content(5_000_000));
        let store = open(&folder);
        for (sent, piece) in
            [(1, 1), (10_000, 10), (100_000, 70_000), (1 << 20, 1 << 16), (5_000_000, 400_000)]
        {
            let id = begin(&store).await;
            drop_when_drained(&store, &id, pieces(&bytes.slice(..sent), piece)).await;
            assert_eq!(offset(&store, &id).await, Some(sent as u64), "{sent} in pieces of {piece}");
            append(&store, &id, sent as u64, &bytes.slice(sent..)).await;
            let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
            assert_eq!(read(&store, &stored).await, bytes);
        }
    }

    #[tokio::test]
    async fn whoever_comes_second_loses_and_damages_nothing() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let id = begin(&store).await;
        let (body, drained) = endless(vec![bytes.slice(..60)]);
        let mut first = Box::pin(store.append(&id, 0, body, now()));
        tokio::select! {
            ended = &mut first => panic!("{ended:?}"),
            () = drained.notified() => {}
        }
        let second = store.append(&id, 0, bytes.clone().into(), now()).await;
        assert!(matches!(second, Err(AppendError::Offset { offset: 0 })), "{second:?}");
        assert!(matches!(store.finish(&id, &digest(&bytes)).await, Err(FinishError::Busy)));
        assert!(matches!(store.abandon(&id).await, Err(AbandonError::Busy)));
        assert!(store.idle_since(Utc::now()).next().await.is_none());

        drop(first);
        let late = store.append(&id, 0, bytes.clone().into(), now()).await;
        assert!(matches!(late, Err(AppendError::Offset { offset: 60 })), "{late:?}");
        append(&store, &id, 60, &bytes.slice(60..)).await;
        let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
        assert_eq!(read(&store, &stored).await, bytes);
    }

    /// Wherever it stops, there is an exact offset to go on from, and what is there is what was sent.
    #[tokio::test]
    async fn an_append_may_be_dropped_at_every_await() {
        let (folder, bytes) = (folder(), content(2_500_000));
        let store = open(&folder);
        for turns in 0.. {
            let id = begin(&store).await;
            let body = stream::iter(pieces(&bytes, 300_000)).map(Ok).boxed();
            let ended = run_for(turns, store.append(&id, 0, ByteStream::new(body, None), now())).await;
            let at = offset(&store, &id).await.unwrap();
            append(&store, &id, at, &bytes.slice(at as usize..)).await;
            let stored = store.finish(&id, &digest(&bytes)).await.unwrap();
            assert_eq!(read(&store, &stored).await, bytes, "dropped after {turns} turns");
            store.delete(&stored.location).await.unwrap();
            if ended.is_some() {
                break;
            }
        }
    }

    #[test]
    fn what_is_dropped_after_its_runtime_is_kept_too() {
        let (folder, bytes) = (folder(), content(100));
        let store = open(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let id = runtime.block_on(begin(&store));
        let (body, drained) = endless(vec![bytes.clone()]);
        let mut first = Box::pin(store.append(&id, 0, body, now()));
        runtime.block_on(async {
            tokio::select! {
                ended = &mut first => panic!("{ended:?}"),
                () = drained.notified() => {}
            }
        });
        drop(runtime);
        drop(first);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(offset(&store, &id)), Some(100));
    }

    async fn drop_when_drained(store: &FilesystemBlobs, id: &UploadId, chunks: Vec<Bytes>) {
        let (body, drained) = endless(chunks);
        tokio::select! {
            ended = store.append(id, 0, body, now()) => panic!("{ended:?}"),
            () = drained.notified() => {}
        }
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn a_file_shorter_than_its_content_is_refused_before_a_byte_is_given() {
        let (folder, bytes) = (folder(), content(1000));
        let store = open(&folder);
        let stored = push(&store, &bytes).await;
        cut(&blob_path(&folder, &stored), 999);
        let kind = store.read(&stored.location, 0..1000).await.unwrap_err().kind();
        assert_eq!(kind, StoreErrorKind::Corrupt);
        let before = store.read(&stored.location, 0..999).await.unwrap().unwrap();
        assert_eq!(before.collect(1000).await.unwrap(), bytes.slice(..999));
    }

    #[tokio::test]
    async fn a_file_that_shrinks_while_it_is_read_is_an_error_and_no_end() {
        let (folder, bytes) = (folder(), content(1_000_000));
        let store = open(&folder);
        let stored = push(&store, &bytes).await;
        let mut body = store.read(&stored.location, 0..1_000_000).await.unwrap().unwrap();
        let first = body.next().await.unwrap().unwrap();
        assert!(first.len() < 500_000, "a reader holds little of it at a time");
        cut(&blob_path(&folder, &stored), 500_000);
        let mut given = first.len();
        let error = loop {
            match body.next().await.expect("it must not end cleanly") {
                Ok(chunk) => given += chunk.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(given, 500_000);
        assert!(
            matches!(&error, BodyError::Store(error) if error.kind() == StoreErrorKind::Corrupt),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn the_list_has_what_was_stored_and_nothing_else() {
        let folder = folder();
        let store = open(&folder);
        let mut expected = Vec::new();
        for length in 0..20 {
            let stored = push(&store, &content(length)).await;
            expected.push((stored.location, stored.size));
        }
        let blob = folder.path().join("blobs").join(expected[0].0.as_str());
        fs::write(blob.with_file_name("notes"), "somebody's").unwrap();
        // Content that is not where its name says it is cannot be named by a location.
        for misplaced in ["sha256/xx", "sha512/00"] {
            let misplaced = folder.path().join("blobs").join(misplaced);
            fs::create_dir_all(&misplaced).unwrap();
            fs::copy(&blob, misplaced.join(blob.file_name().unwrap())).unwrap();
        }
        let mut listed: Vec<_> =
            store.list().map_ok(|blob| (blob.location, blob.size)).try_collect().await.unwrap();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }
}

mod idling {
    use super::*;

    #[tokio::test]
    async fn every_idle_upload_is_found_once_however_many_there_are() {
        let folder = folder();
        let store = open(&folder);
        let mut expected = Vec::new();
        for number in 0..300 {
            let upload = Upload { begun: now() + TimeDelta::seconds(number), ..upload() };
            store.begin(&upload).await.unwrap();
            if number < 200 {
                expected.push(upload.id);
            }
        }
        let touched = expected.pop().unwrap();
        store.append(&touched, 0, content(1).into(), now() + TimeDelta::seconds(200)).await.unwrap();
        fs::write(folder.path().join("uploads/notes"), "somebody's").unwrap();
        let idle = store.idle_since(now() + TimeDelta::seconds(200));
        let mut idle: Vec<_> = idle.map_ok(|upload| upload.id).try_collect().await.unwrap();
        idle.sort();
        expected.sort();
        assert_eq!(idle, expected);
    }
}

mod hostile {
    use super::*;

    #[tokio::test]
    async fn a_location_that_is_none_of_ours_is_damage_and_leads_nowhere() {
        let folder = folder();
        let store = open(&folder);
        let stored = push(&store, &content(10)).await;
        fs::write(folder.path().join("secret"), "secret").unwrap();
        let hash = stored.digest.hex();
        for text in [
            "",
            "/",
            "secret",
            "../secret",
            "../../secret",
            "sha256/../../secret",
            &format!("sha256/..{}", stored.location),
            &format!("sha256/{}/{hash}", &hash[..2]),
            &format!("sha256/../{hash}.{}", UploadId::random()),
            &format!("{}/", stored.location),
            &format!("{}\0", stored.location),
            &folder.path().join("secret").to_string_lossy(),
        ] {
            let at = BlobLocation::new(text);
            for kind in [
                store.stat(&at).await.unwrap_err().kind(),
                store.read(&at, 0..1).await.unwrap_err().kind(),
                store.delete(&at).await.unwrap_err().kind(),
            ] {
                assert_eq!(kind, StoreErrorKind::Corrupt, "{text:?}");
            }
        }
        assert!(folder.path().join("secret").exists());
        assert!(store.stat(&stored.location).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_link_in_the_place_of_content_is_damage_and_not_followed() {
        let (folder, elsewhere) = (folder(), folder());
        let store = open(&folder);
        let stored = push(&store, &content(10)).await;
        let blob = blob_path(&folder, &stored);
        let secret = elsewhere.path().join(blob.file_name().unwrap());
        fs::write(&secret, "0123456789").unwrap();

        fs::remove_file(&blob).unwrap();
        symlink(&secret, &blob).unwrap();
        refused(&store, &stored).await;
        store.delete(&stored.location).await.unwrap();
        assert!(secret.exists());

        let prefix = blob.parent().unwrap();
        fs::remove_dir(prefix).unwrap();
        symlink(elsewhere.path(), prefix).unwrap();
        refused(&store, &stored).await;
        assert_eq!(store.delete(&stored.location).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
        assert!(secret.exists());
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_content_is_damage() {
        let folder = folder();
        let store = open(&folder);
        let stored = push(&store, &content(10)).await;
        fs::remove_file(blob_path(&folder, &stored)).unwrap();
        fs::create_dir(blob_path(&folder, &stored)).unwrap();
        refused(&store, &stored).await;
    }

    #[tokio::test]
    async fn a_link_in_the_place_of_an_upload_is_not_followed() {
        let (folder, elsewhere) = (folder(), folder());
        let store = open(&folder);
        let victim = elsewhere.path().join("victim");
        fs::write(&victim, "precious").unwrap();

        let id = begin(&store).await;
        symlink(&victim, bytes_path(&folder, &id)).unwrap();
        let appended = store.append(&id, 0, content(5).into(), now()).await;
        assert!(matches!(appended, Err(AppendError::Unknown)), "{appended:?}");

        let id = begin(&store).await;
        fs::rename(session_path(&folder, &id), elsewhere.path().join("session")).unwrap();
        symlink(elsewhere.path().join("session"), session_path(&folder, &id)).unwrap();
        assert_eq!(offset(&store, &id).await, None);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[tokio::test]
    async fn an_upload_whose_bytes_are_also_content_takes_no_more() {
        let (folder, bytes) = (folder(), content(10));
        let store = open(&folder);
        let id = begin(&store).await;
        append(&store, &id, 0, &bytes).await;
        fs::hard_link(bytes_path(&folder, &id), folder.path().join("content")).unwrap();
        let appended = store.append(&id, 10, content(5).into(), now()).await;
        assert!(matches!(appended, Err(AppendError::Unknown)), "{appended:?}");
        assert_eq!(fs::read(folder.path().join("content")).unwrap(), bytes);
    }

    async fn refused(store: &FilesystemBlobs, stored: &StoredBlob) {
        assert_eq!(store.stat(&stored.location).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
        assert_eq!(store.read(&stored.location, 0..1).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
    }
}

mod low_water {
    use super::*;

    #[tokio::test]
    async fn uploads_are_refused_first_and_everything_else_goes_on() {
        let folder = folder();
        let low_bytes = || FilesystemBlobs::options().low_water_inodes(0).low_water_bytes(u64::MAX);
        let low_inodes = || FilesystemBlobs::options().low_water_bytes(0).low_water_inodes(u64::MAX);
        for low in [low_bytes(), low_inodes()] {
            let bytes = content(100);
            let store = open(&folder);
            let stored = push(&store, &bytes).await;
            let (whole, half) = (begin(&store).await, begin(&store).await);
            append(&store, &whole, 0, &bytes).await;
            append(&store, &half, 0, &bytes.slice(..50)).await;
            drop(store);

            let store = low.open(folder.path()).unwrap();
            assert_eq!(store.probe().await.unwrap_err().kind(), StoreErrorKind::Full);
            assert_eq!(store.begin(&upload()).await.unwrap_err().kind(), StoreErrorKind::Full);
            full(store.append(&half, 50, bytes.slice(50..).into(), now()).await);
            assert_eq!(offset(&store, &half).await, Some(50));

            assert_eq!(read(&store, &stored).await, bytes);
            store.delete(&stored.location).await.unwrap();
            let stored = store.finish(&whole, &digest(&bytes)).await.unwrap();
            assert_eq!(read(&store, &stored).await, bytes);
            store.forget(&whole).await.unwrap();
            store.abandon(&half).await.unwrap();
            drop(store);

            open(&folder).probe().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_body_that_says_it_will_not_fit_is_refused_before_it_is_taken() {
        let folder = folder();
        let store = open(&folder);
        let options = FilesystemBlobs::options().low_water_bytes(1);
        let id = begin(&store).await;
        drop(store);
        let store = options.open(folder.path()).unwrap();
        let body = stream::poll_fn(|_| panic!("nothing of it is wanted"));
        full(store.append(&id, 0, ByteStream::new(body.boxed(), Some(u64::MAX)), now()).await);
        append(&store, &id, 0, &content(10)).await;
    }

    fn full(appended: Result<u64, AppendError>) {
        assert!(
            matches!(&appended, Err(AppendError::Store(error)) if error.kind() == StoreErrorKind::Full),
            "{appended:?}"
        );
    }
}

fn cut(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[test]
fn a_reader_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(FilesystemBlobs::options().low_water_bytes(0).open(folder.path()).unwrap());
    FilesystemReader::open(folder.path()).unwrap();
    let missing = folder.path().join("blobs/sha512");
    fs::remove_dir(&missing).unwrap();
    assert!(matches!(FilesystemReader::open(folder.path()), Err(OpenError::Io { .. })));
    assert!(!missing.exists());
}
