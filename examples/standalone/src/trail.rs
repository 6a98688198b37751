//! `swr audit`: what was done and refused.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;
use swr_core::control::identity::UserName;
use swr_core::control::trace::{Operation, TraceRating};

use crate::management::{Manager, listed, not_understood};
use crate::output::text;
use crate::units::Span;

/// Lists what was done and refused in the account of whoever asks, the last first.
#[derive(Args, Debug)]
pub(crate) struct AuditCommand {
    /// What this user did
    #[arg(long, value_name = "USER", value_parser = UserName::parse)]
    user: Option<UserName>,
    /// This operation alone, such as deleteImageRepository
    #[arg(long, value_name = "OPERATION", value_parser = operation)]
    name: Option<Operation>,
    /// normal was done, warning was refused, incident is a failure of the registry
    #[arg(long, value_name = "RATING", value_parser = rating)]
    rating: Option<TraceRating>,
    /// How far back, such as 30m, 24h or 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = Span::parse)]
    since: Span,
    /// No more than so many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    manager: Manager,
}

fn operation(text: &str) -> Result<Operation, String> {
    Operation::parse(text).ok_or_else(|| {
        let known = Operation::ALL.map(Operation::trace_name);
        format!("it is one of {}", known.join(", "))
    })
}

fn rating(text: &str) -> Result<TraceRating, String> {
    TraceRating::parse(text).ok_or_else(|| "it is `normal`, `warning` or `incident`".to_owned())
}

/// Where the protocol has one's own trail: the name of the place stands for the project.
const OWN_TRAIL: &str = "/v3/%7Bproject_id%7D/traces";

impl AuditCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let now = Utc::now();
        let begin =
            chrono::TimeDelta::from_std(self.since.0).ok().and_then(|span| now.checked_sub_signed(span));
        let begin = begin.unwrap_or(DateTime::UNIX_EPOCH).max(DateTime::UNIX_EPOCH);
        let (from, to) = (begin.timestamp_millis(), now.timestamp_millis());
        let mut query = format!("trace_type=system&limit=200&from={from}&to={to}");
        let filters = [
            ("user", self.user.as_ref().map(UserName::as_str)),
            ("trace_name", self.name.map(Operation::trace_name)),
            ("trace_rating", self.rating.map(TraceRating::as_str)),
        ];
        for (key, wanted) in filters {
            query.extend(wanted.map(|wanted| format!("&{key}={wanted}")));
        }
        let registry = self.manager.open().await?;
        let (mut traces, mut next) = (Vec::new(), String::new());
        while traces.len() < self.limit {
            let answer = registry.get(OWN_TRAIL, &format!("{query}{next}")).await?;
            let marker = answer["meta_data"]["marker"].as_str().map(|marker| format!("&next={marker}"));
            traces.extend(listed(answer, "traces").ok_or_else(|| not_understood(OWN_TRAIL))?);
            let Some(marker) = marker else { break };
            next = marker;
        }
        traces.truncate(self.limit);
        self.manager.list(traces, shown)
    }
}

fn shown(trace: &Value) -> Vec<(&'static str, String)> {
    let part = |name: &str| text(&trace[name]);
    let time = trace["time"].as_i64().and_then(DateTime::from_timestamp_millis);
    vec![
        (
            "time",
            time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).unwrap_or_default(),
        ),
        ("user", text(&trace["user"]["name"])),
        ("operation", part("trace_name")),
        ("resource", part("resource_name")),
        ("status", part("code")),
        ("rating", part("trace_rating")),
        ("source", part("source_ip")),
        ("why refused", part("response")),
    ]
}
