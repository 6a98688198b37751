//! The console as a service: who is there, which page, the answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use http_body::Body;
use maud::Markup;
use swr_auth::session_desk::{NewSession, ResumedSession};
use swr_auth::{ControlAuthenticator, DeskSettings, KeyDesk, Secret, SessionDesk, Signer};
use swr_core::caller::{Caller, Channel, Origin};
use swr_core::control::{ControlError, ControlPlane};
use swr_http::control::Refusals;
use swr_http::door::{Admitted, Asking, Chain, Crowded, Progress, RequestBody, Visit, origin};
use swr_http::{
    Admission, MountPoint, MountPointError, Network, Patience, RequestId, RequestObserver, ResponseBody,
};
use swr_packages::upload::PackageDesk;
use tokio::time::Instant;
use tower_service::Service;
use tracing::{Instrument as _, debug_span, error, field, warn};

use crate::cookies::{self, cookie};
use crate::exchange::{Exchange, FORM_TOKEN_FIELD, Frame, Page, Problem, Reply, Sent, SentFiles};
use crate::form::Form;
use crate::language::{self, Language};
use crate::pages::images::upload::of_form;
use crate::pages::{self, sign_in};
use crate::texts::{self, Texts};
use crate::{assets, layout, same_origin};

/// The console as a `tower` service. Cheap to clone; all clones are the same service.
///
/// It takes any request body of `Bytes`, never fails, and spawns nothing. Sessions that have ended by themselves are
/// removed by [`SessionDesk::trim`], in a loop of the host. It asks for a tokio runtime with time where
/// [`ConsoleOptions`] sets a time, which it does unless told otherwise, and for the passwords that it checks.
#[derive(Clone, Debug)]
pub struct ConsoleService(Arc<Parts>);

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) plane: ControlPlane,
    pub(crate) authenticator: Arc<ControlAuthenticator>,
    pub(crate) desk: Arc<KeyDesk>,
    sessions: Arc<SessionDesk>,
    pub(crate) refusals: Refusals,
    pub(crate) options: ConsoleOptions,
}

/// What a host may want otherwise.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..ConsoleOptions::new(…)`")]
pub struct ConsoleOptions {
    /// What the deployment says of itself: where images are pushed to and pulled from, and its region project.
    pub settings: DeskSettings,
    /// Where in the host's paths the console is. `/console`.
    pub mount: MountPoint,
    /// Whether clients reach it by HTTPS, so that what they sign in with never goes another way. Yes.
    pub secure: bool,
    /// How far the deployment's clocks are ahead of UTC. Not at all.
    pub utc_offset: TimeDelta,
    /// The proxies that are believed when they say for whom they ask. None.
    pub trusted_proxies: Vec<Network>,
    /// How slow the sender of a body may be. 1 KiB within 30 seconds.
    pub patience: Option<Patience>,
    /// How long a page may take. 30 seconds.
    pub answer_within: Option<Duration>,
    /// How long a store may take while the content of a package goes in or out without moving a byte of it. 5 minutes.
    pub store_within: Option<Duration>,
    /// How much one caller may take; see [`ServiceOptions::admission`](swr_http::ServiceOptions::admission). Whoever has
    /// not signed in, or is about to, counts as a stranger at its address.
    pub admission: Admission,
    /// Where users hand in packages of images, and versions are taken out as such. Nowhere.
    pub packages: Option<PackageDesk>,
    /// Who is told of requests. Nobody.
    pub observer: Option<Arc<dyn RequestObserver>>,
}

impl ConsoleOptions {
    /// The usual, of a deployment of these settings.
    pub fn new(settings: DeskSettings) -> Result<Self, MountPointError> {
        Ok(Self {
            settings,
            mount: MountPoint::new("/console", "")?,
            secure: true,
            utc_offset: TimeDelta::zero(),
            trusted_proxies: Vec::new(),
            patience: Some(Patience { within: Duration::from_secs(30), bytes_min: 1024 }),
            answer_within: Some(Duration::from_secs(30)),
            store_within: Some(Duration::from_secs(300)),
            admission: Admission::default(),
            packages: None,
            observer: None,
        })
    }
}

impl ConsoleService {
    /// The console over `plane`, for those whom `sessions` knows. `authenticator` hashes the passwords that are set,
    /// `desk` makes keys and logins, and what is refused waits in `refusals`, which are the management protocol's.
    pub fn new(
        plane: ControlPlane,
        authenticator: Arc<ControlAuthenticator>,
        desk: Arc<KeyDesk>,
        sessions: Arc<SessionDesk>,
        refusals: Refusals,
        options: ConsoleOptions,
    ) -> Self {
        Self(Arc::new(Parts { plane, authenticator, desk, sessions, refusals, options }))
    }

