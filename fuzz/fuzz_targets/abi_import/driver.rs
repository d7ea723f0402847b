//! The plugin: each byte of the input is something that it does with its request.

use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

use aurora_sdk::abi::raw::{Buf, E_CANCELLED, Header, OK, PENDING, Rc, ReqInfo, Str, Task, Waker};

use crate::c::{self, Host, Req};
use crate::handles::Handles;
use crate::input::{Input, let_go};
use crate::services;

const NULL: *const Waker = std::ptr::null();

/// One input at a time.
static STATE: Mutex<State> = Mutex::new(State {
    input: None,
    requests: Vec::new(),
    hosts: Vec::new(),
});

struct State {
    input: Option<Input>,
    /// What is held beyond its time.
    requests: Vec<(Host, Req)>,
    hosts: Vec<Host>,
}

fn state<T>(with: impl FnOnce(&mut State) -> T) -> T {
    with(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn begin(input: Input) {
    state(|state| state.input = Some(input));
}

/// A host that is held beyond its instance does nothing more.
pub(crate) fn end() {
    let hosts = state(|state| std::mem::take(&mut state.hosts));
    for host in hosts {
        host.log(3, b"late");
        let (code, timer) = host.start_timer(1);
        // Work on a thread keeps the instance until it ends.
        assert!(code == E_CANCELLED || services::has_offloaded());
        if code == OK {
            unsafe { (host.timer().close)(timer) };
        }
        host.release();
    }
    services::forget_offloaded();
}

/// A request that is held beyond its task tells what it was, and does nothing more.
pub(crate) fn use_what_is_kept() {
    let (requests, input) =
        state(|state| (std::mem::take(&mut state.requests), state.input.take()));
    drop(input);
    for (host, req) in requests {
        let codes = [
            req.head(200, &[]),
            req.write(NULL, b"late"),
            req.flush(NULL),
            req.body(NULL).0,
            req.whole(NULL, 9).0,
            req.cancelled(NULL),
            req.keep_running(1),
            req.usage("late", 1),
            host.open(req, 0).0,
        ];
        assert_eq!(codes, [E_CANCELLED; 9]);
        let (code, info) = req.info();
        assert!(code == OK && c::bytes(info.path) == b"/a%20b");
        req.release();
    }
}

pub(crate) struct Driven;

impl c::Plugin for Driven {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let Some(mut input) = state(|state| state.input.take()) else {
            return Err(OK);
        };
        let mut handles = Handles::default();
        let in_task = input.is(2);
        match go(&mut input, &mut handles, host, req, NULL) {
            Some(code) if !in_task => {
                handles.close_some(&mut input);
                Err(code)
            }
            _ => Ok(task(input, handles, host, req)),
        }
    }
}

/// The rest of the input, poll by poll. It wakes itself, so that nobody waits for what never happens.
fn task(mut input: Input, mut handles: Handles, host: Host, req: Req) -> Task {
    c::task(move |waker| {
        let Some(code) = go(&mut input, &mut handles, host, req, waker) else {
            unsafe { ((*(*waker).vtable).wake_by_ref)((*waker).data) };
            return PENDING;
        };
        handles.close_some(&mut input);
        code
    })
}

/// Does what the input says until it ends (with a code) or says to wait.
fn go(
    input: &mut Input,
    handles: &mut Handles,
    host: Host,
    req: Req,
    waker: *const Waker,
) -> Option<Rc> {
    while !input.is_over() {
        let lent = if input.is(4) { NULL } else { waker };
        match input.byte() % 24 {
            0 => head(input, req),
            1 => drop(req.write(lent, &input.text())),
            2 => write_buf(input, req, lent),
            3 => drop(req.flush(lent)),
            4 => drop(req.cancelled(lent)),
            5 => drop(req.body(lent)),
            6 => drop(req.whole(lent, input.long())),
            7 => req.fail(&input.fault(&mut Vec::new())),
            8 => drop(unsafe {
                (req.1.usage)(req.0, Str::of(&input.text()), input.long().cast_signed())
            }),
            9 => drop(req.keep_running(input.number())),
            10 => change(input, req),
            11 => req.log(input.code(), &input.text()),
            12 => info(input, req),
            13 => look(input, req),
            14 => retain_piece(req),
            15 => handles.open(input, host, req),
            16..19 => handles.use_one(input, req, lent),
            19 => services::measure(input, host),
            20 => keep(input, host, req),
            21 => ask_host(input, host),
            22 => return None,
            _ => return Some(input.code()),
        }
    }
    Some(OK)
}

fn head(input: &mut Input, req: Req) {
    let status = input.number() as u16;
    let texts: Vec<(Vec<u8>, Vec<u8>)> = (0..input.byte() % 4)
        .map(|_| (input.text(), input.text()))
        .collect();
    let headers: Vec<(&[u8], &[u8])> = texts
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
        .collect();
    if req.head(status, &headers) == OK {
        assert!((200..1000).contains(&status));
    }
    if input.is(8) {
        let code = unsafe { (req.1.resp_head)(req.0, 200, std::ptr::null(), 7) };
        assert!(code < 0, "headers that are not there were taken");
    }
}

fn write_buf(input: &mut Input, req: Req, waker: *const Waker) {
    let mut buffer = input.buffer();
    let code = unsafe { (req.1.resp_write_buf)(req.0, waker, &raw mut buffer) };
    moved(code, buffer);
}

/// On `OK` a buffer is the host's, and its place is empty; else it is ours.
pub(crate) fn moved(code: Rc, buffer: Buf) {
    if code == OK {
        assert!(buffer.owner.is_null() && buffer.release.is_none());
    } else {
        let_go(buffer);
    }
}

/// Only filters may do that.
fn change(input: &mut Input, req: Req) {
    let (path, query) = (input.text(), input.text());
    let header = Header {
        name: Str::of(&path),
        value: Str::of(&query),
    };
    let code =
        unsafe { (req.1.set_head)(req.0, Str::of(&path), Str::of(&query), &raw const header, 1) };
    assert!(code < 0);
    let mut buffer = input.buffer();
    let code = unsafe { (req.1.set_body)(req.0, &raw mut buffer) };
    assert!(code < 0);
    let_go(buffer);
}

fn info(input: &mut Input, req: Req) {
    let mut info: ReqInfo = unsafe { std::mem::zeroed() };
    let size = input.number();
    info.size = size;
    let code = unsafe { (req.1.info)(req.0, &raw mut info) };
    assert_eq!(code == OK, size as usize >= size_of::<ReqInfo>());
}

fn look(input: &mut Input, req: Req) {
    let (name, place) = (input.text(), input.number());
    let mut value = Str::EMPTY;
    let mut header = Header {
        name: Str::EMPTY,
        value: Str::EMPTY,
    };
    unsafe {
        (req.1.header)(req.0, Str::of(&name), &raw mut value);
        c::bytes(value);
        (req.1.header_at)(req.0, place, &raw mut header);
        c::bytes(header.value);
        (req.1.param)(req.0, Str::of(&name), &raw mut value);
        c::bytes(value);
        (req.1.param_at)(req.0, place, &raw mut header);
        c::bytes(header.name);
    }
}

fn retain_piece(req: Req) {
    let mut buffer = Buf::EMPTY;
    if unsafe { (req.1.body_retain)(req.0, &raw mut buffer) } == OK {
        c::bytes(Str {
            ptr: buffer.ptr,
            len: buffer.len,
        });
        let_go(buffer);
    }
}

fn keep(input: &mut Input, host: Host, req: Req) {
    if input.is(2) {
        host.retain();
        state(|state| state.hosts.push(host));
    } else {
        // What is asked of it later needs the host.
        host.retain();
        req.retain();
        state(|state| {
            state.hosts.push(host);
            state.requests.push((host, req));
        });
    }
}

fn ask_host(input: &mut Input, host: Host) {
    host.log(input.code(), &input.text());
    let id = input
        .text()
        .into_iter()
        .take_while(|byte| *byte != 0)
        .collect::<Vec<u8>>();
    let id = CString::new(id).unwrap_or_default();
    unsafe {
        ((*host.0).log_enabled)(host.0, input.code());
        ((*host.0).now_ns)();
        assert!(((*host.0).get_extension)(host.0, id.as_ptr()).is_null());
    }
}
