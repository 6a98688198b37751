//! What a metadata commit may ask to be true, and what its changes need.

use super::*;
use crate::testing::sample_images::SampleBlob;

/// Each of the requirements, alone, is met.
async fn met(scene: &Scene<'_>, requires: impl IntoIterator<Item = MetadataRequire>) {
    for require in requires {
        let outcome = scene.attempt(minute(9), [require.clone()], []).await;
        assert!(outcome.is_ok(), "{require:?} should be met: {outcome:?}");
    }
}

/// Each of the requirements, alone, is not met.
async fn not_met(scene: &Scene<'_>, requires: impl IntoIterator<Item = MetadataRequire>) {
    for require in requires {
        assert_eq!(unmet(scene.attempt(minute(9), [require.clone()], []).await), [require]);
    }
}

fn account_name_free(text: &str) -> MetadataRequire {
    MetadataRequire::AccountNameFree(AccountName::parse(text).unwrap())
}

fn user_name_free(account: &Account, text: &str) -> MetadataRequire {
    MetadataRequire::UserNameFree { account: account.id.clone(), name: UserName::parse(text).unwrap() }
}

fn organisation_free(text: &str) -> MetadataRequire {
    MetadataRequire::OrganisationFree(organisation_name(text))
}

/// Names of accounts and of organisations in the deployment, names of users in their account.
pub async fn names_are_free_until_they_are_taken(store: &dyn MetadataStore) {
    let scene = Scene::new(store);
    let taken = [account_name_free("north"), user_name_free(&north(), "ada"), organisation_free("lib")];
    met(&scene, taken.clone()).await;
    let scene = Scene::settled(store).await;
    not_met(&scene, taken).await;
    let free = [
        account_name_free("North"),
        account_name_free("ada"),
        user_name_free(&north(), "Ada"),
        user_name_free(&south(), "ada"),
        user_name_free(&account("unknown"), "ada"),
        organisation_free("lib-x"),
        organisation_free("north"),
    ];
    met(&scene, free).await;
    let removals = [MetadataChange::RemoveUser(ada().id), remove_organisation("lib")];
    scene.commit(minute(1), removals).await;
    met(&scene, [user_name_free(&north(), "ada"), organisation_free("lib")]).await;
}

/// A user in its own account alone.
pub async fn accounts_and_users_exist_or_they_do_not(store: &dyn MetadataStore) {
    let account_exists = |account: Account| MetadataRequire::AccountExists(account.id);
    let user_exists = |user: User| MetadataRequire::UserExists(user.id);
    let of = |user: User, account: Account| MetadataRequire::UserOf { user: user.id, account: account.id };
    let there = [account_exists(north()), user_exists(ada()), of(ada(), north())];
    not_met(&Scene::new(store), there.clone()).await;
    let scene = Scene::peopled(store).await;
    met(&scene, there).await;
    let absent = [
        account_exists(account("unknown")),
        user_exists(user("north", "unknown", Role::Member)),
        of(ada(), south()),
        of(ada(), account("unknown")),
        of(user("north", "unknown", Role::Member), north()),
    ];
    not_met(&scene, absent).await;
    scene.commit(minute(1), [MetadataChange::RemoveUser(ada().id)]).await;
    not_met(&scene, [user_exists(ada()), of(ada(), north())]).await;
}

/// In whatever account; an administrator is none.
pub async fn an_operator_beside_another_is_found_anywhere(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let beside = |user: User| MetadataRequire::OperatorBeside(user.id);
    let operator = |user: User| MetadataChange::PutUser(User { role: Role::Operator, ..user });
    not_met(&scene, [beside(ada()), beside(bob())]).await;
    scene.commit(minute(1), [operator(ada())]).await;
    not_met(&scene, [beside(ada())]).await;
    met(&scene, [beside(bob()), beside(user("north", "unknown", Role::Member))]).await;
    scene.commit(minute(2), [operator(dan())]).await;
    met(&scene, [beside(ada()), beside(dan())]).await;
    scene.commit(minute(3), [MetadataChange::RemoveUser(dan().id)]).await;
    not_met(&scene, [beside(ada())]).await;
}

