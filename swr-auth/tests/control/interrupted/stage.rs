//! A scene with something in it for every operation to work on, and everything that can be seen of it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};
use swr_auth::session_desk::NewSession;
use swr_auth::{AuthenticationError, Secret, SessionDesk, SessionLimits};
use swr_core::caller::Origin;
use swr_core::control::credential::{AccessKey, KeyId, Sealed, TemporaryKey, TokenKey};
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{AccountName, Role, User, UserName};
use swr_core::control::rule::{AgingLimit, AgingRule, NewestCount, RuleId};
use swr_core::control::session::SessionId;
use swr_core::control::share::Deadline;
use swr_core::control::sync::SyncTarget;
use swr_core::control::trace::TraceQuery;
use swr_core::control::trigger::{Delivery, DeliveryId, Trigger, TriggerTarget};
use swr_core::control::{ControlAccess, ControlError, Courier, NewAccount, NewUser};
use swr_core::event::EventSeq;
use swr_core::ports::{
    ActionError, Clock as _, ManifestStore as _, MetadataStore, Page, StoreError, TriggerAction, UsageKind,
    VersionOrder, VersionQuery,
};
use swr_core::registry::{ManifestPush, Precondition};
use swr_core::testing::sample_images::SampleManifest;
use swr_core::{Error, Tag, TriggerName};
use swr_policy::{OrganisationName, TriggerCondition, TriggerRule};

use crate::scene::{REGION, Scene, caller, repository};

/// Beside the people of the scene there is Guy, a member of `north` who does nothing, and an account `east`. There is
/// an organisation `empty`. `lib/secret` has the versions `v1` and `v2`, a rule that is due, a trigger with a delivery
/// that was given up, a wish to be kept in step, a grant to Bob and a share with `south`. A day later it gets `v3`.
pub(super) struct Stage {
    pub(super) scene: Scene,
    pub(super) guy: User,
    pub(super) rule: RuleId,
    pub(super) dead: DeliveryId,
    pub(super) sessions: SessionDesk,
    /// Bob's access key.
    pub(super) key: (KeyId, Secret),
    /// Bob's session.
    pub(super) session: NewSession,
    /// Ada's session, which has ended by itself.
    pub(super) ended: NewSession,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let scene = Scene::new().await;
        let sessions = SessionDesk::new(
            Arc::clone(&scene.metadata) as _,
            Arc::clone(&scene.authenticator),
            Arc::clone(&scene.clock) as _,
            SessionLimits { per_user: NonZeroU32::MIN, ..SessionLimits::default() },
        );
        let house = scene.house();
        house.create_account(NewAccount { name: account("east") }).await.unwrap();
        let new = new_user(&scene, "guy");
        let guy = house.create_user(new).await.unwrap();
        let old = scene.access_key(&scene.ada).await;
        let ended = sessions.sign_in_with_key(&old.0, &old.1).await.unwrap();
        let ada = scene.control_as(&scene.ada);
        ada.create_organisation(&organisation("empty")).await.unwrap();
        let secret = repository("lib/secret");
        let trigger = TriggerRule { condition: TriggerCondition::All, enabled: true };
        ada.create_trigger(&secret, &hook(), trigger, target()).await.unwrap();
        push(&scene, "v1").await;
        let courier = Courier::new(scene.control.clone(), Arc::new(Impossible));
        courier.fan_out().await.unwrap();
        let claimed = courier.claim(many()).await.unwrap().pop().unwrap();
        courier.attempt(&claimed).await.unwrap();
        push(&scene, "v2").await;
        scene.control.note_usage().await.unwrap();
        ada.put_sync(&secret, &there("step"), true, false).await.unwrap();
        ada.sync_versions(&secret, &there("step"), &[tag("v1")], false).await.unwrap();
        ada.grant(&on_secret(), &[(scene.bob.id.clone(), GrantLevel::Read)]).await.unwrap();
        ada.share(&secret, &account("south"), Deadline::Never, "").await.unwrap();
        scene.house().add_token_key(token_key(&scene, "OLDTOKEN")).await.unwrap();
        let bob = scene.control_as(&scene.bob);
        let key = scene.access_key(&scene.bob).await;
        bob.add_temporary_key(temporary_key(&scene, "TEMPORARY", Some(&key.0))).await.unwrap();

