//! What the conversation endpoint answers.

mod knobs;
mod reply;

pub(super) use reply::{Act, Built, HandoffWay, Pictures, Plan};
pub use reply::{Form, Reply};

use std::collections::VecDeque;

/// Answers that wait for their turns.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) queue: VecDeque<Reply>,
    pub(super) marked: Vec<(String, Reply)>,
}

impl Script {
    /// The answer to a turn whose last user text is `text`: one with a marker first, then the queue, then the usual one.
    pub(super) fn next(&mut self, text: &str) -> Reply {
        let marked = self
            .marked
            .iter()
            .rev()
            .find(|(mark, _)| text.contains(mark.as_str()));
        if let Some((_, reply)) = marked {
            return reply.clone();
        }
        self.queue.pop_front().unwrap_or_default()
    }
}
