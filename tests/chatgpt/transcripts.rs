//! Every transcript through every form: streamed, whole, and as Responses; as it comes, and byte by byte.

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::Reply;
use serde_json::{Value, json};

use super::{Setup, Told, asking, setup};

/// What a client gets of a transcript.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// While it streams.
    text: &'static str,
    /// As a whole, where that is another: a text that was taken back cannot be unsaid in a stream.
    whole: Option<&'static str>,
    reasoning: &'static str,
    finish: &'static str,
    /// The code, in place of a finish reason.
    error: Option<&'static str>,
    /// What follows in the same turn.
    then: &'static [&'static str],
}

const NONE: Case = Case {
    name: "",
    text: "",
    whole: None,
    reasoning: "",
    finish: "stop",
    error: None,
    then: &[],
};

const fn said(name: &'static str, text: &'static str) -> Case {
    Case { name, text, ..NONE }
}

const fn failed(name: &'static str, text: &'static str, code: &'static str) -> Case {
    Case {
        error: Some(code),
        ..said(name, text)
    }
}

const CASES: [Case; 25] = [
    said("01_snapshot_basic", "This is a test!"),
    said("02_delta_basic", "This is a test! Done."),
    Case {
        reasoning: "**Splitting the product**\n17*23 is 17*20 plus 17*3.\n\n**Adding up**\n340 + 51 = 391.",
        ..said("03_delta_reasoning", "17 × 23 = **391**.")
    },
    said(
        "04_several_messages",
        "I will look at the file and count its lines.\n\nIt has 12.",
    ),
    said("05_image_tool_inline", "![image](PICTURE)"),
    failed("06_image_async", "", "image_generation_failed"),
    Case {
        then: &["07_max_tokens_continue_b"],
        ..said(
            "07_max_tokens_continue_a",
            "one two three four five six seven eight nine ten.",
        )
    },
    Case {
        finish: "content_filter",
        ..said("09_moderation_blocked", "I can")
    },
    failed("10_error_mid_stream", "Hello, ", "upstream_stream_error"),
    failed("11_error_first", "", "upstream_stream_error"),
    said(
        "12_unicode_split",
        "Grüße 👩\u{200d}🚀、你好 — naïve \u{2028}ok",
    ),
    Case {
        whole: Some("Alpha beta gamma delta epsilon zeta!"),
        ..said(
            "13_patch_inheritance",
            "Alpha beta gamma delta epsilon zeta and more",
        )
    },
    said("14_memory_tool", "Noted: tea."),
    said(
        "15_citations_markers",
        "Rust 1.0 came out in 2015 ([blog.example.org](https://blog.example.org/rust-1-0)). It is used a lot \
         ([a.example.org](https://a.example.org/)).",
    ),
    said(
        "16_citations_old",
        "🙂 Rust is fast ([book.example.org](https://book.example.org/rust \"The Rust Book\")) and 【safe】.",
    ),
    said("17_code_tool", "The sum is 4."),
    said("18_stream_handoff", "After thought: 42."),
    failed(
        "19_cut_inside_frame",
        "Once upon a time",
        "upstream_stream_truncated",
    ),
    said(
        "20_tool_call_text",
        "Let me look.\n<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"unit\": \"celsius\"}}</tool_call>",
    ),
    said("22_framing_variants", "Hi there"),
    failed("23_empty_answer", "", "upstream_empty_answer"),
    Case {
        whole: Some("The capital of Australia is Canberra, not Sydney."),
        ..said(
            "24_rewritten_snapshot",
            "The capital of Australia is Sydnerra, not Sydney.",
        )
    },
    said(
        "25_image_quota",
        "I can't make another image for now; please try again in 14 minutes.",
    ),
    said("26_model_downgrade", "A quick answer."),
    said("28_image_edit", "![image](PICTURE)\n\n![image](PICTURE)"),
];

impl Case {
    fn play(&self, setup: &Setup, chunk: Option<usize>) {
        for name in std::iter::once(&self.name).chain(self.then) {
            let reply = Reply::transcript(name);
            setup.web.reply(match chunk {
                Some(bytes) => reply.chunks(bytes),
                None => reply,
            });
        }
    }

    fn whole(&self) -> &str {
        self.whole.unwrap_or(self.text)
    }

