//! The program with accounts, as an operator meets it: made, signed in to, managed, refused.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

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
    /// What it printed before it listened.
    said: String,
}

impl Program {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_swr"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data"])
            .arg(data)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = String::new();
        let line = lines.find(|line| {
            said.push_str(&format!("{line}\n"));
            line.starts_with("listening on")
        });
        Self { address: line.unwrap().rsplit("http://").next().unwrap().to_owned(), said, child }
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

    /// What is answered to a login command's user and password where tokens are given out.
    fn sign_in(&self, login: &str, repository: &str) -> String {
        let words: Vec<&str> = login.split(' ').collect();
        let pair = format!("{}:{}", words[3], words[5]);
        let basic = format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
        let target = format!("/token?service={}&scope=repository:{repository}:pull,push", self.address);
        self.ask("GET", &target, &[("Authorization", &basic)], "")
    }

    /// A token for a repository, by the login command's user and password.
    fn token(&self, who: &Value, repository: &str) -> String {
        let answer = self.sign_in(who["login"].as_str().unwrap(), repository);
        let token: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        format!("Bearer {}", token["token"].as_str().unwrap())
    }

    /// Whether the access key is known.
    fn knows(&self, who: &Value) -> bool {
        match status(&self.ask_signed("GET", "/v2/manage/namespaces", "", who)) {
            "200" => true,
            "401" => false,
            other => panic!("{other}"),
        }
    }

    /// Whether this is the password of the user of this name in the account `acme`.
    fn takes_password(&self, user: &str, password: &str) -> bool {
        let body = serde_json::json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": {
            "name": user, "password": password, "domain": { "name": "acme" },
        } } } } });
        match status(&self.ask("POST", "/v3/auth/tokens", &[], &body.to_string())) {
            "201" => true,
            "401" => false,
            other => panic!("{other}"),
        }
    }

    fn end(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn init(data: &Path) -> Output {
    swr(&["init", "--format", "json", "--account", "acme", "--data", data.to_str().unwrap()])
}

/// Runs the program to its end.
fn swr(arguments: &[&str]) -> Output {
    swr_with(arguments, &[], "")
}

fn swr_with(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_swr"))
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses before it reads has hung up.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What a command that has done its work has printed, for scripts.
#[track_caller]
fn json(done: &Output) -> Value {
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// What a command that has not done it has said: one line.
#[track_caller]
fn refused(output: &Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty());
    assert!(code == 2 || said.lines().count() == 1, "{said}");
    said
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
    let data = data.path().to_str().unwrap();
    let served = swr(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data", data]);
    assert!(refused(&served, 1).contains("master_key_file"));
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

/// The line of a text that signs in.
fn login(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("docker login")).unwrap()
}

#[test]
fn the_first_start_shows_what_its_administrator_signs_in_with_and_no_other_start_does() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path());
    assert!(program.said.starts_with("This is shown once. Keep it.\n"), "{}", program.said);
    for said in ["account  default\n", "user  admin\n", "password  ", "secret access key  "] {
        assert!(program.said.contains(said), "{}", program.said);
    }
    let first = login(&program.said).to_owned();
    assert!(first.ends_with(&program.address), "{first}");
    assert_eq!(status(&program.sign_in(&first, "team/app")), "200");
    assert_eq!(status(&program.ask("GET", "/v2/", &[], "")), "401");
    program.end();

    let program = Program::start(data.path());
    assert!(program.said.starts_with("data in "), "{}", program.said);
    assert_eq!(status(&program.sign_in(&first, "team/app")), "200");
    program.end();

    // It does not become open by the way.
    let data = data.path().to_str().unwrap();
    let open = swr(&["serve", "--open", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--data", data]);
    assert!(refused(&open, 1).contains("has accounts, and an open registry asks nobody who they are"));
}

#[test]
fn what_is_refused_to_start_makes_no_accounts() {
    let data = tempfile::tempdir().unwrap();
    let kept = data.path().join("kept");
    let arguments = ["serve", "--listen", "0.0.0.0:0", "--admin-listen", "off", "--data"];
    let served = swr(&[&arguments[..], &[kept.to_str().unwrap()]].concat());
    assert!(refused(&served, 1).contains("passwords would pass in the open"));
    assert!(!kept.exists());
}

#[test]
fn an_open_registry_asks_nobody_and_makes_no_accounts() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start_with(data.path(), &[("SWR_OPEN", "true")]);
    assert!(program.said.starts_with("data in "), "{}", program.said);
    assert_eq!(status(&program.ask("POST", "/v2/team/app/blobs/uploads/", &[], "")), "202");
    assert_eq!(status(&program.ask("GET", "/admin/v1/accounts", &[], "")), "404");
    assert_eq!(status(&program.ask("GET", "/console", &[("Accept", "text/html")], "")), "404");
    program.end();
    assert!(!data.path().join("master.key").exists());
}

/// The value of a header of an answer.
#[cfg(feature = "console")]
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(feature = "console")]
#[test]
fn a_person_signs_in_on_pages_and_stays_so_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let who: Value = serde_json::from_slice(&init(data.path()).stdout).unwrap();
    let program = Program::start(data.path());
    let html = ("Accept", "text/html,*/*;q=0.8");
    let browsed = program.ask("GET", "/", &[html], "");
    assert_eq!((status(&browsed), header(&browsed, "location")), ("303", Some("/console")), "{browsed}");
    // Who asks for no page is answered by the registry.
    assert_eq!(status(&program.ask("GET", "/", &[], "")), "404");
    let page = program.ask("GET", "/console", &[html], "");
    assert_eq!((status(&page), header(&page, "location")), ("303", Some("/console/sign-in")), "{page}");
    assert_eq!(status(&program.ask("GET", "/console/sign-in", &[html], "")), "200");
    assert_eq!(status(&program.ask("GET", "/consoles", &[html], "")), "404");

    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let wrong = program.ask("POST", "/console/sign-in", &[form], "account=acme&user=admin&password=wrong");
    assert_eq!(status(&wrong), "401", "{wrong}");
    let body = format!("account=acme&user=admin&password={}", who["password"].as_str().unwrap());
    let signed_in = program.ask("POST", "/console/sign-in", &[form], &body);
    assert_eq!(status(&signed_in), "303", "{signed_in}");
    let cookie = header(&signed_in, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("swr-session="), "{cookie}");
    let kept = std::fs::read(data.path().join("registry.db-wal")).unwrap();
    let token = cookie.split_once('=').unwrap().1.as_bytes();
    assert!(!kept.windows(token.len()).any(|bytes| bytes == token), "the database gives the session away");
    program.end();

    let program = Program::start(data.path());
    let page = program.ask("GET", "/console/organisations", &[("Cookie", &cookie)], "");
    assert_eq!(status(&page), "200", "{page}");
    let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
    let token = rest.split('"').next().unwrap();
    let headers = [("Cookie", cookie.as_str()), form];
    let created =
        program.ask("POST", "/console/organisations", &headers, &format!("form_token={token}&name=team"));
    assert_eq!(header(&created, "location"), Some("/console/organisations/team?done=created"), "{created}");
    let shown = program.ask_signed("GET", "/v2/manage/namespaces/team", "", &who);
    assert_eq!(status(&shown), "200", "{shown}");
    program.end();
}

