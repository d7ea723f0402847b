//! `protocol = "openai"`: any server that speaks the OpenAI API.

use aurora_config::{OpenAi, ResponsesMode, Upstream};
use aurora_sdk::{BoxFuture, Operation};
use http::header::{AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret;
use url::Url;

use super::{Answer, Call, Fault, Provider};
use crate::upstream::client::{Client, Needs};

/// Speaks to one OpenAI-compatible server.
#[derive(Debug)]
pub(crate) struct OpenAiProvider {
    base_url: Url,
    responses: ResponsesMode,
    client: Client,
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
        let client = Client::new(needs, upstream.proxy.as_ref(), &upstream.timeouts)?;
        Ok(Self {
            base_url: settings.base_url.clone(),
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
            let url = join(&self.base_url, &call.path);
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
            self.client
                .exchange(call.method, url, headers, call.body)
                .await
        })
    }
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
        let joined = |base: &str, path: &str| join(&Url::parse(base).unwrap(), path).to_string();

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
    }
}
