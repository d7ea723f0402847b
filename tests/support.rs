//! What the tests share.

use aurora_testkit::{Builder, FakeUpstream};
use serde_json::Value;

/// The binary under test with `config`: `AURORA_BINARY`, or the one that was built with the tests.
pub(crate) fn aurora(config: &str) -> Builder {
    let asked = std::env::var_os("AURORA_BINARY");
    let binary = asked.map(|path| std::path::absolute(path).unwrap());
    Builder::new(
        binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_aurora").into()),
        config,
    )
}

/// The binary in front of `upstream`, with every endpoint that Aurora has.
pub(crate) fn in_front_of(upstream: &FakeUpstream) -> Builder {
    aurora(&config(upstream, ""))
}

/// A config whose routes all lead to `upstream`; `settings` go into its `[upstreams.fake]`.
pub(crate) fn config(upstream: &FakeUpstream, settings: &str) -> String {
    let url = upstream.url();
    let routes = routes("\"fake\"");
    format!("[upstreams.fake]\nprotocol = \"openai\"\nbase_url = \"{url}\"\n{settings}\n\n{routes}")
}

/// Routes for every endpoint to `upstream`, as TOML.
pub(crate) fn routes(upstream: &str) -> String {
    let table = [
        ("/v1/chat/completions", "chat"),
        ("/v1/responses", "responses"),
        ("/v1/responses/{*rest}", "responses"),
        ("/v1/models", "models"),
        ("/v1/models/{*rest}", "models"),
        ("/v1/files", "files"),
        ("/v1/files/{*rest}", "files"),
        ("/v1/images/generations", "images"),
        ("/v1/images/edits", "images"),
        ("/v1/images/variations", "images"),
        ("/v1/audio/speech", "tts"),
        ("/v1/audio/transcriptions", "transcribe"),
        ("/v1/audio/translations", "transcribe"),
        ("/v1/{*rest}", "passthrough"),
    ];
    table
        .map(|(path, plugin)| {
            format!("[[routes]]\npath = \"{path}\"\nplugin = \"{plugin}\"\nupstream = {upstream}\n")
        })
        .join("\n")
}

/// Settings of an upstream with a pool of `tokens`, for [`config`].
pub(crate) fn pool(tokens: &[&str]) -> String {
    format!("tokens = \"t\"\n[tokens.t]\nvalues = {tokens:?}\n")
}

/// An upstream called `name`, as TOML.
pub(crate) fn upstream(name: &str, fake: &FakeUpstream, settings: &str) -> String {
    let url = fake.url();
    format!("[upstreams.{name}]\nprotocol = \"openai\"\nbase_url = \"{url}\"\n{settings}\n\n")
}

/// A chat route to `upstream`, with `settings`, as TOML.
pub(crate) fn chat_route(upstream: &str, settings: &str) -> String {
    format!(
        "[[routes]]\npath = \"/v1/chat/completions\"\nplugin = \"chat\"\nupstream = {upstream}\n{settings}\n\n"
    )
}

/// An error answer of Aurora's own.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// Seconds of `Retry-After`.
    pub(crate) retry_after: Option<u64>,
}

/// Reads an error answer of Aurora's own and checks what holds for every one of them.
pub(crate) async fn refusal(response: reqwest::Response) -> Refusal {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert!(status >= 400, "{status}: {text}");
    assert_eq!(headers["content-type"], "application/json", "{text}");
    assert!(headers.contains_key("x-request-id"));
    let body: Value = serde_json::from_str(&text).unwrap();
    let members: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["code", "message", "param", "type"], "{text}");
    let text = |name: &str| body["error"][name].as_str().map(str::to_owned);
    Refusal {
        status,
        code: text("code").unwrap(),
        kind: text("type").unwrap(),
        message: text("message").unwrap(),
        param: text("param"),
        retry_after: headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap().parse().unwrap()),
    }
}
