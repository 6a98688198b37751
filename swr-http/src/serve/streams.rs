//! The streams of HTTP/2 connections, each a task: one whose client takes nothing of its answer ends.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError, Weak};
use std::task::{Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use swr_core::planted::is_planted;

tokio::task_local! {
    /// Since when a part of the answer waits for its client, who decides when there is room for it.
    static WAITS: Cell<Option<Instant>>;
}

/// Tells the task of a stream what the body of its answer has come to: a part that is there waits for the client, until
/// the next one is asked for.
pub(super) fn tell<T>(next: &Poll<T>) {
    // HTTP/1 has no such task.
    let _: Result<(), _> = WAITS.try_with(|waits| waits.set(next.is_ready().then(Instant::now)));
}

/// The tasks of all streams of a server, which end with it at the latest.
pub(super) type Tasks = Mutex<JoinSet<()>>;

/// Runs the streams of a connection.
#[derive(Clone)]
pub(super) struct Streams {
    /// None where the server has ended.
    pub(super) tasks: Weak<Tasks>,
    /// How long a part of an answer may wait for its client.
    pub(super) write_within: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let Some(tasks) = self.tasks.upgrade() else { return };
        let mut within = self.write_within;
        if is_planted("a window without end") {
            within *= 1000;
        }
        let watched = async move {
            let mut stream = pin!(stream);
            let mut alarm = pin!(tokio::time::sleep(within));
            poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                let Some(since) = WAITS.with(Cell::get) else { return Poll::Pending };
                // It is set again only when it has rung too early: most parts are taken long before.
                loop {
                    ready!(alarm.as_mut().poll(cx));
                    if since + within <= Instant::now() {
                        debug!("a client did not take its answer");
                        return Poll::Ready(());
                    }
                    alarm.as_mut().reset(since + within);
                }
            })
            .await;
        };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended need not be remembered.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(WAITS.scope(Cell::new(None), watched));
    }
}
