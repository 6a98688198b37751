//! What is pushed and pulled: an image of five layers, a small blob and a large one.

use std::fs;
use std::io;
use std::path::Path;

use swr_core::digest::{Algorithm, Digest};

use crate::client::Client;

/// Where everything is pushed to.
pub const REPOSITORY: &str = "bench/image";
/// The media type of images.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// A small blob, in bytes.
pub const SMALL: usize = 4 << 10;
/// A large blob, in bytes.
pub const LARGE: usize = 256 << 20;
const LAYER: usize = 1 << 20;
const LAYERS: usize = 5;
const BINARY: &str = "application/octet-stream";

/// Bytes that do not compress and repeat nowhere: a generator seeded with `seed`.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The digest that everything is named by.
pub fn digest(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

/// An image with content of its own.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that is read")]
pub struct Image {
    /// Its layers and its config.
    pub blobs: Vec<Vec<u8>>,
    /// The manifest that names them.
    pub manifest: Vec<u8>,
}

impl Image {
    /// The image of a seed: another seed, other content.
    pub fn new(seed: u64) -> Self {
        let mut blobs: Vec<Vec<u8>> =
            (0..LAYERS as u64).map(|layer| bytes(seed * 16 + layer, LAYER)).collect();
        blobs.push(format!("{{\"architecture\":\"amd64\",\"os\":\"linux\",\"seed\":{seed}}}").into_bytes());
        let described = |kind: &str, blob: &Vec<u8>| {
            serde_json::json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": digest(blob).to_string(),
                "size": blob.len(),
            })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": blobs.last().map(|config| described("config.v1+json", config)),
            "layers": blobs.iter().take(LAYERS).map(|layer| described("layer.v1.tar", layer)).collect::<Vec<_>>(),
        });
        Self { manifest: manifest.to_string().into_bytes(), blobs }
    }

    /// Pushes the image as docker does: HEAD, POST, PATCH, PUT for each blob, then the manifest.
    pub fn push(&self, client: &mut Client, tag: &str) -> io::Result<()> {
        for blob in &self.blobs {
            let digest = digest(blob);
            let _absent = client.head(&format!("/v2/{REPOSITORY}/blobs/{digest}"));
            let begun = client.request("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), BINARY, &[])?;
            let patched = client.request("PATCH", &location(begun.location)?, BINARY, blob)?;
            let finish = with_digest(&location(patched.location)?, &digest);
            client.request("PUT", &finish, BINARY, &[])?;
        }
        client.request("PUT", &format!("/v2/{REPOSITORY}/manifests/{tag}"), MANIFEST_TYPE, &self.manifest)?;
        Ok(())
    }

    /// Pulls the image: the manifest, then every blob.
    pub fn pull(&self, client: &mut Client, tag: &str) -> io::Result<()> {
        client.get(&format!("/v2/{REPOSITORY}/manifests/{tag}"))?;
        for blob in &self.blobs {
            client.get(&format!("/v2/{REPOSITORY}/blobs/{}", digest(blob)))?;
        }
        Ok(())
    }

    /// Lays the image out as plain files under the addresses that a registry has for it.
    pub fn lay_out(&self, root: &Path, tag: &str) -> io::Result<()> {
        for blob in &self.blobs {
            put_file(root, &format!("blobs/{}", digest(blob)), blob)?;
        }
        put_file(root, &format!("manifests/{tag}"), &self.manifest)?;
        put_file(root, &format!("manifests/{}", digest(&self.manifest)), &self.manifest)
    }
}

/// Puts a file where a plain server of files has it.
pub fn put_file(root: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let path = root.join("v2").join(REPOSITORY).join(name);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

/// Pushes one blob in two requests: POST, then PUT with all of it.
pub fn push_blob(client: &mut Client, content: &[u8]) -> io::Result<()> {
    let begun = client.request("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), BINARY, &[])?;
    let finish = with_digest(&location(begun.location)?, &digest(content));
    let stored = client.request("PUT", &finish, BINARY, content)?;
    if stored.status != 201 {
        return Err(io::Error::other(format!("a blob's PUT was answered {}", stored.status)));
    }
    Ok(())
}

/// The path of an upload, whether its address came whole or relative.
fn location(told: Option<String>) -> io::Result<String> {
    let told = told.ok_or_else(|| io::Error::other("an upload without a Location"))?;
    Ok(match told.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or_else(String::new, |slash| rest[slash..].to_owned()),
        None => told,
    })
}

fn with_digest(location: &str, digest: &Digest) -> String {
    let join = if location.contains('?') { '&' } else { '?' };
    format!("{location}{join}digest={digest}")
}
