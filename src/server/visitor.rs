//! Who comes in: the key of the gateway, and what of their own they bring along.
//!
//! The forms of `Authorization` are those of the historic gateway: a key, a ChatGPT token or device id where no keys are
//! asked for, or both as `Bearer KEY TOKEN`; behind a comma, or in a header of its own, a workspace.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use aurora_chatgpt::credential::{Authorization, Credential, Presented, TEAM_HEADERS};
use aurora_sdk::{Client, Error, ErrorKind, Origin};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::providers::{Brought, Visitor};
use crate::snapshot::{Admission, ClientKeys, Snapshot};

/// Somebody who may come in.
pub(super) struct Admitted {
    /// What their key allows.
    pub(super) admission: Arc<Admission>,
    /// What an upstream's protocol must know about them.
    pub(super) visitor: Visitor,
}

impl Admitted {
    /// The client as handlers see it.
    pub(super) fn client(&self) -> Client {
        Client {
            name: Arc::clone(&self.admission.client.name),
            owner: Arc::clone(&self.visitor.owner),
        }
    }
}

/// Lets the sender of `request` in; `is_public` lets everybody in.
///
/// # Errors
/// 401 `invalid_api_key`.
pub(super) fn admit(
    snapshot: &Snapshot,
    request: &salvo::Request,
    is_public: bool,
) -> Result<Admitted, Error> {
    let headers = request.headers();
    let header = text(headers, AUTHORIZATION.as_str());
    let team = TEAM_HEADERS
        .iter()
        .find_map(|name| text(headers, name).filter(|team| !team.trim().is_empty()));
    let presented = Presented::read(header, team);
    let (admission, credential) = if is_public {
        (Arc::new(Admission::anonymous()), None)
    } else {
        known(&snapshot.keys, header, presented.authorization)?
    };
    let owner = owner(&admission, credential.as_ref(), presented.team.as_deref());
    let brought = match credential {
        None => Brought::Nothing,
        Some(_) if !snapshot.config().auth.upstream_tokens => Brought::Refused,
        Some(credential) => Brought::Credential {
            credential,
            team: presented.team,
        },
    };
    let visitor = Visitor {
        owner,
        brought,
        origin: origin(snapshot, request),
    };
    Ok(Admitted { admission, visitor })
}

/// Compares with the keys first: what is one is never taken for a token.
fn known(
    keys: &ClientKeys,
    header: Option<&str>,
    authorization: Authorization,
) -> Result<(Arc<Admission>, Option<Credential>), Error> {
    let now = SystemTime::now();
    let refused = match keys.admit(header.map(bare), now) {
        Ok(admission) if !keys.is_empty() => return Ok((admission, None)),
        Ok(admission) => {
            let credential = match authorization {
                Authorization::One(credential) | Authorization::Two { credential, .. } => {
                    Some(credential)
                }
                Authorization::Absent => None,
            };
            // SDKs send some word where no key is asked for.
            let credential = credential.filter(|known| !matches!(known, Credential::Other(_)));
            return Ok((admission, credential));
        }
        Err(refused) => refused,
    };
    match authorization {
        Authorization::Absent => Err(refused),
        Authorization::One(credential) => match keys.admit(Some(word(&credential)), now) {
            // A workspace is a plain word; a list of keys is nobody's key.
            Ok(admission) if !after_comma(header).contains(char::is_whitespace) => {
                Ok((admission, None))
            }
            Ok(_) => Err(refused),
            Err(_) if matches!(credential, Credential::Other(_)) => Err(refused),
            Err(_) => Err(unknown(
                "this gateway asks for a key of its own beside a ChatGPT token; send both as `Authorization: Bearer KEY TOKEN`",
            )),
        },
        Authorization::Two { key, credential } => {
            let admission = keys.admit(Some(key.expose_secret()), now)?;
            if matches!(credential, Credential::Other(_)) {
                return Err(unknown(
                    "the second word of `Authorization` is no ChatGPT token and no device id",
                ));
            }
            Ok((admission, Some(credential)))
        }
    }
}

/// What stands behind the first comma.
fn after_comma(header: Option<&str>) -> &str {
    let behind = header.and_then(|header| header.split_once(','));
    behind.map_or("", |(_, behind)| behind.trim())
}

fn unknown(message: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        Origin::Downstream,
        "invalid_api_key",
        message,
    )
}

