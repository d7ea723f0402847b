//! A filter as a facet: one request on its way through it, and its answer on the way back.

use std::ffi::c_void;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use aurora_openai::chat::Usage;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::request::{Borrowed, Lent, RemoteRequest, header_map};
use super::{Form, Made, response};
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{
    Buf, E_INVALID, E_STATE, E_UNSUPPORTED, EmitApi, FilterFacet, Header, Instance, OK, PENDING,
    Pass as RawPass, PassVtable, Rc, Req, Str, Waker,
};
use crate::abi::waker;
use crate::{Body, BoxFuture, End, Error, Event, Follows, Pass, Request};

/// The facet of every filter.
pub(super) static FACET: FilterFacet = FilterFacet {
    size: size::<FilterFacet>(),
    reserved: 0,
    follows,
    begin,
};

static PASS: PassVtable = PassVtable {
    size: size::<PassVtable>(),
    reserved: 0,
    request_poll: Some(request_poll),
    head: Some(head),
    chunk: Some(chunk),
    event: Some(event),
    last: Some(last),
    end: Some(end),
    drop: Some(drop_pass),
};

/// One request in the filter. While it looks at the request, the pass is inside of that work.
struct Passing {
    follows: Follows,
    pass: Option<Box<dyn Pass>>,
    looking: Option<BoxFuture<'static, (Box<dyn Pass>, Rc)>>,
    /// The last to go: the others use it.
    request: Lent,
}

unsafe extern "C" fn follows(instance: *mut Instance) -> u32 {
    // SAFETY: the host passes an instance that it has not destroyed.
    guard(0, || match unsafe { &Made::of(instance).form } {
        Form::Filter(filter) => number(filter.follows()),
        Form::Handler(_) => 0,
    })
}

fn number(follows: Follows) -> u32 {
    match follows {
        Follows::Nothing => 0,
        Follows::Head => 1,
        Follows::Chunks => 2,
        Follows::Events => 3,
    }
}

unsafe extern "C" fn begin(instance: *mut Instance, req: *mut Req, out: *mut RawPass) -> Rc {
    guarded(|| {
        // SAFETY: the host passes an instance that it has not destroyed.
        let made = unsafe { Made::of(instance) };
        let Form::Filter(filter) = &made.form else {
            return E_UNSUPPORTED;
        };
        // SAFETY: the host keeps the request and the instance until the pass is dropped.
        let Some(request) = (unsafe { RemoteRequest::lent(req, &made.host) }) else {
            return E_INVALID;
        };
        // SAFETY: the work goes before the request.
        let borrowed = unsafe { request.borrow() };
        let pass = filter.begin(&borrowed.context());
        let passing = Passing {
            follows: filter.follows(),
            pass: None,
            looking: Some(Box::pin(look(pass, borrowed))),
            request,
        };
        let begun = RawPass {
            data: Box::into_raw(Box::new(passing)).cast(),
            vtable: &raw const PASS,
        };
        // SAFETY: `out` is the host's, to be filled.
        unsafe { out.write(begun) };
        OK
    })
}

/// Shows the request to the filter, and brings back what it changed or answered.
async fn look(mut pass: Box<dyn Pass>, remote: Borrowed) -> (Box<dyn Pass>, Rc) {
    let mut request = remote.request();
    let code = match pass.request(&mut request).await {
        Ok(Some(answer)) => response::respond(&remote, answer).await,
        Ok(None) => bring_back(&remote, request)
            .await
            .unwrap_or_else(|error| remote.fail(&error)),
        Err(error) => remote.fail(&error),
    };
    (pass, code)
}

