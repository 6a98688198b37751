//! What patterns match, against a matcher that tries everything, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use swr_policy::strategies::{globs, patterns, regexes, tag_selectors, tags};
use swr_policy::{Pattern, PatternRule, PatternSyntax, SelectorSet, Tag};

/// Matches a glob by trying each alternative, and each length for each star.
fn tried(glob: &str, text: &str) -> bool {
    without_braces(glob).iter().any(|glob| wild(glob.as_bytes(), text.as_bytes()))
}

const SEAM: char = '\0';

fn without_braces(glob: &str) -> Vec<String> {
    let Some(open) = glob.find('{') else { return vec![glob.to_owned()] };
    let mut depth = 0;
    let mut starts = vec![open + 1];
    let close = glob
        .char_indices()
        .skip(open)
        .find(|&(at, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => starts.push(at + 1),
                _ => {}
            }
            depth == 0
        })
        .unwrap()
        .0;
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([close]);
    let mut all = Vec::new();
    for (number, (start, end)) in starts.iter().zip(ends).enumerate() {
        let alternative =
            if number == 0 { &glob[*start..end] } else { glob[*start..end].trim_start_matches(' ') };
        // The seams keep a star before a brace and a star behind it two stars.
        let (before, after) = (&glob[..open], &glob[close + 1..]);
        all.extend(without_braces(&format!("{before}{SEAM}{alternative}{SEAM}{after}")));
    }
    all
}

fn wild(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], _) => text.is_empty(),
        ([seam, rest @ ..], _) if char::from(*seam) == SEAM => wild(rest, text),
        ([b'*', b'*', rest @ ..], _) => (0..=text.len()).any(|run| wild(rest, &text[run..])),
        ([b'*', rest @ ..], _) => (0..=text.len())
            .take_while(|&run| !text[..run].contains(&b'/'))
            .any(|run| wild(rest, &text[run..])),
        ([b'?', rest @ ..], [first, after @ ..]) => *first != b'/' && wild(rest, after),
        ([one, rest @ ..], [other, after @ ..]) => one == other && wild(rest, after),
        (_, []) => false,
    }
}

/// Short ones: trying everything takes time.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["v[0-3](\\.[0-3]){0,2}(-rc[01])?|latest", "[v012./a-]{0,6}"]
}

/// The product's words for what is a regular expression where nobody said so.
fn seems_a_regex(text: &str) -> bool {
    let of_a_tag = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let of_a_glob = |character: char| "*?/{}, ".contains(character);
    text == ".*" || text.chars().any(|character| !of_a_tag(character) && !of_a_glob(character))
}

/// The same cases in every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` asks for others.
fn cases(number: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(number),
        failure_persistence: None,
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0),
            seed => seed,
        },
        ..asked
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn a_glob_matches_what_trying_everything_matches(glob in globs(), texts in prop::collection::vec(texts(), 8)) {
        for text in texts {
            prop_assert_eq!(glob.matches(&text), tried(glob.as_str(), &text), "{:?} against {:?}", glob, text);
        }
    }

    #[test]
    fn a_glob_between_plain_texts_matches_them(before in tags(), after in tags(), text in texts()) {
        for (glob, wide) in [(format!("{before}*{after}"), false), (format!("{before}**{after}"), true)] {
            let matched = Pattern::glob(&glob).unwrap().matches(format!("{before}{text}{after}"));
            prop_assert_eq!(matched, wide || !text.contains('/'));
        }
    }

    #[test]
    fn a_tag_its_glob_and_its_escaped_regex_agree(one in tags(), other in tags()) {
        let glob = Pattern::glob(one.as_str()).unwrap();
        let regex = Pattern::regex(&format!("^{}$", regex_syntax::escape(one.as_str()))).unwrap();
        for tag in [&one, &other] {
            prop_assert_eq!(glob.matches(tag), one == *tag);
            prop_assert_eq!(regex.matches(tag), one == *tag);
        }
    }

    #[test]
    fn a_regex_matches_what_the_regex_crate_matches(pattern in regexes(), tag in tags()) {
        let expected = regex::bytes::RegexBuilder::new(pattern.as_str()).unicode(false).build().unwrap();
        prop_assert_eq!(pattern.matches(&tag), expected.is_match(tag.as_str().as_bytes()));
    }

    #[test]
    fn the_syntax_is_inferred_as_the_product_says(
        text in prop_oneof!["[v2.*?{},/ _-]{1,5}", "[v2.*^$()|+\\\\\\[é ]{1,5}", Just(".*".to_owned())],
    ) {
        let syntax = match Pattern::parse(&text) {
            Ok(pattern) => pattern.syntax(),
            Err(error) => error.syntax(),
        };
        prop_assert_eq!(syntax == PatternSyntax::Regex, seems_a_regex(&text));
    }

    #[test]
    fn what_is_said_in_front_decides(text in "[v2.*?{},^$ ]{0,5}") {
        prop_assert_eq!(Pattern::parse(&format!("glob:{text}")).ok(), Pattern::glob(&text).ok());
        prop_assert_eq!(Pattern::parse(&format!("regex:{text}")).ok(), Pattern::regex(&text).ok());
    }

    #[test]
    fn what_is_printed_is_parsed_again(pattern in patterns()) {
        prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern.clone()));
        prop_assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
        let json = serde_json::to_string(&pattern).unwrap();
        prop_assert_eq!(serde_json::from_str(&json).ok(), Some(pattern));
    }

    #[test]
    fn any_text_is_a_pattern_or_refused_within_itself(
        text in prop_oneof![any::<String>(), "(glob:|regex:)?[v.*?{},()\\[\\]^$|+ ]{0,12}"],
    ) {
        for made in [Pattern::parse(&text), Pattern::glob(&text), Pattern::regex(&text)] {
            if let Err(error) = made {
                prop_assert!(text.get(error.position()..).is_some(), "{}", error);
            }
        }
    }

    #[test]
    fn a_selector_set_says_what_one_after_the_other_says(
        selectors in prop::collection::vec(tag_selectors(), 0..40),
        tag in tags(),
    ) {
        let set = SelectorSet::new(&selectors);
        let chosen: Vec<usize> = (0..selectors.len()).filter(|&at| selectors[at].matches(&tag)).collect();
        prop_assert_eq!(set.first(&tag), chosen.first().copied());
        prop_assert_eq!(set.matching(&tag), chosen);
    }
}

