//! Who there is: accounts, and the users in them.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Ids of 32 lowercase hexadecimal digits: 122 random bits, never given twice.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// One that nobody has had before.
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4().simple().to_string().into())
            }

            /// Reads an id: exactly 32 lowercase hexadecimal digits.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { what: $what })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

hex_id!(
    /// The id of an [`Account`]: what the management protocol calls a domain id.
    AccountId,
    "account"
);
hex_id!(
    /// The id of a [`User`]. It is the name of the user's [`Identity`](crate::caller::Identity), which outlives
    /// a change of name.
    UserId,
    "user"
);
hex_id!(
    /// The id of an account's region project, which clients put into paths and headers.
    ProjectId,
    "project"
);

/// A text that is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a {what} has exactly 32 lowercase hexadecimal digits")]
pub struct IdError {
    what: &'static str,
}

/// Names that people choose for accounts and users: 1 to 64 characters, a letter first, then letters, digits,
/// `_`, `-` and `.`.
///
/// `@` and `:` have a meaning in a login, so that no name has them.
macro_rules! person_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The longest name, in bytes.
            pub const MAX_BYTES: usize = 64;

            /// Reads a name: a letter, then letters, digits, `_`, `-` and `.`; at most 64 bytes.
            pub fn parse(text: &str) -> Result<Self, PersonNameError> {
                if is_person_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(PersonNameError { what: $what, text: text.chars().take(160).collect() })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = PersonNameError;

            fn try_from(text: String) -> Result<Self, PersonNameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

person_name!(
    /// The name of an account, unique in a deployment.
    AccountName,
    "account"
);
person_name!(
    /// The name of a user, unique in its account.
    UserName,
    "user"
);

fn is_person_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// A text that is no name of an account or a user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no {what} name: a letter, then letters, digits, `_`, `-` and `.`, at most 64 characters in all"
)]
pub struct PersonNameError {
    what: &'static str,
    text: String,
}

/// A tenant: owns users and organisations, and is the unit that an image is shared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: AccountName,
    /// The id of its region project.
    pub project: ProjectId,
    /// Whether it has let the service act in its name (the wire's agency). Traces from before it could do not say.
    #[serde(default)]
    pub agency: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A person or a machine of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its name.
    pub name: UserName,
    /// What it may do beside its grants.
    pub role: Role,
    /// The hash of its password, where it may sign in with one.
    #[serde(skip)]
    pub password: Option<PasswordHash>,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// What a user may do beside its grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "whoever decides must answer for every one")]
pub enum Role {
    /// Nothing.
    Member,
    /// Registry administrator: manages every organisation of the account without a grant, creates
    /// organisations, and looks after the account's users and their keys.
    Administrator,
    /// An administrator that looks after the accounts of the deployment as well.
    Operator,
}

impl Role {
    /// Whether it is a registry administrator's.
    pub const fn administers(self) -> bool {
        matches!(self, Self::Administrator | Self::Operator)
    }

    /// Its name in documents and on command lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Administrator => "administrator",
            Self::Operator => "operator",
        }
    }

    /// The role of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Administrator, Self::Operator].into_iter().find(|role| role.as_str() == text)
    }
}

/// A password's hash as `$argon2id$v=19$…` (PHC string format). Not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// A hash, as whoever hashes passwords writes it.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever has to compare or keep it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}
