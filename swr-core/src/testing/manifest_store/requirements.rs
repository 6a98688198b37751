//! What a commit may ask to be true.

use super::*;
use crate::commit::Grounds;
use crate::testing::sample_images::SampleBlob;

/// Each of the requirements, alone, is met.
async fn met(scene: &Scene<'_>, requires: impl IntoIterator<Item = Require>) {
    for require in requires {
        let outcome = scene.attempt(minute(9), [require.clone()], []).await;
        assert!(outcome.is_ok(), "{require:?} should be met: {outcome:?}");
    }
}

/// Each of the requirements, alone, is not met.
async fn not_met(scene: &Scene<'_>, requires: impl IntoIterator<Item = Require>) {
    for require in requires {
        assert_eq!(unmet(scene.attempt(minute(9), [require.clone()], []).await), [require]);
    }
}

/// A decision that looked at a repository holds for that one, and not for another of the same name.
pub async fn grounds_hold_while_the_name_leads_to_the_repository(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let did_not_look = Require::Grounds(Grounds::default());
    let looked_at = |id| Require::Grounds(Grounds { repository: Some(id), ..Grounds::default() });
    met(&lib, [did_not_look.clone()]).await;
    for scene in [&lib, &other] {
        scene.commit(minute(1), [Change::LinkStored(SampleBlob::new("a layer").stored_at("here"))]).await;
    }
    let (id, others) = (lib.id().await.unwrap(), other.id().await.unwrap());
    met(&lib, [did_not_look.clone(), looked_at(id)]).await;
    not_met(&lib, [looked_at(others)]).await;

    lib.commit(minute(2), [Change::RemoveRepository]).await;
    not_met(&lib, [looked_at(id)]).await;
    lib.commit(minute(3), [Change::CreateRepository]).await;
    not_met(&lib, [looked_at(id)]).await;
    met(&lib, [did_not_look, looked_at(lib.id().await.unwrap())]).await;
}

/// In this repository; that another one holds it says nothing.
pub async fn a_blob_is_linked_or_it_is_not(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    let linked = [Require::BlobLinked(blob.digest)];
    not_met(&lib, linked.clone()).await;
    other.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    not_met(&lib, linked.clone()).await;
    lib.commit(minute(2), [Change::LinkExisting(blob.digest)]).await;
    met(&lib, linked.clone()).await;
    lib.commit(minute(3), [Change::UnlinkBlob(blob.digest)]).await;
    not_met(&lib, linked).await;
}

/// As config, as layer or as a layer that may stay elsewhere; by a manifest of this repository alone. A manifest
/// that an index names is no blob.
pub async fn a_blob_is_unnamed_until_a_manifest_names_it(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let foreign = SampleBlob::new("a foreign layer");
    let image = SampleManifest::image("a")
        .with_layer_of("application/vnd.oci.image.layer.nondistributable.v1.tar", &foreign);
    let index = SampleManifest::index(&[&image]);
    let unnamed: Vec<_> = image.blobs().map(|blob| Require::BlobUnnamed(blob.digest)).collect();
    assert_eq!(unnamed.len(), 3);

    met(&lib, unnamed.clone()).await;
    other.push(minute(1), &image, &[]).await;
    met(&lib, unnamed.clone()).await;
    lib.push(minute(2), &image, &[]).await;
    lib.push(minute(2), &index, &[]).await;
    not_met(&lib, unnamed.clone()).await;
    met(&lib, [Require::BlobUnnamed(image.digest())]).await;
    lib.commit(minute(3), [Change::RemoveManifest(image.digest())]).await;
    met(&lib, unnamed).await;
}

/// In the one that is named, whether it is listed or not.
pub async fn a_blob_is_linked_in_another_repository_or_it_is_not(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let blob = SampleBlob::new("a layer");
    let linked_in =
        |scene: &Scene<'_>| [Require::BlobLinkedIn { repository: scene.name.clone(), digest: blob.digest }];
    not_met(&lib, linked_in(&other)).await;
    other.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    met(&lib, linked_in(&other)).await;
    not_met(&lib, linked_in(&lib)).await;
    other.commit(minute(2), [Change::UnlinkBlob(blob.digest)]).await;
    not_met(&lib, linked_in(&other)).await;
}

/// In this repository.
pub async fn a_manifest_is_present_or_absent(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let image = SampleManifest::image("a");
    let (present, absent) =
        ([Require::ManifestPresent(image.digest())], [Require::ManifestAbsent(image.digest())]);
    other.push(minute(1), &image, &["v1"]).await;
    not_met(&lib, present.clone()).await;
    met(&lib, absent.clone()).await;
    lib.push(minute(2), &image, &[]).await;
    met(&lib, present.clone()).await;
    not_met(&lib, absent.clone()).await;
    lib.commit(minute(3), [Change::RemoveManifest(image.digest())]).await;
    not_met(&lib, present).await;
    met(&lib, absent).await;
}

/// Fewer may point to it, or none; a tag that points elsewhere does not matter.
pub async fn a_manifest_is_tagged_only_by_the_tags_listed(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let only_by = |tags: &[&str]| {
        let tags = tags.iter().map(|text| tag(text)).collect();
        Require::TaggedOnlyBy { digest: image.digest(), tags }
    };
    met(&lib, [only_by(&[]), only_by(&["v1"])]).await;
    lib.push(minute(1), &SampleManifest::image("other"), &["other"]).await;
    lib.push(minute(1), &image, &[]).await;
    met(&lib, [only_by(&[]), only_by(&["v1"])]).await;
    lib.commit(minute(2), [set_tag("v1", image.digest()), set_tag("v2", image.digest())]).await;
    met(&lib, [only_by(&["v1", "v2"]), only_by(&["v0", "v2", "v1", "other"])]).await;
    not_met(&lib, [only_by(&[]), only_by(&["v1"]), only_by(&["v2", "v3"])]).await;
}

