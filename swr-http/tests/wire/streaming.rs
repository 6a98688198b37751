//! Bodies on the move: senders that stop, stores that fail or fall silent, and answers that come early. Time is
//! tokio's, paused: it passes only where everybody waits for it.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::{Method, Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde_json::json;
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::Registry;
use swr_core::commit::{BlobLocation, StoredBlob};
use swr_core::digest::{Algorithm, Digest};
use swr_core::media_type::MediaType;
use swr_core::ports::{
    AbandonError, AppendError, BlobStat, BlobStore, FinishError, ListedBlob, StoreError, StoreErrorKind,
    UploadStore,
};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::upload::{Upload, UploadId};
use swr_http::{Patience, ServiceOptions};
use swr_storage::{MemoryBlobs, MemoryManifests};
use tokio::time::{Instant, Sleep};

use crate::door::{Door, LAYER, Manifest};

/// What a client sends, and when.
enum Send {
    Bytes(Bytes),
    Wait(Duration),
    Break,
    Hang,
}

/// A body that follows a script, and counts what was taken of it.
struct Script {
    steps: VecDeque<Send>,
    waiting: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
    taken: Arc<AtomicU64>,
}

impl Script {
    fn of(length: Option<u64>, steps: impl IntoIterator<Item = Send>) -> Self {
        Self { steps: steps.into_iter().collect(), waiting: None, length, taken: Arc::default() }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Send::Bytes(bytes)) => {
                    self.taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Send::Wait(time)) => self.waiting = Some(Box::pin(tokio::time::sleep(time))),
                Some(Send::Break) => {
                    return Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())));
                }
                Some(Send::Hang) => {
                    self.steps.push_front(Send::Hang);
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn bytes(text: &'static str) -> Send {
    Send::Bytes(Bytes::from_static(text.as_bytes()))
}

fn wait(seconds: u64) -> Send {
    Send::Wait(Duration::from_secs(seconds))
}

/// What a store does at a call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Whim {
    /// What it should.
    #[default]
    None,
    /// Nothing, ever: begins of uploads, appends after their body, statistics.
    Silent,
    /// Waits so long after each chunk that is taken.
    Slow(Duration),
    /// Half of a content, and then an error.
    Fails,
    /// Half of a content, and then nothing, ever.
    Hangs,
    /// Half of a content.
    EndsEarly,
}

#[derive(Debug, Default)]
struct Whimsical {
    store: MemoryBlobs,
    whim: Mutex<Whim>,
}

impl Whimsical {
    fn whim(&self) -> Whim {
        *self.whim.lock().unwrap()
    }

    fn set(&self, whim: Whim) {
        *self.whim.lock().unwrap() = whim;
    }
}

#[async_trait]
impl BlobStore for Whimsical {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        self.store.stat(at).await
    }

    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let length = range.end - range.start;
        let half = range.start..range.start + length / 2;
        let end: BoxStream<'static, Result<Bytes, BodyError>> = match self.whim() {
            Whim::Fails => stream::iter([Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "blobs.read",
                "the disk is gone",
            )
            .into())])
            .boxed(),
            Whim::Hangs => stream::pending().boxed(),
            Whim::EndsEarly => stream::empty().boxed(),
            _ => return self.store.read(at, range).await,
        };
        let Some(begin) = self.store.read(at, half).await? else { return Ok(None) };
        Ok(Some(ByteStream::new(begin.into_chunks().chain(end).boxed(), Some(length))))
    }

    async fn delete(&self, at: &BlobLocation) -> Result<(), StoreError> {
        self.store.delete(at).await
    }

    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        self.store.list()
    }
}

#[async_trait]
impl UploadStore for Whimsical {
    async fn begin(&self, upload: &Upload) -> Result<(), StoreError> {
        if self.whim() == Whim::Silent {
            std::future::pending::<()>().await;
        }
        self.store.begin(upload).await
    }

    async fn find(&self, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        self.store.find(id).await
    }

