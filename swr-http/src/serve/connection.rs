//! One connection, from its acceptance to its end.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tower_service::Service;
use tracing::debug;

use swr_core::planted::is_planted;

use super::requests::Requests;
use super::streams::Streams;
use super::{BoxError, ServeOptions, Server};

impl Server {
    pub(super) async fn accepted<S, B>(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection has ended");
            return;
        }
        let activity = Arc::new(Activity::new());
        let stream = Watched {
            stream,
            activity: Arc::clone(&activity),
            write_within: self.options.write_within,
            stuck: None,
            farewell: None,
            unwanted: Arc::clone(&self.unwanted),
        };
        let requests = Requests { server: Arc::clone(self), activity, peer, service };
        let Some(tls) = &self.options.tls else {
            return self.drive(stream, requests).await;
        };
        let mut closing = self.closing.subscribe();
        let mut within = self.options.handshake_within;
        if is_planted("a handshake without end") {
            within *= 1000;
        }
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(within, tls.acceptor().accept(stream)) => {
                accepted
            }
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.drive(stream, requests).await,
            Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
            Err(_) => debug!("a TLS handshake took too long"),
        }
    }

    /// Serves one connection to its end.
    async fn drive<I, S, B>(&self, io: I, requests: Requests<S>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let options = &self.options;
        let activity = Arc::clone(&requests.activity);
        let tasks = Weak::clone(&self.streams);
        let mut builder = auto::Builder::new(Streams { tasks, write_within: options.write_within });
        // The time for a head is kept here, where an idle connection is told from a slow one.
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(READ_BYTES_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(options.head_within)
            .max_concurrent_streams(options.streams_max)
            .max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX))
            .max_send_buf_size(SEND_BYTES_MAX);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), requests));
        let mut closing = self.closing.subscribe();
        let mut alarm = pin!(tokio::time::sleep(options.head_within));
        let ended = {
            let served = poll_fn(|cx| {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(Some(ended));
                }
                // The alarm is moved only when it would be late: most requests are over before it rings, and
                // when it rings too early it is set again.
                loop {
                    let until = activity.deadline(options);
                    if until < alarm.deadline() {
                        alarm.as_mut().reset(until);
                    }
                    ready!(alarm.as_mut().poll(cx));
                    if activity.deadline(options) <= Instant::now() {
                        return Poll::Ready(None);
                    }
                    alarm.as_mut().reset(activity.deadline(options));
                }
            });
            tokio::select! {
                ended = served => ended,
                _ = closing.wait_for(|closing| *closing) => None,
            }
        };
        let ended = match ended {
            Some(ended) => Ok(ended),
            // Somebody who has not managed to ask anything is owed no answer.
            None if activity.is_head_late(options) => return debug!("a client did not send its request"),
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(FAREWELL, connection).await
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(error = %error, "a connection has ended"),
            Err(_) => debug!("a connection was cut"),
        }
    }
}

/// The most that is read from a connection at once, and kept of a head that is not at its end.
const READ_BYTES_MAX: usize = 128 << 10;
/// How much waits to be sent on one HTTP/2 stream before no more of its answer is asked for.
const SEND_BYTES_MAX: usize = 64 << 10;
/// How often an HTTP/2 client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a connection that is to end has for its last words: then, too, what its client still sends is read,
/// so that the client comes to read the answer that ended it.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most that is read of what a client sends after that answer.
const FAREWELL_BYTES_MAX: usize = 16 << 20;
/// And at once.
const FAREWELL_READ_MAX: usize = 64 << 10;

/// The pace at which all connections together read what nobody wants any more: whoever sends a lot of that, and does not
/// listen, takes little from those who are being served.
#[derive(Default)]
pub(super) struct Unwanted(Mutex<Option<Instant>>);

impl Unwanted {
    /// When more may be read, now that so many bytes have been: no later than a farewell lasts.
    fn read(&self, bytes: usize) -> Instant {
        let now = Instant::now();
        if is_planted("a farewell that hurries") {
            return now;
        }
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = Duration::from_secs(1).mul_f64(bytes as f64 / UNWANTED_BYTES_PER_SECOND);
        let due = (next.unwrap_or(now).max(now) + takes).min(now + FAREWELL);
        *next = Some(due);
        due
    }
}

