//! What an operator can say: a file, then the environment, then flags, each over the one before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use swr_auth::Secret;
use swr_http::{AdmissionLimits, Network, Rate, Share};
use toml::{Table, Value};
use tracing::level_filters::LevelFilter;

use crate::units::{Bytes, Span};

/// The whole configuration. Every key has a default; an unknown key refuses to start.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where everything is kept, unless `storage` says otherwise.
    pub(crate) data: PathBuf,
    /// Where the registry is served.
    pub(crate) listen: SocketAddr,
    /// Serves everybody, and asks nobody who they are.
    pub(crate) open: bool,
    /// Lets clients change nothing, and does nothing unasked: while the registry is copied elsewhere.
    pub(crate) read_only: bool,
    /// Addresses or networks whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "networks", serialize_with = "shown_networks")]
    pub(crate) trusted_proxies: Vec<Network>,
    /// The address that clients reach the registry at: `https://registry.example`.
    pub(crate) public_url: Option<String>,
    pub(crate) accounts: Accounts,
    pub(crate) audit: Audit,
    pub(crate) tls: Option<Tls>,
    pub(crate) admin: Admin,
    pub(crate) log: Log,
    pub(crate) storage: Storage,
    pub(crate) names: Names,
    pub(crate) manifests: Manifests,
    pub(crate) blobs: Blobs,
    pub(crate) uploads: Uploads,
    pub(crate) packages: Packages,
    pub(crate) collection: Collection,
    pub(crate) scrub: Scrub,
    pub(crate) aging: Aging,
    pub(crate) triggers: Triggers,
    /// Who is told of everything that happens, by a name of the operator's.
    pub(crate) notifications: BTreeMap<String, Notification>,
    pub(crate) http: Http,
    pub(crate) limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "swr-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            open: false,
            read_only: false,
            trusted_proxies: Vec::new(),
            public_url: None,
            accounts: Accounts::default(),
            audit: Audit::default(),
            tls: None,
            admin: Admin::default(),
            log: Log::default(),
            storage: Storage::default(),
            names: Names::default(),
            manifests: Manifests::default(),
            blobs: Blobs::default(),
            uploads: Uploads::default(),
            packages: Packages::default(),
            collection: Collection::default(),
            scrub: Scrub::default(),
            aging: Aging::default(),
            triggers: Triggers::default(),
            notifications: BTreeMap::new(),
            http: Http::default(),
            limits: Limits::default(),
        }
    }
}

fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let networks = texts.iter().map(|text| text.parse::<Network>());
    networks.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
}

fn shown_networks<S: Serializer>(networks: &[Network], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(ToString::to_string))
}

/// What stands for a secret where a configuration is shown.
const HIDDEN: &str = "(hidden)";

fn hidden<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| HIDDEN).serialize(serializer)
}

fn all_hidden<S: Serializer>(secrets: &BTreeMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(secrets.keys().map(|name| (name, HIDDEN)))
}

/// Whoever there is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Accounts {
    /// The region project: what stands in front of the `@` in a login user name.
    pub(crate) region: String,
    /// Whether strangers may pull what is public.
    pub(crate) anonymous_pulls: bool,
    /// The key that secrets are sealed under, as 64 hexadecimal digits; in the environment rather than in a file that
    /// is backed up.
    #[serde(deserialize_with = "secret", serialize_with = "hidden")]
    pub(crate) master_key: Option<Secret>,
    /// The file that has the key instead; `master.key` in the data directory.
    pub(crate) master_key_file: Option<PathBuf>,
    /// How long a temporary login works.
    pub(crate) login_life: Span,
    /// How long a token works.
    pub(crate) token_life: Span,
    /// How long what was done is remembered.
    pub(crate) traces_keep: Span,
    pub(crate) organisations_per_user: u32,
    pub(crate) organisations_per_account: Option<u32>,
    /// How many sessions on pages a user has at once; one more ends the one that was not used for the longest time.
    pub(crate) sessions_per_user: NonZeroU32,
    /// Other deployments that images may be asked to be kept in step with.
    pub(crate) regions: Vec<String>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            region: "local".into(),
            anonymous_pulls: true,
            master_key: None,
            master_key_file: None,
            login_life: Span(std::time::Duration::from_secs(24 * 3600)),
            token_life: Span(std::time::Duration::from_secs(300)),
            traces_keep: Span(std::time::Duration::from_secs(7 * 86_400)),
            organisations_per_user: 5,
            organisations_per_account: None,
            sessions_per_user: NonZeroU32::MIN.saturating_add(15),
            regions: Vec::new(),
        }
    }
}

