//! From a request to its answer: the task of a handler.

use std::any::Any;
use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;

use super::body::COPIED;
use super::request::{Borrowed, Lent, RemoteRequest};
use super::task;
use crate::abi::raw::{Buf, E_STATE, Header, OK, PENDING, Rc, Str, Task};
use crate::abi::waker;
use crate::{Body, BoxFuture, Context, Error, Handler, Response};

/// Small pieces are joined up to so many bytes ...
const JOINED: usize = 4096;

/// ... and so many pieces, so that one that costs time is not waited for by many.
const MAX_JOINED: u32 = 64;

/// Headers that need no memory of their own on the way.
const FEW: usize = 16;

/// The task that runs a handler and sends what it answers.
///
/// # Safety
/// The instance of `handler` is destroyed later than the task is dropped.
pub(super) unsafe fn serve(handler: &dyn Handler, lent: Lent) -> Task {
    // SAFETY: the work goes before the request.
    let request = unsafe { lent.borrow() };
    let serving = Serving {
        work: Work::New,
        // SAFETY: the caller vouches for it.
        handler: unsafe { &*std::ptr::from_ref(handler) },
        cx: request.context(),
        request,
    };
    task::inside(lent, serving)
}

/// A handler at work. By hand and not an `async fn`, because that would be large to move to its place.
struct Serving {
    /// The first to go: it borrows the others.
    work: Work,
    handler: &'static dyn Handler,
    cx: ManuallyDrop<Context>,
    request: Borrowed,
}

enum Work {
    New,
    Handling(BoxFuture<'static, Result<Response, Error>>),
    Streaming(BoxFuture<'static, Rc>),
}

impl Future for Serving {
    type Output = Rc;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Rc> {
        // SAFETY: what the work borrows is not moved.
        let this = unsafe { self.get_unchecked_mut() };
        if let Work::New = this.work {
            // SAFETY: the work goes before its context.
            let context = unsafe { &*std::ptr::from_ref::<Context>(&this.cx) };
            this.work = Work::Handling(this.handler.handle(context, this.request.request()));
        }
        if let Work::Handling(handling) = &mut this.work {
            let code = match &mut ready!(handling.as_mut().poll(cx)) {
                Ok(response) => match respond_now(&this.request, response, cx) {
                    Ok(code) => code,
                    Err(body) => {
                        // SAFETY: the work goes before its request.
                        let request: &'static RemoteRequest =
                            unsafe { &*std::ptr::from_ref::<RemoteRequest>(&this.request) };
                        this.work = Work::Streaming(Box::pin(stream(request, body)));
                        return this.poll_stream(cx);
                    }
                },
                Err(error) => this.request.fail(error),
            };
            return Poll::Ready(code);
        }
        this.poll_stream(cx)
    }
}

impl Serving {
    fn poll_stream(&mut self, cx: &mut TaskContext<'_>) -> Poll<Rc> {
        match &mut self.work {
            Work::Streaming(streaming) => streaming.as_mut().poll(cx),
            Work::New | Work::Handling(_) => Poll::Ready(E_STATE),
        }
    }
}

/// Sends a whole answer.
pub(super) async fn respond(request: &RemoteRequest, mut response: Response) -> Rc {
    match poll_fn(|cx| Poll::Ready(respond_now(request, &mut response, cx))).await {
        Ok(code) => code,
        Err(body) => stream(request, body).await,
    }
}

/// Sends as much of an answer as can be sent without waiting: the code, or the body that is left. The answer is of no use then;
/// it comes by reference because it is large to move.
fn respond_now(
    request: &RemoteRequest,
    response: &mut Response,
    cx: &mut TaskContext<'_>,
) -> Result<Rc, Body> {
    let code = head(request, response);
    if code != OK {
        return Ok(code);
    }
    if let Some(mut piece) = response.body.take_bytes() {
        if piece.is_empty() {
            return Ok(OK);
        }
        return match write(request, &mut piece, cx) {
            Poll::Ready(code) => Ok(code),
            Poll::Pending => Err(piece.into()),
        };
    }
    let fetched = std::mem::take(&mut response.body).into_fetched()?;
    let forward = request.host().tables.request.resp_forward;
    // SAFETY: the request is held; the exchange is moved with all that it has left.
    Ok(fetched.forward(|fetch| unsafe { forward(request.req, fetch) }))
}

async fn stream(request: &RemoteRequest, mut body: Body) -> Rc {
    let mut joined = BytesMut::new();
    loop {
        let (mut piece, end) = match poll_fn(|cx| ready_pieces(&mut body, &mut joined, cx)).await {
            Joined::More(piece) => (piece, None),
            Joined::Last(piece, end) => (piece, Some(end)),
        };
        if !piece.is_empty() {
            let code = poll_fn(|cx| write(request, &mut piece, cx)).await;
            if code != OK {
                return code;
            }
        }
        match end {
            None => {}
            Some(End::Well) => return OK,
            Some(End::Failed(error)) => return request.fail(&error),
            Some(End::Panicked(panic)) => resume_unwind(panic),
        }
    }
}

/// Pieces that were there at the same moment.
enum Joined {
    /// There may be more.
    More(Bytes),
    /// The body is over.
    Last(Bytes, End),
}

/// How a body ended.
enum End {
    Well,
    Failed(Error),
    /// What came before it goes out first.
    Panicked(Box<dyn Any + Send>),
}

/// Takes what is there now, small pieces joined up to a bound, so that they cross at once; never waits for more.
fn ready_pieces(body: &mut Body, joined: &mut BytesMut, cx: &mut TaskContext<'_>) -> Poll<Joined> {
    let Some(first) = ready!(Pin::new(&mut *body).poll_next(cx)) else {
        return Poll::Ready(Joined::Last(Bytes::new(), End::Well));
    };
    let first = match first {
        Ok(first) if first.len() > JOINED / 4 => return Poll::Ready(Joined::More(first)),
        Ok(first) => first,
        Err(error) => return Poll::Ready(Joined::Last(Bytes::new(), End::Failed(error))),
    };
    let mut count = 1;
    let mut alone = Some(first);
    loop {
        if count >= MAX_JOINED || joined.len() >= JOINED {
            return Poll::Ready(Joined::More(taken(alone, joined)));
        }
        let next = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *body).poll_next(cx)));
        let end = match next {
            Ok(Poll::Pending) => return Poll::Ready(Joined::More(taken(alone, joined))),
            Ok(Poll::Ready(None)) => End::Well,
            Ok(Poll::Ready(Some(Err(error)))) => End::Failed(error),
            Err(panic) => End::Panicked(panic),
            Ok(Poll::Ready(Some(Ok(next)))) => {
                if let Some(first) = alone.take() {
                    joined.extend_from_slice(&first);
                }
                joined.extend_from_slice(&next);
                count += 1;
                continue;
            }
        };
        return Poll::Ready(Joined::Last(taken(alone, joined), end));
    }
}

