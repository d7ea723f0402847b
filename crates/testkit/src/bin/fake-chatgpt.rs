//! The fake ChatGPT web service as a program, to try the gateway against by hand.
//!
//! It prints where it is and what it takes, and ends on SIGINT, SIGTERM, or with its standard input.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::io::Read as _;
use std::path::{Path, PathBuf};

use aurora_testkit::FakeChatGpt;
use aurora_testkit::chatgpt::Reply;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A fake of the ChatGPT web service on loopback.
#[derive(Debug, Parser)]
#[command(name = "fake-chatgpt")]
struct Flags {
    /// Port of the service; the blob store takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Writes the four token files (access, refresh, session, free) into this folder.
    #[arg(long, value_name = "DIR")]
    write_dir: Option<PathBuf>,
    /// Ends when standard input is closed.
    #[arg(long)]
    until_stdin_closes: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let flags = Flags::parse();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let web = FakeChatGpt::start_on(flags.port).await;
    mark(&web);
    let credentials = Credentials::new(&web);
    if let Some(folder) = &flags.write_dir {
        credentials.write(folder)?;
    }
    let folder = flags.write_dir.unwrap_or_else(|| PathBuf::from("."));
    println!("{}", credentials.describe(&web, &folder));
    let (closed, mut stdin_closed) = tokio::sync::mpsc::channel::<()>(1);
    let _watcher = flags
        .until_stdin_closes
        .then(|| std::thread::spawn(move || wait_for_stdin(&closed)));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        Some(()) = stdin_closed.recv() => {}
    }
    Ok(())
}

/// Words in a user's text that choose an answer.
fn mark(web: &FakeChatGpt) {
    for name in FakeChatGpt::transcripts() {
        web.reply_when(&format!("transcript:{name}"), Reply::transcript(name));
    }
    for name in Reply::refusals() {
        web.reply_when(&format!("refusal:{name}"), Reply::refusal(name));
    }
    web.reply_when("handoff:", Reply::handoff("After a long thought: 42."));
    web.reply_when("late picture:", Reply::async_image(2));
    web.reply_when("quota:", Reply::image_quota("14 minutes"));
}

/// On a thread of its own: reading standard input cannot be broken off.
fn wait_for_stdin(closed: &tokio::sync::mpsc::Sender<()>) {
    let mut void = [0; 1024];
    let mut stdin = std::io::stdin().lock();
    while matches!(stdin.read(&mut void), Ok(length) if length > 0) {}
    closed.blocking_send(()).unwrap_or_default();
}

struct Credentials {
    access: String,
    refresh: String,
    session: String,
    device: String,
}

impl Credentials {
    /// One account per kind, so that all of them can be used at the same time.
    fn new(web: &FakeChatGpt) -> Self {
        Self {
            access: web.account("alice"),
            refresh: web.refresh_token("bob"),
            session: web.session_token("carol"),
            device: web.device(),
        }
    }

    fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, token) in [
            ("access_tokens.txt", &self.access),
            ("refresh_tokens.txt", &self.refresh),
            ("session_tokens.txt", &self.session),
            ("free_tokens.txt", &self.device),
        ] {
            std::fs::write(folder.join(name), format!("{token}\n"))?;
        }
        Ok(())
    }

    fn describe(&self, web: &FakeChatGpt, folder: &Path) -> String {
        let (base, oauth, session) = (web.base_url(), web.oauth_url(), web.session_url());
        let folder = folder.display();
        format!(
            r#"base URL       {base}
OAuth URL      {oauth}
session URL    {session}
blob URL       {blob}
access token   {access}
refresh token  {refresh}
session token  {session_token}
device id      {device}

A user's text chooses an answer by these words; any other text gets one that names what was asked.
transcript:NAME  {transcripts}
refusal:NAME     {refusals}
handoff:         late picture:         quota:

# aurora.toml
[upstreams.chatgpt]
protocol = "chatgpt-web"
base_url = "{base}"
oauth_url = "{oauth}"
session_url = "{session}"
tokens = "chatgpt"

[tokens.chatgpt]
access = "{folder}/access_tokens.txt"
refresh = "{folder}/refresh_tokens.txt"
session = "{folder}/session_tokens.txt"
device = "{folder}/free_tokens.txt"

[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "chatgpt"
"#,
            blob = web.blob_url(),
            transcripts = FakeChatGpt::transcripts().join(" "),
            refusals = Reply::refusals().join(" "),
            access = self.access,
            refresh = self.refresh,
            session_token = self.session,
            device = self.device,
        )
    }
}
