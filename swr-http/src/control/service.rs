//! The management protocol as a service: authenticate, dispatch, answer.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, request};
use http_body::Body;
use swr_auth::{
    AuthenticationError, ControlAuthenticator, DeskSettings, KeyDesk, Secret, SignedRequest, Signer,
};
use tower_service::Service;
use tracing::{Instrument as _, Span, debug_span, field};

use swr_core::caller::Origin;
use swr_core::control::ControlPlane;
use swr_core::control::grant::GrantScope;
#[cfg(feature = "packages")]
use swr_packages::upload::PackageDesk;

use super::body::{BODY_BYTES_MAX, collected};
use super::endpoint::{Kind, ManagementEndpoint, ManagementEndpointError};
use super::error::{ManagementFailure, error_response, status};
use super::exchange::{Answer, Exchange, Reply, ReplyBody};
#[cfg(feature = "packages")]
use super::packages;
use super::refusals::{Refusals, traced};
use super::{
    account, administration, grants, logins, namespaces, openapi, repositories, retentions, sharing, sync,
    tags, traces, triggers,
};
use crate::admission::{Admission, Admitted, Asking, Crowded};
use crate::body::{Patience, Progress, RequestBody, ResponseBody};
use crate::exchange::in_time;
use crate::headers;
use crate::observe::RequestObserver;
use crate::service::MountPoint;
use crate::source::{Network, RequestId, origin};
use crate::visit::Visit;

/// What a client says when it asks for help.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A token for a user's name and password.
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The management protocol as a `tower` service. Cheap to clone; all clones are the same service.
///
/// It takes any request body of `Bytes`, never fails, and spawns nothing. What it refuses to signed-in callers waits in
/// [`Self::refusals`] for the host to write it into the trail. It asks for a tokio runtime with time where
/// [`ManagementOptions`] sets a time, which it does unless told otherwise.
///
/// A host that knows by itself who asks, as one with a page to sign in on, says so with a [`Signer`] among the
/// request's extensions, and with a [`Channel`](swr_core::caller::Channel) which way the request came in. Both are
/// believed: nothing that a client sends becomes an extension.
#[derive(Clone, Debug)]
pub struct ManagementService(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    plane: ControlPlane,
    authenticator: Arc<ControlAuthenticator>,
    desk: Arc<KeyDesk>,
    options: ManagementOptions,
    refusals: Refusals,
}

/// What a host may want otherwise.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..ManagementOptions::new(…)`")]
pub struct ManagementOptions {
    /// What the deployment says of itself: where images are pushed to and pulled from, and its region project.
    pub settings: DeskSettings,
    /// Where images are pulled from within the deployment. As from outside.
    pub internal_host: Option<Box<str>>,
    /// How far the deployment's clocks are ahead of UTC: a share ends at their midnight. Not at all.
    pub utc_offset: TimeDelta,
    /// Where in the host's paths `/v2/manage`, `/v3/manage` and `/admin/v1` are. At their beginning.
    pub mount: MountPoint,
    /// The proxies that are believed when they say for whom they ask. None.
    pub trusted_proxies: Vec<Network>,
    /// How slow the sender of a body may be before it gets a 408. 1 KiB within 30 seconds.
    pub patience: Option<Patience>,
    /// How long the control plane may take for an answer before the client gets a 503. 30 seconds.
    pub answer_within: Option<Duration>,
    /// How long a store may take while the content of a package goes in or out without moving a byte of it. 5 minutes.
    pub store_within: Option<Duration>,
    /// How much one caller may take; see [`ServiceOptions::admission`](crate::ServiceOptions::admission).
    pub admission: Admission,
    /// Who is told of requests. Nobody.
    pub observer: Option<Arc<dyn RequestObserver>>,
    /// Where image packages are handed in (feature `packages`). Nowhere: there is no such path.
    #[cfg(feature = "packages")]
    pub packages: Option<PackageDesk>,
}

impl ManagementOptions {
    /// The usual, of a deployment of these settings.
    pub fn new(settings: DeskSettings) -> Self {
        Self {
            settings,
            internal_host: None,
            utc_offset: TimeDelta::zero(),
            mount: MountPoint::root(),
            trusted_proxies: Vec::new(),
            patience: Some(Patience { within: Duration::from_secs(30), bytes_min: 1024 }),
            answer_within: Some(Duration::from_secs(30)),
            store_within: Some(Duration::from_secs(300)),
            admission: Admission::default(),
            observer: None,
            #[cfg(feature = "packages")]
            packages: None,
        }
    }
}

