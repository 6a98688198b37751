//! What a version is written as.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use swr_core::Error;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};

use crate::archives::{SavedImage, docker, sha256};
use crate::scene::{Scene, lines, tag};

/// The files of an archive, read by nothing of the crate.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut at = 0;
    while archive[at..at + 512].iter().any(|byte| *byte != 0) {
        let text = |from: usize, to: usize| {
            let field = &archive[at + from..at + to];
            String::from_utf8(field.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap()
        };
        let size = usize::from_str_radix(&text(124, 136), 8).unwrap();
        let (name, prefix) = (text(0, 100), text(345, 500));
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        // Times and owners say nothing.
        assert_eq!((text(108, 116).as_str(), text(116, 124).as_str()), ("0000000", "0000000"), "{name}");
        assert_eq!(text(136, 148), "00000000000", "{name}");
        files.push((name, archive[at + 512..at + 512 + size].to_vec()));
        at += 512 + size.next_multiple_of(512);
    }
    assert_eq!(archive.len() - at, 1024);
    files
}

fn json_of(files: &[(String, Vec<u8>)], name: &str) -> Value {
    let (_, bytes) = files.iter().find(|(other, _)| other == name).unwrap();
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn an_image_is_a_layout_and_what_docker_saves_at_once() {
    let scene = Scene::new();
    let layer = SampleBlob::new("a layer that is there twice");
    let image = SampleManifest::image("app").with_layer(&layer).with_layer(&layer);
    scene.push("team/app", tag("v1"), &image).await;
    let archive = files(&scene.exported("team/app", "v1").await);

    let names: Vec<&str> = archive.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..5], ["oci-layout", "index.json", "manifest.json", "blobs/", "blobs/sha256/"]);
    assert_eq!(json_of(&archive, "oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }));
    let listed = json_of(&archive, "index.json")["manifests"][0].clone();
    assert_eq!(listed["digest"], json!(image.digest()));
    assert_eq!(listed["annotations"]["org.opencontainers.image.ref.name"], "v1");
    let name = "registry.example:5000/team/app:v1";
    assert_eq!(listed["annotations"]["io.containerd.image.name"], name);

    let blobs: BTreeMap<&str, &[u8]> =
        archive.iter().skip(5).map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    assert_eq!(blobs.len(), archive.len() - 5, "each once");
    for (name, bytes) in &blobs {
        assert_eq!(*name, format!("blobs/sha256/{}", sha256(bytes).hex()));
    }
    let saved = json_of(&archive, "manifest.json");
    assert_eq!(saved[0]["RepoTags"], json!([name]));
    let of = |blob: &SampleBlob| json!(format!("blobs/sha256/{}", blob.digest.hex()));
    let named: Vec<Value> = image.blobs().map(of).collect();
    assert_eq!(saved[0]["Config"], named[0]);
    assert_eq!(saved[0]["Layers"], json!(named[1..]), "a layer twice where it is there twice");
    assert_eq!(saved[0]["Layers"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_went_out_comes_in_under_the_same_digest_and_goes_out_byte_for_byte() {
    let arm = SampleManifest::image("arm");
    let amd = SampleManifest::image("amd");
    let index = SampleManifest::index(&[&arm, &amd]);
    let from = Scene::new();
    from.push("team/app", tag("v1"), &amd).await;
    for child in [&arm, &amd] {
        from.push("team/multi", child.digest().into(), child).await;
    }
    from.push("team/multi", tag("v1"), &index).await;
    from.push("team/chart", tag("v1"), &SampleManifest::artifact("application/vnd.example.chart", "a")).await;
    let docker_layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let old = SampleManifest::image("old")
        .with_config_of("application/vnd.docker.container.image.v1+json")
        .with_layer_of(docker_layer, &SampleBlob::new("of old"));
    from.push("team/old", tag("v1"), &old).await;

    for repository in ["team/app", "team/multi", "team/chart", "team/old"] {
        let archive = from.exported(repository, "v1").await;
        assert_eq!(archive, from.exported(repository, "v1").await, "{repository}");
        let to = Scene::new();
        let told = lines(&to.import(&archive).await);
        assert_eq!(told, [format!("registry.example:5000/{repository}:v1 is {repository}:v1")]);
        let digest = from.digest_of(repository, "v1").await;
        assert!(digest.is_some());
        assert_eq!(to.digest_of(repository, "v1").await, digest, "{repository}");
        assert_eq!(to.exported(repository, "v1").await, archive, "{repository}");
    }
}

#[tokio::test]
async fn what_was_saved_comes_out_with_the_digest_that_it_came_in_with() {
    let scene = Scene::new();
    let image = SavedImage::new(&["app:v1"], &["one", "two"]);
    scene.import(&docker(std::slice::from_ref(&image)).end()).await.unwrap();
    let archive = scene.exported("team/app", "v1").await;
    let to = Scene::new();
    to.import(&archive).await.unwrap();
    assert_eq!(to.digest_of("team/app", "v1").await, Some(image.digest()));
}

#[tokio::test]
async fn of_an_index_docker_loads_the_usual_platform_or_the_first() {
    let scene = Scene::new();
    let (arm, amd) = (SampleManifest::image("arm"), SampleManifest::image("amd"));
    for child in [&arm, &amd] {
        scene.push("team/multi", child.digest().into(), child).await;
    }
    scene.push("team/multi", tag("first"), &SampleManifest::index(&[&arm, &amd])).await;
    let config = |image: &SampleManifest| {
        json!(format!("blobs/sha256/{}", image.blobs().next().unwrap().digest.hex()))
    };
    let archive = files(&scene.exported("team/multi", "first").await);
    let saved = json_of(&archive, "manifest.json");
    assert_eq!(saved.as_array().unwrap().len(), 1);
    assert_eq!(saved[0]["Config"], config(&arm));

    let mut index: Value = serde_json::from_slice(&SampleManifest::index(&[&arm, &amd]).bytes()).unwrap();
    index["manifests"][0]["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    index["manifests"][1]["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let push = swr_core::registry::ManifestPush {
        reference: tag("usual"),
        tags: Vec::new(),
        media_type: None,
        bytes: index.to_string().into(),
        precondition: swr_core::registry::Precondition::None,
    };
    scene.ada().push_manifest(&crate::scene::repository("team/multi"), push).await.unwrap();
    let archive = files(&scene.exported("team/multi", "usual").await);
    assert_eq!(json_of(&archive, "manifest.json")[0]["Config"], config(&amd));
}

#[tokio::test]
async fn what_is_no_image_is_in_the_layout_alone_and_what_has_no_tag_has_no_name() {
    let scene = Scene::new();
    let chart = SampleManifest::artifact("application/vnd.example.chart", "a");
    scene.push("team/chart", tag("v1"), &chart).await;
    let archive = files(&scene.exported("team/chart", "v1").await);
    assert!(archive.iter().all(|(name, _)| name != "manifest.json"));

    let image = SampleManifest::image("app");
    scene.push("team/app", tag("v1"), &image).await;
    let archive = files(&scene.exported("team/app", &image.digest().to_string()).await);
    assert_eq!(json_of(&archive, "manifest.json")[0]["RepoTags"], Value::Null);
    assert_eq!(json_of(&archive, "index.json")["manifests"][0]["annotations"], Value::Null);
}

#[tokio::test]
async fn the_file_of_a_version_is_called_after_it() {
    let scene = Scene::new();
    let image = SampleManifest::image("app");
    scene.push("team/deep/app", tag("v1"), &image).await;
    let digest = image.digest().to_string();
    let by_digest = format!("deep_app_{}.tar", digest.replace(':', "_"));
    for (reference, expected) in [("v1", "deep_app_v1.tar"), (&digest, &by_digest)] {
        assert_eq!(*scene.export("team/deep/app", reference, "host").await.unwrap().file_name, *expected);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_exported() {
    let scene = Scene::new();
    scene.push("team/app", tag("v1"), &SampleManifest::image("app")).await;
    let refused = scene.export("team/app", "v2", "host").await.unwrap_err();
    assert!(matches!(refused, Error::ManifestUnknown { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_layer_that_may_stay_elsewhere_is_left_out_where_it_is_not_here() {
    let scene = Scene::new();
    let foreign = SampleBlob::new("of somebody else");
    let image = SampleManifest::image("windows")
        .with_layer_of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", &foreign);
    let to = crate::scene::repository("team/app");
    for blob in image.blobs().filter(|blob| blob.digest != foreign.digest) {
        scene.ada().push_blob(&to, &blob.digest, blob.bytes.clone().into()).await.unwrap();
    }
    let push = swr_core::registry::ManifestPush {
        reference: tag("v1"),
        tags: Vec::new(),
        media_type: Some(image.media_type()),
        bytes: image.bytes(),
        precondition: swr_core::registry::Precondition::None,
    };
    scene.ada().push_manifest(&to, push).await.unwrap();
    let archive = scene.exported("team/app", "v1").await;
    let other = Scene::new();
    assert_eq!(lines(&other.import(&archive).await), ["registry.example:5000/team/app:v1 is team/app:v1"]);
    assert_eq!(other.digest_of("team/app", "v1").await, Some(image.digest()));
}
