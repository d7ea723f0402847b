//! A diagnostic in the making: before its place is turned into a line and a column.

use super::Severity;
use crate::document::Place;

#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) place: Place,
    /// The key that the message is about; left out where a variable or a flag takes its place.
    subject: Option<String>,
    message: String,
    pub(super) label: Option<String>,
    pub(super) second: Option<(Place, String)>,
    pub(super) help: Vec<String>,
}

impl Problem {
    pub(crate) fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            place,
            subject: None,
            message: message.into(),
            label: None,
            second: None,
            help: Vec::new(),
        }
    }

    pub(crate) fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, place, message)
        }
    }

    /// Puts `` `subject` `` before the message, unless the place is named by a variable or a flag.
    pub(crate) fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn second(mut self, place: Place, label: impl Into<String>) -> Self {
        self.second = Some((place, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds a "did you mean" label when there is a near word, otherwise leaves the label as it is.
    pub(crate) fn suggest(self, suggestion: Option<&str>) -> Self {
        match suggestion {
            Some(word) => self.label(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn severity(&self) -> Severity {
        self.severity
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn sentence(&self) -> String {
        let source = match &self.place {
            Place::Variable(name) => format!("environment variable {name}: "),
            Place::Flag(name) => format!("flag {name}: "),
            Place::File(_) | Place::Nowhere => {
                return match &self.subject {
                    Some(subject) => format!("`{subject}` {}", self.message),
                    None => self.message.clone(),
                };
            }
        };
        // Without a snippet there is no caret to hang the label on.
        let label = self
            .label
            .as_ref()
            .filter(|label| label.starts_with("found"))
            .map(|label| format!(", {label}"))
            .unwrap_or_default();
        format!("{source}{}{label}", self.message)
    }
}
