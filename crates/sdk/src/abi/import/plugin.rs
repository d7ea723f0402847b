//! A library as a plugin, and what it makes as instances.

mod probe;

use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

use self::probe::Probing;
use super::filter::ImportedFilter;
use super::handler::ImportedHandler;
use super::host::HostSide;
use crate::abi::memory::{Keep, read_text, size};
use crate::abi::raw::{
    BuildFailure, EXTENSIONS, FACET_FILTER, FACET_PROBE, FilterFacet, Handlers,
    Instance as RawInstance, MAJOR, MINOR, Note, OK, PluginVtable, ProbeFacet, Str, UNLOADABLE,
};
use crate::{BoxFuture, BuildError, Error, Filter, Handler, Kind, Manifest, Plugin, PluginHost};

/// Flags from this bit on must be understood.
const MUST_UNDERSTAND: u32 = 0xFFFF_0000;

/// What a loaded plugin needs around it.
pub trait Around: Send + Sync + 'static {
    /// Runs `work`, which may block, away from requests, when there is time.
    fn dispose(&self, work: Box<dyn FnOnce() + Send>);

    /// Hears what the plugin did wrong.
    fn noticed(&self, notice: Notice);

    /// How many of its requests may block a thread at once.
    fn max_blocking(&self) -> usize;
}

/// What a plugin did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It panicked, or threw what it calls an exception.
    Panicked,
    /// It kept a thread of the gateway for that long.
    Slow(Duration),
    /// It left so many things open.
    Leaked(usize),
}

/// Whether this host can load a library with `note`.
///
/// # Errors
/// Why not, naming both versions.
pub fn is_compatible(note: &Note) -> Result<(), String> {
    if note.magic != Note::current(0).magic || (note.note_size as usize) < Note::SIZE {
        return Err("it has no note of a plugin that can be read".to_owned());
    }
    let (major, minor) = (note.abi_major, note.abi_minor);
    if major != MAJOR {
        return Err(format!(
            "it was built for plugin interface {major}.{minor}, and this gateway speaks {MAJOR}.{MINOR}: build it against \
             the header or SDK of this version"
        ));
    }
    let needed = note.min_host_minor;
    if needed > MINOR {
        return Err(format!(
            "it needs plugin interface {major}.{needed} or later, and this gateway speaks {MAJOR}.{MINOR}: use a newer gateway"
        ));
    }
    let ours = Note::current(0);
    if (note.pointer_bits, note.little_endian) != (ours.pointer_bits, ours.little_endian) {
        return Err("it was built for another kind of processor".to_owned());
    }
    Ok(())
}

/// A loaded plugin.
pub struct Imported {
    library: Arc<Library>,
}

pub(super) struct Library {
    pub(super) vtable: PluginVtable,
    pub(super) manifest: Manifest,
    pub(super) keep: Arc<Keep>,
    pub(super) around: Arc<dyn Around>,
}

impl std::fmt::Debug for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Imported")
            .field(&self.library.manifest)
            .finish()
    }
}

impl Imported {
    /// The plugin of `vtable`; `keep` is what keeps its code mapped.
    ///
    /// # Errors
    /// Why it cannot be used.
    ///
    /// # Safety
    /// `vtable` is what the entry function of a library gave, the library keeps to the contract of the interface, and it is
    /// there as long as `keep` is.
    pub unsafe fn new(
        vtable: *const PluginVtable,
        keep: Arc<Keep>,
        around: Arc<dyn Around>,
    ) -> Result<Self, String> {
        if vtable.is_null() {
            return Err("its entry function gave no table".to_owned());
        }
        // SAFETY: the size stands at the beginning of every version of the table.
        let size = unsafe { vtable.cast::<u32>().read() };
        if (size as usize) < size_of::<PluginVtable>() {
            return Err(format!(
                "its table has {size} bytes, and the oldest that can be used has {}",
                size_of::<PluginVtable>()
            ));
        }
        // SAFETY: it is large enough; what is longer is of a later version and of no concern.
        let vtable = unsafe { vtable.read() };
        if vtable.flags & MUST_UNDERSTAND != 0 {
            return Err(format!(
                "it asks for what this gateway does not know (flags {:#x}): use a newer gateway",
                vtable.flags & MUST_UNDERSTAND
            ));
        }
        // SAFETY: the manifest is static.
        let manifest = unsafe { vtable.manifest.as_text() };
        let manifest = Manifest::parse(manifest.ok_or("its manifest is not UTF-8")?)?;
        let is_handler = manifest.is_kind(Kind::Handler);
        if vtable.create.is_none()
            || vtable.destroy.is_none()
            || (is_handler && vtable.handle.is_none())
        {
            return Err("its table lacks `create`, `destroy` or `handle`".to_owned());
        }
        if let Some(missing) = manifest
            .services
            .iter()
            .find(|id| !EXTENSIONS.contains(&id.as_str()))
        {
            return Err(format!(
                "it needs the service `{missing}`, which this gateway does not have"
            ));
        }
        let library = Library {
            vtable,
            manifest,
            keep,
            around,
        };
        Ok(Self {
            library: Arc::new(library),
        })
    }

    /// Whether its author says that nothing of it outlives its instances.
    pub fn is_unloadable(&self) -> bool {
        self.library.vtable.flags & UNLOADABLE != 0
    }

