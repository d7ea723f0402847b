//! What can be loaded.

use std::sync::Arc;

use aurora_sdk::abi::export::vtable;
use aurora_sdk::abi::import::is_compatible;
use aurora_sdk::abi::raw::{E_CONFIG, MAJOR, MINOR, Note, OK, PluginVtable, Rc, Str};
use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Plugin as _, PluginHost, Request, Response,
};
use serde_json::{Map, Value, json};

use crate::c;
use crate::ground::{Between, Loaded, Of, Run, Serve};

fn refused(note: &Note) -> String {
    is_compatible(note).unwrap_err()
}

#[test]
fn a_library_of_this_interface_is_accepted() {
    assert_eq!(is_compatible(&Note::current(0)), Ok(()));
}

#[test]
fn a_newer_minor_version_is_accepted_where_it_needs_no_more_than_there_is() {
    let note = Note {
        abi_minor: MINOR + 7,
        min_host_minor: MINOR,
        ..Note::current(0)
    };
    assert_eq!(is_compatible(&note), Ok(()));
}

#[test]
fn another_major_version_is_refused_and_both_are_named() {
    let text = refused(&Note {
        abi_major: MAJOR + 1,
        abi_minor: 3,
        ..Note::current(0)
    });
    assert!(text.contains("2.3") && text.contains("1.0"), "{text}");
}

#[test]
fn a_library_that_needs_a_newer_gateway_is_refused_and_both_are_named() {
    let text = refused(&Note::current(MINOR + 4));
    assert!(
        text.contains("1.4") && text.contains("1.0") && text.contains("newer gateway"),
        "{text}"
    );
}

#[test]
fn what_is_no_note_or_of_another_processor_is_refused() {
    let current = Note::current(0);
    let table = [
        Note {
            magic: *b"AURPLUG2",
            ..current
        },
        Note {
            note_size: 31,
            ..current
        },
        Note {
            pointer_bits: 16,
            ..current
        },
        Note {
            little_endian: 7,
            ..current
        },
    ];
    for note in table {
        refused(&note);
    }
    assert_eq!(
        is_compatible(&Note {
            note_size: 64,
            ..current
        }),
        Ok(())
    );
}

#[derive(Default)]
struct Plain;

impl Serve for Plain {
    async fn serve(&self, _: &Context, _: Request) -> Result<Response, Error> {
        Response::json(&"served")
    }
}

/// The table of a plugin, changed.
fn changed(change: impl FnOnce(&mut PluginVtable)) -> Result<Loaded, String> {
    let own = vtable::<Of<Plain>>();
    let mut table = PluginVtable {
        size: own.size,
        flags: own.flags,
        manifest: own.manifest,
        create: own.create,
        handle: own.handle,
        drain: own.drain,
        destroy: own.destroy,
        get_extension: own.get_extension,
        properties: own.properties,
    };
    change(&mut table);
    // SAFETY: it is the SDK's own but for what was changed, and there for ever.
    unsafe { Loaded::of(Box::leak(Box::new(table))) }
}

fn why(change: impl FnOnce(&mut PluginVtable)) -> String {
    changed(change).err().unwrap()
}

#[test]
fn a_table_that_is_missing_too_small_or_lacks_a_function_is_refused() {
    // SAFETY: nothing is read.
    let none = unsafe { Loaded::of(std::ptr::null()) };
    assert!(none.err().unwrap().contains("gave no table"));
    assert!(why(|table| table.size -= 1).contains("bytes"));
    assert!(why(|table| table.size = 0).contains("0 bytes"));
    assert!(why(|table| table.create = None).contains("lacks"));
    assert!(why(|table| table.handle = None).contains("lacks"));
    assert!(why(|table| table.destroy = None).contains("lacks"));
}

#[test]
fn a_table_that_is_larger_or_lacks_what_may_be_missing_is_accepted() {
    let loaded = changed(|table| {
        table.size += 64;
        table.drain = None;
        table.get_extension = None;
        table.properties = None;
    });
    let run = Run::of(loaded.unwrap(), FakeHost::new());

    assert_eq!(
        run.ask(request("GET", "/")).unwrap().json(),
        json!("served")
    );
    run.handler().drain();
    assert!(!run.handler().is_public());
    assert!(run.host.wait(run.handler().probe()).is_ok());
    run.end_well();
}

#[test]
fn flags_that_must_be_understood_are_refused_where_they_are_not() {
    for bit in 16..32 {
        let text = why(|table| table.flags = 1 << bit);
        assert!(text.contains(&format!("{:#x}", 1_u32 << bit)), "{text}");
    }
    for bit in 2..16 {
        assert!(changed(|table| table.flags = 1 << bit).is_ok());
    }
    assert!(
        changed(|table| table.flags = 2)
            .unwrap()
            .plugin
            .is_unloadable()
    );
    assert!(!changed(|_| {}).unwrap().plugin.is_unloadable());
}

