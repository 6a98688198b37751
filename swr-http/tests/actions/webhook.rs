//! Webhooks: what is sent, what an answer means, and where nothing is ever sent.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use swr_auth::Secret;
use swr_core::control::credential::Sealed;
use swr_core::control::trigger::{TriggerTarget, WorkloadKind};
use swr_core::ports::{ActionError, TriggerAction};
use swr_http::actions::webhook::Opener;
use swr_http::actions::{Actions, OutboundOptions, Webhook};
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Receiver, Reply};
use crate::scene::{
    Authority, DELIVERY, HOST, Still, Told, delivery, digest, loopback, time, trigger, workload,
};

/// Sealing is turning round here; what begins with `x` stays sealed.
fn opener() -> Arc<Opener> {
    Arc::new(|_, sealed| match sealed.as_bytes() {
        [b'x', ..] => Err("it was sealed with another key".into()),
        bytes => Ok(Secret::new(bytes.iter().rev().map(|b| char::from(*b)).collect::<String>())),
    })
}

fn webhook(options: OutboundOptions) -> Webhook {
    let now = Arc::new(Still(time("2026-03-01T12:00:05Z")));
    Webhook::new(HOST, opener(), options).unwrap().with_clock(now)
}

async fn tell(url: &str, sealed: Option<&str>, options: OutboundOptions) -> Result<String, ActionError> {
    let secret = sealed.map(|sealed| Sealed::new(sealed.as_bytes()));
    webhook(options).act(&trigger(TriggerTarget::Webhook { url: url.into(), secret }), &delivery()).await
}

async fn tell_receiver(receiver: &Receiver) -> Result<String, ActionError> {
    tell(&format!("http://{}/", receiver.address), None, loopback()).await
}

