//! The [`MetadataStore`] contract, one clause a function.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use swr_policy::aging::{AgeMeasure, AgingLimit, NewestCount};
use swr_policy::{
    AgingRule, OrganisationName, Pattern, RepositoryName, Tag, TagSelector, TriggerCondition, TriggerName,
    TriggerRule, VersionFacts,
};

use super::minute;
use super::sample_images::SampleManifest;
use crate::caller::{Actor, Caller, Channel, Identity, Origin, Task};
use crate::commit::{Change, Commit, CommitError, Receipt, Require, RightsVersion};
use crate::control::change::{
    Effect, MetadataChange, MetadataCommit, MetadataCommitError, MetadataReceipt, MetadataRequire,
};
use crate::control::credential::{AccessKey, KeyId, Sealed, TemporaryKey, TokenKey};
use crate::control::grant::{Grant, GrantLevel, GrantScope};
use crate::control::identity::{
    Account, AccountId, AccountName, PasswordHash, ProjectId, Role, User, UserId, UserName,
};
use crate::control::repository::{Attributes, Category, RepositoryDetails, Visibility};
use crate::control::rule::RuleId;
use crate::control::share::{Deadline, Share};
use crate::control::standing::Standing;
use crate::control::sync::{SyncJob, SyncRule, SyncTarget};
use crate::control::trace::{Trace, TraceQuery};
use crate::control::trigger::{DeliveryId, Trigger, TriggerId, TriggerTarget};
use crate::digest::{Algorithm, Digest};
use crate::event::{EventSeq, RecordedEvent};
use crate::ports::{
    Fence, Lease, MetadataStore, NewDelivery, Page, RepositoryList, RepositoryOrder, RepositoryQuery,
    VersionOrder, VersionQuery, Viewer,
};

mod credentials;
mod deliveries;
mod grants;
mod identity;
mod lists;
mod organisations;
mod races;
mod repositories;
mod requirements;
mod rules;
mod sessions;
mod shares;
mod standing;
mod syncs;
mod traces;
mod triggers;
mod usage;
mod versions;

pub use credentials::*;
pub use deliveries::*;
pub use grants::*;
pub use identity::*;
pub use lists::*;
pub use organisations::*;
pub use races::*;
pub use repositories::*;
pub use requirements::*;
pub use rules::*;
pub use sessions::*;
pub use shares::*;
pub use standing::*;
pub use syncs::*;
pub use traces::*;
pub use triggers::*;
pub use usage::*;
pub use versions::*;

