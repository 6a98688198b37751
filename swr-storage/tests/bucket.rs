//! The bucket store: the contracts, and what only buckets can have happen to them.
#![cfg(feature = "bucket")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

#[path = "bucket/flaky.rs"]
mod flaky;
#[path = "bucket/scrubbing.rs"]
mod scrubbing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use futures_util::{FutureExt as _, future};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::signer::{Method, Signer, Url};
use swr_core::caller::Caller;
use swr_core::commit::{BlobLocation, StoredBlob};
use swr_core::digest::{Algorithm, Digest};
use swr_core::ports::{
    AbandonError, AppendError, BlobStore as _, FinishError, ListedBlob, StoreErrorKind, UploadStore as _,
};
use swr_core::stream::ByteStream;
use swr_core::testing::minute;
use swr_core::upload::{Upload, UploadId};
use swr_storage::upload_sessions::UploadSession;
use swr_storage::{BucketBlobs, MemorySessions, UploadSessions};
use tokio::sync::mpsc;

use flaky::{Call, Flaky, FlakyBucket, FlakySessions, Goes};

mod contracts {
    use super::*;

    /// A bucket and what is remembered of its uploads: what outlives a process.
    struct Lasting {
        store: Arc<InMemory>,
        sessions: Arc<dyn UploadSessions>,
    }

    impl Lasting {
        fn new() -> Self {
            Self { store: Arc::default(), sessions: Arc::new(MemorySessions::new()) }
        }

        #[cfg(feature = "sqlite")]
        async fn with_sqlite() -> Self {
            let sqlite = swr_storage::SqliteStore::in_memory().await.unwrap();
            Self { sessions: Arc::new(sqlite), ..Self::new() }
        }

        fn open(&self, part_bytes: usize) -> BucketBlobs {
            BucketBlobs::options().part_bytes(part_bytes).open(self.store.clone(), self.sessions.clone())
        }
    }

    /// As it is opened where nothing is said.
    const WHOLE: usize = 5 << 20;
    /// So short that nearly everything has several.
    const SHORT: usize = 10_000;

    mod blobs {
        swr_core::blob_store_suite!(place = { super::Lasting::new() }, { place.open(super::WHOLE) });
    }

    mod uploads {
        swr_core::upload_store_suite!(place = { super::Lasting::new() }, { place.open(super::WHOLE) });
    }

    #[cfg(feature = "sqlite")]
    mod blobs_with_sqlite {
        swr_core::blob_store_suite!(place = { super::Lasting::with_sqlite().await }, {
            place.open(super::SHORT)
        });
    }

    #[cfg(feature = "sqlite")]
    mod uploads_with_sqlite {
        swr_core::upload_store_suite!(place = { super::Lasting::with_sqlite().await }, {
            place.open(super::SHORT)
        });
    }
}

/// A bucket and a keeper that fail when told, and stores that are open on them as if in processes of their own.
struct Place {
    flaky: Arc<Flaky>,
    bucket: FlakyBucket,
    sessions: Arc<FlakySessions>,
}

/// How long parts are here.
const PART: usize = 1000;

impl Place {
    fn new() -> Self {
        let flaky = Arc::default();
        Self { bucket: FlakyBucket::new(&flaky), sessions: Arc::new(FlakySessions::new(&flaky)), flaky }
    }

    fn open(&self) -> BucketBlobs {
        BucketBlobs::options().part_bytes(PART).open(Arc::new(self.bucket.clone()), self.sessions.clone())
    }

    /// What is remembered of an upload.
    async fn record(&self, id: &UploadId) -> String {
        self.sessions.find(id).await.unwrap().unwrap().record
    }

    /// Nothing is left in the bucket, and nothing was done to it that must not be.
    #[track_caller]
    fn assert_empty(&self) {
        let keys = self.bucket.keys().now_or_never().unwrap();
        assert_eq!(keys, [] as [String; 0]);
        assert_eq!(self.bucket.multiparts(), 0, "multipart uploads are left");
        assert_eq!(self.bucket.abuses(), [] as [String; 0]);
    }
}

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

fn upload() -> Upload {
    Upload {
        id: UploadId::random(),
        repository: "library/hello".parse().unwrap(),
        owner: Caller::Anonymous,
        algorithm: Algorithm::Sha256,
        begun: minute(0),
        offset: 0,
    }
}

async fn begin(store: &BucketBlobs) -> UploadId {
    let upload = upload();
    store.begin(&upload).await.unwrap();
    upload.id
}

async fn offset(store: &BucketBlobs, id: &UploadId) -> Option<u64> {
    store.find(id).await.unwrap().map(|upload| upload.offset)
}

async fn append(store: &BucketBlobs, id: &UploadId, offset: usize, bytes: Bytes) {
    let answered = store.append(id, offset as u64, bytes.clone().into(), minute(1)).await.unwrap();
    assert_eq!(answered as usize, offset + bytes.len());
}

