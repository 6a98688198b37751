//! A package is taken or refused alike in whatever pieces it comes; what is refused as a whole leaves nothing,
//! and what became a version goes out and comes in again under the same digest.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use libfuzzer_sys::fuzz_target;
use swr_core::caller::{Caller, Identity, Origin};
use swr_core::commit::Grounds;
use swr_core::digest::Digest;
use swr_core::event::EventSeq;
use swr_core::ports::{Ask, Authorizer, BlobStore, ManifestStore, StoreError, UploadStore, Verdict};
use swr_core::stream::ByteStream;
use swr_core::{OrganisationName, Registry};
use swr_packages::{Destination, ImageOutcome, ImportError, ImportOptions, Package, Version, export, import};
use swr_storage::memory::{MemoryBlobs, MemoryManifests};

#[derive(Debug)]
struct Anybody;

#[async_trait::async_trait]
impl Authorizer for Anybody {
    async fn decide(&self, _: &Caller, _: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(Verdict::Allow(Grounds::default()))
    }
}

struct House {
    blobs: Arc<MemoryBlobs>,
    manifests: Arc<MemoryManifests>,
    registry: Registry,
}

impl House {
    fn new() -> Self {
        let (blobs, manifests) = (Arc::new(MemoryBlobs::new()), Arc::new(MemoryManifests::new()));
        let registry = Registry::builder(blobs.clone(), manifests.clone(), Arc::new(Anybody)).build();
        Self { blobs, manifests, registry }
    }

    async fn import(&self, bytes: &Bytes, chunk: usize) -> Result<Vec<ImageOutcome>, ImportError> {
        let (bytes, length) = (bytes.clone(), bytes.len());
        let chunks = (0..length).step_by(chunk).map(move |at| Ok(bytes.slice(at..length.min(at + chunk))));
        let package = Package::stream(ByteStream::new(stream::iter(chunks).boxed(), None));
        let destination = Destination::new(OrganisationName::parse("team").expect("it is a name"));
        let mut options = ImportOptions::new(std::env::temp_dir());
        options.package_bytes_max = 1 << 20;
        let access = self.registry.access(caller(), Origin::default());
        import(&access, &destination, package, &options, &mut |_| {}).await
    }
}

fn caller() -> Caller {
    Caller::User(Identity::new("fuzz"))
}

/// What became of it, without what may differ.
fn told(outcomes: &Result<Vec<ImageOutcome>, ImportError>) -> Vec<(String, Result<(Version, Digest), String>)> {
    match outcomes {
        Err(error) => vec![(String::new(), Err(error.to_string()))],
        Ok(outcomes) => outcomes
            .iter()
            .map(|outcome| {
                let result = match &outcome.result {
                    Ok(done) => Ok((done.version.clone(), done.digest)),
                    Err(error) => Err(error.to_string()),
                };
                (outcome.name.to_string(), result)
            })
            .collect(),
    }
}

async fn check(bytes: Bytes) {
    let (whole, pieces) = (House::new(), House::new());
    let outcomes = whole.import(&bytes, bytes.len().max(1)).await;
    let in_pieces = pieces.import(&bytes, 211).await;
    // Of damaged gzip data more or less is unpacked before the damage shows: the reason is one of two then.
    if bytes.starts_with(&[0x1f, 0x8b]) && outcomes.is_err() {
        assert!(in_pieces.is_err());
    } else {
        assert_eq!(told(&outcomes), told(&in_pieces));
    }
    let Ok(outcomes) = outcomes else {
        let one = 1.try_into().expect("it is not zero");
        assert!(whole.manifests.events(EventSeq::START, one).await.expect("memory does not fail").is_empty());
        assert_eq!(whole.blobs.list().count().await, 0);
        assert_eq!(whole.blobs.idle_since(chrono::DateTime::<chrono::Utc>::MAX_UTC).count().await, 0);
        return;
    };
    for done in outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()).take(4) {
        let Version { repository, tag } = &done.version;
        let tag = tag.clone().into();
        let exported =
            export(&whole.registry, caller(), Origin::default(), repository, &tag, "a.example").await;
        let archive = exported.expect("a version goes out").body.collect(4 << 20).await.expect("all of it");
        let other = House::new();
        let mut again = told(&other.import(&archive, 4096).await);
        assert_eq!(again.pop().and_then(|(_, result)| result.ok()), Some((done.version.clone(), done.digest)));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("threads enough");
    runtime.block_on(check(Bytes::copy_from_slice(bytes)));
});
