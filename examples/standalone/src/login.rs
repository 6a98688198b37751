//! `swr login-command`: the line that a client signs in with.

use clap::Args;
use http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::{Value, json};
use swr_auth::{Login, Secret};

use crate::management::{Answer, Manager, not_understood};
use crate::output::{self, Shown, exposed};
use crate::server;

/// Makes the line that a client signs in with, as whoever does it.
#[derive(Args, Debug)]
pub(crate) struct LoginCommand {
    /// One that lasts as long as the access key in SWR_ACCESS_KEY_ID and SWR_SECRET_ACCESS_KEY, and is made of it
    #[arg(long)]
    long_term: bool,
    /// As a secret that a Kubernetes cluster pulls with, for `kubectl apply -f -`: of this name, or `default-secret`
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "default-secret")]
    kubernetes_secret: Option<String>,
    #[command(flatten)]
    manager: Manager,
}

/// What a client signs in with.
#[derive(Serialize)]
struct Made {
    #[serde(serialize_with = "exposed")]
    login: Secret,
    /// `None`: when its key is deleted.
    expires_at: Option<String>,
    #[serde(skip)]
    host: String,
    #[serde(skip)]
    auth: Secret,
}

/// A login that is made to learn what the registry is called ends as soon as one may, in seconds.
const SECONDS_MIN: u32 = 900;

impl LoginCommand {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let key = self.long_term.then(|| server::access_key("--long-term")).transpose()?;
        let query = key.as_ref().map(|_| format!("duration_seconds={SECONDS_MIN}")).unwrap_or_default();
        let path = "/v2/manage/utils/secret";
        let answer = self.manager.open().await?.ask(Method::POST, path, &query, None).await?;
        let made = Made::read(&answer).ok_or_else(|| not_understood(path))?;
        let made = match key {
            Some((key, secret)) => made.long_term(|project| Login::long_term(project, &key, &secret)),
            None => made,
        };
        match self.kubernetes_secret {
            Some(name) => output::document(&made.kubernetes_secret(&name)),
            None => output::one(self.manager.format(), &made),
        }
    }
}

impl Made {
    fn read(answer: &Answer) -> Option<Self> {
        let header = |headers: &HeaderMap, name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let (host, auth) = body["auths"].as_object()?.iter().next()?;
        Some(Self {
            login: Secret::new(header(&answer.headers, "x-swr-dockerlogin")?),
            expires_at: header(&answer.headers, "x-swr-expireat"),
            host: host.clone(),
            auth: Secret::new(auth["auth"].as_str()?),
        })
    }

    /// Another login to the same registry: in a login the project stands before the `@`.
    fn long_term(self, login: impl FnOnce(&str) -> Login) -> Self {
        let user = self.login.expose().split(' ').nth(3).unwrap_or_default();
        let login = login(user.split_once('@').map_or(user, |(project, _)| project));
        Self {
            login: Secret::new(login.command(&self.host)),
            expires_at: None,
            auth: Secret::new(login.auth()),
            host: self.host,
        }
    }

    fn kubernetes_secret(&self, name: &str) -> Value {
        let auth = json!({ "auth": self.auth.expose() });
        let auths: serde_json::Map<String, Value> = [(self.host.clone(), auth)].into_iter().collect();
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name },
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": { ".dockerconfigjson": json!({ "auths": auths }).to_string() },
        })
    }
}

impl Shown for Made {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let ends = self.expires_at.clone().unwrap_or_else(|| "when its access key is deleted".to_owned());
        vec![("ends", ends)]
    }

    fn once(&self) -> bool {
        true
    }

    fn login(&self) -> Option<&str> {
        Some(self.login.expose())
    }
}
