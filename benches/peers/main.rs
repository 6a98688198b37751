//! The registry beside others on the same machine, disk and load, in turn: A B C, A B C, …
//!
//! The server runs on core 0 and the load on core 1. Each figure is the median over the rounds of the
//! server's own CPU time per operation; requests per second stand beside it. A server whose program is not
//! there is printed as not measured.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use swr_benches::client::Client;
use swr_benches::content::{self, Image, LARGE, REPOSITORY, SMALL};
use swr_benches::servers::{Kind, Server};

/// One kind of load: `operation` is repeated on `connections` at once until the time is over.
struct Case {
    name: &'static str,
    connections: usize,
    /// Bytes moved by one operation, where cost goes by bytes.
    bytes: Option<u64>,
    reads: bool,
    operation: fn(&mut Client, &mut Scratch) -> io::Result<()>,
}

/// What an operation needs beside its connection.
struct Scratch {
    fixed: &'static Fixed,
    large: Vec<u8>,
}

/// Content that is there before the first round.
struct Fixed {
    image: Image,
    small: Vec<u8>,
    large: Vec<u8>,
}

/// Makes every pushed blob of the whole run another one.
static NEXT: AtomicU64 = AtomicU64::new(1_000_000);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

const CASES: [Case; 8] = [
    Case {
        name: "manifest GET by tag",
        connections: 8,
        bytes: None,
        reads: true,
        operation: |client, _| client.get(&format!("/v2/{REPOSITORY}/manifests/latest")).map(drop),
    },
    Case {
        name: "manifest GET by digest",
        connections: 8,
        bytes: None,
        reads: true,
        operation: |client, scratch| {
            let digest = content::digest(&scratch.fixed.image.manifest);
            client.get(&format!("/v2/{REPOSITORY}/manifests/{digest}")).map(drop)
        },
    },
    Case {
        name: "blob GET, 4 KiB",
        connections: 8,
        bytes: None,
        reads: true,
        operation: |client, scratch| {
            client.get(&format!("/v2/{REPOSITORY}/blobs/{}", content::digest(&scratch.fixed.small))).map(drop)
        },
    },
    Case {
        name: "blob GET, 256 MiB",
        connections: 1,
        bytes: Some(LARGE as u64),
        reads: true,
        operation: |client, scratch| {
            let path = format!("/v2/{REPOSITORY}/blobs/{}", large_digest(scratch.fixed));
            let reply = client.get(&path)?;
            if reply.length != LARGE as u64 {
                return Err(io::Error::other(format!("{} bytes of a large blob came", reply.length)));
            }
            Ok(())
        },
    },
    Case {
        name: "image pull, 5 layers of 1 MiB",
        connections: 4,
        bytes: None,
        reads: true,
        operation: |client, scratch| scratch.fixed.image.pull(client, "latest"),
    },
    Case {
        name: "blob push, 4 KiB",
        connections: 8,
        bytes: None,
        reads: false,
        operation: |client, _| content::push_blob(client, &content::bytes(next(), SMALL)),
    },
    Case {
        name: "blob push, 256 MiB",
        connections: 1,
        bytes: Some(LARGE as u64),
        reads: false,
        operation: |client, scratch| {
            if scratch.large.is_empty() {
                scratch.large.clone_from(&scratch.fixed.large);
            }
            scratch.large[..8].copy_from_slice(&next().to_le_bytes());
            content::push_blob(client, &scratch.large)
        },
    },
    Case {
        name: "image push, 5 layers of 1 MiB",
        connections: 4,
        bytes: None,
        reads: false,
        operation: |client, _| {
            let seed = next();
            Image::new(seed).push(client, &format!("v{seed}"))
        },
    },
];

fn large_digest(fixed: &'static Fixed) -> &'static str {
    static DIGEST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    DIGEST.get_or_init(|| content::digest(&fixed.large).to_string())
}

/// What one round of one case on one server came to.
#[derive(Clone, Copy)]
struct Round {
    cpu: Duration,
    wall: Duration,
    operations: u64,
}

fn main() -> io::Result<()> {
    let number = |variable, usual| {
        std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(usual)
    };
    let (rounds, seconds) = (number("BENCH_ROUNDS", 5), number("BENCH_SECONDS", 2));
    let place = std::env::var_os("BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(place)?;
    pin_to_core_1()?;

    let fixed: &'static Fixed = Box::leak(Box::new(Fixed {
        image: Image::new(1),
        small: content::bytes(2, SMALL),
        large: content::bytes(3, LARGE),
    }));
    let mut servers = Vec::new();
    for kind in Kind::ALL {
        let home = folder.path().join(kind.name());
        match kind.program() {
            Some(program) => {
                let server = Server::start(kind, &program, &home, &[])?;
                fill(&server, fixed, &home.join("data"))?;
                servers.push(server);
            }
            None => say(&format!("{}: not measured, its program was not found", kind.name()))?,
        }
    }

    let mut rows = Vec::new();
    for case in &CASES {
        let mut measured: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (server, rounds) in servers.iter().zip(&mut measured) {
                if case.reads || server.kind != Kind::Nginx {
                    rounds.push(run(case, server, fixed, Duration::from_secs(seconds))?);
                }
            }
        }
        rows.push((case, measured));
    }
    let limits: io::Result<Vec<f64>> = (0..rounds).map(|_| limit_of_writing(fixed, folder.path())).collect();
    report(&servers, &rows, middle(limits?).unwrap_or(f64::NAN))
}

