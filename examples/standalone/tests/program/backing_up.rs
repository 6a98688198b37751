//! A backup of a data directory that a server runs on, and a server on what is restored of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::Program;

fn swr(arguments: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swr")).args(arguments).arg("--data").arg(data).output().unwrap()
}

#[test]
fn a_server_runs_on_what_was_backed_up_under_another() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup, back) =
        (folder.path().join("data"), folder.path().join("backup"), folder.path().join("back"));
    let program = Program::start(&data);
    program.push("v1");
    let to = backup.to_str().unwrap();
    let copied = swr(&["backup", to, "--format", "json"], &data);
    assert!(copied.status.success(), "{copied:?}");
    let report: Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert_eq!((&report["blobs"], &report["copied"]), (&Value::from(1), &Value::from(1)), "{report}");
    program.push("v2");
    let copied = swr(&["backup", to, "--format", "json"], &data);
    let report: Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert_eq!((&report["blobs"], &report["copied"]), (&Value::from(2), &Value::from(1)), "{report}");
    let into_itself = swr(&["restore", to], &data);
    assert_eq!(into_itself.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&into_itself.stderr).contains("already"), "{into_itself:?}");
    assert!(program.end());

    let restored = swr(&["restore", to], &back);
    assert!(restored.status.success(), "{restored:?}");
    let program = Program::start(&back);
    for tag in ["v1", "v2"] {
        let pulled = program.request("GET", &format!("/v2/org/app/manifests/{tag}"), "", b"");
        assert!(pulled.starts_with("HTTP/1.1 200"), "{pulled}");
    }
    program.push("v3");
    assert!(program.end());
}

#[test]
fn the_master_key_is_in_a_backup_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = swr(&["init"], &path("data"));
    assert!(made.status.success(), "{made:?}");
    for (backup, flags) in [("plain", &[][..]), ("keyed", &["--with-master-key"][..])] {
        let to = path(backup);
        let copied = swr(&[&["backup", to.to_str().unwrap()], flags].concat(), &path("data"));
        assert!(copied.status.success(), "{copied:?}");
    }
    assert!(!path("plain/master.key").exists());
    let key = fs::read(path("data/master.key")).unwrap();
    assert_eq!(fs::read(path("keyed/master.key")).unwrap(), key);
    let restored = swr(&["restore", path("keyed").to_str().unwrap()], &path("back"));
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(fs::read(path("back/master.key")).unwrap(), key);
    for file in ["back/master.key", "keyed/master.key", "back/registry.db", "keyed/registry.db"] {
        let mode = fs::metadata(path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
    let listed = swr(&["user", "list", "--account", "default"], &path("back"));
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn the_master_key_in_a_backup_is_that_of_its_facts() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (to, data) = (path("backup"), path("data"));
    let done = |arguments: &[&str], data: &Path| {
        let done = swr(arguments, data);
        assert!(done.status.success(), "{done:?}");
    };
    let backup = ["backup", to.to_str().unwrap(), "--with-master-key"];
    done(&["init"], &data);
    done(&backup, &data);
    done(&["master-key", "rotate"], &data);
    done(&backup, &data);
    let key = fs::read(path("data/master.key")).unwrap();
    assert_eq!(fs::read(path("backup/master.key")).unwrap(), key);
    assert!(!path("backup/master.key.previous").exists());

    // A rotation is under way.
    fs::copy(path("data/master.key"), path("data/master.key.previous")).unwrap();
    let other = swr(&["init"], &path("other"));
    assert!(other.status.success(), "{other:?}");
    fs::copy(path("other/master.key"), path("data/master.key")).unwrap();
    done(&backup, &data);
    done(&["restore", to.to_str().unwrap()], &path("back"));
    assert_eq!(fs::read(path("back/master.key.previous")).unwrap(), key);
    assert_eq!(fs::read(path("back/master.key")).unwrap(), fs::read(path("other/master.key")).unwrap());
    // So everything can be read, and the rotation ends.
    done(&["master-key", "rotate"], &path("back"));

    // Where the facts cannot be copied, those that are there keep their key.
    done(&["master-key", "rotate"], &path("back"));
    fs::write(path("data/registry.db"), b"rot").unwrap();
    // Its log may have all of it.
    fs::remove_file(path("data/registry.db-wal")).unwrap();
    fs::rename(path("data/master.key.previous"), path("spare")).unwrap();
    fs::copy(path("back/master.key"), path("data/master.key")).unwrap();
    let failed = swr(&backup, &data);
    assert!(!failed.status.success());
    assert_eq!(
        fs::read(path("backup/master.key.previous")).unwrap(),
        fs::read(path("other/master.key")).unwrap()
    );
}
