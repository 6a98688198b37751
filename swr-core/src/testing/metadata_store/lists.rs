//! Lists of repositories for one viewer, and what an account has.

use super::*;
use crate::ports::{Overview, PullCount};

/// All of the account's for its administrators; for others what is public and what was granted.
pub async fn own_repositories_are_those_that_the_viewer_may_pull(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_organisation("lib-x", &ada()),
        create_repository("lib/granted", Visibility::Private),
        create_repository("lib/private", Visibility::Private),
        create_repository("lib/public", Visibility::Public),
        create_repository("lib-x/private", Visibility::Private),
        create_repository("pub/private", Visibility::Private),
        create_repository("pub/public", Visibility::Public),
        grant(on_repository("lib/granted"), &bob(), GrantLevel::Read),
        grant(in_organisation("lib-x"), &bob(), GrantLevel::Read),
        grant(on_repository("pub/private"), &bob(), GrantLevel::Manage),
        put_share("pub/private", &north(), Deadline::Never),
    ];
    scene.commit(minute(1), changes).await;
    scene.change(minute(1), "lib", [Change::CreateRepository]).await;
    scene.change(minute(1), "elsewhere/a", [Change::CreateRepository]).await;

    let own = async |user: &User| scene.listed(&repositories_of(user, RepositoryList::Own)).await.0;
    assert_eq!(own(&ada()).await, ["lib-x/private", "lib/granted", "lib/private", "lib/public"]);
    assert_eq!(own(&bob()).await, ["lib-x/private", "lib/granted", "lib/public"]);
    assert_eq!(own(&cyd()).await, ["lib/public"]);
    assert_eq!(own(&dan()).await, ["pub/public"]);
    let details = store.repository_list(&repositories_of(&cyd(), RepositoryList::Own)).await.unwrap().entries;
    assert_eq!(details, [scene.details("lib/public").await.unwrap()]);
}

/// With the viewer's account, whoever of it looks; never those of the own account.
pub async fn shared_repositories_are_those_of_other_accounts(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        MetadataChange::PutAccount(account("west")),
        create_repository("lib/lasting", Visibility::Private),
        create_repository("lib/over", Visibility::Private),
        create_repository("lib/public", Visibility::Public),
        create_repository("lib/others", Visibility::Private),
        create_repository("lib/unshared", Visibility::Public),
        create_repository("pub/own", Visibility::Private),
        put_share("lib/lasting", &south(), Deadline::At(minute(101))),
        put_share("lib/over", &south(), Deadline::At(minute(100))),
        put_share("lib/public", &south(), Deadline::Never),
        put_share("lib/others", &account("west"), Deadline::Never),
        put_share("lib/lasting", &account("west"), Deadline::At(minute(1))),
        put_share("pub/own", &south(), Deadline::Never),
    ];
    scene.commit(minute(1), changes).await;
    for viewer in [eve(), dan()] {
        let shared = async |valid| {
            scene.listed(&repositories_of(&viewer, RepositoryList::SharedWithUs { valid })).await
        };
        let names =
            |names: &[&str]| (names.iter().map(ToString::to_string).collect::<Vec<_>>(), names.len() as u64);
        assert_eq!(shared(None).await, names(&["lib/lasting", "lib/over", "lib/public"]));
        assert_eq!(shared(Some(true)).await, names(&["lib/lasting", "lib/public"]));
        assert_eq!(shared(Some(false)).await, names(&["lib/over"]));
    }
    let none = repositories_of(&bob(), RepositoryList::SharedWithUs { valid: None });
    assert_eq!(scene.listed(&none).await, (vec![], 0));
}

