//! Many at once, and what is there after reopening.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::control::trigger::DeliveryState;
use crate::ports::{PullCount, Tried, UsageKind};

/// How many at once.
const MANY: usize = 64;

/// Runs the work on as many threads at the same moment; the answers in the order of their numbers.
async fn at_once<T: Send>(work: impl AsyncFn(usize) -> T + Sync) -> Vec<T> {
    let (runtime, start) = (tokio::runtime::Handle::current(), Barrier::new(MANY));
    let run = |number| {
        start.wait();
        runtime.block_on(work(number))
    };
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..MANY).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// How many of the commits were kept; the others were refused for this.
#[track_caller]
fn kept(outcomes: Vec<Result<MetadataReceipt, MetadataCommitError>>, refused_for: &MetadataRequire) -> usize {
    let mut kept = 0;
    for outcome in outcomes {
        match outcome {
            Ok(_) => kept += 1,
            refused => assert_eq!(unmet(refused), std::slice::from_ref(refused_for)),
        }
    }
    kept
}

/// By their user, and by their account: exactly as many as there may be are made.
pub async fn creators_at_once_never_exceed_a_limit(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let limits = [
        MetadataRequire::OrganisationsByFewerThan { user: ada().id, limit: 5 },
        MetadataRequire::OrganisationsOfFewerThan { account: north().id, limit: 8 },
    ];
    for (round, (fewer, expected)) in limits.into_iter().zip([5, 3]).enumerate() {
        let outcomes = at_once(async |number| {
            let create = [create_organisation(&format!("lib-{round}-{number}"), &ada())];
            Scene::new(store).by(&ada()).attempt(minute(1), [fewer.clone()], create).await
        })
        .await;
        assert_eq!(kept(outcomes, &fewer), expected);
    }
    assert_eq!(store.organisations_by(&ada().id).await.unwrap(), 8);
    assert_eq!(store.organisations(&viewer(&ada()), false).await.unwrap().len(), 8);
    let created = scene.traces(&north()).await.into_iter().filter(|trace| trace.user.is_some());
    assert_eq!(created.count(), 8);
}

/// Of an account, of a user, of an organisation and of a repository; the others learn that it is taken.
pub async fn one_of_many_creators_of_a_name_wins(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let name = AccountName::parse("west").unwrap();
    let free = MetadataRequire::AccountNameFree(name.clone());
    let outcomes = at_once(async |number| {
        let account = Account { name: name.clone(), ..account(&format!("west-{number}")) };
        let put = [MetadataChange::PutAccount(account)];
        Scene::new(store).attempt(minute(1), [free.clone()], put).await
    })
    .await;
    assert_eq!(kept(outcomes, &free), 1);

    let name = UserName::parse("wim").unwrap();
    let free = MetadataRequire::UserNameFree { account: north().id, name: name.clone() };
    let outcomes = at_once(async |number| {
        let user = User { name: name.clone(), ..user("north", &format!("wim-{number}"), Role::Member) };
        Scene::new(store).attempt(minute(1), [free.clone()], [MetadataChange::PutUser(user)]).await
    })
    .await;
    assert_eq!(kept(outcomes, &free), 1);
    assert_eq!(store.users(&north().id, &page(None, 99)).await.unwrap().len(), 4);

    let free = MetadataRequire::OrganisationFree(organisation_name("lib"));
    let outcomes = at_once(async |number| {
        let creator = if number % 2 == 0 { ada() } else { eve() };
        let changes = [
            create_organisation("lib", &creator),
            grant(in_organisation("lib"), &creator, GrantLevel::Manage),
        ];
        Scene::new(store).attempt(minute(1), [free.clone()], changes).await
    })
    .await;
    assert_eq!(kept(outcomes, &free), 1);
    let owner = store.organisation(&organisation_name("lib")).await.unwrap().unwrap().creator_name;
    let expected = Some(vec![(owner.to_string(), GrantLevel::Manage)]);
    assert_eq!(scene.granted(&in_organisation("lib")).await, expected);

    let free = MetadataRequire::RepositoryFree(repository_name("lib/a"));
    let outcomes = at_once(async |_| {
        let create = [create_repository("lib/a", Visibility::Private)];
        Scene::new(store).attempt(minute(1), [free.clone()], create).await
    })
    .await;
    assert_eq!(kept(outcomes, &free), 1);
    assert_eq!(scene.log().await.len(), 1);
}

