//! Manifests, in: read, permitted, planned, committed.

use std::collections::HashSet;

use bytes::Bytes;
use swr_policy::{RepositoryName, Tag};
use tracing::instrument;

use super::access::{Access, Permitted, Refused};
use crate::commit::{Change, Require};
use crate::digest::{Algorithm, Digest};
use crate::error::Error;
use crate::manifest::{ManifestRecord, ReferenceKind};
use crate::media_type::MediaType;
use crate::ports::{TagMobility, WithBytes};
use crate::reference::Reference;

/// A manifest to be pushed.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "doors build it")]
pub struct ManifestPush {
    /// The tag that it is to have, or the digest that it has to have.
    pub reference: Reference,
    /// Further tags (`end-7b`).
    pub tags: Vec<Tag>,
    /// What it is pushed as, where that is said.
    pub media_type: Option<MediaType>,
    /// The manifest, byte for byte.
    pub bytes: Bytes,
    /// What the reference has to lead to before.
    pub precondition: Precondition,
}

/// What a reference has to lead to before it is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "doors build it")]
pub enum Precondition {
    /// Whatever it does.
    #[default]
    None,
    /// Something (`If-Match: *`).
    Exists,
    /// Nothing (`If-None-Match: *`).
    Absent,
    /// One of these (`If-Match: "…", "…"`).
    Is(Vec<Digest>),
}

/// A manifest that the repository holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a door takes it apart")]
pub struct PushedManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its type.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// The manifest that it refers to, present or not (`OCI-Subject`).
    pub subject: Option<Digest>,
    /// The tags that point to it by this push, each once.
    pub tags: Vec<Tag>,
}

impl Access<'_> {
    /// Puts a manifest into the repository, with its tags and its place among the referrers, all in one step.
    ///
    /// Its digest is made with the algorithm of the reference, where that is a digest, and with SHA-256 where
    /// it is not. What it names must be there, unless the registry takes sparse manifests.
    #[instrument(level = "debug", skip_all, fields(%repository, reference = %push.reference))]
    pub async fn push_manifest(
        &self,
        repository: &RepositoryName,
        push: ManifestPush,
    ) -> Result<PushedManifest, Error> {
        let tags = tags_of(&push);
        let limit = self.limits().tags_per_push_max;
        if tags.len() > limit {
            return Err(Error::TooManyTags { limit });
        }
        let permitted = self.permit_push(repository, &tags).await?;
        let manifest = self.read_manifest(&push)?;
        let pushed = PushedManifest {
            digest: manifest.digest,
            media_type: manifest.media_type.clone(),
            size: manifest.bytes.len() as u64,
            subject: manifest.subject,
            tags: tags.clone(),
        };

        let mut requires = permitted.expected(&push.reference, &push.precondition).await?;
        for tag in permitted.fixed_among(&pushed.tags).await? {
            requires.push(Require::TagUnsetOr { tag, digest: pushed.digest });
        }
        let sparse = permitted.parts.sparse_manifests;
        let (needs, changes) = plan(manifest, &pushed.tags, sparse);
        requires.extend(needs);
        permitted.commit(requires, changes).await.map_err(|refused| refusal(refused, &pushed))?;
        Ok(pushed)
    }

    /// Says whether a push of this manifest under these tags would be taken, as far as that can be known before its
    /// content is there: the caller may, the names are admitted, and no tag is fixed elsewhere.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest))]
    pub async fn admit_push(
        &self,
        repository: &RepositoryName,
        tags: &[Tag],
        digest: &Digest,
    ) -> Result<(), Error> {
        let permitted = self.permit_push(repository, tags).await?;
        for tag in permitted.fixed_among(tags).await? {
            let reference = Reference::Tag(tag.clone());
            let current = permitted.parts.manifests.resolve(repository, &reference, WithBytes::No).await?;
            if current.is_some_and(|current| current.digest != *digest) {
                return Err(Error::TagImmutable { tag });
            }
        }
        Ok(())
    }

    fn read_manifest(&self, push: &ManifestPush) -> Result<ManifestRecord, Error> {
        let limit = self.limits().manifest_bytes_max;
        if push.bytes.len() > limit {
            return Err(Error::ManifestTooLarge { limit });
        }
        let expected = match &push.reference {
            Reference::Tag(_) => None,
            Reference::Digest(digest) => Some(*digest),
        };
        let algorithm = expected.map_or(Algorithm::default(), |digest| digest.algorithm());
        let manifest = ManifestRecord::parse(push.bytes.clone(), push.media_type.as_ref(), algorithm);
        // A digest that is false says more than what the wrong bytes look like.
        if let Some(expected) = expected {
            let actual = match &manifest {
                Ok(manifest) => manifest.digest,
                Err(_) => algorithm.digest(&push.bytes),
            };
            if actual != expected {
                return Err(Error::DigestMismatch { actual });
            }
        }
        Ok(manifest?)
    }
}

