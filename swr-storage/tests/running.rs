//! What runs by itself for a repository, over a store in memory: aging on its clock, and triggers seen through.
#![cfg(feature = "control")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::{join_all, pending};

use swr_core::caller::{Actor, Caller, Channel, Identity, Origin, Task};
use swr_core::commit::{Change, Commit, Grounds};
use swr_core::control::change::{MetadataChange, MetadataCommit};
use swr_core::control::credential::Sealed;
use swr_core::control::identity::{Account, AccountId, AccountName, ProjectId, Role, User, UserId, UserName};
use swr_core::control::rule::{AgeDays, AgingLimit, AgingRule, NewestCount, TagSelector};
use swr_core::control::trace::{Operation, TraceQuery};
use swr_core::control::trigger::{
    Delivery, DeliveryState, Pattern, Trigger, TriggerCondition, TriggerRule, TriggerTarget,
};
use swr_core::control::{Aged, ControlError, ControlLimits, ControlPlane, Courier, retry_after};
use swr_core::ports::{
    ActionError, Ask, Authorizer, ControlAsk, ControlAuthorizer, Lease, ManifestStore, MetadataStore, Page,
    StoreError, TagGuard, TagMobility, TriggerAction, Verdict,
};
use swr_core::registry::{ManifestPush, Precondition};
use swr_core::testing::ManualClock;
use swr_core::testing::sample_images::SampleManifest;
use swr_core::{Registry, RepositoryName, Tag, TriggerName};
use swr_storage::{MemoryBlobs, MemoryManifests};

/// A registry with one account, one organisation and one user, whom nobody refuses anything.
struct World {
    store: Arc<MemoryManifests>,
    clock: Arc<ManualClock>,
    plane: ControlPlane,
}

#[derive(Debug)]
struct AnybodyMay;

#[async_trait]
impl Authorizer for AnybodyMay {
    async fn decide(&self, _: &Caller, _: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(Verdict::Allow(Grounds::default()))
    }
}

#[async_trait]
impl ControlAuthorizer for AnybodyMay {
    async fn decide_control(&self, _: &Caller, _: ControlAsk<'_>) -> Result<Verdict, StoreError> {
        Ok(Verdict::Allow(Grounds::default()))
    }
}

/// Does something each time that it is asked about one of these tags, and holds another fast.
struct Meanwhile {
    asked: Vec<Tag>,
    act: Box<dyn Fn() + Send + Sync>,
    fixed: Option<Tag>,
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meanwhile").finish_non_exhaustive()
    }
}

#[async_trait]
impl TagGuard for Meanwhile {
    async fn mobility(&self, _: &RepositoryName, asked: &Tag) -> Result<TagMobility, StoreError> {
        if self.asked.contains(asked) {
            (self.act)();
        }
        Ok(if self.fixed.as_ref() == Some(asked) { TagMobility::Fixed } else { TagMobility::Movable })
    }
}

fn account() -> AccountId {
    AccountId::parse(&"1".repeat(32)).unwrap()
}

fn ada() -> UserId {
    UserId::parse(&"a".repeat(32)).unwrap()
}

fn repository() -> RepositoryName {
    "lib/a".parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn many() -> NonZeroU32 {
    NonZeroU32::new(1000).unwrap()
}

/// In the time zone of the guide.
fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("2021-{text}+08:00")).unwrap().to_utc()
}

fn day() -> TimeDelta {
    TimeDelta::days(1)
}

impl World {
    async fn new() -> Self {
        Self::over(Arc::new(MemoryManifests::new()), None).await
    }

