//! Deliveries: made of events, claimed, settled, revived, trimmed.

use super::*;
use crate::control::trigger::{Delivery, DeliveryId, DeliveryState};
use crate::ports::{ClaimedDelivery, Fence, StoreErrorKind, Tried};

const CI: &str = "https://ci.example.net/";
const CHAT: &str = "https://chat.example.net/";

/// A repository with a trigger of this name for every address, and their ids.
async fn hooked<'a, const N: usize>(
    store: &'a dyn MetadataStore,
    hooks: [(&str, &str); N],
) -> (Scene<'a>, [TriggerId; N]) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(0), [create_repository("lib/a", Visibility::Private)]).await;
    let mut ids = Vec::new();
    for (name, url) in hooks {
        scene.commit(minute(0), [create_trigger("lib/a", name, url)]).await;
        let triggers = store.triggers(&repository_name("lib/a")).await.unwrap().unwrap();
        ids.push(triggers.iter().find(|(_, trigger)| trigger.name == trigger_name(name)).unwrap().0);
    }
    (scene, ids.try_into().unwrap())
}

/// The tags of what is claimed for ten minutes, in their order.
async fn claim(store: &dyn MetadataStore, now: i64) -> Vec<ClaimedDelivery> {
    let mut claimed = store.claim_deliveries(minute(now), minute(now + 10), limit(99)).await.unwrap();
    claimed.sort_by(|one, other| one.delivery.tag.cmp(&other.delivery.tag));
    claimed
}

fn tags(claimed: &[ClaimedDelivery]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.delivery.tag.as_str()).collect()
}

fn tried(at: i64, state: DeliveryState) -> Tried {
    Tried { at: minute(at), state, detail: format!("tried at {at}").into() }
}

/// Settles all of them.
async fn settle(store: &dyn MetadataStore, claimed: &[ClaimedDelivery], tried: Tried) {
    for claimed in claimed {
        store.settle_delivery(claimed, &tried).await.unwrap();
    }
}

async fn states(store: &dyn MetadataStore, trigger: TriggerId) -> Vec<(String, DeliveryState)> {
    let deliveries = store.deliveries(trigger, limit(99)).await.unwrap();
    deliveries.into_iter().map(|it| (it.tag.to_string(), it.state)).collect()
}

/// However often it is fanned out, whatever its id, also once it is settled; the cursor moves along.
pub async fn a_delivery_of_an_event_and_a_trigger_is_made_once(store: &dyn MetadataStore) {
    let (scene, [one, two]) = hooked(store, [("one", CI), ("two", CHAT)]).await;
    let first = [delivery(one, 1, "v1", minute(1)), delivery(two, 1, "v1", minute(1))];
    scene.fan_out(&first, 1).await;
    assert_eq!(store.cursor("triggers").await.unwrap(), EventSeq(1));
    let second = [delivery(one, 1, "v1", minute(1)), delivery(one, 2, "v2", minute(2))];
    scene.fan_out(&second, 2).await;
    assert_eq!(store.cursor("triggers").await.unwrap(), EventSeq(2));
    let of_one = store.deliveries(one, limit(99)).await.unwrap();
    let made = |new: &NewDelivery| Delivery {
        id: new.id.clone(),
        trigger: new.trigger,
        event: new.event,
        tag: new.tag.clone(),
        digest: new.digest,
        at: new.at,
        state: DeliveryState::Waiting(new.at),
        attempts: 0,
        tried: None,
        detail: "".into(),
    };
    assert_eq!(of_one, [made(&second[1]), made(&first[0])]);
    assert_eq!(store.deliveries(one, limit(1)).await.unwrap(), of_one[..1]);
    assert_eq!(store.deliveries(two, limit(99)).await.unwrap(), [made(&first[1])]);
    settle(store, &claim(store, 5).await, tried(5, DeliveryState::Delivered)).await;
    scene.fan_out(&first, 2).await;
    assert_eq!(states(store, two).await, [("v1".to_owned(), DeliveryState::Delivered)]);
}

