//! The host's tables, looked up once for each instance.

use std::ffi::{CString, c_void};

use crate::abi::raw::{
    CallApi, EXT_CALL, EXT_HTTP, EXT_METRICS, EXT_STATE, EXT_TASK, EXT_TIMER, HostTable, HttpApi,
    MetricsApi, RequestApi, StateApi, TaskApi, TimerApi,
};

/// What the host does. The tables are there as long as the process is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    pub(super) request: &'static RequestApi,
    pub(super) http: Option<&'static HttpApi>,
    pub(super) call: Option<&'static CallApi>,
    pub(super) timer: Option<&'static TimerApi>,
    pub(super) task: Option<&'static TaskApi>,
    pub(super) state: Option<&'static StateApi>,
    pub(super) metrics: Option<&'static MetricsApi>,
}

impl Tables {
    /// # Safety
    /// `host` is there for the call and keeps to the contract.
    pub(super) unsafe fn of(host: *const HostTable) -> Result<Self, &'static str> {
        // SAFETY: the caller vouches for it.
        let table = unsafe { &*host };
        if (table.size as usize) < size_of::<HostTable>() {
            return Err("this host is older than the plugin can work with");
        }
        // SAFETY: `request` is one of the tables that are there for ever.
        let request = unsafe { sized::<RequestApi>(table.request.cast()) };
        Ok(Self {
            request: request.ok_or("this host has no table of requests")?,
            // SAFETY: each id goes with its type.
            http: unsafe { extension(host, EXT_HTTP) },
            // SAFETY: as above.
            call: unsafe { extension(host, EXT_CALL) },
            // SAFETY: as above.
            timer: unsafe { extension(host, EXT_TIMER) },
            // SAFETY: as above.
            task: unsafe { extension(host, EXT_TASK) },
            // SAFETY: as above.
            state: unsafe { extension(host, EXT_STATE) },
            // SAFETY: as above.
            metrics: unsafe { extension(host, EXT_METRICS) },
        })
    }
}

/// # Safety
/// `T` is the table that goes with `id`.
unsafe fn extension<T>(host: *const HostTable, id: &str) -> Option<&'static T> {
    let id = CString::new(id).ok()?;
    // SAFETY: the host is there, and the id ends with NUL.
    let table = unsafe { ((*host).get_extension)(host, id.as_ptr()) };
    // SAFETY: the caller vouches for the type.
    unsafe { sized(table) }
}

/// A table that is at least as large as we know it.
///
/// # Safety
/// `table` is null or a sized table of type `T` that is there for ever.
unsafe fn sized<T>(table: *const c_void) -> Option<&'static T> {
    if table.is_null() {
        return None;
    }
    // SAFETY: the size stands at the beginning of every table.
    let size = unsafe { table.cast::<u32>().read() };
    // SAFETY: it is large enough, and the caller vouches for the rest.
    (size as usize >= size_of::<T>()).then(|| unsafe { &*table.cast::<T>() })
}
