//! Who there is and what they may do in memory: the tables, and the questions asked of them.
//!
//! A model: it looks at everything to answer anything but [`MetadataStore::standing`].

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use swr_core::commit::{RepositoryId, RightsVersion};
use swr_core::control::change::{MetadataCommit, MetadataCommitError, MetadataReceipt};
use swr_core::control::credential::{AccessKey, HeldKey, KeyHolder, KeyId, Sealed, TemporaryKey, TokenKey};
use swr_core::control::grant::{GrantLevel, GrantScope, Granted};
use swr_core::control::identity::{Account, AccountId, AccountName, User, UserId, UserName};
use swr_core::control::organisation::{ListedOrganisation, Organisation, OrganisationId, organisation_of};
use swr_core::control::repository::{Attributes, RepositoryDetails, Version, Visibility};
use swr_core::control::rule::{Cleared, RepositoryRule, RuleId};
use swr_core::control::session::{Session, SessionHolder, SessionId, SessionProof};
use swr_core::control::share::{ListedShare, Share};
use swr_core::control::standing::{OrganisationStanding, RepositoryStanding, Standing, UserStanding};
use swr_core::control::sync::{SyncJob, SyncRule};
use swr_core::control::trace::{Trace, TraceQuery, TracedOperation};
use swr_core::control::trigger::{Delivery, DeliveryId, Trigger, TriggerId, TriggerTarget};
use swr_core::event::EventSeq;
use swr_core::manifest::{ManifestRecord, ReferenceKind};
use swr_core::ports::{
    AgingFacts, Candidates, ClaimedDelivery, DailyUsage, Fence, Listing, MetadataStore, NewDelivery,
    Overview, Page, RepositoryList, RepositoryOrder, RepositoryQuery, StoreError, Tried, UsageKind,
    VersionOrder, VersionQuery, Viewer,
};
use swr_core::{OrganisationName, RepositoryName, Tag};

use super::manifests::{MemoryManifests, Repository, Tables, TagState, most, start};
use super::triggers::{MadeDelivery, MadeTrigger};

/// What is kept beside the names of content.
#[derive(Default)]
pub(super) struct Metadata {
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) users: BTreeMap<UserId, User>,
    pub(super) access_keys: BTreeMap<KeyId, AccessKey>,
    pub(super) temporary_keys: BTreeMap<KeyId, TemporaryKey>,
    pub(super) token_keys: BTreeMap<KeyId, TokenKey>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) organisations: BTreeMap<OrganisationName, Organisation>,
    pub(super) last_organisation: i64,
    /// Grants on organisations; those on a repository are with it.
    pub(super) grants: BTreeMap<(OrganisationId, UserId), GrantLevel>,
    pub(super) rights: RightsVersion,
    pub(super) traces: BTreeMap<u64, Trace>,
    pub(super) last_trace: u64,
    pub(super) usage: BTreeMap<(NaiveDate, AccountId, UsageKind), u64>,
    // What hangs on repositories, those that were removed apart.
    pub(super) syncs: BTreeMap<i64, (RepositoryId, SyncRule)>,
    pub(super) last_sync: i64,
    pub(super) sync_jobs: BTreeMap<i64, (RepositoryId, SyncJob)>,
    pub(super) last_sync_job: i64,
    pub(super) rules: BTreeMap<RepositoryId, RepositoryRule>,
    pub(super) last_rule: i64,
    pub(super) cleared: BTreeMap<u64, (RepositoryId, Cleared)>,
    pub(super) last_cleared: u64,
    pub(super) triggers: BTreeMap<TriggerId, MadeTrigger>,
    pub(super) last_trigger: i64,
    pub(super) deliveries: BTreeMap<(EventSeq, TriggerId), MadeDelivery>,
    /// How far each consumer of traces has come.
    pub(super) trace_cursors: BTreeMap<String, u64>,
}