/// Who is told of the audit trail.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    /// A file that it is appended to, a JSON object a line.
    pub(crate) file: Option<PathBuf>,
}

/// A certificate and its key; both are read again when they change.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where `/livez`, `/readyz` and `/metrics` are served: an address, or `off`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Admin {
    pub(crate) listen: AdminListen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminListen {
    Off,
    At(SocketAddr),
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: AdminListen::At(SocketAddr::from(([127, 0, 0, 1], 5001))) }
    }
}

impl Serialize for AdminListen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(address) => serializer.collect_str(address),
        }
    }
}

impl<'de> Deserialize<'de> for AdminListen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| serde::de::Error::custom("expected an address such as `127.0.0.1:5001`, or `off`"))
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// A level, or a filter in the form of `RUST_LOG`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// What keeps the bytes, and what keeps the facts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Storage {
    pub(crate) bytes: BytesStore,
    /// Where, if the bytes are in a bucket.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) facts: FactsStore,
    /// Where, if the facts are in a database of PostgreSQL.
    pub(crate) postgres: Option<Postgres>,
    /// Room that uploads leave free on the data directory's file system.
    pub(crate) reserve: Bytes,
    /// Whether content is written to files past the page cache.
    pub(crate) direct_writes: bool,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            bytes: BytesStore::Filesystem,
            bucket: None,
            facts: FactsStore::Sqlite,
            postgres: None,
            reserve: Bytes(256 << 20),
            direct_writes: true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BytesStore {
    Bucket,
    Filesystem,
    Memory,
}

/// A bucket of S3, or of what speaks its protocol. What is not said here is taken from the variables that
/// programs have in common, such as `AWS_REGION`, and credentials from the machine if there are none.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bucket {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub(crate) url: String,
    /// Where the service is, unless it is Amazon's.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) access_key_id: Option<String>,
    #[serde(deserialize_with = "secret", serialize_with = "hidden")]
    pub(crate) secret_access_key: Option<Secret>,
    /// Allows an endpoint without TLS.
    pub(crate) allow_http: bool,
    /// Whether clients are sent to the bucket to read blobs there.
    pub(crate) redirect: bool,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(Secret::new(text)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FactsStore {
    Sqlite,
    Postgres,
    Memory,
}

/// A database of PostgreSQL.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Postgres {
    /// `postgres://user:password@host/database`; in the environment rather than in a file, where it has a password.
    #[serde(deserialize_with = "secret", serialize_with = "hidden")]
    pub(crate) url: Option<Secret>,
    /// A file of certificates in PEM that are trusted beside those that the machine trusts.
    pub(crate) authorities: Option<PathBuf>,
    /// How many connections each process may have.
    pub(crate) connections_max: NonZeroU16,
}

impl Default for Postgres {
    fn default() -> Self {
        Self { url: None, authorities: None, connections_max: NonZeroU16::MIN.saturating_add(15) }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Names {
    pub(crate) profile: NamingProfile,
}

impl Default for Names {
    fn default() -> Self {
        Self { profile: NamingProfile::Swr }
    }
}

/// Which repository names may come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NamingProfile {
    /// Exactly `organisation/repository`.
    Swr,
    /// `organisation/repository`, with more components behind.
    SwrNested,
    /// Whatever the distribution specification allows.
    Oci,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Manifests {
    /// Whether a manifest may name content that is not there.
    pub(crate) sparse: bool,
    pub(crate) size_max: Bytes,
}

impl Default for Manifests {
    fn default() -> Self {
        Self { sparse: false, size_max: Bytes(4 << 20) }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Blobs {
    pub(crate) size_max: Bytes,
}

impl Default for Blobs {
    fn default() -> Self {
        Self { size_max: Bytes(10 << 30) }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Uploads {
    /// How long an upload may lie without a byte.
    pub(crate) idle: Span,
    /// The least that a chunk should have, told to clients as `OCI-Chunk-Min-Length`.
    pub(crate) chunk_min: Option<Bytes>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { idle: Span(std::time::Duration::from_secs(24 * 3600)), chunk_min: None }
    }
}

/// Image packages.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Packages {
    /// The largest one, as it comes and unpacked.
    pub(crate) size_max: Bytes,
    /// How many are taken in at once; each needs room for one in the data directory meanwhile.
    pub(crate) at_once: u32,
}

impl Default for Packages {
    fn default() -> Self {
        Self { size_max: Bytes(2 << 30), at_once: 4 }
    }
}

/// What nothing refers to any more is removed while the registry runs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Collection {
    pub(crate) enabled: bool,
    /// How often.
    pub(crate) interval: Span,
    /// How long a manifest stays that lost its last tag; for ever where it is not to be removed.
    pub(crate) untagged_keep: UntaggedKeep,
    /// How long a pushed blob waits for its manifest.
    pub(crate) link_hold: Span,
    /// Allows `link_hold` below an hour, at which a slow push can lose its layers.
    pub(crate) unsafe_short_hold: bool,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Span(std::time::Duration::from_secs(300)),
            untagged_keep: UntaggedKeep::For(Span(std::time::Duration::from_secs(7 * 86_400))),
            link_hold: Span(std::time::Duration::from_secs(86_400)),
            unsafe_short_hold: false,
        }
    }
}

/// Everything that is kept is read again, and what is broken is set aside.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scrub {
    pub(crate) enabled: bool,
    /// How often a pass over everything begins.
    pub(crate) interval: Span,
    /// How many bytes are read in a second.
    pub(crate) rate: Bytes,
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Span(std::time::Duration::from_secs(7 * 86_400)),
            rate: Bytes(16 << 20),
        }
    }
}

