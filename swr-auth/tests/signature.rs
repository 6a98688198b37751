//! Signed requests: those of the contract, and everything that may not be changed in one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use swr_auth::signature::{Signature, SignatureError};
use swr_auth::{Secret, SignedRequest};
use swr_core::control::credential::KeyId;

const KEY: &str = "AKEXAMPLE0000000001";
const SECRET: &str = "SKexampleSecretKeyForTests0000000000001";
const DATE: &str = "20250102T030405Z";

fn secret() -> Secret {
    Secret::new(SECRET)
}

fn key() -> KeyId {
    KeyId::parse(KEY).unwrap()
}

fn at(date: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(date).unwrap().to_utc()
}

fn now() -> DateTime<Utc> {
    at("2025-01-02T03:04:05Z")
}

/// A request that can be changed, and sent.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Sent {
    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(header, _)| header != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn request<'a>(&'a self, headers: &'a [(&'a str, &'a str)]) -> SignedRequest<'a> {
        SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers,
            body: self.body.as_deref(),
        }
    }

    fn check_with(&self, secret: &Secret, now: DateTime<Utc>) -> Result<(), SignatureError> {
        let headers = self.headers();
        let request = self.request(&headers);
        request.verify(&request.signature()?, secret, now)
    }

    fn check(&self) -> Result<(), SignatureError> {
        self.check_with(&secret(), now())
    }

    fn sign(mut self) -> Self {
        let headers = self.headers();
        let authorization = self.request(&headers).sign(&key(), &secret()).unwrap();
        self.set("authorization", &authorization);
        self
    }
}

fn sent(method: &str, target: &str, body: &str) -> Sent {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = [
        ("user-agent", "huaweicloud-usdk-python/3.0; vector/1"),
        ("accept-encoding", "gzip, deflate"),
        ("accept", "*/*"),
        ("connection", "keep-alive"),
        ("content-type", "application/json"),
        ("x-sdk-date", DATE),
        ("x-project-id", "0123456789abcdef0123456789abcdef"),
        ("host", "127.0.0.1:18080"),
    ];
    Sent {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Some(body.as_bytes().to_vec()),
    }
}

const SIGNED: &str = "content-type;host;user-agent;x-project-id;x-sdk-date";

fn authorization(signed: &str, signature: &str) -> String {
    format!("SDK-HMAC-SHA256 Access={KEY}, SignedHeaders={signed}, Signature={signature}")
}

