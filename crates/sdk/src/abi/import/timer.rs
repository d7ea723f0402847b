//! `aurora.timer.v1`.

use std::task::Poll;
use std::time::Duration;

use super::handles::Owner;
use super::host::HostSide;
use super::wait::wait;
use crate::BoxFuture;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{E_CANCELLED, HostTable, OK, Rc, Timer, TimerApi, Waker};

pub(super) static API: TimerApi = TimerApi {
    size: size::<TimerApi>(),
    reserved: 0,
    start,
    poll,
    reset,
    close,
};

struct Running {
    owner: Owner,
    /// `None`: it has run off.
    sleep: Option<BoxFuture<'static, ()>>,
}

unsafe extern "C" fn start(host: *const HostTable, ms: u64, out: *mut *mut Timer) -> Rc {
    guarded(|| {
        // SAFETY: the host is held.
        let Some(host) = (unsafe { HostSide::shared(host) }) else {
            return E_CANCELLED;
        };
        let sleep = Some(host.host.sleep(Duration::from_millis(ms)));
        let running = Running {
            owner: Owner::host(&host),
            sleep,
        };
        // SAFETY: `out` is the plugin's, to be filled.
        unsafe { out.write(host.open.open(running).cast()) };
        OK
    })
}

unsafe extern "C" fn poll(timer: *mut Timer, waker: *const Waker) -> Rc {
    guarded(|| {
        // SAFETY: the timer is open, and used by one thread at a time.
        let running = unsafe { &mut *timer.cast::<Running>() };
        // SAFETY: as above.
        let host = unsafe { running.owner.of_host() };
        let mut poll = |cx: &mut std::task::Context<'_>| {
            if let Some(sleep) = &mut running.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                running.sleep = None;
            }
            Poll::Ready(OK)
        };
        // SAFETY: the waker is there for the call, or null.
        unsafe { wait(host, None, waker, &mut poll) }
    })
}

unsafe extern "C" fn reset(timer: *mut Timer, ms: u64) -> Rc {
    guarded(|| {
        // SAFETY: as in `poll`.
        let running = unsafe { &mut *timer.cast::<Running>() };
        // SAFETY: as above.
        let host = unsafe { running.owner.of_host() };
        if host.is_over() {
            return E_CANCELLED;
        }
        running.sleep = Some(host.host.sleep(Duration::from_millis(ms)));
        OK
    })
}

unsafe extern "C" fn close(timer: *mut Timer) {
    guard((), || {
        // SAFETY: the timer is open.
        let open = unsafe { (*timer.cast::<Running>()).owner.open() };
        drop(open.take(timer.cast::<Running>()));
    });
}
