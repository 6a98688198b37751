//! Manifests and blobs, out.

use bytes::Bytes;
use chrono::TimeDelta;
use swr_core::digest::Algorithm;
use swr_core::ports::{BlobStore, ManifestStore};
use swr_core::reference::Reference;
use swr_core::registry::{Content, Limits};
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::Plan;
use swr_core::{ByteRange, Error};

use crate::scene::{Scene, page, repository, tag};

#[tokio::test]
async fn a_blob_is_read_where_its_repository_holds_it_and_nowhere_else() {
    let scene = Scene::new();
    for algorithm in Algorithm::ALL {
        let blob = SampleBlob::of(algorithm, Bytes::from_static(b"content"));
        scene.push_blob("o/app", &blob).await;
        assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
        assert_eq!(scene.ada().stat_blob(&repository("o/app"), &blob.digest).await.unwrap().size, 7);
        for elsewhere in ["o/other", "o"] {
            let error = scene.read(elsewhere, &blob.digest).await.unwrap_err();
            assert!(matches!(error, Error::BlobUnknown { .. }), "{error:?}");
            let error = scene.ada().stat_blob(&repository(elsewhere), &blob.digest).await.unwrap_err();
            assert!(matches!(error, Error::BlobUnknown { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn the_blob_of_no_bytes_is_a_blob() {
    let scene = Scene::new();
    let empty = SampleBlob::new("");
    scene.push_blob("o/app", &empty).await;
    assert_eq!(scene.read("o/app", &empty.digest).await.unwrap(), Bytes::new());
    let error = scene
        .ada()
        .pull_blob(&repository("o/app"), &empty.digest, &[ByteRange::From { first: 0 }])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::RangeUnsatisfiable { size: 0 }), "{error:?}");
}

#[tokio::test]
async fn ranges_are_served_in_parts_and_joined_where_they_meet() {
    let scene = Scene::new();
    let blob = SampleBlob::new("0123456789");
    scene.push_blob("o/app", &blob).await;
    let span = |first, last| ByteRange::Span { first, last };
    for (ranges, expected) in [
        (&[span(2, 4)][..], &[(2..5, "234")][..]),
        (&[span(8, 100)], &[(8..10, "89")]),
        (&[ByteRange::Last { count: 3 }], &[(7..10, "789")]),
        (&[span(5, 6), span(0, 1), span(100, 200)], &[(5..7, "56"), (0..2, "01")]),
        (&[span(0, 4), span(3, 6), span(7, 7)], &[(0..8, "01234567")]),
    ] {
        let pulled = scene.ada().pull_blob(&repository("o/app"), &blob.digest, ranges).await.unwrap();
        assert_eq!(pulled.size, 10);
        let Content::Parts(parts) = pulled.content else { panic!("{ranges:?}: {:?}", pulled.content) };
        let mut read = Vec::new();
        for (range, body) in parts {
            assert_eq!(body.length(), Some(range.end - range.start));
            read.push((range, String::from_utf8(body.collect(10).await.unwrap().into()).unwrap()));
        }
        let expected: Vec<_> =
            expected.iter().map(|(range, text)| (range.clone(), (*text).to_owned())).collect();
        assert_eq!(read, expected, "{ranges:?}");
    }
    for ranges in [&[span(10, 20)][..], &[span(5, 0)], &[span(10, 20), ByteRange::Last { count: 0 }]] {
        let error = scene.ada().pull_blob(&repository("o/app"), &blob.digest, ranges).await.unwrap_err();
        assert!(matches!(error, Error::RangeUnsatisfiable { size: 10 }), "{error:?}");
    }
}

#[tokio::test]
async fn more_ranges_than_the_limit_get_the_whole() {
    let scene = Scene::with(|builder| builder.limits(Limits { ranges_max: 2, ..Limits::default() }));
    let blob = SampleBlob::new("0123456789");
    scene.push_blob("o/app", &blob).await;
    let at = |first| ByteRange::Span { first, last: first };
    let pull = async |ranges: &[ByteRange]| {
        scene.ada().pull_blob(&repository("o/app"), &blob.digest, ranges).await.unwrap().content
    };
    assert!(matches!(pull(&[at(0), at(2), at(4)]).await, Content::Whole(_)));
    // Three that are one after they were joined, and one more.
    assert!(matches!(pull(&[at(0), at(1), at(2), at(4)]).await, Content::Parts(parts) if parts.len() == 2));
}

#[tokio::test]
async fn content_that_is_not_where_its_record_says_is_a_fault_and_never_absence() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    let stored = scene.push_blob("o/app", &blob).await;
    scene.blobs.inner().delete(&stored.location).await.unwrap();
    let error = scene.read("o/app", &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
}

#[tokio::test]
async fn content_that_is_shorter_than_its_record_is_a_fault() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    scene.steps.plan(Plan::Short);
    for ranges in [&[][..], &[ByteRange::From { first: 2 }]] {
        let error = scene.ada().pull_blob(&repository("o/app"), &blob.digest, ranges).await.unwrap_err();
        assert!(matches!(error, Error::Store(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_small_blob_is_read_once_and_known_for_as_long_as_it_is_linked() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    let stored = scene.push_blob("o/app", &blob).await;
    scene.read("o/app", &blob.digest).await.unwrap();
    scene.blobs.inner().delete(&stored.location).await.unwrap();
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    let range = [ByteRange::Last { count: 3 }];
    match scene.ada().pull_blob(&repository("o/app"), &blob.digest, &range).await.unwrap().content {
        Content::Parts(parts) => {
            for (range, body) in parts {
                assert_eq!((range, body.collect(9).await.unwrap()), (4..7, blob.bytes.slice(4..7)));
            }
        }
        other => panic!("{other:?}"),
    }

    let error = scene.read("o/other", &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }), "in another repository: {error:?}");
    scene.ada().unlink_blob(&repository("o/app"), &blob.digest).await.unwrap();
    let error = scene.read("o/app", &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }), "after it was removed: {error:?}");
}

#[tokio::test]
async fn a_small_blob_that_is_not_what_it_should_be_is_a_fault_and_not_remembered() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    scene.steps.plan(Plan::Flipped);
    let error = scene.read("o/app", &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    scene.steps.plan(Plan::Plain);
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn a_blob_that_was_brought_again_meanwhile_is_read_where_it_is_now() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    let old = scene.push_blob("o/app", &blob).await;
    scene.manifests.inner().quarantine(&blob.digest, &old.location).await.unwrap();
    let error = scene.read("o/app", &blob.digest).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }), "quarantined: {error:?}");

    let new = scene.push_blob("o/app", &blob).await;
    assert_ne!(old.location, new.location);
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
}

