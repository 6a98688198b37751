//! Whether a request that changes something was made by one of the console's own pages.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, request};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the browser says that the request was made by a page of this host, or says nothing at all, as one does that
/// is none. `host` is where the deployment says that it is, for proxies that say something else.
///
/// A page has to show its session's own token beside that: this alone is what stands in front of signing in.
pub(crate) fn is_ours(head: &request::Parts, host: &str) -> bool {
    if let Some(site) = head.headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = head.headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().unwrap_or_default();
    let Some((_, from)) = origin.split_once("://") else { return false };
    let asked = asked_host(&head.headers).or(head.uri.authority().map(|authority| authority.as_str()));
    from.eq_ignore_ascii_case(host) || asked.is_some_and(|asked| from.eq_ignore_ascii_case(asked))
}

fn asked_host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_are_told_from_this_one() {
        for (headers, ours) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://registry.example")], true),
            (&[("origin", "http://127.0.0.1:5000"), ("host", "127.0.0.1:5000")], true),
            (&[("origin", "https://registry.example.evil"), ("host", "registry.example")], false),
            (&[("origin", "https://evil"), ("host", "registry.example")], false),
            (&[("origin", "null"), ("host", "null")], false),
            (&[("origin", "https://evil"), ("sec-fetch-site", "same-origin")], true),
        ] {
            let mut request = http::Request::post("/console/sign-in");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let head = request.body(()).unwrap().into_parts().0;
            assert_eq!(is_ours(&head, "registry.example"), ours, "{headers:?}");
        }
    }
}