    async fn over(store: Arc<MemoryManifests>, guard: Option<Meanwhile>) -> Self {
        let clock = Arc::new(ManualClock::at(time("08-01T00:00:00")));
        let manifests = Arc::clone(&store) as Arc<dyn ManifestStore>;
        let mut builder = Registry::builder(Arc::new(MemoryBlobs::new()), manifests, Arc::new(AnybodyMay))
            .clock(Arc::clone(&clock) as Arc<_>);
        if let Some(guard) = guard {
            builder = builder.tag_guard(Arc::new(guard));
        }
        let metadata = Arc::clone(&store) as Arc<dyn MetadataStore>;
        let limits = ControlLimits::default();
        let clock_of_plane = Arc::clone(&clock) as Arc<_>;
        let plane =
            ControlPlane::with(builder.build(), metadata, Arc::new(AnybodyMay), clock_of_plane, limits);
        let account = Account {
            id: account(),
            name: AccountName::parse("north").unwrap(),
            project: ProjectId::random(),
            agency: false,
            created: clock_now(&clock),
        };
        let user = User {
            id: ada(),
            account: account.id.clone(),
            name: UserName::parse("ada").unwrap(),
            role: Role::Administrator,
            password: None,
            created: account.created,
        };
        let organisation = MetadataChange::CreateOrganisation {
            name: "lib".parse().unwrap(),
            account: account.id.clone(),
            creator: user.id.clone(),
        };
        let changes = vec![MetadataChange::PutAccount(account), MetadataChange::PutUser(user), organisation];
        let commit = MetadataCommit {
            actor: Actor::Caretaker(Task::Administration),
            origin: Origin::default(),
            at: clock_now(&clock),
            requires: Vec::new(),
            changes,
        };
        store.commit_metadata(commit).await.unwrap();
        Self { store, clock, plane }
    }

    fn caller() -> Caller {
        Caller::User(Identity::new(ada().as_str()))
    }

    /// The control plane as Ada uses it.
    fn ada(&self) -> swr_core::control::ControlAccess<'_> {
        self.plane.access(Self::caller(), Origin::default())
    }

    async fn push(&self, image: &str, under: &str) {
        let manifest = SampleManifest::image(image);
        let access = self.plane.registry().access(Self::caller(), Origin::default());
        for blob in manifest.blobs() {
            access.push_blob(&repository(), &blob.digest, blob.bytes.clone().into()).await.unwrap();
        }
        let push = ManifestPush {
            reference: tag(under).into(),
            tags: Vec::new(),
            media_type: Some(manifest.media_type()),
            bytes: manifest.bytes(),
            precondition: Precondition::None,
        };
        access.push_manifest(&repository(), push).await.unwrap();
    }

    /// Pushes each tag at its time, each its own image, and leaves the clock at `now`.
    async fn pushed(&self, versions: &[(&str, DateTime<Utc>)], now: DateTime<Utc>) {
        for (under, at) in versions {
            self.clock.set(*at);
            self.push(under, under).await;
        }
        self.clock.set(now);
    }

    async fn tags(&self) -> Vec<String> {
        let page = Page { after: None, limit: many() };
        let tags = self.store.tags(&repository(), &page).await.unwrap().unwrap();
        tags.into_iter().map(|found| found.tag.to_string()).collect()
    }

    async fn age(&self) -> Option<Aged> {
        self.plane.age(day()).await.unwrap()
    }

    /// What was cleared, newest first.
    async fn cleared(&self) -> Vec<(String, DateTime<Utc>)> {
        let cleared = self.ada().cleared(&repository(), 0, many()).await.unwrap();
        cleared.entries.into_iter().map(|cleared| (cleared.tag.to_string(), cleared.at)).collect()
    }

    /// A trigger of this name that tells an address of the same name.
    async fn trigger(&self, name: &str, condition: TriggerCondition) {
        let rule = TriggerRule { condition, enabled: true };
        let secret = Some(Sealed::new(*b"sealed"));
        let target = TriggerTarget::Webhook { url: url(name).into(), secret };
        self.ada().create_trigger(&repository(), &trigger_name(name), rule, target).await.unwrap();
    }

    async fn history(&self, name: &str) -> Vec<Delivery> {
        self.ada().trigger(&repository(), &trigger_name(name), many()).await.unwrap().1
    }

    /// The tags and the states of a trigger's deliveries, newest first.
    async fn states(&self, name: &str) -> Vec<(String, DeliveryState)> {
        self.history(name).await.into_iter().map(|it| (it.tag.to_string(), it.state)).collect()
    }
}

