//! The server on real connections. Deadlines are short here, and nothing is asserted of how long anything takes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use swr_auth::{AnonymousOnly, AnyoneMay};
use swr_core::Registry;
use swr_http::{PeerAddress, RegistryService, ServeOptions, Tls, serve_until};
use swr_storage::{MemoryBlobs, MemoryManifests};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

const SHORT: Duration = Duration::from_millis(50);

/// Answers by path.
#[derive(Clone, Default)]
struct Answers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    requests: AtomicUsize,
    /// How many requests for `/read` have come to an end of their bodies.
    read: AtomicUsize,
    /// `/slow` or `/read` has begun.
    begun: Notify,
    /// `/slow` may end.
    release: Notify,
    /// The body of `/endless` has been given up.
    given_up: Notify,
}

impl tower_service::Service<Request<hyper::body::Incoming>> for Answers {
    type Response = Response<Content>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Content>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        shared.requests.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            assert!(request.extensions().get::<PeerAddress>().is_some());
            let content = match request.uri().path() {
                "/slow" => {
                    shared.begun.notify_one();
                    shared.release.notified().await;
                    Content { left: 4, then: Then::End }
                }
                "/read" => {
                    shared.begun.notify_one();
                    let _: Result<_, hyper::Error> = request.into_body().collect().await;
                    shared.read.fetch_add(1, Ordering::SeqCst);
                    Content { left: 4, then: Then::End }
                }
                "/half" => Content { left: 4, then: Then::Fail },
                "/endless" => Content { left: 1 << 40, then: Then::Tell(Arc::clone(&shared)) },
                _ => Content { left: 4, then: Then::End },
            };
            Ok(Response::new(content))
        })
    }
}

/// So many bytes, or half of them and an error.
struct Content {
    left: u64,
    then: Then,
}

enum Then {
    End,
    Fail,
    Tell(Arc<Shared>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let next = match (&self.then, self.left) {
            (_, 0) => return Poll::Ready(None),
            (Then::Fail, 2) => return Poll::Ready(Some(Err(std::io::ErrorKind::Other.into()))),
            (Then::Fail, _) => 2,
            (_, left) => left.min(64 << 10),
        };
        self.left -= next;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; next as usize])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Then::Tell(shared) = &self.then {
            shared.given_up.notify_one();
        }
    }
}

struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    ended: JoinHandle<usize>,
}

impl Running {
    async fn with(options: ServeOptions) -> Self {
        let answers = Answers::default();
        let shared = Arc::clone(&answers.0);
        Self::of(answers, shared, options).await
    }

