//! Grants: given, changed, taken back.

use super::*;

/// Each with the user's name as it is now.
pub async fn grants_come_in_the_order_of_their_users_names(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    for scope in [in_organisation("lib"), on_repository("lib/a")] {
        assert_eq!(scene.granted(&scope).await, Some(vec![]));
        let changes = [
            grant(scope.clone(), &cyd(), GrantLevel::Read),
            grant(scope.clone(), &ada(), GrantLevel::Manage),
            grant(scope.clone(), &bob(), GrantLevel::Edit),
        ];
        assert_eq!(scene.commit(minute(2), changes).await, [Effect::Created; 3]);
        let expected = [("ada", GrantLevel::Manage), ("bob", GrantLevel::Edit), ("cyd", GrantLevel::Read)];
        let expected = expected.map(|(name, level)| (name.to_owned(), level));
        assert_eq!(scene.granted(&scope).await.unwrap(), expected);
        let granted = store.grants(&scope).await.unwrap().unwrap();
        let users: Vec<_> = granted.into_iter().map(|granted| granted.user).collect();
        assert_eq!(users, [ada().id, bob().id, cyd().id]);
    }
    let renamed = User { name: UserName::parse("Zoe").unwrap(), ..bob() };
    scene.commit(minute(3), [MetadataChange::PutUser(renamed)]).await;
    let names: Vec<_> =
        scene.granted(&in_organisation("lib")).await.unwrap().into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["Zoe", "ada", "cyd"]);
}

/// Upwards and downwards; one of the same level stays as it is, whenever it is given.
pub async fn a_grant_is_changed_and_removed(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    for scope in [in_organisation("lib"), on_repository("lib/a")] {
        let levels = [GrantLevel::Edit, GrantLevel::Manage, GrantLevel::Read];
        for (number, level) in levels.into_iter().enumerate() {
            let expected = if number == 0 { Effect::Created } else { Effect::Changed };
            let put = grant(scope.clone(), &bob(), level);
            assert_eq!(scene.commit(minute(2), [put]).await, [expected]);
            let again = MetadataChange::PutGrant(Grant {
                scope: scope.clone(),
                user: bob().id,
                level,
                created: minute(50),
            });
            assert_eq!(scene.commit(minute(3), [again]).await, [Effect::Nothing]);
            assert_eq!(scene.granted(&scope).await, Some(vec![("bob".to_owned(), level)]));
        }
        let remove = [remove_grant(scope.clone(), &bob())];
        assert_eq!(scene.commit(minute(4), remove.clone()).await, [Effect::Removed]);
        assert_eq!(scene.commit(minute(4), remove).await, [Effect::Nothing]);
        assert_eq!(scene.granted(&scope).await, Some(vec![]));
    }
}

/// And so are those on repositories whose names look alike.
pub async fn grants_on_an_organisation_and_on_its_repositories_are_told_apart(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let scopes = [in_organisation("lib"), on_repository("lib/a"), on_repository("lib/a-b")];
    let repositories = ["lib/a", "lib/a-b", "lib/b"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let levels = [GrantLevel::Read, GrantLevel::Edit, GrantLevel::Manage];
    for (scope, level) in scopes.iter().zip(levels) {
        scene.commit(minute(1), [grant(scope.clone(), &bob(), level)]).await;
    }
    let bobs = async |name: &str| {
        let standing = scene.standing(Some(&bob()), name).await;
        (standing.organisation.unwrap().grant, standing.repository.unwrap().grant)
    };
    let read = Some(GrantLevel::Read);
    assert_eq!(bobs("lib/a").await, (read, Some(GrantLevel::Edit)));
    assert_eq!(bobs("lib/a-b").await, (read, Some(GrantLevel::Manage)));
    assert_eq!(bobs("lib/b").await, (read, None));
    scene.commit(minute(2), [remove_grant(in_organisation("lib"), &bob())]).await;
    assert_eq!(bobs("lib/a").await, (None, Some(GrantLevel::Edit)));
    scene.commit(minute(3), [remove_grant(on_repository("lib/a"), &bob())]).await;
    assert_eq!(bobs("lib/a").await, (None, None));
    assert_eq!(bobs("lib/a-b").await, (None, Some(GrantLevel::Manage)));
}

/// As long as there is no such organisation or listed repository; taking one back there is no error.
pub async fn grants_on_what_is_not_there_are_unknown(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let blob = crate::testing::sample_images::SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    let scopes = [in_organisation("unknown"), on_repository("lib/unknown"), on_repository("lib/hidden")];
    for scope in scopes {
        assert_eq!(scene.granted(&scope).await, None, "{scope:?}");
        assert_eq!(scene.commit(minute(2), [remove_grant(scope, &bob())]).await, [Effect::Nothing]);
    }
}

/// There is no grant on nothing, and none of nobody.
pub async fn a_grant_needs_what_it_is_on_and_its_user(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let unknown = user("north", "unknown", Role::Member);
    let user_exists = MetadataRequire::UserExists(unknown.id.clone());
    let organisation_exists = MetadataRequire::OrganisationExists(organisation_name("unknown"));
    let repository_exists = MetadataRequire::RepositoryExists(repository_name("lib/unknown"));
    let lacking = [
        (in_organisation("unknown"), bob(), vec![organisation_exists.clone()]),
        (on_repository("lib/unknown"), bob(), vec![repository_exists]),
        (in_organisation("lib"), unknown.clone(), vec![user_exists.clone()]),
        (on_repository("lib/a"), unknown.clone(), vec![user_exists.clone()]),
        (in_organisation("unknown"), unknown, vec![organisation_exists, user_exists]),
    ];
    for (scope, user, expected) in lacking {
        let put = [grant(scope, &user, GrantLevel::Read)];
        assert_eq!(unmet(scene.attempt(minute(2), [], put).await), expected);
    }
    assert_eq!(scene.granted(&in_organisation("lib")).await, Some(vec![]));
}