#[test]
fn what_is_kept_in_memory_has_other_accounts_at_each_start() {
    let data = tempfile::tempdir().unwrap();
    let memory = [("SWR_STORAGE__BYTES", "memory"), ("SWR_STORAGE__FACTS", "memory")];
    let mut logins = Vec::new();
    for _ in 0..2 {
        let program = Program::start_with(data.path(), &memory);
        let login = login(&program.said);
        assert_eq!(status(&program.sign_in(login, "team/app")), "200");
        logins.push(login.split(' ').nth(3).unwrap().to_owned());
        program.end();
    }
    assert_ne!(logins[0], logins[1]);
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "nothing is left behind");
}

/// Everything that is done to accounts, users and keys, wherever it is done; what it has printed at the end, without
/// what is another each time.
fn administer(run: &dyn Fn(&[&str], &str) -> Output) -> Vec<Value> {
    let done = |arguments: &[&str]| json(&run(&[arguments, &["--format", "json"]].concat(), ""));
    let quiet = |arguments: &[&str], input: &str| {
        let output = run(arguments, input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    };
    let made = done(&["account", "create", "globex"]);
    assert_eq!((&made["name"], made["id"].as_str().unwrap().len()), (&"globex".into(), 32));
    let said = refused(&run(&["account", "create", "globex"], ""), 1);
    assert_eq!(said, "swr: there is an account `globex` already\n");

    let generated = done(&["user", "create", "bob", "--account", "globex", "--role", "administrator"]);
    assert_eq!(generated["password"].as_str().unwrap().len(), 20);
    let said = refused(&run(&["user", "create", "bob", "--account", "globex"], ""), 1);
    assert_eq!(said, "swr: there is a user `bob` in this account already\n");
    let typed = ["user", "create", "cyd", "--account", "globex", "--password-stdin", "--format", "json"];
    let shown = json(&run(&typed, "open sesame\n"));
    assert_eq!((shown.get("password"), &shown["has_password"]), (None, &true.into()));
    let said =
        refused(&run(&["user", "create", "dot", "--password-stdin", "--account", "globex"], "short\n"), 1);
    assert_eq!(said, "swr: --password-stdin: a password has at least 8 characters\n");
    let keys_alone = done(&["user", "create", "robot", "--account", "globex", "--no-password"]);
    assert_eq!(keys_alone["has_password"], false);
    let said = refused(&run(&["user", "list", "--account", "initech"], ""), 1);
    assert_eq!(said, "swr: account `initech` is unknown\n");

    quiet(&["user", "set-role", "cyd", "administrator", "--account", "globex"], "");
    quiet(&["user", "set-password", "cyd", "--account", "globex", "--password-stdin"], "another one");
    let set = done(&["user", "set-password", "robot", "--account", "globex"]);
    assert_eq!((&set["user"], set["password"].as_str().unwrap().len()), (&"robot".into(), 20));
    quiet(&["user", "remove", "bob", "--account", "globex"], "");
    let said = refused(&run(&["user", "remove", "bob", "--account", "globex"], ""), 1);
    assert_eq!(said, "swr: user `bob` is unknown\n");

    let key = done(&["key", "create", "robot", "--account", "globex", "--description", "ci\u{1b}[2J"]);
    assert_eq!(key["secret_access_key"].as_str().unwrap().len(), 40);
    assert!(key["login"].as_str().unwrap().starts_with("docker login -u local@"));
    let spare = done(&["key", "create", "robot", "--account", "globex"]);
    let spare = spare["access_key_id"].as_str().unwrap();
    quiet(&["key", "remove", "robot", spare, "--account", "globex"], "");
    let said = refused(&run(&["key", "remove", "robot", spare, "--account", "globex"], ""), 1);
    assert_eq!(said, format!("swr: key `{spare}` is unknown\n"));

    let rotated = done(&["token-key", "rotate"]);
    assert_eq!(rotated["signs"], true);
    let other = done(&["token-key", "rotate"]);
    quiet(&["token-key", "remove", other["id"].as_str().unwrap()], "");

    let text = run(&["key", "list", "robot", "--account", "globex"], "").stdout;
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("access key id") && lines[0].ends_with("description"));
    assert!(lines[1].ends_with("ci\u{fffd}[2J"), "{text:?}");

    let mut lists = vec![
        done(&["account", "list"]),
        done(&["user", "list", "--account", "globex"]),
        done(&["key", "list", "robot", "--account", "globex"]),
        done(&["token-key", "list"]),
    ];
    for entry in lists.iter_mut().flat_map(|list| list.as_array_mut().unwrap()) {
        for field in ["id", "project_id", "access_key_id", "created_at"] {
            entry.as_object_mut().unwrap().remove(field);
        }
    }
    lists
}

