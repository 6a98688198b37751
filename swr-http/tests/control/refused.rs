//! What is refused, for what it is, with nothing changed.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::house::{House, REGION, send};

const GROUP: &str = "/v2/manage/namespaces/group";
const APP: &str = "/v2/manage/namespaces/group/repos/app";

/// Everything there is to be seen of a deployment.
async fn state(house: &House) -> Vec<Value> {
    let mut state = Vec::new();
    for address in [
        "/v2/manage/namespaces",
        "/v2/manage/namespaces/group/access",
        "/v2/manage/repos",
        "/v2/manage/namespaces/group/repos/app",
        "/v2/manage/namespaces/group/repos/app/access",
        "/v2/manage/namespaces/group/repos/app/tags",
        "/v2/manage/namespaces/group/repositories/app/access-domains",
        "/v2/manage/namespaces/group/repos/app/retentions",
        "/v2/manage/namespaces/group/repos/app/triggers",
        "/v2/manage/namespaces/group/repos/app/sync_repo",
        "/v2/manage/namespaces/group/repos/app/sync_job?filter=limit%3A%3A100%7Coffset%3A%3A0",
        "/v2/manage/agency",
        "/v2/manage/overview",
    ] {
        state.push(house.ada(Method::GET, address, "").await.is(200).json());
    }
    state
}

