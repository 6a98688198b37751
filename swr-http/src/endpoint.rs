//! A method, a path and a query, as what they ask for. Pure.

use std::borrow::Cow;

use http::Method;

use swr_core::digest::{Algorithm, Digest};
use swr_core::error::Need;
use swr_core::media_type::MediaType;
use swr_core::ports::Action;
use swr_core::reference::{Reference, ReferenceError};
use swr_core::upload::UploadId;
use swr_core::{Error, NameError, RepositoryName, Tag};

use crate::paging::PageQuery;

/// What a request asks for: one of the specification's endpoints, with everything that its address says.
///
/// `GET` and `HEAD` are one endpoint; so are all ways to read a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// `end-1`: whether this is a registry, and whether it knows the caller.
    Base,
    /// The repositories that there are.
    ListRepositories {
        /// The part that is wanted.
        page: PageQuery<RepositoryName>,
    },
    /// `end-8`: the tags of a repository.
    ListTags {
        /// The repository.
        repository: RepositoryName,
        /// The part that is wanted.
        page: PageQuery<Tag>,
    },
    /// `end-12`: the manifests that refer to another one.
    ListReferrers {
        /// The repository.
        repository: RepositoryName,
        /// What they refer to.
        subject: Digest,
        /// The type that they must have.
        artifact_type: Option<MediaType>,
        /// The part that is wanted.
        page: PageQuery<Digest>,
    },
    /// `end-3`: a manifest, out.
    PullManifest {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        reference: Reference,
    },
    /// `end-7`: a manifest, in.
    PushManifest {
        /// The repository.
        repository: RepositoryName,
        /// What it is to be called.
        reference: Reference,
        /// Further tags.
        tags: Vec<Tag>,
    },
    /// `end-9`: a tag or a manifest, away.
    RemoveManifest {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        reference: Reference,
    },
    /// `end-2`: a blob, out.
    PullBlob {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        digest: Digest,
    },
    /// `end-10`: a blob, away.
    RemoveBlob {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        digest: Digest,
    },
    /// `end-4a` and `end-4c`: the beginning of an upload.
    BeginUpload {
        /// The repository.
        repository: RepositoryName,
        /// What the blob will be called with.
        algorithm: Algorithm,
    },
    /// `end-4b`: a whole blob in one request.
    PushBlob {
        /// The repository.
        repository: RepositoryName,
        /// What it is.
        digest: Digest,
    },
    /// `end-11`: a blob from another repository, or else the beginning of an upload.
    MountBlob {
        /// The repository.
        repository: RepositoryName,
        /// What it is.
        digest: Digest,
        /// Where it is.
        from: Option<RepositoryName>,
    },
    /// `end-13`: how far an upload has come.
    FindUpload {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        id: UploadId,
    },
    /// `end-5`: more of an upload.
    AppendUpload {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        id: UploadId,
    },
    /// `end-6`: the end of an upload.
    FinishUpload {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        id: UploadId,
        /// What it is.
        digest: Digest,
    },
    /// `end-14`: an upload, away.
    CancelUpload {
        /// The repository.
        repository: RepositoryName,
        /// Which one.
        id: UploadId,
    },
}

/// Writes down each endpoint once, without what its address says.
macro_rules! kinds {
    ($($name:ident),* $(,)?) => {
        /// The endpoints, without what an address says: what a table about all of them has a row for. Whoever
        /// matches on it is told by the compiler of each new one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(clippy::exhaustive_enums, reason = "a table about all endpoints has to know of a new one")]
        #[expect(missing_docs, reason = "they are those of `Endpoint`")]
        pub enum EndpointKind { $($name),* }

        impl EndpointKind {
            /// Every endpoint, in the order of [`Endpoint`].
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Which one it is.
            pub const fn of(endpoint: &Endpoint) -> Self {
                match endpoint { $(Endpoint::$name { .. } => Self::$name),* }
            }
        }
    };
}

kinds! {
    Base, ListRepositories, ListTags, ListReferrers, PullManifest, PushManifest, RemoveManifest, PullBlob,
    RemoveBlob, BeginUpload, PushBlob, MountBlob, FindUpload, AppendUpload, FinishUpload, CancelUpload,
}

