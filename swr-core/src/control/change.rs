//! One change to who there is and what they may do, as a value.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{AgingRule, OrganisationName, RepositoryName, TriggerName};

use super::credential::{AccessKey, KeyId, TemporaryKey, TokenKey};
use super::grant::{Grant, GrantScope};
use super::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use super::repository::Attributes;
use super::rule::RuleId;
use super::share::Share;
use super::sync::{SyncJob, SyncRule, SyncTarget};
use super::trigger::Trigger;
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
    /// There is the user.
    UserExists(UserId),
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
    /// The repository is kept in step with the target.
    SyncExists {
        /// The repository.
        repository: RepositoryName,
        /// The target.
        target: SyncTarget,
    },
    /// The repository has no aging rule.
    RuleFree(RepositoryName),
    /// The repository has this aging rule.
    RuleIs {
        /// The repository.
        repository: RepositoryName,
        /// The rule.
        id: RuleId,
    },
    /// The repository has no trigger of the name.
    TriggerFree {
        /// The repository.
        repository: RepositoryName,
        /// The name.
        name: TriggerName,
    },
    /// The repository has a trigger of the name.
    TriggerExists {
        /// The repository.
        repository: RepositoryName,
        /// The name.
        name: TriggerName,
    },
    /// The repository has fewer triggers than this.
    TriggersFewerThan {
        /// The repository.
        repository: RepositoryName,
        /// How many are too many.
        limit: u32,
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
/// What it [needs](Self::needs) must be there, and a name or an id that another one has stays that one's: a change
/// that would take it is refused with [`MetadataRequire::AccountNameFree`], [`MetadataRequire::UserNameFree`],
/// [`MetadataRequire::KeyFree`], [`MetadataRequire::OrganisationFree`] or [`MetadataRequire::TriggerFree`] of it.
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
    /// Its identity, its creator's name and its time are the store's to say.
    CreateOrganisation {
        /// Its name.
        name: OrganisationName,
        /// The account that owns it.
        account: AccountId,
        /// Who creates it.
        creator: UserId,
    },
    /// The organisation is gone, and the grants on it. Repositories of its name stay, in no organisation.
    RemoveOrganisation(OrganisationName),
    /// There is this repository, listed. The event is that of
    /// [`Change::CreateRepository`](crate::commit::Change::CreateRepository). One that there is stays as it is.
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
    /// The user has this grant. One of the same level stays as it is.
    PutGrant(Grant),
    /// The user has no grant on it.
    RemoveGrant {
        /// What the grant was on.
        scope: GrantScope,
        /// The user.
        user: UserId,
    },
    /// The repository is shared so. The creator and the creation time of a share that there is stay, and one with the
    /// same deadline and description stays as it is.
    PutShare(Share),
    /// The repository is kept in step so. The identity and the creation time of a rule that there is stay, and one that
    /// asks for the same stays as it is.
    PutSync(SyncRule),
    /// The repository is not kept in step with the target.
    RemoveSync {
        /// The repository.
        repository: RepositoryName,
        /// The target.
        target: SyncTarget,
    },
    /// A version was asked to go, perhaps once more.
    AddSyncJob(SyncJob),
    /// The repository has this aging rule, due at once. A rule that it has keeps its identity, and the same rule stays
    /// due when it was.
    PutRule {
        /// The repository.
        repository: RepositoryName,
        /// The rule.
        rule: AgingRule,
    },
    /// The repository has no aging rule.
    RemoveRule(RepositoryName),
    /// The repository has this trigger. The same one stays as it is.
    CreateTrigger(Trigger),
    /// The trigger fires, or does not. One that fires again does so for versions from then on.
    EnableTrigger {
        /// The repository.
        repository: RepositoryName,
        /// The trigger.
        name: TriggerName,
        /// Whether it fires.
        enabled: bool,
    },
    /// The repository has no such trigger; its deliveries go with it.
    RemoveTrigger {
        /// The repository.
        repository: RepositoryName,
        /// The trigger.
        name: TriggerName,
    },
    /// The repository is not shared with the account.
    RemoveShare {
        /// The repository.
        repository: RepositoryName,
        /// The account.
        account: AccountId,
    },
}

impl MetadataChange {
    /// What has to be true just before the change, which is about nothing otherwise: a store refuses the whole commit
    /// with those of them that do not hold.
    pub fn needs(&self) -> Vec<MetadataRequire> {
        use MetadataRequire as R;
        match self {
            Self::PutUser(user) => vec![R::AccountExists(user.account.clone())],
            Self::PutAccessKey(key) => vec![R::UserExists(key.user.clone())],
            Self::PutTemporaryKey(key) => {
                let user = R::UserExists(key.user.clone());
                let with = key.issued_with.clone();
                let with = with.map(|with| R::AccessKeyOf { key: with, user: key.user.clone() });
                [user].into_iter().chain(with).collect()
            }
            Self::CreateOrganisation { account, creator, .. } => {
                vec![R::UserOf { user: creator.clone(), account: account.clone() }]
            }
            Self::SetAttributes { name, .. } => vec![R::RepositoryExists(name.clone())],
            Self::PutGrant(grant) => {
                let scope = match &grant.scope {
                    GrantScope::Organisation(name) => R::OrganisationExists(name.clone()),
                    GrantScope::Repository(name) => R::RepositoryExists(name.clone()),
                };
                vec![scope, R::UserExists(grant.user.clone())]
            }
            Self::PutShare(share) => {
                vec![R::RepositoryExists(share.repository.clone()), R::AccountExists(share.account.clone())]
            }
            Self::PutSync(SyncRule { repository, .. })
            | Self::AddSyncJob(SyncJob { repository, .. })
            | Self::PutRule { repository, .. }
            | Self::CreateTrigger(Trigger { repository, .. }) => {
                vec![R::RepositoryExists(repository.clone())]
            }
            Self::EnableTrigger { repository, name, .. } => {
                vec![R::TriggerExists { repository: repository.clone(), name: name.clone() }]
            }
            Self::PutAccount(_)
            | Self::RemoveUser(_)
            | Self::RemoveAccessKey(_)
            | Self::PutTokenKey(_)
            | Self::RemoveTokenKey(_)
            | Self::RemoveOrganisation(_)
            | Self::CreateRepository { .. }
            | Self::RemoveGrant { .. }
            | Self::RemoveSync { .. }
            | Self::RemoveRule(_)
            | Self::RemoveTrigger { .. }
            | Self::RemoveShare { .. } => Vec::new(),
        }
    }

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
            | Self::CreateRepository { .. }
            | Self::PutSync(_)
            | Self::RemoveSync { .. }
            | Self::AddSyncJob(_)
            | Self::PutRule { .. }
            | Self::RemoveRule(_)
            | Self::CreateTrigger(_)
            | Self::EnableTrigger { .. }
            | Self::RemoveTrigger { .. } => false,
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
    /// These requirements do not hold: every one of the commit that failed, in its order; or those that its first
    /// change that cannot be needs.
    #[error("the state is not what the change requires")]
    Unmet(Vec<MetadataRequire>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
