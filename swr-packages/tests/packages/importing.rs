//! What a package becomes.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use swr_core::OrganisationName;
use swr_core::ports::{StoreError, TagGuard, TagMobility};
use swr_core::{RepositoryName, Tag};
use swr_packages::import::{FILES_MAX, TooManyFiles};
use swr_packages::{Destination, Package, Progress, import, import_all};

use crate::archives::{SavedImage, Tar, docker, gzip, layout, sha256};
use crate::scene::{Scene, chunked, file, lines, repository, tag, team};

#[tokio::test]
async fn both_layouts_packed_or_not_become_the_same_versions() {
    let images = [
        SavedImage::new(
            &["registry.example:5000/team/app:v1", "registry.example:5000/team/app:v2"],
            &["one", "two"],
        ),
        SavedImage::new(&["tool:v1"], &["one", "three"]),
    ];
    for archive in [docker(&images).end(), layout(&images).end()] {
        for archive in [archive.clone(), gzip(&archive)] {
            let scene = Scene::new();
            let told = lines(&scene.import(&archive).await);
            let expected = [
                "registry.example:5000/team/app:v1 is team/app:v1",
                "registry.example:5000/team/app:v2 is team/app:v2",
                "tool:v1 is team/tool:v1",
            ];
            assert_eq!(told, expected);
            for (repository, tag, image) in
                [("team/app", "v1", 0), ("team/app", "v2", 0), ("team/tool", "v1", 1)]
            {
                let digest = scene.digest_of(repository, tag).await;
                assert_eq!(digest, Some(images[image].digest()), "{repository}:{tag}");
            }
            // Again, as a file: everything is there.
            assert_eq!(lines(&scene.import_file(&archive).await), expected);
        }
    }
}

#[tokio::test]
async fn a_layer_that_two_images_share_as_a_link_is_one_blob() {
    let scene = Scene::new();
    let images = [SavedImage::new(&["a:v1"], &["shared", "a"]), SavedImage::new(&["b:v1"], &["shared", "b"])];
    let archive = docker(&images).end();
    let told = scene.told(&archive).await;
    let shared = sha256(b"shared");
    let is_shared = |line: &&String| line.starts_with("blob") && line.contains(&shared.to_string());
    let blobs: Vec<_> = told.iter().filter(is_shared).collect();
    assert_eq!(blobs, [&format!("blob team/a {shared} true"), &format!("blob team/b {shared} false")]);
}

#[tokio::test]
async fn what_happens_is_told_in_its_order() {
    let scene = Scene::new();
    let image = SavedImage::new(&["app:v1"], &["a layer"]);
    let archive = layout(std::slice::from_ref(&image)).end();
    let told = scene.told(&archive).await;
    let (config, layer) = (sha256(&image.config()), sha256(b"a layer"));
    let entries = told.iter().filter(|line| line.starts_with("entry")).count();
    assert_eq!(entries, 6, "{told:?}");
    assert!(told.contains(&"entry oci-layout 30".to_owned()), "{told:?}");
    let read = told.iter().rev().find(|line| line.starts_with("read")).unwrap();
    assert_eq!(*read, format!("read {} None", archive.len()));
    let end = [
        format!("writing team/app {config} 0"),
        format!("blob team/app {config} true"),
        format!("writing team/app {layer} 0"),
        format!("blob team/app {layer} true"),
        "app:v1 is team/app:v1".to_owned(),
    ];
    assert_eq!(told[told.len() - end.len()..], end);
}

#[tokio::test]
async fn layers_are_kept_as_they_are_in_the_package() {
    let scene = Scene::new();
    let (plain, packed, newer) = (b"plain".to_vec(), gzip(b"packed"), b"\x28\xb5\x2f\xfd and more".to_vec());
    let diff_ids = [sha256(&plain), sha256(b"packed"), sha256(b"of whatever is in it")];
    let config = json!({ "rootfs": { "diff_ids": diff_ids } }).to_string();
    let saved = json!([{ "Config": "c", "RepoTags": ["app:v1"], "Layers": ["1", "2", "3"] }]).to_string();
    let tar = Tar::default().file("1", &plain).file("2", &packed).file("3", &newer).file("c", config);
    let told = lines(&scene.import(&tar.file("manifest.json", saved).end()).await);
    assert_eq!(told, ["app:v1 is team/app:v1"]);
    let manifest = scene.ada().pull_manifest(&repository("team/app"), &tag("v1")).await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes.unwrap()).unwrap();
    let layers: Vec<_> =
        manifest["layers"].as_array().unwrap().iter().map(|it| (&it["mediaType"], &it["digest"])).collect();
    let layer = "application/vnd.oci.image.layer.v1.tar";
    assert_eq!(
        layers,
        [
            (&json!(layer), &json!(sha256(&plain))),
            (&json!(format!("{layer}+gzip")), &json!(sha256(&packed))),
            (&json!(format!("{layer}+zstd")), &json!(sha256(&newer))),
        ]
    );
}