#[test]
fn a_stopped_server_and_a_running_one_are_administered_alike() {
    let (stopped, running) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    init(stopped.path());
    let here = stopped.path().to_str().unwrap();
    let done = administer(&|arguments, input| swr_with(&[arguments, &["--data", here]].concat(), &[], input));

    let who: Value = serde_json::from_slice(&init(running.path()).stdout).unwrap();
    let program = Program::start(running.path());
    let server = format!("http://{}", program.address);
    let credentials = [
        ("SWR_ACCESS_KEY_ID", who["access_key_id"].as_str().unwrap()),
        ("SWR_SECRET_ACCESS_KEY", who["secret_access_key"].as_str().unwrap()),
    ];
    let there = administer(&|arguments, input| {
        swr_with(&[arguments, &["--server", &server]].concat(), &credentials, input)
    });
    assert_eq!(done, there);
    let users: Vec<_> =
        done[1].as_array().unwrap().iter().map(|user| (&user["name"], &user["role"])).collect();
    assert_eq!(users, [(&"cyd".into(), &"administrator".into()), (&"robot".into(), &"member".into())]);

    // The data directory of a server that runs is its own.
    for command in
        [&["account", "list"][..], &["master-key", "rotate"], &["recover-administrator", "--account", "acme"]]
    {
        let output = swr(&[command, &["--data", running.path().to_str().unwrap()]].concat());
        let said = refused(&output, 1);
        assert!(said.contains("a server runs on it") && said.contains("--server"), "{said}");
    }
    // What somebody may not is refused as it is over HTTP.
    let key = swr_with(
        &["key", "create", "robot", "--account", "globex", "--format", "json", "--server", &server],
        &credentials,
        "",
    );
    let robot = json(&key);
    let robots = [
        ("SWR_ACCESS_KEY_ID", robot["access_key_id"].as_str().unwrap()),
        ("SWR_SECRET_ACCESS_KEY", robot["secret_access_key"].as_str().unwrap()),
    ];
    let by_robot = |arguments: &[&str]| swr_with(&[arguments, &["--server", &server]].concat(), &robots, "");
    assert_eq!(refused(&by_robot(&["account", "list"]), 1), "swr: you do not have the permission\n");
    assert!(by_robot(&["key", "list", "robot", "--account", "globex"]).status.success());
    let forged = [robots[0], ("SWR_SECRET_ACCESS_KEY", "0")];
    let output = swr_with(&["account", "list", "--server", &server], &forged, "");
    assert!(refused(&output, 1).contains("its signature does not verify"));
}

#[test]
fn what_is_made_on_a_stopped_server_works_when_it_runs() {
    let data = tempfile::tempdir().unwrap();
    init(data.path());
    let here = data.path().to_str().unwrap();
    let run = |arguments: &[&str]| {
        json(&swr(&[arguments, &["--account", "acme", "--format", "json", "--data", here]].concat()))
    };
    let ada = run(&["user", "create", "ada"]);
    let key = run(&["key", "create", "ada"]);
    let program = Program::start(data.path());
    assert!(program.takes_password("ada", ada["password"].as_str().unwrap()));
    assert!(!program.takes_password("ada", "open sesame"));
    assert!(program.knows(&key));
}

#[test]
fn a_command_line_that_makes_no_sense_is_no_refusal() {
    let data = tempfile::tempdir().unwrap();
    let missing = data.path().join("missing");
    let missing = missing.to_str().unwrap();
    for arguments in [
        &["account"][..],
        &["account", "create"],
        &["account", "create", "a@b"],
        &["user", "create", "ada", "--role", "king"],
        &["user", "create", "ada", "--password", "open sesame"],
        &["user", "create", "ada", "--password-stdin", "--no-password"],
        &["user", "set-role", "ada"],
        &["key", "remove", "ada", "no-key"],
        &["token-key", "list", "--format", "xml"],
        &["account", "list", "--server", "http://127.0.0.1:1", "--data", missing],
        &["master-key", "rotate", "--server", "http://127.0.0.1:1"],
        &["recover-administrator", "--user", ""],
    ] {
        refused(&swr(arguments), 2);
    }
    let said = refused(&swr(&["account", "list", "--data", missing]), 1);
    assert!(said.contains("has no accounts; `swr init` makes the first"), "{said}");
    assert!(!Path::new(missing).exists());

    let credentials = [("SWR_ACCESS_KEY_ID", "AK"), ("SWR_SECRET_ACCESS_KEY", "SK")];
    for (server, why) in [
        ("registry.example", "registry.example"),
        ("ftp://127.0.0.1", "without a path"),
        ("https://127.0.0.1/registry", "without a path"),
        ("https://ada@127.0.0.1", "without a path"),
        ("http://registry.example", "secrets would pass in the open"),
    ] {
        let said = refused(&swr_with(&["account", "list", "--server", server], &credentials, ""), 1);
        assert!(said.starts_with("swr: --server: ") && said.contains(why), "{said}");
    }
    let said = refused(&swr(&["account", "list", "--server", "http://127.0.0.1:1"]), 1);
    assert!(said.contains("SWR_ACCESS_KEY_ID is not set"), "{said}");
}

