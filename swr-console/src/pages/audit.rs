//! The audit trail: what was done and what was refused.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use maud::{Markup, html};
use swr_core::caller::Channel;
use swr_core::control::trace::{Operation, Trace, TraceId, TraceQuery, TraceRating};
use swr_http::control::trace_document;

use crate::exchange::{Answer, Exchange, Page, Problem};
use crate::form::Form;
use crate::layout::Section;
use crate::pieces::{Field, copy, empty, heading, more, next_after, time, trail};
use crate::texts::Texts;

/// How many traces a page has.
const PAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
/// Of how many traces the names and users are offered to choose from.
const OFFERED: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);

pub(crate) async fn show(exchange: &Exchange<'_>, path: &[&str]) -> Answer {
    match path {
        [] => list(exchange).await,
        [id] => whole(exchange, &TraceId::new(*id)).await,
        _ => Err(Problem::NoSuchPage),
    }
}

async fn list(exchange: &Exchange<'_>) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().audit);
    let asked = exchange.frame.query;
    let access = exchange.access();
    let offset = exchange.parts.options.utc_offset;
    let (query, problem) = match query(exchange, asked, offset) {
        Ok(query) => (Some(query), None),
        Err(problem) => (None, Some(problem)),
    };
    let mut traces = match &query {
        Some(query) => access.traces(query).await?,
        None => Vec::new(),
    };
    let limit = PAGE.get() as usize;
    let next = next_after(&exchange.frame, &mut traces, limit, "before", |last| last.id.as_str());
    let known = access.traces(&TraceQuery::of(exchange.account().clone(), OFFERED)).await?;
    let lead = match exchange.signer.user.role.administers() {
        true => texts.lead_all,
        false => texts.lead_own,
    };
    let body = html! {
        (heading(texts.title, Some(lead), html! {}))
        (filters(exchange, asked, &known))
        @if traces.is_empty() { (empty(texts.none)) } @else {
            div.table role="region" aria-label=(texts.title) tabindex="0" {
                table.compact {
                    thead { tr {
                        th scope="col" { (texts.trace_name) }
                        th scope="col" { (texts.resource_type) }
                        th scope="col" { (texts.source) }
                        th scope="col" { (texts.resource_id) }
                        th scope="col" { (texts.resource_name) }
                        th scope="col" { (texts.rating) }
                        th scope="col" { (texts.user) }
                        th scope="col" { (texts.time) }
                    } }
                    tbody { @for trace in &traces { (row(exchange, trace)) } }
                }
            }
        }
        @if asked.get("before").is_some() {
            p { a href=(exchange.frame.here_with("before", None)) { (texts.newest) } }
        }
        (more(all, next))
    };
    Ok(Page::new(Section::Audit, texts.title, body).problem(problem.as_ref(), all).into())
}

/// What is asked for. What the form has no such value for is not filtered by.
fn query(exchange: &Exchange<'_>, asked: &Form, offset: TimeDelta) -> Result<TraceQuery, Problem> {
    let now = exchange.parts.plane.now();
    let (after, until) = match asked.text("period") {
        "hour" => (now - TimeDelta::hours(1), now),
        "day" => (now - TimeDelta::days(1), now),
        "between" => {
            let wrong = || Problem::Field(exchange.texts().audit.times_wrong.to_owned());
            let from = local(asked.text("from"), offset).ok_or_else(wrong)?;
            let until = local(asked.text("until"), offset).ok_or_else(wrong)?;
            if from > until {
                return Err(wrong());
            }
            (from, until)
        }
        _ => (now - TimeDelta::days(7), now),
    };
    let some = |name| asked.given(name).map(Box::from);
    Ok(TraceQuery {
        operation: asked.given("name").and_then(Operation::parse),
        resource_type: some("type"),
        resource_id: some("id"),
        resource_name: some("resource"),
        user_name: some("user"),
        rating: TraceRating::parse(asked.text("rating")),
        before: asked.given("before").map(TraceId::new),
        after: Some(after),
        until: Some(until),
        ..TraceQuery::of(exchange.account().clone(), PAGE.saturating_add(1))
    })
}

/// What a browser sends for a day and a time by the deployment's clocks.
fn local(text: &str, offset: TimeDelta) -> Option<DateTime<Utc>> {
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let time = formats.into_iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    time.checked_sub_signed(offset).map(|time| time.and_utc())
}

