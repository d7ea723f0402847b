//! The conversation call.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::accounts::random;
use super::answer::{Answer, Plain};
use super::auth::{Caller, Owner};
use super::compose::{self, Composed, Stage};
use super::conversations::{ROOT, unknown};
use super::echo;
use super::handoff::Handoff;
use super::images::png;
use super::messages::{self, Cast};
use super::perform::Performance;
use super::record::Recorded;
use super::replay;
use super::running::Running;
use super::script::{Act, Built, Reply};
use super::validate::{self, Ask};
use super::world::{Shared, World};

/// The headers of an event stream.
pub(super) fn event_stream_headers() -> Vec<(String, String)> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        header("content-type", "text/event-stream; charset=utf-8"),
        header("cache-control", "no-cache"),
        header("x-oai-request-id", &Uuid::new_v4().to_string()),
    ]
}

/// `POST /f/conversation` and `POST /conversation`.
pub(super) async fn converse(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: &Recorded,
) -> Result<Answer, Plain> {
    let ask = validate::read(request, caller)?;
    check(&mut shared.world(), &caller.owner, &ask)?;
    let mut running = Running::begin(shared, &caller.owner.account).await?;
    let (reply, told) = {
        let mut world = shared.world();
        let reply = next_reply(&mut world, &ask);
        let told = tell(&mut world, caller, &ask, &reply);
        (reply, told)
    };
    let (body, composed) = match told {
        Ok(told) => told,
        Err(plain) => {
            running.release();
            return Ok(plain.into());
        }
    };
    let mut headers = event_stream_headers();
    headers.retain(|(name, _)| !reply.headers.iter().any(|(own, _)| own == name));
    headers.extend(reply.headers);
    if reply.pace.is_gzip {
        headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    }
    Ok(Answer::Stream(Box::new(Performance {
        headers,
        beats: reply.pace.beats(body),
        pings: reply.pace.pings,
        running: Some(running),
        pushes: composed.pushes,
    })))
}

/// What can be refused only by who knows the account's things.
fn check(world: &mut World, owner: &Owner, ask: &Ask) -> Result<(), Plain> {
    if let Some(id) = &ask.conversation {
        let conversation = world.conversations.of(owner, id)?;
        if !conversation.knows(&ask.parent) {
            let text = "The parent message is not in this conversation.";
            return Err(Plain::detail(404, "message_not_found", text));
        }
    }
    for id in ask.files() {
        let file = world.files.of(owner, &id);
        if file.is_none_or(|file| !file.is_ready) {
            return Err(Plain::detail(
                404,
                "file_not_found",
                "A file of the message is not there.",
            ));
        }
    }
    let longest = ask
        .messages
        .iter()
        .map(|message| super::conversations::text_of(message).chars().count())
        .max();
    if world
        .settings
        .max_message_chars
        .is_some_and(|limit| longest.is_some_and(|length| length > limit))
    {
        return Err(super::refusal::find("message_too_long").unwrap_or_else(unknown));
    }
    Ok(())
}

fn next_reply(world: &mut World, ask: &Ask) -> Reply {
    let mut text = ask.last_user_text();
    if ask.is_continuation {
        let id = ask.conversation.as_deref().unwrap_or_default();
        let conversation = world.conversations.by_id.get(id);
        text = conversation
            .map(super::conversations::Conversation::last_user_text)
            .unwrap_or_default();
    }
    world.script.next(&text)
}

/// The bytes of the answer; the conversation has it from now on.
fn tell(
    world: &mut World,
    caller: &Caller,
    ask: &Ask,
    reply: &Reply,
) -> Result<(Vec<u8>, Composed), Plain> {
    match &reply.act {
        Act::Plain(plain) => Err(plain.clone()),
        Act::Built(built) => Ok(tell_built(world, caller, ask, built)),
        Act::Bytes {
            bytes,
            rest,
            is_verbatim,
        } => {
            let rest = rest
                .as_ref()
                .map(|rest| String::from_utf8_lossy(rest).into_owned());
            Ok(tell_bytes(world, caller, ask, (bytes, rest, *is_verbatim)))
        }
    }
}

