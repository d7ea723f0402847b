use serde_json::{Value, json};

use super::*;

const CITE: &str = "\u{e200}cite\u{e202}turn0search0\u{e201}";
const LINK: &str = "([a](https://a.example/))";

fn sources(metadata: &Value) -> Sources {
    Sources::read(metadata.as_object().unwrap())
}

fn cite() -> Sources {
    sources(
        &json!({"content_references": [{"matched_text": CITE, "type": "webpage", "alt": LINK}]}),
    )
}

fn old() -> Sources {
    sources(&json!({"citations": [{"start_ix": 6, "end_ix": 16,
        "metadata": {"type": "webpage", "url": "https://a.example/", "title": "A"}}]}))
}

/// Feeds `text` in two pieces, tells the sources after them, and ends the message.
fn split(text: &str, at: usize, known: &Sources) -> String {
    let (head, tail) = text.split_at(at);
    let mut renderer = Renderer::new(Citations::Links);
    let mut out = renderer.push(head);
    out += &renderer.push(tail);
    out += &renderer.learn(known.clone());
    out + &renderer.flush()
}

#[test]
fn marks_become_links_wherever_they_are_split() {
    let table = [
        (format!("a {CITE}."), cite(), format!("a {LINK}.")),
        (format!("{CITE}{CITE}"), cite(), format!("{LINK}{LINK}")),
        (format!("a {CITE}"), Sources::default(), "a ".to_owned()),
        (
            "a \u{e200}cite\u{e202}tur".to_owned(),
            Sources::default(),
            "a ".to_owned(),
        ),
        (
            "a\u{e201}b\u{e202}c\u{f8ff}".to_owned(),
            Sources::default(),
            "abc".to_owned(),
        ),
        (
            "\u{e200}entity\u{e202}[\"x\",\"Curie\"]\u{e201}!".to_owned(),
            Sources::default(),
            "Curie!".to_owned(),
        ),
        (
            "👩text 【3†source】.".to_owned(),
            old(),
            "👩text ([a.example](https://a.example/ \"A\")).".to_owned(),
        ),
        (
            "👩texts【3†source】.".to_owned(),
            old(),
            "👩texts ([a.example](https://a.example/ \"A\")).".to_owned(),
        ),
        (
            "`x = 【3†source】`".to_owned(),
            Sources::default(),
            "`x = 【3†source】`".to_owned(),
        ),
        (
            "【note】 and 【3†".to_owned(),
            Sources::default(),
            "【note】 and 【3†".to_owned(),
        ),
    ];

    for (text, known, expected) in table {
        for at in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
            assert_eq!(split(&text, at, &known), expected, "{text:?} split at {at}");
        }
        let mut renderer = Renderer::new(Citations::Links);
        assert_eq!(renderer.learn(known), "");
        assert_eq!(renderer.whole(&text), expected, "{text:?}");
    }
}

#[test]
fn text_behind_a_mark_waits_for_its_source_only_so_long() {
    let mut renderer = Renderer::new(Citations::Links);
    assert_eq!(renderer.push(CITE), "");
    let waiting: String = (0..19).map(|_| renderer.push("x")).collect();

    let given = renderer.push("y");

    assert_eq!(waiting, "");
    assert_eq!(given, format!("{}y", "x".repeat(19)));
    assert_eq!(renderer.learn(cite()), "");
}

#[test]
fn a_source_releases_what_waits() {
    let mut renderer = Renderer::new(Citations::Links);

    assert_eq!(renderer.push(&format!("a {CITE} b")), "a ");
    assert_eq!(renderer.learn(cite()), format!("{LINK} b"));
}

#[test]
fn an_endless_mark_is_dropped_up_to_its_end() {
    let mut renderer = Renderer::new(Citations::Links);

    let mut out = renderer.push("a\u{e200}cite");
    for _ in 0..10 {
        out += &renderer.push(&"x".repeat(1000));
    }
    out += &renderer.push("x\u{e201}b");

    assert_eq!(out, "ab");
}

#[test]
fn marks_are_taken_out_on_request() {
    let mut renderer = Renderer::new(Citations::Strip);

    assert_eq!(
        renderer.push(&format!("in 2015 {CITE}. 【3†x】")),
        "in 2015 . 【3†x】"
    );
}
