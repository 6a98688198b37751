//! A deployment in memory: everybody and everything of the matrix, doors to it, and everything that can be seen of
//! its state.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::TryStreamExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use swr_auth::{
    ControlAuthenticator, DeskSettings, GrantAuthorizer, KeyDesk, Login, NewPassword, Presented, Scope,
    Secret, SignedRequest, TokenAsk, TokenDesk, Vault,
};
use swr_core::caller::{self, Caller, Origin};
use swr_core::commit::RightsVersion;
use swr_core::control::credential::KeyId;
use swr_core::control::grant::{GrantLevel, GrantScope};
use swr_core::control::identity::{self, AccountName, PasswordHash, User, UserName};
use swr_core::control::repository::{Attributes, Visibility};
use swr_core::control::share::Deadline;
use swr_core::control::{ControlAccess, ControlLimits, ControlPlane, NewAccount, NewUser};
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::media_type::MediaType;
use swr_core::ports::{
    Action, Clock as _, ManifestStore as _, MetadataStore as _, Page, UploadStore as _, WithBytes,
};
use swr_core::reference::Reference;
use swr_core::registry::{ManifestPush, Precondition, Registry};
use swr_core::testing::ManualClock;
use swr_core::upload::{Upload, UploadId};
use swr_core::{OrganisationName, RepositoryName, Tag};
use swr_http::control::{ManagementOptions, ManagementService};
use swr_http::token::{TokenOptions, TokenService};
use swr_http::{RegistryService, ResponseBody, ServiceOptions};
use swr_packages::ImportOptions;
use swr_packages::upload::PackageDesk;
use swr_storage::{MemoryBlobs, MemoryManifests};
use tower_service::Service;

use crate::identities::{Identity, Level, Role, Shown, Withdrawal};
use crate::package::package;
use crate::rows::{Asked, Row};
use crate::targets::{Account, Organisation, Target};

pub(crate) const HOST: &str = "registry.example";
pub(crate) const PROJECT: &str = "cn-test1";
/// Stands in everything that was pushed or said of what was pushed.
pub(crate) const CONTENT: &str = "TOPSECRET";
const PASSWORD: &str = "open sesame";
const NEW: &[u8] = b"bytes that nobody has pushed yet";
static PACKAGE: LazyLock<String> = LazyLock::new(|| package(&["pack:v1"], "a layer of a package"));
/// More than there is of anything.
const MANY: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
const BEGUN: &[u8] = b"bytes of an upload";

pub(crate) struct House {
    clock: Arc<ManualClock>,
    store: Arc<MemoryManifests>,
    blobs: Arc<MemoryBlobs>,
    vault: Arc<Vault>,
    settings: DeskSettings,
    accounts: BTreeMap<Account, identity::Account>,
    people: BTreeMap<Identity, Held>,
    /// Of each account that owns an organisation, a user who is granted everything's reading, and one who is not.
    spare: BTreeMap<Account, [User; 2]>,
    /// An access key of the latter.
    spare_keys: BTreeMap<Account, KeyId>,
    /// The last trace of making it what it is.
    traces: u64,
    /// What was given out already.
    tokens: Mutex<BTreeMap<(Identity, Target), Secret>>,
}

/// A user, and what it was given.
struct Held {
    user: User,
    account: Account,
    key: KeyId,
    secret: Secret,
    login: Option<Login>,
}

/// The services over a house. What they remember is their own.
pub(crate) struct Doors {
    registry: RegistryService,
    management: ManagementService,
    tokens: TokenService,
}

/// What the services are made of.
struct Parts {
    plane: ControlPlane,
    authorizer: Arc<GrantAuthorizer>,
    authenticator: Arc<ControlAuthenticator>,
    key_desk: Arc<KeyDesk>,
}

