//! Aging: which versions of a repository go, which stay, why, and when those would go.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};

use crate::name::Tag;
use crate::selector::{SelectorSet, TagSelector};

/// Says of every version whether it stays or goes, why, and when it would go.
///
/// - What a filter takes out stays and does not count. So do what is held fast, what lies outside the rule's scope,
///   what something untagged needs, and whatever has no known time.
/// - What other versions need is not judged by itself: it stays as long as one of them stays, and goes with the
///   last of them.
/// - The others are judged. *Age*: what is older than the limit goes. *Count*: all but the newest go. Of equal
///   times the greater tag, in byte order, is the newer.
///
/// The answer depends on the values alone, not on the order of the versions; each tag is given once. A dry run is
/// a plan that nobody carries out. The time it takes grows with the versions as sorting them does.
pub fn plan<'a>(rule: &AgingRule, versions: &'a [VersionFacts], now: DateTime<Utc>) -> Plan<'a> {
    let scope = Scope::new(rule);
    let mut verdicts = Vec::with_capacity(versions.len());
    let mut judged = Vec::new();
    let mut attached = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let why = match scope.standing(version) {
            Standing::Kept(why) => why,
            // What is to go stays postponed until it is found within the bound on removals.
            Standing::Judged(time) => {
                judged.push((time, &version.tag, index));
                Kept::Postponed
            }
            Standing::Attached(needed_by) => {
                attached.push((index, needed_by));
                Kept::Postponed
            }
        };
        let falls = if why == Kept::Postponed { Falls::NextRun } else { Falls::Never };
        verdicts.push(Judged { version, verdict: Verdict::Kept { why, falls } });
    }
    let mut decide = |index: usize, verdict| {
        if let Some(judged) = verdicts.get_mut(index) {
            judged.verdict = verdict;
        }
    };

    // Newest first: the rule keeps all until the first that it does not keep.
    judged.sort_unstable_by_key(|&(time, tag, _)| Reverse((time, tag)));
    let mut kept = 0;
    for (rank, &(time, _, index)) in judged.iter().enumerate() {
        let Some((why, falls)) = keep(rule, time, rank, now) else { break };
        decide(index, Verdict::Kept { why, falls });
        kept += 1;
    }
    let why = match rule.limit {
        AgingLimit::Age(_) => Removed::TooOld,
        AgingLimit::Count(_) => Removed::TooMany,
    };

    let mut bonds = Bonds::new(versions, &attached);
    let removals_max =
        rule.removals_max.map_or(usize::MAX, |max| usize::try_from(max.get()).unwrap_or(usize::MAX));
    let mut removals = Vec::new();
    // Oldest first. What goes takes with it what only it still needed, so that a bound leaves nothing behind alone;
    // only where the first of them has more than the bound with it, the rest is left to be judged by itself.
    for &(_, _, index) in judged.iter().skip(kept).rev() {
        let loose = bonds.loosen(index);
        if !removals.is_empty() && loose.len() >= removals_max - removals.len() {
            break;
        }
        removals.push((index, why));
        removals.extend(loose);
        removals.truncate(removals_max);
    }
    for &(index, why) in &removals {
        decide(index, Verdict::Removed { why });
    }

    let goes = |verdicts: &[Judged<'_>], index: usize| {
        verdicts.get(index).is_some_and(|judged| matches!(judged.verdict, Verdict::Removed { .. }))
    };
    for (index, needed_by) in attached {
        let stays = |needer: &&Tag| !bonds.position(needer).is_some_and(|index| goes(&verdicts, index));
        let needer = needed_by.iter().find(stays).filter(|_| !goes(&verdicts, index));
        if let (Some(judged), Some(needer)) = (verdicts.get_mut(index), needer) {
            judged.verdict = Verdict::Kept { why: Kept::NeededBy(needer), falls: Falls::With(needer) };
        }
    }
    Plan { verdicts, removals: removals.into_iter().map(|(index, _)| index).collect() }
}

