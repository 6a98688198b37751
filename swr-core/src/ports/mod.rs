//! What the engine needs and does not do itself: one trait a file.
//!
//! [`blob_store`] and [`upload_store`] keep bytes, [`manifest_store`] keeps everything that must change
//! together, [`authorizer`] and [`tag_guard`] answer questions, [`event_sink`] listens, and [`clock`] knows
//! the present. With the feature `control`, [`metadata_store`] keeps who there is, [`control_authorizer`]
//! answers who may change that, and [`trace_sink`] listens to what was done. Whoever writes a backend runs the suites of `testing` (by feature) on it.

pub mod authorizer;
pub mod blob_store;
pub mod clock;
#[cfg(feature = "control")]
pub mod control_authorizer;
pub mod event_sink;
pub mod manifest_store;
#[cfg(feature = "control")]
pub mod metadata_store;
pub mod store_error;
pub mod tag_guard;
#[cfg(feature = "control")]
pub mod trace_sink;
#[cfg(feature = "control")]
pub mod trigger_action;
pub mod upload_store;

pub use authorizer::{Action, Ask, Authorizer, Candidates, Refusal, Verdict};
pub use blob_store::{BlobStat, BlobStore, Brought, ListedBlob};
pub use clock::{Clock, SystemClock};
#[cfg(feature = "control")]
pub use control_authorizer::{ControlAsk, ControlAuthorizer};
pub use event_sink::{DeliveryError, EventSink};
pub use manifest_store::{
    Backlog, BlobRecord, ContentState, Fence, KeptManifest, Lease, LinkedBlob, ManifestStore, Page,
    PullCount, Released, TagRecord, Unused, WithBytes,
};
#[cfg(feature = "control")]
pub use metadata_store::{
    AgingFacts, ClaimedDelivery, DailyUsage, Listing, MetadataStore, NewDelivery, Overview, RepositoryList,
    RepositoryOrder, RepositoryQuery, Tried, UsageKind, VersionOrder, VersionQuery, Viewer,
};
pub use store_error::{StoreError, StoreErrorKind};
pub use tag_guard::{MovableTags, TagGuard, TagMobility};
#[cfg(feature = "control")]
pub use trace_sink::TraceSink;
#[cfg(feature = "control")]
pub use trigger_action::{ActionError, TriggerAction};
pub use upload_store::{AbandonError, AppendError, FinishError, UploadStore};
