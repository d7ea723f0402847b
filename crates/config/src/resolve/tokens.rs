//! `[tokens.NAME]`: pools of upstream credentials.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use secrecy::ExposeSecret;

use super::Resolver;
use crate::diagnostic::Problem;
use crate::raw::{self, Raw};
use crate::settings::tokens::{AccountKind, Strategy, Token, TokenSource, Tokens};

/// Keys of a pool of API keys.
pub(super) const KEYS: [&str; 3] = ["file", "env", "values"];
/// Keys of a pool of ChatGPT accounts.
pub(super) const ACCOUNTS: [&str; 4] = ["access", "refresh", "session", "device"];

impl Resolver<'_> {
    pub(super) fn token_pools(&mut self, raw: &Raw) -> BTreeMap<String, Tokens> {
        let mut pools = BTreeMap::new();
        for (name, pool) in &raw.tokens {
            let Some(source) = self.source(name, pool) else {
                continue;
            };
            let strategy = match pool.strategy.as_str() {
                "least_busy" => Strategy::LeastBusy,
                "sticky" => Strategy::Sticky,
                _ => Strategy::RoundRobin,
            };
            let (cooldown, probe_dead) = (pool.cooldown, pool.probe_dead);
            pools.insert(
                name.clone(),
                Tokens {
                    source,
                    strategy,
                    cooldown,
                    probe_dead,
                },
            );
        }
        self.shared_files(&pools);
        self.unused_pools(raw);
        pools
    }

    fn source(&mut self, name: &str, pool: &raw::Tokens) -> Option<TokenSource> {
        let here = ["tokens", name];
        let written = |key: &&&str| self.places.has(&["tokens", name, key]);
        let keys: Vec<&str> = KEYS.iter().filter(written).copied().collect();
        let accounts: Vec<&str> = ACCOUNTS.iter().filter(written).copied().collect();
        match (keys.as_slice(), accounts.as_slice()) {
            ([], []) => {
                let message = format!("token pool `{name}` says nowhere where its tokens are");
                let problem = Problem::error("AUR0108", self.places.key(&here), message)
                    .label("no tokens")
                    .help("API keys: one of `file`, `env` or `values`")
                    .help("ChatGPT accounts: any of `access`, `refresh`, `session`, `device`");
                self.problems.push(problem);
                None
            }
            ([], _) => Some(self.accounts(name, pool)),
            ([_], []) => {
                let tokens = self.keys(name, pool)?;
                Some(TokenSource::Keys(self.distinct(name, tokens)))
            }
            ([first, second, ..], _) | ([first], [second, ..]) => {
                let message = format!("token pool `{name}` has both `{first}` and `{second}`");
                let place = self.places.key(&["tokens", name, second]);
                let other = self.places.key(&["tokens", name, first]);
                let problem = Problem::error("AUR0114", place, message)
                    .label("not together with the other")
                    .second(other, "the other")
                    .help("a pool has one of `file`, `env`, `values`, or ChatGPT account files");
                self.problems.push(problem);
                None
            }
        }
    }

    // The lines are read by the pool of the provider, which also writes rotated tokens back.
    fn accounts(&mut self, name: &str, pool: &raw::Tokens) -> TokenSource {
        let named = [
            (AccountKind::Access, &pool.access),
            (AccountKind::Refresh, &pool.refresh),
            (AccountKind::Session, &pool.session),
            (AccountKind::Device, &pool.device),
        ];
        let mut files = Vec::new();
        for (kind, written) in named {
            let Some(written) = written else { continue };
            let place = self.places.value(&["tokens", name, kind.key()]);
            files.extend(self.account_file(kind, written, place));
        }
        TokenSource::ChatGpt { files }
    }

    // A session token is good for one exchange, so two lines with it would use up each other's.
    fn shared_files(&mut self, pools: &BTreeMap<String, Tokens>) {
        let mut seen: HashMap<&Path, (&str, &str)> = HashMap::new();
        for (name, pool) in pools {
            let TokenSource::ChatGpt { files } = &pool.source else {
                continue;
            };
            for file in files {
                let key = file.kind.key();
                let Some((other, other_key)) = seen.insert(&file.path, (name, key)) else {
                    continue;
                };
                let path = file.path.display();
                let message = format!("account file `{path}` is used twice");
                let place = self.places.value(&["tokens", name, key]);
                let first = self.places.value(&["tokens", other, other_key]);
                let problem = Problem::error("AUR0405", place, message)
                    .label("used again")
                    .second(first, "used here")
                    .help("several upstreams can share one pool");
                self.problems.push(problem);
            }
        }
    }

    fn keys(&mut self, name: &str, pool: &raw::Tokens) -> Option<Vec<Token>> {
        if let Some(file) = &pool.file {
            let place = self.places.value(&["tokens", name, "file"]);
            return self.lines(file, &place);
        }
        if let Some(variable) = &pool.env {
            let text = self.variable(variable, &["tokens", name, "env"])?;
            let words = text
                .split([',', '\n'])
                .map(str::trim)
                .filter(|word| !word.is_empty());
            let token = |word: &str| Token {
                secret: word.into(),
                origin: variable.clone(),
            };
            return Some(words.map(token).collect());
        }
        let values = pool.values.as_ref()?;
        let mut tokens = Vec::new();
        for (index, secret) in values.iter().enumerate() {
            let path = ["tokens", name, "values", &index.to_string()];
            let secret = self.secret(secret, &path);
            let origin = format!("tokens.{name}.values[{index}]");
            tokens.extend(secret.map(|secret| Token { secret, origin }));
        }
        (tokens.len() == values.len()).then_some(tokens)
    }

    fn distinct(&mut self, name: &str, tokens: Vec<Token>) -> Vec<Token> {
        let place = KEYS
            .iter()
            .find(|key| self.places.has(&["tokens", name, key]));
        let place = place.map(|key| self.places.value(&["tokens", name, key]));
        let place = place.unwrap_or_else(|| self.places.key(&["tokens", name]));
        let written_empty = tokens.is_empty();
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut kept = Vec::new();
        for token in tokens {
            let Some(first) = seen.get(token.secret.expose_secret()) else {
                seen.insert(
                    token.secret.expose_secret().to_owned(),
                    token.origin.clone(),
                );
                kept.push(token);
                continue;
            };
            let origin = &token.origin;
            let message =
                format!("token pool `{name}` holds one token twice: {first} and {origin}");
            let problem = Problem::warning("AUR0904", place.clone(), message);
            self.problems.push(problem.label("used once"));
        }
        if written_empty && !self.secrets_failed() {
            let message = format!("token pool `{name}` is empty");
            self.problems
                .push(Problem::warning("AUR0903", place, message).label("no tokens here"));
        }
        kept
    }

    // An unset variable or a bad line is reported as such; the pool need not be called empty as well.
    pub(super) fn secrets_failed(&self) -> bool {
        let codes = ["AUR0401", "AUR0402", "AUR0403"];
        self.problems
            .iter()
            .any(|problem| codes.contains(&problem.code()))
    }

    fn unused_pools(&mut self, raw: &Raw) {
        let used: Vec<&str> = raw
            .upstreams
            .values()
            .filter_map(|upstream| upstream.tokens.as_deref())
            .collect();
        for name in raw
            .tokens
            .keys()
            .filter(|name| !used.contains(&name.as_str()))
        {
            let message = format!("token pool `{name}` is used by no upstream");
            let problem = Problem::warning("AUR0902", self.places.key(&["tokens", name]), message);
            self.problems.push(problem.label("unused"));
        }
    }
}
