//! Grants: added, changed, removed, listed.

use tracing::instrument;

use super::access::{ControlAccess, Permitted};
use super::change::{MetadataChange, MetadataRequire};
use super::error::ControlError;
use super::grant::{Grant, GrantLevel, GrantScope, Granted};
use super::identity::{AccountId, UserId};
use super::organisation::organisation_of;
use crate::caller::{Actor, Caller};
use crate::ports::ControlAsk;

impl ControlAccess<'_> {
    /// Grants these levels to users of the owning account who have no grant on it yet: all or none.
    #[instrument(level = "debug", skip_all, fields(?scope))]
    pub async fn grant(
        &self,
        scope: &GrantScope,
        levels: &[(UserId, GrantLevel)],
    ) -> Result<(), ControlError> {
        self.put_grants(scope, levels, |scope, user| MetadataRequire::GrantFree { scope, user }).await
    }

    /// Changes the grants of users who have one on it: all or none.
    #[instrument(level = "debug", skip_all, fields(?scope))]
    pub async fn change_grants(
        &self,
        scope: &GrantScope,
        levels: &[(UserId, GrantLevel)],
    ) -> Result<(), ControlError> {
        self.put_grants(scope, levels, |scope, user| MetadataRequire::GrantExists { scope, user }).await
    }

    async fn put_grants(
        &self,
        scope: &GrantScope,
        levels: &[(UserId, GrantLevel)],
        needs: fn(GrantScope, UserId) -> MetadataRequire,
    ) -> Result<(), ControlError> {
        let permitted = self.permit(managing(scope)).await?;
        let account = owner(&permitted, scope).await?;
        let mut requires = vec![exists(scope)];
        let mut changes = Vec::new();
        for (user, level) in levels {
            self.expect_other(user)?;
            requires.push(MetadataRequire::UserOf { user: user.clone(), account: account.clone() });
            requires.push(needs(scope.clone(), user.clone()));
            changes.push(MetadataChange::PutGrant(Grant {
                scope: scope.clone(),
                user: user.clone(),
                level: *level,
                created: permitted.now(),
            }));
        }
        let put = permitted.commit(requires, changes).await;
        put.map(drop).map_err(|unmet| unmet.into_error(|require| meaning(require, &permitted)))
    }

    /// Removes the grants of these users on it: all or none.
    #[instrument(level = "debug", skip_all, fields(?scope))]
    pub async fn remove_grants(&self, scope: &GrantScope, users: &[UserId]) -> Result<(), ControlError> {
        let permitted = self.permit(managing(scope)).await?;
        let mut requires = vec![exists(scope)];
        let mut changes = Vec::new();
        for user in users {
            self.expect_other(user)?;
            requires.push(MetadataRequire::GrantExists { scope: scope.clone(), user: user.clone() });
            changes.push(MetadataChange::RemoveGrant { scope: scope.clone(), user: user.clone() });
        }
        let removed = permitted.commit(requires, changes).await;
        removed.map(drop).map_err(|unmet| unmet.into_error(|require| meaning(require, &permitted)))
    }

    /// The grants on it, in the order of their users' names, for whoever may read all of it.
    pub async fn grants(&self, scope: &GrantScope) -> Result<Vec<Granted>, ControlError> {
        let permitted = self.permit(asking(scope, GrantLevel::Read)).await?;
        permitted.store().grants(scope).await?.ok_or_else(|| permitted.unknown())
    }

    /// Nobody raises the own rights, or locks itself out.
    fn expect_other(&self, user: &UserId) -> Result<(), ControlError> {
        match self.actor() {
            Actor::Caller(Caller::User(identity)) if identity.name() == user.as_str() => {
                Err(ControlError::GrantOneself)
            }
            _ => Ok(()),
        }
    }
}

fn asking(scope: &GrantScope, level: GrantLevel) -> ControlAsk<'_> {
    match scope {
        GrantScope::Organisation(name) => ControlAsk::Organisation(name, level),
        GrantScope::Repository(name) => ControlAsk::Repository(name, level),
    }
}

fn managing(scope: &GrantScope) -> ControlAsk<'_> {
    asking(scope, GrantLevel::Manage)
}

fn exists(scope: &GrantScope) -> MetadataRequire {
    match scope {
        GrantScope::Organisation(name) => MetadataRequire::OrganisationExists(name.clone()),
        GrantScope::Repository(name) => MetadataRequire::RepositoryExists(name.clone()),
    }
}

/// The account whose users may be granted something.
async fn owner(permitted: &Permitted<'_>, scope: &GrantScope) -> Result<AccountId, ControlError> {
    let organisation = match scope {
        GrantScope::Organisation(name) => Some(name.clone()),
        GrantScope::Repository(name) => organisation_of(name),
    };
    let Some(organisation) = organisation else { return Err(permitted.unknown()) };
    let organisation = permitted.store().organisation(&organisation).await?;
    Ok(organisation.ok_or_else(|| permitted.unknown())?.account)
}

fn meaning(require: &MetadataRequire, permitted: &Permitted<'_>) -> ControlError {
    match require {
        MetadataRequire::GrantFree { scope, user } => {
            ControlError::GrantTaken { scope: scope.clone(), user: user.clone() }
        }
        MetadataRequire::GrantExists { scope, user } => {
            ControlError::GrantUnknown { scope: scope.clone(), user: user.clone() }
        }
        MetadataRequire::UserOf { user, .. } => ControlError::UserUnknown(user.as_str().into()),
        _ => permitted.unknown(),
    }
}
