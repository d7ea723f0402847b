//! Defaults < aurora.toml < environment < flags, merged by figment.

use figment::value::{Dict, Map, Num, Tag, Value as Merged};
use figment::{Figment, Metadata, Profile, Provider};

use crate::document::{Members, Node, Place, Value, parse_value};
use crate::schema::keys::ROOT;
use crate::schema::{Kind, Section};

pub(crate) mod environment;
pub(crate) mod flags;
pub(crate) mod historic;

/// One layer as figment sees it.
struct Layer<'n> {
    name: &'static str,
    root: &'n Node,
}

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = self.root.as_table().map(dict).unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Merges checked `layers`, the weakest first, over the defaults that they call for.
pub(crate) fn merge(layers: &mut [Node]) -> Figment {
    for layer in layers.iter_mut() {
        if let Value::Table(members) = &mut layer.value {
            fill_items(members, &ROOT);
        }
    }
    let tables: Vec<&Members> = layers.iter().rev().filter_map(Node::as_table).collect();
    let defaults = Node::new(Value::Table(defaults(&ROOT, &tables, None)), Place::Nowhere);
    let figment = Figment::new().merge(Layer {
        name: "defaults",
        root: &defaults,
    });
    layers.iter().fold(figment, |figment, root| {
        figment.merge(Layer {
            name: "settings",
            root,
        })
    })
}

/// The defaults of `section` for what `layers`, the strongest first, say; `outer` is the protocol of the section around.
fn defaults(section: &Section, layers: &[&Members], outer: Option<&str>) -> Members {
    let protocol = layers
        .iter()
        .find_map(|layer| layer.get("protocol")?.as_text())
        .or(outer);
    let applies = |only: &[&str]| only.is_empty() || protocol.is_some_and(|p| only.contains(&p));
    let mut out = Members::new();
    for key in section.keys.iter().filter(|key| applies(key.only)) {
        let below: Vec<&Members> = layers
            .iter()
            .filter_map(|layer| layer.get(key.name)?.as_table())
            .collect();
        let value = match &key.kind {
            Kind::Table(inner) if key.default.is_some() || !below.is_empty() => Some(Node::new(
                Value::Table(defaults(inner, &below, protocol)),
                Place::Nowhere,
            )),
            Kind::Named(inner) => {
                let members = named(inner, &below, |_| true);
                Some(Node::new(Value::Table(members), Place::Nowhere))
            }
            kind => key.default.and_then(|text| parse_text(text, kind)),
        };
        out.extend(value.map(|value| (key.name.to_owned(), value)));
    }
    if let Some(Kind::Table(inner)) = section.rest {
        out.extend(named(inner, layers, |name| section.key(name).is_none()));
    }
    out
}

/// The defaults of `section` for each member of `layers` whose name is `wanted`.
fn named(section: &Section, layers: &[&Members], wanted: impl Fn(&str) -> bool) -> Members {
    let names = layers.iter().flat_map(|layer| layer.keys());
    let members = names.filter(|name| wanted(name)).map(|name| {
        let below: Vec<&Members> = layers
            .iter()
            .filter_map(|layer| layer.get(name)?.as_table())
            .collect();
        (
            name.clone(),
            Node::new(
                Value::Table(defaults(section, &below, None)),
                Place::Nowhere,
            ),
        )
    });
    members.collect()
}

// A list comes from one layer as a whole, so its items take their defaults there.
fn fill_items(members: &mut Members, section: &Section) {
    for (name, node) in members {
        let Some(key) = section.key(name) else {
            continue;
        };
        match (&key.kind, &mut node.value) {
            (Kind::Table(inner), Value::Table(members)) => fill_items(members, inner),
            (Kind::List(item) | Kind::OneOrMany(item), Value::List(items)) => {
                for node in items {
                    fill(node, item);
                }
            }
            (Kind::OneOrMany(item), Value::Table(_)) => fill(node, item),
            _ => {}
        }
    }
}

fn fill(node: &mut Node, kind: &Kind) {
    let (Kind::Table(section) | Kind::TextOr(section), Value::Table(members)) =
        (kind, &mut node.value)
    else {
        return;
    };
    fill_items(members, section);
    for (name, default) in defaults(section, &[members], None) {
        complete(members, name, default);
    }
}

fn complete(members: &mut Members, name: String, default: Node) {
    match (
        members.get_mut(&name).map(|node| &mut node.value),
        default.value,
    ) {
        (None, value) => {
            members.insert(name, Node::new(value, Place::Nowhere));
        }
        (Some(Value::Table(inner)), Value::Table(defaults)) => {
            for (name, default) in defaults {
                complete(inner, name, default);
            }
        }
        _ => {}
    }
}

/// Text as an environment variable gives it, as a value of `kind`; `None` when it cannot be one.
pub(crate) fn parse_text(text: &str, kind: &Kind) -> Option<Node> {
    let text = text.trim();
    let toml = |text: &str| parse_value(text, &Place::Nowhere);
    let bare = |text: &str| Some(Node::new(Value::Text(text.to_owned()), Place::Nowhere));
    match kind {
        Kind::Bool => {
            let value = parse_bool(text)?;
            Some(Node::new(Value::Bool(value), Place::Nowhere))
        }
        Kind::Integer { .. } | Kind::Number { .. } => {
            toml(text).filter(|node| matches!(node.value, Value::Integer(_) | Value::Float(_)))
        }
        Kind::List(_) | Kind::OneOrMany(_) if text.starts_with('[') => {
            toml(text).filter(|node| node.as_list().is_some())
        }
        Kind::List(item) | Kind::OneOrMany(item) => {
            let words = text
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty());
            let items: Option<Vec<Node>> = words.map(|word| parse_text(word, item)).collect();
            Some(Node::new(Value::List(items?), Place::Nowhere))
        }
        Kind::Table(_) | Kind::Named(_) | Kind::Map | Kind::Free => {
            toml(text).filter(|node| node.as_table().is_some())
        }
        Kind::Secret | Kind::SecretOr(_) | Kind::TextOr(_) | Kind::Proxy(_)
            if text.starts_with('{') =>
        {
            toml(text)
        }
        _ if text.starts_with(['"', '\'']) => toml(text)
            .filter(|node| node.as_text().is_some())
            .or_else(|| bare(text)),
        _ => bare(text),
    }
}

/// `true`, `1`, `yes`, `on` and their opposites.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn dict(members: &Members) -> Dict {
    members
        .iter()
        .map(|(name, node)| (name.clone(), merged(node)))
        .collect()
}

fn merged(node: &Node) -> Merged {
    let tag = Tag::Default;
    match &node.value {
        Value::Text(text) => Merged::String(tag, text.clone()),
        Value::Integer(number) => {
            // The checks bound every number that Aurora reads; plugins get at most 64 bits.
            let number = i64::try_from(*number).unwrap_or(i64::MAX);
            Merged::Num(tag, Num::I64(number))
        }
        Value::Float(number) => Merged::Num(tag, Num::F64(*number)),
        Value::Bool(value) => Merged::Bool(tag, *value),
        Value::Moment(moment) => Merged::String(tag, moment.to_string()),
        Value::List(items) => Merged::Array(tag, items.iter().map(merged).collect()),
        Value::Table(members) => Merged::Dict(tag, dict(members)),
    }
}

impl Node {
    /// The value as JSON; dates become text.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(merged(self)).unwrap_or_default()
    }
}
