//! What refers to a manifest.

use serde_json::json;
use swr_core::digest::{Algorithm, Digest};
use swr_core::media_type::MediaType;
use swr_core::reference::Reference;
use swr_core::registry::{ManifestPush, Precondition};
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};

use crate::scene::{Scene, page, repository, tag};

async fn list(
    scene: &Scene,
    subject: &Digest,
    of_type: Option<&str>,
    after: Option<Digest>,
    limit: u32,
) -> (Vec<Digest>, bool) {
    let of_type = of_type.map(|text| MediaType::parse(text).unwrap());
    let page = page(after, limit);
    let listed = scene.ada().referrers(&repository("o/app"), subject, of_type.as_ref(), &page).await.unwrap();
    (listed.entries.into_iter().map(|descriptor| descriptor.digest).collect(), listed.more)
}

/// An index under the fallback tag, as a client keeps it that knows no other way.
async fn push_fallback(scene: &Scene, under: &str, entries: &[(&SampleManifest, Option<&str>)]) {
    push_fallback_saying(scene, under, entries, "under the fallback tag").await;
}

async fn push_fallback_saying(
    scene: &Scene,
    under: &str,
    entries: &[(&SampleManifest, Option<&str>)],
    saying: &str,
) {
    let manifests: Vec<_> = entries
        .iter()
        .map(|(manifest, artifact_type)| {
            let mut descriptor = json!({
                "mediaType": manifest.media_type(),
                "digest": manifest.digest(),
                "size": manifest.bytes().len(),
                "annotations": { "listed": saying },
            });
            if let Some(artifact_type) = artifact_type {
                descriptor["artifactType"] = json!(artifact_type);
            }
            descriptor
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests });
    let push = ManifestPush {
        reference: Reference::Tag(tag(under)),
        tags: Vec::new(),
        media_type: None,
        bytes: index.to_string().into(),
        precondition: Precondition::None,
    };
    scene.ada().push_manifest(&repository("o/app"), push).await.unwrap();
}

#[tokio::test]
async fn referrers_are_listed_with_all_they_say_of_themselves() {
    let scene = Scene::new();
    let subject = SampleManifest::image("app");
    scene.push("o/app", "v1", &subject).await;
    let signature =
        SampleManifest::artifact("application/signature", "s").referring_to(&subject).annotated("by", "ada");
    let image = SampleManifest::image("refers").referring_to(&subject).with_config_of("application/config");
    scene.push_untagged("o/app", &signature).await;
    scene.push_untagged("o/app", &image).await;

    let listed =
        scene.ada().referrers(&repository("o/app"), &subject.digest(), None, &page(None, 10)).await.unwrap();
    let mut expected = vec![signature.record().descriptor(), image.record().descriptor()];
    expected.sort_by_key(|descriptor| descriptor.digest);
    assert_eq!(listed.entries, expected);
    let types: Vec<_> = listed.entries.iter().filter_map(|it| it.artifact_type.as_ref()).collect();
    assert!(types.iter().any(|it| it.as_str() == "application/config"), "{types:?}");
    assert!(listed.entries.iter().any(|it| it.annotations.get("by").is_some_and(|by| by == "ada")));

    let (filtered, _) = list(&scene, &subject.digest(), Some("application/signature"), None, 10).await;
    assert_eq!(filtered, [signature.digest()]);
}

#[tokio::test]
async fn nothing_refers_to_what_nobody_knows() {
    let scene = Scene::new();
    let unknown = SampleBlob::new("unknown").digest;
    assert_eq!(list(&scene, &unknown, None, None, 10).await, (vec![], false));
}

