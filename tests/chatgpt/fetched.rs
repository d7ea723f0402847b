//! Pictures that a client names by address.

use aurora_testkit::{FakeChatGpt, FakeUpstream, Reply};
use serde_json::{Value, json};

use super::super::support::{aurora, refusal};
use super::{Setup, config};

/// The gateway, allowed to fetch from this machine, and a server of pictures.
async fn started() -> (Setup, FakeUpstream) {
    let web = FakeChatGpt::start().await;
    let settings = format!("[server]\nfetch_private = true\n{}", config(&web, ""));
    let builder = aurora(&settings).file("access_tokens.txt", web.account("alice"));
    let aurora = builder.start().await;
    (Setup { web, aurora }, FakeUpstream::start().await)
}

fn asking(url: &str) -> Value {
    let part = json!({"type": "image_url", "image_url": {"url": url}});
    json!({"messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]})
}

#[tokio::test]
async fn a_picture_is_fetched_and_uploaded() {
    let (setup, pictures) = started().await;
    let url = format!("http://{}/cat.png", pictures.address());
    let png = FakeChatGpt::picture(6);
    pictures.next(Reply::new(302, &[("location", "/real.png")], ""));
    pictures.next(Reply::new(
        200,
        &[("content-type", "application/octet-stream")],
        &png,
    ));

    let told = setup.chat(asking(&url)).await;

    assert_eq!(told.status, 200, "{}", told.message);
    let part = setup.last_turn()["messages"][0]["content"]["parts"][0].clone();
    assert_eq!(
        (&part["width"], &part["size_bytes"]),
        (&json!(6), &json!(png.len()))
    );
    let asked = pictures.last();
    assert_eq!(asked.target, "/real.png");
    for header in ["authorization", "cookie", "chatgpt-account-id"] {
        assert_eq!(asked.header(header), None, "{header}");
    }
}

#[tokio::test]
async fn what_is_no_picture_or_not_there_is_refused() {
    let (setup, pictures) = started().await;
    let url = format!("http://{}/cat.png", pictures.address());
    let page = [("content-type", "text/html")];
    let large = vec![0; (20 << 20) + 1];
    for (replies, code) in [
        (
            vec![Reply::new(200, &page, "<html>hello</html>")],
            "invalid_image",
        ),
        (vec![Reply::new(404, &page, "nothing")], "fetch_failed"),
        (
            vec![Reply::new(200, &[("content-type", "image/png")], &large)],
            "fetch_failed",
        ),
        (
            vec![Reply::new(302, &[("location", "ftp://x/y")], "")],
            "invalid_url",
        ),
        (
            (0..4)
                .map(|_| Reply::new(302, &[("location", "/again")], ""))
                .collect(),
            "fetch_failed",
        ),
    ] {
        for reply in replies {
            pictures.next(reply);
        }
        let refused = refusal(setup.post("/v1/chat/completions", &asking(&url)).await).await;
        assert_eq!((refused.status, refused.code.as_str()), (400, code));
    }
    assert!(setup.web.turns().is_empty());
}
