//! Wakers across the interface. One that only passes through costs no allocation.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker as StdWaker};

use super::memory::{Keep, guard, size};
use super::raw::{Waker, WakerVtable};

/// A waker of ours, lent to the other side for a call: `data` is a `&StdWaker`.
static LENT: WakerVtable = WakerVtable {
    size: size::<WakerVtable>(),
    reserved: 0,
    clone: clone_ours,
    wake: wake_ours_by_ref,
    wake_by_ref: wake_ours_by_ref,
    drop: keep_ours,
};

/// A waker of ours that the other side keeps: `data` is a `Box<StdWaker>`.
static GIVEN: WakerVtable = WakerVtable {
    size: size::<WakerVtable>(),
    reserved: 0,
    clone: clone_ours,
    wake: wake_ours,
    wake_by_ref: wake_ours_by_ref,
    drop: drop_ours,
};

unsafe extern "C" fn clone_ours(data: *const c_void) -> Waker {
    guard(Waker::NONE, || {
        // SAFETY: both tables are only used with a waker behind `data`.
        let waker = unsafe { &*data.cast::<StdWaker>() };
        Waker {
            data: Box::into_raw(Box::new(waker.clone())).cast(),
            vtable: &raw const GIVEN,
        }
    })
}

unsafe extern "C" fn wake_ours_by_ref(data: *const c_void) {
    // SAFETY: as in `clone_ours`.
    guard((), || unsafe { &*data.cast::<StdWaker>() }.wake_by_ref());
}

unsafe extern "C" fn wake_ours(data: *const c_void) {
    guard((), || {
        // SAFETY: GIVEN is only used with a box, which is given back here.
        unsafe { Box::from_raw(data.cast_mut().cast::<StdWaker>()) }.wake();
    });
}

unsafe extern "C" fn drop_ours(data: *const c_void) {
    guard((), || {
        // SAFETY: as in `wake_ours`.
        drop(unsafe { Box::from_raw(data.cast_mut().cast::<StdWaker>()) });
    });
}

/// What is lent is not the other side's to drop.
unsafe extern "C" fn keep_ours(_: *const c_void) {}

unsafe extern "C" fn clone_none(_: *const c_void) -> Waker {
    Waker::NONE
}

impl Waker {
    /// Wakes nobody: what is left where cloning panicked.
    const NONE: Self = Self {
        data: std::ptr::null(),
        vtable: &raw const NOBODY,
    };
}

static NOBODY: WakerVtable = WakerVtable {
    size: size::<WakerVtable>(),
    reserved: 0,
    clone: clone_none,
    wake: keep_ours,
    wake_by_ref: keep_ours,
    drop: keep_ours,
};

/// A waker of theirs as one of ours, for a call: `data` is a `&Lent`.
static BORROWED: RawWakerVTable =
    RawWakerVTable::new(clone_borrowed, wake_borrowed, wake_borrowed, leave_borrowed);

/// A waker of theirs that we keep: `data` is an `Arc<Kept>`.
static KEPT: RawWakerVTable =
    RawWakerVTable::new(clone_kept, wake_kept, wake_kept_by_ref, drop_kept);

/// Theirs comes first in both, so that it is found without asking which of them it is.
#[repr(C)]
struct Lent<'a> {
    theirs: Waker,
    keep: Option<&'a Arc<Keep>>,
}

/// Dropped once. Clones of ours are counted here: they are none of the other side's business.
#[repr(C)]
struct Kept {
    theirs: Waker,
    /// What its functions need to stay mapped.
    _keep: Option<Arc<Keep>>,
}

// SAFETY: any thread may call the functions of a waker.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    fn wake(&self) {
        // SAFETY: it was cloned for us, and is there until it is dropped.
        unsafe { ((*self.theirs.vtable).wake_by_ref)(self.theirs.data) };
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: as above; it is dropped once, here.
        unsafe { ((*self.theirs.vtable).drop)(self.theirs.data) };
    }
}

