//! Lists: page by page, in order, narrowed, by each of the families.

use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};

use crate::house::{House, attachment, descriptor, image};

const GROUP: &str = "/v2/manage/namespaces/group";
const APP: &str = "/v2/manage/namespaces/group/repos/app";

/// Two organisations of ada's; repositories a minute apart, `r3` public, `r2` with two versions.
async fn library() -> House {
    let house = House::new().await;
    for (organisation, repository) in [("group", "r3"), ("group", "r1"), ("tools", "r2")] {
        let namespaces = "/v2/manage/namespaces";
        let created = house.ada(Method::POST, namespaces, json!({ "namespace": organisation })).await;
        assert!(created.status == 201 || created.status == 409);
        let body = json!({ "repository": repository, "is_public": repository == "r3", "category": "linux" });
        house.ada(Method::POST, &format!("{namespaces}/{organisation}/repos"), body).await.is(200);
        house.clock.advance(TimeDelta::minutes(1));
    }
    house.push(&house.ada, "tools/r2", "v1").await;
    house.push(&house.ada, "tools/r2", "v2").await;
    house
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_with_places_says_where_it_stands() {
    let house = library().await;
    for (query, expected, range) in [
        ("", vec!["r1", "r3", "r2"], "0-3/3"),
        ("?limit=2", vec!["r1", "r3"], "0-2/3"),
        ("?limit=2&offset=2", vec!["r2"], "2-1/3"),
        ("?offset=3", vec![], "3-0/3"),
        ("?offset=18446744073709551615", vec![], "18446744073709551615-0/3"),
        ("?limit=1000", vec!["r1", "r3", "r2"], "0-3/3"),
        ("?filter=limit%3A%3A1%7Coffset%3A%3A1&limit=2&offset=0", vec!["r3"], "1-1/3"),
        ("?namespace=ool", vec!["r2"], "0-1/1"),
        ("?name=3", vec!["r3"], "0-1/1"),
        ("?name=R3", vec![], "0-0/0"),
        ("?name=%25", vec![], "0-0/0"),
        ("?name=_", vec![], "0-0/0"),
        ("?name=r%27%20OR%201%3D1", vec![], "0-0/0"),
        ("?is_public=true", vec!["r3"], "0-1/1"),
        ("?is_public=false", vec!["r1", "r2"], "0-2/2"),
        ("?category=linux&namespace=group", vec!["r1", "r3"], "0-2/2"),
        ("?category=lang", vec![], "0-0/0"),
        ("?filter=namespace%3A%3Agroup&name=r2&category=lang", vec!["r1", "r3"], "0-2/2"),
        ("?order_column=updated_at&order_type=asc", vec!["r3", "r1", "r2"], "0-3/3"),
        ("?order_column=updated_time&order_type=desc", vec!["r2", "r1", "r3"], "0-3/3"),
        ("?order_column=tag_count&order_type=desc&limit=1&offset=0", vec!["r2"], "0-1/3"),
        ("?order_column=is_public&order_type=desc&limit=1", vec!["r3"], "0-1/3"),
        ("?order_column=name&order_type=desc", vec!["r2", "r3", "r1"], "0-3/3"),
    ] {
        let answer = house.ada(Method::GET, &format!("/v2/manage/repos{query}"), "").await.is(200);
        assert_eq!(answer.header("content-range"), range, "{query}");
        let list = answer.json();
        assert_eq!(names(&list), expected, "{query}");
        let total: u64 = range.rsplit('/').next().unwrap().parse().unwrap();
        assert!(list.as_array().unwrap().iter().all(|entry| entry["total_range"] == total), "{query}");
    }
}

#[tokio::test]
async fn a_list_with_markers_leads_from_page_to_page_to_its_end() {
    let house = library().await;
    let mut seen = Vec::new();
    let mut address = "/v3/manage/repos?limit=2".to_owned();
    loop {
        let page = house.ada(Method::GET, &address, "").await.is(200).json();
        seen.extend(names(&page["repos"]).into_iter().map(str::to_owned));
        let Some(marker) = page.get("nextMarker") else { break };
        assert_eq!(page["repos"][1]["id"], *marker);
        address = format!("/v3/manage/repos?limit=2&marker={marker}");
    }
    // In the order in which they came to be.
    assert_eq!(seen, ["r3", "r1", "r2"]);
    let narrowed = house.ada(Method::GET, "/v3/manage/repos?is_public=true&name=r", "").await.json();
    assert_eq!(names(&narrowed["repos"]), ["r3"]);
    let beyond = house.ada(Method::GET, "/v3/manage/repos?marker=9223372036854775807", "").await.json();
    assert_eq!(beyond, json!({ "repos": [] }));
}

#[tokio::test]
async fn versions_are_listed_in_either_order_and_with_either_marker() {
    let house = House::furnished().await;
    for tag in ["v10", "a1", "v3"] {
        house.clock.advance(TimeDelta::minutes(1));
        let body = json!({ "source_tag": "v1", "destination_tag": tag });
        house.ada(Method::POST, &format!("{APP}/tags"), body).await.is(201);
    }
    let tags = |list: &Value| -> Vec<String> {
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| entry.get("Tag").unwrap_or(&entry["tag"]).as_str().unwrap().to_owned()).collect()
    };
    for (query, expected, range) in [
        ("", vec!["a1", "v1", "v10", "v2", "v3"], "0-5/5"),
        ("?tag=1", vec!["a1", "v1", "v10"], "0-3/3"),
        ("?filter=tag%3A%3Av1%7Climit%3A%3A1&limit=10", vec!["v1"], "0-1/2"),
        ("?order_column=tag&order_type=desc&limit=2&offset=1", vec!["v2", "v10"], "1-2/5"),
        ("?order_column=updated_at&order_type=desc", vec!["v3", "a1", "v10", "v2", "v1"], "0-5/5"),
    ] {
        let answer = house.ada(Method::GET, &format!("{APP}/tags{query}"), "").await.is(200);
        assert_eq!(answer.header("content-range"), range, "{query}");
        assert_eq!(tags(&answer.json()), expected, "{query}");
    }
    for (order, expected) in [
        ("", ["a1", "v1", "v10", "v2", "v3"]),
        ("&order_column=tag&order_type=desc", ["v3", "v2", "v10", "v1", "a1"]),
        ("&order_column=updated_at&order_type=desc", ["v3", "a1", "v10", "v2", "v1"]),
    ] {
        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let address = format!("/v3/manage/namespaces/group/repos/app/tags?limit=2{order}{marker}");
            let page = house.ada(Method::GET, &address, "").await.is(200).json();
            seen.extend(tags(&page["tags"]));
            let Some(next) = page.get("nextMarker") else {
                assert_eq!(page["has_more"], false);
                break;
            };
            assert_eq!(page["has_more"], true);
            marker = format!("&marker={}", next.as_str().unwrap());
        }
        assert_eq!(seen, expected, "{order}");
    }
}

