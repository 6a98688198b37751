//! The audit trail, by the protocol of the service that keeps it elsewhere.

use std::num::NonZeroU32;

use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;

use swr_core::caller::Channel;
use swr_core::control::trace::{Trace as Recorded, TraceQuery};

use super::account::own_project;
use super::endpoint::TraceFilter;
use super::exchange::{Answer, Exchange, Reply};
use super::paging::first;

/// How far back a question goes that does not say.
const LOOKED_BACK: TimeDelta = TimeDelta::hours(1);

/// Traces, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct TraceList {
    traces: Vec<Trace>,
    meta_data: TraceMeta,
}

/// How many traces there are here, and how to go on.
#[derive(Serialize, ToSchema)]
pub(super) struct TraceMeta {
    count: usize,
    /// The `next` of the next page; `null` where there is none.
    marker: Option<String>,
}

/// A trace.
#[derive(Serialize, ToSchema)]
pub(super) struct Trace {
    trace_id: String,
    trace_name: &'static str,
    /// `normal`, `warning` or `incident`.
    trace_rating: &'static str,
    /// `ApiCall`, `ConsoleAction` or `SystemAction`.
    trace_type: &'static str,
    event_type: &'static str,
    service_type: &'static str,
    tracker_name: &'static str,
    project_id: String,
    resource_type: &'static str,
    resource_name: String,
    resource_id: String,
    resource_account_id: String,
    /// The status that the request was answered with.
    code: String,
    /// What changed, or was to, as JSON.
    request: String,
    /// Why it was refused; empty when it was done.
    response: String,
    /// When it happened, in milliseconds since 1970.
    time: i64,
    record_time: i64,
    user: TraceUser,
    source_ip: String,
    request_id: String,
    api_version: String,
    message: String,
    read_only: bool,
}

/// Who acted; empty when it was the registry itself.
#[derive(Serialize, ToSchema)]
pub(super) struct TraceUser {
    id: String,
    name: String,
    user_name: String,
    account_id: String,
    domain: TraceDomain,
}

/// The account whose trail it is in.
#[derive(Serialize, ToSchema)]
pub(super) struct TraceDomain {
    id: String,
    name: String,
}

pub(super) async fn list(
    exchange: &Exchange<'_>,
    project: &str,
    filter: &TraceFilter,
    limit: NonZeroU32,
) -> Answer {
    own_project(exchange, project)?;
    let recorded = match filter.matches_none {
        true => Vec::new(),
        false => exchange.access.traces(&query(exchange, filter, limit.saturating_add(1))).await?,
    };
    let (recorded, more) = first(recorded, limit);
    let traces: Vec<Trace> = recorded.iter().map(Trace::new).collect();
    let marker = traces.last().filter(|_| more).map(|last| last.trace_id.clone());
    Ok(Reply::json(&TraceList { meta_data: TraceMeta { count: traces.len(), marker }, traces }))
}

fn query(exchange: &Exchange<'_>, filter: &TraceFilter, limit: NonZeroU32) -> TraceQuery {
    let account = exchange.signer.account.id.clone();
    if let Some(id) = &filter.id {
        return TraceQuery { id: Some(id.clone()), ..TraceQuery::of(account, limit) };
    }
    let now = exchange.plane.now();
    let (after, until) = filter.times.unwrap_or((now - LOOKED_BACK, now));
    let filter = filter.clone();
    TraceQuery {
        user_name: filter.user,
        operation: filter.operation,
        resource_type: filter.resource_type,
        resource_id: filter.resource_id,
        resource_name: filter.resource_name,
        rating: filter.rating,
        after: Some(after),
        until: Some(until),
        before: filter.before,
        ..TraceQuery::of(account, limit)
    }
}

/// A trace as the protocol tells it, for whoever shows it elsewhere.
pub fn trace_document(recorded: &Recorded) -> serde_json::Value {
    // Plain values serialise.
    serde_json::to_value(Trace::new(recorded)).unwrap_or_default()
}

impl Trace {
    fn new(recorded: &Recorded) -> Self {
        let Recorded { traced, outcome, origin, .. } = recorded;
        let name = traced.operation.trace_name();
        let (method, path) = origin.call.as_deref().and_then(|call| call.split_once(' ')).unwrap_or_default();
        let version = path.split('/').find(|part| is_version(part)).unwrap_or_default();
        let (user, user_name) = match &recorded.user {
            Some((id, name)) => (id.to_string(), name.to_string()),
            None => Default::default(),
        };
        Self {
            trace_id: recorded.id.as_str().to_owned(),
            trace_name: name,
            trace_rating: outcome.rating().as_str(),
            trace_type: match origin.channel {
                Channel::Api => "ApiCall",
                Channel::Console => "ConsoleAction",
                Channel::System => "SystemAction",
            },
            event_type: "system",
            service_type: "SWR",
            tracker_name: "system",
            project_id: recorded.project.to_string(),
            resource_type: traced.operation.resource_type(),
            resource_name: traced.resource_name.to_string(),
            resource_id: traced.resource_id.to_string(),
            resource_account_id: recorded.account.to_string(),
            code: outcome.code.to_string(),
            request: traced.change.to_string(),
            response: outcome.reason.to_string(),
            time: recorded.at.timestamp_millis(),
            record_time: recorded.at.timestamp_millis(),
            user: TraceUser {
                id: user,
                user_name: user_name.clone(),
                name: user_name,
                account_id: recorded.account.to_string(),
                domain: TraceDomain {
                    id: recorded.account.to_string(),
                    name: recorded.account_name.to_string(),
                },
            },
            source_ip: origin.source.map(|source| source.to_string()).unwrap_or_default(),
            request_id: origin.request_id.as_deref().unwrap_or_default().to_owned(),
            api_version: version.to_owned(),
            message: format!(
                "{name}{}, Method: {method} Url:{path}, Reason:{}",
                traced.resource_name, outcome.reason
            ),
            read_only: false,
        }
    }
}

/// The part of a path that says which generation of a protocol it is of: `v2`.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|number| number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
}
