//! What an operator must know of a store that failed.

use std::error::Error;
use std::fmt;

/// A store could not do what it was asked. Never absence: that is an answer.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of failure it was, as far as what to do next goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store is out of reach, busy, or too slow; the same request may succeed later.
    Unavailable,
    /// There is no room left; reading and removing go on.
    Full,
    /// What is kept is not what was stored.
    Corrupt,
    /// A writer that lost its lease, or never had it, tried to write.
    Fenced,
    /// Anything else.
    Other,
}

impl StoreError {
    /// A failure of `operation`, a name such as `manifests.commit`, because of `source`.
    pub fn new(
        kind: StoreErrorKind,
        operation: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, operation, source: Some(source.into()) }
    }

    /// A writer without the lease that its write depends on.
    pub fn fenced(operation: &'static str) -> Self {
        Self { kind: StoreErrorKind::Fenced, operation, source: None }
    }

    /// What kind of failure it was.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// What the store was asked.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the same request may succeed when it is made again later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::Full)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Unavailable => "is unavailable",
            StoreErrorKind::Full => "is full",
            StoreErrorKind::Corrupt => "holds damaged content",
            StoreErrorKind::Fenced => "refused a writer without its lease",
            StoreErrorKind::Other => "failed",
        };
        write!(f, "the store {what} ({})", self.operation)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
