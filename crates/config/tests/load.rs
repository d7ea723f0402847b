//! Configurations that load: values, layers, files, secrets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use aurora_config::{
    KeySecret, LoadError, Loaded, Memory, Overrides, PluginInfo, Protocol, Request, Severity,
    Strategy, Style, TokenSource, load,
};
use secrecy::ExposeSecret;

const ARCHITECTURE: &str = include_str!("architecture.toml");

const MINIMAL: &str = r#"
[upstreams.mock]
protocol = "mock"
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "mock"
"#;

fn load_with(text: &str, sources: &Memory, overrides: &Overrides) -> Result<Loaded, LoadError> {
    let plugins = ["chat", "passthrough", "audit"].map(|name| PluginInfo {
        name: name.to_owned(),
        is_handler: name != "audit",
        is_filter: name == "audit",
        methods: if name == "chat" {
            vec!["POST".to_owned()]
        } else {
            Vec::new()
        },
    });
    let request = Request {
        text,
        path: Path::new("/srv/aurora.toml"),
        display: "aurora.toml",
        plugins: &plugins,
        refused: &[],
        overrides,
    };
    load(&request, sources)
}

fn loaded(text: &str, sources: &Memory) -> Loaded {
    load_with(text, sources, &Overrides::default())
        .unwrap_or_else(|error| panic!("{}", error.report.render(Style::Plain)))
}

fn refused(text: &str, sources: &Memory) -> LoadError {
    load_with(text, sources, &Overrides::default()).unwrap_err()
}

#[test]
fn the_example_of_the_architecture_loads() {
    let sources = Memory::new().variable("AURORA_KEY", "sk-from-env").file(
        "/srv/openai_keys.txt",
        "\u{feff}# keys\r\nsk-1\r\n\r\n  sk-2\r\n",
    );

    let loaded = loaded(ARCHITECTURE, &sources);

    let config = &loaded.config;
    assert_eq!(config.server.listen, ["127.0.0.1:8080"]);
    assert_eq!(config.server.max_body, 32 << 20);
    assert_eq!(
        config.server.keep_alive_comment,
        Some(Duration::from_secs(15))
    );
    assert_eq!(config.server.data_dir, Path::new("/srv"));
    assert_eq!(config.admin.as_ref().unwrap().listen, "127.0.0.1:9090");
    let names: Vec<&str> = config
        .auth
        .keys
        .iter()
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(names, ["key-1", "key-2"]);
    let KeySecret::Plain(second) = &config.auth.keys[1].secret else {
        panic!("not plain")
    };
    assert_eq!(second.expose_secret(), "sk-from-env");
    let TokenSource::Keys(tokens) = &config.tokens["openai"].source else {
        panic!("not keys")
    };
    let origins: Vec<&str> = tokens.iter().map(|token| token.origin.as_str()).collect();
    assert_eq!(origins, ["openai_keys.txt:2", "openai_keys.txt:4"]);
    assert_eq!(tokens[1].secret.expose_secret(), "sk-2");
    assert_eq!(config.tokens["openai"].strategy, Strategy::RoundRobin);
    let TokenSource::ChatGpt { files } = &config.tokens["chatgpt"].source else {
        panic!("not accounts")
    };
    assert_eq!(files.len(), 4);
    assert_eq!(files[0].path, Path::new("/srv/access_tokens.txt"));
    assert_eq!(config.upstreams["openai"].timeouts.total, None);
    assert_eq!(config.upstreams["openai"].models["fast"], "gpt-4o-mini");
    assert_eq!(config.routes[0].retry.attempts, 3);
    assert_eq!(config.routes[0].retry.on.len(), 6);
    assert!(config.routes[1].line > config.routes[0].line);
    assert_eq!(config.expects[0].goes_to, "openai");
    assert_eq!(config.plugins.options("hello")["greeting"], "hi");
    assert_eq!(config.plugins.dir, Path::new("/srv/plugins"));
    assert!(
        loaded
            .files
            .contains(&PathBuf::from("/srv/openai_keys.txt"))
    );
    assert!(
        loaded
            .files
            .contains(&PathBuf::from("/srv/session_tokens.txt"))
    );
    let counts = loaded.counts();
    assert_eq!((counts.routes, counts.upstreams, counts.pools), (2, 3, 2));
    assert_eq!((counts.tokens, counts.keys), (2, 2));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let text =
        format!("[server]\nlisten = \"127.0.0.1:1\"\nidle = \"1s\"\ndrain = \"1s\"\n{MINIMAL}");
    let sources = Memory::new()
        .variable("AURORA_SERVER__LISTEN", "127.0.0.1:2, [::1]:2")
        .variable("AURORA_SERVER__IDLE", "2s")
        .variable("AURORA_SERVER__CORS", "[\"https://a.example\"]")
        .variable("AURORA_UPSTREAMS__MOCK__DELAY", "5ms")
        .variable("AURORA_PLUGINS__HELLO__LOUD", "true")
        .variable("AURORA_SERVER__DRAIN", "")
        .variable("SERVER_PORT", "7");
    let overrides = Overrides {
        listen: vec!["127.0.0.1:3".to_owned()],
        ..Overrides::default()
    };

    let from_env = loaded(&text, &sources).config;
    let from_flags = load_with(&text, &sources, &overrides).unwrap().config;

    assert_eq!(from_env.server.listen, ["127.0.0.1:2", "[::1]:2"]);
    assert_eq!(from_env.server.idle, Duration::from_secs(2));
    assert_eq!(from_env.server.drain, Duration::from_secs(1));
    assert_eq!(from_env.server.cors, ["https://a.example"]);
    assert_eq!(from_env.plugins.options("hello")["loud"], true);
    let Protocol::Mock(mock) = &from_env.upstreams["mock"].protocol else {
        panic!("not a mock")
    };
    assert_eq!(mock.delay, Duration::from_millis(5));
    assert_eq!(from_flags.server.listen, ["127.0.0.1:3"]);
}

