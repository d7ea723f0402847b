//! What goes through Aurora goes through untouched: methods, paths, queries and bodies in both directions.

use aurora_testkit::{Aurora, FakeUpstream, Recorded, Reply, Step};
use reqwest::{Method, Response};
use serde_json::json;

use crate::support::{aurora, config, in_front_of};

const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data; boundary=x-b";

/// A body that no parser would write like this.
const ODD: &str = "{ \"model\" :\"m\",\n \"temperature\":0.70, \"big\":12345678901234567890123, \"e\":1E5,\
                   \"unknown\":{\"b\":1,\"a\":[ null ]},\"text\":\"\\u00e9\\ud83d\\ude00\\/\" }\n";

const MULTIPART: &[u8] = b"--x-b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x-b\r\n\
    Content-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: audio/wav\r\n\r\n\
    \x00\xff\xfe--x\r\n\x80\r\n--x-b--\r\n";

async fn send(
    aurora: &Aurora,
    method: &str,
    path: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> Response {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = aurora
        .client()
        .request(method, format!("{}{path}", aurora.url()));
    let request = request.header("content-type", kind).body(body);
    request.send().await.unwrap()
}

/// Sends `body` to `path` and checks that both directions are byte-identical.
async fn untouched(method: &str, path: &str, kind: &str, body: &[u8]) -> Recorded {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let answer = b"{ \"x\":1.50,\"x\":2,\"raw\":\"\xc3\xa9\\u00e9\" }\n\n";
    upstream.next(Reply::new(
        201,
        &[("content-type", "application/json; x=1")],
        answer,
    ));

    let response = send(&aurora, method, path, kind, body.to_vec()).await;

    assert_eq!(response.status(), 201, "{path}");
    assert_eq!(response.headers()["content-type"], "application/json; x=1");
    assert_eq!(
        response.headers()["content-length"],
        answer.len().to_string().as_str()
    );
    assert_eq!(response.bytes().await.unwrap(), answer.as_slice(), "{path}");
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, path));
    assert_eq!(seen.body, body, "{path}");
    aurora.wait_for_output("end=\"complete\"").await;
    assert_eq!(
        seen.header("content-length"),
        Some(body.len().to_string().as_str())
    );
    seen
}

#[tokio::test]
async fn a_chat_turn_is_relayed_as_written() {
    let seen = untouched("POST", "/v1/chat/completions", JSON, ODD.as_bytes()).await;
    assert_eq!(seen.header("content-type"), Some(JSON));
}

#[tokio::test]
async fn embeddings_and_other_json_are_relayed_as_written() {
    untouched("POST", "/v1/embeddings", JSON, ODD.as_bytes()).await;
    untouched("POST", "/v1/a/b/c?x=1&y=%20&x=2", JSON, ODD.as_bytes()).await;
    untouched("PUT", "/v1/assistants/a%20b", JSON, ODD.as_bytes()).await;
    untouched("PATCH", "/v1/moderations", JSON, b"[1, 2.0]").await;
}

#[tokio::test]
async fn json_that_aurora_cannot_read_is_the_upstreams_to_judge() {
    untouched("POST", "/v1/other", JSON, b"{ not json").await;
    untouched(
        "POST",
        "/v1/other",
        "application/json; charset=utf-8",
        b"\xff\xfe",
    )
    .await;
}

#[tokio::test]
async fn a_body_of_any_other_type_is_relayed_as_written() {
    let seen = untouched(
        "POST",
        "/v1/other",
        "application/x-thing; a=b",
        b"\x00\r\n\xff",
    )
    .await;
    assert_eq!(
        seen.header("content-type"),
        Some("application/x-thing; a=b")
    );
}

#[tokio::test]
async fn images_are_relayed_as_written() {
    for path in [
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/images/variations",
    ] {
        untouched("POST", path, JSON, ODD.as_bytes()).await;
    }
    for path in ["/v1/images/edits", "/v1/images/variations"] {
        let seen = untouched("POST", path, FORM, MULTIPART).await;
        assert_eq!(seen.header("content-type"), Some(FORM));
    }
}

#[tokio::test]
async fn sound_files_are_relayed_as_written() {
    for path in ["/v1/audio/transcriptions", "/v1/audio/translations"] {
        let seen = untouched("POST", path, FORM, MULTIPART).await;
        assert_eq!(seen.header("content-type"), Some(FORM));
    }
}

