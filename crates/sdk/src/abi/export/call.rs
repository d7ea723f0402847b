//! Semantic calls, made by the host.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aurora_openai::chat::{ChatChunk, ChatRequest};
use aurora_openai::models::{Model, ModelList};
use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::hold::Hold;
use super::request::RemoteRequest;
use crate::abi::memory::size;
use crate::abi::raw::{
    Buf, CALL_CHAT, CALL_MODELS, Call, CallApi, CallReq, E_UNSUPPORTED, EOF, Fault, OK, PENDING,
    Rc, Str,
};
use crate::abi::{fault, waker};
use crate::{ChatStream, Error};

/// A call under way. Dropping it breaks it off.
struct Calling {
    api: &'static CallApi,
    call: *mut Call,
    _request: Hold,
}

// SAFETY: the contract lets one thread at a time use a call, and this is its only owner.
unsafe impl Send for Calling {}
// SAFETY: sharing it gives no way to use it but polling, which the future or stream that has it does.
unsafe impl Sync for Calling {}

impl Drop for Calling {
    fn drop(&mut self) {
        // SAFETY: it is closed once.
        unsafe { (self.api.close)(self.call) };
    }
}

impl Calling {
    async fn start(inside: &RemoteRequest, operation: i32, json: &str) -> Result<Self, Error> {
        let calling = Self::open(inside, operation, json)?;
        poll_fn(|cx| calling.poll_accepted(cx)).await?;
        Ok(calling)
    }

    fn open(inside: &RemoteRequest, operation: i32, json: &str) -> Result<Self, Error> {
        let (host, req) = (inside.host(), inside.req);
        let Some(api) = host.tables.call else {
            return Err(fault::of_code(E_UNSUPPORTED));
        };
        let mut asked = CallReq {
            size: size::<CallReq>(),
            flags: 0,
            operation,
            reserved: 0,
            json: Str::text(json),
            file_name: Str::EMPTY,
            file_type: Str::EMPTY,
            file: Buf::EMPTY,
        };
        let mut call = std::ptr::null_mut();
        // SAFETY: host and request are held, the texts are there for the call, and `call` is ours.
        let code = unsafe { (api.start)(host.table, req, &raw mut asked, &raw mut call) };
        if code != OK || call.is_null() {
            return Err(fault::of_code(code));
        }
        Ok(Self {
            api,
            call,
            _request: inside.hold(),
        })
    }

    fn poll_accepted(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let lent = waker::lend(cx.waker());
        // SAFETY: the call is open, and the waker is there for it.
        match unsafe { (self.api.accepted_poll)(self.call, &raw const lent) } {
            PENDING => Poll::Pending,
            OK => Poll::Ready(Ok(())),
            code => Poll::Ready(Err(self.fault(code))),
        }
    }

    fn poll_event<T: DeserializeOwned>(&self, cx: &Context<'_>) -> Poll<Option<Result<T, Error>>> {
        let (lent, mut json) = (waker::lend(cx.waker()), Str::EMPTY);
        // SAFETY: the call is open, the waker is there for it, and `json` is ours.
        match unsafe { (self.api.event_poll)(self.call, &raw const lent, &raw mut json) } {
            PENDING => Poll::Pending,
            EOF => Poll::Ready(None),
            OK => {
                // SAFETY: the event is there until the next call.
                let event = serde_json::from_slice(unsafe { json.bytes() });
                Poll::Ready(Some(event.map_err(Error::internal)))
            }
            code => Poll::Ready(Some(Err(self.fault(code)))),
        }
    }

    fn fault(&self, code: Rc) -> Error {
        let mut found = Fault::NONE;
        // SAFETY: the call is open, and `found` is ours.
        let code_of_fault = unsafe { (self.api.fault)(self.call, &raw mut found) };
        // SAFETY: its texts are there until the next call.
        let error = (code_of_fault == OK).then(|| unsafe { fault::read(&raw const found) });
        error.flatten().unwrap_or_else(|| fault::of_code(code))
    }
}

pub(super) async fn chat(
    inside: &RemoteRequest,
    request: ChatRequest,
) -> Result<ChatStream, Error> {
    let json = serde_json::to_string(&request).map_err(Error::internal)?;
    let calling = Calling::start(inside, CALL_CHAT, &json).await?;
    Ok(Box::pin(Chunks {
        calling,
        over: false,
    }))
}

pub(super) async fn models(inside: &RemoteRequest) -> Result<Vec<Model>, Error> {
    let calling = Calling::start(inside, CALL_MODELS, "{}").await?;
    let list: Option<ModelList> = poll_fn(|cx| calling.poll_event(cx)).await.transpose()?;
    Ok(list.map(|list| list.data).unwrap_or_default())
}

struct Chunks {
    calling: Calling,
    over: bool,
}

impl Stream for Chunks {
    type Item = Result<ChatChunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let item = ready!(self.calling.poll_event(cx));
        self.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}
