//! What was asked for and comes later: the answer of an exchange or of a semantic call.

use std::task::{Context as TaskContext, Poll, ready};

use crate::abi::raw::{E_INTERNAL, E_NOT_FOUND, Fault, OK, Rc};
use crate::abi::{fault, numbers};
use crate::{BoxFuture, Error};

/// See the module.
pub(super) struct Later<T> {
    stage: Stage<T>,
    failed: Option<(Error, String)>,
}

enum Stage<T> {
    Asking(BoxFuture<'static, Result<T, Error>>),
    Open(T),
    Failed(Rc),
}

impl<T> Later<T> {
    pub(super) fn new(asking: BoxFuture<'static, Result<T, Error>>) -> Self {
        Self {
            stage: Stage::Asking(asking),
            failed: None,
        }
    }

    /// The answer, when it is there.
    pub(super) fn open(&mut self) -> Option<&mut T> {
        match &mut self.stage {
            Stage::Open(answer) => Some(answer),
            Stage::Asking(_) | Stage::Failed(_) => None,
        }
    }

    /// Whether it is there, or the code of why it never will be; nothing while it is asked for.
    pub(super) fn settled(&self) -> Option<Result<(), Rc>> {
        match self.stage {
            Stage::Asking(_) => None,
            Stage::Open(_) => Some(Ok(())),
            Stage::Failed(code) => Some(Err(code)),
        }
    }

    /// Nothing more comes but `error`, whose code is returned.
    pub(super) fn fail(&mut self, error: Error) -> Rc {
        let code = numbers::code(error.kind());
        let cause = fault::cause(&error);
        self.failed = Some((error, cause));
        self.stage = Stage::Failed(code);
        code
    }

    pub(super) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<&mut T, Rc>> {
        if let Stage::Asking(asking) = &mut self.stage {
            match ready!(asking.as_mut().poll(cx)) {
                Ok(answer) => self.stage = Stage::Open(answer),
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
        Poll::Ready(match &mut self.stage {
            Stage::Open(answer) => Ok(answer),
            Stage::Failed(code) => Err(*code),
            Stage::Asking(_) => Err(E_INTERNAL),
        })
    }

    /// Writes what went wrong, lent until this changes.
    ///
    /// # Safety
    /// `out` is to be filled, and says its size.
    pub(super) unsafe fn fault(&self, out: *mut Fault) -> Rc {
        // SAFETY: the caller vouches for it.
        let size = unsafe { out.cast::<u32>().read() };
        let failed = self.failed.as_ref();
        let Some((error, cause)) = failed.filter(|_| size as usize >= size_of::<Fault>()) else {
            return E_NOT_FOUND;
        };
        // SAFETY: it is large enough.
        unsafe { out.write(fault::lend(error, cause)) };
        OK
    }
}
