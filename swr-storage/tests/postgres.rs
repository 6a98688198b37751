//! The store in PostgreSQL keeps the contracts, and what it says of itself.
//!
//! A server is needed: `SWR_TEST_POSTGRES_URL` names a database in which the tests make schemas, one for each.
#![cfg(feature = "testing-postgres")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

mod postgres_place;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;

use swr_core::caller::{Actor, Caller, Origin};
use swr_core::commit::{BlobLocation, Change, Commit, CommitError, Require, StoredBlob};
use swr_core::digest::Algorithm;
use swr_core::event::{EventSeq, RecordedEvent};
use swr_core::ports::{Lease, ManifestStore, Page, PullCount, StoreErrorKind};
use swr_core::reference::Reference;
use swr_core::testing::minute;
use swr_core::testing::sample_images::SampleManifest;
use swr_core::testing::stepping::dropped_after_waking;
use swr_core::upload::UploadId;
use swr_storage::upload_sessions::UploadSession;
use swr_storage::{PostgresStore, UploadSessions};

use postgres_place::Place;

mod manifests {
    swr_core::manifest_store_suite!(place = { super::Place::new().await }, { place.open().await });
}

#[cfg(feature = "control")]
mod metadata {
    swr_core::metadata_store_suite!(place = { super::Place::new().await }, { place.open().await });
}

mod sessions {
    swr_storage::upload_sessions_suite!({ super::Place::new().await.open().await });
}

fn commit(repository: &str, requires: Vec<Require>, changes: Vec<Change>) -> Commit {
    Commit {
        repository: repository.parse().unwrap(),
        actor: Actor::Caller(Caller::Anonymous),
        origin: Origin::default(),
        at: minute(0),
        requires,
        changes,
    }
}

/// An image with one tag, without its blobs: two events.
fn push(repository: &str, tag: &str) -> Commit {
    let record = SampleManifest::image(tag).record();
    let set = Change::SetTag { tag: tag.parse().unwrap(), digest: record.digest };
    commit(repository, Vec::new(), vec![Change::CreateRepository, Change::PutManifest(record), set])
}

fn many() -> NonZeroU32 {
    NonZeroU32::new(100_000).unwrap()
}

async fn log(store: &PostgresStore) -> Vec<RecordedEvent> {
    store.events(EventSeq::START, many()).await.unwrap()
}

/// Until so many others wait for a lock.
async fn until_waiting(client: &Client, count: i64) {
    loop {
        let waiting = client
            .query_one(
                "SELECT count(DISTINCT pid) FROM pg_locks
                WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))",
                &[],
            )
            .await
            .unwrap();
        if waiting.get::<_, i64>(0) >= count {
            return;
        }
        tokio::task::yield_now().await;
    }
}

// Opening.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_the_tables_once() {
    let place = Place::new().await;
    let stores = join_all((0..6).map(|_| place.open())).await;
    for (number, store) in stores.iter().enumerate() {
        store.commit(push("a", &number.to_string())).await.unwrap();
    }
    let client = place.connect().await;
    let formats = client.query("SELECT format FROM swr_format", &[]).await.unwrap();
    assert_eq!(formats.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [4]);
}

#[tokio::test]
async fn a_later_format_is_refused_and_left_as_it_is() {
    let place = Place::new().await;
    place.open().await;
    let client = place.connect().await;
    client.execute("UPDATE swr_format SET format = 1000", &[]).await.unwrap();
    let refusal = PostgresStore::open_with(place.options()).await.unwrap_err();
    assert_eq!(refusal.kind(), StoreErrorKind::Other);
    assert!(std::error::Error::source(&refusal).unwrap().to_string().contains("format 1000"), "{refusal:?}");
    let format = client.query_one("SELECT format FROM swr_format", &[]).await.unwrap();
    assert_eq!(format.get::<_, i32>(0), 1000);
}

#[tokio::test]
async fn a_schema_of_something_else_is_refused_and_left_as_it_is() {
    let place = Place::new().await;
    let client = place.connect().await;
    client.batch_execute("CREATE TABLE recipes (name TEXT)").await.unwrap();
    assert_eq!(PostgresStore::open_with(place.options()).await.unwrap_err().kind(), StoreErrorKind::Other);
    let tables = client
        .query_one("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()", &[])
        .await
        .unwrap();
    assert_eq!(tables.get::<_, i64>(0), 1);
}

