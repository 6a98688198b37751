//! The versions of a repository, which the protocol calls tags; and what is attached to them.

use std::num::NonZeroU32;

use http::header::CONTENT_RANGE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use swr_core::control::ControlError;
use swr_core::control::repository::{RepositoryDetails, Version};
use swr_core::descriptor::Descriptor;
use swr_core::digest::Digest;
use swr_core::media_type::ManifestKind;
use swr_core::ports::{Page, VersionOrder, VersionQuery};
use swr_core::{RepositoryName, Tag};

use super::error::ManagementFailure;
use super::exchange::{Answer, Exchange, Reply, Time, number_of, parts, tagged};
use super::paging::{OffsetPage, content_range, first};

/// How many versions are looked at in one question: each comes with its manifest.
const VERSIONS_AT_ONCE: NonZeroU32 = NonZeroU32::new(50).expect("50 is not zero");
/// How many bytes of manifests a list has; versions beyond that are listed without theirs.
const MANIFEST_BYTES_MAX: usize = 8 << 20;
/// How many of the tags of one manifest are looked at.
const TAGS_MAX: NonZeroU32 = NonZeroU32::new(1000).expect("1000 is not zero");
/// How many attachments of one image are looked at.
const ACCESSORIES_MAX: usize = 1000;

/// A tag to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTag {
    /// The tag whose manifest it is to point to.
    source_tag: String,
    /// The tag itself.
    pub(super) destination_tag: String,
    /// Whether it is moved where it is there already.
    #[serde(default, rename = "override")]
    overwrite: bool,
}

/// What is known of a version.
#[derive(Serialize, ToSchema)]
pub(super) struct Image {
    id: u64,
    repo_id: i64,
    /// The digest of its configuration in hexadecimal; empty where it has none.
    image_id: String,
    /// Its manifest; absent where that was not asked for, or the list would become too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    digest: String,
    schema: u8,
    /// What it is pulled by.
    path: String,
    /// What it is pulled by within the deployment.
    internal_path: String,
    /// The bytes that its manifest declares.
    size: u64,
    is_trusted: bool,
    created: Time,
    updated: Time,
    domain_id: String,
    /// 0: one manifest; 1: a list of them.
    tag_type: u8,
}

/// A version in a list of the second generation.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedTag {
    #[serde(rename = "Tag")]
    tag: String,
    deleted: Option<Time>,
    scanned: bool,
    #[serde(flatten)]
    image: Image,
}

/// A version in a list of the third generation.
#[derive(Serialize, ToSchema)]
pub(super) struct PagedTag {
    tag: String,
    #[serde(flatten)]
    image: Image,
}

/// A version: its name under the keys that clients look for.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownTag {
    tag: String,
    #[serde(rename = "Tag")]
    capital_tag: String,
    #[serde(flatten)]
    image: Image,
}

/// A page of versions.
#[derive(Serialize, ToSchema)]
pub(super) struct TagPage {
    tags: Vec<PagedTag>,
    /// The `marker` of the next page, where there is one.
    #[serde(rename = "nextMarker", skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    has_more: bool,
}

/// The tags of what a signature signs.
#[derive(Serialize, ToSchema)]
pub(super) struct References {
    /// The `marker` of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    has_more: bool,
    tags: Vec<String>,
}

/// What is attached to an image.
#[derive(Serialize, ToSchema)]
pub(super) struct Accessories {
    total: usize,
    accessories: Vec<Accessory>,
}

/// Something attached to an image.
#[derive(Serialize, ToSchema)]
pub(super) struct Accessory {
    id: u64,
    domain_id: String,
    namespace_name: String,
    repo_name: String,
    /// Its tag; empty where it has none.
    sig_tag: String,
    sig_digest: String,
    target_digest: String,
    /// The bytes of its manifest.
    size: u64,
    #[serde(rename = "type")]
    kind: String,
    /// When its tag was set first.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Time>,
    /// When its tag was set last.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Time>,
}

