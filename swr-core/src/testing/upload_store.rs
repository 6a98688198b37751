//! The [`UploadStore`] contract, one clause a function. What is finished is looked for in the [`BlobStore`].

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::{Either, join_all, select};
use futures_util::{StreamExt, TryStreamExt, stream};
use swr_policy::RepositoryName;
use tokio::sync::Notify;

use super::minute;
use crate::caller::{Caller, Identity};
use crate::commit::StoredBlob;
use crate::digest::Algorithm;
use crate::ports::{AbandonError, AppendError, BlobStore, FinishError, UploadStore};
use crate::stream::{BodyError, ByteStream};
use crate::upload::{Upload, UploadId};

#[doc(hidden)]
#[macro_export]
macro_rules! upload_store_clauses {
    ($stamp:path, $($opening:tt)*) => {
        $stamp! {
            $crate::testing::upload_store,
            [
                an_upload_is_what_was_begun
                what_nobody_began_is_unknown
                uploads_do_not_know_each_other
                a_body_may_come_in_chunks_of_any_size
                content_may_come_in_appends_of_any_size
                a_body_may_be_large
                a_refused_offset_changes_nothing
                what_came_before_a_body_broke_off_stays
                the_fault_of_a_body_is_passed_on
                there_is_one_appender_at_a_time
                an_append_that_is_dropped_leaves_an_exact_offset
                a_finish_that_is_dropped_can_be_repeated
                finishing_again_answers_the_same
                finishing_with_another_digest_is_refused
                a_wrong_digest_leaves_the_upload_as_it_was
                an_algorithm_may_be_named_at_the_end
                empty_content_can_be_finished
                no_location_is_given_twice
                the_same_content_can_be_brought_by_many_at_once
                a_finished_upload_takes_no_more
                forgetting_an_upload_leaves_what_it_finished
                an_unfinished_upload_can_be_abandoned
                a_finished_upload_is_not_abandoned
                uploads_are_idle_since_their_last_byte
                a_store_at_rest_would_take_an_upload
            ],
            [
                an_upload_resumes_after_reopening
                a_finished_upload_is_known_after_reopening
            ],
            $($opening)*
        }
    };
}

/// What the clauses need of a store.
pub trait Bytestore: BlobStore + UploadStore {}

impl<S: BlobStore + UploadStore> Bytestore for S {}

/// Content that looks like none other of another length, and has no pattern that a mistake could hide in.
pub(super) fn content(length: usize) -> Bytes {
    let mut state = length as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let step = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// The content in chunks of these sizes, over and over; none of them declares how much will come.
fn in_chunks(content: &Bytes, sizes: &[usize]) -> ByteStream {
    let mut rest = content.clone();
    let chunks = sizes
        .iter()
        .cycle()
        .map_while(|size| (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(*size)))));
    ByteStream::new(stream::iter(chunks.collect::<Vec<_>>()).boxed(), None)
}

/// The content, and then this instead of an end.
fn breaking_off(content: &Bytes, error: BodyError) -> ByteStream {
    let chunks = in_chunks(content, &[1000]).into_chunks().chain(stream::iter([Err(error)]));
    ByteStream::new(chunks.boxed(), None)
}

fn interrupted() -> BodyError {
    BodyError::Interrupted("the client went away".into())
}

/// A body that says when it was asked for more than there is, and then never comes to an end.
fn held(content: &Bytes) -> (ByteStream, Arc<Notify>) {
    let reached = Arc::new(Notify::new());
    let asked = Arc::clone(&reached);
    let rest = stream::poll_fn(move |_| {
        asked.notify_one();
        Poll::Pending
    });
    (ByteStream::new(in_chunks(content, &[1000]).into_chunks().chain(rest).boxed(), None), reached)
}

/// A body that lets its reader wait once before each chunk.
fn hesitant(content: &Bytes, sizes: &[usize]) -> ByteStream {
    let chunks = in_chunks(content, sizes).into_chunks().then(async |chunk| {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        chunk
    });
    ByteStream::new(chunks.boxed(), None)
}

/// Drops the future when it was polled so many times and is not done.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let polled = future.as_mut().poll(context).map(Some);
        if polled.is_pending() && left == 0 { Poll::Ready(None) } else { polled }
    })
    .await
}