/// What is kept of a repository beside its content: it goes with it.
#[derive(Clone, Default)]
pub(super) struct Described {
    pub(super) attributes: Attributes,
    pub(super) creator: Option<(UserId, UserName)>,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) grants: BTreeMap<UserId, GrantLevel>,
    pub(super) shares: BTreeMap<AccountId, Share>,
    pub(super) pulls: u64,
}

impl Described {
    pub(super) fn count_pulls(&mut self, more: u64) {
        self.pulls = self.pulls.saturating_add(more);
    }
}

impl Metadata {
    pub(super) fn account_named(&self, name: &AccountName) -> Option<&Account> {
        self.accounts.values().find(|account| account.name == *name)
    }

    pub(super) fn user_named(&self, account: &AccountId, name: &UserName) -> Option<&User> {
        self.users.values().find(|user| user.account == *account && user.name == *name)
    }

    pub(super) fn keys_of(&self, user: &UserId) -> impl Iterator<Item = &AccessKey> {
        self.access_keys.values().filter(move |key| key.user == *user)
    }

    pub(super) fn organisations_by(&self, user: &UserId) -> usize {
        self.organisations.values().filter(|organisation| organisation.creator == *user).count()
    }

    pub(super) fn organisations_of(&self, account: &AccountId) -> impl Iterator<Item = &Organisation> {
        self.organisations.values().filter(move |organisation| organisation.account == *account)
    }

    /// The organisation that the repository's name begins with.
    pub(super) fn organisation_of(&self, repository: &RepositoryName) -> Option<&Organisation> {
        self.organisations.get(&organisation_of(repository)?)
    }

    fn key_holder(&self, id: &KeyId) -> Option<KeyHolder> {
        let access = self.access_keys.get(id).map(|key| (&key.user, HeldKey::Access(key.clone())));
        let temporary = self.temporary_keys.get(id).map(|key| (&key.user, HeldKey::Temporary(key.clone())));
        let (user, key) = access.or(temporary)?;
        let user = self.users.get(user)?.clone();
        let account = self.accounts.get(&user.account)?.clone();
        Some(KeyHolder { key, user, account })
    }
}

impl Tables {
    /// Listed repositories with their names, in the order of these.
    pub(super) fn all_listed(&self) -> impl Iterator<Item = (RepositoryId, &Repository)> {
        let named = self.names.values().filter_map(|id| Some((*id, self.repositories.get(id)?)));
        named.filter(|(_, repository)| repository.listed)
    }

    pub(super) fn listed_in(
        &self,
        organisation: &OrganisationName,
    ) -> impl Iterator<Item = (RepositoryId, &Repository)> {
        self.all_listed()
            .filter(move |(_, repository)| organisation_of(&repository.name).as_ref() == Some(organisation))
    }

    fn standing(
        &self,
        user: Option<&UserId>,
        organisation: Option<&OrganisationName>,
        repository: Option<&RepositoryName>,
    ) -> Standing {
        let metadata = &self.metadata;
        let user = user.and_then(|user| metadata.users.get(user));
        let organisation = organisation.and_then(|name| metadata.organisations.get(name));
        let repository = repository.and_then(|name| Some((*self.names.get(name)?, self.listed(name)?)));
        Standing {
            rights: metadata.rights,
            user: user.map(|user| UserStanding { account: user.account.clone(), role: user.role }),
            organisation: organisation.map(|organisation| OrganisationStanding {
                id: organisation.id,
                account: organisation.account.clone(),
                grant: user
                    .and_then(|user| metadata.grants.get(&(organisation.id, user.id.clone())).copied()),
            }),
            repository: repository.map(|(id, Repository { described, .. })| RepositoryStanding {
                id,
                visibility: described.attributes.visibility,
                grant: user.and_then(|user| described.grants.get(&user.id).copied()),
                share: user.and_then(|user| Some(described.shares.get(&user.account)?.deadline)),
            }),
        }
    }

    fn is_readable(
        &self,
        user: Option<&UserId>,
        strangers: bool,
        name: &RepositoryName,
        now: DateTime<Utc>,
    ) -> bool {
        self.standing(user, organisation_of(name).as_ref(), Some(name)).is_readable(strangers, now)
    }

