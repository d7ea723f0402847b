//! What the host does for a plugin.

use std::ffi::{c_char, c_void};

use super::{
    Buf, Call, Fault, Fetch, Header, Join, Rc, Req, RequestApi, StateOp, Str, Task, Timer, Waker,
};

/// The host as one instance has it. Any thread may call its functions while it is held.
#[repr(C)]
#[derive(Debug)]
pub struct HostTable {
    /// Bytes of this struct.
    pub size: u32,
    /// Of the interface that it serves.
    pub abi_major: u32,
    /// Of the interface that it serves.
    pub abi_minor: u32,
    /// Zero.
    pub reserved: u32,
    /// Functions of requests.
    pub request: *const RequestApi,
    /// Holds the host beyond the instance; what is asked of it then is refused.
    pub retain: unsafe extern "C" fn(*const HostTable),
    /// Lets go of it.
    pub release: unsafe extern "C" fn(*const HostTable),
    /// The table of an extension, or null.
    pub get_extension: unsafe extern "C" fn(*const HostTable, *const c_char) -> *const c_void,
    /// Writes to the log under the plugin's name.
    pub log: unsafe extern "C" fn(*const HostTable, i32, Str),
    /// Whether anybody listens at that level.
    pub log_enabled: unsafe extern "C" fn(*const HostTable, i32) -> i32,
    /// A clock that never goes back, ns.
    pub now_ns: unsafe extern "C" fn() -> u64,
}

/// [`HttpReq::body`] comes by `body_write`.
pub const HTTP_STREAM_BODY: u32 = 1;
/// [`HttpReq::headers`] are left out: the client's own are offered.
pub const HTTP_CLIENT_HEADERS: u32 = 2;
/// [`HttpReq::body`] is left out: the rest of the client's own is sent.
pub const HTTP_CLIENT_BODY: u32 = 4;
/// [`HttpReq::model`] is there.
pub const HTTP_HAS_MODEL: u32 = 8;

/// A request for an upstream.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct HttpReq {
    /// Bytes of this struct.
    pub size: u32,
    /// `HTTP_*`.
    pub flags: u32,
    /// `AUR_OP_*`.
    pub operation: i32,
    /// Zero.
    pub reserved: u32,
    /// Name of the upstream; empty: the route's.
    pub upstream: Str,
    /// Method.
    pub method: Str,
    /// Below the upstream's API root, with the query.
    pub path: Str,
    /// The client's name of the model.
    pub model: Str,
    /// To offer.
    pub headers: *const Header,
    /// How many.
    pub header_count: usize,
    /// Moved when the call goes well.
    pub body: Buf,
    /// Bytes of a streamed body; -1: not known.
    pub body_len: i64,
}

type Open = unsafe extern "C" fn(*const HostTable, *mut Req, *mut HttpReq, *mut *mut Fetch) -> Rc;

/// Extension `aurora.http.v1`. One thread at a time uses an exchange.
#[repr(C)]
#[derive(Debug)]
pub struct HttpApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Begins an exchange; without a request, with an upstream that the operator granted.
    pub open: Open,
    /// More of the request's body; copied, all or nothing.
    pub body_write: unsafe extern "C" fn(*mut Fetch, *const Waker, Str) -> Rc,
    /// The request's body is over.
    pub body_end: unsafe extern "C" fn(*mut Fetch) -> Rc,
    /// The status, when the head is there.
    pub head_poll: unsafe extern "C" fn(*mut Fetch, *const Waker, *mut u16) -> Rc,
    /// The first header of that name.
    pub header: unsafe extern "C" fn(*mut Fetch, Str, *mut Str) -> Rc,
    /// The header at that place.
    pub header_at: unsafe extern "C" fn(*mut Fetch, u32, *mut Header) -> Rc,
    /// The next piece, borrowed until the next call.
    pub chunk_poll: unsafe extern "C" fn(*mut Fetch, *const Waker, *mut Str) -> Rc,
    /// The next event, borrowed until the next call.
    pub event_poll: unsafe extern "C" fn(*mut Fetch, *const Waker, *mut Str, *mut Str) -> Rc,
    /// The piece that `chunk_poll` gave last, to keep.
    pub chunk_retain: unsafe extern "C" fn(*mut Fetch, *mut Buf) -> Rc,
    /// What went wrong, after a negative code; borrowed until the next call.
    pub fault: unsafe extern "C" fn(*mut Fetch, *mut Fault) -> Rc,
    /// Once, in any state.
    pub close: unsafe extern "C" fn(*mut Fetch),
    /// Whether the route's upstreams speak the client's API for that operation.
    pub native: unsafe extern "C" fn(*mut Req, i32) -> i32,
    /// Whether the name of the model decides anything on the route.
    pub routes_by_model: unsafe extern "C" fn(*mut Req) -> i32,
    /// Bytes of the body that are still to come; -1: not known.
    pub body_len: unsafe extern "C" fn(*mut Fetch) -> i64,
}

