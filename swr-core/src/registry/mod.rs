//! The engine: everything a registry does, for whoever may.

mod access;
mod caretaker;
mod collect;
mod listing;
mod mount;
mod pull;
mod pull_counter;
mod push_manifest;
mod relay;
mod removal;
mod scrub;
mod tagging;
mod uploads;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
#[cfg(feature = "control")]
use swr_policy::Tag;
use swr_policy::{NamingPolicy, OciNaming, RepositoryName};
use tokio::sync::watch;

use crate::caller::{Caller, Origin, Task};
use crate::digest::Digest;
use crate::error::Error;
use crate::ports::{
    Authorizer, BlobStore, Clock, ManifestStore, StoreError, SystemClock, TagGuard, UploadStore,
};
use crate::remembered::Remembered;
use crate::upload::UploadId;

pub use access::Access;
pub use caretaker::Caretaker;
#[cfg(feature = "control")]
pub(crate) use collect::BATCH;
pub use collect::{Collected, Swept};
pub use listing::Listed;
pub use mount::Mounted;
pub use pull::{Content, PulledBlob};
pub use push_manifest::{ManifestPush, Precondition, PushedManifest};
pub use relay::{Carried, Left, Relay};
pub use scrub::{Damage, Finding, Pace, ScrubCursor, Scrubbed, Unpaced};

use pull_counter::PullCounter;

/// A registry. Cheap to clone; all clones are the same registry.
///
/// There is nothing to be done on it directly: [`Registry::access`] is the registry as one caller may use it,
/// and [`Registry::caretaker`] what it does to itself. It starts no task and keeps no state of its own but
/// the counts of pulls that [`Caretaker::flush_pulls`] has not written yet, and the content of some small blobs (8 MiB
/// at most), so that the configuration of an image is not fetched from the store by each who pulls it.
///
/// Every operation may be dropped at any point: others see all of it or nothing.
#[derive(Clone)]
pub struct Registry(Arc<Parts>);

/// What a registry is made of.
struct Parts {
    blobs: Arc<dyn BlobStore>,
    uploads: Arc<dyn UploadStore>,
    manifests: Arc<dyn ManifestStore>,
    authorizer: Arc<dyn Authorizer>,
    naming: Arc<dyn NamingPolicy>,
    /// `None`: every tag moves, and nobody is asked.
    tag_guard: Option<Arc<dyn TagGuard>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    sparse_manifests: bool,
    redirects: bool,
    /// Who holds the leases that this registry takes.
    holder: String,
    pulls: PullCounter,
    /// The content of small blobs, which never changes.
    small_blobs: Remembered<Digest, Bytes>,
    committed: watch::Sender<()>,
}

impl Registry {
    /// A registry over these stores, with everything that it cannot be safe without. `bytes` keeps blobs and
    /// brings them in, `manifests` keeps every fact, `authorizer` answers what a caller may do.
    pub fn builder<B: BlobStore + UploadStore>(
        bytes: Arc<B>,
        manifests: Arc<dyn ManifestStore>,
        authorizer: Arc<dyn Authorizer>,
    ) -> RegistryBuilder {
        RegistryBuilder {
            short_holds: false,
            parts: Parts {
                blobs: Arc::<B>::clone(&bytes),
                uploads: bytes,
                manifests,
                authorizer,
                naming: Arc::new(OciNaming),
                tag_guard: None,
                clock: Arc::new(SystemClock),
                limits: Limits::default(),
                sparse_manifests: false,
                redirects: false,
                holder: UploadId::random().as_str().to_owned(),
                pulls: PullCounter::default(),
                small_blobs: Remembered::new(pull::SMALL_BLOBS_MAX),
                committed: watch::Sender::new(()),
            },
        }
    }

