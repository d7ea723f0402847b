use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_772_000_000;
const NAME: &str = "__Secure-next-auth.session-token";

fn fixture(section: &str) -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/bodies/auth.json"
    );
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    all[section].clone()
}

fn refresh(case: &Value) -> Result<Issued, IssueError> {
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    read_refresh(
        status,
        "application/json",
        case["body"].to_string().as_bytes(),
    )
}

fn session(cookies: &[&str], body: &Value) -> Result<Issued, IssueError> {
    read_session(
        200,
        "application/json",
        cookies,
        body.to_string().as_bytes(),
        NOW,
    )
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

fn rotated(issued: Result<Issued, IssueError>) -> Option<String> {
    let rotated = issued.unwrap().rotated;
    rotated.map(|token| token.expose_secret().to_owned())
}

#[test]
fn the_refresh_request_is_the_documented_one() {
    let fixture = fixture("oauth_refresh");
    let text = |key: &str| fixture["body"][key].as_str().unwrap().to_owned();
    let settings = RefreshSettings {
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
    };

    let body = refresh_request(&settings, &secret("<refresh token>"));

    assert_eq!(body, fixture["body"]);
}

#[test]
fn refresh_answers_are_read() {
    let fixture = fixture("oauth_refresh");

    let issued = refresh(&fixture["ok"]).unwrap();

    assert!(issued.access_token.expose_secret().starts_with("eyJ"));
    assert!(issued.rotated.is_some());
    assert_eq!(issued.expires_in, Some(Duration::from_hours(240)));
    let kept = json!({ "status": 200, "body": { "access_token": "eyJ", "refresh_token": "" } });
    assert_eq!(rotated(refresh(&kept)), None);
    let used = refresh(&fixture["used"]).unwrap_err();
    assert!(
        matches!(&used, IssueError::Dead(why) if why.starts_with("refresh_token_reused: Your"))
    );
    let invalid = refresh(&fixture["invalid"]).unwrap_err();
    let words = "invalid_grant: Unknown or invalid refresh token.";
    assert_eq!(invalid, IssueError::Dead(words.to_owned()));
    let rate = refresh(&fixture["rate"]).unwrap_err();
    assert!(matches!(rate, IssueError::Later { .. }), "{rate:?}");
}

#[test]
fn a_refusal_that_can_be_mended_leaves_the_refresh_token_alive() {
    let table = [
        (401, json!({ "error": "invalid_client" })),
        (400, json!({ "error": { "code": "invalid_request" } })),
        (500, json!({ "error": "invalid_grant" })),
        (403, json!({ "detail": "no" })),
        (200, json!({ "access_token": " " })),
        (200, json!({ "token_type": "Bearer" })),
    ];

    for (status, body) in table {
        let error = refresh(&json!({ "status": status, "body": body })).unwrap_err();
        assert!(matches!(error, IssueError::Later { .. }), "{body} {error}");
    }
    let page = b"<html><title>Just a moment...</title> secret</html>";
    let error = read_refresh(403, "text/html", page).unwrap_err();
    assert!(matches!(&error, IssueError::Challenge(why) if !why.contains("secret")));
    let error = read_refresh(502, "text/html", b"<html>secret</html>").unwrap_err();
    assert!(matches!(&error, IssueError::Later { message, .. } if !message.contains("secret")));
}

#[test]
fn a_wait_of_the_header_counts_where_the_body_has_none() {
    let wait = Some(Duration::from_secs(7));
    let known = Some(Duration::from_secs(3));
    let later = |retry_after| IssueError::Later {
        message: "no".to_owned(),
        retry_after,
    };

    assert_eq!(later(None).or_retry_after(wait), later(wait));
    assert_eq!(later(known).or_retry_after(wait), later(known));
}

#[test]
fn a_long_session_token_travels_in_pieces_and_comes_back_whole() {
    let short = session_cookies(&secret("abc"));
    assert_eq!(short, format!("{NAME}=abc"));
    let token: String = (0..9000)
        .map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap()))
        .collect();

    let cookies = session_cookies(&secret(&token));

    let pieces: Vec<&str> = cookies.split("; ").collect();
    assert_eq!(pieces.len(), 3);
    assert!(pieces[2].starts_with(&format!("{NAME}.2=")));
    assert!(pieces.iter().all(|piece| piece.len() <= 4096));
    let back: Vec<String> = pieces
        .iter()
        .rev()
        .map(|piece| format!("{piece}; Path=/; HttpOnly"))
        .collect();
    let back: Vec<&str> = back.iter().map(String::as_str).collect();
    let issued = session(&back, &json!({ "accessToken": "eyJ" }));
    assert_eq!(rotated(issued), Some(token));
}

