//! A deployment in memory behind its doors: two accounts, a few users, and requests that they sign.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use swr_auth::{
    ControlAuthenticator, DeskSettings, GrantAuthorizer, KeyDesk, Login, NewPassword, Secret, SignedRequest,
    TokenDesk, Vault,
};
use swr_core::caller::Origin;
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{Account, AccountName, PasswordHash, Role, User, UserName};
use swr_core::control::trigger::{Delivery, Trigger};
use swr_core::control::{ControlLimits, ControlPlane, Courier, NewAccount, NewUser};
use swr_core::digest::Algorithm;
use swr_core::media_type::MediaType;
use swr_core::ports::{ActionError, TriggerAction};
use swr_core::registry::Registry;
use swr_core::testing::ManualClock;
use swr_core::testing::stepping::{Plan, Stepping, Steps};
use swr_http::control::{ManagementOptions, ManagementService};
use swr_http::token::{TokenOptions, TokenService};
use swr_http::{RegistryService, ResponseBody, ServiceOptions};
use swr_packages::ImportOptions;
use swr_packages::upload::PackageDesk;
use swr_policy::SwrNestedNaming;
use swr_storage::{MemoryBlobs, MemoryManifests};
use tower_service::Service;

pub(crate) const HOST: &str = "registry.example";
pub(crate) const PROJECT: &str = "cn-test1";
/// The one region that images can be copied to.
pub(crate) const REGION: &str = "cn-test2";
pub(crate) const PASSWORD: &str = "open sesame";

pub(crate) struct House {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) steps: Arc<Steps>,
    pub(crate) plane: ControlPlane,
    pub(crate) desk: Arc<KeyDesk>,
    pub(crate) management: ManagementService,
    pub(crate) registry: RegistryService,
    pub(crate) tokens: TokenService,
    /// An administrator of `acme`.
    pub(crate) ada: Person,
    /// A member of `acme`.
    pub(crate) bob: Person,
    /// Another member of `acme`.
    pub(crate) cyd: Person,
    /// An administrator of `globex`.
    pub(crate) eve: Person,
    /// An operator, of the account `base`.
    pub(crate) olga: Person,
}

pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) account: Account,
    pub(crate) key: KeyId,
    pub(crate) secret: Secret,
}

/// What becomes of everything that a trigger does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Impossible,
}

/// Does nothing, and keeps in mind what it was to do.
#[derive(Debug)]
pub(crate) struct Deeds {
    outcome: Outcome,
    pub(crate) done: Mutex<Vec<(Trigger, Delivery)>>,
}

#[async_trait]
impl TriggerAction for Deeds {
    async fn act(&self, trigger: &Trigger, delivery: &Delivery) -> Result<String, ActionError> {
        self.done.lock().unwrap().push((trigger.clone(), delivery.clone()));
        match self.outcome {
            Outcome::Done => Ok("all is well".to_owned()),
            Outcome::Failed => Err(ActionError::Failed("nobody is there".to_owned())),
            Outcome::Impossible => Err(ActionError::Impossible("nobody will be there".to_owned())),
        }
    }
}

