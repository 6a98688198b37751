//! What becomes of those who ask for too much.

use std::num::NonZeroU32;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use swr_auth::{AnonymousOnly, AnyoneMay};
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
