//! The kinds of failures and what follows from them.

/// What a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The access token is too old: renew it.
    TokenExpired,
    /// The token was invalidated or revoked.
    TokenInvalidated,
    /// The token cannot be read.
    TokenInvalid,
    /// The account is closed for good.
    AccountDeactivated,
    /// A browser challenge is demanded, by the service or its edge; it is not answered.
    Challenge,
    /// The token may not use this workspace.
    WorkspaceForbidden,
    /// The token may not do this.
    Forbidden,
    /// The conversation does not exist for this account.
    ConversationNotFound,
    /// Something else does not exist.
    NotFound,
    /// The conversation is too long.
    TooLong,
    /// The service does not accept our body.
    RejectedRequest,
    /// The account's cap for this model is reached.
    ModelCap,
    /// Too many requests.
    RateLimited,
    /// Another turn of this account is running.
    Busy,
    /// The account may make no more pictures for now.
    ImageLimit,
    /// No picture came, and no reason that is known.
    ImageFailed,
    /// The picture was not ready in time.
    ImageTimeout,
    /// The content is against the service's policy.
    ContentPolicy,
    /// The service failed.
    ServerError,
    /// An answer of another form than was asked for.
    Unexpected,
    /// The stream ended before the turn did.
    Truncated,
    /// The service reported an error within the stream.
    StreamError,
    /// The turn ended without an answer.
    EmptyAnswer,
    /// More came than is held in memory.
    TooLarge,
}

/// Whose state changes with a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The client's request.
    Client,
    /// The token: another may do.
    Token,
    /// The account, for everything.
    Account,
    /// The account, for this model alone.
    Model,
    /// The account, for one feature alone.
    Feature,
    /// The service or the way to it.
    Upstream,
}

impl FaultKind {
    /// Whose state changes.
    pub fn blame(self) -> Blame {
        match self {
            Self::TokenExpired
            | Self::TokenInvalidated
            | Self::TokenInvalid
            | Self::WorkspaceForbidden
            | Self::Forbidden => Blame::Token,
            Self::AccountDeactivated | Self::RateLimited | Self::Busy => Blame::Account,
            Self::ModelCap => Blame::Model,
            Self::ImageLimit => Blame::Feature,
            Self::ConversationNotFound | Self::NotFound | Self::TooLong | Self::ContentPolicy => {
                Blame::Client
            }
            Self::Challenge
            | Self::RejectedRequest
            | Self::ServerError
            | Self::Unexpected
            | Self::Truncated
            | Self::StreamError
            | Self::EmptyAnswer
            | Self::ImageFailed
            | Self::ImageTimeout
            | Self::TooLarge => Blame::Upstream,
        }
    }

    /// The stable code of the client's error.
    pub fn code(self) -> &'static str {
        match self {
            Self::TokenExpired => "upstream_token_expired",
            Self::TokenInvalidated => "upstream_token_invalidated",
            Self::TokenInvalid => "upstream_invalid_token",
            Self::AccountDeactivated => "upstream_account_deactivated",
            Self::Challenge => "upstream_challenge_required",
            Self::WorkspaceForbidden => "upstream_workspace_forbidden",
            Self::Forbidden => "upstream_auth_failed",
            Self::ConversationNotFound => "conversation_not_found",
            Self::NotFound => "not_found",
            Self::TooLong => "context_length_exceeded",
            Self::RejectedRequest => "upstream_rejected_request",
            Self::ModelCap | Self::RateLimited => "upstream_rate_limited",
            Self::Busy => "upstream_busy",
            Self::ImageLimit => "image_rate_limit",
            Self::ImageFailed => "image_generation_failed",
            Self::ImageTimeout => "image_generation_timeout",
            Self::ContentPolicy => "content_policy_violation",
            Self::ServerError => "upstream_server_error",
            Self::Unexpected => "upstream_unexpected_response",
            Self::Truncated => "upstream_stream_truncated",
            Self::StreamError => "upstream_stream_error",
            Self::EmptyAnswer => "upstream_empty_answer",
            Self::TooLarge => "upstream_answer_too_large",
        }
    }

    /// The status for the client.
    ///
    /// Faults of a token that the gateway holds are 502, never 401 or 403: those would tell clients to change their own key.
    pub fn status(self) -> u16 {
        match self {
            Self::ConversationNotFound | Self::NotFound => 404,
            Self::TooLong | Self::ContentPolicy => 400,
            Self::ModelCap | Self::RateLimited | Self::Busy | Self::ImageLimit => 429,
            Self::ImageTimeout => 504,
            _ => 502,
        }
    }

    /// The `type` of the client's error.
    pub fn error_type(self) -> &'static str {
        match self.status() {
            _ if self == Self::ContentPolicy => "image_generation_user_error",
            429 => "rate_limit_error",
            400 | 404 => "invalid_request_error",
            _ => "upstream_error",
        }
    }

    /// Whether the same request can succeed with another account, while nothing was sent to the client.
    pub fn is_worth_another_account(self) -> bool {
        matches!(
            self.blame(),
            Blame::Token | Blame::Account | Blame::Model | Blame::Feature
        )
    }
}