/// An object with other fields.
fn with(mut object: Value, change: Value) -> Value {
    for (key, value) in change.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// Keeps the newest 3, or what the change says.
fn retention(change: Value) -> Value {
    let rule = json!({ "template": "tag_rule", "params": { "num": "3" }, "tag_selectors": [] });
    json!({ "algorithm": "or", "rules": [with(rule, change)] })
}

/// `deploy`, which sets an image, or what the change says.
fn trigger(change: Value) -> Value {
    let trigger = json!({
        "name": "deploy", "action": "update", "app_type": "deployments", "application": "web",
        "cluster_id": "c1", "cluster_ns": "default", "trigger_type": "all", "condition": ".*", "enable": "true",
    });
    with(trigger, change)
}

fn there(change: Value) -> Value {
    with(json!({ "remoteRegionId": REGION, "remoteNamespace": "there" }), change)
}

#[tokio::test]
async fn a_bad_request_is_refused_for_what_it_is_and_changes_nothing() {
    let house = House::furnished().await;
    let (ada, bob, cyd, eve) = (&house.ada, &house.bob, &house.cyd, &house.eve);
    house.ada(Method::POST, &format!("{GROUP}/access"), json!([bob.auth(1)])).await.is(200);
    house.ada(Method::POST, &format!("{APP}/access"), json!([bob.auth(1)])).await.is(201);
    let domains = format!("{GROUP}/repositories/app/access-domains");
    let share = json!({ "access_domain": "globex", "permit": "read", "deadline": "forever" });
    house.ada(Method::POST, &domains, share).await.is(201);
    let before = state(&house).await;

    let namespaces = "/v2/manage/namespaces";
    let repos = format!("{GROUP}/repos");
    let (access, app_access, tags) =
        (format!("{GROUP}/access"), format!("{APP}/access"), format!("{APP}/tags"));
    let globex = format!("{domains}/globex");
    let (post, patch, delete) = (Method::POST, Method::PATCH, Method::DELETE);
    let nowhere = "/v2/manage/namespaces/group/repos/nothing";
    let share = |change: Value| {
        with(json!({ "access_domain": "globex", "permit": "read", "deadline": "forever" }), change)
    };
    let unknown = json!({ "user_id": "0".repeat(32), "user_name": "x", "auth": 1 });
    let rows: Vec<(&Method, &str, Value, &str)> = vec![
        // Organisations.
        (&post, namespaces, Value::Null, "4000014"),
        (&post, namespaces, json!([]), "4000014"),
        (&post, namespaces, json!(["other"]), "4000014"),
        (&post, namespaces, json!({}), "4001014"),
        (&post, namespaces, json!({ "namespace": 7 }), "4000014"),
        (&post, namespaces, json!({ "namespace": "other", "auth": 7 }), "4000014"),
        (&post, namespaces, json!({ "namespace": "" }), "4001028"),
        (&post, namespaces, json!({ "namespace": "Other" }), "4001028"),
        (&post, namespaces, json!({ "namespace": "a".repeat(65) }), "4001028"),
        (&post, namespaces, json!({ "namespace": "manage" }), "4001028"),
        (&post, namespaces, json!({ "namespace": "group" }), "4090060"),
        (&delete, "/v2/manage/namespaces/nothing", Value::Null, "4040058"),
        (&delete, GROUP, Value::Null, "4060074"),
        // Grants on an organisation.
        (&post, &access, json!([]), "4001014"),
        (&post, &access, json!({}), "4000014"),
        (&post, &access, json!([[cyd.id(), "cyd", 7]]), "4000014"),
        (&post, &access, json!([{ "user_id": cyd.id(), "auth": 1 }]), "4001014"),
        (&post, &access, json!([cyd.auth(2)]), "4001065"),
        (&post, &access, json!([{ "user_id": cyd.id(), "user_name": "cyd", "auth": -1 }]), "4001065"),
        (&post, &access, json!([{ "user_id": cyd.id(), "user_name": "cyd", "auth": "7" }]), "4000014"),
        (&post, &access, json!([{ "user_id": "cyd", "user_name": "cyd", "auth": 1 }]), "4001067"),
        (&post, &access, json!([unknown]), "4001067"),
        (&post, &access, json!([eve.auth(1)]), "4001067"),
        (&post, &access, json!([cyd.auth(1), cyd.auth(7)]), "4000014"),
        (&post, &access, json!([cyd.auth(1), bob.auth(7)]), "4090076"),
        (&post, &access, json!([ada.auth(7)]), "4030170"),
        (&patch, &access, json!([cyd.auth(1)]), "4040078"),
        (&patch, &access, json!([ada.auth(1)]), "4030170"),
        (&delete, &access, json!([cyd.id()]), "4040078"),
        (&delete, &access, json!([bob.id(), cyd.id()]), "4040078"),
        (&delete, &access, json!([ada.id()]), "4030170"),
        (&delete, &access, json!([7]), "4000014"),
        (&delete, &access, Value::Null, "4000014"),
        (&post, "/v2/manage/namespaces/nothing/access", json!([cyd.auth(1)]), "4040058"),
        // Repositories.
        (&post, &repos, json!({ "repository": "new" }), "4001014"),
        (&post, &repos, json!({ "is_public": true }), "4001014"),
        (&post, &repos, json!({ "repository": "new", "is_public": "false" }), "4001009"),
        (&post, &repos, json!({ "repository": "new", "is_public": null }), "4001009"),
        (&post, &repos, json!({ "repository": "New", "is_public": true }), "4001029"),
        (&post, &repos, json!({ "repository": "", "is_public": true }), "4001029"),
        (&post, &repos, json!({ "repository": "../x", "is_public": true }), "4001029"),
        (&post, &repos, json!({ "repository": "a".repeat(129), "is_public": true }), "4001029"),
        (&post, &repos, json!({ "repository": "new", "is_public": true, "category": "games" }), "4000014"),
        (&post, &repos, json!({ "repository": "new", "is_public": true, "public": true }), "4000014"),
        (
            &post,
            &repos,
            json!({ "repository": "new", "is_public": true, "description": "é".repeat(30_001) }),
            "4131012",
        ),
        (&post, &repos, json!({ "repository": "app", "is_public": true }), "4090006"),
        (
            &post,
            "/v2/manage/namespaces/nothing/repos",
            json!({ "repository": "new", "is_public": true }),
            "4040058",
        ),
        (&patch, APP, json!({ "description": "x" }), "4001014"),
        (&patch, APP, json!({ "is_public": 1 }), "4001009"),
        (&patch, APP, json!({ "is_public": true, "name": "x" }), "4000014"),
        (&patch, APP, json!({ "is_public": true, "description": "x".repeat(30_001) }), "4131012"),
        (&patch, nowhere, json!({ "is_public": true }), "4040113"),
        (&delete, nowhere, Value::Null, "4040113"),
        // Grants on a repository.
        (&post, &app_access, json!([cyd.auth(5)]), "4001066"),
        (&post, &app_access, json!([bob.auth(7)]), "4090089"),
        (&post, &app_access, json!([eve.auth(7)]), "4001067"),
        (&patch, &app_access, json!([cyd.auth(7)]), "4040091"),
        (&delete, &app_access, json!([cyd.id()]), "4040091"),
        // Versions.
        (&post, &tags, json!({ "source_tag": "v1" }), "4001014"),
        (&post, &tags, json!({ "source_tag": "-", "destination_tag": "v3" }), "4009021"),
        (&post, &tags, json!({ "source_tag": "v1", "destination_tag": "a b" }), "4009021"),
        (&post, &tags, json!({ "source_tag": "v9", "destination_tag": "v3" }), "4040115"),
        (&post, &tags, json!({ "source_tag": "v1", "destination_tag": "v2" }), "4090115"),
        (&post, &tags, json!({ "source_tag": "v1", "destination_tag": "v2", "overwrite": true }), "4000014"),
        (&post, &tags, json!({ "source_tag": "v1", "destination_tag": "v2", "override": "x" }), "4000014"),
        (
            &post,
            "/v2/manage/namespaces/group/repos/nothing/tags",
            json!({ "source_tag": "v1", "destination_tag": "v2" }),
            "4040113",
        ),
        (&delete, "/v2/manage/namespaces/group/repos/app/tags/v9", Value::Null, "4040115"),
        // Sharing.
        (&post, &domains, share(json!({})), "4091090"),
        (&post, &domains, share(json!({ "access_domain": "nobody" })), "4001041"),
        (&post, &domains, share(json!({ "access_domain": "no body" })), "4001041"),
        (&post, &domains, share(json!({ "access_domain": "acme" })), "4001041"),
        (&post, &domains, share(json!({ "permit": "write" })), "4001066"),
        (&post, &domains, share(json!({ "deadline": "tomorrow" })), "4000014"),
        (&post, &domains, share(json!({ "deadline": 7 })), "4000014"),
        (&post, &domains, share(json!({ "access_domain": "globex", "auth": 7 })), "4000014"),
        (&post, &domains, share(json!({ "description": "é".repeat(1001) })), "4131012"),
        (&post, &domains, json!({ "access_domain": "globex", "permit": "read" }), "4001014"),
        (&patch, &globex, json!({ "permit": "read" }), "4001014"),
        (&patch, &globex, json!({ "permit": "manage", "deadline": "forever" }), "4001066"),
        // Logins.
        (&post, "/v2/manage/utils/secret?projectname=other", Value::Null, "4000014"),
        (&post, "/v2/manage/utils/secret?duration_seconds=1", Value::Null, "4001025"),
        // Addresses.
        (&post, "/v2/manage/nothing", Value::Null, "4040083"),
        (&post, "/v2/manage/overview", Value::Null, "4050083"),
        (&delete, "/v2/manage/namespaces/Group", Value::Null, "4001028"),
        (&delete, "/v2/manage/namespaces/group/repos/App", Value::Null, "4001029"),
        (&delete, "/v2/manage/namespaces/group/repos/app/tags/-x", Value::Null, "4009021"),
    ];
    for (method, address, body, number) in rows {
        let answer = house.ada(method.clone(), address, body.clone()).await;
        let what = format!("{method} {address} {}", body.to_string().chars().take(120).collect::<String>());
        assert_eq!(answer.number(), number, "{what}: {answer:?}");
        assert_eq!(answer.status.as_str(), &number[..3], "{what}");
    }
    for (body, number) in [
        ("", "4001018"),
        ("{", "4001018"),
        ("{\"namespace\":\"x\"}}", "4001018"),
        ("namespace=x", "4001018"),
        ("{\"namespace\":\"x\",\"namespace\":\"y\"}", "4000014"),
    ] {
        let answer = house.ada(Method::POST, namespaces, body).await;
        assert_eq!(answer.number(), number, "{body}");
    }
    assert_eq!(state(&house).await, before);
}

#[tokio::test]
async fn a_bad_rule_trigger_or_copy_is_refused_for_what_it_is_and_changes_nothing() {
    let house = House::furnished().await;
    let created =
        house.ada(Method::POST, &format!("{APP}/retentions"), retention(json!({}))).await.is(201).json();
    house.ada(Method::POST, &format!("{APP}/triggers"), trigger(json!({}))).await.is(201);
    house.ada(Method::POST, &format!("{APP}/sync_repo"), there(json!({}))).await.is(200);
    house.ada(Method::POST, "/v2/manage/agency", "").await.is(204);
    let before = state(&house).await;

    let two_rules = {
        let rules = retention(json!({}))["rules"].clone();
        json!([rules[0], rules[0]])
    };
    let tags_of = |count: u32| (0..count).map(|number| format!("v{number}")).collect::<Vec<_>>();
    let too_many: Vec<_> =
        tags_of(101).into_iter().map(|tag| json!({ "kind": "label", "pattern": tag })).collect();
    let selecting = |selector: Value| retention(json!({ "tag_selectors": [selector] }));
    let other = |change: Value| with(trigger(json!({ "name": "other" })), change);
    let webhook = |change: Value| {
        let webhook = json!({
            "name": "other", "action": "webhook", "trigger_type": "all", "condition": ".*", "enable": "true",
            "url": "https://hooks.example", "secret": "0123456789abcdef",
        });
        with(webhook, change)
    };
    let (post, patch, delete) = (Method::POST, Method::PATCH, Method::DELETE);
    let rows: Vec<(&Method, &str, Value, &str)> = vec![
        // Aging.
        (&post, "app/retentions", retention(json!({})), "4000014"),
        (&post, "app/retentions", json!({ "algorithm": "or" }), "4001014"),
        (&post, "app/retentions", json!([]), "4000014"),
        (&post, "nothing/retentions", retention(json!({})), "4040113"),
        (&patch, "app/retentions/{id}", with(retention(json!({})), json!({ "algorithm": "and" })), "4000014"),
        (&patch, "app/retentions/{id}", with(retention(json!({})), json!({ "scope": "" })), "4000014"),
        (&patch, "app/retentions/{id}", with(retention(json!({})), json!({ "rules": [] })), "4000014"),
        (
            &patch,
            "app/retentions/{id}",
            with(retention(json!({})), json!({ "rules": [["tag_rule", {}, []]] })),
            "4000014",
        ),
        (&patch, "app/retentions/{id}", with(retention(json!({})), json!({ "rules": two_rules })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "template": "size_rule" })), "4000014"),
        (
            &patch,
            "app/retentions/{id}",
            retention(json!({ "template": "date_rule", "params": { "days": "3" } })),
            "4000014",
        ),
        (&patch, "app/retentions/{id}", retention(json!({ "template": "date_rule" })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": {} })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": { "num": 3 } })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": { "num": "0" } })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": { "num": "1001" } })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": { "num": "4294967297" } })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": { "num": "+3" } })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "params": { "num": "" } })), "4000014"),
        (
            &patch,
            "app/retentions/{id}",
            retention(json!({ "params": { "num": "3", "days": "3" } })),
            "4000014",
        ),
        (
            &patch,
            "app/retentions/{id}",
            retention(json!({ "params": { "num": "3", "size": "3" } })),
            "4000014",
        ),
        (&patch, "app/retentions/{id}", retention(json!({ "params": ["3"] })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "keep": 1 })), "4000014"),
        (&patch, "app/retentions/{id}", retention(json!({ "tag_selectors": null })), "4000014"),
        (&patch, "app/retentions/{id}", selecting(json!({ "kind": "glob", "pattern": "v1" })), "4000014"),
        (&patch, "app/retentions/{id}", selecting(json!({ "kind": "label" })), "4001014"),
        (&patch, "app/retentions/{id}", selecting(json!({ "kind": "label", "pattern": "-" })), "4009021"),
        (&patch, "app/retentions/{id}", selecting(json!({ "kind": "regexp", "pattern": "(" })), "4000014"),
        (&patch, "app/retentions/{id}", selecting(json!({ "kind": "regexp", "pattern": "" })), "4000014"),
        (
            &patch,
            "app/retentions/{id}",
            selecting(json!({ "kind": "regexp", "pattern": "x".repeat(513) })),
            "4000014",
        ),
        (&patch, "app/retentions/{id}", retention(json!({ "tag_selectors": too_many })), "4000014"),
        (&patch, "app/retentions/9007199254740991", retention(json!({})), "4040306"),
        (&patch, "nothing/retentions/1", retention(json!({})), "4040113"),
        (&delete, "app/retentions/9007199254740991", Value::Null, "4040306"),
        (&delete, "app/retentions/18446744073709551615", Value::Null, "4040306"),
        (&delete, "app/retentions/x", Value::Null, "4000014"),
        (&post, "app/retentions/plan", json!({}), "4001014"),
        (&post, "app/retentions/plan?limit=1001", retention(json!({})), "4000056"),
        // Triggers.
        (&post, "app/triggers", trigger(json!({})), "4000014"),
        (&post, "app/triggers", trigger(json!({ "name": "other-" })), "4000014"),
        (&post, "app/triggers", trigger(json!({ "name": "a".repeat(65) })), "4000014"),
        (&post, "app/triggers", json!({ "name": "other" }), "4001014"),
        (&post, "app/triggers", other(json!({ "name": null })), "4000014"),
        (&post, "app/triggers", other(json!({ "action": "delete" })), "4000014"),
        (&post, "app/triggers", other(json!({ "app_type": "jobs" })), "4000014"),
        (&post, "app/triggers", other(json!({ "app_type": "" })), "4001014"),
        (&post, "app/triggers", other(json!({ "application": "" })), "4001014"),
        (&post, "app/triggers", other(json!({ "application": "../secrets" })), "4000014"),
        (&post, "app/triggers", other(json!({ "application": "a".repeat(254) })), "4000014"),
        (&post, "app/triggers", other(json!({ "cluster_ns": "" })), "4001014"),
        (&post, "app/triggers", other(json!({ "cluster_ns": "kube/system" })), "4000014"),
        (&post, "app/triggers", other(json!({ "cluster_id": "" })), "4001014"),
        (&post, "app/triggers", other(json!({ "cluster_id": "c".repeat(256) })), "4000014"),
        (&post, "app/triggers", other(json!({ "cluster_name": "c".repeat(256) })), "4000014"),
        (&post, "app/triggers", other(json!({ "container": "Main" })), "4000014"),
        (&post, "app/triggers", other(json!({ "trigger_mode": "ecs" })), "4000014"),
        (&post, "app/triggers", other(json!({ "trigger_type": "some" })), "4000014"),
        (&post, "app/triggers", other(json!({ "trigger_type": "all", "condition": "v1" })), "4000014"),
        (&post, "app/triggers", other(json!({ "trigger_type": "tag", "condition": "v1;v2" })), "4009021"),
        (&post, "app/triggers", other(json!({ "trigger_type": "regular", "condition": "^v(" })), "4000014"),
        (&post, "app/triggers", other(json!({ "trigger_type": "regular", "condition": "" })), "4000014"),
        (&post, "app/triggers", other(json!({ "enable": true })), "4000014"),
        (&post, "app/triggers", other(json!({ "enable": "True" })), "4000014"),
        (&post, "app/triggers", other(json!({ "enabled": "true" })), "4000014"),
        (&post, "app/triggers", other(json!({ "url": "https://hooks.example" })), "4000014"),
        (&post, "app/triggers", other(json!({ "secret": "" })), "4000014"),
        (&post, "app/triggers", webhook(json!({ "url": "" })), "4001014"),
        (&post, "app/triggers", webhook(json!({ "url": "ftp://hooks.example" })), "4000014"),
        (&post, "app/triggers", webhook(json!({ "url": "https://ada:x@hooks.example" })), "4000014"),
        (
            &post,
            "app/triggers",
            webhook(json!({ "url": format!("https://x.example/{}", "x".repeat(2048)) })),
            "4000014",
        ),
        (&post, "app/triggers", webhook(json!({ "secret": null })), "4001014"),
        (&post, "app/triggers", webhook(json!({ "secret": 1234567890123456_u64 })), "4000014"),
        (&post, "app/triggers", webhook(json!({ "secret": "short" })), "4000014"),
        (&post, "app/triggers", webhook(json!({ "secret": "x".repeat(257) })), "4000014"),
        (&post, "app/triggers", webhook(json!({ "cluster_id": "c1" })), "4000014"),
        (&post, "nothing/triggers", other(json!({})), "4040113"),
        (&patch, "app/triggers/deploy", json!({ "enable": false }), "4000014"),
        (&patch, "app/triggers/deploy", json!({ "enable": "no" }), "4000014"),
        (&patch, "app/triggers/deploy", json!({}), "4001014"),
        (&patch, "app/triggers/deploy", json!({ "enable": "false", "condition": ".*" }), "4000014"),
        (&patch, "app/triggers/absent", json!({ "enable": "true" }), "4040126"),
        (&patch, "nothing/triggers/deploy", json!({ "enable": "true" }), "4040113"),
        (&delete, "app/triggers/absent", Value::Null, "4040126"),
        (&delete, "app/triggers/1st", Value::Null, "4000014"),
        (&post, "app/triggers/deploy/deliveries/absent/replay", Value::Null, "4040126"),
        (&post, "app/triggers/absent/deliveries/absent/replay", Value::Null, "4040126"),
        // Copies in other regions.
        (&post, "app/sync_repo", json!({ "remoteRegionId": "cn-test2" }), "4001014"),
        (&post, "app/sync_repo", there(json!({ "remoteRegionId": "nowhere" })), "5001101"),
        (&post, "app/sync_repo", there(json!({ "remoteRegionId": "x".repeat(65) })), "4000014"),
        (&post, "app/sync_repo", there(json!({ "remoteNamespace": "There" })), "4001028"),
        (&post, "app/sync_repo", there(json!({ "syncAuto": "true" })), "4000014"),
        (&post, "app/sync_repo", there(json!({ "sync_auto": true })), "4000014"),
        (&post, "app/sync_repo", there(json!({ "override": 1 })), "4000014"),
        (&post, "nothing/sync_repo", there(json!({})), "4040113"),
        (&delete, "app/sync_repo", there(json!({ "remoteNamespace": "elsewhere" })), "4001158"),
        (&delete, "app/sync_repo", json!({ "remoteNamespace": "there" }), "4001014"),
        (&delete, "app/sync_repo", there(json!({ "override": true })), "4000014"),
        (&delete, "app/sync_repo", Value::Null, "4000014"),
        (&post, "app/sync_images", there(json!({})), "4001014"),
        (&post, "app/sync_images", there(json!({ "imageTag": "v1" })), "4000014"),
        (&post, "app/sync_images", there(json!({ "imageTag": [] })), "4001014"),
        (&post, "app/sync_images", there(json!({ "imageTag": ["v1", "-"] })), "4009021"),
        (&post, "app/sync_images", there(json!({ "imageTag": tags_of(101) })), "4000014"),
        (
            &post,
            "app/sync_images",
            there(json!({ "imageTag": ["v1"], "remoteRegionId": "nowhere" })),
            "5001101",
        ),
        (&post, "nothing/sync_images", there(json!({ "imageTag": ["v1"] })), "4040113"),
    ];
    for (method, address, body, number) in rows {
        let address = format!("{GROUP}/repos/{}", address.replace("{id}", &created["id"].to_string()));
        let answer = house.ada(method.clone(), &address, body.clone()).await;
        let what = format!("{method} {address} {}", body.to_string().chars().take(120).collect::<String>());
        assert_eq!(answer.number(), number, "{what}: {answer:?}");
        assert_eq!(answer.status.as_str(), &number[..3], "{what}");
    }
    assert_eq!(house.ada(Method::POST, "/v2/manage/agency", "").await.is(409).number(), "4090000");
    assert_eq!(state(&house).await, before);
}

