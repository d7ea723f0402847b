//! What an access token says of itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A token is treated as expired so many seconds ahead: a request takes time.
const MARGIN_SECS: u64 = 60;

/// Claims of a JWT. The signature is not checked: the service does that, this only tells accounts apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The account or workspace that the token is for.
    pub account_id: Option<String>,
    /// The person.
    pub user_id: Option<String>,
    /// `free`, `plus`, `pro`, `team`, `enterprise`.
    pub plan: Option<String>,
    /// The person's address; not for logs.
    pub email: Option<String>,
    /// Seconds since 1970.
    pub expires_at: Option<u64>,
}

impl Claims {
    /// Reads the middle segment of a JWT; `None` when the token is no JWT.
    pub fn read(token: &SecretString) -> Option<Self> {
        let mut segments = token.expose_secret().split('.');
        let (_, payload, _) = (segments.next()?, segments.next()?, segments.next()?);
        if segments.next().is_some() {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let payload: Value = serde_json::from_slice(&payload).ok()?;
        let payload = payload.as_object()?;
        let inner = |claim: &str, key: &str| {
            let text = payload.get(claim)?.get(key)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        let auth = "https://api.openai.com/auth";
        let expires = payload.get("exp");
        Some(Self {
            account_id: inner(auth, "chatgpt_account_id"),
            user_id: inner(auth, "chatgpt_user_id").or_else(|| inner(auth, "user_id")),
            plan: inner(auth, "chatgpt_plan_type"),
            email: inner("https://api.openai.com/profile", "email"),
            expires_at: expires.and_then(Value::as_u64),
        })
    }

    /// Whether the token is expired at `now` (seconds since 1970) or will be within a minute.
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires_at
            .is_some_and(|at| at <= now.saturating_add(MARGIN_SECS))
    }
}

/// Tells accounts apart: who it is, in which workspace.
///
/// Who: the user id, else the account id, else a hash of the token, so tokens without claims never collapse. Workspace:
/// the team id that was given, else the token's own account, so one person's workspaces stay apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    who: String,
    workspace: Option<String>,
}

impl AccountKey {
    /// The key of a token and the team id beside it.
    pub fn of(token: &SecretString, team: Option<&str>) -> Self {
        let claims = Claims::read(token).unwrap_or_default();
        let who = claims.user_id.or_else(|| claims.account_id.clone());
        let workspace = team.map(str::to_owned).or(claims.account_id);
        Self {
            who: who.unwrap_or_else(|| hash(token)),
            workspace,
        }
    }

    /// 16 hexadecimal digits that stand for the key: the same in every process, and nothing of it can be read back.
    pub fn fingerprint(&self) -> String {
        let workspace = self.workspace.as_deref();
        let mut hash = Sha256::new();
        // The length parts the two, and tells no workspace from an empty one.
        hash.update(self.who.len().to_be_bytes());
        hash.update(&self.who);
        hash.update([u8::from(workspace.is_some())]);
        hash.update(workspace.unwrap_or_default());
        hexadecimal(hash.finalize().iter().take(8))
    }
}

fn hash(token: &SecretString) -> String {
    hexadecimal(
        Sha256::digest(token.expose_secret().as_bytes())
            .iter()
            .take(16),
    )
}

fn hexadecimal<'b>(bytes: impl Iterator<Item = &'b u8>) -> String {
    let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &Value) -> SecretString {
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        format!("eyJhbGciOiJSUzI1NiJ9.{payload}.sig").into()
    }

    fn example() -> Value {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/bodies/auth.json"
        );
        let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        fixture["jwt_payload_example"].clone()
    }

    #[test]
    fn claims_are_read_without_the_signature() {
        let claims = Claims::read(&token(&example())).unwrap();

        assert_eq!(
            claims.account_id.as_deref(),
            Some("11111111-2222-4333-8444-555555555555")
        );
        assert_eq!(
            claims.user_id.as_deref(),
            Some("user-fakefakefakefakefakefake")
        );
        assert_eq!(
            (claims.plan.as_deref(), claims.email.as_deref()),
            (Some("plus"), Some("op@example.org"))
        );
        assert!(!claims.is_expired(1_772_813_900) && claims.is_expired(1_772_813_940));
        assert!(!Claims::default().is_expired(u64::MAX));
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        for text in ["", "a.b", "a.b.c", "a.!.c", "a.b.c.d", "eyJ.eyJ.x"] {
            assert_eq!(Claims::read(&text.to_owned().into()), None, "{text}");
        }
    }

    #[test]
    fn keys_tell_people_and_workspaces_apart() {
        let key = |text: &str, team| AccountKey::of(&text.to_owned().into(), team);
        let claimed = token(&example());

        assert_eq!(
            AccountKey::of(&claimed, None),
            AccountKey::of(&claimed, None)
        );
        assert_ne!(
            AccountKey::of(&claimed, Some("t1")),
            AccountKey::of(&claimed, Some("t2"))
        );
        assert_ne!(key("a", None), key("b", None));
        assert_ne!(key("a", None), key("a", Some("t")));
        assert!(!format!("{:?}", key("secret", None)).contains("secret"));
        let fingerprint = AccountKey::of(&claimed, Some("t1")).fingerprint();
        assert_eq!(fingerprint, "70f2bda8713c7840");
        assert_ne!(
            fingerprint,
            AccountKey::of(&claimed, Some("t2")).fingerprint()
        );
    }
}
