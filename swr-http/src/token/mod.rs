//! Where tokens are given out: `/token` for the registry's protocol, `/v3/auth/tokens` for the management protocol
//! (feature `control`).

mod management;
pub mod request;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chrono::SecondsFormat;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, PRAGMA, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, request as head};
use http_body::Body;
use serde::Serialize;
use swr_auth::token_desk::{IssuedToken, TokenDeskError};
use swr_auth::{AuthenticationError, Challenge, DeskSettings, Presented, TokenDesk};
use tower_service::Service;
use tracing::{Instrument as _, debug_span, field};

use swr_core::Error;
use swr_core::stream::BodyError;

use crate::admission::{Admission, Asking, Crowded};
use crate::authenticate::{PresentedError, presented};
use crate::body::{Patience, Progress, RequestBody, ResponseBody};
use crate::endpoint::EndpointError;
use crate::error_response::{Asked, Failure, error_response};
use crate::exchange::{Answer, in_time, json};
use crate::observe::RequestObserver;
use crate::service::MountPoint;
use crate::source::{Network, origin};
use crate::visit::Visit;
use request::{TokenGrant, TokenRequest, TokenRequestError};

/// No form and no document with a password is longer, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Where tokens are given out, as a `tower` service. Cheap to clone; all clones are the same service.
///
/// It takes any request body of `Bytes`, never fails, and spawns nothing. How many passwords are looked at at once is
/// for the desk to say; those beyond that are told to come back.
#[derive(Clone, Debug)]
pub struct TokenService(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    desk: Arc<TokenDesk>,
    options: TokenOptions,
    /// How those are asked who show something wrong.
    challenge: Challenge,
}

/// What a host may want otherwise.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..TokenOptions::new(…)`")]
pub struct TokenOptions {
    /// What the deployment says of itself.
    pub settings: DeskSettings,
    /// Where in the host's paths `/token` and `/v3/auth/tokens` are. At their beginning.
    pub mount: MountPoint,
    /// The proxies that are believed when they say for whom they ask. None.
    pub trusted_proxies: Vec<Network>,
    /// How slow the sender of a body may be before it gets a 408. 1 KiB within 30 seconds.
    pub patience: Option<Patience>,
    /// How long an answer may take before the client gets a 503. 30 seconds.
    pub answer_within: Option<Duration>,
    /// How much one caller may take; see [`ServiceOptions::admission`](crate::ServiceOptions::admission). Whoever asks for
    /// a token counts as a stranger at its address, before what it shows is looked at.
    pub admission: Admission,
    /// Who is told of requests. Nobody.
    pub observer: Option<Arc<dyn RequestObserver>>,
}

impl TokenOptions {
    /// The usual, of a deployment of these settings.
    pub fn new(settings: DeskSettings) -> Self {
        Self {
            settings,
            mount: MountPoint::root(),
            trusted_proxies: Vec::new(),
            patience: Some(Patience { within: Duration::from_secs(30), bytes_min: 1024 }),
            answer_within: Some(Duration::from_secs(30)),
            admission: Admission::default(),
            observer: None,
        }
    }
}

impl TokenService {
    /// Gives out what `desk` makes.
    #[expect(clippy::expect_used, reason = "the text is fixed")]
    pub fn new(desk: Arc<TokenDesk>, options: TokenOptions) -> Self {
        let challenge = Challenge::basic("registry").expect("`registry` is printable ASCII");
        Self(Arc::new(Parts { desk, options, challenge }))
    }

    /// Where in the host's paths it is.
    pub fn mount_point(&self) -> &MountPoint {
        &self.0.options.mount
    }
}

impl<B> Service<Request<B>> for TokenService
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
        let span = debug_span!("token", method = %head.method, status = field::Empty);
        Box::pin(async move { Ok(parts.answer(head, body, progress).await) }.instrument(span))
    }
}

/// What a request asks for: one of the ways to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a table about all ways to a token has to know of a new one")]
pub enum TokenEndpoint {
    /// `GET /token`: one for the registry's protocol, by the query.
    ByQuery,
    /// `POST /token`: one for the registry's protocol, by a form.
    ByForm,
    /// `POST /v3/auth/tokens`: one for the management protocol.
    Management,
}

impl TokenEndpoint {
    /// Every way to a token.
    pub const ALL: &'static [Self] = &[Self::ByQuery, Self::ByForm, Self::Management];

    /// Reads an address: what follows the place where tokens are given out.
    pub fn parse(method: &Method, path: &str) -> Result<Self, EndpointError> {
        match (path, method) {
            ("/token", &Method::GET) => Ok(Self::ByQuery),
            ("/token", &Method::POST) => Ok(Self::ByForm),
            ("/token", _) => Err(EndpointError::Method { allowed: "GET, POST" }),
            ("/v3/auth/tokens", &Method::POST) => Ok(Self::Management),
            ("/v3/auth/tokens", _) => Err(EndpointError::Method { allowed: "POST" }),
            _ => Err(EndpointError::NoSuchPath),
        }
    }
}

