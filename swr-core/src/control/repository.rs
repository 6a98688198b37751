//! What is known of a repository beside its content, and of its versions beside their manifests.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use swr_policy::{RepositoryName, Tag};

use super::identity::{AccountId, AccountName, UserId, UserName};
use super::organisation::OrganisationId;
use crate::commit::RepositoryId;
use crate::digest::Digest;
use crate::media_type::MediaType;

/// Who may pull without a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a repository is one or the other")]
pub enum Visibility {
    /// Nobody.
    #[default]
    Private,
    /// Everybody.
    Public,
}

/// What kind of thing a repository holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "backends and pages answer for every one")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Category {
    AppServer,
    Linux,
    Windows,
    Arm,
    FrameworkApp,
    Database,
    Lang,
    #[default]
    Other,
}

impl Category {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::AppServer,
        Self::Linux,
        Self::Windows,
        Self::Arm,
        Self::FrameworkApp,
        Self::Database,
        Self::Lang,
        Self::Other,
    ];

    /// Its name in documents and in stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppServer => "app_server",
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Arm => "arm",
            Self::FrameworkApp => "framework_app",
            Self::Database => "database",
            Self::Lang => "lang",
            Self::Other => "other",
        }
    }

    /// The category of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == text)
    }
}

/// What a repository's owner says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever sets it builds it")]
pub struct Attributes {
    /// Who may pull without a grant.
    pub visibility: Visibility,
    /// What kind of thing it holds.
    pub category: Category,
    /// Some words; at most [`Attributes::DESCRIPTION_CHARS_MAX`] characters.
    pub description: Box<str>,
}

impl Attributes {
    /// No description is longer, in characters.
    pub const DESCRIPTION_CHARS_MAX: usize = 30_000;
}

/// A repository, with what is counted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct RepositoryDetails {
    /// Its identity.
    pub id: RepositoryId,
    /// Its name.
    pub name: RepositoryName,
    /// The organisation it is in.
    pub organisation: OrganisationId,
    /// The account that owns the organisation.
    pub account: AccountId,
    /// That account's name.
    pub account_name: AccountName,
    /// What its owner says of it.
    pub attributes: Attributes,
    /// The user who made it, by the first push or by hand, under the name of that time. It may be gone by now.
    pub creator: Option<(UserId, UserName)>,
    /// When it was made: since when it is listed.
    pub created: DateTime<Utc>,
    /// When it was made, a tag in it was set or removed, or its attributes were changed last.
    pub updated: DateTime<Utc>,
    /// How many tags it has.
    pub versions: u64,
    /// How many pulls of manifests were observed, of those included that are gone by now.
    pub pulls: u64,
    /// The bytes of the blobs that it holds, each once.
    pub size: u64,
}

/// A version of a repository: a tag, and what is known of where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "backends build it")]
pub struct Version {
    /// The tag.
    pub tag: Tag,
    /// The manifest it points to.
    pub digest: Digest,
    /// The manifest's type.
    pub media_type: MediaType,
    /// The manifest, byte for byte.
    pub manifest: Bytes,
    /// The sum of the sizes that its manifest declares, of each digest once; for an index also of what the manifests
    /// below it declare that are there.
    pub size: u64,
    /// When the tag was set first since it is there.
    pub created: DateTime<Utc>,
    /// When it was set last.
    pub updated: DateTime<Utc>,
    /// How many pulls by the tag were observed.
    pub pulls: u64,
}
