//! Pictures as events, one after the other, with signs of life between them.

use std::pin::Pin;
use std::sync::Arc;

use aurora_openai::sse;
use aurora_sdk::{Error, ErrorKind, Origin};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::super::stamp::seconds;
use super::super::turn::SIGN_OF_LIFE;
use super::Job;
use crate::providers::{Chunks, Fault};
use crate::upstream::classify;

type Making = Pin<Box<dyn Future<Output = Result<Vec<Value>, Fault>> + Send>>;

struct Events {
    job: Arc<Job>,
    number: usize,
    making: Option<Making>,
    data: Vec<Value>,
    failure: Option<Fault>,
    over: bool,
}

/// The events of a request for pictures.
pub(super) fn body(job: Arc<Job>) -> Chunks {
    let events = Events {
        job,
        number: 0,
        making: None,
        data: Vec::new(),
        failure: None,
        over: false,
    };
    Box::pin(stream::unfold(events, async |mut events| {
        let piece = events.next().await?;
        Some((piece, events))
    }))
}

impl Events {
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        if self.over {
            return None;
        }
        let Some(making) = &mut self.making else {
            if self.number < self.job.asked.count && self.data.len() < self.job.asked.count {
                return Some(Ok(self.begin()));
            }
            return Some(self.complete());
        };
        let Ok(made) = tokio::time::timeout(SIGN_OF_LIFE, making).await else {
            // No bytes, but not silence either.
            return Some(Ok(Bytes::new()));
        };
        self.making = None;
        Some(Ok(match made {
            Ok(items) => {
                let mut object = self.object("image.generation.result");
                insert(&mut object, "data", items.clone().into());
                self.data.extend(items);
                named("image.generation.result", &object)
            }
            Err(fault) => {
                let mut object = self.object("image.generation.error");
                let message = classify::cause(&fault).to_owned();
                insert(&mut object, "message", message.into());
                self.failure = Some(fault);
                named("image.generation.error", &object)
            }
        }))
    }

    fn begin(&mut self) -> Bytes {
        self.number += 1;
        let job = Arc::clone(&self.job);
        self.making = Some(Box::pin(async move { job.one().await }));
        let mut object = self.object("image.generation.chunk");
        let (number, total) = (self.number, self.job.asked.count);
        let text = format!("Generating image {number}/{total} ...");
        insert(&mut object, "progress_text", text.into());
        named("image.generation.chunk", &object)
    }

    fn object(&self, name: &str) -> Value {
        json!({"object": name, "index": self.number, "total": self.job.asked.count, "created": seconds(),
            "model": self.job.asked.model})
    }

    /// The last event; without any picture, the reason for that.
    fn complete(&mut self) -> Result<Bytes, Fault> {
        self.over = true;
        if self.data.is_empty() {
            let nothing = || {
                super::decided(Error::new(
                    ErrorKind::BadGateway,
                    Origin::Upstream,
                    "image_generation_failed",
                    "no picture was made",
                ))
            };
            return Err(self.failure.take().unwrap_or_else(nothing));
        }
        let object = json!({"object": "image.generation.completed", "created": seconds(),
            "model": self.job.asked.model, "data": self.data});
        let mut bytes = named("image.generation.completed", &object).to_vec();
        bytes.extend_from_slice(b"data: [DONE]\n\n");
        Ok(bytes.into())
    }
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn named(name: &str, object: &Value) -> Bytes {
    sse::event(Some(name), &object.to_string())
}
