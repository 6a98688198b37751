//! What is for operators and machines, on a listener of its own: `/livez`, `/readyz`, `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use swr_core::ports::{Clock as _, SystemClock};
use tokio::sync::watch;
use tracing::warn;

use crate::metrics::{self, Metrics};
use crate::stores::{Assembled, in_one_line};

/// How long the stores may take to say how they are.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) assembled: Arc<Assembled>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Admin {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/healthz", get(ready))
            .route("/readyz", get(ready))
            .route("/metrics", get(scraped))
            .with_state(self)
    }
}

/// Whether a push would be taken: the stores say so, and the end has not begun.
async fn ready(State(admin): State<Admin>) -> Response {
    let not_ready = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    if *admin.stop.borrow() {
        return not_ready("draining".into());
    }
    match tokio::time::timeout(PROBE_WITHIN, admin.assembled.registry.probe()).await {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(error)) => {
            warn!(error = in_one_line("probe", &error), "not ready");
            not_ready(error.to_string())
        }
        Err(_) => not_ready("the stores do not answer".into()),
    }
}

async fn scraped(State(admin): State<Admin>) -> Response {
    let metrics = &admin.metrics;
    match tokio::time::timeout(PROBE_WITHIN, admin.assembled.manifests.backlog()).await {
        Ok(Ok(backlog)) => metrics.backlog(&backlog, SystemClock.now()),
        Ok(Err(error)) => warn!(error = in_one_line("backlog", &error), "the metrics lack what waits"),
        Err(_) => warn!("the metrics lack what waits: the store does not answer"),
    }
    if let Some(sqlite) = &admin.assembled.sqlite {
        metrics.sqlite(&sqlite.gauges());
    }
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
