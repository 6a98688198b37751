//! Generators of every value the rules take, for property tests with `proptest`.
//!
//! What they make is small and alike, so that names collide, patterns match, times are equal and limits are met
//! to the second; the grammars' outskirts are in it too, less often.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::aging::{
    AgeDays, AgeMeasure, AgingLimit, AgingRule, LastPulled, NeededBy, NewestCount, VersionFacts,
};
use crate::name::{OrganisationName, RepositoryName, Tag};
use crate::pattern::Pattern;
use crate::selector::TagSelector;
use crate::trigger::{TriggerCondition, TriggerName, TriggerRule};

/// Organisations' names, up to the longest.
pub fn organisation_names() -> impl Strategy<Value = OrganisationName> {
    prop_oneof![4 => "[a-c]((_|__|--?)?[a-c0-2]){0,3}", 1 => "[a-z]((_|__|-{1,3})?[a-z0-9]{1,9}){0,10}"]
        .prop_filter_map("too long", |text| OrganisationName::parse(&text).ok())
}

/// Repositories' names of the distribution specification's grammar, up to the longest, of one to many components.
pub fn repository_names() -> impl Strategy<Value = RepositoryName> {
    let few = "[a-c]((\\.|_|__|-)?[a-c0-2]){0,2}(/[a-c0-2](\\.[a-c]){0,1}){0,2}";
    let many = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,4}(/[a-z0-9]{1,60}((\\.|_|__|-{1,3})[a-z0-9]{1,9}){0,4}){0,5}";
    prop_oneof![4 => few, 1 => many].prop_filter_map("too long", |text| RepositoryName::parse(&text).ok())
}

/// Repositories' names that the naming profile `swr` admits while nothing is reserved.
pub fn swr_repository_names() -> impl Strategy<Value = RepositoryName> {
    let repository = prop_oneof![
        4 => "[a-c0-2]((_|__|--?)?[a-c0-2]){0,3}",
        1 => "[a-z0-9]{1,30}((_|__|-{1,3})?[a-z0-9]{1,9}){0,8}",
    ];
    (organisation_names(), repository).prop_filter_map("too long", |(organisation, repository)| {
        let repository = Some(repository).filter(|repository| repository.len() <= 128)?;
        RepositoryName::parse(&format!("{organisation}/{repository}")).ok()
    })
}

/// Tags: mostly versions that differ in a digit, and now and then any tag at all.
pub fn tags() -> impl Strategy<Value = Tag> {
    prop_oneof![
        8 => "v[0-3](\\.[0-3]){0,2}(-rc[01])?|latest",
        1 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,15}",
        1 => "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
    ]
    .prop_filter_map("no tag", |text| Tag::parse(&text).ok())
}

/// Triggers' names, up to the longest.
pub fn trigger_names() -> impl Strategy<Value = TriggerName> {
    prop_oneof![4 => "[a-cA-C]([_-]?[a-cA-C0-2]){0,3}", 1 => "[a-zA-Z]([_-]?[a-zA-Z0-9]{1,9}){0,10}"]
        .prop_filter_map("too long", |text| TriggerName::parse(&text).ok())
}

/// Texts that are names, or were until a character was changed, put in or taken away.
pub fn near_names() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        organisation_names().prop_map(|name| name.to_string()),
        repository_names().prop_map(|name| name.to_string()),
        swr_repository_names().prop_map(|name| name.to_string()),
        tags().prop_map(|name| name.to_string()),
        trigger_names().prop_map(|name| name.to_string()),
        // At the limits of length.
        select(vec![64, 65, 127, 128, 129, 254, 255, 256]).prop_map(|bytes: usize| "a".repeat(bytes)),
    ];
    let slips = vec((any::<Index>(), option::of("[a-zA-Z0-9._/ :é-]"), any::<bool>()), 0..3);
    (name, slips).prop_map(|(name, slips)| {
        let mut characters: Vec<char> = name.chars().collect();
        for (place, character, over) in slips {
            let at = place.index(characters.len() + 1);
            let until = if over { (at + 1).min(characters.len()) } else { at };
            characters
                .splice(at..until, character.into_iter().flat_map(|text| text.chars().collect::<Vec<_>>()));
        }
        characters.into_iter().collect()
    })
}

/// Globs, all of whose syntax occurs, over pieces that [`tags`] are made of.
pub fn globs() -> impl Strategy<Value = Pattern> {
    let piece = select(vec!["v", "1", "2", "0", ".", "-rc", "latest", "*", "?", "**", "***", "a/b", "_"]);
    let text = vec(piece, 0..4).prop_map(|pieces| pieces.concat());
    let alternatives = text.prop_recursive(3, 12, 3, |inner| {
        (vec(inner.clone(), 1..4), select(vec![",", ", ", ",  "]), inner)
            .prop_map(|(alternatives, comma, rest)| format!("{{{}}}{rest}", alternatives.join(comma)))
    });
    alternatives.prop_filter_map("empty or too long", |text| Pattern::glob(&text).ok())
}

/// Regular expressions over pieces that [`tags`] are made of.
pub fn regexes() -> impl Strategy<Value = Pattern> {
    let piece = select(vec![
        "v", "1", "2", "0", r"\.", "-rc", "latest", ".", "[0-3]", "[^v]", r"\d", r"\w", "^", "$", "(v|l)",
        "(rc)",
    ]);
    let times = select(vec!["", "", "", "*", "+", "?", "{2}", "{0,3}"]);
    vec((piece, times), 1..5).prop_filter_map("not one", |pieces| {
        let text: String = pieces.into_iter().flat_map(|(piece, times)| [piece, times]).collect();
        Pattern::regex(&text).ok()
    })
}