/// `SWR_TEST_POSTGRES_AUTHORITY` names the file with the certificate of whoever vouches for the server.
#[tokio::test]
async fn what_goes_over_tls_goes_to_a_server_that_is_trusted() {
    let place = Place::new().await;
    let mut options = place.options();
    options.url.push_str("&sslmode=require");
    let refused = PostgresStore::open_with(options.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    assert!(format!("{refused:?}").contains("UnknownIssuer"), "{refused:?}");

    let authority = std::env::var("SWR_TEST_POSTGRES_AUTHORITY").unwrap();
    options.authorities = Some(std::fs::read(authority).unwrap());
    options.url.push_str("&application_name=over-tls");
    let store = PostgresStore::open_with(options).await.unwrap();
    store.commit(push("a", "x")).await.unwrap();
    let client = place.connect().await;
    let encrypted = client
        .query_one(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
            WHERE application_name = 'over-tls'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(encrypted.get::<_, Option<bool>>(0), Some(true));
}

// Several at once.

/// A transaction that has numbered its event and takes its time holds back those that come after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_shown_before_one_with_a_smaller_place() {
    let place = Place::new().await;
    let (writer, reader) = (Arc::new(place.open().await), place.open().await);
    writer.commit(push("a", "first")).await.unwrap();
    let mut slow = place.connect().await;
    let holding = slow.transaction().await.unwrap();
    holding.execute("UPDATE log SET events = events + 1", &[]).await.unwrap();
    let late = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { writer.commit(push("b", "late")).await }
    });
    until_waiting(holding.client(), 1).await;
    assert_eq!(log(&reader).await.len(), 3);
    let add = "INSERT INTO events SELECT events, 'slow', 0, actor, origin, event FROM log, (
        SELECT actor, origin, event FROM events WHERE seq = 1) AS first";
    holding.execute(add, &[]).await.unwrap();
    holding.commit().await.unwrap();
    let late = late.await.unwrap().unwrap();
    assert_eq!(late.events.iter().map(|event| event.seq.0).collect::<Vec<_>>(), [5, 6, 7]);
    let log = log(&reader).await;
    assert_eq!(log.iter().map(|event| event.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(log[3].repository.as_str(), "slow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_on_from_the_last_event_misses_none() {
    let place = Place::new().await;
    let stores = [Arc::new(place.open().await), Arc::new(place.open().await)];
    let writers: Vec<_> = (0..40)
        .map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            tokio::spawn(
                async move { store.commit(push(&format!("r{}", number % 7), &number.to_string())).await },
            )
        })
        .collect();
    let reader = place.open().await;
    let mut seen: Vec<RecordedEvent> = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let after = seen.last().map_or(EventSeq::START, |event| event.seq);
        seen.extend(reader.events(after, many()).await.unwrap());
    }
    let after = seen.last().map_or(EventSeq::START, |event| event.seq);
    seen.extend(reader.events(after, many()).await.unwrap());
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await.unwrap().unwrap().events);
    }
    told.sort_by_key(|event| event.seq);
    assert_eq!(seen, told);
    assert_eq!(seen.len(), 87);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_passes_on_only_after_the_writes_that_it_allowed() {
    let place = Place::new().await;
    let (one, other) = (place.open().await, Arc::new(place.open().await));
    let wish = |holder, now| Lease { name: "work", holder, now: minute(now), until: minute(now + 1) };
    let paused = one.lease(&wish("one", 0)).await.unwrap().unwrap();
    assert_eq!(other.lease(&wish("other", 0)).await.unwrap(), None);

    // A write under the first fence, under way.
    let mut slow = place.connect().await;
    let writing = slow.transaction().await.unwrap();
    writing.execute("SELECT 1 FROM leases WHERE name = 'work' FOR SHARE", &[]).await.unwrap();
    let taking = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.lease(&wish("other", 5)).await }
    });
    until_waiting(writing.client(), 1).await;
    one.advance("sink", EventSeq(1), &paused).await.unwrap();
    writing.commit().await.unwrap();

    let fence = taking.await.unwrap().unwrap().unwrap();
    assert!(fence.token > paused.token);
    let refused = one.advance("sink", EventSeq(9), &paused).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Fenced);
    assert_eq!(other.cursor("sink").await.unwrap(), EventSeq(1));
    other.advance("sink", EventSeq(2), &fence).await.unwrap();
    assert_eq!(one.cursor("sink").await.unwrap(), EventSeq(2));
}

