//! What an operator watches, in the text format of OpenMetrics. The labels are bounded: no repository, tag or user
//! is one.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use swr_core::ports::Backlog;
use swr_core::registry::Scrubbed;
use swr_http::{RequestObserver, RequestReport};
use swr_storage::sqlite::SqliteGauges;

/// The media type of what [`Metrics::text`] gives.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Handler, Histogram>,
    received: Counter,
    sent: Counter,
    in_flight: Gauge,
    garbage: Gauge,
    newest_event: Gauge,
    consumer_lag: Family<Consumer, Gauge>,
    lease_seconds: Family<Lease, Gauge<f64, AtomicU64>>,
    wal_bytes: Gauge,
    writes_waiting: Gauge,
    sqlite_full: Gauge,
    collected: Family<Collected, Counter>,
    scrubbed: Family<Collected, Counter>,
    chore_failures: Family<Chore, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    handler: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handler {
    handler: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumer {
    consumer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lease {
    lease: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Collected {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Chore {
    chore: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("swr");
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 4.0, 10))
            }),
            received: Counter::default(),
            sent: Counter::default(),
            in_flight: Gauge::default(),
            garbage: Gauge::default(),
            newest_event: Gauge::default(),
            consumer_lag: Family::default(),
            lease_seconds: Family::default(),
            wal_bytes: Gauge::default(),
            writes_waiting: Gauge::default(),
            sqlite_full: Gauge::default(),
            collected: Family::default(),
            scrubbed: Family::default(),
            chore_failures: Family::default(),
            registry: Registry::default(),
        };
        let http = registry.sub_registry_with_prefix("http");
        http.register("requests", "Requests answered", metrics.requests.clone());
        http.register(
            "request_duration_seconds",
            "From a request's head to its answer's end",
            metrics.durations.clone(),
        );
        http.register("request_body_bytes", "Bytes of bodies received", metrics.received.clone());
        http.register("response_body_bytes", "Bytes of bodies sent", metrics.sent.clone());
        http.register("in_flight_requests", "Requests being answered", metrics.in_flight.clone());
        registry.register("garbage_locations", "Content that waits to be deleted", metrics.garbage.clone());
        registry.register("collected", "What collection removed", metrics.collected.clone());
        registry.register("scrubbed", "What was read again, and found", metrics.scrubbed.clone());
        registry.register(
            "events_newest",
            "Place of the newest event in the log",
            metrics.newest_event.clone(),
        );
        registry.register(
            "events_lag",
            "Places that a consumer of the log is behind",
            metrics.consumer_lag.clone(),
        );
        registry.register(
            "lease_held_seconds",
            "How long a lease is still held",
            metrics.lease_seconds.clone(),
        );
        registry.register("sqlite_wal_bytes", "Length of the write-ahead log", metrics.wal_bytes.clone());
        registry.register(
            "sqlite_writes_waiting",
            "Writes that wait for the writer",
            metrics.writes_waiting.clone(),
        );
        registry.register(
            "sqlite_full",
            "Whether there is no room on the disk but for removals",
            metrics.sqlite_full.clone(),
        );
        registry.register(
            "chore_failures",
            "Background work that failed and will be tried again",
            metrics.chore_failures.clone(),
        );
        Self { registry, ..metrics }
    }

    /// What waits to be done, as of `now`.
    pub(crate) fn backlog(&self, backlog: &Backlog, now: chrono::DateTime<chrono::Utc>) {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.garbage.set(count(backlog.garbage));
        self.newest_event.set(count(backlog.newest_event.0));
        // Of those that are gone there is nothing to be said any more.
        self.consumer_lag.clear();
        self.lease_seconds.clear();
        for (consumer, at) in &backlog.cursors {
            let lag = backlog.newest_event.0.saturating_sub(at.0);
            self.consumer_lag.get_or_create(&Consumer { consumer: consumer.clone() }).set(count(lag));
        }
        for (lease, until) in &backlog.leases {
            let left = (*until - now).num_milliseconds().max(0) as f64 / 1000.0;
            self.lease_seconds.get_or_create(&Lease { lease: lease.clone() }).set(left);
        }
    }

    pub(crate) fn sqlite(&self, gauges: &SqliteGauges) {
        self.wal_bytes.set(i64::try_from(gauges.wal_bytes).unwrap_or(i64::MAX));
        self.writes_waiting.set(i64::try_from(gauges.writes_waiting).unwrap_or(i64::MAX));
        self.sqlite_full.set(gauges.is_full.into());
    }

    pub(crate) fn collected(&self, kind: &'static str, count: u64) {
        self.collected.get_or_create(&Collected { kind }).inc_by(count);
    }

    pub(crate) fn scrubbed(&self, step: &Scrubbed) {
        let add = |kind, count| {
            self.scrubbed.get_or_create(&Collected { kind }).inc_by(count);
        };
        add("blob", step.blobs);
        add("byte", step.bytes);
        add("manifest", step.manifests);
        for finding in &step.findings {
            add(finding.kind(), 1);
        }
    }

    pub(crate) fn chore_failed(&self, chore: &'static str) {
        self.chore_failures.get_or_create(&Chore { chore }).inc();
    }

    /// Everything, as a scraper reads it.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl RequestObserver for Metrics {
    fn began(&self) {
        self.in_flight.inc();
    }

    fn ended(&self, request: &RequestReport) {
        self.in_flight.dec();
        // 499 is what proxies write when the client went away first.
        let code = request.status.map_or(499, |status| status.as_u16()).to_string();
        let (method, handler) = (request.method, request.endpoint);
        self.requests.get_or_create(&Request { method, handler, code }).inc();
        self.durations.get_or_create(&Handler { handler }).observe(request.duration.as_secs_f64());
        self.received.inc_by(request.bytes_in);
        self.sent.inc_by(request.bytes_out);
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn a_lease_that_was_let_go_is_not_shown_any_more() {
        let metrics = Metrics::new();
        let now = DateTime::UNIX_EPOCH;
        let leases = vec![("collection".into(), now + TimeDelta::seconds(90))];
        metrics.backlog(&Backlog { leases, ..Backlog::default() }, now);
        assert!(metrics.text().unwrap().contains("swr_lease_held_seconds{lease=\"collection\"} 90.0\n"));
        metrics.backlog(&Backlog::default(), now);
        assert!(!metrics.text().unwrap().contains("swr_lease_held_seconds{"));
    }
}
