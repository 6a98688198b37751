//! Who there is, what they may do and what they have done: each question to its reader, each change to the writer.

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
use swr_core::control::session::{Session, SessionHolder, SessionId};
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

use super::{
    SqliteStore, deliveries, event_log, leases, metadata_commit, metadata_reads, repository_lists, rules,
    sessions, syncs, traces, triggers, usage,
};

#[async_trait]
impl MetadataStore for SqliteStore {
    fn decided_on(&self) -> Option<u64> {
        // Nobody else writes: the database is locked.
        Some(self.writer.state().answered())
    }

    async fn standing(
        &self,
        user: Option<&UserId>,
        organisation: &OrganisationName,
        repository: Option<&RepositoryName>,
    ) -> Result<Standing, StoreError> {
        self.readers.point("metadata.standing", |connection| {
            metadata_reads::standing(connection, user, Some(organisation), repository)
        })
    }

    async fn readable(
        &self,
        user: Option<&UserId>,
        strangers: bool,
        of: Candidates<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let (user, of) = (user.cloned(), of.into());
        self.readers
            .scan("metadata.readable", move |connection| {
                repository_lists::readable(connection, user.as_ref(), strangers, &of, now)
            })
            .await
    }

    async fn key_holder(&self, key: &KeyId) -> Result<Option<KeyHolder>, StoreError> {
        self.readers.point("metadata.key_holder", |connection| metadata_reads::key_holder(connection, key))
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        self.readers.point("metadata.account", |connection| metadata_reads::account(connection, id))
    }

