//! What a client shows of who it is.

use crate::secret::Secret;

/// What a client presents with a request, before anybody has looked whether it proves something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an authenticator must answer for every kind")]
pub enum Presented {
    /// Nothing.
    Nothing,
    /// A name and a password.
    Password {
        /// The name, as it was sent.
        user: Box<str>,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}
