//! What else the ChatGPT service, or who speaks for it, may send: websocket frames, refusals, tokens, accounts.
#![no_main]

use aurora_chatgpt::credential::{Presented, lines};
use aurora_chatgpt::fault::{MAX_MESSAGE_CHARS, Refusal, redact, wait_in};
use aurora_chatgpt::socket;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "eyJhbGciOiJIUzI1NiJ9.e30.hunter2";

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(body);
    socket::items(&text);
    Presented::read(Some(&text), Some(&text));
    lines(&text);
    wait_in(&text);
    assert!(redact(&text).chars().count() <= MAX_MESSAGE_CHARS);
    let around = redact(&format!("{text} {SECRET} {text}"));
    assert!(text.contains("hunter2") || !around.contains("hunter2"));

    let refusal = Refusal {
        status: 400 + u16::from(*first),
        content_type: if first % 2 == 0 {
            "application/json"
        } else {
            "text/html"
        },
        retry_after: text.lines().next(),
        is_mitigated: first % 7 == 0,
        body,
    };
    let fault = refusal.classify();
    assert!(!fault.message.is_empty());
});