/// It is somebody else's work by now, cursor and all.
pub async fn a_fence_that_is_no_longer_the_leases_fans_nothing_out(store: &dyn MetadataStore) {
    let (_, [one]) = hooked(store, [("one", CI)]).await;
    let lease =
        |holder, now, until| Lease { name: "triggers", holder, now: minute(now), until: minute(until) };
    let old = store.lease(&lease("a", 0, 5)).await.unwrap().unwrap();
    store.lease(&lease("b", 5, 9)).await.unwrap().unwrap();
    let new = [delivery(one, 1, "v1", minute(1))];
    let refused = store.fan_out(&new, "triggers", EventSeq(1), &old).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Fenced);
    let nobody = Fence { lease: "another".into(), token: 1 };
    store.fan_out(&new, "triggers", EventSeq(1), &nobody).await.unwrap_err();
    assert_eq!(store.cursor("triggers").await.unwrap(), EventSeq::START);
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap(), []);
}

/// Nor one that is gone, nor one that does not fire: whatever it was when the event was looked at.
pub async fn versions_from_before_fire_no_trigger(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(5), [create_repository("lib/a", Visibility::Private)]).await;
    let late = Trigger { created: minute(5), ..trigger("lib/a", "late", CI) };
    let changes = [MetadataChange::CreateTrigger(late), create_trigger("lib/a", "gone", CI)];
    scene.commit(minute(5), changes).await;
    let triggers = store.triggers(&repository_name("lib/a")).await.unwrap().unwrap();
    let (gone, late) = (triggers[0].0, triggers[1].0);
    let remove = remove_trigger("lib/a", "gone");
    scene.commit(minute(5), [remove]).await;
    let event =
        |seq, at| [delivery(late, seq, &format!("v{seq}"), minute(at)), delivery(gone, seq, "v", minute(at))];
    scene.fan_out(&event(1, 4), 1).await;
    scene.fan_out(&event(2, 5), 2).await;
    scene.commit(minute(6), [enable("lib/a", "late", false)]).await;
    scene.fan_out(&event(3, 7), 3).await;
    scene.commit(minute(8), [enable("lib/a", "late", true)]).await;
    scene.fan_out(&event(4, 7), 4).await;
    scene.fan_out(&event(5, 8), 5).await;
    let made: Vec<_> = states(store, late).await.into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(made, ["v5", "v2"]);
    assert_eq!(store.deliveries(gone, limit(9)).await.unwrap(), []);
    assert_eq!(store.cursor("triggers").await.unwrap(), EventSeq(5));
}

/// Not before it is due, and while the claim lasts nobody else.
pub async fn two_claimers_never_hold_one_delivery(store: &dyn MetadataStore) {
    let (scene, [one]) = hooked(store, [("one", CI)]).await;
    scene.fan_out(&[delivery(one, 1, "v1", minute(5))], 1).await;
    assert_eq!(claim(store, 4).await, []);
    let first = claim(store, 5).await;
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].delivery, store.deliveries(one, limit(1)).await.unwrap()[0]);
    assert_eq!(first[0].trigger, trigger("lib/a", "one", CI));
    for now in [5, 14] {
        assert_eq!(claim(store, now).await, [], "{now}");
    }
}

/// Whoever is late has nothing to say any more, and whoever has spoken neither.
pub async fn a_claim_that_lapsed_settles_nothing_once_there_is_another(store: &dyn MetadataStore) {
    let (scene, [one]) = hooked(store, [("one", CI)]).await;
    scene.fan_out(&[delivery(one, 1, "v1", minute(1))], 1).await;
    let first = claim(store, 1).await;
    let second = claim(store, 11).await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(second[0].claim > first[0].claim);
    let before = store.deliveries(one, limit(9)).await.unwrap();
    settle(store, &first, tried(12, DeliveryState::Delivered)).await;
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap(), before);
    assert_eq!(claim(store, 12).await, []);
    settle(store, &second, tried(13, DeliveryState::Waiting(minute(20)))).await;
    let expected = Delivery {
        state: DeliveryState::Waiting(minute(20)),
        attempts: 1,
        tried: Some(minute(13)),
        detail: "tried at 13".into(),
        ..before[0].clone()
    };
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap(), std::slice::from_ref(&expected));
    settle(store, &second, tried(14, DeliveryState::Delivered)).await;
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap(), [expected]);
    assert_eq!(claim(store, 19).await, []);
    // One that lapsed is still the last.
    let third = claim(store, 20).await;
    settle(store, &third, tried(40, DeliveryState::Delivered)).await;
    assert_eq!(states(store, one).await, [("v1".to_owned(), DeliveryState::Delivered)]);
    assert_eq!(claim(store, 99).await, []);
}

