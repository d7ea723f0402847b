//! Long answers: whole, in order, in memory that does not grow with how often they are repeated.

use aurora_testkit::chatgpt::Reply;

use super::{asking, setup};

/// Five MiB of words that differ.
fn long() -> String {
    let mut text = String::new();
    let mut number: u32 = 0;
    while text.len() < 5 << 20 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(&number.to_string());
        text.push(' ');
    }
    text
}

#[tokio::test]
async fn five_mebibytes_in_snapshots_arrive_whole() {
    let setup = setup("").await;
    let text = long();
    for stream in [true, false] {
        // Each frame repeats what was said: a hundred MiB come in.
        setup
            .web
            .reply(Reply::text(text.clone()).snapshot().pieces(40));
        let told = setup.chat(asking("tell", stream)).await;
        assert!(told.is_whole && told.text == text);
        assert_eq!(told.finish.as_deref(), Some("stop"));
    }
    let highest = setup.aurora.memory_peak();
    assert!(highest < 160 << 20, "{} MiB", highest >> 20);
}

#[tokio::test]
async fn ten_thousand_deltas_of_one_character_stay_in_order() {
    let setup = setup("").await;
    let text: String = (0..10_000)
        .map(|at| char::from(b'a' + u8::try_from(at % 26).unwrap()))
        .collect();
    for stream in [true, false] {
        setup
            .web
            .reply(Reply::text(text.clone()).delta().pieces(10_000));
        let told = setup.chat(asking("tell", stream)).await;
        assert!(told.is_whole && told.text == text);
    }
}

/// Prints the table of docs/performance.md: `cargo nextest run --release --run-ignored only --no-capture long_answers`.
#[tokio::test]
#[ignore = "takes a while and wants a release build"]
async fn long_answers_cost_what_their_bytes_cost() {
    let setup = setup("").await;
    let text = long();
    let mut times = Vec::new();
    for (form, size, pieces) in [
        ("snapshots", 5 << 18, 40),
        ("snapshots", 5 << 19, 40),
        ("snapshots", 5 << 20, 40),
        ("deltas", 2_500, 2_500),
        ("deltas", 5_000, 5_000),
        ("deltas", 10_000, 10_000),
    ] {
        let mut best = std::time::Duration::MAX;
        for _ in 0..3 {
            let reply = Reply::text(text.get(..size).unwrap()).pieces(pieces);
            setup.web.reply(if form == "deltas" {
                reply.delta()
            } else {
                reply.snapshot()
            });
            let started = std::time::Instant::now();
            let told = setup.chat(asking("tell", true)).await;
            assert_eq!(told.text.len(), size);
            best = best.min(started.elapsed());
        }
        let peak = setup.aurora.memory_peak() >> 20;
        println!("{form} {size} bytes in {pieces} pieces: {best:?}, peak so far {peak} MiB");
        times.push(best.as_secs_f64());
    }
    for pair in [&times[..3], &times[3..]] {
        // Twice the bytes, twice the time, with room for noise.
        assert!(
            pair[1] < 3.0 * pair[0] && pair[2] < 3.0 * pair[1],
            "{times:?}"
        );
    }
}
