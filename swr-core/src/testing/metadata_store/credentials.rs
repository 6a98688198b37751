//! Keys: of users, for a while, and of tokens.

use super::*;
use crate::control::credential::{HeldKey, KeyHolder};

/// With their sealed secrets; of one time in the order of their ids.
pub async fn access_keys_come_oldest_first(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let keys = [("B", 1), ("Z", 2), ("a", 2), ("A", 3)].map(|(id, at)| access_key(id, &bob(), minute(at)));
    for key in [&keys[2], &keys[3], &keys[0], &keys[1]] {
        assert_eq!(
            scene.commit(minute(9), [MetadataChange::PutAccessKey(key.clone())]).await,
            [Effect::Created]
        );
    }
    scene.commit(minute(9), [MetadataChange::PutAccessKey(access_key("C", &cyd(), minute(1)))]).await;
    assert_eq!(store.access_keys(&bob().id).await.unwrap(), keys);
    assert_eq!(store.access_keys(&ada().id).await.unwrap(), []);
}

/// Whosever they are.
pub async fn all_access_keys_come_page_by_page_in_the_order_of_their_ids(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let ids = ["0", "1", "10", "2", "A", "a", "b"];
    let key = |id: &str| {
        let user = if id.len() > 1 || id == "A" { eve() } else { bob() };
        access_key(id, &user, minute(100 - i64::from(id.as_bytes()[0])))
    };
    for id in ids.iter().rev() {
        scene.commit(minute(1), [MetadataChange::PutAccessKey(key(id))]).await;
    }
    let listed = async |after: Option<&str>, count| {
        store.all_access_keys(&page(after.map(key_id), count)).await.unwrap()
    };
    let keys = ids.map(key);
    assert_eq!(listed(None, 99).await, keys);
    assert_eq!(listed(Some("10"), 3).await, keys[3..6]);
    assert_eq!(listed(Some("11"), 2).await, keys[3..5]);
    assert_eq!(listed(Some("b"), 2).await, []);
}

/// A key of either kind, the user as it is now, its password's hash included, and its account.
pub async fn a_key_leads_to_its_holder(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let access = access_key("AK1", &bob(), minute(1));
    let temporary = temporary_key("TK1", &dan(), None, minute(2));
    let changes = [
        MetadataChange::PutAccessKey(access.clone()),
        MetadataChange::PutTemporaryKey(temporary.clone()),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
    ];
    assert_eq!(scene.commit(minute(1), changes.clone()).await, [Effect::Created; 3]);
    assert_eq!(scene.commit(minute(2), changes).await, [Effect::Nothing; 3]);

    let promoted = User { role: Role::Administrator, ..bob() };
    scene.commit(minute(3), [MetadataChange::PutUser(promoted.clone())]).await;
    let holder = async |id: &str| store.key_holder(&key_id(id)).await.unwrap();
    let by_access = KeyHolder { key: HeldKey::Access(access), user: promoted, account: north() };
    assert_eq!(holder("AK1").await, Some(by_access));
    let by_temporary = KeyHolder { key: HeldKey::Temporary(temporary), user: dan(), account: south() };
    assert_eq!(holder("TK1").await, Some(by_temporary));
    for nobodys in ["AK2", "ak1", "KK1"] {
        assert_eq!(holder(nobodys).await, None, "{nobodys}");
    }
}

