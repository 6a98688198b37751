//! A registry over memory, a clock that stands still, and the people who use it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream;
use swr_core::caller::{Caller, Identity, Origin, Task};
use swr_core::commit::{Grounds, StoredBlob};
use swr_core::digest::Digest;
use swr_core::event::{Event, EventSeq};
use swr_core::ports::{
    Action, Ask, Authorizer, BlobStore, Candidates, ManifestStore, Page, Refusal, StoreError, UploadStore,
    Verdict,
};
use swr_core::reference::Reference;
use swr_core::registry::{Caretaker, ManifestPush, Precondition, PushedManifest, RegistryBuilder};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::testing::ManualClock;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::{Stepping, Steps};
use swr_core::{Access, Error, Registry, RepositoryName, Tag};
use swr_storage::memory::{MemoryBlobs, MemoryManifests};

pub(crate) struct Scene {
    pub(crate) blobs: Arc<Stepping<MemoryBlobs>>,
    pub(crate) manifests: Arc<Stepping<MemoryManifests>>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) steps: Arc<Steps>,
    pub(crate) registry: Registry,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(build: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        Self::over(MemoryBlobs::new(), build)
    }

    pub(crate) fn over(blobs: MemoryBlobs, build: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        let steps = Arc::new(Steps::default());
        let blobs = Arc::new(Stepping::new(blobs, &steps));
        let manifests = Arc::new(Stepping::new(MemoryManifests::new(), &steps));
        let rules = Arc::new(Rules { steps: Arc::clone(&steps), ..Rules::default() });
        let clock = Arc::new(ManualClock::default());
        let builder = Registry::builder(
            Arc::clone(&blobs),
            Arc::clone(&manifests) as Arc<dyn ManifestStore>,
            Arc::clone(&rules) as Arc<dyn Authorizer>,
        );
        let registry = build(builder.clock(Arc::clone(&clock) as Arc<_>)).build();
        Self { blobs, manifests, rules, clock, steps, registry }
    }

    pub(crate) fn ada(&self) -> Access<'_> {
        self.registry.access(user("ada"), Origin::default())
    }

    pub(crate) fn bob(&self) -> Access<'_> {
        self.registry.access(user("bob"), Origin::default())
    }

    pub(crate) fn stranger(&self) -> Access<'_> {
        self.registry.access(Caller::Anonymous, Origin::default())
    }

    pub(crate) fn caretaker(&self) -> Caretaker<'_> {
        self.registry.caretaker(Task::Collection)
    }

    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    /// Pushes the blobs of a manifest, and the manifest under the tag.
    pub(crate) async fn push(&self, to: &str, under: &str, manifest: &SampleManifest) -> PushedManifest {
        self.push_blobs(to, manifest).await;
        self.ada().push_manifest(&repository(to), tagged(under, manifest)).await.unwrap()
    }

    /// Pushes the blobs of a manifest, and the manifest by its digest.
    pub(crate) async fn push_untagged(&self, to: &str, manifest: &SampleManifest) -> PushedManifest {
        self.push_blobs(to, manifest).await;
        self.ada().push_manifest(&repository(to), by_digest(manifest)).await.unwrap()
    }

    pub(crate) async fn push_blobs(&self, to: &str, manifest: &SampleManifest) {
        for blob in manifest.blobs() {
            self.push_blob(to, blob).await;
        }
    }

    pub(crate) async fn push_blob(&self, to: &str, blob: &SampleBlob) -> StoredBlob {
        self.ada().push_blob(&repository(to), &blob.digest, blob.bytes.clone().into()).await.unwrap()
    }

    /// The bytes of a blob, as ada reads them.
    pub(crate) async fn read(&self, from: &str, digest: &Digest) -> Result<Bytes, Error> {
        use swr_core::registry::Content;
        match self.ada().pull_blob(&repository(from), digest, &[]).await?.content {
            Content::Whole(body) => Ok(body.collect(1 << 20).await.unwrap()),
            other => panic!("a whole blob was asked for: {other:?}"),
        }
    }

    pub(crate) async fn digest_of(&self, in_: &str, of: &str) -> Option<Digest> {
        match self.ada().stat_manifest(&repository(in_), &Reference::Tag(tag(of))).await {
            Ok(found) => Some(found.digest),
            Err(Error::ManifestUnknown { .. }) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let all = self.manifests.inner().events(EventSeq::START, u32::MAX.try_into().unwrap()).await.unwrap();
        all.into_iter().map(|recorded| recorded.event).collect()
    }

    /// How many uploads are under way or forgotten about.
    pub(crate) async fn uploads(&self) -> usize {
        self.blobs.inner().idle_since(chrono::DateTime::<chrono::Utc>::MAX_UTC).count().await
    }

    /// How many contents are kept, linked or not.
    pub(crate) async fn contents(&self) -> usize {
        self.blobs.inner().list().count().await
    }

    /// Everything that has to be waited for has passed, and every cleaning has run.
    pub(crate) async fn clean_up(&self) {
        self.pass(TimeDelta::days(30));
        self.registry.caretaker(Task::UploadSweep).sweep_uploads().await.unwrap().unwrap();
        for _ in 0..3 {
            self.pass(TimeDelta::seconds(1));
            self.caretaker().collect().await.unwrap().unwrap();
        }
    }
}

