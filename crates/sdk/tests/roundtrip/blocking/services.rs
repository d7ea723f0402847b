//! Whatever can be waited for.

use std::ffi::c_void;

use aurora_sdk::abi::raw::{BLOCKING, Buf, CALL_MODELS, CallReq, Rc, Str, Task};
use aurora_sdk::testing::{FakeHost, request};

use super::{WAIT, run};
use crate::c::{self, Host, Req};

unsafe extern "C" fn work(argument: *mut c_void) -> Rc {
    i32::try_from(argument.addr()).unwrap()
}

/// Uses everything that can be waited for.
struct Services;

impl c::Plugin for Services {
    const FLAGS: u32 = BLOCKING;

    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let mut codes = Vec::new();
        let (state, mut op, mut value) = (host.state(), std::ptr::null_mut(), Str::EMPTY);
        // SAFETY: everything is there for its call, and each operation is closed once.
        unsafe {
            codes.push((state.put)(
                host.0,
                Str::text("k"),
                Str::text("v"),
                1000,
                &raw mut op,
            ));
            codes.push((state.poll)(op, WAIT, &raw mut value));
            (state.close)(op);
            codes.push((state.get)(host.0, Str::text("k"), &raw mut op));
            codes.push((state.poll)(op, WAIT, &raw mut value));
            assert_eq!(c::bytes(value), b"v");
            (state.close)(op);
            codes.push((state.get)(host.0, Str::text("none"), &raw mut op));
            codes.push((state.poll)(op, WAIT, &raw mut value));
            (state.close)(op);
        }
        let (tasks, mut join, mut ended) = (host.task(), std::ptr::null_mut(), 0);
        // SAFETY: as above.
        unsafe {
            let argument = std::ptr::without_provenance_mut(42);
            codes.push((tasks.offload)(host.0, Some(work), argument, &raw mut join));
            codes.push((tasks.join_poll)(join, WAIT, &raw mut ended));
            codes.push(ended);
            (tasks.join_close)(join);
            let task = c::task(|_| 7);
            codes.push((tasks.spawn)(host.0, Str::text("t"), task, &raw mut join));
            codes.push((tasks.join_poll)(join, WAIT, &raw mut ended));
            codes.push(ended);
            (tasks.join_close)(join);
        }
        let (call, mut open, mut json) = (host.call(), std::ptr::null_mut(), Str::EMPTY);
        let mut asked = CallReq {
            size: u32::try_from(size_of::<CallReq>()).unwrap(),
            flags: 0,
            operation: CALL_MODELS,
            reserved: 0,
            json: Str::text("{}"),
            file_name: Str::EMPTY,
            file_type: Str::EMPTY,
            file: Buf::EMPTY,
        };
        // SAFETY: as above.
        unsafe {
            codes.push((call.start)(host.0, req.0, &raw mut asked, &raw mut open));
            codes.push((call.accepted_poll)(open, WAIT));
            codes.push((call.event_poll)(open, WAIT, &raw mut json));
            assert!(c::bytes(json).starts_with(b"{"));
            codes.push((call.event_poll)(open, WAIT, &raw mut json));
            (call.close)(open);
        }
        Err(req.say(&codes))
    }
}

#[test]
fn whatever_takes_a_waker_waits_without_one() {
    let run = run::<Services>(FakeHost::new());

    let answer = run.ask(request("GET", "/")).unwrap();

    assert_eq!(answer.text(), "0 0 0 0 0 -9 0 0 42 0 0 7 0 0 0 2");
    run.end_well();
}
