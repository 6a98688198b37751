//! The requests of one connection: counted, bounded, and refused once the server is to end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tower_service::Service;

use super::connection::Activity;
use super::{BoxError, Server, streams};
use crate::body::ResponseBody;
use crate::error_response::{Asked, Failure, error_response};
use crate::source::PeerAddress;

/// The requests of one connection on their way to the service.
pub(super) struct Requests<S> {
    pub(super) server: Arc<Server>,
    pub(super) activity: Arc<Activity>,
    pub(super) peer: SocketAddr,
    pub(super) service: S,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Served<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let server = Arc::clone(&self.server);
        let version = request.version();
        // It is counted before it is asked whether the server drains, so that no request slips in between.
        let under_way = UnderWay::begin(&self.server, &self.activity, version);
        let refused = if server.draining.load(Ordering::SeqCst) {
            Some(Failure::Draining)
        } else if size_of_headers(request.headers()) > server.options.head_bytes_max {
            Some(Failure::HeadersTooLarge)
        } else {
            None
        };
        if let Some(failure) = refused {
            let mut response = error_response(failure, Asked::default());
            say_close(response.headers_mut(), version);
            let response =
                response.map(|body| Served::new(Content::Refusal(Box::new(body)), version, under_way));
            return Box::pin(std::future::ready(Ok(response)));
        }
        request.extensions_mut().insert(PeerAddress(self.peer));
        let mut service = self.service.clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            let mut response = service.call(request).await?;
            if server.draining.load(Ordering::SeqCst) {
                say_close(response.headers_mut(), version);
            }
            Ok(response.map(|body| Served::new(Content::Answer(body), version, under_way)))
        })
    }
}

/// Tells the client that this is the last answer on the connection; HTTP/2 has its own way to say so.
fn say_close(headers: &mut HeaderMap, version: Version) {
    if version != Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn size_of_headers(headers: &HeaderMap) -> usize {
    // As HTTP/2 counts them, and near to what they are on the wire of HTTP/1.
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// A request that is under way: until the last byte of its answer is handed on, or its client is gone.
struct UnderWay {
    server: Arc<Server>,
    activity: Arc<Activity>,
}

impl UnderWay {
    fn begin(server: &Arc<Server>, activity: &Arc<Activity>, version: Version) -> Self {
        activity.request_begins(version);
        server.under_way.fetch_add(1, Ordering::SeqCst);
        Self { server: Arc::clone(server), activity: Arc::clone(activity) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.request_ends();
        if self.server.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.server.drained.notify_waiters();
        }
    }
}

/// A response's body, and the request that it belongs to.
pub(super) struct Served<B> {
    content: Content<B>,
    /// What was too much to be handed on at once, and how much is.
    rest: Bytes,
    part_max: usize,
    #[expect(dead_code, reason = "it ends when it is dropped")]
    under_way: UnderWay,
}

enum Content<B> {
    Answer(B),
    Refusal(Box<ResponseBody>),
}

/// So much is handed on at once over HTTP/2, in bytes: what was handed on is kept for the client however slowly it takes
/// it, and is counted no more.
const PART_MAX: usize = 64 << 10;

impl<B> Served<B> {
    fn new(content: Content<B>, version: Version, under_way: UnderWay) -> Self {
        let part_max = if version == Version::HTTP_2 { PART_MAX } else { usize::MAX };
        Self { content, rest: Bytes::new(), part_max, under_way }
    }

    /// As much of it as is handed on at once.
    fn part(&mut self, mut bytes: Bytes) -> Frame<Bytes> {
        if bytes.len() > self.part_max {
            self.rest = bytes.split_off(self.part_max);
        }
        Frame::data(bytes)
    }
}

impl<B> Body for Served<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let rest = mem::take(&mut self.rest);
        let next = match &mut self.content {
            _ if !rest.is_empty() => Poll::Ready(Some(Ok(Frame::data(rest)))),
            Content::Answer(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Content::Refusal(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        };
        let next = next.map_ok(|frame| match frame.into_data() {
            Ok(bytes) => self.part(bytes),
            Err(trailers) => trailers,
        });
        streams::tell(&next);
        next
    }

    fn is_end_stream(&self) -> bool {
        if !self.rest.is_empty() {
            return false;
        }
        match &self.content {
            Content::Answer(body) => body.is_end_stream(),
            Content::Refusal(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = match &self.content {
            Content::Answer(body) => body.size_hint(),
            Content::Refusal(body) => body.size_hint(),
        };
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
