//! Events as tools hear of them that listen to registries: Docker's notifications, and CloudEvents.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tracing::instrument;

use swr_auth::Secret;
use swr_core::Tag;
use swr_core::caller::{Actor, Caller};
use swr_core::digest::Digest;
use swr_core::event::{Event, RecordedEvent};
use swr_core::media_type::MediaType;
use swr_core::ports::{Clock, DeliveryError, EventSink, ManifestStore, StoreError, SystemClock, WithBytes};
use swr_core::reference::Reference;

use super::outbound::{Outbound, OutboundError, OutboundOptions};
use super::webhook::{CLOUD_EVENT, Happening, sign, time};

/// The media type of Docker's envelope.
pub const DOCKER_EVENTS: &str = "application/vnd.docker.distribution.events.v1+json";

/// What a manifest is, beside its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever knows it says it")]
pub struct Described {
    /// Its media type.
    pub media_type: MediaType,
    /// Its own length in bytes.
    pub size: u64,
}

/// No more tags that went with a manifest are told of in one message.
const TAGS_MAX: usize = 1_000;

/// The event in Docker's envelope, as its registry tells it; `None` for what that one tells nobody: that a repository
/// came to be. A manifest that comes under a tag is two pushes here, one of its digest and one of the tag; one that
/// goes with its tags is a removal of each, up to 1,000 of them.
///
/// `address` is where clients reach the registry (`https://registry.example.com`), `described` what the manifest of
/// [`Event::TagSet`] is, if that is known. The ids are made of the event's place in the log: the same ids are the
/// same events.
pub fn docker_envelope(event: &RecordedEvent, address: &str, described: Option<&Described>) -> Option<Value> {
    let told: Vec<(&str, Value)> = match &event.event {
        Event::RepositoryRemoved => vec![("delete", json!({}))],
        Event::BlobLinked { digest } => vec![("push", blob(event, address, digest))],
        Event::BlobUnlinked { digest } => vec![("delete", json!({ "digest": digest.to_string() }))],
        Event::ManifestPushed { digest, media_type, size, .. } => {
            let described = Described { media_type: media_type.clone(), size: *size };
            vec![("push", manifest(event, address, digest, Some(&described)))]
        }
        Event::ManifestRemoved { digest, tags } => {
            let digest = digest.to_string();
            let mut told = vec![("delete", json!({ "digest": digest }))];
            let gone = |tag: &Tag| ("delete", json!({ "digest": digest, "tag": tag.as_str() }));
            told.extend(tags.iter().take(TAGS_MAX).map(gone));
            told
        }
        Event::TagSet { tag, digest, .. } => {
            let mut target = manifest(event, address, digest, described);
            target["tag"] = tag.as_str().into();
            vec![("push", target)]
        }
        Event::TagRemoved { tag, digest } => {
            vec![("delete", json!({ "digest": digest.to_string(), "tag": tag.as_str() }))]
        }
        _ => return None,
    };
    let envelope = |(place, (action, mut target)): (usize, (&str, Value))| {
        target["repository"] = event.repository.as_str().into();
        json!({
            "id": if place == 0 { event.seq.0.to_string() } else { format!("{}-{place}", event.seq.0) },
            "timestamp": time(event.at),
            "action": action,
            "target": target,
            "request": request(event, address),
            "actor": match &event.actor {
                Actor::Caller(Caller::User(user)) => json!({ "name": user.name() }),
                _ => json!({}),
            },
            "source": { "addr": host(address) },
        })
    };
    let events: Vec<Value> = told.into_iter().enumerate().map(envelope).collect();
    Some(json!({ "events": events }))
}

fn blob(event: &RecordedEvent, address: &str, digest: &Digest) -> Value {
    json!({
        "mediaType": "application/octet-stream",
        "digest": digest.to_string(),
        "url": format!("{}/v2/{}/blobs/{digest}", address.trim_end_matches('/'), event.repository),
    })
}

