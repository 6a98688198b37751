//! Any plan judges every version once, removes nothing that a filter takes out or that something staying needs, keeps
//! to its bound, and does not depend on the order of the versions. The input is a rule, and on each following line a
//! version: its tag, its time in seconds, and the tags that need it.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use swr_policy::aging::{
    AgeDays, AgeMeasure, AgingLimit, AgingRule, LastPulled, NeededBy, NewestCount, VersionFacts, plan,
};
use swr_policy::{Pattern, Tag, TagSelector};

fn rule(line: &str) -> Option<AgingRule> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let limit: u32 = words.next()?.parse().ok()?;
    let limit = match kind {
        "days" => AgingLimit::Age(AgeDays::new(limit).ok()?),
        _ => AgingLimit::Count(NewestCount::new(limit).ok()?),
    };
    let mut rule = AgingRule::new(limit);
    rule.keep_at_least = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    rule.removals_max = words.next().and_then(|word| word.parse().ok()).and_then(NonZeroU32::new);
    for word in words.take(8) {
        match word.strip_prefix('+') {
            Some(only) => rule.only.push(TagSelector::Pattern(Pattern::parse(only).ok()?)),
            None if word == "used" => rule.measure = AgeMeasure::LastUsed,
            None => rule.filters.push(TagSelector::Pattern(Pattern::parse(word).ok()?)),
        }
    }
    Some(rule)
}

fn version(line: &str) -> Option<VersionFacts> {
    let mut words = line.split(' ');
    let tag = Tag::parse(words.next()?).ok()?;
    let time = |word: Option<&str>| DateTime::from_timestamp(word?.parse().ok()?, 0);
    let updated = time(words.next());
    let mut version = VersionFacts::new(tag, updated);
    version.last_pulled = time(words.next()).map_or(LastPulled::Never, LastPulled::At);
    let needers: Vec<Tag> = words.filter_map(|word| Tag::parse(word).ok()).collect();
    if !needers.is_empty() {
        version.needed_by = NeededBy::Versions(needers);
    }
    Some(version)
}

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let Some(rule) = lines.next().and_then(rule) else { return };
    let now = DateTime::from_timestamp(1_630_454_400, 0).unwrap_or_default();
    let versions: BTreeMap<Tag, VersionFacts> =
        lines.take(64).filter_map(version).map(|version| (version.tag.clone(), version)).collect();
    let mut versions: Vec<VersionFacts> = versions.into_values().collect();
    let removed: BTreeSet<Tag> = {
        let plan = plan(&rule, &versions, now);
        assert_eq!(plan.verdicts().len(), versions.len());
        let removed: Vec<&VersionFacts> = plan.removals().map(|judged| judged.version).collect();
        let gone: BTreeSet<Tag> = removed.iter().map(|version| version.tag.clone()).collect();
        assert_eq!(gone.len(), removed.len());
        assert!(rule.removals_max.is_none_or(|max| removed.len() <= max.get() as usize));
        for version in removed {
            assert!(!rule.filters.iter().any(|filter| filter.matches(&version.tag)));
            match &version.needed_by {
                NeededBy::Nothing => {}
                NeededBy::Versions(needers) => assert!(needers.iter().all(|needer| gone.contains(needer))),
                NeededBy::Untagged => panic!("{} is needed by what has no tag", version.tag),
            }
        }
        gone
    };
    versions.reverse();
    let backwards = plan(&rule, &versions, now);
    assert_eq!(backwards.removals().map(|judged| judged.version.tag.clone()).collect::<BTreeSet<_>>(), removed);
});
