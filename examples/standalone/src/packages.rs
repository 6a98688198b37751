//! `swr import` and `swr export`: image packages, in and out of a server that runs, or of the data directory of one that
//! is stopped. Where that was open, nobody is asked who they are.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use swr_core::caller::{Caller, Channel, Origin};
use swr_core::control::ControlPlane;
use swr_core::registry::Registry;
use swr_core::{OrganisationName, RepositoryName, Tag};
use swr_http::control::packages::{PackageFile, PackageImage, PackageOutcome};
use swr_packages::control::import_for_user;
use swr_packages::import::FILES_MAX;
use swr_packages::{Destination, ImageOutcome, ImportError, Package, Progress, export, import};

use crate::accounts::settings;
use crate::config::Config;
use crate::data_directory::{DataDirectory, Served};
use crate::management::{Manager, ORGANISATIONS};
use crate::meter::Meter;
use crate::output::{self, Format};
use crate::server::{Server, Streamed};
use crate::stores::{self, chain};
use crate::version::{path, version};

/// Imports image packages: what `docker save` writes, and archives of OCI image layouts, packed with gzip or not.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The packages, of at most 2 GiB each, and at most 10 of them; `-` is standard input
    #[arg(value_name = "FILE", required = true, num_args = 1..=FILES_MAX)]
    files: Vec<PathBuf>,
    /// The organisation that their images go to
    #[arg(long, value_name = "NAME", value_parser = OrganisationName::parse, required_unless_present = "target")]
    organisation: Option<OrganisationName>,
    /// What the one image of the package becomes, whatever the package calls it
    #[arg(long, value_name = "ORG/REPO:TAG", value_parser = version, conflicts_with = "organisation")]
    target: Option<(RepositoryName, Tag)>,
    /// Shows no line that says how far it has come
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    manager: Manager,
}

/// Exports a version as an archive for `docker load`, which is an OCI image layout as well.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The version: its repository and its tag
    #[arg(value_name = "ORG/REPO:TAG", value_parser = version)]
    version: (RepositoryName, Tag),
    /// The file, which is not there yet; `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Shows no line that says how far it has come
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    manager: Manager,
}

/// What is called so is standard input, or standard output.
const STANDARD: &str = "-";

/// Standard input or standard output as a file. It may be a pipe.
fn standard(stream: impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

fn origin() -> Origin {
    Origin { channel: Channel::System, ..Origin::default() }
}

/// What is told of a package on its way in.
struct Follower<'m> {
    meter: &'m mut Meter,
    /// What the package is called here.
    file: String,
}

impl Follower<'_> {
    fn read(&mut self, bytes: u64, of: Option<u64>) {
        self.meter.at(&self.file, bytes, of);
    }

    fn writing(&mut self, digest: &str, bytes: u64, size: u64) {
        self.meter.at(digest, bytes, Some(size));
    }

    fn blob(&mut self, repository: &str, digest: &str, size: u64, written: bool) {
        let how = if written { "written" } else { "there already" };
        self.meter.tell(&format!("{repository}: {digest}, {size} bytes, {how}"));
    }

    fn image(&mut self, image: &PackageImage) {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        self.meter.tell(&match &image.error {
            Some(error) => format!("{}: {error}", image.name),
            None => format!("{}:{} is {}", part(&image.repository), part(&image.tag), part(&image.digest)),
        });
    }
}

impl Import {
    /// The error is one line; what became of each image is told before.
    pub(crate) async fn run(self) -> Result<(), String> {
        let (organisation, target) = match (&self.organisation, &self.target) {
            (_, Some(target)) if self.files.len() == 1 => {
                let organisation = target.0.components().next().unwrap_or_default();
                let organisation =
                    OrganisationName::parse(organisation).map_err(|error| error.to_string())?;
                (organisation, Some(target))
            }
            (_, Some(_)) => return Err("--target: one package has a target".into()),
            (Some(organisation), None) => (organisation.clone(), None),
            (None, None) => return Err("--organisation: which one the images go to".into()),
        };
        let mut outcome = PackageOutcome::default();
        let mut meter = Meter::new(!self.no_progress);
        let importer = Importer::open(&self.manager).await?;
        for path in &self.files {
            let shown = path.display().to_string();
            let mut follower = Follower { meter: &mut meter, file: shown.clone() };
            let opened = if path.as_os_str() == STANDARD { standard(io::stdin()) } else { File::open(path) };
            let imported = match opened {
                Ok(file) => importer.import(file, &organisation, target, &mut follower).await,
                Err(error) => Err(error.to_string()),
            };
            // One that fails does not stop those after it.
            let failed = |error| PackageFile { error: Some(error), ..PackageFile::default() };
            let file = PackageFile { name: shown, ..imported.unwrap_or_else(failed) };
            if let (Some(error), 2..) = (&file.error, self.files.len()) {
                meter.tell(&format!("{}: {error}", file.name));
            }
            outcome.files.push(file);
        }
        drop(meter);
        if let Format::Json = self.manager.format() {
            output::document(&serde_json::to_value(&outcome).map_err(|error| error.to_string())?)?;
        }
        whole(&outcome.files)
    }
}

