//! Where a chunk belongs is what stands in the text, and prints, in either form, as something that is read as the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_http::content_range::parse_content_range;

fuzz_target!(|text: &str| {
    let Some(chunk) = parse_content_range(text) else { return };
    assert!(chunk.length >= 1);
    let last = chunk.first.checked_add(chunk.length - 1).expect("the last byte has a number");
    // What is too large for any number is the largest.
    let mut said = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let mut number = || said.next().map(|digits| digits.parse().unwrap_or(u64::MAX));
    assert_eq!((number(), number()), (Some(chunk.first), Some(last)));
    for printed in [format!("{}-{last}", chunk.first), format!("bytes {}-{last}/*", chunk.first)] {
        assert_eq!(parse_content_range(&printed), Some(chunk));
    }
});
