//! Where responses are kept, each client's apart.

use std::collections::HashMap;
use std::time::Duration;

use aurora_openai::responses::{Response, reference, response_of};
use aurora_sdk::{Context, Error, Level};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a response is kept: as long as OpenAI does.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// The largest response that is kept, bytes with its input.
const MAX_KEPT: usize = 16 * 1024 * 1024;

/// The most turns of a conversation that are followed back.
const MAX_TURNS: usize = 1000;

/// The most that one request reads back, bytes.
const MAX_READ: usize = 64 * 1024 * 1024;

/// A kept response.
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    /// The response object.
    pub(crate) response: Value,
    /// What it answered, without the turns before.
    pub(crate) input: Vec<Value>,
}

/// The responses of one client.
pub(crate) struct Shelf<'a> {
    cx: &'a Context,
    read: usize,
}

impl<'a> Shelf<'a> {
    pub(crate) fn new(cx: &'a Context) -> Self {
        Self { cx, read: 0 }
    }

    /// The response called `id`.
    pub(crate) async fn get(&mut self, id: &str) -> Result<Option<Kept>, Error> {
        let Some(key) = self.key(id) else {
            return Ok(None);
        };
        let Some(bytes) = self.cx.host().state().get(&key).await? else {
            return Ok(None);
        };
        self.read += bytes.len();
        if self.read > MAX_READ {
            return Err(too_long());
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(Error::internal)
    }

    /// Forgets the response called `id`; whether it was there.
    pub(crate) async fn delete(&self, id: &str) -> Result<bool, Error> {
        match self.key(id) {
            Some(key) => self.cx.host().state().delete(&key).await,
            None => Ok(false),
        }
    }

    /// Keeps `response`. The client has its answer, so what goes wrong here is only logged.
    pub(crate) async fn put(&self, response: &Response, input: &[Value]) {
        #[derive(Serialize)]
        struct Keeping<'a> {
            response: &'a Response,
            input: &'a [Value],
        }
        let Some(key) = self.key(&response.id) else {
            return;
        };
        let host = self.cx.host();
        let bytes = match serde_json::to_vec(&Keeping { response, input }) {
            Ok(bytes) if bytes.len() <= MAX_KEPT => Bytes::from(bytes),
            Ok(bytes) => {
                let size = bytes.len();
                let text = format!("a response of {size} bytes is too large to be kept");
                return host.log(Level::Warn, &text);
            }
            Err(error) => return host.log(Level::Warn, &error.to_string()),
        };
        if let Err(error) = host.state().put(&key, bytes, KEEP).await {
            let text = format!("a response could not be kept: {error}");
            host.log(Level::Warn, &text);
        }
    }

    /// The items of the conversation that ends with the response called `last`, oldest first.
    pub(crate) async fn history(&mut self, last: &str) -> Result<Vec<Value>, Error> {
        let mut turns = Vec::new();
        let mut next = Some(last.to_owned());
        while let Some(id) = next {
            if turns.len() == MAX_TURNS {
                return Err(too_long());
            }
            let Some(mut kept) = self.get(&id).await? else {
                return Err(Error::invalid(
                    "previous_response_not_found",
                    "previous_response_id",
                    format!("previous response with id '{id}' not found"),
                ));
            };
            next = kept
                .response
                .get("previous_response_id")
                .and_then(Value::as_str)
                .map(str::to_owned);
            turns.push((std::mem::take(&mut kept.input), kept.into_output()));
        }
        Ok(turns
            .into_iter()
            .rev()
            .flat_map(|(input, output)| input.into_iter().chain(output))
            .collect())
    }

    /// Puts the items themselves where `input` only refers to them; what is not found stays.
    pub(crate) async fn resolve(&mut self, input: &mut [Value]) -> Result<(), Error> {
        let mut known: HashMap<String, Option<Kept>> = HashMap::new();
        for item in input {
            let Some(id) = reference(item).map(str::to_owned) else {
                continue;
            };
            let Some(response) = response_of(&id) else {
                continue;
            };
            if !known.contains_key(&response) {
                let kept = self.get(&response).await?;
                known.insert(response.clone(), kept);
            }
            let found = known
                .get(&response)
                .and_then(Option::as_ref)
                .and_then(|kept| kept.item(&id));
            if let Some(found) = found {
                *item = found.clone();
            }
        }
        Ok(())
    }

    /// `None` where `id` cannot be the id of a response, and so must not become part of a key.
    fn key(&self, id: &str) -> Option<String> {
        let rest = id.strip_prefix("resp_")?;
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_plain.then(|| format!("{}/{id}", self.cx.client().owner))
    }
}

impl Kept {
    fn output(&self) -> &[Value] {
        self.response
            .get("output")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    fn into_output(mut self) -> Vec<Value> {
        match self.response.get_mut("output").map(Value::take) {
            Some(Value::Array(output)) => output,
            _ => Vec::new(),
        }
    }

    fn item(&self, id: &str) -> Option<&Value> {
        self.output()
            .iter()
            .chain(&self.input)
            .find(|item| item.get("id").and_then(Value::as_str) == Some(id))
    }
}

fn too_long() -> Error {
    Error::invalid(
        "conversation_too_long",
        "previous_response_id",
        "the kept conversation is too long to be continued; send what matters of it as `input`",
    )
}
