//! Setting the image of a container in a cluster to a version.

use std::time::Duration;

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::instrument;

use swr_core::control::trigger::{Delivery, Trigger, TriggerTarget, Workload, WorkloadKind};
use swr_core::ports::{ActionError, TriggerAction};

use super::answer::{REFUSAL_BYTES_MAX, beginning, cause, is_lasting, quoted};
use super::cluster::{Cluster, Clusters};
use crate::control::triggers::is_name;

/// Sets the image of a container to the version that fired a trigger, as `kubectl set image` does: it reads the
/// workload, and sends a strategic merge patch of the images that differ, as the field manager `swr`.
///
/// The patch holds for the workload as it was read: where somebody changed it in between, it is refused and tried
/// again, so that no container comes to be that was not there.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    clusters: Clusters,
    host: Box<str>,
    by_digest: bool,
    within: Duration,
}

/// No workload is larger, in bytes: what a cluster keeps is smaller.
const WORKLOAD_BYTES_MAX: usize = 4 << 20;

const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";
const JSON: &str = "application/json";

impl Kubernetes {
    /// Sets images of `host`, the address of this registry as clients write it in front of a repository, in these
    /// clusters. Both requests together may take 30 seconds.
    pub fn new(host: &str, clusters: Clusters) -> Self {
        Self { clusters, host: host.into(), by_digest: false, within: Duration::from_secs(30) }
    }

    /// Images are named by tag and digest (`{host}/{repository}:{tag}@{digest}`), so that what runs is what fired the
    /// trigger, even when the tag has moved on.
    #[must_use]
    pub const fn by_digest(mut self) -> Self {
        self.by_digest = true;
        self
    }

    /// Both requests together may take so long.
    #[must_use]
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }
}

#[async_trait]
impl TriggerAction for Kubernetes {
    #[instrument(level = "debug", skip_all, fields(repository = %trigger.repository, delivery = ?delivery.id))]
    async fn act(&self, trigger: &Trigger, delivery: &Delivery) -> Result<String, ActionError> {
        let TriggerTarget::Workload(workload) = &trigger.target else {
            return Err(ActionError::Impossible("the trigger has no workload to set".to_owned()));
        };
        let cluster = self.clusters.get(&workload.cluster_id).ok_or_else(|| {
            let id = &workload.cluster_id;
            ActionError::Impossible(format!("cluster `{id}` is not configured in this registry"))
        })?;
        for name in [&workload.namespace, &workload.application] {
            if !is_name(name) {
                return Err(ActionError::Impossible(format!("`{name}` is no name in a cluster")));
            }
        }
        let repository = format!("{}/{}", self.host, trigger.repository);
        let image = match self.by_digest {
            true => format!("{repository}:{}@{}", delivery.tag, delivery.digest),
            false => format!("{repository}:{}", delivery.tag),
        };

        let deadline = Instant::now() + self.within;
        let path = path(workload);
        let found = self.ask(cluster, Method::GET, &path, Vec::new(), deadline).await?.into_body();
        let found = beginning(found, WORKLOAD_BYTES_MAX, deadline).await;
        let found: Value = serde_json::from_slice(&found)
            .map_err(|_| ActionError::Failed("the cluster answered with no workload".to_owned()))?;
        let shown = format!("{}/{} in {}", workload.kind.as_str(), workload.application, workload.namespace);
        let Some(patch) = patch(workload, &found, &repository, &image)
            .map_err(|why| ActionError::Impossible(format!("{shown} {why}")))?
        else {
            return Ok(format!("{shown} had {image} already"));
        };
        let path = format!("{path}?fieldManager=swr");
        self.ask(cluster, Method::PATCH, &path, patch.to_string().into(), deadline).await?;
        Ok(format!("{shown} was set to {image}"))
    }
}

