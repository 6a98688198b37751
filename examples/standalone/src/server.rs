//! Accounts, users and keys of a server that runs, and what is in it, asked over its API.

use std::fs::File;
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use chrono::Utc;
use http_body::{Frame, SizeHint};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Body, Client, Method, RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use swr_auth::{NewPassword, Secret, SignedRequest};
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{AccountName, Role};
use swr_core::stream::ByteStream;
use swr_http::control::administration::{
    AccessKey, AccessKeyList, Account, AccountPage, NewAccessKey, TokenKey, TokenKeyList, User, UserPage,
};

use crate::administration::{Administration, Owner};
use crate::management::{self, ANSWER_BYTES_MAX, Answer, Management};
use crate::stores::chain;

/// A server, and the access key that requests to it are signed with.
pub(crate) struct Server {
    client: Client,
    base: Url,
    host: String,
    key: KeyId,
    secret: Secret,
}

const KEY: &str = "SWR_ACCESS_KEY_ID";
const SECRET: &str = "SWR_SECRET_ACCESS_KEY";
const X_SDK_CONTENT_SHA256: &str = "x-sdk-content-sha256";
const X_SDK_DATE: &str = "x-sdk-date";

impl Server {
    /// The server at an address without a path, asked with the key that the environment has.
    pub(crate) fn new(address: &str) -> Result<Self, String> {
        let base = Url::parse(address).map_err(|error| format!("--server: {address}: {error}"))?;
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        };
        let is_bare = base.path() == "/" && base.query().is_none() && base.username().is_empty();
        if host.is_empty() || !is_bare || !matches!(base.scheme(), "http" | "https") {
            return Err(format!(
                "--server: `{address}` is no address such as https://registry.example, without a path"
            ));
        }
        let is_local = is_loopback(&base);
        if base.scheme() == "http" && !is_local {
            return Err(format!("--server: {address}: secrets would pass in the open; use https://"));
        }
        let (key, secret) = access_key("--server")?;
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60));
        if is_local {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| format!("--server: {}", chain(&error)))?;
        Ok(Self { client, base, host, key, secret })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<T, String> {
        let answer = self.ask(method, path, query, body).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| format!("--server: {} does not answer as a registry does", self.base))
    }

    async fn done(&self, method: Method, path: &str, body: Option<Value>) -> Result<(), String> {
        self.ask(method, path, "", body).await.map(drop)
    }
}

/// The access key that the environment has, for the flag that needs one.
pub(crate) fn access_key(flag: &str) -> Result<(KeyId, Secret), String> {
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| format!("{flag}: {name} is not set: the access key to ask with"))
    };
    let key = KeyId::parse(&variable(KEY)?).map_err(|error| format!("{KEY}: {error}"))?;
    Ok((key, Secret::new(variable(SECRET)?)))
}

