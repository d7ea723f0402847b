//! A fast upstream: chat answers, event streams by marker, a sink for uploads and a source of downloads.
//!
//! `mock listen=127.0.0.1:PORT`
#![expect(
    clippy::disallowed_methods,
    reason = "a program that is ended from outside; its threads may sleep"
)]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bench_compare::{DONE, Pace, Stream, argument, chat_answer, event};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep_until};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(argument::<String>("listen")).await?;
    let chat = chat_answer();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let chat = chat.clone();
        let service = service_fn(move |request| answer(request, chat.clone()));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service),
        );
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, chat: Bytes) -> Result<Answer, hyper::Error> {
    let download = request.uri().path().strip_prefix("/v1/download/");
    if let Some(bytes) = download.and_then(|bytes| bytes.parse().ok()) {
        return Ok(with_type(
            "application/octet-stream",
            Zeros { left: bytes }.boxed(),
        ));
    }
    if request.uri().path() == "/v1/upload" {
        let bytes = swallow(request.into_body()).await?;
        let answer = Full::new(Bytes::from(format!("{{\"bytes\":{bytes}}}")));
        return Ok(with_type("application/json", answer.boxed()));
    }
    let body = request.into_body().collect().await?.to_bytes();
    Ok(match Stream::find(&body) {
        Some(stream) => with_type("text/event-stream", Events::new(stream).boxed()),
        None => with_type("application/json", Full::new(chat).boxed()),
    })
}

fn with_type(content_type: &'static str, body: BoxBody<Bytes, Infallible>) -> Answer {
    let length = body.size_hint().exact();
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response
}

async fn swallow(mut body: Incoming) -> Result<usize, hyper::Error> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(bytes)
}

/// Zeros in pieces of 64 KiB.
struct Zeros {
    left: u64,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
        let length = usize::try_from(self.left)
            .unwrap_or(PIECE.len())
            .min(PIECE.len());
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE[..length])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The events of one stream, each in a piece of its own, then the end marker.
struct Events {
    stream: Stream,
    next: u64,
    ended: bool,
    pause: Pause,
}

/// What is waited for before the next event.
enum Pause {
    Nothing,
    /// hyper writes what it has whenever a body has nothing for it.
    Write {
        written: bool,
    },
    Until(Pin<Box<Sleep>>, Duration),
}

impl Events {
    fn new(stream: Stream) -> Self {
        let pause = match stream.pace {
            Pace::Joined => Pause::Nothing,
            Pace::Flushed => Pause::Write { written: true },
            Pace::Every(milliseconds) => {
                let gap = Duration::from_millis(milliseconds);
                Pause::Until(Box::pin(sleep_until(Instant::now())), gap)
            }
        };
        Self {
            stream,
            next: 0,
            ended: false,
            pause,
        }
    }
}

impl Pause {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Nothing => {}
            Self::Write { written } => {
                *written = !*written;
                if *written {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            Self::Until(sleep, gap) => {
                ready!(sleep.as_mut().poll(cx));
                let due = sleep.deadline() + *gap;
                sleep.as_mut().reset(due);
            }
        }
        Poll::Ready(())
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if this.next == this.stream.count {
            this.ended = true;
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(DONE)))));
        }
        ready!(this.pause.poll(cx));
        let event = event(this.next);
        this.next += 1;
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}