#[tokio::test]
async fn the_fallback_tag_is_read_as_well_and_nothing_is_listed_twice() {
    let scene = Scene::new();
    for algorithm in Algorithm::ALL {
        let subject = SampleManifest::image("app").under(algorithm);
        let named = format!("named {algorithm}");
        let both = SampleManifest::artifact("application/a", &named).referring_to(&subject);
        scene.push_untagged("o/app", &both).await;
        let old = SampleManifest::artifact("application/a", &format!("old {algorithm}"));
        let untyped = SampleManifest::artifact("application/b", &format!("untyped {algorithm}"));
        scene.push_untagged("o/app", &old).await;
        scene.push_untagged("o/app", &untyped).await;
        // At most 64 characters of the hash, whatever its length.
        let hex: String = subject.digest().hex().chars().take(64).collect();
        let entries = [(&both, Some("application/a")), (&old, Some("application/a")), (&untyped, None)];
        push_fallback(&scene, &format!("{algorithm}-{hex}"), &entries).await;

        let mut all = [both.digest(), old.digest(), untyped.digest()];
        all.sort();
        assert_eq!(list(&scene, &subject.digest(), None, None, 10).await.0, all);
        let mut typed = [both.digest(), old.digest()];
        typed.sort();
        assert_eq!(list(&scene, &subject.digest(), Some("application/a"), None, 10).await.0, typed);
    }
}

#[tokio::test]
async fn pages_of_both_sources_join_without_gap_or_repetition() {
    let scene = Scene::new();
    let subject = SampleManifest::image("app");
    let artifact = |number: u32| SampleManifest::artifact("application/a", &number.to_string());
    let mut all = Vec::new();
    for number in 0..7 {
        let referrer = artifact(number).referring_to(&subject);
        scene.push_untagged("o/app", &referrer).await;
        all.push(referrer.digest());
    }
    let listed: Vec<_> = (10..16).map(artifact).collect();
    for manifest in &listed {
        scene.push_untagged("o/app", manifest).await;
        all.push(manifest.digest());
    }
    let entries: Vec<_> = listed.iter().map(|manifest| (manifest, Some("application/a"))).collect();
    push_fallback(&scene, &format!("sha256-{}", subject.digest().hex()), &entries).await;
    all.sort();

    for limit in [1, 2, 3, 5, 12, 13, 20] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (entries, more) = list(&scene, &subject.digest(), None, after, limit).await;
            assert!(entries.len() <= limit as usize);
            assert!(!more || !entries.is_empty(), "a page without entries leads nowhere");
            found.extend(entries);
            after = found.last().copied();
            if !more {
                break;
            }
        }
        assert_eq!(found, all, "in pages of {limit}");
    }
}

#[tokio::test]
async fn a_fallback_tag_that_is_something_else_is_no_list() {
    let scene = Scene::new();
    let subject = SampleManifest::image("app");
    let under = format!("sha256-{}", subject.digest().hex());
    scene.push("o/app", &under, &SampleManifest::image("an image")).await;
    assert_eq!(list(&scene, &subject.digest(), None, None, 10).await, (vec![], false));
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes_wherever_its_entries_come_from() {
    let scene = Scene::new();
    let subject = SampleManifest::image("app");
    let artifact = |number: u32| SampleManifest::artifact("application/a", &number.to_string());
    let mut all = Vec::new();
    for number in 0..5 {
        let long = "x".repeat(700_000);
        let referrer = artifact(number).referring_to(&subject).annotated("long", &long);
        scene.push_untagged("o/app", &referrer).await;
        all.push(referrer.digest());
    }
    let listed: Vec<_> = (10..40).map(artifact).collect();
    for manifest in &listed {
        scene.push_untagged("o/app", manifest).await;
        all.push(manifest.digest());
    }
    all.sort();
    let long = "y".repeat(100_000);
    let entries: Vec<_> = listed.iter().map(|manifest| (manifest, None)).collect();
    push_fallback_saying(&scene, &format!("sha256-{}", subject.digest().hex()), &entries, &long).await;

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let listed = scene
            .ada()
            .referrers(&repository("o/app"), &subject.digest(), None, &page(after, 100))
            .await
            .unwrap();
        let bytes: usize =
            listed.entries.iter().flat_map(|it| it.annotations.values()).map(String::len).sum();
        assert!(bytes <= 2 << 20, "{bytes}");
        found.extend(listed.entries.into_iter().map(|descriptor| descriptor.digest));
        after = found.last().copied();
        if !listed.more {
            break;
        }
    }
    assert_eq!(found, all);
}
