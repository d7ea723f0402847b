//! Plugins in aurora.toml: who serves a route, which filters it has, which libraries are loaded.
#![expect(clippy::panic, reason = "test code")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use aurora_config::{
    Config, Grant, LoadError, Memory, OnPanic, Overrides, PluginInfo, Plugins, Request, Route,
    Severity, Style, Trust, Unload, load, plugins_of,
};

const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// What `sha256sum` prints for nothing.
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const ROUTE: &str = r#"
[upstreams.mock]
protocol = "mock"
[[routes]]
path = "/v1/chat/completions"
plugin = "chat"
upstream = "mock"
"#;

fn infos() -> Vec<PluginInfo> {
    let info = |name: &str, method: &str| PluginInfo {
        name: name.to_owned(),
        methods: vec![method.to_owned()],
        is_handler: name.starts_with("chat"),
        is_filter: !name.starts_with("chat"),
    };
    vec![
        info("chat", "POST"),
        info("chat-next", "GET"),
        info("audit", "GET"),
        info("redact", "GET"),
        info("trace", "GET"),
    ]
}

fn request<'a>(text: &'a str, plugins: &'a [PluginInfo], overrides: &'a Overrides) -> Request<'a> {
    Request {
        text,
        path: Path::new("/srv/aurora.toml"),
        display: "aurora.toml",
        plugins,
        refused: &[],
        overrides,
    }
}

fn load_with(text: &str, sources: &Memory) -> Result<Config, LoadError> {
    let overrides = Overrides::default();
    let infos = infos();
    let request = request(text, &infos, &overrides);
    load(&request, sources).map(|loaded| loaded.config)
}

fn loaded(text: &str) -> Config {
    load_with(text, &Memory::new())
        .unwrap_or_else(|error| panic!("{}", error.report.render(Style::Plain)))
}

/// As the loader of plugins asks: when it knows none yet.
fn early(text: &str, sources: &Memory) -> Plugins {
    plugins_of(&request(text, &[], &Overrides::default()), sources).0
}

fn shares(route: &Route) -> Vec<(&str, u32)> {
    let shares = route.plugins.iter();
    shares
        .map(|share| (share.name.as_str(), share.weight))
        .collect()
}

#[test]
fn the_first_plugin_of_a_list_is_the_main_one() {
    let text = ROUTE.replace(
        "\"chat\"",
        "[{ name = \"chat\", weight = 95 }, { name = \"chat-next\" }]",
    );
    // The main plugin serves POST where the route names no method, and so no route is there for GET.
    let text = format!(
        "{text}[[expect]]\nrequest = {{ path = \"/v1/chat/completions\" }}\ngoes_to = \"mock\"\n"
    );

    let route = &loaded(&text).routes[0];

    assert_eq!(shares(route), [("chat", 95), ("chat-next", 1)]);
    assert_eq!(route.plugin(), "chat");
    let get = text.replace("request = {", "request = { method = \"GET\",");
    let error = load_with(&get, &Memory::new()).unwrap_err();
    assert_eq!(error.report.diagnostics()[0].code, "AUR0303");
}

#[test]
fn one_name_and_one_table_are_a_list_of_one() {
    let table = ROUTE.replace("\"chat\"", "{ name = \"chat-next\" }");
    let zero = ROUTE.replace(
        "\"chat\"",
        "[{ name = \"chat\", weight = 0 }, { name = \"chat-next\", weight = 1 }]",
    );

    assert_eq!(shares(&loaded(ROUTE).routes[0]), [("chat", 1)]);
    assert_eq!(shares(&loaded(&table).routes[0]), [("chat-next", 1)]);
    assert_eq!(
        shares(&loaded(&zero).routes[0]),
        [("chat", 0), ("chat-next", 1)]
    );
}

