//! The cases, by name.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aurora_chatgpt::stream::{Event, Turn, TurnOptions};
use aurora_config::{Match, Memory, Overrides, PluginInfo, Request, RouteTable};
use aurora_tokens::{Outcome, PoolExhausted, Settings, Strategy, TokenPool};
use secrecy::SecretString;

use crate::{Work, bodies};

/// How large the pieces are in which a body arrives.
const PIECE: usize = 16 << 10;

/// All cases.
pub(crate) const NAMES: [&str; 7] = [
    "snapshots",
    "deltas",
    "route",
    "lease",
    "lease-least-busy",
    "lease-all-rest",
    "config",
];

/// The work of `case`, with `size` MiB, routes or tokens; `None` when there is no such case.
pub(crate) fn prepare(case: &str, size: usize) -> Option<Work> {
    Some(match case {
        "snapshots" => reduce(bodies::snapshots(size << 20)),
        "deltas" => reduce(bodies::deltas(size << 20)),
        "route" => route(size),
        "lease" => lease(size, Strategy::RoundRobin),
        "lease-least-busy" => lease(size, Strategy::LeastBusy),
        "lease-all-rest" => lease_of_resting(size),
        "config" => config(size),
        _ => return None,
    })
}

/// A whole answer of the ChatGPT web service, from bytes to events.
fn reduce(body: String) -> Work {
    Box::new(move || {
        let mut turn = Turn::new(TurnOptions::default());
        let mut told = 0;
        for piece in body.as_bytes().chunks(PIECE) {
            told += turn.feed(piece).iter().map(text_bytes).sum::<usize>();
        }
        told += turn.finish().iter().map(text_bytes).sum::<usize>();
        assert!(told > 0, "nothing was told");
    })
}

fn text_bytes(event: &Event) -> usize {
    match event {
        Event::Text(text) => text.len(),
        _ => 0,
    }
}

/// Paths as many teams have them, one in four with a parameter; the next call asks for another one.
fn route(size: usize) -> Work {
    let mut table = RouteTable::new();
    let post = ["POST".to_owned()];
    for n in 0..size {
        let path = bodies::route_path(n);
        table
            .insert(&path, Some(&post), n)
            .expect("all paths differ");
    }
    let asked: Vec<String> = (0..64)
        .map(|at| bodies::asked_path(size * at / 64))
        .collect();
    let mut at = 0;
    Box::new(move || {
        let path = &asked[at % asked.len()];
        at += 1;
        let found = table.find(black_box(path), "POST");
        assert!(matches!(black_box(found), Match::Found { .. }));
    })
}

fn pool(size: usize, strategy: Strategy) -> TokenPool {
    let settings = Settings {
        strategy,
        cooldown: Duration::from_mins(1),
        probe_dead: Duration::from_mins(10),
    };
    TokenPool::rebuild(None, secrets(size), settings)
}

fn secrets(size: usize) -> impl Iterator<Item = (SecretString, String)> {
    (0..size).map(|n| {
        let secret = format!("sk-token-number-{n:08}-of-a-pool").into();
        (secret, format!("keys.txt:{}", n + 1))
    })
}

/// A token for a request, accepted by the upstream and given back.
fn lease(size: usize, strategy: Strategy) -> Work {
    let pool = pool(size, strategy);
    let now = Instant::now();
    Box::new(move || {
        let lease = pool.lease(now, &[]).expect("all tokens are well");
        lease.settle(Outcome::Accepted, now);
        drop(black_box(lease));
    })
}

/// The answer when every token rests, which a client hammers on.
fn lease_of_resting(size: usize) -> Work {
    let pool = pool(size, Strategy::RoundRobin);
    let now = Instant::now();
    let outcome = Outcome::RateLimited { retry_after: None };
    for _ in 0..pool.len() {
        let lease = pool.lease(now, &[]).expect("it does not rest yet");
        lease.settle(outcome, now);
    }
    Box::new(move || {
        let refused: Result<_, PoolExhausted> = pool.lease(now, &[]);
        assert!(black_box(refused).is_err());
    })
}

/// A config with so many routes, from text to settings.
fn config(size: usize) -> Work {
    let text = bodies::config(size);
    let plugins = [PluginInfo {
        name: "chat".to_owned(),
        methods: vec!["POST".to_owned()],
        is_handler: true,
        is_filter: false,
    }];
    Box::new(move || {
        let request = Request {
            text: &text,
            path: Path::new("/etc/aurora/aurora.toml"),
            display: "aurora.toml",
            plugins: &plugins,
            refused: &[],
            overrides: &Overrides::default(),
        };
        let loaded = aurora_config::load(&request, &Memory::new()).expect("the config is sound");
        assert_eq!(loaded.config.routes.len(), size);
        drop(black_box(loaded));
    })
}