#[test]
fn a_lost_administrator_is_given_a_new_way_in_and_keeps_the_old_ones_out_of_its_password() {
    let data = tempfile::tempdir().unwrap();
    let lost: Value = serde_json::from_slice(&init(data.path()).stdout).unwrap();
    let here = data.path().to_str().unwrap();
    let run = |arguments: &[&str]| {
        swr(&[&["recover-administrator", "--format", "json", "--data", here], arguments].concat())
    };
    assert_eq!(refused(&run(&[]), 1), "swr: account `default` is unknown\n");
    let found = json(&run(&["--account", "acme"]));
    let made = json(&run(&["--account", "acme", "--user", "second"]));
    assert_eq!(found["user_id"], lost["user_id"]);
    let member = ["user", "create", "cyd", "--account", "acme", "--data", here];
    assert!(swr(&member).status.success());
    let raised = json(&run(&["--account", "acme", "--user", "cyd"]));

    let listed = swr(&["user", "list", "--account", "acme", "--format", "json", "--data", here]);
    let roles: Vec<_> = json(&listed).as_array().unwrap().iter().map(|user| user["role"].clone()).collect();
    assert_eq!(roles, ["operator", "administrator", "administrator"]);
    let program = Program::start(data.path());
    let text = |who: &Value, field: &str| who[field].as_str().unwrap().to_owned();
    for who in [&found, &made, &raised] {
        assert!(program.knows(who));
        assert!(program.takes_password(&text(who, "user"), &text(who, "password")));
        assert_eq!(status(&program.sign_in(&text(who, "login").replace("127.0.0.1:5000", ""), "a/b")), "200");
    }
    assert!(!program.takes_password("admin", &text(&lost, "password")));
    assert!(program.knows(&lost), "a key is deleted by whoever wants it gone");
}

#[test]
fn a_new_master_key_opens_everything_and_the_old_one_nothing_any_more() {
    let data = tempfile::tempdir().unwrap();
    let who: Value = serde_json::from_slice(&init(data.path()).stdout).unwrap();
    let here = data.path().to_str().unwrap();
    let file = |name: &str| data.path().join(name);
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let rotate = || json(&swr(&["master-key", "rotate", "--format", "json", "--data", here]));
    let key =
        || json(&swr(&["key", "create", "admin", "--account", "acme", "--format", "json", "--data", here]));
    let first = read("master.key");
    // A token's key comes with the first token.
    let program = Program::start(data.path());
    program.token(&who, "team/app");
    program.end();
    assert_eq!(rotate()["resealed"], 2);
    let second = read("master.key");
    assert_ne!(first, second);
    assert_eq!(file("master.key").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!file("master.key.previous").exists());

    // A rotation that ended before the first secret was sealed anew: both keys are needed, and there.
    std::fs::write(file("master.key.previous"), &second).unwrap();
    std::fs::write(file("master.key"), &first).unwrap();
    let program = Program::start(data.path());
    assert!(program.knows(&who));
    let token = program.token(&who, "team/app");
    let asked = program.ask("GET", "/v2/", &[("Authorization", &token)], "");
    assert_eq!(status(&asked), "200", "{asked}");
    program.end();
    // In the middle: some secrets are under the one key, some under the other.
    let newer = key();
    let program = Program::start(data.path());
    assert!(program.knows(&who) && program.knows(&newer));
    program.end();
    assert_eq!(rotate()["resealed"], 2, "it goes on with what is left, under the key that was new already");
    assert_eq!(read("master.key"), first);
    // Before anything was new: it begins anew.
    std::fs::write(file("master.key.previous"), &first).unwrap();
    std::fs::write(file("master.key.new"), "0123").unwrap();
    assert_eq!(rotate()["resealed"], 3);
    let third = read("master.key");
    assert!(third != first && !file("master.key.previous").exists() && !file("master.key.new").exists());

    let program = Program::start(data.path());
    assert!(program.knows(&who) && program.knows(&newer));
    program.end();
    // With a key that is not the right one nothing is begun.
    std::fs::write(file("master.key"), &first).unwrap();
    let said = refused(&swr(&["master-key", "rotate", "--data", here]), 1);
    assert!(said.contains("is it the wrong one?"), "{said}");
    assert!(read("master.key") == first && !file("master.key.previous").exists());
    std::fs::write(file("master.key"), &third).unwrap();
    assert!(Program::start(data.path()).knows(&who));

    let set = [("SWR_ACCOUNTS__MASTER_KEY", third.trim())];
    let said = refused(&swr_with(&["master-key", "rotate", "--data", here], &set, ""), 1);
    assert!(said.starts_with("swr: accounts.master_key: "), "{said}");
}