    /// Where in the host's paths the console is.
    pub fn mount_point(&self) -> &MountPoint {
        &self.0.options.mount
    }
}

impl<B> Service<Request<B>> for ConsoleService
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
        let span = debug_span!("console", method = %head.method, status = field::Empty);
        Box::pin(async move { Ok(parts.answer(head, body, progress).await) }.instrument(span))
    }
}

/// What nobody may put on a page from elsewhere, and nobody may put a page into.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

impl Parts {
    async fn answer(
        &self,
        mut head: request::Parts,
        body: RequestBody,
        progress: Arc<Progress>,
    ) -> Response<ResponseBody> {
        let Self { options, .. } = self;
        let mut visit = Visit::begin(&head, progress, options.patience, options.observer.as_ref());
        if head.extensions.get::<RequestId>().is_none() {
            let id = uuid::Uuid::new_v4().simple().to_string();
            head.extensions.insert(RequestId(id.into()));
        }
        head.extensions.insert(Channel::Console);
        let mut response = self.serve(&head, body, &mut visit).await;
        let length = response.body().length();
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        visit.answered(&head, response).await
    }

    async fn serve(
        &self,
        head: &request::Parts,
        body: RequestBody,
        visit: &mut Visit,
    ) -> Response<ResponseBody> {
        let base = self.options.mount.outside_of(head);
        let path = self.options.mount.below(head.uri.path());
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        if let (true, Some(name)) = (is_read, path.and_then(|path| path.strip_prefix("/assets/"))) {
            visit.asks("console_asset");
            if let Some(response) = assets::answer(name, &head.headers) {
                return response;
            }
        }
        visit.asks("console");
        let query = Form::parse(head.uri.query().unwrap_or_default().as_bytes());
        let chosen = Language::chosen(&query);
        let texts = texts::of(chosen.unwrap_or_else(|| Language::preferred(&head.headers)));
        let query = query.with(language::PARAMETER, None);
        let frame = Frame { base: &base, path: path.unwrap_or_default(), query: &query, texts };
        let mut response = match path {
            Some(_) => self.page(head, body, frame).await,
            None => return whole(alone(&Frame { path: "/", ..frame }, &Problem::NoSuchPage)),
        };
        if let Some(chosen) = chosen {
            let kept = cookies::set(language::COOKIE, chosen.as_str(), Some(YEAR), self.options.secure);
            response.headers_mut().append(SET_COOKIE, kept);
        }
        response
    }

    /// The page for whoever is there, if it does not take too long.
    async fn page(
        &self,
        head: &request::Parts,
        body: RequestBody,
        frame: Frame<'_>,
    ) -> Response<ResponseBody> {
        let segments: Vec<&str> = frame.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let end = self.options.answer_within.and_then(|within| Instant::now().checked_add(within));
        let origin = origin(head, frame.base, frame.path, &self.options.trusted_proxies);
        let begun = match in_time(end, self.begin(head, body, &frame, &segments, &origin)).await {
            Some(Ok(begun)) => begun,
            Some(Err(response)) => return response,
            None => return whole(alone(&Frame { path: "/", ..frame }, &Problem::TooSlow)),
        };
        // Files take as long as they come; who takes them in waits for no more than that.
        let end = end.filter(|_| !matches!(begun.sent, Some(Ok(Sent::Files(_)))));
        let Begun { session, sent, admitted } = begun;
        match in_time(end, self.answer_of(&session, sent, &origin, frame, &segments)).await {
            Some(response) => response.map(|body| body.of(admitted)),
            None => whole(alone(&Frame { path: "/", ..frame }, &Problem::TooSlow)),
        }
    }

