//! What became of a request: told to whoever counts.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::body::Progress;

/// Is told of requests: for metrics and access logs. It is called inline, and must not block.
pub trait RequestObserver: Debug + Send + Sync + 'static {
    /// A request came in. For each there is one [`Self::ended`].
    fn began(&self) {}

    /// A request has ended: its response was sent to the last byte, or its client went away.
    fn ended(&self, request: &RequestReport);
}

/// What became of a request. Every text is one of a few.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestReport {
    /// The method in capitals; `OTHER` for one that HTTP does not define.
    pub method: &'static str,
    /// The kind of endpoint ([`Endpoint::kind`](crate::Endpoint::kind)), or the name of the management
    /// operation; `none` for an address that is none.
    pub endpoint: &'static str,
    /// The status; `None` when the client went away before there was one.
    pub status: Option<StatusCode>,
    /// The bytes of its body that were read.
    pub bytes_in: u64,
    /// The bytes of the response's body that were handed on.
    pub bytes_out: u64,
    /// From its head to the end of the response.
    pub duration: Duration,
    /// Whether the response was handed on to its end.
    pub complete: bool,
}

/// A request that is being observed. Reports when it is dropped, so that none is forgotten.
pub(crate) struct Observation {
    observer: Arc<dyn RequestObserver>,
    began: Instant,
    progress: Arc<Progress>,
    report: RequestReport,
}

impl Observation {
    pub(crate) fn begin(
        observer: Arc<dyn RequestObserver>,
        method: &Method,
        progress: Arc<Progress>,
    ) -> Self {
        observer.began();
        let report = RequestReport {
            method: label(method),
            endpoint: "none",
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            complete: false,
        };
        Self { observer, began: Instant::now(), progress, report }
    }

    pub(crate) fn asks(&mut self, endpoint: &'static str) {
        self.report.endpoint = endpoint;
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.report.status = Some(status);
    }

    pub(crate) fn sent(&mut self, bytes: u64) {
        self.report.bytes_out += bytes;
    }

    pub(crate) fn end(mut self, complete: bool) {
        self.report.complete = complete;
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.report.bytes_in = self.progress.bytes();
        self.report.duration = self.began.elapsed();
        self.observer.ended(&self.report);
    }
}

fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "OTHER",
    }
}
