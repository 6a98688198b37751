//! The memory that content is read into, and written from.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Where a buffer begins, in bytes: at a page. A copy from page to page is up to five times as fast on some
/// processors as one that is a few bytes off, as memory from an allocator always is; and what goes past the page cache
/// has to begin there.
pub(super) const ALIGNMENT: usize = 4096;
/// The length of a large buffer in bytes: fits the caches of a core, and is as fast as reading gets.
const LARGE: usize = 256 * 1024;
/// The length of a small buffer in bytes.
const SMALL: usize = 64 * 1024;
/// How many large buffers may be out at once: 16 MiB. Beyond that small ones have to do, so that
/// a thousand slow clients cost a quarter of what they would.
const LARGE_OUT_MAX: usize = 64;
/// How many large buffers wait to be used again: 4 MiB.
const LARGE_KEPT_MAX: usize = 16;

/// Buffers of two sizes; the large ones are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Pool>>);

#[derive(Default)]
struct Pool {
    kept: Vec<Memory>,
    large_out: usize,
}

impl Buffers {
    /// A buffer for the next of `wanted` bytes: not empty unless `wanted` is 0, and no longer than that.
    pub(super) fn take(&self, wanted: u64) -> Buffer {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        if wanted > SMALL {
            let mut pool = self.lock();
            if pool.large_out < LARGE_OUT_MAX {
                pool.large_out += 1;
                let kept = pool.kept.pop();
                drop(pool);
                let memory = kept.unwrap_or_else(|| Memory::new(LARGE));
                return Buffer { memory, length: wanted.min(LARGE), home: Some(self.clone()) };
            }
        }
        let length = wanted.min(SMALL);
        Buffer { memory: Memory::new(length), length, home: None }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, large_out } = self;
        f.debug_struct("Pool").field("kept", &kept.len()).field("large_out", large_out).finish()
    }
}

/// Memory whose first byte in use is aligned, when it is long enough for that to matter.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    begin: usize,
}

impl Memory {
    fn new(length: usize) -> Self {
        if length < ALIGNMENT {
            return Self { bytes: vec![0; length], begin: 0 };
        }
        let bytes = vec![0; length + ALIGNMENT];
        let begin = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, begin }
    }
}

/// Memory to read into.
pub(super) struct Buffer {
    memory: Memory,
    length: usize,
    home: Option<Buffers>,
}

impl Buffer {
    /// The first `length` bytes as they are now, or all of them if it is longer.
    pub(super) fn filled(mut self, length: usize) -> Bytes {
        self.length = self.length.min(length);
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        let Memory { bytes, begin } = &self.memory;
        bytes.get(*begin..*begin + self.length).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        let Memory { bytes, begin } = &mut self.memory;
        bytes.get_mut(*begin..*begin + self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let mut pool = home.lock();
            pool.large_out -= 1;
            if pool.kept.len() < LARGE_KEPT_MAX {
                pool.kept.push(std::mem::take(&mut self.memory));
            }
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_large_buffers_are_out_than_allowed_and_few_are_kept() {
        let buffers = Buffers::default();
        let mut out: Vec<_> = (0..LARGE_OUT_MAX).map(|_| buffers.take(u64::MAX)).collect();
        assert!(out.iter().all(|buffer| buffer.as_ref().len() == LARGE));
        assert_eq!(buffers.take(u64::MAX).as_ref().len(), SMALL);

        let sent = out.pop().unwrap().filled(10);
        assert_eq!(sent.len(), 10);
        assert_eq!(buffers.take(u64::MAX).as_ref().len(), SMALL, "what is being sent is still out");
        drop(sent);
        assert_eq!(buffers.take(u64::MAX).as_ref().len(), LARGE);

        out.clear();
        assert_eq!(buffers.lock().kept.len(), LARGE_KEPT_MAX);
        assert_eq!(buffers.lock().large_out, 0);
    }

    #[test]
    fn a_buffer_is_no_longer_than_what_is_wanted() {
        let buffers = Buffers::default();
        for wanted in [0, 1, ALIGNMENT, SMALL, SMALL + 1, LARGE - 1, LARGE] {
            let buffer = buffers.take(wanted as u64);
            assert_eq!(buffer.as_ref().len(), wanted);
            assert!(wanted < ALIGNMENT || buffer.as_ref().as_ptr().align_offset(ALIGNMENT) == 0);
        }
    }
}