impl Endpoint {
    /// Reads an address. `path` is what follows the address of the protocol itself: empty or `/` for the base,
    /// `/name/tags/list` for tags. It and the query are taken as they were sent: percent-encoding is undone
    /// here, once, and a plus sign is a plus sign.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, EndpointError> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        let query = Query::parse(query.unwrap_or_default())?;
        match segments.as_slice() {
            [] | [""] => match *method {
                Method::GET | Method::HEAD => Ok(Self::Base),
                _ => Err(EndpointError::Method { allowed: READ }),
            },
            ["_catalog"] => match *method {
                Method::GET | Method::HEAD => {
                    Ok(Self::ListRepositories { page: query.page(RepositoryName::parse)? })
                }
                _ => Err(EndpointError::Method { allowed: READ }),
            },
            [name @ .., "tags", "list"] => tags(method, repository(name)?, &query),
            [name @ .., "referrers", digest] => referrers(method, repository(name)?, digest, &query),
            [name @ .., "manifests", reference] => manifest(method, repository(name)?, reference, &query),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                uploads(method, repository(name)?, &query)
            }
            [name @ .., "blobs", "uploads", id] => upload(method, repository(name)?, id, &query),
            [name @ .., "blobs", digest] => blob(method, repository(name)?, digest),
            _ => Err(EndpointError::NoSuchPath),
        }
    }

    /// What kind of endpoint it is: one of a few words, for metrics and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::ListRepositories { .. } => "catalogue",
            Self::ListTags { .. } => "tags",
            Self::ListReferrers { .. } => "referrers",
            Self::PullManifest { .. } | Self::PushManifest { .. } | Self::RemoveManifest { .. } => "manifest",
            Self::PullBlob { .. } | Self::RemoveBlob { .. } => "blob",
            Self::BeginUpload { .. }
            | Self::PushBlob { .. }
            | Self::MountBlob { .. }
            | Self::FindUpload { .. }
            | Self::AppendUpload { .. }
            | Self::FinishUpload { .. }
            | Self::CancelUpload { .. } => "upload",
        }
    }

    /// The repository that it is about, where it is about one.
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::ListRepositories { .. } => None,
            Self::ListTags { repository, .. }
            | Self::ListReferrers { repository, .. }
            | Self::PullManifest { repository, .. }
            | Self::PushManifest { repository, .. }
            | Self::RemoveManifest { repository, .. }
            | Self::PullBlob { repository, .. }
            | Self::RemoveBlob { repository, .. }
            | Self::BeginUpload { repository, .. }
            | Self::PushBlob { repository, .. }
            | Self::MountBlob { repository, .. }
            | Self::FindUpload { repository, .. }
            | Self::AppendUpload { repository, .. }
            | Self::FinishUpload { repository, .. }
            | Self::CancelUpload { repository, .. } => Some(repository),
        }
    }

    /// Whether it is about an upload that is under way.
    pub(crate) const fn goes_on(&self) -> bool {
        matches!(
            self,
            Self::FindUpload { .. }
                | Self::AppendUpload { .. }
                | Self::FinishUpload { .. }
                | Self::CancelUpload { .. }
        )
    }

    /// The rights that it needs, for a client to be told of before the engine was asked.
    pub fn needs(&self) -> Vec<Need> {
        let actions: &[Action] = match self {
            Self::Base | Self::ListRepositories { .. } => return Vec::new(),
            Self::ListTags { .. }
            | Self::ListReferrers { .. }
            | Self::PullManifest { .. }
            | Self::PullBlob { .. } => &[Action::Pull],
            Self::RemoveManifest { .. } | Self::RemoveBlob { .. } => &[Action::Delete],
            Self::PushManifest { .. }
            | Self::BeginUpload { .. }
            | Self::PushBlob { .. }
            | Self::MountBlob { .. }
            | Self::FindUpload { .. }
            | Self::AppendUpload { .. }
            | Self::FinishUpload { .. }
            | Self::CancelUpload { .. } => &[Action::Pull, Action::Push],
        };
        let mut needs: Vec<Need> = self
            .repository()
            .map(|repository| Need { repository: repository.clone(), actions: actions.to_vec() })
            .into_iter()
            .collect();
        if let Self::MountBlob { from: Some(from), .. } = self {
            needs.push(Need { repository: from.clone(), actions: vec![Action::Pull] });
        }
        needs
    }
}

const READ: &str = "GET, HEAD";
const MANIFEST: &str = "GET, HEAD, PUT, DELETE";
const BLOB: &str = "GET, HEAD, DELETE";
const UPLOADS: &str = "POST";
const UPLOAD: &str = "GET, HEAD, PATCH, PUT, DELETE";

