//! A registry in which anybody may do anything, and how its clients go about it.

use std::path::Path;

use bytes::Bytes;
use swr_core::caller::{Caller, Origin};
use swr_core::digest::Digest;
use swr_core::reference::Reference;
use swr_core::registry::{Content, ManifestPush, Precondition};
use swr_core::testing::sample_images::SampleManifest;
use swr_core::{Access, Error, Registry, RepositoryName, Tag};
use swr_storage::FilesystemBlobs;

/// The files under `bytes` in the folder, however full the disk is.
pub(crate) fn bytes_in(folder: &Path) -> FilesystemBlobs {
    FilesystemBlobs::options().low_water_bytes(0).open(folder.join("bytes")).unwrap()
}

pub(crate) fn app() -> RepositoryName {
    RepositoryName::parse("library/app").unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn access(registry: &Registry) -> Access<'_> {
    registry.access(Caller::Anonymous, Origin::default())
}

pub(crate) fn push_of(image: &SampleManifest, under: impl Into<Reference>) -> ManifestPush {
    ManifestPush {
        reference: under.into(),
        tags: Vec::new(),
        media_type: Some(image.media_type()),
        bytes: image.bytes(),
        precondition: Precondition::None,
    }
}

pub(crate) async fn pull_blob(registry: &Registry, digest: &Digest) -> Result<Bytes, Error> {
    pull_blob_from(registry, &app(), digest).await
}

pub(crate) async fn pull_blob_from(
    registry: &Registry,
    from: &RepositoryName,
    digest: &Digest,
) -> Result<Bytes, Error> {
    match access(registry).pull_blob(from, digest, &[]).await?.content {
        Content::Whole(body) => Ok(body.collect(usize::MAX).await.unwrap()),
        other => panic!("{other:?}"),
    }
}