async fn begin(store: &impl Bytestore, algorithm: Algorithm, at: DateTime<Utc>) -> UploadId {
    let upload = Upload {
        id: UploadId::random(),
        repository: RepositoryName::parse("lib/a").unwrap(),
        owner: Caller::User(Identity::new("ada")),
        algorithm,
        begun: at,
        offset: 0,
    };
    store.begin(&upload).await.unwrap();
    upload.id
}

/// Brings the content, in one append.
pub(super) async fn bring(store: &impl Bytestore, content: &Bytes) -> StoredBlob {
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.clone().into(), minute(0)).await.unwrap();
    store.finish(&id, &Algorithm::Sha256.digest(content)).await.unwrap()
}

async fn offset(store: &impl Bytestore, id: &UploadId) -> Option<u64> {
    store.find(id).await.unwrap().map(|upload| upload.offset)
}

/// The content is where the store says that it is.
pub(super) async fn assert_stored(store: &impl Bytestore, stored: &StoredBlob, content: &Bytes) {
    assert_eq!(stored.digest, stored.digest.algorithm().digest(content));
    assert_eq!(stored.size, content.len() as u64);
    let stat = store.stat(&stored.location).await.unwrap().expect("finished content has a size");
    assert_eq!((&stat.location, stat.size), (&stored.location, stored.size));
    let read =
        store.read(&stored.location, 0..stored.size).await.unwrap().expect("finished content is there");
    let read = read.collect(content.len()).await.unwrap();
    assert!(read == *content, "other bytes were read than were brought");
}

#[track_caller]
fn assert_offset(outcome: Result<u64, AppendError>, expected: u64) {
    match outcome {
        Err(AppendError::Offset { offset }) => assert_eq!(offset, expected),
        other => panic!("the append should have been refused at {expected}: {other:?}"),
    }
}

#[track_caller]
fn assert_unknown(outcome: Result<u64, AppendError>) {
    assert!(matches!(outcome, Err(AppendError::Unknown)), "the upload should be unknown: {outcome:?}");
}

/// Its repository, its owner, its algorithm and its time; with nothing in it, whatever offset was said.
pub async fn an_upload_is_what_was_begun(store: &impl Bytestore) {
    for (algorithm, owner) in [
        (Algorithm::Sha256, Caller::Anonymous),
        (Algorithm::Sha512, Caller::User(Identity::new("Ada \u{e9}"))),
    ] {
        let upload = Upload {
            id: UploadId::random(),
            repository: RepositoryName::parse("lib/a/b__c-d.e").unwrap(),
            owner,
            algorithm,
            begun: minute(1) + chrono::TimeDelta::microseconds(123_456),
            offset: 0,
        };
        store.begin(&upload).await.unwrap();
        assert_eq!(store.find(&upload.id).await.unwrap(), Some(upload));
    }
}

/// Which is no failure of the store; what is to be gone is gone.
pub async fn what_nobody_began_is_unknown(store: &impl Bytestore) {
    let id = UploadId::random();
    assert_eq!(store.find(&id).await.unwrap(), None);
    assert_unknown(store.append(&id, 0, content(10).into(), minute(1)).await);
    let finished = store.finish(&id, &Algorithm::Sha256.digest(b"")).await;
    assert!(matches!(finished, Err(FinishError::Unknown)), "{finished:?}");
    store.forget(&id).await.unwrap();
    store.abandon(&id).await.unwrap();
    assert_eq!(store.find(&id).await.unwrap(), None);
}

/// However their appends alternate.
pub async fn uploads_do_not_know_each_other(store: &impl Bytestore) {
    let contents = [content(5000), content(5001)];
    let ids =
        [begin(store, Algorithm::Sha256, minute(0)).await, begin(store, Algorithm::Sha256, minute(0)).await];
    for step in 0..5 {
        for (id, content) in ids.iter().zip(&contents) {
            let part = content.slice(step * 1000..if step == 4 { content.len() } else { (step + 1) * 1000 });
            store.append(id, step as u64 * 1000, part.into(), minute(0)).await.unwrap();
        }
    }
    store.abandon(&begin(store, Algorithm::Sha256, minute(0)).await).await.unwrap();
    for (id, content) in ids.iter().zip(&contents) {
        let stored = store.finish(id, &Algorithm::Sha256.digest(content)).await.unwrap();
        assert_stored(store, &stored, content).await;
    }
}

