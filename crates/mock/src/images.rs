//! `POST images/generations`, `images/edits` and `images/variations`.
//!
//! The answer is always a PNG, whatever `output_format` asks for, and says so. `response_format` "url" gives a
//! `data:` URL: the mock has no place to serve pictures from.

mod picture;
mod references;

use aurora_sdk::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::named;
use crate::fields::Fields;
use crate::refusal::{missing, wrong_value};
use crate::seed::Seed;
use crate::{Answer, Exchange, words};
use picture::{Picture, Size};
use references::References;

/// Characters of a prompt at most, as at OpenAI.
const MAX_PROMPT: usize = 32_000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// From a prompt alone.
    Generate,
    /// From pictures and a prompt.
    Edit,
    /// From pictures; a prompt is allowed.
    Vary,
}

/// A request, read.
struct Order {
    task: Task,
    prompt: Option<String>,
    references: usize,
    seed: Seed,
    count: u64,
    size: Size,
    quality: &'static str,
    url: bool,
    stream: bool,
    partials: u64,
    created: u64,
}

/// Draws pictures.
pub(crate) async fn draw(exchange: &Exchange<'_>, task: Task) -> Result<Answer, Error> {
    let order = if task != Task::Generate && exchange.is_form() {
        let form = exchange.form().await?;
        let references = References::of_form(&form)?;
        Order::of(exchange, task, &form.fields, &references)?
    } else {
        let fields = exchange.fields()?;
        let references = match task {
            Task::Generate => References::default(),
            Task::Edit | Task::Vary => References::of_json(&fields)?,
        };
        Order::of(exchange, task, &fields, &references)?
    };
    if order.stream {
        order.events().map(Answer::events)
    } else {
        order.to_json().map(|body| Answer::json(&body))
    }
}

impl Order {
    fn of(
        exchange: &Exchange<'_>,
        task: Task,
        fields: &Fields,
        references: &References,
    ) -> Result<Self, Error> {
        let prompt = fields.text("prompt")?.filter(|prompt| !prompt.is_empty());
        if prompt.is_none() && task != Task::Vary {
            return Err(missing("prompt"));
        }
        if prompt.is_some_and(|prompt| prompt.chars().nth(MAX_PROMPT).is_some()) {
            let expected = format!("at most {MAX_PROMPT} characters");
            return Err(wrong_value("prompt", &expected));
        }
        let format = fields.word("response_format", &["b64_json", "url"])?;
        fields.word("output_format", &["png", "jpeg", "webp"])?;
        let text = prompt.unwrap_or_default();
        Ok(Self {
            task,
            prompt: prompt.map(str::to_owned),
            references: references.count,
            seed: Seed::of(&[text.as_bytes(), references.hash.as_bytes()]),
            count: fields.integer("n", 1..=10)?.unwrap_or(1),
            size: Size::of(fields.text("size")?)?,
            quality: match fields.text("quality")? {
                Some("low") => "low",
                Some("high" | "hd") => "high",
                _ => "medium",
            },
            url: format == Some("url"),
            stream: fields.flag("stream")?,
            partials: fields.integer("partial_images", 0..=3)?.unwrap_or(0),
            created: exchange.created(),
        })
    }

    fn to_json(&self) -> Result<Value, Error> {
        let pictures: Vec<Value> = (0..self.count)
            .map(|index| {
                let png = self.picture(index).to_png()?;
                let mut item = if self.url {
                    json!({"url": format!("data:image/png;base64,{}", STANDARD.encode(png))})
                } else {
                    json!({"b64_json": STANDARD.encode(png)})
                };
                if let (Some(prompt), Some(members)) = (&self.prompt, item.as_object_mut()) {
                    members.insert("revised_prompt".into(), json!(prompt));
                }
                Ok(item)
            })
            .collect::<Result<_, Error>>()?;
        Ok(json!({
            "created": self.created,
            "data": pictures,
            "background": "opaque",
            "output_format": "png",
            "quality": self.quality,
            "size": self.size.to_string(),
            "usage": self.usage(self.count),
        }))
    }

    fn events(&self) -> Result<Vec<Bytes>, Error> {
        let family = match self.task {
            Task::Generate => "image_generation",
            Task::Edit | Task::Vary => "image_edit",
        };
        let mut events = Vec::new();
        for index in 0..self.count {
            let picture = self.picture(index);
            for partial in 0..self.partials {
                let png = picture
                    .unfinished(partial + 1, self.partials + 1)
                    .to_png()?;
                let mut event = self.event(&format!("{family}.partial_image"), &png);
                if let Some(members) = event.as_object_mut() {
                    members.insert("partial_image_index".into(), json!(partial));
                }
                events.push(named(&event));
            }
            let mut event = self.event(&format!("{family}.completed"), &picture.to_png()?);
            if let Some(members) = event.as_object_mut() {
                members.insert("usage".into(), self.usage(1));
            }
            events.push(named(&event));
        }
        Ok(events)
    }

    fn event(&self, name: &str, png: &[u8]) -> Value {
        json!({
            "type": name,
            "b64_json": STANDARD.encode(png),
            "created_at": self.created,
            "background": "opaque",
            "output_format": "png",
            "quality": self.quality,
            "size": self.size.to_string(),
        })
    }

    fn picture(&self, index: u64) -> Picture {
        Picture::new(self.seed.derive(&format!("picture {index}")), self.size)
    }

    /// Words of the prompt, and round numbers for pictures.
    fn usage(&self, pictures: u64) -> Value {
        let text = self.prompt.as_deref().map_or(0, words::count);
        let image = self.references as u64 * 85;
        let output = pictures * 272;
        json!({
            "input_tokens": text + image,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image},
            "output_tokens": output,
            "total_tokens": text + image + output,
        })
    }
}
