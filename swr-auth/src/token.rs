//! Tokens: JWS (RFC 7515) with HMAC-SHA256, under keys of our own.
//!
//! One algorithm and one shape: a header with anything else in it is refused before its key is looked for, and
//! nothing in a token ever says what to verify it with but the id of one of our keys. Every claim has to be there,
//! in its type, and no other.

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
        let begun = (now + CLOCK_TOLERANCE).timestamp();
        let is_good = claims.iss == service
            && claims.aud == purpose.audience(service)
            && claims.iat <= begun
            && claims.nbf <= begun
            && now.timestamp() < claims.exp;
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