fn tags(method: &Method, repository: RepositoryName, query: &Query<'_>) -> Result<Endpoint, EndpointError> {
    match *method {
        Method::GET | Method::HEAD => {
            let page = query.page(Tag::parse)?;
            Ok(Endpoint::ListTags { repository, page })
        }
        _ => Err(EndpointError::Method { allowed: READ }),
    }
}

fn referrers(
    method: &Method,
    repository: RepositoryName,
    digest: &str,
    query: &Query<'_>,
) -> Result<Endpoint, EndpointError> {
    match *method {
        Method::GET | Method::HEAD => {
            let subject = digest_in(digest)?;
            let artifact_type = match query.one("artifactType")? {
                None | Some("") => None,
                Some(text) => Some(
                    MediaType::parse(text).map_err(|error| EndpointError::Query(error.to_string().into()))?,
                ),
            };
            let page = query.page(Digest::parse)?;
            Ok(Endpoint::ListReferrers { repository, subject, artifact_type, page })
        }
        _ => Err(EndpointError::Method { allowed: READ }),
    }
}

fn manifest(
    method: &Method,
    repository: RepositoryName,
    reference: &str,
    query: &Query<'_>,
) -> Result<Endpoint, EndpointError> {
    let reference = || {
        Reference::parse(reference).map_err(|error| match (error, method) {
            // What cannot be set is not there: whoever only asks is told no more than that.
            (ReferenceError::Tag(error), &(Method::GET | Method::HEAD | Method::DELETE)) => {
                EndpointError::NoSuchTag(error)
            }
            (error, _) => EndpointError::Value(error.into()),
        })
    };
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::PullManifest { repository, reference: reference()? }),
        Method::PUT => {
            let tags = query.all("tag").map(Tag::parse).collect::<Result<_, _>>().map_err(Error::from)?;
            Ok(Endpoint::PushManifest { repository, reference: reference()?, tags })
        }
        Method::DELETE => Ok(Endpoint::RemoveManifest { repository, reference: reference()? }),
        _ => Err(EndpointError::Method { allowed: MANIFEST }),
    }
}

fn blob(method: &Method, repository: RepositoryName, digest: &str) -> Result<Endpoint, EndpointError> {
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::PullBlob { repository, digest: digest_in(digest)? }),
        Method::DELETE => Ok(Endpoint::RemoveBlob { repository, digest: digest_in(digest)? }),
        _ => Err(EndpointError::Method { allowed: BLOB }),
    }
}

fn uploads(
    method: &Method,
    repository: RepositoryName,
    query: &Query<'_>,
) -> Result<Endpoint, EndpointError> {
    if *method != Method::POST {
        return Err(EndpointError::Method { allowed: UPLOADS });
    }
    if let Some(digest) = query.one("mount")? {
        let digest = digest_in(digest)?;
        let from = query.one("from")?.map(RepositoryName::parse).transpose().map_err(Error::from)?;
        return Ok(Endpoint::MountBlob { repository, digest, from });
    }
    if let Some(digest) = query.one("digest")? {
        return Ok(Endpoint::PushBlob { repository, digest: digest_in(digest)? });
    }
    let algorithm = match query.one("digest-algorithm")? {
        None => Algorithm::default(),
        // As a digest without its hash, which says the same of an algorithm that is none of ours.
        Some(name) => match (Algorithm::parse(name), Digest::parse(&format!("{name}:"))) {
            (Some(algorithm), _) => algorithm,
            (None, Err(error)) => return Err(Error::from(error).into()),
            (None, Ok(digest)) => digest.algorithm(),
        },
    };
    Ok(Endpoint::BeginUpload { repository, algorithm })
}

fn upload(
    method: &Method,
    repository: RepositoryName,
    id: &str,
    query: &Query<'_>,
) -> Result<Endpoint, EndpointError> {
    let id = || UploadId::parse(id).map_err(|_| Error::UploadUnknown);
    match *method {
        Method::GET | Method::HEAD => Ok(Endpoint::FindUpload { repository, id: id()? }),
        Method::PATCH => Ok(Endpoint::AppendUpload { repository, id: id()? }),
        Method::PUT => {
            // Without one it is the empty text, which is no digest.
            let digest = digest_in(query.one("digest")?.unwrap_or_default())?;
            Ok(Endpoint::FinishUpload { repository, id: id()?, digest })
        }
        Method::DELETE => Ok(Endpoint::CancelUpload { repository, id: id()? }),
        _ => Err(EndpointError::Method { allowed: UPLOAD }),
    }
}

