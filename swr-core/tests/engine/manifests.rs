//! What is a manifest, and what is none.

use bytes::Bytes;
use serde_json::{Value, json};
use swr_core::digest::{Algorithm, Digest};
use swr_core::manifest::{ManifestDefect, ManifestRecord, ReferenceKind};
use swr_core::media_type::MediaType;
use swr_core::testing::sample_images::{SampleBlob, SampleManifest};

fn parse(text: impl Into<Bytes>, told: Option<&str>) -> Result<ManifestRecord, ManifestDefect> {
    let told = told.map(|text| MediaType::parse(text).unwrap());
    ManifestRecord::parse(text.into(), told.as_ref(), Algorithm::Sha256)
}

fn digest(of: &str) -> Digest {
    SampleBlob::new(of).digest
}

fn descriptor(media_type: &str, of: &str) -> Value {
    json!({ "mediaType": media_type, "digest": digest(of), "size": of.len() })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", "config"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", "layer")],
    })
}

fn index() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [descriptor(MediaType::OCI_MANIFEST, "child")],
    })
}

fn artifact() -> Value {
    json!({
        "mediaType": MediaType::OCI_ARTIFACT,
        "artifactType": "application/vnd.example",
        "blobs": [descriptor("application/octet-stream", "blob")],
        "subject": descriptor(MediaType::OCI_MANIFEST, "subject"),
    })
}

fn with(mut manifest: Value, key: &str, value: Value) -> Value {
    manifest[key] = value;
    manifest
}

fn without(mut manifest: Value, key: &str) -> Value {
    manifest.as_object_mut().unwrap().remove(key);
    manifest
}

#[test]
fn what_the_samples_say_of_themselves_is_what_is_read() {
    let (child, subject) = (SampleManifest::image("child"), SampleManifest::image("subject"));
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let twice = SampleBlob::new("twice");
    for manifest in [
        SampleManifest::image("image").annotated("a", "b"),
        SampleManifest::image("twice").with_layer(&twice).with_layer(&twice),
        SampleManifest::image("foreign").with_layer_of(foreign, &SampleBlob::new("foreign")),
        SampleManifest::image("typed").with_config_of("application/vnd.example.config"),
        SampleManifest::artifact("application/vnd.example", "artifact").referring_to(&subject),
        SampleManifest::index(&[]),
        SampleManifest::index(&[&child, &subject, &child]).referring_to(&subject),
    ] {
        for told in [None, Some(manifest.media_type())] {
            let read = ManifestRecord::parse(manifest.bytes(), told.as_ref(), Algorithm::Sha256).unwrap();
            assert_eq!(read, manifest.record());
        }
        let sha512 = manifest.under(Algorithm::Sha512);
        let read = ManifestRecord::parse(sha512.bytes(), None, Algorithm::Sha512).unwrap();
        assert_eq!(read.digest, sha512.digest());
    }
}

#[test]
fn references_are_of_the_kind_that_their_place_and_type_say() {
    let docker_layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    let docker = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_MANIFEST,
        "config": descriptor("application/vnd.docker.container.image.v1+json", "config"),
        // An author may call a layer what he likes.
        "layers": [descriptor(docker_layer, "a"), descriptor(foreign, "b"), descriptor("no type at all", "c")],
    });
    let mixed = with(
        index(),
        "manifests",
        json!([
            descriptor(MediaType::DOCKER_MANIFEST, "a"),
            descriptor(MediaType::DOCKER_LIST, "b"),
            descriptor(MediaType::OCI_ARTIFACT, "c"),
            descriptor("application/vnd.buildkit.cacheconfig.v0", "d"),
        ]),
    );
    use ReferenceKind::{Blob, ForeignBlob, Manifest};
    for (manifest, expected) in [
        (docker, vec![("config", Blob), ("a", Blob), ("b", ForeignBlob), ("c", Blob)]),
        (mixed, vec![("a", Manifest), ("b", Manifest), ("c", Manifest), ("d", Blob)]),
        (artifact(), vec![("blob", Blob)]),
    ] {
        let read = parse(manifest.to_string(), None).unwrap();
        let found: Vec<_> = read.references.iter().map(|it| (it.digest, it.size, it.kind)).collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(of, kind)| (digest(of), of.len() as u64, kind)).collect();
        assert_eq!(found, expected);
    }
    // What has to be there once has to be there.
    let both = json!([descriptor(foreign, "x"), descriptor(docker_layer, "x"), descriptor(foreign, "x")]);
    let read = parse(with(image(), "layers", both).to_string(), None).unwrap();
    assert_eq!(read.references.last().unwrap().kind, Blob);
}