/// A response, to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(change: impl Fn(ManagementOptions) -> ManagementOptions) -> Self {
        let clock = Arc::new(ManualClock::default());
        let steps = Arc::new(Steps::default());
        let store = Arc::new(Stepping::new(MemoryManifests::new(), &steps));
        let authorizer = Arc::new(GrantAuthorizer::new(store.clone(), clock.clone()));
        let registry = Registry::builder(Arc::new(MemoryBlobs::new()), store.clone(), authorizer.clone())
            .naming(Arc::new(SwrNestedNaming::new()))
            .clock(clock.clone())
            .build();
        let plane = ControlPlane::with(
            registry.clone(),
            store.clone(),
            authorizer.clone(),
            clock.clone(),
            ControlLimits { regions: vec![REGION.into()], ..ControlLimits::default() },
        );
        let settings = DeskSettings::new(PROJECT, HOST, "https://registry.example/token").unwrap();
        let (vault, _) = Vault::generate();
        let vault = Arc::new(vault);
        let authenticator = Arc::new(ControlAuthenticator::new(
            store.clone(),
            vault.clone(),
            settings.clone(),
            clock.clone(),
        ));
        let desk = Arc::new(KeyDesk::new(vault, settings.clone(), clock.clone()));
        let mut options = change(ManagementOptions::new(settings.clone()));
        options.packages = Some(PackageDesk::new(plane.clone(), ImportOptions::new(std::env::temp_dir()), 1));
        let admission = options.admission.clone();
        let management = ManagementService::new(plane.clone(), authenticator.clone(), desk.clone(), options);
        let options =
            ServiceOptions { refusals: Some(management.refusals().clone()), ..ServiceOptions::default() };
        let registry = RegistryService::with_options(registry, authenticator.clone(), options);
        let token_desk = Arc::new(TokenDesk::new(authenticator.clone(), authorizer));
        let tokens =
            TokenService::new(token_desk, TokenOptions { admission, ..TokenOptions::new(settings.clone()) });

        let acme = account(&plane, "acme").await;
        let globex = account(&plane, "globex").await;
        let base = account(&plane, "base").await;
        Self {
            ada: person(&plane, &desk, &acme, "ada", Role::Administrator).await,
            bob: person(&plane, &desk, &acme, "bob", Role::Member).await,
            cyd: person(&plane, &desk, &acme, "cyd", Role::Member).await,
            eve: person(&plane, &desk, &globex, "eve", Role::Administrator).await,
            olga: person(&plane, &desk, &base, "olga", Role::Operator).await,
            clock,
            steps,
            plane,
            desk,
            management,
            registry,
            tokens,
        }
    }

    /// An organisation of ada's with a public and a private repository: `group/app` has the tags `v1` and `v2`.
    pub(crate) async fn furnished() -> Self {
        let house = Self::new().await;
        house.ada(Method::POST, "/v2/manage/namespaces", json!({ "namespace": "group" })).await.is(201);
        house.push(&house.ada, "group/app", "v1").await;
        house.push(&house.ada, "group/app", "v2").await;
        house
    }

    pub(crate) async fn ada(&self, method: Method, address: &str, body: impl IntoBody) -> Answer {
        self.asks(&self.ada, method, address, body).await
    }

    pub(crate) async fn bob(&self, method: Method, address: &str, body: impl IntoBody) -> Answer {
        self.asks(&self.bob, method, address, body).await
    }

    pub(crate) async fn eve(&self, method: Method, address: &str, body: impl IntoBody) -> Answer {
        self.asks(&self.eve, method, address, body).await
    }

    pub(crate) async fn olga(&self, method: Method, address: &str, body: impl IntoBody) -> Answer {
        self.asks(&self.olga, method, address, body).await
    }

    pub(crate) async fn asks(
        &self,
        person: &Person,
        method: Method,
        address: &str,
        body: impl IntoBody,
    ) -> Answer {
        send(&self.management, self.signed(person, method, address, body.into_body())).await
    }

    /// Asks again and again while one call to the store after the other fails, until none does: that is the answer.
    /// A fault is told as one, and never as what the client has done or may not see.
    pub(crate) async fn past_every_fault(&self, ask: impl AsyncFn() -> Answer) -> Answer {
        let mut number = 0;
        loop {
            number += 1;
            self.steps.plan(Plan::FailBefore(number));
            let answer = ask().await;
            let calls = self.steps.calls();
            self.steps.plan(Plan::Plain);
            if calls < number {
                assert!(number > 1, "the store was asked: {answer:?}");
                return answer;
            }
            assert_eq!(answer.status, 503, "call {number} failed: {answer:?}");
        }
    }

    /// Does what the triggers that were fired say, for as long as something is to be done now: each with this outcome.
    pub(crate) async fn carry(&self, outcome: Outcome) -> Arc<Deeds> {
        let deeds = Arc::new(Deeds { outcome, done: Mutex::default() });
        let courier = Courier::new(self.plane.clone(), deeds.clone());
        while courier.fan_out().await.unwrap().more {}
        loop {
            let claimed = courier.claim(NonZeroU32::MIN).await.unwrap();
            let Some(claimed) = claimed.first() else { break };
            courier.attempt(claimed).await.unwrap();
        }
        deeds
    }

    /// A request as clients sign it.
    pub(crate) fn signed(
        &self,
        person: &Person,
        method: Method,
        address: &str,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        use swr_core::ports::Clock as _;
        let date = self.clock.now().format("%Y%m%dT%H%M%SZ").to_string();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut headers =
            vec![("content-type", "application/json"), ("host", HOST), ("x-sdk-date", date.as_str())];
        // What streams past is not signed.
        let streams = path.ends_with("/packages");
        headers.extend(streams.then_some(("x-sdk-content-sha256", "UNSIGNED-PAYLOAD")));
        let signed = (!streams).then_some(&*body);
        let request = SignedRequest { method: method.as_str(), path, query, headers: &headers, body: signed };
        let authorization = request.sign(&person.key, &person.secret).unwrap();
        let mut request = Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.header("authorization", authorization).body(Full::new(body)).unwrap()
    }

    /// Pushes an image of one layer under a tag, as a client that has signed in for good.
    pub(crate) async fn push(&self, person: &Person, repository: &str, tag: &str) -> Value {
        let manifest = image(tag);
        let config = format!("/v2/{repository}/blobs/uploads/?digest={}", Algorithm::Sha256.digest(CONFIG));
        self.content(person, Method::POST, &config, "", CONFIG).await.is(201);
        let layer = format!("/v2/{repository}/blobs/uploads/?digest={}", Algorithm::Sha256.digest(LAYER));
        self.content(person, Method::POST, &layer, "", LAYER).await.is(201);
        self.push_manifest(person, repository, tag, &manifest).await.is(201);
        manifest
    }

    pub(crate) async fn push_manifest(
        &self,
        person: &Person,
        repository: &str,
        tag: &str,
        manifest: &Value,
    ) -> Answer {
        let address = format!("/v2/{repository}/manifests/{tag}");
        let media_type = manifest["mediaType"].as_str().unwrap();
        let body = serde_json::to_vec(manifest).unwrap();
        self.content(person, Method::PUT, &address, media_type, &body).await
    }

    /// A request to the registry's own protocol.
    pub(crate) async fn content(
        &self,
        person: &Person,
        method: Method,
        address: &str,
        media_type: &str,
        body: &[u8],
    ) -> Answer {
        let authorization = format!("Basic {}", person.login().auth());
        let request = Request::builder()
            .method(method)
            .uri(address)
            .header("content-type", media_type)
            .header("authorization", authorization);
        send(&self.registry, request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()).await
    }
}

