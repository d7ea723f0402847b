//! Certificates and keys of `[server] tls` and of upstreams.

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::raw;
use crate::settings::tls::{Identity, Pem, Tls, UpstreamTls};

impl Resolver<'_> {
    pub(super) fn tls(&mut self, tls: &raw::Tls) -> Option<Tls> {
        let here = ["server", "tls"];
        let client_ca = tls.client_ca.as_deref();
        let client_ca = client_ca.map(|written| self.certificates(&here, "client_ca", written));
        let identity = self.identity(&here, tls.cert.as_deref()?, tls.key.as_deref()?);
        Some(Tls {
            identity: identity?,
            // What could not be read is told, and must not let everybody in.
            client_ca: match client_ca {
                Some(read) => Some(read?),
                None => None,
            },
        })
    }

    pub(super) fn upstream_tls(
        &mut self,
        name: &str,
        tls: &raw::UpstreamTls,
    ) -> Option<UpstreamTls> {
        let here = ["upstreams", name, "tls"];
        let ca = tls
            .ca
            .as_deref()
            .map(|written| self.certificates(&here, "ca", written));
        let identity = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => Some(self.identity(&here, cert, key)),
            (None, None) => None,
            (cert, _) => {
                let (has, lacks) = if cert.is_some() {
                    ("cert", "key")
                } else {
                    ("key", "cert")
                };
                let place = self.places.key(&["upstreams", name, "tls", has]);
                let message = format!("`{has}` of upstream `{name}` has no `{lacks}` beside it");
                self.problems.push(
                    Problem::error("AUR0108", place, message).label(format!("needs `{lacks}`")),
                );
                None
            }
        };
        Some(UpstreamTls {
            ca: match ca {
                Some(read) => Some(read?),
                None => None,
            },
            identity: match identity {
                Some(read) => Some(read?),
                None => None,
            },
        })
    }

    fn certificates(&mut self, section: &[&str], key: &str, written: &str) -> Option<Pem> {
        let pem = self.pem(&[section, &[key]].concat(), written, &CERTIFICATE)?;
        Some(Pem {
            path: self.absolute(written),
            pem,
        })
    }

    fn identity(&mut self, section: &[&str], cert: &str, key: &str) -> Option<Identity> {
        let chain = self.certificates(section, "cert", cert);
        let key_pem = self.pem(&[section, &["key"]].concat(), key, &PRIVATE_KEY);
        Some(Identity {
            cert: chain?,
            key_path: self.absolute(key),
            key_pem: String::from_utf8(key_pem?).ok()?.into(),
        })
    }

    /// Content of the PEM file that the setting names, whether it has the right block or not.
    fn pem(&mut self, setting: &[&str], written: &str, wanted: &Wanted) -> Option<Vec<u8>> {
        let place = self.places.value(setting);
        let content = self.read(written, &place)?;
        self.check_pem(&content, written, place, wanted);
        Some(content)
    }

    fn check_pem(&mut self, content: &[u8], written: &str, place: Place, wanted: &Wanted) {
        let text = String::from_utf8_lossy(content);
        let blocks: Vec<&str> = text.lines().filter_map(block).collect();
        if blocks.iter().any(|block| wanted.blocks.contains(block)) {
            return;
        }
        let found = match blocks.first() {
            _ if text.trim().is_empty() => "an empty file".to_owned(),
            Some(block) => format!("a PEM block {block:?}"),
            None => "no PEM block".to_owned(),
        };
        let message = format!("file `{written}` holds no {}", wanted.name);
        let problem = Problem::error("AUR0404", place, message).label(format!("found {found}"));
        let encrypted = blocks.contains(&"ENCRYPTED PRIVATE KEY");
        self.problems.push(if encrypted {
            problem.help("encrypted keys are not supported; `openssl pkey` decrypts one")
        } else {
            problem.help(wanted.help)
        });
    }
}

struct Wanted {
    name: &'static str,
    blocks: &'static [&'static str],
    help: &'static str,
}

const CERTIFICATE: Wanted = Wanted {
    name: "certificate",
    blocks: &["CERTIFICATE"],
    help: "a certificate begins with `-----BEGIN CERTIFICATE-----`",
};

const PRIVATE_KEY: Wanted = Wanted {
    name: "private key",
    blocks: &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"],
    help: "a private key begins with `-----BEGIN PRIVATE KEY-----`",
};

fn block(line: &str) -> Option<&str> {
    line.trim()
        .strip_prefix("-----BEGIN ")?
        .strip_suffix("-----")
}
