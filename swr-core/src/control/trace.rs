//! The audit trail: what every operation leaves behind, and the questions that are asked of it.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{OrganisationName, RepositoryName, TriggerName};

use super::change::{Effect, MetadataChange};
use super::grant::GrantScope;
use super::identity::{AccountId, AccountName, ProjectId, UserId, UserName};
use super::organisation::organisation_of;
use super::sync::SyncTarget;
use super::uuid_text::uuid_text;
use crate::caller::{Channel, Origin};
use crate::event::Event;

/// An operation that leaves a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    CreateAccount,
    UpdateAccount,
    CreateUser,
    UpdateUser,
    DeleteUser,
    CreateAccessKey,
    UpdateAccessKey,
    DeleteAccessKey,
    CreateTokenKey,
    UpdateTokenKey,
    DeleteTokenKey,
    CreateDockerConfig,
    CreateUserNamespace,
    DeleteUserNamespace,
    CreateUserNamespaceAuth,
    UpdateUserNamespaceAuth,
    DeleteUserNamespaceAuth,
    CreateImageRepository,
    UpdateImageRepository,
    DeleteImageRepository,
    CreateUserRepositoryAuth,
    UpdateUserRepositoryAuth,
    DeleteUserRepositoryAuth,
    CreateVersion,
    UpdateVersion,
    DeleteVersion,
    DeleteImageTag,
    UploadImagePackage,
    CreateImageRepositoryAccessDomain,
    UpdateImageRepositoryAccessDomain,
    DeleteImageRepositoryAccessDomain,
    CreateTrigger,
    UpdateTrigger,
    DeleteTrigger,
    CreateRetention,
    UpdateRetention,
    DeleteRetention,
    CreateImageSync,
    UpdateImageSync,
    DeleteImageSync,
    SyncImage,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 41] = [
        Self::CreateAccount,
        Self::UpdateAccount,
        Self::CreateUser,
        Self::UpdateUser,
        Self::DeleteUser,
        Self::CreateAccessKey,
        Self::UpdateAccessKey,
        Self::DeleteAccessKey,
        Self::CreateTokenKey,
        Self::UpdateTokenKey,
        Self::DeleteTokenKey,
        Self::CreateDockerConfig,
        Self::CreateUserNamespace,
        Self::DeleteUserNamespace,
        Self::CreateUserNamespaceAuth,
        Self::UpdateUserNamespaceAuth,
        Self::DeleteUserNamespaceAuth,
        Self::CreateImageRepository,
        Self::UpdateImageRepository,
        Self::DeleteImageRepository,
        Self::CreateUserRepositoryAuth,
        Self::UpdateUserRepositoryAuth,
        Self::DeleteUserRepositoryAuth,
        Self::CreateVersion,
        Self::UpdateVersion,
        Self::DeleteVersion,
        Self::DeleteImageTag,
        Self::UploadImagePackage,
        Self::CreateImageRepositoryAccessDomain,
        Self::UpdateImageRepositoryAccessDomain,
        Self::DeleteImageRepositoryAccessDomain,
        Self::CreateTrigger,
        Self::UpdateTrigger,
        Self::DeleteTrigger,
        Self::CreateRetention,
        Self::UpdateRetention,
        Self::DeleteRetention,
        Self::CreateImageSync,
        Self::UpdateImageSync,
        Self::DeleteImageSync,
        Self::SyncImage,
    ];

    /// The name of its traces.
    pub const fn trace_name(self) -> &'static str {
        match self {
            Self::CreateAccount => "createAccount",
            Self::UpdateAccount => "updateAccount",
            Self::CreateUser => "createUser",
            Self::UpdateUser => "updateUser",
            Self::DeleteUser => "deleteUser",
            Self::CreateAccessKey => "createAccessKey",
            Self::UpdateAccessKey => "updateAccessKey",
            Self::DeleteAccessKey => "deleteAccessKey",
            Self::CreateTokenKey => "createTokenKey",
            Self::UpdateTokenKey => "updateTokenKey",
            Self::DeleteTokenKey => "deleteTokenKey",
            Self::CreateDockerConfig => "createDockerConfig",
            Self::CreateUserNamespace => "createUserNamespace",
            Self::DeleteUserNamespace => "deleteUserNamespace",
            Self::CreateUserNamespaceAuth => "createUserNamespaceAuth",
            Self::UpdateUserNamespaceAuth => "updateUserNamespaceAuth",
            Self::DeleteUserNamespaceAuth => "deleteUserNamespaceAuth",
            Self::CreateImageRepository => "createImageRepository",
            Self::UpdateImageRepository => "updateImageRepository",
            Self::DeleteImageRepository => "deleteImageRepository",
            Self::CreateUserRepositoryAuth => "createUserRepositoryAuth",
            Self::UpdateUserRepositoryAuth => "updateUserRepositoryAuth",
            Self::DeleteUserRepositoryAuth => "deleteUserRepositoryAuth",
            Self::CreateVersion => "createVersion",
            Self::UpdateVersion => "updateVersion",
            Self::DeleteVersion => "deleteVersion",
            Self::DeleteImageTag => "deleteImageTag",
            Self::UploadImagePackage => "uploadImagePackage",
            Self::CreateImageRepositoryAccessDomain => "createImageRepositoryAccessDomain",
            Self::UpdateImageRepositoryAccessDomain => "updateImageRepositoryAccessDomain",
            Self::DeleteImageRepositoryAccessDomain => "deleteImageRepositoryAccessDomain",
            Self::CreateTrigger => "createTrigger",
            Self::UpdateTrigger => "updateTrigger",
            Self::DeleteTrigger => "deleteTrigger",
            Self::CreateRetention => "createRetention",
            Self::UpdateRetention => "updateRetention",
            Self::DeleteRetention => "deleteRetention",
            Self::CreateImageSync => "createImageSync",
            Self::UpdateImageSync => "updateImageSync",
            Self::DeleteImageSync => "deleteImageSync",
            Self::SyncImage => "syncImage",
        }
    }

    /// The operation whose traces have this name, the guide's misprint `deleteUserNamesapce` included.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "deleteUserNamesapce" {
            return Some(Self::DeleteUserNamespace);
        }
        Self::ALL.into_iter().find(|operation| operation.trace_name() == text)
    }

    /// The type of the resource that its traces name.
    pub const fn resource_type(self) -> &'static str {
        match self {
            Self::CreateAccount | Self::UpdateAccount => "account",
            Self::CreateUser | Self::UpdateUser | Self::DeleteUser => "user",
            Self::CreateAccessKey | Self::UpdateAccessKey | Self::DeleteAccessKey => "accesskey",
            Self::CreateTokenKey | Self::UpdateTokenKey | Self::DeleteTokenKey => "tokenkey",
            Self::CreateDockerConfig => "dockerlogincmd",
            Self::CreateUserNamespace | Self::DeleteUserNamespace => "usernamespace",
            Self::CreateUserNamespaceAuth | Self::UpdateUserNamespaceAuth | Self::DeleteUserNamespaceAuth => {
                "usernamespaceauth"
            }
            Self::CreateImageRepository | Self::UpdateImageRepository | Self::DeleteImageRepository => {
                "imagerepository"
            }
            Self::CreateUserRepositoryAuth
            | Self::UpdateUserRepositoryAuth
            | Self::DeleteUserRepositoryAuth => "userrepositoryauth",
            Self::CreateVersion | Self::UpdateVersion | Self::DeleteVersion => "version",
            Self::DeleteImageTag => "imagetag",
            Self::UploadImagePackage => "image",
            Self::CreateImageRepositoryAccessDomain
            | Self::UpdateImageRepositoryAccessDomain
            | Self::DeleteImageRepositoryAccessDomain => "imagerepositoryaccessdomain",
            Self::CreateTrigger | Self::UpdateTrigger | Self::DeleteTrigger => "trigger",
            Self::CreateRetention | Self::UpdateRetention | Self::DeleteRetention => "retention",
            Self::CreateImageSync | Self::UpdateImageSync | Self::DeleteImageSync | Self::SyncImage => {
                "imagesync"
            }
        }
    }

    /// The status that the management protocol answers it with when it is done; for what the distribution
    /// protocol does, that protocol's.
    pub const fn success_code(self) -> u16 {
        match self {
            Self::CreateDockerConfig
            | Self::CreateUserNamespaceAuth
            | Self::CreateImageRepository
            | Self::DeleteRetention
            | Self::CreateImageSync
            | Self::UpdateImageSync
            | Self::DeleteImageSync
            | Self::SyncImage => 200,
            Self::DeleteVersion | Self::DeleteImageTag => 202,
            Self::UpdateUser
            | Self::DeleteUser
            | Self::DeleteAccessKey
            | Self::DeleteTokenKey
            | Self::DeleteUserNamespace
            | Self::DeleteUserNamespaceAuth
            | Self::DeleteImageRepository
            | Self::DeleteUserRepositoryAuth
            | Self::DeleteImageRepositoryAccessDomain
            | Self::DeleteTrigger => 204,
            _ => 201,
        }
    }
}

