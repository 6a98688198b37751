//! Organisations: created, listed, deleted.

use swr_policy::OrganisationName;
use tracing::instrument;

use super::access::{ControlAccess, is_done};
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::{Grant, GrantLevel, GrantScope};
use super::organisation::{ListedOrganisation, Organisation};
use crate::ports::ControlAsk;

impl ControlAccess<'_> {
    /// Creates an organisation for the caller's account. Its creator gets `manage` on it.
    #[instrument(level = "debug", skip_all, fields(organisation = %name))]
    pub async fn create_organisation(&self, name: &OrganisationName) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::CreateOrganisation).await?;
        let limits = &self.parts().limits;
        if limits.reserved.contains(name) {
            return Err(ControlError::NameReserved(name.clone()));
        }
        let creator = self.user().await?;
        let per_user = limits.organisations_per_user;
        let mut requires = vec![
            MetadataRequire::OrganisationFree(name.clone()),
            MetadataRequire::UserOf { user: creator.id.clone(), account: creator.account.clone() },
            MetadataRequire::OrganisationsByFewerThan { user: creator.id.clone(), limit: per_user },
        ];
        if let Some(limit) = limits.organisations_per_account {
            requires
                .push(MetadataRequire::OrganisationsOfFewerThan { account: creator.account.clone(), limit });
        }
        let changes = vec![
            MetadataChange::CreateOrganisation {
                name: name.clone(),
                account: creator.account.clone(),
                creator: creator.id.clone(),
            },
            MetadataChange::PutGrant(Grant {
                scope: GrantScope::Organisation(name.clone()),
                user: creator.id,
                level: GrantLevel::Manage,
                created: permitted.now(),
            }),
        ];
        let created = permitted.commit(requires, changes).await;
        created.map(drop).map_err(|unmet| {
            unmet.into_error(|require| match require {
                MetadataRequire::OrganisationsByFewerThan { limit, .. }
                | MetadataRequire::OrganisationsOfFewerThan { limit, .. } => {
                    ControlError::OrganisationQuota { limit: *limit }
                }
                MetadataRequire::UserOf { .. } => ControlError::Unauthorized,
                _ => ControlError::OrganisationTaken(name.clone()),
            })
        })
    }

    /// Organisations that the caller may do something in all of; with `partly` also those where only some of the
    /// repositories were granted to it. In the order of their names.
    pub async fn organisations(&self, partly: bool) -> Result<Vec<ListedOrganisation>, ControlError> {
        let viewer = self.viewer().await?;
        Ok(self.parts().metadata.organisations(&viewer, partly).await?)
    }

    /// The organisation, for whoever may read all of it, and how much the caller may do in it.
    pub async fn organisation(
        &self,
        name: &OrganisationName,
    ) -> Result<(Organisation, GrantLevel), ControlError> {
        let permitted = self.permit(ControlAsk::Organisation(name, GrantLevel::Read)).await?;
        let organisation = permitted.store().organisation(name).await?.ok_or_else(|| permitted.unknown())?;
        for level in [GrantLevel::Manage, GrantLevel::Edit] {
            if self.may(ControlAsk::Organisation(name, level)).await? {
                return Ok((organisation, level));
            }
        }
        Ok((organisation, GrantLevel::Read))
    }

    /// How many organisations the caller has created, of those that there are, and how many it may.
    pub async fn organisation_quota(&self) -> Result<(u64, u32), ControlError> {
        let user = self.user().await?;
        let used = self.parts().metadata.organisations_by(&user.id).await?;
        Ok((used, self.parts().limits.organisations_per_user))
    }

    /// Deletes the organisation, and the grants on it. Refused while it holds a repository.
    #[instrument(level = "debug", skip_all, fields(organisation = %name))]
    pub async fn remove_organisation(&self, name: &OrganisationName) -> Result<(), ControlError> {
        let permitted = self.permit(ControlAsk::Organisation(name, GrantLevel::Manage)).await?;
        let requires = vec![MetadataRequire::OrganisationEmpty(name.clone())];
        match permitted.commit(requires, vec![MetadataChange::RemoveOrganisation(name.clone())]).await {
            Ok(receipt) if is_done(&receipt) => Ok(()),
            Ok(_) => Err(permitted.unknown()),
            Err(unmet) => {
                let repositories = permitted.store().repositories_in(name).await?;
                Err(unmet
                    .into_error(|_| ControlError::OrganisationNotEmpty { name: name.clone(), repositories }))
            }
        }
    }
}
