//! Notifications: every event in both formats, and the sink that posts them.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;
use swr_auth::{AnyoneMay, Secret};
use swr_core::Registry;
use swr_core::caller::{Actor, Caller, Channel, Identity, Origin, Task};
use swr_core::event::{Event, EventSeq, RecordedEvent};
use swr_core::media_type::MediaType;
use swr_core::ports::{EventSink, ManifestStore};
use swr_core::reference::Reference;
use swr_core::registry::{Left, ManifestPush, Precondition, Relay};
use swr_http::actions::notification::{Described, cloud_event, docker_envelope};
use swr_http::actions::{NotificationFormat, OutboundOptions, WebhookSink};
use swr_storage::{MemoryBlobs, MemoryManifests};

use crate::receiver::{Receiver, Reply};
use crate::scene::{Still, digest, loopback, repository, tag, time};

const ADDRESS: &str = "https://registry.example.com:5000";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn recorded(event: Event) -> RecordedEvent {
    RecordedEvent {
        seq: EventSeq(41),
        repository: repository(),
        actor: Actor::Caller(Caller::User(Identity::new("ada"))),
        origin: Origin {
            source: Some("192.0.2.7".parse().unwrap()),
            request_id: Some("r-1".into()),
            channel: Channel::Api,
            call: Some("PUT /v2/shop/web/manifests/v2".into()),
        },
        at: time("2026-03-01T12:00:00Z"),
        event,
    }
}

fn described() -> Described {
    Described { media_type: MediaType::parse(IMAGE).unwrap(), size: 512 }
}

fn pushed() -> Event {
    let Described { media_type, size } = described();
    Event::ManifestPushed { digest: digest(), media_type, size, subject: None }
}

fn set() -> Event {
    Event::TagSet { tag: tag("v2"), digest: digest(), previous: None }
}

#[test]
fn docker_is_told_with_everything_that_is_known() {
    let digest = digest().to_string();
    let expected = json!({ "events": [{
        "id": "41",
        "timestamp": "2026-03-01T12:00:00Z",
        "action": "push",
        "target": {
            "mediaType": IMAGE,
            "size": 512,
            "length": 512,
            "digest": digest,
            "repository": "shop/web",
            "url": format!("https://registry.example.com:5000/v2/shop/web/manifests/{digest}"),
            "tag": "v2",
        },
        "request": {
            "id": "r-1",
            "addr": "192.0.2.7",
            "host": "registry.example.com:5000",
            "method": "PUT",
            "useragent": "",
        },
        "actor": { "name": "ada" },
        "source": { "addr": "registry.example.com:5000" },
    }] });
    for address in [ADDRESS, "https://registry.example.com:5000/"] {
        assert_eq!(docker_envelope(&recorded(set()), address, Some(&described())).unwrap(), expected);
    }
}

#[test]
fn docker_is_told_of_each_event_in_its_words() {
    let digest = digest();
    let (text, base) = (digest.to_string(), "https://registry.example.com:5000/v2/shop/web");
    let manifest = json!({ "digest": text, "url": format!("{base}/manifests/{text}") });
    let with = |target: &Value, more: Value| {
        let mut target = target.clone();
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        target
    };
    let known = json!({ "mediaType": IMAGE, "size": 512, "length": 512 });
    let blob = json!({
        "mediaType": "application/octet-stream", "digest": text, "url": format!("{base}/blobs/{text}"),
    });
    let gone = json!({ "digest": text });
    let removed = Event::ManifestRemoved { digest, tags: vec![tag("v1"), tag("v2")] };
    for (event, told) in [
        (Event::RepositoryRemoved, vec![("41", "delete", json!({}))]),
        (Event::BlobLinked { digest }, vec![("41", "push", blob)]),
        (Event::BlobUnlinked { digest }, vec![("41", "delete", gone.clone())]),
        (pushed(), vec![("41", "push", with(&manifest, known))]),
        (set(), vec![("41", "push", with(&manifest, json!({ "tag": "v2" })))]),
        (
            removed,
            vec![
                ("41", "delete", gone.clone()),
                ("41-1", "delete", with(&gone, json!({ "tag": "v1" }))),
                ("41-2", "delete", with(&gone, json!({ "tag": "v2" }))),
            ],
        ),
        (
            Event::TagRemoved { tag: tag("v2"), digest },
            vec![("41", "delete", with(&gone, json!({ "tag": "v2" })))],
        ),
    ] {
        let envelope = docker_envelope(&recorded(event.clone()), ADDRESS, None).unwrap();
        let events = envelope["events"].as_array().unwrap();
        let found: Vec<Value> =
            events.iter().map(|event| json!([event["id"], event["action"], event["target"]])).collect();
        let expected: Vec<Value> = told
            .into_iter()
            .map(|(id, action, target)| {
                json!([id, action, with(&target, json!({ "repository": "shop/web" }))])
            })
            .collect();
        assert_eq!(found, expected, "{event:?}");
    }
    assert_eq!(docker_envelope(&recorded(Event::RepositoryCreated), ADDRESS, None), None);
}

