//! Repositories: what is said of them, and what is counted.

use super::*;
use crate::event::Event;
use crate::ports::PullCount;
use crate::testing::sample_images::SampleBlob;

/// Its event is that of a push that makes one; made again it stays as it is.
pub async fn a_repository_made_by_hand_is_as_it_was_said(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let attributes = Attributes {
        visibility: Visibility::Public,
        category: Category::Database,
        description: "words, \u{1f4e6} and \"quotes\"\n".into(),
    };
    let create =
        [MetadataChange::CreateRepository { name: repository_name("lib/a"), attributes: attributes.clone() }];
    let receipt = scene.by(&ada()).attempt(minute(1), [], create).await.unwrap();
    assert_eq!(receipt.effects, [Effect::Created]);
    assert_eq!(receipt.events, scene.log().await);
    assert_eq!(receipt.events.len(), 1);
    assert_eq!(receipt.events[0].event, Event::RepositoryCreated);
    assert_eq!(receipt.events[0].repository, repository_name("lib/a"));
    assert_eq!((receipt.events[0].at, &receipt.events[0].origin), (minute(1), &origin()));

    let details = scene.details("lib/a").await.unwrap();
    let organisation = store.organisation(&organisation_name("lib")).await.unwrap().unwrap();
    let expected = RepositoryDetails {
        id: store.repository(&repository_name("lib/a")).await.unwrap().unwrap(),
        name: repository_name("lib/a"),
        organisation: organisation.id,
        account: north().id,
        account_name: north().name,
        attributes,
        creator: Some((ada().id, ada().name)),
        created: minute(1),
        updated: minute(1),
        versions: 0,
        pulls: 0,
        size: 0,
    };
    assert_eq!(details, expected);
    assert!(store.is_listed(&repository_name("lib/a")).await.unwrap());

    let again = [create_repository("lib/a", Visibility::Private)];
    let again = scene.by(&bob()).attempt(minute(2), [], again).await.unwrap();
    assert_eq!((again.effects, again.events), (vec![Effect::Nothing], vec![]));
    assert_eq!(scene.details("lib/a").await, Some(expected));
}

/// Its creator is whoever pushed, its category the last one, and nothing is said of it.
pub async fn a_repository_that_a_push_makes_is_private(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.by(&bob()).push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
    scene.by(&cyd()).push(minute(2), "lib/a", &SampleManifest::image("b"), &["v2"]).await;
    let details = scene.details("lib/a").await.unwrap();
    assert_eq!(details.attributes, Attributes::default());
    assert_eq!(details.attributes.visibility, Visibility::Private);
    assert_eq!(details.attributes.category, Category::Other);
    assert_eq!(details.creator, Some((bob().id, bob().name)));
    assert_eq!((details.created, details.updated), (minute(1), minute(2)));
}

/// It is made when it comes to be listed, by whoever does that.
pub async fn a_hidden_repository_has_no_details(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let blob = SampleBlob::new("a layer");
    for name in ["lib/pushed", "lib/made"] {
        scene.by(&bob()).change(minute(1), name, [Change::LinkStored(blob.stored_at("here"))]).await;
        assert_eq!(scene.details(name).await, None);
        let about =
            [set_visibility(name, Visibility::Public), grant(on_repository(name), &bob(), GrantLevel::Read)];
        for change in about {
            let refused = unmet(scene.attempt(minute(1), [], [change]).await);
            assert_eq!(refused, [MetadataRequire::RepositoryExists(repository_name(name))]);
        }
    }
    assert_eq!(scene.listed(&repositories_of(&ada(), RepositoryList::Own)).await, (vec![], 0));
    scene.by(&cyd()).change(minute(2), "lib/pushed", [Change::CreateRepository]).await;
    let create = [create_repository("lib/made", Visibility::Public)];
    assert_eq!(scene.by(&cyd()).commit(minute(2), create).await, [Effect::Created]);
    for (name, visibility) in [("lib/pushed", Visibility::Private), ("lib/made", Visibility::Public)] {
        let details = scene.details(name).await.unwrap();
        assert_eq!(details.creator, Some((cyd().id, cyd().name)));
        assert_eq!((details.created, details.updated), (minute(2), minute(2)));
        assert_eq!((details.attributes.visibility, details.size), (visibility, 7));
    }
}

