//! Accounts and their users.

use super::*;

/// Nothing is there, and asking after it is no error.
pub async fn a_new_store_has_nobody(store: &dyn MetadataStore) {
    let scene = Scene::new(store);
    assert_eq!(store.account(&north().id).await.unwrap(), None);
    assert_eq!(store.account_named(&north().name).await.unwrap(), None);
    assert_eq!(store.accounts(&page(None, 9)).await.unwrap(), []);
    assert_eq!(store.user(&ada().id).await.unwrap(), None);
    assert_eq!(store.user_named(&north().id, &ada().name).await.unwrap(), None);
    assert_eq!(store.users(&north().id, &page(None, 9)).await.unwrap(), []);
    assert_eq!(store.key_holder(&key_id("AK")).await.unwrap(), None);
    assert_eq!(store.access_keys(&ada().id).await.unwrap(), []);
    assert_eq!(store.all_access_keys(&page(None, 9)).await.unwrap(), []);
    assert_eq!(store.token_keys().await.unwrap(), []);
    assert_eq!(store.organisation(&organisation_name("lib")).await.unwrap(), None);
    assert_eq!(store.organisations(&viewer(&ada()), true).await.unwrap(), []);
    assert_eq!(store.organisations_by(&ada().id).await.unwrap(), 0);
    assert_eq!(store.repositories_in(&organisation_name("lib")).await.unwrap(), 0);
    assert_eq!(scene.details("lib/a").await, None);
    assert_eq!(scene.listed(&repositories_of(&ada(), RepositoryList::Own)).await, (vec![], 0));
    assert_eq!(store.versions(&repository_name("lib/a"), &all_versions()).await.unwrap(), None);
    assert_eq!(store.shares(&repository_name("lib/a"), &page(None, 9)).await.unwrap(), None);
    assert_eq!(store.share(&repository_name("lib/a"), &south().id).await.unwrap(), None);
    assert_eq!(store.overview(&north().id).await.unwrap(), crate::ports::Overview::default());
    assert_eq!(scene.traces(&north()).await, []);
    assert_eq!(scene.trail().await, []);
    assert_eq!(scene.commit(minute(1), []).await, []);
    assert_eq!(scene.trail().await, []);
}

/// It may be renamed; then its old name finds nobody.
pub async fn an_account_is_found_by_its_id_and_its_name(store: &dyn MetadataStore) {
    let scene = Scene::new(store);
    let (north, south) = (north(), south());
    let put = |account: &Account| [MetadataChange::PutAccount(account.clone())];
    assert_eq!(scene.commit(minute(1), put(&north)).await, [Effect::Created]);
    assert_eq!(scene.commit(minute(1), put(&south)).await, [Effect::Created]);
    assert_eq!(scene.commit(minute(2), put(&north)).await, [Effect::Nothing]);
    assert_eq!(store.account(&north.id).await.unwrap(), Some(north.clone()));
    assert_eq!(store.account_named(&north.name).await.unwrap(), Some(north.clone()));

    let renamed = Account { name: AccountName::parse("North").unwrap(), ..north.clone() };
    assert_eq!(scene.commit(minute(3), put(&renamed)).await, [Effect::Changed]);
    assert_eq!(store.account_named(&north.name).await.unwrap(), None);
    assert_eq!(store.account_named(&renamed.name).await.unwrap(), Some(renamed.clone()));
    assert_eq!(store.account(&north.id).await.unwrap(), Some(renamed));
    assert_eq!(store.account(&south.id).await.unwrap(), Some(south));
}

/// Whatever the page begins after, whether it is there or not, and however small it is.
pub async fn accounts_come_page_by_page_in_the_order_of_their_names(store: &dyn MetadataStore) {
    // In byte order: case, dashes, dots and underscores, one the beginning of the other.
    let names = ["Math", "Z", "a", "math", "math-1", "math.1", "math1", "math_1", "z"];
    let mut shuffled = names;
    shuffled.reverse();
    shuffled.swap(2, 6);
    for name in shuffled {
        Scene::new(store).commit(minute(1), [MetadataChange::PutAccount(account(name))]).await;
    }
    let listed = async |after: Option<&str>, count| {
        let after = after.map(|name| AccountName::parse(name).unwrap());
        let accounts = store.accounts(&page(after, count)).await.unwrap();
        accounts.iter().map(|account| account.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 99).await, names);
    assert_eq!(listed(None, 2).await, names[..2]);
    assert_eq!(listed(Some("math"), 3).await, names[4..7]);
    assert_eq!(listed(Some("math-0"), 2).await, names[4..6]);
    assert_eq!(listed(Some("z"), 2).await, names[9..]);
}

