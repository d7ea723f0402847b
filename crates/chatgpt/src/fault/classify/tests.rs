use serde_json::json;

use super::*;
use crate::fault::Blame;

fn fixture(name: &str) -> Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bodies");
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn classify(case: &Value) -> Fault {
    let body = match &case["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let headers = &case["headers"];
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    Refusal {
        status,
        content_type: headers["content-type"].as_str().unwrap_or(""),
        is_mitigated: headers["cf-mitigated"] == "challenge",
        retry_after: None,
        body: body.as_bytes(),
    }
    .classify()
}

#[test]
fn every_case_of_the_table_has_its_code() {
    let fixture = fixture("upstream_errors.json");
    for (name, case) in fixture["cases"].as_object().unwrap() {
        if name == "ok_empty" {
            continue;
        }
        let fault = classify(case);

        let client = &case["client"];
        assert_eq!(fault.kind.code(), client["body"]["error"]["code"], "{name}");
        let status = client["status"].as_u64().unwrap();
        let expected = if matches!(status, 401 | 403) {
            502
        } else {
            status
        };
        assert_eq!(u64::from(fault.kind.status()), expected, "{name}");
        assert!(
            !fault.message.contains('<') && !fault.message.is_empty(),
            "{name}"
        );
        if let Some(seconds) = client["headers"]["retry-after"].as_str() {
            let wait = fault.clears_in.unwrap().as_secs().to_string();
            assert_eq!(wait, seconds, "{name}");
        }
    }
}

#[test]
fn a_challenge_is_named_and_its_page_never_shown() {
    let page = "<html><title>Just a moment...</title> secret page</html>";
    for (status, content_type) in [
        (403, "text/html"),
        (503, "text/html; charset=UTF-8"),
        (429, ""),
    ] {
        let refusal = Refusal {
            status,
            content_type,
            body: page.as_bytes(),
            ..Refusal::default()
        };
        let fault = refusal.classify();

        assert_eq!(fault.kind, FaultKind::Challenge, "{status}");
        assert!(!fault.message.contains("secret"));
        assert_eq!(fault.kind.blame(), Blame::Upstream);
        assert!(!fault.kind.is_worth_another_account());
    }
}

#[test]
fn flags_of_the_gate_are_read() {
    let fixture = fixture("challenge_flags.json");

    assert_eq!(of_gate(&fixture["no_challenge"]["body"]), None);
    assert_eq!(
        of_gate(&fixture["challenge"]["body"]),
        Some(FaultKind::Challenge)
    );
    assert_eq!(
        of_gate(&fixture["force_login"]["body"]),
        Some(FaultKind::TokenInvalid)
    );
}

#[test]
fn a_cap_is_the_models_and_a_retry_after_is_kept() {
    let body = json!({"detail": {"message": "limit", "clears_in": 30}}).to_string();
    let refusal = Refusal {
        status: 429,
        retry_after: Some("7"),
        body: body.as_bytes(),
        ..Refusal::default()
    };
    let cap = refusal.classify();
    let plain = Refusal {
        body: b"{}",
        ..refusal
    };

    assert_eq!(
        (cap.kind.blame(), cap.clears_in.unwrap().as_secs()),
        (Blame::Model, 30)
    );
    assert_eq!(plain.classify().clears_in.unwrap().as_secs(), 7);
}

#[test]
fn errors_of_streams_and_tools_are_classified_too() {
    let stream = |message: &str, code: Option<&str>| {
        let (message, code) = (message.to_owned(), code.map(str::to_owned));
        Fault::from(&StreamError::Upstream { message, code }).kind
    };
    let tool = |text: &str| {
        let (tool, name, text) = (
            "dalle.text2im".to_owned(),
            "Exception".to_owned(),
            text.to_owned(),
        );
        Fault::from(&ToolFault { tool, name, text })
    };

    assert_eq!(stream("Something went wrong", None), FaultKind::StreamError);
    assert_eq!(
        stream("x", Some("content_policy_violation")),
        FaultKind::ContentPolicy
    );
    assert_eq!(stream("Too many requests", None), FaultKind::RateLimited);
    assert_eq!(
        Fault::from(&StreamError::Truncated).kind.code(),
        "upstream_stream_truncated"
    );
    let limit = tool("You're generating images too quickly. Please wait for 14 minutes.");
    assert_eq!(
        (limit.kind, limit.clears_in.unwrap().as_secs()),
        (FaultKind::ImageLimit, 840)
    );
    assert_eq!(tool("boom").kind, FaultKind::StreamError);
}
