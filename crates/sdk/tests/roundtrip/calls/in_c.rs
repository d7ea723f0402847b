//! Semantic calls of plugins in C, which the SDK makes by other means.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

use aurora_sdk::Response;
use aurora_sdk::abi::raw::{
    Buf, CALL_CHAT, CALL_IMAGES, CALL_SPEECH, CALL_TRANSCRIBE, CALL_UPLOAD, Call, CallReq,
    E_INTERNAL, E_INVALID, E_NOT_FOUND, E_STATE, EOF, Fault, OK, Rc, Str, Task, Waker,
};
use aurora_sdk::testing::{FakeHost, request};
use serde_json::json;

use crate::answers::refusal;
use crate::bodies::pieces;
use crate::c::{self, Host, Req};
use crate::ground::Run;

const NULL: *const Waker = std::ptr::null();

static RELEASED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn release(_: *mut c_void) {
    RELEASED.fetch_add(1, Ordering::SeqCst);
}

/// Begins a call with a file of the plugin's own.
fn start(host: Host, req: Req, operation: i32, json: &str) -> (Rc, *mut Call, Buf) {
    let mut asked = CallReq {
        size: u32::try_from(size_of::<CallReq>()).unwrap(),
        flags: 0,
        operation,
        reserved: 0,
        json: Str::text(json),
        file_name: Str::text("a.txt"),
        file_type: Str::text("text/plain"),
        file: Buf {
            ptr: b"file".as_ptr(),
            len: 4,
            owner: std::ptr::null_mut(),
            release: Some(release),
        },
    };
    let mut call = std::ptr::null_mut();
    // SAFETY: host and request are held, and the rest is there for the call.
    let code = unsafe { (host.call().start)(host.0, req.0, &raw mut asked, &raw mut call) };
    (code, call, asked.file)
}

struct Asks;

impl c::Plugin for Asks {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (_, info) = req.info();
        let path = String::from_utf8(c::bytes(info.path)).unwrap();
        let operation = path.trim_start_matches('/').parse().unwrap();
        let (code, call, left) = start(host, req, operation, r#"{"model":"m"}"#);
        assert_eq!((code, left.len), (OK, 0));
        let (api, mut out) = (host.call(), Str::EMPTY);
        let mut fault = Fault {
            size: u32::try_from(size_of::<Fault>()).unwrap(),
            code: 0,
            kind: 0,
            origin: 0,
            status: 0,
            flags: 0,
            reserved: 0,
            retry_after_ms: 0,
            word: Str::EMPTY,
            message: Str::EMPTY,
            param: Str::EMPTY,
            cause: Str::EMPTY,
        };
        // SAFETY: the call is open, and the rest is there for it; it is closed once.
        let said = unsafe {
            let early = (api.content_type)(call, &raw mut out);
            let accepted = (api.accepted_poll)(call, NULL);
            let event = ((api.event_poll)(call, NULL, &raw mut out), c::bytes(out));
            let events = [
                (api.event_poll)(call, NULL, &raw mut out),
                (api.event_poll)(call, NULL, &raw mut out),
            ];
            assert_eq!(events[0], events[1], "what has ended stays so");
            let kind = ((api.content_type)(call, &raw mut out), c::bytes(out));
            let piece = ((api.bytes_poll)(call, NULL, &raw mut out), c::bytes(out));
            let bytes = [
                (api.bytes_poll)(call, NULL, &raw mut out),
                (api.bytes_poll)(call, NULL, &raw mut out),
            ];
            assert_eq!(bytes[0], bytes[1], "what has ended stays so");
            let failed = ((api.fault)(call, &raw mut fault), c::bytes(fault.word));
            (api.close)(call);
            let texts = [event.1, kind.1, piece.1, failed.1];
            let texts = texts.map(|text| String::from_utf8(text).unwrap());
            let codes = [
                early, accepted, event.0, events[1], kind.0, piece.0, bytes[1], failed.0,
            ];
            json!([codes, texts])
        };
        let codes = [
            req.head(200, &[]),
            req.write(NULL, said.to_string().as_bytes()),
        ];
        Err(codes[0].min(codes[1]))
    }
}

/// What a plugin says of a call.
fn said(operation: i32, host: FakeHost) -> serde_json::Value {
    let run = Run::of(c::load::<Asks>(), host);
    let answer = run
        .ask(request("POST", &format!("/{operation}")))
        .unwrap()
        .json();
    run.end_well();
    answer
}

#[test]
fn speech_comes_in_pieces_and_has_a_type() {
    let sound = Response::new("audio/mpeg", pieces(vec![Ok("sound")]));

    let said = said(CALL_SPEECH, FakeHost::new().answers(sound));

    let codes = [E_STATE, OK, E_STATE, E_STATE, OK, OK, EOF, E_NOT_FOUND];
    assert_eq!(said, json!([codes, ["", "audio/mpeg", "sound", ""]]));
}

#[test]
fn pictures_transcripts_and_uploads_are_one_event() {
    for operation in [CALL_IMAGES, CALL_TRANSCRIBE, CALL_UPLOAD] {
        let before = RELEASED.load(Ordering::SeqCst);
        let host = FakeHost::new().answers(Response::json(&json!({ "a": 1 })).unwrap());

        let said = said(operation, host.clone());

        let codes = [E_STATE, OK, OK, EOF, E_STATE, E_STATE, E_STATE, E_NOT_FOUND];
        assert_eq!(said[0], json!(codes), "{operation}");
        assert_eq!(said[1][0], r#"{"a":1}"#);
        let has_file = String::from_utf8_lossy(&host.sent()[0].body).contains("file");
        assert_eq!(has_file, operation != CALL_IMAGES);
        assert!(
            RELEASED.load(Ordering::SeqCst) > before,
            "the file was not given back"
        );
    }
}

#[test]
fn a_call_that_is_refused_says_why_in_full() {
    for (operation, host) in [
        (CALL_CHAT, FakeHost::new().refuses_chat(refusal())),
        (CALL_SPEECH, FakeHost::new().fails(refusal())),
    ] {
        let said = said(operation, host);

        // What is wrong with it is told as often as it is asked. A chat has to be a chat first.
        let word = &said[1][3];
        assert!(word == "slow_down" || word == "invalid_json", "{said}");
        assert_eq!((&said[0][0], &said[0][7]), (&json!(E_STATE), &json!(OK)));
        assert!(
            said[0][1].as_i64() < Some(0) && said[0][1] == said[0][2],
            "{said}"
        );
    }
}

#[test]
fn a_call_that_there_is_not_fails() {
    let said = said(99, FakeHost::new());

    assert_eq!(
        (&said[0][1], &said[1][3]),
        (&json!(E_INTERNAL), &json!("internal_error"))
    );
}

struct Wrong;

impl c::Plugin for Wrong {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (code, _, left) = start(host, req, CALL_IMAGES, "{");
        // What was not taken is still the plugin's.
        assert_eq!(left.len, 4);
        let nobody = Req(std::ptr::null_mut(), req.1);
        Err(req.say(&[code, start(host, nobody, CALL_IMAGES, "{}").0]))
    }
}

#[test]
fn a_call_without_json_or_without_a_request_is_refused() {
    let run = Run::of(c::load::<Wrong>(), FakeHost::new());

    let answer = run.ask(request("POST", "/")).unwrap();

    assert_eq!(answer.text(), format!("{E_INVALID} {E_INVALID}"));
    run.end_well();
}