fn clock_now(clock: &ManualClock) -> DateTime<Utc> {
    swr_core::ports::Clock::now(clock)
}

fn trigger_name(text: &str) -> TriggerName {
    TriggerName::parse(text).unwrap()
}

fn url(name: &str) -> String {
    format!("https://{name}.example.net/")
}

// Aging.

/// Runs the rule over what was pushed, and says what it would have done, what went and what is left; and that it
/// left its traces and its log.
async fn clears(
    rule: AgingRule,
    versions: &[(&str, DateTime<Utc>)],
    now: DateTime<Utc>,
) -> (Vec<String>, Vec<String>) {
    let world = World::new().await;
    world.pushed(versions, now).await;
    world.ada().create_rule(&repository(), &rule).await.unwrap();
    let dry = world.ada().dry_run(&repository()).await.unwrap();
    let planned: Vec<_> = dry.plan(&rule).removals().map(|judged| judged.version.tag.to_string()).collect();
    assert_eq!(world.tags().await.len(), versions.len());

    let aged = world.age().await.unwrap();
    assert_eq!((aged.rules, aged.versions, aged.more), (1, planned.len() as u64, false));
    let cleared: Vec<_> = world.cleared().await.into_iter().rev().collect();
    assert_eq!(cleared, planned.iter().map(|tag| (tag.clone(), now)).collect::<Vec<_>>());
    let query =
        TraceQuery { operation: Some(Operation::DeleteImageTag), ..TraceQuery::of(account(), many()) };
    let traces = world.store.traces(&query).await.unwrap();
    let names: Vec<_> = traces.iter().rev().map(|trace| trace.traced.resource_name.to_string()).collect();
    assert_eq!(names, planned.iter().map(|tag| format!("lib/a:{tag}")).collect::<Vec<_>>());
    for trace in &traces {
        assert_eq!((&trace.user, trace.origin.channel, trace.at), (&None, Channel::System, now));
    }

    // And not again before it is due, whatever time it is until then.
    world.clock.advance(day() - TimeDelta::seconds(1));
    assert_eq!(world.age().await.unwrap().rules, 0);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(world.age().await.unwrap().rules, 1);
    (cleared.into_iter().map(|(tag, _)| tag).collect(), world.tags().await)
}

/// The guide's first example: three days.
#[tokio::test]
async fn versions_older_than_the_days_go() {
    let rule = AgingRule::new(AgingLimit::Age(AgeDays::new(3).unwrap()));
    let versions = [("v1", time("08-27T14:27:45")), ("v2", time("09-01T15:29:53"))];
    let (cleared, left) = clears(rule, &versions, time("09-01T16:00:00")).await;
    assert_eq!((cleared, left), (vec!["v1".to_owned()], vec!["v2".to_owned()]));
}

/// The guide's second example: the newest one, and whatever `^v2.*` finds.
#[tokio::test]
async fn versions_beyond_the_newest_go_filtered_ones_apart() {
    let rule = AgingRule {
        filters: vec![TagSelector::Pattern(Pattern::regex("^v2.*").unwrap())],
        ..AgingRule::new(AgingLimit::Count(NewestCount::new(1).unwrap()))
    };
    let versions = [
        ("v1", time("08-30T09:51:26")),
        ("v2", time("08-31T14:29:31")),
        ("v1.0.0", time("09-01T10:05:10")),
        ("v2.0.0", time("09-01T10:08:20")),
    ];
    let (cleared, left) = clears(rule, &versions, time("09-01T16:00:00")).await;
    assert_eq!(cleared, ["v1"]);
    assert_eq!(left, ["v1.0.0", "v2", "v2.0.0"]);
}

