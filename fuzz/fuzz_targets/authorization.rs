//! What a client shows is what it would show if it were said again, and neither a name nor an empty word is made
//! out of nothing.
#![no_main]

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use swr_auth::Presented;
use swr_http::authenticate::presented;

fn read(bytes: &[u8]) -> Option<Presented> {
    let value = HeaderValue::from_bytes(bytes).ok()?;
    presented(&HeaderMap::from_iter([(AUTHORIZATION, value)])).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let Some(shown) = read(bytes) else { return };
    let again = match &shown {
        Presented::Nothing => "Basic Og==".to_owned(),
        Presented::Password { user, password } => {
            assert!(!user.contains(':') && !(user.is_empty() && password.expose().is_empty()));
            format!("Basic {}", BASE64.encode(format!("{user}:{}", password.expose()).as_bytes()))
        }
        Presented::Bearer(token) => {
            assert!(!token.expose().is_empty());
            format!("Bearer {}", token.expose())
        }
    };
    assert_eq!(read(again.as_bytes()), Some(shown));
});
