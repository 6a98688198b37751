//! The control plane: who there is, what they may do, and what they have done (feature `control`).
//!
//! [`ControlPlane`] is the counterpart of [`Registry`]: nothing is done on it directly;
//! [`ControlPlane::access`] is the control plane as one caller may use it, and [`ControlPlane::administration`] as
//! whoever runs the registry does, past every right.
//!
//! Values come from one file each; everything is kept by a
//! [`MetadataStore`] and decided by a [`ControlAuthorizer`].

mod access;
mod aging;
pub mod change;
pub mod credential;
pub mod error;
pub mod grant;
mod grants;
pub mod identity;
pub mod organisation;
mod organisations;
mod packages;
mod people;
mod repositories;
pub mod repository;
pub mod rule;
pub mod session;
pub mod share;
mod shares;
pub mod standing;
pub mod sync;
mod syncs;
pub mod trace;
mod trace_relay;
mod trail;
pub mod trigger;
mod triggers;
mod uuid_text;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use swr_policy::OrganisationName;

use crate::caller::{Actor, Caller, Origin, Task};
use crate::ports::{Clock, ControlAuthorizer, MetadataStore, SystemClock};
use crate::registry::Registry;

pub use access::ControlAccess;
pub use aging::{Aged, DryRun};
pub use error::ControlError;
pub use people::{Founder, NewAccount, NewUser};
pub use trace_relay::TraceRelay;
pub use triggers::{Courier, FannedOut, retry_after};

/// Who may do what in a registry. Cheap to clone; all clones are the same control plane.
///
/// Every operation may be dropped at any point: others see all of it or nothing.
#[derive(Clone)]
pub struct ControlPlane(Arc<Parts>);

/// What a control plane is made of.
struct Parts {
    registry: Registry,
    metadata: Arc<dyn MetadataStore>,
    authorizer: Arc<dyn ControlAuthorizer>,
    clock: Arc<dyn Clock>,
    limits: ControlLimits,
}

/// How many of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..ControlLimits::default()`")]
pub struct ControlLimits {
    /// How many organisations a user may have created, of those that there are. 5.
    pub organisations_per_user: u32,
    /// How many organisations an account may own. `None`: any number, which is the default.
    pub organisations_per_account: Option<u32>,
    /// How many accounts a repository may be shared with. 500.
    pub shares_per_repository: u32,
    /// How many access keys a user may have. 10.
    pub keys_per_user: u32,
    /// How many triggers a repository may have. 100.
    pub triggers_per_repository: u32,
    /// The regions that images may be synchronised to: other deployments. None.
    pub regions: Vec<Box<str>>,
    /// Names that no organisation may have. `manage`, where the management protocol has its paths.
    pub reserved: Vec<OrganisationName>,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            organisations_per_user: 5,
            organisations_per_account: None,
            shares_per_repository: 500,
            keys_per_user: 10,
            triggers_per_repository: 100,
            regions: Vec::new(),
            reserved: ["manage"].iter().filter_map(|name| OrganisationName::parse(name).ok()).collect(),
        }
    }
}

impl ControlPlane {
    /// The control plane of `registry`. `metadata` is the same store as the registry's manifests, and `authorizer`
    /// goes by the same rights as the registry's own.
    pub fn new(
        registry: Registry,
        metadata: Arc<dyn MetadataStore>,
        authorizer: Arc<dyn ControlAuthorizer>,
    ) -> Self {
        Self::with(registry, metadata, authorizer, Arc::new(SystemClock), ControlLimits::default())
    }

    /// As [`Self::new`], with another clock and other limits.
    pub fn with(
        registry: Registry,
        metadata: Arc<dyn MetadataStore>,
        authorizer: Arc<dyn ControlAuthorizer>,
        clock: Arc<dyn Clock>,
        limits: ControlLimits,
    ) -> Self {
        Self(Arc::new(Parts { registry, metadata, authorizer, clock, limits }))
    }

    /// The control plane as this caller may use it. `origin` goes into the traces of what the caller does.
    pub fn access(&self, caller: Caller, origin: Origin) -> ControlAccess<'_> {
        ControlAccess::new(&self.0, Actor::Caller(caller), origin)
    }

    /// The control plane past every right: for whoever runs the registry, on its own machine.
    pub fn administration(&self, origin: Origin) -> ControlAccess<'_> {
        ControlAccess::new(&self.0, Actor::Caretaker(Task::Administration), origin)
    }

    /// The registry whose control plane this is.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Where everything is kept.
    pub fn metadata(&self) -> &Arc<dyn MetadataStore> {
        &self.0.metadata
    }

    /// The present, by the clock that every operation goes by.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// How many of everything.
    pub fn limits(&self) -> &ControlLimits {
        &self.0.limits
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { registry, authorizer, limits, .. } = &*self.0;
        f.debug_struct("ControlPlane")
            .field("registry", registry)
            .field("authorizer", authorizer)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}