#[test]
fn the_trail_is_in_a_file_and_what_could_not_be_written_comes_later() {
    let data = tempfile::tempdir().unwrap();
    let who: Value = serde_json::from_slice(&init(data.path()).stdout).unwrap();
    let (folder, file) = (data.path().join("audit"), data.path().join("audit/trail.jsonl"));
    let environment = [("SWR_AUDIT__FILE", file.to_str().unwrap())];
    // Its folder is not there.
    let program = Program::start_with(data.path(), &environment);
    let create = |program: &Program, name: &str| {
        let body = format!("{{\"namespace\": \"{name}\"}}");
        program.ask_signed("POST", "/v2/manage/namespaces", &body, &who)
    };
    assert_eq!(status(&create(&program, "one")), "201");
    assert_eq!(status(&create(&program, "one")), "409");
    program.end();
    assert!(!folder.exists());

    std::fs::create_dir(&folder).unwrap();
    std::fs::write(&file, "{\"torn").unwrap();
    let program = Program::start_with(data.path(), &environment);
    assert_eq!(status(&create(&program, "two")), "201");
    program.end();
    // The last step is taken at the end, or else at the next start.
    Program::start_with(data.path(), &environment).end();

    let text = std::fs::read_to_string(&file).unwrap();
    let (torn, whole) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"torn");
    let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    let told = |line: &Value| {
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        (text("operation"), text("resource_name"), line["code"].as_u64().unwrap(), text("user"))
    };
    let told: Vec<_> = lines.iter().map(told).collect();
    let created =
        |name: &str, code| ("createUserNamespace".into(), name.to_owned(), code, "admin".to_owned());
    assert!(
        told.len() > 5 && told[0] == ("createAccount".into(), "acme".into(), 201, String::new()),
        "{told:?}"
    );
    for expected in [created("one", 201), created("one", 409), created("two", 201)] {
        assert!(told.contains(&expected), "{expected:?}: {told:?}");
    }
    let refused = lines.iter().find(|line| line["code"] == 409).unwrap();
    assert_eq!(refused["call"], "POST /v2/manage/namespaces");
    assert_eq!(refused["change"]["namespace"], "one");
    assert_eq!(refused["account"], "acme");
    assert!(!text.contains(who["secret_access_key"].as_str().unwrap()));

    let open = swr_with(&["serve", "--open", "--data", data.path().to_str().unwrap()], &environment, "");
    assert!(self::refused(&open, 1).contains("audit.file"));
}

/// A data directory with an organisation, and two versions in a repository of it.
fn furnish(data: &Path) -> Value {
    let who: Value = serde_json::from_slice(&init(data).stdout).unwrap();
    let here = data.to_str().unwrap();
    assert!(swr(&["organisation", "create", "team", "--data", here]).status.success());
    let program = Program::start(data);
    let token = program.token(&who, "team/app");
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let target = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/octet-stream")];
    assert_eq!(status(&program.ask("POST", &target, &headers, "{}")), "201");
    for tag in ["v1", "v2"] {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let descriptor = serde_json::json!({ "mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
            "digest": digest });
        let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type, "config": descriptor,
            "layers": [descriptor], "annotations": { "tag": tag } });
        let headers = [("Authorization", token.as_str()), ("Content-Type", media_type)];
        let target = format!("/v2/team/app/manifests/{tag}");
        let pushed = program.ask("PUT", &target, &headers, &manifest.to_string());
        assert_eq!(status(&pushed), "201", "{pushed}");
    }
    program.end();
    who
}

/// The value without what is another each time.
fn lasting(mut value: Value) -> Value {
    match &mut value {
        Value::Array(values) => values.iter_mut().for_each(|value| *value = lasting(value.take())),
        Value::Object(fields) => {
            let passing = [
                "id",
                "created",
                "updated",
                "_id",
                "_at",
                "path",
                "trace_type",
                "request",
                "time",
                "source_ip",
                "message",
            ];
            fields.retain(|field, _| !passing.iter().any(|passing| field.ends_with(passing)));
            fields.values_mut().for_each(|value| *value = lasting(value.take()));
        }
        _ => {}
    }
    value
}

