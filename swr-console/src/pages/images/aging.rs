//! The aging rule of an image: what it is, what it would do, what it has done.

use std::num::NonZeroU32;

use maud::{Markup, html};
use swr_core::Tag;
use swr_core::control::DryRun;
use swr_core::control::rule::{
    AgeDays, AgingKind, AgingLimit, AgingRule, Cleared, NewestCount, RepositoryRule, RuleId, TagSelector,
};
use swr_policy::aging::{Falls, Judged, Kept};
use swr_policy::{Pattern, PatternSyntax, Verdict};

use super::timeline::{Bar, Fate, picture};
use super::{Image, Tab, page};
use crate::exchange::{Answer, Attempt, Exchange, FORM_TOKEN_FIELD, Problem, Reply};
use crate::form::Form;
use crate::pieces::{Field, Removal, empty, expect_word, more, next_from, time, token};

/// How much of the log is shown at once.
const LOG: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
/// How many filters a rule may have: each may be a regular expression.
const FILTERS_MAX: usize = 100;
/// How many versions the picture of a rule shows.
const PICTURED: usize = 40;
/// How many versions are explained.
const EXPLAINED: usize = 200;
/// What stands in front of a glob where a regular expression is expected, as in the management protocol.
const GLOB: &str = "glob:";

pub(super) async fn change(
    exchange: &Exchange<'_>,
    image: &Image,
    what: Attempt,
    path: &[&str],
    form: &Form,
) -> Answer {
    let done = exchange.attempt(what, async {
        match path {
            [] => create(exchange, image, form).await,
            ["change"] => alter(exchange, image, form).await,
            _ => remove(exchange, image, form).await,
        }
    });
    match done.await {
        Ok(done) => Ok(exchange.see(&image.address("/aging"), done)),
        Err(problem) => {
            let form = form.get("kind").map(|_| form);
            view(exchange, image, Some(&problem), form, None).await
        }
    }
}

