//! Bytes become digests, text becomes values.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use swr_core::digest::{Algorithm, Digest};
use swr_core::manifest::ManifestRecord;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};
use swr_policy::{RepositoryName, Tag};

const LENGTHS: [usize; 3] = [1 << 10, 64 << 10, 1 << 20];

pub(crate) fn bench(criterion: &mut Criterion) {
    digests(criterion);
    names(criterion);
    manifests(criterion);
}

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    for (name, algorithm) in [("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)] {
        for length in LENGTHS {
            let bytes = vec![0x5a; length];
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(BenchmarkId::new(name, length), |bencher| {
                bencher.iter(|| algorithm.digest(black_box(&bytes)));
            });
        }
    }
    group.finish();
}

fn names(criterion: &mut Criterion) {
    criterion.bench_function("repository-name/parse", |bencher| {
        bencher
            .iter(|| RepositoryName::parse(black_box("library/some-team/some_service.v2")).expect("a name"));
    });
    criterion.bench_function("tag/parse", |bencher| {
        bencher.iter(|| Tag::parse(black_box("v1.20.3-rc.1")).expect("a tag"));
    });
    let digest = Algorithm::Sha256.digest(b"content").to_string();
    criterion.bench_function("digest/parse", |bencher| {
        bencher.iter(|| Digest::parse(black_box(&digest)).expect("a digest"));
    });
}

/// By the number of layers.
fn manifests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("manifest");
    for layers in [5_usize, 100, 1000] {
        let image = (0..layers).fold(SampleManifest::image("an image"), |image, number| {
            image.with_layer(&SampleBlob::new(&number.to_string()))
        });
        let (bytes, media_type) = (image.bytes(), image.media_type());
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("parse", layers), |bencher| {
            bencher.iter_with_large_drop(|| {
                ManifestRecord::parse(black_box(bytes.clone()), Some(&media_type), Algorithm::Sha256)
                    .expect("a manifest")
            });
        });
    }
    group.finish();
}