/// Taking it from the one that has it is refused; it is free again when that one has another.
pub async fn a_name_belongs_to_one_account(store: &dyn MetadataStore) {
    let scene = Scene::new(store);
    scene.commit(minute(1), [north(), south()].map(MetadataChange::PutAccount)).await;
    let taking = [
        MetadataChange::PutAccount(Account { name: north().name, ..account("third") }),
        MetadataChange::PutAccount(Account { name: north().name, ..south() }),
    ];
    for taking in taking {
        let refused = unmet(scene.attempt(minute(2), [], [taking]).await);
        assert_eq!(refused, [MetadataRequire::AccountNameFree(north().name)]);
    }
    assert_eq!(store.accounts(&page(None, 9)).await.unwrap(), [north(), south()]);

    let renamed = Account { name: AccountName::parse("west").unwrap(), ..north() };
    let heir = Account { name: north().name, ..account("third") };
    let passing_on = [renamed, heir.clone()].map(MetadataChange::PutAccount);
    assert_eq!(scene.commit(minute(3), passing_on).await, [Effect::Changed, Effect::Created]);
    assert_eq!(store.account_named(&north().name).await.unwrap(), Some(heir));
}

/// In its account: a user of the same name in another account is another one.
pub async fn a_user_is_found_by_its_id_and_its_name(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let namesake = user("south", "ada", Role::Member);
    let put = |user: &User| [MetadataChange::PutUser(user.clone())];
    assert_eq!(scene.commit(minute(1), put(&namesake)).await, [Effect::Created]);
    assert_eq!(scene.commit(minute(1), put(&ada())).await, [Effect::Nothing]);
    assert_eq!(store.user(&ada().id).await.unwrap(), Some(ada()));
    assert_eq!(store.user_named(&north().id, &ada().name).await.unwrap(), Some(ada()));
    assert_eq!(store.user_named(&south().id, &ada().name).await.unwrap(), Some(namesake));
    assert_eq!(store.user_named(&north().id, &eve().name).await.unwrap(), None);

    let mut changed = bob();
    let changes: [fn(&mut User); 4] = [
        |user| user.password = None,
        |user| user.password = Some(PasswordHash::new("$argon2id$v=19$another")),
        |user| user.role = Role::Operator,
        |user| user.name = UserName::parse("Bob").unwrap(),
    ];
    for change in changes {
        change(&mut changed);
        assert_eq!(scene.commit(minute(2), put(&changed)).await, [Effect::Changed], "{changed:?}");
        assert_eq!(scene.commit(minute(3), put(&changed)).await, [Effect::Nothing], "{changed:?}");
        assert_eq!(store.user(&bob().id).await.unwrap().as_ref(), Some(&changed));
    }
    assert_eq!(store.user_named(&north().id, &bob().name).await.unwrap(), None);
    assert_eq!(store.user_named(&north().id, &changed.name).await.unwrap(), Some(changed));
}

/// Those of one account alone, with all that is known of them.
pub async fn users_come_page_by_page_in_the_order_of_their_names(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    for name in ["zoe", "Zoe", "bob-2", "bob.2"] {
        scene.commit(minute(1), [MetadataChange::PutUser(user("north", name, Role::Member))]).await;
    }
    let names = ["Zoe", "ada", "bob", "bob-2", "bob.2", "cyd", "zoe"];
    let listed = async |after: Option<&str>, count| {
        let after = after.map(|name| UserName::parse(name).unwrap());
        let users = store.users(&north().id, &page(after, count)).await.unwrap();
        users.iter().map(|user| user.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 99).await, names);
    assert_eq!(listed(Some("bob"), 2).await, names[3..5]);
    assert_eq!(listed(Some("bob-1"), 2).await, names[3..5]);
    assert_eq!(listed(Some("zoe"), 2).await, names[7..]);
    assert_eq!(store.users(&south().id, &page(None, 9)).await.unwrap(), [dan(), eve()]);
    assert_eq!(store.users(&account("third").id, &page(None, 9)).await.unwrap(), []);
}