/// A list with places: the second generation.
pub(super) async fn list(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    query: &VersionQuery,
) -> Answer {
    let details = exchange.access.repository(repository).await?;
    let (images, total) = images(exchange, &details, query, true).await?;
    let range = content_range(query.offset, images.len(), total);
    let tags: Vec<ListedTag> = images
        .into_iter()
        .map(|(tag, image)| ListedTag { tag: tag.to_string(), deleted: None, scanned: false, image })
        .collect();
    Ok(Reply::json(&tags).with(CONTENT_RANGE, range))
}

/// A list with markers: the third generation.
pub(super) async fn page(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    query: &VersionQuery,
    with_manifest: bool,
) -> Answer {
    let details = exchange.access.repository(repository).await?;
    let (images, total) = images(exchange, &details, query, with_manifest).await?;
    let seen = query.offset.saturating_add(images.len() as u64);
    let has_more = !images.is_empty() && seen < total;
    let marker = |tag: &Tag| match query.order {
        VersionOrder::Tag => tag.to_string(),
        VersionOrder::Updated => seen.to_string(),
    };
    let next_marker = images.last().filter(|_| has_more).map(|(tag, _)| marker(tag));
    let tags = images.into_iter().map(|(tag, image)| PagedTag { tag: tag.to_string(), image }).collect();
    Ok(Reply::json(&TagPage { tags, next_marker, has_more }))
}

pub(super) async fn show(exchange: &Exchange<'_>, repository: &RepositoryName, tag: &Tag) -> Answer {
    let details = exchange.access.repository(repository).await?;
    let version = find(exchange, repository, tag).await?;
    let version = version.ok_or_else(|| ControlError::VersionUnknown(tag.clone()))?;
    let image = image(exchange, &details, &version, true);
    Ok(Reply::json(&ShownTag { tag: tag.to_string(), capital_tag: tag.to_string(), image }))
}

pub(super) async fn create(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let new: NewTag = exchange.object()?;
    let (from, to) = (Tag::parse(&new.source_tag)?, Tag::parse(&new.destination_tag)?);
    exchange.access.copy_version(repository, &from, &to, new.overwrite).await?;
    Ok(Reply::empty())
}

pub(super) async fn remove(exchange: &Exchange<'_>, repository: &RepositoryName, tag: &Tag) -> Answer {
    exchange.access.remove_version(repository, tag).await?;
    Ok(Reply::empty())
}

pub(super) async fn references(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    tag: &Tag,
    page: &Page<Tag>,
) -> Answer {
    let version = find(exchange, repository, tag).await?;
    let version = version.ok_or_else(|| ControlError::VersionUnknown(tag.clone()))?;
    let signed = Manifest::of(&version).subject.or_else(|| attached_to(tag));
    let tags = match signed {
        Some(digest) => exchange.plane.metadata().tags_of(repository, &digest, TAGS_MAX).await?,
        None => Vec::new(),
    };
    let after = tags.into_iter().filter(|tag| page.after.as_ref().is_none_or(|after| tag > after)).collect();
    let (tags, has_more) = first(after, page.limit);
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    let next_marker = tags.last().filter(|_| has_more).cloned();
    Ok(Reply::json(&References { next_marker, has_more, tags }))
}

