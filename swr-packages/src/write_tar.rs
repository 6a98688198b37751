//! Tar archives, out: headers that are the same for the same name and length.

use bytes::{Bytes, BytesMut};

/// The length of a block: of a header, and of what everything is padded to, in bytes.
const BLOCK: u64 = 512;
/// What an archive ends with.
pub(crate) static END: [u8; 1024] = [0; 1024];
/// The longest name that fits a header, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// The longest content whose length fits a header, in bytes.
const SIZE_MAX: u64 = 0o77_777_777_777;

/// The header of a file, or of a folder where the name ends so: owned by nobody in particular, of the beginning of 1970.
/// A name or a length that does not fit one is in a header of pax before it.
pub(crate) fn header(name: &str, size: u64) -> Bytes {
    let mut records = String::new();
    if name.len() > NAME_BYTES_MAX {
        records += &record("path", name);
    }
    if size > SIZE_MAX {
        records += &record("size", &size.to_string());
    }
    let short = name.get(..NAME_BYTES_MAX).unwrap_or(name);
    let flag = if name.ends_with('/') { b'5' } else { b'0' };
    let mut written = BytesMut::new();
    if !records.is_empty() {
        let length = records.len() as u64;
        written.extend_from_slice(&block(b'x', "pax", length));
        written.extend_from_slice(records.as_bytes());
        written.extend_from_slice(padding(length));
    }
    written.extend_from_slice(&block(flag, short, if size > SIZE_MAX { 0 } else { size }));
    written.freeze()
}

/// What follows a content of this length, up to the next header.
pub(crate) fn padding(size: u64) -> &'static [u8] {
    static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let length = size.next_multiple_of(BLOCK) - size;
    ZEROS.get(..length as usize).unwrap_or_default()
}

/// A header with a name and a length that fit it.
fn block(flag: u8, name: &str, size: u64) -> [u8; BLOCK as usize] {
    let mut block = [0u8; BLOCK as usize];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, if flag == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[flag]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A record of pax, whose length counts its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Defect;
    use crate::read_tar::{Member, MemberKind, Members, TarReader};

    #[derive(Default)]
    struct Seen(Vec<Member>);

    impl Members for Seen {
        fn begin(&mut self, member: Member) -> Result<(), Defect> {
            self.0.push(member);
            Ok(())
        }
        fn data(&mut self, _: &[u8]) {}
        fn end(&mut self) -> Result<(), Defect> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let long = format!("blobs/sha512/{}", "a".repeat(128));
        for (name, size) in [
            ("blobs/", 0),
            ("index.json", 0),
            ("index.json", 5),
            (long.as_str(), 5),
            ("blob", SIZE_MAX),
            ("blob", SIZE_MAX + 1),
            (long.as_str(), 9_999_999_999_999),
        ] {
            let mut seen = Seen::default();
            let header = header(name, size);
            assert_eq!(header.len() % 512, 0);
            TarReader::new(10, u64::MAX).feed(&header, &mut seen).unwrap();
            let kind = if name.ends_with('/') { MemberKind::Folder } else { MemberKind::File };
            let offset = header.len() as u64;
            let name = name.trim_end_matches('/').into();
            assert_eq!(seen.0, [Member { name, kind, offset, size }]);
        }
    }

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for length in [1, 80, 85, 86, 87, 88, 89, 90, 91, 95, 120, 985, 990, 1000] {
            let record = record("path", &"a".repeat(length));
            let (said, _) = record.split_once(' ').unwrap();
            assert_eq!(said.parse(), Ok(record.len()), "{length}");
        }
    }
}
