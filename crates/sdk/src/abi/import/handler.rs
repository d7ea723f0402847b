//! A loaded handler: its task, polled by whoever waits for the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;

use super::blocking;
use super::plugin::{Instance, Notice};
use super::request::RequestSide;
use crate::abi::raw::{E_INVALID, OK, PENDING, Rc, Task as RawTask};
use crate::abi::{raw, waker};
use crate::{Body, BoxFuture, Context, Error, ErrorKind, Handler, Origin, Request, Response};

/// A poll that takes longer than this is said to the operator.
const SLOW: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct ImportedHandler {
    instance: Arc<Instance>,
    is_public: bool,
}

impl ImportedHandler {
    pub(super) fn new(instance: Arc<Instance>) -> Self {
        let is_public = instance.is_public();
        Self {
            instance,
            is_public,
        }
    }
}

impl Handler for ImportedHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        let (instance, host) = (&self.instance, &self.instance.host);
        let request = RequestSide::new(cx, host, request, false);
        if host.is_blocking() {
            return Box::pin(blocking::run(Arc::clone(instance), request));
        }
        Box::pin(async move { Running::begin(instance, request).answer().await })
    }

    fn is_public(&self) -> bool {
        self.is_public
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.instance.probe()
    }

    fn drain(&self) {
        self.instance.drain();
    }
}

/// A task of the plugin's.
pub(super) struct Task {
    raw: RawTask,
    ended: Option<Rc>,
    instance: Arc<Instance>,
}

// SAFETY: the contract lets a task move between threads.
unsafe impl Send for Task {}

impl Task {
    /// The task that a call gave beside `code`.
    pub(super) fn new(raw: RawTask, code: Rc, instance: &Arc<Instance>) -> Self {
        let ended = match (code, raw.poll) {
            (OK, Some(_)) => None,
            // It finished at once.
            (OK, None) if raw.data.is_null() => Some(OK),
            (OK | PENDING, _) => Some(E_INVALID),
            (code, _) => Some(code),
        };
        Self {
            raw,
            ended,
            instance: Arc::clone(instance),
        }
    }

    pub(super) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Ready with the final code.
    pub(super) fn poll(&mut self, cx: &TaskContext<'_>) -> Poll<Rc> {
        if let Some(code) = self.ended {
            return Poll::Ready(code);
        }
        let Some(poll) = self.raw.poll else {
            return Poll::Ready(E_INVALID);
        };
        let started = self.instance.is_timed().then(Instant::now);
        let lent = waker::lend(cx.waker());
        // SAFETY: the task has not ended, and the waker is there for the call.
        let code = unsafe { poll(self.raw.data, &raw const lent) };
        if let Some(took) = started.map(|started| started.elapsed())
            && took >= SLOW
        {
            self.instance.library().around.noticed(Notice::Slow(took));
        }
        if code == PENDING {
            return Poll::Pending;
        }
        self.ended = Some(code);
        Poll::Ready(code)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(drop) = self.raw.drop {
            // SAFETY: a task is dropped once.
            unsafe { drop(self.raw.data) };
        }
    }
}

/// A request under way in a plugin.
pub(super) struct Running {
    task: Option<Task>,
    request: Arc<RequestSide>,
    is_left: bool,
}

impl Running {
    /// Begins with `request`.
    fn begin(instance: &Arc<Instance>, request: Arc<RequestSide>) -> Self {
        let mut raw = RawTask::NONE;
        let handle = instance.library().vtable.handle;
        // SAFETY: the instance is there, the request is held, and the place is ours.
        let code = handle.map_or(raw::E_UNSUPPORTED, |handle| unsafe {
            handle(instance.raw(), request.raw(), &raw mut raw)
        });
        let task = Task::new(raw, code, instance);
        Self::of(task, request)
    }

    /// A task that works on `request`.
    pub(super) fn of(task: Task, request: Arc<RequestSide>) -> Self {
        Self {
            task: Some(task),
            request,
            is_left: false,
        }
    }

    fn poll(&mut self, cx: &TaskContext<'_>) -> Poll<Rc> {
        match &mut self.task {
            Some(task) => task.poll(cx),
            None => Poll::Ready(OK),
        }
    }

    /// Waits until the answer has begun, or will never begin; the final code where there is one.
    pub(super) async fn begun(&mut self) -> Option<Rc> {
        poll_fn(|cx| {
            if let Poll::Ready(code) = self.poll(cx) {
                return Poll::Ready(Some(code));
            }
            // A thread of the plugin's may begin the answer while its task waits.
            self.request.pipe.listen(cx);
            if self.request.is_answered() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    async fn answer(mut self) -> Result<Response, Error> {
        let code = self.begun().await;
        self.into_answer(code)
    }

    /// The answer, once it has begun; `code` where the task has ended.
    pub(super) fn into_answer(self, code: Option<Rc>) -> Result<Response, Error> {
        let Some((status, headers)) = self.request.take_answer() else {
            return Err(match code {
                Some(code) if code < 0 => self.request.error(code),
                _ => unanswered(&self.request),
            });
        };
        let body = if code.is_some_and(|code| code >= 0) {
            self.finished()
        } else {
            Body::stream(Box::pin(Answer::new(self)), None)
        };
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    /// The body of an answer that is all there, or goes on without the plugin.
    fn finished(self) -> Body {
        let Some(forwarded) = self.request.take_forwarded() else {
            return self.request.pipe.pop_all().into();
        };
        match self.request.pipe.pop() {
            None => forwarded,
            Some(first) => Body::stream(Box::pin(Answer::forwarding(self, first, forwarded)), None),
        }
    }
}

impl Running {
    /// The request goes on elsewhere: nothing of it ends here.
    pub(super) fn leave(mut self) {
        self.task = None;
        self.is_left = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The task first: it may still use what it has open.
        self.task = None;
        if self.is_left {
            return;
        }
        self.request.end();
    }
}

/// A plugin that says that all is well and has not answered.
pub(super) fn unanswered(request: &RequestSide) -> Error {
    let name = &request.host.library.manifest.name;
    let message = format!("plugin `{name}` finished without a response");
    Error::new(
        ErrorKind::Internal,
        Origin::Gateway,
        "plugin_error",
        message,
    )
}

/// The body of an answer, which polls the plugin's task: there is no channel and no task between.
struct Answer {
    running: Running,
    first: Option<Bytes>,
    forwarded: Option<Body>,
    over: bool,
}

impl Answer {
    fn new(running: Running) -> Self {
        Self {
            running,
            first: None,
            forwarded: None,
            over: false,
        }
    }

    fn forwarding(running: Running, first: Bytes, forwarded: Body) -> Self {
        Self {
            running,
            first: Some(first),
            forwarded: Some(forwarded),
            over: false,
        }
    }

    fn written(&mut self) -> Option<Bytes> {
        self.first
            .take()
            .or_else(|| self.running.request.pipe.pop())
    }
}

impl Stream for Answer {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            if let Some(piece) = this.written() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(body) = &mut this.forwarded {
                return Pin::new(body).poll_next(cx);
            }
            match this.running.poll(cx) {
                Poll::Pending => {
                    // It may have written, and a thread of the plugin's may write while its task waits.
                    let piece = ready!(this.running.request.pipe.poll_piece(cx));
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(code) => {
                    if let Some(piece) = this.written() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    if code < 0 {
                        this.over = true;
                        return Poll::Ready(Some(Err(this.running.request.error(code))));
                    }
                    this.forwarded = this.running.request.take_forwarded();
                    if this.forwarded.is_none() {
                        this.over = true;
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }
}
