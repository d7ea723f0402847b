//! What the tests share.

use aurora_testkit::{Builder, FakeUpstream};

/// The binary under test with `config`.
pub(crate) fn aurora(config: &str) -> Builder {
    Builder::new(env!("CARGO_BIN_EXE_aurora"), config)
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
