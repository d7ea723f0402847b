//! `AURORA_SECTION__KEY` variables as a layer.

use super::parse_text;
use crate::diagnostic::Problem;
use crate::document::{Node, Place, Value, parse_value};
use crate::schema::keys::ROOT;
use crate::schema::{Kind, Section, nearest};
use crate::sources::Sources;

const PREFIX: &str = "AURORA_";

/// Variables that begin with `AURORA_` and are no settings of the file.
const OTHERS: [&str; 3] = ["AURORA_LOG", "AURORA_CONFIG", "AURORA_KEY"];

/// Reads the settings that are in the environment; `file` knows the names that its sections define.
pub(crate) fn layer(file: &Node, sources: &dyn Sources) -> (Node, Vec<Problem>) {
    let mut root = Node::empty(Place::Nowhere);
    let mut problems = Vec::new();
    let mut referenced = Vec::new();
    references(file, &mut referenced);
    for name in sources.env_names() {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if OTHERS.iter().any(|other| name.starts_with(other)) || referenced.contains(&name.as_str())
        {
            continue;
        }
        let Some(text) = sources.env(&name) else {
            continue;
        };
        let words: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        let Some((path, kind)) = find(&ROOT, &words, &[], file) else {
            problems.push(unknown(&name, file));
            continue;
        };
        let place = Place::Variable(name.clone());
        match value(&text, kind, &place) {
            Some(node) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                root.insert(&path, node);
            }
            None => problems.push(unusable(&text, kind, place)),
        }
    }
    (root, problems)
}

fn value(text: &str, kind: Option<&Kind>, place: &Place) -> Option<Node> {
    let node = match kind {
        Some(kind) => parse_text(text, kind),
        None => parse_value(text, place)
            .or_else(|| Some(Node::new(Value::Text(text.to_owned()), place.clone()))),
    };
    node.map(|mut node| {
        node.settle(place);
        node
    })
}

fn unusable(text: &str, kind: Option<&Kind>, place: Place) -> Problem {
    let wanted = match kind {
        Some(Kind::Bool) => "true or false",
        Some(Kind::Integer { .. }) => "an integer",
        Some(Kind::Number { .. }) => "a number",
        Some(Kind::Table(_) | Kind::Named(_) | Kind::Map | Kind::Free) => "a TOML table, `{ ... }`",
        _ => {
            // May be a list of secrets, so it is not shown.
            return Problem::error(
                "AUR0501",
                place,
                "must be a TOML list, or words with commas",
            );
        }
    };
    let problem = Problem::error("AUR0501", place, format!("must be {wanted}"));
    match kind {
        Some(Kind::Bool | Kind::Integer { .. } | Kind::Number { .. }) => {
            problem.label(format!("found {text:?}"))
        }
        _ => problem,
    }
}

type Found = (Vec<String>, Option<&'static Kind>);

// `None` as a kind: what somebody else checks can be anything.
fn find(
    section: &'static Section,
    words: &[String],
    above: &[String],
    file: &Node,
) -> Option<Found> {
    let (first, rest) = words.split_first()?;
    let (name, kind) = match (section.key(first), section.rest) {
        (Some(key), _) => (key.name.to_owned(), &key.kind),
        (None, Some(kind)) => (member(first, above, file), kind),
        (None, None) => return None,
    };
    let mut path = above.to_vec();
    path.push(name);
    match (kind, rest) {
        (Kind::Any, rest) => {
            path.extend(rest.iter().cloned());
            Some((path, None))
        }
        (_, []) => Some((path, Some(kind))),
        (Kind::Table(inner), rest) => find(inner, rest, &path, file),
        (Kind::Named(inner), [first, rest @ ..]) => {
            path.push(member(first, &path, file));
            if rest.is_empty() {
                None
            } else {
                find(inner, rest, &path, file)
            }
        }
        (Kind::Map, [last]) => {
            path.push(member(last, &path, file));
            Some((path, Some(&Kind::Text)))
        }
        (Kind::Free, rest) => {
            path.extend(rest.iter().cloned());
            Some((path, None))
        }
        _ => None,
    }
}

// `AURORA_UPSTREAMS__MY_SERVER` means `[upstreams.My-Server]` where the file has that.
fn member(word: &str, above: &[String], file: &Node) -> String {
    let above: Vec<&str> = above.iter().map(String::as_str).collect();
    let names = file.at(&above).and_then(Node::as_table);
    let same = |name: &&String| name.to_lowercase().replace('-', "_") == word;
    let found = names.and_then(|names| names.keys().find(same));
    found.cloned().unwrap_or_else(|| word.to_owned())
}

fn unknown(name: &str, file: &Node) -> Problem {
    let mut known = Vec::new();
    variables(&ROOT, PREFIX, file, &mut known);
    let problem = Problem::warning(
        "AUR0907",
        Place::Variable(name.to_owned()),
        "no such setting",
    );
    let words = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
    match nearest(name.trim_start_matches(PREFIX), words) {
        Some(near) => problem.help(format!("did you mean {PREFIX}{near}?")),
        None => problem.help("AURORA_SERVER__LISTEN sets `listen` of [server]"),
    }
}

fn variables(section: &Section, prefix: &str, node: &Node, known: &mut Vec<String>) {
    for key in section.keys {
        let name = format!("{prefix}{}", key.name.to_uppercase());
        let below = node.child(key.name);
        let nothing = Node::empty(Place::Nowhere);
        match &key.kind {
            Kind::Table(inner) => {
                variables(
                    inner,
                    &format!("{name}__"),
                    below.unwrap_or(&nothing),
                    known,
                );
            }
            Kind::Named(inner) => {
                for (member, node) in below.and_then(Node::as_table).into_iter().flatten() {
                    let member = member.to_uppercase().replace('-', "_");
                    variables(inner, &format!("{name}__{member}__"), node, known);
                }
            }
            _ => known.push(name),
        }
    }
}

fn references<'n>(node: &'n Node, found: &mut Vec<&'n str>) {
    match &node.value {
        Value::List(items) => {
            for item in items {
                references(item, found);
            }
        }
        Value::Table(members) => {
            found.extend(members.get("env").and_then(Node::as_text));
            for member in members.values() {
                references(member, found);
            }
        }
        _ => {}
    }
}
