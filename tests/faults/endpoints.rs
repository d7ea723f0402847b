//! The requests of the matrix.

use serde_json::{Value, json};

use aurora_testkit::Aurora;

/// What the client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// One JSON document.
    Json,
    /// An event stream.
    Stream,
    /// Bytes of another kind.
    Bytes,
}

/// One request of the matrix.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) plugin: &'static str,
    pub(super) reads: Reads,
    /// Whether its body is passed on while it comes, so that it cannot be sent twice.
    pub(super) is_upload: bool,
}

const fn endpoint(
    name: &'static str,
    path: &'static str,
    plugin: &'static str,
    reads: Reads,
) -> Endpoint {
    Endpoint {
        name,
        path,
        plugin,
        reads,
        is_upload: false,
    }
}

const fn upload(name: &'static str, path: &'static str, plugin: &'static str) -> Endpoint {
    Endpoint {
        name,
        path,
        plugin,
        reads: Reads::Json,
        is_upload: true,
    }
}

pub(super) static ENDPOINTS: [Endpoint; 12] = [
    endpoint("chat", "/v1/chat/completions", "chat", Reads::Json),
    endpoint(
        "chat-stream",
        "/stream/chat/completions",
        "chat",
        Reads::Stream,
    ),
    endpoint("responses", "/v1/responses", "responses", Reads::Json),
    endpoint(
        "responses-stream",
        "/stream/responses",
        "responses",
        Reads::Stream,
    ),
    endpoint("emulated", "/emulated/responses", "responses", Reads::Json),
    endpoint(
        "emulated-stream",
        "/emulated/stream/responses",
        "responses",
        Reads::Stream,
    ),
    endpoint("models", "/v1/models", "models", Reads::Json),
    endpoint("embeddings", "/v1/embeddings", "passthrough", Reads::Json),
    endpoint("images", "/v1/images/generations", "images", Reads::Json),
    endpoint("speech", "/v1/audio/speech", "tts", Reads::Bytes),
    upload("transcription", "/v1/audio/transcriptions", "transcribe"),
    upload("file", "/v1/files", "files"),
];

impl Endpoint {
    /// What it is, streamed or not.
    fn kind(&self) -> &'static str {
        self.name.strip_suffix("-stream").unwrap_or(self.name)
    }

    /// Whether Aurora answers through the upstream's chat completions.
    pub(super) fn is_emulated(&self) -> bool {
        self.kind() == "emulated"
    }

    fn body(&self) -> Value {
        let stream = self.reads == Reads::Stream;
        match self.kind() {
            "chat" => {
                json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
            }
            "responses" | "emulated" => json!({"model": "m", "stream": stream, "input": "hi"}),
            "embeddings" => json!({"model": "m", "input": "hi"}),
            "images" => json!({"model": "m", "prompt": "a tree"}),
            _ => json!({"model": "m", "input": "hi", "voice": "alloy"}),
        }
    }

    pub(super) fn build(&self, aurora: &Aurora) -> reqwest::RequestBuilder {
        if self.plugin == "models" {
            return aurora.get(self.path);
        }
        if !self.is_upload {
            return aurora.post(self.path, &self.body());
        }
        let part = |name: &str, value: &str| {
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let form = [
            part("model", "m"),
            part("purpose", "assistants"),
            part("file\"; filename=\"a.wav", &"a".repeat(4096)),
            "--b--\r\n".to_owned(),
        ];
        let url = format!("{}{}", aurora.url(), self.path);
        let request = aurora.client().post(url).body(form.concat());
        request.header("content-type", "multipart/form-data; boundary=b")
    }
}
