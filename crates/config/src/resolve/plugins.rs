//! `[plugins]` and `[plugins.NAME]`.

use std::collections::BTreeMap;

use super::Resolver;
use crate::diagnostic::Problem;
use crate::raw::{self, Raw};
use crate::schema::words;
use crate::settings::plugins::{Grant, OnPanic, PluginSettings, Plugins, Trust, Unload};

impl Resolver<'_> {
    pub(crate) fn plugins(&mut self, raw: &Raw) -> Plugins {
        let settings = &raw.plugins;
        self.one_file_each(&settings.named);
        let named = settings.named.iter().map(|(name, plugin)| {
            let settings = PluginSettings {
                options: plugin.options.clone(),
                file: plugin.file.clone(),
                grant: self.grant(name, &plugin.grant),
            };
            (name.clone(), settings)
        });
        let named = named.collect();
        Plugins {
            dir: self.absolute(&settings.dir),
            trust: self.trust(settings),
            filters: self.filters(&settings.filters, &["plugins", "filters"]),
            unload: match settings.unload.as_str() {
                "if-safe" => Unload::IfSafe,
                _ => Unload::Never,
            },
            max_generations: settings.max_generations,
            drain: settings.drain,
            on_panic: self.on_panic(settings),
            named,
        }
    }

    fn trust(&mut self, settings: &raw::Plugins) -> Trust {
        let (trust, needed) = match settings.trust.as_str() {
            "allow-list" => {
                let digests = settings.allow.iter();
                let digests = digests.filter_map(|digest| words::digest(digest).ok());
                (Trust::AllowList(digests.collect()), Some("allow"))
            }
            "signature" => {
                let keys = settings.public_keys.clone();
                (Trust::Signature(keys), Some("public_keys"))
            }
            _ => (Trust::OwnerCheck, None),
        };
        for (key, word) in [("allow", "allow-list"), ("public_keys", "signature")] {
            let is_written = self.places.has(&["plugins", key]);
            if needed == Some(key) && !is_written {
                self.needs(key, word);
            } else if needed != Some(key) && is_written {
                self.idle(
                    key,
                    &format!("`trust` is \"{}\"", settings.trust),
                    &format!("trust = \"{word}\""),
                );
            }
        }
        trust
    }

    fn needs(&mut self, key: &str, word: &str) {
        let place = self.places.value(&["plugins", "trust"]);
        let message = format!("`trust = \"{word}\"` needs `{key}`, so no library could be loaded");
        let problem = Problem::error("AUR0114", place, message).label(format!("needs `{key}`"));
        self.problems.push(problem.help(match key {
            "allow" => "`allow = [\"sha256:...\"]` lists what `sha256sum` prints for each library",
            _ => "`public_keys = [\"RW...\"]` lists the keys of who signs your libraries",
        }));
    }

    fn on_panic(&mut self, settings: &raw::Plugins) -> OnPanic {
        if settings.on_panic != "keep" {
            return OnPanic::Rollback {
                panics: settings.panics,
                window: settings.panic_window,
            };
        }
        for key in ["panics", "panic_window"] {
            if self.places.has(&["plugins", key]) {
                self.idle(key, "`on_panic` is \"keep\"", "on_panic = \"rollback\"");
            }
        }
        OnPanic::Keep
    }

    /// A setting that another one makes pointless.
    fn idle(&mut self, key: &str, because: &str, wanted: &str) {
        // The other one may be the one that is wrong.
        if !self.plugins_are_sound {
            return;
        }
        let place = self.places.key(&["plugins", key]);
        let message = format!("`{key}` has no effect, since {because}");
        let problem = Problem::warning("AUR0910", place, message).label("no effect");
        self.problems
            .push(problem.help(format!("it needs `{wanted}`")));
    }

    fn grant(&mut self, plugin: &str, raw: &raw::Grant) -> Grant {
        let mut upstreams: Vec<String> = Vec::new();
        for (index, name) in raw.upstreams.iter().enumerate() {
            let index = index.to_string();
            let key = ["plugins", plugin, "grant", "upstreams", &index];
            let place = self.places.value(&key);
            if upstreams.contains(name) {
                let message = format!("upstream `{name}` is listed twice");
                self.problems
                    .push(Problem::error("AUR0306", place, message).label("again here"));
                continue;
            }
            let who = format!("the grant of plugin `{plugin}`");
            self.upstream_exists(name, &who, "AUR0208", place);
            upstreams.push(name.clone());
        }
        Grant {
            upstreams,
            max_concurrency: raw.max_concurrency,
        }
    }

    fn one_file_each(&mut self, named: &BTreeMap<String, raw::Plugin>) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, plugin) in named {
            let Some(file) = plugin.file.as_deref() else {
                continue;
            };
            let Some(other) = seen.insert(file, name) else {
                continue;
            };
            let place = |name: &str| self.places.value(&["plugins", name, "file"]);
            let message = format!("plugins `{other}` and `{name}` name the same library");
            let problem = Problem::error("AUR0308", place(name), message)
                .label("again here")
                .second(place(other), "first here")
                .help("a second version of a plugin is a file of its own");
            self.problems.push(problem);
        }
    }
}