/// The error says what of it was not imported.
fn whole(files: &[PackageFile]) -> Result<(), String> {
    if let [PackageFile { name, error: Some(error), .. }] = files {
        return Err(format!("{name}: {error}"));
    }
    let failed = files.iter().filter(|file| file.error.is_some()).count();
    let images = files.iter().flat_map(|file| &file.images);
    let refused = images.filter(|image| image.error.is_some()).count();
    Err(match (failed, refused) {
        (0, 0) => return Ok(()),
        (0, refused) => format!("images that were refused: {refused}; the lines above say why"),
        (failed, 0) => format!("packages that failed: {failed}; the lines above say why"),
        (failed, refused) => format!(
            "packages that failed: {failed}, images that were refused: {refused}; the lines above say why"
        ),
    })
}

/// Where packages go.
enum Importer {
    Server(Server),
    Held(Box<Held>),
}

/// A registry that is stopped, and who does something in it.
struct Held {
    config: Config,
    host: String,
    registry: Registry,
    caller: Caller,
    /// `None` where it is open.
    plane: Option<ControlPlane>,
}

impl Held {
    async fn open(manager: &Manager) -> Result<Self, String> {
        let config = manager.place.here.config()?;
        let host = settings(&config)?.host().to_owned();
        match DataDirectory::open_any(config).await? {
            Served::WithAccounts(directory) => {
                let directory = directory.with_bytes().await?;
                let caller = directory.signer(manager.who.as_ref()).await?.caller();
                let (config, plane) = (directory.config().clone(), directory.plane().clone());
                Ok(Self { config, host, registry: plane.registry().clone(), caller, plane: Some(plane) })
            }
            Served::Open(config, _) if manager.who.is_some() => Err(format!(
                "--as: {} has no accounts, and nobody is asked who they are",
                config.data.display()
            )),
            Served::Open(config, facts) => {
                let registry = stores::open_registry(&config, &facts).await?;
                Ok(Self { config: *config, host, registry, caller: Caller::Anonymous, plane: None })
            }
        }
    }

    async fn import(
        &self,
        destination: &Destination,
        package: Package,
        report: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<ImageOutcome>, ImportError> {
        let options = stores::imports(&self.config);
        match &self.plane {
            Some(plane) => {
                let (caller, origin) = (&self.caller, origin());
                import_for_user(plane, caller, &origin, destination, package, &options, report).await
            }
            None => {
                let access = self.registry.access(self.caller.clone(), origin());
                import(&access, destination, package, &options, report).await
            }
        }
    }
}

impl Importer {
    async fn open(manager: &Manager) -> Result<Self, String> {
        match &manager.place.server {
            Some(url) => Server::new(url).map(Self::Server),
            None => Ok(Self::Held(Box::new(Held::open(manager).await?))),
        }
    }

