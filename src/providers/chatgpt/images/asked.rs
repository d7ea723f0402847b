//! A request for pictures, in all the forms that clients send.

use aurora_sdk::Error;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::super::references::{base64, decode, of_bytes, of_spooled};
use super::super::upload::{Content, Upload};
use super::super::words::{missing, wrong};
use super::super::{Service, held};
use crate::providers::Call;
use crate::spool::Spooled;

/// The most pictures of one request.
const MAX_COUNT: usize = 10;

/// The largest picture to work from, bytes.
const MAX_PICTURE: u64 = 50 << 20;

/// The form fields and JSON members that hold pictures.
const PICTURES: [&str; 4] = ["image", "image[]", "images", "images[]"];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Generation,
    Edit,
    Variation,
}

/// A request for pictures.
#[derive(Debug)]
pub(super) struct Asked {
    kind: Kind,
    pub(super) prompt: String,
    pub(super) model: String,
    /// How many, 1 to 10.
    pub(super) count: usize,
    pub(super) wants_url: bool,
    pub(super) stream: bool,
    /// Wishes that the service knows no parameter for.
    wishes: Vec<String>,
    /// Pictures to work from.
    pub(super) references: Vec<Upload>,
    /// Keeps the files of the references.
    _form: Option<Spooled>,
}

impl Asked {
    /// # Errors
    /// 400, naming the field.
    pub(super) async fn read(service: &Service, call: Call) -> Result<Self, Error> {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let kind = match path.trim_end_matches('/').rsplit('/').next() {
            Some("edits") => Kind::Edit,
            Some("variations") => Kind::Variation,
            _ => Kind::Generation,
        };
        let streams = query.split('&').any(|pair| {
            let value = pair.strip_prefix("stream=");
            value.is_some_and(is_yes)
        });
        let mut asked = if is_form(&call.headers) {
            Self::of_form(service, call.headers, call.body, kind).await?
        } else {
            let body = held(call.body).await?;
            let fields: Map<String, Value> =
                serde_json::from_slice(&body).map_err(Error::invalid_json)?;
            Self::of_json(service, &fields, kind).await?
        };
        asked.stream |= streams;
        if kind != Kind::Generation && asked.references.is_empty() {
            return Err(missing("image"));
        }
        if kind != Kind::Variation && asked.prompt.trim().is_empty() {
            return Err(missing("prompt"));
        }
        Ok(asked)
    }

    async fn of_form(
        service: &Service,
        headers: HeaderMap,
        body: aurora_sdk::Body,
        kind: Kind,
    ) -> Result<Self, Error> {
        let form = Spooled::read(&headers, body, service.uploads(), MAX_PICTURE).await?;
        let text = |name: &str| form.field(name).map(str::to_owned);
        let mut references = Vec::new();
        for file in form.files() {
            // A mask has no counterpart at the service.
            if PICTURES.contains(&file.field.as_str()) {
                references.push(picture(of_spooled(file).await?, "image")?);
            }
        }
        for name in PICTURES.iter().chain(&["image_url"]) {
            for value in form.fields(name) {
                references.push(located(service, value, "image").await?);
            }
        }
        let count = match form.field("n") {
            None => 1,
            Some(n) => n.trim().parse().map_err(|_| wrong("n", "a whole number"))?,
        };
        Ok(Self {
            kind,
            prompt: text("prompt").unwrap_or_default(),
            model: text("model").unwrap_or_default(),
            count: bounded(count),
            wants_url: wants_url(form.field("response_format"))?,
            stream: form.field("stream").is_some_and(is_yes),
            wishes: wishes(form.field("size"), form.field("quality")),
            references,
            _form: Some(form),
        })
    }

    async fn of_json(
        service: &Service,
        fields: &Map<String, Value>,
        kind: Kind,
    ) -> Result<Self, Error> {
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(name, "text")),
        };
        let count = match fields.get("n") {
            None | Some(Value::Null) => 1,
            Some(n) => n.as_i64().ok_or_else(|| wrong("n", "a whole number"))?,
        };
        let mut prompt = text("prompt")?.unwrap_or_default().to_owned();
        let mut references = Vec::new();
        if kind != Kind::Generation {
            let mut found = Vec::new();
            for name in ["image", "images", "image_url"] {
                gather(fields.get(name), name, &mut found);
            }
            for name in ["input", "content", "messages"] {
                parts(fields.get(name), &mut prompt, &mut found);
            }
            for (url, name) in found {
                references.push(located(service, url, name).await?);
            }
        }
        Ok(Self {
            kind,
            prompt,
            model: text("model")?.unwrap_or_default().to_owned(),
            count: bounded(count),
            wants_url: wants_url(text("response_format")?)?,
            stream: fields.get("stream").and_then(Value::as_bool) == Some(true),
            wishes: wishes(text("size")?, text("quality")?),
            references,
            _form: None,
        })
    }

    /// What the service is told.
    pub(super) fn prompt_text(&self) -> String {
        let prompt = match self.kind {
            Kind::Variation if self.prompt.trim().is_empty() => {
                "Make one variation of the picture given here. Answer with the picture only."
            }
            _ => self.prompt.trim(),
        };
        let wishes = self.wishes.iter().map(String::as_str);
        std::iter::once(prompt)
            .chain(wishes)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What it is called where an account cannot do it.
    pub(super) fn feature(&self) -> &'static str {
        match self.kind {
            Kind::Generation => "image generation",
            Kind::Edit => "image editing",
            Kind::Variation => "image variation",
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"multipart/form-data")
    })
}

