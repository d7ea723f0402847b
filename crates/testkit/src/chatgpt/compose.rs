//! Built answers: the whole turn as frames, and what the conversation keeps of it.

use serde_json::{Value, json};

use super::auth::Owner;
use super::catalog::conduit_token;
use super::conversations::Later;
use super::files::Files;
use super::frames::Frames;
use super::handoff::{self, Handoff};
use super::images;
use super::messages::{self, Cast};
use super::script::{Built, Form, HandoffWay, Pictures, Plan};
use super::validate::Ask;
use super::websocket::Push;

/// A turn that is ready to be told.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) frames: Vec<String>,
    /// The finished messages, in order.
    pub(super) stored: Vec<Value>,
    pub(super) later: Option<Later>,
    pub(super) handoff: Option<Handoff>,
    pub(super) pushes: Vec<Push>,
    pub(super) async_status: Option<u64>,
    pub(super) title: Option<String>,
}

/// What a turn is composed of.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) files: &'a mut Files,
    pub(super) owner: &'a Owner,
    pub(super) ask: &'a Ask,
    pub(super) cast: Cast,
    /// What is said where nothing else was planned.
    pub(super) usual: String,
    pub(super) is_first: bool,
    pub(super) plan_type: String,
}

/// Composes a turn.
pub(super) fn compose(stage: Stage<'_>, built: &Built) -> Composed {
    let form = built.form.unwrap_or(stage.ask.form);
    let mut frames = Frames::new(form, &stage.cast.conversation);
    let mut composed = Composed::default();
    let token = conduit_token();
    if form == Form::Delta || built.handoff.is_some() {
        let event = json!({"type": "resume_conversation_token", "kind": "topic", "token": token});
        frames.typed(event);
    }
    if !stage.ask.is_continuation {
        frames.message(&[messages::scaffold()]);
    }
    for sent in &stage.ask.messages {
        let echo = messages::echo(sent, &stage.cast);
        frames.message(std::slice::from_ref(&echo));
        composed.stored.push(echo);
    }
    let mut turn = Turn {
        stage,
        frames,
        composed,
        token,
    };
    if let Some(thoughts) = &built.thoughts {
        turn.think(thoughts);
    }
    match &built.plan {
        Plan::Echo if turn.stage.ask.wants_picture => turn.pictures(&Pictures::default()),
        Plan::Pictures(pictures) => turn.pictures(pictures),
        Plan::Quota(time) => turn.quota(time),
        Plan::Echo => turn.speak(&turn.stage.usual.clone(), built),
        Plan::Text(text) => turn.speak(text, built),
    }
    turn.end(built)
}

struct Turn<'a> {
    stage: Stage<'a>,
    frames: Frames,
    composed: Composed,
    token: String,
}