/// With any account, for however long; of those alone that the viewer may pull, each once.
pub async fn own_repositories_that_are_shared_are_listed(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        MetadataChange::PutAccount(account("west")),
        create_repository("lib/twice", Visibility::Private),
        create_repository("lib/over", Visibility::Private),
        create_repository("lib/unshared", Visibility::Private),
        create_repository("pub/theirs", Visibility::Private),
        put_share("lib/twice", &south(), Deadline::Never),
        put_share("lib/twice", &account("west"), Deadline::Never),
        put_share("lib/over", &south(), Deadline::At(minute(2))),
        put_share("pub/theirs", &north(), Deadline::Never),
        grant(on_repository("lib/over"), &bob(), GrantLevel::Read),
    ];
    scene.commit(minute(1), changes).await;
    let by_us = async |user: &User| scene.listed(&repositories_of(user, RepositoryList::SharedByUs)).await;
    assert_eq!(by_us(&ada()).await, (vec!["lib/over".to_owned(), "lib/twice".to_owned()], 2));
    assert_eq!(by_us(&bob()).await, (vec!["lib/over".to_owned()], 1));
    assert_eq!(by_us(&cyd()).await, (vec![], 0));
}

/// Of the organisation's and of what comes after it, byte for byte: no character means another one.
pub async fn repositories_are_filtered_by_parts_of_their_names(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let organisations = ["lib-x", "alib", "math_voila"].map(|name| create_organisation(name, &ada()));
    scene.commit(minute(1), organisations).await;
    let names =
        ["alib/app", "lib-x/app-lib", "lib-x/web", "lib/app", "lib/my_app", "lib/myxapp", "math_voila/app"];
    let repositories = names.map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let listed = async |organisation: Option<&str>, name: Option<&str>| {
        let query = RepositoryQuery {
            organisation: organisation.map(Into::into),
            name: name.map(Into::into),
            ..repositories_of(&ada(), RepositoryList::Own)
        };
        let (names, total) = scene.listed(&query).await;
        assert_eq!(names.len() as u64, total);
        names
    };
    let apps = ["alib/app", "lib-x/app-lib", "lib/app", "lib/my_app", "lib/myxapp", "math_voila/app"];
    let cases: [(Option<&str>, Option<&str>, &[&str]); 13] = [
        (None, None, &names),
        (Some("lib"), None, &names[..6]),
        (Some("lib-x"), None, &names[1..3]),
        (None, Some("app"), &apps),
        (None, Some("lib"), &["lib-x/app-lib"]),
        (Some("lib"), Some("lib"), &["lib-x/app-lib"]),
        (None, Some("my_app"), &["lib/my_app"]),
        (Some("_"), None, &["math_voila/app"]),
        (None, Some("%"), &[]),
        (None, Some("*"), &[]),
        (None, Some("App"), &[]),
        (Some("LIB"), None, &[]),
        (None, Some("/"), &[]),
    ];
    for (organisation, name, expected) in cases {
        assert_eq!(listed(organisation, name).await, expected, "{organisation:?} {name:?}");
    }
    scene.change(minute(2), "lib/my/nested", [Change::CreateRepository]).await;
    assert_eq!(listed(None, Some("y/n")).await, ["lib/my/nested"]);
    assert_eq!(listed(None, Some("lib/m")).await, <[&str; 0]>::default());
}