#[test]
fn a_bad_flag_is_named() {
    let overrides = Overrides {
        listen: vec!["8080".to_owned()],
        ..Overrides::default()
    };

    let error = load_with(MINIMAL, &Memory::new(), &overrides).unwrap_err();

    let message = &error.report.diagnostics()[0].message;
    assert_eq!(
        message,
        "flag --listen: must be an address with a port, found \"8080\""
    );
}

#[test]
fn historic_variables_still_work() {
    let text = r#"
[upstreams.My-Web]
protocol = "chatgpt-web"
[upstreams.local]
protocol = "openai"
base_url = "http://127.0.0.1:1/v1"
proxy = "http://127.0.0.1:2"
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = ["My-Web", "local"]
"#;
    let sources = Memory::new()
        .variable("SERVER_HOST", "::")
        .variable("SERVER_PORT", "81")
        .variable("PORT", "82")
        .variable("Authorization", "Bearer one, two")
        .variable("STREAM_MODE", "off")
        .variable("PROXY_URL", "socks5://u:p@10.0.0.1:1080")
        .variable("BASE_URL", "http://127.0.0.1:3/api")
        .variable("MAX_CONTINUE_COUNT", "7")
        .variable("ENABLE_HISTORY", "1")
        .variable("ENABLE_EXTERNAL_TOKEN", "no")
        .variable("AURORA_UPSTREAMS__MY_WEB__MAX_CONCURRENCY", "2")
        .variable("FREE_ACCOUNTS", "false");

    let loaded = loaded(text, &sources);

    let config = &loaded.config;
    assert!(
        loaded.warnings.is_empty(),
        "{}",
        loaded.warnings.render(Style::Plain)
    );
    assert_eq!(config.server.listen, ["[::]:81"]);
    assert!(!config.server.stream);
    assert!(!config.auth.upstream_tokens);
    assert_eq!(config.auth.keys.len(), 2);
    let web = &config.upstreams["My-Web"];
    assert_eq!(web.max_concurrency, 2);
    assert_eq!(web.proxy.as_ref().unwrap().port(), Some(1080));
    assert_eq!(
        config.upstreams["local"].proxy.as_ref().unwrap().port(),
        Some(2)
    );
    let Protocol::ChatGptWeb(web) = &web.protocol else {
        panic!("not chatgpt-web")
    };
    assert_eq!(web.base_url.as_str(), "http://127.0.0.1:3/api");
    assert_eq!((web.max_continue, web.history), (7, true));
}

#[test]
fn one_half_of_the_address_can_come_from_the_environment() {
    let port = Memory::new().variable("PORT", "9");

    let config = loaded(MINIMAL, &port).config;

    assert_eq!(config.server.listen, ["127.0.0.1:9"]);
}

#[test]
fn a_refused_configuration_names_the_files_to_watch() {
    let text =
        "[tokens.k]\nfile = \"keys.txt\"\n[server]\ntls = { cert = \"c.pem\", key = \"k.pem\" }\n";

    let error = refused(text, &Memory::new());

    let files: Vec<&str> = error
        .files
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    assert_eq!(files, ["/srv/c.pem", "/srv/k.pem", "/srv/keys.txt"]);
    assert_eq!(error.to_string(), "3 problems and 1 warning in aurora.toml");
}

