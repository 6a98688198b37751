//! Who may do what, and what the others learn.

use swr_core::caller::{Caller, Reach};
use swr_core::commit::{Grounds, RepositoryId};
use swr_core::digest::{Algorithm, Digest};
use swr_core::error::Need;
use swr_core::ports::{Action, ManifestStore};
use swr_core::reference::Reference;
use swr_core::registry::Precondition;
use swr_core::stream::ByteStream;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_core::testing::stepping::Plan;
use swr_core::upload::UploadId;
use swr_core::{Access, Error, RepositoryName};
use swr_policy::SwrNaming;

use crate::scene::{Scene, page, repository, tag, tagged, user};

/// What every operation of a caller on a repository answers, by its name: pulls first, then pushes, then
/// deletions.
async fn all_operations(
    access: &Access<'_>,
    on: &RepositoryName,
    image: &SampleManifest,
) -> Vec<(&'static str, Action, Option<Error>)> {
    let blob: Digest = image.blobs().next().unwrap().digest;
    let upload = UploadId::parse(&"0".repeat(32)).unwrap();
    let (by_tag, by_hash): (Reference, Reference) = (tag("v1").into(), image.digest().into());
    let (v1, any) = (tag("v1"), Precondition::None);
    vec![
        ("stat_manifest", Action::Pull, access.stat_manifest(on, &by_tag).await.err()),
        ("pull_manifest", Action::Pull, access.pull_manifest(on, &by_hash).await.err()),
        ("stat_blob", Action::Pull, access.stat_blob(on, &blob).await.err()),
        ("pull_blob", Action::Pull, access.pull_blob(on, &blob, &[]).await.err()),
        ("tags", Action::Pull, access.tags(on, &page(None, 10)).await.err()),
        ("referrers", Action::Pull, access.referrers(on, &blob, None, &page(None, 10)).await.err()),
        ("begin_upload", Action::Push, access.begin_upload(on, Algorithm::Sha256).await.err()),
        ("find_upload", Action::Push, access.find_upload(on, &upload).await.err()),
        (
            "append_upload",
            Action::Push,
            access.append_upload(on, &upload, None, ByteStream::empty()).await.err(),
        ),
        ("finish_upload", Action::Push, access.finish_upload(on, &upload, &blob).await.err()),
        ("cancel_upload", Action::Push, access.cancel_upload(on, &upload).await.err()),
        ("push_blob", Action::Push, access.push_blob(on, &blob, ByteStream::empty()).await.err()),
        ("mount_blob", Action::Push, access.mount_blob(on, &blob, None).await.err()),
        ("push_manifest", Action::Push, access.push_manifest(on, tagged("v2", image)).await.err()),
        ("remove_tag", Action::Delete, access.remove_tag(on, &v1, any.clone()).await.err()),
        ("remove_manifest", Action::Delete, access.remove_manifest(on, &image.digest(), any).await.err()),
        ("unlink_blob", Action::Delete, access.unlink_blob(on, &blob).await.err()),
    ]
}

#[tokio::test]
async fn whoever_may_not_gets_the_same_answer_from_every_operation_and_changes_nothing() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    for action in [Action::Pull, Action::Push, Action::Delete] {
        for on in ["o/app", "o/absent"] {
            scene.rules.deny(user("bob"), action, on);
            scene.rules.deny(Caller::Anonymous, action, on);
        }
    }
    for on in ["o/app", "o/absent"] {
        scene.rules.hide(user("eve"), on);
    }
    let eve = scene.registry.access(user("eve"), Default::default());
    let before = (scene.events().await, scene.uploads().await, scene.contents().await);
    for on in ["o/app", "o/absent"] {
        let on = repository(on);
        for (operation, action, error) in all_operations(&scene.bob(), &on, &image).await {
            assert!(matches!(error, Some(Error::Denied(_))), "{operation} {action:?}: {error:?}");
        }
        for (operation, action, error) in all_operations(&eve, &on, &image).await {
            assert!(matches!(error, Some(Error::NameUnknown { .. })), "{operation} {action:?}: {error:?}");
        }
        for (operation, action, error) in all_operations(&scene.stranger(), &on, &image).await {
            let actions = match action {
                Action::Pull => vec![Action::Pull],
                Action::Push => vec![Action::Pull, Action::Push],
                Action::Delete => vec![Action::Delete],
            };
            let expected = [Need { repository: on.clone(), actions }];
            assert!(
                matches!(&error, Some(Error::Unauthorized { needs }) if *needs == expected),
                "{operation} {action:?}: {error:?}"
            );
        }
    }
    assert_eq!((scene.events().await, scene.uploads().await, scene.contents().await), before);
}

