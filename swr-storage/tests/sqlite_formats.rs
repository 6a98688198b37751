//! A database of an earlier format is taken to the present one, with all it holds.
#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod told;

use std::path::Path;

use swr_core::ports::{ManifestStore, Unused};
use swr_core::testing::minute;
use swr_storage::{SqliteOptions, SqliteStore};

use told::{answers, fence, many, tell};

/// What [`tell`] left when the format was 1.
const FORMAT_1: &str = include_str!("sqlite_formats/1.sql");

/// What [`tell`] and [`told::people::tell`] left when the format was 2.
const FORMAT_2: &str = include_str!("sqlite_formats/2.sql");

/// What they and [`told::running::tell`] left when the format was 3.
const FORMAT_3: &str = include_str!("sqlite_formats/3.sql");

/// What all of them and [`told::pages::tell`] left when the format was 4.
const FORMAT_4: &str = include_str!("sqlite_formats/4.sql");

async fn open(path: &Path) -> SqliteStore {
    let mut options = SqliteOptions::default();
    options.wal_bytes = 0;
    options.reserve_bytes = 0;
    SqliteStore::open_with(path, options).await.unwrap()
}

/// As the fixture was made: a store of an earlier format.
async fn open_format(fixture: &str, folder: &Path) -> SqliteStore {
    let path = folder.join("registry.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch(fixture).unwrap();
    drop(database);
    open(&path).await
}

#[tokio::test]
async fn a_database_of_an_earlier_format_is_as_if_it_had_always_been_of_this_one() {
    for fixture in [FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4] {
        let folder = tempfile::tempdir().unwrap();
        let present = SqliteStore::in_memory().await.unwrap();
        tell(&present).await;
        let migrated = open_format(fixture, folder.path()).await;
        let expected = answers(&present).await;
        assert_eq!(answers(&migrated).await, expected);
        assert_eq!(migrated.check().await.unwrap(), Vec::<String>::new());

        // And so it goes on: over a restart, and through a collection.
        drop(migrated);
        let migrated = open(&folder.path().join("registry.db")).await;
        assert_eq!(answers(&migrated).await, expected);
        let (before, at) = (minute(500), minute(500));
        let unused = Unused { manifests_before: Some(before), links_before: before, at };
        for store in [&present, &migrated] {
            while !store.release_unused(&unused, &fence(), many()).await.unwrap().is_nothing() {}
            store.discard_unlinked(before, at, &fence(), many()).await.unwrap();
        }
        let expected = answers(&present).await;
        assert_eq!(answers(&migrated).await, expected);
        assert!(!expected.iter().any(|answer| answer.starts_with("math/hidden: Some")), "{expected:#?}");
    }
}

/// What format 2 knows beside that.
#[cfg(feature = "control")]
mod people {
    use swr_core::caller::{Actor, Origin, Task};
    use swr_core::control::change::{MetadataChange, MetadataCommit};
    use swr_core::control::rule::{AgingLimit, AgingRule, NewestCount};
    use swr_core::ports::{MetadataStore, UsageKind};

    use super::told::people::{account, answers, tell};
    use super::told::{all, name};
    use super::*;

    #[tokio::test]
    async fn people_of_format_2_are_who_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let present = SqliteStore::in_memory().await.unwrap();
        super::tell(&present).await;
        tell(&present).await;
        let migrated = open_format(FORMAT_2, folder.path()).await;
        let expected = answers(&present).await;
        for trace in migrated.traces_after(0, many()).await.unwrap() {
            serde_json::from_str::<MetadataChange>(&trace.traced.change).unwrap();
        }
        // Traces of an account's change of format 2 do not speak of what there was not.
        let told = |answers: &[String]| -> Vec<String> {
            answers.iter().map(|answer| answer.replace(r#"\"agency\":false,"#, "")).collect()
        };
        assert_eq!(told(&answers(&migrated).await), told(&expected));

        // And so it goes on, with what runs for them.
        let repository = name("math/a");
        let rule = AgingRule::new(AgingLimit::Count(NewestCount::new(1).unwrap()));
        let change = MetadataChange::PutRule { repository: repository.clone(), rule };
        for store in [&present, &migrated] {
            let commit = MetadataCommit {
                actor: Actor::Caretaker(Task::Administration),
                origin: Origin::default(),
                at: minute(40),
                requires: Vec::new(),
                changes: vec![change.clone()],
            };
            store.commit_metadata(commit).await.unwrap();
            store.note_stored(minute(40).date_naive()).await.unwrap();
        }
        let seen = async |store: &SqliteStore| {
            let day = minute(40).date_naive();
            let account = account("north", "1").id;
            let usage = store.usage(&account, UsageKind::Stored, day, day).await.unwrap();
            (
                store.rule(&repository).await.unwrap(),
                store.aging_facts(&repository, &all()).await.unwrap(),
                usage,
            )
        };
        assert_eq!(seen(&migrated).await, seen(&present).await);
        assert_eq!(migrated.check().await.unwrap(), Vec::<String>::new());
    }
}

/// What formats 3 and 4 know beside that.
#[cfg(feature = "control")]
mod running {
    use super::told::{pages, people, running};
    use super::*;

    async fn present() -> SqliteStore {
        let store = SqliteStore::in_memory().await.unwrap();
        tell(&store).await;
        people::tell(&store).await;
        running::tell(&store).await;
        store
    }

    #[tokio::test]
    async fn what_runs_in_format_3_runs_on() {
        let folder = tempfile::tempdir().unwrap();
        let present = present().await;
        let migrated = open_format(FORMAT_3, folder.path()).await;
        assert_eq!(running::answers(&migrated).await, running::answers(&present).await);
        assert_eq!(people::answers(&migrated).await, people::answers(&present).await);
        assert_eq!(answers(&migrated).await, answers(&present).await);

        // And so it goes on, with people on pages.
        for store in [&present, &migrated] {
            pages::tell(store).await;
        }
        assert_eq!(pages::answer(&migrated).await, pages::answer(&present).await);
        assert_eq!(migrated.check().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn people_on_pages_of_format_4_stay_there() {
        let folder = tempfile::tempdir().unwrap();
        let present = present().await;
        pages::tell(&present).await;
        let migrated = open_format(FORMAT_4, folder.path()).await;
        assert_eq!(pages::answer(&migrated).await, pages::answer(&present).await);
        assert_eq!(running::answers(&migrated).await, running::answers(&present).await);
        assert_eq!(people::answers(&migrated).await, people::answers(&present).await);
        assert_eq!(answers(&migrated).await, answers(&present).await);
        assert_eq!(migrated.check().await.unwrap(), Vec::<String>::new());
    }
}

/// What was not known then is what it would be for a repository of which nothing was said, as far as it can be told.
#[cfg(feature = "control")]
#[tokio::test]
async fn what_a_database_of_format_1_did_not_know_is_told_from_what_it_holds() {
    use swr_core::caller::{Actor, Origin, Task};
    use swr_core::control::change::{MetadataChange, MetadataCommit};
    use swr_core::control::identity::{
        Account, AccountId, AccountName, ProjectId, Role, User, UserId, UserName,
    };
    use swr_core::control::repository::Attributes;
    use swr_core::ports::{MetadataStore, VersionOrder, VersionQuery};
    use told::name;

    let folder = tempfile::tempdir().unwrap();
    let store = open_format(FORMAT_1, folder.path()).await;
    assert_eq!(store.traces_after(0, many()).await.unwrap(), []);
    let account = Account {
        id: AccountId::random(),
        name: AccountName::parse("north").unwrap(),
        project: ProjectId::random(),
        agency: false,
        created: minute(30),
    };
    let user = User {
        id: UserId::random(),
        account: account.id.clone(),
        name: UserName::parse("ada").unwrap(),
        role: Role::Administrator,
        password: None,
        created: minute(30),
    };
    let changes = vec![
        MetadataChange::PutAccount(account.clone()),
        MetadataChange::PutUser(user.clone()),
        MetadataChange::CreateOrganisation {
            name: "math".parse().unwrap(),
            account: account.id.clone(),
            creator: user.id,
        },
    ];
    let actor = Actor::Caretaker(Task::Administration);
    let commit =
        MetadataCommit { actor, origin: Origin::default(), at: minute(30), requires: Vec::new(), changes };
    store.commit_metadata(commit).await.unwrap();

    let details = async |repository: &str| store.repository_details(&name(repository)).await.unwrap();
    let a = details("math/a").await.unwrap();
    assert_eq!((&a.account, &a.account_name), (&account.id, &account.name));
    assert_eq!((a.attributes, a.creator), (Attributes::default(), None));
    assert_eq!((a.created, a.updated, a.versions, a.pulls), (minute(1), minute(3), 4, 7));
    let b = details("math/b").await.unwrap();
    assert_eq!((b.created, b.updated, b.versions, b.pulls), (minute(5), minute(5), 0, 0));
    for absent in ["math/gone", "math/hidden", "alone"] {
        assert_eq!(details(absent).await, None, "{absent}");
    }

    let query = VersionQuery {
        tag: None,
        exactly: None,
        after: None,
        order: VersionOrder::Tag,
        descending: false,
        offset: 0,
        limit: many(),
    };
    let versions = store.versions(&name("math/a"), &query).await.unwrap().unwrap().entries;
    let times = versions.iter().map(|version| (version.tag.as_str(), version.created, version.updated));
    let expected = [("1.0", 1), ("1.1", 2), ("all", 3), ("latest", 2)];
    assert!(times.eq(expected.map(|(tag, at)| (tag, minute(at), minute(at)))), "{versions:?}");
}
