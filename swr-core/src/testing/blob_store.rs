//! The [`BlobStore`](crate::ports::BlobStore) contract, one clause a function. Content comes to it by the
//! [`UploadStore`](crate::ports::UploadStore).

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::future::join_all;

use super::minute;
use super::upload_store::{Bytestore, assert_stored, bring, content};
use crate::caller::Caller;
use crate::commit::{BlobLocation, StoredBlob};
use crate::digest::Algorithm;
use crate::upload::{Upload, UploadId};

#[doc(hidden)]
#[macro_export]
macro_rules! blob_store_clauses {
    ($stamp:path, $($opening:tt)*) => {
        $stamp! {
            $crate::testing::blob_store,
            [
                content_is_read_as_it_was_brought
                every_range_is_read_exactly
                a_range_may_cross_what_came_apart
                empty_content_is_content
                absent_content_is_no_error
                deleting_content_leaves_all_other
                a_reader_that_has_begun_is_not_disturbed
                many_can_read_at_once
                everything_is_listed_once
                what_is_listed_is_what_it_was_brought_as
                what_an_upload_knows_of_is_listed_with_its_digest_or_not_as_brought
                content_is_kin_to_no_other
                what_is_not_finished_is_not_listed
            ],
            [
                content_is_there_after_reopening
            ],
            $($opening)*
        }
    };
}

/// What is in the range.
async fn read(store: &impl Bytestore, at: &BlobLocation, start: usize, end: usize) -> Bytes {
    let stream = store.read(at, start as u64..end as u64).await.unwrap().expect("the content is there");
    assert_eq!(stream.length(), Some((end - start) as u64), "a stream declares its length");
    stream.collect(end - start).await.unwrap()
}

async fn listed(store: &impl Bytestore) -> BTreeMap<BlobLocation, u64> {
    let mut listed = BTreeMap::new();
    let all: Vec<_> = store.list().try_collect().await.unwrap();
    for stat in all {
        assert_eq!(listed.insert(stat.location, stat.size), None, "a location is listed once");
    }
    listed
}

/// Whatever its length.
pub async fn content_is_read_as_it_was_brought(store: &impl Bytestore) {
    for length in [1, 2, 1000, 65_536, 262_143, 262_144, 262_145, 5_000_000] {
        let content = content(length);
        let stored = bring(store, &content).await;
        assert_stored(store, &stored, &content).await;
    }
}

/// First byte, last byte, nothing, everything, and around the boundaries of any buffer.
pub async fn every_range_is_read_exactly(store: &impl Bytestore) {
    let content = content(1_100_000);
    let stored = bring(store, &content).await;
    let length = content.len();
    let edges = [0, 1, 4095, 4096, 65_536, 262_143, 262_144, 262_145, 1 << 20, length - 1, length];
    for start in edges {
        for end in edges.into_iter().filter(|end| *end >= start) {
            let read = read(store, &stored.location, start, end).await;
            assert!(read == content[start..end], "{start}..{end}");
        }
    }
}

async fn begun(store: &impl Bytestore) -> Upload {
    let upload = Upload {
        id: UploadId::random(),
        repository: swr_policy::RepositoryName::parse("lib/a").unwrap(),
        owner: Caller::Anonymous,
        algorithm: Algorithm::Sha256,
        begun: minute(0),
        offset: 0,
    };
    store.begin(&upload).await.unwrap();
    upload
}