#[doc(hidden)]
#[macro_export]
macro_rules! metadata_store_clauses {
    ($stamp:path, $($opening:tt)*) => {
        $stamp! {
            $crate::testing::metadata_store,
            [
                // Identity.
                a_new_store_has_nobody
                an_account_is_found_by_its_id_and_its_name
                accounts_come_page_by_page_in_the_order_of_their_names
                a_name_belongs_to_one_account
                a_user_is_found_by_its_id_and_its_name
                users_come_page_by_page_in_the_order_of_their_names
                a_name_belongs_to_one_user_of_an_account
                a_user_needs_its_account
                removing_a_user_takes_its_keys_and_its_grants
                what_a_user_created_stays
                // Credentials.
                access_keys_come_oldest_first
                all_access_keys_come_page_by_page_in_the_order_of_their_ids
                a_key_leads_to_its_holder
                a_key_sealed_anew_is_the_same_key
                an_id_belongs_to_one_key_of_either_kind
                a_key_needs_its_user
                a_temporary_key_needs_the_key_it_was_issued_with
                removing_an_access_key_takes_the_temporary_keys_issued_with_it
                expired_temporary_keys_are_trimmed
                token_keys_come_oldest_first
                // Sessions.
                a_session_leads_to_its_holder
                a_session_needs_what_it_is_begun_with
                a_session_ends_when_it_is_ended_and_with_what_it_was_begun_with
                sessions_of_a_user_are_so_many_at_most
                sessions_that_are_old_or_idle_are_trimmed
                a_session_leaves_no_trace
                // Organisations.
                an_organisation_says_who_made_it_and_when
                a_name_belongs_to_one_organisation
                an_organisation_needs_its_creator_in_its_account
                an_organisation_made_again_inherits_nothing
                organisations_are_listed_for_whoever_has_a_level_in_them
                organisations_are_listed_for_whoever_has_a_part_of_them
                an_organisation_counts_the_repositories_listed_in_it
                organisations_count_for_their_creator_while_they_are_there
                repositories_of_a_removed_organisation_are_in_none
                // Repositories.
                a_repository_made_by_hand_is_as_it_was_said
                a_repository_that_a_push_makes_is_private
                a_hidden_repository_has_no_details
                a_repository_made_by_nobody_has_no_creator
                attributes_are_said_anew
                details_follow_what_the_repository_holds
                a_repository_is_updated_by_its_tags
                pulls_stay_counted_when_what_was_pulled_is_gone
                a_repository_made_again_inherits_nothing
                // Lists of repositories, and what an account has.
                own_repositories_are_those_that_the_viewer_may_pull
                shared_repositories_are_those_of_other_accounts
                own_repositories_that_are_shared_are_listed
                repositories_are_filtered_by_parts_of_their_names
                repositories_are_filtered_by_what_is_said_of_them
                repositories_come_in_each_order_and_backwards
                lists_of_repositories_come_in_parts_of_a_whole
                lists_of_repositories_come_page_by_page_in_the_order_of_their_ids
                an_overview_counts_what_an_account_has
                // Versions.
                a_version_is_what_its_tag_points_to
                an_image_is_as_large_as_it_declares
                an_index_is_as_large_as_all_below_it
                a_version_is_as_old_as_its_tag
                versions_come_in_each_order_and_backwards
                versions_are_filtered_by_their_tags
                lists_of_versions_come_in_parts_of_a_whole
                versions_of_what_is_not_listed_are_unknown
                // Grants.
                grants_come_in_the_order_of_their_users_names
                a_grant_is_changed_and_removed
                grants_on_an_organisation_and_on_its_repositories_are_told_apart
                grants_on_what_is_not_there_are_unknown
                a_grant_needs_what_it_is_on_and_its_user
                // Shares.
                shares_come_page_by_page_in_the_order_of_their_accounts_names
                a_share_is_changed_and_ended
                a_share_needs_its_repository_and_its_account
                shares_of_what_is_not_listed_are_unknown
                a_share_lasts_until_its_deadline
                // Aging rules.
                a_rule_is_put_changed_and_removed
                the_same_rule_stays_due_when_it_was
                a_rule_needs_its_repository
                due_rules_come_longest_due_first
                a_rule_that_was_changed_while_it_ran_stays_due
                a_rule_has_run_only_by_its_leaseholder
                aging_facts_say_when_a_version_was_set_and_pulled
                aging_facts_say_what_a_version_is_needed_by
                what_a_rule_cleared_is_kept_newest_first
                what_a_rule_cleared_outlives_the_rule
                a_repository_made_again_has_none_of_what_ran_for_it
                no_number_of_a_rule_a_trigger_or_a_synchronisation_is_given_twice
                // Triggers.
                triggers_come_in_the_order_of_their_names
                secrets_of_triggers_are_sealed_anew
                a_name_belongs_to_one_trigger_of_a_repository
                a_trigger_is_enabled_disabled_and_removed
                what_runs_for_a_repository_is_there_or_it_is_not
                // Deliveries.
                a_delivery_of_an_event_and_a_trigger_is_made_once
                a_fence_that_is_no_longer_the_leases_fans_nothing_out
                versions_from_before_fire_no_trigger
                two_claimers_never_hold_one_delivery
                a_claim_that_lapsed_settles_nothing_once_there_is_another
                targets_are_served_in_order_and_side_by_side
                deliveries_are_claimed_as_many_as_wanted
                deliveries_of_a_disabled_trigger_wait_and_let_others_pass
                a_removed_trigger_takes_its_deliveries
                a_delivery_that_was_given_up_is_revived
                settled_deliveries_are_trimmed_in_small_batches
                deliveries_of_removed_triggers_are_trimmed_in_small_batches
                // Synchronisation.
                a_synchronisation_put_twice_is_the_same_one
                synchronisation_jobs_come_in_parts_both_ways
                synchronisation_jobs_are_trimmed_in_small_batches
                // Usage.
                what_accounts_keep_is_noted_for_a_day
                what_is_pulled_is_noted_for_its_day
                bytes_that_no_number_holds_stop_at_the_greatest
                what_was_noted_is_trimmed_by_its_day_in_small_batches
                // Standing, and what can be read.
                a_standing_is_all_that_a_decision_weighs
                nobody_in_particular_has_no_standing
                what_is_not_there_has_no_standing
                what_can_be_read_agrees_with_the_standing
                what_can_be_read_comes_page_by_page
                readable_holders_come_near_ones_first
                // Rights.
                rights_move_with_whatever_can_change_a_decision
                rights_stay_with_whatever_cannot
                removing_a_repository_moves_rights
                an_old_count_of_rights_refuses_the_commit
                // Requirements.
                names_are_free_until_they_are_taken
                accounts_and_users_exist_or_they_do_not
                an_operator_beside_another_is_found_anywhere
                keys_are_free_and_whose_they_are
                access_keys_are_fewer_than_a_limit
                organisations_exist_and_are_empty
                organisations_are_fewer_than_a_limit
                repositories_exist_and_are_private
                grants_exist_or_they_do_not
                shares_exist_and_are_fewer_than_a_limit
                every_unmet_requirement_of_metadata_is_named_in_order
                an_unmet_requirement_changes_no_metadata
                requirements_look_at_metadata_before_the_first_change
                a_change_finds_what_those_before_it_left
                nothing_of_a_metadata_commit_refused_on_its_way_is_left
                // Traces.
                every_effective_change_leaves_one_trace
                a_change_that_changes_nothing_leaves_no_trace
                a_trace_says_who_where_and_when
                a_trace_is_in_the_trail_of_whoever_acts
                a_trace_of_nobody_is_in_the_trail_of_whom_it_is_about
                a_trace_of_what_is_nobodys_is_left_out
                a_trace_keeps_the_name_of_its_time
                no_trace_has_a_secret
                traces_are_found_by_each_of_their_fields
                traces_come_page_by_page_newest_first
                traces_of_all_accounts_come_in_order_after_a_place
                traces_are_trimmed_by_age
                consumers_of_traces_are_remembered
                consumers_of_traces_and_of_events_have_nothing_in_common
                operations_that_change_nothing_are_recorded
                pushes_leave_traces
                removals_leave_traces
                strangers_and_collection_leave_no_traces
                aging_leaves_traces_with_the_owner
                a_commit_and_its_traces_are_one
                a_trace_tells_its_change_back
                // Races.
                creators_at_once_never_exceed_a_limit
                one_of_many_creators_of_a_name_wins
                keys_and_shares_at_once_never_exceed_a_limit
                a_right_and_its_loss_never_both_win
                the_trail_shows_no_gap_that_fills_later
            ],
            [
                metadata_is_there_after_reopening
                metadata_ids_and_counts_go_on_after_reopening
            ],
            $($opening)*
        }
    };
}

