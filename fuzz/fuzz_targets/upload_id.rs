//! An upload's id prints as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::upload::UploadId;

fuzz_target!(|text: &str| {
    if let Ok(id) = UploadId::parse(text) {
        assert_eq!(id.as_str(), text);
        assert_eq!(text.len(), 32);
    }
});
