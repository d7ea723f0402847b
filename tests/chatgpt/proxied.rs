//! Behind a proxy: every call to the service goes through it.

use std::sync::{Arc, Mutex};

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::{Host, Reply};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::super::support::aurora;
use super::files::form;
use super::{Setup, asking, config};

/// First lines of the connections that a proxy took.
type Seen = Arc<Mutex<Vec<String>>>;

/// A forward proxy on loopback: it alone knows the name `service.invalid`.
async fn proxy() -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let lines = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, Arc::clone(&lines)));
        }
    });
    (url, seen)
}

/// Passes one connection on, as it is: servers take requests with whole URLs.
async fn pass(mut client: TcpStream, seen: Seen) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n") {
        let Ok(byte) = client.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let line = String::from_utf8(head.clone()).unwrap();
    let target = line.split(' ').nth(1).unwrap();
    let address = target
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let address = address.replace("service.invalid", "127.0.0.1");
    let mut server = TcpStream::connect(address).await.unwrap();
    seen.lock().unwrap().push(line);
    server.write_all(&head).await.unwrap();
    // Either side may simply close.
    copy_bidirectional(&mut client, &mut server)
        .await
        .unwrap_or_default();
}

#[tokio::test]
async fn every_call_goes_through_the_proxy() {
    let web = FakeChatGpt::start().await;
    let (url, seen) = proxy().await;
    let settings = config(&web, &format!("proxy = \"{url}\"\nhistory = true"));
    // Names that nobody but the proxy can resolve, wherever the config says an address.
    let settings = settings
        .replace("http://127.0.0.1", "http://service.invalid")
        .replace(
            &url.replace("http://127.0.0.1", "http://service.invalid"),
            &url,
        );
    let builder = aurora(&settings)
        .file("refresh_tokens.txt", web.refresh_token("alice"))
        .file("session_tokens.txt", web.session_token("bob"));
    let setup = Setup {
        aurora: builder.start().await,
        web,
    };

    for _ in 0..2 {
        let told = setup.chat(asking("hi", true)).await;
        assert_eq!(
            told.status,
            200,
            "{} {}",
            told.message,
            setup.aurora.output()
        );
    }
    let upload = form(
        ("name=\"file\"; filename=\"a.txt\"", "text/plain", b"words"),
        &[],
    );
    assert_eq!(setup.send_form("/v1/files", upload).await.status(), 200);
    let picture = setup
        .post("/v1/images/generations", &json!({"prompt": "x"}))
        .await;
    assert_eq!(picture.status(), 200);
    setup
        .web
        .reply(Reply::handoff("Over the socket.").resume_status(404));
    assert_eq!(
        setup.chat(asking("think", false)).await.text,
        "Over the socket."
    );

    let requests = setup.web.requests();
    for host in [Host::Service, Host::Blob, Host::Websocket] {
        assert!(
            requests.iter().any(|request| request.host == host),
            "{host:?} was used"
        );
    }
    let lines = seen.lock().unwrap().join("");
    let blob = setup.web.blob_url();
    // Calls to the service may follow each other on one connection, and only its first line is seen here; but nobody
    // else than the proxy knows that name.
    for wanted in ["/oauth/token", "/api/auth/session"] {
        let is_here = |request: &aurora_testkit::chatgpt::Recorded| request.path == wanted;
        assert!(requests.iter().any(is_here), "{wanted} was called");
    }
    for wanted in ["/ws/user", blob.as_str()] {
        assert!(lines.contains(wanted), "{wanted} in {lines}");
    }
}
