//! What is done to every server, and how it is measured.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

use swr_benches::client::Client;
use swr_benches::content::{self, Blob, Image, LARGE, LAYER, ORGANISATION, REPOSITORY, SMALL, Stock};
use swr_benches::servers::{Credentials, Kind, Server};

/// One kind of load: it is repeated on `connections` at once until the time is over.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    connections: usize,
    operation: Operation,
    /// Bytes moved by one operation, where cost goes by bytes.
    pub(crate) bytes: Option<usize>,
    /// Whether it is told how long one operation takes.
    pub(crate) is_timed: bool,
    /// Whether the registry is measured by it alone, too, with other settings.
    pub(crate) is_for_settings: bool,
}

/// What is done once.
enum Operation {
    /// All of this is asked for, one after the other.
    Read(fn(&Fixed) -> Vec<Read>),
    /// Something is added that was not there.
    Write(fn(&mut Worker<'_>) -> io::Result<()>),
}

/// What is asked for, and how many bytes have to come.
struct Read {
    path: String,
    range: Option<(u64, u64)>,
    length: usize,
}

/// Numbers that were not used in this run: they make pushed content another one each time.
static NEXT: AtomicU64 = AtomicU64::new(1_000_000);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A range in the middle of the large blob, both ends included.
const RANGE: (u64, u64) = (LARGE as u64 / 2, LARGE as u64 / 2 + RANGE_LENGTH as u64 - 1);
const RANGE_LENGTH: usize = 64 << 10;

/// What the registry and its peers are measured by.
pub(crate) const CASES: [Case; 11] = [
    Case::read("manifest GET by tag", 8, |fixed| vec![fixed.manifest(TAG)]).timed().for_settings(),
    Case::read("manifest GET by digest", 8, |fixed| {
        vec![fixed.manifest(&content::digest(&fixed.image().manifest).to_string())]
    }),
    Case::read("blob GET, 4 KiB", 8, |fixed| vec![blob(&fixed.small())]).timed().for_settings(),
    Case::read("blob GET, 1 MiB", 4, |fixed| vec![blob(&fixed.image().layers[0])]).by_bytes(LAYER),
    Case::read("blob GET, 256 MiB", 1, |fixed| vec![blob(&fixed.large())]).by_bytes(LARGE),
    Case::read("blob GET, 64 KiB out of 256 MiB", 8, |fixed| {
        vec![Read { range: Some(RANGE), length: RANGE_LENGTH, ..blob(&fixed.large()) }]
    }),
    Case::read("image pull, 5 layers of 1 MiB", 4, |fixed| {
        let image = fixed.image();
        let config = whole(content::blob_path(&content::digest(&image.config)), image.config.len());
        [fixed.manifest(TAG), config].into_iter().chain(image.layers.iter().map(blob)).collect()
    }),
    Case::write("blob push, 4 KiB by 32 at once", 32, |worker| {
        worker.fixed.small.blob(next()).push(&mut worker.client)
    })
    .for_settings(),
    Case::write("blob push, 256 MiB", 1, |worker| worker.fixed.large.blob(next()).push(&mut worker.client))
        .by_bytes(LARGE),
    Case::write("image push, 5 layers of 1 MiB", 4, |worker| {
        let number = next();
        Image::new(&worker.fixed.layers, number).push(&mut worker.client, &format!("v{number}"))
    }),
    Case::write("blob mount from another repository", 8, |worker| worker.mount()),
];

fn blob(blob: &Blob<'_>) -> Read {
    whole(content::blob_path(&blob.digest), blob.size())
}

const fn whole(path: String, length: usize) -> Read {
    Read { path, range: None, length }
}

impl Case {
    const fn new(name: &'static str, connections: usize, operation: Operation) -> Self {
        Self { name, connections, operation, bytes: None, is_timed: false, is_for_settings: false }
    }

    const fn read(name: &'static str, connections: usize, reads: fn(&Fixed) -> Vec<Read>) -> Self {
        Self::new(name, connections, Operation::Read(reads))
    }

    const fn write(
        name: &'static str,
        connections: usize,
        write: fn(&mut Worker<'_>) -> io::Result<()>,
    ) -> Self {
        Self::new(name, connections, Operation::Write(write))
    }

    const fn by_bytes(self, bytes: usize) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    const fn timed(self) -> Self {
        Self { is_timed: true, ..self }
    }

    const fn for_settings(self) -> Self {
        Self { is_for_settings: true, ..self }
    }

    pub(crate) const fn is_write(&self) -> bool {
        matches!(self.operation, Operation::Write(_))
    }

    /// So many seconds of one operation in the unit of the case: µs, or seconds for 10⁹ bytes.
    pub(crate) fn cost(&self, seconds: f64) -> f64 {
        self.bytes.map_or(seconds * 1e6, |bytes| seconds * 1e9 / bytes as f64)
    }
}

const TAG: &str = "latest";

/// Content that is there before the first round, and what more is made of.
pub(crate) struct Fixed {
    small: Stock,
    layers: Stock,
    large: Stock,
}

impl Fixed {
    pub(crate) fn new() -> Self {
        Self { small: Stock::new(SMALL), layers: Stock::new(LAYER), large: Stock::new(LARGE) }
    }

    fn image(&self) -> Image<'_> {
        Image::new(&self.layers, 0)
    }

    fn small(&self) -> Blob<'_> {
        self.small.blob(0)
    }

    pub(crate) fn large(&self) -> Blob<'_> {
        self.large.blob(0)
    }

