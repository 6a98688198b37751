//! Tar archives, in: read as their bytes come, in whatever pieces.

use crate::error::{Defect, ImportError, Reason};

/// The length of a header, and what everything is padded to.
pub(crate) const BLOCK: usize = 512;
/// The longest name of an entry, in bytes. The longest that a package needs has 137: `blobs/sha512/…`.
const NAME_BYTES_MAX: usize = 256;
/// The longest extended header, in bytes.
const EXTENDED_BYTES_MAX: u64 = 64 * 1024;

/// Takes what is in an archive, in its order: `begin`, then `data` any number of times and `end` for a file, and
/// `begin` alone for anything else.
pub(crate) trait Members {
    fn begin(&mut self, member: Member) -> Result<(), Defect>;
    fn data(&mut self, bytes: &[u8]);
    fn end(&mut self) -> Result<(), Defect>;
}

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// A path without `.`, `..` or a slash at either end.
    pub(crate) name: Box<str>,
    pub(crate) kind: MemberKind,
    /// Where its content begins in the archive, in bytes.
    pub(crate) offset: u64,
    /// How long its content is, in bytes.
    pub(crate) size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File,
    Folder,
    /// Leads to this path of the archive.
    Link(Box<str>),
}

/// An archive on its way in: ustar, with the long names and sizes of pax and of GNU tar.
#[derive(Debug)]
pub(crate) struct TarReader {
    state: State,
    /// The header that is being put together.
    block: [u8; BLOCK],
    filled: usize,
    /// How much has been read.
    at: u64,
    pending: Pending,
    headers: usize,
    headers_max: usize,
    bytes_max: u64,
}

#[derive(Debug)]
enum State {
    Header,
    Content {
        left: u64,
        padding: u64,
    },
    Extended {
        form: Form,
        left: u64,
        padding: u64,
        text: Vec<u8>,
    },
    Padding {
        left: u64,
    },
    /// One block of zeros has come, which is the end; after the second only zeros may follow.
    Ending,
    Ended,
}

/// The kinds of extended headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// pax, for the next entry.
    Pax,
    /// pax, for all entries that follow.
    PaxGlobal,
    /// The name of the next entry, as GNU tar writes it.
    LongName,
    /// Where the next link leads, as GNU tar writes it.
    LongLink,
}

/// What extended headers say of the next entry.
#[derive(Debug, Default)]
struct Pending {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    any: bool,
}

