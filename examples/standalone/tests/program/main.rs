//! The program as an operator meets it: started, pushed to, killed, started again, ended.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backing_up;
mod scrubbing;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use chrono::{DateTime, Utc};
use swr_core::digest::Algorithm;
use swr_core::event::EventSeq;
use swr_core::ports::{Lease, ManifestStore as _};
use swr_storage::sqlite::SqliteStore;

struct Program {
    child: Child,
    address: String,
    health: String,
}

impl Program {
    fn start(data: &Path) -> Self {
        Self::start_with(data, Stdio::null(), &[])
    }

    fn start_with(data: &Path, log: Stdio, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_swr"))
            .args(["serve", "--open", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |words: &str| {
            let line = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(words)).unwrap();
            line.rsplit("http://").next().unwrap().to_owned()
        };
        let health = after("health and metrics on");
        Self { address: after("listening on"), health, child }
    }

    /// Sends a request on a connection of its own; the whole answer.
    fn ask(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        Self::ask(&self.address, method, path, headers, body)
    }

    fn push(&self, tag: &str) {
        let config = format!("{{\"tag\":\"{tag}\"}}");
        let digest = Algorithm::Sha256.digest(config.as_bytes());
        let pushed = self.request(
            "POST",
            &format!("/v2/org/app/blobs/uploads/?digest={digest}"),
            "",
            config.as_bytes(),
        );
        assert!(pushed.starts_with("HTTP/1.1 201"), "{pushed}");
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{IMAGE}\",\"config\":{{\"mediaType\":\"application/x+json\",\
             \"digest\":\"{digest}\",\"size\":{}}},\"layers\":[]}}",
            config.len()
        );
        let headers = format!("Content-Type: {IMAGE}\r\n");
        let pushed =
            self.request("PUT", &format!("/v2/org/app/manifests/{tag}"), &headers, manifest.as_bytes());
        assert!(pushed.starts_with("HTTP/1.1 201"), "{pushed}");
    }

    fn terminate(&self) -> bool {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success()
    }

    fn end(mut self) -> bool {
        self.terminate() && self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Program::start(data.path());
    program.push("v1");
    let begun = program.request("POST", "/v2/org/app/blobs/uploads/", "", b"");
    let upload = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    let sent = program.request("PATCH", &upload, "", b"half of it, ");
    assert!(sent.starts_with("HTTP/1.1 202"), "{sent}");
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    drop(program);

    let program = Program::start(data.path());
    let pulled = program.request("GET", "/v2/org/app/manifests/v1", "", b"");
    assert!(pulled.starts_with("HTTP/1.1 200"), "{pulled}");
    let stands = program.request("GET", &upload, "", b"");
    assert!(stands.contains("range: 0-11\r\n"), "{stands}");
    let digest = Algorithm::Sha256.digest(b"half of it, and the rest");
    let finished = program.request("PUT", &format!("{upload}?digest={digest}"), "", b"and the rest");
    assert!(finished.starts_with("HTTP/1.1 201"), "{finished}");
    assert!(program.end());
}

#[test]
fn operators_see_health_and_metrics_and_the_end_is_clean() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path());
    program.push("v1");
    let health = |path| Program::ask(&program.health, "GET", path, "", b"");
    assert!(health("/livez").starts_with("HTTP/1.1 200"));
    assert!(health("/readyz").starts_with("HTTP/1.1 200"));
    for method in ["BREW", "BOIL"] {
        program.request(method, "/v2/", "", b"");
    }
    let metrics = health("/metrics");
    for said in [
        "swr_http_requests_total{method=\"PUT\",handler=\"manifest\",code=\"201\"} 1\n",
        // Whoever makes up methods makes up no labels.
        "swr_http_requests_total{method=\"OTHER\",handler=\"none\",code=\"405\"} 2\n",
        "swr_http_request_duration_seconds_count{handler=\"upload\"} 1\n",
        "swr_http_request_body_bytes_total ",
        "swr_http_response_body_bytes_total ",
        "swr_http_in_flight_requests 0\n",
        "swr_garbage_locations 0\n",
        "swr_events_newest ",
        "swr_sqlite_wal_bytes ",
        "swr_sqlite_writes_waiting 0\n",
        "swr_sqlite_full 0\n",
    ] {
        assert!(metrics.contains(said), "{said}: {metrics}");
    }
    assert!(program.end());
}

#[test]
fn at_the_end_what_was_accepted_finishes_and_nothing_new_is() {
    let data = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(data.path().join("log")).unwrap();
    let mut program = Program::start_with(data.path(), log.into(), &[("SWR_LOG__FORMAT", "json")]);
    let digest = Algorithm::Sha256.digest(b"half of it, and the rest");
    let mut slow = TcpStream::connect(&program.address).unwrap();
    let head = format!("POST /v2/org/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: test\r\n");
    let head = format!("{head}Content-Length: 24\r\nExpect: 100-continue\r\n\r\n");
    slow.write_all(head.as_bytes()).unwrap();
    // The program waits for the body from here on.
    let mut answers = BufReader::new(slow.try_clone().unwrap());
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    answers.read_line(&mut line).unwrap();
    slow.write_all(b"half of it, ").unwrap();

    assert!(program.terminate());
    while Program::ask(&program.health, "GET", "/readyz", "", b"").starts_with("HTTP/1.1 200") {}
    while let Ok(mut late) = TcpStream::connect(&program.address) {
        // It had come before the end, and has not been asked anything.
        late.write_all(b"GET /v2/ HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = String::new();
        if late.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: "), "{answer}");
        }
    }
    slow.write_all(b"and the rest").unwrap();
    line.clear();
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 201 Created\r\n");
    drop((slow, answers));
    assert!(program.child.wait().unwrap().success());

    let log = std::fs::read_to_string(data.path().join("log")).unwrap();
    assert!(log.lines().count() >= 2, "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO", "{line}");
    }
    let program = Program::start(data.path());
    let pulled = program.request("GET", &format!("/v2/org/app/blobs/{digest}"), "", b"");
    assert!(pulled.ends_with("half of it, and the rest"), "{pulled}");
}

