//! A loaded filter.

mod emitted;

use std::ffi::c_void;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use self::emitted::Emitted;
use super::handler::{Running, Task};
use super::plugin::Instance;
use super::request::RequestSide;
use crate::abi::raw::{
    EmitApi, FilterFacet, Header, Pass as RawPass, PassVtable, Rc, Str, Task as RawTask,
};
use crate::{BoxFuture, Context, End, Error, Event, Filter, Follows, Pass, Request, Response};

/// See the module.
pub(super) struct ImportedFilter {
    instance: Arc<Instance>,
    facet: &'static FilterFacet,
    follows: Follows,
}

impl ImportedFilter {
    pub(super) fn new(instance: Arc<Instance>, facet: &'static FilterFacet) -> Self {
        // SAFETY: the instance is there.
        let follows = match unsafe { (facet.follows)(instance.raw()) } {
            0 => Follows::Nothing,
            2 => Follows::Chunks,
            3 => Follows::Events,
            _ => Follows::Head,
        };
        Self {
            instance,
            facet,
            follows,
        }
    }
}

impl Filter for ImportedFilter {
    fn follows(&self) -> Follows {
        self.follows
    }

    fn begin(&self, cx: &Context) -> Box<dyn Pass> {
        Box::new(ImportedPass {
            instance: Arc::clone(&self.instance),
            facet: self.facet,
            cx: cx.clone(),
            begun: None,
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.instance.probe()
    }

    fn drain(&self) {
        self.instance.drain();
    }
}

struct ImportedPass {
    begun: Option<Begun>,
    instance: Arc<Instance>,
    facet: &'static FilterFacet,
    cx: Context,
}

/// A pass that has seen its request. The request goes after the pass, which may still use it.
struct Begun {
    pass: Arc<Passing>,
    request: Arc<RequestSide>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.request.hold_on();
        self.request.end();
    }
}

/// The plugin's pass, dropped once.
struct Passing {
    raw: RawPass,
    _request: Arc<RequestSide>,
    _instance: Arc<Instance>,
}

// SAFETY: the contract lets a pass move between threads, and its functions are called one at a time.
unsafe impl Send for Passing {}
// SAFETY: as above; who shares it does not use it while another does.
unsafe impl Sync for Passing {}

impl Passing {
    fn vtable(&self) -> Option<&PassVtable> {
        // SAFETY: the table is there as long as the library, which the request keeps.
        let vtable = unsafe { self.raw.vtable.as_ref() };
        vtable.filter(|vtable| vtable.size as usize >= size_of::<PassVtable>())
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(drop) = self.vtable().and_then(|vtable| vtable.drop) {
            // SAFETY: a pass is dropped once.
            unsafe { drop(self.raw.data) };
        }
    }
}

impl Pass for ImportedPass {
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        Box::pin(async move {
            // SAFETY: this pass has both, and lets the request go before them.
            let side =
                unsafe { RequestSide::new(&self.cx, &self.instance.host, take(request), true) };
            let (pass, task) = self.show(&side);
            let mut running = Running::of(task, side, &self.instance);
            let code = running.begun().await;
            if running.is_answered() || code.is_some_and(|code| code < 0) {
                // Its own answer is not shown to it.
                return running
                    .into_answer(code)
                    .map(|answer| Some(kept(answer, pass)));
            }
            let side = running.leave();
            side.give_back(request);
            self.begun = Some(Begun {
                pass,
                request: side,
            });
            Ok(None)
        })
    }

    fn head(&mut self, status: &mut StatusCode, headers: &mut HeaderMap) -> Result<(), Error> {
        let lend = |(name, value): (&HeaderName, &HeaderValue)| Header {
            name: Str::text(name.as_str()),
            value: Str::of(value.as_bytes()),
        };
        let lent: Vec<Header> = headers.iter().map(lend).collect();
        let (was, mut out) = (status.as_u16(), Emitted::default());
        self.call(&mut out, |vtable, data, emit| {
            // SAFETY: the headers are there for the call.
            vtable
                .head
                .map(|head| unsafe { head(data, was, lent.as_ptr(), lent.len(), emit) })
        })?;
        out.change(status, headers);
        Ok(())
    }

    fn chunk(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let mut emitted = Emitted::default();
        let was_called = self.call(&mut emitted, |vtable, data, emit| {
            // SAFETY: the chunk is there for the call.
            vtable
                .chunk
                .map(|call| unsafe { call(data, Str::of(&chunk), emit) })
        })?;
        if was_called {
            out.append(&mut emitted.chunks);
        } else {
            out.push(chunk);
        }
        Ok(())
    }