impl TarReader {
    /// At most `headers_max` headers of any kind, and `bytes_max` bytes in all.
    pub(crate) fn new(headers_max: usize, bytes_max: u64) -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            at: 0,
            pending: Pending::default(),
            headers: 0,
            headers_max,
            bytes_max,
        }
    }

    /// Takes in what comes next.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], members: &mut impl Members) -> Result<(), ImportError> {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Header | State::Ending => {
                    let taken = bytes.len().min(BLOCK - self.filled);
                    self.block[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
                    self.filled += taken;
                    taken
                }
                State::Content { left, .. } | State::Padding { left } => within(*left, bytes),
                State::Extended { left, .. } => within(*left, bytes),
                State::Ended if bytes.iter().all(|byte| *byte == 0) => bytes.len(),
                State::Ended => return Err(Defect::of(Reason::TrailingData).into()),
            };
            let (now, rest) = bytes.split_at(taken);
            bytes = rest;
            if taken as u64 > self.bytes_max - self.at {
                return Err(ImportError::TooLarge { limit: self.bytes_max });
            }
            self.at += taken as u64;
            self.step(now, members)?;
        }
        Ok(())
    }

    fn step(&mut self, now: &[u8], members: &mut impl Members) -> Result<(), ImportError> {
        let passed = now.len() as u64;
        match &mut self.state {
            State::Header | State::Ending if self.filled == BLOCK => {
                self.filled = 0;
                self.header(members)
            }
            State::Header | State::Ending | State::Ended => Ok(()),
            State::Content { left, padding } => {
                members.data(now);
                *left -= passed;
                if *left == 0 {
                    self.state = padded(*padding);
                    members.end()?;
                }
                Ok(())
            }
            State::Padding { left } => {
                *left -= passed;
                if *left == 0 {
                    self.state = State::Header;
                }
                Ok(())
            }
            State::Extended { form, left, padding, text } => {
                text.extend_from_slice(now);
                *left -= passed;
                if *left == 0 {
                    let (form, text) = (*form, std::mem::take(text));
                    self.state = padded(*padding);
                    self.extended(form, text)?;
                }
                Ok(())
            }
        }
    }

    /// Says whether the archive has ended as archives do.
    pub(crate) fn finish(&self) -> Result<(), Defect> {
        match self.state {
            // Writers exist that leave out the second of the two blocks.
            State::Ending if self.filled == 0 => Ok(()),
            State::Ended => Ok(()),
            State::Header if self.at == 0 => Err(Defect::of(Reason::Empty)),
            // Less than one header: nothing says that this was ever an archive.
            State::Header if self.at < BLOCK as u64 => Err(Defect::of(Reason::NotTar)),
            _ => Err(Defect::of(Reason::Truncated)),
        }
    }

    fn header(&mut self, members: &mut impl Members) -> Result<(), ImportError> {
        let at = self.at - BLOCK as u64;
        let damaged = |what| ImportError::from(Defect::of(Reason::Header { at, what }));
        let block = &self.block;
        if block.iter().all(|byte| *byte == 0) {
            if self.pending.any {
                return Err(damaged("an extended header without its entry"));
            }
            self.state = if matches!(self.state, State::Ending) { State::Ended } else { State::Ending };
            return Ok(());
        }
        if matches!(self.state, State::Ending) {
            return Err(Defect::of(Reason::TrailingData).into());
        }
        if !checks(block) {
            // The very first block decides whether this is an archive at all.
            return Err(match at {
                0 => Defect::of(Reason::NotTar).into(),
                _ => damaged("its checksum is wrong"),
            });
        }
        self.headers += 1;
        if self.headers > self.headers_max {
            return Err(Defect::of(Reason::TooManyEntries { limit: self.headers_max }).into());
        }
        let written = number(&block[124..136]).ok_or_else(|| damaged("its size is no number"))?;
        let flag = block[156];
        if let Some(form) = Form::of(flag) {
            if written > EXTENDED_BYTES_MAX {
                return Err(Defect::of(Reason::LongHeader { limit: EXTENDED_BYTES_MAX }).into());
            }
            if written == 0 {
                return Err(damaged("an extended header that is empty"));
            }
            self.state = State::Extended { form, left: written, padding: padding(written), text: Vec::new() };
            return Ok(());
        }

        let pending = std::mem::take(&mut self.pending);
        let raw = pending.name.unwrap_or_else(|| short_name(block));
        let shown = String::from_utf8_lossy(&raw).into_owned();
        let size = pending.size.unwrap_or(written);
        if size > self.bytes_max - self.at {
            return Err(ImportError::TooLarge { limit: self.bytes_max });
        }
        // Archives from before there was a kind of their own write a folder as a file whose name ends so.
        let is_folder = flag == b'5' || (matches!(flag, 0 | b'0') && raw.ends_with(b"/"));
        let kind = match flag {
            _ if is_folder => MemberKind::Folder,
            0 | b'0' => MemberKind::File,
            b'1' | b'2' => {
                let to = pending.link.unwrap_or_else(|| text(&block[157..257]).to_vec());
                link(flag == b'2', &shown, &to)?
            }
            _ => return Err(Defect::at(&shown, Reason::Kind).into()),
        };
        if size > 0 && kind != MemberKind::File {
            return Err(damaged("content where there can be none"));
        }
        let Some(name) = path(&raw, is_folder).map_err(|reason| Defect::at(&shown, reason))? else {
            // The folder that everything is in.
            self.state = State::Header;
            return Ok(());
        };
        let is_file = kind == MemberKind::File;
        members.begin(Member { name, kind, offset: self.at, size })?;
        if is_file && size == 0 {
            members.end()?;
        }
        self.state = match size {
            0 => State::Header,
            size => State::Content { left: size, padding: padding(size) },
        };
        Ok(())
    }

    fn extended(&mut self, form: Form, text: Vec<u8>) -> Result<(), ImportError> {
        let at = self.at;
        let damaged = |what| ImportError::from(Defect::of(Reason::Header { at, what }));
        let pending = &mut self.pending;
        pending.any |= form != Form::PaxGlobal;
        match form {
            Form::LongName | Form::LongLink => {
                let of = if form == Form::LongName { &mut pending.name } else { &mut pending.link };
                let text = self::text(&text).to_vec();
                match of.replace(text) {
                    None => Ok(()),
                    Some(_) => Err(damaged("two names for one entry")),
                }
            }
            Form::Pax | Form::PaxGlobal => {
                let mut records = text.as_slice();
                while !records.is_empty() {
                    let (key, value, rest) =
                        record(records).ok_or_else(|| damaged("its records are malformed"))?;
                    records = rest;
                    let twice = match key {
                        b"path" | b"linkpath" | b"size" if form == Form::PaxGlobal => {
                            return Err(damaged("one name or size for all entries"));
                        }
                        b"path" => pending.name.replace(value.to_vec()).is_some(),
                        b"linkpath" => pending.link.replace(value.to_vec()).is_some(),
                        b"size" => {
                            let size = decimal(value).ok_or_else(|| damaged("its size is no number"))?;
                            pending.size.replace(size).is_some()
                        }
                        // A sparse file is not the bytes that are in the archive.
                        key if key.starts_with(b"GNU.sparse.") => return Err(Defect::of(Reason::Kind).into()),
                        _ => false,
                    };
                    if twice {
                        return Err(damaged("two names or sizes for one entry"));
                    }
                }
                Ok(())
            }
        }
    }
}

