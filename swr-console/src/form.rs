//! What a form, or the query of an address, says.

/// Names and values, in their order. A name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// No form is longer, in bytes: the longest description there may be, of characters that take the most.
    pub(crate) const BYTES_MAX: usize = 512 << 10;

    /// Reads `name=value&…`. Everything is a form; what is no text in UTF-8 is replaced.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Says one thing more.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// The first value of the name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of the name, without blanks around it; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default().trim()
    }

    /// As [`Self::text`]; `None` where it is empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of the name.
    pub(crate) fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same with another value for the name, or without it.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut pairs = self.0.clone();
        pairs.retain(|(key, _)| key != name);
        pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        Self(pairs)
    }

    /// As the query of an address, with the question mark; empty where nothing is said.
    pub(crate) fn query(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        form_urlencoded::Serializer::for_suffix("?".to_owned(), 1).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_was_sent() {
        let form = Form::parse(b"name=a+b&tag=v1&tag=v%202&empty=&=x&%ff=1");
        assert_eq!(form.text("name"), "a b");
        assert_eq!(form.all("tag").collect::<Vec<_>>(), ["v1", "v 2"]);
        assert_eq!((form.given("empty"), form.get("empty"), form.get("none")), (None, Some(""), None));
        assert_eq!(Form::parse(b""), Form::default());
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let form = Form::parse(b"a=1&b=2&a=3");
        assert_eq!(form.query(), "?a=1&b=2&a=3");
        assert_eq!(form.with("a", Some("x&y=<>")).query(), "?b=2&a=x%26y%3D%3C%3E");
        assert_eq!(form.with("a", None).with("b", None).query(), "");
    }
}
