//! The trail: what every operation leaves behind.

use super::*;
use crate::control::trace::{Operation, Outcome, TraceId, TraceRating, Traced, TracedOperation};
use crate::event::{Event, EventSeq};
use crate::ports::{Fence, Lease, StoreErrorKind, Unused};
use crate::testing::sample_images::SampleBlob;

/// A change of every kind, in an order in which each changes something, and the operation that it is.
fn every_change() -> Vec<(MetadataChange, Operation)> {
    let renamed = Account { name: AccountName::parse("West").unwrap(), ..account("west") };
    let with_agency = Account { agency: true, ..renamed.clone() };
    let wim = user("west", "wim", Role::Member);
    let sealed = AccessKey { description: "sealed anew".into(), ..access_key("AK1", &bob(), minute(1)) };
    let token = TokenKey { created: minute(2), ..token_key("KK1", minute(1)) };
    vec![
        (MetadataChange::PutAccount(account("west")), Operation::CreateAccount),
        (MetadataChange::PutAccount(renamed), Operation::UpdateAccount),
        (MetadataChange::PutAccount(with_agency), Operation::UpdateAccount),
        (MetadataChange::PutUser(wim.clone()), Operation::CreateUser),
        (MetadataChange::PutUser(User { password: None, ..wim.clone() }), Operation::UpdateUser),
        (MetadataChange::RemoveUser(wim.id), Operation::DeleteUser),
        (MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))), Operation::CreateAccessKey),
        (MetadataChange::PutAccessKey(sealed), Operation::UpdateAccessKey),
        (
            MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), Some("AK1"), minute(99))),
            Operation::CreateDockerConfig,
        ),
        (MetadataChange::RemoveAccessKey(key_id("AK1")), Operation::DeleteAccessKey),
        (MetadataChange::PutTokenKey(token_key("KK1", minute(1))), Operation::CreateTokenKey),
        (MetadataChange::PutTokenKey(token), Operation::UpdateTokenKey),
        (MetadataChange::RemoveTokenKey(key_id("KK1")), Operation::DeleteTokenKey),
        (create_organisation("new", &ada()), Operation::CreateUserNamespace),
        (grant(in_organisation("new"), &bob(), GrantLevel::Read), Operation::CreateUserNamespaceAuth),
        (grant(in_organisation("new"), &bob(), GrantLevel::Edit), Operation::UpdateUserNamespaceAuth),
        (remove_grant(in_organisation("new"), &bob()), Operation::DeleteUserNamespaceAuth),
        (create_repository("new/a", Visibility::Private), Operation::CreateImageRepository),
        (grant(on_repository("new/a"), &bob(), GrantLevel::Read), Operation::CreateUserRepositoryAuth),
        (grant(on_repository("new/a"), &bob(), GrantLevel::Manage), Operation::UpdateUserRepositoryAuth),
        (remove_grant(on_repository("new/a"), &bob()), Operation::DeleteUserRepositoryAuth),
        (put_share("new/a", &south(), Deadline::Never), Operation::CreateImageRepositoryAccessDomain),
        (put_share("new/a", &south(), Deadline::At(minute(9))), Operation::UpdateImageRepositoryAccessDomain),
        (remove_share("new/a", &south()), Operation::DeleteImageRepositoryAccessDomain),
        (set_visibility("new/a", Visibility::Public), Operation::UpdateImageRepository),
        (put_sync("new/a", "far", "lib", false), Operation::CreateImageSync),
        (put_sync("new/a", "far", "lib", true), Operation::UpdateImageSync),
        (remove_sync("new/a", "far", "lib"), Operation::DeleteImageSync),
        (put_rule("new/a", 1), Operation::CreateRetention),
        (put_rule("new/a", 2), Operation::UpdateRetention),
        (MetadataChange::RemoveRule(repository_name("new/a")), Operation::DeleteRetention),
        (create_trigger("new/a", "hook", "https://ci.example.net/"), Operation::CreateTrigger),
        (enable("new/a", "hook", false), Operation::UpdateTrigger),
        (remove_trigger("new/a", "hook"), Operation::DeleteTrigger),
        (remove_organisation("new"), Operation::DeleteUserNamespace),
    ]
}

fn without_secret(mut trigger: Trigger) -> Trigger {
    if let TriggerTarget::Webhook { secret, .. } = &mut trigger.target {
        *secret = None;
    }
    trigger
}