/// Shows what the rule of the form would do. Nothing is changed. A script asks for that piece of the page, as one types.
pub(super) async fn try_out(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Answer {
    image.expect_read()?;
    let preview = preview(exchange, image, form).await?;
    if form.get("fragment").is_some() {
        return Ok(Reply::Fragment(preview));
    }
    view(exchange, image, None, Some(form), Some(preview)).await
}

async fn create(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    let rule = read(exchange, form, None)?;
    exchange.access().create_rule(&image.name, &rule).await?;
    Ok("created")
}

async fn alter(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    let AgingRule { limit, filters, .. } = read(exchange, form, None)?;
    // What the page has no word for stays.
    let change = |rule| AgingRule { limit, filters, ..rule };
    exchange.access().change_rule(&image.name, id(form)?, change).await?;
    Ok("changed")
}

async fn remove(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<&'static str, Problem> {
    expect_word(form)?;
    exchange.access().remove_rule(&image.name, id(form)?).await?;
    Ok("deleted")
}

fn id(form: &Form) -> Result<RuleId, Problem> {
    form.text("rule").parse().map(RuleId).map_err(|_| Problem::Interrupted)
}

/// The rule that the form says; what it has no word for is as in the one before.
fn read(exchange: &Exchange<'_>, form: &Form, before: Option<AgingRule>) -> Result<AgingRule, Problem> {
    let texts = exchange.texts();
    let wrong = |text: String| Problem::Field(text);
    let number = form.text("number").parse().unwrap_or(0);
    let limit = match form.text("kind") {
        "count" => NewestCount::new(number)
            .map(AgingLimit::Count)
            .map_err(|_| wrong((texts.aging.bad_count)(NewestCount::MAX)))?,
        _ => AgeDays::new(number)
            .map(AgingLimit::Age)
            .map_err(|_| wrong((texts.aging.bad_days)(AgeDays::MAX)))?,
    };
    let tags = form.text("tags").split([',', ' ', '\r', '\n', '\t', '，']).filter(|tag| !tag.is_empty());
    let patterns = form.text("patterns").lines().map(str::trim).filter(|line| !line.is_empty());
    // Each that is read takes its memory.
    if tags.clone().count() + patterns.clone().count() > FILTERS_MAX {
        return Err(wrong((texts.aging.too_many_filters)(FILTERS_MAX)));
    }
    let mut filters = Vec::new();
    for tag in tags {
        filters.push(Tag::parse(tag).map_err(|_| wrong((texts.aging.bad_tag)(tag)))?.into());
    }
    for text in patterns {
        filters.push(expression(text).map_err(|error| wrong(texts.patterns.explain(&error)))?.into());
    }
    Ok(AgingRule { limit, filters, ..before.unwrap_or_else(|| AgingRule::new(limit)) })
}

fn expression(text: &str) -> Result<Pattern, swr_policy::PatternError> {
    match text.strip_prefix(GLOB) {
        Some(glob) => Pattern::glob(glob),
        None => Pattern::regex(text),
    }
}

/// What [`expression`] reads as the pattern.
fn written(pattern: &Pattern) -> String {
    match pattern.syntax() {
        PatternSyntax::Regex => pattern.as_str().to_owned(),
        PatternSyntax::Glob => format!("{GLOB}{}", pattern.as_str()),
    }
}

async fn preview(exchange: &Exchange<'_>, image: &Image, form: &Form) -> Result<Markup, Problem> {
    let texts = &exchange.texts().aging;
    if form.text("number").is_empty() {
        return Ok(html! { p.hint { (texts.nothing_yet) } });
    }
    let before = exchange.access().rule(&image.name).await?.map(|current| current.rule);
    let rule = match read(exchange, form, before) {
        Ok(rule) => rule,
        Err(Problem::Field(text)) => return Ok(html! { p.wrong { (text) } }),
        Err(problem) => return Err(problem),
    };
    let run = exchange.access().dry_run(&image.name).await?;
    Ok(explained(exchange, &rule, &run))
}

/// What a rule would do with every version, in a sentence, a picture and a table.
fn explained(exchange: &Exchange<'_>, rule: &AgingRule, run: &DryRun) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().aging);
    let offset = exchange.parts.options.utc_offset;
    let plan = run.plan(rule);
    let mut staying: Vec<&Judged<'_>> =
        plan.verdicts().iter().filter(|judged| matches!(judged.verdict, Verdict::Kept { .. })).collect();
    staying.sort_by_key(|judged| judged.version.updated);
    let going = plan.removals().count();
    let judged: Vec<&Judged<'_>> = plan.removals().chain(staying).collect();
    let bars = judged.iter().filter_map(|judged| bar(judged)).take(PICTURED);
    let bars: Vec<Bar<'_>> = bars.collect();
    let left_out = judged.len().saturating_sub(EXPLAINED);
    html! {
        p.outcome { strong { ((texts.going)(going, judged.len())) } }
        @if !judged.is_empty() {
            figure { (picture(&bars, run.now, offset, texts.now)) }
            div.table role="region" aria-label=(texts.preview) tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { (all.images.version) }
                        th scope="col" { (all.layout.updated) }
                        th scope="col" { (texts.verdict) }
                        th scope="col" { (texts.why) }
                        th scope="col" { (texts.when) }
                    } }
                    tbody {
                        @for Judged { version, verdict } in judged.iter().take(EXPLAINED) {
                            tr {
                                th scope="row" { (version.tag) }
                                td { @match version.updated { Some(at) => (time(at, offset)), None => "--" } }
                                @match verdict {
                                    Verdict::Removed { why } => {
                                        td { span.tag.bad { (texts.goes) } }
                                        td { (texts.removed(why)) }
                                        td { (texts.at_once) }
                                    }
                                    Verdict::Kept { why, falls } => {
                                        td { span.tag.good { (texts.stays) } }
                                        td { (texts.kept(why, |filter| named(rule, filter))) }
                                        td { (texts.falls(falls, offset)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if left_out > 0 { p.quiet { ((all.images.and_more)(left_out)) } }
        }
    }
}

/// A filter as it was written.
fn named(rule: &AgingRule, filter: usize) -> String {
    match rule.filters.get(filter) {
        Some(TagSelector::Tag(tag)) => tag.to_string(),
        Some(TagSelector::Pattern(pattern)) => written(pattern),
        None => String::new(),
    }
}

fn bar<'a>(judged: &Judged<'a>) -> Option<Bar<'a>> {
    let fate = match &judged.verdict {
        Verdict::Removed { .. } => Fate::Goes,
        Verdict::Kept { falls: Falls::Once { passed: Some(passed), .. }, .. } => Fate::GoesAfter(*passed),
        Verdict::Kept { why: Kept::Filtered { .. } | Kept::OutOfScope, .. } => Fate::Spared,
        Verdict::Kept { .. } => Fate::Stays,
    };
    Some(Bar { name: judged.version.tag.as_str(), since: judged.version.updated?, fate })
}

pub(super) async fn show(exchange: &Exchange<'_>, image: &Image, problem: Option<&Problem>) -> Answer {
    view(exchange, image, problem, None, None).await
}

/// `form` is a rule that was to be, and `preview` what it would do.
async fn view(
    exchange: &Exchange<'_>,
    image: &Image,
    problem: Option<&Problem>,
    form: Option<&Form>,
    preview: Option<Markup>,
) -> Answer {
    image.expect_read()?;
    let (all, texts) = (exchange.texts(), &exchange.texts().aging);
    let access = exchange.access();
    let rule = access.rule(&image.name).await?;
    let from = exchange.frame.query.text("from").parse().unwrap_or(0);
    let log = access.cleared(&image.name, from, LOG).await?;
    let next = next_from(&exchange.frame, from, log.entries.len(), log.total);
    let edits = form.is_some() || exchange.frame.query.get("edit").is_some() || rule.is_none();
    let body = html! {
        div.columns {
            div {
                @if let Some(rule) = &rule { (card(exchange, image, rule)) }
                @if image.manages() && edits { (rule_form(exchange, image, rule.as_ref(), form)) }
                @else if rule.is_none() { (empty(texts.none)) }
            }
            section.card aria-labelledby="log-title" {
                h2 #log-title { (texts.log) }
                @if log.entries.is_empty() { p.quiet { (texts.no_log) } } @else {
                    (log_table(exchange, &log.entries))
                    (more(all, next))
                }
            }
        }
        @if image.manages() && edits {
            section.card aria-labelledby="preview-title" {
                h2 #preview-title { (texts.preview) }
                p.hint { (texts.preview_hint) }
                div #preview.preview aria-live="polite" { @if let Some(preview) = preview { (preview) } }
            }
        }
    };
    let done = match exchange.done() {
        Some("created") => Some(texts.created),
        Some("changed") => Some(texts.changed),
        Some("deleted") => Some(texts.deleted),
        _ => None,
    };
    Ok(page(exchange, image, Tab::Aging, body).done(done).problem(problem, all).into())
}

/// The rule, in words.
fn card(exchange: &Exchange<'_>, image: &Image, rule: &RepositoryRule) -> Markup {
    let texts = &exchange.texts().aging;
    let RepositoryRule { id, rule, due, .. } = rule;
    let (tags, patterns) = filters(rule);
    let (kind, sentence) = match rule.limit {
        AgingLimit::Age(days) => (texts.by_age, (texts.age_sentence)(days.get())),
        AgingLimit::Count(count) => (texts.by_count, (texts.count_sentence)(count.get())),
    };
    let id = id.0.to_string();
    html! {
        section.card aria-labelledby="rule-title" {
            div.tools {
                h2 #rule-title { (texts.rule) }
                @if image.manages() {
                    div.actions {
                        a.button href=(image.link(exchange, "/aging?edit=yes")) { (texts.edit) }
                        (Removal {
                            id: "delete-rule",
                            action: image.link(exchange, "/aging/delete"),
                            title: texts.delete,
                            what: texts.delete_what,
                            fields: &[("rule", &id)],
                        }.view(exchange))
                    }
                }
            }
            p { (sentence) }
            dl.facts {
                dt { (texts.kind) } dd { (kind) }
                dt { (texts.filtered_tags) } dd { (tags.len()) @if !tags.is_empty() { " " span.quiet { (tags.join(", ")) } } }
                dt { (texts.expressions) } dd {
                    @if patterns.is_empty() { (texts.not_set) }
                    @for pattern in &patterns { code { (pattern) } " " }
                }
                dt { (texts.next_run) } dd { (time(*due, exchange.parts.options.utc_offset)) }
            }
        }
    }
}

/// The tags that a rule leaves alone, and the expressions.
fn filters(rule: &AgingRule) -> (Vec<String>, Vec<String>) {
    let (mut tags, mut patterns) = (Vec::new(), Vec::new());
    for filter in &rule.filters {
        match filter {
            TagSelector::Tag(tag) => tags.push(tag.to_string()),
            TagSelector::Pattern(pattern) => patterns.push(written(pattern)),
        }
    }
    (tags, patterns)
}

fn rule_form(
    exchange: &Exchange<'_>,
    image: &Image,
    current: Option<&RepositoryRule>,
    form: Option<&Form>,
) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().aging);
    let (kind, number, tags, patterns) = match (form, current) {
        (Some(form), _) => {
            let text = |name| form.text(name).to_owned();
            (text("kind"), text("number"), text("tags"), text("patterns"))
        }
        (None, Some(RepositoryRule { rule, .. })) => {
            let (tags, patterns) = filters(rule);
            let (kind, number) = match rule.limit {
                AgingLimit::Age(days) => ("age", days.get()),
                AgingLimit::Count(count) => ("count", count.get()),
            };
            (kind.to_owned(), number.to_string(), tags.join(" "), patterns.join("\n"))
        }
        (None, None) => ("age".to_owned(), String::new(), String::new(), String::new()),
    };
    let kinds = [("age", texts.by_age), ("count", texts.by_count)];
    // A rule stays of its kind.
    let kinds =
        kinds.into_iter().filter(|(kind, _)| match current.map(|current| current.rule.limit.kind()) {
            Some(AgingKind::Age) => *kind == "age",
            Some(AgingKind::Count) => *kind == "count",
            None => true,
        });
    let (title, to) = match current {
        Some(_) => (texts.edit, "/aging/change"),
        None => (texts.add, "/aging"),
    };
    let field = |id, label, hint| Field { id, name: id, label, hint };
    let area = |id: &'static str, label: &str, hint: &str, text: &str| {
        let hint_id = format!("{id}-hint");
        html! {
            div.field {
                label for=(id) { (label) }
                textarea id=(id) name=(id) rows="3" spellcheck="false" autocapitalize="none" aria-describedby=(hint_id) {
                    "\n" (text)
                }
                p.hint id=(hint_id) { (hint) }
            }
        }
    };
    html! {
        section.card aria-labelledby="rule-form-title" {
            h2 #rule-form-title { (title) }
            form method="post" action=(image.link(exchange, to))
                data-preview=(image.link(exchange, "/aging/preview")) data-preview-in="preview"
                data-preview-fields={ (FORM_TOKEN_FIELD) " kind number tags patterns" } {
                (token(exchange))
                @if let Some(RepositoryRule { id, .. }) = current { input type="hidden" name="rule" value=(id.0); }
                (field("kind", texts.kind, None).choice(&kind, kinds))
                (field("number", texts.number, Some(texts.number_hint)).line("text", &number, "off", true, 4))
                (area("tags", texts.filtered_tags_field, texts.tags_hint, &tags))
                (area("patterns", texts.expressions, texts.expressions_hint, &patterns))
                div.actions {
                    button type="submit" formaction=(image.link(exchange, "/aging/preview")) { (texts.preview) }
                    button.primary type="submit" { (all.layout.save) }
                }
            }
        }
    }
}

fn log_table(exchange: &Exchange<'_>, log: &[Cleared]) -> Markup {
    let (all, texts) = (exchange.texts(), &exchange.texts().aging);
    html! {
        div.table role="region" aria-labelledby="log-title" tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (texts.kind) }
                    th scope="col" { (all.images.version) }
                    th scope="col" { (texts.time) }
                } }
                tbody {
                    @for cleared in log {
                        tr {
                            td { (match cleared.rule.limit.kind() {
                                AgingKind::Age => texts.by_age,
                                AgingKind::Count => texts.by_count,
                            }) }
                            th scope="row" { (cleared.tag) }
                            td { (time(cleared.at, exchange.parts.options.utc_offset)) }
                        }
                    }
                }
            }
        }
    }
}
