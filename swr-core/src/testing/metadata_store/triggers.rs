//! Triggers: made, enabled, removed.

use super::*;
use crate::control::credential::Sealed;
use crate::control::trigger::{TriggerId, TriggerTarget, Workload, WorkloadKind};

/// In the order of their names, with what their messages are signed with.
pub async fn triggers_come_in_the_order_of_their_names(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let workload = TriggerTarget::Workload(Workload {
        mode: "cce".into(),
        cluster_id: "1111".into(),
        cluster_name: "production".into(),
        namespace: "default".into(),
        kind: WorkloadKind::StatefulSets,
        application: "shop".into(),
        container: "".into(),
    });
    let hook = trigger("lib/a", "hook", "https://ci.example.net/");
    let deploy = Trigger {
        rule: TriggerRule {
            condition: TriggerCondition::Pattern(Pattern::regex("^v2.*").unwrap()),
            enabled: false,
        },
        target: workload,
        creator: user("north", "gone", Role::Member).id,
        ..trigger("lib/a", "deploy", "")
    };
    let one = Trigger {
        rule: TriggerRule { condition: TriggerCondition::Tag(tag("latest")), enabled: true },
        target: TriggerTarget::Webhook { url: "https://example.net/".into(), secret: None },
        ..trigger("lib/a", "One", "")
    };
    let repositories = ["lib/a", "lib/b"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    let made = [&hook, &deploy, &one].map(|trigger| MetadataChange::CreateTrigger(trigger.clone()));
    assert_eq!(scene.commit(minute(1), made).await, [Effect::Created; 3]);
    let triggers = store.triggers(&repository_name("lib/a")).await.unwrap().unwrap();
    // What is not printed is compared all the same.
    assert_eq!(triggers.iter().map(|(_, trigger)| trigger).collect::<Vec<_>>(), [&one, &deploy, &hook]);
    let TriggerTarget::Webhook { secret: Some(secret), .. } = &triggers[2].1.target else { panic!() };
    assert_eq!(secret.as_bytes(), b"sealed hook");
    assert_eq!(store.triggers(&repository_name("lib/b")).await.unwrap(), Some(vec![]));
    assert_eq!(store.triggers(&repository_name("lib/unknown")).await.unwrap(), None);
}

/// Page by page in the order of their ids; and a secret that is another by now stays as it is.
pub async fn secrets_of_triggers_are_sealed_anew(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let plain = Trigger {
        target: TriggerTarget::Webhook { url: "https://example.net/".into(), secret: None },
        ..trigger("lib/a", "plain", "")
    };
    let made = [trigger("lib/a", "two", "https://b/"), plain, trigger("lib/a", "one", "https://a/")];
    scene.commit(minute(1), made.map(MetadataChange::CreateTrigger)).await;
    let page = async |after, count| store.sealed_triggers(after, limit(count)).await.unwrap();
    let all = page(None, 9).await;
    let names: Vec<_> = all.iter().map(|(_, trigger)| trigger.name.as_str()).collect();
    assert_eq!(names, ["two", "one"]);
    assert_eq!(page(None, 1).await, all[..1]);
    assert_eq!(page(Some(all[0].0), 9).await, all[1..]);
    assert_eq!(page(Some(all[1].0), 9).await, []);

    let traces = scene.trail().await.len();
    let (id, was) = (all[0].0, all[0].1.target.secret().unwrap());
    let [first, second] = [b"first", b"other"].map(|sealed| Sealed::new(sealed.to_vec()));
    assert!(store.reseal_trigger(id, was, &first).await.unwrap());
    assert!(!store.reseal_trigger(id, was, &second).await.unwrap());
    assert!(!store.reseal_trigger(TriggerId(id.0 + 99), was, &second).await.unwrap());
    let kept: Vec<_> = page(None, 9).await.into_iter().map(|(_, trigger)| trigger.target).collect();
    assert_eq!(kept[0].secret(), Some(&first));
    assert_eq!(kept[1], all[1].1.target);
    assert_eq!(scene.trail().await.len(), traces);
}

/// The same trigger made again stays as it is.
pub async fn a_name_belongs_to_one_trigger_of_a_repository(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let create = create_trigger("lib/a", "hook", "https://ci.example.net/");
    let expected = [MetadataRequire::RepositoryExists(repository_name("lib/a"))];
    assert_eq!(unmet(scene.attempt(minute(1), [], [create.clone()]).await), expected);
    let repositories = ["lib/a", "lib/b"].map(|name| create_repository(name, Visibility::Private));
    scene.commit(minute(1), repositories).await;
    assert_eq!(scene.commit(minute(2), [create.clone()]).await, [Effect::Created]);
    assert_eq!(scene.commit(minute(3), [create]).await, [Effect::Nothing]);
    let repository = repository_name("lib/a");
    let free = [MetadataRequire::TriggerFree { repository, name: trigger_name("hook") }];
    let other = create_trigger("lib/a", "hook", "https://example.net/");
    assert_eq!(unmet(scene.attempt(minute(3), [], [other]).await), free);
    let resealed = match trigger("lib/a", "hook", "https://ci.example.net/") {
        Trigger { target: TriggerTarget::Webhook { url, .. }, .. } => Trigger {
            target: TriggerTarget::Webhook { url, secret: Some(Sealed::new(*b"another")) },
            ..trigger("lib/a", "hook", "")
        },
        other => other,
    };
    let resealed = MetadataChange::CreateTrigger(resealed);
    assert_eq!(unmet(scene.attempt(minute(3), [], [resealed]).await), free);
    let elsewhere = create_trigger("lib/b", "hook", "https://ci.example.net/");
    assert_eq!(scene.commit(minute(3), [elsewhere]).await, [Effect::Created]);
}

/// It stays the same one; what there is not can neither be enabled nor be told to.
pub async fn a_trigger_is_enabled_disabled_and_removed(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repository = repository_name("lib/a");
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let absent =
        [MetadataRequire::TriggerExists { repository: repository.clone(), name: trigger_name("hook") }];
    assert_eq!(unmet(scene.attempt(minute(1), [], [enable("lib/a", "hook", false)]).await), absent);
    scene.commit(minute(1), [create_trigger("lib/a", "hook", "https://ci.example.net/")]).await;
    let found = async || store.triggers(&repository).await.unwrap().unwrap();
    let before = found().await;
    assert_eq!(scene.commit(minute(2), [enable("lib/a", "hook", true)]).await, [Effect::Nothing]);
    assert_eq!(scene.commit(minute(3), [enable("lib/a", "hook", false)]).await, [Effect::Changed]);
    assert_eq!(scene.commit(minute(3), [enable("lib/a", "hook", false)]).await, [Effect::Nothing]);
    let mut disabled = before.clone();
    disabled[0].1.rule.enabled = false;
    assert_eq!(found().await, disabled);
    assert_eq!(scene.commit(minute(4), [enable("lib/a", "hook", true)]).await, [Effect::Changed]);
    assert_eq!(found().await, before);
    let remove = || remove_trigger("lib/a", "hook");
    assert_eq!(scene.commit(minute(5), [remove()]).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(5), [remove()]).await, [Effect::Nothing]);
    assert_eq!(found().await, []);
}

