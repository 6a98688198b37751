//! The parameter `filter`: pairs of a key and a value, `key::value|key::value`. Pure.

/// What a list is to be narrowed to: each key once. Values are not escaped, and so have no `|`.
///
/// ```
/// use swr_http::control::filter::Filter;
///
/// let filter = Filter::parse("namespace::group|limit::10", &["namespace", "limit"])?;
/// assert_eq!(filter.get("namespace"), Some("group"));
/// # Ok::<(), swr_http::control::filter::FilterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Filter<'a> {
    /// Reads a filter of a list that knows these keys.
    pub fn parse(text: &'a str, keys: &[&str]) -> Result<Self, FilterError> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for pair in text.split('|') {
            let (key, value) = pair.split_once("::").ok_or(FilterError::Pair)?;
            if !keys.contains(&key) {
                return Err(FilterError::Key(key.chars().take(160).collect()));
            }
            if pairs.iter().any(|(found, _)| *found == key) {
                return Err(FilterError::Repeated(key.into()));
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    /// The value of a key; `None` where it is not given.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(found, _)| *found == key).map(|(_, value)| *value)
    }
}

/// Why a text is no filter of a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It is not made of pairs.
    #[error("a filter is made of pairs `key::value` with `|` between them")]
    Pair,
    /// The list knows no such key.
    #[error("this list has no filter `{0}`")]
    Key(Box<str>),
    /// A key comes twice.
    #[error("the filter has `{0}` more than once")]
    Repeated(Box<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 3] = ["namespace", "name", "limit"];

    #[test]
    fn a_filter_is_its_pairs() {
        let filter = Filter::parse("name::a$b::c|limit::10|namespace::", &KEYS).unwrap();
        assert_eq!(filter.get("name"), Some("a$b::c"));
        assert_eq!(filter.get("limit"), Some("10"));
        assert_eq!(filter.get("namespace"), Some(""));
        assert_eq!(Filter::parse("name::x", &KEYS).unwrap().get("limit"), None);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (text, expected) in [
            ("", FilterError::Pair),
            ("name", FilterError::Pair),
            ("name:x", FilterError::Pair),
            ("name::x|", FilterError::Pair),
            ("|name::x", FilterError::Pair),
            ("name::x||limit::1", FilterError::Pair),
            ("name::a|b", FilterError::Pair),
            ("::x", FilterError::Key("".into())),
            ("Name::x", FilterError::Key("Name".into())),
            ("name ::x", FilterError::Key("name ".into())),
            ("name::x|name::y", FilterError::Repeated("name".into())),
        ] {
            assert_eq!(Filter::parse(text, &KEYS), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_hostile_filter_costs_and_says_no_more_than_a_small_one() {
        let many = "name::x|".repeat(10_000);
        assert_eq!(Filter::parse(&many, &KEYS), Err(FilterError::Repeated("name".into())));
        let long = format!("{}::x", "é".repeat(10_000));
        let Err(FilterError::Key(key)) = Filter::parse(&long, &KEYS) else { panic!() };
        assert_eq!(key.chars().count(), 160);
    }
}