#[tokio::test]
async fn one_image_that_is_wrong_does_not_stop_the_others() {
    let scene = Scene::new();
    let images = [
        SavedImage::new(&["a.b/other/app:v1", "first:v1"], &["one"]),
        SavedImage::new(&["UPPER:v1"], &["two"]),
        SavedImage::new(&["forbidden:v1"], &["three"]),
        SavedImage::new(&["last:v1", "first:v1"], &["four"]),
    ];
    let told = lines(&scene.import(&docker(&images).end()).await);
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(told[0], "a.b/other/app:v1: authentication failed");
    assert_eq!(told[1], "first:v1 is team/first:v1");
    assert!(told[2].starts_with("UPPER:v1: invalid image format: \"UPPER:v1\": "), "{}", told[2]);
    assert_eq!(told[3], "forbidden:v1: authentication failed");
    assert_eq!(told[4], "last:v1 is team/last:v1");
    assert_eq!(told[5], "first:v1: invalid image format: \"first:v1\": the name is given to two images");
    assert_eq!(scene.digest_of("team/first", "v1").await, Some(images[0].digest()));
}

#[tokio::test]
async fn a_target_names_the_one_image_of_a_package() {
    let v9 = |to: &str| team().with_target(repository(to), Tag::parse("v9").unwrap());
    let unnamed = docker(&[SavedImage::new(&[], &["one"])]).end();
    let named = docker(&[SavedImage::new(&["a.b/other/app:v1", "x:v1"], &["one"])]).end();
    for archive in [&unnamed, &named] {
        let scene = Scene::new();
        let package = Package::stream(chunked(archive, 999));
        let told = lines(&scene.import_with(package, &v9("team/app"), &scene.options()).await);
        assert_eq!(told, ["team/app:v9 is team/app:v9"]);
        assert_eq!(scene.digest_of("team/app", "v9").await, Some(SavedImage::new(&[], &["one"]).digest()));
    }
    let scene = Scene::new();
    let package = Package::stream(chunked(&unnamed, 999));
    let told = lines(&scene.import_with(package, &v9("other/app"), &scene.options()).await);
    assert_eq!(told, ["other/app:v9: authentication failed"]);
    let two = layout(&[SavedImage::new(&["a:v1"], &["one"]), SavedImage::new(&["b:v1"], &["two"])]).end();
    let package = Package::stream(chunked(&two, 999));
    let told = lines(&scene.import_with(package, &v9("team/app"), &scene.options()).await);
    assert!(told[0].ends_with("for one image, and the package has 2"), "{told:?}");
    scene.assert_untouched("wrong targets").await;
}

#[tokio::test]
async fn an_image_without_names_has_those_that_repositories_gives_it() {
    let image = SavedImage::new(&["app:v1", "app:v2"], &["one", "two"]);
    let nameless = SavedImage { names: Vec::new(), ..image.clone() };
    // The ids of layers go by where they are: those of both are the same.
    let top = sha256(b"0 1").hex();
    let archive = String::from_utf8_lossy(&docker(&[image]).end()).into_owned();
    assert!(archive.contains(&top));
    let without = docker(&[nameless]).end();
    let rest = without.len() - 1024 - 1024;
    let named = json!({ "app": { "v1": top, "v2": top, "v3": "of another" } }).to_string();
    let archive = Tar::default().raw(&without[..rest]).file("repositories", named).end();
    let scene = Scene::new();
    assert_eq!(lines(&scene.import(&archive).await), ["app:v1 is team/app:v1", "app:v2 is team/app:v2"]);
}

#[tokio::test]
async fn a_layout_that_lists_more_than_it_has_gives_what_is_whole() {
    let scene = Scene::new();
    let image = SavedImage::new(&[], &["one"]);
    let (manifest, config) = (image.manifest(), image.config());
    let child = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": sha256(&manifest),
        "size": manifest.len(),
    });
    let missing = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": sha256(b"of another platform"),
        "size": 19,
    });
    let oci = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": oci, "manifests": [missing, child] }).to_string();
    let top = json!({
        "mediaType": oci,
        "digest": sha256(index.as_bytes()),
        "size": index.len(),
        "annotations": { "io.containerd.image.name": "docker.io/library/app:v1" },
    });
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes).hex());
    let saved = json!([{ "Config": blob(&config), "RepoTags": ["app:v1"], "Layers": [blob(b"one")] }]);
    let tar = Tar::default()
        .file(&blob(&manifest), &manifest)
        .file(&blob(&config), &config)
        .file(&blob(b"one"), "one")
        .file(&blob(index.as_bytes()), &index)
        .file("index.json", json!({ "manifests": [top] }).to_string())
        .file("manifest.json", saved.to_string());
    assert_eq!(lines(&scene.import(&tar.end()).await), ["app:v1 is team/app:v1"]);
    assert_eq!(scene.digest_of("team/app", "v1").await, Some(sha256(&manifest)));
}

/// Tags stay where they are.
#[derive(Debug)]
struct NothingMoves;

#[async_trait]
impl TagGuard for NothingMoves {
    async fn mobility(&self, _: &RepositoryName, _: &Tag) -> Result<TagMobility, StoreError> {
        Ok(TagMobility::Fixed)
    }
}

