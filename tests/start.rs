//! How it starts: what it says, what it refuses, and where its settings come from.

use aurora_testkit::FakeUpstream;
use serde_json::{Value, json};

use crate::support::{aurora, config, in_front_of, pool, refusal, routes};

#[tokio::test]
async fn the_start_says_what_was_loaded_from_where_and_no_secret() {
    let upstream = FakeUpstream::start().await;
    let text = config(
        &upstream,
        "tokens = \"t\"\n[tokens.t]\nfile = \"keys.txt\"\n",
    );
    let aurora = aurora(&format!("[auth]\nkeys = [\"sk-hunter2\"]\n{text}"))
        .file("keys.txt", "sk-hunter3\nsk-hunter4\n")
        .start()
        .await;

    let said = aurora.output();

    let path = |name: &str| aurora.path(name).display().to_string();
    let lines = [
        format!("aurora {}", env!("CARGO_PKG_VERSION")),
        format!("config   {}", path("aurora.toml")),
        format!("file     {}", path("keys.txt")),
        "tokens   t: 2 tokens".to_owned(),
        "keys     1 client key".to_owned(),
        "route    POST             /v1/chat/completions      chat         fake".to_owned(),
        format!("admin    {}", aurora.admin_url()),
        format!("listening on {}", aurora.url()),
    ];
    for line in lines {
        assert!(said.lines().any(|said| said == line), "{line}:\n{said}");
    }
    assert!(!said.contains("hunter"), "{said}");
}

#[tokio::test]
async fn health_readiness_and_status_are_told_on_the_admin_side_only() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    assert_eq!(
        aurora.admin("GET", "/health").await,
        (200, json!({"status": "ok"}))
    );
    let ready = json!({"ready": true, "generation": 1, "pending": []});
    assert_eq!(aurora.admin("GET", "/ready").await, (200, ready));
    let status = aurora.status().await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["upstreams"]["fake"]["protocol"], "openai");
    assert_eq!(status["upstreams"]["fake"]["base_url"], upstream.url());
    assert_eq!(status["routes"][0]["path"], "/v1/chat/completions");
    assert_eq!(status["reload"]["error"], Value::Null);
    for path in ["/health", "/ready", "/status"] {
        let public = refusal(aurora.get(path).send().await.unwrap()).await;
        assert_eq!(public.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_admin_side_refuses_what_it_does_not_know() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream).start().await;

    let (status, body) = aurora.admin("GET", "/v1/models").await;
    assert_eq!((status, &body["error"]), (404, &json!("not found")));
    assert_eq!(aurora.admin("POST", "/status").await.0, 405);
    assert_eq!(aurora.admin("GET", "/reload").await.0, 405);
    let reload = aurora.admin("POST", "/reload").await;
    assert_eq!(
        reload,
        (200, json!({"reload": "unchanged", "generation": 1}))
    );
}

#[tokio::test]
async fn without_an_admin_section_there_is_no_admin_listener() {
    let upstream = FakeUpstream::start().await;
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{}",
        config(&upstream, "")
    );

    let aurora = aurora(&text).own_addresses().start().await;

    assert!(!aurora.output().contains("\nadmin "), "{}", aurora.output());
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn an_address_in_use_is_told_by_name() {
    let upstream = FakeUpstream::start().await;
    let taken = upstream.address().to_string();

    for flag in ["--listen", "--admin-listen"] {
        let free = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"];
        let other = free.iter().find(|other| !other.starts_with(flag)).unwrap();
        let started = in_front_of(&upstream)
            .own_addresses()
            .arg(other)
            .arg(&format!("{flag}={taken}"));
        let (code, text) = started.run_to_end().await;
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains(&format!("cannot listen on `{taken}`")),
            "{text}"
        );
        assert!(text.contains("in use"), "{text}");
    }
}

