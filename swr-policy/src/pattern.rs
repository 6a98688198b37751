//! Patterns over tags: a glob or a regular expression, said or inferred; compiled once, bounded.

use std::fmt;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

use crate::name;

/// A pattern over tags, compiled when it is made.
///
/// - A *glob* matches the whole text. `*` is any run without `/`, `**` any run, `?` one character but `/`,
///   `{a,b,…}` one of the alternatives, which may be empty, nest, and have blanks after their commas. Nothing else
///   is special, and what neither a tag nor a path can contain is refused.
/// - A *regular expression* matches anywhere in the text unless anchored. Its syntax is that of the `regex`
///   crate. Names are ASCII, and so are its classes: `\w` is `[0-9A-Za-z_]`.
///
/// Matching takes time linear in the text whatever the pattern. A pattern has at most
/// [`BYTES_MAX`](Self::BYTES_MAX) bytes, nests at most [`NESTING_MAX`](Self::NESTING_MAX) deep, and compiles
/// to at most [`COMPILED_BYTES_MAX`](Self::COMPILED_BYTES_MAX).
///
/// Two patterns are equal when syntax and text are.
#[derive(Clone)]
pub struct Pattern {
    syntax: PatternSyntax,
    text: Box<str>,
    program: Regex,
}

/// How a pattern's text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the wire knows these two, and hosts tell them apart")]
pub enum PatternSyntax {
    /// `*`, `**`, `?` and `{a,b}`; the whole text.
    Glob,
    /// A regular expression; anywhere in the text.
    Regex,
}

impl Pattern {
    /// The longest pattern, in bytes, without a word in front that says its syntax.
    pub const BYTES_MAX: usize = 512;
    /// How deep braces, or the groups, repetitions and alternatives of a regular expression, may nest.
    pub const NESTING_MAX: usize = 24;
    /// How large a compiled pattern may be, in bytes. No glob reaches it.
    pub const COMPILED_BYTES_MAX: usize = 128 << 10;

    /// Takes a glob.
    pub fn glob(text: &str) -> Result<Self, PatternError> {
        Self::of(PatternSyntax::Glob, text).map_err(|defect| defect.of(PatternSyntax::Glob, text, text))
    }

    /// Takes a regular expression.
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        Self::of(PatternSyntax::Regex, text).map_err(|defect| defect.of(PatternSyntax::Regex, text, text))
    }

    /// Takes a pattern from where there is one string and no word about its syntax, such as the wire.
    ///
    /// The string says `glob:` or `regex:` in front; or else it is a regular expression if it is just `.*` or contains
    /// a character that neither a tag nor a glob has (such as `^ $ ( ) | + \ [`), and a glob if not. So `v2.*` is a
    /// glob, which matches `v2.0` and not `v2`.
    ///
    /// What [`Display`](fmt::Display) writes is taken back as the same pattern.
    pub fn parse(said: &str) -> Result<Self, PatternError> {
        let (syntax, text) = read_syntax(said);
        Self::of(syntax, text).map_err(|defect| defect.of(syntax, text, said))
    }

    /// Whether the pattern matches the text, which is a tag's or another name's.
    pub fn matches(&self, text: impl AsRef<str>) -> bool {
        self.program.is_match(text.as_ref().as_bytes())
    }

    /// Whether this is a glob or a regular expression.
    pub fn syntax(&self) -> PatternSyntax {
        self.syntax
    }

    /// The pattern as it was given, without a word in front that said its syntax.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The regular expression that decides, anchors included.
    pub(crate) fn program(&self) -> &str {
        self.program.as_str()
    }

    fn of(syntax: PatternSyntax, text: &str) -> Result<Self, Defect> {
        if text.is_empty() {
            return Err(Defect { rule: PatternRule::Empty, position: 0 });
        }
        if text.len() > Self::BYTES_MAX {
            let limit = Self::BYTES_MAX;
            return Err(Defect { rule: PatternRule::TooLong { limit }, position: limit });
        }
        let program = match syntax {
            PatternSyntax::Glob => compile(&glob_program(text)?)?,
            PatternSyntax::Regex => {
                check_regex(text)?;
                compile(text)?
            }
        };
        Ok(Self { syntax, text: text.into(), program })
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(said: &str) -> Result<Self, PatternError> {
        Self::parse(said)
    }
}

/// What [`Pattern::parse`] reads as this pattern: its text, and its syntax in front where the text alone would be
/// read otherwise.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if read_syntax(&self.text) != (self.syntax, &self.text) {
            f.write_str(self.syntax.word())?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(match self.syntax {
            PatternSyntax::Glob => "Glob",
            PatternSyntax::Regex => "Regex",
        })
        .field(&self.text)
        .finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (self.syntax, &self.text) == (other.syntax, &other.text)
    }
}

impl Eq for Pattern {}

#[cfg(feature = "serde")]
impl serde::Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = String::deserialize(deserializer)?;
        Self::parse(&said).map_err(serde::de::Error::custom)
    }
}

impl PatternSyntax {
    const ALL: [Self; 2] = [Self::Glob, Self::Regex];

    /// What a pattern has in front to say its syntax.
    fn word(self) -> &'static str {
        match self {
            Self::Glob => "glob:",
            Self::Regex => "regex:",
        }
    }
}

impl fmt::Display for PatternSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glob => "glob",
            Self::Regex => "regular expression",
        })
    }
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {syntax} {text:?}: {rule} (byte {position})")]
pub struct PatternError {
    syntax: PatternSyntax,
    text: Box<str>,
    rule: PatternRule,
    position: usize,
}

impl PatternError {
    /// What the text was taken for.
    pub fn syntax(&self) -> PatternSyntax {
        self.syntax
    }

