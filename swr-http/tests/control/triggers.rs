//! Triggers over the protocol: what fires them, what is told of what they have done, and what is never told.

use bytes::Bytes;
use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};
use swr_auth::Secret;
use swr_core::control::trigger::TriggerTarget;

use crate::house::{Answer, House, Outcome};

const APP: &str = "/v2/manage/namespaces/group/repos/app";
const TRIGGERS: &str = "/v2/manage/namespaces/group/repos/app/triggers";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A repository whose versions were there before.
async fn furnished() -> House {
    let house = House::furnished().await;
    house.clock.advance(TimeDelta::seconds(1));
    house
}

fn webhook(name: &str, trigger_type: &str, condition: &str) -> Value {
    json!({
        "name": name, "action": "webhook", "trigger_type": trigger_type, "condition": condition,
        "enable": "true", "url": "https://hooks.example/registry", "secret": SECRET,
    })
}

async fn deliveries(house: &House, name: &str) -> Vec<Value> {
    let listed = house.ada(Method::GET, &format!("{TRIGGERS}/{name}/deliveries"), "").await.is(200).json();
    listed.as_array().unwrap().clone()
}

async fn history(house: &House, name: &str) -> Vec<(String, String, String)> {
    let shown = house.ada(Method::GET, &format!("{TRIGGERS}/{name}"), "").await.is(200).json();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    let history = shown["trigger_history"].as_array().unwrap().iter();
    history.map(|it| (text(it, "tag"), text(it, "result"), text(it, "detail"))).collect()
}

fn said(tag: &str, result: &str, detail: &str) -> (String, String, String) {
    (tag.to_owned(), result.to_owned(), detail.to_owned())
}

#[tokio::test]
async fn a_trigger_fires_for_what_its_condition_says_from_then_on() {
    let house = furnished().await;
    let conditions = [
        ("all", "all", ".*"),
        ("tag", "tag", "v2.0.0"),
        ("expression", "regular", "^v2.*"),
        ("glob", "regular", "v2.{0,1}.*"),
        ("said", "regular", "regex:2.0"),
    ];
    for (name, trigger_type, condition) in conditions {
        house.ada(Method::POST, TRIGGERS, webhook(name, trigger_type, condition)).await.is(201);
        let shown = house.ada(Method::GET, &format!("{TRIGGERS}/{name}"), "").await.is(200).json();
        assert_eq!((&shown["trigger_type"], &shown["condition"]), (&json!(trigger_type), &json!(condition)));
    }
    house.ada(Method::PATCH, &format!("{TRIGGERS}/tag"), json!({ "enable": "false" })).await.is(201);
    house.push(&house.ada, "group/app", "v1.0.0").await;
    house.push(&house.ada, "group/app", "v2.0.0").await;
    // What was there before fires nothing, and neither does what is set to what it is.
    house.push(&house.ada, "group/app", "v2.0.0").await;
    house.carry(Outcome::Done).await;
    let done = |tag| said(tag, "success", "all is well");
    assert_eq!(history(&house, "all").await, [done("v2.0.0"), done("v1.0.0")]);
    assert_eq!(history(&house, "tag").await, []);
    for name in ["expression", "glob", "said"] {
        assert_eq!(history(&house, name).await, [done("v2.0.0")], "{name}");
    }
    let listed = house.ada(Method::GET, TRIGGERS, "").await.is(200).json();
    let listed = listed.as_array().unwrap();
    let names: Vec<&Value> = listed.iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["all", "expression", "glob", "said", "tag"]);
    assert!(listed.iter().all(|it| it["trigger_history"].is_null() && it.get("trigger_history").is_some()));
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_was_given_up_when_it_is_asked_for() {
    let house = furnished().await;
    house.ada(Method::POST, TRIGGERS, webhook("hook", "all", ".*")).await.is(201);
    house.push(&house.ada, "group/app", "v3").await;
    assert_eq!(house.carry(Outcome::Failed).await.done.lock().unwrap().len(), 1);
    assert_eq!(history(&house, "hook").await, [said("v3", "failed", "nobody is there")]);
    let untouched = deliveries(&house, "hook").await;
    let [waiting] = &untouched[..] else { panic!() };
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("waiting"), &json!(1)));
    assert!(waiting["due_at"].as_str().unwrap() > waiting["tried_at"].as_str().unwrap());
    let replay = format!("{TRIGGERS}/hook/deliveries/{}/replay", waiting["id"].as_str().unwrap());
    // It has not been given up.
    assert_eq!(house.ada(Method::POST, &replay, "").await.is(404).number(), "4040126");
    assert_eq!(deliveries(&house, "hook").await, untouched);

    house.clock.advance(TimeDelta::hours(2));
    house.carry(Outcome::Impossible).await;
    let given_up = deliveries(&house, "hook").await;
    let [dead] = &given_up[..] else { panic!() };
    assert_eq!((&dead["state"], &dead["attempts"], &dead["id"]), (&json!("dead"), &json!(2), &waiting["id"]));
    assert!(dead.get("due_at").is_none());
    // It belongs to its own trigger, and to whoever edits the repository.
    house.ada(Method::POST, TRIGGERS, webhook("other", "all", ".*")).await.is(201);
    let elsewhere = replay.replace("/hook/", "/other/");
    assert_eq!(house.ada(Method::POST, &elsewhere, "").await.number(), "4040126");
    house.ada(Method::POST, &format!("{APP}/access"), json!([house.bob.auth(1)])).await.is(201);
    assert_eq!(house.bob(Method::POST, &replay, "").await.is(403).number(), "4037020");
    assert_eq!(deliveries(&house, "hook").await, given_up);

    house.ada(Method::POST, &replay, "").await.is(202);
    house.carry(Outcome::Done).await;
    let [delivered] = &deliveries(&house, "hook").await[..] else { panic!() };
    assert_eq!((&delivered["state"], &delivered["detail"]), (&json!("delivered"), &json!("all is well")));
    assert_eq!(history(&house, "hook").await, [said("v3", "success", "all is well")]);
    assert_eq!(house.ada(Method::POST, &replay, "").await.is(404).number(), "4040126");

    for tag in ["v4", "v5"] {
        house.push(&house.ada, "group/app", tag).await;
    }
    house.carry(Outcome::Done).await;
    let newest = house.ada(Method::GET, &format!("{TRIGGERS}/hook/deliveries?limit=2"), "").await.json();
    let newest: Vec<&Value> = newest.as_array().unwrap().iter().map(|it| &it["tag"]).collect();
    assert_eq!(newest, ["v5", "v4"]);
    for limit in ["0", "1001"] {
        let address = format!("{TRIGGERS}/hook/deliveries?limit={limit}");
        assert_eq!(house.ada(Method::GET, &address, "").await.number(), "4000056");
    }
}