/// Whatever comes between, what a repository links is there, and nobody is told to delete it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_linked_content_is_discarded() {
    let place = Place::new().await;
    let stores = [place.open().await, place.open().await, place.open().await];
    let digest = Algorithm::Sha256.digest(b"shared");
    let lease = Lease { name: "collection", holder: "c", now: minute(0), until: minute(1) };
    let fence = stores[2].lease(&lease).await.unwrap().unwrap();
    let (mut mounted, mut gone) = (0, 0);
    for round in 0..60 {
        let location = BlobLocation::new(format!("upload-{round}"));
        let stored = StoredBlob { digest, size: 6, location };
        let bring = async {
            stores[0].commit(commit("a", Vec::new(), vec![Change::LinkStored(stored)])).await.unwrap();
            stores[0].commit(commit("a", Vec::new(), vec![Change::UnlinkBlob(digest)])).await.unwrap();
        };
        let mount = async {
            match stores[1].commit(commit("b", Vec::new(), vec![Change::LinkExisting(digest)])).await {
                Ok(_) => mounted += 1,
                Err(CommitError::BytesGone(_)) => gone += 1,
                Err(error) => panic!("{error:?}"),
            }
        };
        let discard = async {
            for _ in 0..3 {
                stores[2].discard_unlinked(minute(9), minute(9), &fence, many()).await.unwrap();
            }
        };
        tokio::join!(bring, mount, discard);
        let page = Page { after: None, limit: many() };
        let garbage = stores[2].garbage(minute(99), &page).await.unwrap();
        if let Some(blob) = stores[0].blob(&"b".parse().unwrap(), &digest).await.unwrap() {
            assert!(!garbage.contains(&blob.stored.location), "round {round}");
        }
        stores[1].commit(commit("b", Vec::new(), vec![Change::UnlinkBlob(digest)])).await.unwrap();
    }
    assert_eq!(mounted + gone, 60);
    stores[2].discard_unlinked(minute(9), minute(9), &fence, many()).await.unwrap();
    let client = place.connect().await;
    let left = client.query_one("SELECT count(*) FROM blobs", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0, "what nobody links is found by the collection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_pushes_to_an_immutable_tag_one_is_kept() {
    let place = Place::new().await;
    let stores = [place.open().await, place.open().await];
    let pushes = (0..20).map(|number| {
        let record = SampleManifest::image(&number.to_string()).record();
        let (tag, digest) = ("latest".parse::<swr_core::Tag>().unwrap(), record.digest);
        let requires = vec![Require::TagUnsetOr { tag: tag.clone(), digest }];
        let changes =
            vec![Change::CreateRepository, Change::PutManifest(record), Change::SetTag { tag, digest }];
        stores[number % 2].commit(commit("a", requires, changes))
    });
    let kept = join_all(pushes).await.into_iter().filter(|outcome| match outcome {
        Ok(_) => true,
        Err(CommitError::Unmet(_)) => false,
        Err(error) => panic!("{error:?}"),
    });
    assert_eq!(kept.count(), 1);
    let log = log(&stores[1]).await;
    assert_eq!(log.len(), 3, "{log:?}");
}

#[cfg(feature = "control")]
mod quotas {
    use swr_core::caller::Task;
    use swr_core::control::change::{MetadataChange, MetadataCommit, MetadataCommitError, MetadataRequire};
    use swr_core::control::identity::{
        Account, AccountId, AccountName, ProjectId, Role, User, UserId, UserName,
    };
    use swr_core::control::trace::TraceQuery;
    use swr_core::ports::MetadataStore;

    use super::*;

    fn metadata(requires: Vec<MetadataRequire>, changes: Vec<MetadataChange>) -> MetadataCommit {
        let actor = Actor::Caretaker(Task::Administration);
        MetadataCommit { actor, origin: Origin::default(), at: minute(1), requires, changes }
    }

