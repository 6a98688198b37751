//! Tokens: JWS (RFC 7515) with HMAC-SHA256, under keys of our own.
//!
//! One algorithm and one shape: a header with anything else in it is refused before its key is looked for, and
//! nothing in a token ever says what to verify it with but the id of one of our keys. Every claim has to be there,
//! in its type, and no other.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use swr_core::control::credential::KeyId;

use crate::random;
use crate::scope::Scope;
use crate::secret::Secret;

/// Longer ones are not looked at, in bytes.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the clocks of two servers of one deployment may be apart.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// What a token is good for. One that is good for one thing is refused for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The registry's protocol.
    Access,
    /// Getting a token of that kind.
    Refresh,
    /// The management protocol.
    Management,
}

impl Purpose {
    fn audience(self, service: &str) -> String {
        match self {
            Self::Access => service.to_owned(),
            Self::Refresh => format!("refresh:{service}"),
            Self::Management => format!("management:{service}"),
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The id of the user; empty for a stranger.
    pub(crate) sub: String,
    /// What the user showed.
    pub(crate) by: Proof,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    pub(crate) access: Vec<Listed>,
}

/// What a token was got with, and is worth nothing without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Proof {
    /// Nothing.
    Nothing,
    /// A login or a signature with this key.
    Key(KeyId),
    /// The password whose hash has this fingerprint.
    Password(String),
}

/// An entry of `access`: a resource, and what may be done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    r#type: String,
    name: String,
    actions: Vec<String>,
}

impl Listed {
    /// Printing a scope and taking it apart gives its three parts.
    pub(crate) fn of(scope: &Scope) -> Self {
        let printed = scope.to_string();
        let (class, rest) = printed.split_once(':').unwrap_or_default();
        let (name, actions) = rest.rsplit_once(':').unwrap_or_default();
        let actions = actions.split(',').filter(|action| !action.is_empty());
        Self {
            r#type: class.to_owned(),
            name: name.to_owned(),
            actions: actions.map(str::to_owned).collect(),
        }
    }

    /// The scope, if this is exactly how it is listed.
    pub(crate) fn scope(&self) -> Option<Scope> {
        let scope =
            Scope::parse(&format!("{}:{}:{}", self.r#type, self.name, self.actions.join(","))).ok()?;
        (Self::of(&scope) == *self).then_some(scope)
    }
}

impl Claims {
    pub(crate) fn new(
        purpose: Purpose,
        service: &str,
        sub: &str,
        by: Proof,
        issued: DateTime<Utc>,
        expires: DateTime<Utc>,
    ) -> Self {
        Self {
            iss: service.to_owned(),
            aud: purpose.audience(service),
            sub: sub.to_owned(),
            by,
            iat: issued.timestamp(),
            nbf: issued.timestamp(),
            exp: expires.timestamp(),
            jti: HEXLOWER.encode(&random::bytes::<16>()),
            access: Vec::new(),
        }
    }

    /// The time that it is good for; `None` where there is no such time.
    pub(crate) fn lasts(&self) -> Option<Range<DateTime<Utc>>> {
        let begins = DateTime::from_timestamp(self.iat.max(self.nbf), 0)?;
        Some(begins.checked_sub_signed(CLOCK_TOLERANCE)?..DateTime::from_timestamp(self.exp, 0)?)
    }
}

/// The header of every token, and no token has another one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    kid: KeyId,
    typ: Type,
}

#[derive(Serialize, Deserialize)]
enum Algorithm {
    #[serde(rename = "HS256")]
    HmacSha256,
}

#[derive(Serialize, Deserialize)]
enum Type {
    #[serde(rename = "JWT")]
    Jwt,
}

/// The claims as a token, signed with the key.
pub(crate) fn sign(claims: &Claims, kid: KeyId, key: &Secret) -> Secret {
    let header = Header { alg: Algorithm::HmacSha256, kid, typ: Type::Jwt };
    let mut token = format!("{}.{}", encoded(&header), encoded(claims));
    let mac = mac(&token, key).finalize().into_bytes();
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(&mac));
    Secret::new(token)
}

/// A token that nobody has verified.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    kid: KeyId,
    signed: &'a str,
    payload: &'a str,
    mac: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a text apart that could be one of our tokens.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, mac) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let Header { alg: Algorithm::HmacSha256, kid, typ: Type::Jwt } = decoded(header)?;
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
        Some(Self { kid, signed, payload, mac })
    }

    /// Which of our keys it says to be signed with.
    pub(crate) fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// What it says, if it was signed with the key, for this purpose and this service, and now is its time.
    pub(crate) fn verify(
        &self,
        key: &Secret,
        purpose: Purpose,
        service: &str,
        now: DateTime<Utc>,
    ) -> Option<Claims> {
        mac(self.signed, key).verify_slice(&self.mac).ok()?;
        let claims: Claims = decoded(self.payload)?;
        let is_good = claims.iss == service
            && claims.aud == purpose.audience(service)
            && claims.lasts()?.contains(&now);
        is_good.then_some(claims)
    }
}

