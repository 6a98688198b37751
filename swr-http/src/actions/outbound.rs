//! Requests to addresses that others have named.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use swr_core::ports::ActionError;
use tokio::time::{Instant, timeout_at};

use super::addresses::{Checked, Resolver, SystemResolver, is_permitted};
use super::answer::{REFUSAL_BYTES_MAX, beginning, cause, is_lasting, quoted};
use super::authorities;
use crate::source::Network;

/// What requests to addresses that others have named may reach. By default: the public internet alone, by `https`
/// alone.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a host writes it with `..OutboundOptions::default()`")]
pub struct OutboundOptions {
    /// Networks that may be reached beside the public internet, such as `10.0.0.0/8`. None.
    pub networks: Vec<Network>,
    /// Whether `http` will do, where whoever is on the way reads and changes everything. No.
    pub plain_http: bool,
    /// Certificate authorities that are believed beside the machine's own, as PEM. None.
    pub authorities: Option<Vec<u8>>,
    /// How long a request may take from its beginning to the end of its answer. 10 seconds.
    pub within: Duration,
    /// Who turns names into addresses. The operating system.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            plain_http: false,
            authorities: None,
            within: Duration::from_secs(10),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// Requests cannot be sent with these options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The text is no certificate authority.
    #[error("the certificate authorities cannot be read")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// TLS cannot be spoken: the machine has no certificate authorities, say.
    #[error("no request can be sent")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address cannot be sent to.
    #[error(transparent)]
    Address(#[from] ActionError),
}

/// A connection that nobody uses is kept for so long.
const IDLE: Duration = Duration::from_secs(30);

/// Sends to where it may, and nowhere else.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    client: Client,
    networks: Arc<[Network]>,
    plain_http: bool,
    within: Duration,
}

impl Outbound {
    pub(super) fn new(options: OutboundOptions) -> Result<Self, OutboundError> {
        let OutboundOptions { networks, plain_http, authorities, within, resolver } = options;
        let networks: Arc<[Network]> = networks.into();
        let authorities = match authorities {
            Some(pem) => authorities::read(&pem).map_err(OutboundError::Authorities)?,
            None => Vec::new(),
        };
        let client = Client::builder()
            .user_agent(concat!("swr/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(authorities)
            .dns_resolver(Checked { resolver, networks: Arc::clone(&networks) })
            // Neither the environment nor features that others turn on change what is sent, and to whom.
            .no_proxy()
            .http1_only()
            .redirect(Policy::none())
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| OutboundError::Client(error.into()))?;
        Ok(Self { client, networks, plain_http, within })
    }

    /// The address, if it is one that may be sent to, as far as that shows before its name is looked up.
    pub(super) fn permitted(&self, address: &str) -> Result<Url, ActionError> {
        let impossible = |why: String| Err(ActionError::Impossible(why));
        let url = match Url::parse(address) {
            Ok(url) => url,
            Err(error) => return impossible(format!("the address is none: {error}")),
        };
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            "http" => return impossible("the address has to begin with `https`".to_owned()),
            other => return impossible(format!("the address begins with `{other}`, which is not `https`")),
        }
        // An address in digits, which no resolver is asked for, however it was written.
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(digits) if !is_permitted(digits, &self.networks) => {
                impossible(format!("`{host}` may not be reached from here"))
            }
            _ => Ok(url),
        }
    }

    /// Posts a body, once. It was taken when there is a status: one that begins with 2.
    pub(super) async fn post(
        &self,
        address: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<StatusCode, ActionError> {
        let url = self.permitted(address)?;
        let deadline = Instant::now() + self.within;
        let sent = self.client.post(url).headers(headers).body(body).send();
        let response = match timeout_at(deadline, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let cause = cause(&error);
                return Err(ActionError::Failed(match cause.is::<reqwest::Error>() {
                    // Its own text has the whole address in it.
                    true => "no answer: the request failed".to_owned(),
                    false => format!("no answer: {cause}"),
                }));
            }
            Err(_) => {
                return Err(ActionError::Failed(format!("no answer within {} s", self.within.as_secs_f32())));
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(status);
        }
        let said = quoted(&beginning(reqwest::Body::from(response), REFUSAL_BYTES_MAX, deadline).await);
        let mut told = format!("answered {}", status.as_u16());
        if status.is_redirection() {
            told.push_str(", and redirects are not followed");
        }
        if !said.is_empty() {
            told = format!("{told}: {said}");
        }
        Err(if is_lasting(status) { ActionError::Impossible(told) } else { ActionError::Failed(told) })
    }
}
