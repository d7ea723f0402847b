//! The faults, and what becomes of requests that meet them.

use aurora_testkit::{Recorded, Reply, Step};

use super::endpoints::{Endpoint, Reads};
use super::outcome::{Ending, Seen};
use super::replies::{Then, begun, page, raw, status};

/// One way in which an upstream fails.
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// `timeouts` of the upstream.
    pub(super) timeouts: &'static str,
    /// Nobody listens.
    pub(super) is_refused: bool,
    pub(super) reply: fn(&Recorded) -> Reply,
    /// What the client gets where nothing else can answer.
    pub(super) refusal: Refusal,
    /// Whether the answer begins well before it fails.
    pub(super) is_begun: bool,
}

/// An answer before which nothing went wrong but the upstream.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) outcome: &'static str,
    /// Whether another upstream answers, if there is one.
    pub(super) is_covered: bool,
}

const fn refusal(status: u16, code: &'static str, outcome: &'static str) -> Refusal {
    Refusal {
        status,
        code,
        outcome,
        is_covered: true,
    }
}

/// The client's own mistake, in the upstream's words.
const fn verbatim(status: u16) -> Refusal {
    Refusal {
        status,
        code: "their_code",
        outcome: "client_error",
        is_covered: false,
    }
}

const fn fault(name: &'static str, reply: fn(&Recorded) -> Reply, refusal: Refusal) -> Fault {
    Fault {
        name,
        timeouts: "first_byte = \"20s\"",
        is_refused: false,
        reply,
        refusal,
        is_begun: false,
    }
}

impl Fault {
    const fn begun(self) -> Self {
        Self {
            is_begun: true,
            ..self
        }
    }

    const fn within(self, timeouts: &'static str) -> Self {
        Self { timeouts, ..self }
    }

    const fn refused(self) -> Self {
        Self {
            is_refused: true,
            ..self
        }
    }
}

/// What becomes of the request at `endpoint`, alone or with a second upstream that works.
pub(super) fn expected(fault: &Fault, endpoint: &Endpoint, covered: bool) -> Seen {
    let refusal = &fault.refusal;
    // A page may be just what a passthrough or a file's content is.
    let is_fine =
        fault.name == "web page with 200" && matches!(endpoint.plugin, "passthrough" | "files");
    if is_fine {
        return answered("answered", 1);
    }
    let is_list = endpoint.plugin == "models";
    let end = fault.end(endpoint);
    // A list is made of what the upstreams that work say.
    let is_covered = refusal.is_covered && !endpoint.is_upload && end.is_none() || is_list;
    if covered && is_covered {
        let (mut seen, is_again) = (answered(refusal.outcome, 2), fault.is_worth_repeating());
        if is_list {
            // Each upstream is asked for its list, and once more where it may do better.
            seen.attempts = 2 + u64::from(is_again && end.is_none());
        }
        if let Some(end) = end {
            "answered".clone_into(&mut seen.outcome);
            seen.log = (end.to_owned(), refusal.code.to_owned());
        }
        return seen;
    }
    if let Some(end) = end {
        return fault.broken_off(endpoint, end);
    }
    let is_verbatim = refusal.code == "their_code";
    let (status, code) = if is_list && is_verbatim {
        (502, "upstream_error")
    } else {
        (refusal.status, refusal.code)
    };
    // The upstream's own words are passed on and not looked at, but where Aurora makes the answer.
    let is_own = !is_verbatim || is_list || endpoint.is_emulated();
    Seen {
        status,
        code: code.to_owned(),
        retry_after: wait(fault, status),
        ending: Ending::Whole,
        log: (
            "complete".to_owned(),
            if is_own { code } else { "" }.to_owned(),
        ),
        outcome: refusal.outcome.to_owned(),
        attempts: 1,
    }
}

/// What the upstream says, else a second.
fn wait(fault: &Fault, status: u16) -> Option<u64> {
    let says = if fault.name.contains("Retry-After") {
        7
    } else {
        1
    };
    matches!(status, 429 | 503).then_some(says)
}

fn answered(outcome: &str, attempts: u64) -> Seen {
    Seen {
        status: 200,
        code: String::new(),
        retry_after: None,
        ending: Ending::Whole,
        log: ("complete".to_owned(), String::new()),
        outcome: outcome.to_owned(),
        attempts,
    }
}

impl Fault {
    /// How the body ended in the log, where the answer had begun to go on: to the client, or to Aurora's own reader.
    fn end(&self, endpoint: &Endpoint) -> Option<&'static str> {
        let end = match self.refusal.outcome {
            "truncated" => "truncated",
            _ => "timeout",
        };
        // A JSON answer of known length is kept until it is whole.
        let is_kept = endpoint.reads == Reads::Json && !endpoint.is_emulated();
        let has_length = self.refusal.outcome != "total_timeout";
        (self.is_begun && !(is_kept && has_length)).then_some(end)
    }

    fn is_worth_repeating(&self) -> bool {
        let outcome = self.refusal.outcome;
        let is_again = [
            "unreachable",
            "garbled",
            "server_error",
            "truncated",
            "first_byte_timeout",
            "idle_timeout",
        ];
        // Who asks to be left alone is.
        is_again.contains(&outcome) && !self.name.contains("Retry-After")
    }

    /// The answer had begun.
    fn broken_off(&self, endpoint: &Endpoint, end: &str) -> Seen {
        let code = match end {
            "truncated" => "stream_truncated",
            _ => self.refusal.code,
        };
        let is_read_here = endpoint.is_emulated() || endpoint.plugin == "models";
        let (status, told, ending) = match endpoint.reads {
            Reads::Stream => (200, code, Ending::Event),
            Reads::Json if is_read_here => (self.refusal.status, code, Ending::Whole),
            Reads::Json | Reads::Bytes => (200, "", Ending::Broken),
        };
        Seen {
            status,
            code: told.to_owned(),
            retry_after: None,
            ending,
            log: (end.to_owned(), code.to_owned()),
            outcome: "answered".to_owned(),
            attempts: 1,
        }
    }
}