/// Strangers, the registry itself, and callers that are no users here.
pub async fn a_repository_made_by_nobody_has_no_creator(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let gone = user("north", "gone", Role::Member);
    let nobodies = [
        scene.clone(),
        scene.by_actor(Actor::Caller(Caller::Anonymous)),
        scene.by_actor(Actor::Caller(Caller::User(Identity::new("ada")))),
        scene.by(&gone),
    ];
    for (number, nobody) in nobodies.iter().enumerate() {
        let (made, pushed) = (format!("lib/made{number}"), format!("lib/pushed{number}"));
        nobody.commit(minute(1), [create_repository(&made, Visibility::Private)]).await;
        nobody.push(minute(1), &pushed, &SampleManifest::image("a"), &["v1"]).await;
        for name in [made, pushed] {
            let details = scene.details(&name).await.unwrap();
            assert_eq!((details.creator, details.created), (None, minute(1)), "{name}");
        }
    }
}

/// All of them, or nothing when they are what they were.
pub async fn attributes_are_said_anew(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let unknown = unmet(scene.attempt(minute(1), [], [set_visibility("lib/a", Visibility::Public)]).await);
    assert_eq!(unknown, [MetadataRequire::RepositoryExists(repository_name("lib/a"))]);
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    scene.commit(minute(1), [create_repository("lib/b", Visibility::Private)]).await;
    let (before, other) = (scene.details("lib/a").await.unwrap(), scene.details("lib/b").await);
    for (number, category) in (2..).zip(Category::ALL) {
        let visibility = if number % 2 == 0 { Visibility::Public } else { Visibility::Private };
        let description = "é".repeat(usize::try_from(number).unwrap() * 1000).into();
        let attributes = Attributes { visibility, category, description };
        let set = [set_attributes("lib/a", attributes.clone())];
        assert_eq!(scene.commit(minute(number), set.clone()).await, [Effect::Changed]);
        assert_eq!(scene.commit(minute(number + 50), set).await, [Effect::Nothing]);
        let expected = RepositoryDetails { attributes, updated: minute(number), ..before.clone() };
        assert_eq!(scene.details("lib/a").await, Some(expected));
    }
    assert_eq!(scene.details("lib/b").await, other);
}

/// Tags, the blobs it holds, each once, and pulls by tag and by digest.
pub async fn details_follow_what_the_repository_holds(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let shared = SampleBlob::new("a shared layer");
    let images = ["a", "b"].map(|name| SampleManifest::image(name).with_layer(&shared));
    let bytes_of =
        |image: &SampleManifest| -> u64 { image.blobs().map(|blob| blob.bytes.len() as u64).sum() };
    let digests = [
        scene.push(minute(1), "lib/a", &images[0], &["v1", "latest"]).await,
        scene.push(minute(2), "lib/a", &images[1], &["v2"]).await,
    ];
    scene.push(minute(2), "lib/b", &images[0], &["v1"]).await;
    let repository = repository_name("lib/a");
    let pulled = |reference: crate::reference::Reference, count| PullCount {
        repository: repository.clone(),
        reference,
        count,
        last: minute(3),
    };
    let pulls = [pulled(tag("v1").into(), 2), pulled(digests[0].into(), 3), pulled(tag("v3").into(), 100)];
    store.observe_pulls(&pulls).await.unwrap();
    let counted = async |name: &str| {
        let details = scene.details(name).await.unwrap();
        (details.versions, details.size, details.pulls)
    };
    let both = bytes_of(&images[0]) + bytes_of(&images[1]) - shared.bytes.len() as u64;
    assert_eq!(counted("lib/a").await, (3, both, 5));
    assert_eq!(counted("lib/b").await, (1, bytes_of(&images[0]), 0));

    scene.change(minute(4), "lib/a", [Change::RemoveManifest(digests[0])]).await;
    let own: Vec<_> = images[0].blobs().filter(|blob| **blob != shared).collect();
    let unlink: Vec<_> = own.iter().map(|blob| Change::UnlinkBlob(blob.digest)).collect();
    scene.change(minute(5), "lib/a", unlink).await;
    assert_eq!(counted("lib/a").await, (1, bytes_of(&images[1]), 5));
    assert_eq!(counted("lib/b").await, (1, bytes_of(&images[0]), 0));
}

