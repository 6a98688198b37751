//! A blob linked from a repository that the caller may read.

use std::num::NonZeroU32;

use swr_policy::RepositoryName;
use tracing::instrument;

use super::access::{Access, Permitted, Readable, Refused, need};
use crate::caller::Caller;
use crate::commit::{Change, Require, StoredBlob};
use crate::digest::Digest;
use crate::error::Error;
use crate::ports::{Action, Candidates};

/// What came of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a door answers for both")]
pub enum Mounted {
    /// The repository holds the blob.
    Linked(StoredBlob),
    /// There is no such blob as far as the caller may know: it has to be uploaded.
    NotHere,
}

/// How many holders of a blob are tried for a mount that names none.
const HOLDERS_MAX: NonZeroU32 = NonZeroU32::new(32).expect("32 is not zero");

impl Access<'_> {
    /// Gives the repository a blob that another one holds, without moving a byte: `from` that one, or, where
    /// none is named, from one that the caller may read among the first few that hold it, those of the same
    /// first component first.
    ///
    /// A repository that the caller may not read, or its token not, is one that does not hold the blob. A stranger is asked to
    /// sign in, for both repositories at once, and so is a bearer whose token does not list them.
    #[instrument(level = "debug", skip_all, fields(%repository, %digest, from = from.map(tracing::field::display)))]
    pub async fn mount_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<Mounted, Error> {
        let permitted = self.permit_push(repository, &[]).await.map_err(|error| match (error, from) {
            (Error::Unauthorized { .. }, Some(from)) => unauthorized(repository, from),
            (error, _) => error,
        })?;
        let Some(from) = from else {
            return self.mount_from_any(&permitted, digest).await;
        };
        if !self.lists(from) {
            return Err(unauthorized(repository, from));
        }
        match self.within_reach(from).await? {
            Some(from) => permitted.mount(digest, &from).await,
            None if *self.caller() == Caller::Anonymous => Err(unauthorized(repository, from)),
            None => Ok(Mounted::NotHere),
        }
    }

    async fn mount_from_any(&self, permitted: &Permitted<'_>, digest: &Digest) -> Result<Mounted, Error> {
        let of = Candidates::HoldersOf { digest, near: permitted.repository, limit: HOLDERS_MAX };
        if let Some(holders) = self.readable_of(of).await? {
            for holder in holders.iter().take(HOLDERS_MAX.get() as usize) {
                if let linked @ Mounted::Linked(_) = permitted.mount(digest, holder).await? {
                    return Ok(linked);
                }
            }
            return Ok(Mounted::NotHere);
        }
        for holder in self.candidates(of).await? {
            if let Some(holder) = self.readable(&holder).await?
                && let linked @ Mounted::Linked(_) = permitted.mount(digest, &holder).await?
            {
                return Ok(linked);
            }
        }
        Ok(Mounted::NotHere)
    }
}

impl Permitted<'_> {
    async fn mount(&self, digest: &Digest, from: &Readable) -> Result<Mounted, Error> {
        let Some(linked) = self.parts.manifests.blob(from.name(), digest).await? else {
            return Ok(Mounted::NotHere);
        };
        let requires = vec![Require::BlobLinkedIn { repository: from.name().clone(), digest: *digest }];
        match self.commit(requires, vec![Change::LinkExisting(*digest)]).await {
            Ok(_) => Ok(Mounted::Linked(linked.stored)),
            Err(Refused::Unmet(_) | Refused::BytesGone) => Ok(Mounted::NotHere),
            Err(Refused::Other(error)) => Err(error),
        }
    }
}

fn unauthorized(repository: &RepositoryName, from: &RepositoryName) -> Error {
    Error::Unauthorized { needs: vec![need(Action::Push, repository), need(Action::Pull, from)] }
}
