//! Names that cannot be wrong: organisations, repositories, tags; and what was wrong with a text that is none.

use std::fmt;
use std::sync::Arc;

/// The name of an organisation, the first component of a repository's path.
///
/// - 1 to 64 bytes;
/// - runs of `a-z` and `0-9`, the first of which begins with a letter;
/// - runs are joined by `_`, `__` or any number of dashes.
///
/// Whether a name is taken or reserved is not its own matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganisationName(Box<str>);

impl OrganisationName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Takes a text that is an organisation's name, and no other.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match organisation_defect(text) {
            None => Ok(Self(text.into())),
            Some(defect) => Err(defect.of(NameKind::Organisation, text, 1)),
        }
    }
}

/// A repository's name: a path, as the OCI distribution specification has it.
///
/// - at most 255 bytes in all;
/// - components separated by `/`, none of them empty;
/// - a component is runs of `a-z` and `0-9`, joined by `.`, `_`, `__` or any number of dashes.
///
/// What more a registry asks of a name that is to come into being, a [`NamingPolicy`](crate::NamingPolicy) says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The longest name, in bytes. The specification sets no limit, and says that many clients keep to this one.
    pub const MAX_BYTES: usize = 255;

    /// Takes a text that is a repository's name, and no other.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if let Some(defect) = too_long(text, Self::MAX_BYTES) {
            return Err(defect.of(NameKind::Repository, text, component_at(text, defect.position)));
        }
        let mut start = 0;
        for (index, component) in text.split('/').enumerate() {
            if let Some(defect) = component_defect(component, Component { digit_first: true, dots: true }) {
                return Err(defect.further(start).of(NameKind::Repository, text, index + 1));
            }
            start += component.len() + 1;
        }
        Ok(Self(text.into()))
    }

    /// The parts between the slashes, from first to last; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('/')
    }
}

/// A tag: a letter, digit or `_`, then up to 127 letters, digits, `_`, `.` or `-` (`[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Takes a text that is a tag, and no other.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match tag_defect(text) {
            None => Ok(Self(text.into())),
            Some(defect) => Err(defect.of(NameKind::Tag, text, 1)),
        }
    }
}

/// Why a text is not the name it was to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind} {text:?}: {}{rule} (byte {position})", self.place())]
pub struct NameError {
    kind: NameKind,
    text: Box<str>,
    component: usize,
    rule: NameRule,
    position: usize,
}

impl NameError {
    /// What the text was to be the name of.
    pub fn kind(&self) -> NameKind {
        self.kind
    }

    /// The text itself; of a long one the first 256 bytes or slightly fewer, and `…`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which component of a path is at fault, counted from 1. A name that is no path has one component.
    pub fn component(&self) -> usize {
        self.component
    }

    /// The rule that was broken.
    pub fn rule(&self) -> NameRule {
        self.rule
    }

    /// Where in the whole text it was broken, in bytes from 0.
    pub fn position(&self) -> usize {
        self.position
    }

    fn place(&self) -> Place {
        Place((self.kind == NameKind::Repository).then_some(self.component))
    }
}

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameKind {
    /// An organisation.
    Organisation,
    /// A repository.
    Repository,
    /// A version of a repository.
    Tag,
    /// A trigger.
    Trigger,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organisation => "organisation name",
            Self::Repository => "repository name",
            Self::Tag => "tag",
            Self::Trigger => "trigger name",
        })
    }
}

/// A rule that a name can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameRule {
    /// There is nothing.
    Empty,
    /// There are more bytes than the limit. The position is that of the first byte too many.
    TooLong {
        /// How many bytes there may be.
        limit: usize,
    },
    /// The character does not belong into such a name.
    Character(char),
    /// The character belongs into such a name, but not at its beginning.
    Beginning(char),
    /// The character belongs into such a name, but not at its end.
    End(char),
    /// The character is a separator, and may not follow the separator before it.
    Separator(char),
}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("may not be empty"),
            Self::TooLong { limit } => write!(f, "may not be longer than {limit} bytes"),
            Self::Character(character) => write!(f, "may not contain {character:?}"),
            Self::Beginning(character) => write!(f, "may not begin with {character:?}"),
            Self::End(character) => write!(f, "may not end with {character:?}"),
            Self::Separator(character) => write!(f, "may not have {character:?} after another separator"),
        }
    }
}

/// The component a message speaks of, where there can be several.
struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(component) => write!(f, "component {component} "),
            None => f.write_str("it "),
        }
    }
}

/// A broken rule and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defect {
    pub(crate) rule: NameRule,
    pub(crate) position: usize,
}

impl Defect {
    fn at(position: usize, rule: NameRule) -> Option<Self> {
        Some(Self { rule, position })
    }

    /// The same defect in a text of which `start` bytes stand in front.
    pub(crate) fn further(self, start: usize) -> Self {
        Self { position: self.position + start, ..self }
    }

    pub(crate) fn of(self, kind: NameKind, text: &str, component: usize) -> NameError {
        NameError { kind, text: excerpt(text), component, rule: self.rule, position: self.position }
    }
}

/// How one component of a path is built, beyond runs of `a-z` and `0-9` joined by `_`, `__` or dashes.
#[derive(Clone, Copy)]
struct Component {
    digit_first: bool,
    dots: bool,
}

pub(crate) fn organisation_defect(text: &str) -> Option<Defect> {
    too_long(text, OrganisationName::MAX_BYTES)
        .or_else(|| component_defect(text, Component { digit_first: false, dots: false }))
}

/// What the repository rule of the `swr` profiles holds against one component, its length apart.
pub(crate) fn plain_component_defect(text: &str) -> Option<Defect> {
    component_defect(text, Component { digit_first: true, dots: false })
}