/// A target is an address or an application, whichever triggers lead to it; one that backs off holds up no other.
pub async fn targets_are_served_in_order_and_side_by_side(store: &dyn MetadataStore) {
    let (scene, [one, chat, two]) = hooked(store, [("one", CI), ("chat", CHAT), ("two", CI)]).await;
    let new = [
        delivery(two, 1, "b-1", minute(1)),
        delivery(one, 1, "a-1", minute(1)),
        delivery(one, 2, "a-2", minute(2)),
        delivery(chat, 2, "c-2", minute(2)),
        delivery(two, 3, "b-3", minute(3)),
        delivery(chat, 3, "c-3", minute(3)),
    ];
    scene.fan_out(&new, 3).await;
    let claimed = claim(store, 5).await;
    assert_eq!(tags(&claimed), ["a-1", "c-2"]);
    assert_eq!(claim(store, 6).await, []);
    settle(store, &claimed[..1], tried(6, DeliveryState::Waiting(minute(30)))).await;
    settle(store, &claimed[1..], tried(6, DeliveryState::Delivered)).await;
    let claimed = claim(store, 7).await;
    assert_eq!(tags(&claimed), ["c-3"]);
    settle(store, &claimed, tried(7, DeliveryState::Delivered)).await;
    assert_eq!(claim(store, 29).await, []);
    for (at, tag, state) in [
        (30, "a-1", DeliveryState::Delivered),
        (31, "b-1", DeliveryState::Dead),
        (32, "a-2", DeliveryState::Delivered),
        (33, "b-3", DeliveryState::Delivered),
    ] {
        let claimed = claim(store, at).await;
        assert_eq!(tags(&claimed), [tag]);
        settle(store, &claimed, tried(at, state)).await;
    }
    assert_eq!(claim(store, 99).await, []);
}

/// As many as are wanted, and nobody is forgotten.
pub async fn deliveries_are_claimed_as_many_as_wanted(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(0), [create_repository("lib/a", Visibility::Private)]).await;
    for number in 0..7 {
        let url = format!("https://{number}.example.net/");
        scene.commit(minute(0), [create_trigger("lib/a", &format!("t{number}"), &url)]).await;
    }
    let triggers = store.triggers(&repository_name("lib/a")).await.unwrap().unwrap();
    for seq in 1..=3 {
        let of_event =
            triggers.iter().map(|(id, trigger)| delivery(*id, seq, trigger.name.as_str(), minute(1)));
        scene.fan_out(&of_event.collect::<Vec<_>>(), seq).await;
    }
    let mut served = Vec::new();
    for round in 0..8 {
        let now = minute(10 + round);
        let claimed =
            store.claim_deliveries(now, now + chrono::TimeDelta::minutes(9), limit(3)).await.unwrap();
        assert_eq!(claimed.len(), if round < 7 { 3 } else { 0 });
        settle(store, &claimed, tried(10 + round, DeliveryState::Delivered)).await;
        served.extend(claimed.into_iter().map(|claimed| claimed.delivery.tag.to_string()));
        // Those that wait come before those that were just served.
        let mut names = served.clone();
        names.sort_unstable();
        names.dedup();
        assert!(served.len() < 9 || names.len() == 7, "{served:?}");
    }
    assert_eq!(served.len(), 21);
}