/// Aging rules run when they are made or changed, and from then on at this interval.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Aging {
    pub(crate) interval: Span,
}

impl Default for Aging {
    fn default() -> Self {
        Self { interval: Span(std::time::Duration::from_secs(24 * 3600)) }
    }
}

/// What triggers may reach.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Triggers {
    pub(crate) webhooks: Outbound,
    /// Clusters, by the ids that triggers name.
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// Whether workloads are set to tag and digest, so that what runs is what fired the trigger.
    pub(crate) by_digest: bool,
    /// How long deliveries, what aging cleared and what was asked of synchronisation are remembered.
    pub(crate) history_keep: Span,
}

impl Default for Triggers {
    fn default() -> Self {
        Self {
            webhooks: Outbound::default(),
            clusters: BTreeMap::new(),
            by_digest: false,
            history_keep: Span(std::time::Duration::from_secs(30 * 86_400)),
        }
    }
}

/// Where messages may go beside the public internet by `https`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Outbound {
    /// Addresses or networks, such as `10.0.0.0/8`.
    #[serde(deserialize_with = "networks", serialize_with = "shown_networks")]
    pub(crate) networks: Vec<Network>,
    /// Allows `http`.
    pub(crate) plain_http: bool,
    /// A file of certificate authorities that are believed beside the machine's own.
    pub(crate) authorities: Option<PathBuf>,
}

/// A cluster of a kubeconfig file, or the one that the registry runs in.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cluster {
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Another context of the file than its current one.
    pub(crate) context: Option<String>,
}

/// Who is told of everything that happens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notification {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) format: NotificationFormat,
    /// What messages are signed with.
    #[serde(default, deserialize_with = "secret", serialize_with = "hidden")]
    pub(crate) secret: Option<Secret>,
    /// Headers that are sent along, such as `Authorization`.
    #[serde(default, deserialize_with = "secrets", serialize_with = "all_hidden")]
    pub(crate) headers: BTreeMap<String, Secret>,
    /// Whether blobs are told of as well.
    #[serde(default)]
    pub(crate) blobs: bool,
    #[serde(default)]
    pub(crate) outbound: Outbound,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NotificationFormat {
    /// What Docker's registry tells.
    #[default]
    Docker,
    CloudEvents,
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(texts.into_iter().map(|(name, text)| (name, Secret::new(text))).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UntaggedKeep {
    Forever,
    For(Span),
}

impl Serialize for UntaggedKeep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Forever => serializer.serialize_str("forever"),
            Self::For(span) => span.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for UntaggedKeep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self::Forever);
        }
        Span::deserialize(serde::de::value::StringDeserializer::<D::Error>::new(text))
            .map(Self::For)
            .map_err(|_| serde::de::Error::custom("expected a time such as `7d`, or `forever`"))
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// How many connections are served at once.
    pub(crate) connections_max: u32,
    /// How long a body may stand still.
    pub(crate) stall: Span,
    /// How long a call of a store may take.
    pub(crate) deadline: Span,
    /// How long requests under way have to finish after SIGTERM.
    pub(crate) drain: Span,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            stall: Span(std::time::Duration::from_secs(60)),
            deadline: Span(std::time::Duration::from_secs(30)),
            drain: Span(std::time::Duration::from_secs(30)),
        }
    }
}

