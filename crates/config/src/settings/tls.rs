//! Certificates and keys, read when the config was loaded.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// `[server] tls`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// `cert` and `key`: what clients are shown.
    pub identity: Identity,
    /// `client_ca`: who signs the certificates that clients must show; `None` (default) asks for none.
    pub client_ca: Option<Pem>,
}

/// `tls` of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamTls {
    /// `ca`: whom to trust; `None` (default) trusts the system's authorities.
    pub ca: Option<Pem>,
    /// `cert` and `key`: what the upstream is shown; `None` (default) nothing.
    pub identity: Option<Identity>,
}

/// A PEM file without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pem {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What it holds.
    pub pem: Vec<u8>,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate chain.
    pub cert: Pem,
    /// Absolute path of the private key.
    pub key_path: PathBuf,
    /// The private key, PEM.
    pub key_pem: SecretString,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.cert == other.cert
            && self.key_path == other.key_path
            && self.key_pem.expose_secret() == other.key_pem.expose_secret()
    }
}
