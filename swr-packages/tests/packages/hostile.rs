//! Archives that mean no good: each is refused for its reason, and nothing of it stays.

use bytes::Bytes;
use serde_json::json;
use swr_packages::{ImportError, ImportOptions, Package};

use crate::archives::{SavedImage, Tar, docker, gzip, layout, record, sha256};
use crate::scene::{Scene, broken, chunked, file, lines, sha512, team};

fn image() -> SavedImage {
    SavedImage::new(&["app:v1"], &["the first layer", "the second layer"])
}

fn good() -> Tar {
    docker(&[image()])
}

/// What is wrong with a package as a whole.
fn refused_as_a_whole() -> Vec<(&'static str, Bytes, &'static str)> {
    let sparse = [record("GNU.sparse.major", "1"), record("GNU.sparse.minor", "0")].concat();
    let unterminated = b"20 path=no end of it";
    let tops = |count: usize| {
        let listed = |at| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": sha256(format!("{at}").as_bytes()),
                "size": 1,
            })
        };
        json!({ "manifests": (0..count).map(listed).collect::<Vec<_>>() }).to_string()
    };
    vec![
        ("nothing", Bytes::new(), "the package is empty"),
        ("one byte", Bytes::from_static(b"x"), "neither a tar archive"),
        ("a text", Bytes::from_static(b"hello, this is no archive at all"), "neither a tar archive"),
        ("a long text", vec![b'x'; 4096].into(), "neither a tar archive"),
        (
            "an empty zip",
            b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec().into(),
            "neither a tar archive",
        ),
        ("zeros", vec![0; 10_240].into(), "neither `manifest.json` nor `index.json`"),
        ("less than a block of zeros", vec![0; 300].into(), "neither a tar archive"),
        ("an archive of other things", Tar::default().file("a", "b").end(), "neither `manifest.json` nor"),
        ("gzip of nothing", gzip(b""), "the package is empty"),
        ("gzip of gzip", gzip(&gzip(&good().end())), "neither a tar archive"),
        ("gzip of a text", gzip(&[b'x'; 4096]), "neither a tar archive"),
        ("a head of gzip alone", Bytes::from_static(&[0x1f, 0x8b]), "damaged gzip data"),
        ("damaged gzip", [&[0x1f, 0x8b, 8, 0][..], &[7; 600]].concat().into(), "damaged gzip data"),
        ("gzip that is cut off", cut(&gzip(&good().end()), 20), "damaged gzip data"),
        ("something after gzip", [&gzip(&good().end())[..], b"more"].concat().into(), "damaged gzip data"),
        ("cut off in a header", cut(&good().cut(), 700), "the archive is cut off"),
        ("cut off before its end", good().cut(), "the archive is cut off"),
        ("cut off in a file", good().header(b'0', "more", "", 2000).raw(&[1; 512]).cut(), "is cut off"),
        ("a length that is a lie", good().header(b'0', "more", "", 2000).raw(&[1; 512]).end(), "is cut off"),
        ("a file after the end", good().raw(&[0; 1024]).file("more", "x").end(), "follows the end"),
        ("a file after half an end", good().raw(&[0; 512]).file("more", "x").end(), "follows the end"),
        ("a text after the end", good().raw(&[0; 1024]).raw(b"more").end(), "follows the end"),
        ("a wrong checksum", good().odd_header(0, b"x").raw(&[1; 512]).end(), "checksum is wrong"),
        ("a length of letters", good().odd_header(124, b"abcdefghijk\0").end(), "no number"),
        ("a length below zero", good().odd_header(124, &[0xff; 12]).end(), "no number"),
        (
            "a length beyond all",
            good().odd_header(124, &[0x80, 0xff, 0xff, 0xff, 0xff, 0xff]).end(),
            "no number",
        ),
        (
            "content in a folder",
            good().header(b'5', "a/", "", 10).content(b"0123456789").end(),
            "can be none",
        ),
        (
            "content in a link",
            good().header(b'2', "a", "app", 10).content(b"0123456789").end(),
            "can be none",
        ),
        ("an absolute path", good().file("/etc/passwd", "x").end(), "it is absolute"),
        ("a path upwards", good().file("../x", "x").end(), "`.` or `..` in it"),
        ("a path up in the middle", good().file("a/../../x", "x").end(), "`.` or `..` in it"),
        ("a path with nothing in it", good().file("a//b", "x").end(), "a part of it is empty"),
        ("no name", good().file("", "x").end(), "a part of it is empty"),
        ("a backslash", good().file("..\\x", "x").end(), "a backslash"),
        ("no UTF-8", good().odd_header(0, &[0xff, 0xfe]).end(), "not UTF-8"),
        ("a long path", good().pax("path", &"ab".repeat(150)).file("x", "x").end(), "it is too long"),
        ("a path by pax upwards", good().pax("path", "../x").file("x", "x").end(), "`.` or `..` in it"),
        ("a path by GNU upwards", good().extended(b'L', b"../x\0").file("x", "x").end(), "`.` or `..` in it"),
        ("a zero in a path", good().pax("path", "a\0b").file("x", "x").end(), "a zero in it"),
        ("a name twice", good().file("manifest.json", "[]").end(), "stands twice"),
        ("a name twice, once with a dot", good().file("./manifest.json", "[]").end(), "stands twice"),
        ("a link over a file", good().symlink("manifest.json", "repositories").end(), "stands twice"),
        ("a file over a link", good().symlink("a", "repositories").file("a", "x").end(), "stands twice"),
        ("a folder over a file", good().folder("manifest.json/").end(), "stands twice"),
        ("a link out", good().symlink("a", "../b").end(), "leads out of the archive"),
        ("a link far out", good().symlink("a/b", "../../b").end(), "leads out of the archive"),
        ("an absolute link", good().symlink("a", "/etc/passwd").end(), "leads out of the archive"),
        ("a hard link out", good().hardlink("a/b", "../b").end(), "leads out of the archive"),
        ("a link by pax out", good().pax("linkpath", "../b").symlink("a", "b").end(), "leads out"),
        ("a device", good().header(b'3', "dev", "", 0).end(), "of this kind"),
        ("a pipe", good().header(b'6', "pipe", "", 0).end(), "of this kind"),
        ("a sparse file of GNU", good().header(b'S', "sparse", "", 0).end(), "of this kind"),
        ("a sparse file of pax", good().extended(b'x', &sparse).file("a", "x").end(), "of this kind"),
        ("a kind of nobody", good().header(b'Q', "a", "", 0).end(), "of this kind"),
        ("pax records that lie", good().extended(b'x', b"99 path=a\n").file("a", "x").end(), "malformed"),
        ("a pax record without end", good().extended(b'x', unterminated).file("a", "x").end(), "malformed"),
        ("a pax record without a key", good().extended(b'x', b"5 aa\n").file("a", "x").end(), "malformed"),
        ("a pax record of no length", good().extended(b'x', b"0 a=b\n").file("a", "x").end(), "malformed"),
        ("two names by pax", good().pax("path", "a").pax("path", "b").file("c", "x").end(), "two names"),
        (
            "two long names",
            good().extended(b'L', b"a").extended(b'L', b"b").file("c", "x").end(),
            "two names",
        ),
        ("a size by pax", good().pax("size", "-1").file("a", "x").end(), "no number"),
        (
            "one name for all",
            good().extended(b'g', &record("path", "a")).file("b", "x").end(),
            "for all entries",
        ),
        ("an empty extended header", good().extended(b'x', b"").file("a", "x").end(), "that is empty"),
        ("a huge extended header", good().header(b'x', "x", "", 1 << 20).end(), "more than 65536 bytes"),
        ("an extended header alone", good().pax("path", "a").end(), "without its entry"),
        (
            "a length beyond the limit",
            good().header(b'0', "a", "", 3 << 30).end(),
            "at most 2147483648 bytes",
        ),
        (
            "a length by pax beyond it",
            good().pax("size", "9000000000").file("a", "").end(),
            "at most 2147483648",
        ),
        (
            "a blob of another digest",
            good().file(&format!("blobs/sha256/{}", sha256(b"a").hex()), "b").end(),
            "another digest",
        ),
        (
            "another digest by SHA-512",
            good().file(&format!("blobs/sha512/{}", sha512(b"a").hex()), "b").end(),
            "another digest",
        ),
        ("a blob of no digest", good().file("blobs/sha256/abc", "b").end(), "another digest"),
        ("a manifest that is no JSON", Tar::default().file("manifest.json", "no").end(), "not the JSON"),
        ("a manifest of a wrong shape", Tar::default().file("manifest.json", "{}").end(), "not the JSON"),
        (
            "a manifest nested too deeply",
            Tar::default().file("manifest.json", "[".repeat(100_000)).end(),
            "not the JSON",
        ),
        (
            "a huge manifest",
            Tar::default().file("manifest.json", vec![b' '; (1 << 20) + 1]).end(),
            "more than 1048576 bytes",
        ),
        ("a manifest that is a folder", Tar::default().folder("manifest.json/").end(), "not in the package"),
        (
            "a manifest in a circle",
            Tar::default().symlink("manifest.json", "a").symlink("a", "manifest.json").end(),
            "leads to no file",
        ),
        (
            "a manifest that leads nowhere",
            Tar::default().symlink("manifest.json", "a").end(),
            "leads to no file",
        ),
        (
            "a manifest of no images",
            Tar::default().file("manifest.json", "[]").end(),
            "no image in the package",
        ),
        ("a layout of no images", Tar::default().file("index.json", "{}").end(), "no image in the package"),
        (
            "a layout of many images",
            Tar::default().file("index.json", tops(257)).end(),
            "more than 256 images",
        ),
    ]
}

