//! What a 401 tells a client.

use std::fmt::Write as _;

use crate::scope::Scope;

/// How a client is asked to show who it is: the value of `WWW-Authenticate`.
///
/// Every parameter is quoted, which some clients insist on. There are clients that look for the words `basic`
/// and `bearer` anywhere in the header; a realm or service without them is understood by all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Scheme);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    Basic { realm: Box<str> },
    Bearer { realm: Box<str>, service: Box<str> },
}

impl Challenge {
    /// Asks for a name and a password (RFC 7617). The realm is what a person is shown.
    pub fn basic(realm: &str) -> Result<Self, ChallengeError> {
        Ok(Self(Scheme::Basic { realm: quotable(realm)? }))
    }

    /// Asks for a token, to be had at the address `realm`, as clients reach it, for `service`.
    pub fn bearer(realm: &str, service: &str) -> Result<Self, ChallengeError> {
        Ok(Self(Scheme::Bearer { realm: quotable(realm)?, service: quotable(service)? }))
    }

    /// The value of the header, for a request that needed these scopes. Printable ASCII.
    pub fn header(&self, needed: &[Scope]) -> String {
        match &self.0 {
            Scheme::Basic { realm } => format!(r#"Basic realm="{realm}", charset="UTF-8""#),
            Scheme::Bearer { realm, service } => {
                let mut header = format!(r#"Bearer realm="{realm}",service="{service}""#);
                for (at, scope) in needed.iter().enumerate() {
                    let before = if at == 0 { r#",scope=""# } else { " " };
                    // Writing to a String does not fail.
                    let _ = write!(header, "{before}{scope}");
                }
                if !needed.is_empty() {
                    header.push('"');
                }
                header
            }
        }
    }
}

fn quotable(text: &str) -> Result<Box<str>, ChallengeError> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        Ok(text.into())
    } else {
        Err(ChallengeError { text: text.chars().take(160).collect() })
    }
}

/// A text that cannot stand in a challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} has other characters than printable ASCII without quotes and backslashes")]
pub struct ChallengeError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_one_line_with_quoted_parameters() {
        let scope = |text| Scope::parse(text).unwrap();
        let basic = Challenge::basic("the registry").unwrap();
        let bearer = Challenge::bearer("https://registry.example/token", "registry.example").unwrap();
        assert_eq!(
            basic.header(&[scope("repository:a:pull")]),
            r#"Basic realm="the registry", charset="UTF-8""#
        );
        assert_eq!(
            bearer.header(&[]),
            r#"Bearer realm="https://registry.example/token",service="registry.example""#
        );
        assert_eq!(
            bearer.header(&[scope("repository:a:pull,push"), scope("repository:b:pull")]),
            r#"Bearer realm="https://registry.example/token",service="registry.example",scope="repository:a:pull,push repository:b:pull""#
        );
    }

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        for text in ["a\"b", "a\\b", "a\r\nSet-Cookie: x", "é"] {
            assert!(Challenge::basic(text).is_err(), "{text:?}");
            assert!(Challenge::bearer("https://registry.example/token", text).is_err(), "{text:?}");
        }
    }
}
