//! What requests cost, by what their answers say.

use super::*;

/// More than any test uses, so that nothing is ever full; a day does not leak.
const PLENTY: &str = "tokens_per_day = 1000000";

/// Waits until the key `team` has used `cost` tokens.
async fn settled(aurora: &Aurora, cost: u64) {
    eventually(&format!("{cost} tokens are used"), async || {
        used(aurora, "tokens_per_day").await == cost
    })
    .await;
}

fn usage() -> Value {
    json!({"prompt_tokens": 700, "completion_tokens": 77, "total_tokens": 777})
}

#[tokio::test]
async fn an_answer_says_what_it_cost() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, PLENTY).await;
    let responses = json!({"id": "r", "object": "response", "output": [], "status": "completed",
        "usage": {"input_tokens": 700, "output_tokens": 77, "total_tokens": 777}});
    let asked = [
        (CHAT, json!({"id": "c", "choices": [], "usage": usage()})),
        ("/v1/responses", responses),
        (
            "/v1/embeddings",
            json!({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 777, "total_tokens": 777}}),
        ),
        (
            "/v1/other",
            json!({"usage": {"input_tokens": 700, "output_tokens": 77}}),
        ),
    ];

    for (number, (path, answer)) in asked.into_iter().enumerate() {
        upstream.next(Reply::json(200, &answer));
        let response = post_as(
            &aurora,
            "sk-team",
            path,
            &json!({"model": "m", "input": "hi"}),
        )
        .await;
        assert_eq!(response.text().await.unwrap(), answer.to_string(), "{path}");
        settled(&aurora, 777 * (number as u64 + 1)).await;
    }
}

#[tokio::test]
async fn a_stream_says_at_its_end_what_it_cost_wherever_it_is_split() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, PLENTY).await;
    let mut chat = FakeUpstream::chat_events("m", &["po", "ng"]).concat();
    chat = chat.replace("\"total_tokens\":3", "\"total_tokens\":777");
    let done = json!({"type": "response.completed", "response": {"id": "r", "status": "completed",
        "usage": {"input_tokens": 700, "output_tokens": 77, "total_tokens": 777}}});
    let responses = format!("event: response.completed\ndata: {done}\n\n");

    for (number, (path, text)) in [(CHAT, chat), ("/v1/responses", responses)]
        .into_iter()
        .enumerate()
    {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        upstream.next(Reply::events(&pieces));
        let body = json!({"model": "m", "stream": true, "messages": [], "input": "hi"});
        let response = post_as(&aurora, "sk-team", path, &body).await;
        assert_eq!(response.text().await.unwrap(), text);
        settled(&aurora, 777 * (number as u64 + 1)).await;
    }
}

#[tokio::test]
async fn a_translated_answer_costs_what_the_upstream_counted() {
    let upstream = FakeUpstream::start().await;
    let auth =
        format!("keys = [{{ name = \"team\", key = \"sk-team\", limits = {{ {PLENTY} }} }}]");
    let text = format!(
        "[auth]\n{auth}\n{}",
        config(&upstream, "responses = \"emulate\"")
    );
    let aurora = aurora(&text).start().await;

    for (number, is_stream) in [false, true].into_iter().enumerate() {
        let body = json!({"model": "m", "input": "hi", "stream": is_stream});
        let response = post_as(&aurora, "sk-team", "/v1/responses", &body).await;
        response.text().await.unwrap();
        // What the fake upstream counts in a stream.
        settled(&aurora, 3 * (number as u64 + 1)).await;
    }
}

#[tokio::test]
async fn where_nobody_counted_the_text_is_measured() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, PLENTY).await;
    let delta = |text: &str| {
        format!(
            "data: {}\n\n",
            json!({"choices": [{"delta": {"content": text}}]})
        )
    };
    let said = "a".repeat(400);
    upstream.next(Reply::events(&[
        delta(&said),
        delta(&said),
        "data: [DONE]\n\n".to_owned(),
    ]));
    let picture = format!("data:image/png;base64,{}", "A".repeat(40_000));
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": [
        {"type": "text", "text": "b".repeat(200)}, {"type": "image_url", "image_url": {"url": picture}}]}]});

    post_as(&aurora, "sk-team", CHAT, &body)
        .await
        .text()
        .await
        .unwrap();

    // `m`, `user`, `text` and `image_url` are words of the question as well; the picture is none.
    settled(&aurora, (800 + 200 + 18_u64).div_ceil(4)).await;
}

