//! A loaded handler: its task, polled by whoever waits for the answer.

mod answer;

use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use self::answer::Answer;
use super::blocking;
use super::direct::{Direct, Polling};
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
        // SAFETY: they are there as long as the future, and what lives longer holds on.
        let request = unsafe { RequestSide::new(cx, host, request, false) };
        if host.is_blocking() {
            request.hold_on();
            return Box::pin(blocking::run(Arc::clone(instance), request));
        }
        Box::pin(Answering::New(instance, request))
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
}

// SAFETY: the contract lets a task move between threads.
unsafe impl Send for Task {}

impl Task {
    /// The task that a call gave beside `code`.
    pub(super) fn new(raw: RawTask, code: Rc) -> Self {
        let ended = match (code, raw.poll) {
            (OK, Some(_)) => None,
            // It finished at once.
            (OK, None) if raw.data.is_null() => Some(OK),
            (OK | PENDING, _) => Some(E_INVALID),
            (code, _) => Some(code),
        };
        Self { raw, ended }
    }

    /// Ready with the final code. `instance` is whose task it is.
    pub(super) fn poll(&mut self, cx: &TaskContext<'_>, instance: &Instance) -> Poll<Rc> {
        if let Some(code) = self.ended {
            return Poll::Ready(code);
        }
        let Some(poll) = self.raw.poll else {
            return Poll::Ready(E_INVALID);
        };
        let started = instance.is_timed().then(Instant::now);
        let lent = waker::lend(cx.waker());
        // SAFETY: the task has not ended, and the waker is there for the call.
        let code = unsafe { poll(self.raw.data, &raw const lent) };
        if let Some(took) = started.map(|started| started.elapsed())
            && took >= SLOW
        {
            instance.library().around.noticed(Notice::Slow(took));
        }
        if code == PENDING {
            return Poll::Pending;
        }
        self.ended = Some(code);
        // What it held goes now, and not when somebody has read the answer.
        self.drop_raw();
        Poll::Ready(code)
    }

    fn drop_raw(&mut self) {
        if let Some(drop) = self.raw.drop.take() {
            // SAFETY: a task is dropped once.
            unsafe { drop(self.raw.data) };
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.drop_raw();
    }
}

/// A request whose answer is waited for. By hand and not an `async fn`, because that would be large to move to its place.
enum Answering<'a> {
    New(&'a Arc<Instance>, Arc<RequestSide>),
    Begun(Running<'a>),
    Answered,
}

impl Future for Answering<'_> {
    type Output = Result<Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut running = match std::mem::replace(&mut *self, Self::Answered) {
            Self::New(instance, request) => Running::begin(instance, request),
            Self::Begun(running) => running,
            // Futures that are ready are not polled again.
            Self::Answered => return Poll::Pending,
        };
        if let Poll::Ready(code) = running.poll_begun(cx) {
            return Poll::Ready(running.into_answer(code));
        }
        *self = Self::Begun(running);
        Poll::Pending
    }
}

/// Whose task it is: as long as the request is only begun, whoever waits for it keeps the instance.
enum Whose<'a> {
    Lent(&'a Arc<Instance>),
    Kept(Arc<Instance>),
}

impl Whose<'_> {
    fn instance(&self) -> &Arc<Instance> {
        match self {
            Self::Lent(instance) => instance,
            Self::Kept(instance) => instance,
        }
    }
}

/// A request that ends when nobody waits for its answer any more.
struct Ending(Arc<RequestSide>);

impl Drop for Ending {
    fn drop(&mut self) {
        // With the last holder it goes by itself.
        if Arc::strong_count(&self.0) > 1 {
            self.0.hold_on();
            self.0.end();
        }
    }
}

/// A request under way in a plugin. The task goes first: it may still use what it has open.
pub(super) struct Running<'a> {
    task: Task,
    request: Ending,
    whose: Whose<'a>,
}

impl<'a> Running<'a> {
    /// Begins with `request`.
    fn begin(instance: &'a Arc<Instance>, request: Arc<RequestSide>) -> Self {
        let mut raw = RawTask::NONE;
        let handle = instance.library().vtable.handle;
        // SAFETY: it is ours, and has just begun.
        let polling = unsafe { Polling::begin(&request) };
        // SAFETY: the instance is there, the request is held, and the place is ours.
        let code = handle.map_or(raw::E_UNSUPPORTED, |handle| unsafe {
            handle(instance.raw(), request.raw(), &raw mut raw)
        });
        drop(polling);
        Self {
            task: Task::new(raw, code),
            request: Ending(request),
            whose: Whose::Lent(instance),
        }
    }

