//! A token is worth something when it was signed with our key, for what it is shown for, and now; with one character
//! changed it is worth nothing. The input is a token as somebody shows it, or else a header and claims in lines of their
//! own, which whoever has the key could sign.
#![no_main]

#[path = "../house.rs"]
mod house;

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use futures_util::FutureExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::Sha256;
use swr_auth::{AuthenticationError, Authenticator as _, Presented, Secret};
use swr_core::ports::Clock as _;

use house::{HOST, House, Stopped, TOKEN_SECRET};

/// What a token may be shown for, and who may read it then.
const AUDIENCES: [&str; 2] = ["registry.example", "management:registry.example"];

/// For which of these the token is good.
fn good_for(token: &str) -> [bool; 2] {
    static HOUSE: LazyLock<House> = LazyLock::new(House::new);
    let token = Secret::new(token);
    let presented = Presented::Bearer(token.clone());
    let access = HOUSE.authenticator.authenticate(&presented).now_or_never().expect("memory does not wait");
    let managing = HOUSE.authenticator.management_token(&token).now_or_never().expect("memory does not wait");
    [good(access), good(managing)]
}

fn good<T>(answer: Result<T, AuthenticationError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(AuthenticationError::Refused) => false,
        Err(other) => panic!("{other:?}"),
    }
}

fn tag(signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN_SECRET.as_bytes()).expect("a key of any length");
    mac.update(signed.as_bytes());
    BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())
}

/// What it says, if it could be worth something: the key's own signature, our header, and a time that is now.
fn claims(token: &str) -> Option<Value> {
    let (signed, mac) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let json =
        |text: &str| serde_json::from_slice::<Value>(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok();
    let (header, claims) = (json(header)?, json(payload)?);
    let now = Stopped.now().timestamp();
    let is_ours =
        mac == tag(signed) && header == serde_json::json!({ "alg": "HS256", "kid": "k1", "typ": "JWT" });
    let is_now = claims["exp"].as_i64()? > now
        && claims["nbf"].as_i64()? <= now + 60
        && claims["iat"].as_i64()? <= now + 60;
    (is_ours && is_now && claims["iss"] == HOST).then_some(claims)
}

fuzz_target!(|text: &str| {
    let token = match text.split_once('\n') {
        None => text.to_owned(),
        Some((header, payload)) => {
            let encoded = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
            let signed = format!("{}.{}", encoded(header), encoded(payload));
            format!("{signed}.{}", tag(&signed))
        }
    };
    let good_for = good_for(&token);
    let claims = claims(&token);
    for (good, audience) in good_for.into_iter().zip(AUDIENCES) {
        assert!(!good || claims.as_ref().is_some_and(|claims| claims["aud"] == audience), "{token}");
    }
    if good_for.contains(&true) {
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("tokens are ASCII");
            assert_eq!(self::good_for(&other), [false; 2], "{token} {at}");
        }
    }
});
