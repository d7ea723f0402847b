//! What a reload reads: the config file, and through it every file and variable that it names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aurora_config::{Loaded, Overrides, Request, Sources, Style, System};
use sha2::{Digest as _, Sha256};

use crate::plugins::Plugins;

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

    /// Reads and checks everything anew, off the async threads.
    pub(super) async fn load(&self, plugins: &Plugins) -> (Digest, Result<Box<Loaded>, Refusal>) {
        let (inputs, plugins) = (self.clone(), plugins.clone());
        let read = tokio::task::spawn_blocking(move || inputs.load_now(&plugins, Style::Plain));
        read.await
            .unwrap_or_else(|error| ([0; 32], Err(refusal(error.to_string(), Vec::new()))))
    }

    /// As [`Inputs::load`], on this thread.
    pub(crate) fn load_now(
        &self,
        plugins: &Plugins,
        style: Style,
    ) -> (Digest, Result<Box<Loaded>, Refusal>) {
        let dotenv = std::env::current_dir().unwrap_or_default().join(".env");
        let sources = Recording {
            system: System::with_dotenv(dotenv),
            seen: Mutex::default(),
        };
        let loaded = self.read(&sources, plugins, style);
        (sources.digest(), loaded)
    }

    fn read(
        &self,
        sources: &Recording,
        plugins: &Plugins,
        style: Style,
    ) -> Result<Box<Loaded>, Refusal> {
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
        let request = Request {
            text: text.strip_prefix('\u{feff}').unwrap_or(&text),
            path: &self.path,
            display,
            plugins: &plugins.infos(),
            overrides: &self.overrides,
        };
        aurora_config::load(&request, sources)
            .map(Box::new)
            .map_err(|error| Refusal {
                report: error.report.render(style),
                json: error.report.to_json(),
                files: error.files,
            })
    }
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