/// As does whatever else leads to the same target while a claim lasts; enabled again, it goes on.
pub async fn deliveries_of_a_disabled_trigger_wait_and_let_others_pass(store: &dyn MetadataStore) {
    let (scene, [one, two]) = hooked(store, [("one", CI), ("two", CI)]).await;
    let new = [
        delivery(one, 1, "a-1", minute(1)),
        delivery(two, 2, "b-2", minute(2)),
        delivery(one, 3, "a-3", minute(3)),
    ];
    scene.fan_out(&new, 3).await;
    let first = claim(store, 5).await;
    settle(store, &first, tried(5, DeliveryState::Waiting(minute(60)))).await;
    assert_eq!(claim(store, 6).await, []);
    scene.commit(minute(7), [enable("lib/a", "one", false)]).await;
    let second = claim(store, 8).await;
    assert_eq!(tags(&second), ["b-2"]);
    scene.commit(minute(9), [enable("lib/a", "one", true)]).await;
    assert_eq!(claim(store, 9).await, []);
    settle(store, &second, tried(9, DeliveryState::Delivered)).await;
    assert_eq!(claim(store, 59).await, []);
    let again = claim(store, 60).await;
    assert_eq!(tags(&again), ["a-1"]);
    // A try that is under way when its trigger is disabled is seen through.
    scene.commit(minute(61), [enable("lib/a", "one", false)]).await;
    settle(store, &again, tried(61, DeliveryState::Delivered)).await;
    assert_eq!(claim(store, 99).await, []);
    let waiting = ("a-3".to_owned(), DeliveryState::Waiting(minute(3)));
    assert_eq!(states(store, one).await, [waiting, ("a-1".to_owned(), DeliveryState::Delivered)]);
    scene.commit(minute(99), [enable("lib/a", "one", true)]).await;
    assert_eq!(tags(&claim(store, 99).await), ["a-3"]);
}

/// Claims on them end with nothing, and what waited behind them goes on.
pub async fn a_removed_trigger_takes_its_deliveries(store: &dyn MetadataStore) {
    let (scene, [one, two]) = hooked(store, [("one", CI), ("two", CI)]).await;
    let new = [
        delivery(one, 1, "a-1", minute(1)),
        delivery(one, 2, "a-2", minute(2)),
        delivery(two, 3, "b-3", minute(3)),
    ];
    scene.fan_out(&new, 3).await;
    let claimed = claim(store, 5).await;
    assert_eq!(tags(&claimed), ["a-1"]);
    let remove = remove_trigger("lib/a", "one");
    scene.commit(minute(6), [remove]).await;
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap(), []);
    settle(store, &claimed, tried(6, DeliveryState::Delivered)).await;
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap(), []);
    assert!(!store.revive_delivery(one, &new[0].id, minute(6)).await.unwrap());
    assert_eq!(tags(&claim(store, 6).await), ["b-3"]);
    // One of the same name is another one.
    scene.commit(minute(7), [create_trigger("lib/a", "one", CI)]).await;
    let triggers = store.triggers(&repository_name("lib/a")).await.unwrap().unwrap();
    assert!(triggers[0].0 > two, "{triggers:?}");
    assert_eq!(store.deliveries(triggers[0].0, limit(9)).await.unwrap(), []);
}

/// One of this trigger that is dead, and no other; before those that came after it, once what is under way is settled.
pub async fn a_delivery_that_was_given_up_is_revived(store: &dyn MetadataStore) {
    let (scene, [one, two]) = hooked(store, [("one", CI), ("two", CHAT)]).await;
    let new = [
        delivery(one, 1, "a-1", minute(1)),
        delivery(one, 2, "a-2", minute(2)),
        delivery(one, 3, "a-3", minute(3)),
    ];
    scene.fan_out(&new, 3).await;
    settle(store, &claim(store, 5).await, tried(5, DeliveryState::Dead)).await;
    let under_way = claim(store, 6).await;
    assert_eq!(tags(&under_way), ["a-2"]);
    let id = &new[0].id;
    assert!(!store.revive_delivery(two, id, minute(7)).await.unwrap());
    assert!(!store.revive_delivery(one, &new[1].id, minute(7)).await.unwrap());
    assert!(!store.revive_delivery(one, &DeliveryId::random(), minute(7)).await.unwrap());
    assert!(store.revive_delivery(one, id, minute(7)).await.unwrap());
    assert!(!store.revive_delivery(one, id, minute(7)).await.unwrap());
    let revived = &store.deliveries(one, limit(9)).await.unwrap()[2];
    assert_eq!((revived.state, revived.attempts), (DeliveryState::Waiting(minute(7)), 1));
    assert_eq!(revived.tried, Some(minute(5)));
    assert_eq!(claim(store, 8).await, []);
    settle(store, &under_way, tried(8, DeliveryState::Delivered)).await;
    let again = claim(store, 8).await;
    assert_eq!(tags(&again), ["a-1"]);
    settle(store, &again, tried(9, DeliveryState::Delivered)).await;
    assert!(!store.revive_delivery(one, id, minute(9)).await.unwrap());
    assert_eq!(store.deliveries(one, limit(9)).await.unwrap()[2].attempts, 2);
    assert_eq!(tags(&claim(store, 9).await), ["a-3"]);
}

