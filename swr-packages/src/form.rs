//! Files that a browser or `curl` sends together: `multipart/form-data` (RFC 7578), read as it comes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use swr_core::stream::{BodyError, ByteStream};

use crate::import::Files;
use crate::source::Package;

/// How long a boundary may be, in bytes (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// How long what stands before a part may be, in bytes: its headers, or what comes before the first boundary.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// How much of a file's name is kept, in characters.
const NAME_CHARS_MAX: usize = 255;

/// A form on its way in: its parts come one after the other. Holds one chunk of the body, and the head of a part.
#[derive(Debug)]
pub struct Form(Slot);

/// A part of a form.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part {
    /// The name of its field.
    pub name: Box<str>,
    /// What its sender calls the file; `None` where it is no file.
    pub file_name: Option<Box<str>>,
    /// What it holds. It breaks off where the form does.
    pub body: ByteStream,
}

/// What is wrong with a form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The type of the content names no boundary.
    #[error("the type of the form names no boundary")]
    NoBoundary,
    /// It is not written as forms are.
    #[error("the form is malformed: {0}")]
    Malformed(&'static str),
    /// It goes on past what may be taken.
    #[error("the form is longer than {limit} bytes")]
    TooLong {
        /// The bytes that may be taken.
        limit: u64,
    },
    /// It broke off on its way here; `None` where a part of it has told so.
    #[error("the form broke off before its end")]
    Interrupted(#[source] Option<BodyError>),
}

/// Where the reader is while no part has it.
type Slot = Arc<Mutex<Option<Reader>>>;

impl Form {
    /// Whether a body of this type is a form.
    pub fn is_one(content_type: &str) -> bool {
        let (kind, _) = content_type.split_once(';').unwrap_or((content_type, ""));
        kind.trim().eq_ignore_ascii_case("multipart/form-data")
    }

    /// The form that a body of this type is, of at most so many bytes in all.
    pub fn new(content_type: &str, body: ByteStream, limit: u64) -> Result<Self, FormError> {
        let boundary = parameter(content_type, "boundary").filter(|boundary| is_boundary(boundary));
        let boundary = boundary.ok_or(FormError::NoBoundary)?;
        let reader = Reader {
            chunks: body.into_chunks(),
            // As if a line had ended before the first boundary.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: format!("\r\n--{boundary}").into_bytes().into(),
            limit,
            left: limit,
            place: Place::Before,
        };
        Ok(Self(Arc::new(Mutex::new(Some(reader)))))
    }

    /// The next part; `None` at the end of the form. What is left of the part before is passed over, when nobody has
    /// it any more.
    pub async fn next(&mut self) -> Result<Option<Part>, FormError> {
        let mut lent = Lent { reader: None, slot: self.0.clone() };
        let reader = lent.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reader = lent.reader.insert(reader.ok_or(FormError::Interrupted(None))?);
        while reader.chunk().await?.is_some() {}
        let Some((name, file_name)) = reader.head().await? else { return Ok(None) };
        Ok(Some(Part { name, file_name, body: ByteStream::new(lent.into_chunks(), None) }))
    }

    /// The files of the form, by what their sender calls them. Fields that are none are passed over.
    pub fn into_files(self) -> Files {
        let files = stream::try_unfold(self, |mut form| async move {
            while let Some(part) = form.next().await? {
                if let Some(name) = part.file_name {
                    return Ok(Some(((name, Package::stream(part.body)), form)));
                }
            }
            Ok(None)
        });
        files.boxed()
    }
}

/// A reader that goes back to where it was when whoever has it is done.
struct Lent {
    reader: Option<Reader>,
    slot: Slot,
}

impl Lent {
    /// What the part holds whose head has been read.
    fn into_chunks(self) -> BoxStream<'static, Result<Bytes, BodyError>> {
        let chunks = stream::try_unfold(self, |mut lent| async move {
            let Some(reader) = &mut lent.reader else { return Ok(None) };
            match reader.chunk().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, lent))),
                Err(error) => {
                    // Nothing comes after that.
                    drop(lent.reader.take());
                    Err(match error {
                        FormError::Interrupted(Some(error)) => error,
                        FormError::TooLong { limit } => BodyError::TooLong { limit },
                        error => BodyError::Interrupted(error.into()),
                    })
                }
            }
        });
        chunks.boxed()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
        }
    }
}

