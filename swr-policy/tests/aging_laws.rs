//! What aging keeps and removes, against the rule's words taken one version at a time.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use swr_policy::aging::{
    AgeDays, AgeMeasure, AgingKind, AgingLimit, AgingRule, Falls, Kept, LastPulled, NeededBy, NewestCount,
    Plan, Removed, Verdict, VersionFacts, plan,
};
use swr_policy::strategies::{
    aging_rules, entangled_versions, plain_aging_rules, times, unbounded_aging_rules, versions,
};
use swr_policy::{Pattern, Tag, TagSelector};

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn days(days: u32) -> AgingRule {
    AgingRule::new(AgingLimit::Age(AgeDays::new(days).unwrap()))
}

fn newest(count: u32) -> AgingRule {
    AgingRule::new(AgingLimit::Count(NewestCount::new(count).unwrap()))
}

/// A time as the guide prints it, in GMT+08:00.
fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_str(&format!("{text} +0800"), "%Y-%m-%d %H:%M:%S %z").unwrap().to_utc()
}

fn version(text: &str, updated: &str) -> VersionFacts {
    VersionFacts::new(tag(text), Some(at(updated)))
}

fn needed_by(version: VersionFacts, tags: &[&str]) -> VersionFacts {
    let needed_by = NeededBy::Versions(tags.iter().map(|text| tag(text)).collect());
    let mut version = version;
    version.needed_by = needed_by;
    version
}

fn removed<'a>(plan: &Plan<'a>) -> Vec<&'a str> {
    plan.removals().map(|judged| judged.version.tag.as_str()).collect()
}

fn by_tag<'a>(plan: &Plan<'a>) -> BTreeMap<&'a Tag, Verdict<'a>> {
    plan.verdicts().iter().map(|judged| (&judged.version.tag, judged.verdict)).collect()
}

fn is_removed(verdict: &Verdict<'_>) -> bool {
    matches!(verdict, Verdict::Removed { .. })
}

/// What remains when a plan is carried out: nothing names what is gone.
fn remaining(plan: &Plan<'_>) -> Vec<VersionFacts> {
    let gone: Vec<&Tag> = plan.removals().map(|judged| &judged.version.tag).collect();
    let kept = plan.verdicts().iter().filter(|judged| !is_removed(&judged.verdict));
    let mut kept: Vec<VersionFacts> = kept.map(|judged| judged.version.clone()).collect();
    for version in &mut kept {
        if let NeededBy::Versions(tags) = &mut version.needed_by {
            tags.retain(|tag| !gone.contains(&tag));
        }
    }
    kept
}

/// The rule's words, without a bound on removals.
struct Words<'a> {
    rule: &'a AgingRule,
    versions: &'a [VersionFacts],
    now: DateTime<Utc>,
}

impl<'a> Words<'a> {
    fn time(&self, version: &VersionFacts) -> Option<DateTime<Utc>> {
        let updated = version.updated?;
        match (self.rule.measure, version.last_pulled) {
            (AgeMeasure::Updated, _) | (AgeMeasure::LastUsed, LastPulled::Never) => Some(updated),
            (AgeMeasure::LastUsed, LastPulled::At(pulled)) => Some(pulled.max(updated)),
            (AgeMeasure::LastUsed, LastPulled::Unknown) => None,
        }
    }

