//! The stores that the configuration names, and the registry over them.

use std::error::Error;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::prefix::PrefixStore;
use object_store::signer::Url;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreScheme, RetryConfig, StaticCredentialProvider};
use swr_auth::AnyoneMay;
use swr_core::control::identity::{AccountName, PersonNameError, UserName};
use swr_core::ports::{
    Authorizer, BlobStore, Lease, ManifestStore, MetadataStore, StoreError, StoreErrorKind, UploadStore,
};
use swr_core::registry::{Limits, Registry, RegistryBuilder};
use swr_packages::ImportOptions;
use swr_policy::{OciNaming, SwrNaming, SwrNestedNaming};
use swr_storage::bucket::BucketBlobs;
use swr_storage::filesystem::{FilesystemBlobs, FilesystemReader};
use swr_storage::memory::{MemoryBlobs, MemoryManifests};
use swr_storage::postgres::{PostgresOptions, PostgresStore};
use swr_storage::sqlite::{InUse, SqliteStore};
use swr_storage::upload_sessions::{MemorySessions, UploadSessions};
use tracing::warn;

use crate::accounts::{Accounts, FIRST_ACCOUNT, FIRST_USER};
use crate::config::{Bucket, BytesStore, Config, FactsStore, NamingProfile, UntaggedKeep};
use crate::credentials::Credentials;

/// What is known of a registry beside the registry itself.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) registry: Registry,
    pub(crate) manifests: Arc<dyn ManifestStore>,
    pub(crate) sqlite: Option<Arc<SqliteStore>>,
    /// `None` where the registry is open.
    pub(crate) accounts: Option<Accounts>,
    /// What the first administrator signs in with, where it has just been made.
    pub(crate) first: Option<Credentials>,
}

/// Opens what the configuration names. The error is one line that says which key is concerned.
pub(crate) async fn assemble(config: &Config) -> Result<Assembled, String> {
    config.check_listen()?;
    let facts = Facts::open(config).await?;
    let metadata = facts.metadata();
    let (accounts, first) = accounts(config, Arc::clone(&metadata)).await?;
    let authorizer: Arc<dyn Authorizer> = match &accounts {
        Some(accounts) => Arc::clone(&accounts.authorizer) as _,
        // Everybody may do everything, and only this machine is listened to.
        None => Arc::new(AnyoneMay),
    };
    let manifests: Arc<dyn ManifestStore> = metadata;
    let registry = registry(config, &facts, &manifests, authorizer).await?;
    let sqlite = match facts {
        Facts::Sqlite(sqlite) => Some(sqlite),
        Facts::Memory(_) | Facts::Postgres(_) => None,
    };
    Ok(Assembled { registry, manifests, sqlite, accounts, first })
}

/// The registry over the bytes that the configuration names.
pub(crate) async fn registry(
    config: &Config,
    facts: &Facts,
    manifests: &Arc<dyn ManifestStore>,
    authorizer: Arc<dyn Authorizer>,
) -> Result<Registry, String> {
    Ok(match config.storage.bytes {
        BytesStore::Filesystem => build(config, files(config)?, manifests, authorizer),
        BytesStore::Bucket => build(config, bucket(config, facts.sessions()).await?, manifests, authorizer),
        BytesStore::Memory => build(config, MemoryBlobs::default(), manifests, authorizer),
    })
}

/// The registry in which nobody is asked who they are.
pub(crate) async fn open_registry(config: &Config, facts: &Facts) -> Result<Registry, String> {
    let manifests: Arc<dyn ManifestStore> = facts.metadata();
    registry(config, facts, &manifests, Arc::new(AnyoneMay)).await
}

/// The accounts that there are, or the first, whose administrator is shown what it signs in with; none in an open
/// registry.
async fn accounts(
    config: &Config,
    metadata: Arc<dyn MetadataStore>,
) -> Result<(Option<Accounts>, Option<Credentials>), String> {
    match (Accounts::find(config, Arc::clone(&metadata)).await?, config.open) {
        (Some(_), true) => Err(format!(
            "open: {} has accounts, and an open registry asks nobody who they are; leave `open` out, or serve another \
             data directory",
            config.data.display()
        )),
        (Some(accounts), false) => Ok((Some(accounts), None)),
        (None, true) => Ok((None, None)),
        (None, false) if config.read_only => Err(
            "read_only: there are no accounts, and none are made where reads alone are served; serve it once without \
             `read_only`, or `open`"
                .into(),
        ),
        (None, false) => {
            let name = |error: PersonNameError| format!("accounts: {error}");
            let account = AccountName::parse(FIRST_ACCOUNT).map_err(name)?;
            let user = UserName::parse(FIRST_USER).map_err(name)?;
            match Accounts::found(config, Arc::clone(&metadata), account, user).await {
                Ok((accounts, first)) => Ok((Some(accounts), Some(first))),
                // Another process that starts may have been faster.
                Err(error) => match Accounts::find(config, metadata).await? {
                    Some(accounts) => Ok((Some(accounts), None)),
                    None => Err(error),
                },
            }
        }
    }
}