/// A store as the clauses see it: through whoever acts, with short words for what it does.
#[derive(Clone)]
struct Scene<'a> {
    store: &'a dyn MetadataStore,
    actor: Actor,
}

impl<'a> Scene<'a> {
    /// A store in which whoever runs it acts.
    fn new(store: &'a dyn MetadataStore) -> Self {
        Self { store, actor: Actor::Caretaker(Task::Administration) }
    }

    /// As [`Self::new`], with two accounts and their people: Ada, who administers the north, Bob and Cyd; Eve, who
    /// administers the south, and Dan.
    async fn peopled(store: &'a dyn MetadataStore) -> Self {
        let scene = Self::new(store);
        let accounts = [north(), south()].map(MetadataChange::PutAccount);
        let users = [ada(), bob(), cyd(), eve(), dan()].map(MetadataChange::PutUser);
        scene.commit(minute(0), accounts.into_iter().chain(users).collect::<Vec<_>>()).await;
        scene
    }

    /// As [`Self::peopled`], with the organisation `lib` of the north, and `pub` of the south.
    async fn settled(store: &'a dyn MetadataStore) -> Self {
        let scene = Self::peopled(store).await;
        let organisations = [create_organisation("lib", &ada()), create_organisation("pub", &eve())];
        scene.commit(minute(0), organisations).await;
        scene
    }