        scene.pass(TimeDelta::hours(25));
        push(&scene, "v3").await;
        let rule = ada.create_rule(&secret, &newest(1)).await.unwrap();
        let session = sessions.sign_in_with_key(&key.0, &key.1).await.unwrap();
        scene.pass(TimeDelta::minutes(2));
        Self { guy, rule, dead: claimed.delivery.id, sessions, key, session, ended, scene }
    }

    pub(super) fn ada(&self) -> ControlAccess<'_> {
        self.scene.control_as(&self.scene.ada)
    }

    pub(super) fn bob(&self) -> ControlAccess<'_> {
        self.scene.control_as(&self.scene.bob)
    }

    pub(super) fn olga(&self) -> ControlAccess<'_> {
        self.scene.control_as(&self.scene.olga)
    }

    /// Everything that is kept, the trail and the log among it, a line each. What is made at random is numbered in the
    /// order in which it appears, so that two stages can be compared.
    pub(super) async fn seen(&self) -> Vec<String> {
        let store = self.scene.metadata.inner();
        let mut seen = Vec::new();
        for account in store.accounts(&page()).await.unwrap() {
            for user in store.users(&account.id, &page()).await.unwrap() {
                see(&mut seen, "user", &user);
                see(&mut seen, "password", user.password.as_ref().map(|hash| hash.expose()));
                see(&mut seen, "access keys", store.access_keys(&user.id).await.unwrap());
            }
            let today = self.scene.clock.now().date_naive();
            for kind in [UsageKind::Stored, UsageKind::Pulled] {
                let from = today - TimeDelta::days(30);
                see(&mut seen, "usage", store.usage(&account.id, kind, from, today).await.unwrap());
            }
            see(&mut seen, "overview", store.overview(&account.id).await.unwrap());
            for trace in store.traces(&TraceQuery::of(account.id.clone(), many())).await.unwrap() {
                see(&mut seen, "trace", trace);
            }
            see(&mut seen, "account", account);
        }
        see(&mut seen, "token keys", store.token_keys().await.unwrap());
        for name in ["empty", "far", "lib", "new"] {
            let name = organisation(name);
            see(&mut seen, "organisation", store.organisation(&name).await.unwrap());
            see(&mut seen, "grants", store.grants(&GrantScope::Organisation(name)).await.unwrap());
        }
        for name in ["far/away", "lib/new", "lib/open", "lib/secret"] {
            let name = repository(name);
            see(&mut seen, "repository", store.repository_details(&name).await.unwrap());
            see(&mut seen, "grants", store.grants(&GrantScope::Repository(name.clone())).await.unwrap());
            see(&mut seen, "shares", store.shares(&name, &page()).await.unwrap());
            see(&mut seen, "versions", store.versions(&name, &all_versions()).await.unwrap());
            see(&mut seen, "rule", store.rule(&name).await.unwrap());
            see(&mut seen, "cleared", store.cleared(&name, 0, many()).await.unwrap());
            see(&mut seen, "syncs", store.syncs(&name).await.unwrap());
            see(&mut seen, "sync jobs", store.sync_jobs(&name, false, 0, many()).await.unwrap());
            for (id, trigger) in store.triggers(&name).await.unwrap().unwrap_or_default() {
                see(&mut seen, "deliveries", store.deliveries(id, many()).await.unwrap());
                see(&mut seen, "trigger", (id, trigger));
            }
        }
        for key in ["NEWTEMPORARY", "TEMPORARY"] {
            see(&mut seen, "temporary key", store.key_holder(&key_id(key)).await.unwrap());
        }
        for session in [&self.session, &self.ended] {
            let id = SessionId(Sha256::digest(session.token.expose()).into());
            see(&mut seen, "session", store.session(&id).await.unwrap());
        }
        let bob = Some(&self.scene.bob.id);
        let standing = store.standing(bob, &organisation("lib"), Some(&repository("lib/secret"))).await;
        see(&mut seen, "standing", standing.unwrap());
        for event in store.events(EventSeq::START, many()).await.unwrap() {
            see(&mut seen, "event", event);
        }
        numbered(&seen)
    }
}

fn see(seen: &mut Vec<String>, what: &str, value: impl Debug) {
    seen.push(format!("{what}: {value:?}"));
}

