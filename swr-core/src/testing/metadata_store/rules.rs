//! Aging rules: set, due, run, what they go by and what they have cleared.

use super::*;
use crate::control::rule::{Cleared, LastPulled, NeededBy, RepositoryRule, RuleId};
use crate::ports::{AgingFacts, PullCount, StoreErrorKind};
use crate::testing::sample_images::SampleBlob;

async fn rule_of(scene: &Scene<'_>, repository: &str) -> Option<RepositoryRule> {
    scene.store.rule(&repository_name(repository)).await.unwrap()
}

/// The tags of what was cleared, and how much that is in all.
async fn cleared_in(scene: &Scene<'_>, repository: &str) -> Option<(Vec<String>, u64)> {
    let cleared = scene.store.cleared(&repository_name(repository), 0, limit(99)).await.unwrap()?;
    Some((cleared.entries.iter().map(|cleared| cleared.tag.to_string()).collect(), cleared.total))
}

/// Removes the tag as the repository's rule does.
async fn clear(scene: &Scene<'_>, at: DateTime<Utc>, repository: &str, text: &str) -> Receipt {
    let aging = scene.by_actor(Actor::Caretaker(Task::Aging));
    aging.change(at, repository, [Change::RemoveTag(tag(text))]).await
}

/// And it stays the same one whatever becomes of its values; one that is made again is another.
pub async fn a_rule_is_put_changed_and_removed(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    assert_eq!(rule_of(&scene, "lib/a").await, None);
    assert_eq!(scene.commit(minute(2), [put_rule("lib/a", 3)]).await, [Effect::Created]);
    let first = rule_of(&scene, "lib/a").await.unwrap();
    let expected = RepositoryRule {
        id: first.id,
        repository: repository_name("lib/a"),
        rule: keep_newest(3),
        due: minute(2),
    };
    assert_eq!(first, expected);
    let filtered = AgingRule {
        filters: vec![
            TagSelector::Tag(tag("latest")),
            TagSelector::Pattern(Pattern::regex("^v2.*").unwrap()),
            TagSelector::Pattern(Pattern::glob("{a,b}*").unwrap()),
        ],
        only: vec![TagSelector::Tag(tag("v1")), TagSelector::Pattern(Pattern::glob("v*").unwrap())],
        measure: AgeMeasure::LastUsed,
        keep_at_least: 2,
        removals_max: Some(limit(7)),
        ..keep_newest(4)
    };
    let change = MetadataChange::PutRule { repository: repository_name("lib/a"), rule: filtered.clone() };
    assert_eq!(scene.commit(minute(3), [change]).await, [Effect::Changed]);
    let changed = RepositoryRule { rule: filtered, due: minute(3), ..expected };
    assert_eq!(rule_of(&scene, "lib/a").await, Some(changed));
    let remove = || [MetadataChange::RemoveRule(repository_name("lib/a"))];
    assert_eq!(scene.commit(minute(4), remove()).await, [Effect::Removed]);
    assert_eq!(scene.commit(minute(4), remove()).await, [Effect::Nothing]);
    assert_eq!(rule_of(&scene, "lib/a").await, None);
    assert_eq!(scene.commit(minute(5), [put_rule("lib/a", 3)]).await, [Effect::Created]);
    assert!(rule_of(&scene, "lib/a").await.unwrap().id > first.id);
}

/// There is nothing to do at once that was not to be done anyway.
pub async fn the_same_rule_stays_due_when_it_was(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private), put_rule("lib/a", 3)]).await;
    let fence = scene.fence("aging").await;
    let rule = rule_of(&scene, "lib/a").await.unwrap();
    store.rule_ran(rule.id, rule.due, minute(50), &fence).await.unwrap();
    assert_eq!(scene.commit(minute(2), [put_rule("lib/a", 3)]).await, [Effect::Nothing]);
    assert_eq!(rule_of(&scene, "lib/a").await.unwrap().due, minute(50));
}

