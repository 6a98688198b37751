//! The host as its clients meet it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(address: &str, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("{request}\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn its_own_pages_and_the_registry_answer_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let host = Command::new(env!("CARGO_BIN_EXE_swr-embed"))
        .arg(&address)
        .arg(folder.path())
        .env("ADA_PASSWORD", "sesame")
        .stdout(Stdio::piped())
        .spawn();
    let mut host = Host(host.unwrap());
    let mut page = None;
    while page.is_none() {
        assert!(host.0.try_wait().unwrap().is_none(), "the host has ended");
        page = ask(&address, "GET / HTTP/1.1");
        std::thread::yield_now();
    }
    assert!(page.unwrap().ends_with("my server"));

    let begin = "POST /v2/org/app/blobs/uploads/ HTTP/1.1\r\nContent-Length: 0";
    let refused = ask(&address, begin).unwrap();
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.to_lowercase().contains("www-authenticate: basic"), "{refused}");
    // ada:sesame
    let taken = ask(&address, &format!("{begin}\r\nAuthorization: Basic YWRhOnNlc2FtZQ==")).unwrap();
    assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let whole = begin.replace(" HTTP/1.1", &format!("?digest={empty} HTTP/1.1"));
    let pushed = ask(&address, &format!("{whole}\r\nAuthorization: Basic YWRhOnNlc2FtZQ==")).unwrap();
    assert!(pushed.starts_with("HTTP/1.1 201"), "{pushed}");
    let gone = ask(
        &address,
        &format!("DELETE /v2/org/app/blobs/{empty} HTTP/1.1\r\nAuthorization: Basic YWRhOnNlc2FtZQ=="),
    );
    assert!(gone.unwrap().contains("nothing is deleted here"));

    let mut told = [0; 256];
    let read = host.0.stdout.as_mut().unwrap().read(&mut told).unwrap();
    assert!(String::from_utf8_lossy(&told[..read]).contains("org/app: BlobLinked"));
}
