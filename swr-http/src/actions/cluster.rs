//! Clusters as the host has configured them: where they are, and as whom they are spoken to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

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

/// A cluster: its server, and what this registry shows it. Made where a tokio runtime is, and used there.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    server: Box<str>,
}

impl Cluster {
    /// The cluster that this process runs in, as the service account of its pod. Reads `KUBERNETES_SERVICE_HOST` and
    /// `KUBERNETES_SERVICE_PORT` from the environment, and the account's files; its token and its authority once a
    /// minute again.
    pub fn in_cluster() -> Result<Self, ClusterError> {
        Self::new(Config::incluster().map_err(|error| ClusterError::Outside(error.to_string()))?)
    }

    /// A cluster of a kubeconfig file, that of `context` or of the file's current context. Everything the file leads
    /// to is read now, and a token's file, which has the token and no line end, once a minute again.
    ///
    /// Programs and plug-ins that sign in are refused: nobody bounds how long they take.
    pub async fn from_kubeconfig(path: &Path, context: Option<&str>) -> Result<Self, ClusterError> {
        let unusable = |error: KubeconfigError| ClusterError::Kubeconfig(error.to_string());
        let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.map_err(unusable)?;
        if config.auth_info.token_file.is_some() {
            // As for `kubectl`, the file is what counts where there are both.
            config.auth_info.token = None;
        }
        for (field, is_there) in [
            ("exec", config.auth_info.exec.is_some()),
            ("auth-provider", config.auth_info.auth_provider.is_some()),
        ] {
            if is_there {
                return Err(ClusterError::SignsIn(field));
            }
        }
        Self::new(config)
    }

    fn new(mut config: Config) -> Result<Self, ClusterError> {
        config
            .headers
            .push((USER_AGENT, HeaderValue::from_static(concat!("swr/", env!("CARGO_PKG_VERSION")))));
        // Who delivers tries again, later.
        config.default_retry = false;
        let server = config.cluster_url.to_string().into();
        let client = Client::try_from(config).map_err(|error| ClusterError::Unusable(error.to_string()))?;
        Ok(Self { client, server })
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Why a cluster cannot be spoken to. Each text says it all: it has those of its causes in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// This process runs in no cluster, or as nobody.
    #[error("this process cannot tell in which cluster it runs: {0}")]
    Outside(String),
    /// The kubeconfig cannot be read, or leads nowhere.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    /// The kubeconfig signs in by a program or a plug-in.
    #[error("the kubeconfig has `{0}`, which is not followed: use a token, or a client certificate")]
    SignsIn(&'static str),
    /// A certificate, a key or an address is none.
    #[error("the cluster cannot be spoken to: {0}")]
    Unusable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_runs_in_no_cluster_is_told_so() {
        let outside = Cluster::in_cluster().unwrap_err();
        assert!(outside.to_string().starts_with("this process cannot tell in which cluster it runs: "));
    }
}