/// Everything that is done to what is in a registry, and to the rules about it, wherever it is done; what it has
/// printed, without what is another each time.
fn manage(run: &dyn Fn(&[&str], &str) -> Output) -> Vec<Value> {
    let done = |arguments: &[&str]| lasting(json(&run(&[arguments, &["--format", "json"]].concat(), "")));
    let quiet = |arguments: &[&str], input: &str| {
        let output = run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    };
    let said = |arguments: &[&str]| refused(&run(arguments, ""), 1);
    let texts = |value: &Value, field: &str| -> Vec<String> {
        value.as_array().unwrap().iter().map(|entry| entry[field].to_string()).collect()
    };
    let mut printed = Vec::new();

    quiet(&["organisation", "create", "spare"], "");
    assert!(said(&["organisation", "create", "spare"]).contains("spare"));
    quiet(&["repository", "create", "spare/app", "--public"], "");
    assert!(said(&["organisation", "remove", "spare"]).contains("spare"));
    quiet(&["repository", "remove", "spare/app"], "");
    quiet(&["organisation", "remove", "spare"], "");
    printed.push(done(&["organisation", "list"]));
    quiet(&["repository", "create", "team/empty", "--public"], "");
    printed.push(done(&["repository", "list", "--organisation", "team"]));
    printed.push(done(&["repository", "show", "team/app"]));
    assert!(done(&["repository", "list", "--organisation", "tea"]).as_array().unwrap().is_empty());

    quiet(&["grant", "set", "team", "cyd", "read", "--account", "acme"], "");
    quiet(&["grant", "set", "team", "cyd", "edit", "--account", "acme"], "");
    quiet(&["grant", "set", "team/app", "cyd", "manage", "--account", "acme"], "");
    printed.push(done(&["grant", "list", "team"]));
    printed.push(done(&["grant", "list", "team/app"]));
    quiet(&["grant", "remove", "team/app", "cyd", "--account", "acme"], "");
    assert_eq!(done(&["grant", "list", "team/app"]).as_array().unwrap().len(), 1);

    quiet(&["share", "create", "team/app", "globex", "--until", "2999-12-31T00:00:00Z"], "");
    assert!(said(&["share", "create", "team/app", "initech"]).contains("initech"));
    printed.push(done(&["share", "list", "team/app"]));
    quiet(&["share", "remove", "team/app", "globex"], "");

    for unset in
        [&["aging", "show", "team/app"][..], &["aging", "plan", "team/app"], &["aging", "remove", "team/app"]]
    {
        assert!(said(unset).contains("team/app has no aging rule; `swr aging set` sets one"));
    }
    assert!(said(&["aging", "set", "team/none", "--days", "1"]).contains("none"));
    let plan = done(&["aging", "plan", "team/app", "--newest", "1"]);
    assert_eq!(texts(&plan, "tag"), ["\"v1\"", "\"v2\""]);
    assert_eq!(texts(&plan, "removed"), ["true", "false"]);
    let kept = done(&["aging", "plan", "team/app", "--newest", "1", "--keep", "v1"]);
    assert_eq!(texts(&kept, "removed"), ["false", "false"]);
    printed.extend([plan, kept]);
    let rule = ["aging", "set", "team/app", "--days", "30", "--keep", "v1", "--keep-matching", "v*"];
    quiet(&[&rule[..], &["--keep-matching", "^release-"]].concat(), "");
    printed.push(done(&["aging", "show", "team/app"]));
    let other = ["aging", "set", "team/app", "--newest", "5", "--keep-matching", "glob:x*"];
    assert!(said(&other).contains("remove it with `swr aging remove` first"));
    let beyond = ["--only", "v1", "--only-matching", "v*", "--last-used", "--keep-at-least", "3"];
    let set = ["aging", "set", "team/app", "--days", "31", "--removals-max", "9"];
    quiet(&[&set[..], &beyond].concat(), "");
    let shown = done(&["aging", "show", "team/app"]);
    let rule = &shown["rules"][0];
    assert_eq!(texts(&rule["only"], "pattern"), ["\"v1\"", "\"glob:v*\""]);
    let settings = [&rule["measure"], &rule["keep_at_least"], &rule["removals_max"]].map(ToString::to_string);
    assert_eq!(settings, ["\"last_used\"", "3", "9"]);
    let text = String::from_utf8(run(&["aging", "show", "team/app"], "").stdout).unwrap();
    for line in ["of  glob:v*", "stays  the newest 3 in any case", "by  the last update or pull"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("in one run  at most 9, the oldest first"), "{text}");
    printed.push(shown);
    // By the rule that is set as by one that is written out.
    let plan = ["aging", "plan", "team/app"];
    let written = ["--days", "31", "--removals-max", "9"];
    assert_eq!(done(&plan), done(&[&plan[..], &written, &beyond].concat()));
    // What is not said is off again.
    quiet(&["aging", "set", "team/app", "--days", "31"], "");
    let shown = done(&["aging", "show", "team/app"]);
    assert!(shown["rules"][0].get("keep_at_least").is_none() && shown["rules"][0].get("only").is_none());
    printed.push(shown);
    quiet(&["aging", "remove", "team/app"], "");
    quiet(&other, "");
    printed.push(done(&["aging", "show", "team/app"]));
    // A server that runs does what the rule says.
    let set = done(&["aging", "plan", "team/app"]);
    assert_eq!(texts(&set, "removed"), ["false", "false"]);
    let text = String::from_utf8(run(&["aging", "plan", "team/app", "--newest", "1"], "").stdout).unwrap();
    let goes = text.lines().nth(1).unwrap();
    assert!(
        goes.starts_with("v1 ") && goes.contains(" yes ") && goes.contains("as enough newer ones stay"),
        "{text}"
    );
    quiet(&["aging", "remove", "team/app"], "");
    assert!(done(&["aging", "log", "team/app"]).as_array().unwrap().is_empty());

    let hook =
        ["trigger", "create", "team/app", "hook", "--webhook", "https://hooks.example/", "--secret-stdin"];
    let secret = "0123456789abcdef\n";
    assert!(refused(&run(&hook, "short\n"), 1).contains("secret"));
    quiet(&[&hook[..], &["--on", "matching=v*"]].concat(), secret);
    assert!(refused(&run(&hook, secret), 1).contains("hook"));
    let workload = ["--cluster", "main", "--namespace", "shop", "--workload", "deployments/web"];
    quiet(&[&["trigger", "create", "team/app", "roll", "--on", "tag=v2"], &workload[..]].concat(), "");
    quiet(&["trigger", "disable", "team/app", "hook"], "");
    printed.push(done(&["trigger", "list", "team/app"]));
    assert_eq!(texts(printed.last().unwrap(), "enable"), ["\"false\"", "\"true\""]);
    let text = String::from_utf8(run(&["trigger", "list", "team/app"], "").stdout).unwrap();
    assert!(text.contains("matching=v*") && text.contains("main/shop/deployments/web"), "{text}");
    assert!(!text.contains(secret.trim()));
    quiet(&["trigger", "enable", "team/app", "hook"], "");
    printed.push(done(&["trigger", "show", "team/app", "hook"]));
    assert_eq!(printed.last().unwrap()["enable"], "true");
    printed.push(done(&["trigger", "deliveries", "team/app", "hook"]));
    assert!(said(&["trigger", "replay", "team/app", "hook", "0-0"]).contains("delivery"));
    quiet(&["trigger", "remove", "team/app", "roll"], "");
    assert!(said(&["trigger", "show", "team/app", "roll"]).contains("roll"));

    let trail = done(&["audit", "--rating", "normal", "--user", "admin", "--since", "1h"]);
    assert!(trail.as_array().unwrap().len() > 10);
    printed.push(trail);
    let removed = done(&["audit", "--name", "deleteImageRepository", "--limit", "1"]);
    assert_eq!(texts(&removed, "trace_name"), ["\"deleteImageRepository\""]);
    printed
}

