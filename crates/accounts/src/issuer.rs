//! Who exchanges tokens.

use std::pin::Pin;

use aurora_chatgpt::login::{IssueError, Issued};
use secrecy::SecretString;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Gets access tokens for long-lived ones; the provider does it over HTTP.
///
/// An exchange may use up its token, so it runs in a task of its own and is never cancelled: implementations need a deadline.
pub trait Issuer: Send + Sync {
    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// Why there is no access token.
    fn refresh<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Issued, IssueError>>;

    /// Exchanges a session token.
    ///
    /// # Errors
    /// Why there is no access token.
    fn session<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Issued, IssueError>>;
}
