#![doc = include_str!("../README.md")]

pub mod authenticator;
pub mod challenge;
pub mod fixed_rules;
#[cfg(feature = "passwords")]
pub mod fixed_users;
mod presented;
pub mod scope;
mod secret;

pub use authenticator::{AnonymousOnly, Authenticated, AuthenticationError, Authenticator};
pub use challenge::Challenge;
pub use fixed_rules::{AnyoneMay, PublicRead, ReadOnly};
#[cfg(feature = "passwords")]
pub use fixed_users::FixedUsers;
pub use presented::Presented;
pub use scope::Scope;
pub use secret::Secret;
