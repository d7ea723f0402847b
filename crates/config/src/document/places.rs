//! Where the setting that counts was written: flags over environment over file.

use super::{Node, Place};

/// The layers that settings came from, the strongest first.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    layers: Vec<Node>,
}

impl Places {
    pub(crate) fn new(layers: Vec<Node>) -> Self {
        Self { layers }
    }

    /// The value at `path` in the strongest layer that has one.
    pub(crate) fn node(&self, path: &[&str]) -> Option<&Node> {
        for layer in &self.layers {
            match reach(layer, path) {
                Reach::Here(node) => return Some(node),
                Reach::Hidden => return None,
                Reach::Below => {}
            }
        }
        None
    }

    /// Whether `path` was written anywhere.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.node(path).is_some()
    }

    /// Place of the value at `path`, or of the nearest written value above it.
    pub(crate) fn value(&self, path: &[&str]) -> Place {
        self.nearest(path)
            .map_or(Place::Nowhere, |node| node.place.clone())
    }

    /// Place of the key at `path`, or of the nearest written one above it.
    pub(crate) fn key(&self, path: &[&str]) -> Place {
        let node = self.nearest(path);
        node.map_or(Place::Nowhere, |node| {
            node.key.clone().unwrap_or_else(|| node.place.clone())
        })
    }

    /// Names of the members of all layers' tables at `path`.
    pub(crate) fn names(&self, path: &[&str]) -> Vec<&str> {
        let tables = self
            .layers
            .iter()
            .filter_map(|layer| layer.at(path)?.as_table());
        let mut names: Vec<&str> = tables
            .flat_map(|table| table.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn nearest(&self, path: &[&str]) -> Option<&Node> {
        (1..=path.len())
            .rev()
            .find_map(|length| self.node(path.get(..length)?))
    }
}

enum Reach<'n> {
    Here(&'n Node),
    /// The layer says nothing about it; a weaker one may.
    Below,
    /// The layer has another value in its way, which hides the weaker ones.
    Hidden,
}

fn reach<'n>(layer: &'n Node, path: &[&str]) -> Reach<'n> {
    let mut node = layer;
    for segment in path {
        match node.child(segment) {
            Some(child) => node = child,
            None if node.as_table().is_some() => return Reach::Below,
            None => return Reach::Hidden,
        }
    }
    Reach::Here(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Value, parse};

    #[test]
    fn a_stronger_value_hides_what_lies_below_a_weaker_one() {
        let file = parse("[server]\nlisten = ['a', 'b']\nidle = '1s'\n").unwrap();
        let mut environment = Node::empty(Place::Nowhere);
        let place = Place::Variable("X".to_owned());
        let node = Node::new(Value::Text("c".to_owned()), place.clone());
        environment.insert(&["server", "listen"], node);

        let places = Places::new(vec![environment, file]);

        assert_eq!(places.value(&["server", "listen", "1"]), place);
        assert!(!places.has(&["server", "listen", "1"]));
        assert!(matches!(places.value(&["server", "idle"]), Place::File(_)));
    }
}
