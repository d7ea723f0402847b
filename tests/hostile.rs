//! Clients that mean harm, or behave as if: each gets a defined answer or a closed connection, and nobody else notices.

mod bodies;
mod forms;
mod frames;
mod heads;
mod http2;
mod paths;
mod pressure;
mod readers;

use std::time::Duration;

use aurora_testkit::{Aurora, FakeUpstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{aurora, config};

const MIB: u64 = 1024 * 1024;

/// A gateway whose clients are given up soon, with `settings` in its `[server]`.
async fn impatient(upstream: &FakeUpstream, settings: &str) -> Aurora {
    let clocks = ["header_read", "body_read_gap", "idle"];
    let clocks = clocks.map(|name| {
        let line = format!("{name} = \"1s\"\n");
        if settings.contains(name) {
            String::new()
        } else {
            line
        }
    });
    let clocks = clocks.concat();
    let text = format!("[server]\n{clocks}{settings}\n{}", config(upstream, ""));
    aurora(&text).start().await
}

/// Another client is served, and soon.
async fn others_are_served(aurora: &Aurora) {
    let served = tokio::time::timeout(Duration::from_secs(5), aurora.chat("hi"));
    assert_eq!(served.await.unwrap().status(), 200);
}

/// Connects.
async fn connect(aurora: &Aurora) -> TcpStream {
    let address = aurora.url().trim_start_matches("http://");
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Sends `bytes` as far as they are taken; everything that comes until the connection ends, which it must.
async fn thrown(aurora: &Aurora, bytes: &[u8]) -> String {
    let mut socket = connect(aurora).await;
    let (mut reading, mut writing) = socket.split();
    let mut answer = Vec::new();
    let exchange = async {
        tokio::join!(
            // Refused in the middle is as good as taken.
            async { drop(writing.write_all(bytes).await) },
            async { drop(reading.read_to_end(&mut answer).await) },
        )
    };
    let ended = tokio::time::timeout(aurora_testkit::PATIENCE, exchange).await;
    ended.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
