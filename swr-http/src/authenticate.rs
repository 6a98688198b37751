//! What a request shows of who sends it. Pure but for the shape of a header map.

use data_encoding::BASE64;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use swr_auth::{Presented, Secret};

/// The longest value of `Authorization` that is looked at, in bytes.
const AUTHORIZATION_MAX: usize = 8 * 1024;

/// Reads the `Authorization` header (RFC 7617, RFC 6750), also for what a host serves beside the registry.
///
/// An empty name with an empty password is nothing: some clients answer a challenge so when they know neither.
pub fn presented(headers: &HeaderMap) -> Result<Presented, PresentedError> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(Presented::Nothing) };
    if line.len() > AUTHORIZATION_MAX {
        return Err(PresentedError::TooLong);
    }
    if lines.next().is_some() {
        return Err(PresentedError::Malformed);
    }
    read(line.as_bytes()).ok_or(PresentedError::Malformed)
}

fn read(line: &[u8]) -> Option<Presented> {
    let (scheme, shown) = std::str::from_utf8(line).ok()?.trim().split_once(' ')?;
    let shown = shown.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Presented::Bearer(Secret::new(shown)));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(shown.as_bytes()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    if user.is_empty() && password.is_empty() {
        return Some(Presented::Nothing);
    }
    Some(Presented::Password { user: user.into(), password: Secret::new(password) })
}

/// Why an `Authorization` header shows nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentedError {
    /// It is larger than any that is looked at: 8 KiB.
    #[error("the authorization is larger than {AUTHORIZATION_MAX} bytes")]
    TooLong,
    /// It is of a scheme that is not known, breaks its own, or comes more than once.
    #[error("the authorization is neither a name with a password nor a token")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(lines: &[&str]) -> Result<Presented, PresentedError> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        presented(&headers)
    }

    fn password(user: &str, password: &str) -> Presented {
        Presented::Password { user: user.into(), password: Secret::new(password) }
    }

    #[test]
    fn what_is_shown_is_read_as_it_was_meant() {
        assert_eq!(of(&[]), Ok(Presented::Nothing));
        for (line, expected) in [
            ("Basic YWRhOm9wZW46c2VzYW1l", password("ada", "open:sesame")),
            ("basic  YWRhOg==", password("ada", "")),
            ("BASIC OnNlc2FtZQ==", password("", "sesame")),
            ("Basic w6RkYTrDpA==", password("äda", "ä")),
            ("Basic Og==", Presented::Nothing),
            ("Bearer a.b-c", Presented::Bearer(Secret::new("a.b-c"))),
            ("bearer a.b-c", Presented::Bearer(Secret::new("a.b-c"))),
        ] {
            assert_eq!(of(&[line]), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_shows_nobody_and_is_not_taken_for_nothing() {
        for line in ["", "Basic", "Basic !", "Basic YWRh", "Basic /w==", "Negotiate abc", "YWRhOm9wZW4="] {
            assert_eq!(of(&[line]), Err(PresentedError::Malformed), "{line}");
        }
        assert_eq!(of(&["Basic Og==", "Bearer a"]), Err(PresentedError::Malformed));
        assert_eq!(of(&[&format!("Bearer {}", "a".repeat(8192))]), Err(PresentedError::TooLong));
    }
}
