//! The aging rule of a repository, which the protocol calls a retention policy: what it is, would do and has done.

use std::num::NonZeroU32;

use http::header::CONTENT_RANGE;
use serde::{Deserialize, Serialize};
use swr_policy::aging::{AgeDays, AgeMeasure, Judged, NewestCount};
use swr_policy::{AgingLimit, AgingRule, Pattern, PatternError, PatternSyntax, TagSelector, Verdict};
use utoipa::ToSchema;

use swr_core::control::ControlError;
use swr_core::control::rule::{Cleared, RepositoryRule, RuleId};
use swr_core::{RepositoryName, Tag};

use super::body::Object;
use super::error::{ManagementFailure, ValueDefect};
use super::exchange::{Answer, Exchange, Reply, Time, excerpt, parts};
use super::paging::{OffsetPage, content_range};
use super::parameters::digits;

/// How many selectors a rule may have: each may be a regular expression.
const SELECTORS_MAX: usize = 100;

/// How rules would be put together, if there were several.
const ALGORITHM: &str = "or";

/// An aging rule to be, or other values for one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRetention {
    /// `or`.
    algorithm: String,
    /// The rule: one.
    #[schema(value_type = Vec<Rule>)]
    rules: Vec<Object<Rule>>,
}

/// Which versions go.
///
/// What the protocol has no word for is off until it is asked for, and shown where it is not off. A change that does
/// not mention it leaves it as it is.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// `date_rule`: those that are older than so many days. `tag_rule`: all but so many of the newest.
    template: String,
    #[schema(value_type = Params)]
    params: Object<Params>,
    /// Versions that never go, and are not counted.
    #[schema(value_type = Vec<Selector>)]
    tag_selectors: Vec<Object<Selector>>,
    /// If there are any: versions that none of these chooses stay, and are not counted.
    #[schema(value_type = Option<Vec<Selector>>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<Vec<Object<Selector>>>,
    /// The time that age and order go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measure: Option<Measure>,
    /// So many of the newest stay in any case; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep_at_least: Option<u32>,
    /// No more than so many go in one run, the oldest first; 0 for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removals_max: Option<u32>,
}

/// The time that age and order go by.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Measure {
    /// When the version was updated last.
    Updated,
    /// When it was updated or pulled last, whichever was later.
    LastUsed,
}

/// How many.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// Of a `date_rule`: 1 to 365 days, in digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<String>,
    /// Of a `tag_rule`: 1 to 1000 versions, in digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    num: Option<String>,
}

/// Chooses versions.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Selector {
    /// `label`: the version of this tag. `regexp`: those whose tag has a match of the expression.
    kind: String,
    /// The tag or the regular expression; with `glob:` in front of it a glob, which matches the whole tag.
    pattern: String,
}

/// The rule that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct RetentionId {
    id: i64,
}

/// An aging rule.
#[derive(Serialize, ToSchema)]
pub(super) struct Retention {
    id: i64,
    algorithm: &'static str,
    rules: [Rule; 1],
    scope: &'static str,
}

/// Versions that rules have removed, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct RetentionHistory {
    /// How many there are in all.
    total: u64,
    retention_log: Vec<RetentionLog>,
}

/// A version that a rule has removed.
#[derive(Serialize, ToSchema)]
pub(super) struct RetentionLog {
    id: u64,
    created_at: Time,
    namespace: String,
    repo: String,
    retention_id: i64,
    /// The rule as it was then, as JSON.
    rule_type: String,
    tag: String,
}

/// What a rule would do now.
#[derive(Serialize, ToSchema)]
pub(super) struct RetentionPlan {
    /// How many versions there are in all.
    total: u64,
    /// How many of them would go.
    removed: u64,
    /// First those that would go, in the order in which they would; then those that stay, in the order of their tags.
    versions: Vec<PlannedVersion>,
}

/// What a rule would do with a version.
#[derive(Serialize, ToSchema)]
pub(super) struct PlannedVersion {
    tag: String,
    /// When its tag was set last.
    updated_at: Option<Time>,
    /// Whether it would go.
    removed: bool,
    /// Why, and when it would go otherwise.
    explanation: String,
}

