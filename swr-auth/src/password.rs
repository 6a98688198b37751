//! Passwords: hashed, and checked within bounds.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::{PasswordHash, Salt};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use swr_core::ports::{StoreError, StoreErrorKind};

use crate::authenticator::AuthenticationError;
use crate::secret::Secret;

/// Passwords that are hashed at once; each takes a core for some tens of milliseconds.
const CHECKS_MAX: usize = 2;
/// Passwords that are being hashed or wait for it. More are told to come back.
const WAITING_MAX: usize = 64;
/// Proofs that are remembered.
const PROVEN_MAX: usize = 4096;

/// Checks passwords against hashes, a few at a time. Needs a tokio runtime.
///
/// A password that was right is remembered as a keyed hash of it and of the hash that it was checked against, under
/// a key that lives as long as this value. Another hash is another question: nothing has to be forgotten when a
/// password changes.
pub(crate) struct PasswordCheck {
    key: Salt,
    proven: Mutex<Proven>,
    waiting: Semaphore,
    checking: Arc<Semaphore>,
}

#[derive(Default)]
struct Proven {
    seals: HashSet<[u8; 32]>,
    /// Oldest first.
    order: VecDeque<[u8; 32]>,
}

impl PasswordCheck {
    pub(crate) fn new() -> Self {
        Self {
            key: Salt::generate(),
            proven: Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
            checking: Arc::new(Semaphore::new(CHECKS_MAX)),
        }
    }

    /// Whether the password is that of the hash (PHC string format, argon2).
    pub(crate) async fn is_right(&self, password: &Secret, hash: &str) -> Result<bool, AuthenticationError> {
        let seal = self.seal(password, hash);
        if self.is_proven(&seal) {
            return Ok(true);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let turn = self.turn().await?;
        // A client's other requests may have proven it meanwhile.
        if self.is_proven(&seal) {
            return Ok(true);
        }
        let right = on_a_thread("passwords.verify", turn, verify(password, hash)).await?;
        if right {
            self.remember(seal);
        }
        Ok(right)
    }

    /// Refuses, after the time that a wrong password takes that is checked against `like`.
    pub(crate) async fn refuse(&self, password: &Secret, like: &str) -> AuthenticationError {
        let checked = self.in_turn("passwords.verify", verify(password, like)).await;
        checked.err().unwrap_or(AuthenticationError::Refused)
    }

    /// Does work that takes a core for a while, on a thread that may wait, when it is its turn.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AuthenticationError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        on_a_thread(operation, self.turn().await?, work).await
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, AuthenticationError> {
        Arc::clone(&self.checking).acquire_owned().await.map_err(|_| busy())
    }

    fn seal(&self, password: &Secret, hash: &str) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC has no bad key lengths")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(hash.as_bytes());
        // No hash has such a byte, so that none runs into its password.
        mac.update(&[0]);
        mac.update(password.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Nobody outside can make a seal, so that the time of a look-up tells nothing.
    fn is_proven(&self, seal: &[u8; 32]) -> bool {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).seals.contains(seal)
    }

    fn remember(&self, seal: [u8; 32]) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.seals.insert(seal) {
            proven.order.push_back(seal);
        }
        if proven.order.len() > PROVEN_MAX
            && let Some(oldest) = proven.order.pop_front()
        {
            proven.seals.remove(&oldest);
        }
    }
}

fn busy() -> AuthenticationError {
    AuthenticationError::Busy { retry_after: Duration::from_secs(1) }
}

fn verify(password: &Secret, hash: &str) -> impl FnOnce() -> Result<bool, StoreError> + Send + use<> {
    let (password, hash) = (password.clone(), hash.to_owned());
    move || {
        let hash = PasswordHash::new(&hash)
            .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "passwords.verify", error))?;
        Ok(Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
    }
}

/// The turn goes with the work: a request that is dropped does not make room before it is done.
async fn on_a_thread<T: Send + 'static>(
    operation: &'static str,
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, AuthenticationError> {
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    Ok(done.await.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, operation, error))??)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cheapest hash that argon2 allows.
    fn hash(password: &str) -> String {
        use argon2::password_hash::PasswordHasher as _;
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    fn sesame() -> Secret {
        Secret::new("open sesame")
    }

    #[tokio::test]
    async fn a_proven_password_needs_no_further_check() {
        let check = PasswordCheck::new();
        let hashes = [hash("open sesame"), hash("open sesame")];
        assert!(check.is_right(&sesame(), &hashes[0]).await.unwrap());
        // With every check taken, only what is remembered can be answered.
        let _taken = check.waiting.acquire_many(WAITING_MAX as u32).await.unwrap();
        assert!(check.is_right(&sesame(), &hashes[0]).await.unwrap());
        for unproven in [
            check.is_right(&Secret::new("wrong"), &hashes[0]).await.map(drop).unwrap_err(),
            check.is_right(&sesame(), &hashes[1]).await.map(drop).unwrap_err(),
            check.refuse(&sesame(), &hashes[0]).await,
        ] {
            assert!(matches!(unproven, AuthenticationError::Busy { .. }), "{unproven:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_password_proves_nothing_however_often_it_comes() {
        let (check, hash) = (PasswordCheck::new(), hash("open sesame"));
        for _ in 0..2 {
            assert!(!check.is_right(&Secret::new("open"), &hash).await.unwrap());
        }
        assert!(check.is_right(&sesame(), &hash).await.unwrap());
        assert!(matches!(check.refuse(&sesame(), &hash).await, AuthenticationError::Refused));
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_is_a_fault_of_the_store() {
        let refused = PasswordCheck::new().is_right(&sesame(), "open sesame").await.unwrap_err();
        assert!(
            matches!(refused, AuthenticationError::Store(error) if error.kind() == StoreErrorKind::Corrupt)
        );
    }

    #[tokio::test]
    async fn a_dropped_request_leaves_nothing_taken() {
        use std::future::Future as _;
        use std::task::{Context, Poll, Waker};

        let (check, hash) = (PasswordCheck::new(), hash("open sesame"));
        let password = sesame();
        let poll_once = || {
            let mut dropped = Box::pin(check.is_right(&password, &hash));
            dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        let all = check.checking.acquire_many(CHECKS_MAX as u32).await.unwrap();
        assert!(matches!(poll_once(), Poll::Pending), "it waits for its turn");
        assert_eq!(check.waiting.available_permits(), WAITING_MAX);
        drop(all);
        // It has its turn; whether it is done by the time it is dropped is the machine's affair.
        let _ = poll_once();
        let all = check.checking.acquire_many(CHECKS_MAX as u32).await.unwrap();
        assert_eq!(check.waiting.available_permits(), WAITING_MAX);
        drop(all);
        assert!(check.is_right(&password, &hash).await.unwrap());
    }

    #[test]
    fn no_more_proofs_are_remembered_than_there_is_room_for() {
        let check = PasswordCheck::new();
        let seals = || (0..=PROVEN_MAX).map(|count| check.seal(&sesame(), &count.to_string()));
        for seal in seals() {
            check.remember(seal);
            check.remember(seal);
        }
        assert_eq!(seals().filter(|seal| check.is_proven(seal)).count(), PROVEN_MAX);
        assert!(!check.is_proven(&check.seal(&sesame(), "0")), "the oldest is still there");
    }
}
