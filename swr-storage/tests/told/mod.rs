//! What the fixtures of formats were told, and every answer about it.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "each test file uses what it needs, and stops where it fails"
)]

use std::num::NonZeroU32;

use futures_util::TryStreamExt;

use swr_core::RepositoryName;
use swr_core::caller::{Actor, Caller, Channel, Identity, Origin};
use swr_core::commit::{Change, Commit};
use swr_core::digest::Algorithm;
use swr_core::event::EventSeq;
use swr_core::ports::{Fence, Lease, ManifestStore, Page, PullCount, WithBytes};
use swr_core::testing::minute;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::upload::UploadId;
use swr_storage::upload_sessions::{UploadSession, UploadSessions};

fn shared_layer() -> SampleBlob {
    SampleBlob::new("a shared layer")
}

fn image(name: &str) -> SampleManifest {
    SampleManifest::image(name).with_layer(&shared_layer())
}

pub(crate) fn fence() -> Fence {
    Fence { lease: "collection".into(), token: 1 }
}

/// A little of everything that format 1 knows. It cannot change: the fixture is what it told then.
pub(crate) async fn tell(store: &(impl ManifestStore + UploadSessions)) {
    let identity = Identity::new("ada");
    let origin = Origin {
        source: Some([192, 0, 2, 7].into()),
        request_id: Some("request 1".into()),
        channel: Channel::Api,
        ..Origin::default()
    };
    let commit = async |at: i64, repository: &str, changes: Vec<Change>| {
        let commit = Commit {
            repository: name(repository),
            actor: Actor::Caller(Caller::User(identity.clone())),
            origin: origin.clone(),
            at: minute(at),
            requires: Vec::new(),
            changes,
        };
        store.commit(commit).await.unwrap();
    };
    let push = async |at: i64, repository: &str, manifest: &SampleManifest, tags: &[&str]| {
        let blobs = manifest.blobs().map(|blob| Change::LinkStored(blob.stored_at(&place(blob))));
        commit(at, repository, blobs.collect()).await;
        let record = manifest.record();
        let set = tags.iter().map(|tag| Change::SetTag { tag: tag.parse().unwrap(), digest: record.digest });
        let changes = [Change::CreateRepository, Change::PutManifest(record.clone())].into_iter().chain(set);
        commit(at, repository, changes.collect()).await;
    };
    let lease = Lease { name: "collection", holder: "one", now: minute(0), until: minute(1000) };
    assert_eq!(store.lease(&lease).await.unwrap(), Some(fence()));

    let (a, b) = (image("a"), image("b").under(Algorithm::Sha512));
    push(1, "math/a", &a, &["1.0", "latest"]).await;
    push(2, "math/a", &b, &["1.1", "latest"]).await;
    push(3, "math/a", &SampleManifest::index(&[&a, &b]), &["all"]).await;
    let artifact = SampleManifest::artifact("application/vnd.example", "of a").referring_to(&a);
    push(4, "math/a", &artifact.annotated("key", "value"), &[]).await;
    push(5, "math/b", &a, &["1.0"]).await;
    commit(6, "math/b", vec![Change::RemoveTag("1.0".parse().unwrap())]).await;
    push(7, "math/gone", &b, &["1.0"]).await;
    commit(8, "math/gone", vec![Change::RemoveRepository]).await;
    push(9, "alone", &b, &[]).await;
    let waiting = SampleBlob::new("of a push under way");
    commit(10, "math/hidden", vec![Change::LinkStored(waiting.stored_at(&place(&waiting)))]).await;
    // Brought again, to another place.
    commit(11, "math/b", vec![Change::LinkStored(waiting.stored_at("another place"))]).await;

    let pulls = |repository: &str, reference, count| PullCount {
        repository: name(repository),
        reference,
        count,
        last: minute(20),
    };
    let latest: swr_core::Tag = "latest".parse().unwrap();
    let counts = [pulls("math/a", latest.into(), 5), pulls("math/a", a.digest().into(), 2)];
    store.observe_pulls(&counts).await.unwrap();
    store.advance("sink", EventSeq(4), &fence()).await.unwrap();
    let id = UploadId::parse("11111111111111111111111111111111").unwrap();
    let session = UploadSession { id, version: 1, touched: minute(21), record: "a record".to_owned() };
    assert!(store.save(&session).await.unwrap());
}

