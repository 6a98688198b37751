//! May this tag move?

use std::fmt::Debug;

use async_trait::async_trait;
use swr_policy::{RepositoryName, Tag};

use crate::ports::StoreError;

/// Says whether a tag, once set, may be moved or removed.
#[async_trait]
pub trait TagGuard: Debug + Send + Sync + 'static {
    /// The mobility of `tag`, set or not.
    async fn mobility(&self, repository: &RepositoryName, tag: &Tag) -> Result<TagMobility, StoreError>;
}

/// Whether a tag, once set, may be moved or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a tag moves or does not")]
pub enum TagMobility {
    /// It may.
    Movable,
    /// It may not; setting it to what it has is no move.
    Fixed,
}

/// Every tag may move.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct MovableTags;

#[async_trait]
impl TagGuard for MovableTags {
    async fn mobility(&self, _: &RepositoryName, _: &Tag) -> Result<TagMobility, StoreError> {
        Ok(TagMobility::Movable)
    }
}
