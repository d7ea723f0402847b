//! Checks a tree against the table of keys, and takes out what does not fit so that the rest can still be checked.

use super::words::{self, Fault};
use super::{Key, Kind, Section, nearest};
use crate::diagnostic::Problem;
use crate::document::{Members, Node, Place, Value};

/// Checks every setting that is written; what is missing is for [`Checker::required`].
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) problems: Vec<Problem>,
}

/// Keys on the way to a value, for messages.
pub(crate) type Trail<'t> = Vec<&'t str>;

enum Verdict {
    Keep,
    Drop,
}

impl Checker {
    /// Checks `members` against `section`, removing what is wrong.
    pub(crate) fn section(
        &mut self,
        members: &mut Members,
        section: &Section,
        trail: &mut Trail<'_>,
    ) {
        members.retain(|name, node| {
            let kind = match (section.key(name), section.rest) {
                (Some(key), _) => &key.kind,
                (None, Some(Kind::Any)) => &Kind::Any,
                (None, Some(rest)) if node.as_table().is_some() => rest,
                (None, _) => {
                    self.unknown(name, node, section, trail);
                    return false;
                }
            };
            let mut trail: Trail<'_> = trail.clone();
            trail.push(name);
            matches!(self.value(node, kind, &mut trail), Verdict::Keep)
        });
    }

    fn unknown(&mut self, name: &str, node: &Node, section: &Section, trail: &Trail<'_>) {
        let place = node.key.clone().unwrap_or_else(|| node.place.clone());
        let names = section.names();
        let inside = if trail.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in `{}`", trail.join("."))
        };
        let problem = Problem::error("AUR0101", place, format!("unknown key `{name}` {inside}"))
            .label("not a setting")
            .suggest(nearest(name, names.iter().copied()))
            .help(format!("known keys: {}", names.join(", ")));
        self.problems.push(match section.rest {
            Some(_) => problem.help(format!(
                "options of a plugin stand in a table of its name, `[{}.NAME]`",
                trail.join(".")
            )),
            None => problem,
        });
    }

    fn value(&mut self, node: &mut Node, kind: &Kind, trail: &mut Trail<'_>) -> Verdict {
        match kind {
            Kind::Table(section) => self.table(node, section, trail),
            Kind::Named(section) => self.named(node, section, trail),
            Kind::Map => self.map(node, trail),
            Kind::Any => Verdict::Keep,
            Kind::List(item) => self.list(node, item, trail),
            Kind::OneOrMany(item) if matches!(node.value, Value::List(_)) => {
                self.list(node, item, trail)
            }
            Kind::OneOrMany(item) => self.value(node, item, trail),
            Kind::SecretOr(section) if is_key_table(node) => self.table(node, section, trail),
            Kind::SecretOr(_) | Kind::Secret => self.secret(node, trail),
            Kind::Proxy(_) if matches!(node.value, Value::Table(_)) => self.variable(node, trail),
            Kind::TextOr(section) if matches!(node.value, Value::Table(_)) => {
                self.table(node, section, trail)
            }
            _ => match scalar(node, kind, trail) {
                None => Verdict::Keep,
                Some(problem) => self.refuse(problem),
            },
        }
    }

    fn refuse(&mut self, problem: Problem) -> Verdict {
        self.problems.push(problem);
        Verdict::Drop
    }

    fn table(&mut self, node: &mut Node, section: &Section, trail: &mut Trail<'_>) -> Verdict {
        let Value::Table(members) = &mut node.value else {
            return self.refuse(wrong_type(node, "a table", trail));
        };
        self.section(members, section, trail);
        Verdict::Keep
    }

    fn named(&mut self, node: &mut Node, section: &Section, trail: &mut Trail<'_>) -> Verdict {
        let Value::Table(members) = &mut node.value else {
            return self.refuse(wrong_type(node, "a table", trail));
        };
        members.retain(|name, member| {
            let mut trail: Trail<'_> = trail.clone();
            trail.push(name);
            matches!(self.table(member, section, &mut trail), Verdict::Keep)
        });
        Verdict::Keep
    }

    fn map(&mut self, node: &mut Node, trail: &mut Trail<'_>) -> Verdict {
        let Value::Table(members) = &mut node.value else {
            return self.refuse(wrong_type(node, "a table", trail));
        };
        members.retain(|name, member| {
            let mut trail: Trail<'_> = trail.clone();
            trail.push(name);
            matches!(self.value(member, &Kind::Text, &mut trail), Verdict::Keep)
        });
        Verdict::Keep
    }

    // Items keep their positions: a wrong one is marked where the readers know the mark, or else takes the list out.
    fn list(&mut self, node: &mut Node, item: &Kind, trail: &mut Trail<'_>) -> Verdict {
        let Value::List(items) = &mut node.value else {
            return self.refuse(wrong_type(node, "a list", trail));
        };
        let mut verdict = Verdict::Keep;
        for node in items {
            if matches!(self.value(node, item, trail), Verdict::Keep) {
                continue;
            }
            match item {
                Kind::Secret | Kind::SecretOr(_) | Kind::TextOr(_) => node.value = REFUSED,
                _ => verdict = Verdict::Drop,
            }
        }
        verdict
    }

    fn secret(&mut self, node: &mut Node, trail: &mut Trail<'_>) -> Verdict {
        let members = match &mut node.value {
            Value::Text(text) if text.trim().is_empty() => {
                return self.refuse(of_fault(empty(), &node.place, trail));
            }
            Value::Text(_) => return Verdict::Keep,
            Value::Table(members) => members,
            _ => {
                let wanted = "a string, `{ env = \"NAME\" }` or `{ file = \"path\" }`";
                return self.refuse(wrong_type(node, wanted, trail));
            }
        };
        let before = self.problems.len();
        self.section(members, &SECRET, trail);
        let one = members.contains_key("env") != members.contains_key("file");
        if self.problems.len() > before {
            Verdict::Drop
        } else if one {
            Verdict::Keep
        } else {
            let message = "must have either `env` or `file`";
            self.refuse(
                Problem::error("AUR0114", node.place.clone(), message).subject(trail.join(".")),
            )
        }
    }
}

