#![doc = include_str!("../README.md")]

pub mod authenticator;
pub mod challenge;
pub mod fixed_rules;
#[cfg(feature = "passwords")]
pub mod fixed_users;
#[cfg(feature = "passwords")]
mod password;
mod presented;
#[cfg(feature = "control")]
mod random;
pub mod scope;
mod secret;
#[cfg(feature = "control")]
pub mod signature;
#[cfg(feature = "control")]
pub mod vault;

pub use authenticator::{AnonymousOnly, Authenticated, AuthenticationError, Authenticator};
pub use challenge::Challenge;
pub use fixed_rules::{AnyoneMay, PublicRead, ReadOnly};
#[cfg(feature = "passwords")]
pub use fixed_users::FixedUsers;
pub use presented::Presented;
pub use scope::Scope;
pub use secret::Secret;
#[cfg(feature = "control")]
pub use signature::SignedRequest;
#[cfg(feature = "control")]
pub use vault::Vault;