fn repository(segments: &[&str]) -> Result<RepositoryName, EndpointError> {
    // A slash that was written as `%2F` is part of a component, and no component has one.
    let name = match segments.iter().find(|segment| segment.contains('/')) {
        Some(segment) => segment.replace('/', "%2F"),
        None => segments.join("/"),
    };
    Ok(RepositoryName::parse(&name).map_err(Error::from)?)
}

fn digest_in(text: &str) -> Result<Digest, EndpointError> {
    Ok(Digest::parse(text).map_err(Error::from)?)
}

/// What stands between the slashes of a path, its percent-encoding undone; nothing for an empty path.
pub(crate) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, EndpointError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let path = path.strip_prefix('/').ok_or(EndpointError::NoSuchPath)?;
    path.split('/').map(|segment| decoded(segment).ok_or(EndpointError::Encoding)).collect()
}

/// The parameters of a query, in their order.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, EndpointError> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(key)?, decoded(value)?))
        });
        pairs.collect::<Option<_>>().map(Self).ok_or(EndpointError::Encoding)
    }

    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == key).map(|(_, value)| &**value)
    }

    pub(crate) fn one(&self, key: &'static str) -> Result<Option<&str>, EndpointError> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(EndpointError::Query(format!("`{key}` is given more than once").into())),
        }
    }

    fn page<T, E>(&self, last: impl Fn(&str) -> Result<T, E>) -> Result<PageQuery<T>, EndpointError>
    where
        Error: From<E>,
    {
        let n = match self.one("n")? {
            None => None,
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                // More digits than fit are more than any page holds.
                Some(text.parse().unwrap_or(u32::MAX))
            }
            Some(_) => return Err(EndpointError::Query("`n` is not a number".into())),
        };
        let last = match self.one("last")? {
            None | Some("") => None,
            Some(text) => Some(last(text).map_err(Error::from)?),
        };
        Ok(PageQuery { n, last })
    }
}

