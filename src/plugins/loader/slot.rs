//! One library file and the versions that came out of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aurora_sdk::abi::import::Around;

use super::{Look, Settings};
use crate::plugins::file::{self, Content, Hash, Stamp, hex};
use crate::plugins::generation::{Generation, Origin};
use crate::plugins::health::{Health, Telling};
use crate::plugins::trust;

/// Versions before the one that serves that can be gone back to.
const HISTORY: usize = 2;

/// See the module.
pub(super) struct Slot {
    pub(super) path: PathBuf,
    /// The file is gone; what was loaded serves on.
    pub(super) is_missing: bool,
    /// The name that it serves under.
    serving_as: Option<String>,
    serving: Option<Arc<Generation>>,
    /// Loaded, and not yet served.
    next: Option<Arc<Generation>>,
    /// The newest last.
    history: Vec<Arc<Generation>>,
    refused: Option<Refused>,
    /// Loaded, and refused under a config that may change.
    rejected: Option<Rejected>,
    /// Content that was looked at last.
    seen: Option<Stamp>,
    /// Versions that were loaded.
    count: u64,
}

struct Refused {
    /// `None`: the content could not be read.
    hash: Option<Hash>,
    reason: String,
    at: SystemTime,
    /// Other settings change nothing about it.
    is_final: bool,
}

/// A version that a config could not use.
struct Rejected {
    generation: Arc<Generation>,
    config: Hash,
}

/// What an operator may see of a file.
#[derive(Debug, Clone)]
pub(crate) struct SlotStatus {
    pub(crate) name: Option<String>,
    pub(crate) file: PathBuf,
    pub(crate) is_missing: bool,
    pub(crate) serving: Option<Arc<Generation>>,
    /// Versions that can be gone back to, the newest last.
    pub(crate) history: Vec<u64>,
    /// Why the file's content does not serve, and since when.
    pub(crate) refused: Option<(String, SystemTime)>,
    /// Versions that were loaded, and are mapped unless they could be unmapped.
    pub(crate) loaded: u64,
}