/// Brings the content in appends of these lengths.
async fn push(store: &BucketBlobs, content: &Bytes, lengths: &[usize]) -> StoredBlob {
    assert_eq!(lengths.iter().sum::<usize>(), content.len());
    let id = begin(store).await;
    let mut at = 0;
    for length in lengths {
        append(store, &id, at, content.slice(at..at + length)).await;
        at += length;
    }
    let stored = store.finish(&id, &digest(content)).await.unwrap();
    store.forget(&id).await.unwrap();
    stored
}

async fn read(store: &BucketBlobs, stored: &StoredBlob) -> Bytes {
    let body = store.read(&stored.location, 0..stored.size).await.unwrap().unwrap();
    body.collect(usize::MAX).await.unwrap()
}

async fn listed(store: &BucketBlobs) -> BTreeMap<BlobLocation, u64> {
    let all: Vec<ListedBlob> = store.list().try_collect().await.unwrap();
    let count = all.len();
    let listed: BTreeMap<_, _> = all.into_iter().map(|stat| (stat.location, stat.size)).collect();
    assert_eq!(listed.len(), count, "something is listed twice");
    listed
}

/// A body that gives what it is handed.
fn fed() -> (mpsc::UnboundedSender<Bytes>, ByteStream) {
    let (feed, incoming) = mpsc::unbounded_channel();
    let chunks = stream::unfold(incoming, |mut incoming| async move {
        incoming.recv().await.map(|chunk| (Ok(chunk), incoming))
    });
    (feed, ByteStream::new(chunks.boxed(), None))
}

/// Polls an append until whatever it could do is done.
async fn let_run(append: &mut (impl Future<Output = Result<u64, AppendError>> + Unpin)) {
    for _ in 0..500 {
        assert!((&mut *append).now_or_never().is_none(), "the append has ended");
        tokio::task::yield_now().await;
    }
}

/// In another process than the one that had it first.
mod two_processes {
    use super::*;

    /// Of another version, which came between the look and the name.
    #[tokio::test]
    async fn a_later_format_that_is_named_at_the_same_moment_is_seen() {
        let place = Place::new();
        let bucket = place.bucket.clone();
        place.flaky.plan(move |call, key| {
            if (call, key) == (Call::Put, "format/1") {
                bucket.plant("format/2", b"").now_or_never().unwrap();
            }
            Goes::Well
        });
        let upload = upload();
        let refusal = place.open().begin(&upload).await.unwrap_err();
        assert_eq!(refusal.kind(), StoreErrorKind::Other);
        assert!(place.sessions.kept(&upload.id).is_none());
    }

    /// The second is not kept waiting by a first that may be dead; whoever ends first wins.
    #[tokio::test]
    async fn of_two_appenders_the_first_to_end_wins_and_nothing_is_left_of_the_other() {
        for length in [PART / 2, 5 * PART] {
            let place = Place::new();
            let (one, other) = (place.open(), place.open());
            let content = content(length);
            let id = begin(&one).await;
            let (feed, body) = fed();
            let mut first = one.append(&id, 0, body, minute(1));
            feed.send(content.slice(..length - 1)).unwrap();
            let_run(&mut first).await;

            append(&other, &id, 0, content.clone()).await;
            drop(feed);
            match first.await {
                Err(AppendError::Offset { offset }) => assert_eq!(offset as usize, length),
                outcome => panic!("the first should have lost: {outcome:?}"),
            }
            let stored = other.finish(&id, &digest(&content)).await.unwrap();
            one.forget(&id).await.unwrap();
            assert!(read(&one, &stored).await == content);
            assert_eq!(place.bucket.keys().await.len(), 1);
            one.delete(&stored.location).await.unwrap();
            place.assert_empty();
        }
    }

    #[tokio::test]
    async fn an_upload_that_is_removed_under_an_append_leaves_nothing() {
        for length in [PART / 2, 5 * PART] {
            let place = Place::new();
            let (one, other) = (place.open(), place.open());
            let id = begin(&one).await;
            append(&one, &id, 0, content(10)).await;
            let (feed, body) = fed();
            let mut first = one.append(&id, 10, body, minute(1));
            feed.send(content(length)).unwrap();
            let_run(&mut first).await;

            other.abandon(&id).await.unwrap();
            drop(feed);
            // Where its parts were taken from it, it is the store that it hears of first.
            let outcome = first.await;
            assert!(matches!(outcome, Err(AppendError::Unknown | AppendError::Store(_))), "{outcome:?}");
            assert_eq!(offset(&one, &id).await, None);
            place.assert_empty();
        }
    }

