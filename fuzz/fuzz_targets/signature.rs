//! Whatever is signed is verified, and with anything of it changed it is not. The input is a request as it is written in
//! HTTP/1: a request line without its version, lines of headers, a line of nothing, and the body. One that comes signed
//! is looked at as well.
#![no_main]

use chrono::{DateTime, TimeZone as _, Utc};
use http::HeaderName;
use libfuzzer_sys::fuzz_target;
use swr_auth::signature::{Signature, SignatureError};
use swr_auth::{Secret, SignedRequest};
use swr_core::control::credential::KeyId;

const DATE: &str = "20260101T000000Z";

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap()
}

fuzz_target!(|text: &str| {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let Some((method, address)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let shown: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        // What an HTTP server would hand on.
        .filter(|(name, _)| HeaderName::from_bytes(name.as_bytes()).is_ok())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let all: Vec<(&str, &str)> = shown.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let streams = all.contains(&("x-sdk-content-sha256", "UNSIGNED-PAYLOAD"));
    let body = (!streams).then_some(body.as_bytes());

    // As it came, for whoever does not know the secret.
    let secret = Secret::new("the secret");
    let request = SignedRequest { method, path, query, headers: &all, body };
    if let Ok(signature) = request.signature() {
        assert!(request.verify(&signature, &Secret::new("another"), now()).is_err());
        let _ = request.verify(&signature, &secret, now());
    }

    // As somebody signs it.
    let mut headers = vec![("host", "registry.example"), ("x-sdk-date", DATE)];
    headers.extend(all.iter().filter(|(name, _)| !["authorization", "host", "x-sdk-date"].contains(name)));
    let key = KeyId::parse("AK").unwrap();
    let unsigned = SignedRequest { headers: &headers, ..request };
    let Ok(signed) = unsigned.sign(&key, &secret) else { return };
    let verdict = |changed: SignedRequest<'_>, secret: &Secret| {
        let mut headers = changed.headers.to_vec();
        headers.push(("authorization", &signed));
        let changed = SignedRequest { headers: &headers, ..changed };
        changed.verify(&changed.signature()?, secret, now())
    };
    // More than so many names are not taken.
    let Ok(read) = Signature::parse(&signed) else { return };
    assert_eq!(read.key(), &key);
    assert_eq!(verdict(unsigned, &secret), Ok(()));
    let mismatch = Err(SignatureError::Mismatch);
    assert_eq!(verdict(unsigned, &Secret::new("another")), mismatch);
    let method = format!("{method}X");
    assert_eq!(verdict(SignedRequest { method: &method, ..unsigned }, &secret), mismatch);
    let path = format!("{path}x");
    assert_eq!(verdict(SignedRequest { path: &path, ..unsigned }, &secret), mismatch);
    let query = format!("{query}&x=y");
    assert_eq!(verdict(SignedRequest { query: &query, ..unsigned }, &secret), mismatch);
    if let Some(body) = body {
        let longer = [body, b"x"].concat();
        assert_eq!(verdict(SignedRequest { body: Some(&longer), ..unsigned }, &secret), mismatch);
    }
    for at in 0..headers.len().min(8) {
        let (name, value) = headers[at];
        if name == "x-sdk-content-sha256" || name == "x-sdk-date" || name.contains('_') {
            continue;
        }
        let value = format!("{value}x");
        let mut other = headers.clone();
        other[at] = (name, &value);
        assert_eq!(verdict(SignedRequest { headers: &other, ..unsigned }, &secret), mismatch);
    }
});