impl Person {
    /// How it signs in for good.
    pub(crate) fn login(&self) -> Login {
        Login::long_term(PROJECT, &self.key, &self.secret)
    }

    pub(crate) fn id(&self) -> &str {
        self.user.id.as_str()
    }

    /// A grant to it, as requests have it.
    pub(crate) fn auth(&self, level: u8) -> Value {
        json!({ "user_id": self.id(), "user_name": self.user.name.as_str(), "auth": level })
    }
}

async fn account(plane: &ControlPlane, name: &str) -> Account {
    let new = NewAccount { name: AccountName::parse(name).unwrap() };
    plane.administration(Origin::default()).create_account(new).await.unwrap()
}

async fn person(plane: &ControlPlane, desk: &KeyDesk, account: &Account, name: &str, role: Role) -> Person {
    let access = plane.administration(Origin::default());
    // One hash is enough for all of them.
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    let hash = || NewPassword::new(Secret::new(PASSWORD)).unwrap().hash().unwrap();
    let password = HASH.get_or_init(hash).clone();
    let new = NewUser {
        account: account.id.clone(),
        name: UserName::parse(name).unwrap(),
        role,
        password: Some(password),
    };
    let user = access.create_user(new).await.unwrap();
    let made = desk.access_key(&access, &user.id, "").await.unwrap();
    Person { user, account: account.clone(), key: made.key.id, secret: made.secret }
}

/// What a request may have for a body.
pub(crate) trait IntoBody {
    fn into_body(self) -> Bytes;
}

impl IntoBody for Value {
    fn into_body(self) -> Bytes {
        serde_json::to_vec(&self).unwrap().into()
    }
}

impl IntoBody for &'static str {
    fn into_body(self) -> Bytes {
        Bytes::from_static(self.as_bytes())
    }
}

impl IntoBody for Bytes {
    fn into_body(self) -> Bytes {
        self
    }
}

pub(crate) async fn send<S, B>(service: &S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<ResponseBody>, Error = std::convert::Infallible> + Clone,
{
    let response = match service.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The number of an error: what follows `SVCSTG.SWR.`.
    #[track_caller]
    pub(crate) fn number(&self) -> String {
        let code = self.json()["error_code"].as_str().unwrap_or_default().to_owned();
        code.strip_prefix("SVCSTG.SWR.").unwrap_or_else(|| panic!("{code}: {self:?}")).to_owned()
    }
}

pub(crate) const CONFIG: &[u8] = b"{}";
pub(crate) const LAYER: &[u8] = b"a layer of some bytes";

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Algorithm::Sha256.digest(content), "size": content.len() })
}

/// An image of one layer; images of different names are different.
pub(crate) fn image(name: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", CONFIG),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", LAYER)],
        "annotations": { "name": name },
    })
}

/// An artifact that is attached to another manifest.
pub(crate) fn attachment(subject: &Value, artifact_type: &str) -> Value {
    let subject_bytes = serde_json::to_vec(subject).unwrap();
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", CONFIG),
        "layers": [],
        "subject": descriptor(MediaType::OCI_MANIFEST, &subject_bytes),
    })
}

pub(crate) fn digest(manifest: &Value) -> String {
    Algorithm::Sha256.digest(&serde_json::to_vec(manifest).unwrap()).to_string()
}

/// The time at which everything happens unless the clock is moved.
pub(crate) const NOW: &str = "2026-01-01T00:00:00.000000Z";