/// The name alone does not do.
pub async fn a_rule_needs_its_repository(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let blob = SampleBlob::new("a layer");
    scene.change(minute(1), "lib/hidden", [Change::LinkStored(blob.stored_at("here"))]).await;
    for name in ["lib/unknown", "lib/hidden"] {
        let expected = [MetadataRequire::RepositoryExists(repository_name(name))];
        assert_eq!(unmet(scene.attempt(minute(2), [], [put_rule(name, 1)]).await), expected);
        let remove = MetadataChange::RemoveRule(repository_name(name));
        assert_eq!(scene.commit(minute(2), [remove]).await, [Effect::Nothing]);
        assert_eq!((rule_of(&scene, name).await, cleared_in(&scene, name).await), (None, None));
    }
}

/// Not before its time; of one time, the one that was made first.
pub async fn due_rules_come_longest_due_first(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    for (at, name) in [(3, "lib/b"), (1, "lib/d"), (1, "lib/a"), (2, "pub/c"), (9, "lib/later")] {
        let changes = [create_repository(name, Visibility::Private), put_rule(name, 1)];
        scene.commit(minute(at), changes).await;
    }
    let due = async |now, count| {
        let due = store.due_rules(now, limit(count)).await.unwrap();
        due.iter().map(|rule| rule.repository.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(due(minute(8), 99).await, ["lib/d", "lib/a", "pub/c", "lib/b"]);
    assert_eq!(due(minute(8), 3).await, ["lib/d", "lib/a", "pub/c"]);
    assert_eq!(due(minute(2), 99).await, ["lib/d", "lib/a", "pub/c"]);
    assert_eq!(due(minute(0), 99).await, [""; 0]);
    let fence = scene.fence("aging").await;
    let rule = rule_of(&scene, "lib/d").await.unwrap();
    store.rule_ran(rule.id, rule.due, minute(20), &fence).await.unwrap();
    scene.change(minute(4), "pub/c", [Change::RemoveRepository]).await;
    scene.commit(minute(4), [MetadataChange::RemoveRule(repository_name("lib/b"))]).await;
    assert_eq!(due(minute(19), 99).await, ["lib/a", "lib/later"]);
    assert_eq!(due(minute(20), 99).await, ["lib/a", "lib/later", "lib/d"]);
    assert_eq!(
        store.due_rules(minute(20), limit(3)).await.unwrap()[2],
        RepositoryRule { due: minute(20), ..rule }
    );
}

/// It is due at once because of that. One that is gone stays gone, also when there is another.
pub async fn a_rule_that_was_changed_while_it_ran_stays_due(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private), put_rule("lib/a", 3)]).await;
    let fence = scene.fence("aging").await;
    let ran = rule_of(&scene, "lib/a").await.unwrap();
    scene.commit(minute(2), [put_rule("lib/a", 4)]).await;
    store.rule_ran(ran.id, ran.due, minute(50), &fence).await.unwrap();
    assert_eq!(rule_of(&scene, "lib/a").await.unwrap().due, minute(2));
    store.rule_ran(ran.id, minute(2), minute(50), &fence).await.unwrap();
    assert_eq!(rule_of(&scene, "lib/a").await.unwrap().due, minute(50));

    scene.commit(minute(3), [MetadataChange::RemoveRule(repository_name("lib/a"))]).await;
    store.rule_ran(ran.id, minute(50), minute(60), &fence).await.unwrap();
    assert_eq!(rule_of(&scene, "lib/a").await, None);
    scene.commit(minute(50), [put_rule("lib/a", 4)]).await;
    store.rule_ran(ran.id, minute(50), minute(60), &fence).await.unwrap();
    assert_eq!(rule_of(&scene, "lib/a").await.unwrap().due, minute(50));
}

/// Whoever lost the lease has nothing to say any more.
pub async fn a_rule_has_run_only_by_its_leaseholder(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private), put_rule("lib/a", 3)]).await;
    let rule = rule_of(&scene, "lib/a").await.unwrap();
    let fence = scene.fence("aging").await;
    store.release_lease(&fence).await.unwrap();
    let refused = store.rule_ran(rule.id, rule.due, minute(50), &fence).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Fenced);
    assert_eq!(rule_of(&scene, "lib/a").await, Some(rule));
}

