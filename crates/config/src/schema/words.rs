//! What text must look like to be a duration, a size, a URL, an address, ...

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::{Kind, nearest};

mod plugins;

pub(crate) use plugins::digest;

/// Why a text is not what its setting needs.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// Continues "`setting` ...".
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
}

fn fault(code: &'static str, message: impl Into<String>) -> Fault {
    Fault {
        code,
        message: message.into(),
        ..Fault::default()
    }
}

impl Fault {
    fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            ..self
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Checks text for a kind whose values are text.
pub(crate) fn check(kind: &Kind, text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(fault("AUR0115", "must not be empty").label("empty"));
    }
    match kind {
        Kind::Duration => duration(text).map(drop),
        Kind::DurationOrOff => optional_duration(text).map(drop),
        Kind::Size => size(text).map(drop),
        Kind::Url(schemes) => base_url(text, schemes).map(drop),
        Kind::Proxy(schemes) => url(text, schemes).map(drop),
        Kind::Word(words) => word(text, words),
        Kind::Address => address(text).map(drop),
        Kind::RoutePath => route_path(text),
        Kind::Method => method(text),
        Kind::Header => header(text),
        Kind::Origin => origin(text),
        Kind::Variable => variable(text),
        Kind::Sha256 => sha256(text).map(drop),
        Kind::Digest => digest(text).map(drop),
        Kind::PublicKey => plugins::public_key(text),
        Kind::FileName => plugins::file_name(text),
        Kind::Moment => super::super::moment::parse(text).map(drop).ok_or_else(|| {
            fault("AUR0116", "must be a date or a date with a time")
                .help("write 2026-12-31 or 2026-12-31T23:59:59Z")
        }),
        _ => Ok(()),
    }
}

/// `"30s"`.
pub(crate) fn duration(text: &str) -> Result<Duration, Fault> {
    humantime::parse_duration(text).map_err(|_| {
        let help = match text.trim().parse::<u64>() {
            Ok(number) => format!("add the unit: \"{number}s\" or \"{number}ms\""),
            Err(_) => "durations are written \"300ms\", \"30s\", \"1m 30s\", \"2h\"".to_owned(),
        };
        fault("AUR0104", "must be a duration")
            .label("not a duration")
            .help(help)
    })
}

/// `"30s"`, or `"off"` for `None`.
pub(crate) fn optional_duration(text: &str) -> Result<Option<Duration>, Fault> {
    if text == "off" {
        return Ok(None);
    }
    let or_off = |fault: Fault| Fault {
        message: "must be a duration or \"off\"".to_owned(),
        ..fault
    };
    duration(text).map(Some).map_err(or_off)
}

/// `"64MiB"`, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, Fault> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| {
            fault("AUR0105", "must be a size")
                .label("not a size")
                .help("sizes are written \"512KiB\", \"64MiB\", \"1GB\"")
        })
}

/// A URL with a host and one of `schemes`.
pub(crate) fn url(text: &str, schemes: &[&str]) -> Result<Url, Fault> {
    let example = format!(
        "write it out, such as {}://host:1234",
        schemes.first().unwrap_or(&"http")
    );
    let parsed = Url::parse(text).map_err(|_| {
        fault("AUR0106", "must be a URL")
            .label("not a URL")
            .help(example.clone())
    })?;
    if !schemes.contains(&parsed.scheme()) {
        let (last, first) = schemes.split_last().unwrap_or((&"", &[]));
        let message = format!("must be a URL of scheme {} or {last}", first.join(", "));
        // `localhost:1234` parses as scheme `localhost`.
        return Err(fault("AUR0106", message)
            .label("another scheme")
            .help(example));
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(fault("AUR0106", "must name a host").help(example));
    }
    Ok(parsed)
}

fn base_url(text: &str, schemes: &[&str]) -> Result<Url, Fault> {
    let parsed = url(text, schemes)?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        let help = "put the credential into a [tokens.NAME] pool and name it in `tokens`";
        return Err(fault("AUR0106", "must not contain a user name or password").help(help));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        let label = "a path is the most that can follow the host";
        return Err(fault("AUR0106", "must not have a query or fragment").label(label));
    }
    Ok(parsed)
}

fn word(text: &str, words: &[&str]) -> Result<(), Fault> {
    if words.contains(&text) {
        return Ok(());
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let label = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "unknown word".to_owned(),
    };
    let message = format!("must be one of {}", quoted.join(", "));
    Err(fault("AUR0107", message).label(label))
}

/// `host:port`, split.
pub(crate) fn address(text: &str) -> Result<(&str, u16), Fault> {
    let bad = |label: &str, help: &str| {
        fault("AUR0109", "must be an address with a port")
            .label(label)
            .help(help)
    };
    if text.starts_with("unix:") || text.starts_with('/') {
        return Err(bad(
            "Unix sockets are not supported",
            "write \"127.0.0.1:8080\"",
        ));
    }
    if text.contains("://") {
        return Err(bad("a URL", "write the address alone: \"127.0.0.1:8080\""));
    }
    if text.parse::<IpAddr>().is_ok() {
        let host = if text.contains(':') {
            format!("[{text}]")
        } else {
            text.to_owned()
        };
        return Err(bad(
            "the port is missing",
            &format!("write \"{host}:8080\""),
        ));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        if text.parse::<u16>().is_ok() {
            return Err(bad("only a port", &format!("write \"127.0.0.1:{text}\"")));
        }
        return Err(bad(
            "the port is missing",
            &format!("write \"{text}:8080\""),
        ));
    };
    if host.is_empty() {
        let help = format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every interface");
        return Err(bad("the host is missing", &help));
    }
    let port = port
        .parse()
        .map_err(|_| bad("not a port between 0 and 65535", "write \"127.0.0.1:8080\""))?;
    let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.parse::<SocketAddr>().is_err() && (!host.chars().all(name) || numeric(host)) {
        return Err(bad(
            "not a host",
            "write \"127.0.0.1:8080\" or \"[::1]:8080\"",
        ));
    }
    Ok((host, port))
}

