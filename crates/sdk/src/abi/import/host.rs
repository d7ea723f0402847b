//! The host of one instance, as the plugin sees it.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::handles::Handles;
use super::plugin::{Instance, Library, Notice};
use super::{background, call, fetch, measures, request, state, timer};
use crate::PluginHost;
use crate::abi::memory::{guard, size};
use crate::abi::numbers;
use crate::abi::raw::{
    BLOCKING, EXT_CALL, EXT_HTTP, EXT_METRICS, EXT_STATE, EXT_TASK, EXT_TIMER, HostTable, MAJOR,
    MINOR, Str,
};

/// The longest line that a plugin may write to the log, bytes.
const MAX_LINE: usize = 4096;

/// See the module. The table comes first: its address is the host's.
#[repr(C)]
pub(super) struct HostSide {
    table: HostTable,
    pub(super) host: Arc<dyn PluginHost>,
    pub(super) library: Arc<Library>,
    pub(super) open: Handles,
    pub(super) tasks: background::Tasks,
    /// Requests that block a thread now.
    pub(super) blocked: AtomicUsize,
    instance: OnceLock<Weak<Instance>>,
    over: AtomicBool,
}

// SAFETY: the pointers in the table lead to statics.
unsafe impl Send for HostSide {}
// SAFETY: as above.
unsafe impl Sync for HostSide {}

impl HostSide {
    pub(super) fn new(host: Arc<dyn PluginHost>, library: Arc<Library>) -> Arc<Self> {
        let table = HostTable {
            size: size::<HostTable>(),
            abi_major: MAJOR,
            abi_minor: MINOR,
            reserved: 0,
            request: &raw const request::API,
            retain,
            release,
            get_extension,
            log,
            log_enabled,
            now_ns,
        };
        Arc::new(Self {
            table,
            host,
            library,
            open: Handles::default(),
            tasks: background::Tasks::default(),
            blocked: AtomicUsize::new(0),
            instance: OnceLock::new(),
            over: AtomicBool::new(false),
        })
    }

    /// What the plugin is given.
    pub(super) fn table(self: &Arc<Self>) -> *const HostTable {
        Arc::as_ptr(self).cast()
    }

    /// The host behind a table; `None` where the instance is over.
    ///
    /// # Safety
    /// `table` is one that [`HostSide::table`] gave, and is held.
    pub(super) unsafe fn of<'a>(table: *const HostTable) -> Option<&'a Self> {
        // SAFETY: the caller vouches for it.
        let side = unsafe { &*table.cast::<Self>() };
        (!side.is_over()).then_some(side)
    }

    /// As [`HostSide::of`], for things that outlive the call.
    ///
    /// # Safety
    /// As [`HostSide::of`].
    pub(super) unsafe fn shared(table: *const HostTable) -> Option<Arc<Self>> {
        // SAFETY: the caller vouches for it.
        unsafe { Self::of(table) }?;
        // SAFETY: it is held, so its count is at least one.
        unsafe { Arc::increment_strong_count(table.cast::<Self>()) };
        // SAFETY: that one is ours.
        Some(unsafe { Arc::from_raw(table.cast::<Self>()) })
    }

    /// Whether its plugin may block in `handle`.
    pub(super) fn is_blocking(&self) -> bool {
        self.library.vtable.flags & BLOCKING != 0
    }

    /// Says whose host it is.
    pub(super) fn belongs_to(&self, instance: &Arc<Instance>) {
        // It is set once.
        self.instance
            .set(Arc::downgrade(instance))
            .unwrap_or_default();
    }

    /// Whose host it is, as long as that is there.
    pub(super) fn instance(&self) -> Weak<Instance> {
        self.instance.get().cloned().unwrap_or_default()
    }

    /// Whether the instance is destroyed.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The instance is destroyed: nothing more is done for it. What it left open is closed when nobody holds this any more.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        let left = self.open.count();
        if left > 0 {
            self.library.around.noticed(Notice::Leaked(left));
        }
    }
}

impl Drop for HostSide {
    fn drop(&mut self) {
        // While all else is there.
        self.open.close_all();
    }
}

unsafe extern "C" fn retain(table: *const HostTable) {
    // SAFETY: who retains holds it.
    unsafe { Arc::increment_strong_count(table.cast::<HostSide>()) };
}

unsafe extern "C" fn release(table: *const HostTable) {
    // SAFETY: who releases has retained.
    guard((), || unsafe {
        Arc::decrement_strong_count(table.cast::<HostSide>());
    });
}

unsafe extern "C" fn get_extension(_: *const HostTable, id: *const c_char) -> *const c_void {
    if id.is_null() {
        return std::ptr::null();
    }
    // SAFETY: the id is there for the call and ends with NUL.
    match unsafe { CStr::from_ptr(id) }.to_str() {
        Ok(EXT_HTTP) => (&raw const fetch::API).cast(),
        Ok(EXT_CALL) => (&raw const call::API).cast(),
        Ok(EXT_TIMER) => (&raw const timer::API).cast(),
        Ok(EXT_TASK) => (&raw const background::API).cast(),
        Ok(EXT_STATE) => (&raw const state::API).cast(),
        Ok(EXT_METRICS) => (&raw const measures::API).cast(),
        Ok(_) | Err(_) => std::ptr::null(),
    }
}

unsafe extern "C" fn log(table: *const HostTable, level: i32, message: Str) {
    guard((), || {
        // SAFETY: the host is held, and the text is there for the call.
        if let Some(side) = unsafe { HostSide::of(table) } {
            // SAFETY: as above.
            side.host
                .log(numbers::level(level), &unsafe { line(message) });
        }
    });
}

/// A text of a plugin as a line of the log: of bounded length and without control characters.
///
/// # Safety
/// The text is there for the call.
pub(super) unsafe fn line(message: Str) -> String {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { message.bytes() };
    let text = String::from_utf8_lossy(bytes.get(..MAX_LINE).unwrap_or(bytes));
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

unsafe extern "C" fn log_enabled(table: *const HostTable, level: i32) -> i32 {
    // SAFETY: the host is held.
    guard(0, || match unsafe { HostSide::of(table) } {
        Some(side) => i32::from(side.host.listens(numbers::level(level))),
        None => 0,
    })
}

unsafe extern "C" fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed().as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}
