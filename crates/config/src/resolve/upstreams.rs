//! `[upstreams.NAME]`.

use std::collections::BTreeMap;

use url::Url;

use super::Resolver;
use super::tokens::{ACCOUNTS, KEYS};
use crate::diagnostic::Problem;
use crate::document::mask::looks_secret;
use crate::raw::{self, Raw, Secret};
use crate::schema::check::of_fault;
use crate::schema::keys::{CHATGPT_BASE_URL, PROXIES};
use crate::schema::{Kind, nearest, words};
use crate::settings::upstreams::{
    Breaker, ChatGptWeb, DoneMarker, HealthCheck, Mock, OpenAi, Protocol, ResponsesMode, Timeouts,
    Upstream,
};

impl Resolver<'_> {
    pub(super) fn upstreams(&mut self, raw: &Raw) -> BTreeMap<String, Upstream> {
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in &raw.upstreams {
            self.pool_of(name, upstream);
            let Some(protocol) = self.protocol(name, upstream) else {
                continue;
            };
            let timeouts = &upstream.timeouts;
            let headers = upstream.forward_headers.iter();
            let resolved = Upstream {
                protocol,
                tokens: upstream.tokens.clone(),
                timeouts: Timeouts {
                    connect: timeouts.connect,
                    first_byte: timeouts.first_byte,
                    idle: timeouts.idle,
                    total: timeouts.total,
                },
                models: upstream.models.clone(),
                max_concurrency: upstream.max_concurrency,
                max_queue: upstream.max_queue,
                queue_wait: upstream.queue_wait,
                breaker: breaker(&upstream.breaker),
                health: upstream.health.as_ref().map(health),
                context_window: upstream.context_window,
                tls: upstream
                    .tls
                    .as_ref()
                    .and_then(|tls| self.upstream_tls(name, tls)),
                forward_headers: headers.map(|header| header.to_ascii_lowercase()).collect(),
                proxy: self.proxy(name, upstream),
            };
            upstreams.insert(name.clone(), resolved);
        }
        self.unused_upstreams(raw);
        upstreams
    }

    fn protocol(&mut self, name: &str, raw: &raw::Upstream) -> Option<Protocol> {
        let base_url = raw.base_url.as_deref().and_then(|url| Url::parse(url).ok());
        Some(match raw.protocol.as_deref()? {
            "openai" => {
                if !self.places.has(&["upstreams", name, "base_url"]) {
                    self.no_base_url(name);
                }
                Protocol::OpenAi(OpenAi {
                    base_url: base_url?,
                    responses: match raw.responses.as_deref() {
                        Some("emulate") => ResponsesMode::Emulate,
                        _ => ResponsesMode::Native,
                    },
                    done_marker: match raw.done_marker.as_deref() {
                        Some("optional") => DoneMarker::Optional,
                        _ => DoneMarker::Required,
                    },
                })
            }
            "chatgpt-web" => Protocol::ChatGptWeb(Box::new(chatgpt_web(base_url, raw)?)),
            _ => Protocol::Mock(Mock {
                delay: raw.delay.as_ref()?.0,
                chunk_delay: raw.chunk_delay.as_ref()?.0,
                fail_rate: raw.fail_rate?,
                fail_status: raw.fail_status?,
                cut_after: raw.cut_after,
            }),
        })
    }

    fn proxy(&mut self, name: &str, upstream: &raw::Upstream) -> Option<Url> {
        let text = match upstream.proxy.as_ref()? {
            Secret::Text(text) => text.clone(),
            Secret::Env { env } => {
                let path = ["upstreams", name, "proxy", "env"];
                let text = self.variable(env, &path)?.trim().to_owned();
                if let Err(fault) = words::check(&Kind::Proxy(PROXIES), &text) {
                    let place = self.places.value(&path);
                    self.problems.push(of_fault(fault, &place, &[env]));
                }
                text
            }
            // The checks let neither through.
            Secret::File { .. } | Secret::Refused(_) => return None,
        };
        Url::parse(&text).ok()
    }

    fn no_base_url(&mut self, name: &str) {
        let place = self.places.key(&["upstreams", name]);
        let message = format!("`base_url` is missing in `upstreams.{name}`");
        let problem = Problem::error("AUR0108", place, message)
            .label("`base_url` is needed")
            .help("write `base_url = \"https://api.openai.com/v1\"` for OpenAI itself");
        self.problems.push(problem);
    }

    fn pool_of(&mut self, name: &str, upstream: &raw::Upstream) {
        let Some(pool) = &upstream.tokens else { return };
        let place = self.places.value(&["upstreams", name, "tokens"]);
        let names = self.places.names(&["tokens"]);
        if !names.contains(&pool.as_str()) && looks_secret(pool) {
            let message = format!("`tokens` of upstream `{name}` names a pool, it holds no key");
            let problem = Problem::error("AUR0203", place, message)
                .label("looks like a key")
                .help(format!(
                    "write `values = [\"...\"]` in [tokens.{name}], and `tokens = \"{name}\"` here"
                ));
            self.problems.push(problem);
            return;
        }
        if !names.contains(&pool.as_str()) {
            let message =
                format!("upstream `{name}` refers to token pool `{pool}`, which is not defined");
            let problem = Problem::error("AUR0203", place, message)
                .label(format!("no section [tokens.{pool}]"))
                .suggest(nearest(pool, names.iter().copied()));
            self.problems.push(problem);
            return;
        }
        let written = |keys: &[&str]| {
            keys.iter()
                .any(|key| self.places.has(&["tokens", pool, key]))
        };
        let (wanted, has) = match (
            upstream.protocol.as_deref(),
            written(&KEYS),
            written(&ACCOUNTS),
        ) {
            (Some("chatgpt-web"), true, false) => ("ChatGPT accounts", "API keys"),
            (Some("openai"), false, true) => ("API keys", "ChatGPT accounts"),
            _ => return,
        };
        let protocol = upstream.protocol.as_deref().unwrap_or_default();
        let message = format!(
            "an upstream of protocol {protocol} needs {wanted}, and pool `{pool}` has {has}"
        );
        let problem = Problem::error("AUR0204", place, message)
            .label(format!("needs {wanted}"))
            .second(self.places.key(&["tokens", pool]), format!("has {has}"));
        self.problems.push(problem);
    }

    fn unused_upstreams(&mut self, raw: &Raw) {
        let targets = raw
            .routes
            .iter()
            .flat_map(|route| route.upstream.as_slice());
        let plugins = raw.plugins.named.values();
        let granted = plugins.flat_map(|plugin| plugin.grant.upstreams.iter().map(String::as_str));
        let used: Vec<&str> = targets
            .filter_map(|target| match target {
                raw::Target::Name(name) => Some(name.as_str()),
                raw::Target::Weighted { name, .. } => name.as_deref(),
                raw::Target::Refused(_) => None,
            })
            .chain(granted)
            .collect();
        for name in raw
            .upstreams
            .keys()
            .filter(|name| !used.contains(&name.as_str()))
        {
            let place = self.places.key(&["upstreams", name]);
            let message = format!("upstream `{name}` is used by no route");
            self.problems
                .push(Problem::warning("AUR0901", place, message).label("unused"));
        }
    }
}

