//! The servers that are compared: started on loopback, on the same disk, each on the same core.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::client::Client;
use crate::content::ORGANISATION;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all that are compared")]
pub enum Kind {
    /// This project's standalone registry with accounts, as it starts without a configuration.
    Swr,
    /// The same with TLS.
    SwrTls,
    /// The same without accounts, for everybody.
    SwrOpen,
    /// Debian's `docker-registry`, on files.
    DockerRegistry,
    /// distribution v3, on files.
    Distribution,
    /// zot, on files.
    Zot,
    /// angos, on files.
    Angos,
    /// nginx serving the same bytes as plain files: the limit for reads.
    Nginx,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all that there are")]
pub enum Credentials {
    /// Nobody in particular.
    Nobody,
    /// A user, with name and password in each request.
    Basic,
    /// A user, with a token that was given out for it.
    Bearer,
}

impl Kind {
    /// What it is called in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Swr => "swr",
            Self::SwrTls => "swr with TLS",
            Self::SwrOpen => "swr, open",
            Self::DockerRegistry => "docker-registry",
            Self::Distribution => "distribution",
            Self::Zot => "zot",
            Self::Angos => "angos",
            Self::Nginx => "nginx",
        }
    }

    /// What is on the disk when it answers a push.
    pub fn durability(self) -> &'static str {
        match self {
            Self::Swr | Self::SwrTls | Self::SwrOpen => {
                "all of a push is on the disk before it is answered: bytes, their folders and facts are synced"
            }
            Self::DockerRegistry | Self::Distribution => {
                "as it is shipped, files are synced, and the folders that they are moved to are not"
            }
            Self::Zot if is_synced() => "with `storage.commit`, content is synced, and its folders are not",
            Self::Zot => {
                "as it is shipped, nothing of a push is synced but its cache: `storage.commit` is off"
            }
            Self::Angos if is_synced() => "with `sync_to_disk`, files are synced before they are renamed",
            Self::Angos => "as it is shipped, nothing of a push is synced: `sync_to_disk` is off",
            Self::Nginx => "nothing is pushed",
        }
    }

    /// The program: as the environment names it, or where it is usually found.
    pub fn program(self) -> Option<PathBuf> {
        let (variable, usual) = match self {
            Self::Swr | Self::SwrTls | Self::SwrOpen => ("BENCH_SWR", Some("target/release/swr")),
            Self::DockerRegistry => ("BENCH_DOCKER_REGISTRY", Some("/usr/bin/docker-registry")),
            Self::Distribution => ("BENCH_DISTRIBUTION", None),
            Self::Zot => ("BENCH_ZOT", None),
            Self::Angos => ("BENCH_ANGOS", None),
            Self::Nginx => ("BENCH_NGINX", Some("/usr/sbin/nginx")),
        };
        let path = std::env::var_os(variable).map(PathBuf::from).or_else(|| usual.map(PathBuf::from))?;
        path.exists().then_some(path)
    }

    /// Whether nobody can do anything without credentials.
    pub const fn has_accounts(self) -> bool {
        matches!(self, Self::Swr | Self::SwrTls)
    }
}

/// Whether those sync that do so when they are asked to.
fn is_synced() -> bool {
    std::env::var_os("BENCH_SYNCED").is_some()
}

/// A running server; stopped when dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Server {
    /// What it is.
    pub kind: Kind,
    /// Where its data is.
    pub data: PathBuf,
    address: SocketAddr,
    /// Name and password of its administrator, as Basic has them.
    login: Option<String>,
    tls: Option<Arc<ClientConfig>>,
    log: PathBuf,
    child: Child,
    /// The process that does the work: nginx forks a worker.
    worker: u32,
}

