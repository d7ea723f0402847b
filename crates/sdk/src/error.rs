//! The one error type: whose fault, which status, what the client reads.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The client's.
    Downstream,
    /// The upstream's.
    Upstream,
    /// Our own.
    Gateway,
}

/// What happened, as far as the status and the `type` of the answer depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: the request cannot be understood.
    InvalidRequest,
    /// 401: no valid client key. The only 401 that Aurora sends.
    Unauthenticated,
    /// 403: the key or account may not do this.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 408: the client sent too slowly.
    RequestTimeout,
    /// 413.
    TooLarge,
    /// 429.
    RateLimited,
    /// 500: a fault of the gateway.
    Internal,
    /// 501: the upstream cannot do this.
    Unsupported,
    /// 502: the upstream failed.
    BadGateway,
    /// 503: nothing can serve this now.
    Unavailable,
    /// 504: the upstream was too slow.
    GatewayTimeout,
}

/// Why a request was not answered, or why an answer broke off.
///
/// Becomes `{"error":{message,type,param,code}}` with the kind's status before the response head, the client
/// dialect's error event after it.
#[expect(
    clippy::error_impl_error,
    reason = "it is the one error of this crate, named as its users say it"
)]
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    origin: Origin,
    code: Cow<'static, str>,
    status: Option<StatusCode>,
    type_name: Option<&'static str>,
    message: String,
    param: Option<String>,
    retry_after: Option<Duration>,
    told: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` by `origin` with a stable `code` (a word such as `upstream_unreachable`) and a message for people.
    ///
    /// The message says what happened and what to do; it names no secret and no internal address.
    pub fn new(
        kind: ErrorKind,
        origin: Origin,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        Self(Box::new(Parts {
            kind,
            origin,
            code,
            status: None,
            type_name: None,
            message,
            param: None,
            retry_after: None,
            told: false,
            source: None,
        }))
    }

    /// 400 with a code of its own, blaming the request field `param`.
    pub fn invalid(
        code: &'static str,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::InvalidRequest, Origin::Downstream, code, message).with_param(param)
    }

    /// 400 `invalid_json`.
    pub fn invalid_json(detail: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::InvalidRequest,
            Origin::Downstream,
            "invalid_json",
            format!("the request body is not the JSON that this endpoint takes: {detail}"),
        )
    }

    /// 413 `request_too_large`, naming the limit of `max` bytes.
    pub fn too_large(max: u64) -> Self {
        Self::new(
            ErrorKind::TooLarge,
            Origin::Downstream,
            "request_too_large",
            format!(
                "the request body is larger than the {max} bytes allowed here; the operator can raise `max_body` \
                 of the route, or `max_body` and `max_upload` of [server]"
            ),
        )
    }

    /// 500 `internal_error`: the text goes to the log, clients read a general one.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorKind::Internal,
            Origin::Gateway,
            "internal_error",
            "something went wrong inside the gateway; its log has the reason under this request id",
        )
        .with_source(source)
    }

    /// Names the request field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Answers with `status` where the kind's own would say less than an upstream did.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Answers with a `type` that says more than the kind's own.
    #[must_use]
    pub fn with_type(mut self, type_name: &'static str) -> Self {
        self.0.type_name = Some(type_name);
        self
    }

    /// Says when to try again; becomes `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Attaches the cause, for the log only.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks that the answer so far has told the client: no error event needs to be added to its stream.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.0.told = true;
        self
    }

    /// Whether the answer so far has told the client.
    pub fn is_told(&self) -> bool {
        self.0.told
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whose fault it is.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The request field at fault.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// When to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        if let Some(status) = self.0.status {
            return status;
        }
        match self.0.kind {
            ErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorKind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::BadGateway => StatusCode::BAD_GATEWAY,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The `type` of the answer: the names that SDKs branch on.
    pub fn type_name(&self) -> &'static str {
        if let Some(type_name) = self.0.type_name {
            return type_name;
        }
        match self.0.kind {
            ErrorKind::InvalidRequest
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed
            | ErrorKind::RequestTimeout
            | ErrorKind::TooLarge
            | ErrorKind::Unsupported => "invalid_request_error",
            ErrorKind::Unauthenticated => "authentication_error",
            ErrorKind::Forbidden => "permission_error",
            ErrorKind::RateLimited => "rate_limit_error",
            ErrorKind::Internal
            | ErrorKind::BadGateway
            | ErrorKind::Unavailable
            | ErrorKind::GatewayTimeout => "api_error",
        }
    }

    /// The OpenAI error envelope of this error.
    pub fn envelope(&self) -> aurora_openai::ErrorEnvelope<'_> {
        aurora_openai::ErrorEnvelope::new(
            self.message(),
            self.type_name(),
            self.param(),
            Some(self.code()),
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("origin", &self.0.origin)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| {
            let source: &(dyn std::error::Error + 'static) = source.as_ref();
            source
        })
    }
}
