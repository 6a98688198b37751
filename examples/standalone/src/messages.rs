//! What the registry says to others: what triggers do, and who is notified of what happens.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use swr_core::control::Courier;
use swr_core::ports::{EventSink, ManifestStore, StoreError};
use swr_core::registry::{Left, Registry, Relay};
use swr_http::actions::webhook::Opener;
use swr_http::actions::{
    Actions, Cluster, Clusters, Kubernetes, NotificationFormat, OutboundOptions, Webhook, WebhookSink,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::config::{self, Config};
use crate::metrics::Metrics;
use crate::stores::in_one_line;

/// How long nobody looks for what other processes have committed, or for deliveries that have waited long enough.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is committed within this time is looked at together: each look at something new writes a few times.
const GATHER: Duration = Duration::from_millis(100);

/// A sink that does not take an event is left alone for a second, and twice as long each time, up to this.
const SINK_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Deliveries that are tried side by side.
const SIDE_BY_SIDE: usize = 64;

/// What triggers can do here. `host` stands in front of the images that they name.
pub(crate) async fn actions(config: &Config, host: &str, opener: Arc<Opener>) -> Result<Actions, String> {
    let webhook = Webhook::new(host, opener, outbound("triggers", &config.triggers.webhooks)?)
        .map_err(|error| in_one_line("triggers.webhooks", &error))?;
    let mut clusters = Clusters::new();
    for (id, cluster) in &config.triggers.clusters {
        let found = match &cluster.kubeconfig {
            Some(file) => Cluster::from_kubeconfig(file, cluster.context.as_deref()).await,
            None => Cluster::in_cluster(),
        };
        let found = found.map_err(|error| in_one_line(&format!("triggers.clusters.{id}"), &error))?;
        clusters = clusters.with(id, found);
    }
    let mut kubernetes = Kubernetes::new(host, clusters);
    if config.triggers.by_digest {
        kubernetes = kubernetes.by_digest();
    }
    Ok(Actions::new().with_webhook(Arc::new(webhook)).with_workload(Arc::new(kubernetes)))
}

/// Whoever is told of everything that happens.
pub(crate) fn sinks(
    config: &Config,
    manifests: &Arc<dyn ManifestStore>,
) -> Result<Vec<Arc<dyn EventSink>>, String> {
    let sink = |(name, notification): (&String, &config::Notification)| {
        let key = format!("notifications.{name}");
        let format = match notification.format {
            config::NotificationFormat::Docker => NotificationFormat::Docker,
            config::NotificationFormat::CloudEvents => NotificationFormat::CloudEvents,
        };
        let options = outbound(&key, &notification.outbound)?;
        let consumer = format!("notification/{name}");
        let sink = WebhookSink::new(&consumer, &notification.url, &config.public_url(), format, options);
        let mut sink = sink
            .map_err(|error| in_one_line(&key, &error))?
            .with_headers(headers(&key, notification)?)
            .with_manifests(Arc::clone(manifests));
        if let Some(secret) = &notification.secret {
            sink = sink.with_secret(secret.clone());
        }
        if notification.blobs {
            sink = sink.with_blobs();
        }
        Ok(Arc::new(sink) as Arc<dyn EventSink>)
    };
    config.notifications.iter().map(sink).collect()
}

fn headers(key: &str, notification: &config::Notification) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &notification.headers {
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value.expose()));
        let (Ok(header), Ok(mut value)) = parsed else {
            return Err(format!("{key}.headers.{name}: is no header"));
        };
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

fn outbound(key: &str, outbound: &config::Outbound) -> Result<OutboundOptions, String> {
    let authorities = match &outbound.authorities {
        Some(file) => {
            Some(fs::read(file).map_err(|error| format!("{key}.authorities: {}: {error}", file.display()))?)
        }
        None => None,
    };
    Ok(OutboundOptions {
        networks: outbound.networks.clone(),
        plain_http: outbound.plain_http,
        authorities,
        ..OutboundOptions::default()
    })
}

/// Turns what is pushed into deliveries, and sees them through, those of different targets side by side.
pub(crate) async fn deliver(
    courier: Courier,
    registry: Registry,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut committed = registry.committed();
    let mut tries = JoinSet::new();
    while !*stop.borrow() {
        if let Err(failure) = start_tries(&courier, &mut tries).await {
            failed(&metrics, "triggers", &failure);
        }
        tokio::select! {
            () = committed.changed() => tokio::time::sleep(GATHER).await,
            Some(tried) = tries.join_next() => match tried {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => failed(&metrics, "triggers", &failure),
                Err(failure) => failed(&metrics, "triggers", &failure),
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.changed() => {}
        }
    }
    // Whatever is cut off here is tried again by the next process.
    tries.shutdown().await;
}

async fn start_tries(
    courier: &Courier,
    tries: &mut JoinSet<Result<(), StoreError>>,
) -> Result<(), StoreError> {
    while courier.fan_out().await?.more {}
    let Some(room) =
        u32::try_from(SIDE_BY_SIDE.saturating_sub(tries.len())).ok().and_then(|room| room.try_into().ok())
    else {
        return Ok(());
    };
    for claimed in courier.claim(room).await? {
        let courier = courier.clone();
        tries.spawn(async move { courier.attempt(&claimed).await });
    }
    Ok(())
}

/// Tells one sink of everything, in order.
pub(crate) async fn notify(
    registry: Registry,
    sink: Arc<dyn EventSink>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut committed = registry.committed();
    let relay = Relay::new(registry, sink);
    let mut refused = 0;
    while !*stop.borrow() {
        let wait = match relay.carry().await {
            Ok(carried) => match carried.left {
                Left::More => continue,
                Left::Refused(failure) => {
                    failed(&metrics, "notifications", &failure);
                    refused = if carried.delivered > 0 { 1 } else { refused + 1 };
                    Some(LOOK_EVERY.saturating_mul(1 << (refused - 1).min(6)).min(SINK_PAUSE_MAX))
                }
                _ => {
                    refused = 0;
                    None
                }
            },
            Err(failure) => {
                failed(&metrics, "notifications", &failure);
                Some(LOOK_EVERY)
            }
        };
        tokio::select! {
            () = committed.changed(), if wait.is_none() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(wait.unwrap_or(LOOK_EVERY)) => {}
            _ = stop.changed() => {}
        }
    }
}

fn failed(metrics: &Metrics, chore: &'static str, failure: &(dyn std::error::Error + 'static)) {
    warn!(chore, failure = in_one_line("failure", failure), "will be tried again");
    metrics.chore_failed(chore);
}
