//! Small writers of archives: right ones in both layouts, and wrong ones.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use swr_core::digest::{Algorithm, Digest};

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Algorithm::Sha256.digest(bytes)
}

/// A tar archive in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.header(b'0', name, "", bytes.len() as u64).content(bytes)
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        self.header(b'5', name, "", 0)
    }

    pub(crate) fn symlink(self, name: &str, to: &str) -> Self {
        self.header(b'2', name, to, 0)
    }

    pub(crate) fn hardlink(self, name: &str, to: &str) -> Self {
        self.header(b'1', name, to, 0)
    }

    /// A header of GNU tar or pax that says something of the next entry.
    pub(crate) fn extended(self, flag: u8, text: &[u8]) -> Self {
        self.header(flag, "extended", "", text.len() as u64).content(text)
    }

    pub(crate) fn pax(self, key: &str, value: &str) -> Self {
        self.extended(b'x', &record(key, value))
    }

    pub(crate) fn header(mut self, flag: u8, name: &str, link: &str, size: u64) -> Self {
        let mut block = [0u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(156, &[flag]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        self.0.extend_from_slice(&summed(block));
        self
    }

    /// A header whose bytes from `at` are these, and whose checksum is right.
    pub(crate) fn odd_header(mut self, at: usize, bytes: &[u8]) -> Self {
        let plain = Self::default().file("odd", b"").0;
        let mut block: [u8; 512] = plain[..512].try_into().unwrap();
        block[at..at + bytes.len()].copy_from_slice(bytes);
        self.0.extend_from_slice(&summed(block));
        self
    }

    pub(crate) fn content(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The archive, with its end.
    pub(crate) fn end(mut self) -> Bytes {
        self.0.resize(self.0.len() + 1024, 0);
        self.0.into()
    }

    /// The archive, cut off.
    pub(crate) fn cut(self) -> Bytes {
        self.0.into()
    }
}

fn summed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A record of pax, whose length counts its own digits.
pub(crate) fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
    format!("{length} {key}={value}\n").into_bytes()
}

pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap().into()
}

/// An image as a client has it: what its layers are, and the names it was saved by.
#[derive(Clone, Debug)]
pub(crate) struct SavedImage {
    pub(crate) names: Vec<String>,
    pub(crate) layers: Vec<Bytes>,
}

impl SavedImage {
    pub(crate) fn new(names: &[&str], layers: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            layers: layers.iter().map(|layer| Bytes::copy_from_slice(layer.as_bytes())).collect(),
        }
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| sha256(layer)).collect();
        let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
        json!({ "architecture": "amd64", "os": "linux", "rootfs": rootfs }).to_string().into_bytes()
    }

    /// The manifest that an image has which was saved without one.
    pub(crate) fn manifest(&self) -> Vec<u8> {
        let config = self.config();
        let described = |media_type: &str, bytes: &[u8]| {
            let digest = sha256(bytes);
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}}}"#, bytes.len())
        };
        let layer = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<_> = self.layers.iter().map(|bytes| described(layer, bytes)).collect();
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
            described("application/vnd.oci.image.config.v1+json", &config),
            layers.join(",")
        )
        .into_bytes()
    }

    pub(crate) fn digest(&self) -> Digest {
        sha256(&self.manifest())
    }
}

/// What old clients write: layers in folders of their own, one that was there before as a link, and what says so last.
pub(crate) fn docker(images: &[SavedImage]) -> Tar {
    let mut tar = Tar::default();
    let mut saved = Vec::new();
    let mut repositories = serde_json::Map::new();
    let mut first: Vec<(Digest, String)> = Vec::new();
    for (number, image) in images.iter().enumerate() {
        let mut layers = Vec::new();
        for (at, layer) in image.layers.iter().enumerate() {
            let id = sha256(format!("{number} {at}").as_bytes()).hex();
            tar = tar
                .folder(&format!("{id}/"))
                .file(&format!("{id}/VERSION"), "1.0")
                .file(&format!("{id}/json"), "{}");
            let name = format!("{id}/layer.tar");
            let digest = sha256(layer);
            tar = match first.iter().find(|(before, _)| *before == digest) {
                Some((_, before)) => tar.symlink(&name, &format!("../{before}/layer.tar")),
                None => tar.file(&name, layer),
            };
            first.push((digest, id.clone()));
            layers.push(name);
            for name in &image.names {
                let (name, tag) = name.rsplit_once(':').unwrap();
                repositories.entry(name).or_insert_with(|| json!({}))[tag] = json!(id);
            }
        }
        let config = image.config();
        let name = format!("{}.json", sha256(&config).hex());
        if !saved.iter().any(|entry: &Value| entry["Config"] == json!(name)) {
            tar = tar.file(&name, &config);
        }
        let names = (!image.names.is_empty()).then_some(&image.names);
        saved.push(json!({ "Config": name, "RepoTags": names, "Layers": layers }));
    }
    tar.file("manifest.json", json!(saved).to_string()).file("repositories", json!(repositories).to_string())
}

/// An image layout alone.
pub(crate) fn layout(images: &[SavedImage]) -> Tar {
    let mut blobs = std::collections::BTreeMap::new();
    let mut manifests = Vec::new();
    for image in images {
        let manifest = image.manifest();
        for name in image.names.iter().map(Some).chain(image.names.is_empty().then_some(None)) {
            let mut listed = json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": sha256(&manifest),
                "size": manifest.len(),
            });
            if let Some(name) = name {
                listed["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
            }
            manifests.push(listed);
        }
        for bytes in [manifest, image.config()].into_iter().chain(image.layers.iter().map(|it| it.to_vec())) {
            blobs.insert(sha256(&bytes), bytes);
        }
    }
    let mut tar = Tar::default().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#).folder("blobs/");
    for (digest, bytes) in blobs {
        tar = tar.file(&format!("blobs/sha256/{}", digest.hex()), bytes);
    }
    tar.file("index.json", json!({ "schemaVersion": 2, "manifests": manifests }).to_string())
}