/// Why a rule keeps a version that it judges, and until when; `None` when it does not.
///
/// `rank` counts from 0, for the newest. What is neither newer nor greater than one that is not kept is not kept.
fn keep<'a>(
    rule: &AgingRule,
    time: DateTime<Utc>,
    rank: usize,
    now: DateTime<Utc>,
) -> Option<(Kept<'a>, Falls<'a>)> {
    let at_least = usize::try_from(rule.keep_at_least).unwrap_or(usize::MAX).saturating_sub(rank);
    match rule.limit {
        AgingLimit::Age(days) => {
            let limit = TimeDelta::days(days.get().into());
            if now.signed_duration_since(time) > limit {
                return (at_least > 0)
                    .then_some((Kept::AtLeast, Falls::Once { passed: None, newer: at_least }));
            }
            let falls = match time.checked_add_signed(limit) {
                Some(passed) => Falls::Once { passed: Some(passed), newer: at_least },
                None => Falls::Never,
            };
            Some((Kept::Recent, falls))
        }
        AgingLimit::Count(count) => {
            let newest = usize::from(count.get()).saturating_sub(rank);
            let why = if newest > 0 { Kept::AmongNewest } else { Kept::AtLeast };
            let newer = newest.max(at_least);
            (newer > 0).then_some((why, Falls::Once { passed: None, newer }))
        }
    }
}

/// What a rule looks at.
struct Scope<'r> {
    filters: SelectorSet,
    only: Option<SelectorSet>,
    rule: &'r AgingRule,
}

/// How a version stands to a rule before it is compared with others.
enum Standing<'a> {
    Kept(Kept<'a>),
    Judged(DateTime<Utc>),
    Attached(&'a [Tag]),
}

impl<'r> Scope<'r> {
    fn new(rule: &'r AgingRule) -> Self {
        let only = (!rule.only.is_empty()).then(|| SelectorSet::new(&rule.only));
        Self { filters: SelectorSet::new(&rule.filters), only, rule }
    }

    fn standing<'a>(&self, version: &'a VersionFacts) -> Standing<'a> {
        if let Some(filter) = self.filters.first(&version.tag) {
            return Standing::Kept(Kept::Filtered { filter });
        }
        if version.fixed {
            return Standing::Kept(Kept::Fixed);
        }
        let time = match self.rule.measure {
            AgeMeasure::Updated => version.updated,
            AgeMeasure::LastUsed => match version.last_pulled {
                LastPulled::Unknown => None,
                LastPulled::Never => version.updated,
                LastPulled::At(pulled) => version.updated.map(|updated| updated.max(pulled)),
            },
        };
        let needed_by = match &version.needed_by {
            NeededBy::Untagged => return Standing::Kept(Kept::NeededByUntagged),
            NeededBy::Versions(tags) => tags.as_slice(),
            NeededBy::Nothing => &[],
        };
        // What goes with others goes with them though the rule is not for its own tag.
        if needed_by.is_empty() && self.leaves_out(&version.tag) {
            return Standing::Kept(Kept::OutOfScope);
        }
        match time {
            None => Standing::Kept(Kept::UnknownTime),
            Some(time) if needed_by.is_empty() => Standing::Judged(time),
            Some(_) => Standing::Attached(needed_by),
        }
    }

    fn leaves_out(&self, tag: &Tag) -> bool {
        self.only.as_ref().is_some_and(|only| only.first(tag).is_none())
    }
}

/// Which versions hold which others, until they go. Versions are known by their positions.
struct Bonds<'a> {
    versions: &'a [VersionFacts],
    positions: HashMap<&'a Tag, usize>,
    /// Who holds whom, in the order of the holders.
    held: Vec<(usize, usize)>,
    /// How many still hold each version, those included that are not there.
    holders: Vec<usize>,
}

