//! A handle that is not counted until somebody keeps what it belongs to: most requests are over before that.

use std::mem::ManuallyDrop;
use std::ops::Deref;

/// A second handle beside one that is counted.
pub(super) struct Uncounted<T>(ManuallyDrop<T>);

impl<T: Clone> Uncounted<T> {
    /// # Safety
    /// `handle` is there for as long as the result is used, or until [`Uncounted::count`] is called.
    pub(super) unsafe fn of(handle: &T) -> Self {
        // SAFETY: the copy is not dropped before it is counted.
        Self(ManuallyDrop::new(unsafe { std::ptr::read(handle) }))
    }

    /// It counts from here on.
    pub(super) fn count(&self) {
        let _counted = ManuallyDrop::new(T::clone(&self.0));
    }

    /// # Safety
    /// It was counted, and is used no more.
    pub(super) unsafe fn release(&mut self) {
        // SAFETY: the caller vouches for it.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

impl<T> Deref for Uncounted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn it_counts_when_it_is_told_to() {
        let first = Arc::new(());
        // SAFETY: `first` is there.
        let mut second = unsafe { Uncounted::of(&first) };
        assert_eq!(Arc::strong_count(&first), 1);

        second.count();
        assert_eq!(Arc::strong_count(&second), 2);
        // SAFETY: it was counted.
        unsafe { second.release() };

        assert_eq!(Arc::strong_count(&first), 1);
    }
}