    /// `None` for a repository in no organisation.
    fn details(&self, id: RepositoryId, repository: &Repository) -> Option<RepositoryDetails> {
        let organisation = self.metadata.organisation_of(&repository.name)?;
        let account = self.metadata.accounts.get(&organisation.account)?;
        let Described { attributes, creator, created, updated, pulls, .. } = repository.described.clone();
        let sizes = repository.links.keys().filter_map(|digest| Some(self.records.get(digest)?.size));
        Some(RepositoryDetails {
            id,
            name: repository.name.clone(),
            organisation: organisation.id,
            account: account.id.clone(),
            account_name: account.name.clone(),
            attributes,
            creator,
            created,
            updated,
            versions: repository.tags.len() as u64,
            pulls,
            size: sizes.sum(),
        })
    }

    fn organisations(&self, viewer: &Viewer, partly: bool) -> Vec<ListedOrganisation> {
        let of_account = self.metadata.organisations_of(&viewer.account);
        let listed = of_account.filter_map(|organisation| {
            let key = (organisation.id, viewer.user.clone());
            let level = match viewer.administers {
                true => Some(GrantLevel::Manage),
                false => self.metadata.grants.get(&key).copied(),
            };
            let mut repositories = self.listed_in(&organisation.name);
            let has_part =
                partly && repositories.any(|(_, found)| found.described.grants.contains_key(&viewer.user));
            (level.is_some() || has_part).then(|| ListedOrganisation {
                organisation: organisation.clone(),
                level,
                repositories: self.listed_in(&organisation.name).count() as u64,
            })
        });
        listed.collect()
    }

    fn grants(&self, scope: &GrantScope) -> Option<Vec<Granted>> {
        let grants: Vec<(&UserId, GrantLevel)> = match scope {
            GrantScope::Organisation(name) => {
                let id = self.metadata.organisations.get(name)?.id;
                let all = self.metadata.grants.iter();
                all.filter(|((on, _), _)| *on == id).map(|((_, user), level)| (user, *level)).collect()
            }
            GrantScope::Repository(name) => {
                self.listed(name)?.described.grants.iter().map(|(user, level)| (user, *level)).collect()
            }
        };
        let mut granted: Vec<_> = grants
            .into_iter()
            .filter_map(|(id, level)| {
                let user_name = self.metadata.users.get(id)?.name.clone();
                Some(Granted { user: id.clone(), user_name, level })
            })
            .collect();
        granted.sort_by(|one, other| one.user_name.cmp(&other.user_name));
        Some(granted)
    }

    fn repository_list(&self, query: &RepositoryQuery) -> Listing<RepositoryDetails> {
        let mut fitting: Vec<_> = self
            .all_listed()
            .filter_map(|(id, repository)| Some((repository, self.details(id, repository)?)))
            .filter(|(repository, details)| self.fits(query, repository, details))
            .map(|(_, details)| details)
            .collect();
        fitting.sort_by(|one, other| in_order(query.order, one, other));
        part(fitting, query.descending, query.offset, query.limit)
    }

    fn fits(&self, query: &RepositoryQuery, repository: &Repository, details: &RepositoryDetails) -> bool {
        let viewer = &query.viewer;
        let Described { attributes, grants, shares, .. } = &repository.described;
        let is_own = || {
            let on_organisation = (details.organisation, viewer.user.clone());
            details.account == viewer.account
                && (viewer.administers
                    || attributes.visibility == Visibility::Public
                    || self.metadata.grants.contains_key(&on_organisation)
                    || grants.contains_key(&viewer.user))
        };
        let is_listed = match query.list {
            RepositoryList::Own => is_own(),
            RepositoryList::SharedByUs => is_own() && !shares.is_empty(),
            RepositoryList::SharedWithUs { valid } => {
                let share = shares.get(&viewer.account);
                details.account != viewer.account
                    && share.is_some_and(|share| {
                        valid.is_none_or(|valid| share.deadline.holds_at(query.now) == valid)
                    })
            }
        };
        // Every listed repository with details has an organisation, and so a slash.
        let (organisation, rest) = details.name.as_str().split_once('/').unwrap_or_default();
        is_listed
            && query.organisation.as_deref().is_none_or(|part| organisation.contains(part))
            && query.name.as_deref().is_none_or(|part| rest.contains(part))
            && query.account.as_ref().is_none_or(|name| details.account_name == *name)
            && query.category.is_none_or(|category| attributes.category == category)
            && query.visibility.is_none_or(|visibility| attributes.visibility == visibility)
            && query.after_id.is_none_or(|after| details.id.0 > after)
    }