/// The database in the data directory, which is made if there is none.
pub(crate) async fn sqlite(config: &Config) -> Result<Arc<SqliteStore>, String> {
    make_folder(config)?;
    let opened = SqliteStore::open(database(config)).await;
    let sqlite = opened.map_err(|error| match error.source().is_some_and(<dyn Error>::is::<InUse>) {
        true => format!(
            "data: {} is in use: a server runs on it; stop it, or ask it with --server URL",
            config.data.display()
        ),
        false => in_one_line("storage.facts", &error),
    })?;
    if !config.read_only {
        end_leases(&sqlite).await.map_err(|error| in_one_line("storage.facts", &error))?;
    }
    Ok(Arc::new(sqlite))
}

/// Ends what a server left held that was killed at its work. Whoever has opened the database is alone with it.
async fn end_leases(sqlite: &SqliteStore) -> Result<(), StoreError> {
    for (name, until) in sqlite.backlog().await?.leases {
        let lease = Lease { name: &name, holder: "the next to open it", now: until, until };
        if let Some(fence) = sqlite.lease(&lease).await? {
            sqlite.release_lease(&fence).await?;
        }
    }
    Ok(())
}

/// Whether there can be accounts: in a database of its own, or one in the data directory.
pub(crate) fn has_database(config: &Config) -> bool {
    config.storage.facts == FactsStore::Postgres || database(config).exists()
}

pub(crate) fn database(config: &Config) -> PathBuf {
    config.data.join("registry.db")
}

/// The folder of the bytes, where they are in files.
pub(crate) fn bytes(config: &Config) -> PathBuf {
    config.data.join("blobs")
}

/// What keeps the facts.
pub(crate) enum Facts {
    Memory(Arc<MemoryManifests>),
    Postgres(Arc<PostgresStore>),
    Sqlite(Arc<SqliteStore>),
}

impl Facts {
    /// Opens the one that the configuration names, and makes it if there is none.
    pub(crate) async fn open(config: &Config) -> Result<Self, String> {
        Ok(match config.storage.facts {
            FactsStore::Memory => Self::Memory(Arc::default()),
            FactsStore::Postgres => Self::Postgres(Arc::new(postgres(config).await?)),
            FactsStore::Sqlite => Self::Sqlite(sqlite(config).await?),
        })
    }

    pub(crate) fn metadata(&self) -> Arc<dyn MetadataStore> {
        match self {
            Self::Memory(facts) => Arc::clone(facts) as _,
            Self::Postgres(facts) => Arc::clone(facts) as _,
            Self::Sqlite(facts) => Arc::clone(facts) as _,
        }
    }

    /// Those of a bucket are kept with the facts, for whichever process goes on.
    fn sessions(&self) -> Arc<dyn UploadSessions> {
        match self {
            Self::Memory(_) => Arc::new(MemorySessions::default()),
            Self::Postgres(facts) => Arc::clone(facts) as _,
            Self::Sqlite(facts) => Arc::clone(facts) as _,
        }
    }
}

/// The database of which the configuration says where it is. One that cannot be reached refuses to start: whoever
/// starts programs starts this one again.
async fn postgres(config: &Config) -> Result<PostgresStore, String> {
    let opened = PostgresStore::open_with(postgres_options(config)?).await;
    opened.map_err(|error| in_one_line("storage.postgres", &error))
}

pub(crate) fn postgres_options(config: &Config) -> Result<PostgresOptions, String> {
    let postgres = config.storage.postgres.clone().unwrap_or_default();
    let mut options = PostgresOptions::new(postgres.url.as_ref().map_or("", |url| url.expose()));
    options.connections_max = postgres.connections_max.into();
    if let Some(path) = &postgres.authorities {
        let read = fs::read(path);
        let pem =
            read.map_err(|error| format!("storage.postgres.authorities: {}: {error}", path.display()))?;
        options.authorities = Some(pem);
    }
    Ok(options)
}

