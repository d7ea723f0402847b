//! HTTPS, and certificates that change under way.

use std::sync::Arc;

use aurora_testkit::{Aurora, FakeUpstream, Reply, Step, eventually};
use reqwest::Version;
use reqwest::tls::TlsInfo;
use tokio::sync::Notify;

use crate::support::{aurora, config};

/// A certificate of its own making: the chain, the key, and the certificate as a client sees it.
fn certificate() -> (String, String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (
        made.cert.pem(),
        made.signing_key.serialize_pem(),
        made.cert.der().to_vec(),
    )
}

fn with_tls(upstream: &FakeUpstream) -> String {
    format!(
        "[server]\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n{}",
        config(upstream, "")
    )
}

/// The certificate that a client sees who connects now.
async fn shown(aurora: &Aurora) -> Vec<u8> {
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .no_proxy()
        .build()
        .unwrap();
    let response = client.get(format!("{}/ping", aurora.url())).send().await;
    let response = response.unwrap();
    let info: &TlsInfo = response.extensions().get().unwrap();
    info.peer_certificate().unwrap().to_vec()
}

#[tokio::test]
async fn https_is_served_and_http2_agreed_on() {
    let upstream = FakeUpstream::start().await;
    let (cert, key, der) = certificate();
    let aurora = aurora(&with_tls(&upstream))
        .file("cert.pem", cert)
        .file("key.pem", key)
        .start()
        .await;

    let response = aurora.chat_stream("hi").await;

    assert!(aurora.url().starts_with("https://"), "{}", aurora.url());
    assert_eq!(response.version(), Version::HTTP_2);
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    assert_eq!(shown(&aurora).await, der);
}

#[tokio::test]
async fn a_client_without_http2_gets_http1_over_tls() {
    let upstream = FakeUpstream::start().await;
    let (cert, key, _) = certificate();
    let aurora = aurora(&with_tls(&upstream))
        .file("cert.pem", cert)
        .file("key.pem", key)
        .start()
        .await;
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .http1_only()
        .no_proxy()
        .build()
        .unwrap();

    let response = client.get(format!("{}/ping", aurora.url())).send().await;

    assert_eq!(response.unwrap().version(), Version::HTTP_11);
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_leaves_streams_alone() {
    let upstream = FakeUpstream::start().await;
    let (cert, key, old) = certificate();
    let aurora = aurora(&with_tls(&upstream))
        .file("cert.pem", cert)
        .file("key.pem", key)
        .start()
        .await;
    let go_on = Arc::new(Notify::new());
    let events = FakeUpstream::chat_events("m", &["a"]);
    upstream.next(
        Reply::open_events(&events[..1])
            .then(Step::Until(Arc::clone(&go_on)))
            .then(Reply::chunk(events[1..].concat().as_bytes()))
            .then(Step::Send("0\r\n\r\n".into())),
    );
    let mut stream = aurora.chat_stream("hi").await;
    stream.chunk().await.unwrap().unwrap();
    assert_eq!(shown(&aurora).await, old);

    // Between the two writes the pair does not fit, which must not be an outage either.
    let (cert, key, new) = certificate();
    aurora.replace("cert.pem", cert);
    aurora.replace("key.pem", key);
    eventually("the new certificate", async || shown(&aurora).await == new).await;

    go_on.notify_one();
    assert!(stream.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_its_key_changes_nothing() {
    let upstream = FakeUpstream::start().await;
    let (cert, key, old) = certificate();
    let aurora = aurora(&with_tls(&upstream))
        .file("cert.pem", cert)
        .file("key.pem", key)
        .start()
        .await;

    aurora.replace("key.pem", certificate().1);
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("cert.pem"), "{error}");
    assert_eq!(shown(&aurora).await, old);
}

#[tokio::test]
async fn the_historic_variables_name_a_certificate_too() {
    let upstream = FakeUpstream::start().await;
    let (cert, key, der) = certificate();
    let aurora = aurora(&config(&upstream, ""))
        .file("cert.pem", cert)
        .file("key.pem", key)
        .env("TLS_CERT", "cert.pem")
        .env("TLS_KEY", "key.pem")
        .start()
        .await;

    assert_eq!(shown(&aurora).await, der);
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_refused_at_the_start() {
    let upstream = FakeUpstream::start().await;
    let (code, text) = aurora(&with_tls(&upstream))
        .file("cert.pem", certificate().0)
        .file("key.pem", certificate().1)
        .run_to_end()
        .await;

    assert_eq!(code, Some(1));
    assert!(text.contains("cannot be used together"), "{text}");
}

#[tokio::test]
async fn plain_http_on_a_tls_listener_is_dropped_and_nobody_else_notices() {
    let upstream = FakeUpstream::start().await;
    let (cert, key, _) = certificate();
    let aurora = aurora(&with_tls(&upstream))
        .file("cert.pem", cert)
        .file("key.pem", key)
        .start()
        .await;
    let address = aurora.url().trim_start_matches("https://").to_owned();
    let mut client = aurora_testkit::RawClient::connect(&address).await;

    client.send("GET /ping HTTP/1.1\r\nhost: x\r\n\r\n").await;

    assert!(!client.read_to_end().await.contains("pong"));
    assert_eq!(aurora.chat("hi").await.status(), 200);
}
