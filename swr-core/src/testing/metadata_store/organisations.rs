//! Organisations, and who is shown them.

use super::*;
use crate::control::organisation::ListedOrganisation;

/// Whoever is said to, in the account that is said; made again it stays as it is.
pub async fn an_organisation_says_who_made_it_and_when(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let create = [create_organisation("lib", &ada())];
    assert_eq!(scene.commit(minute(1), create.clone()).await, [Effect::Created]);
    let organisation = store.organisation(&organisation_name("lib")).await.unwrap().unwrap();
    assert_eq!(organisation.name, organisation_name("lib"));
    assert_eq!(organisation.account, north().id);
    assert_eq!((&organisation.creator, &organisation.creator_name), (&ada().id, &ada().name));
    assert_eq!(organisation.created, minute(1));

    assert_eq!(scene.by(&eve()).commit(minute(2), create).await, [Effect::Nothing]);
    let renamed = User { name: UserName::parse("Ada").unwrap(), ..ada() };
    scene.commit(minute(3), [MetadataChange::PutUser(renamed)]).await;
    assert_eq!(store.organisation(&organisation_name("lib")).await.unwrap(), Some(organisation));
    assert_eq!(store.organisation(&organisation_name("lib-x")).await.unwrap(), None);
}

/// In the whole deployment: whoever else wants it is refused, of another account or of the same.
pub async fn a_name_belongs_to_one_organisation(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let before = store.organisation(&organisation_name("lib")).await.unwrap();
    for creator in [eve(), bob()] {
        let taking = [create_organisation("lib", &creator)];
        let refused = unmet(scene.attempt(minute(1), [], taking).await);
        assert_eq!(refused, [MetadataRequire::OrganisationFree(organisation_name("lib"))]);
    }
    assert_eq!(store.organisation(&organisation_name("lib")).await.unwrap(), before);
    assert_eq!(store.organisations_by(&eve().id).await.unwrap(), 1);
}

/// Nobody makes one for another account, or for one that is not there.
pub async fn an_organisation_needs_its_creator_in_its_account(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let strangers = [
        User { account: south().id, ..ada() },
        User { account: account("third").id, ..ada() },
        user("north", "nobody", Role::Administrator),
    ];
    for stranger in strangers {
        let refused = unmet(scene.attempt(minute(1), [], [create_organisation("lib", &stranger)]).await);
        assert_eq!(refused, [MetadataRequire::UserOf { user: stranger.id, account: stranger.account }]);
    }
    assert_eq!(store.organisation(&organisation_name("lib")).await.unwrap(), None);
}

/// No grant on the one of its name that there was before, and not its id.
pub async fn an_organisation_made_again_inherits_nothing(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let id = async || store.organisation(&organisation_name("lib")).await.unwrap().unwrap().id;
    let mut ids = vec![id().await];
    for round in 1..4 {
        scene.commit(minute(round), [grant(in_organisation("lib"), &bob(), GrantLevel::Manage)]).await;
        let standing = scene.standing(Some(&bob()), "lib/a").await;
        assert_eq!(standing.level_in_organisation(), Some(GrantLevel::Manage));

        assert_eq!(scene.commit(minute(round), [remove_organisation("lib")]).await, [Effect::Removed]);
        assert_eq!(scene.commit(minute(round), [remove_organisation("lib")]).await, [Effect::Nothing]);
        assert_eq!(store.organisation(&organisation_name("lib")).await.unwrap(), None);
        assert_eq!(scene.granted(&in_organisation("lib")).await, None);

        // Removed and made in one step it is another as well.
        let again = match round {
            2 => vec![create_organisation("lib", &ada()), remove_organisation("lib")],
            _ => vec![],
        };
        let again: Vec<_> = again.into_iter().chain([create_organisation("lib", &ada())]).collect();
        scene.commit(minute(round), again).await;
        assert_eq!(scene.granted(&in_organisation("lib")).await, Some(vec![]));
        assert_eq!(scene.standing(Some(&bob()), "lib/a").await.level_in_organisation(), None);
        ids.push(id().await);
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

/// In the order of their names: all of the account's for its administrators, those granted for others. A grant
/// on another account's organisation is worth nothing.
pub async fn organisations_are_listed_for_whoever_has_a_level_in_them(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_organisation("lib-x", &ada()),
        create_organisation("a", &ada()),
        create_organisation("lib0", &ada()),
        grant(in_organisation("lib0"), &bob(), GrantLevel::Read),
        grant(in_organisation("lib"), &bob(), GrantLevel::Edit),
        grant(in_organisation("pub"), &bob(), GrantLevel::Manage),
        grant(in_organisation("lib"), &ada(), GrantLevel::Read),
        create_repository("lib/a", Visibility::Private),
        create_repository("lib/b", Visibility::Public),
        create_repository("lib-x/a", Visibility::Public),
    ];
    scene.commit(minute(1), changes).await;

    let manage = Some(GrantLevel::Manage);
    let all = [("a", manage, 0), ("lib", manage, 2), ("lib-x", manage, 1), ("lib0", manage, 0)];
    let granted = [("lib", Some(GrantLevel::Edit), 2), ("lib0", Some(GrantLevel::Read), 0)];
    for partly in [false, true] {
        assert_eq!(seen(store, &ada(), partly).await, all.map(owned));
        assert_eq!(seen(store, &bob(), partly).await, granted.map(owned));
        assert_eq!(seen(store, &cyd(), partly).await, []);
        assert_eq!(seen(store, &eve(), partly).await, [owned(("pub", manage, 0))]);
    }
    let listed = store.organisations(&viewer(&bob()), false).await.unwrap();
    let organisation = store.organisation(&organisation_name("lib")).await.unwrap().unwrap();
    assert_eq!(listed[0].organisation, organisation);
}

/// When parts are wanted as well; hidden repositories are none, and neither are those of other accounts.
pub async fn organisations_are_listed_for_whoever_has_a_part_of_them(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_organisation("lib-x", &ada()),
        create_organisation("lib0", &ada()),
        create_repository("lib/a", Visibility::Private),
        create_repository("lib/b", Visibility::Private),
        create_repository("lib-x/a", Visibility::Private),
        create_repository("lib0/a", Visibility::Private),
        create_repository("pub/a", Visibility::Public),
        grant(on_repository("lib/a"), &bob(), GrantLevel::Manage),
        grant(on_repository("lib/b"), &bob(), GrantLevel::Read),
        grant(on_repository("lib-x/a"), &bob(), GrantLevel::Read),
        grant(in_organisation("lib-x"), &bob(), GrantLevel::Edit),
        grant(on_repository("lib0/a"), &bob(), GrantLevel::Read),
        grant(on_repository("pub/a"), &bob(), GrantLevel::Manage),
        grant(on_repository("lib/a"), &cyd(), GrantLevel::Read),
    ];
    scene.commit(minute(1), changes).await;
    scene.change(minute(2), "lib0/a", [Change::RemoveRepository]).await;

    let edit = Some(GrantLevel::Edit);
    assert_eq!(seen(store, &bob(), false).await, [owned(("lib-x", edit, 1))]);
    let partly = [("lib", None, 2), ("lib-x", edit, 1)].map(owned);
    assert_eq!(seen(store, &bob(), true).await, partly);
    assert_eq!(seen(store, &cyd(), false).await, []);
    assert_eq!(seen(store, &cyd(), true).await, [owned(("lib", None, 2))]);
}