#[tokio::test]
async fn an_authorizer_that_fails_lets_nobody_in() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    let on = repository("o/app");
    let before = (scene.events().await, scene.uploads().await);
    for access in [scene.ada(), scene.stranger()] {
        scene.steps.plan(Plan::Failing("decide"));
        for (operation, _, error) in all_operations(&access, &on, &image).await {
            assert!(matches!(error, Some(Error::Store(_))), "{operation}: {error:?}");
        }
        let error = access.repositories(&page(None, 10)).await.unwrap_err();
        assert!(matches!(error, Error::Store(_)), "{error:?}");
    }
    assert_eq!((scene.events().await, scene.uploads().await), before);
}

#[tokio::test]
async fn a_right_that_vanished_meanwhile_refuses_the_change() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    let is = scene.manifests.inner().repository(&repository("o/app")).await.unwrap().unwrap();
    let was = Grounds { repository: Some(RepositoryId(is.0 + 1)), ..Grounds::default() };
    let other = SampleManifest::image("other");
    scene.push_blobs("o/app", &other).await;
    for (caller, action) in [(user("bob"), Action::Push), (Caller::Anonymous, Action::Delete)] {
        scene.rules.allow_once_on(caller.clone(), action, "o/app", was.clone());
        scene.rules.deny(caller, action, "o/app");
    }
    let error = scene.bob().push_manifest(&repository("o/app"), tagged("v1", &other)).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
    let error =
        scene.stranger().remove_tag(&repository("o/app"), &tag("v1"), Precondition::None).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_eq!(scene.digest_of("o/app", "v1").await, Some(image.digest()));
}

#[tokio::test]
async fn a_right_that_rests_on_something_else_by_now_is_asked_for_again() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("o/app", "v1", &image).await;
    let is = scene.manifests.inner().repository(&repository("o/app")).await.unwrap().unwrap();
    let grounds = |id| Grounds { repository: Some(id), ..Grounds::default() };
    let eve = scene.registry.access(user("eve"), Default::default());
    scene.rules.allow_once_on(user("eve"), Action::Push, "o/app", grounds(RepositoryId(is.0 + 1)));
    scene.rules.allow_once_on(user("eve"), Action::Push, "o/app", grounds(is));
    eve.push_manifest(&repository("o/app"), tagged("v2", &image)).await.unwrap();
    assert_eq!(scene.digest_of("o/app", "v2").await, Some(image.digest()));

    // Who is told of the same grounds again and again, although they do not hold, may try later.
    scene.rules.allow_on(user("eve"), Action::Push, "o/app", grounds(RepositoryId(is.0 + 1)));
    let error = eve.push_manifest(&repository("o/app"), tagged("v3", &image)).await.unwrap_err();
    assert!(matches!(error, Error::TooManyRequests { .. }), "{error:?}");
    assert_eq!(scene.digest_of("o/app", "v3").await, None);
}

