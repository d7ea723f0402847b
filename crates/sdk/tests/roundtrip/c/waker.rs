//! Wakers as another library has them: with functions of its own.

use std::ffi::c_void;
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker as StdWaker};

use aurora_sdk::abi::export::{Export, vtable};
use aurora_sdk::abi::raw::{Instance, OK, PluginVtable, Rc, Req, Task, Waker, WakerVtable};

use crate::ground::Loaded;

static TABLE: WakerVtable = WakerVtable {
    size: size_of::<WakerVtable>() as u32,
    reserved: 0,
    clone: clone_own,
    wake: wake_own,
    wake_by_ref: wake_own_by_ref,
    drop: drop_own,
};

/// A waker of the plugin's own.
pub(crate) struct Own(StdWaker);

impl Own {
    pub(crate) fn new(waker: StdWaker) -> Self {
        Self(waker)
    }

    /// To lend.
    pub(crate) fn raw(&self) -> Waker {
        Waker {
            data: (&raw const self.0).cast(),
            vtable: &raw const TABLE,
        }
    }
}

unsafe extern "C" fn clone_own(data: *const c_void) -> Waker {
    // SAFETY: the table is only used with a waker behind `data`.
    let waker = unsafe { &*data.cast::<StdWaker>() }.clone();
    Waker {
        data: Box::into_raw(Box::new(waker)).cast(),
        vtable: &raw const TABLE,
    }
}

unsafe extern "C" fn wake_own_by_ref(data: *const c_void) {
    // SAFETY: as above.
    unsafe { &*data.cast::<StdWaker>() }.wake_by_ref();
}

unsafe extern "C" fn wake_own(data: *const c_void) {
    // SAFETY: what is woken by value was cloned, and is a box.
    unsafe { Box::from_raw(data.cast_mut().cast::<StdWaker>()) }.wake();
}

unsafe extern "C" fn drop_own(data: *const c_void) {
    // SAFETY: what is dropped was cloned, and is a box.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<StdWaker>()) });
}

/// A waker of the host's that was cloned.
pub(crate) struct Hosts(Waker);

// SAFETY: any thread may call the functions of a waker.
unsafe impl Send for Hosts {}
// SAFETY: as above.
unsafe impl Sync for Hosts {}

impl Hosts {
    /// # Safety
    /// `waker` is there for the call.
    pub(crate) unsafe fn of(waker: *const Waker) -> Self {
        // SAFETY: the caller vouches for it.
        Self(unsafe { ((*(*waker).vtable).clone)((*waker).data) })
    }
}

impl Wake for Hosts {
    fn wake(self: Arc<Self>) {
        // SAFETY: it is there until it is dropped.
        unsafe { ((*self.0.vtable).wake_by_ref)(self.0.data) };
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // SAFETY: it is dropped once.
        unsafe { ((*self.0.vtable).drop)(self.0.data) };
    }
}

/// The plugin of `E`, loaded. What its tasks are polled with are never the host's own wakers, as if all of it stood inside of
/// another executor.
pub(crate) fn foreign<E: Export>() -> Loaded {
    let own = vtable::<E>();
    HANDLE.get_or_init(|| own.handle.unwrap());
    let table = PluginVtable {
        handle: Some(handle),
        size: own.size,
        flags: own.flags,
        manifest: own.manifest,
        create: own.create,
        drain: own.drain,
        destroy: own.destroy,
        get_extension: own.get_extension,
        properties: own.properties,
    };
    // SAFETY: the table is the SDK's own, but for one function around one of its.
    unsafe { Loaded::of(Box::leak(Box::new(table))) }.unwrap()
}

type Handle = unsafe extern "C" fn(*mut Instance, *mut Req, *mut Task) -> Rc;

/// The SDK has one for all plugins.
static HANDLE: OnceLock<Handle> = OnceLock::new();

unsafe extern "C" fn handle(instance: *mut Instance, req: *mut Req, out: *mut Task) -> Rc {
    let mut task = Task::NONE;
    // SAFETY: passed on.
    let code = unsafe { HANDLE.get().unwrap()(instance, req, &raw mut task) };
    if code == OK {
        let around = Task {
            data: Box::into_raw(Box::new(task)).cast(),
            poll: Some(poll),
            drop: Some(drop_task),
        };
        // SAFETY: `out` is to be filled.
        unsafe { out.write(around) };
    }
    code
}

unsafe extern "C" fn poll(data: *mut c_void, waker: *const Waker) -> Rc {
    // SAFETY: it is the box of `handle`, and the waker is there for the call.
    let (task, hosts) = unsafe { (*data.cast::<Task>(), Hosts::of(waker)) };
    let own = Own::new(StdWaker::from(Arc::new(hosts)));
    let lent = own.raw();
    // SAFETY: the task has not ended, and the waker is there for the call.
    unsafe { task.poll.unwrap()(task.data, &raw const lent) }
}

unsafe extern "C" fn drop_task(data: *mut c_void) {
    // SAFETY: it is the box of `handle`, dropped once.
    let task = unsafe { Box::from_raw(data.cast::<Task>()) };
    // SAFETY: passed on.
    unsafe { task.drop.unwrap()(task.data) };
}
