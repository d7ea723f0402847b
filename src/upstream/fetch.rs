//! Fetches what a client's URL names, and nothing that only this machine's network should reach.
//!
//! Addresses are checked after DNS and at every redirect, so that no name can point inside. No credential goes along.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aurora_sdk::Error;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{CONTENT_TYPE, LOCATION};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::client::USER_AGENT_VALUE;

/// How often a URL may lead elsewhere.
const MAX_REDIRECTS: usize = 3;

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The media type as the server gave it, without parameters.
    pub(crate) content_type: String,
    /// The content.
    pub(crate) bytes: Bytes,
}

/// Fetches for clients.
#[derive(Debug)]
pub(crate) struct Fetcher {
    /// Which addresses may be asked.
    is_allowed: fn(IpAddr) -> bool,
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl Fetcher {
    /// A fetcher; `allows_private` lifts the guard (`[server] fetch_private`).
    pub(crate) fn new(allows_private: bool) -> Self {
        Self::guarded(if allows_private { |_| true } else { is_public })
    }

    fn guarded(is_allowed: fn(IpAddr) -> bool) -> Self {
        Self {
            is_allowed,
            client: OnceLock::new(),
        }
    }

    /// Fetches at most `max` bytes from `url`.
    ///
    /// # Errors
    /// 400 `invalid_url` where the URL is not allowed, `fetch_failed` where nothing usable came.
    pub(crate) async fn fetch(&self, url: &str, max: usize) -> Result<Fetched, Error> {
        match tokio::time::timeout(TIMEOUT, self.follow(url, max)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(failed("it took longer than 30 s")),
        }
    }

    async fn follow(&self, url: &str, max: usize) -> Result<Fetched, Error> {
        let mut url = Url::parse(url).map_err(|_| refused("it is no URL"))?;
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let response = self.client()?.get(url.clone()).send().await;
            let response = response.map_err(|error| {
                if is_guarded(&error) {
                    refused("its host has no public address")
                } else {
                    failed("its host did not answer")
                }
            })?;
            if !response.status().is_redirection() {
                return read(response, max).await;
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            url = location
                .and_then(|location| url.join(location).ok())
                .ok_or_else(|| failed("it leads nowhere"))?;
        }
        Err(failed("it was redirected too often"))
    }

    /// A literal address is not asked for by name, so the resolver never sees it.
    fn check(&self, url: &Url) -> Result<(), Error> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("only http and https are fetched"));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(refused("it names no host")),
        };
        match address {
            Some(address) if !(self.is_allowed)(address) => {
                Err(refused("its address is not public"))
            }
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<&reqwest::Client, Error> {
        let built = self.client.get_or_init(|| {
            reqwest::Client::builder()
                .user_agent(USER_AGENT_VALUE)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(0)
                .no_proxy()
                .dns_resolver(Arc::new(Guard(self.is_allowed)))
                .build()
                .map_err(|error| error.to_string())
        });
        built
            .as_ref()
            .map_err(|error| Error::internal(error.clone()))
    }
}

async fn read(response: reqwest::Response, max: usize) -> Result<Fetched, Error> {
    if !response.status().is_success() {
        let status = response.status().as_u16();
        return Err(failed(&format!("its host answered with status {status}")));
    }
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    let mut bytes = BytesMut::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| failed("its host broke off"))?;
        if bytes.len() + chunk.len() > max {
            return Err(failed(&format!("it is larger than {max} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Fetched {
        content_type,
        bytes: bytes.freeze(),
    })
}

fn refused(why: &str) -> Error {
    Error::invalid(
        "invalid_url",
        "image_url",
        format!("a URL in the request cannot be fetched: {why}"),
    )
}

fn failed(why: &str) -> Error {
    Error::invalid(
        "fetch_failed",
        "image_url",
        format!("a URL in the request could not be fetched: {why}"),
    )
}

/// Gives the addresses that are allowed.
struct Guard(fn(IpAddr) -> bool);

#[derive(Debug, thiserror::Error)]
#[error("no public address")]
struct Guarded;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let is_allowed = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| is_allowed(found.ip())).collect();
            if allowed.is_empty() {
                return Err(Guarded.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

fn is_guarded(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<Guarded>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Whether an address is one of the open internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Open by its number, and answered by the machine's own host at one provider of clouds.
        || address == Ipv4Addr::new(168, 63, 129, 16)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, ..] = address.segments();
    // Global unicast only, without documentation and without the ranges that hold an IPv4 address (6to4, Teredo).
    (0x2000..0x4000).contains(&a)
        && !(a == 0x2001 && (b == 0x0db8 || b < 0x0200))
        && a != 0x2002
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
            "127.255.255.254",
            "172.31.255.255",
            "100.127.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.88.99.1",
            "203.0.113.1",
            "240.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2001:20::1",
            "3fff::1",
            "fd00:ec2::254",
            "fec0::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "93.184.215.14",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_refused_before_anything_is_sent() {
        // Whether another test was first does not matter.
        drop(rustls::crypto::ring::default_provider().install_default());
        let fetcher = Fetcher::new(false);
        for url in [
            "ftp://a.example/x",
            "file:///etc/passwd",
            "http://127.0.0.1:1/x",
            "http://[::1]/x",
            "http://2130706433/x",
            "http://0x7f000001/x",
            "http://0177.0.0.1/x",
            "http://127.1/x",
            "http://0/x",
            "http://[::]/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://[fe80::1]/x",
            "http://169.254.169.254/latest/meta-data",
            "http://user:pass@127.0.0.1/x",
            "http://\u{2460}\u{2461}\u{2466}.1/x",
            "http://127\u{3002}0\u{3002}0\u{3002}1/x",
            "HTTP:127.0.0.1",
            "gopher://a.example/x",
            "data:image/png;base64,AA",
            "http://localhost:1/x",
            "not a url",
        ] {
            let error = fetcher.fetch(url, 10).await.unwrap_err();
            assert_eq!(error.code(), "invalid_url", "{url}");
        }
    }

    #[tokio::test]
    async fn every_redirect_is_checked_as_the_first_address_was() {
        use aurora_testkit::{FakeUpstream, Reply};

        drop(rustls::crypto::ring::default_provider().install_default());
        let server = FakeUpstream::start().await;
        let port = server.address().port();
        let fetcher = Fetcher::guarded(|address| address == Ipv4Addr::LOCALHOST);
        let first = format!("http://127.0.0.1:{port}/x");
        for next in [
            "http://127.0.0.2:PORT/y",
            "http://[::1]:PORT/y",
            "http://0.0.0.0:PORT/y",
            "http://169.254.169.254/y",
            "//127.0.0.2:PORT/y",
            "file:///etc/passwd",
        ] {
            let next = next.replace("PORT", &port.to_string());
            server.next(Reply::new(302, &[("location", &next)], ""));

            let error = fetcher.fetch(&first, 10).await.unwrap_err();

            assert_eq!(error.code(), "invalid_url", "{next}");
            assert_eq!(server.last().target, "/x", "{next}");
        }
        server.next(Reply::new(302, &[("location", "/y")], ""));
        server.next(Reply::new(200, &[], "picture"));
        let fetched = fetcher.fetch(&first, 10).await.unwrap();
        assert_eq!(fetched.bytes, "picture");
    }
}
