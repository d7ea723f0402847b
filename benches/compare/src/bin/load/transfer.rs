//! One large body, up or down.

use std::io::Error;
use std::net::SocketAddr;
use std::time::Instant;

use bench_compare::head;

use crate::connection::Connection;
use crate::tally::Tally;

static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

/// Sends `bytes` and checks that the upstream counted as many.
pub(crate) async fn upload(address: SocketAddr, bytes: usize) -> Result<Tally, Error> {
    let mut connection = Connection::open(address).await?;
    let mut tally = Tally::begin();
    let began = Instant::now();
    connection
        .send(&head(
            "POST",
            "/v1/upload",
            "application/octet-stream",
            bytes,
        ))
        .await?;
    let mut left = bytes;
    while left > 0 {
        let length = left.min(PIECE.len());
        connection.send(&PIECE[..length]).await?;
        left -= length;
    }
    connection.head().await?;
    let answer = connection.piece().await?.unwrap_or_default();
    if answer != format!("{{\"bytes\":{bytes}}}") {
        return Err(Error::other(format!(
            "the upstream got {}",
            String::from_utf8_lossy(&answer)
        )));
    }
    tally.finish(began);
    Ok(tally.ended())
}

/// Asks for `bytes` and counts them.
pub(crate) async fn download(address: SocketAddr, bytes: usize) -> Result<Tally, Error> {
    let mut connection = Connection::open(address).await?;
    let mut tally = Tally::begin();
    let began = Instant::now();
    connection
        .send(&head(
            "GET",
            &format!("/v1/download/{bytes}"),
            "application/octet-stream",
            0,
        ))
        .await?;
    connection.head().await?;
    let mut received = 0;
    while let Some(piece) = connection.piece().await? {
        received += piece.len();
    }
    if received != bytes {
        return Err(Error::other(format!("{received} bytes came")));
    }
    tally.finish(began);
    Ok(tally.ended())
}