#[test]
fn what_is_unknown_is_left_alone() {
    for manifest in [
        with(image(), "org.example.unknown", json!({ "deep": [{ "er": null }] })),
        with(image(), "layers", json!([])),
        with(image(), "layers", json!(null)),
        with(image(), "manifests", json!(null)),
        with(image(), "annotations", json!(null)),
        with(index(), "manifests", json!([])),
        with(index(), "manifests", json!(null)),
        without(artifact(), "blobs"),
        without(artifact(), "subject"),
    ] {
        parse(manifest.to_string(), None).unwrap_or_else(|defect| panic!("{manifest}: {defect}"));
    }
    let mut data = image();
    data["config"]["data"] = json!("e30=");
    data["config"]["unknown"] = json!([1.5, -1, true]);
    let spaced = format!(" \n{}\r\n\t", serde_json::to_string_pretty(&data).unwrap());
    let read = parse(spaced.clone(), None).unwrap();
    assert_eq!(read.bytes, spaced);
}

#[test]
fn the_type_of_an_artifact_is_its_own_or_that_of_its_config() {
    let of =
        |manifest: Value| parse(manifest.to_string(), None).unwrap().artifact_type.map(|it| it.to_string());
    assert_eq!(of(image()).as_deref(), Some("application/vnd.oci.image.config.v1+json"));
    assert_eq!(of(with(image(), "artifactType", json!("a/b"))).as_deref(), Some("a/b"));
    assert_eq!(of(index()), None);
    assert_eq!(of(with(index(), "artifactType", json!("a/b"))).as_deref(), Some("a/b"));
}

