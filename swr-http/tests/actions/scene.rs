//! A trigger, what fired it, and the world around them.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use swr_core::control::identity::{UserId, UserName};
use swr_core::control::trigger::{
    Delivery, DeliveryId, DeliveryState, Trigger, TriggerId, TriggerTarget, Workload, WorkloadKind,
};
use swr_core::digest::{Algorithm, Digest};
use swr_core::event::EventSeq;
use swr_core::ports::Clock;
use swr_http::actions::OutboundOptions;
use swr_http::actions::addresses::Resolver;
use swr_policy::{RepositoryName, Tag, TriggerCondition, TriggerName, TriggerRule};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) const HOST: &str = "registry.example.com:5000";
pub(crate) const DELIVERY: &str = "6b1c0a9e-1111-4222-8333-444455556666";

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn digest() -> Digest {
    Algorithm::Sha256.digest(b"a manifest")
}

pub(crate) fn repository() -> RepositoryName {
    RepositoryName::parse("shop/web").unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn trigger(target: TriggerTarget) -> Trigger {
    Trigger {
        repository: repository(),
        name: TriggerName::parse("deploy").unwrap(),
        rule: TriggerRule { condition: TriggerCondition::All, enabled: true },
        target,
        creator: UserId::random(),
        creator_name: UserName::parse("ada").unwrap(),
        created: time("2026-01-01T00:00:00Z"),
    }
}

/// Version `v2` of `shop/web`, pushed at noon.
pub(crate) fn delivery() -> Delivery {
    Delivery {
        id: DeliveryId::new(DELIVERY),
        trigger: TriggerId(7),
        event: EventSeq(41),
        tag: tag("v2"),
        digest: digest(),
        at: time("2026-03-01T12:00:00.25Z"),
        state: DeliveryState::Waiting(time("2026-03-01T12:00:01Z")),
        attempts: 0,
        tried: None,
        detail: "".into(),
    }
}

pub(crate) fn workload(kind: WorkloadKind, container: &str) -> Workload {
    Workload {
        mode: "cce".into(),
        cluster_id: "one".into(),
        cluster_name: "The first".into(),
        namespace: "market".into(),
        kind,
        application: "front".into(),
        container: container.into(),
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Still(pub(crate) DateTime<Utc>);

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// Answers in its order, whatever is asked, and remembers what was.
#[derive(Debug)]
pub(crate) struct Told {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Told {
    pub(crate) fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(parsed).collect()), asked: Mutex::default() })
    }
}

#[async_trait]
impl Resolver for Told {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let answer = self.answers.lock().unwrap().pop_front();
        answer.ok_or_else(|| io::Error::other("asked once too often"))
    }
}

/// May reach this machine, by `http` as well, and believes an authority of its own, so that the machine's do not
/// matter. Names are looked up nowhere.
pub(crate) fn loopback() -> OutboundOptions {
    OutboundOptions {
        networks: vec!["127.0.0.1".parse().unwrap()],
        plain_http: true,
        authorities: Some(Authority::new().certificate().into_bytes()),
        resolver: Told::of(&[]),
        ..OutboundOptions::default()
    }
}

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, as PEM.
    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for the name and its key, as PEM.
    pub(crate) fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// A server of the name.
    pub(crate) fn server(&self, name: &str) -> ServerConfig {
        use tokio_rustls::rustls::pki_types::pem::PemObject as _;
        use tokio_rustls::rustls::server::WebPkiClientVerifier;
        use tokio_rustls::rustls::{RootCertStore, crypto};

        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate().as_bytes()).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = self.sign(name);
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap()
    }
}
