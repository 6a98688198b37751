//! What comes in pages.

use super::*;
use crate::digest::Algorithm;
use crate::media_type::MediaType;
use crate::testing::sample_images::{CONFIG, SampleBlob};

/// Tags whose order and prefixes lead astray: case, digits, dashes, dots and underscores, one the beginning of
/// the other. In byte order.
const TAGS: [&str; 16] = [
    "0.1.2",
    "0.1.2-alpha",
    "0.1.2.1",
    "0.1.20",
    "0.1.3",
    "1",
    "10",
    "2",
    "Latest",
    "Z",
    "_",
    "_a",
    "latest",
    "latest-1",
    "latest.1",
    "latest_1",
];

/// Repositories, likewise.
const NAMES: [&str; 13] = [
    "0",
    "a",
    "math",
    "math-voila",
    "math-voila/x",
    "math.x",
    "math/a",
    "math/a-b",
    "math/a/b",
    "math/b",
    "math0",
    "math__x",
    "mathx",
];

/// Whatever the page begins after, whether it is there or not, and however small it is.
pub async fn tags_come_page_by_page_in_byte_order(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let mut shuffled = TAGS;
    shuffled.reverse();
    shuffled.swap(3, 11);
    let digest = lib.push(minute(1), &SampleManifest::image("a"), &shuffled).await;
    other.push(minute(1), &SampleManifest::image("b"), &["latest-0", "zzz"]).await;

    let listed = async |after: Option<&str>, count| {
        let records = store.tags(&lib.name, &page(after.map(tag), count)).await.unwrap().unwrap();
        assert!(records.iter().all(|record| record.digest == digest && record.updated == minute(1)));
        records.iter().map(|record| record.tag.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 1000).await, TAGS);
    assert_eq!(listed(None, 16).await, TAGS);
    for (index, last) in TAGS.iter().enumerate() {
        for count in [1, 2, 5, 1000] {
            let rest = &TAGS[index + 1..];
            assert_eq!(listed(Some(last), count).await, rest[..rest.len().min(count as usize)]);
        }
    }
    // Names that are not there.
    assert_eq!(listed(Some("0"), 1).await, ["0.1.2"]);
    assert_eq!(listed(Some("0.1.2-"), 2).await, ["0.1.2-alpha", "0.1.2.1"]);
    assert_eq!(listed(Some("0.1.2a"), 1).await, ["0.1.3"]);
    assert_eq!(listed(Some("latest-"), 1).await, ["latest-1"]);
    assert_eq!(listed(Some("A"), 1).await, ["Latest"]);
    assert_eq!(listed(Some("zzz"), 9).await, [""; 0]);
}

/// In byte order, at most as many as asked for.
pub async fn tags_of_a_manifest_come_in_order(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let one = lib.push(minute(1), &SampleManifest::image("one"), &["v1", "a", "B", "10", "2"]).await;
    let two = lib.push(minute(1), &SampleManifest::image("two"), &["v2"]).await;
    let untagged = lib.push(minute(1), &SampleManifest::image("untagged"), &[]).await;
    let of = async |digest, count| store.tags_of(&lib.name, &digest, limit(count)).await.unwrap();
    assert_eq!(of(one, 9).await, ["10", "2", "B", "a", "v1"].map(tag));
    assert_eq!(of(one, 2).await, ["10", "2"].map(tag));
    assert_eq!(of(two, 9).await, ["v2"].map(tag));
    assert_eq!(of(untagged, 9).await, []);
}

