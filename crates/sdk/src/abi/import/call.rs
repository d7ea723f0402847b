//! `aurora.call.v1`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use aurora_openai::models::ModelList;
use bytes::Bytes;
use futures_core::Stream as _;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::handles::Owner;
use super::host::HostSide;
use super::later::Later;
use super::request::RequestSide;
use super::wait::wait;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{
    Buf, CALL_CHAT, CALL_IMAGES, CALL_MODELS, CALL_SPEECH, CALL_TRANSCRIBE, CALL_UPLOAD, Call,
    CallApi, CallReq, E_CANCELLED, E_INVALID, E_STATE, EOF, Fault, HostTable, OK, Rc, Req, Str,
    Waker,
};
use crate::{Body, ChatStream, Context, Error, Response, Upload};

pub(super) static API: CallApi = CallApi {
    size: size::<CallApi>(),
    reserved: 0,
    start,
    accepted_poll,
    event_poll,
    content_type,
    bytes_poll,
    fault: fault_of,
    close,
};

struct CallSide {
    owner: Owner,
    answer: Later<Answer>,
    json: String,
    piece: Bytes,
}

enum Answer {
    Chat(ChatStream),
    One(Option<Value>),
    Sound(Response),
}

/// What is asked for.
struct Asked {
    operation: i32,
    json: Value,
    file: Upload,
}

async fn ask(cx: Context, asked: Asked) -> Result<Answer, Error> {
    let (host, json) = (cx.host(), asked.json);
    Ok(match asked.operation {
        CALL_CHAT => {
            let request = serde_json::from_value(json).map_err(Error::invalid_json)?;
            Answer::Chat(host.chat(request).await?)
        }
        CALL_MODELS => {
            let list = ModelList::new(host.models().await?);
            Answer::One(Some(serde_json::to_value(list).map_err(Error::internal)?))
        }
        CALL_IMAGES => Answer::One(Some(host.images(json).await?)),
        CALL_SPEECH => Answer::Sound(host.speech(json).await?),
        CALL_TRANSCRIBE => Answer::One(Some(host.transcribe(asked.file, json).await?)),
        CALL_UPLOAD => Answer::One(Some(host.upload(asked.file, json).await?)),
        other => {
            return Err(Error::internal(format!(
                "there is no semantic call {other}"
            )));
        }
    })
}

impl CallSide {
    /// # Safety
    /// `call` is open, and used by one thread at a time.
    unsafe fn of<'a>(call: *mut Call) -> &'a mut Self {
        // SAFETY: the caller vouches for it.
        unsafe { &mut *call.cast::<Self>() }
    }

    /// The next event as JSON into its place.
    fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Rc> {
        let answer = match ready!(self.answer.poll(cx)) {
            Ok(answer) => answer,
            Err(code) => return Poll::Ready(code),
        };
        let event = match answer {
            Answer::Chat(chunks) => match ready!(chunks.as_mut().poll_next(cx)) {
                None => {
                    // A stream that has ended is not asked again.
                    *answer = Answer::One(None);
                    None
                }
                Some(Ok(chunk)) => Some(serde_json::to_string(&chunk).map_err(Error::internal)),
                Some(Err(error)) => Some(Err(error)),
            },
            Answer::One(value) => value.take().map(|value| Ok(value.to_string())),
            Answer::Sound(_) => return Poll::Ready(E_STATE),
        };
        Poll::Ready(match event {
            None => EOF,
            Some(Ok(json)) => {
                self.json = json;
                OK
            }
            Some(Err(error)) => self.answer.fail(error),
        })
    }

    /// The next piece of the sound into its place.
    fn poll_piece(&mut self, cx: &mut TaskContext<'_>) -> Poll<Rc> {
        let piece = match ready!(self.answer.poll(cx)) {
            Ok(Answer::Sound(response)) => {
                let piece = ready!(Pin::new(&mut response.body).poll_next(cx));
                if piece.is_none() {
                    // A stream that has ended is not asked again.
                    response.body = Body::empty();
                }
                piece
            }
            Ok(Answer::Chat(_) | Answer::One(_)) => return Poll::Ready(E_STATE),
            Err(code) => return Poll::Ready(code),
        };
        Poll::Ready(match piece {
            None => EOF,
            Some(Ok(piece)) => {
                self.piece = piece;
                OK
            }
            Some(Err(error)) => self.answer.fail(error),
        })
    }

