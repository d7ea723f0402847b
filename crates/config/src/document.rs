//! `aurora.toml` as written: a tree of values that know where they stand.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

pub(crate) mod mask;
pub(crate) mod places;
mod syntax;
pub(crate) mod text;

pub(crate) use syntax::problem as syntax_problem;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Bytes of aurora.toml.
    File(Range<Offset>),
    /// An environment variable.
    Variable(String),
    /// A command-line flag, with its dashes.
    Flag(&'static str),
    /// Nowhere in particular; the message says it all.
    Nowhere,
}

/// Byte offset in aurora.toml.
pub(crate) type Offset = usize;

/// A value with its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// Place of the key that it was given under, where there is one.
    pub(crate) key: Option<Place>,
}

/// The members of a table.
pub(crate) type Members = BTreeMap<String, Node>;

/// A TOML value.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    /// Wider than TOML's 64 bits, so that a number out of range is still a number.
    Integer(i128),
    Float(f64),
    Bool(bool),
    Moment(Datetime),
    List(Vec<Node>),
    Table(Members),
}

impl Value {
    /// The word that error messages use, with its article where it needs one.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) => "integer",
            Self::Float(_) => "number with a fraction",
            Self::Bool(_) => "boolean",
            Self::Moment(_) => "date",
            Self::List(_) => "list",
            Self::Table(_) => "table",
        }
    }
}

// Values may be secrets: only shapes and places are shown.
impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:?} ", self.value.kind(), self.place)?;
        match &self.value {
            Value::List(items) => items.fmt(f),
            Value::Table(members) => members.fmt(f),
            _ => Ok(()),
        }
    }
}

impl Node {
    pub(crate) fn new(value: Value, place: Place) -> Self {
        Self {
            value,
            place,
            key: None,
        }
    }

    pub(crate) fn empty(place: Place) -> Self {
        Self::new(Value::Table(Members::new()), place)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_table(&self) -> Option<&Members> {
        match &self.value {
            Value::Table(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn child(&self, segment: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(members) => members.get(segment),
            Value::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    }

    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, segment| node.child(segment))
    }

    /// Puts a value at `path`, making tables on the way; an existing value that is not a table stays.
    pub(crate) fn insert(&mut self, path: &[&str], node: Self) {
        let Value::Table(members) = &mut self.value else {
            return;
        };
        match path {
            [] => {}
            [last] => {
                members.insert((*last).to_owned(), node);
            }
            [first, rest @ ..] => members
                .entry((*first).to_owned())
                .or_insert_with(|| Self::empty(node.place.clone()))
                .insert(rest, node),
        }
    }
}

/// Parses `text`.
///
/// # Errors
/// The first thing that is not TOML.
pub(crate) fn parse(text: &str) -> Result<Node, toml::de::Error> {
    let table = DeTable::parse(text)?;
    let place = Place::File(0..0);
    Ok(Node::new(members(table.get_ref()), place))
}

/// Parses one TOML value, such as the content of an environment variable, as written at `place`.
pub(crate) fn parse_value(text: &str, place: &Place) -> Option<Node> {
    let parsed = DeValue::parse(text).ok()?;
    let mut node = convert(&parsed);
    node.settle(place);
    Some(node)
}

impl Node {
    pub(crate) fn settle(&mut self, place: &Place) {
        self.place = place.clone();
        self.key = None;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.settle(place)),
            Value::Table(members) => members.values_mut().for_each(|item| item.settle(place)),
            _ => {}
        }
    }
}

fn members(table: &DeTable<'_>) -> Value {
    let members = table.iter().map(|(key, value)| {
        let mut node = convert(value);
        node.key = Some(Place::File(key.span()));
        (key.get_ref().to_string(), node)
    });
    Value::Table(members.collect())
}

fn convert(value: &Spanned<DeValue<'_>>) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            Value::Integer(parsed.unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(moment) => Value::Moment(*moment),
        DeValue::Array(items) => Value::List(items.iter().map(convert).collect()),
        DeValue::Table(table) => members(table),
    };
    Node::new(converted, Place::File(value.span()))
}
