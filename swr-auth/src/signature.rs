//! Requests that are signed with an access key: `SDK-HMAC-SHA256`.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use swr_core::control::credential::KeyId;

use crate::secret::Secret;

const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// What stands for the hash of a body that is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Names of headers in one signature.
const SIGNED_MAX: usize = 64;

/// A request, as it came, with what its signature covers.
///
/// The signature covers the method, the path, the query, the headers that it names, among them `host` and
/// `x-sdk-date` always, and the body. It takes a path and a query as what they decode to: `%2F` and `/` are the same
/// to it, and so are a path with a slash at its end and without, and two orders of the same parameters. In a query,
/// `+` is a plus sign. Whoever answers the request has to read it in this way.
///
/// A body that the door has read is always signed, whatever `X-Sdk-Content-Sha256` says: the hash is made of the
/// bytes themselves. `UNSIGNED-PAYLOAD` is taken for a body that streams past, and for no other.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "doors and clients build it")]
pub struct SignedRequest<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path as it stands in the request line, with everything that is encoded in it.
    pub path: &'a str,
    /// What stands behind the `?`, as it was sent; empty where there is none.
    pub query: &'a str,
    /// All headers with their names in lower case, `host` included (for HTTP/2 made from `:authority`).
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, empty where there is none. `None`: it streams past and is not signed; that it is the sender's is what
    /// the connection vouches for.
    pub body: Option<&'a [u8]>,
}

/// The value of an `Authorization` header that carries a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    key: KeyId,
    headers: Vec<&'a str>,
    signed: &'a str,
    mac: [u8; 32],
}

impl<'a> Signature<'a> {
    /// Reads `SDK-HMAC-SHA256 Access=…, SignedHeaders=a;b, Signature=…`.
    pub fn parse(text: &'a str) -> Result<Self, SignatureError> {
        let parts = text.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let mut parts = parts.ok_or(SignatureError::Shape)?.split(',').map(|part| part.trim_matches(' '));
        let mut part =
            |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(SignatureError::Shape);
        let key = KeyId::parse(part("Access=")?).map_err(|_| SignatureError::Shape)?;
        let signed = part("SignedHeaders=")?;
        let mac = HEXLOWER.decode(part("Signature=")?.as_bytes()).map_err(|_| SignatureError::Shape)?;
        let mac = mac.try_into().map_err(|_| SignatureError::Shape)?;
        if parts.next().is_some() {
            return Err(SignatureError::Shape);
        }
        let headers: Vec<&str> = signed.split(';').take(SIGNED_MAX + 1).collect();
        if headers.len() > SIGNED_MAX {
            return Err(SignatureError::Shape);
        }
        Ok(Self { key, headers, signed, mac })
    }

    /// The access key that it says to be of.
    pub fn key(&self) -> &KeyId {
        &self.key
    }
}

