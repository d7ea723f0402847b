//! Exchanges long-lived tokens for access tokens, at the addresses that the settings name.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aurora_accounts::{BoxFuture, IssueError, Issued, Issuer};
use aurora_chatgpt::login::{
    RefreshSettings, read_refresh, read_session, refresh_request, session_cookies,
};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;

use super::failure::Failure;
use super::web::Web;
use crate::upstream::classify;

/// The largest answer, bytes.
const MAX_ANSWER: usize = 1 << 20;

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Exchanges tokens over HTTP.
#[derive(Debug, Clone)]
pub(super) struct HttpIssuer {
    web: Arc<Web>,
}

/// An answer of the token endpoint.
pub(super) struct Told {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Told {
    fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    fn wait(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?;
        classify::retry_after(&self.headers)
    }
}

impl HttpIssuer {
    pub(super) fn new(web: Arc<Web>) -> Self {
        Self { web }
    }

    async fn exchange(
        &self,
        method: Method,
        url: url::Url,
        headers: HeaderMap,
        body: aurora_sdk::Body,
    ) -> Result<Told, IssueError> {
        let exchange = async {
            let answer = self.web.foreign(method, url, headers, body).await?;
            Ok(Told {
                status: answer.status,
                headers: answer.headers,
                body: self.web.read(answer.body, MAX_ANSWER).await?,
            })
        };
        let told: Result<Told, Failure> = match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(told) => told,
            Err(_) => return Err(later("the token endpoint did not answer in time")),
        };
        told.map_err(|failure| match failure {
            Failure::Transport(fault) => later(classify::cause(&fault)),
            Failure::Service(fault) => later(&fault.message),
            Failure::Decided(error) => later(error.message()),
        })
    }

    /// Exchanges a refresh token; gives the endpoint's own answer along.
    pub(super) async fn refreshed(
        &self,
        token: &SecretString,
    ) -> Result<(Result<Issued, IssueError>, Told), IssueError> {
        let settings = &self.web.settings;
        let wanted = RefreshSettings {
            client_id: settings.oauth_client_id.clone(),
            redirect_uri: settings.oauth_redirect_uri.clone(),
        };
        let body = refresh_request(&wanted, token).to_string().into_bytes();
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let url = settings.oauth_url.clone();
        let told = self
            .exchange(Method::POST, url, headers, body.into())
            .await?;
        let issued = read_refresh(told.status.as_u16(), told.content_type(), &told.body);
        let wait = told.wait();
        Ok((issued.map_err(|error| error.or_retry_after(wait)), told))
    }

    async fn sessioned(&self, token: &SecretString) -> Result<Issued, IssueError> {
        let mut cookie = HeaderValue::from_str(&session_cookies(token))
            .map_err(|_| IssueError::Dead("the session token has odd characters".to_owned()))?;
        cookie.set_sensitive(true);
        let headers =
            HeaderMap::from_iter([(COOKIE, cookie), (ACCEPT, HeaderValue::from_static("*/*"))]);
        let url = self.web.settings.session_url.clone();
        let told = self
            .exchange(Method::GET, url, headers, aurora_sdk::Body::empty())
            .await?;
        let cookies: Vec<&str> = told
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let status = told.status.as_u16();
        read_session(status, told.content_type(), &cookies, &told.body, now)
            .map_err(|error| error.or_retry_after(told.wait()))
    }
}

fn later(message: &str) -> IssueError {
    IssueError::Later {
        message: message.to_owned(),
        retry_after: None,
    }
}

impl Issuer for HttpIssuer {
    fn refresh<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Issued, IssueError>> {
        Box::pin(async move { self.refreshed(token).await?.0 })
    }

    fn session<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Issued, IssueError>> {
        Box::pin(self.sessioned(token))
    }
}
