//! Who there is, what they may do and what they have done.

use std::num::NonZeroU32;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use swr_core::control::change::{MetadataCommit, MetadataCommitError, MetadataReceipt};
use swr_core::control::credential::{AccessKey, KeyHolder, KeyId, Sealed, TokenKey};
use swr_core::control::grant::{GrantScope, Granted};
use swr_core::control::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use swr_core::control::organisation::{ListedOrganisation, Organisation};
use swr_core::control::repository::{RepositoryDetails, Version};
use swr_core::control::rule::{Cleared, RepositoryRule, RuleId};
use swr_core::control::session::{self, SessionHolder, SessionId};
use swr_core::control::share::ListedShare;
use swr_core::control::standing::Standing;
use swr_core::control::sync::{SyncJob, SyncRule};
use swr_core::control::trace::{Trace, TraceQuery, TracedOperation};
use swr_core::control::trigger::{Delivery, DeliveryId, Trigger, TriggerId};
use swr_core::event::EventSeq;
use swr_core::ports::{
    AgingFacts, Candidates, ClaimedDelivery, DailyUsage, Fence, Listing, MetadataStore, NewDelivery,
    Overview, Page, RepositoryQuery, StoreError, Tried, UsageKind, VersionQuery, Viewer,
};
use swr_core::{OrganisationName, RepositoryName, Tag};

use super::connections::{Failure, Locks, Session, Transaction, WriteError, begun_again};
use super::event_log::{self, NewEntries};
use super::{
    PostgresStore, ask, ask_at_once, deliveries, keep, metadata_commit, metadata_reads, repository_lists,
    rules, sessions, syncs, traces, triggers, usage,
};

#[async_trait]
impl MetadataStore for PostgresStore {
    async fn standing(
        &self,
        user: Option<&UserId>,
        organisation: &OrganisationName,
        repository: Option<&RepositoryName>,
    ) -> Result<Standing, StoreError> {
        ask!(self, "metadata.standing", |session| {
            metadata_reads::standing(session, user, Some(organisation), repository)
        })
    }

    async fn readable(
        &self,
        user: Option<&UserId>,
        strangers: bool,
        of: Candidates<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        ask_at_once!(self, "metadata.readable", |session| {
            repository_lists::readable(session, user, strangers, of, now)
        })
    }

    async fn key_holder(&self, key: &KeyId) -> Result<Option<KeyHolder>, StoreError> {
        ask!(self, "metadata.key_holder", |session| metadata_reads::key_holder(session, key))
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        ask!(self, "metadata.account", |session| metadata_reads::account(session, id))
    }

