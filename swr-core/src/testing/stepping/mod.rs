//! Stores that stop, or fail, at whichever call they are told: before the call is made, or after.
//!
//! Whoever wraps a store so, and drops or fails an operation at each of its steps in turn, sees what a client that goes
//! away, a crash, or a fault whose outcome nobody knows leaves behind.

use std::fmt::Debug;
use std::future::Future;
use std::num::NonZeroU32;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::commit::{BlobLocation, Commit, CommitError, Receipt, RepositoryId, StoredBlob};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::event::{EventSeq, RecordedEvent};
use crate::manifest::StoredManifest;
use crate::media_type::MediaType;
use crate::ports::{
    AbandonError, AppendError, Backlog, BlobRecord, BlobStat, BlobStore, Brought, ContentState, Fence,
    FinishError, KeptManifest, Lease, LinkedBlob, ListedBlob, ManifestStore, Page, PullCount, Released,
    StoreError, StoreErrorKind, TagRecord, Unused, UploadStore, WithBytes,
};
use crate::reference::Reference;
use crate::stream::ByteStream;
use crate::upload::{Upload, UploadId};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use swr_policy::{RepositoryName, Tag};

/// What happens at a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test says which")]
pub enum Plan {
    /// The call is made.
    #[default]
    Plain,
    /// The call is made, with a pause before it and one after it.
    Pausing,
    /// The call of this number, from 1, fails and is not made.
    FailBefore(u32),
    /// The call of this number, from 1, is made and fails all the same.
    FailAfter(u32),
    /// Every call of this name fails.
    Failing(&'static str),
    /// Every call of this name fails as if there were no room.
    Full(&'static str),
    /// The call is made, and blobs have an address of their own.
    Addressed,
    /// The call is made, and blobs are read without their last byte.
    Short,
    /// The call is made, and blobs are read with other bytes.
    Flipped,
    /// The call is made, and so many more blobs are listed, which are old, have long names, and are read as empty.
    Others(u32),
}

/// Counts the calls to all stores of a scene, and interferes with them by a plan.
#[derive(Debug, Default)]
pub struct Steps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    calls: u32,
    reader_hold: Duration,
}

impl Steps {
    /// What happens from now on, counted from here.
    pub fn plan(&self, plan: Plan) {
        let mut state = self.0.lock().unwrap();
        (state.plan, state.calls) = (plan, 0);
    }

    /// How long blobs wait for their readers.
    pub fn hold_readers(&self, reader_hold: Duration) {
        self.0.lock().unwrap().reader_hold = reader_hold;
    }

    /// How many calls were made since the plan.
    pub fn calls(&self) -> u32 {
        self.0.lock().unwrap().calls
    }

    /// Whether calls are made as if there were nothing in between.
    #[cfg(feature = "control")]
    fn is_plain(&self) -> bool {
        matches!(self.0.lock().unwrap().plan, Plan::Plain)
    }

    /// Makes a call of this name, as the plan says: for whatever else a test wants to fail.
    pub async fn step<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let (plan, number) = {
            let mut state = self.0.lock().unwrap();
            state.calls += 1;
            (state.plan, state.calls)
        };
        let failure = |kind| Err(StoreError::new(kind, name, "it was told to fail").into());
        match plan {
            Plan::Pausing => {
                pause().await;
                let answer = call.await;
                pause().await;
                answer
            }
            Plan::FailBefore(at) if at == number => failure(StoreErrorKind::Unavailable),
            Plan::FailAfter(at) if at == number => {
                let _: Result<T, E> = call.await;
                failure(StoreErrorKind::Unavailable)
            }
            Plan::Failing(at) if at == name => failure(StoreErrorKind::Unavailable),
            Plan::Full(at) if at == name => failure(StoreErrorKind::Full),
            _ => call.await,
        }
    }
}

/// Gives way once.
pub async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls the future `polls` times at most and then drops it; its answer, if it came to one.
pub fn dropped_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return Some(answer);
        }
    }
    None
}

/// As [`dropped_after`], for a future that waits for others, such as threads: it is polled when it is woken.
pub async fn dropped_after_waking<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    std::future::poll_fn(move |context| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(fewer) => {
            left = fewer;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

/// Polls the futures in an order that the seed gives, until all are done.
pub fn interleaved<'a>(seed: u64, futures: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>) {
    let mut futures: Vec<_> = futures.into_iter().map(FutureExt::fuse).collect();
    let mut context = Context::from_waker(Waker::noop());
    // Numbers of a linear congruential generator: any order will do, the same for the same seed.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut done = 0;
    while done < futures.len() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let turn = (state >> 33) as usize % futures.len();
        if futures[turn].poll_unpin(&mut context).is_ready() {
            done += 1;
        }
    }
}

