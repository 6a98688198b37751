//! What images a package has, by `manifest.json`, `repositories` and `index.json`, and what each consists of.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use swr_core::Error;
use swr_core::digest::{Algorithm, Digest};
use swr_core::manifest::{ManifestRecord, ReferenceKind};
use swr_core::media_type::{ManifestKind, MediaType};

use crate::contents::{Part, blob_name};
use crate::error::{Defect, ImportError, Reason};
use crate::intake::Archive;

/// The names of the files that say what is in a package.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const INDEX: &str = "index.json";
pub(crate) const LAYOUT: &str = "oci-layout";
const REPOSITORIES: &str = "repositories";

/// Where a client that writes a layout puts the whole name of an image.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The tag of an image in a layout, or a name of it.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(crate) const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The longest of the files that say what is in a package, in bytes.
const LIST_BYTES_MAX: u64 = 1 << 20;
/// How much is read of a package in all to know what is in it, in bytes.
const DESCRIPTIONS_BYTES_MAX: u64 = 32 << 20;
/// How many images a package may have.
const IMAGES_MAX: usize = 256;
/// How deep indexes may be nested.
const DEPTH_MAX: u8 = 4;

/// An image of a package.
#[derive(Debug)]
pub(crate) struct Image {
    /// What the package calls it: each name once.
    pub(crate) names: Vec<Box<str>>,
    /// What an error calls it where it has no name.
    pub(crate) shown: Box<str>,
    /// Ways to read it, the best first: clients write layouts that have less in them than they list.
    ways: Vec<Way>,
}

#[derive(Clone, Debug)]
enum Way {
    /// A manifest of the image layout.
    Manifest(Listed),
    /// An entry of `manifest.json`, from which a manifest is made.
    Saved(Saved),
}

/// An image with everything that it consists of.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    /// Its manifests, its own last, each after those that it names.
    pub(crate) manifests: Vec<ManifestRecord>,
    /// Its blobs, each once.
    pub(crate) blobs: Vec<Part>,
}

/// An entry of `manifest.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<Box<str>>>,
    layers: Option<Vec<String>>,
}

/// What is listed in an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Listed>>,
}

/// As much of a manifest as says whose config it has.
#[derive(Deserialize)]
struct OfConfig {
    config: ConfigDigest,
}

#[derive(Deserialize)]
struct ConfigDigest {
    digest: Digest,
}

/// Names by their tags, each with the id of its topmost layer.
type Repositories = BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>;

#[derive(Deserialize)]
struct Config {
    rootfs: Option<RootFs>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Box<str>>>,
}

/// Reads what describes images, up to a limit for each piece and one over all of it.
pub(crate) struct Describer<'a> {
    archive: &'a Archive,
    bytes_max: u64,
    left: u64,
}

impl<'a> Describer<'a> {
    /// Reads no manifest and no config that is longer than `bytes_max`.
    pub(crate) fn new(archive: &'a Archive, bytes_max: usize) -> Self {
        Self { archive, bytes_max: bytes_max as u64, left: DESCRIPTIONS_BYTES_MAX }
    }

