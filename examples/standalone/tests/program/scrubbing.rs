//! Bytes that rot: found, set aside, and healed by the next push.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use swr_core::digest::{Algorithm, Digest};

use crate::Program;

/// The file that has the content of the digest.
fn file_of(data: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    let folder = data.join("blobs/blobs/sha256").join(&hex[..2]);
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| file.file_name().unwrap().to_string_lossy().starts_with(&hex)).unwrap()
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[0] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn scrub(data: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swr")).args(["scrub", "--data"]).arg(data).args(more).output().unwrap()
}

fn config_of(tag: &str) -> (String, Digest) {
    let config = format!("{{\"tag\":\"{tag}\"}}");
    let digest = Algorithm::Sha256.digest(config.as_bytes());
    (config, digest)
}

#[test]
fn what_rots_under_a_server_is_unknown_until_it_is_pushed_again() {
    let data = tempfile::tempdir().unwrap();
    let often = [("SWR_SCRUB__INTERVAL", "1s")];
    let program = Program::start_with(data.path(), Stdio::null(), &often);
    program.push("v1");
    program.push("v2");
    let (config, rotten) = config_of("v1");
    let pull = |digest: &Digest| program.request("GET", &format!("/v2/org/app/blobs/{digest}"), "", b"");
    assert!(pull(&rotten).ends_with(&config));

    flip(&file_of(data.path(), &rotten));
    while !pull(&rotten).starts_with("HTTP/1.1 404") {}
    let (sound, other) = config_of("v2");
    assert!(pull(&other).ends_with(&sound));
    let metrics = Program::ask(&program.health, "GET", "/metrics", "", b"");
    assert!(metrics.contains("swr_scrubbed_total{kind=\"quarantined\"} 1\n"), "{metrics}");

    program.push("v1");
    assert!(pull(&rotten).ends_with(&config));
    assert!(program.end());
}

#[test]
fn a_data_directory_is_read_again_by_hand() {
    let data = tempfile::tempdir().unwrap();
    let refused = scrub(data.path(), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no registry in"), "{refused:?}");

    let program = Program::start(data.path());
    program.push("v1");
    program.push("v2");
    let in_use = scrub(data.path(), &[]);
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("is in use"), "{in_use:?}");
    assert!(program.end());

    let sound = scrub(data.path(), &[]);
    assert!(sound.status.success(), "{sound:?}");
    assert!(String::from_utf8_lossy(&sound.stdout).contains("quarantined  0\n"), "{sound:?}");

    let (_, rotten) = config_of("v1");
    flip(&file_of(data.path(), &rotten));
    // A stray, as a power cut may leave one.
    let (_, other) = config_of("v2");
    let file = file_of(data.path(), &other);
    let copied = Algorithm::Sha256.digest(b"a stray").hex();
    let stray =
        file.with_file_name(file.file_name().unwrap().to_string_lossy().replace(&other.hex(), &copied));
    let folder = data.path().join("blobs/blobs/sha256").join(&copied[..2]);
    fs::create_dir_all(&folder).unwrap();
    let stray = folder.join(stray.file_name().unwrap());
    fs::write(&stray, b"a stray").unwrap();
    File::open(&stray).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();

    let broken = scrub(data.path(), &["--format", "json"]);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    let report: Value = serde_json::from_slice(&broken.stdout).unwrap();
    for (what, count) in [("blobs", 2), ("manifests", 2), ("quarantined", 1), ("strays", 1), ("faults", 0)] {
        assert_eq!(report[what], count, "{what}: {report}");
    }
    assert_eq!(report["findings"][0]["what"], rotten.to_string(), "{report}");

    let program = Program::start(data.path());
    let path = format!("/v2/org/app/blobs/{rotten}");
    assert!(program.request("HEAD", &path, "", b"").starts_with("HTTP/1.1 404"));
    program.push("v1");
    assert!(program.request("HEAD", &path, "", b"").starts_with("HTTP/1.1 200"));
    // The first collection after a start removes what was found.
    while stray.exists() {}
    assert!(program.end());
    assert!(scrub(data.path(), &[]).status.success());
}
