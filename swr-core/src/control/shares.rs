//! Shares: added, changed, ended, listed.

use std::num::NonZeroU32;

use swr_policy::RepositoryName;
use tracing::instrument;

use super::access::ControlAccess;
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::GrantLevel;
use super::identity::{Account, AccountName};
use super::organisation::organisation_of;
use super::share::{Deadline, ListedShare, Share};
use crate::ports::{ControlAsk, Page};

impl ControlAccess<'_> {
    /// Lets every user of another account pull from a private repository.
    #[instrument(level = "debug", skip_all, fields(%repository, %account))]
    pub async fn share(
        &self,
        repository: &RepositoryName,
        account: &AccountName,
        deadline: Deadline,
        description: &str,
    ) -> Result<(), ControlError> {
        self.put_share(repository, account, deadline, description, true).await
    }

    /// Changes until when a repository is shared, and what is said of it.
    #[instrument(level = "debug", skip_all, fields(%repository, %account))]
    pub async fn change_share(
        &self,
        repository: &RepositoryName,
        account: &AccountName,
        deadline: Deadline,
        description: &str,
    ) -> Result<(), ControlError> {
        self.put_share(repository, account, deadline, description, false).await
    }

    async fn put_share(
        &self,
        repository: &RepositoryName,
        account_name: &AccountName,
        deadline: Deadline,
        description: &str,
        is_new: bool,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        let limit = Share::DESCRIPTION_CHARS_MAX;
        if description.chars().nth(limit).is_some() {
            return Err(ControlError::DescriptionTooLong { limit });
        }
        let account = self.receiver(account_name).await?;
        let organisation = organisation_of(repository).ok_or_else(|| permitted.unknown())?;
        let organisation = permitted.store().organisation(&organisation).await?;
        if organisation.is_some_and(|organisation| organisation.account == account.id) {
            return Err(ControlError::ShareOneself);
        }
        let creator = self.user().await?;
        let mut requires = vec![
            MetadataRequire::RepositoryExists(repository.clone()),
            MetadataRequire::AccountExists(account.id.clone()),
        ];
        let key = (repository.clone(), account.id.clone());
        if is_new {
            requires.push(MetadataRequire::RepositoryPrivate(repository.clone()));
            requires.push(MetadataRequire::ShareFree { repository: key.0, account: key.1 });
            requires.push(MetadataRequire::SharesFewerThan {
                repository: repository.clone(),
                limit: self.parts().limits.shares_per_repository,
            });
        } else {
            requires.push(MetadataRequire::ShareExists { repository: key.0, account: key.1 });
        }
        let at = permitted.now();
        let change = MetadataChange::PutShare(Share {
            repository: repository.clone(),
            account: account.id,
            deadline,
            description: description.into(),
            creator: creator.id,
            creator_name: creator.name,
            created: at,
            updated: at,
        });
        permitted.commit(requires, vec![change]).await.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::RepositoryPrivate(_) => ControlError::SharePublic,
                MetadataRequire::ShareFree { .. } => ControlError::ShareTaken(account_name.clone()),
                MetadataRequire::ShareExists { .. } => ControlError::ShareUnknown(account_name.clone()),
                MetadataRequire::SharesFewerThan { limit, .. } => ControlError::ShareQuota { limit: *limit },
                MetadataRequire::AccountExists(_) => {
                    ControlError::AccountUnknown(account_name.as_str().into())
                }
                _ => permitted.unknown(),
            })
        })
    }

    /// Ends a share.
    #[instrument(level = "debug", skip_all, fields(%repository, %account))]
    pub async fn end_share(
        &self,
        repository: &RepositoryName,
        account: &AccountName,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        let id = self.receiver(account).await?.id;
        let requires = vec![
            MetadataRequire::RepositoryExists(repository.clone()),
            MetadataRequire::ShareExists { repository: repository.clone(), account: id.clone() },
        ];
        let change = MetadataChange::RemoveShare { repository: repository.clone(), account: id };
        permitted.commit(requires, vec![change]).await.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::ShareExists { .. } => ControlError::ShareUnknown(account.clone()),
                _ => permitted.unknown(),
            })
        })
    }

    /// The accounts that the repository is shared with, expired shares included, for whoever manages it.
    pub async fn shares(
        &self,
        repository: &RepositoryName,
        limit: NonZeroU32,
    ) -> Result<Vec<ListedShare>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        let page = Page { after: None, limit };
        permitted.store().shares(repository, &page).await?.ok_or_else(|| permitted.unknown())
    }

    /// The share with one account, if there is one, for whoever manages the repository.
    pub async fn share_with(
        &self,
        repository: &RepositoryName,
        account: &AccountName,
    ) -> Result<Option<ListedShare>, ControlError> {
        let permitted = self.permit(ControlAsk::Repository(repository, GrantLevel::Manage)).await?;
        if permitted.store().repository_details(repository).await?.is_none() {
            return Err(permitted.unknown());
        }
        match permitted.store().account_named(account).await? {
            Some(account) => Ok(permitted.store().share(repository, &account.id).await?),
            None => Ok(None),
        }
    }

    async fn receiver(&self, name: &AccountName) -> Result<Account, ControlError> {
        let account = self.parts().metadata.account_named(name).await?;
        account.ok_or_else(|| ControlError::AccountUnknown(name.as_str().into()))
    }
}
