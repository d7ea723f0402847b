//! Names of accounts.

use std::fmt;
use std::str::FromStr;

use aurora_chatgpt::credential::AccountKey;

/// How many hexadecimal digits an id has.
const DIGITS: usize = 16;

/// Names an account: a hash over the person and the workspace, 16 hexadecimal digits.
///
/// Safe for logs, status and the store, and the same after a restart. What it is made of is what the token says of itself,
/// which nobody has verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

/// The text is no id of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account's id has {DIGITS} hexadecimal digits")]
pub struct BadAccountId;

impl AccountId {
    pub(crate) fn of(key: &AccountKey) -> Self {
        Self(key.fingerprint())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccountId {
    type Err = BadAccountId;

    fn from_str(text: &str) -> Result<Self, BadAccountId> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == DIGITS && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadAccountId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_being_written_down() {
        let key = AccountKey::of(&"secret".to_owned().into(), Some("team"));
        let id = AccountId::of(&key);

        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_eq!(id.as_str().len(), DIGITS);
        for text in ["", "0123", "0123456789abcdeg", "0123456789ABCDEF"] {
            assert_eq!(text.parse::<AccountId>(), Err(BadAccountId), "{text}");
        }
    }
}