#[test]
fn docker_is_told_nothing_of_who_is_nobody() {
    let mut event = recorded(set());
    event.origin = Origin::default();
    for actor in [Actor::Caller(Caller::Anonymous), Actor::Caretaker(Task::Aging)] {
        event.actor = actor;
        let envelope = docker_envelope(&event, ADDRESS, None).unwrap();
        let told = &envelope["events"][0];
        assert_eq!(told["actor"], json!({}));
        let host = "registry.example.com:5000";
        let request = json!({ "id": "", "addr": "", "host": host, "method": "", "useragent": "" });
        assert_eq!(told["request"], request);
    }
}

#[test]
fn a_message_is_bounded_however_many_tags_went() {
    let tags = (0..2_000).map(|n| tag(&format!("v{n}"))).collect();
    let event = recorded(Event::ManifestRemoved { digest: digest(), tags });
    let envelope = docker_envelope(&event, ADDRESS, None).unwrap();
    assert_eq!(envelope["events"].as_array().unwrap().len(), 1_001);
    let told = cloud_event(&event, ADDRESS, None).unwrap();
    assert_eq!(told["data"]["tags"].as_array().unwrap().len(), 1_000);
}

#[test]
fn a_cloud_event_says_what_happened() {
    let (digest, other) = (digest(), swr_core::digest::Algorithm::Sha256.digest(b"another"));
    let (text, previous) = (digest.to_string(), other.to_string());
    let subject = Event::ManifestPushed {
        digest,
        media_type: MediaType::parse(IMAGE).unwrap(),
        size: 512,
        subject: Some(other),
    };
    let moved = Event::TagSet { tag: tag("v2"), digest, previous: Some(other) };
    let image = "registry.example.com:5000/shop/web:v2";
    for (event, kind, about, data) in [
        (Event::RepositoryCreated, "repository.created", None, json!({})),
        (Event::RepositoryRemoved, "repository.removed", None, json!({})),
        (Event::BlobLinked { digest }, "blob.linked", Some(&*text), json!({})),
        (Event::BlobUnlinked { digest }, "blob.unlinked", Some(&text), json!({})),
        (pushed(), "manifest.pushed", Some(&text), json!({ "mediaType": IMAGE, "size": 512 })),
        (
            subject,
            "manifest.pushed",
            Some(&text),
            json!({ "mediaType": IMAGE, "size": 512, "subject": previous }),
        ),
        (
            Event::ManifestRemoved { digest, tags: vec![tag("v1")] },
            "manifest.removed",
            Some(&text),
            json!({ "tags": ["v1"] }),
        ),
        (set(), "tag.set", Some("v2"), json!({ "digest": text, "image": image })),
        (moved, "tag.set", Some("v2"), json!({ "digest": text, "image": image, "previous": previous })),
        (Event::TagRemoved { tag: tag("v2"), digest }, "tag.removed", Some("v2"), json!({ "digest": text })),
    ] {
        let mut expected = json!({
            "specversion": "1.0",
            "id": "41",
            "source": "oci://registry.example.com:5000/shop/web",
            "type": format!("io.swr.{kind}"),
            "time": "2026-03-01T12:00:00Z",
            "datacontenttype": "application/json",
            "data": { "repository": "shop/web", "actor": { "user": "ada" } },
        });
        if let Some(about) = about {
            expected["subject"] = about.into();
        }
        expected["data"].as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        assert_eq!(cloud_event(&recorded(event), ADDRESS, None).unwrap(), expected);
    }
    let told = cloud_event(&recorded(set()), ADDRESS, Some(&described())).unwrap();
    assert_eq!((&told["data"]["mediaType"], &told["data"]["size"]), (&json!(IMAGE), &json!(512)));
    let mut event = recorded(set());
    event.actor = Actor::Caretaker(Task::Aging);
    assert_eq!(cloud_event(&event, ADDRESS, None).unwrap()["data"]["actor"], json!({ "task": "aging" }));
    event.actor = Actor::Caller(Caller::Anonymous);
    assert_eq!(cloud_event(&event, ADDRESS, None).unwrap()["data"]["actor"], json!({}));
}

fn sink(receiver: &Receiver, format: NotificationFormat) -> WebhookSink {
    let url = format!("http://{}/events", receiver.address);
    let now = Arc::new(Still(time("2026-03-01T12:00:05Z")));
    WebhookSink::new("audit", &url, ADDRESS, format, loopback()).unwrap().with_clock(now)
}