pub(super) static FAULTS: [Fault; 33] = [
    fault(
        "connection refused",
        |_| Reply::raw(Vec::new()),
        refusal(502, "upstream_unreachable", "unreachable"),
    )
    .refused(),
    fault(
        "reset before the head",
        |_| Reply::raw(vec![Step::Reset]),
        refusal(502, "upstream_unreachable", "unreachable"),
    ),
    fault(
        "closed before the head",
        |_| Reply::raw(vec![Step::Close]),
        refusal(502, "upstream_unreachable", "unreachable"),
    ),
    fault(
        "reset within the head",
        |_| raw("HTTP/1.1 200 OK\r\ncontent-").then(Step::Reset),
        refusal(502, "upstream_unreachable", "unreachable"),
    ),
    fault(
        "no head",
        |_| Reply::raw(vec![Step::Hang]),
        refusal(504, "upstream_first_byte_timeout", "first_byte_timeout"),
    )
    .within("first_byte = \"300ms\""),
    fault(
        "no HTTP",
        |_| raw("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        refusal(502, "upstream_error", "garbled"),
    ),
    fault(
        "a head of 1 MiB",
        |_| {
            raw(format!(
                "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n",
                "a".repeat(1 << 20)
            ))
        },
        refusal(502, "upstream_error", "garbled"),
    ),
    fault(
        "1,000 headers",
        |_| {
            raw(format!(
                "HTTP/1.1 200 OK\r\n{}\r\n",
                "x: y\r\n".repeat(1000)
            ))
        },
        refusal(502, "upstream_error", "garbled"),
    ),
    fault(
        "redirect",
        |_| Reply::new(302, &[("location", "http://127.0.0.1:9/")], ""),
        refusal(502, "upstream_error", "unusable"),
    ),
    fault(
        "web page with 200",
        |_| page(200),
        refusal(502, "upstream_error", "unusable"),
    ),
    fault("400", |_| status(400, &[], "their_code"), verbatim(400)),
    fault(
        "401",
        |_| status(401, &[], "their_code"),
        refusal(502, "upstream_auth_failed", "refused"),
    ),
    fault(
        "402",
        |_| status(402, &[], "their_code"),
        refusal(503, "upstream_quota_exhausted", "quota_exhausted"),
    ),
    fault(
        "403",
        |_| status(403, &[], "their_code"),
        refusal(502, "upstream_auth_failed", "refused"),
    ),
    fault(
        "403 as a web page",
        |_| page(403),
        refusal(502, "upstream_challenge_required", "challenged"),
    ),
    fault("404", |_| status(404, &[], "their_code"), verbatim(404)),
    fault("408", |_| status(408, &[], "their_code"), verbatim(408)),
    fault("409", |_| status(409, &[], "their_code"), verbatim(409)),
    fault("413", |_| status(413, &[], "their_code"), verbatim(413)),
    fault("422", |_| status(422, &[], "their_code"), verbatim(422)),
    fault(
        "429",
        |_| status(429, &[], "their_code"),
        refusal(429, "rate_limit_exceeded", "rate_limited"),
    ),
    fault(
        "429 with Retry-After",
        |_| status(429, &[("retry-after", "7")], "their_code"),
        refusal(429, "rate_limit_exceeded", "rate_limited"),
    ),
    fault(
        "429 insufficient_quota",
        |_| status(429, &[], "insufficient_quota"),
        refusal(503, "upstream_quota_exhausted", "quota_exhausted"),
    ),
    fault(
        "500",
        |_| status(500, &[], "their_code"),
        refusal(500, "their_code", "server_error"),
    ),
    fault(
        "500 without JSON",
        |_| Reply::new(500, &[("content-type", "text/plain")], "oops"),
        refusal(502, "upstream_error", "server_error"),
    ),
    fault(
        "502",
        |_| page(502),
        refusal(502, "upstream_error", "server_error"),
    ),
    fault(
        "503",
        |_| status(503, &[], "their_code"),
        refusal(503, "their_code", "server_error"),
    ),
    fault(
        "503 with Retry-After",
        |_| status(503, &[("retry-after", "7")], "their_code"),
        refusal(503, "their_code", "server_error"),
    ),
    fault(
        "529",
        |_| status(529, &[], "their_code"),
        refusal(529, "their_code", "server_error"),
    ),
    fault(
        "reset within the body",
        |request| begun(request, Then::Reset),
        refusal(502, "upstream_error", "truncated"),
    )
    .begun(),
    fault(
        "body ends early",
        |request| begun(request, Then::End),
        refusal(502, "upstream_error", "truncated"),
    )
    .begun(),
    fault(
        "body stalls",
        |request| begun(request, Then::Hang),
        refusal(504, "upstream_idle_timeout", "idle_timeout"),
    )
    .begun()
    .within("idle = \"300ms\""),
    fault(
        "body never ends",
        |request| begun(request, Then::Forever),
        refusal(504, "upstream_total_timeout", "total_timeout"),
    )
    .begun()
    .within("total = \"600ms\""),
];
