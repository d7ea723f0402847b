//! What an input says, value by value; behind its end everything is zero.

use std::ffi::c_void;
use std::sync::atomic::{AtomicIsize, Ordering};

use aurora_sdk::abi::raw::{Buf, Fault, Str};

/// Buffers that were given away and have not been released.
static OUT: AtomicIsize = AtomicIsize::new(0);

pub(crate) struct Input {
    bytes: std::vec::IntoIter<u8>,
}

impl Input {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: Vec::from(bytes).into_iter(), // owned: the task outlives the call
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.bytes.len() == 0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    /// Yes once in `often` times.
    pub(crate) fn is(&mut self, often: u8) -> bool {
        self.byte() % often == 1
    }

    /// Mostly small, sometimes any.
    pub(crate) fn number(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes(std::array::from_fn(|_| self.byte())),
            254 => u32::MAX,
            253 => 1 << 31,
            small => u32::from(small),
        }
    }

    pub(crate) fn code(&mut self) -> i32 {
        self.number().cast_signed().wrapping_sub(20)
    }

    pub(crate) fn long(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::MAX >> 1,
            small => u64::from(small),
        }
    }

    pub(crate) fn text(&mut self) -> Vec<u8> {
        const KNOWN: [&[u8]; 8] = [
            b"content-type",
            b"content-length",
            b"x-a",
            b"id",
            b"",
            b"other",
            b"/p",
            b"POST",
        ];
        match self.byte() {
            known @ 0..8 => KNOWN[usize::from(known)].to_vec(),
            // More than waits for a client.
            255 => vec![b'y'; 70_000],
            length => self.bytes.by_ref().take(usize::from(length % 40)).collect(),
        }
    }

    /// Owned bytes: counted, static, or none at all.
    pub(crate) fn buffer(&mut self) -> Buf {
        if self.is(6) {
            return Buf {
                ptr: b"static".as_ptr(),
                len: 6,
                ..Buf::EMPTY
            };
        }
        if self.is(6) {
            return Buf::EMPTY;
        }
        OUT.fetch_add(1, Ordering::SeqCst);
        let bytes = Box::new(self.text());
        Buf {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
            owner: Box::into_raw(bytes).cast(),
            release: Some(release),
        }
    }

    /// Texts of it point into `texts`.
    pub(crate) fn fault(&mut self, texts: &mut Vec<Vec<u8>>) -> Fault {
        texts.extend(std::iter::repeat_with(|| self.text()).take(4));
        let text = |at: usize| texts.get(at).map_or(Str::EMPTY, |text| Str::of(text));
        let is_whole = !self.is(8);
        Fault {
            size: if is_whole {
                size_of::<Fault>() as u32
            } else {
                self.number() % 88
            },
            code: self.code(),
            kind: self.code(),
            origin: self.code(),
            status: self.number() as u16,
            flags: self.number() as u16,
            reserved: 0,
            retry_after_ms: self.long(),
            word: text(0),
            message: text(1),
            param: text(2),
            cause: text(3),
        }
    }
}

unsafe extern "C" fn release(owner: *mut c_void) {
    OUT.fetch_sub(1, Ordering::SeqCst);
    drop(unsafe { Box::from_raw(owner.cast::<Vec<u8>>()) });
}

/// Gives back what the host gave, or did not take.
pub(crate) fn let_go(buffer: Buf) {
    if let Some(release) = buffer.release {
        unsafe { release(buffer.owner) };
    }
}

/// All buffers came back once.
pub(crate) fn check_buffers() {
    assert_eq!(
        OUT.load(Ordering::SeqCst),
        0,
        "buffers are kept, or were released twice"
    );
}
