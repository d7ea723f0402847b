//! One request in one filter, which hears of its end exactly once. A panic in it ends the answer and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use aurora_openai::chat::Usage;
use aurora_sdk::{
    Context, End, Error, ErrorKind, Event, Filter, Follows, Origin, Pass, Request, Response,
};
use bytes::Bytes;
use http::StatusCode;

use super::super::host::RequestHost;
use crate::snapshot::Built;

/// See the module.
pub(super) struct Passing {
    filter: Arc<Built<dyn Filter>>,
    pass: Box<dyn Pass>,
    follows: Follows,
    status: StatusCode,
    usage: Option<Usage>,
    /// Whether it has heard of the end, or is not to.
    is_over: bool,
}

impl Passing {
    pub(super) fn new(filter: &Arc<Built<dyn Filter>>, host: &RequestHost) -> Self {
        let cx = Context::new(Arc::new(host.of_filter(&filter.name)));
        Self {
            filter: Arc::clone(filter),
            pass: filter.what.begin(&cx),
            follows: filter.what.follows(),
            status: StatusCode::OK,
            usage: None,
            is_over: false,
        }
    }

    pub(super) fn follows(&self) -> Follows {
        self.follows
    }

    pub(super) fn follows_body(&self) -> bool {
        matches!(self.follows, Follows::Chunks | Follows::Events)
    }

    /// It answered by itself: it does not follow its own answer.
    pub(super) fn forget(mut self) {
        self.is_over = true;
    }

    pub(super) async fn request(
        &mut self,
        request: &mut Request,
    ) -> Result<Option<Response>, Error> {
        self.pass.request(request).await
    }

    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Pass) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let pass = self.pass.as_mut();
        catch_unwind(AssertUnwindSafe(|| work(pass))).unwrap_or_else(|_| {
            // Whatever state it is in, it is asked nothing more.
            self.is_over = true;
            let filter = &self.filter.name;
            tracing::error!(filter = &**filter, "filter panicked");
            let message = format!("filter `{filter}` failed; the gateway's log has the reason");
            Err(Error::new(
                ErrorKind::Internal,
                Origin::Gateway,
                "plugin_failed",
                message,
            ))
        })
    }

    pub(super) fn head(&mut self, answer: &mut Response) -> Result<(), Error> {
        if self.follows != Follows::Nothing {
            self.guarded(|pass| pass.head(&mut answer.status, &mut answer.headers))?;
        }
        self.status = answer.status;
        Ok(())
    }

    pub(super) fn chunk(&mut self, chunk: Bytes) -> Result<Vec<Bytes>, Error> {
        let mut out = Vec::new();
        self.guarded(|pass| pass.chunk(chunk, &mut out))?;
        Ok(out)
    }

    pub(super) fn last_chunks(&mut self) -> Result<Vec<Bytes>, Error> {
        let mut out = Vec::new();
        self.guarded(|pass| pass.last_chunks(&mut out))?;
        Ok(out)
    }

    fn event(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Error> {
        self.usage = event.usage().or(self.usage);
        self.guarded(|pass| pass.event(event, out))
    }

    /// The handler failed with `status`.
    pub(super) fn failed(&mut self, status: StatusCode) {
        self.status = status;
        self.end(true);
    }

    /// The answer has ended.
    pub(super) fn end(&mut self, is_complete: bool) {
        if std::mem::replace(&mut self.is_over, true) || self.follows == Follows::Nothing {
            return;
        }
        let end = End {
            status: self.status,
            is_complete,
            usage: self.usage,
        };
        // Nobody is there to be told.
        self.guarded(|pass| {
            pass.end(&end);
            Ok(())
        })
        .unwrap_or_default();
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// Filters that follow the same events, in the order in which they see the answer.
#[derive(Default)]
pub(super) struct Group(Vec<Passing>);

impl Group {
    pub(super) fn push(&mut self, passing: Passing) {
        self.0.push(passing);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What becomes of `event`.
    pub(super) fn event(&mut self, event: Event) -> Result<Vec<Event>, Error> {
        Self::lead(&mut self.0, vec![event])
    }

    fn lead(passes: &mut [Passing], mut events: Vec<Event>) -> Result<Vec<Event>, Error> {
        for passing in passes {
            let mut out = Vec::with_capacity(events.len());
            for event in events {
                passing.event(event, &mut out)?;
            }
            events = out;
        }
        Ok(events)
    }

    /// What comes after the last event.
    pub(super) fn last(&mut self) -> Result<Vec<Event>, Error> {
        let mut all = Vec::new();
        for index in 0..self.0.len() {
            let (before, rest) = self.0.split_at_mut(index + 1);
            let Some(passing) = before.last_mut() else {
                break;
            };
            let mut out = Vec::new();
            passing.guarded(|pass| pass.last_events(&mut out))?;
            all.append(&mut Self::lead(rest, out)?);
        }
        Ok(all)
    }

    pub(super) fn failed(&mut self, status: StatusCode) {
        self.0.iter_mut().for_each(|passing| passing.failed(status));
    }

    pub(super) fn end(&mut self, is_complete: bool) {
        self.0
            .iter_mut()
            .for_each(|passing| passing.end(is_complete));
    }
}