#[tokio::test]
async fn a_list_of_versions_is_longer_than_one_look_and_does_not_drown_in_manifests() {
    let house = House::furnished().await;
    // Three manifests of about 3 MB, and many small ones.
    for large in 0..3 {
        let mut manifest = image(&format!("large{large}"));
        manifest["annotations"]["padding"] = "x".repeat(3_000_000).into();
        house.push_manifest(&house.ada, "group/app", &format!("large{large}"), &manifest).await.is(201);
    }
    for tag in 0..60 {
        let body = json!({ "source_tag": "v1", "destination_tag": format!("small{tag:02}") });
        house.ada(Method::POST, &format!("{APP}/tags"), body).await.is(201);
    }
    let answer = house.ada(Method::GET, &format!("{APP}/tags?limit=1000&offset=0"), "").await.is(200);
    assert_eq!(answer.header("content-range"), "0-65/65");
    let list = answer.json();
    let list = list.as_array().unwrap();
    assert!(list[0]["manifest"].is_string() && list[1]["manifest"].is_string());
    assert!(list[2].get("manifest").is_none() && list[2]["Tag"] == "large2");
    assert!(answer.body.len() < 10 << 20);
    let tags: Vec<&str> = list.iter().map(|entry| entry["Tag"].as_str().unwrap()).collect();
    assert!(tags.is_sorted() && tags.len() == 65);
}

