//! Bytes on their way into one object: at once if they are few, or else in parts of one length.

use std::sync::Arc;

use object_store::multipart::PartId;
use object_store::{MultipartId, PutPayload};
use swr_core::ports::{StoreError, StoreErrorKind};
use tokio::task::{JoinError, JoinSet};

use super::keys::{Object, Segment};
use super::sessions::{Halt, Reserved, Session};
use super::{Bucket, fault};

/// How many parts a segment has at most: what S3 takes.
const PARTS_MAX: u64 = 10_000;

/// Writes one segment. Whatever comes to be in the bucket is reserved in the session before.
pub(super) struct SegmentWriter {
    bucket: Arc<Bucket>,
    operation: &'static str,
    /// How many bytes came.
    length: u64,
    /// The last of them, one part at most.
    part: Vec<u8>,
    /// The object's number, once it has one.
    number: Option<u64>,
    /// The parts before `part`, where there are any.
    parts: Option<Parts>,
}

/// The parts of a multipart upload.
struct Parts {
    number: u64,
    multipart: MultipartId,
    /// How many there are, written or under way.
    count: usize,
    under_way: JoinSet<object_store::Result<(usize, PartId)>>,
    written: Vec<(usize, PartId)>,
}

impl SegmentWriter {
    /// A segment that has no bytes yet.
    pub(super) fn new(bucket: &Arc<Bucket>, operation: &'static str) -> Self {
        let bucket = bucket.clone();
        Self { bucket, operation, length: 0, part: Vec::new(), number: None, parts: None }
    }

    /// How many bytes it still takes.
    pub(super) fn room(&self) -> u64 {
        (PARTS_MAX * self.bucket.options.part_bytes as u64).saturating_sub(self.length)
    }

    /// Takes in what comes next, which is no more than there is room for.
    pub(super) async fn push(&mut self, session: &mut Session, mut bytes: &[u8]) -> Result<(), Halt> {
        let part_bytes = self.bucket.options.part_bytes;
        while !bytes.is_empty() {
            // Not before more has come: the last part may be shorter, and a single one is an object by itself.
            if self.part.len() == part_bytes {
                self.send_part(session).await?;
            }
            let fits = part_bytes - self.part.len();
            if self.parts.is_some() {
                self.part.reserve_exact(fits);
            }
            let (now, later) = bytes.split_at(bytes.len().min(fits));
            self.part.extend_from_slice(now);
            self.length += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Ends the segment. It counts once the session says so; `None` when no byte came.
    pub(super) async fn end(&mut self, session: &mut Session) -> Result<Option<Segment>, Halt> {
        if self.length == 0 {
            return Ok(None);
        }
        let number = if self.parts.is_some() {
            self.send_part(session).await?;
            self.complete(session).await?
        } else {
            let number = self.name(session).await?;
            let bytes = std::mem::take(&mut self.part);
            self.bucket.put(self.operation, session.id(), Object::Segment(number), bytes).await?;
            number
        };
        Ok(Some(Segment { number, length: self.length }))
    }

    /// Removes what was written in vain.
    pub(super) async fn give_up(self, session: &Session) {
        let Some(number) = self.number else { return };
        let mut multipart = None;
        if let Some(mut parts) = self.parts {
            parts.under_way.shutdown().await;
            multipart = Some(parts.multipart);
        }
        let unwanted = Reserved { object: Object::Segment(number), multipart };
        self.bucket.give_up(self.operation, session, unwanted).await;
    }

    /// Gives the segment a number that is its own.
    async fn name(&mut self, session: &mut Session) -> Result<u64, Halt> {
        let number = self.bucket.reserve(self.operation, session, Object::Segment).await?;
        Ok(*self.number.insert(number))
    }

    /// Begins a multipart upload, whose id is in the session before its first part.
    async fn begin_parts(&mut self, session: &mut Session) -> Result<&mut Parts, Halt> {
        let number = self.name(session).await?;
        let object = Object::Segment(number);
        let created = self.bucket.multiparts.create_multipart(&object.key(session.id())).await;
        let multipart = created.map_err(|error| fault(self.operation, error))?;
        let (under_way, written) = (JoinSet::new(), Vec::new());
        let parts = self.parts.insert(Parts { number, multipart, count: 0, under_way, written });
        self.bucket
            .advance(session, |session| {
                let reserved = session.record.reserved.iter_mut().find(|reserved| reserved.object == object);
                reserved.ok_or(Halt::Lost)?.multipart = Some(parts.multipart.clone());
                Ok(())
            })
            .await?;
        Ok(parts)
    }

    /// Sends the part on its way, once there is room for it there.
    async fn send_part(&mut self, session: &mut Session) -> Result<(), Halt> {
        let bytes = PutPayload::from(std::mem::take(&mut self.part));
        let (operation, bucket) = (self.operation, self.bucket.clone());
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.begin_parts(session).await?,
        };
        while let Some(ended) = parts.under_way.try_join_next() {
            parts.landed(operation, ended)?;
        }
        let permit = bucket.parts.clone().acquire_owned().await;
        let (key, multipart) = (Object::Segment(parts.number).key(session.id()), parts.multipart.clone());
        let at = parts.count;
        parts.count += 1;
        parts.under_way.spawn(async move {
            let _permit = permit;
            Ok((at, bucket.multiparts.put_part(&key, &multipart, at, bytes).await?))
        });
        Ok(())
    }

    /// Makes an object of the parts, and gives its number.
    async fn complete(&mut self, session: &Session) -> Result<u64, Halt> {
        let Some(parts) = &mut self.parts else { return Err(Halt::Lost) };
        while let Some(ended) = parts.under_way.join_next().await {
            parts.landed(self.operation, ended)?;
        }
        parts.written.sort_unstable_by_key(|(at, _)| *at);
        let written = parts.written.drain(..).map(|(_, part)| part).collect();
        let (id, object) = (session.id(), Object::Segment(parts.number));
        let (key, multiparts) = (object.key(id), &self.bucket.multiparts);
        if let Err(error) = multiparts.complete_multipart(&key, &parts.multipart, written).await {
            // Its answer may have been lost alone, and asked once more a store knows of no such upload. Objects
            // come whole or not at all, and nobody else writes this one.
            match self.bucket.length_of(self.operation, id, object).await {
                Ok(Some(found)) if found == self.length => {}
                _ => return Err(fault(self.operation, error).into()),
            }
        }
        Ok(parts.number)
    }
}

impl Parts {
    fn landed(
        &mut self,
        operation: &'static str,
        ended: Result<object_store::Result<(usize, PartId)>, JoinError>,
    ) -> Result<(), StoreError> {
        match ended {
            Ok(Ok(part)) => {
                self.written.push(part);
                Ok(())
            }
            Ok(Err(error)) => Err(fault(operation, error)),
            Err(stopped) => Err(StoreError::new(StoreErrorKind::Unavailable, operation, stopped)),
        }
    }
}
