//! ChatGPT accounts: their files, and the settings of the upstream that uses them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use aurora_config::{
    AccountFile, AccountKind, LoadError, Loaded, Memory, Overrides, PluginInfo, Protocol, Request,
    Severity, Style, TokenSource, load,
};
use secrecy::ExposeSecret;

const WEB: &str = r#"
[tokens.chatgpt]
access = "access.txt"
session = "private/session.txt"
[upstreams.web]
protocol = "chatgpt-web"
tokens = "chatgpt"
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "web"
"#;

fn load_with(text: &str, sources: &Memory) -> Result<Loaded, LoadError> {
    let plugins = [PluginInfo {
        name: "chat".to_owned(),
        methods: vec!["POST".to_owned()],
        is_handler: true,
        is_filter: false,
    }];
    let request = Request {
        text,
        path: Path::new("/srv/aurora.toml"),
        display: "aurora.toml",
        plugins: &plugins,
        refused: &[],
        overrides: &Overrides::default(),
    };
    load(&request, sources)
}

fn loaded(text: &str, sources: &Memory) -> Loaded {
    load_with(text, sources).unwrap_or_else(|error| panic!("{}", error.report.render(Style::Plain)))
}

fn refused(text: &str, sources: &Memory) -> String {
    let error = load_with(text, sources).unwrap_err();
    error.report.render(Style::Plain)
}

fn files(loaded: &Loaded) -> &[AccountFile] {
    match &loaded.config.tokens["chatgpt"].source {
        TokenSource::ChatGpt { files } => files,
        TokenSource::Keys(_) => panic!("not accounts"),
    }
}

#[test]
fn account_files_are_read_and_a_missing_one_is_a_warning_with_its_path() {
    let sources = Memory::new().file("/srv/access.txt", "\u{feff}# mine\r\neyJ.a.b:team\r\n");

    let loaded = loaded(WEB, &sources);

    let [access, session] = files(&loaded) else {
        panic!("not two files")
    };
    assert_eq!(access.kind, AccountKind::Access);
    assert_eq!(access.path, Path::new("/srv/access.txt"));
    let text = access.text.as_ref().unwrap().expose_secret();
    assert_eq!(text, "# mine\r\neyJ.a.b:team\r\n");
    assert_eq!(session.kind, AccountKind::Session);
    assert!(session.text.is_none());
    let [warning] = loaded.warnings.diagnostics() else {
        panic!("not one warning")
    };
    assert_eq!(warning.severity, Severity::Warning);
    assert_eq!((warning.code, warning.line), ("AUR0909", Some(4)));
    assert_eq!(
        warning.message,
        "account file `/srv/private/session.txt` does not exist"
    );
    let watched = ["/srv/access.txt", "/srv/private/session.txt"].map(PathBuf::from);
    assert_eq!(loaded.files, watched);
}

#[test]
fn a_folder_and_bytes_that_are_no_text_are_errors() {
    let sources = Memory::new()
        .folder("/srv/access.txt")
        .file("/srv/private/session.txt", b"one\n\xff\n".to_vec());

    let report = refused(WEB, &sources);

    assert!(report.contains("AUR0402"), "{report}");
    assert!(report.contains("aurora.toml:3:10"), "{report}");
    assert!(
        report.contains("private/session.txt:2: not UTF-8 text"),
        "{report}"
    );
}