/// Access keys of a user, and shares of a repository.
pub async fn keys_and_shares_at_once_never_exceed_a_limit(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(0), [create_repository("lib/a", Visibility::Private)]).await;
    let fewer = MetadataRequire::AccessKeysFewerThan { user: bob().id, limit: 10 };
    let outcomes = at_once(async |number| {
        let put = MetadataChange::PutAccessKey(access_key(&format!("AK{number}"), &bob(), minute(1)));
        Scene::new(store).attempt(minute(1), [fewer.clone()], [put]).await
    })
    .await;
    assert_eq!(kept(outcomes, &fewer), 10);
    assert_eq!(store.access_keys(&bob().id).await.unwrap().len(), 10);

    let repository = repository_name("lib/a");
    let fewer = MetadataRequire::SharesFewerThan { repository: repository.clone(), limit: 7 };
    let outcomes = at_once(async |number| {
        let receiver = account(&format!("account-{number}"));
        let changes =
            [MetadataChange::PutAccount(receiver.clone()), put_share("lib/a", &receiver, Deadline::Never)];
        Scene::new(store).attempt(minute(1), [fewer.clone()], changes).await
    })
    .await;
    assert_eq!(kept(outcomes, &fewer), 7);
    let shares = store.shares(&repository, &page(None, 99)).await.unwrap().unwrap();
    assert_eq!(shares.len(), 7);
}

/// A change and the end of the right that it rests on: whichever is first, the other one sees it.
pub async fn a_right_and_its_loss_never_both_win(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for round in 0..8 {
        let name = format!("lib/{round}");
        scene.commit(minute(1), [grant(in_organisation("lib"), &bob(), GrantLevel::Edit)]).await;
        let rights = scene.rights().await;
        let outcomes = at_once(async |number| {
            let scene = Scene::new(store);
            if number == 0 {
                scene.commit(minute(2), [remove_grant(in_organisation("lib"), &bob())]).await;
                return None;
            }
            let require = MetadataRequire::Rights(rights);
            let create = [create_repository(&format!("{name}-{number}"), Visibility::Private)];
            let outcome = scene.by(&bob()).attempt(minute(2), [require.clone()], create).await;
            Some(match outcome {
                Ok(_) => true,
                refused => {
                    assert_eq!(unmet(refused), [require]);
                    false
                }
            })
        })
        .await;
        let trail = scene.trail().await;
        let removed = trail.iter().rposition(|trace| &*trace.traced.resource_name == "lib").unwrap();
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let created = format!("{name}-{number}");
            let created = trail.iter().position(|trace| *trace.traced.resource_name == *created);
            assert_eq!(created.is_some(), outcome == Some(true));
            assert!(created.is_none_or(|created| created < removed), "{number} was late, and won");
        }
    }
}

/// Whoever reads along misses none: no trace appears before one that was shown.
pub async fn the_trail_shows_no_gap_that_fills_later(store: &dyn MetadataStore) {
    const ROUNDS: usize = 8;
    let scene = Scene::settled(store).await;
    let before = scene.trail().await.len();
    let writers_done = AtomicUsize::new(0);
    let seen = at_once(async |number| {
        let scene = Scene::new(store).by(&ada());
        if number == 0 {
            let mut seen: Vec<Trace> = Vec::new();
            loop {
                let was_last = writers_done.load(Ordering::SeqCst) == MANY - 1;
                let after = seen.last().map_or(0, |trace| trace.seq);
                let more = store.traces_after(after, limit(5)).await.unwrap();
                if more.is_empty() && was_last {
                    return seen;
                }
                seen.extend(more);
                tokio::task::yield_now().await;
            }
        }
        for round in 0..ROUNDS {
            let name = format!("lib/{number}-{round}");
            if round % 2 == 0 {
                scene.commit(minute(1), [create_repository(&name, Visibility::Private)]).await;
            } else {
                scene.change(minute(1), &name, [Change::CreateRepository]).await;
            }
        }
        writers_done.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    })
    .await;
    let trail = scene.trail().await;
    assert_eq!(trail.len(), before + ROUNDS * (MANY - 1));
    assert!(trail.is_sorted_by(|one, next| one.seq < next.seq));
    assert_eq!(seen[0], trail, "the reader missed something");
}