fn cut(bytes: &Bytes, by: usize) -> Bytes {
    bytes.slice(..bytes.len() - by)
}

#[tokio::test]
async fn a_hostile_archive_is_refused_for_its_reason_and_leaves_nothing() {
    for (what, archive, reason) in refused_as_a_whole() {
        let scene = Scene::new();
        // In pieces of every kind, from a line, and as a file.
        for chunk in [509, 4096] {
            let refused = lines(&scene.import_chunked(&archive, chunk).await);
            let [refused] = refused.as_slice() else { panic!("{what}: {refused:?}") };
            assert!(refused.contains(reason), "{what}: {refused}");
            assert!(
                refused.starts_with("invalid image format: ") || refused.starts_with("a package may have")
            );
        }
        let refused = lines(&scene.import_file(&archive).await);
        assert!(refused.len() == 1 && refused[0].contains(reason), "{what}: {refused:?}");
        scene.assert_untouched(what).await;
    }
}

/// What is wrong with one image alone.
fn refused_as_an_image() -> Vec<(&'static str, Bytes, &'static str)> {
    let saved = |entry: serde_json::Value| Tar::default().file("manifest.json", json!([entry]).to_string());
    let entry =
        |config: &str, layers: &[&str]| json!({ "Config": config, "RepoTags": ["app:v1"], "Layers": layers });
    let config = image().config();
    let listed = |bytes: &str, media_type: &str, size: usize| {
        let descriptor = json!({
            "mediaType": media_type,
            "digest": sha256(bytes.as_bytes()),
            "size": size,
            "annotations": { "org.opencontainers.image.ref.name": "app:v1" },
        });
        Tar::default()
            .file(&format!("blobs/sha256/{}", sha256(bytes.as_bytes()).hex()), bytes)
            .file("index.json", json!({ "manifests": [descriptor] }).to_string())
    };
    let manifest = String::from_utf8(image().manifest()).unwrap();
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let index = "application/vnd.oci.image.index.v1+json";
    let of_many = |count: usize| {
        let layers: Vec<_> = (0..count).map(|_| "layer").collect();
        let diff_ids: Vec<_> = layers.iter().map(|_| sha256(b"layer")).collect();
        let config = json!({ "rootfs": { "diff_ids": diff_ids } }).to_string();
        saved(entry("config", &layers)).file("config", config).file("layer", "layer").end()
    };
    vec![
        ("no config", saved(entry("config", &[])).end(), "\"config\": not in the package"),
        ("a config out of the archive", saved(entry("../config", &[])).end(), "not in the package"),
        ("a config that is no JSON", saved(entry("c", &[])).file("c", "x").end(), "not the JSON"),
        (
            "a layer that is missing",
            saved(entry("c", &["a", "b"])).file("c", &config).file("a", "the first layer").end(),
            "\"b\": not in the package",
        ),
        (
            "fewer layers than the config has",
            saved(entry("c", &["a"])).file("c", &config).file("a", "the first layer").end(),
            "not those that the config",
        ),
        (
            "other layers than the config has",
            saved(entry("c", &["a", "b"]))
                .file("c", &config)
                .file("a", "the first layer")
                .file("b", "another")
                .end(),
            "not those that the config",
        ),
        (
            "a layer that leads nowhere",
            saved(entry("c", &["a", "b"]))
                .file("c", &config)
                .file("a", "the first layer")
                .symlink("b", "d")
                .end(),
            "leads to no file",
        ),
        ("more layers than a manifest names", of_many(40_000), "a manifest may have at most"),
        ("a manifest without its blobs", listed(&manifest, oci, manifest.len()).end(), "not in the package"),
        ("a manifest of another length", listed(&manifest, oci, 7).end(), "the image says 7"),
        ("a manifest that is none", listed("{}", oci, 2).end(), "the manifest is invalid"),
        ("a manifest of an unknown type", listed("{}", "text/plain", 2).end(), "not a manifest's type"),
        ("an index that is none", listed("[]", index, 2).end(), "the manifest is invalid"),
        ("an index in an index in an index", nested(7), "nested too deeply"),
        ("no name", docker(&[SavedImage::new(&[], &["a layer"])]).end(), "gives the image no name"),
        (
            "a tag alone",
            layout(&[SavedImage::new(&["latest"], &["a layer"])]).end(),
            "gives the image no name",
        ),
        (
            "a name that is none",
            docker(&[SavedImage::new(&["App:v1"], &["a layer"])]).end(),
            "invalid repository",
        ),
        (
            "a name of another shape",
            docker(&[SavedImage::new(&["team/app:v1"], &["a layer"])]).end(),
            "{host}/{organization}",
        ),
        (
            "another organisation",
            docker(&[SavedImage::new(&["a.b/other/app:v1"], &["a layer"])]).end(),
            "authentication failed",
        ),
        (
            "a repository without the right",
            docker(&[SavedImage::new(&["forbidden:v1"], &["a layer"])]).end(),
            "authentication failed",
        ),
    ]
}