/// What a trace is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Traced {
    /// The operation.
    pub operation: Operation,
    /// The resource's id: what tells it from others of its type for ever. Empty where it has none.
    pub resource_id: Box<str>,
    /// The resource's name: what people call it.
    pub resource_name: Box<str>,
    /// The organisation that it happened in, if in one: whose account sees the trace when no user acted.
    pub organisation: Option<OrganisationName>,
    /// What changed, as JSON without secrets: a [`MetadataChange`] or an [`Event`].
    pub change: Box<str>,
}

impl Traced {
    /// What a change to the metadata leaves; `None` when it changed nothing.
    /// The one place where such a change becomes a trace, so that every store tells the same story.
    pub fn of_change(change: &MetadataChange, effect: Effect) -> Option<Self> {
        use Effect::{Changed, Created, Nothing, Removed};
        use MetadataChange as C;
        let either = |created, changed| match effect {
            Created => Some(created),
            Changed => Some(changed),
            Removed | Nothing => None,
        };
        let only = |operation| (effect != Nothing).then_some(operation);
        let (operation, id, name, organisation): (_, String, String, Option<OrganisationName>) = match change
        {
            C::PutAccount(account) => (
                either(Operation::CreateAccount, Operation::UpdateAccount)?,
                account.id.to_string(),
                account.name.to_string(),
                None,
            ),
            C::PutUser(user) => (
                either(Operation::CreateUser, Operation::UpdateUser)?,
                user.id.to_string(),
                user.name.to_string(),
                None,
            ),
            C::RemoveUser(user) => (only(Operation::DeleteUser)?, user.to_string(), user.to_string(), None),
            C::PutAccessKey(key) => (
                either(Operation::CreateAccessKey, Operation::UpdateAccessKey)?,
                key.id.to_string(),
                key.id.to_string(),
                None,
            ),
            C::RemoveAccessKey(key) => {
                (only(Operation::DeleteAccessKey)?, key.to_string(), key.to_string(), None)
            }
            C::PutTemporaryKey(key) => {
                (only(Operation::CreateDockerConfig)?, key.id.to_string(), key.id.to_string(), None)
            }
            C::PutTokenKey(key) => (
                either(Operation::CreateTokenKey, Operation::UpdateTokenKey)?,
                key.id.to_string(),
                key.id.to_string(),
                None,
            ),
            C::RemoveTokenKey(key) => {
                (only(Operation::DeleteTokenKey)?, key.to_string(), key.to_string(), None)
            }
            C::CreateOrganisation { name, .. } => (
                only(Operation::CreateUserNamespace)?,
                name.to_string(),
                name.to_string(),
                Some(name.clone()),
            ),
            C::RemoveOrganisation(name) => (
                only(Operation::DeleteUserNamespace)?,
                name.to_string(),
                name.to_string(),
                Some(name.clone()),
            ),
            C::CreateRepository { name, .. } => (
                only(Operation::CreateImageRepository)?,
                name.to_string(),
                name.to_string(),
                organisation_of(name),
            ),
            C::SetAttributes { name, .. } => (
                only(Operation::UpdateImageRepository)?,
                name.to_string(),
                name.to_string(),
                organisation_of(name),
            ),
            C::PutGrant(grant) => {
                let (create, update) = match &grant.scope {
                    GrantScope::Organisation(_) => {
                        (Operation::CreateUserNamespaceAuth, Operation::UpdateUserNamespaceAuth)
                    }
                    GrantScope::Repository(_) => {
                        (Operation::CreateUserRepositoryAuth, Operation::UpdateUserRepositoryAuth)
                    }
                };
                let (name, organisation) = of_scope(&grant.scope);
                (either(create, update)?, grant.user.to_string(), name, organisation)
            }
            C::RemoveGrant { scope, user } => {
                let remove = match scope {
                    GrantScope::Organisation(_) => Operation::DeleteUserNamespaceAuth,
                    GrantScope::Repository(_) => Operation::DeleteUserRepositoryAuth,
                };
                let (name, organisation) = of_scope(scope);
                (only(remove)?, user.to_string(), name, organisation)
            }
            C::PutShare(share) => (
                either(
                    Operation::CreateImageRepositoryAccessDomain,
                    Operation::UpdateImageRepositoryAccessDomain,
                )?,
                share.account.to_string(),
                share.repository.to_string(),
                organisation_of(&share.repository),
            ),
            C::PutSync(sync) => of_sync(
                either(Operation::CreateImageSync, Operation::UpdateImageSync)?,
                &sync.repository,
                &sync.target,
            ),
            C::RemoveSync { repository, target } => {
                of_sync(only(Operation::DeleteImageSync)?, repository, target)
            }
            C::AddSyncJob(job) => of_sync(only(Operation::SyncImage)?, &job.repository, &job.target),
            C::PutRule { repository, .. } => (
                either(Operation::CreateRetention, Operation::UpdateRetention)?,
                repository.to_string(),
                repository.to_string(),
                organisation_of(repository),
            ),
            C::RemoveRule(repository) => (
                only(Operation::DeleteRetention)?,
                repository.to_string(),
                repository.to_string(),
                organisation_of(repository),
            ),
            C::CreateTrigger(trigger) => {
                of_trigger(only(Operation::CreateTrigger)?, &trigger.repository, &trigger.name)
            }
            C::EnableTrigger { repository, name, .. } => {
                of_trigger(only(Operation::UpdateTrigger)?, repository, name)
            }
            C::RemoveTrigger { repository, name } => {
                of_trigger(only(Operation::DeleteTrigger)?, repository, name)
            }
            C::RemoveShare { repository, account } => (
                only(Operation::DeleteImageRepositoryAccessDomain)?,
                account.to_string(),
                repository.to_string(),
                organisation_of(repository),
            ),
        };
        Some(Self {
            operation,
            resource_id: id.into(),
            resource_name: name.into(),
            organisation,
            change: json(change),
        })
    }