#[tokio::test]
async fn clients_are_sent_to_the_store_where_the_host_says_so_and_the_store_has_an_address() {
    let blob = SampleBlob::new("content");
    for (host_says_so, has_address) in [(true, true), (true, false), (false, true)] {
        let scene = Scene::with(|builder| builder.redirects(host_says_so));
        scene.push_blob("o/app", &blob).await;
        if has_address {
            scene.steps.plan(Plan::Addressed);
        }
        let range = [ByteRange::From { first: 100 }];
        let pulled = scene.ada().pull_blob(&repository("o/app"), &blob.digest, &range).await;
        match pulled {
            Ok(pulled) => {
                assert!(host_says_so && has_address && matches!(pulled.content, Content::Redirect(_)))
            }
            Err(error) => {
                assert!(!(host_says_so && has_address) && matches!(error, Error::RangeUnsatisfiable { .. }));
            }
        }
        let error = scene.bob().pull_blob(&repository("o/other"), &blob.digest, &[]).await.unwrap_err();
        assert!(matches!(error, Error::BlobUnknown { .. }), "an address is a way to read: {error:?}");
    }
}

#[tokio::test]
async fn who_wants_bytes_is_sent_nowhere() {
    let blob = SampleBlob::new("content");
    let scene = Scene::with(|builder| builder.redirects(true));
    scene.push_blob("o/app", &blob).await;
    scene.steps.plan(Plan::Addressed);
    let ada = scene.ada().without_redirects();
    let pulled = ada.pull_blob(&repository("o/app"), &blob.digest, &[]).await.unwrap();
    assert!(matches!(pulled.content, Content::Whole(_)), "{pulled:?}");
}