#[tokio::test]
async fn attachments_are_found_by_their_subject_and_by_their_tag() {
    let house = House::furnished().await;
    let target = image("v1");
    for (tag, artifact_type) in [
        ("notation", "application/vnd.cncf.notary.signature"),
        ("sbom", "application/spdx+json"),
        ("cosign", "application/vnd.dev.cosign.artifact.sig.v1+json"),
    ] {
        let attached = attachment(&target, artifact_type);
        house.push_manifest(&house.ada, "group/app", tag, &attached).await.is(201);
    }
    let hex = crate::house::digest(&target).replace("sha256:", "");
    let mut old = image("old signature");
    old["layers"] = json!([descriptor("application/vnd.dev.cosign.simplesigning.v1+json", b"{}")]);
    house.push_manifest(&house.ada, "group/app", &format!("sha256-{hex}.sig"), &old).await.is(201);

    let address = format!("{APP}/v1/accessories");
    let all = house.ada(Method::GET, &address, "").await.is(200).json();
    assert_eq!(all["total"], 4);
    let mut kinds: Vec<&str> =
        all["accessories"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    let expected = ["application/spdx+json", "signature.cosign", "signature.cosign", "signature.notation"];
    assert_eq!(kinds, expected);
    let mut paged = Vec::new();
    for offset in 0..5 {
        let page = house.ada(Method::GET, &format!("{address}?limit=1&offset={offset}"), "").await.json();
        assert_eq!(page["total"], 4);
        paged.extend(page["accessories"].as_array().unwrap().iter().cloned());
    }
    assert_eq!(json!(paged), all["accessories"]);

    for tag in ["notation", &*format!("sha256-{hex}.sig")] {
        let signed = house.ada(Method::GET, &format!("{APP}/{tag}/references"), "").await.is(200).json();
        assert_eq!(signed, json!({ "has_more": false, "tags": ["v1"] }), "{tag}");
    }
    let nothing = house.ada(Method::GET, &format!("{APP}/v2/references"), "").await.json();
    assert_eq!(nothing, json!({ "has_more": false, "tags": [] }));
    let unknown = house.ada(Method::GET, &format!("{APP}/v9/references"), "").await.is(404);
    assert_eq!(unknown.number(), "4040115");
}

#[tokio::test]
async fn a_share_that_has_ended_is_shown_as_such() {
    let house = House::furnished().await;
    let domains = format!("{GROUP}/repositories/app/access-domains");
    let share = json!({ "access_domain": "globex", "permit": "read", "deadline": "2026-01-03T12:00:00Z" });
    house.ada(Method::POST, &domains, share).await.is(201);
    let theirs = |status: &str| {
        [
            format!("/v2/manage/shared-repositories?center=thirdparty{status}"),
            format!("/v3/manage/shared-repositories?shared_by=thirdparty{status}"),
        ]
    };
    let list = |answer: Value| answer.get("repos").unwrap_or(&answer).clone();
    for address in theirs("") {
        let listed = list(house.eve(Method::GET, &address, "").await.is(200).json());
        assert_eq!((names(&listed), &listed[0]["status"]), (vec!["app"], &json!(true)), "{address}");
    }
    let shown = house.eve(Method::GET, APP, "").await.is(200).json();
    assert_eq!(shown["num_images"], 2);
    house.eve(Method::GET, &format!("{APP}/tags"), "").await.is(200);
    house.eve(Method::DELETE, &format!("{APP}/tags/v1"), "").await.is(403);

    house.clock.set(chrono::DateTime::parse_from_rfc3339("2026-01-04T00:00:00Z").unwrap().to_utc());
    for address in theirs("") {
        let listed = list(house.eve(Method::GET, &address, "").await.is(200).json());
        assert_eq!((names(&listed), &listed[0]["status"]), (vec!["app"], &json!(false)), "{address}");
    }
    for (status, expected) in [("&status=false", vec!["app"]), ("&status=true", vec![])] {
        for address in theirs(status) {
            let listed = list(house.eve(Method::GET, &address, "").await.is(200).json());
            assert_eq!(names(&listed), expected, "{address}");
        }
    }
    let ended = house.ada(Method::GET, &format!("{domains}/globex"), "").await.json();
    assert_eq!((&ended["exist"], &ended["status"]), (&json!(true), &json!(false)));
    house.eve(Method::GET, APP, "").await.is(404);
}
