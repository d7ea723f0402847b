//! Follows a `multipart/form-data` body (RFC 7578) as it streams by, to find and replace its `model` field.
//!
//! Everything else passes byte for byte, and never more than a part's head or a short value is held.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// The largest head of a part that is looked at.
const MAX_HEAD: usize = 16 * 1024;

/// The most parts that are looked at. To read the heads of a million would cost seconds.
const MAX_PARTS: usize = 1024;

/// The largest value of the `model` field.
const MAX_VALUE: usize = 1024;

/// The boundary in a `content-type` value; `None` where it is not a form.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim())
    })?;
    let value = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value);
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

/// Follows one form.
#[derive(Debug)]
pub struct Form {
    /// `\r\n--BOUNDARY`.
    delimiter: Vec<u8>,
    state: State,
    /// What cannot be passed on before more has come.
    held: BytesMut,
    /// Bytes of `held` that are ours: the line end that a form's first delimiter lacks.
    borrowed: usize,
    model: Option<String>,
    names: BTreeMap<String, String>,
    /// Whether a part with a file name has begun.
    file_seen: bool,
    parts: usize,
    /// Parts that some reader may take for `model`.
    models: usize,
    /// Whether the last delimiter has passed.
    ended: bool,
    /// Whether a part was not understood.
    lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Inside a part (or before the first one) that nobody wants.
    Passing,
    /// Behind a delimiter: the end of the form, or a part's head.
    Head,
    /// Inside the `model` field.
    Model,
    /// Lost: the rest passes as it is.
    Over,
}

impl Form {
    /// Follows a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            state: State::Passing,
            held: BytesMut::from(b"\r\n".as_slice()),
            borrowed: 2,
            model: None,
            names: BTreeMap::new(),
            file_seen: false,
            parts: 0,
            models: 0,
            ended: false,
            lost: false,
        }
    }

    /// As [`Form::new`], replacing the value of `model` where `names` has another for it.
    pub fn renaming(boundary: &str, names: BTreeMap<String, String>) -> Self {
        Self {
            names,
            ..Self::new(boundary)
        }
    }

    /// The value of `model`, once it has passed.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether nothing more is to be learnt without reading a file: the field has passed, a file has begun, or the
    /// form is over.
    pub fn is_decided(&self) -> bool {
        self.model.is_some() || self.file_seen || self.ended || self.lost
    }

    /// Whether two readers could take different models from this form: it has more than one `model`, goes on behind
    /// its end, has a part whose head is too long to be read here, or more parts than are looked at.
    pub fn is_ambiguous(&self) -> bool {
        self.models > 1 || self.lost
    }

    /// Takes the next piece; returns what may be passed on.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() && self.is_plain(&piece) {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        let mut out = BytesMut::new();
        while self.step(&mut out) {}
        self.give_back(out)
    }

    /// The form has ended; returns what was still held.
    pub fn finish(mut self) -> Bytes {
        let rest = std::mem::take(&mut self.held);
        self.give_back(rest)
    }

    /// Whether `piece` can pass without a look at its inside.
    fn is_plain(&self, piece: &[u8]) -> bool {
        match self.state {
            State::Over => true,
            State::Passing => {
                memmem::find(piece, &self.delimiter).is_none() && self.partial(piece) == 0
            }
            State::Head | State::Model => false,
        }
    }

    /// How many bytes at the end of `bytes` may be the beginning of a delimiter.
    fn partial(&self, bytes: &[u8]) -> usize {
        (1..self.delimiter.len())
            .rev()
            .find(|length| {
                bytes.len() >= *length
                    && self.delimiter.get(..*length) == bytes.get(bytes.len() - length..)
            })
            .unwrap_or(0)
    }

    /// Drops the line end that was put before the first delimiter.
    fn give_back(&mut self, mut out: BytesMut) -> Bytes {
        let ours = self.borrowed.min(out.len());
        self.borrowed -= ours;
        out.split_off(ours).freeze()
    }

    /// Moves what is decided from `held` to `out`; whether there may be more to decide.
    fn step(&mut self, out: &mut BytesMut) -> bool {
        match self.state {
            State::Over => {
                out.unsplit(std::mem::take(&mut self.held));
                false
            }
            State::Passing => self.pass(out),
            State::Head => self.head(out),
            State::Model => self.value(out),
        }
    }

    fn pass(&mut self, out: &mut BytesMut) -> bool {
        if let Some(at) = memmem::find(&self.held, &self.delimiter) {
            out.unsplit(self.held.split_to(at + self.delimiter.len()));
            self.state = State::Head;
            return true;
        }
        let keep = self.partial(&self.held);
        out.unsplit(self.held.split_to(self.held.len() - keep));
        false
    }

    fn head(&mut self, out: &mut BytesMut) -> bool {
        if self.ended {
            // Not every reader takes the same line for the last delimiter.
            self.lose();
            return true;
        }
        if self.held.starts_with(b"--") {
            self.ended = true;
            self.state = State::Passing;
            return true;
        }
        if self.parts == MAX_PARTS {
            self.lose();
            return true;
        }
        let Some(at) = memmem::find(&self.held, b"\r\n\r\n") else {
            if self.held.len() > MAX_HEAD {
                self.lose();
            }
            return self.lost;
        };
        let part = self
            .held
            .get(..at + 4)
            .map(Disposition::of)
            .unwrap_or_default();
        self.parts += 1;
        self.file_seen |= part.file;
        self.models += usize::from(part.may_be_model);
        let wanted = part.name.as_deref() == Some("model") && !part.file && self.models == 1;
        self.state = if wanted { State::Model } else { State::Passing };
        // The line end of the head may begin the delimiter of an empty part. It stays where it is: to put it back would copy all
        // that is held, for each of a million empty parts.
        let tail = if wanted { 0 } else { 2 };
        out.unsplit(self.held.split_to(at + 4 - tail));
        true
    }

    fn lose(&mut self) {
        self.lost = true;
        self.state = State::Over;
    }

    fn value(&mut self, out: &mut BytesMut) -> bool {
        let Some(at) = memmem::find(&self.held, &self.delimiter) else {
            if self.held.len() > MAX_VALUE {
                self.state = State::Passing;
                return true;
            }
            return false;
        };
        let value = self.held.split_to(at);
        let model = String::from_utf8_lossy(&value).into_owned();
        match self.names.get(&model) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => out.extend_from_slice(&value),
        }
        self.model = Some(model);
        self.state = State::Passing;
        true
    }
}

