//! How much text is asked for: `n`, `stop`, token limits and streaming.

use aurora_sdk::Error;
use serde_json::Value;

use crate::fields::Fields;
use crate::refusal::{wrong_type, wrong_value};
use crate::words;

/// The largest `n`, as at OpenAI.
pub(crate) const MAX_CHOICES: u64 = 128;

/// More stop strings than OpenAI's four, as other servers allow.
const MAX_STOPS: usize = 16;

/// What chat and legacy completions share.
#[derive(Debug)]
pub(crate) struct Limits {
    /// How many answers.
    pub(crate) choices: u64,
    /// Tokens of one answer at most.
    pub(crate) tokens: u64,
    stops: Vec<String>,
    /// Whether the answer is streamed.
    pub(crate) stream: bool,
    /// Whether a stream tells its usage.
    pub(crate) usage: bool,
}

impl Limits {
    pub(crate) fn of(fields: &Fields) -> Result<Self, Error> {
        let mut tokens = u64::MAX;
        for name in ["max_tokens", "max_completion_tokens"] {
            tokens = tokens.min(fields.integer(name, 1..=u64::MAX)?.unwrap_or(u64::MAX));
        }
        let options = fields.get("stream_options");
        if options.is_some_and(|options| !options.is_object()) {
            return Err(wrong_type("stream_options", "an object"));
        }
        Ok(Self {
            choices: fields.integer("n", 1..=MAX_CHOICES)?.unwrap_or(1),
            tokens,
            stops: stops(fields)?,
            stream: fields.flag("stream")?,
            usage: options.and_then(|options| options.get("include_usage"))
                == Some(&Value::Bool(true)),
        })
    }

    /// `text` as far as stops and `tokens` allow, with the finish reason.
    pub(crate) fn finish(&self, text: &str, tokens: u64) -> (String, &'static str) {
        match words::cut(words::stop(text, &self.stops), tokens) {
            (text, true) => (text, "length"),
            (text, false) => (text, "stop"),
        }
    }
}

fn stops(fields: &Fields) -> Result<Vec<String>, Error> {
    let stops: Option<Vec<String>> = match fields.get("stop") {
        None => Some(Vec::new()),
        Some(Value::String(stop)) => Some(vec![stop.clone()]),
        Some(Value::Array(stops)) => stops
            .iter()
            .map(|stop| stop.as_str().map(str::to_owned))
            .collect(),
        Some(_) => None,
    };
    let stops = stops.ok_or_else(|| wrong_type("stop", "a string or an array of strings"))?;
    if stops.len() > MAX_STOPS {
        return Err(wrong_value("stop", &format!("at most {MAX_STOPS} strings")));
    }
    Ok(stops)
}
