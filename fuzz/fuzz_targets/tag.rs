//! A tag prints as it was read, and is safe in a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_policy::Tag;

fuzz_target!(|text: &str| {
    if let Ok(tag) = Tag::parse(text) {
        assert_eq!(tag.to_string(), text);
        assert!(text.len() <= 128 && !text.starts_with(['.', '-']) && !text.contains(['/', ':']));
    }
});
