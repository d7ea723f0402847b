//! A chat request as the service understands it.

use aurora_accounts::{AccountId, Lease};
use aurora_chatgpt::fault::FaultKind;
use aurora_chatgpt::model::{Effort, Model};
use aurora_chatgpt::request::{Draft, Invalid, Reference, Role, Settings, Turn, drafts};
use aurora_chatgpt::stop::Stops;
use aurora_chatgpt::tools::{ASK_AGAIN, Choice, Functions, instructions, reminder};
use aurora_config::ChatGptWeb;
use aurora_openai::chat::ChatRequest;
use aurora_sdk::Error;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::answer::{Shape, estimate};
use super::super::failure::Failure;
use super::super::stamp::{message_id, now, seconds};
use super::super::turn::turn_settings;
use super::super::words::{missing, wrong};
use super::super::{Service, references};
use crate::providers::{Brought, Visitor};

/// A chat request, read and checked.
pub(in super::super) struct Asked {
    /// Whether the client wants a stream.
    pub(super) stream: bool,
    /// How the turn is asked for.
    pub(super) settings: Settings,
    /// Its messages, before uploads.
    pub(in super::super) drafts: Vec<Draft>,
    /// How the answer looks.
    pub(super) shape: Shape,
}

impl Asked {
    /// Reads the body of a chat request; `named` is the client's own name of the model.
    ///
    /// # Errors
    /// 400, naming the field.
    pub(super) fn read(
        body: &[u8],
        named: Option<String>,
        settings: &ChatGptWeb,
    ) -> Result<Self, Error> {
        let mut fields: Map<String, Value> =
            serde_json::from_slice(body).map_err(Error::invalid_json)?;
        check(&fields)?;
        let model = fields
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or("auto")
            .to_owned();
        check_model(&model)?;
        let stream = fields.get("stream").and_then(Value::as_bool) == Some(true);
        let include_usage = fields
            .get("stream_options")
            .and_then(|options| options.get("include_usage"))
            .and_then(Value::as_bool)
            == Some(true);
        let effort = Effort::of(fields.get("reasoning_effort").and_then(Value::as_str));
        let stops = Stops::of(fields.get("stop"));
        fields.insert("model".to_owned(), model.as_str().into());
        let request: ChatRequest =
            serde_json::from_value(fields.into()).map_err(Error::invalid_json)?;
        let tools = if settings.tool_calling {
            request.tools.as_slice()
        } else {
            &[]
        };
        let functions = Functions::read(tools);
        let choice = Choice::read(request.rest.get("tool_choice"));
        let texts = request
            .messages
            .iter()
            .filter_map(|message| message.content.as_str());
        let turn = Turn {
            instructions: instructions(&functions, &choice),
            reminder: reminder(&functions, &choice, texts),
            ..Turn::default()
        };
        let drafts = drafts(&request, &turn).map_err(|invalid| of_invalid(&invalid))?;
        let shape = Shape {
            id: format!("chatcmpl-{}", Uuid::new_v4().simple()),
            created: seconds(),
            model: named.unwrap_or_else(|| model.clone()),
            include_usage,
            prompt_tokens: drafts.iter().map(|draft| estimate(&draft.text)).sum(),
            functions,
            choice,
            stops,
        };
        Ok(Self {
            stream,
            settings: turn_settings(Model::of(&model), effort, !settings.history),
            drafts,
            shape,
        })
    }

    /// A picture that comes after its stream can be had from a conversation that is kept, and from no other.
    pub(super) fn check_kept(&self) -> Result<(), Failure> {
        if !self.settings.temporary {
            return Ok(());
        }
        Err(Failure::of_kind(
            FaultKind::ImageFailed,
            "the picture is made after the answer, and this chat is not kept: ask the images endpoint, or let the operator \
             set `history = true`",
        ))
    }

    /// What of it a device account cannot do.
    pub(super) fn login_for(&self) -> Option<&'static str> {
        if self.shape.has_tools() {
            Some("tool calling")
        } else if self.drafts.iter().any(|draft| !draft.references.is_empty()) {
            Some("a picture or file in a chat")
        } else {
            None
        }
    }
}