fn manifest(event: &RecordedEvent, address: &str, digest: &Digest, described: Option<&Described>) -> Value {
    let mut target = json!({
        "digest": digest.to_string(),
        "url": format!("{}/v2/{}/manifests/{digest}", address.trim_end_matches('/'), event.repository),
    });
    if let Some(Described { media_type, size }) = described {
        target["mediaType"] = media_type.as_str().into();
        target["size"] = (*size).into();
        target["length"] = (*size).into();
    }
    target
}

fn request(event: &RecordedEvent, address: &str) -> Value {
    let origin = &event.origin;
    let method = origin.call.as_deref().and_then(|call| call.split(' ').next());
    json!({
        "id": origin.request_id.as_deref().unwrap_or_default(),
        "addr": origin.source.map(|source| source.to_string()).unwrap_or_default(),
        "host": host(address),
        "method": method.unwrap_or_default(),
        "useragent": "",
    })
}

/// The host of an address, with its port.
fn host(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, host)| host).trim_end_matches('/')
}

/// The event as a CloudEvent, of a type such as `io.swr.tag.set`; `None` for events that there were none of when this
/// was written. `address` and `described` are as in [`docker_envelope`]; the source is
/// `oci://{host}/{repository}`, and the id is the event's place in the log.
pub fn cloud_event(event: &RecordedEvent, address: &str, described: Option<&Described>) -> Option<Value> {
    let mut data = json!({
        "repository": event.repository.as_str(),
        "actor": match &event.actor {
            Actor::Caller(Caller::User(user)) => json!({ "user": user.name() }),
            Actor::Caller(Caller::Anonymous) => json!({}),
            Actor::Caretaker(task) => json!({ "task": task.as_str() }),
        },
    });
    let (kind, subject) = match &event.event {
        Event::RepositoryCreated => ("io.swr.repository.created", None),
        Event::RepositoryRemoved => ("io.swr.repository.removed", None),
        Event::BlobLinked { digest } => ("io.swr.blob.linked", Some(digest.to_string())),
        Event::BlobUnlinked { digest } => ("io.swr.blob.unlinked", Some(digest.to_string())),
        Event::ManifestPushed { digest, media_type, size, subject } => {
            data["mediaType"] = media_type.as_str().into();
            data["size"] = (*size).into();
            if let Some(subject) = subject {
                data["subject"] = subject.to_string().into();
            }
            ("io.swr.manifest.pushed", Some(digest.to_string()))
        }
        Event::ManifestRemoved { digest, tags } => {
            data["tags"] = tags.iter().take(TAGS_MAX).map(Tag::as_str).collect();
            ("io.swr.manifest.removed", Some(digest.to_string()))
        }
        Event::TagSet { tag, digest, previous } => {
            data["digest"] = digest.to_string().into();
            data["image"] = format!("{}/{}:{tag}", host(address), event.repository).into();
            if let Some(previous) = previous {
                data["previous"] = previous.to_string().into();
            }
            if let Some(Described { media_type, size }) = described {
                data["mediaType"] = media_type.as_str().into();
                data["size"] = (*size).into();
            }
            ("io.swr.tag.set", Some(tag.as_str().to_owned()))
        }
        Event::TagRemoved { tag, digest } => {
            data["digest"] = digest.to_string().into();
            ("io.swr.tag.removed", Some(tag.as_str().to_owned()))
        }
        _ => return None,
    };
    let happening = Happening {
        id: &event.seq.0.to_string(),
        source: format!("oci://{}/{}", host(address), event.repository),
        kind,
        subject: subject.as_deref(),
        at: event.at,
        data,
    };
    Some(happening.into_json())
}

/// What a sink's messages look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "hosts choose one")]
pub enum NotificationFormat {
    /// [`docker_envelope`].
    Docker,
    /// [`cloud_event`].
    CloudEvents,
}