    fn needers(&self, version: &'a VersionFacts) -> &'a [Tag] {
        match &version.needed_by {
            NeededBy::Versions(tags) => tags,
            _ => &[],
        }
    }

    fn filter(&self, version: &VersionFacts) -> Option<usize> {
        self.rule.filters.iter().position(|filter| filter.matches(&version.tag))
    }

    fn is_free(&self, version: &VersionFacts) -> bool {
        self.filter(version).is_none()
            && !version.fixed
            && version.needed_by != NeededBy::Untagged
            && self.time(version).is_some()
    }

    fn in_scope(&self, version: &VersionFacts) -> bool {
        self.rule.only.is_empty() || self.rule.only.iter().any(|only| only.matches(&version.tag))
    }

    fn is_judged(&self, version: &'a VersionFacts) -> bool {
        self.is_free(version) && self.needers(version).is_empty() && self.in_scope(version)
    }

    fn rank(&self, version: &'a VersionFacts) -> usize {
        let key = |version: &'a VersionFacts| (self.time(version), &version.tag);
        self.versions.iter().filter(|other| self.is_judged(other) && key(other) > key(version)).count()
    }

    fn is_too_old(&self, version: &VersionFacts, days: AgeDays) -> bool {
        self.now - self.time(version).unwrap() > TimeDelta::days(days.get().into())
    }

    fn goes_by_itself(&self, version: &'a VersionFacts) -> bool {
        self.is_judged(version)
            && self.rank(version) >= self.rule.keep_at_least as usize
            && match self.rule.limit {
                AgingLimit::Age(days) => self.is_too_old(version, days),
                AgingLimit::Count(count) => self.rank(version) >= usize::from(count.get()),
            }
    }

    /// Whether each version goes: those that go by themselves, and again and again those whose every needer goes.
    fn going(&self) -> BTreeMap<&'a Tag, bool> {
        let mut going: BTreeMap<&Tag, bool> =
            self.versions.iter().map(|version| (&version.tag, self.goes_by_itself(version))).collect();
        loop {
            let next: Vec<&Tag> = self
                .versions
                .iter()
                .filter(|version| self.is_free(version) && !going[&version.tag])
                .filter(|version| !self.needers(version).is_empty())
                .filter(|version| self.needers(version).iter().all(|needer| going.get(needer) == Some(&true)))
                .map(|version| &version.tag)
                .collect();
            if next.is_empty() {
                return going;
            }
            going.extend(next.into_iter().map(|tag| (tag, true)));
        }
    }

