//! Diagnostics: what is wrong, where, and how to mend it.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::document::Place;
use crate::document::text::Text;

mod codes;
mod problem;
mod render;

pub use codes::explain;
pub(crate) use problem::Problem;

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but something in it is not as it seems.
    Warning,
}

/// One thing that is wrong, with its place.
///
/// Never contains a secret: the text it quotes is masked.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// Stable code such as `AUR0101`, see [`explain`].
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// `aurora.toml` as the caller calls it; `None` when the cause is a variable, a flag or another file, which the message names.
    pub file: Option<String>,
    /// 1-based line; `None` without `file`.
    pub line: Option<usize>,
    /// 1-based column, in characters; `None` without `file`.
    pub column: Option<usize>,
    /// What stands at the caret.
    pub label: Option<String>,
    /// A second place that disagrees with the first.
    pub related: Option<Related>,
    /// How to mend it.
    pub help: Vec<String>,
    #[serde(skip)]
    order: (usize, usize),
    #[serde(skip)]
    span: Option<std::ops::Range<usize>>,
    #[serde(skip)]
    text: Arc<Text>,
}

/// The second place of a [`Diagnostic`].
#[derive(Debug, Clone, Serialize)]
pub struct Related {
    /// 1-based line of the same file.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// What stands there.
    pub label: String,
    #[serde(skip)]
    span: std::ops::Range<usize>,
}

/// Everything that was found in one configuration, sorted by position.
#[derive(Debug, Clone)]
pub struct Report {
    file: String,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts `diagnostics`, all of which concern `file` (its name as shown to people). What is said twice of one place is kept once.
    pub fn new(file: impl Into<String>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| {
            (a.order, a.severity, &a.message).cmp(&(b.order, b.severity, &b.message))
        });
        diagnostics.dedup_by(|a, b| (a.order, a.code, &a.message) == (b.order, b.code, &b.message));
        Self {
            file: file.into(),
            diagnostics,
        }
    }

    /// The diagnostics, sorted by position.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The file's name as shown to people.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// How many diagnostics are errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many diagnostics are warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Adds further diagnostics, such as those of [`crate::Loaded::diagnose`].
    #[must_use]
    pub fn with(self, further: impl IntoIterator<Item = Diagnostic>) -> Self {
        Self::new(
            self.file,
            self.diagnostics.into_iter().chain(further).collect(),
        )
    }

    /// The report for a terminal or a log, ending with [`Report::summary`] and no line break; empty when nothing was found.
    pub fn render(&self, style: Style) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            out.push_str(&diagnostic.render(style));
            out.push_str("\n\n");
        }
        out + &self.summary()
    }

    /// `"2 problems and 1 warning in aurora.toml"`.
    pub fn summary(&self) -> String {
        let count = |number: usize, word: &str| match number {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{number} {word}s")),
        };
        let counts = [
            count(self.errors(), "problem"),
            count(self.warnings(), "warning"),
        ];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        let counts = if counts.is_empty() {
            "no problems".to_owned()
        } else {
            counts.join(" and ")
        };
        format!("{counts} in {}", self.file)
    }

    /// The report as one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Report", 4)?;
        out.serialize_field("file", &self.file)?;
        out.serialize_field("errors", &self.errors())?;
        out.serialize_field("warnings", &self.warnings())?;
        out.serialize_field("diagnostics", &self.diagnostics)?;
        out.end()
    }
}

/// Whether a rendered report is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Plain text.
    #[default]
    Plain,
    /// With ANSI escapes.
    Color,
}

impl Diagnostic {
    /// This diagnostic alone, with the lines of the file that it is about; ends without a line break.
    pub fn render(&self, style: Style) -> String {
        render::diagnostic(self, style)
    }

    pub(crate) fn locate(problem: Problem, text: &Arc<Text>) -> Self {
        let message = problem.sentence();
        let mut located = Self {
            code: problem.code,
            severity: problem.severity,
            message,
            file: None,
            line: None,
            column: None,
            label: None,
            related: None,
            help: problem.help,
            order: (usize::MAX, 0),
            span: None,
            text: Arc::clone(text),
        };
        if let Place::File(span) = &problem.place {
            let position = text.position(span.start);
            located.file = Some(text.display.clone());
            located.line = Some(position.line);
            located.column = Some(position.column);
            located.label = problem.label;
            located.order = (position.line, position.column);
            located.span = Some(text.shown(span));
            located.related = related(problem.second, text);
        } else if let Some((Place::File(_), label)) = &problem.second {
            // The second place is the only one that can be shown.
            located
                .help
                .extend(related(problem.second.clone(), text).map(|second| {
                    format!(
                        "{label}: {}:{}:{}",
                        text.display, second.line, second.column
                    )
                }));
        }
        located
    }
}

fn related(second: Option<(Place, String)>, text: &Arc<Text>) -> Option<Related> {
    let (Place::File(span), label) = second? else {
        return None;
    };
    let position = text.position(span.start);
    let span = text.shown(&span);
    Some(Related {
        line: position.line,
        column: position.column,
        label,
        span,
    })
}
