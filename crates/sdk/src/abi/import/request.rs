//! A client's request as a plugin sees it, and the answer as the plugin gives it.

mod answer;
mod asked;
mod incoming;
mod rest;

pub(super) use asked::headers;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker as StdWaker;

use http::{HeaderMap, Method, StatusCode};

use self::incoming::Incoming;
use self::rest::{Inner, Told, wake};
use super::direct::AtHand;
use super::handles::Handles;
use super::host::HostSide;
use super::pipe::Pipe;
use super::plugin::Notice;
use super::uncounted::Uncounted;
use crate::abi::memory::size;
use crate::abi::raw::{E_PANIC, Rc, Req, RequestApi, Waker};
use crate::abi::{fault, waker};
use crate::{Body, Context, Error, Headers, Request};

/// The functions of every request.
pub(super) static API: RequestApi = RequestApi {
    size: size::<RequestApi>(),
    reserved: 0,
    retain: asked::retain,
    release: asked::release,
    info: asked::info,
    header: asked::header,
    header_at: asked::header_at,
    param: asked::param,
    param_at: asked::param_at,
    body_poll: asked::body_poll,
    body_retain: asked::body_retain,
    body_all_poll: asked::body_all_poll,
    resp_head: answer::head,
    resp_write: answer::write,
    resp_write_buf: answer::write_buf,
    resp_forward: answer::forward,
    flush_poll: answer::flush_poll,
    cancel_poll: answer::cancel_poll,
    keep_running: answer::keep_running,
    fail: answer::fail,
    usage: answer::usage,
    set_head: asked::set_head,
    set_body: asked::set_body,
    log: answer::log,
};

/// Where the request goes and what it says of itself. Never changed, so that texts can be lent as long as the request is held.
pub(super) struct Head {
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: Headers,
}

/// See the module. What the plugin is given points to this.
pub(super) struct RequestSide {
    pub(super) cx: Uncounted<Context>,
    /// Its instance may be gone while somebody holds the request, and is not kept: work in the background that holds a request
    /// would hold up its own end.
    pub(super) host: Uncounted<Arc<HostSide>>,
    /// Whether those two count.
    is_held: AtomicBool,
    pub(super) at_hand: AtHand,
    pub(super) pipe: Pipe,
    pub(super) open: Handles,
    method: Method,
    head: Head,
    body_len: Option<u64>,
    max_body: u64,
    /// Whether the request may be changed.
    is_filtered: bool,
    /// Whether a filter changed the head.
    is_changed: AtomicBool,
    over: AtomicBool,
    /// How far the answer is.
    phase: AtomicU8,
    incoming: Mutex<Incoming>,
    inner: Mutex<Inner>,
}

/// What is waited for without anything to be written: nothing else wakes who waits when the request ends.
#[derive(Clone, Copy)]
enum Asking {
    Piece,
    Whole,
    Gone,
}

/// How far an answer is.
#[derive(Clone, Copy)]
enum Phase {
    Open = 0,
    Answered = 1,
    Forwarded = 2,
}

impl RequestSide {
    /// Shows `request` to a plugin.
    ///
    /// # Safety
    /// `cx` and `host` are there until the result is dropped, or [`RequestSide::hold_on`] is called.
    pub(super) unsafe fn new(
        cx: &Context,
        host: &Arc<HostSide>,
        request: Request,
        is_filtered: bool,
    ) -> Arc<Self> {
        let side = Arc::<Self>::new_uninit();
        let place = Arc::as_ptr(&side).cast_mut().cast::<Self>();
        macro_rules! fill {
            ($($field:ident: $value:expr,)*) => {{
                // Says that no field is left out.
                let _all = |all: Self| {
                    let Self { $($field: _,)* } = &all;
                };
                // In its place, because it is large to move.
                // SAFETY: nobody else has the place yet, and all of it is filled.
                unsafe {
                    $((&raw mut (*place).$field).write($value);)*
                    side.assume_init()
                }
            }};
        }
        fill! {
            cx: Uncounted::of(cx),
            host: Uncounted::of(host),
            is_held: AtomicBool::new(false),
            at_hand: AtHand::default(),
            pipe: Pipe::default(),
            open: Handles::default(),
            method: request.method,
            head: Head {
                path: request.path,
                query: request.query,
                headers: request.headers,
            },
            body_len: request.body.length(),
            max_body: request.max_body,
            is_filtered: is_filtered,
            is_changed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            phase: AtomicU8::new(Phase::Open as u8),
            incoming: Mutex::new(Incoming::new(request.body)),
            inner: Mutex::default(),
        }
    }

    /// From here on it needs nobody to keep what it was made with. Said by whoever made it, as long as that is there.
    pub(super) fn hold_on(&self) {
        if !self.is_held.swap(true, Ordering::AcqRel) {
            self.cx.count();
            self.host.count();
        }
    }

    /// What the plugin is given; it is held by whoever gives it.
    pub(super) fn raw(self: &Arc<Self>) -> *mut Req {
        Arc::as_ptr(self).cast_mut().cast()
    }

