//! A plugin as C would write it: tables, pointers and codes, and nothing that closes itself.

#[path = "c/waker.rs"]
// also where this file is a module of another crate: the fuzz target of the interface
mod waker;

pub(crate) use waker::{Hosts, Own, foreign};

use std::ffi::{CString, c_char, c_void};

use aurora_sdk::abi::raw::{Buf, HttpReq, Req as RawReq};
use aurora_sdk::abi::raw::{
    BuildFailure, CallApi, EXT_CALL, EXT_HTTP, EXT_METRICS, EXT_STATE, EXT_TASK, EXT_TIMER, Fault,
    Fetch, Header, HostTable, HttpApi, Instance, MetricsApi, OK, PluginVtable, Rc, ReqInfo,
    RequestApi, StateApi, Str, Task, TaskApi, Timer, TimerApi, Waker,
};

use crate::ground::Loaded;

/// What a plugin does.
pub(crate) trait Plugin: 'static {
    const FLAGS: u32 = 0;

    /// Once, with the host.
    fn create(_: Host) -> Rc {
        OK
    }

    /// A task, or a final code.
    fn handle(host: Host, req: Req) -> Result<Task, Rc>;

    /// Before its host goes.
    fn destroy(_: Host) {}
}

/// The plugin `P`, loaded.
pub(crate) fn load<P: Plugin>() -> Loaded {
    // SAFETY: the table keeps to the contract as far as its test wants it to.
    unsafe { Loaded::of(table::<P>()) }.unwrap()
}

/// The table of `P`, there for ever.
pub(crate) fn table<P: Plugin>() -> &'static mut PluginVtable {
    Box::leak(Box::new(PluginVtable {
        size: u32::try_from(size_of::<PluginVtable>()).unwrap(),
        flags: P::FLAGS,
        manifest: Str::text(r#"{"name":"in-c","version":"1.0.0"}"#),
        create: Some(create::<P>),
        handle: Some(handle::<P>),
        drain: None,
        destroy: Some(destroy::<P>),
        get_extension: None,
        properties: None,
    }))
}

unsafe extern "C" fn create<P: Plugin>(
    host: *const HostTable,
    _: i32,
    _: Str,
    out: *mut *mut Instance,
    _: *mut BuildFailure,
) -> Rc {
    let host = Host(host);
    let code = P::create(host);
    if code == OK {
        let instance: *mut Host = Box::into_raw(Box::new(host));
        // SAFETY: `out` is to be filled.
        unsafe { out.write(instance.cast()) };
    }
    code
}

