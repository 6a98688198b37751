//! The program with accounts, as an operator meets it: made, signed in to, managed, refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use swr_auth::{Secret, SignedRequest};
use swr_core::control::credential::KeyId;

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_swr"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("listening on")).unwrap();
        Self { address: line.rsplit("http://").next().unwrap().to_owned(), child }
    }

    /// Sends a request on a connection of its own; the whole answer.
    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// As [`Self::ask`], signed with an access key.
    fn ask_signed(&self, method: &str, path: &str, body: &str, who: &Value) -> String {
        let date = chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let request = SignedRequest {
            method,
            path,
            query: "",
            headers: &[("host", &self.address), ("x-sdk-date", &date)],
            body: Some(body.as_bytes()),
        };
        let key = KeyId::parse(who["access_key_id"].as_str().unwrap()).unwrap();
        let secret = Secret::new(who["secret_access_key"].as_str().unwrap());
        let authorization = request.sign(&key, &secret).unwrap();
        let headers = [("X-Sdk-Date", date.as_str()), ("Authorization", &authorization)];
        self.ask(method, path, &headers, body)
    }

    /// A token for a repository, by the login command's user and password.
    fn token(&self, who: &Value, repository: &str) -> String {
        let words: Vec<&str> = who["login"].as_str().unwrap().split(' ').collect();
        let pair = format!("{}:{}", words[3], words[5]);
        let basic = format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
        let target = format!("/token?service={}&scope=repository:{repository}:pull,push", self.address);
        let answer = self.ask("GET", &target, &[("Authorization", &basic)], "");
        let token: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        format!("Bearer {}", token["token"].as_str().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn init(data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swr"))
        .args(["init", "--format", "json", "--account", "acme", "--data"])
        .arg(data)
        .output()
        .unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[test]
fn the_first_administrator_is_made_once_and_its_key_is_for_its_owner_alone() {
    let data = tempfile::tempdir().unwrap();
    let made = init(data.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let who: Value = serde_json::from_slice(&made.stdout).unwrap();
    for field in
        ["account", "user", "password", "access_key_id", "secret_access_key", "project", "project_id"]
    {
        assert!(!who[field].as_str().unwrap().is_empty(), "{field}");
    }
    let key = data.path().join("master.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(data.path().join("registry.db")).unwrap();
    for secret in ["password", "secret_access_key"] {
        let secret = who[secret].as_str().unwrap().as_bytes();
        assert!(!kept.windows(secret.len()).any(|bytes| bytes == secret), "the database gives a secret away");
    }

    let again = init(data.path());
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("there are accounts already"));

    // Without its key the registry refuses to start, rather than knowing nobody.
    std::fs::remove_file(key).unwrap();
    let served = Command::new(env!("CARGO_BIN_EXE_swr"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert!(!served.status.success());
    assert!(String::from_utf8_lossy(&served.stderr).contains("master_key_file"));
}

#[test]
fn with_accounts_everybody_is_somebody_and_organisations_come_first() {
    let data = tempfile::tempdir().unwrap();
    let who: Value = serde_json::from_slice(&init(data.path()).stdout).unwrap();
    let program = Program::start(data.path());

    let stranger = program.ask("GET", "/v2/", &[], "");
    assert_eq!(status(&stranger), "401", "{stranger}");
    let realm = format!("Bearer realm=\"http://{0}/token\",service=\"{0}\"", program.address);
    assert!(
        stranger.to_lowercase().contains(&format!("www-authenticate: {}", realm.to_lowercase())),
        "{stranger}"
    );
    let stranger = program.ask("POST", "/v2/team/app/blobs/uploads/", &[], "");
    assert_eq!(status(&stranger), "401", "{stranger}");

    let token = program.token(&who, "team/app");
    let early = program.ask("POST", "/v2/team/app/blobs/uploads/", &[("Authorization", &token)], "");
    assert_eq!(status(&early), "403", "{early}");
    assert!(early.contains("Image organization does not exist, you should create it first"), "{early}");

    let created = program.ask_signed("POST", "/v2/manage/namespaces", "{\"namespace\": \"team\"}", &who);
    assert_eq!(status(&created), "201", "{created}");
    let shown = program.ask_signed("GET", "/v2/manage/namespaces/team", "", &who);
    assert!(status(&shown) == "200" && shown.contains("\"auth\":7"), "{shown}");
    let token = program.token(&who, "team/app");
    let begun = program.ask("POST", "/v2/team/app/blobs/uploads/", &[("Authorization", &token)], "");
    assert_eq!(status(&begun), "202", "{begun}");

    let mut forged = who.clone();
    forged["secret_access_key"] = "0".repeat(40).into();
    let refused = program.ask_signed("POST", "/v2/manage/namespaces", "{\"namespace\": \"other\"}", &forged);
    assert!(status(&refused) == "401" && refused.contains("APIGW.0301"), "{refused}");
}
