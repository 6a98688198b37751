//! The smallest host: a registry in memory, where anyone on this machine may do anything.
//!
//! ```sh
//! cargo run -p swr-http --features serve --example memory -- 127.0.0.1:5000 [--sparse] [--user NAME:PASSWORD]
//! ```

use std::error::Error;
use std::sync::Arc;

use swr_auth::{AnonymousOnly, AnyoneMay, Authenticator, FixedUsers, PublicRead, Secret};
use swr_core::Registry;
use swr_core::ports::Authorizer;
use swr_http::{RegistryService, ServeOptions};
use swr_storage::{MemoryBlobs, MemoryManifests};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut address = "127.0.0.1:5000".to_owned();
    let mut sparse = false;
    let mut authorizer: Arc<dyn Authorizer> = Arc::new(AnyoneMay);
    let mut authenticator: Arc<dyn Authenticator> = Arc::new(AnonymousOnly);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--sparse" => sparse = true,
            "--user" => {
                let user = arguments.next().ok_or("--user takes NAME:PASSWORD")?;
                let (name, password) = user.split_once(':').ok_or("--user takes NAME:PASSWORD")?;
                authenticator = Arc::new(FixedUsers::new().with_password(name, &Secret::new(password))?);
                authorizer = Arc::new(PublicRead);
            }
            _ => address = argument,
        }
    }

    let registry =
        Registry::builder(Arc::new(MemoryBlobs::new()), Arc::new(MemoryManifests::new()), authorizer)
            .sparse_manifests(sparse)
            .build();
    let service = RegistryService::new(registry, authenticator);
    let listener = tokio::net::TcpListener::bind(address).await?;
    match swr_http::serve(listener, service, ServeOptions::default()).await {}
}
