//! May this caller?

use std::fmt::Debug;
use std::num::NonZeroU32;

use async_trait::async_trait;
use swr_policy::{RepositoryName, Tag};

use crate::caller::Caller;
use crate::commit::Grounds;
use crate::digest::Digest;
use crate::ports::{Page, StoreError};

/// Decides what a caller may do. An error denies.
#[async_trait]
pub trait Authorizer: Debug + Send + Sync + 'static {
    /// Whether `caller` may do what it asks.
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError>;

    /// Which of the candidates the caller may pull, in the candidates' order. `None`: the engine looks
    /// the candidates up itself and asks [`Self::decide`] for each, within a bound.
    async fn readable(
        &self,
        _caller: &Caller,
        _of: Candidates<'_>,
    ) -> Result<Option<Vec<RepositoryName>>, StoreError> {
        Ok(None)
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks builds it")]
pub struct Ask<'a> {
    /// What is to be done.
    pub action: Action,
    /// The repository it is done to.
    pub repository: &'a RepositoryName,
    /// The tags it is done to; empty where none is named.
    pub tags: &'a [Tag],
}

/// What can be done to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an authorizer must answer for every one")]
pub enum Action {
    /// Read its content and its lists.
    Pull,
    /// Add content, set and move tags.
    Push,
    /// Remove content and tags.
    Delete,
}

/// Which repositories are candidates.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "an authorizer that lists must answer for both")]
pub enum Candidates<'a> {
    /// All of them, page by page: the catalogue. The page is one of those that the caller may pull.
    All(&'a Page<RepositoryName>),
    /// Those that hold the blob, at most `limit`, those of the same first component as `near` first: what
    /// [`ManifestStore::holders`](crate::ports::ManifestStore::holders) answers.
    HoldersOf {
        /// The blob.
        digest: &'a Digest,
        /// The repository that wants it.
        near: &'a RepositoryName,
        /// How many at most.
        limit: NonZeroU32,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the engine must act on every one")]
pub enum Verdict {
    /// Yes, resting on these facts: a commit checks them again.
    Allow(Grounds),
    /// No, and this is what a signed-in caller reads.
    Deny(Refusal),
    /// No, and for a signed-in caller there is nothing there.
    Hide,
}

/// The sentence of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<str>);

impl Refusal {
    /// A refusal in these words.
    pub fn new(sentence: impl Into<Box<str>>) -> Self {
        Self(sentence.into())
    }

    /// The words.
    pub fn sentence(&self) -> &str {
        &self.0
    }
}

impl Default for Refusal {
    fn default() -> Self {
        Self::new("you do not have the permission")
    }
}
