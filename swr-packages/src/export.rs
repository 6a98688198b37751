//! Versions, out: one archive that is an image layout and what `docker save` writes at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use swr_core::caller::{Caller, Origin};
use swr_core::digest::Digest;
use swr_core::manifest::{ManifestRecord, ReferenceKind, StoredManifest};
use swr_core::media_type::{ManifestKind, MediaType};
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::reference::Reference;
use swr_core::registry::Content;
use swr_core::stream::{BodyError, ByteStream};
use swr_core::{Error, Registry, RepositoryName};
use tracing::instrument;

use crate::contents::blob_name;
use crate::layout::{IMAGE_CONFIG, IMAGE_NAME, INDEX, LAYOUT, MANIFEST, REF_NAME};
use crate::write_tar;

/// The config of an image as Docker's own manifests call it.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// How long the manifests of one version may be in all, in bytes: they are in memory while it is exported.
const MANIFESTS_BYTES_MAX: usize = 32 << 20;

/// A version on its way out.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExportedPackage {
    /// What was asked for.
    pub digest: Digest,
    /// The archive, whose length is known.
    pub body: ByteStream,
    /// What a file is called that has it: the repository without its organisation, and what was asked for.
    pub file_name: Box<str>,
}

/// Writes a version as an archive that `docker load` and whatever reads an OCI image layout take: the same bytes
/// whenever it is the same version and the same host.
///
/// An image under a tag is called `{host}/{repository}:{tag}` in it; `host` is where clients reach the registry. What is
/// asked for by its digest has no name. An index goes out with everything that it lists; `docker load` finds in it the
/// image for Linux on amd64, or the first. What is no image, such as a chart, is in the layout alone.
///
/// The caller's rights are asked for again with each blob, and a body that fails ends in an error. Needs nothing but the
/// memory for the manifests, at most 32 MiB.
#[instrument(level = "debug", skip_all, fields(%repository, %reference))]
pub async fn export(
    registry: &Registry,
    caller: Caller,
    origin: Origin,
    repository: &RepositoryName,
    reference: &Reference,
    host: &str,
) -> Result<ExportedPackage, Error> {
    let reader = Reader { registry: registry.clone(), caller, origin, repository: repository.clone() };
    let top = reader.manifest(reference).await?;
    let digest = top.digest;
    let mut found = Found::default();
    reader.gather(top, 0, &mut found).await?;
    let name = match reference {
        Reference::Tag(tag) => Some((format!("{host}/{repository}:{tag}"), tag.to_string())),
        Reference::Digest(_) => None,
    };
    let pieces = found.pieces(digest, name)?;
    let length = pieces.iter().map(Piece::length).sum::<u64>() + write_tar::END.len() as u64;
    let (_, within) = repository.as_str().split_once('/').unwrap_or(("", repository.as_str()));
    let file_name = format!("{within}_{reference}.tar").replace(['/', ':'], "_").into();
    Ok(ExportedPackage { digest, body: ByteStream::new(stream_of(reader, pieces), Some(length)), file_name })
}

/// A registry as the caller who exports may read it.
struct Reader {
    registry: Registry,
    caller: Caller,
    origin: Origin,
    repository: RepositoryName,
}

/// What a version consists of.
#[derive(Default)]
struct Found {
    /// Manifests by their digests.
    manifests: BTreeMap<Digest, (MediaType, Bytes)>,
    manifests_bytes: usize,
    /// Lengths of blobs by their digests.
    blobs: BTreeMap<Digest, u64>,
}

/// An entry of the archive.
struct Piece {
    name: String,
    content: PieceContent,
}

enum PieceContent {
    Folder,
    Bytes(Bytes),
    Blob(Digest, u64),
}

impl Reader {
    async fn manifest(&self, reference: &Reference) -> Result<StoredManifest, Error> {
        let access = self.registry.access(self.caller.clone(), self.origin.clone());
        access.pull_manifest(&self.repository, reference).await
    }

    async fn size(&self, digest: &Digest) -> Result<u64, Error> {
        let access = self.registry.access(self.caller.clone(), self.origin.clone());
        Ok(access.stat_blob(&self.repository, digest).await?.size)
    }

    async fn blob(&self, digest: &Digest) -> Result<ByteStream, Error> {
        let access = self.registry.access(self.caller.clone(), self.origin.clone()).without_redirects();
        match access.pull_blob(&self.repository, digest, &[]).await?.content {
            Content::Whole(body) => Ok(body),
            Content::Parts(_) | Content::Redirect(_) => Err(damaged("a whole blob was asked for")),
        }
    }