/// A test of a defect and the sentence that tells it.
#[test]
fn what_is_no_manifest_is_refused_with_the_place_and_the_reason() {
    let text = |value: Value| value.to_string();
    let layer = |value: Value| text(with(image(), "layers", json!([value])));
    let size = |size: &str| text(image()).replace(r#""size":5"#, &format!(r#""size":{size}"#));
    let nested = |depth: usize| {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        text(image()).replacen('{', &format!(r#"{{"deep":{deep},"#), 1)
    };
    parse(nested(31), None).unwrap();

    for (manifest, told, sentence) in [
        // Not JSON, or more than it.
        (String::new(), None, "EOF while parsing"),
        (text(image()) + "{}", None, "trailing characters"),
        (format!("\u{feff}{}", image()), None, "expected value"),
        (text(image()).replace(r#""size":5"#, r#""size":5,"#), None, "trailing comma"),
        ("[]".into(), None, "a manifest is an object"),
        ("\"text\"".into(), None, "a manifest is an object"),
        ("null".into(), None, "a manifest is an object"),
        (nested(32), None, "nested more than 32 deep"),
        (nested(100_000), None, "nested more than 32 deep"),
        // Keys that two readers read in two ways.
        (text(image()).replacen('{', r#"{"layers":[],"#, 1), None, "key `layers` stands twice"),
        (text(image()).replacen('{', r#"{"a":1,"a":1,"#, 1), None, "key `a` stands twice"),
        (text(image()).replacen('{', r#"{"x":[{"a":1,"\u0061":1}],"#, 1), None, "key `a` stands twice"),
        (layer(json!({})).replace("{}", r#"{"size":1,"size":2}"#), None, "key `size` stands twice"),
        (text(with(image(), "Layers", json!([]))), None, "key `Layers` could be taken for `layers`"),
        (text(with(image(), "layer\u{17f}", json!([]))), None, "could be taken for `layers`"),
        (text(with(index(), "CONFIG", json!({}))), None, "key `CONFIG` could be taken for `config`"),
        (layer(json!({ "Digest": "" })), None, "key `Digest` could be taken for `digest`"),
        // What it is.
        (text(without(image(), "mediaType")), None, "neither `mediaType` nor the content type"),
        (text(image()), Some(MediaType::DOCKER_MANIFEST), "`mediaType` says `application/vnd.oci"),
        (text(without(image(), "mediaType")), Some("application/json"), "these are: application/vnd.oci"),
        (text(with(image(), "mediaType", json!("text/html"))), None, "`text/html` is not a manifest's type"),
        (text(with(image(), "mediaType", json!("x"))), None, "media type `x`"),
        (text(with(image(), "mediaType", json!(1))), None, "invalid type: integer `1`, expected a string"),
        (text(with(image(), "artifactType", json!(""))), None, "media type ``"),
        // One shape and no other.
        (text(with(image(), "manifests", json!([]))), None, "an image has no `manifests`, and this one has"),
        (text(with(image(), "blobs", json!([]))), None, "an image has no `blobs`"),
        (text(with(index(), "layers", json!([]))), None, "an index has no `layers`"),
        (text(with(index(), "config", image()["config"].clone())), None, "an index has no `config`"),
        (text(with(artifact(), "manifests", json!([]))), None, "an artifact has no `manifests`"),
        (text(without(image(), "config")), None, "an image has `config`, and this one has not"),
        (text(with(image(), "config", json!(null))), None, "an image has `config`"),
        (text(without(image(), "layers")), None, "an image has `layers`"),
        (text(without(index(), "manifests")), None, "an index has `manifests`"),
        (text(without(artifact(), "artifactType")), None, "an artifact has `artifactType`"),
        (text(without(image(), "schemaVersion")), None, "an image has `schemaVersion`"),
        (text(with(image(), "schemaVersion", json!(3))), None, "`schemaVersion` is 3"),
        (text(with(image(), "schemaVersion", json!("2"))), None, "invalid type: string \"2\""),
        (text(with(image(), "schemaVersion", json!(1))), None, "schema 1 is not supported"),
        (text(with(image(), "fsLayers", json!([]))), None, "schema 1 is not supported"),
        // What it names.
        (layer(json!({ "digest": digest("x"), "size": 1 })), None, "missing field `mediaType`"),
        (layer(json!({ "mediaType": "a/b", "size": 1 })), None, "missing field `digest`"),
        (layer(json!({ "mediaType": "a/b", "digest": digest("x") })), None, "missing field `size`"),
        (layer(json!({ "mediaType": "a/b", "digest": "sha256:x", "size": 1 })), None, "digest `sha256:x`"),
        (layer(json!("text")), None, "invalid type: string \"text\""),
        (text(with(image(), "layers", json!({}))), None, "invalid type: map, expected a sequence"),
        (text(with(image(), "annotations", json!({ "a": 1 }))), None, "invalid type: integer `1`"),
        (text(with(image(), "subject", json!({}))), None, "missing field `mediaType`"),
        (size("-1"), None, "invalid value: integer `-1`"),
        (size("5.0"), None, "invalid type: floating point `5.0`"),
        (size("9223372036854775808"), None, "`layers` entry 0: the size 9223372036854775808"),
        (size("18446744073709551616"), None, "invalid type: floating point"),
        (
            text(with(
                image(),
                "layers",
                json!([descriptor("a/b", "x"), { "mediaType": "a/b", "digest": digest("x"), "size": 2 }]),
            )),
            None,
            "`layers` entry 1: sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 was named before with another size",
        ),
        (
            text(with(
                index(),
                "manifests",
                json!([descriptor("a/b", "x"), descriptor(MediaType::OCI_MANIFEST, "x")]),
            )),
            None,
            "was named before with another kind",
        ),
    ] {
        let defect = match parse(manifest.clone(), told) {
            Err(defect) => defect.to_string(),
            Ok(_) => panic!("taken, though `{sentence}`: {manifest:.300}"),
        };
        assert!(defect.contains(sentence), "{defect}\nfor {manifest:.300}");
        assert!(defect.len() < 600, "{defect}");
    }
    parse(size("9223372036854775807"), None).unwrap();
}

#[test]
fn a_defect_of_the_text_tells_line_and_column() {
    let text = serde_json::to_string_pretty(&image()).unwrap().replace("\"size\": 5", "\"size\": true");
    let line = 1 + text.lines().position(|line| line.contains("true")).unwrap();
    let defect = parse(text, None).unwrap_err();
    assert!(
        matches!(&defect, ManifestDefect::Json { line: at, column: 18, .. } if *at == line),
        "{defect:?}"
    );
}

#[test]
fn a_long_text_is_not_repeated_in_the_answer() {
    let long = "x".repeat(1 << 20);
    for manifest in [
        with(image(), "schemaVersion", json!(long)),
        with(image(), "layers", json!(long)),
        with(image(), "mediaType", json!(long)),
        with(image(), "config", json!({ "mediaType": "a/b", "digest": long, "size": 1 })),
    ] {
        assert!(parse(manifest.to_string(), None).unwrap_err().to_string().len() < 600);
    }
}