    /// The same store, in which this user acts.
    fn by(&self, user: &User) -> Self {
        self.by_actor(Actor::Caller(Caller::User(Identity::new(user.id.as_str()))))
    }

    fn by_actor(&self, actor: Actor) -> Self {
        Self { store: self.store, actor }
    }

    /// Commits, which must not be refused, and says what the changes came to.
    async fn commit(&self, at: DateTime<Utc>, changes: impl Into<Vec<MetadataChange>>) -> Vec<Effect> {
        self.attempt(at, [], changes).await.unwrap().effects
    }

    async fn attempt(
        &self,
        at: DateTime<Utc>,
        requires: impl Into<Vec<MetadataRequire>>,
        changes: impl Into<Vec<MetadataChange>>,
    ) -> Result<MetadataReceipt, MetadataCommitError> {
        let commit = MetadataCommit {
            actor: self.actor.clone(),
            origin: origin(),
            at,
            requires: requires.into(),
            changes: changes.into(),
        };
        let decided_on = self.store.decided_on();
        let receipt = self.store.commit_metadata(commit).await?;
        self.decides_anew_since(decided_on);
        Ok(receipt)
    }

    /// What was remembered under the number holds no more.
    fn decides_anew_since(&self, decided_on: Option<u64>) {
        let now = self.store.decided_on();
        assert!(decided_on.is_none() || now > decided_on, "{now:?} after {decided_on:?} and a change");
    }

    /// Changes content, which must not be refused.
    async fn change(&self, at: DateTime<Utc>, repository: &str, changes: impl Into<Vec<Change>>) -> Receipt {
        self.attempt_change(at, repository, [], changes).await.unwrap()
    }

    async fn attempt_change(
        &self,
        at: DateTime<Utc>,
        repository: &str,
        requires: impl Into<Vec<Require>>,
        changes: impl Into<Vec<Change>>,
    ) -> Result<Receipt, CommitError> {
        let commit = Commit {
            repository: repository_name(repository),
            actor: self.actor.clone(),
            origin: origin(),
            at,
            requires: requires.into(),
            changes: changes.into(),
        };
        let decided_on = self.store.decided_on();
        let receipt = self.store.commit(commit).await?;
        self.decides_anew_since(decided_on);
        Ok(receipt)
    }

    /// Pushes as a client does: the blobs first, then the manifest and its tags in a commit.
    async fn push(
        &self,
        at: DateTime<Utc>,
        repository: &str,
        manifest: &SampleManifest,
        tags: &[&str],
    ) -> Digest {
        for blob in manifest.blobs() {
            let location = format!("place of {}", blob.digest);
            self.change(at, repository, [Change::LinkStored(blob.stored_at(&location))]).await;
        }
        let record = manifest.record();
        let digest = record.digest;
        let mut changes = vec![Change::CreateRepository, Change::PutManifest(record)];
        changes.extend(tags.iter().map(|tag| set_tag(tag, digest)));
        self.change(at, repository, changes).await;
        digest
    }

    /// The fence of a lease that lasts for ever.
    async fn fence(&self, name: &str) -> Fence {
        let lease = Lease { name, holder: "one", now: minute(0), until: minute(1_000_000) };
        self.store.lease(&lease).await.unwrap().unwrap()
    }

    /// Adds deliveries, and says that the events up to this one were looked at.
    async fn fan_out(&self, deliveries: &[NewDelivery], upto: u64) {
        let fence = self.fence("triggers").await;
        self.store.fan_out(deliveries, "triggers", EventSeq(upto), &fence).await.unwrap();
    }

