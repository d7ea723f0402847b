//! What a plugin has open. What it leaves open is closed with what it belongs to, and counted.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::host::HostSide;
use super::request::RequestSide;

/// Closes the thing at an address.
type Close = unsafe fn(usize);

/// Things that were given out and have not come back.
#[derive(Default)]
pub(super) struct Handles {
    open: Mutex<Option<BTreeMap<usize, Close>>>,
    /// How many those are: most requests have none, and need no lock to know.
    count: AtomicUsize,
}

impl Handles {
    /// Gives out `thing`.
    pub(super) fn open<T>(&self, thing: T) -> *mut T {
        let raw = Box::into_raw(Box::new(thing));
        let mut place = self.lock();
        let open = place.get_or_insert_default();
        open.insert(raw.expose_provenance(), close::<T>);
        self.count.store(open.len(), Ordering::Release);
        drop(place);
        raw
    }

    /// Takes `thing` back; `None` where it was not given out here, or came back before.
    pub(super) fn take<T>(&self, thing: *mut T) -> Option<Box<T>> {
        let mut place = self.lock();
        let open = place.as_mut()?;
        open.remove(&thing.addr())?;
        self.count.store(open.len(), Ordering::Release);
        drop(place);
        // SAFETY: it was given out by `open`, as a `T` since every kind has its own functions, and comes back once.
        Some(unsafe { Box::from_raw(thing) })
    }

    /// How many are out.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Closes all that is left; how many that were.
    pub(super) fn close_all(&self) -> usize {
        if self.count() == 0 {
            return 0;
        }
        let left = self.lock().take().unwrap_or_default();
        self.count.store(0, Ordering::Release);
        let count = left.len();
        for (address, close) in left {
            // SAFETY: it was given out as what `close` closes, and has not come back.
            unsafe { close(address) };
        }
        count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<BTreeMap<usize, Close>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// # Safety
/// At `address` is a box of `T` that nobody else closes.
unsafe fn close<T>(address: usize) {
    // SAFETY: the caller vouches for it; `open` exposed the pointer.
    drop(unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<T>(address)) });
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.close_all();
    }
}

/// What a handle belongs to. The handle does not keep it: it goes first. Whoever uses a handle holds its owner, and what is
/// still open when the owner goes is closed by then.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Host(NonNull<HostSide>),
    Request(NonNull<RequestSide>),
}

impl Owner {
    pub(super) fn host(host: &Arc<HostSide>) -> Self {
        Self::Host(NonNull::from(host.as_ref()))
    }

    pub(super) fn request(request: &Arc<RequestSide>) -> Self {
        Self::Request(NonNull::from(request.as_ref()))
    }

    /// The host of the instance.
    ///
    /// # Safety
    /// Of this and the next two: the handle is in use, so that its owner is there for `'a`.
    pub(super) unsafe fn of_host<'a>(self) -> &'a HostSide {
        match self {
            // SAFETY: the caller vouches for it.
            Self::Host(host) => unsafe { host.as_ref() },
            // SAFETY: as above.
            Self::Request(request) => unsafe { &request.as_ref().host },
        }
    }

    /// The request that it is inside of.
    ///
    /// # Safety
    /// As [`Owner::of_host`].
    pub(super) unsafe fn of_request<'a>(self) -> Option<&'a RequestSide> {
        match self {
            Self::Host(_) => None,
            // SAFETY: the caller vouches for it.
            Self::Request(request) => Some(unsafe { request.as_ref() }),
        }
    }

    /// What is open beside it.
    ///
    /// # Safety
    /// As [`Owner::of_host`].
    pub(super) unsafe fn open<'a>(self) -> &'a Handles {
        match self {
            // SAFETY: the caller vouches for it.
            Self::Host(host) => unsafe { &host.as_ref().open },
            // SAFETY: as above.
            Self::Request(request) => unsafe { &request.as_ref().open },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_is_closed_and_nothing_is_closed_twice() {
        let (handles, thing) = (Handles::default(), Arc::new(()));
        let first = handles.open(Arc::clone(&thing));
        let _second = handles.open(Arc::clone(&thing));

        assert!(handles.take(first).is_some());
        assert!(handles.take(first).is_none());
        assert_eq!(handles.count(), 1);

        assert_eq!((handles.close_all(), Arc::strong_count(&thing)), (1, 1));
    }
}