#[tokio::test]
async fn a_body_has_an_end() {
    let house = House::new().await;
    let namespaces = "/v2/manage/namespaces";
    let padded = |size: usize| {
        let body = format!("{{\"namespace\":\"group\"{}}}", " ".repeat(size - 21));
        assert_eq!(body.len(), size);
        Bytes::from(body)
    };
    let answer = house.ada(Method::POST, namespaces, padded((1 << 20) + 1)).await.is(413);
    assert_eq!(answer.number(), "4131001");
    house.ada(Method::POST, namespaces, padded(1 << 20)).await.is(201);
}

#[tokio::test]
async fn a_message_does_not_grow_with_what_was_sent() {
    let house = House::furnished().await;
    let long = "x".repeat(500_000);
    for (method, address, body) in [
        (Method::POST, "/v2/manage/namespaces".to_owned(), json!({ "namespace": long })),
        (Method::POST, "/v2/manage/namespaces".to_owned(), json!({ &*long: 1 })),
        (
            Method::POST,
            format!("{GROUP}/repos"),
            json!({ "repository": "a", "is_public": true, "category": long }),
        ),
        (Method::POST, format!("{GROUP}/access"), json!([{ "user_id": long, "user_name": "", "auth": 1 }])),
        (Method::DELETE, format!("{GROUP}/access"), json!([long])),
        (Method::POST, format!("{APP}/tags"), json!({ "source_tag": long, "destination_tag": "x" })),
        (Method::POST, format!("{APP}/retentions"), json!({ "algorithm": long, "rules": [] })),
        (Method::POST, format!("{APP}/retentions"), retention(json!({ "template": long }))),
        (Method::POST, format!("{APP}/retentions"), retention(json!({ "params": { "num": long } }))),
        (
            Method::POST,
            format!("{APP}/retentions"),
            retention(json!({ "tag_selectors": [{ "kind": "regexp", "pattern": long }] })),
        ),
        (Method::POST, format!("{APP}/triggers"), trigger(json!({ "action": long }))),
        (Method::POST, format!("{APP}/triggers"), trigger(json!({ "application": long }))),
        (
            Method::POST,
            format!("{APP}/triggers"),
            trigger(json!({ "trigger_type": "regular", "condition": long })),
        ),
        (Method::POST, format!("{APP}/sync_repo"), there(json!({ "remoteRegionId": long }))),
        (Method::POST, format!("{APP}/sync_repo"), there(json!({ "remoteNamespace": long }))),
    ] {
        let answer = house.ada(method, &address, body).await.is(400);
        assert!(answer.body.len() < 4096, "{address}: {}", answer.body.len());
    }
}