#[tokio::test]
async fn file_uploads_are_relayed_as_written() {
    untouched("POST", "/v1/files", FORM, MULTIPART).await;
}

#[tokio::test]
async fn files_are_listed_looked_at_and_deleted() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let cases = [
        ("GET", "/v1/files?limit=2&after=file-1&purpose=a%20b"),
        ("GET", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
    ];

    for (method, path) in cases {
        let url = format!("{}{path}", aurora.url());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = aurora.client().request(method.clone(), url).send().await;
        assert_eq!(response.unwrap().status(), 200, "{path}");
        let seen = upstream.last();
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            (method.as_str(), path)
        );
        assert_eq!(seen.body_length, 0);
    }
}

#[tokio::test]
async fn speech_comes_back_as_the_bytes_it_is() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let sound: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    upstream.next(Reply::new(200, &[("content-type", "audio/mpeg")], &sound));

    let response = send(&aurora, "POST", "/v1/audio/speech", JSON, ODD).await;

    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    assert_eq!(response.bytes().await.unwrap(), sound);
    assert_eq!(upstream.last().body, ODD);
}

#[tokio::test]
async fn curl_without_a_content_type_is_understood() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    // What `curl -d` says of its body.
    let form = "application/x-www-form-urlencoded";
    for path in ["/v1/chat/completions", "/v1/audio/speech"] {
        let response = send(&aurora, "POST", path, form, ODD).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(upstream.last().header("content-type"), Some(JSON));
    }
}

#[tokio::test]
async fn an_alias_changes_the_models_name_and_nothing_else() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, "models = { m = \"vendor/large \\\"v2\\\"\" }");
    let aurora = aurora(&text).start().await;
    let renamed = ODD.replacen("\"m\"", r#""vendor/large \"v2\"""#, 1);

    for path in [
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v1/audio/speech",
        "/v1/images/edits",
    ] {
        send(&aurora, "POST", path, JSON, ODD).await;
        assert_eq!(upstream.last().body, renamed, "{path}");
    }
    let other = ODD.replacen("\"m\"", "\"n\"", 1);
    send(&aurora, "POST", "/v1/embeddings", JSON, other.clone()).await;
    assert_eq!(upstream.last().body, other);
}

#[tokio::test]
async fn the_base_url_may_have_any_path() {
    let upstream = FakeUpstream::start().await;
    let bases = ["", "/", "/v1/", "/api/openai/v2", "/a%20b"];
    let joined = ["", "", "/v1", "/api/openai/v2", "/a%20b"];

    for (base, joined) in bases.into_iter().zip(joined) {
        let url = format!("http://{}{base}", upstream.address());
        let text = config(&upstream, "").replace(&upstream.url(), &url);
        let aurora = aurora(&text).start().await;
        send(&aurora, "POST", "/v1/embeddings?x=1", JSON, "{}").await;
        assert_eq!(upstream.last().target, format!("{joined}/embeddings?x=1"));
        assert_eq!(aurora.chat("hi").await.status(), 200);
        assert_eq!(upstream.last().target, format!("{joined}/chat/completions"));
    }
}

#[tokio::test]
async fn the_clients_own_mistakes_come_back_in_the_upstreams_words() {
    let upstream = FakeUpstream::start().await;
    let text = config(&upstream, &crate::support::pool(&["sk-a", "sk-b"]));
    let aurora = aurora(&text).start().await;

    for status in [400, 404, 409, 413, 422] {
        let body = format!("{{ \"error\" :{{\"code\":\"c{status}\",\"n\":1.0}} }}");
        upstream.next(Reply::new(status, &[("content-type", JSON)], &body));
        let before = upstream.requests().len();
        let response = aurora.chat("hi").await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], JSON);
        assert_eq!(response.text().await.unwrap(), body);
        assert_eq!(upstream.requests().len(), before + 1, "no second try");
    }
}

#[tokio::test]
async fn a_mistake_without_json_gets_aurora_s_own_words() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    for body in ["404 page not found", "", "<html>nope</html>"] {
        upstream.next(Reply::new(404, &[("content-type", "text/plain")], body));
        let refused = crate::support::refusal(aurora.chat("hi").await).await;
        assert_eq!(refused.status, 404, "{body}");
        assert!(!refused.message.contains("page not found"));
    }
}

