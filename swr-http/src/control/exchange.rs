//! One operation on its way through the door.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
#[cfg(feature = "packages")]
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use swr_auth::{ControlAuthenticator, KeyDesk, Signer};
use swr_core::caller::Origin;
use swr_core::control::{ControlAccess, ControlPlane};
use swr_core::{Access, RepositoryName, Tag};

use super::body::{BodyDefect, Object, read};
use super::error::ManagementFailure;
use super::service::ManagementOptions;
use crate::admission::Admitted;
#[cfg(feature = "packages")]
use crate::body::ResponseBody;

/// What every operation needs of a request.
pub(super) struct Exchange<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) access: ControlAccess<'a>,
    pub(super) signer: &'a Signer,
    pub(super) authenticator: &'a ControlAuthenticator,
    pub(super) desk: &'a KeyDesk,
    pub(super) origin: &'a Origin,
    pub(super) options: &'a ManagementOptions,
    pub(super) body: &'a [u8],
}

/// What an operation makes of a request.
pub(super) type Answer = Result<Reply, ManagementFailure>;

impl<'a> Exchange<'a> {
    /// What the body says, which is a list.
    pub(super) fn list<T: DeserializeOwned>(&self) -> Result<Vec<T>, ManagementFailure> {
        Ok(read(self.body)?)
    }

    /// What the body says, which is an object.
    pub(super) fn object<T: DeserializeOwned>(&self) -> Result<T, ManagementFailure> {
        match read(self.body) {
            Ok(Object(object)) => Ok(object),
            // What is a value by itself is not repeated: it may be a secret.
            Err(BodyDefect::Wrong(_)) if !self.body.trim_ascii_start().starts_with(b"{") => {
                Err(BodyDefect::Wrong("expected an object".to_owned()).into())
            }
            Err(defect) => Err(defect.into()),
        }
    }

    /// The registry as the same caller may use it.
    pub(super) fn registry(&self) -> Access<'a> {
        self.plane.registry().access(self.signer.caller(), self.origin.clone())
    }

    /// Where a repository is pulled from.
    pub(super) fn path(&self, repository: &RepositoryName) -> String {
        format!("{}/{repository}", self.options.settings.host())
    }

    /// Where a repository is pulled from within the deployment.
    pub(super) fn internal_path(&self, repository: &RepositoryName) -> String {
        let host = self.options.internal_host.as_deref().unwrap_or(self.options.settings.host());
        format!("{host}/{repository}")
    }
}

/// The answer to an operation that was done; its status is the operation's own.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: ReplyBody,
    /// The place that its request has.
    pub(super) admitted: Admitted,
}

/// What an answer says beside its status.
#[derive(Debug, Default)]
pub(super) enum ReplyBody {
    /// Nothing more.
    #[default]
    Nothing,
    Document(Cow<'static, [u8]>),
    /// Something else than a document; its headers say what.
    #[cfg(feature = "packages")]
    Content(Box<ResponseBody>),
}

impl Reply {
    pub(super) fn empty() -> Self {
        Self::default()
    }

    /// A document. Serialising plain values does not fail.
    pub(super) fn json(document: &impl Serialize) -> Self {
        let body = serde_json::to_vec(document).unwrap_or_default();
        Self { body: ReplyBody::Document(body.into()), ..Self::empty() }
    }

    #[cfg(feature = "packages")]
    pub(super) fn content(media_type: &'static str, body: ResponseBody) -> Self {
        let reply = Self { body: ReplyBody::Content(body.into()), ..Self::empty() };
        reply.with(CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// A time: RFC 3339, in UTC, to the microsecond.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) DateTime<Utc>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}

/// The organisation of a repository, and what comes after it.
pub(super) fn parts(repository: &RepositoryName) -> (&str, &str) {
    repository.as_str().split_once('/').unwrap_or((repository.as_str(), ""))
}

/// As much of a text as a message repeats.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(160).collect()
}

/// A number for what has none of its own: always the same for the same thing, and as good as never that of
/// another. Below 2^53, which is as far as every client counts.
pub(super) fn number_of(repository: i64, thing: &str) -> u64 {
    let digest = swr_core::digest::Algorithm::Sha256.digest(format!("{repository}:{thing}").as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)) >> 11
}

/// A version's address.
pub(super) fn tagged(path: String, tag: &Tag) -> String {
    format!("{path}:{tag}")
}
