//! What the plugin has open. It closes each once, or leaves it to the host.

use aurora_sdk::abi::raw::{
    Buf, Call, CallReq, E_STATE, EOF, Fault, Fetch, HTTP_CLIENT_BODY, HTTP_STREAM_BODY, Header,
    HttpReq, Join, OK, Rc, StateOp, Str, Timer, Waker,
};

use crate::c::{self, Host, Req};
use crate::driver::moved;
use crate::input::{Input, let_go};
use crate::services;

#[derive(Default)]
pub(crate) struct Handles {
    open: Vec<(Host, Handle)>,
}

// It is moved between threads with its task, as the contract lets it.
unsafe impl Send for Handles {}

#[derive(Clone, Copy)]
pub(crate) enum Handle {
    Fetch(*mut Fetch),
    Call(*mut Call),
    Timer(*mut Timer),
    Join(*mut Join),
    State(*mut StateOp),
}

impl Handles {
    pub(crate) fn open(&mut self, input: &mut Input, host: Host, req: Req) {
        let opened = match input.byte() % 6 {
            0 | 1 => fetch(input, host, req),
            2 => call(input, host, req),
            3 => {
                let (code, timer) = host.start_timer(input.long());
                (code == OK).then_some(Handle::Timer(timer))
            }
            4 => services::work(input, host),
            _ => services::state(input, host),
        };
        self.open.extend(opened.map(|handle| (host, handle)));
    }

    pub(crate) fn use_one(&mut self, input: &mut Input, req: Req, waker: *const Waker) {
        if self.open.is_empty() {
            return;
        }
        let at = usize::from(input.byte()) % self.open.len();
        let (host, handle) = self.open[at];
        if input.is(8) {
            close(host, handle);
            self.open.swap_remove(at);
        } else if use_handle(input, host, handle, req, waker) {
            self.open.swap_remove(at);
        }
    }

    /// Closes some; the others are the host's affair.
    pub(crate) fn close_some(&mut self, input: &mut Input) {
        for (host, handle) in std::mem::take(&mut self.open) {
            if !input.is(2) {
                close(host, handle);
            }
        }
    }
}

fn close(host: Host, handle: Handle) {
    unsafe {
        match handle {
            Handle::Fetch(fetch) => (host.http().close)(fetch),
            Handle::Call(call) => (host.call().close)(call),
            Handle::Timer(timer) => (host.timer().close)(timer),
            Handle::Join(join) => (host.task().join_close)(join),
            Handle::State(op) => (host.state().close)(op),
        }
    }
}

/// Whether it was moved away.
fn use_handle(
    input: &mut Input,
    host: Host,
    handle: Handle,
    req: Req,
    waker: *const Waker,
) -> bool {
    let mut code: Rc = OK;
    unsafe {
        match handle {
            Handle::Fetch(fetch) => return use_fetch(input, host, fetch, req, waker),
            Handle::Call(call) => use_call(input, host, call, waker),
            Handle::Timer(timer) => {
                (host.timer().poll)(timer, waker);
                if input.is(3) {
                    (host.timer().reset)(timer, input.long());
                }
            }
            Handle::Join(join) => drop((host.task().join_poll)(join, waker, &raw mut code)),
            Handle::State(op) => {
                let mut value = Str::EMPTY;
                if (host.state().poll)(op, waker, &raw mut value) == OK {
                    c::bytes(value);
                }
            }
        }
    }
    false
}

fn fetch(input: &mut Input, host: Host, req: Req) -> Option<Handle> {
    let texts: [Vec<u8>; 5] = std::array::from_fn(|_| input.text());
    let header = Header {
        name: Str::of(&texts[3]),
        value: Str::of(&texts[4]),
    };
    let flags = input.number();
    let has_body = flags & (HTTP_STREAM_BODY | HTTP_CLIENT_BODY) == 0;
    let is_whole = !input.is(8);
    let mut asked = HttpReq {
        size: if is_whole {
            size_of::<HttpReq>() as u32
        } else {
            input.number() % 152
        },
        flags,
        operation: input.code(),
        reserved: 0,
        upstream: if input.is(3) {
            Str::of(&texts[0])
        } else {
            Str::EMPTY
        },
        method: if input.is(3) {
            Str::of(&texts[1])
        } else {
            Str::text("POST")
        },
        path: Str::of(&texts[2]),
        model: Str::of(&texts[3]),
        headers: &raw const header,
        header_count: usize::from(input.is(2)),
        body: if has_body { input.buffer() } else { Buf::EMPTY },
        body_len: input.long().cast_signed(),
    };
    if input.is(8) {
        (asked.headers, asked.header_count) = (std::ptr::null(), 3);
    }
    let req = if input.is(4) {
        std::ptr::null_mut()
    } else {
        req.0
    };
    let mut fetch = std::ptr::null_mut();
    let code = unsafe { (host.http().open)(host.0, req, &raw mut asked, &raw mut fetch) };
    moved(code, asked.body);
    (code == OK).then_some(Handle::Fetch(fetch))
}

