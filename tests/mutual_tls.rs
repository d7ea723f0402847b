//! Certificates that clients must show, and those that Aurora shows to its upstreams. The upstream here is another Aurora.

use aurora_testkit::{Aurora, eventually};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::{aurora, refusal};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for loopback by `authority`, and its key.
fn issued(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A gateway on the mock that wants to see certificates of `clients`, its own one by `own`.
async fn guarded(own: &Authority, clients: &Authority) -> Aurora {
    let (cert, key) = issued(own);
    let config = "[server]\ntls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"clients.pem\" }\n\
                  [upstreams.mock]\nprotocol = \"mock\"\n\
                  [[routes]]\npath = \"/v1/chat/completions\"\nplugin = \"chat\"\nupstream = \"mock\"\n";
    let builder = aurora(config).file("cert.pem", cert).file("key.pem", key);
    builder.file("clients.pem", clients.pem()).start().await
}

/// Whether a client gets in who shows a certificate by `shown`.
async fn gets_in(aurora: &Aurora, shown: Option<&Authority>) -> bool {
    let builder = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy();
    let builder = match shown.map(issued) {
        Some((cert, key)) => {
            let pem = [key, cert].concat();
            builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap())
        }
        None => builder,
    };
    let url = format!("{}/ping", aurora.url());
    builder.build().unwrap().get(url).send().await.is_ok()
}

#[tokio::test]
async fn clients_without_the_right_certificate_are_kept_out() {
    let (own, clients, others) = (authority(), authority(), authority());
    let aurora = guarded(&own, &clients).await;

    assert!(gets_in(&aurora, Some(&clients)).await);
    assert!(!gets_in(&aurora, Some(&others)).await);
    assert!(!gets_in(&aurora, None).await);
}

#[tokio::test]
async fn another_authority_holds_from_the_next_connection_on() {
    let (own, clients, others) = (authority(), authority(), authority());
    let aurora = guarded(&own, &clients).await;
    assert!(!gets_in(&aurora, Some(&others)).await);

    aurora.replace("clients.pem", others.pem());
    eventually("the others", async || gets_in(&aurora, Some(&others)).await).await;
    assert!(!gets_in(&aurora, Some(&clients)).await);

    aurora.replace("clients.pem", "nothing");
    let error = aurora.wait_for_reload_error().await;
    assert!(error.contains("clients.pem"), "{error}");
    assert!(
        gets_in(&aurora, Some(&others)).await,
        "the last good one holds"
    );
}

/// A gateway before `upstream`, which it trusts if `trusted` signed it, and to which it shows a certificate by `shown`.
async fn before(upstream: &Aurora, trusted: &Authority, shown: Option<&Authority>) -> Aurora {
    let identity = if shown.is_some() {
        ", cert = \"cert.pem\", key = \"key.pem\""
    } else {
        ""
    };
    let config = format!(
        "[upstreams.other]\nprotocol = \"openai\"\nbase_url = \"{}/v1\"\ntls = {{ ca = \"ca.pem\"{identity} }}\n\
         breaker = {{ enabled = false }}\n\
         [[routes]]\npath = \"/v1/chat/completions\"\nplugin = \"chat\"\nupstream = \"other\"\nretry = {{ attempts = 1 }}\n",
        upstream.url()
    );
    let mut builder = aurora(&config).file("ca.pem", trusted.pem());
    if let Some((cert, key)) = shown.map(issued) {
        builder = builder.file("cert.pem", cert).file("key.pem", key);
    }
    builder.start().await
}

#[tokio::test]
async fn aurora_shows_its_certificate_to_an_upstream_that_it_trusts() {
    let (own, clients, others) = (authority(), authority(), authority());
    let upstream = guarded(&own, &clients).await;

    let known = before(&upstream, &own, Some(&clients)).await;
    assert_eq!(known.chat("hi").await.status(), 200);
    let stream = known.chat_stream("hi").await.text().await.unwrap();
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");

    for (trusted, shown) in [
        (&own, Some(&others)),
        (&own, None),
        (&others, Some(&clients)),
    ] {
        let stranger = before(&upstream, trusted, shown).await;
        let refused = refusal(stranger.chat("hi").await).await;
        assert_eq!(
            (refused.status, refused.code.as_str()),
            (502, "upstream_unreachable")
        );
    }
}

#[tokio::test]
async fn a_certificate_for_an_upstream_is_replaced_while_requests_run() {
    let (own, clients, others) = (authority(), authority(), authority());
    let upstream = guarded(&own, &clients).await;
    let aurora = before(&upstream, &own, Some(&others)).await;
    assert_eq!(aurora.chat("hi").await.status(), 502);

    let (cert, key) = issued(&clients);
    aurora.replace("cert.pem", cert);
    aurora.replace("key.pem", key);

    eventually("the new certificate is shown", async || {
        aurora.chat("hi").await.status() == 200
    })
    .await;
    let log = aurora.output();
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}
