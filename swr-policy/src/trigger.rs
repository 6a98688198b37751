//! Triggers: what they are called, which versions fire them, and one version against many of them.

use crate::name::{self, Defect, NameError, NameKind, NameRule, Tag, name_is_its_text};
use crate::pattern::Pattern;
use crate::selector::{SelectorSet, TagSelector};

/// The name of a trigger.
///
/// - 1 to 64 bytes;
/// - a letter of either case, then letters, digits, `_` and `-`;
/// - neither two of `_` and `-` in a row nor one at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerName(Box<str>);

impl TriggerName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Takes a text that is a trigger's name, and no other.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match name::too_long(text, Self::MAX_BYTES).or_else(|| defect(text)) {
            None => Ok(Self(text.into())),
            Some(defect) => Err(defect.of(NameKind::Trigger, text, 1)),
        }
    }
}

name_is_its_text!(TriggerName);

fn defect(text: &str) -> Option<Defect> {
    let mut before = None;
    for (position, character) in text.char_indices() {
        let rule = match (before, character) {
            (_, 'a'..='z' | 'A'..='Z') | (Some(_), '0'..='9') => None,
            (None, '0'..='9' | '_' | '-') => Some(NameRule::Beginning(character)),
            (Some('_' | '-'), '_' | '-') => Some(NameRule::Separator(character)),
            (_, '_' | '-') => None,
            _ => Some(NameRule::Character(character)),
        };
        if let Some(rule) = rule {
            return Some(Defect { rule, position });
        }
        before = Some(character);
    }
    match before {
        None => Some(Defect { rule: NameRule::Empty, position: 0 }),
        Some(last @ ('_' | '-')) => Some(Defect { rule: NameRule::End(last), position: text.len() - 1 }),
        Some(_) => None,
    }
}

/// Which versions, created or updated, a trigger is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "hosts build and show these")]
pub enum TriggerCondition {
    /// Every version.
    All,
    /// The version of this tag.
    Tag(Tag),
    /// The versions whose tag matches.
    Pattern(Pattern),
}

/// The part of a trigger that decides whether it fires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::exhaustive_structs, reason = "hosts build these")]
pub struct TriggerRule {
    /// Which versions it is for.
    pub condition: TriggerCondition,
    /// A trigger that is not enabled is for none.
    pub enabled: bool,
}

impl TriggerRule {
    /// Whether a version of this tag, created or updated, fires the trigger.
    pub fn fires_for(&self, tag: &Tag) -> bool {
        self.enabled
            && match &self.condition {
                TriggerCondition::All => true,
                TriggerCondition::Tag(chosen) => chosen == tag,
                TriggerCondition::Pattern(pattern) => pattern.matches(tag),
            }
    }
}

/// Many triggers' rules, compiled to be asked about one version at a time.
///
/// Says what asking one rule after the other would say: one tag against ten thousand rules takes tens of
/// microseconds. Rules are known by their positions in the order given, from 0.
#[derive(Clone, Debug, Default)]
pub struct TriggerSet {
    for_all: Vec<usize>,
    for_some: SelectorSet,
    /// The position of each rule in `for_some`.
    positions: Vec<usize>,
}

impl TriggerSet {
    /// Compiles the rules.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a TriggerRule>) -> Self {
        let mut for_all = Vec::new();
        let mut selectors = Vec::new();
        let mut positions = Vec::new();
        for (position, rule) in rules.into_iter().enumerate().filter(|(_, rule)| rule.enabled) {
            let selector = match &rule.condition {
                TriggerCondition::All => {
                    for_all.push(position);
                    continue;
                }
                TriggerCondition::Tag(tag) => TagSelector::Tag(tag.clone()),
                TriggerCondition::Pattern(pattern) => TagSelector::Pattern(pattern.clone()),
            };
            selectors.push(selector);
            positions.push(position);
        }
        Self { for_all, for_some: SelectorSet::new(&selectors), positions }
    }

    /// The positions of the rules that a version of this tag fires, from first to last.
    pub fn fired_by(&self, tag: &Tag) -> Vec<usize> {
        let for_some = self.for_some.matching(tag);
        let for_some = for_some.into_iter().filter_map(|index| self.positions.get(index));
        let mut fired: Vec<usize> = self.for_all.iter().chain(for_some).copied().collect();
        fired.sort_unstable();
        fired
    }
}
