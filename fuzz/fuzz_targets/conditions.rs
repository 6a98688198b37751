//! Nobody is taken to have, or to expect, what it has not named. The input is the value of each of the headers.
#![no_main]

use http::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use libfuzzer_sys::fuzz_target;
use swr_core::digest::{Algorithm, Digest};
use swr_core::registry::Precondition;
use swr_http::condition::{is_expected, is_known, precondition, range_applies};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let with = |name| HeaderMap::from_iter([(name, value.clone())]);
    let text = value.to_str().unwrap_or_default().to_owned();
    let names = |digest: &Digest| text.contains(&format!("\"{digest}\""));
    let is_any = text.trim() == "*";
    let empty = Algorithm::Sha256.digest(b"");

    assert!(!is_known(&with(IF_NONE_MATCH), &empty) || is_any || names(&empty));
    assert!(!is_expected(&with(IF_MATCH), &empty) || is_any || names(&empty));
    assert!(!range_applies(&with(IF_RANGE), &empty) || names(&empty) && !is_any);
    match precondition(&with(IF_MATCH)) {
        Ok(Precondition::Exists) => assert!(is_any),
        Ok(Precondition::Is(digests)) => assert!(!is_any && digests.iter().all(names)),
        other => panic!("{other:?}"),
    }
    match precondition(&with(IF_NONE_MATCH)) {
        Ok(Precondition::Absent) => assert!(is_any),
        other => assert!(other.is_err() && !is_any),
    }
});
