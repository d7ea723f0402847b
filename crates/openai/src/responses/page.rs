//! Lists of items, page by page.

use serde::Serialize;
use serde_json::Value;

use super::refusal::Refusal;

/// The part of a list that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many items, 1 to 100. Default 20.
    pub limit: usize,
    /// Default newest first.
    pub order: Order,
    /// Only items behind this one.
    pub after: Option<String>,
}

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The conversation's order.
    OldestFirst,
    /// The reverse.
    NewestFirst,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemList {
    object: &'static str,
    data: Vec<Value>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl Page {
    /// Reads the page from a query string; unknown parameters are ignored.
    ///
    /// # Errors
    /// The first parameter with a value that cannot be.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        let mut page = Self {
            limit: 20,
            order: Order::NewestFirst,
            after: None,
        };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match (name, value) {
                ("limit", _) => {
                    page.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=100).contains(limit))
                        .ok_or_else(|| {
                            Refusal::new("invalid_value", "limit", "the limit is 1 to 100")
                        })?;
                }
                ("order", "asc") => page.order = Order::OldestFirst,
                ("order", "desc") => page.order = Order::NewestFirst,
                ("order", _) => {
                    return Err(Refusal::new(
                        "invalid_value",
                        "order",
                        "the order is asc or desc",
                    ));
                }
                ("after", id) if !id.is_empty() => page.after = Some(id.to_owned()),
                _ => {}
            }
        }
        Ok(page)
    }

    /// This page of `items`, which are in the conversation's order.
    ///
    /// # Errors
    /// Where `after` is none of them.
    pub fn of(&self, mut items: Vec<Value>) -> Result<ItemList, Refusal> {
        if self.order == Order::NewestFirst {
            items.reverse();
        }
        if let Some(after) = &self.after {
            let at = items
                .iter()
                .position(|item| id(item) == Some(after))
                .ok_or_else(|| Refusal::new("invalid_value", "after", "no item has this id"))?;
            items.drain(..=at);
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        let name = |item: Option<&Value>| item.and_then(id).map(str::to_owned);
        Ok(ItemList {
            object: "list",
            first_id: name(items.first()),
            last_id: name(items.last()),
            has_more,
            data: items,
        })
    }
}

fn id(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(query: &str) -> Value {
        let items = ["a", "b", "c"].map(|id| json!({ "id": id })).to_vec();
        let list = Page::parse(query).unwrap().of(items).unwrap();
        serde_json::to_value(list).unwrap()
    }

    #[test]
    fn pages_follow_each_other() {
        assert_eq!(
            list(""),
            json!({"object": "list", "data": [{"id": "c"}, {"id": "b"}, {"id": "a"}],
                   "first_id": "c", "last_id": "a", "has_more": false})
        );
        assert_eq!(
            list("limit=1&order=asc&after=a"),
            json!({"object": "list", "data": [{"id": "b"}], "first_id": "b", "last_id": "b", "has_more": true})
        );
        assert_eq!(list("order=asc&after=c")["data"], json!([]));
    }

    #[test]
    fn impossible_pages_are_refused() {
        for query in ["limit=0", "limit=101", "limit=x", "order=up"] {
            assert!(Page::parse(query).is_err(), "{query}");
        }
        assert!(Page::parse("after=z").unwrap().of(Vec::new()).is_err());
    }
}