/// Another seal or another description, whatever is kept of the rest.
pub async fn a_key_sealed_anew_is_the_same_key(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let key = access_key("AK1", &bob(), minute(1));
    let sealed = AccessKey { secret: Some(Sealed::new(*b"sealed anew")), ..key.clone() };
    let described = AccessKey { description: "another".into(), ..sealed.clone() };
    scene.commit(minute(1), [MetadataChange::PutAccessKey(key)]).await;
    for key in [sealed, described] {
        let put = [MetadataChange::PutAccessKey(key.clone())];
        assert_eq!(scene.commit(minute(2), put.clone()).await, [Effect::Changed]);
        assert_eq!(scene.commit(minute(3), put).await, [Effect::Nothing]);
        assert_eq!(store.access_keys(&bob().id).await.unwrap(), [key]);
    }
    let key = token_key("KK1", minute(1));
    let sealed = TokenKey { secret: Some(Sealed::new(*b"sealed anew")), ..key.clone() };
    scene.commit(minute(4), [MetadataChange::PutTokenKey(key)]).await;
    let put = [MetadataChange::PutTokenKey(sealed.clone())];
    assert_eq!(scene.commit(minute(5), put.clone()).await, [Effect::Changed]);
    assert_eq!(scene.commit(minute(6), put).await, [Effect::Nothing]);
    assert_eq!(store.token_keys().await.unwrap(), [sealed]);
}

/// Taking it from the one that has it is refused: from another user, and from a key of the other kind.
pub async fn an_id_belongs_to_one_key_of_either_kind(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let access = access_key("AK1", &bob(), minute(1));
    let temporary = temporary_key("TK1", &bob(), None, minute(99));
    let changes =
        [MetadataChange::PutAccessKey(access.clone()), MetadataChange::PutTemporaryKey(temporary.clone())];
    scene.commit(minute(1), changes).await;
    let taking = [
        ("AK1", MetadataChange::PutAccessKey(access_key("AK1", &cyd(), minute(2)))),
        ("AK1", MetadataChange::PutTemporaryKey(temporary_key("AK1", &bob(), None, minute(99)))),
        ("TK1", MetadataChange::PutTemporaryKey(temporary_key("TK1", &cyd(), None, minute(99)))),
        ("TK1", MetadataChange::PutAccessKey(access_key("TK1", &bob(), minute(2)))),
    ];
    for (id, taking) in taking {
        let refused = unmet(scene.attempt(minute(2), [], [taking.clone()]).await);
        assert_eq!(refused, [MetadataRequire::KeyFree(key_id(id))], "{taking:?}");
    }
    let held = async |id: &str| store.key_holder(&key_id(id)).await.unwrap().unwrap().key;
    assert_eq!(held("AK1").await, HeldKey::Access(access));
    assert_eq!(held("TK1").await, HeldKey::Temporary(temporary));
}

/// There is no key of nobody.
pub async fn a_key_needs_its_user(store: &dyn MetadataStore) {
    let scene = Scene::new(store);
    let keys = [
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), None, minute(99))),
    ];
    for put in keys {
        let refused = unmet(scene.attempt(minute(1), [], [put]).await);
        assert_eq!(refused, [MetadataRequire::UserExists(bob().id)]);
    }
    assert_eq!(store.key_holder(&key_id("AK1")).await.unwrap(), None);
}

/// And that one is the same user's.
pub async fn a_temporary_key_needs_the_key_it_was_issued_with(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let issued =
        |user: User| [MetadataChange::PutTemporaryKey(temporary_key("TK1", &user, Some("AK1"), minute(99)))];
    let needs = |user: &User| [MetadataRequire::AccessKeyOf { key: key_id("AK1"), user: user.id.clone() }];
    assert_eq!(unmet(scene.attempt(minute(1), [], issued(bob())).await), needs(&bob()));
    let key = access_key("AK1", &bob(), minute(1));
    scene.commit(minute(1), [MetadataChange::PutAccessKey(key)]).await;
    assert_eq!(unmet(scene.attempt(minute(2), [], issued(cyd())).await), needs(&cyd()));
    assert_eq!(scene.commit(minute(2), issued(bob())).await, [Effect::Created]);
}

