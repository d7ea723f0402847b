//! Events to chunks of a chat completion.

use aurora_openai::chat::{ChatChunk, ChunkChoice, Delta};

use super::event::Event;

/// The chunk that tells a chat client about `event`; `None` for what chat completions have no word for.
///
/// A new message gives the chunk with the role, so send only the first of those. Errors are no chunks.
pub fn to_chunk(event: &Event, id: &str, model: &str) -> Option<ChatChunk> {
    let mut choice = ChunkChoice::default();
    match event {
        Event::Message(_) => {
            choice.delta = Delta {
                role: Some("assistant".to_owned()),
                content: Some(String::new()),
                ..Delta::default()
            }
        }
        Event::Text(text) => choice.delta.content = Some(text.clone()),
        Event::Reasoning(text) => choice.delta.reasoning_content = Some(text.clone()),
        Event::Finish(reason) => choice.finish_reason = Some(reason.as_str().to_owned()),
        _ => return None,
    }
    Some(ChatChunk {
        id: id.to_owned(),
        model: model.to_owned(),
        choices: vec![choice],
        usage: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::FinishReason;

    #[test]
    fn text_reasoning_and_the_end_become_chunks() {
        let chunk = |event: &Event| to_chunk(event, "chatcmpl-1", "auto");
        let delta = |event: &Event| chunk(event).unwrap().choices.remove(0);

        let text = delta(&Event::Text("a".to_owned())).delta.content;
        let thought = delta(&Event::Reasoning("b".to_owned()))
            .delta
            .reasoning_content;
        let end = delta(&Event::Finish(FinishReason::Length)).finish_reason;

        assert_eq!(
            [text, thought, end].map(Option::unwrap),
            ["a", "b", "length"]
        );
        assert_eq!(
            delta(&Event::Message("m".to_owned())).delta.role.as_deref(),
            Some("assistant")
        );
        assert_eq!(chunk(&Event::Title("t".to_owned())), None);
    }
}
