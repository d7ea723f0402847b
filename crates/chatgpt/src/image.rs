//! What a request for a picture came to.

use crate::fault::{Fault, FaultKind, redact, wait_in};
use crate::stream::{Event, Picture, Saved, ToolFault, Turn};

/// The outcome so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// These pictures were made, the last of each chain of revisions.
    Ready(Vec<Picture>),
    /// Ask again later.
    Pending,
    /// None will come.
    Failed(Fault),
}

impl Outcome {
    /// The outcome of a turn whose last event was `ending`.
    pub fn of_turn(turn: &Turn, ending: &Event) -> Self {
        let is_over = match ending {
            Event::Failed(error) if turn.pictures().is_empty() => {
                return Self::Failed(Fault::from(error));
            }
            Event::Pending(_) | Event::Handoff(_) => false,
            _ => true,
        };
        judge(turn.pictures(), turn.tool_fault(), &turn.answer(), is_over)
    }

    /// The outcome that a saved conversation shows.
    pub fn of_saved(saved: &Saved) -> Self {
        judge(
            saved.pictures.clone(),
            saved.fault.as_ref(),
            &saved.text,
            saved.is_over(),
        )
    }
}

/// Pictures count first, then a tool's failure, then what was said in their place.
fn judge(pictures: Vec<Picture>, fault: Option<&ToolFault>, text: &str, is_over: bool) -> Outcome {
    if !pictures.is_empty() {
        return Outcome::Ready(pictures);
    }
    if let Some(fault) = fault {
        let fault = Fault::from(fault);
        let kind = match fault.kind {
            FaultKind::StreamError => FaultKind::ImageFailed,
            kind => kind,
        };
        return Outcome::Failed(Fault { kind, ..fault });
    }
    if !is_over {
        return Outcome::Pending;
    }
    let lower = text.to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    let wait = wait_in(&lower);
    let kind = if says(&["content polic", "polic", "guideline"]) {
        FaultKind::ContentPolicy
    } else if says(&["limit", "quota", "too quickly"])
        || (wait.is_some() && says(&["try again", "wait"]))
    {
        FaultKind::ImageLimit
    } else {
        FaultKind::ImageFailed
    };
    let message = redact(text);
    Outcome::Failed(Fault {
        message: if message.is_empty() {
            "the ChatGPT service made no picture and did not say why".to_owned()
        } else {
            message
        },
        upstream_code: None,
        clears_in: wait.filter(|_| kind == FaultKind::ImageLimit),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> (FaultKind, Option<u64>) {
        match judge(Vec::new(), None, text, true) {
            Outcome::Failed(fault) => (fault.kind, fault.clears_in.map(|wait| wait.as_secs())),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn words_in_place_of_a_picture_are_told_apart() {
        let table = [
            (
                "The request does not follow our content policy.",
                FaultKind::ContentPolicy,
                None,
            ),
            (
                "I can't make another image for now; please try again in 14 minutes.",
                FaultKind::ImageLimit,
                Some(840),
            ),
            ("You have reached your limit.", FaultKind::ImageLimit, None),
            ("Here is a poem instead.", FaultKind::ImageFailed, None),
            ("", FaultKind::ImageFailed, None),
        ];

        for (text, kind, wait) in table {
            assert_eq!(failed(text), (kind, wait), "{text}");
        }
        assert_eq!(
            judge(Vec::new(), None, "Processing", false),
            Outcome::Pending
        );
    }
}
