//! Aging rules over the protocol: what they would do, what they do, and what is told of it.

use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};
use swr_core::ports::PullCount;
use swr_core::{RepositoryName, Tag};

use crate::house::House;

const APP: &str = "/v2/manage/namespaces/group/repos/app";

fn retention(template: &str, params: Value, selectors: Value) -> Value {
    let rule = json!({ "template": template, "params": params, "tag_selectors": selectors });
    json!({ "algorithm": "or", "rules": [rule] })
}

/// A repository whose versions came a day apart, the first of them first.
async fn with_versions(tags: &[&str]) -> House {
    let house = House::new().await;
    house.ada(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group" })).await.is(201);
    for (number, tag) in tags.iter().enumerate() {
        if number > 0 {
            house.clock.advance(TimeDelta::days(1));
        }
        house.push(&house.ada, "group/app", tag).await;
    }
    house
}

async fn tags(house: &House) -> Vec<String> {
    let listed = house.ada(Method::GET, &format!("{APP}/tags?order_column=tag"), "").await.is(200).json();
    let listed = listed.as_array().unwrap().iter();
    listed.map(|version| version["Tag"].as_str().unwrap().to_owned()).collect()
}

async fn cleared(house: &House, query: &str) -> Vec<String> {
    let history = house.ada(Method::GET, &format!("{APP}/retentions/histories{query}"), "").await.is(200);
    let log = history.json()["retention_log"].clone();
    log.as_array().unwrap().iter().map(|it| it["tag"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_dry_run_says_of_every_version_what_becomes_of_it_and_does_nothing() {
    let house = with_versions(&["v1", "v2", "v2.0.0", "v3", "keep"]).await;
    let selectors = json!([{ "kind": "label", "pattern": "keep" }, { "kind": "regexp", "pattern": "^v2.*" }]);
    let rule = retention("tag_rule", json!({ "num": "1" }), selectors);
    let plan = format!("{APP}/retentions/plan");
    let planned = house.ada(Method::POST, &plan, rule.clone()).await.is(200);
    assert_eq!(planned.header("content-range"), "0-5/5");
    let planned = planned.json();
    assert_eq!((&planned["total"], &planned["removed"]), (&json!(5), &json!(1)));
    let told: Vec<(&str, bool, &str)> = planned["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap();
            (text("tag"), it["removed"].as_bool().unwrap(), text("explanation"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("v1", true, "goes, as enough newer ones stay"),
            ("keep", false, "stays, as filter 1 takes it out; this rule never removes it"),
            ("v2", false, "stays, as filter 2 takes it out; this rule never removes it"),
            ("v2.0.0", false, "stays, as filter 2 takes it out; this rule never removes it"),
            ("v3", false, "stays, as it is among the newest; it goes when 1 newer have come"),
        ]
    );
    let page = house.ada(Method::POST, &format!("{plan}?limit=2&offset=4"), rule.clone()).await.is(200);
    assert_eq!(page.header("content-range"), "4-1/5");
    assert_eq!(page.json()["versions"], json!([planned["versions"][4]]));
    let beyond = house.ada(Method::POST, &format!("{plan}?offset=18446744073709551615"), rule.clone()).await;
    assert_eq!(beyond.is(200).json()["versions"], json!([]));

    assert_eq!(tags(&house).await, ["keep", "v1", "v2", "v2.0.0", "v3"]);
    let listed = house.ada(Method::GET, &format!("{APP}/retentions"), "").await.json();
    assert_eq!(listed, json!([]));
    // What is done is what was said.
    house.ada(Method::POST, &format!("{APP}/retentions"), rule).await.is(201);
    house.plane.age(TimeDelta::days(1)).await.unwrap().unwrap();
    assert_eq!(tags(&house).await, ["keep", "v2", "v2.0.0", "v3"]);
}

#[tokio::test]
async fn a_rule_runs_when_it_is_made_and_when_it_is_changed_and_its_log_stays() {
    let house = with_versions(&["v1", "v2", "v3", "v4"]).await;
    let retentions = format!("{APP}/retentions");
    let days = |days: &str| retention("date_rule", json!({ "days": days }), json!([]));
    let created = house.ada(Method::POST, &retentions, days("2")).await.is(201).json();
    let one = format!("{retentions}/{}", created["id"]);
    house.plane.age(TimeDelta::days(1)).await.unwrap().unwrap();
    assert_eq!(tags(&house).await, ["v2", "v3", "v4"]);
    // It is not due again; changed, it is.
    house.ada(Method::PATCH, &one, days("1")).await.is(201);
    house.plane.age(TimeDelta::days(1)).await.unwrap().unwrap();
    assert_eq!(tags(&house).await, ["v3", "v4"]);
    // Its kind is what it is.
    let count = retention("tag_rule", json!({ "num": "1" }), json!([]));
    assert_eq!(house.ada(Method::PATCH, &one, count).await.number(), "4000014");
    let shown = house.ada(Method::GET, &one, "").await.is(200).json();
    assert_eq!(shown["rules"][0]["params"], json!({ "days": "1" }));

    house.ada(Method::DELETE, &one, "").await.is(200);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(house.ada(method, &one, "").await.is(404).number(), "4040306");
    }
    assert_eq!(cleared(&house, "").await, ["v2", "v1"]);
    assert_eq!(cleared(&house, "?limit=1&offset=1").await, ["v1"]);
    assert_eq!(cleared(&house, "?filter=limit%3A%3A1%7Coffset%3A%3A0").await, ["v2"]);
    let history = house.ada(Method::GET, &format!("{retentions}/histories"), "").await;
    let rules: Vec<String> = history.json()["retention_log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["rule_type"].as_str().unwrap().to_owned())
        .collect();
    let rule =
        |days| format!(r#"{{"template":"date_rule","params":{{"days":"{days}"}},"tag_selectors":[]}}"#);
    assert_eq!(rules, [rule(1), rule(2)], "each as it was then");
    let again = house.ada(Method::POST, &retentions, days("9")).await.is(201).json();
    assert_ne!(again["id"], created["id"]);
}

/// Off unless asked for, and shown where they are not; a change that does not mention them leaves them.
#[tokio::test]
async fn what_the_protocol_has_no_word_for_can_be_set_beside_it() {
    let house = with_versions(&["v1", "v2", "w3", "v4", "v5"]).await;
    let retentions = format!("{APP}/retentions");
    let rule = |more: Value| {
        let mut rule = retention("date_rule", json!({ "days": "1" }), json!([]));
        rule["rules"][0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let going = async |more: Value| {
        let plan = house.ada(Method::POST, &format!("{retentions}/plan"), rule(more)).await.is(200).json();
        let versions = plan["versions"].as_array().unwrap().iter().filter(|it| it["removed"] == true);
        versions.map(|it| it["tag"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(going(json!({})).await, ["v1", "v2", "w3"]);
    assert_eq!(going(json!({ "keep_at_least": 3 })).await, ["v1", "v2"]);
    assert_eq!(going(json!({ "removals_max": 1 })).await, ["v1"]);
    let only = json!([{ "kind": "label", "pattern": "v2" }, { "kind": "regexp", "pattern": "glob:w*" }]);
    assert_eq!(going(json!({ "only": only })).await, ["v2", "w3"]);
    let pulls = PullCount {
        repository: RepositoryName::parse("group/app").unwrap(),
        reference: Tag::parse("v1").unwrap().into(),
        count: 1,
        last: house.plane.now(),
    };
    house.plane.metadata().observe_pulls(&[pulls]).await.unwrap();
    assert_eq!(going(json!({ "measure": "last_used" })).await, ["v2", "w3"]);
    assert_eq!(going(json!({ "measure": "updated" })).await, ["v1", "v2", "w3"]);
    for nonsense in [
        json!({ "keep_at_least": -1 }),
        json!({ "removals_max": "1" }),
        json!({ "only": [{ "kind": "regexp", "pattern": "(" }] }),
        json!({ "only": vec![json!({ "kind": "label", "pattern": "v1" }); 101] }),
        json!({ "measure": "pulled" }),
    ] {
        house.ada(Method::POST, &retentions, rule(nonsense)).await.is(400);
    }

    let beyond = json!({ "only": only, "measure": "last_used", "keep_at_least": 1, "removals_max": 1 });
    let created = house.ada(Method::POST, &retentions, rule(beyond.clone())).await.is(201).json();
    let one = format!("{retentions}/{}", created["id"]);
    let shown = async || house.ada(Method::GET, &one, "").await.is(200).json()["rules"].clone();
    assert_eq!(shown().await, rule(beyond.clone())["rules"]);
    house.ada(Method::PATCH, &one, rule(json!({}))).await.is(201);
    assert_eq!(shown().await, rule(beyond)["rules"]);
    house.plane.age(TimeDelta::days(1)).await.unwrap().unwrap();
    assert_eq!(tags(&house).await, ["v1", "v4", "v5", "w3"]);
    let off = json!({ "only": [], "measure": "updated", "keep_at_least": 0, "removals_max": 0 });
    house.ada(Method::PATCH, &one, rule(off)).await.is(201);
    assert_eq!(shown().await, rule(json!({}))["rules"]);
    house.plane.age(TimeDelta::days(1)).await.unwrap().unwrap();
    assert_eq!(tags(&house).await, ["v4", "v5"]);
}
