//! Synchronisation: asked for, listed, ended.

use std::num::NonZeroU32;

use swr_policy::{RepositoryName, Tag};
use tracing::instrument;

use super::access::ControlAccess;
use super::aging::expect_there;
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::GrantLevel;
use super::sync::{SyncJob, SyncRule, SyncTarget};
use crate::ports::{ControlAsk, Listing, WithBytes};
use crate::reference::Reference;

impl ControlAccess<'_> {
    /// Asks to keep an organisation in another region in step with the repository, or changes how.
    #[instrument(level = "debug", skip_all, fields(%repository, ?target))]
    pub async fn put_sync(
        &self,
        repository: &RepositoryName,
        target: &SyncTarget,
        auto: bool,
        overwrite: bool,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        expect_there(permitted.store(), repository, || permitted.unknown()).await?;
        self.expect_region(target)?;
        let at = permitted.now();
        let change = MetadataChange::PutSync(SyncRule {
            id: 0,
            repository: repository.clone(),
            target: target.clone(),
            auto,
            overwrite,
            created: at,
            updated: at,
        });
        let requires = vec![MetadataRequire::RepositoryExists(repository.clone())];
        let put = permitted.commit(requires, vec![change]).await;
        put.map(drop).map_err(|unmet| unmet.into_error(|_| permitted.unknown()))
    }

    /// No longer asks for it.
    #[instrument(level = "debug", skip_all, fields(%repository, ?target))]
    pub async fn remove_sync(
        &self,
        repository: &RepositoryName,
        target: &SyncTarget,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        let requires = vec![
            MetadataRequire::RepositoryExists(repository.clone()),
            MetadataRequire::SyncExists { repository: repository.clone(), target: target.clone() },
        ];
        let change = MetadataChange::RemoveSync { repository: repository.clone(), target: target.clone() };
        permitted.commit(requires, vec![change]).await.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::SyncExists { .. } => ControlError::SyncUnknown,
                _ => permitted.unknown(),
            })
        })
    }

    /// What was asked for, oldest first, for whoever edits the repository.
    pub async fn syncs(&self, repository: &RepositoryName) -> Result<Vec<SyncRule>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        permitted.store().syncs(repository).await?.ok_or_else(|| permitted.unknown())
    }

    /// Asks for versions to go to another region once, and says which of them there are not.
    #[instrument(level = "debug", skip_all, fields(%repository, ?target))]
    pub async fn sync_versions(
        &self,
        repository: &RepositoryName,
        target: &SyncTarget,
        tags: &[Tag],
        overwrite: bool,
    ) -> Result<Vec<Tag>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        expect_there(permitted.store(), repository, || permitted.unknown()).await?;
        self.expect_region(target)?;
        let operator = self.user().await?;
        let at = permitted.now();
        let (mut changes, mut failed) = (Vec::new(), Vec::new());
        for tag in tags {
            let reference = Reference::Tag(tag.clone());
            if permitted.store().resolve(repository, &reference, WithBytes::No).await?.is_none() {
                failed.push(tag.clone());
                continue;
            }
            changes.push(MetadataChange::AddSyncJob(SyncJob {
                id: 0,
                repository: repository.clone(),
                tag: tag.clone(),
                target: target.clone(),
                overwrite,
                status: "waiting".into(),
                operator: operator.id.clone(),
                operator_name: operator.name.clone(),
                created: at,
                updated: at,
            }));
        }
        let requires = vec![MetadataRequire::RepositoryExists(repository.clone())];
        let asked = permitted.commit(requires, changes).await;
        asked.map(|_| failed).map_err(|unmet| unmet.into_error(|_| permitted.unknown()))
    }

    /// What was asked for once, oldest first or newest first, for whoever edits the repository.
    pub async fn sync_jobs(
        &self,
        repository: &RepositoryName,
        descending: bool,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Listing<SyncJob>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Edit)).await?;
        let jobs = permitted.store().sync_jobs(repository, descending, offset, limit).await?;
        jobs.ok_or_else(|| permitted.unknown())
    }

    fn expect_region(&self, target: &SyncTarget) -> Result<(), ControlError> {
        match self.parts().limits.regions.contains(&target.region) {
            true => Ok(()),
            false => Err(ControlError::RegionUnknown(target.region.clone())),
        }
    }
}