/// Page by page in the order of the tags, whether it was pulled by its tag or its digest.
pub async fn aging_facts_say_when_a_version_was_set_and_pulled(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let images = ["a", "b", "c", "d"].map(SampleManifest::image);
    for (number, image) in images.iter().enumerate() {
        scene.push(minute(number as i64), "lib/a", image, &[["v1", "v2", "v3", "V0"][number]]).await;
    }
    scene.push(minute(9), "lib/a", &images[0], &["v1"]).await;
    let repository = repository_name("lib/a");
    let pulled =
        |reference, at| PullCount { repository: repository.clone(), reference, count: 1, last: minute(at) };
    let pulls = [
        pulled(tag("v1").into(), 5),
        pulled(images[0].digest().into(), 4),
        pulled(tag("v2").into(), 5),
        pulled(images[1].digest().into(), 6),
        pulled(images[2].digest().into(), 7),
    ];
    store.observe_pulls(&pulls).await.unwrap();
    let facts = |text, number: usize, updated, last_pulled| AgingFacts {
        version: VersionFacts {
            tag: tag(text),
            updated: Some(minute(updated)),
            last_pulled,
            needed_by: NeededBy::Nothing,
            fixed: false,
        },
        digest: images[number].digest(),
        updated: minute(updated),
    };
    let expected = [
        facts("V0", 3, 3, LastPulled::Never),
        facts("v1", 0, 9, LastPulled::At(minute(5))),
        facts("v2", 1, 1, LastPulled::At(minute(6))),
        facts("v3", 2, 2, LastPulled::At(minute(7))),
    ];
    assert_eq!(store.aging_facts(&repository, &page(None, 99)).await.unwrap(), expected);
    assert_eq!(store.aging_facts(&repository, &page(Some(tag("V0")), 2)).await.unwrap(), expected[1..3]);
    assert_eq!(store.aging_facts(&repository, &page(Some(tag("v3")), 2)).await.unwrap(), []);
    assert_eq!(store.aging_facts(&repository_name("lib/unknown"), &page(None, 9)).await.unwrap(), []);
}

/// Its subject and the indexes that name it, by their tags; one without a tag may be pulled by its digest.
pub async fn aging_facts_say_what_a_version_is_needed_by(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repository = repository_name("lib/a");
    let images = ["a", "b", "c"].map(SampleManifest::image);
    let inner = SampleManifest::index(&[&images[0], &images[1]]);
    let outer = SampleManifest::index(&[&inner]);
    let signature = SampleManifest::artifact("application/vnd.example", "of c").referring_to(&images[2]);
    let stray = SampleManifest::artifact("application/vnd.example", "of nothing")
        .referring_to(&SampleManifest::image("absent"));
    for (manifest, tags) in [
        (&images[0], &["a"][..]),
        (&images[1], &["b"]),
        (&images[2], &["c", "c-too"]),
        (&inner, &["inner", "also"]),
        (&outer, &[]),
        (&signature, &["signature"]),
        (&stray, &["stray"]),
    ] {
        scene.push(minute(1), "lib/a", manifest, tags).await;
    }
    let needed = async || {
        let facts = store.aging_facts(&repository, &page(None, 99)).await.unwrap();
        facts
            .into_iter()
            .map(|facts| (facts.version.tag.to_string(), facts.version.needed_by))
            .collect::<Vec<_>>()
    };
    let by = |tags: &[&str]| NeededBy::Versions(tags.iter().map(|text| tag(text)).collect());
    let of = |text: &str, needed_by| (text.to_owned(), needed_by);
    let expected = vec![
        of("a", by(&["also", "inner"])),
        of("also", NeededBy::Untagged),
        of("b", by(&["also", "inner"])),
        of("c", NeededBy::Nothing),
        of("c-too", NeededBy::Nothing),
        of("inner", NeededBy::Untagged),
        of("signature", by(&["c", "c-too"])),
        of("stray", NeededBy::Nothing),
    ];
    assert_eq!(needed().await, expected);

    // Tagged by what it needs as well, and by one without a tag.
    let both = SampleManifest::index(&[&images[0], &signature]);
    scene.push(minute(2), "lib/a", &both, &["both"]).await;
    scene.change(minute(3), "lib/a", [set_tag("outer", outer.digest())]).await;
    let needed_now = needed().await;
    let found = |text: &str| needed_now.iter().find(|(tag, _)| tag == text).unwrap().1.clone();
    assert_eq!(found("a"), by(&["also", "both", "inner"]));
    assert_eq!(found("signature"), by(&["both", "c", "c-too"]));
    assert_eq!(found("inner"), by(&["outer"]));
    scene.change(minute(4), "lib/a", ["c", "c-too"].map(|text| Change::RemoveTag(tag(text)))).await;
    assert_eq!(needed().await.iter().find(|(tag, _)| tag == "signature").unwrap().1, NeededBy::Untagged);
}