fn numeric(host: &str) -> bool {
    host.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn route_path(text: &str) -> Result<(), Fault> {
    let bad = |message: &str| Err(fault("AUR0112", message));
    if !text.starts_with('/') {
        let near = text.trim_start_matches('.');
        return Err(fault("AUR0112", "must begin with `/`").help(format!("write \"/{near}\"")));
    }
    if text.contains(['?', '#']) {
        return bad("must not contain `?` or `#`: queries take no part in routing");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return bad("must not contain white space");
    }
    let segments: Vec<&str> = text.split('/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    let mut names = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        if matches!(*segment, "." | "..") {
            return bad("must not contain `.` or `..` segments");
        }
        if segment.is_empty() && index != last {
            return bad("must not contain an empty segment (`//`)");
        }
        let Some(name) = parameter(segment)? else {
            continue;
        };
        if name.starts_with('*') && index != last {
            return bad("can have `{*rest}` only at its end");
        }
        if names.contains(&name.trim_start_matches('*')) {
            return bad("must not use one parameter name twice");
        }
        names.push(name.trim_start_matches('*'));
    }
    Ok(())
}

fn parameter(segment: &str) -> Result<Option<&str>, Fault> {
    let unbalanced = || {
        fault("AUR0112", "has braces that do not match")
            .help("a parameter is written `{name}`, the rest of a path `{*rest}`")
    };
    let Some((before, rest)) = segment.split_once('{') else {
        return if segment.contains('}') {
            Err(unbalanced())
        } else {
            Ok(None)
        };
    };
    let (name, after) = rest.split_once('}').ok_or_else(unbalanced)?;
    if after.contains('{') && after.contains('}') {
        return Err(fault(
            "AUR0112",
            "can have only one parameter in each segment",
        ));
    }
    if before.contains('}') || name.contains('{') || after.contains(['{', '}']) {
        return Err(unbalanced());
    }
    let plain = name.strip_prefix('*').unwrap_or(name);
    if plain.is_empty() || !plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = "has a parameter whose name is not letters, digits and `_`";
        return Err(fault("AUR0112", message));
    }
    if name.starts_with('*') && !(before.is_empty() && after.is_empty()) {
        return Err(fault(
            "AUR0112",
            "can have `{*rest}` only as a whole segment",
        ));
    }
    Ok(Some(name))
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

fn method(text: &str) -> Result<(), Fault> {
    if METHODS.contains(&text) {
        return Ok(());
    }
    let label = match nearest(text, METHODS) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "unknown method".to_owned(),
    };
    let message = format!("must be one of {}", METHODS.join(", "));
    Err(fault("AUR0113", message).label(label))
}

/// Headers that carry credentials, belong to one connection, or are computed (RFC 9110 §7.6.1).
const WITHHELD: [&str; 20] = [
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "www-authenticate",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "x-goog-api-key",
    "expect",
    "http2-settings",
];

fn header(text: &str) -> Result<(), Fault> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !text.chars().all(token) {
        return Err(fault("AUR0116", "must be the name of a header").label("not a name"));
    }
    if WITHHELD.contains(&text.to_ascii_lowercase().as_str()) {
        let help = "credentials, cookies, Host, Content-Length and hop-by-hop headers stay here";
        return Err(
            fault("AUR0111", "must not name a header that is never passed on")
                .label("never passed on")
                .help(help),
        );
    }
    Ok(())
}

fn origin(text: &str) -> Result<(), Fault> {
    let bare = |url: &Url| url.path() == "/" && !text.ends_with('/') && url.query().is_none();
    if text == "*" || url(text, &["http", "https"]).is_ok_and(|url| bare(&url)) {
        return Ok(());
    }
    Err(fault("AUR0116", "must be an origin")
        .label("not an origin")
        .help("write \"https://app.example.com\" without a path, or \"*\" for any"))
}

/// Whether text can be the name of an environment variable, and is not rather a secret that strayed.
fn variable(text: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if starts && text.len() <= 64 && text.chars().all(plain) {
        return Ok(());
    }
    Err(
        fault("AUR0116", "must be the name of an environment variable")
            .label("not a name")
            .help("write the variable's name here, not its value"),
    )
}

/// 64 hexadecimal digits.
pub(crate) fn sha256(text: &str) -> Result<[u8; 32], Fault> {
    let mut out = [0; 32];
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(|| {
        fault("AUR0116", "must be 64 hexadecimal digits")
            .help("`printf %s KEY | sha256sum` prints them")
    })?;
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| (byte << 4) | digit);
    }
    Ok(out)
}