impl Checker {
    fn variable(&mut self, node: &mut Node, trail: &mut Trail<'_>) -> Verdict {
        let before = self.problems.len();
        let Value::Table(members) = &mut node.value else {
            return Verdict::Keep;
        };
        self.section(members, &VARIABLE, trail);
        if self.problems.len() > before {
            Verdict::Drop
        } else if members.contains_key("env") {
            Verdict::Keep
        } else {
            let problem = Problem::error("AUR0114", node.place.clone(), "must have `env`");
            self.refuse(problem.subject(trail.join(".")))
        }
    }
}

/// Stands for an item of a list that was refused; see [`crate::raw`].
const REFUSED: Value = Value::Bool(false);

static VARIABLE: Section = Section {
    keys: &[ENV],
    rest: None,
};

const ENV: Key = super::keys::plain(
    "env",
    Kind::Variable,
    "Name of the environment variable that holds the secret.",
);

static SECRET: Section = Section {
    keys: &[
        ENV,
        super::keys::plain("file", Kind::Path, "File that holds the secret."),
    ],
    rest: None,
};

fn empty() -> Fault {
    Fault {
        code: "AUR0115",
        message: "must not be empty".to_owned(),
        ..Fault::default()
    }
}

// A table of `auth.keys` is a secret when it holds nothing but the two keys of secrets.
fn is_key_table(node: &Node) -> bool {
    let secret = |name: &String| name == "env" || name == "file";
    node.as_table()
        .is_some_and(|members| members.is_empty() || !members.keys().all(secret))
}