/// In one commit as in many.
pub async fn every_effective_change_leaves_one_trace(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await.by(&ada());
    for (change, operation) in every_change() {
        let before = scene.trail().await.len();
        let effects = scene.commit(minute(1), [change.clone()]).await;
        let left = scene.trail().await.split_off(before);
        let expected = Traced::of_change(&change, effects[0]).unwrap();
        assert_eq!(left.len(), 1, "{change:?} {effects:?}");
        assert_eq!(left[0].traced, expected);
        assert_eq!(left[0].traced.operation, operation, "{change:?}");
        assert_eq!(left[0].outcome, Outcome::done(operation));
    }
    // Which is never the same again.
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    for _ in 0..2 {
        scene.commit(minute(1), [add_sync_job("lib/a", "v1", "far")]).await;
        let trace = scene.trail().await.pop().unwrap();
        assert_eq!(
            trace.traced,
            Traced::of_change(&add_sync_job("lib/a", "v1", "far"), Effect::Created).unwrap()
        );
        assert_eq!(trace.traced.operation, Operation::SyncImage);
    }
    let before = scene.trail().await.len();
    let changes = [
        create_organisation("two", &ada()),
        grant(in_organisation("two"), &bob(), GrantLevel::Read),
        grant(in_organisation("two"), &bob(), GrantLevel::Read),
        remove_grant(in_organisation("two"), &bob()),
        remove_organisation("two"),
    ];
    scene.commit(minute(2), changes).await;
    let left = scene.trail().await.split_off(before).into_iter().map(|trace| trace.traced.operation);
    let expected = [
        Operation::CreateUserNamespace,
        Operation::CreateUserNamespaceAuth,
        Operation::DeleteUserNamespaceAuth,
        Operation::DeleteUserNamespace,
    ];
    assert_eq!(left.collect::<Vec<_>>(), expected);
}

/// However often it is made, and whatever a refused commit would have done.
pub async fn a_change_that_changes_nothing_leaves_no_trace(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await.by(&ada());
    for (change, _) in every_change() {
        scene.commit(minute(1), [change.clone()]).await;
        let before = scene.trail().await;
        assert_eq!(scene.commit(minute(2), [change.clone()]).await, [Effect::Nothing], "{change:?}");
        let taken = [MetadataRequire::OrganisationFree(organisation_name("lib"))];
        unmet(scene.attempt(minute(3), taken, [create_organisation("third", &ada())]).await);
        assert_eq!(scene.trail().await, before, "{change:?}");
    }
}