/// Those whose name begins with it, however a push or a hand made them; hidden ones are not listed, and names that
/// look alike are others.
pub async fn an_organisation_counts_the_repositories_listed_in_it(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let count = async |name: &str| store.repositories_in(&organisation_name(name)).await.unwrap();
    scene.commit(minute(1), [create_organisation("lib-x", &ada())]).await;
    let blob = crate::testing::sample_images::SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    assert_eq!(count("lib").await, 0);
    for name in ["lib", "lib-x/a", "lib0/a", "other/lib", "lib_x/lib"] {
        scene.change(minute(1), name, [Change::CreateRepository]).await;
    }
    assert_eq!(count("lib").await, 0);
    scene.by(&ada()).push(minute(2), "lib/pushed", &SampleManifest::image("a"), &[]).await;
    assert_eq!(count("lib").await, 1);
    scene.commit(minute(3), [create_repository("lib/made", Visibility::Private)]).await;
    scene.change(minute(3), "lib/nested/deep", [Change::CreateRepository]).await;
    assert_eq!((count("lib").await, count("lib-x").await, count("unknown").await), (3, 1, 0));
    scene.change(minute(4), "lib/pushed", [Change::RemoveRepository]).await;
    assert_eq!(count("lib").await, 2);
    let listed = store.organisations(&viewer(&ada()), false).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.repositories).collect::<Vec<_>>(), [2, 1]);
}

/// Whoever has them now, and however many others there are.
pub async fn organisations_count_for_their_creator_while_they_are_there(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [create_organisation("a", &ada()), create_organisation("b", &bob())];
    scene.commit(minute(1), changes).await;
    let count = async |user: User| store.organisations_by(&user.id).await.unwrap();
    assert_eq!((count(ada()).await, count(bob()).await, count(cyd()).await), (2, 1, 0));
    scene.commit(minute(2), [remove_organisation("a"), create_organisation("c", &bob())]).await;
    assert_eq!((count(ada()).await, count(bob()).await, count(cyd()).await), (1, 2, 0));
}

/// They are still in the catalogue, and in an organisation of the name again when there is one.
pub async fn repositories_of_a_removed_organisation_are_in_none(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Public)]).await;
    scene.commit(minute(1), [put_share("lib/a", &south(), Deadline::Never)]).await;
    scene.commit(minute(2), [remove_organisation("lib")]).await;
    assert_eq!(scene.details("lib/a").await, None);
    assert_eq!(scene.listed(&repositories_of(&ada(), RepositoryList::Own)).await, (vec![], 0));
    let with_us = RepositoryList::SharedWithUs { valid: None };
    assert_eq!(scene.listed(&repositories_of(&dan(), with_us)).await, (vec![], 0));
    assert_eq!(store.overview(&north().id).await.unwrap().repositories, 0);
    assert!(store.is_listed(&repository_name("lib/a")).await.unwrap());
    let standing = scene.standing(Some(&ada()), "lib/a").await;
    assert_eq!((standing.organisation, standing.user.is_some()), (None, true));
    assert!(standing.repository.is_some());

    scene.commit(minute(3), [create_organisation("lib", &ada())]).await;
    let details = scene.details("lib/a").await.unwrap();
    let organisation = store.organisation(&organisation_name("lib")).await.unwrap().unwrap();
    assert_eq!((details.organisation, details.created), (organisation.id, minute(1)));
}

/// The organisations that the user is shown, how much it may do in each, and how many repositories they have.
async fn seen(
    store: &dyn MetadataStore,
    user: &User,
    partly: bool,
) -> Vec<(String, Option<GrantLevel>, u64)> {
    let listed = store.organisations(&viewer(user), partly).await.unwrap();
    let seen = listed.into_iter().map(|ListedOrganisation { organisation, level, repositories }| {
        (organisation.name.to_string(), level, repositories)
    });
    seen.collect()
}

fn owned((name, level, repositories): (&str, Option<GrantLevel>, u64)) -> (String, Option<GrantLevel>, u64) {
    (name.to_owned(), level, repositories)
}