/// A store whose calls are counted and interfered with.
#[derive(Debug)]
pub struct Stepping<S> {
    store: S,
    steps: Arc<Steps>,
}

impl<S> Stepping<S> {
    /// The store, as the steps say.
    pub fn new(store: S, steps: &Arc<Steps>) -> Self {
        Self { store, steps: Arc::clone(steps) }
    }

    /// The store itself, with which nobody interferes.
    pub fn inner(&self) -> &S {
        &self.store
    }
}

macro_rules! step {
    ($self:ident.$call:ident($($argument:expr),*)) => {
        $self.steps.step(stringify!($call), $self.store.$call($($argument),*)).await
    };
}

// Behind the macro that it uses.
#[cfg(feature = "control")]
mod metadata_store;

#[async_trait]
impl<S: BlobStore> BlobStore for Stepping<S> {
    async fn stat(&self, at: &BlobLocation) -> Result<Option<BlobStat>, StoreError> {
        step!(self.stat(at))
    }

    async fn read(&self, at: &BlobLocation, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let plan = self.steps.0.lock().unwrap().plan;
        let range = match plan {
            Plan::Short => range.start..range.end - 1,
            _ => range,
        };
        let body = step!(self.read(at, range))?;
        Ok(match plan {
            Plan::Others(_) => Some(body.unwrap_or_else(ByteStream::empty)),
            Plan::Flipped => body.map(|body| {
                let length = body.length();
                let flipped = |bytes: Bytes| bytes.iter().map(|byte| !byte).collect();
                ByteStream::new(body.into_chunks().map_ok(flipped).boxed(), length)
            }),
            _ => body,
        })
    }

    async fn delete(&self, at: &BlobLocation) -> Result<(), StoreError> {
        step!(self.delete(at))
    }

    fn list(&self) -> BoxStream<'_, Result<ListedBlob, StoreError>> {
        let others = match self.steps.0.lock().unwrap().plan {
            Plan::Others(count) => count,
            _ => 0,
        };
        let others = (0..others).map(|other| {
            let location = BlobLocation::new(format!("{other:01000}"));
            let brought = Some(Brought { digest: None, at: DateTime::UNIX_EPOCH });
            Ok(ListedBlob { location, size: 0, brought })
        });
        self.store.list().chain(stream::iter(others)).boxed()
    }

    fn kin<'a>(&self, at: &'a BlobLocation) -> &'a str {
        self.store.kin(at)
    }

    async fn direct_url(&self, at: &BlobLocation) -> Result<Option<String>, StoreError> {
        if self.steps.0.lock().unwrap().plan == Plan::Addressed {
            return Ok(Some(format!("https://store.example/{at}")));
        }
        step!(self.direct_url(at))
    }

    fn reader_hold(&self) -> Duration {
        self.steps.0.lock().unwrap().reader_hold
    }
}

#[async_trait]
impl<S: UploadStore> UploadStore for Stepping<S> {
    async fn begin(&self, upload: &Upload) -> Result<(), StoreError> {
        step!(self.begin(upload))
    }

    async fn find(&self, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        step!(self.find(id))
    }

    async fn append(
        &self,
        id: &UploadId,
        offset: u64,
        body: ByteStream,
        at: DateTime<Utc>,
    ) -> Result<u64, AppendError> {
        let body = match self.steps.0.lock().unwrap().plan {
            Plan::Pausing => {
                let length = body.length();
                let chunks = body.into_chunks().then(|chunk| async {
                    pause().await;
                    chunk
                });
                ByteStream::new(chunks.boxed(), length)
            }
            _ => body,
        };
        step!(self.append(id, offset, body, at))
    }

    async fn finish(&self, id: &UploadId, expected: &Digest) -> Result<StoredBlob, FinishError> {
        step!(self.finish(id, expected))
    }

    async fn forget(&self, id: &UploadId) -> Result<(), StoreError> {
        step!(self.forget(id))
    }

    async fn abandon(&self, id: &UploadId) -> Result<(), AbandonError> {
        step!(self.abandon(id))
    }

    fn idle_since(&self, cutoff: DateTime<Utc>) -> BoxStream<'_, Result<Upload, StoreError>> {
        let all = async move {
            let idle: Result<Vec<_>, StoreError> = self
                .steps
                .step("idle_since", async { Ok(self.store.idle_since(cutoff).collect::<Vec<_>>().await) })
                .await;
            stream::iter(idle.unwrap_or_else(|error| vec![Err(error)]))
        };
        all.flatten_stream().boxed()
    }

    async fn probe(&self) -> Result<(), StoreError> {
        step!(self.probe())
    }
}

