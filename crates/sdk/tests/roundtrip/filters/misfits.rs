//! Filters in C that lack functions, or end with codes of all kinds.

use std::ffi::{CStr, c_char, c_void};

use aurora_sdk::abi::import::Notice;
use aurora_sdk::abi::raw::{
    E_INVALID, E_PANIC, E_STATE, E_UPSTREAM, EmitApi, FACET_FILTER, FilterFacet, Header, Instance,
    OK, Pass, PassVtable, PluginVtable, Rc, Req, Str, Task,
};
use aurora_sdk::testing::{FakeHost, request};

use super::{Filtering, answer};
use crate::c::{self, Host};
use crate::ground::Loaded;

struct Never;

impl c::Plugin for Never {
    fn handle(_: Host, _: c::Req) -> Result<Task, Rc> {
        Err(OK)
    }
}

/// A filter of this facet.
fn load(get: unsafe extern "C" fn(*mut Instance, *const c_char) -> *const c_void) -> Loaded {
    let table: &mut PluginVtable = c::table::<Never>();
    table.manifest = Str::text(r#"{"name":"in-c","version":"1.0.0","kinds":["filter"]}"#);
    table.handle = None;
    table.get_extension = Some(get);
    // SAFETY: the table keeps to the contract.
    unsafe { Loaded::of(table) }.unwrap()
}

/// Makes a facet of a pass.
macro_rules! filter {
    ($name:ident, $follows:expr, $begun:expr, $pass:expr) => {
        mod $name {
            use super::*;

            static PASS: PassVtable = $pass;

            static FACET: FilterFacet = FilterFacet {
                size: size_of::<FilterFacet>() as u32,
                reserved: 0,
                follows,
                begin,
            };

            unsafe extern "C" fn follows(_: *mut Instance) -> u32 {
                $follows
            }

            unsafe extern "C" fn begin(_: *mut Instance, _: *mut Req, out: *mut Pass) -> Rc {
                let pass = Pass {
                    data: std::ptr::null_mut(),
                    vtable: &raw const PASS,
                };
                if $begun == OK {
                    // SAFETY: `out` is to be filled.
                    unsafe { out.write(pass) };
                }
                $begun
            }

            unsafe extern "C" fn get(_: *mut Instance, id: *const c_char) -> *const c_void {
                // SAFETY: the id is there for the call.
                if unsafe { CStr::from_ptr(id) }.to_bytes() == FACET_FILTER.as_bytes() {
                    return (&raw const FACET).cast();
                }
                std::ptr::null()
            }

            pub(super) fn filtering() -> Filtering {
                Filtering::of(load(get), FakeHost::new())
            }
        }
    };
}

const EMPTY: PassVtable = PassVtable {
    size: size_of::<PassVtable>() as u32,
    reserved: 0,
    request_poll: None,
    head: None,
    chunk: None,
    event: None,
    last: None,
    end: None,
    drop: None,
};

filter!(without_functions, 2, OK, EMPTY);
filter!(of_another_age, 2, OK, PassVtable { size: 8, ..EMPTY });
filter!(unknown_follows, 99, OK, EMPTY);
filter!(refusing, 1, E_UPSTREAM, EMPTY);
filter!(
    of_state,
    2,
    OK,
    PassVtable {
        chunk: Some(state),
        ..EMPTY
    }
);
filter!(
    of_panic,
    1,
    OK,
    PassVtable {
        head: Some(panics),
        ..EMPTY
    }
);
filter!(
    emitting,
    2,
    OK,
    PassVtable {
        head: Some(emits_head),
        chunk: Some(emits),
        ..EMPTY
    }
);

unsafe extern "C" fn state(_: *mut c_void, _: Str, _: *const EmitApi) -> Rc {
    E_STATE
}

unsafe extern "C" fn panics(
    _: *mut c_void,
    _: u16,
    _: *const Header,
    _: usize,
    _: *const EmitApi,
) -> Rc {
    E_PANIC
}

unsafe extern "C" fn emits_head(
    _: *mut c_void,
    status: u16,
    headers: *const Header,
    count: usize,
    emit: *const EmitApi,
) -> Rc {
    // SAFETY: all of it is there for the call.
    let (emit, first) = unsafe { (&*emit, *headers) };
    assert_eq!(
        (status, count, c::bytes(first.name)),
        (200, 1, b"content-type".to_vec())
    );
    let (name, value) = (Str::text("x-a"), Str::text("1"));
    // SAFETY: as above.
    let codes = unsafe {
        [
            (emit.status)(emit.out, 99),
            (emit.status)(emit.out, 1000),
            (emit.header)(emit.out, Str::text("a b"), &raw const value),
            (emit.header)(emit.out, name, &raw const name),
            (emit.header)(emit.out, name, &raw const value),
            (emit.header_add)(emit.out, Str::text(""), value),
            (emit.header_add)(emit.out, name, Str::text("2")),
        ]
    };
    assert_eq!(
        codes,
        [E_INVALID, E_INVALID, E_INVALID, OK, OK, E_INVALID, OK]
    );
    OK
}

unsafe extern "C" fn emits(_: *mut c_void, piece: Str, emit: *const EmitApi) -> Rc {
    // SAFETY: all of it is there for the call.
    let emit = unsafe { &*emit };
    // SAFETY: as above.
    let codes = unsafe {
        [
            (emit.chunk)(emit.out, Str::text("<")),
            (emit.chunk)(emit.out, piece),
            (emit.chunk)(emit.out, Str::EMPTY),
            (emit.event)(emit.out, Str::EMPTY, Str::text("{")),
        ]
    };
    assert_eq!(codes, [OK, OK, OK, E_INVALID]);
    OK
}

#[test]
fn a_filter_without_functions_lets_all_go_on_as_it_is() {
    for filtering in [
        without_functions::filtering(),
        of_another_age::filtering(),
        unknown_follows::filtering(),
    ] {
        let passed = filtering
            .pass(request("POST", "/a?b").body("x".to_owned()), answer())
            .unwrap();

        let seen = passed.request.unwrap();
        assert_eq!((seen.path.as_str(), seen.body.length()), ("/a", Some(1)));
        assert_eq!(passed.answer.text(), "abcdef");
        assert_eq!(filtering.end(), []);
    }
}

#[test]
fn a_filter_that_cannot_begin_refuses_the_request() {
    let filtering = refusing::filtering();

    let error = filtering.pass(request("GET", "/"), answer()).unwrap_err();

    assert_eq!((error.status().as_u16(), filtering.end()), (502, vec![]));
}

#[test]
fn a_filter_that_fails_lets_nothing_pass_whatever_its_code() {
    let (state, panic) = (of_state::filtering(), of_panic::filtering());

    let answered = state.pass(request("GET", "/"), answer()).unwrap().answer;
    assert_eq!(
        (answered.text().as_str(), answered.broken.unwrap().code()),
        ("", "plugin_error")
    );
    assert_eq!(
        panic
            .pass(request("GET", "/"), answer())
            .unwrap_err()
            .code(),
        "plugin_failed"
    );
    assert_eq!((state.end(), panic.end()), (vec![], vec![Notice::Panicked]));
}

#[test]
fn what_a_filter_in_c_emits_goes_on() {
    let filtering = emitting::filtering();

    let answer = filtering
        .pass(request("GET", "/"), answer())
        .unwrap()
        .answer;

    assert_eq!(answer.text(), "<abc<def");
    assert_eq!(
        answer.headers.get_all("x-a").iter().collect::<Vec<_>>(),
        ["1", "2"]
    );
    assert_eq!(filtering.end(), []);
}