impl SignedRequest<'_> {
    /// How far the date of a request may be from the present: a signature is worth nothing outside.
    pub const DATE_TOLERANCE: TimeDelta = TimeDelta::minutes(15);

    /// The signature that the request carries: one `Authorization` header, and no other.
    pub fn signature(&self) -> Result<Signature<'_>, SignatureError> {
        Signature::parse(self.header("authorization")?)
    }

    /// Whether the signature is of this request and this secret, and of about now. The comparison takes as long
    /// for a wrong signature as for a right one.
    pub fn verify(
        &self,
        signature: &Signature<'_>,
        secret: &Secret,
        now: DateTime<Utc>,
    ) -> Result<(), SignatureError> {
        for needed in ["host", "x-sdk-date"] {
            if !signature.headers.contains(&needed) {
                return Err(SignatureError::Uncovered(needed));
            }
        }
        let date = self.header("x-sdk-date")?;
        if (now - read_date(date)?).abs() > Self::DATE_TOLERANCE {
            return Err(SignatureError::Date);
        }
        let mac = self.mac(&signature.headers, signature.signed, date, secret)?;
        if mac.ct_eq(&signature.mac).into() { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    /// The value of the `Authorization` header for this request, for clients. It signs every header of the request
    /// whose name has no `_`; `host` and `x-sdk-date` have to be among them.
    pub fn sign(&self, key: &KeyId, secret: &Secret) -> Result<String, SignatureError> {
        let names = self.headers.iter().map(|(name, _)| *name);
        let mut names: Vec<&str> =
            names.filter(|name| *name != "authorization" && !name.contains('_')).collect();
        names.sort_unstable();
        for needed in ["host", "x-sdk-date"] {
            if !names.contains(&needed) {
                return Err(SignatureError::Uncovered(needed));
            }
        }
        let date = self.header("x-sdk-date")?;
        read_date(date)?;
        let signed = names.join(";");
        let mac = HEXLOWER.encode(&self.mac(&names, &signed, date, secret)?);
        Ok(format!("{ALGORITHM} Access={key}, SignedHeaders={signed}, Signature={mac}"))
    }

    fn mac(
        &self,
        names: &[&str],
        signed: &str,
        date: &str,
        secret: &Secret,
    ) -> Result<[u8; 32], SignatureError> {
        let canonical = self.canonical(names, signed)?;
        let hash = HEXLOWER.encode(&Sha256::digest(canonical));
        #[expect(clippy::expect_used, reason = "HMAC has no bad key lengths")]
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(format!("{ALGORITHM}\n{date}\n{hash}").as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }

    /// The text that is signed by its hash.
    fn canonical(&self, names: &[&str], signed: &str) -> Result<String, SignatureError> {
        let mut text = format!("{}\n{}\n{}\n", line(self.method)?, self.path()?, self.query()?);
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(SignatureError::Header((*name).into()));
            }
            let value = line(self.header(name)?)?.trim_matches([' ', '\t']);
            // Writing to a String does not fail.
            let _ = writeln!(text, "{name}:{value}");
        }
        let _ = write!(text, "\n{signed}\n{}", self.body_hash()?);
        Ok(text)
    }

    /// The value of the header, which is there once.
    fn header(&self, name: &str) -> Result<&str, SignatureError> {
        let mut values = self.headers.iter().filter(|(header, _)| *header == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(SignatureError::Header(name.into())),
        }
    }

    fn path(&self) -> Result<String, SignatureError> {
        let decoded = decode(self.path)?;
        let mut path = String::with_capacity(self.path.len() + 1);
        for (at, piece) in decoded.split(|byte| *byte == b'/').enumerate() {
            if at > 0 {
                path.push('/');
            }
            encode(piece, &mut path);
        }
        if !path.ends_with('/') {
            path.push('/');
        }
        Ok(path)
    }

    fn query(&self) -> Result<String, SignatureError> {
        let mut pairs = Vec::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        pairs.sort_unstable();
        let mut query = String::with_capacity(self.query.len());
        for (at, (name, value)) in pairs.iter().enumerate() {
            if at > 0 {
                query.push('&');
            }
            encode(name, &mut query);
            query.push('=');
            encode(value, &mut query);
        }
        Ok(query)
    }

    fn body_hash(&self) -> Result<String, SignatureError> {
        match self.body {
            Some(body) => Ok(HEXLOWER.encode(&Sha256::digest(body))),
            None if self.header("x-sdk-content-sha256") == Ok(UNSIGNED) => Ok(UNSIGNED.to_owned()),
            None => Err(SignatureError::Body),
        }
    }
}

fn read_date(text: &str) -> Result<DateTime<Utc>, SignatureError> {
    // The format alone would take fewer digits as well.
    let date = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").map_err(|_| SignatureError::Date)?;
    if text.len() == 16 { Ok(date.and_utc()) } else { Err(SignatureError::Date) }
}

/// A part of the request that is one line of what is signed.
fn line(text: &str) -> Result<&str, SignatureError> {
    if text.contains(['\n', '\r']) { Err(SignatureError::Shape) } else { Ok(text) }
}

fn decode(text: &str) -> Result<Vec<u8>, SignatureError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or(SignatureError::Escape)?;
        decoded.extend(u8::try_from(high << 4 | low));
    }
    Ok(decoded)
}

fn encode(bytes: &[u8], into: &mut String) {
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                into.push(char::from(*byte));
            }
            _ => {
                // Writing to a String does not fail.
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

/// Why a request is not signed as it should be. For logs: whoever sent it is only told to sign in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header is none that carries such a signature, or a part of the request could not be sent so.
    #[error("this is no signature of {ALGORITHM}")]
    Shape,
    /// A header that is signed, or says who signs, is not there, is there twice, or is named twice.
    #[error("the header `{0}` has to be there once")]
    Header(Box<str>),
    /// The signature leaves out what it has to cover.
    #[error("the header `{0}` has to be signed")]
    Uncovered(&'static str),
    /// The date is none, or too far from the present.
    #[error("`x-sdk-date` is `YYYYMMDDTHHMMSSZ`, at most 15 minutes from now")]
    Date,
    /// A `%` without two hexadecimal digits behind it.
    #[error("a `%` in the path or the query is not followed by two hexadecimal digits")]
    Escape,
    /// The body streams past, and was not signed as one that does.
    #[error("`x-sdk-content-sha256` has to be `{UNSIGNED}` for this body")]
    Body,
    /// The signature is another one.
    #[error("the signature is not of this request and this key")]
    Mismatch,
}