    async fn settle(store: &PostgresStore) -> (AccountId, UserId) {
        let account = Account {
            id: AccountId::parse(&"1".repeat(32)).unwrap(),
            name: AccountName::parse("account").unwrap(),
            project: ProjectId::parse(&"1".repeat(32)).unwrap(),
            agency: false,
            created: minute(0),
        };
        let user = User {
            id: UserId::parse(&"2".repeat(32)).unwrap(),
            account: account.id.clone(),
            name: UserName::parse("user").unwrap(),
            role: Role::Member,
            password: None,
            created: minute(0),
        };
        let ids = (account.id.clone(), user.id.clone());
        let changes = vec![MetadataChange::PutAccount(account), MetadataChange::PutUser(user)];
        store.commit_metadata(metadata(Vec::new(), changes)).await.unwrap();
        ids
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn creators_that_race_from_two_processes_do_not_exceed_a_limit_together() {
        let place = Place::new().await;
        let stores = [place.open().await, place.open().await];
        let (account, user) = settle(&stores[0]).await;
        let fewer = MetadataRequire::OrganisationsByFewerThan { user: user.clone(), limit: 7 };
        let creators = (0..30).map(|number| {
            let name = format!("organisation-{number}").parse().unwrap();
            let create =
                MetadataChange::CreateOrganisation { name, account: account.clone(), creator: user.clone() };
            stores[number % 2].commit_metadata(metadata(vec![fewer.clone()], vec![create]))
        });
        let created = join_all(creators).await.into_iter().filter(|outcome| match outcome {
            Ok(_) => true,
            Err(MetadataCommitError::Unmet(unmet)) => {
                assert_eq!(*unmet, std::slice::from_ref(&fewer));
                false
            }
            Err(error) => panic!("{error:?}"),
        });
        assert_eq!(created.count(), 7);
        assert_eq!(stores[1].organisations_by(&user).await.unwrap(), 7);
    }

    /// The last push into an organisation and its removal cannot pass each other.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_organisation_goes_that_a_repository_has_come_into() {
        let place = Place::new().await;
        let stores = [place.open().await, place.open().await];
        let (account, creator) = settle(&stores[0]).await;
        for round in 0..20 {
            let name: swr_core::OrganisationName = format!("lib-{round}").parse().unwrap();
            let create = MetadataChange::CreateOrganisation {
                name: name.clone(),
                account: account.clone(),
                creator: creator.clone(),
            };
            stores[0].commit_metadata(metadata(Vec::new(), vec![create])).await.unwrap();
            let rights = stores[0].standing(None, &name, None).await.unwrap().rights;
            let grounds = swr_core::commit::Grounds { rights: Some(rights), repository: None };
            let path = format!("{name}/a");
            let push = commit(&path, vec![Require::Grounds(grounds)], vec![Change::CreateRepository]);
            let remove = metadata(
                vec![MetadataRequire::OrganisationEmpty(name.clone())],
                vec![MetadataChange::RemoveOrganisation(name.clone())],
            );
            let (pushed, removed) = tokio::join!(stores[0].commit(push), stores[1].commit_metadata(remove));
            assert_ne!(pushed.is_ok(), removed.is_ok(), "{pushed:?} {removed:?}");
            let listed = stores[1].is_listed(&path.parse().unwrap()).await.unwrap();
            let is_there = stores[1].organisation(&name).await.unwrap().is_some();
            assert_eq!((listed, is_there), (pushed.is_ok(), pushed.is_ok()));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_change_that_is_given_up_leaves_all_of_it_and_its_trace_or_nothing() {
        let place = Place::new().await;
        let mut options = place.options();
        options.connections_max = NonZeroUsize::MIN;
        let store = PostgresStore::open_with(options).await.unwrap();
        let (account, creator) = settle(&store).await;
        let is_there =
            async |name: &swr_core::OrganisationName| store.organisation(name).await.unwrap().is_some();
        for polls in 0.. {
            let name: swr_core::OrganisationName = format!("lib-{polls}").parse().unwrap();
            let create = MetadataChange::CreateOrganisation {
                name: name.clone(),
                account: account.clone(),
                creator: creator.clone(),
            };
            let commit = store.commit_metadata(metadata(Vec::new(), vec![create]));
            let outcome = dropped_after_waking(polls, commit).await;
            let mut query = TraceQuery::of(account.clone(), NonZeroU32::new(10).unwrap());
            query.resource_name = Some(name.as_str().into());
            // The server may still be about to keep it.
            let (before, traces) = (is_there(&name).await, store.traces(&query).await.unwrap().len());
            let after = is_there(&name).await;
            assert!(traces == usize::from(before) || traces == usize::from(after), "{polls} polls");
            if let Some(outcome) = outcome {
                outcome.unwrap();
                assert!(polls > 3 && before && traces == 1, "{polls} polls");
                break;
            }
        }
    }
}

// Bad times.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_given_up_leaves_all_of_it_or_nothing() {
    let place = Place::new().await;
    let mut options = place.options();
    options.connections_max = NonZeroUsize::MIN;
    let store = PostgresStore::open_with(options).await.unwrap();
    // Dropped after one more poll each time, until it gets through.
    for polls in 0.. {
        let outcome = dropped_after_waking(polls, store.commit(push("a", &polls.to_string()))).await;
        let events = log(&store).await;
        let digest = SampleManifest::image(&polls.to_string()).digest().to_string();
        let count = events.iter().filter(|event| format!("{:?}", event.event).contains(&digest)).count();
        assert!(count == 0 || count == 2, "{polls} polls: {events:?}");
        if let Some(outcome) = outcome {
            outcome.unwrap();
            assert!(polls > 3 && count == 2, "{polls} polls");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_too_long_may_be_tried_again() {
    let place = Place::new().await;
    let mut options = place.options();
    options.connections_max = NonZeroUsize::MIN;
    options.connection_wait = Duration::from_millis(500);
    options.statement_timeout = Duration::from_millis(1500);
    let store = Arc::new(PostgresStore::open_with(options).await.unwrap());
    let mut slow = place.connect().await;
    let holding = slow.transaction().await.unwrap();
    holding.execute("UPDATE log SET events = events", &[]).await.unwrap();
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(push("a", "x")).await }
    });
    until_waiting(holding.client(), 1).await;
    let crowded = store.is_listed(&"a".parse().unwrap()).await.unwrap_err();
    assert_eq!(crowded.kind(), StoreErrorKind::Unavailable);
    let Err(CommitError::Store(late)) = waiting.await.unwrap() else { panic!("nobody waited") };
    assert_eq!(late.kind(), StoreErrorKind::Unavailable);
    holding.rollback().await.unwrap();
    assert_eq!(store.commit(push("a", "x")).await.unwrap().events.len(), 3);
}

/// Of two that wait for each other the database breaks one off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_broken_off_for_another_is_begun_again() {
    let place = Place::new().await;
    let mut options = place.options();
    options.url.push_str("%20-cdeadlock_timeout%3D3s");
    let store = Arc::new(PostgresStore::open_with(options).await.unwrap());
    let mut other = place.connect().await;
    let holding = other.transaction().await.unwrap();
    let first = "SET LOCAL deadlock_timeout = '1h'; UPDATE log SET events = events";
    holding.batch_execute(first).await.unwrap();
    let committing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(push("a", "x")).await }
    });
    until_waiting(holding.client(), 1).await;
    // What the commit holds by now is given once it has been broken off.
    holding.batch_execute("LOCK TABLE manifests IN SHARE MODE").await.unwrap();
    holding.commit().await.unwrap();
    assert_eq!(committing.await.unwrap().unwrap().events.len(), 3);
    assert_eq!(log(&store).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_that_are_being_counted_hold_up_nobody_in_another_repository() {
    let place = Place::new().await;
    let store = Arc::new(place.open().await);
    store.commit(push("a", "x")).await.unwrap();
    let mut slow = place.connect().await;
    let holding = slow.transaction().await.unwrap();
    holding.execute("UPDATE tags SET pulls = pulls", &[]).await.unwrap();
    let reference = Reference::Tag("x".parse().unwrap());
    let pulled = PullCount { repository: "a".parse().unwrap(), reference, count: 3, last: minute(1) };
    let counting = tokio::spawn({
        let (store, pulled) = (Arc::clone(&store), pulled.clone());
        async move { store.observe_pulls(&[pulled]).await }
    });
    until_waiting(holding.client(), 1).await;
    store.commit(push("b", "x")).await.unwrap();
    assert!(!counting.is_finished());
    holding.rollback().await.unwrap();
    counting.await.unwrap().unwrap();
    assert_eq!(store.pulls(&pulled.repository, &pulled.reference).await.unwrap(), Some(pulled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_no_room_for_a_connection_may_be_asked_again() {
    let place = Place::new().await;
    drop(place.open().await);
    let options = place.options_with_connections(1).await;
    let store = Arc::new(PostgresStore::open_with(options).await.unwrap());
    let mut slow = place.connect().await;
    let holding = slow.transaction().await.unwrap();
    holding.execute("UPDATE log SET events = events", &[]).await.unwrap();
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(push("a", "x")).await }
    });
    until_waiting(holding.client(), 1).await;
    let refused = store.is_listed(&"a".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable, "{refused:?}");
    holding.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert!(store.is_listed(&"a".parse().unwrap()).await.unwrap());
}

/// As when the server is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_recovers_by_itself_from_the_end_of_its_connections() {
    let place = Place::new().await;
    let lossy = Lossy::before(&place).await;
    let store = PostgresStore::open_with(lossy.options()).await.unwrap();
    store.commit(push("a", "x")).await.unwrap();
    lossy.end_all();
    // The first may still find a connection that does not know of its end.
    loop {
        match store.probe().await {
            Ok(()) => break,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
    }
    store.commit(push("a", "y")).await.unwrap();
    assert_eq!(log(&store).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let nobody = PostgresStore::open(format!("postgres://swr@127.0.0.1:{port}/postgres")).await;
    assert_eq!(nobody.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_asked_after() {
    let place = Place::new().await;
    let lossy = Lossy::before(&place).await;
    let store = PostgresStore::open_with(lossy.options()).await.unwrap();
    store.commit(push("a", "first")).await.unwrap();
    lossy.lose(ANSWER);
    let receipt = store.commit(push("a", "second")).await.unwrap();
    assert_eq!(lossy.lost(), 1);
    assert_eq!(receipt.events, store.events(EventSeq(3), many()).await.unwrap());
    assert_eq!(receipt.events.len(), 2);
    // Whoever asked has written as well, and so has waited for the standbys that the write has to be on.
    let written =
        "SELECT kept.xmin::text <> events.xmin::text FROM kept JOIN events ON events.seq = kept.events
        ORDER BY events.seq DESC LIMIT 1";
    assert!(place.connect().await.query_one(written, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_what_somebody_else_has_given_up() {
    let place = Place::new().await;
    let mut options = place.options();
    options.connections_max = NonZeroUsize::new(2).unwrap();
    options.statement_timeout = Duration::from_secs(3600);
    let store = Arc::new(PostgresStore::open_with(options).await.unwrap());
    let mut slow = place.connect().await;
    let holding = slow.transaction().await.unwrap();
    holding.execute("UPDATE log SET events = events", &[]).await.unwrap();
    let given_up = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(push("a", "x")).await }
    });
    until_waiting(holding.client(), 1).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    let answer = tokio::time::timeout(Duration::from_secs(60), store.is_listed(&"a".parse().unwrap())).await;
    assert!(!answer.expect("it has a connection of its own").unwrap());
    holding.rollback().await.unwrap();
    // Both are there again; whether the one that was given up has been kept was nobody's to say.
    let (one, two) = tokio::join!(store.commit(push("b", "x")), store.commit(push("c", "x")));
    assert_eq!((one.unwrap().events.len(), two.unwrap().events.len()), (3, 3));
}

#[tokio::test]
async fn writes_of_long_ago_are_forgotten_without_reading_the_others() {
    let place = Place::new().await;
    place.open().await;
    let client = place.connect().await;
    client.batch_execute("SET enable_seqscan = off").await.unwrap();
    let plan = "EXPLAIN SELECT id FROM kept WHERE made < now() - INTERVAL '1 hour' LIMIT 4000";
    let plan: Vec<String> = client.query(plan, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|step| step.contains("kept_made")), "{plan:?}");
}

/// As SQLite's, in `scrubbing.rs`.
#[tokio::test]
async fn a_manifest_whose_bytes_rot_in_the_database_is_mended_by_a_push() {
    let place = Place::new().await;
    let store = place.open().await;
    store.commit(push("a", "x")).await.unwrap();
    let client = place.connect().await;
    let rot = "UPDATE manifest_contents SET bytes = set_byte(bytes, 0, get_byte(bytes, 0) # 1)";
    assert_eq!(client.execute(rot, &[]).await.unwrap(), 1);
    let kept = async || {
        let page = Page { after: None, limit: many() };
        let [kept] = &*store.kept_manifests(&page).await.unwrap() else { panic!("there is one") };
        Algorithm::Sha256.digest(&kept.bytes) == kept.digest
    };
    assert!(!kept().await);
    store.commit(push("a", "x")).await.unwrap();
    assert!(kept().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_not_kept_can_be_tried_again() {
    let place = Place::new().await;
    let lossy = Lossy::before(&place).await;
    let store = PostgresStore::open_with(lossy.options()).await.unwrap();
    store.commit(push("a", "first")).await.unwrap();
    lossy.lose(QUESTION);
    let Err(CommitError::Store(lost)) = store.commit(push("a", "second")).await else {
        panic!("it was kept")
    };
    assert_eq!((lost.kind(), lossy.lost()), (StoreErrorKind::Unavailable, 1));
    assert_eq!(log(&store).await.len(), 3);
    assert_eq!(store.commit(push("a", "second")).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn texts_are_kept_whatever_is_in_them() {
    let store = Place::new().await.open().await;
    let record = "a\0b\u{1}c".to_owned();
    let session = UploadSession { id: UploadId::random(), version: 1, touched: minute(0), record };
    assert!(store.save(&session).await.unwrap());
    assert_eq!(store.find(&session.id).await.unwrap(), Some(session));
}

/// Stands between a store and the server, and loses what it is told to.
struct Lossy {
    place: swr_storage::PostgresOptions,
    port: u16,
    losing: Arc<AtomicU8>,
    lost: Arc<AtomicU8>,
    end: tokio::sync::broadcast::Sender<()>,
}

/// The end of the next transaction reaches the server, and its answer nobody.
const ANSWER: u8 = 1;
/// The end of the next transaction does not reach the server.
const QUESTION: u8 = 2;

impl Lossy {
    async fn before(place: &Place) -> Self {
        let options = place.options();
        let config: tokio_postgres::Config = options.url.parse().unwrap();
        let [tokio_postgres::config::Host::Tcp(host)] = config.get_hosts() else { panic!("one host") };
        let server = (host.clone(), config.get_ports().first().copied().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (losing, lost) = (Arc::new(AtomicU8::new(0)), Arc::new(AtomicU8::new(0)));
        let (end, _) = tokio::sync::broadcast::channel(1);
        let (loses, has_lost, ends) = (Arc::clone(&losing), Arc::clone(&lost), end.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.clone()).await.unwrap();
                let (carried, mut end) =
                    (carry(client, server, Arc::clone(&loses), Arc::clone(&has_lost)), ends.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        () = carried => {}
                        _ = end.recv() => {}
                    }
                });
            }
        });
        Self { place: options, port, losing, lost, end }
    }

    /// Of a store that reaches the server through this.
    fn options(&self) -> swr_storage::PostgresOptions {
        let mut options = self.place.clone();
        let (before, after) = options.url.split_once('@').unwrap();
        let (_, after) = after.split_once('/').unwrap();
        options.url = format!("{before}@127.0.0.1:{}/{after}", self.port);
        options
    }

    fn lose(&self, what: u8) {
        self.losing.store(what, Ordering::SeqCst);
    }

    fn lost(&self) -> u8 {
        self.lost.load(Ordering::SeqCst)
    }

    fn end_all(&self) {
        self.end.send(()).unwrap();
    }
}

async fn carry(client: TcpStream, server: TcpStream, losing: Arc<AtomicU8>, lost: Arc<AtomicU8>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut ahead = Vec::with_capacity(1 << 16);
    let mut back = vec![0; 1 << 16];
    loop {
        ahead.clear();
        tokio::select! {
            read = from_client.read_buf(&mut ahead) => {
                if read.unwrap_or(0) == 0 {
                    return;
                }
                let is_end = ahead.windows(7).any(|part| part == b"COMMIT\0");
                match if is_end { losing.swap(0, Ordering::SeqCst) } else { 0 } {
                    QUESTION => {
                        lost.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    ANSWER => {
                        lost.fetch_add(1, Ordering::SeqCst);
                        to_server.write_all(&ahead).await.unwrap();
                        drop((from_client, to_client));
                        // Read by nobody; until then the server sees no end.
                        let _: Result<usize, _> = from_server.read(&mut back).await;
                        return;
                    }
                    _ => to_server.write_all(&ahead).await.unwrap(),
                }
            }
            read = from_server.read(&mut back) => {
                let Ok(count @ 1..) = read else { return };
                if to_client.write_all(&back[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
