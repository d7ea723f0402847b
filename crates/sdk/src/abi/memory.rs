//! Bytes that cross the interface.

use std::any::Any;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::raw::{Buf, E_PANIC, Rc, Str};

/// The size of `T`, as tables say it of themselves.
pub(super) const fn size<T>() -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no struct of the interface is that large"
    )]
    let size = size_of::<T>() as u32;
    size
}

impl Str {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: std::ptr::null(),
        len: 0,
    };

    /// Lends `bytes` for a call.
    pub const fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// Lends `text` for a call.
    pub const fn text(text: &str) -> Self {
        Self::of(text.as_bytes())
    }

    /// The bytes.
    ///
    /// # Safety
    /// They are there for `'a`, as the contract says of every text that is passed.
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller vouches for the bytes; a length beyond isize::MAX cannot be honest.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len.min(isize::MAX.unsigned_abs())) }
    }

    /// The text, where it is UTF-8.
    ///
    /// # Safety
    /// As [`Str::bytes`].
    #[cfg(feature = "host")]
    pub(super) unsafe fn as_text<'a>(self) -> Option<&'a str> {
        // SAFETY: passed on to the caller.
        std::str::from_utf8(unsafe { self.bytes() }).ok()
    }

    /// The text, with replacements where it is no UTF-8.
    ///
    /// # Safety
    /// As [`Str::bytes`].
    pub(super) unsafe fn to_text(self) -> String {
        // SAFETY: passed on to the caller.
        let bytes = unsafe { self.bytes() };
        if bytes.is_ascii() {
            // SAFETY: ASCII is UTF-8. Most texts are, and this is sooner known.
            return unsafe { std::str::from_utf8_unchecked(bytes) }.to_owned();
        }
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Buf {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: std::ptr::null(),
        len: 0,
        owner: std::ptr::null_mut(),
        release: None,
    };

    /// Hands `bytes` over.
    pub(super) fn owning(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        let owner = Box::new(bytes);
        Self {
            ptr: owner.as_ptr(),
            len: owner.len(),
            owner: Box::into_raw(owner).cast(),
            release: Some(release),
        }
    }

    /// The bytes of [`Buf::owning`] again, which nobody took.
    ///
    /// # Safety
    /// The buffer was made by `owning` of this library, and not touched since.
    pub(super) unsafe fn take_back(self) -> Bytes {
        if self.owner.is_null() {
            return Bytes::new();
        }
        // SAFETY: `owner` is the box that `owning` made, and it was not released.
        *unsafe { Box::from_raw(self.owner.cast::<Bytes>()) }
    }

    /// Takes the bytes over; `keep` lives as long as they do.
    ///
    /// # Safety
    /// The buffer is moved: its former holder does not release it.
    pub(super) unsafe fn into_bytes(self, keep: Option<Arc<Keep>>) -> Bytes {
        if self.len == 0 || self.ptr.is_null() {
            drop(Foreign {
                buf: self,
                _keep: keep,
            });
            return Bytes::new();
        }
        Bytes::from_owner(Foreign {
            buf: self,
            _keep: keep,
        })
    }
}

/// What a library's code needs to stay mapped.
pub(super) type Keep = dyn Any + Send + Sync;

unsafe extern "C" fn release(owner: *mut c_void) {
    guard((), || {
        // SAFETY: `owner` is the box that `Buf::owning` made, and is released once.
        drop(unsafe { Box::from_raw(owner.cast::<Bytes>()) });
    });
}

/// Bytes that belong to the other side.
struct Foreign {
    buf: Buf,
    _keep: Option<Arc<Keep>>,
}

// SAFETY: the contract lets any thread read and release a buffer.
unsafe impl Send for Foreign {}
// SAFETY: as above; reading is all that shared references do.
unsafe impl Sync for Foreign {}

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        let bytes = Str {
            ptr: self.buf.ptr,
            len: self.buf.len,
        };
        // SAFETY: an owned buffer's bytes are there until it is released.
        unsafe { bytes.bytes() }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(release) = self.buf.release {
            // SAFETY: called once, by the last holder.
            unsafe { release(self.buf.owner) };
        }
    }
}

/// Runs `work`; a panic ends here, because it must not cross the interface.
pub(super) fn guard<T>(on_panic: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        // What was thrown may itself panic when it is dropped.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        if let Err(again) = dropped {
            #[expect(
                clippy::mem_forget,
                reason = "a payload that panics twice is better leaked"
            )]
            std::mem::forget(again);
        }
        on_panic
    })
}

/// As [`guard`] for functions that return a code.
pub(super) fn guarded(work: impl FnOnce() -> Rc) -> Rc {
    guard(E_PANIC, work)
}

/// Writes `text` into a field of a struct, cut where it is too long, ending with NUL.
pub(super) fn write_text(field: &mut [c_char], text: &str) {
    let mut room = field.len().saturating_sub(1);
    while !text.is_char_boundary(room.min(text.len())) {
        room -= 1;
    }
    // A character is signed on some machines and not on others.
    let bytes = text
        .bytes()
        .take(room)
        .map(|byte| c_char::from_ne_bytes([byte]));
    let written = field.iter_mut().zip(bytes.chain(std::iter::once(0)));
    for (place, byte) in written {
        *place = byte;
    }
}

/// Reads what [`write_text`] wrote, or another language did.
#[cfg(feature = "host")]
pub(super) fn read_text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field
        .iter()
        .take_while(|byte| **byte != 0)
        .flat_map(|byte| byte.to_ne_bytes())
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_bytes_arrive_and_are_released_once() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        let buf = Buf::owning(bytes.clone());

        // SAFETY: `buf` is not used again.
        let back = unsafe { buf.into_bytes(None) };

        assert_eq!(
            (back.as_ref(), bytes.is_unique()),
            ([1, 2, 3].as_slice(), false)
        );
        drop(back);
        assert!(bytes.is_unique());
    }

    #[test]
    fn bytes_that_nobody_took_are_what_they_were() {
        let bytes = Bytes::from(vec![1, 2, 3]);

        // SAFETY: they are not used meanwhile.
        let back = unsafe { Buf::owning(bytes.clone()).take_back() };
        assert_eq!(back.as_ptr(), bytes.as_ptr());
        drop(back);
        assert!(bytes.is_unique());

        // SAFETY: as above.
        assert!(unsafe { Buf::owning(Bytes::new()).take_back() }.is_empty());
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        let mut field = [1 as c_char; 6];

        write_text(&mut field, "abcdé");

        let end = field.iter().position(|byte| *byte == 0);
        assert_eq!(end, Some(4));
    }

    #[test]
    fn a_panic_ends_at_the_guard() {
        struct Twice;
        impl Drop for Twice {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(guarded(|| panic!("once")), E_PANIC);
        assert_eq!(guarded(|| std::panic::panic_any(Twice)), E_PANIC);
    }
}
