//! The registry beside others on the same machine, disk and load, in turn: A B C, A B C, …; and by itself, with other
//! settings.
//!
//! The server runs on core 0 and the load on core 1. Each figure is the median over the rounds. A server whose program
//! is not there is printed as not measured.
//!
//! usage: peers [PART OF A NAME]    (of a case, as "manifest"; or of "beside: …" and "settings: …", the two parts)

mod cases;
mod report;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use swr_benches::content::Blob;
use swr_benches::servers::{Credentials, Kind, Server};
use swr_core::digest::{Algorithm, Hasher};

use cases::{CASES, Case, Column, Fixed, Round, own_cpu};

/// The registry, and those that it is beside.
const PEERS: [Kind; 6] =
    [Kind::Swr, Kind::DockerRegistry, Kind::Distribution, Kind::Zot, Kind::Angos, Kind::Nginx];

/// The registry by itself: what the column is called, and whom it is asked by.
const SETTINGS: [(&str, Kind, Credentials); 4] = [
    ("open", Kind::SwrOpen, Credentials::Nobody),
    ("Bearer", Kind::Swr, Credentials::Bearer),
    ("Basic", Kind::Swr, Credentials::Basic),
    ("Bearer over TLS", Kind::SwrTls, Credentials::Bearer),
];

/// A case, and what each server came to in each round, in the order of the columns.
struct Row {
    case: &'static Case,
    measured: Vec<Vec<Round>>,
    /// What a large push cannot take less than, where it is one.
    limits: Vec<Limit>,
}

/// What hashing, writing and syncing the same bytes alone takes.
struct Limit {
    cpu: Duration,
    wall: Duration,
}

fn main() -> io::Result<()> {
    let number = |variable, usual| {
        std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(usual)
    };
    let rounds = number("BENCH_ROUNDS", 5);
    let time = Duration::from_secs(number("BENCH_SECONDS", 2));
    let place = std::env::var_os("BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(place)?;
    pin_to_core_1()?;

    let asked = std::env::args().nth(1).unwrap_or_default();
    let asked_of = |part: &str| -> Vec<&'static Case> {
        CASES.iter().filter(|case| format!("{part}: {}", case.name).contains(&asked)).collect()
    };
    let beside = asked_of("beside");
    let mut settings = asked_of("settings");
    settings.retain(|case| case.is_for_settings);

    let fixed = Fixed::new();
    let mut servers: Vec<Server> = Vec::new();
    let peers = PEERS.iter().filter(|_| !beside.is_empty());
    let alone = SETTINGS.iter().map(|(_, kind, _)| kind).filter(|_| !settings.is_empty());
    for kind in peers.chain(alone) {
        if servers.iter().any(|server| server.kind == *kind) {
            continue;
        }
        let Some(program) = kind.program() else {
            say(&format!("{}: not measured, its program was not found", kind.name()))?;
            continue;
        };
        let server = Server::start(*kind, &program, &folder.path().join(kind.name()), &[])?;
        fixed.fill(&beside_others(&server))?;
        servers.push(server);
    }

    let measure = |cases: Vec<&'static Case>, columns: &[Column<'_>]| -> io::Result<Vec<Row>> {
        cases.into_iter().map(|case| measure(case, columns, &fixed, rounds, time, folder.path())).collect()
    };
    if !beside.is_empty() {
        let columns: Vec<Column<'_>> =
            servers.iter().filter(|server| PEERS.contains(&server.kind)).map(beside_others).collect();
        say(&report::beside(&columns, &measure(beside, &columns)?)?)?;
    }
    if !settings.is_empty() {
        let column = |(name, kind, credentials): &(&'static str, Kind, Credentials)| {
            let server = servers.iter().find(|server| server.kind == *kind)?;
            Some(Column { name, server, credentials: *credentials })
        };
        let columns: Vec<Column<'_>> = SETTINGS.iter().filter_map(column).collect();
        say(&report::settings(&columns, &measure(settings, &columns)?))?;
    }
    Ok(())
}

/// Whoever has accounts is asked by somebody who has one.
fn beside_others(server: &Server) -> Column<'_> {
    let credentials = if server.kind.has_accounts() { Credentials::Bearer } else { Credentials::Nobody };
    Column { name: server.kind.name(), server, credentials }
}

fn measure(
    case: &'static Case,
    columns: &[Column<'_>],
    fixed: &Fixed,
    rounds: u64,
    time: Duration,
    folder: &Path,
) -> io::Result<Row> {
    let mut row = Row { case, measured: columns.iter().map(|_| Vec::new()).collect(), limits: Vec::new() };
    for _ in 0..rounds {
        for (column, measured) in columns.iter().zip(&mut row.measured) {
            if !(case.is_write() && column.server.kind == Kind::Nginx) {
                measured.push(cases::run(case, column, fixed, time)?);
            }
        }
        if case.is_write() && case.bytes.is_some() {
            row.limits.push(limit_of_writing(&fixed.large(), folder)?);
        }
    }
    Ok(row)
}

fn limit_of_writing(blob: &Blob<'_>, folder: &Path) -> io::Result<Limit> {
    let path = folder.join("limit");
    let (cpu, begun) = (own_cpu(), Instant::now());
    let mut file = fs::File::create(&path)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for piece in blob.pieces().iter().flat_map(|piece| piece.chunks(64 << 10)) {
        hasher.update(piece);
        file.write_all(piece)?;
    }
    file.sync_all()?;
    if hasher.finish() != blob.digest {
        return Err(io::Error::other("the hash of what was written is another one"));
    }
    let limit = Limit { cpu: own_cpu() - cpu, wall: begun.elapsed() };
    fs::remove_file(path).map(|()| limit)
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

fn pin_to_core_1() -> io::Result<()> {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(1);
    rustix::thread::sched_setaffinity(None, &cores).map_err(Into::into)
}