    /// A task that works on `request`.
    pub(super) fn of(task: Task, request: Arc<RequestSide>, instance: &'a Arc<Instance>) -> Self {
        Self {
            task,
            request: Ending(request),
            whose: Whose::Lent(instance),
        }
    }

    fn poll(&mut self, cx: &TaskContext<'_>) -> Poll<Rc> {
        // SAFETY: it is ours, and `&mut self` says that nobody else is at it.
        let _polling = unsafe { Polling::begin(&self.request.0) };
        self.task.poll(cx, self.whose.instance())
    }

    fn at_hand<T>(&mut self, work: impl FnOnce(&mut Direct) -> T) -> T {
        // SAFETY: as in `poll`.
        unsafe { self.request.0.at_hand.with(work) }
    }

    /// Whether the answer has begun.
    pub(super) fn is_answered(&self) -> bool {
        self.request.0.is_answered()
    }

    /// Waits until the answer has begun, or will never begin; the final code where there is one.
    pub(super) async fn begun(&mut self) -> Option<Rc> {
        poll_fn(|cx| self.poll_begun(cx)).await
    }

    fn poll_begun(&mut self, cx: &TaskContext<'_>) -> Poll<Option<Rc>> {
        if let Poll::Ready(code) = self.poll(cx) {
            return Poll::Ready(Some(code));
        }
        if self.is_answered() {
            return Poll::Ready(None);
        }
        // A thread of the plugin's may begin the answer while its task waits.
        self.request.0.pipe.listen(cx);
        if self.is_answered() {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    /// The answer, once it has begun; `code` where the task has ended.
    pub(super) fn into_answer(mut self, code: Option<Rc>) -> Result<Response, Error> {
        let status = self.at_hand(|direct| direct.status);
        if let Some(headers) = self.at_hand(|direct| direct.headers.take()) {
            return Ok(Response {
                status,
                headers,
                body: self.body(code),
            });
        }
        let Some((status, headers)) = self.request.0.take_answer() else {
            return Err(self.failed(code));
        };
        Ok(Response {
            status,
            headers,
            body: self.body(code),
        })
    }

    fn body(self, code: Option<Rc>) -> Body {
        if code.is_some_and(|code| code >= 0) {
            self.finished()
        } else {
            Body::stream(Box::pin(Answer::new(self)), None)
        }
    }

    /// Why there is no answer.
    fn failed(&self, code: Option<Rc>) -> Error {
        let request = &self.request.0;
        match code {
            Some(code) if code < 0 => request.error(code),
            _ => unanswered(request),
        }
    }

    /// The body of an answer that is all there, or goes on without the plugin.
    fn finished(mut self) -> Body {
        let forwarded = self.take_forwarded();
        let Some(first) = self.written() else {
            return forwarded.unwrap_or_default();
        };
        if let Some(forwarded) = forwarded {
            return Body::stream(Box::pin(Answer::forwarding(self, first, forwarded)), None);
        }
        let Some(second) = self.written() else {
            return first.into();
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.written() {
            all.extend_from_slice(&piece);
        }
        all.freeze().into()
    }

    fn take_forwarded(&mut self) -> Option<Body> {
        let forwarded = self.at_hand(|direct| direct.forwarded.take());
        forwarded.or_else(|| self.request.0.take_forwarded())
    }

    /// What can be read now.
    fn written(&mut self) -> Option<Bytes> {
        let at_hand = self.at_hand(Direct::pop);
        let pipe = &self.request.0.pipe;
        at_hand.or_else(|| (!pipe.is_idle()).then(|| pipe.pop()).flatten())
    }

    /// The same for as long as anybody likes.
    fn kept(self) -> Running<'static> {
        self.request.0.hold_on();
        Running {
            task: self.task,
            request: self.request,
            whose: Whose::Kept(Arc::clone(self.whose.instance())),
        }
    }

    /// The request goes on elsewhere: nothing of it ends here.
    pub(super) fn leave(self) -> Arc<RequestSide> {
        drop(self.task);
        let request = ManuallyDrop::new(self.request);
        // SAFETY: it is read once, and its place is not dropped.
        unsafe { std::ptr::read(&raw const request.0) }
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
