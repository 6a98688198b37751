//! Who asks, who acts, and from where.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use swr_policy::RepositoryName;

use crate::ports::Action;

/// Who asks: made by an authenticator, never by a request itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "an authorizer must answer for every kind")]
pub enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// Somebody who has shown who they are.
    User(Identity),
}

/// A name that an authenticator vouches for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The identity of this name. Whoever calls this says that it was proven.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name, as the authenticator gave it.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token lists: the repositories that it was asked for, and what it gives in each; perhaps nothing; and whether
/// it is for the catalogue. Its bearer has no right beyond it, and none that its subject has lost since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Shared, since a token is shown more than once.
    repositories: Arc<BTreeMap<RepositoryName, BTreeSet<Action>>>,
    catalogue: bool,
}

impl Reach {
    /// The same, and the catalogue.
    pub fn with_catalogue(self) -> Self {
        Self { catalogue: true, ..self }
    }

    /// Whether it is for the catalogue.
    pub fn has_catalogue(&self) -> bool {
        self.catalogue
    }

    /// What is given in the repository; `None` when it is not listed.
    pub fn of(&self, repository: &RepositoryName) -> Option<&BTreeSet<Action>> {
        self.repositories.get(repository)
    }

    /// Whether `action` is given in the repository.
    pub fn covers(&self, repository: &RepositoryName, action: Action) -> bool {
        self.of(repository).is_some_and(|given| given.contains(&action))
    }
}

impl FromIterator<(RepositoryName, BTreeSet<Action>)> for Reach {
    /// A repository that comes twice is given both.
    fn from_iter<I: IntoIterator<Item = (RepositoryName, BTreeSet<Action>)>>(listed: I) -> Self {
        let mut repositories = BTreeMap::<_, BTreeSet<_>>::new();
        for (repository, actions) in listed {
            repositories.entry(repository).or_default().extend(actions);
        }
        Self { repositories: Arc::new(repositories), catalogue: false }
    }
}

/// Who a change is recorded under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a record of who did it has to know everyone who can")]
pub enum Actor {
    /// A caller that was permitted.
    Caller(Caller),
    /// The registry itself, unasked.
    Caretaker(Task),
}

/// What the registry does to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// Removes what nothing needs.
    Collection,
    /// Removes uploads that nobody finishes.
    UploadSweep,
    /// Removes versions by a repository's rule.
    Aging,
    /// Reads everything again and sets aside what is broken.
    Scrub,
    /// What whoever runs the registry does to it on its own machine, past every right.
    Administration,
}

impl Task {
    /// Its name in records, logs and leases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::UploadSweep => "upload_sweep",
            Self::Aging => "aging",
            Self::Scrub => "scrub",
            Self::Administration => "administration",
        }
    }
}

/// Where a request came from: what a trace of it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "doors build it")]
pub struct Origin {
    /// The address of the client, proxies that the host trusts apart.
    pub source: Option<IpAddr>,
    /// The id that the host gave the request.
    pub request_id: Option<Box<str>>,
    /// The way it came in.
    pub channel: Channel,
    /// The method and the path of the request, where it was one: `PUT /v2/…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<str>>,
}

/// The ways in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the audit trail knows these three")]
pub enum Channel {
    /// By the registry's or the management protocol.
    #[default]
    Api,
    /// By a person on a page.
    Console,
    /// From inside.
    System,
}
