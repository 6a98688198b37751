//! Who there is, what they may do, and what they have done.

use std::num::NonZeroU32;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use swr_policy::{OrganisationName, RepositoryName, Tag, VersionFacts};

use crate::control::change::{MetadataCommit, MetadataCommitError, MetadataReceipt};
use crate::control::credential::{AccessKey, KeyHolder, KeyId, Sealed, TokenKey};
use crate::control::grant::{GrantScope, Granted};
use crate::control::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use crate::control::organisation::{ListedOrganisation, Organisation};
use crate::control::repository::{Category, RepositoryDetails, Version, Visibility};
use crate::control::rule::{Cleared, RepositoryRule, RuleId};
use crate::control::session::{Session, SessionHolder, SessionId};
use crate::control::share::ListedShare;
use crate::control::standing::Standing;
use crate::control::sync::{SyncJob, SyncRule};
use crate::control::trace::{Trace, TraceQuery, TracedOperation};
use crate::control::trigger::{Delivery, DeliveryId, DeliveryState, Trigger, TriggerId};
use crate::digest::Digest;
use crate::event::EventSeq;
use crate::ports::{Candidates, Fence, ManifestStore, Page, StoreError};

/// Accounts, users, keys, organisations, repository attributes, grants, shares and the audit trail (feature
/// `control`). The same object and the same database as the manifests, so that one commit can span both.
///
/// Everything that hangs on a repository hangs on its identity: a name that is deleted and made again inherits
/// nothing. A repository is in the organisation that its name
/// [begins with](crate::control::organisation::organisation_of), if there is one; one in no organisation has no
/// details, and is in no list.
///
/// A store that keeps metadata leaves the traces of [`ManifestStore::commit`] too, of each event that
/// [`Traced::of_event`](crate::control::trace::Traced::of_event) makes one of, in the same step: for a caller that
/// is a user here, in the trail of the user's account; for [`Task::Aging`](crate::caller::Task::Aging), in that of
/// the account that owns the organisation; for any other actor, and where there is none, no trace. It checks
/// [`Grounds::rights`](crate::commit::Grounds), and gives a repository that a push makes its creator. Removing a
/// listed repository takes the grants on it, and its shares, and moves the count of rights.
#[async_trait]
pub trait MetadataStore: ManifestStore {
    // Decisions.

    /// A number that grows with every change to what decisions rest on, before the change is acknowledged: what
    /// [`Self::standing`], [`Self::key_holder`] and [`Self::token_key`] answered still holds where the number before
    /// the question is the one now. It may grow with other changes as well. `None` where it cannot be told at once,
    /// as where others write to the same database: then nothing may be remembered, which is what a store says unless
    /// it knows better.
    fn decided_on(&self) -> Option<u64> {
        None
    }

    /// Everything that a decision about the user weighs, as of one instant: the hot path. `user` is `None` for a
    /// stranger; one that is gone has no standing as a user. Hidden repositories are absent.
    async fn standing(
        &self,
        user: Option<&UserId>,
        organisation: &OrganisationName,
        repository: Option<&RepositoryName>,
    ) -> Result<Standing, StoreError>;

