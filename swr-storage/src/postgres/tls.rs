//! TLS for connections to the database, by the stack that the rest of the program uses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Meets servers whose certificate the machine, or whoever configured the store, trusts.
#[derive(Clone)]
pub(super) struct Tls(Option<TlsConnector>);

impl Tls {
    /// For connections without any.
    pub(super) const OFF: Self = Self(None);

    /// `authorities`: certificates in PEM that are trusted beside those that the machine trusts.
    pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, BoxError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots: Vec<CertificateDer<'static>> = match authorities {
            Some(pem) => CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        if authorities.is_some() && roots.is_empty() {
            return Err("there is no certificate among the authorities".into());
        }
        let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(Some(TlsConnector::from(Arc::new(config)))))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Stream<S>;
    type TlsConnect = Meeting;
    type Error = BoxError;

    /// Asked before it is known whether there will be TLS; a socket in the file system has no name.
    fn make_tls_connect(&mut self, host: &str) -> Result<Meeting, BoxError> {
        Ok(Meeting { connector: self.0.clone(), host: host.to_owned() })
    }
}

/// A handshake that is perhaps about to begin.
pub(super) struct Meeting {
    connector: Option<TlsConnector>,
    host: String,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> TlsConnect<S> for Meeting {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Stream<S>>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let connector = self.connector.ok_or_else(|| io::Error::other("TLS is off"))?;
            let host = ServerName::try_from(self.host).map_err(io::Error::other)?;
            let stream = connector.connect(host, stream).await?;
            Ok(Stream(Box::new(stream)))
        })
    }
}

/// A connection after its handshake.
pub(super) struct Stream<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Stream<S> {
    /// The certificate was verified; passwords are not bound to it beside.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