    /// What an event leaves; `None` for those that are no operation of anybody: blobs that come and go, manifests
    /// without a tag, and what collection removes.
    pub fn of_event(repository: &RepositoryName, event: &Event) -> Option<Self> {
        let version = |operation, reference: &dyn fmt::Display, separator: char| {
            let name = format!("{repository}{separator}{reference}");
            (operation, name.clone(), name)
        };
        let (operation, id, name) = match event {
            Event::RepositoryCreated => {
                (Operation::CreateImageRepository, repository.to_string(), repository.to_string())
            }
            Event::RepositoryRemoved => {
                (Operation::DeleteImageRepository, repository.to_string(), repository.to_string())
            }
            Event::TagSet { tag, previous: None, .. } => version(Operation::CreateVersion, tag, ':'),
            Event::TagSet { tag, previous: Some(_), .. } => version(Operation::UpdateVersion, tag, ':'),
            Event::TagRemoved { tag, .. } => version(Operation::DeleteImageTag, tag, ':'),
            Event::ManifestRemoved { digest, .. } => version(Operation::DeleteVersion, digest, '@'),
            Event::BlobLinked { .. } | Event::BlobUnlinked { .. } | Event::ManifestPushed { .. } => {
                return None;
            }
        };
        Some(Self {
            operation,
            resource_id: id.into(),
            resource_name: name.into(),
            organisation: organisation_of(repository),
            change: json(event),
        })
    }
}

