//! What the store in SQLite says of itself, where it keeps metadata.
#![cfg(all(feature = "sqlite", feature = "control"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;

use swr_core::caller::{Actor, Caller, Identity, Origin, Task};
use swr_core::commit::{Change, Commit, CommitError, Grounds, Require};
use swr_core::control::change::{
    Effect, MetadataChange, MetadataCommit, MetadataCommitError, MetadataRequire,
};
use swr_core::control::credential::{AccessKey, KeyId, Sealed};
use swr_core::control::grant::{Grant, GrantLevel, GrantScope};
use swr_core::control::identity::{Account, AccountId, AccountName, ProjectId, Role, User, UserId, UserName};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::share::{Deadline, Share};
use swr_core::control::trace::{Operation, TraceQuery};
use swr_core::ports::{ManifestStore, MetadataStore, StoreErrorKind, VersionOrder, VersionQuery};
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::dropped_after_waking;
use swr_core::{OrganisationName, RepositoryName};
use swr_storage::{SqliteOptions, SqliteStore};

fn options() -> SqliteOptions {
    let mut options = SqliteOptions::default();
    options.wal_bytes = 0;
    options.reserve_bytes = 0;
    options
}

async fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open_with(folder.join("registry.db"), options()).await.unwrap()
}

fn account(number: u8) -> Account {
    Account {
        id: AccountId::parse(&format!("{number:032x}")).unwrap(),
        name: AccountName::parse(&format!("account-{number}")).unwrap(),
        project: ProjectId::parse(&format!("{number:032x}")).unwrap(),
        agency: false,
        created: minute(0),
    }
}

/// Of the account of the same number.
fn user(number: u8) -> User {
    User {
        id: UserId::parse(&format!("{number:032x}")).unwrap(),
        account: account(number).id,
        name: UserName::parse(&format!("user-{number}")).unwrap(),
        role: Role::Member,
        password: None,
        created: minute(0),
    }
}

fn organisation(name: &str) -> OrganisationName {
    name.parse().unwrap()
}

fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn create_organisation(name: &str) -> MetadataChange {
    MetadataChange::CreateOrganisation {
        name: organisation(name),
        account: account(1).id,
        creator: user(1).id,
    }
}

fn create_repository(name: &str) -> MetadataChange {
    MetadataChange::CreateRepository { name: repository(name), attributes: Attributes::default() }
}

fn grant(level: GrantLevel) -> MetadataChange {
    MetadataChange::PutGrant(Grant {
        scope: GrantScope::Organisation(organisation("lib")),
        user: user(1).id,
        level,
        created: minute(0),
    })
}

fn take_back() -> MetadataChange {
    MetadataChange::RemoveGrant { scope: GrantScope::Organisation(organisation("lib")), user: user(1).id }
}

fn share() -> MetadataChange {
    MetadataChange::PutShare(Share {
        repository: repository("lib/a"),
        account: account(2).id,
        deadline: Deadline::Never,
        description: "".into(),
        creator: user(1).id,
        creator_name: user(1).name,
        created: minute(0),
        updated: minute(0),
    })
}

fn describe(visibility: Visibility, description: &str) -> MetadataChange {
    let attributes = Attributes { visibility, description: description.into(), ..Attributes::default() };
    MetadataChange::SetAttributes { name: repository("lib/a"), attributes }
}

/// Made by the first user.
fn metadata(requires: Vec<MetadataRequire>, changes: Vec<MetadataChange>) -> MetadataCommit {
    MetadataCommit { actor: by_user(), origin: Origin::default(), at: minute(1), requires, changes }
}

fn by_user() -> Actor {
    Actor::Caller(Caller::User(Identity::new(user(1).id.as_str())))
}

fn content(name: &str, requires: Vec<Require>, changes: Vec<Change>) -> Commit {
    Commit {
        repository: repository(name),
        actor: by_user(),
        origin: Origin::default(),
        at: minute(1),
        requires,
        changes,
    }
}