struct Reader {
    chunks: BoxStream<'static, Result<Bytes, BodyError>>,
    /// What has come and was not read.
    buffer: BytesMut,
    /// What ends a part: a line's end, two dashes and the boundary.
    delimiter: Box<[u8]>,
    limit: u64,
    left: u64,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first boundary.
    Before,
    /// In what a part holds.
    Within,
    /// Right after a boundary.
    Between,
    /// After the last one.
    End,
}

impl Reader {
    /// Waits for more of the body.
    async fn fill(&mut self) -> Result<(), FormError> {
        let chunk = self.chunks.next().await.ok_or(FormError::Interrupted(None))?;
        let chunk = chunk.map_err(|error| FormError::Interrupted(Some(error)))?;
        let left = self.left.checked_sub(chunk.len() as u64);
        self.left = left.ok_or(FormError::TooLong { limit: self.limit })?;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    /// More of the part that is being read; `None` where it ends.
    async fn chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        while self.place == Place::Within {
            match find(&self.buffer, &self.delimiter) {
                Some(0) => {
                    self.buffer.advance(self.delimiter.len());
                    self.place = Place::Between;
                }
                Some(at) => return Ok(Some(self.buffer.split_to(at).freeze())),
                None => {
                    // What may be the beginning of a boundary waits for the rest of it.
                    let told = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                    if told > 0 {
                        return Ok(Some(self.buffer.split_to(told).freeze()));
                    }
                    self.fill().await?;
                }
            }
        }
        Ok(None)
    }

    /// What stands before the next part: its name, and that of the file; `None` after the last one.
    async fn head(&mut self) -> Result<Option<(Box<str>, Option<Box<str>>)>, FormError> {
        while self.place == Place::Before {
            match find(&self.buffer, &self.delimiter) {
                Some(at) => {
                    self.buffer.advance(at + self.delimiter.len());
                    self.place = Place::Between;
                }
                None if self.buffer.len() > HEAD_BYTES_MAX => {
                    return Err(FormError::Malformed("it does not begin with its boundary"));
                }
                None => self.fill().await?,
            }
        }
        if self.place == Place::End {
            return Ok(None);
        }
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer.starts_with(b"--") {
            self.place = Place::End;
            return Ok(None);
        }
        // The line of the boundary ends, and after the headers there is an empty one.
        let end = loop {
            match find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None if self.buffer.len() > HEAD_BYTES_MAX => {
                    return Err(FormError::Malformed("the headers of a part are too long"));
                }
                None => self.fill().await?,
            }
        };
        let head = self.buffer.split_to(end + 4);
        let mut lines = head[..end].split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
        if lines.next().is_some_and(|rest| !rest.trim().is_empty()) {
            return Err(FormError::Malformed("something follows a boundary"));
        }
        let disposition = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim().to_owned())
        });
        let disposition = disposition.unwrap_or_default();
        let name = parameter(&disposition, "name").ok_or(FormError::Malformed("a part has no name"))?;
        let file_name = parameter(&disposition, "filename");
        self.place = Place::Within;
        let kept = |name: String| name.chars().take(NAME_CHARS_MAX).collect();
        Ok(Some((kept(name), file_name.map(kept))))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Where something that begins with the end of a line stands.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|byte| *byte == b'\r')?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Printable, and not too long (RFC 2046, 5.1.1).
fn is_boundary(text: &str) -> bool {
    (1..=BOUNDARY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A parameter of a header's value: what stands behind its name, without the quotes.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = text.split_once(';')?;
    loop {
        let end = rest.find(['=', ';'])?;
        let (name, value) = (rest[..end].trim(), &rest[end + 1..]);
        if rest[end..].starts_with(';') {
            rest = value;
            continue;
        }
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, after) = value.split_once(';').unwrap_or((value, ""));
                (value.trim().to_owned(), after)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start().trim_start_matches(';');
    }
}