fn place(blob: &SampleBlob) -> String {
    format!("the place of {}", blob.digest)
}

pub(crate) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// What format 2 knows beside that: people, their keys, what they may do and what they did. It cannot change either.
#[cfg(feature = "control")]
pub(crate) mod people {
    use swr_core::OrganisationName;
    use swr_core::caller::Task;
    use swr_core::control::change::{MetadataChange, MetadataCommit};
    use swr_core::control::credential::{AccessKey, KeyId, Sealed, TemporaryKey, TokenKey};
    use swr_core::control::grant::{Grant, GrantLevel, GrantScope};
    use swr_core::control::identity::{
        Account, AccountId, AccountName, PasswordHash, ProjectId, Role, User, UserId, UserName,
    };
    use swr_core::control::repository::{Attributes, Category, Visibility};
    use swr_core::control::share::{Deadline, Share};
    use swr_core::control::trace::{Trace, TraceId};
    use swr_core::ports::MetadataStore;

    use super::*;

    pub(crate) fn account(name: &str, digit: &str) -> Account {
        Account {
            id: AccountId::parse(&digit.repeat(32)).unwrap(),
            name: AccountName::parse(name).unwrap(),
            project: ProjectId::parse(&digit.repeat(32)).unwrap(),
            agency: false,
            created: minute(30),
        }
    }

    pub(crate) fn ada(north: &Account) -> User {
        user(north, "ada", "a")
    }

    fn user(account: &Account, name: &str, digit: &str) -> User {
        User {
            id: UserId::parse(&digit.repeat(32)).unwrap(),
            account: account.id.clone(),
            name: UserName::parse(name).unwrap(),
            role: Role::Administrator,
            password: Some(PasswordHash::new("$argon2id$of-ada")),
            created: minute(30),
        }
    }

    pub(crate) async fn tell(store: &impl MetadataStore) {
        let (north, south) = (account("north", "1"), account("south", "2"));
        let (ada, eve) = (ada(&north), user(&south, "eve", "e"));
        let commit = async |at, actor, changes| {
            let (origin, requires) = (Origin::default(), Vec::new());
            let commit = MetadataCommit { actor, origin, at: minute(at), requires, changes };
            store.commit_metadata(commit).await.unwrap();
        };
        let people = vec![
            MetadataChange::PutAccount(north.clone()),
            MetadataChange::PutAccount(south.clone()),
            MetadataChange::PutUser(ada.clone()),
            MetadataChange::PutUser(eve.clone()),
        ];
        commit(30, Actor::Caretaker(Task::Administration), people).await;
        let key = |text: &str| KeyId::parse(text).unwrap();
        let sealed = |text: &str| Some(Sealed::new(text.as_bytes()));
        let by_ada = vec![
            MetadataChange::PutAccessKey(AccessKey {
                id: key("AK1"),
                user: ada.id.clone(),
                description: "a key".into(),
                secret: sealed("sealed"),
                created: minute(31),
            }),
            MetadataChange::PutTemporaryKey(TemporaryKey {
                id: key("TK1"),
                user: ada.id.clone(),
                issued_with: Some(key("AK1")),
                secret: [7; 32],
                expires: minute(99),
            }),
            MetadataChange::PutTokenKey(TokenKey {
                id: key("KK1"),
                secret: sealed("sealed as well"),
                created: minute(31),
            }),
            MetadataChange::CreateOrganisation {
                name: "math".parse().unwrap(),
                account: north.id.clone(),
                creator: ada.id.clone(),
            },
            MetadataChange::SetAttributes {
                name: name("math/a"),
                attributes: Attributes {
                    visibility: Visibility::Public,
                    category: Category::Linux,
                    description: "words".into(),
                },
            },
            MetadataChange::PutGrant(Grant {
                scope: GrantScope::Organisation("math".parse().unwrap()),
                user: ada.id.clone(),
                level: GrantLevel::Manage,
                created: minute(31),
            }),
            MetadataChange::PutGrant(Grant {
                scope: GrantScope::Repository(name("math/b")),
                user: eve.id.clone(),
                level: GrantLevel::Read,
                created: minute(31),
            }),
            MetadataChange::PutShare(Share {
                repository: name("math/b"),
                account: south.id.clone(),
                deadline: Deadline::At(minute(99)),
                description: "for a while".into(),
                creator: ada.id.clone(),
                creator_name: ada.name.clone(),
                created: minute(31),
                updated: minute(31),
            }),
        ];
        let ada = Actor::Caller(Caller::User(Identity::new(ada.id.as_str())));
        commit(31, ada, by_ada).await;
    }

