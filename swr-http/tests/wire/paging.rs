//! Lists, page by page.

use serde_json::{Value, json};
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::media_type::MediaType;
use swr_core::registry::Limits;

use crate::door::{CONFIG, Door, Manifest, referrer, registry};

fn small_pages() -> Door {
    let limits = Limits { page_max: 3, ..Limits::default() };
    Door::to(registry(AnyoneMay).limits(limits).build(), AnonymousOnly)
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

/// The address in a `Link`, which is always to the next page.
fn next(link: &str) -> Option<String> {
    let (address, relation) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(relation, "; rel=\"next\"");
    assert!(address.starts_with("/v2/"), "{address}");
    Some(address.to_owned())
}

/// Every entry, by following the links; and how many pages there were.
async fn all(door: &Door, first: &str, list: &str) -> (Vec<Value>, usize) {
    let (mut entries, mut pages) = (Vec::new(), 0);
    let mut address = Some(first.to_owned());
    while let Some(page) = address {
        let answer = door.get(&page).await;
        assert_eq!(answer.status, 200, "{page}");
        entries.extend(answer.json()[list].as_array().unwrap().iter().cloned());
        pages += 1;
        address = next(answer.header("link"));
    }
    (entries, pages)
}

async fn with_tags(tags: &[&str]) -> Door {
    let door = small_pages();
    let manifest = Manifest::of(MediaType::OCI_INDEX, json!({ "manifests": [] }));
    for tag in tags {
        assert_eq!(door.push_manifest("a/b", tag, &manifest).await.status, 201);
    }
    door
}

#[tokio::test]
async fn tags_come_in_byte_order_from_where_the_client_says() {
    let door = with_tags(&["b", "B", "a", "10", "9", "_"]).await;
    for (query, expected, more) in [
        ("", vec!["10", "9", "B"], true),
        ("?n=2", vec!["10", "9"], true),
        ("?n=3", vec!["10", "9", "B"], true),
        ("?n=99999999999999999999", vec!["10", "9", "B"], true),
        ("?n=2&last=9", vec!["B", "_"], true),
        ("?last=_", vec!["a", "b"], false),
        ("?n=2&last=_", vec!["a", "b"], false),
        ("?n=1&last=a", vec!["b"], false),
        ("?last=AA", vec!["B", "_", "a"], true),
        ("?last=b", vec![], false),
        ("?last=zz", vec![], false),
        ("?n=0", vec![], false),
        ("?n=0&last=9", vec![], false),
        ("?n=2&last=", vec!["10", "9"], true),
    ] {
        let answer = door.get(&format!("/v2/a/b/tags/list{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, "application/json"),
            "{query}"
        );
        let list = answer.json();
        assert_eq!(list["name"], "a/b");
        assert_eq!(strings(&list["tags"]), expected, "{query}");
        assert_eq!(next(answer.header("link")).is_some(), more, "{query}");
    }
    for query in ["?n=-1", "?n=x", "?n=1&n=2", "?last=%00", "?last=-"] {
        assert_eq!(door.get(&format!("/v2/a/b/tags/list{query}")).await.status, 400, "{query}");
    }
    for address in ["/v2/nowhere/tags/list", "/v2/nowhere/tags/list?n=0"] {
        let answer = door.get(address).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (404, "NAME_UNKNOWN"));
    }
}

#[tokio::test]
async fn links_lead_through_all_tags_once() {
    let door = with_tags(&["b", "B", "a", "10", "9", "_", "x.y-z"]).await;
    for (query, pages) in [("", 3), ("?n=1", 7), ("?n=2", 4), ("?n=7", 3)] {
        let (tags, seen) = all(&door, &format!("/v2/a/b/tags/list{query}"), "tags").await;
        assert_eq!(tags, ["10", "9", "B", "_", "a", "b", "x.y-z"], "{query}");
        assert_eq!(seen, pages, "{query}");
    }
}

#[tokio::test]
async fn the_catalogue_is_paged_like_tags() {
    let door = small_pages();
    let manifest = Manifest::of(MediaType::OCI_INDEX, json!({ "manifests": [] }));
    let names = ["a", "a-b", "a/b", "a/b/c", "b"];
    for name in names.iter().rev() {
        door.push_manifest(name, "v1", &manifest).await;
    }
    // A repository of an unfinished push is none yet.
    door.push_blob("unfinished", CONFIG).await;
    for query in ["", "?n=1", "?n=2"] {
        assert_eq!(all(&door, &format!("/v2/_catalog{query}"), "repositories").await.0, names, "{query}");
    }
    let answer = door.get("/v2/_catalog?last=a/b&n=1").await;
    assert_eq!(answer.json(), json!({ "repositories": ["a/b/c"] }));
    let answer = door.get("/v2/_catalog?n=0").await;
    assert_eq!((answer.json(), answer.header("link")), (json!({ "repositories": [] }), ""));
}

#[tokio::test]
async fn referrers_are_paged_with_their_filter() {
    let door = small_pages();
    let subject = door.push_image("a", "v1").await;
    let mut expected = Vec::new();
    for name in ["1", "2", "3", "4", "5", "6", "7"] {
        for artifact_type in ["application/vnd.sbom+json", "application/vnd.sig"] {
            let manifest = referrer(&subject, artifact_type, name);
            let pushed = door.push_manifest("a", &manifest.digest().to_string(), &manifest).await;
            assert_eq!(pushed.status, 201);
            expected.push((manifest.digest().to_string(), artifact_type));
        }
    }
    expected.sort();
    let address = format!("/v2/a/referrers/{}", subject.digest());
    let digests = |list: Vec<Value>| -> Vec<String> {
        list.iter().map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect()
    };
    let (list, pages) = all(&door, &address, "manifests").await;
    assert_eq!(digests(list), expected.iter().map(|(digest, _)| digest.clone()).collect::<Vec<_>>());
    assert_eq!(pages, 5);

    let filtered = format!("{address}?artifactType=application/vnd.sbom%2Bjson");
    let (list, pages) = all(&door, &filtered, "manifests").await;
    let sboms: Vec<String> =
        expected.iter().filter(|(_, of)| of.contains("sbom")).map(|(digest, _)| digest.clone()).collect();
    assert_eq!(digests(list), sboms);
    assert_eq!(pages, 3);
    let second = next(door.get(&filtered).await.header("link")).unwrap();
    assert_eq!(door.get(&second).await.header("oci-filters-applied"), "artifactType");
}
