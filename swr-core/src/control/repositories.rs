//! Repositories and their versions: created, described, listed, deleted.

use chrono::Days;
use swr_policy::{RepositoryName, Tag};
use tracing::instrument;

use super::access::{ControlAccess, is_done};
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::GrantLevel;
use super::organisation::organisation_of;
use super::repository::{Attributes, RepositoryDetails, Version};
use crate::digest::Digest;
use crate::error::Error;
use crate::ports::{ControlAsk, DailyUsage, Listing, Overview, RepositoryQuery, UsageKind, VersionQuery};
use crate::reference::Reference;
use crate::registry::Precondition;

impl ControlAccess<'_> {
    /// Creates an empty repository in an organisation that the caller may edit all of.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn create_repository(
        &self,
        repository: &RepositoryName,
        attributes: &Attributes,
    ) -> Result<(), ControlError> {
        let taken = || ControlError::RepositoryTaken(repository.clone());
        let organisation =
            organisation_of(repository).ok_or_else(|| ControlError::RepositoryUnknown(repository.clone()))?;
        let permitted = self.permit(ControlAsk::Organisation(&organisation, GrantLevel::Edit)).await?;
        self.parts().registry.admit(repository)?;
        expect_short(attributes)?;
        let requires = vec![
            MetadataRequire::OrganisationExists(organisation.clone()),
            MetadataRequire::RepositoryFree(repository.clone()),
        ];
        let change =
            MetadataChange::CreateRepository { name: repository.clone(), attributes: attributes.clone() };
        let created = permitted.commit(requires, vec![change]).await.map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::OrganisationExists(_) => permitted.unknown(),
                _ => taken(),
            })
        })?;
        match is_done(&created) {
            true => Ok(()),
            false => Err(taken()),
        }
    }

    /// Says something else of the repository.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn set_attributes(
        &self,
        repository: &RepositoryName,
        attributes: &Attributes,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        expect_short(attributes)?;
        let requires = vec![MetadataRequire::RepositoryExists(repository.clone())];
        let change =
            MetadataChange::SetAttributes { name: repository.clone(), attributes: attributes.clone() };
        let set = permitted.commit(requires, vec![change]).await;
        set.map(drop).map_err(|unmet| unmet.into_error(|_| permitted.unknown()))
    }

    /// The repository, for whoever may pull from it.
    pub async fn repository(&self, repository: &RepositoryName) -> Result<RepositoryDetails, ControlError> {
        let permitted = self.permit(ControlAsk::ViewRepository(repository)).await?;
        permitted.store().repository_details(repository).await?.ok_or_else(|| permitted.unknown())
    }

    /// Repositories that fit the query, which is for the caller's own eyes; [`Self::viewer`] says who that is.
    pub async fn repositories(
        &self,
        query: &RepositoryQuery,
    ) -> Result<Listing<RepositoryDetails>, ControlError> {
        match self.viewer().await? == query.viewer {
            true => Ok(self.parts().metadata.repository_list(query).await?),
            false => Err(ControlError::Unauthorized),
        }
    }

    /// Deletes the repository and its versions.
    #[instrument(level = "debug", skip_all, fields(%repository))]
    pub async fn remove_repository(&self, repository: &RepositoryName) -> Result<(), ControlError> {
        self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        match self.registry()?.remove_repository(repository).await {
            Err(Error::NameUnknown { repository }) => Err(ControlError::RepositoryUnknown(repository)),
            removed => Ok(removed?),
        }
    }

    /// Versions of the repository, for whoever may pull from it.
    pub async fn versions(
        &self,
        repository: &RepositoryName,
        query: &VersionQuery,
    ) -> Result<Listing<Version>, ControlError> {
        let permitted = self.permit(ControlAsk::ViewRepository(repository)).await?;
        permitted.store().versions(repository, query).await?.ok_or_else(|| permitted.unknown())
    }

    /// Points the tag `to` to what `from` points to, and says what that is; a tag that is set is moved only with
    /// `overwrite`.
    #[instrument(level = "debug", skip_all, fields(%repository, %from, %to))]
    pub async fn copy_version(
        &self,
        repository: &RepositoryName,
        from: &Tag,
        to: &Tag,
        overwrite: bool,
    ) -> Result<Digest, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        if permitted.store().repository_details(repository).await?.is_none() {
            return Err(permitted.unknown());
        }
        let source = Reference::Tag(from.clone());
        match self.registry()?.set_tag(repository, &source, to, overwrite).await {
            Err(Error::ManifestUnknown { .. }) => Err(ControlError::VersionUnknown(from.clone())),
            Err(Error::PreconditionFailed) => Err(ControlError::VersionTaken(to.clone())),
            set => Ok(set?),
        }
    }

    /// Deletes a version: the tag. Other tags of the same digest stay.
    #[instrument(level = "debug", skip_all, fields(%repository, %tag))]
    pub async fn remove_version(&self, repository: &RepositoryName, tag: &Tag) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        if permitted.store().repository_details(repository).await?.is_none() {
            return Err(permitted.unknown());
        }
        match self.registry()?.remove_tag(repository, tag, Precondition::None).await {
            Err(Error::ManifestUnknown { .. }) => Err(ControlError::VersionUnknown(tag.clone())),
            removed => Ok(removed?),
        }
    }

    /// What the caller's account used on each of the last `days` days, today included: every day, oldest first.
    pub async fn usage(&self, kind: UsageKind, days: u32) -> Result<Vec<DailyUsage>, ControlError> {
        let user = self.user().await?;
        let until = self.now().date_naive();
        let from = until.checked_sub_days(Days::new(days.saturating_sub(1).into())).unwrap_or(until);
        let noted = self.parts().metadata.usage(&user.account, kind, from, until).await?;
        // What is kept stays from one day to the next; what is pulled does not.
        let mut last = 0;
        let every = from.iter_days().take_while(|day| *day <= until);
        Ok(every
            .map(|day| {
                let bytes = match (noted.iter().find(|noted| noted.day == day), kind) {
                    (Some(noted), _) => noted.bytes,
                    (None, UsageKind::Stored) => last,
                    (None, UsageKind::Pulled) => 0,
                };
                last = bytes;
                DailyUsage { day, bytes }
            })
            .collect())
    }

    /// What the caller's account has.
    pub async fn overview(&self) -> Result<Overview, ControlError> {
        let user = self.user().await?;
        Ok(self.parts().metadata.overview(&user.account).await?)
    }
}

fn expect_short(attributes: &Attributes) -> Result<(), ControlError> {
    let limit = Attributes::DESCRIPTION_CHARS_MAX;
    match attributes.description.chars().nth(limit) {
        Some(_) => Err(ControlError::DescriptionTooLong { limit }),
        None => Ok(()),
    }
}