/// An index in an index, so many times.
fn nested(times: usize) -> Bytes {
    let oci = "application/vnd.oci.image.index.v1+json";
    let mut tar = Tar::default();
    let mut bytes = json!({ "schemaVersion": 2, "mediaType": oci, "manifests": [] }).to_string();
    let mut descriptor = json!(null);
    for _ in 0..times {
        tar = tar.file(&format!("blobs/sha256/{}", sha256(bytes.as_bytes()).hex()), &bytes);
        descriptor = json!({ "mediaType": oci, "digest": sha256(bytes.as_bytes()), "size": bytes.len() });
        bytes = json!({ "schemaVersion": 2, "mediaType": oci, "manifests": [descriptor] }).to_string();
    }
    descriptor["annotations"] = json!({ "io.containerd.image.name": "app:v1" });
    tar.file("index.json", json!({ "manifests": [descriptor] }).to_string()).end()
}

#[tokio::test]
async fn an_image_that_is_wrong_is_refused_for_its_reason_and_leaves_nothing() {
    for (what, archive, reason) in refused_as_an_image() {
        let scene = Scene::new();
        let outcomes = scene.import(&archive).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let told = lines::<String>(&Ok(outcomes));
        assert!(told.len() == 1 && told[0].contains(reason), "{what}: {told:?}");
        scene.assert_untouched(what).await;
    }
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    let scene = Scene::new();
    let bomb = gzip(&good().file("zeros", vec![0; 8 << 20]).end());
    assert!(bomb.len() < 1 << 20);
    let mut options = scene.options();
    options.package_bytes_max = 1 << 20;
    for package in [Package::stream(chunked(&bomb, 512)), Package::file(file(&bomb)).unwrap()] {
        let refused = scene.import_with(package, &team(), &options).await;
        assert!(matches!(refused, Err(ImportError::TooLarge { limit: 0x10_0000 })), "{refused:?}");
    }
    scene.assert_untouched("a bomb").await;
}