fn of_sync(
    operation: Operation,
    repository: &RepositoryName,
    target: &SyncTarget,
) -> (Operation, String, String, Option<OrganisationName>) {
    let id = format!("{repository}/{}/{}", target.region, target.organisation);
    (operation, id, repository.to_string(), organisation_of(repository))
}

fn of_trigger(
    operation: Operation,
    repository: &RepositoryName,
    name: &TriggerName,
) -> (Operation, String, String, Option<OrganisationName>) {
    (operation, format!("{repository}/{name}"), name.to_string(), organisation_of(repository))
}

fn of_scope(scope: &GrantScope) -> (String, Option<OrganisationName>) {
    match scope {
        GrantScope::Organisation(name) => (name.to_string(), Some(name.clone())),
        GrantScope::Repository(name) => (name.to_string(), organisation_of(name)),
    }
}

/// Plain values serialise.
fn json(value: &impl Serialize) -> Box<str> {
    serde_json::to_string(value).unwrap_or_default().into()
}

/// A trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Trace {
    /// Its place in the trail: greater for what was recorded later.
    pub seq: u64,
    /// Its id, a UUID.
    pub id: TraceId,
    /// What it is about.
    pub traced: Traced,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose trail it is in.
    pub account: AccountId,
    /// That account's name at that time.
    pub account_name: AccountName,
    /// That account's region project.
    pub project: ProjectId,
    /// Who acted, under the name of that time; `None` when it was no user.
    pub user: Option<(UserId, UserName)>,
    /// Where it came from.
    pub origin: Origin,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Outcome {
    /// The status that it was answered with.
    pub code: u16,
    /// Why it was refused; empty when it was done.
    pub reason: Box<str>,
}