/// Those that are listed; hidden ones are not, and take no place in a page.
pub async fn repositories_come_page_by_page_in_byte_order(store: &dyn ManifestStore) {
    let blob = SampleBlob::new("a layer");
    for name in NAMES.iter().rev() {
        Scene::new(store, name).commit(minute(1), [Change::CreateRepository]).await;
        let hidden = Scene::new(store, &format!("{name}0hidden"));
        hidden.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    let listed = async |after: Option<&str>, count| {
        let names = store.repositories(&page(after.map(repository_name), count)).await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 1000).await, NAMES);
    for (index, last) in NAMES.iter().enumerate() {
        for count in [1, 2, 5, 1000] {
            let rest = &NAMES[index + 1..];
            assert_eq!(listed(Some(last), count).await, rest[..rest.len().min(count as usize)]);
        }
    }
    assert_eq!(listed(Some("mat"), 1).await, ["math"]);
}

/// One the beginning of the other, or the same but for its case: what one holds the other does not.
pub async fn names_that_look_alike_share_nothing(store: &dyn ManifestStore) {
    let tags = ["v1", "V1", "v1.0", "v10"];
    for name in NAMES {
        for text in tags {
            let image = SampleManifest::image(&format!("{name} {text}"));
            Scene::new(store, name).push(minute(1), &image, &[text]).await;
        }
    }
    Scene::new(store, "math").commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    Scene::new(store, "math/a").commit(minute(2), [Change::RemoveRepository]).await;
    for name in NAMES {
        let scene = Scene::new(store, name);
        for text in tags {
            let image = SampleManifest::image(&format!("{name} {text}"));
            let is_gone = name == "math/a" || (name, text) == ("math", "v1");
            assert_eq!(scene.tag(text).await, (!is_gone).then(|| image.digest()), "{name}:{text}");
        }
    }
}

/// A number of artifacts that refer to the image, in the order of their digests.
async fn attach(scene: &Scene<'_>, subject: &SampleManifest, of_type: &str, count: usize) -> Vec<Digest> {
    let mut attached = Vec::new();
    for number in 0..count {
        let artifact = SampleManifest::artifact(of_type, &number.to_string()).referring_to(subject);
        attached.push(scene.push(minute(1), &artifact, &[]).await);
    }
    attached.sort_unstable();
    attached
}

/// In the order of their digests, after any digest, present or not.
pub async fn referrers_come_page_by_page_in_order(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let (image, neighbour) = (SampleManifest::image("a"), SampleManifest::image("b"));
    for scene in [&lib, &other] {
        scene.push(minute(1), &image, &["v1"]).await;
        scene.push(minute(1), &neighbour, &["v2"]).await;
    }
    let mut expected = attach(&lib, &image, "application/vnd.example.one", 9).await;
    let long = SampleManifest::artifact("application/vnd.example.one", "long")
        .referring_to(&image)
        .under(Algorithm::Sha512);
    expected.push(lib.push(minute(1), &long, &[]).await);
    attach(&lib, &neighbour, "application/vnd.example.one", 3).await;
    attach(&other, &image, "application/vnd.example.two", 3).await;

    let subject = image.digest();
    let listed = async |after, count| {
        let referrers = store.referrers(&lib.name, &subject, None, &page(after, count)).await.unwrap();
        referrers.iter().map(|referrer| referrer.digest).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 1000).await, expected);
    for (index, last) in expected.iter().enumerate() {
        for count in [1, 3, 1000] {
            let rest = &expected[index + 1..];
            assert_eq!(listed(Some(*last), count).await, rest[..rest.len().min(count as usize)]);
        }
    }
    let absent = SampleBlob::new("absent").digest;
    let after_absent: Vec<_> = expected.iter().copied().filter(|digest| *digest > absent).collect();
    assert_eq!(listed(Some(absent), 1000).await, after_absent);
    let unknown = lib.beside("lib/unknown");
    assert_eq!(unknown.referrers(&subject).await, []);
}

