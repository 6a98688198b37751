//! A manifest is read, or refused, in the same way twice; what is read is what the JSON says.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use swr_core::digest::Algorithm;
use swr_core::manifest::ManifestRecord;

fuzz_target!(|bytes: &[u8]| {
    let whole = Bytes::copy_from_slice(bytes);
    let read = ManifestRecord::parse(whole.clone(), None, Algorithm::Sha256);
    let Ok(manifest) = read else { return };
    assert_eq!(manifest.bytes, whole);
    assert_eq!(manifest.digest, Algorithm::Sha256.digest(bytes));
    // Another reader of JSON agrees on what it is.
    let seen: serde_json::Value = serde_json::from_slice(bytes).expect("it was read as JSON before");
    assert_eq!(seen["mediaType"].as_str(), Some(manifest.media_type.as_str()));
    assert_eq!(
        seen["subject"]["digest"].as_str().map(str::to_owned),
        manifest.subject.map(|d| d.to_string())
    );
    let again = ManifestRecord::parse(whole, Some(&manifest.media_type), Algorithm::Sha256);
    assert_eq!(again.expect("its own type fits"), manifest);
});