fn is_yes(value: &str) -> bool {
    matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "1" | "yes" | "on" | "true"
    )
}

fn bounded(count: i64) -> usize {
    usize::try_from(count).unwrap_or(1).clamp(1, MAX_COUNT)
}

fn wants_url(format: Option<&str>) -> Result<bool, Error> {
    match format {
        None | Some("" | "b64_json") => Ok(false),
        Some("url") => Ok(true),
        Some(_) => Err(wrong("response_format", "`b64_json` or `url`")),
    }
}

/// Size and quality in words: the service has no parameters for them.
fn wishes(size: Option<&str>, quality: Option<&str>) -> Vec<String> {
    let meant = |word: Option<&str>| {
        word.map(str::trim)
            .filter(|word| !word.is_empty() && *word != "auto")
            .map(str::to_owned)
    };
    let size = meant(size).map(|size| format!("The picture should measure {size} pixels."));
    let quality = meant(quality).map(|quality| format!("Its quality should be {quality}."));
    size.into_iter().chain(quality).collect()
}

/// Pictures in a member: text, an object with `image_url` or `url`, or a list of these.
fn gather<'a>(
    value: Option<&'a Value>,
    name: &'static str,
    found: &mut Vec<(&'a str, &'static str)>,
) {
    match value {
        Some(Value::String(url)) => found.push((url, name)),
        Some(Value::Array(list)) => {
            for value in list {
                gather(Some(value), name, found);
            }
        }
        Some(Value::Object(object)) => {
            gather(
                object.get("image_url").or_else(|| object.get("url")),
                name,
                found,
            );
        }
        _ => {}
    }
}

/// Message-style content: texts make the prompt, pictures are worked from.
fn parts<'a>(
    value: Option<&'a Value>,
    prompt: &mut String,
    found: &mut Vec<(&'a str, &'static str)>,
) {
    match value {
        Some(Value::Array(list)) => {
            for value in list {
                parts(Some(value), prompt, found);
            }
        }
        Some(Value::Object(object)) => {
            if let Some(content) = object.get("content") {
                return match content {
                    Value::String(text) => say(prompt, text),
                    content => parts(Some(content), prompt, found),
                };
            }
            if let Some(text) = object.get("text").and_then(Value::as_str) {
                say(prompt, text);
            }
            gather(object.get("image_url"), "input", found);
        }
        _ => {}
    }
}

fn say(prompt: &mut String, text: &str) {
    if !prompt.is_empty() {
        prompt.push('\n');
    }
    prompt.push_str(text);
}

/// A picture by data URL, by address, or as bare base64.
async fn located(service: &Service, text: &str, name: &str) -> Result<Upload, Error> {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let upload = if lower.starts_with("data:") {
        decode(text, true)
    } else if lower.starts_with("http:") || lower.starts_with("https:") {
        let max = usize::try_from(MAX_PICTURE).unwrap_or(usize::MAX);
        let fetched = service.fetcher.fetch(text, max).await?;
        of_bytes(fetched.bytes, &fetched.content_type, true)
    } else {
        base64(text).and_then(|bytes| of_bytes(bytes, "", true))
    };
    upload.map_err(|error| {
        let message = error.message().to_owned();
        Error::invalid("invalid_image", name, message)
    })
}

/// An uploaded file that must be a picture.
fn picture(upload: Upload, name: &str) -> Result<Upload, Error> {
    let is_picture = upload.dimensions.is_some() && matches!(upload.content, Content::Disk(_));
    if is_picture {
        return Ok(upload);
    }
    let message = "it is no PNG, JPEG, GIF or WebP picture";
    Err(Error::invalid("invalid_image", name, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_json_form_of_a_picture_is_found() {
        let table = [
            (json!({"image": "a"}), vec!["a"]),
            (json!({"image": {"image_url": "a"}}), vec!["a"]),
            (
                json!({"images": [{"image_url": "a"}, {"image_url": {"url": "b"}}, "c"]}),
                vec!["a", "b", "c"],
            ),
            (json!({"image_url": {"url": "a"}}), vec!["a"]),
        ];
        for (fields, expected) in table {
            let mut found = Vec::new();
            for name in ["image", "images", "image_url"] {
                gather(fields.get(name), name, &mut found);
            }
            let urls: Vec<&str> = found.iter().map(|(url, _)| *url).collect();
            assert_eq!(urls, expected, "{fields}");
        }
    }

    #[test]
    fn messages_give_prompt_and_pictures() {
        let input = json!([{"role": "user", "content": [
            {"type": "input_text", "text": "make it"}, {"type": "input_text", "text": "blue"},
            {"type": "input_image", "image_url": "data:x"}]}, {"role": "user", "content": "please"}]);
        let (mut prompt, mut found) = (String::new(), Vec::new());

        parts(Some(&input), &mut prompt, &mut found);

        assert_eq!(prompt, "make it\nblue\nplease");
        assert_eq!(found, [("data:x", "input")]);
    }

    #[test]
    fn counts_and_formats_are_bounded() {
        assert_eq!([-3, 0, 1, 3, 99].map(bounded), [1, 1, 1, 3, 10]);
        assert!(!wants_url(None).unwrap() && wants_url(Some("url")).unwrap());
        assert_eq!(
            wants_url(Some("gif")).unwrap_err().param(),
            Some("response_format")
        );
        assert_eq!(wishes(Some("auto"), Some(" ")), Vec::<String>::new());
        assert_eq!(wishes(Some("1024x1024"), Some("high")).len(), 2);
    }
}