/// The text of an error that may pass.
fn failed(outcome: Result<String, ActionError>) -> String {
    match outcome {
        Err(ActionError::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// The text of an error that stays.
fn impossible(outcome: Result<String, ActionError>) -> String {
    match outcome {
        Err(ActionError::Impossible(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_version_is_told_as_a_cloud_event() {
    let receiver = Receiver::new([]).await;
    let url = format!("http://{}/hooks/7?by=swr", receiver.address);
    assert_eq!(tell(&url, None, loopback()).await.unwrap(), "answered 204");
    let asked = receiver.asked_once();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hooks/7?by=swr"));
    assert_eq!(asked.header("host"), receiver.address.to_string());
    assert_eq!(asked.header("content-type"), "application/cloudevents+json");
    assert_eq!(asked.header("user-agent"), concat!("swr/", env!("CARGO_PKG_VERSION")));
    assert_eq!(asked.header("webhook-id"), DELIVERY);
    assert_eq!(asked.header("webhook-timestamp"), "1772366405");
    assert!(!asked.has("webhook-signature"), "{asked:?}");
    let expected = json!({
        "specversion": "1.0",
        "id": DELIVERY,
        "source": "oci://registry.example.com:5000/shop/web",
        "type": "io.swr.trigger.fired",
        "subject": "v2",
        "time": "2026-03-01T12:00:00.250Z",
        "datacontenttype": "application/json",
        "data": {
            "trigger": "deploy",
            "repository": "shop/web",
            "tag": "v2",
            "digest": digest().to_string(),
            "image": "registry.example.com:5000/shop/web:v2",
        },
    });
    assert_eq!(asked.json(), expected);
}

#[tokio::test]
async fn a_message_is_signed_with_the_opened_secret() {
    let receiver = Receiver::new([]).await;
    let url = format!("http://{}/", receiver.address);
    tell(&url, Some("emases nepo"), loopback()).await.unwrap();
    let asked = receiver.asked_once();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"open sesame").unwrap();
    mac.update(format!("{DELIVERY}.1772366405.{}", asked.body).as_bytes());
    let signature = BASE64.encode(&mac.finalize().into_bytes());
    assert_eq!(asked.header("webhook-signature"), format!("v1,{signature}"));
}

#[tokio::test]
async fn nothing_is_sent_unsigned_when_the_secret_stays_sealed() {
    let receiver = Receiver::new([]).await;
    let url = format!("http://{}/", receiver.address);
    let said = failed(tell(&url, Some("xyz"), loopback()).await);
    assert_eq!(said, "the secret of the trigger cannot be opened");
    assert_eq!(receiver.asked().len(), 0);
}

#[tokio::test]
async fn what_a_status_means() {
    for status in [200, 201, 202, 204, 299] {
        let receiver = Receiver::new([Reply::status(status)]).await;
        assert_eq!(tell_receiver(&receiver).await.unwrap(), format!("answered {status}"));
    }
    for status in [400, 401, 403, 404, 405, 409, 410, 413, 422, 451, 499] {
        let receiver = Receiver::new([Reply::status(status)]).await;
        assert_eq!(impossible(tell_receiver(&receiver).await), format!("answered {status}"));
    }
    for status in [408, 425, 429, 500, 501, 502, 503, 504, 599] {
        let receiver = Receiver::new([Reply::status(status)]).await;
        assert_eq!(failed(tell_receiver(&receiver).await), format!("answered {status}"));
        assert_eq!(receiver.asked().len(), 1, "{status}: whoever called tries again, and nobody else");
    }
}

#[tokio::test]
async fn of_a_refusal_200_characters_are_kept_on_one_line() {
    let body = format!("<p>\r\n no  way{}", "ü".repeat(300));
    let receiver = Receiver::new([Reply::with(400, "", &body)]).await;
    let expected = format!("answered 400: <p> no way{}", "ü".repeat(190));
    assert_eq!(impossible(tell_receiver(&receiver).await), expected);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::new([]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: http://{}/\r\n", elsewhere.address);
        let receiver = Receiver::new([Reply::with(status, &location, "")]).await;
        let said = failed(tell_receiver(&receiver).await);
        assert_eq!(said, format!("answered {status}, and redirects are not followed"));
    }
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = |status: &'static str| Reply::Endless(status, "5\r\nagain\r\n".to_owned());
    let receiver = Receiver::new([
        endless("HTTP/1.1 200 Said\r\ntransfer-encoding: chunked\r\n\r\n"),
        endless("HTTP/1.1 500 Said\r\ntransfer-encoding: chunked\r\n\r\n"),
        Reply::Endless("HTTP/1.1 200 Said\r\n", "x: y\r\n".to_owned()),
    ])
    .await;
    assert_eq!(tell_receiver(&receiver).await.unwrap(), "answered 200");
    let said = failed(tell_receiver(&receiver).await);
    assert_eq!(said, format!("answered 500: {}", "again".repeat(40)));
    let said = failed(tell_receiver(&receiver).await);
    assert!(said.starts_with("no answer: "), "{said}");
}

#[tokio::test]
async fn what_is_no_answer_may_pass() {
    let receiver = Receiver::new([
        Reply::Bytes(String::new()),
        Reply::Bytes("SSH-2.0-OpenSSH\r\n".to_owned()),
        Reply::Bytes("HTTP/1.1 2".to_owned()),
    ])
    .await;
    for _ in 0..3 {
        let said = failed(tell_receiver(&receiver).await);
        assert!(said.starts_with("no answer: "), "{said}");
        assert!(!said.contains(&receiver.address.to_string()), "{said}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    failed(tell(&format!("http://{closed}/"), None, loopback()).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_waited_for_ten_seconds() {
    let receiver = Receiver::new([Reply::Silence]).await;
    let before = tokio::time::Instant::now();
    assert_eq!(failed(tell_receiver(&receiver).await), "no answer within 10 s");
    assert_eq!(before.elapsed().as_secs(), 10, "on a clock that moves when nothing else does");
}

#[tokio::test]
async fn plain_http_is_for_hosts_that_allow_it() {
    let receiver = Receiver::new([]).await;
    let url = format!("http://{}/", receiver.address);
    let options = OutboundOptions { plain_http: false, ..loopback() };
    assert_eq!(impossible(tell(&url, None, options).await), "the address has to begin with `https`");
    assert_eq!(receiver.asked().len(), 0);
    for url in ["ftp://example.com/", "file:///etc/passwd", "unix:/run/x", "no address", "", "https://"] {
        impossible(tell(url, None, loopback()).await);
    }
}

/// However it is written.
#[tokio::test]
async fn an_address_in_digits_is_checked_without_asking_a_resolver() {
    let resolver = Told::of(&[]);
    let public = OutboundOptions { networks: Vec::new(), resolver: resolver.clone(), ..loopback() };
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "１２７.0.0.1",
        "%31%32%37.0.0.1",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::a00:1]",
        "[fd00::1]",
        "[fe80::1]",
        "[ff02::1]",
        "[2002:7f00:1::]",
    ] {
        let said = impossible(tell(&format!("http://{host}:1/"), None, public.clone()).await);
        assert!(said.ends_with("may not be reached from here"), "{host}: {said}");
    }
    assert_eq!(*resolver.asked.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_name_is_checked_by_its_addresses() {
    let receiver = Receiver::new([]).await;
    let url = format!("http://hooks.example:{}/", receiver.address.port());
    for addresses in [
        &["127.0.0.2"][..],
        &["10.0.0.1", "169.254.169.254"],
        &["::1"],
        &["::ffff:10.0.0.1"],
        &["fd00::1", "0.0.0.0"],
    ] {
        let options = OutboundOptions { resolver: Told::of(&[addresses]), ..loopback() };
        let said = failed(tell(&url, None, options).await);
        assert_eq!(said, "no answer: `hooks.example` has no address that may be reached from here");
    }
    let options = OutboundOptions { resolver: Told::of(&[&[]]), ..loopback() };
    assert_eq!(failed(tell(&url, None, options).await), "no answer: `hooks.example` has no address");
    assert_eq!(receiver.asked().len(), 0);
}

/// A second answer of the resolver would be another one; and of one answer, only what was permitted is tried.
#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let receiver = Receiver::new([]).await;
    let port = receiver.address.port();
    let other = TcpListener::bind(SocketAddr::from(([127, 0, 0, 2], port))).unwrap();
    other.set_nonblocking(true).unwrap();
    let resolver = Told::of(&[&["127.0.0.2", "127.0.0.1"], &["127.0.0.2"]]);
    let webhook = webhook(OutboundOptions { resolver: resolver.clone(), ..loopback() });
    let url: Box<str> = format!("http://hooks.example:{port}/").into();
    let target = TriggerTarget::Webhook { url, secret: None };
    webhook.act(&trigger(target.clone()), &delivery()).await.unwrap();
    assert_eq!(receiver.asked_once().header("host"), format!("hooks.example:{port}"));
    assert_eq!(*resolver.asked.lock().unwrap(), ["hooks.example"]);

    failed(webhook.act(&trigger(target), &delivery()).await);
    assert_eq!(other.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_certificate_has_to_be_for_the_name() {
    let authority = Authority::new();
    let server = TlsAcceptor::from(Arc::new(authority.server("hooks.example")));
    let receiver = Receiver::with_tls([], server).await;
    let options = |believed: &Authority| OutboundOptions {
        plain_http: false,
        authorities: Some(believed.certificate().into_bytes()),
        resolver: Told::of(&[&["127.0.0.1"]]),
        ..loopback()
    };
    let url = |name: &str| format!("https://{name}:{}/", receiver.address.port());
    failed(tell(&url("other.example"), None, options(&authority)).await);
    failed(tell(&url("hooks.example"), None, options(&Authority::new())).await);
    assert_eq!(receiver.asked().len(), 0);
    assert_eq!(tell(&url("hooks.example"), None, options(&authority)).await.unwrap(), "answered 204");
}

#[tokio::test]
async fn a_target_without_an_action_is_impossible() {
    let hook = trigger(TriggerTarget::Webhook { url: "https://hooks.example/".into(), secret: None });
    let deploy = trigger(TriggerTarget::Workload(workload(WorkloadKind::Deployments, "app")));
    let actions = Actions::new();
    let said = impossible(actions.act(&hook, &delivery()).await);
    assert_eq!(said, "webhooks are not configured in this registry");
    let said = impossible(actions.act(&deploy, &delivery()).await);
    assert_eq!(said, "deploying to clusters is not configured in this registry");
    impossible(webhook(loopback()).act(&deploy, &delivery()).await);

    let receiver = Receiver::new([]).await;
    let actions = actions.with_webhook(Arc::new(webhook(loopback())));
    let url: Box<str> = format!("http://{}/", receiver.address).into();
    actions.act(&trigger(TriggerTarget::Webhook { url, secret: None }), &delivery()).await.unwrap();
    assert_eq!(receiver.asked().len(), 1);
    impossible(actions.act(&deploy, &delivery()).await);
}