    /// Every answer about it that is no matter of chance.
    pub(crate) async fn answers(store: &impl MetadataStore) -> Vec<String> {
        let mut answers = vec![
            format!("{:?}", store.token_keys().await.unwrap()),
            format!("{:?}", store.all_access_keys(&all()).await.unwrap()),
            format!("{:?}", store.standing(None, &math(), None).await.unwrap()),
            format!("{:?}", store.organisation(&math()).await.unwrap()),
        ];
        for key in ["AK1", "TK1"] {
            let holder = store.key_holder(&KeyId::parse(key).unwrap()).await.unwrap();
            answers.push(format!("{holder:?}"));
        }
        for account in store.accounts(&all()).await.unwrap() {
            let users = store.users(&account.id, &all()).await.unwrap();
            answers.push(format!("{account:?} {users:?} {:?}", store.overview(&account.id).await.unwrap()));
        }
        for repository in NAMES.map(name) {
            let scope = GrantScope::Repository(repository.clone());
            answers.push(format!("{:?}", store.repository_details(&repository).await.unwrap()));
            answers.push(format!("{:?}", store.grants(&scope).await.unwrap()));
            answers.push(format!("{:?}", store.shares(&repository, &all()).await.unwrap()));
        }
        let trail = store.traces_after(0, many()).await.unwrap();
        answers
            .extend(trail.into_iter().map(|trace| format!("{:?}", Trace { id: TraceId::new(""), ..trace })));
        answers
    }

    fn math() -> OrganisationName {
        "math".parse().unwrap()
    }
}

/// What format 3 knows beside that: what runs by itself, and what accounts use. It cannot change either.
#[cfg(feature = "control")]
pub(crate) mod running {
    use swr_core::TriggerName;
    use swr_core::caller::Task;
    use swr_core::control::change::{MetadataChange, MetadataCommit};
    use swr_core::control::identity::UserName;
    use swr_core::control::rule::{AgingLimit, AgingRule, NewestCount};
    use swr_core::control::sync::{SyncRule, SyncTarget};
    use swr_core::control::trigger::{Trigger, TriggerCondition, TriggerRule, TriggerTarget};
    use swr_core::ports::{MetadataStore, UsageKind};

    use super::people::{account, ada};
    use super::*;

    pub(crate) async fn tell(store: &impl MetadataStore) {
        let (math_a, north) = (name("math/a"), account("north", "1"));
        let changes = vec![
            MetadataChange::PutRule {
                repository: math_a.clone(),
                rule: AgingRule::new(AgingLimit::Count(NewestCount::new(9).unwrap())),
            },
            MetadataChange::PutSync(SyncRule {
                id: 0,
                repository: math_a.clone(),
                target: SyncTarget { region: "elsewhere".into(), organisation: "math".into() },
                auto: true,
                overwrite: false,
                created: minute(50),
                updated: minute(50),
            }),
            MetadataChange::CreateTrigger(Trigger {
                repository: math_a.clone(),
                name: TriggerName::parse("tell").unwrap(),
                rule: TriggerRule { enabled: true, condition: TriggerCondition::All },
                target: TriggerTarget::Webhook { url: "https://hooks.example".into(), secret: None },
                creator: ada(&north).id,
                creator_name: UserName::parse("ada").unwrap(),
                created: minute(50),
            }),
        ];
        let commit = MetadataCommit {
            actor: Actor::Caretaker(Task::Administration),
            origin: Origin::default(),
            at: minute(50),
            requires: Vec::new(),
            changes,
        };
        store.commit_metadata(commit).await.unwrap();
        store.note_stored(minute(50).date_naive()).await.unwrap();
    }

