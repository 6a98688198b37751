//! What holds a manifest, and since when nothing does.

use super::*;

/// It was pushed by its digest, perhaps to be found by it.
pub async fn what_nothing_ever_held_is_not_unused(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let digest = lib.push(minute(1), &SampleManifest::image("a"), &[]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
    lib.push(minute(2), &SampleManifest::image("a"), &[]).await;
    lib.commit(minute(3), [Change::KeepManifest(digest)]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
}

/// Of several tags, the last one counts.
pub async fn a_manifest_is_unused_since_it_lost_its_last_tag(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let digest = lib.push(minute(1), &SampleManifest::image("a"), &["v1", "v2"]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
    lib.commit(minute(3), [Change::RemoveTag(tag("v2"))]).await;
    assert_eq!(lib.unused_since(digest).await, Some(Some(minute(3))));
    lib.commit(minute(4), [Change::RemoveTag(tag("v2"))]).await;
    assert_eq!(lib.unused_since(digest).await, Some(Some(minute(3))));
}

/// The newest image took the tag `latest` from it.
pub async fn a_manifest_is_unused_since_its_tag_moved_away(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let old = lib.push(minute(1), &SampleManifest::image("old"), &["latest"]).await;
    let new = lib.push(minute(2), &SampleManifest::image("new"), &["latest"]).await;
    assert_eq!(lib.unused_since(old).await, Some(Some(minute(2))));
    assert_eq!(lib.unused_since(new).await, Some(None));
    lib.commit(minute(3), [set_tag("latest", new)]).await;
    assert_eq!(lib.unused_since(old).await, Some(Some(minute(2))));
}

/// And when it loses that tag, its time starts anew.
pub async fn a_manifest_tagged_again_is_used(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let digest = lib.push(minute(1), &SampleManifest::image("a"), &["v1"]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    lib.commit(minute(3), [set_tag("v2", digest)]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
    lib.commit(minute(4), [Change::RemoveTag(tag("v2"))]).await;
    assert_eq!(lib.unused_since(digest).await, Some(Some(minute(4))));
}

/// Until the last index that names it is gone, and no tag points to it either.
pub async fn an_index_holds_what_it_names(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (amd64, arm64) = (SampleManifest::image("amd64"), SampleManifest::image("arm64"));
    let (both, one) = (SampleManifest::index(&[&amd64, &arm64]), SampleManifest::index(&[&amd64]));
    for (manifest, tags) in [(&amd64, &[][..]), (&arm64, &["arm64"]), (&both, &["both"]), (&one, &["one"])] {
        lib.push(minute(1), manifest, tags).await;
    }
    lib.commit(minute(2), [Change::RemoveManifest(both.digest())]).await;
    assert_eq!(lib.unused_since(amd64.digest()).await, Some(None));
    assert_eq!(lib.unused_since(arm64.digest()).await, Some(None));
    lib.commit(minute(3), [Change::RemoveTag(tag("arm64")), Change::RemoveTag(tag("one"))]).await;
    assert_eq!(lib.unused_since(arm64.digest()).await, Some(Some(minute(3))));
    // The index has no tag and holds all the same, as long as it is there.
    assert_eq!(lib.unused_since(one.digest()).await, Some(Some(minute(3))));
    assert_eq!(lib.unused_since(amd64.digest()).await, Some(None));
    lib.commit(minute(4), [Change::RemoveManifest(one.digest())]).await;
    assert_eq!(lib.unused_since(amd64.digest()).await, Some(Some(minute(4))));
    lib.push(minute(5), &both, &[]).await;
    assert_eq!(lib.unused_since(amd64.digest()).await, Some(None));
    assert_eq!(lib.unused_since(arm64.digest()).await, Some(None));
}

/// A host may take indexes whose children come later.
pub async fn an_index_holds_what_came_after_it(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let index = SampleManifest::index(&[&image]);
    lib.push(minute(1), &index, &["v1"]).await;
    lib.push(minute(2), &image, &["image"]).await;
    lib.commit(minute(3), [Change::RemoveTag(tag("image"))]).await;
    assert_eq!(lib.unused_since(image.digest()).await, Some(None));
    lib.commit(minute(4), [Change::RemoveManifest(index.digest())]).await;
    assert_eq!(lib.unused_since(image.digest()).await, Some(Some(minute(4))));
}

/// A signature goes after what it signs, not before.
pub async fn a_subject_holds_what_refers_to_it(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
    lib.push(minute(1), &image, &["v1"]).await;
    lib.push(minute(2), &signature, &["signature"]).await;
    lib.commit(minute(3), [Change::RemoveTag(tag("signature"))]).await;
    assert_eq!(lib.unused_since(signature.digest()).await, Some(None));
    // To be referred to holds nobody.
    lib.commit(minute(4), [Change::RemoveTag(tag("v1"))]).await;
    assert_eq!(lib.unused_since(image.digest()).await, Some(Some(minute(4))));
    assert_eq!(lib.unused_since(signature.digest()).await, Some(None));
    lib.commit(minute(5), [Change::RemoveManifest(image.digest())]).await;
    assert_eq!(lib.unused_since(signature.digest()).await, Some(Some(minute(5))));
}

/// What was attached before its subject came is held from then on.
pub async fn a_subject_that_comes_back_holds_again(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let signature = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
    lib.push(minute(1), &signature, &[]).await;
    assert_eq!(lib.unused_since(signature.digest()).await, Some(None));
    for round in [2, 4] {
        lib.push(minute(round), &image, &["v1"]).await;
        assert_eq!(lib.unused_since(signature.digest()).await, Some(None));
        lib.commit(minute(round + 1), [Change::RemoveManifest(image.digest())]).await;
        assert_eq!(lib.unused_since(signature.digest()).await, Some(Some(minute(round + 1))));
    }
}

/// It was wanted again; without a tag it is still unused.
pub async fn a_push_starts_the_time_of_an_unused_manifest_again(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.push(minute(1), &image, &["v1"]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    assert_eq!(lib.commit(minute(3), [Change::PutManifest(image.record())]).await, []);
    assert_eq!(lib.unused_since(image.digest()).await, Some(Some(minute(3))));
}

/// Never from an earlier time, since a commit may have been held up; and nothing is done to one that is used.
pub async fn asking_after_a_manifest_starts_its_time_again(store: &dyn ManifestStore) {
    let (lib, image) = (Scene::new(store, "lib/a"), SampleManifest::image("a"));
    let digest = lib.push(minute(1), &image, &["v1"]).await;
    assert_eq!(lib.commit(minute(2), [Change::KeepManifest(digest)]).await, []);
    assert_eq!(lib.unused_since(digest).await, Some(None));
    lib.commit(minute(3), [Change::RemoveTag(tag("v1"))]).await;
    for (at, change) in [
        (4, Change::KeepManifest(digest)),
        (3, Change::KeepManifest(digest)),
        (2, Change::PutManifest(image.record())),
    ] {
        assert_eq!(lib.commit(minute(at), [change]).await, []);
        assert_eq!(lib.unused_since(digest).await, Some(Some(minute(4))));
    }
}

/// It is as one that nothing ever held.
pub async fn a_manifest_removed_and_pushed_anew_has_no_past(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let digest = lib.push(minute(1), &image, &["v1"]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await;
    lib.commit(minute(3), [Change::RemoveManifest(digest)]).await;
    assert_eq!(lib.unused_since(digest).await, None);
    lib.push(minute(4), &image, &[]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
}

/// Neither a new name for an old one, nor a new index for an old one.
pub async fn a_tag_that_is_replaced_in_one_commit_does_not_let_go(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let (old, new) = (SampleManifest::index(&[&image]), SampleManifest::index(&[&image, &image]));
    let digest = lib.push(minute(1), &image, &["v1"]).await;
    lib.commit(minute(2), [Change::RemoveTag(tag("v1")), set_tag("v2", digest)]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
    lib.push(minute(3), &old, &["index"]).await;
    lib.commit(minute(4), [Change::RemoveTag(tag("v2"))]).await;
    lib.commit(minute(5), [Change::PutManifest(new.record()), Change::RemoveManifest(old.digest())]).await;
    assert_eq!(lib.unused_since(digest).await, Some(None));
}
