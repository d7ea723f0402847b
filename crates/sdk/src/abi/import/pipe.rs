//! Bytes from a plugin to whoever reads them, with backpressure: the answer's body, and bodies of requests to upstreams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::Error;

/// So many bytes may wait; a single piece may be larger.
pub(super) const HIGH_WATER: usize = 64 * 1024;

/// Small pieces are copied into blocks of so many bytes.
pub(super) const JOINED: usize = 4096;

/// See the module. Small while nothing is in it: every request has one.
#[derive(Default)]
pub(super) struct Pipe {
    /// Bytes that wait; changed under the lock.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The first that was written into an empty pipe: most answers are one piece.
    first: Option<Bytes>,
    reader: Option<Waker>,
    is_over: bool,
    reader_gone: bool,
    /// What most pipes never have.
    more: Option<Box<More>>,
}

#[derive(Default)]
struct More {
    /// Before what is joined.
    pieces: VecDeque<Bytes>,
    /// Copied, and joined to one piece by the time that it is read.
    joined: BytesMut,
    writers: Writers,
    ended: Option<Result<(), Error>>,
}

/// Who waits for room, by what was asked for: parts of a plugin may wait for more than one thing at a time.
type Writers = [Option<Waker>; 3];

#[derive(Clone, Copy)]
enum Asked {
    Copy,
    Move,
    Empty,
}

/// Nobody reads any more.
pub(super) struct ReaderGone;

/// Not under a lock: wakers and bytes may be the plugin's, and their functions its code.
fn wake(wakers: impl IntoIterator<Item = Option<Waker>>) {
    for waker in wakers.into_iter().flatten() {
        waker.wake();
    }
}

impl State {
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn pop(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let more = self.more.as_mut()?;
        if let Some(piece) = more.pieces.pop_front() {
            return Some(piece);
        }
        (!more.joined.is_empty()).then(|| more.joined.split().freeze())
    }

    /// Takes a copy of `bytes`; `is_first` where nothing waits.
    fn copy(&mut self, bytes: &[u8], is_first: bool) {
        if is_first && self.more.is_none() {
            self.first = Some(Bytes::copy_from_slice(bytes));
            return;
        }
        let joined = &mut self.more().joined;
        if joined.capacity() == 0 {
            joined.reserve(JOINED);
        }
        joined.extend_from_slice(bytes);
    }

    fn push(&mut self, bytes: Bytes) {
        let more = self.more();
        if !more.joined.is_empty() {
            let joined = more.joined.split().freeze();
            more.pieces.push_back(joined);
        }
        more.pieces.push_back(bytes);
    }
}

