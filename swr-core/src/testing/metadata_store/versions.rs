//! Versions of a repository.

use super::*;
use crate::control::repository::Version;
use crate::ports::PullCount;
use crate::testing::sample_images::SampleBlob;

/// With the manifest byte for byte, and the pulls by the tag alone.
pub async fn a_version_is_what_its_tag_points_to(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let (one, two) = (SampleManifest::image("one"), SampleManifest::image("two").under(Algorithm::Sha512));
    scene.push(minute(1), "lib/a", &one, &["v1", "latest"]).await;
    scene.push(minute(2), "lib/a", &two, &["v2", "latest"]).await;
    let repository = repository_name("lib/a");
    let pulled =
        |reference| PullCount { repository: repository.clone(), reference, count: 4, last: minute(3) };
    store.observe_pulls(&[pulled(tag("v2").into()), pulled(two.digest().into())]).await.unwrap();
    let listing = store.versions(&repository, &all_versions()).await.unwrap().unwrap();
    let version = |text, image: &SampleManifest, created, updated, pulls| Version {
        tag: tag(text),
        digest: image.digest(),
        media_type: image.media_type(),
        manifest: image.bytes(),
        size: image.blobs().map(|blob| blob.bytes.len() as u64).sum(),
        created: minute(created),
        updated: minute(updated),
        pulls,
    };
    let expected =
        [version("latest", &two, 1, 2, 0), version("v1", &one, 1, 1, 0), version("v2", &two, 2, 2, 4)];
    assert_eq!(listing.entries, expected);
    assert_eq!(listing.total, 3);
}

/// Config and layers, each digest once, also what may stay elsewhere and what is not there; not the manifest.
pub async fn an_image_is_as_large_as_it_declares(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let (layer, foreign) = (SampleBlob::new("another layer"), SampleBlob::new("what is elsewhere"));
    let image = SampleManifest::image("a")
        .with_layer(&layer)
        .with_layer(&layer)
        .with_layer_of("application/vnd.oci.image.layer.nondistributable.v1.tar", &foreign);
    let mut blobs: Vec<_> = image.blobs().map(|blob| (blob.digest, blob.bytes.len() as u64)).collect();
    blobs.sort_unstable();
    blobs.dedup();
    assert_eq!(blobs.len(), 4);
    let declared: u64 = blobs.iter().map(|(_, size)| size).sum();
    scene.push(minute(1), "lib/a", &image, &["whole"]).await;
    let record =
        [Change::CreateRepository, Change::PutManifest(image.record()), set_tag("bare", image.digest())];
    scene.change(minute(1), "lib/b", record).await;
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
    scene.push(minute(1), "lib/a", &signature, &["signature"]).await;
    assert_eq!(size(&scene, "lib/a", "whole").await, declared);
    assert_eq!(size(&scene, "lib/b", "bare").await, declared);
    let of_signature: u64 = signature.blobs().map(|blob| blob.bytes.len() as u64).sum();
    assert_eq!(size(&scene, "lib/a", "signature").await, of_signature);
}

/// Each distinct descriptor once, however often and however deep; a child that is not there counts for itself alone.
pub async fn an_index_is_as_large_as_all_below_it(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let shared = SampleBlob::new("a shared layer");
    let images = ["a", "b"].map(|name| SampleManifest::image(name).with_layer(&shared));
    let inner = SampleManifest::index(&[&images[0], &images[1]]);
    let outer = SampleManifest::index(&[&inner, &images[1]]);
    for image in &images {
        scene.push(minute(1), "lib/a", image, &[]).await;
    }
    scene.push(minute(1), "lib/a", &inner, &["inner"]).await;
    scene.push(minute(1), "lib/a", &outer, &["outer"]).await;
    let length = |manifest: &SampleManifest| manifest.bytes().len() as u64;
    let blobs = |image: &SampleManifest| -> u64 {
        image.blobs().filter(|blob| **blob != shared).map(|blob| blob.bytes.len() as u64).sum()
    };
    let leaves = length(&images[0]) + length(&images[1]);
    let of_a = blobs(&images[0]);
    let below = leaves + of_a + blobs(&images[1]) + shared.bytes.len() as u64;
    assert_eq!(size(&scene, "lib/a", "inner").await, below);
    assert_eq!(size(&scene, "lib/a", "outer").await, below + length(&inner));

    scene.change(minute(2), "lib/a", [Change::RemoveManifest(images[0].digest())]).await;
    assert_eq!(size(&scene, "lib/a", "outer").await, below + length(&inner) - of_a);
    scene.change(minute(3), "lib/a", [Change::RemoveManifest(inner.digest())]).await;
    let left = length(&inner) + length(&images[1]) + blobs(&images[1]) + shared.bytes.len() as u64;
    assert_eq!(size(&scene, "lib/a", "outer").await, left);
    let record = outer.record();
    let bare = [Change::CreateRepository, Change::PutManifest(record), set_tag("bare", outer.digest())];
    scene.change(minute(4), "lib/b", bare).await;
    assert_eq!(size(&scene, "lib/b", "bare").await, length(&inner) + length(&images[1]));
}

/// Moved or set again it stays as old as it was; removed and set again it is new.
pub async fn a_version_is_as_old_as_its_tag(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let (one, two) = (SampleManifest::image("one"), SampleManifest::image("two"));
    scene.push(minute(1), "lib/a", &one, &["v1", "v2"]).await;
    let times = async |text: &str| {
        let version = version(&scene, "lib/a", text).await;
        (version.created, version.updated)
    };
    scene.change(minute(2), "lib/a", [set_tag("v1", one.digest())]).await;
    assert_eq!(times("v1").await, (minute(1), minute(2)));
    scene.push(minute(3), "lib/a", &two, &["v1"]).await;
    assert_eq!(times("v1").await, (minute(1), minute(3)));
    scene.change(minute(4), "lib/a", [Change::RemoveTag(tag("v1")), set_tag("v1", one.digest())]).await;
    assert_eq!(times("v1").await, (minute(4), minute(4)));
    scene.change(minute(5), "lib/a", [Change::RemoveManifest(one.digest())]).await;
    scene.push(minute(6), "lib/a", &one, &["v2"]).await;
    assert_eq!(times("v2").await, (minute(6), minute(6)));
}