/// The six requests of the contract, as a client has sent them.
fn vectors() -> Vec<Sent> {
    let with = |mut sent: Sent, signed: &str, signature: &str| {
        sent.set("authorization", &authorization(signed, signature));
        sent
    };
    let mut with_token = sent("GET", "/v2/manage/overview", "");
    with_token.set("x-security-token", "STSTOKEN==");
    vec![
        with(
            sent("POST", "/v2/manage/namespaces", r#"{"namespace": "group"}"#),
            SIGNED,
            "ab16f2786c0d5eeb9d10370b17cb8eb297d0844dd16d688ac0a29336150b0f09",
        ),
        with(
            sent(
                "GET",
                "/v2/manage/namespaces/group/repos/lib%24app/tags?filter=tag%3A%3Av1.0%7Climit%3A%3A10&limit=10&offset=0&order_column=updated_at&order_type=desc",
                "",
            ),
            SIGNED,
            "9dd4d67052f34f4d1139908aa4c80b4cc4149a2f4610cf4b79364b140fea56fa",
        ),
        with(
            sent("GET", "/v2/manage/namespaces/group/repos/lib%2Fapp", ""),
            SIGNED,
            "2af796a6cc8ea8ca6cdc71e538f4d2ced43062c26928bfeaa384cadf81eac643",
        ),
        with(
            sent("DELETE", "/v2/manage/namespaces/group/access", r#"["fb3f175c1fd146ab8cdae3272be6107b"]"#),
            SIGNED,
            "836e67b83130e2193656a5ac4cb065203eb660646ad523ab11c347e8312a8e0c",
        ),
        with(
            with_token,
            "content-type;host;user-agent;x-project-id;x-sdk-date;x-security-token",
            "61d371bb2ec7e687f8bf6c116e3fc2eb2201730a32d4b224a2e70f4409879a77",
        ),
        with(
            sent("GET", "/v2/manage/repos?name=a%20b%2A~%2B%C3%A9%2F%E7%BB%84&namespace=x", ""),
            SIGNED,
            "bbc6b2e1b0d9390b641358abae6f6dff9d8e15a2a9fdc223c4e263b2dc49d1d2",
        ),
    ]
}

#[test]
fn every_request_of_the_contract_is_taken() {
    for vector in vectors() {
        assert_eq!(vector.check(), Ok(()), "{} {}?{}", vector.method, vector.path, vector.query);
        let headers = vector.headers();
        let request = vector.request(&headers);
        assert_eq!(*request.signature().unwrap().key(), key());
    }
}

#[test]
fn another_secret_does_not_fit() {
    for vector in vectors() {
        for other in ["", "SKexampleSecretKeyForTests0000000000002", KEY] {
            assert_eq!(vector.check_with(&Secret::new(other), now()), Err(SignatureError::Mismatch));
        }
    }
}

#[test]
fn a_signature_is_worth_something_for_a_quarter_of_an_hour_around_its_date() {
    let vector = &vectors()[0];
    let quarter = TimeDelta::minutes(15);
    for fits in [now() - quarter, now(), now() + quarter] {
        assert_eq!(vector.check_with(&secret(), fits), Ok(()));
    }
    let second = TimeDelta::seconds(1);
    for late in [now() - quarter - second, now() + quarter + second, now() + TimeDelta::days(36_500)] {
        assert_eq!(vector.check_with(&secret(), late), Err(SignatureError::Date));
    }
    for date in ["", "20250102T030405", "2025-01-02T03:04:05Z", "20250102T30405Z", "20251302T030405Z"] {
        let mut dated = vector.clone();
        dated.set("x-sdk-date", date);
        assert_eq!(dated.check(), Err(SignatureError::Date), "{date}");
    }
}

#[test]
fn what_must_be_signed_is_signed_once() {
    let vector = &vectors()[0];
    for (signed, expected) in [
        ("content-type;user-agent;x-project-id;x-sdk-date", SignatureError::Uncovered("host")),
        ("content-type;host;user-agent;x-project-id", SignatureError::Uncovered("x-sdk-date")),
        ("Host;X-Sdk-Date", SignatureError::Uncovered("host")),
        ("host;host;x-sdk-date", SignatureError::Header("host".into())),
        ("host;x-absent;x-sdk-date", SignatureError::Header("x-absent".into())),
        ("", SignatureError::Uncovered("host")),
    ] {
        let mut other = vector.clone();
        other.set("authorization", &authorization(signed, &"0".repeat(64)));
        assert_eq!(other.check(), Err(expected), "{signed}");
    }
    for name in ["host", "x-sdk-date", "x-project-id", "authorization"] {
        let mut twice = vector.clone();
        let copy = twice.headers.iter().find(|(header, _)| header == name).cloned().unwrap();
        twice.headers.push(copy);
        assert_eq!(twice.check(), Err(SignatureError::Header(name.into())), "{name}");
        let mut absent = vector.clone();
        absent.headers.retain(|(header, _)| header != name);
        assert_eq!(absent.check(), Err(SignatureError::Header(name.into())), "{name}");
    }
}

#[test]
fn nothing_else_is_a_signature() {
    let mac = "0".repeat(64);
    let whole = authorization("host", &mac);
    assert!(Signature::parse(&whole).is_ok());
    assert!(
        Signature::parse(&format!("SDK-HMAC-SHA256 Access={KEY},SignedHeaders=host,Signature={mac}")).is_ok()
    );
    for text in [
        "".to_owned(),
        "Basic YWRhOnNlc2FtZQ==".to_owned(),
        whole.replace("SHA256", "SM3"),
        whole.replace("SDK-", "V11-"),
        whole.replace("SDK-HMAC-SHA256 ", "SDK-HMAC-SHA256"),
        whole.replace("Access", "access"),
        whole.replace(KEY, ""),
        whole.replace(KEY, "a b"),
        whole.replace(KEY, &"A".repeat(65)),
        whole.replace(&mac, &"0".repeat(63)),
        whole.replace(&mac, &"0".repeat(66)),
        whole.replace(&mac, &"G".repeat(64)),
        whole.replace(&mac, &"A".repeat(64)),
        format!("{whole}, Access={KEY}"),
        format!("{whole},"),
        authorization(&vec!["a"; 65].join(";"), &mac),
    ] {
        assert_eq!(Signature::parse(&text), Err(SignatureError::Shape), "{text}");
    }
}

/// The body that a door reads is what was signed; a header that says otherwise changes nothing.
#[test]
fn a_body_that_is_read_is_signed() {
    let mut unsigned = sent("POST", "/v2/manage/namespaces", r#"{"namespace":"group"}"#);
    unsigned.set("x-sdk-content-sha256", "UNSIGNED-PAYLOAD");
    // What a client signs that leaves the body out.
    unsigned.body = None;
    let signed = unsigned.sign();
    assert_eq!(signed.check(), Ok(()), "as a stream");
    for content_type in ["application/json", "application/octet-stream"] {
        let mut read = signed.clone();
        read.set("content-type", content_type);
        read.body = Some(br#"{"namespace":"other"}"#.to_vec());
        assert_eq!(read.check(), Err(SignatureError::Mismatch), "{content_type}");
    }
    // Where nothing says that a stream is not signed, it would have to be.
    let mut streamed = sent("POST", "/v2/manage/namespaces", "x").sign();
    streamed.body = None;
    assert_eq!(streamed.check(), Err(SignatureError::Body));
    // The header of a client that has computed the hash itself says what the body says.
    let mut hashed = sent("POST", "/v2/manage/namespaces", "");
    hashed.set("x-sdk-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let mut hashed = hashed.sign();
    assert_eq!(hashed.check(), Ok(()));
    hashed.body = Some(b"x".to_vec());
    assert_eq!(hashed.check(), Err(SignatureError::Mismatch));
}

#[test]
fn a_path_and_a_query_are_what_they_decode_to() {
    let like = |target: &str, other: &str| {
        let signed = sent("GET", target, "").sign();
        let mut sent = sent("GET", other, "");
        let authorization = signed.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        sent.set("authorization", &authorization.1);
        sent.check()
    };
    for (target, same) in [
        ("/a/b", "/a/b/"),
        ("/a/b", "/a%2Fb"),
        ("/a/b", "/%61/b"),
        ("/a?b=1&c=2", "/a?c=2&b=1"),
        ("/a?b=1&b=2", "/a?b=2&b=1"),
        ("/a?b=%2B", "/a?b=+"),
        ("/a?b", "/a?b="),
        ("/a?b=1", "/a?&b=1&"),
        ("/a?b=c%3Dd", "/a?b=c=d"),
    ] {
        assert_eq!(like(target, same), Ok(()), "{target} {same}");
    }
    for (target, other) in [
        ("/a/b", "/a//b"),
        ("/a/b", "/a/b//"),
        ("/a%2561", "/aa"),
        ("/a%2561", "/a%61"),
        ("/a?b=1", "/a?b=1&b=1"),
        ("/a?b=%20", "/a?b=+"),
        ("/a?b=1&c=2", "/a?b=1%26c=2"),
        ("/a?b=%2525", "/a?b=%25"),
    ] {
        assert_eq!(like(target, other), Err(SignatureError::Mismatch), "{target} {other}");
    }
    for broken in ["/%", "/%4", "/%zz", "/a?b=%", "/a?%4=b", "/a?b=%+1"] {
        assert_eq!(like("/a", broken), Err(SignatureError::Escape), "{broken}");
    }
}

#[test]
fn what_a_client_signs_is_taken() {
    let mut own = sent("PATCH", "/v2/manage/namespaces/a%20b?x=%C3%A9&a=", "{}");
    own.set("x_not_signed", "1");
    let own = own.sign();
    assert_eq!(own.check(), Ok(()));
    let mut other = own.clone();
    other.set("x_not_signed", "2");
    assert_eq!(other.check(), Ok(()), "a name with `_` is not signed");
    for needed in ["host", "x-sdk-date"] {
        let mut own = own.clone();
        own.headers.retain(|(name, _)| name != needed);
        let headers = own.headers();
        let refused = own.request(&headers).sign(&key(), &secret());
        assert_eq!(refused, Err(SignatureError::Uncovered(needed)));
    }
}

/// A part of a request whose bytes are signed.
#[derive(Clone, Copy, Debug)]
enum Part {
    Method,
    Path,
    Query,
    Header(&'static str),
    Body,
    Authorization,
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::Method),
        Just(Part::Path),
        Just(Part::Query),
        prop::sample::select(SIGNED.split(';').collect::<Vec<_>>()).prop_map(Part::Header),
        Just(Part::Body),
        Just(Part::Authorization),
    ]
}

/// Another visible byte in the place, which is any in the text.
fn change(text: &mut String, place: prop::sample::Index, byte: u8) -> bool {
    if text.is_empty() {
        return false;
    }
    let place = place.index(text.len());
    let mut bytes = std::mem::take(text).into_bytes();
    let changed = bytes[place] != byte;
    bytes[place] = byte;
    *text = String::from_utf8(bytes).unwrap();
    changed
}

/// What a path or a query says to whoever reads it: an order and a way of writing say nothing.
fn meaning(sent: &Sent) -> (Vec<u8>, Vec<[Vec<u8>; 2]>) {
    fn decoded(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let escaped = match (first, tail) {
                (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                    .ok()
                    .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
                _ => None,
            };
            bytes.push(escaped.unwrap_or(*first));
            rest = if escaped.is_some() { &tail[2..] } else { tail };
        }
        bytes
    }
    let mut path = decoded(&sent.path);
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    let pairs = sent.query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| [name, value].map(decoded))
        .collect();
    pairs.sort();
    (path, pairs)
}

/// The same cases in every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` asks for others.
fn cases(number: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(number),
        failure_persistence: None,
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0),
            seed => seed,
        },
        ..asked
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn no_byte_of_what_is_signed_can_be_another(
        vector in 0..6_usize,
        part in part(),
        place in any::<prop::sample::Index>(),
        byte in b'!'..=b'~',
    ) {
        let original = &vectors()[vector];
        let mut sent = original.clone();
        let name = match part {
            Part::Header(name) => name,
            _ => "authorization",
        };
        let changed = match part {
            Part::Method => change(&mut sent.method, place, byte),
            Part::Path => change(&mut sent.path, place, byte),
            Part::Query => change(&mut sent.query, place, byte),
            Part::Body => {
                let mut body = String::from_utf8(sent.body.take().unwrap()).unwrap();
                let changed = change(&mut body, place, byte);
                sent.body = Some(body.into_bytes());
                changed
            }
            Part::Header(_) | Part::Authorization => {
                let (_, value) = sent.headers.iter_mut().find(|(header, _)| header == name).unwrap();
                change(value, place, byte)
            }
        };
        prop_assume!(changed);
        let is_written_otherwise = matches!(part, Part::Path | Part::Query) && meaning(&sent) == meaning(original);
        prop_assume!(!is_written_otherwise);
        // The id of the key is looked up, and not signed: another one has another secret.
        let headers = sent.headers();
        let request = sent.request(&headers);
        if let Ok(signature) = request.signature() && *signature.key() != key() {
            return Ok(());
        }
        prop_assert!(sent.check().is_err(), "{part:?} {sent:?}");
    }

    #[test]
    fn nothing_can_be_added_to_a_body_or_left_out(
        body in prop::collection::vec(any::<u8>(), 0..64),
        other in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut signed = sent("POST", "/v2/manage/namespaces", "");
        signed.body = Some(body.clone());
        let mut signed = signed.sign();
        prop_assert_eq!(signed.check(), Ok(()));
        signed.body = Some(other.clone());
        prop_assert_eq!(signed.check().is_ok(), body == other);
    }

    #[test]
    fn no_text_makes_the_check_panic(
        authorization in ".*",
        path in ".*",
        query in ".*",
        date in ".*",
    ) {
        let mut sent = vectors()[0].clone();
        sent.path = path;
        sent.query = query;
        sent.set("x-sdk-date", &date);
        let _ = sent.check();
        sent.set("x-sdk-date", DATE);
        let _ = sent.check();
        sent.set("authorization", &authorization);
        prop_assert!(sent.check().is_err());
    }
}