unsafe fn clone_borrowed(data: *const ()) -> RawWaker {
    // SAFETY: the table is only used with a `Lent` that is there for the call.
    let lent = unsafe { &*data.cast::<Lent<'_>>() };
    // SAFETY: their functions are called as the contract says.
    let theirs = unsafe { ((*lent.theirs.vtable).clone)(lent.theirs.data) };
    let kept = Kept {
        theirs,
        _keep: lent.keep.cloned(),
    };
    RawWaker::new(Arc::into_raw(Arc::new(kept)).cast(), &KEPT)
}

unsafe fn wake_borrowed(data: *const ()) {
    // SAFETY: as in `clone_borrowed`.
    let theirs = unsafe { (*data.cast::<Lent<'_>>()).theirs };
    // SAFETY: as in `clone_borrowed`.
    unsafe { ((*theirs.vtable).wake_by_ref)(theirs.data) };
}

unsafe fn leave_borrowed(_: *const ()) {}

unsafe fn clone_kept(data: *const ()) -> RawWaker {
    // SAFETY: the table is only used with what `Arc::into_raw` gave, which is counted.
    unsafe { Arc::increment_strong_count(data.cast::<Kept>()) };
    RawWaker::new(data, &KEPT)
}

unsafe fn wake_kept(data: *const ()) {
    // SAFETY: as in `clone_kept`; this one is given back here.
    unsafe { Arc::from_raw(data.cast::<Kept>()) }.wake();
}

unsafe fn wake_kept_by_ref(data: *const ()) {
    // SAFETY: as in `clone_kept`.
    unsafe { &*data.cast::<Kept>() }.wake();
}

unsafe fn drop_kept(data: *const ()) {
    // SAFETY: as in `wake_kept`.
    drop(unsafe { Arc::from_raw(data.cast::<Kept>()) });
}

fn is_theirs(waker: &StdWaker) -> bool {
    std::ptr::eq(waker.vtable(), &raw const BORROWED)
        || std::ptr::eq(waker.vtable(), &raw const KEPT)
}

/// Lends `waker` to the other side for a call. One that came from there goes back as it was.
pub(super) fn lend(waker: &StdWaker) -> Waker {
    if is_theirs(waker) {
        // SAFETY: both tables are only used with a waker of theirs at the beginning of the data.
        return unsafe { *waker.data().cast::<Waker>() };
    }
    Waker {
        data: std::ptr::from_ref(waker).cast(),
        vtable: &raw const LENT,
    }
}

/// Uses a waker of the other side for a call. One that came from here is used as it was; of others, what is kept beyond the
/// call holds `keep`.
///
/// # Safety
/// `waker` points to a waker that is there for the call.
pub(super) unsafe fn with<T>(
    waker: *const Waker,
    keep: Option<&Arc<Keep>>,
    work: impl FnOnce(&StdWaker) -> T,
) -> T {
    // SAFETY: the caller vouches for it.
    let theirs = unsafe { *waker };
    if is_ours(&theirs) {
        // SAFETY: these tables are only used with a waker of ours behind the data.
        return work(unsafe { &*theirs.data.cast::<StdWaker>() });
    }
    let lent = Lent { theirs, keep };
    let raw = RawWaker::new((&raw const lent).cast(), &BORROWED);
    // SAFETY: the table keeps the contract of wakers, and BORROWED drops nothing.
    let waker = ManuallyDrop::new(unsafe { StdWaker::from_raw(raw) });
    work(&waker)
}

fn is_ours(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable, &raw const LENT) || std::ptr::eq(waker.vtable, &raw const GIVEN)
}

/// A waker of the other side, to keep; `None` where it came from here.
///
/// # Safety
/// As [`with`].
#[cfg(feature = "host")]
pub(super) unsafe fn kept(waker: *const Waker, keep: &Arc<Keep>) -> Option<StdWaker> {
    // SAFETY: the caller vouches for it.
    if is_ours(unsafe { &*waker }) {
        return None;
    }
    // SAFETY: as above.
    Some(unsafe { with(waker, Some(keep), StdWaker::clone) })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As a second library would have it: the same functions under another address.
    static OTHER: WakerVtable = WakerVtable {
        size: size::<WakerVtable>(),
        reserved: 0,
        clone: clone_other,
        wake: wake_ours,
        wake_by_ref: wake_ours_by_ref,
        drop: drop_ours,
    };

    unsafe extern "C" fn clone_other(data: *const c_void) -> Waker {
        // SAFETY: for the test.
        let cloned = unsafe { clone_ours(data) };
        Waker {
            vtable: &raw const OTHER,
            ..cloned
        }
    }

    /// `waker`, lent by that library.
    fn foreign(waker: &StdWaker) -> Waker {
        Waker {
            data: std::ptr::from_ref(waker).cast(),
            vtable: &raw const OTHER,
        }
    }

    #[test]
    fn a_waker_that_passes_through_is_the_same_one() {
        let waker = StdWaker::from(Arc::new(Count::default()));
        let lent = lend(&waker);

        // SAFETY: `lent` is there.
        unsafe {
            with(&raw const lent, None, |back| {
                assert!(std::ptr::eq(back, &raw const waker));
            });
        };
    }

    #[test]
    fn a_kept_waker_wakes_and_is_dropped_once() {
        let count = Arc::new(Count::default());
        let waker = StdWaker::from(Arc::clone(&count));
        let lent = lend(&waker);

        // What another language does: clone, wake, drop.
        // SAFETY: as the contract says.
        let kept = unsafe { ((*lent.vtable).clone)(lent.data) };
        drop(waker);
        // SAFETY: as above.
        unsafe { ((*kept.vtable).wake_by_ref)(kept.data) };
        // SAFETY: as above.
        let another = unsafe { ((*kept.vtable).clone)(kept.data) };
        // SAFETY: as above.
        unsafe { ((*kept.vtable).wake)(kept.data) };
        // SAFETY: as above.
        unsafe { ((*another.vtable).drop)(another.data) };

        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_waker_of_another_library_is_kept_and_woken() {
        let count = Arc::new(Count::default());
        let waker = StdWaker::from(Arc::clone(&count));
        let foreign = foreign(&waker);
        let keep: Arc<Keep> = Arc::new(());

        // SAFETY: `foreign` is there.
        let kept = unsafe { with(&raw const foreign, Some(&keep), StdWaker::clone) };
        kept.wake_by_ref();
        let back = lend(&kept);
        assert!(std::ptr::eq(back.vtable, &raw const OTHER));
        assert_eq!(Arc::strong_count(&keep), 2);
        let again = kept.clone();
        assert!(again.will_wake(&kept));
        again.wake();
        drop(kept);
        drop(waker);
        assert_eq!(Arc::strong_count(&keep), 1);

        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    /// Panics whatever is done with it.
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose: by value");
        }

        fn wake_by_ref(self: &Arc<Self>) {
            panic!("on purpose: by reference");
        }
    }

    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "on purpose: in the end");
        }
    }

    #[test]
    fn a_waker_of_another_library_that_panics_harms_nobody() {
        let waker = StdWaker::from(Arc::new(Panics));
        let foreign = foreign(&waker);

        // SAFETY: `foreign` is there.
        let kept = unsafe { with(&raw const foreign, None, StdWaker::clone) };
        kept.wake_by_ref();
        let again = kept.clone();
        kept.wake();
        drop(waker);
        drop(again);
    }
}
