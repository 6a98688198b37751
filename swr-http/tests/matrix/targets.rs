//! What is asked about: repositories in two organisations, and in one that there is not.
//!
//! Names of one kind are equally long, so that answers about them can be compared byte for byte.

/// A repository that is asked about, or that might be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Public,
    Private,
    /// Private, and shared with `omni`.
    Shared,
    /// Private, and shared with `omni` once.
    ShareExpired,
    /// Not there, in an organisation that is.
    Absent,
    /// Private, of `omni`.
    Foreign,
    /// Not there, in the organisation of `omni`.
    ForeignAbsent,
    /// Not there, and neither is its organisation.
    Nowhere,
}

/// What stands first in the name of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Organisation {
    /// Of `acme`.
    Home,
    /// Of `omni`.
    Away,
    /// Nobody's: it is not there.
    Void,
}

/// Who owns organisations and has users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Account {
    Acme,
    Omni,
    /// Owns nothing.
    Initech,
    /// What is private is shared with it for ever; it has no users.
    Umbrella,
}

impl Target {
    pub(crate) const ALL: [Self; 8] = [
        Self::Public,
        Self::Private,
        Self::Shared,
        Self::ShareExpired,
        Self::Absent,
        Self::Foreign,
        Self::ForeignAbsent,
        Self::Nowhere,
    ];
    /// One of each organisation, where nothing else matters.
    pub(crate) const ORGANISATIONS: [Self; 3] = [Self::Private, Self::Foreign, Self::Nowhere];

    pub(crate) const fn organisation(self) -> Organisation {
        match self {
            Self::Public | Self::Private | Self::Shared | Self::ShareExpired | Self::Absent => {
                Organisation::Home
            }
            Self::Foreign | Self::ForeignAbsent => Organisation::Away,
            Self::Nowhere => Organisation::Void,
        }
    }

    /// What follows the organisation in its name.
    pub(crate) const fn repository(self) -> &'static str {
        match self {
            Self::Public => "open",
            Self::Private => "priv",
            Self::Shared => "lent",
            Self::ShareExpired => "late",
            Self::Foreign => "afar",
            Self::Absent | Self::ForeignAbsent | Self::Nowhere => "none",
        }
    }

    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.organisation().name(), self.repository())
    }

    pub(crate) const fn exists(self) -> bool {
        !matches!(self, Self::Absent | Self::ForeignAbsent | Self::Nowhere)
    }
}

impl Organisation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Away => "away",
            Self::Void => "void",
        }
    }

    pub(crate) const fn owner(self) -> Option<Account> {
        match self {
            Self::Home => Some(Account::Acme),
            Self::Away => Some(Account::Omni),
            Self::Void => None,
        }
    }
}

impl Account {
    pub(crate) const ALL: [Self; 4] = [Self::Acme, Self::Omni, Self::Initech, Self::Umbrella];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Acme => "acme",
            Self::Omni => "omni",
            Self::Initech => "initech",
            Self::Umbrella => "umbrella",
        }
    }
}
