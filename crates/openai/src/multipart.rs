//! Follows a `multipart/form-data` body (RFC 7578) as it streams by, to find and replace its `model` field.
//!
//! Everything else passes byte for byte, and never more than a part's head or a short value is held.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// The largest head of a part that is looked at.
const MAX_HEAD: usize = 16 * 1024;

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
    /// its end, or has a part whose head is too long to be read here.
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
        let Some(at) = memmem::find(&self.held, b"\r\n\r\n") else {
            if self.held.len() > MAX_HEAD {
                self.lose();
            }
            return self.lost;
        };
        let head = self.held.split_to(at + 4);
        let part = Disposition::of(&head);
        self.file_seen |= part.file;
        self.models += usize::from(part.may_be_model);
        let wanted = part.name.as_deref() == Some("model") && !part.file && self.models == 1;
        self.state = if wanted { State::Model } else { State::Passing };
        // The line end of the head may begin the delimiter of an empty part.
        let tail = if wanted { 0 } else { 2 };
        let (head, line_end) = head.split_at(head.len() - tail);
        out.extend_from_slice(head);
        if !line_end.is_empty() {
            let mut held = BytesMut::from(line_end);
            held.unsplit(std::mem::take(&mut self.held));
            self.held = held;
        }
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
mod tests {
    use super::*;

    const FORM: &str = "--B1\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n\r\n--B1\r\n\
        content-disposition: form-data; name=\"model\"\r\n\r\nfast\r\n--B1\r\nContent-Disposition: form-data; \
        name=\"file\"; filename=\"a\"\r\nContent-Type: x/y\r\n\r\n\r\n--B\r\nmodel\r\n--B1--\r\nmore";

    fn renaming() -> Form {
        Form::renaming(
            "B1",
            BTreeMap::from([("fast".to_owned(), "gpt-4o".to_owned())]),
        )
    }

    fn run(mut form: Form, pieces: &[&[u8]]) -> (Vec<u8>, Option<String>) {
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&form.push(Bytes::copy_from_slice(piece)));
        }
        let model = form.model().map(str::to_owned);
        out.extend_from_slice(&form.finish());
        (out, model)
    }

    #[test]
    fn every_split_passes_byte_for_byte_and_finds_the_model() {
        let bytes = FORM.as_bytes();
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let (out, model) = run(Form::new("B1"), &[head, tail]);

            assert_eq!(out, bytes, "split at {at}");
            assert_eq!(model.as_deref(), Some("fast"), "split at {at}");
        }
    }

    #[test]
    fn every_split_replaces_the_model_alone() {
        let expected = FORM.replacen("\r\n\r\nfast", "\r\n\r\ngpt-4o", 1);
        let bytes = FORM.as_bytes();
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let (out, _) = run(renaming(), &[head, tail]);

            assert_eq!(String::from_utf8(out).unwrap(), expected, "split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(run(renaming(), &single).0, expected.as_bytes());
    }

    #[test]
    fn it_is_decided_by_the_model_a_file_or_the_end() {
        let decided = |text: &str| {
            let mut form = Form::new("B1");
            form.push(Bytes::copy_from_slice(text.as_bytes()));
            form.is_decided()
        };

        let file = FORM.find("filename").unwrap();
        assert!(!decided(FORM.split_at(40).0));
        assert!(decided(FORM.split_at(file).0));
        assert!(decided(
            "--B1\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n"
        ));
        assert!(decided("--B1--"));
    }

    #[test]
    fn a_form_with_two_models_is_ambiguous_wherever_it_is_split() {
        let part = |head: &str| format!("--B1\r\n{head}\r\n\r\nx\r\n");
        let named = |rest: &str| part(&format!("Content-Disposition: form-data; {rest}"));
        let (model, end) = (named("name=\"model\""), "--B1--\r\n".to_owned());
        let ambiguous = |pieces: &[&String], at: usize| {
            let text: String = pieces.iter().map(|piece| piece.as_str()).collect();
            let (head, tail) = text.split_at(at.min(text.len()));
            let mut form = Form::new("B1");
            form.push(Bytes::copy_from_slice(head.as_bytes()));
            form.push(Bytes::copy_from_slice(tail.as_bytes()));
            form.is_ambiguous()
        };
        let seconds = [
            named("name=model"),
            named("name=\"model\"; filename=\"a\""),
            named("name=\"mo\\del\""),
            named("name=\"model\"; x=\";name=y\""),
            named("name*=utf-8''%6dodel"),
            part("Content-Disposition: form-data;\r\n name=\"model\""),
            part("X: y\nContent-Disposition: form-data; name=\"model\""),
        ];

        for at in 0..model.len() + 90 {
            for second in &seconds {
                assert!(ambiguous(&[&model, second, &end], at), "{second}");
                assert!(ambiguous(&[&model, &end, second, &end], at), "{second}");
                assert!(!ambiguous(&[second, &end], at), "{second}");
            }
            let other = named("name=\"file\"; filename=\"model\"");
            assert!(!ambiguous(&[&model, &other, &end], at));
        }
    }

    #[test]
    fn soup_passes_untouched_and_is_never_held_for_long() {
        let soup = [b"--B1\r\n".as_slice(), &vec![b'a'; 3 * MAX_HEAD]].concat();
        let mut form = Form::new("B1");

        let out = form.push(Bytes::from(soup.clone()));

        assert_eq!(out, soup);
        assert_eq!(form.model(), None);
    }

    #[test]
    fn the_boundary_is_read_from_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(
            boundary("Multipart/Form-Data; charset=x; Boundary=\"a b\""),
            Some("a b")
        );
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("application/json; boundary=x"), None);
    }
}