/// A response, to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl House {
    pub(crate) async fn furnished() -> Self {
        let (vault, _) = Vault::generate();
        let mut house = Self {
            clock: Arc::new(ManualClock::default()),
            store: Arc::new(MemoryManifests::new()),
            blobs: Arc::new(MemoryBlobs::new()),
            vault: Arc::new(vault),
            settings: DeskSettings::new(PROJECT, HOST, "https://registry.example/token").unwrap(),
            accounts: BTreeMap::new(),
            people: BTreeMap::new(),
            spare: BTreeMap::new(),
            spare_keys: BTreeMap::new(),
            traces: 0,
            tokens: Mutex::default(),
        };
        let parts = house.parts();
        let administration = parts.plane.administration(Origin::default());
        for account in Account::ALL {
            let new = NewAccount { name: AccountName::parse(account.name()).unwrap() };
            house.accounts.insert(account, administration.create_account(new).await.unwrap());
        }
        administration.add_token_key(parts.key_desk.token_key()).await.unwrap();
        house.people(&parts, &administration).await;
        house.content(&parts, &administration).await;
        // Before this, a share and a login have ended.
        house.clock.advance(TimeDelta::hours(2));
        house.traces = house.last_trace().await;
        house
    }

    async fn people(&mut self, parts: &Parts, administration: &ControlAccess<'_>) {
        for identity in Identity::ALL {
            let Some(person) = identity.person() else { continue };
            let role = match person.role {
                Role::Member => identity::Role::Member,
                Role::Administrator => identity::Role::Administrator,
                Role::Operator => identity::Role::Operator,
            };
            let user = self.user(administration, person.account, &format!("{identity:?}"), role).await;
            let made = parts.key_desk.access_key(administration, &user.id, "").await.unwrap();
            let login = match identity.shown() {
                Shown::Login { expired } => {
                    let access = parts.plane.access(caller_of(&user), Origin::default());
                    let life = expired.then(|| TimeDelta::hours(1));
                    Some(parts.key_desk.temporary_login(&access, Some(&made.key.id), life).await.unwrap())
                }
                _ => None,
            };
            let held = Held { account: person.account, key: made.key.id, secret: made.secret, login, user };
            self.people.insert(identity, held);
        }
        for account in [Account::Acme, Account::Omni] {
            let granted = self.user(administration, account, "granted", identity::Role::Member).await;
            let free = self.user(administration, account, "free", identity::Role::Member).await;
            let made = parts.key_desk.access_key(administration, &free.id, "").await.unwrap();
            self.spare_keys.insert(account, made.key.id);
            self.spare.insert(account, [granted, free]);
        }
        let key = &self.people[&Identity::RevokedKey];
        administration.remove_access_key(&key.user.id, &key.key).await.unwrap();
    }

    async fn user(
        &self,
        administration: &ControlAccess<'_>,
        account: Account,
        name: &str,
        role: identity::Role,
    ) -> User {
        // One hash is enough for all of them.
        static HASH: OnceLock<PasswordHash> = OnceLock::new();
        let hash = HASH.get_or_init(|| NewPassword::new(Secret::new(PASSWORD)).unwrap().hash().unwrap());
        let new = NewUser {
            account: self.accounts[&account].id.clone(),
            name: UserName::parse(name).unwrap(),
            role,
            password: Some(hash.clone()),
        };
        administration.create_user(new).await.unwrap()
    }

    async fn content(&self, parts: &Parts, administration: &ControlAccess<'_>) {
        for (organisation, owner) in [
            (Organisation::Home, Identity::Administrator),
            (Organisation::Away, Identity::ForeignAdministrator),
        ] {
            let access = parts.plane.access(self.caller(owner), Origin::default());
            access.create_organisation(&organisation_name(organisation)).await.unwrap();
        }
        for target in Target::ALL.into_iter().filter(|target| target.exists()) {
            let owner = match target.organisation() {
                Organisation::Away => Identity::ForeignAdministrator,
                _ => Identity::Administrator,
            };
            self.push(parts, owner, target).await;
            let name = repository_name(target);
            let is_public = target == Target::Public;
            let visibility = if is_public { Visibility::Public } else { Visibility::Private };
            let description = format!("{CONTENT} {}", target.name()).into();
            let attributes = Attributes { visibility, description, ..Attributes::default() };
            administration.set_attributes(&name, &attributes).await.unwrap();
            let access = parts.plane.access(self.caller(owner), Origin::default());
            let mut shares = Vec::new();
            shares.extend((!is_public).then_some((Account::Umbrella, Deadline::Never)));
            shares.extend((target == Target::Shared).then_some((Account::Omni, Deadline::Never)));
            let once = Deadline::At(self.clock.now() + TimeDelta::hours(1));
            shares.extend((target == Target::ShareExpired).then_some((Account::Omni, once)));
            for (account, deadline) in shares {
                let account = AccountName::parse(account.name()).unwrap();
                access.share(&name, &account, deadline, "").await.unwrap();
            }
            let [granted, _] = &self.spare[&target.organisation().owner().unwrap()];
            let grants = [(granted.id.clone(), GrantLevel::Read)];
            administration.grant(&GrantScope::Repository(name), &grants).await.unwrap();
        }
        for organisation in [Organisation::Home, Organisation::Away] {
            let [granted, _] = &self.spare[&organisation.owner().unwrap()];
            let grants = [(granted.id.clone(), GrantLevel::Read)];
            let scope = GrantScope::Organisation(organisation_name(organisation));
            administration.grant(&scope, &grants).await.unwrap();
        }
        for (identity, held) in &self.people {
            for (scope, level) in scopes_of(*identity) {
                administration.grant(&scope, &[(held.user.id.clone(), level)]).await.unwrap();
            }
        }
        let gone = &self.people[&Identity::GoneUser];
        administration.remove_user(&gone.user.id).await.unwrap();
    }

    /// An image of one layer as `v1`, and a blob that nothing names.
    async fn push(&self, parts: &Parts, owner: Identity, target: Target) {
        let name = repository_name(target);
        let access = parts.plane.registry().access(self.caller(owner), Origin::default());
        for content in [layer(target), loose(target), config(target)] {
            let digest = Algorithm::Sha256.digest(&content);
            access.push_blob(&name, &digest, content.into()).await.unwrap();
        }
        let push = ManifestPush {
            reference: Reference::Tag(Tag::parse("v1").unwrap()),
            tags: Vec::new(),
            media_type: None,
            bytes: manifest(target),
            precondition: Precondition::None,
        };
        access.push_manifest(&name, push).await.unwrap();
    }

    /// Takes away what can be, as another process of the same deployment does.
    pub(crate) async fn withdraw(&mut self) {
        let parts = self.parts();
        let administration = parts.plane.administration(Origin::default());
        for (identity, held) in &self.people {
            let user = &held.user.id;
            if *identity == Identity::GoneUser {
                continue;
            }
            for (scope, _) in scopes_of(*identity) {
                administration.remove_grants(&scope, std::slice::from_ref(user)).await.unwrap();
            }
            for (owner, organisation) in [
                (Identity::Administrator, Organisation::Home),
                (Identity::ForeignAdministrator, Organisation::Away),
            ] {
                if *identity == owner {
                    let scope = GrantScope::Organisation(organisation_name(organisation));
                    administration.remove_grants(&scope, std::slice::from_ref(user)).await.unwrap();
                }
            }
            if held.user.role == identity::Role::Administrator {
                administration.set_role(user, identity::Role::Member).await.unwrap();
            }
            match identity.withdrawal() {
                Withdrawal::Rights => {}
                Withdrawal::Key => administration.remove_access_key(user, &held.key).await.unwrap(),
                Withdrawal::User => administration.remove_user(user).await.unwrap(),
                Withdrawal::Password => administration.set_password(user, None).await.unwrap(),
            }
        }
        let omni = AccountName::parse(Account::Omni.name()).unwrap();
        for target in [Target::Shared, Target::ShareExpired] {
            administration.end_share(&repository_name(target), &omni).await.unwrap();
        }
        administration
            .set_attributes(&repository_name(Target::Public), &Attributes::default())
            .await
            .unwrap();
        self.traces = self.last_trace().await;
    }

    async fn last_trace(&self) -> u64 {
        let traces = self.store.traces_after(0, MANY).await.unwrap();
        traces.last().map_or(0, |last| last.seq)
    }

    fn parts(&self) -> Parts {
        let authorizer = Arc::new(GrantAuthorizer::new(self.store.clone(), self.clock.clone()));
        let registry = Registry::builder(self.blobs.clone(), self.store.clone(), authorizer.clone())
            .clock(self.clock.clone())
            .build();
        let plane = ControlPlane::with(
            registry,
            self.store.clone(),
            authorizer.clone(),
            self.clock.clone(),
            ControlLimits::default(),
        );
        let authenticator = Arc::new(ControlAuthenticator::new(
            self.store.clone(),
            self.vault.clone(),
            self.settings.clone(),
            self.clock.clone(),
        ));
        let key_desk = Arc::new(KeyDesk::new(self.vault.clone(), self.settings.clone(), self.clock.clone()));
        Parts { plane, authorizer, authenticator, key_desk }
    }

    /// New doors, which nobody has come through.
    pub(crate) fn doors(&self) -> Doors {
        let Parts { plane, authorizer, authenticator, key_desk } = self.parts();
        let mut options = ManagementOptions::new(self.settings.clone());
        options.packages = Some(PackageDesk::new(plane.clone(), ImportOptions::new(std::env::temp_dir()), 1));
        let management = ManagementService::new(plane.clone(), authenticator.clone(), key_desk, options);
        let options =
            ServiceOptions { refusals: Some(management.refusals().clone()), ..ServiceOptions::default() };
        let registry =
            RegistryService::with_options(plane.registry().clone(), authenticator.clone(), options);
        let desk = Arc::new(TokenDesk::new(authenticator, authorizer));
        let tokens = TokenService::new(desk, TokenOptions::new(self.settings.clone()));
        Doors { registry, management, tokens }
    }

    /// The user as the engine knows it; strangers have none.
    pub(crate) fn caller(&self, identity: Identity) -> Caller {
        self.people.get(&identity).map_or(Caller::Anonymous, |held| caller_of(&held.user))
    }

    /// Begins an upload of the identity in the target, behind all doors, and one of somebody else.
    pub(crate) async fn uploads(&self, identity: Identity, target: Target) -> [UploadId; 2] {
        let somebody = Caller::User(caller::Identity::new("somebody"));
        let mut ids = Vec::new();
        for owner in [self.caller(identity), somebody] {
            let upload = Upload {
                id: UploadId::random(),
                repository: repository_name(target),
                owner,
                algorithm: Algorithm::Sha256,
                begun: self.clock.now(),
                offset: 0,
            };
            self.blobs.begin(&upload).await.unwrap();
            let body = Bytes::from_static(BEGUN).into();
            self.blobs.append(&upload.id, 0, body, self.clock.now()).await.unwrap();
            ids.push(upload.id);
        }
        ids.try_into().unwrap()
    }

    /// Removes what is left of them.
    pub(crate) async fn forget(&self, uploads: &[UploadId; 2]) {
        for upload in uploads {
            let _ = self.blobs.abandon(upload).await;
        }
    }

    /// A row's text about the target.
    pub(crate) fn written(&self, text: &str, target: Target, uploads: &[UploadId; 2]) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        let account = target.organisation().owner();
        let nobody = "0".repeat(32);
        let project = account.map_or(&*nobody, |account| self.accounts[&account].project.as_str());
        let [granted, free] = match account.and_then(|account| self.spare.get(&account)) {
            Some(users) => users.each_ref().map(|user| user.id.as_str()),
            None => [&*nobody; 2],
        };
        let auth = |id| json!({ "user_id": id, "user_name": "x", "auth": 7 }).to_string();
        let mut written = text.to_owned();
        for (place, value) in PLACES[&target].iter().map(|(place, value)| (*place, &**value)).chain([
            ("{upload}", uploads[0].as_str()),
            ("{others upload}", uploads[1].as_str()),
            ("{project}", project),
            ("{auth of granted}", &auth(granted)),
            ("{auth of free}", &auth(free)),
            ("{granted}", granted),
            ("{package}", PACKAGE.as_str()),
            ("{account}", account.map_or("none", Account::name)),
            ("{key of free}", account.map_or("0123", |account| self.spare_keys[&account].as_str())),
        ]) {
            if written.contains(place) {
                written = written.replace(place, value);
            }
        }
        written
    }

    /// What moves with every change there is: all that is counted.
    pub(crate) async fn mark(&self) -> String {
        let traces = self.store.traces_after(self.traces, NonZeroU32::MIN).await.unwrap();
        let token_keys = self.store.token_keys().await.unwrap().len();
        format!("{:?} {:?} {:?} {token_keys} {traces:?}", self.store, self.blobs, self.rights().await)
    }

    /// Everything that can be seen of what is kept. What was refused is not in it: that waits at the doors.
    pub(crate) async fn state(&self) -> String {
        let mut state = String::new();
        let mut add = |what: &dyn Debug| state.push_str(&format!("{what:?}\n"));
        add(&self.store);
        add(&self.blobs);
        add(&self.rights().await);
        // Each change leaves an event or a trace: these are all of them.
        add(&self.store.events(EventSeq(0), MANY).await.unwrap().len());
        add(&self.store.traces_after(0, MANY).await.unwrap().len());
        let far = self.clock.now() + TimeDelta::days(1);
        let mut uploads: Vec<Upload> = self.blobs.idle_since(far).try_collect().await.unwrap();
        uploads.sort_by(|one, other| one.id.cmp(&other.id));
        add(&uploads);
        for organisation in [Organisation::Home, Organisation::Away] {
            let name = organisation_name(organisation);
            add(&self.store.organisation(&name).await.unwrap());
            add(&self.store.grants(&GrantScope::Organisation(name)).await.unwrap());
        }
        for target in Target::ALL {
            let name = repository_name(target);
            add(&self.store.repository_details(&name).await.unwrap());
            add(&self.store.tags(&name, &Page { after: None, limit: MANY }).await.unwrap());
            let pushed = Reference::Digest(Algorithm::Sha256.digest(&manifest(target)));
            add(&self.store.resolve(&name, &pushed, WithBytes::No).await.unwrap().is_some());
            for content in [layer(target), loose(target), config(target)] {
                add(&self.store.blob(&name, &Algorithm::Sha256.digest(&content)).await.unwrap());
            }
            add(&self.store.shares(&name, &Page { after: None, limit: MANY }).await.unwrap());
            add(&self.store.grants(&GrantScope::Repository(name)).await.unwrap());
        }
        for account in self.accounts.values() {
            add(&self.store.users(&account.id, &Page { after: None, limit: MANY }).await.unwrap());
        }
        for [_, free] in self.spare.values() {
            add(&self.store.access_keys(&free.id).await.unwrap());
        }
        add(&self.store.token_keys().await.unwrap().len());
        add(&self.store.accounts(&Page { after: None, limit: MANY }).await.unwrap().len());
        for held in self.people.values() {
            add(&self.store.key_holder(&held.key).await.unwrap().is_some());
        }
        state
    }

    async fn rights(&self) -> RightsVersion {
        let name = organisation_name(Organisation::Home);
        self.store.standing(None, &name, None).await.unwrap().rights
    }

    /// The token that the identity shows for the target; the same one whenever it is asked for.
    async fn token(&self, identity: Identity, target: Target) -> Secret {
        let key = match identity.shown() {
            // It is one for everything.
            Shown::ManagementToken => (identity, Target::Private),
            _ => (identity, target),
        };
        if let Some(token) = self.tokens.lock().unwrap().get(&key) {
            return token.clone();
        }
        let Parts { authenticator, authorizer, .. } = self.parts();
        let desk = TokenDesk::new(authenticator, authorizer);
        let presented = match self.people.get(&identity) {
            Some(held) => presented(&Login::long_term(PROJECT, &held.key, &held.secret)),
            None => Presented::Nothing,
        };
        let ask = |wanted: &[Action], repository, more: Option<Scope>| TokenAsk {
            scopes: [Scope::repository(repository, wanted.iter().copied())].into_iter().chain(more).collect(),
            offline: true,
            ..TokenAsk::default()
        };
        let name = repository_name(target);
        let token = match identity.shown() {
            Shown::Token { wanted, elsewhere, expired } => {
                let catalogue = elsewhere.then_some(Scope::Catalogue);
                let elsewhere = elsewhere.then(|| RepositoryName::parse("home/else").unwrap());
                let age = TimeDelta::minutes(if expired { 6 } else { 0 });
                self.clock.advance(-age);
                let ask = ask(wanted, elsewhere.unwrap_or(name), catalogue);
                let issued = desk.issue(&presented, &ask).await.unwrap();
                self.clock.advance(age);
                issued.token
            }
            Shown::RefreshToken => {
                desk.issue(&presented, &ask(&[Action::Pull], name, None)).await.unwrap().refresh.unwrap()
            }
            Shown::ManagementToken => {
                let user = &self.people[&identity].user.name;
                let account = AccountName::parse(Account::Acme.name()).unwrap();
                desk.management(&account, user, &Secret::new(PASSWORD)).await.unwrap().1.token
            }
            shown => unreachable!("{shown:?} is no token"),
        };
        self.tokens.lock().unwrap().insert(key, token.clone());
        token
    }

    /// How the identity signs in, right or wrong.
    fn login(&self, identity: Identity) -> Option<Login> {
        let held = self.people.get(&identity)?;
        match identity.shown() {
            Shown::Login { .. } => held.login.clone(),
            Shown::Key | Shown::DeletedKey => Some(Login::long_term(PROJECT, &held.key, &held.secret)),
            Shown::WrongKey => Some(Login::long_term(PROJECT, &held.key, &Secret::new("0".repeat(40)))),
            _ => None,
        }
    }

    /// A request of the row, with what the identity shows at that door.
    pub(crate) async fn request(
        &self,
        operation: Asked,
        row: &Row,
        identity: Identity,
        target: Target,
        uploads: &[UploadId; 2],
    ) -> Request<Full<Bytes>> {
        let address = self.written(&row.address, target, uploads);
        let body = self.written(row.body, target, uploads);
        match operation {
            Asked::Registry(_) => {
                let request = Request::builder().method(row.method.clone()).uri(address);
                let request = match row.body {
                    "{index}" => request.header("content-type", MediaType::OCI_INDEX),
                    _ => request.header("content-type", "application/octet-stream"),
                };
                let request = match self.authorization(identity, target).await {
                    Some(authorization) => request.header("authorization", authorization),
                    None => request,
                };
                request.body(Full::from(body)).unwrap()
            }
            Asked::Management(_) => {
                self.management(identity, target, row.method.clone(), &address, body.into()).await
            }
            Asked::Token(endpoint) => self.ask_for_token(endpoint, identity, target, address).await,
        }
    }

    async fn authorization(&self, identity: Identity, target: Target) -> Option<String> {
        match identity.shown() {
            Shown::Nothing => None,
            Shown::Token { .. } | Shown::RefreshToken | Shown::ManagementToken => {
                Some(format!("Bearer {}", self.token(identity, target).await.expose()))
            }
            _ => self.login(identity).map(|login| format!("Basic {}", login.auth())),
        }
    }

    /// A request to the management protocol. Logins and tokens of the registry's are tried as if they were keys and
    /// tokens of this one.
    async fn management(
        &self,
        identity: Identity,
        target: Target,
        method: Method,
        address: &str,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let request = Request::builder().method(method.clone()).uri(address);
        let request = match identity.shown() {
            Shown::Nothing => request,
            Shown::ManagementToken => {
                request.header("x-auth-token", self.token(identity, target).await.expose())
            }
            Shown::Token { .. } | Shown::RefreshToken => {
                let token = self.token(identity, target).await;
                request.header("authorization", format!("Bearer {}", token.expose()))
            }
            shown => {
                let held = &self.people[&identity];
                let (key, secret) = match (shown, &held.login) {
                    (_, Some(login)) => {
                        let id = login.user.split_once('@').unwrap().1;
                        (KeyId::parse(id).unwrap(), login.password.clone())
                    }
                    (Shown::WrongKey, None) => (held.key.clone(), Secret::new("0".repeat(40))),
                    _ => (held.key.clone(), held.secret.clone()),
                };
                let date = self.clock.now().format("%Y%m%dT%H%M%SZ").to_string();
                let mut headers =
                    vec![("content-type", "application/json"), ("host", HOST), ("x-sdk-date", date.as_str())];
                // What streams past is not signed.
                let streams = address.ends_with("/packages");
                if streams {
                    headers.push(("x-sdk-content-sha256", "UNSIGNED-PAYLOAD"));
                }
                let (path, query) = address.split_once('?').unwrap_or((address, ""));
                let signed = SignedRequest {
                    method: method.as_str(),
                    path,
                    query,
                    headers: &headers,
                    body: (!streams).then_some(&*body),
                };
                let authorization = signed.sign(&key, &secret).unwrap();
                let request =
                    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
                request.header("authorization", authorization)
            }
        };
        request.body(Full::new(body)).unwrap()
    }

    async fn ask_for_token(
        &self,
        endpoint: swr_http::token::TokenEndpoint,
        identity: Identity,
        target: Target,
        address: String,
    ) -> Request<Full<Bytes>> {
        use swr_http::token::TokenEndpoint as E;
        match endpoint {
            E::ByQuery => {
                let request = Request::get(address);
                let request = match self.authorization(identity, target).await {
                    Some(authorization) => request.header("authorization", authorization),
                    None => request,
                };
                request.body(Full::default()).unwrap()
            }
            E::ByForm => {
                let login = self.login(identity).map(|login| {
                    let user = login.user.replace('@', "%40");
                    format!("grant_type=password&username={user}&password={}", login.password.expose())
                });
                let shows = match (login, identity.shown()) {
                    (Some(login), _) => login,
                    (None, Shown::Nothing) => "grant_type=password&username=&password=".to_owned(),
                    // Of the tokens, the one that is made for it is tried elsewhere.
                    (None, _) => {
                        let token = self.token(identity, target).await;
                        format!("grant_type=refresh_token&refresh_token={}", token.expose())
                    }
                };
                let body = format!("{shows}&scope=repository:{}:pull,push,delete", target.name());
                let request =
                    Request::post(address).header("content-type", "application/x-www-form-urlencoded");
                request.body(Full::from(body)).unwrap()
            }
            E::Management => {
                let method = match identity.shown() {
                    Shown::Token { .. } | Shown::RefreshToken | Shown::ManagementToken => {
                        let token = self.token(identity, target).await;
                        json!({ "methods": ["token"], "token": { "id": token.expose() } })
                    }
                    shown => {
                        let (name, account) = match self.people.get(&identity) {
                            Some(held) => (held.user.name.as_str(), held.account.name()),
                            None => ("stranger", Account::Acme.name()),
                        };
                        let password = if shown == Shown::WrongKey { "open sesam" } else { PASSWORD };
                        let user =
                            json!({ "name": name, "password": password, "domain": { "name": account } });
                        json!({ "methods": ["password"], "password": { "user": user } })
                    }
                };
                let body = json!({ "auth": { "identity": method } }).to_string();
                Request::post(address).body(Full::from(body)).unwrap()
            }
        }
    }

    /// Comes to both protocols' doors once about the target, as clients do before they ask for anything.
    pub(crate) async fn warm(&self, doors: &Doors, identity: Identity, target: Target) {
        let request = Request::get(format!("/v2/{}/tags/list", target.name()));
        let request = match self.authorization(identity, target).await {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        };
        send(&doors.registry, request.body(Full::default()).unwrap()).await;
        let (organisation, repository) = (target.organisation().name(), target.repository());
        let address = format!("/v2/manage/namespaces/{organisation}/repos/{repository}");
        let request = self.management(identity, target, Method::GET, &address, Bytes::new()).await;
        send(&doors.management, request).await;
    }
}

