//! What is known of an upload between two requests: a record in the keeper of sessions.

use chrono::{DateTime, SubsecRound as _, Utc};
use object_store::MultipartId;
use serde::{Deserialize, Serialize};
use swr_core::commit::StoredBlob;
use swr_core::digest::Hasher;
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::upload::{Upload, UploadId};

use super::Bucket;
use super::keys::{Object, Segment};
use crate::upload_sessions::UploadSession;

/// A session as this process saw it last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    /// Counts its changes. Whoever changes it may use the number for a key.
    version: u64,
    /// When the upload was begun, or a byte came last.
    touched: DateTime<Utc>,
    pub(super) record: Record,
}

/// What a session remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The upload, at the offset that the next bytes are taken at.
    pub(super) upload: Upload,
    /// The state of its hash after exactly these bytes.
    pub(super) hash: String,
    /// Which opened store saved it, so that two that want the same are told apart.
    saved_by: UploadId,
    /// What these bytes were written as.
    pub(super) segments: Vec<Segment>,
    /// What may be in the bucket beside them, and may come to count.
    pub(super) reserved: Vec<Reserved>,
    /// What may be in the bucket, and will never count any more.
    pub(super) spent: Vec<Reserved>,
    /// What finishing it gave.
    pub(super) stored: Option<StoredBlob>,
    /// Whether it is being removed: it is unknown from then on.
    pub(super) abandoned: bool,
}

/// An object that has been named, and may or may not be there: under way, left by whoever did not come to an
/// end, or replaced by another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reserved {
    pub(super) object: Object,
    /// The multipart upload that was to become it.
    pub(super) multipart: Option<MultipartId>,
}