impl<'a> Bonds<'a> {
    fn new(versions: &'a [VersionFacts], attached: &[(usize, &'a [Tag])]) -> Self {
        let mut bonds = Self { versions, positions: HashMap::new(), held: Vec::new(), holders: Vec::new() };
        if attached.is_empty() {
            return bonds;
        }
        bonds.positions = versions.iter().enumerate().map(|(index, version)| (&version.tag, index)).collect();
        bonds.holders.resize(versions.len(), 0);
        for &(index, needed_by) in attached {
            if let Some(holders) = bonds.holders.get_mut(index) {
                *holders = needed_by.len();
            }
            let holders = needed_by.iter().filter_map(|needer| bonds.positions.get(needer));
            bonds.held.extend(holders.map(|&holder| (holder, index)));
        }
        bonds.held.sort_unstable();
        bonds
    }

    fn position(&self, tag: &Tag) -> Option<usize> {
        self.positions.get(tag).copied()
    }

    /// What nothing holds any more when a version goes: what it held itself first, each time in the order of the tags.
    ///
    /// Versions that hold each other in a ring are never let go.
    fn loosen(&mut self, index: usize) -> Vec<(usize, Removed<'a>)> {
        let mut loose = Vec::new();
        let mut going = Some(index);
        let mut gone = 0;
        while let Some((holder, with)) = going.and_then(|index| Some((index, self.tag(index)?))) {
            let start = self.held.partition_point(|&(other, _)| other < holder);
            let held = self.held.iter().skip(start).take_while(|&&(other, _)| other == holder);
            let mut loosened: Vec<usize> = held
                .filter_map(|&(_, held)| {
                    let holders = self.holders.get_mut(held)?;
                    *holders = holders.checked_sub(1)?;
                    (*holders == 0).then_some(held)
                })
                .collect();
            loosened.sort_unstable_by_key(|&index| self.tag(index));
            loose.extend(loosened.into_iter().map(|index| (index, Removed::Unneeded { with })));
            going = loose.get(gone).map(|&(index, _)| index);
            gone += 1;
        }
        loose
    }

    fn tag(&self, index: usize) -> Option<&'a Tag> {
        self.versions.get(index).map(|version| &version.tag)
    }
}

/// A rule by which versions age.
///
/// What the limit does not say is off until it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[expect(clippy::exhaustive_structs, reason = "hosts build these, from `new` onwards")]
pub struct AgingRule {
    /// How old versions may become, or how many there may be.
    pub limit: AgingLimit,
    /// Versions that any of these chooses are taken out before the rule looks: neither removed nor counted.
    #[cfg_attr(feature = "serde", serde(default))]
    pub filters: Vec<TagSelector>,
    /// If there are any, versions that none of these chooses are not looked at: neither removed nor counted.
    #[cfg_attr(feature = "serde", serde(default))]
    pub only: Vec<TagSelector>,
    /// The time that age and order go by.
    #[cfg_attr(feature = "serde", serde(default))]
    pub measure: AgeMeasure,
    /// How many of the versions that are judged stay in any case, the newest of them.
    #[cfg_attr(feature = "serde", serde(default))]
    pub keep_at_least: u32,
    /// How many versions may go in one run. The oldest go first, the others are postponed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub removals_max: Option<NonZeroU32>,
}

impl AgingRule {
    /// A rule with nothing but a limit.
    pub fn new(limit: AgingLimit) -> Self {
        Self {
            limit,
            filters: Vec::new(),
            only: Vec::new(),
            measure: AgeMeasure::default(),
            keep_at_least: 0,
            removals_max: None,
        }
    }

    /// Gives the rule other values. Its kind stays what it is.
    pub fn change(&mut self, to: AgingRule) -> Result<(), KindFixed> {
        let (kind, wanted) = (self.limit.kind(), to.limit.kind());
        if kind != wanted {
            return Err(KindFixed { kind, wanted });
        }
        *self = to;
        Ok(())
    }
}

/// How far versions may go before they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "hosts build and show these")]
pub enum AgingLimit {
    /// Versions older than this go. A day is 24 hours.
    Age(AgeDays),
    /// All versions but this many of the newest go.
    Count(NewestCount),
}

impl AgingLimit {
    /// Which of the two it is.
    pub fn kind(&self) -> AgingKind {
        match self {
            Self::Age(_) => AgingKind::Age,
            Self::Count(_) => AgingKind::Count,
        }
    }
}

/// The kind of an aging rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "hosts show these")]
pub enum AgingKind {
    /// By age.
    Age,
    /// By number.
    Count,
}

