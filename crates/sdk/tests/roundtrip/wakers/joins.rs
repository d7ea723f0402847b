//! Things that are waited for together, with wakers of the plugin's own: in random order, none is forgotten.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker as StdWaker};
use std::time::{Duration, Instant};

use aurora_sdk::abi::raw::{Fetch, OK, PENDING, Rc, Str, Task, Timer, Waker};
use aurora_sdk::testing::{FakeHost, request};
use aurora_sdk::{
    Body, BoxFuture, BuildError, Context, Error, Operation, PluginHost, Request, Response,
    UpstreamRequest,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::{self, FuturesUnordered};
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::chance::{Chance, Gates};
use crate::c::{self, Host, Own, Req};
use crate::ground::{Ground, Loaded, Of, Run, Serve};

/// The longest time for one test; what is left then is left out.
const TIME: Duration = Duration::from_secs(30);

/// Waits for a few things at once. Which ones is up to the seed in the path.
#[derive(Default)]
struct Joins(Ground);

impl Serve for Joins {
    fn built(self, host: &Arc<dyn PluginHost>, _: &Map<String, Value>) -> Result<Self, BuildError> {
        Ok(Self(Ground::of(host)))
    }

    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let mut chance = Chance::new(request.path.trim_start_matches('/').parse().unwrap());
        let mut all = FuturesUnordered::new();
        let count = 1 + chance.below(5);
        for index in 0..count {
            all.push(self.one(cx, index, &mut chance));
        }
        let mut done = 0;
        while let Some(one) = all.next().await {
            one?;
            done += 1;
        }
        assert_eq!(done, count);
        Response::json(&done)
    }
}

impl Joins {
    fn one<'a>(
        &'a self,
        cx: &'a Context,
        index: usize,
        chance: &mut Chance,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let mut millis = || Duration::from_millis(chance.below(5) as u64);
        let (first, second) = (millis(), millis());
        match chance.below(4) {
            0 => Box::pin(async move {
                self.0.sleep(first).await;
                Ok(())
            }),
            1 => Box::pin(async move {
                let sleeps = select(self.0.sleep(first), self.0.sleep(second));
                let (Either::Left(_) | Either::Right(_)) = sleeps.await;
                Ok(())
            }),
            2 => Box::pin(async move {
                let key = index.to_string();
                cx.host()
                    .state()
                    .put(&key, Bytes::new(), Duration::from_secs(1))
                    .await?;
                self.0.sleep(first).await;
                cx.host().state().get(&key).await.map(drop)
            }),
            _ => Box::pin(async move {
                let response = cx.host().send(ask(index)).await?;
                assert_eq!(response.body.read_all(100).await?, "twotwo");
                Ok(())
            }),
        }
    }
}

fn ask(index: usize) -> UpstreamRequest {
    UpstreamRequest {
        operation: Operation::Other,
        method: Method::GET,
        path: index.to_string(),
        headers: HeaderMap::new().into(),
        body: Body::empty(),
        model: None,
    }
}

/// A host whose upstreams answer when gates open.
fn host(gates: &Gates) -> FakeHost {
    let (gates, count) = (gates.clone(), AtomicUsize::new(0));
    FakeHost::new().manual_time().answers_by(move |request| {
        let gates = gates.clone();
        let name = count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            gates.pass(&name.to_string()).await;
            drop(request);
            let pieces = stream::iter(0..2).then(move |piece| {
                let (gates, path) = (gates.clone(), format!("{name}/{piece}"));
                async move {
                    gates.pass(&path).await;
                    Ok(Bytes::from_static(b"two"))
                }
            });
            Ok(Response::new("a/b", Body::stream(Box::pin(pieces), None)))
        })
    })
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets one request run. It is polled only when it was woken, and things happen one by one: if all has happened and it still
/// waits, somebody forgot to wake it.
fn simulate(run: &Run, gates: &Gates, seed: u64) {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = StdWaker::from(Arc::clone(&woken));
    let (cx, mut chance) = (run.host.context(), Chance::new(seed ^ 0xABCD));
    let mut asking = run
        .handler()
        .handle(&cx, request("GET", &format!("/{seed}")).into());
    for _ in 0..1000 {
        if woken.0.swap(false, Ordering::SeqCst) {
            if let Poll::Ready(answer) = asking.as_mut().poll(&mut TaskContext::from_waker(&waker))
            {
                answer.unwrap();
                gates.clear();
                return;
            }
        } else if chance.below(2) == 0 || !gates.open_any(&mut chance) {
            run.host.advance(Duration::from_millis(1));
        }
    }
    panic!("nobody woke request {seed}");
}

/// Many requests, as long as there is time.
fn many(load: fn() -> Loaded, count: u64) {
    let began = Instant::now();
    for thousand in 0..count / 1000 {
        let gates = Gates::default();
        let run = Run::of(load(), host(&gates));
        for seed in thousand * 1000..(thousand + 1) * 1000 {
            simulate(&run, &gates, seed);
            if began.elapsed() > TIME {
                return;
            }
        }
        run.end_well();
    }
}