#[tokio::test]
async fn who_leaves_early_pays_for_what_came() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, PLENTY).await;
    let event = format!(
        "data: {}\n\n",
        json!({"choices": [{"delta": {"content": "a".repeat(4000)}}]})
    );
    upstream.next(Reply::open_events(&[event]).then(Step::Hang));
    let mut response = stream(&aurora).await;
    response.chunk().await.unwrap().unwrap();

    drop(response);

    // And for `m`, `user` and `hi`.
    settled(&aurora, 1000 + 2).await;
}

#[tokio::test]
async fn errors_and_questions_about_nothing_cost_nothing() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(&upstream, PLENTY).await;

    upstream.next(Reply::json(
        400,
        &json!({"error": {"message": "no"}, "usage": usage()}),
    ));
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 400);
    upstream.next(Reply::json(200, &json!({"id": "resp_1", "usage": usage()})));
    let again = aurora.get("/v1/responses/resp_1").bearer_auth("sk-team");
    assert_eq!(again.send().await.unwrap().status(), 200);

    // Settled in order: these cost nothing if the next one is all there is.
    upstream.next(Reply::json(200, &json!({"usage": usage()})));
    assert_eq!(chat_as(&aurora, "sk-team").await.status(), 200);
    settled(&aurora, 777).await;
}

#[tokio::test]
async fn a_minute_that_is_used_up_is_told_in_tokens() {
    let upstream = FakeUpstream::start().await;
    let aurora = limited(
        &upstream,
        "tokens_per_minute = 1000, requests_per_minute = 9",
    )
    .await;
    upstream.next(Reply::json(200, &json!({"usage": {"total_tokens": 1500}})));

    let first = chat_as(&aurora, "sk-team").await;
    assert_eq!(first.status(), 200);
    assert_eq!(header(&first, "x-ratelimit-limit-tokens"), "1000");
    // What it may cost is reserved.
    let left: u64 = header(&first, "x-ratelimit-remaining-tokens")
        .parse()
        .unwrap();
    assert!((600..1000).contains(&left), "{left}");
    first.text().await.unwrap();

    let second = chat_as(&aurora, "sk-team").await;
    assert_eq!(header(&second, "x-ratelimit-remaining-tokens"), "0");
    assert!(header(&second, "x-ratelimit-reset-tokens").starts_with("1m"));
    // A refused request is not one of the minute's requests.
    assert_eq!(header(&second, "x-ratelimit-remaining-requests"), "8");
    let refused = refusal(second).await;
    assert_eq!(
        (refused.status, refused.code.as_str(), refused.kind.as_str()),
        (429, "rate_limit_exceeded", "tokens")
    );
    assert!(
        (25..=31).contains(&refused.retry_after.unwrap()),
        "{refused:?}"
    );
    assert!(
        refused
            .message
            .starts_with("`tokens_per_minute = 1000` of key \"team\"")
    );

    // What costs no tokens goes on.
    let other = aurora.get("/v1/other").bearer_auth("sk-team");
    assert_eq!(other.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn answers_are_asked_for_in_the_plain() {
    let upstream = FakeUpstream::start().await;
    let keys = format!(
        "keys = [\"sk-free\", {{ name = \"team\", key = \"sk-team\", limits = {{ {PLENTY} }} }}]"
    );
    let aurora = aurora(&with_auth(&upstream, &keys)).start().await;

    for (key, encoding) in [("sk-free", Some("gzip")), ("sk-team", None)] {
        let request = aurora.post(CHAT, &json!({"model": "m", "messages": []}));
        let request = request.bearer_auth(key).header("accept-encoding", "gzip");
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(upstream.last().header("accept-encoding"), encoding, "{key}");
    }
}
