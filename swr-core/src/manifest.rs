//! Manifests: their exact bytes, and what the registry reads from them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::media_type::{ManifestKind, MediaType, MediaTypeError};

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
    /// Reads a manifest that was pushed as `media_type`, parameters stripped, or says where it is no
    /// manifest. Takes time in proportion to the bytes, which the caller bounds.
    ///
    /// It is exactly one of an image, an index and an artifact: the one that its media type says. The type
    /// stands in it, or it was pushed as it; where both, they are the same. No key stands twice in an object,
    /// and no key differs only in its case from one that is read. What the registry does not know is left
    /// alone. The digest is made with `algorithm`.
    pub fn parse(
        bytes: Bytes,
        media_type: Option<&MediaType>,
        algorithm: Algorithm,
    ) -> Result<Self, ManifestDefect> {
        check_json(&bytes)?;
        let body: Body = serde_json::from_slice(&bytes).map_err(ManifestDefect::of_json)?;
        if body.fs_layers.is_some() || body.schema_version == Some(1) {
            return Err(ManifestDefect::Schema1);
        }
        let said = body.media_type.as_deref().map(MediaType::parse).transpose()?;
        let media_type = match (said, media_type) {
            (Some(said), Some(told)) if said != *told => {
                return Err(ManifestDefect::TypesDiffer { said, told: told.clone() });
            }
            (Some(said), _) => said,
            (None, Some(told)) => told.clone(),
            (None, None) => return Err(ManifestDefect::NoType),
        };
        let Some(kind) = media_type.manifest_kind() else {
            return Err(ManifestDefect::UnknownType { media_type });
        };
        body.check_shape(kind)?;

        let artifact_type = match (&body.artifact_type, kind, &body.config) {
            (Some(artifact_type), ..) => Some(MediaType::parse(artifact_type)?),
            (None, ManifestKind::Image, Some(config)) => Some(MediaType::parse(&config.media_type)?),
            (None, ..) => None,
        };
        let mut references = References::default();
        if let Some(config) = &body.config {
            references.add("config", 0, config, ReferenceKind::Blob)?;
        }
        for (list, parts) in
            [("layers", &body.layers), ("blobs", &body.blobs), ("manifests", &body.manifests)]
        {
            for (at, part) in parts.iter().flatten().flatten().enumerate() {
                references.add(list, at, part, part.kind(kind))?;
            }
        }
        Ok(Self {
            digest: algorithm.digest(&bytes),
            media_type,
            bytes,
            artifact_type,
            annotations: body.annotations.unwrap_or_default(),
            subject: body.subject.map(|subject| subject.digest),
            references: references.found,
        })
    }

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

/// The descriptors that an index lists, for a reader who makes do with what is there: none when the bytes are
/// no index.
pub(crate) fn listed_in_index(bytes: &[u8]) -> Vec<Descriptor> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Descriptor>,
    }
    serde_json::from_slice::<Index>(bytes).map(|index| index.manifests).unwrap_or_default()
}

/// The fields of all three shapes. A list that is `null` has no entries: so a client in Go writes an empty one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Part>,
    #[serde(default, deserialize_with = "written")]
    layers: Option<Option<Vec<Part>>>,
    #[serde(default, deserialize_with = "written")]
    manifests: Option<Option<Vec<Part>>>,
    #[serde(default, deserialize_with = "written")]
    blobs: Option<Option<Vec<Part>>>,
    subject: Option<Part>,
    annotations: Option<BTreeMap<String, String>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// What is read of a descriptor. A layer's type is whatever its author calls it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    media_type: String,
    digest: Digest,
    size: u64,
}

