//! Every operation once: its status, its headers, its body.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;
use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};

use crate::house::{
    Answer, CONFIG, HOST, House, IntoBody, NOW, Outcome, PROJECT, Person, REGION, attachment, digest, image,
    send,
};
use crate::package::package;

const GROUP: &str = "/v2/manage/namespaces/group";
const APP: &str = "/v2/manage/namespaces/group/repos/app";

/// A deployment, and the operations that were asked of it.
///
/// Each is asked while every one of its calls to the store fails in turn before it is done: what its row says then shows
/// that those have left nothing behind.
struct Table {
    house: House,
    asked: Mutex<BTreeSet<(String, String)>>,
}

impl Table {
    /// Asks as ada for the operation of this name.
    async fn ask(&self, operation: &str, method: Method, address: &str, body: impl IntoBody) -> Answer {
        self.ask_as(&self.house.ada, operation, method, address, body).await
    }

    async fn ask_as(
        &self,
        person: &Person,
        operation: &str,
        method: Method,
        address: &str,
        body: impl IntoBody,
    ) -> Answer {
        self.asked.lock().unwrap().insert((operation.to_owned(), method.to_string()));
        let body = body.into_body();
        let ask = async || self.house.asks(person, method.clone(), address, body.clone()).await;
        let answer = match GO_ON.contains(&operation) {
            true => ask().await,
            false => self.house.past_every_fault(ask).await,
        };
        assert!(!answer.header("x-request-id").is_empty(), "{operation}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{operation}");
        let length = answer.headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
        let expected = (answer.status != 204).then(|| answer.body.len().to_string());
        assert_eq!(length, expected, "{operation}");
        assert_eq!(answer.headers.contains_key("content-type"), !answer.body.is_empty(), "{operation}");
        answer
    }
}

/// What asks the store for nothing, and what goes on after its change, or after its answer has begun: a fault that comes
/// behind that undoes nothing.
const GO_ON: &[&str] =
    &["CreateRetention", "DownloadImagePackage", "ListSyncRegions", "ShowDocument", "UploadImagePackage"];

/// What was done, and nothing is said about it.
#[track_caller]
fn done(answer: &Answer, status: u16) {
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (status, &b""[..]), "{answer:?}");
}

/// A document, with the parts that depend on chance taken from itself.
#[track_caller]
fn shows(answer: &Answer, expected: Value) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), expected);
}

fn filled(mut expected: Value, from: &Value, keys: &[&str]) -> Value {
    for key in keys {
        assert!(!from[*key].is_null(), "{key} of {from}");
        expected[*key] = from[*key].clone();
    }
    expected
}