#[tokio::test]
async fn a_head_in_the_second_half_of_the_hold_lasts_for_at_least_the_other_half() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    let events = scene.events().await;
    for _ in 0..6 {
        scene.pass(TimeDelta::hours(13));
        scene.ada().stat_blob(&repository("o/app"), &blob.digest).await.unwrap();
        scene.caretaker().collect().await.unwrap().unwrap();
    }
    assert_eq!(scene.read("o/app", &blob.digest).await.unwrap(), blob.bytes);
    assert_eq!(scene.events().await, events, "a link that is renewed is no event");

    // Reading alone does not hold it.
    scene.pass(TimeDelta::hours(13));
    scene.read("o/app", &blob.digest).await.unwrap();
    scene.pass(TimeDelta::hours(12));
    scene.caretaker().collect().await.unwrap().unwrap();
    assert!(matches!(scene.read("o/app", &blob.digest).await, Err(Error::BlobUnknown { .. })));
}

#[tokio::test]
async fn a_head_in_the_first_half_writes_nothing() {
    let scene = Scene::new();
    let blob = SampleBlob::new("content");
    scene.push_blob("o/app", &blob).await;
    scene.pass(TimeDelta::hours(11));
    scene.steps.plan(Plan::Full("commit"));
    scene.ada().stat_blob(&repository("o/app"), &blob.digest).await.unwrap();
    scene.steps.plan(Plan::Plain);
    scene.pass(TimeDelta::hours(14));
    scene.caretaker().collect().await.unwrap().unwrap();
    assert!(matches!(scene.read("o/app", &blob.digest).await, Err(Error::BlobUnknown { .. })));
}

#[tokio::test]
async fn an_unused_manifest_that_is_asked_for_stays() {
    let scene = Scene::new();
    let (old, new) = (SampleManifest::image("old"), SampleManifest::image("new"));
    scene.push("o/app", "v1", &old).await;
    scene.push("o/app", "v1", &new).await;
    let reference = Reference::Digest(old.digest());
    for pulls in 0..4 {
        scene.pass(TimeDelta::days(4));
        if pulls % 2 == 0 {
            scene.ada().pull_manifest(&repository("o/app"), &reference).await.unwrap();
        } else {
            scene.ada().stat_manifest(&repository("o/app"), &reference).await.unwrap();
        }
        scene.caretaker().collect().await.unwrap().unwrap();
    }
    scene.pass(TimeDelta::days(8));
    scene.caretaker().collect().await.unwrap().unwrap();
    let error = scene.ada().pull_manifest(&repository("o/app"), &reference).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }), "{error:?}");
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(new.digest()));
}

#[tokio::test]
async fn reading_goes_on_when_there_is_no_room_to_write() {
    let scene = Scene::new();
    let (old, new) = (SampleManifest::image("old"), SampleManifest::image("new"));
    scene.push("o/app", "v1", &old).await;
    scene.push("o/app", "v1", &new).await;
    let loose = SampleBlob::new("loose");
    scene.push_blob("o/app", &loose).await;
    scene.pass(TimeDelta::days(6));
    scene.steps.plan(Plan::Full("commit"));
    let old = Reference::Digest(old.digest());
    scene.ada().pull_manifest(&repository("o/app"), &old).await.unwrap();
    scene.ada().stat_manifest(&repository("o/app"), &old).await.unwrap();
    scene.ada().stat_blob(&repository("o/app"), &loose.digest).await.unwrap();
}

#[tokio::test]
async fn a_manifest_at_hand_is_served_though_it_cannot_be_kept_and_not_promised() {
    let scene = Scene::new();
    let (old, new) = (SampleManifest::image("old"), SampleManifest::image("new"));
    scene.push("o/app", "v1", &old).await;
    scene.push("o/app", "v1", &new).await;
    scene.pass(TimeDelta::days(6));
    scene.steps.plan(Plan::Failing("commit"));
    let old = Reference::Digest(old.digest());
    scene.ada().pull_manifest(&repository("o/app"), &old).await.unwrap();
    let error = scene.ada().stat_manifest(&repository("o/app"), &old).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
}