pub(super) async fn create(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let rule = exchange.object::<NewRetention>()?.read()?.made();
    let RuleId(id) = exchange.access.create_rule(repository, &rule).await?;
    Ok(Reply::json(&RetentionId { id }))
}

pub(super) async fn list(exchange: &Exchange<'_>, repository: &RepositoryName) -> Answer {
    let rule = exchange.access.rule(repository).await?;
    Ok(Reply::json(&Vec::from_iter(rule.map(shown))))
}

pub(super) async fn show(exchange: &Exchange<'_>, repository: &RepositoryName, id: u64) -> Answer {
    Ok(Reply::json(&shown(find(exchange, repository, id).await?)))
}

pub(super) async fn change(exchange: &Exchange<'_>, repository: &RepositoryName, id: u64) -> Answer {
    let said = exchange.object::<NewRetention>()?.read()?;
    exchange.access.change_rule(repository, rule_id(id)?, |rule| said.made_of(rule)).await?;
    Ok(Reply::empty())
}

pub(super) async fn remove(exchange: &Exchange<'_>, repository: &RepositoryName, id: u64) -> Answer {
    exchange.access.remove_rule(repository, rule_id(id)?).await?;
    Ok(Reply::empty())
}

pub(super) async fn histories(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    page: OffsetPage,
) -> Answer {
    let cleared = exchange.access.cleared(repository, page.offset, page.limit).await?;
    let range = content_range(page.offset, cleared.entries.len(), cleared.total);
    let (namespace, repo) = parts(repository);
    let log = cleared.entries.into_iter().map(|Cleared { seq, id, rule, tag, at }| RetentionLog {
        id: seq,
        created_at: Time(at),
        namespace: namespace.to_owned(),
        repo: repo.to_owned(),
        retention_id: id.0,
        // Plain values serialise.
        rule_type: serde_json::to_string(&Rule::of(&rule)).unwrap_or_default(),
        tag: tag.to_string(),
    });
    let history = RetentionHistory { total: cleared.total, retention_log: log.collect() };
    Ok(Reply::json(&history).with(CONTENT_RANGE, range))
}

/// What the rule would do if it were set, with nothing done.
pub(super) async fn plan(exchange: &Exchange<'_>, repository: &RepositoryName, page: OffsetPage) -> Answer {
    let said = exchange.object::<NewRetention>()?.read()?;
    let rule = match exchange.access.rule(repository).await? {
        Some(current) => said.made_of(current.rule),
        None => said.made(),
    };
    let run = exchange.access.dry_run(repository).await?;
    let plan = run.plan(&rule);

    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let limit = usize::try_from(page.limit.get()).unwrap_or(usize::MAX);
    let staying = plan.verdicts().iter().filter(|judged| matches!(judged.verdict, Verdict::Kept { .. }));
    let versions = plan.removals().chain(staying).skip(offset).take(limit).map(PlannedVersion::of);
    let versions: Vec<PlannedVersion> = versions.collect();
    let total = plan.verdicts().len() as u64;
    let range = content_range(page.offset, versions.len(), total);
    let removed = plan.removals().count() as u64;
    Ok(Reply::json(&RetentionPlan { total, removed, versions }).with(CONTENT_RANGE, range))
}

async fn find(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    id: u64,
) -> Result<RepositoryRule, ControlError> {
    let id = rule_id(id)?;
    let rule = exchange.access.rule(repository).await?;
    rule.filter(|rule| rule.id == id).ok_or(ControlError::RuleUnknown)
}

fn rule_id(id: u64) -> Result<RuleId, ControlError> {
    i64::try_from(id).map(RuleId).map_err(|_| ControlError::RuleUnknown)
}

fn shown(rule: RepositoryRule) -> Retention {
    Retention { id: rule.id.0, algorithm: ALGORITHM, rules: [Rule::of(&rule.rule)], scope: "" }
}