#[tokio::test]
async fn whoever_has_no_right_hears_the_same_of_what_is_private_and_of_what_is_not_there() {
    let house = House::furnished().await;
    for person in [&house.bob, &house.eve] {
        for (method, rest, body) in [
            (Method::GET, "", ""),
            (Method::PATCH, "", "{\"is_public\":true}"),
            (Method::DELETE, "", ""),
            (Method::GET, "/access", ""),
            (Method::DELETE, "/access", "[\"00000000000000000000000000000000\"]"),
            (Method::GET, "/tags", ""),
            (Method::GET, "/tags/v1", ""),
            (Method::DELETE, "/tags/v1", ""),
            (Method::POST, "/tags", "{\"source_tag\":\"v1\",\"destination_tag\":\"v9\"}"),
            (Method::GET, "/v1/references", ""),
            (Method::GET, "/v1/accessories", ""),
            (Method::GET, "/retentions", ""),
            (Method::GET, "/retentions/1", ""),
            (Method::GET, "/retentions/histories", ""),
            (Method::POST, "/retentions", RETENTION),
            (Method::POST, "/retentions/plan", RETENTION),
            (Method::PATCH, "/retentions/1", RETENTION),
            (Method::DELETE, "/retentions/1", ""),
            (Method::GET, "/triggers", ""),
            (Method::GET, "/triggers/t", ""),
            (Method::POST, "/triggers", TRIGGER),
            (Method::PATCH, "/triggers/t", "{\"enable\":\"true\"}"),
            (Method::DELETE, "/triggers/t", ""),
            (Method::GET, "/triggers/t/deliveries", ""),
            (Method::POST, "/triggers/t/deliveries/x/replay", ""),
            (Method::GET, "/sync_repo", ""),
            (Method::POST, "/sync_repo", THERE),
            (Method::DELETE, "/sync_repo", THERE),
            (Method::POST, "/sync_images", IMAGES_THERE),
            (Method::GET, "/sync_job?filter=limit%3A%3A10%7Coffset%3A%3A0", ""),
        ] {
            let private = house.asks(person, method.clone(), &format!("{APP}{rest}"), body).await.is(404);
            let absent = format!("{GROUP}/repos/abc{rest}");
            let absent = house.asks(person, method.clone(), &absent, body).await.is(404);
            let said = String::from_utf8(absent.body.to_vec()).unwrap().replace("group/abc", "group/app");
            assert_eq!(said.as_bytes(), &private.body[..], "{method} {rest}");
            let mut headers = [private.headers, absent.headers];
            headers.iter_mut().for_each(|headers| drop(headers.remove("x-request-id")));
            assert_eq!(headers[0], headers[1], "{method} {rest}");
        }
    }
    // With too little it is another thing.
    house.ada(Method::POST, &format!("{APP}/access"), json!([house.bob.auth(1)])).await.is(201);
    for (method, rest, body) in [
        (Method::PATCH, "", "{\"is_public\":true}"),
        (Method::DELETE, "", ""),
        (Method::DELETE, "/tags/v1", ""),
        (Method::POST, "/tags", "{\"source_tag\":\"v1\",\"destination_tag\":\"v9\"}"),
        (Method::DELETE, "/access", "[\"00000000000000000000000000000000\"]"),
        (Method::POST, "/retentions", RETENTION),
        (Method::DELETE, "/retentions/1", ""),
        (Method::POST, "/triggers", TRIGGER),
        (Method::PATCH, "/triggers/t", "{\"enable\":\"true\"}"),
        (Method::DELETE, "/triggers/t", ""),
        (Method::POST, "/triggers/t/deliveries/x/replay", ""),
        (Method::GET, "/sync_repo", ""),
        (Method::POST, "/sync_repo", THERE),
        (Method::DELETE, "/sync_repo", THERE),
        (Method::POST, "/sync_images", IMAGES_THERE),
        (Method::GET, "/sync_job?filter=limit%3A%3A10%7Coffset%3A%3A0", ""),
    ] {
        let answer = house.bob(method.clone(), &format!("{APP}{rest}"), body).await.is(403);
        assert_eq!(answer.number(), "4037020", "{method} {rest}");
    }
    let answer =
        house.bob(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "mine" })).await.is(403);
    assert_eq!(answer.number(), "4037017");
    // Whoever reads sees what there is; whoever edits has triggers and copies, and no aging rules.
    for rest in ["/retentions", "/retentions/histories", "/triggers"] {
        house.bob(Method::GET, &format!("{APP}{rest}"), "").await.is(200);
    }
    house.bob(Method::POST, &format!("{APP}/retentions/plan"), RETENTION).await.is(200);
    house.ada(Method::PATCH, &format!("{APP}/access"), json!([house.bob.auth(3)])).await.is(201);
    house.bob(Method::POST, &format!("{APP}/triggers"), TRIGGER).await.is(201);
    house.bob(Method::POST, &format!("{APP}/sync_repo"), THERE).await.is(200);
    assert_eq!(house.bob(Method::POST, &format!("{APP}/retentions"), RETENTION).await.number(), "4037020");
    assert_eq!(house.bob(Method::POST, "/v2/manage/agency", "").await.is(403).number(), "4030170");
}

