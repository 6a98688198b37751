//! Which part of a list is wanted, and where the next one is.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use http::HeaderValue;

use swr_core::ports::Page;

/// The part of a list that a client asks for: `n` and `last`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageQuery<T> {
    /// How many entries. `None`: as many as there are, page by page.
    pub n: Option<u32>,
    /// The entry that they come after, there or not.
    pub last: Option<T>,
}

impl<T: Clone> PageQuery<T> {
    /// The page to ask the engine for, where a page has at most `most` entries.
    pub(crate) fn page(&self, most: u32) -> Page<T> {
        let limit = self.n.unwrap_or(most).min(most);
        Page { after: self.last.clone(), limit: NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN) }
    }

    /// Nothing is wanted (`n=0`), except to know whether the list is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.n == Some(0)
    }
}

/// The value of `Link` (RFC 5988): the address of the page after `last`, relative to this host.
pub(crate) fn next_page(path: &str, n: Option<u32>, last: &str, filter: Option<(&str, &str)>) -> HeaderValue {
    let mut link = format!("<{path}?");
    if let Some((key, value)) = filter {
        // Writing to a String does not fail.
        let _ = write!(link, "{key}={}&", encoded(value));
    }
    if let Some(n) = n {
        let _ = write!(link, "n={n}&");
    }
    let _ = write!(link, "last={}>; rel=\"next\"", encoded(last));
    crate::headers::value(link)
}

/// Percent-encodes everything that could end or change a parameter.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_next_page_of_the_same_list() {
        assert_eq!(
            next_page("/v2/a/tags/list", Some(2), "v1", None),
            r#"</v2/a/tags/list?n=2&last=v1>; rel="next""#
        );
        assert_eq!(
            next_page("/v2/a/referrers/x", None, "sha256:00", Some(("artifactType", "a/b+json>\"&"))),
            r#"</v2/a/referrers/x?artifactType=a/b%2Bjson%3E%22%26&last=sha256:00>; rel="next""#
        );
    }

    #[test]
    fn a_page_holds_what_is_asked_for_within_the_limit() {
        for (n, limit) in [(None, 1000), (Some(0), 1), (Some(7), 7), (Some(u32::MAX), 1000)] {
            let page = PageQuery { n, last: None::<String> }.page(1000);
            assert_eq!(page.limit.get(), limit, "{n:?}");
        }
    }
}