/// Tells a configured address of every event, in order and at least once, one message each.
///
/// A status that begins with 2 is delivery; after anything else the same event is told again, however often, and those
/// behind it wait. Addresses are checked as those of triggers are. What is said of blobs is left out, unless it is
/// asked for: nearly all of it is noise.
pub struct WebhookSink {
    name: Box<str>,
    url: Box<str>,
    registry: Box<str>,
    format: NotificationFormat,
    outbound: Outbound,
    headers: HeaderMap,
    secret: Option<Secret>,
    manifests: Option<Arc<dyn ManifestStore>>,
    blobs: bool,
    clock: Arc<dyn Clock>,
}

impl WebhookSink {
    /// Tells `url` of what happens in the registry that clients reach at `registry`, an address with its scheme
    /// (`https://registry.example.com`). `name` is what the relay remembers it by.
    pub fn new(
        name: &str,
        url: &str,
        registry: &str,
        format: NotificationFormat,
        options: OutboundOptions,
    ) -> Result<Self, OutboundError> {
        let outbound = Outbound::new(options)?;
        outbound.permitted(url)?;
        Ok(Self {
            name: name.into(),
            url: url.into(),
            registry: registry.into(),
            format,
            outbound,
            headers: HeaderMap::new(),
            secret: None,
            manifests: None,
            blobs: false,
            clock: Arc::new(SystemClock),
        })
    }

    /// Sends these headers with each message: what the other side tells its own by, say.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Signs each message as [`Webhook`](super::Webhook) does, with the event's place in the log as its id.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Says of a tag what kind of manifest it points to, where that is still there: many tools go by the media type.
    /// `manifests` is the registry's own store.
    #[must_use]
    pub fn with_manifests(mut self, manifests: Arc<dyn ManifestStore>) -> Self {
        self.manifests = Some(manifests);
        self
    }

    /// Tells of blobs as well.
    #[must_use]
    pub const fn with_blobs(mut self) -> Self {
        self.blobs = true;
        self
    }

    /// Takes the time of a message from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn described(&self, event: &RecordedEvent) -> Result<Option<Described>, StoreError> {
        let (Event::TagSet { digest, .. }, Some(manifests)) = (&event.event, &self.manifests) else {
            return Ok(None);
        };
        let digest = Reference::Digest(*digest);
        let found = manifests.resolve(&event.repository, &digest, WithBytes::No).await?;
        Ok(found.map(|found| Described { media_type: found.media_type, size: found.size }))
    }
}

#[async_trait]
impl EventSink for WebhookSink {
    fn name(&self) -> &str {
        &self.name
    }

    #[instrument(level = "debug", skip_all, fields(sink = %self.name, seq = event.seq.0))]
    async fn deliver(&self, event: &RecordedEvent) -> Result<(), DeliveryError> {
        if !self.blobs && matches!(event.event, Event::BlobLinked { .. } | Event::BlobUnlinked { .. }) {
            return Ok(());
        }
        let described = self.described(event).await.map_err(DeliveryError::new)?;
        let (media_type, message) = match self.format {
            NotificationFormat::Docker => {
                (DOCKER_EVENTS, docker_envelope(event, &self.registry, described.as_ref()))
            }
            NotificationFormat::CloudEvents => {
                (CLOUD_EVENT, cloud_event(event, &self.registry, described.as_ref()))
            }
        };
        let Some(message) = message else { return Ok(()) };
        let body = message.to_string();
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        sign(&mut headers, self.secret.as_ref(), &event.seq.0.to_string(), self.clock.now(), &body)
            .map_err(DeliveryError::new)?;
        self.outbound.post(&self.url, headers, body).await.map_err(DeliveryError::new)?;
        Ok(())
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address and the headers may hold what only the other side is to know.
        f.debug_struct("WebhookSink")
            .field("name", &self.name)
            .field("registry", &self.registry)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