    /// Which of the candidates the user may pull at `now`, in the candidates' order: what is public, what
    /// [`Standing::level_in_repository`] has a level for, and what is shared with the user's account.
    /// `strangers` says whether a stranger may pull what is public; a user that is gone is one.
    /// [`Candidates::All`] is a page of what the user may pull; the others of [`Candidates::HoldersOf`] are left out
    /// of those that [`ManifestStore::holders`] answers.
    async fn readable(
        &self,
        user: Option<&UserId>,
        strangers: bool,
        of: Candidates<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RepositoryName>, StoreError>;

    // Who there is.

    /// Who stands behind the key; `None` when there is no such key. Whether a temporary one has expired is for
    /// whoever asks to say.
    async fn key_holder(&self, key: &KeyId) -> Result<Option<KeyHolder>, StoreError>;

    /// The account.
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError>;

    /// The account of this name.
    async fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError>;

    /// Accounts in the order of their names.
    async fn accounts(&self, page: &Page<AccountName>) -> Result<Vec<Account>, StoreError>;

    /// The user.
    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// The user of this name in the account.
    async fn user_named(&self, account: &AccountId, name: &UserName) -> Result<Option<User>, StoreError>;

    /// Users of the account in the order of their names.
    async fn users(&self, account: &AccountId, page: &Page<UserName>) -> Result<Vec<User>, StoreError>;

    /// The user's access keys, oldest first; of one time in the order of their ids.
    async fn access_keys(&self, user: &UserId) -> Result<Vec<AccessKey>, StoreError>;

    /// Every access key with its sealed secret, in the order of their ids: for whoever seals them anew.
    async fn all_access_keys(&self, page: &Page<KeyId>) -> Result<Vec<AccessKey>, StoreError>;

    /// The key of tokens with this id.
    async fn token_key(&self, id: &KeyId) -> Result<Option<TokenKey>, StoreError>;

    /// The keys of tokens, oldest first; of one time in the order of their ids.
    async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError>;

    // What there is.

    /// The organisation of this name.
    async fn organisation(&self, name: &OrganisationName) -> Result<Option<Organisation>, StoreError>;

    /// Organisations that the viewer has a level in, in the order of their names; with `partly` also those where
    /// only some of the repositories were granted to it.
    async fn organisations(
        &self,
        viewer: &Viewer,
        partly: bool,
    ) -> Result<Vec<ListedOrganisation>, StoreError>;

    /// How many organisations the user created, of those that there are.
    async fn organisations_by(&self, user: &UserId) -> Result<u64, StoreError>;

    /// How many repositories are listed in the organisation, or would be if there were one of the name.
    async fn repositories_in(&self, name: &OrganisationName) -> Result<u64, StoreError>;

    /// The grants on the organisation or the repository, in the order of their users' names. `None` when there
    /// is no such organisation or listed repository.
    async fn grants(&self, scope: &GrantScope) -> Result<Option<Vec<Granted>>, StoreError>;

    /// The listed repository of this name.
    async fn repository_details(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryDetails>, StoreError>;

    /// Repositories that fit the query.
    async fn repository_list(
        &self,
        query: &RepositoryQuery,
    ) -> Result<Listing<RepositoryDetails>, StoreError>;

    /// Versions of the repository that fit the query; `None` when there is no such listed repository.
    async fn versions(
        &self,
        repository: &RepositoryName,
        query: &VersionQuery,
    ) -> Result<Option<Listing<Version>>, StoreError>;

    /// The accounts that the repository is shared with, in the order of their names. `None` when there is no such
    /// listed repository.
    async fn shares(
        &self,
        repository: &RepositoryName,
        page: &Page<AccountName>,
    ) -> Result<Option<Vec<ListedShare>>, StoreError>;

    /// The share of the repository with the account.
    async fn share(
        &self,
        repository: &RepositoryName,
        account: &AccountId,
    ) -> Result<Option<ListedShare>, StoreError>;

    /// What the account has.
    async fn overview(&self, account: &AccountId) -> Result<Overview, StoreError>;

    /// What the account used on each day from `from` to `until`, both included, in their order. Days on which
    /// nothing was noted are left out. The bytes pulled are noted with
    /// [`observe_pulls`](ManifestStore::observe_pulls): for each pull, on the day of the last of its count, the size
    /// of the [`Version`] that was pulled.
    async fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<DailyUsage>, StoreError>;

    /// Notes for `day` the bytes that each account's repositories hold, as [`Overview::bytes`] has them, in place of
    /// what was noted for that day before.
    async fn note_stored(&self, day: NaiveDate) -> Result<(), StoreError>;

    /// Removes what was noted of days before `before`, at most `limit` notes, the first days first. Says how many. A
    /// note is of one account, one kind and one day.
    async fn trim_usage(&self, before: NaiveDate, limit: NonZeroU32) -> Result<u64, StoreError>;

    // Changes.

    /// Applies the commit whole, or leaves everything as it was. The only way metadata changes.
    ///
    /// Requirements are checked against the state before the first change, under the same lock;
    /// [`MetadataCommitError::Unmet`] names every one that fails. What a change
    /// [needs](crate::control::change::MetadataChange::needs) is checked after those before it.
    ///
    /// Each effective change leaves the trace that
    /// [`Traced::of_change`](crate::control::trace::Traced::of_change) makes of it, in the trail of the account of
    /// the user who acts, as it was before the first change. When that is none, it is the account that owns the
    /// organisation, or that the account, the user or the key belongs to which the change is about; where there is
    /// none of these either, as for the keys of tokens, there is no trace. The event of a `CreateRepository` leaves
    /// no trace beside that of the change. If any effective change
    /// [moves rights](crate::control::change::MetadataChange::moves_rights), the count of rights becomes greater.
    async fn commit_metadata(&self, commit: MetadataCommit) -> Result<MetadataReceipt, MetadataCommitError>;

    /// Removes temporary keys that expired before `before`, at most `limit`. Says how many. Leaves no traces.
    async fn trim_temporary_keys(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError>;

    // Sessions.

    /// Begins a session. Of the user's sessions those `most` stay that were used last, this one among them; of one
    /// time the ids decide. Says whether the user is there, and has the access key that the session is begun with:
    /// else nothing is kept. Removing the user, or the key, removes the session. No session leaves a trace, or moves
    /// the count of rights.
    async fn begin_session(&self, session: &Session, most: NonZeroU32) -> Result<bool, StoreError>;

    /// The session, and who stands behind it. Whether it has lasted too long is for whoever asks to say.
    async fn session(&self, id: &SessionId) -> Result<Option<SessionHolder>, StoreError>;

    /// Notes that the session was used at `at`, or later where that was noted before. One that has ended stays so.
    async fn use_session(&self, id: &SessionId, at: DateTime<Utc>) -> Result<(), StoreError>;

    /// Ends the session. One that is not there has ended.
    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError>;

    /// Removes sessions that were begun before `begun`, and those that were used last before `used`, at most `limit`
    /// of each. Says how many.
    async fn trim_sessions(
        &self,
        begun: DateTime<Utc>,
        used: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError>;

    // Synchronisation.

    /// What was asked to be kept in step with the repository, oldest first; `None` when there is no such listed
    /// repository.
    async fn syncs(&self, repository: &RepositoryName) -> Result<Option<Vec<SyncRule>>, StoreError>;

    /// Versions of the repository that were asked to go, in the order in which they were, or backwards; `None` when
    /// there is no such listed repository.
    async fn sync_jobs(
        &self,
        repository: &RepositoryName,
        descending: bool,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<SyncJob>>, StoreError>;

    // Aging.

    /// The repository's aging rule; `None` when it has none, or there is no such listed repository.
    async fn rule(&self, repository: &RepositoryName) -> Result<Option<RepositoryRule>, StoreError>;

    /// Rules that are due at `now`, the longest due first.
    async fn due_rules(
        &self,
        now: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryRule>, StoreError>;

    /// The rule has run, and is due again at `next`; unless it was changed since `ran`, which is when it was due
    /// before. One that is gone stays gone.
    async fn rule_ran(
        &self,
        id: RuleId,
        ran: DateTime<Utc>,
        next: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError>;

    /// What a rule has to know of the versions after a tag, in the order of their tags. A version was pulled when its
    /// tag was, or its manifest by digest. What needs a version: the tags that point to its manifest's subject, or to
    /// an index that names its manifest, in their order; a subject or an index that is there without a tag is
    /// [`NeededBy::Untagged`](swr_policy::aging::NeededBy::Untagged). None is held fast, as far as a store knows.
    async fn aging_facts(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Vec<AgingFacts>, StoreError>;

    /// What rules have cleared in the repository, newest first; `None` when there is no such listed repository. A
    /// store writes it itself: [`Change::RemoveTag`](crate::commit::Change::RemoveTag) by
    /// [`Task::Aging`](crate::caller::Task::Aging) is kept as cleared by the repository's rule, if there is one, in the
    /// same step.
    async fn cleared(
        &self,
        repository: &RepositoryName,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<Cleared>>, StoreError>;

    // Triggers.

    /// The repository's triggers in the order of their names; `None` when there is no such listed repository.
    async fn triggers(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Vec<(TriggerId, Trigger)>>, StoreError>;

    /// Triggers whose messages are signed, with an id greater than `after`, in the order of their ids: for whoever
    /// seals their secrets anew.
    async fn sealed_triggers(
        &self,
        after: Option<TriggerId>,
        limit: NonZeroU32,
    ) -> Result<Vec<(TriggerId, Trigger)>, StoreError>;

    /// Keeps the secret of a trigger as `sealed`, where it is still kept as `was`. Says whether it is. Leaves no trace:
    /// the secret is the same.
    async fn reseal_trigger(&self, id: TriggerId, was: &Sealed, sealed: &Sealed) -> Result<bool, StoreError>;

    /// The deliveries of a trigger, newest first.
    async fn deliveries(&self, trigger: TriggerId, limit: NonZeroU32) -> Result<Vec<Delivery>, StoreError>;

    /// Adds deliveries, due when their versions appeared, and moves the cursor of `consumer` to `upto`, in one step.
    /// A delivery is left out when there is one of the same event and trigger, and when the trigger is gone, does not
    /// fire, or was made or enabled only after the version appeared.
    async fn fan_out(
        &self,
        deliveries: &[NewDelivery],
        consumer: &str,
        upto: EventSeq,
        fence: &Fence,
    ) -> Result<(), StoreError>;

    /// Claims deliveries until `until`: of each target none while a claim on one of its deliveries lasts, and else the
    /// oldest that is not settled, by its event and then by its trigger, when it is due at `now`. Those of triggers
    /// that are disabled by now wait, and let others pass. Where the limit leaves targets out, they come before those
    /// that were just served.
    async fn claim_deliveries(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError>;

    /// Says what a try of a claimed delivery came to; its claim ends. Nothing happens when the claim has ended so
    /// already, or is no longer the last on it.
    async fn settle_delivery(&self, claimed: &ClaimedDelivery, tried: &Tried) -> Result<(), StoreError>;

    /// Lets a delivery of the trigger that was given up be tried again at `now`. Says whether there is one.
    async fn revive_delivery(
        &self,
        trigger: TriggerId,
        id: &DeliveryId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Removes what is past, at most `limit` of each kind, and says how much that was: deliveries that were settled
    /// before `before`, the first settled first; deliveries of triggers that are gone, in the order of those and then
    /// of their events; clearings that were made before `before`, and jobs of synchronisation whose status changed
    /// last before it, the oldest first. What is gone with its trigger or its repository is seen by nobody before that
    /// either, and holds nothing up.
    async fn trim_history(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError>;

    // The trail.

    /// Traces that fit the query, newest first: by their places, whatever their times.
    async fn traces(&self, query: &TraceQuery) -> Result<Vec<Trace>, StoreError>;

    /// Traces of all accounts recorded after the one with this place, in order: for sinks. Never shows one while
    /// one with a smaller place may still appear.
    async fn traces_after(&self, seq: u64, limit: NonZeroU32) -> Result<Vec<Trace>, StoreError>;

    /// Records operations that no change of the store tells of, such as those that were refused, in one step; those of
    /// users that are gone are left out.
    async fn record_operations(&self, operations: &[TracedOperation]) -> Result<(), StoreError>;

    /// How far the consumer of traces has come: the place of the last one that it took; 0 for one that was never heard
    /// of.
    async fn trace_cursor(&self, consumer: &str) -> Result<u64, StoreError>;

    /// The consumer of traces has come to `upto`; one that is further already stays there.
    async fn advance_traces(&self, consumer: &str, upto: u64, fence: &Fence) -> Result<(), StoreError>;

    /// Removes traces of what happened before `before`, at most `limit`, the oldest first: also those that a consumer
    /// has not come to. Says how many.
    async fn trim_traces(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError>;
}

/// What a rule has to know of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct AgingFacts {
    /// What the rule itself looks at.
    pub version: VersionFacts,
    /// Where the tag points.
    pub digest: Digest,
    /// When the tag was set last.
    pub updated: DateTime<Utc>,
}

/// A delivery to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever fans out builds it")]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The trigger.
    pub trigger: TriggerId,
    /// The event that fired it.
    pub event: EventSeq,
    /// The version.
    pub tag: Tag,
    /// Where it pointed.
    pub digest: Digest,
    /// When the version appeared or changed.
    pub at: DateTime<Utc>,
}

/// A delivery in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct ClaimedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Its trigger.
    pub trigger: Trigger,
    /// Tells this claim from others on the same delivery: greater for a later one.
    pub claim: u64,
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever tries builds it")]
pub struct Tried {
    /// When.
    pub at: DateTime<Utc>,
    /// How far the delivery has come.
    pub state: DeliveryState,
    /// What the try came to, in words.
    pub detail: Box<str>,
}

/// Whoever looks at lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Viewer {
    /// The user.
    pub user: UserId,
    /// The user's account.
    pub account: AccountId,
    /// Whether it is a registry administrator of the account.
    pub administers: bool,
}

/// A part of a list, and how long the whole list is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Listing<T> {
    /// The part.
    pub entries: Vec<T>,
    /// How many entries fit in all, whatever the offset and the limit.
    pub total: u64,
}

/// Which repositories are wanted: those that fit everything that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct RepositoryQuery {
    /// For whom.
    pub viewer: Viewer,
    /// The present: shares end.
    pub now: DateTime<Utc>,
    /// Which list.
    pub list: RepositoryList,
    /// A part of the organisation's name, case and all.
    pub organisation: Option<Box<str>>,
    /// A part of what comes after the organisation in the repository's name, case and all.
    pub name: Option<Box<str>>,
    /// The name of the account that owns the organisation.
    pub account: Option<AccountName>,
    /// What kind of thing they hold.
    pub category: Option<Category>,
    /// Who may pull without a grant.
    pub visibility: Option<Visibility>,
    /// Only those with an identity greater than this: for pages in the order of identities.
    pub after_id: Option<i64>,
    /// In which order. Where it leaves two equal, the name decides.
    pub order: RepositoryOrder,
    /// Backwards, equal ones as well.
    pub descending: bool,
    /// How many to leave out at the beginning.
    pub offset: u64,
    /// How many at most.
    pub limit: NonZeroU32,
}

/// A list of repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends answer for every one")]
pub enum RepositoryList {
    /// Those of the viewer's account that it may pull from.
    Own,
    /// Those of [`Self::Own`] that are shared with any account, expired or not.
    SharedByUs,
    /// Those of other accounts that are shared with the viewer's; those whose share still lasts, or has ended,
    /// where that is given.
    SharedWithUs {
        /// Whether the share still lasts.
        valid: Option<bool>,
    },
}

/// In which order repositories are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends answer for every one")]
pub enum RepositoryOrder {
    /// In the order in which they came to be.
    Identity,
    /// In byte order, as in the catalogue.
    #[default]
    Name,
    /// The one whose last change is longest ago first.
    Updated,
    /// The one with the fewest versions first.
    Versions,
    /// By the names of the organisations.
    Organisation,
    /// Private ones first.
    Visibility,
    /// By the names of the accounts that own the organisations.
    Account,
}

/// Which versions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct VersionQuery {
    /// A part of the tag, case and all.
    pub tag: Option<Box<str>>,
    /// Exactly this tag.
    pub exactly: Option<Tag>,
    /// Only tags that come after this one in the order of tags, backwards where the order is: for pages in that
    /// order.
    pub after: Option<Tag>,
    /// In which order. Of equal times the tag decides.
    pub order: VersionOrder,
    /// Backwards, equal ones as well.
    pub descending: bool,
    /// How many to leave out at the beginning.
    pub offset: u64,
    /// How many at most.
    pub limit: NonZeroU32,
}

/// In which order versions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "backends answer for both")]
#[expect(missing_docs, reason = "the names say it")]
pub enum VersionOrder {
    #[default]
    Tag,
    Updated,
}

/// What is noted day by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "backends answer for both")]
pub enum UsageKind {
    /// Bytes that were kept.
    Stored,
    /// Bytes of versions that were pulled.
    Pulled,
}

/// What was used on one day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct DailyUsage {
    /// The day.
    pub day: NaiveDate,
    /// Bytes.
    pub bytes: u64,
}

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Overview {
    /// Organisations.
    pub organisations: u64,
    /// Repositories in them.
    pub repositories: u64,
    /// Versions in those.
    pub versions: u64,
    /// The bytes of the blobs that the repositories hold; one that several hold counts in each.
    pub bytes: u64,
    /// Pulls of manifests that were observed.
    pub pulls: u64,
}