/// Each alone and all together.
pub async fn repositories_are_filtered_by_what_is_said_of_them(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let of = |visibility, category| Attributes { visibility, category, ..Attributes::default() };
    let repositories = [
        ("lib/a", of(Visibility::Public, Category::Linux)),
        ("lib/b", of(Visibility::Private, Category::Linux)),
        ("lib/c", of(Visibility::Public, Category::Lang)),
        ("pub/d", of(Visibility::Private, Category::Linux)),
    ];
    for (name, attributes) in repositories {
        let name = repository_name(name);
        let changes = [
            MetadataChange::CreateRepository { name: name.clone(), attributes },
            put_share("pub/d", &north(), Deadline::Never),
        ];
        let is_shared = name.as_str() == "pub/d";
        scene.commit(minute(1), &changes[..1 + usize::from(is_shared)]).await;
    }
    let own = repositories_of(&ada(), RepositoryList::Own);
    let shared = repositories_of(&ada(), RepositoryList::SharedWithUs { valid: None });
    let with_category = |category| RepositoryQuery { category: Some(category), ..own.clone() };
    let with_visibility = |visibility| RepositoryQuery { visibility: Some(visibility), ..own.clone() };
    let with_account = |query: &RepositoryQuery, account: Account| RepositoryQuery {
        account: Some(account.name),
        ..query.clone()
    };
    let cases: [(RepositoryQuery, &[&str]); 9] = [
        (with_category(Category::Linux), &["lib/a", "lib/b"]),
        (with_category(Category::Other), &[]),
        (with_visibility(Visibility::Public), &["lib/a", "lib/c"]),
        (with_visibility(Visibility::Private), &["lib/b"]),
        (
            RepositoryQuery { visibility: Some(Visibility::Public), ..with_category(Category::Linux) },
            &["lib/a"],
        ),
        (with_account(&own, north()), &["lib/a", "lib/b", "lib/c"]),
        (with_account(&own, south()), &[]),
        (with_account(&shared, south()), &["pub/d"]),
        (with_account(&shared, north()), &[]),
    ];
    for (query, expected) in cases {
        let (names, total) = scene.listed(&query).await;
        assert_eq!(
            (names.as_slice(), total),
            (&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..], expected.len() as u64),
            "{query:?}"
        );
    }
}

/// Where an order leaves two equal, the name decides; backwards is the same list from its end.
pub async fn repositories_come_in_each_order_and_backwards(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(0), [MetadataChange::PutAccount(account("east"))]).await;
    let zoe = user("east", "zoe", Role::Administrator);
    scene.commit(minute(0), [MetadataChange::PutUser(zoe.clone())]).await;
    let organisations = [create_organisation("lib-x", &ada()), create_organisation("zoo", &zoe)];
    scene.commit(minute(0), organisations).await;
    let made = [
        ("lib/c", Visibility::Public, 4, &["v1", "v2"][..]),
        ("lib-x/a", Visibility::Private, 2, &["v1"]),
        ("lib/a", Visibility::Private, 3, &["v1", "v2", "v3"]),
        ("lib/b", Visibility::Public, 2, &["v1"]),
        ("zoo/b", Visibility::Private, 1, &[]),
        ("zoo/a", Visibility::Public, 5, &["v1", "v2"]),
    ];
    for (name, visibility, at, tags) in made {
        scene.commit(minute(at), [create_repository(name, visibility)]).await;
        scene.push(minute(at), name, &SampleManifest::image("a"), tags).await;
        scene.commit(minute(at), [put_share(name, &south(), Deadline::Never)]).await;
    }
    let orders: [(RepositoryOrder, [&str; 6]); 7] = [
        (RepositoryOrder::Identity, ["lib/c", "lib-x/a", "lib/a", "lib/b", "zoo/b", "zoo/a"]),
        (RepositoryOrder::Name, ["lib-x/a", "lib/a", "lib/b", "lib/c", "zoo/a", "zoo/b"]),
        (RepositoryOrder::Updated, ["zoo/b", "lib-x/a", "lib/b", "lib/a", "lib/c", "zoo/a"]),
        (RepositoryOrder::Versions, ["zoo/b", "lib-x/a", "lib/b", "lib/c", "zoo/a", "lib/a"]),
        (RepositoryOrder::Organisation, ["lib/a", "lib/b", "lib/c", "lib-x/a", "zoo/a", "zoo/b"]),
        (RepositoryOrder::Visibility, ["lib-x/a", "lib/a", "zoo/b", "lib/b", "lib/c", "zoo/a"]),
        (RepositoryOrder::Account, ["zoo/a", "zoo/b", "lib-x/a", "lib/a", "lib/b", "lib/c"]),
    ];
    for (order, mut expected) in orders {
        let list = RepositoryList::SharedWithUs { valid: Some(true) };
        let query = RepositoryQuery { order, ..repositories_of(&eve(), list) };
        assert_eq!(scene.listed(&query).await.0, expected, "{order:?}");
        expected.reverse();
        let backwards = RepositoryQuery { descending: true, ..query };
        assert_eq!(scene.listed(&backwards).await.0, expected, "{order:?} backwards");
    }
}

