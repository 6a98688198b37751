//! What takes more than one step: stopped between any two of them nothing is half done, and the next round does what is
//! left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use swr_auth::token_desk::TokenDeskError;
use swr_auth::{
    Authenticator as _, ControlAuthenticator, KeyDesk, Login, Presented, Secret, TokenAsk, Vault,
};
use swr_core::control::trace::{Operation, Trace};
use swr_core::control::trigger::{Delivery, DeliveryId, DeliveryState, Trigger, TriggerTarget};
use swr_core::control::{Courier, TraceRelay};
use swr_core::event::{Event, EventSeq};
use swr_core::ports::{
    ActionError, DeliveryError, ManifestStore as _, MetadataStore as _, TraceSink, TriggerAction,
};
use swr_core::testing::stepping::{Plan, Steps, dropped_after};
use swr_policy::{TriggerCondition, TriggerRule};

use super::stage::{Failure, Stage, all_versions, hook, key_id, many, page};
use crate::scene::{Scene, repository, shown};

/// Drops the chore at each of its awaits and has each of its calls fail, before it is made and after, each time with
/// everything set anew; what holds then is for `law` to say.
async fn stopped_anywhere<S>(
    set: impl AsyncFn() -> S,
    steps: impl Fn(&S) -> &Steps,
    chore: impl AsyncFn(&S) -> Result<(), Failure>,
    law: impl AsyncFn(&S),
) {
    for polls in 0.. {
        let scene = set().await;
        steps(&scene).plan(Plan::Pausing);
        let done = dropped_after(polls, chore(&scene)).is_some();
        steps(&scene).plan(Plan::Plain);
        law(&scene).await;
        if done {
            assert!(polls > 4, "it was dropped on its way");
            break;
        }
    }
    for number in 1.. {
        let mut calls = 0;
        for plan in [Plan::FailBefore(number), Plan::FailAfter(number)] {
            let scene = set().await;
            steps(&scene).plan(plan);
            let answer = chore(&scene).await;
            calls = steps(&scene).calls();
            steps(&scene).plan(Plan::Plain);
            match answer {
                Ok(()) => assert!(calls < number, "it was answered: {plan:?}"),
                Err(error) => assert!(matches!(error, Failure::Fault), "{plan:?}: {error:?}"),
            }
            law(&scene).await;
        }
        if number > calls {
            break;
        }
    }
}

fn of_stage(stage: &Stage) -> &Steps {
    &stage.scene.steps
}

#[tokio::test]
async fn a_round_of_aging_clears_a_version_whole_and_the_next_one_clears_the_rest() {
    let every = TimeDelta::days(1);
    stopped_anywhere(
        Stage::set,
        of_stage,
        async |stage| Ok(stage.scene.control.age(every).await.map(drop)?),
        async |stage| {
            let left = is_in_step(stage).await;
            assert!(left.contains("v3"), "{left:?}");
            // Whoever held the lease is gone.
            stage.scene.pass(TimeDelta::hours(1));
            stage.scene.control.age(every).await.unwrap().unwrap();
            assert_eq!(is_in_step(stage).await, BTreeSet::from(["v3".to_owned()]));
            let due =
                stage.scene.metadata.inner().due_rules(stage.scene.control.now(), many()).await.unwrap();
            assert!(due.is_empty(), "{due:?}");
        },
    )
    .await;
}

/// What the log, the trail and the history of the rule say of the tags that are gone is the same, once each. The tags
/// that are left.
async fn is_in_step(stage: &Stage) -> BTreeSet<String> {
    let store = stage.scene.metadata.inner();
    let secret = repository("lib/secret");
    let versions = store.versions(&secret, &all_versions()).await.unwrap().unwrap().entries;
    let left: BTreeSet<_> = versions.iter().map(|version| version.tag.to_string()).collect();
    let gone: Vec<_> =
        ["v1", "v2", "v3"].map(str::to_owned).into_iter().filter(|tag| !left.contains(tag)).collect();
    let cleared = store.cleared(&secret, 0, many()).await.unwrap().unwrap().entries;
    let mut cleared: Vec<_> = cleared.iter().map(|cleared| cleared.tag.to_string()).collect();
    cleared.sort();
    assert_eq!(cleared, gone, "cleared by the rule");
    let events = store.events(EventSeq::START, many()).await.unwrap();
    let mut told: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.event {
            Event::TagRemoved { tag, .. } => Some(tag.to_string()),
            _ => None,
        })
        .collect();
    told.sort();
    assert_eq!(told, gone, "told by the log");
    let traces = store.traces_after(0, many()).await.unwrap();
    let of_aging =
        |trace: &&Trace| trace.traced.operation == Operation::DeleteImageTag && trace.user.is_none();
    let mut traced: Vec<_> = traces
        .iter()
        .filter(of_aging)
        .filter_map(|trace| trace.traced.resource_name.strip_prefix("lib/secret:").map(str::to_owned))
        .collect();
    traced.sort();
    assert_eq!(traced, gone, "told by the trail");
    left
}