    fn why_kept(&self, version: &'a VersionFacts, going: &BTreeMap<&Tag, bool>) -> Kept<'a> {
        let needers = self.needers(version);
        if let Some(filter) = self.filter(version) {
            Kept::Filtered { filter }
        } else if version.fixed {
            Kept::Fixed
        } else if version.needed_by == NeededBy::Untagged {
            Kept::NeededByUntagged
        } else if needers.is_empty() && !self.in_scope(version) {
            Kept::OutOfScope
        } else if self.time(version).is_none() {
            Kept::UnknownTime
        } else if let Some(needer) = needers.iter().find(|needer| going.get(needer) != Some(&true)) {
            Kept::NeededBy(needer)
        } else {
            match self.rule.limit {
                AgingLimit::Age(days) if !self.is_too_old(version, days) => Kept::Recent,
                AgingLimit::Count(count) if self.rank(version) < count.get().into() => Kept::AmongNewest,
                _ => Kept::AtLeast,
            }
        }
    }
}

/// The same cases in every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` asks for others.
fn cases(number: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(number),
        failure_persistence: None,
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0),
            seed => seed,
        },
        ..asked
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn what_goes_and_why_the_rest_stays_is_as_the_words_have_it(
        rule in unbounded_aging_rules(),
        versions in entangled_versions(14),
        now in times(),
    ) {
        let words = Words { rule: &rule, versions: &versions, now };
        let going = words.going();
        for judged in plan(&rule, &versions, now).verdicts() {
            let version = judged.version;
            match judged.verdict {
                Verdict::Kept { why, .. } => {
                    prop_assert!(!going[&version.tag], "{} stays", version.tag);
                    prop_assert_eq!(why, words.why_kept(version, &going), "{}", version.tag);
                }
                Verdict::Removed { why } => {
                    prop_assert!(going[&version.tag], "{} goes", version.tag);
                    match why {
                        Removed::Unneeded { with } => prop_assert!(words.needers(version).contains(with)),
                        _ => prop_assert!(words.needers(version).is_empty()),
                    }
                    prop_assert_eq!(why == Removed::TooOld, rule.limit.kind() == AgingKind::Age && words.needers(version).is_empty());
                }
            }
        }
    }

    #[test]
    fn verdicts_come_in_the_order_of_the_versions(
        rule in aging_rules(), versions in entangled_versions(12), now in times(),
    ) {
        let plan = plan(&rule, &versions, now);
        let judged: Vec<_> = plan.verdicts().iter().map(|judged| judged.version).collect();
        prop_assert_eq!(judged, versions.iter().collect::<Vec<_>>());
        let removals = plan.removals().count();
        prop_assert!(plan.removals().all(|judged| is_removed(&judged.verdict)));
        prop_assert_eq!(removals, plan.verdicts().iter().filter(|judged| is_removed(&judged.verdict)).count());
    }

    #[test]
    fn the_order_of_the_versions_decides_nothing(
        rule in aging_rules(),
        (versions, shuffled) in entangled_versions(12).prop_flat_map(|versions| {
            (Just(versions.clone()), Just(versions).prop_shuffle())
        }),
        now in times(),
    ) {
        let (one, other) = (plan(&rule, &versions, now), plan(&rule, &shuffled, now));
        prop_assert_eq!(by_tag(&one), by_tag(&other));
        prop_assert_eq!(removed(&one), removed(&other));
    }

    #[test]
    fn what_remains_stays(rule in unbounded_aging_rules(), versions in entangled_versions(12), now in times()) {
        let once = plan(&rule, &versions, now);
        let remaining = remaining(&once);
        prop_assert_eq!(removed(&plan(&rule, &remaining, now)), [""; 0]);
    }

    #[test]
    fn what_goes_goes_later_too(
        rule in aging_rules(), versions in entangled_versions(12), now in times(), later in times(),
    ) {
        let (now, later) = (now.min(later), now.max(later));
        let (now, later) = (plan(&rule, &versions, now), plan(&rule, &versions, later));
        let later = removed(&later);
        prop_assert!(removed(&now).iter().all(|tag| later.contains(tag)));
    }

    #[test]
    fn nothing_filtered_unknown_recent_or_held_fast_goes(
        rule in aging_rules(), versions in entangled_versions(12), now in times(),
    ) {
        for judged in plan(&rule, &versions, now).removals() {
            let version = judged.version;
            prop_assert!(!rule.filters.iter().any(|filter| filter.matches(&version.tag)));
            prop_assert!(version.updated.is_some() && !version.fixed);
            if let (AgingLimit::Age(days), NeededBy::Nothing) = (rule.limit, &version.needed_by) {
                prop_assert!(now - version.updated.unwrap() > TimeDelta::days(days.get().into()));
            }
        }
    }

    #[test]
    fn count_keeps_the_number_of_those_not_filtered(
        rule in plain_aging_rules(), versions in versions(12), now in times(),
    ) {
        let AgingLimit::Count(count) = rule.limit else { return Ok(()) };
        let judged = versions.iter().filter(|version| {
            version.updated.is_some() && !rule.filters.iter().any(|filter| filter.matches(&version.tag))
        });
        let judged = judged.count();
        let plan = plan(&rule, &versions, now);
        prop_assert_eq!(judged - plan.removals().count(), judged.min(count.get().into()));
    }

    /// Whatever stays keeps what it needs, after each single removal and not only at the end.
    #[test]
    fn what_stays_keeps_what_it_needs(rule in aging_rules(), versions in entangled_versions(12), now in times()) {
        let mut there: Vec<&Tag> = versions.iter().map(|version| &version.tag).collect();
        for judged in plan(&rule, &versions, now).removals() {
            there.retain(|tag| *tag != &judged.version.tag);
            if let NeededBy::Versions(tags) = &judged.version.needed_by {
                prop_assert!(tags.iter().all(|needer| !there.contains(&needer)), "{}", judged.version.tag);
                prop_assert!(tags.iter().all(|needer| versions.iter().any(|version| version.tag == *needer)));
            }
        }
    }

    #[test]
    fn a_bound_holds_and_something_goes(
        rule in unbounded_aging_rules(), max in 1..4u32, versions in entangled_versions(14), now in times(),
    ) {
        let bounded = AgingRule { removals_max: NonZeroU32::new(max), ..rule.clone() };
        let (all, some) = (plan(&rule, &versions, now), plan(&bounded, &versions, now));
        let (all, going) = (by_tag(&all), removed(&some));
        prop_assert!(going.len() <= max as usize);
        prop_assert_eq!(going.is_empty(), !all.values().any(is_removed));
        for (tag, verdict) in by_tag(&some) {
            match verdict {
                Verdict::Kept { why: Kept::Postponed, falls } => {
                    prop_assert!(is_removed(&all[tag]));
                    prop_assert_eq!(falls, Falls::NextRun);
                }
                // What would go, or would be needed by another, had that one gone.
                Verdict::Kept { why: Kept::NeededBy(by), .. }
                    if is_removed(&all[tag]) || all.get(by).is_some_and(is_removed) =>
                {
                    prop_assert!(!going.contains(&by.as_str()));
                }
                same => prop_assert_eq!(same, all[tag]),
            }
        }
    }

    #[test]
    fn bounded_runs_end_where_one_unbounded_run_does(
        rule in unbounded_aging_rules(), max in 1..4u32, versions in versions(12), now in times(),
    ) {
        let bounded = AgingRule { removals_max: NonZeroU32::new(max), ..rule.clone() };
        let mut left = versions.clone();
        while plan(&bounded, &left, now).removals().count() > 0 {
            left = remaining(&plan(&bounded, &left, now));
        }
        let once = plan(&rule, &versions, now);
        prop_assert_eq!(left, remaining(&once));
    }

    /// A version goes when what is foretold has come, and not a nanosecond or a version before.
    #[test]
    fn a_version_falls_when_foretold(rule in unbounded_aging_rules(), versions in versions(8), now in times()) {
        let newest = DateTime::<Utc>::MAX_UTC;
        let with_newer = |newer: usize| {
            let added = (0..newer).map(|number| VersionFacts {
                last_pulled: LastPulled::Never,
                // In the scope of no generated filter, and of every generated rule that has a scope: see below.
                ..VersionFacts::new(tag(&format!("zz-newer-{number}")), Some(newest))
            });
            versions.iter().cloned().chain(added).collect::<Vec<_>>()
        };
        let mut rule = rule;
        rule.filters.retain(|filter| !filter.matches(&tag("zz-newer-0")));
        rule.filters.retain(|filter| matches!(filter, TagSelector::Tag(_)));
        if !rule.only.is_empty() {
            rule.only.push(TagSelector::Pattern(Pattern::glob("zz-newer-*").unwrap()));
        }
        let goes = |versions: &[VersionFacts], tag: &Tag, now: DateTime<Utc>| is_removed(&by_tag(&plan(&rule, versions, now))[tag]);
        for judged in plan(&rule, &versions, now).verdicts() {
            let (tag, Verdict::Kept { why, falls }) = (&judged.version.tag, judged.verdict) else { continue };
            match falls {
                Falls::Once { passed, newer } if newer < 20 => {
                    let after = passed.and_then(|passed| passed.checked_add_signed(TimeDelta::nanoseconds(1)));
                    let (before, after) = match passed {
                        Some(passed) => (passed.max(now), after.unwrap_or(passed).max(now)),
                        None => (now, now),
                    };
                    if passed.is_some() {
                        prop_assert!(!goes(&with_newer(newer), tag, before), "{} at its limit", tag);
                    }
                    if newer > 0 {
                        prop_assert!(!goes(&with_newer(newer - 1), tag, after), "{} with one newer too few", tag);
                    }
                    if passed != Some(newest) && judged.version.updated != Some(newest) {
                        prop_assert!(goes(&with_newer(newer), tag, after), "{} when foretold", tag);
                    }
                }
                Falls::Once { .. } => {}
                Falls::Never => {
                    prop_assert!(!goes(&with_newer(10), tag, newest), "{} never", tag);
                    prop_assert!(!matches!(why, Kept::AmongNewest | Kept::AtLeast));
                }
                falls => prop_assert!(false, "{falls:?}"),
            }
        }
    }

    #[test]
    fn a_rule_is_written_and_read_again(rule in aging_rules()) {
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str(&json).ok(), Some(rule));
    }
}