#[tokio::test]
async fn an_empty_success_stays_empty() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    upstream.next(Reply::new(200, &[], ""));
    upstream.next(Reply::raw(vec![Step::Send(
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
    )]));

    let empty = send(&aurora, "POST", "/v1/other", JSON, "{}").await;
    let none = send(&aurora, "DELETE", "/v1/other", JSON, "").await;

    assert_eq!(
        (empty.status().as_u16(), none.status().as_u16()),
        (200, 204)
    );
    assert_eq!(empty.headers()["content-length"], "0");
    assert_eq!(
        empty.text().await.unwrap() + &none.text().await.unwrap(),
        ""
    );
}

#[tokio::test]
async fn head_is_passed_on_and_says_how_long_the_body_would_be() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"e\"\r\n\r\n";
    upstream.next(Reply::raw(vec![Step::Send(head.into())]));

    let response = aurora.client().head(format!("{}/v1/thing", aurora.url()));
    let response = response.send().await.unwrap();

    assert_eq!(upstream.last().method, "HEAD");
    assert_eq!(response.headers()["content-length"], "1234");
    assert_eq!(response.headers()["etag"], "\"e\"");
    assert_eq!(response.text().await.unwrap(), "");
    aurora.wait_for_output("end=\"complete\"").await;
}

#[tokio::test]
async fn a_range_of_a_file_can_be_asked_for() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;
    let headers = [
        ("content-range", "bytes 2-4/10"),
        ("accept-ranges", "bytes"),
    ];
    upstream.next(Reply::new(206, &headers, "cde"));

    let request = aurora
        .get("/v1/files/f/content")
        .header("range", "bytes=2-4");
    let response = request.send().await.unwrap();

    assert_eq!(upstream.last().header("range"), Some("bytes=2-4"));
    assert_eq!(response.status(), 206);
    assert_eq!(response.headers()["content-range"], "bytes 2-4/10");
    assert_eq!(response.text().await.unwrap(), "cde");
}

#[tokio::test]
async fn models_are_merged_over_the_upstreams_and_the_aliases() {
    let (one, two) = (FakeUpstream::start().await, FakeUpstream::start().await);
    let list = |ids: &[&str]| {
        let model = |id: &&str| json!({"id": id, "object": "model", "created": 5, "owned_by": "v"});
        Reply::json(
            200,
            &json!({"object": "list", "data": ids.iter().map(model).collect::<Vec<_>>()}),
        )
    };
    let text = [
        crate::support::upstream("one", &one, "models = { fast = \"b\" }"),
        crate::support::upstream("two", &two, ""),
        "[[routes]]\npath = \"/v1/models\"\nplugin = \"models\"\nupstream = [\"one\", \"two\"]\n".into(),
        "[[routes]]\npath = \"/v1/models/{id}\"\nplugin = \"models\"\nupstream = [\"one\", \"two\"]\n".into(),
    ];
    let aurora = aurora(&text.concat()).start().await;
    let get = async |path: &str| {
        one.next(list(&["b", "a"]));
        two.next(list(&["c", "a"]));
        let response = aurora.get(path).send().await.unwrap();
        let status = response.status().as_u16();
        let body: serde_json::Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, body)
    };

    let (status, all) = get("/v1/models").await;
    let ids = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str());
    assert_eq!(
        (status, ids.flatten().collect::<Vec<_>>()),
        (200, vec!["a", "b", "c", "fast"])
    );
    assert_eq!(get("/v1/models/fast").await.1["owned_by"], "one");
    assert_eq!(get("/v1/models/c").await.1["created"], 5);
    let (status, missing) = get("/v1/models/nope").await;
    assert_eq!(
        (status, &missing["error"]["code"]),
        (404, &json!("model_not_found"))
    );
}

#[tokio::test]
async fn a_model_list_is_served_though_one_upstream_is_down() {
    let one = FakeUpstream::start().await;
    let text = [
        crate::support::upstream("one", &one, ""),
        "[upstreams.down]\nprotocol = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodels = { alias = \"x\" }\n".into(),
        "[[routes]]\npath = \"/v1/models\"\nplugin = \"models\"\nupstream = [\"down\", \"one\"]\n".into(),
    ];
    let aurora = aurora(&text.concat()).start().await;
    let model = json!({"id": "a", "object": "model", "created": 5, "owned_by": "v"});
    one.next(Reply::json(
        200,
        &json!({"object": "list", "data": [model]}),
    ));

    let response = aurora.get("/v1/models").send().await.unwrap();

    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(
        text.contains("\"alias\"") && text.contains("\"a\""),
        "{text}"
    );
}