    /// The images of the package.
    pub(crate) async fn images(&mut self) -> Result<Vec<Image>, ImportError> {
        let contents = &self.archive.contents;
        if !contents.has(MANIFEST) && !contents.has(INDEX) {
            return Err(Defect::of(Reason::NoManifest).into());
        }
        let saved: Vec<Saved> = self.list(MANIFEST).await?.unwrap_or_default();
        let index: Option<Index> = self.list(INDEX).await?;
        let listed = index.and_then(|index| index.manifests).unwrap_or_default();
        let mut tops = tops(listed);
        if saved.len().max(tops.len()) > IMAGES_MAX {
            return Err(Defect::of(Reason::TooManyImages { limit: IMAGES_MAX }).into());
        }
        let configs = match saved.is_empty() {
            true => HashMap::new(),
            false => self.configs(&tops).await?,
        };
        let repositories: Repositories = match saved.iter().any(Saved::is_unnamed) {
            true => self.list(REPOSITORIES).await?.unwrap_or_default(),
            false => Repositories::new(),
        };

        let mut images: Vec<Image> = Vec::new();
        for entry in saved {
            let mut names = entry.repo_tags.clone().unwrap_or_default();
            if names.is_empty() {
                names = entry.names_in(&repositories);
            }
            let config = contents.file(&entry.config).ok();
            let found = config.and_then(|config| configs.get(&config.digest));
            let Some((top, manifest)) = found else {
                images.push(Image::new(entry.config.as_str().into(), names, vec![Way::Saved(entry)]));
                continue;
            };
            let top = &mut tops[*top];
            if names.is_empty() {
                names.clone_from(&top.names);
            }
            let ways = [&top.listed, manifest].map(|listed| Way::Manifest(listed.clone()));
            let ways: Vec<Way> = ways.into_iter().chain([Way::Saved(entry)]).collect();
            match top.image {
                Some(image) => images[image].add(names),
                None => {
                    top.image = Some(images.len());
                    images.push(Image::new(top.listed.shown(), names, ways));
                }
            }
        }
        for top in tops.into_iter().filter(|top| top.image.is_none()) {
            images.push(Image::new(top.listed.shown(), top.names, vec![Way::Manifest(top.listed)]));
        }
        if images.is_empty() {
            return Err(Defect::of(Reason::NoImage).into());
        }
        Ok(images)
    }

    /// Everything that the image consists of, or what is wrong with it.
    pub(crate) async fn whole(&mut self, image: &Image) -> Result<Whole, ImportError> {
        let mut first = None;
        for way in &image.ways {
            let whole = match way {
                Way::Manifest(listed) => {
                    let mut gathered = Gathered::default();
                    let gathering = self.gather(listed, 0, &mut gathered).await;
                    gathering.map(|()| gathered.whole)
                }
                Way::Saved(saved) => self.made_of(saved).await,
            };
            match whole {
                Ok(whole) => return Ok(whole),
                Err(error @ ImportError::Format(_)) => first = first.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| Defect::of(Reason::NoImage).into()))
    }

    /// The images under these, by the digests of their configs: which of the tops they are under, and themselves.
    async fn configs(&mut self, tops: &[Top]) -> Result<HashMap<Digest, (usize, Listed)>, ImportError> {
        let contents = &self.archive.contents;
        let mut configs = HashMap::new();
        let mut seen = HashSet::new();
        for (at, top) in tops.iter().enumerate() {
            let mut waiting = vec![(top.listed.clone(), 0)];
            while let Some((listed, depth)) = waiting.pop() {
                let Ok(part) = contents.blob(&listed.digest) else { continue };
                let Some(kind) = listed.media_type.manifest_kind() else { continue };
                let bytes = self.bytes(&blob_name(&listed.digest), part).await?;
                if kind == ManifestKind::Image {
                    if let Ok(manifest) = serde_json::from_slice::<OfConfig>(&bytes) {
                        configs.entry(manifest.config.digest).or_insert((at, listed));
                    }
                } else if depth < DEPTH_MAX {
                    let index = serde_json::from_slice::<Index>(&bytes).ok();
                    let children = index.and_then(|index| index.manifests).unwrap_or_default();
                    let there = children.into_iter().filter(|child| contents.blob(&child.digest).is_ok());
                    // Each once: a list is no longer than the archive has entries.
                    let new = there.filter(|child| seen.insert(child.digest));
                    waiting.extend(new.map(|child| (child, depth + 1)));
                }
            }
        }
        Ok(configs)
    }