/// Does nothing, and keeps in mind what it was to do.
#[derive(Debug, Default)]
struct Deeds(Mutex<Vec<DeliveryId>>);

#[async_trait]
impl TriggerAction for Deeds {
    async fn act(&self, _: &Trigger, delivery: &Delivery) -> Result<String, ActionError> {
        self.0.lock().unwrap().push(delivery.id.clone());
        Ok("all is well".to_owned())
    }
}

#[tokio::test]
async fn what_fires_a_trigger_is_delivered_whatever_stops_and_by_one_id() {
    let deliver = async |courier: &Courier| -> Result<(), Failure> {
        while courier.fan_out().await?.more {}
        loop {
            let claimed = courier.claim(many()).await?;
            let Some(claimed) = claimed.first() else { return Ok(()) };
            courier.attempt(claimed).await?;
        }
    };
    stopped_anywhere(
        async || {
            let (stage, deeds) = (Stage::set().await, Arc::new(Deeds::default()));
            let courier = Courier::new(stage.scene.control.clone(), Arc::clone(&deeds) as _);
            (stage, deeds, courier)
        },
        |(stage, ..)| of_stage(stage),
        async |(_, _, courier)| deliver(courier).await,
        async |(stage, deeds, courier)| {
            let before = deliveries(stage).await;
            // What is said to be done was done; what was done may have yet to be said.
            for (id, state) in before.values() {
                let done = deeds.0.lock().unwrap().contains(id);
                assert!(done || *state != DeliveryState::Delivered, "{before:?}");
            }
            // Whoever held the lease, or a claim, is gone.
            stage.scene.pass(TimeDelta::hours(1));
            deliver(courier).await.unwrap();
            let after = deliveries(stage).await;
            let states: Vec<_> = after.values().map(|(_, state)| *state).collect();
            assert_eq!(states, [DeliveryState::Dead, DeliveryState::Delivered, DeliveryState::Delivered]);
            for (event, (id, _)) in &before {
                assert_eq!(after[event].0, *id, "a delivery keeps its id");
            }
            let mut done = deeds.0.lock().unwrap().clone();
            done.dedup();
            let expected: Vec<_> = after.values().skip(1).map(|(id, _)| id.clone()).collect();
            assert_eq!(done, expected, "each was done, in the order of its events");
        },
    )
    .await;
}

/// The deliveries of the one trigger, by their events, each of which it has once.
async fn deliveries(stage: &Stage) -> BTreeMap<u64, (DeliveryId, DeliveryState)> {
    let store = stage.scene.metadata.inner();
    let triggers = store.triggers(&repository("lib/secret")).await.unwrap().unwrap();
    let all = store.deliveries(triggers[0].0, many()).await.unwrap();
    let by_event: BTreeMap<_, _> =
        all.iter().map(|delivery| (delivery.event.0, (delivery.id.clone(), delivery.state))).collect();
    assert_eq!(by_event.len(), all.len(), "{all:?}");
    by_event
}

/// Everything that the vault of a scene has sealed.
struct SealedThings {
    scene: Scene,
    logins: [Login; 2],
    token: Secret,
}

impl SealedThings {
    async fn set() -> Self {
        let scene = Scene::new().await;
        let logins = [scene.login(&scene.ada).await.1, scene.login(&scene.bob).await.1];
        let issued = scene.tokens.issue(&shown(&logins[0]), &ask()).await.unwrap();
        let (at, every) =
            (repository("lib/secret"), TriggerRule { condition: TriggerCondition::All, enabled: true });
        let sealed = scene.keys.seal_trigger(&at, &hook(), &Secret::new("told to nobody"));
        let target = TriggerTarget::Webhook { url: "https://hook.example/".into(), secret: Some(sealed) };
        scene.control_as(&scene.ada).create_trigger(&at, &hook(), every, target).await.unwrap();
        Self { scene, logins, token: issued.token }
    }

    fn desk(&self, vault: Vault) -> KeyDesk {
        KeyDesk::new(Arc::new(vault), self.scene.settings.clone(), Arc::clone(&self.scene.clock) as _)
    }

    /// Whoever has this vault reads everything.
    async fn opens(&self, vault: Vault) {
        let triggers = self.scene.metadata.sealed_triggers(None, many()).await.unwrap();
        let (_, trigger) = triggers.first().unwrap();
        let desk = self.desk(vault);
        let opened = desk.open_trigger(trigger, trigger.target.secret().unwrap()).unwrap();
        assert_eq!(opened.expose(), "told to nobody");
    }

    /// Whoever has this vault knows everybody.
    async fn knows(&self, vault: Vault) {
        let authenticator = ControlAuthenticator::new(
            Arc::clone(&self.scene.metadata) as _,
            Arc::new(vault),
            self.scene.settings.clone(),
            Arc::clone(&self.scene.clock) as _,
        );
        for login in &self.logins {
            authenticator.authenticate(&shown(login)).await.unwrap();
        }
        authenticator.authenticate(&Presented::Bearer(self.token.clone())).await.unwrap();
    }
}

