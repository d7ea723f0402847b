//! Semantic calls, state, and what is told to the host.

mod in_c;

use aurora_sdk::testing::{self, FakeHost, request};
use aurora_sdk::{Body, Context, Error, Operation, Request, Response, Upload};
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};

use crate::answers::{full, refusal};
use crate::bodies::pieces;
use crate::ground::{Run, Serve};

/// Chats, and tells what was said.
#[derive(Default)]
struct Chats;

impl Serve for Chats {
    async fn serve(&self, cx: &Context, mut request: Request) -> Result<Response, Error> {
        let mut chunks = cx.host().chat(request.json().await?).await?;
        let (mut said, mut broken) = (Vec::new(), None);
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => said.push(serde_json::to_value(chunk).unwrap()),
                Err(error) => {
                    broken = Some((error.code().to_owned(), error.param().map(str::to_owned)));
                }
            }
        }
        assert!(chunks.next().await.is_none());
        Response::json(&json!({ "said": said, "broken": broken }))
    }
}

fn question() -> Value {
    let message = json!({ "role": "user", "content": "hi", "name": "ann" });
    json!({ "model": "small", "messages": [message], "temperature": 0.5 })
}

#[test]
fn a_chat_goes_there_and_back_with_all_that_is_in_it() {
    let run = Run::new::<Chats>(FakeHost::new().chats(testing::says("Hello, ü")));

    let answer = run
        .ask(request("POST", "/").json(&question()))
        .unwrap()
        .json();

    assert_eq!(
        answer["said"][0]["choices"][0]["delta"]["content"],
        "Hello, ü"
    );
    assert_eq!(answer["said"][2]["usage"]["total_tokens"], 5);
    assert_eq!(
        (answer["said"].as_array().unwrap().len(), &answer["broken"]),
        (3, &Value::Null)
    );
    assert_eq!(
        serde_json::to_value(&run.host.asked()[0]).unwrap(),
        question()
    );
    run.end_well();
}

#[test]
fn a_chat_that_breaks_off_tells_why_and_ends() {
    let mut chunks = testing::says("Hello");
    chunks.truncate(1);
    chunks.push(Err(refusal()));
    let run = Run::new::<Chats>(FakeHost::new().chats(chunks));

    let answer = run
        .ask(request("POST", "/").json(&question()))
        .unwrap()
        .json();

    assert_eq!(answer["said"].as_array().unwrap().len(), 1);
    assert_eq!(answer["broken"], json!(["slow_down", "messages/0"]));
    run.end_well();
}

#[test]
fn a_chat_that_is_refused_keeps_status_and_code() {
    let run = Run::new::<Chats>(FakeHost::new().refuses_chat(refusal()));

    let error = run.ask(request("POST", "/").json(&question())).unwrap_err();

    assert_eq!(full(&error), full(&refusal()));
    run.end_well();
}

/// Hands a chat to the client as it comes.
#[derive(Default)]
struct Streams;

impl Serve for Streams {
    async fn serve(&self, cx: &Context, mut request: Request) -> Result<Response, Error> {
        let chunks = cx.host().chat(request.json().await?).await?;
        let events = chunks.map(|chunk| {
            let json = serde_json::to_string(&chunk?).map_err(Error::internal)?;
            Ok(aurora_openai::sse::event(None, &json))
        });
        Ok(Response::events(Box::pin(events)))
    }
}

#[test]
fn a_chat_can_be_streamed_to_the_client() {
    let run = Run::new::<Streams>(FakeHost::new().chats(testing::says("Hello")));

    let answer = run.ask(request("POST", "/").json(&question())).unwrap();

    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    let events = answer.events();
    assert_eq!(events.len(), 3);
    assert!(events[0].1.contains("Hello"), "{events:?}");
    run.end_well();
}

/// Asks for whatever the path says.
#[derive(Default)]
struct Asks;

impl Serve for Asks {
    async fn serve(&self, cx: &Context, request: Request) -> Result<Response, Error> {
        let host = cx.host();
        let file = Upload {
            name: "a \"b\".txt".to_owned(),
            content_type: "text/plain".to_owned(),
            body: request.body,
        };
        let asked = json!({ "model": "small", "input": "hi" });
        match request.path.as_str() {
            "/models" => Response::json(&host.models().await?),
            "/images" => Response::json(&host.images(asked).await?),
            "/speech" => host.speech(asked).await,
            "/transcribe" => Response::json(&host.transcribe(file, asked).await?),
            _ => Response::json(&host.upload(file, asked).await?),
        }
    }
}

#[test]
fn models_go_there_and_back() {
    let model = aurora_openai::models::Model::new("small", 7, "ann");
    let run = Run::new::<Asks>(FakeHost::new().models(vec![model]));

    let answer = run.ask(request("GET", "/models")).unwrap();

    assert_eq!(
        answer.json(),
        json!([{ "id": "small", "object": "model", "created": 7, "owned_by": "ann" }])
    );
    run.end_well();
}

#[test]
fn pictures_speech_and_files_are_asked_for_as_the_openai_api_has_it() {
    let table = [
        ("/images", Operation::Images, "images/generations"),
        ("/speech", Operation::Speech, "audio/speech"),
        ("/transcribe", Operation::Transcribe, "audio/transcriptions"),
        ("/upload", Operation::Files, "files"),
    ];
    for (path, operation, sent_to) in table {
        let run =
            Run::new::<Asks>(FakeHost::new().answers(Response::json(&json!({ "a": 1 })).unwrap()));

        let answer = run
            .ask(request("POST", path).body(pieces(vec![Ok("some"), Ok("thing")])))
            .unwrap();

        assert_eq!(answer.json(), json!({ "a": 1 }));
        let sent = &run.host.sent()[0];
        assert_eq!((sent.operation, sent.path.as_str()), (operation, sent_to));
        assert_eq!(sent.model.as_deref(), Some("small"));
        let is_form = sent.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("multipart/form-data; boundary=");
        let text = String::from_utf8_lossy(&sent.body).into_owned();
        assert_eq!(is_form, text.contains("something"), "{text}");
        assert_eq!(
            is_form,
            text.contains("filename=\"a %22b%22.txt\""),
            "{text}"
        );
        run.end_well();
    }
}

#[test]
fn an_upstreams_refusal_of_a_call_keeps_its_words() {
    let words =
        json!({ "error": { "message": "no", "type": "t", "code": "bad_size", "param": "size" } });
    let mut response = Response::json(&words).unwrap();
    response.status = StatusCode::UNPROCESSABLE_ENTITY;
    let run = Run::new::<Asks>(FakeHost::new().answers(response));

    let error = run
        .ask(request("POST", "/images").body(Body::empty()))
        .unwrap_err();

    assert_eq!(
        (
            error.status().as_u16(),
            error.code(),
            error.message(),
            error.param()
        ),
        (422, "bad_size", "no", Some("size"))
    );
    run.end_well();
}