/// A store with two accounts of one user each, and an organisation of the first.
async fn settle(store: &SqliteStore) {
    let mut changes = Vec::new();
    for number in [1, 2] {
        changes.push(MetadataChange::PutAccount(account(number)));
        changes.push(MetadataChange::PutUser(user(number)));
    }
    changes.push(create_organisation("lib"));
    let commit =
        MetadataCommit { actor: Actor::Caretaker(Task::Administration), ..metadata(Vec::new(), changes) };
    store.commit_metadata(commit).await.unwrap();
}

fn many() -> NonZeroU32 {
    NonZeroU32::new(100_000).unwrap()
}

#[tokio::test]
async fn creators_that_share_a_transaction_do_not_exceed_a_limit_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    settle(&store).await;
    let fewer = MetadataRequire::OrganisationsByFewerThan { user: user(1).id, limit: 21 };
    let creators = (0..200).map(|number| {
        let create = create_organisation(&format!("organisation-{number}"));
        store.commit_metadata(metadata(vec![fewer.clone()], vec![create]))
    });
    let mut created = 0;
    for outcome in join_all(creators).await {
        match outcome {
            Ok(receipt) => {
                assert_eq!(receipt.effects, [Effect::Created]);
                created += 1;
            }
            Err(MetadataCommitError::Unmet(unmet)) => assert_eq!(unmet, std::slice::from_ref(&fewer)),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(created, 20);
    assert_eq!(store.organisations_by(&user(1).id).await.unwrap(), 21);
    let gauges = store.gauges();
    assert!(gauges.transactions < gauges.commits, "{gauges:?}");
}

#[tokio::test]
async fn a_caller_that_leaves_leaves_all_of_a_change_and_its_trace_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    settle(&store).await;
    let (mut left, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..50 {
        for polls in 0.. {
            let name = format!("left-{n}-{polls}");
            let scope = GrantScope::Organisation(organisation(&name));
            let grant = Grant { scope, user: user(1).id, level: GrantLevel::Manage, created: minute(0) };
            let changes = vec![create_organisation(&name), MetadataChange::PutGrant(grant)];
            let commit = store.commit_metadata(metadata(Vec::new(), changes));
            let Some(committed) = dropped_after_waking(polls, commit).await else {
                left.insert(name);
                continue;
            };
            committed.unwrap();
            kept.insert(name);
            break;
        }
    }
    assert!(left.len() > 50, "{left:?}");
    // Whatever is in the queue is before this.
    store.commit_metadata(metadata(Vec::new(), vec![grant(GrantLevel::Read)])).await.unwrap();
    let traces = store.traces(&TraceQuery::of(account(1).id, many())).await.unwrap();
    for name in left.iter().chain(&kept) {
        let is_there = store.organisation(&organisation(name)).await.unwrap().is_some();
        assert!(is_there || left.contains(name), "{name} was answered");
        let granted = store.grants(&GrantScope::Organisation(organisation(name))).await.unwrap();
        assert_eq!(granted.map_or(0, |granted| granted.len()), usize::from(is_there), "{name}");
        let of_it = |operation| {
            let found = traces
                .iter()
                .filter(|trace| trace.traced.operation == operation && *trace.traced.resource_name == **name);
            found.count()
        };
        for operation in [Operation::CreateUserNamespace, Operation::CreateUserNamespaceAuth] {
            assert_eq!(of_it(operation), usize::from(is_there), "{operation:?} of {name}");
        }
    }
}

/// Pushes that rest on a grant, and its end, in one queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_comes_after_its_right_was_taken_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).await);
    settle(&store).await;
    store.commit_metadata(metadata(Vec::new(), vec![grant(GrantLevel::Edit)])).await.unwrap();
    let rights = store.standing(Some(&user(1).id), &organisation("lib"), None).await.unwrap().rights;
    let writers = (0..100).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            if number == 50 {
                store.commit_metadata(metadata(Vec::new(), vec![take_back()])).await.unwrap();
                return None;
            }
            let grounds = Require::Grounds(Grounds { rights: Some(rights), ..Grounds::default() });
            let name = format!("lib/{number}");
            match store.commit(content(&name, vec![grounds.clone()], vec![Change::CreateRepository])).await {
                Ok(_) => Some((number, true)),
                Err(CommitError::Unmet(unmet)) => {
                    assert_eq!(unmet, [grounds]);
                    Some((number, false))
                }
                Err(error) => panic!("{error:?}"),
            }
        })
    });
    let outcomes = join_all(writers.collect::<Vec<_>>()).await;
    let trail = store.traces_after(0, many()).await.unwrap();
    let place = |operation, name: &str| {
        trail.iter().position(|it| it.traced.operation == operation && &*it.traced.resource_name == name)
    };
    let end = place(Operation::DeleteUserNamespaceAuth, "lib").unwrap();
    for (number, was_pushed) in outcomes.into_iter().filter_map(Result::unwrap) {
        let name = format!("lib/{number}");
        let pushed = place(Operation::CreateImageRepository, &name);
        assert_eq!(pushed.is_some(), was_pushed);
        assert!(pushed.is_none_or(|pushed| pushed < end), "{name} was late, and won");
        assert_eq!(store.is_listed(&repository(&name)).await.unwrap(), was_pushed);
    }
}