/// Tells a field that is written as `null` from one that is not written.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Vec<Part>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Body {
    /// Everything that the shape asks for is there, and nothing that makes another shape.
    fn check_shape(&self, kind: ManifestKind) -> Result<(), ManifestDefect> {
        let (shape, wanted, own): (_, &[&str], &[&str]) = match kind {
            ManifestKind::Image => ("image", &["schemaVersion", "config", "layers"], &["config", "layers"]),
            ManifestKind::Index => ("index", &["schemaVersion", "manifests"], &["manifests"]),
            ManifestKind::Artifact => ("artifact", &["artifactType"], &["blobs"]),
        };
        let filled = |list: &Option<Option<Vec<Part>>>| matches!(list, Some(Some(_)));
        let parts = [
            ("config", self.config.is_some()),
            ("layers", filled(&self.layers)),
            ("manifests", filled(&self.manifests)),
            ("blobs", filled(&self.blobs)),
        ];
        if let Some((field, _)) = parts.iter().find(|(field, is_there)| *is_there && !own.contains(field)) {
            return Err(ManifestDefect::Ambiguous { shape, field });
        }
        let fields = [
            ("schemaVersion", self.schema_version.is_some()),
            ("artifactType", self.artifact_type.is_some()),
            ("config", self.config.is_some()),
            ("layers", self.layers.is_some()),
            ("manifests", self.manifests.is_some()),
        ];
        if let Some((field, _)) = fields.iter().find(|(field, is_there)| !is_there && wanted.contains(field))
        {
            return Err(ManifestDefect::Missing { shape, field });
        }
        match self.schema_version {
            None | Some(2) => Ok(()),
            Some(version) => Err(ManifestDefect::SchemaVersion(version)),
        }
    }
}

impl Part {
    /// What it is, where a manifest of this shape names it.
    fn kind(&self, named_by: ManifestKind) -> ReferenceKind {
        let media_type = MediaType::parse(&self.media_type).ok();
        let is = |question: fn(&MediaType) -> bool| media_type.as_ref().is_some_and(question);
        match named_by {
            ManifestKind::Index if is(|it| it.manifest_kind().is_some()) => ReferenceKind::Manifest,
            _ if is(MediaType::is_non_distributable) => ReferenceKind::ForeignBlob,
            _ => ReferenceKind::Blob,
        }
    }
}

/// References in the order of their first mention.
#[derive(Default)]
struct References {
    found: Vec<ManifestReference>,
    places: HashMap<Digest, usize>,
}

impl References {
    fn add(
        &mut self,
        list: &'static str,
        at: usize,
        part: &Part,
        kind: ReferenceKind,
    ) -> Result<(), ManifestDefect> {
        let Part { digest, size, .. } = *part;
        if i64::try_from(size).is_err() {
            return Err(ManifestDefect::Size { list, at, size });
        }
        let before = match self.places.entry(digest) {
            Entry::Occupied(place) => self.found.get_mut(*place.get()),
            Entry::Vacant(place) => {
                place.insert(self.found.len());
                None
            }
        };
        let Some(before) = before else {
            self.found.push(ManifestReference { digest, size, kind });
            return Ok(());
        };
        if before.size != size {
            return Err(ManifestDefect::Contradiction { list, at, digest, what: "size" });
        }
        match (before.kind, kind) {
            (one, other) if one == other => Ok(()),
            // What is named as any other blob as well has to be there.
            (
                ReferenceKind::Blob | ReferenceKind::ForeignBlob,
                ReferenceKind::Blob | ReferenceKind::ForeignBlob,
            ) => {
                before.kind = ReferenceKind::Blob;
                Ok(())
            }
            _ => Err(ManifestDefect::Contradiction { list, at, digest, what: "kind" }),
        }
    }
}

/// How deep objects and lists may be nested in a manifest.
const DEPTH_MAX: u8 = 32;

/// Walks the whole text once: it is one JSON object and nothing after it, not nested too deeply; no key stands
/// twice in an object; and in the objects that are read no key differs only in its case from one that is read,
/// since clients exist that take the one for the other.
fn check_json(bytes: &[u8]) -> Result<(), ManifestDefect> {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    Check { depth: 0, place: Place::Manifest }
        .deserialize(&mut text)
        .and_then(|()| text.end())
        .map_err(ManifestDefect::of_json)
}

#[derive(Clone, Copy)]
struct Check {
    depth: u8,
    place: Place,
}

/// Where in a manifest a value stands.
#[derive(Clone, Copy)]
enum Place {
    Manifest,
    Descriptors,
    Descriptor,
    Elsewhere,
}