/// Whether something is kept in the data directory: else there may be none.
pub(crate) fn has_folder(config: &Config) -> bool {
    config.storage.facts == FactsStore::Sqlite || config.storage.bytes == BytesStore::Filesystem
}

/// A folder for what is needed for a while.
pub(crate) fn spool(config: &Config) -> PathBuf {
    if has_folder(config) { config.data.clone() } else { std::env::temp_dir() }
}

/// How packages are taken in.
pub(crate) fn imports(config: &Config) -> ImportOptions {
    let mut options = ImportOptions::new(spool(config));
    options.package_bytes_max = config.packages.size_max.0;
    options
}

/// Makes the data directory, which is for nobody else.
pub(crate) fn make_folder(config: &Config) -> Result<(), String> {
    let mut made = fs::DirBuilder::new();
    made.recursive(true)
        .mode(0o700)
        .create(&config.data)
        .map_err(|error| format!("data: {} cannot be made: {error}", config.data.display()))
}

/// A registry for those who look after accounts and touch no content.
pub(crate) fn without_bytes(metadata: Arc<dyn MetadataStore>, authorizer: Arc<dyn Authorizer>) -> Registry {
    Registry::builder(Arc::new(MemoryBlobs::default()), metadata, authorizer).build()
}

pub(crate) fn files(config: &Config) -> Result<FilesystemBlobs, String> {
    make_folder(config)?;
    let storage = &config.storage;
    let options =
        FilesystemBlobs::options().low_water_bytes(storage.reserve.0).direct_writes(storage.direct_writes);
    let opened = options.open(bytes(config));
    opened.map_err(|error| in_one_line("storage.bytes", &error))
}

/// The bytes of a registry that is copied; those of a server that has them open where `beside_a_server` says so.
pub(crate) async fn bytes_to_copy(
    config: &Config,
    beside_a_server: bool,
) -> Result<Arc<dyn BlobStore>, String> {
    Ok(match config.storage.bytes {
        // It has not been served yet.
        BytesStore::Filesystem if beside_a_server && !bytes(config).exists() => {
            Arc::new(MemoryBlobs::default())
        }
        BytesStore::Filesystem if beside_a_server => {
            let opened = FilesystemReader::open(bytes(config));
            Arc::new(opened.map_err(|error| in_one_line("storage.bytes", &error))?)
        }
        BytesStore::Filesystem => Arc::new(files(config)?),
        // What is read needs no memory of uploads.
        BytesStore::Bucket => Arc::new(bucket(config, Arc::new(MemorySessions::default())).await?),
        BytesStore::Memory => return Err("storage.bytes: what is kept in memory is out of reach".into()),
    })
}

/// How long a bucket may take to say that it is there, before the program starts without knowing.
const BUCKET_WITHIN: Duration = Duration::from_secs(5);

/// Opens the bucket. One that cannot be used as it is configured refuses to start; one that is merely out of
/// reach does not, and shows in `/readyz`.
pub(crate) async fn bucket(
    config: &Config,
    sessions: Arc<dyn UploadSessions>,
) -> Result<BucketBlobs, String> {
    let bucket = config.storage.bucket.clone().unwrap_or_default();
    let store = Arc::new(s3(&bucket).map_err(|error| one_line(format!("storage.bucket: {error}")))?);
    let bytes = BucketBlobs::options().signer(Arc::clone(&store) as _).open(store, sessions);
    match tokio::time::timeout(BUCKET_WITHIN, bytes.probe()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.kind() != StoreErrorKind::Unavailable => {
            return Err(in_one_line("storage.bucket", &error));
        }
        Ok(Err(error)) => warn!(error = in_one_line("probe", &error), "the bucket is out of reach"),
        Err(_) => warn!("the bucket does not answer"),
    }
    Ok(bytes)
}