    async fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        self.readers
            .point("metadata.account_named", |connection| metadata_reads::account_named(connection, name))
    }

    async fn accounts(&self, page: &Page<AccountName>) -> Result<Vec<Account>, StoreError> {
        let page = page.clone();
        self.readers
            .scan("metadata.accounts", move |connection| metadata_reads::accounts(connection, &page))
            .await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.readers.point("metadata.user", |connection| metadata_reads::user(connection, id))
    }

    async fn user_named(&self, account: &AccountId, name: &UserName) -> Result<Option<User>, StoreError> {
        self.readers
            .point("metadata.user_named", |connection| metadata_reads::user_named(connection, account, name))
    }

    async fn users(&self, account: &AccountId, page: &Page<UserName>) -> Result<Vec<User>, StoreError> {
        let (account, page) = (account.clone(), page.clone());
        self.readers
            .scan("metadata.users", move |connection| metadata_reads::users(connection, &account, &page))
            .await
    }

    async fn access_keys(&self, user: &UserId) -> Result<Vec<AccessKey>, StoreError> {
        let user = user.clone();
        self.readers
            .scan("metadata.access_keys", move |connection| metadata_reads::access_keys(connection, &user))
            .await
    }

    async fn all_access_keys(&self, page: &Page<KeyId>) -> Result<Vec<AccessKey>, StoreError> {
        let page = page.clone();
        self.readers
            .scan("metadata.all_access_keys", move |connection| {
                metadata_reads::all_access_keys(connection, &page)
            })
            .await
    }

    async fn token_key(&self, id: &KeyId) -> Result<Option<TokenKey>, StoreError> {
        self.readers.point("metadata.token_key", |connection| metadata_reads::token_key(connection, id))
    }

    async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError> {
        self.readers.scan("metadata.token_keys", metadata_reads::token_keys).await
    }

    async fn organisation(&self, name: &OrganisationName) -> Result<Option<Organisation>, StoreError> {
        self.readers
            .point("metadata.organisation", |connection| metadata_reads::organisation(connection, name))
    }

    async fn organisations(
        &self,
        viewer: &Viewer,
        partly: bool,
    ) -> Result<Vec<ListedOrganisation>, StoreError> {
        let viewer = viewer.clone();
        self.readers
            .scan("metadata.organisations", move |connection| {
                metadata_reads::organisations(connection, &viewer, partly)
            })
            .await
    }

    async fn organisations_by(&self, user: &UserId) -> Result<u64, StoreError> {
        let user = user.clone();
        self.readers
            .scan("metadata.organisations_by", move |connection| {
                metadata_reads::organisations_by(connection, &user)
            })
            .await
    }

    async fn repositories_in(&self, name: &OrganisationName) -> Result<u64, StoreError> {
        let name = name.clone();
        self.readers
            .scan("metadata.repositories_in", move |connection| {
                metadata_reads::repositories_in(connection, &name)
            })
            .await
    }

    async fn grants(&self, scope: &GrantScope) -> Result<Option<Vec<Granted>>, StoreError> {
        let scope = scope.clone();
        self.readers
            .scan("metadata.grants", move |connection| metadata_reads::grants(connection, &scope))
            .await
    }

    async fn repository_details(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryDetails>, StoreError> {
        let name = name.clone();
        self.readers
            .scan("metadata.repository_details", move |connection| {
                repository_lists::repository_details(connection, &name)
            })
            .await
    }

    async fn repository_list(
        &self,
        query: &RepositoryQuery,
    ) -> Result<Listing<RepositoryDetails>, StoreError> {
        let query = query.clone();
        self.readers
            .scan("metadata.repository_list", move |connection| {
                repository_lists::repository_list(connection, &query)
            })
            .await
    }

    async fn versions(
        &self,
        repository: &RepositoryName,
        query: &VersionQuery,
    ) -> Result<Option<Listing<Version>>, StoreError> {
        let (repository, query) = (repository.clone(), query.clone());
        self.readers
            .scan("metadata.versions", move |connection| {
                repository_lists::versions(connection, &repository, &query)
            })
            .await
    }

    async fn shares(
        &self,
        repository: &RepositoryName,
        page: &Page<AccountName>,
    ) -> Result<Option<Vec<ListedShare>>, StoreError> {
        let (repository, page) = (repository.clone(), page.clone());
        self.readers
            .scan("metadata.shares", move |connection| metadata_reads::shares(connection, &repository, &page))
            .await
    }

    async fn share(
        &self,
        repository: &RepositoryName,
        account: &AccountId,
    ) -> Result<Option<ListedShare>, StoreError> {
        self.readers
            .point("metadata.share", |connection| metadata_reads::share(connection, repository, account))
    }

    async fn overview(&self, account: &AccountId) -> Result<Overview, StoreError> {
        let account = account.clone();
        self.readers
            .scan("metadata.overview", move |connection| metadata_reads::overview(connection, &account))
            .await
    }

    async fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        let account = account.clone();
        self.readers
            .scan("metadata.usage", move |connection| usage::usage(connection, &account, kind, from, until))
            .await
    }

    async fn note_stored(&self, day: NaiveDate) -> Result<(), StoreError> {
        // Counted beside the writer, which is asked for the notes alone.
        let stored = self.readers.scan("metadata.note_stored", usage::stored).await?;
        self.writer
            .write(move |writing| {
                writing.claim_room()?;
                Ok(usage::note_stored(writing.connection, &stored, day)?)
            })
            .await
            .map_err(|error| error.of("metadata.note_stored"))
    }

    async fn trim_usage(&self, before: NaiveDate, limit: NonZeroU32) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| Ok(usage::trim(writing.connection, before, limit)?))
            .await
            .map_err(|error| error.of("metadata.trim_usage"))
    }

    async fn commit_metadata(&self, commit: MetadataCommit) -> Result<MetadataReceipt, MetadataCommitError> {
        self.writer
            .write(move |writing| metadata_commit::commit(writing, &commit))
            .await
            .map_err(|error| error.of_metadata_commit("metadata.commit"))
    }

    async fn trim_temporary_keys(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| {
                Ok(metadata_commit::trim_temporary_keys(writing.connection, before, limit)?)
            })
            .await
            .map_err(|error| error.of("metadata.trim_temporary_keys"))
    }

    async fn begin_session(&self, session: &Session, most: NonZeroU32) -> Result<bool, StoreError> {
        let session = session.clone();
        self.writer
            .write(move |writing| sessions::begin(writing, &session, most))
            .await
            .map_err(|error| error.of("metadata.begin_session"))
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionHolder>, StoreError> {
        self.readers.point("metadata.session", |connection| sessions::session(connection, id))
    }

    async fn use_session(&self, id: &SessionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let id = *id;
        self.writer
            .write(move |writing| Ok(sessions::note_use(writing.connection, &id, at)?))
            .await
            .map_err(|error| error.of("metadata.use_session"))
    }

    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let id = *id;
        self.writer
            .write(move |writing| Ok(sessions::end(writing.connection, &id)?))
            .await
            .map_err(|error| error.of("metadata.end_session"))
    }

    async fn trim_sessions(
        &self,
        begun: DateTime<Utc>,
        used: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| Ok(sessions::trim(writing.connection, begun, used, limit)?))
            .await
            .map_err(|error| error.of("metadata.trim_sessions"))
    }

    async fn syncs(&self, repository: &RepositoryName) -> Result<Option<Vec<SyncRule>>, StoreError> {
        let repository = repository.clone();
        self.readers.scan("metadata.syncs", move |connection| syncs::syncs(connection, &repository)).await
    }

    async fn sync_jobs(
        &self,
        repository: &RepositoryName,
        descending: bool,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<SyncJob>>, StoreError> {
        let repository = repository.clone();
        self.readers
            .scan("metadata.sync_jobs", move |connection| {
                syncs::sync_jobs(connection, &repository, descending, offset, limit)
            })
            .await
    }

    async fn rule(&self, repository: &RepositoryName) -> Result<Option<RepositoryRule>, StoreError> {
        self.readers.point("metadata.rule", |connection| rules::rule(connection, repository))
    }

    async fn due_rules(
        &self,
        now: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryRule>, StoreError> {
        self.readers
            .scan("metadata.due_rules", move |connection| rules::due_rules(connection, now, limit))
            .await
    }

    async fn rule_ran(
        &self,
        id: RuleId,
        ran: DateTime<Utc>,
        next: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                Ok(rules::rule_ran(writing.connection, id, ran, next)?)
            })
            .await
            .map_err(|error| error.of("metadata.rule_ran"))
    }

    async fn aging_facts(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Vec<AgingFacts>, StoreError> {
        let (repository, page) = (repository.clone(), page.clone());
        self.readers
            .scan("metadata.aging_facts", move |connection| {
                rules::aging_facts(connection, &repository, &page)
            })
            .await
    }

    async fn cleared(
        &self,
        repository: &RepositoryName,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<Cleared>>, StoreError> {
        let repository = repository.clone();
        self.readers
            .scan("metadata.cleared", move |connection| {
                rules::cleared(connection, &repository, offset, limit)
            })
            .await
    }

    async fn triggers(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Vec<(TriggerId, Trigger)>>, StoreError> {
        let repository = repository.clone();
        self.readers
            .scan("metadata.triggers", move |connection| triggers::triggers(connection, &repository))
            .await
    }

    async fn sealed_triggers(
        &self,
        after: Option<TriggerId>,
        limit: NonZeroU32,
    ) -> Result<Vec<(TriggerId, Trigger)>, StoreError> {
        self.readers
            .scan("metadata.sealed_triggers", move |connection| triggers::sealed(connection, after, limit))
            .await
    }

    async fn reseal_trigger(&self, id: TriggerId, was: &Sealed, sealed: &Sealed) -> Result<bool, StoreError> {
        let (was, sealed) = (was.clone(), sealed.clone());
        self.writer
            .write(move |writing| Ok(triggers::reseal(writing.connection, id, &was, &sealed)?))
            .await
            .map_err(|error| error.of("metadata.reseal_trigger"))
    }

    async fn deliveries(&self, trigger: TriggerId, limit: NonZeroU32) -> Result<Vec<Delivery>, StoreError> {
        self.readers
            .scan("metadata.deliveries", move |connection| deliveries::deliveries(connection, trigger, limit))
            .await
    }

    async fn fan_out(
        &self,
        deliveries: &[NewDelivery],
        consumer: &str,
        upto: EventSeq,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let (deliveries, consumer, fence) = (deliveries.to_vec(), consumer.to_owned(), fence.clone());
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                deliveries::add(writing, &deliveries)?;
                Ok(event_log::advance(writing.connection, &consumer, upto)?)
            })
            .await
            .map_err(|error| error.of("metadata.fan_out"))
    }

    async fn claim_deliveries(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        self.writer
            .write(move |writing| deliveries::claim(writing, now, until, limit))
            .await
            .map_err(|error| error.of("metadata.claim_deliveries"))
    }

    async fn settle_delivery(&self, claimed: &ClaimedDelivery, tried: &Tried) -> Result<(), StoreError> {
        let (claimed, tried) = (claimed.clone(), tried.clone());
        self.writer
            .write(move |writing| Ok(deliveries::settle(writing.connection, &claimed, &tried)?))
            .await
            .map_err(|error| error.of("metadata.settle_delivery"))
    }

    async fn revive_delivery(
        &self,
        trigger: TriggerId,
        id: &DeliveryId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        self.writer
            .write(move |writing| Ok(deliveries::revive(writing.connection, trigger, &id, now)?))
            .await
            .map_err(|error| error.of("metadata.revive_delivery"))
    }

    async fn trim_history(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| {
                let connection = writing.connection;
                let deliveries = deliveries::trim(connection, before, limit)?;
                let orphans = deliveries::trim_orphans(connection, limit)?;
                let cleared = rules::trim_cleared(connection, before, limit)?;
                Ok(deliveries + orphans + cleared + syncs::trim_jobs(connection, before, limit)?)
            })
            .await
            .map_err(|error| error.of("metadata.trim_history"))
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Vec<Trace>, StoreError> {
        let query = query.clone();
        self.readers.scan("metadata.traces", move |connection| traces::traces(connection, &query)).await
    }

    async fn traces_after(&self, seq: u64, limit: NonZeroU32) -> Result<Vec<Trace>, StoreError> {
        self.readers
            .scan("metadata.traces_after", move |connection| traces::traces_after(connection, seq, limit))
            .await
    }

    async fn record_operations(&self, operations: &[TracedOperation]) -> Result<(), StoreError> {
        let operations = operations.to_vec();
        self.writer
            .write(move |writing| traces::record_operations(writing, &operations))
            .await
            .map_err(|error| error.of("metadata.record_operations"))
    }

    async fn trace_cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        self.readers.point("metadata.trace_cursor", |connection| traces::cursor(connection, consumer))
    }

    async fn advance_traces(&self, consumer: &str, upto: u64, fence: &Fence) -> Result<(), StoreError> {
        let (consumer, fence) = (consumer.to_owned(), fence.clone());
        self.writer
            .write(move |writing| {
                leases::expect_held(writing.connection, &fence)?;
                Ok(traces::advance(writing.connection, &consumer, upto)?)
            })
            .await
            .map_err(|error| error.of("metadata.advance_traces"))
    }

    async fn trim_traces(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        self.writer
            .write(move |writing| Ok(traces::trim(writing.connection, before, limit)?))
            .await
            .map_err(|error| error.of("metadata.trim_traces"))
    }
}