/// The body, where it is not too long.
async fn collected(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut collected = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if collected.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(Some(collected))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

const ACCOUNTS: &str = "/admin/v1/accounts";
const TOKEN_KEYS: &str = "/admin/v1/token-keys";

// None of the names has a character that an address would have to hide.

fn users(account: &AccountName) -> String {
    format!("{ACCOUNTS}/{account}/users")
}

fn user(owner: &Owner) -> String {
    format!("{}/{}", users(&owner.account), owner.user)
}

fn keys(owner: &Owner) -> String {
    format!("{}/access-keys", user(owner))
}

/// The query of the page after this marker.
fn page(marker: Option<&str>) -> String {
    match marker {
        Some(marker) => format!("limit=1000&marker={marker}"),
        None => "limit=1000".into(),
    }
}

#[async_trait]
impl Administration for Server {
    async fn create_account(&self, name: &AccountName) -> Result<Account, String> {
        self.read(Method::POST, ACCOUNTS, "", Some(json!({ "name": name.as_str() }))).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, String> {
        let (mut accounts, mut query) = (Vec::new(), page(None));
        loop {
            let listed: AccountPage = self.read(Method::GET, ACCOUNTS, &query, None).await?;
            accounts.extend(listed.accounts);
            let Some(marker) = listed.next_marker else { return Ok(accounts) };
            query = page(Some(&marker));
        }
    }

    async fn create_user(
        &self,
        owner: &Owner,
        role: Role,
        password: Option<&NewPassword>,
    ) -> Result<User, String> {
        let body = json!({
            "name": owner.user.as_str(),
            "role": role.as_str(),
            "password": password.map(|password| password.secret().expose()),
        });
        self.read(Method::POST, &users(&owner.account), "", Some(body)).await
    }

    async fn users(&self, account: &AccountName) -> Result<Vec<User>, String> {
        let (mut found, mut query) = (Vec::new(), page(None));
        loop {
            let listed: UserPage = self.read(Method::GET, &users(account), &query, None).await?;
            found.extend(listed.users);
            let Some(marker) = listed.next_marker else { return Ok(found) };
            query = page(Some(&marker));
        }
    }

    async fn set_role(&self, owner: &Owner, role: Role) -> Result<(), String> {
        let path = format!("{}/role", user(owner));
        self.done(Method::PUT, &path, Some(json!({ "role": role.as_str() }))).await
    }

    async fn set_password(&self, owner: &Owner, password: Option<&NewPassword>) -> Result<(), String> {
        let path = format!("{}/password", user(owner));
        let password = password.map(|password| password.secret().expose());
        self.done(Method::PUT, &path, Some(json!({ "password": password }))).await
    }

    async fn remove_user(&self, owner: &Owner) -> Result<(), String> {
        self.done(Method::DELETE, &user(owner), None).await
    }

    async fn create_key(&self, owner: &Owner, description: &str) -> Result<NewAccessKey, String> {
        self.read(Method::POST, &keys(owner), "", Some(json!({ "description": description }))).await
    }

    async fn keys(&self, owner: &Owner) -> Result<Vec<AccessKey>, String> {
        let listed: AccessKeyList = self.read(Method::GET, &keys(owner), "", None).await?;
        Ok(listed.access_keys)
    }

    async fn remove_key(&self, owner: &Owner, key: &KeyId) -> Result<(), String> {
        self.done(Method::DELETE, &format!("{}/{key}", keys(owner)), None).await
    }

    async fn token_keys(&self) -> Result<Vec<TokenKey>, String> {
        let listed: TokenKeyList = self.read(Method::GET, TOKEN_KEYS, "", None).await?;
        Ok(listed.token_keys)
    }

    async fn rotate_token_key(&self) -> Result<TokenKey, String> {
        self.read(Method::POST, TOKEN_KEYS, "", None).await
    }

    async fn remove_token_key(&self, key: &KeyId) -> Result<(), String> {
        self.done(Method::DELETE, &format!("{TOKEN_KEYS}/{key}"), None).await
    }
}

#[async_trait]
impl Management for Server {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = self.signed(method, path, query, Some(body.as_bytes()))?.body(body);
        self.answered(request.send().await.map_err(|error| self.failed(&error))?).await
    }
}

impl Server {
    /// A request that the access key signs; what streams past is left unsigned.
    fn signed(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<&[u8]>,
    ) -> Result<RequestBuilder, String> {
        let date = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![("host", self.host.as_str()), (X_SDK_DATE, &date)];
        headers.extend(body.is_none().then_some((X_SDK_CONTENT_SHA256, "UNSIGNED-PAYLOAD")));
        let signed = SignedRequest { method: method.as_str(), path, query, headers: &headers, body };
        let authorization = signed.sign(&self.key, &self.secret).map_err(|error| error.to_string())?;
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let mut authorization = HeaderValue::try_from(authorization).map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        let request = self.client.request(method, url);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        Ok(request.header(AUTHORIZATION, authorization))
    }

    /// Sends a file, and is told what becomes of it while it does.
    pub(crate) async fn send(&self, path: &str, query: &str, file: File) -> Result<Streamed, String> {
        let body = Body::wrap(FileBody::new(file).map_err(|error| error.to_string())?);
        let request = self.signed(Method::POST, path, query, None)?.header(ACCEPT, "text/event-stream");
        self.streamed(request.body(body)).await
    }

    /// What there is at a path, as it comes.
    pub(crate) async fn receive(&self, path: &str) -> Result<Streamed, String> {
        self.streamed(self.signed(Method::GET, path, "", Some(b""))?).await
    }

    async fn streamed(&self, request: RequestBuilder) -> Result<Streamed, String> {
        let response = request.timeout(STREAM_WITHIN).send().await.map_err(|error| self.failed(&error))?;
        if !response.status().is_success() {
            self.answered(response).await?;
            return Err(format!("--server: {} does not answer as a registry does", self.base));
        }
        Ok(Streamed::Remote { response, told: Vec::new(), base: self.base.to_string() })
    }

    async fn answered(&self, response: Response) -> Result<Answer, String> {
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = collected(response).await.map_err(|error| self.failed(&error))?;
        let answer = answer.ok_or_else(|| format!("--server: {}: the answer is too long", self.base))?;
        management::answered(status, Answer { headers, body: answer }).unwrap_or_else(|| {
            Err(format!("--server: {} answers {status}, and not as a registry does", self.base))
        })
    }

    fn failed(&self, error: &reqwest::Error) -> String {
        format!("--server: {}: {}", self.base, chain(error))
    }
}

/// How long a package may take: as long as it moves, the server sees to it.
const STREAM_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// What comes chunk by chunk, from a server or out of a data directory.
pub(crate) enum Streamed {
    Remote {
        response: Response,
        /// What has come of an event that is not whole.
        told: Vec<u8>,
        base: String,
    },
    Local(ByteStream),
}

impl Streamed {
    /// The next chunk; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        match self {
            Self::Remote { response, base, .. } => {
                response.chunk().await.map_err(|error| format!("--server: {base}: {}", chain(&error)))
            }
            Self::Local(body) => body.next().await.transpose().map_err(|error| chain(&error)),
        }
    }

    /// The next server-sent event: its name and its data; `None` at the end.
    pub(crate) async fn event(&mut self) -> Result<Option<(String, String)>, String> {
        loop {
            if let Self::Remote { told, base, .. } = self {
                if let Some(end) = told.windows(2).position(|bytes| bytes == b"\n\n") {
                    let event: Vec<u8> = told.drain(..end + 2).collect();
                    let event = String::from_utf8_lossy(&event);
                    let line = |name: &str| {
                        let line = event.lines().find_map(|line| line.strip_prefix(name));
                        line.unwrap_or_default().trim_start().to_owned()
                    };
                    return Ok(Some((line("event:"), line("data:"))));
                }
                if told.len() > ANSWER_BYTES_MAX {
                    return Err(format!("--server: {base}: the answer is too long"));
                }
            }
            let Some(chunk) = self.chunk().await? else { return Ok(None) };
            if let Self::Remote { told, .. } = self {
                told.extend_from_slice(&chunk);
            }
        }
    }

    /// The digest of the version in it, where a server says it.
    pub(crate) fn digest(&self) -> String {
        let Self::Remote { response, .. } = self else { return String::new() };
        let digest = response.headers().get("docker-content-digest");
        digest.and_then(|digest| digest.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// How long it is, in bytes.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Remote { response, .. } => response.content_length(),
            Self::Local(body) => body.length(),
        }
    }
}

/// A file on its way to a server.
struct FileBody {
    file: File,
    left: Option<u64>,
}

impl FileBody {
    fn new(file: File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { left: metadata.is_file().then_some(metadata.len()), file })
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        const CHUNK: usize = 256 * 1024;
        // A program that waits for nothing else may wait for its disk.
        let mut chunk = vec![0; CHUNK];
        Poll::Ready(match self.file.read(&mut chunk) {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                self.left = self.left.map(|left| left.saturating_sub(read as u64));
                Some(Ok(Frame::data(chunk.into())))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