impl fmt::Display for AgingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Age => "age",
            Self::Count => "count",
        })
    }
}

/// For how many days versions are kept: 1 to 365.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u32", into = "u32")
)]
pub struct AgeDays(u16);

/// How many of the newest versions are kept: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u32", into = "u32")
)]
pub struct NewestCount(u16);

macro_rules! limit_in_range {
    ($limit:ident, $max:literal, $unit:literal) => {
        impl $limit {
            /// The least there can be.
            pub const MIN: u16 = 1;
            /// The most there can be.
            pub const MAX: u16 = $max;

            /// Takes a number in the range, and no other.
            pub fn new(number: u32) -> Result<Self, LimitOutOfRange> {
                match u16::try_from(number) {
                    Ok(limit @ Self::MIN..=Self::MAX) => Ok(Self(limit)),
                    _ => Err(LimitOutOfRange { given: number, max: Self::MAX, unit: $unit }),
                }
            }

            /// The number.
            pub fn get(self) -> u16 {
                self.0
            }
        }

        impl TryFrom<u32> for $limit {
            type Error = LimitOutOfRange;

            fn try_from(number: u32) -> Result<Self, LimitOutOfRange> {
                Self::new(number)
            }
        }

        impl From<$limit> for u32 {
            fn from(limit: $limit) -> u32 {
                limit.0.into()
            }
        }
    };
}

limit_in_range!(AgeDays, 365, "days");
limit_in_range!(NewestCount, 1000, "versions");

/// A limit that no aging rule can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} {unit} cannot be kept: it is 1 to {max}")]
pub struct LimitOutOfRange {
    given: u32,
    max: u16,
    unit: &'static str,
}

/// A rule of one kind cannot be changed into one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule is of kind {kind}, which cannot be changed to {wanted}")]
pub struct KindFixed {
    kind: AgingKind,
    wanted: AgingKind,
}

/// The time that age and order go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "hosts build and show these")]
pub enum AgeMeasure {
    /// When the version was last updated.
    #[default]
    Updated,
    /// When it was last updated or pulled, whichever was later. A version whose pulls are unknown has no known time.
    LastUsed,
}

/// What a rule needs to know about one version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts build these, and are to notice when a fact is added")]
pub struct VersionFacts {
    /// Its tag, which no other version of the repository has.
    pub tag: Tag,
    /// When its tag was last set; `None` when that is not known.
    pub updated: Option<DateTime<Utc>>,
    /// When it was last pulled.
    pub last_pulled: LastPulled,
    /// What would be torn without it.
    pub needed_by: NeededBy,
    /// Whether its tag is held fast: it may not be removed, whatever a rule says.
    pub fixed: bool,
}

impl VersionFacts {
    /// A version that nothing needs or holds fast, and of whose pulls nothing is known.
    pub fn new(tag: Tag, updated: Option<DateTime<Utc>>) -> Self {
        Self { tag, updated, last_pulled: LastPulled::Unknown, needed_by: NeededBy::Nothing, fixed: false }
    }
}

/// When a version was last pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "hosts build these")]
pub enum LastPulled {
    /// Nobody counted.
    #[default]
    Unknown,
    /// Not since it is there.
    Never,
    /// Then.
    At(DateTime<Utc>),
}

/// What would be torn if a version's tag were removed.
///
/// Removing a tag leaves content that something else refers to. Some content is referred to through its tag alone,
/// such as a signature or an index of referrers that is found by a tag made from its subject's digest. Whoever
/// gathers the facts knows these, and says so here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "hosts build these")]
pub enum NeededBy {
    /// Nothing.
    #[default]
    Nothing,
    /// The versions of these tags: those that have its subject's digest, or an index that reaches it. One that is not
    /// among the versions of the plan stays, as far as the plan knows. An empty list is [`NeededBy::Nothing`].
    Versions(Vec<Tag>),
    /// Something that has no tag, such as a subject that is pulled by its digest.
    Untagged,
}

/// What becomes of every version, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    verdicts: Vec<Judged<'a>>,
    removals: Vec<usize>,
}