    #[tokio::test]
    async fn an_upload_that_is_finished_under_an_append_stays_as_it_was_finished() {
        let place = Place::new();
        let (one, other) = (place.open(), place.open());
        let content = content(10);
        let id = begin(&one).await;
        append(&one, &id, 0, content.clone()).await;
        let (feed, body) = fed();
        let mut first = one.append(&id, 10, body, minute(1));
        feed.send(content.clone()).unwrap();
        let_run(&mut first).await;

        let stored = other.finish(&id, &digest(&content)).await.unwrap();
        drop(feed);
        assert!(matches!(first.await, Err(AppendError::Unknown)));
        assert_eq!(one.finish(&id, &digest(&content)).await.unwrap(), stored);
        assert!(read(&one, &stored).await == content);
        one.forget(&id).await.unwrap();
        one.delete(&stored.location).await.unwrap();
        place.assert_empty();
    }

    /// With faults in between. Each of them goes on where it finds the upload.
    #[tokio::test]
    async fn many_that_bring_the_same_agree_on_one() {
        for seed in 0..100u64 {
            let place = Place::new();
            let content = content(7 * PART + 77);
            let id = begin(&place.open()).await;
            let mut state = seed;
            place.flaky.plan(move |_, _| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                match state >> 58 {
                    0 => Goes::Unheard,
                    1 => Goes::Unanswered,
                    _ => Goes::Well,
                }
            });
            let stored = future::join_all(
                (1..=4)
                    .map(async |appends| bring(&place.open(), &id, &content, content.len() / appends).await),
            );
            let mut stored = stored.await;
            stored.dedup();
            let [stored] = stored.as_slice() else { panic!("seed {seed}: several places: {stored:?}") };
            place.flaky.recover();
            let store = place.open();
            assert!(read(&store, stored).await == content, "seed {seed}");
            assert_eq!(listed(&store).await, [(stored.location.clone(), stored.size)].into());
            store.forget(&id).await.unwrap();
            assert_eq!(listed(&store).await, [(stored.location.clone(), stored.size)].into());
            store.delete(&stored.location).await.unwrap();
            place.assert_empty();
        }
    }
}

/// Brings the content as a client does that asks where it stands after each fault.
async fn bring(store: &BucketBlobs, id: &UploadId, content: &Bytes, length: usize) -> StoredBlob {
    for _ in 0..1000 {
        let Ok(Some(upload)) = store.find(id).await else { continue };
        let at = upload.offset as usize;
        if at < content.len() {
            let next = content.slice(at..content.len().min(at + length));
            let _ = store.append(id, upload.offset, next.into(), minute(1)).await;
        } else if let Ok(stored) = store.finish(id, &digest(content)).await {
            return stored;
        }
    }
    panic!("it does not come to an end");
}

mod faults {
    use super::*;

    /// Of the bucket and of the keeper of sessions, alone and in a row, heard or not: a client that goes on
    /// comes to its end, what it was told is true, and nothing is left behind.
    #[tokio::test]
    async fn at_each_call_cost_nothing_but_another_try() {
        let content = content(12 * PART + 345);
        let lengths = |at: usize| {
            if at == 0 {
                3 * PART + 1
            } else if at < 5 * PART {
                100
            } else {
                4 * PART
            }
        };
        let mut calls_most = usize::MAX;
        for goes in [Goes::Unheard, Goes::Unanswered] {
            for in_a_row in [1, 4] {
                for first in 0.. {
                    if first >= calls_most {
                        break;
                    }
                    let place = Place::new();
                    let store = place.open();
                    let id = begin(&store).await;
                    let mut call = 0;
                    place.flaky.plan(move |_, _| {
                        call += 1;
                        if (first..first + in_a_row).contains(&(call - 1)) { goes } else { Goes::Well }
                    });
                    place.flaky.take_calls();
                    let stored = loop {
                        let Ok(Some(upload)) = store.find(&id).await else { continue };
                        let at = upload.offset as usize;
                        let next = content.slice(at..content.len().min(at + lengths(at)));
                        if next.is_empty() {
                            if let Ok(stored) = store.finish(&id, &digest(&content)).await {
                                break stored;
                            }
                        } else {
                            match store.append(&id, upload.offset, next.clone().into(), minute(1)).await {
                                Ok(answered) => assert_eq!(answered as usize, at + next.len()),
                                Err(AppendError::Store(_)) => {}
                                Err(other) => panic!("{other:?}"),
                            }
                        }
                    };
                    while store.forget(&id).await.is_err() {}
                    if first == 0 {
                        // One more, so that the run without a fault is among them.
                        calls_most = calls_most.min(place.flaky.take_calls().len() + 1);
                    }
                    place.flaky.recover();
                    let which = format!("{goes:?} {in_a_row} times from call {first}");
                    assert!(read(&store, &stored).await == content, "{which}");
                    assert_eq!(
                        listed(&store).await,
                        [(stored.location.clone(), stored.size)].into(),
                        "{which}"
                    );
                    store.delete(&stored.location).await.unwrap();
                    assert_eq!(place.bucket.keys().await, [] as [String; 0], "{which}");
                    place.assert_empty();
                }
            }
        }
    }
}