/// What a part's head says of it.
#[derive(Debug, Default)]
struct Disposition {
    /// The field's name.
    name: Option<String>,
    /// Whether it has a file name.
    file: bool,
    /// Whether some reader may take it for `model`: readers differ in quotes, line ends and repeated parameters.
    may_be_model: bool,
}

impl Disposition {
    fn of(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let unfolded = text.replace("\n ", " ").replace("\n\t", " ");
        let values = unfolded.split('\n').filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case("content-disposition")
                .then_some(value)
        });
        let mut part = Self::default();
        for value in values {
            for parameter in parameters(value) {
                part.note(&parameter);
            }
            part.may_be_model |= value.split(';').any(is_model);
        }
        part
    }

    fn note(&mut self, parameter: &str) {
        self.may_be_model |= is_model(parameter);
        let Some((key, value)) = parameter.split_once('=') else {
            return;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "name" if self.name.is_none() => self.name = Some(plain(value)),
            "filename" | "filename*" => self.file = true,
            _ => {}
        }
    }
}

/// The parameters of a header's value: semicolons inside quotes do not divide them.
fn parameters(value: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        if c == ';' && !quoted {
            all.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}

/// A parameter's value without its quotes and escapes.
fn plain(value: &str) -> String {
    value.trim().trim_matches('"').replace('\\', "")
}

/// Whether a parameter says that the field is `model`, or says its name in a way that is not followed here.
fn is_model(parameter: &str) -> bool {
    let Some((key, value)) = parameter.split_once('=') else {
        return false;
    };
    let key = key.trim().to_ascii_lowercase();
    key.starts_with("name*") || key == "name" && plain(value).trim() == "model"
}

#[cfg(test)]
mod tests;
