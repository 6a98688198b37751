//! In which language a page is.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use crate::cookies::cookie;
use crate::form::Form;

/// The cookie that remembers what was chosen.
pub(crate) const COOKIE: &str = "swr-language";
/// The parameter by which it is chosen.
pub(crate) const PARAMETER: &str = "lang";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As the address and the cookie say it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// As documents say it.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// As those call it who speak it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.as_str() == text)
    }

    /// The one that the address asks for.
    pub(crate) fn chosen(query: &Form) -> Option<Self> {
        query.get(PARAMETER).and_then(Self::parse)
    }

    /// The one that was chosen before, or that the browser prefers; else English.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        let kept = cookie(headers, COOKIE).and_then(Self::parse);
        let lines = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        let mut ranges = lines.flat_map(|line| line.split(',')).filter_map(weighed).collect::<Vec<_>>();
        // The first of those that are preferred alike.
        ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        let preferred = ranges.into_iter().find(|(_, weight)| *weight > 0).map(|(language, _)| language);
        kept.or(preferred).unwrap_or(Self::English)
    }
}

/// A language range that means one of ours, and how much it is preferred, in thousandths.
fn weighed(range: &str) -> Option<(Language, u16)> {
    let mut parts = range.split(';');
    let primary = parts.next()?.trim().split('-').next()?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
    Some((Language::parse(&primary)?, (weight.clamp(0.0, 1.0) * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_browser_says_which_language_is_preferred_unless_one_was_chosen() {
        for (accepted, kept, expected) in [
            ("", "", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", "", Language::Chinese),
            ("en-GB, zh;q=0.9", "", Language::English),
            ("de, zh-TW;q=0.5, en;q=0.4", "", Language::Chinese),
            ("en;q=0.2, zh;q=0.3", "", Language::Chinese),
            ("zh;q=0, en;q=0.1", "", Language::English),
            ("fr", "", Language::English),
            ("zh", "swr-language=en", Language::English),
            ("en", "swr-language=zh", Language::Chinese),
            ("zh", "swr-language=xx", Language::Chinese),
            ("zh;q=x", "", Language::Chinese),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accepted));
            headers.insert(http::header::COOKIE, HeaderValue::from_static(kept));
            assert_eq!(Language::preferred(&headers), expected, "{accepted:?} {kept:?}");
        }
        assert_eq!(Language::chosen(&Form::parse(b"a=b&lang=zh")), Some(Language::Chinese));
        assert_eq!(Language::chosen(&Form::parse(b"lang=xx")), None);
    }
}
