//! The protocol as a service: authenticate, dispatch, answer.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, WARNING, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request};
use http_body::Body;
use swr_auth::{Authenticated, AuthenticationError, Authenticator, Presented};
use tokio::time::Instant;
use tower_service::Service;
use tracing::{Instrument as _, Span, debug_span, field};

use swr_core::caller::Caller;
#[cfg(feature = "control")]
use swr_core::caller::Origin;
use swr_core::{Error, Registry};

use crate::admission::{Admission, Asking};
use crate::authenticate::{PresentedError, presented};
use crate::body::{Patience, Progress, RequestBody, ResponseBody};
#[cfg(feature = "control")]
use crate::control::refusals::{Attempt, Refusals, traced_of_content};
use crate::endpoint::{Endpoint, EndpointError};
#[cfg(feature = "control")]
use crate::error_response::status_of;
use crate::error_response::{Asked, Failure, error_response};
use crate::exchange::{Answer, Exchange, in_time};
use crate::headers::{self, DOCKER_DISTRIBUTION_API_VERSION};
use crate::observe::RequestObserver;
use crate::source::{Network, origin};
use crate::visit::Visit;
use crate::{base, blobs, catalogue, manifests, referrers, tags, uploads};

/// A registry's protocol as a `tower` service. Cheap to clone; all clones are the same service.
///
/// It takes any request body of `Bytes`, never fails, and spawns nothing. It asks for a tokio runtime with time
/// where [`ServiceOptions`] sets a time, which it does unless told otherwise. Dropping a response's future leaves
/// all of a change or none of it.
#[derive(Clone, Debug)]
pub struct RegistryService(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    registry: Registry,
    authenticator: Arc<dyn Authenticator>,
    options: ServiceOptions,
}

/// What a host may want otherwise.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..ServiceOptions::default()`")]
pub struct ServiceOptions {
    /// Where in the host's paths the protocol is. `/v2`.
    pub mount: MountPoint,
    /// The proxies that are believed when they say for whom they ask. None.
    pub trusted_proxies: Vec<Network>,
    /// How slow the sender of a body may be before it gets a 408. 1 KiB within 30 seconds.
    pub patience: Option<Patience>,
    /// How long the engine may take for an answer that moves no content before the client gets a 503.
    /// 30 seconds.
    pub answer_within: Option<Duration>,
    /// How long a store may take while content goes in or out without moving a byte of it. Making a large blob
    /// durable is such a time. 5 minutes.
    pub store_within: Option<Duration>,
    /// Who has something to say to clients beside the answers. Nobody.
    pub warnings: Option<Arc<dyn WarningSource>>,
    /// How much one caller may take; the same value in all services of a server counts what they ask of each. Nothing
    /// is limited.
    pub admission: Admission,
    /// Who is told of requests. Nobody.
    pub observer: Option<Arc<dyn RequestObserver>>,
    /// Where operations that were refused are left for the audit trail. Nowhere.
    #[cfg(feature = "control")]
    pub refusals: Option<Refusals>,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            mount: MountPoint::default(),
            trusted_proxies: Vec::new(),
            patience: Some(Patience { within: Duration::from_secs(30), bytes_min: 1024 }),
            answer_within: Some(Duration::from_secs(30)),
            store_within: Some(Duration::from_secs(300)),
            warnings: None,
            admission: Admission::default(),
            observer: None,
            #[cfg(feature = "control")]
            refusals: None,
        }
    }
}

/// Has something to say to clients beside the answers (`Warning: 299`).
pub trait WarningSource: Debug + Send + Sync + 'static {
    /// The warnings for this request, most important first. What goes beyond the 4096 bytes that the
    /// specification allows is left out.
    fn warnings(&self, endpoint: &Endpoint, caller: &Caller) -> Vec<String>;
}

/// Where in a host's paths the protocol is.
///
/// | the host | the mount point |
/// | --- | --- |
/// | hands on `/v2/…` as it is | `MountPoint::default()` |
/// | hands on `/one/v2/…` as it is | `MountPoint::new("/one/v2", "")` |
/// | cuts off `/one` before | `MountPoint::new("/one/v2", "/one")` |
/// | cuts off `/v2` before | `MountPoint::new("/v2", "/v2")` |
///
/// With the feature `axum`, what a router's `nest_service` has cut off is known without being said; only that
/// it has cut off `/v2` itself has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    outside: Box<str>,
    inside: Box<str>,
}

