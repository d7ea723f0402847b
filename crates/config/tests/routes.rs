//! The route table and the order of upstreams.
#![expect(clippy::panic, reason = "test code")]

use std::borrow::Cow;
use std::path::Path;

use aurora_config::{
    Match, Memory, Overrides, PluginInfo, Request, RouteConflict, RouteTable, load, target_order,
};

fn methods(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn insert(
    table: &mut RouteTable<u32>,
    path: &str,
    names: &[&str],
    value: u32,
) -> Result<(), RouteConflict> {
    table.insert(path, Some(&methods(names)), value)
}

fn found(table: &RouteTable<u32>, path: &str, method: &str) -> u32 {
    match table.find(path, method) {
        Match::Found { value, .. } => *value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn exact_paths_come_before_patterns_and_segments_before_rests() {
    let mut table = RouteTable::new();
    table.insert("/v1/{*rest}", None, 1).unwrap();
    insert(&mut table, "/v1/files/{id}", &["GET"], 2).unwrap();
    insert(&mut table, "/v1/files/list", &["GET"], 3).unwrap();

    assert_eq!(found(&table, "/v1/files/list", "GET"), 3);
    assert_eq!(found(&table, "/v1/files/abc", "GET"), 2);
    assert_eq!(found(&table, "/v1/other/x", "PATCH"), 1);
    assert_eq!(table.find("/v2", "GET"), Match::NotFound);
}

#[test]
fn methods_on_one_path_merge_whatever_its_parameters_are_called() {
    let mut table = RouteTable::new();
    insert(&mut table, "/files/{id}", &["GET"], 1).unwrap();
    insert(&mut table, "/files/{id}", &["DELETE"], 2).unwrap();
    insert(&mut table, "/files/{file}", &["POST"], 3).unwrap();

    let deleted = table.find("/files/a%20b", "DELETE");
    let posted = table.find("/files/%ff", "POST");
    let put = table.find("/files/x", "PUT");

    let params = vec![("id", Cow::from("a b"))];
    assert_eq!(deleted, Match::Found { value: &2, params });
    assert_eq!(
        posted,
        Match::Found {
            value: &3,
            params: vec![("file", Cow::from("%ff"))]
        }
    );
    assert_eq!(
        put,
        Match::MethodNotAllowed {
            allow: vec!["DELETE", "GET", "HEAD", "POST"]
        }
    );
    assert_eq!(found(&table, "/files/x", "HEAD"), 1);
    assert!(matches!(
        table.find("/files/x", "OPTIONS"),
        Match::MethodNotAllowed { .. }
    ));
}

#[test]
fn braces_that_are_no_parameter_are_refused() {
    // `{/}` is what the fuzz target found: the router takes a slash for a name.
    for path in ["/{/}", "/{}", "/{{a}}/{b}", "/}", "/{a}}", "/{a*}", "/{"] {
        let refused = RouteTable::new().insert(path, None, 1);

        assert!(
            matches!(refused, Err(RouteConflict::Invalid { .. })),
            "{path}"
        );
    }
}

#[test]
fn conflicts_name_the_other_route() {
    let mut table = RouteTable::new();
    insert(&mut table, "/a", &["GET", "POST"], 1).unwrap();
    insert(&mut table, "/b/{x}", &["GET"], 2).unwrap();

    let duplicate = insert(&mut table, "/a", &["POST"], 3).unwrap_err();
    let ambiguous = insert(&mut table, "/b/{y}", &["GET"], 4).unwrap_err();
    let any = table.insert("/a", None, 5).unwrap_err();
    let invalid = insert(&mut table, "/c/{*rest}/d", &["GET"], 6).unwrap_err();

    let method = Some("POST".to_owned());
    assert_eq!(
        duplicate,
        RouteConflict::Duplicate {
            path: "/a".to_owned(),
            method,
            position: 0
        }
    );
    assert_eq!(
        ambiguous,
        RouteConflict::Ambiguous {
            path: "/b/{x}".to_owned(),
            position: 1
        }
    );
    assert!(matches!(any, RouteConflict::Duplicate { .. }));
    assert!(
        matches!(invalid, RouteConflict::Invalid { .. }),
        "{invalid:?}"
    );
    assert_eq!(found(&table, "/a", "POST"), 1);
}

#[test]
fn several_parameters_keep_their_order_and_names() {
    let mut table = RouteTable::new();
    insert(&mut table, "/{b}/x/{a}/{*rest}", &["GET"], 1).unwrap();

    let Match::Found { params, .. } = table.find("/1/x/2%2F/3/4", "GET") else {
        panic!("not found")
    };

    let expected = [("b", "1"), ("a", "2/"), ("rest", "3/4")];
    assert_eq!(
        params,
        expected.map(|(name, value)| (name, Cow::from(value)))
    );
}

#[test]
fn upstreams_that_know_the_model_come_first() {
    let text = r#"
[upstreams.a]
protocol = "mock"
[upstreams.b]
protocol = "mock"
models = { fast = "x" }
[upstreams.c]
protocol = "mock"
models = { fast = "y", slow = "z" }
[[routes]]
path = "/a"
plugin = "chat"
upstream = ["a", "b", "c"]
"#;
    let plugins = [PluginInfo {
        name: "chat".to_owned(),
        methods: Vec::new(),
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
    let config = load(&request, &Memory::new()).unwrap().config;

    let order = |model| {
        let targets = target_order(&config.routes[0], &config.upstreams, model);
        targets
            .iter()
            .map(|target| target.name.clone())
            .collect::<String>()
    };

    assert_eq!(order(Some("fast")), "bca");
    assert_eq!(order(Some("slow")), "cab");
    assert_eq!(order(Some("other")), "abc");
    assert_eq!(order(None), "abc");
}

/// Found by the fuzzer: the router forgot what came after a pattern that it refused.
#[test]
fn a_refused_pattern_leaves_the_table_as_it_was() {
    for refused in ["/{x}.json{y}", "/{*rest}/more", "/a/{x}{y}"] {
        for (pattern, path) in [
            ("{a}", "ch"),
            ("/{a}", "/ch"),
            ("/a/{b}", "/a/ch"),
            ("/{*r}", "/x/y"),
        ] {
            let mut table = RouteTable::new();
            assert!(table.insert(refused, None, 0).is_err(), "{refused}");
            table.insert(pattern, None, 1).unwrap();

            let found = table.find(path, "GET");

            assert!(
                matches!(found, Match::Found { value: 1, .. }),
                "{pattern} after {refused}"
            );
        }
    }
}

/// Found by the fuzzer: `/v1/{a}es/x` hid `/v1/{a}/x/{*rest}` from `/v1/files/x/y`.
#[test]
fn nothing_stands_behind_a_parameter_in_its_segment() {
    let mut table = RouteTable::new();
    for path in ["/v1/{a}es/x", "/{x}.json", "/{*rest}x"] {
        assert!(
            matches!(
                table.insert(path, None, 0),
                Err(RouteConflict::Invalid { .. })
            ),
            "{path}"
        );
    }
    table.insert("/v1/{a}/x/{*rest}", None, 1).unwrap();
    assert!(matches!(
        table.find("/v1/files/x/y", "GET"),
        Match::Found { value: 1, .. }
    ));
}
