//! Bytes into a file: past the page cache, where there are many, the file system can, and it is wanted.
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

    /// Writes the first of `parts`, as far as they fill pages, past the page cache; says how many bytes that were: 0
    /// where the offset or the file system does not allow it. Any other error is the write's.
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
        let flags = fcntl_getfl(file)?;
        let written = match fcntl_setfl(file, flags | OFlags::DIRECT) {
            Ok(()) => {
                let written = self.write_aligned(file, parts, length, at);
                fcntl_setfl(file, flags)?;
                written
            }
            Err(error) => Err(error),
        };
        match written {
            // The file system cannot, or wants more in one piece than a page.
            Err(error @ (Errno::INVAL | Errno::OPNOTSUPP)) => {
                tracing::info!(%error, "content is written through the page cache: the file system takes no other way");
                self.direct.store(false, Relaxed);
                Ok(0)
            }
            written => Ok(written?),
        }
    }

    /// Writes the first `length` bytes of `parts` from memory that begins at pages, a buffer at a time; says how many it
    /// wrote before the file took less than it was given.
    #[cfg(target_os = "linux")]
    fn write_aligned(
        &self,
        file: &File,
        parts: &[Bytes],
        length: usize,
        at: u64,
    ) -> rustix::io::Result<usize> {
        use rustix::io::pwrite;

        let mut parts = parts.iter();
        let mut part: &[u8] = &[];
        let mut written = 0;
        while written < length {
            let mut buffer = self.buffers.take((length - written) as u64);
            let mut into = buffer.as_mut();
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
            let buffer = buffer.as_ref();
            let taken = retry_on_intr(|| pwrite(file, buffer, at + written as u64))?;
            written += taken;
            if taken < buffer.len() {
                break;
            }
        }
        Ok(written)
    }

    #[cfg(not(target_os = "linux"))]
    fn write_direct(&self, _: &File, _: &[Bytes], _: u64) -> io::Result<usize> {
        Ok(0)
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

    #[cfg(target_os = "linux")]
    fn takes_direct(file: &File) -> bool {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

        let flags = fcntl_getfl(file).unwrap();
        fcntl_setfl(file, flags | OFlags::DIRECT).is_ok() && fcntl_setfl(file, flags).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn takes_direct(_: &File) -> bool {
        true
    }

    #[test]
    fn what_is_written_is_there_at_every_offset_and_in_all_pieces() {
        const MIB: usize = 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
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
                    let options = FilesystemBlobs::options().low_water_bytes(0).direct_writes(direct);
                    let store = options.open(folder.path()).unwrap();
                    let path = folder.path().join("written");
                    let file = File::create(&path).unwrap();
                    file.write_all_at(b"before", 0).unwrap();
                    file.set_len(at).unwrap();
                    let parts = parts(lengths);
                    store.root.write_all_at(&file, &parts, at).unwrap();
                    let is_direct = store.root.direct.load(Relaxed);
                    assert!(is_direct == direct || !takes_direct(&file), "it was given up for no reason");
                    let past_the_cache = store.root.write_direct(&file, &parts, at).unwrap();
                    assert!(
                        is_direct || past_the_cache == 0,
                        "{past_the_cache} bytes went past the page cache"
                    );

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