impl MountPoint {
    /// The protocol is at `outside`, as clients see it, and the host cuts `cut_off` from the beginning of a path
    /// before it hands on the request.
    pub fn new(outside: &str, cut_off: &str) -> Result<Self, MountPointError> {
        let is_path = |path: &str| {
            path.is_empty()
                || path.starts_with('/')
                    && !path.ends_with('/')
                    && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\".contains(&b))
        };
        match outside.strip_prefix(cut_off) {
            Some(inside) if is_path(outside) && is_path(inside) && is_path(cut_off) => {
                Ok(Self { outside: outside.into(), inside: inside.into() })
            }
            _ => Err(MountPointError { outside: outside.into(), cut_off: cut_off.into() }),
        }
    }

    /// The beginning of a host's paths.
    #[cfg(feature = "control")]
    pub(crate) fn root() -> Self {
        Self { outside: "".into(), inside: "".into() }
    }

    /// Where the service sees the protocol: empty where the host has cut off all of it.
    pub fn inside(&self) -> &str {
        &self.inside
    }

    /// What of a path is the protocol's; `None` when it is none of it.
    pub fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&*self.inside).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Where clients find the protocol.
    #[cfg_attr(not(feature = "axum"), expect(unused_variables, reason = "only axum says what it cut off"))]
    pub fn outside_of(&self, head: &request::Parts) -> Cow<'_, str> {
        #[cfg(feature = "axum")]
        if let Some(axum::extract::OriginalUri(original)) = head.extensions.get()
            && let Some(cut_off) = original.path().strip_suffix(head.uri.path())
            && !cut_off.is_empty()
        {
            return format!("{cut_off}{}", self.inside).into();
        }
        Cow::Borrowed(&self.outside)
    }
}

impl Default for MountPoint {
    fn default() -> Self {
        Self { outside: "/v2".into(), inside: "/v2".into() }
    }
}

/// Texts that are no mount point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{outside}` with `{cut_off}` cut off is no mount point: both are paths without a slash at the end, and the \
     first begins with the second"
)]
pub struct MountPointError {
    outside: Box<str>,
    cut_off: Box<str>,
}

impl RegistryService {
    /// The protocol over `registry`, for callers that `authenticator` tells apart.
    pub fn new(registry: Registry, authenticator: Arc<dyn Authenticator>) -> Self {
        Self::with_options(registry, authenticator, ServiceOptions::default())
    }

    /// As [`Self::new`], otherwise than usual.
    pub fn with_options(
        registry: Registry,
        authenticator: Arc<dyn Authenticator>,
        options: ServiceOptions,
    ) -> Self {
        Self(Arc::new(Parts { registry, authenticator, options }))
    }

    /// Where in the host's paths the protocol is.
    pub fn mount_point(&self) -> &MountPoint {
        &self.0.options.mount
    }
}

impl<B> Service<Request<B>> for RegistryService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let parts = Arc::clone(&self.0);
        let (head, body) = request.into_parts();
        let progress = Arc::new(Progress::default());
        let body = RequestBody::new(body, &head.headers, parts.options.patience, Arc::clone(&progress));
        let span = debug_span!(
            "request",
            method = %head.method,
            endpoint = field::Empty,
            repository = field::Empty,
            status = field::Empty,
        );
        Box::pin(async move { Ok(parts.answer(head, body, progress).await) }.instrument(span))
    }
}

