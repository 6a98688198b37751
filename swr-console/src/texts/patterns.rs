//! Why a text is no pattern.

use swr_policy::{PatternError, PatternRule};

pub(crate) struct Patterns {
    pub(crate) at: fn(usize, &str) -> String,
    pub(crate) empty: &'static str,
    pub(crate) too_long: fn(usize) -> String,
    pub(crate) too_deep: fn(usize) -> String,
    pub(crate) too_large: &'static str,
    pub(crate) character: fn(char) -> String,
    pub(crate) unclosed: &'static str,
    pub(crate) unopened: &'static str,
}

impl Patterns {
    /// Where the pattern is wrong, and why.
    pub(crate) fn explain(&self, error: &PatternError) -> String {
        let reason = match error.rule() {
            PatternRule::Empty => self.empty.to_owned(),
            PatternRule::TooLong { limit } => (self.too_long)(*limit),
            PatternRule::TooDeep { limit } => (self.too_deep)(*limit),
            PatternRule::TooLarge { .. } => self.too_large.to_owned(),
            PatternRule::Character(character) => (self.character)(*character),
            PatternRule::UnclosedBrace => self.unclosed.to_owned(),
            PatternRule::UnopenedBrace => self.unopened.to_owned(),
            // What the parser of regular expressions says, it says in its own words.
            other => other.to_string(),
        };
        (self.at)(error.position() + 1, &reason)
    }
}

pub(crate) const EN: Patterns = Patterns {
    at: |position, reason| format!("The pattern is wrong at character {position}: {reason}"),
    empty: "it may not be empty.",
    too_long: |limit| format!("it may not be longer than {limit} bytes."),
    too_deep: |limit| format!("it may not nest deeper than {limit}."),
    too_large: "it would be too large.",
    character: |character| format!("{character:?} is neither of a version nor of a glob."),
    unclosed: "{ is never closed.",
    unopened: "} was never opened.",
};

pub(crate) const ZH: Patterns = Patterns {
    at: |position, reason| format!("表达式在第 {position} 个字节处有误：{reason}"),
    empty: "不能为空。",
    too_long: |limit| format!("不能超过 {limit} 字节。"),
    too_deep: |limit| format!("嵌套不能超过 {limit} 层。"),
    too_large: "表达式过大。",
    character: |character| format!("{character:?} 不能出现在通配符中。"),
    unclosed: "{ 没有闭合。",
    unopened: "} 没有对应的 {。",
};
