//! What stands around a filter: a client before it, and a handler behind.

use aurora_openai::sse::{self, DONE, Decoder};
use bytes::Bytes;
use serde_json::Value;

use super::services::{not_built, options_of};
use super::{Answer, FakeHost};
use crate::{Body, End, Error, Event, Filter, Follows, Pass, Plugin, Request, Response};

/// What became of a request and its answer on their way through a filter.
#[derive(Debug)]
pub struct Passed {
    /// The request as the handler sees it; `None` where the filter answered in its place.
    pub request: Option<Request>,
    /// The answer as the client sees it.
    pub answer: Answer,
}

impl FakeHost {
    /// Builds the filter of `plugin` with `options`, and lets `request` and the handler's `response` pass.
    ///
    /// # Errors
    /// What the client reads instead of an answer. An option that the plugin refuses is told by the code `build_failed`.
    #[track_caller]
    pub fn filter(
        &self,
        plugin: &dyn Plugin,
        options: Value,
        request: impl Into<Request>,
        response: Response,
    ) -> Result<Passed, Error> {
        let filter = plugin.build_filter(&self.plugin_host(), &options_of(options)?);
        self.pass(filter.map_err(not_built)?.as_ref(), request, response)
    }

    /// Lets `request` and the handler's `response` pass through `filter`.
    ///
    /// # Errors
    /// What the client reads instead of an answer.
    #[track_caller]
    pub fn pass(
        &self,
        filter: &dyn Filter,
        request: impl Into<Request>,
        response: Response,
    ) -> Result<Passed, Error> {
        let (cx, request) = (self.context(), request.into());
        let mut pass = filter.begin(&cx);
        let passing = through(pass.as_mut(), filter.follows(), request, response);
        self.wait(passing)
    }
}

async fn through(
    pass: &mut dyn Pass,
    follows: Follows,
    mut request: Request,
    mut response: Response,
) -> Result<Passed, Error> {
    if let Some(own) = pass.request(&mut request).await? {
        return Ok(Passed {
            request: None,
            answer: Answer::of(own).await,
        });
    }
    let mut end = End {
        status: response.status,
        is_complete: false,
        usage: None,
    };
    if follows != Follows::Nothing
        && let Err(error) = pass.head(&mut response.status, &mut response.headers)
    {
        end.status = error.status();
        pass.end(&end);
        return Err(error);
    }
    end.status = response.status;
    let (content_type, mut written) = (response.content_type(), Vec::new());
    let broken = body(pass, follows, &content_type, &mut response.body)
        .follow(&mut written, &mut end)
        .await
        .err();
    end.is_complete = broken.is_none();
    pass.end(&end);
    let answer = Answer {
        status: response.status,
        headers: response.headers.into_map(),
        body: written.into(),
        broken,
    };
    Ok(Passed {
        request: Some(request),
        answer,
    })
}

/// A body on its way through a pass.
struct Following<'a> {
    pass: &'a mut dyn Pass,
    body: &'a mut Body,
    form: Form,
}

/// How a filter sees a body.
enum Form {
    Bytes,
    Pieces,
    Events,
    Whole,
}

fn body<'a>(
    pass: &'a mut dyn Pass,
    follows: Follows,
    content_type: &str,
    body: &'a mut Body,
) -> Following<'a> {
    let form = match follows {
        Follows::Chunks => Form::Pieces,
        Follows::Events if content_type == "text/event-stream" => Form::Events,
        Follows::Events if content_type == "application/json" => Form::Whole,
        Follows::Events | Follows::Head | Follows::Nothing => Form::Bytes,
    };
    Following { pass, body, form }
}

impl Following<'_> {
    async fn follow(mut self, written: &mut Vec<u8>, end: &mut End) -> Result<(), Error> {
        if matches!(self.form, Form::Whole) {
            let whole = std::mem::take(self.body).read_all(u64::MAX).await?;
            return self.whole(&whole, written, end);
        }
        let mut decoder = Decoder::new(usize::MAX);
        let mut is_done = false;
        while let Some(piece) = self.body.chunk().await {
            let piece = piece?;
            match self.form {
                Form::Bytes | Form::Whole => written.extend_from_slice(&piece),
                Form::Pieces => self.piece(piece, written)?,
                Form::Events => {
                    // Nothing is too large for it.
                    decoder.feed(&piece).unwrap_or_default();
                    is_done |= self.events(&mut decoder, written, end)?;
                }
            }
        }
        self.last(written)?;
        if is_done {
            written.extend_from_slice(&sse::event(None, DONE));
        }
        Ok(())
    }

    fn piece(&mut self, piece: Bytes, written: &mut Vec<u8>) -> Result<(), Error> {
        let mut out = Vec::new();
        self.pass.chunk(piece, &mut out)?;
        written.extend(out.concat());
        Ok(())
    }

    /// Whether the stream's end marker was there.
    fn events(
        &mut self,
        decoder: &mut Decoder,
        written: &mut Vec<u8>,
        end: &mut End,
    ) -> Result<bool, Error> {
        while let Some(event) = decoder.next_event() {
            if event.data == DONE {
                return Ok(true);
            }
            let event = Event {
                name: event.name,
                data: serde_json::from_str(&event.data).map_err(Error::internal)?,
                is_whole: false,
            };
            end.usage = event.usage().or(end.usage.take());
            let mut out = Vec::new();
            self.pass.event(event, &mut out)?;
            write(&out, written);
        }
        Ok(false)
    }

    fn whole(&mut self, json: &[u8], written: &mut Vec<u8>, end: &mut End) -> Result<(), Error> {
        let event = Event {
            name: String::new(),
            data: serde_json::from_slice(json).map_err(Error::internal)?,
            is_whole: true,
        };
        end.usage = event.usage();
        let mut out = Vec::new();
        self.pass.event(event, &mut out)?;
        self.pass.last_events(&mut out)?;
        for event in out {
            written.extend_from_slice(event.data.to_string().as_bytes());
        }
        Ok(())
    }

    fn last(&mut self, written: &mut Vec<u8>) -> Result<(), Error> {
        match self.form {
            Form::Pieces => {
                let mut out = Vec::new();
                self.pass.last_chunks(&mut out)?;
                written.extend(out.concat());
            }
            Form::Events => {
                let mut out = Vec::new();
                self.pass.last_events(&mut out)?;
                write(&out, written);
            }
            Form::Bytes | Form::Whole => {}
        }
        Ok(())
    }
}

fn write(events: &[Event], written: &mut Vec<u8>) {
    for event in events {
        let name = Some(event.name.as_str()).filter(|name| !name.is_empty());
        written.extend_from_slice(&sse::event(name, &event.data.to_string()));
    }
}
