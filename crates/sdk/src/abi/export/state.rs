//! The state that the host keeps.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::abi::raw::{
    E_CONFLICT, E_NOT_FOUND, E_UNSUPPORTED, HostTable, OK, PENDING, Rc, StateApi, StateOp, Str,
};
use crate::abi::{fault, waker};
use crate::{BoxFuture, Error, State};

/// A view of the host's; whoever has it holds the host.
pub(super) struct RemoteState {
    host: *const HostTable,
    api: Option<&'static StateApi>,
}

// SAFETY: the contract lets any thread use a host that is held.
unsafe impl Send for RemoteState {}
// SAFETY: as above.
unsafe impl Sync for RemoteState {}

impl RemoteState {
    pub(super) fn new(host: *const HostTable, api: Option<&'static StateApi>) -> Self {
        Self { host, api }
    }

    /// Begins an operation.
    fn begin(
        &self,
        start: impl FnOnce(&StateApi, *mut *mut StateOp) -> Rc,
    ) -> Result<Operating, Error> {
        let api = self.api.ok_or_else(|| fault::of_code(E_UNSUPPORTED))?;
        let mut op = std::ptr::null_mut();
        match start(api, &raw mut op) {
            OK => Ok(Operating { api, op }),
            code => Err(fault::of_code(code)),
        }
    }
}

struct Operating {
    api: &'static StateApi,
    op: *mut StateOp,
}

// SAFETY: one thread at a time uses it, and this is its only owner.
unsafe impl Send for Operating {}
// SAFETY: sharing it gives no way to use it but `poll`, which its one future calls.
unsafe impl Sync for Operating {}

impl Drop for Operating {
    fn drop(&mut self) {
        // SAFETY: it is closed once.
        unsafe { (self.api.close)(self.op) };
    }
}

impl Operating {
    fn poll(&self, cx: &Context<'_>) -> Poll<(Rc, Bytes)> {
        let (lent, mut value) = (waker::lend(cx.waker()), Str::EMPTY);
        // SAFETY: it is open, the waker is there for the call, and `value` is ours.
        match unsafe { (self.api.poll)(self.op, &raw const lent, &raw mut value) } {
            PENDING => Poll::Pending,
            // SAFETY: the value is there until it is closed.
            OK => Poll::Ready((OK, Bytes::copy_from_slice(unsafe { value.bytes() }))),
            code => Poll::Ready((code, Bytes::new())),
        }
    }

    async fn ended(self) -> (Rc, Bytes) {
        poll_fn(|cx| self.poll(cx)).await
    }
}

fn millis(keep: Duration) -> u64 {
    u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)
}

impl State for RemoteState {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            // SAFETY: the host is held, the key is there for the call, and `out` is ours.
            let begun =
                self.begin(|api, out| unsafe { (api.get)(self.host, Str::text(key), out) })?;
            match begun.ended().await {
                (OK, value) => Ok(Some(value)),
                (E_NOT_FOUND, _) => Ok(None),
                (code, _) => Err(fault::of_code(code)),
            }
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let begun = self.begin(|api, out| {
                // SAFETY: the host is held, the texts are there for the call, and `out` is ours.
                unsafe {
                    (api.put)(
                        self.host,
                        Str::text(key),
                        Str::of(&value),
                        millis(keep),
                        out,
                    )
                }
            })?;
            match begun.ended().await {
                (OK, _) => Ok(()),
                (code, _) => Err(fault::of_code(code)),
            }
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            // SAFETY: the host is held, the key is there for the call, and `out` is ours.
            let begun =
                self.begin(|api, out| unsafe { (api.del)(self.host, Str::text(key), out) })?;
            match begun.ended().await {
                (OK, _) => Ok(true),
                (E_NOT_FOUND, _) => Ok(false),
                (code, _) => Err(fault::of_code(code)),
            }
        })
    }

    fn swap<'a>(
        &'a self,
        key: &'a str,
        expected: Option<Bytes>,
        value: Bytes,
        keep: Duration,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let begun = {
                let expected = expected.as_deref().map(Str::of);
                let expected = expected
                    .as_ref()
                    .map_or(std::ptr::null(), std::ptr::from_ref);
                self.begin(|api, out| {
                    // SAFETY: the host is held, the texts are there for the call, and `out` is ours.
                    unsafe {
                        (api.swap)(
                            self.host,
                            Str::text(key),
                            expected,
                            Str::of(&value),
                            millis(keep),
                            out,
                        )
                    }
                })?
            };
            match begun.ended().await {
                (OK, _) => Ok(true),
                (E_CONFLICT, _) => Ok(false),
                (code, _) => Err(fault::of_code(code)),
            }
        })
    }
}