    pub(super) fn overview(&self, account: &AccountId) -> Overview {
        let mut overview = Overview::default();
        for organisation in self.metadata.organisations_of(account) {
            overview.organisations += 1;
            for (id, repository) in self.listed_in(&organisation.name) {
                let Some(details) = self.details(id, repository) else { continue };
                overview.repositories += 1;
                overview.versions += details.versions;
                overview.bytes += details.size;
                overview.pulls = overview.pulls.saturating_add(details.pulls);
            }
        }
        overview
    }
}

impl Repository {
    fn versions(&self, query: &VersionQuery) -> Listing<Version> {
        let is_after = |tag: &Tag| match &query.after {
            None => true,
            Some(after) if query.descending => tag < after,
            Some(after) => tag > after,
        };
        let mut fitting: Vec<_> = self
            .tags
            .iter()
            .filter(|(tag, _)| query.tag.as_deref().is_none_or(|part| tag.as_str().contains(part)))
            .filter(|(tag, _)| query.exactly.as_ref().is_none_or(|exactly| *tag == exactly))
            .filter(|(tag, _)| is_after(tag))
            .filter_map(|(tag, state)| self.version(tag, state))
            .collect();
        if query.order == VersionOrder::Updated {
            // Of equal times the order of the tags stays.
            fitting.sort_by_key(|version| version.updated);
        }
        part(fitting, query.descending, query.offset, query.limit)
    }

    fn version(&self, tag: &Tag, state: &TagState) -> Option<Version> {
        let record = &self.manifests.get(&state.digest)?.record;
        Some(Version {
            tag: tag.clone(),
            digest: record.digest,
            media_type: record.media_type.clone(),
            manifest: record.bytes.clone(),
            size: self.declared_size(record),
            created: state.created,
            updated: state.updated,
            pulls: state.pulls.map_or(0, |pulls| pulls.count),
        })
    }

    /// The sizes of all that the manifest names, and of what the manifests below it do, each digest once.
    pub(super) fn declared_size(&self, record: &ManifestRecord) -> u64 {
        let (mut counted, mut followed) = (BTreeSet::new(), BTreeSet::new());
        let (mut size, mut waiting) = (0u64, vec![record]);
        while let Some(record) = waiting.pop() {
            for named in &record.references {
                if counted.insert(named.digest) {
                    size = size.saturating_add(named.size);
                }
                if named.kind == ReferenceKind::Manifest && followed.insert(named.digest) {
                    waiting.extend(self.manifests.get(&named.digest).map(|below| &*below.record));
                }
            }
        }
        size
    }
}

fn in_order(order: RepositoryOrder, one: &RepositoryDetails, other: &RepositoryDetails) -> Ordering {
    let organisation = |details: &RepositoryDetails| organisation_of(&details.name);
    let is_public = |details: &RepositoryDetails| details.attributes.visibility == Visibility::Public;
    let ordering = match order {
        RepositoryOrder::Identity => one.id.cmp(&other.id),
        RepositoryOrder::Name => Ordering::Equal,
        RepositoryOrder::Updated => one.updated.cmp(&other.updated),
        RepositoryOrder::Versions => one.versions.cmp(&other.versions),
        RepositoryOrder::Organisation => organisation(one).cmp(&organisation(other)),
        RepositoryOrder::Visibility => is_public(one).cmp(&is_public(other)),
        RepositoryOrder::Account => one.account_name.cmp(&other.account_name),
    };
    ordering.then_with(|| one.name.cmp(&other.name))
}