pub(crate) fn user(name: &str) -> Caller {
    Caller::User(Identity::new(name))
}

pub(crate) fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

pub(crate) fn page<T>(after: Option<T>, limit: u32) -> Page<T> {
    Page { after, limit: limit.try_into().unwrap() }
}

pub(crate) fn tagged(under: &str, manifest: &SampleManifest) -> ManifestPush {
    ManifestPush { reference: tag(under).into(), ..by_digest(manifest) }
}

pub(crate) fn by_digest(manifest: &SampleManifest) -> ManifestPush {
    ManifestPush {
        reference: manifest.digest().into(),
        tags: Vec::new(),
        media_type: Some(manifest.media_type()),
        bytes: manifest.bytes(),
        precondition: Precondition::None,
    }
}

/// A body of these chunks that breaks off after them.
pub(crate) fn broken(chunks: &[&'static str]) -> ByteStream {
    let chunks: Vec<_> = chunks
        .iter()
        .map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))
        .chain([Err(BodyError::Interrupted("the line was cut".into()))])
        .collect();
    ByteStream::new(stream::iter(chunks).boxed(), None)
}

/// A body of these chunks, of no declared length.
pub(crate) fn chunked(chunks: &[&'static str]) -> ByteStream {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
    ByteStream::new(stream::iter(chunks).boxed(), None)
}

/// Lets everybody do everything, unless a rule says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    steps: Arc<Steps>,
    rules: Mutex<Vec<Rule>>,
    /// Whether lists are answered here, or left to the engine.
    listing: Mutex<Option<Vec<RepositoryName>>>,
}

#[derive(Debug)]
struct Rule {
    caller: Caller,
    action: Option<Action>,
    repository: RepositoryName,
    verdict: Verdict,
    /// Whether it holds for one question alone.
    once: bool,
}

impl Rules {
    pub(crate) fn deny(&self, caller: Caller, action: Action, repository_: &str) {
        self.say(caller, Some(action), repository_, Verdict::Deny(Refusal::default()));
    }

    pub(crate) fn hide(&self, caller: Caller, repository_: &str) {
        self.say(caller, None, repository_, Verdict::Hide);
    }

    pub(crate) fn allow_on(&self, caller: Caller, action: Action, repository_: &str, grounds: Grounds) {
        self.say(caller, Some(action), repository_, Verdict::Allow(grounds));
    }

    /// As [`Self::allow_on`], for the next question alone.
    pub(crate) fn allow_once_on(&self, caller: Caller, action: Action, repository_: &str, grounds: Grounds) {
        self.allow_on(caller, action, repository_, grounds);
        if let Some(rule) = self.rules.lock().unwrap().last_mut() {
            rule.once = true;
        }
    }

    pub(crate) fn list(&self, repositories: &[&str]) {
        *self.listing.lock().unwrap() = Some(repositories.iter().map(|name| repository(name)).collect());
    }

    fn say(&self, caller: Caller, action: Option<Action>, repository_: &str, verdict: Verdict) {
        let rule = Rule { caller, action, repository: repository(repository_), verdict, once: false };
        self.rules.lock().unwrap().push(rule);
    }
}

#[async_trait]
impl Authorizer for Rules {
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        self.steps
            .step("decide", async {
                let mut rules = self.rules.lock().unwrap();
                let fits = rules.iter().position(|rule| {
                    rule.caller == *caller
                        && rule.action.is_none_or(|action| action == ask.action)
                        && rule.repository == *ask.repository
                });
                let Some(fits) = fits else { return Ok(Verdict::Allow(Grounds::default())) };
                let verdict = rules[fits].verdict.clone();
                if rules[fits].once {
                    rules.remove(fits);
                }
                Ok(verdict)
            })
            .await
    }

    async fn readable(
        &self,
        _: &Caller,
        of: Candidates<'_>,
    ) -> Result<Option<Vec<RepositoryName>>, StoreError> {
        let listing = self.listing.lock().unwrap().clone();
        Ok(listing.map(|all| match of {
            Candidates::All(page) => all
                .into_iter()
                .filter(|name| page.after.as_ref().is_none_or(|after| name > after))
                .take(page.limit.get() as usize)
                .collect(),
            Candidates::HoldersOf { .. } => all,
        }))
    }
}
