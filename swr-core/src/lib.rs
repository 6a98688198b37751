#![doc = include_str!("../README.md")]

// Values.
pub mod byte_range;
pub mod caller;
pub mod commit;
pub mod descriptor;
pub mod digest;
pub mod error;
pub mod event;
pub mod manifest;
pub mod media_type;
pub mod reference;
pub mod remembered;
pub mod stream;
pub mod upload;

// What the engine needs.
pub mod ports;

// The engine.
pub mod registry;

// Who there is, and what they may do.
#[cfg(feature = "control")]
pub mod control;

// What the tests have to find.
#[doc(hidden)]
pub mod planted;

// The contracts as tests.
#[cfg(feature = "testing")]
pub mod testing;

pub use byte_range::ByteRange;
pub use error::{Error, ErrorCode};
pub use registry::{Access, Registry};
pub use swr_policy::{NameError, NameKind, OrganisationName, RepositoryName, Tag, TriggerName};