impl Slot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            is_missing: false,
            serving_as: None,
            serving: None,
            next: None,
            history: Vec::new(),
            refused: None,
            rejected: None,
            seen: None,
            count: 0,
        }
    }

    /// Looks at the file, and loads it where its content is new.
    pub(super) fn look(&mut self, look: &Look<'_>) {
        let (settings, telling) = (look.settings, look.telling);
        let stamp = Stamp::of(&self.path);
        // A name or a trust setting may have changed what is refused, so only what is good is left alone.
        if stamp.is_some() && stamp == self.seen && self.refused.is_none() {
            return;
        }
        let content = match file::read(&self.path) {
            Ok(content) => content,
            Err(reason) => return self.note_refusal(None, (reason, false), telling),
        };
        self.seen = stamp;
        let hash = content.hash;
        if let Err(reason) = trust::check(&self.path, &content, &settings.trust) {
            return self.note_refusal(Some(hash), (reason, false), telling);
        }
        // The same bytes do not get better by being looked at again.
        let is_refused = |refused: &Refused| refused.hash == Some(hash) && refused.is_final;
        if self.refused.as_ref().is_some_and(is_refused) {
            return;
        }
        if has(self.serving.as_ref(), hash) {
            self.next = None;
            self.refused = None;
            return;
        }
        if has(self.next.as_ref(), hash) {
            return;
        }
        if let Some(generation) = self.loaded_before(hash) {
            return self.take(generation, look);
        }
        match self.load(&content, look) {
            Ok(generation) => self.take(Arc::new(generation), look),
            Err(refusal) => self.note_refusal(Some(hash), refusal, telling),
        }
    }

    /// A version that was loaded from these very bytes and can serve again.
    fn loaded_before(&self, hash: Hash) -> Option<Arc<Generation>> {
        let rejected = self.rejected.as_ref().map(|rejected| &rejected.generation);
        self.history
            .iter()
            .chain(rejected)
            .find(|generation| generation.origin.hash == hash)
            .map(Arc::clone)
    }

    /// Takes a loaded version as the next one, unless this very config cannot use it.
    fn take(&mut self, generation: Arc<Generation>, look: &Look<'_>) {
        let is_rejected = self.rejected.as_ref().is_some_and(|rejected| {
            Arc::ptr_eq(&rejected.generation, &generation) && rejected.config == look.config
        });
        if is_rejected {
            return;
        }
        match self.check_name(&generation, look.settings) {
            Ok(()) => {
                self.refused = None;
                self.next = Some(generation);
            }
            Err(reason) => self.reject(&generation, &reason, look.config, look.telling),
        }
    }

    /// Loads the file; an error says whether other settings could change it.
    fn load(&mut self, content: &Content, look: &Look<'_>) -> Result<Generation, (String, bool)> {
        let (settings, telling) = (look.settings, look.telling);
        let cap = settings.max_generations as u64;
        if self.count >= cap {
            let reason = format!(
                "{} versions of it are loaded, which is all that `max_generations` of [plugins] allows, because old ones stay \
                 mapped: restart Aurora to load another",
                self.count
            );
            return Err((reason, false));
        }
        let number = self.count + 1;
        let name = self
            .configured_name(settings)
            .unwrap_or_else(|| stem(&self.path));
        let max_blocking = settings.grant(&name).max_concurrency;
        let health = Health::new((&name, number), telling, settings.on_panic, max_blocking);
        let health = Arc::new(health);
        // Whatever happens then: once its code has run it stays mapped.
        self.count = number;
        let opened = look
            .copies
            .load(content, Arc::clone(&health) as Arc<dyn Around>)
            .map_err(|reason| (reason, true))?;
        let origin = Origin {
            file: self.path.clone(),
            hash: content.hash,
        };
        let generation = Generation::new(number, origin, opened.plugin, health, opened.mapped);
        tracing::info!(
            plugin = generation.manifest.name,
            version = generation.manifest.version,
            generation = number,
            file = %self.path.display(),
            sha256 = hex(&content.hash),
            "plugin loaded"
        );
        Ok(generation)
    }

    /// A file goes on to be the same plugin.
    fn check_name(&self, generation: &Generation, settings: &Settings) -> Result<(), String> {
        let Some(serving) = self
            .serving
            .as_ref()
            .filter(|_| self.configured_name(settings).is_none())
        else {
            return Ok(());
        };
        let (was, is) = (&serving.manifest.name, &generation.manifest.name);
        if was == is {
            return Ok(());
        }
        Err(format!(
            "it calls itself `{is}`, and the plugin that serves from this file is `{was}`: give it a file of its own"
        ))
    }

    /// The name that the operator gave to this file.
    fn configured_name(&self, settings: &Settings) -> Option<String> {
        let file = self.path.file_name()?.to_str()?;
        settings
            .named
            .iter()
            .find(|(_, plugin)| plugin.file.as_deref() == Some(file))
            .map(|(name, _)| name.clone())
    }

    /// The name that routes use.
    pub(super) fn name(&self, settings: &Settings) -> Option<String> {
        let own = || {
            self.best()
                .map(|generation| generation.manifest.name.clone())
        };
        self.configured_name(settings).or_else(own)
    }

    /// What should serve.
    pub(super) fn best(&self) -> Option<&Arc<Generation>> {
        self.next.as_ref().or(self.serving.as_ref())
    }

    pub(super) fn refusal(&self) -> Option<&str> {
        self.refused.as_ref().map(|refused| refused.reason.as_str())
    }

    pub(super) fn is_replaceable(&self, generation: &Arc<Generation>) -> bool {
        let is_next = self
            .next
            .as_ref()
            .is_some_and(|next| Arc::ptr_eq(next, generation));
        is_next && self.serving.is_some()
    }

    /// `config` cannot use `generation`.
    pub(super) fn reject(
        &mut self,
        generation: &Arc<Generation>,
        reason: &str,
        config: Hash,
        telling: &Telling,
    ) {
        self.next = None;
        self.rejected = Some(Rejected {
            generation: Arc::clone(generation),
            config,
        });
        self.note_refusal(
            Some(generation.origin.hash),
            (reason.to_owned(), false),
            telling,
        );
    }

    /// Remembers why the content does not serve; said once.
    fn note_refusal(
        &mut self,
        hash: Option<Hash>,
        (reason, is_final): (String, bool),
        telling: &Telling,
    ) {
        let is_known = self
            .refused
            .as_ref()
            .is_some_and(|refused| refused.hash == hash && refused.reason == reason);
        if is_known {
            return;
        }
        let name = self.serving_as.clone().unwrap_or_else(|| stem(&self.path));
        let serves = self.serving.as_ref().map(|generation| generation.number);
        tracing::error!(
            file = %self.path.display(),
            sha256 = hash.as_ref().map(hex),
            serving_generation = serves,
            reason,
            "plugin refused"
        );
        let what = "Libraries that were refused";
        telling
            .metrics
            .count("aurora_plugin_load_failures_total", what, &name);
        self.refused = Some(Refused {
            hash,
            reason,
            at: SystemTime::now(),
            is_final,
        });
    }

    pub(super) fn commit(&mut self, name: &str, generation: &Arc<Generation>, settings: &Settings) {
        self.serving_as = Some(name.to_owned());
        if self
            .serving
            .as_ref()
            .is_some_and(|serving| Arc::ptr_eq(serving, generation))
        {
            return;
        }
        self.next = None;
        let Some(old) = self.serving.replace(Arc::clone(generation)) else {
            return;
        };
        tracing::info!(
            plugin = name,
            from = old.number,
            to = generation.number,
            "plugin replaced"
        );
        self.history.retain(|one| !Arc::ptr_eq(one, generation));
        // One that was rolled back is not gone back to.
        let is_refused = self
            .refused
            .as_ref()
            .is_some_and(|refused| refused.hash == Some(old.origin.hash));
        if is_refused {
            old.retire(settings.unload);
        } else {
            self.history.push(old);
        }
        while self.history.len() > HISTORY {
            self.history.remove(0).retire(settings.unload);
        }
    }

    pub(super) fn serves_as(&self, name: &str) -> bool {
        self.serving.is_some() && self.serving_as.as_deref() == Some(name)
    }

    pub(super) fn roll_back(&mut self, why: &str, telling: &Telling) -> Result<u64, String> {
        let Some(before) = self.history.pop() else {
            return Err("no version of it served before this one".to_owned());
        };
        if let Some(serving) = &self.serving {
            let hash = serving.origin.hash;
            self.note_refusal(Some(hash), (format!("rolled back: {why}"), true), telling);
        }
        let number = before.number;
        self.next = Some(before);
        Ok(number)
    }

    /// Its name, where what serves panicked too often and there is something to go back to.
    pub(super) fn failing(&self) -> Option<String> {
        let serving = self.serving.as_ref()?;
        let may_go_back =
            serving.health.is_failing() && self.next.is_none() && !self.history.is_empty();
        may_go_back.then(|| self.serving_as.clone())?
    }

    pub(super) fn status(&self) -> SlotStatus {
        SlotStatus {
            name: self.serving_as.clone(),
            file: self.path.clone(),
            is_missing: self.is_missing,
            serving: self.serving.clone(),
            history: self
                .history
                .iter()
                .map(|generation| generation.number)
                .collect(),
            refused: self
                .refused
                .as_ref()
                .map(|refused| (refused.reason.clone(), refused.at)),
            loaded: self.count,
        }
    }
}

fn has(generation: Option<&Arc<Generation>>, hash: Hash) -> bool {
    generation.is_some_and(|generation| generation.origin.hash == hash)
}

/// The name that a file suggests: `libhello.so` is `hello`.
pub(super) fn stem(path: &Path) -> String {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("unnamed");
    stem.strip_prefix("lib").unwrap_or(stem).replace('_', "-")
}
