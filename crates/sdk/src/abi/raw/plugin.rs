//! What a plugin gives to the host.

use std::ffi::{c_char, c_void};

use super::{BuildFailure, HostTable, Instance, MAJOR, MINOR, Rc, Req, Str, Task, Waker};

/// `handle` may block: it runs on a thread of its own and returns the final code; there, a null waker means "wait".
pub const BLOCKING: u32 = 1;
/// Nothing of the library outlives its last instance, so that an operator may have it unmapped.
pub const UNLOADABLE: u32 = 2;

type Create =
    unsafe extern "C" fn(*const HostTable, i32, Str, *mut *mut Instance, *mut BuildFailure) -> Rc;
type Handle = unsafe extern "C" fn(*mut Instance, *mut Req, *mut Task) -> Rc;

/// What the entry function returns. Members that are `None` in the C struct's eyes are null.
#[repr(C)]
#[derive(Debug)]
pub struct PluginVtable {
    /// Bytes of this struct.
    pub size: u32,
    /// [`BLOCKING`], [`UNLOADABLE`]. Bits from 16 on must be understood.
    pub flags: u32,
    /// Static JSON.
    pub manifest: Str,
    /// Makes a handler (0) or a filter (1) of these options.
    pub create: Option<Create>,
    /// Begins with a request.
    pub handle: Option<Handle>,
    /// No new requests will come.
    pub drain: Option<unsafe extern "C" fn(*mut Instance)>,
    /// Frees everything; nothing is called after it.
    pub destroy: Option<unsafe extern "C" fn(*mut Instance)>,
    /// A facet, or null.
    pub get_extension: Option<unsafe extern "C" fn(*mut Instance, *const c_char) -> *const c_void>,
    /// [`Handlers`].
    pub properties: Option<unsafe extern "C" fn(*mut Instance) -> u32>,
}

// SAFETY: a table of functions and static text.
unsafe impl Sync for PluginVtable {}
// SAFETY: as above.
unsafe impl Send for PluginVtable {}

/// Bits of [`PluginVtable::properties`].
#[derive(Debug)]
pub struct Handlers;

impl Handlers {
    /// Clients need no key for it.
    pub const PUBLIC: u32 = 1;
}

/// Facet `aurora.probe.v1`: a test of itself before it serves.
#[repr(C)]
#[derive(Debug)]
pub struct ProbeFacet {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// A task that ends within 10 s; a negative code refuses the version.
    pub start: unsafe extern "C" fn(*mut Instance, *mut Task, *mut BuildFailure) -> Rc,
}

/// Facet `aurora.filter.v1`.
#[repr(C)]
#[derive(Debug)]
pub struct FilterFacet {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// 0 nothing, 1 head, 2 chunks, 3 events.
    pub follows: unsafe extern "C" fn(*mut Instance) -> u32,
    /// Begins with a request; the answer is followed by what it gives.
    pub begin: unsafe extern "C" fn(*mut Instance, *mut Req, *mut Pass) -> Rc,
}

/// One request on its way through a filter.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// For the functions.
    pub data: *mut c_void,
    /// The functions.
    pub vtable: *const PassVtable,
}

/// Pushes events or chunks to the answer; valid for the call that it is passed to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct EmitApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// For the functions.
    pub out: *mut c_void,
    /// A piece of the body.
    pub chunk: unsafe extern "C" fn(*mut c_void, Str) -> Rc,
    /// An event: name, JSON.
    pub event: unsafe extern "C" fn(*mut c_void, Str, Str) -> Rc,
    /// In `head`: another status.
    pub status: unsafe extern "C" fn(*mut c_void, u16) -> Rc,
    /// In `head`: this value of a header in place of all it has; null removes it.
    pub header: unsafe extern "C" fn(*mut c_void, Str, *const Str) -> Rc,
    /// In `head`: one more value of a header.
    pub header_add: unsafe extern "C" fn(*mut c_void, Str, Str) -> Rc,
}

type Event = unsafe extern "C" fn(*mut c_void, Str, Str, i32, *const EmitApi) -> Rc;

/// Functions of a [`Pass`], called one at a time. Members may be null: then all goes on as it is.
#[repr(C)]
#[derive(Debug)]
pub struct PassVtable {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Looks at the request, as a task does; an answer that it has begun by then is the answer.
    pub request_poll: Option<unsafe extern "C" fn(*mut c_void, *const Waker) -> Rc>,
    /// The head of the answer: status, headers and how many.
    pub head: Option<
        unsafe extern "C" fn(*mut c_void, u16, *const super::Header, usize, *const EmitApi) -> Rc,
    >,
    /// A piece of the body.
    pub chunk: Option<unsafe extern "C" fn(*mut c_void, Str, *const EmitApi) -> Rc>,
    /// An event: name, JSON, whether it is the whole answer.
    pub event: Option<Event>,
    /// The body is over.
    pub last: Option<unsafe extern "C" fn(*mut c_void, *const EmitApi) -> Rc>,
    /// The answer has ended: status, whether complete, token counts (-1: not known).
    pub end: Option<unsafe extern "C" fn(*mut c_void, u16, i32, i64, i64)>,
    /// Once.
    pub drop: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: a table of functions.
unsafe impl Sync for PassVtable {}

/// Constant data that the host reads out of the file before it maps the library. Bytes only.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// `AURPLUG1`.
    pub magic: [u8; 8],
    /// 32.
    pub note_size: u32,
    /// Of the header compiled against.
    pub abi_major: u32,
    /// Of the header compiled against.
    pub abi_minor: u32,
    /// Older hosts are refused.
    pub min_host_minor: u32,
    /// 32 or 64.
    pub pointer_bits: u8,
    /// 1 or 0.
    pub little_endian: u8,
    /// Zero.
    pub flags: u16,
    /// Zero.
    pub reserved: u32,
}

impl Note {
    /// How many bytes it has.
    pub const SIZE: usize = 32;

    /// The note of a plugin that hosts from `min_host_minor` on can load.
    pub const fn current(min_host_minor: u32) -> Self {
        Self {
            magic: *b"AURPLUG1",
            note_size: 32,
            abi_major: MAJOR,
            abi_minor: MINOR,
            min_host_minor,
            pointer_bits: if cfg!(target_pointer_width = "64") {
                64
            } else {
                32
            },
            little_endian: cfg!(target_endian = "little") as u8,
            flags: 0,
            reserved: 0,
        }
    }
}