#[async_trait]
impl<S: ManifestStore> ManifestStore for Stepping<S> {
    async fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryId>, StoreError> {
        step!(self.repository(name))
    }

    async fn is_listed(&self, name: &RepositoryName) -> Result<bool, StoreError> {
        step!(self.is_listed(name))
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        bytes: WithBytes,
    ) -> Result<Option<StoredManifest>, StoreError> {
        step!(self.resolve(repository, reference, bytes))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Option<Vec<TagRecord>>, StoreError> {
        step!(self.tags(repository, page))
    }

    async fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Tag>, StoreError> {
        step!(self.tags_of(repository, digest, limit))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        of_type: Option<&MediaType>,
        page: &Page<Digest>,
    ) -> Result<Vec<Descriptor>, StoreError> {
        step!(self.referrers(repository, subject, of_type, page))
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, StoreError> {
        step!(self.blob(repository, digest))
    }

    async fn manifests_naming(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: NonZeroU32,
    ) -> Result<Vec<Digest>, StoreError> {
        step!(self.manifests_naming(repository, digest, limit))
    }

    async fn repositories(&self, page: &Page<RepositoryName>) -> Result<Vec<RepositoryName>, StoreError> {
        step!(self.repositories(page))
    }

    async fn holders(
        &self,
        digest: &Digest,
        near: &RepositoryName,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        step!(self.holders(digest, near, limit))
    }

    async fn commit(&self, commit: Commit) -> Result<Receipt, CommitError> {
        step!(self.commit(commit))
    }

    async fn release_unused(
        &self,
        unused: &Unused,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<Released, StoreError> {
        step!(self.release_unused(unused, fence, limit))
    }

    async fn discard_unlinked(
        &self,
        before: DateTime<Utc>,
        at: DateTime<Utc>,
        fence: &Fence,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        step!(self.discard_unlinked(before, at, fence, limit))
    }

    async fn discard_stray(
        &self,
        stored: &StoredBlob,
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<bool, StoreError> {
        step!(self.discard_stray(stored, at, fence))
    }

    async fn garbage(
        &self,
        listed_before: DateTime<Utc>,
        page: &Page<BlobLocation>,
    ) -> Result<Vec<BlobLocation>, StoreError> {
        step!(self.garbage(listed_before, page))
    }

    async fn forget_garbage(
        &self,
        locations: &[BlobLocation],
        at: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        step!(self.forget_garbage(locations, at, fence))
    }

    async fn trim_spent(&self, spent_before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        step!(self.trim_spent(spent_before, limit))
    }

    async fn records(&self, page: &Page<Digest>) -> Result<Vec<BlobRecord>, StoreError> {
        step!(self.records(page))
    }

    async fn content_state(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<ContentState, StoreError> {
        step!(self.content_state(digest, location))
    }

    async fn kept_manifests(
        &self,
        page: &Page<(RepositoryId, Digest)>,
    ) -> Result<Vec<KeptManifest>, StoreError> {
        step!(self.kept_manifests(page))
    }

    async fn quarantine(&self, digest: &Digest, location: &BlobLocation) -> Result<(), StoreError> {
        step!(self.quarantine(digest, location))
    }

    async fn events(&self, after: EventSeq, limit: NonZeroU32) -> Result<Vec<RecordedEvent>, StoreError> {
        step!(self.events(after, limit))
    }

    async fn cursor(&self, consumer: &str) -> Result<EventSeq, StoreError> {
        step!(self.cursor(consumer))
    }

    async fn advance(&self, consumer: &str, upto: EventSeq, fence: &Fence) -> Result<(), StoreError> {
        step!(self.advance(consumer, upto, fence))
    }

    async fn retain_consumers(&self, names: &[&str]) -> Result<(), StoreError> {
        step!(self.retain_consumers(names))
    }

    async fn trim_events(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        step!(self.trim_events(before, limit))
    }

    async fn lease(&self, lease: &Lease<'_>) -> Result<Option<Fence>, StoreError> {
        step!(self.lease(lease))
    }

    async fn release_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        step!(self.release_lease(fence))
    }

    async fn observe_pulls(&self, counts: &[PullCount]) -> Result<(), StoreError> {
        step!(self.observe_pulls(counts))
    }

    async fn pulls(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<PullCount>, StoreError> {
        step!(self.pulls(repository, reference))
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        step!(self.backlog())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        step!(self.probe())
    }
}
