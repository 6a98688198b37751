//! What a registry costs when there is much in it: pages of lists, starting after a crash, and memory.
//!
//! The data is made without the server, so that a million of something is there in a minute; what is measured is the
//! server's own CPU time, on core 0, while the load comes from core 1.
//!
//! usage: growth [pages|start|collection]

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use swr_benches::client::Client;
use swr_benches::content::{self, Image, LAYER, MANIFEST_TYPE, REPOSITORY, Stock};
use swr_benches::servers::{Credentials, Kind, Server, cpu_of_ended};
use swr_core::caller::{Actor, Caller, Origin};
use swr_core::commit::{BlobLocation, Change, Commit, StoredBlob};
use swr_core::digest::Algorithm;
use swr_core::ports::ManifestStore as _;
use swr_storage::SqliteStore;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Changes of one commit, and commits that are under way at once, which share their syncs.
const TOGETHER: usize = 1000;

fn main() -> io::Result<()> {
    let program =
        Kind::SwrOpen.program().ok_or_else(|| io::Error::other("target/release/swr is not there"))?;
    let place = std::env::var_os("BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(place)?;
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(1);
    rustix::thread::sched_setaffinity(None, &cores)?;
    let bench = Bench {
        program,
        folder: folder.path().to_owned(),
        runtime: Builder::new_multi_thread().build()?,
        layers: Stock::new(LAYER),
    };

    let asked = std::env::args().nth(1);
    let is_asked = |what: &str| asked.as_deref().is_none_or(|asked| asked == what);
    if is_asked("pages") {
        say("| a page of 100, CPU µs | of how many | first | last |")?;
        say("| --- | ---: | ---: | ---: |")?;
        for count in [100, 10_000, 1_000_000] {
            bench.tags(count)?;
        }
        for count in [100, 100_000] {
            bench.repositories(count)?;
        }
        for count in [100, 10_000] {
            bench.referrers(count)?;
        }
    }
    if is_asked("start") {
        bench.start(1_000_000)?;
    }
    if is_asked("collection") {
        say(
            "| pieces of garbage | among how many that stay | CPU µs for one | CPU s with nothing to collect |",
        )?;
        say("| ---: | ---: | ---: | ---: |")?;
        for stored in [10_000, 1_000_000] {
            bench.collection(10_000, stored)?;
        }
    }
    Ok(())
}

struct Bench {
    program: PathBuf,
    folder: PathBuf,
    runtime: Runtime,
    layers: Stock,
}

impl Bench {
    fn home(&self, name: &str, count: usize) -> PathBuf {
        self.folder.join(format!("{name}-{count}"))
    }

    fn serve(&self, home: &Path) -> io::Result<Server> {
        // Nothing is read that is not there.
        Server::start(Kind::SwrOpen, &self.program, home, &[("SWR_SCRUB__ENABLED", "false")])
    }

    fn image(&self) -> Image<'_> {
        Image::new(&self.layers, 1)
    }

    fn tags(&self, count: usize) -> io::Result<()> {
        let home = self.home("tags", count);
        let image = self.image();
        image.push(&mut connect(&self.serve(&home)?)?, "a")?;
        let digest = content::digest(&image.manifest);
        let tag = |number: usize| format!("v{number:07}");
        let set = |number| {
            let tag = tag(number).parse().map_err(io::Error::other)?;
            Ok::<_, io::Error>(Change::SetTag { tag, digest })
        };
        self.commit(&home, Utc::now(), (0..count).map(|number| Ok((REPOSITORY.to_owned(), set(number)?))))?;
        let path = format!("/v2/{REPOSITORY}/tags/list?n=100");
        self.page("tags", count, &home, &path, &format!("{path}&last={}", tag(count - 100)))
    }

    fn repositories(&self, count: usize) -> io::Result<()> {
        let home = self.home("repositories", count);
        drop(self.serve(&home)?);
        let name = |number: usize| format!("bench/r{number:06}");
        self.commit(
            &home,
            Utc::now(),
            (0..count).map(|number| Ok((name(number), Change::CreateRepository))),
        )?;
        let path = "/v2/_catalog?n=100";
        self.page("catalog", count, &home, path, &format!("{path}&last={}", name(count - 100)))
    }

    fn referrers(&self, count: usize) -> io::Result<()> {
        let home = self.home("referrers", count);
        let image = self.image();
        let subject = content::digest(&image.manifest);
        let server = self.serve(&home)?;
        let mut client = connect(&server)?;
        image.push(&mut client, "a")?;
        let digest = content::digest(b"{}");
        content::push_blob(&mut client, &[b"{}"], &digest)?;
        let empty = serde_json::json!({
            "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest.to_string(), "size": 2,
        });
        for number in 0..count {
            let manifest = serde_json::json!({
                "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": "application/vnd.bench",
                "config": empty, "layers": [empty], "annotations": {"number": number.to_string()},
                "subject": {"mediaType": MANIFEST_TYPE, "digest": subject.to_string(), "size": image.manifest.len()},
            });
            let manifest = manifest.to_string().into_bytes();
            let path = content::manifest_path(&content::digest(&manifest).to_string());
            client.request("PUT", path, MANIFEST_TYPE, &[&manifest])?;
        }
        drop(server);
        let path = format!("/v2/{REPOSITORY}/referrers/{subject}");
        let path = format!("{path}?n=100");
        self.page("referrers", count, &home, &path, &path)
    }

    /// How long it takes until the first answer after `kill -9`, and what memory is taken.
    fn start(&self, count: usize) -> io::Result<()> {
        let home = self.with_blobs(count)?;
        self.serve(&home)?.kill()?;
        let begun = Instant::now();
        let server = self.serve(&home)?;
        connect(&server)?.get("/v2/")?;
        let ready = begun.elapsed();
        let idle = server.resident_mib()?;
        let mut connections = Vec::new();
        for _ in 0..1000 {
            let mut client = connect(&server)?;
            client.get("/v2/")?;
            connections.push(client);
        }
        say(&format!(
            "with {count} blobs: answering {:.2} s after a kill; {idle} MiB resident then, {} MiB with {} connections open",
            ready.as_secs_f64(),
            server.resident_mib()?,
            connections.len(),
        ))
    }

    /// What it takes to remove `garbage` blobs among `stored` that stay.
    fn collection(&self, garbage: usize, stored: usize) -> io::Result<()> {
        let home = self.with_blobs(stored)?;
        // No manifest names them, and that for longer than a pushed blob waits for one.
        let pushed = Utc::now() - TimeDelta::days(2);
        let numbers = stored..stored + garbage;
        self.commit(&home, pushed, links(numbers.clone()))?;
        for number in numbers {
            let path = home.join("data/blobs/blobs").join(stored_blob(number).location.as_str());
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, [0; BLOB])?;
        }
        let all = self.collect(&home, garbage)?;
        let nothing = self.collect(&home, 0)?;
        say(&format!(
            "| {garbage} | {stored} | {:.0} | {:.2} |",
            all.saturating_sub(nothing).as_secs_f64() * 1e6 / garbage as f64,
            nothing.as_secs_f64()
        ))
    }

    /// Collects with the server stopped: CPU time, and that so many blobs have gone.
    fn collect(&self, home: &Path, garbage: usize) -> io::Result<Duration> {
        let before = cpu_of_ended()?;
        let collected = Command::new(&self.program)
            .args(["collect", "--format", "json", "--data"])
            .arg(home.join("data"))
            .output()?;
        let told: serde_json::Value = serde_json::from_slice(&collected.stdout)?;
        if told["blobs"] != garbage {
            return Err(io::Error::other(format!("{garbage} blobs were garbage, and this went: {told}")));
        }
        Ok(cpu_of_ended()?.saturating_sub(before))
    }

    /// A registry with so many blobs in the facts. Their files are not there, and nobody asks for them.
    fn with_blobs(&self, count: usize) -> io::Result<PathBuf> {
        let home = self.home("blobs", count);
        if !home.exists() {
            self.image().push(&mut connect(&self.serve(&home)?)?, "a")?;
            self.commit(&home, Utc::now(), links(0..count))?;
        }
        Ok(home)
    }

    /// Makes the changes, as many in a commit as are for one repository.
    fn commit(
        &self,
        home: &Path,
        at: DateTime<Utc>,
        changes: impl Iterator<Item = io::Result<(String, Change)>>,
    ) -> io::Result<()> {
        self.runtime.block_on(async {
            let store = SqliteStore::open(home.join("data").join("registry.db")).await;
            let store = Arc::new(store.map_err(io::Error::other)?);
            let mut under_way = JoinSet::new();
            let mut commits: Vec<Commit> = Vec::new();
            for change in changes {
                let (repository, change) = change?;
                match commits.last_mut() {
                    Some(last) if last.repository.as_str() == repository && last.changes.len() < TOGETHER => {
                        last.changes.push(change);
                        continue;
                    }
                    _ => {}
                }
                if commits.len() == TOGETHER {
                    send(&store, &mut under_way, &mut commits).await?;
                }
                commits.push(Commit {
                    repository: repository.parse().map_err(io::Error::other)?,
                    actor: Actor::Caller(Caller::Anonymous),
                    origin: Origin::default(),
                    at,
                    requires: Vec::new(),
                    changes: vec![change],
                });
            }
            send(&store, &mut under_way, &mut commits).await
        })
    }

    fn page(&self, what: &str, count: usize, home: &Path, first: &str, last: &str) -> io::Result<()> {
        let server = self.serve(home)?;
        let costs = [first, last].map(|path| cost(&server, path));
        let [first, last] = costs;
        say(&format!("| {what} | {count} | {:.0} | {:.0} |", first?, last?))
    }
}

