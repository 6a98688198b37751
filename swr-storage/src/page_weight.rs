//! How much a page weighs.

use swr_core::descriptor::Descriptor;

/// About what a page of referrers may weigh, in bytes.
const REFERRERS_BYTES_MAX: usize = 2 << 20;

/// About what a page of manifests may weigh, in bytes.
const MANIFESTS_BYTES_MAX: usize = 8 << 20;

/// The weight of a page so far.
#[derive(Debug)]
pub(crate) struct PageWeight {
    bytes: usize,
    bytes_max: usize,
}

/// A page of referrers.
impl Default for PageWeight {
    fn default() -> Self {
        Self { bytes: 0, bytes_max: REFERRERS_BYTES_MAX }
    }
}

impl PageWeight {
    pub(crate) fn of_manifests() -> Self {
        Self { bytes: 0, bytes_max: MANIFESTS_BYTES_MAX }
    }

    /// Whether the page has room for one more. The first is taken whatever it weighs.
    pub(crate) fn takes(&mut self, descriptor: &Descriptor) -> bool {
        self.takes_bytes(weight(descriptor))
    }

    /// As [`Self::takes`], of something that weighs so much.
    pub(crate) fn takes_bytes(&mut self, bytes: usize) -> bool {
        let fits = self.bytes == 0 || self.bytes + bytes <= self.bytes_max;
        self.bytes += bytes;
        fits
    }
}

/// About what a descriptor weighs on the wire, in bytes.
fn weight(descriptor: &Descriptor) -> usize {
    let annotations: usize =
        descriptor.annotations.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    let artifact_type = descriptor.artifact_type.as_ref().map_or(0, |of| of.as_str().len());
    256 + descriptor.media_type.as_str().len() + artifact_type + annotations
}
