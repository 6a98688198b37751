//! A package on its way in: unpacked, kept where it can be read again, and looked through to its end before anything of
//! it is used.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use futures_util::stream;
use swr_core::Error;
use swr_core::ports::{StoreError, StoreErrorKind};
use swr_core::stream::{BodyError, ByteStream};

use crate::contents::{Collector, Contents, Part};
use crate::error::{Defect, ImportError, Reason};
use crate::options::ImportOptions;
use crate::progress::{Progress, Report, STEP};
use crate::read_tar::TarReader;
use crate::source::Source;

/// How much is read from a file at once.
const CHUNK: usize = 256 * 1024;
/// What data begins with that gzip has made.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A package that was read to its end and has nothing wrong with its shape.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) contents: Contents,
    file: Arc<File>,
}

impl Archive {
    /// Reads a package to its end. It is kept in the file that it comes from, where that is a plain archive, and else in
    /// a file without a name in the spool folder.
    pub(crate) async fn read(
        source: Source,
        options: &ImportOptions,
        report: &mut Report<'_>,
    ) -> Result<Self, ImportError> {
        let limit = options.package_bytes_max;
        let of = source.length();
        if of.is_some_and(|length| length > limit) {
            return Err(ImportError::TooLarge { limit });
        }
        let (mut bytes, mut told) = (0, 0);
        let (mut intake, mut source) = Intake::of(source, options);
        loop {
            let chunk = match &mut source {
                Left::Body(body) => match body.next().await {
                    Some(chunk) => Some(chunk.map_err(ImportError::Interrupted)?),
                    None => None,
                },
                Left::File => Some(Bytes::new()),
            };
            let Some(chunk) = chunk else { break };
            let step;
            (intake, step) = blocking(move || {
                let step = intake.take(&chunk);
                (intake, step)
            })
            .await?;
            let step = step?;
            bytes += step.read;
            for (name, size) in step.entries {
                report(Progress::Entry { name, size });
            }
            if step.read == 0 && matches!(source, Left::File) {
                break;
            }
            if bytes - told >= STEP {
                told = bytes;
                report(Progress::Read { bytes, of });
            }
        }
        if bytes > told {
            report(Progress::Read { bytes, of });
        }
        blocking(move || intake.finish()).await?
    }

    /// The whole of a file that is to be looked into.
    pub(crate) async fn bytes(&self, part: Part) -> Result<Bytes, ImportError> {
        let limit = usize::try_from(part.size).unwrap_or(usize::MAX);
        self.stream(part, &Arc::default()).collect(limit).await.map_err(|error| match error {
            BodyError::Interrupted(source) => ImportError::Unreadable(io::Error::other(source)),
            other => ImportError::Interrupted(other),
        })
    }

    /// The first few bytes of a file.
    pub(crate) async fn beginning(&self, part: Part, bytes: u64) -> Result<Bytes, ImportError> {
        self.bytes(Part { size: part.size.min(bytes), ..part }).await
    }

    /// A file, chunk by chunk; `read` says how many bytes were taken.
    pub(crate) fn stream(&self, part: Part, read: &Arc<AtomicU64>) -> ByteStream {
        let (file, taken) = (self.file.clone(), read.clone());
        let end = part.offset + part.size;
        let chunks = stream::try_unfold(part.offset, move |at| {
            let (file, taken) = (file.clone(), taken.clone());
            async move {
                if at == end {
                    return Ok(None);
                }
                let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                let read = blocking(move || read_at(&file, at, wanted)).await;
                let chunk = read.and_then(|read| read.map_err(ImportError::Unreadable));
                let chunk = chunk.map_err(|error| BodyError::Interrupted(error.into()))?;
                let next = at + chunk.len() as u64;
                taken.store(next - part.offset, Ordering::Relaxed);
                Ok(Some((chunk, next)))
            }
        });
        ByteStream::new(chunks.boxed(), Some(part.size))
    }
}

/// Reads what is to be read, or fails: an archive that was read once is as long as it was.
fn read_at(mut file: &File, at: u64, wanted: usize) -> io::Result<Bytes> {
    // One reader at a time: the place in the file is nobody else's.
    file.seek(SeekFrom::Start(at))?;
    let mut chunk = vec![0; wanted];
    file.read_exact(&mut chunk)?;
    Ok(chunk.into())
}

/// What is left of a source beside the file that an intake has.
enum Left {
    Body(ByteStream),
    File,
}

/// A package that is being read.
struct Intake {
    /// The file that it comes from, if from one.
    from: Option<File>,
    form: Form,
    /// How much has come, packed as it is.
    read: u64,
    limit: u64,
    headers_max: usize,
    spool: PathBuf,
    is_plain_file: bool,
}

enum Form {
    /// Not enough has come to tell.
    Untold(Vec<u8>),
    Plain(Box<Unpacked>),
    Gzip(Box<MultiGzDecoder<Unpacked>>),
}

/// What a step has brought.
struct Step {
    read: u64,
    entries: Vec<(Box<str>, u64)>,
}

impl Intake {
    fn of(source: Source, options: &ImportOptions) -> (Self, Left) {
        let (from, left, is_plain_file) = match source {
            Source::File { file, is_regular } => (Some(file), Left::File, is_regular),
            Source::Stream(body) => (None, Left::Body(body), false),
        };
        let intake = Self {
            from,
            form: Form::Untold(Vec::new()),
            read: 0,
            limit: options.package_bytes_max,
            headers_max: options.entries_max,
            spool: options.spool.clone(),
            is_plain_file,
        };
        (intake, left)
    }

