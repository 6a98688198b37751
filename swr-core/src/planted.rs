//! Mistakes on purpose, for those who want to see that they are found: `.ci/harness planted`.

/// Whether this mistake is to be made: `PLANTED_FAULT` names it.
#[cfg(swr_faults)]
pub fn is_planted(fault: &str) -> bool {
    std::env::var_os("PLANTED_FAULT").is_some_and(|planted| planted == fault)
}

/// A program makes none unless it was built to (`--cfg swr_faults`).
#[cfg(not(swr_faults))]
pub const fn is_planted(_: &str) -> bool {
    false
}
