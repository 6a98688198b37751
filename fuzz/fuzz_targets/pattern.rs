//! A pattern is refused with a position inside it, or matches in bounded time; what matches in a set is what
//! matches alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_policy::{Pattern, Tag, TriggerCondition, TriggerRule, TriggerSet};

fuzz_target!(|input: (&str, &str)| {
    let (text, tag) = input;
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            assert!(error.position() <= text.len());
            return;
        }
    };
    let Ok(tag) = Tag::parse(tag) else { return };
    let alone = pattern.matches(&tag);
    let rule = TriggerRule { condition: TriggerCondition::Pattern(pattern), enabled: true };
    assert_eq!(!TriggerSet::new([&rule]).fired_by(&tag).is_empty(), alone);
});
