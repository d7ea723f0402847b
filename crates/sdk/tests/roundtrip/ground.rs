//! What the tests stand on: plugins in a few lines, loaded, with somebody who watches.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use aurora_sdk::abi::export::{Export, vtable};
use aurora_sdk::abi::import::{Around, Imported, Notice};
use aurora_sdk::abi::raw::PluginVtable;
use aurora_sdk::testing::{Answer, FakeHost};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Filter, Handler, Manifest, Plugin, PluginHost, Request,
    Response,
};
use serde_json::{Map, Value, json};

/// Threads end within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A handler in a few lines.
pub(crate) trait Serve: Default + Send + Sync + 'static {
    /// Built with its host.
    fn built(self, _: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        Ok(self)
    }

    fn serve(
        &self,
        cx: &Context,
        request: Request,
    ) -> impl Future<Output = Result<Response, Error>> + Send;
}

/// The host as a handler keeps it.
#[derive(Default, Clone)]
pub(crate) struct Ground(Option<Arc<dyn PluginHost>>);

impl Ground {
    pub(crate) fn of(host: &Arc<dyn PluginHost>) -> Self {
        Self(Some(Arc::clone(host)))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

impl Deref for Ground {
    type Target = dyn PluginHost;

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().unwrap()
    }
}

/// The plugin of a handler.
#[derive(Default)]
pub(crate) struct Of<T>(T);

impl<T: Serve> Handler for Of<T> {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(self.0.serve(cx, request))
    }
}

impl<T: Serve> Plugin for Of<T> {
    fn manifest(&self) -> Manifest {
        Manifest::handler("tested", "1.0.0")
    }

    fn build(
        &self,
        host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        Ok(Box::new(Self(T::default().built(host, options)?)))
    }
}

impl<T: Serve> Export for Of<T> {
    fn plugin() -> Box<dyn Plugin> {
        Box::new(Self::default())
    }
}

/// The plugin of a filter.
#[derive(Default)]
pub(crate) struct Between<T>(PhantomData<T>);

impl<T: Filter + Default> Plugin for Between<T> {
    fn manifest(&self) -> Manifest {
        Manifest::filter("tested", "1.0.0")
    }

    fn build_filter(
        &self,
        _: &Arc<dyn PluginHost>,
        _: &Map<String, Value>,
    ) -> Result<Box<dyn Filter>, BuildError> {
        Ok(Box::new(T::default()))
    }
}

impl<T: Filter + Default> Export for Between<T> {
    fn plugin() -> Box<dyn Plugin> {
        Box::new(Self(PhantomData))
    }
}

/// Hears what plugins do wrong. Disposes at once.
#[derive(Default)]
pub(crate) struct Watch {
    notices: Mutex<Vec<Notice>>,
    max_blocking: AtomicUsize,
}

impl Watch {
    /// What it did wrong, but for being slow: the machine may be.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let mut notices = self.notices.lock().unwrap().clone();
        notices.retain(|notice| !matches!(notice, Notice::Slow(_)));
        notices
    }

    /// How long it kept a thread, where it was too long.
    pub(crate) fn slow(&self) -> Vec<Duration> {
        let notices = self.notices.lock().unwrap();
        let slow = notices.iter().filter_map(|notice| match notice {
            Notice::Slow(took) => Some(*took),
            _ => None,
        });
        slow.collect()
    }

    pub(crate) fn panics(&self) -> usize {
        let notices = self.notices();
        let panics = notices.iter().filter(|notice| **notice == Notice::Panicked);
        panics.count()
    }

    /// So many requests may block a thread at once.
    pub(crate) fn allow_blocking(&self, max: usize) {
        self.max_blocking.store(max, Ordering::Relaxed);
    }
}

impl Around for Watch {
    fn dispose(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn noticed(&self, notice: Notice) {
        self.notices.lock().unwrap().push(notice);
    }

    fn max_blocking(&self) -> usize {
        self.max_blocking.load(Ordering::Relaxed)
    }
}

/// A plugin that was loaded.
pub(crate) struct Loaded {
    pub(crate) plugin: Imported,
    pub(crate) watch: Arc<Watch>,
    keep: Weak<dyn Any + Send + Sync>,
}

impl Loaded {
    /// # Errors
    /// Why the table cannot be used.
    ///
    /// # Safety
    /// As of [`Imported::new`].
    pub(crate) unsafe fn of(vtable: *const PluginVtable) -> Result<Self, String> {
        let watch = Arc::new(Watch::default());
        watch.max_blocking.store(2, Ordering::Relaxed);
        let keep: Arc<dyn Any + Send + Sync> = Arc::new(());
        let kept = Arc::downgrade(&keep);
        let around = Arc::clone(&watch) as Arc<dyn Around>;
        // SAFETY: passed on.
        let plugin = unsafe { Imported::new(vtable, keep, around) }?;
        Ok(Self {
            plugin,
            watch,
            keep: kept,
        })
    }

    pub(crate) fn export<E: Export>() -> Self {
        // SAFETY: the table is the SDK's own.
        unsafe { Self::of(vtable::<E>()) }.unwrap()
    }
}

/// A handler that was loaded, on a host.
pub(crate) struct Run {
    pub(crate) host: FakeHost,
    pub(crate) handler: Option<Box<dyn Handler>>,
    loaded: Option<Loaded>,
    pub(crate) watch: Arc<Watch>,
    ground: Weak<dyn PluginHost>,
}

impl Run {
    pub(crate) fn new<T: Serve>(host: FakeHost) -> Self {
        Self::of(Loaded::export::<Of<T>>(), host)
    }

    pub(crate) fn of(loaded: Loaded, host: FakeHost) -> Self {
        Self::with_options(loaded, host, &json!({})).unwrap()
    }

    pub(crate) fn with_options(
        loaded: Loaded,
        host: FakeHost,
        options: &Value,
    ) -> Result<Self, BuildError> {
        let ground = host.plugin_host();
        let handler = loaded.plugin.build(&ground, options.as_object().unwrap())?;
        Ok(Self {
            host,
            handler: Some(handler),
            watch: Arc::clone(&loaded.watch),
            loaded: Some(loaded),
            ground: Arc::downgrade(&ground),
        })
    }

    pub(crate) fn handler(&self) -> &dyn Handler {
        self.handler.as_deref().unwrap()
    }

    /// The whole answer.
    #[track_caller]
    pub(crate) fn ask(&self, request: impl Into<Request>) -> Result<Answer, Error> {
        self.host.ask(self.handler(), request)
    }

    /// The answer when it has begun.
    #[track_caller]
    pub(crate) fn begin(&self, request: impl Into<Request>) -> Result<Response, Error> {
        let cx = self.host.context();
        self.host.wait(self.handler().handle(&cx, request.into()))
    }

    /// The route is gone, and with it all that was made for it.
    #[track_caller]
    pub(crate) fn end(mut self) -> Vec<Notice> {
        self.handler = None;
        let loaded = self.loaded.take().unwrap();
        let keep = Weak::clone(&loaded.keep);
        drop(loaded);
        self.host.end();
        // Threads may be on their last steps.
        let began = Instant::now();
        while self.ground.strong_count() + keep.strong_count() > 0 && began.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        assert_eq!(self.ground.strong_count(), 0, "somebody still has the host");
        assert_eq!(keep.strong_count(), 0, "somebody still has the library");
        self.watch.notices()
    }

    /// As [`Run::end`], where nothing was done wrong.
    #[track_caller]
    pub(crate) fn end_well(self) {
        assert_eq!(self.end(), []);
    }
}
