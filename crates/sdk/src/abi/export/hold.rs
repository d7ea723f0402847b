//! What is open belongs to the host or to a request, and goes with it. So who has it open holds what it belongs to: the parts of
//! a plugin may keep a body, a stream or a timer for as long as they like.

use crate::abi::raw::{HostTable, Req, RequestApi};

/// A host or a request, held.
pub(super) enum Hold {
    Host(*const HostTable),
    Request(&'static RequestApi, *mut Req),
}

// SAFETY: the contract lets any thread hold and let go.
unsafe impl Send for Hold {}
// SAFETY: as above; sharing it gives no way to use it.
unsafe impl Sync for Hold {}

impl Hold {
    /// # Safety
    /// The host is there.
    pub(super) unsafe fn host(table: *const HostTable) -> Self {
        // SAFETY: the caller vouches for it.
        unsafe { ((*table).retain)(table) };
        Self::Host(table)
    }

    /// # Safety
    /// The request is held, and `api` is its host's.
    pub(super) unsafe fn request(api: &'static RequestApi, req: *mut Req) -> Self {
        // SAFETY: the caller vouches for it.
        unsafe { (api.retain)(req) };
        Self::Request(api, req)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match *self {
            // SAFETY: it was held once, by `host`, and is there until it is let go.
            Self::Host(table) => unsafe { ((*table).release)(table) },
            // SAFETY: as above, by `request`.
            Self::Request(api, req) => unsafe { (api.release)(req) },
        }
    }
}
