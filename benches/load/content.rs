//! What is pushed and pulled: blobs that are other ones each time and cost the load nothing to make, and images of them.

use std::fs;
use std::io;
use std::path::Path;

use swr_core::digest::{Algorithm, Digest, Hasher};

use crate::client::Client;

/// The organisation that repositories are in.
pub const ORGANISATION: &str = "bench";
/// Where everything is pushed to.
pub const REPOSITORY: &str = "bench/image";
/// The media type of images.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// A small blob, in bytes.
pub const SMALL: usize = 4 << 10;
/// The layer of an image, in bytes.
pub const LAYER: usize = 1 << 20;
/// A large blob, in bytes.
pub const LARGE: usize = 256 << 20;
/// Layers of an image.
const LAYERS: u64 = 5;
const BINARY: &str = "application/octet-stream";

/// What all blobs of one size have in common, and what their digests have: they differ in their last bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stock {
    begin: Vec<u8>,
    hasher: Hasher,
}

/// A blob of a [`Stock`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Blob<'a> {
    begin: &'a [u8],
    end: [u8; 8],
    /// What it is named by.
    pub digest: Digest,
}

impl Stock {
    /// For blobs of so many bytes, which do not compress and repeat nothing.
    pub fn new(size: usize) -> Self {
        let mut state = (size as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut begin = Vec::with_capacity(size);
        while begin.len() + 8 < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            begin.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        begin.truncate(size.saturating_sub(8));
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&begin);
        Self { begin, hasher }
    }

    /// The blob of a number: another number, another blob.
    pub fn blob(&self, number: u64) -> Blob<'_> {
        let end = number.to_le_bytes();
        let mut hasher = self.hasher.clone();
        hasher.update(&end);
        Blob { begin: &self.begin, end, digest: hasher.finish() }
    }
}

impl Blob<'_> {
    /// Its bytes.
    pub fn pieces(&self) -> [&[u8]; 2] {
        [self.begin, &self.end]
    }

    /// How many bytes.
    pub fn size(&self) -> usize {
        self.begin.len() + self.end.len()
    }

    /// Pushes it in two requests: POST, then PUT with all of it.
    pub fn push(&self, client: &mut Client) -> io::Result<()> {
        push_blob(client, &self.pieces(), &self.digest)
    }
}

/// The digest that everything is named by.
pub fn digest(content: &[u8]) -> Digest {
    Algorithm::Sha256.digest(content)
}

/// The address of a blob.
pub fn blob_path(digest: &Digest) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

/// The address of a manifest, by its tag or digest.
pub fn manifest_path(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// An image with content of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image<'a> {
    /// Its layers.
    pub layers: Vec<Blob<'a>>,
    /// Its config.
    pub config: Vec<u8>,
    /// The manifest that names them.
    pub manifest: Vec<u8>,
}

impl<'a> Image<'a> {
    /// The image of a number, with layers of `stock`.
    pub fn new(stock: &'a Stock, number: u64) -> Self {
        let layers: Vec<Blob<'a>> = (0..LAYERS).map(|layer| stock.blob(number * LAYERS + layer)).collect();
        let config =
            format!("{{\"architecture\":\"amd64\",\"os\":\"linux\",\"number\":{number}}}").into_bytes();
        let described = |kind: &str, digest: &Digest, size: usize| {
            serde_json::json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": digest.to_string(),
                "size": size,
            })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": described("config.v1+json", &digest(&config), config.len()),
            "layers": layers.iter().map(|layer| described("layer.v1.tar", &layer.digest, layer.size())).collect::<Vec<_>>(),
        });
        Self { manifest: manifest.to_string().into_bytes(), config, layers }
    }

    /// Pushes the image as docker does: HEAD, POST, PATCH, PUT for each blob, then the manifest.
    pub fn push(&self, client: &mut Client, tag: &str) -> io::Result<()> {
        for layer in &self.layers {
            push_in_steps(client, &layer.pieces(), &layer.digest)?;
        }
        push_in_steps(client, &[&self.config], &digest(&self.config))?;
        let pushed = client.request("PUT", manifest_path(tag), MANIFEST_TYPE, &[&self.manifest])?;
        expect(201, pushed.status)
    }

    /// Lays the image out as plain files under the addresses that a registry has for it.
    pub fn lay_out(&self, root: &Path, tag: &str) -> io::Result<()> {
        for layer in &self.layers {
            put_file(root, &blob_path(&layer.digest), &layer.pieces())?;
        }
        put_file(root, &blob_path(&digest(&self.config)), &[&self.config])?;
        put_file(root, &manifest_path(tag), &[&self.manifest])?;
        put_file(root, &manifest_path(&digest(&self.manifest).to_string()), &[&self.manifest])
    }
}

/// Puts a file where a plain server of files has it under this address.
pub fn put_file(root: &Path, address: &str, content: &[&[u8]]) -> io::Result<()> {
    let path = root.join(address.trim_start_matches('/'));
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content.concat())
}

/// Pushes one blob in two requests: POST, then PUT with all of it.
pub fn push_blob(client: &mut Client, content: &[&[u8]], digest: &Digest) -> io::Result<()> {
    begin_upload(client)?;
    let stored = client.follow("PUT", Some(digest), BINARY, content)?;
    expect(201, stored.status)
}

fn push_in_steps(client: &mut Client, content: &[&[u8]], digest: &Digest) -> io::Result<()> {
    if client.is_there(blob_path(digest))? {
        return Err(io::Error::other(format!("{digest} is there before it was pushed")));
    }
    begin_upload(client)?;
    client.follow("PATCH", None, BINARY, content)?;
    let stored = client.follow("PUT", Some(digest), BINARY, &[])?;
    expect(201, stored.status)
}

fn begin_upload(client: &mut Client) -> io::Result<()> {
    client.request("POST", format_args!("/v2/{REPOSITORY}/blobs/uploads/"), BINARY, &[]).map(drop)
}

/// Mounts a blob of [`REPOSITORY`] in another repository, where it was not before.
pub fn mount(client: &mut Client, digest: &Digest, to: &str) -> io::Result<()> {
    let path = format_args!("/v2/{to}/blobs/uploads/?mount={digest}&from={REPOSITORY}");
    let mounted = client.request("POST", path, BINARY, &[])?;
    expect(201, mounted.status)
}

fn expect(wanted: u16, status: u16) -> io::Result<()> {
    if status != wanted {
        return Err(io::Error::other(format!("the server answered {status} where {wanted} was to come")));
    }
    Ok(())
}