#[tokio::test]
async fn a_broken_config_is_reported_whole_and_nothing_starts() {
    let (code, text) = aurora("[server]\nlistne = 3\n[[routes]]\npath = \"/v1/x\"\n")
        .run_to_end()
        .await;

    assert_eq!(code, Some(1));
    for part in [
        "error[AUR0101]",
        "aurora.toml:2:1",
        "did you mean `listen`?",
        "error[AUR0108]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("listening"), "{text}");
}

#[tokio::test]
async fn variables_may_stand_in_a_file_and_the_real_ones_win() {
    let upstream = FakeUpstream::start().await;
    let text = config(
        &upstream,
        "tokens = \"t\"\n[tokens.t]\nvalues = [{ env = \"ONE\" }, { env = \"TWO\" }]\n",
    );
    let aurora = aurora(&text)
        .file(".env", "# ours\nONE=from-file\nexport TWO=\"from file\"\n")
        .env("ONE", "from-process")
        .start()
        .await;

    aurora.chat("1").await;
    aurora.chat("2").await;

    let seen = upstream.requests();
    assert_eq!(seen[0].header("authorization"), Some("Bearer from-process"));
    assert_eq!(seen[1].header("authorization"), Some("Bearer from file"));
}

#[tokio::test]
async fn the_historic_variables_set_the_address() {
    let upstream = FakeUpstream::start().await;
    for (host, port) in [("SERVER_HOST", "SERVER_PORT"), ("SERVER_HOST", "PORT")] {
        let aurora = aurora(&config(&upstream, ""))
            .own_addresses()
            .env(host, "127.0.0.2")
            .env(port, "0")
            .start()
            .await;

        assert!(
            aurora.url().starts_with("http://127.0.0.2:"),
            "{}",
            aurora.url()
        );
        assert_eq!(aurora.chat("hi").await.status(), 200);
    }
}

#[tokio::test]
async fn the_historic_variable_switches_streams_off() {
    let upstream = FakeUpstream::start().await;
    let aurora = in_front_of(&upstream)
        .env("STREAM_MODE", "false")
        .start()
        .await;

    let response = aurora.chat_stream("hi").await;

    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_wrong_variable_is_told_by_its_name() {
    let upstream = FakeUpstream::start().await;
    let wrong = [
        ("SERVER_PORT", "http"),
        ("STREAM_MODE", "maybe"),
        ("AURORA_SERVER__DRAIN", "soon"),
    ];

    for (name, value) in wrong {
        let (code, text) = in_front_of(&upstream).env(name, value).run_to_end().await;
        assert_eq!(code, Some(1), "{name}");
        assert!(
            text.contains(&format!("environment variable {name}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn variables_win_over_the_file_and_flags_over_variables() {
    let upstream = FakeUpstream::start().await;
    let text = format!("[server]\nmax_body = \"1MiB\"\n{}", config(&upstream, ""));
    let aurora = aurora(&text)
        .env("AURORA_SERVER__MAX_BODY", "1KiB")
        .env("AURORA_SERVER__LISTEN", "127.0.0.1:1")
        .start()
        .await;

    assert_eq!(
        refusal(aurora.chat(&"x".repeat(2000)).await).await.status,
        413
    );
    assert!(!aurora.url().ends_with(":1"));
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_no_reason_not_to_serve() {
    let text = "[upstreams.mock]\nprotocol = \"mock\"\n".to_owned() + &routes("\"mock\"");

    let aurora = aurora(&text).arg("--data-dir=aurora.toml/x").start().await;

    assert_eq!(aurora.status().await["state"], "memory");
    aurora.wait_for_output("WARN").await;
    assert_eq!(aurora.chat("hi").await.status(), 200);
}

#[tokio::test]
async fn logs_are_json_where_that_is_wanted_and_one_line_tells_of_one_request() {
    let upstream = FakeUpstream::start().await;
    let aurora = aurora(&config(&upstream, &pool(&["sk-a"])))
        .env("AURORA_LOG_FORMAT", "json")
        .start()
        .await;

    let request = aurora.post("/v1/chat/completions?q=secret", &json!({"model": "m"}));
    request
        .header("x-request-id", "id-9")
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    aurora.wait_for_output("\"id-9\"").await;

    let said = aurora.output();
    let line = said.lines().find(|line| line.contains("id-9")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let expected = [
        ("request_id", json!("id-9")),
        ("client", json!("anonymous")),
        ("method", json!("POST")),
        ("path", json!("/v1/chat/completions")),
        ("route", json!("/v1/chat/completions")),
        ("status", json!(200)),
        ("upstream", json!("fake")),
        ("attempts", json!(1)),
        ("model", json!("m")),
        ("end", json!("complete")),
    ];
    for (name, value) in expected {
        assert_eq!(line[name], value, "{line}");
    }
    assert!(
        line["bytes"].as_u64().unwrap() > 10 && line["ms"].is_u64(),
        "{line}"
    );
}

#[tokio::test]
async fn the_log_is_as_quiet_as_it_is_told_to_be() {
    let upstream = FakeUpstream::start().await;
    let quiet = in_front_of(&upstream)
        .env("AURORA_LOG", "error")
        .start()
        .await;
    let odd = in_front_of(&upstream)
        .env("AURORA_LOG", "loud")
        .start()
        .await;

    quiet.chat("hi").await;
    odd.chat("hi").await;

    odd.wait_for_output(" request request_id=").await;
    odd.wait_for_output("AURORA_LOG").await;
    assert!(!quiet.output().contains("INFO"), "{}", quiet.output());
}
