//! Event streams: read to their end with every event checked, or held open.

use std::io::{Error, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bench_compare::{DONE, Pace, Stream, chat_request, is_event};
use bytes::{Buf as _, BytesMut};

use crate::connection::Connection;
use crate::tally::Tally;

/// Streams that are opened at once; more would overflow the queues of the listeners.
const OPENING: usize = 100;

/// Reads `streams` streams of `count` events at once, one after the other on each connection until `time` is over.
pub(crate) async fn run(
    address: SocketAddr,
    streams: u32,
    count: u64,
    pace: Pace,
    time: Duration,
) -> Tally {
    let tally = Tally::begin();
    let until = Instant::now() + time;
    let stream = Stream { count, pace };
    let tasks: Vec<_> = (0..streams)
        .map(|index| {
            // Spread over the gap: events of all streams at once would be a burst.
            let delay = match pace {
                Pace::Every(milliseconds) => Duration::from_millis(milliseconds) * index / streams,
                Pace::Joined | Pace::Flushed => Duration::ZERO,
            };
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                read_until(address, stream, until).await
            })
        })
        .collect();
    tally.gather(tasks).await
}

async fn read_until(address: SocketAddr, stream: Stream, until: Instant) -> Tally {
    let mut tally = Tally::begin();
    let result = async {
        let request = chat_request(Some(stream));
        let mut connection = Connection::open(address).await?;
        while Instant::now() < until {
            let began = Instant::now();
            connection.send(&request).await?;
            connection.head().await?;
            read(&mut connection, stream.count, &mut tally.chunks).await?;
            tally.finish(began);
        }
        Ok(())
    };
    if let Err(error) = result.await {
        tally.fail(error);
    }
    tally
}

/// Every event in its order, each byte of it, the end marker, and nothing behind it.
async fn read(connection: &mut Connection, count: u64, chunks: &mut u64) -> Result<(), Error> {
    let mut next = 0;
    let mut rest = BytesMut::new();
    while let Some(piece) = connection.piece().await? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.windows(2).position(|window| window == b"\n\n") {
            let event = &rest[..end + 2];
            let right = match next {
                _ if event.starts_with(b":") => {
                    rest.advance(end + 2);
                    continue;
                }
                next if next < count => is_event(event, next),
                next => next == count && event == DONE,
            };
            if !right {
                return Err(Error::other(format!(
                    "not event {next}: {}",
                    String::from_utf8_lossy(event)
                )));
            }
            next += 1;
            *chunks += 1;
            rest.advance(end + 2);
        }
    }
    if next != count + 1 || !rest.is_empty() {
        return Err(Error::other(format!(
            "the stream ended after {next} events"
        )));
    }
    Ok(())
}

/// Opens `streams` streams, says so, and keeps them open until standard input ends.
pub(crate) async fn hold(address: SocketAddr, streams: usize) -> Result<Tally, Error> {
    let mut tally = Tally::begin();
    let mut held = Vec::with_capacity(streams);
    while held.len() < streams {
        let batch: Vec<_> = (0..OPENING.min(streams - held.len()))
            .map(|_| tokio::spawn(open(address)))
            .collect();
        for task in batch {
            held.push(task.await.map_err(Error::other)??);
            tally.done += 1;
        }
    }
    writeln!(std::io::stdout(), "held")?;
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()))
        .await
        .map_err(Error::other)??;
    drop(held);
    Ok(tally.ended())
}

async fn open(address: SocketAddr) -> Result<Connection, Error> {
    let mut connection = Connection::open(address).await?;
    let stream = Stream {
        count: 2,
        pace: Pace::Every(3_600_000),
    };
    connection.send(&chat_request(Some(stream))).await?;
    connection.head().await?;
    match connection.piece().await? {
        Some(piece) if is_event(&piece, 0) => Ok(connection),
        _ => Err(Error::other("no first event")),
    }
}