    /// Every answer about it.
    pub(crate) async fn answers(store: &impl MetadataStore) -> Vec<String> {
        let repository = name("math/a");
        let day = minute(50).date_naive();
        let usage = store.usage(&account("north", "1").id, UsageKind::Stored, day, day).await.unwrap();
        vec![
            format!("{:?}", store.rule(&repository).await.unwrap()),
            format!("{:?}", store.syncs(&repository).await.unwrap()),
            format!("{:?}", store.triggers(&repository).await.unwrap()),
            format!("{usage:?}"),
        ]
    }
}

/// What format 4 knows beside that: sessions of people on pages. It cannot change either.
#[cfg(feature = "control")]
pub(crate) mod pages {
    use swr_core::control::session::{Session, SessionId, SessionProof};
    use swr_core::ports::MetadataStore;

    use super::people::{account, ada};
    use super::*;

    pub(crate) fn session() -> Session {
        Session {
            id: SessionId([7; 32]),
            user: ada(&account("north", "1")).id,
            proof: SessionProof::Password("a mark".into()),
            begun: minute(60),
            used: minute(60),
        }
    }

    pub(crate) async fn tell(store: &impl MetadataStore) {
        assert!(store.begin_session(&session(), NonZeroU32::MIN).await.unwrap());
    }

    /// The answer about it.
    pub(crate) async fn answer(store: &impl MetadataStore) -> String {
        let found = store.session(&session().id).await.unwrap();
        assert_eq!(found.as_ref().map(|found| &found.session), Some(&session()));
        format!("{found:?}")
    }
}

// What a store says of it.

const NAMES: [&str; 5] = ["math/a", "math/b", "math/gone", "math/hidden", "alone"];

pub(crate) fn all<T>() -> Page<T> {
    Page { after: None, limit: many() }
}

pub(crate) fn many() -> NonZeroU32 {
    NonZeroU32::new(1000).unwrap()
}

/// Every answer that the port gives about what [`tell`] tells.
pub(crate) async fn answers(store: &(impl ManifestStore + UploadSessions)) -> Vec<String> {
    let (a, b) = (image("a"), image("b").under(Algorithm::Sha512));
    let mut answers = vec![
        format!("{:?}", store.repositories(&all()).await.unwrap()),
        format!("{:?}", store.events(EventSeq::START, many()).await.unwrap()),
        format!("{:?}", store.cursor("sink").await.unwrap()),
        format!("{:?}", store.backlog().await.unwrap()),
        format!("{:?}", store.garbage(minute(1000), &all()).await.unwrap()),
        format!("{:?}", store.holders(&shared_layer().digest, &name("math/x"), many()).await.unwrap()),
        format!("{:?}", store.idle_since(minute(1000)).try_collect::<Vec<_>>().await.unwrap()),
    ];
    for repository in NAMES.map(name) {
        answers.push(format!("{repository}: {:?}", store.repository(&repository).await.unwrap()));
        let tags = store.tags(&repository, &all()).await.unwrap();
        answers.push(format!("{tags:?}"));
        for tag in tags.into_iter().flatten() {
            let reference = tag.tag.into();
            let found = store.resolve(&repository, &reference, WithBytes::Yes).await.unwrap();
            answers.push(format!("{found:?} {:?}", store.pulls(&repository, &reference).await.unwrap()));
        }
        for manifest in [&a, &b] {
            let reference = manifest.digest().into();
            let found = store.resolve(&repository, &reference, WithBytes::Yes).await.unwrap();
            answers.push(format!("{found:?} {:?}", store.pulls(&repository, &reference).await.unwrap()));
            let referrers = store.referrers(&repository, &manifest.digest(), None, &all()).await.unwrap();
            answers.push(format!("{referrers:?}"));
            for blob in manifest.blobs() {
                answers.push(format!("{:?}", store.blob(&repository, &blob.digest).await.unwrap()));
                let naming = store.manifests_naming(&repository, &blob.digest, many()).await.unwrap();
                answers.push(format!("{naming:?}"));
            }
        }
    }
    answers
}