/// A semantic call: canonical JSON in, JSON or a stream of it out.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CallReq {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub flags: u32,
    /// `AUR_CALL_*`.
    pub operation: i32,
    /// Zero.
    pub reserved: u32,
    /// The request, as of the OpenAI API.
    pub json: Str,
    /// Of `file`.
    pub file_name: Str,
    /// Of `file`.
    pub file_type: Str,
    /// To transcribe or upload; moved when the call goes well.
    pub file: Buf,
}

/// `operation` of a [`CallReq`]: events are chat chunks.
pub const CALL_CHAT: i32 = 1;
/// One event: the list of models.
pub const CALL_MODELS: i32 = 2;
/// One event: pictures.
pub const CALL_IMAGES: i32 = 3;
/// Sound, by `bytes_poll`.
pub const CALL_SPEECH: i32 = 4;
/// One event: what was said.
pub const CALL_TRANSCRIBE: i32 = 5;
/// One event: the file object.
pub const CALL_UPLOAD: i32 = 6;

type Start = unsafe extern "C" fn(*const HostTable, *mut Req, *mut CallReq, *mut *mut Call) -> Rc;

/// Extension `aurora.call.v1`. One thread at a time uses a call.
#[repr(C)]
#[derive(Debug)]
pub struct CallApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Begins.
    pub start: Start,
    /// Ready when the upstream has accepted.
    pub accepted_poll: unsafe extern "C" fn(*mut Call, *const Waker) -> Rc,
    /// The next event as JSON, borrowed until the next call; then [`super::EOF`].
    pub event_poll: unsafe extern "C" fn(*mut Call, *const Waker, *mut Str) -> Rc,
    /// The media type of the sound.
    pub content_type: unsafe extern "C" fn(*mut Call, *mut Str) -> Rc,
    /// The next piece of the sound, borrowed until the next call; then [`super::EOF`].
    pub bytes_poll: unsafe extern "C" fn(*mut Call, *const Waker, *mut Str) -> Rc,
    /// As [`HttpApi::fault`].
    pub fault: unsafe extern "C" fn(*mut Call, *mut Fault) -> Rc,
    /// Once, in any state.
    pub close: unsafe extern "C" fn(*mut Call),
}

/// Extension `aurora.timer.v1`.
#[repr(C)]
#[derive(Debug)]
pub struct TimerApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Starts one of that many ms.
    pub start: unsafe extern "C" fn(*const HostTable, u64, *mut *mut Timer) -> Rc,
    /// Ready when it has run off.
    pub poll: unsafe extern "C" fn(*mut Timer, *const Waker) -> Rc,
    /// Starts it again.
    pub reset: unsafe extern "C" fn(*mut Timer, u64) -> Rc,
    /// Once.
    pub close: unsafe extern "C" fn(*mut Timer),
}

type Work = unsafe extern "C" fn(*mut c_void) -> Rc;
type Offload =
    unsafe extern "C" fn(*const HostTable, Option<Work>, *mut c_void, *mut *mut Join) -> Rc;

/// Extension `aurora.task.v1`: work in the background.
#[repr(C)]
#[derive(Debug)]
pub struct TaskApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Runs a task until it ends or the instance is destroyed.
    pub spawn: unsafe extern "C" fn(*const HostTable, Str, Task, *mut *mut Join) -> Rc,
    /// Runs a function that may block.
    pub offload: Offload,
    /// The code that it ended with, when it has.
    pub join_poll: unsafe extern "C" fn(*mut Join, *const Waker, *mut Rc) -> Rc,
    /// Once. Ends nothing.
    pub join_close: unsafe extern "C" fn(*mut Join),
}

type Put = unsafe extern "C" fn(*const HostTable, Str, Str, u64, *mut *mut StateOp) -> Rc;
type Swap =
    unsafe extern "C" fn(*const HostTable, Str, *const Str, Str, u64, *mut *mut StateOp) -> Rc;

/// Extension `aurora.state.v1`: small keyed state with expiry.
#[repr(C)]
#[derive(Debug)]
pub struct StateApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Begins to read.
    pub get: unsafe extern "C" fn(*const HostTable, Str, *mut *mut StateOp) -> Rc,
    /// Begins to write a value that is kept that many ms.
    pub put: Put,
    /// Begins to forget.
    pub del: unsafe extern "C" fn(*const HostTable, Str, *mut *mut StateOp) -> Rc,
    /// Begins to write where the value is the one expected; null: where there is none.
    pub swap: Swap,
    /// How it went: the value of a `get`, [`super::E_NOT_FOUND`], [`super::E_CONFLICT`]. Borrowed until `close`.
    pub poll: unsafe extern "C" fn(*mut StateOp, *const Waker, *mut Str) -> Rc,
    /// Once, in any state.
    pub close: unsafe extern "C" fn(*mut StateOp),
}

type Define =
    unsafe extern "C" fn(*const HostTable, i32, Str, Str, *const Str, usize, *mut u32) -> Rc;

/// Extension `aurora.metrics.v1`.
#[repr(C)]
#[derive(Debug)]
pub struct MetricsApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Defines one: 0 counter, 1 gauge, 2 histogram.
    pub define: Define,
    /// Adds, sets or counts.
    pub record: unsafe extern "C" fn(*const HostTable, u32, f64, *const Str, usize),
}
