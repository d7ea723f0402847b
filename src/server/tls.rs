//! Certificates: PEM in, a TLS acceptor out.

use std::sync::Arc;

use aurora_config::Tls;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use tokio_rustls::TlsAcceptor;

/// An acceptor for TLS 1.2 and 1.3 that offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// A sentence that names the file at fault.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, String> {
    let chain = CertificateDer::pem_slice_iter(&tls.cert_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            format!(
                "`{}` is not a PEM certificate chain: {error}",
                tls.cert_path.display()
            )
        })?;
    let key =
        PrivateKeyDer::from_pem_slice(tls.key_pem.expose_secret().as_bytes()).map_err(|error| {
            format!(
                "`{}` is not a PEM private key: {error}",
                tls.key_path.display()
            )
        })?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            format!(
                "the certificate `{}` and the key `{}` cannot be used together: {error}",
                tls.cert_path.display(),
                tls.key_path.display()
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
