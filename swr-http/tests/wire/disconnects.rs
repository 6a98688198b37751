//! A client that hangs up: every request is dropped at each of its polls, with a pause at every call to a store
//! and at every chunk. All of it is done then, or none of it, and the same request does it afterwards.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body::{Body, Frame};
use serde_json::{Value, json};
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::Registry;
use swr_core::digest::Algorithm;
use swr_core::media_type::MediaType;
use swr_core::testing::stepping::{Plan, Stepping, Steps, dropped_after};
use swr_http::ServiceOptions;
use swr_storage::{MemoryBlobs, MemoryManifests};

use crate::door::{CONFIG, Door, LAYER, Manifest, image, referrer};

/// A body in pieces, with a pause before each.
struct Pieces {
    left: VecDeque<Bytes>,
    paused: bool,
}

impl Pieces {
    fn of(content: &[u8]) -> Self {
        Self { left: content.chunks(5).map(Bytes::copy_from_slice).collect(), paused: false }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.paused = !self.paused;
        if self.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// What a request does, what can be seen of it, and what is seen when it is done.
struct Case {
    name: &'static str,
    method: Method,
    address: String,
    media_type: &'static str,
    body: Vec<u8>,
    /// Status and body of these show all that the request changes.
    shown: Vec<String>,
    /// The answer of the request once it is repeated after it was done.
    again: u16,
}

struct Scene {
    door: Door,
    steps: Arc<Steps>,
    subject: Manifest,
    upload: String,
    begun: String,
}

const UPLOADED: &[u8] = b"content that comes in pieces";

impl Scene {
    async fn set() -> Self {
        let steps = Arc::new(Steps::default());
        let bytes = Arc::new(Stepping::new(MemoryBlobs::new(), &steps));
        let manifests = Arc::new(Stepping::new(MemoryManifests::new(), &steps));
        let registry = Registry::builder(bytes, manifests, Arc::new(AnyoneMay)).build();
        // Polled by hand, without a runtime's time.
        let options = ServiceOptions {
            patience: None,
            answer_within: None,
            store_within: None,
            ..ServiceOptions::default()
        };
        let door = Door::with(registry, AnonymousOnly, options);
        let subject = door.push_image("a", "v1").await;
        door.push_manifest("a", "v2", &subject).await;
        door.push_blob("a", b"loose").await;
        door.push_blob("b", b"elsewhere").await;
        let upload = door.begin("a").await;
        assert_eq!(door.patch(&upload, None, UPLOADED).await.status, 202);
        let begun = door.begin("a").await;
        Self { door, steps, subject, upload, begun }
    }

    fn cases(&self) -> Vec<Case> {
        let sha256 = |content: &[u8]| Algorithm::Sha256.digest(content);
        let of = |path: &str| vec![format!("/v2/a/{path}")];
        let blob = |content: &[u8]| of(&format!("blobs/{}", sha256(content)));
        let request = |name, method, address: String, body: &[u8], shown, again| Case {
            name,
            method,
            address,
            media_type: MediaType::OCI_MANIFEST,
            body: body.to_vec(),
            shown,
            again,
        };
        let signature = referrer(&self.subject, "application/vnd.sig", "one");
        let signed = vec![
            format!("/v2/a/manifests/{}", signature.digest()),
            "/v2/a/tags/list".to_owned(),
            format!("/v2/a/referrers/{}", self.subject.digest()),
        ];
        let moved = image("moved");
        let everything = vec![
            "/v2/a/tags/list".to_owned(),
            "/v2/a/manifests/v1".to_owned(),
            format!("/v2/a/manifests/{}", self.subject.digest()),
        ];
        vec![
            request(
                "push a blob",
                Method::POST,
                format!("/v2/a/blobs/uploads/?digest={}", sha256(b"a whole blob")),
                b"a whole blob",
                blob(b"a whole blob"),
                201,
            ),
            request(
                "finish an upload",
                Method::PUT,
                format!("{}?digest={}", self.upload, sha256(UPLOADED)),
                b"",
                blob(UPLOADED),
                201,
            ),
            request(
                "mount",
                Method::POST,
                format!("/v2/a/blobs/uploads/?mount={}&from=b", sha256(b"elsewhere")),
                b"",
                blob(b"elsewhere"),
                201,
            ),
            request(
                "push a referrer under several tags",
                Method::PUT,
                format!("/v2/a/manifests/{}?tag=s1&tag=s2", signature.digest()),
                &signature.bytes,
                signed,
                201,
            ),
            request(
                "move a tag",
                Method::PUT,
                "/v2/a/manifests/v1".to_owned(),
                &moved.bytes,
                everything.clone(),
                201,
            ),
            request(
                "remove a tag",
                Method::DELETE,
                "/v2/a/manifests/v1".to_owned(),
                b"",
                everything.clone(),
                404,
            ),
            request(
                "remove a manifest",
                Method::DELETE,
                format!("/v2/a/manifests/{}", self.subject.digest()),
                b"",
                everything,
                404,
            ),
            request(
                "remove a blob",
                Method::DELETE,
                format!("/v2/a/blobs/{}", sha256(b"loose")),
                b"",
                blob(b"loose"),
                404,
            ),
            request("cancel", Method::DELETE, self.upload.clone(), b"", vec![self.upload.clone()], 404),
        ]
    }

    async fn seen(&self, case: &Case) -> Value {
        let mut seen = Vec::new();
        for address in &case.shown {
            let answer = self.door.get(address).await;
            seen.push(json!([answer.status.as_u16(), String::from_utf8_lossy(&answer.body)]));
        }
        Value::Array(seen)
    }
}

fn request(case: &Case) -> Request<Pieces> {
    Request::builder()
        .method(case.method.clone())
        .uri(&case.address)
        .header("content-type", case.media_type)
        .body(Pieces::of(&case.body))
        .unwrap()
}

#[tokio::test]
async fn a_request_that_is_dropped_is_done_or_not_begun() {
    for at in 0..Scene::set().await.cases().len() {
        for polls in 0.. {
            let scene = Scene::set().await;
            let case = scene.cases().swap_remove(at);
            let before = scene.seen(&case).await;

            scene.steps.plan(Plan::Pausing);
            let answer = dropped_after(polls, scene.door.respond(request(&case)));
            scene.steps.plan(Plan::Plain);
            let after = scene.seen(&case).await;

            // The same request does it now, or finds it done.
            let repeated = scene.door.respond(request(&case)).await.status().as_u16();
            let repeated_after = scene.seen(&case).await;
            let is_done = after != before;
            let expected = if is_done { case.again } else { first(&case) };
            assert_eq!(repeated, expected, "{} dropped after {polls} polls", case.name);
            assert_ne!(repeated_after, before, "{} dropped after {polls} polls", case.name);
            if is_done {
                assert_eq!(after, repeated_after, "{} dropped after {polls} polls: a part", case.name);
            }
            if let Some(answer) = answer {
                assert_eq!(answer.status().as_u16(), first(&case), "{}", case.name);
                assert!(is_done, "{}: answered, and not done", case.name);
                assert!(polls > 2, "{}: the request has places to be dropped at", case.name);
                break;
            }
        }
    }
}

fn first(case: &Case) -> u16 {
    match case.name {
        "cancel" => 204,
        _ if case.method == Method::DELETE => 202,
        _ => 201,
    }
}

#[tokio::test]
async fn an_append_that_is_dropped_leaves_a_beginning_to_go_on_from() {
    for polls in 0.. {
        let scene = Scene::set().await;
        scene.steps.plan(Plan::Pausing);
        let patch = Request::patch(&scene.begun).body(Pieces::of(UPLOADED)).unwrap();
        let answer = dropped_after(polls, scene.door.respond(patch));
        scene.steps.plan(Plan::Plain);

        let range = scene.door.get(&scene.begun).await.header("range").to_owned();
        let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
        // `0-0` is what is said of nothing as well.
        let taken = if last == 0 { 0 } else { last + 1 };
        if taken < UPLOADED.len() {
            let range = format!("{taken}-{}", UPLOADED.len() - 1);
            let more = scene.door.patch(&scene.begun, Some(&range), UPLOADED[taken..].to_vec()).await;
            assert_eq!(more.status, 202, "dropped after {polls} polls: {more:?}");
        }
        let digest = Algorithm::Sha256.digest(UPLOADED);
        let put = scene.door.put(&format!("{}?digest={digest}", scene.begun), "").await;
        assert_eq!(put.status, 201, "dropped after {polls} polls");
        assert_eq!(&*scene.door.get(put.header("location")).await.body, UPLOADED);
        if answer.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_dropped_changes_nothing() {
    let scene = Scene::set().await;
    let address = format!("/v2/a/blobs/{}", Algorithm::Sha256.digest(LAYER));
    let request = Request::get(&address).body(Pieces::of(b"")).unwrap();
    drop(scene.door.respond(request).await);
    assert_eq!(&*scene.door.get(&address).await.body, LAYER);
    assert_eq!(
        scene.door.head(&format!("/v2/a/blobs/{}", Algorithm::Sha256.digest(CONFIG))).await.status,
        200
    );
}
