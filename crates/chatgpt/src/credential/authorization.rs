//! The forms of the `Authorization` header.

use secrecy::SecretString;

/// Headers that name a workspace, in the order in which they are looked at; they win over the header's comma.
pub const TEAM_HEADERS: [&str; 3] = [
    "ChatGPT-Account-ID",
    "Team-Account-ID",
    "X-ChatGPT-Account-ID",
];

/// From this length on, a token that is no JWT is a refresh token.
const MIN_REFRESH_CHARS: usize = 65;

/// What a client presents.
#[derive(Debug, Clone)]
pub struct Presented {
    /// The header.
    pub authorization: Authorization,
    /// The workspace to work in.
    pub team: Option<String>,
}

/// The words of the header.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// There is none.
    Absent,
    /// One word: a key of the gateway or a credential of the client. Compare with the keys first.
    One(Credential),
    /// Two words: a key of the gateway, then the client's own credential.
    Two {
        /// The key.
        key: SecretString,
        /// The credential.
        credential: Credential,
    },
}

/// What a word looks like.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An access token (a JWT).
    AccessToken(SecretString),
    /// The id of a device (a UUID).
    Device(String),
    /// A refresh token.
    RefreshToken(SecretString),
    /// Something else: a key of the gateway, or nothing that is known.
    Other(SecretString),
}

impl Presented {
    /// Reads the header; `team` is the first value of a header of [`TEAM_HEADERS`].
    ///
    /// `Bearer` may have any case or be missing; after the first comma stands a workspace.
    pub fn read(header: Option<&str>, team: Option<&str>) -> Self {
        let header = header.unwrap_or("").trim();
        let (first, rest) = header
            .split_once(char::is_whitespace)
            .unwrap_or((header, ""));
        let bare = if first.eq_ignore_ascii_case("bearer") {
            rest
        } else {
            header
        };
        let (bare, after) = bare.split_once(',').unwrap_or((bare, ""));
        let full = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let team = team.and_then(full).or_else(|| full(after));
        let mut words = bare.split_whitespace();
        let authorization = match (words.next(), words.next()) {
            (None, _) => Authorization::Absent,
            (Some(word), None) => Authorization::One(Credential::of(word, team.is_some())),
            (Some(key), Some(word)) => Authorization::Two {
                key: key.to_owned().into(),
                credential: Credential::of(word, team.is_some()),
            },
        };
        Self {
            authorization,
            team,
        }
    }
}

impl Credential {
    fn of(word: &str, has_team: bool) -> Self {
        let secret = || SecretString::from(word.to_owned());
        if word.starts_with("eyJ") {
            Self::AccessToken(secret())
        } else if is_uuid(word) {
            Self::Device(word.to_lowercase())
        } else if has_team || word.len() >= MIN_REFRESH_CHARS {
            Self::RefreshToken(secret())
        } else {
            Self::Other(secret())
        }
    }
}

fn is_uuid(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.concat().chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn word(credential: &Credential) -> String {
        match credential {
            Credential::AccessToken(token) => format!("access {}", token.expose_secret()),
            Credential::Device(id) => format!("device {id}"),
            Credential::RefreshToken(token) => format!("refresh {}", token.expose_secret().len()),
            Credential::Other(word) => format!("other {}", word.expose_secret()),
        }
    }

    fn read(header: &str, team: Option<&str>) -> (String, Option<String>) {
        let presented = Presented::read(Some(header), team);
        let words = match &presented.authorization {
            Authorization::Absent => "absent".to_owned(),
            Authorization::One(credential) => word(credential),
            Authorization::Two { key, credential } => {
                format!("{} + {}", key.expose_secret(), word(credential))
            }
        };
        (words, presented.team)
    }

    #[test]
    fn every_form_is_read() {
        let long = "r".repeat(65);
        let uuid = "5D0A1C11-0a01-4b6e-8d6a-0d6a00000003";
        let table = [
            ("", "absent", None),
            ("Bearer", "absent", None),
            ("Bearer key", "other key", None),
            ("bEARER   key ", "other key", None),
            ("key", "other key", None),
            ("Bearer eyJa.b.c", "access eyJa.b.c", None),
            ("Bearer eyJa.b.c,team", "access eyJa.b.c", Some("team")),
            ("Bearer eyJa.b.c, team ", "access eyJa.b.c", Some("team")),
            ("Bearer eyJa.b.c,", "access eyJa.b.c", None),
            ("Bearer eyJa.b.c,a,b", "access eyJa.b.c", Some("a,b")),
            (
                "Bearer key eyJa.b.c,team",
                "key + access eyJa.b.c",
                Some("team"),
            ),
            ("Bearer short,team", "refresh 5", Some("team")),
        ];

        for (header, words, team) in table {
            assert_eq!(
                read(header, None),
                (words.to_owned(), team.map(str::to_owned)),
                "{header}"
            );
        }
        assert_eq!(
            read(uuid, None).0,
            "device 5d0a1c11-0a01-4b6e-8d6a-0d6a00000003"
        );
        assert_eq!(read(&format!("Bearer {long}"), None).0, "refresh 65");
        assert!(matches!(
            Presented::read(None, None).authorization,
            Authorization::Absent
        ));
    }

    #[test]
    fn a_header_wins_over_the_comma() {
        assert_eq!(
            read("Bearer eyJx,comma", Some("header")).1.as_deref(),
            Some("header")
        );
        assert_eq!(
            read("Bearer eyJx,comma", Some(" ")).1.as_deref(),
            Some("comma")
        );
    }

    #[test]
    fn no_secret_is_printed() {
        let presented = Presented::read(Some("Bearer key eyJsecret"), None);

        let shown = format!("{presented:?}");

        assert!(
            !shown.contains("key eyJ") && !shown.contains("secret\"") && !shown.contains("eyJ")
        );
    }
}