/// By the rule as it was then; what anybody else removes is not its doing, and what it does not find it has not
/// cleared.
pub async fn what_a_rule_cleared_is_kept_newest_first(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let tags = ["v1", "v2", "v3", "v4", "v5", "v6"];
    scene.push(minute(1), "lib/a", &SampleManifest::image("a"), &tags).await;
    assert_eq!(cleared_in(&scene, "lib/a").await, Some((vec![], 0)));
    // There is no rule that could have done it.
    clear(&scene, minute(2), "lib/a", "v6").await;
    scene.commit(minute(2), [put_rule("lib/a", 3)]).await;
    let id = rule_of(&scene, "lib/a").await.unwrap().id;
    clear(&scene, minute(3), "lib/a", "v2").await;
    scene.by(&bob()).change(minute(3), "lib/a", [Change::RemoveTag(tag("v3"))]).await;
    scene
        .by_actor(Actor::Caretaker(Task::Collection))
        .change(minute(3), "lib/a", [Change::RemoveTag(tag("v4"))])
        .await;
    clear(&scene, minute(3), "lib/a", "v2").await;
    scene.commit(minute(4), [put_rule("lib/a", 2)]).await;
    clear(&scene, minute(4), "lib/a", "v1").await;
    // A commit that is refused on its way has cleared nothing.
    let absent = Change::LinkExisting(SampleBlob::new("absent").digest);
    let aging = scene.by_actor(Actor::Caretaker(Task::Aging));
    aging.attempt_change(minute(5), "lib/a", [], [Change::RemoveTag(tag("v5")), absent]).await.unwrap_err();

    let all = store.cleared(&repository_name("lib/a"), 0, limit(99)).await.unwrap().unwrap();
    let cleared =
        |seq, count, text, at| Cleared { seq, id, rule: keep_newest(count), tag: tag(text), at: minute(at) };
    let seqs: Vec<_> = all.entries.iter().map(|cleared| cleared.seq).collect();
    assert_eq!(all.entries, [cleared(seqs[0], 2, "v1", 4), cleared(seqs[1], 3, "v2", 3)]);
    assert!(seqs[0] > seqs[1]);
    assert_eq!(all.total, 2);
    let second = store.cleared(&repository_name("lib/a"), 1, limit(1)).await.unwrap().unwrap();
    assert_eq!((&second.entries[..], second.total), (&all.entries[1..], 2));
    assert_eq!(store.cleared(&repository_name("lib/a"), 2, limit(1)).await.unwrap().unwrap().entries, []);
}

/// Until the history is trimmed.
pub async fn what_a_rule_cleared_outlives_the_rule(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    scene.push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1", "v2", "v3"]).await;
    scene.commit(minute(1), [put_rule("lib/a", 1)]).await;
    for (at, text) in [(2, "v1"), (3, "v2"), (4, "v3")] {
        clear(&scene, minute(at), "lib/a", text).await;
    }
    scene.commit(minute(5), [MetadataChange::RemoveRule(repository_name("lib/a"))]).await;
    let all = || ["v3", "v2", "v1"].map(str::to_owned).to_vec();
    assert_eq!(cleared_in(&scene, "lib/a").await, Some((all(), 3)));
    assert_eq!(store.trim_history(minute(2), limit(9)).await.unwrap(), 0);
    assert_eq!(store.trim_history(minute(4), limit(1)).await.unwrap(), 1);
    assert_eq!(cleared_in(&scene, "lib/a").await, Some((all()[..2].to_vec(), 2)));
    assert_eq!(store.trim_history(minute(4), limit(9)).await.unwrap(), 1);
    assert_eq!(cleared_in(&scene, "lib/a").await, Some((all()[..1].to_vec(), 1)));
}

