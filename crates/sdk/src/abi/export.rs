//! A plugin as a C table: what a library gives to the host that loads it.

mod body;
mod call;
mod fetch;
mod filter;
mod hold;
mod host;
mod log;
mod request;
mod response;
mod state;
mod tables;
mod task;

pub(crate) use body::RequestBody;
pub(crate) use fetch::FetchBody;
pub(crate) use request::Part;

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use serde_json::{Map, Value};

use self::host::RemoteHost;
use self::request::RemoteRequest;
use super::fault;
use super::memory::{guard, guarded, size, write_text};
use super::raw::{
    BuildFailure, E_CONFIG, E_INTERNAL, E_INVALID, E_PANIC, E_UNSUPPORTED, FACET_FILTER,
    FACET_PROBE, Handlers, HostTable, Instance, OK, PluginVtable, ProbeFacet, Rc, Req, Str, Task,
};
use crate::{BuildError, Filter, Handler, Plugin, PluginHost};

/// Makes a loadable plugin of a library: `export_plugin!(Hello)` where `Hello` is an expression that makes the plugin.
///
/// Exports the two symbols that the host looks for. A panic anywhere in the plugin ends the request that it belongs to and
/// nothing else, so the library must be built with unwinding panics.
///
/// A library that is built as a part of another program must not export them: put the line behind a feature then.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:expr) => {
        #[cfg(panic = "abort")]
        compile_error!(
            "a plugin must be built with panic = \"unwind\": a panic would end the whole gateway"
        );

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        #[used]
        #[allow(non_upper_case_globals, reason = "the interface says how it is called")]
        pub static aurora_abi_note_v1: $crate::abi::raw::Note = $crate::abi::raw::Note::current(0);

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn aurora_plugin_entry_v1() -> *const $crate::abi::raw::PluginVtable {
            struct Exported;
            impl $crate::abi::export::Export for Exported {
                fn plugin() -> Box<dyn $crate::Plugin> {
                    Box::new($plugin)
                }
            }
            $crate::abi::export::entry::<Exported>()
        }
    };
}

/// What [`export_plugin`] implements.
pub trait Export: 'static {
    /// Makes the plugin.
    fn plugin() -> Box<dyn Plugin>;
}

/// The table of a library whose only plugin is `E`'s; null where its manifest cannot be made.
pub fn entry<E: Export>() -> *const PluginVtable {
    guard(std::ptr::null(), || {
        log::install();
        std::ptr::from_ref(vtable::<E>())
    })
}

/// The table of `E`'s plugin. Made once for each library, and there as long as it is.
pub fn vtable<E: Export>() -> &'static PluginVtable {
    let manifest = serde_json::to_string(&E::plugin().manifest()).unwrap_or_default();
    let manifest: &'static str = Box::leak(manifest.into_boxed_str());
    Box::leak(Box::new(PluginVtable {
        size: size::<PluginVtable>(),
        flags: 0,
        manifest: Str::text(manifest),
        create: Some(create::<E>),
        handle: Some(handle),
        drain: Some(drain),
        destroy: Some(destroy),
        get_extension: Some(get_extension),
        properties: Some(properties),
    }))
}

/// An instance: what [`Instance`] points to.
struct Made {
    form: Form,
    host: Arc<RemoteHost>,
}

enum Form {
    Handler(Arc<dyn Handler>),
    Filter(Arc<dyn Filter>),
}

impl Made {
    /// # Safety
    /// `instance` is one that `create` made and `destroy` has not yet had.
    unsafe fn of<'a>(instance: *mut Instance) -> &'a Self {
        // SAFETY: the caller vouches for it.
        unsafe { &*instance.cast::<Self>() }
    }
}

unsafe extern "C" fn create<E: Export>(
    host: *const HostTable,
    kind: i32,
    options: Str,
    out: *mut *mut Instance,
    failure: *mut BuildFailure,
) -> Rc {
    // SAFETY: the options are there for the call.
    let options = unsafe { options.bytes() }.to_vec();
    let panicked = (E_PANIC, BuildError::new("", "it panicked"));
    let made = guard(Err(panicked), move || {
        // SAFETY: passed on.
        unsafe { make::<E>(host, kind, &options) }.map_err(|error| (E_CONFIG, error))
    });
    match made {
        Ok(made) => {
            // SAFETY: `out` is the host's, to be filled.
            unsafe { out.write(Box::into_raw(made).cast()) };
            OK
        }
        Err((code, error)) => {
            // SAFETY: `failure` is the host's, to be filled.
            unsafe { report(failure, code, &error) };
            code
        }
    }
}

/// # Safety
/// The host is there, and keeps to the contract.
unsafe fn make<E: Export>(
    host: *const HostTable,
    kind: i32,
    options: &[u8],
) -> Result<Box<Made>, BuildError> {
    let options: Map<String, Value> = serde_json::from_slice(options)
        .map_err(|error| BuildError::new("", format!("its options are no JSON object: {error}")))?;
    // SAFETY: the caller vouches for the host.
    let remote = unsafe { RemoteHost::new(host) };
    let remote = Arc::new(remote.map_err(|what| BuildError::new("", what))?);
    log::attach(&remote);
    let shared = Arc::clone(&remote) as Arc<dyn PluginHost>;
    let form = match kind {
        0 => Form::Handler(E::plugin().build(&shared, &options)?.into()),
        1 => Form::Filter(E::plugin().build_filter(&shared, &options)?.into()),
        _ => return Err(BuildError::new("", "it cannot be used like this")),
    };
    Ok(Box::new(Made { form, host: remote }))
}

