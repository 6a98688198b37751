//! One change to who there is and what they may do, as a value.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{OrganisationName, RepositoryName};

use super::credential::{AccessKey, KeyId, TemporaryKey, TokenKey};
use super::grant::{Grant, GrantScope};
use super::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use super::repository::Attributes;
use super::share::Share;
use crate::caller::{Actor, Origin};
use crate::commit::RightsVersion;
use crate::event::RecordedEvent;
use crate::ports::StoreError;

/// Changes that become true together, or not at all; every effective one leaves its trace in the same step.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "backends take it apart")]
pub struct MetadataCommit {
    /// Who it is recorded under.
    pub actor: Actor,
    /// Where it came from.
    pub origin: Origin,
    /// When it happens.
    pub at: DateTime<Utc>,
    /// What must be true.
    pub requires: Vec<MetadataRequire>,
    /// What changes, in this order.
    pub changes: Vec<MetadataChange>,
}

/// What must still be true at the instant the changes land. Each is checked against the state before the first
/// change, under a lock on what it counts, so that racing creators never exceed a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a backend must check every one")]
pub enum MetadataRequire {
    /// No right has changed since this count: the decision that the change rests on still stands.
    Rights(RightsVersion),
    /// No account has the name.
    AccountNameFree(AccountName),
    /// There is the account.
    AccountExists(AccountId),
    /// No user of the account has the name.
    UserNameFree {
        /// The account.
        account: AccountId,
        /// The name.
        name: UserName,
    },
    /// There is the user, and it belongs to the account.
    UserOf {
        /// The user.
        user: UserId,
        /// The account.
        account: AccountId,
    },
    /// There is an operator other than this user.
    OperatorBeside(UserId),
    /// No key, access or temporary, has the id.
    KeyFree(KeyId),
    /// There is the access key, and it is the user's.
    AccessKeyOf {
        /// The key.
        key: KeyId,
        /// The user.
        user: UserId,
    },
    /// The user has fewer access keys than this.
    AccessKeysFewerThan {
        /// The user.
        user: UserId,
        /// How many are too many.
        limit: u32,
    },
    /// No organisation has the name.
    OrganisationFree(OrganisationName),
    /// There is the organisation.
    OrganisationExists(OrganisationName),
    /// No repository is listed in the organisation.
    OrganisationEmpty(OrganisationName),
    /// The user has created fewer organisations, of those that there are, than this.
    OrganisationsByFewerThan {
        /// The user.
        user: UserId,
        /// How many are too many.
        limit: u32,
    },
    /// The account owns fewer organisations than this.
    OrganisationsOfFewerThan {
        /// The account.
        account: AccountId,
        /// How many are too many.
        limit: u32,
    },
    /// There is a listed repository of the name.
    RepositoryExists(RepositoryName),
    /// There is no listed repository of the name.
    RepositoryFree(RepositoryName),
    /// There is a listed repository of the name, and it is private.
    RepositoryPrivate(RepositoryName),
    /// The user has a grant on it.
    GrantExists {
        /// What the grant is on.
        scope: GrantScope,
        /// The user.
        user: UserId,
    },
    /// The user has no grant on it.
    GrantFree {
        /// What the grant would be on.
        scope: GrantScope,
        /// The user.
        user: UserId,
    },
    /// The repository is shared with the account, expired or not.
    ShareExists {
        /// The repository.
        repository: RepositoryName,
        /// The account.
        account: AccountId,
    },
    /// The repository is not shared with the account.
    ShareFree {
        /// The repository.
        repository: RepositoryName,
        /// The account.
        account: AccountId,
    },
    /// The repository is shared with fewer accounts than this, expired shares included.
    SharesFewerThan {
        /// The repository.
        repository: RepositoryName,
        /// How many are too many.
        limit: u32,
    },
}

/// One change. A change that finds everything as it wants it changes nothing and leaves no trace.
///
/// Serialised it is what its trace keeps, secrets apart, so that the traces replay to the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", content = "value", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a backend must apply every one")]
pub enum MetadataChange {
    /// The account is this.
    PutAccount(Account),
    /// The user is this.
    PutUser(User),
    /// The user is gone, and with it its keys and its grants. What it created stays.
    RemoveUser(UserId),
    /// The user has this access key.
    PutAccessKey(AccessKey),
    /// The access key is gone, and the temporary keys that were issued with it.
    RemoveAccessKey(KeyId),
    /// The user has this temporary key.
    PutTemporaryKey(TemporaryKey),
    /// Tokens are signed or verified with this key. Its trace has its id alone.
    PutTokenKey(TokenKey),
    /// Tokens are no longer verified with the key.
    RemoveTokenKey(KeyId),
    /// There is this organisation, made by the user, whose account owns it.
    CreateOrganisation {
        /// Its name.
        name: OrganisationName,
        /// The account that owns it.
        account: AccountId,
        /// Who creates it.
        creator: UserId,
    },
    /// The organisation is gone, and the grants on it.
    RemoveOrganisation(OrganisationName),
    /// There is this repository, listed. The event is that of
    /// [`Change::CreateRepository`](crate::commit::Change::CreateRepository).
    CreateRepository {
        /// Its name.
        name: RepositoryName,
        /// What is said of it.
        attributes: Attributes,
    },
    /// This is said of the repository.
    SetAttributes {
        /// Its name.
        name: RepositoryName,
        /// What is said of it.
        attributes: Attributes,
    },
    /// The user has this grant.
    PutGrant(Grant),
    /// The user has no grant on it.
    RemoveGrant {
        /// What the grant was on.
        scope: GrantScope,
        /// The user.
        user: UserId,
    },
    /// The repository is shared so. The creator and the creation time of a share that there is stay.
    PutShare(Share),
    /// The repository is not shared with the account.
    RemoveShare {
        /// The repository.
        repository: RepositoryName,
        /// The account.
        account: AccountId,
    },
}

impl MetadataChange {
    /// Whether what somebody may do can be another thing afterwards: such a change moves the store's
    /// [`RightsVersion`]. New keys add a way in and take nothing away.
    pub fn moves_rights(&self) -> bool {
        match self {
            Self::PutUser(_)
            | Self::RemoveUser(_)
            | Self::RemoveAccessKey(_)
            | Self::RemoveTokenKey(_)
            | Self::CreateOrganisation { .. }
            | Self::RemoveOrganisation(_)
            | Self::SetAttributes { .. }
            | Self::PutGrant(_)
            | Self::RemoveGrant { .. }
            | Self::PutShare(_)
            | Self::RemoveShare { .. } => true,
            Self::PutAccount(_)
            | Self::PutAccessKey(_)
            | Self::PutTemporaryKey(_)
            | Self::PutTokenKey(_)
            | Self::CreateRepository { .. } => false,
        }
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends say it")]
pub enum Effect {
    /// There is something that was not there.
    Created,
    /// Something that was there is another.
    Changed,
    /// Something that was there is gone.
    Removed,
    /// Everything was as wanted.
    Nothing,
}

/// What a commit has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct MetadataReceipt {
    /// What each change came to, in order.
    pub effects: Vec<Effect>,
    /// What was recorded in the log of events, in order.
    pub events: Vec<RecordedEvent>,
}

/// Why a commit changed nothing.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the engine must answer for every one")]
pub enum MetadataCommitError {
    /// These requirements do not hold: every one that failed, in the order of the commit.
    #[error("the state is not what the change requires")]
    Unmet(Vec<MetadataRequire>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