impl Parts {
    async fn answer(
        &self,
        head: request::Parts,
        body: RequestBody,
        progress: Arc<Progress>,
    ) -> Response<ResponseBody> {
        let Self { options, .. } = self;
        let mut visit =
            Visit::begin(&head, Arc::clone(&progress), options.patience, options.observer.as_ref());
        let outside = self.options.mount.outside_of(&head);
        let challenge = self.authenticator.challenge();

        let mut warnings = Vec::new();
        let (endpoint, answer) = match self.endpoint(&head) {
            Err(error) => (None, Err(error.into())),
            Ok(endpoint) => {
                let span = Span::current();
                span.record("endpoint", endpoint.kind());
                endpoint.repository().map(|repository| span.record("repository", field::display(repository)));
                visit.asks(endpoint.kind());
                let answer = match self.caller(&head.headers, &endpoint).await {
                    Err(failure) => Err(failure),
                    Ok(authenticated) => {
                        warnings = self.warnings(&endpoint, &authenticated.caller);
                        self.answer_to(authenticated, &head, &outside, &endpoint, body, progress).await
                    }
                };
                (Some(endpoint), answer)
            }
        };

        let asked = Asked { endpoint: endpoint.as_ref(), base: &outside, challenge };
        let mut response = answer.unwrap_or_else(|failure| error_response(failure, asked));
        finish(&mut response, head.method == Method::HEAD, warnings);
        visit.answered(&head, response).await
    }

    /// What a caller gets who is known, once there is room for it.
    async fn answer_to(
        &self,
        Authenticated { caller, reach, account }: Authenticated,
        head: &request::Parts,
        outside: &str,
        endpoint: &Endpoint,
        body: RequestBody,
        progress: Arc<Progress>,
    ) -> Answer {
        let below = self.options.mount.below(head.uri.path()).unwrap_or_default();
        let origin = origin(head, outside, below, &self.options.trusted_proxies);
        let asking = Asking {
            caller: &caller,
            account: account.as_deref(),
            source: origin.source,
            goes_on: endpoint.goes_on(),
            body: body.declared(),
        };
        let admitted = self
            .options
            .admission
            .admit(asking)
            .await
            .map_err(|crowded| Error::TooManyRequests { retry_after: Some(crowded.retry_after) })?;
        #[cfg(feature = "control")]
        let attempt = self.attempt(endpoint, &caller, &origin);
        let mut access = self.registry.access(caller, origin);
        if let Some(reach) = reach {
            access = access.within(reach);
        }
        let exchange = Exchange {
            access,
            limits: self.registry.limits(),
            options: &self.options,
            base: outside,
            headers: &head.headers,
            admitted: &admitted,
            is_head: head.method == Method::HEAD,
            progress,
        };
        let answer = dispatch(&exchange, endpoint, body, self.authenticator.challenge().is_some()).await;
        exchange.note_upload(endpoint, &answer);
        #[cfg(feature = "control")]
        if let (Some(attempt), Err(Failure::Registry(error))) = (attempt, &answer) {
            attempt.refused(status_of(error), error);
        }
        match answer {
            Ok(response) => Ok(response.map(|body| body.of(admitted))),
            Err(failure) => {
                // What it was let in for is over.
                drop(admitted);
                if let Failure::Registry(Error::TooManyRequests { retry_after: Some(_) }) = failure {
                    self.options.admission.refuse_after(Instant::now()).await;
                }
                Err(failure)
            }
        }
    }

    fn endpoint(&self, head: &request::Parts) -> Result<Endpoint, EndpointError> {
        let path = self.options.mount.below(head.uri.path()).ok_or(EndpointError::NoSuchPath)?;
        Endpoint::parse(&head.method, path, head.uri.query())
    }

    /// Who is calling. What proves nothing is answered as the same request by a stranger would be where it needs
    /// a right that strangers do not have.
    async fn caller(&self, headers: &HeaderMap, endpoint: &Endpoint) -> Result<Authenticated, Failure> {
        let presented = match presented(headers) {
            Ok(presented) => presented,
            Err(PresentedError::TooLong) => return Err(Failure::HeadersTooLarge),
            // Whoever knows nobody does not look at what is shown, however it is shown.
            Err(PresentedError::Malformed) if self.authenticator.challenge().is_none() => Presented::Nothing,
            Err(PresentedError::Malformed) => return Err(unauthorized(endpoint)),
        };
        match in_time(self.options.answer_within, self.authenticator.authenticate(&presented)).await? {
            Ok(authenticated) => Ok(authenticated),
            Err(AuthenticationError::Busy { retry_after }) => {
                Err(Error::TooManyRequests { retry_after: Some(retry_after) }.into())
            }
            Err(AuthenticationError::Store(error)) => Err(Error::from(error).into()),
            Err(_) => Err(unauthorized(endpoint)),
        }
    }

