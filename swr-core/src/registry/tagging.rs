//! A tag set to a manifest that is there already.

use swr_policy::{RepositoryName, Tag};
use tracing::instrument;

use super::access::{Access, Refused};
use crate::commit::{Change, Require};
use crate::digest::Digest;
use crate::error::Error;
use crate::ports::WithBytes;
use crate::reference::Reference;

impl Access<'_> {
    /// Points `tag` to the manifest that `source` leads to, and says which that is. A tag that is set is moved only
    /// with `overwrite`; without it, [`Error::PreconditionFailed`].
    #[instrument(level = "debug", skip_all, fields(%repository, %source, %tag))]
    pub async fn set_tag(
        &self,
        repository: &RepositoryName,
        source: &Reference,
        tag: &Tag,
        overwrite: bool,
    ) -> Result<Digest, Error> {
        let tags = std::slice::from_ref(tag);
        let permitted = self.permit_push(repository, tags).await?;
        let digest = permitted.manifest(source, WithBytes::No).await?.digest;
        let mut requires = vec![Require::ManifestPresent(digest)];
        // Only what was seen is tagged.
        if let Reference::Tag(source) = source {
            requires.push(Require::TagIs { tag: source.clone(), digest, updated: None });
        }
        if !overwrite {
            requires.push(Require::TagUnset(tag.clone()));
        }
        if !permitted.fixed_among(tags).await?.is_empty() {
            requires.push(Require::TagUnsetOr { tag: tag.clone(), digest });
        }
        let change = Change::SetTag { tag: tag.clone(), digest };
        match permitted.commit(requires, vec![change]).await {
            Ok(_) => Ok(digest),
            Err(Refused::Unmet(unmet)) if unmet.iter().any(|it| matches!(it, Require::TagUnsetOr { .. })) => {
                Err(Error::TagImmutable { tag: tag.clone() })
            }
            Err(Refused::Unmet(unmet)) if unmet.contains(&Require::TagUnset(tag.clone())) => {
                Err(Error::PreconditionFailed)
            }
            Err(refused) => Err(refused.or(Error::ManifestUnknown { reference: source.clone() })),
        }
    }
}