#[test]
fn filters_of_all_routes_come_before_those_of_the_route_and_run_once() {
    let text = format!("[plugins]\nfilters = [\"audit\", \"trace\"]\n{ROUTE}");
    let own = format!("{text}filters = [\"redact\", \"audit\"]\n");
    let alone = format!("{ROUTE}filters = [\"redact\", \"audit\"]\n");

    assert_eq!(loaded(ROUTE).routes[0].filters, Vec::<String>::new());
    assert_eq!(loaded(&text).routes[0].filters, ["audit", "trace"]);
    assert_eq!(loaded(&own).routes[0].filters, ["audit", "trace", "redact"]);
    assert_eq!(loaded(&alone).routes[0].filters, ["redact", "audit"]);
    assert_eq!(loaded(&own).plugins.filters, ["audit", "trace"]);
}

#[test]
fn what_is_not_written_has_its_default() {
    let plugins = loaded(&format!("[plugins.hello]\ngreeting = \"hi\"\n{ROUTE}")).plugins;

    assert_eq!(plugins.dir, Path::new("/srv/plugins"));
    assert_eq!(plugins.trust, Trust::OwnerCheck);
    assert_eq!(plugins.unload, Unload::Never);
    assert_eq!(plugins.max_generations, 64);
    assert_eq!(plugins.drain, Duration::from_mins(10));
    let (panics, window) = (5, Duration::from_mins(1));
    assert_eq!(plugins.on_panic, OnPanic::Rollback { panics, window });
    assert!(plugins.filters.is_empty());
    let hello = &plugins.named["hello"];
    assert_eq!((&hello.file, &hello.grant), (&None, &Grant::default()));
    assert_eq!(plugins.grant("hello"), plugins.grant("nobody"));
    assert_eq!(plugins.grant("nobody").max_concurrency, 64);
    assert!(plugins.options("nobody").is_empty());
}

#[test]
fn everything_can_be_written() {
    let text = format!(
        "[plugins]\ndir = \"/opt/plugins\"\ntrust = \"signature\"\npublic_keys = [\"{KEY}\"]\n\
         unload = \"if-safe\"\nmax_generations = 1\ndrain = \"1s\"\non_panic = \"keep\"\n{ROUTE}"
    );

    let plugins = loaded(&text).plugins;

    assert_eq!(plugins.dir, Path::new("/opt/plugins"));
    assert_eq!(plugins.trust, Trust::Signature(vec![KEY.to_owned()]));
    assert_eq!(plugins.unload, Unload::IfSafe);
    assert_eq!(plugins.max_generations, 1);
    assert_eq!(plugins.drain, Duration::from_secs(1));
    assert_eq!(plugins.on_panic, OnPanic::Keep);
}

#[test]
fn options_of_a_plugin_are_its_own_but_for_two_words() {
    let text = format!(
        "[plugins.hello]\ngreeting = \"hi\"\nloud = true\ntimes = 3\nshare = 0.5\nsince = 2026-01-31\n\
         words = [\"a\", {{ b = 1 }}]\nfile = \"libhello-next.so\"\ngrant = {{ upstreams = [\"mock\"] }}\n\
         [plugins.hello.inner]\nfile = \"an option\"\nprotocol = \"openai\"\n{ROUTE}"
    );

    let plugins = loaded(&text).plugins;

    let expected = serde_json::json!({
        "greeting": "hi", "loud": true, "times": 3, "share": 0.5, "since": "2026-01-31",
        "words": ["a", { "b": 1 }], "inner": { "file": "an option", "protocol": "openai" },
    });
    assert_eq!(
        serde_json::Value::Object(plugins.options("hello")),
        expected
    );
    let hello = &plugins.named["hello"];
    assert_eq!(hello.file.as_deref(), Some("libhello-next.so"));
    assert_eq!(hello.grant.upstreams, ["mock"]);
    assert_eq!(hello.grant.max_concurrency, 64);
}