/// Taking it from the one that has it is refused.
pub async fn a_name_belongs_to_one_user_of_an_account(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let taking =
        [User { name: ada().name, ..user("north", "new", Role::Member) }, User { name: ada().name, ..bob() }];
    for taking in taking {
        let refused = unmet(scene.attempt(minute(1), [], [MetadataChange::PutUser(taking)]).await);
        assert_eq!(refused, [MetadataRequire::UserNameFree { account: north().id, name: ada().name }]);
    }
    assert_eq!(store.users(&north().id, &page(None, 9)).await.unwrap(), [ada(), bob(), cyd()]);
}

/// There is no user of nobody.
pub async fn a_user_needs_its_account(store: &dyn MetadataStore) {
    let scene = Scene::new(store);
    let put = MetadataChange::PutUser(ada());
    let refused = unmet(scene.attempt(minute(1), [], [put.clone()]).await);
    assert_eq!(refused, [MetadataRequire::AccountExists(north().id)]);
    assert_eq!(store.user(&ada().id).await.unwrap(), None);
    assert_eq!(
        scene.commit(minute(1), [MetadataChange::PutAccount(north()), put]).await,
        [Effect::Created, Effect::Created]
    );
}

/// A user of the same name that comes after it has none of them, and neither has one of the same id.
pub async fn removing_a_user_takes_its_keys_and_its_grants(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for user in [bob(), cyd()] {
        let name = user.name.as_str();
        let changes = [
            create_repository("lib/a", Visibility::Private),
            MetadataChange::PutAccessKey(access_key(&format!("AK{name}"), &user, minute(1))),
            MetadataChange::PutTemporaryKey(temporary_key(&format!("TK{name}"), &user, None, minute(99))),
            grant(in_organisation("lib"), &user, GrantLevel::Read),
            grant(on_repository("lib/a"), &user, GrantLevel::Manage),
        ];
        scene.commit(minute(1), changes).await;
    }
    let remove = [MetadataChange::RemoveUser(bob().id)];
    assert_eq!(scene.commit(minute(2), remove.clone()).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(3), remove).await, [Effect::Nothing]);

    assert_eq!(store.user(&bob().id).await.unwrap(), None);
    assert_eq!(store.user_named(&north().id, &bob().name).await.unwrap(), None);
    scene.commit(minute(4), [MetadataChange::PutUser(bob())]).await;
    for key in ["AKbob", "TKbob"] {
        assert_eq!(store.key_holder(&key_id(key)).await.unwrap(), None, "{key}");
    }
    assert_eq!(store.access_keys(&bob().id).await.unwrap(), []);
    assert_eq!(
        store.all_access_keys(&page(None, 9)).await.unwrap(),
        [access_key("AKcyd", &cyd(), minute(1))]
    );
    let only_cyd = |level| Some(vec![("cyd".to_owned(), level)]);
    assert_eq!(scene.granted(&in_organisation("lib")).await, only_cyd(GrantLevel::Read));
    assert_eq!(scene.granted(&on_repository("lib/a")).await, only_cyd(GrantLevel::Manage));
    let standing = scene.standing(Some(&bob()), "lib/a").await;
    assert_eq!(standing.level_in_repository(), None);
    let requires = MetadataRequire::GrantFree { scope: in_organisation("lib"), user: bob().id };
    scene.attempt(minute(5), [requires], []).await.unwrap();
}

/// Organisations, repositories and shares, under the name that the user had.
pub async fn what_a_user_created_stays(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let by_ada = scene.by(&ada());
    by_ada.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    by_ada.push(minute(1), "lib/b", &SampleManifest::image("b"), &["v1"]).await;
    by_ada.commit(minute(1), [put_share("lib/a", &south(), Deadline::Never)]).await;
    scene.commit(minute(2), [MetadataChange::RemoveUser(ada().id)]).await;

    let organisation = store.organisation(&organisation_name("lib")).await.unwrap().unwrap();
    assert_eq!((organisation.creator, organisation.creator_name), (ada().id, ada().name));
    assert_eq!(store.organisations_by(&ada().id).await.unwrap(), 1);
    for name in ["lib/a", "lib/b"] {
        let details = scene.details(name).await.unwrap();
        assert_eq!(details.creator, Some((ada().id, ada().name)), "{name}");
    }
    let shared = store.share(&repository_name("lib/a"), &south().id).await.unwrap().unwrap().share;
    assert_eq!((shared.creator, shared.creator_name), (ada().id, ada().name));
}
