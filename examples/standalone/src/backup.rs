//! `swr backup` and `swr restore`: a registry that runs, or rests, into a folder and back.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use swr_storage::backup::{self, Copied, Facts, Place};

use crate::config::{BytesStore, Config, FactsStore};
use crate::data_directory::Here;
use crate::master_key;
use crate::migrate;
use crate::output::{self, Format, Shown};
use crate::stores::{self, chain};

/// Copies a registry into a folder, wherever it keeps its facts and its bytes, also while servers run on it. Repeated into
/// the same folder it copies what is new. The master key is not copied unless it is asked for: keep it elsewhere.
///
/// The exit status is 1 where something was broken already; the rest is copied.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The folder, which is made if there is none
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    here: Here,
    /// Copies the master key as well
    #[arg(long)]
    with_master_key: bool,
    /// How what was done is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Makes a registry of a backup: a data directory, or one in PostgreSQL and where the configuration has its bytes, whichever
/// it was taken from. Everything in it is verified before it is done.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The folder that `swr backup` has filled
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    here: Here,
    /// Restores the rest where content is broken: that is unknown until it is pushed again
    #[arg(long)]
    set_aside: bool,
    /// How what was done is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Serialize)]
struct Report {
    folder: String,
    blobs: u64,
    bytes: u64,
    copied: u64,
    removed: u64,
    broken: Vec<String>,
    master_key: bool,
}

impl Shown for Report {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("folder", self.folder.clone()),
            ("blobs", self.blobs.to_string()),
            ("bytes", self.bytes.to_string()),
            ("copied", self.copied.to_string()),
            ("removed", self.removed.to_string()),
            ("master key", output::yes_or_no(self.master_key)),
        ];
        fields.extend(self.broken.iter().map(|digest| ("broken", digest.clone())));
        fields
    }
}

impl Report {
    fn new(place: String, copied: Copied, master_key: bool) -> Self {
        Self {
            folder: place,
            blobs: copied.blobs,
            bytes: copied.bytes,
            copied: copied.copied,
            removed: copied.removed,
            broken: copied.broken.iter().map(ToString::to_string).collect(),
            master_key,
        }
    }

    fn tell(self, format: Format) -> Result<(), String> {
        output::one(format, &self)?;
        match self.broken.len() {
            0 => Ok(()),
            broken => Err(format!("{broken} contents are broken, and set aside until they are pushed again")),
        }
    }
}

/// The file in a backup that has the master key, where it was asked for.
const MASTER_KEY: &str = "master.key";

impl Backup {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let config = self.here.config()?;
        if !stores::has_database(&config) {
            return Err(format!("data: there is no registry in {}", config.data.display()));
        }
        let facts = match config.storage.facts {
            FactsStore::Sqlite => Facts::Sqlite(stores::database(&config)),
            FactsStore::Postgres => Facts::Postgres(stores::postgres_options(&config)?),
            FactsStore::Memory => return Err(IN_MEMORY.into()),
        };
        let bytes = stores::bytes_to_copy(&config, true).await?;
        let key = self.folder.join(MASTER_KEY);
        let keys = match self.with_master_key {
            true => Some(Keys::of(&config)?),
            false => None,
        };
        if let Some(keys) = &keys {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
            made.map_err(|error| format!("{}: {error}", self.folder.display()))?;
            keys.put(&key)?;
        }
        let copied =
            backup::back_up(facts, bytes, self.folder.clone()).await.map_err(|error| chain(&error))?;
        if let Some(keys) = keys {
            let now = Keys::of(&config)?;
            match now == keys {
                true => keys.put_alone(&key)?,
                // What was copied may be sealed under either.
                false => now.put(&key)?,
            }
        }
        let has_key = key.exists();
        Report::new(self.folder.display().to_string(), copied, has_key).tell(self.format)
    }
}