impl Outcome {
    /// It was done.
    pub fn done(operation: Operation) -> Self {
        Self { code: operation.success_code(), reason: "".into() }
    }

    /// How much it deserves to be looked at.
    pub fn rating(&self) -> TraceRating {
        match self.code {
            0..=399 => TraceRating::Normal,
            400..=499 => TraceRating::Warning,
            _ => TraceRating::Incident,
        }
    }
}

/// How much a trace deserves to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the trail knows these three")]
pub enum TraceRating {
    /// It was done.
    Normal,
    /// It was refused.
    Warning,
    /// The registry failed.
    Incident,
}

impl TraceRating {
    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Incident => "incident",
        }
    }

    /// The rating of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Normal, Self::Warning, Self::Incident].into_iter().find(|rating| rating.as_str() == text)
    }
}

uuid_text! {
    /// The id of a trace: a UUID in lowercase with dashes.
    TraceId
}

/// An operation of a signed-in caller of which no change tells, and the trail is told by itself: one that was refused,
/// or the upload of a package, done or refused, whose versions leave traces of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever answers builds it")]
pub struct TracedOperation {
    /// What was asked for.
    pub traced: Traced,
    /// How it was answered.
    pub outcome: Outcome,
    /// Who asked.
    pub user: UserId,
    /// Where it came from.
    pub origin: Origin,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which traces are wanted: those that fit everything that is given, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct TraceQuery {
    /// Whose trail.
    pub account: AccountId,
    /// Only this one.
    pub id: Option<TraceId>,
    /// Only what this user did.
    pub user: Option<UserId>,
    /// Only what a user of this name did.
    pub user_name: Option<Box<str>>,
    /// Only this operation.
    pub operation: Option<Operation>,
    /// Only resources of this type.
    pub resource_type: Option<Box<str>>,
    /// Only the resource of exactly this id.
    pub resource_id: Option<Box<str>>,
    /// Only resources of exactly this name.
    pub resource_name: Option<Box<str>>,
    /// Only traces of this rating.
    pub rating: Option<TraceRating>,
    /// Only what came in this way.
    pub channel: Option<Channel>,
    /// Only what happened after this time.
    pub after: Option<DateTime<Utc>>,
    /// Only what happened at this time or before.
    pub until: Option<DateTime<Utc>>,
    /// Only what was recorded before this trace.
    pub before: Option<TraceId>,
    /// How many at most.
    pub limit: NonZeroU32,
}

impl TraceQuery {
    /// All traces of an account, as many as `limit`.
    pub fn of(account: AccountId, limit: NonZeroU32) -> Self {
        Self {
            account,
            id: None,
            user: None,
            user_name: None,
            operation: None,
            resource_type: None,
            resource_id: None,
            resource_name: None,
            rating: None,
            channel: None,
            after: None,
            until: None,
            before: None,
            limit,
        }
    }
}