fn keep_newest(count: u32) -> AgingRule {
    AgingRule::new(AgingLimit::Count(NewestCount::new(count).unwrap()))
}

/// Three versions of which two are to go, the first of which is asked about before it goes.
async fn while_it_runs(
    meanwhile: impl Fn(&MemoryManifests) + Send + Sync + 'static,
    fixed: Option<Tag>,
) -> World {
    let store = Arc::new(MemoryManifests::new());
    let of_guard = Arc::clone(&store);
    let act = move || {
        // Pushes ask as well.
        if of_guard.rule(&repository()).now_or_never().unwrap().unwrap().is_some() {
            meanwhile(&of_guard);
        }
    };
    let guard = Meanwhile { asked: vec![tag("v1")], act: Box::new(act), fixed };
    let world = World::over(store, Some(guard)).await;
    let at = |hour: i64| time("09-01T00:00:00") + TimeDelta::hours(hour);
    world.pushed(&[("v1", at(1)), ("v2", at(2)), ("v3", at(3))], at(4)).await;
    world.ada().create_rule(&repository(), &keep_newest(1)).await.unwrap();
    world
}

/// Under the same digest or another: it is no longer what was judged.
#[tokio::test]
async fn a_version_that_is_pushed_again_meanwhile_stays() {
    let set_again = |store: &MemoryManifests| {
        let digest = SampleManifest::image("v1").digest();
        let commit = Commit {
            repository: repository(),
            actor: Actor::Caller(World::caller()),
            origin: Origin::default(),
            at: time("09-01T05:00:00"),
            requires: Vec::new(),
            changes: vec![Change::SetTag { tag: tag("v1"), digest }],
        };
        store.commit(commit).now_or_never().unwrap().unwrap();
    };
    let world = while_it_runs(set_again, None).await;
    let aged = world.age().await.unwrap();
    assert_eq!((aged.rules, aged.versions), (1, 1));
    assert_eq!(world.tags().await, ["v1", "v3"]);
    let cleared: Vec<_> = world.cleared().await.into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(cleared, ["v2"]);
}

#[tokio::test]
async fn a_version_that_is_held_fast_stays() {
    let world = while_it_runs(|_| (), Some(tag("v1"))).await;
    let dry = world.ada().dry_run(&repository()).await.unwrap();
    let told: Vec<_> = dry.plan(&keep_newest(1)).verdicts().iter().map(|it| it.verdict.to_string()).collect();
    assert_eq!(
        told,
        [
            "stays, as its tag may not be removed; this rule never removes it",
            "goes, as enough newer ones stay",
            "stays, as it is among the newest; it goes when 1 newer have come",
        ]
    );
    assert_eq!(world.age().await.unwrap().versions, 1);
    assert_eq!(world.tags().await, ["v1", "v3"]);
}

/// And is due at once, with its new values.
#[tokio::test]
async fn a_rule_that_is_changed_meanwhile_clears_nothing_more() {
    let change = |store: &MemoryManifests| {
        let commit = MetadataCommit {
            actor: Actor::Caretaker(Task::Administration),
            origin: Origin::default(),
            at: time("09-01T04:30:00"),
            requires: Vec::new(),
            changes: vec![MetadataChange::PutRule { repository: repository(), rule: keep_newest(2) }],
        };
        store.commit_metadata(commit).now_or_never().unwrap().unwrap();
    };
    let world = while_it_runs(change, None).await;
    assert_eq!(world.age().await.unwrap().versions, 0);
    assert_eq!(world.tags().await, ["v1", "v2", "v3"]);
    world.clock.set(time("09-01T04:30:00"));
    let aged = world.age().await.unwrap();
    assert_eq!((aged.rules, aged.versions), (1, 1));
    assert_eq!(world.tags().await, ["v2", "v3"]);
}