#[test]
fn the_products_patterns_are_read_as_it_says() {
    let cases = [
        ("^v2.*", PatternSyntax::Regex, "v2", true),
        ("^v2.*", PatternSyntax::Regex, "v2.0.0", true),
        ("^v2.*", PatternSyntax::Regex, "xv2", false),
        ("v2.*", PatternSyntax::Glob, "v2.0", true),
        ("v2.*", PatternSyntax::Glob, "v2", false),
        ("v2.*", PatternSyntax::Glob, "xv2.0", false),
        (".*", PatternSyntax::Regex, "anything", true),
        ("glob:.*", PatternSyntax::Glob, "anything", false),
        ("glob:.*", PatternSyntax::Glob, ".anything", true),
        ("regex:v2.*", PatternSyntax::Regex, "xv2", true),
        ("v+", PatternSyntax::Regex, "xvv", true),
        ("{a, b,  c}", PatternSyntax::Glob, "c", true),
        ("{v,}1", PatternSyntax::Glob, "1", true),
        ("*/b", PatternSyntax::Glob, "a/b", true),
        ("*b", PatternSyntax::Glob, "a/b", false),
        ("**b", PatternSyntax::Glob, "a/b", true),
        ("a?b", PatternSyntax::Glob, "a/b", false),
        ("a?b", PatternSyntax::Glob, "a-b", true),
    ];
    for (text, syntax, tag, matches) in cases {
        let pattern = Pattern::parse(text).unwrap();
        assert_eq!((pattern.syntax(), pattern.matches(tag)), (syntax, matches), "{text} against {tag}");
    }
}