#[tokio::test]
async fn while_everything_is_sealed_anew_it_opens_under_both_master_keys_and_then_under_the_new_one() {
    let new = || Vault::new(&[2; 32]);
    let both = || new().with_previous(Vault::new(&[1; 32]));
    stopped_anywhere(
        SealedThings::set,
        |things| &things.scene.steps,
        async |things| Ok(things.desk(both()).reseal(&*things.scene.metadata).await.map(drop)?),
        async |things| {
            things.opens(both()).await;
            things.knows(both()).await;
            things.desk(both()).reseal(&*things.scene.metadata).await.unwrap();
            things.opens(new()).await;
            things.knows(new()).await;
            assert_eq!(things.desk(both()).reseal(&*things.scene.metadata).await.unwrap(), 0);
        },
    )
    .await;
}

fn ask() -> TokenAsk {
    TokenAsk { service: None, scopes: Vec::new(), offline: false }
}

impl From<TokenDeskError> for Failure {
    fn from(error: TokenDeskError) -> Self {
        match error {
            TokenDeskError::Authentication(error) => error.into(),
            error => Self::Refused(format!("{error:?}")),
        }
    }
}

#[tokio::test]
async fn the_first_token_makes_the_key_that_signs_it_once() {
    stopped_anywhere(
        async || {
            let scene = Scene::new().await;
            let (_, login) = scene.login(&scene.bob).await;
            (scene, login)
        },
        |(scene, _)| &scene.steps,
        async |(scene, login)| Ok(scene.tokens.issue(&shown(login), &ask()).await.map(drop)?),
        async |(scene, login)| {
            let issued = scene.tokens.issue(&shown(login), &ask()).await.unwrap();
            scene.bear(&issued.token).await.unwrap();
            assert_eq!(scene.metadata.token_keys().await.unwrap().len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_trimmed_is_old_and_goes_in_the_end() {
    let keep = TimeDelta::hours(1);
    stopped_anywhere(
        async || {
            let stage = Stage::set().await;
            let before = stage.scene.metadata.inner().traces_after(0, many()).await.unwrap();
            (stage, before)
        },
        |(stage, _)| of_stage(stage),
        async |(stage, _)| Ok(stage.scene.control.trim(keep).await.map(drop)?),
        async |(stage, before)| {
            let store = stage.scene.metadata.inner();
            let is_young = |trace: &&Trace| trace.at >= stage.scene.control.now() - keep;
            let young: Vec<_> = before.iter().filter(is_young).cloned().collect();
            assert!(!young.is_empty() && young.len() < before.len());
            let left = store.traces_after(0, many()).await.unwrap();
            assert!(left == *before || left == young, "{left:#?}");
            stage.scene.control.trim(keep).await.unwrap();
            assert_eq!(store.traces_after(0, many()).await.unwrap(), young);
            assert_eq!(store.key_holder(&key_id("TEMPORARY")).await.unwrap(), None);
            assert_eq!(store.access_keys(&stage.scene.bob.id).await.unwrap().len(), 1);
            assert_eq!(store.accounts(&page()).await.unwrap().len(), 3);
        },
    )
    .await;
}

/// Remembers what it took.
#[derive(Debug, Default)]
struct Sink(Mutex<Vec<u64>>);

#[async_trait]
impl TraceSink for Sink {
    fn name(&self) -> &str {
        "sink"
    }

    async fn deliver(&self, traces: &[Trace]) -> Result<(), DeliveryError> {
        self.0.lock().unwrap().extend(traces.iter().map(|trace| trace.seq));
        Ok(())
    }
}

#[tokio::test]
async fn the_trail_is_told_in_order_whatever_stops() {
    stopped_anywhere(
        async || {
            let (stage, sink) = (Stage::set().await, Arc::new(Sink::default()));
            let relay = TraceRelay::new(stage.scene.control.clone(), Arc::clone(&sink) as _);
            (stage, sink, relay)
        },
        |(stage, ..)| of_stage(stage),
        async |(_, _, relay)| Ok(relay.carry().await.map(drop)?),
        async |(stage, sink, relay)| {
            let traces = stage.scene.metadata.inner().traces_after(0, many()).await.unwrap();
            let all: Vec<_> = traces.iter().map(|trace| trace.seq).collect();
            let is_remembered = stage.scene.metadata.inner().trace_cursor("sink").await.unwrap() > 0;
            let told = sink.0.lock().unwrap().len();
            assert!(told == all.len() || !is_remembered, "{told}");
            // Whoever held the lease is gone.
            stage.scene.pass(TimeDelta::hours(1));
            relay.carry().await.unwrap();
            let told = sink.0.lock().unwrap().clone();
            let again = if is_remembered || told.len() == all.len() { 1 } else { 2 };
            assert_eq!(told, all.repeat(again));
        },
    )
    .await;
}