/// The lines, with the number of its first appearance in place of each id that is made at random.
fn numbered(lines: &[String]) -> Vec<String> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut number = |word: &str| {
        let next = known.len();
        format!("#{}", known.entry(word.to_owned()).or_insert(next))
    };
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '-';
    lines
        .iter()
        .map(|line| {
            // Words, each with what stands before it.
            let mut words = String::new();
            for part in line.split_inclusive(|character| !is_word(character)) {
                let (word, rest) =
                    part.split_at(part.trim_end_matches(|character| !is_word(character)).len());
                match is_random(word) {
                    true => words.push_str(&number(word)),
                    false => words.push_str(word),
                }
                words.push_str(rest);
            }
            words
        })
        .collect()
}

/// Ids of people, of traces and deliveries, and of access keys.
fn is_random(word: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match word.len() {
        20 => word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
        32 => is_hex(word),
        36 => word.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && word.split('-').all(is_hex),
        _ => false,
    }
}

/// What became of an operation that was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// A store failed, and that is what was said.
    Fault,
    /// Anything else that was said.
    Refused(String),
}

impl From<StoreError> for Failure {
    fn from(_: StoreError) -> Self {
        Self::Fault
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Store(_) | ControlError::Registry(Error::Store(_)) => Self::Fault,
            error => Self::Refused(format!("{error:?}")),
        }
    }
}

impl From<AuthenticationError> for Failure {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Store(_) => Self::Fault,
            error => Self::Refused(format!("{error:?}")),
        }
    }
}

/// Gives up whatever it is to do.
#[derive(Debug)]
struct Impossible;

#[async_trait]
impl TriggerAction for Impossible {
    async fn act(&self, _: &Trigger, _: &Delivery) -> Result<String, ActionError> {
        Err(ActionError::Impossible("nobody is there".to_owned()))
    }
}

/// Ada pushes an image of its own to `lib/secret`.
pub(super) async fn push(scene: &Scene, under: &str) {
    let access = scene.control.registry().access(caller(&scene.ada), Origin::default());
    let (to, image) = (repository("lib/secret"), SampleManifest::image(under));
    for blob in image.blobs() {
        access.push_blob(&to, &blob.digest, blob.bytes.clone().into()).await.unwrap();
    }
    let push = ManifestPush {
        reference: tag(under).into(),
        tags: Vec::new(),
        media_type: Some(image.media_type()),
        bytes: image.bytes(),
        precondition: Precondition::None,
    };
    access.push_manifest(&to, push).await.unwrap();
}

pub(super) fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

pub(super) fn organisation(name: &str) -> OrganisationName {
    OrganisationName::parse(name).unwrap()
}

pub(super) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(super) fn key_id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

pub(super) fn hook() -> TriggerName {
    TriggerName::parse("hook").unwrap()
}

pub(super) fn target() -> TriggerTarget {
    TriggerTarget::Webhook { url: "https://hook.example/".into(), secret: Some(Sealed::new(*b"sealed")) }
}

pub(super) fn there(organisation: &str) -> SyncTarget {
    SyncTarget { region: REGION.into(), organisation: organisation.into() }
}

pub(super) fn on_secret() -> GrantScope {
    GrantScope::Repository(repository("lib/secret"))
}

pub(super) fn newest(count: u32) -> AgingRule {
    AgingRule::new(AgingLimit::Count(NewestCount::new(count).unwrap()))
}

pub(super) fn new_user(scene: &Scene, name: &str) -> NewUser {
    let account = scene.ada.account.clone();
    NewUser { account, name: UserName::parse(name).unwrap(), role: Role::Member, password: None }
}

pub(super) fn access_key(scene: &Scene, id: &str, user: &User) -> AccessKey {
    AccessKey {
        id: key_id(id),
        user: user.id.clone(),
        description: "".into(),
        secret: Some(Sealed::new(*b"sealed")),
        created: scene.clock.now(),
    }
}

pub(super) fn temporary_key(scene: &Scene, id: &str, with: Option<&KeyId>) -> TemporaryKey {
    TemporaryKey {
        id: key_id(id),
        user: scene.bob.id.clone(),
        issued_with: with.cloned(),
        secret: [7; 32],
        expires: scene.clock.now() + TimeDelta::hours(1),
    }
}

pub(super) fn token_key(scene: &Scene, id: &str) -> TokenKey {
    TokenKey { id: key_id(id), ..scene.keys.token_key() }
}

pub(super) fn all_versions() -> VersionQuery {
    VersionQuery {
        tag: None,
        exactly: None,
        after: None,
        order: VersionOrder::Tag,
        descending: false,
        offset: 0,
        limit: many(),
    }
}

pub(super) fn many() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(9_999)
}

pub(super) fn page<T>() -> Page<T> {
    Page { after: None, limit: many() }
}
