//! What decisions rest on, and the count of what can change them.

use super::*;
use crate::commit::Grounds;
use crate::control::standing::{OrganisationStanding, RepositoryStanding, UserStanding};
use crate::ports::Candidates;
use crate::testing::sample_images::SampleBlob;

/// The user, the organisation and its grant, the repository with its grant and its share.
pub async fn a_standing_is_all_that_a_decision_weighs(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_repository("lib/a", Visibility::Public),
        create_repository("lib/b", Visibility::Private),
        grant(in_organisation("lib"), &bob(), GrantLevel::Read),
        grant(on_repository("lib/a"), &bob(), GrantLevel::Edit),
        grant(on_repository("lib/a"), &cyd(), GrantLevel::Manage),
        put_share("lib/a", &south(), Deadline::At(minute(0))),
    ];
    scene.commit(minute(1), changes).await;
    let organisation = store.organisation(&organisation_name("lib")).await.unwrap().unwrap().id;
    let id = |name| {
        let name = repository_name(name);
        async move { store.repository(&name).await.unwrap().unwrap() }
    };
    let (a, b) = (id("lib/a").await, id("lib/b").await);
    let rights = scene.rights().await;
    let of_user = |user: User| Some(UserStanding { account: user.account, role: user.role });
    let of_lib = |grant| Some(OrganisationStanding { id: organisation, account: north().id, grant });
    let of_a =
        |grant, share| Some(RepositoryStanding { id: a, visibility: Visibility::Public, grant, share });

    let expected = Standing {
        rights,
        user: of_user(bob()),
        organisation: of_lib(Some(GrantLevel::Read)),
        repository: of_a(Some(GrantLevel::Edit), None),
    };
    assert_eq!(scene.standing(Some(&bob()), "lib/a").await, expected);
    let private = RepositoryStanding { id: b, visibility: Visibility::Private, grant: None, share: None };
    let expected = Standing { repository: Some(private), ..expected };
    assert_eq!(scene.standing(Some(&bob()), "lib/b").await, expected);
    let expected = Standing { repository: None, ..expected };
    let without = store.standing(Some(&bob().id), &organisation_name("lib"), None).await.unwrap();
    assert_eq!(without, expected);

    let expected = Standing {
        rights,
        user: of_user(dan()),
        organisation: of_lib(None),
        repository: of_a(None, Some(Deadline::At(minute(0)))),
    };
    assert_eq!(scene.standing(Some(&dan()), "lib/a").await, expected);
    let expected = Standing { user: of_user(ada()), repository: of_a(None, None), ..expected };
    assert_eq!(scene.standing(Some(&ada()), "lib/a").await, expected);
}

/// A stranger, and a user that is gone: whatever it had is gone with it.
pub async fn nobody_in_particular_has_no_standing(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_repository("lib/a", Visibility::Private),
        grant(in_organisation("lib"), &bob(), GrantLevel::Read),
        grant(on_repository("lib/a"), &bob(), GrantLevel::Edit),
        put_share("lib/a", &south(), Deadline::Never),
        MetadataChange::RemoveUser(bob().id),
        MetadataChange::RemoveUser(dan().id),
    ];
    scene.commit(minute(1), changes).await;
    let unknown = user("north", "unknown", Role::Administrator);
    for nobody in [None, Some(&bob()), Some(&dan()), Some(&unknown)] {
        let standing = scene.standing(nobody, "lib/a").await;
        assert_eq!(standing.user, None);
        assert_eq!(standing.organisation.unwrap().grant, None);
        let repository = standing.repository.unwrap();
        assert_eq!((repository.grant, repository.share), (None, None));
    }
}

/// Organisations, repositories, and repositories that are hidden.
pub async fn what_is_not_there_has_no_standing(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let blob = SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    for name in ["lib/hidden", "lib/unknown"] {
        let standing = scene.standing(Some(&ada()), name).await;
        assert_eq!(standing.repository, None, "{name}");
        assert_eq!(standing.level_in_repository(), Some(GrantLevel::Manage));
    }
    let standing = scene.standing(Some(&ada()), "unknown/a").await;
    assert_eq!((standing.organisation.clone(), standing.repository.clone()), (None, None));
    assert_eq!(standing.level_in_repository(), None);
    assert!(standing.user.is_some());
}