/// The guide's first example.
#[test]
fn by_age_of_three_days_v1_goes() {
    let versions = [version("v2", "2021-09-01 15:29:53"), version("v1", "2021-08-27 14:27:45")];
    let plan = plan(&days(3), &versions, at("2021-09-01 16:00:00"));
    assert_eq!(removed(&plan), ["v1"]);
    let falls = Falls::Once { passed: Some(at("2021-09-04 15:29:53")), newer: 0 };
    assert_eq!(by_tag(&plan)[&tag("v2")], Verdict::Kept { why: Kept::Recent, falls });
}

/// The guide's second example.
#[test]
fn by_count_of_one_and_filtered_by_v2_v1_alone_goes() {
    let versions = [
        version("v2.0.0", "2021-09-01 10:08:20"),
        version("v1.0.0", "2021-09-01 10:05:10"),
        version("v2", "2021-08-31 14:29:31"),
        version("v1", "2021-08-30 09:51:26"),
    ];
    let mut rule = newest(1);
    rule.filters = vec![Pattern::regex("^v2.*").unwrap().into()];
    let plan = plan(&rule, &versions, at("2021-09-01 16:00:00"));
    assert_eq!(removed(&plan), ["v1"]);
    let why = |text: &str| match by_tag(&plan)[&tag(text)] {
        Verdict::Kept { why, .. } => Some(why),
        Verdict::Removed { .. } => None,
    };
    assert_eq!(why("v2.0.0"), Some(Kept::Filtered { filter: 0 }));
    assert_eq!(why("v2"), Some(Kept::Filtered { filter: 0 }));
    assert_eq!(why("v1.0.0"), Some(Kept::AmongNewest));
}

