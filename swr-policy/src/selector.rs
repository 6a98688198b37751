//! Tags chosen one by one or by pattern, and many such choices asked at once.

use std::collections::HashMap;

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::name::Tag;
use crate::pattern::Pattern;

/// Chooses tags.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "hosts build and show these")]
pub enum TagSelector {
    /// This one.
    Tag(Tag),
    /// Those that match.
    Pattern(Pattern),
}

impl TagSelector {
    /// Whether the tag is chosen.
    pub fn matches(&self, tag: &Tag) -> bool {
        match self {
            Self::Tag(chosen) => chosen == tag,
            Self::Pattern(pattern) => pattern.matches(tag),
        }
    }
}

impl From<Tag> for TagSelector {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Pattern> for TagSelector {
    fn from(pattern: Pattern) -> Self {
        Self::Pattern(pattern)
    }
}

/// Many selectors, compiled to be asked about one tag at a time.
///
/// Says what asking one selector after the other would say, in a time that hardly grows with their number.
/// Selectors are known by their positions in the order given, from 0.
#[derive(Clone, Debug, Default)]
pub struct SelectorSet {
    tags: HashMap<Tag, Vec<usize>>,
    patterns: Vec<PatternSet>,
}

/// Different patterns in one program, and the positions that each of them stands at.
#[derive(Clone, Debug)]
struct PatternSet {
    program: RegexSet,
    positions: Vec<Vec<usize>>,
}

impl SelectorSet {
    /// Compiles the selectors.
    pub fn new<'a>(selectors: impl IntoIterator<Item = &'a TagSelector>) -> Self {
        let mut tags: HashMap<Tag, Vec<usize>> = HashMap::new();
        let mut programs: HashMap<&str, Vec<usize>> = HashMap::new();
        for (position, selector) in selectors.into_iter().enumerate() {
            match selector {
                TagSelector::Tag(tag) => tags.entry(tag.clone()).or_default().push(position),
                TagSelector::Pattern(pattern) => {
                    programs.entry(pattern.program()).or_default().push(position)
                }
            }
        }
        let mut programs: Vec<_> = programs.into_iter().collect();
        programs.sort_unstable_by(|(_, positions), (_, others)| positions.cmp(others));
        Self { tags, patterns: programs.chunks(PATTERNS_TOGETHER).map(PatternSet::new).collect() }
    }

    /// The positions of the selectors that choose the tag, from first to last.
    pub fn matching(&self, tag: &Tag) -> Vec<usize> {
        let mut positions: Vec<usize> = self.positions(tag).flatten().copied().collect();
        positions.sort_unstable();
        positions
    }

    /// The position of the first selector that chooses the tag.
    pub fn first(&self, tag: &Tag) -> Option<usize> {
        self.positions(tag).filter_map(|positions| positions.first().copied()).min()
    }

    fn positions(&self, tag: &Tag) -> impl Iterator<Item = &[usize]> {
        let by_pattern = self.patterns.iter().flat_map(|set| set.matching(tag));
        self.tags.get(tag).map(Vec::as_slice).into_iter().chain(by_pattern)
    }
}

/// A single program over ten thousand patterns forgets its states faster than it can use them, and then takes
/// milliseconds for a tag; programs of this size stay in the tens of microseconds altogether.
const PATTERNS_TOGETHER: usize = 256;

/// What one program may remember of its states, in bytes.
const STATES_BYTES_MAX: usize = 1_048_576;

impl PatternSet {
    fn new(programs: &[(&str, Vec<usize>)]) -> Self {
        #[expect(clippy::expect_used, reason = "cannot fail, as the sentence says")]
        let program = RegexSetBuilder::new(programs.iter().map(|(program, _)| program))
            .unicode(false)
            .size_limit(usize::MAX)
            .dfa_size_limit(STATES_BYTES_MAX)
            .build()
            .expect("each pattern compiles alone within its limit, so a few hundred compile without one");
        Self { program, positions: programs.iter().map(|(_, positions)| positions.clone()).collect() }
    }

    fn matching(&self, tag: &Tag) -> impl Iterator<Item = &[usize]> {
        let matches = self.program.matches(tag.as_str().as_bytes());
        matches.into_iter().filter_map(|index| self.positions.get(index)).map(Vec::as_slice)
    }
}