async fn bring_back(remote: &RemoteRequest, mut request: Request) -> Result<Rc, Error> {
    let api = remote.host().tables.request;
    if !remote.is_head_of(&request) {
        let lend = |(name, value): (&http::HeaderName, &http::HeaderValue)| Header {
            name: Str::text(name.as_str()),
            value: Str::of(value.as_bytes()),
        };
        let headers: Vec<Header> = request.headers.iter().map(lend).collect();
        let (path, query) = (
            Str::text(&request.path),
            request.query.as_deref().map_or(Str::EMPTY, Str::text),
        );
        // SAFETY: the request is held, and the texts are there for the call.
        let code =
            unsafe { (api.set_head)(remote.req, path, query, headers.as_ptr(), headers.len()) };
        if code != OK {
            return Ok(code);
        }
    }
    let body = match std::mem::take(&mut request.body).into_requested(remote.req) {
        Ok(()) => return Ok(OK),
        Err(body) => body,
    };
    let mut buf = Buf::owning(read(body, request.max_body).await?);
    // SAFETY: the request is held, and the buffer is there for the call.
    let code = unsafe { (api.set_body)(remote.req, &raw mut buf) };
    if code != OK {
        // SAFETY: it was not taken, so it is still ours.
        drop(unsafe { buf.take_back() });
    }
    Ok(code)
}

async fn read(body: Body, max: u64) -> Result<Bytes, Error> {
    body.read_all(max).await
}

unsafe extern "C" fn request_poll(data: *mut c_void, waker: *const Waker) -> Rc {
    if waker.is_null() {
        return E_STATE;
    }
    guarded(|| {
        // SAFETY: `data` is the box of `begin`, used by one thread at a time.
        let passing = unsafe { &mut *data.cast::<Passing>() };
        let Some(looking) = &mut passing.looking else {
            return E_STATE;
        };
        let poll =
            |waker: &std::task::Waker| Pin::new(looking).poll(&mut TaskContext::from_waker(waker));
        // SAFETY: the waker is there for the call.
        match unsafe { waker::with(waker, None, poll) } {
            Poll::Pending => PENDING,
            Poll::Ready((pass, code)) => {
                passing.pass = Some(pass);
                passing.looking = None;
                code
            }
        }
    })
}

/// Where a filter's output goes.
struct Emit(*const EmitApi);

impl Emit {
    /// # Safety
    /// `emit` is there for as long as the result is used.
    unsafe fn of(emit: *const EmitApi) -> Self {
        Self(emit)
    }

    fn api(&self) -> &EmitApi {
        // SAFETY: as `of` says.
        unsafe { &*self.0 }
    }

    fn chunks(&self, chunks: Vec<Bytes>) -> Rc {
        each(chunks, |chunk| {
            // SAFETY: the texts are there for the call.
            unsafe { (self.api().chunk)(self.api().out, Str::of(&chunk)) }
        })
    }

    fn events(&self, events: Vec<Event>) -> Rc {
        each(events, |event| {
            let json = event.data.to_string();
            // SAFETY: the texts are there for the call.
            unsafe { (self.api().event)(self.api().out, Str::text(&event.name), Str::text(&json)) }
        })
    }

    fn head(&self, status: Option<StatusCode>, before: &HeaderMap, after: &HeaderMap) -> Rc {
        if let Some(status) = status {
            // SAFETY: no text is passed.
            let code = unsafe { (self.api().status)(self.api().out, status.as_u16()) };
            if code != OK {
                return code;
            }
        }
        let names: Vec<&http::HeaderName> = before.keys().chain(after.keys()).collect();
        let changed = |name: &&http::HeaderName| {
            !before.get_all(*name).iter().eq(after.get_all(*name).iter())
        };
        each(names.into_iter().filter(changed).collect(), |name| {
            self.values(name, after)
        })
    }

    /// Says all values of a header anew.
    fn values(&self, name: &http::HeaderName, after: &HeaderMap) -> Rc {
        let (api, text) = (self.api(), Str::text(name.as_str()));
        let mut values = after
            .get_all(name)
            .iter()
            .map(|value| Str::of(value.as_bytes()));
        let first = values.next();
        let first = first.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the texts are there for the call.
        let code = unsafe { (api.header)(api.out, text, first) };
        if code != OK {
            return code;
        }
        // SAFETY: as above.
        each(values.collect(), |value| unsafe {
            (api.header_add)(api.out, text, value)
        })
    }
}

fn each<T>(items: Vec<T>, mut emit: impl FnMut(T) -> Rc) -> Rc {
    items
        .into_iter()
        .map(&mut emit)
        .find(|code| *code != OK)
        .unwrap_or(OK)
}

