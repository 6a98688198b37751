//! Image packages in and out of a registry in a folder, without a server, everything allowed:
//!
//! ```text
//! package import FOLDER ORGANISATION FILE…
//! package export FOLDER REPOSITORY REFERENCE HOST >FILE
//! package digest FOLDER REPOSITORY REFERENCE
//! ```

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use swr_auth::AnyoneMay;
use swr_core::caller::{Caller, Identity, Origin};
use swr_core::reference::Reference;
use swr_core::{OrganisationName, Registry, RepositoryName};
use swr_packages::{Destination, ImportOptions, Package, Progress, export, import_all};
use swr_storage::{FilesystemBlobs, SqliteStore};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, folder, arguments @ ..] = arguments.as_slice() else {
        return Err("package import|export|digest FOLDER …".into());
    };
    let bytes = Arc::new(FilesystemBlobs::open(Path::new(folder).join("blobs"))?);
    let facts = Arc::new(SqliteStore::open(Path::new(folder).join("registry.db")).await?);
    let registry = Registry::builder(bytes, facts, Arc::new(AnyoneMay)).build();
    let caller = Caller::User(Identity::new("local"));
    let mut out = io::stdout().lock();
    match (what.as_str(), arguments) {
        ("import", [organisation, names @ ..]) => {
            let destination = Destination::new(OrganisationName::parse(organisation)?);
            let mut files = Vec::new();
            for name in names {
                files.push((name.as_str().into(), Package::file(File::open(name)?)?));
            }
            let mut report = |progress: Progress| {
                if let Progress::Blob { digest, size, written: true, .. } = progress {
                    // A progress that nobody can read is no reason to stop.
                    drop(writeln!(io::stderr(), "{digest} {size}"));
                }
            };
            let access = registry.access(caller, Origin::default());
            let options = ImportOptions::new(env::temp_dir());
            let mut all_done = true;
            for file in import_all(&access, &destination, files, &options, &mut report).await? {
                for image in file.result? {
                    match image.result {
                        Ok(done) => {
                            writeln!(out, "{}:{} {}", done.version.repository, done.version.tag, done.digest)?
                        }
                        Err(error) => {
                            all_done = false;
                            writeln!(out, "{}: {error}", image.name)?;
                        }
                    }
                }
            }
            Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        ("export", [repository, reference, host]) => {
            let (repository, reference) = (RepositoryName::parse(repository)?, Reference::parse(reference)?);
            let package = export(&registry, caller, Origin::default(), &repository, &reference, host).await?;
            let mut body = package.body;
            while let Some(chunk) = body.next().await {
                out.write_all(&chunk?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ("digest", [repository, reference]) => {
            let (repository, reference) = (RepositoryName::parse(repository)?, Reference::parse(reference)?);
            let access = registry.access(caller, Origin::default());
            writeln!(out, "{}", access.stat_manifest(&repository, &reference).await?.digest)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("import FOLDER ORGANISATION FILE…, or export FOLDER REPOSITORY REFERENCE HOST".into()),
    }
}
