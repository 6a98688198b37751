//! A certificate that is read again when its files change.

use std::fs;
use std::time::Duration;

use swr_http::Tls;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config;
use crate::stores::in_one_line;

/// How often the files are looked at. By content, so that a link that is moved to other files is seen as well.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A chain and a key as they stand in their files.
#[derive(PartialEq, Eq)]
pub(crate) struct Pair {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    pub(crate) fn read(files: &config::Tls) -> Result<Self, String> {
        let chain = fs::read(&files.certificate)
            .map_err(|error| format!("tls.certificate: {}: {error}", files.certificate.display()))?;
        let key =
            fs::read(&files.key).map_err(|error| format!("tls.key: {}: {error}", files.key.display()))?;
        Ok(Self { chain, key })
    }

    pub(crate) fn served(&self) -> Result<Tls, String> {
        Tls::from_pem(&self.chain, &self.key).map_err(|error| in_one_line("tls", &error))
    }
}

/// Serves what is in the files from then on, whenever they change to something that can be served.
pub(crate) async fn follow(files: config::Tls, mut served: Pair, tls: Tls, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.changed() => return,
        }
        let found = match Pair::read(&files) {
            Ok(found) if found == served => continue,
            Ok(found) => found,
            Err(error) => {
                warn!(error, "the certificate cannot be read again; the one there is stays");
                continue;
            }
        };
        match tls.replace_pem(&found.chain, &found.key) {
            Ok(()) => info!(certificate = %files.certificate.display(), "a new certificate is served"),
            Err(error) => {
                warn!(error = in_one_line("tls", &error), "the new certificate is refused; the old one stays")
            }
        }
        // Also when it was refused: it is said once.
        served = found;
    }
}