impl Form {
    fn of(flag: u8) -> Option<Self> {
        match flag {
            b'x' => Some(Self::Pax),
            b'g' => Some(Self::PaxGlobal),
            b'L' => Some(Self::LongName),
            b'K' => Some(Self::LongLink),
            _ => None,
        }
    }
}

/// Where a link leads: a symbolic one from the folder of `name`, a hard one from the root.
fn link(is_symbolic: bool, name: &str, to: &[u8]) -> Result<MemberKind, Defect> {
    let outside = || Defect::at(name, Reason::LinkOutside);
    let to = std::str::from_utf8(to).map_err(|_| outside())?;
    if to.is_empty() || to.starts_with('/') || to.contains(['\0', '\\']) {
        return Err(outside());
    }
    let name = name.strip_prefix("./").unwrap_or(name);
    let mut place: Vec<&str> = match name.rsplit_once('/') {
        Some((folder, _)) if is_symbolic => folder.split('/').collect(),
        _ => Vec::new(),
    };
    for component in to.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(place.pop().ok_or_else(outside)?),
            component => place.push(component),
        }
    }
    let target = place.join("/");
    if target.is_empty() || target.len() > NAME_BYTES_MAX {
        return Err(outside());
    }
    Ok(MemberKind::Link(target.into()))
}

fn within(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

fn padded(padding: u64) -> State {
    match padding {
        0 => State::Header,
        left => State::Padding { left },
    }
}

/// Whether the checksum of a header is that of its bytes, with blanks in the place of the checksum itself.
fn checks(block: &[u8; BLOCK]) -> bool {
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let field: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
    number(&block[148..156]) == Some(sum - field + 8 * u64::from(b' '))
}

/// A number of a header: octal digits, or its bytes as GNU tar writes large ones. At most what fits an `i64`.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if *first & 0x80 != 0 {
        // The other bit would make it negative.
        let start = if *first == 0x80 { 0 } else { return None };
        let value = rest.iter().try_fold(start, |value: u64, byte| {
            value.checked_mul(256).map(|value| value + u64::from(*byte))
        })?;
        return i64::try_from(value).ok().map(|_| value);
    }
    let digits = field.trim_ascii_start();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    // At most twelve digits: no more than 36 bits.
    digits.iter().try_fold(0, |value: u64, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u64::from(digit - b'0')),
        _ => None,
    })
}

fn decimal(text: &[u8]) -> Option<u64> {
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(text).ok().filter(|_| is_plain)?.parse().ok()?;
    i64::try_from(value).ok().map(|_| value)
}

/// A text of a header: up to its first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn short_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
    // In GNU tar's own format something else is in the place of the prefix.
    match block[257..263] == *b"ustar\0" && !prefix.is_empty() {
        true => [prefix, b"/", name].concat(),
        false => name.to_vec(),
    }
}

/// The first record of a pax header: `length key=value`, its length counting all of it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = records.iter().take(8).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&records[..blank])?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let (key, value) = {
        let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
        let equals = body.iter().position(|byte| *byte == b'=')?;
        (&body[..equals], &body[equals + 1..])
    };
    Some((key, value, rest))
}

/// The name of an entry as a path within the archive; `None` for its root.
fn path(raw: &[u8], is_folder: bool) -> Result<Option<Box<str>>, Reason> {
    let name = std::str::from_utf8(raw).map_err(|_| Reason::Path("it is not UTF-8"))?;
    let name = if is_folder { name.strip_suffix('/').unwrap_or(name) } else { name };
    let name = match name {
        "." if is_folder => return Ok(None),
        name => name.strip_prefix("./").unwrap_or(name),
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(Reason::Path("it is too long"));
    }
    if name.starts_with('/') {
        return Err(Reason::Path("it is absolute"));
    }
    if name.contains(['\0', '\\']) {
        return Err(Reason::Path("it has a backslash or a zero in it"));
    }
    for component in name.split('/') {
        match component {
            "" => return Err(Reason::Path("a part of it is empty")),
            "." | ".." => return Err(Reason::Path("it has `.` or `..` in it")),
            _ => {}
        }
    }
    Ok(Some(name.into()))
}