/// However the appends were cut that brought it.
pub async fn a_range_may_cross_what_came_apart(store: &impl Bytestore) {
    let content = content(20_000);
    let cuts = [0, 1, 7_000, 7_001, 13_000, 20_000];
    let upload = begun(store).await;
    for cut in cuts.windows(2) {
        let part = content.slice(cut[0]..cut[1]);
        store.append(&upload.id, cut[0] as u64, part.into(), minute(0)).await.unwrap();
    }
    let stored = store.finish(&upload.id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    assert_stored(store, &stored, &content).await;
    let edges = [0, 1, 2, 6_999, 7_000, 7_001, 7_002, 12_999, 13_000, 13_001, 19_999, 20_000];
    for start in edges {
        for end in edges.into_iter().filter(|end| *end >= start) {
            let read = read(store, &stored.location, start, end).await;
            assert!(read == content[start..end], "{start}..{end}");
        }
    }
}

/// It has a size, which is none, and can be read.
pub async fn empty_content_is_content(store: &impl Bytestore) {
    let stored = bring(store, &Bytes::new()).await;
    assert_stored(store, &stored, &Bytes::new()).await;
    assert_eq!(read(store, &stored.location, 0, 0).await, Bytes::new());
    assert_eq!(listed(store).await.get(&stored.location), Some(&0));
}

/// What was deleted has no size and no bytes, and deleting it again is well.
pub async fn absent_content_is_no_error(store: &impl Bytestore) {
    let content = content(1000);
    let stored = bring(store, &content).await;
    for _ in 0..3 {
        store.delete(&stored.location).await.unwrap();
        assert_eq!(store.stat(&stored.location).await.unwrap(), None);
        assert!(store.read(&stored.location, 0..1000).await.unwrap().is_none());
        assert!(store.read(&stored.location, 0..0).await.unwrap().is_none());
        assert!(!listed(store).await.contains_key(&stored.location));
    }
}

/// The same content at another place included.
pub async fn deleting_content_leaves_all_other(store: &impl Bytestore) {
    let (one, other) = (content(1000), content(1001));
    let all = [bring(store, &one).await, bring(store, &one).await, bring(store, &other).await];
    store.delete(&all[0].location).await.unwrap();
    assert_eq!(store.stat(&all[0].location).await.unwrap(), None);
    assert_stored(store, &all[1], &one).await;
    assert_stored(store, &all[2], &other).await;
}

/// By the deletion of what it reads, where the store says that it needs no time for that.
pub async fn a_reader_that_has_begun_is_not_disturbed(store: &impl Bytestore) {
    let content = content(3_000_000);
    let stored = bring(store, &content).await;
    let mut reader = store.read(&stored.location, 0..stored.size).await.unwrap().unwrap();
    let mut seen = BytesMut::new();
    if let Some(first) = reader.next().await {
        seen.extend_from_slice(&first.unwrap());
    }
    if store.reader_hold().is_zero() {
        store.delete(&stored.location).await.unwrap();
    }
    while let Some(chunk) = reader.next().await {
        seen.extend_from_slice(&chunk.unwrap());
    }
    assert!(seen == content);
}

/// Different parts and the same ones.
pub async fn many_can_read_at_once(store: &impl Bytestore) {
    let content = content(1_000_000);
    let stored = bring(store, &content).await;
    join_all((0..16).map(async |number| {
        let (start, end) = (number / 2 * 50_000, 1_000_000 - number * 10_000);
        let read = read(store, &stored.location, start, end).await;
        assert!(read == content[start..end], "{start}..{end}");
    }))
    .await;
}

/// With its size.
pub async fn everything_is_listed_once(store: &impl Bytestore) {
    assert_eq!(listed(store).await, BTreeMap::new());
    let mut expected = BTreeMap::new();
    for length in [0, 1, 1, 1000, 300_000] {
        let StoredBlob { location, size, .. } = bring(store, &content(length)).await;
        expected.insert(location, size);
        assert_eq!(listed(store).await, expected);
    }
}

/// As far as the store knows that without reading it; and it is no older than it is.
pub async fn what_is_listed_is_what_it_was_brought_as(store: &impl Bytestore) {
    let mut digests = BTreeMap::new();
    for length in [0, 1, 1000] {
        let StoredBlob { location, digest, .. } = bring(store, &content(length)).await;
        digests.insert(location, digest);
    }
    let all: Vec<_> = store.list().try_collect().await.unwrap();
    for listed in all {
        if let Some(brought) = listed.brought {
            let digest = digests.get(&listed.location).unwrap();
            assert_eq!(brought.digest.unwrap_or(*digest), *digest);
            assert!(brought.at >= minute(0), "{}", brought.at);
        }
    }
}

/// Otherwise a scrub might take for a stray what a push is about to record.
pub async fn what_an_upload_knows_of_is_listed_with_its_digest_or_not_as_brought(store: &impl Bytestore) {
    let content = content(1000);
    let upload = begun(store).await;
    for part in [0..400, 400..1000] {
        store.append(&upload.id, part.start as u64, content.slice(part).into(), minute(0)).await.unwrap();
    }
    let stored = store.finish(&upload.id, &Algorithm::Sha256.digest(&content)).await.unwrap();
    let all: Vec<_> = store.list().try_collect().await.unwrap();
    let [listed] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(listed.location, stored.location);
    assert!(listed.brought.is_none_or(|brought| brought.digest == Some(stored.digest)), "{listed:?}");
}

/// Whoever looks for what shares its bytes finds itself alone.
pub async fn content_is_kin_to_no_other(store: &impl Bytestore) {
    let content = content(1000);
    let mut kin = Vec::new();
    for _ in 0..3 {
        let StoredBlob { location, .. } = bring(store, &content).await;
        let its = store.kin(&location).to_owned();
        assert!(!kin.contains(&its), "{its}");
        kin.push(its);
    }
}

/// It has no digest yet.
pub async fn what_is_not_finished_is_not_listed(store: &impl Bytestore) {
    let upload = begun(store).await;
    store.append(&upload.id, 0, content(300_000).into(), minute(0)).await.unwrap();
    assert_eq!(listed(store).await, BTreeMap::new());
}

/// Whether its upload was forgotten or not.
pub async fn content_is_there_after_reopening<S: Bytestore>(open: impl AsyncFn() -> S) {
    let content = content(300_000);
    let store = open().await;
    let stored = bring(&store, &content).await;
    drop(store);
    let store = open().await;
    assert_stored(&store, &stored, &content).await;
    assert_eq!(listed(&store).await.len(), 1);
}
