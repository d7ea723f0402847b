//! Who keeps a request: its task, and beyond that whoever has the request or a part of it.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use http::{HeaderMap, Method};

use super::{RemoteRequest, header_map};
use crate::abi::export::body::RequestBody;
use crate::abi::export::task::Room;
use crate::abi::raw::{OK, REQ_HAS_QUERY, Str};
use crate::headers::RemoteHeaders;
use crate::{Body, Context, Headers, Host, Request};

/// The task is there, and parts need not keep the request.
pub(super) const TASK: usize = 1 << (usize::BITS - 1);

/// Headers or body of a request, wherever the plugin takes them.
pub(crate) struct Part(NonNull<RemoteRequest>);

// SAFETY: it is a reference that counts, to what any thread may use.
unsafe impl Send for Part {}
// SAFETY: as above.
unsafe impl Sync for Part {}

impl Deref for Part {
    type Target = RemoteRequest;

    fn deref(&self) -> &RemoteRequest {
        // SAFETY: the task, or the count that the parts have together, keeps it.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Part {
    fn clone(&self) -> Self {
        self.parts.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.parts.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: the task is gone and left the parts a count, and this is the last of them.
            drop(unsafe { Arc::from_raw(self.0.as_ptr()) });
        }
    }
}

// SAFETY: the contract lets any thread use a request that is held.
unsafe impl Send for RemoteRequest {}
// SAFETY: as above.
unsafe impl Sync for RemoteRequest {}

impl Drop for RemoteRequest {
    fn drop(&mut self) {
        if !*self.is_held.get_mut() {
            return;
        }
        // SAFETY: it was held once, by `hold_on`.
        unsafe { (self.host().tables.request.release)(self.req) };
        // SAFETY: as above.
        unsafe { Arc::decrement_strong_count(self.host.as_ptr()) };
    }
}

/// A request as its task has it.
pub(in crate::abi::export) struct Lent(pub(super) Arc<RemoteRequest>);

impl Drop for Lent {
    fn drop(&mut self) {
        // Nobody can take it from where it is not.
        if self.0.parts.load(Ordering::Acquire) != TASK {
            self.0.hold_on();
            let count = ManuallyDrop::new(Arc::clone(&self.0));
            if self.0.parts.fetch_and(!TASK, Ordering::AcqRel) == TASK {
                // They went meanwhile.
                drop(ManuallyDrop::into_inner(count));
            }
        }
        if Arc::strong_count(&self.0) > 1 {
            self.0.hold_on();
        }
    }
}

impl Deref for Lent {
    type Target = RemoteRequest;

    fn deref(&self) -> &RemoteRequest {
        &self.0
    }
}

/// A request that its [`Lent`] keeps.
pub(in crate::abi::export) struct Borrowed(ManuallyDrop<Arc<RemoteRequest>>);

impl Deref for Borrowed {
    type Target = RemoteRequest;

    fn deref(&self) -> &RemoteRequest {
        &self.0
    }
}

impl Lent {
    /// Where its task may lie.
    pub(in crate::abi::export) fn room(&self) -> &Room {
        &self.0.room
    }

    /// The address to get it back from by [`Lent::from_raw`].
    pub(in crate::abi::export) fn into_raw(self) -> *mut c_void {
        let this = ManuallyDrop::new(self);
        Arc::as_ptr(&this.0).cast_mut().cast()
    }

    /// # Safety
    /// `raw` came out of [`Lent::into_raw`], and what comes out of this is one and the same.
    pub(in crate::abi::export) unsafe fn from_raw(raw: *mut c_void) -> Self {
        // SAFETY: the caller vouches for it.
        Self(unsafe { Arc::from_raw(raw.cast::<RemoteRequest>()) })
    }

    /// The request for the future of its task.
    ///
    /// # Safety
    /// The result, and what [`Borrowed::context`] gives, go before this.
    pub(in crate::abi::export) unsafe fn borrow(&self) -> Borrowed {
        // SAFETY: it is never dropped, so the count stays as it is.
        Borrowed(ManuallyDrop::new(unsafe {
            Arc::from_raw(Arc::as_ptr(&self.0))
        }))
    }
}

impl Borrowed {
    /// A context that is not counted; clones of it are.
    pub(in crate::abi::export) fn context(&self) -> ManuallyDrop<Context> {
        // SAFETY: as in `borrow`.
        let uncounted = unsafe { Arc::from_raw(Arc::as_ptr(&self.0)) };
        ManuallyDrop::new(Context::new(uncounted as Arc<dyn Host>))
    }

    /// The request as the handler has it.
    pub(in crate::abi::export) fn request(&self) -> Request {
        let remote = &*self.0;
        // SAFETY: texts of a request live as long as it is held.
        let text = |part: Str| unsafe { part.to_text() };
        // SAFETY: as above.
        let method = Method::from_bytes(unsafe { remote.info.method.bytes() }).unwrap_or_default();
        let query = (remote.info.flags & REQ_HAS_QUERY != 0).then(|| text(remote.info.query));
        let length = u64::try_from(remote.info.body_len).ok();
        let has_body = length != Some(0);
        // Nobody has a part of it before.
        remote
            .parts
            .store(TASK | (1 + usize::from(has_body)), Ordering::Relaxed);
        let part = || Part(NonNull::from(remote.as_ref()));
        let body = if has_body {
            Body::requested(RequestBody::new(part()), length)
        } else {
            Body::empty()
        };
        Request {
            method,
            path: text(remote.info.path),
            query,
            headers: Headers::remote(part()),
            body,
            max_body: remote.info.max_body,
        }
    }
}

impl RemoteHeaders for Part {
    fn read(&self) -> HeaderMap {
        header_map(self.headers())
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        let mut value = Str::EMPTY;
        // SAFETY: the request is held, and `value` is ours.
        let code = unsafe {
            (self.host().tables.request.header)(self.req, Str::text(name), &raw mut value)
        };
        // SAFETY: texts of a request live as long as it is held.
        (code == OK).then(|| unsafe { value.bytes() })
    }

    fn request(&self) -> usize {
        self.req.addr()
    }
}