    /// Everything that a manifest names, itself included. What is named as a manifest of its own is no deeper than the
    /// memory for all of them allows.
    fn gather<'s>(
        &'s self,
        manifest: StoredManifest,
        depth: u8,
        found: &'s mut Found,
    ) -> BoxFuture<'s, Result<(), Error>> {
        async move {
            let StoredManifest { digest, media_type, bytes, .. } = manifest;
            let bytes = bytes.ok_or_else(|| damaged("a manifest was asked for with its bytes"))?;
            found.manifests_bytes += bytes.len();
            if found.manifests_bytes > MANIFESTS_BYTES_MAX || depth > DEPTH_MAX {
                return Err(Error::Unsupported("an index this large cannot be exported".into()));
            }
            let record = ManifestRecord::parse(bytes, Some(&media_type), digest.algorithm())?;
            found.manifests.insert(digest, (media_type, record.bytes.clone()));
            for reference in &record.references {
                match reference.kind {
                    ReferenceKind::Manifest if found.manifests.contains_key(&reference.digest) => {}
                    ReferenceKind::Manifest => {
                        let child = self.manifest(&reference.digest.into()).await?;
                        self.gather(child, depth + 1, found).await?;
                    }
                    _ if found.blobs.contains_key(&reference.digest) => {}
                    ReferenceKind::Blob => {
                        let size = self.size(&reference.digest).await?;
                        found.blobs.insert(reference.digest, size);
                    }
                    // A layer that may stay elsewhere does.
                    ReferenceKind::ForeignBlob => match self.size(&reference.digest).await {
                        Ok(size) => drop(found.blobs.insert(reference.digest, size)),
                        Err(Error::BlobUnknown { .. }) => {}
                        Err(error) => return Err(error),
                    },
                }
            }
            Ok(())
        }
        .boxed()
    }
}