impl ManagementService {
    /// The protocol over `plane`, for callers that `authenticator` tells apart, to whom `desk` gives their logins.
    pub fn new(
        plane: ControlPlane,
        authenticator: Arc<ControlAuthenticator>,
        desk: Arc<KeyDesk>,
        options: ManagementOptions,
    ) -> Self {
        let refusals = Refusals::new(plane.clone());
        Self(Arc::new(Parts { plane, authenticator, desk, options, refusals }))
    }

    /// What was refused and is not in the trail yet. A registry's own protocol can add to it
    /// ([`ServiceOptions::refusals`](crate::ServiceOptions::refusals)).
    pub fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// Where in the host's paths the protocol is.
    pub fn mount_point(&self) -> &MountPoint {
        &self.0.options.mount
    }
}

impl<B> Service<Request<B>> for ManagementService
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
            "management",
            method = %head.method,
            operation = field::Empty,
            status = field::Empty,
        );
        Box::pin(async move { Ok(parts.answer(head, body, progress).await) }.instrument(span))
    }
}

impl Parts {
    async fn answer(
        &self,
        mut head: request::Parts,
        body: RequestBody,
        progress: Arc<Progress>,
    ) -> Response<ResponseBody> {
        let Self { options, .. } = self;
        let mut visit = Visit::begin(&head, progress, options.patience, options.observer.as_ref());
        let request_id = match head.extensions.get::<RequestId>() {
            Some(id) => id.0.clone(),
            None => uuid::Uuid::new_v4().simple().to_string().into_boxed_str(),
        };
        head.extensions.insert(RequestId(request_id.clone()));

        let endpoint = self.endpoint(&head);
        let kind = endpoint.as_ref().ok().map(ManagementEndpoint::kind);
        if let Some(kind) = kind {
            Span::current().record("operation", kind.route().name);
            visit.asks(kind.route().name);
        }
        let mut response = match self.serve(&head, endpoint, body).await {
            Ok(reply) => done(reply, kind),
            Err(failure) => error_response(&failure, kind, &request_id),
        };
        let length = response.body().length();
        let status = response.status();
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, headers::value(request_id));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(length) = length.filter(|_| status != StatusCode::NO_CONTENT) {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        visit.answered(&head, response).await
    }

    fn endpoint(&self, head: &request::Parts) -> Result<ManagementEndpoint, ManagementEndpointError> {
        let path = self.options.mount.below(head.uri.path()).ok_or(ManagementEndpointError::NoSuchPath)?;
        ManagementEndpoint::parse(&head.method, path, head.uri.query())
    }

    async fn serve(
        &self,
        head: &request::Parts,
        endpoint: Result<ManagementEndpoint, ManagementEndpointError>,
        body: RequestBody,
    ) -> Answer {
        use ManagementEndpointError::{Method, NoSuchPath};
        let endpoint = match endpoint {
            Err(nothing @ (NoSuchPath | Method { .. })) => return Err(nothing.into()),
            Ok(ManagementEndpoint::ShowDocument {}) => {
                let document = ReplyBody::Document((&**openapi::DOCUMENT).into());
                return Ok(Reply { body: document, ..Reply::empty() });
            }
            // Whoever is not known is told nothing more.
            endpoint => endpoint,
        };
        // The path as its client sees it, which is what it has signed.
        let below = self.options.mount.below(head.uri.path()).unwrap_or_default();
        let outside = self.options.mount.outside_of(head);
        let path = format!("{outside}{below}");
        let streams = matches!(endpoint, Ok(ManagementEndpoint::UploadImagePackage { .. }));
        let origin = origin(head, &outside, below, &self.options.trusted_proxies);
        let (signer, admitted, body) = self.signer(head, &path, &origin, body, streams).await?;
        let endpoint = endpoint?;
        let (body, incoming) = match body {
            Sent::Whole(body) => (body, None),
            Sent::Streaming(body) => (Bytes::new(), Some(body)),
        };
        let exchange = Exchange {
            plane: &self.plane,
            access: self.plane.access(signer.caller(), origin.clone()),
            signer: &signer,
            authenticator: &self.authenticator,
            desk: &self.desk,
            origin: &origin,
            options: &self.options,
            body: &body,
        };
        let answer = match (&endpoint, incoming) {
            #[cfg(feature = "packages")]
            (ManagementEndpoint::UploadImagePackage { organisation, target, files }, Some(body)) => {
                let traced = traced(&endpoint, &[]);
                let attempt =
                    traced.and_then(|traced| self.refusals.attempt(&signer.caller(), &origin, traced));
                let target = target.as_ref();
                let wanted = packages::Wanted { organisation, target, files: *files, attempt };
                packages::upload(&exchange, wanted, head, body).await
            }
            _ => match in_time(self.options.answer_within, dispatch(&exchange, &endpoint)).await {
                Ok(answer) => answer,
                Err(_) => Err(ManagementFailure::TooSlow),
            },
        };
        if let Err(failure) = &answer
            && !failure.is_traced()
            && let Some(traced) = traced(&endpoint, &body)
            && let Some(attempt) = self.refusals.attempt(&signer.caller(), &origin, traced)
        {
            attempt.refused(status(failure, Some(endpoint.kind())), failure);
        }
        answer.map(|reply| Reply { admitted, ..reply })
    }

