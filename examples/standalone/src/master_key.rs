//! The master key, which the host keeps: where it is, and `swr master-key rotate`.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use swr_auth::{KeyDesk, Secret, Vault};

use crate::accounts::{clock, settings};
use crate::config::Config;
use crate::data_directory::{DataDirectory, Here};
use crate::output::{self, Format, Shown};
use crate::stores::in_one_line;

/// Looks after the key that secrets are sealed under.
#[derive(Args, Debug)]
pub(crate) struct MasterKey {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Makes a new master key and seals every secret anew. Interrupted, it goes on where it is run again
    Rotate(Rotate),
}

#[derive(Args, Debug)]
struct Rotate {
    #[command(flatten)]
    here: Here,
    /// How what was done is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What a rotation has done.
#[derive(Serialize)]
struct Rotated {
    master_key_file: String,
    resealed: u64,
}

impl Shown for Rotated {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("master key", self.master_key_file.clone()), ("secrets resealed", self.resealed.to_string())]
    }
}

impl MasterKey {
    /// The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Task::Rotate(Rotate { here, format }) = self.task;
        let config = here.config()?;
        if config.accounts.master_key.is_some() {
            return Err("accounts.master_key: a key that is set cannot be changed from here; keep it in \
                        accounts.master_key_file instead"
                .into());
        }
        // The store's lock is held to the end: nobody serves meanwhile, and nobody else rotates.
        let directory = DataDirectory::open(config).await?;
        let resealed = rotate(&directory).await?;
        let file = file(directory.config()).display().to_string();
        output::one(format, &Rotated { master_key_file: file, resealed })
    }
}

/// Makes a new key, unless a rotation is under way, and seals every secret under it.
///
/// The old key is beside the new one (`….previous`) from before the new one is first used until nothing is sealed under
/// the old one any more: whenever this ends, everything can be read.
async fn rotate(directory: &DataDirectory) -> Result<u64, String> {
    let config = directory.config();
    let (file, previous) = (file(config), previous(config));
    let failed = |path: &Path, error: io::Error| format!("{KEY}: {}: {error}", path.display());
    let current = fs::read(&file).map_err(|error| failed(&file, error))?;
    let is_under_way = match read_if_there(&previous).map_err(|error| failed(&previous, error))? {
        Some(old) => old != current,
        None => false,
    };
    if !is_under_way {
        // With a key that is not the right one nothing is begun.
        reseal(directory).await?;
        replace(&previous, &current).map_err(|error| failed(&previous, error))?;
        let (_, key) = Vault::generate();
        let key = format!("{}\n", key.expose());
        replace(&file, key.as_bytes()).map_err(|error| failed(&file, error))?;
    }
    let resealed = reseal(directory).await?;
    fs::remove_file(&previous)
        .and_then(|()| sync_folder(&previous))
        .map_err(|error| failed(&previous, error))?;
    Ok(resealed)
}

/// Seals under the key in the file whatever is sealed under the one before it, in pages; how many secrets that were.
async fn reseal(directory: &DataDirectory) -> Result<u64, String> {
    let config = directory.config();
    let desk = KeyDesk::new(Arc::new(kept(config)?), settings(config)?, clock());
    desk.reseal(&**directory.metadata()).await.map_err(|error| in_one_line(KEY, &error))
}

const KEY: &str = "accounts.master_key_file";

/// Where the key is.
pub(crate) fn file(config: &Config) -> PathBuf {
    config.accounts.master_key_file.clone().unwrap_or_else(|| config.data.join("master.key"))
}

/// Where the key is that the present one takes the place of, while it does.
fn previous(config: &Config) -> PathBuf {
    before(&file(config))
}

/// The same for the key in `file`.
pub(crate) fn before(file: &Path) -> PathBuf {
    beside(file, ".previous")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The vault whose master key the host keeps; while that gives way to another, the vault of both.
pub(crate) fn kept(config: &Config) -> Result<Vault, String> {
    if let Some(key) = &config.accounts.master_key {
        return Vault::read(key.expose().as_bytes()).map_err(|error| format!("accounts.master_key: {error}"));
    }
    let (file, previous) = (file(config), previous(config));
    let key = fs::read(&file).map_err(|error| {
        format!("{KEY}: {}: {error}; without it nobody who is known can be recognised", file.display())
    })?;
    let vault = Vault::read(&key).map_err(|error| format!("{KEY}: {}: {error}", file.display()))?;
    let of_previous = |error: &dyn std::fmt::Display| format!("{KEY}: {}: {error}", previous.display());
    match read_if_there(&previous).map_err(|error| of_previous(&error))? {
        Some(old) => Ok(vault.with_previous(Vault::read(&old).map_err(|error| of_previous(&error))?)),
        None => Ok(vault),
    }
}

/// The vault of the key that is there, or of a new one, which is on the disk before anything is sealed with it.
pub(crate) fn first(config: &Config) -> Result<Vault, String> {
    let file = file(config);
    if config.accounts.master_key.is_some() || file.exists() {
        return kept(config);
    }
    let (vault, key) = Vault::generate();
    let written = replace(&file, format!("{}\n", key.expose()).as_bytes());
    written.map_err(|error| format!("{KEY}: {}: {error}", file.display()))?;
    Ok(vault)
}

/// Refuses another key for a copy of a registry than the registry's own: nothing that is sealed could be read there.
pub(crate) fn expect_same(from: &Config, to: &Config) -> Result<(), String> {
    if from.accounts.master_key.is_none() && !file(from).exists() {
        // There are no accounts.
        return Ok(());
    }
    if previous(from).exists() {
        return Err(format!(
            "{KEY}: {}: a rotation is under way; `swr master-key rotate` ends it",
            file(from).display()
        ));
    }
    let sealed = kept(from)?.seal(&Secret::new("the same"), KEY);
    match kept(to)?.open(&sealed, KEY) {
        Ok(_) => Ok(()),
        Err(_) => Err("--to-config: accounts.master_key is another than that of the registry".into()),
    }
}

/// What is in the file, if there is one.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file whole and for good, or leaves it as it was. It is for its owner alone.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path, ".new");
    // What an interrupted attempt has left is worth nothing.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    made.write_all(content)?;
    made.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// What was removed from beside `path` stays removed.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or_else(|| ".".as_ref()))?.sync_all()
}
