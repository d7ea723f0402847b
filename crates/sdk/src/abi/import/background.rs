//! `aurora.task.v1`: work of an instance beside its requests.

use std::ffi::c_void;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker as StdWaker, ready};

use super::handles::Owner;
use super::host::{HostSide, line};
use super::plugin::Instance;
use super::wait::wait;
use crate::BoxFuture;
use crate::abi::memory::{guard, guarded, size};
use crate::abi::raw::{
    E_CANCELLED, E_INVALID, HostTable, Join, OK, PENDING, Rc, Str, Task, TaskApi, Waker,
};
use crate::abi::waker;

pub(super) static API: TaskApi = TaskApi {
    size: size::<TaskApi>(),
    reserved: 0,
    spawn,
    offload,
    join_poll,
    join_close,
};

/// Tasks of an instance. They are dropped before it is destroyed, and never polled after.
#[derive(Default)]
pub(super) struct Tasks(Mutex<List>);

#[derive(Default)]
struct List {
    tasks: Vec<Arc<Shared>>,
    is_over: bool,
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may run.
    fn add(&self, shared: &Arc<Shared>) -> bool {
        let mut list = self.lock();
        if list.is_over {
            return false;
        }
        list.tasks.retain(|task| !task.is_over());
        list.tasks.push(Arc::clone(shared));
        true
    }

    /// Drops all that still run, and takes no more. Whoever polls one holds the instance, so that nobody does now.
    pub(super) fn end(&self) {
        let mut list = self.lock();
        list.is_over = true;
        let tasks = std::mem::take(&mut list.tasks);
        drop(list);
        for task in tasks {
            task.finish(E_CANCELLED);
        }
    }
}

/// A task that runs, and who waits for it.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    task: Option<Owned>,
    code: Option<Rc>,
    /// Of who waits for its end.
    waiter: Option<StdWaker>,
    /// Of the runtime's task around it.
    runner: Option<StdWaker>,
}

/// A task of the plugin's, dropped once.
struct Owned(Task);

// SAFETY: the contract lets a task move between threads.
unsafe impl Send for Owned {}

