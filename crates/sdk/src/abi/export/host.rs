//! The host of an instance, as the plugin's own code has it.

use std::ffi::c_void;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::hold::Hold;
use super::state::RemoteState;
use super::tables::Tables;
use super::{fetch, task};
use crate::abi::memory::guarded;
use crate::abi::raw::{
    E_UNSUPPORTED, HostTable, Join, OK, PENDING, Rc, Str, TaskApi, Timer, TimerApi,
};
use crate::abi::{fault, numbers, waker};
use crate::{
    BoxFuture, Error, Level, Metric, MetricId, MetricKind, PluginHost, Response, State,
    UpstreamRequest,
};

/// The host, held.
pub(super) struct RemoteHost {
    pub(super) table: *const HostTable,
    pub(super) tables: Tables,
    state: RemoteState,
}

// SAFETY: the contract lets any thread use a host that is held.
unsafe impl Send for RemoteHost {}
// SAFETY: as above.
unsafe impl Sync for RemoteHost {}

impl Drop for RemoteHost {
    fn drop(&mut self) {
        // SAFETY: it was held once, by `new`, and is there until it is let go.
        unsafe { ((*self.table).release)(self.table) };
    }
}

impl RemoteHost {
    /// Holds `table`.
    ///
    /// # Safety
    /// The host is there for the call and keeps to the contract.
    pub(super) unsafe fn new(table: *const HostTable) -> Result<Self, &'static str> {
        // SAFETY: the caller vouches for it.
        let tables = unsafe { Tables::of(table) }?;
        // SAFETY: as above.
        unsafe { ((*table).retain)(table) };
        Ok(Self {
            table,
            tables,
            state: RemoteState::new(table, tables.state),
        })
    }
}

impl RemoteHost {
    /// For what is open beyond this.
    pub(super) fn hold(&self) -> Hold {
        // SAFETY: the host is held.
        unsafe { Hold::host(self.table) }
    }
}

impl PluginHost for RemoteHost {
    fn log(&self, level: Level, message: &str) {
        let level = numbers::of_level(level);
        // SAFETY: the host is held, and the text is there for the call.
        unsafe { ((*self.table).log)(self.table, level, Str::text(message)) };
    }

    fn listens(&self, level: Level) -> bool {
        // SAFETY: the host is held.
        unsafe { ((*self.table).log_enabled)(self.table, numbers::of_level(level)) != 0 }
    }

    fn state(&self) -> &dyn State {
        &self.state
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let Some(api) = self.tables.timer else {
            return Box::pin(std::future::ready(()));
        };
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut timer = std::ptr::null_mut();
        // SAFETY: the host is held, and `timer` is ours.
        let code = unsafe { (api.start)(self.table, time, &raw mut timer) };
        if code != OK {
            return Box::pin(std::future::ready(()));
        }
        let sleeping = Sleeping {
            api,
            timer,
            _host: self.hold(),
        };
        Box::pin(async move { poll_fn(|cx| sleeping.poll(cx)).await })
    }

    fn spawn(&self, name: &str, work: BoxFuture<'static, ()>) {
        let Some(api) = self.tables.task else {
            return;
        };
        let task = task::of(async move {
            work.await;
            OK
        });
        // SAFETY: the host is held, and the task is moved; a host that refuses it drops it.
        let _code = unsafe { (api.spawn)(self.table, Str::text(name), task, std::ptr::null_mut()) };
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, Result<(), Error>> {
        let Some(api) = self.tables.task else {
            return Box::pin(std::future::ready(Err(fault::of_code(E_UNSUPPORTED))));
        };
        let work: *mut Work = Box::into_raw(Box::new(work));
        let mut join = std::ptr::null_mut();
        // SAFETY: the host is held, `join` is ours, and the host calls the function once where it accepts it.
        let code = unsafe { (api.offload)(self.table, Some(run), work.cast(), &raw mut join) };
        if code != OK {
            // SAFETY: it was not accepted, so it is still ours.
            drop(unsafe { Box::from_raw(work) });
            return Box::pin(std::future::ready(Err(fault::of_code(code))));
        }
        let joining = Joining {
            api,
            join,
            _host: self.hold(),
        };
        Box::pin(async move {
            match poll_fn(|cx| joining.poll(cx)).await {
                OK => Ok(()),
                code => Err(fault::of_code(code)),
            }
        })
    }

    fn metric(&self, metric: &Metric<'_>) -> Result<MetricId, Error> {
        let Some(api) = self.tables.metrics else {
            return Err(fault::of_code(E_UNSUPPORTED));
        };
        let kind = match metric.kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 2,
        };
        let labels: Vec<Str> = metric.labels.iter().map(|label| Str::text(label)).collect();
        let (name, help) = (Str::text(metric.name), Str::text(metric.help));
        let mut id = 0;
        // SAFETY: the host is held, the texts are there for the call, and `id` is ours.
        let code = unsafe {
            (api.define)(
                self.table,
                kind,
                name,
                help,
                labels.as_ptr(),
                labels.len(),
                &raw mut id,
            )
        };
        match code {
            OK => Ok(MetricId(id)),
            code => Err(fault::of_code(code)),
        }
    }

    fn record(&self, metric: MetricId, value: f64, labels: &[&str]) {
        let Some(api) = self.tables.metrics else {
            return;
        };
        let labels: Vec<Str> = labels.iter().map(|label| Str::text(label)).collect();
        // SAFETY: the host is held, and the texts are there for the call.
        unsafe { (api.record)(self.table, metric.0, value, labels.as_ptr(), labels.len()) };
    }

    fn send<'a>(
        &'a self,
        upstream: &'a str,
        request: UpstreamRequest,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(fetch::send(self, None, upstream, request))
    }
}

type Work = Box<dyn FnOnce() + Send>;

unsafe extern "C" fn run(work: *mut c_void) -> Rc {
    guarded(|| {
        // SAFETY: the host calls this once with the box of `offload`.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
        OK
    })
}

struct Sleeping {
    api: &'static TimerApi,
    timer: *mut Timer,
    _host: Hold,
}

// SAFETY: one thread at a time uses a timer, and this is its only owner.
unsafe impl Send for Sleeping {}
// SAFETY: sharing it gives no way to use it but `poll`, which its one future calls.
unsafe impl Sync for Sleeping {}

impl Sleeping {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let lent = waker::lend(cx.waker());
        // SAFETY: the timer is open, and the waker is there for the call.
        match unsafe { (self.api.poll)(self.timer, &raw const lent) } {
            PENDING => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        // SAFETY: it is closed once.
        unsafe { (self.api.close)(self.timer) };
    }
}

struct Joining {
    api: &'static TaskApi,
    join: *mut Join,
    _host: Hold,
}

// SAFETY: one thread at a time uses it, and this is its only owner.
unsafe impl Send for Joining {}
// SAFETY: as for `Sleeping`.
unsafe impl Sync for Joining {}

impl Joining {
    fn poll(&self, cx: &Context<'_>) -> Poll<Rc> {
        let (lent, mut code) = (waker::lend(cx.waker()), OK);
        // SAFETY: it is open, the waker is there for the call, and `code` is ours.
        match unsafe { (self.api.join_poll)(self.join, &raw const lent, &raw mut code) } {
            PENDING => Poll::Pending,
            OK => Poll::Ready(code),
            failed => Poll::Ready(failed),
        }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        // SAFETY: it is closed once.
        unsafe { (self.api.join_close)(self.join) };
    }
}
