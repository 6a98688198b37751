//! The [`ManifestStore`] contract, one clause a function.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use swr_policy::{RepositoryName, Tag};

use super::minute;
use super::sample_images::SampleManifest;
use crate::caller::{Actor, Caller, Channel, Identity, Origin};
use crate::commit::{BlobLocation, Change, Commit, CommitError, Receipt, RepositoryId, Require};
use crate::digest::Digest;
use crate::event::{Event, EventSeq, RecordedEvent};
use crate::manifest::StoredManifest;
use crate::ports::{Fence, Lease, LinkedBlob, ManifestStore, Page, WithBytes};
use crate::reference::Reference;

mod changes;
mod collection;
mod content;
mod holding;
mod leases;
mod lists;
mod log;
mod races;
mod requirements;
mod scrubbing;

pub use changes::*;
pub use collection::*;
pub use content::*;
pub use holding::*;
pub use leases::*;
pub use lists::*;
pub use log::*;
pub use races::*;
pub use requirements::*;
pub use scrubbing::*;

#[doc(hidden)]
#[macro_export]
macro_rules! manifest_store_clauses {
    ($stamp:path, $($opening:tt)*) => {
        $stamp! {
            $crate::testing::manifest_store,
            [
                // Changes.
                a_new_store_is_empty
                a_commit_without_changes_records_nothing
                creating_a_repository_lists_it
                a_link_makes_a_hidden_repository
                a_manifest_makes_a_hidden_repository
                a_hidden_repository_can_become_listed
                removals_make_no_repository
                removing_a_repository_takes_all_it_held
                removing_a_hidden_repository_is_no_event
                a_name_made_again_inherits_nothing
                a_repository_id_is_never_given_twice
                every_effective_change_is_an_event_in_order
                a_change_that_changes_nothing_records_nothing
                an_event_says_who_where_and_when
                a_manifest_keeps_its_bytes_and_its_type
                a_manifest_pushed_again_stays_as_it_was
                two_digests_of_the_same_bytes_are_two_manifests
                a_tag_remembers_the_digest_it_was_set_to
                a_tag_set_to_what_it_has_moves_its_time_alone
                a_tag_that_moves_tells_where_it_pointed
                removing_a_tag_leaves_the_manifest_and_its_other_tags
                removing_a_manifest_takes_its_tags_along
                a_tag_cannot_point_to_what_is_not_there
                changes_apply_in_their_order
                nothing_of_a_commit_refused_on_its_way_is_left
                // Requirements.
                grounds_hold_while_the_name_leads_to_the_repository
                a_blob_is_linked_or_it_is_not
                a_blob_is_unnamed_until_a_manifest_names_it
                a_blob_is_linked_in_another_repository_or_it_is_not
                a_manifest_is_present_or_absent
                a_manifest_is_tagged_only_by_the_tags_listed
                a_tag_is_unset_or_points_there
                a_tag_is_where_and_when_it_was_set
                a_tag_is_set_or_it_is_not
                every_unmet_requirement_is_named_in_order
                an_unmet_requirement_changes_nothing
                requirements_look_at_what_was_before_the_first_change
                // Content.
                a_blob_is_seen_only_where_it_was_linked
                a_blob_is_where_it_was_brought
                unlinking_hides_a_blob_here_and_nowhere_else
                linking_again_renews_the_link
                linking_what_nobody_has_is_refused
                a_retry_of_a_link_is_quiet
                content_brought_twice_stays_at_its_first_place
                content_at_a_listed_location_cannot_be_linked
                content_at_a_spent_location_cannot_be_linked
                another_place_for_live_content_is_listed_once
                quarantined_content_is_unknown_everywhere
                quarantine_elsewhere_changes_nothing
                a_push_heals_quarantined_content
                healing_takes_bytes_that_are_still_there
                a_retry_does_not_heal
                // Lists.
                tags_come_page_by_page_in_byte_order
                tags_of_a_manifest_come_in_order
                repositories_come_page_by_page_in_byte_order
                names_that_look_alike_share_nothing
                referrers_come_page_by_page_in_order
                referrers_are_told_apart_by_type
                referrers_are_described_in_full
                referrers_of_an_absent_subject_are_listed
                a_removed_manifest_is_no_referrer
                a_page_of_referrers_is_bounded_in_bytes
                holders_come_near_ones_first
                manifests_naming_something_come_in_order
                // What holds a manifest.
                what_nothing_ever_held_is_not_unused
                a_manifest_is_unused_since_it_lost_its_last_tag
                a_manifest_is_unused_since_its_tag_moved_away
                a_manifest_tagged_again_is_used
                an_index_holds_what_it_names
                an_index_holds_what_came_after_it
                a_subject_holds_what_refers_to_it
                a_subject_that_comes_back_holds_again
                a_push_starts_the_time_of_an_unused_manifest_again
                asking_after_a_manifest_starts_its_time_again
                a_manifest_removed_and_pushed_anew_has_no_past
                a_tag_that_is_replaced_in_one_commit_does_not_let_go
                // What nobody needs.
                manifests_unused_for_long_enough_are_released
                manifests_can_be_kept_for_good
                what_a_released_index_held_starts_its_time
                links_that_no_manifest_needs_are_released
                hidden_repositories_without_content_are_released
                removed_repositories_are_emptied_at_once
                emptying_a_removed_repository_spares_its_successor
                a_release_is_bounded
                releasing_needs_the_lease
                content_without_a_link_is_discarded
                content_with_a_link_anywhere_is_never_discarded
                content_of_late_is_not_discarded
                discarding_is_bounded
                discarding_needs_the_lease
                discarded_content_can_be_brought_anew
                a_stray_is_listed_unless_its_digest_lives_there
                a_stray_that_was_discarded_is_never_named
                discarding_a_stray_needs_the_lease
                garbage_comes_page_by_page_in_order
                garbage_waits_until_it_was_listed_long_enough_ago
                garbage_once_forgotten_is_spent
                forgetting_what_is_not_listed_changes_nothing
                forgetting_needs_the_lease
                spent_locations_are_trimmed_by_age
                // Looking after what there is.
                records_come_page_by_page_in_order
                a_location_is_recorded_listed_spent_or_unknown
                kept_manifests_come_page_by_page_in_order
                a_page_of_kept_manifests_is_bounded_in_bytes
                // The log.
                events_come_in_order_after_a_place
                a_consumer_starts_at_the_start_and_never_goes_back
                advancing_needs_the_lease
                only_what_every_consumer_has_passed_is_trimmed
                consumers_that_are_forgotten_hold_nothing
                trimming_is_bounded_and_goes_by_age
                a_place_in_the_log_is_never_given_twice
                pulls_add_up
                pulls_of_what_is_gone_are_dropped
                the_backlog_says_what_waits
                a_store_at_rest_would_take_a_commit
                // Leases.
                a_lease_has_one_holder
                a_holder_can_prolong_its_lease
                a_lease_passes_on_when_its_time_is_over
                a_lease_can_be_let_go_early
                leases_do_not_know_each_other
                a_fence_that_nobody_was_given_is_refused
                // Races.
                one_of_many_creators_of_a_tag_wins
                everything_attached_at_once_is_listed
                a_repository_made_by_many_at_once_is_one
                racing_commits_have_places_of_their_own
                content_brought_by_many_at_once_has_one_place
                a_link_and_a_discard_never_both_win
            ],
            [
                what_was_committed_is_there_after_reopening
                ids_places_and_fences_go_on_after_reopening
                spent_locations_stay_spent_after_reopening
            ],
            $($opening)*
        }
    };
}

