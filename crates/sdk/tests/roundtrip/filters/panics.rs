//! Panics of filters.

use aurora_sdk::abi::import::Notice;
use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{BoxFuture, Context, Error, Filter, Pass, Request, Response};

use super::answers::events;
use super::{Changes, Filtering, answer};
use crate::ground::{Between, Loaded};

#[test]
fn a_panic_of_a_filter_ends_the_answer_and_nothing_else() {
    let (chunks, events_run) = (
        Filtering::new::<Changes<2>>(),
        Filtering::new::<Changes<3>>(),
    );

    let chunked = chunks
        .pass(request("GET", "/panic"), answer())
        .unwrap()
        .answer;
    assert_eq!(
        (chunked.text().as_str(), chunked.broken.unwrap().code()),
        ("abc", "plugin_failed")
    );
    let evented = events_run
        .pass(request("GET", "/panic"), events())
        .unwrap()
        .answer;
    assert_eq!(
        (evented.events().len(), evented.broken.unwrap().code()),
        (1, "plugin_failed")
    );
    assert_eq!(
        chunks
            .pass(request("GET", "/all"), answer())
            .unwrap()
            .answer
            .text(),
        "abcdef|2"
    );
    // Nobody can be told any more.
    assert!(
        chunks
            .pass(request("GET", "/panic-in-end"), answer())
            .is_ok()
    );
    assert_eq!(
        (chunks.end(), events_run.end()),
        (vec![Notice::Panicked], vec![Notice::Panicked])
    );
}

/// Panics at every other turn.
#[derive(Default)]
struct Panics;

struct Panicking;

impl Filter for Panics {
    fn begin(&self, cx: &Context) -> Box<dyn Pass> {
        assert!(&*cx.client().name != "panic", "on purpose");
        Box::new(Panicking)
    }
}

impl Pass for Panicking {
    fn request<'a>(
        &'a mut self,
        request: &'a mut Request,
    ) -> BoxFuture<'a, Result<Option<Response>, Error>> {
        assert!(request.path != "/at-once", "on purpose");
        Box::pin(async { panic!("on purpose") })
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        // A second panic on top of a first one is the end of any process.
        assert!(std::thread::panicking(), "on purpose");
    }
}

#[test]
fn a_panic_before_the_handler_is_a_500() {
    let run = Filtering::new::<Panics>();
    let none = Filtering::of(
        Loaded::export::<Between<Panics>>(),
        FakeHost::new().client("panic"),
    );

    for (filtering, path) in [(&run, "/at-once"), (&run, "/later"), (&none, "/begin")] {
        let error = filtering.pass(request("GET", path), answer()).unwrap_err();

        assert_eq!(
            (error.status().as_u16(), error.code()),
            (500, "plugin_failed"),
            "{path}"
        );
    }
    assert_eq!(
        (run.end(), none.end()),
        (vec![Notice::Panicked; 2], vec![Notice::Panicked])
    );
}
