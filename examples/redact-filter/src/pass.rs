//! One request and its answer.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use aurora_sdk::{
    Body, BodyStream, BoxFuture, End, Error, ErrorKind, Event, Origin, Pass, Request, Response,
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use serde_json::Value;

use crate::Inner;
use crate::mask::{Masks, Tail};
use crate::pieces::{self, Piece};
use crate::walk;

/// The most texts of one answer that may be under way at once.
const MAX_OPEN: usize = 1024;

/// What takes about a millisecond to look through, bytes. Nothing longer may be done where requests are served.
const LONG: usize = 32 * 1024;

pub(crate) struct Redacting {
    inner: Arc<Inner>,
    /// Texts that have begun, in that order.
    open: Vec<Open>,
    /// The number of the next event, where the API numbers them: some are left out here and some added.
    next_number: Option<u64>,
    count: u64,
}

/// A text that has begun.
struct Open {
    key: String,
    tail: Tail,
    /// An event for what is held back, where no other comes, and where the text stands in it.
    event: Event,
    pointer: String,
}

impl Redacting {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            open: Vec::new(),
            next_number: None,
            count: 0,
        }
    }

    async fn read(&self, request: &mut Request) -> Result<(), Error> {
        let max = request.max_body;
        let mut body = std::mem::take(&mut request.body);
        let Some(start) = start(&mut body, max).await? else {
            return Ok(());
        };
        // What counts is what it is, not what it is called: `curl -d` calls JSON a form.
        if !is_json(&start) {
            let length = body.length();
            request.body = Body::stream(Box::pin(Rest(Some(start), body.into_stream())), length);
            return Ok(());
        }
        let bytes = all(start, body, max).await?;
        let (bytes, count) = if bytes.len() > LONG {
            offloaded(&self.inner, bytes).await?
        } else {
            masked(&self.inner.masks, bytes)
        };
        request.body = bytes.into();
        self.inner.record(count, "request");
        Ok(())
    }

    /// Passes a piece on, as far as it can be.
    fn piece(&mut self, event: &mut Event, piece: &Piece, is_last: bool) -> Result<(), Error> {
        let masks = &self.inner.masks;
        let found = self.open.iter().position(|open| open.key == piece.key);
        let at = match found {
            Some(at) => at,
            None if self.open.len() == MAX_OPEN => return Err(too_many()),
            None => {
                let (data, pointer) = pieces::bare(&event.data, piece);
                self.open.push(Open {
                    key: piece.key.clone(),
                    tail: Tail::default(),
                    event: Event {
                        data,
                        ..event.clone()
                    },
                    pointer,
                });
                self.open.len() - 1
            }
        };
        let Some(open) = self.open.get_mut(at) else {
            return Ok(());
        };
        let mut text = open.tail.push(masks, &piece.text, &mut self.count);
        if is_last {
            text.push_str(&open.tail.finish(masks, &mut self.count));
        }
        if let Some(place) = event.data.pointer_mut(&piece.pointer) {
            *place = text.into();
        }
        Ok(())
    }

    /// Ends the texts whose keys begin with one of `ended`; what was held back of them goes on.
    fn release(&mut self, ended: &[String], out: &mut Vec<Event>) {
        let is_ended = |open: &mut Open| ended.iter().any(|start| open.key.starts_with(start));
        let over: Vec<Open> = self.open.extract_if(.., is_ended).collect();
        for mut open in over {
            let text = open.tail.finish(&self.inner.masks, &mut self.count);
            if !text.is_empty()
                && let Some(place) = open.event.data.pointer_mut(&open.pointer)
            {
                *place = text.into();
                self.emit(open.event, out);
            }
        }
    }

    fn emit(&mut self, mut event: Event, out: &mut Vec<Event>) {
        if let Some(number) = event.data.get_mut("sequence_number") {
            let next = self.next_number.or(number.as_u64()).unwrap_or(0);
            *number = next.into();
            self.next_number = Some(next + 1);
        }
        out.push(event);
    }
}

impl Pass for Redacting {
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        Box::pin(async move {
            self.read(request).await?;
            Ok(None)
        })
    }

    fn event(&mut self, mut event: Event, out: &mut Vec<Event>) -> Result<(), Error> {
        let pieces = if event.is_whole {
            Vec::new()
        } else {
            pieces::take(&mut event.data)
        };
        walk::answer(&mut event.data, &self.inner.masks, &mut self.count);
        let ended = pieces::ended(&event.data);
        for piece in &pieces {
            let is_last = ended.iter().any(|start| piece.key.starts_with(start));
            self.piece(&mut event, piece, is_last)?;
        }
        self.release(&ended, out);
        let is_held = |piece: &Piece| {
            let place = event.data.pointer(&piece.pointer);
            place.and_then(Value::as_str) == Some("")
        };
        let is_held = !pieces.is_empty() && pieces.iter().all(is_held);
        if !(is_held && pieces::says_nothing(&event.data)) {
            self.emit(event, out);
        }
        Ok(())
    }

    fn last_events(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        self.release(&[String::new()], out);
        Ok(())
    }

    fn end(&mut self, _: &End) {
        self.inner.record(self.count, "answer");
    }
}

/// The first bytes of `body` that are no blanks alone.
async fn start(body: &mut Body, max: u64) -> Result<Option<Bytes>, Error> {
    let mut start = BytesMut::new();
    while let Some(chunk) = body.chunk().await.transpose()? {
        start.extend_from_slice(&chunk);
        if start.len() as u64 > max {
            return Err(Error::too_large(max));
        }
        if !start.trim_ascii().is_empty() {
            return Ok(Some(start.freeze()));
        }
    }
    Ok(None)
}

fn is_json(start: &[u8]) -> bool {
    matches!(start.trim_ascii_start().first(), Some(b'{' | b'['))
}

async fn all(start: Bytes, rest: Body, max: u64) -> Result<Bytes, Error> {
    let rest = rest.read_all(max).await?;
    if rest.is_empty() {
        return Ok(start);
    }
    let both = [start, rest].concat();
    if both.len() as u64 > max {
        return Err(Error::too_large(max));
    }
    Ok(both.into())
}

/// The request with its texts masked, and how many places were.
fn masked(masks: &Masks, bytes: Bytes) -> (Bytes, u64) {
    let mut count = 0;
    // What cannot be read is for the handler to refuse.
    let Ok(mut body) = serde_json::from_slice::<Value>(&bytes) else {
        return (bytes, count);
    };
    walk::request(&mut body, masks, &mut count);
    let masked = (count > 0).then(|| body.to_string().into());
    (masked.unwrap_or(bytes), count)
}

/// As [`masked`], on a thread for that.
async fn offloaded(inner: &Arc<Inner>, bytes: Bytes) -> Result<(Bytes, u64), Error> {
    let result = Arc::new(OnceLock::new());
    let (its_inner, its_result) = (Arc::clone(inner), Arc::clone(&result));
    let work = move || {
        its_result.get_or_init(|| masked(&its_inner.masks, bytes));
    };
    inner.host.offload(Box::new(work)).await?;
    let result = result.get().cloned();
    result.ok_or_else(|| Error::internal("what was offloaded has no result"))
}

/// A body, and what had been read of it before.
struct Rest(Option<Bytes>, BodyStream);

impl Stream for Rest {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.take() {
            Some(start) => Poll::Ready(Some(Ok(start))),
            None => self.1.as_mut().poll_next(cx),
        }
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::BadGateway,
        Origin::Upstream,
        "upstream_error",
        format!(
            "the upstream's answer has more than {MAX_OPEN} texts at once, which filter `redact` does not follow"
        ),
    )
}