#[tokio::test]
async fn the_secret_of_a_webhook_signs_and_is_never_shown() {
    let house = furnished().await;
    let says = |answer: &Answer, text: &str| String::from_utf8_lossy(&answer.body).contains(text);
    house.ada(Method::POST, TRIGGERS, webhook("hook", "all", ".*")).await.is(201);
    // Refused as well: for its name, for a value, for a field, for its shape, and where nothing is to be seen.
    house.ada(Method::POST, TRIGGERS, webhook("hook", "all", ".*")).await.is(400);
    house.ada(Method::POST, TRIGGERS, webhook("-", "all", ".*")).await.is(400);
    let mut unknown = webhook("other", "all", ".*");
    unknown["secrets"] = SECRET.into();
    house.ada(Method::POST, TRIGGERS, unknown).await.is(400);
    house.ada(Method::POST, TRIGGERS, json!([webhook("other", "all", ".*")])).await.is(400);
    house.ada(Method::POST, TRIGGERS, Bytes::from(format!("{{\"secret\":\"{SECRET}\""))).await.is(400);
    house.eve(Method::POST, TRIGGERS, webhook("other", "all", ".*")).await.is(404);
    assert_eq!(house.management.refusals().record().await.unwrap(), 6);

    let shown = house.ada(Method::GET, &format!("{TRIGGERS}/hook"), "").await.is(200);
    assert_eq!(shown.json()["url"], "https://hooks.example/registry");
    for address in [
        TRIGGERS.to_owned(),
        format!("{TRIGGERS}/hook"),
        format!("{TRIGGERS}/hook/deliveries"),
        format!("/v3/{}/traces?trace_type=system&limit=200", house.ada.account.project),
    ] {
        let answer = house.ada(Method::GET, &address, "").await.is(200);
        assert!(!says(&answer, "whsec") && !says(&answer, "\"secret\""), "{address}: {answer:?}");
    }
    let traces =
        format!("/v3/{}/traces?trace_type=system&trace_name=createTrigger", house.ada.account.project);
    let traces = house.ada(Method::GET, &traces, "").await.json();
    let told: Vec<(&str, &str, &str)> = traces["traces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap();
            (text("resource_name"), text("resource_id"), text("code"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("", "group/app/", "400"),
            ("", "group/app/", "400"),
            ("", "group/app/", "400"),
            ("-", "group/app/-", "400"),
            ("hook", "group/app/hook", "400"),
            ("hook", "group/app/hook", "201"),
        ]
    );
    let kept: Value = serde_json::from_str(traces["traces"][4]["request"].as_str().unwrap()).unwrap();
    assert_eq!((&kept["name"], &kept["url"]), (&json!("hook"), &json!("https://hooks.example/registry")));

    // Whoever sends opens it, for this trigger and no other.
    house.push(&house.ada, "group/app", "v3").await;
    let deeds = house.carry(Outcome::Done).await;
    let done = deeds.done.lock().unwrap();
    let [(trigger, _)] = &done[..] else { panic!("{done:?}") };
    let TriggerTarget::Webhook { secret: Some(sealed), .. } = &trigger.target else { panic!("{trigger:?}") };
    assert_eq!(house.desk.open_trigger(trigger, sealed).unwrap(), Secret::new(SECRET));
    let mut other = trigger.clone();
    other.name = "other".parse().unwrap();
    house.desk.open_trigger(&other, sealed).unwrap_err();
}

#[tokio::test]
async fn triggers_of_instances_name_no_cluster_and_all_go_with_their_repository() {
    let house = House::furnished().await;
    let body = json!({
        "name": "here", "action": "update", "app_type": "statefulsets", "application": "web",
        "cluster_ns": "default", "trigger_type": "tag", "condition": "v1", "trigger_mode": "cci",
        "enable": "true", "cluster_id": "", "cluster_name": "",
    });
    house.ada(Method::POST, TRIGGERS, body).await.is(201);
    let shown = house.ada(Method::GET, &format!("{TRIGGERS}/here"), "").await.is(200).json();
    for (key, value) in [("trigger_mode", "cci"), ("cluster_id", ""), ("container", "")] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert!(shown.get("url").is_none());
    // They go with the repository.
    house.ada(Method::DELETE, APP, "").await.is(204);
    house.push(&house.ada, "group/app", "v1").await;
    assert_eq!(house.ada(Method::GET, TRIGGERS, "").await.is(200).json(), json!([]));
}