#[test]
fn what_is_in_a_registry_is_managed_alike_stopped_and_running() {
    let (stopped, running) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [before, who] = [stopped.path(), running.path()].map(|data| {
        let who = furnish(data);
        let here = data.to_str().unwrap();
        assert!(swr(&["account", "create", "globex", "--data", here]).status.success());
        let member = ["user", "create", "cyd", "--account", "acme", "--no-password", "--data", here];
        assert!(swr(&member).status.success());
        who
    });
    let here = stopped.path().to_str().unwrap();
    let done = manage(&|arguments, input| swr_with(&[arguments, &["--data", here]].concat(), &[], input));

    let program = Program::start(running.path());
    let server = format!("http://{}", program.address);
    let environment = |who: &Value| {
        ["access_key_id", "secret_access_key"].map(|field| who[field].as_str().unwrap().to_owned())
    };
    let [key, secret] = environment(&who);
    let credentials = [("SWR_ACCESS_KEY_ID", key.as_str()), ("SWR_SECRET_ACCESS_KEY", secret.as_str())];
    let there = manage(&|arguments, input| {
        swr_with(&[arguments, &["--server", &server]].concat(), &credentials, input)
    });
    for (done, there) in done.iter().zip(&there) {
        assert_eq!(done, there);
    }
    assert_eq!(done.len(), there.len());

    // Whoever does it has the rights of that user, and no others.
    let by_member = ["aging", "set", "team/app", "--days", "1", "--data", here, "--as", "acme/cyd"];
    assert_eq!(refused(&swr(&by_member), 1), "swr: you do not have the permission\n");
    let by_nobody = ["organisation", "list", "--data", here, "--as", "acme/dan"];
    assert_eq!(refused(&swr(&by_nobody), 1), "swr: user `dan` is unknown\n");
    // A login that is made in either place signs in.
    let [key, secret] = environment(&before);
    let credentials_before =
        [("SWR_ACCESS_KEY_ID", key.as_str()), ("SWR_SECRET_ACCESS_KEY", secret.as_str())];
    let login = |place: &[&str], environment: &[(&str, &str)]| -> Vec<String> {
        let command = ["login-command", "--format", "json"];
        let [short, long] = [&[][..], &["--long-term"]]
            .map(|which| json(&swr_with(&[&command[..], which, place].concat(), environment, "")));
        assert!(short["expires_at"].is_string() && long["expires_at"].is_null());
        let kubernetes = [&command[..], &["--kubernetes-secret", "pull"], place].concat();
        let manifest = json(&swr_with(&kubernetes, environment, ""));
        let config: Value =
            serde_json::from_str(manifest["stringData"][".dockerconfigjson"].as_str().unwrap()).unwrap();
        assert_eq!(config["auths"].as_object().unwrap().len(), 1);
        assert_eq!(manifest["type"], "kubernetes.io/dockerconfigjson");
        assert_eq!(manifest["metadata"]["name"], "pull");
        let unnamed = [&command[..], &["--kubernetes-secret"], place].concat();
        assert_eq!(json(&swr_with(&unnamed, environment, ""))["metadata"]["name"], "default-secret");
        [short, long].map(|made| made["login"].as_str().unwrap().to_owned()).into()
    };
    for made in login(&["--server", &server], &credentials) {
        assert_eq!(status(&program.sign_in(&made, "team/app")), "200");
    }
    let made = login(&["--data", here], &credentials_before);
    let program = Program::start(stopped.path());
    for made in made {
        // Its port is another.
        assert_eq!(status(&program.sign_in(&made, "team/app")), "200");
    }
}

