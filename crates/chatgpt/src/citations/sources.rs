//! What marks point to, from a message's metadata.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::mark;

/// The sources of one message, ready to be put in place of its marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    by_text: HashMap<String, String>,
    by_place: HashMap<(u64, u64), String>,
}

impl Sources {
    /// Reads `content_references` and `citations` of a message's metadata; odd entries are left out.
    pub fn read(metadata: &Map<String, Value>) -> Self {
        let mut sources = Self::default();
        for reference in objects(metadata, "content_references") {
            let text = string(reference, "matched_text").unwrap_or("");
            if text.starts_with(mark::OPEN) || text.starts_with(mark::BRACKET) {
                sources
                    .by_text
                    .insert(text.to_owned(), new_style(reference, text));
            }
        }
        for citation in objects(metadata, "citations") {
            let place = |key: &str| citation.get(key).and_then(Value::as_u64);
            if let (Some(start), Some(end), Some(link)) =
                (place("start_ix"), place("end_ix"), old_style(citation))
            {
                sources.by_place.insert((start, end), link);
            }
        }
        sources
    }

    /// What replaces `mark`; its text is asked first, its place (in code points) second.
    pub(super) fn find(&self, mark: &str, start: u64) -> Option<&str> {
        let end = start + mark.chars().count() as u64;
        let found = self.by_text.get(mark);
        found
            .or_else(|| self.by_place.get(&(start, end)))
            .map(String::as_str)
    }
}

fn objects<'a>(
    map: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    let list = map.get(key).and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default().iter();
    list.filter_map(Value::as_object)
}

fn string<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// Web pages and pictures by their `alt` or first item, files and entities by name, all else by nothing.
fn new_style(reference: &Map<String, Value>, mark: &str) -> String {
    let alt = || string(reference, "alt").map(str::to_owned);
    let name = || {
        let name = string(reference, "name").or_else(|| string(reference, "title"));
        name.map(str::to_owned)
    };
    let rendered = match string(reference, "type").unwrap_or("") {
        "grouped_webpages" | "webpage" | "webpage_extended" | "url" => {
            alt().or_else(|| first_link(reference))
        }
        "file" => name().map(|name| format!("[{name}]")).or_else(alt),
        "entity" => mark::name(mark).or_else(alt).or_else(name),
        "alt_text" | "image_v2" | "nav_list" => alt(),
        _ => None,
    };
    rendered.unwrap_or_default()
}

fn first_link(reference: &Map<String, Value>) -> Option<String> {
    let items = objects(reference, "items").chain(objects(reference, "fallback_items"));
    let mut links =
        items.filter_map(|item| link(string(item, "url")?, string(item, "attribution"), None));
    if let Some(link) = links.next() {
        return Some(link);
    }
    let urls = reference.get("safe_urls")?.as_array()?;
    link(urls.first()?.as_str()?, None, None)
}

fn old_style(citation: &Map<String, Value>) -> Option<String> {
    let metadata = citation.get("metadata")?.as_object()?;
    if string(metadata, "type") == Some("file") {
        let name = string(metadata, "name").or_else(|| string(metadata, "title"))?;
        return Some(format!("[{name}]"));
    }
    link(
        string(metadata, "url")?,
        string(metadata, "attribution"),
        string(metadata, "title"),
    )
}

/// `([attribution](url "title"))`; the host where there is no attribution, nothing for other schemes than HTTP.
fn link(url: &str, attribution: Option<&str>, title: Option<&str>) -> Option<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let name = attribution.unwrap_or_else(|| host.strip_prefix("www.").unwrap_or(host));
    let url: String = url
        .chars()
        .map(|c| match c {
            '(' => "%28".to_owned(),
            ')' => "%29".to_owned(),
            c if c.is_whitespace() || c.is_control() => "%20".to_owned(),
            c => c.to_string(),
        })
        .collect();
    let title = title.map(|title| format!(" \"{}\"", title.replace('"', "'").replace('\n', " ")));
    Some(format!("([{name}]({url}{}))", title.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CITE: &str = "\u{e200}cite\u{e202}turn0search0\u{e201}";

    fn rendered(reference: &Value) -> Option<String> {
        let mut reference = reference.clone();
        reference["matched_text"] = json!(CITE);
        let metadata = json!({ "content_references": [reference] });
        let sources = Sources::read(metadata.as_object().unwrap());
        sources.find(CITE, 0).map(str::to_owned)
    }

    #[test]
    fn each_type_has_its_rendering() {
        let table = [
            (
                json!({"type": "webpage", "alt": "([a](https://a/))"}),
                "([a](https://a/))",
            ),
            (
                json!({"type": "grouped_webpages", "alt": "", "items": [{"url": "https://www.a.example/x(1)", "title": "A"}]}),
                "([a.example](https://www.a.example/x%281%29))",
            ),
            (
                json!({"type": "webpage", "items": [{"url": "https://a.example/", "attribution": "A"}]}),
                "([A](https://a.example/))",
            ),
            (
                json!({"type": "webpage", "safe_urls": ["https://b.example/"]}),
                "([b.example](https://b.example/))",
            ),
            (
                json!({"type": "webpage", "items": [{"url": "javascript:x"}]}),
                "",
            ),
            (
                json!({"type": "file", "name": "report.pdf"}),
                "[report.pdf]",
            ),
            (json!({"type": "entity", "alt": "Curie"}), "Curie"),
            (json!({"type": "hidden", "alt": "secret"}), ""),
            (json!({"type": "future", "alt": "x"}), ""),
        ];

        for (reference, expected) in table {
            assert_eq!(
                rendered(&reference).as_deref(),
                Some(expected),
                "{reference}"
            );
        }
    }

    #[test]
    fn old_citations_are_found_by_their_place() {
        let metadata = json!({"citations": [
            {"start_ix": 2, "end_ix": 12, "metadata": {"type": "webpage", "url": "https://a.example/", "title": "A \"x\""}},
            {"start_ix": 20, "end_ix": 30, "metadata": {"type": "file", "name": "b.pdf"}},
            {"start_ix": -1, "end_ix": 30, "metadata": {}}, 7]});

        let sources = Sources::read(metadata.as_object().unwrap());

        assert_eq!(
            sources.find("【3†source】", 2),
            Some("([a.example](https://a.example/ \"A 'x'\"))")
        );
        assert_eq!(sources.find("【9†source】", 20), Some("[b.pdf]"));
        assert_eq!(sources.find("【3†source】", 3), None);
    }
}
