//! A digest prints as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::digest::Digest;

fuzz_target!(|text: &str| {
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::from_bytes(digest.algorithm(), digest.as_bytes()), Some(digest));
    }
});