    fn last_chunks(&mut self, out: &mut Vec<Bytes>) -> Result<(), Error> {
        out.append(&mut self.last()?.chunks);
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Error> {
        let (json, mut emitted) = (event.data.to_string(), Emitted::default());
        emitted.is_whole = event.is_whole;
        let was_called = self.call(&mut emitted, |vtable, data, emit| {
            let (name, json) = (Str::text(&event.name), Str::text(&json));
            // SAFETY: the texts are there for the call.
            vtable
                .event
                .map(|call| unsafe { call(data, name, json, event.is_whole.into(), emit) })
        })?;
        if was_called {
            out.append(&mut emitted.events);
        } else {
            out.push(event);
        }
        Ok(())
    }

    fn last_events(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        out.append(&mut self.last()?.events);
        Ok(())
    }

    fn end(&mut self, end: &End) {
        let Some(begun) = &self.begun else {
            return;
        };
        let Some(call) = begun.pass.vtable().and_then(|vtable| vtable.end) else {
            return;
        };
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (prompt, completion) = end.usage.map_or((-1, -1), |usage| {
            (count(usage.prompt_tokens), count(usage.completion_tokens))
        });
        let status = end.status.as_u16();
        // SAFETY: the pass is there, and nobody else uses it now.
        unsafe {
            call(
                begun.pass.raw.data,
                status,
                end.is_complete.into(),
                prompt,
                completion,
            );
        };
    }
}

impl ImportedPass {
    /// Shows the request to the filter: its pass, and the task in which it looks at the request. Dropping that task does not
    /// drop the pass.
    fn show(&self, side: &Arc<RequestSide>) -> (Arc<Passing>, Task) {
        let mut raw = RawPass {
            data: std::ptr::null_mut(),
            vtable: std::ptr::null(),
        };
        // SAFETY: the instance is there, the request is held, and the place is ours.
        let code = unsafe { (self.facet.begin)(self.instance.raw(), side.raw(), &raw mut raw) };
        let pass = Passing {
            raw,
            _request: Arc::clone(side),
            _instance: Arc::clone(&self.instance),
        };
        let poll = pass.vtable().and_then(|vtable| vtable.request_poll);
        let looking = RawTask {
            data: if poll.is_some() {
                raw.data
            } else {
                std::ptr::null_mut()
            },
            poll,
            drop: None,
        };
        let task = Task::new(looking, code);
        (Arc::new(pass), task)
    }

    /// Calls a function of the pass; false where there is none to call.
    fn call(
        &self,
        out: &mut Emitted,
        work: impl FnOnce(&PassVtable, *mut c_void, *const EmitApi) -> Option<Rc>,
    ) -> Result<bool, Error> {
        let Some(begun) = &self.begun else {
            return Ok(false);
        };
        let Some(vtable) = begun.pass.vtable() else {
            return Ok(false);
        };
        let emit = out.api();
        match work(vtable, begun.pass.raw.data, &raw const emit) {
            None => Ok(false),
            Some(code) if code < 0 => Err(begun.request.error(code)),
            Some(_) => Ok(true),
        }
    }

    fn last(&self) -> Result<Emitted, Error> {
        let mut emitted = Emitted::default();
        self.call(&mut emitted, |vtable, data, emit| {
            // SAFETY: `emit` is there for the call.
            vtable.last.map(|last| unsafe { last(data, emit) })
        })?;
        Ok(emitted)
    }
}

/// An answer of the filter's own, whose pass lives as long as the body that it writes.
fn kept(answer: Response, pass: Arc<Passing>) -> Response {
    if !answer.body.is_stream() {
        return answer;
    }
    let length = answer.body.length();
    Response {
        body: crate::Body::stream(Box::pin(Kept(answer.body, pass)), length),
        ..answer
    }
}

struct Kept(
    crate::Body,
    #[expect(dead_code, reason = "held, not used")] Arc<Passing>,
);

impl futures_core::Stream for Kept {
    type Item = Result<Bytes, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(cx)
    }
}

/// The request, to be shown to the filter.
fn take(request: &mut Request) -> Request {
    Request {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: std::mem::take(&mut request.headers),
        body: std::mem::take(&mut request.body),
        max_body: request.max_body,
    }
}