impl NewRetention {
    fn read(self) -> Result<Said, ManagementFailure> {
        if self.algorithm != ALGORITHM {
            return Err(ValueDefect::Algorithm(excerpt(&self.algorithm)).into());
        }
        let [Object(rule)] = self.rules.as_slice() else {
            return Err(ValueDefect::Rules.into());
        };
        let Object(params) = &rule.params;
        Ok(Said {
            limit: limit(&rule.template, params)?,
            filters: selectors(&rule.tag_selectors)?,
            only: rule.only.as_deref().map(selectors).transpose()?,
            measure: rule.measure.map(Measure::of_rule),
            keep_at_least: rule.keep_at_least,
            removals_max: rule.removals_max.map(NonZeroU32::new),
        })
    }
}

fn selectors(selectors: &[Object<Selector>]) -> Result<Vec<TagSelector>, ManagementFailure> {
    if selectors.len() > SELECTORS_MAX {
        return Err(ValueDefect::TooManySelectors(SELECTORS_MAX).into());
    }
    selectors.iter().map(|Object(selector)| selector.read()).collect()
}

/// What is said of a rule: all that the protocol has words for, and of the rest what is mentioned.
struct Said {
    limit: AgingLimit,
    filters: Vec<TagSelector>,
    only: Option<Vec<TagSelector>>,
    measure: Option<AgeMeasure>,
    keep_at_least: Option<u32>,
    removals_max: Option<Option<NonZeroU32>>,
}

impl Said {
    /// A rule of which nothing else was said.
    fn made(self) -> AgingRule {
        let rule = AgingRule::new(self.limit);
        self.made_of(rule)
    }

    /// What is not mentioned stays as it is in the rule before.
    fn made_of(self, before: AgingRule) -> AgingRule {
        AgingRule {
            limit: self.limit,
            filters: self.filters,
            only: self.only.unwrap_or(before.only),
            measure: self.measure.unwrap_or(before.measure),
            keep_at_least: self.keep_at_least.unwrap_or(before.keep_at_least),
            removals_max: self.removals_max.unwrap_or(before.removals_max),
        }
    }
}

impl Measure {
    fn of_rule(self) -> AgeMeasure {
        match self {
            Self::Updated => AgeMeasure::Updated,
            Self::LastUsed => AgeMeasure::LastUsed,
        }
    }
}

fn limit(template: &str, params: &Params) -> Result<AgingLimit, ValueDefect> {
    let number = |text: &str| digits(text).and_then(|number| u32::try_from(number).ok());
    match (template, &params.days, &params.num) {
        ("date_rule", Some(days), None) => {
            let days = number(days).ok_or(ValueDefect::Params("days"))?;
            Ok(AgingLimit::Age(AgeDays::new(days)?))
        }
        ("tag_rule", None, Some(count)) => {
            let count = number(count).ok_or(ValueDefect::Params("num"))?;
            Ok(AgingLimit::Count(NewestCount::new(count)?))
        }
        ("date_rule", ..) => Err(ValueDefect::Params("days")),
        ("tag_rule", ..) => Err(ValueDefect::Params("num")),
        (other, ..) => Err(ValueDefect::Template(excerpt(other))),
    }
}

/// What stands in front of a glob where a regular expression is expected: none that could match begins so.
const GLOB: &str = "glob:";

impl Selector {
    fn read(&self) -> Result<TagSelector, ManagementFailure> {
        match self.kind.as_str() {
            "label" => Ok(Tag::parse(&self.pattern)?.into()),
            "regexp" => Ok(expression(&self.pattern).map_err(ValueDefect::Pattern)?.into()),
            other => Err(ValueDefect::Selector(excerpt(other)).into()),
        }
    }

    fn each(selectors: &[TagSelector]) -> Vec<Object<Self>> {
        selectors.iter().map(Self::of).map(Object).collect()
    }

    fn of(selector: &TagSelector) -> Self {
        let (kind, pattern) = match selector {
            TagSelector::Tag(tag) => ("label", tag.to_string()),
            TagSelector::Pattern(pattern) => match pattern.syntax() {
                PatternSyntax::Regex => ("regexp", pattern.as_str().to_owned()),
                PatternSyntax::Glob => ("regexp", format!("{GLOB}{}", pattern.as_str())),
            },
        };
        Self { kind: kind.to_owned(), pattern }
    }
}

fn expression(text: &str) -> Result<Pattern, PatternError> {
    match text.strip_prefix(GLOB) {
        Some(glob) => Pattern::glob(glob),
        None => Pattern::regex(text),
    }
}

