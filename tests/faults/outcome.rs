//! What a client, the log and the metrics say of one request.

use aurora_testkit::{Aurora, eventually};
use serde_json::Value;

use super::endpoints::{Endpoint, Reads};

/// How the body ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// An error event, no end marker, and the transfer broken off.
    Event,
    /// The transfer broken off.
    Broken,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// The error's code, in the body or in the error event; empty where there is none.
    pub(super) code: String,
    /// Seconds of `Retry-After`.
    pub(super) retry_after: Option<u64>,
    pub(super) ending: Ending,
    /// `end` and `error` of the log line.
    pub(super) log: (String, String),
    /// The outcome of the first attempt, as the metrics count it.
    pub(super) outcome: String,
    pub(super) attempts: u64,
}

/// Sends the request and looks at everything.
pub(super) async fn request(aurora: &Aurora, fault: &str, endpoint: &Endpoint) -> Seen {
    let id = format!("{}-{}", fault.replace([' ', ','], "-"), endpoint.name);
    let before = outcomes(aurora, endpoint).await;
    let request = endpoint.build(aurora).header("x-request-id", &id);
    let mut response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_eq!(headers["x-request-id"], id.as_str());
    let mut body = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let (code, ending) = told(endpoint, status, (&headers, &text), is_whole);
    let log = log_line(aurora, &id).await;
    let after = outcomes(aurora, endpoint).await;
    let new: Vec<&str> = after
        .iter()
        .filter(|(name, count)| {
            before
                .iter()
                .find(|(known, _)| known == name)
                .is_none_or(|(_, old)| old < count)
        })
        .map(|(name, _)| name.as_str())
        .collect();
    Seen {
        status,
        code,
        retry_after: headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap().parse().unwrap()),
        ending,
        outcome: new.join(" "),
        attempts: field(&log, "attempts").parse().unwrap(),
        log: (field(&log, "end"), field(&log, "error")),
    }
}

/// The error that the client is told, and how.
fn told(
    endpoint: &Endpoint,
    status: u16,
    (headers, text): (&reqwest::header::HeaderMap, &str),
    is_whole: bool,
) -> (String, Ending) {
    if status >= 400 {
        assert!(is_whole, "{text}");
        return (body_code(headers, text), Ending::Whole);
    }
    let code = match endpoint.reads {
        Reads::Stream => event_code(text),
        Reads::Json | Reads::Bytes => None,
    };
    let is_done = text.contains("data: [DONE]") || text.contains("event: response.completed");
    assert!(
        !is_done || code.is_none(),
        "no end marker beside an error: {text}"
    );
    let ending = match (is_whole, &code) {
        (true, None) => Ending::Whole,
        (false, Some(_)) => Ending::Event,
        (false, None) => Ending::Broken,
        (true, Some(code)) => unreachable!("{code} and no break: {text}"),
    };
    (code.unwrap_or_default(), ending)
}

/// Errors before the head are JSON, whoever wrote them.
fn body_code(headers: &reqwest::header::HeaderMap, text: &str) -> String {
    assert_eq!(headers["content-type"], "application/json", "{text}");
    let body: Value = serde_json::from_str(text).unwrap();
    assert!(body["error"]["message"].is_string(), "{text}");
    body["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The code of the error event, whole or not.
fn event_code(text: &str) -> Option<String> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events
        .filter_map(|event| {
            let failed = &event["response"]["error"];
            let error = [&event["error"], failed]
                .into_iter()
                .find(|error| error.is_object())?;
            Some(error["code"].as_str().unwrap_or_default().to_owned())
        })
        .next_back()
}

async fn log_line(aurora: &Aurora, id: &str) -> String {
    let wanted = format!("request_id=\"{id}\"");
    let find = || {
        let output = aurora.output();
        let mut lines = output.lines();
        lines
            .find(|line| line.contains("aurora::access") && line.contains(&wanted))
            .map(str::to_owned)
    };
    eventually("the log line", async || find().is_some()).await;
    find().unwrap()
}

/// A field of a log line; empty where it is not there.
fn field(line: &str, name: &str) -> String {
    let rest = line.split(&format!(" {name}=")).nth(1).unwrap_or_default();
    let value = rest.split(' ').next().unwrap_or_default();
    value.trim_matches('"').to_owned()
}

/// What the metrics count of the upstream that fails.
async fn outcomes(aurora: &Aurora, endpoint: &Endpoint) -> Vec<(String, u64)> {
    let series = format!(
        "aurora_upstream_attempts_total{{upstream=\"{}-bad\",outcome=\"",
        endpoint.name
    );
    let text = aurora.metrics().await;
    text.lines()
        .filter_map(|line| line.strip_prefix(&series)?.split_once("\"} "))
        .map(|(outcome, count)| (outcome.to_owned(), count.parse().unwrap()))
        .collect()
}
