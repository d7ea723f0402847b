//! A future as a task of the interface.

use std::ffi::c_void;
use std::pin::Pin;
use std::task::{Context, Poll};

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
    if waker.is_null() {
        return E_STATE;
    }
    guarded(|| {
        // SAFETY: `data` is the box of `of`, which is not moved and polled by one thread at a time.
        let mut future = unsafe { Pin::new_unchecked(&mut *data.cast::<F>()) };
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