/// The bucket's client. An answer that stops coming is given up after a while, and asked for anew for as long
/// as requests are kept waiting; a transfer may take as long as it moves.
fn s3(bucket: &Bucket) -> Result<PrefixStore<AmazonS3>, Box<dyn Error>> {
    let url = Url::parse(&bucket.url).map_err(|error| format!("url: {}: {error}", bucket.url))?;
    let (ObjectStoreScheme::AmazonS3, prefix) = ObjectStoreScheme::parse(&url)? else {
        return Err(format!("url: {url} is no address of S3, such as s3://registry").into());
    };
    let client = ClientOptions::new()
        .with_allow_http(bucket.allow_http)
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(Duration::from_secs(20))
        .with_timeout_disabled();
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        max_retries: 8,
        retry_timeout: Duration::from_secs(25),
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_url(bucket.url.clone())
        .with_client_options(client)
        .with_retry(retry);
    if let Some(endpoint) = &bucket.endpoint {
        Url::parse(endpoint).map_err(|error| format!("endpoint: {endpoint}: {error}"))?;
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = &bucket.region {
        builder = builder.with_region(region);
    }
    if let (Some(id), Some(key)) = (&bucket.access_key_id, &bucket.secret_access_key) {
        // Without a token that the environment may have for other keys.
        let keys = AwsCredential { key_id: id.clone(), secret_key: key.expose().to_owned(), token: None };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(keys)));
    }
    Ok(PrefixStore::new(builder.build()?, prefix))
}

fn build(
    config: &Config,
    bytes: impl BlobStore + UploadStore,
    manifests: &Arc<dyn ManifestStore>,
    authorizer: Arc<dyn Authorizer>,
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
    let builder: RegistryBuilder = Registry::builder(Arc::new(bytes), Arc::clone(manifests), authorizer);
    let builder = match config.names.profile {
        NamingProfile::Swr => builder.naming(Arc::new(SwrNaming::default())),
        NamingProfile::SwrNested => builder.naming(Arc::new(SwrNestedNaming::default())),
        NamingProfile::Oci => builder.naming(Arc::new(OciNaming)),
    };
    builder
        .limits(limits)
        .redirects(config.storage.bucket.as_ref().is_some_and(|bucket| bucket.redirect))
        .sparse_manifests(config.manifests.sparse)
        .unsafe_short_holds(config.collection.unsafe_short_hold)
        .build()
}

/// An error of a key of the configuration, and all that caused it.
pub(crate) fn in_one_line(key: &str, error: &dyn Error) -> String {
    format!("{key}: {}", chain(error))
}

/// An error and all that caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors tell their cause themselves.
        if !line.contains(&said) {
            line.push_str(&format!(": {said}"));
        }
        cause = error.source();
    }
    one_line(line)
}

fn one_line(text: String) -> String {
    text.replace('\n', " ")
}

/// Where everything is kept, as a person is told.
pub(crate) fn place(config: &Config) -> String {
    let folder =
        |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let facts = match config.storage.facts {
        FactsStore::Memory => "memory, which is gone at the end".into(),
        FactsStore::Postgres => "PostgreSQL".into(),
        FactsStore::Sqlite => folder(&config.data),
    };
    match (config.storage.bytes, &config.storage.bucket) {
        (BytesStore::Bucket, Some(bucket)) => format!("{}, facts in {facts}", bucket.url),
        (BytesStore::Filesystem, _) if config.storage.facts == FactsStore::Postgres => {
            format!("{}, facts in {facts}", folder(&config.data))
        }
        (BytesStore::Filesystem, _) => folder(&config.data),
        _ => facts,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[tokio::test]
    async fn what_a_killed_server_was_at_is_gone_on_with_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: folder.path().to_owned(), ..Config::default() };
        let far = DateTime::<Utc>::MAX_UTC;
        let lease = |holder| Lease { name: "collection", holder, now: DateTime::UNIX_EPOCH, until: far };
        let killed = sqlite(&config).await.unwrap();
        let fence = killed.lease(&lease("the first")).await.unwrap().unwrap();
        assert!(killed.lease(&lease("the second")).await.unwrap().is_none());
        drop(killed);

        // Not by who does nothing unasked.
        let reader = sqlite(&Config { read_only: true, ..config.clone() }).await.unwrap();
        assert_eq!(reader.backlog().await.unwrap().leases.len(), 1);
        drop(reader);

        let next = sqlite(&config).await.unwrap();
        assert!(next.backlog().await.unwrap().leases.is_empty());
        assert!(next.lease(&lease("the second")).await.unwrap().unwrap().token > fence.token);
    }

    #[tokio::test]
    async fn no_account_is_made_where_reads_alone_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let config =
            Config { data: folder.path().to_owned(), read_only: true, open: false, ..Config::default() };
        let refused = assemble(&config).await.unwrap_err();
        assert!(refused.starts_with("read_only: "), "{refused}");
        assert!(!folder.path().join("master.key").exists());
        assert!(assemble(&Config { read_only: false, ..config }).await.unwrap().first.is_some());
    }
}