    async fn of<S, B>(service: S, shared: Arc<Shared>, options: ServeOptions) -> Self
    where
        S: tower_service::Service<Request<hyper::body::Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, told) = oneshot::channel();
        let ended = tokio::spawn(serve_until(listener, service, options, async { drop(told.await) }));
        Self { address, shared, end: Some(end), ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn end(&mut self) {
        self.end.take().unwrap().send(()).unwrap();
    }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: registry.example\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// One response, whose length is told.
async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut read = Vec::new();
    let head = loop {
        let byte = stream.read_u8().await.unwrap();
        read.push(byte);
        if read.ends_with(b"\r\n\r\n") {
            break String::from_utf8(read).unwrap().to_lowercase();
        }
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (status, head)
}

/// Everything until the connection ends, however it does.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let _: std::io::Result<usize> = stream.read_to_end(&mut read).await;
    read
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let server = Running::with(ServeOptions::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        ask(&mut stream, "/").await;
        assert_eq!(answer(&mut stream).await.0, 200);
    }
    assert_eq!(server.shared.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn whoever_does_not_send_a_head_is_cut() {
    let options = ServeOptions { head_within: SHORT, ..ServeOptions::default() };
    let server = Running::with(options).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: registry.exa"] {
        let mut stream = server.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, b"", "{beginning:?}");
    }
    // Later on a connection, too.
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await;
    answer(&mut stream).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn a_quiet_connection_is_closed() {
    let options = ServeOptions { idle_within: SHORT, ..ServeOptions::default() };
    let server = Running::with(options).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/").await;
    assert_eq!(answer(&mut stream).await.0, 200);
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn a_request_may_take_longer_than_a_connection_may_be_quiet() {
    let options = ServeOptions { head_within: SHORT, idle_within: SHORT, ..ServeOptions::default() };
    let server = Running::with(options).await;
    let mut slow = server.connect().await;
    ask(&mut slow, "/slow").await;
    server.shared.begun.notified().await;
    // By the time that this one is closed, that one would have been.
    let mut quiet = server.connect().await;
    ask(&mut quiet, "/").await;
    answer(&mut quiet).await;
    assert_eq!(rest(&mut quiet).await, b"");
    server.shared.release.notify_one();
    assert_eq!(answer(&mut slow).await.0, 200);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_not_waited_for() {
    let server = Running::with(ServeOptions::default()).await;
    // The beginning of a TLS handshake.
    let hello = [&[0x16, 0x03, 0x01, 0x00, 0xf8, 0x01, 0x00, 0x00, 0xf4, 0x03, 0x03][..], &[7; 64]].concat();
    for sent in [&*hello, b"\r\n\r\nnonsense\r\n\r\n", b"GET\r\n\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(sent).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    assert_eq!(server.shared.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn large_headers_are_refused() {
    let server = Running::with(ServeOptions::default()).await;
    for size in [33 << 10, 1 << 20] {
        let mut stream = server.connect().await;
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", "x".repeat(size));
        // The server may answer, and close, before it has read all of it.
        let _: std::io::Result<()> = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with(b"HTTP/1.1 431"), "{size}: {:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.shared.requests.load(Ordering::SeqCst), 0);
    let mut stream = server.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", "x".repeat(30 << 10));
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.0, 200);
}

#[tokio::test]
async fn an_answer_arrives_though_nobody_reads_the_request() {
    let registry = Registry::builder(
        Arc::new(MemoryBlobs::new()),
        Arc::new(MemoryManifests::new()),
        Arc::new(AnyoneMay),
    );
    let service = RegistryService::new(registry.build(), Arc::new(AnonymousOnly));
    let server = Running::of(service, Arc::default(), ServeOptions::default()).await;
    let stream = server.connect().await;
    let (mut read, mut write) = stream.into_split();
    let sent = tokio::spawn(async move {
        let head = "PATCH /v2/a/blobs/uploads/00000000000000000000000000000000 HTTP/1.1\r\nHost: a\r\n\
                    Content-Length: 8388608\r\n\r\n";
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(&vec![0; 8 << 20]).await.unwrap();
    });
    let mut answer = String::new();
    read.read_to_string(&mut answer).await.unwrap();
    sent.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("BLOB_UPLOAD_UNKNOWN"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_fails_midway_has_no_clean_end() {
    let server = Running::with(ServeOptions::default()).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/half").await;
    let answer = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(answer.is_empty() || answer.contains("content-length: 4\r\n"), "{answer}");
    assert!(!answer.ends_with("xxxx"), "{answer}");

    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://registry.example/half").body(Empty::<Bytes>::new()).unwrap();
    let is_whole = match client.send_request(request).await {
        Ok(response) => response.into_body().collect().await.is_ok(),
        Err(_) => false,
    };
    assert!(!is_whole);
    // The other streams of the connection go on.
    let request = Request::get("http://registry.example/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn whoever_does_not_read_is_cut() {
    let options = ServeOptions { write_within: SHORT, ..ServeOptions::default() };
    let server = Running::with(options).await;
    let mut stream = server.connect().await;
    ask(&mut stream, "/endless").await;
    server.shared.given_up.notified().await;
    drop(stream);
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_served_at_once() {
    let options = ServeOptions { connections_max: 1, ..ServeOptions::default() };
    let server = Running::with(options).await;
    let mut first = server.connect().await;
    ask(&mut first, "/").await;
    answer(&mut first).await;
    let mut second = server.connect().await;
    ask(&mut second, "/").await;
    ask(&mut first, "/").await;
    answer(&mut first).await;
    assert_eq!(server.shared.requests.load(Ordering::SeqCst), 2, "the second one waits");
    drop(first);
    assert_eq!(answer(&mut second).await.0, 200);
}

#[tokio::test]
async fn at_the_end_what_was_accepted_comes_to_its_end_and_what_is_new_is_to_come_again() {
    let mut server = Running::with(ServeOptions::default()).await;
    let mut slow = server.connect().await;
    ask(&mut slow, "/slow").await;
    server.shared.begun.notified().await;
    let mut kept = server.connect().await;
    ask(&mut kept, "/").await;
    answer(&mut kept).await;

    server.end();
    // Until nobody listens any more, the end has not begun.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    ask(&mut kept, "/").await;
    let (status, head) = answer(&mut kept).await;
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 1\r\n") && head.contains("connection: close\r\n"), "{head}");
    assert_eq!(rest(&mut kept).await, b"");
    assert!(!server.ended.is_finished());

    server.shared.release.notify_one();
    let (status, head) = answer(&mut slow).await;
    assert_eq!(status, 200);
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(rest(&mut slow).await, b"");
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let options = ServeOptions { drain_within: SHORT, ..ServeOptions::default() };
    let mut server = Running::with(options).await;
    let mut slow = server.connect().await;
    ask(&mut slow, "/slow").await;
    server.shared.begun.notified().await;
    server.end();
    assert_eq!(server.ended.await.unwrap(), 1);
    assert_eq!(rest(&mut slow).await, b"");
}

#[tokio::test]
async fn a_request_that_is_cut_at_the_end_does_nothing_more() {
    let mut server = Running::with(ServeOptions { drain_within: SHORT, ..ServeOptions::default() }).await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await))
            .await
            .unwrap();
    tokio::spawn(connection);
    let body = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post("http://registry.example/read").body(body).unwrap();
    let asked = tokio::spawn(async move { client.send_request(request).await.map(drop) });
    server.shared.begun.notified().await;
    server.end();
    assert_eq!(server.ended.await.unwrap(), 1);
    assert!(asked.await.unwrap().is_err());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.shared.read.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn quiet_connections_do_not_hold_up_the_end() {
    let mut server = Running::with(ServeOptions::default()).await;
    let mut kept = server.connect().await;
    ask(&mut kept, "/").await;
    answer(&mut kept).await;
    let (_client, connection) = hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(server.connect().await),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    server.end();
    assert_eq!(rest(&mut kept).await, b"");
    drop(kept);
    assert_eq!(server.ended.await.unwrap(), 0);
}

/// Asks for paths over one connection.
async fn over_http_2(
    server: &Running,
) -> impl Fn(&str) -> BoxFuture<'static, hyper::Result<Response<Incoming>>> {
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await))
            .await
            .unwrap();
    tokio::spawn(connection);
    move |path| {
        let request = Request::get(format!("http://registry.example{path}")).body(Empty::<Bytes>::new());
        client.clone().send_request(request.unwrap()).boxed()
    }
}

#[tokio::test]
async fn http_2_carries_requests_beside_each_other() {
    let server = Running::with(ServeOptions { streams_max: 8, ..ServeOptions::default() }).await;
    let get = over_http_2(&server).await;
    let slow = tokio::spawn(get("/slow"));
    server.shared.begun.notified().await;
    for _ in 0..20 {
        assert_eq!(get("/").await.unwrap().status(), StatusCode::OK);
    }
    server.shared.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_and_the_other_streams_go_on() {
    let server = Running::with(ServeOptions { write_within: SHORT, ..ServeOptions::default() }).await;
    let get = over_http_2(&server).await;
    // It takes longer than a part of an answer may wait, and waits for nobody.
    let slow = tokio::spawn(get("/slow"));
    server.shared.begun.notified().await;
    let unread = get("/endless").await.unwrap();
    server.shared.given_up.notified().await;
    server.shared.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes().len(), 4);
    assert!(unread.into_body().collect().await.is_err());
}

struct Certificate {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["registry.example".to_owned()]).unwrap();
    Certificate {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

async fn connect_tls(server: &Running, trusted: &Certificate) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("registry.example").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await
}

#[tokio::test]
async fn a_certificate_is_replaced_while_it_is_served() {
    let (old, new) = (certificate(), certificate());
    let tls = Tls::from_pem(old.chain.as_bytes(), old.key.as_bytes()).unwrap();
    let server = Running::with(ServeOptions { tls: Some(tls.clone()), ..ServeOptions::default() }).await;
    let stream = connect_tls(&server, &old).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("https://registry.example/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(client.send_request(request()).await.unwrap().status(), 200);

    // What is no certificate changes nothing.
    assert!(tls.replace_pem(new.chain.as_bytes(), old.key.as_bytes()).is_err());
    assert!(tls.replace_pem(b"", new.key.as_bytes()).is_err());
    assert!(tls.replace_pem(new.chain.as_bytes(), b"").is_err());
    assert!(connect_tls(&server, &old).await.is_ok());

    tls.replace_pem(new.chain.as_bytes(), new.key.as_bytes()).unwrap();
    assert!(connect_tls(&server, &old).await.is_err());
    assert!(connect_tls(&server, &new).await.is_ok());
    // The connection that was there goes on.
    assert_eq!(client.send_request(request()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_handshake_that_stands_still_is_cut_and_holds_up_nobody() {
    let certificate = certificate();
    let tls = Tls::from_pem(certificate.chain.as_bytes(), certificate.key.as_bytes()).unwrap();
    let options =
        ServeOptions { tls: Some(tls), handshake_within: Duration::from_secs(1), ..ServeOptions::default() };
    let server = Running::with(options).await;
    let mut silent = server.connect().await;
    let mut plain = server.connect().await;
    ask(&mut plain, "/").await;
    drop(plain);
    assert!(connect_tls(&server, &certificate).await.is_ok());
    assert_eq!(rest(&mut silent).await, b"");
    assert_eq!(server.shared.requests.load(Ordering::SeqCst), 0);
}