    /// The registry as this caller may use it. `origin` goes into the record of what the caller changes.
    pub fn access(&self, caller: Caller, origin: Origin) -> Access<'_> {
        Access::new(&self.0, caller, origin)
    }

    /// What the registry does to itself, unasked: no authorizer stands before it.
    pub fn caretaker(&self, task: Task) -> Caretaker<'_> {
        Caretaker::new(&self.0, task)
    }

    /// Tells when something was committed through this registry, so that whoever relays events or collects
    /// garbage need not look all the time.
    pub fn committed(&self) -> Committed {
        Committed(self.0.committed.subscribe())
    }

    /// Says whether a repository of this name may come into being: [`Error::NameRefused`] tells why not.
    pub fn admit(&self, repository: &RepositoryName) -> Result<(), Error> {
        self.0.naming.admit_repository(repository).map_err(Error::NameRefused)
    }

    /// Whether the tag, once set, may neither be moved nor removed.
    #[cfg(feature = "control")]
    pub(crate) async fn is_fixed(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, StoreError> {
        match &self.0.tag_guard {
            Some(guard) => Ok(guard.mobility(repository, tag).await? == crate::ports::TagMobility::Fixed),
            None => Ok(false),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Says whether a push would be taken now; `Err` tells why not. Costs no more than a point read or two.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.0.manifests.probe().await?;
        self.0.uploads.probe().await
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { blobs, manifests, authorizer, limits, .. } = &*self.0;
        f.debug_struct("Registry")
            .field("blobs", blobs)
            .field("manifests", manifests)
            .field("authorizer", authorizer)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

/// How large, how many, how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..Limits::default()`")]
pub struct Limits {
    /// The largest manifest, in bytes. 4 MiB.
    pub manifest_bytes_max: usize,
    /// The largest blob, in bytes. 10 GiB.
    pub blob_bytes_max: u64,
    /// How many tags one request may set; never below 10 (`end-7b`). 32.
    pub tags_per_push_max: usize,
    /// How many entries a page of a list holds at most; at least 1. 1000.
    pub page_max: u32,
    /// How many ranges of a blob one request is answered with; with more it gets the whole. 16.
    pub ranges_max: usize,
    /// The smallest chunk that clients are asked for, in bytes (`OCI-Chunk-Min-Length`); smaller ones are
    /// taken all the same. None.
    pub chunk_bytes_min: Option<u64>,
    /// How long a manifest stays after it lost its last tag, index or subject. `None`: for ever. 7 days.
    pub untagged_keep: Option<TimeDelta>,
    /// How long a repository holds a blob that none of its manifests names, after it was last pushed, mounted
    /// or asked for. Never below 1 hour without [`RegistryBuilder::unsafe_short_holds`]. 24 hours.
    pub link_hold: TimeDelta,
    /// After how long without a byte an upload is swept. 24 hours.
    pub upload_idle: TimeDelta,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes_max: 4 << 20,
            blob_bytes_max: 10 << 30,
            tags_per_push_max: 32,
            page_max: 1000,
            ranges_max: 16,
            chunk_bytes_min: None,
            untagged_keep: Some(TimeDelta::days(7)),
            link_hold: TimeDelta::hours(24),
            upload_idle: TimeDelta::hours(24),
        }
    }
}

impl Limits {
    /// The nearest limits that the promises above allow.
    fn kept(self, short_holds: bool) -> Self {
        let hold_min = if short_holds { TimeDelta::zero() } else { TimeDelta::hours(1) };
        Self {
            tags_per_push_max: self.tags_per_push_max.max(10),
            page_max: self.page_max.max(1),
            untagged_keep: self.untagged_keep.map(|keep| keep.max(TimeDelta::zero())),
            link_hold: self.link_hold.max(hold_min),
            upload_idle: self.upload_idle.max(TimeDelta::zero()),
            ..self
        }
    }
}

/// A registry in the making. Nothing left out makes it unsafe.
pub struct RegistryBuilder {
    parts: Parts,
    short_holds: bool,
}

impl RegistryBuilder {
    /// Which names may come into being. [`OciNaming`] unless said.
    #[must_use]
    pub fn naming(mut self, naming: Arc<dyn NamingPolicy>) -> Self {
        self.parts.naming = naming;
        self
    }

    /// Which tags may not move once they are set. None unless said.
    #[must_use]
    pub fn tag_guard(mut self, guard: Arc<dyn TagGuard>) -> Self {
        self.parts.tag_guard = Some(guard);
        self
    }

    /// Who knows the present. [`SystemClock`] unless said.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.parts.clock = clock;
        self
    }

    /// How large, how many, how long. A value that [`Limits`] rules out becomes the nearest that it allows.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.parts.limits = limits;
        self
    }

    /// Whether a manifest may name content that the repository does not hold. Not unless said.
    #[must_use]
    pub fn sparse_manifests(mut self, allowed: bool) -> Self {
        self.parts.sparse_manifests = allowed;
        self
    }

    /// Whether clients are sent to read blobs at the store itself, where it has an address for them
    /// ([`BlobStore::direct_url`]). Not unless said.
    #[must_use]
    pub fn redirects(mut self, allowed: bool) -> Self {
        self.parts.redirects = allowed;
        self
    }

    /// Lets [`Limits::link_hold`] go below an hour. A client that was told of a blob may then find it gone
    /// before its manifest arrives: for tests, and for registries that nobody pushes to.
    #[must_use]
    pub fn unsafe_short_holds(mut self, allowed: bool) -> Self {
        self.short_holds = allowed;
        self
    }

    /// The registry.
    pub fn build(mut self) -> Registry {
        self.parts.limits = self.parts.limits.kept(self.short_holds);
        Registry(Arc::new(self.parts))
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder").field("limits", &self.parts.limits).finish_non_exhaustive()
    }
}

/// Tells when something was committed.
#[derive(Clone, Debug)]
pub struct Committed(watch::Receiver<()>);

impl Committed {
    /// Waits until something has been committed since this last returned, or since it was made. Several
    /// commits may wake it once. Once the registry is gone it waits for ever. Dropping the future loses
    /// nothing.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