fn use_fetch(
    input: &mut Input,
    host: Host,
    fetch: *mut Fetch,
    req: Req,
    waker: *const Waker,
) -> bool {
    let http = host.http();
    let (mut value, mut name, mut status) = (Str::EMPTY, Str::EMPTY, 0);
    unsafe {
        match input.byte() % 12 {
            0 => drop((http.body_write)(fetch, waker, Str::of(&input.text()))),
            1 => drop((http.body_end)(fetch)),
            2 => drop((http.head_poll)(fetch, waker, &raw mut status)),
            3 => drop((http.header)(fetch, Str::of(&input.text()), &raw mut value)),
            4 => {
                let mut header = Header { name, value };
                (http.header_at)(fetch, input.number(), &raw mut header);
                c::bytes(header.value);
            }
            5 => {
                if (http.chunk_poll)(fetch, waker, &raw mut value) == OK {
                    c::bytes(value);
                }
            }
            6 => {
                let code = (http.event_poll)(fetch, waker, &raw mut name, &raw mut value);
                if code == OK {
                    c::bytes(name);
                    c::bytes(value);
                }
                if code == EOF {
                    assert!(
                        req.forward(fetch) < 0,
                        "what was read by events was passed on"
                    );
                }
            }
            7 => {
                let mut buffer = Buf::EMPTY;
                (http.chunk_retain)(fetch, &raw mut buffer);
                c::bytes(Str {
                    ptr: buffer.ptr,
                    len: buffer.len,
                });
                let_go(buffer);
            }
            8 => told(input, |fault| (http.fault)(fetch, fault)),
            9 => return req.forward(fetch) == OK,
            10 => drop((http.body_len)(fetch)),
            _ => drop((
                (http.native)(req.0, input.code()),
                (http.routes_by_model)(req.0),
            )),
        }
    }
    false
}

/// Has a fault filled in, and reads its texts.
fn told(input: &mut Input, ask: impl FnOnce(*mut Fault) -> Rc) {
    let mut fault = input.fault(&mut Vec::new());
    let size = fault.size;
    if ask(&raw mut fault) == OK {
        assert!(size as usize >= size_of::<Fault>());
        for text in [fault.word, fault.message, fault.param, fault.cause] {
            c::bytes(text);
        }
    }
}

fn call(input: &mut Input, host: Host, req: Req) -> Option<Handle> {
    const CHAT: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let (json, name) = (input.text(), input.text());
    let is_whole = !input.is(8);
    let mut asked = CallReq {
        size: if is_whole {
            size_of::<CallReq>() as u32
        } else {
            input.number() % 88
        },
        flags: 0,
        operation: i32::from(input.byte() % 8),
        reserved: 0,
        json: Str::of(if input.is(3) { &json } else { CHAT }),
        file_name: Str::of(&name),
        file_type: Str::of(&name),
        file: input.buffer(),
    };
    let mut call = std::ptr::null_mut();
    let code = unsafe { (host.call().start)(host.0, req.0, &raw mut asked, &raw mut call) };
    moved(code, asked.file);
    (code == OK).then_some(Handle::Call(call))
}

fn use_call(input: &mut Input, host: Host, call: *mut Call, waker: *const Waker) {
    let api = host.call();
    let mut value = Str::EMPTY;
    let code = unsafe {
        match input.byte() % 5 {
            0 => (api.accepted_poll)(call, waker),
            1 => (api.event_poll)(call, waker, &raw mut value),
            2 => (api.content_type)(call, &raw mut value),
            3 => (api.bytes_poll)(call, waker, &raw mut value),
            _ => return told(input, |fault| (api.fault)(call, fault)),
        }
    };
    if code == OK {
        c::bytes(value);
    }
    assert!(code != OK || !waker.is_null() || code != E_STATE);
}