impl<'a> Plan<'a> {
    /// Every version with its verdict, in the order in which the versions were given.
    pub fn verdicts(&self) -> &[Judged<'a>] {
        &self.verdicts
    }

    /// The versions that go, in the order in which to remove them: the oldest first, and none before those that
    /// need it.
    pub fn removals(&self) -> impl Iterator<Item = &Judged<'a>> {
        self.removals.iter().filter_map(|&index| self.verdicts.get(index))
    }
}

/// A version and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Judged<'a> {
    /// The version.
    pub version: &'a VersionFacts,
    /// What becomes of it.
    pub verdict: Verdict<'a>,
}

/// What becomes of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a version stays or goes")]
pub enum Verdict<'a> {
    /// It stays.
    Kept {
        /// Why it stays.
        why: Kept<'a>,
        /// When it would go, if nothing else changes.
        falls: Falls<'a>,
    },
    /// It goes.
    Removed {
        /// Why it goes.
        why: Removed<'a>,
    },
}

/// Why a version stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept<'a> {
    /// A filter takes it out.
    Filtered {
        /// The first filter that does, by its position in the rule, from 0.
        filter: usize,
    },
    /// Its tag is held fast.
    Fixed,
    /// It is not among those that the rule is for.
    OutOfScope,
    /// Its time is not known.
    UnknownTime,
    /// The version of this tag needs it, and stays.
    NeededBy(&'a Tag),
    /// Something that has no tag needs it.
    NeededByUntagged,
    /// It is not older than the limit.
    Recent,
    /// It is among the newest.
    AmongNewest,
    /// It is among those that stay in any case.
    AtLeast,
    /// It is to go, but more would go in this run than may.
    Postponed,
}

/// Why a version goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removed<'a> {
    /// It is older than the limit.
    TooOld,
    /// There are enough newer ones.
    TooMany,
    /// The last version that needed it goes.
    Unneeded {
        /// The tag of that version.
        with: &'a Tag,
    },
}

/// When a version that stays would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Falls<'a> {
    /// Not by this rule.
    Never,
    /// With the version of this tag.
    With(&'a Tag),
    /// When a time has passed and newer versions have come.
    Once {
        /// It goes in a run after this time.
        passed: Option<DateTime<Utc>>,
        /// How many newer versions must have come.
        newer: usize,
    },
    /// In the next run that has room for it.
    NextRun,
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { why, falls } => write!(f, "stays, {why}; {falls}"),
            Self::Removed { why } => write!(f, "goes, {why}"),
        }
    }
}

impl fmt::Display for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filtered { filter } => write!(f, "as filter {} takes it out", filter + 1),
            Self::OutOfScope => f.write_str("as the rule is not for it"),
            Self::UnknownTime => f.write_str("as its time is not known"),
            Self::NeededBy(tag) => write!(f, "as {tag} needs it"),
            Self::NeededByUntagged => f.write_str("as something without a tag needs it"),
            Self::Recent => f.write_str("as it is not too old"),
            Self::AmongNewest => f.write_str("as it is among the newest"),
            Self::AtLeast => f.write_str("as it is among those that stay in any case"),
            Self::Fixed => f.write_str("as its tag may not be removed"),
            Self::Postponed => f.write_str("as no more may go in this run"),
        }
    }
}

impl fmt::Display for Removed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld => f.write_str("as it is too old"),
            Self::TooMany => f.write_str("as enough newer ones stay"),
            Self::Unneeded { with } => write!(f, "as {with} goes, the last that needed it"),
        }
    }
}

impl fmt::Display for Falls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("this rule never removes it"),
            Self::With(tag) => write!(f, "it goes with {tag}"),
            Self::Once { passed: Some(passed), newer: 0 } => write!(f, "it goes after {passed}"),
            Self::Once { passed: Some(passed), newer } => {
                write!(f, "it goes after {passed} and when {newer} newer have come")
            }
            Self::Once { passed: None, newer } => write!(f, "it goes when {newer} newer have come"),
            Self::NextRun => f.write_str("it goes in a later run"),
        }
    }
}
