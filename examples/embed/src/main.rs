//! A registry inside another axum server, with an authoriser and an event sink of its own:
//! `swr-embed ADDRESS FOLDER`. Everybody pulls; `ada`, whose password is in `ADA_PASSWORD`, pushes.

use axum::{Router, routing::get};
use std::{env, io::Write, sync::Arc};
use swr_auth::{FixedUsers, Secret};
use swr_core::caller::Caller;
use swr_core::commit::Grounds;
use swr_core::event::RecordedEvent;
use swr_core::ports::{Action, Ask, Authorizer, DeliveryError, EventSink, Refusal, StoreError, Verdict};
use swr_core::registry::{Left, Registry, Relay};
use swr_http::{RegistryService, ServeOptions};
use swr_storage::{FilesystemBlobs, SqliteStore};

/// Everybody pulls, and whoever is known pushes; nothing is ever deleted.
#[derive(Debug)]
struct NothingGoes;

#[async_trait::async_trait]
impl Authorizer for NothingGoes {
    async fn decide(&self, caller: &Caller, ask: Ask<'_>) -> Result<Verdict, StoreError> {
        Ok(match (ask.action, caller) {
            (Action::Pull, _) | (Action::Push, Caller::User(_)) => Verdict::Allow(Grounds::default()),
            _ => Verdict::Deny(Refusal::new("nothing is deleted here")),
        })
    }
}

/// Says what happened on standard output.
#[derive(Debug)]
struct Printed;

#[async_trait::async_trait]
impl EventSink for Printed {
    fn name(&self) -> &'static str {
        "printed"
    }
    async fn deliver(&self, event: &RecordedEvent) -> Result<(), DeliveryError> {
        writeln!(std::io::stdout(), "{}: {:?}", event.repository, event.event).map_err(DeliveryError::new)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (address, folder) = env::args().nth(1).zip(env::args().nth(2)).ok_or("swr-embed ADDRESS FOLDER")?;
    let bytes = Arc::new(FilesystemBlobs::open(format!("{folder}/blobs"))?);
    let facts = Arc::new(SqliteStore::open(format!("{folder}/registry.db")).await?);
    let registry = Registry::builder(bytes, facts, Arc::new(NothingGoes)).build();
    let users = FixedUsers::new().with_password("ada", &Secret::new(env::var("ADA_PASSWORD")?))?;
    let service = RegistryService::new(registry.clone(), Arc::new(users));
    let app = Router::new().route("/", get(|| async { "my server" })).merge(swr_http::router(service));
    let listener = tokio::net::TcpListener::bind(address).await?;
    tokio::spawn(swr_http::serve(listener, app, ServeOptions::default()));
    let (mut committed, relay) = (registry.committed(), Relay::new(registry, Arc::new(Printed)));
    loop {
        while matches!(relay.carry().await?.left, Left::More) {}
        committed.changed().await;
    }
}