impl Service {
    /// The only account that can serve a request with these messages: the one that holds its files.
    pub(in super::super) async fn pinned(
        &self,
        visitor: &Visitor,
        drafts: &[Draft],
    ) -> Result<Option<AccountId>, Error> {
        if !matches!(visitor.brought, Brought::Nothing) {
            return Ok(None);
        }
        for reference in drafts.iter().flat_map(|draft| &draft.references) {
            if let Reference::File { id, .. } = reference
                && let Some(record) = self.pins.file(&visitor.owner, id).await?
            {
                return Ok(record.account.parse().ok());
            }
        }
        Ok(None)
    }

    /// The messages of a request, with its pictures and files uploaded; `again` asks a model that refused once more.
    pub(in super::super) async fn messages(
        &self,
        lease: &Lease,
        owner: &str,
        asked: &Asked,
        again: bool,
    ) -> Result<Vec<Value>, Failure> {
        let mut messages = self
            .said(lease, owner, &asked.drafts, &asked.settings.model.hints)
            .await?;
        if again {
            let asking = Draft {
                role: Role::User,
                text: ASK_AGAIN.to_owned(),
                references: Vec::new(),
            };
            messages.push(asking.message(&message_id(), now(), &[], &[]));
        }
        Ok(messages)
    }

    /// Drafts as the service's messages, in order.
    pub(in super::super) async fn said(
        &self,
        lease: &Lease,
        owner: &str,
        drafts: &[Draft],
        hints: &[&str],
    ) -> Result<Vec<Value>, Failure> {
        let uploads = references::attachments(self, lease, owner, drafts).await?;
        let start = now();
        let messages = drafts.iter().zip(&uploads).zip(0_u32..);
        Ok(messages
            .map(|((draft, uploads), number)| {
                // Later ones are newer.
                let at = start + f64::from(number) / 1000.0;
                draft.message(&message_id(), at, uploads, hints)
            })
            .collect())
    }
}

fn check(fields: &Map<String, Value>) -> Result<(), Error> {
    match fields.get("messages") {
        None | Some(Value::Null) => Err(missing("messages")),
        Some(Value::Array(messages)) if messages.is_empty() => Err(missing("messages")),
        Some(Value::Array(messages)) => {
            let is_message = |message: &Value| message.get("role").is_some_and(Value::is_string);
            match messages.iter().position(|message| !is_message(message)) {
                Some(index) => Err(wrong(
                    &format!("messages[{index}]"),
                    "an object with a `role`",
                )),
                None => Ok(()),
            }
        }
        Some(_) => Err(wrong("messages", "a list of messages")),
    }?;
    for (field, is_right, kind) in [
        (
            "model",
            fields.get("model").is_none_or(Value::is_string),
            "text",
        ),
        (
            "stream",
            fields
                .get("stream")
                .is_none_or(|v| v.is_boolean() || v.is_null()),
            "true or false",
        ),
        (
            "tools",
            fields
                .get("tools")
                .is_none_or(|v| v.is_array() || v.is_null()),
            "a list of tools",
        ),
    ] {
        if !is_right {
            return Err(wrong(field, kind));
        }
    }
    Ok(())
}

/// Models that the service does not have any more are refused here: it would answer with another one.
fn check_model(model: &str) -> Result<(), Error> {
    if !model.to_ascii_lowercase().contains("plugins") {
        return Ok(());
    }
    let message = format!(
        "the model `{model}` does not exist any more: the ChatGPT service has removed plugin models; use `auto`"
    );
    Err(Error::invalid("model_not_supported", "model", message))
}

fn of_invalid(invalid: &Invalid) -> Error {
    let param = match invalid {
        Invalid::NoMessages => return missing("messages"),
        Invalid::Role { index, .. } => format!("messages[{index}].role"),
        Invalid::Content { index } => format!("messages[{index}].content"),
        Invalid::Part { index, part } => format!("messages[{index}].content[{part}]"),
    };
    Error::invalid("invalid_value", param, invalid.to_string())
}
