//! Tags, referrers and repositories, page by page.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use swr_policy::{RepositoryName, Tag};
use tracing::{instrument, warn};

use super::access::{Access, Permitted, Readable};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest;
use crate::media_type::{ManifestKind, MediaType};
use crate::ports::{Action, Candidates, Page, TagRecord, WithBytes};
use crate::reference::Reference;

/// A page of a list, at most [`Limits::page_max`](super::Limits::page_max) entries of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a door takes it apart")]
pub struct Listed<T> {
    /// The entries, in their order. There may be fewer than asked for.
    pub entries: Vec<T>,
    /// Whether there are more after the last of them; never of a page without entries.
    pub more: bool,
}

impl<T> Listed<T> {
    /// The first `limit` of entries, of which one more than that was asked for.
    fn first(mut entries: Vec<T>, limit: NonZeroU32) -> Self {
        let more = entries.len() > limit.get() as usize;
        entries.truncate(limit.get() as usize);
        Self { entries, more }
    }
}

impl Access<'_> {
    /// The tags of a repository, in byte order.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Listed<TagRecord>, Error> {
        let permitted = self.permit(Action::Pull, repository, &[]).await?;
        let limit = self.bounded(page.limit);
        let tags = permitted.parts.manifests.tags(repository, &one_more(page, limit)).await?;
        let tags = tags.ok_or_else(|| Error::NameUnknown { repository: repository.clone() })?;
        Ok(Listed::first(tags, limit))
    }

    /// What refers to `subject`, in the order of the digests: the manifests that name it as their subject, and
    /// those that clients without this interface have listed under the fallback tag. Bounded in bytes as well.
    #[instrument(level = "debug", skip_all, fields(%repository, %subject))]
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        of_type: Option<&MediaType>,
        page: &Page<Digest>,
    ) -> Result<Listed<Descriptor>, Error> {
        let permitted = self.permit(Action::Pull, repository, &[]).await?;
        let manifests = &permitted.parts.manifests;
        let page = Page { after: page.after, limit: self.bounded(page.limit) };
        let recorded = manifests.referrers(repository, subject, of_type, &page).await?;
        // A store's page may be short of what was asked for, though there are more.
        let more_after = match recorded.last() {
            None => None,
            Some(last) => {
                let next = Page { after: Some(last.digest), limit: NonZeroU32::MIN };
                let next = manifests.referrers(repository, subject, of_type, &next).await?;
                (!next.is_empty()).then_some(last.digest)
            }
        };
        let mut found: BTreeMap<Digest, Descriptor> = permitted
            .listed_under_fallback(subject)
            .await?
            .into_iter()
            .filter(|listed| page.after.is_none_or(|after| listed.digest > after))
            .filter(|listed| of_type.is_none() || listed.artifact_type.as_ref() == of_type)
            .map(|listed| (listed.digest, listed))
            .collect();
        found.extend(recorded.into_iter().map(|descriptor| (descriptor.digest, descriptor)));
        // What lies beyond the store's page is merged with its next one.
        if let Some(last) = more_after {
            found.retain(|digest, _| *digest <= last);
        }
        let mut listed = within_bytes(found.into_values(), page.limit);
        listed.more |= more_after.is_some();
        Ok(listed)
    }

    /// The repositories that the caller may pull from, in byte order. A token, where there is one, has to be for the
    /// catalogue, and then it is the caller's own rights that count.
    ///
    /// An authorizer that does not list them itself is asked about each, at most about
    /// 10 000 for a page; repositories behind so many that the caller may not read are left out.
    #[instrument(level = "debug", skip_all)]
    pub async fn repositories(&self, page: &Page<RepositoryName>) -> Result<Listed<RepositoryName>, Error> {
        if !self.lists_all() {
            return Err(Error::Unauthorized { needs: Vec::new() });
        }
        let limit = self.bounded(page.limit);
        let mut page = one_more(page, limit);
        if let Some(readable) = self.readable_of(Candidates::All(&page)).await? {
            return Ok(Listed::first(readable.into_iter().map(Readable::into_name).collect(), limit));
        }
        let mut readable = Vec::new();
        let mut asked = 0;
        loop {
            let candidates = self.candidates(Candidates::All(&page)).await?;
            let Some(last) = candidates.last() else {
                return Ok(Listed::first(readable, limit));
            };
            page.after = Some(last.clone());
            for candidate in candidates {
                asked += 1;
                readable.extend(self.readable(&candidate).await?.map(Readable::into_name));
                if readable.len() > limit.get() as usize {
                    return Ok(Listed::first(readable, limit));
                }
                if asked == DECISIONS_MAX {
                    warn!(
                        found = readable.len(),
                        "a page of the catalogue was cut short: the authorizer does not list"
                    );
                    let more = !readable.is_empty();
                    return Ok(Listed { entries: readable, more });
                }
            }
        }
    }

    fn bounded(&self, limit: NonZeroU32) -> NonZeroU32 {
        NonZeroU32::new(self.limits().page_max).map_or(limit, |max| limit.min(max))
    }
}

/// How many repositories an authorizer is asked about for one page.
const DECISIONS_MAX: u32 = 10_000;

/// About how many bytes of descriptors a page holds.
const BYTES_MAX: usize = 2 << 20;

impl Permitted<'_> {
    /// What the referrers' fallback tag lists: an index that clients keep where a registry lists no
    /// referrers.
    async fn listed_under_fallback(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let Some(tag) = fallback_tag(subject) else {
            return Ok(Vec::new());
        };
        let found =
            self.parts.manifests.resolve(self.repository, &Reference::Tag(tag), WithBytes::Yes).await?;
        Ok(match found {
            Some(index) if index.media_type.manifest_kind() == Some(ManifestKind::Index) => {
                index.bytes.as_deref().map(manifest::listed_in_index).unwrap_or_default()
            }
            _ => Vec::new(),
        })
    }
}

/// The algorithm and the hash, joined by a dash: at most 32 and 64 characters of them.
fn fallback_tag(subject: &Digest) -> Option<Tag> {
    let tag = format!("{:.32}-{:.64}", subject.algorithm().as_str(), subject.hex());
    Tag::parse(&tag).ok()
}

fn one_more<T: Clone>(page: &Page<T>, limit: NonZeroU32) -> Page<T> {
    Page { after: page.after.clone(), limit: limit.saturating_add(1) }
}

/// As many as fit into a page, at least one.
fn within_bytes(descriptors: impl Iterator<Item = Descriptor>, limit: NonZeroU32) -> Listed<Descriptor> {
    let mut bytes = 0;
    let mut entries = Vec::new();
    for descriptor in descriptors {
        bytes += bytes_of(&descriptor);
        if !entries.is_empty() && (bytes > BYTES_MAX || entries.len() >= limit.get() as usize) {
            return Listed { entries, more: true };
        }
        entries.push(descriptor);
    }
    Listed { entries, more: false }
}

fn bytes_of(descriptor: &Descriptor) -> usize {
    let annotations: usize =
        descriptor.annotations.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
    256 + annotations
}
