//! The stores that the configuration names, and the registry over them.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use swr_auth::AnyoneMay;
use swr_core::ports::{BlobStore, ManifestStore, UploadStore};
use swr_core::registry::{Limits, Registry, RegistryBuilder};
use swr_policy::{OciNaming, SwrNaming, SwrNestedNaming};
use swr_storage::filesystem::FilesystemBlobs;
use swr_storage::memory::{MemoryBlobs, MemoryManifests};
use swr_storage::sqlite::SqliteStore;

use crate::config::{BytesStore, Config, FactsStore, NamingProfile, UntaggedKeep};

/// What is known of a registry beside the registry itself.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) registry: Registry,
    pub(crate) manifests: Arc<dyn ManifestStore>,
    pub(crate) sqlite: Option<Arc<SqliteStore>>,
}

/// Opens what the configuration names. The error is one line that says which key is concerned.
pub(crate) async fn assemble(config: &Config) -> Result<Assembled, String> {
    let needs_folder =
        config.storage.bytes == BytesStore::Filesystem || config.storage.facts == FactsStore::Sqlite;
    if needs_folder {
        fs::create_dir_all(&config.data)
            .map_err(|error| format!("data: {} cannot be made: {error}", config.data.display()))?;
    }
    let sqlite = match config.storage.facts {
        FactsStore::Memory => None,
        FactsStore::Sqlite => {
            let path = config.data.join("registry.db");
            let opened = SqliteStore::open(&path).await;
            Some(Arc::new(opened.map_err(|error| in_one_line("storage.facts", &error))?))
        }
    };
    let manifests: Arc<dyn ManifestStore> = match &sqlite {
        Some(sqlite) => Arc::clone(sqlite) as _,
        None => Arc::new(MemoryManifests::default()),
    };
    let registry = match config.storage.bytes {
        BytesStore::Filesystem => build(config, files(config)?, &manifests),
        BytesStore::Memory => build(config, MemoryBlobs::default(), &manifests),
    };
    Ok(Assembled { registry, manifests, sqlite })
}

fn files(config: &Config) -> Result<FilesystemBlobs, String> {
    let path = config.data.join("blobs");
    let opened = FilesystemBlobs::options().low_water_bytes(config.storage.reserve.0).open(path);
    opened.map_err(|error| in_one_line("storage.bytes", &error))
}

fn build(
    config: &Config,
    bytes: impl BlobStore + UploadStore,
    manifests: &Arc<dyn ManifestStore>,
) -> Registry {
    let delta = |span: std::time::Duration| TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    let limits = Limits {
        manifest_bytes_max: usize::try_from(config.manifests.size_max.0).unwrap_or(usize::MAX),
        blob_bytes_max: config.blobs.size_max.0,
        chunk_bytes_min: config.uploads.chunk_min.map(|bytes| bytes.0),
        untagged_keep: match config.collection.untagged_keep {
            UntaggedKeep::Forever => None,
            UntaggedKeep::For(keep) => Some(delta(keep.0)),
        },
        link_hold: delta(config.collection.link_hold.0),
        upload_idle: delta(config.uploads.idle.0),
        ..Limits::default()
    };
    // Until there are accounts everybody may do everything, and `Config::check` keeps the address on loopback.
    let builder: RegistryBuilder =
        Registry::builder(Arc::new(bytes), Arc::clone(manifests), Arc::new(AnyoneMay));
    let builder = match config.names.profile {
        NamingProfile::Swr => builder.naming(Arc::new(SwrNaming::default())),
        NamingProfile::SwrNested => builder.naming(Arc::new(SwrNestedNaming::default())),
        NamingProfile::Oci => builder.naming(Arc::new(OciNaming)),
    };
    builder
        .limits(limits)
        .sparse_manifests(config.manifests.sparse)
        .unsafe_short_holds(config.collection.unsafe_short_hold)
        .build()
}

/// An error and all that caused it.
pub(crate) fn in_one_line(key: &str, error: &dyn Error) -> String {
    let mut line = format!("{key}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Where everything is kept, as a person is told.
pub(crate) fn place(config: &Config) -> String {
    let folder =
        |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    match (config.storage.bytes, config.storage.facts) {
        (BytesStore::Memory, FactsStore::Memory) => "memory, which is gone at the end".into(),
        _ => folder(&config.data),
    }
}