/// Keys of both kinds have their ids together, those of tokens have others; an access key is its user's alone.
pub async fn keys_are_free_and_whose_they_are(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let free = |id: &str| MetadataRequire::KeyFree(key_id(id));
    let of = |id: &str, user: User| MetadataRequire::AccessKeyOf { key: key_id(id), user: user.id };
    met(&scene, [free("AK1"), free("TK1")]).await;
    not_met(&scene, [of("AK1", bob())]).await;
    let changes = [
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), None, minute(2))),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
    ];
    scene.commit(minute(1), changes).await;
    not_met(&scene, [free("AK1"), free("TK1")]).await;
    met(&scene, [free("KK1"), free("ak1"), of("AK1", bob())]).await;
    not_met(&scene, [of("AK1", cyd()), of("TK1", bob()), of("AK2", bob())]).await;
    scene.commit(minute(2), [MetadataChange::RemoveAccessKey(key_id("AK1"))]).await;
    met(&scene, [free("AK1")]).await;
    not_met(&scene, [of("AK1", bob())]).await;
}

/// The user's own; temporary ones do not count.
pub async fn access_keys_are_fewer_than_a_limit(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let fewer = |user: User, limit| MetadataRequire::AccessKeysFewerThan { user: user.id, limit };
    met(&scene, [fewer(bob(), 1), fewer(user("north", "unknown", Role::Member), 1)]).await;
    not_met(&scene, [fewer(bob(), 0)]).await;
    for id in ["AK1", "AK2"] {
        scene.commit(minute(1), [MetadataChange::PutAccessKey(access_key(id, &bob(), minute(1)))]).await;
    }
    let others = [
        MetadataChange::PutAccessKey(access_key("AK3", &cyd(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), None, minute(99))),
    ];
    scene.commit(minute(1), others).await;
    not_met(&scene, [fewer(bob(), 1), fewer(bob(), 2)]).await;
    met(&scene, [fewer(bob(), 3), fewer(cyd(), 2)]).await;
    scene.commit(minute(2), [MetadataChange::RemoveAccessKey(key_id("AK1"))]).await;
    met(&scene, [fewer(bob(), 2)]).await;
}

/// Without a listed repository, whoever made it and whatever is hidden; where there is none of the name there is
/// nothing in it.
pub async fn organisations_exist_and_are_empty(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let exists = |name: &str| MetadataRequire::OrganisationExists(organisation_name(name));
    let empty = |name: &str| MetadataRequire::OrganisationEmpty(organisation_name(name));
    scene.commit(minute(1), [create_organisation("lib-x", &ada())]).await;
    met(&scene, [exists("lib"), empty("lib"), empty("unknown")]).await;
    not_met(&scene, [exists("unknown"), exists("li")]).await;
    let blob = SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    scene.change(minute(1), "lib", [Change::CreateRepository]).await;
    scene.change(minute(1), "lib-x/a", [Change::CreateRepository]).await;
    met(&scene, [empty("lib")]).await;
    not_met(&scene, [empty("lib-x")]).await;

    scene.by(&bob()).push(minute(2), "lib/a", &SampleManifest::image("a"), &[]).await;
    not_met(&scene, [empty("lib")]).await;
    scene.change(minute(3), "lib/a", [Change::RemoveRepository]).await;
    met(&scene, [empty("lib")]).await;
    scene.commit(minute(4), [create_repository("lib/b", Visibility::Private)]).await;
    not_met(&scene, [empty("lib")]).await;
}

/// By their creator, and by their account; of those that there are.
pub async fn organisations_are_fewer_than_a_limit(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let by = |user: User, limit| MetadataRequire::OrganisationsByFewerThan { user: user.id, limit };
    let of =
        |account: Account, limit| MetadataRequire::OrganisationsOfFewerThan { account: account.id, limit };
    scene.commit(minute(1), [create_organisation("a", &ada()), create_organisation("b", &bob())]).await;
    not_met(&scene, [by(ada(), 0), by(ada(), 2), by(bob(), 1), by(eve(), 1)]).await;
    met(&scene, [by(ada(), 3), by(bob(), 2), by(cyd(), 1)]).await;
    not_met(&scene, [of(north(), 3), of(south(), 1)]).await;
    met(&scene, [of(north(), 4), of(south(), 2), of(account("unknown"), 1)]).await;
    scene.commit(minute(2), [remove_organisation("a")]).await;
    met(&scene, [by(ada(), 2), of(north(), 3)]).await;
}

