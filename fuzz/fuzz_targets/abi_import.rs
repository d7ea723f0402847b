//! The gateway's side of the plugin interface against a plugin in C that does what an input says.
//!
//! It keeps to what nobody can check (pointers that are valid, handles closed once) and to nothing else: values, lengths,
//! orders, codes, tables and flags are the input's. Whatever it does is answered or refused; every buffer that it gave away is
//! released once, nobody keeps host or library, and a request or host that is held too long does nothing more.
#![no_main]
#![expect(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a plugin in C"
)]

#[path = "../../crates/sdk/tests/roundtrip/c.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the tests of the interface"
)]
mod c;
#[path = "../../crates/sdk/tests/roundtrip/ground.rs"]
#[expect(dead_code, reason = "shared with the tests of the interface")]
mod ground;

#[path = "abi_import/driver.rs"]
mod driver;
#[path = "abi_import/handles.rs"]
mod handles;
#[path = "abi_import/input.rs"]
mod input;
#[path = "abi_import/services.rs"]
mod services;

use std::sync::LazyLock;

use aurora_sdk::abi::import::Notice;
use aurora_sdk::abi::raw::{PluginVtable, Str, UNLOADABLE};
use aurora_sdk::testing::{FakeHost, request, says};
use aurora_sdk::{Body, Response};
use libfuzzer_sys::fuzz_target;

use crate::driver::Driven;
use crate::ground::{Loaded, Run};
use crate::input::Input;

static TABLE: LazyLock<&'static mut PluginVtable> = LazyLock::new(c::table::<Driven>);

const EVENTS: &str = "event: a\ndata: {\"x\":1}\n\ndata: [DONE]\n\n: cut";

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    if input.is(4) {
        return table(&mut input);
    }
    let host = FakeHost::new()
        .param("id", "7")
        .grants("other")
        .manual_or_not(input.is(2))
        .answers_by(|_| {
            let response = Response::new("text/event-stream", Body::from(EVENTS.to_owned()));
            Box::pin(async move { Ok(response) })
        })
        .chats(says("hello"));
    let loaded = unsafe { Loaded::of(&raw const **TABLE) }.expect("the table is as it should be");
    let mut run = Run::of(loaded, host);
    driver::begin(input);
    let asked = request("POST", "/a%20b?c")
        .header("x-a", "1")
        .body(vec![b'x'; 3000]);
    // An answer or an error: both are what a client can read.
    if let Err(error) = run.ask(asked) {
        assert!(error.status().as_u16() >= 400);
    }
    driver::use_what_is_kept();
    run.handler = None;
    driver::end();
    let notices = run.end();
    assert!(
        notices
            .iter()
            .all(|notice| matches!(notice, Notice::Panicked | Notice::Leaked(_)))
    );
    input::check_buffers();
});

/// A table of any size, flags and manifest is taken on or refused.
fn table(input: &mut Input) {
    let manifest = input.text();
    let table = PluginVtable {
        size: input.number(),
        flags: input.number(),
        manifest: Str::of(&manifest),
        create: TABLE.create,
        handle: TABLE.handle.filter(|_| !input.is(4)),
        drain: None,
        destroy: TABLE.destroy.filter(|_| !input.is(8)),
        get_extension: None,
        properties: None,
    };
    if let Ok(loaded) = unsafe { Loaded::of(&raw const table) } {
        assert_eq!(loaded.plugin.is_unloadable(), table.flags & UNLOADABLE != 0);
    }
}

/// So that sleepers sometimes sleep for ever.
trait ManualOrNot {
    fn manual_or_not(self, is_manual: bool) -> Self;
}

impl ManualOrNot for FakeHost {
    fn manual_or_not(self, is_manual: bool) -> Self {
        if is_manual { self.manual_time() } else { self }
    }
}