#[test]
fn a_text_is_printed_with_its_syntax_only_where_it_must_be() {
    for said in ["v2.*", "^v2.*", ".*", "glob:.*", "regex:v2.*", "regex:glob:v", "regex:regex:v"] {
        assert_eq!(Pattern::parse(said).unwrap().to_string(), said);
    }
    assert_eq!(Pattern::parse("glob:v2.*").unwrap().to_string(), "v2.*");
    assert_eq!(Pattern::parse("regex:^v2").unwrap().to_string(), "^v2");
    assert_eq!(format!("{:?}", Pattern::parse("^v2").unwrap()), r#"Regex("^v2")"#);
    assert_eq!(format!("{:?}", Pattern::parse("v2*").unwrap()), r#"Glob("v2*")"#);
}

#[test]
fn patterns_are_equal_when_syntax_and_text_are() {
    let glob = Pattern::glob("v2").unwrap();
    assert_eq!(glob, Pattern::parse("v2").unwrap());
    assert_ne!(glob, Pattern::glob("v1").unwrap());
    assert_ne!(glob, Pattern::regex("v2").unwrap());
}

#[test]
fn a_refusal_says_where_and_why() {
    let cases = [
        ("", "invalid glob \"\": it may not be empty (byte 0)"),
        ("regex:", "invalid regular expression \"regex:\": it may not be empty (byte 6)"),
        ("v{1,2", "invalid glob \"v{1,2\": '{' is never closed (byte 1)"),
        ("{a{b}", "invalid glob \"{a{b}\": '{' is never closed (byte 0)"),
        ("v1}", "invalid glob \"v1}\": '}' was never opened (byte 2)"),
        ("v1,v2", "invalid glob \"v1,v2\": ',' belongs between braces (byte 2)"),
        ("v1 ", "invalid glob \"v1 \": a blank belongs after a comma between braces (byte 2)"),
        ("{ a}", "invalid glob \"{ a}\": a blank belongs after a comma between braces (byte 1)"),
        ("{a, b }", "invalid glob \"{a, b }\": a blank belongs after a comma between braces (byte 5)"),
        ("glob:v[12]", "invalid glob \"glob:v[12]\": '[' is neither of a tag nor of a glob (byte 6)"),
        ("^v(2", "invalid regular expression \"^v(2\": unclosed group (byte 2)"),
        ("regex:v(2", "invalid regular expression \"regex:v(2\": unclosed group (byte 7)"),
        ("+", "invalid regular expression \"+\": repetition operator missing expression (byte 0)"),
        ("^v[", "invalid regular expression \"^v[\": unclosed character class (byte 2)"),
    ];
    for (text, sentence) in cases {
        assert_eq!(Pattern::parse(text).unwrap_err().to_string(), sentence);
    }
    let error = Pattern::parse("glob:v[12]").unwrap_err();
    assert_eq!((error.text(), error.rule()), ("glob:v[12]", &PatternRule::Character('[')));
}

#[test]
fn what_is_too_long_too_deep_or_too_large_is_refused() {
    let limit = Pattern::BYTES_MAX;
    assert!(Pattern::glob(&"a".repeat(limit)).is_ok());
    assert!(Pattern::regex(&"a".repeat(limit)).is_ok());
    assert!(Pattern::parse(&format!("regex:{}", "a".repeat(limit))).is_ok());
    for error in [Pattern::glob(&"a".repeat(limit + 1)), Pattern::regex(&"a".repeat(limit + 1))] {
        let error = error.unwrap_err();
        assert_eq!((error.rule(), error.position()), (&PatternRule::TooLong { limit }, limit));
    }

    let limit = Pattern::NESTING_MAX;
    let braces = |depth: usize| Pattern::glob(&format!("{}a{}", "{".repeat(depth), "}".repeat(depth)));
    assert!(braces(limit).is_ok());
    let error = braces(limit + 1).unwrap_err();
    assert_eq!((error.rule(), error.position()), (&PatternRule::TooDeep { limit }, limit));
    let groups = |depth: usize| Pattern::regex(&format!("{}a{}", "(".repeat(depth), ")".repeat(depth)));
    assert!(groups(limit).is_ok());
    let error = groups(limit + 1).unwrap_err();
    assert_eq!(error.rule(), &PatternRule::TooDeep { limit });

    let limit = Pattern::COMPILED_BYTES_MAX;
    for text in [r"((a{100}){100}){100}", r"[a-z0-9]{1,128}{1,128}"] {
        let error = Pattern::regex(text).unwrap_err();
        assert_eq!((error.rule(), error.position()), (&PatternRule::TooLarge { limit }, 0), "{text}");
    }
    assert!(Pattern::regex("^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$").is_ok());
}

/// The costliest globs there can be stay within the limit on what a pattern compiles to.
#[test]
fn no_glob_is_too_large() {
    for piece in ["?", "*", "**", "*?", "*a", "{?,*}", "{?*}", "{,}", "{{{{?,*},*},*},*}", "?/"] {
        let glob = piece.repeat(Pattern::BYTES_MAX / piece.len());
        assert!(Pattern::glob(&glob).is_ok(), "{piece}");
    }
}

#[test]
fn many_selectors_are_found_at_their_positions() {
    let selectors: Vec<_> = (0..1_000)
        .map(|number| Pattern::glob(&format!("v{}.*", number % 500)).unwrap())
        .map(swr_policy::TagSelector::Pattern)
        .collect();
    let set = SelectorSet::new(&selectors);
    for number in [0, 255, 256, 499] {
        let tag = Tag::parse(&format!("v{number}.0")).unwrap();
        assert_eq!(set.matching(&tag), [number, number + 500]);
        assert_eq!(set.first(&tag), Some(number));
    }
    assert_eq!(set.first(&Tag::parse("v500.0").unwrap()), None);
}