#[tokio::test]
async fn every_operation_is_answered_as_its_row_says() {
    let table = Table { house: House::new().await, asked: Mutex::default() };
    let (ada, bob, eve) = (&table.house.ada, &table.house.bob, &table.house.eve);

    // Organisations and grants on them.
    let body = json!({ "namespace": "group" });
    done(&table.ask("CreateNamespace", Method::POST, "/v2/manage/namespaces", body).await, 201);
    let shown = table.ask("ShowNamespace", Method::GET, GROUP, "").await;
    let group = filled(json!({ "name": "group", "creator_name": "ada", "auth": 7 }), &shown.json(), &["id"]);
    assert!(group["id"].is_i64());
    shows(&shown, group.clone());
    let listed = table.ask("ListNamespaces", Method::GET, "/v2/manage/namespaces", "").await;
    shows(&listed, json!({ "namespaces": [group] }));

    let access = format!("{GROUP}/access");
    let granted = json!([bob.auth(1)]);
    done(&table.ask("CreateNamespaceAuth", Method::POST, &access, granted).await, 200);
    done(&table.ask("UpdateNamespaceAuth", Method::PATCH, &access, json!([bob.auth(3)])).await, 201);
    let grants = json!({
        "id": group["id"],
        "name": "group",
        "creator_name": "ada",
        "self_auth": ada.auth(7),
        "others_auths": [bob.auth(3)],
    });
    shows(&table.ask("ShowNamespaceAuth", Method::GET, &access, "").await, grants);
    let shown = table.ask_as(bob, "ShowNamespace", Method::GET, GROUP, "").await;
    assert_eq!(shown.json()["auth"], 3);
    done(&table.ask("DeleteNamespaceAuth", Method::DELETE, &access, json!([bob.id()])).await, 204);

    // Repositories and grants on them.
    let repositories = format!("{GROUP}/repos");
    let body = json!({
        "repository": "app", "is_public": false, "category": "linux", "description": "für alle",
    });
    done(&table.ask("CreateRepo", Method::POST, &repositories, body).await, 200);
    let shown = table.ask("ShowRepository", Method::GET, APP, "").await;
    let app = json!({
        "ns_id": group["id"], "name": "app", "category": "linux", "description": "für alle",
        "creator_id": ada.id(), "creator_name": "ada", "size": 0, "is_public": false, "num_images": 0,
        "num_download": 0, "url": "", "path": "registry.example/group/app",
        "internal_path": "registry.example/group/app", "created": NOW, "updated": NOW,
        "domain_id": ada.account.id.as_str(), "priority": 0,
    });
    let app = filled(app, &shown.json(), &["id"]);
    assert!(app["id"].is_i64());
    shows(&shown, app.clone());
    done(&table.ask("UpdateRepo", Method::PATCH, APP, json!({ "is_public": true })).await, 201);
    let shown = table.ask("ShowRepository", Method::GET, APP, "").await.json();
    assert_eq!((&shown["is_public"], &shown["category"]), (&json!(true), &json!("linux")));
    assert_eq!(shown["description"], "für alle");
    let body = json!({ "is_public": false, "category": "lang", "description": "" });
    done(&table.ask("UpdateRepo", Method::PATCH, APP, body).await, 201);

    let access = format!("{APP}/access");
    done(&table.ask("CreateUserRepositoryAuth", Method::POST, &access, json!([bob.auth(1)])).await, 201);
    done(&table.ask("UpdateUserRepositoryAuth", Method::PATCH, &access, json!([bob.auth(7)])).await, 201);
    let grants = json!({
        "id": app["id"], "name": "app", "self_auth": ada.auth(7), "others_auths": [bob.auth(7)],
    });
    shows(&table.ask("ShowUserRepositoryAuth", Method::GET, &access, "").await, grants);
    let own = table.ask_as(bob, "ShowUserRepositoryAuth", Method::GET, &access, "").await;
    assert_eq!(own.json()["self_auth"], bob.auth(7));
    let visible = "/v2/manage/namespaces?filter=mode%3A%3Avisible";
    let listed = table.ask_as(bob, "ListNamespaces", Method::GET, visible, "").await;
    let partly = json!({ "id": group["id"], "name": "group", "creator_name": "ada" });
    shows(&listed, json!({ "namespaces": [partly] }));
    let listed = table.ask_as(bob, "ListNamespaces", Method::GET, "/v2/manage/namespaces", "").await;
    shows(&listed, json!({ "namespaces": [] }));
    done(&table.ask("DeleteUserRepositoryAuth", Method::DELETE, &access, json!([bob.id()])).await, 204);

    // Versions.
    let manifest = table.house.push(ada, "group/app", "v1").await;
    let tags = format!("{APP}/tags");
    let body = json!({ "source_tag": "v1", "destination_tag": "stable" });
    done(&table.ask("CreateRepoTag", Method::POST, &tags, body).await, 201);
    let body = json!({ "source_tag": "v1", "destination_tag": "stable", "override": true });
    done(&table.ask("CreateRepoTag", Method::POST, &tags, body).await, 201);

    let manifest_text = serde_json::to_string(&manifest).unwrap();
    let shown = table.ask("ShowRepoTag", Method::GET, &format!("{tags}/v1"), "").await;
    let image_of = |tag: &str| {
        json!({
            "repo_id": app["id"],
            "image_id": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "digest": digest(&manifest), "schema": 2, "path": format!("registry.example/group/app:{tag}"),
            "internal_path": format!("registry.example/group/app:{tag}"),
            "size": CONFIG.len() + crate::house::LAYER.len(), "is_trusted": false, "created": NOW,
            "updated": NOW, "domain_id": ada.account.id.as_str(), "tag_type": 0,
        })
    };
    let mut v1 = image_of("v1");
    v1["tag"] = "v1".into();
    v1["Tag"] = "v1".into();
    v1["manifest"] = manifest_text.clone().into();
    let v1 = filled(v1, &shown.json(), &["id"]);
    shows(&shown, v1.clone());

    let listed = table.ask("ListRepositoryTags", Method::GET, &format!("{tags}?limit=10&offset=0"), "").await;
    assert_eq!(listed.header("content-range"), "0-2/2");
    let entries = listed.json();
    let mut stable = image_of("stable");
    stable["Tag"] = "stable".into();
    stable["manifest"] = manifest_text.into();
    stable["deleted"] = Value::Null;
    stable["scanned"] = false.into();
    let stable = filled(stable, &entries[0], &["id"]);
    assert_eq!(entries[0], stable);
    assert_eq!((&entries[1]["Tag"], &entries[1]["id"]), (&json!("v1"), &v1["id"]));
    assert!(entries[1].get("tag").is_none() && stable["id"] != v1["id"]);

    let page = "/v3/manage/namespaces/group/repos/app/tags";
    let listed = table.ask("ListRepositoryTag", Method::GET, &format!("{page}?limit=1"), "").await;
    let mut first = image_of("stable");
    first["tag"] = "stable".into();
    first["id"] = stable["id"].clone();
    shows(&listed, json!({ "tags": [first], "nextMarker": "stable", "has_more": true }));
    let next = format!("{page}?limit=1&marker=stable&with_manifest=true");
    let listed = table.ask("ListRepositoryTag", Method::GET, &next, "").await.json();
    assert_eq!((&listed["tags"][0]["tag"], &listed["has_more"]), (&json!("v1"), &json!(false)));
    assert_eq!(listed["tags"][0]["manifest"], v1["manifest"]);
    assert!(listed.get("nextMarker").is_none() && listed["tags"][0].get("Tag").is_none());

    // What is attached to them.
    let signature = attachment(&manifest, "application/vnd.cncf.notary.signature");
    table.house.push_manifest(ada, "group/app", "signature", &signature).await.is(201);
    let listed = table.ask("ListRepoAccessories", Method::GET, &format!("{APP}/v1/accessories"), "").await;
    let accessory = json!({
        "domain_id": ada.account.id.as_str(), "namespace_name": "group", "repo_name": "app",
        "sig_tag": "signature", "sig_digest": digest(&signature), "target_digest": digest(&manifest),
        "size": serde_json::to_vec(&signature).unwrap().len(), "type": "signature.notation",
        "created_at": NOW, "updated_at": NOW,
    });
    let accessory = filled(accessory, &listed.json()["accessories"][0], &["id"]);
    shows(&listed, json!({ "total": 1, "accessories": [accessory] }));
    let address = format!("{APP}/signature/references");
    let listed = table.ask("ListReferences", Method::GET, &format!("{address}?limit=1"), "").await;
    shows(&listed, json!({ "next_marker": "stable", "has_more": true, "tags": ["stable"] }));
    let next = format!("{address}?limit=1&marker=stable");
    let listed = table.ask("ListReferences", Method::GET, &next, "").await;
    shows(&listed, json!({ "has_more": false, "tags": ["v1"] }));
    for tag in ["signature", "stable"] {
        done(&table.ask("DeleteRepoTag", Method::DELETE, &format!("{tags}/{tag}"), "").await, 204);
    }

    // Lists of repositories.
    let listed = table.ask("ListReposDetails", Method::GET, "/v2/manage/repos?filter=name%3A%3Aap", "").await;
    assert_eq!(listed.header("content-range"), "0-1/1");
    let entry = json!({
        "name": "app", "namespace": "group", "category": "lang", "description": "", "is_public": false,
        "num_images": 1, "num_download": 0, "created_at": NOW, "updated_at": NOW, "logo": "", "url": "",
        "path": "registry.example/group/app", "internal_path": "registry.example/group/app",
        "domain_name": "acme", "tags": ["v1"], "status": false, "total_range": 1,
    });
    let entry = filled(entry, &listed.json()[0], &["size"]);
    shows(&listed, json!([entry]));
    let listed = table.ask("ListRepoDetails", Method::GET, "/v3/manage/repos", "").await;
    let paged = json!({
        "id": app["id"], "name": "app", "namespace_name": "group", "category": "lang", "description": "",
        "size": entry["size"], "is_public": false, "num_images": 1, "num_download": 0, "created_at": NOW,
        "updated_at": NOW, "domain_name": "acme", "status": false,
    });
    shows(&listed, json!({ "repos": [paged] }));

    // Sharing.
    let domains = format!("{GROUP}/repositories/app/access-domains");
    let body = json!({
        "access_domain": "globex", "permit": "read", "deadline": "2026-01-31T00:00:00Z",
        "description": "for a while",
    });
    done(&table.ask("CreateRepoDomains", Method::POST, &domains, body).await, 201);
    let mut share = json!({
        "namespace": "group", "repository": "app", "access_domain": "globex", "permit": "read",
        "deadline": "2026-01-31T00:00:00Z", "description": "for a while", "creator_id": ada.id(),
        "creator_name": "ada", "created": NOW, "updated": NOW, "status": true,
    });
    shows(&table.ask("ListRepoDomains", Method::GET, &domains, "").await, json!([share]));
    let globex = format!("{domains}/globex");
    share["exist"] = true.into();
    shows(&table.ask("ShowAccessDomain", Method::GET, &globex, "").await, share.clone());
    let nobody = format!("{domains}/nobody");
    shows(&table.ask("ShowAccessDomain", Method::GET, &nobody, "").await, json!({ "exist": false }));
    let body = json!({ "permit": "read", "deadline": "forever" });
    done(&table.ask("UpdateRepoDomains", Method::PATCH, &globex, body).await, 201);
    share["deadline"] = "forever".into();
    share["description"] = "".into();
    shows(&table.ask("ShowAccessDomain", Method::GET, &globex, "").await, share);

    let ours = "/v2/manage/shared-repositories?center=self&limit=100&offset=0";
    let listed = table.ask("ListSharedReposDetails", Method::GET, ours, "").await;
    assert_eq!(listed.header("content-range"), "0-1/1");
    shows(&listed, json!([entry]));
    let theirs = "/v2/manage/shared-repositories?center=thirdparty";
    let listed = table.ask_as(eve, "ListSharedReposDetails", Method::GET, theirs, "").await;
    let mut shared = entry.clone();
    shared["status"] = true.into();
    shows(&listed, json!([shared]));
    let listed = table
        .ask("ListSharedRepoDetails", Method::GET, "/v3/manage/shared-repositories?shared_by=self", "")
        .await;
    shows(&listed, json!({ "repos": [paged] }));
    let theirs = "/v3/manage/shared-repositories?shared_by=thirdparty&status=true";
    let listed = table.ask_as(eve, "ListSharedRepoDetails", Method::GET, theirs, "").await;
    let mut shared = paged.clone();
    shared["status"] = true.into();
    shows(&listed, json!({ "repos": [shared] }));
    done(&table.ask("DeleteRepoDomains", Method::DELETE, &globex, "").await, 204);

    // Aging.
    let retentions = format!("{APP}/retentions");
    let rule = |count: &str| {
        let selectors =
            json!([{ "kind": "label", "pattern": "v1" }, { "kind": "regexp", "pattern": "^release" }]);
        json!({ "template": "tag_rule", "params": { "num": count }, "tag_selectors": selectors })
    };
    let body = |count| json!({ "algorithm": "or", "rules": [rule(count)] });
    for tag in ["old1", "old2"] {
        let body = json!({ "source_tag": "v1", "destination_tag": tag });
        done(&table.ask("CreateRepoTag", Method::POST, &tags, body).await, 201);
    }
    let plan = format!("{retentions}/plan?limit=2&offset=0");
    let planned = table.ask("PlanRetention", Method::POST, &plan, body("1")).await;
    assert_eq!(planned.header("content-range"), "0-2/3");
    let old1 = json!({
        "tag": "old1", "updated_at": NOW, "removed": true,
        "explanation": "goes, as enough newer ones stay",
    });
    let old2 = json!({
        "tag": "old2", "updated_at": NOW, "removed": false,
        "explanation": "stays, as it is among the newest; it goes when 1 newer have come",
    });
    shows(&planned, json!({ "total": 3, "removed": 1, "versions": [old1, old2] }));
    shows(&table.ask("ListRetentions", Method::GET, &retentions, "").await, json!([]));
    let created = table.ask("CreateRetention", Method::POST, &retentions, body("2")).await.is(201).json();
    let id = created["id"].as_i64().unwrap();
    assert_eq!(created, json!({ "id": id }));
    let one = format!("{retentions}/{id}");
    let shown = |count| json!({ "id": id, "algorithm": "or", "rules": [rule(count)], "scope": "" });
    shows(&table.ask("ShowRetention", Method::GET, &one, "").await, shown("2"));
    done(&table.ask("UpdateRetention", Method::PATCH, &one, body("1")).await, 201);
    shows(&table.ask("ListRetentions", Method::GET, &retentions, "").await, json!([shown("1")]));
    table.house.plane.age(TimeDelta::hours(1)).await.unwrap().unwrap();
    let histories = format!("{retentions}/histories?limit=1&offset=0");
    let history = table.ask("ListRetentionHistories", Method::GET, &histories, "").await;
    assert_eq!(history.header("content-range"), "0-1/1");
    let cleared = json!({
        "created_at": NOW, "namespace": "group", "repo": "app", "retention_id": id,
        "rule_type": "{\"template\":\"tag_rule\",\"params\":{\"num\":\"1\"},\"tag_selectors\":\
            [{\"kind\":\"label\",\"pattern\":\"v1\"},{\"kind\":\"regexp\",\"pattern\":\"^release\"}]}",
        "tag": "old1",
    });
    let cleared = filled(cleared, &history.json()["retention_log"][0], &["id"]);
    shows(&history, json!({ "total": 1, "retention_log": [cleared] }));
    done(&table.ask("DeleteRetention", Method::DELETE, &one, "").await, 200);
    shows(&table.ask("ListRetentions", Method::GET, &retentions, "").await, json!([]));

    // Triggers.
    let triggers = format!("{APP}/triggers");
    let deploy = json!({
        "name": "deploy", "action": "update", "app_type": "deployments", "application": "web",
        "cluster_id": "c1", "cluster_name": "cluster", "cluster_ns": "default", "container": "main",
        "condition": "^v2.*", "trigger_type": "regular", "trigger_mode": "cce", "enable": "false",
    });
    done(&table.ask("CreateTrigger", Method::POST, &triggers, deploy.clone()).await, 201);
    let mut shown = deploy.clone();
    shown["created_at"] = NOW.into();
    shown["creator_name"] = "ada".into();
    shown["trigger_history"] = Value::Null;
    shows(&table.ask("ListTriggersDetails", Method::GET, &triggers, "").await, json!([shown]));
    let one = format!("{triggers}/deploy");
    done(&table.ask("UpdateTrigger", Method::PATCH, &one, json!({ "enable": "true" })).await, 201);
    shown["enable"] = "true".into();
    shown["trigger_history"] = json!([]);
    shows(&table.ask("ShowTrigger", Method::GET, &one, "").await, shown.clone());

    let manifest = table.house.push(ada, "group/app", "v2").await;
    table.house.carry(Outcome::Impossible).await;
    let mut history = deploy;
    for key in ["name", "trigger_type", "trigger_mode", "enable"] {
        history.as_object_mut().unwrap().remove(key);
    }
    for (key, value) in [
        ("created_at", NOW),
        ("creator_name", "ada"),
        ("tag", "v2"),
        ("result", "failed"),
        ("detail", "nobody will be there"),
    ] {
        history[key] = value.into();
    }
    shown["trigger_history"] = json!([history]);
    shows(&table.ask("ShowTrigger", Method::GET, &one, "").await, shown);
    let deliveries = format!("{one}/deliveries");
    let listed = table.ask("ListTriggerDeliveries", Method::GET, &deliveries, "").await;
    let delivery = json!({
        "tag": "v2", "digest": digest(&manifest), "created_at": NOW, "state": "dead", "attempts": 1,
        "tried_at": NOW, "detail": "nobody will be there",
    });
    let mut delivery = filled(delivery, &listed.json()[0], &["id"]);
    shows(&listed, json!([delivery]));
    let replay = format!("{deliveries}/{}/replay", delivery["id"].as_str().unwrap());
    done(&table.ask("ReplayTriggerDelivery", Method::POST, &replay, "").await, 202);
    delivery["state"] = "waiting".into();
    delivery["due_at"] = NOW.into();
    shows(&table.ask("ListTriggerDeliveries", Method::GET, &deliveries, "").await, json!([delivery]));
    done(&table.ask("DeleteTrigger", Method::DELETE, &one, "").await, 204);
    shows(&table.ask("ListTriggersDetails", Method::GET, &triggers, "").await, json!([]));

    // Copies in other regions.
    let regions = json!([{ "regionID": REGION }]);
    shows(&table.ask("ListSyncRegions", Method::GET, "/v2/manage/regions", "").await, regions);
    let sync = format!("{APP}/sync_repo");
    let there = json!({ "remoteRegionId": REGION, "remoteNamespace": "there" });
    let mut body = there.clone();
    body["syncAuto"] = true.into();
    done(&table.ask("CreateImageSyncRepo", Method::POST, &sync, body).await, 200);
    let rule = json!({
        "namespace": "group", "repoName": "app", "remoteRegionId": REGION, "remoteNamespace": "there",
        "syncAuto": true, "override": false, "domainID": ada.account.id.as_str(), "domainName": "acme",
        "createdAt": NOW, "updatedAt": NOW,
    });
    let listed = table.ask("ListImageAutoSyncReposDetails", Method::GET, &sync, "").await;
    let rule = filled(rule, &listed.json()[0], &["id"]);
    assert!(rule["id"].is_i64());
    shows(&listed, json!([rule]));
    let mut body = there.clone();
    body["imageTag"] = json!(["v2", "absent", "v1"]);
    body["override"] = true.into();
    let images = format!("{APP}/sync_images");
    let copied = table.ask("CreateManualImageSyncRepo", Method::POST, &images, body).await;
    shows(&copied, json!(["absent"]));
    let jobs = format!("{APP}/sync_job?filter=limit%3A%3A1%7Coffset%3A%3A0%7Corder%3A%3Aasc");
    let jobs = table.ask("ShowSyncJob", Method::GET, &jobs, "").await;
    assert_eq!(jobs.header("content-range"), "0-1/2");
    let job = json!({
        "namespace": "group", "repoName": "app", "tag": "v1", "remoteRegionId": REGION,
        "remoteNamespace": "there", "override": true, "status": "waiting", "syncOperatorId": ada.id(),
        "syncOperatorName": "ada", "domainID": ada.account.id.as_str(), "domainName": "acme",
        "createdAt": NOW, "updatedAt": NOW,
    });
    shows(&jobs, json!([filled(job, &jobs.json()[0], &["id"])]));
    let newest = format!("{APP}/sync_job?filter=limit%3A%3A1%7Coffset%3A%3A0");
    let newest = table.ask("ShowSyncJob", Method::GET, &newest, "").await;
    assert_eq!(newest.json()[0]["tag"], "v2");
    done(&table.ask("DeleteImageSyncRepo", Method::DELETE, &sync, there).await, 200);
    shows(&table.ask("ListImageAutoSyncReposDetails", Method::GET, &sync, "").await, json!([]));
    for tag in ["v2", "old2"] {
        done(&table.ask("DeleteRepoTag", Method::DELETE, &format!("{tags}/{tag}"), "").await, 204);
    }

    // Logins.
    for (operation, address, expires) in [
        ("CreateSecret", "/v2/manage/utils/secret", "2026-01-02T00:00:00.000000Z"),
        (
            "CreateSecret",
            "/v2/manage/utils/secret?projectname=cn-test1&duration_seconds=900",
            "2026-01-01T00:15:00.000000Z",
        ),
        ("CreateAuthorizationToken", "/v2/manage/utils/authorizationtoken", "2026-01-02T00:00:00.000000Z"),
    ] {
        let answer = table.ask(operation, Method::POST, address, "").await.is(200);
        assert_eq!(answer.header("x-swr-expireat"), expires, "{address}");
        let command: Vec<&str> = answer.header("x-swr-dockerlogin").split(' ').collect();
        let ["docker", "login", "-u", user, "-p", password, HOST] = command[..] else {
            panic!("{command:?}");
        };
        assert!(user.starts_with(&format!("{PROJECT}@")), "{user}");
        let auth = data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes());
        shows(&answer, json!({ "auths": { HOST: { "auth": auth } } }));
    }

    // The account.
    let project = ada.account.project.as_str();
    let address = format!("/v2/manage/projects/{project}/quotas");
    let quota = json!({ "quota_key": "namespace", "quota_limit": 5, "used": 1, "unit": "" });
    shows(&table.ask("ListQuotas", Method::GET, &address, "").await, json!({ "quotas": [quota] }));
    // A client that was not told its project leaves the name of the place.
    let address = "/v2/manage/projects/%7Bproject_id%7D/feature-gates";
    let gates = json!({
        "enable_experience": false, "enable_hss_service": false, "enable_image_scan": false,
        "enable_sm3": false, "enable_image_sync": true, "enable_cci_service": false,
        "enable_image_label": false, "enable_pipeline": false, "enable_authorization_token": true,
        "enable_resource": false, "enable_list_v3": true, "enable_image_quota": false,
    });
    shows(&table.ask("ShowShareFeatureGates", Method::GET, address, "").await, gates);
    let overview = json!({
        "domain_id": ada.account.id.as_str(), "domain_name": "acme", "namspace_num": 1, "repo_num": 1,
        "image_num": 1, "store_space": 0.0, "downflow_size": 0.0,
    });
    shows(&table.ask("ShowDomainOverview", Method::GET, "/v2/manage/overview", "").await, overview);
    table.house.plane.note_usage().await.unwrap();
    for (address, entries, oldest) in [
        ("store/daily", 30, "2025-12-03"),
        ("store/monthly", 12, "2025-02-01"),
        ("downflow/daily", 30, "2025-12-03"),
    ] {
        let address = format!("/v2/manage/reports/{address}");
        let report = table.ask("ShowDomainResourceReports", Method::GET, &address, "").await.is(200).json();
        let report = report.as_array().unwrap();
        assert_eq!(
            (report.len(), &report[0]),
            (entries, &json!({ "date": oldest, "value": 0 })),
            "{address}"
        );
        let stored = if address.contains("store") { entry["size"].clone() } else { json!(0) };
        assert_eq!(report[entries - 1], json!({ "date": "2026-01-01", "value": stored }), "{address}");
    }
    for is_agency in [false, true] {
        let agency = json!({ "domain_id": ada.account.id.as_str(), "is_agency": is_agency });
        shows(&table.ask("CheckAgency", Method::GET, "/v2/manage/agency", "").await, agency);
        if !is_agency {
            done(&table.ask("CreateAgency", Method::POST, "/v2/manage/agency", "").await, 204);
        }
    }

    // Accounts, users and keys.
    let olga = &table.house.olga;
    let by_olga = async |operation: &str, method: Method, address: &str, body: Value| {
        let body = if body.is_null() { Bytes::new() } else { body.into_body() };
        table.ask_as(olga, operation, method, address, body).await
    };
    let made =
        by_olga("CreateAccount", Method::POST, "/admin/v1/accounts", json!({ "name": "initech" })).await;
    let initech =
        filled(json!({ "name": "initech", "created_at": NOW }), &made.json(), &["id", "project_id"]);
    assert_eq!((made.status.as_u16(), made.json()), (201, initech.clone()));
    let account = "/admin/v1/accounts/initech";
    shows(&by_olga("ShowAccount", Method::GET, account, Value::Null).await, initech.clone());
    let listed = by_olga("ListAccounts", Method::GET, "/admin/v1/accounts?marker=globex", Value::Null).await;
    shows(&listed, json!({ "accounts": [initech] }));

    let users = format!("{account}/users");
    let made = by_olga("CreateUser", Method::POST, &users, json!({ "name": "pete" })).await;
    let mut pete = json!({ "name": "pete", "role": "member", "has_password": false, "created_at": NOW });
    pete = filled(pete, &made.json(), &["id"]);
    assert_eq!((made.status.as_u16(), made.json()), (201, pete.clone()));
    shows(&by_olga("ListUsers", Method::GET, &users, Value::Null).await, json!({ "users": [pete] }));
    let user = format!("{users}/pete");
    let role = json!({ "role": "administrator" });
    done(&by_olga("UpdateUserRole", Method::PUT, &format!("{user}/role"), role).await, 204);
    let password = json!({ "password": "long enough" });
    done(&by_olga("UpdateUserPassword", Method::PUT, &format!("{user}/password"), password).await, 204);
    pete["role"] = json!("administrator");
    pete["has_password"] = json!(true);
    shows(&by_olga("ShowUser", Method::GET, &user, Value::Null).await, pete);

    let keys = format!("{user}/access-keys");
    let made = by_olga("CreateAccessKey", Method::POST, &keys, json!({ "description": "ci" })).await.is(201);
    let id = made.json()["access_key_id"].as_str().unwrap().to_owned();
    let key = json!({ "access_key_id": id, "description": "ci", "created_at": NOW });
    assert_eq!(filled(key.clone(), &made.json(), &["secret_access_key", "login"]), made.json());
    let login = format!("docker login -u {PROJECT}@{id} -p ");
    assert!(made.json()["login"].as_str().unwrap().starts_with(&login));
    shows(&by_olga("ListAccessKeys", Method::GET, &keys, Value::Null).await, json!({ "access_keys": [key] }));
    done(&by_olga("DeleteAccessKey", Method::DELETE, &format!("{keys}/{id}"), Value::Null).await, 204);
    done(&by_olga("DeleteUser", Method::DELETE, &user, Value::Null).await, 204);

    let made = by_olga("CreateTokenKey", Method::POST, "/admin/v1/token-keys", Value::Null).await.is(201);
    let key = filled(json!({ "created_at": NOW, "signs": true }), &made.json(), &["id"]);
    assert_eq!(made.json(), key);
    let listed = by_olga("ListTokenKeys", Method::GET, "/admin/v1/token-keys", Value::Null).await;
    shows(&listed, json!({ "token_keys": [key] }));
    let key = format!("/admin/v1/token-keys/{}", key["id"].as_str().unwrap());
    done(&by_olga("DeleteTokenKey", Method::DELETE, &key, Value::Null).await, 204);

    // The trail has a table of its own.
    let traces = format!("/v3/{project}/traces?trace_type=system&limit=1");
    let traces = table.ask("ListTraces", Method::GET, &traces, "").await.is(200).json();
    assert_eq!(traces["meta_data"]["count"], 1);

    // Packages have a table of their own.
    let archive = bytes::Bytes::from(package(&["app:v7"], "a layer"));
    let packages = format!("{GROUP}/packages");
    let taken = table.ask("UploadImagePackage", Method::POST, &packages, archive).await.is(200).json();
    assert_eq!(taken["files"][0]["images"][0]["tag"], "v7");
    let given = format!("{APP}/tags/v7/package");
    let given = table.ask("DownloadImagePackage", Method::GET, &given, "").await.is(200);
    assert_eq!(given.header("content-type"), "application/x-tar");

    // And away with it all.
    let not_empty = table.ask("DeleteNamespaces", Method::DELETE, GROUP, "").await.is(406);
    assert_eq!(not_empty.number(), "4060074");
    done(&table.ask("DeleteRepo", Method::DELETE, APP, "").await, 204);
    done(&table.ask("DeleteNamespaces", Method::DELETE, GROUP, "").await, 204);

    // A route without a row here fails.
    let document = table.ask("ShowDocument", Method::GET, "/v2/manage/openapi.json", "").await.json();
    let mut described = BTreeSet::new();
    for path in document["paths"].as_object().unwrap().values() {
        for (method, operation) in path.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            described.insert((name, method.to_ascii_uppercase()));
        }
    }
    assert_eq!(*table.asked.lock().unwrap(), described);
}

