//! Requests of browsers to the console, one after the other: cookies, addresses and forms of whatever they say are
//! answered without a fault of the server, and nothing that was sent becomes an element of a page. In the input a line
//! `===` is between two; each is a word for who sends it, a request line without its version, lines of headers, a line of
//! nothing, and the body, in which `FORM_TOKEN` stands for that of the session.
#![no_main]

#[path = "../house.rs"]
mod house;

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::FutureExt as _;
use http::header::{COOKIE, HeaderName, HeaderValue};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use swr_auth::{Secret, SessionDesk, SessionLimits, Signer};
use swr_console::{ConsoleOptions, ConsoleService};
use swr_core::control::session::{Session, SessionId, SessionProof};
use swr_core::digest::Algorithm;
use swr_core::ports::{Clock as _, MetadataStore as _};
use swr_http::control::Refusals;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service as _;

use house::{House, PASSWORD_HASH, Stopped};

/// The session of somebody: its token, and what forms have in them.
async fn session(house: &House, desk: &SessionDesk, signer: &Signer) -> (String, String) {
    let token = signer.user.id.as_str().repeat(2);
    let id = Sha256::digest(token.as_bytes()).into();
    let mark = Algorithm::Sha256.digest(PASSWORD_HASH.as_bytes()).hex()[..32].into();
    let session = Session {
        id: SessionId(id),
        user: signer.user.id.clone(),
        proof: SessionProof::Password(mark),
        begun: Stopped.now(),
        used: Stopped.now(),
    };
    assert!(house.store.begin_session(&session, NonZeroU32::MIN).await.expect("memory takes it"));
    let resumed =
        desk.resume(&Secret::new(token.as_str())).await.expect("memory answers").expect("it has begun");
    (token, resumed.form_token.expose().to_owned())
}

fn read(text: &str, sessions: &[(&str, (String, String))]) -> Option<Request<Full<Bytes>>> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let mut words = lines.next()?.splitn(3, ' ');
    let (who, method, address) = (words.next()?, words.next()?, words.next()?);
    // What an HTTP server would hand on.
    let mut request = Request::builder().method(method).uri(address.parse::<Uri>().ok()?);
    let mut body = body.to_owned();
    if let Some((_, (token, form_token))) = sessions.iter().find(|(name, _)| *name == who) {
        request = request.header(COOKIE, format!("swr-session={token}"));
        body = body.replace("FORM_TOKEN", form_token);
    }
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request = request.header(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    request.body(Full::new(Bytes::from(body))).ok()
}

fuzz_target!(|text: &str| {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
    }
    let house = House::new();
    let desk = SessionDesk::new(
        house.store.clone(),
        house.authenticator.clone(),
        Arc::new(Stopped),
        SessionLimits::default(),
    );
    let desk = Arc::new(desk);
    let sessions = [("ada", &house.ada), ("eve", &house.eve), ("operator", &house.operator)];
    let sessions = sessions.map(|(name, signer)| {
        (name, session(&house, &desk, signer).now_or_never().expect("memory does not wait"))
    });
    let options = ConsoleOptions {
        secure: false,
        utc_offset: TimeDelta::hours(8),
        ..ConsoleOptions::new(house.settings.clone()).expect("`/console` is a path")
    };
    let mut console = ConsoleService::new(
        house.plane.clone(),
        house.authenticator.clone(),
        house.desk.clone(),
        desk,
        Refusals::new(house.plane.clone()),
        options,
    );
    for text in text.split("\n===\n").take(8) {
        let Some(request) = read(text, &sessions) else { continue };
        let answer = async {
            let Ok(response) = console.call(request).await;
            let (head, body) = response.into_parts();
            (head, body.collect().await.expect("the body comes whole").to_bytes())
        };
        let (head, body) = RUNTIME.with(|runtime| runtime.block_on(answer));
        assert!(!head.status.is_server_error(), "{}: {body:?}", head.status);
        let body = body.to_ascii_lowercase();
        assert!(!body.windows(7).any(|bytes| bytes == b"<x-fuzz"), "what was sent is an element");
    }
});
