//! A plain client of the fake.

use aurora_chatgpt::stream::{Event, Turn, TurnOptions};
use aurora_testkit::FakeChatGpt;
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// The fake, and somebody with an account there.
pub(crate) struct Client {
    pub(crate) web: FakeChatGpt,
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
}

/// A status and a JSON body.
pub(crate) type Said = (u16, Value);

impl Client {
    pub(crate) async fn start() -> Self {
        let web = FakeChatGpt::start().await;
        let token = web.account("alice");
        Self {
            web,
            token,
            http: http(),
        }
    }

    /// The same service with another token.
    pub(crate) fn with_token(&self, token: String) -> Self {
        Self {
            web: self.web.clone(),
            token,
            http: self.http.clone(),
        }
    }

    /// Begins a request to the API as alice.
    pub(crate) fn call(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, format!("{}{path}", self.web.base_url()))
            .bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        said(self.call("GET", path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Said {
        let request = self
            .call("POST", path)
            .header("content-type", "application/json");
        said(request.body(body.to_string()).send().await.unwrap()).await
    }

    /// Begins a turn.
    pub(crate) async fn turn(&self, body: &Value) -> Response {
        self.call("POST", "/f/conversation")
            .header("content-type", "application/json")
            .header("accept", "text/event-stream")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    /// A turn to its end: the bytes.
    pub(crate) async fn stream(&self, body: &Value) -> Vec<u8> {
        let response = self.turn(body).await;
        assert_eq!(response.status().as_u16(), 200);
        response.bytes().await.unwrap().to_vec()
    }

    /// A turn in which alice says `text`, to its end.
    pub(crate) async fn say(&self, text: &str) -> Reading {
        Reading::of(&[self.stream(&ask(text)).await])
    }
}

pub(crate) fn http() -> reqwest::Client {
    // Only the first call installs it.
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap_or_default();
    // Compressed bodies are looked at as they are, whatever features others ask of the library.
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .build()
        .unwrap()
}

pub(crate) async fn said(response: Response) -> Said {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A message as clients send it.
pub(crate) fn message(role: &str, text: &str) -> Value {
    json!({
        "id": uuid::Uuid::new_v4().to_string(), "author": {"role": role}, "create_time": 1_771_950_000.125,
        "content": {"content_type": "text", "parts": [text]}, "metadata": {},
    })
}

/// The body of a first turn, to be saved.
pub(crate) fn ask(text: &str) -> Value {
    json!({
        "action": "next", "parent_message_id": "client-created-root", "model": "auto", "timezone_offset_min": 420,
        "conversation_mode": {"kind": "primary_assistant"}, "thinking_effort": "standard", "system_hints": [],
        "history_and_training_disabled": false, "messages": [message("user", text)],
    })
}

/// The same in delta form.
pub(crate) fn ask_delta(text: &str) -> Value {
    with(ask(text), "supported_encodings", json!(["v1"]))
}

/// The body of a request for a picture.
pub(crate) fn ask_picture(text: &str) -> Value {
    with(ask_delta(text), "system_hints", json!(["picture_v2"]))
}

pub(crate) fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// A turn as Aurora reads it.
pub(crate) struct Reading {
    pub(crate) turn: Turn,
    pub(crate) events: Vec<Event>,
}

impl Reading {
    pub(crate) fn of<B: AsRef<[u8]>>(bodies: &[B]) -> Self {
        let mut turn = Turn::new(TurnOptions::default());
        let mut events = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            if number > 0 {
                turn.next_body();
            }
            events.extend(turn.feed(body.as_ref()));
            events.extend(turn.finish());
        }
        Self { turn, events }
    }

    pub(crate) fn text(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn reasoning(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Reasoning(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn pictures(&self) -> Vec<String> {
        let pictures = self.events.iter().filter_map(|event| match event {
            Event::Image(picture) => Some(picture.file_id.clone()),
            _ => None,
        });
        pictures.collect()
    }

    pub(crate) fn conversation(&self) -> String {
        let mut ids = self.events.iter().filter_map(|event| match event {
            Event::Conversation(id) => Some(id.clone()),
            _ => None,
        });
        ids.next().unwrap()
    }

    pub(crate) fn last(&self) -> &Event {
        self.events.last().unwrap()
    }

    pub(crate) fn answer_id(&self) -> String {
        self.turn.answer_id().unwrap().to_owned()
    }
}
