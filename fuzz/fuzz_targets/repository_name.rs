//! A repository's name prints as it was read, and its components join to the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_policy::RepositoryName;

fuzz_target!(|text: &str| {
    if let Ok(name) = RepositoryName::parse(text) {
        assert_eq!(name.to_string(), text);
        assert!(text.len() <= 255 && !text.contains("..") && !text.contains("//"));
        assert_eq!(name.components().collect::<Vec<_>>().join("/"), text);
    }
});