#[tokio::test]
async fn the_limit_is_the_last_byte_that_is_taken() {
    let archive = good().end();
    for (limit, is_taken) in [(archive.len(), true), (archive.len() - 1, false)] {
        for packed in [archive.clone(), gzip(&archive)] {
            let scene = Scene::new();
            let mut options = scene.options();
            options.package_bytes_max = limit as u64;
            let taken = scene.import_with(Package::stream(chunked(&packed, 999)), &team(), &options).await;
            assert_eq!(taken.is_ok(), is_taken, "{limit}");
        }
    }
}

#[tokio::test]
async fn a_package_whose_declared_length_passes_the_limit_is_not_read() {
    let scene = Scene::new();
    let body = swr_core::stream::ByteStream::new(Box::pin(futures_util::stream::pending()), Some(3 << 30));
    let refused = scene.import_with(Package::stream(body), &team(), &scene.options()).await;
    assert!(matches!(refused, Err(ImportError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_million_entries_are_not_read_to_their_end() {
    let scene = Scene::new();
    // Repeating pieces of a few thousand entries each, under names that do not repeat.
    let pieces = (0..250).map(|piece| {
        let folders = (0..4000).fold(Tar::default(), |tar, at| tar.folder(&format!("{piece}/{at}/")));
        Ok(folders.cut())
    });
    let body = swr_core::stream::ByteStream::new(Box::pin(futures_util::stream::iter(pieces)), None);
    let refused = lines(&scene.import_with(Package::stream(body), &team(), &scene.options()).await);
    assert_eq!(refused, ["invalid image format: more than 16384 entries"]);
    scene.assert_untouched("a million entries").await;
}

#[tokio::test]
async fn a_package_that_breaks_off_leaves_nothing() {
    let scene = Scene::new();
    for archive in [good().end(), gzip(&good().end())] {
        let refused = scene.import_with(Package::stream(broken(&archive)), &team(), &scene.options()).await;
        assert!(matches!(refused, Err(ImportError::Interrupted(_))), "{refused:?}");
    }
    scene.assert_untouched("a break").await;
}

#[tokio::test]
async fn a_spool_that_is_not_there_fails_what_needs_one_alone() {
    let scene = Scene::new();
    let options = ImportOptions::new(scene.folder.path().join("gone"));
    let archive = good().end();
    let refused = scene.import_with(Package::stream(chunked(&archive, 999)), &team(), &options).await;
    assert!(matches!(refused, Err(ImportError::Unreadable(_))), "{refused:?}");
    let refused = scene.import_with(Package::file(file(&gzip(&archive))).unwrap(), &team(), &options).await;
    assert!(matches!(refused, Err(ImportError::Unreadable(_))), "{refused:?}");
    scene.assert_untouched("no spool").await;
    let taken = scene.import_with(Package::file(file(&archive)).unwrap(), &team(), &options).await;
    assert_eq!(lines(&taken), ["app:v1 is team/app:v1"]);
}