/// A store as the clauses see it: through one repository, with short words for what happens there.
#[derive(Clone)]
struct Scene<'a> {
    store: &'a dyn ManifestStore,
    name: RepositoryName,
}

impl<'a> Scene<'a> {
    fn new(store: &'a dyn ManifestStore, name: &str) -> Self {
        Self { store, name: repository_name(name) }
    }

    /// Another repository of the same store.
    fn beside(&self, name: &str) -> Self {
        Self::new(self.store, name)
    }

    /// Commits, which must not be refused, and says what was recorded.
    async fn commit(&self, at: DateTime<Utc>, changes: impl Into<Vec<Change>>) -> Vec<Event> {
        let receipt = self.attempt(at, [], changes).await;
        receipt.unwrap().events.into_iter().map(|recorded| recorded.event).collect()
    }

    async fn attempt(
        &self,
        at: DateTime<Utc>,
        requires: impl Into<Vec<Require>>,
        changes: impl Into<Vec<Change>>,
    ) -> Result<Receipt, CommitError> {
        let commit = Commit {
            repository: self.name.clone(),
            actor: ada(),
            origin: origin(),
            at,
            requires: requires.into(),
            changes: changes.into(),
        };
        self.store.commit(commit).await
    }

    /// Pushes as a client does: the blobs first, then the manifest and its tags in a commit.
    async fn push(&self, at: DateTime<Utc>, manifest: &SampleManifest, tags: &[&str]) -> Digest {
        for blob in manifest.blobs() {
            let location = format!("place of {}", blob.digest);
            self.commit(at, [Change::LinkStored(blob.stored_at(&location))]).await;
        }
        let record = manifest.record();
        let digest = record.digest;
        let mut changes = vec![Change::CreateRepository, Change::PutManifest(record)];
        changes.extend(tags.iter().map(|tag| set_tag(tag, digest)));
        self.commit(at, changes).await;
        digest
    }