/// For everybody, and for every repository, in the catalogue and among the holders of a blob.
pub async fn what_can_be_read_agrees_with_the_standing(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let operator = user("south", "olga", Role::Operator);
    let gone = user("north", "gone", Role::Administrator);
    let changes = [
        MetadataChange::PutUser(operator.clone()),
        create_organisation("lib-x", &ada()),
        create_repository("lib/private", Visibility::Private),
        create_repository("lib/public", Visibility::Public),
        create_repository("lib/granted", Visibility::Private),
        create_repository("lib/shared", Visibility::Private),
        create_repository("lib/over", Visibility::Private),
        create_repository("lib-x/private", Visibility::Private),
        create_repository("pub/private", Visibility::Private),
        create_repository("pub/public", Visibility::Public),
        create_repository("orphan/private", Visibility::Private),
        create_repository("orphan/public", Visibility::Public),
        grant(on_repository("lib/granted"), &bob(), GrantLevel::Edit),
        grant(in_organisation("lib-x"), &bob(), GrantLevel::Read),
        // Worth nothing: they are of another account.
        grant(in_organisation("lib"), &dan(), GrantLevel::Manage),
        grant(on_repository("pub/private"), &cyd(), GrantLevel::Manage),
        put_share("lib/shared", &south(), Deadline::Never),
        put_share("lib/over", &south(), Deadline::At(minute(10))),
        put_share("orphan/private", &south(), Deadline::At(minute(11))),
    ];
    scene.commit(minute(1), changes).await;
    let blob = SampleBlob::new("a layer");
    let listed = store.repositories(&page(None, 99)).await.unwrap();
    assert_eq!(listed.len(), 10);
    let hidden = ["lib/hidden", "lib-x/hidden", "pub/hidden", "orphan/hidden"].map(repository_name);
    for name in listed.iter().chain(&hidden) {
        scene.change(minute(1), name.as_str(), [Change::LinkStored(blob.stored_at("here"))]).await;
    }

    let users = [ada(), bob(), cyd(), eve(), dan(), operator, gone];
    let (mut counts, near, all) = (Vec::new(), repository_name("lib/new"), page(None, 99));
    for user in [None].into_iter().chain(users.iter().map(Some)) {
        for (strangers, now) in [(true, minute(9)), (false, minute(9)), (false, minute(10))] {
            let mut may = Vec::new();
            for name in listed.iter().chain(&hidden) {
                let standing = scene.standing(user, name.as_str()).await;
                if is_readable(&standing, strangers, now) {
                    may.push(name.clone());
                }
            }
            let id = user.map(|user| &user.id);
            let readable = async |of| store.readable(id, strangers, of, now).await.unwrap();
            let expected: Vec<_> = listed.iter().filter(|name| may.contains(name)).cloned().collect();
            assert_eq!(readable(Candidates::All(&all)).await, expected, "{user:?} {strangers} {now}");
            let mut expected = store.holders(&blob.digest, &near, limit(99)).await.unwrap();
            expected.retain(|name| may.contains(name));
            let of = Candidates::HoldersOf { digest: &blob.digest, near: &near, limit: limit(99) };
            assert_eq!(readable(of).await, expected, "{user:?} {strangers} {now}");
            counts.push(may.len());
        }
    }
    // In words: strangers, Ada, Bob, Cyd, Eve, Dan, Olga, and somebody who is gone.
    let expected =
        [[3, 0, 0], [10, 10, 10], [6, 6, 6], [3, 3, 3], [8, 8, 7], [6, 6, 5], [8, 8, 7], [3, 0, 0]];
    assert_eq!(counts, expected.concat());
}

/// The law in a line, for a decision to pull.
fn is_readable(standing: &Standing, strangers: bool, now: DateTime<Utc>) -> bool {
    let public = |repository: &RepositoryStanding| {
        repository.visibility == Visibility::Public && (strangers || standing.user.is_some())
    };
    let shared = |repository: &RepositoryStanding| repository.share.is_some_and(|share| share.holds_at(now));
    standing.level_in_repository().is_some()
        || standing.repository.as_ref().is_some_and(|repository| public(repository) || shared(repository))
}

