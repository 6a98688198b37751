//! Secrets that have to be read again, sealed under a key that no store has.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};

use swr_core::control::credential::Sealed;
use swr_core::ports::{StoreError, StoreErrorKind};

use crate::random;
use crate::secret::Secret;

/// The first byte of everything that is sealed in this way.
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Seals secrets under a master key of 32 bytes, which the host keeps where the store is not.
///
/// What is sealed is XChaCha20-Poly1305 under a random nonce, behind a version and a short id of the master key. A
/// sealed value opens in the context that it was sealed in, such as the id of the key whose secret it is, and in
/// no other: nobody who can write to the store gives one key the secret of another.
///
/// To take another master key: open the vault with the new one, [`with_previous`](Self::with_previous) the old one,
/// and let [`KeyDesk::reseal`](crate::KeyDesk::reseal) seal everything anew; then the old one can go.
pub struct Vault {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

struct MasterKey {
    id: [u8; KEY_ID_BYTES],
    cipher: XChaCha20Poly1305,
}

impl Vault {
    /// The vault of this master key.
    pub fn new(master: &[u8; 32]) -> Self {
        Self { current: MasterKey::new(master), previous: Vec::new() }
    }

    /// The vault of a master key as a host has it, in a file or a setting: its 32 bytes, or 64 hexadecimal digits
    /// with white space around them.
    pub fn read(master: &[u8]) -> Result<Self, MasterKeyError> {
        if let Ok(bytes) = master.try_into()
            // Half of a key in digits is not taken for a whole one in bytes.
            && !master.iter().all(u8::is_ascii_hexdigit)
        {
            return Ok(Self::new(bytes));
        }
        let digits = HEXLOWER_PERMISSIVE.decode(master.trim_ascii()).map_err(|_| MasterKeyError(()))?;
        Ok(Self::new(digits.as_slice().try_into().map_err(|_| MasterKeyError(()))?))
    }

    /// A vault of a new master key, and the key for the host to keep: 64 hexadecimal digits.
    pub fn generate() -> (Self, Secret) {
        let master = random::bytes();
        (Self::new(&master), Secret::new(HEXLOWER.encode(&master)))
    }

    /// Opens also what was sealed by the vault `old`.
    #[must_use]
    pub fn with_previous(mut self, old: Self) -> Self {
        self.previous.push(old.current);
        self.previous.extend(old.previous);
        self
    }

    /// Seals the secret, to be opened in this context.
    pub fn seal(&self, secret: &Secret, context: &str) -> Sealed {
        let mut sealed = Vec::with_capacity(HEADER_BYTES + secret.expose().len() + 16);
        sealed.push(VERSION);
        sealed.extend(self.current.id);
        let associated = associated(&sealed, context);
        let nonce = random::bytes::<NONCE_BYTES>();
        sealed.extend(nonce);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &associated };
        #[expect(clippy::expect_used, reason = "it is bounded by what a secret may be")]
        let ciphertext = self
            .current
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("the cipher takes everything that is shorter than 256 GiB");
        sealed.extend(ciphertext);
        Sealed::new(sealed)
    }

    /// Opens what was sealed in this context.
    pub fn open(&self, sealed: &Sealed, context: &str) -> Result<Secret, VaultError> {
        let sealed = sealed.as_bytes();
        let (header, ciphertext) = sealed.split_at_checked(HEADER_BYTES).ok_or(VaultError::Damaged)?;
        let (prefix, nonce) = header.split_at(1 + KEY_ID_BYTES);
        if prefix[0] != VERSION {
            return Err(VaultError::Damaged);
        }
        let key = self.keys().find(|key| key.id == prefix[1..]).ok_or_else(|| VaultError::OtherKey {
            sealed: HEXLOWER.encode(&prefix[1..]),
            given: HEXLOWER.encode(&self.current.id),
        })?;
        let payload = Payload { msg: ciphertext, aad: &associated(prefix, context) };
        let nonce = XNonce::try_from(nonce).map_err(|_| VaultError::Damaged)?;
        let opened = key.cipher.decrypt(&nonce, payload).map_err(|_| VaultError::Damaged)?;
        String::from_utf8(opened).map(Secret::from).map_err(|_| VaultError::Damaged)
    }

    /// The same secret sealed under the present master key; `None` if it is already.
    pub fn reseal(&self, sealed: &Sealed, context: &str) -> Result<Option<Sealed>, VaultError> {
        let secret = self.open(sealed, context)?;
        let is_current = sealed.as_bytes()[1..=KEY_ID_BYTES] == self.current.id;
        Ok((!is_current).then(|| self.seal(&secret, context)))
    }

    fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl MasterKey {
    fn new(master: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"swr vault key id").chain_update(master).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { id, cipher: XChaCha20Poly1305::new(master.into()) }
    }
}

/// What a sealed value is bound to: its version, its master key and its context.
fn associated(prefix: &[u8], context: &str) -> Vec<u8> {
    [prefix, context.as_bytes()].concat()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("current", &HEXLOWER.encode(&self.current.id))
            .field("previous", &self.previous.len())
            .finish()
    }
}