/// How much may be taken of the server.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// A user, or of strangers an address.
    #[serde(deserialize_with = "of_caller")]
    pub(crate) caller: Allowance,
    /// All users of an account together.
    #[serde(deserialize_with = "of_account")]
    pub(crate) account: Allowance,
    /// Everybody together.
    #[serde(deserialize_with = "of_total")]
    pub(crate) total: Allowance,
    /// How long a request that does not fit is held back before it is refused.
    pub(crate) hold: Span,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Allowance {
    /// Requests in a second.
    rate: Option<NonZeroU32>,
    /// Requests at once after a time of rest; ten seconds' worth.
    burst: Option<NonZeroU32>,
    /// Requests under way.
    concurrent: Option<NonZeroU32>,
    /// Bodies on their way in.
    body_bytes: Option<Bytes>,
    /// Uploads that are open.
    uploads: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        let unsaid = Allowance::default();
        Self {
            caller: unsaid.or_of_caller(),
            account: unsaid.or_of_account(),
            total: unsaid.or_of_total(),
            hold: Span(AdmissionLimits::default().hold),
        }
    }
}

fn of_caller<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Allowance, D::Error> {
    Allowance::deserialize(deserializer).map(Allowance::or_of_caller)
}

fn of_account<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Allowance, D::Error> {
    Allowance::deserialize(deserializer).map(Allowance::or_of_account)
}

fn of_total<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Allowance, D::Error> {
    Allowance::deserialize(deserializer).map(Allowance::or_of_total)
}

impl Limits {
    /// Where so many connections are served at once. Unless it is said otherwise there are no more requests than that:
    /// each costs memory and an open file, and HTTP/2 has many on one connection. An account has half of them, and a
    /// caller a quarter.
    pub(crate) fn over(&self, connections_max: usize) -> AdmissionLimits {
        let connections_max = u32::try_from(connections_max).unwrap_or(u32::MAX);
        let total = self.total.concurrent.map_or(connections_max, NonZeroU32::get);
        let share = |allowance: Allowance, part: u32| Share {
            concurrent: allowance.concurrent.or(NonZeroU32::new((total / part).max(1))),
            ..allowance.share()
        };
        AdmissionLimits {
            caller: share(self.caller, 4),
            account: share(self.account, 2),
            total: share(self.total, 1),
            hold: self.hold.0,
        }
    }
}

/// What is not said is the usual: a part of what there is, so that nobody has all of it.
impl Allowance {
    fn or_of_caller(self) -> Self {
        self.or(1 << 30, 1000)
    }

    fn or_of_account(self) -> Self {
        self.or(2 << 30, 4000)
    }

    fn or_of_total(self) -> Self {
        self.or(4 << 30, 65_536)
    }

    fn or(self, body_bytes: u64, uploads: u32) -> Self {
        Self {
            body_bytes: self.body_bytes.or(Some(Bytes(body_bytes))),
            uploads: self.uploads.or(NonZeroU32::new(uploads)),
            ..self
        }
    }

    fn share(self) -> Share {
        let rate = self.rate.map(|per_second| Rate {
            per_second,
            burst: self.burst.unwrap_or(per_second.saturating_mul(TEN)),
        });
        Share {
            rate,
            concurrent: self.concurrent,
            body_bytes: self.body_bytes.and_then(|bytes| NonZeroU64::new(bytes.0)),
            uploads: self.uploads,
        }
    }
}

const TEN: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

