//! `swr migrate`: a registry of one machine, copied to where several serve it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::Args;
use serde::Serialize;
use swr_core::commit::StoredBlob;
use swr_core::ports::{BlobStore, StoreError};
use swr_storage::postgres::{Move, Moved};

use crate::config::{BytesStore, Config, FactsStore};
use crate::data_directory::Here;
use crate::master_key;
use crate::output::{self, Format, Shown};
use crate::stores::{self, in_one_line};

/// Copies a registry in SQLite, and its bytes, to an empty database of PostgreSQL and a bucket. Whatever is copied is
/// checked against its digest. Interrupted, it goes on where it is run again.
///
/// Uploads under way stay behind; their clients begin them anew. So do sessions on pages: people sign in again.
#[derive(Args, Debug)]
pub(crate) struct Migrate {
    #[command(flatten)]
    here: Here,
    /// The configuration of the servers to come, with `storage.facts = "postgres"`, a bucket, and the same master key
    #[arg(long, value_name = "FILE")]
    to_config: PathBuf,
    /// Copies what a server has open that serves reads alone (`read_only`)
    #[arg(long)]
    while_serving: bool,
    /// How what was done is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What was copied, as it is shown.
#[derive(Serialize)]
struct Copied {
    repositories: u64,
    manifests: u64,
    tags: u64,
    blobs: u64,
    bytes: u64,
    events: u64,
    damaged_links: u64,
}

impl From<Moved> for Copied {
    fn from(moved: Moved) -> Self {
        let Moved { repositories, manifests, tags, blobs, bytes, events, damaged_links, .. } = moved;
        Self { repositories, manifests, tags, blobs, bytes, events, damaged_links }
    }
}

impl Shown for Copied {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("repositories", self.repositories.to_string()),
            ("manifests", self.manifests.to_string()),
            ("tags", self.tags.to_string()),
            ("blobs", self.blobs.to_string()),
            ("bytes", self.bytes.to_string()),
            ("events", self.events.to_string()),
            ("damaged links, left behind", self.damaged_links.to_string()),
        ]
    }
}

impl Migrate {
    /// The error is one line, and leaves what was copied so far.
    pub(crate) async fn run(self) -> Result<(), String> {
        let from = self.here.config()?;
        let to = Config::from_command_line(Some(self.to_config.clone()), [])?;
        if from.storage.facts != FactsStore::Sqlite || !stores::has_database(&from) {
            return Err(format!("data: {} has no database of SQLite to copy", from.data.display()));
        }
        if (to.storage.facts, to.storage.bytes) != (FactsStore::Postgres, BytesStore::Bucket) {
            return Err(format!(
                "--to-config: {} has to say storage.facts = \"postgres\" and storage.bytes = \"bucket\"",
                self.to_config.display()
            ));
        }
        master_key::expect_same(&from, &to)?;
        let bytes = stores::bytes_to_copy(&from, self.while_serving).await?;
        let moved = copy(&stores::database(&from), self.while_serving, &*bytes, &to).await?;
        output::one(self.format, &Copied::from(moved))
    }
}

/// Copies a registry in SQLite to the PostgreSQL database that the configuration names, and its bytes to where that has
/// them.
pub(crate) async fn copy(
    database: &Path,
    beside_a_server: bool,
    bytes: &dyn BlobStore,
    to: &Config,
) -> Result<Moved, String> {
    let failed = |error: StoreError| in_one_line("storage.postgres", &error);
    let options = stores::postgres_options(to)?;
    let moving = Move::begin(database, beside_a_server, options).await.map_err(failed)?;
    let now = Utc::now();
    let moved = match to.storage.bytes {
        BytesStore::Bucket => {
            let bucket = stores::bucket(to, moving.sessions()).await?;
            moving.run(bytes, &bucket, now, &mut follow).await
        }
        BytesStore::Filesystem => moving.run(bytes, &stores::files(to)?, now, &mut follow).await,
        BytesStore::Memory => return Err("storage.bytes: what is kept in memory is gone at the end".into()),
    };
    moved.map_err(failed)
}

/// A line about how it goes on, on standard error.
fn follow(blob: &StoredBlob) {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{}, {} bytes", blob.digest, blob.size);
}