    /// The count of changes of rights.
    async fn rights(&self) -> RightsVersion {
        self.store.standing(None, &organisation_name("lib"), None).await.unwrap().rights
    }

    /// What the user is to the repository.
    async fn standing(&self, user: Option<&User>, repository: &str) -> Standing {
        let name = repository_name(repository);
        let organisation = crate::control::organisation::organisation_of(&name).unwrap();
        self.store.standing(user.map(|user| &user.id), &organisation, Some(&name)).await.unwrap()
    }

    async fn details(&self, repository: &str) -> Option<RepositoryDetails> {
        self.store.repository_details(&repository_name(repository)).await.unwrap()
    }

    /// The names of the repositories that fit the query, and how many there are in all.
    async fn listed(&self, query: &RepositoryQuery) -> (Vec<String>, u64) {
        let listing = self.store.repository_list(query).await.unwrap();
        (listing.entries.iter().map(|details| details.name.to_string()).collect(), listing.total)
    }

    /// The users that have a grant, and how much, in their order.
    async fn granted(&self, scope: &GrantScope) -> Option<Vec<(String, GrantLevel)>> {
        let grants = self.store.grants(scope).await.unwrap()?;
        Some(grants.into_iter().map(|granted| (granted.user_name.to_string(), granted.level)).collect())
    }

    /// The newest traces of an account, newest first.
    async fn traces(&self, account: &Account) -> Vec<Trace> {
        self.store.traces(&TraceQuery::of(account.id.clone(), limit(1000))).await.unwrap()
    }

    /// All traces of all accounts, in order.
    async fn trail(&self) -> Vec<Trace> {
        self.store.traces_after(0, limit(100_000)).await.unwrap()
    }

    /// Everything in the log of events.
    async fn log(&self) -> Vec<RecordedEvent> {
        self.store.events(EventSeq::START, limit(100_000)).await.unwrap()
    }
}

// Who there is.

fn north() -> Account {
    account("north")
}

fn south() -> Account {
    account("south")
}

fn ada() -> User {
    user("north", "ada", Role::Administrator)
}

fn bob() -> User {
    user("north", "bob", Role::Member)
}

fn cyd() -> User {
    user("north", "cyd", Role::Member)
}

fn eve() -> User {
    user("south", "eve", Role::Administrator)
}

fn dan() -> User {
    user("south", "dan", Role::Member)
}

/// The account of this name: the same one every time.
pub(super) fn account(name: &str) -> Account {
    Account {
        id: AccountId::parse(&hex(&format!("the account {name}"))).unwrap(),
        name: AccountName::parse(name).unwrap(),
        project: ProjectId::parse(&hex(&format!("the project of {name}"))).unwrap(),
        agency: false,
        created: minute(0),
    }
}

/// The user of this name in the account of that name: the same one every time.
pub(super) fn user(account_name: &str, name: &str, role: Role) -> User {
    User {
        id: UserId::parse(&hex(&format!("{name} of {account_name}"))).unwrap(),
        account: account(account_name).id,
        name: UserName::parse(name).unwrap(),
        role,
        password: Some(PasswordHash::new(format!("$argon2id$v=19$of-{name}"))),
        created: minute(0),
    }
}

/// 32 hexadecimal digits that no other text has.
fn hex(text: &str) -> String {
    format!("{:.32}", Algorithm::Sha256.digest(text.as_bytes()).hex())
}

pub(super) fn viewer(user: &User) -> Viewer {
    Viewer { user: user.id.clone(), account: user.account.clone(), administers: user.role.administers() }
}

// What they have.

pub(super) fn key_id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

pub(super) fn access_key(id: &str, user: &User, created: DateTime<Utc>) -> AccessKey {
    AccessKey {
        id: key_id(id),
        user: user.id.clone(),
        description: format!("the key {id}").into(),
        secret: Some(Sealed::new(format!("sealed {id}").into_bytes())),
        created,
    }
}