/// Runs `work` with the pass that `data` is, where the request has been looked at.
///
/// # Safety
/// `data` is the box of `begin`, used by one thread at a time.
unsafe fn with_pass(
    data: *mut c_void,
    work: impl FnOnce(&mut dyn Pass, &Passed<'_>) -> Result<Rc, Error>,
) -> Rc {
    guarded(|| {
        // SAFETY: the caller vouches for it.
        let passing = unsafe { &mut *data.cast::<Passing>() };
        let Some(pass) = &mut passing.pass else {
            return E_STATE;
        };
        let passed = Passed {
            request: &passing.request,
            follows: passing.follows,
        };
        match work(pass.as_mut(), &passed) {
            Ok(code) => code,
            Err(error) => passed.request.fail(&error),
        }
    })
}

/// What is known beside the pass.
struct Passed<'a> {
    request: &'a RemoteRequest,
    follows: Follows,
}

unsafe extern "C" fn head(
    data: *mut c_void,
    status: u16,
    headers: *const Header,
    count: usize,
    emit: *const EmitApi,
) -> Rc {
    // SAFETY: the host keeps to the contract of passes.
    unsafe {
        with_pass(data, |pass, _| {
            let emit = Emit::of(emit);
            let lent = (0..count).map(|index| *headers.add(index));
            let before = header_map(lent.map(|header| (header.name.bytes(), header.value.bytes())));
            let was = StatusCode::from_u16(status).unwrap_or_default();
            let (mut status, mut after) = (was, before.clone());
            pass.head(&mut status, &mut after)?;
            Ok(emit.head((status != was).then_some(status), &before, &after))
        })
    }
}

unsafe extern "C" fn chunk(data: *mut c_void, chunk: Str, emit: *const EmitApi) -> Rc {
    // SAFETY: the host keeps to the contract of passes.
    unsafe {
        with_pass(data, |pass, _| {
            let mut out = Vec::new();
            pass.chunk(Bytes::copy_from_slice(chunk.bytes()), &mut out)?;
            Ok(Emit::of(emit).chunks(out))
        })
    }
}

unsafe extern "C" fn event(
    data: *mut c_void,
    name: Str,
    json: Str,
    is_whole: i32,
    emit: *const EmitApi,
) -> Rc {
    // SAFETY: the host keeps to the contract of passes.
    unsafe {
        with_pass(data, |pass, _| {
            let event = Event {
                name: name.to_text(),
                data: serde_json::from_slice(json.bytes()).map_err(Error::internal)?,
                is_whole: is_whole != 0,
            };
            let mut out = Vec::new();
            pass.event(event, &mut out)?;
            Ok(Emit::of(emit).events(out))
        })
    }
}

unsafe extern "C" fn last(data: *mut c_void, emit: *const EmitApi) -> Rc {
    // SAFETY: the host keeps to the contract of passes.
    unsafe {
        with_pass(data, |pass, passed| {
            let emit = Emit::of(emit);
            if passed.follows == Follows::Chunks {
                let mut out = Vec::new();
                pass.last_chunks(&mut out)?;
                return Ok(emit.chunks(out));
            }
            let mut out = Vec::new();
            pass.last_events(&mut out)?;
            Ok(emit.events(out))
        })
    }
}

unsafe extern "C" fn end(
    data: *mut c_void,
    status: u16,
    is_complete: i32,
    prompt: i64,
    completion: i64,
) {
    let counts = u64::try_from(prompt)
        .ok()
        .zip(u64::try_from(completion).ok());
    let usage = counts.map(|(prompt, completion)| Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: prompt.saturating_add(completion),
        prompt_tokens_details: None,
        completion_tokens_details: None,
    });
    let end = End {
        status: StatusCode::from_u16(status).unwrap_or_default(),
        is_complete: is_complete != 0,
        usage,
    };
    // SAFETY: the host keeps to the contract of passes.
    let _code = unsafe {
        with_pass(data, |pass, _| {
            pass.end(&end);
            Ok(OK)
        })
    };
}

unsafe extern "C" fn drop_pass(data: *mut c_void) {
    guard((), || {
        // SAFETY: `data` is the box of `begin`, and is dropped once.
        drop(unsafe { Box::from_raw(data.cast::<Passing>()) });
    });
}
