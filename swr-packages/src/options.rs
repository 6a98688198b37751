//! What a host decides about imports.

use std::path::PathBuf;

/// How large, how many, and where what comes is kept meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The folder where a package is kept while it is read, unless it is a file that can be read again as it is. For
    /// each import that runs at once it needs room for [`Self::package_bytes_max`]. On a disk: not in memory.
    pub spool: PathBuf,
    /// The largest package, as it came and unpacked, in bytes. 2 GiB.
    pub package_bytes_max: u64,
    /// How many entries an archive may have. 16,384.
    pub entries_max: usize,
}

impl ImportOptions {
    /// The limits that [`Self`] names, and this folder for what cannot be read twice.
    pub fn new(spool: impl Into<PathBuf>) -> Self {
        Self { spool: spool.into(), package_bytes_max: 2 << 30, entries_max: 16_384 }
    }
}