impl Server {
    /// Starts a server with its data in `folder`, on core 0, and with these variables.
    pub fn start(
        kind: Kind,
        program: &Path,
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        let address = free_address()?;
        let login = if kind.has_accounts() { Some(make_accounts(program, &data)?) } else { None };
        let tls = if kind == Kind::SwrTls { Some(make_certificate(folder)?) } else { None };
        let log = fs::File::create(folder.join(LOG))?;
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(arguments(kind, folder, &data, address)?)
            .envs(environment.iter().copied())
            .envs(variable(kind))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let worker = child.id();
        let log = folder.join(LOG);
        let mut server = Self { kind, data, address, login, tls, log, child, worker };
        server.await_ready()?;
        if kind == Kind::Nginx {
            server.worker = first_child(worker)?;
        }
        Ok(server)
    }

    /// Connects as somebody who will do something in these repositories, which a token has to name.
    pub fn connect(&self, credentials: Credentials, repositories: &[&str]) -> io::Result<Client> {
        let mut client = Client::connect(self.address, self.tls.as_ref())?;
        if credentials == Credentials::Nobody {
            return Ok(client);
        }
        let login = self.login.as_ref().ok_or_else(|| io::Error::other("a server without accounts"))?;
        client.authorize("Basic", login);
        if credentials == Credentials::Bearer {
            let scopes: String =
                repositories.iter().map(|name| format!("&scope=repository:{name}:pull,push")).collect();
            let given = client.fetch(&format!("/token?service={}{scopes}", self.address))?;
            let given: Value = serde_json::from_slice(&given)?;
            let token = given["token"].as_str().ok_or_else(|| io::Error::other("no token is given"))?;
            client.authorize("Bearer", token);
        }
        Ok(client)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(&self.log)?;
                return Err(io::Error::other(format!("{} ended with {status}: {log}", self.kind.name())));
            }
            if begun.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other(format!("{} does not listen", self.kind.name())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// CPU time that the server has used so far, user and system, in all its threads.
    pub fn cpu(&self) -> io::Result<Duration> {
        cpu_in(&format!("/proc/{}/stat", self.worker), 11)
    }

    /// The most memory that was resident so far, in MiB.
    pub fn peak_mib(&self) -> io::Result<u64> {
        self.memory_mib("VmHWM:")
    }

    /// The memory that is resident now, in MiB.
    pub fn resident_mib(&self) -> io::Result<u64> {
        self.memory_mib("VmRSS:")
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn memory_mib(&self, field: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.worker))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib =
            line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse::<u64>().ok());
        Ok(kib.unwrap_or(0) / 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // SIGTERM by the id of the process started here, and its end awaited.
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().is_ok_and(|s| s.success());
        if !ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// CPU time, user and system, of all programs that were started here and have ended.
pub fn cpu_of_ended() -> io::Result<Duration> {
    cpu_in("/proc/self/stat", 13)
}

fn cpu_in(stat: &str, field: usize) -> io::Result<Duration> {
    let stat = fs::read_to_string(stat)?;
    // The name in parentheses may hold blanks; the fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(field) + ticks(field + 1)) * 10))
}

/// What the program is started with; what it reads is in `folder` then.
fn arguments(kind: Kind, folder: &Path, data: &Path, address: SocketAddr) -> io::Result<Vec<String>> {
    let (folder, data) = (folder.display(), data.display());
    let port = address.port();
    let configured = |name: &str, text: String| {
        let path = format!("{folder}/{name}");
        fs::write(&path, text).map(|()| path)
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    Ok(match kind {
        Kind::Swr | Kind::SwrTls | Kind::SwrOpen => {
            let mut serve = words(&["serve", "--admin-listen", "off"]);
            serve.extend([format!("--listen={address}"), format!("--data={data}")]);
            if kind == Kind::SwrOpen {
                serve.push("--open".to_owned());
            }
            if kind == Kind::SwrTls {
                let tls =
                    format!("[tls]\ncertificate = \"{folder}/{CERTIFICATE}\"\nkey = \"{folder}/{KEY}\"\n");
                serve.push(format!("--config={}", configured("swr.toml", tls)?));
            }
            serve
        }
        Kind::DockerRegistry | Kind::Distribution => {
            let config = configured(
                "config.yml",
                format!(
                    "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
                     rootdirectory: {data}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n"
                ),
            )?;
            words(&["serve", &config])
        }
        Kind::Zot => {
            let config = serde_json::json!({
                "distSpecVersion": "1.1.1",
                "storage": {"rootDirectory": data.to_string(), "commit": is_synced()},
                "http": {"address": address.ip().to_string(), "port": port.to_string()},
                "log": {"level": "error"},
            });
            words(&["serve", &configured("config.json", config.to_string())?])
        }
        Kind::Angos => {
            let config = configured(
                "config.toml",
                format!(
                    "[server]\nbind_address = \"{}\"\nport = {port}\n\n[blob_store.fs]\nroot_dir = \"{data}\"\n\
                     sync_to_disk = {}\n\n\
                     [global.access_policy]\ndefault = \"allow\"\n\n[repository.{ORGANISATION}.access_policy]\n\
                     default = \"allow\"\n",
                    address.ip(),
                    is_synced()
                ),
            )?;
            words(&["-c", &config, "server"])
        }
        Kind::Nginx => {
            let config = configured(
                "nginx.conf",
                format!(
                    "daemon off; user root; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n\
                     events {{}}\nhttp {{ access_log off; sendfile on; keepalive_requests 1000000000;\n\
                     client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
                     fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;\n\
                     scgi_temp_path {folder}/scgi;\nserver {{ listen {address}; root {data}; }} }}\n"
                ),
            )?;
            words(&["-c", &config])
        }
    })
}

const fn variable(kind: Kind) -> Option<(&'static str, &'static str)> {
    match kind {
        Kind::Swr | Kind::SwrTls | Kind::SwrOpen => Some(("SWR_LOG__LEVEL", "warn")),
        // It would look for somebody to tell.
        Kind::Distribution => Some(("OTEL_TRACES_EXPORTER", "none")),
        Kind::DockerRegistry | Kind::Zot | Kind::Angos | Kind::Nginx => None,
    }
}

/// Gives a registry its first administrator and an organisation; what it signs in with, as Basic has it.
fn make_accounts(program: &Path, data: &Path) -> io::Result<String> {
    let told = |arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg("--data").arg(data).output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(output.stdout)
    };
    let made: Value = serde_json::from_slice(&told(&["init", "--format", "json"])?)?;
    told(&["organisation", "create", ORGANISATION])?;
    let login = made["login"].as_str().unwrap_or_default();
    let word_behind = |flag| login.split(' ').skip_while(|word| *word != flag).nth(1);
    match (word_behind("-u"), word_behind("-p")) {
        (Some(user), Some(password)) => Ok(BASE64.encode(format!("{user}:{password}").as_bytes())),
        _ => Err(io::Error::other("`swr init` shows no login command")),
    }
}

/// What a server says.
const LOG: &str = "log";
const CERTIFICATE: &str = "tls.pem";
const KEY: &str = "tls.key";

/// Makes a certificate for loopback, and the configuration of a client that trusts no other.
fn make_certificate(folder: &Path) -> io::Result<Arc<ClientConfig>> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    fs::write(folder.join(CERTIFICATE), made.cert.pem())?;
    fs::write(folder.join(KEY), made.signing_key.serialize_pem())?;
    let mut trusted = RootCertStore::empty();
    trusted.add(made.cert.der().clone()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(trusted).with_no_client_auth();
    Ok(Arc::new(config))
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

fn first_child(parent: u32) -> io::Result<u32> {
    let begun = Instant::now();
    loop {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        if let Some(child) = children.split_whitespace().next().and_then(|text| text.parse().ok()) {
            return Ok(child);
        }
        if begun.elapsed() > Duration::from_secs(5) {
            return Err(io::Error::other("nginx has no worker"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