const UNWANTED_BYTES_PER_SECOND: f64 = (128 << 20) as f64;

/// What a connection is doing, and since when.
pub(super) struct Activity(Mutex<Doing>);

struct Doing {
    phase: Phase,
    since: Instant,
    requests: usize,
    is_h2: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet, or the beginning of a request.
    Head,
    /// A request is under way.
    Request,
    /// All is quiet.
    Idle,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Doing { phase: Phase::Head, since: Instant::now(), requests: 0, is_h2: false }))
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in. Where all was quiet they begin a head, except that HTTP/2 has other things to say.
    fn read(&self) {
        let mut doing = self.doing();
        if doing.phase == Phase::Idle && !doing.is_h2 {
            doing.phase = Phase::Head;
            doing.since = Instant::now();
        }
    }

    pub(super) fn request_begins(&self, version: Version) {
        let mut doing = self.doing();
        doing.requests += 1;
        doing.phase = Phase::Request;
        doing.is_h2 = version == Version::HTTP_2;
    }

    pub(super) fn request_ends(&self) {
        let mut doing = self.doing();
        doing.requests = doing.requests.saturating_sub(1);
        if doing.requests == 0 {
            doing.phase = Phase::Idle;
            doing.since = Instant::now();
        }
    }

    fn is_head_late(&self, options: &ServeOptions) -> bool {
        self.doing().phase == Phase::Head && self.deadline(options) <= Instant::now()
    }

    /// When it has gone on for too long. A request is as long as it is: its body and its answer have deadlines
    /// of their own.
    fn deadline(&self, options: &ServeOptions) -> Instant {
        let doing = self.doing();
        match doing.phase {
            Phase::Head => doing.since + options.head_within,
            Phase::Request => Instant::now() + options.idle_within,
            Phase::Idle => doing.since + options.idle_within,
        }
    }
}

/// A connection's bytes, watched.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    write_within: Duration,
    /// Runs while nothing can be written.
    stuck: Option<Pin<Box<Sleep>>>,
    farewell: Option<Farewell>,
    unwanted: Arc<Unwanted>,
}

/// All has been said: what the client still sends is read and forgotten. Closing with something unread would
/// reset the connection, and the answer might be lost with it.
struct Farewell {
    until: Pin<Box<Sleep>>,
    left: usize,
    /// Until more may be read.
    rest: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let within = self.write_within;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.activity.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let farewell = match &mut this.farewell {
            Some(farewell) => farewell,
            None => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                let until = Box::pin(tokio::time::sleep(FAREWELL));
                this.farewell.insert(Farewell { until, left: FAREWELL_BYTES_MAX, rest: None })
            }
        };
        let mut scratch = [MaybeUninit::uninit(); FAREWELL_READ_MAX];
        while farewell.until.as_mut().poll(cx).is_pending() {
            if let Some(rest) = &mut farewell.rest {
                ready!(rest.as_mut().poll(cx));
                farewell.rest = None;
            }
            let mut buf = ReadBuf::uninit(&mut scratch);
            let is_cut = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf)).is_err();
            let read = buf.filled().len();
            farewell.left = farewell.left.saturating_sub(read);
            if is_cut || read == 0 || farewell.left == 0 {
                break;
            }
            farewell.rest = Some(Box::pin(tokio::time::sleep_until(this.unwanted.read(read))));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_is_read_at_one_pace_whoever_sends_it() {
        let (unwanted, began) = (Unwanted::default(), Instant::now());
        // Many that send without listening, each as soon as it may.
        for piece in 1..=64 {
            let next = unwanted.read(1 << 20);
            assert_eq!((next - began).as_millis(), piece * 1000 / 128, "piece {piece}");
        }
        for _ in 0..1000 {
            unwanted.read(1 << 20);
        }
        assert_eq!(unwanted.read(1) - began, FAREWELL, "nobody is owed for longer than a farewell lasts");
        tokio::time::advance(FAREWELL * 2).await;
        let next = unwanted.read(1 << 20);
        assert_eq!(next - Instant::now(), Duration::from_secs(1) / 128, "nothing is saved up or owed");
    }
}
