//! Who has signed in to the management protocol.

use swr_core::caller::{Caller, Identity};
use swr_core::control::credential::KeyId;
use swr_core::control::identity::{Account, User};

/// A user who has shown who it is, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "doors take it apart")]
pub struct Signer {
    /// The user.
    pub user: User,
    /// The user's account.
    pub account: Account,
    /// The access key that the request was signed with; `None` where it was a password or a token.
    pub key: Option<KeyId>,
}

impl Signer {
    /// The user as a caller of the registry and of its control plane.
    pub fn caller(&self) -> Caller {
        caller(&self.user)
    }
}

pub(crate) fn caller(user: &User) -> Caller {
    Caller::User(Identity::new(user.id.as_str()))
}