    fn wait(
        &mut self,
        waker: *const Waker,
        mut poll: impl FnMut(&mut Self, &mut TaskContext<'_>) -> Poll<Rc>,
    ) -> Rc {
        // SAFETY: the call is in use.
        let (host, request) = unsafe { (self.owner.of_host(), self.owner.of_request()) };
        let mut poll = |cx: &mut TaskContext<'_>| poll(self, cx);
        // SAFETY: the waker is there for the call, or null: it came from the plugin's call.
        unsafe { wait(host, request, waker, &mut poll) }
    }
}

unsafe extern "C" fn start(
    host: *const HostTable,
    req: *mut Req,
    asked: *mut CallReq,
    out: *mut *mut Call,
) -> Rc {
    guarded(|| {
        if req.is_null() {
            return E_INVALID;
        }
        // SAFETY: host and request are held, and the struct says its size.
        let (host, request, size) = unsafe {
            (
                HostSide::of(host),
                RequestSide::shared(req),
                asked.cast::<u32>().read(),
            )
        };
        if host.is_none() || request.is_over() {
            return E_CANCELLED;
        }
        if (size as usize) < size_of::<CallReq>() {
            return E_INVALID;
        }
        // SAFETY: it is large enough, and all in it is there for the call.
        let asked = unsafe { &mut *asked };
        // SAFETY: as above.
        let Some(asked) = (unsafe { read(asked, &request) }) else {
            return E_INVALID;
        };
        let side = CallSide {
            owner: Owner::request(&request),
            answer: Later::new(Box::pin(ask(request.cx.clone(), asked))),
            json: String::new(),
            piece: Bytes::new(),
        };
        // SAFETY: `out` is to be filled.
        unsafe { out.write(request.open.open(side).cast()) };
        OK
    })
}

/// # Safety
/// All in `asked` is there for the call.
unsafe fn read(asked: &mut CallReq, request: &RequestSide) -> Option<Asked> {
    // SAFETY: the caller vouches for it.
    let (json, name, content_type) = unsafe {
        (
            serde_json::from_slice(asked.json.bytes()).ok()?,
            asked.file_name.to_text(),
            asked.file_type.to_text(),
        )
    };
    let buf = std::mem::replace(&mut asked.file, Buf::EMPTY);
    // SAFETY: the buffer was moved: its place is empty.
    let body = unsafe { buf.into_bytes(Some(Arc::clone(&request.host.library.keep))) }.into();
    Some(Asked {
        operation: asked.operation,
        json,
        file: Upload {
            name,
            content_type,
            body,
        },
    })
}

unsafe extern "C" fn accepted_poll(call: *mut Call, waker: *const Waker) -> Rc {
    guarded(|| {
        // SAFETY: the call is open.
        let side = unsafe { CallSide::of(call) };
        side.wait(waker, |side, cx| {
            Poll::Ready(ready!(side.answer.poll(cx)).map_or_else(|code| code, |_| OK))
        })
    })
}

unsafe extern "C" fn event_poll(call: *mut Call, waker: *const Waker, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the call is open.
        let side = unsafe { CallSide::of(call) };
        let code = side.wait(waker, CallSide::poll_event);
        if code == OK {
            // SAFETY: `out` is to be filled; the event stays until the next call.
            unsafe { out.write(Str::text(&side.json)) };
        }
        code
    })
}

unsafe extern "C" fn content_type(call: *mut Call, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the call is open.
        let Some(Answer::Sound(response)) = unsafe { CallSide::of(call) }.answer.open() else {
            return E_STATE;
        };
        let value = response
            .headers
            .get(CONTENT_TYPE)
            .map_or(&[][..], HeaderValue::as_bytes);
        // SAFETY: `out` is to be filled.
        unsafe { out.write(Str::of(value)) };
        OK
    })
}

unsafe extern "C" fn bytes_poll(call: *mut Call, waker: *const Waker, out: *mut Str) -> Rc {
    guarded(|| {
        // SAFETY: the call is open.
        let side = unsafe { CallSide::of(call) };
        let code = side.wait(waker, CallSide::poll_piece);
        if code == OK {
            // SAFETY: `out` is to be filled; the piece stays until the next call.
            unsafe { out.write(Str::of(&side.piece)) };
        }
        code
    })
}

unsafe extern "C" fn fault_of(call: *mut Call, out: *mut Fault) -> Rc {
    guarded(|| {
        // SAFETY: the call is open, and the struct says its size; the texts stay until the next call.
        unsafe { CallSide::of(call).answer.fault(out) }
    })
}

unsafe extern "C" fn close(call: *mut Call) {
    guard((), || {
        // SAFETY: the call is open.
        let open = unsafe { CallSide::of(call).owner.open() };
        drop(open.take(call.cast::<CallSide>()));
    });
}
