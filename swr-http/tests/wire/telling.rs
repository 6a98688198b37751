//! What the door tells those who listen beside it: observers of requests, clients with warnings, the record of
//! changes.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::Registry;
use swr_core::caller::Caller;
use swr_core::event::EventSeq;
use swr_core::ports::ManifestStore as _;
use swr_http::{
    Endpoint, PeerAddress, RequestId, RequestObserver, RequestReport, ServiceOptions, WarningSource,
};
use swr_storage::{MemoryBlobs, MemoryManifests};

use crate::door::{Door, LAYER, registry};

#[derive(Debug, Default)]
struct Remembering {
    began: Mutex<u32>,
    ended: Mutex<Vec<RequestReport>>,
}

impl Remembering {
    fn last(&self) -> RequestReport {
        self.ended.lock().unwrap().last().unwrap().clone()
    }
}

impl RequestObserver for Remembering {
    fn began(&self) {
        *self.began.lock().unwrap() += 1;
    }

    fn ended(&self, request: &RequestReport) {
        self.ended.lock().unwrap().push(request.clone());
    }
}

fn observed() -> (Door, Arc<Remembering>) {
    let observer = Arc::new(Remembering::default());
    let options =
        ServiceOptions { observer: Some(Arc::<Remembering>::clone(&observer)), ..ServiceOptions::default() };
    (Door::with(registry(AnyoneMay).build(), AnonymousOnly, options), observer)
}

#[tokio::test]
async fn every_request_is_reported_once_it_has_ended() {
    let (door, observer) = observed();
    let digest = door.push_blob("a", LAYER).await;
    let report = observer.last();
    assert_eq!((report.method, report.endpoint, report.status.unwrap().as_u16()), ("POST", "upload", 201));
    assert_eq!((report.bytes_in, report.bytes_out, report.complete), (LAYER.len() as u64, 0, true));

    let address = format!("/v2/a/blobs/{digest}");
    door.get(&address).await;
    let report = observer.last();
    assert_eq!((report.method, report.endpoint, report.status.unwrap().as_u16()), ("GET", "blob", 200));
    assert_eq!((report.bytes_in, report.bytes_out, report.complete), (0, LAYER.len() as u64, true));

    door.head(&address).await;
    assert_eq!(
        (observer.last().method, observer.last().bytes_out, observer.last().complete),
        ("HEAD", 0, true)
    );
    door.send(Method::from_bytes(b"BREW").unwrap(), "/tea", &[], "").await;
    let report = observer.last();
    assert_eq!((report.method, report.endpoint, report.status.unwrap().as_u16()), ("OTHER", "none", 404));
    assert_eq!(*observer.began.lock().unwrap(), 4);
}

#[tokio::test]
async fn what_was_broken_off_is_reported_as_such() {
    let (door, observer) = observed();
    let digest = door.push_blob("a", LAYER).await;
    let request = || Request::get(format!("/v2/a/blobs/{digest}")).body(Full::new(Bytes::new())).unwrap();
    drop(door.respond(request()));
    assert_eq!(observer.ended.lock().unwrap().len(), 1, "a request that was never polled never began");

    let mut response = door.respond(request()).await;
    assert_eq!(observer.ended.lock().unwrap().len(), 1, "it has not ended yet");
    drop(response);
    assert_eq!((observer.last().status.unwrap().as_u16(), observer.last().complete), (200, false));

    response = door.respond(request()).await;
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    assert_eq!(observer.last().bytes_out, frame.data_ref().unwrap().len() as u64);
}

#[derive(Debug)]
struct Talkative;

impl WarningSource for Talkative {
    fn warnings(&self, endpoint: &Endpoint, caller: &Caller) -> Vec<String> {
        assert_eq!(*caller, Caller::Anonymous);
        match endpoint {
            Endpoint::Base => vec!["plain".to_owned(), "with \"quotes\", \\ and\r\nlines ü".to_owned()],
            Endpoint::ListTags { .. } => vec!["x".repeat(1500); 5],
            _ => Vec::new(),
        }
    }
}

#[tokio::test]
async fn warnings_are_told_within_bounds_and_quotes() {
    let options = ServiceOptions { warnings: Some(Arc::new(Talkative)), ..ServiceOptions::default() };
    let door = Door::with(registry(AnyoneMay).build(), AnonymousOnly, options);
    let answer = door.get("/v2/").await;
    let warnings: Vec<&str> =
        answer.headers.get_all("warning").iter().map(|warning| warning.to_str().unwrap()).collect();
    assert_eq!(warnings, [r#"299 - "plain""#, r#"299 - "with \"quotes\", \\ and??lines ?""#]);
    let answer = door.get("/v2/a/tags/list").await;
    assert_eq!((answer.status.as_u16(), answer.headers.get_all("warning").iter().count()), (404, 2));
    assert_eq!(door.get("/v2/_catalog").await.header("warning"), "");
}

#[tokio::test]
async fn a_change_is_recorded_with_where_it_came_from() {
    let manifests = Arc::new(MemoryManifests::new());
    let registry = Registry::builder(
        Arc::new(MemoryBlobs::new()),
        Arc::<MemoryManifests>::clone(&manifests),
        Arc::new(AnyoneMay),
    );
    let options =
        ServiceOptions { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..ServiceOptions::default() };
    let door = Door::with(registry.build(), AnonymousOnly, options);
    let mut request = Request::post(format!(
        "/v2/a/blobs/uploads/?digest={}",
        swr_core::digest::Algorithm::Sha256.digest(LAYER)
    ))
    .header("x-forwarded-for", "6.6.6.6, 9.9.9.9")
    .body(Full::new(Bytes::from_static(LAYER)))
    .unwrap();
    request.extensions_mut().insert(PeerAddress("10.1.2.3:4567".parse().unwrap()));
    request.extensions_mut().insert(RequestId("r-1".into()));
    assert_eq!(door.respond(request).await.status(), 201);
    let events = manifests.events(EventSeq::START, std::num::NonZeroU32::MAX).await.unwrap();
    let origin = &events.last().unwrap().origin;
    assert_eq!(origin.source.unwrap().to_string(), "9.9.9.9");
    assert_eq!(origin.request_id.as_deref(), Some("r-1"));
}
