//! Listening: connections with deadlines and limits, TLS, and an end that breaks nothing off.
//!
//! What [`serve`] keeps from a host: clients that send their headers byte by byte or never, that stay silent
//! in a TLS handshake, that do not read what they asked for, or that open connections without end. It needs a
//! tokio runtime, installs no signal handler, and stops only when it is told to.

mod connection;
mod requests;
mod streams;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;
use tracing::{debug, warn};

pub use tls::{Tls, TlsError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a server treats its connections.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..ServeOptions::default()`")]
pub struct ServeOptions {
    /// The certificate; plain HTTP without one. None.
    pub tls: Option<Tls>,
    /// How many connections there are at once; more wait to be accepted. Keep it well below the limit of open
    /// files. 512.
    pub connections_max: usize,
    /// How long a TLS handshake may take. 10 seconds.
    pub handshake_within: Duration,
    /// How long the head of a request may take, from its first byte, and the first byte of a connection.
    /// 10 seconds.
    pub head_within: Duration,
    /// How large the headers of a request may be together, in bytes. 32 KiB.
    pub head_bytes_max: usize,
    /// How long a connection is kept without a request. 60 seconds.
    pub idle_within: Duration,
    /// How long a client may take none of what it is sent; over HTTP/2, the next part of one answer. 60 seconds.
    pub write_within: Duration,
    /// How many requests one HTTP/2 connection may have at once. 128.
    pub streams_max: u32,
    /// How long the requests that were accepted have to end once the server is told to. 30 seconds.
    pub drain_within: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            tls: None,
            connections_max: 512,
            handshake_within: Duration::from_secs(10),
            head_within: Duration::from_secs(10),
            head_bytes_max: 32 << 10,
            idle_within: Duration::from_secs(60),
            write_within: Duration::from_secs(60),
            streams_max: 128,
            drain_within: Duration::from_secs(30),
        }
    }
}

/// Serves `service` on `listener` until the future is dropped, which cuts every connection.
pub async fn serve<S, B>(listener: TcpListener, service: S, options: ServeOptions) -> Infallible
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    serve_until(listener, service, options, std::future::pending()).await;
    std::future::pending().await
}

/// Serves `service` on `listener` until `end`, and then lets what was accepted come to its end.
///
/// From `end` on no connection is accepted, and a request on one that there is gets a 503 to try again. Once no
/// request is under way, or [`ServeOptions::drain_within`] has passed, the connections are closed. Says how many
/// were cut because they would not end.
pub async fn serve_until<S, B>(
    listener: TcpListener,
    service: S,
    options: ServeOptions,
    end: impl Future<Output = ()>,
) -> usize
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let streams = Arc::new(streams::Tasks::default());
    let places = Arc::new(Semaphore::new(options.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let server = Arc::new(Server {
        options,
        draining: AtomicBool::new(false),
        under_way: AtomicUsize::new(0),
        drained: Notify::new(),
        closing: watch::Sender::new(false),
        streams: Arc::downgrade(&streams),
        unwanted: Arc::default(),
    });
    let mut connections = JoinSet::new();
    let mut end = pin!(end);
    let mut pause = PAUSE_MIN;
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            accepted = accept(&listener, &places) => accepted,
        };
        // Those that have ended need not be remembered.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((place, stream, peer)) => {
                pause = PAUSE_MIN;
                let (server, service) = (Arc::clone(&server), service.clone());
                connections.spawn(async move {
                    server.accepted(stream, peer, service).await;
                    drop(place);
                });
            }
            // The client went away before it was accepted.
            Err(error) if is_of_client(&error) => debug!(%error, "a connection was not accepted"),
            Err(error) => {
                // No file descriptor is left, say: what there is has to end first.
                if pause == PAUSE_MIN {
                    warn!(%error, "no connection can be accepted");
                }
                tokio::select! {
                    () = &mut end => break,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                }
            }
        }
    }
    drop(listener);
    server.drain(connections, &streams).await
}

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((place, stream, peer))
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What the connections of one server share.
struct Server {
    options: ServeOptions,
    /// No new request is taken.
    draining: AtomicBool,
    /// The requests that were taken and have not ended.
    under_way: AtomicUsize,
    /// Told when the last of them has.
    drained: Notify,
    /// Connections end.
    closing: watch::Sender<bool>,
    /// None once it has ended.
    streams: Weak<streams::Tasks>,
    unwanted: Arc<connection::Unwanted>,
}

impl Server {
    async fn drain(&self, mut connections: JoinSet<()>, streams: &streams::Tasks) -> usize {
        self.draining.store(true, Ordering::SeqCst);
        let ended = async {
            loop {
                let drained = self.drained.notified();
                if self.under_way.load(Ordering::SeqCst) == 0 {
                    break;
                }
                drained.await;
            }
            self.closing.send_replace(true);
            while connections.join_next().await.is_some() {}
        };
        if tokio::time::timeout(self.options.drain_within, ended).await.is_ok() {
            return 0;
        }
        while connections.try_join_next().is_some() {}
        let cut = connections.len();
        warn!(connections = cut, "connections were cut at the end");
        // A request that is cut does nothing more: it does not see its connection go.
        let mut streams = std::mem::take(&mut *streams.lock().unwrap_or_else(PoisonError::into_inner));
        streams.shutdown().await;
        connections.shutdown().await;
        cut
    }
}
