//! Speech: the text goes into a conversation as the model's own words, which the service then reads aloud.

use std::sync::Arc;
use std::time::Duration;

use aurora_accounts::{Feature, Lease};
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::model::{Effort, Model};
use aurora_chatgpt::request::{Draft, Role};
use aurora_chatgpt::stream::Event;
use aurora_chatgpt::voice::{AudioFormat, voice};
use aurora_sdk::Error;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::content::checked_id;
use super::failure::Failure;
use super::serving::Asking;
use super::stamp::{message_id, now};
use super::turn::{Running, Step, failed, turn_settings, unexpected};
use super::web::{Ask, Web};
use super::words::{missing, wrong};
use super::{Service, decided};
use crate::providers::{Answer, Call, Fault};

/// The longest text, characters: the official API's limit.
const MAX_INPUT: usize = 4096;

/// The largest request body, bytes.
const MAX_BODY: u64 = 1 << 20;

/// The largest answer that names a link to the sound, bytes.
const MAX_LINK: usize = 64 << 10;

/// How long hiding a conversation may take.
const HIDING: Duration = Duration::from_secs(15);

/// What is asked for.
struct Asked {
    input: String,
    voice: &'static str,
    format: AudioFormat,
}

/// Sound on its way, and the conversation that it was made in.
struct Spoken {
    sound: Answer,
    conversation_id: String,
}

/// Answers `audio/speech`.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let body = call.body.read_all(MAX_BODY).await.map_err(Fault::Client)?;
    let asked = read(&body).map_err(decided)?;
    let asking = Asking {
        visitor: &call.visitor,
        tries: &call.tries,
        model: Some("auto"),
        feature: Feature::Speech,
        login_for: Some("speech"),
        pinned: None,
        turn: true,
    };
    let wanted = &asked;
    let spoken = |lease: Arc<Lease>| async move { speak(&service.web, &lease, wanted).await };
    let (spoken, lease) = service.with_account(&asking, spoken).await?;
    let hidden = HiddenInTheEnd {
        web: Arc::clone(&service.web),
        lease: Some(lease),
        conversation_id: spoken.conversation_id,
    };
    // What comes is said truly: flac, wav and pcm come as AAC.
    let content_type = HeaderValue::from_static(asked.format.content_type());
    let state = (spoken.sound.body, hidden);
    let body = stream::unfold(state, async |(mut body, hidden)| {
        let chunk: Result<Bytes, Fault> = body.next().await?;
        Some((chunk, (body, hidden)))
    });
    Ok(Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
        body: Box::pin(body),
        judged: true,
    })
}

fn read(body: &[u8]) -> Result<Asked, Error> {
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(Error::invalid_json)?;
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(name, "text")),
    };
    let input = text("input")?.unwrap_or_default();
    if input.trim().is_empty() {
        return Err(missing("input"));
    }
    let length = input.chars().count();
    if length > MAX_INPUT {
        let message =
            format!("`input` has {length} characters; at most {MAX_INPUT} can be spoken at once");
        return Err(Error::invalid("invalid_value", "input", message));
    }
    let format = AudioFormat::of(text("response_format")?)
        .ok_or_else(|| wrong("response_format", "one of mp3, opus, aac, flac, wav, pcm"))?;
    Ok(Asked {
        input: input.to_owned(),
        voice: voice(text("voice")?),
        format,
    })
}