/// However much a rule has to clear.
#[tokio::test]
async fn a_long_run_keeps_its_lease() {
    let store = Arc::new(MemoryManifests::new());
    let clock = Arc::new(OnceLock::<Arc<ManualClock>>::new());
    let refused = Arc::new(Mutex::new(Vec::new()));
    let act = {
        let (store, clock, refused) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&refused));
        let gathered = AtomicUsize::new(0);
        move || {
            // Pushes ask as well, and so does whoever gathers what the rule goes by.
            let Some(clock) = clock.get() else { return };
            if gathered.fetch_add(1, Ordering::Relaxed) < 2 {
                return;
            }
            // Another looks at it, after a time that is shorter than a lease.
            clock.advance(TimeDelta::minutes(4));
            let now = clock_now(clock);
            let lease = Lease { name: "aging", holder: "another", now, until: now + TimeDelta::minutes(9) };
            refused.lock().unwrap().push(store.lease(&lease).now_or_never().unwrap().unwrap().is_none());
        }
    };
    let guard = Meanwhile { asked: vec![tag("v300"), tag("v550")], act: Box::new(act), fixed: None };
    let world = World::over(store, Some(guard)).await;
    let names: Vec<_> = (0..600).map(|number| format!("v{number}")).collect();
    let at = |number: i64| time("09-01T00:00:00") + TimeDelta::seconds(number);
    let versions: Vec<_> = (0..).zip(&names).map(|(number, name)| (name.as_str(), at(number))).collect();
    world.pushed(&versions, at(900)).await;
    world.ada().create_rule(&repository(), &keep_newest(1)).await.unwrap();
    clock.set(Arc::clone(&world.clock)).unwrap();
    assert_eq!(world.age().await.unwrap().versions, 599);
    assert_eq!(*refused.lock().unwrap(), [true; 2]);
}

/// Until the other lets go of it, or its lease is over.
#[tokio::test]
async fn rules_are_run_by_one_process_at_a_time() {
    let world = while_it_runs(|_| (), None).await;
    let now = clock_now(&world.clock);
    let lease = Lease { name: "aging", holder: "another", now, until: now + TimeDelta::minutes(9) };
    world.store.lease(&lease).await.unwrap().unwrap();
    assert_eq!(world.age().await, None);
    assert_eq!(world.tags().await.len(), 3);
    world.clock.advance(TimeDelta::minutes(9));
    assert_eq!(world.age().await.unwrap().versions, 2);
}

/// It goes with the image whose digest its tag is made from.
#[tokio::test]
async fn a_signature_goes_with_what_it_belongs_to() {
    let world = World::new().await;
    let of_v1 = format!("sha256-{}.sig", SampleManifest::image("v1").digest().hex());
    let of_v2 = format!("sha256-{}.sig", SampleManifest::image("v2").digest().hex());
    let at = |hour: i64| time("09-01T00:00:00") + TimeDelta::hours(hour);
    let versions = [("v1", at(1)), ("v2", at(2)), (&*of_v2, at(3)), (&*of_v1, at(4))];
    world.pushed(&versions, at(5)).await;
    world.ada().create_rule(&repository(), &keep_newest(1)).await.unwrap();
    assert_eq!(world.age().await.unwrap().versions, 2);
    assert_eq!(world.tags().await, [of_v2, "v2".to_owned()]);
}

// Triggers.

/// Answers each address as it was told to, one answer after the other, and then that it was done.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    /// What it was asked to do.
    asked: Mutex<Vec<(String, Delivery)>>,
}

#[derive(Clone, Debug)]
enum Answer {
    Fails,
    IsImpossible,
    Never,
}

impl Scripted {
    fn says(name: &str, answers: &[Answer]) -> Arc<Self> {
        let scripted = Self::default();
        scripted.answers.lock().unwrap().insert(url(name), answers.iter().cloned().collect());
        Arc::new(scripted)
    }

    /// The tags that each address was told of, in order.
    fn asked(&self) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(url, delivery)| (url.clone(), delivery.tag.to_string())).collect()
    }
}

