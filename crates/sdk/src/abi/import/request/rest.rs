//! What a request has beyond what every request has.

use std::task::Waker as StdWaker;

use http::StatusCode;

use super::Head;
use crate::abi::raw::Rc;
use crate::{Body, BoxFuture, Error, Headers};

/// A box, because every request has the room for it.
#[derive(Default)]
pub(super) struct Inner(pub(super) Option<Box<Rest>>);

impl Inner {
    pub(super) fn rest(&mut self) -> &mut Rest {
        self.0.get_or_insert_default()
    }
}

/// What most requests never have.
#[derive(Default)]
pub(super) struct Rest {
    /// As filters changed it; the last one counts, and none goes before the request does.
    #[expect(clippy::vec_box, reason = "the former ones are lent while others come")]
    pub(super) heads: Vec<Box<Head>>,
    pub(super) answer: Option<(StatusCode, Headers)>,
    pub(super) forwarded: Option<Body>,
    pub(super) fault: Option<Told>,
    pub(super) gone: Option<BoxFuture<'static, ()>>,
    /// Threads of the plugin that wait.
    pub(super) waiting: Vec<StdWaker>,
    /// Wakers of the plugin's own, by what was asked with them: they may be those of threads that outlive the task.
    pub(super) asking: [Option<StdWaker>; 3],
}

/// What went wrong, as it was told before a negative code.
pub(super) enum Told {
    /// By the plugin: it holds whatever the code is.
    Said(Error),
    /// By the host, with that code: the plugin may have dealt with it, and return another one later.
    Seen(Rc, Error),
}

impl Rest {
    pub(super) fn take_wakers(&mut self) -> impl Iterator<Item = StdWaker> + use<> {
        let (waiting, asking) = (
            std::mem::take(&mut self.waiting),
            std::mem::take(&mut self.asking),
        );
        waiting.into_iter().chain(asking.into_iter().flatten())
    }
}

/// Not under a lock: they may be the plugin's.
pub(super) fn wake(wakers: impl Iterator<Item = StdWaker>) {
    for waker in wakers {
        waker.wake();
    }
}
