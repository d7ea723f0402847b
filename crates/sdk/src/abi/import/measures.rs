//! `aurora.metrics.v1`.

use super::host::HostSide;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{E_CANCELLED, E_INVALID, HostTable, MetricsApi, OK, Rc, Str};
use crate::{Metric, MetricId, MetricKind};

pub(super) static API: MetricsApi = MetricsApi {
    size: size::<MetricsApi>(),
    reserved: 0,
    define,
    record,
};

/// More labels than this say nothing any more.
const MAX_LABELS: usize = 16;

/// # Safety
/// `count` texts are there for `'a`.
unsafe fn texts<'a>(texts: *const Str, count: usize) -> Option<Vec<&'a str>> {
    if count > MAX_LABELS || (texts.is_null() && count > 0) {
        return None;
    }
    // SAFETY: the caller vouches for it.
    (0..count)
        .map(|index| unsafe { (*texts.add(index)).as_text() })
        .collect()
}

unsafe extern "C" fn define(
    host: *const HostTable,
    kind: i32,
    name: Str,
    help: Str,
    labels: *const Str,
    count: usize,
    out: *mut u32,
) -> Rc {
    guarded(|| {
        // SAFETY: the host is held.
        let Some(side) = (unsafe { HostSide::of(host) }) else {
            return E_CANCELLED;
        };
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return E_INVALID,
        };
        // SAFETY: the texts are there for the call.
        let (name, help, labels) =
            unsafe { (name.as_text(), help.as_text(), texts(labels, count)) };
        let (Some(name), Some(help), Some(labels)) = (name, help, labels) else {
            return E_INVALID;
        };
        let metric = Metric {
            kind,
            name,
            help,
            labels: &labels,
        };
        match side.host.metric(&metric) {
            Ok(MetricId(id)) => {
                // SAFETY: `out` is the plugin's, to be filled.
                unsafe { out.write(id) };
                OK
            }
            Err(error) => {
                side.host.log(crate::Level::Warn, error.message());
                E_INVALID
            }
        }
    })
}

unsafe extern "C" fn record(
    host: *const HostTable,
    id: u32,
    value: f64,
    labels: *const Str,
    count: usize,
) {
    guard((), || {
        // SAFETY: the host is held, and the texts are there for the call.
        let (side, labels) = unsafe { (HostSide::of(host), texts(labels, count)) };
        if let (Some(side), Some(labels)) = (side, labels) {
            side.host.record(MetricId(id), value, &labels);
        }
    });
}