impl Config {
    /// Reads the configuration: `file` if named, over it the variables that begin with `SWR_`, over them
    /// `flags`. The error is one line that says which key is wrong, and why.
    pub(crate) fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, String> {
        let mut table = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("config file {}: {error}", path.display()))?;
                let parsed: Result<Table, _> = toml::from_str(&text);
                let table = parsed
                    .map_err(|error| format!("config file {}: {}", path.display(), one_line(&error)))?;
                // Read once by itself, so that an error names the line in the file.
                let alone: Result<Self, _> = toml::from_str(&text);
                alone.map_err(|error| {
                    let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
                    let line = line.map_or_else(String::new, |line| format!(" line {line}"));
                    format!("config file {}{line}: {}", path.display(), one_line(&error))
                })?;
                table
            }
            None => Table::new(),
        };
        for (name, value) in environment {
            // Which file, and what commands sign their requests with.
            let others = ["CONFIG", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"];
            let Some(rest) = name.strip_prefix("SWR_").filter(|rest| !others.contains(rest)) else {
                continue;
            };
            let key = rest.to_ascii_lowercase().replace("__", ".");
            table =
                with(table, &key, &value).map_err(|error| format!("environment variable {name}: {error}"))?;
        }
        for (key, value) in flags {
            let flag = key.replace(['.', '_'], "-");
            table = with(table, key, &value).map_err(|error| format!("--{flag}: {error}"))?;
        }
        let config = Self::deserialize(table).map_err(|error| one_line(&error))?;
        config.check()?;
        Ok(config)
    }

    /// As [`Self::read`], of a file that the command line or `SWR_CONFIG` names, and the program's environment.
    pub(crate) fn from_command_line(
        file: Option<PathBuf>,
        flags: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Result<Self, String> {
        let file = file.or_else(|| std::env::var_os("SWR_CONFIG").map(PathBuf::from));
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::read(
            file.as_deref(),
            environment,
            flags.into_iter().filter_map(|(key, value)| Some((key, value?))),
        )
    }

    /// The address that clients reach the registry at, without a slash at its end.
    pub(crate) fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.clone(),
            None if self.tls.is_some() => format!("https://{}", self.listen),
            None => format!("http://{}", self.listen),
        }
    }

    /// Whether the registry may listen where it is told to, open or not.
    pub(crate) fn check_listen(&self) -> Result<(), String> {
        if self.listen.ip().is_loopback() {
            return Ok(());
        }
        if self.open {
            return Err(format!(
                "listen: {} is not a loopback address, and everybody who reaches an open registry may push and \
                 delete; leave `open` out, or listen on 127.0.0.1",
                self.listen
            ));
        }
        if self.tls.is_none() && !self.public_url().starts_with("https://") {
            return Err(format!(
                "listen: {} is not a loopback address, and passwords would pass in the open; set tls, or, where \
                 something in front ends TLS, a public_url that begins with https://",
                self.listen
            ));
        }
        Ok(())
    }

    /// What the types cannot say.
    fn check(&self) -> Result<(), String> {
        let hour = std::time::Duration::from_secs(3600);
        if let AdminListen::At(admin) = self.admin.listen
            && admin == self.listen
            && admin.port() != 0
        {
            return Err(format!(
                "admin.listen: {admin} is the registry's own address; choose another, or `off`"
            ));
        }
        // In the environment they come one after the other.
        let is_half = |tls: &Tls| tls.certificate.as_os_str().is_empty() || tls.key.as_os_str().is_empty();
        if self.tls.as_ref().is_some_and(is_half) {
            return Err("tls: certificate and key come together".into());
        }
        if let Some(url) = &self.public_url {
            let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let is_host = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
            if !host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_host)) {
                return Err(format!(
                    "public_url: `{url}` is not an address such as https://registry.example, without a path"
                ));
            }
        }
        if self.open && self.audit.file.is_some() {
            return Err("audit.file: an open registry does not know who does what, and keeps no trail".into());
        }
        if self.data.as_os_str().is_empty() {
            return Err("data: the data directory has no name".into());
        }
        // A bare word would be taken for a part of the program, and silence every other.
        let says_nothing = |directive: &str| {
            !directive.contains('=') && (directive.is_empty() || directive.parse::<LevelFilter>().is_err())
        };
        if self.log.level.split(',').map(str::trim).any(says_nothing) {
            return Err(format!(
                "log.level: `{}` is neither a level nor a filter such as `info,swr_http=debug`",
                self.log.level
            ));
        }
        let forgets = (self.storage.bytes == BytesStore::Memory, self.storage.facts == FactsStore::Memory);
        if forgets.0 != forgets.1 {
            return Err(
                "storage.bytes, storage.facts: one would forget at the end what the other remembers; \
                        both are `memory`, or neither is"
                    .into(),
            );
        }
        match (self.storage.bytes, &self.storage.bucket) {
            (BytesStore::Bucket, Some(bucket)) if !bucket.url.is_empty() => {
                let unencrypted = bucket.endpoint.as_deref().filter(|it| it.starts_with("http:"));
                if let Some(endpoint) = unencrypted.filter(|_| !bucket.allow_http) {
                    return Err(format!(
                        "storage.bucket.endpoint: {endpoint} is reached without TLS; \
                         set storage.bucket.allow_http to allow it"
                    ));
                }
                if bucket.access_key_id.is_some() != bucket.secret_access_key.is_some() {
                    return Err("storage.bucket: access_key_id and secret_access_key come together".into());
                }
            }
            (BytesStore::Bucket, _) => {
                return Err("storage.bucket.url: which bucket has the bytes, such as s3://registry".into());
            }
            (_, Some(_)) => {
                return Err("storage.bucket: is of no use unless storage.bytes is `bucket`".into());
            }
            (_, None) => {}
        }
        let has_url = |postgres: &Postgres| postgres.url.as_ref().is_some_and(|url| !url.expose().is_empty());
        match (self.storage.facts, &self.storage.postgres) {
            (FactsStore::Postgres, Some(postgres)) if has_url(postgres) => {}
            (FactsStore::Postgres, _) => {
                return Err("storage.postgres.url: which database has the facts, such as \
                            postgres://swr@db.example/registry"
                    .into());
            }
            (_, Some(_)) => {
                return Err("storage.postgres: is of no use unless storage.facts is `postgres`".into());
            }
            (_, None) => {}
        }
        if self.collection.link_hold.0 < hour && !self.collection.unsafe_short_hold {
            return Err("collection.link_hold: below 1h a slow push can lose its layers; \
                        set collection.unsafe_short_hold to allow it"
                .into());
        }
        for (key, zero) in [
            ("collection.interval", self.collection.interval.0.is_zero()),
            ("scrub.interval", self.scrub.interval.0.is_zero()),
            ("scrub.rate", self.scrub.rate.0 == 0),
            ("aging.interval", self.aging.interval.0.is_zero()),
            ("uploads.idle", self.uploads.idle.0.is_zero()),
            ("http.connections_max", self.http.connections_max == 0),
            ("http.stall", self.http.stall.0.is_zero()),
            ("http.deadline", self.http.deadline.0.is_zero()),
            ("manifests.size_max", self.manifests.size_max.0 == 0),
            ("blobs.size_max", self.blobs.size_max.0 == 0),
            ("packages.size_max", self.packages.size_max.0 == 0),
            ("packages.at_once", self.packages.at_once == 0),
        ] {
            if zero {
                return Err(format!("{key}: must be more than nothing"));
            }
        }
        let Limits { caller, account, total, .. } = &self.limits;
        for (key, allowance) in [("caller", caller), ("account", account), ("total", total)] {
            if allowance.burst.is_some() && allowance.rate.is_none() {
                return Err(format!("limits.{key}.burst: is of no use without limits.{key}.rate"));
            }
            if allowance.body_bytes == Some(Bytes(0)) {
                return Err(format!("limits.{key}.body_bytes: must be more than 0"));
            }
        }
        if self.manifests.size_max.0 > 64 << 20 {
            return Err("manifests.size_max: at most 64MiB, since manifests are held in memory".into());
        }
        Ok(())
    }
}

