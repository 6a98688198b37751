//! Shares: given, changed, ended, over.

use super::*;
use crate::control::share::ListedShare;
use crate::ports::Candidates;

/// Whatever the page begins after, expired ones included.
pub async fn shares_come_page_by_page_in_the_order_of_their_accounts_names(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let names = ["East", "east", "east-2", "south", "west"];
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    for (number, name) in names.iter().enumerate().rev() {
        let deadline = if number % 2 == 0 { Deadline::Never } else { Deadline::At(minute(2)) };
        let changes =
            [MetadataChange::PutAccount(account(name)), put_share("lib/a", &account(name), deadline)];
        scene.commit(minute(1), changes).await;
    }
    let listed = async |after: Option<&str>, count| {
        let after = after.map(|name| AccountName::parse(name).unwrap());
        let shares = store.shares(&repository_name("lib/a"), &page(after, count)).await.unwrap();
        shares.unwrap().iter().map(|listed| listed.account_name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 99).await, names);
    assert_eq!(listed(Some("east"), 2).await, names[2..4]);
    assert_eq!(listed(Some("east-1"), 2).await, names[2..4]);
    assert_eq!(listed(Some("west"), 2).await, names[5..]);
    let shares = store.shares(&repository_name("lib/a"), &page(None, 2)).await.unwrap().unwrap();
    let expected = ListedShare {
        share: share("lib/a", &account("East"), Deadline::Never),
        account_name: AccountName::parse("East").unwrap(),
    };
    assert_eq!(shares[0], expected);
    assert_eq!(shares[1].share.deadline, Deadline::At(minute(2)));
}

/// Whoever changes it, its creator and the time of its creation stay; and with nothing to change all of it does.
pub async fn a_share_is_changed_and_ended(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let repository = repository_name("lib/a");
    let found = async || store.share(&repository, &south().id).await.unwrap().map(|listed| listed.share);
    assert_eq!(found().await, None);
    let first = Share {
        description: "for the demonstration".into(),
        created: minute(2),
        updated: minute(2),
        ..share("lib/a", &south(), Deadline::At(minute(20)))
    };
    let put = |share: &Share| [MetadataChange::PutShare(share.clone())];
    assert_eq!(scene.commit(minute(2), put(&first)).await, [Effect::Created]);
    assert_eq!(found().await, Some(first.clone()));

    let by_bob = |at, deadline, description: &str| Share {
        deadline,
        description: description.into(),
        creator: bob().id,
        creator_name: bob().name,
        created: minute(at),
        updated: minute(at),
        ..first.clone()
    };
    let same = by_bob(3, first.deadline, &first.description);
    assert_eq!(scene.commit(minute(3), put(&same)).await, [Effect::Nothing]);
    assert_eq!(found().await, Some(first.clone()));
    let changed = [(4, Deadline::Never, "for the demonstration"), (5, Deadline::Never, "for good")];
    for (at, deadline, description) in changed {
        let share = by_bob(at, deadline, description);
        assert_eq!(scene.commit(minute(at), put(&share)).await, [Effect::Changed]);
        let expected = Share {
            creator: first.creator.clone(),
            creator_name: first.creator_name.clone(),
            created: first.created,
            ..share
        };
        assert_eq!(found().await, Some(expected));
    }
    assert_eq!(scene.commit(minute(6), [remove_share("lib/a", &south())]).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(6), [remove_share("lib/a", &south())]).await, [Effect::Nothing]);
    assert_eq!(found().await, None);
    let again = by_bob(7, Deadline::Never, "again");
    assert_eq!(scene.commit(minute(7), put(&again)).await, [Effect::Created]);
    assert_eq!(found().await, Some(again));
}

/// Not the user who shared it: that one may be gone.
pub async fn a_share_needs_its_repository_and_its_account(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let third = account("third");
    let repository = MetadataRequire::RepositoryExists(repository_name("lib/unknown"));
    let account = MetadataRequire::AccountExists(third.id.clone());
    let lacking = [
        (put_share("lib/unknown", &south(), Deadline::Never), vec![repository.clone()]),
        (put_share("lib/a", &third, Deadline::Never), vec![account.clone()]),
        (put_share("lib/unknown", &third, Deadline::Never), vec![repository, account]),
    ];
    for (put, expected) in lacking {
        assert_eq!(unmet(scene.attempt(minute(2), [], [put]).await), expected);
    }
    let by_gone = Share {
        creator: user("north", "gone", Role::Member).id,
        ..share("lib/a", &south(), Deadline::Never)
    };
    assert_eq!(scene.commit(minute(2), [MetadataChange::PutShare(by_gone)]).await, [Effect::Created]);
}

/// Ending one there is no error.
pub async fn shares_of_what_is_not_listed_are_unknown(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let blob = crate::testing::sample_images::SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    for name in ["lib/unknown", "lib/hidden"] {
        let repository = repository_name(name);
        assert_eq!(store.shares(&repository, &page(None, 9)).await.unwrap(), None);
        assert_eq!(store.share(&repository, &south().id).await.unwrap(), None);
        assert_eq!(scene.commit(minute(2), [remove_share(name, &south())]).await, [Effect::Nothing]);
    }
}

/// By the time that whoever asks says: strictly before the deadline the other account may pull, and from it on no
/// longer. The share itself stays.
pub async fn a_share_lasts_until_its_deadline(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repositories = ["lib/ends", "lib/stays"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let shares = [
        put_share("lib/ends", &south(), Deadline::At(minute(20))),
        put_share("lib/stays", &south(), Deadline::Never),
    ];
    scene.commit(minute(1), shares).await;
    let second = chrono::TimeDelta::seconds(1);
    let both = ["lib/ends", "lib/stays"];
    for (now, lasting) in [
        (minute(2), &both[..]),
        (minute(20) - second, &both),
        (minute(20), &both[1..]),
        (minute(99), &both[1..]),
    ] {
        let all = Candidates::All(&page(None, 9));
        let readable = store.readable(Some(&dan().id), true, all, now).await.unwrap();
        let readable: Vec<_> = readable.iter().map(ToString::to_string).collect();
        assert_eq!(readable, lasting, "{now}");
        let listed = async |valid| {
            let list = RepositoryList::SharedWithUs { valid };
            scene.listed(&RepositoryQuery { now, ..repositories_of(&dan(), list) }).await.0
        };
        assert_eq!(listed(Some(true)).await, lasting, "{now}");
        assert_eq!(listed(Some(false)).await, both[..2 - lasting.len()], "{now}");
        assert_eq!(listed(None).await, both, "{now}");
    }
    let standing = scene.standing(Some(&dan()), "lib/ends").await;
    assert_eq!(standing.repository.unwrap().share, Some(Deadline::At(minute(20))));
}
