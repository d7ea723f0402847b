//! `aurora.state.v1`.

use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;

use super::handles::Owner;
use super::host::HostSide;
use super::wait::wait;
use crate::abi::fault;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{
    E_CANCELLED, E_CONFLICT, E_INTERNAL, E_INVALID, E_NOT_FOUND, HostTable, OK, Rc, StateApi,
    StateOp, Str, Waker,
};
use crate::{BoxFuture, Error, Level, PluginHost};

pub(super) static API: StateApi = StateApi {
    size: size::<StateApi>(),
    reserved: 0,
    get,
    put,
    del,
    swap,
    poll,
    close,
};

/// The longest key, bytes.
const MAX_KEY: usize = 1024;

type Ended = (Rc, Bytes);

struct Operation {
    owner: Owner,
    running: Option<BoxFuture<'static, Ended>>,
    ended: Ended,
}

/// Begins what `work` does.
///
/// # Safety
/// The host is held, the key is there for the call, and `out` is to be filled.
unsafe fn begin<F: Future<Output = Result<Ended, Error>> + Send + 'static>(
    host: *const HostTable,
    key: Str,
    out: *mut *mut StateOp,
    work: impl FnOnce(Arc<dyn PluginHost>, String) -> F,
) -> Rc {
    guarded(|| {
        // SAFETY: the caller vouches for it.
        let (host, key) = unsafe { (HostSide::shared(host), key.as_text()) };
        let Some(host) = host else {
            return E_CANCELLED;
        };
        let Some(key) = key.filter(|key| key.len() <= MAX_KEY) else {
            return E_INVALID;
        };
        let (around, said) = (Arc::clone(&host.host), Arc::clone(&host.host));
        let work = work(around, key.to_owned());
        let running = async move {
            work.await.unwrap_or_else(|error| {
                // A code is all that the plugin gets to know.
                let cause = fault::cause(&error);
                said.log(Level::Warn, &format!("state: {error}: {cause}"));
                (E_INTERNAL, Bytes::new())
            })
        };
        let operation = Operation {
            owner: Owner::host(&host),
            running: Some(Box::pin(running)),
            ended: (OK, Bytes::new()),
        };
        // SAFETY: the caller vouches for it.
        unsafe { out.write(host.open.open(operation).cast()) };
        OK
    })
}

fn found(is_there: bool, otherwise: Rc) -> Ended {
    (if is_there { OK } else { otherwise }, Bytes::new())
}

unsafe extern "C" fn get(host: *const HostTable, key: Str, out: *mut *mut StateOp) -> Rc {
    let work = |host: Arc<dyn PluginHost>, key: String| async move {
        let value = host.state().get(&key).await?;
        Ok(value.map_or((E_NOT_FOUND, Bytes::new()), |value| (OK, value)))
    };
    // SAFETY: passed on.
    unsafe { begin(host, key, out, work) }
}

unsafe extern "C" fn put(
    host: *const HostTable,
    key: Str,
    value: Str,
    keep_ms: u64,
    out: *mut *mut StateOp,
) -> Rc {
    // SAFETY: the value is there for the call.
    let value = Bytes::copy_from_slice(unsafe { value.bytes() });
    let work = move |host: Arc<dyn PluginHost>, key: String| async move {
        host.state()
            .put(&key, value, Duration::from_millis(keep_ms))
            .await?;
        Ok((OK, Bytes::new()))
    };
    // SAFETY: passed on.
    unsafe { begin(host, key, out, work) }
}

unsafe extern "C" fn del(host: *const HostTable, key: Str, out: *mut *mut StateOp) -> Rc {
    let work = |host: Arc<dyn PluginHost>, key: String| async move {
        Ok(found(host.state().delete(&key).await?, E_NOT_FOUND))
    };
    // SAFETY: passed on.
    unsafe { begin(host, key, out, work) }
}

unsafe extern "C" fn swap(
    host: *const HostTable,
    key: Str,
    expected: *const Str,
    value: Str,
    keep_ms: u64,
    out: *mut *mut StateOp,
) -> Rc {
    // SAFETY: both are there for the call, or `expected` is null.
    let (expected, value) = unsafe {
        let expected = expected
            .as_ref()
            .map(|expected| Bytes::copy_from_slice(expected.bytes()));
        (expected, Bytes::copy_from_slice(value.bytes()))
    };
    let work = move |host: Arc<dyn PluginHost>, key: String| async move {
        let keep = Duration::from_millis(keep_ms);
        Ok(found(
            host.state().swap(&key, expected, value, keep).await?,
            E_CONFLICT,
        ))
    };
    // SAFETY: passed on.
    unsafe { begin(host, key, out, work) }
}

unsafe extern "C" fn poll(op: *mut StateOp, waker: *const Waker, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the operation is open, and used by one thread at a time.
        let operation = unsafe { &mut *op.cast::<Operation>() };
        // SAFETY: as above.
        let host = unsafe { operation.owner.of_host() };
        let mut poll = |cx: &mut std::task::Context<'_>| {
            if let Some(running) = &mut operation.running {
                operation.ended = ready!(running.as_mut().poll(cx));
                operation.running = None;
            }
            Poll::Ready(operation.ended.0)
        };
        // SAFETY: the waker is there for the call, or null.
        let code = unsafe { wait(host, None, waker, &mut poll) };
        if code == OK && !out.is_null() {
            // SAFETY: `out` is the plugin's, to be filled.
            unsafe { out.write(Str::of(&operation.ended.1)) };
        }
        code
    })
}

unsafe extern "C" fn close(op: *mut StateOp) {
    guard((), || {
        // SAFETY: the operation is open.
        let open = unsafe { (*op.cast::<Operation>()).owner.open() };
        drop(open.take(op.cast::<Operation>()));
    });
}
