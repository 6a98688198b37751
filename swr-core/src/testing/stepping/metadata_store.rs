//! Who there is and what they may do, stopped or failed at whichever call.

use std::num::NonZeroU32;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use swr_policy::{OrganisationName, RepositoryName, Tag};

use super::Stepping;
use crate::control::change::{MetadataCommit, MetadataCommitError, MetadataReceipt};
use crate::control::credential::{AccessKey, KeyHolder, KeyId, Sealed, TokenKey};
use crate::control::grant::{GrantScope, Granted};
use crate::control::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use crate::control::organisation::{ListedOrganisation, Organisation};
use crate::control::repository::{RepositoryDetails, Version};
use crate::control::rule::{Cleared, RepositoryRule, RuleId};
use crate::control::session::{Session, SessionHolder, SessionId};
use crate::control::share::ListedShare;
use crate::control::standing::Standing;
use crate::control::sync::{SyncJob, SyncRule};
use crate::control::trace::{Trace, TraceQuery, TracedOperation};
use crate::control::trigger::{Delivery, DeliveryId, Trigger, TriggerId};
use crate::event::EventSeq;
use crate::ports::{
    AgingFacts, Candidates, ClaimedDelivery, DailyUsage, Fence, Listing, MetadataStore, NewDelivery,
    Overview, Page, RepositoryQuery, StoreError, Tried, UsageKind, VersionQuery, Viewer,
};

#[async_trait]
impl<S: MetadataStore> MetadataStore for Stepping<S> {
    /// Nothing is remembered while something is to fail: each question is a call, and the next attempt makes the same.
    fn decided_on(&self) -> Option<u64> {
        self.steps.is_plain().then(|| self.store.decided_on())?
    }

    async fn standing(
        &self,
        user: Option<&UserId>,
        organisation: &OrganisationName,
        repository: Option<&RepositoryName>,
    ) -> Result<Standing, StoreError> {
        step!(self.standing(user, organisation, repository))
    }

    async fn readable(
        &self,
        user: Option<&UserId>,
        strangers: bool,
        of: Candidates<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        step!(self.readable(user, strangers, of, now))
    }

    async fn key_holder(&self, key: &KeyId) -> Result<Option<KeyHolder>, StoreError> {
        step!(self.key_holder(key))
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        step!(self.account(id))
    }