/// People, keys, organisations, what is said of repositories, grants, shares and the trail.
pub async fn metadata_is_there_after_reopening<S: MetadataStore>(open: impl AsyncFn() -> S) {
    let seen = async |store: &dyn MetadataStore| {
        let scene = Scene::new(store);
        let mut seen = vec![format!("{:?} {:?}", scene.rights().await, scene.trail().await)];
        for account in store.accounts(&page(None, 9)).await.unwrap() {
            let users = store.users(&account.id, &page(None, 9)).await.unwrap();
            seen.push(format!("{account:?} {users:?}"));
            // What is not printed.
            seen.extend(users.iter().filter_map(|user| Some(user.password.as_ref()?.expose().to_owned())));
        }
        let keys = store.all_access_keys(&page(None, 9)).await.unwrap();
        seen.extend(keys.iter().map(|key| format!("{key:?} {:?}", key.secret.as_ref().unwrap().as_bytes())));
        let keys = store.token_keys().await.unwrap();
        seen.extend(keys.iter().map(|key| format!("{key:?} {:?}", key.secret.as_ref().unwrap().as_bytes())));
        seen.push(format!("{:?}", store.key_holder(&key_id("TK1")).await.unwrap()));
        seen.push(format!("{:?}", store.organisations(&viewer(&ada()), true).await.unwrap()));
        seen.push(format!("{:?}", scene.details("lib/a").await));
        seen.push(format!("{:?}", store.versions(&repository_name("lib/a"), &all_versions()).await.unwrap()));
        for scope in [in_organisation("lib"), on_repository("lib/a")] {
            seen.push(format!("{:?}", store.grants(&scope).await.unwrap()));
        }
        let repository = repository_name("lib/a");
        seen.push(format!("{:?}", store.shares(&repository, &page(None, 9)).await.unwrap()));
        seen.push(format!("{:?}", store.rule(&repository).await.unwrap()));
        seen.push(format!("{:?}", store.cleared(&repository, 0, limit(9)).await.unwrap()));
        seen.push(format!("{:?}", store.syncs(&repository).await.unwrap()));
        seen.push(format!("{:?}", store.sync_jobs(&repository, false, 0, limit(9)).await.unwrap()));
        let day = minute(0).date_naive();
        for kind in [UsageKind::Stored, UsageKind::Pulled] {
            seen.push(format!("{:?}", store.usage(&north().id, kind, day, day).await.unwrap()));
        }
        for (id, trigger) in store.triggers(&repository).await.unwrap().unwrap() {
            let TriggerTarget::Webhook { secret: Some(secret), .. } = &trigger.target else { panic!() };
            seen.push(format!("{id:?} {trigger:?} {:?}", secret.as_bytes()));
            seen.push(format!("{:?}", store.deliveries(id, limit(9)).await.unwrap()));
        }
        seen.push(format!("{:?}", store.cursor("triggers").await.unwrap()));
        seen
    };
    let store = open().await;
    let scene = Scene::settled(&store).await;
    scene.by(&bob()).push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
    let attributes = Attributes {
        visibility: Visibility::Public,
        category: Category::FrameworkApp,
        description: "words".into(),
    };
    let changes = [
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), Some("AK1"), minute(99))),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
        set_attributes("lib/a", attributes),
        grant(in_organisation("lib"), &bob(), GrantLevel::Edit),
        grant(on_repository("lib/a"), &cyd(), GrantLevel::Read),
        put_share("lib/a", &south(), Deadline::At(minute(20))),
        put_rule("lib/a", 3),
        create_trigger("lib/a", "hook", "https://ci.example.net/"),
        put_sync("lib/a", "far", "lib", true),
        add_sync_job("lib/a", "v1", "far"),
        MetadataChange::PutAccount(Account { agency: true, ..north() }),
    ];
    scene.commit(minute(2), changes).await;
    let pulled = PullCount {
        repository: repository_name("lib/a"),
        reference: tag("v1").into(),
        count: 1,
        last: minute(2),
    };
    store.observe_pulls(&[pulled]).await.unwrap();
    store.note_stored(minute(2).date_naive()).await.unwrap();
    let aging = scene.by_actor(Actor::Caretaker(Task::Aging));
    aging.change(minute(3), "lib/a", [Change::RemoveTag(tag("v1"))]).await;
    let trigger = store.triggers(&repository_name("lib/a")).await.unwrap().unwrap()[0].0;
    let new = ["v1", "v2", "v3"].map(|text| delivery(trigger, text[1..].parse().unwrap(), text, minute(3)));
    scene.fan_out(&new, 3).await;
    let done = store.claim_deliveries(minute(4), minute(14), limit(9)).await.unwrap();
    let tried = Tried { at: minute(5), state: DeliveryState::Delivered, detail: "done".into() };
    store.settle_delivery(&done[0], &tried).await.unwrap();
    let claimed = store.claim_deliveries(minute(5), minute(15), limit(9)).await.unwrap();
    let before = seen(&store).await;
    drop(store);

    let store = open().await;
    assert_eq!(seen(&store).await, before);
    // Claims last as well, and lapse.
    assert_eq!(store.claim_deliveries(minute(14), minute(24), limit(9)).await.unwrap(), []);
    let again = store.claim_deliveries(minute(15), minute(25), limit(9)).await.unwrap();
    assert_eq!(again[0].delivery, claimed[0].delivery);
    assert!(again[0].claim > claimed[0].claim);
}

/// Neither an organisation's id nor a trace's place is given twice, and the count of rights never falls.
pub async fn metadata_ids_and_counts_go_on_after_reopening<S: MetadataStore>(open: impl AsyncFn() -> S) {
    let id = async |store: &S| {
        Scene::new(store).commit(minute(1), [create_organisation("new", &ada())]).await;
        let organisation = store.organisation(&organisation_name("new")).await.unwrap();
        organisation.unwrap().id
    };
    let store = open().await;
    let scene = Scene::settled(&store).await;
    let first = id(&store).await;
    scene.commit(minute(2), [remove_organisation("new")]).await;
    let (rights, last) = (scene.rights().await, scene.trail().await.last().unwrap().seq);
    assert!(store.trim_traces(minute(99), limit(1000)).await.unwrap() > 0);
    assert_eq!(scene.trail().await, []);
    drop(store);

    let store = open().await;
    let scene = Scene::new(&store);
    assert_eq!(scene.rights().await, rights);
    assert!(id(&store).await > first);
    assert!(scene.rights().await > rights);
    assert!(scene.trail().await[0].seq > last);
}
