//! Clusters as the host has configured them: where they are, and as whom they are spoken to.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use http::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, Identity, Url};
use serde::Deserialize;

use swr_auth::Secret;

use super::authorities;

/// The clusters that triggers can name.
#[derive(Clone, Debug, Default)]
pub struct Clusters(BTreeMap<Box<str>, Cluster>);

impl Clusters {
    /// No cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Triggers name this cluster by `id`.
    #[must_use]
    pub fn with(mut self, id: &str, cluster: Cluster) -> Self {
        self.0.insert(id.into(), cluster);
        self
    }

    /// The cluster of this id.
    pub fn get(&self, id: &str) -> Option<&Cluster> {
        self.0.get(id)
    }
}

/// A cluster: its server, and what this registry shows it.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    /// Without a slash at its end.
    pub(super) server: Box<str>,
    bearer: Bearer,
}

#[derive(Clone)]
enum Bearer {
    None,
    Token(Secret),
    /// Others write the file anew before its token ends.
    File(PathBuf),
}

/// Where a pod finds what it may show its cluster.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Cluster {
    /// The cluster that this process runs in, as the service account of its pod. Reads `KUBERNETES_SERVICE_HOST` and
    /// `KUBERNETES_SERVICE_PORT` from the environment, and the account's files.
    pub fn in_cluster() -> Result<Self, ClusterError> {
        let variable = |name| std::env::var(name).map_err(|_| ClusterError::Outside);
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        Self::of_service_account(&host, &port, Path::new(SERVICE_ACCOUNT))
    }

    fn of_service_account(host: &str, port: &str, folder: &Path) -> Result<Self, ClusterError> {
        let authority = read(&folder.join("ca.crt"))?;
        let bearer = Bearer::File(folder.join("token"));
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self::new(&format!("https://{host}:{port}"), Trust::Only(authority), None, bearer)
    }

    /// A cluster of a kubeconfig file, that of `context` or of the file's current context. Everything the file leads
    /// to is read now, except a token's file, which is read for each request.
    ///
    /// A user is known by a client certificate or by a token. What else a kubeconfig may have is refused: programs
    /// and plug-ins that sign in, passwords, impersonation, proxies, another name for the server's certificate.
    pub fn from_kubeconfig(path: &Path, context: Option<&str>) -> Result<Self, ClusterError> {
        let text = read(path)?;
        let config: Kubeconfig =
            yaml_serde::from_slice(&text).map_err(|error| ClusterError::Kubeconfig(error.into()))?;
        config.cluster(context, path.parent().unwrap_or(Path::new("")))
    }

    fn new(
        server: &str,
        trust: Trust,
        identity: Option<Vec<u8>>,
        bearer: Bearer,
    ) -> Result<Self, ClusterError> {
        let invalid = |error: reqwest::Error| ClusterError::Tls(error.into());
        match Url::parse(server) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() => {}
            _ => return Err(ClusterError::Unusable(format!("`{server}` is no address of a cluster"))),
        }
        let mut client = Client::builder()
            .user_agent(concat!("swr/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .http1_only()
            .redirect(Policy::none())
            .pool_max_idle_per_host(1);
        client = match trust {
            Trust::Machine => client,
            Trust::Only(pem) => client.tls_certs_only(authorities::read(&pem).map_err(ClusterError::Tls)?),
            Trust::Anyone => client.tls_danger_accept_invalid_certs(true),
        };
        if let Some(pem) = identity {
            client = client.identity(Identity::from_pem(&pem).map_err(invalid)?);
        }
        let client = client.build().map_err(invalid)?;
        Ok(Self { client, server: server.trim_end_matches('/').into(), bearer })
    }

    /// What a request is authorised with; `None` where a certificate does that. The text is what a history may show.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let token = match &self.bearer {
            Bearer::None => return Ok(None),
            Bearer::Token(token) => token.clone(),
            // A small file, and nearly always one in memory.
            Bearer::File(path) => match std::fs::read_to_string(path) {
                Ok(token) => Secret::new(token),
                Err(error) => return Err(format!("the token of the cluster cannot be read: {error}")),
            },
        };
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose().trim()))
            .map_err(|_| "the token of the cluster is none".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Why a cluster cannot be spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// This process runs in no cluster.
    #[error(
        "this process runs in no cluster: `KUBERNETES_SERVICE_HOST` or `KUBERNETES_SERVICE_PORT` is not set"
    )]
    Outside,
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no kubeconfig.
    #[error("the kubeconfig cannot be read")]
    Kubeconfig(#[source] Box<dyn Error + Send + Sync>),
    /// The kubeconfig lacks what is needed, or has what is not done here.
    #[error("{0}")]
    Unusable(String),
    /// A certificate or a key is none.
    #[error("the certificates of the cluster cannot be used")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

/// Whose certificate the server may show.
enum Trust {
    /// What the machine believes.
    Machine,
    /// What these authorities have signed, as PEM.
    Only(Vec<u8>),
    /// Any.
    Anyone,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: ClusterEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    /// What is not done here.
    #[serde(flatten)]
    rest: BTreeMap<String, yaml_serde::Value>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<UserEntry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UserEntry {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    /// What is not done here.
    #[serde(flatten)]
    rest: BTreeMap<String, yaml_serde::Value>,
}

/// Fields that say how a cluster is reached and are not followed. To pass over one would be to do something else than
/// the file says.
const NOT_FOLLOWED: [&str; 8] =
    ["as", "as-groups", "auth-provider", "exec", "password", "proxy-url", "tls-server-name", "username"];

impl Kubeconfig {
    fn cluster(self, context: Option<&str>, folder: &Path) -> Result<Cluster, ClusterError> {
        let unusable = |why: String| ClusterError::Unusable(why);
        let chosen = context.unwrap_or(&self.current_context);
        let context = self
            .contexts
            .into_iter()
            .find(|named| named.name == chosen)
            .ok_or_else(|| unusable(format!("the kubeconfig has no context `{chosen}`")))?
            .context;
        let cluster = self
            .clusters
            .into_iter()
            .find(|named| named.name == context.cluster)
            .ok_or_else(|| unusable(format!("the kubeconfig has no cluster `{}`", context.cluster)))?
            .cluster;
        let user = match self.users.into_iter().find(|named| named.name == context.user) {
            Some(named) => named.user.unwrap_or_default(),
            None if context.user.is_empty() => UserEntry::default(),
            None => return Err(unusable(format!("the kubeconfig has no user `{}`", context.user))),
        };
        if let Some(field) = cluster.rest.keys().chain(user.rest.keys()).find(|field| is_not_followed(field))
        {
            return Err(unusable(format!(
                "the kubeconfig has `{field}` in context `{chosen}`, which is not followed: use a token or a client certificate"
            )));
        }

        let authority = of(cluster.certificate_authority_data, cluster.certificate_authority, folder)?;
        let trust = match (cluster.insecure_skip_tls_verify, authority) {
            (true, _) => Trust::Anyone,
            (false, Some(pem)) => Trust::Only(pem),
            (false, None) => Trust::Machine,
        };
        let certificate = of(user.client_certificate_data, user.client_certificate, folder)?;
        let key = of(user.client_key_data, user.client_key, folder)?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
            (None, None) => None,
            _ => return Err(unusable("a client certificate and its key go together".to_owned())),
        };
        let bearer = match (user.token_file, user.token) {
            (Some(file), _) => Bearer::File(folder.join(file)),
            (None, Some(token)) => Bearer::Token(Secret::new(token)),
            (None, None) => Bearer::None,
        };
        Cluster::new(&cluster.server, trust, identity, bearer)
    }
}

fn is_not_followed(field: &str) -> bool {
    NOT_FOLLOWED.contains(&field)
}

/// What stands in the file itself, as Base64, or in another one, relative to it.
fn of(data: Option<String>, path: Option<PathBuf>, folder: &Path) -> Result<Option<Vec<u8>>, ClusterError> {
    match (data, path) {
        (Some(data), _) => {
            let decoded = BASE64.decode(data.trim().as_bytes());
            decoded.map(Some).map_err(|error| ClusterError::Kubeconfig(error.into()))
        }
        (None, Some(path)) => read(&folder.join(path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ClusterError> {
    std::fs::read(path).map_err(|source| ClusterError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pod_speaks_to_its_own_cluster_with_the_token_that_it_has_now() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Cluster::of_service_account("10.96.0.1", "443", folder.path()).unwrap_err();
        assert!(absent.to_string().ends_with("ca.crt` cannot be read"), "{absent}");
        fs::write(folder.path().join("ca.crt"), "nonsense").unwrap();
        let nonsense = Cluster::of_service_account("10.96.0.1", "443", folder.path()).unwrap_err();
        assert_eq!(nonsense.to_string(), "the certificates of the cluster cannot be used");

        let authority = rcgen::generate_simple_self_signed(["kubernetes".to_owned()]).unwrap().cert.pem();
        fs::write(folder.path().join("ca.crt"), authority).unwrap();
        for (host, server) in [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")] {
            let cluster = Cluster::of_service_account(host, "443", folder.path()).unwrap();
            assert_eq!(&*cluster.server, server);
            for token in ["first", "second"] {
                fs::write(folder.path().join("token"), token).unwrap();
                let shown = cluster.authorization().unwrap().unwrap();
                assert_eq!(shown, format!("Bearer {token}"));
                assert!(!format!("{shown:?} {cluster:?}").contains(token));
            }
        }
    }
}
