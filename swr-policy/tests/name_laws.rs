//! What names and naming profiles are, against the expressions that define them.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use regex::Regex;
use swr_policy::strategies::{
    near_names, organisation_names, repository_names, swr_repository_names, tags, trigger_names,
};
use swr_policy::{
    NameError, NameRule, NamingPolicy, NamingRefusal, NamingRule, OciNaming, OrganisationName,
    RepositoryName, SwrNaming, SwrNestedNaming, Tag, TriggerName,
};

static ORGANISATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^([a-z]+(?:(?:(?:_|__|[-]*)[a-z0-9]+)+)?)$").unwrap());
static REPOSITORY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^([a-z0-9]+(?:(?:(?:_|__|[-]*)[a-z0-9]+)+)?)$").unwrap());
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new("^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$").unwrap());
static TRIGGER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-zA-Z][a-zA-Z0-9]*(?:[_-][a-zA-Z0-9]+)*$").unwrap());
static OCI_REPOSITORY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$").unwrap()
});

fn swr_admits(text: &str) -> bool {
    text.split_once('/').is_some_and(|(organisation, repository)| {
        ORGANISATION.is_match(organisation)
            && organisation.len() <= 64
            && REPOSITORY.is_match(repository)
            && repository.len() <= 128
    })
}