    /// Finds out who is there and what was sent; a response where there is nobody, or nothing more to do.
    async fn begin(
        &self,
        head: &request::Parts,
        body: RequestBody,
        frame: &Frame<'_>,
        segments: &[&str],
        origin: &Origin,
    ) -> Result<Begun, Response<ResponseBody>> {
        let is_change = head.method == Method::POST;
        if !is_change && !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(whole(alone(frame, &Problem::Method)));
        }
        if is_change && !same_origin::is_ours(head, self.options.settings.host()) {
            return Err(whole(alone(frame, &Problem::Forged)));
        }
        let token = cookie(&head.headers, self.cookie_name()).map(Secret::from);
        let signs_in = is_change && segments == ["sign-in"];
        let session = match &token {
            // Whoever signs in is a stranger still.
            Some(token) if !signs_in => match self.sessions.resume(token).await {
                Ok(session) => session,
                Err(error) => return Err(whole(alone(frame, &error.into()))),
            },
            _ => None,
        };
        let signer = session.as_ref().map(|session| &session.signer);
        let asking = Asking {
            caller: &signer.map_or(Caller::Anonymous, Signer::caller),
            account: signer.map(|signer| signer.account.id.as_str()),
            source: origin.source,
            goes_on: false,
            body: body.declared(),
        };
        let admitted = match self.options.admission.admit(asking).await {
            Ok(admitted) => admitted,
            Err(Crowded { retry_after }) => {
                let mut refused = whole(alone(frame, &Problem::Busy));
                refused.headers_mut().insert(RETRY_AFTER, retry_after.as_secs().max(1).into());
                return Err(refused);
            }
        };
        if signs_in {
            return Err(self.sign_in(head, frame, body, origin, token.as_ref()).await);
        }
        let Some(session) = session else {
            return Err(match segments {
                ["sign-in"] => whole(sign_in::page(frame, &Form::default(), None)),
                _ => redirect(&sign_in::address(frame, is_change)),
            });
        };
        if segments == ["sign-in"] {
            return Err(redirect(&frame.link("/")));
        }
        if !is_change {
            return Ok(Begun { session, sent: None, admitted });
        }
        let sent = self.sent(head, segments, body, &session.form_token).await;
        if sent.is_ok() && segments == ["sign-out"] {
            return Err(self.sign_out(frame, token.as_ref()).await);
        }
        Ok(Begun { session, sent: Some(sent), admitted })
    }

    /// The page for whoever has signed in.
    async fn answer_of(
        &self,
        session: &ResumedSession,
        sent: Option<Result<Sent, Problem>>,
        origin: &Origin,
        frame: Frame<'_>,
        segments: &[&str],
    ) -> Response<ResponseBody> {
        let ResumedSession { signer, form_token } = session;
        let is_change = sent.is_some();
        // What is refused is answered with a page that has an address of its own.
        let page = if is_change { pages::page_of(segments) } else { None };
        let frame = Frame { path: page.as_deref().unwrap_or(frame.path), ..frame };
        let exchange = Exchange { parts: self, frame, signer, form_token, origin };
        let answer = match sent {
            Some(Ok(sent)) => pages::change(&exchange, segments, sent).await,
            Some(Err(problem)) => Err(problem),
            None => pages::show(&exchange, segments).await,
        };
        match answer {
            Ok(Reply::Page(page)) => {
                let status = page.status;
                html(status, layout::page(&exchange, page))
            }
            Ok(Reply::Redirect(to)) => redirect(&to),
            Ok(Reply::Fragment(markup)) => html(StatusCode::OK, markup),
            Ok(Reply::Download(response)) => *response,
            // It ended meanwhile.
            Err(Problem::Control(ControlError::Unauthorized)) => {
                redirect(&sign_in::address(&exchange.frame, is_change))
            }
            Err(problem) => {
                tell(&problem);
                let page = of_problem(exchange.texts(), &problem);
                with_problem(html(problem.status(), layout::page(&exchange, page)), &problem)
            }
        }
    }

    /// Begins a session, and ends the one before it in this browser.
    async fn sign_in(
        &self,
        head: &request::Parts,
        frame: &Frame<'_>,
        body: RequestBody,
        origin: &Origin,
        before: Option<&Secret>,
    ) -> Response<ResponseBody> {
        let form = match form_of(head, body).await {
            Ok(form) => form,
            Err(problem) => return whole(sign_in::page(frame, &Form::default(), Some(&problem))),
        };
        match sign_in::begin(&self.sessions, frame, &form).await {
            Ok(NewSession { token, .. }) => {
                if let Some(before) = before
                    && let Err(error) = self.sessions.end(before).await
                {
                    // It ends by itself, later: nobody has it any more.
                    tell(&error.into());
                }
                let mut response = redirect(&sign_in::after(frame, &form));
                let value = cookies::set(self.cookie_name(), token.expose(), None, self.options.secure);
                response.headers_mut().append(SET_COOKIE, value);
                response
            }
            Err(problem) => {
                tell(&problem);
                // What was typed may be a secret, in whichever field.
                let source = origin.source.map(|source| source.to_string()).unwrap_or_default();
                warn!(source, status = problem.status().as_u16(), "somebody was not signed in");
                whole(sign_in::page(frame, &form, Some(&problem)))
            }
        }
    }

    async fn sign_out(&self, frame: &Frame<'_>, token: Option<&Secret>) -> Response<ResponseBody> {
        if let Some(token) = token
            && let Err(error) = self.sessions.end(token).await
        {
            return whole(alone(frame, &error.into()));
        }
        let mut response = redirect(&frame.link("/sign-in?done=signed-out"));
        let gone = cookies::set(self.cookie_name(), "", Some(TimeDelta::zero()), self.options.secure);
        response.headers_mut().append(SET_COOKIE, gone);
        // What the browser has kept of the pages goes with it.
        const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
        response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
        response
    }

    /// What was sent, if it was by a page of this session.
    async fn sent(
        &self,
        head: &request::Parts,
        segments: &[&str],
        body: RequestBody,
        token: &Secret,
    ) -> Result<Sent, Problem> {
        let shown = |text: &str| Secret::from(text) == *token;
        let is_files = segments == ["upload"] && swr_packages::Form::is_one(content_type(head));
        if let (true, Some(desk)) = (is_files, &self.options.packages) {
            let progress = body.progress();
            let mut form = desk.form(content_type(head), body.into_stream()).map_err(of_form)?;
            let first = form.next().await.map_err(of_form)?.filter(|part| *part.name == *FORM_TOKEN_FIELD);
            let first = first.ok_or(Problem::Forged)?.body.collect(TOKEN_BYTES_MAX).await?;
            return match std::str::from_utf8(&first).is_ok_and(shown) {
                true => Ok(Sent::Files(SentFiles { form, progress })),
                false => Err(Problem::Forged),
            };
        }
        let form = form_of(head, body).await?;
        match form.get(FORM_TOKEN_FIELD).is_some_and(shown) {
            true => Ok(Sent::Form(form)),
            false => Err(Problem::Forged),
        }
    }

    /// A browser takes the first name from nobody but this very host, by HTTPS.
    fn cookie_name(&self) -> &'static str {
        if self.options.secure { "__Host-swr-session" } else { "swr-session" }
    }
}