unsafe extern "C" fn handle<P: Plugin>(
    instance: *mut Instance,
    req: *mut RawReq,
    out: *mut Task,
) -> Rc {
    #[expect(clippy::cast_ptr_alignment, reason = "it is the box of `create`")]
    // SAFETY: as above, and it is not yet destroyed.
    let host = unsafe { *instance.cast::<Host>() };
    match P::handle(host, Req(req, host.request())) {
        Ok(task) => {
            // SAFETY: `out` is to be filled.
            unsafe { out.write(task) };
            OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn destroy<P: Plugin>(instance: *mut Instance) {
    #[expect(clippy::cast_ptr_alignment, reason = "it is the box of `create`")]
    // SAFETY: as above, and it is destroyed once.
    let host = unsafe { Box::from_raw(instance.cast::<Host>()) };
    P::destroy(*host);
}

type Poll = dyn FnMut(*const Waker) -> Rc + Send;

/// A task that does `poll`.
pub(crate) fn task(poll: impl FnMut(*const Waker) -> Rc + Send + 'static) -> Task {
    let poll: Box<Box<Poll>> = Box::new(Box::new(poll));
    Task {
        data: Box::into_raw(poll).cast(),
        poll: Some(poll_task),
        drop: Some(drop_task),
    }
}

unsafe extern "C" fn poll_task(data: *mut c_void, waker: *const Waker) -> Rc {
    // SAFETY: it is the box of `task`, polled by one thread at a time.
    let poll = unsafe { &mut *data.cast::<Box<Poll>>() };
    poll(waker)
}

unsafe extern "C" fn drop_task(data: *mut c_void) {
    // SAFETY: it is the box of `task`, dropped once.
    drop(unsafe { Box::from_raw(data.cast::<Box<Poll>>()) });
}

/// The host, as long as the plugin's instance is there, or somebody holds it.
#[derive(Clone, Copy)]
pub(crate) struct Host(pub(crate) *const HostTable);

// SAFETY: any thread may use a host.
unsafe impl Send for Host {}

impl Host {
    fn extension<T>(self, id: &str) -> &'static T {
        let id = CString::new(id).unwrap();
        let id: *const c_char = id.as_ptr();
        // SAFETY: the host is held, the id is there for the call, and it goes with its type.
        unsafe { &*((*self.0).get_extension)(self.0, id).cast() }
    }

    pub(crate) fn request(self) -> &'static RequestApi {
        // SAFETY: the host is held, and the table is there for ever.
        unsafe { &*(*self.0).request }
    }

    pub(crate) fn http(self) -> &'static HttpApi {
        self.extension(EXT_HTTP)
    }

    pub(crate) fn call(self) -> &'static CallApi {
        self.extension(EXT_CALL)
    }

    pub(crate) fn timer(self) -> &'static TimerApi {
        self.extension(EXT_TIMER)
    }

    pub(crate) fn task(self) -> &'static TaskApi {
        self.extension(EXT_TASK)
    }

    pub(crate) fn state(self) -> &'static StateApi {
        self.extension(EXT_STATE)
    }

    pub(crate) fn metrics(self) -> &'static MetricsApi {
        self.extension(EXT_METRICS)
    }

    pub(crate) fn retain(self) {
        // SAFETY: the host is held.
        unsafe { ((*self.0).retain)(self.0) };
    }

    pub(crate) fn release(self) {
        // SAFETY: it was retained.
        unsafe { ((*self.0).release)(self.0) };
    }

    pub(crate) fn log(self, level: i32, text: &[u8]) {
        // SAFETY: the host is held, and the text is there for the call.
        unsafe { ((*self.0).log)(self.0, level, Str::of(text)) };
    }

    /// A timer of so many ms.
    pub(crate) fn start_timer(self, ms: u64) -> (Rc, *mut Timer) {
        let mut timer = std::ptr::null_mut();
        // SAFETY: the host is held, and `timer` is to be filled.
        let code = unsafe { (self.timer().start)(self.0, ms, &raw mut timer) };
        (code, timer)
    }

    /// An exchange with the upstreams of the request's route.
    pub(crate) fn open(self, req: Req, flags: u32) -> (Rc, *mut Fetch) {
        let mut asked = HttpReq {
            size: u32::try_from(size_of::<HttpReq>()).unwrap(),
            flags,
            operation: 9,
            reserved: 0,
            upstream: Str::EMPTY,
            method: Str::text("POST"),
            path: Str::text("x"),
            model: Str::EMPTY,
            headers: std::ptr::null(),
            header_count: 0,
            body: Buf::EMPTY,
            body_len: -1,
        };
        let mut fetch = std::ptr::null_mut();
        // SAFETY: host and request are held, and the rest is there for the call.
        let code = unsafe { (self.http().open)(self.0, req.0, &raw mut asked, &raw mut fetch) };
        (code, fetch)
    }
}