    /// The request behind what the plugin was given.
    ///
    /// # Safety
    /// `req` is one that [`RequestSide::raw`] gave, and is held.
    pub(super) unsafe fn of<'a>(req: *mut Req) -> &'a Self {
        // SAFETY: the caller vouches for it.
        unsafe { &*req.cast::<Self>() }
    }

    /// As [`RequestSide::of`], for things that outlive the call.
    ///
    /// # Safety
    /// As [`RequestSide::of`].
    pub(super) unsafe fn shared(req: *mut Req) -> Arc<Self> {
        // SAFETY: it is held, so its count is at least one.
        unsafe { Arc::increment_strong_count(req.cast::<Self>()) };
        // SAFETY: that one is ours.
        unsafe { Arc::from_raw(req.cast::<Self>()) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while the body is polled, and so while its streams take the plugin's waker: nothing but the body may need it.
    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client's headers as they came.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// What is left of the client's body.
    pub(super) fn take_body(&self) -> Body {
        self.incoming().take()
    }

    /// Whether its task is gone.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Wakes `waker` when its task is gone, or at once.
    pub(super) fn listen(&self, waker: StdWaker) {
        let mut inner = self.inner();
        if self.is_over() {
            drop(inner);
            return waker.wake();
        }
        inner.rest().waiting.push(waker);
    }

    /// Wakes `waker` no more.
    pub(super) fn leave(&self, waker: &StdWaker) {
        self.inner()
            .rest()
            .waiting
            .retain(|other| !other.will_wake(waker));
    }

    /// As [`RequestSide::listen`] for a waker that the plugin made; one of ours belongs to the task.
    ///
    /// # Safety
    /// `waker` is null or there for the call.
    unsafe fn remember(&self, asking: Asking, waker: *const Waker) {
        if waker.is_null() {
            return;
        }
        // SAFETY: the caller vouches for it.
        let Some(waker) = (unsafe { waker::kept(waker, &self.host.library.keep) }) else {
            return;
        };
        let mut inner = self.inner();
        if self.is_over() {
            drop(inner);
            return waker.wake();
        }
        let former = inner
            .rest()
            .asking
            .get_mut(asking as usize)
            .and_then(|place| place.replace(waker));
        drop(inner);
        drop(former);
    }

    /// Nothing is done for it from here on.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.pipe.leave();
        let mut inner = self.inner();
        let left = inner.0.as_mut().map(|rest| rest.take_wakers());
        drop(inner);
        if let Some(wakers) = left {
            wake(wakers);
        }
    }

    /// Says that the answer begins; false where it has begun before.
    fn claim(&self) -> bool {
        let (open, answered) = (Phase::Open as u8, Phase::Answered as u8);
        self.phase
            .compare_exchange(open, answered, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }

    /// The head of the answer, once, where it is not at hand.
    pub(super) fn take_answer(&self) -> Option<(StatusCode, Headers)> {
        if !self.is_answered() {
            return None;
        }
        self.inner().rest().answer.take()
    }

    /// Whether the answer has begun.
    pub(super) fn is_answered(&self) -> bool {
        self.phase() != Phase::Open as u8
    }

    /// The rest of the answer, where it is an upstream's.
    pub(super) fn take_forwarded(&self) -> Option<Body> {
        if self.phase() != Phase::Forwarded as u8 {
            return None;
        }
        self.inner().rest().forwarded.take()
    }

    /// What went wrong, after a negative code.
    pub(super) fn error(&self, code: Rc) -> Error {
        if code == E_PANIC {
            self.host.library.around.noticed(Notice::Panicked);
        }
        match self.inner().rest().fault.take() {
            Some(Told::Said(error)) => return error,
            Some(Told::Seen(seen, error)) if seen == code => return error,
            Some(Told::Seen(..)) | None => {}
        }
        let name = &self.host.library.manifest.name;
        fault::of_code(code).with_source(format!("plugin `{name}` ended with code {code}"))
    }

    /// The request with all changes; for the next in line.
    pub(super) fn give_back(&self, request: &mut Request) {
        request.body = self.take_body();
        let head = self.head();
        request.path.clone_from(&head.path);
        request.query.clone_from(&head.query);
        request.headers = head.headers.clone();
    }

    /// The head as it is now; lent as long as the request is held.
    fn head(&self) -> &Head {
        if !self.is_changed.load(Ordering::Acquire) {
            return &self.head;
        }
        let mut inner = self.inner();
        let Some(changed) = inner.rest().heads.last() else {
            return &self.head;
        };
        let changed: *const Head = &raw const **changed;
        // SAFETY: a box in `heads` stays where it is until the request goes.
        unsafe { &*changed }
    }
}

impl Drop for RequestSide {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        if let Some(rest) = &mut inner.unwrap_or_else(PoisonError::into_inner).0 {
            wake(rest.take_wakers());
        }
        self.pipe.close();
        let left = self.open.close_all();
        if left > 0 {
            self.host.library.around.noticed(Notice::Leaked(left));
        }
        if *self.is_held.get_mut() {
            // SAFETY: both count, and this is the end.
            unsafe {
                self.cx.release();
                self.host.release();
            }
        }
    }
}
