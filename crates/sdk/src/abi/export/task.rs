//! A future as a task of the interface.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::request::Lent;
use crate::abi::memory::{guard, guarded};
use crate::abi::raw::{E_STATE, PENDING, Rc, Task, Waker};
use crate::abi::waker;

/// The task of `future`, which ends with a code.
pub(super) fn of<F: Future<Output = Rc> + Send + 'static>(future: F) -> Task {
    Task {
        data: Box::into_raw(Box::new(future)).cast(),
        poll: Some(poll::<F>),
        drop: Some(drop_task::<F>),
    }
}

unsafe extern "C" fn poll<F: Future<Output = Rc>>(data: *mut c_void, waker: *const Waker) -> Rc {
    // SAFETY: `data` is the box of `of`, which is not moved and polled by one thread at a time.
    unsafe { poll_at(data.cast::<F>(), waker) }
}

/// # Safety
/// At `place` is a future that is not moved and polled by one thread at a time.
unsafe fn poll_at<F: Future<Output = Rc>>(place: *mut F, waker: *const Waker) -> Rc {
    if waker.is_null() {
        return E_STATE;
    }
    guarded(|| {
        // SAFETY: the caller vouches for it.
        let mut future = unsafe { Pin::new_unchecked(&mut *place) };
        let mut poll = |waker: &std::task::Waker| match future
            .as_mut()
            .poll(&mut Context::from_waker(waker))
        {
            Poll::Ready(code) => code,
            Poll::Pending => PENDING,
        };
        // SAFETY: the waker is there for the call.
        unsafe { waker::with(waker, None, &mut poll) }
    })
}

unsafe extern "C" fn drop_task<F>(data: *mut c_void) {
    // SAFETY: `data` is the box of `of`, and is dropped once.
    guard((), || drop(unsafe { Box::from_raw(data.cast::<F>()) }));
}

/// Where the work on a request lies, so that request and task are one piece of memory.
pub(super) struct Room(UnsafeCell<MaybeUninit<[u128; 4]>>);

impl Room {
    fn place<F>(&self) -> *mut F {
        self.0.get().cast()
    }
}

/// The task of `work`, which is done on the request of `lent` and goes before it.
pub(super) fn inside<F: Future<Output = Rc> + Send + 'static>(lent: Lent, work: F) -> Task {
    const {
        assert!(size_of::<F>() <= size_of::<Room>() && align_of::<F>() <= align_of::<Room>());
    }
    // SAFETY: it fits, and nothing else is put there.
    unsafe { lent.room().place::<F>().write(work) };
    Task {
        data: lent.into_raw(),
        poll: Some(poll_inside::<F>),
        drop: Some(drop_inside::<F>),
    }
}

unsafe extern "C" fn poll_inside<F: Future<Output = Rc>>(
    data: *mut c_void,
    waker: *const Waker,
) -> Rc {
    // SAFETY: `data` is of `inside`; the task is there, and so is its request.
    let lent = ManuallyDrop::new(unsafe { Lent::from_raw(data) });
    // SAFETY: the work was put there, is not moved, and polled by one thread at a time.
    unsafe { poll_at(lent.room().place::<F>(), waker) }
}

unsafe extern "C" fn drop_inside<F>(data: *mut c_void) {
    guard((), || {
        // SAFETY: `data` is of `inside`, and is dropped once.
        let lent = unsafe { Lent::from_raw(data) };
        // SAFETY: the work was put there; whatever it does, the request goes after it.
        unsafe { lent.room().place::<F>().drop_in_place() };
    });
}