#[async_trait]
impl TriggerAction for Scripted {
    async fn act(&self, trigger: &Trigger, delivery: &Delivery) -> Result<String, ActionError> {
        let TriggerTarget::Webhook { url, secret } = &trigger.target else { panic!("{trigger:?}") };
        assert_eq!(secret.as_ref().unwrap().as_bytes(), b"sealed");
        self.asked.lock().unwrap().push((url.to_string(), delivery.clone()));
        let answer = self.answers.lock().unwrap().get_mut(&**url).and_then(VecDeque::pop_front);
        match answer {
            None => Ok("done".to_owned()),
            Some(Answer::Fails) => Err(ActionError::Failed("it is down".to_owned())),
            Some(Answer::IsImpossible) => Err(ActionError::Impossible("it is gone".to_owned())),
            Some(Answer::Never) => pending().await,
        }
    }
}

fn courier(world: &World, action: &Arc<Scripted>) -> Courier {
    Courier::new(world.plane.clone(), Arc::clone(action) as Arc<dyn TriggerAction>)
}

/// Whatever there is to do now.
async fn carry_all(courier: &Courier) {
    while courier.fan_out().await.unwrap().more {}
    while deliver(courier).await > 0 {}
}

/// Tries what is due, and says how many deliveries that were.
async fn deliver(courier: &Courier) -> usize {
    let claimed = courier.claim(NonZeroU32::new(32).unwrap()).await.unwrap();
    for tried in join_all(claimed.iter().map(|claimed| courier.attempt(claimed))).await {
        tried.unwrap();
    }
    claimed.len()
}

/// The guide's examples: all versions, and those that `^v2.*` finds. Under the digest that it has already, a version
/// fires nothing.
#[tokio::test]
async fn versions_fire_the_triggers_that_are_for_them() {
    let world = World::new().await;
    world.push("before", "v2.0").await;
    world.clock.advance(TimeDelta::seconds(1));
    world.trigger("all", TriggerCondition::All).await;
    world.trigger("some", TriggerCondition::Pattern(Pattern::regex("^v2.*").unwrap())).await;
    for (image, under) in [("one", "v1.0.0"), ("two", "v2.0.0"), ("two", "v2.0.0"), ("three", "v2.0.0")] {
        world.push(image, under).await;
    }
    let action = Arc::<Scripted>::default();
    carry_all(&courier(&world, &action)).await;
    let done = |tag: &str| (tag.to_owned(), DeliveryState::Delivered);
    assert_eq!(world.states("all").await, [done("v2.0.0"), done("v2.0.0"), done("v1.0.0")]);
    assert_eq!(world.states("some").await, [done("v2.0.0"), done("v2.0.0")]);
    let newest = world.history("some").await.remove(0);
    assert_eq!((&*newest.detail, newest.attempts, newest.tried), ("done", 1, Some(clock_now(&world.clock))));
    assert_eq!(newest.digest, SampleManifest::image("three").digest());
    // Each address was told in the order of the pushes.
    let told = |name: &str| {
        let asked = action.asked();
        asked.into_iter().filter(|(to, _)| *to == url(name)).map(|(_, tag)| tag).collect::<Vec<_>>()
    };
    assert_eq!(told("all"), ["v1.0.0", "v2.0.0", "v2.0.0"]);
    assert_eq!(told("some"), ["v2.0.0", "v2.0.0"]);
}

