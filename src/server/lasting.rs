//! Requests that go on when their client leaves, because a plugin asked for that; and answers that must end because their
//! plugin does not serve any more.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use aurora_sdk::{Body, BodyStream, BoxFuture, Error, ErrorKind, Origin, Response};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

/// The longest that a request goes on without its client.
const MAX: Duration = Duration::from_mins(10);

/// How long a request goes on without its client.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    ms: AtomicU64,
    gone: OnceLock<CancellationToken>,
}

impl Lasting {
    /// It goes on for `time`.
    pub(super) fn keep(&self, time: Duration) {
        let ms = u64::try_from(time.min(MAX).as_millis()).unwrap_or(u64::MAX);
        self.ms.store(ms, Ordering::Relaxed);
    }

    fn time(&self) -> Option<Duration> {
        let ms = self.ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    fn gone(&self) -> &CancellationToken {
        self.gone.get_or_init(CancellationToken::new)
    }

    /// Ready when the client has gone.
    pub(super) async fn client_gone(&self) {
        self.gone().cancelled().await;
    }
}

/// What ends a request early, or lets it go on late.
#[derive(Clone)]
pub(super) struct Bounds {
    pub(super) lasting: Arc<Lasting>,
    pub(super) tasks: TaskTracker,
    /// Fires when the plugin's requests must end.
    pub(super) retired: CancellationToken,
}

impl Bounds {
    /// Work that the client has left goes on for as long as was asked for.
    fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(time) = self.lasting.time() else {
            return;
        };
        self.lasting.gone().cancel();
        self.tasks.spawn(async move {
            // In time or not: nobody waits for it.
            tokio::time::timeout(time, work).await.unwrap_or_default();
        });
    }

    fn retired() -> Error {
        let message = "the plugin that served this was replaced, and the time for requests of its old version is over";
        Error::new(
            ErrorKind::Unavailable,
            Origin::Gateway,
            "plugin_replaced",
            message,
        )
    }
}

type Answering = BoxFuture<'static, Result<Response, Error>>;

/// Waits for a handler; where the client leaves meanwhile, the handler may go on.
pub(super) struct Waiting {
    answering: Option<Answering>,
    retired: Pin<Box<WaitForCancellationFutureOwned>>,
    bounds: Bounds,
}

impl Waiting {
    pub(super) fn new(answering: Answering, bounds: Bounds) -> Self {
        Self {
            answering: Some(answering),
            retired: Box::pin(bounds.retired.clone().cancelled_owned()),
            bounds,
        }
    }
}

impl Future for Waiting {
    type Output = Result<Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(answering) = &mut this.answering else {
            return Poll::Pending;
        };
        if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
            this.answering = None;
            return Poll::Ready(answer.map(|answer| outgoing(answer, &this.bounds)));
        }
        if this.retired.as_mut().poll(cx).is_ready() {
            this.answering = None;
            return Poll::Ready(Err(Bounds::retired()));
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(answering) = self.answering.take() else {
            return;
        };
        self.bounds.go_on(async move {
            if let Ok(answer) = answering.await {
                drain(answer.body.into_stream()).await;
            }
        });
    }
}

async fn drain(mut body: BodyStream) {
    while let Some(Ok(_)) = body.next().await {}
}

fn outgoing(mut answer: Response, bounds: &Bounds) -> Response {
    if answer.body.is_stream() {
        let length = answer.body.length();
        let stream = Going {
            body: Some(answer.body.into_stream()),
            retired: Box::pin(bounds.retired.clone().cancelled_owned()),
            bounds: bounds.clone(),
        };
        answer.body = Body::stream(Box::pin(stream), length);
    }
    answer
}

/// A body on its way, as [`Waiting`] is a head.
struct Going {
    body: Option<BodyStream>,
    retired: Pin<Box<WaitForCancellationFutureOwned>>,
    bounds: Bounds,
}

impl Stream for Going {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(item) = body.as_mut().poll_next(cx) {
            if !matches!(item, Some(Ok(_))) {
                this.body = None;
            }
            return Poll::Ready(item);
        }
        if this.retired.as_mut().poll(cx).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Err(Bounds::retired())));
        }
        Poll::Pending
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.bounds.go_on(drain(body));
        }
    }
}
