//! An HTTP/1.1 connection that does no more than it must, so that the load costs little.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ_SIZE: usize = 64 * 1024;

/// One connection, with one exchange at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: BytesMut,
    body: Left,
}

/// What is left of the answer's body.
#[derive(Debug)]
enum Left {
    Bytes(u64),
    Chunks,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Error> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            buffer: BytesMut::new(),
            body: Left::Bytes(0),
        })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.write_all(bytes).await
    }

    /// Reads the head of an answer, which must be a 200.
    pub(crate) async fn head(&mut self) -> Result<(), Error> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            self.read().await?;
        };
        let head = self.buffer.split_to(end + 4);
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            let status = head.lines().next().unwrap_or_default();
            return Err(Error::other(format!(
                "{status}: {}",
                String::from_utf8_lossy(&self.buffer)
            )));
        }
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        self.body = match value("content-length: ") {
            Some(length) => Left::Bytes(length.parse().map_err(Error::other)?),
            None if value("transfer-encoding: ") == Some("chunked") => Left::Chunks,
            None => return Err(Error::other("an answer without a length")),
        };
        Ok(())
    }

    /// The next piece of the body; `None` after the last one.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        match self.body {
            Left::Bytes(0) => Ok(None),
            Left::Bytes(left) => {
                if self.buffer.is_empty() {
                    self.read().await?;
                }
                let length = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(self.buffer.len());
                self.body = Left::Bytes(left - length as u64);
                Ok(Some(self.buffer.split_to(length).freeze()))
            }
            Left::Chunks => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let line = loop {
            if let Some(line) = find(&self.buffer, b"\r\n") {
                break line;
            }
            self.read().await?;
        };
        let digits = std::str::from_utf8(&self.buffer[..line]).map_err(Error::other)?;
        let length = usize::from_str_radix(digits, 16).map_err(Error::other)?;
        while self.buffer.len() < line + 2 + length + 2 {
            self.read().await?;
        }
        self.buffer.advance(line + 2);
        let chunk = self.buffer.split_to(length).freeze();
        self.buffer.advance(2);
        if length == 0 {
            self.body = Left::Bytes(0);
            return Ok(None);
        }
        Ok(Some(chunk))
    }

    async fn read(&mut self) -> Result<(), Error> {
        self.buffer.reserve(READ_SIZE);
        if self.socket.read_buf(&mut self.buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