impl Owned {
    fn poll(&self, waker: &StdWaker) -> Rc {
        let Some(poll) = self.0.poll else {
            return E_INVALID;
        };
        let lent = waker::lend(waker);
        // SAFETY: the task has not ended, and the waker is there for the call.
        unsafe { poll(self.0.data, &raw const lent) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(drop) = self.0.drop {
            // SAFETY: a task is dropped once.
            unsafe { drop(self.0.data) };
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.lock().code.is_some()
    }

    fn finish(&self, code: Rc) {
        let mut state = self.lock();
        state.code.get_or_insert(code);
        let (task, waiter, runner) = (state.task.take(), state.waiter.take(), state.runner.take());
        drop(state);
        // Not under the lock: it is the plugin's code.
        drop(task);
        for waker in [waiter, runner].into_iter().flatten() {
            waker.wake();
        }
    }

    fn poll_code(&self, cx: &Context<'_>) -> Poll<Rc> {
        // Not under the lock: it may be the plugin's waker.
        let waiter = cx.waker().clone();
        let mut state = self.lock();
        if let Some(code) = state.code {
            return Poll::Ready(code);
        }
        let former = state.waiter.replace(waiter);
        drop(state);
        drop(former);
        Poll::Pending
    }

    /// Polls the task, which is out of its place meanwhile: `finish` must not wait for plugin code.
    fn run(&self, cx: &Context<'_>, instance: &Instance) -> Poll<()> {
        let mut state = self.lock();
        let Some(task) = state.task.take() else {
            return Poll::Ready(());
        };
        state.runner = Some(cx.waker().clone());
        drop(state);
        let code = task.poll(cx.waker());
        if code != PENDING {
            instance.note(code);
            drop(task);
            self.finish(code);
            return Poll::Ready(());
        }
        let mut state = self.lock();
        if state.code.is_some() {
            drop(state);
            drop(task);
            return Poll::Ready(());
        }
        state.task = Some(task);
        Poll::Pending
    }
}

/// Runs a task as long as its instance is there.
struct Running {
    shared: Arc<Shared>,
    instance: Weak<Instance>,
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.instance.upgrade() {
            Some(instance) => self.shared.run(cx, &instance),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where the instance is on its way out, what destroys it drops the task first.
        if let Some(_held) = self.instance.upgrade() {
            self.shared.finish(E_CANCELLED);
        }
    }
}

enum Joining {
    Task(Arc<Shared>),
    Work(BoxFuture<'static, Rc>),
    Over(Rc),
}

struct JoinSide {
    owner: Owner,
    joining: Joining,
}

/// Lets who asked wait for it.
///
/// # Safety
/// `out` is null or to be filled.
unsafe fn give(host: &Arc<HostSide>, joining: Joining, out: *mut *mut Join) {
    if out.is_null() {
        return;
    }
    let side = JoinSide {
        owner: Owner::host(host),
        joining,
    };
    // SAFETY: the caller vouches for it.
    unsafe { out.write(host.open.open(side).cast()) };
}

unsafe extern "C" fn spawn(
    host: *const HostTable,
    name: Str,
    task: Task,
    out: *mut *mut Join,
) -> Rc {
    let owned = Owned(task);
    guarded(move || {
        // SAFETY: the host is held, and the name is there for the call.
        let (host, name) = unsafe { (HostSide::shared(host), line(name)) };
        let Some(host) = host else {
            return E_CANCELLED;
        };
        let shared = Arc::new(Shared::default());
        shared.lock().task = Some(owned);
        if !host.tasks.add(&shared) {
            return E_CANCELLED;
        }
        let running = Running {
            shared: Arc::clone(&shared),
            instance: host.instance(),
        };
        host.host.spawn(&name, Box::pin(running));
        // SAFETY: `out` is the plugin's.
        unsafe { give(&host, Joining::Task(shared), out) };
        OK
    })
}

/// A call of the plugin's, to be made on another thread.
struct Work {
    run: unsafe extern "C" fn(*mut c_void) -> Rc,
    argument: *mut c_void,
}

// SAFETY: the contract says that the function may run on any thread.
unsafe impl Send for Work {}

impl Work {
    fn run(self) -> Rc {
        // SAFETY: it is called once.
        unsafe { (self.run)(self.argument) }
    }
}

unsafe extern "C" fn offload(
    host: *const HostTable,
    run: Option<unsafe extern "C" fn(*mut c_void) -> Rc>,
    argument: *mut c_void,
    out: *mut *mut Join,
) -> Rc {
    guarded(|| {
        // SAFETY: the host is held.
        let host = unsafe { HostSide::shared(host) };
        // The instance outlives its work.
        let Some((host, instance)) = host.and_then(|host| {
            let instance = host.instance().upgrade()?;
            Some((host, instance))
        }) else {
            return E_CANCELLED;
        };
        let Some(run) = run else {
            return E_INVALID;
        };
        // Where it never runs, it was given up.
        let (work, code) = (Work { run, argument }, Arc::new(Mutex::new(E_CANCELLED)));
        let told = Arc::clone(&code);
        let running = host.host.offload(Box::new(move || {
            let ended = work.run();
            instance.note(ended);
            *told.lock().unwrap_or_else(PoisonError::into_inner) = ended;
        }));
        let joined = async move {
            // What went wrong is in the code.
            let _ended = running.await;
            *code.lock().unwrap_or_else(PoisonError::into_inner)
        };
        // SAFETY: `out` is the plugin's.
        unsafe { give(&host, Joining::Work(Box::pin(joined)), out) };
        OK
    })
}

unsafe extern "C" fn join_poll(join: *mut Join, waker: *const Waker, out: *mut Rc) -> Rc {
    guarded(|| {
        // SAFETY: it is open, and used by one thread at a time.
        let side = unsafe { &mut *join.cast::<JoinSide>() };
        // SAFETY: as above.
        let host = unsafe { side.owner.of_host() };
        let mut ended = OK;
        let mut poll = |cx: &mut Context<'_>| {
            ended = ready!(match &mut side.joining {
                Joining::Task(shared) => shared.poll_code(cx),
                Joining::Work(work) => work.as_mut().poll(cx),
                Joining::Over(code) => Poll::Ready(*code),
            });
            side.joining = Joining::Over(ended);
            Poll::Ready(OK)
        };
        // SAFETY: the waker is there for the call, or null.
        let code = unsafe { wait(host, None, waker, &mut poll) };
        if code == OK && !out.is_null() {
            // SAFETY: `out` is the plugin's, to be filled.
            unsafe { out.write(ended) };
        }
        code
    })
}

unsafe extern "C" fn join_close(join: *mut Join) {
    guard((), || {
        // SAFETY: it is open.
        let open = unsafe { (*join.cast::<JoinSide>()).owner.open() };
        drop(open.take(join.cast::<JoinSide>()));
    });
}
