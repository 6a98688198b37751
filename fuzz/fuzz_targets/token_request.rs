//! What a token is asked for is read to its end or refused, and is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_http::token::request::TokenRequest;

fuzz_target!(|text: &str| {
    for request in [TokenRequest::of_query(text), TokenRequest::of_form(text)].into_iter().flatten() {
        assert!(request.ask.scopes.len() <= 64);
        for scope in &request.ask.scopes {
            assert_eq!(swr_auth::Scope::parse(&scope.to_string()).as_ref(), Ok(scope));
        }
    }
});