/// People and content, each with its trace and, for content, its event.
#[tokio::test]
async fn whatever_part_of_the_log_is_left_opens_to_changes_with_their_traces() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    settle(&store).await;
    for number in 0..6 {
        let name = format!("lib/{number}");
        let changes = vec![create_repository(&name), create_organisation(&format!("organisation-{number}"))];
        store.commit_metadata(metadata(Vec::new(), changes)).await.unwrap();
        let record = SampleManifest::image(&name).record();
        let set = Change::SetTag { tag: "v1".parse().unwrap(), digest: record.digest };
        store.commit(content(&name, Vec::new(), vec![Change::PutManifest(record), set])).await.unwrap();
    }
    let whole = store.traces_after(0, many()).await.unwrap();
    let database = fs::read(folder.path().join("registry.db")).unwrap();
    let wal = fs::read(folder.path().join("registry.db-wal")).unwrap();
    drop(store);

    let mut seen = BTreeSet::new();
    for left in (0..wal.len()).step_by(13_000).chain([wal.len()]) {
        let crashed = tempfile::tempdir_in(folder.path()).unwrap();
        fs::write(crashed.path().join("registry.db"), &database).unwrap();
        fs::write(crashed.path().join("registry.db-wal"), &wal[..left]).unwrap();
        let store = open(crashed.path()).await;
        let trail = store.traces_after(0, many()).await.unwrap();
        assert_eq!(trail, whole[..trail.len()], "after {left} bytes");
        seen.insert(trail.len());
        let traced =
            |operation| trail.iter().filter(|trace| trace.traced.operation == operation).count() as u64;
        let overview = store.overview(&account(1).id).await.unwrap();
        assert_eq!(overview.organisations, traced(Operation::CreateUserNamespace));
        assert_eq!(overview.repositories, traced(Operation::CreateImageRepository));
        assert_eq!(overview.versions, traced(Operation::CreateVersion));
        let events = store.events(swr_core::event::EventSeq::START, many()).await.unwrap();
        assert_eq!(events.len() as u64, overview.repositories + 2 * overview.versions);
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
    // The settlement has five, and then each commit of metadata has two, and each of content one.
    let expected = (0..=6).flat_map(|round| [5 + 3 * round, 7 + 3 * round]).filter(|traces| *traces < 24);
    assert_eq!(seen, [0].into_iter().chain(expected).collect());
}