/// A page is full while there is more that the user may pull, however much there is between that it may not.
pub async fn what_can_be_read_comes_page_by_page(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let mut expected = Vec::new();
    for number in 0..30 {
        let name =
            format!("lib/{}", (b'a' + number % 26) as char).repeat(1) + &"x".repeat(number as usize / 26);
        let visibility = if number % 5 == 0 { Visibility::Public } else { Visibility::Private };
        scene.commit(minute(1), [create_repository(&name, visibility)]).await;
        if number % 5 == 0 {
            expected.push(repository_name(&name));
        }
    }
    expected.sort_unstable();
    assert_eq!(expected.len(), 6);
    let mut seen: Vec<RepositoryName> = Vec::new();
    loop {
        let page = page(seen.last().cloned(), 2);
        let more = store.readable(Some(&bob().id), true, Candidates::All(&page), minute(2)).await.unwrap();
        if more.is_empty() {
            break;
        }
        assert_eq!(more.len(), 2);
        seen.extend(more);
    }
    assert_eq!(seen, expected);
    let after_absent = page(Some(repository_name("lib/aa")), 1);
    let next = store.readable(None, true, Candidates::All(&after_absent), minute(2)).await.unwrap();
    assert_eq!(next, expected[1..2]);
}

/// Of as many holders as are asked for, those that the user may not pull from are left out, and not made up for.
pub async fn readable_holders_come_near_ones_first(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let (blob, other) = (SampleBlob::new("a layer"), SampleBlob::new("another layer"));
    let names = ["a/x", "lib/a", "lib/b", "lib/c", "lib-x/a", "pub/a"];
    for name in names {
        let visibility = if name == "lib/b" { Visibility::Private } else { Visibility::Public };
        scene.commit(minute(1), [create_repository(name, visibility)]).await;
        scene.change(minute(1), name, [Change::LinkStored(blob.stored_at("here"))]).await;
    }
    scene.commit(minute(1), [create_repository("lib/other", Visibility::Public)]).await;
    scene.change(minute(1), "lib/other", [Change::LinkStored(other.stored_at("there"))]).await;
    let readable = async |near: &str, count| {
        let near = repository_name(near);
        let of = Candidates::HoldersOf { digest: &blob.digest, near: &near, limit: limit(count) };
        let names = store.readable(Some(&bob().id), false, of, minute(2)).await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(readable("lib/new", 99).await, ["lib/a", "lib/c", "a/x", "lib-x/a", "pub/a"]);
    assert_eq!(readable("pub/new", 99).await, ["pub/a", "a/x", "lib-x/a", "lib/a", "lib/c"]);
    assert_eq!(readable("lib/new", 3).await, ["lib/a", "lib/c"]);
    assert_eq!(readable("lib/new", 1).await, ["lib/a"]);
}

/// Each of the changes that [`MetadataChange::moves_rights`] names, when it changes something.
pub async fn rights_move_with_whatever_can_change_a_decision(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_repository("lib/a", Visibility::Private),
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
    ];
    scene.commit(minute(1), changes).await;
    let moving = [
        MetadataChange::PutUser(user("north", "new", Role::Member)),
        MetadataChange::PutUser(User { role: Role::Administrator, ..bob() }),
        MetadataChange::PutUser(User { password: None, ..bob() }),
        MetadataChange::RemoveAccessKey(key_id("AK1")),
        MetadataChange::RemoveTokenKey(key_id("KK1")),
        create_organisation("new", &ada()),
        grant(in_organisation("lib"), &bob(), GrantLevel::Read),
        grant(in_organisation("lib"), &bob(), GrantLevel::Edit),
        grant(on_repository("lib/a"), &bob(), GrantLevel::Read),
        set_visibility("lib/a", Visibility::Public),
        put_share("lib/a", &south(), Deadline::Never),
        put_share("lib/a", &south(), Deadline::At(minute(9))),
        remove_share("lib/a", &south()),
        remove_grant(on_repository("lib/a"), &bob()),
        remove_grant(in_organisation("lib"), &bob()),
        remove_organisation("new"),
        MetadataChange::RemoveUser(bob().id),
    ];
    for change in moving {
        let before = scene.rights().await;
        let effects = scene.commit(minute(2), [change.clone()]).await;
        assert_ne!(effects, [Effect::Nothing], "{change:?}");
        assert!(scene.rights().await > before, "{change:?}");
    }
}