#[tokio::test]
async fn a_name_that_is_not_admitted_does_not_come_into_being() {
    let scene = Scene::with(|builder| builder.naming(std::sync::Arc::new(SwrNaming::new())));
    let image = SampleManifest::image("app");
    scene.push("organisation/app", "v1", &image).await;
    for name in ["app", "organisation/nested/app", "0rganisation/app"] {
        let to = repository(name);
        let blob = SampleBlob::new("content");
        let refused = [
            scene.ada().begin_upload(&to, Algorithm::Sha256).await.err(),
            scene.ada().push_blob(&to, &blob.digest, blob.bytes.clone().into()).await.err(),
            scene.ada().mount_blob(&to, &image.blobs().next().unwrap().digest, None).await.err(),
            scene.ada().push_manifest(&to, tagged("v1", &image)).await.err(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert!(matches!(error, Error::NameRefused(_)), "{name}: {error:?}");
            assert_eq!(error.to_string(), "'repository' is invalid");
        }
        // What is refused is said to those who may not push as well; strangers sign in first.
        scene.rules.deny(user("bob"), Action::Push, name);
        scene.rules.deny(Caller::Anonymous, Action::Push, name);
        let error = scene.bob().begin_upload(&to, Algorithm::Sha256).await.unwrap_err();
        assert!(matches!(error, Error::NameRefused(_)), "{name}: {error:?}");
        let error = scene.stranger().begin_upload(&to, Algorithm::Sha256).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{name}: {error:?}");
        // It is asked when a name is made, never when it is read.
        let error = scene.ada().tags(&to, &page(None, 1)).await.unwrap_err();
        assert!(matches!(error, Error::NameUnknown { .. }), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_repository_that_exists_keeps_its_name_when_the_policy_is_tightened() {
    let before = Scene::new();
    let image = SampleManifest::image("app");
    before.push("app", "v1", &image).await;
    let tightened = swr_core::Registry::builder(
        std::sync::Arc::clone(&before.blobs),
        std::sync::Arc::clone(&before.manifests) as _,
        std::sync::Arc::clone(&before.rules) as _,
    )
    .naming(std::sync::Arc::new(SwrNaming::new()))
    .build();
    let ada = tightened.access(user("ada"), Default::default());
    ada.push_manifest(&repository("app"), tagged("v2", &image)).await.unwrap();
    assert!(matches!(
        ada.begin_upload(&repository("other"), Algorithm::Sha256).await,
        Err(Error::NameRefused(_))
    ));
}

#[tokio::test]
async fn the_catalogue_is_for_tokens_that_list_it() {
    let scene = Scene::new();
    scene.push("a/1", "v1", &SampleManifest::image("app")).await;
    let everything = std::collections::BTreeSet::from([Action::Pull, Action::Push, Action::Delete]);
    let narrow: Reach = [(repository("a/1"), everything)].into_iter().collect();
    let all = page(None, 9);
    let refused = scene.ada().within(narrow.clone()).repositories(&all).await;
    assert!(matches!(refused, Err(Error::Unauthorized { needs }) if needs.is_empty()));
    // The caller's own rights count then, and not what the token gives in repositories.
    for reach in [narrow.with_catalogue(), Reach::default().with_catalogue()] {
        let listed = scene.ada().within(reach).repositories(&all).await.unwrap();
        assert_eq!(listed.entries, [repository("a/1")]);
    }
}

#[tokio::test]
async fn the_catalogue_is_what_the_caller_may_read() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    for name in ["a/1", "a/2", "b/1", "b/2", "c"] {
        scene.push(name, "v1", &image).await;
    }
    scene.push_blob("a/hidden", &SampleBlob::new("no manifest")).await;
    scene.rules.deny(user("ada"), Action::Pull, "a/2");
    scene.rules.hide(user("ada"), "b/1");
    let list = async |after: Option<&str>, limit| {
        let page = page(after.map(repository), limit);
        let listed = scene.ada().repositories(&page).await.unwrap();
        let names: Vec<_> = listed.entries.iter().map(ToString::to_string).collect();
        (names.join(" "), listed.more)
    };
    assert_eq!(list(None, 10).await, ("a/1 b/2 c".into(), false));
    assert_eq!(list(None, 1).await, ("a/1".into(), true));
    assert_eq!(list(Some("a/1"), 1).await, ("b/2".into(), true));
    assert_eq!(list(Some("b/2"), 1).await, ("c".into(), false));
    assert_eq!(list(Some("b/1"), 5).await, ("b/2 c".into(), false), "after a name that is not shown");

    // An authorizer that lists is asked once, for one page.
    scene.rules.list(&["b/1", "c"]);
    assert_eq!(list(None, 1).await, ("b/1".into(), true));
    assert_eq!(list(Some("b/1"), 1).await, ("c".into(), false));
}