    /// Who is calling, once there is room for it, and the body, which a signature is about unless it `streams`. No body is
    /// read of those who show nothing, nor before there is room where something else than the signature says who calls.
    async fn signer(
        &self,
        head: &request::Parts,
        path: &str,
        origin: &Origin,
        body: RequestBody,
        streams: bool,
    ) -> Result<(Signer, Admitted, Sent), ManagementFailure> {
        let sent = async |body| match streams {
            true => Ok(Sent::Streaming(body)),
            false => collected(body, BODY_BYTES_MAX).await.map(Sent::Whole),
        };
        let length = body.declared();
        if let Some(signer) = head.extensions.get::<Signer>() {
            let admitted = self.admitted(signer, origin, length).await?;
            return Ok((signer.clone(), admitted, sent(body).await?));
        }
        if let Some(token) = head.headers.get(X_AUTH_TOKEN) {
            let token = token.to_str().ok().filter(|token| token.len() <= TOKEN_BYTES_MAX);
            let token = Secret::new(token.ok_or(ManagementFailure::Token)?);
            let signer = self.authenticated(self.authenticator.management_token(&token)).await;
            let signer = signer?.ok_or(ManagementFailure::Token)?;
            let admitted = self.admitted(&signer, origin, length).await?;
            return Ok((signer, admitted, sent(body).await?));
        }
        if !head.headers.contains_key(AUTHORIZATION) {
            return Err(ManagementFailure::Unsigned);
        }
        let sent = sent(body).await?;
        let mut headers: Vec<(&str, &str)> = head
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?)))
            .collect();
        // HTTP/2 says it elsewhere.
        if let (None, Some(authority)) = (head.headers.get(HOST), head.uri.authority()) {
            headers.push((HOST.as_str(), authority.as_str()));
        }
        let request = SignedRequest {
            method: head.method.as_str(),
            path,
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
            body: match &sent {
                Sent::Whole(body) => Some(body),
                Sent::Streaming(_) => None,
            },
        };
        let signer = self.authenticated(self.authenticator.signed(&request)).await?;
        let signer = signer.ok_or(ManagementFailure::Unsigned)?;
        let admitted = self.admitted(&signer, origin, length).await?;
        Ok((signer, admitted, sent))
    }

    /// Waits until there is room for what is asked.
    async fn admitted(
        &self,
        signer: &Signer,
        origin: &Origin,
        body: Option<u64>,
    ) -> Result<Admitted, ManagementFailure> {
        let asking = Asking {
            caller: &signer.caller(),
            account: Some(signer.account.id.as_str()),
            source: origin.source,
            goes_on: false,
            body,
        };
        let admitted = self.options.admission.admit(asking).await;
        admitted.map_err(|Crowded { retry_after }| ManagementFailure::Busy { retry_after })
    }

    /// `None`: what was shown proves nothing.
    async fn authenticated(
        &self,
        call: impl Future<Output = Result<Signer, AuthenticationError>>,
    ) -> Result<Option<Signer>, ManagementFailure> {
        match in_time(self.options.answer_within, call).await? {
            Ok(signer) => Ok(Some(signer)),
            Err(AuthenticationError::Busy { retry_after }) => Err(ManagementFailure::Busy { retry_after }),
            Err(AuthenticationError::Store(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

/// The body of a request, as its operation takes it.
enum Sent {
    Whole(Bytes),
    Streaming(RequestBody),
}

/// The answer to an operation that was done, with the status that its row has.
fn done(reply: Reply, kind: Option<Kind>) -> Response<ResponseBody> {
    let empty = ResponseBody::empty();
    let is_document = matches!(reply.body, ReplyBody::Document(_));
    let mut response = Response::new(match reply.body {
        ReplyBody::Nothing => empty,
        ReplyBody::Document(Cow::Borrowed(bytes)) => empty.bytes(Bytes::from_static(bytes)),
        ReplyBody::Document(Cow::Owned(bytes)) => empty.bytes(bytes),
        #[cfg(feature = "packages")]
        ReplyBody::Content(content) => *content,
    })
    .map(|body| body.of(reply.admitted));
    let success = kind.and_then(|kind| StatusCode::from_u16(kind.route().success).ok());
    *response.status_mut() = success.unwrap_or(StatusCode::OK);
    *response.headers_mut() = reply.headers;
    if is_document {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

async fn dispatch(exchange: &Exchange<'_>, endpoint: &ManagementEndpoint) -> Answer {
    use ManagementEndpoint as E;
    let organisation_scope = |name: &swr_core::OrganisationName| GrantScope::Organisation(name.clone());
    let repository_scope = |name: &swr_core::RepositoryName| GrantScope::Repository(name.clone());
    match endpoint {
        E::CreateNamespace {} => namespaces::create(exchange).await,
        E::ListNamespaces { name, partly } => namespaces::list(exchange, name.as_deref(), *partly).await,
        E::ShowNamespace { organisation } => namespaces::show(exchange, organisation).await,
        E::DeleteNamespaces { organisation } => namespaces::remove(exchange, organisation).await,
        E::CreateNamespaceAuth { organisation } => {
            grants::create(exchange, &organisation_scope(organisation)).await
        }
        E::ShowNamespaceAuth { organisation } => grants::show_of_organisation(exchange, organisation).await,
        E::UpdateNamespaceAuth { organisation } => {
            grants::change(exchange, &organisation_scope(organisation)).await
        }
        E::DeleteNamespaceAuth { organisation } => {
            grants::remove(exchange, &organisation_scope(organisation)).await
        }

        // It takes its body as it comes, where it is offered.
        E::UploadImagePackage { .. } => Err(ManagementEndpointError::NoSuchPath.into()),
        #[cfg(feature = "packages")]
        E::DownloadImagePackage { repository, tag } => packages::download(exchange, repository, tag).await,
        #[cfg(not(feature = "packages"))]
        E::DownloadImagePackage { .. } => Err(ManagementEndpointError::NoSuchPath.into()),

        E::CreateRepo { organisation } => repositories::create(exchange, organisation).await,
        E::ShowRepository { repository } => repositories::show(exchange, repository).await,
        E::UpdateRepo { repository } => repositories::change(exchange, repository).await,
        E::DeleteRepo { repository } => repositories::remove(exchange, repository).await,
        E::ListReposDetails { query, page } | E::ListSharedReposDetails { query, page } => {
            repositories::list(exchange, query, *page).await
        }
        E::ListRepoDetails { query, page } | E::ListSharedRepoDetails { query, page } => {
            repositories::page(exchange, query, page).await
        }
        E::CreateUserRepositoryAuth { repository } => {
            grants::create(exchange, &repository_scope(repository)).await
        }
        E::ShowUserRepositoryAuth { repository } => grants::show_of_repository(exchange, repository).await,
        E::UpdateUserRepositoryAuth { repository } => {
            grants::change(exchange, &repository_scope(repository)).await
        }
        E::DeleteUserRepositoryAuth { repository } => {
            grants::remove(exchange, &repository_scope(repository)).await
        }

        E::ListRepositoryTags { repository, query } => tags::list(exchange, repository, query).await,
        E::ListRepositoryTag { repository, query, with_manifest } => {
            tags::page(exchange, repository, query, *with_manifest).await
        }
        E::CreateRepoTag { repository } => tags::create(exchange, repository).await,
        E::ShowRepoTag { repository, tag } => tags::show(exchange, repository, tag).await,
        E::DeleteRepoTag { repository, tag } => tags::remove(exchange, repository, tag).await,
        E::ListReferences { repository, tag, page } => {
            tags::references(exchange, repository, tag, page).await
        }
        E::ListRepoAccessories { repository, tag, page } => {
            tags::accessories(exchange, repository, tag, *page).await
        }

        E::CreateRepoDomains { repository } => sharing::create(exchange, repository).await,
        E::ListRepoDomains { repository } => sharing::list(exchange, repository).await,
        E::ShowAccessDomain { repository, account } => sharing::show(exchange, repository, account).await,
        E::UpdateRepoDomains { repository, account } => sharing::change(exchange, repository, account).await,
        E::DeleteRepoDomains { repository, account } => sharing::end(exchange, repository, account).await,

        E::CreateRetention { repository } => retentions::create(exchange, repository).await,
        E::ListRetentions { repository } => retentions::list(exchange, repository).await,
        E::PlanRetention { repository, page } => retentions::plan(exchange, repository, *page).await,
        E::ListRetentionHistories { repository, page } => {
            retentions::histories(exchange, repository, *page).await
        }
        E::ShowRetention { repository, id } => retentions::show(exchange, repository, *id).await,
        E::UpdateRetention { repository, id } => retentions::change(exchange, repository, *id).await,
        E::DeleteRetention { repository, id } => retentions::remove(exchange, repository, *id).await,

        E::CreateTrigger { repository } => triggers::create(exchange, repository).await,
        E::ListTriggersDetails { repository } => triggers::list(exchange, repository).await,
        E::ShowTrigger { repository, trigger } => triggers::show(exchange, repository, trigger).await,
        E::UpdateTrigger { repository, trigger } => triggers::change(exchange, repository, trigger).await,
        E::DeleteTrigger { repository, trigger } => triggers::remove(exchange, repository, trigger).await,
        E::ListTriggerDeliveries { repository, trigger, limit } => {
            triggers::deliveries(exchange, repository, trigger, *limit).await
        }
        E::ReplayTriggerDelivery { repository, trigger, delivery } => {
            triggers::replay(exchange, repository, trigger, delivery).await
        }

        E::CreateImageSyncRepo { repository } => sync::create(exchange, repository).await,
        E::ListImageAutoSyncReposDetails { repository } => sync::list(exchange, repository).await,
        E::DeleteImageSyncRepo { repository } => sync::remove(exchange, repository).await,
        E::CreateManualImageSyncRepo { repository } => sync::copy(exchange, repository).await,
        E::ShowSyncJob { repository, descending, page } => {
            sync::jobs(exchange, repository, *descending, *page).await
        }
        E::ListSyncRegions {} => sync::regions(exchange),

        E::CreateSecret { project, seconds } => logins::create(exchange, project.as_deref(), *seconds).await,
        E::CreateAuthorizationToken {} => logins::create(exchange, None, None).await,

        E::ListQuotas { project } => account::quotas(exchange, project).await,
        E::ShowShareFeatureGates { project } => account::feature_gates(exchange, project),
        E::ShowDomainOverview {} => account::overview(exchange).await,
        E::ShowDomainResourceReports { report, frequency } => {
            account::report(exchange, *report, *frequency).await
        }
        E::CheckAgency {} => account::agency(exchange),
        E::CreateAgency {} => account::create_agency(exchange).await,

        E::CreateAccount {} => administration::create_account(exchange).await,
        E::ListAccounts { page } => administration::list_accounts(exchange, page).await,
        E::ShowAccount { account } => administration::show_account(exchange, account).await,
        E::CreateUser { account } => administration::create_user(exchange, account).await,
        E::ListUsers { account, page } => administration::list_users(exchange, account, page).await,
        E::ShowUser { account, user } => administration::show_user(exchange, account, user).await,
        E::DeleteUser { account, user } => administration::remove_user(exchange, account, user).await,
        E::UpdateUserRole { account, user } => administration::change_role(exchange, account, user).await,
        E::UpdateUserPassword { account, user } => {
            administration::change_password(exchange, account, user).await
        }
        E::CreateAccessKey { account, user } => administration::create_key(exchange, account, user).await,
        E::ListAccessKeys { account, user } => administration::list_keys(exchange, account, user).await,
        E::DeleteAccessKey { account, user, key } => {
            administration::remove_key(exchange, account, user, key).await
        }
        E::CreateTokenKey {} => administration::create_token_key(exchange).await,
        E::ListTokenKeys {} => administration::list_token_keys(exchange).await,
        E::DeleteTokenKey { key } => administration::remove_token_key(exchange, key).await,

        E::ListTraces { project, query, limit } => traces::list(exchange, project, query, *limit).await,
        // It is served to anybody, before it is asked who is there.
        E::ShowDocument {} => Ok(Reply::empty()),
    }
}