/// The requirement of a tag that does not move.
pub async fn a_tag_is_unset_or_points_there(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (one, two) = (SampleManifest::image("one"), SampleManifest::image("two"));
    let unset_or =
        |manifest: &SampleManifest| [Require::TagUnsetOr { tag: tag("v1"), digest: manifest.digest() }];
    met(&lib, unset_or(&one)).await;
    lib.push(minute(1), &two, &["v2"]).await;
    met(&lib, unset_or(&one)).await;
    lib.push(minute(1), &one, &["v1"]).await;
    met(&lib, unset_or(&one)).await;
    not_met(&lib, unset_or(&two)).await;
}

/// Both where it points and, where that is asked, when it was set last; setting it again is later.
pub async fn a_tag_is_where_and_when_it_was_set(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (one, two) = (SampleManifest::image("one"), SampleManifest::image("two"));
    let is = |manifest: &SampleManifest, updated| {
        [Require::TagIs { tag: tag("v1"), digest: manifest.digest(), updated }]
    };
    not_met(&lib, is(&one, None)).await;
    lib.push(minute(1), &two, &["v2"]).await;
    lib.push(minute(1), &one, &["v1"]).await;
    met(&lib, is(&one, None)).await;
    met(&lib, is(&one, Some(minute(1)))).await;
    not_met(&lib, is(&one, Some(minute(2)))).await;
    not_met(&lib, is(&two, None)).await;
    not_met(&lib, is(&two, Some(minute(1)))).await;

    lib.commit(minute(2), [set_tag("v1", one.digest())]).await;
    met(&lib, is(&one, Some(minute(2)))).await;
    not_met(&lib, is(&one, Some(minute(1)))).await;
    lib.commit(minute(3), [Change::RemoveTag(tag("v1"))]).await;
    not_met(&lib, is(&one, None)).await;
}

/// To whatever it points.
pub async fn a_tag_is_set_or_it_is_not(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (set, not_set) = ([Require::TagSet(tag("v1"))], [Require::TagUnset(tag("v1"))]);
    not_met(&lib, set.clone()).await;
    met(&lib, not_set.clone()).await;
    lib.push(minute(1), &SampleManifest::image("a"), &["v1.0"]).await;
    not_met(&lib, set.clone()).await;
    met(&lib, not_set.clone()).await;
    lib.push(minute(1), &SampleManifest::image("a"), &["v1"]).await;
    met(&lib, set.clone()).await;
    not_met(&lib, not_set.clone()).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    not_met(&lib, set).await;
    met(&lib, not_set).await;
}

/// And none that is met: a client is told of each blob that it has to bring.
pub async fn every_unmet_requirement_is_named_in_order(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let there = SampleBlob::new("there");
    lib.commit(minute(1), [Change::LinkStored(there.stored_at("here"))]).await;
    let missing = |text: &str| Require::BlobLinked(SampleBlob::new(text).digest);
    let requires = [
        missing("z"),
        Require::BlobLinked(there.digest),
        missing("a"),
        Require::TagUnset(tag("v1")),
        Require::TagSet(tag("v1")),
        missing("m"),
    ];
    let expected = [missing("z"), missing("a"), Require::TagSet(tag("v1")), missing("m")];
    assert_eq!(unmet(lib.attempt(minute(2), requires, []).await), expected);
}

/// Nothing of a refused commit is visible, its events included.
pub async fn an_unmet_requirement_changes_nothing(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (blob, image) = (SampleBlob::new("a layer"), SampleManifest::image("a"));
    let changes = [
        Change::CreateRepository,
        Change::LinkStored(blob.stored_at("here")),
        Change::PutManifest(image.record()),
        set_tag("v1", image.digest()),
    ];
    unmet(lib.attempt(minute(1), [Require::TagSet(tag("v1"))], changes).await);
    assert_eq!(lib.id().await, None);
    assert_eq!(lib.blob(&blob.digest).await, None);
    assert_eq!(lib.manifest(image.digest()).await, None);
    assert_eq!(log(store).await, []);
    assert_eq!(gone(lib.attempt(minute(2), [], [Change::LinkExisting(blob.digest)]).await), blob.digest);
}

/// What a commit brings does not meet its own requirements, and does not break them.
pub async fn requirements_look_at_what_was_before_the_first_change(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (blob, image) = (SampleBlob::new("a layer"), SampleManifest::image("a"));
    let linked = Require::BlobLinked(blob.digest);
    let brings_it = [Change::LinkStored(blob.stored_at("here"))];
    assert_eq!(unmet(lib.attempt(minute(1), [linked.clone()], brings_it).await), [linked]);

    let requires = [Require::TagUnset(tag("v1")), Require::ManifestAbsent(image.digest())];
    let breaks_them = [Change::PutManifest(image.record()), set_tag("v1", image.digest())];
    assert_eq!(lib.attempt(minute(2), requires, breaks_them).await.unwrap().events.len(), 2);
}