impl Doors {
    pub(crate) async fn send(&self, operation: Asked, request: Request<Full<Bytes>>) -> Answer {
        match operation {
            Asked::Registry(_) => send(&self.registry, request).await,
            Asked::Management(_) => send(&self.management, request).await,
            Asked::Token(_) => send(&self.tokens, request).await,
        }
    }
}

async fn send<S>(service: &S, request: Request<Full<Bytes>>) -> Answer
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResponseBody>, Error = Infallible> + Clone,
{
    let response = match service.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

fn scopes_of(identity: Identity) -> Vec<(GrantScope, GrantLevel)> {
    let Some(person) = identity.person() else { return Vec::new() };
    let level = |level| match level {
        Level::Read => GrantLevel::Read,
        Level::Edit => GrantLevel::Edit,
        Level::Manage => GrantLevel::Manage,
    };
    let home = GrantScope::Organisation(organisation_name(Organisation::Home));
    let repositories =
        [Target::Public, Target::Private].map(|it| GrantScope::Repository(repository_name(it)));
    let on_home = person.organisation.map(|granted| (home, level(granted)));
    let on_repositories =
        person.repositories.map(|granted| repositories.map(|scope| (scope, level(granted))));
    on_home.into_iter().chain(on_repositories.into_iter().flatten()).collect()
}

fn presented(login: &Login) -> Presented {
    Presented::Password { user: login.user.as_str().into(), password: login.password.clone() }
}

fn caller_of(user: &User) -> Caller {
    Caller::User(caller::Identity::new(user.id.as_str()))
}

fn organisation_name(organisation: Organisation) -> OrganisationName {
    OrganisationName::parse(organisation.name()).unwrap()
}

fn repository_name(target: Target) -> RepositoryName {
    RepositoryName::parse(&target.name()).unwrap()
}

/// What is known of a target in any house.
static PLACES: LazyLock<BTreeMap<Target, Vec<(&str, String)>>> = LazyLock::new(|| {
    let digest = |content: &[u8]| Algorithm::Sha256.digest(content).to_string();
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [] });
    let places = |target: Target| {
        vec![
            ("{org}", target.organisation().name().to_owned()),
            ("{repo}", target.repository().to_owned()),
            ("{name}", target.name()),
            ("{layer}", digest(&layer(target))),
            ("{loose}", digest(&loose(target))),
            ("{manifest}", digest(&manifest(target))),
            ("{public layer}", digest(&layer(Target::Public))),
            ("{new}", digest(NEW)),
            ("{new bytes}", String::from_utf8(NEW.to_vec()).unwrap()),
            ("{begun}", digest(BEGUN)),
            ("{index}", index.to_string()),
        ]
    };
    Target::ALL.into_iter().map(|target| (target, places(target))).collect()
});

fn layer(target: Target) -> Bytes {
    format!("{CONTENT} layer of {}", target.name()).into()
}

fn loose(target: Target) -> Bytes {
    format!("{CONTENT} blob of {}", target.name()).into()
}

fn config(target: Target) -> Bytes {
    json!({ "of": format!("{CONTENT} {}", target.name()) }).to_string().into()
}

fn manifest(target: Target) -> Bytes {
    let part = |media_type: &str, content: Bytes| {
        let digest: Digest = Algorithm::Sha256.digest(&content);
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": part("application/vnd.oci.image.config.v1+json", config(target)),
        "layers": [part("application/vnd.oci.image.layer.v1.tar", layer(target))],
        "annotations": { "of": format!("{CONTENT} {}", target.name()) },
    });
    manifest.to_string().into()
}
