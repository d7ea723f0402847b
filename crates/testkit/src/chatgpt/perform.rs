//! Streams on the wire: piece by piece, with waits, pings and bad endings.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::running::Running;
use super::websocket::Push;

/// One step of a stream.
#[derive(Debug, Clone)]
pub(super) enum Beat {
    /// One chunk of the body.
    Send(Bytes),
    /// Waits, with pings where a frame has just ended.
    Wait { time: Duration, at_boundary: bool },
    /// Waits until the test says so.
    Hold {
        until: Arc<Notify>,
        at_boundary: bool,
    },
    /// The turn no longer counts as running.
    Release,
    /// Says no more, keeps the connection open.
    Hang { at_boundary: bool },
    /// Ends the body as HTTP wants it.
    End,
    /// Closes the connection in the middle of the body.
    Close,
    /// The same with a reset.
    Reset,
}

/// A stream that is about to be played.
#[derive(Debug)]
pub(super) struct Performance {
    pub(super) headers: Vec<(String, String)>,
    pub(super) beats: Vec<Beat>,
    pub(super) pings: Option<Duration>,
    pub(super) running: Option<Running>,
    /// What the websocket tells once the stream is out.
    pub(super) pushes: Vec<Push>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The connection can serve another request.
    Kept,
    /// It is to be closed.
    Closed,
}

/// Plays it. A client that goes away is noticed at once, also while nothing is said.
pub(super) async fn perform(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    mut performance: Performance,
) -> std::io::Result<Ended> {
    let mut head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n".to_owned();
    for (name, value) in &performance.headers {
        head = head + name + ": " + value + "\r\n";
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await?;
    let last = {
        let (mut reader, mut writer) = socket.split();
        let gone =
            async { while matches!(reader.read_buf(buffer).await, Ok(length) if length > 0) {} };
        tokio::select! {
            biased;
            last = play(&mut writer, &mut performance) => last?,
            () = gone => return Ok(Ended::Closed),
        }
    };
    if let Some(mut running) = performance.running.take() {
        running.release();
        running.publish(performance.pushes);
    }
    if matches!(last, Beat::Reset) {
        socket.set_zero_linger()?;
    }
    Ok(match last {
        Beat::End => Ended::Kept,
        _ => Ended::Closed,
    })
}

/// Plays all beats; the one that ended the body.
async fn play(
    writer: &mut (impl AsyncWrite + Unpin),
    performance: &mut Performance,
) -> std::io::Result<Beat> {
    let pings = performance.pings;
    for beat in std::mem::take(&mut performance.beats) {
        match beat {
            Beat::Send(bytes) => send(writer, &bytes).await?,
            Beat::Release => {
                if let Some(running) = &mut performance.running {
                    running.release();
                }
            }
            Beat::Wait { time, at_boundary } => {
                let wait = tokio::time::sleep(time);
                wait_with_pings(writer, wait, pings.filter(|_| at_boundary)).await?;
            }
            Beat::Hold { until, at_boundary } => {
                let wait = until.notified();
                wait_with_pings(writer, wait, pings.filter(|_| at_boundary)).await?;
            }
            Beat::Hang { at_boundary } => {
                let wait = std::future::pending();
                wait_with_pings(writer, wait, pings.filter(|_| at_boundary)).await?;
            }
            Beat::End => {
                writer.write_all(b"0\r\n\r\n").await?;
                return Ok(Beat::End);
            }
            end @ (Beat::Close | Beat::Reset) => return Ok(end),
        }
    }
    Ok(Beat::Close)
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    writer.write_all(&framed).await?;
    writer.flush().await
}

async fn wait_with_pings(
    writer: &mut (impl AsyncWrite + Unpin),
    wait: impl Future<Output = ()>,
    pings: Option<Duration>,
) -> std::io::Result<()> {
    let mut wait = std::pin::pin!(wait);
    let Some(period) = pings else {
        wait.await;
        return Ok(());
    };
    loop {
        tokio::select! {
            () = &mut wait => return Ok(()),
            () = tokio::time::sleep(period) => {
                send(writer, b": ping - 2026-02-24 16:20:01.000000+00:00\n\n").await?;
            }
        }
    }
}