/// Whether whoever asked need not wait.
fn has_room(waiting: usize, asked: Asked) -> bool {
    match asked {
        Asked::Copy | Asked::Move => waiting < HIGH_WATER,
        Asked::Empty => waiting == 0,
    }
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait.
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether nothing waits, as far as this thread can know.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting() == 0
    }

    /// The next piece; who is to be woken for it goes to `woken`.
    fn pop_from(&self, state: &mut State, woken: &mut Writers) -> Option<Bytes> {
        let piece = state.pop()?;
        let left = self.waiting() - piece.len();
        self.waiting.store(left, Ordering::Release);
        if let Some(more) = &mut state.more {
            let [copy, moved, empty] = &mut more.writers;
            *woken = [copy.take(), moved.take(), empty.take_if(|_| left == 0)];
        }
        Some(piece)
    }

    fn add(&self, bytes: usize) {
        self.waiting
            .store(self.waiting() + bytes, Ordering::Release);
    }

    fn poll_room(
        &self,
        asked: Asked,
        cx: &Context<'_>,
    ) -> Poll<Result<MutexGuard<'_, State>, ReaderGone>> {
        let state = self.state();
        if state.reader_gone {
            return Poll::Ready(Err(ReaderGone));
        }
        if has_room(self.waiting(), asked) {
            return Poll::Ready(Ok(state));
        }
        drop(state);
        let waker = cx.waker().clone();
        let mut state = self.state();
        if state.reader_gone || has_room(self.waiting(), asked) {
            drop(state);
            // It changed meanwhile.
            waker.wake();
            return Poll::Pending;
        }
        let place = state.more().writers.get_mut(asked as usize);
        let former = place.and_then(|place| place.replace(waker));
        drop(state);
        drop(former);
        Poll::Pending
    }

    /// Takes a copy of `bytes`, all or nothing.
    pub(super) fn poll_copy(&self, bytes: &[u8], cx: &Context<'_>) -> Poll<Result<(), ReaderGone>> {
        let mut state = std::task::ready!(self.poll_room(Asked::Copy, cx))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.copy(bytes, self.is_idle());
        self.add(bytes.len());
        Self::wake_reader(state);
        Poll::Ready(Ok(()))
    }

    /// Takes what `take` gives, which is not empty, where there is room.
    pub(super) fn poll_move(
        &self,
        take: impl FnOnce() -> Bytes,
        cx: &Context<'_>,
    ) -> Poll<Result<(), ReaderGone>> {
        let mut state = std::task::ready!(self.poll_room(Asked::Move, cx))?;
        let bytes = take();
        self.add(bytes.len());
        state.push(bytes);
        Self::wake_reader(state);
        Poll::Ready(Ok(()))
    }

    /// Takes `bytes` before all that waits, whether there is room or not.
    pub(super) fn put_first(&self, bytes: Bytes) {
        let mut state = self.state();
        if state.reader_gone || bytes.is_empty() {
            return;
        }
        self.add(bytes.len());
        if let Some(second) = state.first.replace(bytes) {
            state.more().pieces.push_front(second);
        }
    }

    fn wake_reader(mut state: MutexGuard<'_, State>) {
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing is written after this.
    pub(super) fn end(&self, how: Result<(), Error>) {
        let mut state = self.state();
        if !state.is_over {
            state.is_over = true;
            state.more().ended = Some(how);
        }
        Self::wake_reader(state);
    }

    /// Wakes who reads: something beside the bytes has changed.
    pub(super) fn nudge(&self) {
        Self::wake_reader(self.state());
    }

    /// Nothing is read after this.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.reader_gone = true;
        self.waiting.store(0, Ordering::Release);
        let (first, reader) = (state.first.take(), state.reader.take());
        let more = state.more.take();
        drop(state);
        drop((first, reader));
        if let Some(more) = more {
            wake(more.writers);
        }
    }

    /// As [`Pipe::leave`], when nobody else has it.
    pub(super) fn close(&mut self) {
        let state = self.state.get_mut();
        if let Some(more) = state.unwrap_or_else(PoisonError::into_inner).more.take() {
            wake(more.writers);
        }
    }

    /// What can be read now, for whoever reads. It is not told of more until it asks again by [`Pipe::poll_piece`] or
    /// [`Pipe::poll_next`]: what is written because it makes the writer write needs no telling.
    pub(super) fn pop(&self) -> Option<Bytes> {
        let mut woken = Writers::default();
        let mut state = self.state();
        let piece = self.pop_from(&mut state, &mut woken);
        let reader = state.reader.take();
        drop(state);
        drop(reader);
        wake(woken);
        piece
    }

    /// What can be read, for a reader of the host's own, who also makes the writer write.
    pub(super) fn poll_piece(&self, cx: &Context<'_>) -> Poll<Bytes> {
        let mut woken = Writers::default();
        let mut state = self.state();
        let piece = self.pop_from(&mut state, &mut woken);
        // Woken by what is written later, and not by what was written just now.
        state.reader = piece.is_none().then(|| cx.waker().clone());
        drop(state);
        wake(woken);
        piece.map_or(Poll::Pending, Poll::Ready)
    }

    /// The next piece, for a reader who does not write; `None` at the end.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(piece) = self.pop() {
            return Poll::Ready(Some(Ok(piece)));
        }
        let waker = cx.waker().clone();
        let mut state = self.state();
        if state.is_over && self.is_idle() {
            let ended = state.more().ended.take();
            return Poll::Ready(ended.and_then(Result::err).map(Err));
        }
        if !self.is_idle() {
            drop(state);
            // It was written meanwhile.
            waker.wake();
            return Poll::Pending;
        }
        let former = state.reader.replace(waker);
        drop(state);
        drop(former);
        Poll::Pending
    }

    /// Ready when nothing more will be written, with how it ended.
    pub(super) fn poll_ended(&self) -> Poll<Result<(), Error>> {
        let mut state = self.state();
        if !state.is_over {
            return Poll::Pending;
        }
        Poll::Ready(state.more().ended.take().unwrap_or(Ok(())))
    }

    /// Is woken when something is written or changes.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let former = self.state().reader.replace(waker);
        drop(former);
    }

    /// Ready when all that was written has been read.
    pub(super) fn poll_empty(&self, cx: &Context<'_>) -> Poll<Result<(), ReaderGone>> {
        let state = std::task::ready!(self.poll_room(Asked::Empty, cx));
        Poll::Ready(state.map(drop))
    }
}

/// The reading end, where it is on its own.
pub(super) struct Reader(pub(super) Arc<Pipe>);

impl Stream for Reader {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests;