/// And no others. A key of the same id that comes after it has none of them.
pub async fn removing_an_access_key_takes_the_temporary_keys_issued_with_it(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let keys = ["AK1", "AK2"].map(|id| MetadataChange::PutAccessKey(access_key(id, &bob(), minute(1))));
    let issued = [("TK1", Some("AK1")), ("TK2", Some("AK1")), ("TK3", Some("AK2")), ("TK4", None)]
        .map(|(id, with)| MetadataChange::PutTemporaryKey(temporary_key(id, &bob(), with, minute(99))));
    scene.commit(minute(1), keys.into_iter().chain(issued).collect::<Vec<_>>()).await;

    let remove = [MetadataChange::RemoveAccessKey(key_id("AK1"))];
    assert_eq!(scene.commit(minute(2), remove.clone()).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(2), remove).await, [Effect::Nothing]);
    let again = [MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(3)))];
    assert_eq!(scene.commit(minute(3), again).await, [Effect::Created]);
    for (id, is_there) in [("AK1", true), ("TK1", false), ("TK2", false), ("TK3", true), ("TK4", true)] {
        assert_eq!(store.key_holder(&key_id(id)).await.unwrap().is_some(), is_there, "{id}");
    }
    let not_an_access_key = [MetadataChange::RemoveAccessKey(key_id("TK4"))];
    assert_eq!(scene.commit(minute(4), not_an_access_key).await, [Effect::Nothing]);
    assert!(store.key_holder(&key_id("TK4")).await.unwrap().is_some());
}

/// At most as many as asked for, and those alone that expired before; they are there until then.
pub async fn expired_temporary_keys_are_trimmed(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    for (id, expires) in [("TK1", 10), ("TK2", 11), ("TK3", 12), ("TK4", 13), ("TK5", 20)] {
        let key = temporary_key(id, &bob(), None, minute(expires));
        scene.commit(minute(1), [MetadataChange::PutTemporaryKey(key)]).await;
    }
    scene.commit(minute(1), [MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1)))]).await;
    let (rights, trail) = (scene.rights().await, scene.trail().await);
    let there = async || {
        let mut there = Vec::new();
        for id in ["TK1", "TK2", "TK3", "TK4", "TK5", "AK1"] {
            there.extend(store.key_holder(&key_id(id)).await.unwrap().map(|_| id));
        }
        there
    };
    assert_eq!(store.trim_temporary_keys(minute(10), limit(9)).await.unwrap(), 0);
    assert_eq!(there().await.len(), 6);
    assert_eq!(store.trim_temporary_keys(minute(13), limit(2)).await.unwrap(), 2);
    assert_eq!(there().await.len(), 4);
    let decided_on = store.decided_on();
    assert_eq!(store.trim_temporary_keys(minute(13), limit(2)).await.unwrap(), 1);
    scene.decides_anew_since(decided_on);
    assert_eq!(store.trim_temporary_keys(minute(13), limit(2)).await.unwrap(), 0);
    assert_eq!(there().await, ["TK4", "TK5", "AK1"]);
    assert_eq!((scene.rights().await, scene.trail().await), (rights, trail));
}

/// Of one time in the order of their ids; they share no ids with keys of users.
pub async fn token_keys_come_oldest_first(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let keys = [("B", 1), ("Z", 2), ("a", 2), ("A", 3)].map(|(id, at)| token_key(id, minute(at)));
    for key in [&keys[2], &keys[3], &keys[0], &keys[1]] {
        let put = [MetadataChange::PutTokenKey(key.clone())];
        assert_eq!(scene.commit(minute(9), put).await, [Effect::Created]);
    }
    scene.commit(minute(9), [MetadataChange::PutAccessKey(access_key("B", &bob(), minute(1)))]).await;
    assert_eq!(store.token_keys().await.unwrap(), keys);
    assert_eq!(store.token_key(&key_id("a")).await.unwrap().as_ref(), Some(&keys[2]));
    let remove = [MetadataChange::RemoveTokenKey(key_id("Z"))];
    assert_eq!(scene.commit(minute(10), remove.clone()).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(10), remove).await, [Effect::Nothing]);
    let left: Vec<_> = [0, 2, 3].map(|at: usize| keys[at].clone()).into();
    assert_eq!(store.token_keys().await.unwrap(), left);
    assert_eq!(store.token_key(&key_id("Z")).await.unwrap(), None);
}