impl Place {
    /// The keys of an object here that somebody reads.
    fn keys_read(self) -> &'static [&'static str] {
        match self {
            Self::Manifest => &[
                "schemaVersion",
                "mediaType",
                "artifactType",
                "config",
                "layers",
                "manifests",
                "blobs",
                "subject",
                "annotations",
                "fsLayers",
            ],
            Self::Descriptor => {
                &["mediaType", "digest", "size", "urls", "data", "artifactType", "annotations", "platform"]
            }
            Self::Descriptors | Self::Elsewhere => &[],
        }
    }

    /// The key that a reader who ignores case takes this one for.
    fn mistaken(self, key: &str) -> Option<&'static str> {
        let keys = self.keys_read();
        if keys.is_empty() || keys.contains(&key) {
            return None;
        }
        // Both ways, since `ſ` and the Kelvin sign meet `s` and `k` in one of them only.
        let folded: String = key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
        keys.iter().copied().find(|read| read.eq_ignore_ascii_case(&folded))
    }

    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Manifest, "config" | "subject") => Self::Descriptor,
            (Self::Manifest, "layers" | "manifests" | "blobs") => Self::Descriptors,
            _ => Self::Elsewhere,
        }
    }

    fn in_list(self) -> Self {
        match self {
            Self::Descriptors => Self::Descriptor,
            Self::Manifest | Self::Descriptor | Self::Elsewhere => Self::Elsewhere,
        }
    }
}

impl Check {
    fn below<E: serde::de::Error>(self, place: Place) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("nested more than {DEPTH_MAX} deep")));
        }
        Ok(Self { depth: self.depth + 1, place })
    }

    /// Neither an object nor a list, which a manifest is not.
    fn leaf<E: serde::de::Error>(self) -> Result<(), E> {
        if self.depth == 0 { Err(E::custom("a manifest is an object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if let Some(read) = self.place.mistaken(&key) {
                let shown = excerpt(&key);
                return Err(A::Error::custom(format_args!("key `{shown}` could be taken for `{read}`")));
            }
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("key `{}` stands twice", excerpt(&key))));
            }
            map.next_value_seed(self.below(self.place.under(&key))?)?;
            keys.insert(key);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.leaf()?;
        let below = self.below(self.place.in_list())?;
        while list.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.leaf()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.leaf()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.leaf()
    }
}

/// As much of a text as an error carries about.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    match text.char_indices().nth(CHARS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// Why some bytes are not a manifest that a registry takes: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestDefect {
    /// It is not JSON, or a field is not of its type.
    #[error("line {line}, column {column}: {reason}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was found there.
        reason: String,
    },
    /// A media type in it, or the one that it was pushed as, is none.
    #[error(transparent)]
    MediaType(#[from] MediaTypeError),
    /// Neither the manifest nor its sender says what it is.
    #[error("neither `mediaType` nor the content type says what it is")]
    NoType,
    /// It says that it is something else than its sender says.
    #[error("`mediaType` says `{said}`, the content type `{told}`")]
    TypesDiffer {
        /// What the manifest says.
        said: MediaType,
        /// What it was pushed as.
        told: MediaType,
    },
    /// The type is not a manifest's.
    #[error(
        "`{media_type}` is not a manifest's type; these are: {}, {}, {}, {}, {}",
        MediaType::OCI_MANIFEST,
        MediaType::OCI_INDEX,
        MediaType::OCI_ARTIFACT,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST
    )]
    UnknownType {
        /// The type.
        media_type: MediaType,
    },
    /// It is a Docker manifest of schema 1.
    #[error("schema 1 is not supported (`fsLayers`, or a `schemaVersion` of 1)")]
    Schema1,
    /// The schema version is none that exists.
    #[error("`schemaVersion` is {0}, not 2")]
    SchemaVersion(u64),
    /// A field makes it something else than its type says.
    #[error("an {shape} has no `{field}`, and this one has")]
    Ambiguous {
        /// What its type says it is.
        shape: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field that its type asks for is not there.
    #[error("an {shape} has `{field}`, and this one has not")]
    Missing {
        /// What its type says it is.
        shape: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A size is larger than any content.
    #[error("`{list}` entry {at}: the size {size} is larger than any content")]
    Size {
        /// The field.
        list: &'static str,
        /// The place in its list, from 0.
        at: usize,
        /// The size.
        size: u64,
    },
    /// A digest is named twice, and not as the same thing.
    #[error("`{list}` entry {at}: {digest} was named before with another {what}")]
    Contradiction {
        /// The field.
        list: &'static str,
        /// The place in its list, from 0.
        at: usize,
        /// The digest.
        digest: Digest,
        /// What differs.
        what: &'static str,
    },
}

impl ManifestDefect {
    fn of_json(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&reason);
        Self::Json { line, column, reason: excerpt(reason) }
    }
}
