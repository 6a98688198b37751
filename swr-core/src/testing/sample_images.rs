//! Images, indexes and artifacts with true digests.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::commit::{BlobLocation, StoredBlob};
use crate::digest::{Algorithm, Digest};
use crate::manifest::{ManifestRecord, ManifestReference, ReferenceKind};
use crate::media_type::MediaType;

/// The media type of an image's config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Some content and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its content.
    pub bytes: Bytes,
}

impl SampleBlob {
    /// Content that is this text.
    pub fn new(text: &str) -> Self {
        Self::of(Algorithm::Sha256, Bytes::copy_from_slice(text.as_bytes()))
    }

    /// This content, called by this algorithm.
    pub fn of(algorithm: Algorithm, bytes: Bytes) -> Self {
        Self { digest: algorithm.digest(&bytes), bytes }
    }

    /// The content as an upload that was finished at `location` would have left it.
    pub fn stored_at(&self, location: &str) -> StoredBlob {
        StoredBlob {
            digest: self.digest,
            size: self.bytes.len() as u64,
            location: BlobLocation::new(location),
        }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.bytes.len() })
    }

    fn reference(&self, kind: ReferenceKind) -> ManifestReference {
        ManifestReference { digest: self.digest, size: self.bytes.len() as u64, kind }
    }
}

/// A manifest in the making: an image, an index or an artifact, whose bytes and digest are true to what it
/// was told.
#[derive(Clone, Debug)]
pub struct SampleManifest {
    algorithm: Algorithm,
    media_type: &'static str,
    artifact_type: Option<String>,
    config: Option<(String, SampleBlob)>,
    layers: Vec<(String, SampleBlob)>,
    children: Vec<ManifestRecord>,
    subject: Option<ManifestRecord>,
    annotations: BTreeMap<String, String>,
}

impl SampleManifest {
    fn new(media_type: &'static str) -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            media_type,
            artifact_type: None,
            config: None,
            layers: Vec::new(),
            children: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// An image with a config and a layer that no image of another name has.
    pub fn image(name: &str) -> Self {
        let config =
            SampleBlob::new(&format!(r#"{{"architecture":"amd64","os":"linux","author":{name:?}}}"#));
        Self { config: Some((CONFIG.into(), config)), ..Self::new(MediaType::OCI_MANIFEST) }
            .with_layer(&SampleBlob::new(&format!("the layer of {name}")))
    }

    /// An index of these manifests.
    pub fn index(children: &[&Self]) -> Self {
        let children = children.iter().map(|child| child.record()).collect();
        Self { children, ..Self::new(MediaType::OCI_INDEX) }
    }

    /// An artifact of this type: the empty config, and a layer that no artifact of another name has.
    pub fn artifact(artifact_type: &str, name: &str) -> Self {
        let config = SampleBlob::new("{}");
        Self {
            artifact_type: Some(artifact_type.into()),
            config: Some(("application/vnd.oci.empty.v1+json".into(), config)),
            ..Self::new(MediaType::OCI_MANIFEST)
        }
        .with_layer(&SampleBlob::new(&format!("the content of {name}")))
    }

    /// One more layer.
    pub fn with_layer(self, layer: &SampleBlob) -> Self {
        self.with_layer_of(LAYER, layer)
    }

    /// One more layer, of this media type.
    pub fn with_layer_of(mut self, media_type: &str, layer: &SampleBlob) -> Self {
        self.layers.push((media_type.into(), layer.clone()));
        self
    }

    /// Its config is of this media type.
    pub fn with_config_of(mut self, media_type: &str) -> Self {
        if let Some((of, _)) = &mut self.config {
            media_type.clone_into(of);
        }
        self
    }

    /// It refers to this manifest as its subject.
    pub fn referring_to(self, subject: &Self) -> Self {
        Self { subject: Some(subject.record()), ..self }
    }

    /// It says this of itself.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// It is called by this algorithm.
    pub fn under(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// What it names that is a blob.
    pub fn blobs(&self) -> impl Iterator<Item = &SampleBlob> {
        self.config.iter().chain(&self.layers).map(|(_, blob)| blob)
    }

    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": self.media_type });
        if let Some(artifact_type) = &self.artifact_type {
            manifest["artifactType"] = json!(artifact_type);
        }
        if let Some((media_type, config)) = &self.config {
            let layers = self.layers.iter().map(|(media_type, layer)| layer.descriptor(media_type));
            manifest["config"] = config.descriptor(media_type);
            manifest["layers"] = layers.collect();
        } else {
            manifest["manifests"] = self.children.iter().map(named).collect();
        }
        if let Some(subject) = &self.subject {
            manifest["subject"] = named(subject);
        }
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        manifest.to_string().into()
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.algorithm.digest(&self.bytes())
    }

    /// Its media type.
    pub fn media_type(&self) -> MediaType {
        media_type(self.media_type)
    }

    /// What a store is told of it.
    pub fn record(&self) -> ManifestRecord {
        let bytes = self.bytes();
        let config = self.config.iter().map(|(_, config)| config.reference(ReferenceKind::Blob));
        let layers = self.layers.iter().map(|(of, layer)| {
            let is_foreign = media_type(of).is_non_distributable();
            layer.reference(if is_foreign { ReferenceKind::ForeignBlob } else { ReferenceKind::Blob })
        });
        let children = self.children.iter().map(|child| ManifestReference {
            digest: child.digest,
            size: child.bytes.len() as u64,
            kind: ReferenceKind::Manifest,
        });
        let mut references: Vec<ManifestReference> = Vec::new();
        for named in config.chain(layers).chain(children) {
            if references.iter().all(|other| other.digest != named.digest) {
                references.push(named);
            }
        }
        let listed_as = self.artifact_type.as_ref().or(self.config.as_ref().map(|(of, _)| of));
        ManifestRecord {
            digest: self.algorithm.digest(&bytes),
            media_type: self.media_type(),
            bytes,
            artifact_type: listed_as.map(|of| media_type(of)),
            annotations: self.annotations.clone(),
            subject: self.subject.as_ref().map(|subject| subject.digest),
            references,
        }
    }
}

fn named(manifest: &ManifestRecord) -> Value {
    json!({ "mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.bytes.len() })
}

fn media_type(text: &str) -> MediaType {
    MediaType::parse(text).expect("a sample is told media types alone")
}
