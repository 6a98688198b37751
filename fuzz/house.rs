//! A deployment in memory, of which everything is known beforehand: two accounts with administrators, a member and an
//! operator, a key that tokens are signed with, and a repository with two versions.
#![allow(dead_code, reason = "each target uses what it needs")]

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeZone as _, Utc};
use futures_util::FutureExt as _;
use swr_auth::{ControlAuthenticator, DeskSettings, GrantAuthorizer, KeyDesk, Secret, Signer, Vault};
use swr_core::caller::{Actor, Origin, Task};
use swr_core::control::change::{MetadataChange, MetadataCommit};
use swr_core::control::credential::{AccessKey, KeyId, TokenKey};
use swr_core::control::identity::{
    Account, AccountId, AccountName, PasswordHash, ProjectId, Role, User, UserId, UserName,
};
use swr_core::control::{ControlLimits, ControlPlane};
use swr_core::ports::{Clock, MetadataStore as _};
use swr_core::registry::{ManifestPush, Precondition, Registry};
use swr_storage::{MemoryBlobs, MemoryManifests};

pub const HOST: &str = "registry.example";
/// What `k1` signs tokens with.
pub const TOKEN_SECRET: &str = "the key that signs";
pub const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// 2026-01-01, and it stays that.
#[derive(Debug)]
pub struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap()
    }
}

pub struct House {
    pub store: Arc<MemoryManifests>,
    pub plane: ControlPlane,
    pub registry: Registry,
    pub authenticator: Arc<ControlAuthenticator>,
    pub desk: Arc<KeyDesk>,
    pub settings: DeskSettings,
    /// Who administers the account `north`.
    pub ada: Signer,
    /// Who administers the account `south`.
    pub eve: Signer,
    pub operator: Signer,
}

impl House {
    pub fn new() -> Self {
        let clock = Arc::new(Stopped);
        let store = Arc::new(MemoryManifests::new());
        let authorizer = Arc::new(GrantAuthorizer::new(store.clone(), clock.clone()));
        let registry = Registry::builder(Arc::new(MemoryBlobs::new()), store.clone(), authorizer.clone())
            .clock(clock.clone())
            .build();
        let limits = ControlLimits { regions: vec!["elsewhere".into()], ..ControlLimits::default() };
        let plane =
            ControlPlane::with(registry.clone(), store.clone(), authorizer.clone(), clock.clone(), limits);
        let settings = DeskSettings::new("here", HOST, "https://registry.example/token").unwrap();
        let vault = Arc::new(Vault::new(&[7; 32]));
        let authenticator = Arc::new(ControlAuthenticator::new(
            store.clone(),
            vault.clone(),
            settings.clone(),
            clock.clone(),
        ));
        let (north, south) = (account("north", "1"), account("south", "2"));
        let ada = user(&north, "ada", "a", Role::Administrator);
        let bob = user(&north, "bob", "b", Role::Member);
        let eve = user(&south, "eve", "e", Role::Administrator);
        let operator = user(&south, "olga", "0", Role::Operator);
        let k1 = KeyId::parse("k1").unwrap();
        let token_secret = Some(vault.seal(&Secret::new(TOKEN_SECRET), "token-key k1"));
        let secret = Some(vault.seal(&Secret::new("the secret of ada's key"), "access-key AK"));
        let changes = vec![
            MetadataChange::PutAccount(north.clone()),
            MetadataChange::PutAccount(south.clone()),
            MetadataChange::PutUser(ada.clone()),
            MetadataChange::PutUser(bob),
            MetadataChange::PutUser(eve.clone()),
            MetadataChange::PutUser(operator.clone()),
            MetadataChange::PutTokenKey(TokenKey { id: k1, secret: token_secret, created: clock.now() }),
            MetadataChange::PutAccessKey(AccessKey {
                id: KeyId::parse("AK").unwrap(),
                user: ada.id.clone(),
                description: "".into(),
                secret,
                created: clock.now(),
            }),
            MetadataChange::CreateOrganisation {
                name: "group".parse().unwrap(),
                account: north.id.clone(),
                creator: ada.id.clone(),
            },
        ];
        let commit = MetadataCommit {
            actor: Actor::Caretaker(Task::Administration),
            origin: Origin::default(),
            at: clock.now(),
            requires: Vec::new(),
            changes,
        };
        store.commit_metadata(commit).now_or_never().expect("memory does not wait").unwrap();
        let signer = |user: User, account: Account| Signer { user, account, key: None };
        let house = Self {
            store,
            plane,
            registry,
            authenticator,
            desk: Arc::new(KeyDesk::new(vault, settings.clone(), clock)),
            settings,
            ada: signer(ada, north),
            eve: signer(eve, south.clone()),
            operator: signer(operator, south),
        };
        for tag in ["v1", "v2"] {
            house.push(tag);
        }
        house
    }

    /// A version of `group/app` that names nothing.
    fn push(&self, tag: &str) {
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"name":"{tag}"}}}}"#
        );
        let push = ManifestPush {
            reference: tag.parse().unwrap(),
            tags: Vec::new(),
            media_type: None,
            bytes: Bytes::from(index),
            precondition: Precondition::None,
        };
        let access = self.registry.access(self.ada.caller(), Origin::default());
        let repository = "group/app".parse().unwrap();
        access.push_manifest(&repository, push).now_or_never().expect("memory does not wait").unwrap();
    }
}

fn account(name: &str, digit: &str) -> Account {
    Account {
        id: AccountId::parse(&digit.repeat(32)).unwrap(),
        name: AccountName::parse(name).unwrap(),
        project: ProjectId::parse(&digit.repeat(32)).unwrap(),
        agency: false,
        created: Stopped.now(),
    }
}

fn user(account: &Account, name: &str, digit: &str, role: Role) -> User {
    User {
        id: UserId::parse(&digit.repeat(32)).unwrap(),
        account: account.id.clone(),
        name: UserName::parse(name).unwrap(),
        role,
        password: Some(PasswordHash::new(PASSWORD_HASH)),
        created: Stopped.now(),
    }
}
