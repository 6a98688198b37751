//! A deployment in memory behind the console: two accounts, a few users, and a browser for each.

use std::cell::RefCell;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, Once, OnceLock};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};
use swr_auth::{
    ControlAuthenticator, DeskSettings, GrantAuthorizer, KeyDesk, NewPassword, Secret, SessionDesk,
    SessionLimits, Vault,
};
use swr_console::{ConsoleOptions, ConsoleService};
use swr_core::caller::{Caller, Identity, Origin};
use swr_core::control::identity::{Account, AccountName, PasswordHash, Role, User, UserName};
use swr_core::control::trace::{Operation, Trace, TraceQuery};
use swr_core::control::{ControlAccess, ControlPlane, NewAccount, NewUser};
use swr_core::digest::Algorithm;
use swr_core::media_type::MediaType;
use swr_core::reference::Reference;
use swr_core::registry::{ManifestPush, Precondition, Registry};
use swr_core::stream::ByteStream;
use swr_core::testing::ManualClock;
use swr_http::ResponseBody;
use swr_http::control::Refusals;
use swr_packages::ImportOptions;
use swr_packages::upload::PackageDesk;
use swr_storage::{MemoryBlobs, MemoryManifests};
use tower_service::Service;

pub(crate) const PASSWORD: &str = "open sesame";
pub(crate) const HOST: &str = "registry.example";

pub(crate) struct House {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) plane: ControlPlane,
    pub(crate) desk: Arc<KeyDesk>,
    pub(crate) refusals: Refusals,
    pub(crate) sessions: Arc<SessionDesk>,
    console: ConsoleService,
    /// An administrator of `acme`.
    pub(crate) ada: Person,
    /// A member of `acme`.
    pub(crate) bob: Person,
    /// An administrator of `globex`.
    pub(crate) eve: Person,
    /// An operator, of the account `base`.
    pub(crate) olga: Person,
}

pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) account: Account,
}

/// A response, to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(change: impl Fn(ConsoleOptions) -> ConsoleOptions) -> Self {
        listen();
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryManifests::new());
        let authorizer = Arc::new(GrantAuthorizer::new(store.clone(), clock.clone()));
        let registry = Registry::builder(Arc::new(MemoryBlobs::new()), store.clone(), authorizer.clone())
            .clock(clock.clone())
            .build();
        let plane =
            ControlPlane::with(registry, store.clone(), authorizer, clock.clone(), Default::default());
        let settings = DeskSettings::new("cn-test1", HOST, "https://registry.example/token").unwrap();
        let vault = Arc::new(Vault::generate().0);
        let users = ControlAuthenticator::new(store.clone(), vault.clone(), settings.clone(), clock.clone());
        let users = Arc::new(users);
        let desk = Arc::new(KeyDesk::new(vault, settings.clone(), clock.clone()));
        let sessions = SessionDesk::new(store, users.clone(), clock.clone(), SessionLimits::default());
        let sessions = Arc::new(sessions);
        let refusals = Refusals::new(plane.clone());
        let packages = ImportOptions::new(std::env::temp_dir());
        let packages = Some(PackageDesk::new(plane.clone(), packages, 4));
        let options = change(ConsoleOptions { packages, ..ConsoleOptions::new(settings).unwrap() });
        let console = ConsoleService::new(
            plane.clone(),
            users,
            desk.clone(),
            sessions.clone(),
            refusals.clone(),
            options,
        );
        let acme = account(&plane, "acme").await;
        let globex = account(&plane, "globex").await;
        let base = account(&plane, "base").await;
        Self {
            ada: person(&plane, &acme, "ada", Role::Administrator).await,
            bob: person(&plane, &acme, "bob", Role::Member).await,
            eve: person(&plane, &globex, "eve", Role::Administrator).await,
            olga: person(&plane, &base, "olga", Role::Operator).await,
            clock,
            plane,
            desk,
            refusals,
            sessions,
            console,
        }
    }

    pub(crate) async fn send<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let response: Response<ResponseBody> = self.console.clone().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }

    /// The control plane as this person may use it by other ways.
    pub(crate) fn access(&self, person: &Person) -> ControlAccess<'_> {
        let caller = Caller::User(Identity::new(person.user.id.as_str()));
        self.plane.access(caller, Origin::default())
    }

    /// Pushes a version of these layers, with these annotations.
    pub(crate) async fn push(&self, person: &Person, version: &str, layers: &[&str], annotations: Value) {
        let caller = Caller::User(Identity::new(person.user.id.as_str()));
        let access = self.plane.registry().access(caller, Origin::default());
        let (repository, tag) = version.split_once(':').unwrap();
        let repository = repository.parse().unwrap();
        let history: Vec<Value> =
            layers.iter().map(|layer| json!({ "created_by": format!("COPY {layer}") })).collect();
        let config = json!({ "os": "linux", "architecture": "amd64", "history": history }).to_string();
        let mut parts = Vec::new();
        for content in [&*config].iter().chain(layers) {
            let digest = Algorithm::Sha256.digest(content.as_bytes());
            let body = ByteStream::from(Bytes::from((*content).to_owned()));
            access.push_blob(&repository, &digest, body).await.unwrap();
            parts.push(json!({ "mediaType": "application/x", "digest": digest, "size": content.len() }));
        }
        let config = parts.remove(0);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": parts,
            "annotations": annotations,
        });
        let push = ManifestPush {
            reference: Reference::Tag(tag.parse().unwrap()),
            tags: Vec::new(),
            media_type: None,
            bytes: manifest.to_string().into(),
            precondition: Precondition::None,
        };
        access.push_manifest(&repository, push).await.unwrap();
    }

    /// What this person has in the trail of an operation, the newest first.
    pub(crate) async fn traces(&self, person: &Person, operation: Operation) -> Vec<Trace> {
        self.refusals.record().await.unwrap();
        let limit = NonZeroU32::new(100).unwrap();
        let asked = TraceQuery {
            operation: Some(operation),
            user: Some(person.user.id.clone()),
            ..TraceQuery::of(person.account.id.clone(), limit)
        };
        self.plane.administration(Origin::default()).traces(&asked).await.unwrap()
    }

    /// How each of them ended.
    pub(crate) async fn outcomes(&self, person: &Person, operation: Operation) -> Vec<u16> {
        self.traces(person, operation).await.iter().map(|trace| trace.outcome.code).collect()
    }

    /// Somebody's browser, in which nobody has signed in.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { house: self, cookies: Mutex::default(), languages: "en" }
    }

    /// A browser in which this person has signed in with a password.
    pub(crate) async fn signed_in(&self, person: &Person) -> Browser<'_> {
        let browser = self.browser();
        let form = format!(
            "with=password&account={}&user={}&password=open+sesame",
            person.account.name, person.user.name
        );
        browser.post("/console/sign-in", &form).await.goes_to("/console/");
        browser
    }
}

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what each thread logs. Before anything else: what has been logged once with nobody to listen may stay unheard.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(|| Lines);
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    });
}