/// Puts the content there that reads ask for.
fn fill(server: &Server, fixed: &Fixed, data: &Path) -> io::Result<()> {
    if server.kind == Kind::Nginx {
        fixed.image.lay_out(data, "latest")?;
        for blob in [&fixed.small, &fixed.large] {
            content::put_file(data, &format!("blobs/{}", content::digest(blob)), blob)?;
        }
        return Ok(());
    }
    let mut client = Client::connect(server.address)?;
    fixed.image.push(&mut client, "latest")?;
    content::push_blob(&mut client, &fixed.small)?;
    content::push_blob(&mut client, &fixed.large)
}

fn run(case: &Case, server: &Server, fixed: &'static Fixed, time: Duration) -> io::Result<Round> {
    let (before, begun) = (server.cpu()?, Instant::now());
    let operations = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..case.connections)
            .map(|_| {
                scope.spawn(move || -> io::Result<u64> {
                    let mut client = Client::connect(server.address)?;
                    let mut scratch = Scratch { fixed, large: Vec::new() };
                    let mut operations = 0;
                    while begun.elapsed() < time || operations == 0 {
                        (case.operation)(&mut client, &mut scratch)?;
                        operations += 1;
                    }
                    Ok(operations)
                })
            })
            .collect();
        workers.into_iter().try_fold(0, |sum, worker| match worker.join() {
            Ok(operations) => operations.map(|operations| sum + operations),
            Err(_) => Err(io::Error::other("a load thread failed")),
        })
    })
    .map_err(|error| io::Error::other(format!("{} on {}: {error}", case.name, server.kind.name())))?;
    let wall = begun.elapsed();
    Ok(Round { cpu: server.cpu()?.saturating_sub(before), wall, operations })
}

/// CPU seconds per 10⁹ bytes of hashing, writing and syncing alone: the least that a push can cost.
fn limit_of_writing(fixed: &Fixed, folder: &Path) -> io::Result<f64> {
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let before = cpu();
    let mut file = fs::File::create(folder.join("limit"))?;
    let mut hasher = swr_core::digest::Hasher::new(swr_core::digest::Algorithm::Sha256);
    for slice in fixed.large.chunks(64 << 10) {
        hasher.update(slice);
    }
    for batch in fixed.large.chunks(1 << 20) {
        file.write_all(batch)?;
    }
    file.sync_all()?;
    hasher.finish();
    Ok((cpu() - before).as_secs_f64() * 1e9 / LARGE as f64)
}

fn report(servers: &[Server], rows: &[(&Case, Vec<Vec<Round>>)], limit: f64) -> io::Result<()> {
    let mut text = String::from("| case | unit |");
    for server in servers {
        text += &format!(" {} | per second |", server.kind.name());
    }
    text += " docker-registry ÷ swr |\n| --- | --- |";
    text += &" ---: | ---: |".repeat(servers.len());
    text += " ---: |\n";
    for (case, measured) in rows {
        let unit = if case.bytes.is_some() { "CPU s / 10⁹ B" } else { "CPU µs" };
        text += &format!("| {} | {unit} |", case.name);
        let costs: Vec<Option<f64>> = measured
            .iter()
            .map(|rounds| {
                median(rounds, |round| {
                    let cost = round.cpu.as_secs_f64() / round.operations as f64;
                    case.bytes.map_or(cost * 1e6, |bytes| cost * 1e9 / bytes as f64)
                })
            })
            .collect();
        for (rounds, cost) in measured.iter().zip(&costs) {
            let rate = median(rounds, |round| round.operations as f64 / round.wall.as_secs_f64());
            match (cost, rate) {
                (Some(cost), Some(rate)) => text += &format!(" {} | {} |", figure(*cost), figure(rate)),
                _ => text += " – | – |",
            }
        }
        let of = |kind| servers.iter().position(|server| server.kind == kind).and_then(|place| costs[place]);
        match (of(Kind::Swr), of(Kind::DockerRegistry)) {
            (Some(ours), Some(theirs)) => text += &format!(" {} |\n", figure(theirs / ours)),
            _ => text += " not measured |\n",
        }
    }
    text += &format!("\nhashing, writing and syncing alone: {} CPU s / 10⁹ B\n", figure(limit));
    for server in servers {
        text += &format!("{}: at most {} MiB resident\n", server.kind.name(), server.peak_mib()?);
    }
    say(&text)
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> Option<f64> {
    middle(rounds.iter().map(of).collect())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

fn pin_to_core_1() -> io::Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(1);
    rustix::thread::sched_setaffinity(None, &cores).map_err(Into::into)
}
