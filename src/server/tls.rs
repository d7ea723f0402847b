//! Certificates: PEM in, a TLS acceptor out.

use std::sync::Arc;

use aurora_config::{Pem, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use tokio_rustls::TlsAcceptor;

/// An acceptor for TLS 1.2 and 1.3 that offers HTTP/2 and HTTP/1.1, and asks clients for certificates where that is wanted.
///
/// # Errors
/// A sentence that names the file at fault.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, String> {
    let identity = &tls.identity;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.expose_secret().as_bytes());
    let key = key.map_err(|error| {
        let path = identity.key_path.display();
        format!("`{path}` is not a PEM private key: {error}")
    })?;
    let builder = match &tls.client_ca {
        Some(ca) => ServerConfig::builder().with_client_cert_verifier(verifier(ca)?),
        None => ServerConfig::builder().with_no_client_auth(),
    };
    let chain = certificates(&identity.cert)?;
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        format!(
            "the certificate `{}` and the key `{}` cannot be used together: {error}",
            identity.cert.path.display(),
            identity.key_path.display()
        )
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(&file.pem);
    certificates.collect::<Result<_, _>>().map_err(|error| {
        let path = file.path.display();
        format!("`{path}` is not a PEM certificate chain: {error}")
    })
}

/// Lets clients in whose certificates are signed by one of the authorities in `ca`.
fn verifier(ca: &Pem) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let path = ca.path.display();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("`{path}` holds what is no authority: {error}"))?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
    verifier.map_err(|error| format!("`{path}` cannot be used to check clients: {error}"))
}