#[tokio::test]
async fn a_fixed_tag_refuses_another_image_before_a_byte_is_written() {
    let scene = Scene::with(|builder| builder.tag_guard(Arc::new(NothingMoves)));
    let first = docker(&[SavedImage::new(&["app:v1"], &["one"])]).end();
    let other = docker(&[SavedImage::new(&["app:v1"], &["two"])]).end();
    assert_eq!(lines(&scene.import(&first).await), ["app:v1 is team/app:v1"]);
    assert_eq!(lines(&scene.import(&first).await), ["app:v1 is team/app:v1"]);
    let told = scene.told(&other).await;
    assert_eq!(told.last().unwrap(), "app:v1: tag `v1` is fixed: it cannot be moved or removed");
    assert!(!told.iter().any(|line| line.starts_with("blob")), "{told:?}");
}

#[tokio::test]
async fn files_are_taken_one_after_the_other_and_one_that_fails_stops_none() {
    let scene = Scene::new();
    let good = |name: &str| docker(&[SavedImage::new(&[name], &[name])]).end();
    let files = vec![
        ("a.tar".into(), Package::stream(chunked(&good("a:v1"), 999))),
        ("b.tar".into(), Package::stream(chunked(&b"no archive"[..].into(), 4))),
        ("c.tar".into(), Package::file(file(&gzip(&good("c:v1")))).unwrap()),
    ];
    let mut order = Vec::new();
    let mut report = |progress: Progress| match progress {
        Progress::File { number, name } => order.push(format!("{number} {name}")),
        Progress::FileDone(done) => order.push(format!("{} is done", done.name)),
        _ => {}
    };
    let outcomes = import_all(&scene.ada(), &team(), files, &scene.options(), &mut report).await.unwrap();
    let told: Vec<_> = outcomes.iter().flat_map(|outcome| lines(&outcome.result)).collect();
    assert_eq!(told[0], "a:v1 is team/a:v1");
    assert!(told[1].starts_with("invalid image format: neither a tar"), "{told:?}");
    assert_eq!(told[2], "c:v1 is team/c:v1");
    assert_eq!(order, ["0 a.tar", "a.tar is done", "1 b.tar", "b.tar is done", "2 c.tar", "c.tar is done"]);
}

#[tokio::test]
async fn an_eleventh_file_refuses_all_before_anything_is_read() {
    let scene = Scene::new();
    let good = docker(&[SavedImage::new(&["a:v1"], &["one"])]).end();
    let files =
        (0..=FILES_MAX).map(|at| (at.to_string().into(), Package::stream(chunked(&good, 999)))).collect();
    let refused = import_all(&scene.ada(), &team(), files, &scene.options(), &mut |_| {}).await;
    assert_eq!(refused.unwrap_err(), TooManyFiles);
    scene.assert_untouched("eleven files").await;
}

#[tokio::test]
async fn an_image_by_sha512_keeps_its_name() {
    let scene = Scene::new();
    let destination = Destination::new(OrganisationName::parse("team").unwrap());
    let sample = swr_core::testing::sample_images::SampleManifest::image("a")
        .under(swr_core::digest::Algorithm::Sha512);
    let reference = swr_core::reference::Reference::Digest(sample.digest());
    scene.push("team/app", reference.clone(), &sample).await;
    let archive = scene.exported("team/app", &sample.digest().to_string()).await;
    let destination = destination.with_target(repository("team/other"), Tag::parse("v1").unwrap());
    let package = Package::stream(chunked(&archive, 999));
    let told = lines(&scene.import_with(package, &destination, &scene.options()).await);
    assert_eq!(told, ["team/other:v1 is team/other:v1"]);
    assert_eq!(scene.digest_of("team/other", "v1").await, Some(sample.digest()));
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_not_taken() {
    let scene = Scene::new();
    let archive = docker(&[SavedImage::new(&["app:v1"], &["a layer"])]).end();
    let place = archive.windows(7).position(|bytes| bytes == b"a layer").unwrap();
    let path = scene.folder.path().join("package");
    std::fs::write(&path, &archive).unwrap();
    let mut report = |progress: Progress| {
        if matches!(progress, Progress::Read { .. }) {
            let mut changed = archive.to_vec();
            changed[place] = b'A';
            std::fs::write(&path, changed).unwrap();
        }
    };
    let package = Package::file(std::fs::File::open(&path).unwrap()).unwrap();
    let outcomes = import(&scene.ada(), &team(), package, &scene.options(), &mut report).await;
    let told = lines(&outcomes);
    assert!(told[0].starts_with("app:v1: invalid image format: the content has another digest"), "{told:?}");
    assert_eq!(scene.digest_of("team/app", "v1").await, None);
}

#[tokio::test]
async fn what_describes_an_image_is_no_longer_than_the_registry_takes() {
    let scene = Scene::with(|builder| {
        builder.limits(swr_core::registry::Limits { manifest_bytes_max: 200, ..Default::default() })
    });
    let archive = layout(&[SavedImage::new(&["app:v1"], &["a layer"])]).end();
    let told = lines(&scene.import(&archive).await);
    assert!(told[0].contains("what describes the images has more than 200 bytes"), "{told:?}");
    scene.assert_untouched("a long manifest").await;
}
