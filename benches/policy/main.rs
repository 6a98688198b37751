//! What the rules cost: planning a repository's aging, and matching one pushed tag against many triggers.

#![expect(clippy::expect_used, reason = "a bench stops where its own values are wrong")]

use std::hint::black_box;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{BenchmarkId, Criterion, Throughput};
use swr_policy::aging::{AgeDays, AgingLimit, AgingRule, NeededBy, NewestCount, VersionFacts, plan};
use swr_policy::{Pattern, Tag, TagSelector, TriggerCondition, TriggerRule, TriggerSet};

const NOW: DateTime<Utc> = DateTime::from_timestamp(1_630_454_400, 0).expect("within range");

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000)
        .configure_from_args();
    aging(&mut criterion);
    triggering(&mut criterion);
    criterion.final_summary();
}

fn aging(criterion: &mut Criterion) {
    let days = AgeDays::new(30).expect("1 to 365");
    let filters = vec![
        TagSelector::Tag(tag("latest")),
        TagSelector::Pattern(pattern("v1.*")),
        TagSelector::Pattern(pattern("^v[0-9]+\\.7\\.")),
    ];
    let rules = [
        ("by-age", AgingRule::new(AgingLimit::Age(days))),
        ("by-count", newest_hundred()),
        ("by-count-with-filters", AgingRule { filters, ..newest_hundred() }),
    ];
    let mut group = criterion.benchmark_group("aging");
    for number in [1_000, 10_000, 100_000, 1_000_000] {
        let versions = versions(number);
        group.throughput(Throughput::Elements(u64::from(number)));
        for (name, rule) in &rules {
            group.bench_function(BenchmarkId::new(*name, number), |bencher| {
                bencher.iter(|| plan(black_box(rule), black_box(&versions), NOW).removals().count());
            });
        }
    }
    group.finish();
}

fn triggering(criterion: &mut Criterion) {
    let pushed = tag("v1.2.3");
    let mut group = criterion.benchmark_group("triggers");
    for number in [1, 10, 100, 1_000, 10_000] {
        let triggers = triggers(number);
        group.bench_function(BenchmarkId::new("compile", number), |bencher| {
            bencher.iter_with_large_drop(|| TriggerSet::new(black_box(&triggers)));
        });
        let set = TriggerSet::new(&triggers);
        group.bench_function(BenchmarkId::new("match", number), |bencher| {
            bencher.iter(|| set.fired_by(black_box(&pushed)));
        });
    }
    group.finish();
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