/// Tiny ones, uneven ones, empty ones; with a declared length or without.
pub async fn a_body_may_come_in_chunks_of_any_size(store: &impl Bytestore) {
    let content = content(200_003);
    let digest = Algorithm::Sha256.digest(&content);
    for sizes in [&[1, 0, 2][..], &[0, 0, 65_536], &[65_535, 1, 65_537], &[7, 100_000, 0, 13], &[usize::MAX]]
    {
        for declared in [None, Some(content.len() as u64)] {
            let id = begin(store, Algorithm::Sha256, minute(0)).await;
            let body = ByteStream::new(in_chunks(&content, sizes).into_chunks(), declared);
            assert_eq!(store.append(&id, 0, body, minute(1)).await.unwrap(), 200_003);
            assert_eq!(offset(store, &id).await, Some(200_003));
            let stored = store.finish(&id, &digest).await.unwrap();
            assert_stored(store, &stored, &content).await;
        }
    }
}

/// Tiny ones, uneven ones, empty ones; each answers the offset that the next one names.
pub async fn content_may_come_in_appends_of_any_size(store: &impl Bytestore) {
    let content = content(70_001);
    for algorithm in Algorithm::ALL {
        let id = begin(store, algorithm, minute(0)).await;
        let mut at = 0;
        for size in [1, 0, 1, 2, 63, 64, 65, 0, 1000, 127, 128, 129, 1, 1, 40_000, 0, 28_354, 65, 0] {
            let end = content.len().min(at + size);
            let answered =
                store.append(&id, at as u64, content.slice(at..end).into(), minute(1)).await.unwrap();
            at = end;
            assert_eq!(answered, at as u64);
            assert_eq!(offset(store, &id).await, Some(at as u64));
        }
        assert_eq!(at, content.len());
        let stored = store.finish(&id, &algorithm.digest(&content)).await.unwrap();
        assert_stored(store, &stored, &content).await;
    }
}

/// Larger than any batch or part that a store writes at once, on an odd boundary; in one append, and in two.
pub async fn a_body_may_be_large(store: &impl Bytestore) {
    let content = content((17 << 20) + 4321);
    let digest = Algorithm::Sha256.digest(&content);
    for cut in [0, (6 << 20) + 17] {
        let id = begin(store, Algorithm::Sha256, minute(0)).await;
        let sizes = [100_000, 1, 65_536, 300_000];
        if cut > 0 {
            store.append(&id, 0, in_chunks(&content.slice(..cut), &sizes), minute(1)).await.unwrap();
        }
        let answered =
            store.append(&id, cut as u64, in_chunks(&content.slice(cut..), &sizes), minute(1)).await.unwrap();
        assert_eq!(answered, content.len() as u64);
        let stored = store.finish(&id, &digest).await.unwrap();
        assert_stored(store, &stored, &content).await;
    }
}