fn component_defect(text: &str, component: Component) -> Option<Defect> {
    /// What the characters so far end with.
    #[derive(Clone, Copy)]
    enum End {
        Nothing,
        Word,
        /// As many as may no longer be followed by one more, or not yet.
        Separator(char, Repeat),
    }
    #[derive(Clone, Copy)]
    enum Repeat {
        Allowed,
        Exhausted,
    }

    let mut end = End::Nothing;
    for (at, character) in text.char_indices() {
        end = match (character, end) {
            ('0'..='9', End::Nothing) if !component.digit_first => {
                return Defect::at(at, NameRule::Beginning(character));
            }
            ('a'..='z' | '0'..='9', _) => End::Word,
            ('.', _) if !component.dots => return Defect::at(at, NameRule::Character(character)),
            ('.' | '_' | '-', End::Nothing) => return Defect::at(at, NameRule::Beginning(character)),
            ('.', End::Word) => End::Separator('.', Repeat::Exhausted),
            ('_', End::Word) => End::Separator('_', Repeat::Allowed),
            ('_', End::Separator('_', Repeat::Allowed)) => End::Separator('_', Repeat::Exhausted),
            ('-', End::Word | End::Separator('-', _)) => End::Separator('-', Repeat::Allowed),
            ('.' | '_' | '-', End::Separator(..)) => return Defect::at(at, NameRule::Separator(character)),
            _ => return Defect::at(at, NameRule::Character(character)),
        };
    }
    match end {
        End::Nothing => Defect::at(0, NameRule::Empty),
        End::Word => None,
        End::Separator(separator, _) => {
            Defect::at(text.len() - separator.len_utf8(), NameRule::End(separator))
        }
    }
}

fn tag_defect(text: &str) -> Option<Defect> {
    if text.is_empty() {
        return Defect::at(0, NameRule::Empty);
    }
    too_long(text, Tag::MAX_BYTES).or_else(|| {
        text.char_indices().find_map(|(at, character)| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => None,
            '.' | '-' if at > 0 => None,
            '.' | '-' => Defect::at(at, NameRule::Beginning(character)),
            _ => Defect::at(at, NameRule::Character(character)),
        })
    })
}

pub(crate) fn too_long(text: &str, limit: usize) -> Option<Defect> {
    (text.len() > limit).then_some(Defect { rule: NameRule::TooLong { limit }, position: limit })
}

/// The number of the component that the byte at `position` lies in, counted from 1.
fn component_at(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|&byte| byte == b'/').count()
}

/// As much of a text as an error carries about.
pub(crate) fn excerpt(text: &str) -> Box<str> {
    const EXCERPT_BYTES_MAX: usize = 256;
    if text.len() <= EXCERPT_BYTES_MAX {
        return text.into();
    }
    let (head, _) = text.split_at(text.floor_char_boundary(EXCERPT_BYTES_MAX));
    format!("{head}…").into()
}

/// What every name does beside parsing: it is its text, wherever a text is wanted.
macro_rules! name_is_its_text {
    ($($name:ident),+) => {$(
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::NameError;

            fn from_str(text: &str) -> Result<Self, $crate::NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::NameError;

            fn try_from(text: String) -> Result<Self, $crate::NameError> {
                Self::parse(&text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use name_is_its_text;

name_is_its_text!(OrganisationName, RepositoryName, Tag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_was_wrong_with_what_and_where() {
        let said = |text: &str| RepositoryName::parse(text).unwrap_err().to_string();
        assert_eq!(
            said("lib/Nginx"),
            r#"invalid repository name "lib/Nginx": component 2 may not contain 'N' (byte 4)"#
        );
        assert_eq!(said(""), r#"invalid repository name "": component 1 may not be empty (byte 0)"#);
        assert_eq!(
            said("lib\n/x"),
            r#"invalid repository name "lib\n/x": component 1 may not contain '\n' (byte 3)"#
        );
        assert_eq!(
            Tag::parse("-v1").unwrap_err().to_string(),
            r#"invalid tag "-v1": it may not begin with '-' (byte 0)"#
        );
    }

    #[test]
    fn an_error_does_not_grow_with_the_text() {
        let text = "é".repeat(1 << 20);
        assert!(RepositoryName::parse(&text).unwrap_err().text().len() <= 256 + '…'.len_utf8());
        assert!(Tag::parse(&text).unwrap_err().text().ends_with("é…"));
    }

    #[test]
    fn a_defect_names_its_component_rule_and_position() {
        let cases = [
            ("", 1, NameRule::Empty, 0),
            ("/a", 1, NameRule::Empty, 0),
            ("a/", 2, NameRule::Empty, 2),
            ("a//b", 2, NameRule::Empty, 2),
            ("a/b/.c", 3, NameRule::Beginning('.'), 4),
            ("a/b_/c", 2, NameRule::End('_'), 3),
            ("a/b---", 2, NameRule::End('-'), 5),
            ("a..b", 1, NameRule::Separator('.'), 2),
            ("a___b", 1, NameRule::Separator('_'), 3),
            ("a_-b", 1, NameRule::Separator('-'), 2),
            ("a-_b", 1, NameRule::Separator('_'), 2),
            ("a-.b", 1, NameRule::Separator('.'), 2),
            ("a/ü", 2, NameRule::Character('ü'), 2),
        ];
        for (text, component, rule, position) in cases {
            let error = RepositoryName::parse(text).unwrap_err();
            assert_eq!(
                (error.component(), error.rule(), error.position()),
                (component, rule, position),
                "{text:?}"
            );
        }
        let long = format!("a/b/{}", "c".repeat(255));
        let error = RepositoryName::parse(&long).unwrap_err();
        assert_eq!((error.component(), error.rule()), (3, NameRule::TooLong { limit: 255 }));
        assert_eq!(error.position(), 255);
    }
}
