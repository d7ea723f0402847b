//! How a turn ends, and what is left when it did.

use super::super::event::{Event, FinishReason, Handoff, ImageTask, StreamError};
use super::super::message::{Kind, Said};
use super::super::picture::Picture;
use super::super::typed::turn_topic;
use super::{Continuation, Phase, Turn};

impl Turn {
    /// The body is over, or `[DONE]` was read: tells what is left and, as the last event, how the turn stands.
    ///
    /// The turn is over with `[DONE]`, with the complete event, or when a finished answer says so. A body that ended
    /// without any of these is [`StreamError::Truncated`]. Nothing is told after a failure.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        if self.phase == Phase::Failed {
            return out;
        }
        self.frames.finish();
        self.drain(&mut out);
        self.flush(self.records.len(), &mut out);
        let pictures = self.pictures();
        let ending = self.ending(!pictures.is_empty());
        out.extend(pictures.into_iter().map(Event::Image));
        out.push(ending);
        out
    }

    /// The whole answer as it stands now; other than what was told piece by piece, it has rewritten texts in full.
    pub fn answer(&self) -> String {
        let mut answer = String::new();
        for record in self
            .records
            .iter()
            .filter(|record| record.kind == Kind::Answer)
        {
            let text = record.renderer.whole(record.growth.text());
            if record.said > Said::Nothing
                && !answer.is_empty()
                && !text.is_empty()
                && !record.continues()
            {
                answer.push_str("\n\n");
            }
            if record.said > Said::Nothing {
                answer.push_str(&text);
            }
        }
        answer
    }

    /// The pictures that the turn made so far.
    pub fn pictures(&self) -> Vec<Picture> {
        let seen = self.records.iter();
        Picture::results(seen.flat_map(|record| record.pictures.iter().cloned()))
    }

    /// The message that holds the answer, the last of them where there are several.
    pub fn answer_id(&self) -> Option<&str> {
        let mut answers = self.records.iter().rev();
        let answer =
            answers.find(|record| record.kind == Kind::Answer && record.said > Said::Nothing)?;
        Some(&answer.id)
    }

    /// What a request to go on with a cut answer must name; `None` while the answer was not cut.
    pub fn continuation(&self) -> Option<Continuation> {
        if self.reason() != FinishReason::Length {
            return None;
        }
        Some(Continuation {
            conversation_id: self.conversation_id.clone()?,
            parent_message_id: self.answer_id()?.to_owned(),
        })
    }

    fn reason(&self) -> FinishReason {
        if self.blocked {
            return FinishReason::ContentFilter;
        }
        let mut answers = self.records.iter().rev();
        let answer =
            answers.find(|record| record.kind == Kind::Answer && record.said > Said::Nothing);
        match answer.and_then(|record| record.details.as_deref()) {
            Some("max_tokens") => FinishReason::Length,
            Some("content_filter") => FinishReason::ContentFilter,
            _ => FinishReason::Stop,
        }
    }

    fn ending(&mut self, has_pictures: bool) -> Event {
        if self.blocked {
            return Event::Finish(FinishReason::ContentFilter);
        }
        if let (Some(handoff), true) = (self.handoff.clone(), self.conversation_id.is_some()) {
            let exchange = self.exchange_id.as_deref().map(turn_topic);
            return self.handed_off(handoff.id.or(exchange));
        }
        let answered = self.records.iter().any(super::Record::ends_turn);
        if self.phase == Phase::Open && !answered {
            self.phase = Phase::Failed;
            return Event::Failed(StreamError::Truncated);
        }
        if let (Some(task), false, Some(conversation_id)) = (
            self.task.clone(),
            has_pictures,
            self.conversation_id.clone(),
        ) {
            return Event::Pending(ImageTask {
                conversation_id,
                task_id: task.id,
            });
        }
        let faulty = self.fault.is_some();
        let has_text = !self.answer().trim().is_empty();
        if has_text || has_pictures || faulty {
            return Event::Finish(self.reason());
        }
        if let (false, Some(exchange)) = (answered, &self.exchange_id) {
            return self.handed_off(Some(turn_topic(exchange)));
        }
        self.phase = Phase::Failed;
        Event::Failed(StreamError::Empty)
    }

    fn handed_off(&self, topic_id: Option<String>) -> Event {
        Event::Handoff(Handoff {
            conversation_id: self.conversation_id.clone().unwrap_or_default(),
            topic_id,
            resume_token: self.resume_token.clone(),
        })
    }
}
