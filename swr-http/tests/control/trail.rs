//! What operations leave behind, and how it is asked for.

use bytes::Bytes;
use chrono::TimeDelta;
use http::header::HeaderValue;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use swr_http::control::ManagementOptions;
use swr_http::{PeerAddress, RequestId};

use crate::house::{Answer, House, PROJECT, send};

const GROUP: &str = "/v2/manage/namespaces/group";
const APP: &str = "/v2/manage/namespaces/group/repos/app";

async fn traces(house: &House, query: &str) -> Answer {
    let project = house.ada.account.project.as_str();
    house.ada(Method::GET, &format!("/v3/{project}/traces?trace_type=system{query}"), "").await
}

async fn named(house: &House, query: &str) -> Vec<(String, String, String)> {
    let listed = traces(house, &format!("&limit=200{query}")).await.is(200).json();
    let text = |trace: &Value, key: &str| trace[key].as_str().unwrap().to_owned();
    let traces = listed["traces"].as_array().unwrap().iter();
    traces.map(|it| (text(it, "trace_name"), text(it, "resource_name"), text(it, "code"))).collect()
}

#[tokio::test]
async fn a_trace_tells_who_did_what_from_where_and_how_it_ended() {
    let house = House::with(|options| ManagementOptions {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..options
    })
    .await;
    let body = Bytes::from_static(b"{\"namespace\":\"group\"}");
    let mut request = house.signed(&house.ada, Method::POST, "/v2/manage/namespaces", body);
    request.extensions_mut().insert(RequestId("the-id".into()));
    request.extensions_mut().insert(PeerAddress(([10, 0, 0, 1], 443).into()));
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
    send(&house.management, request).await.is(201);

    let listed = traces(&house, "&trace_name=createUserNamespace").await.is(200).json();
    assert_eq!(listed["meta_data"], json!({ "count": 1, "marker": null }));
    let trace = &listed["traces"][0];
    let account = house.ada.account.id.as_str();
    let change = json!({ "change": "create_organisation", "value": {
        "name": "group", "account": account, "creator": house.ada.id(),
    } });
    let request: Value = serde_json::from_str(trace["request"].as_str().unwrap()).unwrap();
    assert_eq!(request, change);
    let expected = json!({
        "trace_id": trace["trace_id"], "trace_name": "createUserNamespace", "trace_rating": "normal",
        "trace_type": "ApiCall", "event_type": "system", "service_type": "SWR", "tracker_name": "system",
        "project_id": house.ada.account.project.as_str(), "resource_type": "usernamespace",
        "resource_name": "group", "resource_id": "group", "resource_account_id": account, "code": "201",
        "request": trace["request"], "response": "", "time": 1_767_225_600_000_i64,
        "record_time": 1_767_225_600_000_i64,
        "user": {
            "id": house.ada.id(), "name": "ada", "user_name": "ada", "account_id": account,
            "domain": { "id": account, "name": "acme" },
        },
        "source_ip": "192.0.2.7", "request_id": "the-id", "api_version": "v2",
        "message": "createUserNamespacegroup, Method: POST Url:/v2/manage/namespaces, Reason:",
        "read_only": false,
    });
    assert_eq!(*trace, expected);
    assert_eq!(trace["trace_id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn what_is_refused_leaves_a_trace_and_what_only_asks_leaves_none() {
    let house = House::furnished().await;
    house.clock.advance(TimeDelta::hours(2));
    let bob = json!([house.bob.auth(1)]);
    house.ada(Method::POST, &format!("{GROUP}/access"), bob).await.is(200);
    let before = named(&house, "").await.len();
    assert_eq!(before, 1);

    let new = json!({ "namespace": "mine" });
    house.bob(Method::POST, "/v2/manage/namespaces", new).await.is(403);
    house.bob(Method::DELETE, GROUP, "").await.is(403);
    house.bob(Method::PATCH, APP, json!({ "is_public": true })).await.is(403);
    house
        .bob(Method::POST, &format!("{GROUP}/repos"), json!({ "repository": "x", "is_public": true }))
        .await
        .is(403);
    house
        .bob(Method::POST, &format!("{APP}/tags"), json!({ "source_tag": "v1", "destination_tag": "v9" }))
        .await
        .is(403);
    house.bob(Method::DELETE, &format!("{APP}/tags/v1"), "").await.is(403);
    house.bob(Method::POST, &format!("{APP}/access"), json!([house.cyd.auth(1)])).await.is(403);
    house.bob(Method::POST, &format!("{GROUP}/repositories/app/access-domains"), "{").await.is(400);
    house
        .ada(Method::POST, &format!("{GROUP}/repos"), json!({ "repository": "app", "is_public": true }))
        .await
        .is(409);
    house.bob(Method::POST, "/v2/manage/utils/secret?projectname=x", "").await.is(400);
    // Reads, addresses that are none, and strangers.
    house.bob(Method::GET, "/v2/manage/namespaces/other", "").await.is(404);
    house.bob(Method::GET, "/v2/manage/repos?limit=0", "").await.is(400);
    house.bob(Method::DELETE, "/v2/manage/nothing", "").await.is(404);
    let stranger = Request::delete(GROUP).body(Full::default()).unwrap();
    send(&house.management, stranger).await.is(401);
    // The registry's own protocol.
    let pushed = house.content(&house.bob, Method::DELETE, "/v2/group/app/manifests/v1", "", b"").await;
    assert_eq!(pushed.status, 403);
    house.content(&house.bob, Method::GET, "/v2/group/app/manifests/v9", "", b"").await.is(404);

    assert_eq!(named(&house, "").await.len(), before, "nothing is written before it is asked for");
    assert_eq!(house.management.refusals().record().await.unwrap(), 11);
    assert_eq!(house.management.refusals().record().await.unwrap(), 0);
    assert_eq!(house.management.refusals().lost(), 0);

    let text = |name: &str, resource: &str, code: &str| (name.into(), resource.into(), code.into());
    let refused = named(&house, "&trace_rating=warning").await;
    let expected: Vec<(String, String, String)> = vec![
        text("deleteImageTag", "group/app:v1", "403"),
        text("createDockerConfig", "", "400"),
        text("createImageRepository", "group/app", "409"),
        text("createImageRepositoryAccessDomain", "group/app", "400"),
        text("createUserRepositoryAuth", "group/app", "403"),
        text("deleteImageTag", "group/app:v1", "403"),
        text("createVersion", "group/app:v9", "403"),
        text("createImageRepository", "group/x", "403"),
        text("updateImageRepository", "group/app", "403"),
        text("deleteUserNamespace", "group", "403"),
        text("createUserNamespace", "mine", "403"),
    ];
    assert_eq!(refused, expected);
    let of_content = traces(&house, "&trace_rating=warning&limit=1").await.json();
    let trace = &of_content["traces"][0];
    assert_eq!(trace["user"]["name"], "bob");
    assert_eq!(trace["response"], "you do not have the permission");
    let message = "deleteImageTaggroup/app:v1, Method: DELETE Url:/v2/group/app/manifests/v1, \
                   Reason:you do not have the permission";
    assert_eq!(trace["message"], message);
    let created = traces(&house, "&trace_rating=warning&trace_name=createUserNamespace").await.json();
    assert_eq!(created["traces"][0]["request"], "{\"namespace\":\"mine\"}");
}

#[tokio::test]
async fn the_trail_is_read_newest_first_and_page_by_page() {
    let house = House::furnished().await;
    for tag in ["a", "b", "c"] {
        house.clock.advance(TimeDelta::minutes(1));
        let body = json!({ "source_tag": "v1", "destination_tag": tag });
        house.ada(Method::POST, &format!("{APP}/tags"), body).await.is(201);
    }
    let created = "&trace_name=createVersion&resource_type=version";
    let text = |name: &str, resource: &str| (name.to_owned(), resource.to_owned(), "201".to_owned());
    let all = named(&house, created).await;
    let expected = ["c", "b", "a", "v2", "v1"].map(|tag| text("createVersion", &format!("group/app:{tag}")));
    assert_eq!(all, expected);

    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let page = traces(&house, &format!("{created}&limit=2{next}")).await.is(200).json();
        let entries = page["traces"].as_array().unwrap();
        assert_eq!(page["meta_data"]["count"], entries.len());
        seen.extend(entries.iter().map(|it| it["resource_name"].as_str().unwrap().to_owned()));
        let Some(marker) = page["meta_data"]["marker"].as_str() else { break };
        assert_eq!(entries.last().unwrap()["trace_id"], marker);
        next = format!("&next={marker}");
    }
    assert_eq!(seen, expected.map(|(_, resource, _)| resource));

    // By time: after the first bound, and at the second or before it.
    let at = |minutes: i64| 1_767_225_600_000 + minutes * 60_000;
    for (from, to, count) in [(1, 3, 2), (0, 3, 3), (-1, 0, 2), (3, 9, 0)] {
        let query = format!("{created}&from={}&to={}", at(from).max(0), at(to));
        assert_eq!(named(&house, &query).await.len(), count, "{query}");
    }
    house.clock.advance(TimeDelta::hours(2));
    assert_eq!(named(&house, "").await, [], "the last hour, when nothing is said");

    let week = format!("&from={}&to={}", at(-1), at(1000));
    let one = traces(&house, &format!("{week}&resource_name=group%2Fapp%3Aa")).await.json();
    let id = one["traces"][0]["trace_id"].as_str().unwrap();
    let found = traces(&house, &format!("&trace_id={id}&trace_name=createUserNamespace")).await.json();
    assert_eq!(found["traces"], one["traces"]);
    for (query, count) in [
        ("&user=ada", 8),
        ("&user=bob", 0),
        ("&resource_id=group", 1),
        ("&resource_type=imagerepository", 1),
        ("&trace_rating=normal&user=ada", 8),
        ("&trace_rating=incident", 0),
        ("&service_type=SWR&tracker_name=system&user=ada", 8),
        ("&service_type=OBS", 0),
    ] {
        assert_eq!(named(&house, &format!("{week}{query}")).await.len(), count, "{query}");
    }
    // Others see their own alone.
    let address = format!("/v3/{}/traces?trace_type=system{week}&limit=200", house.bob.account.project);
    let own = house.bob(Method::GET, &address, "").await.is(200).json();
    assert_eq!(own["traces"], json!([]));
}

#[tokio::test]
async fn no_secret_is_in_the_trail() {
    let house = House::new().await;
    let made = house.ada(Method::POST, "/v2/manage/utils/secret", "").await.is(200);
    let command = made.header("x-swr-dockerlogin").to_owned();
    let password = command.split(' ').nth(5).unwrap();
    let listed = traces(&house, "&limit=200").await.is(200);
    let text = String::from_utf8(listed.body.to_vec()).unwrap();
    assert!(text.contains("createDockerConfig") && !text.contains(password), "{text}");
    let id = command.split(' ').nth(3).unwrap().strip_prefix(&format!("{PROJECT}@")).unwrap();
    let trace = &listed.json()["traces"][0];
    assert_eq!((&trace["trace_name"], &trace["resource_id"]), (&json!("createDockerConfig"), &json!(id)));
}