    async fn import(
        &self,
        file: File,
        organisation: &OrganisationName,
        target: Option<&(RepositoryName, Tag)>,
        follower: &mut Follower<'_>,
    ) -> Result<PackageFile, String> {
        match self {
            Self::Server(server) => {
                let query = target.map_or_else(String::new, |(repository, tag)| {
                    let (_, within) = repository.as_str().split_once('/').unwrap_or_default();
                    format!("repository={}&tag={tag}", within.replace('/', "$"))
                });
                let path = format!("{ORGANISATIONS}/{organisation}/packages");
                follow(server.send(&path, &query, file).await?, follower).await
            }
            Self::Held(held) => {
                let mut destination = Destination::new(organisation.clone());
                if let Some((repository, tag)) = target {
                    destination = destination.with_target(repository.clone(), tag.clone());
                }
                let package = Package::file(file).map_err(|error| error.to_string())?;
                let mut report = |progress| match progress {
                    Progress::Read { bytes, of } => follower.read(bytes, of),
                    Progress::Writing { digest, bytes, size, .. } => {
                        follower.writing(&digest.to_string(), bytes, size);
                    }
                    Progress::Blob { repository, digest, size, written } => {
                        follower.blob(repository.as_str(), &digest.to_string(), size, written);
                    }
                    Progress::Image(image) => follower.image(&PackageImage::from(&image)),
                    _ => {}
                };
                let images = held.import(&destination, package, &mut report).await;
                let images = images.map_err(|error| chain(&error))?;
                let images = images.iter().map(PackageImage::from).collect();
                Ok(PackageFile { images, ..PackageFile::default() })
            }
        }
    }
}

/// Follows the events of a server to their end.
async fn follow(mut events: Streamed, follower: &mut Follower<'_>) -> Result<PackageFile, String> {
    #[derive(Deserialize)]
    struct Read {
        bytes: u64,
        of: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Layer {
        repository: String,
        digest: String,
        size: u64,
        #[serde(default)]
        bytes: u64,
        #[serde(default)]
        written: bool,
    }
    fn read<T: DeserializeOwned>(data: &str) -> Result<T, String> {
        serde_json::from_str(data).map_err(|_| "the server tells what this program does not know".to_owned())
    }
    while let Some((name, data)) = events.event().await? {
        match &*name {
            "read" => {
                let Read { bytes, of } = read(&data)?;
                follower.read(bytes, of);
            }
            "writing" => {
                let layer: Layer = read(&data)?;
                follower.writing(&layer.digest, layer.bytes, layer.size);
            }
            "blob" => {
                let layer: Layer = read(&data)?;
                follower.blob(&layer.repository, &layer.digest, layer.size, layer.written);
            }
            "image" => follower.image(&read(&data)?),
            "end" => {
                let outcome: PackageOutcome = read(&data)?;
                return match (outcome.error, outcome.files.into_iter().next()) {
                    (Some(error), file) => Ok(PackageFile { error: Some(error), ..file.unwrap_or_default() }),
                    (None, Some(file)) => Ok(file),
                    (None, None) => Err("the server says nothing of the package".into()),
                };
            }
            _ => {}
        }
    }
    Err("the server broke off before the end: look which versions are there".into())
}

impl Export {
    /// The error is one line, and leaves no file.
    pub(crate) async fn run(self) -> Result<(), String> {
        let mut meter = Meter::new(!self.no_progress);
        let is_standard = self.file.as_os_str() == STANDARD;
        if is_standard && io::stdout().is_terminal() {
            return Err("standard output is a terminal: pipe it to something, or name a file".into());
        }
        let shown = if is_standard { "standard output".into() } else { self.file.display().to_string() };
        let failed = |error: &dyn std::error::Error| format!("{shown}: {}", chain(error));
        let (digest, length, mut body) = self.open().await?;
        let file = if is_standard { standard(io::stdout()) } else { File::create_new(&self.file) };
        let mut file = file.map_err(|error| failed(&error))?;
        let mut bytes = 0;
        let mut written = Ok(());
        while let Some(chunk) = body.chunk().await.transpose() {
            written = chunk.and_then(|chunk| {
                bytes += chunk.len() as u64;
                file.write_all(&chunk).map_err(|error| failed(&error))
            });
            if written.is_err() {
                break;
            }
            meter.at(&shown, bytes, length);
        }
        if is_standard {
            return written;
        }
        match written.and_then(|()| file.sync_all().map_err(|error| failed(&error))) {
            Ok(()) => meter.tell(&format!("{digest} is in {shown}")),
            Err(error) => return Err(without(&self.file, error)),
        }
        Ok(())
    }

    /// What the version is, how long its archive is, and the archive.
    async fn open(&self) -> Result<(String, Option<u64>, Streamed), String> {
        let place = &self.manager.place;
        if let Some(url) = &place.server {
            let path = format!("{}/package", path(&self.version));
            let body = Server::new(url)?.receive(&path).await?;
            return Ok((body.digest(), body.length(), body));
        }
        let Held { host, registry, caller, .. } = Held::open(&self.manager).await?;
        let (repository, tag) = self.version.clone();
        let package = export(&registry, caller, origin(), &repository, &tag.into(), &host).await;
        let package = package.map_err(|error| chain(&error))?;
        Ok((package.digest.to_string(), package.body.length(), Streamed::Local(package.body)))
    }
}

/// The error, when what was begun is gone.
fn without(file: &Path, error: String) -> String {
    match fs::remove_file(file) {
        Ok(()) => error,
        Err(left) => format!("{error}; what was written so far stays: {left}"),
    }
}
