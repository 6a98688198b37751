//! Who is at work on which upload: one at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swr_core::upload::UploadId;
use tokio::sync::Semaphore;

/// The uploads that somebody is at work on. As large as the number of calls under way.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashMap<UploadId, Occupant>>);

#[derive(Debug)]
struct Occupant {
    work: Work,
    /// Has no permit ever, and is closed when the work changes or the claim ends.
    changed: Arc<Semaphore>,
}

impl Occupant {
    fn at(work: Work) -> Self {
        Self { work, changed: Arc::new(Semaphore::new(0)) }
    }
}

/// What the holder of a claim is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Something that ends by itself; whoever else comes waits for it.
    Brief,
    /// Listening to a client, for who knows how long; whoever else comes is sent away.
    Streaming,
    /// Nothing, ever again: its bytes cannot be trusted and its files could not be removed.
    Failed,
}

/// Why an upload cannot be claimed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// An append is under way.
    Streaming,
    /// The upload has failed for good.
    Failed,
}

impl Claims {
    /// Claims an upload, once whatever is about to end has ended.
    pub(crate) async fn claim(self: &Arc<Self>, id: &UploadId) -> Result<Arc<Claim>, Taken> {
        loop {
            if let Some(claim) = self.claim_idle(id) {
                return Ok(claim);
            }
            self.at_rest(id).await?;
        }
    }

    /// Claims an upload that nobody is at work on.
    pub(crate) fn claim_idle(self: &Arc<Self>, id: &UploadId) -> Option<Arc<Claim>> {
        match self.lock().entry(id.clone()) {
            Entry::Vacant(free) => {
                free.insert(Occupant::at(Work::Brief));
                Some(Arc::new(Claim { claims: self.clone(), id: id.clone() }))
            }
            Entry::Occupied(_) => None,
        }
    }

    /// Waits until nothing is about to end. `Err` when an append is under way or the upload has failed.
    pub(crate) async fn at_rest(&self, id: &UploadId) -> Result<(), Taken> {
        loop {
            let changed = match self.lock().get(id) {
                None => return Ok(()),
                Some(Occupant { work: Work::Streaming, .. }) => return Err(Taken::Streaming),
                Some(Occupant { work: Work::Failed, .. }) => return Err(Taken::Failed),
                Some(Occupant { work: Work::Brief, changed }) => changed.clone(),
            };
            // An error is what closing gives, also when it was closed before.
            let _closed = changed.acquire().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, Occupant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload that is ours alone, until the last share of this is dropped: whatever still writes holds one.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    id: UploadId,
}

impl Claim {
    /// The upload.
    pub(crate) fn id(&self) -> &UploadId {
        &self.id
    }

    /// Says what the holder does from here on.
    pub(crate) fn turn_to(&self, work: Work) {
        if let Some(occupant) = self.claims.lock().get_mut(&self.id) {
            std::mem::replace(occupant, Occupant::at(work)).changed.close();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Entry::Occupied(taken) = self.claims.lock().entry(self.id.clone()) {
            taken.get().changed.close();
            if taken.get().work != Work::Failed {
                taken.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_claim_ends() {
        let claims = Arc::new(Claims::default());
        let id = UploadId::random();
        let first = claims.claim_idle(&id).unwrap();
        assert!(claims.claim_idle(&id).is_none());
        let mut second = Box::pin(claims.claim(&id));
        let mut reader = Box::pin(claims.at_rest(&id));
        assert!(poll_once(&mut second).is_none());
        assert!(poll_once(&mut reader).is_none());
        drop(first);
        assert_eq!(poll_once(&mut reader), Some(Ok(())));
        assert!(matches!(poll_once(&mut second), Some(Ok(_))));
    }

    #[test]
    fn who_waits_is_sent_away_when_a_client_is_awaited() {
        let claims = Arc::new(Claims::default());
        let id = UploadId::random();
        let first = claims.claim_idle(&id).unwrap();
        let mut second = Box::pin(claims.claim(&id));
        assert!(poll_once(&mut second).is_none());
        first.turn_to(Work::Streaming);
        assert!(matches!(poll_once(&mut second), Some(Err(Taken::Streaming))));
        assert!(matches!(poll_once(&mut Box::pin(claims.claim(&id))), Some(Err(Taken::Streaming))));
    }

    #[test]
    fn a_claim_lasts_as_long_as_its_last_share() {
        let claims = Arc::new(Claims::default());
        let id = UploadId::random();
        let claim = claims.claim_idle(&id).unwrap();
        let share = claim.clone();
        drop(claim);
        assert!(claims.claim_idle(&id).is_none());
        drop(share);
        assert!(claims.claim_idle(&id).is_some());
    }

    #[test]
    fn a_failed_upload_stays_out_of_reach() {
        let claims = Arc::new(Claims::default());
        let id = UploadId::random();
        let claim = claims.claim_idle(&id).unwrap();
        let mut waiting = Box::pin(claims.claim(&id));
        assert!(poll_once(&mut waiting).is_none());
        claim.turn_to(Work::Failed);
        drop(claim);
        assert!(matches!(poll_once(&mut waiting), Some(Err(Taken::Failed))));
        assert!(claims.claim_idle(&id).is_none());
    }

    fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}