#[test]
fn the_host_can_report_at_a_setting() {
    let text = format!("{MINIMAL}options = {{ greeting = 3 }}\n[plugins.chat]\nloud = 1\n");
    let sources = Memory::new().variable("AURORA_PLUGINS__CHAT__LOUD", "2");
    let loaded = loaded(&text, &sources);

    let option = ["routes", "0", "options", "greeting"];
    let file = loaded.diagnose(
        &option,
        "AUR0701",
        "greeting must be text",
        Some("quote it"),
    );
    let variable = loaded.diagnose(&["plugins", "chat", "loud"], "AUR0701", "too loud", None);
    let above = loaded.diagnose(
        &["routes", "0", "options", "x"],
        "AUR0701",
        "x is missing",
        None,
    );

    assert_eq!((file.line, file.column), (Some(8), Some(24)));
    assert!(
        file.render(Style::Plain).contains("   ^"),
        "{}",
        file.render(Style::Plain)
    );
    assert_eq!(
        variable.message,
        "environment variable AURORA_PLUGINS__CHAT__LOUD: too loud"
    );
    assert_eq!((above.line, above.column), (Some(8), Some(11)));
    let error = loaded.refuse(vec![above, variable, file]);
    assert_eq!(error.report.errors(), 3);
    assert_eq!(error.report.diagnostics()[0].message, "x is missing");
}

#[test]
fn coloured_and_json_reports_carry_the_same() {
    let error = refused("[server]\nlisten = 1\n", &Memory::new());

    let coloured = error.report.render(Style::Color);
    let json: serde_json::Value = serde_json::from_str(&error.report.to_json()).unwrap();

    assert!(coloured.contains("\u{1b}["));
    assert!(!error.report.to_json().contains('\n'));
    assert_eq!(json["errors"], 1);
    let found = &json["diagnostics"][0];
    assert_eq!(found["code"], "AUR0102");
    assert_eq!(found["severity"], "error");
    assert_eq!(
        (found["line"].as_u64(), found["column"].as_u64()),
        (Some(2), Some(10))
    );
}

#[test]
fn debug_output_shows_no_secret() {
    let text = format!("[auth]\nkeys = [\"hunter2\"]\n{MINIMAL}");
    let sources = Memory::new().variable("Authorization", "hunter2");

    let shown = format!("{:?} {sources:?}", loaded(&text, &sources));

    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_secret_before_a_mistake_moves_neither_caret_nor_column() {
    let text = "[auth]\nkeys = [{ key = \"hunter2-hunter2-hunter2\", nmae = 1 }]\n";

    let error = refused(text, &Memory::new());

    let diagnostic = &error.report.diagnostics()[0];
    assert_eq!((diagnostic.line, diagnostic.column), (Some(2), Some(44)));
    let rendered = diagnostic.render(Style::Plain);
    let lines: Vec<&str> = rendered.lines().collect();
    assert_eq!(lines[1], " --> aurora.toml:2:44");
    assert_eq!(lines[3], "2 | keys = [{ key = \"********\", nmae = * }]");
    assert_eq!(lines[4].find('^'), lines[3].find("nmae"));
}

#[test]
fn keys_can_be_tables_with_dates_and_hashes() {
    let hash = "AB".repeat(32);
    let text = format!(
        "[auth]\nkeys_file = \"clients.txt\"\nkeys = [{{ name = \"ann\", sha256 = \"{hash}\", models = [], \
         expires = 2030-01-01T00:00:00+01:00 }}, {{ file = \"one.key\" }}]\n{MINIMAL}"
    );
    let sources = Memory::new()
        .file("/srv/clients.txt", "three\nfour\n")
        .file("/srv/one.key", "two\n");

    let keys = loaded(&text, &sources).config.auth.keys;

    assert_eq!(keys.len(), 4);
    assert!(matches!(keys[0].secret, KeySecret::Sha256(digest) if digest == [0xab; 32]));
    assert_eq!(keys[0].models.as_deref(), Some([].as_slice()));
    let expires = keys[0]
        .expires
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(expires.as_secs(), 1_893_452_400);
    assert_eq!(keys[3].name, "key-4");
}

#[test]
fn an_empty_file_loads_with_a_warning() {
    let loaded = loaded("", &Memory::new());

    assert_eq!(loaded.warnings.diagnostics().len(), 1);
    assert_eq!(loaded.warnings.diagnostics()[0].severity, Severity::Warning);
    assert!(loaded.config.admin.is_none());
    assert_eq!(loaded.config.server.max_in_flight, 10_000);
}

#[test]
fn weights_balance_and_names_fail_over() {
    let text = r#"
[upstreams.a]
protocol = "mock"
[upstreams.b]
protocol = "mock"
[[routes]]
path = "/one"
plugin = "chat"
upstream = [{ name = "a", weight = 3 }, { name = "b" }]
[[routes]]
path = "/two"
plugin = "chat"
upstream = { name = "a" }
[[routes]]
path = "/three"
plugin = "chat"
"#;

    let routes = loaded(text, &Memory::new()).config.routes;

    let weights: Vec<u32> = routes[0]
        .upstreams
        .iter()
        .map(|target| target.weight)
        .collect();
    assert_eq!((weights, routes[0].weighted), (vec![3, 1], true));
    assert_eq!(routes[1].upstreams.len(), 1);
    assert!(routes[2].upstreams.is_empty() && !routes[2].weighted);
}