/// Of rules, triggers and synchronisation; of repositories that are not there, there is none.
pub async fn what_runs_for_a_repository_is_there_or_it_is_not(store: &dyn MetadataStore) {
    use MetadataRequire as R;
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let repository = repository_name("lib/a");
    let name = |text| (repository.clone(), trigger_name(text));
    let exists = |text| R::TriggerExists { repository: name(text).0, name: name(text).1 };
    let free = |text| R::TriggerFree { repository: name(text).0, name: name(text).1 };
    let fewer = |limit| R::TriggersFewerThan { repository: repository.clone(), limit };
    let sync = |region| R::SyncExists { repository: repository.clone(), target: sync_target(region, "lib") };
    let holds = async |require: R| match scene.attempt(minute(2), [require.clone()], []).await {
        Ok(_) => true,
        refused => {
            assert_eq!(unmet(refused), [require]);
            false
        }
    };
    for require in [R::RuleFree(repository.clone()), free("hook"), fewer(1)] {
        assert!(holds(require).await);
    }
    for require in
        [R::RuleIs { repository: repository.clone(), id: RuleId(1) }, exists("hook"), fewer(0), sync("far")]
    {
        assert!(!holds(require).await);
    }
    let changes = [
        put_rule("lib/a", 1),
        create_trigger("lib/a", "hook", "https://ci.example.net/"),
        create_trigger("lib/a", "two", "https://ci.example.net/"),
        put_sync("lib/a", "far", "lib", false),
    ];
    scene.commit(minute(2), changes).await;
    let id = store.rule(&repository).await.unwrap().unwrap().id;
    for require in [
        R::RuleIs { repository: repository.clone(), id },
        exists("hook"),
        free("Hook"),
        fewer(3),
        sync("far"),
    ] {
        assert!(holds(require).await);
    }
    let other = RuleId(id.0 + 1);
    for require in [
        R::RuleFree(repository.clone()),
        R::RuleIs { repository: repository.clone(), id: other },
        free("hook"),
        exists("Hook"),
        fewer(2),
        sync("near"),
    ] {
        assert!(!holds(require).await);
    }
    let unknown = repository_name("lib/unknown");
    assert!(holds(R::RuleFree(unknown.clone())).await);
    assert!(holds(R::TriggersFewerThan { repository: unknown.clone(), limit: 1 }).await);
    assert!(holds(R::TriggerFree { repository: unknown, name: trigger_name("hook") }).await);
}
