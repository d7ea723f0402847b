//! Requests of each kind, and what must be answered.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::setting::{KEY, SLOW};
use super::traffic::Visitor;

/// Bytes of an upload.
const UPLOAD: usize = 8 << 20;

type Outcome = Result<(), String>;

/// An answer, read to its end.
struct Told {
    status: u16,
    text: String,
}

impl Told {
    fn must(self, holds: impl FnOnce(u16, &str) -> bool) -> Outcome {
        if holds(self.status, &self.text) {
            Ok(())
        } else {
            Err(format!("{} {}", self.status, self.text))
        }
    }
}

/// The request, by one of the clients.
fn asking(
    visitor: &Visitor,
    number: u64,
    path: &str,
    body: Option<&Value>,
) -> reqwest::RequestBuilder {
    let client = visitor.client(number);
    let url = format!("{}{path}", visitor.url());
    let request = match body {
        Some(body) => client
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => client.get(url),
    };
    request.header("authorization", format!("Bearer {KEY}"))
}

async fn told(request: reqwest::RequestBuilder) -> Result<Told, String> {
    let response = request.send().await.map_err(all)?;
    let (status, headers) = (
        response.status().as_u16(),
        format!("{:?}", response.headers()),
    );
    match response.text().await {
        Ok(text) => Ok(Told { status, text }),
        Err(error) => Err(format!("{status} {headers}, then {}", all(error))),
    }
}

/// An error with all its causes.
#[expect(clippy::needless_pass_by_value, reason = "it goes into `map_err`")]
fn all(error: reqwest::Error) -> String {
    format!("{error:?}")
}

fn chat_body(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "ping"}]})
}

pub(super) async fn chat(visitor: &Visitor, number: u64) -> Outcome {
    let body = chat_body("m", false);
    let told = told(asking(visitor, number, "/v1/chat/completions", Some(&body))).await?;
    told.must(|status, text| status == 200 && text.contains("pong"))
}

pub(super) async fn chat_stream(visitor: &Visitor, number: u64) -> Outcome {
    let body = chat_body("m", true);
    let told = told(asking(visitor, number, "/v1/chat/completions", Some(&body))).await?;
    told.must(|status, text| {
        status == 200 && text.contains("\"po\"") && text.ends_with("data: [DONE]\n\n")
    })
}

pub(super) async fn slow_stream(visitor: &Visitor, number: u64) -> Outcome {
    let body = chat_body("slow", true);
    let told = told(asking(visitor, number, "/v1/chat/completions", Some(&body))).await?;
    told.must(|status, text| {
        status == 200
            && text.matches("\"word\"").count() == SLOW
            && text.ends_with("data: [DONE]\n\n")
    })
}

/// Leaves after the first piece.
pub(super) async fn leave_stream(visitor: &Visitor, number: u64) -> Outcome {
    let body = chat_body("slow", true);
    let request = asking(visitor, number, "/v1/chat/completions", Some(&body));
    let mut response = request.send().await.map_err(all)?;
    let first = response.chunk().await.map_err(all)?;
    match (response.status().as_u16(), first) {
        (200, Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

pub(super) async fn upload(visitor: &Visitor, number: u64) -> Outcome {
    let head = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
                --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let form = [head.as_bytes(), &vec![b'x'; UPLOAD], b"\r\n--b--\r\n"].concat();
    let length = form.len();
    let client = visitor.client(number);
    let request = client
        .post(format!("{}/v1/files", visitor.url()))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form);
    let told = told(request).await?;
    told.must(|status, text| status == 200 && text.contains(&format!("\"length\":{length}")))
}

/// Leaves after a megabyte.
pub(super) async fn leave_upload(visitor: &Visitor, _: u64) -> Outcome {
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: {UPLOAD}\r\n\r\n"
    );
    let address = visitor.url().trim_start_matches("http://");
    let sent = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(&vec![b'x'; 1 << 20]).await
    };
    sent.await.map_err(|error| error.to_string())
}

pub(super) async fn embeddings(visitor: &Visitor, number: u64) -> Outcome {
    let body = json!({"model": "m", "input": "hi"});
    let told = told(asking(visitor, number, "/v1/embeddings", Some(&body))).await?;
    told.must(|status, text| status == 200 && text.contains("/v1/embeddings"))
}

pub(super) async fn models(visitor: &Visitor, number: u64) -> Outcome {
    let told = told(asking(visitor, number, "/v1/models", None)).await?;
    told.must(|status, text| status == 200 && text.contains("\"list\""))
}

pub(super) async fn responses(visitor: &Visitor, number: u64) -> Outcome {
    let body = json!({"model": "m", "input": "hi"});
    let told = told(asking(visitor, number, "/v1/responses", Some(&body))).await?;
    told.must(|status, text| status == 200 && text.contains("/v1/responses"))
}

pub(super) async fn emulated(visitor: &Visitor, number: u64) -> Outcome {
    let stream = number.is_multiple_of(2);
    let body = json!({"model": "m", "input": "hi", "stream": stream});
    let told = told(asking(visitor, number, "/emulated/responses", Some(&body))).await?;
    let last = if stream {
        "response.completed"
    } else {
        "\"completed\""
    };
    told.must(|status, text| status == 200 && text.contains(last) && text.contains("pong"))
}

pub(super) async fn web(visitor: &Visitor, number: u64) -> Outcome {
    let stream = number.is_multiple_of(2);
    let body = chat_body("auto", stream);
    let told = told(asking(
        visitor,
        number,
        "/web/chat/completions",
        Some(&body),
    ))
    .await?;
    let last = if stream { "data: [DONE]" } else { "\"stop\"" };
    told.must(|status, text| status == 200 && text.contains(last))
}

pub(super) async fn plugin(visitor: &Visitor, number: u64) -> Outcome {
    let told = told(asking(visitor, number, "/fixture/version", None)).await?;
    told.must(|status, text| status == 200 && text.contains("version-"))
}

/// A stream is of one version from its beginning to its end.
pub(super) async fn plugin_stream(visitor: &Visitor, number: u64) -> Outcome {
    const EVENTS: usize = 8;
    let path = format!("/fixture/stream/{EVENTS}/25");
    let told = told(asking(visitor, number, &path, None)).await?;
    told.must(|status, text| {
        let versions = ["version-0000001", "version-0000002"].map(|one| text.matches(one).count());
        status == 200 && versions.contains(&EVENTS) && text.ends_with("data: [DONE]\n\n")
    })
}

pub(super) async fn wrong_key(visitor: &Visitor, number: u64) -> Outcome {
    let body = chat_body("m", false);
    let request = asking(visitor, number, "/v1/chat/completions", Some(&body));
    let mut request = request.build().map_err(all)?;
    let wrong = "Bearer sk-nobody".parse().unwrap();
    request.headers_mut().insert("authorization", wrong);
    let client = visitor.client(number).clone();
    let told = told(reqwest::RequestBuilder::from_parts(client, request)).await?;
    told.must(|status, text| status == 401 && text.contains("invalid_api_key"))
}

pub(super) async fn broken(visitor: &Visitor, number: u64) -> Outcome {
    if number.is_multiple_of(2) {
        let told = told(asking(visitor, number, "/nothing/here", None)).await?;
        return told.must(|status, _| status == 404);
    }
    let request = asking(visitor, number, "/v1/chat/completions", Some(&json!({})));
    let told = told(request.body("{\"model\": ")).await?;
    told.must(|status, text| status == 400 && text.contains("invalid_request_error"))
}