#[test]
fn an_upstream_that_only_a_plugin_may_call_is_used() {
    let text = format!(
        "[upstreams.other]\nprotocol = \"mock\"\n[plugins.hello]\ngrant = {{ upstreams = [\"other\"] }}\n{ROUTE}"
    );
    let overrides = Overrides::default();
    let infos = infos();

    let granted = load(&request(&text, &infos, &overrides), &Memory::new()).unwrap();
    let text = text.replace("[\"other\"]", "[]");
    let unused = load(&request(&text, &infos, &overrides), &Memory::new()).unwrap();

    assert!(granted.warnings.is_empty());
    assert_eq!(unused.warnings.diagnostics()[0].code, "AUR0901");
}

#[test]
fn a_digest_and_an_empty_list_are_allow_lists() {
    let one = format!("[plugins]\ntrust = \"allow-list\"\nallow = [\"{DIGEST}\"]\n{ROUTE}");
    let none = one.replace(&format!("\"{DIGEST}\""), "");

    let Trust::AllowList(digests) = loaded(&one).plugins.trust else {
        panic!("not an allow list")
    };

    assert_eq!(
        (digests.len(), digests[0][0], digests[0][31]),
        (1, 0xe3, 0x55)
    );
    assert_eq!(loaded(&none).plugins.trust, Trust::AllowList(Vec::new()));
}

#[test]
fn variables_set_plugins_too() {
    let sources = Memory::new()
        .variable("AURORA_PLUGINS__TRUST", "allow-list")
        .variable("AURORA_PLUGINS__ALLOW", &format!("{DIGEST},{DIGEST}"))
        .variable("AURORA_PLUGINS__FILTERS", "audit")
        .variable("AURORA_PLUGINS__HELLO__GRANT__MAX_CONCURRENCY", "2")
        .variable("AURORA_PLUGINS__HELLO__GRANT__UPSTREAMS", "mock")
        .variable("AURORA_PLUGINS__HELLO__FILE", "hi.so")
        .variable("AURORA_PLUGINS__HELLO__INNER__LOUD", "true")
        .variable("AURORA_PLUGINS__HELLO__TIMES", "3")
        .variable("AURORA_PLUGINS__OTHER", "{ x = 1 }");

    let plugins = load_with(ROUTE, &sources).unwrap().plugins;

    assert_eq!(plugins, early(ROUTE, &sources));
    assert!(matches!(&plugins.trust, Trust::AllowList(digests) if digests.len() == 2));
    assert_eq!(plugins.filters, ["audit"]);
    let hello = &plugins.named["hello"];
    assert_eq!(hello.file.as_deref(), Some("hi.so"));
    assert_eq!(hello.grant.upstreams, ["mock"]);
    assert_eq!(hello.grant.max_concurrency, 2);
    assert_eq!(hello.options["inner"]["loud"], true);
    assert_eq!(hello.options["times"], 3);
    assert_eq!(plugins.options("other")["x"], 1);
}

#[test]
fn plugins_are_known_before_the_rest_is_right() {
    let text = format!(
        "[plugins]\ndir = \"p\"\nfilters = [\"nobody\"]\ntrust = \"signature\"\npublic_keys = [\"{KEY}\"]\n\
         [plugins.hello]\nfile = \"hello.so\"\ngrant = {{ upstreams = [\"nobody\"] }}\n\
         [server]\nlsiten = 3\ntls = {{ cert = \"none.pem\", key = \"none.pem\" }}\n\
         [[routes]]\nplugin = [\"nobody\"]\nupstream = 3\n"
    );

    let plugins = early(&text, &Memory::new());

    assert_eq!(plugins.dir, Path::new("/srv/p"));
    assert_eq!(plugins.filters, ["nobody"]);
    assert_eq!(plugins.trust, Trust::Signature(vec![KEY.to_owned()]));
    assert_eq!(plugins.named["hello"].file.as_deref(), Some("hello.so"));
    assert_eq!(plugins.grant("hello").upstreams, ["nobody"]);
}

