//! Bodies: what a client sends as a [`ByteStream`], and what it is sent.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Version, request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep};
use tracing::error;

use swr_core::stream::{BodyError, ByteStream};

use crate::admission::Admitted;
use crate::error_response::Chain;
use crate::observe::Observation;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How slow a sender may be: at least so many bytes within each such time of waiting for it. The time that
/// passes while nobody waits for it, because a store is slow, does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it")]
pub struct Patience {
    /// How long is waited.
    pub within: Duration,
    /// For how many bytes, or for the end.
    pub bytes_min: u64,
}

type Frames = UnsyncBoxBody<Bytes, BoxError>;

/// The body of a request before anybody has begun to read it.
pub struct RequestBody {
    frames: Option<Frames>,
    declared: Option<u64>,
    patience: Option<Patience>,
    progress: Arc<Progress>,
}

impl RequestBody {
    /// The body of a request with these headers. A sender that is slower than `patience` breaks off
    /// ([`BodyError::Stalled`]); `progress` is told how far it was read.
    pub fn new<B>(body: B, headers: &HeaderMap, patience: Option<Patience>, progress: Arc<Progress>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let declared = said.or_else(|| body.size_hint().exact());
        Self { frames: Some(body.map_err(Into::into).boxed_unsync()), declared, patience, progress }
    }

    /// Its length, where that is known before.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// How far it has been read.
    #[cfg(feature = "packages")]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The body as the engine takes it: one that ends before its declared length, or goes on after it, ends in
    /// an error.
    pub fn into_stream(self) -> ByteStream {
        let length = self.declared;
        self.into_stream_of(length)
    }

    /// As [`Self::into_stream`], of a body that says elsewhere how long it is.
    pub(crate) fn into_stream_of(mut self, declared: Option<u64>) -> ByteStream {
        let incoming = Incoming {
            frames: self.frames.take(),
            declared,
            received: 0,
            waiting: self.patience.map(Waiting::new),
            progress: Arc::clone(&self.progress),
        };
        ByteStream::new(incoming.boxed(), declared)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("declared", &self.declared).finish_non_exhaustive()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.progress.leave(self.frames.take());
    }
}

/// How far the body of a request has been read, and who is waited for. Shared with whoever must not wait for a
/// store for ever, and with whoever answers before all of it was read.
#[derive(Default)]
pub struct Progress {
    bytes: AtomicU64,
    for_client: AtomicBool,
    left: Mutex<Option<Frames>>,
}

impl Progress {
    /// The bytes that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether more of the body was asked for, and the client has not sent it.
    pub fn waits_for_client(&self) -> bool {
        self.for_client.load(Ordering::Relaxed)
    }

    /// Keeps what nobody is going to read.
    fn leave(&self, frames: Option<Frames>) {
        if let Some(frames) = frames.filter(|frames| !frames.is_end_stream()) {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(frames);
        }
    }

    /// What nobody has read, once the body is given up.
    pub(crate) fn left(&self) -> Option<Frames> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether the body of a request has been read to its end, so that the connection can carry another one: a client
/// that is not told otherwise takes it for granted. Where there is little left of it, that is read now.
pub(crate) async fn is_read(head: &request::Parts, progress: &Progress, patience: Option<Patience>) -> bool {
    let Some(left) = progress.left() else { return true };
    if head.version == Version::HTTP_2 {
        // A stream ends alone.
        return true;
    }
    // Whoever waits for a word before it sends the body is not given it.
    let is_awaited = head.headers.contains_key(EXPECT) && progress.bytes() == 0;
    !is_awaited && patience.is_some() && discard(left).await
}

/// Reads what nobody wants, so that the connection can carry another request. Says whether that was all of it:
/// it is given up where it is large, or slow to come.
async fn discard(mut frames: Frames) -> bool {
    if frames.size_hint().lower() > DISCARD_BYTES_MAX {
        return false;
    }
    let discarded = async {
        let mut left = DISCARD_BYTES_MAX;
        loop {
            match frames.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(rest) = left.checked_sub(length) else { return false };
                    left = rest;
                }
            }
        }
    };
    tokio::time::timeout(DISCARD_WITHIN, discarded).await.unwrap_or(false)
}

const DISCARD_BYTES_MAX: u64 = 256 << 10;
const DISCARD_WITHIN: Duration = Duration::from_secs(1);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

struct Incoming {
    /// `None` once it has ended, or the client has failed to send it.
    frames: Option<Frames>,
    declared: Option<u64>,
    received: u64,
    waiting: Option<Waiting>,
    progress: Arc<Progress>,
}

impl Stream for Incoming {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let next = this.poll_data(cx);
        this.progress.for_client.store(next.is_pending(), Ordering::Relaxed);
        let next = ready!(next);
        match &next {
            Some(Ok(chunk)) => {
                this.progress.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
            // There may be more than was declared.
            Some(Err(BodyError::Length { .. })) => this.progress.leave(this.frames.take()),
            Some(Err(_)) | None => this.frames = None,
        }
        Poll::Ready(next)
    }
}

impl Incoming {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        loop {
            let Poll::Ready(frame) = Pin::new(&mut *frames).poll_frame(cx) else {
                return match &mut self.waiting {
                    Some(waiting) => waiting.poll_elapsed(cx).map(|()| Some(Err(BodyError::Stalled))),
                    None => Poll::Pending,
                };
            };
            let chunk = match frame {
                None => {
                    return Poll::Ready(match self.declared {
                        Some(declared) if self.received < declared => {
                            Some(Err(BodyError::Length { declared }))
                        }
                        _ => None,
                    });
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Interrupted(error)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) if !chunk.is_empty() => chunk,
                    // Trailers, and frames of nothing.
                    _ => continue,
                },
            };
            let length = chunk.len() as u64;
            if let Some(declared) = self.declared.filter(|declared| length > declared - self.received) {
                return Poll::Ready(Some(Err(BodyError::Length { declared })));
            }
            self.received += length;
            if let Some(waiting) = &mut self.waiting {
                waiting.received(length);
            }
            return Poll::Ready(Some(Ok(chunk)));
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.progress.leave(self.frames.take());
    }
}

