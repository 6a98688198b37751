//! What a commit changes, and what is recorded of it.

use super::*;
use crate::digest::Algorithm;
use crate::media_type::MediaType;
use crate::testing::sample_images::SampleBlob;

/// Nothing is there, and asking after it is no error.
pub async fn a_new_store_is_empty(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let absent = SampleBlob::new("absent").digest;
    assert_eq!(lib.id().await, None);
    assert!(!lib.is_listed().await);
    assert_eq!(lib.manifest(tag("latest")).await, None);
    assert_eq!(lib.manifest(absent).await, None);
    assert_eq!(lib.tags().await, None);
    assert_eq!(store.tags_of(&lib.name, &absent, limit(9)).await.unwrap(), []);
    assert_eq!(lib.referrers(&absent).await, []);
    assert_eq!(lib.blob(&absent).await, None);
    assert_eq!(store.holders(&absent, &lib.name, limit(9)).await.unwrap(), []);
    assert_eq!(store.repositories(&page(None, 9)).await.unwrap(), []);
    assert_eq!(garbage(store).await, []);
    assert_eq!(log(store).await, []);
}

/// A commit may change nothing at all.
pub async fn a_commit_without_changes_records_nothing(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    assert_eq!(lib.commit(minute(1), []).await, []);
    assert_eq!(lib.id().await, None);
    assert_eq!(log(store).await, []);
}

/// It is known and listed from then on; creating it again is no news.
pub async fn creating_a_repository_lists_it(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    assert_eq!(lib.commit(minute(1), [Change::CreateRepository]).await, [Event::RepositoryCreated]);
    let id = lib.id().await;
    assert!(id.is_some());
    assert!(lib.is_listed().await);
    assert_eq!(lib.tags().await, Some(vec![]));
    assert_eq!(store.repositories(&page(None, 9)).await.unwrap(), vec![lib.name.clone()]);

    assert_eq!(lib.commit(minute(2), [Change::CreateRepository]).await, []);
    assert_eq!(lib.id().await, id);
}

/// A repository that holds only blobs is known to those who ask for its id, and in no list.
pub async fn a_link_makes_a_hidden_repository(store: &dyn ManifestStore) {
    let blob = SampleBlob::new("a layer");
    let stored = Scene::new(store, "lib/stored");
    let linked = stored.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    assert_eq!(linked, [Event::BlobLinked { digest: blob.digest }]);
    let mounted = stored.beside("lib/mounted");
    let linked = mounted.commit(minute(1), [Change::LinkExisting(blob.digest)]).await;
    assert_eq!(linked, [Event::BlobLinked { digest: blob.digest }]);

    assert_ne!(stored.id().await, mounted.id().await);
    for hidden in [stored, mounted] {
        assert!(hidden.id().await.is_some());
        assert!(!hidden.is_listed().await);
        assert!(hidden.blob(&blob.digest).await.is_some());
        assert_eq!(hidden.tags().await, None);
    }
    assert_eq!(store.repositories(&page(None, 9)).await.unwrap(), []);
}

/// A manifest can be had from a repository that nobody created, but is in no list.
pub async fn a_manifest_makes_a_hidden_repository(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.commit(minute(1), [Change::PutManifest(image.record()), set_tag("v1", image.digest())]).await;
    assert!(lib.id().await.is_some());
    assert!(!lib.is_listed().await);
    assert_eq!(lib.tag("v1").await, Some(image.digest()));
    assert_eq!(lib.tags().await, None);
    assert_eq!(store.repositories(&page(None, 9)).await.unwrap(), []);
}

/// Creating what is hidden keeps what it holds, and is when it came to be.
pub async fn a_hidden_repository_can_become_listed(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    let id = lib.id().await;
    assert_eq!(lib.commit(minute(2), [Change::CreateRepository]).await, [Event::RepositoryCreated]);
    assert_eq!(lib.id().await, id);
    assert!(lib.is_listed().await);
    assert!(lib.blob(&blob.digest).await.is_some());
}

/// Taking something away from a repository that is not there leaves it not there.
pub async fn removals_make_no_repository(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let absent = SampleBlob::new("absent").digest;
    let removals = [
        Change::UnlinkBlob(absent),
        Change::RemoveManifest(absent),
        Change::RemoveTag(tag("v1")),
        Change::KeepManifest(absent),
        Change::RemoveRepository,
    ];
    assert_eq!(lib.commit(minute(1), removals).await, []);
    assert_eq!(lib.id().await, None);
}