const RETENTION: &str = "{\"algorithm\":\"or\",\"rules\":[{\"template\":\"tag_rule\",\"params\":\
                         {\"num\":\"1\"},\"tag_selectors\":[]}]}";
const TRIGGER: &str = "{\"name\":\"t\",\"action\":\"webhook\",\"trigger_type\":\"all\",\"condition\":\".*\",\
                       \"enable\":\"true\",\"url\":\"https://hooks.example\",\"secret\":\"0123456789abcdef\"}";
const THERE: &str = "{\"remoteRegionId\":\"cn-test2\",\"remoteNamespace\":\"there\"}";
const IMAGES_THERE: &str =
    "{\"remoteRegionId\":\"cn-test2\",\"remoteNamespace\":\"there\",\"imageTag\":[\"v1\"]}";

#[tokio::test]
async fn whom_a_repository_is_shared_with_sees_nothing_of_how_it_is_run() {
    let house = House::furnished().await;
    house.ada(Method::POST, &format!("{APP}/triggers"), TRIGGER).await.is(201);
    let share = json!({ "access_domain": "globex", "permit": "read", "deadline": "forever" });
    let domains = format!("{GROUP}/repositories/app/access-domains");
    house.ada(Method::POST, &domains, share).await.is(201);
    house.eve(Method::GET, &format!("{APP}/tags/v1"), "").await.is(200);
    for (method, rest, body) in [
        (Method::GET, "/retentions", ""),
        (Method::POST, "/retentions/plan", RETENTION),
        (Method::GET, "/retentions/histories", ""),
        (Method::GET, "/triggers", ""),
        (Method::GET, "/triggers/t", ""),
        (Method::GET, "/triggers/t/deliveries", ""),
        (Method::GET, "/sync_repo", ""),
    ] {
        let answer = house.eve(method.clone(), &format!("{APP}{rest}"), body).await.is(403);
        assert_eq!(answer.number(), "4037020", "{method} {rest}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_account_stays_there() {
    let house = House::furnished().await;
    let theirs = house.eve.account.project.as_str();
    for address in ["quotas", "feature-gates"] {
        let answer =
            house.ada(Method::GET, &format!("/v2/manage/projects/{theirs}/{address}"), "").await.is(403);
        assert_eq!(answer.number(), "4039002");
    }
    let answer = house.ada(Method::GET, &format!("/v3/{theirs}/traces?trace_type=system"), "").await.is(403);
    assert_eq!(answer.json()["error_code"], "CTS.0013");
    // A name is taken in the whole deployment, and that is all that is said of it.
    let answer = house.eve(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group" })).await;
    assert_eq!(answer.number(), "4090060");
    for (method, address) in [(Method::GET, GROUP), (Method::DELETE, GROUP)] {
        assert_eq!(house.eve(method, address, "").await.number(), "4040058");
    }
    for address in ["/v2/manage/namespaces", "/v2/manage/namespaces?filter=mode%3A%3Avisible"] {
        assert_eq!(house.eve(Method::GET, address, "").await.json(), json!({ "namespaces": [] }));
    }
    assert_eq!(house.eve(Method::GET, "/v2/manage/repos", "").await.json(), json!([]));
    let overview = house.eve(Method::GET, "/v2/manage/overview", "").await.json();
    assert_eq!(overview["namspace_num"], 0);
}

#[tokio::test]
async fn a_user_has_as_many_organisations_as_it_may() {
    let house = House::new().await;
    for number in 1..=5 {
        let body = json!({ "namespace": format!("group{number}") });
        house.ada(Method::POST, "/v2/manage/namespaces", body).await.is(201);
    }
    let answer =
        house.ada(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group6" })).await.is(400);
    assert_eq!(answer.number(), "4000097");
    house.ada(Method::DELETE, "/v2/manage/namespaces/group3", "").await.is(204);
    house.ada(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group6" })).await.is(201);
}

#[tokio::test]
async fn a_public_repository_is_not_shared() {
    let house = House::furnished().await;
    house.ada(Method::PATCH, APP, json!({ "is_public": true })).await.is(201);
    let domains = format!("{GROUP}/repositories/app/access-domains");
    let share = json!({ "access_domain": "globex", "permit": "read", "deadline": "forever" });
    assert_eq!(house.ada(Method::POST, &domains, share).await.number(), "4001090");
    // Whoever does not manage it asks in vain for what it is shared with.
    assert_eq!(house.eve(Method::GET, &domains, "").await.is(403).number(), "4037020");
    for (method, body) in
        [(Method::PATCH, "{\"permit\":\"read\",\"deadline\":\"forever\"}"), (Method::DELETE, "")]
    {
        let answer = house.ada(method, &format!("{domains}/globex"), body).await;
        assert_eq!(answer.number(), "4001090");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_answered_before_anybody_is_asked_who_it_is() {
    let house = House::new().await;
    for (method, address, number) in [
        (Method::GET, "/v2/manage/nothing", "4040083"),
        (Method::GET, "/v2/library/nginx/tags/list", "4040083"),
        (Method::PUT, "/v2/manage/namespaces", "4050083"),
    ] {
        let request = Request::builder().method(method).uri(address).body(Full::default()).unwrap();
        let answer = send(&house.management, request).await;
        assert_eq!(answer.number(), number, "{address}");
        assert_eq!(answer.headers.contains_key("allow"), number == "4050083");
    }
}
