//! A reference is a tag or a digest, never both, and prints as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::digest::Digest;
use swr_core::reference::Reference;
use swr_policy::Tag;

fuzz_target!(|text: &str| {
    match Reference::parse(text) {
        Ok(reference) => assert_eq!(reference.to_string(), text),
        Err(_) => assert!(Tag::parse(text).is_err() && Digest::parse(text).is_err()),
    }
});