    /// The text as it was given; of a long one the first 256 bytes or slightly fewer, and `…`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rule that was broken.
    pub fn rule(&self) -> &PatternRule {
        &self.rule
    }

    /// Where in the text as it was given it was broken, in bytes from 0.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// A rule that a pattern can break.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternRule {
    /// There is nothing.
    Empty,
    /// There are more bytes than the limit. The position is that of the first byte too many.
    TooLong {
        /// How many bytes there may be.
        limit: usize,
    },
    /// It nests deeper than the limit.
    TooDeep {
        /// How deep it may nest.
        limit: usize,
    },
    /// It would compile to more than the limit.
    TooLarge {
        /// How many bytes it may compile to.
        limit: usize,
    },
    /// A glob does not have this character here.
    Character(char),
    /// A brace is opened and never closed. The position is that of the brace.
    UnclosedBrace,
    /// A brace is closed that was never opened.
    UnopenedBrace,
    /// What the regular expression's parser says.
    Regex(Box<str>),
}

impl fmt::Display for PatternRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it may not be empty"),
            Self::TooLong { limit } => write!(f, "it may not be longer than {limit} bytes"),
            Self::TooDeep { limit } => write!(f, "it may not nest deeper than {limit}"),
            Self::TooLarge { limit } => write!(f, "it may not compile to more than {limit} bytes"),
            Self::Character(',') => f.write_str("',' belongs between braces"),
            Self::Character(' ') => f.write_str("a blank belongs after a comma between braces"),
            Self::Character(character) => write!(f, "{character:?} is neither of a tag nor of a glob"),
            Self::UnclosedBrace => f.write_str("'{' is never closed"),
            Self::UnopenedBrace => f.write_str("'}' was never opened"),
            Self::Regex(reason) => f.write_str(reason),
        }
    }
}

struct Defect {
    rule: PatternRule,
    position: usize,
}

impl Defect {
    /// `text` is the end of `said`: what remains without the word that says the syntax.
    fn of(self, syntax: PatternSyntax, text: &str, said: &str) -> PatternError {
        let position = self.position + (said.len() - text.len());
        PatternError { syntax, text: name::excerpt(said), rule: self.rule, position }
    }
}

fn read_syntax(said: &str) -> (PatternSyntax, &str) {
    for syntax in PatternSyntax::ALL {
        if let Some(text) = said.strip_prefix(syntax.word()) {
            return (syntax, text);
        }
    }
    match said == ".*" || !said.chars().all(is_of_tag_or_glob) {
        true => (PatternSyntax::Regex, said),
        false => (PatternSyntax::Glob, said),
    }
}

fn is_of_tag_or_glob(character: char) -> bool {
    // The slash is what `*` stops at; the blank may follow a comma.
    matches!(character, '*' | '?' | '{' | '}' | ',' | ' ' | '/') || is_of_tag(character)
}

fn is_of_tag(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}

/// The regular expression that matches what the glob matches.
fn glob_program(glob: &str) -> Result<String, Defect> {
    let mut program = String::from(r"\A");
    let mut open = Vec::new();
    let mut after_comma = false;
    let mut characters = glob.char_indices().peekable();
    while let Some((position, character)) = characters.next() {
        let refuse = |rule| Err(Defect { rule, position });
        match character {
            ' ' if after_comma => continue,
            '*' => {
                let mut run = "[^/]*";
                while characters.next_if(|&(_, next)| next == '*').is_some() {
                    run = "(?s:.)*";
                }
                program.push_str(run);
            }
            '?' => program.push_str("[^/]"),
            '{' if open.len() == Pattern::NESTING_MAX => {
                return refuse(PatternRule::TooDeep { limit: Pattern::NESTING_MAX });
            }
            '{' => {
                open.push(position);
                program.push_str("(?:");
            }
            '}' => match open.pop() {
                Some(_) => program.push(')'),
                None => return refuse(PatternRule::UnopenedBrace),
            },
            ',' if !open.is_empty() => program.push('|'),
            '.' => program.push_str(r"\."),
            '/' => program.push('/'),
            _ if is_of_tag(character) => program.push(character),
            _ => return refuse(PatternRule::Character(character)),
        }
        after_comma = character == ',';
    }
    if let Some(position) = open.pop() {
        return Err(Defect { rule: PatternRule::UnclosedBrace, position });
    }
    program.push_str(r"\z");
    Ok(program)
}

/// Parsed once more than compiling needs, because compiling does not tell the position.
fn check_regex(text: &str) -> Result<(), Defect> {
    use regex_syntax::{Error, ParserBuilder, ast};

    let limit = Pattern::NESTING_MAX;
    let nest_limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).nest_limit(nest_limit).build();
    let (rule, span) = match parser.parse(text) {
        Ok(_) => return Ok(()),
        Err(Error::Parse(error)) => match error.kind() {
            ast::ErrorKind::NestLimitExceeded(_) => (PatternRule::TooDeep { limit }, *error.span()),
            kind => (PatternRule::Regex(kind.to_string().into()), *error.span()),
        },
        Err(Error::Translate(error)) => (PatternRule::Regex(error.kind().to_string().into()), *error.span()),
        Err(error) => {
            return Err(Defect { rule: PatternRule::Regex(error.to_string().into()), position: 0 });
        }
    };
    Err(Defect { rule, position: span.start.offset })
}

fn compile(program: &str) -> Result<Regex, Defect> {
    let limit = Pattern::COMPILED_BYTES_MAX;
    RegexBuilder::new(program).unicode(false).size_limit(limit).dfa_size_limit(limit).build().map_err(
        |error| {
            let rule = match error {
                regex::Error::CompiledTooBig(_) => PatternRule::TooLarge { limit },
                error => PatternRule::Regex(error.to_string().into()),
            };
            Defect { rule, position: 0 }
        },
    )
}