/// After a time that grows, and under the same id; one that has failed often enough is given up, after a day or so.
#[tokio::test]
async fn what_failed_is_tried_again_later_and_given_up_in_the_end() {
    let world = World::new().await;
    world.push("before", "v0").await;
    world.trigger("ci", TriggerCondition::Tag(tag("v1"))).await;
    world.push("one", "v1").await;
    let action = Scripted::says("ci", &vec![Answer::Fails; 99]);
    let courier = courier(&world, &action);
    carry_all(&courier).await;
    let began = clock_now(&world.clock);
    let mut tries = 1;
    loop {
        let delivery = world.history("ci").await.remove(0);
        assert_eq!((delivery.attempts, &*delivery.detail), (tries, "it is down"));
        let DeliveryState::Waiting(due) = delivery.state else { break };
        assert_eq!(due, clock_now(&world.clock) + retry_after(&delivery.id, tries));
        world.clock.set(due - TimeDelta::milliseconds(1));
        carry_all(&courier).await;
        assert_eq!(world.history("ci").await.remove(0).attempts, tries);
        world.clock.set(due);
        carry_all(&courier).await;
        tries += 1;
    }
    assert_eq!(tries, 30);
    let took = clock_now(&world.clock) - began;
    assert!((TimeDelta::hours(12)..TimeDelta::hours(36)).contains(&took), "{took}");
    assert_eq!(world.states("ci").await, [("v1".to_owned(), DeliveryState::Dead)]);
    world.clock.advance(day());
    carry_all(&courier).await;
    let asked = action.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 30);
    assert!(asked.iter().all(|(_, delivery)| delivery.id == asked[0].1.id));
}

/// Without waiting for a day; and it is done when somebody says so.
#[tokio::test]
async fn what_cannot_be_done_is_given_up_at_once_and_done_when_it_is_revived() {
    let world = World::new().await;
    world.push("before", "v0").await;
    world.trigger("ci", TriggerCondition::Tag(tag("v1"))).await;
    world.push("one", "v1").await;
    let action = Scripted::says("ci", &[Answer::IsImpossible]);
    let courier = courier(&world, &action);
    carry_all(&courier).await;
    let dead = world.history("ci").await.remove(0);
    assert_eq!((dead.state, &*dead.detail), (DeliveryState::Dead, "it is gone"));
    let revive = async || world.ada().revive_delivery(&repository(), &trigger_name("ci"), &dead.id).await;
    revive().await.unwrap();
    carry_all(&courier).await;
    let done = world.history("ci").await.remove(0);
    assert_eq!((done.id, done.state, done.attempts), (dead.id.clone(), DeliveryState::Delivered, 2));
    let refused = revive().await.unwrap_err();
    assert!(matches!(refused, ControlError::DeliveryUnknown), "{refused:?}");
}

#[tokio::test]
async fn a_target_that_is_down_delays_no_other() {
    let world = World::new().await;
    world.push("before", "v0").await;
    world.clock.advance(TimeDelta::seconds(1));
    for name in ["up", "down"] {
        world.trigger(name, TriggerCondition::All).await;
    }
    for number in 1..=3 {
        world.clock.advance(TimeDelta::seconds(1));
        world.push(&format!("image {number}"), &format!("v{number}")).await;
    }
    let action = Scripted::says("down", &vec![Answer::Fails; 3]);
    let courier = courier(&world, &action);
    carry_all(&courier).await;
    let told = |name: &str| action.asked().into_iter().filter(|(to, _)| *to == url(name)).count();
    assert_eq!((told("up"), told("down")), (3, 1));
    let states = world.states("down").await;
    assert!(states.iter().all(|(_, state)| matches!(state, DeliveryState::Waiting(_))), "{states:?}");
    // When it is up again, it is told of everything, in order.
    for _ in 0..3 {
        world.clock.advance(TimeDelta::minutes(1));
        carry_all(&courier).await;
    }
    let order: Vec<_> =
        action.asked().into_iter().filter(|(to, _)| *to == url("down")).map(|(_, tag)| tag).collect();
    assert_eq!(order, ["v1", "v1", "v1", "v1", "v2", "v3"]);
}

