//! What the mirror says: every struct with its members, every constant.

use std::any::type_name;
use std::fmt::Write as _;
use std::mem::offset_of;

use aurora_sdk::abi::raw;

/// A struct.
pub(crate) struct Layout {
    pub(crate) c: &'static str,
    pub(crate) rust: &'static str,
    pub(crate) size: usize,
    pub(crate) members: Vec<Member>,
}

/// A member of a struct.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) offset: usize,
    pub(crate) size: usize,
    /// As `type_name` spells it.
    pub(crate) rust_type: &'static str,
}

/// A constant.
pub(crate) struct Constant {
    pub(crate) c: &'static str,
    /// Empty where `abi::raw` has no name for it.
    pub(crate) rust: &'static str,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Number(i64),
    Text(&'static str),
}

/// Structs that only one of the two sides looks into.
pub(crate) const OPAQUE: [(&str, &str); 7] = [
    ("Req", "aur_req"),
    ("Fetch", "aur_fetch"),
    ("Call", "aur_call"),
    ("Timer", "aur_timer"),
    ("Join", "aur_join"),
    ("StateOp", "aur_state_op"),
    ("Instance", "aur_instance"),
];

fn member<S, M>(name: &'static str, offset: usize, _: fn(&S) -> &M) -> Member {
    let (size, rust_type) = (size_of::<M>(), type_name::<M>());
    Member {
        name,
        offset,
        size,
        rust_type,
    }
}

macro_rules! layouts {
    ($($c:ident = $rust:ident { $($member:ident),* $(,)? })*) => {
        vec![$({
            // Without `..`: a member that is not listed does not compile.
            let _ = |raw::$rust { $($member: _),* }: &raw::$rust| {};
            Layout {
                c: stringify!($c),
                rust: stringify!($rust),
                size: size_of::<raw::$rust>(),
                members: vec![$(
                    member(stringify!($member), offset_of!(raw::$rust, $member), |it: &raw::$rust| &it.$member)
                ),*],
            }
        }),*]
    };
}

pub(crate) fn layouts() -> Vec<Layout> {
    layouts! {
        aur_str = Str { ptr, len }
        aur_buf = Buf { ptr, len, owner, release }
        aur_header = Header { name, value }
        aur_build_failure = BuildFailure { size, code, option, text, hint }
        aur_fault = Fault {
            size, code, kind, origin, status, flags, reserved, retry_after_ms, word, message, param, cause,
        }
        aur_waker = Waker { data, vtable }
        aur_waker_vtable = WakerVtable { size, reserved, clone, wake, wake_by_ref, drop }
        aur_task = Task { data, poll, drop }
        aur_req_info = ReqInfo {
            size, flags, header_count, param_count, method, path, query, route, request_id, client, owner, body_len,
            max_body,
        }
        aur_request_api = RequestApi {
            size, reserved, retain, release, info, header, header_at, param, param_at, body_poll, body_retain,
            body_all_poll, resp_head, resp_write, resp_write_buf, resp_forward, flush_poll, cancel_poll, keep_running,
            fail, usage, set_head, set_body, log,
        }
        aur_host = HostTable {
            size, abi_major, abi_minor, reserved, request, retain, release, get_extension, log, log_enabled, now_ns,
        }
        aur_http_req = HttpReq {
            size, flags, operation, reserved, upstream, method, path, model, headers, header_count, body, body_len,
        }
        aur_http_api = HttpApi {
            size, reserved, open, body_write, body_end, head_poll, header, header_at, chunk_poll, event_poll,
            chunk_retain, fault, close, native, routes_by_model, body_len,
        }
        aur_call_req = CallReq { size, flags, operation, reserved, json, file_name, file_type, file }
        aur_call_api = CallApi {
            size, reserved, start, accepted_poll, event_poll, content_type, bytes_poll, fault, close,
        }
        aur_timer_api = TimerApi { size, reserved, start, poll, reset, close }
        aur_task_api = TaskApi { size, reserved, spawn, offload, join_poll, join_close }
        aur_state_api = StateApi { size, reserved, get, put, del, swap, poll, close }
        aur_metrics_api = MetricsApi { size, reserved, define, record }
        aur_plugin_vtable = PluginVtable {
            size, flags, manifest, create, handle, drain, destroy, get_extension, properties,
        }
        aur_probe = ProbeFacet { size, reserved, start }
        aur_pass = Pass { data, vtable }
        aur_emit = EmitApi { size, reserved, out, chunk, event, status, header, header_add }
        aur_pass_vtable = PassVtable { size, reserved, request_poll, head, chunk, event, last, end, drop }
        aur_filter = FilterFacet { size, reserved, follows, begin }
        aur_abi_note = Note {
            magic, note_size, abi_major, abi_minor, min_host_minor, pointer_bits, little_endian, flags, reserved,
        }
    }
}

pub(crate) fn text_of_layouts(layouts: &[Layout]) -> String {
    let mut text = String::new();
    for Layout {
        c, size, members, ..
    } in layouts
    {
        writeln!(text, "{c} size {size}").unwrap();
        for Member {
            name, offset, size, ..
        } in members
        {
            writeln!(text, "{c}.{name} offset {offset} size {size}").unwrap();
        }
    }
    text
}

macro_rules! numbers {
    ($($c:ident = $rust:ident),* $(,)?) => {
        vec![$(Constant {
            c: stringify!($c),
            rust: stringify!($rust),
            value: Value::Number(i64::from(raw::$rust)),
        }),*]
    };
}

macro_rules! texts {
    ($($c:ident = $rust:ident),* $(,)?) => {
        [$(Constant { c: stringify!($c), rust: stringify!($rust), value: Value::Text(raw::$rust) }),*]
    };
}

pub(crate) fn constants() -> Vec<Constant> {
    let mut all = numbers! {
        AUR_ABI_MAJOR = MAJOR, AUR_ABI_MINOR = MINOR,
        AUR_OK = OK, AUR_PENDING = PENDING, AUR_EOF = EOF,
        AUR_E_INTERNAL = E_INTERNAL, AUR_E_PANIC = E_PANIC, AUR_E_INVALID = E_INVALID, AUR_E_STATE = E_STATE,
        AUR_E_CANCELLED = E_CANCELLED, AUR_E_TIMEOUT = E_TIMEOUT, AUR_E_UPSTREAM = E_UPSTREAM,
        AUR_E_CONFIG = E_CONFIG, AUR_E_NOT_FOUND = E_NOT_FOUND, AUR_E_DENIED = E_DENIED,
        AUR_E_EXHAUSTED = E_EXHAUSTED, AUR_E_UNSUPPORTED = E_UNSUPPORTED, AUR_E_TOO_LARGE = E_TOO_LARGE,
        AUR_E_CONFLICT = E_CONFLICT,
        AUR_FAULT_TOLD = FAULT_TOLD,
        AUR_REQ_HAS_QUERY = REQ_HAS_QUERY, AUR_REQ_STREAM = REQ_STREAM,
        AUR_HTTP_STREAM_BODY = HTTP_STREAM_BODY, AUR_HTTP_CLIENT_HEADERS = HTTP_CLIENT_HEADERS,
        AUR_HTTP_CLIENT_BODY = HTTP_CLIENT_BODY, AUR_HTTP_HAS_MODEL = HTTP_HAS_MODEL,
        AUR_CALL_CHAT = CALL_CHAT, AUR_CALL_MODELS = CALL_MODELS, AUR_CALL_IMAGES = CALL_IMAGES,
        AUR_CALL_SPEECH = CALL_SPEECH, AUR_CALL_TRANSCRIBE = CALL_TRANSCRIBE, AUR_CALL_UPLOAD = CALL_UPLOAD,
        AUR_PLUGIN_BLOCKING = BLOCKING, AUR_PLUGIN_UNLOADABLE = UNLOADABLE,
    };
    all.extend(texts! {
        AUR_EXT_HTTP = EXT_HTTP, AUR_EXT_CALL = EXT_CALL, AUR_EXT_TIMER = EXT_TIMER, AUR_EXT_TASK = EXT_TASK,
        AUR_EXT_STATE = EXT_STATE, AUR_EXT_METRICS = EXT_METRICS,
        AUR_FACET_FILTER = FACET_FILTER, AUR_FACET_PROBE = FACET_PROBE,
    });
    let number = |c, rust, value| Constant {
        c,
        rust,
        value: Value::Number(value),
    };
    all.push(number(
        "AUR_HANDLER_PUBLIC",
        "PUBLIC",
        i64::from(raw::Handlers::PUBLIC),
    ));
    all.push(number(
        "AUR_NOTE_SIZE",
        "SIZE",
        i64::try_from(raw::Note::SIZE).unwrap(),
    ));
    // As %lld prints it.
    for (first, names) in COUNTED {
        all.extend((first..).zip(names).map(|(value, c)| number(c, "", value)));
    }
    all
}

/// Constants that the mirror has as numbers alone: the first one's value, and all of them in order.
const COUNTED: [(i64, &[&str]); 7] = [
    (
        1,
        &[
            "AUR_KIND_INVALID_REQUEST",
            "AUR_KIND_UNAUTHENTICATED",
            "AUR_KIND_FORBIDDEN",
            "AUR_KIND_NOT_FOUND",
            "AUR_KIND_METHOD_NOT_ALLOWED",
            "AUR_KIND_REQUEST_TIMEOUT",
            "AUR_KIND_TOO_LARGE",
            "AUR_KIND_RATE_LIMITED",
            "AUR_KIND_INTERNAL",
            "AUR_KIND_UNSUPPORTED",
            "AUR_KIND_BAD_GATEWAY",
            "AUR_KIND_UNAVAILABLE",
            "AUR_KIND_GATEWAY_TIMEOUT",
        ],
    ),
    (
        0,
        &[
            "AUR_ORIGIN_GATEWAY",
            "AUR_ORIGIN_CLIENT",
            "AUR_ORIGIN_UPSTREAM",
        ],
    ),
    (
        1,
        &[
            "AUR_LOG_ERROR",
            "AUR_LOG_WARN",
            "AUR_LOG_INFO",
            "AUR_LOG_DEBUG",
        ],
    ),
    (
        1,
        &[
            "AUR_OP_CHAT",
            "AUR_OP_RESPONSES",
            "AUR_OP_MODELS",
            "AUR_OP_FILES",
            "AUR_OP_IMAGES",
            "AUR_OP_SPEECH",
            "AUR_OP_TRANSCRIBE",
            "AUR_OP_AUTH",
            "AUR_OP_OTHER",
        ],
    ),
    (
        0,
        &[
            "AUR_METRIC_COUNTER",
            "AUR_METRIC_GAUGE",
            "AUR_METRIC_HISTOGRAM",
        ],
    ),
    (0, &["AUR_AS_HANDLER", "AUR_AS_FILTER"]),
    (
        0,
        &[
            "AUR_FOLLOWS_NOTHING",
            "AUR_FOLLOWS_HEAD",
            "AUR_FOLLOWS_CHUNKS",
            "AUR_FOLLOWS_EVENTS",
        ],
    ),
];

pub(crate) fn text_of_constants(constants: &[Constant]) -> String {
    let mut text = String::new();
    for Constant { c, value, .. } in constants {
        match value {
            Value::Number(value) => writeln!(text, "{c} {value}").unwrap(),
            Value::Text(value) => writeln!(text, "{c} {value}").unwrap(),
        }
    }
    text
}