/// When one is set, to whatever digest, or removed, by itself or with its manifest; not by what has no tag.
pub async fn a_repository_is_updated_by_its_tags(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let image = SampleManifest::image("a");
    let digest = scene.push(minute(1), "lib/a", &image, &["v1"]).await;
    let updated = async || scene.details("lib/a").await.unwrap().updated;
    let blob = SampleBlob::new("a layer");
    let untagged = SampleManifest::image("b");
    let steps: [(i64, Vec<Change>, bool); 9] = [
        (2, vec![set_tag("v1", digest)], true),
        (3, vec![Change::LinkStored(blob.stored_at("here"))], false),
        (4, vec![Change::PutManifest(untagged.record())], false),
        (5, vec![Change::RemoveTag(tag("v9"))], false),
        (6, vec![Change::RemoveManifest(untagged.digest())], false),
        (7, vec![set_tag("v2", digest)], true),
        (8, vec![Change::RemoveTag(tag("v2"))], true),
        (9, vec![Change::CreateRepository], false),
        (10, vec![Change::RemoveManifest(digest)], true),
    ];
    let mut expected = minute(1);
    for (at, changes, is_updated) in steps {
        scene.change(minute(at), "lib/a", changes.clone()).await;
        if is_updated {
            expected = minute(at);
        }
        assert_eq!(updated().await, expected, "{changes:?}");
    }
    scene.commit(minute(11), [grant(on_repository("lib/a"), &bob(), GrantLevel::Read)]).await;
    scene.commit(minute(12), [put_share("lib/a", &south(), Deadline::Never)]).await;
    assert_eq!((updated().await, scene.details("lib/a").await.unwrap().created), (expected, minute(1)));
}

/// The count of a repository never falls while it is there.
pub async fn pulls_stay_counted_when_what_was_pulled_is_gone(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let digest = scene.push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
    let repository = repository_name("lib/a");
    let pulled = PullCount { repository, reference: tag("v1").into(), count: 4, last: minute(2) };
    store.observe_pulls(std::slice::from_ref(&pulled)).await.unwrap();
    scene.change(minute(3), "lib/a", [Change::RemoveManifest(digest)]).await;
    store.observe_pulls(std::slice::from_ref(&pulled)).await.unwrap();
    assert_eq!(scene.details("lib/a").await.unwrap().pulls, 4);
    scene.push(minute(4), "lib/a", &SampleManifest::image("b"), &["v1"]).await;
    store.observe_pulls(&[pulled]).await.unwrap();
    assert_eq!(scene.details("lib/a").await.unwrap().pulls, 8);
    assert_eq!(store.overview(&north().id).await.unwrap().pulls, 8);
}

/// Neither what was said of the one before, nor its creator, its grants, its shares and its pulls.
pub async fn a_repository_made_again_inherits_nothing(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for round in 0..2 {
        let attributes = Attributes {
            visibility: Visibility::Public,
            category: Category::Linux,
            description: "the first".into(),
        };
        scene.by(&bob()).push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
        let changes = [
            set_attributes("lib/a", attributes),
            grant(on_repository("lib/a"), &bob(), GrantLevel::Manage),
            put_share("lib/a", &south(), Deadline::Never),
        ];
        scene.commit(minute(2), changes).await;
        let pulled = PullCount {
            repository: repository_name("lib/a"),
            reference: tag("v1").into(),
            count: 3,
            last: minute(2),
        };
        store.observe_pulls(&[pulled]).await.unwrap();
        assert_eq!(
            scene.standing(Some(&dan()), "lib/a").await.repository.unwrap().share,
            Some(Deadline::Never)
        );

        // In one step or in two, by hand or by a push.
        let again = if round == 0 { vec![Change::CreateRepository] } else { vec![] };
        let changes: Vec<_> = [Change::RemoveRepository].into_iter().chain(again).collect();
        scene.by(&cyd()).change(minute(3), "lib/a", changes).await;
        if round == 1 {
            assert_eq!(scene.details("lib/a").await, None);
            assert_eq!(scene.granted(&on_repository("lib/a")).await, None);
            let create = [create_repository("lib/a", Visibility::Private)];
            scene.by(&cyd()).commit(minute(3), create).await;
        }
        let details = scene.details("lib/a").await.unwrap();
        assert_eq!(details.attributes, Attributes::default());
        assert_eq!(details.creator, Some((cyd().id, cyd().name)));
        assert_eq!((details.created, details.updated), (minute(3), minute(3)));
        assert_eq!((details.versions, details.pulls, details.size), (0, 0, 0));
        assert_eq!(scene.granted(&on_repository("lib/a")).await, Some(vec![]));
        assert_eq!(store.shares(&repository_name("lib/a"), &page(None, 9)).await.unwrap(), Some(vec![]));
        for user in [bob(), dan()] {
            let standing = scene.standing(Some(&user), "lib/a").await.repository.unwrap();
            assert_eq!((standing.grant, standing.share), (None, None));
            assert_eq!((standing.id, standing.visibility), (details.id, Visibility::Private));
        }
        let with_us = RepositoryList::SharedWithUs { valid: None };
        assert_eq!(scene.listed(&repositories_of(&dan(), with_us)).await, (vec![], 0));
        scene.change(minute(4), "lib/a", [Change::RemoveRepository]).await;
    }
}
