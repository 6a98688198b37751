//! Bytes become digests, text becomes values.

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use swr_core::digest::{Algorithm, Digest};
use swr_core::manifest::ManifestRecord;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_policy::{RepositoryName, Tag};

const LENGTHS: [usize; 3] = [1 << 10, 64 << 10, 1 << 20];

#[divan::bench(args = LENGTHS)]
fn digesting_sha256(bencher: Bencher<'_, '_>, length: usize) {
    digesting(bencher, length, Algorithm::Sha256);
}

#[divan::bench(args = LENGTHS)]
fn digesting_sha512(bencher: Bencher<'_, '_>, length: usize) {
    digesting(bencher, length, Algorithm::Sha512);
}

fn digesting(bencher: Bencher<'_, '_>, length: usize, algorithm: Algorithm) {
    let bytes = vec![0x5a; length];
    bencher.counter(BytesCount::new(length)).bench_local(|| algorithm.digest(black_box(&bytes)));
}

#[divan::bench]
fn parsing_a_repository_name() -> RepositoryName {
    RepositoryName::parse(black_box("library/some-team/some_service.v2")).expect("a name")
}

#[divan::bench]
fn parsing_a_tag() -> Tag {
    Tag::parse(black_box("v1.20.3-rc.1")).expect("a tag")
}

#[divan::bench]
fn parsing_a_digest(bencher: Bencher<'_, '_>) {
    let text = Algorithm::Sha256.digest(b"content").to_string();
    bencher.bench_local(|| Digest::parse(black_box(&text)).expect("a digest"));
}

/// By the number of layers.
#[divan::bench(args = [5, 100, 1000])]
fn parsing_a_manifest(bencher: Bencher<'_, '_>, layers: usize) {
    let image = (0..layers).fold(SampleManifest::image("an image"), |image, number| {
        image.with_layer(&SampleBlob::new(&number.to_string()))
    });
    let (bytes, media_type): (Bytes, _) = (image.bytes(), image.media_type());
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        ManifestRecord::parse(black_box(bytes.clone()), Some(&media_type), Algorithm::Sha256)
            .expect("a manifest")
    });
}