/// How deep indexes are followed.
const DEPTH_MAX: u8 = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenIndex<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: [WrittenDescriptor<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenDescriptor<'a> {
    media_type: &'a MediaType,
    digest: Digest,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenSaved<'a> {
    config: String,
    repo_tags: Option<[&'a str; 1]>,
    layers: Vec<String>,
}

/// As much of an image as `manifest.json` says.
#[derive(Deserialize)]
struct ImageManifest {
    config: Named,
    layers: Option<Vec<Named>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    media_type: String,
    digest: Digest,
}

#[derive(Deserialize)]
struct ReadIndex {
    manifests: Option<Vec<Child>>,
}

#[derive(Deserialize)]
struct Child {
    digest: Digest,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
}

impl Found {
    /// The entries of the archive, in their order: what says what is in it first, then content by its digest.
    fn pieces(self, top: Digest, name: Option<(String, String)>) -> Result<VecDeque<Piece>, Error> {
        let (media_type, bytes) = self.manifests.get(&top).ok_or_else(|| damaged("no manifest"))?;
        let mut annotations = BTreeMap::new();
        if let Some((name, tag)) = &name {
            annotations.insert(IMAGE_NAME, name.as_str());
            annotations.insert(REF_NAME, tag.as_str());
        }
        let index = WrittenIndex {
            schema_version: 2,
            media_type: MediaType::OCI_INDEX,
            manifests: [WrittenDescriptor { media_type, digest: top, size: bytes.len(), annotations }],
        };
        let mut pieces = VecDeque::from([
            Piece::bytes(LAYOUT, Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#)),
            Piece::bytes(INDEX, written(&index)?),
        ]);
        if let Some(image) = self.image(&top) {
            let saved = WrittenSaved {
                config: blob_name(&image.config.digest),
                repo_tags: name.as_ref().map(|(name, _)| [name.as_str()]),
                layers: image.layers.iter().flatten().map(|layer| blob_name(&layer.digest)).collect(),
            };
            pieces.push_back(Piece::bytes(MANIFEST, written(&[saved])?));
        }
        let digests = self.manifests.keys().chain(self.blobs.keys());
        let algorithms: BTreeSet<_> = digests.map(Digest::algorithm).collect();
        pieces.push_back(Piece { name: "blobs/".into(), content: PieceContent::Folder });
        for algorithm in algorithms {
            pieces.push_back(Piece { name: format!("blobs/{algorithm}/"), content: PieceContent::Folder });
        }
        for (digest, (_, bytes)) in &self.manifests {
            pieces.push_back(Piece::bytes(&blob_name(digest), bytes.clone()));
        }
        // What is a manifest and a blob at once is there already.
        for (digest, size) in self.blobs.iter().filter(|(digest, _)| !self.manifests.contains_key(digest)) {
            pieces.push_back(Piece { name: blob_name(digest), content: PieceContent::Blob(*digest, *size) });
        }
        Ok(pieces)
    }

    /// The image that `manifest.json` names: this one, or of an index the one for Linux on amd64, or else the first.
    fn image(&self, of: &Digest) -> Option<ImageManifest> {
        let (media_type, bytes) = self.manifests.get(of)?;
        match media_type.manifest_kind()? {
            ManifestKind::Image => {
                let image: ImageManifest = serde_json::from_slice(bytes).ok()?;
                [IMAGE_CONFIG, DOCKER_CONFIG].contains(&image.config.media_type.as_str()).then_some(image)
            }
            ManifestKind::Index => {
                let index: ReadIndex = serde_json::from_slice(bytes).ok()?;
                let children = index.manifests.unwrap_or_default();
                let usual = children.iter().filter(|child| child.is_usual());
                let others = children.iter().filter(|child| !child.is_usual());
                usual.chain(others).find_map(|child| self.image(&child.digest))
            }
            ManifestKind::Artifact => None,
        }
    }
}

impl Child {
    fn is_usual(&self) -> bool {
        self.platform.as_ref().is_some_and(|platform| {
            platform.os.as_deref() == Some("linux") && platform.architecture.as_deref() == Some("amd64")
        })
    }
}

impl Piece {
    fn bytes(name: &str, bytes: Bytes) -> Self {
        Self { name: name.into(), content: PieceContent::Bytes(bytes) }
    }

    fn size(&self) -> u64 {
        match &self.content {
            PieceContent::Folder => 0,
            PieceContent::Bytes(bytes) => bytes.len() as u64,
            PieceContent::Blob(_, size) => *size,
        }
    }

    /// How long it is in the archive, in bytes.
    fn length(&self) -> u64 {
        self.header().len() as u64 + self.size() + write_tar::padding(self.size()).len() as u64
    }

    fn header(&self) -> Bytes {
        write_tar::header(&self.name, self.size())
    }
}

/// Where in the archive a body is.
struct Writing {
    reader: Reader,
    pieces: VecDeque<Piece>,
    /// The content that is being written, and the padding after it.
    open: Option<(ByteStream, &'static [u8])>,
    is_ended: bool,
}

fn stream_of(
    reader: Reader,
    pieces: VecDeque<Piece>,
) -> stream::BoxStream<'static, Result<Bytes, BodyError>> {
    let writing = Writing { reader, pieces, open: None, is_ended: false };
    stream::try_unfold(writing, |mut writing| async move {
        let chunk = writing.next().await?;
        Ok(chunk.map(|chunk| (chunk, writing)))
    })
    .boxed()
}

impl Writing {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some((body, padding)) = &mut self.open {
            if let Some(chunk) = body.next().await {
                return chunk.map(Some);
            }
            let padding = Bytes::from_static(padding);
            self.open = None;
            if !padding.is_empty() {
                return Ok(Some(padding));
            }
        }
        let Some(piece) = self.pieces.pop_front() else {
            let end = (!self.is_ended).then(|| Bytes::from_static(&write_tar::END));
            self.is_ended = true;
            return Ok(end);
        };
        let (header, padding) = (piece.header(), write_tar::padding(piece.size()));
        let body = match piece.content {
            PieceContent::Folder => return Ok(Some(header)),
            PieceContent::Bytes(bytes) => bytes.into(),
            PieceContent::Blob(digest, size) => match self.reader.blob(&digest).await {
                Ok(body) if body.length() == Some(size) => body,
                Ok(_) => return Err(of_engine(damaged("a blob has another length than before"))),
                Err(error) => return Err(of_engine(error)),
            },
        };
        self.open = Some((body, padding));
        Ok(Some(header))
    }
}

fn of_engine(error: Error) -> BodyError {
    match error {
        Error::Store(error) | Error::StoreFull(error) => BodyError::Store(error),
        error => BodyError::Interrupted(error.into()),
    }
}

fn written(value: &impl Serialize) -> Result<Bytes, Error> {
    match serde_json::to_vec(value) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(damaged(error)),
    }
}

fn damaged(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    StoreError::new(StoreErrorKind::Corrupt, "packages.export", what).into()
}
