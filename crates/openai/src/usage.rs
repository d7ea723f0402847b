//! What an answer cost, read from its bytes as they pass: split anywhere, without a DOM, in a fixed amount of memory.
//!
//! The `usage` of an object, or of the `response` or `message` in it, is what the upstream counted. Where there is none, the length
//! of what was said is what can be known. Text that looks like `usage` cannot pass for it: inside a string its quotes are escaped.

use memchr::{memchr2, memchr3};

/// The longest name that matters is `reasoning_content`.
const MAX_NAME: usize = 20;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON value.
    Json,
    /// An event stream with a JSON value in each event.
    Events,
}

/// See the module.
#[derive(Debug)]
pub struct Scanner {
    form: Form,
    at: At,
    depth: usize,
    /// The string that was read last: its beginning and its length.
    name: [u8; MAX_NAME],
    length: usize,
    /// Whether it is still open what that string was: a colon makes it a name, anything else a value.
    pending: bool,
    /// The member whose value comes.
    member: Member,
    /// Inside of a `response` or `message` at the top.
    wrapped: bool,
    /// The depth of the `usage` that is being read; 0 for none.
    usage_depth: usize,
    number: Option<u64>,
    is_blank_line: bool,
    counted: Counted,
    strings: u64,
    texts: u64,
    deltas: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Outside,
    String,
    Escape,
}

/// Members that say something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Other,
    Usage,
    Wrapper,
    Input,
    Output,
    Total,
    Text,
    Delta,
    /// Files as text.
    Blob,
}

impl Member {
    fn of(name: &[u8]) -> Self {
        match name {
            b"usage" => Self::Usage,
            b"response" | b"message" => Self::Wrapper,
            b"prompt_tokens" | b"input_tokens" => Self::Input,
            b"completion_tokens" | b"output_tokens" => Self::Output,
            b"total_tokens" => Self::Total,
            b"content" | b"text" | b"refusal" | b"arguments" | b"reasoning_content"
            | b"reasoning" | b"thinking" | b"partial_json" => Self::Text,
            b"delta" => Self::Delta,
            b"data" | b"b64_json" | b"file_data" => Self::Blob,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Default)]
struct Counted {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
}

impl Scanner {
    /// For bytes of `form`, before the first.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            at: At::Outside,
            depth: 0,
            name: [0; MAX_NAME],
            length: 0,
            pending: false,
            member: Member::Other,
            wrapped: false,
            usage_depth: 0,
            number: None,
            is_blank_line: true,
            counted: Counted::default(),
            strings: 0,
            texts: 0,
            deltas: 0,
        }
    }

    /// Reads the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match self.at {
                At::Outside => {
                    self.outside(*first);
                    rest
                }
                At::String => self.string(bytes),
                At::Escape => {
                    self.at = At::String;
                    self.keep(bytes.get(..1).unwrap_or_default());
                    rest
                }
            };
        }
    }

    /// The tokens that the upstream counted, of question and answer; `None` where it said nothing of it so far.
    pub fn reported(&self) -> Option<u64> {
        let Counted {
            input,
            output,
            total,
        } = &self.counted;
        total.or_else(|| match (input, output) {
            (None, None) => None,
            (input, output) => Some(
                input
                    .unwrap_or_default()
                    .saturating_add(output.unwrap_or_default()),
            ),
        })
    }

    /// What an answer says, bytes: text, reasoning and arguments of calls.
    pub fn said(&self) -> u64 {
        // Events of the Responses API repeat at the end of each part what they have said of it.
        if self.deltas > 0 {
            self.deltas
        } else {
            self.texts
        }
    }

    /// All strings, bytes, but files that are written as text.
    pub fn strings(&self) -> u64 {
        self.strings
    }

    fn string<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = match self.form {
            Form::Json => memchr2(b'"', b'\\', bytes),
            // JSON has no bare line end in a string: this event was cut.
            Form::Events => memchr3(b'"', b'\\', b'\n', bytes),
        };
        let Some((text, rest)) = end.and_then(|end| bytes.split_at_checked(end)) else {
            self.keep(bytes);
            return &[];
        };
        self.keep(text);
        let Some((end, rest)) = rest.split_first() else {
            return &[];
        };
        match end {
            b'"' => {
                self.at = At::Outside;
                self.pending = true;
            }
            b'\\' => self.at = At::Escape,
            _ => self.begin_event(),
        }
        rest
    }

    fn keep(&mut self, text: &[u8]) {
        let room = self.name.get_mut(self.length.min(MAX_NAME)..);
        for (place, byte) in room.into_iter().flatten().zip(text) {
            *place = *byte;
        }
        self.length = self.length.saturating_add(text.len());
    }

    fn outside(&mut self, byte: u8) {
        if byte == b'\n' {
            if self.form == Form::Events && self.is_blank_line {
                self.begin_event();
            }
            self.is_blank_line = true;
        } else if byte != b'\r' {
            self.is_blank_line = false;
        }
        if let Some(number) = self.number {
            if byte.is_ascii_digit() {
                let digit = u64::from(byte - b'0');
                self.number = Some(number.saturating_mul(10).saturating_add(digit));
                return;
            }
            self.count(number);
        }
        match byte {
            b'"' if self.depth > 0 => {
                self.at = At::String;
                self.length = 0;
                self.pending = false;
            }
            b':' if self.pending => {
                self.pending = false;
                self.member = self
                    .name
                    .get(..self.length)
                    .map_or(Member::Other, Member::of);
            }
            b',' => {
                self.value();
                self.member = Member::Other;
            }
            b'{' => self.open(),
            b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.member = Member::Other;
            }
            b'}' | b']' => self.close(),
            b'0'..=b'9' if self.counts() => self.number = Some(u64::from(byte - b'0')),
            _ => {}
        }
    }

    fn counts(&self) -> bool {
        self.usage_depth > 0 && self.usage_depth == self.depth
    }

    fn count(&mut self, number: u64) {
        self.number = None;
        match self.member {
            Member::Input => self.counted.input = Some(number),
            Member::Output => self.counted.output = Some(number),
            Member::Total => self.counted.total = Some(number),
            _ => {}
        }
        // What follows a point is not another number.
        self.member = Member::Other;
    }

    fn open(&mut self) {
        self.depth = self.depth.saturating_add(1);
        match (self.depth, self.member) {
            (2, Member::Usage) => self.usage_depth = 2,
            (2, Member::Wrapper) => self.wrapped = true,
            (3, Member::Usage) if self.wrapped => self.usage_depth = 3,
            _ => {}
        }
        self.member = Member::Other;
    }

    fn close(&mut self) {
        self.value();
        if self.counts() {
            self.usage_depth = 0;
        }
        self.depth = self.depth.saturating_sub(1);
        self.wrapped &= self.depth >= 2;
        self.member = Member::Other;
    }

    /// The string that was read last was a value.
    fn value(&mut self) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        if self.member == Member::Blob || (self.length > 5 && self.name.starts_with(b"data:")) {
            return;
        }
        let length = self.length as u64;
        self.strings = self.strings.saturating_add(length);
        match self.member {
            Member::Text => self.texts = self.texts.saturating_add(length),
            Member::Delta => self.deltas = self.deltas.saturating_add(length),
            _ => {}
        }
    }

    fn begin_event(&mut self) {
        self.at = At::Outside;
        self.depth = 0;
        self.pending = false;
        self.member = Member::Other;
        self.wrapped = false;
        self.usage_depth = 0;
        self.number = None;
        self.is_blank_line = true;
    }
}

#[cfg(test)]
mod tests;
