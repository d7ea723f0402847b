//! What a plugin can do with a request. Every function may be called from any thread while the request is held.

use super::{Buf, Fault, Fetch, Header, Rc, Req, Str, Waker};

/// The request has a query, be it empty.
pub const REQ_HAS_QUERY: u32 = 1;
/// Answers may be streamed.
pub const REQ_STREAM: u32 = 2;

/// What is known of a request. Texts live as long as the request is held.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ReqInfo {
    /// Bytes of this struct, as the caller knows it.
    pub size: u32,
    /// `REQ_*`.
    pub flags: u32,
    /// How many headers.
    pub header_count: u32,
    /// How many route parameters.
    pub param_count: u32,
    /// As sent.
    pub method: Str,
    /// As sent, percent-encoding and all.
    pub path: Str,
    /// As sent, without the question mark.
    pub query: Str,
    /// The route's path as configured.
    pub route: Str,
    /// `x-request-id`.
    pub request_id: Str,
    /// The client's name.
    pub client: Str,
    /// A stable word that owns the client's things.
    pub owner: Str,
    /// Bytes of the body; -1: not known.
    pub body_len: i64,
    /// The largest body that the route takes as a whole, bytes.
    pub max_body: u64,
}

type Body = unsafe extern "C" fn(*mut Req, *const Waker, *mut Str) -> Rc;

/// Functions of a request.
#[repr(C)]
#[derive(Debug)]
pub struct RequestApi {
    /// Bytes of this struct.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Holds the request beyond its task; what is asked of it then is refused.
    pub retain: unsafe extern "C" fn(*mut Req),
    /// Lets go of it.
    pub release: unsafe extern "C" fn(*mut Req),
    /// Fills the struct.
    pub info: unsafe extern "C" fn(*mut Req, *mut ReqInfo) -> Rc,
    /// The first header of that name, in any case.
    pub header: unsafe extern "C" fn(*mut Req, Str, *mut Str) -> Rc,
    /// The header at that place.
    pub header_at: unsafe extern "C" fn(*mut Req, u32, *mut Header) -> Rc,
    /// The route parameter of that name.
    pub param: unsafe extern "C" fn(*mut Req, Str, *mut Str) -> Rc,
    /// The route parameter at that place.
    pub param_at: unsafe extern "C" fn(*mut Req, u32, *mut Header) -> Rc,
    /// The next piece of the body, borrowed until the next call of a `body_*`.
    pub body_poll: Body,
    /// The piece that `body_poll` gave last, to keep.
    pub body_retain: unsafe extern "C" fn(*mut Req, *mut Buf) -> Rc,
    /// The whole body, which stays in place for who comes after; borrowed as long as the request is held.
    pub body_all_poll: unsafe extern "C" fn(*mut Req, *const Waker, u64, *mut Str) -> Rc,
    /// The head of the answer, once.
    pub resp_head: unsafe extern "C" fn(*mut Req, u16, *const Header, usize) -> Rc,
    /// More of the body; copied, all or nothing.
    pub resp_write: unsafe extern "C" fn(*mut Req, *const Waker, Str) -> Rc,
    /// More of the body; moved, all or nothing.
    pub resp_write_buf: unsafe extern "C" fn(*mut Req, *const Waker, *mut Buf) -> Rc,
    /// The rest of the body is what the upstream sends: the exchange is moved.
    pub resp_forward: unsafe extern "C" fn(*mut Req, *mut Fetch) -> Rc,
    /// Ready when all that was written is on its way.
    pub flush_poll: unsafe extern "C" fn(*mut Req, *const Waker) -> Rc,
    /// Ready with [`super::E_CANCELLED`] when the client has gone.
    pub cancel_poll: unsafe extern "C" fn(*mut Req, *const Waker) -> Rc,
    /// Goes on for that many ms when the client leaves.
    pub keep_running: unsafe extern "C" fn(*mut Req, u32) -> Rc,
    /// What is wrong, before a negative code is returned.
    pub fail: unsafe extern "C" fn(*mut Req, *const Fault),
    /// A number for the access log.
    pub usage: unsafe extern "C" fn(*mut Req, Str, i64) -> Rc,
    /// In a filter: another path, query and headers.
    pub set_head: unsafe extern "C" fn(*mut Req, Str, Str, *const Header, usize) -> Rc,
    /// In a filter: another body.
    pub set_body: unsafe extern "C" fn(*mut Req, *mut Buf) -> Rc,
    /// Writes to the log under the request's id.
    pub log: unsafe extern "C" fn(*mut Req, i32, Str),
}