pub(super) async fn accessories(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    tag: &Tag,
    page: OffsetPage,
) -> Answer {
    let details = exchange.access.repository(repository).await?;
    let version = find(exchange, repository, tag).await?;
    let target = version.ok_or_else(|| ControlError::VersionUnknown(tag.clone()))?.digest;
    let attached = attached(exchange, repository, &target).await?;
    let (namespace, name) = parts(repository);
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let limit = usize::try_from(page.limit.get()).unwrap_or(usize::MAX);
    let mut accessories = Vec::new();
    for Attached { descriptor, kind } in attached.iter().skip(offset).take(limit) {
        let tags = exchange.plane.metadata().tags_of(repository, &descriptor.digest, NonZeroU32::MIN).await?;
        let tagged = match tags.first() {
            Some(tag) => find(exchange, repository, tag).await?,
            None => None,
        };
        accessories.push(Accessory {
            id: number_of(details.id.0, &descriptor.digest.to_string()),
            domain_id: details.account.to_string(),
            namespace_name: namespace.to_owned(),
            repo_name: name.to_owned(),
            sig_tag: tagged.as_ref().map(|version| version.tag.to_string()).unwrap_or_default(),
            sig_digest: descriptor.digest.to_string(),
            target_digest: target.to_string(),
            size: descriptor.size,
            kind: kind.clone(),
            created_at: tagged.as_ref().map(|version| Time(version.created)),
            updated_at: tagged.as_ref().map(|version| Time(version.updated)),
        });
    }
    Ok(Reply::json(&Accessories { total: attached.len(), accessories }))
}

struct Attached {
    descriptor: Descriptor,
    kind: String,
}

/// What names an image as its subject, in the order of the digests; then what is attached to it by its tag alone.
async fn attached(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    target: &Digest,
) -> Result<Vec<Attached>, ManagementFailure> {
    let registry = exchange.registry();
    let mut attached: Vec<Attached> = Vec::new();
    let mut page = Page { after: None, limit: TAGS_MAX };
    loop {
        let listed = registry.referrers(repository, target, None, &page).await?;
        page.after = listed.entries.last().map(|last| last.digest);
        attached.extend(listed.entries.into_iter().map(|descriptor| {
            let kind = descriptor.artifact_type.as_ref().unwrap_or(&descriptor.media_type);
            Attached { kind: kind_of(kind.as_str()).to_owned(), descriptor }
        }));
        if !listed.more || attached.len() >= ACCESSORIES_MAX {
            break;
        }
    }
    attached.truncate(ACCESSORIES_MAX);
    for (ending, kind) in ATTACHED_BY_TAG {
        let tag = format!("{}-{}.{ending}", target.algorithm(), target.hex());
        // Of the longer hashes there is no such tag.
        let Ok(tag) = Tag::parse(&tag) else { continue };
        let Some(version) = find(exchange, repository, &tag).await? else { continue };
        if attached.iter().all(|attached| attached.descriptor.digest != version.digest) {
            let descriptor = Descriptor {
                media_type: version.media_type,
                digest: version.digest,
                size: version.manifest.len() as u64,
                artifact_type: None,
                annotations: Default::default(),
            };
            attached.push(Attached { descriptor, kind: (*kind).to_owned() });
        }
    }
    Ok(attached)
}

/// What is attached to an image by a tag that is made of its digest.
const ATTACHED_BY_TAG: &[(&str, &str)] =
    &[("sig", "signature.cosign"), ("att", "attestation.cosign"), ("sbom", "sbom.cosign")];

