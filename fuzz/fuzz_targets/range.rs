//! Ranges are those that stand in the text, in their order, and print as something that is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::ByteRange;
use swr_http::content_range::parse_range;

fuzz_target!(|text: &str| {
    let Some(ranges) = parse_range(text) else { return };
    let (_, said) = text.split_once('=').expect("a unit stands in front");
    let said: Vec<&str> = said.split(',').map(str::trim).filter(|said| !said.is_empty()).collect();
    assert_eq!(said.len(), ranges.len());
    let mut printed = Vec::new();
    for (said, range) in said.into_iter().zip(&ranges) {
        let (before, after) = said.split_once('-').expect("a dash stands between");
        printed.push(match range {
            ByteRange::Span { first, last } => {
                assert!(is(before, *first) && is(after, *last), "{said}");
                format!("{first}-{last}")
            }
            ByteRange::From { first } => {
                assert!(is(before, *first) && after.is_empty(), "{said}");
                format!("{first}-")
            }
            ByteRange::Last { count } => {
                assert!(before.is_empty() && is(after, *count), "{said}");
                format!("-{count}")
            }
        });
    }
    assert_eq!(parse_range(&format!("bytes={}", printed.join(","))), Some(ranges));
});

/// Whether the digits are this number; what is too large for any is the largest.
fn is(digits: &str, number: u64) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse().unwrap_or(u64::MAX) == number
}