    /// What goes into the trail if it is refused.
    #[cfg(feature = "control")]
    fn attempt(&self, endpoint: &Endpoint, caller: &Caller, origin: &Origin) -> Option<Attempt> {
        let refusals = self.options.refusals.as_ref()?;
        refusals.attempt(caller, origin, traced_of_content(endpoint)?)
    }

    fn warnings(&self, endpoint: &Endpoint, caller: &Caller) -> Vec<HeaderValue> {
        match &self.options.warnings {
            Some(source) => source.warnings(endpoint, caller).iter().map(|text| warning(text)).collect(),
            None => Vec::new(),
        }
    }
}

fn unauthorized(endpoint: &Endpoint) -> Failure {
    Error::Unauthorized { needs: endpoint.needs() }.into()
}

async fn dispatch(
    exchange: &Exchange<'_>,
    endpoint: &Endpoint,
    body: RequestBody,
    can_sign_in: bool,
) -> Answer {
    use Endpoint::*;
    // What writes has much to remember, and is put aside, so that no read has to make room for it.
    match endpoint {
        Base => base::base(exchange, can_sign_in),
        ListRepositories { page } => catalogue::list(exchange, page).await,
        ListTags { repository, page } => tags::list(exchange, repository, page).await,
        ListReferrers { repository, subject, artifact_type, page } => {
            referrers::list(exchange, repository, subject, artifact_type.as_ref(), page).await
        }
        PullManifest { repository, reference } => manifests::pull(exchange, repository, reference).await,
        PushManifest { repository, reference, tags } => {
            Box::pin(manifests::push(exchange, repository, reference, tags, body)).await
        }
        RemoveManifest { repository, reference } => manifests::remove(exchange, repository, reference).await,
        PullBlob { repository, digest } => blobs::pull(exchange, repository, digest).await,
        RemoveBlob { repository, digest } => blobs::remove(exchange, repository, digest).await,
        BeginUpload { repository, algorithm } => uploads::begin(exchange, repository, *algorithm).await,
        PushBlob { repository, digest } => Box::pin(uploads::push(exchange, repository, digest, body)).await,
        MountBlob { repository, digest, from } => {
            Box::pin(uploads::mount(exchange, repository, digest, from.as_ref())).await
        }
        FindUpload { repository, id } => uploads::find(exchange, repository, id).await,
        AppendUpload { repository, id } => Box::pin(uploads::append(exchange, repository, id, body)).await,
        FinishUpload { repository, id, digest } => {
            Box::pin(uploads::finish(exchange, repository, id, digest, body)).await
        }
        CancelUpload { repository, id } => uploads::cancel(exchange, repository, id).await,
    }
}

/// What every response has.
fn finish(response: &mut Response<ResponseBody>, is_head: bool, warnings: Vec<HeaderValue>) {
    let length = response.body().length();
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(DOCKER_DISTRIBUTION_API_VERSION, HeaderValue::from_static("registry/2.0"));
    // Nothing that somebody has pushed is to be run by a browser.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut room = WARNING_BYTES_MAX;
    for warning in warnings {
        let Some(left) = room.checked_sub(warning.len()) else { break };
        room = left;
        headers.append(WARNING, warning);
    }
    if let Some(length) = length
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
    {
        // A HEAD may have said already how long the content is.
        headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    if is_head {
        *response.body_mut() = ResponseBody::empty();
    }
}

/// All warnings of a response together (specification, "Warnings").
const WARNING_BYTES_MAX: usize = 4096;

/// `299 - "text"`, with everything that could end the quotes or the line made harmless.
fn warning(text: &str) -> HeaderValue {
    let mut quoted = String::with_capacity(text.len() + 8);
    quoted.push_str("299 - \"");
    for character in text.chars().take(WARNING_BYTES_MAX) {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    headers::value(quoted)
}