/// A request, as long as its task is there, or somebody holds it.
#[derive(Clone, Copy)]
pub(crate) struct Req(pub(crate) *mut RawReq, pub(crate) &'static RequestApi);

// SAFETY: any thread may use a request.
unsafe impl Send for Req {}

impl Req {
    pub(crate) fn retain(self) {
        // SAFETY: the request is held.
        unsafe { (self.1.retain)(self.0) };
    }

    pub(crate) fn release(self) {
        // SAFETY: it was retained.
        unsafe { (self.1.release)(self.0) };
    }

    pub(crate) fn info(self) -> (Rc, ReqInfo) {
        // SAFETY: it is a struct of numbers and pointers.
        let mut info: ReqInfo = unsafe { std::mem::zeroed() };
        info.size = u32::try_from(size_of::<ReqInfo>()).unwrap();
        // SAFETY: the request is held, and the struct says its size.
        let code = unsafe { (self.1.info)(self.0, &raw mut info) };
        (code, info)
    }

    pub(crate) fn head(self, status: u16, headers: &[(&[u8], &[u8])]) -> Rc {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| Header {
                name: Str::of(name),
                value: Str::of(value),
            })
            .collect();
        // SAFETY: the request is held, and the headers are there for the call.
        unsafe { (self.1.resp_head)(self.0, status, headers.as_ptr(), headers.len()) }
    }

    pub(crate) fn write(self, waker: *const Waker, data: &[u8]) -> Rc {
        // SAFETY: the request is held, and the rest is there for the call.
        unsafe { (self.1.resp_write)(self.0, waker, Str::of(data)) }
    }

    pub(crate) fn forward(self, fetch: *mut Fetch) -> Rc {
        // SAFETY: the request is held, and the exchange is open.
        unsafe { (self.1.resp_forward)(self.0, fetch) }
    }

    pub(crate) fn flush(self, waker: *const Waker) -> Rc {
        // SAFETY: the request is held, and the waker is there for the call.
        unsafe { (self.1.flush_poll)(self.0, waker) }
    }

    pub(crate) fn cancelled(self, waker: *const Waker) -> Rc {
        // SAFETY: the request is held, and the waker is there for the call.
        unsafe { (self.1.cancel_poll)(self.0, waker) }
    }

    pub(crate) fn body(self, waker: *const Waker) -> (Rc, Vec<u8>) {
        let mut piece = Str::EMPTY;
        // SAFETY: the request is held, and the rest is there for the call.
        let code = unsafe { (self.1.body_poll)(self.0, waker, &raw mut piece) };
        (code, if code == OK { bytes(piece) } else { Vec::new() })
    }

    pub(crate) fn whole(self, waker: *const Waker, max: u64) -> (Rc, Vec<u8>) {
        let mut whole = Str::EMPTY;
        // SAFETY: the request is held, and the rest is there for the call.
        let code = unsafe { (self.1.body_all_poll)(self.0, waker, max, &raw mut whole) };
        (code, if code == OK { bytes(whole) } else { Vec::new() })
    }

    pub(crate) fn fail(self, fault: &Fault) {
        // SAFETY: the request is held, and the fault is there for the call.
        unsafe { (self.1.fail)(self.0, fault) };
    }

    pub(crate) fn usage(self, name: &str, amount: i64) -> Rc {
        // SAFETY: the request is held, and the name is there for the call.
        unsafe { (self.1.usage)(self.0, Str::text(name), amount) }
    }

    pub(crate) fn keep_running(self, ms: u32) -> Rc {
        // SAFETY: the request is held.
        unsafe { (self.1.keep_running)(self.0, ms) }
    }

    pub(crate) fn log(self, level: i32, text: &[u8]) {
        // SAFETY: the request is held, and the text is there for the call.
        unsafe { (self.1.log)(self.0, level, Str::of(text)) };
    }

    /// Answers with these codes.
    pub(crate) fn say(self, codes: &[Rc]) -> Rc {
        let head = self.head(200, &[]);
        let said = codes
            .iter()
            .map(Rc::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        // There is room for it, so that nobody need wait.
        head.min(self.write(std::ptr::null(), said.as_bytes()))
    }
}

/// The bytes of a text that was just given.
pub(crate) fn bytes(text: Str) -> Vec<u8> {
    if text.len == 0 {
        return Vec::new();
    }
    // SAFETY: it was just given.
    unsafe { std::slice::from_raw_parts(text.ptr, text.len) }.to_vec()
}
