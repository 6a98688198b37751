#![doc = include_str!("../README.md")]

// Who is calling.
pub mod authenticator;
pub mod challenge;
#[cfg(feature = "passwords")]
pub mod fixed_users;
#[cfg(feature = "passwords")]
mod password;
mod presented;
pub mod scope;
mod secret;

// What they may do.
pub mod fixed_rules;

// The users of a control plane, and their rights.
#[cfg(feature = "control")]
mod control_authenticator;
#[cfg(feature = "control")]
pub mod desk_settings;
#[cfg(feature = "control")]
mod grant_authorizer;
#[cfg(feature = "control")]
pub mod grants;
#[cfg(feature = "control")]
pub mod key_desk;
#[cfg(feature = "control")]
mod login;
#[cfg(feature = "control")]
pub mod new_password;
#[cfg(feature = "control")]
mod random;
#[cfg(feature = "control")]
pub mod session_desk;
#[cfg(feature = "control")]
pub mod signature;
#[cfg(feature = "control")]
mod signer;
#[cfg(feature = "control")]
mod token;
#[cfg(feature = "control")]
pub mod token_desk;
#[cfg(feature = "control")]
mod token_keys;
#[cfg(feature = "control")]
pub mod vault;

pub use authenticator::{AnonymousOnly, Authenticated, AuthenticationError, Authenticator};
pub use challenge::Challenge;
#[cfg(feature = "control")]
pub use control_authenticator::ControlAuthenticator;
#[cfg(feature = "control")]
pub use desk_settings::DeskSettings;
pub use fixed_rules::{AnyoneMay, PublicRead, ReadOnly};
#[cfg(feature = "passwords")]
pub use fixed_users::FixedUsers;
#[cfg(feature = "control")]
pub use grant_authorizer::GrantAuthorizer;
#[cfg(feature = "control")]
pub use grants::Strangers;
#[cfg(feature = "control")]
pub use key_desk::KeyDesk;
#[cfg(feature = "control")]
pub use login::Login;
#[cfg(feature = "control")]
pub use new_password::NewPassword;
pub use presented::Presented;
pub use scope::Scope;
pub use secret::Secret;
#[cfg(feature = "control")]
pub use session_desk::{SessionDesk, SessionLimits};
#[cfg(feature = "control")]
pub use signature::SignedRequest;
#[cfg(feature = "control")]
pub use signer::Signer;
#[cfg(feature = "control")]
pub use token_desk::{TokenAsk, TokenDesk};
#[cfg(feature = "control")]
pub use vault::Vault;