fn tell_built(world: &mut World, caller: &Caller, ask: &Ask, built: &Built) -> (Vec<u8>, Composed) {
    let id = ask.conversation.clone();
    let pending = ask.files();
    let pending = pending
        .iter()
        .filter(|id| {
            world
                .files
                .by_id
                .get(*id)
                .is_some_and(super::files::File::is_pending)
        })
        .count();
    let asked = ask
        .messages
        .last()
        .and_then(|message| message["id"].as_str());
    let default = if ask.model == "auto" {
        "gpt-5-6"
    } else {
        &ask.model
    };
    let cast = Cast {
        conversation: id.unwrap_or_else(|| Uuid::new_v4().to_string()),
        exchange: Uuid::new_v4().to_string(),
        request: format!("{}-FAKE", random(16)),
        parent: asked.unwrap_or(&ask.parent).to_owned(),
        model: built.model.clone().unwrap_or_else(|| default.to_owned()),
        asked: ask.model.clone(),
        effort: ask.effort.clone(),
        is_continuation: ask.is_continuation,
    };
    let account = world.accounts.by_name.get(&caller.owner.account);
    let stage = Stage {
        files: &mut world.files,
        owner: &caller.owner,
        ask,
        cast: cast.clone(),
        usual: echo::answer(ask, pending),
        is_first: ask.conversation.is_none(),
        plan_type: account.map_or_else(|| "free".to_owned(), |account| account.plan.clone()),
    };
    let composed = compose::compose(stage, built);
    keep(world, &caller.owner, ask, (&cast.conversation, &composed));
    (composed.frames.concat().into_bytes(), composed)
}

fn tell_bytes(
    world: &mut World,
    caller: &Caller,
    ask: &Ask,
    (bytes, rest, is_verbatim): (&Bytes, Option<String>, bool),
) -> (Vec<u8>, Composed) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let known = replay::string_of(&text, "conversation_id");
    let exchange = replay::string_of(&text, "turn_exchange_id");
    let id = match (&known, is_verbatim) {
        (Some(known), true) => known.clone(),
        _ => ask
            .conversation
            .clone()
            .unwrap_or_else(|| Uuid::new_v4().to_string()),
    };
    let fresh = Uuid::new_v4().to_string();
    let rewrite = |text: &str| {
        let mut text = text.to_owned();
        if let Some(known) = known.as_deref().filter(|_| !is_verbatim) {
            text = text.replace(known, &id);
        }
        if let Some(exchange) = exchange.as_deref().filter(|_| !is_verbatim) {
            text = text.replace(exchange, &fresh);
        }
        text
    };
    let text = rewrite(&text);
    let rest = rest.map(|rest| rewrite(&rest));
    for file in replay::pointers(&text) {
        if !world.files.by_id.contains_key(&file) {
            world
                .files
                .put_as(&file, &caller.owner, ("image.png", "image/png"), png(64, 9));
        }
    }
    let mut composed = given(ask, &text);
    if let Some(rest) = rest {
        let handoff = Handoff {
            owner: caller.owner.clone(),
            conversation: id.clone(),
            token: replay::string_of(&text, "token").unwrap_or_default(),
            topic: replay::string_of(&text, "topic_id").unwrap_or_default(),
            items: replay::frames(&rest),
            resume: 200,
            resume_bytes: None,
        };
        composed.pushes = handoff.pushes();
        composed.handoff = Some(handoff);
        composed.later = Some(super::conversations::Later {
            polls: 1,
            messages: replay::messages(&rest),
            async_status: None,
        });
    }
    keep(world, &caller.owner, ask, (&id, &composed));
    let body = if is_verbatim {
        bytes.to_vec()
    } else {
        text.into_bytes()
    };
    (body, composed)
}

/// What a conversation keeps of a given stream: what was sent, and what others than the user and the system said.
fn given(ask: &Ask, text: &str) -> Composed {
    let cast = Cast {
        conversation: String::new(),
        exchange: String::new(),
        request: String::new(),
        parent: ask.parent.clone(),
        model: ask.model.clone(),
        asked: ask.model.clone(),
        effort: ask.effort.clone(),
        is_continuation: ask.is_continuation,
    };
    let sent = ask
        .messages
        .iter()
        .map(|message| messages::echo(message, &cast));
    let said = replay::messages(text).into_iter();
    let said = said.filter(|message| {
        !["user", "system"]
            .iter()
            .any(|role| message["author"]["role"] == *role)
    });
    Composed {
        stored: sent.chain(said).collect(),
        title: replay::string_of(text, "title"),
        ..Composed::default()
    }
}

/// Stores a turn.
fn keep(world: &mut World, owner: &Owner, ask: &Ask, (id, composed): (&str, &Composed)) {
    let conversation = world.conversations.open(id, owner);
    conversation.owner.clone_from(owner);
    if ask.conversation.is_none() {
        conversation.is_temporary = ask.is_temporary;
        conversation.go_to(ROOT);
    } else {
        conversation.go_to(&ask.parent);
    }
    conversation.arrive();
    for message in &composed.stored {
        conversation.add(message);
    }
    conversation.later.clone_from(&composed.later);
    conversation.async_status = composed.async_status;
    conversation.model.clone_from(&ask.model);
    if let Some(title) = &composed.title {
        conversation.title.clone_from(title);
    }
    world.handoffs.extend(composed.handoff.clone());
}
