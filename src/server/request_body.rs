//! A client's body as it arrives: bounded in size and in silence.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aurora_sdk::{Body, Error, ErrorKind, Origin};
use bytes::Bytes;
use futures_core::Stream;
use http_body::Body as _;
use salvo::http::ReqBody;
use tokio::time::{Instant, Sleep};

/// `body` with bounds; `length` is the announced one.
///
/// # Errors
/// [`Error::too_large`] where more than `max` bytes are announced: nothing of them is read then.
pub(super) fn bounded(
    body: ReqBody,
    length: Option<u64>,
    max: u64,
    gap: Duration,
) -> Result<Body, Error> {
    if body.is_end_stream() || length == Some(0) {
        return Ok(Body::empty());
    }
    if length.is_some_and(|length| length > max) {
        linger(body);
        return Err(Error::too_large(max));
    }
    let stream = Arriving {
        body,
        max,
        taken: 0,
        gap,
        heard: Instant::now(),
        timer: None,
    };
    Ok(Body::stream(Box::pin(stream), length))
}

/// How long the rest of a body that nobody wants is read. A connection that is closed while its client still sends is reset, and the
/// client may never see why.
const LINGER: Duration = Duration::from_secs(2);

fn linger(mut body: ReqBody) {
    if body.is_end_stream() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    // It ends by itself, and holds up nobody.
    drop(runtime.spawn(tokio::time::timeout(LINGER, async move {
        while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
    })));
}

impl Drop for Arriving {
    fn drop(&mut self) {
        linger(std::mem::take(&mut self.body));
    }
}

struct Arriving {
    body: ReqBody,
    max: u64,
    taken: u64,
    gap: Duration,
    heard: Instant,
    /// Set when the client is first waited for: most bodies are there by then.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream for Arriving {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.heard = Instant::now();
                    // Trailers mean nothing here.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    self.taken = self.taken.saturating_add(data.len() as u64);
                    if self.taken > self.max {
                        return Poll::Ready(Some(Err(Error::too_large(self.max))));
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(broken(error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            let due = self.heard + self.gap;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            ready!(timer.as_mut().poll(cx));
            if due <= Instant::now() {
                return Poll::Ready(Some(Err(too_slow(self.gap))));
            }
            timer.as_mut().reset(due);
        }
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        Origin::Downstream,
        "request_body_broken",
        "the request body broke off or was framed wrongly",
    )
    .with_source(error)
}

fn too_slow(gap: Duration) -> Error {
    Error::new(
        ErrorKind::RequestTimeout,
        Origin::Downstream,
        "request_body_timeout",
        format!(
            "nothing of the request body came for {} seconds",
            gap.as_secs_f32()
        ),
    )
}