/// Listed ones; a hidden one does not exist, and its name is free.
pub async fn repositories_exist_and_are_private(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let name = repository_name("lib/a");
    let exists = MetadataRequire::RepositoryExists(name.clone());
    let free = MetadataRequire::RepositoryFree(name.clone());
    let private = MetadataRequire::RepositoryPrivate(name);
    let blob = SampleBlob::new("a layer");
    for _ in 0..2 {
        met(&scene, [free.clone()]).await;
        not_met(&scene, [exists.clone(), private.clone()]).await;
        scene.change(minute(1), "lib/a", [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    scene.change(minute(2), "lib/a", [Change::CreateRepository]).await;
    met(&scene, [exists.clone(), private.clone()]).await;
    not_met(&scene, [free.clone()]).await;
    scene.commit(minute(3), [set_visibility("lib/a", Visibility::Public)]).await;
    met(&scene, [exists.clone()]).await;
    not_met(&scene, [free.clone(), private.clone()]).await;
    scene.change(minute(4), "lib/a", [Change::RemoveRepository]).await;
    met(&scene, [free]).await;
    not_met(&scene, [exists, private]).await;
}

/// On what is not there nobody has one.
pub async fn grants_exist_or_they_do_not(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let exists = |scope, user: User| MetadataRequire::GrantExists { scope, user: user.id };
    let free = |scope, user: User| MetadataRequire::GrantFree { scope, user: user.id };
    for scope in [in_organisation("lib"), on_repository("lib/a")] {
        met(&scene, [free(scope.clone(), bob())]).await;
        not_met(&scene, [exists(scope.clone(), bob())]).await;
        scene.commit(minute(2), [grant(scope.clone(), &bob(), GrantLevel::Read)]).await;
        met(&scene, [exists(scope.clone(), bob()), free(scope.clone(), cyd())]).await;
        not_met(&scene, [free(scope.clone(), bob()), exists(scope.clone(), cyd())]).await;
    }
    for scope in [in_organisation("unknown"), on_repository("lib/unknown"), on_repository("lib/hidden")] {
        let blob = SampleBlob::new("a layer");
        scene.change(minute(3), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
        met(&scene, [free(scope.clone(), bob())]).await;
        not_met(&scene, [exists(scope, bob())]).await;
    }
    scene.change(minute(4), "lib/a", [Change::RemoveRepository, Change::CreateRepository]).await;
    met(&scene, [free(on_repository("lib/a"), bob()), exists(in_organisation("lib"), bob())]).await;
}

/// With how many accounts, shares that are over included; on what is not there there are none.
pub async fn shares_exist_and_are_fewer_than_a_limit(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        MetadataChange::PutAccount(account("west")),
        create_repository("lib/a", Visibility::Private),
        create_repository("lib/b", Visibility::Private),
        put_share("lib/b", &account("west"), Deadline::Never),
    ];
    scene.commit(minute(1), changes).await;
    let exists = |name, account: Account| MetadataRequire::ShareExists {
        repository: repository_name(name),
        account: account.id,
    };
    let free = |name, account: Account| MetadataRequire::ShareFree {
        repository: repository_name(name),
        account: account.id,
    };
    let fewer = |name, limit| MetadataRequire::SharesFewerThan { repository: repository_name(name), limit };
    met(&scene, [free("lib/a", south()), fewer("lib/a", 1)]).await;
    not_met(&scene, [exists("lib/a", south()), fewer("lib/a", 0)]).await;
    scene.commit(minute(2), [put_share("lib/a", &south(), Deadline::At(minute(2)))]).await;
    met(&scene, [exists("lib/a", south()), free("lib/a", account("west")), fewer("lib/a", 2)]).await;
    not_met(&scene, [free("lib/a", south()), exists("lib/a", account("west")), fewer("lib/a", 1)]).await;
    scene.commit(minute(3), [put_share("lib/a", &account("west"), Deadline::Never)]).await;
    not_met(&scene, [fewer("lib/a", 2)]).await;
    met(&scene, [fewer("lib/a", 3), fewer("lib/b", 2)]).await;
    scene.commit(minute(4), [remove_share("lib/a", &south())]).await;
    met(&scene, [free("lib/a", south()), fewer("lib/a", 2)]).await;
    met(&scene, [free("lib/unknown", south()), fewer("lib/unknown", 1)]).await;
    not_met(&scene, [exists("lib/unknown", south())]).await;
    scene.change(minute(5), "lib/a", [Change::RemoveRepository, Change::CreateRepository]).await;
    met(&scene, [free("lib/a", account("west")), fewer("lib/a", 1)]).await;
}

/// And none that is met.
pub async fn every_unmet_requirement_of_metadata_is_named_in_order(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let old = MetadataRequire::Rights(RightsVersion(scene.rights().await.0 + 1));
    let unknown = MetadataRequire::AccountExists(account("unknown").id);
    let requires = [
        organisation_free("lib"),
        MetadataRequire::AccountExists(north().id),
        old.clone(),
        organisation_free("free"),
        user_name_free(&north(), "ada"),
        unknown.clone(),
        MetadataRequire::RepositoryFree(repository_name("lib/a")),
        organisation_free("pub"),
    ];
    let expected =
        [organisation_free("lib"), old, user_name_free(&north(), "ada"), unknown, organisation_free("pub")];
    assert_eq!(unmet(scene.attempt(minute(1), requires, []).await), expected);
}

/// Nothing of a refused commit is visible, its traces, its events and its count of rights included.
pub async fn an_unmet_requirement_changes_no_metadata(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let before = everything(&scene).await;
    let require = organisation_free("lib");
    assert_eq!(unmet(scene.attempt(minute(1), [require.clone()], many_changes()).await), [require]);
    assert_eq!(everything(&scene).await, before);
}

/// What a commit brings does not meet its own requirements, and does not break them.
pub async fn requirements_look_at_metadata_before_the_first_change(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let exists = MetadataRequire::OrganisationExists(organisation_name("new"));
    let create = [create_organisation("new", &ada())];
    assert_eq!(unmet(scene.attempt(minute(1), [exists.clone()], create.clone()).await), [exists]);

    let rights = MetadataRequire::Rights(scene.rights().await);
    let fewer = MetadataRequire::OrganisationsByFewerThan { user: ada().id, limit: 2 };
    let requires = [organisation_free("new"), rights, fewer];
    let receipt = scene.attempt(minute(2), requires, create).await.unwrap();
    assert_eq!(receipt.effects, [Effect::Created]);
}

/// What comes first makes way for what comes after it, and no other way round.
pub async fn a_change_finds_what_those_before_it_left(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let put = grant(in_organisation("new"), &bob(), GrantLevel::Read);
    let too_early = [put.clone(), create_organisation("new", &ada())];
    let exists = MetadataRequire::OrganisationExists(organisation_name("new"));
    assert_eq!(unmet(scene.attempt(minute(1), [], too_early).await), [exists]);
    let in_time = [
        create_organisation("new", &ada()),
        put.clone(),
        put.clone(),
        remove_grant(in_organisation("new"), &bob()),
        put,
        MetadataChange::RemoveUser(bob().id),
        remove_grant(in_organisation("new"), &bob()),
        MetadataChange::PutUser(bob()),
        create_repository("new/a", Visibility::Private),
        set_visibility("new/a", Visibility::Public),
    ];
    let expected = [
        Effect::Created,
        Effect::Created,
        Effect::Nothing,
        Effect::Removed,
        Effect::Created,
        Effect::Removed,
        Effect::Nothing,
        Effect::Created,
        Effect::Created,
        Effect::Changed,
    ];
    assert_eq!(scene.commit(minute(2), in_time).await, expected);
    assert_eq!(scene.granted(&in_organisation("new")).await, Some(vec![]));
    assert_eq!(scene.details("new/a").await.unwrap().attributes.visibility, Visibility::Public);
}

/// Whatever its changes had done by then.
pub async fn nothing_of_a_metadata_commit_refused_on_its_way_is_left(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), many_changes()).await;
    let removals = [
        MetadataChange::RemoveAccessKey(key_id("AK1")),
        MetadataChange::RemoveTokenKey(key_id("KK1")),
        remove_grant(in_organisation("lib"), &bob()),
        remove_share("lib/a", &south()),
        MetadataChange::RemoveUser(bob().id),
        remove_organisation("lib"),
    ];
    let before = everything(&scene).await;
    let refusals = [
        grant(in_organisation("unknown"), &cyd(), GrantLevel::Read),
        MetadataChange::PutAccount(Account { name: north().name, ..account("third") }),
    ];
    for refusal in refusals {
        let others = [
            create_repository("lib/b", Visibility::Public),
            MetadataChange::PutAccount(Account {
                name: AccountName::parse("West").unwrap(),
                ..account("west")
            }),
            create_organisation("third", &eve()),
            set_visibility("lib/a", Visibility::Private),
        ];
        let changes: Vec<_> = others.iter().chain(&removals).cloned().chain([refusal]).collect();
        unmet(scene.attempt(minute(2), [], changes).await);
        assert_eq!(everything(&scene).await, before);
        assert_eq!(store.repository(&repository_name("lib/b")).await.unwrap(), None);
    }
    assert_eq!(scene.commit(minute(3), removals).await, [Effect::Removed; 6]);
}

/// One of every kind that adds something.
fn many_changes() -> Vec<MetadataChange> {
    vec![
        MetadataChange::PutAccount(account("west")),
        MetadataChange::PutUser(user("west", "wim", Role::Operator)),
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), Some("AK1"), minute(99))),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
        create_organisation("new", &ada()),
        create_repository("lib/a", Visibility::Private),
        set_visibility("lib/a", Visibility::Public),
        grant(in_organisation("lib"), &bob(), GrantLevel::Read),
        grant(on_repository("lib/a"), &bob(), GrantLevel::Manage),
        put_share("lib/a", &south(), Deadline::Never),
    ]
}