/// What was not asked for waits until it may be done.
#[tokio::test]
async fn who_serves_reads_alone_forgets_no_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("registry.db");
    let store = async || SqliteStore::open(&database).await.unwrap();
    let kept = store().await;
    let (now, until) = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);
    let lease = Lease { name: "telling", holder: "somebody", now, until };
    let fence = kept.lease(&lease).await.unwrap().unwrap();
    kept.advance("somebody", EventSeq(1), &fence).await.unwrap();
    drop(kept);
    for (environment, seq) in [(&[("SWR_READ_ONLY", "true")][..], EventSeq(1)), (&[], EventSeq::START)] {
        assert!(Program::start_with(folder.path(), Stdio::null(), environment).end());
        assert_eq!(store().await.cursor("somebody").await.unwrap(), seq, "{environment:?}");
    }
}

#[test]
fn a_second_program_on_the_same_data_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let _first = Program::start(data.path());
    let second = Command::new(env!("CARGO_BIN_EXE_swr"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("in use") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_name_outside_the_profile_is_refused_with_the_products_words() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path());
    let refused = program.request("POST", "/v2/app/blobs/uploads/", "", b"");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(refused.contains("NAME_INVALID") && refused.contains("'repository' is invalid"), "{refused}");
}

#[test]
fn an_open_registry_is_collected_when_it_is_stopped() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path());
    program.push("v1");
    assert!(program.end());
    let swr = env!("CARGO_BIN_EXE_swr");
    let done = Command::new(swr).args(["collect", "--format", "json", "--data"]).arg(data.path()).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{done:?}");
    let collected: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(collected["blobs"], 0, "{collected}");
}

#[test]
fn packages_go_out_of_one_open_registry_and_into_another() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = Program::start(from.path());
    program.push("v1");
    assert!(program.end());
    assert!(Program::start(to.path()).end());
    let swr = |arguments: &[&str], data: &Path| {
        let out =
            Command::new(env!("CARGO_BIN_EXE_swr")).args(arguments).arg("--data").arg(data).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let file = from.path().join("app.tar");
    let file = file.to_str().unwrap();
    let (status, said) = swr(&["export", "org/app:v1", file], from.path());
    assert_eq!(status, Some(0), "{said}");
    let import = ["import", file, "--organisation", "org"];
    let (status, said) = swr(&[&import[..], &["--as", "acme/ada"]].concat(), to.path());
    assert!(status == Some(1) && said.contains("nobody is asked who they are"), "{said}");
    let (status, said) = swr(&import, to.path());
    assert!(status == Some(0) && said.contains("org/app:v1 is sha256:"), "{said}");

    let program = Program::start(to.path());
    let pulled = program.request("GET", "/v2/org/app/manifests/v1", "", b"");
    assert!(pulled.starts_with("HTTP/1.1 200"), "{pulled}");
    assert!(program.end());

    // By a pipe: the same bytes.
    let piped = |arguments: &[&str], data: &Path| {
        let mut swr = Command::new(env!("CARGO_BIN_EXE_swr"));
        swr.args(arguments).arg("--data").arg(data).stdin(Stdio::piped()).stdout(Stdio::piped());
        swr.spawn().unwrap()
    };
    let out = piped(&["export", "org/app:v1", "-"], from.path()).wait_with_output().unwrap();
    assert_eq!((out.status.code(), &out.stdout), (Some(0), &std::fs::read(file).unwrap()));
    let mut child = piped(&["import", "-", "--target", "org/app:piped"], to.path());
    child.stdin.take().unwrap().write_all(&out.stdout).unwrap();
    assert!(child.wait().unwrap().success());
    let (status, said) = swr(&["export", "org/app:piped", "/dev/null/none"], to.path());
    assert!(status == Some(1) && said.contains("Not a directory"), "{said}");

    let bad = from.path().join("bad.tar");
    std::fs::write(&bad, "no archive").unwrap();
    let (bad, absent) = (bad.to_str().unwrap(), from.path().join("absent.tar"));
    let out = Command::new(env!("CARGO_BIN_EXE_swr"))
        .args(["import", bad, absent.to_str().unwrap(), file, "--organisation", "org", "--format", "json"])
        .arg("--data")
        .arg(to.path())
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.trim_end().ends_with("packages that failed: 2; the lines above say why"), "{said}");
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let failed = [0, 1, 2].map(|at| told["files"][at]["error"].is_string());
    assert_eq!(failed, [true, true, false], "one that fails does not stop those after it: {told}");
    assert_eq!(told["files"][2]["images"][0]["repository"], "org/app", "{told}");
}