impl Rule {
    fn of(rule: &AgingRule) -> Self {
        let (template, params) = match rule.limit {
            AgingLimit::Age(days) => {
                ("date_rule", Params { days: Some(days.get().to_string()), ..Params::default() })
            }
            AgingLimit::Count(count) => {
                ("tag_rule", Params { num: Some(count.get().to_string()), ..Params::default() })
            }
        };
        Self {
            template: template.to_owned(),
            params: Object(params),
            tag_selectors: Selector::each(&rule.filters),
            only: (!rule.only.is_empty()).then(|| Selector::each(&rule.only)),
            measure: match rule.measure {
                AgeMeasure::Updated => None,
                AgeMeasure::LastUsed => Some(Measure::LastUsed),
            },
            keep_at_least: (rule.keep_at_least > 0).then_some(rule.keep_at_least),
            removals_max: rule.removals_max.map(NonZeroU32::get),
        }
    }
}

impl PlannedVersion {
    fn of(judged: &Judged<'_>) -> Self {
        Self {
            tag: judged.version.tag.to_string(),
            updated_at: judged.version.updated.map(Time),
            removed: matches!(judged.verdict, Verdict::Removed { .. }),
            explanation: judged.verdict.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rule: &str) -> Said {
        let body = format!(r#"{{"algorithm":"or","rules":[{rule}]}}"#);
        let Object(new): Object<NewRetention> = serde_json::from_str(&body).unwrap();
        new.read().unwrap()
    }

    #[test]
    fn a_rule_is_shown_as_it_was_written() {
        for written in [
            r#"{"template":"date_rule","params":{"days":"30"},"tag_selectors":[]}"#,
            r#"{"template":"tag_rule","params":{"num":"1000"},"tag_selectors":[{"kind":"label","pattern":"v1"}]}"#,
            // What looks like a glob is none: a point is any character, and a star repeats it.
            r#"{"template":"tag_rule","params":{"num":"1"},"tag_selectors":[{"kind":"regexp","pattern":"v2.*"}]}"#,
            r#"{"template":"tag_rule","params":{"num":"1"},"tag_selectors":[{"kind":"regexp","pattern":"glob:v2.*"}]}"#,
            // What the protocol has no word for.
            r#"{"template":"date_rule","params":{"days":"30"},"tag_selectors":[],"only":[{"kind":"label","pattern":"v1"},{"kind":"regexp","pattern":"glob:v2.*"}],"measure":"last_used","keep_at_least":5,"removals_max":100}"#,
        ] {
            let rule = said(written).made();
            assert_eq!(serde_json::to_string(&Rule::of(&rule)).unwrap(), written);
        }
    }

    #[test]
    fn an_expression_matches_anywhere_and_a_glob_the_whole_tag() {
        let tag = |text| Tag::parse(text).unwrap();
        let expression = expression("v2.*").unwrap();
        assert!(expression.matches(tag("v2")) && expression.matches(tag("a-v2.0")));
        let glob = super::expression("glob:v2.*").unwrap();
        assert!(glob.matches(tag("v2.0")) && !glob.matches(tag("v2")) && !glob.matches(tag("a-v2.0")));
    }

    #[test]
    fn what_is_not_mentioned_stays_and_what_is_turned_off_is_off() {
        let plain = AgingRule::new(AgingLimit::Age(AgeDays::new(7).unwrap()));
        let before = AgingRule {
            only: vec![Tag::parse("v1").unwrap().into()],
            measure: AgeMeasure::LastUsed,
            keep_at_least: 3,
            removals_max: NonZeroU32::new(9),
            ..plain.clone()
        };
        let days = r#"{"template":"date_rule","params":{"days":"7"},"tag_selectors":[]"#;
        assert_eq!(said(&format!("{days}}}")).made_of(before.clone()), before);
        assert_eq!(said(&format!("{days}}}")).made(), plain);
        let off = r#""only":[],"measure":"updated","keep_at_least":0,"removals_max":0}"#;
        assert_eq!(said(&format!("{days},{off}")).made_of(before), plain);
    }
}