/// The name leads nowhere, and nothing that hung on it can be had.
pub async fn removing_a_repository_takes_all_it_held(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let image = SampleManifest::image("a");
    let artifact = SampleManifest::artifact("application/vnd.example", "a").referring_to(&image);
    for scene in [&lib, &other] {
        scene.push(minute(1), &image, &["v1", "v2"]).await;
        scene.push(minute(1), &artifact, &[]).await;
    }
    assert_eq!(lib.commit(minute(2), [Change::RemoveRepository]).await, [Event::RepositoryRemoved]);

    let blob = image.blobs().next().unwrap().digest;
    assert_eq!(lib.id().await, None);
    assert!(!lib.is_listed().await);
    assert_eq!(lib.tags().await, None);
    assert_eq!(lib.tag("v1").await, None);
    assert_eq!(lib.manifest(image.digest()).await, None);
    assert_eq!(lib.referrers(&image.digest()).await, []);
    assert_eq!(store.tags_of(&lib.name, &image.digest(), limit(9)).await.unwrap(), []);
    assert_eq!(lib.blob(&blob).await, None);
    assert_eq!(store.holders(&blob, &lib.name, limit(9)).await.unwrap(), vec![other.name.clone()]);
    assert_eq!(store.repositories(&page(None, 9)).await.unwrap(), vec![other.name.clone()]);
    let linked_there = Require::BlobLinkedIn { repository: lib.name.clone(), digest: blob };
    assert_eq!(unmet(other.attempt(minute(3), [linked_there.clone()], []).await), [linked_there]);

    assert_eq!(other.tags().await.unwrap(), ["v1", "v2"]);
    assert_eq!(other.referrers(&image.digest()).await, [artifact.digest()]);
    assert_eq!(lib.commit(minute(3), [Change::RemoveRepository]).await, []);
}

/// Nobody was told that it is there, and nobody is told that it is gone.
pub async fn removing_a_hidden_repository_is_no_event(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let blob = SampleBlob::new("a layer");
    lib.commit(minute(1), [Change::LinkStored(blob.stored_at("here"))]).await;
    assert_eq!(lib.commit(minute(2), [Change::RemoveRepository]).await, []);
    assert_eq!(lib.id().await, None);
    assert_eq!(lib.blob(&blob.digest).await, None);
}

/// What is made under a removed repository's name is new, whether what was removed is emptied yet or not.
pub async fn a_name_made_again_inherits_nothing(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.push(minute(1), &image, &["v1"]).await;
    let before = lib.id().await.unwrap();
    let events = lib.commit(minute(2), [Change::RemoveRepository, Change::CreateRepository]).await;
    assert_eq!(events, [Event::RepositoryRemoved, Event::RepositoryCreated]);

    assert_ne!(lib.id().await.unwrap(), before);
    assert_eq!(lib.tags().await, Some(vec![]));
    assert_eq!(lib.manifest(image.digest()).await, None);
    for blob in image.blobs() {
        assert_eq!(lib.blob(&blob.digest).await, None);
    }
}

