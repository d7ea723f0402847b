//! Whole chat answers: as many as possible, or at a fixed rate.

use std::io::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bench_compare::{chat_answer, chat_request};
use bytes::{Bytes, BytesMut};

use crate::connection::Connection;
use crate::tally::Tally;

/// Connections that a fixed rate is spread over.
const RATE_CONNECTIONS: u32 = 8;

/// Each connection asks again when it has its answer.
pub(crate) async fn in_turn(address: SocketAddr, connections: u32, time: Duration) -> Tally {
    let tally = Tally::begin();
    let until = Instant::now() + time;
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(ask_until(address, until)))
        .collect();
    tally.gather(tasks).await
}

async fn ask_until(address: SocketAddr, until: Instant) -> Tally {
    let mut tally = Tally::begin();
    let result = async {
        let (request, expected) = (chat_request(None), chat_answer());
        let mut connection = Connection::open(address).await?;
        while Instant::now() < until {
            let began = Instant::now();
            ask(&mut connection, &request, &expected).await?;
            tally.finish(began);
        }
        Ok(())
    };
    if let Err(error) = result.await {
        tally.fail(error);
    }
    tally
}

/// Asks `rate` times a second whether or not answers have come, and counts from when each question was due.
///
/// On threads of their own, since the runtime's timers are as coarse as what is measured here.
pub(crate) fn at_rate(address: SocketAddr, rate: u32, time: Duration) -> Tally {
    let mut tally = Tally::begin();
    // The system lets sleepers oversleep by 50 µs unless told not to; threads inherit this. Where it cannot be set, all
    // gateways suffer alike.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    let gap = Duration::from_secs(1) / rate;
    let start = Instant::now() + Duration::from_millis(100);
    let threads: Vec<_> = (0..RATE_CONNECTIONS)
        .map(|index| {
            let first = start + gap * index;
            std::thread::spawn(move || {
                ask_on_time(address, first, gap * RATE_CONNECTIONS, start + time)
            })
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(part) => tally.add(part),
            Err(_) => tally.fail(Error::other("a thread panicked")),
        }
    }
    tally.ended()
}

fn ask_on_time(address: SocketAddr, first: Instant, gap: Duration, until: Instant) -> Tally {
    let mut tally = Tally::begin();
    let mut result = || -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (request, expected) = (chat_request(None), chat_answer());
        let mut connection = runtime.block_on(Connection::open(address))?;
        let mut due = first;
        while due < until {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            runtime.block_on(ask(&mut connection, &request, &expected))?;
            tally.finish(due);
            due += gap;
        }
        Ok(())
    };
    if let Err(error) = result() {
        tally.fail(error);
    }
    tally
}

async fn ask(connection: &mut Connection, request: &[u8], expected: &Bytes) -> Result<(), Error> {
    connection.send(request).await?;
    connection.head().await?;
    let mut answer = BytesMut::new();
    while let Some(piece) = connection.piece().await? {
        answer.extend_from_slice(&piece);
    }
    if answer != expected {
        return Err(Error::other("the answer was changed"));
    }
    Ok(())
}