fn filters(exchange: &Exchange<'_>, asked: &Form, known: &[Trace]) -> Markup {
    let texts = &exchange.texts().audit;
    let field = |id, label| Field { id, name: id, label, hint: None };
    let types: BTreeSet<&str> = Operation::ALL.into_iter().map(Operation::resource_type).collect();
    let names: BTreeSet<&str> = known.iter().map(|trace| &*trace.traced.resource_name).collect();
    let users: BTreeSet<&str> =
        known.iter().filter_map(|trace| Some(trace.user.as_ref()?.1.as_str())).collect();
    let any = || [("", texts.all)].into_iter();
    let ratings = [("normal", texts.normal), ("warning", texts.warning), ("incident", texts.incident)];
    let periods =
        [("week", texts.week), ("day", texts.day), ("hour", texts.hour), ("between", texts.between)];
    let operations = Operation::ALL.into_iter().map(|it| (it.trace_name(), it.trace_name()));
    let listed = |id: &str, label: &str, values: &BTreeSet<&str>| {
        let list = format!("{id}-list");
        html! {
            div.field {
                label for=(id) { (label) }
                input id=(id) name=(id) value=(asked.text(id)) list=(list) autocomplete="off"
                    autocapitalize="none" spellcheck="false" maxlength="255";
                datalist id=(list) { @for value in values { option value=(value) {} } }
            }
        }
    };
    html! {
        form.card.filters role="search" action=(exchange.link("/audit")) {
            div.inline {
                (field("period", texts.period).choice(asked.text("period"), periods))
                (field("rating", texts.rating).choice(asked.text("rating"), any().chain(ratings)))
                (field("name", texts.trace_name).choice(asked.text("name"), any().chain(operations)))
                (field("type", texts.resource_type)
                    .choice(asked.text("type"), any().chain(types.into_iter().map(|it| (it, it)))))
                (listed("resource", texts.resource_name, &names))
                (listed("user", texts.user, &users))
                (field("id", texts.resource_id).line("text", asked.text("id"), "off", false, 255))
                (field("from", texts.from).line("datetime-local", asked.text("from"), "off", false, 32))
                (field("until", texts.until).line("datetime-local", asked.text("until"), "off", false, 32))
            }
            p.hint { (texts.times_hint) }
            div.actions {
                button.primary type="submit" { (texts.search) }
                a.button href=(exchange.link("/audit")) { (texts.reset) }
            }
        }
    }
}

/// A row; what it has no column for unfolds.
fn row(exchange: &Exchange<'_>, trace: &Trace) -> Markup {
    let texts = &exchange.texts().audit;
    let traced = &trace.traced;
    let source_ip = trace.origin.source.map(|ip| ip.to_string()).unwrap_or_default();
    html! {
        tr {
            th scope="row" {
                // What unfolds is the row after this one, which has room for it.
                details.unfolds { summary { (traced.operation.trace_name()) } }
            }
            td { (traced.operation.resource_type()) }
            td { "SWR" }
            td { code.short title=(traced.resource_id) { (traced.resource_id) } }
            td.wide { (traced.resource_name) }
            td { (rating(exchange.texts(), trace.outcome.rating())) }
            td { @if let Some((_, name)) = &trace.user { (name) } @else { (texts.by_system) } }
            td { (time(trace.at, exchange.parts.options.utc_offset)) }
        }
        tr.unfolded {
            td colspan="8" {
                dl.facts {
                    dt { (texts.trace_id) } dd { code { (trace.id.as_str()) } }
                    dt { (texts.resource_id) } dd { code { (traced.resource_id) } }
                    dt { (texts.source) } dd { (channel(exchange.texts(), trace.origin.channel)) }
                    dt { (texts.source_ip) } dd { (source_ip) }
                    dt { (texts.code) } dd { (trace.outcome.code) }
                    @if !trace.outcome.reason.is_empty() {
                        dt { (texts.message) } dd { (trace.outcome.reason) }
                    }
                }
                p { a href=(exchange.link(&format!("/audit/{}", trace.id.as_str()))) { (texts.whole) } }
            }
        }
    }
}

fn channel(texts: &Texts, channel: Channel) -> &'static str {
    match channel {
        Channel::Api => texts.audit.by_api,
        Channel::Console => texts.audit.by_page,
        Channel::System => texts.audit.by_system,
    }
}

fn rating(texts: &Texts, rating: TraceRating) -> Markup {
    let (class, word) = match rating {
        TraceRating::Normal => ("tag good", texts.audit.normal),
        TraceRating::Warning => ("tag warning", texts.audit.warning),
        TraceRating::Incident => ("tag bad", texts.audit.incident),
    };
    html! { span class=(class) { (word) } }
}

/// The whole event, as the protocol tells it.
async fn whole(exchange: &Exchange<'_>, id: &TraceId) -> Answer {
    let (all, texts) = (exchange.texts(), &exchange.texts().audit);
    let of = TraceQuery::of(exchange.account().clone(), NonZeroU32::MIN);
    let found = exchange.access().traces(&TraceQuery { id: Some(id.clone()), ..of }).await?;
    let Some(trace) = found.first() else {
        return Err(Problem::NoSuchPage);
    };
    // Plain values serialise.
    let document = serde_json::to_string_pretty(&trace_document(trace)).unwrap_or_default();
    let name = trace.traced.operation.trace_name();
    let body = html! {
        (trail(all, &[(texts.title, Some(exchange.link("/audit"))), (name, None)]))
        (heading(name, None, rating(all, trace.outcome.rating())))
        (copy(all, "event", &document))
    };
    Ok(Page::new(Section::Audit, name, body).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_by_the_deployments_clocks() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let east = TimeDelta::hours(8);
        assert_eq!(local("2026-01-02T03:04", TimeDelta::zero()), Some(at("2026-01-02T03:04:00Z")));
        assert_eq!(local("2026-01-02T03:04:05", east), Some(at("2026-01-01T19:04:05Z")));
        for text in ["", "2026-01-02", "2026-13-02T03:04", "yesterday"] {
            assert_eq!(local(text, east), None, "{text}");
        }
    }
}