/// Not even when what had it is emptied to the end, and not to a commit that is refused.
pub async fn a_repository_id_is_never_given_twice(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let fence = fence(store).await;
    let mut ids = Vec::new();
    for round in 0..4 {
        lib.commit(minute(round), [Change::CreateRepository]).await;
        ids.push(lib.id().await.unwrap());
        lib.commit(minute(round), [Change::RemoveRepository]).await;
        let unused =
            crate::ports::Unused { manifests_before: None, links_before: minute(0), at: minute(round) };
        store.release_unused(&unused, &fence, limit(99)).await.unwrap();
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

/// The receipt, the log and the order of the changes tell one story.
pub async fn every_effective_change_is_an_event_in_order(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (layer, image, signature) = (
        SampleBlob::new("a layer"),
        SampleManifest::image("a"),
        SampleManifest::artifact("application/vnd.example", "a").referring_to(&SampleManifest::image("a")),
    );
    let (digest, attached) = (image.digest(), signature.digest());
    let changes = [
        Change::LinkStored(layer.stored_at("here")),
        Change::CreateRepository,
        Change::PutManifest(image.record()),
        set_tag("v1", digest),
        set_tag("v2", digest),
        Change::PutManifest(signature.record()),
        set_tag("v2", attached),
        Change::RemoveTag(tag("v2")),
        Change::UnlinkBlob(layer.digest),
        Change::RemoveManifest(digest),
        Change::RemoveRepository,
    ];
    let pushed = |manifest: &SampleManifest, subject| Event::ManifestPushed {
        digest: manifest.digest(),
        media_type: manifest.media_type(),
        size: manifest.bytes().len() as u64,
        subject,
    };
    let set = |text: &str, digest, previous| Event::TagSet { tag: tag(text), digest, previous };
    let expected = [
        Event::BlobLinked { digest: layer.digest },
        Event::RepositoryCreated,
        pushed(&image, None),
        set("v1", digest, None),
        set("v2", digest, None),
        pushed(&signature, Some(digest)),
        set("v2", attached, Some(digest)),
        Event::TagRemoved { tag: tag("v2"), digest: attached },
        Event::BlobUnlinked { digest: layer.digest },
        Event::ManifestRemoved { digest, tags: vec![tag("v1")] },
        Event::RepositoryRemoved,
    ];
    let receipt = lib.attempt(minute(1), [], changes).await.unwrap();
    let events: Vec<_> = receipt.events.iter().map(|recorded| recorded.event.clone()).collect();
    assert_eq!(events, expected);
    assert!(receipt.events.is_sorted_by(|one, next| one.seq < next.seq));
    assert!(receipt.events[0].seq > EventSeq::START);
    assert_eq!(log(store).await, receipt.events);
}

/// A request that is made again finds everything as it wants it, and is quiet.
pub async fn a_change_that_changes_nothing_records_nothing(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (layer, image, absent) =
        (SampleBlob::new("a layer"), SampleManifest::image("a"), SampleBlob::new("absent").digest);
    let changes = [
        Change::CreateRepository,
        Change::LinkStored(layer.stored_at("here")),
        Change::LinkExisting(layer.digest),
        Change::PutManifest(image.record()),
        set_tag("v1", image.digest()),
    ];
    assert_eq!(lib.commit(minute(1), changes.clone()).await.len(), 4);
    assert_eq!(lib.commit(minute(2), changes).await, []);
    let nothings = [
        Change::KeepManifest(image.digest()),
        Change::KeepManifest(absent),
        Change::UnlinkBlob(absent),
        Change::RemoveManifest(absent),
        Change::RemoveTag(tag("v2")),
    ];
    assert_eq!(lib.commit(minute(3), nothings).await, []);
    assert_eq!(log(store).await.len(), 4);
}

/// Every event of a commit carries its repository, its actor, its origin and its time, to the microsecond.
pub async fn an_event_says_who_where_and_when(store: &dyn ManifestStore) {
    let at = minute(1) + chrono::TimeDelta::microseconds(123_456);
    let commit = Commit {
        repository: repository_name("lib/a"),
        actor: Actor::Caller(Caller::Anonymous),
        origin: Origin {
            source: Some("2001:db8::7".parse().unwrap()),
            request_id: None,
            channel: Channel::Api,
            call: None,
        },
        at,
        requires: vec![],
        changes: vec![Change::CreateRepository],
    };
    store.commit(commit.clone()).await.unwrap();
    let lib = Scene::new(store, "lib/b");
    lib.attempt(at, [], [Change::CreateRepository]).await.unwrap();

    let log = log(store).await;
    assert_eq!(log.len(), 2);
    assert_eq!(
        log[0],
        RecordedEvent {
            seq: log[0].seq,
            repository: commit.repository,
            actor: commit.actor,
            origin: commit.origin,
            at,
            event: Event::RepositoryCreated
        }
    );
    assert_eq!((&log[1].repository, &log[1].actor, &log[1].origin), (&lib.name, &ada(), &origin()));
}

/// Byte for byte, by tag and by digest; and without its bytes when they are not wanted.
pub async fn a_manifest_keeps_its_bytes_and_its_type(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let index = SampleManifest::index(&[&image]);
    lib.push(minute(1), &image, &["image"]).await;
    lib.push(minute(1), &index, &["index"]).await;
    for (text, manifest) in [("image", &image), ("index", &index)] {
        for reference in [Reference::from(tag(text)), Reference::from(manifest.digest())] {
            let mut expected = StoredManifest {
                digest: manifest.digest(),
                media_type: manifest.media_type(),
                size: manifest.bytes().len() as u64,
                bytes: Some(manifest.bytes()),
                unused_since: None,
            };
            assert_eq!(lib.manifest(reference.clone()).await.as_ref(), Some(&expected));
            expected.bytes = None;
            let facts = store.resolve(&lib.name, &reference, WithBytes::No).await.unwrap();
            assert_eq!(facts, Some(expected));
        }
    }
}

/// Also when the same bytes are said to be of another type: nobody changes what others have pulled.
pub async fn a_manifest_pushed_again_stays_as_it_was(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    lib.push(minute(1), &image, &["v1"]).await;
    let mut again = image.record();
    again.media_type = MediaType::parse(MediaType::DOCKER_MANIFEST).unwrap();
    assert_eq!(lib.commit(minute(2), [Change::PutManifest(again)]).await, []);
    assert_eq!(lib.manifest(tag("v1")).await.unwrap().media_type, image.media_type());
}

/// What is pushed under sha512 is not there under sha256.
pub async fn two_digests_of_the_same_bytes_are_two_manifests(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (short, long) = (SampleManifest::image("a"), SampleManifest::image("a").under(Algorithm::Sha512));
    assert_eq!(short.bytes(), long.bytes());
    lib.push(minute(1), &long, &[]).await;
    assert_eq!(lib.manifest(short.digest()).await, None);
    lib.push(minute(2), &short, &[]).await;
    lib.commit(minute(3), [Change::RemoveManifest(long.digest())]).await;
    assert_eq!(lib.manifest(long.digest()).await, None);
    assert_eq!(lib.manifest(short.digest()).await.unwrap().bytes, Some(short.bytes()));
}

/// The algorithm included.
pub async fn a_tag_remembers_the_digest_it_was_set_to(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let (short, long) = (SampleManifest::image("a"), SampleManifest::image("a").under(Algorithm::Sha512));
    lib.push(minute(1), &short, &["short"]).await;
    lib.push(minute(1), &long, &["long"]).await;
    assert_eq!(lib.tag("short").await, Some(short.digest()));
    assert_eq!(lib.tag("long").await, Some(long.digest()));
    let records = store.tags(&lib.name, &page(None, 9)).await.unwrap().unwrap();
    let digests: Vec<_> = records.iter().map(|record| record.digest).collect();
    assert_eq!(digests, [long.digest(), short.digest()]);
}

/// It was wanted again, which is no event.
pub async fn a_tag_set_to_what_it_has_moves_its_time_alone(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let digest = lib.push(minute(1), &image, &["v1", "v2"]).await;
    assert_eq!(lib.commit(minute(2), [set_tag("v1", digest)]).await, []);
    let records = store.tags(&lib.name, &page(None, 9)).await.unwrap().unwrap();
    let updated: Vec<_> = records.iter().map(|record| record.updated).collect();
    assert_eq!(updated, [minute(2), minute(1)]);
}

/// And from then on it is found with its new manifest alone.
pub async fn a_tag_that_moves_tells_where_it_pointed(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let one = lib.push(minute(1), &SampleManifest::image("one"), &["v1", "latest"]).await;
    let two = lib.push(minute(2), &SampleManifest::image("two"), &["v2"]).await;
    let moved = Event::TagSet { tag: tag("latest"), digest: two, previous: Some(one) };
    assert_eq!(lib.commit(minute(3), [set_tag("latest", two)]).await, [moved]);
    assert_eq!(lib.tag("latest").await, Some(two));
    assert_eq!(store.tags_of(&lib.name, &one, limit(9)).await.unwrap(), [tag("v1")]);
    assert_eq!(store.tags_of(&lib.name, &two, limit(9)).await.unwrap(), [tag("latest"), tag("v2")]);
}

/// A tag is a name, not what it names.
pub async fn removing_a_tag_leaves_the_manifest_and_its_other_tags(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let digest = lib.push(minute(1), &SampleManifest::image("a"), &["v1", "v2"]).await;
    let removed = Event::TagRemoved { tag: tag("v1"), digest };
    assert_eq!(lib.commit(minute(2), [Change::RemoveTag(tag("v1"))]).await, [removed]);
    assert_eq!(lib.tag("v1").await, None);
    assert_eq!(lib.tag("v2").await, Some(digest));
    assert!(lib.manifest(digest).await.is_some());
    assert_eq!(lib.tags().await.unwrap(), ["v2"]);
}

/// All tags that point to it, in one event, and no others.
pub async fn removing_a_manifest_takes_its_tags_along(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let one = lib.push(minute(1), &SampleManifest::image("one"), &["v1", "Z", "latest", "0.1"]).await;
    let two = lib.push(minute(1), &SampleManifest::image("two"), &["v2"]).await;
    let tags = ["0.1", "Z", "latest", "v1"].map(tag).to_vec();
    let removed = Event::ManifestRemoved { digest: one, tags };
    assert_eq!(lib.commit(minute(2), [Change::RemoveManifest(one)]).await, [removed]);
    assert_eq!(lib.manifest(one).await, None);
    assert_eq!(lib.tags().await.unwrap(), ["v2"]);
    assert_eq!(lib.tag("latest").await, None);
    assert_eq!(lib.tag("v2").await, Some(two));
    assert_eq!(store.tags_of(&lib.name, &one, limit(9)).await.unwrap(), []);
}

/// Neither in a repository that is there nor in one that is not; a manifest of another repository is not there.
pub async fn a_tag_cannot_point_to_what_is_not_there(store: &dyn ManifestStore) {
    let (lib, other) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/b"));
    let digest = other.push(minute(1), &SampleManifest::image("a"), &["v1"]).await;
    assert_eq!(
        unmet(lib.attempt(minute(2), [], [set_tag("v1", digest)]).await),
        [Require::ManifestPresent(digest)]
    );
    assert_eq!(lib.id().await, None);
    lib.commit(minute(3), [Change::CreateRepository]).await;
    assert_eq!(
        unmet(lib.attempt(minute(4), [], [set_tag("v1", digest)]).await),
        [Require::ManifestPresent(digest)]
    );
    assert_eq!(lib.tags().await, Some(vec![]));
}

/// Each finds what those before it left.
pub async fn changes_apply_in_their_order(store: &dyn ManifestStore) {
    let lib = Scene::new(store, "lib/a");
    let image = SampleManifest::image("a");
    let digest = lib.push(minute(1), &image, &["v1"]).await;
    let (put, remove) = (Change::PutManifest(image.record()), Change::RemoveManifest(digest));

    let too_late = [remove.clone(), set_tag("v2", digest), put.clone()];
    assert_eq!(unmet(lib.attempt(minute(2), [], too_late).await), [Require::ManifestPresent(digest)]);
    let in_time = lib.commit(minute(3), [remove, put, set_tag("v2", digest)]).await;
    assert_eq!(in_time.len(), 3);
    assert_eq!(lib.tags().await.unwrap(), ["v2"]);
    lib.commit(minute(4), [set_tag("v3", digest), Change::RemoveTag(tag("v3"))]).await;
    assert_eq!(lib.tags().await.unwrap(), ["v2"]);
}

/// Whatever its changes had done by then: repositories, blobs, garbage, manifests, tags and events.
pub async fn nothing_of_a_commit_refused_on_its_way_is_left(store: &dyn ManifestStore) {
    let (lib, new) = (Scene::new(store, "lib/a"), Scene::new(store, "lib/new"));
    let (image, other) = (SampleManifest::image("a"), SampleManifest::image("other"));
    let digest = lib.push(minute(1), &image, &["v1", "v2"]).await;
    let layer = image.blobs().next().unwrap();
    let (fresh, absent) = (SampleBlob::new("fresh"), SampleBlob::new("absent").digest);
    let before = (log(store).await, lib.blob(&layer.digest).await, store.backlog().await.unwrap());

    let changes = [
        Change::CreateRepository,
        Change::LinkStored(fresh.stored_at("fresh")),
        Change::LinkStored(layer.stored_at("another place")),
        Change::PutManifest(other.record()),
        set_tag("v1", other.digest()),
        set_tag("v3", other.digest()),
        Change::RemoveManifest(digest),
        Change::UnlinkBlob(layer.digest),
    ];
    let refusals = [Change::LinkExisting(absent), set_tag("v4", absent)];
    for refusal in refusals {
        for scene in [&lib, &new] {
            let changes: Vec<_> = changes.iter().cloned().chain([refusal.clone()]).collect();
            scene.attempt(minute(2), [], changes).await.unwrap_err();
        }
        let removing = [Change::RemoveRepository, Change::CreateRepository, refusal];
        lib.attempt(minute(2), [], removing).await.unwrap_err();
    }

    assert_eq!((log(store).await, lib.blob(&layer.digest).await, store.backlog().await.unwrap()), before);
    assert_eq!(lib.tags().await.unwrap(), ["v1", "v2"]);
    assert_eq!(lib.tag("v1").await, Some(digest));
    assert_eq!(lib.unused_since(digest).await, Some(None));
    assert_eq!(lib.manifest(other.digest()).await, None);
    assert_eq!(lib.blob(&fresh.digest).await, None);
    assert_eq!(new.id().await, None);
    assert_eq!(garbage(store).await, []);
    assert_eq!(store.holders(&fresh.digest, &lib.name, limit(9)).await.unwrap(), []);
    assert_eq!(gone(lib.attempt(minute(3), [], [Change::LinkExisting(fresh.digest)]).await), fresh.digest);
}
