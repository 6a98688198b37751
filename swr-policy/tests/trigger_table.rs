//! Which versions fire which triggers.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use swr_policy::strategies::{tags, trigger_rules};
use swr_policy::{Pattern, Tag, TriggerCondition, TriggerName, TriggerRule, TriggerSet};

fn enabled(condition: TriggerCondition) -> TriggerRule {
    TriggerRule { condition, enabled: true }
}

fn all() -> TriggerRule {
    enabled(TriggerCondition::All)
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn only(text: &str) -> TriggerRule {
    enabled(TriggerCondition::Tag(tag(text)))
}

fn matching(text: &str) -> TriggerRule {
    enabled(TriggerCondition::Pattern(Pattern::parse(text).unwrap()))
}

fn disabled(rule: TriggerRule) -> TriggerRule {
    TriggerRule { enabled: false, ..rule }
}

#[test]
fn each_condition_fires_for_its_versions() {
    let table = [
        (all(), "v2", true),
        (disabled(all()), "v2", false),
        (only("v2"), "v2", true),
        (only("v2"), "v2.0", false),
        (only("v2"), "V2", false),
        (disabled(only("v2")), "v2", false),
        (matching("^v2.*"), "v2.0.0", true),
        (matching("^v2.*"), "v1.0.0", false),
        (matching("v2.*"), "v2.0.0", true),
        (matching("v2.*"), "v2", false),
        (matching("{v1,v2}"), "v2", true),
        (matching("v?"), "v2", true),
        (matching("v?"), "v22", false),
        (disabled(matching("^v2.*")), "v2.0.0", false),
    ];
    for (rule, text, fires) in table {
        assert_eq!(rule.fires_for(&tag(text)), fires, "{rule:?} for {text}");
        assert_eq!(
            TriggerSet::new([&rule]).fired_by(&tag(text)).as_slice(),
            if fires { &[0][..] } else { &[] }
        );
    }
}

/// The guide's first example.
#[test]
fn a_trigger_for_all_fires_for_a_pushed_v2() {
    assert_eq!(TriggerSet::new([&all()]).fired_by(&tag("v2")), [0]);
}

/// The guide's second example: v1.0.0 is pushed, then v2.0.0.
#[test]
fn a_trigger_for_v2_fires_for_v2_0_0_alone() {
    let set = TriggerSet::new([&matching("^v2.*")]);
    let fired: Vec<_> =
        ["v1.0.0", "v2.0.0"].into_iter().filter(|text| !set.fired_by(&tag(text)).is_empty()).collect();
    assert_eq!(fired, ["v2.0.0"]);
}

#[test]
fn ten_thousand_triggers_are_told_apart() {
    let rules: Vec<TriggerRule> = (0..10_000)
        .map(|number| match number % 4 {
            0 => only(&format!("v{number}")),
            1 => matching(&format!("v{number}*")),
            2 => matching(&format!("^v{number}$")),
            _ => disabled(matching(&format!("v{number}"))),
        })
        .collect();
    let set = TriggerSet::new(&rules);
    assert_eq!(set.fired_by(&tag("v4000")), [4000]);
    // The glob `v1*` too, and `v9*` below, as `v999*` is a tag's shape and not a glob.
    assert_eq!(set.fired_by(&tag("v1001")), [1, 1001]);
    assert_eq!(set.fired_by(&tag("v9998")), [9, 9998]);
    assert_eq!(set.fired_by(&tag("v9999")), [9]);
    assert_eq!(set.fired_by(&tag("w")), [0_usize; 0]);
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
    fn a_trigger_set_says_what_one_after_the_other_says(
        rules in prop::collection::vec(trigger_rules(), 0..40),
        tag in tags(),
    ) {
        let fired: Vec<usize> = (0..rules.len()).filter(|&at| rules[at].fires_for(&tag)).collect();
        prop_assert_eq!(TriggerSet::new(&rules).fired_by(&tag), fired);
    }

    #[test]
    fn a_rule_is_written_and_read_again(rule in trigger_rules()) {
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str(&json).ok(), Some(rule));
    }
}

#[test]
fn a_triggers_name_is_refused_with_the_rule_and_the_position() {
    for (text, sentence) in [
        ("", "it may not be empty (byte 0)"),
        ("1a", "it may not begin with '1' (byte 0)"),
        ("_a", "it may not begin with '_' (byte 0)"),
        ("a__b", "it may not have '_' after another separator (byte 2)"),
        ("a-_b", "it may not have '_' after another separator (byte 2)"),
        ("a-", "it may not end with '-' (byte 1)"),
        ("a.b", "it may not contain '.' (byte 1)"),
        ("触发器", "it may not contain '触' (byte 0)"),
    ] {
        assert_eq!(
            TriggerName::parse(text).unwrap_err().to_string(),
            format!("invalid trigger name {text:?}: {sentence}")
        );
    }
    assert!(TriggerName::parse(&"a".repeat(64)).is_ok());
    assert!(TriggerName::parse(&"a".repeat(65)).is_err());
}