/// Those that were settled before a time, the oldest first; those that wait stay, however long.
pub async fn settled_deliveries_are_trimmed_in_small_batches(store: &dyn MetadataStore) {
    let (scene, [one, two]) = hooked(store, [("one", CI), ("two", CHAT)]).await;
    let new: Vec<_> = (1..=5).map(|seq| delivery(one, seq, &format!("v{seq}"), minute(1))).collect();
    scene.fan_out(&new, 5).await;
    scene.fan_out(&[delivery(two, 5, "waits", minute(1))], 5).await;
    let outcomes = [
        DeliveryState::Delivered,
        DeliveryState::Dead,
        DeliveryState::Delivered,
        DeliveryState::Waiting(minute(99)),
    ];
    for (at, state) in (10..).zip(outcomes) {
        let claimed = claim(store, at).await;
        let of_one: Vec<_> = claimed.into_iter().filter(|claimed| claimed.delivery.trigger == one).collect();
        assert_eq!(of_one.len(), 1);
        settle(store, &of_one, tried(at, state)).await;
    }
    assert_eq!(store.trim_history(minute(10), limit(9)).await.unwrap(), 0);
    assert_eq!(store.trim_history(minute(12), limit(1)).await.unwrap(), 1);
    let left = async || states(store, one).await.into_iter().map(|(tag, _)| tag).collect::<Vec<_>>();
    assert_eq!(left().await, ["v5", "v4", "v3", "v2"]);
    assert_eq!(store.trim_history(minute(12), limit(9)).await.unwrap(), 1);
    assert_eq!(left().await, ["v5", "v4", "v3"]);
    assert_eq!(store.trim_history(minute(999), limit(9)).await.unwrap(), 1);
    assert_eq!(left().await, ["v5", "v4"]);
    assert_eq!(states(store, two).await.len(), 1);
}

/// Settled or not, and however young; also when their repository went. Until then nothing leads to them.
pub async fn deliveries_of_removed_triggers_are_trimmed_in_small_batches(store: &dyn MetadataStore) {
    let (scene, [one, two]) = hooked(store, [("one", CI), ("two", CHAT)]).await;
    let new: Vec<_> = (1..=3)
        .flat_map(|seq| [one, two].map(|id| delivery(id, seq, &format!("v{seq}"), minute(1))))
        .collect();
    scene.fan_out(&new, 3).await;
    let claimed = claim(store, 5).await;
    settle(store, &claimed, tried(5, DeliveryState::Delivered)).await;
    assert_eq!(store.trim_history(minute(0), limit(9)).await.unwrap(), 0);
    scene.commit(minute(6), [remove_trigger("lib/a", "one")]).await;
    for left in [2, 1] {
        assert_eq!(store.trim_history(minute(0), limit(2)).await.unwrap(), left);
    }
    assert_eq!(store.trim_history(minute(0), limit(2)).await.unwrap(), 0);
    assert_eq!(states(store, two).await.len(), 3);
    scene.change(minute(7), "lib/a", [Change::RemoveRepository]).await;
    assert_eq!(store.deliveries(two, limit(9)).await.unwrap(), []);
    assert_eq!(claim(store, 8).await, []);
    assert_eq!(store.trim_history(minute(0), limit(9)).await.unwrap(), 3);
    assert_eq!(store.trim_history(minute(999), limit(9)).await.unwrap(), 0);
}