impl Turn<'_> {
    fn tell(&mut self, states: &[Value]) {
        self.frames.message(states);
        self.composed.stored.extend(states.last().cloned());
    }

    /// A message of thoughts that grows, and the recap.
    fn think(&mut self, text: &str) {
        let cast = &self.stage.cast;
        let thought = |content: &str, finished: bool| json!({"summary": "Thinking", "content": content, "chunks": [], "finished": finished});
        let content = |thoughts: &[Value]| json!({"content_type": "thoughts", "thoughts": thoughts, "source_analysis_msg_id": cast.exchange});
        let mut whole = messages::assistant(cast, &content(&[thought(text, true)]));
        whole["metadata"]["reasoning_status"] = "is_reasoning".into();
        let with = |thoughts: &[Value]| {
            let mut state = messages::unfinished(&whole);
            state["content"] = content(thoughts);
            state
        };
        let half = text
            .char_indices()
            .nth(text.chars().count() / 2)
            .map_or(0, |(at, _)| at);
        let states = [
            with(&[]),
            with(&[thought("", false)]),
            with(&[thought(text.get(..half).unwrap_or_default(), false)]),
            with(&[thought(text, false)]),
            whole.clone(),
        ];
        let recap = json!({"content_type": "reasoning_recap", "content": "Thought for 4 seconds"});
        let mut recap = messages::assistant(cast, &recap);
        recap["metadata"]["reasoning_status"] = "reasoning_ended".into();
        recap["metadata"]["finished_duration_sec"] = 4.into();
        self.tell(&states);
        self.tell(&[recap]);
    }

    /// The answer in words.
    fn speak(&mut self, text: &str, built: &Built) {
        let mut message = messages::assistant(&self.stage.cast, &messages::text(text));
        finish(&mut message, &built.finish);
        if self.frames.form() == Form::Delta {
            message["channel"] = "final".into();
        }
        let repeats = self.frames.form() == Form::Snapshot;
        if let Some(way) = &built.handoff {
            self.hand_off(&message, way, built);
            return;
        }
        let states = messages::growth(&message, built.pieces, 0, repeats);
        self.tell(&states);
    }

    fn hand_off(&mut self, message: &Value, way: &HandoffWay, built: &Built) {
        let whole = message["content"]["parts"][0].as_str().unwrap_or_default();
        let from = if whole.starts_with(&way.partial) {
            way.partial.len()
        } else {
            0
        };
        let repeats = self.frames.form() == Form::Snapshot;
        let states = messages::growth(message, built.pieces, from, repeats);
        let early = states.first().cloned().unwrap_or_default();
        if from > 0 {
            self.frames.message(std::slice::from_ref(&early));
        }
        self.composed.stored.push(early);
        let exchange = self.stage.cast.exchange.clone();
        let topic = format!("conversation-turn-{exchange}");
        self.metadata(message, true);
        self.frames.typed(json!({"type": "stream_handoff", "turn_exchange_id": exchange, "options": [
            {"type": "resume_sse_endpoint", "topic_id": topic}, {"type": "subscribe_ws_topic", "topic_id": topic},
        ]}));
        self.frames.done();
        self.composed.frames = self.frames.take();
        self.frames.begin();
        self.frames.message(&states);
        self.frames
            .typed(json!({"type": "message_stream_complete"}));
        self.frames.done();
        let handoff = Handoff {
            owner: self.stage.owner.clone(),
            conversation: self.stage.cast.conversation.clone(),
            token: self.token.clone(),
            topic,
            items: self.frames.take(),
            resume: way.resume,
            resume_bytes: way.resume_bytes,
        };
        if way.has_topic {
            self.composed.pushes = handoff.pushes();
        }
        self.composed.handoff = Some(handoff);
        self.composed.later = Some(Later {
            polls: way.polls,
            messages: vec![message.clone()],
            async_status: None,
        });
    }

    fn call_tool(&mut self) -> (String, String) {
        let prompt = self.stage.ask.last_user_text();
        let arguments = json!({"prompt": prompt, "n": 1});
        let call = messages::call(&self.stage.cast, images::TOOL, &arguments);
        let id = call["id"].as_str().unwrap_or_default().to_owned();
        let mut early = messages::unfinished(&call);
        early["content"]["text"] = "".into();
        self.tell(&[early, call]);
        (id, prompt)
    }

    fn pictures(&mut self, wanted: &Pictures) {
        let (call, prompt) = self.call_tool();
        if let Some(polls) = wanted.polls {
            return self.later(wanted, polls, (&call, &prompt));
        }
        let made = images::made(self.stage.files, self.stage.owner, wanted, (&call, &prompt));
        for states in made {
            self.tell(&states);
        }
        self.close(&wanted.caption);
    }

    fn later(&mut self, wanted: &Pictures, polls: usize, (call, prompt): (&str, &str)) {
        let placeholder = images::placeholder(call);
        let id = placeholder["id"].as_str().unwrap_or_default().to_owned();
        self.tell(&[placeholder]);
        let cast = Cast {
            parent: id,
            ..self.stage.cast.clone()
        };
        let late = images::late(self.stage.files, self.stage.owner, wanted, &cast, prompt);
        if wanted.is_pushed {
            let update = |kind: &str, content: Value| {
                handoff::update(
                    self.stage.owner,
                    &self.stage.cast.conversation,
                    kind,
                    &content,
                )
            };
            self.composed.pushes = vec![
                update("async-task-start", json!({})),
                update("add-messages", json!({ "messages": late })),
                update(
                    "set-conversation-async-status",
                    json!({"async_status": 4, "conversation_async_status": 4}),
                ),
            ];
        }
        self.composed.async_status = Some(1);
        self.composed.later = Some(Later {
            polls,
            messages: late,
            async_status: Some(4),
        });
    }

    fn quota(&mut self, time: &str) {
        let (call, _) = self.call_tool();
        self.tell(&[images::quota(&call, time)]);
        self.close(&format!(
            "I cannot make another image for now; please try again in {time}."
        ));
    }

    /// The assistant's last words after a tool.
    fn close(&mut self, text: &str) {
        let mut message = messages::assistant(&self.stage.cast, &messages::text(text));
        finish(&mut message, "stop");
        message["channel"] = "final".into();
        self.tell(&[message]);
    }

    fn metadata(&mut self, message: &Value, resumes: bool) {
        let (cast, stage) = (&self.stage.cast, &self.stage);
        let picture = stage.ask.wants_picture;
        self.frames.typed(json!({"type": "server_ste_metadata", "metadata": {
            "plan_type": stage.plan_type, "model_slug": cast.model, "default_model_slug": cast.asked,
            "turn_exchange_id": cast.exchange, "turn_use_case": if picture { "image gen" } else { "text" },
            "tool_invoked": picture, "tool_name": picture.then_some("ImageGenToolTemporal"),
            "message_id": message["id"], "request_id": cast.request, "is_first_turn": stage.is_first,
            "resume_with_websockets": resumes,
        }}));
    }

    fn end(mut self, built: &Built) -> Composed {
        if self.composed.handoff.is_some() {
            self.composed.title.clone_from(&built.title);
            return self.composed;
        }
        let last = self.composed.stored.last().cloned().unwrap_or_default();
        if self.stage.is_first || built.title.is_some() {
            let title = built.title.as_deref().unwrap_or("A new chat").to_owned();
            self.frames
                .typed(json!({"type": "title_generation", "title": title}));
            self.composed.title = Some(title);
        }
        self.metadata(&last, false);
        self.frames
            .typed(json!({"type": "message_stream_complete"}));
        if let Some(status) = self.composed.async_status {
            self.frames
                .typed(json!({"type": "conversation_async_status", "async_status": status}));
        }
        self.frames.done();
        self.composed.frames = self.frames.take();
        self.composed
    }
}

/// Ends a message for one of the service's reasons.
fn finish(message: &mut Value, kind: &str) {
    message["metadata"]["finish_details"] = json!({ "type": kind });
    message["end_turn"] = (kind != "max_tokens").into();
    if kind == "stop" {
        message["metadata"]["finish_details"]["stop_tokens"] = json!([200_002]);
        message["metadata"]["is_complete"] = true.into();
    } else {
        message["status"] = "finished_partial_completion".into();
    }
}
