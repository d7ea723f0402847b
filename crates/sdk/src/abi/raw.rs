//! The C interface, mirrored: `include/aurora_plugin.h` in Rust. No logic; a test holds both against each other.
//!
//! Members of sized tables are only ever appended. What is passed by value ([`Str`], [`Buf`], [`Header`], [`Waker`],
//! [`Task`]) is frozen.

mod plugin;
mod request;
mod tables;

pub use plugin::{
    BLOCKING, EmitApi, FilterFacet, Handlers, Note, Pass, PassVtable, PluginVtable, ProbeFacet,
    UNLOADABLE,
};
pub use request::{REQ_HAS_QUERY, REQ_STREAM, ReqInfo, RequestApi};
pub use tables::{
    CALL_CHAT, CALL_IMAGES, CALL_MODELS, CALL_SPEECH, CALL_TRANSCRIBE, CALL_UPLOAD, CallApi,
    CallReq, HTTP_CLIENT_BODY, HTTP_CLIENT_HEADERS, HTTP_HAS_MODEL, HTTP_STREAM_BODY, HostTable,
    HttpApi, HttpReq, MetricsApi, StateApi, TaskApi, TimerApi,
};

use std::ffi::{c_char, c_void};

/// Of this interface.
pub const MAJOR: u32 = 1;
/// Of this interface.
pub const MINOR: u32 = 0;

/// Extension `aurora.http.v1`: [`HttpApi`].
pub const EXT_HTTP: &str = "aurora.http.v1";
/// Extension `aurora.call.v1`: [`CallApi`].
pub const EXT_CALL: &str = "aurora.call.v1";
/// Extension `aurora.timer.v1`: [`TimerApi`].
pub const EXT_TIMER: &str = "aurora.timer.v1";
/// Extension `aurora.task.v1`: [`TaskApi`].
pub const EXT_TASK: &str = "aurora.task.v1";
/// Extension `aurora.state.v1`: [`StateApi`].
pub const EXT_STATE: &str = "aurora.state.v1";
/// Extension `aurora.metrics.v1`: [`MetricsApi`].
pub const EXT_METRICS: &str = "aurora.metrics.v1";
/// All extensions of this host.
pub const EXTENSIONS: [&str; 6] = [
    EXT_HTTP,
    EXT_CALL,
    EXT_TIMER,
    EXT_TASK,
    EXT_STATE,
    EXT_METRICS,
];

/// Plugin facet `aurora.filter.v1`: [`FilterFacet`].
pub const FACET_FILTER: &str = "aurora.filter.v1";
/// Plugin facet `aurora.probe.v1`: [`ProbeFacet`].
pub const FACET_PROBE: &str = "aurora.probe.v1";

/// A return code: zero and above went well.
pub type Rc = i32;
/// Done.
pub const OK: Rc = 0;
/// Nothing happened yet; the waker will fire.
pub const PENDING: Rc = 1;
/// The end of a stream.
pub const EOF: Rc = 2;
/// A fault; unknown negative codes mean the same.
pub const E_INTERNAL: Rc = -1;
/// A caught panic or exception of the other side.
pub const E_PANIC: Rc = -2;
/// A bad argument.
pub const E_INVALID: Rc = -3;
/// Not allowed now.
pub const E_STATE: Rc = -4;
/// The client is gone, or what was asked for was given up.
pub const E_CANCELLED: Rc = -5;
/// It took too long.
pub const E_TIMEOUT: Rc = -6;
/// The upstream failed.
pub const E_UPSTREAM: Rc = -7;
/// Options that cannot be used.
pub const E_CONFIG: Rc = -8;
/// It is not there.
pub const E_NOT_FOUND: Rc = -9;
/// The operator does not permit it.
pub const E_DENIED: Rc = -10;
/// Nothing is left of what is needed.
pub const E_EXHAUSTED: Rc = -11;
/// This side does not have it.
pub const E_UNSUPPORTED: Rc = -12;
/// Too large.
pub const E_TOO_LARGE: Rc = -13;
/// Somebody else was faster.
pub const E_CONFLICT: Rc = -14;

