//! The current root `{message, conversation_id, error}`, kept by snapshots and by operations.

use serde_json::{Map, Value};

use super::pointer::{self, Op};

/// What an operation frame did to the message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// The root was replaced: everything may be new.
    pub(super) root: bool,
    /// The message's content.
    pub(super) content: Content,
    /// Anything but the content.
    pub(super) other: bool,
}

/// What happened to the content.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    #[default]
    Same,
    /// Only this was added at the end of the string at the path.
    Appended(String, String),
    /// It must be read anew.
    Rewritten,
}

/// The root and the memory of the delta form.
///
/// Path and operation are remembered separately and only operations change them.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    path: String,
    op: Op,
    text_path: String,
    bytes: usize,
    ignored: u64,
}

impl Document {
    pub(super) fn new() -> Self {
        Self {
            root: Value::Null,
            path: String::new(),
            op: Op::Add,
            text_path: String::new(),
            bytes: 0,
            ignored: 0,
        }
    }

    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    pub(super) fn message(&self) -> Option<&Map<String, Value>> {
        self.root.get("message")?.as_object()
    }

    /// Bytes of frames that the root was made of.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Operations that could not be applied.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// A new body begins: the delta form starts over, the root is kept for snapshots only.
    pub(super) fn rewind(&mut self) {
        self.path.clear();
        self.op = Op::Add;
    }

    /// A snapshot: the root is replaced, what is remembered stays.
    pub(super) fn replace(&mut self, root: Value, bytes: usize) {
        let code = root.pointer("/message/content/text").is_some();
        let text_path = if code {
            "/message/content/text"
        } else {
            "/message/content/parts/0"
        };
        text_path.clone_into(&mut self.text_path);
        self.root = root;
        self.bytes = bytes;
    }

    /// Applies one operation frame.
    pub(super) fn apply(&mut self, mut frame: Map<String, Value>, bytes: usize) -> Touched {
        let mut touched = Touched::default();
        let value = frame.remove("v").unwrap_or_default();
        let path = frame.get("p").and_then(Value::as_str).map(str::to_owned);
        let named = frame.get("o").and_then(Value::as_str);
        let op = named.map(Op::named);
        if op == Some(None) {
            self.ignored += 1;
            return touched;
        }
        let is_root = path.as_deref().is_none_or(str::is_empty)
            && op.flatten() != Some(Op::Patch)
            && value.get("message").is_some();
        if is_root {
            self.path.clear();
            self.op = Op::Add;
            self.replace(value, bytes);
            touched.root = true;
            return touched;
        }
        self.bytes += bytes;
        if let Some(path) = path {
            self.path = path;
        }
        if let Some(op) = op.flatten() {
            self.op = op;
        }
        match (self.op, value) {
            (Op::Patch, Value::Array(list)) => self.patch(list, &mut touched),
            (_, value) => self.operate(value, &mut touched),
        }
        touched
    }

    fn patch(&mut self, list: Vec<Value>, touched: &mut Touched) {
        for operation in list {
            let Value::Object(mut operation) = operation else {
                self.ignored += 1;
                continue;
            };
            if let Some(path) = operation.get("p").and_then(Value::as_str) {
                path.clone_into(&mut self.path);
            }
            let named = operation.get("o").and_then(Value::as_str);
            match named.map(Op::named) {
                Some(Some(op)) => self.op = op,
                Some(None) => {
                    self.ignored += 1;
                    continue;
                }
                None => {}
            }
            let value = operation.remove("v").unwrap_or_default();
            self.operate(value, touched);
        }
        self.path.clear();
        self.op = Op::Patch;
    }

    fn operate(&mut self, value: Value, touched: &mut Touched) {
        // a bare text after a patch or a new message can only be more of that text
        if self.path.is_empty() && value.is_string() && self.op != Op::Replace {
            let path = self.text_path.clone();
            self.change(&path, Op::Append, value, touched);
            return;
        }
        let path = std::mem::take(&mut self.path);
        self.change(&path, self.op, value, touched);
        self.path = path;
    }

