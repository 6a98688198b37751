//! What becomes of those who ask for too much.

use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroU64};
use std::pin::pin;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::Request;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::digest::Algorithm;
use swr_http::{Admission, AdmissionLimits, ServiceOptions, Share};

use crate::door::{Door, LAYER, registry};

#[tokio::test(start_paused = true)]
async fn a_place_is_taken_until_the_last_byte_of_the_answer() {
    let caller = Share { concurrent: NonZeroU32::new(1), ..Share::default() };
    let admission = Admission::new(AdmissionLimits { caller, ..AdmissionLimits::default() });
    let door = Door::with(
        registry(AnyoneMay).build(),
        AnonymousOnly,
        ServiceOptions { admission, ..ServiceOptions::default() },
    );
    let digest = door.push_blob("a", LAYER).await;
    let address = format!("/v2/a/blobs/{digest}");

    let unread = door.respond(Request::get(&*address).body(Full::new(Bytes::new())).unwrap()).await;
    let refused = door.get("/v2/a/tags/list").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "TOOMANYREQUESTS"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("docker-distribution-api-version"), "registry/2.0");

    drop(unread);
    assert_eq!(door.get(&address).await.status, 200);
    assert_eq!(door.head(&address).await.status, 200, "an answer without a body gives it back at once");
    assert_eq!(door.get("/v2/b/tags/list").await.status, 404, "and so does a refusal");
    assert_eq!(door.get(&address).await.status, 200);
}

fn door_with(admission: AdmissionLimits) -> Door {
    let options = ServiceOptions { admission: Admission::new(admission), ..ServiceOptions::default() };
    Door::with(registry(AnyoneMay).build(), AnonymousOnly, options)
}

#[tokio::test(start_paused = true)]
async fn one_upload_too_many_is_refused_until_another_ends() {
    let caller = Share { uploads: NonZeroU32::new(2), ..Share::default() };
    let door = door_with(AdmissionLimits { caller, ..AdmissionLimits::default() });
    let [first, second] = [door.begin("a").await, door.begin("a").await];
    let digest = Algorithm::Sha256.digest(LAYER);
    let begun = async || door.post("/v2/a/blobs/uploads/", "").await.status.as_u16();

    for path in ["/v2/a/blobs/uploads/".to_owned(), format!("/v2/a/blobs/uploads/?mount={digest}&from=b")] {
        let refused = door.post(&path, "").await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "TOOMANYREQUESTS"), "{path}");
        assert_eq!(refused.header("retry-after"), "60");
    }
    assert_eq!(door.push_blob("a", LAYER).await, digest, "a blob in one request leaves no upload open");
    let mounted = door.post(&format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), "").await;
    assert_eq!(mounted.status, 201, "nor does one that is mounted");

    let elsewhere = first.replace("/a/", "/b/");
    assert_eq!(door.put(&format!("{elsewhere}?digest={digest}"), "").await.status, 201, "b has the blob");
    assert_eq!(door.delete(&elsewhere).await.status, 404);
    assert_eq!(begun().await, 429, "the upload in a is still open");

    assert_eq!(door.delete(&first).await.status, 204);
    assert_eq!(begun().await, 202);
    assert_eq!(door.put(&format!("{second}?digest={digest}"), LAYER).await.status, 201);
    assert_eq!(begun().await, 202);
    assert_eq!(begun().await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_for_room_and_is_refused_when_there_is_none() {
    let total = Share { body_bytes: NonZeroU64::new(1 << 20), ..Share::default() };
    let door = door_with(AdmissionLimits { total, ..AdmissionLimits::default() });
    let digest = door.push_blob("a", LAYER).await;
    // As long as all there is room for, and still on its way.
    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let digest_of_another = Algorithm::Sha256.digest(b"another");
    let request = Request::post(format!("/v2/a/blobs/uploads/?digest={digest_of_another}"))
        .header("content-length", 1 << 20)
        .body(body)
        .unwrap();
    let mut under_way = pin!(door.respond(request));
    assert!(under_way.as_mut().now_or_never().is_none());

    let refused = door.put("/v2/a/manifests/v1", "{}").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "TOOMANYREQUESTS"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(door.get(&format!("/v2/a/blobs/{digest}")).await.status, 200, "reads need no room");
}
