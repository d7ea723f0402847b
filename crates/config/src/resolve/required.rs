//! Settings that must be written and are not, and settings of another protocol.

use crate::diagnostic::Problem;
use crate::document::places::Places;
use crate::document::{Node, Value};
use crate::schema::keys::{PROTOCOLS, ROOT};
use crate::schema::{Kind, Section};

/// Finds what is missing anywhere in the file, and what belongs to another protocol.
pub(crate) fn missing(places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    section(&ROOT, places, &mut Vec::new(), &mut problems);
    problems
}

fn section(section: &Section, places: &Places, path: &mut Vec<String>, out: &mut Vec<Problem>) {
    let here: Vec<&str> = path.iter().map(String::as_str).collect();
    // A section without one, such as `timeouts`, belongs to that of the section around it.
    let protocol = (0..=here.len())
        .rev()
        .filter_map(|length| here.get(..length))
        .find_map(|around| at(around, "protocol", places)?.as_text());
    let protocol = protocol.filter(|protocol| PROTOCOLS.contains(protocol));
    for key in section.keys {
        let node = at(&here, key.name, places);
        if key.required && node.is_none() {
            out.push(absent(key.name, &here, places));
        }
        if let (Some(protocol), Some(_), false) = (protocol, node, key.only.is_empty())
            && !key.only.contains(&protocol)
        {
            out.push(foreign(key.name, protocol, key.only, &here, places));
        }
    }
    for key in section.keys {
        path.push(key.name.to_owned());
        below(&key.kind, places, path, out);
        path.pop();
    }
}

fn below(kind: &Kind, places: &Places, path: &mut Vec<String>, out: &mut Vec<Problem>) {
    let here: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(node) = places.node(&here) else {
        return;
    };
    let (item, names): (&Kind, Vec<String>) = match (kind, &node.value) {
        (Kind::Table(inner) | Kind::TextOr(inner), Value::Table(_)) => {
            return section(inner, places, path, out);
        }
        (Kind::Named(inner), Value::Table(_)) => {
            let names = places.names(&here).into_iter().map(str::to_owned).collect();
            (&Kind::Table(inner), names)
        }
        (Kind::List(item) | Kind::OneOrMany(item), Value::List(items)) => (
            *item,
            (0..items.len()).map(|index| index.to_string()).collect(),
        ),
        (Kind::OneOrMany(item), _) => return below(item, places, path, out),
        _ => return,
    };
    for name in names {
        path.push(name);
        below(item, places, path, out);
        path.pop();
    }
}

fn at<'p>(here: &[&str], name: &str, places: &'p Places) -> Option<&'p Node> {
    let path: Vec<&str> = here.iter().copied().chain([name]).collect();
    places.node(&path)
}

fn absent(name: &str, here: &[&str], places: &Places) -> Problem {
    let place = places.key(here);
    let words: Vec<&str> = here
        .iter()
        .copied()
        .filter(|segment| segment.parse::<usize>().is_err())
        .collect();
    let message = format!("`{name}` is missing in `{}`", words.join("."));
    let problem = Problem::error("AUR0108", place, message).label(format!("`{name}` is needed"));
    match name {
        "protocol" => problem.help(format!("known protocols: {}", PROTOCOLS.join(", "))),
        _ => problem,
    }
}

fn foreign(name: &str, protocol: &str, only: &[&str], here: &[&str], places: &Places) -> Problem {
    let path: Vec<&str> = here.iter().copied().chain([name]).collect();
    let message = format!("`{name}` is not a setting of protocol {protocol}");
    let only = only.join(" and ");
    Problem::error("AUR0110", places.key(&path), message)
        .label("would do nothing")
        .help(format!("upstreams of protocol {only} have `{name}`"))
}