/// Of everything that hung on it: its rule, its triggers and their deliveries, its synchronisation and its logs.
pub async fn a_repository_made_again_has_none_of_what_ran_for_it(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repository = repository_name("lib/a");
    for round in 0..2 {
        scene.push(minute(1), "lib/a", &SampleManifest::image("a"), &["v1", "v2"]).await;
        assert_eq!(rule_of(&scene, "lib/a").await, None);
        assert_eq!(cleared_in(&scene, "lib/a").await, Some((vec![], 0)));
        assert_eq!(store.triggers(&repository).await.unwrap(), Some(vec![]));
        assert_eq!(store.syncs(&repository).await.unwrap(), Some(vec![]));
        let jobs = store.sync_jobs(&repository, false, 0, limit(9)).await.unwrap().unwrap();
        assert_eq!((jobs.entries, jobs.total), (vec![], 0));
        assert_eq!(store.due_rules(minute(99), limit(9)).await.unwrap(), []);
        assert_eq!(store.claim_deliveries(minute(99), minute(100), limit(9)).await.unwrap(), []);

        let changes = [
            put_rule("lib/a", 1),
            create_trigger("lib/a", "hook", "https://ci.example.net/"),
            put_sync("lib/a", "far", "lib", true),
            add_sync_job("lib/a", "v1", "far"),
        ];
        scene.commit(minute(2), changes).await;
        clear(&scene, minute(3), "lib/a", "v1").await;
        let [(trigger, _)] = &store.triggers(&repository).await.unwrap().unwrap()[..] else { panic!() };
        scene.fan_out(&[delivery(*trigger, round + 1, "v2", minute(4))], round + 1).await;
        assert_eq!(store.deliveries(*trigger, limit(9)).await.unwrap().len(), 1);
        assert_eq!(cleared_in(&scene, "lib/a").await.unwrap().1, 1);
        scene.change(minute(5), "lib/a", [Change::RemoveRepository]).await;
        assert_eq!(store.deliveries(*trigger, limit(9)).await.unwrap(), []);
        assert_eq!(store.triggers(&repository).await.unwrap(), None);
        assert_eq!(store.syncs(&repository).await.unwrap(), None);
        assert_eq!(cleared_in(&scene, "lib/a").await, None);
    }
    // What is past goes with time: in both rounds a delivery, a clearing and a job.
    assert_eq!(store.trim_history(minute(99), limit(9)).await.unwrap(), 6);
    assert_eq!(store.trim_history(minute(99), limit(9)).await.unwrap(), 0);
}

/// The numbers that they are known by are theirs for ever.
pub async fn no_number_of_a_rule_a_trigger_or_a_synchronisation_is_given_twice(store: &dyn MetadataStore) {
    let scene = Scene::settled(store).await;
    let repository = repository_name("lib/a");
    scene.commit(minute(1), [create_repository("lib/a", Visibility::Private)]).await;
    let mut seen: Vec<(RuleId, TriggerId, i64)> = Vec::new();
    for _ in 0..3 {
        let changes = [
            put_rule("lib/a", 1),
            create_trigger("lib/a", "hook", "https://ci.example.net/"),
            put_sync("lib/a", "far", "lib", true),
        ];
        scene.commit(minute(2), changes).await;
        let trigger = store.triggers(&repository).await.unwrap().unwrap()[0].0;
        let sync = store.syncs(&repository).await.unwrap().unwrap()[0].id;
        seen.push((rule_of(&scene, "lib/a").await.unwrap().id, trigger, sync));
        let changes = [
            MetadataChange::RemoveRule(repository.clone()),
            remove_trigger("lib/a", "hook"),
            remove_sync("lib/a", "far", "lib"),
        ];
        assert_eq!(scene.commit(minute(3), changes).await, [Effect::Removed; 3]);
    }
    for (one, next) in seen.iter().zip(&seen[1..]) {
        assert!(one.0 < next.0 && one.1 < next.1 && one.2 < next.2, "{seen:?}");
    }
}
