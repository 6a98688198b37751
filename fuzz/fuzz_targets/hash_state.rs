//! A saved hash state that is taken up is saved as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::digest::Hasher;

fuzz_target!(|text: &str| {
    if let Some(hasher) = Hasher::restore(text) {
        assert_eq!(hasher.save(), text);
        let _digest = hasher.finish();
    }
});