/// Tags in byte order; of equal times the tag decides; backwards is the same list from its end.
pub async fn versions_come_in_each_order_and_backwards(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let image = SampleManifest::image("a");
    let set = [("v10", 1), ("v2", 3), ("V2", 2), ("latest", 3), ("v1", 1), ("v2", 4), ("v1_", 2)];
    for (text, at) in set {
        scene.push(minute(at), "lib/a", &image, &[text]).await;
    }
    let by_tag = ["V2", "latest", "v1", "v10", "v1_", "v2"];
    let by_time = ["v1", "v10", "V2", "v1_", "latest", "v2"];
    for (order, mut expected) in [(VersionOrder::Tag, by_tag), (VersionOrder::Updated, by_time)] {
        let query = VersionQuery { order, ..all_versions() };
        assert_eq!(listed(&scene, &query).await, (owned(&expected), 6), "{order:?}");
        expected.reverse();
        let backwards = VersionQuery { descending: true, ..query };
        assert_eq!(listed(&scene, &backwards).await, (owned(&expected), 6), "{order:?} backwards");
    }
}

/// By a part, byte for byte, or by the whole tag; both together are possible.
pub async fn versions_are_filtered_by_their_tags(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let tags = ["V1.0", "latest", "v1", "v1.0", "v1_0", "v1a0"];
    scene.push(minute(1), "lib/a", &SampleManifest::image("a"), &tags).await;
    let part = |text: &str| VersionQuery { tag: Some(text.into()), ..all_versions() };
    let exactly = |text: &str| VersionQuery { exactly: Some(tag(text)), ..all_versions() };
    let cases: [(VersionQuery, &[&str]); 9] = [
        (part("v1"), &["v1", "v1.0", "v1_0", "v1a0"]),
        (part("v1_0"), &["v1_0"]),
        (part("1.0"), &["V1.0", "v1.0"]),
        (part("V"), &["V1.0"]),
        (part("%"), &[]),
        (part(""), &tags),
        (exactly("v1"), &["v1"]),
        (exactly("V1"), &[]),
        (VersionQuery { tag: Some("0".into()), ..exactly("v1") }, &[]),
    ];
    for (query, expected) in cases {
        let expected = (owned(expected), expected.len() as u64);
        assert_eq!(listed(&scene, &query).await, expected, "{query:?}");
    }
}

/// From an offset on, as many as asked for, with the total of the whole; or after a tag, forwards and backwards.
pub async fn lists_of_versions_come_in_parts_of_a_whole(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let tags = ["a", "b", "c", "d", "e"];
    scene.push(minute(1), "lib/a", &SampleManifest::image("a"), &tags).await;
    let part = async |offset, count, descending| {
        let query = VersionQuery { offset, limit: limit(count), descending, ..all_versions() };
        listed(&scene, &query).await
    };
    assert_eq!(part(0, 2, false).await, (owned(&tags[..2]), 5));
    assert_eq!(part(4, 2, false).await, (owned(&tags[4..]), 5));
    assert_eq!(part(5, 2, false).await, (owned(&[]), 5));
    assert_eq!(part(u64::MAX, 2, false).await, (owned(&[]), 5));
    assert_eq!(part(1, 2, true).await, (owned(&["d", "c"]), 5));

    let after = async |text, descending| {
        let query = VersionQuery { after: Some(tag(text)), limit: limit(2), descending, ..all_versions() };
        listed(&scene, &query).await.0
    };
    assert_eq!(after("b", false).await, ["c", "d"]);
    assert_eq!(after("b0", false).await, ["c", "d"]);
    assert_eq!(after("e", false).await, owned(&[]));
    assert_eq!(after("d", true).await, ["c", "b"]);
    assert_eq!(after("d0", true).await, ["d", "c"]);
    assert_eq!(after("a", true).await, owned(&[]));
}

/// That is no empty list: a repository without versions has that one.
pub async fn versions_of_what_is_not_listed_are_unknown(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let blob = SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    scene.commit(minute(1), [create_repository("lib/empty", Visibility::Private)]).await;
    for name in ["lib/unknown", "lib/hidden"] {
        assert_eq!(store.versions(&repository_name(name), &all_versions()).await.unwrap(), None);
    }
    let empty = store.versions(&repository_name("lib/empty"), &all_versions()).await.unwrap().unwrap();
    assert_eq!((empty.entries, empty.total), (vec![], 0));
}

async fn version(scene: &Scene<'_>, repository: &str, text: &str) -> Version {
    let query = VersionQuery { exactly: Some(tag(text)), ..all_versions() };
    let listing = scene.store.versions(&repository_name(repository), &query).await.unwrap().unwrap();
    listing.entries.into_iter().next().unwrap()
}

async fn size(scene: &Scene<'_>, repository: &str, text: &str) -> u64 {
    version(scene, repository, text).await.size
}

/// The tags that fit the query, and how many there are in all.
async fn listed(scene: &Scene<'_>, query: &VersionQuery) -> (Vec<String>, u64) {
    let listing = scene.store.versions(&repository_name("lib/a"), query).await.unwrap().unwrap();
    (listing.entries.iter().map(|version| version.tag.to_string()).collect(), listing.total)
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(ToString::to_string).collect()
}