/// Why a change of a session was not made.
#[derive(Debug)]
pub(super) enum Halt {
    /// Somebody else has changed it so that this change makes no sense any more.
    Lost,
    /// A store failed.
    Store(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Record {
    /// Whether the upload is open, and at this offset.
    pub(super) fn stands_at(&self, offset: u64) -> Result<(), Halt> {
        let open = self.stored.is_none() && !self.abandoned;
        if open && self.upload.offset == offset { Ok(()) } else { Err(Halt::Lost) }
    }

    /// The hash state after the bytes that are here. `None` when it was saved by a version that writes
    /// another shape: the bytes have to be read again.
    pub(super) fn hasher(&self) -> Option<Hasher> {
        Hasher::restore(&self.hash).filter(|hasher| hasher.algorithm() == self.upload.algorithm)
    }

    /// Takes `objects`, which are to count from here on, from what is reserved. One that is not among it any
    /// more is being removed by somebody.
    pub(super) fn settle(&mut self, objects: &[Object]) -> Result<(), Halt> {
        for object in objects {
            let found = self.reserved.iter().position(|reserved| reserved.object == *object);
            self.reserved.swap_remove(found.ok_or(Halt::Lost)?);
        }
        Ok(())
    }

    /// What may be in the bucket and does not count.
    pub(super) fn left_over(&self) -> impl Iterator<Item = Reserved> {
        self.reserved.iter().chain(&self.spent).cloned()
    }

    /// Everything that may be in the bucket because of the upload, as something to be removed.
    pub(super) fn everything(&self) -> Vec<Reserved> {
        let segments = self.segments.iter().map(|segment| Reserved::written(segment.object()));
        segments.chain(self.left_over()).collect()
    }
}

impl Reserved {
    /// An object that has been written whole.
    pub(super) fn written(object: Object) -> Self {
        Self { object, multipart: None }
    }
}

impl Session {
    /// A new upload's.
    pub(super) fn begun(upload: &Upload) -> Self {
        let record = Record {
            upload: Upload { offset: 0, ..upload.clone() },
            hash: Hasher::new(upload.algorithm).save(),
            saved_by: upload.id.clone(),
            segments: Vec::new(),
            reserved: Vec::new(),
            spent: Vec::new(),
            stored: None,
            abandoned: false,
        };
        Self { version: 1, touched: upload.begun.trunc_subsecs(6), record }
    }

    pub(super) fn id(&self) -> &UploadId {
        &self.record.upload.id
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Says that bytes come at this time. It is saved with whatever changes next.
    pub(super) fn touch(&mut self, at: DateTime<Utc>) {
        self.touched = self.touched.max(at.trunc_subsecs(6));
    }

    /// Reads what a keeper has.
    pub(super) fn decode(kept: UploadSession) -> Result<Self, StoreError> {
        let UploadSession { id, version, touched, record } = kept;
        let read: Result<Record, _> = serde_json::from_str(&record);
        let damaged = |why: String| {
            let what = format!("the session of the upload {id} cannot be read: {why}");
            Err(StoreError::new(StoreErrorKind::Corrupt, "sessions.read", what))
        };
        match read {
            Ok(record) if record.upload.id == id => Ok(Self { version, touched, record }),
            Ok(record) => damaged(format!("it is that of {}", record.upload.id)),
            Err(error) => damaged(error.to_string()),
        }
    }

    fn encode(&self) -> Result<UploadSession, StoreError> {
        let wrong = |why: String| StoreError::new(StoreErrorKind::Other, "sessions.save", why);
        let record = serde_json::to_string(&self.record).map_err(|error| wrong(error.to_string()))?;
        if record.len() > UploadSession::RECORD_BYTES_MAX {
            return Err(wrong(format!("the session of {} would take {} bytes", self.id(), record.len())));
        }
        Ok(UploadSession { id: self.id().clone(), version: self.version, touched: self.touched, record })
    }
}

impl Bucket {
    /// The session of `id`, as it was saved last.
    pub(super) async fn session(&self, id: &UploadId) -> Result<Option<Session>, StoreError> {
        self.sessions.find(id).await?.map(Session::decode).transpose()
    }

    /// Saves the session of a new upload.
    pub(super) async fn begin(&self, session: &Session) -> Result<bool, StoreError> {
        self.sessions.save(&session.encode()?).await
    }

    /// Takes the session of an open upload one step further, in one step for whoever looks. Where somebody else
    /// came first, and the upload is open still and at the same offset, `step` is asked once more of what the
    /// session is then; it answers [`Halt::Lost`] where there is nothing left to be done.
    pub(super) async fn advance(
        &self,
        session: &mut Session,
        step: impl Fn(&mut Session) -> Result<(), Halt> + Send + Sync,
    ) -> Result<(), Halt> {
        let offset = session.record.upload.offset;
        loop {
            session.record.stands_at(offset)?;
            let mut next = session.clone();
            next.version += 1;
            next.record.saved_by = self.name.clone();
            step(&mut next)?;
            match self.sessions.save(&next.encode()?).await {
                Ok(true) => {
                    *session = next;
                    return Ok(());
                }
                Ok(false) => {
                    let mut found = self.session(session.id()).await?.ok_or(Halt::Lost)?;
                    found.touch(session.touched);
                    *session = found;
                }
                // It may have been kept all the same.
                Err(error) => match self.session(session.id()).await {
                    Ok(Some(found)) if found == next => {
                        *session = found;
                        return Ok(());
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use swr_core::caller::{Caller, Identity};
    use swr_core::commit::BlobLocation;
    use swr_core::digest::Algorithm;

    use super::super::folding::SEGMENTS_MAX;
    use super::super::uploads::RESERVED_MAX;
    use super::*;

    fn session() -> Session {
        Session::begun(&Upload {
            id: UploadId::random(),
            repository: "library/hello".parse().unwrap(),
            owner: Caller::Anonymous,
            algorithm: Algorithm::Sha256,
            begun: DateTime::UNIX_EPOCH,
            offset: 0,
        })
    }

    #[test]
    fn a_session_reads_back_as_it_was_kept() {
        let session = session();
        assert_eq!(Session::decode(session.encode().unwrap()).unwrap(), session);
    }

    #[test]
    fn what_is_no_session_of_the_upload_is_damage() {
        let kept = session().encode().unwrap();
        for bad in [
            UploadSession { record: String::new(), ..kept.clone() },
            UploadSession { record: "{}".into(), ..kept.clone() },
            UploadSession { id: UploadId::random(), ..kept },
        ] {
            assert_eq!(Session::decode(bad).unwrap_err().kind(), StoreErrorKind::Corrupt);
        }
    }

    /// With every number as long as it gets, and multipart uploads of a length that no store gives them.
    #[test]
    fn the_most_that_a_session_names_fits() {
        let mut session = session();
        let name = ["n"; 127].join("/");
        let upload = &mut session.record.upload;
        upload.repository = name.parse().unwrap();
        upload.owner = Caller::User(Identity::new("o".repeat(1000)));
        upload.offset = u64::MAX;
        let longest = Segment { number: 1 << 53, length: 1 << 53 };
        session.record.segments = vec![longest; SEGMENTS_MAX];
        let folded = Reserved::written(Object::Segment(1 << 53));
        let cut_off = Reserved { multipart: Some("m".repeat(1000)), ..folded.clone() };
        session.record.reserved = vec![cut_off; RESERVED_MAX];
        session.record.spent = vec![folded; SEGMENTS_MAX];
        let location = BlobLocation::new("l".repeat(40 * SEGMENTS_MAX));
        let digest = Algorithm::Sha512.digest(b"");
        session.record.stored = Some(StoredBlob { digest, size: u64::MAX, location });
        session.encode().unwrap();
    }

    #[test]
    fn a_record_that_is_too_long_is_refused() {
        let mut session = session();
        session.record.hash = "h".repeat(UploadSession::RECORD_BYTES_MAX);
        assert_eq!(session.encode().unwrap_err().kind(), StoreErrorKind::Other);
    }

    #[test]
    fn a_hash_state_of_another_version_or_algorithm_is_not_taken_up() {
        let mut record = session().record;
        assert!(record.hasher().is_some());
        record.hash = "sha2-9.9:sha256:00".into();
        assert!(record.hasher().is_none());
        record.hash = Hasher::new(Algorithm::Sha512).save();
        assert!(record.hasher().is_none());
    }
}
