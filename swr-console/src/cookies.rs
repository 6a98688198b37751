//! Cookies: read, set and taken back.

use chrono::TimeDelta;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The value of the cookie of this name, as the client sent it: of several the first.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Sets a cookie that no script reads and no other site's request carries further than a link; for as long as `life`,
/// or until the browser ends. The value is of letters and digits.
pub(crate) fn set(name: &str, value: &str, life: Option<TimeDelta>, secure: bool) -> HeaderValue {
    let life = life.map(|life| format!("; Max-Age={}", life.num_seconds())).unwrap_or_default();
    let secure = if secure { "; Secure" } else { "" };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{life}{secure}");
    // Names and values are ASCII.
    let mut line = HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""));
    line.set_sensitive(true);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_a_name_counts_and_no_part_of_another() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a-session=no; session=one;session=two"));
        headers.append(COOKIE, HeaderValue::from_static("lang=zh"));
        assert_eq!(cookie(&headers, "session"), Some("one"));
        assert_eq!(cookie(&headers, "lang"), Some("zh"));
        assert_eq!(cookie(&headers, "ession"), None);
        assert_eq!(cookie(&HeaderMap::new(), "session"), None);
    }
}