/// By the type they are listed as, page by page; one that nothing has gives nothing.
pub async fn referrers_are_told_apart_by_type(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.push(minute(1), &image, &["v1"]).await;
    let ones = attach(&lib, &image, "application/vnd.example.one", 5).await;
    let twos = attach(&lib, &image, "application/vnd.example.two", 4).await;
    let untyped = lib.push(minute(1), &SampleManifest::image("untyped").referring_to(&image), &[]).await;
    let bare = lib.push(minute(1), &SampleManifest::index(&[]).referring_to(&image), &[]).await;

    let of = async |of_type: &str, after, count| {
        let of_type = MediaType::parse(of_type).unwrap();
        let page = page(after, count);
        let referrers = store.referrers(&lib.name, &image.digest(), Some(&of_type), &page).await.unwrap();
        assert!(referrers.iter().all(|referrer| referrer.artifact_type.as_ref() == Some(&of_type)));
        referrers.iter().map(|referrer| referrer.digest).collect::<Vec<_>>()
    };
    assert_eq!(of("application/vnd.example.one", None, 99).await, ones);
    assert_eq!(of("application/vnd.example.two", None, 99).await, twos);
    assert_eq!(of("application/vnd.example.two", None, 2).await, twos[..2]);
    assert_eq!(of("application/vnd.example.two", Some(twos[1]), 99).await, twos[2..]);
    assert_eq!(of(CONFIG, None, 99).await, [untyped]);
    assert_eq!(of("application/vnd.example", None, 99).await, []);
    assert_eq!(of("application/vnd.Example.one", None, 99).await, []);
    let all = lib.referrers(&image.digest()).await;
    assert_eq!(all.len(), 11);
    assert!(all.contains(&bare));
}

/// Type, size, artifact type and annotations: what a client chooses by.
pub async fn referrers_are_described_in_full(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let artifact = SampleManifest::artifact("application/vnd.example", "a")
        .referring_to(&image)
        .annotated("org.example.when", "2026-01-01")
        .annotated("org.example.what", "\u{e9}\u{4e2d}\"quoted\"\n\0");
    let index = SampleManifest::index(&[&image]).referring_to(&image);
    for manifest in [&artifact, &index] {
        lib.push(minute(1), manifest, &[]).await;
    }
    let mut expected = [artifact.record().descriptor(), index.record().descriptor()];
    expected.sort_unstable_by_key(|descriptor| descriptor.digest);
    let listed = store.referrers(&lib.name, &image.digest(), None, &page(None, 9)).await.unwrap();
    assert_eq!(listed, expected);
}

/// A signature may come before what it signs, and stay when that goes.
pub async fn referrers_of_an_absent_subject_are_listed(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    for algorithm in Algorithm::ALL {
        let image = SampleManifest::image("a").under(algorithm);
        let artifact = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
        let digest = lib.push(minute(1), &artifact, &[]).await;
        assert_eq!(lib.referrers(&image.digest()).await, [digest]);
        lib.push(minute(2), &image, &["v1"]).await;
        assert_eq!(lib.referrers(&image.digest()).await, [digest]);
        lib.commit(minute(3), [Change::RemoveManifest(image.digest())]).await;
        assert_eq!(lib.referrers(&image.digest()).await, [digest]);
    }
}

/// It leaves the list of its subject with the commit that removes it.
pub async fn a_removed_manifest_is_no_referrer(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.push(minute(1), &image, &["v1"]).await;
    let attached = attach(&lib, &image, "application/vnd.example", 2).await;
    lib.commit(minute(2), [Change::RemoveManifest(attached[0])]).await;
    assert_eq!(lib.referrers(&image.digest()).await, attached[1..]);
}