/// What stands within quotes, and what comes after them.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            // Only these two are ever escaped: elsewhere it belongs to a path.
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(characters.next().map(|(_, escaped)| escaped));
            }
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"a b\"";

    /// What becomes of a form that comes in pieces of this length: its parts, and why it ends before its end.
    fn read(text: &[u8], piece: usize, limit: u64) -> (Vec<String>, Option<String>) {
        let chunks: Vec<_> = text.chunks(piece).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let body = ByteStream::new(stream::iter(chunks).boxed(), None);
        let reading = async {
            let mut form = Form::new(TYPE, body, limit).unwrap();
            let mut parts = Vec::new();
            let broken = loop {
                match form.next().await {
                    Ok(None) => break None,
                    Ok(Some(part)) => {
                        let held = part.body.collect(1000).await;
                        let held = match held {
                            Ok(bytes) => format!("{bytes:?}"),
                            Err(error) => error.to_string(),
                        };
                        parts.push(format!("{} {:?} {held}", part.name, part.file_name));
                    }
                    Err(error) => break Some(error.to_string()),
                }
            };
            (parts, broken)
        };
        reading.now_or_never().unwrap()
    }

    const FORM: &[u8] = b"--a b\r\n\
        Content-Disposition: form-data; name=\"word\"\r\n\r\n\
        \r\n--a \r\n\
        --a b \r\n\
        content-type: application/x-tar\r\ncontent-disposition: form-data; filename=\"a \\\"b\\\".tar\"; name=file\r\n\r\n\
        \r\n--a b\r\n\
        Content-Disposition: form-data; name=\"\"; filename=\"\"\r\n\r\n\
        \r\r\n\r\n--a b--\r\nand more";

    #[test]
    fn a_form_is_the_same_in_pieces_of_any_length() {
        for piece in 1..=FORM.len() {
            let (parts, broken) = read(FORM, piece, 1000);
            let expected =
                [r#"word None b"\r\n--a ""#, r#"file Some("a \"b\".tar") b"""#, r#" Some("") b"\r\r\n""#];
            assert_eq!((parts, broken), (expected.map(str::to_owned).to_vec(), None), "{piece}");
        }
    }

    #[test]
    fn a_form_that_ends_too_early_says_so_wherever_it_does() {
        let end = FORM.len() - "--\r\nand more".len();
        for length in 0..end + 2 {
            let (parts, broken) = read(&FORM[..length], 7, 1000);
            assert_eq!(broken.unwrap(), "the form broke off before its end", "{length}: {parts:?}");
        }
    }

    #[test]
    fn no_more_is_taken_than_may_be() {
        let (parts, broken) = read(FORM, 5, 60);
        assert_eq!(parts, ["word None the body is longer than 60 bytes"]);
        assert_eq!(broken.unwrap(), "the form broke off before its end");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let long = [&b"--a b\r\nx: "[..], &[b'x'; 9000]].concat();
        for (text, reason) in [
            (&b"--a bc\r\n\r\n\r\n"[..], "something follows a boundary"),
            (b"--a b\r\n\r\nx\r\n--a b--", "a part has no name"),
            (b"--a b\r\nContent-Disposition: form-data\r\n\r\nx", "a part has no name"),
            (&long, "the headers of a part are too long"),
            (&[b'x'; 9000], "it does not begin with its boundary"),
        ] {
            let (parts, broken) = read(text, 1000, 10_000);
            assert_eq!((parts.len(), broken), (0, Some(format!("the form is malformed: {reason}"))));
        }
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\u{7f}\"",
            "multipart/form-data; charset=boundary",
        ] {
            assert!(matches!(Form::new(kind, ByteStream::empty(), 9), Err(FormError::NoBoundary)), "{kind}");
        }
        assert!(
            Form::new("multipart/form-data; x; y=\"; boundary=a\"; boundary=b", ByteStream::empty(), 9)
                .is_ok()
        );
    }

    #[test]
    fn what_is_left_of_a_part_is_passed_over() {
        let reading = async {
            let mut form = Form::new(TYPE, Bytes::from_static(FORM).into(), 1000).unwrap();
            let mut names = Vec::new();
            while let Some(mut part) = form.next().await.unwrap() {
                part.body.next().await;
                names.push(part.name);
            }
            names
        };
        assert_eq!(reading.now_or_never().unwrap(), ["word".into(), "file".into(), Box::<str>::from("")]);
    }
}