#[test]
fn the_upstream_has_its_defaults_and_takes_what_is_written() {
    let written = WEB.replace(
        "tokens = \"chatgpt\"\n",
        "tokens = \"chatgpt\"\nqueue_wait = \"5s\"\noauth_client_id = \"mine\"\n\
         session_url = \"http://127.0.0.1:1/s\"\ntimeouts = { image = \"1m\", connect = \"1s\" }\n",
    );

    let configs = [WEB, &written].map(|text| loaded(text, &Memory::new()).config);
    let waits = configs
        .each_ref()
        .map(|config| config.upstreams["web"].queue_wait);
    assert_eq!(waits, [30, 5].map(Duration::from_secs));
    let [plain, changed] = configs.map(|config| match &config.upstreams["web"].protocol {
        Protocol::ChatGptWeb(web) => web.clone(),
        _ => panic!("not chatgpt-web"),
    });

    assert_eq!(
        plain.oauth_url.as_str(),
        "https://auth.openai.com/oauth/token"
    );
    assert_eq!(plain.oauth_client_id, "pdlLIX2Y72MIl2rhLhTE9VV9bN905kBh");
    let redirect = "com.openai.chat://auth.openai.com/ios/com.openai.chat/callback";
    assert_eq!(plain.oauth_redirect_uri, redirect);
    assert_eq!(
        plain.session_url.as_str(),
        "https://chatgpt.com/api/auth/session"
    );
    assert_eq!(plain.image_timeout, Duration::from_mins(5));
    assert_eq!(plain.handoff_timeout, Duration::from_mins(20));
    assert_eq!(changed.oauth_client_id, "mine");
    assert_eq!(changed.session_url.as_str(), "http://127.0.0.1:1/s");
    assert_eq!(changed.image_timeout, Duration::from_mins(1));
    assert_eq!(changed.handoff_timeout, Duration::from_mins(20));
}

#[test]
fn settings_of_accounts_are_refused_with_another_protocol() {
    let text = r#"
[upstreams.local]
protocol = "openai"
base_url = "http://127.0.0.1:1/v1"
oauth_url = "http://127.0.0.1:1/o"
timeouts = { image = "1m", idle = "1m" }
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "local"
"#;

    let report = refused(text, &Memory::new());

    for key in ["oauth_url", "image"] {
        let message = format!("`{key}` is not a setting of protocol openai");
        assert!(report.contains(&message), "{report}");
    }
    assert_eq!(report.matches("AUR0110").count(), 2, "{report}");
}

#[test]
fn the_server_says_how_it_is_reached_and_what_it_fetches() {
    let text =
        format!("[server]\nfetch_private = true\npublic_url = \"https://ai.example.org/x\"\n{WEB}");

    let written = loaded(&text, &Memory::new()).config.server;
    let plain = loaded(WEB, &Memory::new()).config.server;

    assert!(written.fetch_private && !plain.fetch_private);
    assert_eq!(
        written.public_url.unwrap().as_str(),
        "https://ai.example.org/x"
    );
    assert_eq!(plain.public_url, None);
}

#[test]
fn a_proxy_can_keep_its_password_in_the_environment() {
    let text = WEB.replace(
        "tokens = \"chatgpt\"\n",
        "tokens = \"chatgpt\"\nproxy = { env = \"MY_PROXY\" }\n",
    );
    let sources = Memory::new().variable("MY_PROXY", " socks5h://u:hunter2@127.0.0.1:1080 ");

    let loaded = loaded(&text, &sources);

    let proxy = loaded.config.upstreams["web"].proxy.as_ref().unwrap();
    assert_eq!(proxy.password(), Some("hunter2"));
    let unset = refused(&text, &Memory::new());
    assert!(
        unset.contains("environment variable `MY_PROXY` is not set"),
        "{unset}"
    );
    let bad = Memory::new().variable("MY_PROXY", "ftp://u:hunter2@127.0.0.1");
    let bad = refused(&text, &bad);
    assert!(
        bad.contains("error[AUR0106]: `MY_PROXY` must be a URL of scheme"),
        "{bad}"
    );
    assert!(!bad.contains("hunter2"), "{bad}");
    for table in ["{}", "{ file = \"p\" }", "{ env = 1 }"] {
        let text = text.replace("{ env = \"MY_PROXY\" }", table);
        let report = refused(&text, &Memory::new());
        assert!(report.contains("aurora.toml:8:"), "{report}");
    }
}