/// All that can be seen of what [`many_changes`] touch.
async fn everything(scene: &Scene<'_>) -> Vec<String> {
    let store = scene.store;
    let mut seen = vec![
        format!("{:?} {:?}", scene.rights().await, scene.trail().await),
        format!("{:?}", scene.log().await),
        format!("{:?}", store.accounts(&page(None, 99)).await.unwrap()),
        format!("{:?}", store.all_access_keys(&page(None, 99)).await.unwrap()),
        format!("{:?}", store.token_keys().await.unwrap()),
    ];
    for account in [north(), south(), account("west")] {
        seen.push(format!("{:?}", store.users(&account.id, &page(None, 99)).await.unwrap()));
    }
    for id in ["AK1", "TK1"] {
        seen.push(format!("{:?}", store.key_holder(&key_id(id)).await.unwrap()));
    }
    for viewer in [ada(), bob(), eve()].map(|user| viewer(&user)) {
        seen.push(format!("{:?}", store.organisations(&viewer, true).await.unwrap()));
    }
    for scope in [in_organisation("lib"), in_organisation("new"), on_repository("lib/a")] {
        seen.push(format!("{:?}", scene.granted(&scope).await));
    }
    for name in ["lib/a", "lib/b"] {
        let repository = repository_name(name);
        seen.push(format!(
            "{:?} {:?}",
            scene.details(name).await,
            store.is_listed(&repository).await.unwrap()
        ));
        seen.push(format!("{:?}", store.shares(&repository, &page(None, 99)).await.unwrap()));
        seen.push(format!("{:?}", scene.standing(Some(&bob()), name).await));
    }
    seen
}
