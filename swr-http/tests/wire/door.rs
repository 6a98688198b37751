//! A registry in memory behind its door, and requests to it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use swr_auth::{AnonymousOnly, AnyoneMay, Authenticator};
use swr_core::Registry;
use swr_core::digest::{Algorithm, Digest};
use swr_core::media_type::MediaType;
use swr_core::ports::Authorizer;
use swr_core::registry::RegistryBuilder;
use swr_http::{RegistryService, ResponseBody, ServiceOptions};
use swr_storage::{MemoryBlobs, MemoryManifests};
use tower_service::Service as _;

pub(crate) struct Door {
    pub(crate) service: RegistryService,
}

/// A response, to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A registry in memory, to be built.
pub(crate) fn registry(authorizer: impl Authorizer) -> RegistryBuilder {
    Registry::builder(Arc::new(MemoryBlobs::new()), Arc::new(MemoryManifests::new()), Arc::new(authorizer))
}

impl Door {
    /// Where anyone may do anything.
    pub(crate) fn open() -> Self {
        Self::to(registry(AnyoneMay).build(), AnonymousOnly)
    }

    pub(crate) fn to(registry: Registry, authenticator: impl Authenticator) -> Self {
        Self { service: RegistryService::new(registry, Arc::new(authenticator)) }
    }

    pub(crate) fn with(
        registry: Registry,
        authenticator: impl Authenticator,
        options: ServiceOptions,
    ) -> Self {
        Self { service: RegistryService::with_options(registry, Arc::new(authenticator), options) }
    }

    /// The response before its body has been read.
    pub(crate) async fn respond<B>(&self, request: Request<B>) -> http::Response<ResponseBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.service.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.finish(request.body(Full::new(body.into())).unwrap()).await
    }

    /// The response, to its end.
    pub(crate) async fn finish<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = self.respond(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.send(Method::GET, address, &[], "").await
    }

    pub(crate) async fn get_with(&self, address: &str, name: &str, value: &str) -> Answer {
        self.send(Method::GET, address, &[(name, value)], "").await
    }

    pub(crate) async fn head(&self, address: &str) -> Answer {
        self.send(Method::HEAD, address, &[], "").await
    }

    pub(crate) async fn delete(&self, address: &str) -> Answer {
        self.send(Method::DELETE, address, &[], "").await
    }

    pub(crate) async fn post(&self, address: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, address, &[], body).await
    }

    pub(crate) async fn put(&self, address: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::PUT, address, &[], body).await
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Algorithm::Sha256.digest(content);
        let address = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        assert_eq!(self.post(&address, content.to_vec()).await.status, 201);
        digest
    }

    /// Pushes a manifest under a tag or a digest.
    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Answer {
        let address = format!("/v2/{repository}/manifests/{reference}");
        let headers = [("content-type", manifest.media_type)];
        self.send(Method::PUT, &address, &headers, manifest.bytes.clone()).await
    }

    /// Pushes an image of one layer under a tag, with all that it needs.
    pub(crate) async fn push_image(&self, repository: &str, tag: &str) -> Manifest {
        let manifest = image(tag);
        self.push_blob(repository, CONFIG).await;
        self.push_blob(repository, LAYER).await;
        let pushed = self.push_manifest(repository, tag, &manifest).await;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        manifest
    }

    /// Begins an upload and says where it is.
    pub(crate) async fn begin(&self, repository: &str) -> String {
        let begun = self.post(&format!("/v2/{repository}/blobs/uploads/"), "").await;
        assert_eq!(begun.status, 202, "{begun:?}");
        begun.header("location").to_owned()
    }

    pub(crate) async fn patch(&self, address: &str, range: Option<&str>, chunk: impl Into<Bytes>) -> Answer {
        let headers: Vec<(&str, &str)> = range.map(|range| ("content-range", range)).into_iter().collect();
        self.send(Method::PATCH, address, &headers, chunk).await
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn detail(&self) -> Value {
        self.json()["errors"][0]["detail"].clone()
    }
}

pub(crate) const CONFIG: &[u8] = b"{}";
pub(crate) const LAYER: &[u8] = b"a layer of some bytes, enough to take parts of";

pub(crate) struct Manifest {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Manifest {
    pub(crate) fn of(media_type: &'static str, mut document: Value) -> Self {
        document["schemaVersion"] = json!(2);
        document["mediaType"] = json!(media_type);
        // Bytes that no serialiser would give, to be kept as they are.
        let bytes = serde_json::to_vec_pretty(&document).unwrap();
        Self { media_type, bytes }
    }

    pub(crate) fn digest(&self) -> Digest {
        Algorithm::Sha256.digest(&self.bytes)
    }

    pub(crate) fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Algorithm::Sha256.digest(content), "size": content.len() })
}

/// An image of one layer; images of different names are different.
pub(crate) fn image(name: &str) -> Manifest {
    Manifest::of(
        MediaType::OCI_MANIFEST,
        json!({
            "config": descriptor("application/vnd.oci.image.config.v1+json", CONFIG),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", LAYER)],
            "annotations": { "name": name },
        }),
    )
}

/// An artifact that refers to another manifest.
pub(crate) fn referrer(subject: &Manifest, artifact_type: &str, name: &str) -> Manifest {
    Manifest::of(
        MediaType::OCI_MANIFEST,
        json!({
            "artifactType": artifact_type,
            "config": descriptor("application/vnd.oci.empty.v1+json", CONFIG),
            "layers": [],
            "subject": subject.descriptor(),
            "annotations": { "name": name },
        }),
    )
}
