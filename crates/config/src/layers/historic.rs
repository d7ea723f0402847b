//! Variables of the program that Aurora replaces, as a layer below the `AURORA_` ones.

use super::{parse_bool, parse_text};
use crate::diagnostic::Problem;
use crate::document::places::Places;
use crate::document::{Node, Place, Value};
use crate::schema::Kind;
use crate::schema::check::of_fault;
use crate::schema::keys::PROXIES;
use crate::schema::words::{self, Fault};
use crate::sources::Sources;

/// Reads the historic variables; `places` holds the layers that name upstreams.
pub(crate) fn layer(places: &Places, sources: &dyn Sources) -> (Node, Vec<Problem>) {
    let mut reader = Reader {
        places,
        sources,
        root: Node::empty(Place::Nowhere),
        problems: Vec::new(),
    };
    reader.listen();
    reader.tls();
    reader.switch("STREAM_MODE", &["server", "stream"]);
    reader.switch("ENABLE_EXTERNAL_TOKEN", &["auth", "upstream_tokens"]);
    reader.proxy();
    reader.base_url();
    reader.chatgpt("MAX_CONTINUE_COUNT", "max_continue", &COUNT);
    reader.chatgpt("ENABLE_HISTORY", "history", &Kind::Bool);
    reader.chatgpt("TOOL_CALLING_ENABLED", "tool_calling", &Kind::Bool);
    reader.chatgpt("REFUSAL_RETRIES", "refusal_retries", &COUNT);
    reader.unsupported();
    (reader.root, reader.problems)
}

const COUNT: Kind = Kind::Integer { min: 0, max: 100 };

const UNSUPPORTED: [&str; 7] = [
    "FREE_ACCOUNTS",
    "FREE_ACCOUNTS_NUM",
    "API_REVERSE_PROXY",
    "FILES_REVERSE_PROXY",
    "DEBUG_SSE",
    "DEBUG_SENTINEL",
    "DEBUG_TOOL_LOG",
];