/// To about 2 MiB; it may hold fewer than asked for, and holds at least one while there are more.
pub async fn a_page_of_referrers_is_bounded_in_bytes(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let note = "x".repeat(700 << 10);
    let mut expected = Vec::new();
    for number in 0..7 {
        let heavy = SampleManifest::artifact("application/vnd.example", &number.to_string())
            .referring_to(&image)
            .annotated("note", &note);
        expected.push(heavy.digest());
        lib.commit(minute(1), [Change::PutManifest(heavy.record())]).await;
    }
    let heaviest = SampleManifest::artifact("application/vnd.example", "heaviest")
        .referring_to(&image)
        .annotated("note", &"x".repeat(3 << 20));
    expected.push(heaviest.digest());
    lib.commit(minute(1), [Change::PutManifest(heaviest.record())]).await;
    expected.sort_unstable();

    let mut listed: Vec<Digest> = Vec::new();
    while listed.len() < expected.len() {
        let page = page(listed.last().copied(), 1000);
        let referrers = store.referrers(&lib.name, &image.digest(), None, &page).await.unwrap();
        assert!((1..=4).contains(&referrers.len()), "a page of {} times 700 KiB", referrers.len());
        listed.extend(referrers.iter().map(|referrer| referrer.digest));
    }
    assert_eq!(listed, expected);
    let after_all = page(listed.last().copied(), 1000);
    assert_eq!(store.referrers(&lib.name, &image.digest(), None, &after_all).await.unwrap(), []);
}

/// Those of the same first component, then the others, each in byte order; hidden ones too, removed ones not.
pub async fn holders_come_near_ones_first(store: &dyn ManifestStore) {
    let (blob, other) = (SampleBlob::new("a layer"), SampleBlob::new("another layer"));
    for name in NAMES {
        let scene = Scene::new(store, name);
        scene.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    for (name, change) in [
        ("math", Change::CreateRepository),
        ("math/b", Change::RemoveRepository),
        ("mathx", Change::UnlinkBlob(blob.digest)),
        ("other", Change::LinkStored(other.stored_at("there"))),
    ] {
        Scene::new(store, name).commit(minute(2), [change]).await;
    }
    let near_math = ["math", "math/a", "math/a-b", "math/a/b"];
    let far_from_math = ["0", "a", "math-voila", "math-voila/x", "math.x", "math0", "math__x"];
    let holders = async |near: &str, count| {
        let names = store.holders(&blob.digest, &repository_name(near), limit(count)).await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected: Vec<_> = near_math.into_iter().chain(far_from_math).collect();
    assert_eq!(holders("math/new", 99).await, expected);
    assert_eq!(holders("math", 6).await, expected[..6]);
    assert_eq!(holders("math/new", 2).await, expected[..2]);
    let mut in_order = expected.clone();
    in_order.sort_unstable();
    assert_eq!(holders("elsewhere/x", 99).await, in_order);
    assert_eq!(holders("math-voila/new", 3).await, ["math-voila", "math-voila/x", "0"]);
}

/// As blob or as child, not as subject; in the order of their digests, and at most as many as asked for.
pub async fn manifests_naming_something_come_in_order(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let shared = SampleBlob::new("a shared layer");
    let images = ["a", "b", "c"].map(|name| SampleManifest::image(name).with_layer(&shared));
    let index = SampleManifest::index(&[&images[0]]);
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&images[0]);
    for manifest in images.iter().chain([&index, &signature]) {
        lib.push(minute(1), manifest, &[]).await;
    }
    other.push(minute(1), &SampleManifest::image("d").with_layer(&shared), &[]).await;
    let mut expected = images.each_ref().map(SampleManifest::digest);
    expected.sort_unstable();

    let naming =
        async |digest, count| store.manifests_naming(&lib.name, &digest, limit(count)).await.unwrap();
    assert_eq!(naming(shared.digest, 9).await, expected);
    assert_eq!(naming(shared.digest, 2).await, expected[..2]);
    assert_eq!(naming(images[0].digest(), 9).await, [index.digest()]);
    assert_eq!(naming(index.digest(), 9).await, []);
    lib.commit(minute(2), [Change::RemoveManifest(expected[0])]).await;
    assert_eq!(naming(shared.digest, 9).await, expected[1..]);
    let unknown = repository_name("lib/unknown");
    assert_eq!(store.manifests_naming(&unknown, &shared.digest, limit(9)).await.unwrap(), []);
}
