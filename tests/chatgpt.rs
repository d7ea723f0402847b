//! The ChatGPT web upstream, in front of its fake.

mod audio;
mod chat;
mod edits;
mod endings;
mod errors;
mod fetched;
mod files;
mod forms;
mod handoff;
mod image_streams;
mod images;
mod pool;
mod proxied;
mod raw;
mod secrets;
mod sessions;
mod tools;
mod transcripts;
mod volume;

use aurora_testkit::{Aurora, Builder, FakeChatGpt};
use serde_json::{Value, json};

use super::support::{aurora, routes};

/// The gateway in front of a fake with one account, `alice`.
pub(crate) struct Setup {
    pub(crate) web: FakeChatGpt,
    pub(crate) aurora: Aurora,
}

/// Starts both; `settings` go into the upstream's section.
pub(crate) async fn setup(settings: &str) -> Setup {
    let web = FakeChatGpt::start().await;
    let tokens = web.account("alice");
    let aurora = in_front_of(&web, settings, &tokens).start().await;
    Setup { web, aurora }
}

/// The gateway in front of `web`, with these lines in `access_tokens.txt`.
pub(crate) fn in_front_of(web: &FakeChatGpt, settings: &str, tokens: &str) -> Builder {
    aurora(&config(web, settings)).file("access_tokens.txt", tokens)
}

/// A config with every endpoint on `web`; `settings` go into the upstream's section.
pub(crate) fn config(web: &FakeChatGpt, settings: &str) -> String {
    let (base, oauth, session) = (web.base_url(), web.oauth_url(), web.session_url());
    let routes = routes("\"chatgpt\"");
    format!(
        "[tokens.chatgpt]\naccess = \"access_tokens.txt\"\nrefresh = \"refresh_tokens.txt\"\n\
         session = \"session_tokens.txt\"\ndevice = \"free_tokens.txt\"\n\n\
         [upstreams.chatgpt]\nprotocol = \"chatgpt-web\"\ntokens = \"chatgpt\"\nbase_url = \"{base}\"\n\
         oauth_url = \"{oauth}\"\nsession_url = \"{session}\"\n{settings}\n\n\
         [[routes]]\npath = \"/auth/refresh\"\nplugin = \"auth\"\nupstream = \"chatgpt\"\n\
         [[routes]]\npath = \"/auth/session\"\nplugin = \"auth\"\nupstream = \"chatgpt\"\n\
         [[routes]]\npath = \"/backend-api/{{*rest}}\"\nplugin = \"passthrough\"\nupstream = \"chatgpt\"\n\
         options = {{ strip_prefix = \"/backend-api\" }}\n\n{routes}"
    )
}

impl Setup {
    /// Posts a chat request and reads the whole answer.
    pub(crate) async fn chat(&self, body: Value) -> Told {
        Told::read(self.post("/v1/chat/completions", &body).await).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let url = format!("{}{path}", self.aurora.url());
        let request = self.aurora.client().post(url).body(body.to_string());
        let request = request.header("content-type", "application/json");
        request.send().await.unwrap()
    }

    /// The body of the last turn that the service got.
    pub(crate) fn last_turn(&self) -> Value {
        let turns = self.web.turns();
        serde_json::from_slice(&turns.last().unwrap().body).unwrap()
    }
}

/// A chat request that asks one thing.
pub(crate) fn asking(text: &str, stream: bool) -> Value {
    json!({"model": "auto", "stream": stream, "messages": [{"role": "user", "content": text}]})
}

/// An answer in either form, as a client sees it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) reasoning: String,
    /// Name and arguments of each call.
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) finish: Option<String>,
    pub(crate) usage: Option<Value>,
    /// Code of the error, before or in the stream.
    pub(crate) error: Option<String>,
    pub(crate) message: String,
    /// Whether the message came to its proper end, with `[DONE]` where it is a stream.
    pub(crate) is_whole: bool,
    /// The chunks of a stream.
    pub(crate) chunks: Vec<Value>,
    pub(crate) retry_after: Option<u64>,
}

impl Told {
    /// Reads a chat answer.
    pub(crate) async fn read(mut response: reqwest::Response) -> Self {
        let mut told = Self {
            status: response.status().as_u16(),
            ..Self::default()
        };
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        told.retry_after = header("retry-after").and_then(|value| value.parse().ok());
        let is_stream = header("content-type")
            .unwrap()
            .starts_with("text/event-stream");
        let mut bytes = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            !text.chars().any(|c| ('\u{e000}'..='\u{f8ff}').contains(&c)),
            "a private-use character reached the client"
        );
        if is_stream {
            told.events(&text);
            told.is_whole = whole && text.ends_with("data: [DONE]\n\n");
        } else {
            told.is_whole = whole;
            told.object(&serde_json::from_str(&text).unwrap());
        }
        told
    }

    fn fail(&mut self, object: &Value) {
        self.error = object["error"]["code"].as_str().map(str::to_owned);
        let message = object["error"]["message"].as_str().unwrap();
        message.clone_into(&mut self.message);
    }

    fn object(&mut self, object: &Value) {
        if object.get("error").is_some() {
            return self.fail(object);
        }
        let choice = &object["choices"][0];
        let message = &choice["message"];
        let text = message["content"].as_str();
        text.unwrap_or_default().clone_into(&mut self.text);
        let reasoning = message["reasoning_content"].as_str();
        reasoning
            .unwrap_or_default()
            .clone_into(&mut self.reasoning);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            let name = call["function"]["name"].as_str().unwrap();
            self.calls
                .push((name.to_owned(), serde_json::from_str(arguments).unwrap()));
        }
        self.finish = choice["finish_reason"].as_str().map(str::to_owned);
        self.usage = Some(object["usage"].clone());
        self.chunks.push(object.clone());
    }

    fn events(&mut self, text: &str) {
        let mut arguments: Vec<(String, String)> = Vec::new();
        for event in text.split("\n\n") {
            let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) else {
                continue;
            };
            if data == "[DONE]" {
                continue;
            }
            let chunk: Value = serde_json::from_str(data).unwrap();
            if chunk.get("error").is_some() {
                self.fail(&chunk);
                continue;
            }
            let choice = &chunk["choices"][0];
            let delta = &choice["delta"];
            self.text
                .push_str(delta["content"].as_str().unwrap_or_default());
            let reasoning = delta["reasoning_content"].as_str();
            self.reasoning.push_str(reasoning.unwrap_or_default());
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                if let Some(name) = call["function"]["name"].as_str() {
                    assert_eq!(index, arguments.len());
                    arguments.push((name.to_owned(), String::new()));
                }
                let more = call["function"]["arguments"].as_str().unwrap();
                arguments[index].1.push_str(more);
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                assert_eq!(self.finish, None, "two finish reasons");
                self.finish = Some(reason.to_owned());
            }
            if chunk["usage"].is_object() {
                assert!(self.finish.is_some(), "usage before the finish reason");
                self.usage = Some(chunk["usage"].clone());
            }
            self.chunks.push(chunk);
        }
        let parsed = arguments
            .into_iter()
            .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()));
        self.calls = parsed.collect();
    }
}