/// What is known of a request before its page is asked.
struct Begun {
    session: ResumedSession,
    /// What came with a change.
    sent: Option<Result<Sent, Problem>>,
    admitted: Admitted,
}

/// No token of a session is longer, in bytes.
const TOKEN_BYTES_MAX: usize = 256;

const YEAR: TimeDelta = TimeDelta::days(365);

/// Waits until `end`, or for as long as it takes where there is none.
async fn in_time<T>(end: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match end {
        Some(end) => tokio::time::timeout_at(end, work).await.ok(),
        None => Some(work.await),
    }
}

fn content_type(head: &request::Parts) -> &str {
    head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn form_of(head: &request::Parts, body: RequestBody) -> Result<Form, Problem> {
    let media_type = content_type(head).split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::MediaType);
    }
    Ok(Form::parse(&body.into_stream().collect(Form::BYTES_MAX).await?))
}

/// A page that says what went wrong, for whoever is signed in.
fn of_problem(texts: &Texts, problem: &Problem) -> Page {
    let title = texts.errors.title(problem.status());
    Page {
        status: problem.status(),
        section: None,
        title: title.to_owned(),
        notice: None,
        body: layout::problem(texts, problem),
    }
}

/// The same for whoever is not.
fn alone(frame: &Frame<'_>, problem: &Problem) -> (StatusCode, Markup, HeaderMap) {
    tell(problem);
    let texts = frame.texts;
    let title = texts.errors.title(problem.status());
    let markup = layout::bare(frame, title, None, layout::problem(texts, problem));
    let mut headers = HeaderMap::new();
    add(&mut headers, problem);
    (problem.status(), markup, headers)
}

fn whole((status, markup, headers): (StatusCode, Markup, HeaderMap)) -> Response<ResponseBody> {
    let mut response = html(status, markup);
    response.headers_mut().extend(headers);
    response
}

fn with_problem(mut response: Response<ResponseBody>, problem: &Problem) -> Response<ResponseBody> {
    add(response.headers_mut(), problem);
    response
}

fn add(headers: &mut HeaderMap, problem: &Problem) {
    match problem {
        Problem::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        Problem::Busy => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
}

/// The operator learns of what is the registry's own fault.
fn tell(problem: &Problem) {
    if let Problem::Control(fault) = problem
        && problem.status().is_server_error()
    {
        error!(error = %Chain(fault), "a page failed");
    }
}

fn html(status: StatusCode, markup: Markup) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::from(markup.into_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn redirect(to: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(Bytes::new()));
    match HeaderValue::try_from(to) {
        Ok(to) => {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, to);
        }
        // No address of the console has what a header cannot have.
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}
