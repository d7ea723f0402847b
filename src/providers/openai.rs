//! `protocol = "openai"`: any server that speaks the OpenAI API.

use aurora_config::{OpenAi, ResponsesMode, Upstream};
use aurora_sdk::{BoxFuture, Operation};
use http::header::{AUTHORIZATION, HeaderValue};
use http::uri::PathAndQuery;
use secrecy::ExposeSecret;
use url::{Position, Url};

use super::{Answer, Call, Fault, Provider};
use crate::upstream::client::{Client, Needs};
use crate::upstream::pool::{Ask, Pool};

/// Speaks to one OpenAI-compatible server.
#[derive(Debug)]
pub(crate) struct OpenAiProvider {
    base_url: Url,
    responses: ResponsesMode,
    client: Client,
    /// Where the server is reached without TLS and proxy: its connections.
    plain: Option<Pool>,
}

impl OpenAiProvider {
    /// A provider for `settings`, with connections of its own.
    ///
    /// # Errors
    /// A sentence for the config's diagnostics.
    pub(crate) fn new(settings: &OpenAi, upstream: &Upstream) -> Result<Self, String> {
        let needs = Needs {
            tls: settings.base_url.scheme() == "https",
            decoding: false,
            websockets: false,
        };
        let client = Client::new(needs, upstream)?;
        let url = &settings.base_url;
        let is_plain = url.scheme() == "http" && upstream.proxy.is_none() && !has_user(url);
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        Ok(Self {
            plain: is_plain
                .then(|| Pool::new(authority, upstream.timeouts.connect))
                .transpose()?,
            base_url: url.clone(),
            responses: settings.responses,
            client,
        })
    }
}

impl Provider for OpenAiProvider {
    fn native(&self, operation: Operation) -> bool {
        match operation {
            Operation::Responses => self.responses == ResponsesMode::Native,
            Operation::Auth => false,
            _ => true,
        }
    }

    fn forward(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            let mut headers = call.headers;
            if let Some(credential) = call.credential {
                let bearer = format!("Bearer {}", credential.expose_secret());
                let mut value = HeaderValue::from_str(&bearer).map_err(|_| {
                    Fault::Unreachable(
                        "the token has characters that no header can carry".to_owned(),
                    )
                })?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            let plain = self
                .plain
                .as_ref()
                .zip(plain_path(&self.base_url, &call.path));
            if let Some((pool, path)) = plain {
                let ask = Ask {
                    method: call.method,
                    path,
                    headers,
                    body: call.body,
                };
                return self.client.plain_exchange(pool, ask).await;
            }
            let url = join(&self.base_url, &call.path);
            let exchange = self.client.exchange(call.method, url, headers, call.body);
            // Boxed, so that the plain way does not carry the room for it.
            Box::pin(exchange).await
        })
    }

    fn tend(&self) -> BoxFuture<'_, ()> {
        if let Some(pool) = &self.plain {
            pool.trim();
        }
        Box::pin(std::future::ready(()))
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// As [`join`], without reading the whole URL anew; `None` where that would not do.
fn plain_path(base: &Url, path: &str) -> Option<PathAndQuery> {
    let base = base.path().trim_end_matches('/');
    let path = path.trim_start_matches('/').trim_end_matches('?');
    let is_plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"#'<>\\^`{|}".contains(&byte));
    is_plain
        .then(|| format!("{base}/{path}").try_into().ok())
        .flatten()
}

/// `path` (with its query) below `base`, which keeps its own path. `path` has no dot segments: the gateway refuses them.
fn join(base: &Url, path: &str) -> Url {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = base.clone();
    let joined = format!(
        "{}/{}",
        base.path().trim_end_matches('/'),
        path.trim_start_matches('/')
    );
    url.set_path(&joined);
    url.set_query(query.filter(|query| !query.is_empty()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_below_the_base() {
        let joined = |base: &str, path: &str| {
            let base = Url::parse(base).unwrap();
            let joined = join(&base, path);
            if let Some(plain) = plain_path(&base, path) {
                assert_eq!(plain, joined[Position::BeforePath..Position::AfterQuery]);
            }
            joined.to_string()
        };

        assert_eq!(
            joined("http://h/v1", "chat/completions"),
            "http://h/v1/chat/completions"
        );
        assert_eq!(
            joined("http://h/v1/", "/models?x=1&y=%20"),
            "http://h/v1/models?x=1&y=%20"
        );
        assert_eq!(joined("http://h", "files/a%2Fb"), "http://h/files/a%2Fb");
        assert_eq!(joined("http://h/v1", ""), "http://h/v1/");
        assert_eq!(
            joined("http://h/v1", "//evil.example/x"),
            "http://h/v1/evil.example/x"
        );
        assert_eq!(joined("http://h/v1", "a?"), "http://h/v1/a");
        assert_eq!(
            joined("http://h/v1", "a b|c?d=\"e"),
            "http://h/v1/a%20b|c?d=%22e"
        );
        assert!(plain_path(&Url::parse("http://h/v1").unwrap(), "chat/completions?x=1").is_some());
    }
}