fn mac(signed: &str, key: &Secret) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC has no bad key lengths")]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    mac
}

/// Plain values serialise.
fn encoded(value: &impl Serialize) -> String {
    BASE64URL_NOPAD.encode(&serde_json::to_vec(value).unwrap_or_default())
}

fn decoded<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use serde_json::{Value, json};
    use swr_core::testing::minute;

    use super::*;

    const SERVICE: &str = "registry.example";

    fn kid() -> KeyId {
        KeyId::parse("k1").unwrap()
    }

    fn key() -> Secret {
        Secret::new("the key that signs")
    }

    fn claims(purpose: Purpose) -> Claims {
        let by = Proof::Key(KeyId::parse("AK").unwrap());
        let mut claims = Claims::new(purpose, SERVICE, "ada", by, minute(0), minute(5));
        claims.access = vec![Listed::of(&Scope::parse("repository:a/b:pull,push").unwrap())];
        claims
    }

    fn read(token: &str, purpose: Purpose, now: DateTime<Utc>) -> Option<Claims> {
        let token = Unverified::parse(token)?;
        assert_eq!(*token.kid(), kid());
        token.verify(&key(), purpose, SERVICE, now)
    }

    /// What whoever has the key could sign, however it looks.
    fn forged(header: &Value, payload: &Value) -> String {
        let mut token = format!("{}.{}", encoded(header), encoded(payload));
        let tag = mac(&token, &key()).finalize().into_bytes();
        token.push('.');
        token.push_str(&BASE64URL_NOPAD.encode(&tag));
        token
    }

    fn header() -> Value {
        json!({ "alg": "HS256", "kid": "k1", "typ": "JWT" })
    }

    fn payload() -> Value {
        serde_json::to_value(claims(Purpose::Access)).unwrap()
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let claims = claims(Purpose::Access);
        let token = sign(&claims, kid(), &key());
        assert_eq!(read(token.expose(), Purpose::Access, minute(1)), Some(claims));
        let payload = token.expose().split('.').nth(1).unwrap();
        let payload: Value = decoded(payload).unwrap();
        assert_eq!(
            payload["access"],
            json!([{ "type": "repository", "name": "a/b", "actions": ["pull", "push"] }])
        );
        assert_eq!(
            (&payload["sub"], &payload["aud"], &payload["iss"]),
            (&json!("ada"), &json!(SERVICE), &json!(SERVICE))
        );
        assert_eq!(payload["exp"], json!(minute(5).timestamp()));
    }

    #[test]
    fn a_token_is_good_for_one_thing() {
        let purposes = [Purpose::Access, Purpose::Refresh, Purpose::Management];
        for signed in purposes {
            let token = sign(&claims(signed), kid(), &key());
            for asked in purposes {
                assert_eq!(
                    read(token.expose(), asked, minute(1)).is_some(),
                    signed == asked,
                    "{signed:?} {asked:?}"
                );
            }
            let read = Unverified::parse(token.expose()).unwrap();
            assert_eq!(read.verify(&key(), signed, "elsewhere.example", minute(1)), None);
            assert_eq!(read.verify(&Secret::new("another key"), signed, SERVICE, minute(1)), None);
        }
    }

    #[test]
    fn a_token_has_its_time() {
        let token = sign(&claims(Purpose::Access), kid(), &key());
        let second = TimeDelta::seconds(1);
        for (now, is_good) in [
            (minute(-1) - second, false),
            (minute(-1), true),
            (minute(0), true),
            (minute(5) - second, true),
            (minute(5), false),
            (minute(50_000_000), false),
        ] {
            assert_eq!(read(token.expose(), Purpose::Access, now).is_some(), is_good, "{now}");
        }
    }

    #[test]
    fn a_header_says_nothing_of_how_to_verify() {
        assert!(read(&forged(&header(), &payload()), Purpose::Access, minute(1)).is_some());
        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("None")),
            ("alg", json!("HS512")),
            ("alg", json!("RS256")),
            ("alg", json!("hs256")),
            ("alg", Value::Null),
            ("alg", json!(["HS256"])),
            ("typ", json!("jwt")),
            ("typ", json!("at+jwt")),
            ("kid", json!(1)),
            ("kid", json!("")),
            ("kid", json!("../k1")),
            ("jwk", json!({ "kty": "oct", "k": "dGhlIGtleSB0aGF0IHNpZ25z" })),
            ("jku", json!("https://elsewhere.example/keys")),
            ("x5u", json!("https://elsewhere.example/chain")),
            ("x5c", json!([])),
            ("crit", json!([])),
            ("b64", json!(false)),
        ] {
            let mut header = header();
            header[name] = value.clone();
            assert!(Unverified::parse(&forged(&header, &payload())).is_none(), "{name}: {value}");
        }
        for name in ["alg", "kid", "typ"] {
            let mut header = header();
            header.as_object_mut().unwrap().remove(name);
            assert!(Unverified::parse(&forged(&header, &payload())).is_none(), "no {name}");
        }
        let unsigned = format!("{}.{}.", encoded(&header()), encoded(&payload()));
        assert_eq!(read(&unsigned, Purpose::Access, minute(1)), None);
    }

    #[test]
    fn what_is_no_token_is_none() {
        let token = sign(&claims(Purpose::Access), kid(), &key());
        let token = token.expose();
        let long = "a".repeat(TOKEN_BYTES_MAX + 1);
        for text in ["", ".", "..", "a.b.c", &token[1..], &format!("{token}.x"), &format!("x.{token}"), &long]
        {
            assert!(Unverified::parse(text).is_none(), "{text}");
        }
        for text in [format!("{token}="), format!("{token}A"), token[..token.len() - 1].to_owned()] {
            let read = Unverified::parse(&text);
            assert!(
                read.is_none_or(|read| read.verify(&key(), Purpose::Access, SERVICE, minute(1)).is_none())
            );
        }
    }

    #[test]
    fn a_scope_is_listed_as_it_is_printed() {
        for text in
            ["repository:a:", "repository:a/b:pull", "repository:a/b:pull,push,delete", "registry:catalog:*"]
        {
            let scope = Scope::parse(text).unwrap();
            assert_eq!(Listed::of(&scope).scope(), Some(scope), "{text}");
        }
        let listed = |class: &str, name: &str, actions: &[&str]| Listed {
            r#type: class.to_owned(),
            name: name.to_owned(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        };
        for other in [
            listed("repository", "a", &["*"]),
            listed("repository", "a", &["push", "pull"]),
            listed("repository", "a", &["pull,push"]),
            listed("repository", "a", &["fly"]),
            listed("repository(plugin)", "a", &["pull"]),
            listed("repository", "A", &["pull"]),
            listed("registry", "catalog", &[]),
            listed("registry:catalog", "*", &[]),
        ] {
            assert_eq!(other.scope(), None, "{other:?}");
        }
    }

    /// Every claim, and those inside others.
    const CLAIMS: [&str; 13] = [
        "/iss",
        "/aud",
        "/sub",
        "/by",
        "/by/key",
        "/iat",
        "/nbf",
        "/exp",
        "/jti",
        "/access",
        "/access/0/type",
        "/access/0/name",
        "/access/0/actions",
    ];

    fn values() -> impl Strategy<Value = Value> {
        prop::sample::select(vec![
            Value::Null,
            json!(true),
            json!(9_999_999_999.5),
            json!(-1.5e300),
            json!("9999999999"),
            json!(""),
            json!([]),
            json!([1]),
            json!({}),
            json!({ "key": 1 }),
            json!(1_767_225_600),
        ])
    }

    fn kind(value: &Value) -> u8 {
        match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Number(number) => {
                if number.is_i64() {
                    2
                } else {
                    3
                }
            }
            Value::String(_) => 4,
            Value::Array(_) => 5,
            Value::Object(_) => 6,
        }
    }

    /// The same cases in every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` asks for others.
    fn cases() -> ProptestConfig {
        let asked = ProptestConfig::default();
        ProptestConfig {
            failure_persistence: None,
            rng_seed: match asked.rng_seed {
                RngSeed::Random => RngSeed::Fixed(0),
                seed => seed,
            },
            ..asked
        }
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn a_claim_of_another_type_is_refused(claim in prop::sample::select(&CLAIMS[..]), value in values()) {
            let mut payload = payload();
            let place = payload.pointer_mut(claim).unwrap();
            // An empty list is a list, and an empty text a text: the type alone is looked at here.
            prop_assume!(kind(place) != kind(&value) || value == json!([1]) || value == json!({ "key": 1 }) || value == json!({}));
            *place = value;
            prop_assert_eq!(read(&forged(&header(), &payload), Purpose::Access, minute(1)), None);
        }

        #[test]
        fn a_claim_that_is_not_there_or_not_known_is_refused(claim in prop::sample::select(&CLAIMS[..]), value in values()) {
            let mut without = payload();
            let (parent, name) = claim.rsplit_once('/').unwrap();
            without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            prop_assert_eq!(read(&forged(&header(), &without), Purpose::Access, minute(1)), None);

            let mut with = payload();
            with.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert("extra".to_owned(), value);
            prop_assert_eq!(read(&forged(&header(), &with), Purpose::Access, minute(1)), None);
        }

        #[test]
        fn no_byte_of_a_token_can_be_another(place in any::<prop::sample::Index>(), byte in b'!'..=b'~') {
            let token = sign(&claims(Purpose::Access), kid(), &key());
            let mut bytes = token.expose().as_bytes().to_vec();
            let place = place.index(bytes.len());
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            let read = Unverified::parse(&changed);
            prop_assert!(read.is_none_or(|read| read.verify(&key(), Purpose::Access, SERVICE, minute(1)).is_none()));
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".*", header in ".*", payload in ".*") {
            prop_assert!(Unverified::parse(&text).is_none());
            let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
            let _ = Unverified::parse(&format!("{}.{}.AA", encode(&header), encode(&payload)));
        }
    }
}
