//! The small world that sequences play in, in which everything soon meets everything.

use std::sync::LazyLock;

use async_trait::async_trait;
use bytes::Bytes;
use swr_policy::{RepositoryName, Tag};

use super::Person;
use crate::caller::Caller;
use crate::commit::Grounds;
use crate::digest::{Algorithm, Digest};
use crate::manifest::ManifestRecord;
use crate::media_type::MediaType;
use crate::ports::{Ask, Authorizer, StoreError, TagGuard, TagMobility, Verdict};
use crate::registry::Limits;
use crate::testing::sample_images::{SampleBlob, SampleManifest};

/// Names and content.
pub(super) struct World {
    /// One of them is hidden from Bob.
    pub(super) repositories: Vec<RepositoryName>,
    /// One of them is fixed, and one is where clients list what refers to the image `a`.
    pub(super) tags: Vec<Tag>,
    /// What manifests name, and what none names.
    pub(super) blobs: Vec<SampleBlob>,
    /// A byte too large for a blob.
    pub(super) too_large: SampleBlob,
    /// What is read from each manifest.
    pub(super) manifests: Vec<ManifestRecord>,
    /// The same by their sha512.
    pub(super) long_manifests: Vec<ManifestRecord>,
    /// The types of artifacts.
    pub(super) types: Vec<MediaType>,
    /// What stands for what in the telling of a sequence.
    words: Vec<(String, String)>,
}

pub(super) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let [one, two] = ["application/vnd.example.one", "application/vnd.example.two"];
    let foreign = SampleBlob::new("a foreign layer");
    let long_layer = SampleBlob::of(Algorithm::Sha512, Bytes::from_static(b"a layer by its sha512"));
    let a = SampleManifest::image("a");
    let b = SampleManifest::image("b")
        .with_layer(&long_layer)
        .with_layer_of("application/vnd.oci.image.layer.nondistributable.v1.tar", &foreign);
    let long_a = a.clone().under(Algorithm::Sha512);
    let both = SampleManifest::index(&[&a, &b]);
    let nested = SampleManifest::index(&[&both, &long_a]);
    let on_a = SampleManifest::artifact(one, "the note on a").referring_to(&a);
    let on_both = SampleManifest::artifact(two, "the note on both").referring_to(&both);
    let on_the_note = SampleManifest::artifact(one, "the note on the note").referring_to(&on_a);
    let index_on_a = SampleManifest::index(&[&long_a]).referring_to(&a).annotated("key", "value");
    let manifests = [
        ("image a", &a),
        ("image b", &b),
        ("both images", &both),
        ("the nested index", &nested),
        ("the note on a", &on_a),
        ("the note on both", &on_both),
        ("the note on the note", &on_the_note),
        ("the index on a", &index_on_a),
    ];
    let under = |algorithm| {
        manifests.iter().map(move |(word, manifest)| (*word, (*manifest).clone().under(algorithm)))
    };

    let mut blobs = vec![
        SampleBlob::new(""),
        SampleBlob::new("what nothing names"),
        SampleBlob::of(Algorithm::Sha512, Bytes::from_static(b"the layer of a")),
    ];
    for blob in manifests.iter().flat_map(|(_, manifest)| manifest.blobs()) {
        if !blobs.contains(blob) {
            blobs.push(blob.clone());
        }
    }
    let repositories = [HIDDEN, "math", "math/a"].map(|name| RepositoryName::parse(name).unwrap());
    let fallback = format!("sha256-{}", a.digest().hex());
    let tags = ["1.2", "1.20", FIXED, "latest", &fallback].map(|tag| Tag::parse(tag).unwrap());

    let mut words = vec![(fallback, "<the fallback tag of image a>".to_owned())];
    for (word, manifest) in &manifests {
        words.push((format!("{:?}", manifest.bytes()), format!("<the bytes of {word}>")));
    }
    for (word, manifest) in Algorithm::ALL.into_iter().flat_map(under) {
        let digest = manifest.digest();
        words.push((digest.to_string(), format!("<the {} of {word}>", digest.algorithm())));
    }
    for SampleBlob { digest, bytes } in &blobs {
        let word = format!("<the {} of {:?}>", digest.algorithm(), String::from_utf8_lossy(bytes));
        words.push((digest.to_string(), word));
    }
    words.extend(repositories.iter().map(|name| (format!("{name:?}"), name.to_string())));
    World {
        repositories: repositories.into(),
        tags: tags.into(),
        words,
        manifests: under(Algorithm::Sha256).map(|(_, manifest)| manifest.record()).collect(),
        long_manifests: under(Algorithm::Sha512).map(|(_, manifest)| manifest.record()).collect(),
        too_large: SampleBlob::new(&"x".repeat(BLOB_BYTES_MAX as usize + 1)),
        types: [one, two].map(|of| MediaType::parse(of).unwrap()).into(),
        blobs,
    }
});

/// The repository that Bob does not see.
const HIDDEN: &str = "hidden";

/// The tag that does not move once it is set.
const FIXED: &str = "fixed";

/// The largest blob, in bytes: twice the largest that fits does not.
pub(super) const BLOB_BYTES_MAX: u64 = 64;

impl World {
    /// What is read from each manifest, by each digest that it can have.
    pub(super) fn all_manifests(&self) -> impl Iterator<Item = &ManifestRecord> {
        self.manifests.iter().chain(&self.long_manifests)
    }

    /// What is read from the manifest of this digest.
    pub(super) fn manifest(&self, digest: &Digest) -> Option<&ManifestRecord> {
        self.all_manifests().find(|manifest| manifest.digest == *digest)
    }

    /// The blob of this digest.
    pub(super) fn blob(&self, digest: &Digest) -> Option<&SampleBlob> {
        self.blobs.iter().find(|blob| blob.digest == *digest)
    }

    /// The text, with words for digests and for the bytes of manifests.
    pub(super) fn in_words(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (long, word)| text.replace(long, word))
    }
}

/// The limits of its registry: small enough to be met.
pub(super) fn limits() -> Limits {
    Limits { blob_bytes_max: BLOB_BYTES_MAX, page_max: 3, ranges_max: 2, ..Limits::default() }
}

pub(super) fn is_hidden(from: Person, repository: &RepositoryName) -> bool {
    from == Person::Bob && repository.as_str() == HIDDEN
}

pub(super) fn is_fixed(tag: &Tag) -> bool {
    tag.as_str() == FIXED
}

/// Who may do what, and which tag is fixed.
#[derive(Debug)]
pub(super) struct Rules;

#[async_trait]
impl Authorizer for Rules {
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        let is_hidden = Person::ALL
            .into_iter()
            .any(|person| person.caller() == *caller && is_hidden(person, ask.repository));
        Ok(if is_hidden { Verdict::Hide } else { Verdict::Allow(Grounds::default()) })
    }
}

#[async_trait]
impl TagGuard for Rules {
    async fn mobility(&self, _: &RepositoryName, tag: &Tag) -> Result<TagMobility, StoreError> {
        Ok(if is_fixed(tag) { TagMobility::Fixed } else { TagMobility::Movable })
    }
}