#[test]
fn no_wake_up_is_lost_in_40_000_random_runs() {
    many(Loaded::export::<Of<Joins>>, 40_000);
}

#[test]
fn no_wake_up_is_lost_in_40_000_random_runs_inside_of_another_executor() {
    many(c::foreign::<Of<Joins>>, 40_000);
}

#[test]
fn no_wake_up_is_lost_in_20_000_random_runs_of_a_plugin_with_an_executor_of_its_own() {
    many(c::load::<Executor>, 20_000);
}

#[test]
fn no_wake_up_is_lost_where_another_thread_wakes() {
    let loads: [fn() -> Loaded; 3] = [
        Loaded::export::<Of<Joins>>,
        c::foreign::<Of<Joins>>,
        c::load::<Executor>,
    ];
    for load in loads {
        let gates = Gates::default();
        let run = Run::of(load(), host(&gates));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut chance = Chance::new(7);
                while !over.load(Ordering::SeqCst) {
                    gates.open_any(&mut chance);
                    run.host.advance(Duration::from_millis(1));
                    std::thread::yield_now();
                }
            });
            let _ends = Ends(&over);
            let began = Instant::now();
            for seed in 0..1000 {
                run.ask(request("GET", &format!("/{seed}"))).unwrap();
                gates.clear();
                if began.elapsed() > TIME {
                    break;
                }
            }
        });
        run.end_well();
    }
}

/// Says that it is over, whatever happens.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A plugin in C with a small executor: parts are polled when they were woken, each with a waker of its own.
struct Executor;

/// Wakes a part: it is to be polled, and so is the whole.
struct PartWaker {
    is_woken: AtomicBool,
    parent: Mutex<Option<StdWaker>>,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        let parent = self.parent.lock().unwrap().clone();
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

struct Part {
    waker: Arc<PartWaker>,
    work: Work,
    is_over: bool,
}

enum Work {
    Timer(*mut Timer),
    Fetch(*mut Fetch),
}

// SAFETY: handles may move between threads.
unsafe impl Send for Work {}

impl Part {
    fn new(host: Host, req: Req, chance: &mut Chance) -> Self {
        let work = if chance.below(2) == 0 {
            Work::Timer(host.start_timer(chance.below(5) as u64).1)
        } else {
            Work::Fetch(host.open(req, 0).1)
        };
        Self {
            waker: Arc::new(PartWaker {
                is_woken: AtomicBool::new(true),
                parent: Mutex::default(),
            }),
            work,
            is_over: false,
        }
    }

    /// Polls, and closes what has ended.
    fn poll(&mut self, host: Host, parent: &StdWaker) {
        *self.waker.parent.lock().unwrap() = Some(parent.clone());
        if self.is_over || !self.waker.is_woken.swap(false, Ordering::SeqCst) {
            return;
        }
        let own = Own::new(StdWaker::from(Arc::clone(&self.waker)));
        let (waker, mut piece) = (own.raw(), Str::EMPTY);
        let code = match self.work {
            // SAFETY: the handle is open, and the rest is there for the call.
            Work::Timer(timer) => unsafe { (host.timer().poll)(timer, &raw const waker) },
            Work::Fetch(fetch) => loop {
                // SAFETY: as above.
                let code =
                    unsafe { (host.http().chunk_poll)(fetch, &raw const waker, &raw mut piece) };
                if code != OK {
                    break code;
                }
                assert_eq!(c::bytes(piece), b"two");
            },
        };
        if code == PENDING {
            return;
        }
        self.is_over = true;
        match self.work {
            // SAFETY: it is closed once.
            Work::Timer(timer) => unsafe { (host.timer().close)(timer) },
            // SAFETY: as above.
            Work::Fetch(fetch) => unsafe { (host.http().close)(fetch) },
        }
    }
}

impl c::Plugin for Executor {
    fn handle(host: Host, req: Req) -> Result<Task, Rc> {
        let (_, info) = req.info();
        let path = String::from_utf8(c::bytes(info.path)).unwrap();
        let mut chance = Chance::new(path.trim_start_matches('/').parse().unwrap());
        let count = 1 + chance.below(5);
        let mut parts: Vec<Part> = (0..count)
            .map(|_| Part::new(host, req, &mut chance))
            .collect();
        Ok(c::task(move |waker: *const Waker| {
            // SAFETY: the waker is there for the call.
            let parent = StdWaker::from(Arc::new(unsafe { c::Hosts::of(waker) }));
            for part in &mut parts {
                part.poll(host, &parent);
            }
            if parts.iter().all(|part| part.is_over) {
                return req.say(&[OK]);
            }
            PENDING
        }))
    }
}
