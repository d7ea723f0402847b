//! `[auth]`: client keys.

use std::collections::BTreeMap;

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::{Node, Place};
use crate::moment;
use crate::raw::{self, KeyEntry, KeyTable, Raw, Secret};
use crate::schema::keys::CLIENT_KEY;
use crate::schema::words;
use crate::settings::limits::Limits;
use crate::settings::{Auth, ClientKey, KeySecret};

impl Resolver<'_> {
    pub(super) fn auth(&mut self, raw: &Raw) -> Auth {
        let mut keys = Vec::new();
        for (index, entry) in raw.auth.keys.iter().enumerate() {
            let index = index.to_string();
            let key = match entry {
                KeyEntry::Refused(_) => None,
                KeyEntry::Secret(secret) => self.plain(secret, &["auth", "keys", &index], None),
                KeyEntry::Table(table) => self.key_table(table, &index, raw),
            };
            keys.extend(key);
        }
        self.unique_names(raw);
        if let Some(file) = &raw.auth.keys_file {
            let place = self.places.value(&["auth", "keys_file"]);
            let lines = self.lines(file, &place).unwrap_or_default();
            keys.extend(
                lines
                    .into_iter()
                    .map(|token| unnamed(KeySecret::Plain(token.secret))),
            );
            if keys.is_empty() && !self.secrets_failed() {
                let message = format!("file `{file}` holds no key");
                self.problems
                    .push(Problem::warning("AUR0903", place, message));
            }
        }
        for key in self
            .sources
            .env("Authorization")
            .iter()
            .flat_map(|keys| keys.split(','))
        {
            let key = key.trim();
            let key = key.strip_prefix("Bearer ").unwrap_or(key).trim();
            if !key.is_empty() {
                keys.push(unnamed(KeySecret::Plain(key.into())));
            }
        }
        name_the_unnamed(&mut keys);
        let common = limits(&raw.auth.limits);
        if keys.is_empty() && !common.is_empty() && !self.secrets_failed() {
            let place = self.places.key(&["auth", "limits"]);
            let message = "`limits` of [auth] are for client keys, and there are none";
            self.problems
                .push(Problem::warning("AUR0910", place, message).label("limits nobody"));
        }
        for key in &mut keys {
            key.limits = over(key.limits, common);
        }
        Auth {
            keys,
            open: raw.auth.open,
            upstream_tokens: raw.auth.upstream_tokens,
        }
    }

    fn plain(&mut self, secret: &Secret, path: &[&str], name: Option<&str>) -> Option<ClientKey> {
        let secret = KeySecret::Plain(self.secret(secret, path)?);
        Some(ClientKey {
            name: name.unwrap_or_default().to_owned(),
            ..unnamed(secret)
        })
    }

    fn key_table(&mut self, table: &KeyTable, index: &str, raw: &Raw) -> Option<ClientKey> {
        let here = ["auth", "keys", index];
        let name = table.name.as_deref();
        self.allowed_routes(table, index, raw);
        let written = |key: &str| self.places.has(&["auth", "keys", index, key]);
        let secret = match (&table.key, &table.sha256) {
            _ if written("key") && written("sha256") => {
                let place = self.places.key(&["auth", "keys", index, "sha256"]);
                let other = self.places.key(&["auth", "keys", index, "key"]);
                let message = "a client key has either `key` or `sha256`, not both";
                let problem = Problem::error("AUR0114", place, message).label("remove one");
                self.problems.push(problem.second(other, "the other"));
                return None;
            }
            (Some(key), _) => {
                self.plain(key, &["auth", "keys", index, "key"], name)?
                    .secret
            }
            (None, Some(digits)) => KeySecret::Sha256(words::sha256(digits).ok()?),
            (None, None) => {
                if !written("key") && !written("sha256") && !self.has_unknown_keys(&here) {
                    let message = "a client key needs `key` or `sha256`";
                    let place = self.places.value(&here);
                    self.problems
                        .push(Problem::error("AUR0108", place, message).label("has neither"));
                }
                return None;
            }
        };
        Some(ClientKey {
            name: name.unwrap_or_default().to_owned(),
            secret,
            models: table.models.clone(),
            routes: table.routes.clone(),
            expires: table.expires.as_deref().and_then(moment::parse),
            limits: table.limits.as_ref().map(limits).unwrap_or_default(),
        })
    }

    // One of them may be the misspelt key.
    fn has_unknown_keys(&self, path: &[&str]) -> bool {
        let table = self.places.node(path).and_then(Node::as_table);
        table.is_some_and(|members| members.keys().any(|name| CLIENT_KEY.key(name).is_none()))
    }

    fn allowed_routes(&mut self, table: &KeyTable, index: &str, raw: &Raw) {
        let known: Vec<&str> = raw
            .routes
            .iter()
            .filter_map(|route| route.path.as_deref())
            .collect();
        for (at, path) in table.routes.iter().flatten().enumerate() {
            if known.contains(&path.as_str()) {
                continue;
            }
            let place = self
                .places
                .value(&["auth", "keys", index, "routes", &at.to_string()]);
            let message = format!("client key refers to route `{path}`, which does not exist");
            let problem = Problem::error("AUR0206", place, message).label("no route has this path");
            self.problems
                .push(problem.suggest(crate::schema::nearest(path, known.iter().copied())));
        }
    }

    fn unique_names(&mut self, raw: &Raw) {
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        for (index, entry) in raw.auth.keys.iter().enumerate() {
            let KeyEntry::Table(KeyTable {
                name: Some(name), ..
            }) = entry
            else {
                continue;
            };
            let place = self
                .places
                .value(&["auth", "keys", &index.to_string(), "name"]);
            match seen.get(name.as_str()) {
                Some(first) => {
                    let message = format!("two client keys are named `{name}`");
                    let problem = Problem::error("AUR0603", place, message).label("again here");
                    self.problems
                        .push(problem.second(first.clone(), "first here"));
                }
                None => {
                    seen.insert(name, place);
                }
            }
        }
    }
}

fn unnamed(secret: KeySecret) -> ClientKey {
    ClientKey {
        name: String::new(),
        secret,
        models: None,
        routes: None,
        expires: None,
        limits: Limits::default(),
    }
}

fn limits(raw: &raw::Limits) -> Limits {
    Limits {
        requests_per_minute: raw.requests_per_minute,
        tokens_per_minute: raw.tokens_per_minute,
        concurrent: raw.concurrent,
        tokens_per_day: raw.tokens_per_day,
    }
}

/// A key's own limits, with the common ones where it has none.
fn over(own: Limits, common: Limits) -> Limits {
    Limits {
        requests_per_minute: own.requests_per_minute.or(common.requests_per_minute),
        tokens_per_minute: own.tokens_per_minute.or(common.tokens_per_minute),
        concurrent: own.concurrent.or(common.concurrent),
        tokens_per_day: own.tokens_per_day.or(common.tokens_per_day),
    }
}

fn name_the_unnamed(keys: &mut [ClientKey]) {
    let taken: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
    for (index, key) in keys.iter_mut().enumerate() {
        if key.name.is_empty() {
            let mut name = format!("key-{}", index + 1);
            while taken.contains(&name) {
                name.push('x');
            }
            key.name = name;
        }
    }
}
