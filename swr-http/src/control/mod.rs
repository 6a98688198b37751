//! The management protocol: organisations, repositories, grants, shares, aging rules, triggers, logins and the audit
//! trail over HTTP, and the accounts, users and keys of the deployment (feature `control`).
//!
//! [`ManagementService`] is the counterpart of [`RegistryService`](crate::RegistryService): address and body become
//! values ([`ManagementEndpoint`]), one operation of a [`ControlPlane`](swr_core::control::ControlPlane) is called,
//! values become a document. Its own description is at `/v2/manage/openapi.json`.

mod account;
pub mod administration;
mod body;
pub mod endpoint;
mod error;
mod exchange;
pub mod filter;
mod grants;
mod logins;
mod namespaces;
mod openapi;
#[cfg(feature = "packages")]
pub mod packages;
pub mod paging;
mod parameters;
pub(crate) mod refusals;
mod repositories;
mod retentions;
#[cfg(feature = "axum")]
mod router;
mod service;
mod sharing;
mod sync;
mod tags;
mod traces;
pub(crate) mod triggers;

/// What triggers of other doors may say of what they tell and update.
pub mod targets {
    pub use super::triggers::{CLUSTER_BYTES_MAX, is_address, is_name, signs};
}

pub use account::REPORT_DAYS_MAX;
pub use endpoint::ManagementEndpoint;
pub use error::status_of;
pub use refusals::Refusals;
#[cfg(feature = "axum")]
pub use router::router;
pub use service::{ManagementOptions, ManagementService};
pub use traces::trace_document;