impl Parts {
    async fn answer(
        &self,
        head: head::Parts,
        body: RequestBody,
        progress: Arc<Progress>,
    ) -> Response<ResponseBody> {
        let Self { options, .. } = self;
        let mut visit = Visit::begin(&head, progress, options.patience, options.observer.as_ref());
        let path = options.mount.below(head.uri.path()).unwrap_or_default();
        let answer = match TokenEndpoint::parse(&head.method, path) {
            Err(error) => Err(error.into()),
            Ok(wanted) => {
                let is_management = wanted == TokenEndpoint::Management;
                visit.asks(if is_management { "management_token" } else { "token" });
                let outside = options.mount.outside_of(&head);
                let source = origin(&head, &outside, path, &options.trusted_proxies).source;
                match options.admission.admit(Asking::stranger(source)).await {
                    Ok(admitted) if is_management => {
                        Ok(management::answer(&self.desk, options, body).await.map(|body| body.of(admitted)))
                    }
                    Ok(admitted) => {
                        let given = self.give(&head, wanted, body).await;
                        given.map(|response| response.map(|body| body.of(admitted)))
                    }
                    Err(crowded) if is_management => Ok(management::crowded(crowded)),
                    Err(Crowded { retry_after }) => {
                        Err(Error::TooManyRequests { retry_after: Some(retry_after) }.into())
                    }
                }
            }
        };
        let asked = Asked { endpoint: None, base: "", challenge: Some(&self.challenge) };
        let mut response = answer.unwrap_or_else(|failure| error_response(failure, asked));
        let length = response.body().length();
        let headers = response.headers_mut();
        headers.extend(length.map(|length| (CONTENT_LENGTH, length.into())));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // RFC 6749, 5.1.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        visit.answered(&head, response).await
    }

    async fn give(&self, head: &head::Parts, wanted: TokenEndpoint, body: RequestBody) -> Answer {
        let TokenRequest { ask, grant } = match wanted {
            TokenEndpoint::ByForm => TokenRequest::of_form(&form(body).await?)?,
            TokenEndpoint::ByQuery | TokenEndpoint::Management => {
                TokenRequest::of_query(head.uri.query().unwrap_or_default())?
            }
        };
        let issued = match grant {
            Some(TokenGrant::Refresh(token)) => self.in_time(self.desk.refresh(&token, &ask)).await?,
            Some(TokenGrant::Password { user, password }) => {
                self.in_time(self.desk.issue(&Presented::Password { user, password }, &ask)).await?
            }
            None => {
                let presented = presented(&head.headers).map_err(|error| match error {
                    PresentedError::TooLong => Failure::HeadersTooLarge,
                    PresentedError::Malformed => Error::Unauthorized { needs: Vec::new() }.into(),
                })?;
                self.in_time(self.desk.issue(&presented, &ask)).await?
            }
        };
        Ok(json("application/json", &GivenToken::new(&issued)))
    }

    async fn in_time(
        &self,
        call: impl Future<Output = Result<IssuedToken, TokenDeskError>>,
    ) -> Result<IssuedToken, Failure> {
        let issued = in_time(self.options.answer_within, call).await?;
        issued.map_err(|error| match error {
            TokenDeskError::Authentication(error) => unproven(error),
            error => EndpointError::Query(error.to_string().into()).into(),
        })
    }
}

/// What becomes of a client that proves nothing.
fn unproven(error: AuthenticationError) -> Failure {
    match error {
        AuthenticationError::Busy { retry_after } => {
            Error::TooManyRequests { retry_after: Some(retry_after) }.into()
        }
        AuthenticationError::Store(error) => Error::from(error).into(),
        _ => Error::Unauthorized { needs: Vec::new() }.into(),
    }
}

async fn form(body: RequestBody) -> Result<String, Failure> {
    let bytes = collected(body).await?;
    String::from_utf8(bytes.into()).map_err(|_| TokenRequestError::Encoding.into())
}

async fn collected(body: RequestBody) -> Result<Bytes, Failure> {
    body.into_stream().collect(BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLong { .. } => Failure::BodyTooLarge { limit: BODY_BYTES_MAX },
        BodyError::Stalled => Error::Stalled.into(),
        error => Error::Interrupted(error).into(),
    })
}

impl From<TokenRequestError> for Failure {
    fn from(error: TokenRequestError) -> Self {
        EndpointError::Query(error.to_string().into()).into()
    }
}

/// A token, as clients of either generation look for it.
#[derive(Serialize)]
struct GivenToken<'a> {
    token: &'a str,
    access_token: &'a str,
    /// In seconds, from `issued_at` on.
    expires_in: i64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl<'a> GivenToken<'a> {
    fn new(issued: &'a IssuedToken) -> Self {
        Self {
            token: issued.token.expose(),
            access_token: issued.token.expose(),
            expires_in: issued.seconds(),
            issued_at: issued.issued.to_rfc3339_opts(SecondsFormat::Secs, true),
            refresh_token: issued.refresh.as_ref().map(|refresh| refresh.expose()),
        }
    }
}

/// A router with `/token` and `/v3/auth/tokens`, to be merged into a host's own.
#[cfg(feature = "axum")]
pub fn router(service: TokenService) -> axum::Router {
    let inside = service.mount_point().inside().to_owned();
    axum::Router::new()
        .route_service(&format!("{inside}/token"), service.clone())
        .route_service(&format!("{inside}/v3/auth/tokens"), service)
}