    fn change(&mut self, path: &str, op: Op, value: Value, touched: &mut Touched) {
        let text = match (op, &value) {
            (Op::Append, Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        if self.root.is_null() || pointer::apply(&mut self.root, path, op, value).is_none() {
            self.ignored += 1;
            return;
        }
        if !path.starts_with("/message/content") {
            touched.other = true;
            touched.root |= !path.starts_with("/message/");
            return;
        }
        if text.is_some() && path != self.text_path {
            path.clone_into(&mut self.text_path);
        }
        touched.content = match (std::mem::take(&mut touched.content), text) {
            (Content::Same, Some(text)) => Content::Appended(path.to_owned(), text),
            (Content::Appended(before, mut all), Some(text)) if before == path => {
                all.push_str(&text);
                Content::Appended(before, all)
            }
            _ => Content::Rewritten,
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        let mut document = Document::new();
        apply(
            &mut document,
            json!({"p": "", "o": "add", "v": {"message": {"content": {"parts": [""]}}}}),
        );
        document
    }

    fn apply(document: &mut Document, frame: Value) -> Touched {
        let Value::Object(frame) = frame else {
            unreachable!()
        };
        document.apply(frame, 1)
    }

    fn text(document: &Document) -> &str {
        document
            .root()
            .pointer("/message/content/parts/0")
            .and_then(Value::as_str)
            .unwrap()
    }

    #[test]
    fn path_and_operation_are_inherited_one_by_one() {
        let mut document = document();
        let frames = [
            json!({"p": "/message/content/parts/0", "o": "append", "v": "This"}),
            json!({"v": " is"}),
            json!({"p": "", "o": "patch", "v": [
                {"p": "/message/content/parts/0", "o": "append", "v": " fine"},
                {"p": "/message/metadata/token_count", "o": "replace", "v": 4}]}),
            json!({"v": [{"p": "/message/content/parts/0", "o": "append", "v": "."}]}),
            json!({"p": "/message/content/parts/0", "o": "append", "v": ""}),
            json!({"o": "replace", "v": "New"}),
            json!({"p": "/message/status", "v": "finished"}),
            json!({"p": "/message/content/parts/0", "o": "truncate", "v": 2}),
        ];

        let texts: Vec<String> = frames
            .into_iter()
            .map(|frame| {
                apply(&mut document, frame);
                text(&document).to_owned()
            })
            .collect();

        assert_eq!(
            texts,
            [
                "This",
                "This is",
                "This is fine",
                "This is fine.",
                "This is fine.",
                "New",
                "New",
                "Ne"
            ]
        );
        assert_eq!(document.ignored(), 0);
    }

    #[test]
    fn a_bare_text_after_a_patch_goes_where_text_went_last() {
        let mut document = Document::new();
        apply(
            &mut document,
            json!({"v": {"message": {"content": {"text": ""}}}}),
        );
        apply(
            &mut document,
            json!({"p": "", "o": "patch", "v": [{"p": "/message/content/text", "o": "append", "v": "a"}]}),
        );

        let touched = apply(&mut document, json!({"v": "b"}));

        assert_eq!(
            document.root().pointer("/message/content/text"),
            Some(&json!("ab"))
        );
        let appended = Content::Appended("/message/content/text".to_owned(), "b".to_owned());
        assert_eq!(touched.content, appended);
    }

    #[test]
    fn what_cannot_be_applied_is_counted_and_skipped() {
        let mut document = document();
        for frame in [
            json!({"p": "/message/content/parts/7", "o": "replace", "v": 1}),
            json!({"p": "/message/content/parts/0", "o": "explode", "v": 1}),
            json!({"p": "/message/content/parts/0", "o": "append", "v": 1}),
            json!({"p": "", "o": "patch", "v": [1, {"o": "explode"}]}),
        ] {
            assert_eq!(apply(&mut document, frame), Touched::default());
        }

        assert_eq!(document.ignored(), 5);
        assert_eq!(
            apply(&mut Document::new(), json!({"v": "x"})),
            Touched::default()
        );
    }
}