fn connect(server: &Server) -> io::Result<Client> {
    server.connect(Credentials::Nobody, &[])
}

/// How large they are said to be, in bytes.
const BLOB: usize = 4096;

fn stored_blob(number: usize) -> StoredBlob {
    let digest = Algorithm::Sha256.digest(&number.to_le_bytes());
    let hex = digest.to_string().split_off("sha256:".len());
    let location = BlobLocation::new(format!("sha256/{}/{hex}.{:032x}", &hex[..2], 0));
    StoredBlob { digest, size: BLOB as u64, location }
}

/// In the order of their digests, so that a large database takes them fast.
fn links(numbers: Range<usize>) -> impl Iterator<Item = io::Result<(String, Change)>> {
    let mut stored: Vec<StoredBlob> = numbers.map(stored_blob).collect();
    stored.sort_unstable_by_key(|stored| stored.digest);
    stored.into_iter().map(|stored| Ok((REPOSITORY.to_owned(), Change::LinkStored(stored))))
}

async fn send(
    store: &Arc<SqliteStore>,
    under_way: &mut JoinSet<io::Result<()>>,
    commits: &mut Vec<Commit>,
) -> io::Result<()> {
    for commit in commits.drain(..) {
        let store = Arc::clone(store);
        under_way.spawn(async move { store.commit(commit).await.map(drop).map_err(io::Error::other) });
    }
    while let Some(done) = under_way.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(())
}

/// CPU µs of the server for one answer, over two seconds.
fn cost(server: &Server, path: &str) -> io::Result<f64> {
    let mut client = connect(server)?;
    client.get(path)?;
    let (before, begun, mut operations) = (server.cpu()?, Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(2) {
        client.get(path)?;
        operations += 1;
    }
    Ok(server.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / f64::from(operations))
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