#[tokio::test]
async fn a_sink_posts_each_event_as_it_was_asked_to() {
    let receiver = Receiver::new([]).await;
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static("authorization"),
        HeaderValue::from_static("Bearer mine"),
    )]);
    let event = recorded(set());
    let docker = sink(&receiver, NotificationFormat::Docker).with_headers(headers);
    assert_eq!(docker.name(), "audit");
    assert!(!format!("{docker:?}").contains("mine"));
    docker.deliver(&event).await.unwrap();
    let asked = receiver.asked_once();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/events"));
    assert_eq!(asked.header("content-type"), "application/vnd.docker.distribution.events.v1+json");
    assert_eq!(asked.header("authorization"), "Bearer mine");
    assert_eq!(asked.json(), docker_envelope(&event, ADDRESS, None).unwrap());

    let clouds = sink(&receiver, NotificationFormat::CloudEvents).with_secret(Secret::new("open sesame"));
    clouds.deliver(&event).await.unwrap();
    let asked = receiver.asked().pop().unwrap();
    assert_eq!(asked.header("content-type"), "application/cloudevents+json");
    assert_eq!((asked.header("webhook-id"), asked.header("webhook-timestamp")), ("41", "1772366405"));
    assert_eq!(asked.json(), cloud_event(&event, ADDRESS, None).unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"open sesame").unwrap();
    mac.update(format!("41.1772366405.{}", asked.body).as_bytes());
    let signature = BASE64.encode(&mac.finalize().into_bytes());
    assert_eq!(asked.header("webhook-signature"), format!("v1,{signature}"));
}

#[tokio::test]
async fn a_sink_passes_over_what_nobody_wants_to_hear() {
    let receiver = Receiver::new([]).await;
    let blob = recorded(Event::BlobLinked { digest: digest() });
    for format in [NotificationFormat::Docker, NotificationFormat::CloudEvents] {
        sink(&receiver, format).deliver(&blob).await.unwrap();
    }
    let docker = sink(&receiver, NotificationFormat::Docker);
    docker.deliver(&recorded(Event::RepositoryCreated)).await.unwrap();
    assert_eq!(receiver.asked().len(), 0);
    docker.with_blobs().deliver(&blob).await.unwrap();
    assert_eq!(receiver.asked_once().json(), docker_envelope(&blob, ADDRESS, None).unwrap());
}

#[tokio::test]
async fn an_event_that_is_refused_is_not_taken() {
    let receiver = Receiver::new([400, 410, 500, 302].map(Reply::status)).await;
    let sink = sink(&receiver, NotificationFormat::Docker);
    for status in ["400", "410", "500", "302"] {
        let error = sink.deliver(&recorded(set())).await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.starts_with(&format!("answered {status}")), "{why}");
    }
    sink.deliver(&recorded(set())).await.unwrap();
}

#[test]
fn a_sink_is_not_made_for_an_address_that_may_not_be_reached() {
    let format = NotificationFormat::Docker;
    for url in ["http://10.0.0.1/", "ftp://hooks.example/", "nonsense"] {
        assert!(WebhookSink::new("audit", url, ADDRESS, format, loopback()).is_err(), "{url}");
    }
    let options = OutboundOptions { plain_http: false, ..loopback() };
    assert!(WebhookSink::new("audit", "http://127.0.0.1/", ADDRESS, format, options).is_err());
    assert!(WebhookSink::new("audit", "https://hooks.example/", ADDRESS, format, loopback()).is_ok());
    let options = OutboundOptions { authorities: Some(b"nonsense".to_vec()), ..loopback() };
    assert!(WebhookSink::new("audit", "https://hooks.example/", ADDRESS, format, options).is_err());
}

#[tokio::test]
async fn what_is_pushed_reaches_the_other_side_with_its_media_type() {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let manifests = Arc::new(MemoryManifests::new());
    let store: Arc<dyn ManifestStore> = manifests.clone();
    let registry = Registry::builder(Arc::new(MemoryBlobs::new()), manifests, Arc::new(AnyoneMay)).build();
    let bytes = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string();
    let push = ManifestPush {
        reference: Reference::Tag(tag("v2")),
        tags: Vec::new(),
        media_type: None,
        bytes: Bytes::from(bytes),
        precondition: Precondition::default(),
    };
    registry.access(Caller::Anonymous, Origin::default()).push_manifest(&repository(), push).await.unwrap();
    let told = store.events(EventSeq::START, NonZeroU32::MAX).await.unwrap();

    let receiver = Receiver::new([]).await;
    let sink = sink(&receiver, NotificationFormat::CloudEvents).with_manifests(store);
    let relay = Relay::new(registry, Arc::new(sink));
    assert!(matches!(relay.carry().await.unwrap().left, Left::Nothing));
    let asked = receiver.asked();
    let kinds: Vec<Value> = asked.iter().map(|asked| asked.json()["type"].clone()).collect();
    let expected = ["io.swr.repository.created", "io.swr.manifest.pushed", "io.swr.tag.set"];
    assert_eq!(kinds, expected, "{told:?}");
    assert!(asked.iter().skip(1).all(|asked| asked.json()["data"]["mediaType"] == INDEX), "{asked:?}");
}
