#![doc = include_str!("../README.md")]

pub mod accept;
#[cfg(any(feature = "kubernetes", feature = "webhook"))]
pub mod actions;
mod admission;
pub mod authenticate;
mod base;
mod blobs;
mod body;
mod catalogue;
pub mod condition;
pub mod content_range;
#[cfg(feature = "control")]
pub mod control;
pub mod door;
pub mod endpoint;
mod error_response;
mod exchange;
mod headers;
mod manifests;
mod observe;
mod paging;
mod referrers;
#[cfg(feature = "axum")]
mod router;
#[cfg(feature = "serve")]
pub mod serve;
mod service;
mod source;
mod tags;
#[cfg(feature = "control")]
pub mod token;
mod uploads;
mod visit;

pub use admission::{Admission, AdmissionLimits, Rate, Share};
pub use body::{Patience, ResponseBody};
pub use endpoint::{Endpoint, EndpointKind};
pub use observe::{RequestObserver, RequestReport};
pub use paging::PageQuery;
#[cfg(feature = "axum")]
pub use router::router;
#[cfg(feature = "serve")]
pub use serve::{ServeOptions, Tls, serve, serve_until};
pub use service::{MountPoint, MountPointError, RegistryService, ServiceOptions, WarningSource};
pub use source::{Network, NetworkError, PeerAddress, RequestId};