/// The only piece, or all that were joined.
fn taken(alone: Option<Bytes>, joined: &mut BytesMut) -> Bytes {
    alone.unwrap_or_else(|| joined.split().freeze())
}

fn head(request: &RemoteRequest, response: &Response) -> Rc {
    let lend = |(name, value): (&http::HeaderName, &http::HeaderValue)| Header {
        name: Str::text(name.as_str()),
        value: Str::of(value.as_bytes()),
    };
    let status = response.status.as_u16();
    let send = |headers: &[Header]| {
        // SAFETY: the request is held, and the headers are there for the call.
        unsafe {
            (request.host().tables.request.resp_head)(
                request.req,
                status,
                headers.as_ptr(),
                headers.len(),
            )
        }
    };
    if let Some(only) = response.headers.only() {
        return send(&[lend(only)]);
    }
    let count = response.headers.len();
    let mut few = [Header {
        name: Str::EMPTY,
        value: Str::EMPTY,
    }; FEW];
    match few.get_mut(..count) {
        Some(few) => {
            for (place, header) in few.iter_mut().zip(response.headers.iter()) {
                *place = lend(header);
            }
            send(few)
        }
        None => send(&response.headers.iter().map(lend).collect::<Vec<_>>()),
    }
}

/// Writes a piece; nothing of it is taken until all of it is.
fn write(request: &RemoteRequest, piece: &mut Bytes, cx: &mut TaskContext<'_>) -> Poll<Rc> {
    let (api, lent) = (request.host().tables.request, waker::lend(cx.waker()));
    let code = if piece.len() <= COPIED {
        // SAFETY: the request is held; waker and piece are there for the call.
        unsafe { (api.resp_write)(request.req, &raw const lent, Str::of(piece)) }
    } else {
        let mut buf = Buf::owning(std::mem::take(piece));
        // SAFETY: the request is held; waker and buffer are there for the call.
        let code = unsafe { (api.resp_write_buf)(request.req, &raw const lent, &raw mut buf) };
        if code != OK {
            // SAFETY: it was not taken, so it is still ours.
            *piece = unsafe { buf.take_back() };
        }
        code
    };
    match code {
        PENDING => Poll::Pending,
        code => Poll::Ready(code),
    }
}