    async fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        ask!(self, "metadata.account_named", |session| metadata_reads::account_named(session, name))
    }

    async fn accounts(&self, page: &Page<AccountName>) -> Result<Vec<Account>, StoreError> {
        ask!(self, "metadata.accounts", |session| metadata_reads::accounts(session, page))
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        ask!(self, "metadata.user", |session| metadata_reads::user(session, id))
    }

    async fn user_named(&self, account: &AccountId, name: &UserName) -> Result<Option<User>, StoreError> {
        ask!(self, "metadata.user_named", |session| metadata_reads::user_named(session, account, name))
    }

    async fn users(&self, account: &AccountId, page: &Page<UserName>) -> Result<Vec<User>, StoreError> {
        ask!(self, "metadata.users", |session| metadata_reads::users(session, account, page))
    }

    async fn access_keys(&self, user: &UserId) -> Result<Vec<AccessKey>, StoreError> {
        ask!(self, "metadata.access_keys", |session| metadata_reads::access_keys(session, user))
    }

    async fn all_access_keys(&self, page: &Page<KeyId>) -> Result<Vec<AccessKey>, StoreError> {
        ask!(self, "metadata.all_access_keys", |session| metadata_reads::all_access_keys(session, page))
    }

    async fn token_key(&self, id: &KeyId) -> Result<Option<TokenKey>, StoreError> {
        ask!(self, "metadata.token_key", |session| metadata_reads::token_key(session, id))
    }

    async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError> {
        ask!(self, "metadata.token_keys", |session| metadata_reads::token_keys(session))
    }

    async fn organisation(&self, name: &OrganisationName) -> Result<Option<Organisation>, StoreError> {
        ask!(self, "metadata.organisation", |session| metadata_reads::organisation(session, name))
    }

    async fn organisations(
        &self,
        viewer: &Viewer,
        partly: bool,
    ) -> Result<Vec<ListedOrganisation>, StoreError> {
        ask!(self, "metadata.organisations", |session| metadata_reads::organisations(session, viewer, partly))
    }

    async fn organisations_by(&self, user: &UserId) -> Result<u64, StoreError> {
        ask!(self, "metadata.organisations_by", |session| metadata_reads::organisations_by(session, user))
    }

    async fn repositories_in(&self, name: &OrganisationName) -> Result<u64, StoreError> {
        ask!(self, "metadata.repositories_in", |session| metadata_reads::repositories_in(session, name))
    }

    async fn grants(&self, scope: &GrantScope) -> Result<Option<Vec<Granted>>, StoreError> {
        ask_at_once!(self, "metadata.grants", |session| metadata_reads::grants(session, scope))
    }

    async fn repository_details(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryDetails>, StoreError> {
        ask_at_once!(self, "metadata.repository_details", |session| {
            repository_lists::repository_details(session, name)
        })
    }

    async fn repository_list(
        &self,
        query: &RepositoryQuery,
    ) -> Result<Listing<RepositoryDetails>, StoreError> {
        ask_at_once!(self, "metadata.repository_list", |session| {
            repository_lists::repository_list(session, query)
        })
    }

    async fn versions(
        &self,
        repository: &RepositoryName,
        query: &VersionQuery,
    ) -> Result<Option<Listing<Version>>, StoreError> {
        ask_at_once!(self, "metadata.versions", |session| {
            repository_lists::versions(session, repository, query)
        })
    }

    async fn shares(
        &self,
        repository: &RepositoryName,
        page: &Page<AccountName>,
    ) -> Result<Option<Vec<ListedShare>>, StoreError> {
        ask_at_once!(self, "metadata.shares", |session| metadata_reads::shares(session, repository, page))
    }

    async fn share(
        &self,
        repository: &RepositoryName,
        account: &AccountId,
    ) -> Result<Option<ListedShare>, StoreError> {
        ask!(self, "metadata.share", |session| metadata_reads::share(session, repository, account))
    }

    async fn overview(&self, account: &AccountId) -> Result<Overview, StoreError> {
        ask!(self, "metadata.overview", |session| metadata_reads::overview(session, account))
    }

    async fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        ask!(self, "metadata.usage", |session| usage::usage(session, account, kind, from, until))
    }

    async fn note_stored(&self, day: NaiveDate) -> Result<(), StoreError> {
        usage::note_stored(&self.pool, day).await.map_err(|error| error.of("metadata.note_stored"))
    }

    async fn trim_usage(&self, before: NaiveDate, limit: NonZeroU32) -> Result<u64, StoreError> {
        keep!(self, "metadata.trim_usage", usage::locks(&self.pool), |transaction| {
            usage::trim(transaction, before, limit)
        })
    }

    async fn commit_metadata(&self, commit: MetadataCommit) -> Result<MetadataReceipt, MetadataCommitError> {
        let committed = begun_again(|| metadata_commit::commit(&self.pool, &commit)).await;
        committed.map_err(|error| error.of_metadata_commit("metadata.commit"))
    }

    async fn trim_temporary_keys(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        keep!(self, "metadata.trim_temporary_keys", Locks::beside_others(&self.pool), |transaction| {
            metadata_commit::trim_temporary_keys(transaction, before, limit)
        })
    }

    async fn begin_session(&self, begun: &session::Session, most: NonZeroU32) -> Result<bool, StoreError> {
        keep!(self, "metadata.begin_session", sessions::locks(&self.pool), |transaction| {
            sessions::begin(transaction, begun, most)
        })
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionHolder>, StoreError> {
        ask!(self, "metadata.session", |session| sessions::session(session, id))
    }

    async fn use_session(&self, id: &SessionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        ask!(self, "metadata.use_session", |session| sessions::note_use(session, id, at))
    }

    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError> {
        ask!(self, "metadata.end_session", |session| sessions::end(session, id))
    }

    async fn trim_sessions(
        &self,
        begun: DateTime<Utc>,
        used: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        keep!(self, "metadata.trim_sessions", sessions::locks(&self.pool), |transaction| {
            sessions::trim(transaction, begun, used, limit)
        })
    }

    async fn syncs(&self, repository: &RepositoryName) -> Result<Option<Vec<SyncRule>>, StoreError> {
        ask_at_once!(self, "metadata.syncs", |session| syncs::syncs(session, repository))
    }

    async fn sync_jobs(
        &self,
        repository: &RepositoryName,
        descending: bool,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<SyncJob>>, StoreError> {
        ask_at_once!(self, "metadata.sync_jobs", |session| {
            syncs::sync_jobs(session, repository, descending, offset, limit)
        })
    }

    async fn rule(&self, repository: &RepositoryName) -> Result<Option<RepositoryRule>, StoreError> {
        ask_at_once!(self, "metadata.rule", |session| rules::rule(session, repository))
    }

    async fn due_rules(
        &self,
        now: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryRule>, StoreError> {
        ask!(self, "metadata.due_rules", |session| rules::due_rules(session, now, limit))
    }

    async fn rule_ran(
        &self,
        id: RuleId,
        ran: DateTime<Utc>,
        next: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        keep!(self, "metadata.rule_ran", Locks::beside_others(&self.pool), fence, |transaction| {
            rules::rule_ran(transaction, id, ran, next)
        })
    }

    async fn aging_facts(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Vec<AgingFacts>, StoreError> {
        ask_at_once!(self, "metadata.aging_facts", |session| rules::aging_facts(session, repository, page))
    }

    async fn cleared(
        &self,
        repository: &RepositoryName,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<Cleared>>, StoreError> {
        ask_at_once!(self, "metadata.cleared", |session| rules::cleared(session, repository, offset, limit))
    }

    async fn triggers(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Vec<(TriggerId, Trigger)>>, StoreError> {
        ask_at_once!(self, "metadata.triggers", |session| triggers::triggers(session, repository))
    }

    async fn sealed_triggers(
        &self,
        after: Option<TriggerId>,
        limit: NonZeroU32,
    ) -> Result<Vec<(TriggerId, Trigger)>, StoreError> {
        ask!(self, "metadata.sealed_triggers", |session| triggers::sealed(session, after, limit))
    }

    async fn reseal_trigger(&self, id: TriggerId, was: &Sealed, sealed: &Sealed) -> Result<bool, StoreError> {
        ask!(self, "metadata.reseal_trigger", |session| triggers::reseal(session, id, was, sealed))
    }

    async fn deliveries(&self, trigger: TriggerId, limit: NonZeroU32) -> Result<Vec<Delivery>, StoreError> {
        ask!(self, "metadata.deliveries", |session| deliveries::deliveries(session, trigger, limit))
    }

    async fn fan_out(
        &self,
        deliveries: &[NewDelivery],
        consumer: &str,
        upto: EventSeq,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        keep!(self, "metadata.fan_out", deliveries::locks(&self.pool), fence, |transaction| async {
            deliveries::add(transaction, deliveries).await?;
            event_log::advance(transaction, consumer, upto).await
        })
    }

    async fn claim_deliveries(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        keep!(self, "metadata.claim_deliveries", deliveries::locks(&self.pool), |transaction| {
            deliveries::claim(transaction, now, until, limit)
        })
    }

    async fn settle_delivery(&self, claimed: &ClaimedDelivery, tried: &Tried) -> Result<(), StoreError> {
        keep!(self, "metadata.settle_delivery", deliveries::locks(&self.pool), |transaction| {
            deliveries::settle(transaction, claimed, tried)
        })
    }

    async fn revive_delivery(
        &self,
        trigger: TriggerId,
        id: &DeliveryId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        keep!(self, "metadata.revive_delivery", deliveries::locks(&self.pool), |transaction| {
            deliveries::revive(transaction, trigger, id, now)
        })
    }

    async fn trim_history(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        keep!(self, "metadata.trim_history", deliveries::locks(&self.pool), |transaction| async {
            let deliveries = deliveries::trim(transaction, before, limit).await?;
            let orphans = deliveries::trim_orphans(transaction, limit).await?;
            let cleared = rules::trim_cleared(transaction, before, limit).await?;
            let jobs = syncs::trim_jobs(transaction, before, limit).await?;
            Ok::<_, Failure>(deliveries + orphans + cleared + jobs)
        })
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Vec<Trace>, StoreError> {
        ask_at_once!(self, "metadata.traces", |session| traces::traces(session, query))
    }

    async fn traces_after(&self, seq: u64, limit: NonZeroU32) -> Result<Vec<Trace>, StoreError> {
        ask!(self, "metadata.traces_after", |session| traces::traces_after(session, seq, limit))
    }

    async fn record_operations(&self, operations: &[TracedOperation]) -> Result<(), StoreError> {
        let recorded = traces::record_operations(&self.pool, operations).await;
        recorded.map_err(|error| error.of("metadata.record_operations"))
    }

    async fn trace_cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        ask!(self, "metadata.trace_cursor", |session| traces::cursor(session, consumer))
    }

    async fn advance_traces(&self, consumer: &str, upto: u64, fence: &Fence) -> Result<(), StoreError> {
        keep!(self, "metadata.advance_traces", Locks::none(&self.pool), fence, |transaction| {
            traces::advance(transaction, consumer, upto)
        })
    }

    async fn trim_traces(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        ask!(self, "metadata.trim_traces", |session| traces::trim(session, before, limit))
    }
}