    async fn id(&self) -> Option<RepositoryId> {
        self.store.repository(&self.name).await.unwrap()
    }

    async fn is_listed(&self) -> bool {
        self.store.is_listed(&self.name).await.unwrap()
    }

    async fn blob(&self, digest: &Digest) -> Option<LinkedBlob> {
        self.store.blob(&self.name, digest).await.unwrap()
    }

    async fn manifest(&self, reference: impl Into<Reference>) -> Option<StoredManifest> {
        self.store.resolve(&self.name, &reference.into(), WithBytes::Yes).await.unwrap()
    }

    /// Whether the manifest is there, and then since when it is unused.
    async fn unused_since(&self, digest: Digest) -> Option<Option<DateTime<Utc>>> {
        self.manifest(digest).await.map(|manifest| manifest.unused_since)
    }

    /// Where the tag points.
    async fn tag(&self, text: &str) -> Option<Digest> {
        self.manifest(tag(text)).await.map(|manifest| manifest.digest)
    }

    /// All tags, in one page.
    async fn tags(&self) -> Option<Vec<String>> {
        let tags = self.store.tags(&self.name, &page(None, 1000)).await.unwrap();
        tags.map(|tags| tags.iter().map(|record| record.tag.to_string()).collect())
    }

    /// All referrers, in one page.
    async fn referrers(&self, subject: &Digest) -> Vec<Digest> {
        let referrers = self.store.referrers(&self.name, subject, None, &page(None, 1000)).await.unwrap();
        referrers.iter().map(|referrer| referrer.digest).collect()
    }
}

fn repository_name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn set_tag(text: &str, digest: Digest) -> Change {
    Change::SetTag { tag: tag(text), digest }
}

fn location(text: &str) -> BlobLocation {
    BlobLocation::new(text)
}

fn ada() -> Actor {
    Actor::Caller(Caller::User(Identity::new("ada")))
}

fn origin() -> Origin {
    Origin {
        source: Some([192, 0, 2, 7].into()),
        request_id: Some("request 1".into()),
        channel: Channel::Console,
        call: Some("PUT /v2/lib/a/manifests/v1".into()),
    }
}

fn limit(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn page<T>(after: Option<T>, count: u32) -> Page<T> {
    Page { after, limit: limit(count) }
}

/// Everything in the log.
async fn log(store: &dyn ManifestStore) -> Vec<RecordedEvent> {
    store.events(EventSeq::START, limit(100_000)).await.unwrap()
}

/// All garbage, however young.
async fn garbage(store: &dyn ManifestStore) -> Vec<BlobLocation> {
    store.garbage(minute(1_000_000), &page(None, 1000)).await.unwrap()
}

/// A fence for work that needs one.
async fn fence(store: &dyn ManifestStore) -> Fence {
    let lease = Lease { name: "collection", holder: "a clause", now: minute(0), until: minute(1_000_000) };
    store.lease(&lease).await.unwrap().unwrap()
}

/// A fence that was good until somebody else took the lease.
async fn stale_fence(store: &dyn ManifestStore) -> Fence {
    let lease = Lease { name: "lost", holder: "the first", now: minute(0), until: minute(1) };
    let fence = store.lease(&lease).await.unwrap().unwrap();
    let lease = Lease { name: "lost", holder: "the second", now: minute(2), until: minute(3) };
    store.lease(&lease).await.unwrap().unwrap();
    fence
}

/// What the commit was refused for.
#[track_caller]
fn unmet(outcome: Result<Receipt, CommitError>) -> Vec<Require> {
    match outcome {
        Err(CommitError::Unmet(requires)) => requires,
        other => panic!("the commit should have met unmet requirements: {other:?}"),
    }
}

/// The digest whose bytes the commit did not find.
#[track_caller]
fn gone(outcome: Result<Receipt, CommitError>) -> Digest {
    match outcome {
        Err(CommitError::BytesGone(digest)) => digest,
        other => panic!("the commit should have found the bytes gone: {other:?}"),
    }
}

/// Refused for want of a lease.
#[track_caller]
fn assert_fenced<T: std::fmt::Debug>(outcome: Result<T, crate::ports::StoreError>) {
    match outcome {
        Err(error) if error.kind() == crate::ports::StoreErrorKind::Fenced => {}
        other => panic!("the write should have been refused for want of its lease: {other:?}"),
    }
}
