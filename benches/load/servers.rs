//! The servers that are compared: started on loopback, on the same disk, each on the same core.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all that are compared")]
pub enum Kind {
    /// This project's standalone registry, as it starts without a configuration.
    Swr,
    /// Debian's `docker-registry`, on files.
    DockerRegistry,
    /// nginx serving the same bytes as plain files: the limit for reads.
    Nginx,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Swr, Self::DockerRegistry, Self::Nginx];

    /// What it is called in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Swr => "swr",
            Self::DockerRegistry => "docker-registry",
            Self::Nginx => "nginx",
        }
    }

    /// The program: as the environment names it, or where it is usually found.
    pub fn program(self) -> Option<PathBuf> {
        let (variable, usual) = match self {
            Self::Swr => ("BENCH_SWR", "target/release/swr"),
            Self::DockerRegistry => ("BENCH_DOCKER_REGISTRY", "/usr/bin/docker-registry"),
            Self::Nginx => ("BENCH_NGINX", "/usr/sbin/nginx"),
        };
        let path = std::env::var_os(variable).map_or_else(|| PathBuf::from(usual), PathBuf::from);
        path.exists().then_some(path)
    }
}

/// A running server; stopped when dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Server {
    /// What it is.
    pub kind: Kind,
    /// Where it listens.
    pub address: SocketAddr,
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
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let data = folder.join("data");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program).envs(environment.iter().copied());
        match kind {
            Kind::Swr => {
                command.args(["serve", "--open", "--admin-listen", "off", "--listen", &address.to_string()]);
                command.arg("--data").arg(&data).env("SWR_LOG__LEVEL", "warn");
            }
            Kind::DockerRegistry => {
                let config = folder.join("config.yml");
                fs::write(
                    &config,
                    format!(
                        "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
                         rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n",
                        data.display()
                    ),
                )?;
                command.arg("serve").arg(config);
            }
            Kind::Nginx => {
                fs::create_dir_all(&data)?;
                let config = folder.join("nginx.conf");
                fs::write(
                    &config,
                    format!(
                        "daemon off; user root; worker_processes 1; pid {0}/pid; error_log {0}/error.log;\n\
                         events {{}}\nhttp {{ access_log off; sendfile on; keepalive_requests 1000000000;\n\
                         client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;\n\
                         uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;\n\
                         server {{ listen {address}; root {1}; }} }}\n",
                        folder.display(),
                        data.display()
                    ),
                )?;
                command.arg("-c").arg(config);
            }
        }
        let log = fs::File::create(folder.join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let worker = child.id();
        let mut server = Self { kind, address, child, worker };
        server.await_ready()?;
        if kind == Kind::Nginx {
            server.worker = first_child(worker)?;
        }
        Ok(server)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("{} ended with {status}", self.kind.name())));
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
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.worker))?;
        // The name in parentheses may hold blanks; the fields are counted behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
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
