//! Logins that end by themselves.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use http::HeaderName;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ValueDefect;
use super::exchange::{Answer, Exchange, Reply, Time, excerpt};
use crate::headers;

/// The line that signs in.
const X_SWR_DOCKERLOGIN: HeaderName = HeaderName::from_static("x-swr-dockerlogin");
/// From when on it no longer does.
const X_SWR_EXPIREAT: HeaderName = HeaderName::from_static("x-swr-expireat");

/// A piece of a Docker client's configuration.
#[derive(Serialize, ToSchema)]
pub(super) struct DockerConfig {
    /// For each registry, by its host, how to sign in there.
    auths: BTreeMap<String, DockerAuth>,
}

/// How to sign in.
#[derive(Serialize, ToSchema)]
pub(super) struct DockerAuth {
    /// The name and the password with a colon between them, in Base64.
    auth: String,
}

/// A login for the caller. It ends with the access key that the request is signed with, where it is.
pub(super) async fn create(exchange: &Exchange<'_>, project: Option<&str>, seconds: Option<u32>) -> Answer {
    let settings = &exchange.options.settings;
    if let Some(other) = project.filter(|project| *project != settings.project()) {
        return Err(ValueDefect::Project(excerpt(other)).into());
    }
    let life = seconds.map(|seconds| TimeDelta::seconds(seconds.into()));
    let key = exchange.signer.key.as_ref();
    let login = exchange.desk.temporary_login(&exchange.access, key, life).await?;
    let auths = BTreeMap::from([(settings.host().to_owned(), DockerAuth { auth: login.auth() })]);
    let reply = Reply::json(&DockerConfig { auths });
    let reply = reply.with(X_SWR_DOCKERLOGIN, headers::secret(login.command(settings.host())));
    Ok(match login.expires {
        Some(expires) => reply.with(X_SWR_EXPIREAT, headers::value(Time(expires).to_string())),
        None => reply,
    })
}