    /// A manifest and what it names, before it.
    fn gather<'s>(
        &'s mut self,
        listed: &'s Listed,
        depth: u8,
        into: &'s mut Gathered,
    ) -> BoxFuture<'s, Result<(), ImportError>> {
        async move {
            if !into.manifests.insert(listed.digest) {
                return Ok(());
            }
            let name = blob_name(&listed.digest);
            if depth > DEPTH_MAX {
                return Err(Defect::at(&name, Reason::Depth).into());
            }
            let part = self.sized(&listed.digest, listed.size)?;
            let bytes = self.bytes(&name, part).await?;
            let parsed =
                ManifestRecord::parse(bytes.clone(), Some(&listed.media_type), listed.digest.algorithm());
            let manifest = parsed.map_err(|defect| {
                Defect::at(&name, Reason::Refused(Box::new(Error::ManifestInvalid(defect))))
            })?;
            if manifest.references.iter().any(|reference| reference.kind == ReferenceKind::Manifest) {
                let index: Index = json(&name, &bytes)?;
                for child in index.manifests.unwrap_or_default() {
                    if child.media_type.manifest_kind().is_some() {
                        self.gather(&child, depth + 1, into).await?;
                    }
                }
            }
            for reference in &manifest.references {
                match reference.kind {
                    ReferenceKind::Manifest => {}
                    ReferenceKind::Blob => into.add(self.sized(&reference.digest, reference.size)?),
                    // What may stay elsewhere does.
                    ReferenceKind::ForeignBlob => {
                        if let Ok(part) = self.sized(&reference.digest, reference.size) {
                            into.add(part);
                        }
                    }
                }
            }
            into.whole.manifests.push(manifest);
            Ok(())
        }
        .boxed()
    }

    /// The blob of the layout, whose length is what is said of it.
    fn sized(&self, digest: &Digest, said: u64) -> Result<Part, Defect> {
        let part = self.archive.contents.blob(digest)?;
        match part.size == said {
            true => Ok(part),
            false => {
                let reason = Reason::OtherSize { actual: part.size, said };
                Err(Defect::at(&blob_name(digest), reason))
            }
        }
    }

    /// The image of an entry of `manifest.json`, whose manifest nobody has written yet.
    async fn made_of(&mut self, saved: &Saved) -> Result<Whole, ImportError> {
        let contents = &self.archive.contents;
        let config = contents.file(&saved.config)?;
        let read: Config = json(&saved.config, &self.bytes(&saved.config, config).await?)?;
        let diff_ids = read.rootfs.and_then(|rootfs| rootfs.diff_ids).unwrap_or_default();
        let layers = saved.layers.as_deref().unwrap_or_default();
        if diff_ids.len() != layers.len() {
            return Err(Defect::at(&saved.config, Reason::OtherLayers).into());
        }
        let mut manifest = MadeManifest {
            schema_version: 2,
            media_type: MediaType::OCI_MANIFEST,
            config: Described::of(IMAGE_CONFIG.into(), config),
            layers: Vec::with_capacity(layers.len()),
        };
        let mut gathered = Gathered::default();
        gathered.add(config);
        for (name, diff_id) in layers.iter().zip(&diff_ids) {
            let part = contents.file(name)?;
            let packed = packing(&self.archive.beginning(part, 4).await?);
            // What is packed is not looked into: its digest is not the one that the config has.
            if packed.is_empty()
                && part.digest.algorithm() == Algorithm::Sha256
                && part.digest.to_string() != **diff_id
            {
                return Err(Defect::at(name, Reason::OtherLayers).into());
            }
            manifest.layers.push(Described::of(format!("{LAYER}{packed}"), part));
            gathered.add(part);
        }
        let text = serde_json::to_vec(&manifest).map_err(|error| Defect::of(Reason::Json(error)))?;
        let made = ManifestRecord::parse(Bytes::from(text), None, Algorithm::Sha256);
        let made = made.map_err(|defect| {
            Defect::at(&saved.config, Reason::Refused(Box::new(Error::ManifestInvalid(defect))))
        })?;
        gathered.whole.manifests.push(made);
        Ok(gathered.whole)
    }

    /// One of the files that say what is in the package, if it is there.
    async fn list<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ImportError> {
        if !self.archive.contents.has(name) {
            return Ok(None);
        }
        let part = self.archive.contents.file(name)?;
        if part.size > LIST_BYTES_MAX {
            return Err(Defect::at(name, Reason::LongDescription { limit: LIST_BYTES_MAX }).into());
        }
        Ok(Some(json(name, &self.bytes(name, part).await?)?))
    }

    async fn bytes(&mut self, name: &str, part: Part) -> Result<Bytes, ImportError> {
        if part.size > self.bytes_max {
            return Err(Defect::at(name, Reason::LongDescription { limit: self.bytes_max }).into());
        }
        let left = self.left.checked_sub(part.size);
        let long = || Defect::of(Reason::LongDescription { limit: DESCRIPTIONS_BYTES_MAX });
        self.left = left.ok_or_else(long)?;
        self.archive.bytes(part).await
    }
}

