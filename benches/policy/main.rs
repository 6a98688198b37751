//! What the rules cost: planning a repository's aging, and matching one pushed tag against many triggers.

#![expect(clippy::expect_used, reason = "a bench stops where its own values are wrong")]

use chrono::{DateTime, TimeDelta, Utc};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use swr_policy::aging::{AgeDays, AgingLimit, AgingRule, NeededBy, NewestCount, VersionFacts, plan};
use swr_policy::{Pattern, Tag, TagSelector, TriggerCondition, TriggerRule, TriggerSet};

fn main() {
    divan::main();
}

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_630_454_400, 0).expect("within range");
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

#[divan::bench(args = SIZES)]
fn planning_by_age(bencher: Bencher<'_, '_>, number: u32) {
    let days = AgeDays::new(30).expect("1 to 365");
    planning(bencher, number, &AgingRule::new(AgingLimit::Age(days)));
}

#[divan::bench(args = SIZES)]
fn planning_by_count(bencher: Bencher<'_, '_>, number: u32) {
    planning(bencher, number, &newest_hundred());
}

#[divan::bench(args = SIZES)]
fn planning_by_count_with_filters(bencher: Bencher<'_, '_>, number: u32) {
    let filters = vec![
        TagSelector::Tag(tag("latest")),
        TagSelector::Pattern(pattern("v1.*")),
        TagSelector::Pattern(pattern("^v[0-9]+\\.7\\.")),
    ];
    planning(bencher, number, &AgingRule { filters, ..newest_hundred() });
}

#[divan::bench(args = [1, 10, 100, 1_000, 10_000])]
fn matching(bencher: Bencher<'_, '_>, number: usize) {
    let set = TriggerSet::new(&triggers(number));
    let pushed = tag("v1.2.3");
    bencher.bench_local(|| set.fired_by(black_box(&pushed)));
}

#[divan::bench(args = [1, 10, 100, 1_000, 10_000])]
fn compiling(bencher: Bencher<'_, '_>, number: usize) {
    let triggers = triggers(number);
    bencher.bench_local(|| TriggerSet::new(black_box(&triggers)));
}

fn planning(bencher: Bencher<'_, '_>, number: u32, rule: &AgingRule) {
    let versions = versions(number);
    bencher
        .counter(ItemsCount::new(number))
        .bench_local(|| plan(black_box(rule), black_box(&versions), NOW).removals().count());
}

fn newest_hundred() -> AgingRule {
    AgingRule::new(AgingLimit::Count(NewestCount::new(100).expect("1 to 1,000")))
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("the benches name tags")
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("the benches name patterns")
}

/// Versions of the last year, in no order; every tenth is a signature of the one before.
fn versions(number: u32) -> Vec<VersionFacts> {
    let mut versions: Vec<VersionFacts> = (0..number)
        .map(|index| {
            let seconds = i64::from(index.wrapping_mul(2_654_435_761) % (365 * 24 * 3600));
            let updated = Some(NOW - TimeDelta::seconds(seconds));
            VersionFacts::new(tag(&format!("v{}.{}.{index}", index / 10_000, index / 100 % 100)), updated)
        })
        .collect();
    for index in (10..versions.len()).step_by(10) {
        let signed = versions[index - 1].tag.clone();
        versions[index].needed_by = NeededBy::Versions(vec![signed]);
    }
    versions
}

/// A third for one tag, a third with a glob, a third with a regular expression.
fn triggers(number: usize) -> Vec<TriggerRule> {
    (0..number)
        .map(|index| TriggerRule {
            enabled: true,
            condition: match index % 3 {
                0 => TriggerCondition::Tag(tag(&format!("v{index}"))),
                1 => TriggerCondition::Pattern(pattern(&format!("v{index}.*"))),
                _ => TriggerCondition::Pattern(pattern(&format!("^v{index}-rc[0-9]+$"))),
            },
        })
        .collect()
}