/// The table with `value` at the dotted `key`: as the text it is, or, where the key takes no such text, as the
/// number, flag or list that it reads as.
fn with(table: Table, key: &str, value: &str) -> Result<Table, String> {
    let fits = |value: Value| {
        let mut table = table.clone();
        put(&mut table, key, value)?;
        Config::deserialize(table.clone()).map(|_| table).map_err(|error| one_line(&error))
    };
    fits(Value::String(value.to_owned())).or_else(|as_text| {
        let parsed =
            format!("value = {value}").parse::<Table>().ok().and_then(|mut parsed| parsed.remove("value"));
        parsed.map_or(Err(as_text), fits)
    })
}

fn put(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let inner =
                inner.as_table_mut().ok_or_else(|| format!("`{section}` is a value, not a section"))?;
            put(inner, rest, value)
        }
    }
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_set_leaves_the_others_as_they_are() {
        let config = read("[limits.caller]\nrate = 5", &[], &[]).unwrap();
        assert_eq!(config.limits.caller.rate, NonZeroU32::new(5));
        let usual = Limits::default();
        assert_eq!(Allowance { rate: None, ..config.limits.caller }, usual.caller);
        assert_eq!((config.limits.account, config.limits.total), (usual.account, usual.total));
    }

    #[test]
    fn nobody_has_all_requests_that_there_is_room_for() {
        for (set, expected) in [
            ("", [4, 8, 16]),
            ("[limits.total]\nconcurrent = 3", [1, 1, 3]),
            ("[limits.total]\nconcurrent = 5", [1, 2, 5]),
            ("[limits.caller]\nconcurrent = 7", [7, 8, 16]),
        ] {
            let limits = read(set, &[], &[]).unwrap().limits.over(16);
            let concurrent = [limits.caller, limits.account, limits.total].map(|share| share.concurrent);
            assert_eq!(concurrent, expected.map(NonZeroU32::new), "{set}");
        }
    }

    fn read(
        file: &str,
        environment: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        Config::read(
            Some(&path),
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            flags.iter().map(|(key, value)| (*key, (*value).to_owned())),
        )
        .map_err(|error| error.replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn flags_stand_over_the_environment_and_that_over_the_file() {
        let file = "data = \"from-file\"\n[manifests]\nsparse = true\n[uploads]\nidle = \"2h\"\n";
        let environment = [
            ("SWR_DATA", "from-environment"),
            ("SWR_UPLOADS__IDLE", "3h"),
            ("OTHER", "x"),
            ("SWR_ACCESS_KEY_ID", "of a command"),
            ("SWR_SECRET_ACCESS_KEY", "of a command"),
        ];
        let config = read(file, &environment, &[("data", "from-flag")]).unwrap();
        assert_eq!(config.data, Path::new("from-flag"));
        assert_eq!(config.uploads.idle.0.as_secs(), 3 * 3600);
        assert!(config.manifests.sparse);
    }

    #[test]
    fn nobody_is_served_from_elsewhere_by_an_open_registry_or_in_the_open() {
        let listening = |more: &str| read(&format!("listen = \"0.0.0.0:5000\"\n{more}"), &[], &[]).unwrap();
        let proxied = "public_url = \"https://registry.example\"\n";
        for open in ["open = true\n".to_owned(), format!("open = true\n{proxied}")] {
            let refused = listening(&open).check_listen().unwrap_err();
            assert!(refused.starts_with("listen: 0.0.0.0:5000 is not a loopback address"), "{refused}");
            assert!(refused.contains("leave `open` out"), "{refused}");
        }
        let refused = listening("").check_listen().unwrap_err();
        assert!(refused.contains("public_url"), "{refused}");
        assert_eq!(listening(proxied).check_listen(), Ok(()));
        assert_eq!(listening("[tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"").check_listen(), Ok(()));
        assert_eq!(read("", &[("SWR_OPEN", "true")], &[]).unwrap().check_listen(), Ok(()));
        assert_eq!(read("", &[], &[]).unwrap().check_listen(), Ok(()));
    }

    #[test]
    fn numbers_flags_and_lists_are_read_from_the_environment() {
        let environment = [
            ("SWR_HTTP__CONNECTIONS_MAX", "7"),
            ("SWR_MANIFESTS__SPARSE", "true"),
            ("SWR_MANIFESTS__SIZE_MAX", "1000"),
            ("SWR_TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("SWR_DATA", "2024"),
        ];
        let config = read("", &environment, &[]).unwrap();
        assert_eq!(config.http.connections_max, 7);
        assert!(config.manifests.sparse);
        assert_eq!(config.manifests.size_max, Bytes(1000));
        assert_eq!(config.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(config.data, Path::new("2024"));
    }

    #[test]
    fn a_certificate_and_its_key_come_together_in_the_environment_too() {
        let environment = [("SWR_TLS__CERTIFICATE", "a.pem"), ("SWR_TLS__KEY", "b.pem")];
        let tls = read("", &environment, &[]).unwrap().tls.unwrap();
        assert_eq!((tls.certificate.as_path(), tls.key.as_path()), (Path::new("a.pem"), Path::new("b.pem")));
        for half in environment {
            let refused = read("", &[half], &[]).unwrap_err();
            assert_eq!(refused, "tls: certificate and key come together");
        }
    }

    #[test]
    fn a_database_of_postgres_is_named_by_whoever_wants_it() {
        let environment = [("SWR_STORAGE__POSTGRES__URL", "postgres://swr:12345@db.example/registry")];
        let config = read("[storage]\nfacts = \"postgres\"\n", &environment, &[]).unwrap();
        let postgres = config.storage.postgres.as_ref().unwrap();
        assert!(postgres.url.as_ref().unwrap().expose().ends_with("@db.example/registry"));
        assert_eq!(postgres.connections_max.get(), 16);
        assert!(!format!("{config:?}").contains("12345"));
        let refused = read("[storage]\nfacts = \"postgres\"\n", &[], &[]).unwrap_err();
        assert!(refused.starts_with("storage.postgres.url: which database"), "{refused}");
        let refused = read("", &environment, &[]).unwrap_err();
        assert!(refused.starts_with("storage.postgres: is of no use"), "{refused}");
    }

    #[test]
    fn a_secret_comes_from_the_environment_and_is_shown_to_nobody() {
        let file = "[storage]\nbytes = \"bucket\"\n";
        let environment = [
            ("SWR_STORAGE__BUCKET__SECRET_ACCESS_KEY", "12345"),
            ("SWR_STORAGE__BUCKET__ACCESS_KEY_ID", "67890"),
            ("SWR_STORAGE__BUCKET__ENDPOINT", "http://127.0.0.1:1"),
            ("SWR_STORAGE__BUCKET__ALLOW_HTTP", "true"),
            ("SWR_STORAGE__BUCKET__URL", "s3://registry/prefix"),
        ];
        let config = read(file, &environment, &[]).unwrap();
        let bucket = config.storage.bucket.as_ref().unwrap();
        assert_eq!(bucket.secret_access_key.as_ref().unwrap().expose(), "12345");
        assert_eq!(bucket.access_key_id.as_deref(), Some("67890"));
        assert!(bucket.allow_http);
        assert!(!format!("{config:?}").contains("12345"));
    }

    #[test]
    fn a_broken_configuration_is_refused_in_one_line_that_names_the_key() {
        for (file, said) in [
            ("lisen = \"127.0.0.1:1\"", "lisen"),
            ("open = \"yes\"", "boolean"),
            ("open = true\n[audit]\nfile = \"audit.jsonl\"", "audit.file"),
            ("[log]\nformat = \"xml\"", "xml"),
            ("[log]\nlevels = \"info\"", "line 2"),
            ("data = ", "config file"),
            ("listen = \"127.0.0.1\"", "line 1"),
            ("public_url = \"registry.example\"", "public_url"),
            ("public_url = \"https://registry.example/\"", "public_url"),
            ("public_url = \"https://\"", "public_url"),
            ("[accounts]\nlogin_life = \"soon\"", "24h"),
            ("listen = \"127.0.0.1:5001\"", "admin.listen"),
            ("data = \"\"", "data:"),
            ("[tls]\ncertificate = \"a.pem\"", "key"),
            ("[tls]\nkey = \"a.pem\"", "certificate"),
            ("[storage]\nbytes = \"tape\"", "tape"),
            ("[storage]\nfacts = \"postgres\"", "postgres"),
            ("[storage]\nbytes = \"memory\"", "storage.bytes"),
            ("[storage]\nfacts = \"memory\"", "storage.facts"),
            ("[log]\nlevel = \"inof\"", "log.level"),
            ("[log]\nlevel = \"\"", "log.level"),
            ("[log]\nlevel = \"info,swr_http\"", "log.level"),
            ("trusted_proxies = [\"10.0.0.0/33\"]", "line 1: `10.0.0.0/33`"),
            ("[storage]\nbytes = \"bucket\"", "storage.bucket.url"),
            ("[storage]\nbytes = \"bucket\"\n[storage.bucket]\nregion = \"x\"", "storage.bucket.url"),
            ("[storage.bucket]\nurl = \"s3://a\"", "storage.bytes"),
            ("[storage.bucket]\nuri = \"s3://a\"", "uri"),
            ("[storage.bucket]\nallow_http = 1", "line 2"),
            (
                "[storage]\nbytes = \"bucket\"\n[storage.bucket]\nurl = \"s3://a\"\naccess_key_id = \"b\"",
                "secret_access_key",
            ),
            (
                "[storage]\nbytes = \"bucket\"\n[storage.bucket]\nurl = \"s3://a\"\nendpoint = \"http://b\"",
                "storage.bucket.allow_http",
            ),
            ("[names]\nprofile = \"docker\"", "docker"),
            ("[collection]\nlink_hold = \"10m\"", "collection.unsafe_short_hold"),
            ("[collection]\ninterval = \"0s\"", "collection.interval"),
            ("[aging]\ninterval = \"0s\"", "aging.interval"),
            ("[triggers.webhooks]\nnetworks = [\"10.0.0.0/33\"]", "line 2: `10.0.0.0/33`"),
            ("[notifications.scanner]\nformat = \"docker\"", "url"),
            ("[notifications.scanner]\nurl = \"https://a\"\nformat = \"xml\"", "xml"),
            ("[collection]\nuntagged_keep = \"never\"", "forever"),
            ("[uploads]\nidle = \"1 fortnight\"", "24h"),
            ("[uploads]\nidle = 5", "24h"),
            ("[blobs]\nsize_max = \"10 GB!\"", "10GiB"),
            ("[blobs]\nsize_max = 0", "blobs.size_max"),
            ("[manifests]\nsize_max = \"1GiB\"", "64MiB"),
            ("[http]\nconnections_max = -1", "line 2"),
            ("[http]\nconnections_max = 0", "http.connections_max"),
            ("[limits.caller]\nconcurrent = 0", "line 2"),
            ("[limits.account]\nburst = 5", "limits.account.burst"),
            ("[limits.total]\nbody_bytes = 0", "limits.total.body_bytes"),
        ] {
            let error = read(file, &[], &[]).expect_err(file);
            assert!(error.contains(said), "{file}: {error}");
            assert!(!error.contains('\n'), "{file}: {error}");
        }
        let error = read("", &[("SWR_LISEN", "127.0.0.1:1")], &[]).unwrap_err();
        assert!(error.starts_with("environment variable SWR_LISEN: unknown field `lisen`"), "{error}");
        let error = read("", &[("SWR_DATA__X", "1")], &[("data", "x")]).unwrap_err();
        assert!(error.starts_with("environment variable SWR_DATA__X"), "{error}");
        let error = read("", &[], &[("listen", "nowhere")]).unwrap_err();
        assert!(error.starts_with("--listen: "), "{error}");
    }
}
