//! How an answer is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::pace::{Ending, Stop};
use super::reply::{Act, Built, Form, HandoffWay, Pictures, Plan, Reply};

/// Knobs of built answers; they do nothing to others.
impl Reply {
    pub(super) fn build(mut self, change: impl FnOnce(&mut Built)) -> Self {
        if let Act::Built(built) = &mut self.act {
            change(built);
        }
        self
    }

    fn pictures_knob(self, change: impl FnOnce(&mut Pictures)) -> Self {
        self.build(|built| {
            if let Plan::Pictures(pictures) = &mut built.plan {
                change(pictures);
            }
        })
    }

    fn handoff_knob(self, change: impl FnOnce(&mut HandoffWay)) -> Self {
        self.build(|built| {
            if let Some(way) = &mut built.handoff {
                change(way);
            }
        })
    }

    /// In delta form, whatever was asked for.
    #[must_use]
    pub fn delta(self) -> Self {
        self.build(|built| built.form = Some(Form::Delta))
    }

    /// In snapshot form, whatever was asked for.
    #[must_use]
    pub fn snapshot(self) -> Self {
        self.build(|built| built.form = Some(Form::Snapshot))
    }

    /// The text grows in that many steps.
    #[must_use]
    pub fn pieces(self, pieces: usize) -> Self {
        self.build(|built| built.pieces = Some(pieces))
    }

    /// Thoughts before the answer.
    #[must_use]
    pub fn reasoning(self, text: &str) -> Self {
        self.build(|built| built.thoughts = Some(text.to_owned()))
    }

    /// Why it finishes: `stop` by default, `max_tokens`, `interrupted`.
    #[must_use]
    pub fn finish(self, kind: &str) -> Self {
        self.build(|built| kind.clone_into(&mut built.finish))
    }

    /// The model that is said to have answered.
    #[must_use]
    pub fn model(self, slug: &str) -> Self {
        self.build(|built| built.model = Some(slug.to_owned()))
    }

    /// The conversation's title.
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.build(|built| built.title = Some(title.to_owned()))
    }

    /// How many pictures.
    #[must_use]
    pub fn pictures(self, count: usize) -> Self {
        self.pictures_knob(|pictures| pictures.count = count)
    }

    /// A blurry picture first, which the real one replaces.
    #[must_use]
    pub fn preview(self) -> Self {
        self.pictures_knob(|pictures| pictures.has_preview = true)
    }

    /// That many pictures, each a revision of the one before.
    #[must_use]
    pub fn revisions(self, count: usize) -> Self {
        self.pictures_knob(|pictures| {
            pictures.count = count;
            pictures.is_revised = true;
        })
    }

    /// A text after the pictures.
    #[must_use]
    pub fn caption(self, text: &str) -> Self {
        self.pictures_knob(|pictures| text.clone_into(&mut pictures.caption))
    }

    /// Late pictures are told over the websocket, as soon as the stream is out.
    #[must_use]
    pub fn pushed(self) -> Self {
        self.pictures_knob(|pictures| pictures.is_pushed = true)
    }

    /// `resume` answers with this status and no stream.
    #[must_use]
    pub fn resume_status(self, status: u16) -> Self {
        self.handoff_knob(|way| way.resume = status)
    }

    /// `resume` ends its stream after `bytes` as if it were complete.
    #[must_use]
    pub fn resume_cut_after(self, bytes: usize) -> Self {
        self.handoff_knob(|way| way.resume_bytes = Some(bytes))
    }

    /// The websocket has no such topic.
    #[must_use]
    pub fn no_topic(self) -> Self {
        self.handoff_knob(|way| way.has_topic = false)
    }

    /// So many looks at the conversation show the answer unfinished.
    #[must_use]
    pub fn polls(self, polls: usize) -> Self {
        self.handoff_knob(|way| way.polls = polls)
    }

    /// Looking at the conversation never shows the answer.
    #[must_use]
    pub fn never_polled(self) -> Self {
        self.polls(usize::MAX)
    }

    /// Text that comes before the handoff; the beginning of the whole answer.
    #[must_use]
    pub fn partial(self, text: &str) -> Self {
        self.handoff_knob(|way| text.clone_into(&mut way.partial))
    }

    /// Transcripts exactly as they are, their ids too. The conversation is known under the id that they name.
    #[must_use]
    pub fn verbatim(mut self) -> Self {
        if let Act::Bytes { is_verbatim, .. } = &mut self.act {
            *is_verbatim = true;
        }
        self
    }
}

/// Knobs of all streams. Offsets count the bytes of the body, after [`Self::crlf`] and before [`Self::gzip`].
impl Reply {
    /// Bytes per write; without this and [`Self::at`] every frame is a write.
    #[must_use]
    pub fn chunks(mut self, bytes: usize) -> Self {
        self.pace.chunk = Some(bytes);
        self
    }

    /// Cuts the writes at these offsets.
    #[must_use]
    pub fn at(mut self, offsets: &[usize]) -> Self {
        self.pace.cuts.extend(offsets);
        self
    }

    /// A wait between two writes.
    #[must_use]
    pub fn delay(mut self, time: Duration) -> Self {
        self.pace.delay = time;
        self
    }

    /// A wait after `bytes`; 0 is after the head.
    #[must_use]
    pub fn pause_after(mut self, bytes: usize, time: Duration) -> Self {
        self.pace.stops.push((bytes, Stop::Time(time)));
        self
    }

    /// Waits after `bytes` until the test notifies.
    #[must_use]
    pub fn hold_after(mut self, bytes: usize, until: &Arc<Notify>) -> Self {
        self.pace
            .stops
            .push((bytes, Stop::Until(Arc::clone(until))));
        self
    }

    fn end_after(mut self, bytes: usize, ending: Ending) -> Self {
        self.pace.length = Some(bytes);
        self.pace.ending = ending;
        self
    }

    /// Ends the body after `bytes` as if it were complete.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        self.end_after(bytes, Ending::End)
    }

    /// Closes the connection after `bytes`.
    #[must_use]
    pub fn close_after(self, bytes: usize) -> Self {
        self.end_after(bytes, Ending::Close)
    }

    /// Resets the connection after `bytes`.
    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        self.end_after(bytes, Ending::Reset)
    }

    /// Says nothing more after `bytes` and keeps the connection open.
    #[must_use]
    pub fn hang_after(self, bytes: usize) -> Self {
        self.end_after(bytes, Ending::Hang)
    }

    /// Keeps the connection open after the last byte.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.pace.ending = Ending::Hang;
        self
    }

    /// Compressed, flushed after each write.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.pace.is_gzip = true;
        self
    }

    /// CR LF at the line ends.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.pace.is_crlf = true;
        self
    }

    /// Comments during waits between frames, one per `period`.
    #[must_use]
    pub fn pings(mut self, period: Duration) -> Self {
        self.pace.pings = Some(period);
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Act::Plain(plain) = self.act {
            self.act = Act::Plain(plain.header(name, value));
        } else {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}