/// Neither one that was passed nor one that was not reached; the answer says where to go on.
pub async fn a_refused_offset_changes_nothing(store: &impl Bytestore) {
    let content = content(3000);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    let other = self::content(100);
    for wrong in [1, 100, u64::MAX] {
        assert_offset(store.append(&id, wrong, other.clone().into(), minute(1)).await, 0);
    }
    store.append(&id, 0, content.slice(..1000).into(), minute(1)).await.unwrap();
    for wrong in [0, 1, 999, 1001, 5000, u64::MAX] {
        assert_offset(store.append(&id, wrong, other.clone().into(), minute(1)).await, 1000);
        assert_offset(store.append(&id, wrong, ByteStream::empty(), minute(1)).await, 1000);
    }
    assert_eq!(offset(store, &id).await, Some(1000));
    store.append(&id, 1000, content.slice(1000..).into(), minute(1)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    assert_stored(store, &stored, &content).await;
}

/// To the last byte, and the answer says where to go on.
pub async fn what_came_before_a_body_broke_off_stays(store: &impl Bytestore) {
    for length in [10_000, (2 << 20) + 4_321] {
        let content = content(length);
        for cut in [0, 1, 4_567, length - 1, length] {
            let id = begin(store, Algorithm::Sha256, minute(0)).await;
            let first = cut.min(1_000);
            store.append(&id, 0, content.slice(..first).into(), minute(1)).await.unwrap();
            let body = breaking_off(&content.slice(first..cut), interrupted());
            match store.append(&id, first as u64, body, minute(2)).await {
                Err(AppendError::Body { error: BodyError::Interrupted(_), offset }) => {
                    assert_eq!(offset, cut as u64);
                }
                other => panic!("the append should have broken off at {cut}: {other:?}"),
            }
            assert_eq!(offset(store, &id).await, Some(cut as u64));
            store.append(&id, cut as u64, content.slice(cut..).into(), minute(3)).await.unwrap();
            let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
            assert_stored(store, &stored, &content).await;
        }
    }
}

/// As it is, for whoever has to answer for it.
pub async fn the_fault_of_a_body_is_passed_on(store: &impl Bytestore) {
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    for fault in
        [|| BodyError::TooLong { limit: 7 }, || BodyError::Stalled, || BodyError::Length { declared: 9 }]
    {
        match store.append(&id, 0, breaking_off(&Bytes::new(), fault()), minute(1)).await {
            Err(AppendError::Body { error, offset: 0 }) => {
                assert_eq!(format!("{error:?}"), format!("{:?}", fault()));
            }
            other => panic!("the fault should have been passed on: {other:?}"),
        }
    }
}

/// A second one loses and damages nothing; until the first is done, the upload is neither finished, abandoned nor
/// idle.
pub async fn there_is_one_appender_at_a_time(store: &impl Bytestore) {
    let content = content(5000);
    let digest = Algorithm::Sha256.digest(&content);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    let (body, reached) = held(&content.slice(..3000));
    let first = store.append(&id, 0, body, minute(1));
    let meanwhile = pin!(async {
        reached.notified().await;
        for wrong in [0, 3000, 5000] {
            let second = store.append(&id, wrong, content.clone().into(), minute(1)).await;
            assert!(matches!(second, Err(AppendError::Offset { .. })), "{second:?}");
        }
        let finished = store.finish(&id, &digest).await;
        assert!(matches!(finished, Err(FinishError::Busy)), "{finished:?}");
        let abandoned = store.abandon(&id).await;
        assert!(matches!(abandoned, Err(AbandonError::Busy)), "{abandoned:?}");
        let idle: Vec<_> = store.idle_since(minute(99)).try_collect().await.unwrap();
        assert_eq!(idle, []);
    });
    match select(first, meanwhile).await {
        Either::Left((outcome, _)) => panic!("the append ended before its body: {outcome:?}"),
        Either::Right(((), first)) => drop(first),
    }

    // The first was dropped; whatever of it came to rest is a beginning of the content.
    let at = offset(store, &id).await.unwrap();
    assert!(at <= 3000);
    store.append(&id, at, content.slice(at as usize..).into(), minute(2)).await.unwrap();
    let stored = store.finish(&id, &digest).await.unwrap();
    assert_stored(store, &stored, &content).await;
}

/// At whichever point: the next call finds the upload at rest, at an offset up to which it is true.
pub async fn an_append_that_is_dropped_leaves_an_exact_offset(store: &impl Bytestore) {
    let content = content((2 << 20) + 54_321);
    let digest = Algorithm::Sha256.digest(&content);
    let sizes = [150_000, 1, 0, 700_000, 33_333];
    for polls in 0.. {
        let id = begin(store, Algorithm::Sha256, minute(0)).await;
        store.append(&id, 0, content.slice(..10).into(), minute(0)).await.unwrap();
        let body = hesitant(&content.slice(10..), &sizes);
        let outcome = dropped_after(polls, store.append(&id, 10, body, minute(1))).await;
        let at = offset(store, &id).await.expect("a dropped append does not lose the upload");
        assert!((10..=content.len() as u64).contains(&at), "{at} of {} after {polls} polls", content.len());
        if let Some(answered) = outcome {
            assert_eq!((answered.unwrap(), at), (content.len() as u64, content.len() as u64));
        }
        store.append(&id, at, content.slice(at as usize..).into(), minute(2)).await.unwrap();
        let stored = store.finish(&id, &digest).await.unwrap();
        assert_stored(store, &stored, &content).await;
        store.forget(&id).await.unwrap();
        store.delete(&stored.location).await.unwrap();
        if at == content.len() as u64 && polls > 2 * sizes.len() {
            return;
        }
    }
}

/// At whichever point: it is as if it had not begun, or as if it was done.
pub async fn a_finish_that_is_dropped_can_be_repeated(store: &impl Bytestore) {
    let content = content(300_000);
    for (begun, named) in [(Algorithm::Sha256, Algorithm::Sha256), (Algorithm::Sha256, Algorithm::Sha512)] {
        let digest = named.digest(&content);
        for polls in 0.. {
            let id = begin(store, begun, minute(0)).await;
            store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
            let first = dropped_after(polls, store.finish(&id, &digest)).await;
            let stored = store.finish(&id, &digest).await.unwrap();
            assert_stored(store, &stored, &content).await;
            if let Some(first) = first {
                assert_eq!(first.unwrap(), stored);
                break;
            }
        }
    }
}

/// The same place included, for the answer to the first may have been lost.
pub async fn finishing_again_answers_the_same(store: &impl Bytestore) {
    let content = content(1000);
    let digest = Algorithm::Sha256.digest(&content);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
    let stored = store.finish(&id, &digest).await.unwrap();
    for _ in 0..3 {
        assert_eq!(store.finish(&id, &digest).await.unwrap(), stored);
    }
    assert_eq!(offset(store, &id).await, Some(1000));
    assert_stored(store, &stored, &content).await;
}

/// Once it was finished with one; also when the other is as true.
pub async fn finishing_with_another_digest_is_refused(store: &impl Bytestore) {
    let content = content(1000);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    for other in [Algorithm::Sha512.digest(&content), Algorithm::Sha256.digest(b"other")] {
        let outcome = store.finish(&id, &other).await;
        assert!(matches!(outcome, Err(FinishError::Busy)), "{outcome:?}");
    }
    assert_eq!(store.finish(&id, &stored.digest).await.unwrap(), stored);
}

/// It can go on, be finished with the right one, or be abandoned; the answer says what is there.
pub async fn a_wrong_digest_leaves_the_upload_as_it_was(store: &impl Bytestore) {
    let content = content(2000);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.slice(..1000).into(), minute(1)).await.unwrap();
    for algorithm in Algorithm::ALL {
        match store.finish(&id, &algorithm.digest(&content)).await {
            Err(FinishError::DigestMismatch { actual }) => {
                assert_eq!(actual, algorithm.digest(&content[..1000]));
            }
            other => panic!("half of the content should not have been finished: {other:?}"),
        }
    }
    assert_eq!(offset(store, &id).await, Some(1000));
    store.append(&id, 1000, content.slice(1000..).into(), minute(2)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    assert_stored(store, &stored, &content).await;

    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap_err();
    store.abandon(&id).await.unwrap();
    assert_eq!(store.find(&id).await.unwrap(), None);
}

/// Also when it is not the one that the upload was begun with.
pub async fn an_algorithm_may_be_named_at_the_end(store: &impl Bytestore) {
    for length in [0, 1, 3_000_017] {
        let content = content(length);
        for begun in Algorithm::ALL {
            for named in Algorithm::ALL {
                let id = begin(store, begun, minute(0)).await;
                let cut = length / 3;
                store.append(&id, 0, content.slice(..cut).into(), minute(1)).await.unwrap();
                store.append(&id, cut as u64, content.slice(cut..).into(), minute(1)).await.unwrap();
                let stored = store.finish(&id, &named.digest(&content)).await.unwrap();
                assert_eq!(stored.digest.algorithm(), named);
                assert_stored(store, &stored, &content).await;
                assert_eq!(store.finish(&id, &named.digest(&content)).await.unwrap(), stored);
            }
        }
    }
}

/// With an append of nothing, or with none.
pub async fn empty_content_can_be_finished(store: &impl Bytestore) {
    for appends in 0..3 {
        let id = begin(store, Algorithm::Sha256, minute(0)).await;
        for _ in 0..appends {
            assert_eq!(store.append(&id, 0, ByteStream::empty(), minute(1)).await.unwrap(), 0);
        }
        let stored = store.finish(&id, &Algorithm::Sha256.digest(b"")).await.unwrap();
        assert_stored(store, &stored, &Bytes::new()).await;
    }
}

/// Not for the same content, and not when what was there has been deleted: deleting a place never hits what
/// another push brought.
pub async fn no_location_is_given_twice(store: &impl Bytestore) {
    let content = content(1000);
    let mut seen = BTreeSet::new();
    let kept = bring(store, &content).await;
    seen.insert(kept.location.clone());
    for _ in 0..5 {
        let id = begin(store, Algorithm::Sha256, minute(0)).await;
        store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
        let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
        assert!(seen.insert(stored.location.clone()), "{} was given twice", stored.location);
        store.forget(&id).await.unwrap();
        store.delete(&stored.location).await.unwrap();
        assert_eq!(store.stat(&stored.location).await.unwrap(), None);
        assert_stored(store, &kept, &content).await;
    }
}

/// Each gets its own place.
pub async fn the_same_content_can_be_brought_by_many_at_once(store: &impl Bytestore) {
    let content = content(300_000);
    let all = join_all((0..8).map(|_| bring(store, &content))).await;
    let places: BTreeSet<_> = all.iter().map(|stored| &stored.location).collect();
    assert_eq!(places.len(), 8);
    for stored in &all {
        assert_stored(store, stored, &content).await;
    }
}

/// As if it was unknown.
pub async fn a_finished_upload_takes_no_more(store: &impl Bytestore) {
    let content = content(1000);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    for at in [0, 1000] {
        assert_unknown(store.append(&id, at, content.clone().into(), minute(2)).await);
    }
    assert_stored(store, &stored, &content).await;
}

/// The upload is gone, the bytes stay.
pub async fn forgetting_an_upload_leaves_what_it_finished(store: &impl Bytestore) {
    let content = content(1000);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    for _ in 0..2 {
        store.forget(&id).await.unwrap();
        assert_eq!(store.find(&id).await.unwrap(), None);
        assert_unknown(store.append(&id, 1000, content.clone().into(), minute(2)).await);
        let outcome = store.finish(&id, &stored.digest).await;
        assert!(matches!(outcome, Err(FinishError::Unknown)), "{outcome:?}");
        store.abandon(&id).await.unwrap();
        assert_stored(store, &stored, &content).await;
    }
}

/// With its bytes, however far it has come; what else there is stays.
pub async fn an_unfinished_upload_can_be_abandoned(store: &impl Bytestore) {
    let content = content(1000);
    let kept = bring(store, &content).await;
    for length in [0, 1000] {
        let id = begin(store, Algorithm::Sha256, minute(0)).await;
        store.append(&id, 0, content.slice(..length).into(), minute(1)).await.unwrap();
        for _ in 0..2 {
            store.abandon(&id).await.unwrap();
            assert_eq!(store.find(&id).await.unwrap(), None);
            assert_unknown(store.append(&id, length as u64, content.clone().into(), minute(2)).await);
            let outcome = store.finish(&id, &Algorithm::Sha256.digest(&content[..length])).await;
            assert!(matches!(outcome, Err(FinishError::Unknown)), "{outcome:?}");
        }
    }
    let idle: Vec<_> =
        store.idle_since(minute(99)).map_ok(|upload| upload.offset).try_collect().await.unwrap();
    assert_eq!(idle.len(), 1, "what is left is the upload that was finished");
    assert_stored(store, &kept, &content).await;
}

/// A commit may name what it brought; the answer says where that is.
pub async fn a_finished_upload_is_not_abandoned(store: &impl Bytestore) {
    let content = content(1000);
    let id = begin(store, Algorithm::Sha256, minute(0)).await;
    store.append(&id, 0, content.clone().into(), minute(1)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    match store.abandon(&id).await {
        Err(AbandonError::Finished(answered)) => assert_eq!(answered, stored),
        other => panic!("a finished upload should not have been abandoned: {other:?}"),
    }
    assert_stored(store, &stored, &content).await;
    assert_eq!(store.finish(&id, &stored.digest).await.unwrap(), stored);
}

/// Or since they were begun. One that is finished is listed until it is forgotten, for its commit may never come.
pub async fn uploads_are_idle_since_their_last_byte(store: &impl Bytestore) {
    let content = content(10);
    let (young, old, finished, forgotten) = (
        begin(store, Algorithm::Sha256, minute(20)).await,
        begin(store, Algorithm::Sha512, minute(1)).await,
        begin(store, Algorithm::Sha256, minute(2)).await,
        begin(store, Algorithm::Sha256, minute(3)).await,
    );
    for id in [&finished, &forgotten] {
        store.append(id, 0, content.clone().into(), minute(4)).await.unwrap();
        store.finish(id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    }
    store.forget(&forgotten).await.unwrap();
    let idle_since = async |cutoff| -> BTreeSet<UploadId> {
        store.idle_since(minute(cutoff)).map_ok(|upload| upload.id).try_collect().await.unwrap()
    };
    assert_eq!(idle_since(1).await, [].into());
    assert_eq!(idle_since(3).await, [old.clone()].into());
    assert_eq!(idle_since(10).await, [old.clone(), finished.clone()].into());
    assert_eq!(idle_since(30).await, [old.clone(), finished.clone(), young.clone()].into());

    store.append(&old, 0, content.clone().into(), minute(15)).await.unwrap();
    assert_eq!(idle_since(10).await, [finished.clone()].into());
    let found: Vec<_> = store.idle_since(minute(18)).try_collect::<Vec<_>>().await.unwrap();
    let found = found.into_iter().find(|upload| upload.id == old).unwrap();
    assert_eq!(Some(found), store.find(&old).await.unwrap());
    store.append(&old, 10, breaking_off(&content, interrupted()), minute(25)).await.unwrap_err();
    assert_eq!(idle_since(23).await, [young, finished].into());
}

/// And says so without taking one.
pub async fn a_store_at_rest_would_take_an_upload(store: &impl Bytestore) {
    UploadStore::probe(store).await.unwrap();
}

/// Where it was, also in the middle of a block of its hash; what was answered is not lost.
pub async fn an_upload_resumes_after_reopening<S: Bytestore>(open: impl AsyncFn() -> S) {
    for algorithm in Algorithm::ALL {
        let content = content(1_500_007);
        let store = open().await;
        let id = begin(&store, algorithm, minute(1)).await;
        let mut upload = store.find(&id).await.unwrap();
        drop(store);
        let mut at = 0;
        for end in [1, 65, 1000, 1_200_001, content.len()] {
            let store = open().await;
            assert_eq!(store.find(&id).await.unwrap(), upload);
            let part = content.slice(at..end);
            let answered = store.append(&id, at as u64, part.into(), minute(2)).await.unwrap();
            assert_eq!(answered, end as u64);
            at = end;
            upload = upload.map(|upload| Upload { offset: answered, ..upload });
        }
        let store = open().await;
        assert_eq!(store.find(&id).await.unwrap(), upload);
        let idle: Vec<_> = store.idle_since(minute(99)).try_collect().await.unwrap();
        assert_eq!(idle, upload.into_iter().collect::<Vec<_>>());
        let stored = store.finish(&id, &algorithm.digest(&content)).await.unwrap();
        assert_stored(&store, &stored, &content).await;
        store.forget(&id).await.unwrap();
    }
}

/// So that a commit can be made again, or what it was to name is found by a sweep.
pub async fn a_finished_upload_is_known_after_reopening<S: Bytestore>(open: impl AsyncFn() -> S) {
    let content = content(1000);
    let store = open().await;
    let id = begin(&store, Algorithm::Sha256, minute(1)).await;
    store.append(&id, 0, content.clone().into(), minute(2)).await.unwrap();
    let stored = store.finish(&id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    drop(store);

    let store = open().await;
    assert_stored(&store, &stored, &content).await;
    assert_unknown(store.append(&id, 1000, content.clone().into(), minute(3)).await);
    assert_eq!(store.finish(&id, &stored.digest).await.unwrap(), stored);
    match store.abandon(&id).await {
        Err(AbandonError::Finished(answered)) => assert_eq!(answered, stored),
        other => panic!("a finished upload should not have been abandoned: {other:?}"),
    }
    let idle: Vec<_> = store.idle_since(minute(99)).map_ok(|upload| upload.id).try_collect().await.unwrap();
    assert_eq!(idle, std::slice::from_ref(&id));
    store.forget(&id).await.unwrap();
    drop(store);

    let store = open().await;
    assert_eq!(store.find(&id).await.unwrap(), None);
    assert_stored(&store, &stored, &content).await;
    assert_ne!(bring(&store, &content).await.location, stored.location);
}