fn scalar(node: &Node, kind: &Kind, trail: &Trail<'_>) -> Option<Problem> {
    match (kind, &node.value) {
        (Kind::Bool, Value::Bool(_))
        | (Kind::Moment, Value::Moment(_))
        | (Kind::Free, Value::Table(_)) => None,
        (Kind::Integer { min, max }, Value::Integer(number)) => {
            let (min, max) = (i128::from(*min), i128::from(*max));
            let fits = (min..=max).contains(number);
            (!fits).then(|| {
                out_of_range(
                    node,
                    trail,
                    &min.to_string(),
                    &max.to_string(),
                    max == i128::from(i64::MAX),
                )
            })
        }
        (Kind::Number { min, max }, Value::Integer(_) | Value::Float(_)) => {
            let fits = number(node).is_some_and(|number| (*min..=*max).contains(&number));
            (!fits).then(|| out_of_range(node, trail, &min.to_string(), &max.to_string(), false))
        }
        (Kind::Bool, _) => Some(wrong_type(node, "true or false", trail)),
        (Kind::Integer { .. }, _) => Some(wrong_type(node, "an integer", trail)),
        (Kind::Number { .. }, _) => Some(wrong_type(node, "a number", trail)),
        (Kind::Free, _) => Some(wrong_type(node, "a table", trail)),
        (_, Value::Text(text)) => words::check(kind, text)
            .err()
            .map(|fault| refused(fault, text, node, kind, trail)),
        (Kind::Duration | Kind::DurationOrOff, _) => Some(wrong_type(node, "a duration", trail)),
        (Kind::Address, _) => Some(wrong_type(node, "an address with a port", trail)),
        (Kind::Size, _) => Some(wrong_type(node, "a size", trail)),
        (Kind::Moment, _) => Some(wrong_type(node, "a date", trail)),
        _ => Some(wrong_type(node, "a string", trail)),
    }
}

// There is no snippet for a variable or a flag, so the text itself is shown unless it may be a secret.
fn refused(fault: Fault, text: &str, node: &Node, kind: &Kind, trail: &Trail<'_>) -> Problem {
    let problem = of_fault(fault, &node.place, trail);
    let public = matches!(
        kind,
        Kind::Duration
            | Kind::DurationOrOff
            | Kind::Size
            | Kind::Word(_)
            | Kind::Address
            | Kind::RoutePath
            | Kind::Method
            | Kind::Header
            | Kind::Origin
            | Kind::Moment
    );
    match &node.place {
        Place::Variable(_) | Place::Flag(_) if public => problem.label(format!("found {text:?}")),
        _ => problem,
    }
}

fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        _ => None,
    }
}

fn out_of_range(node: &Node, trail: &Trail<'_>, min: &str, max: &str, open: bool) -> Problem {
    let message = if open {
        format!("must be at least {min}")
    } else {
        format!("must be between {min} and {max}")
    };
    Problem::error("AUR0103", node.place.clone(), message)
        .subject(trail.join("."))
        .label(match (&node.place, &node.value) {
            (Place::File(_), _) => "out of range".to_owned(),
            (_, Value::Integer(number)) => format!("found {number}"),
            (_, Value::Float(number)) => format!("found {number}"),
            _ => String::new(),
        })
}

/// The problem for text that a check of [`words`] refused.
pub(crate) fn of_fault(fault: Fault, place: &Place, trail: &[&str]) -> Problem {
    let mut problem =
        Problem::error(fault.code, place.clone(), fault.message).subject(trail.join("."));
    if let Some(label) = fault.label {
        problem = problem.label(label);
    }
    match fault.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn wrong_type(node: &Node, wanted: &str, trail: &Trail<'_>) -> Problem {
    let problem = Problem::error("AUR0102", node.place.clone(), format!("must be {wanted}"))
        .subject(trail.join("."))
        .label(format!("found {}", node.value.kind()));
    let key = trail.last().copied().unwrap_or_default();
    match (wanted, &node.value) {
        ("an integer" | "a number", Value::Text(text)) if text.trim().parse::<f64>().is_ok() => {
            problem.help(format!("remove the quotes: `{key} = {}`", text.trim()))
        }
        ("true or false", Value::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            problem.help(format!("remove the quotes: `{key} = {text}`"))
        }
        ("a duration", Value::Integer(number)) => {
            problem.help(format!("write `\"{number}s\"` or `\"{number}ms\"`"))
        }
        ("a size", Value::Integer(number)) => problem.help(format!(
            "write `\"{number}B\"`, or a unit such as `\"64MiB\"`"
        )),
        ("an address with a port", Value::Integer(port)) => {
            problem.help(format!("write `\"127.0.0.1:{port}\"`"))
        }
        ("a list", Value::Text(_)) => {
            problem.help(format!("put it in brackets: `{key} = [\"...\"]`"))
        }
        ("a list", Value::Table(_)) if matches!(key, "routes" | "expect") => {
            problem.help(format!("write `[[{key}]]` with double brackets"))
        }
        ("a string", Value::Integer(_) | Value::Bool(_) | Value::Float(_)) => {
            problem.help("put it in quotes")
        }
        _ => problem,
    }
}
