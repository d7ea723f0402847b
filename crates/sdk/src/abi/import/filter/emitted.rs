//! What a filter pushes while a function of its pass is called.

use std::ffi::c_void;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::Event;
use crate::abi::memory::{guarded, size};
use crate::abi::raw::{E_INVALID, EmitApi, OK, Rc, Str};

/// See the module.
#[derive(Default)]
pub(super) struct Emitted {
    pub(super) chunks: Vec<Bytes>,
    pub(super) events: Vec<Event>,
    pub(super) is_whole: bool,
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, Value)>,
}

/// What becomes of a header.
enum Value {
    None,
    Only(HeaderValue),
    More(HeaderValue),
}

impl Emitted {
    /// What the filter is given, for one call.
    pub(super) fn api(&mut self) -> EmitApi {
        EmitApi {
            size: size::<EmitApi>(),
            reserved: 0,
            out: std::ptr::from_mut(self).cast(),
            chunk: emit_chunk,
            event: emit_event,
            status: emit_status,
            header: emit_header,
            header_add: emit_header_add,
        }
    }

    /// # Safety
    /// `out` is what the filter was given, during the call that it was given for.
    unsafe fn of<'a>(out: *mut c_void) -> &'a mut Self {
        // SAFETY: the caller vouches for it.
        unsafe { &mut *out.cast::<Self>() }
    }

    /// Changes the head of an answer as the filter said.
    pub(super) fn change(self, status: &mut StatusCode, headers: &mut HeaderMap) {
        if let Some(changed) = self.status {
            *status = changed;
        }
        for (name, value) in self.headers {
            match value {
                Value::Only(value) => {
                    headers.insert(name, value);
                }
                Value::More(value) => {
                    headers.append(name, value);
                }
                Value::None => {
                    headers.remove(name);
                }
            }
        }
    }
}

unsafe extern "C" fn emit_chunk(out: *mut c_void, chunk: Str) -> Rc {
    guarded(|| {
        // SAFETY: the chunk is there for the call.
        unsafe {
            Emitted::of(out)
                .chunks
                .push(Bytes::copy_from_slice(chunk.bytes()));
        };
        OK
    })
}

unsafe extern "C" fn emit_event(out: *mut c_void, name: Str, json: Str) -> Rc {
    guarded(|| {
        // SAFETY: the texts are there for the call.
        let (emitted, name, data) = unsafe {
            (
                Emitted::of(out),
                name.to_text(),
                serde_json::from_slice(json.bytes()),
            )
        };
        let Ok(data) = data else {
            return E_INVALID;
        };
        let is_whole = emitted.is_whole;
        emitted.events.push(Event {
            name,
            data,
            is_whole,
        });
        OK
    })
}

unsafe extern "C" fn emit_status(out: *mut c_void, status: u16) -> Rc {
    guarded(|| {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| !status.is_informational());
        let Some(status) = status else {
            return E_INVALID;
        };
        // SAFETY: as `Emitted::of` says.
        unsafe { Emitted::of(out) }.status = Some(status);
        OK
    })
}

unsafe extern "C" fn emit_header(out: *mut c_void, name: Str, value: *const Str) -> Rc {
    guarded(|| {
        // SAFETY: the texts are there for the call.
        let (name, value) = unsafe {
            let value = value
                .as_ref()
                .map(|value| HeaderValue::from_bytes(value.bytes()));
            (HeaderName::from_bytes(name.bytes()), value.transpose())
        };
        let (Ok(name), Ok(value)) = (name, value) else {
            return E_INVALID;
        };
        let value = value.map_or(Value::None, Value::Only);
        // SAFETY: as `Emitted::of` says.
        unsafe { Emitted::of(out) }.headers.push((name, value));
        OK
    })
}

unsafe extern "C" fn emit_header_add(out: *mut c_void, name: Str, value: Str) -> Rc {
    guarded(|| {
        // SAFETY: the texts are there for the call.
        let (name, value) = unsafe {
            (
                HeaderName::from_bytes(name.bytes()),
                HeaderValue::from_bytes(value.bytes()),
            )
        };
        let (Ok(name), Ok(value)) = (name, value) else {
            return E_INVALID;
        };
        // SAFETY: as `Emitted::of` says.
        unsafe { Emitted::of(out) }
            .headers
            .push((name, Value::More(value)));
        OK
    })
}