pub(super) fn temporary_key(
    id: &str,
    user: &User,
    issued_with: Option<&str>,
    expires: DateTime<Utc>,
) -> TemporaryKey {
    let mut secret = [0; 32];
    secret.copy_from_slice(&hex(id).as_bytes()[..32]);
    TemporaryKey {
        id: key_id(id),
        user: user.id.clone(),
        issued_with: issued_with.map(key_id),
        secret,
        expires,
    }
}

pub(super) fn token_key(id: &str, created: DateTime<Utc>) -> TokenKey {
    TokenKey { id: key_id(id), secret: Some(Sealed::new(format!("sealed {id}").into_bytes())), created }
}

// What there is.

pub(super) fn organisation_name(text: &str) -> OrganisationName {
    OrganisationName::parse(text).unwrap()
}

pub(super) fn repository_name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(super) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn set_tag(text: &str, digest: Digest) -> Change {
    Change::SetTag { tag: tag(text), digest }
}

pub(super) fn create_organisation(name: &str, creator: &User) -> MetadataChange {
    MetadataChange::CreateOrganisation {
        name: organisation_name(name),
        account: creator.account.clone(),
        creator: creator.id.clone(),
    }
}

fn remove_organisation(name: &str) -> MetadataChange {
    MetadataChange::RemoveOrganisation(organisation_name(name))
}

pub(super) fn create_repository(name: &str, visibility: Visibility) -> MetadataChange {
    MetadataChange::CreateRepository {
        name: repository_name(name),
        attributes: Attributes { visibility, ..Attributes::default() },
    }
}

fn set_attributes(name: &str, attributes: Attributes) -> MetadataChange {
    MetadataChange::SetAttributes { name: repository_name(name), attributes }
}

fn set_visibility(name: &str, visibility: Visibility) -> MetadataChange {
    set_attributes(name, Attributes { visibility, ..Attributes::default() })
}

pub(super) fn in_organisation(name: &str) -> GrantScope {
    GrantScope::Organisation(organisation_name(name))
}

pub(super) fn on_repository(name: &str) -> GrantScope {
    GrantScope::Repository(repository_name(name))
}

fn grant(scope: GrantScope, user: &User, level: GrantLevel) -> MetadataChange {
    MetadataChange::PutGrant(Grant { scope, user: user.id.clone(), level, created: minute(0) })
}

fn remove_grant(scope: GrantScope, user: &User) -> MetadataChange {
    MetadataChange::RemoveGrant { scope, user: user.id.clone() }
}

/// Shared by Ada, as of the beginning.
pub(super) fn share(repository: &str, account: &Account, deadline: Deadline) -> Share {
    Share {
        repository: repository_name(repository),
        account: account.id.clone(),
        deadline,
        description: "".into(),
        creator: ada().id,
        creator_name: ada().name,
        created: minute(0),
        updated: minute(0),
    }
}

fn put_share(repository: &str, account: &Account, deadline: Deadline) -> MetadataChange {
    MetadataChange::PutShare(share(repository, account, deadline))
}

fn remove_share(repository: &str, account: &Account) -> MetadataChange {
    MetadataChange::RemoveShare { repository: repository_name(repository), account: account.id.clone() }
}

// What runs for a repository.

/// All versions but so many of the newest go.
pub(super) fn keep_newest(count: u32) -> AgingRule {
    AgingRule::new(AgingLimit::Count(NewestCount::new(count).unwrap()))
}

pub(super) fn put_rule(repository: &str, count: u32) -> MetadataChange {
    MetadataChange::PutRule { repository: repository_name(repository), rule: keep_newest(count) }
}

pub(super) fn trigger_name(text: &str) -> TriggerName {
    TriggerName::parse(text).unwrap()
}

/// Made by Ada at the beginning: it tells this address of every version.
pub(super) fn trigger(repository: &str, name: &str, url: &str) -> Trigger {
    Trigger {
        repository: repository_name(repository),
        name: trigger_name(name),
        rule: TriggerRule { condition: TriggerCondition::All, enabled: true },
        target: TriggerTarget::Webhook {
            url: url.into(),
            secret: Some(Sealed::new(format!("sealed {name}").into_bytes())),
        },
        creator: ada().id,
        creator_name: ada().name,
        created: minute(0),
    }
}