#[tokio::test]
async fn without_room_what_gives_is_refused_and_what_takes_away_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let reserve = folder.path().join("registry.db-reserve");
    let mut options = options();
    options.reserve_bytes = 1 << 20;
    let store = SqliteStore::open_with(&path, options.clone()).await.unwrap();
    settle(&store).await;
    let key = AccessKey {
        id: KeyId::parse("AK1").unwrap(),
        user: user(1).id,
        description: "".into(),
        secret: Some(Sealed::new(*b"sealed")),
        created: minute(0),
    };
    let given = vec![
        create_organisation("other"),
        create_repository("lib/a"),
        describe(Visibility::Public, "words"),
        grant(GrantLevel::Read),
        share(),
        MetadataChange::PutAccessKey(key.clone()),
    ];
    store.commit_metadata(metadata(Vec::new(), given.clone())).await.unwrap();
    drop(store);

    // Where a folder stands, no reserve can be put: as if there were no room for it.
    fs::remove_file(&reserve).unwrap();
    fs::create_dir(&reserve).unwrap();
    let store = SqliteStore::open_with(&path, options).await.unwrap();
    assert!(store.gauges().is_full);
    let before = store.traces_after(0, many()).await.unwrap();
    let another = AccessKey { id: KeyId::parse("AK2").unwrap(), ..key };
    let giving = [
        MetadataChange::PutAccount(account(3)),
        MetadataChange::PutUser(User { password: None, role: Role::Administrator, ..user(1) }),
        MetadataChange::PutAccessKey(another),
        create_organisation("new"),
        create_repository("lib/b"),
        describe(Visibility::Public, "other words"),
        grant(GrantLevel::Manage),
    ];
    for giving in giving {
        match store.commit_metadata(metadata(Vec::new(), vec![giving.clone()])).await {
            Err(MetadataCommitError::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::Full),
            answer => panic!("{giving:?}: {answer:?}"),
        }
    }
    assert_eq!(store.traces_after(0, many()).await.unwrap(), before);
    // What is there already takes no room.
    let effects = store.commit_metadata(metadata(Vec::new(), given)).await.unwrap().effects;
    assert!(effects.iter().all(|effect| *effect == Effect::Nothing), "{effects:?}");

    let closing = describe(Visibility::Private, "words");
    let taking = [
        MetadataChange::RemoveAccessKey(KeyId::parse("AK1").unwrap()),
        take_back(),
        MetadataChange::RemoveShare { repository: repository("lib/a"), account: account(2).id },
        MetadataChange::RemoveOrganisation(organisation("other")),
        MetadataChange::RemoveUser(user(2).id),
    ];
    let effects = store.commit_metadata(metadata(Vec::new(), vec![closing])).await.unwrap().effects;
    assert_eq!(effects, [Effect::Changed]);
    for taking in &taking {
        let effects =
            store.commit_metadata(metadata(Vec::new(), vec![taking.clone()])).await.unwrap().effects;
        assert_eq!(effects, [Effect::Removed], "{taking:?}");
    }
    let left = store.traces_after(before.last().unwrap().seq, many()).await.unwrap();
    assert_eq!(left.len(), 1 + taking.len());
    store.trim_traces(minute(99), many()).await.unwrap();

    fs::remove_dir(&reserve).unwrap();
    store.commit_metadata(metadata(Vec::new(), vec![create_organisation("new")])).await.unwrap();
    assert!(!store.gauges().is_full);
}

/// A manifest may name content that is not there, as large as it likes to say.
#[tokio::test]
async fn sizes_that_no_integer_holds_stop_at_the_greatest() {
    let store = SqliteStore::in_memory().await.unwrap();
    settle(&store).await;
    let mut record = SampleManifest::image("a").with_layer(&SampleBlob::new("another layer")).record();
    assert_eq!(record.references.len(), 3);
    for named in &mut record.references {
        named.size = i64::MAX as u64;
    }
    let set = Change::SetTag { tag: "v1".parse().unwrap(), digest: record.digest };
    let changes = vec![Change::CreateRepository, Change::PutManifest(record), set];
    store.commit(content("lib/a", Vec::new(), changes)).await.unwrap();
    let query = VersionQuery {
        tag: None,
        exactly: None,
        after: None,
        order: VersionOrder::Tag,
        descending: false,
        offset: 0,
        limit: many(),
    };
    let versions = store.versions(&repository("lib/a"), &query).await.unwrap().unwrap();
    assert_eq!(versions.entries.first().unwrap().size, u64::MAX);
}

/// Of a caller that is no user here, content tells as little as ever, and nothing of it is lost.
#[tokio::test]
async fn registries_without_accounts_have_no_trail() {
    let store = SqliteStore::in_memory().await.unwrap();
    let commit = Commit {
        actor: Actor::Caller(Caller::User(Identity::new("ada"))),
        ..content("lib/a", Vec::new(), vec![Change::CreateRepository])
    };
    let receipt = store.commit(commit).await.unwrap();
    assert_eq!(receipt.events.len(), 1);
    assert_eq!(store.traces_after(0, many()).await.unwrap(), []);
    let of_nobody = TraceQuery::of(account(1).id, many());
    assert_eq!(store.traces(&of_nobody).await.unwrap(), []);
}
