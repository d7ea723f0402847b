//! What a reload reads: the config file, and through it every file and variable that it names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aurora_config::{Loaded, Overrides, RefusedPlugin, Request, Sources, Style, System};
use sha2::{Digest as _, Sha256};

use crate::plugins::{Loader, Plugins};

/// Fingerprint of everything that was read: decides whether anything has changed at all.
pub(super) type Digest = [u8; 32];

/// Where the config comes from.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    /// As the user wrote it.
    display: String,
    /// Absolute.
    path: PathBuf,
    overrides: Overrides,
}

/// A config that cannot be used.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The rendered report.
    pub(crate) report: String,
    /// The same for machines.
    pub(crate) json: String,
    /// What mending may touch.
    pub(crate) files: Vec<PathBuf>,
}

impl Inputs {
    /// Inputs from the file at `config`.
    pub(crate) fn new(config: PathBuf, overrides: Overrides) -> Self {
        let display = config.display().to_string();
        let path = std::path::absolute(&config).unwrap_or(config);
        Self {
            display,
            path,
            overrides,
        }
    }

    /// The config file, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks everything anew, and loads what is new in the plugin folder; blocks.
    pub(crate) fn load(&self, loader: &mut Loader, style: Style) -> Found {
        let dotenv = std::env::current_dir().unwrap_or_default().join(".env");
        let sources = Recording {
            system: System::with_dotenv(dotenv),
            seen: Mutex::default(),
        };
        let text = match self.text(&sources) {
            Ok(text) => text,
            Err(refusal) => {
                return Found {
                    digest: sources.digest(),
                    config: [0; 32],
                    plugins: Plugins::builtin(),
                    plugin_dir: None,
                    loaded: Err(refusal),
                };
            }
        };
        let request = self.request(&text);
        let config = Sha256::digest(text.as_bytes()).into();
        let (settings, data_dir) = aurora_config::plugins_of(&request, &sources);
        loader.scan(&settings, &data_dir, config);
        let plugins = loader.plugins(&settings);
        for (path, hash) in loader.hashes() {
            let path = path.as_os_str().as_encoded_bytes();
            sources.note(&[path, hash.as_ref().map_or(&[][..], |hash| hash)]);
        }
        let loaded = read(&request, &plugins, &sources, style);
        Found {
            digest: sources.digest(),
            config,
            plugins,
            plugin_dir: Some(settings.dir),
            loaded,
        }
    }

    /// What `[plugins]` says, and `data_dir`; where there is no config file, their defaults.
    ///
    /// # Errors
    /// Why the file cannot be read.
    pub(crate) fn plugin_settings(&self) -> Result<(aurora_config::Plugins, PathBuf), Refusal> {
        let sources = Recording {
            system: System::with_dotenv(std::env::current_dir().unwrap_or_default().join(".env")),
            seen: Mutex::default(),
        };
        let text = if self.path.exists() {
            self.text(&sources)?
        } else {
            String::new()
        };
        Ok(aurora_config::plugins_of(&self.request(&text), &sources))
    }

    fn request<'a>(&'a self, text: &'a str) -> Request<'a> {
        Request {
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            path: &self.path,
            display: &self.display,
            plugins: &[],
            refused: &[],
            overrides: &self.overrides,
        }
    }

    /// The config file's text.
    fn text(&self, sources: &Recording) -> Result<String, Refusal> {
        let display = &self.display;
        let bytes = sources.read(&self.path).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => {
                    "; name another file with --config, or copy the aurora.toml that comes with Aurora"
                }
                _ => "",
            };
            refusal(format!("error: cannot read `{display}`: {error}{hint}"), Vec::new())
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            refusal(
                format!("error: `{display}` is not UTF-8 text (byte {at})"),
                Vec::new(),
            )
        })?;
        if text.trim().is_empty() {
            // Most likely caught between an editor's truncating and writing.
            return Err(refusal(format!("error: `{display}` is empty"), Vec::new()));
        }
        Ok(text)
    }
}

impl Found {
    /// Nothing could be read.
    pub(super) fn failed(why: &str) -> Self {
        Self {
            digest: [0; 32],
            config: [0; 32],
            plugins: Plugins::builtin(),
            plugin_dir: None,
            loaded: Err(refusal(format!("error: {why}"), Vec::new())),
        }
    }
}

/// What there is to serve.
pub(crate) struct Found {
    /// Of everything that was read.
    pub(super) digest: Digest,
    /// Of the config file alone.
    pub(super) config: Digest,
    /// The plugins that the config can name.
    pub(crate) plugins: Plugins,
    /// Where libraries are looked for; `None` where that could not be read.
    pub(super) plugin_dir: Option<PathBuf>,
    /// The config.
    pub(crate) loaded: Result<Box<Loaded>, Refusal>,
}

fn read(
    request: &Request<'_>,
    plugins: &Plugins,
    sources: &Recording,
    style: Style,
) -> Result<Box<Loaded>, Refusal> {
    let (infos, refused): (_, &[RefusedPlugin]) = (plugins.infos(), plugins.refused());
    let request = Request {
        plugins: &infos,
        refused,
        ..*request
    };
    aurora_config::load(&request, sources)
        .map(Box::new)
        .map_err(|error| Refusal {
            report: error.report.render(style),
            json: error.report.to_json(),
            files: error.files,
        })
}

fn refusal(report: String, files: Vec<PathBuf>) -> Refusal {
    let json = serde_json::json!({
        "errors": 1,
        "warnings": 0,
        "diagnostics": [{ "severity": "error", "message": report }],
    });
    Refusal {
        report,
        json: json.to_string(),
        files,
    }
}

/// The real environment and files, remembering a fingerprint of what they said.
struct Recording {
    system: System,
    seen: Mutex<Sha256>,
}

impl Recording {
    fn note(&self, parts: &[&[u8]]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            seen.update(part.len().to_be_bytes());
            seen.update(part);
        }
    }

    fn digest(self) -> Digest {
        self.seen
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .finalize()
            .into()
    }
}

impl Sources for Recording {
    fn env(&self, name: &str) -> Option<String> {
        let value = self.system.env(name);
        self.note(&[
            name.as_bytes(),
            value.as_deref().unwrap_or_default().as_bytes(),
        ]);
        value
    }

    fn env_names(&self) -> Vec<String> {
        self.system.env_names()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.system.read(path);
        let path = path.as_os_str().as_encoded_bytes();
        match &content {
            Ok(bytes) => self.note(&[path, b"ok", bytes]),
            Err(error) => self.note(&[path, b"error", error.to_string().as_bytes()]),
        }
        content
    }

    fn files(&self) -> Vec<PathBuf> {
        self.system.files()
    }
}