    fn create(
        &self,
        kind: i32,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Arc<Instance>, BuildError> {
        let json = Value::Object(options.clone()).to_string();
        let (mut raw, mut failure) = (std::ptr::null_mut(), no_failure());
        let Some(create) = self.library.vtable.create else {
            return Err(BuildError::new("", "it cannot be created"));
        };
        // It is there before its plugin's part, so that what it begins in the background belongs to it.
        let instance = Arc::new(Instance {
            host: HostSide::new(Arc::clone(host), Arc::clone(&self.library)),
            raw: AtomicPtr::default(),
            polls: AtomicU32::new(0),
        });
        instance.host.belongs_to(&instance);
        // SAFETY: host and options are there for the call, and both places are ours.
        let code = unsafe {
            create(
                instance.host.table(),
                kind,
                Str::text(&json),
                &raw mut raw,
                &raw mut failure,
            )
        };
        if code == OK && !raw.is_null() {
            instance.raw.store(raw, Ordering::Release);
            return Ok(instance);
        }
        instance.note(code);
        Err(built(&failure, code))
    }
}

fn no_failure() -> BuildFailure {
    BuildFailure {
        size: size::<BuildFailure>(),
        code: OK,
        option: [0; 128],
        text: [0; 512],
        hint: [0; 256],
    }
}

fn built(failure: &BuildFailure, code: i32) -> BuildError {
    let (text, hint) = (read_text(&failure.text), read_text(&failure.hint));
    let text = if text.is_empty() {
        format!("it could not be created (code {code})")
    } else {
        text
    };
    let error = BuildError::new(read_text(&failure.option), text);
    if hint.is_empty() {
        error
    } else {
        error.with_hint(hint)
    }
}

impl Plugin for Imported {
    fn manifest(&self) -> Manifest {
        self.library.manifest.clone()
    }

    fn build(
        &self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        Ok(Box::new(ImportedHandler::new(
            self.create(0, host, options)?,
        )))
    }

    fn build_filter(
        &self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Filter>, BuildError> {
        let instance = self.create(1, host, options)?;
        let facet = instance.facet::<FilterFacet>(FACET_FILTER);
        let facet = facet.ok_or_else(|| {
            BuildError::new("", "it says that it is a filter and has no filter in it")
        })?;
        Ok(Box::new(ImportedFilter::new(instance, facet)))
    }
}

/// What a plugin made of some options. Destroyed, away from requests, when nobody uses it any more.
pub(super) struct Instance {
    pub(super) host: Arc<HostSide>,
    /// Null until it is made.
    raw: AtomicPtr<RawInstance>,
    /// Polls so far, roughly.
    polls: AtomicU32,
}

impl Instance {
    /// What the plugin calls it. The contract lets many threads use it at once.
    pub(super) fn raw(&self) -> *mut RawInstance {
        self.raw.load(Ordering::Acquire)
    }

    /// Whether the next poll is timed: the first ones are, and then one in so many, because reading the clock costs as much
    /// as passing on a piece. Two threads may count one poll twice; that does not matter.
    pub(super) fn is_timed(&self) -> bool {
        const ALWAYS: u32 = 64;
        const THEN: u32 = 64;
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store(polls.wrapping_add(1), Ordering::Relaxed);
        polls < ALWAYS || polls.is_multiple_of(THEN)
    }

    pub(super) fn library(&self) -> &Library {
        &self.host.library
    }

    /// A facet of it.
    fn facet<T>(&self, id: &str) -> Option<&'static T> {
        let id = CString::new(id).ok()?;
        let get = self.library().vtable.get_extension?;
        // SAFETY: the instance is there, and the id ends with NUL.
        let facet = unsafe { get(self.raw(), id.as_ptr()) };
        if facet.is_null() {
            return None;
        }
        // SAFETY: the size stands at the beginning of every facet.
        let size = unsafe { facet.cast::<u32>().read() };
        // SAFETY: it is large enough, and there as long as the library, which the instance keeps.
        (size as usize >= size_of::<T>()).then(|| unsafe { &*facet.cast::<T>() })
    }

    pub(super) fn is_public(&self) -> bool {
        // SAFETY: the instance is there.
        let properties = self
            .library()
            .vtable
            .properties
            .map(|properties| unsafe { properties(self.raw()) });
        properties.is_some_and(|bits| bits & Handlers::PUBLIC != 0)
    }

    pub(super) fn drain(&self) {
        if let Some(drain) = self.library().vtable.drain {
            // SAFETY: the instance is there.
            unsafe { drain(self.raw()) };
        }
    }

    /// A test of itself.
    pub(super) fn probe(self: &Arc<Self>) -> BoxFuture<'static, Result<(), Error>> {
        let Some(facet) = self.facet::<ProbeFacet>(FACET_PROBE) else {
            return Box::pin(std::future::ready(Ok(())));
        };
        Box::pin(Probing::begin(self, facet).ended())
    }

    /// The other side panicked?
    pub(super) fn note(&self, code: i32) {
        if code == crate::abi::raw::E_PANIC {
            self.library().around.noticed(Notice::Panicked);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let (host, raw) = (Arc::clone(&self.host), Raw(self.raw()));
        let destroying = move || {
            // Closures take fields one by one; the whole may cross threads.
            let raw = raw;
            // Nothing of it runs any more when it is destroyed.
            host.tasks.end();
            if let Some(destroy) = host.library.vtable.destroy.filter(|_| !raw.0.is_null()) {
                // SAFETY: nobody uses the instance any more.
                unsafe { destroy(raw.0) };
            }
            host.end();
        };
        self.library().around.dispose(Box::new(destroying));
    }
}

struct Raw(*mut RawInstance);

// SAFETY: the contract lets any thread destroy an instance.
unsafe impl Send for Raw {}
