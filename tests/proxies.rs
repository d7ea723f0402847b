//! Upstreams behind proxies.

use aurora_testkit::{FakeUpstream, Recorded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{aurora, refusal, routes};

/// A config for an upstream that only the proxy can find.
fn hidden(settings: &str) -> String {
    let routes = routes("\"far\"");
    format!(
        "[upstreams.far]\nprotocol = \"openai\"\nbase_url = \"http://far.invalid/v1\"\n{settings}\n{routes}"
    )
}

/// An HTTP proxy sees plain requests with whole URLs: any server will do.
async fn proxy() -> (FakeUpstream, String) {
    let proxy = FakeUpstream::start().await;
    let url = format!("http://{}", proxy.address());
    (proxy, url)
}

fn went_through(seen: &Recorded) {
    assert_eq!(seen.target, "http://far.invalid/v1/chat/completions");
    assert_eq!(seen.header("host"), Some("far.invalid"));
}

#[tokio::test]
async fn the_historic_variable_names_the_proxy_of_every_upstream() {
    let (proxy, url) = proxy().await;
    let aurora = aurora(&hidden("")).env("PROXY_URL", &url).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 200);

    went_through(&proxy.last());
}

#[tokio::test]
async fn an_upstreams_own_proxy_wins_and_is_told_who_asks() {
    let (proxy, url) = proxy().await;
    let url = url.replace("http://", "http://user:hunter2@");
    let aurora = aurora(&hidden(&format!("proxy = \"{url}\"")))
        .env("PROXY_URL", "http://127.0.0.1:9")
        .start()
        .await;

    assert_eq!(aurora.chat("hi").await.status(), 200);

    went_through(&proxy.last());
    let basic = proxy
        .last()
        .header("proxy-authorization")
        .map(str::to_owned);
    assert_eq!(basic.as_deref(), Some("Basic dXNlcjpodW50ZXIy"));
}

#[tokio::test]
async fn a_proxy_that_is_down_is_an_unreachable_upstream_and_its_password_no_news() {
    let settings = "proxy = \"http://user:hunter2@127.0.0.1:9\"";
    let aurora = aurora(&hidden(settings)).start().await;

    let refused = refusal(aurora.chat("hi").await).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (502, "upstream_unreachable")
    );
    let all = refused.message + &aurora.output() + &aurora.status().await.to_string();
    assert!(!all.contains("hunter2"), "{all}");
}

#[tokio::test]
async fn the_systems_proxy_variables_are_not_guessed_from() {
    let upstream = FakeUpstream::start().await;
    let dead = "http://127.0.0.1:9";
    let aurora = crate::support::in_front_of(&upstream)
        .env("http_proxy", dead)
        .env("HTTP_PROXY", dead)
        .env("ALL_PROXY", dead)
        .start()
        .await;

    assert_eq!(aurora.chat("hi").await.status(), 200);
}

/// A SOCKS5 proxy (RFC 1928) for one connection, which ends at `upstream`; the name that it was asked for.
async fn socks(upstream: FakeUpstream) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("socks5h://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).await.unwrap();
        let mut methods = vec![0; usize::from(greeting[1])];
        client.read_exact(&mut methods).await.unwrap();
        client.write_all(&[5, 0]).await.unwrap();
        let mut head = [0; 5];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..4], [5, 1, 0, 3], "connect to a name");
        let mut name = vec![0; usize::from(head[4]) + 2];
        client.read_exact(&mut name).await.unwrap();
        client
            .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        name.truncate(name.len() - 2);
        let mut server = TcpStream::connect(upstream.address()).await.unwrap();
        tokio::spawn(async move {
            // Either side may end it.
            tokio::io::copy_bidirectional(&mut client, &mut server)
                .await
                .unwrap_or_default()
        });
        String::from_utf8(name).unwrap()
    });
    (url, served)
}

#[tokio::test]
async fn a_socks_proxy_finds_the_upstream() {
    let upstream = FakeUpstream::start().await;
    let (url, asked_for) = socks(upstream.clone()).await;
    let aurora = aurora(&hidden(&format!("proxy = \"{url}\""))).start().await;

    assert_eq!(aurora.chat("hi").await.status(), 200);

    assert_eq!(asked_for.await.unwrap(), "far.invalid");
    assert_eq!(upstream.last().target, "/v1/chat/completions");
}