#[test]
fn of_equal_times_the_greater_tag_is_the_newer() {
    let time = "2021-09-01 10:00:00";
    let versions = [version("v1", time), version("v3", time), version("v2", time), version("V9", time)];
    assert_eq!(removed(&plan(&newest(2), &versions, at(time))), ["V9", "v1"]);
}

#[test]
fn a_day_is_24_hours_to_the_nanosecond() {
    let versions = [version("v1", "2021-09-01 10:00:00")];
    let limit = at("2021-09-02 10:00:00");
    assert_eq!(removed(&plan(&days(1), &versions, limit)), [""; 0]);
    assert_eq!(removed(&plan(&days(1), &versions, limit + TimeDelta::nanoseconds(1))), ["v1"]);
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let ends = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC];
    let versions =
        [VersionFacts::new(tag("first"), Some(ends[0])), VersionFacts::new(tag("last"), Some(ends[1]))];
    assert_eq!(removed(&plan(&days(365), &versions, ends[0])), [""; 0]);
    let plan = plan(&days(365), &versions, ends[1]);
    assert_eq!(removed(&plan), ["first"]);
    assert_eq!(by_tag(&plan)[&tag("last")], Verdict::Kept { why: Kept::Recent, falls: Falls::Never });
}

#[test]
fn a_signature_goes_with_the_last_version_that_it_signs() {
    let signature = |tags: &[&str]| needed_by(version("sha256-0.sig", "2021-01-01 00:00:00"), tags);
    let now = at("2021-09-10 00:00:00");
    let (old, new) = (version("v1", "2021-09-01 00:00:00"), version("v2", "2021-09-09 00:00:00"));

    // Older than the limit itself, and not counted either.
    let versions = [signature(&["v1", "v2"]), old.clone(), new.clone()];
    for rule in [days(3), newest(1)] {
        let plan = plan(&rule, &versions, now);
        assert_eq!(removed(&plan), ["v1"]);
        let kept = by_tag(&plan)[&tag("sha256-0.sig")];
        assert_eq!(kept, Verdict::Kept { why: Kept::NeededBy(&tag("v2")), falls: Falls::With(&tag("v2")) });
    }

    let versions = [signature(&["v1"]), old, new];
    let plan = plan(&days(3), &versions, now);
    assert_eq!(removed(&plan), ["v1", "sha256-0.sig"]);
    let with = Removed::Unneeded { with: &tag("v1") };
    assert_eq!(by_tag(&plan)[&tag("sha256-0.sig")], Verdict::Removed { why: with });
}