    fn manifest(&self, reference: &str) -> Read {
        whole(content::manifest_path(reference), self.image().manifest.len())
    }

    /// Puts the content there that is read and mounted.
    pub(crate) fn fill(&self, column: &Column<'_>) -> io::Result<()> {
        if column.server.kind == Kind::Nginx {
            let data = &column.server.data;
            self.image().lay_out(data, TAG)?;
            return [self.small(), self.large()].iter().try_for_each(|blob| {
                content::put_file(data, &content::blob_path(&blob.digest), &blob.pieces())
            });
        }
        let mut client = column.connect(&[REPOSITORY])?;
        self.image().push(&mut client, TAG)?;
        self.large().push(&mut client)?;
        (0..MOUNTED).try_for_each(|number| self.small.blob(number).push(&mut client))
    }
}

/// A server, and as whom it is asked.
pub(crate) struct Column<'a> {
    pub(crate) name: &'static str,
    pub(crate) server: &'a Server,
    pub(crate) credentials: Credentials,
}

impl Column<'_> {
    fn connect(&self, repositories: &[&str]) -> io::Result<Client> {
        self.server.connect(self.credentials, repositories)
    }
}

/// One of those who do the same at once.
struct Worker<'a> {
    column: &'a Column<'a>,
    fixed: &'a Fixed,
    client: Client,
    /// What is read, and how many bytes of it have to come.
    requests: Vec<(Vec<u8>, u64)>,
    /// Which of them is under way, and when the first was sent.
    asked: (usize, Instant),
    /// Where blobs are mounted, and how many of them are.
    mounts: (String, u64),
}

/// Blobs that are there to be mounted, in one repository after the other.
const MOUNTED: u64 = 256;

impl<'a> Worker<'a> {
    fn new(case: &Case, column: &'a Column<'a>, fixed: &'a Fixed) -> io::Result<Self> {
        let client = column.connect(&[REPOSITORY])?;
        let requests = match case.operation {
            Operation::Read(reads) => reads(fixed),
            Operation::Write(_) => Vec::new(),
        };
        let requests = requests
            .iter()
            .map(|Read { path, range, length }| (client.prepare(path, *range), *length as u64));
        Ok(Self {
            column,
            fixed,
            requests: requests.collect(),
            client,
            asked: (0, Instant::now()),
            mounts: (String::new(), MOUNTED),
        })
    }

    /// Sends the first of what is read.
    fn ask(&mut self) -> io::Result<()> {
        self.asked = (0, Instant::now());
        self.client.send(&self.requests[0].0)
    }

    /// Takes an answer, and asks for what is next; how long all of it took where it was the last one.
    fn hear(&mut self) -> io::Result<Option<Duration>> {
        let (place, begun) = self.asked;
        let (reply, expected) = (self.client.reply()?, self.requests[place].1);
        if reply.length != expected {
            return Err(io::Error::other(format!("{} bytes came, not {expected}", reply.length)));
        }
        match self.requests.get(place + 1) {
            Some((request, _)) => {
                self.asked.0 += 1;
                self.client.send(request).map(|()| None)
            }
            None => Ok(Some(begun.elapsed())),
        }
    }