/// What a process that ends in the middle leaves, and who removes it.
mod crashes {
    use super::*;

    /// Everything fails from the first call of this kind on, as it does for a process that is no more.
    fn end_at(place: &Place, last: Call, goes: Goes) {
        let mut ended = false;
        place.flaky.plan(move |call, _| {
            if !ended && call == last {
                ended = true;
                return goes;
            }
            if ended { Goes::Unheard } else { Goes::Well }
        });
    }

    /// The name is in the session before anything is in the bucket, whatever is written.
    #[tokio::test]
    async fn nothing_is_written_that_the_session_does_not_name() {
        let place = Place::new();
        let sessions = place.sessions.clone();
        let (store, content) = (place.open(), content(9 * PART));
        let unnamed = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicUsize::new(0));
        place.flaky.plan({
            let (unnamed, seen) = (unnamed.clone(), seen.clone());
            move |call, key| {
                let Some((folder, name)) = key.rsplit_once('/') else { return Goes::Well };
                let Some((_, id)) = folder.rsplit_once('/') else { return Goes::Well };
                let id = UploadId::parse(id);
                if let (Call::Put | Call::Create | Call::Part, Ok(id)) = (call, id) {
                    let kept = sessions.kept(&id);
                    let record = kept.map(|session| session.record).unwrap_or_default();
                    let named = match name.strip_suffix(".index") {
                        Some(number) => record.contains(&format!(r#"{{"index":{number}}}"#)),
                        None => record.contains(&format!(r#"{{"segment":{name}}}"#)),
                    };
                    let in_session = call != Call::Part || !record.contains(r#""multipart":null"#);
                    seen.fetch_add(1, Ordering::SeqCst);
                    unnamed.fetch_add(usize::from(!named || !in_session), Ordering::SeqCst);
                }
                Goes::Well
            }
        });
        push(&store, &Bytes::new(), &[]).await;
        push(&store, &content, &[10, 4 * PART, 5 * PART - 10]).await;
        // Nothing, the short one, two with their beginning and their parts, and the index.
        assert_eq!(seen.load(Ordering::SeqCst), 1 + 1 + (1 + 4) + (1 + 5) + 1);
        assert_eq!(unnamed.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn what_an_append_left_goes_with_the_upload() {
        use Call::*;
        for (length, last) in [
            (10, Put),
            (10, Save),
            (5 * PART, Create),
            (5 * PART, Part),
            (5 * PART, Complete),
            (5 * PART, Save),
        ] {
            for goes in [Goes::Unheard, Goes::Unanswered] {
                for finished in [false, true] {
                    let place = Place::new();
                    let store = place.open();
                    let content = content(100);
                    let id = begin(&store).await;
                    append(&store, &id, 0, content.clone()).await;
                    end_at(&place, last, goes);
                    let outcome = store.append(&id, 100, self::content(length).into(), minute(1)).await;
                    assert!(matches!(outcome, Err(AppendError::Store(_))), "{outcome:?}");
                    drop(store);

                    place.flaky.recover();
                    let store = place.open();
                    assert_eq!(offset(&store, &id).await, Some(100), "{last:?} {goes:?}");
                    if finished {
                        let stored = store.finish(&id, &digest(&content)).await.unwrap();
                        store.forget(&id).await.unwrap();
                        assert_eq!(place.bucket.keys().await.len(), 1, "{last:?} {goes:?}");
                        assert!(read(&store, &stored).await == content);
                        store.delete(&stored.location).await.unwrap();
                    } else {
                        store.abandon(&id).await.unwrap();
                    }
                    place.assert_empty();
                }
            }
        }
    }

    /// So that a client that fails for ever fills neither the session nor the bucket.
    #[tokio::test]
    async fn what_many_appends_left_is_removed_before_it_is_too_much() {
        let place = Place::new();
        let store = place.open();
        let id = begin(&store).await;
        append(&store, &id, 0, content(100)).await;
        for _ in 0..200 {
            place.flaky.plan(|call, _| if call == Call::Complete { Goes::Unheard } else { Goes::Well });
            store.append(&id, 100, content(3 * PART).into(), minute(1)).await.unwrap_err();
            place.flaky.recover();
            assert!(place.bucket.multiparts() <= 17, "{} are left", place.bucket.multiparts());
            assert!(place.record(&id).await.len() < 8000);
        }
        store.abandon(&id).await.unwrap();
        place.assert_empty();
    }

    /// Until it is done, the upload is unknown, and is found by the sweep.
    #[tokio::test]
    async fn a_removal_that_stopped_halfway_is_taken_up() {
        let place = Place::new();
        let store = place.open();
        let id = begin(&store).await;
        for at in 0..3 {
            append(&store, &id, at * 10, content(10)).await;
        }
        place.flaky.plan(|call, _| if call == Call::Delete { Goes::Unheard } else { Goes::Well });
        let outcome = store.abandon(&id).await;
        assert!(matches!(outcome, Err(AbandonError::Store(_))), "{outcome:?}");
        place.flaky.recover();

        let store = place.open();
        assert_eq!(offset(&store, &id).await, None);
        let outcome = store.append(&id, 30, content(10).into(), minute(2)).await;
        assert!(matches!(outcome, Err(AppendError::Unknown)), "{outcome:?}");
        let outcome = store.finish(&id, &digest(b"")).await;
        assert!(matches!(outcome, Err(FinishError::Unknown)), "{outcome:?}");
        let idle: Vec<_> =
            store.idle_since(minute(9)).map_ok(|upload| upload.id).try_collect().await.unwrap();
        assert_eq!(idle, std::slice::from_ref(&id));
        store.abandon(&id).await.unwrap();
        assert_eq!(store.idle_since(minute(9)).count().await, 0);
        place.assert_empty();
    }

    /// The bytes that came by then are written and counted, in whatever they were in the middle of.
    #[tokio::test]
    async fn an_append_that_is_dropped_keeps_what_came() {
        for length in [PART / 2, 5 * PART] {
            let place = Place::new();
            let store = place.open();
            let content = content(length);
            let id = begin(&store).await;
            let (feed, body) = fed();
            let mut first = store.append(&id, 0, body, minute(1));
            feed.send(content.clone()).unwrap();
            let_run(&mut first).await;
            drop(first);
            assert_eq!(offset(&store, &id).await, Some(length as u64));
            store.finish(&id, &digest(&content)).await.unwrap();
        }
    }
}

mod errors {
    use super::*;

    /// Nor is a bucket that is gone, in which nothing is found either.
    #[tokio::test]
    async fn a_store_that_fails_is_never_absence() {
        let place = Place::new();
        let store = place.open();
        let content = content(3 * PART);
        let one = push(&store, &content, &[3 * PART]).await;
        let several = push(&store, &content, &[PART, 2 * PART]).await;
        for (goes, kind) in
            [(Goes::Unheard, StoreErrorKind::Unavailable), (Goes::Nowhere, StoreErrorKind::Other)]
        {
            place.flaky.plan(move |_, _| goes);
            for stored in [&one, &several] {
                assert_eq!(store.stat(&stored.location).await.unwrap_err().kind(), kind);
                assert_eq!(store.read(&stored.location, 0..10).await.unwrap_err().kind(), kind);
                assert_eq!(store.read(&stored.location, 5..5).await.unwrap_err().kind(), kind);
                assert_eq!(store.delete(&stored.location).await.unwrap_err().kind(), kind);
            }
            assert_eq!(store.list().try_collect::<Vec<_>>().await.unwrap_err().kind(), kind);
            assert_eq!(store.probe().await.unwrap_err().kind(), kind);
        }
        // One that finds nothing where it lists something is in trouble.
        place.flaky.plan(|call, _| if call == Call::List { Goes::Well } else { Goes::Nowhere });
        let kind = StoreErrorKind::Unavailable;
        for stored in [&one, &several] {
            assert_eq!(store.stat(&stored.location).await.unwrap_err().kind(), kind);
            assert_eq!(store.read(&stored.location, 0..10).await.unwrap_err().kind(), kind);
            assert_eq!(store.delete(&stored.location).await.unwrap_err().kind(), kind);
        }
        place.flaky.recover();
        assert!(read(&store, &one).await == content);
        assert!(read(&store, &several).await == content);
    }

    /// Objects come whole or not at all, so that the length tells: the parts need not be sent again.
    #[tokio::test]
    async fn parts_that_became_an_object_count_when_the_answer_was_lost() {
        let place = Place::new();
        let store = place.open();
        place.flaky.plan(|call, _| if call == Call::Complete { Goes::Unanswered } else { Goes::Well });
        let content = content(5 * PART);
        let stored = push(&store, &content, &[5 * PART]).await;
        assert!(read(&store, &stored).await == content);
    }

    /// The object is not touched then, for it may count.
    #[tokio::test]
    async fn a_count_of_which_nobody_knows_costs_no_bytes() {
        let place = Place::new();
        let store = place.open();
        let content = content(3 * PART);
        let id = begin(&store).await;
        append(&store, &id, 0, content.slice(..10)).await;
        let mut saves = 0;
        place.flaky.plan(move |call, _| {
            saves += usize::from(call == Call::Save);
            // The reservation, the multipart upload, the count.
            match (saves, call) {
                (3, Call::Save) => Goes::Unanswered,
                (3, _) => Goes::Unheard,
                _ => Goes::Well,
            }
        });
        let outcome = store.append(&id, 10, content.slice(10..).into(), minute(1)).await;
        assert!(matches!(outcome, Err(AppendError::Store(_))), "{outcome:?}");
        place.flaky.recover();
        assert_eq!(offset(&store, &id).await, Some(3 * PART as u64));
        let stored = store.finish(&id, &digest(&content)).await.unwrap();
        store.forget(&id).await.unwrap();
        assert!(read(&store, &stored).await == content);
    }

    #[tokio::test]
    async fn content_of_another_length_than_was_stored_is_damage() {
        for (length, bytes) in [(3, &b"four"[..]), (5, b"four")] {
            let place = Place::new();
            let store = place.open();
            let id = UploadId::random();
            place.bucket.plant(&format!("blobs/{}/{id}/2", &id.as_str()[..2]), bytes).await;
            let location = BlobLocation::new(format!("{id}/2-{length}"));
            let kind = StoreErrorKind::Corrupt;
            assert_eq!(store.stat(&location).await.unwrap_err().kind(), kind);
            assert_eq!(store.read(&location, 0..2).await.unwrap_err().kind(), kind);
            assert_eq!(store.read(&location, 0..9).await.unwrap_err().kind(), kind);
        }
    }

    #[tokio::test]
    async fn what_is_no_location_is_damage_in_the_facts() {
        let store = Place::new().open();
        let location = BlobLocation::new("../../etc/passwd");
        assert_eq!(store.stat(&location).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
        assert_eq!(store.read(&location, 0..0).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
        assert_eq!(store.delete(&location).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn a_session_that_is_no_session_is_damage() {
        let place = Place::new();
        let id = UploadId::random();
        let torn = UploadSession { id: id.clone(), version: 1, touched: minute(0), record: "{".into() };
        assert!(place.sessions.save(&torn).await.unwrap());
        let store = place.open();
        assert_eq!(store.find(&id).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
        let idle: Vec<_> = store.idle_since(minute(9)).collect().await;
        let [Err(error)] = idle.as_slice() else { panic!("{idle:?}") };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }
}

mod segments {
    use super::*;

    /// However many appends there are, and however small: few objects, the same bytes.
    #[tokio::test]
    async fn small_ones_are_folded_into_few() {
        let place = Place::new();
        let store = place.open();
        let content = content(3000);
        let id = begin(&store).await;
        for at in 0..600 {
            append(&store, &id, at * 5, content.slice(at * 5..at * 5 + 5)).await;
            let keys = place.bucket.keys().await.len();
            assert!(keys <= 80, "{keys} objects after {at} appends");
        }
        let stored = store.finish(&id, &digest(&content)).await.unwrap();
        store.forget(&id).await.unwrap();
        let segments = stored.location.as_str().matches('-').count();
        assert!((2..=40).contains(&segments), "{segments} segments");
        assert_eq!(
            place.bucket.keys().await.len(),
            segments + 1,
            "the segments and their index are there alone"
        );
        for start in (0..3000).step_by(61) {
            for end in (start..3000).step_by(67) {
                let body = store.read(&stored.location, start..end).await.unwrap().unwrap();
                let expected = content.slice(start as usize..end as usize);
                assert_eq!(body.collect(usize::MAX).await.unwrap(), expected, "{start}..{end}");
            }
        }
        store.delete(&stored.location).await.unwrap();
        place.assert_empty();
    }

    /// Each within what a store takes: 10 000 parts.
    #[tokio::test]
    async fn an_append_may_be_longer_than_a_segment() {
        let place = Place::new();
        let options = BucketBlobs::options().part_bytes(7);
        let store = options.open(Arc::new(place.bucket.clone()), place.sessions.clone());
        let content = content(2 * 70_000 + 1);
        let stored = push(&store, &content, &[2 * 70_000 + 1]).await;
        let (_, segments) = stored.location.as_str().split_once(':').unwrap();
        let lengths: Vec<_> = segments.split(',').map(|segment| segment.split_once('-').unwrap().1).collect();
        assert_eq!(lengths, ["70000", "70000", "1"]);
        assert!(read(&store, &stored).await == content);
        let one = push(&store, &content.slice(..70_000), &[70_000]).await;
        assert!(!one.location.as_str().contains(','), "{}", one.location);
    }

    /// What has been hashed and written once is not read to be finished.
    #[tokio::test]
    async fn nothing_is_read_back_unless_another_algorithm_is_named() {
        let place = Place::new();
        let content = content(5 * PART);
        for (algorithm, reads) in [(Algorithm::Sha256, 0), (Algorithm::Sha512, 2)] {
            let store = place.open();
            let id = begin(&store).await;
            append(&store, &id, 0, content.slice(..10)).await;
            drop(store);
            let store = place.open();
            append(&store, &id, 10, content.slice(10..)).await;
            place.flaky.take_calls();
            store.finish(&id, &algorithm.digest(&content)).await.unwrap();
            let calls = place.flaky.take_calls();
            assert_eq!(calls.iter().filter(|call| **call == Call::Get).count(), reads, "{calls:?}");
        }
    }

    /// A state that a later version saved is not understood, and not needed.
    #[tokio::test]
    async fn a_hash_state_that_is_not_ours_costs_reading_the_bytes_again() {
        let place = Place::new();
        let store = place.open();
        let content = content(5 * PART);
        let id = begin(&store).await;
        append(&store, &id, 0, content.slice(..3 * PART)).await;
        let mut session = place.sessions.find(&id).await.unwrap().unwrap();
        session.version += 1;
        session.record = session.record.replace("sha2-0.11", "sha2-9.99");
        assert!(session.record.contains("sha2-9.99"));
        assert!(place.sessions.save(&session).await.unwrap());
        append(&store, &id, 3 * PART, content.slice(3 * PART..)).await;
        store.finish(&id, &digest(&content)).await.unwrap();
    }

    /// Of all appends together, however long they are.
    #[tokio::test]
    async fn no_more_parts_are_on_their_way_than_was_said() {
        let place = Place::new();
        let options = BucketBlobs::options().part_bytes(PART).parts_at_once(3);
        let store = options.open(Arc::new(place.bucket.clone()), place.sessions.clone());
        let content = content(20 * PART);
        future::join_all((0..5).map(async |_| push(&store, &content, &[20 * PART]).await)).await;
        assert_eq!(place.bucket.parts_most(), 3);
    }
}

mod reading {
    use super::*;

    /// As often as a connection breaks, if each has brought something; from where it broke.
    #[tokio::test]
    async fn a_connection_that_breaks_is_followed_by_another() {
        let place = Place::new();
        let store = place.open();
        let content = content(5 * PART);
        let stored = push(&store, &content, &[2 * PART, 3 * PART]).await;
        place.flaky.plan(|call, _| if call == Call::Get { Goes::BreaksOff(700) } else { Goes::Well });
        assert!(read(&store, &stored).await == content);

        place.flaky.plan(|call, _| if call == Call::Get { Goes::BreaksOff(0) } else { Goes::Well });
        let body = store.read(&stored.location, 0..stored.size).await.unwrap().unwrap();
        body.collect(usize::MAX).await.unwrap_err();
    }

    #[derive(Debug)]
    struct Signs;

    #[async_trait]
    impl Signer for Signs {
        async fn signed_url(&self, method: Method, key: &Path, life: Duration) -> object_store::Result<Url> {
            let address = format!("https://bucket.example/{key}?{method}&{}", life.as_secs());
            Ok(Url::parse(&address).unwrap())
        }
    }

    #[tokio::test]
    async fn an_address_is_signed_for_content_in_one_segment() {
        let place = Place::new();
        let options = BucketBlobs::options().part_bytes(PART).address_life(Duration::from_secs(77));
        let open = |options: swr_storage::bucket::BucketOptions| {
            options.open(Arc::new(place.bucket.clone()), place.sessions.clone())
        };
        let (unsigned, signed) = (open(options.clone()), open(options.signer(Arc::new(Signs))));
        let content = content(3 * PART);
        let one = push(&signed, &content, &[3 * PART]).await;
        let several = push(&signed, &content, &[PART, 2 * PART]).await;
        let nothing = push(&signed, &Bytes::new(), &[]).await;

        for stored in [&one, &nothing] {
            let address = signed.direct_url(&stored.location).await.unwrap().unwrap();
            let key =
                address.strip_prefix("https://bucket.example/").unwrap().strip_suffix("?GET&77").unwrap();
            assert!(place.bucket.keys().await.iter().any(|there| there == key), "{address}");
        }
        assert_eq!(signed.direct_url(&several.location).await.unwrap(), None);
        assert_eq!(unsigned.direct_url(&one.location).await.unwrap(), None);
    }

    #[tokio::test]
    async fn garbage_waits_for_readers_and_for_addresses() {
        let place = Place::new();
        let (minutes, hours) = (Duration::from_secs(60), Duration::from_secs(3600));
        let hold = |options: swr_storage::bucket::BucketOptions| {
            options.open(Arc::new(place.bucket.clone()), place.sessions.clone()).reader_hold()
        };
        let options = || BucketBlobs::options().reader_hold(7 * minutes).address_life(2 * hours);
        assert_eq!(hold(options()), 7 * minutes);
        assert_eq!(hold(options().signer(Arc::new(Signs))), 2 * hours);
        assert!(!hold(BucketBlobs::options()).is_zero());
    }
}

mod listing {
    use super::*;

    fn at(stored: &StoredBlob) -> (BlobLocation, u64) {
        (stored.location.clone(), stored.size)
    }

    /// Each by its location, so that whoever removes what nobody names removes nothing else.
    #[tokio::test]
    async fn what_nobody_counts_is_listed_by_itself() {
        let place = Place::new();
        let store = place.open();
        let content = content(3 * PART);
        let one = push(&store, &content, &[3 * PART]).await;
        let several = push(&store, &content, &[PART, 2 * PART]).await;
        let lost = UploadId::random();
        let folder = |id: &str| format!("blobs/{}/{id}", &id[..2]);
        let of = |stored: &StoredBlob| folder(stored.location.as_str().split_once('/').unwrap().0);
        place.bucket.plant(&format!("{}/7", folder(lost.as_str())), b"late").await;
        place.bucket.plant(&format!("{}/1000", of(&one)), b"later").await;
        place.bucket.plant(&format!("{}/1000", of(&several)), b"latest").await;
        for foreign in ["README", "blobs/README", "blobs/00/README", "blobs/00/zz/1", "blobs/zz/x"] {
            place.bucket.plant(foreign, b"not ours").await;
        }
        place.bucket.plant(&format!("{}/note", of(&one)), b"not ours").await;

        let stray = |of: &BlobLocation, number, size| {
            let id = of.as_str().split_once('/').unwrap().0;
            (BlobLocation::new(format!("{id}/{number}-{size}")), size)
        };
        let lost = stray(&BlobLocation::new(format!("{lost}/")), 7, 4);
        let later = stray(&one.location, 1000, 5);
        let latest = stray(&several.location, 1000, 6);
        let expected = [at(&one), at(&several), lost.clone(), later.clone(), latest.clone()];
        assert_eq!(listed(&store).await, expected.into());
        for (location, _) in [&lost, &later, &latest] {
            store.delete(location).await.unwrap();
        }
        assert_eq!(listed(&store).await, [at(&one), at(&several)].into());
        assert!(read(&store, &one).await == content);
        assert!(read(&store, &several).await == content);
    }

    /// Nothing is taken away for what a list does not say: at worst something stays.
    #[tokio::test]
    async fn a_list_that_ends_early_costs_no_content() {
        for after in 0..3 {
            let place = Place::new();
            let store = place.open();
            let content = content(3 * PART);
            let gone = push(&store, &content, &[3 * PART]).await;
            let several = push(&store, &content, &[PART, 2 * PART]).await;
            let left = begin(&store).await;
            append(&store, &left, 0, content.slice(..PART)).await;
            let whole = place.bucket.keys().await;
            place.flaky.plan(move |call, _| match call {
                Call::List => Goes::BreaksOff(after),
                _ => Goes::Well,
            });
            let listed = store.list().collect::<Vec<_>>().await;
            // Parts may look like content of their own, and are known as parts of it.
            let all = [&gone, &several].map(|stored| store.kin(&stored.location));
            let is_part = |blob: &ListedBlob| all.contains(&store.kin(&blob.location));
            assert!(listed.iter().flatten().all(is_part), "{listed:?}");
            let _ = store.abandon(&left).await;
            store.delete(&gone.location).await.unwrap();
            let later = push(&store, &content, &[PART, 2 * PART]).await;
            place.flaky.recover();
            for stored in [&several, &later] {
                assert!(read(&store, stored).await == content, "{after}");
            }
            assert!(store.stat(&gone.location).await.unwrap().is_none());
            let kept = place.bucket.keys().await;
            let lost = whole.iter().filter(|key| !kept.contains(key)).count();
            assert!((1..=2).contains(&lost), "what was deleted, and at most what was abandoned: {lost}");
        }
    }

    /// Not what is left of an append, nor what one is about to write, nor content of which a part is gone.
    #[tokio::test]
    async fn what_is_kept_is_what_the_session_says() {
        let place = Place::new();
        let store = place.open();
        let content = content(30);
        let id = begin(&store).await;
        append(&store, &id, 0, content.slice(..10)).await;
        place.flaky.plan(|call, _| if call == Call::Put { Goes::Unanswered } else { Goes::Well });
        store.append(&id, 10, content.slice(10..).into(), minute(1)).await.unwrap_err();
        place.flaky.recover();
        assert_eq!(place.bucket.keys().await.len(), 2);
        assert_eq!(listed(&store).await, [].into());
        append(&store, &id, 10, content.slice(10..)).await;
        let stored = store.finish(&id, &digest(&content)).await.unwrap();
        assert_eq!(listed(&store).await, [at(&stored)].into());
        store.forget(&id).await.unwrap();
        assert_eq!(listed(&store).await, [at(&stored)].into());
    }
}
