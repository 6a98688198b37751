//! Repositories, tags, manifests and blobs, away.

use std::num::NonZeroU32;

use swr_policy::{RepositoryName, Tag};
use tracing::instrument;

use super::access::{Access, Permitted, Refused};
use super::push_manifest::Precondition;
use crate::commit::{Change, Require};
use crate::digest::Digest;
use crate::error::Error;
use crate::ports::{Action, Page, WithBytes};
use crate::reference::Reference;

/// Deleting what is not there is the same error as asking for it, whatever the precondition.
impl Access<'_> {
    /// Removes the repository and all that it holds. Its name is free at once; the content goes with the next
    /// collection. Refused when a tag in it is fixed.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn remove_repository(&self, repository: &RepositoryName) -> Result<(), Error> {
        let permitted = self.permit(Action::Delete, repository, &[]).await?;
        let unknown = || Error::NameUnknown { repository: repository.clone() };
        permitted.parts.manifests.repository(repository).await?.ok_or_else(unknown)?;
        permitted.no_tag_is_fixed().await?;
        let removed = permitted.commit(Vec::new(), vec![Change::RemoveRepository]).await;
        match removed.map_err(|refused| refused.or(unknown()))?.events.is_empty() {
            true => Err(unknown()),
            false => Ok(()),
        }
    }

    /// Removes a tag. What it pointed to stays, and so do other tags.
    #[instrument(level = "debug", skip_all, fields(%repository, %tag))]
    pub async fn remove_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        precondition: Precondition,
    ) -> Result<(), Error> {
        let tags = std::slice::from_ref(tag);
        let reference = Reference::Tag(tag.clone());
        let permitted = self.permit(Action::Delete, repository, tags).await?;
        permitted.manifest(&reference, WithBytes::No).await?;
        if !permitted.fixed_among(tags).await?.is_empty() {
            return Err(Error::TagImmutable { tag: tag.clone() });
        }
        let mut requires = permitted.expected(&reference, &precondition).await?;
        requires.push(Require::TagSet(tag.clone()));
        let removed = permitted.commit(requires, vec![Change::RemoveTag(tag.clone())]).await;
        removed.map(drop).map_err(|refused| match refused {
            Refused::Unmet(unmet) if unmet.contains(&Require::TagSet(tag.clone())) => {
                Error::ManifestUnknown { reference }
            }
            refused => refused.or(Error::PreconditionFailed),
        })
    }

    /// Removes a manifest and every tag that points to it. Refused when one of them is fixed.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest))]
    pub async fn remove_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        precondition: Precondition,
    ) -> Result<(), Error> {
        let reference = Reference::Digest(*digest);
        let permitted = self.permit(Action::Delete, repository, &[]).await?;
        permitted.manifest(&reference, WithBytes::No).await?;
        match &precondition {
            Precondition::Absent => return Err(Error::PreconditionFailed),
            Precondition::Is(digests) if !digests.contains(digest) => return Err(Error::PreconditionFailed),
            Precondition::None | Precondition::Exists | Precondition::Is(_) => {}
        }
        for _ in 0..ATTEMPTS {
            let mut requires = vec![Require::ManifestPresent(*digest)];
            requires.extend(permitted.movable_tags(digest).await?);
            match permitted.commit(requires, vec![Change::RemoveManifest(*digest)]).await {
                Ok(_) => return Ok(()),
                Err(Refused::Unmet(unmet)) if unmet.contains(&Require::ManifestPresent(*digest)) => {
                    return Err(Error::ManifestUnknown { reference });
                }
                // Somebody tagged it meanwhile: the guard has to be asked about that tag as well.
                Err(Refused::Unmet(_)) => {}
                Err(refused) => return Err(refused.or(Error::ManifestUnknown { reference })),
            }
        }
        Err(Error::TooManyRequests { retry_after: None })
    }

    /// Takes a blob out of the repository. Refused while a manifest of the repository names it; other
    /// repositories keep theirs.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest))]
    pub async fn unlink_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        let permitted = self.permit(Action::Delete, repository, &[]).await?;
        let mut manifests = Vec::new();
        for _ in 0..ATTEMPTS {
            let requires = vec![Require::BlobLinked(*digest), Require::BlobUnnamed(*digest)];
            match permitted.commit(requires, vec![Change::UnlinkBlob(*digest)]).await {
                Ok(_) => return Ok(()),
                Err(Refused::Unmet(unmet)) if !unmet.contains(&Require::BlobLinked(*digest)) => {}
                Err(refused) => return Err(refused.or(Error::BlobUnknown { digest: *digest })),
            }
            manifests = permitted.parts.manifests.manifests_naming(repository, digest, NAMED_MAX).await?;
            // None by now: nothing is in the way any more.
            if !manifests.is_empty() {
                break;
            }
        }
        Err(Error::BlobNamed { digest: *digest, manifests })
    }
}

/// How often a removal is tried against others who change what is in its way meanwhile.
const ATTEMPTS: u32 = 8;

/// How many manifests an error names.
const NAMED_MAX: NonZeroU32 = NonZeroU32::new(8).expect("8 is not zero");

/// How many tags of one manifest a guard is asked about.
const GUARDED_MAX: NonZeroU32 = NonZeroU32::new(1000).expect("1000 is not zero");

impl Permitted<'_> {
    /// Refuses when the guard holds a tag of the repository fast.
    async fn no_tag_is_fixed(&self) -> Result<(), Error> {
        if self.parts.tag_guard.is_none() {
            return Ok(());
        }
        let mut page = Page { after: None, limit: GUARDED_MAX };
        while let Some(tags) = self.parts.manifests.tags(self.repository, &page).await? {
            let tags: Vec<Tag> = tags.into_iter().map(|record| record.tag).collect();
            if let Some(tag) = self.fixed_among(&tags).await?.into_iter().next() {
                return Err(Error::TagImmutable { tag });
            }
            match tags.into_iter().next_back() {
                Some(last) => page.after = Some(last),
                None => break,
            }
        }
        Ok(())
    }

    /// What must hold so that no fixed tag goes with the manifest.
    async fn movable_tags(&self, digest: &Digest) -> Result<Option<Require>, Error> {
        if self.parts.tag_guard.is_none() {
            return Ok(None);
        }
        let tags = self.parts.manifests.tags_of(self.repository, digest, GUARDED_MAX).await?;
        if let Some(tag) = self.fixed_among(&tags).await?.into_iter().next() {
            return Err(Error::TagImmutable { tag });
        }
        if tags.len() >= GUARDED_MAX.get() as usize {
            return Err(Error::Unsupported("a manifest with so many tags is removed tag by tag".into()));
        }
        Ok(Some(Require::TaggedOnlyBy { digest: *digest, tags }))
    }
}