/// A repeat, a refusal, a new key, a new account or repository, content, and all that is recorded or trimmed.
pub async fn rights_stay_with_whatever_cannot(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        create_repository("lib/a", Visibility::Private),
        grant(in_organisation("lib"), &bob(), GrantLevel::Read),
        put_share("lib/a", &south(), Deadline::Never),
    ];
    scene.commit(minute(1), changes.clone()).await;
    let before = scene.rights().await;
    let quiet = [
        create_organisation("lib", &ada()),
        MetadataChange::PutUser(ada()),
        MetadataChange::RemoveUser(user("north", "unknown", Role::Member).id),
        set_visibility("lib/a", Visibility::Private),
        remove_grant(on_repository("lib/a"), &bob()),
        MetadataChange::RemoveAccessKey(key_id("AK9")),
        MetadataChange::PutAccount(account("new")),
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), None, minute(3))),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
        create_repository("lib/b", Visibility::Public),
        put_rule("lib/a", 1),
        MetadataChange::RemoveRule(repository_name("lib/a")),
        create_trigger("lib/a", "hook", "https://ci.example.net/"),
        enable("lib/a", "hook", false),
        remove_trigger("lib/a", "hook"),
        put_sync("lib/a", "far", "lib", true),
        remove_sync("lib/a", "far", "lib"),
        add_sync_job("lib/a", "v1", "far"),
    ];
    for change in changes.into_iter().chain(quiet) {
        scene.commit(minute(2), [change.clone()]).await;
        assert_eq!(scene.rights().await, before, "{change:?}");
    }
    let refused = [MetadataRequire::AccountExists(account("unknown").id)];
    unmet(scene.attempt(minute(2), refused, [set_visibility("lib/a", Visibility::Public)]).await);
    let half = [
        set_visibility("lib/a", Visibility::Public),
        grant(in_organisation("unknown"), &bob(), GrantLevel::Read),
    ];
    unmet(scene.attempt(minute(2), [], half).await);
    let digest = scene.push(minute(2), "lib/c", &SampleManifest::image("a"), &["v1"]).await;
    scene.change(minute(2), "lib/c", [Change::RemoveManifest(digest)]).await;
    store.trim_temporary_keys(minute(9), limit(9)).await.unwrap();
    store.trim_traces(minute(9), limit(9)).await.unwrap();
    assert_eq!(scene.rights().await, before);
}

/// A decision that rested on a grant or a share of it does not hold for the next one of its name. A hidden
/// repository has neither.
pub async fn removing_a_repository_moves_rights(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let before = scene.rights().await;
    scene.change(minute(2), "lib/a", [Change::RemoveRepository, Change::CreateRepository]).await;
    let after = scene.rights().await;
    assert!(after > before);
    scene.change(minute(3), "lib/unknown", [Change::RemoveRepository]).await;
    let blob = SampleBlob::new("a layer");
    scene.change(minute(3), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    scene.change(minute(3), "lib/hidden", [Change::RemoveRepository]).await;
    assert_eq!(scene.rights().await, after);
}

/// Of metadata and of content alike; so does one that was never given.
pub async fn an_old_count_of_rights_refuses_the_commit(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let grounds = |rights| Require::Grounds(Grounds { rights: Some(rights), ..Grounds::default() });
    let create = [create_repository("lib/a", Visibility::Private)];
    let old = scene.rights().await;
    scene.commit(minute(1), [grant(in_organisation("lib"), &bob(), GrantLevel::Read)]).await;
    let current = scene.rights().await;
    let never_given = RightsVersion(current.0 + 1_000_000);
    for rights in [old, never_given] {
        let require = MetadataRequire::Rights(rights);
        assert_eq!(unmet(scene.attempt(minute(2), [require.clone()], create.clone()).await), [require]);
        let outcome = scene.attempt_change(minute(2), "lib/a", [grounds(rights)], [Change::CreateRepository]);
        match outcome.await {
            Err(CommitError::Unmet(unmet)) => assert_eq!(unmet, [grounds(rights)]),
            other => panic!("the commit should have been refused: {other:?}"),
        }
    }
    assert_eq!(scene.details("lib/a").await, None);
    scene.attempt(minute(3), [MetadataRequire::Rights(current)], create).await.unwrap();
    scene.attempt_change(minute(3), "lib/b", [grounds(current)], [Change::CreateRepository]).await.unwrap();

    // Both facts of the grounds have to hold.
    let id = store.repository(&repository_name("lib/a")).await.unwrap();
    let both = |repository, rights| [Require::Grounds(Grounds { repository, rights: Some(rights) })];
    for (name, rights, is_met) in [("lib/a", current, true), ("lib/b", current, false), ("lib/a", old, false)]
    {
        let outcome = scene.attempt_change(minute(4), name, both(id, rights), []).await;
        assert_eq!(outcome.is_ok(), is_met, "{name} {rights:?}");
    }
}