#[test]
fn a_version_and_what_it_needs_go_in_one_run() {
    let old = "2021-01-01 00:00:00";
    let versions = [
        version("v0", "2020-12-31 00:00:00"),
        version("v1", old),
        needed_by(version("v1.sig", old), &["v1"]),
        needed_by(version("v1.sig.sig", old), &["v1.sig"]),
        version("v2", "2021-01-02 00:00:00"),
    ];
    let run = |max: u32| {
        let rule = AgingRule { removals_max: NonZeroU32::new(max), ..days(1) };
        let plan = plan(&rule, &versions, at("2021-09-01 00:00:00"));
        removed(&plan).join(" ")
    };
    assert_eq!(run(1), "v0");
    assert_eq!(run(3), "v0");
    assert_eq!(run(4), "v0 v1 v1.sig v1.sig.sig");
    assert_eq!(run(5), "v0 v1 v1.sig v1.sig.sig v2");

    // One that is more than the bound with all it needs begins, and the rest is postponed.
    let rule = AgingRule { removals_max: NonZeroU32::new(2), ..days(1) };
    let plan = plan(&rule, &versions[1..], at("2021-09-01 00:00:00"));
    assert_eq!(removed(&plan), ["v1", "v1.sig"]);
    let postponed = Verdict::Kept { why: Kept::Postponed, falls: Falls::NextRun };
    assert_eq!(by_tag(&plan)[&tag("v1.sig.sig")], postponed);
    assert_eq!(by_tag(&plan)[&tag("v2")], postponed);
}

#[test]
fn a_version_that_is_held_fast_stays_with_what_it_needs_and_is_not_counted() {
    let old = "2021-01-01 00:00:00";
    let fixed = |version| VersionFacts { fixed: true, ..version };
    let versions = [
        fixed(version("v4", "2021-01-04 00:00:00")),
        version("v3", "2021-01-03 00:00:00"),
        version("v2", "2021-01-02 00:00:00"),
        fixed(version("v1", old)),
        needed_by(version("v1.sig", old), &["v1"]),
        fixed(needed_by(version("v2.sig", old), &["v2"])),
    ];
    let rule = AgingRule { removals_max: NonZeroU32::new(1), ..newest(1) };
    let plan = plan(&rule, &versions, at("2021-09-01 00:00:00"));
    assert_eq!(removed(&plan), ["v2"]);
    let kept = |text: &str| by_tag(&plan)[&tag(text)];
    let never = |why| Verdict::Kept { why, falls: Falls::Never };
    assert_eq!(["v4", "v1", "v2.sig"].map(kept), [never(Kept::Fixed); 3]);
    let falls = Falls::Once { passed: None, newer: 1 };
    assert_eq!(kept("v3"), Verdict::Kept { why: Kept::AmongNewest, falls });
    let v1 = tag("v1");
    assert_eq!(kept("v1.sig"), Verdict::Kept { why: Kept::NeededBy(&v1), falls: Falls::With(&v1) });
}

#[test]
fn versions_that_need_each_other_in_a_ring_stay() {
    let old = "2021-01-01 00:00:00";
    let versions = [needed_by(version("a", old), &["b"]), needed_by(version("b", old), &["a"])];
    assert_eq!(removed(&plan(&days(1), &versions, at("2021-09-01 00:00:00"))), [""; 0]);
}