/// What was fanned out is delivered by whoever comes next, and no event is looked at twice.
#[tokio::test]
async fn deliveries_survive_a_restart_between_fanning_out_and_delivering() {
    let world = World::new().await;
    world.push("before", "v0").await;
    world.trigger("ci", TriggerCondition::Tag(tag("v1"))).await;
    world.push("one", "v1").await;
    let action = Arc::<Scripted>::default();
    let handled = courier(&world, &action).fan_out().await.unwrap().events;
    assert!(handled > 0);
    assert!(action.asked().is_empty());
    let restarted = World::over(Arc::clone(&world.store), None).await;
    restarted.clock.set(clock_now(&world.clock));
    let courier = courier(&restarted, &action);
    assert_eq!(courier.fan_out().await.unwrap().events, 0);
    carry_all(&courier).await;
    assert_eq!(action.asked(), [(url("ci"), "v1".to_owned())]);
    assert_eq!(restarted.history("ci").await.len(), 1);
}

/// Under the same id, so that its receiver can tell: a process may end after it was done and before that was kept.
#[tokio::test]
async fn what_was_not_seen_through_is_done_again() {
    let world = World::new().await;
    world.push("before", "v0").await;
    world.trigger("ci", TriggerCondition::Tag(tag("v1"))).await;
    world.push("one", "v1").await;
    let action = Scripted::says("ci", &[Answer::Never]);
    let courier = courier(&world, &action);
    courier.fan_out().await.unwrap();
    assert!(deliver(&courier).now_or_never().is_none());
    assert_eq!(deliver(&courier).await, 0);
    world.clock.advance(TimeDelta::minutes(2));
    assert_eq!(deliver(&courier).await, 1);
    let asked = action.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].1.id, asked[1].1.id);
    assert_eq!(world.states("ci").await, [("v1".to_owned(), DeliveryState::Delivered)]);
}

#[tokio::test]
async fn events_are_fanned_out_by_one_process_at_a_time() {
    let world = World::new().await;
    world.push("one", "v1").await;
    let now = clock_now(&world.clock);
    let lease = Lease { name: "triggers", holder: "another", now, until: now + TimeDelta::minutes(9) };
    let fence = world.store.lease(&lease).await.unwrap().unwrap();
    let courier = courier(&world, &Arc::default());
    assert_eq!(courier.fan_out().await.unwrap().events, 0);
    world.store.release_lease(&fence).await.unwrap();
    assert!(courier.fan_out().await.unwrap().events > 0);
}

/// A step stays small; whatever is left over is for the next.
#[tokio::test]
async fn many_deliveries_are_made_in_several_steps() {
    let world = World::new().await;
    world.push("before", "v0").await;
    world.clock.advance(TimeDelta::seconds(1));
    for number in 0..100 {
        world.trigger(&format!("t{number}"), TriggerCondition::All).await;
    }
    for number in 0..12 {
        world.push("one", &format!("v1.{number}")).await;
    }
    let courier = courier(&world, &Arc::default());
    let first = courier.fan_out().await.unwrap();
    let made = world.history("t0").await.len();
    assert!(first.more && made < 12, "{first:?} {made}");
    carry_all(&courier).await;
    for number in [0, 99] {
        let states = world.states(&format!("t{number}")).await;
        assert_eq!(states.len(), 12);
        assert!(states.iter().all(|(_, state)| *state == DeliveryState::Delivered), "{states:?}");
    }
}

/// As long as it is to be kept, and what waits for longer.
#[tokio::test]
async fn the_history_is_trimmed_by_age() {
    let world = while_it_runs(|_| (), None).await;
    world.trigger("ci", TriggerCondition::Tag(tag("v4"))).await;
    world.push("four", "v4").await;
    let courier = courier(&world, &Arc::default());
    carry_all(&courier).await;
    world.age().await.unwrap();
    assert_eq!((world.history("ci").await.len(), world.cleared().await.len()), (1, 3));
    world.clock.advance(day());
    assert_eq!(world.plane.trim_history(day()).await.unwrap(), 0);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(world.plane.trim_history(day()).await.unwrap(), 4);
    assert_eq!((world.history("ci").await.len(), world.cleared().await.len()), (0, 0));
}