#[test]
fn the_documented_session_answers_are_read() {
    let fixture = fixture("session");
    let ok = &fixture["ok"];
    let cookie = ok["headers"]["set-cookie"].as_str().unwrap();

    let issued = session(&[cookie], &ok["body"]).unwrap();

    assert!(issued.access_token.expose_secret().starts_with("eyJ"));
    assert_eq!(rotated(Ok(issued)).as_deref(), Some("<NEW session token>"));
    let chunked = fixture["ok_chunked_cookie"]["headers_multi"]
        .as_array()
        .unwrap();
    let chunked: Vec<&str> = chunked
        .iter()
        .map(|pair| pair[1].as_str().unwrap())
        .collect();
    let issued = session(&chunked, &ok["body"]);
    assert_eq!(
        rotated(issued).as_deref(),
        Some("<first part><second part>")
    );
    for case in ["dead_token", "error_field"] {
        let error = session(&[cookie], &fixture[case]["body"]).unwrap_err();
        assert!(matches!(error, IssueError::Dead(_)), "{case} {error:?}");
    }
}

#[test]
fn a_cookie_that_is_taken_away_is_never_a_token() {
    let body = json!({ "accessToken": "eyJ" });
    let gone = [
        format!("{NAME}=; Path=/"),
        format!("{NAME}=x; Max-Age=0"),
        format!("{NAME}=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        format!("{NAME}=x; expires=Thu, 01-Jan-1970 00:00:00 GMT"),
        format!("{NAME}.0=\"\""),
    ];
    for cookie in &gone {
        let error = session(&[cookie], &body).unwrap_err();
        assert!(matches!(error, IssueError::Dead(_)), "{cookie}");
    }
    let kept = [
        (vec![], None),
        (vec!["other=1".to_owned()], None),
        (vec![format!("{NAME}s=1")], None),
        (
            vec![format!(
                "{NAME}=n; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
            )],
            Some("n"),
        ),
        (
            vec![
                format!("{NAME}.0=a"),
                format!("{NAME}.1=b"),
                format!("{NAME}.2=; Max-Age=0"),
            ],
            Some("ab"),
        ),
        (vec![format!("{NAME}.0=a"), format!("{NAME}.2=c")], None),
        (vec![format!("{NAME}.1=b")], None),
        (
            vec![format!("{NAME}.0=; Max-Age=0"), format!("{NAME}=whole")],
            Some("whole"),
        ),
    ];

    for (cookies, expected) in kept {
        let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
        assert_eq!(
            rotated(session(&cookies, &body)).as_deref(),
            expected,
            "{cookies:?}"
        );
    }
}

#[test]
fn a_session_answer_that_is_none_says_why() {
    let page = b"<html><title>Just a moment...</title></html>";
    let read = |status, content_type, body: &[u8]| {
        read_session(status, content_type, &[], body, NOW).unwrap_err()
    };

    assert!(matches!(
        read(403, "text/html", page),
        IssueError::Challenge(_)
    ));
    assert!(matches!(
        read(200, "text/html", page),
        IssueError::Later { .. }
    ));
    assert!(matches!(
        read(401, "application/json", b"{}"),
        IssueError::Dead(_)
    ));
    assert!(matches!(
        read(200, "application/json", b"{}"),
        IssueError::Dead(_)
    ));
    let busy = read(
        429,
        "application/json",
        br#"{"detail":{"message":"slow","clears_in":90}}"#,
    );
    let wait = Some(Duration::from_secs(90));
    assert!(matches!(busy, IssueError::Later { retry_after, .. } if retry_after == wait));
}