impl Kubernetes {
    async fn ask(
        &self,
        cluster: &Cluster,
        method: Method,
        path: &str,
        patch: Vec<u8>,
        deadline: Instant,
    ) -> Result<Response<Body>, ActionError> {
        let mut request = Request::builder().method(method).uri(path).header(ACCEPT, JSON);
        if !patch.is_empty() {
            request = request.header(CONTENT_TYPE, STRATEGIC_MERGE_PATCH);
        }
        let request = request.body(Body::from(patch));
        let request = request.map_err(|error| ActionError::Impossible(error.to_string()))?;
        let response = match timeout_at(deadline, cluster.client.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(ActionError::Failed(format!("the cluster does not answer: {}", cause(&error))));
            }
            Err(_) => {
                let seconds = self.within.as_secs_f32();
                return Err(ActionError::Failed(format!("no answer of the cluster within {seconds} s")));
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal = beginning(response.into_body(), REFUSAL_BYTES_MAX, deadline).await;
        let said = match serde_json::from_slice::<Refusal>(&refusal) {
            Ok(Refusal { message }) => quoted(message.as_bytes()),
            Err(_) => quoted(&refusal),
        };
        let told = format!("the cluster answered {}: {said}", status.as_u16());
        // A token may be renewed, and a conflict passes.
        let passing = [StatusCode::UNAUTHORIZED, StatusCode::CONFLICT].contains(&status);
        Err(match is_lasting(status) && !passing {
            true => ActionError::Impossible(told),
            false => ActionError::Failed(told),
        })
    }
}

/// What a cluster says of a request that it refuses: a `Status`.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Where the workload is below the address of its cluster. Its names are names, which lead nowhere else.
fn path(workload: &Workload) -> String {
    let group = match workload.kind {
        WorkloadKind::Deployments | WorkloadKind::StatefulSets | WorkloadKind::DaemonSets => "apps/v1",
        WorkloadKind::CronJobs => "batch/v1",
    };
    let (kind, name) = (workload.kind.as_str(), &workload.application);
    format!("/apis/{group}/namespaces/{}/{kind}/{name}", workload.namespace)
}

/// Where a workload has its pods' specification.
const fn pod(kind: WorkloadKind) -> &'static [&'static str] {
    match kind {
        WorkloadKind::Deployments | WorkloadKind::StatefulSets | WorkloadKind::DaemonSets => {
            &["spec", "template", "spec"]
        }
        WorkloadKind::CronJobs => &["spec", "jobTemplate", "spec", "template", "spec"],
    }
}

/// What sets the chosen containers of the workload to the image: the named one, or all that have an image of the
/// repository. `None` when they have it; an error when there is none, as the end of a sentence.
fn patch(workload: &Workload, found: &Value, repository: &str, image: &str) -> Result<Option<Value>, String> {
    let spec = pod(workload.kind).iter().fold(found, |value, key| &value[key]);
    let mut lists = Map::new();
    let mut chosen = 0;
    for list in ["initContainers", "containers"] {
        let mut changed = Vec::new();
        for container in spec[list].as_array().into_iter().flatten() {
            let text = |key: &str| container[key].as_str().unwrap_or_default();
            let is_chosen = match workload.container.is_empty() {
                true => without_version(text("image")) == repository,
                false => text("name") == &*workload.container,
            };
            if is_chosen {
                chosen += 1;
                if text("image") != image {
                    changed.push(json!({ "name": text("name"), "image": image }));
                }
            }
        }
        if !changed.is_empty() {
            lists.insert(list.to_owned(), changed.into());
        }
    }
    if chosen == 0 {
        return Err(match workload.container.is_empty() {
            true => format!("has no container with an image of {repository}"),
            false => format!("has no container `{}`", workload.container),
        });
    }
    if lists.is_empty() {
        return Ok(None);
    }
    let mut patch =
        pod(workload.kind).iter().rev().fold(Value::Object(lists), |inner, key| json!({ *key: inner }));
    if let Some(version) = found["metadata"]["resourceVersion"].as_str() {
        patch["metadata"] = json!({ "resourceVersion": version });
    }
    Ok(Some(patch))
}

/// An image without its tag and digest. A colon in front of the last slash belongs to the host's port.
fn without_version(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_same_whatever_its_version() {
        for (image, name) in [
            ("host/shop/web:v1", "host/shop/web"),
            ("host:5000/shop/web:v1", "host:5000/shop/web"),
            ("host:5000/shop/web", "host:5000/shop/web"),
            ("host:5000/shop/web@sha256:00", "host:5000/shop/web"),
            ("host:5000/shop/web:v1@sha256:00", "host:5000/shop/web"),
            ("web", "web"),
            ("", ""),
        ] {
            assert_eq!(without_version(image), name, "{image}");
        }
    }

    #[test]
    fn no_name_leads_out_of_its_place_in_a_path() {
        for name in ["web", "web-1", "1", "web.v1", "a--b"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(254);
        for name in
            ["", ".", "..", "a/b", "../x", "a..b", "-a", "a-", "A", "a b", "a?b", "a#b", "a%2fb", "ü", &long]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