    fn mount(&mut self) -> io::Result<()> {
        if self.mounts.1 == MOUNTED {
            let to = format!("{ORGANISATION}/mounts-{}", next());
            self.client = self.column.connect(&[REPOSITORY, &to])?;
            self.mounts = (to, 0);
        }
        let (to, mounted) = &mut self.mounts;
        content::mount(&mut self.client, &self.fixed.small.blob(*mounted).digest, to)?;
        *mounted += 1;
        Ok(())
    }
}

/// Reads on all connections from one thread, which costs less than a thread for each; how long each operation took.
fn read(mut workers: Vec<Worker<'_>>, until: Instant) -> io::Result<Vec<Duration>> {
    let sockets: Vec<_> = workers.iter().map(|worker| worker.client.socket()).collect::<io::Result<_>>()?;
    let mut events: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
    let mut times = Vec::with_capacity(1 << 18);
    let mut at_work = workers.len();
    workers.iter_mut().try_for_each(Worker::ask)?;
    while at_work > 0 {
        retry_on_intr(|| poll(&mut events, None))?;
        for (worker, _) in workers.iter_mut().zip(&events).filter(|(_, event)| !event.revents().is_empty()) {
            let Some(time) = worker.hear()? else { continue };
            times.push(time);
            if Instant::now() < until { worker.ask()? } else { at_work -= 1 }
        }
    }
    Ok(times)
}

/// Writes on each connection from a thread of its own; how long each operation took.
fn write(
    workers: Vec<Worker<'_>>,
    operation: fn(&mut Worker<'_>) -> io::Result<()>,
    until: Instant,
) -> io::Result<Vec<Duration>> {
    let work = |mut worker: Worker<'_>| -> io::Result<Vec<Duration>> {
        let mut times = Vec::new();
        let mut begun = Instant::now();
        while begun < until || times.is_empty() {
            operation(&mut worker)?;
            let ended = Instant::now();
            times.push(ended - begun);
            begun = ended;
        }
        Ok(times)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = workers.into_iter().map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().try_fold(Vec::new(), |mut all, worker| {
            let times = worker.join().map_err(|_| io::Error::other("a load thread failed"))?;
            all.append(&mut times?);
            Ok(all)
        })
    })
}

/// What one round of one case on one server came to.
pub(crate) struct Round {
    /// CPU time of the server.
    pub(crate) server: Duration,
    /// CPU time of the load.
    pub(crate) load: Duration,
    pub(crate) wall: Duration,
    /// How long each operation took, the shortest first.
    pub(crate) times: Vec<Duration>,
}

impl Round {
    /// What of this time falls to one operation, in seconds.
    pub(crate) fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.times.len() as f64
    }

    /// How long all but a part of the operations took at most.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let place = (self.times.len() as f64 * part) as usize;
        self.times.get(place.min(self.times.len() - 1)).copied().unwrap_or_default()
    }
}

/// Measures one round.
pub(crate) fn run(case: &Case, column: &Column<'_>, fixed: &Fixed, time: Duration) -> io::Result<Round> {
    let measured = || {
        let workers = (0..case.connections).map(|_| Worker::new(case, column, fixed));
        let workers: Vec<Worker<'_>> = workers.collect::<io::Result<_>>()?;
        let (server, load, begun) = (column.server.cpu()?, own_cpu(), Instant::now());
        let mut times = match case.operation {
            Operation::Read(_) => read(workers, begun + time),
            Operation::Write(operation) => write(workers, operation, begun + time),
        }?;
        let (wall, load) = (begun.elapsed(), own_cpu() - load);
        let server = column.server.cpu()?.saturating_sub(server);
        times.sort_unstable();
        Ok(Round { server, load, wall, times })
    };
    measured()
        .map_err(|error: io::Error| io::Error::other(format!("{} on {}: {error}", case.name, column.name)))
}

/// CPU time that this process has used so far.
pub(crate) fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
