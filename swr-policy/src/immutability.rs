//! Immutability: which tags, once set, may neither move nor be removed.

use crate::name::Tag;
use crate::selector::{SelectorSet, TagSelector};

/// Which tags of a repository are fixed once they are set.
///
/// A tag is fixed when one of the rule's selectors chooses it and none of its exceptions does.
#[derive(Clone, Debug, Default)]
pub struct ImmutableTags {
    fixed: SelectorSet,
    except: SelectorSet,
}

impl ImmutableTags {
    /// Compiles a rule. Without selectors, every tag may move.
    pub fn new<'a>(
        fixed: impl IntoIterator<Item = &'a TagSelector>,
        except: impl IntoIterator<Item = &'a TagSelector>,
    ) -> Self {
        Self { fixed: SelectorSet::new(fixed), except: SelectorSet::new(except) }
    }

    /// The position, from 0, of the first selector that fixes the tag; `None` when the tag may move and be removed.
    pub fn fixed_by(&self, tag: &Tag) -> Option<usize> {
        self.fixed.first(tag).filter(|_| self.except.first(tag).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    #[test]
    fn a_tag_is_fixed_by_the_first_selector_unless_it_is_excepted() {
        let tag = |text: &str| Tag::parse(text).unwrap();
        let fixed = [TagSelector::Tag(tag("stable")), Pattern::glob("v*").unwrap().into()];
        let except = [Pattern::regex("-rc").unwrap().into()];
        let rule = ImmutableTags::new(&fixed, &except);
        for (text, by) in [("stable", Some(0)), ("v1.0", Some(1)), ("v1.0-rc1", None), ("latest", None)] {
            assert_eq!(rule.fixed_by(&tag(text)), by, "{text}");
        }
        assert_eq!(ImmutableTags::default().fixed_by(&tag("v1.0")), None);
    }
}