#[test]
fn a_policy_that_makes_no_sense_is_no_refusal() {
    for arguments in [
        &["aging", "show", "team"][..],
        &["aging", "set", "team/app"],
        &["aging", "set", "team/app", "--days", "0"],
        &["aging", "set", "team/app", "--days", "1", "--newest", "1"],
        &["aging", "set", "team/app", "--days", "1", "--keep-matching", "("],
        &["aging", "plan", "team/app", "--keep", "v1"],
        &["aging", "plan", "team/app", "--last-used"],
        &["aging", "set", "team/app", "--days", "1", "--removals-max", "0"],
        &["trigger", "create", "team/app", "hook"],
        &["trigger", "create", "team/app", "hook", "--webhook", "https://hooks.example"],
        &["trigger", "create", "team/app", "hook", "--cluster", "main"],
        &["trigger", "create", "team/app", "hook", "--on", "some", "--webhook", "x", "--secret-stdin"],
        &["trigger", "replay", "team/app", "hook", "../x"],
        &["grant", "set", "team", "cyd", "own"],
        &["repository", "list", "--as", "admin"],
        &["repository", "list", "--as", "acme/admin", "--server", "http://127.0.0.1:1"],
        &["audit", "--since", "yesterday"],
        &["audit", "--name", "nothing"],
    ] {
        refused(&swr(arguments), 2);
    }
}

#[test]
fn a_package_that_goes_out_of_one_data_directory_goes_into_another_and_into_a_server() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(from.path());
    let who: Value = serde_json::from_slice(&init(to.path()).stdout).unwrap();
    let here = |data: &tempfile::TempDir| data.path().to_str().unwrap().to_owned();
    let file = from.path().join("app.tar");
    let file = file.to_str().unwrap();
    let exported = |version: &str| swr(&["export", version, file, "--data", &here(&from)]);
    assert!(refused(&exported("team/app:v9"), 1).contains("v9"));
    assert!(!Path::new(file).exists());
    let out = exported("team/app:v1");
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success() && said.starts_with("sha256:"), "{said}");
    assert!(refused(&exported("team/app:v1"), 1).starts_with(&format!("swr: {file}: ")));

    let import = ["import", file, "--organisation", "team", "--data", &here(&to)];
    // Nobody makes an organisation by the way.
    assert!(!swr(&import).status.success());
    assert!(swr(&["organisation", "create", "team", "--data", &here(&to)]).status.success());
    let done = swr(&import);
    let progress = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && progress.contains("team/app:v1 is sha256:"), "{progress}");
    assert!(said.split(' ').next().is_some_and(|digest| progress.contains(digest)), "{progress}");
    let shown = json(&swr(&["repository", "show", "team/app", "--format", "json", "--data", &here(&to)]));
    assert_eq!(shown["num_images"], 1);

    // The same with a server that runs.
    let program = Program::start(to.path());
    let server = format!("http://{}", program.address);
    let [key, secret] = ["access_key_id", "secret_access_key"].map(|field| who[field].as_str().unwrap());
    let credentials = [("SWR_ACCESS_KEY_ID", key), ("SWR_SECRET_ACCESS_KEY", secret)];
    let ask = |arguments: &[&str]| swr_with(&[arguments, &["--server", &server]].concat(), &credentials, "");
    let done = json(&ask(&["import", file, "--target", "team/other:v7", "--format", "json"]));
    let image = &done["files"][0]["images"][0];
    assert_eq!((&image["repository"], &image["tag"]), (&"team/other".into(), &"v7".into()));
    assert!(said.starts_with(image["digest"].as_str().unwrap()), "{said}");
    let again = to.path().join("again.tar");
    let again = again.to_str().unwrap();
    assert!(ask(&["export", "team/other:v7", again]).status.success());
    let done = ask(&["import", again, "--organisation", "team"]);
    assert!(done.status.success(), "{done:?}");
    assert!(refused(&ask(&["export", "team/other:v8", file]), 1).contains("v8"));
    let listed = json(&ask(&["version", "list", "team/other", "--format", "json"]));
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["digest"]), (1, &image["digest"]));
    assert!(ask(&["version", "remove", "team/other:v7"]).status.success());
    assert!(refused(&ask(&["version", "show", "team/other:v7"]), 1).contains("v7"));
    std::fs::write(file, "no package").unwrap();
    assert!(refused(&ask(&["import", file, "--organisation", "team"]), 1).contains("invalid image format"));
    program.end();

    assert!(refused(&swr(&import), 1).contains("invalid image format"));
    assert!(refused(&swr(&["export", "team/app", "x"]), 2).contains("ORG/REPO:TAG"));
}

#[test]
fn what_nothing_refers_to_is_collected_and_a_configuration_is_checked_without_a_server() {
    let data = tempfile::tempdir().unwrap();
    furnish(data.path());
    let here = data.path().to_str().unwrap();
    assert!(swr(&["version", "remove", "team/app:v1", "team/app:v2", "--data", here]).status.success());
    // Nobody waits for what has lost its last tag.
    let now = [("SWR_COLLECTION__UNTAGGED_KEEP", "0s")];
    let collected = json(&swr_with(&["collect", "--data", here, "--format", "json"], &now, ""));
    assert_eq!(collected["manifests"], 2, "{collected}");

    let config =
        swr_with(&["config", "check", "--data", here], &[("SWR_ACCOUNTS__MASTER_KEY", "sesame")], "");
    let printed = String::from_utf8(config.stdout).unwrap();
    assert!(
        printed.contains("accounts.master_key = \"(hidden)\"") && !printed.contains("sesame"),
        "{printed}"
    );
    let wrong = swr_with(&["config", "check", "--data", here], &[("SWR_HTTP__STALL", "soon")], "");
    assert!(refused(&wrong, 1).contains("SWR_HTTP__STALL"));
    assert!(swr(&["completions", "bash"]).stdout.starts_with(b"_swr"));
}
