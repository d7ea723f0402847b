//! A test that an instance makes of itself.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Instance, built, no_failure};
use crate::abi::import::handler::Task;
use crate::abi::raw::{BuildFailure, ProbeFacet, Rc, Task as RawTask};
use crate::{BuildError, Error};

/// A probe under way. Its task goes first, since it may still write why it failed.
pub(super) struct Probing {
    task: Task,
    failure: Place,
    instance: Arc<Instance>,
}

impl Probing {
    /// Begins the probe of `instance`.
    pub(super) fn begin(instance: &Arc<Instance>, facet: &ProbeFacet) -> Self {
        let failure = Place::new();
        let mut raw = RawTask::NONE;
        // SAFETY: the instance is there, and both places are there until the probe has ended.
        let code = unsafe { (facet.start)(instance.raw(), &raw mut raw, failure.0) };
        Self {
            task: Task::new(raw, code),
            failure,
            instance: Arc::clone(instance),
        }
    }

    /// Waits for how it ends.
    pub(super) async fn ended(mut self) -> Result<(), Error> {
        let code = poll_fn(|cx| self.poll(cx)).await;
        if code >= 0 {
            return Ok(());
        }
        self.instance.note(code);
        Err(Error::internal(self.failure.take(code).message))
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Rc> {
        self.task.poll(cx, &self.instance)
    }
}

/// Where a plugin writes why it failed, for longer than a call.
struct Place(*mut BuildFailure);

// SAFETY: it is the only owner of what it points to, but for the plugin that fills it.
unsafe impl Send for Place {}

impl Place {
    fn new() -> Self {
        Self(Box::into_raw(Box::new(no_failure())))
    }

    /// What was written, after `code`.
    fn take(&self, code: i32) -> BuildError {
        // SAFETY: it is there, and the plugin has ended.
        built(unsafe { &*self.0 }, code)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: it is the box of `new`.
        drop(unsafe { Box::from_raw(self.0) });
    }
}