pub(super) fn part<T>(mut fitting: Vec<T>, descending: bool, offset: u64, limit: NonZeroU32) -> Listing<T> {
    let total = fitting.len() as u64;
    if descending {
        fitting.reverse();
    }
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    Listing { entries: fitting.into_iter().skip(offset).take(most(limit)).collect(), total }
}

/// The entries of the page, in the order of their names.
fn by_name<'a, T: Clone + 'a, N: Ord>(
    all: impl Iterator<Item = &'a T>,
    name: fn(&T) -> &N,
    page: &Page<N>,
) -> Vec<T> {
    let is_after = |entry: &&T| page.after.as_ref().is_none_or(|after| name(entry) > after);
    let mut entries: Vec<T> = all.filter(is_after).cloned().collect();
    entries.sort_by(|one, other| name(one).cmp(name(other)));
    entries.truncate(most(page.limit));
    entries
}

#[async_trait]
impl MetadataStore for MemoryManifests {
    fn decided_on(&self) -> Option<u64> {
        Some(self.tables().changes)
    }

    async fn standing(
        &self,
        user: Option<&UserId>,
        organisation: &OrganisationName,
        repository: Option<&RepositoryName>,
    ) -> Result<Standing, StoreError> {
        Ok(self.tables().standing(user, Some(organisation), repository))
    }

    async fn readable(
        &self,
        user: Option<&UserId>,
        strangers: bool,
        of: Candidates<'_>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let tables = self.tables();
        let may = |name: &RepositoryName| tables.is_readable(user, strangers, name, now);
        Ok(match of {
            Candidates::All(page) => {
                let names = tables.names.range::<RepositoryName, _>(start(page)).map(|(name, _)| name);
                let listed = names.filter(|name| tables.listed(name).is_some());
                listed.filter(|name| may(name)).take(most(page.limit)).cloned().collect()
            }
            Candidates::HoldersOf { digest, near, limit } => {
                tables.holders(digest, near, most(limit)).into_iter().filter(may).collect()
            }
        })
    }

    async fn key_holder(&self, key: &KeyId) -> Result<Option<KeyHolder>, StoreError> {
        Ok(self.tables().metadata.key_holder(key))
    }