    /// Takes in the chunk, or what comes next in the file.
    fn take(&mut self, chunk: &[u8]) -> Result<Step, ImportError> {
        let read = match &mut self.from {
            None => {
                self.bring(chunk)?;
                chunk.len()
            }
            Some(file) => {
                let mut chunk = vec![0; CHUNK];
                let read = file.read(&mut chunk).map_err(ImportError::Unreadable)?;
                self.bring(&chunk[..read])?;
                read
            }
        };
        let entries = match &mut self.form {
            Form::Untold(_) => Vec::new(),
            Form::Plain(unpacked) => unpacked.collector.take_fresh(),
            Form::Gzip(packed) => packed.get_mut().collector.take_fresh(),
        };
        Ok(Step { read: read as u64, entries })
    }

    fn bring(&mut self, chunk: &[u8]) -> Result<(), ImportError> {
        self.read += chunk.len() as u64;
        if self.read > self.limit {
            return Err(ImportError::TooLarge { limit: self.limit });
        }
        match &mut self.form {
            Form::Untold(begun) => {
                begun.extend_from_slice(chunk);
                if begun.len() < GZIP.len() {
                    return Ok(());
                }
                let begun = std::mem::take(begun);
                let is_packed = begun.starts_with(&GZIP);
                let spool = match self.is_plain_file && !is_packed {
                    true => None,
                    false => Some(spool_file(&self.spool)?),
                };
                let unpacked = Unpacked {
                    tar: TarReader::new(self.headers_max, self.limit),
                    collector: Collector::default(),
                    spool,
                    refused: None,
                };
                self.form = match is_packed {
                    true => Form::Gzip(Box::new(MultiGzDecoder::new(unpacked))),
                    false => Form::Plain(Box::new(unpacked)),
                };
                self.unpack(&begun)
            }
            Form::Plain(_) | Form::Gzip(_) => self.unpack(chunk),
        }
    }

    fn unpack(&mut self, chunk: &[u8]) -> Result<(), ImportError> {
        match &mut self.form {
            Form::Untold(_) => Ok(()),
            Form::Plain(unpacked) => unpacked.take(chunk),
            Form::Gzip(packed) => {
                let written = packed.write_all(chunk);
                written.map_err(|_| packed.get_mut().refusal())
            }
        }
    }

    fn finish(self) -> Result<Archive, ImportError> {
        let unpacked = match self.form {
            Form::Untold(begun) if begun.is_empty() => return Err(Defect::of(Reason::Empty).into()),
            Form::Untold(_) => return Err(Defect::of(Reason::NotTar).into()),
            Form::Plain(unpacked) => *unpacked,
            Form::Gzip(mut packed) => {
                let finished = packed.try_finish();
                finished.map_err(|_| packed.get_mut().refusal())?;
                packed.finish().map_err(|_| Defect::of(Reason::Gzip))?
            }
        };
        unpacked.tar.finish()?;
        let file = match (unpacked.spool, self.from) {
            (Some(spool), _) => spool,
            (None, Some(file)) => file,
            (None, None) => return Err(Defect::of(Reason::Empty).into()),
        };
        Ok(Archive { contents: unpacked.collector.finish(), file: Arc::new(file) })
    }
}

/// A file without a name, gone when it is closed, whatever becomes of the process.
fn spool_file(folder: &Path) -> Result<File, ImportError> {
    tempfile::tempfile_in(folder).map_err(unkept)
}

/// Why something could not be kept in the spool. Where there is no room for it the registry is as full as when there is
/// none for a blob.
fn unkept(error: io::Error) -> ImportError {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => ImportError::Registry(Error::StoreFull(StoreError::new(
            StoreErrorKind::Full,
            "packages.spool",
            error,
        ))),
        _ => ImportError::Unreadable(error),
    }
}

/// Where the plain archive goes: through the reader, and into the spool where there is one.
struct Unpacked {
    tar: TarReader,
    collector: Collector,
    spool: Option<File>,
    refused: Option<ImportError>,
}

impl Unpacked {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        // First the reader, which knows the limit: nothing beyond it is written.
        self.tar.feed(bytes, &mut self.collector)?;
        match &mut self.spool {
            Some(spool) => spool.write_all(bytes).map_err(unkept),
            None => Ok(()),
        }
    }

    /// Why unpacking stopped: what was found in the archive, or else what it was packed in.
    fn refusal(&mut self) -> ImportError {
        self.refused.take().unwrap_or_else(|| Defect::of(Reason::Gzip).into())
    }
}

impl Write for Unpacked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.refused.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.refused = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does work that may wait for a disk on a thread where that disturbs nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ImportError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => Err(ImportError::Unreadable(io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_without_room_is_a_full_registry_and_any_other_fault_is_one() {
        for (kind, is_full) in [
            (io::ErrorKind::StorageFull, true),
            (io::ErrorKind::QuotaExceeded, true),
            (io::ErrorKind::PermissionDenied, false),
        ] {
            let error = unkept(kind.into());
            assert_eq!(matches!(error, ImportError::Registry(Error::StoreFull(_))), is_full, "{error:?}");
            assert_eq!(matches!(error, ImportError::Unreadable(_)), !is_full, "{error:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_does_not_fit_into_the_spool_is_told_as_such() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let tar = TarReader::new(16, 1 << 20);
        let mut unpacked =
            Unpacked { tar, collector: Collector::default(), spool: Some(full), refused: None };
        let error = unpacked.take(&[0; 512]).unwrap_err();
        assert!(matches!(error, ImportError::Registry(Error::StoreFull(_))), "{error:?}");
    }
}