fn word(credential: &Credential) -> &str {
    match credential {
        Credential::AccessToken(secret)
        | Credential::RefreshToken(secret)
        | Credential::Other(secret) => secret.expose_secret(),
        Credential::Device(id) => id,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The value behind `Bearer` in any case, or the whole of it.
fn bare(value: &str) -> &str {
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        Some(_) | None => value,
    }
}

/// People who come with tokens of their own share a key, or none at all, but not what they store.
fn owner(admission: &Admission, credential: Option<&Credential>, team: Option<&str>) -> Arc<str> {
    let key_owner = &admission.client.owner;
    let Some(credential) = credential else {
        return Arc::clone(key_owner);
    };
    let mut digest = Sha256::new_with_prefix(word(credential));
    digest.update([0]);
    digest.update(team.unwrap_or_default());
    let mut owner = format!("{key_owner}-");
    for byte in digest.finalize().iter().take(8) {
        // Writing to a string cannot fail.
        write!(owner, "{byte:02x}").unwrap_or_default();
    }
    owner.into()
}

/// The address that the client used, for links in answers.
fn origin(snapshot: &Snapshot, request: &salvo::Request) -> Option<String> {
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| text(request.headers(), HOST.as_str()))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    if host.is_empty() || !host.chars().all(is_plain) {
        return None;
    }
    let scheme = match snapshot.tls {
        Some(_) => "https",
        None => "http",
    };
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use aurora_config::{Auth, ClientKey, KeySecret, Limits};

    use super::*;
    use crate::limits::Ledger;
    use crate::store::Store;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";

    fn keys(secrets: &[&str]) -> ClientKeys {
        let key = |secret: &&str| ClientKey {
            name: (*secret).to_owned(),
            secret: KeySecret::Plain((*secret).into()),
            models: None,
            routes: None,
            expires: None,
            limits: Limits::default(),
        };
        let auth = Auth {
            keys: secrets.iter().map(key).collect(),
            open: false,
            upstream_tokens: true,
        };
        ClientKeys::new(&auth, &Ledger::new(&Store::in_memory()))
    }

    /// The key's name and the kind of what was brought, or nothing where the sender is turned away.
    fn admitted(keys: &ClientKeys, header: &str) -> Option<(String, &'static str)> {
        let presented = Presented::read(Some(header), None);
        let (admission, credential) = known(keys, Some(header), presented.authorization).ok()?;
        let kind = match credential {
            None => "nothing",
            Some(Credential::AccessToken(_)) => "token",
            Some(Credential::Device(_)) => "device",
            Some(Credential::RefreshToken(_)) => "refresh",
            Some(Credential::Other(_)) => "other",
        };
        Some((admission.client.name.to_string(), kind))
    }

    #[test]
    fn keys_let_in_and_tokens_come_along() {
        let keys = keys(&["sk-1", "with blank"]);
        let in_as = |name: &str, kind| Some((name.to_owned(), kind));

        for value in [
            "Bearer sk-1",
            "bearer sk-1",
            "BEARER   sk-1 ",
            "sk-1",
            "Bearer sk-1,team",
        ] {
            assert_eq!(admitted(&keys, value), in_as("sk-1", "nothing"), "{value}");
        }
        assert_eq!(
            admitted(&keys, "Bearer with blank"),
            in_as("with blank", "nothing")
        );
        assert_eq!(
            admitted(&keys, &format!("Bearer sk-1 {JWT},team")),
            in_as("sk-1", "token")
        );
        for value in [
            "",
            "Bearer",
            "Bearer sk",
            "Bearer sk-12",
            "Bearer sk-1 sk-1",
            "Bearer sk-9 sk-1",
            "Bearer sk-1, Bearer sk-1",
            &format!("Bearer {JWT}"),
            &format!("Bearer sk-9 {JWT}"),
        ] {
            assert_eq!(admitted(&keys, value), None, "{value}");
        }
    }

    #[test]
    fn an_open_gateway_takes_tokens_and_ignores_other_words() {
        let keys = keys(&[]);
        let kind = |header: &str| admitted(&keys, header).map(|(_, kind)| kind);

        assert_eq!(kind("Bearer anything"), Some("nothing"));
        assert_eq!(kind(""), Some("nothing"));
        assert_eq!(kind(&format!("Bearer {JWT}")), Some("token"));
        assert_eq!(kind(&format!("Bearer old-key {JWT}")), Some("token"));
        assert_eq!(
            kind("Bearer 5d0a1c11-0a01-4b6e-8d6a-0d6a00000003"),
            Some("device")
        );
        assert_eq!(kind(&format!("Bearer {}", "r".repeat(70))), Some("refresh"));
    }

    #[test]
    fn who_brings_a_token_owns_things_apart() {
        let admission = Admission::anonymous();
        let owner = |token: &str, team| {
            owner(
                &admission,
                Some(&Credential::AccessToken(token.into())),
                team,
            )
        };

        assert_eq!(owner("a", None), owner("a", None));
        assert_ne!(owner("a", None), owner("b", None));
        assert_ne!(owner("a", Some("t")), owner("a", None));
        assert!(!owner("secret", None).contains("secret"));
    }
}