#[tokio::test]
async fn a_repository_in_folders_is_addressed_as_clients_write_it() {
    let house = House::new().await;
    house.ada(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group" })).await.is(201);
    let body = json!({ "repository": "lib/app", "is_public": true });
    house.ada(Method::POST, &format!("{GROUP}/repos"), body).await.is(200);
    for written in ["lib$app", "lib%24app", "lib%2Fapp"] {
        let shown = house.ada(Method::GET, &format!("{GROUP}/repos/{written}"), "").await.is(200).json();
        assert_eq!(shown["name"], "lib/app", "{written}");
        assert_eq!(shown["path"], "registry.example/group/lib/app", "{written}");
    }
    let listed = house.ada(Method::GET, "/v2/manage/repos?name=lib%24a", "").await.json();
    assert_eq!(listed[0]["name"], "lib/app");
    house.ada(Method::DELETE, &format!("{GROUP}/repos/lib%24app"), "").await.is(204);
}

#[tokio::test]
async fn clients_that_decode_by_their_own_lights_are_not_misled() {
    let house = House::furnished().await;
    // Whatever is a list has no object around it, and whatever is a boolean is one.
    let listed = house.ada(Method::GET, "/v2/manage/repos", "").await.json();
    assert!(listed.is_array() && listed[0]["is_public"].is_boolean() && listed[0]["status"].is_boolean());
    let listed = house.ada(Method::GET, &format!("{APP}/tags"), "").await.json();
    assert!(listed.is_array() && listed[0]["is_trusted"].is_boolean() && listed[0]["scanned"].is_boolean());
    assert!(listed[0]["Tag"].is_string() && listed[0].get("tag").is_none());
    let gates = "/v2/manage/projects/%7Bproject_id%7D/feature-gates";
    let gates = house.ada(Method::GET, gates, "").await.json();
    assert!(gates.as_object().unwrap().values().all(Value::is_boolean));
    // An error has its code where every client looks, and a throttle is no 429.
    let error = house.ada(Method::GET, "/v2/manage/namespaces/nothing", "").await.is(404).json();
    assert_eq!(error["error_code"], error["errors"][0]["errorCode"]);
    assert_eq!(error["error_code"], error["details"][0]["error_code"]);
    assert_eq!(error["error_msg"], error["errors"][0]["errorMessage"]);
    // Clients say `application/json` with an empty body as well.
    house.ada(Method::POST, "/v2/manage/agency", "").await.is(204);
    // An index has the kind of its own.
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest(&image("v1")),
            "size": serde_json::to_vec(&image("v1")).unwrap().len(),
        }],
    });
    house.push_manifest(&house.ada, "group/app", "all", &index).await.is(201);
    let shown = house.ada(Method::GET, &format!("{APP}/tags/all"), "").await.json();
    assert_eq!((&shown["tag_type"], &shown["image_id"]), (&json!(1), &json!("")));
}

#[tokio::test]
async fn the_document_is_for_everybody() {
    let house = House::new().await;
    let request = http::Request::get("/v2/manage/openapi.json")
        .body(http_body_util::Full::<bytes::Bytes>::default())
        .unwrap();
    let document = send(&house.management, request).await.is(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["components"]["securitySchemes"]["token"]["name"], "X-Auth-Token");
}
