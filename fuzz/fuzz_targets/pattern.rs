//! A pattern prints as something that is read as the same pattern, and matches alone as it does in a set. The
//! input is a pattern, and on the next line what it is held against.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_policy::{Pattern, PatternSyntax, SelectorSet, Tag, TagSelector};

fuzz_target!(|input: &str| {
    let (said, text) = input.split_once('\n').unwrap_or((input, ""));
    let pattern = match Pattern::parse(said) {
        Ok(pattern) => pattern,
        Err(error) => {
            assert!(error.position() <= said.len());
            assert!(said.starts_with(error.text().trim_end_matches('…')));
            return;
        }
    };
    assert!(pattern.as_str().len() <= Pattern::BYTES_MAX && said.ends_with(pattern.as_str()));
    assert_eq!(Pattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));

    let matches = pattern.matches(text);
    let is_plain = !pattern.as_str().contains(['*', '?', '{', '}', ',', ' ']);
    if pattern.syntax() == PatternSyntax::Glob && is_plain {
        assert_eq!(matches, text == pattern.as_str());
    }
    if let Ok(tag) = Tag::parse(text) {
        let set = SelectorSet::new(&[TagSelector::Tag(tag.clone()), TagSelector::Pattern(pattern)]);
        assert_eq!(set.matching(&tag).into_iter().count(), 1 + usize::from(matches));
    }
});
