//! Who asks: what they are, what they show, and how that is taken from them.

use swr_core::ports::Action;

use crate::targets::Account;

/// Somebody who asks. All but strangers have a user of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    Stranger,
    // Who prove nothing, though their users manage everything.
    WrongKey,
    RevokedKey,
    GoneUser,
    ExpiredLogin,
    ExpiredToken,
    RefreshToken,
    // Members of `acme`.
    Member,
    ReadOrganisation,
    EditOrganisation,
    ManageOrganisation,
    ReadRepository,
    EditRepository,
    ManageRepository,
    TemporaryLogin,
    // Administrators.
    Administrator,
    ForeignAdministrator,
    /// An administrator that looks after the deployment.
    Operator,
    // Of other accounts.
    Outsider,
    Receiver,
    // Bearers of tokens that are narrower than their subjects, who are administrators of `acme`.
    PullToken,
    PushToken,
    OnlyPushToken,
    ElsewhereToken,
    StrangersToken,
    ManagementToken,
}

/// How much a grant allows (product, "Grants").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Read,
    Edit,
    Manage,
}

/// A user: what it may do before anything is taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) role: Role,
    /// Its grant on `home`.
    pub(crate) organisation: Option<Level>,
    /// Its grant on `home/open` and on `home/priv`.
    pub(crate) repositories: Option<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Member,
    Administrator,
    Operator,
}

/// What somebody shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    /// An access key: it signs in for good, and signs requests.
    Key,
    /// The id of an access key with a secret that is another's.
    WrongKey,
    /// An access key that is deleted, or whose user is.
    DeletedKey,
    /// A login that ends by itself.
    Login {
        expired: bool,
    },
    /// A token for these actions in the repository that is asked about, or in another one and for the catalogue.
    Token {
        wanted: &'static [Action],
        elsewhere: bool,
        expired: bool,
    },
    /// A token that gets others.
    RefreshToken,
    /// A token of the management protocol.
    ManagementToken,
}

/// How what somebody may is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawal {
    /// The role and the grants.
    Rights,
    /// The access key, also that which a login or a token was got with.
    Key,
    /// The user.
    User,
    /// The password.
    Password,
}

impl Identity {
    pub(crate) const ALL: [Self; 26] = [
        Self::Stranger,
        Self::WrongKey,
        Self::RevokedKey,
        Self::GoneUser,
        Self::ExpiredLogin,
        Self::ExpiredToken,
        Self::RefreshToken,
        Self::Member,
        Self::ReadOrganisation,
        Self::EditOrganisation,
        Self::ManageOrganisation,
        Self::ReadRepository,
        Self::EditRepository,
        Self::ManageRepository,
        Self::TemporaryLogin,
        Self::Administrator,
        Self::ForeignAdministrator,
        Self::Operator,
        Self::Outsider,
        Self::Receiver,
        Self::PullToken,
        Self::PushToken,
        Self::OnlyPushToken,
        Self::ElsewhereToken,
        Self::StrangersToken,
        Self::ManagementToken,
    ];

    /// The user; `None` for a stranger.
    pub(crate) const fn person(self) -> Option<Person> {
        Some(match self {
            Self::Stranger | Self::StrangersToken => return None,
            Self::Member => Person::of(Account::Acme),
            Self::Outsider => Person::of(Account::Initech),
            Self::Receiver => Person::of(Account::Omni),
            Self::ReadOrganisation => Person::granted(Some(Level::Read), None),
            Self::EditOrganisation | Self::TemporaryLogin => Person::granted(Some(Level::Edit), None),
            Self::ManageOrganisation => Person::granted(Some(Level::Manage), None),
            Self::ReadRepository => Person::granted(None, Some(Level::Read)),
            Self::EditRepository => Person::granted(None, Some(Level::Edit)),
            Self::ManageRepository => Person::granted(None, Some(Level::Manage)),
            Self::ForeignAdministrator => Person { role: Role::Administrator, ..Person::of(Account::Omni) },
            Self::Operator => Person { role: Role::Operator, ..Person::of(Account::Initech) },
            Self::WrongKey
            | Self::RevokedKey
            | Self::GoneUser
            | Self::ExpiredLogin
            | Self::ExpiredToken
            | Self::RefreshToken
            | Self::Administrator
            | Self::PullToken
            | Self::PushToken
            | Self::OnlyPushToken
            | Self::ElsewhereToken
            | Self::ManagementToken => Person { role: Role::Administrator, ..Person::of(Account::Acme) },
        })
    }

    pub(crate) const fn shown(self) -> Shown {
        use Action::{Delete, Pull, Push};
        match self {
            Self::Stranger => Shown::Nothing,
            Self::WrongKey => Shown::WrongKey,
            Self::RevokedKey | Self::GoneUser => Shown::DeletedKey,
            Self::ExpiredLogin => Shown::Login { expired: true },
            Self::TemporaryLogin => Shown::Login { expired: false },
            Self::ExpiredToken => {
                Shown::Token { wanted: &[Pull, Push, Delete], elsewhere: false, expired: true }
            }
            Self::PullToken | Self::StrangersToken => {
                Shown::Token { wanted: &[Pull], elsewhere: false, expired: false }
            }
            Self::PushToken => Shown::Token { wanted: &[Pull, Push], elsewhere: false, expired: false },
            Self::OnlyPushToken => Shown::Token { wanted: &[Push], elsewhere: false, expired: false },
            Self::ElsewhereToken => {
                Shown::Token { wanted: &[Pull, Push, Delete], elsewhere: true, expired: false }
            }
            Self::RefreshToken => Shown::RefreshToken,
            Self::ManagementToken => Shown::ManagementToken,
            Self::Member
            | Self::ReadOrganisation
            | Self::EditOrganisation
            | Self::ManageOrganisation
            | Self::ReadRepository
            | Self::EditRepository
            | Self::ManageRepository
            | Self::Administrator
            | Self::ForeignAdministrator
            | Self::Operator
            | Self::Outsider
            | Self::Receiver => Shown::Key,
        }
    }

    pub(crate) const fn withdrawal(self) -> Withdrawal {
        match self {
            Self::EditOrganisation | Self::TemporaryLogin | Self::PushToken => Withdrawal::Key,
            Self::ReadRepository | Self::OnlyPushToken => Withdrawal::User,
            Self::ManagementToken => Withdrawal::Password,
            _ => Withdrawal::Rights,
        }
    }
}

impl Person {
    const fn of(account: Account) -> Self {
        Self { account, role: Role::Member, organisation: None, repositories: None }
    }

    const fn granted(organisation: Option<Level>, repositories: Option<Level>) -> Self {
        Self { account: Account::Acme, role: Role::Member, organisation, repositories }
    }

    /// Whether it is a registry administrator of its account.
    pub(crate) const fn administers(self) -> bool {
        !matches!(self.role, Role::Member)
    }
}
