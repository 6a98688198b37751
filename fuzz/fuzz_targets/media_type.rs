//! A media type prints as it was read, and fits into a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::media_type::MediaType;

fuzz_target!(|text: &str| {
    if let Ok(media_type) = MediaType::parse(text) {
        assert_eq!(media_type.as_str(), text);
        assert!(text.bytes().all(|b| (0x21..0x7f).contains(&b)));
    }
});
