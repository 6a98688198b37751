//! `swr import` and `swr export`: image packages, in and out of the data directory of a server that is stopped. Where
//! that was open, nobody is asked who they are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use swr_auth::AnyoneMay;
use swr_core::caller::{Caller, Channel, Origin};
use swr_core::control::ControlPlane;
use swr_core::ports::ManifestStore;
use swr_core::registry::Registry;
use swr_core::{OrganisationName, RepositoryName, Tag};
use swr_packages::control::import_for_user;
use swr_packages::{
    Destination, ImageOutcome, ImportError, ImportOptions, Package, Progress, export, import,
};

use crate::accounts::settings;
use crate::administration::Owner;
use crate::data_directory::{DataDirectory, Here, Served};
use crate::management::owner;
use crate::stores::{self, chain};

/// Imports image packages: what `docker save` writes, and archives of OCI image layouts, packed with gzip or not.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The packages, of at most 2 GiB each
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The organisation that their images go to
    #[arg(long, value_name = "NAME", value_parser = OrganisationName::parse)]
    organisation: OrganisationName,
    #[command(flatten)]
    holder: Holder,
}

/// Exports a version as an archive for `docker load`, which is an OCI image layout as well.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The version: its repository and its tag
    #[arg(value_name = "ORG/REPO:TAG", value_parser = version)]
    version: (RepositoryName, Tag),
    /// The file, which is not there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    holder: Holder,
}

/// Which data directory, and who does something in it.
#[derive(Args, Debug)]
struct Holder {
    #[command(flatten)]
    here: Here,
    /// Who does it, with the rights of that user [default: the first operator]
    #[arg(long = "as", value_name = "ACCOUNT/USER", value_parser = owner)]
    who: Option<Owner>,
}

/// A registry that is stopped, and who does something in it.
struct Held {
    data: PathBuf,
    host: String,
    registry: Registry,
    caller: Caller,
    /// `None` where it is open.
    plane: Option<ControlPlane>,
}

impl Holder {
    async fn open(&self) -> Result<Held, String> {
        let config = self.here.config()?;
        let (data, host) = (config.data.clone(), settings(&config)?.host().to_owned());
        match DataDirectory::open_any(config).await? {
            Served::WithAccounts(directory) => {
                let directory = directory.with_bytes().await?;
                let caller = directory.signer(self.who.as_ref()).await?.caller();
                let plane = directory.plane().clone();
                Ok(Held { data, host, registry: plane.registry().clone(), caller, plane: Some(plane) })
            }
            Served::Open(..) if self.who.is_some() => {
                Err(format!("--as: {} has no accounts, and nobody is asked who they are", data.display()))
            }
            Served::Open(config, sqlite) => {
                let manifests: Arc<dyn ManifestStore> = Arc::clone(&sqlite) as _;
                let registry =
                    stores::registry(&config, Some(&sqlite), &manifests, Arc::new(AnyoneMay)).await?;
                Ok(Held { data, host, registry, caller: Caller::Anonymous, plane: None })
            }
        }
    }
}

impl Held {
    async fn import(
        &self,
        destination: &Destination,
        package: Package,
        options: &ImportOptions,
    ) -> Result<Vec<ImageOutcome>, ImportError> {
        match &self.plane {
            Some(plane) => {
                let (caller, origin) = (&self.caller, origin());
                import_for_user(plane, caller, &origin, destination, package, options, &mut follow).await
            }
            None => {
                let access = self.registry.access(self.caller.clone(), origin());
                import(&access, destination, package, options, &mut follow).await
            }
        }
    }
}

fn version(text: &str) -> Result<(RepositoryName, Tag), String> {
    let (repository, tag) =
        text.rsplit_once(':').ok_or("it is a repository and a tag with `:` between them")?;
    let repository = RepositoryName::parse(repository).map_err(|error| error.to_string())?;
    Ok((repository, Tag::parse(tag).map_err(|error| error.to_string())?))
}

fn origin() -> Origin {
    Origin { channel: Channel::System, ..Origin::default() }
}

/// A line about how it goes on, on standard error.
fn tell(line: &str) {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{}", line.replace(char::is_control, "\u{fffd}"));
}

fn follow(progress: Progress<'_>) {
    match progress {
        Progress::Blob { repository, digest, size, written } => {
            let how = if written { "written" } else { "there already" };
            tell(&format!("{repository}: {digest}, {size} bytes, {how}"));
        }
        Progress::Image(ImageOutcome { name, result, .. }) => match result {
            Ok(image) => {
                tell(&format!("{}:{} is {}", image.version.repository, image.version.tag, image.digest));
            }
            Err(error) => tell(&format!("{name}: {}", chain(error))),
        },
        _ => {}
    }
}

impl Import {
    /// The error is one line; what became of each image is told before.
    pub(crate) async fn run(self) -> Result<(), String> {
        let held = self.holder.open().await?;
        let options = ImportOptions::new(held.data.clone());
        let destination = Destination::new(self.organisation);
        let mut refused = 0_usize;
        for path in &self.files {
            let failed = |error: &dyn std::error::Error| format!("{}: {}", path.display(), chain(error));
            let package = File::open(path).and_then(Package::file).map_err(|error| failed(&error))?;
            let images =
                held.import(&destination, package, &options).await.map_err(|error| failed(&error))?;
            refused += images.iter().filter(|image| image.result.is_err()).count();
        }
        match refused {
            0 => Ok(()),
            refused => Err(format!("images that were refused: {refused}; the lines above say why")),
        }
    }
}

impl Export {
    /// The error is one line, and leaves no file.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Held { host, registry, caller, .. } = self.holder.open().await?;
        let (repository, tag) = self.version;
        let package = export(&registry, caller, origin(), &repository, &tag.into(), &host).await;
        let package = package.map_err(|error| chain(&error))?;
        let failed = |error: &dyn std::error::Error| format!("{}: {}", self.file.display(), chain(error));
        let mut file = File::create_new(&self.file).map_err(|error| failed(&error))?;
        let mut body = package.body;
        let mut written = Ok(());
        while let Some(chunk) = body.next().await {
            written = match chunk {
                Ok(chunk) => file.write_all(&chunk).map_err(|error| failed(&error)),
                Err(error) => Err(failed(&error)),
            };
            if written.is_err() {
                break;
            }
        }
        match written.and_then(|()| file.sync_all().map_err(|error| failed(&error))) {
            Ok(()) => tell(&format!("{} is in {}", package.digest, self.file.display())),
            Err(error) => return Err(without(&self.file, error)),
        }
        Ok(())
    }
}

/// The error, when what was begun is gone.
fn without(file: &Path, error: String) -> String {
    match fs::remove_file(file) {
        Ok(()) => error,
        Err(left) => format!("{error}; what was written so far stays: {left}"),
    }
}