    async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.tables().metadata.accounts.get(id).cloned())
    }

    async fn account_named(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        Ok(self.tables().metadata.account_named(name).cloned())
    }

    async fn accounts(&self, page: &Page<AccountName>) -> Result<Vec<Account>, StoreError> {
        Ok(by_name(self.tables().metadata.accounts.values(), |account| &account.name, page))
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        Ok(self.tables().metadata.users.get(id).cloned())
    }

    async fn user_named(&self, account: &AccountId, name: &UserName) -> Result<Option<User>, StoreError> {
        Ok(self.tables().metadata.user_named(account, name).cloned())
    }

    async fn users(&self, account: &AccountId, page: &Page<UserName>) -> Result<Vec<User>, StoreError> {
        let tables = self.tables();
        let users = tables.metadata.users.values().filter(|user| user.account == *account);
        Ok(by_name(users, |user| &user.name, page))
    }

    async fn access_keys(&self, user: &UserId) -> Result<Vec<AccessKey>, StoreError> {
        // Of one time they stay in the order of their ids.
        let mut keys: Vec<_> = self.tables().metadata.keys_of(user).cloned().collect();
        keys.sort_by_key(|key| key.created);
        Ok(keys)
    }

    async fn all_access_keys(&self, page: &Page<KeyId>) -> Result<Vec<AccessKey>, StoreError> {
        let tables = self.tables();
        let keys = tables.metadata.access_keys.range::<KeyId, _>(start(page));
        Ok(keys.take(most(page.limit)).map(|(_, key)| key.clone()).collect())
    }

    async fn token_key(&self, id: &KeyId) -> Result<Option<TokenKey>, StoreError> {
        Ok(self.tables().metadata.token_keys.get(id).cloned())
    }

    async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError> {
        let mut keys: Vec<_> = self.tables().metadata.token_keys.values().cloned().collect();
        keys.sort_by_key(|key| key.created);
        Ok(keys)
    }

    async fn organisation(&self, name: &OrganisationName) -> Result<Option<Organisation>, StoreError> {
        Ok(self.tables().metadata.organisations.get(name).cloned())
    }

    async fn organisations(
        &self,
        viewer: &Viewer,
        partly: bool,
    ) -> Result<Vec<ListedOrganisation>, StoreError> {
        Ok(self.tables().organisations(viewer, partly))
    }

    async fn organisations_by(&self, user: &UserId) -> Result<u64, StoreError> {
        Ok(self.tables().metadata.organisations_by(user) as u64)
    }

    async fn repositories_in(&self, name: &OrganisationName) -> Result<u64, StoreError> {
        Ok(self.tables().listed_in(name).count() as u64)
    }

    async fn grants(&self, scope: &GrantScope) -> Result<Option<Vec<Granted>>, StoreError> {
        Ok(self.tables().grants(scope))
    }

    async fn repository_details(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositoryDetails>, StoreError> {
        let tables = self.tables();
        let found = tables.names.get(name).zip(tables.listed(name));
        Ok(found.and_then(|(id, repository)| tables.details(*id, repository)))
    }

    async fn repository_list(
        &self,
        query: &RepositoryQuery,
    ) -> Result<Listing<RepositoryDetails>, StoreError> {
        Ok(self.tables().repository_list(query))
    }

    async fn versions(
        &self,
        repository: &RepositoryName,
        query: &VersionQuery,
    ) -> Result<Option<Listing<Version>>, StoreError> {
        Ok(self.tables().listed(repository).map(|repository| repository.versions(query)))
    }

    async fn shares(
        &self,
        repository: &RepositoryName,
        page: &Page<AccountName>,
    ) -> Result<Option<Vec<ListedShare>>, StoreError> {
        let tables = self.tables();
        let Some(repository) = tables.listed(repository) else { return Ok(None) };
        let shares: Vec<_> =
            repository.described.shares.values().filter_map(|share| tables.listed_share(share)).collect();
        Ok(Some(by_name(shares.iter(), |listed| &listed.account_name, page)))
    }

    async fn share(
        &self,
        repository: &RepositoryName,
        account: &AccountId,
    ) -> Result<Option<ListedShare>, StoreError> {
        let tables = self.tables();
        let share = tables.listed(repository).and_then(|found| found.described.shares.get(account));
        Ok(share.and_then(|share| tables.listed_share(share)))
    }

    async fn overview(&self, account: &AccountId) -> Result<Overview, StoreError> {
        Ok(self.tables().overview(account))
    }

    async fn usage(
        &self,
        account: &AccountId,
        kind: UsageKind,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<DailyUsage>, StoreError> {
        Ok(self.tables().metadata.usage(account, kind, from, until))
    }

    async fn note_stored(&self, day: NaiveDate) -> Result<(), StoreError> {
        self.changing().note_stored(day);
        Ok(())
    }

    async fn trim_usage(&self, before: NaiveDate, limit: NonZeroU32) -> Result<u64, StoreError> {
        Ok(self.changing().metadata.trim_usage(before, most(limit)))
    }

    async fn commit_metadata(&self, commit: MetadataCommit) -> Result<MetadataReceipt, MetadataCommitError> {
        self.changing().commit_metadata(commit)
    }

    async fn trim_temporary_keys(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        let keys = &mut self.changing().metadata.temporary_keys;
        Ok(keys.extract_if(.., |_, key| key.expires < before).take(most(limit)).count() as u64)
    }

    async fn begin_session(&self, session: &Session, most: NonZeroU32) -> Result<bool, StoreError> {
        let metadata = &mut self.changing().metadata;
        let has_proof = match &session.proof {
            SessionProof::Password(_) => metadata.users.contains_key(&session.user),
            SessionProof::Key(key) => {
                metadata.access_keys.get(key).is_some_and(|key| key.user == session.user)
            }
        };
        if !has_proof {
            return Ok(false);
        }
        let others = metadata.sessions.values().filter(|it| it.user == session.user && it.id != session.id);
        let mut others: Vec<_> = others.map(|other| (other.used, other.id)).collect();
        others.sort_unstable();
        let too_many = others.len().saturating_sub(most.get() as usize - 1);
        for (_, id) in &others[..too_many] {
            metadata.sessions.remove(id);
        }
        metadata.sessions.insert(session.id, session.clone());
        Ok(true)
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionHolder>, StoreError> {
        let metadata = &self.tables().metadata;
        let holder = || {
            let session = metadata.sessions.get(id)?.clone();
            let user = metadata.users.get(&session.user)?.clone();
            let account = metadata.accounts.get(&user.account)?.clone();
            Some(SessionHolder { session, user, account })
        };
        Ok(holder())
    }

    async fn use_session(&self, id: &SessionId, at: DateTime<Utc>) -> Result<(), StoreError> {
        if let Some(session) = self.changing().metadata.sessions.get_mut(id) {
            session.used = session.used.max(at);
        }
        Ok(())
    }

    async fn end_session(&self, id: &SessionId) -> Result<(), StoreError> {
        self.changing().metadata.sessions.remove(id);
        Ok(())
    }

    async fn trim_sessions(
        &self,
        begun: DateTime<Utc>,
        used: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<u64, StoreError> {
        let sessions = &mut self.changing().metadata.sessions;
        let old = sessions.extract_if(.., |_, session| session.begun < begun).take(most(limit)).count();
        let idle = sessions.extract_if(.., |_, session| session.used < used).take(most(limit)).count();
        Ok((old + idle) as u64)
    }

    async fn syncs(&self, repository: &RepositoryName) -> Result<Option<Vec<SyncRule>>, StoreError> {
        let tables = self.tables();
        Ok(tables.listed_id(repository).map(|id| tables.syncs_of(id).cloned().collect()))
    }

    async fn sync_jobs(
        &self,
        repository: &RepositoryName,
        descending: bool,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<SyncJob>>, StoreError> {
        let tables = self.tables();
        let jobs = tables.listed_id(repository).map(|id| tables.sync_jobs_of(id).cloned().collect());
        Ok(jobs.map(|jobs| part(jobs, descending, offset, limit)))
    }

    async fn rule(&self, repository: &RepositoryName) -> Result<Option<RepositoryRule>, StoreError> {
        Ok(self.tables().rule(repository).cloned())
    }

    async fn due_rules(
        &self,
        now: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<RepositoryRule>, StoreError> {
        let mut due = self.tables().due_rules(now);
        due.truncate(most(limit));
        Ok(due)
    }

    async fn rule_ran(
        &self,
        id: RuleId,
        ran: DateTime<Utc>,
        next: DateTime<Utc>,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "metadata.rule_ran")?;
        tables.rule_ran(id, ran, next);
        Ok(())
    }

    async fn aging_facts(
        &self,
        repository: &RepositoryName,
        page: &Page<Tag>,
    ) -> Result<Vec<AgingFacts>, StoreError> {
        Ok(self.tables().listed(repository).map_or_else(Vec::new, |found| found.aging_facts(page)))
    }

    async fn cleared(
        &self,
        repository: &RepositoryName,
        offset: u64,
        limit: NonZeroU32,
    ) -> Result<Option<Listing<Cleared>>, StoreError> {
        let tables = self.tables();
        let cleared = tables.listed_id(repository).map(|id| tables.cleared(id).cloned().collect());
        Ok(cleared.map(|cleared| part(cleared, false, offset, limit)))
    }

    async fn triggers(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Vec<(TriggerId, Trigger)>>, StoreError> {
        let tables = self.tables();
        let Some(of) = tables.listed_id(repository) else { return Ok(None) };
        let triggers = tables.triggers_of(of).map(|(id, made)| (id, made.trigger.clone()));
        let mut triggers: Vec<_> = triggers.collect();
        triggers.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        Ok(Some(triggers))
    }

    async fn sealed_triggers(
        &self,
        after: Option<TriggerId>,
        limit: NonZeroU32,
    ) -> Result<Vec<(TriggerId, Trigger)>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tables = self.tables();
        let triggers = tables.metadata.triggers.range((start, Bound::Unbounded));
        let sealed = triggers.filter(|(_, made)| made.trigger.target.secret().is_some());
        Ok(sealed.take(most(limit)).map(|(id, made)| (*id, made.trigger.clone())).collect())
    }

    async fn reseal_trigger(&self, id: TriggerId, was: &Sealed, sealed: &Sealed) -> Result<bool, StoreError> {
        let mut tables = self.changing();
        let Some(made) = tables.metadata.triggers.get_mut(&id) else { return Ok(false) };
        match &mut made.trigger.target {
            TriggerTarget::Webhook { secret: Some(secret), .. } if secret == was => {
                *secret = sealed.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn deliveries(&self, trigger: TriggerId, limit: NonZeroU32) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.tables().metadata.deliveries_of(trigger).take(most(limit)).cloned().collect())
    }

    async fn fan_out(
        &self,
        deliveries: &[NewDelivery],
        consumer: &str,
        upto: EventSeq,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "metadata.fan_out")?;
        tables.metadata.add_deliveries(deliveries);
        tables.advance(consumer, upto);
        Ok(())
    }

    async fn claim_deliveries(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: NonZeroU32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        Ok(self.changing().metadata.claim_deliveries(now, until, most(limit)))
    }

    async fn settle_delivery(&self, claimed: &ClaimedDelivery, tried: &Tried) -> Result<(), StoreError> {
        self.changing().metadata.settle_delivery(claimed, tried);
        Ok(())
    }

    async fn revive_delivery(
        &self,
        trigger: TriggerId,
        id: &DeliveryId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(self.changing().metadata.revive_delivery(trigger, id, now))
    }

    async fn trim_history(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        Ok(self.changing().metadata.trim_history(before, most(limit)))
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Vec<Trace>, StoreError> {
        Ok(self.tables().metadata.traces(query))
    }

    async fn traces_after(&self, seq: u64, limit: NonZeroU32) -> Result<Vec<Trace>, StoreError> {
        let tables = self.tables();
        let traces = tables.metadata.traces.range((Bound::Excluded(seq), Bound::Unbounded));
        Ok(traces.take(most(limit)).map(|(_, trace)| trace.clone()).collect())
    }

    async fn record_operations(&self, operations: &[TracedOperation]) -> Result<(), StoreError> {
        self.changing().metadata.record_operations(operations);
        Ok(())
    }

    async fn trace_cursor(&self, consumer: &str) -> Result<u64, StoreError> {
        Ok(self.tables().metadata.trace_cursors.get(consumer).copied().unwrap_or_default())
    }

    async fn advance_traces(&self, consumer: &str, upto: u64, fence: &Fence) -> Result<(), StoreError> {
        let mut tables = self.changing();
        tables.fenced(fence, "metadata.advance_traces")?;
        let cursor = tables.metadata.trace_cursors.entry(consumer.to_owned()).or_default();
        *cursor = (*cursor).max(upto);
        Ok(())
    }

    async fn trim_traces(&self, before: DateTime<Utc>, limit: NonZeroU32) -> Result<u64, StoreError> {
        let mut tables = self.changing();
        let past = tables.metadata.traces.extract_if(.., |_, trace| trace.at < before);
        Ok(past.take(most(limit)).count() as u64)
    }
}

impl Tables {
    fn listed_share(&self, share: &Share) -> Option<ListedShare> {
        let account_name = self.metadata.accounts.get(&share.account)?.name.clone();
        Some(ListedShare { share: share.clone(), account_name })
    }
}
