//! Time, tasks and threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{BuildError, Context, Error, Level, PluginHost, Request, Response};
use serde_json::{Map, Value, json};

use crate::bodies::poll_once;
use crate::ground::{Ground, Run, Serve};

/// Sleeps for as many ms as the path says.
#[derive(Default)]
struct Sleeps(Ground);

impl Serve for Sleeps {
    fn built(self, host: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        Ok(Self(Ground::of(host)))
    }

    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        let ms = request.path.trim_start_matches('/').parse().unwrap();
        self.0.sleep(Duration::from_millis(ms)).await;
        Response::json(&ms)
    }
}

#[test]
fn a_timer_runs_off_when_its_time_has_passed() {
    let run = Run::new::<Sleeps>(FakeHost::new().manual_time());
    let cx = run.host.context();

    let mut asking = run.handler().handle(&cx, request("GET", "/100").into());
    assert!(poll_once(&mut asking).is_pending());
    run.host.advance(Duration::from_millis(99));
    assert!(poll_once(&mut asking).is_pending());
    run.host.advance(Duration::from_millis(1));
    assert!(run.host.wait(asking).is_ok());

    assert_eq!(run.host.slept(), [Duration::from_millis(100)]);
    drop(cx);
    run.end_well();
}

#[test]
fn a_timer_of_a_client_that_left_is_closed() {
    let run = Run::new::<Sleeps>(FakeHost::new().manual_time());
    let cx = run.host.context();

    let mut asking = run.handler().handle(&cx, request("GET", "/100").into());
    assert!(poll_once(&mut asking).is_pending());
    drop(asking);

    drop(cx);
    run.end_well();
}

/// Counts itself while it is there.
struct Alive;

static ALIVE: AtomicUsize = AtomicUsize::new(0);

impl Alive {
    fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Begins tasks: one that ends, and one that never does.
#[derive(Default)]
struct Spawns(Ground);

/// How many were alive when the plugin was destroyed.
static AT_THE_END: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Drop for Spawns {
    fn drop(&mut self) {
        // Others only tell what they are.
        if self.0.is_there() {
            AT_THE_END.store(ALIVE.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }
}

impl Serve for Spawns {
    fn built(
        mut self,
        host: &Arc<dyn PluginHost>,
        _: &Map<String, Value>,
    ) -> Result<Self, BuildError> {
        let ground = Ground::of(host);
        let (alive, inside) = (Alive::new(), ground.clone());
        // Begun while it is built, and it holds the host.
        host.spawn(
            "for ever",
            Box::pin(async move {
                let (_alive, ground) = (alive, inside);
                loop {
                    ground.sleep(Duration::from_hours(1)).await;
                    ground.log(Level::Info, "an hour");
                }
            }),
        );
        self.0 = ground;
        Ok(self)
    }

    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let (cx, alive) = (cx.clone(), Alive::new());
        let ground = self.0.clone();
        self.0.spawn(
            "one",
            Box::pin(async move {
                let _alive = alive;
                if request.path == "/for-ever" {
                    // It holds its request for ever, too.
                    let _held = (cx, request);
                    return std::future::pending().await;
                }
                ground.sleep(Duration::from_secs(1)).await;
                ground.log(Level::Info, &request.path);
            }),
        );
        Response::json(&())
    }
}

#[test]
fn a_task_goes_on_when_its_request_has_ended_and_ends_with_the_plugin_at_the_latest() {
    let run = Run::new::<Spawns>(FakeHost::new().manual_time());
    run.host.work();
    let before = ALIVE.load(Ordering::SeqCst);

    for path in ["/one", "/for-ever"] {
        run.ask(request("GET", path)).unwrap();
    }
    assert_eq!(
        (ALIVE.load(Ordering::SeqCst), run.host.tasks()),
        (before + 2, 3)
    );
    run.host.advance(Duration::from_secs(1));
    run.host.work();
    assert_eq!(run.host.logged(), [(Level::Info, "/one".to_owned())]);
    assert_eq!(
        (ALIVE.load(Ordering::SeqCst), run.host.tasks()),
        (before + 1, 2)
    );
    run.host.advance(Duration::from_hours(1));
    run.host.work();
    assert_eq!(run.host.logged().len(), 2);
    let host = run.host.clone();
    run.end_well();

    // Before the plugin was destroyed.
    assert_eq!(AT_THE_END.load(Ordering::SeqCst), before - 1);
    host.work();
    assert_eq!(host.tasks(), 0);
}

/// Computes elsewhere.
#[derive(Default)]
struct Computes(Ground);

impl Serve for Computes {
    fn built(self, host: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        Ok(Self(Ground::of(host)))
    }

    async fn serve(&self, _: &Context, request: Request) -> Result<Response, Error> {
        let (here, result) = (std::thread::current().id(), Arc::new(Mutex::new(None)));
        let told = Arc::clone(&result);
        let panics = request.path == "/panics";
        let work = move || {
            assert!(!panics, "it panics on purpose");
            *told.lock().unwrap() = Some((std::thread::current().id() != here, 6 * 7));
        };
        self.0.offload(Box::new(work)).await?;
        let result = *result.lock().unwrap();
        Response::json(&json!(result))
    }
}

#[test]
fn what_is_offloaded_runs_on_another_thread_and_gives_its_result() {
    let run = Run::new::<Computes>(FakeHost::new());

    assert_eq!(
        run.ask(request("GET", "/")).unwrap().json(),
        json!([true, 42])
    );
    run.end_well();
}

#[test]
fn a_panic_in_what_is_offloaded_is_an_error_and_noticed() {
    let run = Run::new::<Computes>(FakeHost::new());

    let error = run.ask(request("GET", "/panics")).unwrap_err();

    assert_eq!(
        (error.status().as_u16(), error.code()),
        (500, "plugin_failed")
    );
    assert_eq!(run.watch.panics(), 1);
    run.end();
}

static GO: AtomicBool = AtomicBool::new(false);
static WAS_DROPPED: AtomicBool = AtomicBool::new(false);

/// Offloads what nobody waits for.
#[derive(Default)]
struct Leaves(Ground);

impl Drop for Leaves {
    fn drop(&mut self) {
        // Others only tell what they are.
        if self.0.is_there() {
            WAS_DROPPED.store(true, Ordering::SeqCst);
        }
    }
}

impl Serve for Leaves {
    fn built(
        mut self,
        host: &Arc<dyn PluginHost>,
        _: &Map<String, Value>,
    ) -> Result<Self, BuildError> {
        self.0 = Ground::of(host);
        Ok(self)
    }

    async fn serve(&self, _: &Context, _: Request) -> Result<Response, Error> {
        let ground = self.0.clone();
        let working = self.0.offload(Box::new(move || {
            while !GO.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            assert!(
                !WAS_DROPPED.load(Ordering::SeqCst),
                "the instance went before its work"
            );
            ground.log(Level::Info, "done");
        }));
        drop(working);
        Response::json(&())
    }
}

#[test]
fn what_is_offloaded_keeps_the_plugin_until_it_ends() {
    let run = Run::new::<Leaves>(FakeHost::new());
    run.ask(request("GET", "/")).unwrap();
    let (host, watch) = (run.host.clone(), Arc::clone(&run.watch));

    // The route goes while it runs.
    drop(run);
    assert!(!WAS_DROPPED.load(Ordering::SeqCst));
    GO.store(true, Ordering::SeqCst);
    while !WAS_DROPPED.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }

    assert_eq!(host.logged(), [(Level::Info, "done".to_owned())]);
    assert_eq!(watch.notices(), []);
}