#[test]
fn a_manifest_that_cannot_be_used_is_refused() {
    let table: [(&[u8], &str); 5] = [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff", "not UTF-8"),
        (br#"{"name":"A","version":"1"}"#, "lower-case"),
        (
            br#"{"name":"a","version":"1","services":["aurora.http.v9"]}"#,
            "needs the service `aurora.http.v9`",
        ),
    ];
    for (manifest, part) in table {
        let text = why(|table| table.manifest = Str::of(manifest));
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn services_that_are_there_can_be_needed() {
    let manifest = r#"{"name":"a","version":"1","services":["aurora.http.v1","aurora.call.v1","aurora.timer.v1","aurora.task.v1","aurora.state.v1","aurora.metrics.v1"]}"#;

    let loaded = changed(|table| table.manifest = Str::text(manifest)).unwrap();

    assert_eq!(loaded.plugin.manifest().name, "a");
}

/// Takes an option, and is public where it is asked to be.
#[derive(Default)]
struct Choosy(bool);

impl Serve for Choosy {
    fn built(
        self,
        _: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Self, BuildError> {
        BuildError::unknown_options(options, &["public"])?;
        match options.get("public") {
            Some(Value::Bool(public)) => Ok(Self(*public)),
            _ => Err(
                BuildError::new("public", "must be true or false: ü".repeat(100))
                    .with_hint("say so"),
            ),
        }
    }

    async fn serve(&self, _: &Context, _: Request) -> Result<Response, Error> {
        Response::json(&self.0)
    }
}

#[test]
fn options_that_are_refused_are_told_with_a_hint() {
    let build = |options: Value| {
        Run::with_options(Loaded::export::<Of<Choosy>>(), FakeHost::new(), &options)
    };

    let wrong = build(json!({ "public": 1 })).err().unwrap();
    assert_eq!(
        (wrong.option.as_str(), wrong.hint.as_deref()),
        ("public", Some("say so"))
    );
    assert!(
        wrong.message.starts_with("must be true") && wrong.message.len() > 500,
        "{wrong:?}"
    );
    let unknown = build(json!({ "public": true, "open": 1 })).err().unwrap();
    assert_eq!(
        (unknown.option.as_str(), unknown.message.as_str()),
        ("open", "unknown option `open`")
    );
    let run = build(json!({ "public": true })).unwrap();
    assert_eq!(run.ask(request("GET", "/")).unwrap().json(), json!(true));
    run.end_well();
}

#[test]
fn a_handler_is_no_filter_and_a_filter_no_handler() {
    let (ground, none) = (FakeHost::new().plugin_host(), Map::new());
    let handler = Loaded::export::<Of<Plain>>();
    let filter = Loaded::export::<Between<Nothing>>();

    assert_eq!(
        handler
            .plugin
            .build_filter(&ground, &none)
            .err()
            .unwrap()
            .message,
        "it is no filter"
    );
    assert_eq!(
        filter.plugin.build(&ground, &none).err().unwrap().message,
        "it is no handler"
    );
    assert!(filter.plugin.build_filter(&ground, &none).is_ok());
}

#[derive(Default)]
struct Nothing;

impl aurora_sdk::Filter for Nothing {
    fn begin(&self, _: &Context) -> Box<dyn aurora_sdk::Pass> {
        struct Through;
        impl aurora_sdk::Pass for Through {}
        Box::new(Through)
    }
}

/// Is public, and says why it must not serve.
struct Probed;

impl Handler for Probed {
    fn handle<'a>(&'a self, _: &'a Context, _: Request) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async { Response::json(&()) })
    }

    fn is_public(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Err(Error::invalid("a", "b", "the licence has run out")) })
    }
}

impl aurora_sdk::abi::export::Export for Probed {
    fn plugin() -> Box<dyn aurora_sdk::Plugin> {
        struct Maker;
        impl aurora_sdk::Plugin for Maker {
            fn manifest(&self) -> aurora_sdk::Manifest {
                aurora_sdk::Manifest::handler("probed", "1.0.0")
            }

            fn build(
                &self,
                _: &Arc<dyn PluginHost>,
                _: &Map<String, Value>,
            ) -> Result<Box<dyn Handler>, BuildError> {
                Ok(Box::new(Probed))
            }
        }
        Box::new(Maker)
    }
}

#[test]
fn a_probe_that_fails_says_why_to_the_operator() {
    let run = Run::of(Loaded::export::<Probed>(), FakeHost::new());

    assert!(run.handler().is_public());
    let error = run.host.wait(run.handler().probe()).unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the licence has run out"
    );
    // One that is given up leaves nothing behind.
    drop(run.handler().probe());
    run.end_well();
}

struct Refuses;

impl c::Plugin for Refuses {
    fn create(_: c::Host) -> Rc {
        E_CONFIG
    }

    fn handle(_: c::Host, _: c::Req) -> Result<aurora_sdk::abi::raw::Task, Rc> {
        Err(OK)
    }
}

#[test]
fn a_plugin_that_cannot_be_created_and_does_not_say_why_is_told_by_its_code() {
    let failed = Run::with_options(c::load::<Refuses>(), FakeHost::new(), &json!({}));

    assert_eq!(
        failed.err().unwrap().message,
        "it could not be created (code -8)"
    );
}
