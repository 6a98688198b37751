//! Requests of the management protocol, one after the other: whatever they say is answered, with JSON or with nothing,
//! and never with a fault of the server. In the input a line `===` is between two; each is a word for who sends it, a
//! request line without its version, lines of headers, a line of nothing, and the body.
#![no_main]

#[path = "../house.rs"]
mod house;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use libfuzzer_sys::fuzz_target;
use swr_http::control::{ManagementOptions, ManagementService};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service as _;

use house::House;

/// What is said of a region that nobody has configured.
const REGION: &[u8] = b"is not configured here";

fn read(house: &House, text: &str) -> Option<Request<Full<Bytes>>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let mut words = lines.next()?.splitn(3, ' ');
    let (who, method, address) = (words.next()?, words.next()?, words.next()?);
    // What an HTTP server would hand on.
    let mut request = Request::builder().method(method).uri(address.parse::<Uri>().ok()?);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request = request.header(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    let signer = match who {
        "ada" => Some(&house.ada),
        "eve" => Some(&house.eve),
        "operator" => Some(&house.operator),
        _ => None,
    };
    if let Some(signer) = signer {
        request = request.extension(signer.clone());
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).ok()
}

fuzz_target!(|text: &str| {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
    }
    let house = House::new();
    let options = ManagementOptions::new(house.settings.clone());
    let (plane, authenticator, desk) = (house.plane.clone(), house.authenticator.clone(), house.desk.clone());
    let mut service = ManagementService::new(plane, authenticator, desk, options);
    for text in text.split("\n===\n").take(8) {
        let Some(request) = read(&house, text) else { continue };
        let answer = async {
            let Ok(response) = service.call(request).await;
            let (head, body) = response.into_parts();
            (head, body.collect().await.expect("the body comes whole").to_bytes())
        };
        let (head, body) = RUNTIME.with(|runtime| runtime.block_on(answer));
        // The protocol's own word for a region that is not there is a fault of the server.
        let is_elsewhere = body.windows(REGION.len()).any(|bytes| bytes == REGION);
        assert!(!head.status.is_server_error() || is_elsewhere, "{}: {body:?}", head.status);
        if !body.is_empty() {
            assert_eq!(head.headers["content-type"], "application/json");
            serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("what is answered is JSON");
        }
    }
});
