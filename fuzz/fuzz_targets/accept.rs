//! Whatever else a client says, it takes what it says it takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swr_core::media_type::MediaType;
use swr_http::accept::Accept;

fuzz_target!(|text: &str| {
    let manifest = MediaType::parse(MediaType::OCI_MANIFEST).expect("it is one");
    let index = MediaType::parse(MediaType::OCI_INDEX).expect("it is one");
    let said = Accept::parse(text);
    assert!(Accept::parse(&format!("{text},{manifest}")).admits(&manifest));
    // What says nothing of one of them says nothing that tells them apart.
    if !text.to_ascii_lowercase().contains("application/vnd.oci.image.") {
        assert_eq!(said.admits(&manifest), said.admits(&index));
    }
});
