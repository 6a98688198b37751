//! A registry over memory, and packages that go in and out of it.

use std::io::{Seek, Write};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use swr_core::caller::{Caller, Identity, Origin};
use swr_core::commit::Grounds;
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::ports::{
    Action, Ask, Authorizer, BlobStore, ManifestStore, Page, Refusal, StoreError, UploadStore, Verdict,
};
use swr_core::reference::Reference;
use swr_core::registry::{ManifestPush, Precondition, RegistryBuilder};
use swr_core::stream::{BodyError, ByteStream};
use swr_core::testing::ManualClock;
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::stepping::{Stepping, Steps};
use swr_core::{Access, Error, OrganisationName, Registry, RepositoryName, Tag};
use swr_packages::{
    Destination, ExportedPackage, ImageOutcome, ImportError, ImportOptions, Package, Progress, export, import,
};
use swr_storage::memory::{MemoryBlobs, MemoryManifests};

pub(crate) struct Scene {
    pub(crate) steps: Arc<Steps>,
    pub(crate) blobs: Arc<Stepping<MemoryBlobs>>,
    pub(crate) manifests: Arc<Stepping<MemoryManifests>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) registry: Registry,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(build: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        let steps = Arc::new(Steps::default());
        let blobs = Arc::new(Stepping::new(MemoryBlobs::new(), &steps));
        let manifests = Arc::new(Stepping::new(MemoryManifests::new(), &steps));
        let clock = Arc::new(ManualClock::default());
        let builder = Registry::builder(
            Arc::clone(&blobs),
            Arc::clone(&manifests) as Arc<dyn ManifestStore>,
            Arc::new(NotInForbidden) as Arc<dyn Authorizer>,
        );
        let registry = build(builder.clock(Arc::clone(&clock) as _)).build();
        Self { steps, blobs, manifests, clock, registry, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn ada(&self) -> Access<'_> {
        self.registry.access(ada(), Origin::default())
    }

    pub(crate) fn options(&self) -> ImportOptions {
        ImportOptions::new(self.folder.path())
    }

    /// Imports an archive as it comes over a line, in chunks of this many bytes.
    pub(crate) async fn import_chunked(
        &self,
        archive: &Bytes,
        chunk: usize,
    ) -> Result<Vec<ImageOutcome>, ImportError> {
        self.import_with(Package::stream(chunked(archive, chunk)), &team(), &self.options()).await
    }

    pub(crate) async fn import(&self, archive: &Bytes) -> Result<Vec<ImageOutcome>, ImportError> {
        self.import_chunked(archive, 7000).await
    }

    pub(crate) async fn import_file(&self, archive: &Bytes) -> Result<Vec<ImageOutcome>, ImportError> {
        self.import_with(Package::file(file(archive)).unwrap(), &team(), &self.options()).await
    }

    pub(crate) async fn import_with(
        &self,
        package: Package,
        destination: &Destination,
        options: &ImportOptions,
    ) -> Result<Vec<ImageOutcome>, ImportError> {
        import(&self.ada(), destination, package, options, &mut |_| {}).await
    }

    /// Imports an archive, and says all that was told meanwhile.
    pub(crate) async fn told(&self, archive: &Bytes) -> Vec<String> {
        let told = Mutex::new(Vec::new());
        let mut report = |progress: Progress| {
            let line = match progress {
                Progress::Entry { name, size } => format!("entry {name} {size}"),
                Progress::Writing { repository, digest, bytes, .. } => {
                    format!("writing {repository} {digest} {bytes}")
                }
                Progress::Blob { repository, digest, written, .. } => {
                    format!("blob {repository} {digest} {written}")
                }
                Progress::Image(outcome) => told_of(&outcome),
                Progress::Read { bytes, of } => format!("read {bytes} {of:?}"),
                other => format!("{other:?}"),
            };
            told.lock().unwrap().push(line);
        };
        let package = Package::stream(chunked(archive, 10_000));
        import(&self.ada(), &team(), package, &self.options(), &mut report).await.unwrap();
        told.into_inner().unwrap()
    }

    pub(crate) async fn export(
        &self,
        from: &str,
        reference: &str,
        host: &str,
    ) -> Result<ExportedPackage, Error> {
        let reference = Reference::parse(reference).unwrap();
        export(&self.registry, ada(), Origin::default(), &repository(from), &reference, host).await
    }

    /// The whole archive of a version.
    pub(crate) async fn exported(&self, from: &str, reference: &str) -> Bytes {
        let package = self.export(from, reference, "registry.example:5000").await.unwrap();
        let declared = package.body.length().unwrap();
        let archive = package.body.collect(16 << 20).await.unwrap();
        assert_eq!(archive.len() as u64, declared);
        archive
    }

    pub(crate) async fn push(&self, to: &str, reference: Reference, manifest: &SampleManifest) {
        let to = repository(to);
        for blob in manifest.blobs() {
            self.ada().push_blob(&to, &blob.digest, blob.bytes.clone().into()).await.unwrap();
        }
        let push = ManifestPush {
            reference,
            tags: Vec::new(),
            media_type: Some(manifest.media_type()),
            bytes: manifest.bytes(),
            precondition: Precondition::None,
        };
        self.ada().push_manifest(&to, push).await.unwrap();
    }

    pub(crate) async fn digest_of(&self, in_: &str, of: &str) -> Option<Digest> {
        match self.ada().stat_manifest(&repository(in_), &Tag::parse(of).unwrap().into()).await {
            Ok(found) => Some(found.digest),
            Err(Error::ManifestUnknown { .. } | Error::Denied(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Nothing at all is in the stores: no repository, no record of a blob, no bytes, no upload; and nothing is left in
    /// the spool.
    pub(crate) async fn assert_untouched(&self, after: &str) {
        let page = Page { after: None, limit: 10.try_into().unwrap() };
        assert!(self.manifests.repositories(&page).await.unwrap().is_empty(), "{after}");
        let events = self.manifests.events(EventSeq::START, 10.try_into().unwrap()).await.unwrap();
        assert!(events.is_empty(), "{after}: {events:?}");
        assert_eq!(self.blobs.list().count().await, 0, "{after}");
        assert_eq!(self.blobs.idle_since(DateTime::<Utc>::MAX_UTC).count().await, 0, "{after}");
        assert_eq!(std::fs::read_dir(self.folder.path()).unwrap().count(), 0, "{after}");
    }
}

pub(crate) fn ada() -> Caller {
    Caller::User(Identity::new("ada"))
}

pub(crate) fn team() -> Destination {
    Destination::new(OrganisationName::parse("team").unwrap())
}

pub(crate) fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

pub(crate) fn tag(name: &str) -> Reference {
    Tag::parse(name).unwrap().into()
}

pub(crate) fn told_of(outcome: &ImageOutcome) -> String {
    match &outcome.result {
        Ok(done) => format!("{} is {}:{}", outcome.name, done.version.repository, done.version.tag),
        Err(error) => format!("{}: {error}", outcome.name),
    }
}

/// What became of each image, one line each.
pub(crate) fn lines<E: ToString>(outcomes: &Result<Vec<ImageOutcome>, E>) -> Vec<String> {
    match outcomes {
        Ok(outcomes) => outcomes.iter().map(told_of).collect(),
        Err(error) => vec![error.to_string()],
    }
}

pub(crate) fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(std::io::SeekFrom::End(0)).unwrap();
    file
}

pub(crate) fn chunked(bytes: &Bytes, chunk: usize) -> ByteStream {
    let (bytes, length) = (bytes.clone(), bytes.len());
    let chunks = (0..length).step_by(chunk).map(move |at| Ok(bytes.slice(at..length.min(at + chunk))));
    ByteStream::new(stream::iter(chunks).boxed(), None)
}

/// As [`chunked`], and then the line is cut.
pub(crate) fn broken(bytes: &Bytes) -> ByteStream {
    let cut = stream::iter([Err(BodyError::Interrupted("the line was cut".into()))]);
    ByteStream::new(chunked(bytes, 100).into_chunks().chain(cut).boxed(), None)
}

/// Lets everybody do everything, save push to repositories that are called so.
#[derive(Debug)]
struct NotInForbidden;

#[async_trait]
impl Authorizer for NotInForbidden {
    async fn decide(&self, _: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        match ask.repository.as_ref().ends_with("/forbidden") && ask.action == Action::Push {
            true => Ok(Verdict::Deny(Refusal::default())),
            false => Ok(Verdict::Allow(Grounds::default())),
        }
    }
}

pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    Algorithm::Sha512.digest(bytes)
}