    async fn append(
        &self,
        id: &UploadId,
        offset: u64,
        body: ByteStream,
        at: DateTime<Utc>,
    ) -> Result<u64, AppendError> {
        let body = match self.whim() {
            Whim::Slow(time) => {
                let length = body.length();
                let chunks = body.into_chunks().then(move |chunk| async move {
                    tokio::time::sleep(time).await;
                    chunk
                });
                ByteStream::new(chunks.boxed(), length)
            }
            _ => body,
        };
        let appended = self.store.append(id, offset, body, at).await;
        if self.whim() == Whim::Silent {
            std::future::pending::<()>().await;
        }
        appended
    }

    async fn finish(&self, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError> {
        self.store.finish(id, expected).await
    }

    async fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        self.store.forget(id).await
    }

    async fn abandon(&self, id: &UploadId) -> Result<(), AbandonError> {
        self.store.abandon(id).await
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<Upload, StoreError>> {
        self.store.idle_since(cutoff)
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await
    }
}

fn whimsical() -> (Door, Arc<Whimsical>) {
    let store = Arc::new(Whimsical::default());
    let registry =
        Registry::builder(Arc::clone(&store), Arc::new(MemoryManifests::new()), Arc::new(AnyoneMay)).build();
    let options = ServiceOptions {
        patience: Some(Patience { within: Duration::from_secs(30), bytes_min: 4 }),
        answer_within: Some(Duration::from_secs(30)),
        store_within: Some(Duration::from_secs(60)),
        ..ServiceOptions::default()
    };
    (Door::with(registry, AnonymousOnly, options), store)
}

async fn patch(door: &Door, location: &str, body: Script) -> http::Response<swr_http::ResponseBody> {
    door.respond(Request::patch(location).body(body).unwrap()).await
}

async fn range(door: &Door, location: &str) -> String {
    door.get(location).await.header("range").to_owned()
}

#[tokio::test]
async fn what_came_of_a_body_that_broke_off_stays() {
    let (door, _) = whimsical();
    for length in [None, Some(10)] {
        let location = door.begin("a").await;
        let answer = patch(&door, &location, Script::of(length, [bytes("0123"), Send::Break])).await;
        assert_eq!(answer.status(), 400);
        let error: serde_json::Value =
            serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(error["errors"][0]["code"], "BLOB_UPLOAD_INVALID");
        assert_eq!(range(&door, &location).await, "0-3");
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_declared_is_refused() {
    let (door, _) = whimsical();
    for (length, sent) in [(10, "0123"), (3, "0123")] {
        let location = door.begin("a").await;
        let answer = patch(&door, &location, Script::of(Some(length), [bytes(sent)])).await;
        assert_eq!(answer.status(), 400, "{length}");
        let digest = Algorithm::Sha256.digest(b"0123");
        let whole = Request::post(format!("/v2/a/blobs/uploads/?digest={digest}"))
            .body(Script::of(Some(length), [bytes(sent)]))
            .unwrap();
        assert_eq!(door.respond(whole).await.status(), 400, "{length}");
        assert_eq!(door.head(&format!("/v2/a/blobs/{digest}")).await.status, 404, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_stands_still_is_told_so_and_may_go_on_later() {
    let (door, _) = whimsical();
    let location = door.begin("a").await;
    let began = Instant::now();
    let answer = patch(&door, &location, Script::of(None, [bytes("0123"), Send::Hang])).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["connection"].to_str().unwrap()), (408, "close"));
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(range(&door, &location).await, "0-3");
    let answer =
        patch(&door, &location, Script::of(None, [wait(29), bytes("4567"), wait(29), bytes("89")])).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(range(&door, &location).await, "0-9");

    let manifest =
        Request::put("/v2/a/manifests/v1").body(Script::of(None, [bytes("{"), Send::Hang])).unwrap();
    assert_eq!(door.respond(manifest).await.status(), 408);
}

#[tokio::test(start_paused = true)]
async fn a_sender_of_single_bytes_is_a_sender_that_stands_still() {
    let (door, _) = whimsical();
    let location = door.begin("a").await;
    let trickle = (0..100).flat_map(|_| [wait(20), bytes("x")]);
    let answer = patch(&door, &location, Script::of(None, trickle)).await;
    assert_eq!(answer.status(), 408);
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_not_the_senders_fault() {
    let (door, store) = whimsical();
    let location = door.begin("a").await;
    store.set(Whim::Slow(Duration::from_secs(50)));
    let chunks = (0..10).map(|_| bytes("0123"));
    assert_eq!(patch(&door, &location, Script::of(None, chunks)).await.status(), 202);
    // Nor is it the store's fault when the sender is slow.
    store.set(Whim::None);
    let chunks = (0..10).flat_map(|_| [wait(29), bytes("0123")]);
    assert_eq!(patch(&door, &location, Script::of(None, chunks)).await.status(), 202);
    assert_eq!(range(&door, &location).await, "0-79");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_a_503_to_come_again() {
    let (door, store) = whimsical();
    let location = door.begin("a").await;
    store.set(Whim::Silent);
    let began = Instant::now();
    let begun = door.post("/v2/a/blobs/uploads/", "").await;
    assert_eq!((begun.status.as_u16(), begun.header("retry-after")), (503, "5"));
    assert_eq!(begun.code(), "UNAVAILABLE");
    assert_eq!(began.elapsed().as_secs(), 30);

    let answer = patch(&door, &location, Script::of(None, [bytes("0123")])).await;
    assert_eq!(answer.status(), 503);
    store.set(Whim::None);
    assert_eq!(range(&door, &location).await, "0-3");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_sent_whole_ends_in_an_error() {
    let (door, store) = whimsical();
    let digest = door.push_blob("a", &LAYER.repeat(1000)).await;
    let address = format!("/v2/a/blobs/{digest}");
    for whim in [Whim::Fails, Whim::Hangs, Whim::EndsEarly] {
        store.set(whim);
        for (range, status) in [("bytes=x", 200), ("bytes=0-9", 206), ("bytes=0-9,20-29", 206)] {
            let request = Request::get(&address).header("range", range);
            let response = door.respond(request.body(http_body_util::Empty::new()).unwrap()).await;
            assert_eq!(response.status(), status, "{whim:?} {range}");
            let mut body = response.into_body();
            let mut sent = 0;
            let error = loop {
                match body.frame().await {
                    Some(Ok(frame)) => sent += frame.data_ref().unwrap().len() as u64,
                    Some(Err(error)) => break error,
                    None => panic!("{whim:?} {range}: a clean end"),
                }
            };
            assert!(!body.is_end_stream(), "{whim:?} {range}");
            assert!(sent > 0, "{whim:?} {range}");
            match whim {
                Whim::Fails => assert!(matches!(error, BodyError::Store(_)), "{error:?}"),
                Whim::Hangs => assert!(matches!(error, BodyError::Stalled), "{error:?}"),
                _ => assert!(matches!(error, BodyError::Length { .. }), "{error:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_answer_is_whole_or_an_error_from_its_beginning() {
    let (door, store) = whimsical();
    let digest = door.push_blob("a", LAYER).await;
    let address = format!("/v2/a/blobs/{digest}");
    for (whim, status) in [(Whim::Fails, 503), (Whim::Hangs, 503), (Whim::EndsEarly, 500)] {
        store.set(whim);
        assert_eq!(door.get(&address).await.status, status, "{whim:?}");
    }
    store.set(Whim::None);
    assert_eq!(door.get(&address).await.body, LAYER);
    // It need not be read again.
    store.set(Whim::Fails);
    assert_eq!(door.get(&address).await.body, LAYER);
    let part = door.get_with(&address, "range", "bytes=2-6").await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &LAYER[2..7]));
}

#[tokio::test]
async fn a_manifest_is_not_read_beyond_its_limit() {
    let (door, _) = whimsical();
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    for length in [None, Some(100 << 20)] {
        let body = Script::of(length, (0..100).map(|_| Send::Bytes(chunk.clone())));
        let taken = Arc::clone(&body.taken);
        let request = Request::put("/v2/a/manifests/v1").header("content-type", MediaType::OCI_INDEX);
        let answer = door.respond(request.body(body).unwrap()).await;
        assert_eq!(answer.status(), 413);
        assert!(taken.load(Ordering::Relaxed) <= 6 << 20, "{length:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_is_discarded_or_ends_the_connection() {
    let (door, _) = whimsical();
    let closes = async |method: Method, address: &str, expect: bool, version: Version, body: Script| {
        let taken = Arc::clone(&body.taken);
        let mut request = Request::builder().method(method).uri(address).version(version);
        if expect {
            request = request.header("expect", "100-continue");
        }
        let answer = door.respond(request.body(body).unwrap()).await;
        assert_eq!(answer.status(), 404);
        (answer.headers().contains_key("connection"), taken.load(Ordering::Relaxed))
    };
    let unknown = "/v2/a/blobs/uploads/00000000000000000000000000000000";
    let absent = format!("/v2/a/blobs/{}", Algorithm::Sha256.digest(b"absent"));
    let large = || Script::of(Some(1 << 30), [Send::Bytes(Bytes::from(vec![0; 1 << 20])), Send::Hang]);
    let endless = || Script::of(None, (0..100).map(|_| Send::Bytes(Bytes::from(vec![0; 64 << 10]))));
    let h1 = Version::HTTP_11;

    for (method, address) in [(Method::PATCH, unknown), (Method::GET, &*absent)] {
        let small = Script::of(Some(8), [bytes("0123"), bytes("4567")]);
        assert_eq!(closes(method.clone(), address, false, h1, small).await, (false, 8));
        let slow = Script::of(Some(8), [bytes("0123"), Send::Hang]);
        assert_eq!(closes(method.clone(), address, false, h1, slow).await, (true, 4));
        assert_eq!(closes(method.clone(), address, false, h1, large()).await, (true, 0));
        let (closed, taken) = closes(method.clone(), address, false, h1, endless()).await;
        assert!(closed && taken <= 512 << 10, "{taken}");
        // Whoever waits for a word before it sends its body is not made to.
        let awaited = Script::of(Some(4), [bytes("0123")]);
        assert_eq!(closes(method.clone(), address, true, h1, awaited).await, (true, 0));
        assert_eq!(closes(method, address, false, Version::HTTP_2, large()).await, (false, 0));
    }
}

#[tokio::test]
async fn bytes_go_through_as_they_come() {
    let (door, _) = whimsical();
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for algorithm in Algorithm::ALL {
        let location = door.begin("a").await;
        let chunks = content.chunks(70_001).map(|chunk| Send::Bytes(Bytes::copy_from_slice(chunk)));
        assert_eq!(patch(&door, &location, Script::of(None, chunks)).await.status(), 202);
        let digest = algorithm.digest(&content);
        assert_eq!(door.put(&format!("{location}?digest={digest}"), "").await.status, 201);
        let pulled = door.get(&format!("/v2/a/blobs/{digest}")).await;
        assert!(*pulled.body == *content, "{algorithm}");
    }
    let manifest = Manifest::of(MediaType::OCI_INDEX, json!({ "manifests": [] }));
    let pieces = manifest.bytes.chunks(7).map(|piece| Send::Bytes(Bytes::copy_from_slice(piece)));
    let request = Request::put("/v2/a/manifests/v1").header("content-type", MediaType::OCI_INDEX);
    let answer = door.respond(request.body(Script::of(None, pieces)).unwrap()).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(&*door.get("/v2/a/manifests/v1").await.body, &*manifest.bytes);
}