/// Counts the time that is spent on waiting.
struct Waiting {
    patience: Patience,
    left: Duration,
    bytes: u64,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    fn new(patience: Patience) -> Self {
        Self { patience, left: patience.within, bytes: 0, since: None, sleep: None }
    }

    /// Something came.
    fn received(&mut self, bytes: u64) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= self.patience.bytes_min {
            self.bytes = 0;
            self.left = self.patience.within;
        }
    }

    /// Nothing came: ready when it has been too long.
    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let until = now + self.left;
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(until),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// The body of a response: nothing, some bytes, or parts of a blob as they come out of a store. Its length is known
/// before, unless it tells what happens while it is sent.
///
/// A store that fails midway, or falls silent for longer than the host waits, ends it in an error, on which a
/// server cuts the connection: what was sent is never taken for the whole.
pub struct ResponseBody {
    segments: VecDeque<Segment>,
    left: u64,
    /// How much is left shows at the end.
    is_open: bool,
    waiting: Option<Waiting>,
    observation: Option<Observation>,
    admitted: Admitted,
}

enum Segment {
    Bytes(Bytes),
    Stream {
        chunks: BoxStream<'static, Result<Bytes, BodyError>>,
        left: u64,
    },
    #[cfg(feature = "packages")]
    Open(BoxStream<'static, Bytes>),
}

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self {
            segments: VecDeque::new(),
            left: 0,
            is_open: false,
            waiting: None,
            observation: None,
            admitted: Admitted::default(),
        }
    }

    /// Adds some bytes.
    pub(crate) fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.left += bytes.len() as u64;
            self.segments.push_back(Segment::Bytes(bytes));
        }
        self
    }

    /// Adds so many bytes out of a store.
    #[must_use]
    pub fn stream(mut self, stream: ByteStream, length: u64) -> Self {
        let stream = match stream.into_whole() {
            Ok(bytes) if bytes.len() as u64 == length => return self.bytes(bytes),
            Ok(bytes) => bytes.into(),
            Err(stream) => stream,
        };
        if length > 0 {
            self.left += length;
            self.segments.push_back(Segment::Stream { chunks: stream.into_chunks(), left: length });
        }
        self
    }

    /// Adds whatever is told until the end, which is where the stream ends.
    #[cfg(feature = "packages")]
    pub(crate) fn open(mut self, told: BoxStream<'static, Bytes>) -> Self {
        self.is_open = true;
        self.segments.push_back(Segment::Open(told));
        self
    }

    /// Waits no longer than this for a store's next bytes.
    #[must_use]
    pub fn within(mut self, within: Option<Duration>) -> Self {
        self.waiting = within.map(|within| Waiting::new(Patience { within, bytes_min: 1 }));
        self
    }

    pub(crate) fn observed(mut self, observation: Observation) -> Self {
        self.observation = Some(observation);
        self
    }

    /// The request is under way until this has been sent.
    #[must_use]
    pub fn of(mut self, admitted: Admitted) -> Self {
        self.admitted = admitted;
        self
    }

    /// How many bytes are yet to come, where that is known.
    pub fn length(&self) -> Option<u64> {
        (!self.is_open).then_some(self.left)
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let (chunks, left) = match self.segments.front_mut() {
                None => return Poll::Ready(None),
                Some(Segment::Bytes(bytes)) => {
                    let bytes = std::mem::take(bytes);
                    self.segments.pop_front();
                    return Poll::Ready(Some(Ok(bytes)));
                }
                #[cfg(feature = "packages")]
                Some(Segment::Open(told)) => match ready!(told.poll_next_unpin(cx)) {
                    Some(bytes) => {
                        // It was not counted before.
                        self.left += bytes.len() as u64;
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None => {
                        self.is_open = false;
                        self.segments.pop_front();
                        continue;
                    }
                },
                Some(Segment::Stream { chunks, left }) => (chunks, left),
            };
            let Poll::Ready(next) = chunks.poll_next_unpin(cx) else {
                return match &mut self.waiting {
                    Some(waiting) => waiting.poll_elapsed(cx).map(|()| Some(Err(BodyError::Stalled))),
                    None => Poll::Pending,
                };
            };
            let chunk = match next {
                Some(Ok(chunk)) if chunk.len() as u64 <= *left => chunk,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(_)) | None => return Poll::Ready(Some(Err(BodyError::Length { declared: *left }))),
            };
            if let Some(waiting) = &mut self.waiting {
                waiting.received(chunk.len() as u64);
            }
            *left -= chunk.len() as u64;
            if *left == 0 {
                self.segments.pop_front();
            }
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}

impl From<Bytes> for ResponseBody {
    /// These bytes.
    fn from(bytes: Bytes) -> Self {
        Self::empty().bytes(bytes)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let next = ready!(this.poll_data(cx));
        Poll::Ready(next.map(|next| match next {
            Ok(bytes) => {
                this.left -= bytes.len() as u64;
                if let Some(observation) = &mut this.observation {
                    observation.sent(bytes.len() as u64);
                }
                Ok(Frame::data(bytes))
            }
            Err(error) => {
                error!(error = %Chain(&error), left = this.left, "a response was cut off");
                this.segments.clear();
                Err(error)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(observation) = self.observation.take() {
            observation.end(self.length() == Some(0));
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("left", &self.left).finish_non_exhaustive()
    }
}
