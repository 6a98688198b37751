//! Bytes into a file: past the page cache, where there are many and the file system can.
//!
//! What is pushed is not read by who pushes it, and is synced at once: to go through the page cache would cost a
//! page for each four KiB, which then waits for the disk anyway, and takes the place of content that is read.

use std::fs::File;
use std::io::{self, IoSlice};

use bytes::Bytes;
use rustix::io::{pwritev, retry_on_intr};

use super::Root;

impl Root {
    /// Writes all of `parts` at `at`. Blocks. Nobody else may use `file` meanwhile.
    pub(super) fn write_all_at(&self, file: &File, parts: &[Bytes], mut at: u64) -> io::Result<()> {
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        let mut written = self.write_direct(file, parts, at)?;
        loop {
            at += written as u64;
            IoSlice::advance_slices(&mut rest, written);
            if rest.is_empty() {
                return Ok(());
            }
            written = retry_on_intr(|| pwritev(file, rest, at))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
    }

    /// Writes the first of `parts`, as far as they fill pages, past the page cache; says how many bytes that were.
    /// None where something is against it; an error only where every way to write meets it.
    #[cfg(target_os = "linux")]
    fn write_direct(&self, file: &File, parts: &[Bytes], at: u64) -> io::Result<usize> {
        use std::sync::atomic::Ordering::Relaxed;

        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        use rustix::io::Errno;

        use super::buffers::ALIGNMENT;

        /// The least that is worth it, in bytes.
        const LEAST: usize = 64 * 1024;

        let length = parts.iter().map(Bytes::len).sum::<usize>() / ALIGNMENT * ALIGNMENT;
        if length < LEAST || !at.is_multiple_of(ALIGNMENT as u64) || !self.direct.load(Relaxed) {
            return Ok(0);
        }
        let aligned = self.aligned(parts, length);
        let slices: Vec<_> = aligned.iter().map(|buffer| IoSlice::new(buffer.as_ref())).collect();
        let flags = fcntl_getfl(file)?;
        let written = fcntl_setfl(file, flags | OFlags::DIRECT).and_then(|()| {
            let written = retry_on_intr(|| pwritev(file, &slices, at));
            fcntl_setfl(file, flags)?;
            written
        });
        match written {
            // The file system cannot, or wants more in one piece than a page.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                self.direct.store(false, Relaxed);
                Ok(0)
            }
            written => Ok(written?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn write_direct(&self, _: &File, _: &[Bytes], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    /// A copy of the first `length` bytes of `parts`, in memory that begins at pages.
    #[cfg(target_os = "linux")]
    fn aligned(&self, parts: &[Bytes], length: usize) -> Vec<super::buffers::Buffer> {
        let mut parts = parts.iter();
        let mut part: &[u8] = &[];
        let mut copied = Vec::new();
        let mut left = length;
        while left > 0 {
            let mut buffer = self.buffers.take(left as u64);
            let mut into = buffer.as_mut();
            left -= into.len();
            while !into.is_empty() {
                if part.is_empty() {
                    let Some(next) = parts.next() else { break };
                    part = next;
                }
                let (from, rest) = part.split_at(part.len().min(into.len()));
                let (to, behind) = into.split_at_mut(from.len());
                to.copy_from_slice(from);
                (part, into) = (rest, behind);
            }
            copied.push(buffer);
        }
        copied
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::FilesystemBlobs;
    use super::*;

    fn parts(lengths: &[usize]) -> Vec<Bytes> {
        let mut next = 0u32;
        let mut part = |length| {
            let part = (next..next + length).map(|at| (at % 251) as u8).collect::<Vec<_>>();
            next += length;
            Bytes::from(part)
        };
        lengths.iter().map(|length| part(*length as u32)).collect()
    }

    #[test]
    fn what_is_written_is_there_at_every_offset_and_in_all_pieces() {
        const MIB: usize = 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let store = FilesystemBlobs::options().low_water_bytes(0).open(folder.path()).unwrap();
        let all = [
            &[][..],
            &[0],
            &[1],
            &[64 * 1024],
            &[64 * 1024 - 1],
            &[64 * 1024 + 1],
            &[MIB],
            &[1, 4095, 0, 70_000, 65_536, 1],
            &[300_000, 300_000, 300_000],
            &[3 * MIB + 5],
        ];
        for direct in [true, false] {
            for lengths in all {
                for at in [0, 1, 4096, 5000, 1 << 20] {
                    store.root.direct.store(direct, Relaxed);
                    let path = folder.path().join("written");
                    let file = File::create(&path).unwrap();
                    file.write_all_at(b"before", 0).unwrap();
                    file.set_len(at).unwrap();
                    let parts = parts(lengths);
                    store.root.write_all_at(&file, &parts, at).unwrap();

                    let mut wanted = b"before"[..at.min(6) as usize].to_vec();
                    wanted.resize(at as usize, 0);
                    wanted.extend(parts.concat());
                    assert!(std::fs::read(&path).unwrap() == wanted, "{lengths:?} at {at}, direct: {direct}");
                    // As it was: what comes next may begin anywhere.
                    file.write_all_at(b"x", 3).unwrap();
                    std::fs::remove_file(&path).unwrap();
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_nothing_goes_past_the_page_cache_everything_goes_through_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = FilesystemBlobs::options().low_water_bytes(0).open(folder.path()).unwrap();
        let null = File::options().write(true).open("/dev/null").unwrap();
        store.root.write_all_at(&null, &parts(&[1 << 20]), 0).unwrap();
        assert!(!store.root.direct.load(Relaxed), "it is not tried again");
    }
}