/// The digest that such a tag is made of.
fn attached_to(tag: &Tag) -> Option<Digest> {
    let (algorithm, rest) = tag.as_str().split_once('-')?;
    let hex = match rest.split_once('.') {
        Some((hex, ending)) => ATTACHED_BY_TAG.iter().find(|(known, _)| *known == ending).map(|_| hex)?,
        None => rest,
    };
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

/// The kinds that have names of their own; others are called after their type.
fn kind_of(artifact_type: &str) -> &str {
    match artifact_type {
        "application/vnd.dev.cosign.artifact.sig.v1+json" => "signature.cosign",
        "application/vnd.cncf.notary.signature" => "signature.notation",
        other => other,
    }
}

/// The versions of a page, and how many there are in all.
async fn images(
    exchange: &Exchange<'_>,
    details: &RepositoryDetails,
    query: &VersionQuery,
    with_manifest: bool,
) -> Result<(Vec<(Tag, Image)>, u64), ManagementFailure> {
    let wanted = usize::try_from(query.limit.get()).unwrap_or(usize::MAX);
    let mut images: Vec<(Tag, Image)> = Vec::new();
    let mut total = None;
    let mut manifest_bytes = 0;
    let mut part = query.clone();
    loop {
        let left = u32::try_from(wanted - images.len()).ok().and_then(NonZeroU32::new);
        let Some(left) = left else { break };
        part.limit = left.min(VERSIONS_AT_ONCE);
        part.offset = query.offset.saturating_add(images.len() as u64);
        let listing = exchange.access.versions(&details.name, &part).await?;
        let total = *total.get_or_insert(listing.total);
        for version in &listing.entries {
            manifest_bytes += version.manifest.len();
            let with_manifest = with_manifest && manifest_bytes <= MANIFEST_BYTES_MAX;
            images.push((version.tag.clone(), image(exchange, details, version, with_manifest)));
        }
        if listing.entries.is_empty() || part.offset.saturating_add(listing.entries.len() as u64) >= total {
            break;
        }
    }
    Ok((images, total.unwrap_or(0)))
}

async fn find(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Version>, ManagementFailure> {
    let query = VersionQuery {
        tag: None,
        exactly: Some(tag.clone()),
        after: None,
        order: VersionOrder::Tag,
        descending: false,
        offset: 0,
        limit: NonZeroU32::MIN,
    };
    Ok(exchange.access.versions(repository, &query).await?.entries.pop())
}

fn image(
    exchange: &Exchange<'_>,
    details: &RepositoryDetails,
    version: &Version,
    with_manifest: bool,
) -> Image {
    let is_list = version.media_type.manifest_kind() == Some(ManifestKind::Index);
    Image {
        id: number_of(details.id.0, version.tag.as_str()),
        repo_id: details.id.0,
        image_id: Manifest::of(version).config.map(|digest| digest.hex()).unwrap_or_default(),
        manifest: with_manifest.then(|| String::from_utf8_lossy(&version.manifest).into_owned()),
        digest: version.digest.to_string(),
        schema: 2,
        path: tagged(exchange.path(&details.name), &version.tag),
        internal_path: tagged(exchange.internal_path(&details.name), &version.tag),
        size: version.size,
        is_trusted: false,
        created: Time(version.created),
        updated: Time(version.updated),
        domain_id: details.account.to_string(),
        tag_type: is_list.into(),
    }
}

/// What a manifest says of its configuration and of what it is about, as far as it can be read.
#[derive(Default)]
struct Manifest {
    config: Option<Digest>,
    subject: Option<Digest>,
}

impl Manifest {
    fn of(version: &Version) -> Self {
        #[derive(Deserialize)]
        struct Body {
            config: Option<Part>,
            subject: Option<Part>,
        }
        #[derive(Deserialize)]
        struct Part {
            digest: String,
        }
        let digest = |part: Option<Part>| part.and_then(|part| Digest::parse(&part.digest).ok());
        serde_json::from_slice(&version.manifest)
            .map(|Body { config, subject }| Self { config: digest(config), subject: digest(subject) })
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_made_of_a_digest_is_attached_to_what_has_it() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest = Digest::parse(&format!("sha256:{hex}")).unwrap();
        for (tag, expected) in [
            (format!("sha256-{hex}.sig"), Some(digest)),
            (format!("sha256-{hex}.att"), Some(digest)),
            (format!("sha256-{hex}"), Some(digest)),
            (format!("sha256-{hex}.exe"), None),
            (format!("md5-{hex}.sig"), None),
            ("sha256-00.sig".to_owned(), None),
            ("latest".to_owned(), None),
            ("1.0-rc".to_owned(), None),
        ] {
            assert_eq!(attached_to(&Tag::parse(&tag).unwrap()), expected, "{tag}");
        }
    }
}
