//! What a client says about what is there already: `If-Match`, `If-None-Match`, `If-Range`
//! (RFC 9110, 13.1). Pure but for the shape of a header map.

use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};

use swr_core::digest::Digest;
use swr_core::registry::Precondition;

use crate::headers;

/// The entity tags of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`.
    Any,
    /// A list.
    These(Vec<EntityTag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    text: String,
}

/// Whether `If-Match` lets this content be sent: it is absent, or names the content by a strong tag, or any.
pub fn is_expected(headers: &HeaderMap, digest: &Digest) -> bool {
    match headers::list(headers, &IF_MATCH).map(|text| parse(&text)) {
        None | Some(Tags::Any) => true,
        Some(Tags::These(tags)) => tags.iter().any(|tag| !tag.weak && tag.text == digest.to_string()),
    }
}

/// Whether a client that has what `If-None-Match` says has this content already.
pub fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    match headers::list(headers, &IF_NONE_MATCH).map(|text| parse(&text)) {
        None => false,
        Some(Tags::Any) => true,
        // Compared weakly, as RFC 9110 has it: what is the same bytes is the same by any measure.
        Some(Tags::These(tags)) => tags.iter().any(|tag| tag.text == digest.to_string()),
    }
}

/// Whether `If-Range` lets a range of this content be sent: it is absent, or names the content by a strong tag.
/// A date never does, since content has none.
pub fn range_applies(headers: &HeaderMap, digest: &Digest) -> bool {
    match headers::list(headers, &IF_RANGE).map(|text| parse(&text)) {
        None => true,
        Some(Tags::These(tags)) => match tags.as_slice() {
            [tag] => !tag.weak && tag.text == digest.to_string(),
            _ => false,
        },
        Some(Tags::Any) => false,
    }
}

/// What a change has to find. A tag that is no digest, or a weak one, is the tag of nothing that is here.
pub fn precondition(headers: &HeaderMap) -> Result<Precondition, ConditionError> {
    let expected = headers::list(headers, &IF_MATCH).map(|text| parse(&text));
    let unexpected = headers::list(headers, &IF_NONE_MATCH).map(|text| parse(&text));
    match (expected, unexpected) {
        (None, None) => Ok(Precondition::None),
        (Some(Tags::Any), None) => Ok(Precondition::Exists),
        (Some(Tags::These(tags)), None) => {
            let strong = tags.iter().filter(|tag| !tag.weak);
            Ok(Precondition::Is(strong.filter_map(|tag| Digest::parse(&tag.text).ok()).collect()))
        }
        (None, Some(Tags::Any)) => Ok(Precondition::Absent),
        (None, Some(Tags::These(_))) | (Some(_), Some(_)) => Err(ConditionError),
    }
}

/// A condition that cannot be checked together with the change: it is refused, since a condition that is passed
/// over is worse than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a change takes `If-Match`, or `If-None-Match: *`, and not both")]
#[non_exhaustive]
pub struct ConditionError;

fn parse(text: &str) -> Tags {
    if text.trim() == "*" {
        return Tags::Any;
    }
    let mut tags = Vec::new();
    let mut rest = text;
    // Commas may stand inside of a tag, so the quotes are looked for first.
    while let Some((before, after)) = rest.split_once('"') {
        let Some((inside, after)) = after.split_once('"') else { break };
        tags.push(EntityTag { weak: before.trim_end().ends_with("W/"), text: inside.to_owned() });
        rest = after;
    }
    Tags::These(tags)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use swr_core::digest::Algorithm;

    use super::*;

    fn with(lines: &[(HeaderName, String)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, line)| (name.clone(), HeaderValue::from_str(line).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, line);
        }
        headers
    }

    #[test]
    fn a_change_is_made_only_on_what_it_expects() {
        let (one, two) = (Algorithm::Sha256.digest(b"1"), Algorithm::Sha512.digest(b"2"));
        for (lines, expected) in [
            (vec![], Ok(Precondition::None)),
            (vec![(IF_MATCH, "*".to_owned())], Ok(Precondition::Exists)),
            (vec![(IF_MATCH, format!("\"{one}\""))], Ok(Precondition::Is(vec![one]))),
            (vec![(IF_MATCH, format!("\"{one}\", \"{two}\""))], Ok(Precondition::Is(vec![one, two]))),
            (
                vec![(IF_MATCH, format!("\"{one}\"")), (IF_MATCH, format!("\"{two}\""))],
                Ok(Precondition::Is(vec![one, two])),
            ),
            (vec![(IF_MATCH, format!("W/\"{one}\",\"a,b\",\"{two}\""))], Ok(Precondition::Is(vec![two]))),
            (vec![(IF_MATCH, one.to_string())], Ok(Precondition::Is(vec![]))),
            (vec![(IF_MATCH, String::new())], Ok(Precondition::Is(vec![]))),
            (vec![(IF_MATCH, "\"unfinished".to_owned())], Ok(Precondition::Is(vec![]))),
            (vec![(IF_NONE_MATCH, " * ".to_owned())], Ok(Precondition::Absent)),
            (vec![(IF_NONE_MATCH, format!("\"{one}\""))], Err(ConditionError)),
            (vec![(IF_MATCH, "*".to_owned()), (IF_NONE_MATCH, "*".to_owned())], Err(ConditionError)),
        ] {
            assert_eq!(precondition(&with(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_is_sent_is_what_is_expected() {
        let (one, two) = (Algorithm::Sha256.digest(b"1"), Algorithm::Sha256.digest(b"2"));
        for (line, expected) in [
            ("*".to_owned(), true),
            (format!("\"{one}\""), true),
            (format!("\"{two}\", \"{one}\""), true),
            (format!("W/\"{one}\""), false),
            (format!("\"{two}\""), false),
            (one.to_string(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_expected(&with(&[(IF_MATCH, line.clone())]), &one), expected, "{line}");
        }
        assert!(is_expected(&HeaderMap::new(), &one));
    }

    #[test]
    fn a_client_has_what_it_names() {
        let (one, two) = (Algorithm::Sha256.digest(b"1"), Algorithm::Sha256.digest(b"2"));
        for (line, known) in [
            ("*".to_owned(), true),
            (format!("\"{one}\""), true),
            (format!("W/\"{one}\""), true),
            (format!("\"{two}\", \"{one}\""), true),
            (format!("\"{two}\""), false),
            (one.to_string(), false),
        ] {
            assert_eq!(is_known(&with(&[(IF_NONE_MATCH, line.clone())]), &one), known, "{line}");
        }
        assert!(!is_known(&HeaderMap::new(), &one));
    }

    #[test]
    fn a_range_is_sent_of_the_content_it_is_wanted_of() {
        let (one, two) = (Algorithm::Sha256.digest(b"1"), Algorithm::Sha256.digest(b"2"));
        for (line, applies) in [
            (format!("\"{one}\""), true),
            (format!("W/\"{one}\""), false),
            (format!("\"{two}\""), false),
            ("Wed, 21 Oct 2015 07:28:00 GMT".to_owned(), false),
            ("*".to_owned(), false),
        ] {
            assert_eq!(range_applies(&with(&[(IF_RANGE, line.clone())]), &one), applies, "{line}");
        }
        assert!(range_applies(&HeaderMap::new(), &one));
    }
}