#[tokio::test]
async fn many_pulls_are_written_some_at_a_time_and_each_once() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    let tags: Vec<String> = (0..150).map(|number| format!("v{number}")).collect();
    for name in &tags {
        scene.push("o/app", name, &image).await;
        scene.ada().pull_manifest(&repository("o/app"), &Reference::Tag(tag(name))).await.unwrap();
    }
    // What was written before the fault is not written again.
    scene.steps.plan(Plan::FailBefore(2));
    scene.caretaker().flush_pulls().await.unwrap_err();
    assert_eq!(scene.caretaker().flush_pulls().await.unwrap(), 50);
    for name in &tags {
        let reference = Reference::Tag(tag(name));
        let pulls = scene.manifests.inner().pulls(&repository("o/app"), &reference).await.unwrap().unwrap();
        assert_eq!(pulls.count, 1, "{name}");
    }
}

#[tokio::test]
async fn pulls_are_counted_and_written_in_one_go() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    let (by_tag, by_digest) = (Reference::Tag(tag("v1")), Reference::Digest(image.digest()));
    for _ in 0..3 {
        scene.ada().pull_manifest(&repository("o/app"), &by_tag).await.unwrap();
    }
    scene.pass(TimeDelta::minutes(1));
    scene.ada().pull_manifest(&repository("o/app"), &by_digest).await.unwrap();
    // A clock that goes back makes no pull older.
    scene.pass(TimeDelta::minutes(-1));
    scene.ada().pull_manifest(&repository("o/app"), &by_digest).await.unwrap();
    scene.ada().stat_manifest(&repository("o/app"), &by_tag).await.unwrap();

    // What cannot be written is counted on.
    scene.steps.plan(Plan::FailBefore(1));
    scene.caretaker().flush_pulls().await.unwrap_err();
    assert_eq!(scene.caretaker().flush_pulls().await.unwrap(), 2);
    assert_eq!(scene.caretaker().flush_pulls().await.unwrap(), 0);

    let pulls = async |reference| {
        let pulls = scene.manifests.inner().pulls(&repository("o/app"), reference).await.unwrap().unwrap();
        (pulls.count, pulls.last)
    };
    assert_eq!(pulls(&by_tag).await, (3, swr_core::testing::minute(0)));
    assert_eq!(pulls(&by_digest).await, (2, swr_core::testing::minute(1)));
}

#[tokio::test]
async fn tags_are_listed_page_by_page_after_any_name() {
    let scene = Scene::with(|builder| builder.limits(Limits { page_max: 3, ..Limits::default() }));
    let image = SampleManifest::image("app");
    for name in ["b", "a", "C", "d", "_x"] {
        scene.push("o/app", name, &image).await;
    }
    let list = async |after: Option<&str>, limit| {
        let page = page(after.map(tag), limit);
        let listed = scene.ada().tags(&repository("o/app"), &page).await.unwrap();
        (
            listed.entries.iter().map(|record| record.tag.to_string()).collect::<Vec<_>>().join(" "),
            listed.more,
        )
    };
    assert_eq!(list(None, 2).await, ("C _x".into(), true));
    assert_eq!(list(Some("_x"), 3).await, ("a b d".into(), false));
    assert_eq!(list(Some("aa"), 1).await, ("b".into(), true), "after a name that is not there");
    assert_eq!(list(Some("zz"), 1).await, (String::new(), false));
    assert_eq!(list(None, 1000).await, ("C _x a".into(), true), "the registry's own limit");

    let error = scene.ada().tags(&repository("o/none"), &page(None, 1)).await.unwrap_err();
    assert!(matches!(error, Error::NameUnknown { .. }), "{error:?}");
    scene.push_blob("o/blobs", &SampleBlob::new("x")).await;
    let error = scene.ada().tags(&repository("o/blobs"), &page(None, 1)).await.unwrap_err();
    assert!(matches!(error, Error::NameUnknown { .. }), "no manifest has been pushed yet: {error:?}");
}

#[tokio::test]
async fn clones_of_a_registry_are_one_registry() {
    let scene = Scene::new();
    let clone = scene.registry.clone();
    let mut committed = clone.committed();
    scene.push_blob("o/app", &SampleBlob::new("x")).await;
    committed.changed().await;
    let wait = std::pin::pin!(committed.changed());
    assert!(futures_util::FutureExt::now_or_never(wait).is_none(), "one commit wakes once");
}
