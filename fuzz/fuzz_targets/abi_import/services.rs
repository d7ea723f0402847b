//! Work in the background, state and metrics.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use aurora_sdk::abi::raw::{OK, PENDING, Rc, Str};

use crate::c::{self, Host};
use crate::handles::Handle;
use crate::input::Input;

/// Whether work was given to a thread.
static OFFLOADED: AtomicBool = AtomicBool::new(false);

/// A task that is polled some times and ends with some code, or work on a thread.
pub(crate) fn work(input: &mut Input, host: Host) -> Option<Handle> {
    let mut join = std::ptr::null_mut();
    let place = if input.is(3) {
        std::ptr::null_mut()
    } else {
        &raw mut join
    };
    let code = if input.is(8) {
        OFFLOADED.store(true, Ordering::Relaxed);
        unsafe { (host.task().offload)(host.0, Some(offloaded), std::ptr::null_mut(), place) }
    } else if input.is(8) {
        unsafe { (host.task().offload)(host.0, None, std::ptr::null_mut(), place) }
    } else {
        let (mut polls, end, name) = (input.byte() % 4, input.code(), input.text());
        let task = c::task(move |waker| {
            if polls == 0 {
                return if end == PENDING { OK } else { end };
            }
            polls -= 1;
            unsafe { ((*(*waker).vtable).wake_by_ref)((*waker).data) };
            PENDING
        });
        unsafe { (host.task().spawn)(host.0, Str::of(&name), task, place) }
    };
    (code == OK && !join.is_null()).then_some(Handle::Join(join))
}

pub(crate) fn has_offloaded() -> bool {
    OFFLOADED.load(Ordering::Relaxed)
}

pub(crate) fn forget_offloaded() {
    OFFLOADED.store(false, Ordering::Relaxed);
}

unsafe extern "C" fn offloaded(_: *mut c_void) -> Rc {
    7
}

pub(crate) fn state(input: &mut Input, host: Host) -> Option<Handle> {
    let (key, value, expected) = (input.text(), input.text(), input.text());
    let (key, value, expected) = (Str::of(&key), Str::of(&value), Str::of(&expected));
    let (api, ms, mut op) = (host.state(), input.long(), std::ptr::null_mut());
    let code = unsafe {
        match input.byte() % 5 {
            0 => (api.get)(host.0, key, &raw mut op),
            1 => (api.put)(host.0, key, value, ms, &raw mut op),
            2 => (api.del)(host.0, key, &raw mut op),
            3 => (api.swap)(host.0, key, &raw const expected, value, ms, &raw mut op),
            _ => (api.swap)(host.0, key, std::ptr::null(), value, ms, &raw mut op),
        }
    };
    (code == OK).then_some(Handle::State(op))
}

pub(crate) fn measure(input: &mut Input, host: Host) {
    let (name, label) = (input.text(), input.text());
    let labels = [Str::of(&label), Str::of(&name)];
    let (count, mut id) = (usize::from(input.byte() % 3), 0);
    let (places, count) = if input.is(8) {
        (std::ptr::null(), 99)
    } else {
        (labels.as_ptr(), count)
    };
    unsafe {
        (host.metrics().define)(
            host.0,
            input.code(),
            Str::of(&name),
            Str::of(&label),
            places,
            count,
            &raw mut id,
        );
        (host.metrics().record)(
            host.0,
            input.number(),
            f64::from_bits(input.long()),
            places,
            count,
        );
    }
}
