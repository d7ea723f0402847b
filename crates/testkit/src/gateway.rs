//! The real binary, started on free ports in a folder of its own.

mod admin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::{RawClient, eventually};

/// How to start an Aurora.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    config: String,
    files: BTreeMap<String, Vec<u8>>,
    env: BTreeMap<String, String>,
    args: Vec<String>,
    ports: bool,
}

impl Builder {
    /// Starts `binary` with `config` as its `aurora.toml`.
    pub fn new(binary: impl Into<PathBuf>, config: impl Into<String>) -> Self {
        Self {
            binary: binary.into(),
            config: config.into(),
            files: BTreeMap::new(),
            env: BTreeMap::new(),
            args: Vec::new(),
            ports: true,
        }
    }

    /// Puts a file beside the config.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files
            .insert(name.to_owned(), content.as_ref().to_vec());
        self
    }

    /// Sets an environment variable; no other is inherited but `PATH`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a flag to `aurora serve`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Leaves the addresses to the config, instead of free ports on loopback.
    #[must_use]
    pub fn own_addresses(mut self) -> Self {
        self.ports = false;
        self
    }

    fn command(&self, folder: &Path) -> Command {
        for (name, content) in &self.files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::fs::write(folder.join("aurora.toml"), &self.config).unwrap();
        let mut command = Command::new(&self.binary);
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default());
        command
            .envs(&self.env)
            .args(["serve", "--config", "aurora.toml"]);
        if self.ports {
            command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        }
        command.args(&self.args);
        if let Some(libraries) = libraries() {
            command.arg("--plugin-dir").arg(libraries);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts it and waits until it serves.
    pub async fn start(self) -> Aurora {
        let folder = tempfile::tempdir().unwrap();
        let mut child = self.command(folder.path()).spawn().unwrap();
        let output = Output::default();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        tokio::spawn(output.clone().gather(stdout));
        tokio::spawn(output.clone().gather(stderr));
        eventually("aurora is ready", async || {
            let exited = child.try_wait().unwrap();
            assert!(exited.is_none(), "aurora did not start:\n{}", output.text());
            output.text().contains("\nready in ")
        })
        .await;
        let text = output.text();
        let is_loaded =
            text.contains("plugin loaded plugin=\"chat\"") && !text.contains("plugin refused");
        assert!(
            is_loaded || libraries().is_none(),
            "the libraries were not used:\n{text}"
        );
        let after = |word: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| line.strip_prefix(word))
                .map(str::to_owned)
                .collect()
        };
        Aurora {
            urls: after("listening on "),
            admin: after("admin    ").pop(),
            client: client(),
            folder,
            child,
            output,
        }
    }

    /// Starts it, waits until it has ended by itself, and returns its exit code and everything it wrote.
    pub async fn run_to_end(self) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        let output = tokio::time::timeout(crate::PATIENCE, self.command(folder.path()).output());
        let output = output.await.expect("it ends by itself").unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }
}

/// Where the built-in plugins are as libraries, for tests that are run a second time with these in their place.
fn libraries() -> Option<PathBuf> {
    std::env::var_os("AURORA_TEST_LIBRARIES").map(PathBuf::from)
}

/// A client as a program would have one: no proxy, no redirects, no TLS checks.
fn client() -> reqwest::Client {
    // Only the first call installs it.
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap_or_default();
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap()
}

/// Everything that the process wrote.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<String>>);

impl Output {
    async fn gather(self, stream: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = self.0.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// A running Aurora. Killed, by its id, when dropped.
#[derive(Debug)]
pub struct Aurora {
    urls: Vec<String>,
    admin: Option<String>,
    client: reqwest::Client,
    folder: TempDir,
    child: Child,
    output: Output,
}

impl Aurora {
    /// Where the first public listener is, such as `http://127.0.0.1:4711`.
    pub fn url(&self) -> &str {
        &self.urls[0]
    }

    /// Where all public listeners are.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Where the admin listener is.
    pub fn admin_url(&self) -> &str {
        self.admin.as_deref().expect("there is an admin listener")
    }

    /// The client behind the helpers.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A client that writes bytes.
    pub async fn raw(&self) -> RawClient {
        RawClient::connect(self.url().trim_start_matches("http://")).await
    }

    /// A file beside the config.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Starts a GET.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.url()))
    }

    /// Starts a POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}{path}", self.url()))
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// One chat turn, not streamed.
    pub async fn chat(&self, text: &str) -> reqwest::Response {
        let body =
            serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        self.post("/v1/chat/completions", &body)
            .send()
            .await
            .unwrap()
    }

    /// Starts a streamed chat turn.
    pub async fn chat_stream(&self, text: &str) -> reqwest::Response {
        let body = serde_json::json!({
            "model": "m", "stream": true, "messages": [{"role": "user", "content": text}],
        });
        self.post("/v1/chat/completions", &body)
            .send()
            .await
            .unwrap()
    }

    /// Replaces a file beside the config in place.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Replaces a file as editors do: a new one beside it, renamed over it.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let file = path.file_name().unwrap().display();
        let fresh = path.with_file_name(format!(".{file}.new"));
        std::fs::write(&fresh, content).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    /// Everything that it wrote so far, to either stream.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits until it has written `text`.
    pub async fn wait_for_output(&self, text: &str) {
        eventually(text, async || self.output().contains(text)).await;
    }

    /// Sends a signal such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended; its exit code.
    pub async fn wait_for_exit(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(crate::PATIENCE, self.child.wait()).await;
        ended.expect("it ends").unwrap().code()
    }

    /// Resident memory, bytes.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it ever had, bytes.
    pub fn memory_peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Threads that it has now.
    pub fn threads(&self) -> u64 {
        self.counted("Threads:")
    }

    fn memory(&self, name: &str) -> u64 {
        self.counted(name) * 1024
    }

    fn counted(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }
}