struct Reader<'a> {
    places: &'a Places,
    sources: &'a dyn Sources,
    root: Node,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    // One variable may replace its half of the address alone; the other half stays as configured.
    fn listen(&mut self) {
        let host = self.sources.env("SERVER_HOST");
        let port = ["SERVER_PORT", "PORT"]
            .into_iter()
            .find_map(|name| Some((name, self.sources.env(name)?)));
        let configured = self.places.node(&["server", "listen"]);
        let first = configured.and_then(|node| node.as_list().map_or(Some(node), <[Node]>::first));
        let (old_host, old_port) = first
            .and_then(Node::as_text)
            .and_then(|text| words::address(text).ok())
            .unwrap_or(("127.0.0.1", 8080));
        if let Some((name, port)) = &port
            && port.trim().parse::<u16>().is_err()
        {
            let place = Place::Variable((*name).to_owned());
            let message = "must be a port between 0 and 65535";
            let problem = Problem::error("AUR0501", place, message);
            self.problems.push(problem.label(format!("found {port:?}")));
            return;
        }
        let variable = match (&host, &port) {
            (Some(_), _) => "SERVER_HOST",
            (None, Some((name, _))) => name,
            (None, None) => return,
        };
        let host = host.as_deref().map_or(old_host, str::trim);
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let port = port.map_or_else(|| old_port.to_string(), |(_, port)| port.trim().to_owned());
        self.set(
            &["server", "listen"],
            Value::Text(format!("{host}:{port}")),
            variable,
        );
    }

    fn tls(&mut self) {
        match (self.sources.env("TLS_CERT"), self.sources.env("TLS_KEY")) {
            (Some(cert), Some(key)) => {
                self.set(&["server", "tls", "cert"], Value::Text(cert), "TLS_CERT");
                self.set(&["server", "tls", "key"], Value::Text(key), "TLS_KEY");
            }
            (Some(_), None) => self.half("TLS_CERT", "TLS_KEY"),
            (None, Some(_)) => self.half("TLS_KEY", "TLS_CERT"),
            (None, None) => {}
        }
    }

    fn half(&mut self, set: &str, missing: &str) {
        let place = Place::Variable(set.to_owned());
        let problem = Problem::error("AUR0502", place, format!("set, but {missing} is not"));
        self.problems
            .push(problem.help("HTTPS needs both the certificate and its key"));
    }

    fn switch(&mut self, variable: &str, path: &[&str]) {
        let Some(text) = self.sources.env(variable) else {
            return;
        };
        if let Some(node) = self.parse(variable, &text, &Kind::Bool) {
            self.set(path, node.value, variable);
        }
    }

    fn proxy(&mut self) {
        let Some(text) = self.sources.env("PROXY_URL") else {
            return;
        };
        let checked = words::check(&Kind::Proxy(PROXIES), &text);
        if self.refused("PROXY_URL", checked) {
            return;
        }
        for name in self.upstreams(&["openai", "chatgpt-web"]) {
            if !self.places.has(&["upstreams", &name, "proxy"]) {
                let value = Value::Text(text.clone());
                self.set(&["upstreams", &name, "proxy"], value, "PROXY_URL");
            }
        }
    }

    fn base_url(&mut self) {
        let Some(text) = self.sources.env("BASE_URL") else {
            return;
        };
        let checked = words::check(&Kind::Url(&["http", "https"]), &text);
        if self.refused("BASE_URL", checked) {
            return;
        }
        for name in self.chatgpt_upstreams("BASE_URL") {
            let value = Value::Text(text.clone());
            self.set(&["upstreams", &name, "base_url"], value, "BASE_URL");
        }
    }

    fn chatgpt(&mut self, variable: &str, key: &str, kind: &Kind) {
        let Some(text) = self.sources.env(variable) else {
            return;
        };
        let Some(node) = self.parse(variable, &text, kind) else {
            return;
        };
        for name in self.chatgpt_upstreams(variable) {
            self.set(&["upstreams", &name, key], node.value.clone(), variable);
        }
    }

    fn unsupported(&mut self) {
        for name in UNSUPPORTED {
            let set = self
                .sources
                .env(name)
                .filter(|text| parse_bool(text) != Some(false));
            // How many anonymous accounts to make says nothing when none are made.
            if set.is_some() {
                let place = Place::Variable(name.to_owned());
                self.problems
                    .push(Problem::warning("AUR0908", place, "not supported, ignored"));
            }
        }
    }

    fn parse(&mut self, variable: &str, text: &str, kind: &Kind) -> Option<Node> {
        let place = Place::Variable(variable.to_owned());
        let wanted = if matches!(kind, Kind::Bool) {
            "true or false"
        } else {
            "a whole number"
        };
        let node = parse_text(text, kind).filter(|node| !matches!(node.value, Value::Float(_)));
        if node.is_none() {
            let problem = Problem::error("AUR0501", place, format!("must be {wanted}"));
            self.problems.push(problem.label(format!("found {text:?}")));
        }
        node
    }

    fn refused(&mut self, variable: &str, checked: Result<(), Fault>) -> bool {
        let Err(fault) = checked else { return false };
        let place = Place::Variable(variable.to_owned());
        self.problems.push(of_fault(
            Fault {
                code: "AUR0501",
                ..fault
            },
            &place,
            &[variable],
        ));
        true
    }

    fn upstreams(&self, protocols: &[&str]) -> Vec<String> {
        let speaks = |name: &&str| {
            let protocol = self.places.node(&["upstreams", name, "protocol"]);
            protocol
                .and_then(Node::as_text)
                .is_some_and(|text| protocols.contains(&text))
        };
        self.places
            .names(&["upstreams"])
            .into_iter()
            .filter(speaks)
            .map(str::to_owned)
            .collect()
    }

    fn chatgpt_upstreams(&mut self, variable: &str) -> Vec<String> {
        let names = self.upstreams(&["chatgpt-web"]);
        if names.is_empty() {
            let place = Place::Variable(variable.to_owned());
            let message =
                "takes effect only with an upstream of protocol chatgpt-web, and there is none";
            self.problems
                .push(Problem::warning("AUR0908", place, message));
        }
        names
    }

    fn set(&mut self, path: &[&str], value: Value, variable: &str) {
        let place = Place::Variable(variable.to_owned());
        self.root.insert(path, Node::new(value, place));
    }
}