fn breaker(raw: &raw::Breaker) -> Option<Breaker> {
    raw.enabled.then_some(Breaker {
        failures: raw.failures,
        share: raw.share,
        window: raw.window,
        open: raw.open,
    })
}

fn health(raw: &raw::HealthCheck) -> HealthCheck {
    HealthCheck {
        path: raw.path.clone(),
        interval: raw.interval,
        timeout: raw.timeout,
        failures: raw.failures,
    }
}

fn chatgpt_web(base_url: Option<Url>, raw: &raw::Upstream) -> Option<ChatGptWeb> {
    let url = |text: &Option<String>| text.as_deref().and_then(|text| Url::parse(text).ok());
    Some(ChatGptWeb {
        base_url: base_url.or_else(|| Url::parse(CHATGPT_BASE_URL).ok())?,
        max_continue: raw.max_continue?,
        history: raw.history?,
        prepare: raw.prepare?,
        tool_calling: raw.tool_calling?,
        refusal_retries: raw.refusal_retries?,
        oauth_url: url(&raw.oauth_url)?,
        oauth_client_id: raw.oauth_client_id.clone()?,
        oauth_redirect_uri: raw.oauth_redirect_uri.clone()?,
        session_url: url(&raw.session_url)?,
        image_timeout: raw.timeouts.image.as_ref()?.0,
        handoff_timeout: raw.timeouts.handoff.as_ref()?.0,
    })
}
