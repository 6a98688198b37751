//! What can go wrong for whoever changes who may what.

use swr_policy::aging::KindFixed;
use swr_policy::{NameError, OrganisationName, RepositoryName, Tag, TriggerName};

use super::credential::KeyId;
use super::grant::GrantScope;
use super::identity::{AccountName, UserId, UserName};
use crate::ports::{Refusal, StoreError};

/// Why an operation was not done. [`Display`](std::fmt::Display) is what a client may read; the chain of sources is
/// for the operator's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody has signed in.
    #[error("authentication required")]
    Unauthorized,
    /// The caller is known and may not.
    #[error("{}", .0.sentence())]
    Denied(Refusal),
    /// The text is not a name; [`source`](std::error::Error::source) says why.
    #[error("the name is invalid")]
    NameInvalid(#[source] NameError),
    /// The name may not be taken.
    #[error("the name `{0}` is reserved")]
    NameReserved(OrganisationName),
    /// The text is longer than it may be.
    #[error("the description has more than {limit} characters")]
    DescriptionTooLong {
        /// The characters that it may have.
        limit: usize,
    },
    /// There is no such account.
    #[error("account `{0}` is unknown")]
    AccountUnknown(Box<str>),
    /// The name is taken.
    #[error("there is an account `{0}` already")]
    AccountTaken(AccountName),
    /// The account has let the service act in its name already.
    #[error("the agency exists already")]
    AgencyExists,
    /// There is no such user, as far as the caller may know.
    #[error("user `{0}` is unknown")]
    UserUnknown(Box<str>),
    /// The name is taken in its account.
    #[error("there is a user `{0}` in this account already")]
    UserTaken(UserName),
    /// The user is the last that looks after the deployment.
    #[error("the last operator stays one")]
    LastOperator,
    /// There is no such key, as far as the caller may know.
    #[error("key `{0}` is unknown")]
    KeyUnknown(KeyId),
    /// The user has as many keys as it may.
    #[error("a user may have {limit} access keys")]
    KeyQuota {
        /// The keys that it may have.
        limit: u32,
    },
    /// There is no such organisation, as far as the caller may know.
    #[error("organization `{0}` does not exist")]
    OrganisationUnknown(OrganisationName),
    /// The name is taken, perhaps by somebody the caller cannot see.
    #[error("organization `{0}` already exists")]
    OrganisationTaken(OrganisationName),
    /// Repositories are left in it.
    #[error("organization `{name}` still has {repositories} repositories; delete them first")]
    OrganisationNotEmpty {
        /// The organisation.
        name: OrganisationName,
        /// How many are left.
        repositories: u64,
    },
    /// The user, or its account, has as many organisations as it may.
    #[error("the quota of {limit} organizations is used up")]
    OrganisationQuota {
        /// The organisations that there may be.
        limit: u32,
    },
    /// There is no such repository, as far as the caller may know.
    #[error("repository `{0}` does not exist")]
    RepositoryUnknown(RepositoryName),
    /// The name is taken.
    #[error("repository `{0}` already exists")]
    RepositoryTaken(RepositoryName),
    /// There is no such version.
    #[error("version `{0}` does not exist")]
    VersionUnknown(Tag),
    /// The version is there already, and was not to be moved.
    #[error("version `{0}` already exists")]
    VersionTaken(Tag),
    /// The user has no such grant.
    #[error("user `{user}` has no grant here")]
    GrantUnknown {
        /// What the grant was looked for on.
        scope: GrantScope,
        /// The user.
        user: UserId,
    },
    /// The user has a grant already.
    #[error("user `{user}` has a grant here already")]
    GrantTaken {
        /// What the grant is on.
        scope: GrantScope,
        /// The user.
        user: UserId,
    },
    /// Rights are not changed by their owner.
    #[error("nobody changes the own grant")]
    GrantOneself,
    /// The repository is not shared with the account.
    #[error("the repository is not shared with account `{0}`")]
    ShareUnknown(AccountName),
    /// The repository is shared with the account already.
    #[error("the repository is shared with account `{0}` already")]
    ShareTaken(AccountName),
    /// The repository is shared with as many accounts as it may.
    #[error("a repository may be shared with {limit} accounts")]
    ShareQuota {
        /// The accounts that it may be shared with.
        limit: u32,
    },
    /// A public repository needs no sharing.
    #[error("a public repository is not shared: everybody may pull from it")]
    SharePublic,
    /// The account owns the repository.
    #[error("a repository is not shared with the account that owns it")]
    ShareOneself,
    /// No peer of this name is configured.
    #[error("region `{0}` is not configured here")]
    RegionUnknown(Box<str>),
    /// The repository is not kept in step with the target.
    #[error("the repository is not synchronized there")]
    SyncUnknown,
    /// The repository has no such aging rule.
    #[error("the repository has no such aging rule")]
    RuleUnknown,
    /// The repository has an aging rule already.
    #[error("the repository has an aging rule already: change or delete it")]
    RuleTaken,
    /// A rule stays of its kind.
    #[error(transparent)]
    RuleKind(#[from] KindFixed),
    /// The repository has no such trigger.
    #[error("trigger `{0}` does not exist")]
    TriggerUnknown(TriggerName),
    /// The repository has a trigger of the name already.
    #[error("trigger `{0}` already exists")]
    TriggerTaken(TriggerName),
    /// The repository has as many triggers as it may.
    #[error("a repository may have {limit} triggers")]
    TriggerQuota {
        /// The triggers that it may have.
        limit: u32,
    },
    /// The trigger has no such delivery that was given up.
    #[error("no such delivery has been given up")]
    DeliveryUnknown,
    /// Rights keep changing under the operation.
    #[error("too many changes at once: try again")]
    Busy,
    /// What was done to content failed so.
    #[error(transparent)]
    Registry(#[from] crate::Error),
    /// A store failed. [`StoreError::is_retryable`] says whether the same request may succeed later.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<NameError> for ControlError {
    fn from(error: NameError) -> Self {
        Self::NameInvalid(error)
    }
}