impl Permitted<'_> {
    /// What the commit must require for the precondition to hold.
    pub(super) async fn expected(
        &self,
        reference: &Reference,
        precondition: &Precondition,
    ) -> Result<Vec<Require>, Error> {
        let require = match (reference, precondition) {
            (_, Precondition::None) => return Ok(Vec::new()),
            (Reference::Tag(tag), Precondition::Exists) => Require::TagSet(tag.clone()),
            (Reference::Tag(tag), Precondition::Absent) => Require::TagUnset(tag.clone()),
            (Reference::Tag(tag), Precondition::Is(digests)) => {
                let current = self.parts.manifests.resolve(self.repository, reference, WithBytes::No).await?;
                match current {
                    Some(current) if digests.contains(&current.digest) => {
                        Require::TagIs { tag: tag.clone(), digest: current.digest, updated: None }
                    }
                    _ => return Err(Error::PreconditionFailed),
                }
            }
            (Reference::Digest(digest), Precondition::Exists) => Require::ManifestPresent(*digest),
            (Reference::Digest(digest), Precondition::Absent) => Require::ManifestAbsent(*digest),
            (Reference::Digest(digest), Precondition::Is(digests)) if digests.contains(digest) => {
                Require::ManifestPresent(*digest)
            }
            (Reference::Digest(_), Precondition::Is(_)) => return Err(Error::PreconditionFailed),
        };
        Ok(vec![require])
    }

    /// Those of the tags that may not move once they are set.
    pub(super) async fn fixed_among(&self, tags: &[Tag]) -> Result<Vec<Tag>, Error> {
        let Some(guard) = &self.parts.tag_guard else {
            return Ok(Vec::new());
        };
        let mut fixed = Vec::new();
        for tag in tags {
            match guard.mobility(self.repository, tag).await? {
                TagMobility::Movable => {}
                TagMobility::Fixed => fixed.push(tag.clone()),
            }
        }
        Ok(fixed)
    }
}

/// The tags of a push in the order they were named, each once.
fn tags_of(push: &ManifestPush) -> Vec<Tag> {
    let first = match &push.reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    };
    let mut seen = HashSet::new();
    first.into_iter().chain(&push.tags).filter(|tag| seen.insert(*tag)).cloned().collect()
}

/// What must be there, and what changes.
fn plan(manifest: ManifestRecord, tags: &[Tag], sparse: bool) -> (Vec<Require>, Vec<Change>) {
    let requires = match sparse {
        true => Vec::new(),
        false => manifest
            .references
            .iter()
            .filter_map(|reference| match reference.kind {
                ReferenceKind::Blob => Some(Require::BlobLinked(reference.digest)),
                ReferenceKind::Manifest => Some(Require::ManifestPresent(reference.digest)),
                ReferenceKind::ForeignBlob => None,
            })
            .collect(),
    };
    let digest = manifest.digest;
    let set = tags.iter().map(|tag| Change::SetTag { tag: tag.clone(), digest });
    let changes = [Change::CreateRepository, Change::PutManifest(manifest)].into_iter().chain(set).collect();
    (requires, changes)
}

/// What a refused push means to the client: the precondition first, since it makes the rest pointless.
fn refusal(refused: Refused, pushed: &PushedManifest) -> Error {
    let unmet = match refused {
        Refused::Unmet(unmet) => unmet,
        other => return other.or(Error::ManifestBlobUnknown(Vec::new())),
    };
    let mut fixed = None;
    let mut missing = Vec::new();
    for require in unmet {
        match require {
            Require::BlobLinked(digest) => missing.push(digest),
            // A manifest cannot name itself.
            Require::ManifestPresent(digest) if digest != pushed.digest => missing.push(digest),
            Require::TagUnsetOr { tag, .. } => fixed = fixed.or(Some(tag)),
            _ => return Error::PreconditionFailed,
        }
    }
    match fixed {
        Some(tag) => Error::TagImmutable { tag },
        None => Error::ManifestBlobUnknown(missing),
    }
}