/// From an offset on, as many as asked for; how many there are in all is the same for each part.
pub async fn lists_of_repositories_come_in_parts_of_a_whole(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let names = ["lib/a", "lib/b", "lib/c", "lib/d", "lib/e"];
    let repositories = names.map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    scene.commit(minute(1), [create_repository("pub/x", Visibility::Public)]).await;
    let part = async |offset, count, descending| {
        let own = repositories_of(&ada(), RepositoryList::Own);
        scene.listed(&RepositoryQuery { offset, limit: limit(count), descending, ..own }).await
    };
    let of = |names: &[&str]| (names.iter().map(ToString::to_string).collect::<Vec<_>>(), 5);
    assert_eq!(part(0, 2, false).await, of(&names[..2]));
    assert_eq!(part(2, 2, false).await, of(&names[2..4]));
    assert_eq!(part(4, 2, false).await, of(&names[4..]));
    assert_eq!(part(5, 2, false).await, of(&[]));
    assert_eq!(part(u64::MAX, 2, false).await, of(&[]));
    assert_eq!(part(1, 2, true).await, of(&["lib/d", "lib/c"]));
}

/// Whatever comes and goes between two pages, nothing comes twice, and nothing that stays is left out.
pub async fn lists_of_repositories_come_page_by_page_in_the_order_of_their_ids(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for name in ["lib/e", "lib/a", "lib/d", "lib/b"] {
        scene.commit(minute(1), [create_repository(name, Visibility::Private)]).await;
    }
    let after = async |after_id: Option<i64>| {
        let own = repositories_of(&ada(), RepositoryList::Own);
        let query = RepositoryQuery { after_id, order: RepositoryOrder::Identity, limit: limit(2), ..own };
        let entries = store.repository_list(&query).await.unwrap().entries;
        let names: Vec<_> = entries.iter().map(|details| details.name.to_string()).collect();
        (names, entries.last().map(|last| last.id.0))
    };
    let (names, last) = after(None).await;
    assert_eq!(names, ["lib/e", "lib/a"]);
    scene.change(minute(2), "lib/a", [Change::RemoveRepository]).await;
    scene.commit(minute(2), [create_repository("lib/0", Visibility::Private)]).await;
    let (names, last) = after(last).await;
    assert_eq!(names, ["lib/d", "lib/b"]);
    let (names, last) = after(last).await;
    assert_eq!(names, ["lib/0"]);
    assert_eq!(after(last).await, (vec![], None));
}

/// Content that two repositories hold counts in each; nothing of other accounts counts.
pub async fn an_overview_counts_what_an_account_has(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_organisation("lib-x", &ada())]).await;
    let image = SampleManifest::image("a");
    scene.push(minute(1), "lib/a", &image, &["v1", "v2"]).await;
    scene.push(minute(1), "lib-x/b", &image, &["v1"]).await;
    scene.push(minute(1), "pub/c", &image, &["v1"]).await;
    scene.push(minute(1), "elsewhere/d", &image, &["v1"]).await;
    let blob = crate::testing::sample_images::SampleBlob::new("unfinished");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("there"))]).await;
    for (name, count) in [("lib/a", 3), ("lib-x/b", 2), ("pub/c", 7)] {
        let (repository, reference) = (repository_name(name), tag("v1").into());
        store.observe_pulls(&[PullCount { repository, reference, count, last: minute(2) }]).await.unwrap();
    }
    let bytes: u64 = image.blobs().map(|blob| blob.bytes.len() as u64).sum();
    let of_north = Overview { organisations: 2, repositories: 2, versions: 3, bytes: 2 * bytes, pulls: 5 };
    assert_eq!(store.overview(&north().id).await.unwrap(), of_north);
    let of_south = Overview { organisations: 1, repositories: 1, versions: 1, bytes, pulls: 7 };
    assert_eq!(store.overview(&south().id).await.unwrap(), of_south);
    assert_eq!(store.overview(&account("third").id).await.unwrap(), Overview::default());
}
