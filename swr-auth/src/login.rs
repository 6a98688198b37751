//! Logins of clients: a name and a secret made of a key.

use chrono::{DateTime, Utc};
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use swr_core::control::credential::KeyId;

use crate::secret::Secret;

/// What a client signs in to the registry with.
///
/// ```
/// use swr_auth::{Login, Secret};
/// use swr_core::control::credential::KeyId;
///
/// let login = Login::long_term("cn-jssz1", &KeyId::parse("AK")?, &Secret::new("SK"));
/// assert_eq!(
///     login.command("registry.example"),
///     "docker login -u cn-jssz1@AK -p 32d633d480c6d326ddd8f439f4fbfc7c9a4e0fa3fc0565ccd56e027700d41b14 registry.example",
/// );
/// # Ok::<(), swr_core::control::credential::KeyIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever has one takes it apart")]
pub struct Login {
    /// The user name: `{region project}@{key id}`.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// From when on it is worth nothing; `None`: when its key is deleted.
    pub expires: Option<DateTime<Utc>>,
}

impl Login {
    /// The login that lasts as long as the access key: its password is the HMAC-SHA256 of the key's id under the key's
    /// secret, in lower-case hexadecimal digits. The secret cannot be had back from it.
    pub fn long_term(project: &str, key: &KeyId, secret: &Secret) -> Self {
        Self { user: user(project, key), password: long_term_password(key.as_str(), secret), expires: None }
    }

    /// A login with a secret of its own, until `expires`.
    pub(crate) fn temporary(project: &str, key: &KeyId, secret: Secret, expires: DateTime<Utc>) -> Self {
        Self { user: user(project, key), password: secret, expires: Some(expires) }
    }

    /// The line that signs in to the registry at `host`.
    pub fn command(&self, host: &str) -> String {
        format!("docker login -u {} -p {} {host}", self.user, self.password.expose())
    }

    /// The value of `auth` in a client's configuration: the base64 of the name, a colon and the password.
    pub fn auth(&self) -> String {
        BASE64.encode(format!("{}:{}", self.user, self.password.expose()).as_bytes())
    }
}

fn user(project: &str, key: &KeyId) -> String {
    format!("{project}@{key}")
}

pub(crate) fn long_term_password(key: &str, secret: &Secret) -> Secret {
    #[expect(clippy::expect_used, reason = "HMAC has no bad key lengths")]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(key.as_bytes());
    Secret::new(HEXLOWER.encode(&mac.finalize().into_bytes()))
}
