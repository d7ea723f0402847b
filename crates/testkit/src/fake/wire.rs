//! Just enough of HTTP/1.1 for a fake upstream: requests off the wire, scripted answers onto it.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Recorded;
use super::reply::{Reply, Step};

/// Plays the steps; whether the connection can be used again.
pub(super) async fn play(socket: &mut TcpStream, reply: Reply) -> std::io::Result<bool> {
    let mut void = [0; 1024];
    for step in reply.steps {
        match step {
            Step::Send(bytes) => {
                socket.write_all(&bytes).await?;
                socket.flush().await?;
            }
            Step::Wait(time) => {
                // A peer that goes away while nothing is said is noticed at once.
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    read = socket.read(&mut void) => if read? == 0 { return Ok(false) },
                }
            }
            Step::Until(notify) => {
                tokio::select! {
                    () = notify.notified() => {}
                    read = socket.read(&mut void) => if read? == 0 { return Ok(false) },
                }
            }
            Step::Hang => while socket.read(&mut void).await? > 0 {},
            Step::Reset => {
                socket.set_zero_linger()?;
                return Ok(false);
            }
            Step::Close => return Ok(false),
        }
    }
    Ok(reply.reuse)
}

/// The next request; `None` where the peer has closed. Bodies are dropped unless `keep`.
pub(crate) async fn read_request(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    connection: usize,
    keep: bool,
) -> std::io::Result<Option<Recorded>> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = buffer.split_to(end);
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Recorded {
        method: first.next().unwrap_or_default().to_owned(),
        target: first.next().unwrap_or_default().to_owned(),
        headers,
        body: Bytes::new(),
        body_length: 0,
        connection,
    };
    read_body(socket, buffer, &mut request, keep).await?;
    Ok(Some(request))
}

async fn read_body(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    request: &mut Recorded,
    keep: bool,
) -> std::io::Result<()> {
    let mut kept = BytesMut::new();
    if request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.contains("chunked"))
    {
        loop {
            let line = read_line(socket, buffer).await?;
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            take(socket, buffer, size, keep.then_some(&mut kept)).await?;
            request.body_length += size;
            read_line(socket, buffer).await?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request
            .header("content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        take(socket, buffer, length, keep.then_some(&mut kept)).await?;
        request.body_length = length;
    }
    request.body = kept.freeze();
    Ok(())
}

async fn read_line(socket: &mut TcpStream, buffer: &mut BytesMut) -> std::io::Result<String> {
    loop {
        if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = buffer.split_to(at + 2);
            return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn take(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    mut length: usize,
    mut kept: Option<&mut BytesMut>,
) -> std::io::Result<()> {
    while length > 0 {
        if buffer.is_empty() && socket.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let piece = buffer.split_to(length.min(buffer.len()));
        length -= piece.len();
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(&piece);
        }
    }
    Ok(())
}
