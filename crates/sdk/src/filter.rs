//! A filter stands between clients and the handler of a route: it sees and changes the request before the handler does, and
//! the answer before the client does.

mod texts;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use aurora_openai::chat::Usage;

use crate::{BoxFuture, Context, Error, Request, Response};

/// Looks at all requests of one route. Shared by all of them.
///
/// Filters stand around the handler in the order written: the first one sees the request first and the answer last.
pub trait Filter: Send + Sync + 'static {
    /// How closely the answer is followed.
    fn follows(&self) -> Follows {
        Follows::Head
    }

    /// Begins with one request.
    fn begin(&self, cx: &Context) -> Box<dyn Pass>;

    /// As [`crate::Handler::probe`].
    fn probe(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// As [`crate::Handler::drain`].
    fn drain(&self) {}
}

/// How closely a filter follows the answer. What is not followed costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Not at all.
    Nothing,
    /// Its head, and how it ended.
    Head,
    /// Its head, every piece of its body as bytes, and how it ended. Pieces have no meaning: they begin and end anywhere.
    Chunks,
    /// Its head, every event of an event stream, or the JSON of a whole answer as one event, and how it ended with the usage.
    /// Bodies of other types are passed on untouched.
    Events,
}

/// One request on its way through one filter, and its answer on the way back.
///
/// An error ends the answer: before its head as an error answer, after it as an error event.
pub trait Pass: Send {
    /// The request, before the handler sees it. `Some` answers in the handler's place; the filters before this one still see
    /// that answer.
    ///
    /// # Errors
    /// What the client is told instead of an answer.
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        let _ = request;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The head of the answer.
    ///
    /// # Errors
    /// What the client is told instead of the answer.
    fn head(&mut self, status: &mut StatusCode, headers: &mut HeaderMap) -> Result<(), Error> {
        let (_, _) = (status, headers);
        Ok(())
    }

    /// A piece of the body; what is pushed to `out` goes on in its place.
    ///
    /// # Errors
    /// Why the answer must end here.
    fn chunk(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        out.push(chunk);
        Ok(())
    }

    /// The body is over; what is pushed to `out` goes after it.
    ///
    /// # Errors
    /// Why the answer must not end well.
    fn last_chunks(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }

    /// An event of the body; what is pushed to `out` goes on in its place.
    ///
    /// # Errors
    /// Why the answer must end here.
    fn event(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Error> {
        out.push(event);
        Ok(())
    }

    /// The events are over; what is pushed to `out` goes after them, before the end marker of the stream.
    ///
    /// # Errors
    /// Why the answer must not end well.
    fn last_events(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        let _ = out;
        Ok(())
    }

    /// The answer has ended, or the client has gone. Called once for every request that the handler or a later filter
    /// answered.
    fn end(&mut self, end: &End) {
        let _ = end;
    }
}

/// One event of an answer: a chat chunk, an event of the Responses API, or a whole JSON answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The name of the event; empty for chat chunks and whole answers.
    pub name: String,
    /// The data.
    pub data: Value,
    /// Whether it is the whole answer of a request that was not streamed.
    pub is_whole: bool,
}

impl Event {
    /// Every text that the model says in this event, to look at or to change: `content`, `refusal` and reasoning of chat
    /// answers and chunks, texts and text deltas of the Responses API, of the Messages API and of streamed transcripts. In
    /// the order said; arguments of tool calls are not texts.
    pub fn texts(&mut self) -> Vec<&mut String> {
        let mut texts = Vec::new();
        texts::of(&mut self.data, &mut texts);
        texts
    }

    /// The token counts that it reports.
    pub fn usage(&self) -> Option<Usage> {
        let usage = self
            .data
            .get("usage")
            .or_else(|| self.data.get("response")?.get("usage"))?;
        texts::usage(usage)
    }
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The status that the client got.
    pub status: StatusCode,
    /// Whether it went out to its end.
    pub is_complete: bool,
    /// Token counts, where the filter follows events and the answer had them.
    pub usage: Option<Usage>,
}
