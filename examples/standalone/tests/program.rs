//! The program as an operator meets it: started, pushed to, killed, started again, ended.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use swr_core::digest::Algorithm;

struct Program {
    child: Child,
    address: String,
    health: String,
}

impl Program {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_swr"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
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

    fn end(mut self) -> bool {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success();
        asked && self.child.wait().unwrap().success()
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
    let metrics = health("/metrics");
    assert!(metrics.contains("swr_http_requests_total{method=\"PUT\""), "{metrics}");
    assert!(metrics.contains("swr_sqlite_wal_bytes "), "{metrics}");
    assert!(program.end());
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
