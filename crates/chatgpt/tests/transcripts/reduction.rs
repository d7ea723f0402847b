//! Transcripts from the fixtures, and what events reduce to.

use aurora_chatgpt::stream::{Event, StreamError, Turn, TurnOptions};
use serde_json::Value;

/// The transcripts, by file name.
pub(crate) const NAMES: [&str; 16] = [
    "01_snapshot_basic",
    "02_delta_basic",
    "03_delta_reasoning",
    "05_image_tool_inline",
    "06_image_async",
    "07_max_tokens_continue",
    "09_moderation_blocked",
    "10_error_mid_stream",
    "12_unicode_split",
    "15_citations_markers",
    "18_stream_handoff",
    "18b_handoff_resume",
    "20_tool_call_text",
    "21_tts_seed",
    "22_framing_variants",
    "25_image_quota",
];

/// One transcript.
pub(crate) struct Transcript {
    name: &'static str,
    /// The bodies of the turn, in order.
    pub(crate) bodies: Vec<Vec<u8>>,
    expected: Value,
}

/// What a client makes of the events.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reduced {
    text: String,
    answer: String,
    reasoning: String,
    title: Option<String>,
    model: Option<String>,
    conversation: Option<String>,
    tools: Vec<String>,
    images: Vec<String>,
    last: Option<String>,
    answer_id: Option<String>,
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts")
}

impl Transcript {
    /// Reads the fixture.
    pub(crate) fn load(name: &'static str) -> Self {
        let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
        let expected: Value = serde_json::from_slice(&text).unwrap();
        let files = expected["sse"].as_array().unwrap().iter();
        let bodies =
            files.map(|file| std::fs::read(folder().join(file.as_str().unwrap())).unwrap());
        Self {
            name,
            bodies: bodies.collect(),
            expected,
        }
    }

    /// Compares with what is written beside the transcript.
    pub(crate) fn check(&self, found: &Reduced) {
        let (name, expected) = (self.name, &self.expected["reduced"]);
        let string = |key: &str| expected[key].as_str().map(str::to_owned);
        let text = self.expected["openai"]["content_after_citations"].as_str();
        let text = text.or(expected["content"].as_str()).unwrap();
        assert_eq!(found.text, text, "{name}");
        assert_eq!(found.answer, text, "{name}");
        assert_eq!(
            found.reasoning,
            string("reasoning_content").unwrap_or_default(),
            "{name}"
        );
        assert_eq!(found.title, string("title"), "{name}");
        assert_eq!(found.model, string("model_slug"), "{name}");
        assert_eq!(found.conversation, string("conversation_id"), "{name}");
        assert_eq!(found.answer_id, string("assistant_message_id"), "{name}");
        let tools = expected["tool_calls_internal"].as_array().unwrap().iter();
        let tools: Vec<_> = tools
            .map(|tool| tool["recipient"].as_str().unwrap())
            .collect();
        assert_eq!(found.tools, tools, "{name}");
        let images = expected["images"].as_array().unwrap().iter();
        let images: Vec<_> = images
            .map(|image| image["file_id"].as_str().unwrap())
            .collect();
        assert_eq!(found.images, images, "{name}");
        let error = expected["error"]["message"].as_str();
        let pending = expected["async_status"].as_u64().map(|_| "pending");
        let handoff = expected["handoff"].is_object().then_some("handoff");
        let finish = expected["finish_reason"].as_str();
        let last = error.or(pending).or(finish).or(handoff);
        assert_eq!(found.last.as_deref(), last, "{name}");
    }
}

impl Reduced {
    /// Reduces events.
    pub(crate) fn of(events: &[Event], turn: &Turn) -> Self {
        let mut reduced = Self {
            answer: turn.answer(),
            answer_id: turn.answer_id().map(str::to_owned),
            ..Self::default()
        };
        for event in events {
            match event {
                Event::Text(text) => reduced.text.push_str(text),
                Event::Reasoning(text) => reduced.reasoning.push_str(text),
                Event::Title(title) => reduced.title = Some(title.clone()),
                Event::Model(model) => reduced.model = Some(model.clone()),
                Event::Conversation(id) => reduced.conversation = Some(id.clone()),
                Event::ToolUse { recipient, .. } => reduced.tools.push(recipient.clone()),
                Event::Image(picture) => reduced.images.push(picture.file_id.clone()),
                Event::Finish(reason) => reduced.last = Some(reason.as_str().to_owned()),
                Event::Handoff(_) => reduced.last = Some("handoff".to_owned()),
                Event::Pending(_) => reduced.last = Some("pending".to_owned()),
                Event::Failed(StreamError::Upstream { message, .. }) => {
                    reduced.last = Some(message.clone());
                }
                Event::Failed(error) => reduced.last = Some(format!("{error:?}")),
                _ => {}
            }
        }
        reduced
    }
}

/// Reduces the bodies of a turn, fed in pieces of `size` bytes.
pub(crate) fn reduce(bodies: &[Vec<u8>], size: usize) -> Reduced {
    let mut turn = Turn::new(TurnOptions::default());
    let mut events = Vec::new();
    for (number, body) in bodies.iter().enumerate() {
        if number > 0 {
            turn.next_body();
        }
        for piece in body.chunks(size) {
            events.extend(turn.feed(piece));
        }
        events.extend(turn.finish());
    }
    Reduced::of(&events, &turn)
}