#[test]
fn limits_are_within_their_ranges() {
    for (number, of_days, of_count) in
        [(0, false, false), (1, true, true), (365, true, true), (366, false, true), (1_000, false, true)]
    {
        assert_eq!(AgeDays::new(number).ok().map(|days| u32::from(days.get())), of_days.then_some(number));
        assert_eq!(NewestCount::new(number).ok().map(u32::from), of_count.then_some(number));
    }
    assert_eq!(
        NewestCount::new(1_001).unwrap_err().to_string(),
        "1001 versions cannot be kept: it is 1 to 1000"
    );
    assert_eq!(
        AgeDays::try_from(65_537).unwrap_err().to_string(),
        "65537 days cannot be kept: it is 1 to 365"
    );
    assert!(serde_json::from_str::<AgingRule>(r#"{"limit":{"age":366}}"#).is_err());
    assert_eq!(serde_json::from_str::<AgingRule>(r#"{"limit":{"age":3}}"#).ok(), Some(days(3)));
    assert!(serde_json::from_str::<AgingRule>(r#"{"limit":{"age":3},"spare":["v1"]}"#).is_err());
}

#[test]
fn a_rules_values_change_and_its_kind_does_not() {
    let mut rule = days(3);
    assert_eq!(rule.change(days(5)), Ok(()));
    assert_eq!(rule, days(5));
    let refused = rule.change(newest(5)).unwrap_err();
    assert_eq!(refused.to_string(), "the rule is of kind age, which cannot be changed to count");
    assert_eq!(rule, days(5));
}

#[test]
fn a_verdict_is_a_sentence() {
    let (v1, passed) = (tag("v1"), at("2021-09-01 10:00:00"));
    let kept = |why, falls| Verdict::Kept { why, falls }.to_string();
    let once = |passed, newer| Falls::Once { passed, newer };
    for (said, sentence) in [
        (
            kept(Kept::Filtered { filter: 0 }, Falls::Never),
            "stays, as filter 1 takes it out; this rule never removes it",
        ),
        (
            kept(Kept::OutOfScope, Falls::Never),
            "stays, as the rule is not for it; this rule never removes it",
        ),
        (
            kept(Kept::UnknownTime, Falls::Never),
            "stays, as its time is not known; this rule never removes it",
        ),
        (kept(Kept::NeededBy(&v1), Falls::With(&v1)), "stays, as v1 needs it; it goes with v1"),
        (
            kept(Kept::NeededByUntagged, Falls::Never),
            "stays, as something without a tag needs it; this rule never removes it",
        ),
        (
            kept(Kept::Recent, once(Some(passed), 0)),
            "stays, as it is not too old; it goes after 2021-09-01 02:00:00 UTC",
        ),
        (
            kept(Kept::Recent, once(Some(passed), 2)),
            "stays, as it is not too old; it goes after 2021-09-01 02:00:00 UTC and when 2 newer have come",
        ),
        (
            kept(Kept::AmongNewest, once(None, 1)),
            "stays, as it is among the newest; it goes when 1 newer have come",
        ),
        (
            kept(Kept::AtLeast, once(None, 3)),
            "stays, as it is among those that stay in any case; it goes when 3 newer have come",
        ),
        (kept(Kept::Fixed, Falls::Never), "stays, as its tag may not be removed; this rule never removes it"),
        (
            kept(Kept::Postponed, Falls::NextRun),
            "stays, as no more may go in this run; it goes in a later run",
        ),
        (Verdict::Removed { why: Removed::TooOld }.to_string(), "goes, as it is too old"),
        (Verdict::Removed { why: Removed::TooMany }.to_string(), "goes, as enough newer ones stay"),
        (
            Verdict::Removed { why: Removed::Unneeded { with: &v1 } }.to_string(),
            "goes, as v1 goes, the last that needed it",
        ),
    ] {
        assert_eq!(said, sentence);
    }
}