async fn speak(web: &Arc<Web>, lease: &Arc<Lease>, asked: &Asked) -> Result<Spoken, Failure> {
    let draft = Draft {
        role: Role::Assistant,
        text: asked.input.clone(),
        references: Vec::new(),
    };
    let own_id = message_id();
    let message = draft.message(&own_id, now(), &[], &[]);
    // Only what is kept can be read aloud.
    let settings = turn_settings(Model::of("auto"), Effort::Standard, false);
    let mut running = Running::begin(web, lease, settings, vec![message]).await?;
    let seeded = seed(&mut running).await;
    let conversation_id = running.turn().conversation_id().map(str::to_owned);
    let echoed = running.turn().repeated_answer_id().map(str::to_owned);
    drop(running);
    let Some(conversation_id) = conversation_id else {
        seeded?;
        return Err(unexpected("named no conversation to read aloud from"));
    };
    let spoken = async {
        seeded?;
        let message_id = echoed.unwrap_or(own_id);
        synthesize(web, lease, (&conversation_id, &message_id), asked).await
    };
    match spoken.await {
        Ok(sound) => Ok(Spoken {
            sound,
            conversation_id,
        }),
        Err(failure) => {
            hide(web, lease, &conversation_id).await;
            Err(failure)
        }
    }
}

/// Reads the turn until it is over: the service stores its messages then.
async fn seed(running: &mut Running) -> Result<(), Failure> {
    loop {
        match running.next().await? {
            Some(Step::Event(Event::Failed(error))) => {
                // The service may have nothing to add to what the model "said".
                let is_there = running.turn().repeated_answer_id().is_some();
                return if is_there && error == aurora_chatgpt::stream::StreamError::Empty {
                    Ok(())
                } else {
                    Err(failed(&error))
                };
            }
            Some(Step::Event(Event::Finish(_) | Event::Pending(_))) | None => return Ok(()),
            Some(_) => {}
        }
    }
}

async fn synthesize(
    web: &Web,
    lease: &Lease,
    (conversation_id, message_id): (&str, &str),
    asked: &Asked,
) -> Result<Answer, Failure> {
    let path = format!(
        "synthesize?message_id={}&conversation_id={}&voice={}&format={}",
        checked_id(message_id)?,
        checked_id(conversation_id)?,
        asked.voice,
        asked.format.as_str()
    );
    let ask = Ask {
        accept: "*/*",
        ..Ask::get(path)
    };
    let sound = web.accepted(lease, ask).await?;
    let content_type = sound.headers.get(CONTENT_TYPE);
    let is_json =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return Ok(sound);
    }
    let bytes = web.read(sound.body, MAX_LINK).await?;
    let link: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let url = ["download_url", "url"]
        .iter()
        .find_map(|key| link.get(*key)?.as_str())
        .and_then(|url| Url::parse(url).ok())
        .ok_or_else(|| unexpected("gave no sound"))?;
    let sound = web.link(lease, url).await?;
    if sound.status.is_success() {
        return Ok(sound);
    }
    let status = sound.status.as_u16();
    Err(Failure::of_kind(
        FaultKind::Unexpected,
        format!(
            "the ChatGPT service gave a link to the sound that does not hold (status {status})"
        ),
    ))
}

/// Takes a conversation that only the gateway needed out of the account's history.
async fn hide(web: &Web, lease: &Lease, conversation_id: &str) {
    let Ok(id) = checked_id(conversation_id) else {
        return;
    };
    let ask = Ask::json(
        Method::PATCH,
        format!("conversation/{id}"),
        &json!({"is_visible": false}),
    );
    match tokio::time::timeout(HIDING, web.value(lease, ask)).await {
        Ok(Ok(_)) => {}
        Ok(Err(failure)) => {
            tracing::warn!(upstream = web.name, cause = ?failure, "a conversation stays visible");
        }
        Err(_) => tracing::warn!(
            upstream = web.name,
            "a conversation stays visible: no answer in time"
        ),
    }
}

/// Hides the conversation when the sound has been sent, or the client has gone.
struct HiddenInTheEnd {
    web: Arc<Web>,
    lease: Option<Arc<Lease>>,
    conversation_id: String,
}

impl Drop for HiddenInTheEnd {
    fn drop(&mut self) {
        let (Some(lease), Ok(runtime)) = (self.lease.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let (web, id) = (
            Arc::clone(&self.web),
            std::mem::take(&mut self.conversation_id),
        );
        // Bounded by its own deadline.
        drop(runtime.spawn(async move { hide(&web, &lease, &id).await }));
    }
}
