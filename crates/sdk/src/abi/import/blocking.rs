//! Handlers that block: each request has a thread while it lasts.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::handler::unanswered;
use super::host::HostSide;
use super::plugin::Instance;
use super::request::RequestSide;
use crate::abi::raw::{E_CANCELLED, E_UNSUPPORTED, Rc, Task as RawTask};
use crate::{Body, BoxFuture, Error, ErrorKind, Origin, Response};

thread_local! {
    /// The request that this thread works on.
    static SERVED: Cell<Option<NonNull<RequestSide>>> = const { Cell::new(None) };
}

/// The request that this thread works on.
///
/// # Safety
/// It is used only while this thread works on it.
pub(super) unsafe fn served<'a>() -> Option<&'a RequestSide> {
    // SAFETY: `Serving` takes it out of its place before it goes.
    SERVED.get().map(|request| unsafe { request.as_ref() })
}

/// A thread that a request has.
struct Slot(Arc<HostSide>);

impl Slot {
    fn take(host: &Arc<HostSide>) -> Option<Self> {
        let max = host.library.around.max_blocking();
        if host.blocked.fetch_add(1, Ordering::AcqRel) >= max {
            host.blocked.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self(Arc::clone(host)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.blocked.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Says which request this thread works on, until it is dropped.
struct Serving;

impl Serving {
    fn begin(request: &Arc<RequestSide>) -> Self {
        SERVED.set(Some(NonNull::from(request.as_ref())));
        Self
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        SERVED.set(None);
    }
}

/// Answers `request` on a thread.
pub(super) async fn run(
    instance: Arc<Instance>,
    request: Arc<RequestSide>,
) -> Result<Response, Error> {
    let Some(slot) = Slot::take(&request.host) else {
        return Err(busy(&request));
    };
    let worker = Arc::clone(&request);
    let working = request.host.host.offload(Box::new(move || {
        let code = handle(&instance, &worker);
        let how = if code < 0 {
            Err(worker.error(code))
        } else {
            Ok(())
        };
        // Who reads to the end may come again at once.
        drop(slot);
        worker.pipe.end(how);
    }));
    let blocked = Blocked {
        request,
        working: Some(working),
        forwarded: None,
    };
    blocked.answer().await
}

fn handle(instance: &Instance, request: &Arc<RequestSide>) -> Rc {
    if request.is_over() {
        // Its client left while it waited for a thread.
        return E_CANCELLED;
    }
    let Some(handle) = instance.library().vtable.handle else {
        return E_UNSUPPORTED;
    };
    let _serving = Serving::begin(request);
    let mut unused = RawTask::NONE;
    // SAFETY: the instance is there, the request is held, and the place is ours.
    unsafe { handle(instance.raw(), request.raw(), &raw mut unused) }
}

fn busy(request: &RequestSide) -> Error {
    let name = &request.host.library.manifest.name;
    let message = format!("plugin `{name}` serves as many requests as it may at once; try again");
    Error::new(
        ErrorKind::Unavailable,
        Origin::Gateway,
        "plugin_busy",
        message,
    )
    .with_retry_after(Duration::from_secs(1))
}

/// A request whose thread works.
struct Blocked {
    request: Arc<RequestSide>,
    working: Option<BoxFuture<'static, Result<(), Error>>>,
    forwarded: Option<Body>,
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.request.end();
    }
}

impl Blocked {
    /// A thread that could not be had, or died, ends the answer.
    fn poll_thread(&mut self, cx: &mut TaskContext<'_>) {
        if let Some(working) = &mut self.working
            && let Poll::Ready(ended) = working.as_mut().poll(cx)
        {
            self.working = None;
            if let Err(error) = ended {
                self.request.pipe.end(Err(error));
            }
        }
    }

    /// The answer, when it has begun.
    async fn answer(mut self) -> Result<Response, Error> {
        let begun = poll_fn(|cx| {
            self.poll_thread(cx);
            self.request.pipe.listen(cx);
            if self.request.is_answered() {
                return Poll::Ready(Ok(()));
            }
            self.request.pipe.poll_ended()
        });
        begun.await?;
        let Some((status, headers)) = self.request.take_answer() else {
            return Err(unanswered(&self.request));
        };
        Ok(Response {
            status,
            headers,
            body: Body::stream(Box::pin(self), None),
        })
    }
}

impl Stream for Blocked {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(body) = &mut this.forwarded {
            return Pin::new(body).poll_next(cx);
        }
        this.poll_thread(cx);
        let item = std::task::ready!(this.request.pipe.poll_next(cx));
        if item.is_none() {
            this.forwarded = this.request.take_forwarded();
            if let Some(body) = &mut this.forwarded {
                return Pin::new(body).poll_next(cx);
            }
        }
        Poll::Ready(item)
    }
}