/// Patterns of both kinds.
pub fn patterns() -> impl Strategy<Value = Pattern> {
    prop_oneof![globs(), regexes()]
}

/// Selectors of both kinds.
pub fn tag_selectors() -> impl Strategy<Value = TagSelector> {
    prop_oneof![tags().prop_map(TagSelector::Tag), patterns().prop_map(TagSelector::Pattern)]
}

/// Conditions of all three kinds.
pub fn trigger_conditions() -> impl Strategy<Value = TriggerCondition> {
    prop_oneof![
        1 => Just(TriggerCondition::All),
        4 => tags().prop_map(TriggerCondition::Tag),
        4 => patterns().prop_map(TriggerCondition::Pattern),
    ]
}

/// Triggers' rules, most of them enabled.
pub fn trigger_rules() -> impl Strategy<Value = TriggerRule> {
    (trigger_conditions(), proptest::bool::weighted(0.8))
        .prop_map(|(condition, enabled)| TriggerRule { condition, enabled })
}

/// Limits of both kinds: small ones mostly, and the ends of the ranges.
pub fn aging_limits() -> impl Strategy<Value = AgingLimit> {
    let number = |max: u16| prop_oneof![4 => 1..6u32, 1 => Just(u32::from(max))];
    prop_oneof![
        number(AgeDays::MAX).prop_filter_map("in range", |days| AgeDays::new(days).ok().map(AgingLimit::Age)),
        number(NewestCount::MAX)
            .prop_filter_map("in range", |count| NewestCount::new(count).ok().map(AgingLimit::Count)),
    ]
}

/// Aging rules as the guide has them: a limit and filters.
pub fn plain_aging_rules() -> impl Strategy<Value = AgingRule> {
    (aging_limits(), vec(tag_selectors(), 0..3))
        .prop_map(|(limit, filters)| AgingRule { filters, ..AgingRule::new(limit) })
}

/// Aging rules with everything they can have, but no bound on removals.
pub fn unbounded_aging_rules() -> impl Strategy<Value = AgingRule> {
    let only = prop_oneof![2 => Just(Vec::new()), 1 => vec(tag_selectors(), 1..3)];
    let measure = prop_oneof![2 => Just(AgeMeasure::Updated), 1 => Just(AgeMeasure::LastUsed)];
    let keep_at_least = prop_oneof![1 => Just(0), 1 => 1..8u32];
    (plain_aging_rules(), only, measure, keep_at_least)
        .prop_map(|(rule, only, measure, keep_at_least)| AgingRule { only, measure, keep_at_least, ..rule })
}

/// Aging rules with everything they can have.
pub fn aging_rules() -> impl Strategy<Value = AgingRule> {
    (unbounded_aging_rules(), option::of(1..6u32))
        .prop_map(|(rule, max)| AgingRule { removals_max: max.and_then(NonZeroU32::new), ..rule })
}

/// Times: a few days around one, often equal, often a second or less beside a whole day; and the ends of time.
pub fn times() -> impl Strategy<Value = DateTime<Utc>> {
    let beside = select(vec![-1_000_000_000, -1, 0, 0, 0, 1, 1_000_000_000]);
    let near = (-8..8i64, beside).prop_map(|(days, nanoseconds): (i64, i64)| {
        // 1 September 2021, the day of the guide's examples.
        DateTime::from_timestamp_nanos(1_630_454_400_000_000_000)
            + TimeDelta::days(days)
            + TimeDelta::nanoseconds(nanoseconds)
    });
    prop_oneof![20 => near, 1 => select(vec![DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC])]
}

/// A repository's versions, fewer than `fewer_than`, in any order; nothing needs another.
pub fn versions(fewer_than: usize) -> impl Strategy<Value = Vec<VersionFacts>> {
    let last_pulled = prop_oneof![
        1 => Just(LastPulled::Unknown),
        1 => Just(LastPulled::Never),
        2 => times().prop_map(LastPulled::At),
    ];
    let facts = (option::weighted(0.9, times()), last_pulled);
    btree_map(tags(), facts, 0..fewer_than.max(1))
        .prop_map(|versions| {
            let facts = |(tag, (updated, last_pulled))| VersionFacts {
                last_pulled,
                ..VersionFacts::new(tag, updated)
            };
            versions.into_iter().map(facts).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// As [`versions`], some of them held fast, and some needed by others, in rings too, by absent ones, or by something
/// untagged.
pub fn entangled_versions(fewer_than: usize) -> impl Strategy<Value = Vec<VersionFacts>> {
    #[derive(Clone, Debug)]
    enum Need {
        Nothing,
        Versions(Vec<Index>),
        Absent(Tag),
        Untagged,
    }
    let need = prop_oneof![
        5 => Just(Need::Nothing),
        4 => vec(any::<Index>(), 0..3).prop_map(Need::Versions),
        1 => tags().prop_map(Need::Absent),
        1 => Just(Need::Untagged),
    ];
    let standing = (need, proptest::bool::weighted(0.1));
    (versions(fewer_than), vec(standing, fewer_than)).prop_map(|(mut versions, standings)| {
        let tags: Vec<Tag> = versions.iter().map(|version| version.tag.clone()).collect();
        for (version, (need, fixed)) in versions.iter_mut().zip(standings) {
            version.fixed = fixed;
            version.needed_by = match need {
                Need::Nothing => NeededBy::Nothing,
                Need::Versions(picks) => {
                    NeededBy::Versions(picks.iter().map(|pick| pick.get(&tags).clone()).collect())
                }
                Need::Absent(tag) => NeededBy::Versions(vec![tag]),
                Need::Untagged => NeededBy::Untagged,
            };
        }
        versions
    })
}
