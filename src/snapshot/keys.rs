//! Client keys: who may come in, and what they may use.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use aurora_config::{Auth, KeySecret};
use aurora_sdk::{Client, Error, ErrorKind, Origin};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::limits::{KeyLimits, Ledger};

/// The keys of a snapshot by their SHA-256.
#[derive(Debug, Default)]
pub(crate) struct ClientKeys {
    by_digest: HashMap<[u8; 32], Arc<Admission>>,
}

/// What a known key may do.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Who it is.
    pub(crate) client: Client,
    models: Option<Vec<String>>,
    routes: Option<Vec<String>>,
    expires: Option<SystemTime>,
    /// How much of it, where that is limited.
    pub(crate) limits: Option<Arc<KeyLimits>>,
}

impl ClientKeys {
    /// The keys of `auth`; what they have used is in `ledger`.
    pub(crate) fn new(auth: &Auth, ledger: &Ledger) -> Self {
        let by_digest = auth
            .keys
            .iter()
            .map(|key| {
                let digest: [u8; 32] = match &key.secret {
                    KeySecret::Plain(secret) => Sha256::digest(secret.expose_secret()).into(),
                    KeySecret::Sha256(digest) => *digest,
                };
                let owner: Arc<str> = owner(&digest).into();
                let name: Arc<str> = key.name.as_str().into();
                let limits = (!key.limits.is_empty()).then(|| {
                    let counters = ledger.counters(&owner);
                    Arc::new(KeyLimits::new(Arc::clone(&name), key.limits, counters))
                });
                let admission = Admission {
                    client: Client { name, owner },
                    models: key.models.clone(),
                    routes: key.routes.clone(),
                    expires: key.expires,
                    limits,
                };
                (digest, Arc::new(admission))
            })
            .collect();
        Self { by_digest }
    }

    /// Whether there are none, so that everybody may come in.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// The limits of those that have any.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &KeyLimits> {
        let keys = self.by_digest.values();
        keys.filter_map(|key| key.limits.as_deref())
    }

    /// Lets the holder of `presented` in; everybody where there are no keys.
    ///
    /// # Errors
    /// 401 `invalid_api_key`.
    pub(crate) fn admit(
        &self,
        presented: Option<&str>,
        now: SystemTime,
    ) -> Result<Arc<Admission>, Error> {
        if self.by_digest.is_empty() {
            return Ok(Arc::new(Admission::anonymous()));
        }
        let Some(presented) = presented else {
            return Err(refused(
                "no API key was sent; send it as `Authorization: Bearer KEY`",
            ));
        };
        // Both sides are digests: how far they agree tells nothing about the key. The comparison itself takes the
        // same time whatever was presented.
        let digest: [u8; 32] = Sha256::digest(presented).into();
        let found = self
            .by_digest
            .get_key_value(&digest)
            .filter(|(known, _)| bool::from(known.ct_eq(&digest)));
        match found {
            Some((_, admission)) if admission.expires.is_none_or(|at| now < at) => {
                Ok(Arc::clone(admission))
            }
            Some(_) => Err(refused(
                "this API key has expired; ask the operator for a new one",
            )),
            None => Err(refused(
                "this API key is not known here; check it against the gateway's keys",
            )),
        }
    }
}

impl Admission {
    /// Everybody.
    pub(crate) fn anonymous() -> Self {
        let name: Arc<str> = "anonymous".into();
        let client = Client {
            owner: Arc::clone(&name),
            name,
        };
        Self {
            client,
            models: None,
            routes: None,
            expires: None,
            limits: None,
        }
    }

    /// # Errors
    /// 403 `route_not_allowed`.
    pub(crate) fn check_route(&self, path: &str) -> Result<(), Error> {
        match &self.routes {
            Some(routes) if !routes.iter().any(|route| route == path) => Err(Error::new(
                ErrorKind::Forbidden,
                Origin::Downstream,
                "route_not_allowed",
                format!(
                    "this API key may not use `{path}`; the operator can add it to the key's `routes`"
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether `model` may be used.
    pub(crate) fn allows_model(&self, model: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }

    /// Whether only some models may be used.
    pub(crate) fn is_limited_to_models(&self) -> bool {
        self.models.is_some()
    }

    /// # Errors
    /// 403 `model_not_allowed`.
    pub(crate) fn check_model(&self, model: &str) -> Result<(), Error> {
        if self.allows_model(model) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forbidden,
            Origin::Downstream,
            "model_not_allowed",
            format!("this API key may not use the model `{model}`; the operator can add it to the key's `models`"),
        )
        .with_param("model"))
    }
}

fn refused(message: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        Origin::Downstream,
        "invalid_api_key",
        message,
    )
}

/// A word that tells key holders apart without telling their keys.
fn owner(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(16);
    for byte in Sha256::digest(digest).iter().take(8) {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aurora_config::{ClientKey, Limits};

    use super::*;
    use crate::store::Store;

    fn keys() -> ClientKeys {
        let key = |name: &str, secret, expires| ClientKey {
            name: name.to_owned(),
            secret,
            models: Some(vec!["small".to_owned()]),
            routes: None,
            expires,
            limits: Limits::default(),
        };
        let past = SystemTime::now() - Duration::from_secs(1);
        let auth = Auth {
            keys: vec![
                key("plain", KeySecret::Plain("sk-1".into()), None),
                key(
                    "hashed",
                    KeySecret::Sha256(Sha256::digest("sk-2").into()),
                    None,
                ),
                key("old", KeySecret::Plain("sk-3".into()), Some(past)),
            ],
            open: false,
            upstream_tokens: true,
        };
        ClientKeys::new(&auth, &Ledger::new(&Store::in_memory()))
    }

    #[test]
    fn known_keys_come_in_by_either_form() {
        let (keys, now) = (keys(), SystemTime::now());

        assert_eq!(
            &*keys.admit(Some("sk-1"), now).unwrap().client.name,
            "plain"
        );
        assert_eq!(
            &*keys.admit(Some("sk-2"), now).unwrap().client.name,
            "hashed"
        );
        for wrong in [None, Some(""), Some("sk-9"), Some("sk-3")] {
            assert_eq!(
                keys.admit(wrong, now).unwrap_err().status(),
                401,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn two_keys_own_different_things() {
        let (keys, now) = (keys(), SystemTime::now());

        let owner = |key| Arc::clone(&keys.admit(Some(key), now).unwrap().client.owner);

        assert_ne!(owner("sk-1"), owner("sk-2"));
    }
}