/// What this thread has logged.
pub(crate) fn logged() -> String {
    LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap())
}

struct Lines;

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What keeps cookies, and says where its requests come from.
pub(crate) struct Browser<'h> {
    house: &'h House,
    pub(crate) cookies: Mutex<Vec<(String, String)>>,
    pub(crate) languages: &'static str,
}

impl Browser<'_> {
    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.send(Request::get(address), "").await
    }

    /// A form that somebody fills in by hand.
    pub(crate) async fn post(&self, address: &str, form: &str) -> Answer {
        let request = Request::post(address)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, form).await
    }

    /// A form of the page at `page`, with its token.
    pub(crate) async fn submit(&self, page: &str, address: &str, form: &str) -> Answer {
        let page = self.get(page).await;
        let token = page.form_token().expect("the page should have a form");
        self.post(address, &format!("form_token={token}&{form}")).await
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: &str) -> Answer {
        self.send_body(request, Full::new(Bytes::from(body.to_owned()))).await
    }

    /// A request whose body begins like this and does not end.
    pub(crate) async fn send_without_end(&self, request: http::request::Builder, body: &str) -> Answer {
        let first = Ok::<_, Infallible>(Frame::data(Bytes::from(body.to_owned())));
        let body = StreamBody::new(stream::once(async { first }).chain(stream::pending()));
        self.send_body(request, body).await
    }

    async fn send_body<B>(&self, mut request: http::request::Builder, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let cookies = self.cookies.lock().unwrap().clone();
        let line: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !line.is_empty() {
            request = request.header(COOKIE, line.join("; "));
        }
        request = request.header("accept-language", self.languages).header("host", HOST);
        let answer = self.house.send(request.body(body).unwrap()).await;
        for line in answer.headers.get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            cookies.retain(|(kept, _)| kept != name);
            if !value.is_empty() {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn goes_to(&self, address: &str) {
        let location = self.headers.get("location").map(|location| location.to_str().unwrap());
        assert_eq!((self.status.as_u16(), location), (303, Some(address)), "{}", self.text);
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.text.contains(text), "{text:?} is not in\n{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn lacks(self, text: &str) -> Self {
        assert!(!self.text.contains(text), "{text:?} is in\n{}", self.text);
        self
    }

    pub(crate) fn form_token(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("name=\"form_token\" value=\"")?;
        rest.split('"').next()
    }
}

async fn account(plane: &ControlPlane, name: &str) -> Account {
    let name = AccountName::parse(name).unwrap();
    plane.administration(Origin::default()).create_account(NewAccount { name }).await.unwrap()
}

async fn person(plane: &ControlPlane, account: &Account, name: &str, role: Role) -> Person {
    // It takes its time.
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    let hash = || NewPassword::new(Secret::new(PASSWORD)).unwrap().hash().unwrap();
    let password = HASH.get_or_init(hash).clone();
    let name = UserName::parse(name).unwrap();
    let new = NewUser { account: account.id.clone(), name, role, password: Some(password) };
    let user = plane.administration(Origin::default()).create_user(new).await.unwrap();
    Person { user, account: account.clone() }
}

pub(crate) fn method(name: &str) -> Method {
    name.parse().unwrap()
}
