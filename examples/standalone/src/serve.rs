//! `swr serve`: from a configuration to a registry that listens, and to its end.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use clap::Args;
use swr_auth::{AnonymousOnly, Authenticator};
use swr_core::control::{Courier, TraceRelay};
use swr_http::control::ManagementOptions;
use swr_http::{Admission, Patience, RegistryService, ServeOptions, ServiceOptions, serve_until};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::admin::Admin;
use crate::audit::AuditFile;
use crate::chores;
use crate::config::{AdminListen, Config, Http};
use crate::door::{Door, reads_alone};
use crate::logs;
use crate::messages;
use crate::metrics::Metrics;
use crate::output::{self, Format};
use crate::stores::{assemble, in_one_line, place};
use crate::tls::{self, Pair};

/// How slow a client may be: so many bytes of a body within `http.stall`.
const BODY_BYTES_MIN: u64 = 1024;

/// Serves a registry until SIGTERM or SIGINT. Without accounts it makes the first one, and shows once what its
/// administrator signs in with.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The data directory [default: swr-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The address for /livez, /readyz and /metrics, or `off` [default: 127.0.0.1:5001]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// Serves everybody on this machine, and asks nobody who they are
    #[arg(long)]
    open: bool,
    /// A configuration file in TOML; also named by SWR_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    fn config(self) -> Result<Config, String> {
        let flags = [
            ("data", self.data.map(|data| data.to_string_lossy().into_owned())),
            ("listen", self.listen),
            ("admin.listen", self.admin_listen),
            ("open", self.open.then(|| "true".to_owned())),
        ];
        Config::from_command_line(self.config, flags)
    }

    /// Serves to the end. The error is one line.
    pub(crate) async fn run(self) -> Result<(), String> {
        let mut config = self.config()?;
        logs::start(&config.log)?;
        let files_max = raise_open_files();
        // Asked for first, so that nothing that ends the program early is missed.
        let ended = end_of_program()?;
        let (stopping, stop) = watch::channel(false);

        let certificate = match &config.tls {
            Some(files) => {
                let pair = Pair::read(files)?;
                Some((files.clone(), pair.served()?, pair))
            }
            None => None,
        };
        let listener = bind("listen", config.listen).await?;
        // Where the system chooses the port, clients are told which.
        config.listen = listener.local_addr().map_err(|error| format!("listen: {error}"))?;
        let mut assembled = assemble(&config).await?;
        if let Some(first) = assembled.first.take() {
            output::one(Format::Text, &first).map_err(|error| {
                format!("{error}; `swr recover-administrator` makes what the first administrator signs in with anew")
            })?;
            announce("")?;
        }
        let assembled = Arc::new(assembled);
        let metrics = Arc::new(Metrics::new());
        let patience = Some(Patience { within: config.http.stall.0, bytes_min: BODY_BYTES_MIN });
        let connections_max = connections_of(&config.http, files_max);
        let admission = Admission::new(config.limits.over(connections_max));
        let control = assembled.accounts.as_ref().map(|accounts| {
            accounts.control(&config, &assembled.registry, |usual| ManagementOptions {
                trusted_proxies: config.trusted_proxies.clone(),
                patience,
                answer_within: Some(config.http.deadline.0),
                admission: admission.clone(),
                observer: Some(Arc::clone(&metrics) as _),
                ..usual
            })
        });
        let control = control.transpose()?;
        let courier = match (&assembled.accounts, &control) {
            (Some(accounts), Some((_, plane))) => Some(accounts.courier(&config, plane).await?),
            _ => None,
        };
        let sinks = messages::sinks(&config, &assembled.manifests)?;
        let authenticator: Arc<dyn Authenticator> = match &assembled.accounts {
            Some(accounts) => Arc::clone(&accounts.authenticator) as _,
            None => Arc::new(AnonymousOnly),
        };
        let registry = RegistryService::with_options(
            assembled.registry.clone(),
            authenticator,
            ServiceOptions {
                trusted_proxies: config.trusted_proxies.clone(),
                patience,
                answer_within: Some(config.http.deadline.0),
                admission: admission.clone(),
                observer: Some(Arc::clone(&metrics) as _),
                refusals: control.as_ref().map(|(control, _)| control.refusals().clone()),
                ..ServiceOptions::default()
            },
        );
        let mut options =
            ServeOptions { connections_max, drain_within: config.http.drain.0, ..ServeOptions::default() };

        let admin = match config.admin.listen {
            AdminListen::Off => None,
            AdminListen::At(address) => Some(bind("admin.listen", address).await?),
        };
        let scheme = if certificate.is_some() { "https" } else { "http" };
        announce(&format!("data in {}", place(&config)))?;
        if let Some(admin) = &admin {
            let address = admin.local_addr().map_err(|error| format!("admin.listen: {error}"))?;
            announce(&format!("health and metrics on http://{address}"))?;
        }
        announce(&format!("listening on {scheme}://{}", config.listen))?;

        if !config.read_only {
            // No event is kept for who is told of none any more.
            let consumers: Vec<&str> =
                sinks.iter().map(|sink| sink.name()).chain([Courier::CONSUMER]).collect();
            let forgotten = assembled.manifests.retain_consumers(&consumers).await;
            forgotten.map_err(|error| in_one_line("notifications", &error))?;
        }
        let mut chores = match config.read_only {
            true => JoinSet::new(),
            false => chores::start(&assembled.registry, &metrics, &config, &stop),
        };
        if let Some((control, plane)) = control.as_ref().filter(|_| !config.read_only) {
            chores::look_after(&mut chores, control.refusals(), plane, &metrics, &config, &stop);
            #[cfg(feature = "console")]
            chores::end_sessions(&mut chores, &control.sessions, &metrics, &config, &stop);
            if let Some(file) = &config.audit.file {
                let relay = TraceRelay::new(plane.clone(), Arc::new(AuditFile::new(file.clone())));
                chores::tell_the_trail(&mut chores, relay, &metrics, &stop);
            }
        }
        if let Some(courier) = courier.filter(|_| !config.read_only) {
            let registry = assembled.registry.clone();
            chores.spawn(messages::deliver(courier, registry, Arc::clone(&metrics), stop.clone()));
        }
        for sink in sinks.into_iter().filter(|_| !config.read_only) {
            let registry = assembled.registry.clone();
            chores.spawn(messages::notify(registry, sink, Arc::clone(&metrics), stop.clone()));
        }
        if let Some((files, tls, pair)) = certificate {
            options.tls = Some(tls.clone());
            chores.spawn(tls::follow(files, pair, tls, stop.clone()));
        }
        let admin = admin.map(|listener| {
            let router = Admin { assembled: Arc::clone(&assembled), metrics, stop: stop.clone() }.router();
            let options = ServeOptions { connections_max: 64, ..ServeOptions::default() };
            tokio::spawn(swr_http::serve(listener, router, options))
        });

        let stopped = async {
            ended.await;
            info!("ending: what was accepted finishes");
            stopping.send_replace(true);
        };
        let door = Door { registry, control: control.map(|(control, _)| control) };
        let cut = match config.read_only {
            true => {
                let router = Router::new().fallback_service(door).layer(from_fn(reads_alone));
                serve_until(listener, router, options, stopped).await
            }
            false => serve_until(listener, door, options, stopped).await,
        };
        // The last pull counts are written, and no store is closed under a chore.
        while chores.join_next().await.is_some() {}
        if let Some(admin) = admin {
            admin.abort();
        }
        info!(connections_cut = cut, "ended");
        Ok(())
    }
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("{key}: {address}: {error}"))
}

/// One line on standard output: for people, and for scripts that wait for it.
fn announce(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| format!("standard output: {error}"))
}

fn end_of_program() -> Result<impl Future<Output = ()>, String> {
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| format!("SIGTERM: {error}"))?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| format!("SIGINT: {error}"))?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        // A second one ends the program at once, however long the drain would take.
        tokio::spawn(async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            std::process::exit(130);
        });
    })
}

/// How many connections are served at once: each is a file, a request may have another one open, and the stores
/// have some.
fn connections_of(http: &Http, files_max: Option<usize>) -> usize {
    let connections_max = http.connections_max as usize;
    files_max.map_or(connections_max, |files| connections_max.min((files.saturating_sub(64) / 2).max(16)))
}

/// Lets the program have as many open files as it may, and says how many that is.
fn raise_open_files() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let current = if raised.is_ok() { limit.maximum } else { limit.current };
    current.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}
