//! What every door does around its own answer: observe the request, and leave its connection in order.

use std::fmt;
use std::sync::Arc;

use http::header::CONNECTION;
use http::{HeaderValue, Response, request};
use tracing::Span;

use crate::body::{Patience, Progress, ResponseBody, is_read};
use crate::observe::{Observation, RequestObserver};

/// A request from its head to the end of the answer.
pub struct Visit {
    progress: Arc<Progress>,
    patience: Option<Patience>,
    observation: Option<Observation>,
}

impl Visit {
    /// It begins: the body tells `progress` how far it was read, and `observer` what becomes of the request. What is
    /// left of a body is waited for within bounds where there is any `patience`.
    pub fn begin(
        head: &request::Parts,
        progress: Arc<Progress>,
        patience: Option<Patience>,
        observer: Option<&Arc<dyn RequestObserver>>,
    ) -> Self {
        let observation = observer
            .map(|observer| Observation::begin(Arc::clone(observer), &head.method, Arc::clone(&progress)));
        Self { progress, patience, observation }
    }

    /// It asks for this kind of thing.
    pub fn asks(&mut self, kind: &'static str) {
        if let Some(observation) = &mut self.observation {
            observation.asks(kind);
        }
    }

    /// It has been answered, as far as the head goes.
    pub async fn answered(
        self,
        head: &request::Parts,
        mut response: Response<ResponseBody>,
    ) -> Response<ResponseBody> {
        if !is_read(head, &self.progress, self.patience).await {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Span::current().record("status", response.status().as_u16());
        match self.observation {
            Some(mut observation) => {
                observation.answered(response.status());
                response.map(|body| body.observed(observation))
            }
            None => response,
        }
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("progress", &self.progress).finish_non_exhaustive()
    }
}