    fn check_chat(&self, told: &Told, is_stream: bool, how: &str) {
        let expected = if is_stream { self.text } else { self.whole() };
        let refused_at_once = self.error.is_some() && (!is_stream || self.text.is_empty());
        assert_eq!(told.error.as_deref(), self.error, "{how}");
        if refused_at_once {
            assert!(told.status >= 400 && told.is_whole, "{how}: {told:?}");
            return;
        }
        assert_eq!(told.status, 200, "{how}");
        assert_eq!(plain(&told.text), expected, "{how}");
        assert_eq!(told.reasoning, self.reasoning, "{how}");
        assert_eq!(told.is_whole, self.error.is_none(), "{how}");
        let finish = self.error.is_none().then_some(self.finish);
        assert_eq!(told.finish.as_deref(), finish, "{how}");
        if is_stream && self.error.is_none() {
            let role = &told.chunks[0]["choices"][0]["delta"]["role"];
            assert_eq!(role, "assistant", "{how}");
            let ids: Vec<&Value> = told.chunks.iter().map(|chunk| &chunk["id"]).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "{how}");
        }
    }

    fn check_responses(&self, status: u16, events: &[Value], how: &str) {
        if self.error.is_some() && self.text.is_empty() {
            assert!(status >= 400, "{how}: {events:?}");
            return;
        }
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{how}: {event}");
        }
        let joined = |kind: &str| -> String {
            let deltas = events.iter().filter(|event| event["type"] == kind);
            deltas.filter_map(|event| event["delta"].as_str()).collect()
        };
        assert_eq!(
            plain(&joined("response.output_text.delta")),
            self.text,
            "{how}"
        );
        assert_eq!(
            joined("response.reasoning_text.delta"),
            self.reasoning,
            "{how}"
        );
        let closing = [
            "response.completed",
            "response.incomplete",
            "response.failed",
        ];
        let is_closing = |event: &&Value| closing.iter().any(|kind| event["type"] == *kind);
        let closed: Vec<&Value> = events.iter().filter(is_closing).collect();
        assert_eq!(closed.len(), 1, "{how}");
        let (kind, reason) = match (self.error, self.finish) {
            (Some(_), _) => ("response.failed", None),
            (None, "content_filter") => ("response.incomplete", Some("content_filter")),
            (None, _) => ("response.completed", None),
        };
        assert_eq!(closed[0]["type"], kind, "{how}");
        let details = &closed[0]["response"]["incomplete_details"]["reason"];
        assert_eq!(details.as_str(), reason, "{how}");
        if kind == "response.failed" {
            let code = closed[0]["response"]["error"]["code"].as_str();
            assert!(code.is_some(), "{how}: {}", closed[0]);
        }
    }
}

/// The text with every link to a picture made alike.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("(http://127.0.0.1:") {
        let (link, after) = after.split_once(')').unwrap();
        assert!(link.contains("/_aurora/pictures/") && link.contains("&signature="));
        plain.push_str(before);
        plain.push_str("(PICTURE)");
        rest = after;
    }
    plain + rest
}

async fn events(mut response: reqwest::Response) -> Vec<Value> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains("chat.completion.chunk"));
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

async fn every_form(setup: &Setup, case: &Case, chunk: Option<usize>) {
    for is_stream in [true, false] {
        let how = format!("{} stream {is_stream} chunk {chunk:?}", case.name);
        case.play(setup, chunk);
        let told = setup.chat(asking("go", is_stream)).await;
        case.check_chat(&told, is_stream, &how);
    }
    let how = format!("{} responses chunk {chunk:?}", case.name);
    case.play(setup, chunk);
    let body = json!({"model": "auto", "input": "go", "stream": true});
    let response = setup.post("/v1/responses", &body).await;
    let status = response.status().as_u16();
    case.check_responses(status, &events(response).await, &how);
}

#[tokio::test]
async fn every_transcript_is_told_as_it_should_be() {
    let setup = setup("").await;
    for case in &CASES {
        every_form(&setup, case, None).await;
    }
}

#[tokio::test]
async fn every_transcript_is_told_alike_byte_by_byte() {
    let setup = setup("").await;
    for case in &CASES {
        every_form(&setup, case, Some(1)).await;
    }
}

#[tokio::test]
async fn every_transcript_is_told_alike_compressed_and_with_crlf() {
    let setup = setup("").await;
    for case in CASES.iter().filter(|case| case.then.is_empty()) {
        for is_stream in [true, false] {
            let reply = Reply::transcript(case.name);
            setup.web.reply(if is_stream {
                reply.gzip()
            } else {
                reply.crlf().chunks(7)
            });
            let told = setup.chat(asking("go", is_stream)).await;
            case.check_chat(&told, is_stream, case.name);
        }
    }
}

#[test]
fn every_transcript_has_its_case() {
    // Those that need settings of their own have tests of their own: tools, limits, speech.
    const ELSEWHERE: [&str; 5] = [
        "07_max_tokens_continue_b",
        "08_max_tokens_in_metadata",
        "18b_handoff_resume",
        "21_tts_seed",
        "27_tool_call_variants",
    ];
    for name in FakeChatGpt::transcripts() {
        let has_case = CASES.iter().any(|case| case.name == name);
        assert!(has_case != ELSEWHERE.contains(&name), "{name}");
    }
}