/// And how it ended; it has a place and an id that no other has.
pub async fn a_trace_says_who_where_and_when(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let change = create_organisation("new", &ada());
    scene.by(&ada()).commit(minute(7), [change.clone()]).await;
    let traces = scene.traces(&north()).await;
    let trace = traces[0].clone();
    let expected = Trace {
        seq: trace.seq,
        id: trace.id.clone(),
        traced: Traced {
            operation: Operation::CreateUserNamespace,
            resource_id: "new".into(),
            resource_name: "new".into(),
            organisation: Some(organisation_name("new")),
            change: serde_json::to_string(&change).unwrap().into(),
        },
        outcome: Outcome { code: 201, reason: "".into() },
        account: north().id,
        account_name: north().name,
        project: north().project,
        user: Some((ada().id, ada().name)),
        origin: origin(),
        at: minute(7),
    };
    assert_eq!(trace, expected);
    scene
        .by_actor(Actor::Caretaker(Task::Administration))
        .commit(minute(8), [remove_organisation("new")])
        .await;
    let traces = scene.traces(&north()).await;
    assert_eq!((&traces[0].user, traces[0].at, traces[0].outcome.code), (&None, minute(8), 204));
    assert!(traces.is_sorted_by(|newer, older| newer.seq > older.seq));
    let mut ids: Vec<_> = scene.trail().await.into_iter().map(|trace| trace.id).collect();
    assert!(
        ids.iter()
            .all(|id| uuid::Uuid::parse_str(id.as_str()).is_ok_and(|uuid| uuid.to_string() == id.as_str()))
    );
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

/// Whatever it does, and to whomever: also one who removes itself.
pub async fn a_trace_is_in_the_trail_of_whoever_acts(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let before = (scene.traces(&north()).await.len(), scene.traces(&south()).await.len());
    let changes = [
        MetadataChange::PutUser(user("south", "new", Role::Member)),
        MetadataChange::PutAccessKey(access_key("AK1", &dan(), minute(1))),
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
        create_repository("pub/a", Visibility::Private),
        create_repository("nowhere/a", Visibility::Private),
        grant(in_organisation("pub"), &dan(), GrantLevel::Read),
        MetadataChange::RemoveUser(bob().id),
        MetadataChange::PutAccount(account("west")),
    ];
    let count = changes.len();
    scene.by(&bob()).commit(minute(1), changes).await;
    let traces = scene.traces(&north()).await;
    assert_eq!((traces.len(), scene.traces(&south()).await.len()), (before.0 + count, before.1));
    assert!(traces[..count].iter().all(|trace| trace.user == Some((bob().id, bob().name))));
    assert_eq!(scene.traces(&account("west")).await, []);
}

/// The owner of the organisation; the account itself, or that of the user or of the key. A caller that is no user
/// here is nobody.
pub async fn a_trace_of_nobody_is_in_the_trail_of_whom_it_is_about(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let of_south = [
        MetadataChange::PutAccount(Account { name: AccountName::parse("South").unwrap(), ..south() }),
        MetadataChange::PutUser(user("south", "new", Role::Member)),
        MetadataChange::RemoveUser(user("south", "new", Role::Member).id),
        MetadataChange::PutAccessKey(access_key("AK1", &dan(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &dan(), None, minute(9))),
        MetadataChange::RemoveAccessKey(key_id("AK1")),
        create_organisation("new", &eve()),
        create_repository("new/a", Visibility::Private),
        set_visibility("new/a", Visibility::Public),
        // Given to somebody else, and shared with somebody else.
        grant(in_organisation("new"), &bob(), GrantLevel::Read),
        grant(on_repository("new/a"), &bob(), GrantLevel::Read),
        put_share("new/a", &north(), Deadline::Never),
        remove_grant(on_repository("new/a"), &bob()),
        remove_grant(in_organisation("new"), &bob()),
        remove_share("new/a", &north()),
        put_sync("new/a", "far", "lib", false),
        remove_sync("new/a", "far", "lib"),
        add_sync_job("new/a", "v1", "far"),
        put_rule("new/a", 1),
        MetadataChange::RemoveRule(repository_name("new/a")),
        create_trigger("new/a", "hook", "https://ci.example.net/"),
        enable("new/a", "hook", false),
        remove_trigger("new/a", "hook"),
        remove_organisation("new"),
    ];
    let nobodies = [
        scene.clone(),
        scene.by_actor(Actor::Caller(Caller::Anonymous)),
        scene.by(&user("north", "gone", Role::Administrator)),
    ];
    for nobody in nobodies {
        let before = (scene.traces(&north()).await.len(), scene.traces(&south()).await.len());
        nobody.commit(minute(1), of_south.clone()).await;
        let traces = scene.traces(&south()).await;
        assert_eq!(scene.traces(&north()).await.len(), before.0);
        assert_eq!(traces.len(), before.1 + of_south.len());
        assert!(traces[..of_south.len()].iter().all(|trace| trace.user.is_none()));
        let undo = [
            MetadataChange::PutAccount(south()),
            MetadataChange::PutAccessKey(access_key("AK2", &dan(), minute(1))),
        ];
        scene.commit(minute(2), undo).await;
        scene.commit(minute(2), [MetadataChange::RemoveAccessKey(key_id("AK2"))]).await;
        scene.change(minute(2), "new/a", [Change::RemoveRepository]).await;
        store.trim_temporary_keys(minute(99), limit(9)).await.unwrap();
    }
}

/// The keys of tokens, and repositories in no organisation, when nobody acts.
pub async fn a_trace_of_what_is_nobodys_is_left_out(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let changes = [
        MetadataChange::PutTokenKey(token_key("KK1", minute(1))),
        MetadataChange::RemoveTokenKey(key_id("KK1")),
        create_repository("nowhere/a", Visibility::Private),
        set_visibility("nowhere/a", Visibility::Public),
        put_share("nowhere/a", &south(), Deadline::Never),
        create_repository("lib", Visibility::Private),
    ];
    let before = scene.trail().await;
    let effects = scene.commit(minute(1), changes).await;
    assert!(!effects.contains(&Effect::Nothing));
    assert_eq!(scene.trail().await, before);
}

/// Whoever is renamed or gone by now; it is found by that name, and by the id.
pub async fn a_trace_keeps_the_name_of_its_time(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let by_bob = scene.by(&bob());
    let renamed = User { name: UserName::parse("Bob").unwrap(), ..bob() };
    by_bob.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    by_bob.commit(minute(2), [MetadataChange::PutUser(renamed)]).await;
    by_bob.commit(minute(3), [create_repository("lib/b", Visibility::Private)]).await;
    scene.commit(minute(4), [MetadataChange::RemoveUser(bob().id)]).await;
    let renamed = Account { name: AccountName::parse("West").unwrap(), ..north() };
    scene.commit(minute(5), [MetadataChange::PutAccount(renamed.clone())]).await;
    let traces = scene.traces(&north()).await;
    let (newest, others) = traces.split_first().unwrap();
    assert_eq!(newest.account_name, renamed.name);
    assert!(others.iter().all(|trace| trace.account_name == north().name));
    let names = async |query: TraceQuery| {
        let traces = store.traces(&query).await.unwrap();
        traces.into_iter().map(|trace| trace.user.unwrap().1.to_string()).collect::<Vec<_>>()
    };
    let of_north = TraceQuery::of(north().id, limit(99));
    let by_id = TraceQuery { user: Some(bob().id), ..of_north.clone() };
    assert_eq!(names(by_id).await, ["Bob", "bob", "bob"]);
    let by_name = |name: &str| TraceQuery { user_name: Some(name.into()), ..of_north.clone() };
    assert_eq!(names(by_name("bob")).await, ["bob", "bob"]);
    assert_eq!(names(by_name("Bob")).await, ["Bob"]);
    assert_eq!(names(by_name("bo")).await, [""; 0]);
}

/// No password's hash, no sealed key, and none of a temporary one.
pub async fn no_trace_has_a_secret(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await.by(&ada());
    let mut secret_user = user("north", "new", Role::Member);
    secret_user.password = Some(PasswordHash::new("$argon2id$v=19$hush"));
    let hush = Some(Sealed::new(*b"hush"));
    let changes = [
        MetadataChange::PutUser(secret_user.clone()),
        MetadataChange::PutAccessKey(AccessKey {
            secret: hush.clone(),
            ..access_key("AK1", &bob(), minute(1))
        }),
        MetadataChange::PutTemporaryKey(TemporaryKey {
            secret: *b"hush hush hush hush hush hush hu",
            ..temporary_key("TK1", &bob(), None, minute(9))
        }),
        MetadataChange::PutTokenKey(TokenKey { secret: hush, ..token_key("KK1", minute(1)) }),
        MetadataChange::PutUser(User { password: Some(PasswordHash::new("hush")), ..secret_user }),
        create_repository("lib/a", Visibility::Private),
        MetadataChange::CreateTrigger(Trigger {
            target: TriggerTarget::Webhook {
                url: "https://ci.example.net/".into(),
                secret: Some(Sealed::new(*b"hush")),
            },
            ..trigger("lib/a", "hook", "")
        }),
    ];
    let before = scene.trail().await.len();
    scene.commit(minute(1), changes.clone()).await;
    let left = scene.trail().await.split_off(before);
    assert_eq!(left.len(), changes.len());
    for trace in left {
        let text = format!("{trace:?} {}", trace.traced.change);
        // `hush` in the ways in which bytes are written.
        for secret in [
            "hush",
            "104,117,115,104",
            "104, 117, 115, 104",
            "68757368",
            "aHVzaA",
            "argon2",
            "secret",
            "password",
        ] {
            assert!(!text.contains(secret), "{text} has {secret}");
        }
    }
}

/// Each alone; all that are given together.
pub async fn traces_are_found_by_each_of_their_fields(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    store.trim_traces(minute(99), limit(99)).await.unwrap();
    let (by_ada, by_bob) = (scene.by(&ada()), scene.by(&bob()));
    by_ada.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    by_bob.commit(minute(2), [create_repository("lib/b", Visibility::Private)]).await;
    by_ada.commit(minute(3), [grant(on_repository("lib/a"), &bob(), GrantLevel::Read)]).await;
    by_ada.commit(minute(4), [grant(in_organisation("lib"), &bob(), GrantLevel::Read)]).await;
    scene.by(&eve()).commit(minute(4), [create_repository("pub/a", Visibility::Private)]).await;
    let refused = |code, at| TracedOperation {
        traced: Traced {
            operation: Operation::DeleteUserNamespace,
            resource_id: "lib".into(),
            resource_name: "lib".into(),
            organisation: Some(organisation_name("lib")),
            change: "".into(),
        },
        outcome: Outcome { code, reason: "because".into() },
        user: bob().id,
        origin: Origin { channel: Channel::Api, ..Origin::default() },
        at: minute(at),
    };
    store.record_operations(&[refused(403, 5), refused(503, 6)]).await.unwrap();

    let all = TraceQuery::of(north().id, limit(99));
    let first_id = scene.traces(&north()).await.pop().unwrap().id;
    let of_south = scene.traces(&south()).await[0].id.clone();
    type Given = fn(TraceQuery) -> TraceQuery;
    let cases: [(&str, Given, &[i64]); 21] = [
        ("all", |all| all, &[6, 5, 4, 3, 2, 1]),
        ("user", |all| TraceQuery { user: Some(ada().id), ..all }, &[4, 3, 1]),
        ("another account's user", |all| TraceQuery { user: Some(eve().id), ..all }, &[]),
        ("user's name", |all| TraceQuery { user_name: Some("bob".into()), ..all }, &[6, 5, 2]),
        ("operation", |all| TraceQuery { operation: Some(Operation::CreateImageRepository), ..all }, &[2, 1]),
        ("type", |all| TraceQuery { resource_type: Some("userrepositoryauth".into()), ..all }, &[3]),
        ("type of nothing", |all| TraceQuery { resource_type: Some("user".into()), ..all }, &[]),
        ("resource's id", |all| TraceQuery { resource_id: Some(bob().id.as_str().into()), ..all }, &[4, 3]),
        ("part of an id", |all| TraceQuery { resource_id: Some("li".into()), ..all }, &[]),
        ("resource's name", |all| TraceQuery { resource_name: Some("lib".into()), ..all }, &[6, 5, 4]),
        ("name in another case", |all| TraceQuery { resource_name: Some("Lib".into()), ..all }, &[]),
        ("normal", |all| TraceQuery { rating: Some(TraceRating::Normal), ..all }, &[4, 3, 2, 1]),
        ("warning", |all| TraceQuery { rating: Some(TraceRating::Warning), ..all }, &[5]),
        ("incident", |all| TraceQuery { rating: Some(TraceRating::Incident), ..all }, &[6]),
        ("console", |all| TraceQuery { channel: Some(Channel::Console), ..all }, &[4, 3, 2, 1]),
        ("interface", |all| TraceQuery { channel: Some(Channel::Api), ..all }, &[6, 5]),
        ("inside", |all| TraceQuery { channel: Some(Channel::System), ..all }, &[]),
        ("after", |all| TraceQuery { after: Some(minute(3)), ..all }, &[6, 5, 4]),
        ("until", |all| TraceQuery { until: Some(minute(3)), ..all }, &[3, 2, 1]),
        ("between", |all| TraceQuery { after: Some(minute(1)), until: Some(minute(2)), ..all }, &[2]),
        (
            "several",
            |all| TraceQuery { user: Some(ada().id), resource_name: Some("lib/a".into()), ..all },
            &[3, 1],
        ),
    ];
    let found = async |query: &TraceQuery| {
        let traces = store.traces(query).await.unwrap();
        traces.iter().map(|trace| (trace.at - minute(0)).num_minutes()).collect::<Vec<_>>()
    };
    for (field, given, expected) in cases {
        assert_eq!(found(&given(all.clone())).await, expected, "{field}");
    }
    let by_id = |id: &TraceId| TraceQuery { id: Some(id.clone()), ..all.clone() };
    assert_eq!(found(&by_id(&first_id)).await, [1]);
    assert_eq!(found(&TraceQuery { user: Some(bob().id), ..by_id(&first_id) }).await, [0; 0]);
    assert_eq!(found(&by_id(&of_south)).await, [0; 0], "it is in the trail of another account");
    assert_eq!(found(&by_id(&TraceId::new("unknown"))).await, [0; 0]);
    assert_eq!(found(&TraceQuery::of(account("unknown").id, limit(9))).await, [0; 0]);
}

/// By their places, whatever their times; with the same filter on each page.
pub async fn traces_come_page_by_page_newest_first(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for (number, at) in [5, 3, 9, 1, 7, 2, 8].into_iter().enumerate() {
        let by = if number % 3 == 0 { ada() } else { bob() };
        let create = [create_repository(&format!("lib/{number}"), Visibility::Private)];
        scene.by(&by).commit(minute(at), create).await;
        let create = [create_repository(&format!("pub/{number}"), Visibility::Private)];
        scene.by(&eve()).commit(minute(at), create).await;
    }
    let pages = async |query: TraceQuery| {
        let mut names: Vec<String> = Vec::new();
        let mut before = None;
        loop {
            let query = TraceQuery { before, limit: limit(2), ..query.clone() };
            let traces = store.traces(&query).await.unwrap();
            assert!(traces.len() <= 2);
            let Some(last) = traces.last() else { return names };
            before = Some(last.id.clone());
            names.extend(traces.iter().map(|trace| trace.traced.resource_name.to_string()));
        }
    };
    let of_north = TraceQuery::of(north().id, limit(9));
    let created = TraceQuery { operation: Some(Operation::CreateImageRepository), ..of_north };
    let expected = ["lib/6", "lib/5", "lib/4", "lib/3", "lib/2", "lib/1", "lib/0"];
    assert_eq!(pages(created.clone()).await, expected);
    let by_bob = TraceQuery { user: Some(bob().id), ..created.clone() };
    assert_eq!(pages(by_bob).await, ["lib/5", "lib/4", "lib/2", "lib/1"]);
    let before_unknown = TraceQuery { before: Some(TraceId::new("unknown")), ..created };
    assert_eq!(store.traces(&before_unknown).await.unwrap(), []);
}

/// Whosever they are, each with all that its account is shown.
pub async fn traces_of_all_accounts_come_in_order_after_a_place(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for number in 0..6 {
        let (by, organisation) = if number % 2 == 0 { (ada(), "lib") } else { (eve(), "pub") };
        let create = [create_repository(&format!("{organisation}/{number}"), Visibility::Private)];
        scene.by(&by).commit(minute(1), create).await;
    }
    let trail = scene.trail().await;
    assert!(trail.is_sorted_by(|one, next| one.seq < next.seq));
    let of_account = |account: Account| -> Vec<Trace> {
        trail.iter().filter(|trace| trace.account == account.id).rev().cloned().collect()
    };
    for account in [north(), south()] {
        assert_eq!(scene.traces(&account).await, of_account(account));
    }
    let last = trail.len() - 1;
    let after = async |seq, count| store.traces_after(seq, limit(count)).await.unwrap();
    assert_eq!(after(0, 3).await, trail[..3]);
    assert_eq!(after(trail[1].seq, 2).await, trail[2..4]);
    assert_eq!(after(trail[last - 1].seq, 9).await, trail[last..]);
    assert_eq!(after(trail[last].seq, 9).await, []);
    assert_eq!(after(u64::MAX, 9).await, []);
}

/// At most as many as asked for, the oldest first; and none that is not older.
pub async fn traces_are_trimmed_by_age(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    store.trim_traces(minute(1), limit(1000)).await.unwrap();
    for number in 1..6 {
        let create = [create_repository(&format!("lib/{number}"), Visibility::Private)];
        scene.by(&ada()).commit(minute(number), create).await;
    }
    let left = async || {
        let trail = scene.trail().await;
        trail.iter().map(|trace| trace.traced.resource_name.to_string()).collect::<Vec<_>>()
    };
    let rights = scene.rights().await;
    assert_eq!(store.trim_traces(minute(1), limit(9)).await.unwrap(), 0);
    assert_eq!(store.trim_traces(minute(4), limit(2)).await.unwrap(), 2);
    assert_eq!(left().await, ["lib/3", "lib/4", "lib/5"]);
    assert_eq!(store.trim_traces(minute(4), limit(2)).await.unwrap(), 1);
    assert_eq!(store.trim_traces(minute(4), limit(2)).await.unwrap(), 0);
    assert_eq!(left().await, ["lib/4", "lib/5"]);
    let last = scene.trail().await[1].seq;
    store.trim_traces(minute(99), limit(9)).await.unwrap();
    assert_eq!(left().await, [""; 0]);
    scene.by(&ada()).commit(minute(9), [create_repository("lib/9", Visibility::Private)]).await;
    assert!(scene.trail().await[0].seq > last, "a place was given twice");
    assert_eq!(scene.rights().await, rights);
}

async fn fence(store: &dyn MetadataStore) -> Fence {
    let lease = Lease { name: "relay", holder: "one", now: minute(0), until: minute(999) };
    store.lease(&lease).await.unwrap().unwrap()
}

/// For each by its name, forwards alone, and by whoever holds the lease.
pub async fn consumers_of_traces_are_remembered(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let trail = scene.trail().await;
    let fence = fence(store).await;
    let cursor = async |consumer| store.trace_cursor(consumer).await.unwrap();
    let advance = async |consumer, upto| store.advance_traces(consumer, upto, &fence).await.unwrap();
    assert_eq!(cursor("file").await, 0);
    advance("mail", trail[3].seq).await;
    advance("file", trail[1].seq).await;
    advance("file", trail[0].seq).await;
    assert_eq!((cursor("file").await, cursor("mail").await), (trail[1].seq, trail[3].seq));
    // What is old goes, whoever has not come to it.
    let trimmed = store.trim_traces(minute(99), limit(1000)).await.unwrap();
    assert_eq!(trimmed, trail.len() as u64);

    store.release_lease(&fence).await.unwrap();
    let late = store.advance_traces("mail", trail[3].seq + 1, &fence).await.unwrap_err();
    assert_eq!(late.kind(), StoreErrorKind::Fenced);
    assert_eq!(cursor("mail").await, trail[3].seq);
}

/// Each has a log and cursors of its own, even under one name.
pub async fn consumers_of_traces_and_of_events_have_nothing_in_common(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.by(&ada()).push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
    let (trail, log) = (scene.trail().await, scene.log().await);
    let fence = fence(store).await;
    let (last_trace, last_event) = (trail.last().unwrap().seq, log.last().unwrap().seq);
    store.advance_traces("file", last_trace, &fence).await.unwrap();
    assert_eq!(store.cursor("file").await.unwrap(), EventSeq::START);
    assert_eq!(store.backlog().await.unwrap().cursors, []);
    // A consumer that has passed nothing holds its own log alone.
    store.advance("file", EventSeq::START, &fence).await.unwrap();
    assert_eq!(store.trim_events(minute(99), limit(1000)).await.unwrap(), 0);
    assert_eq!(store.trim_traces(minute(99), limit(1000)).await.unwrap(), trail.len() as u64);
    store.advance("file", last_event, &fence).await.unwrap();
    store.advance_traces("other", 0, &fence).await.unwrap();
    assert_eq!(store.trim_events(minute(99), limit(1000)).await.unwrap(), log.len() as u64);
    store.retain_consumers(&[]).await.unwrap();
    assert_eq!(store.cursor("file").await.unwrap(), EventSeq::START);
    assert_eq!(store.trace_cursor("file").await.unwrap(), last_trace);
}

/// Under the user who asked, in its account's trail, in their order; of users that are gone they are left out.
pub async fn operations_that_change_nothing_are_recorded(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let refused = |user: User, name: &str, at| TracedOperation {
        traced: Traced {
            operation: Operation::CreateUserNamespace,
            resource_id: "".into(),
            resource_name: name.into(),
            organisation: None,
            change: "".into(),
        },
        outcome: Outcome { code: 403, reason: "you do not have the permission".into() },
        user: user.id,
        origin: origin(),
        at: minute(at),
    };
    let gone = user("north", "gone", Role::Member);
    let before = (scene.trail().await.len(), scene.log().await, scene.rights().await);
    store.record_operations(&[]).await.unwrap();
    let operations = [
        refused(bob(), "one", 2),
        refused(gone, "two", 1),
        refused(dan(), "three", 1),
        refused(bob(), "four", 3),
    ];
    store.record_operations(&operations).await.unwrap();
    let left = scene.trail().await.split_off(before.0);
    let expected = [
        (&operations[0], bob(), north()),
        (&operations[2], dan(), south()),
        (&operations[3], bob(), north()),
    ];
    assert_eq!(left.len(), expected.len());
    for (trace, (refused, user, account)) in left.iter().zip(expected) {
        let expected = Trace {
            seq: trace.seq,
            id: trace.id.clone(),
            traced: refused.traced.clone(),
            outcome: refused.outcome.clone(),
            account: account.id,
            account_name: account.name,
            project: account.project,
            user: Some((user.id, user.name)),
            origin: refused.origin.clone(),
            at: refused.at,
        };
        assert_eq!(*trace, expected);
    }
    assert_eq!(store.organisation(&organisation_name("one")).await.unwrap(), None);
    assert_eq!((scene.log().await, scene.rights().await), (before.1, before.2));
}

/// What the pushes before it left, apart.
async fn left_since(scene: &Scene<'_>, before: usize) -> Vec<(Operation, String, String)> {
    let left = scene.trail().await.split_off(before).into_iter();
    left.map(|trace| {
        let Traced { operation, resource_id, resource_name, .. } = trace.traced;
        (operation, resource_id.to_string(), resource_name.to_string())
    })
    .collect()
}

/// For a repository that comes to be, for a new tag and for one that moves; not for what has no tag, and not for a
/// tag that is set where it is.
pub async fn pushes_leave_traces(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let by_bob = scene.by(&bob());
    let before = scene.trail().await.len();
    let (one, two) = (SampleManifest::image("one"), SampleManifest::image("two"));
    by_bob.push(minute(1), "pub/a", &one, &["v1", "v2"]).await;
    by_bob.push(minute(2), "pub/a", &two, &["v2"]).await;
    by_bob.push(minute(3), "pub/a", &two, &["v2"]).await;
    by_bob.push(minute(4), "pub/a", &SampleManifest::image("three"), &[]).await;
    let of = |operation, name: &str| (operation, name.to_owned(), name.to_owned());
    let expected = [
        of(Operation::CreateImageRepository, "pub/a"),
        of(Operation::CreateVersion, "pub/a:v1"),
        of(Operation::CreateVersion, "pub/a:v2"),
        of(Operation::UpdateVersion, "pub/a:v2"),
    ];
    assert_eq!(left_since(&scene, before).await, expected);
    // In the trail of whoever pushes, wherever to.
    let traces = scene.traces(&north()).await;
    let event = Event::TagSet { tag: tag("v2"), digest: two.digest(), previous: Some(one.digest()) };
    assert_eq!(traces[0].traced, Traced::of_event(&repository_name("pub/a"), &event).unwrap());
    assert_eq!(traces[0].outcome, Outcome::done(Operation::UpdateVersion));
    assert_eq!((&traces[0].user, traces[0].at), (&Some((bob().id, bob().name)), minute(2)));
    assert_eq!((&traces[0].account, &traces[0].origin), (&north().id, &origin()));
}

/// Of a tag, of a manifest with its tags, and of a repository with all it held.
pub async fn removals_leave_traces(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let by_bob = scene.by(&bob());
    let digest = by_bob.push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1", "v2", "v3"]).await;
    let other = by_bob.push(minute(1), "lib/a", &SampleManifest::image("b"), &["v4"]).await;
    let before = scene.trail().await.len();
    by_bob.change(minute(2), "lib/a", [Change::RemoveTag(tag("v1")), Change::RemoveTag(tag("v9"))]).await;
    by_bob.change(minute(3), "lib/a", [Change::RemoveManifest(digest)]).await;
    by_bob.change(minute(4), "lib/a", [Change::RemoveTag(tag("v4")), Change::RemoveManifest(other)]).await;
    by_bob.change(minute(5), "lib/a", [Change::RemoveRepository, Change::CreateRepository]).await;
    by_bob.change(minute(6), "lib/unknown", [Change::RemoveRepository]).await;
    let of = |operation, name: String| (operation, name.clone(), name);
    let expected = [
        of(Operation::DeleteImageTag, "lib/a:v1".into()),
        of(Operation::DeleteVersion, format!("lib/a@{digest}")),
        of(Operation::DeleteImageTag, "lib/a:v4".into()),
        of(Operation::DeleteVersion, format!("lib/a@{other}")),
        of(Operation::DeleteImageRepository, "lib/a".into()),
        of(Operation::CreateImageRepository, "lib/a".into()),
    ];
    assert_eq!(left_since(&scene, before).await, expected);
    assert_eq!(scene.traces(&north()).await[0].user, Some((bob().id, bob().name)));
}

/// Nor do callers that are no users here, and whoever looks after the registry; content is theirs to change all the
/// same.
pub async fn strangers_and_collection_leave_no_traces(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let before = scene.trail().await;
    let nobodies = [
        Actor::Caller(Caller::Anonymous),
        Actor::Caller(Caller::User(Identity::new("ada"))),
        Actor::Caller(Caller::User(Identity::new(user("north", "gone", Role::Member).id.as_str()))),
        Actor::Caretaker(Task::Collection),
        Actor::Caretaker(Task::UploadSweep),
        Actor::Caretaker(Task::Scrub),
        Actor::Caretaker(Task::Administration),
    ];
    for actor in nobodies {
        let nobody = scene.by_actor(actor);
        let digest = nobody.push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1"]).await;
        nobody.change(minute(2), "lib/a", [Change::RemoveTag(tag("v1"))]).await;
        nobody.change(minute(2), "lib/a", [set_tag("v2", digest), Change::RemoveManifest(digest)]).await;
        nobody.change(minute(3), "lib/a", [Change::RemoveRepository]).await;
    }
    scene.push(minute(4), "lib/b", &SampleManifest::image("b"), &["v1"]).await;
    scene.change(minute(5), "lib/b", [Change::RemoveTag(tag("v1"))]).await;
    let lease = Lease { name: "collection", holder: "one", now: minute(6), until: minute(99) };
    let fence = store.lease(&lease).await.unwrap().unwrap();
    let unused = Unused { manifests_before: Some(minute(90)), links_before: minute(90), at: minute(90) };
    while !store.release_unused(&unused, &fence, limit(99)).await.unwrap().is_nothing() {}
    let log = scene.log().await;
    assert!(matches!(log.last().unwrap().actor, Actor::Caretaker(Task::Collection)));
    assert_eq!(scene.trail().await, before);
}

/// The account that owns the organisation; where nobody does, nobody is told.
pub async fn aging_leaves_traces_with_the_owner(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let aging = scene.by_actor(Actor::Caretaker(Task::Aging));
    for name in ["pub/a", "nowhere/a"] {
        scene.push(minute(1), name, &SampleManifest::image("a"), &["v1", "v2"]).await;
    }
    let before = scene.trail().await.len();
    for name in ["pub/a", "nowhere/a"] {
        aging.change(minute(2), name, [Change::RemoveTag(tag("v1"))]).await;
    }
    let left = scene.trail().await.split_off(before);
    assert_eq!(left.len(), 1);
    let trace = &left[0];
    assert_eq!((&trace.account, &trace.account_name, &trace.user), (&south().id, &south().name, &None));
    assert_eq!(trace.traced.operation, Operation::DeleteImageTag);
    assert_eq!((&*trace.traced.resource_name, trace.at), ("pub/a:v1", minute(2)));
}

/// A commit of content that is refused, before its first change or after it, leaves none either.
pub async fn a_commit_and_its_traces_are_one(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let by_bob = scene.by(&bob());
    let image = SampleManifest::image("a");
    let digest = by_bob.push(minute(1), "lib/a", &image, &["v1"]).await;
    let before = (scene.trail().await, scene.details("lib/a").await, scene.rights().await);
    let changes = [
        set_tag("v2", digest),
        Change::RemoveManifest(digest),
        Change::RemoveRepository,
        Change::CreateRepository,
    ];
    let unset = [Require::TagUnset(tag("v1"))];
    by_bob.attempt_change(minute(2), "lib/a", unset, changes.clone()).await.unwrap_err();
    let absent = Change::LinkExisting(SampleBlob::new("absent").digest);
    let half: Vec<_> = changes.into_iter().chain([absent]).collect();
    by_bob.attempt_change(minute(2), "lib/a", [], half).await.unwrap_err();
    assert_eq!((scene.trail().await, scene.details("lib/a").await, scene.rights().await), before);
}

/// Its JSON reads as the change that was made, secrets apart; that of content as the event.
pub async fn a_trace_tells_its_change_back(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await.by(&ada());
    for (change, _) in every_change() {
        let at = scene.trail().await.len();
        scene.commit(minute(1), [change.clone()]).await;
        let told: MetadataChange = serde_json::from_str(&scene.trail().await[at].traced.change).unwrap();
        let expected = match change {
            MetadataChange::PutUser(user) => MetadataChange::PutUser(User { password: None, ..user }),
            MetadataChange::PutAccessKey(key) => {
                MetadataChange::PutAccessKey(AccessKey { secret: None, ..key })
            }
            MetadataChange::PutTemporaryKey(key) => {
                MetadataChange::PutTemporaryKey(TemporaryKey { secret: [0; 32], ..key })
            }
            MetadataChange::PutTokenKey(key) => MetadataChange::PutTokenKey(TokenKey { secret: None, ..key }),
            MetadataChange::CreateTrigger(trigger) => MetadataChange::CreateTrigger(without_secret(trigger)),
            other => other,
        };
        assert_eq!(told, expected);
    }
    let at = scene.trail().await.len();
    let receipt = scene.change(minute(2), "lib/a", [Change::CreateRepository]).await;
    let told: Event = serde_json::from_str(&scene.trail().await[at].traced.change).unwrap();
    assert_eq!(told, receipt.events[0].event);
}