fn swr_nested_admits(text: &str) -> bool {
    text.split_once('/').is_some_and(|(organisation, repository)| {
        ORGANISATION.is_match(organisation)
            && organisation.len() <= 64
            && repository.split('/').all(|component| REPOSITORY.is_match(component))
            && repository.len() <= 128
    })
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn manage() -> OrganisationName {
    OrganisationName::parse("manage").unwrap()
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
    #![proptest_config(cases(2_000))]

    #[test]
    fn names_are_what_the_expressions_match(text in prop_oneof![near_names(), "[ab0A_./-]{0,6}", any::<String>()]) {
        prop_assert_eq!(OrganisationName::parse(&text).is_ok(), ORGANISATION.is_match(&text) && text.len() <= 64);
        prop_assert_eq!(RepositoryName::parse(&text).is_ok(), OCI_REPOSITORY.is_match(&text) && text.len() <= 255);
        prop_assert_eq!(Tag::parse(&text).is_ok(), TAG.is_match(&text));
        prop_assert_eq!(TriggerName::parse(&text).is_ok(), TRIGGER.is_match(&text) && text.len() <= 64);
    }

    #[test]
    fn the_swr_profiles_admit_what_the_expressions_match(text in prop_oneof![near_names(), "[ab0_./-]{1,7}"]) {
        if let Ok(name) = RepositoryName::parse(&text) {
            prop_assert_eq!(SwrNaming::new().admit_repository(&name).is_ok(), swr_admits(&text));
            prop_assert_eq!(SwrNestedNaming::new().admit_repository(&name).is_ok(), swr_nested_admits(&text));
            prop_assert!(OciNaming.admit_repository(&name).is_ok());
        }
    }

    #[test]
    fn what_is_printed_is_parsed_again(
        organisation in organisation_names(),
        repository in repository_names(),
        tag in tags(),
        trigger in trigger_names(),
    ) {
        prop_assert_eq!(OrganisationName::parse(&format!("{organisation}")), Ok(organisation.clone()));
        prop_assert_eq!(repository.as_str().parse(), Ok(repository.clone()));
        prop_assert_eq!(Tag::try_from(tag.to_string()), Ok(tag.clone()));
        prop_assert_eq!(TriggerName::parse(trigger.as_ref()), Ok(trigger.clone()));

        let json = serde_json::to_string(&(&organisation, &repository, &tag, &trigger)).unwrap();
        prop_assert_eq!(&json, &format!(r#"["{organisation}","{repository}","{tag}","{trigger}"]"#));
        prop_assert_eq!(serde_json::from_str(&json).ok(), Some((organisation, repository, tag, trigger)));
    }

    #[test]
    fn components_joined_are_the_name(name in repository_names()) {
        prop_assert_eq!(name.components().collect::<Vec<_>>().join("/"), name.as_str());
    }

    #[test]
    fn names_are_ordered_as_their_bytes_are(one in tags(), other in tags()) {
        prop_assert_eq!(one.cmp(&other), one.as_str().as_bytes().cmp(other.as_str().as_bytes()));
    }

    /// With a letter in place of what is refused and all behind it, the text is a name.
    #[test]
    fn an_error_points_to_where_the_text_goes_wrong(text in near_names()) {
        fn check<T>(text: &str, parse: impl Fn(&str) -> Result<T, NameError>) -> Result<(), TestCaseError> {
            let Err(error) = parse(text) else { return Ok(()) };
            prop_assert!(text.starts_with(error.text().trim_end_matches('…')));
            let (before, after) = text.split_at(error.position());
            match error.rule() {
                NameRule::TooLong { limit } => prop_assert_eq!(error.position(), limit),
                NameRule::Empty => prop_assert!(after.is_empty() || after.starts_with('/')),
                NameRule::Character(character)
                | NameRule::Beginning(character)
                | NameRule::End(character)
                | NameRule::Separator(character) => prop_assert!(after.starts_with(character)),
                rule => prop_assert!(false, "{rule:?}"),
            }
            prop_assert_eq!(error.component(), 1 + before.matches('/').count());
            if !matches!(error.rule(), NameRule::TooLong { .. }) {
                prop_assert!(parse(&format!("{before}a")).is_ok(), "{} is no name's beginning", before);
            }
            Ok(())
        }
        check(&text, RepositoryName::parse)?;
        if !text.contains('/') {
            check(&text, OrganisationName::parse)?;
            check(&text, Tag::parse)?;
            check(&text, TriggerName::parse)?;
        }
    }

    #[test]
    fn a_reserved_organisation_comes_into_being_nowhere(name in swr_repository_names()) {
        let organisation = OrganisationName::parse(name.components().next().unwrap()).unwrap();
        prop_assert!(SwrNaming::new().reserve(manage()).admit_repository(&name).is_ok());

        let swr = SwrNaming::new().reserve(manage()).reserve(organisation.clone());
        let nested = SwrNestedNaming::new().reserve(manage()).reserve(organisation.clone());
        for refusal in [
            swr.admit_repository(&name).unwrap_err(),
            nested.admit_repository(&name).unwrap_err(),
            swr.admit_organisation(&organisation).unwrap_err(),
            nested.admit_organisation(&organisation).unwrap_err(),
        ] {
            prop_assert_eq!((refusal.rule(), refusal.component()), (&NamingRule::Reserved, 1));
        }
    }
}

#[test]
fn a_refusal_names_component_rule_and_position() {
    use NamingRule::{NoOrganisation, Organisation, Repository, TooManyComponents};

    let swr = |text: &str| SwrNaming::new().admit_repository(&name(text)).unwrap_err();
    let nested = |text: &str| SwrNestedNaming::new().admit_repository(&name(text)).unwrap_err();
    let long = |bytes: usize| "a".repeat(bytes);
    let too_long = |limit| NameRule::TooLong { limit };
    let cases: Vec<(NamingRefusal, usize, NamingRule, usize)> = vec![
        (swr("nginx"), 1, NoOrganisation, 0),
        (nested("nginx"), 1, NoOrganisation, 0),
        (swr("lib/nginx/x"), 3, TooManyComponents, 10),
        (swr("lib/nginx/x/y"), 3, TooManyComponents, 10),
        (swr("0lib/nginx"), 1, Organisation(NameRule::Beginning('0')), 0),
        (swr("l.ib/nginx"), 1, Organisation(NameRule::Character('.')), 1),
        (nested("l.ib"), 1, Organisation(NameRule::Character('.')), 1),
        (swr("lib/ngi.nx"), 2, Repository(NameRule::Character('.')), 7),
        (nested("lib/ngi.nx/y"), 2, Repository(NameRule::Character('.')), 7),
        (nested("lib/x/y.z"), 3, Repository(NameRule::Character('.')), 7),
        (swr(&format!("{}/x", long(65))), 1, Organisation(too_long(64)), 64),
        (swr(&format!("lib/{}", long(129))), 2, Repository(too_long(128)), 132),
        (nested(&format!("lib/{}", long(129))), 2, Repository(too_long(128)), 132),
        (nested(&format!("lib/{}/{}", long(64), long(64))), 3, Repository(too_long(128)), 132),
        (nested(&format!("lib/{}/x", long(128))), 2, Repository(too_long(128)), 132),
    ];
    for (refusal, component, rule, position) in cases {
        assert_eq!(
            (refusal.component(), refusal.rule(), refusal.position()),
            (component, &rule, position),
            "{refusal}"
        );
    }
}

#[test]
fn the_longest_names_are_admitted() {
    let long = |bytes: usize| "a".repeat(bytes);
    let longest = name(&format!("{}/{}", long(64), long(128)));
    let nested = name(&format!("{}/{}/{}", long(64), long(64), long(63)));
    assert_eq!(SwrNaming::new().admit_repository(&longest), Ok(()));
    assert_eq!(SwrNestedNaming::new().admit_repository(&longest), Ok(()));
    assert_eq!(SwrNestedNaming::new().admit_repository(&nested), Ok(()));
}

#[test]
fn a_policy_that_says_nothing_of_tags_and_organisations_admits_them() {
    assert_eq!(OciNaming.admit_tag(&Tag::parse("latest").unwrap()), Ok(()));
    assert_eq!(OciNaming.admit_organisation(&manage()), Ok(()));
    assert_eq!(SwrNaming::new().admit_organisation(&manage()), Ok(()));
}

#[test]
fn a_refusal_is_a_sentence() {
    let said =
        |naming: &dyn NamingPolicy, text: &str| naming.admit_repository(&name(text)).unwrap_err().to_string();
    let swr = SwrNaming::new().reserve(manage());
    for (text, sentence) in [
        ("nginx", "component 1 stands alone, without an organisation in front (byte 0)"),
        ("a/b/c", "component 3 is one too many (byte 4)"),
        ("manage/x", "component 1 is a reserved organisation (byte 0)"),
        ("0lib/x", "component 1 as an organisation may not begin with '0' (byte 0)"),
        ("lib/x.y", "component 2 as a repository may not contain '.' (byte 5)"),
    ] {
        assert_eq!(said(&swr, text), format!("the name {text:?} is refused: {sentence}"));
    }

    #[derive(Debug)]
    struct Production;
    impl NamingPolicy for Production {
        fn admit_repository(&self, name: &RepositoryName) -> Result<(), NamingRefusal> {
            let (start, _) = name.as_str().rmatch_indices('/').next().unwrap();
            Err(NamingRefusal::own(name.as_str(), 2, start + 1, "must end in -prod"))
        }
    }
    assert_eq!(
        said(&Production, "lib/x"),
        "the name \"lib/x\" is refused: component 2 must end in -prod (byte 4)"
    );
    let refusal = Production.admit_repository(&name("lib/x")).unwrap_err();
    assert_eq!(refusal.name(), "lib/x");
    assert_eq!(refusal.rule(), &NamingRule::Own("must end in -prod".into()));
}
