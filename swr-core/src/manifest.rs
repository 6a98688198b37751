//! Manifests: their exact bytes, and what the registry reads from them.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::media_type::MediaType;

/// A manifest on its way into a store: its exact bytes, and what was read from them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends take it apart")]
pub struct ManifestRecord {
    /// The digest of `bytes`, by the algorithm it was pushed under.
    pub digest: Digest,
    /// The type it was pushed as, and is served as.
    pub media_type: MediaType,
    /// The manifest, byte for byte.
    pub bytes: Bytes,
    /// What it is listed as among the referrers of its subject: its own artifact type, or the media type
    /// of an image's config.
    pub artifact_type: Option<MediaType>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The manifest that it refers to, present or not.
    pub subject: Option<Digest>,
    /// All that it names, each digest once, its subject apart.
    pub references: Vec<ManifestReference>,
}

impl ManifestRecord {
    /// How it appears among the referrers of its subject.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest,
            size: self.bytes.len() as u64,
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

/// Something that a manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends keep it")]
pub struct ManifestReference {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, as the manifest says.
    pub size: u64,
    /// Whether it is a blob or a manifest.
    pub kind: ReferenceKind,
}

/// What a manifest can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends keep it")]
pub enum ReferenceKind {
    /// A config or a layer.
    Blob,
    /// A child of an index.
    Manifest,
    /// A layer that may stay where its `urls` say: held when it is there, not missed when it is not.
    ForeignBlob,
}

/// A manifest out of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct StoredManifest {
    /// Its digest, by the algorithm it was pushed under.
    pub digest: Digest,
    /// The type it was pushed as.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes, when they were asked for.
    pub bytes: Option<Bytes>,
    /// Since when no tag, index or subject holds it, when one did before.
    pub unused_since: Option<DateTime<Utc>>,
}