    async fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        step!(self.account_named(name))
    }

    async fn accounts(&self, page: &Page<AccountName>) -> Result<Vec<Account>, StoreError> {
        step!(self.accounts(page))
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        step!(self.user(id))
    }

    async fn user_named(&self, account: &AccountId, name: &UserName) -> Result<Option<User>, StoreError> {
        step!(self.user_named(account, name))
    }

    async fn users(&self, account: &AccountId, page: &Page<UserName>) -> Result<Vec<User>, StoreError> {
        step!(self.users(account, page))
    }

    async fn access_keys(&self, user: &UserId) -> Result<Vec<AccessKey>, StoreError> {
        step!(self.access_keys(user))
    }

    async fn all_access_keys(&self, page: &Page<KeyId>) -> Result<Vec<AccessKey>, StoreError> {
        step!(self.all_access_keys(page))
    }

    async fn token_key(&self, id: &KeyId) -> Result<Option<TokenKey>, StoreError> {
        step!(self.token_key(id))
    }

    async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError> {
        step!(self.token_keys())
    }

    async fn organisation(&self, name: &OrganisationName) -> Result<Option<Organisation>, StoreError> {
        step!(self.organisation(name))
    }

    async fn organisations(
        &self,
        viewer: &Viewer,
        partly: bool,
    ) -> Result<Vec<ListedOrganisation>, StoreError> {
        step!(self.organisations(viewer, partly))
    }

    async fn organisations_by(&self, user: &UserId) -> Result<u64, StoreError> {
        step!(self.organisations_by(user))
    }

    async fn repositories_in(&self, name: &OrganisationName) -> Result<u64, StoreError> {
        step!(self.repositories_in(name))
    }

    async fn grants(&self, scope: &GrantScope) -> Result<Option<Vec<Granted>>, StoreError> {
        step!(self.grants(scope))
    }

    async fn repository_details(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryDetails>, StoreError> {
        step!(self.repository_details(name))
    }

    async fn repository_list(
        &self,
        query: &RepositoryQuery,
    ) -> Result<Listing<RepositoryDetails>, StoreError> {
        step!(self.repository_list(query))
    }

    async fn versions(
        &self,
        repository: &RepositoryName,
        query: &VersionQuery,
    ) -> Result<Option<Listing<Version>>, StoreError> {
        step!(self.versions(repository, query))
    }

    async fn shares(
        &self,
        repository: &RepositoryName,
        page: &Page<AccountName>,
    ) -> Result<Option<Vec<ListedShare>>, StoreError> {
        step!(self.shares(repository, page))
    }

    async fn share(
        &self,
        repository: &RepositoryName,
        account: &AccountId,
    ) -> Result<Option<ListedShare>, StoreError> {
        step!(self.share(repository, account))
    }

    async fn overview(&self, account: &AccountId) -> Result<Overview, StoreError> {
        step!(self.overview(account))
    }

    async fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        step!(self.usage(account, kind, from, until))
    }

    async fn note_stored(&self, day: NaiveDate) -> Result<(), StoreError> {
        step!(self.note_stored(day))
    }

    async fn trim_usage(&self, before: NaiveDate, limit: NonZeroU32) -> Result<u64, StoreError> {
        step!(self.trim_usage(before, limit))
    }

    async fn commit_metadata(&self, commit: MetadataCommit) -> Result<MetadataReceipt, MetadataCommitError> {
        step!(self.commit_metadata(commit))
    }

    async fn trim_temporary_keys(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        step!(self.trim_temporary_keys(before, limit))
    }

    async fn begin_session(&self, session: &Session, most: NonZeroU32) -> Result<bool, StoreError> {
        step!(self.begin_session(session, most))
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionHolder>, StoreError> {
        step!(self.session(id))
    }

    async fn use_session(&self, id: &SessionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        step!(self.use_session(id, at))
    }

    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError> {
        step!(self.end_session(id))
    }

    async fn trim_sessions(
        &self,
        begun: DateTime<Utc>,
        used: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        step!(self.trim_sessions(begun, used, limit))
    }

    async fn syncs(&self, repository: &RepositoryName) -> Result<Option<Vec<SyncRule>>, StoreError> {
        step!(self.syncs(repository))
    }

    async fn sync_jobs(
        &self,
        repository: &RepositoryName,
        descending: bool,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<SyncJob>>, StoreError> {
        step!(self.sync_jobs(repository, descending, offset, limit))
    }

    async fn rule(&self, repository: &RepositoryName) -> Result<Option<RepositoryRule>, StoreError> {
        step!(self.rule(repository))
    }

    async fn due_rules(
        &self,
        now: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryRule>, StoreError> {
        step!(self.due_rules(now, limit))
    }

    async fn rule_ran(
        &self,
        id: RuleId,
        ran: DateTime<Utc>,
        next: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        step!(self.rule_ran(id, ran, next, fence))
    }

    async fn aging_facts(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Vec<AgingFacts>, StoreError> {
        step!(self.aging_facts(repository, page))
    }

    async fn cleared(
        &self,
        repository: &RepositoryName,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<Cleared>>, StoreError> {
        step!(self.cleared(repository, offset, limit))
    }

    async fn triggers(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Vec<(TriggerId, Trigger)>>, StoreError> {
        step!(self.triggers(repository))
    }

    async fn sealed_triggers(
        &self,
        after: Option<TriggerId>,
        limit: NonZeroU32,
    ) -> Result<Vec<(TriggerId, Trigger)>, StoreError> {
        step!(self.sealed_triggers(after, limit))
    }

    async fn reseal_trigger(&self, id: TriggerId, was: &Sealed, sealed: &Sealed) -> Result<bool, StoreError> {
        step!(self.reseal_trigger(id, was, sealed))
    }

    async fn deliveries(&self, trigger: TriggerId, limit: NonZeroU32) -> Result<Vec<Delivery>, StoreError> {
        step!(self.deliveries(trigger, limit))
    }

    async fn fan_out(
        &self,
        deliveries: &[NewDelivery],
        consumer: &str,
        upto: EventSeq,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        step!(self.fan_out(deliveries, consumer, upto, fence))
    }

    async fn claim_deliveries(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        step!(self.claim_deliveries(now, until, limit))
    }

    async fn settle_delivery(&self, claimed: &ClaimedDelivery, tried: &Tried) -> Result<(), StoreError> {
        step!(self.settle_delivery(claimed, tried))
    }

    async fn revive_delivery(
        &self,
        trigger: TriggerId,
        id: &DeliveryId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        step!(self.revive_delivery(trigger, id, now))
    }

    async fn trim_history(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        step!(self.trim_history(before, limit))
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Vec<Trace>, StoreError> {
        step!(self.traces(query))
    }

    async fn traces_after(&self, seq: u64, limit: NonZeroU32) -> Result<Vec<Trace>, StoreError> {
        step!(self.traces_after(seq, limit))
    }

    async fn record_operations(&self, operations: &[TracedOperation]) -> Result<(), StoreError> {
        step!(self.record_operations(operations))
    }

    async fn trace_cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        step!(self.trace_cursor(consumer))
    }

    async fn advance_traces(&self, consumer: &str, upto: u64, fence: &Fence) -> Result<(), StoreError> {
        step!(self.advance_traces(consumer, upto, fence))
    }

    async fn trim_traces(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        step!(self.trim_traces(before, limit))
    }
}
