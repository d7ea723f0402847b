//! What becomes of every request when its upstream fails in every way: fault x endpoint x whole or streamed, alone and
//! with a second upstream that works. docs/errors.md has the same table, written from the same rows (`just docs`).

mod document;
mod endpoints;
mod outcome;
mod replies;
mod rows;

use std::fmt::Write as _;

use aurora_testkit::{Aurora, FakeUpstream};
use futures_util::{StreamExt as _, stream};

use crate::support::aurora;
use endpoints::{ENDPOINTS, Endpoint};
use outcome::{Seen, request};
use rows::{FAULTS, Fault};

/// Faults tried at the same time.
const AT_ONCE: usize = 6;

/// A gateway whose upstreams all fail with `fault`, one for each endpoint; with a second one that works, if `covered`.
async fn gateway(fault: &'static Fault, covered: bool) -> (Aurora, Vec<FakeUpstream>) {
    let bad = FakeUpstream::with(move |request| (fault.reply)(request)).await;
    let good = FakeUpstream::with(replies::good).await;
    let dead = "http://127.0.0.1:9/v1".to_owned();
    let bad_url = if fault.is_refused { dead } else { bad.url() };
    let (timeouts, good_url) = (fault.timeouts, good.url());
    let mut config = String::new();
    for endpoint in &ENDPOINTS {
        let name = endpoint.name;
        let emulate = if endpoint.is_emulated() {
            "responses = \"emulate\"\n"
        } else {
            ""
        };
        let settings = format!("protocol = \"openai\"\n{emulate}breaker = {{ enabled = false }}\n");
        let list = if covered {
            format!("[\"{name}-bad\", \"{name}-good\"]")
        } else {
            format!("\"{name}-bad\"")
        };
        write!(
            config,
            "[upstreams.{name}-bad]\n{settings}base_url = \"{bad_url}\"\ntimeouts = {{ {timeouts} }}\n\
             [upstreams.{name}-good]\n{settings}base_url = \"{good_url}\"\n\
             [[routes]]\npath = \"{}\"\nplugin = \"{}\"\nupstream = {list}\nretry = {{ attempts = {} }}\n",
            endpoint.path,
            endpoint.plugin,
            1 + u8::from(covered),
        )
        .unwrap();
    }
    (aurora(&config).start().await, vec![bad, good])
}

/// All requests against one fault, one after the other.
async fn tried(fault: &'static Fault, covered: bool) -> Vec<(&'static Endpoint, Seen)> {
    let (aurora, _upstreams) = gateway(fault, covered).await;
    let mut all = Vec::new();
    for endpoint in &ENDPOINTS {
        all.push((endpoint, request(&aurora, fault.name, endpoint).await));
    }
    all
}

#[tokio::test]
async fn every_fault_ends_as_the_table_says() {
    let cells = stream::iter(&FAULTS)
        .flat_map(|fault| stream::iter([(fault, false), (fault, true)]))
        .map(async |(fault, covered)| (fault, covered, tried(fault, covered).await))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;

    let (mut wrong, mut count) = (String::new(), 0);
    for (fault, covered, seen) in cells {
        for (endpoint, seen) in seen {
            count += 1;
            let expected = rows::expected(fault, endpoint, covered);
            if seen != expected {
                let second = if covered {
                    ", with a second upstream"
                } else {
                    ""
                };
                writeln!(
                    wrong,
                    "{} at {}{second}:\n  seen     {seen:?}\n  expected {expected:?}",
                    fault.name, endpoint.name
                )
                .unwrap();
            }
        }
    }

    println!(
        "{count} cells: {} faults, {} requests, alone and with a second upstream",
        FAULTS.len(),
        ENDPOINTS.len()
    );
    assert!(count >= 500, "{count}");
    assert!(wrong.is_empty(), "{wrong}");
}