/// Undoes percent-encoding. `None` where it is broken, or hides what is no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Why an address is none of the specification's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is nothing at the path.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// The method is none that the path knows.
    #[error("this path knows the methods {allowed}")]
    Method {
        /// Those that it knows, as `Allow` has them.
        allowed: &'static str,
    },
    /// The percent-encoding of the path or the query is broken, or hides what is no UTF-8.
    #[error("the address is not percent-encoded UTF-8")]
    Encoding,
    /// The tag is none, and so there is no manifest under it.
    #[error("no manifest can be called so: {0}")]
    NoSuchTag(NameError),
    /// A parameter makes no sense.
    #[error("{0}")]
    Query(Cow<'static, str>),
    /// A name, a digest or an upload's id is none.
    #[error(transparent)]
    Value(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn parse(method: Method, address: &str) -> Result<Endpoint, EndpointError> {
        let address = address.replace("{hex}", HEX).replace("{id}", ID);
        let (path, query) = match address.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*address, None),
        };
        Endpoint::parse(&method, path, query)
    }

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    fn tag(text: &str) -> Tag {
        Tag::parse(text).unwrap()
    }

    fn digest() -> Digest {
        Digest::parse(&format!("sha256:{HEX}")).unwrap()
    }

    fn id() -> UploadId {
        UploadId::parse(ID).unwrap()
    }

    #[test]
    fn every_row_of_the_specification_is_an_endpoint() {
        use Endpoint::*;
        let all = || PageQuery { n: None, last: None };
        let rows = [
            (Method::GET, "", Base),
            (Method::HEAD, "/", Base),
            (Method::GET, "/_catalog", ListRepositories { page: PageQuery { n: None, last: None } }),
            (
                Method::GET,
                "/_catalog?n=3&last=a%2Fb",
                ListRepositories { page: PageQuery { n: Some(3), last: Some(name("a/b")) } },
            ),
            (Method::GET, "/a/tags/list", ListTags { repository: name("a"), page: all() }),
            (
                Method::GET,
                "/a/b/tags/list?last=v1&n=0",
                ListTags { repository: name("a/b"), page: PageQuery { n: Some(0), last: Some(tag("v1")) } },
            ),
            (
                Method::GET,
                "/a/referrers/sha256:{hex}?artifactType=application/vnd.x%2Bjson",
                ListReferrers {
                    repository: name("a"),
                    subject: digest(),
                    artifact_type: Some(MediaType::parse("application/vnd.x+json").unwrap()),
                    page: PageQuery { n: None, last: None },
                },
            ),
            (
                Method::GET,
                "/a/manifests/v1",
                PullManifest { repository: name("a"), reference: tag("v1").into() },
            ),
            (
                Method::HEAD,
                "/a/manifests/sha256%3A{hex}",
                PullManifest { repository: name("a"), reference: digest().into() },
            ),
            (
                Method::PUT,
                "/a/manifests/sha256:{hex}?tag=1&tag=latest",
                PushManifest {
                    repository: name("a"),
                    reference: digest().into(),
                    tags: vec![tag("1"), tag("latest")],
                },
            ),
            (
                Method::DELETE,
                "/a/manifests/v1",
                RemoveManifest { repository: name("a"), reference: tag("v1").into() },
            ),
            (Method::GET, "/a/blobs/sha256:{hex}", PullBlob { repository: name("a"), digest: digest() }),
            (Method::DELETE, "/a/blobs/sha256:{hex}", RemoveBlob { repository: name("a"), digest: digest() }),
            (
                Method::POST,
                "/a/blobs/uploads/",
                BeginUpload { repository: name("a"), algorithm: Algorithm::Sha256 },
            ),
            (
                Method::POST,
                "/a/blobs/uploads?digest-algorithm=sha512",
                BeginUpload { repository: name("a"), algorithm: Algorithm::Sha512 },
            ),
            (
                Method::POST,
                "/a/blobs/uploads/?digest=sha256:{hex}",
                PushBlob { repository: name("a"), digest: digest() },
            ),
            (
                Method::POST,
                "/a/blobs/uploads/?mount=sha256:{hex}&from=c/d",
                MountBlob { repository: name("a"), digest: digest(), from: Some(name("c/d")) },
            ),
            (
                Method::POST,
                "/a/blobs/uploads/?mount=sha256:{hex}",
                MountBlob { repository: name("a"), digest: digest(), from: None },
            ),
            (Method::GET, "/a/blobs/uploads/{id}", FindUpload { repository: name("a"), id: id() }),
            (Method::PATCH, "/a/blobs/uploads/{id}", AppendUpload { repository: name("a"), id: id() }),
            (
                Method::PUT,
                "/a/blobs/uploads/{id}?digest=sha256:{hex}",
                FinishUpload { repository: name("a"), id: id(), digest: digest() },
            ),
            (Method::DELETE, "/a/blobs/uploads/{id}", CancelUpload { repository: name("a"), id: id() }),
        ];
        for (method, address, expected) in rows {
            assert_eq!(parse(method.clone(), address).unwrap(), expected, "{method} {address}");
        }
    }

    #[test]
    fn a_repository_may_be_called_after_a_path_of_the_protocol() {
        for (address, expected) in [
            ("/manifests/manifests/latest", "manifests"),
            ("/a/blobs/uploads/manifests/latest", "a/blobs/uploads"),
            ("/a/tags/list/manifests/latest", "a/tags/list"),
            ("/a/manifests/blobs/blobs/sha256:{hex}", "a/manifests/blobs"),
            ("/a/blobs/uploads/blobs/uploads/{id}", "a/blobs/uploads"),
            ("/tags/list/tags/list", "tags/list"),
            ("/v2/tags/list", "v2"),
        ] {
            let endpoint = parse(Method::GET, address).unwrap();
            assert_eq!(endpoint.repository(), Some(&name(expected)), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_for_what_it_is() {
        use swr_core::ErrorCode::*;
        for (method, address, code) in [
            (Method::GET, "/A/tags/list", NameInvalid),
            (Method::GET, "/tags/list", NameInvalid),
            (Method::GET, "//tags/list", NameInvalid),
            (Method::GET, "/a//b/tags/list", NameInvalid),
            (Method::GET, "/a%2Fb/tags/list", NameInvalid),
            (Method::GET, "/a/../b/tags/list", NameInvalid),
            (Method::GET, "/a%00/tags/list", NameInvalid),
            (Method::PUT, "/a/manifests/-v", NameInvalid),
            (Method::PUT, "/a/manifests/", NameInvalid),
            (Method::GET, "/a/tags/list?last=-v", NameInvalid),
            (Method::PUT, "/a/manifests/sha256:{hex}?tag=ok&tag=", NameInvalid),
            (Method::POST, "/a/blobs/uploads/?mount=sha256:{hex}&from=B", NameInvalid),
            (Method::GET, "/a/manifests/sha256:baddigeststring", DigestInvalid),
            (Method::GET, "/a/blobs/latest", DigestInvalid),
            (Method::GET, "/a/referrers/latest", DigestInvalid),
            (Method::POST, "/a/blobs/uploads/?digest=x", DigestInvalid),
            (Method::POST, "/a/blobs/uploads/?mount=x&from=b", DigestInvalid),
            (Method::POST, "/a/blobs/uploads/?digest-algorithm=md5", DigestInvalid),
            (Method::POST, "/a/blobs/uploads/?digest-algorithm=", DigestInvalid),
            (Method::PUT, "/a/blobs/uploads/{id}", DigestInvalid),
            (Method::PUT, "/a/blobs/uploads/{id}?digest=", DigestInvalid),
            (Method::GET, "/a/blobs/uploads/1", BlobUploadUnknown),
        ] {
            let error = parse(method.clone(), address).unwrap_err();
            let EndpointError::Value(error) = error else { panic!("{method} {address}: {error}") };
            assert_eq!(error.code(), Some(code), "{method} {address}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_there() {
        for method in [Method::GET, Method::HEAD, Method::DELETE] {
            let error = parse(method.clone(), "/a/manifests/.invalid").unwrap_err();
            assert!(matches!(error, EndpointError::NoSuchTag(_)), "{method}: {error}");
        }
        for address in ["/a", "/a/", "/_catalog/", "/a/tags", "/a/tags/list/", "a", "/a/tags/List"] {
            let error = parse(Method::GET, address).unwrap_err();
            assert!(matches!(error, EndpointError::NoSuchPath), "{address}: {error}");
        }
        for (method, address) in [
            (Method::POST, "/"),
            (Method::POST, "/_catalog"),
            (Method::DELETE, "/a/tags/list"),
            (Method::POST, "/a/manifests/v1"),
            (Method::PUT, "/a/blobs/sha256:{hex}"),
            (Method::GET, "/a/blobs/uploads/"),
            (Method::POST, "/a/blobs/uploads/{id}"),
            (Method::PUT, "/a/referrers/sha256:{hex}"),
        ] {
            let error = parse(method.clone(), address).unwrap_err();
            let EndpointError::Method { allowed } = error else { panic!("{method} {address}: {error}") };
            for allowed in allowed.split(", ") {
                let method = Method::from_bytes(allowed.as_bytes()).unwrap();
                let address = format!("{address}?digest=sha256:{{hex}}");
                assert!(parse(method, &address).is_ok(), "{allowed} {address}");
            }
        }
    }

    #[test]
    fn broken_encodings_and_repeated_or_senseless_parameters_are_refused() {
        for address in
            ["/a%/tags/list", "/a%g0/tags/list", "/%ff/tags/list", "/a/tags/list?x=%2", "/_catalog?%"]
        {
            let error = parse(Method::GET, address).unwrap_err();
            assert!(matches!(error, EndpointError::Encoding), "{address}: {error}");
        }
        for address in [
            "/a/tags/list?n=",
            "/a/tags/list?n=-1",
            "/a/tags/list?n=+1",
            "/a/tags/list?n=1x",
            "/a/tags/list?n=1&n=2",
            "/a/tags/list?last=a&last=b",
            "/a/referrers/sha256:{hex}?artifactType=x",
            "/a/referrers/sha256:{hex}?artifactType=a/b&artifactType=a/c",
        ] {
            let error = parse(Method::GET, address).unwrap_err();
            assert!(matches!(error, EndpointError::Query(_)), "{address}: {error}");
        }
        let huge = parse(Method::GET, "/a/tags/list?n=99999999999999999999").unwrap();
        let page = PageQuery { n: Some(u32::MAX), last: None };
        assert_eq!(huge, Endpoint::ListTags { repository: name("a"), page });
    }

    #[test]
    fn a_plus_sign_is_a_plus_sign() {
        let endpoint = parse(Method::GET, "/a/referrers/sha256:{hex}?artifactType=a/b+json").unwrap();
        let Endpoint::ListReferrers { artifact_type, .. } = endpoint else { panic!("{endpoint:?}") };
        assert_eq!(artifact_type.unwrap().as_str(), "a/b+json");
    }
}