/// Borrowed bytes, not NUL-terminated. Empty may have a null pointer.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Str {
    /// First byte.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

/// Owned bytes: whoever holds it calls `release(owner)` once.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Buf {
    /// First byte.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
    /// For `release`.
    pub owner: *mut c_void,
    /// `None`: static memory.
    pub release: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// A header, a route parameter: name and value.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Name.
    pub name: Str,
    /// Value.
    pub value: Str,
}

/// Filled by `create` on failure; the caller allocates it. Texts end with NUL.
#[repr(C)]
#[derive(Debug, Clone)]
pub struct BuildFailure {
    /// Bytes of this struct.
    pub size: u32,
    /// Why.
    pub code: Rc,
    /// The option at fault.
    pub option: [c_char; 128],
    /// What is wrong.
    pub text: [c_char; 512],
    /// How to mend it.
    pub hint: [c_char; 256],
}

/// An error in full. Texts are borrowed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Bytes of this struct.
    pub size: u32,
    /// The code that goes with it.
    pub code: Rc,
    /// What happened, `AUR_KIND_*`; 0: as `code` says.
    pub kind: i32,
    /// Whose fault: 0 the gateway's, 1 the client's, 2 the upstream's.
    pub origin: i32,
    /// HTTP status; 0: as the kind says.
    pub status: u16,
    /// [`FAULT_TOLD`].
    pub flags: u16,
    /// Zero.
    pub reserved: u32,
    /// When to try again, ms; 0: nothing is said.
    pub retry_after_ms: u64,
    /// The stable code that clients branch on.
    pub word: Str,
    /// For the client.
    pub message: Str,
    /// The request field at fault; empty: none.
    pub param: Str,
    /// For the log; empty: none.
    pub cause: Str,
}

/// The body that was sent so far says what went wrong.
pub const FAULT_TOLD: u16 = 1;

/// Who is to be polled again. Borrowed for the call that it is passed to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Waker {
    /// For the functions.
    pub data: *const c_void,
    /// The functions.
    pub vtable: *const WakerVtable,
}

/// Functions of a [`Waker`]; any thread may call them.
#[repr(C)]
#[derive(Debug)]
pub struct WakerVtable {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Another one, to keep.
    pub clone: unsafe extern "C" fn(*const c_void) -> Waker,
    /// Wakes and drops.
    pub wake: unsafe extern "C" fn(*const c_void),
    /// Wakes.
    pub wake_by_ref: unsafe extern "C" fn(*const c_void),
    /// Drops.
    pub drop: unsafe extern "C" fn(*const c_void),
}

/// Work under way. All zero: none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// For the functions.
    pub data: *mut c_void,
    /// [`PENDING`], or a final code.
    pub poll: Option<unsafe extern "C" fn(*mut c_void, *const Waker) -> Rc>,
    /// Called once; without a final code before, it cancels.
    pub drop: Option<unsafe extern "C" fn(*mut c_void)>,
}

impl Task {
    /// None.
    pub const NONE: Self = Self {
        data: std::ptr::null_mut(),
        poll: None,
        drop: None,
    };
}

/// Opaque: one client request, the host's.
#[repr(C)]
#[derive(Debug)]
pub struct Req(c_void);
/// Opaque: one exchange with an upstream, the host's.
#[repr(C)]
#[derive(Debug)]
pub struct Fetch(c_void);
/// Opaque: one semantic call, the host's.
#[repr(C)]
#[derive(Debug)]
pub struct Call(c_void);
/// Opaque: one timer, the host's.
#[repr(C)]
#[derive(Debug)]
pub struct Timer(c_void);
/// Opaque: one piece of work in the background, the host's.
#[repr(C)]
#[derive(Debug)]
pub struct Join(c_void);
/// Opaque: one operation on the state, the host's.
#[repr(C)]
#[derive(Debug)]
pub struct StateOp(c_void);
/// Opaque: the plugin's.
#[repr(C)]
#[derive(Debug)]
pub struct Instance(c_void);