impl Restore {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let config = self.here.config()?;
        let key = self.folder.join(MASTER_KEY);
        let has_key = key.exists();
        let (folder, set_aside) = (self.folder.clone(), self.set_aside);
        let copied = match (config.storage.facts, config.storage.bytes) {
            (FactsStore::Sqlite, BytesStore::Filesystem) => {
                stores::make_folder(&config)?;
                let to = Place { database: stores::database(&config), bytes: stores::bytes(&config) };
                backup::restore(folder, to, set_aside).await.map_err(|error| chain(&error))?
            }
            (FactsStore::Postgres, _) => restore_to_postgres(&config, folder, set_aside).await?,
            (FactsStore::Sqlite, _) => {
                return Err("storage: a backup is restored to SQLite and files, or to PostgreSQL".into());
            }
            (FactsStore::Memory, _) => return Err(IN_MEMORY.into()),
        };
        // Where the configuration says the key itself, nobody looks for a file.
        if has_key && config.accounts.master_key.is_none() {
            if config.accounts.master_key_file.is_none() {
                stores::make_folder(&config)?;
            }
            let to = master_key::file(&config);
            let (old, old_to) = (master_key::before(&key), master_key::before(&to));
            if old.exists() {
                copy_key(&old, &old_to)?;
            }
            copy_key(&key, &to)?;
        }
        Report::new(stores::place(&config), copied, has_key).tell(self.format)
    }
}

const IN_MEMORY: &str = "storage: what is kept in memory is out of reach, and is gone at the end";

/// As a registry in SQLite is migrated: interrupted, it goes on where it is run again.
async fn restore_to_postgres(config: &Config, folder: PathBuf, set_aside: bool) -> Result<Copied, String> {
    let unpacked = backup::unpack(folder, stores::spool(config), set_aside).await;
    let unpacked = unpacked.map_err(|error| chain(&error))?;
    let moved = migrate::copy(&unpacked.database(), false, unpacked.bytes(), config).await?;
    let mut copied = Copied::default();
    (copied.blobs, copied.bytes, copied.copied) = (moved.blobs, moved.bytes, moved.blobs);
    copied.broken = unpacked.broken().to_vec();
    Ok(copied)
}

/// The master key, and the one that it takes the place of, while it does.
#[derive(PartialEq, Eq)]
struct Keys {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

impl Keys {
    fn of(config: &Config) -> Result<Self, String> {
        let file = master_key::file(config);
        let current = fs::read(&file).map_err(|error| key_error(&file, &error))?;
        let previous = previous(&file)?;
        Ok(Self { current, previous })
    }

    /// Puts them into a backup whose facts may still be sealed under the key that is there: that stays beside.
    fn put(&self, to: &Path) -> Result<(), String> {
        let there = master_key::read_if_there(to).map_err(|error| key_error(to, &error))?;
        let previous = self.previous.clone().or(there.filter(|there| *there != self.current));
        if let Some(previous) = previous {
            let beside = master_key::before(to);
            master_key::replace(&beside, &previous).map_err(|error| key_error(&beside, &error))?;
        }
        master_key::replace(to, &self.current).map_err(|error| key_error(to, &error))
    }

    /// The facts are sealed under nothing else now: a key that is of before goes.
    fn put_alone(&self, to: &Path) -> Result<(), String> {
        let beside = master_key::before(to);
        if self.previous.is_some() || previous(to)?.is_none() {
            return Ok(());
        }
        fs::remove_file(&beside)
            .and_then(|()| master_key::sync_folder(&beside))
            .map_err(|error| key_error(&beside, &error))
    }
}

/// The key that the one in `file` takes the place of, if there is one.
fn previous(file: &Path) -> Result<Option<Vec<u8>>, String> {
    let beside = master_key::before(file);
    master_key::read_if_there(&beside).map_err(|error| key_error(&beside, &error))
}

fn key_error(path: &Path, error: &std::io::Error) -> String {
    format!("master key: {}: {error}", path.display())
}

/// Copies a key to where it is not yet, or is the same.
fn copy_key(from: &Path, to: &Path) -> Result<(), String> {
    let key = fs::read(from).map_err(|error| key_error(from, &error))?;
    match fs::read(to) {
        Ok(there) if there == key => return Ok(()),
        Ok(_) => return Err(format!("master key: there is another in {} already", to.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(key_error(to, &error)),
    }
    master_key::replace(to, &key).map_err(|error| key_error(to, &error))
}