/// A text that is no master key. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 32 bytes, or 64 hexadecimal digits")]
pub struct MasterKeyError(());

/// Why a sealed secret cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// It was sealed under a master key that the vault has not been given.
    #[error(
        "sealed under the master key {sealed}, and the one that is given is {given}: is it the wrong one?"
    )]
    OtherKey {
        /// The short id of the key that it was sealed under.
        sealed: String,
        /// The short id of the key that would seal now.
        given: String,
    },
    /// It is not what was sealed, or was sealed in another context.
    #[error("what is sealed has been changed since, or belongs elsewhere")]
    Damaged,
}

impl From<VaultError> for StoreError {
    /// What a store keeps and nobody can read is a fault of the deployment, never of a caller.
    fn from(error: VaultError) -> Self {
        let kind = match error {
            VaultError::OtherKey { .. } => StoreErrorKind::Other,
            VaultError::Damaged => StoreErrorKind::Corrupt,
        };
        Self::new(kind, "vault.open", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn secret() -> Secret {
        Secret::new("open sesame")
    }

    #[test]
    fn what_is_sealed_opens_in_its_context_alone() {
        let vault = Vault::new(&OLD);
        for text in ["", "open sesame", &"é".repeat(10_000)] {
            let sealed = vault.seal(&Secret::new(text), "access-key A");
            assert_eq!(vault.open(&sealed, "access-key A").unwrap().expose(), text);
            for other in ["", "access-key B", "access-key A ", "token-key A"] {
                assert_eq!(vault.open(&sealed, other), Err(VaultError::Damaged), "{other:?}");
            }
            assert_ne!(sealed, vault.seal(&Secret::new(text), "access-key A"), "a nonce came twice");
        }
    }

    #[test]
    fn no_byte_can_be_changed_added_or_left_out() {
        let vault = Vault::new(&OLD);
        let sealed = vault.seal(&secret(), "a");
        let bytes = sealed.as_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.to_vec();
                changed[at] ^= 1 << bit;
                assert!(vault.open(&Sealed::new(changed), "a").is_err(), "byte {at}, bit {bit}");
            }
            assert_eq!(vault.open(&Sealed::new(&bytes[..at]), "a"), Err(VaultError::Damaged), "{at} bytes");
        }
        assert!(vault.open(&Sealed::new([bytes, &[0]].concat()), "a").is_err());
    }

    #[test]
    fn a_master_key_gives_way_to_another() {
        let (old, new) = (Vault::new(&OLD), Vault::new(&NEW));
        let sealed = old.seal(&secret(), "a");
        assert!(matches!(new.open(&sealed, "a"), Err(VaultError::OtherKey { .. })));

        let both = new.with_previous(old);
        assert_eq!(both.open(&sealed, "a"), Ok(secret()));
        let resealed = both.reseal(&sealed, "a").unwrap().unwrap();
        assert_eq!(Vault::new(&NEW).open(&resealed, "a"), Ok(secret()));
        assert!(matches!(Vault::new(&OLD).open(&resealed, "a"), Err(VaultError::OtherKey { .. })));
        assert_eq!(both.reseal(&resealed, "a"), Ok(None));
        assert_eq!(both.reseal(&sealed, "b"), Err(VaultError::Damaged));
    }

    #[test]
    fn the_wrong_master_key_is_said_to_be_wrong() {
        let refused = Vault::new(&NEW).open(&Vault::new(&OLD).seal(&secret(), "a"), "a").unwrap_err();
        let (old, new) = (Vault::new(&OLD).current.id, Vault::new(&NEW).current.id);
        let said = refused.to_string();
        assert!(said.contains(&HEXLOWER.encode(&old)) && said.contains(&HEXLOWER.encode(&new)), "{said}");
        assert_eq!(StoreError::from(refused).kind(), StoreErrorKind::Other);
    }

    #[test]
    fn a_master_key_is_read_in_every_form_that_hosts_have_it_in() {
        let sealed = Vault::new(&OLD).seal(&secret(), "a");
        let upper = "0A".repeat(32);
        for master in [&OLD[..], "01".repeat(32).as_bytes(), format!(" {}\n", "01".repeat(32)).as_bytes()] {
            assert_eq!(Vault::read(master).unwrap().open(&sealed, "a"), Ok(secret()));
        }
        assert!(Vault::read(upper.as_bytes()).is_ok());
        for wrong in [
            &b""[..],
            &[1; 31],
            &[1; 33],
            "01".repeat(31).as_bytes(),
            "0x".repeat(32).as_bytes(),
            "01".repeat(16).as_bytes(),
        ] {
            assert!(Vault::read(wrong).is_err(), "{wrong:?}");
        }
        let (vault, master) = Vault::generate();
        let read = Vault::read(master.expose().as_bytes()).unwrap();
        assert_eq!(read.open(&vault.seal(&secret(), "a"), "a"), Ok(secret()));
        let printed = format!("{vault:?} {master:?}");
        assert!(!printed.contains(master.expose()), "{printed}");
    }
}