pub(super) fn create_trigger(repository: &str, name: &str, url: &str) -> MetadataChange {
    MetadataChange::CreateTrigger(trigger(repository, name, url))
}

pub(super) fn enable(repository: &str, name: &str, enabled: bool) -> MetadataChange {
    MetadataChange::EnableTrigger {
        repository: repository_name(repository),
        name: trigger_name(name),
        enabled,
    }
}

pub(super) fn remove_trigger(repository: &str, name: &str) -> MetadataChange {
    MetadataChange::RemoveTrigger { repository: repository_name(repository), name: trigger_name(name) }
}

/// Of the event of this place, which set this tag.
pub(super) fn delivery(trigger: TriggerId, event: u64, text: &str, at: DateTime<Utc>) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::random(),
        trigger,
        event: EventSeq(event),
        tag: tag(text),
        digest: Algorithm::Sha256.digest(text.as_bytes()),
        at,
    }
}

pub(super) fn sync_target(region: &str, organisation: &str) -> SyncTarget {
    SyncTarget { region: region.into(), organisation: organisation.into() }
}

/// As of the first minute, without replacing anything.
pub(super) fn sync(repository: &str, region: &str, organisation: &str, auto: bool) -> SyncRule {
    SyncRule {
        id: 0,
        repository: repository_name(repository),
        target: sync_target(region, organisation),
        auto,
        overwrite: false,
        created: minute(1),
        updated: minute(1),
    }
}

pub(super) fn put_sync(repository: &str, region: &str, organisation: &str, auto: bool) -> MetadataChange {
    MetadataChange::PutSync(sync(repository, region, organisation, auto))
}

pub(super) fn remove_sync(repository: &str, region: &str, organisation: &str) -> MetadataChange {
    MetadataChange::RemoveSync {
        repository: repository_name(repository),
        target: sync_target(region, organisation),
    }
}

/// Asked for by Ada in the first minute.
pub(super) fn sync_job(repository: &str, text: &str, region: &str) -> SyncJob {
    SyncJob {
        id: 0,
        repository: repository_name(repository),
        tag: tag(text),
        target: sync_target(region, "lib"),
        overwrite: true,
        status: "waiting".into(),
        operator: ada().id,
        operator_name: ada().name,
        created: minute(1),
        updated: minute(1),
    }
}

pub(super) fn add_sync_job(repository: &str, text: &str, region: &str) -> MetadataChange {
    MetadataChange::AddSyncJob(sync_job(repository, text, region))
}

// What is asked.

fn limit(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn page<T>(after: Option<T>, count: u32) -> Page<T> {
    Page { after, limit: limit(count) }
}

/// All that the list has, as of the hundredth minute.
pub(super) fn repositories_of(user: &User, list: RepositoryList) -> RepositoryQuery {
    RepositoryQuery {
        viewer: viewer(user),
        now: minute(100),
        list,
        organisation: None,
        name: None,
        account: None,
        category: None,
        visibility: None,
        after_id: None,
        order: RepositoryOrder::Name,
        descending: false,
        offset: 0,
        limit: limit(1000),
    }
}

/// All versions.
pub(super) fn all_versions() -> VersionQuery {
    VersionQuery {
        tag: None,
        exactly: None,
        after: None,
        order: VersionOrder::Tag,
        descending: false,
        offset: 0,
        limit: limit(1000),
    }
}

pub(super) fn origin() -> Origin {
    Origin {
        source: Some([192, 0, 2, 7].into()),
        request_id: Some("request 1".into()),
        channel: Channel::Console,
        call: Some("POST /v2/manage/namespaces".into()),
    }
}

/// What the commit was refused for.
#[track_caller]
fn unmet(outcome: Result<MetadataReceipt, MetadataCommitError>) -> Vec<MetadataRequire> {
    match outcome {
        Err(MetadataCommitError::Unmet(requires)) => requires,
        other => panic!("the commit should have met unmet requirements: {other:?}"),
    }
}
