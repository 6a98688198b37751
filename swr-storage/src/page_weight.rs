//! How much a page of referrers weighs.

use swr_core::descriptor::Descriptor;

/// About what a page of referrers may weigh, in bytes.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// The weight of a page so far.
#[derive(Debug, Default)]
pub(crate) struct PageWeight(usize);

impl PageWeight {
    /// Whether the page has room for one more. The first is taken whatever it weighs.
    pub(crate) fn takes(&mut self, descriptor: &Descriptor) -> bool {
        let weight = weight(descriptor);
        let fits = self.0 == 0 || self.0 + weight <= PAGE_BYTES_MAX;
        self.0 += weight;
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
