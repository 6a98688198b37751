//! Everything read again: `swr scrub`, and the passes that a server makes by itself.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::{Deserialize, Serialize};
use swr_auth::AnyoneMay;
use swr_core::caller::Task;
use swr_core::planted::is_planted;
use swr_core::ports::{ManifestStore, StoreError};
use swr_core::registry::{Finding, Pace, Registry, ScrubCursor, Scrubbed, Unpaced};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::config::{Config, FactsStore};
use crate::data_directory::Here;
use crate::metrics::Metrics;
use crate::output::{self, Format, Shown};
use crate::stores::{self, Facts, chain, in_one_line};

/// Reads everything in a data directory again, and sets aside what is broken until it is pushed again.
///
/// The exit status is 1 where something is broken.
#[derive(Args, Debug)]
pub(crate) struct Scrub {
    #[command(flatten)]
    here: Here,
    /// How what was found is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What a pass has found.
#[derive(Debug, Default, Serialize)]
struct Report {
    blobs: u64,
    manifests: u64,
    bytes: u64,
    quarantined: u64,
    unhealed: u64,
    broken_manifests: u64,
    strays: u64,
    faults: u64,
    /// What is wrong with the database itself.
    database: Vec<String>,
    findings: Vec<Found>,
}

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
struct Found {
    finding: &'static str,
    what: String,
    /// Why it is not.
    detail: String,
}

impl Shown for Found {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("finding", self.finding.into()), ("what", self.what.clone()), ("detail", self.detail.clone())]
    }
}

impl Shown for Report {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("blobs", self.blobs.to_string()),
            ("manifests", self.manifests.to_string()),
            ("bytes", self.bytes.to_string()),
            ("quarantined", self.quarantined.to_string()),
            ("unhealed", self.unhealed.to_string()),
            ("broken manifests", self.broken_manifests.to_string()),
            ("strays", self.strays.to_string()),
            ("faults", self.faults.to_string()),
            ("database", if self.database.is_empty() { "sound".into() } else { self.database.join("; ") }),
        ]
    }
}

impl Report {
    fn add(&mut self, step: Scrubbed) {
        self.blobs += step.blobs;
        self.manifests += step.manifests;
        self.bytes += step.bytes;
        for finding in &step.findings {
            let (what, detail) = match finding {
                Finding::Quarantined { blob, damage } => {
                    self.quarantined += 1;
                    (blob.digest.to_string(), format!("{} {damage}", blob.location))
                }
                Finding::Unhealed(blob) => {
                    self.unhealed += 1;
                    (blob.digest.to_string(), "was set aside, and not pushed again since".into())
                }
                Finding::BrokenManifest { repository, digest } => {
                    self.broken_manifests += 1;
                    (format!("{repository}@{digest}"), "has other bytes".into())
                }
                Finding::Stray { location, size } => {
                    self.strays += 1;
                    (location.to_string(), format!("{size} bytes that nobody knows"))
                }
                Finding::Fault { location, error } => {
                    self.faults += 1;
                    (location.as_ref().map(ToString::to_string).unwrap_or_default(), chain(error))
                }
                _ => (String::new(), String::new()),
            };
            self.findings.push(Found { finding: finding.kind(), what, detail });
        }
    }

    fn broken(&self) -> u64 {
        let database = self.database.len() as u64;
        self.quarantined + self.unhealed + self.broken_manifests + self.faults + database
    }
}