#[test]
fn early_on_a_wrong_setting_is_its_default() {
    let text = "[plugins]\ndir = 3\ndrain = \"soon\"\nmax_generations = 7\nunload = \"always\"\n\
                [plugins.hello]\nfile = \"a/b\"\ngrant = { max_concurrency = 0 }\nx = 1\n";

    let plugins = early(text, &Memory::new());

    assert_eq!(plugins.dir, Path::new("/srv/plugins"));
    assert_eq!(plugins.drain, Duration::from_mins(10));
    assert_eq!(plugins.max_generations, 7);
    assert_eq!(plugins.unload, Unload::Never);
    assert_eq!(plugins.named["hello"].file, None);
    assert_eq!(plugins.grant("hello"), Grant::default());
    assert_eq!(plugins.options("hello")["x"], 1);
}

#[test]
fn a_file_that_is_not_toml_leaves_flags_and_variables() {
    let sources = Memory::new().variable("AURORA_PLUGINS__DRAIN", "3s");
    let overrides = Overrides {
        plugin_dir: Some(PathBuf::from("/opt/plugins")),
        ..Overrides::default()
    };

    let (plugins, _) = plugins_of(&request("[plugins\ndir = 1", &[], &overrides), &sources);

    assert_eq!(plugins.dir, Path::new("/opt/plugins"));
    assert_eq!(plugins.drain, Duration::from_secs(3));
    assert_eq!(plugins.trust, Trust::Unreadable);
}

#[test]
fn nothing_is_trusted_while_it_is_not_plain_what_is() {
    let unreadable = [
        "[plugins]\ntrust = \"allowlist\"\n",
        "[plugins]\ntrsut = \"signature\"\n",
        "[plugins]\ntrust = \"allow-list\"\nallow = [\"sha256:00\"]\n",
        "[plugins]\ndrain = 3\n",
        "[plugin]\ntrust = \"signature\"\n",
        "plugins = \"signature\"\n",
        "[plugins]\ntrust = \"signature\n",
        "[plugins]\ntrust = \"owner-check\"\ntrust = \"signature\"\n",
    ];
    for text in unreadable {
        let plugins = early(text, &Memory::new());
        assert_eq!(plugins.trust, Trust::Unreadable, "{text}");
        assert!(load_with(text, &Memory::new()).is_err(), "{text}");
    }
    for (name, value) in [
        ("AURORA_PLUGINS__TRUST", "allowlist"),
        ("AURORA_PLUGINS__TRSUT", "signature"),
        ("AURORA_PLUGINS__ALLOW", "[\"sha256:"),
        ("AURORA_PLUGINS", "signature"),
    ] {
        let sources = Memory::new().variable(name, value);
        let text = "[plugins]\ntrust = \"owner-check\"\n";
        assert_eq!(early(text, &sources).trust, Trust::Unreadable, "{name}");
        assert!(load_with(text, &sources).is_err(), "{name}");
    }
    // Lists without an entry let nothing in, and errors elsewhere have nothing to do with it.
    let empty = early("[plugins]\ntrust = \"allow-list\"\n", &Memory::new());
    assert_eq!(empty.trust, Trust::AllowList(Vec::new()));
    let elsewhere = early("[server]\nidle = 3\n[sever]\n", &Memory::new());
    assert_eq!(elsewhere.trust, Trust::OwnerCheck);
}

#[test]
fn settings_that_do_nothing_are_warnings() {
    let text = format!("[plugins]\nallow = [\"{DIGEST}\"]\n{ROUTE}");
    let overrides = Overrides::default();
    let infos = infos();

    let loaded = load(&request(&text, &infos, &overrides), &Memory::new()).unwrap();

    let [warning] = loaded.warnings.diagnostics() else {
        panic!("not one warning")
    };
    assert_eq!(
        (warning.code, warning.severity),
        ("AUR0910", Severity::Warning)
    );
    assert_eq!(loaded.config.plugins.trust, Trust::OwnerCheck);
}