/// # Safety
/// `failure` is null or points to a struct of at least its `size`.
unsafe fn report(failure: *mut BuildFailure, code: Rc, error: &BuildError) {
    if failure.is_null() {
        return;
    }
    // SAFETY: the size stands at the beginning of every version of the struct.
    let size = unsafe { failure.cast::<u32>().read() };
    if (size as usize) < size_of::<BuildFailure>() {
        return;
    }
    // SAFETY: it is large enough.
    let failure = unsafe { &mut *failure };
    failure.code = code;
    write_text(&mut failure.option, &error.option);
    write_text(&mut failure.text, &error.message);
    write_text(&mut failure.hint, error.hint.as_deref().unwrap_or_default());
}

unsafe extern "C" fn handle(instance: *mut Instance, req: *mut Req, out: *mut Task) -> Rc {
    guarded(|| {
        // SAFETY: the host passes an instance that it has not destroyed.
        let made = unsafe { Made::of(instance) };
        let Form::Handler(handler) = &made.form else {
            return E_UNSUPPORTED;
        };
        // SAFETY: the host keeps the request and the instance until the task is dropped.
        let Some(lent) = (unsafe { RemoteRequest::lent(req, &made.host) }) else {
            return E_INVALID;
        };
        // SAFETY: as above.
        let task = unsafe { response::serve(handler.as_ref(), lent) };
        // SAFETY: `out` is the host's, to be filled.
        unsafe { out.write(task) };
        OK
    })
}

unsafe extern "C" fn drain(instance: *mut Instance) {
    // SAFETY: the host passes an instance that it has not destroyed.
    guard((), || match unsafe { &Made::of(instance).form } {
        Form::Handler(handler) => handler.drain(),
        Form::Filter(filter) => filter.drain(),
    });
}

unsafe extern "C" fn destroy(instance: *mut Instance) {
    guard((), || {
        // SAFETY: the host destroys an instance once, and uses it no more.
        drop(unsafe { Box::from_raw(instance.cast::<Made>()) });
    });
}

unsafe extern "C" fn properties(instance: *mut Instance) -> u32 {
    // SAFETY: the host passes an instance that it has not destroyed.
    guard(0, || match unsafe { &Made::of(instance).form } {
        Form::Handler(handler) if handler.is_public() => Handlers::PUBLIC,
        Form::Handler(_) | Form::Filter(_) => 0,
    })
}

unsafe extern "C" fn get_extension(instance: *mut Instance, id: *const c_char) -> *const c_void {
    // SAFETY: the id is there for the call and ends with NUL.
    let id = unsafe { CStr::from_ptr(id) }.to_bytes();
    if id == FACET_PROBE.as_bytes() {
        return (&raw const PROBE).cast();
    }
    // SAFETY: the host passes an instance that it has not destroyed.
    let is_filter = matches!(unsafe { &Made::of(instance).form }, Form::Filter(_));
    if is_filter && id == FACET_FILTER.as_bytes() {
        return (&raw const filter::FACET).cast();
    }
    std::ptr::null()
}

static PROBE: ProbeFacet = ProbeFacet {
    size: size::<ProbeFacet>(),
    reserved: 0,
    start: start_probe,
};

unsafe extern "C" fn start_probe(
    instance: *mut Instance,
    out: *mut Task,
    failure: *mut BuildFailure,
) -> Rc {
    // The host keeps the struct until the probe has ended.
    let failure = FailurePlace(failure);
    guarded(|| {
        // SAFETY: the host passes an instance that it has not destroyed.
        let made = unsafe { Made::of(instance) };
        let probe: crate::BoxFuture<'static, Result<(), crate::Error>> = match &made.form {
            Form::Handler(handler) => {
                let handler = Arc::clone(handler);
                Box::pin(async move { handler.probe().await })
            }
            Form::Filter(filter) => {
                let filter = Arc::clone(filter);
                Box::pin(async move { filter.probe().await })
            }
        };
        let probing = async move {
            match probe.await {
                Ok(()) => OK,
                Err(error) => {
                    let cause = fault::cause(&error);
                    let what = if cause.is_empty() {
                        error.message()
                    } else {
                        &cause
                    };
                    failure.write(&BuildError::new("", what));
                    E_INTERNAL
                }
            }
        };
        // SAFETY: `out` is the host's, to be filled.
        unsafe { out.write(task::of(probing)) };
        OK
    })
}

/// Where a probe says why it failed.
struct FailurePlace(*mut BuildFailure);

// SAFETY: the host hands the place over until the probe has ended.
unsafe impl Send for FailurePlace {}

impl FailurePlace {
    fn write(&self, error: &BuildError) {
        // SAFETY: as above.
        unsafe { report(self.0, E_INTERNAL, error) };
    }
}
