//! What a filter does with answers.

use aurora_sdk::testing::{self, request};
use aurora_sdk::{End, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Changes, Filtering, answer, ends};
use crate::answers::{full, refusal};
use crate::bodies::pieces;

#[test]
fn a_filter_changes_the_head_of_an_answer() {
    let run = Filtering::new::<Changes<1>>();
    let mut response = answer();
    for (name, value) in [
        ("x-gone", "1"),
        ("x-set", "old"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-same", "1"),
        ("x-same", "2"),
    ] {
        response.headers.append(name, value.parse().unwrap());
    }

    let answer = run.pass(request("GET", "/head"), response).unwrap().answer;

    let all = |name| {
        answer
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(answer.status.as_u16(), 202);
    assert_eq!(
        (all("x-gone"), all("x-set"), all("x-many")),
        (vec![], vec!["new"], vec!["1", "2", "3"])
    );
    assert_eq!(
        (all("x-same"), all("x-fresh")),
        (vec!["1", "2"], vec!["a", "b"])
    );
    assert_eq!(
        ends("/head")[0],
        End {
            status: StatusCode::ACCEPTED,
            is_complete: true,
            usage: None
        }
    );
    assert_eq!(run.end(), []);
}

#[test]
fn an_error_about_the_head_is_the_answer() {
    let run = Filtering::new::<Changes<1>>();

    let error = run.pass(request("GET", "/bad-head"), answer()).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    assert_eq!(
        (
            ends("/bad-head")[0].status,
            ends("/bad-head")[0].is_complete
        ),
        (StatusCode::IM_A_TEAPOT, false)
    );
    assert_eq!(run.end(), []);
}

#[test]
fn a_filter_sees_every_piece_and_may_split_drop_and_add_some() {
    let run = Filtering::new::<Changes<2>>();
    let text = |path| {
        run.pass(request("GET", path), answer())
            .unwrap()
            .answer
            .text()
    };

    assert_eq!(
        [text("/all"), text("/split"), text("/dropped")],
        ["abcdef|2", "abcdef|2", "abc|2"]
    );
    assert_eq!(run.end(), []);
}

#[test]
fn an_error_about_a_piece_ends_the_answer_there() {
    let run = Filtering::new::<Changes<2>>();

    let answer = run
        .pass(request("GET", "/broken"), answer())
        .unwrap()
        .answer;

    assert_eq!(
        (answer.text().as_str(), full(&answer.broken.unwrap())),
        ("abc", full(&refusal()))
    );
    assert!(ends("/broken").iter().all(|end| !end.is_complete));
    assert_eq!(run.end(), []);
}

pub(super) fn events() -> Response {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n\
                event: named\ndata: {\"a\":1}\n\n\
                data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n\
                data: [DONE]\n\n";
    Response::new("text/event-stream", pieces(vec![Ok(text)]))
}

fn seen(answer: &testing::Answer) -> Vec<(String, Value)> {
    let events = answer.events().into_iter();
    events
        .map(|(name, data)| (name, serde_json::from_str(&data).unwrap_or(json!(data))))
        .collect()
}

#[test]
fn a_filter_sees_every_event_and_may_change_drop_and_add_some() {
    let run = Filtering::new::<Changes<3>>();

    let changed = seen(
        &run.pass(request("GET", "/events"), events())
            .unwrap()
            .answer,
    );
    assert_eq!(changed.len(), 4);
    assert_eq!(changed[0].1["choices"][0]["delta"]["content"], "HELLO");
    assert_eq!(
        changed[1],
        ("named".to_owned(), json!({ "a": 1, "is_whole": false }))
    );
    let dropped = seen(
        &run.pass(request("GET", "/dropped"), events())
            .unwrap()
            .answer,
    );
    assert_eq!(
        (dropped.len(), &dropped[2]),
        (4, &("last".to_owned(), json!(3)))
    );
    assert_eq!(dropped[3].1, "[DONE]");
    let doubled = seen(
        &run.pass(request("GET", "/doubled"), events())
            .unwrap()
            .answer,
    );
    assert_eq!((doubled.len(), doubled[0] == doubled[1]), (7, true));
    assert_eq!(run.end(), []);
}

#[test]
fn a_filter_that_follows_events_hears_of_the_tokens() {
    let run = Filtering::new::<Changes<3>>();

    run.pass(request("GET", "/tokens"), events()).unwrap();

    let end = ends("/tokens").remove(0);
    let usage = end.usage.unwrap();
    assert_eq!(
        (
            end.is_complete,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens
        ),
        (true, 3, 4, 7)
    );
    assert_eq!(run.end(), []);
}

#[test]
fn a_whole_answer_is_one_event_that_is_marked() {
    let run = Filtering::new::<Changes<3>>();
    let response =
        Response::json(&json!({ "choices": [{ "message": { "content": "hi" } }] })).unwrap();

    let answer = run
        .pass(request("GET", "/whole"), response)
        .unwrap()
        .answer
        .json();

    assert_eq!(
        (
            &answer["choices"][0]["message"]["content"],
            &answer["is_whole"]
        ),
        (&json!("HI"), &json!(true))
    );
    assert_eq!(run.end(), []);
}

#[test]
fn an_error_about_an_event_ends_the_answer_there() {
    let run = Filtering::new::<Changes<3>>();

    let answer = run
        .pass(request("GET", "/broken"), events())
        .unwrap()
        .answer;

    assert_eq!(
        (answer.events().len(), full(&answer.broken.unwrap())),
        (1, full(&refusal()))
    );
    assert_eq!(run.end(), []);
}