impl Scrub {
    /// The error is one line; what was found is printed before.
    pub(crate) async fn run(self) -> Result<(), String> {
        let config = self.here.config()?;
        match config.storage.facts {
            FactsStore::Sqlite => {}
            FactsStore::Memory => {
                return Err("storage.facts: what is kept in memory is out of reach".into());
            }
            FactsStore::Postgres => {
                return Err(
                    "storage.facts: a registry in PostgreSQL has no data directory that rests; its servers read \
                     everything again while they run, where `scrub.enabled` says so"
                        .into(),
                );
            }
        }
        if !stores::has_database(&config) {
            return Err(format!("data: there is no registry in {}", config.data.display()));
        }
        let sqlite = stores::sqlite(&config).await?;
        let manifests: Arc<dyn ManifestStore> = Arc::clone(&sqlite) as _;
        let facts = Facts::Sqlite(Arc::clone(&sqlite));
        let registry = stores::registry(&config, &facts, &manifests, Arc::new(AnyoneMay)).await?;
        let failed = |error: StoreError| in_one_line("scrub", &error);
        let mut report = Report { database: sqlite.check().await.map_err(failed)?, ..Report::default() };
        let mut cursor = ScrubCursor::default();
        loop {
            let step = registry.caretaker(Task::Scrub).scrub(&cursor, &Unpaced).await.map_err(failed)?;
            let mut step = step.ok_or("scrub: another process is at it")?;
            let next = step.next.take();
            report.add(step);
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        if let (Format::Text, false) = (self.format, report.findings.is_empty()) {
            output::many(Format::Text, &report.findings)?;
        }
        output::one(self.format, &report)?;
        match report.broken() {
            0 => Ok(()),
            broken => {
                Err(format!("scrub: {broken} of what is kept is broken; what is pushed again is whole"))
            }
        }
    }
}

/// How far the passes of a server have come, across its restarts.
#[derive(Debug)]
pub(crate) struct Passes {
    /// `None` where nothing outlives the server.
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    /// When the last pass began.
    began: Option<DateTime<Utc>>,
    /// Where it is; `None` when it is over.
    at: Option<ScrubCursor>,
}

impl Passes {
    pub(crate) fn of(config: &Config) -> Self {
        let file = stores::has_folder(config).then(|| config.data.join("scrub.json"));
        let state = file.as_ref().and_then(|file| fs::read(file).ok());
        // What cannot be read makes a pass begin anew.
        let state = state.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { file, state: Mutex::new(state) }
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgotten in a crash, some of a pass is made once more.
    fn note(&self, state: State) {
        if let Some(file) = &self.file
            && let Err(error) = write(file, &state)
        {
            warn!(%error, "how far a scrub has come is not kept");
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

fn write(file: &PathBuf, state: &State) -> io::Result<()> {
    let new = file.with_extension("json.new");
    File::create(&new)?.write_all(&serde_json::to_vec(state)?)?;
    fs::rename(new, file)
}

/// So many bytes a second, and a pass now and then.
struct Rate {
    bytes_per_second: f64,
    next_pass: Option<DateTime<Utc>>,
    /// When everything that was read would have been read at the rate.
    free: Mutex<Instant>,
}

/// A wait that ends when the server stops.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 86_400);

impl Rate {
    fn new(bytes_per_second: u64, next_pass: Option<DateTime<Utc>>) -> Self {
        let bytes_per_second = if is_planted("a scrub that hurries") { u64::MAX } else { bytes_per_second };
        Self { bytes_per_second: bytes_per_second as f64, next_pass, free: Mutex::new(Instant::now()) }
    }
}

#[async_trait]
impl Pace for Rate {
    /// Time that was spent elsewhere is not made up for.
    async fn after(&self, bytes: u64) {
        let takes = Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second).unwrap_or(FOR_EVER);
        let until = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            *free = (*free).max(Instant::now()) + takes.min(FOR_EVER);
            *free
        };
        sleep_until(until).await;
    }

    fn next_pass(&self) -> Option<DateTime<Utc>> {
        self.next_pass
    }
}

/// Goes on with the pass under way, or begins the next one when it is due. Of several processes one makes a pass, and none
/// begins another before that is due.
pub(crate) async fn pass(
    registry: Registry,
    passes: Arc<Passes>,
    metrics: Arc<Metrics>,
    (every, bytes_per_second): (Duration, u64),
    mut stop: watch::Receiver<bool>,
) -> Result<(), StoreError> {
    let State { began, at } = passes.state();
    let now = Utc::now();
    let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    let is_due = began.is_none_or(|began| now.signed_duration_since(began) >= every);
    let (began, mut cursor) = match at {
        Some(at) => (began, at),
        None if is_due => (Some(now), ScrubCursor::default()),
        None => return Ok(()),
    };
    let next_pass = began.and_then(|began| began.checked_add_signed(every));
    let pace = Rate::new(bytes_per_second, next_pass);
    let mut found = 0;
    while !*stop.borrow() {
        let caretaker = registry.caretaker(Task::Scrub);
        let step = tokio::select! {
            step = caretaker.scrub(&cursor, &pace) => step?,
            // A step may be left anywhere.
            _ = stop.changed() => return Ok(()),
        };
        let Some(step) = step else { return Ok(()) };
        found += step.findings.len();
        metrics.scrubbed(&step);
        passes.note(State { began, at: step.next.clone() });
        match step.next {
            Some(next) => cursor = next,
            None => {
                info!(findings = found, "everything that is kept has been read again");
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use swr_core::RepositoryName;
    use swr_core::caller::{Caller, Origin};
    use swr_core::digest::Algorithm;
    use swr_storage::{MemoryBlobs, MemoryManifests};

    use super::*;

    /// As long as it takes to read so many bytes at 1024 a second; whole, so that nothing is rounded.
    fn time_of(bytes: u64) -> Duration {
        Duration::from_nanos(bytes * 1_000_000_000 / 1024)
    }

    /// Timers go by the millisecond.
    const TICK: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn between_any_two_moments_no_more_is_read_than_the_rate_says() {
        let rate = Rate::new(1024, None);
        let mut seen = vec![(Instant::now(), 0)];
        let mut read = 0;
        for bytes in [1, 1, 1024, 3, 1_000_000, 0, 5, 256 << 10, 1, 17, 4096, 1 << 30, 1] {
            rate.after(bytes).await;
            read += bytes;
            seen.push((Instant::now(), read));
        }
        for (at, (later, read)) in seen.iter().enumerate() {
            for (steps, (earlier, before)) in seen[..at].iter().rev().enumerate() {
                let (took, takes) = (*later - *earlier, time_of(read - before));
                assert!(took >= takes, "{} bytes in {took:?}", read - before);
                assert!(took <= takes + TICK * (steps as u32 + 1), "{} bytes in {took:?}", read - before);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_read_for_a_time_is_not_made_up_for() {
        let rate = Rate::new(1024, None);
        rate.after(1024).await;
        tokio::time::advance(Duration::from_secs(3600)).await;
        let begun = Instant::now();
        rate.after(2048).await;
        assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_share_a_rate_have_no_more_of_it() {
        let (rate, begun) = (Rate::new(1024, None), Instant::now());
        tokio::join!(rate.after(2048), rate.after(1024), rate.after(512));
        assert!(begun.elapsed() >= time_of(2048 + 1024 + 512), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_nothing_reaches_costs_no_more_than_a_tick() {
        let (rate, begun) = (Rate::new(u64::MAX, None), Instant::now());
        for _ in 0..1000 {
            rate.after(256 << 10).await;
        }
        assert!(begun.elapsed() <= 1000 * TICK, "{:?}", begun.elapsed());
    }

    /// Rather than none.
    #[tokio::test(start_paused = true)]
    async fn a_wait_that_cannot_be_told_is_a_long_one() {
        for bytes_per_second in [0, 1] {
            let rate = Rate::new(bytes_per_second, None);
            for bytes in [u64::MAX, 1 << 40, u64::MAX] {
                let months = Duration::from_secs(100 * 86_400);
                assert!(tokio::time::timeout(months, rate.after(bytes)).await.is_err());
            }
        }
    }

    /// A registry with some bytes in it, and how many.
    async fn registry() -> (Registry, u64) {
        let manifests: Arc<dyn ManifestStore> = Arc::new(MemoryManifests::new());
        let registry =
            Registry::builder(Arc::new(MemoryBlobs::new()), manifests, Arc::new(AnyoneMay)).build();
        let access = registry.access(Caller::Anonymous, Origin::default());
        let repository = RepositoryName::parse("library/app").unwrap();
        let mut length = 0;
        for seed in 0..5u8 {
            let bytes = vec![seed; 100_000 * usize::from(seed) + 1];
            length += bytes.len() as u64;
            let digest = Algorithm::Sha256.digest(&bytes);
            access.push_blob(&repository, &digest, axum::body::Bytes::from(bytes).into()).await.unwrap();
        }
        (registry.clone(), length)
    }

    fn passes() -> Arc<Passes> {
        Arc::new(Passes { file: None, state: Mutex::default() })
    }

    /// Makes a pass, one of each day, that reads so many bytes a second.
    async fn a_pass(
        registry: &Registry,
        passes: &Arc<Passes>,
        bytes_per_second: u64,
        stop: &watch::Receiver<bool>,
    ) {
        let often = (Duration::from_secs(86_400), bytes_per_second);
        let metrics = Arc::new(Metrics::new());
        pass(registry.clone(), Arc::clone(passes), metrics, often, stop.clone()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_takes_as_long_as_its_bytes_take_at_the_rate() {
        let (registry, bytes) = registry().await;
        let (_stop, stopped) = watch::channel(false);
        let (passes, begun) = (passes(), Instant::now());
        a_pass(&registry, &passes, 1024, &stopped).await;
        let (took, takes) = (begun.elapsed(), time_of(bytes));
        assert!(took >= takes && took <= takes + 100 * TICK, "{took:?} instead of {takes:?}");
        let state = passes.state();
        assert!(state.began.is_some() && state.at.is_none(), "the pass is over: {state:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_ends_at_once_when_the_server_stops() {
        let (registry, _) = registry().await;
        let (stop, stopped) = watch::channel(false);
        let (passes, begun) = (passes(), Instant::now());
        let stops_after = Duration::from_secs(1000);
        let stopping = async {
            tokio::time::sleep(stops_after).await;
            stop.send(true).unwrap();
        };
        // One byte a second: it would take days.
        tokio::join!(a_pass(&registry, &passes, 1, &stopped), stopping);
        assert!(begun.elapsed() <= stops_after + TICK, "{:?}", begun.elapsed());
        assert!(passes.state().began.is_none(), "it is begun anew: {:?}", passes.state());
        a_pass(&registry, &passes, 1, &stopped).await;
        assert!(begun.elapsed() <= stops_after + TICK, "one that has stopped begins none");
    }
}
