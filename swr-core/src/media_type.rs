//! Media types, and the ones that a registry treats specially.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A media type without parameters, such as `application/vnd.oci.image.index.v1+json`: a type, a slash and a
/// subtype of printable ASCII, at most 255 bytes, compared as it is written.
///
/// Looser than RFC 6838 on purpose: artifacts carry types that nobody registered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Box<str>);

impl MediaType {
    /// An image manifest of the image specification.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An image index of the image specification.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The artifact manifest that release candidates of the image specification 1.1 had.
    pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
    /// An image manifest of Docker's version 2, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A manifest list of Docker's version 2, schema 2.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

    /// Reads a media type; parameters are not part of one.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        let well_formed = text.len() <= 255
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b';' && b != b',')
            && text.split_once('/').is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty());
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(MediaTypeError { text: text.chars().take(160).collect() })
        }
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What shape of manifest this type announces; `None` when it is not a manifest's type.
    pub fn manifest_kind(&self) -> Option<ManifestKind> {
        match self.as_str() {
            Self::OCI_MANIFEST | Self::DOCKER_MANIFEST => Some(ManifestKind::Image),
            Self::OCI_INDEX | Self::DOCKER_LIST => Some(ManifestKind::Index),
            Self::OCI_ARTIFACT => Some(ManifestKind::Artifact),
            _ => None,
        }
    }

    /// Whether content of this type may be named without being pushed, because its licence forbids
    /// distributing it.
    pub fn is_non_distributable(&self) -> bool {
        self.as_str().starts_with("application/vnd.oci.image.layer.nondistributable.v1.")
            || self.as_str().starts_with("application/vnd.docker.image.rootfs.foreign.diff.")
    }
}

/// The shapes that manifests have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new shape must be answered wherever manifests are read")]
pub enum ManifestKind {
    /// A config and layers.
    Image,
    /// A list of manifests.
    Index,
    /// A list of blobs, without a config.
    Artifact,
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        Self::parse(text)
    }
}

impl Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A text that is not a media type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("media type `{text}` is not a type, a slash and a subtype in printable ASCII")]
pub struct MediaTypeError {
    text: String,
}