/// An image on the first level of a layout.
struct Top {
    listed: Listed,
    names: Vec<Box<str>>,
    /// Which of the package's images it is, once that is known.
    image: Option<usize>,
}

/// What an index lists, each digest once with all its names.
fn tops(listed: Vec<Listed>) -> Vec<Top> {
    let mut tops: Vec<Top> = Vec::new();
    let mut places = HashMap::new();
    for listed in listed {
        let name = listed.name();
        let at = *places.entry(listed.digest).or_insert(tops.len());
        if at == tops.len() {
            tops.push(Top { listed, names: Vec::new(), image: None });
        }
        add_each_once(&mut tops[at].names, name);
    }
    tops
}

impl Image {
    fn new(shown: Box<str>, names: Vec<Box<str>>, ways: Vec<Way>) -> Self {
        let mut image = Self { names: Vec::new(), shown, ways };
        image.add(names);
        image
    }

    fn add(&mut self, names: Vec<Box<str>>) {
        add_each_once(&mut self.names, names);
    }
}

fn add_each_once(names: &mut Vec<Box<str>>, more: impl IntoIterator<Item = Box<str>>) {
    let mut seen: HashSet<Box<str>> = names.iter().cloned().collect();
    names.extend(more.into_iter().filter(|name| seen.insert(name.clone())));
}

impl Listed {
    /// The name that the layout gives it. A tag alone is none.
    fn name(&self) -> Option<Box<str>> {
        let annotations = self.annotations.as_ref()?;
        let whole = annotations.get(IMAGE_NAME);
        let name = whole.or_else(|| annotations.get(REF_NAME).filter(|name| name.contains(['/', ':'])));
        name.map(|name| name.as_str().into())
    }

    fn shown(&self) -> Box<str> {
        blob_name(&self.digest).into()
    }
}

impl Saved {
    fn is_unnamed(&self) -> bool {
        self.repo_tags.as_ref().is_none_or(Vec::is_empty)
    }

    /// What `repositories` calls it, which knows it by its topmost layer.
    fn names_in(&self, repositories: &Repositories) -> Vec<Box<str>> {
        let Some(last) = self.layers.as_ref().and_then(|layers| layers.last()) else { return Vec::new() };
        let id = last.strip_suffix("/layer.tar").unwrap_or(last);
        let id = id.rsplit('/').next().unwrap_or(id);
        let tags =
            repositories.iter().flat_map(|(name, tags)| tags.iter().map(move |(tag, of)| (name, tag, of)));
        tags.filter(|(.., of)| ***of == *id).map(|(name, tag, _)| format!("{name}:{tag}").into()).collect()
    }
}

/// What was found so far.
#[derive(Default)]
struct Gathered {
    whole: Whole,
    manifests: HashSet<Digest>,
    blobs: HashSet<Digest>,
}

impl Gathered {
    fn add(&mut self, part: Part) {
        if self.blobs.insert(part.digest) {
            self.whole.blobs.push(part);
        }
    }
}

/// A manifest as it is written for an image that has none: the same for the same image, byte for byte.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeManifest {
    schema_version: u8,
    media_type: &'static str,
    config: Described,
    layers: Vec<Described>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    media_type: String,
    digest: Digest,
    size: u64,
}

impl Described {
    fn of(media_type: String, part: Part) -> Self {
        Self { media_type, digest: part.digest, size: part.size }
    }
}

/// What the media type of a layer that begins so has at its end.
fn packing(begins: &[u8]) -> &'static str {
    match begins {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
        _ => "",
    }
}

fn json<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Defect> {
    serde_json::from_slice(bytes).map_err(|error| Defect::at(name, Reason::Json(error)))
}
