//! HTTP/2 by hand (RFC 9113): what no library would send.

use std::time::Duration;

use aurora_testkit::Aurora;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header that no table gets (RFC 7541, 6.2.2).
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 127);
        bytes.push(length);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The pseudo-headers of a request.
pub(super) fn request(method: &str, path: &str) -> Vec<u8> {
    [
        literal(":method", method),
        literal(":scheme", "http"),
        literal(":path", path),
        literal(":authority", "x"),
    ]
    .concat()
}

/// A whole GET.
pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    let block = request("GET", path);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// What came: frames as kind, flags, stream and payload.
type Frame = (u8, u8, u32, Vec<u8>);

/// A connection.
pub(super) struct Client {
    socket: TcpStream,
}

impl Client {
    /// Connects, with the preface and empty settings.
    pub(super) async fn connect(aurora: &Aurora) -> Self {
        Self::with_settings(aurora, &[]).await
    }

    /// Connects with `settings`.
    pub(super) async fn with_settings(aurora: &Aurora, settings: &[u8]) -> Self {
        let mut socket = super::connect(aurora).await;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let hello = [preface, frame(SETTINGS, 0, 0, settings)].concat();
        socket.write_all(&hello).await.unwrap();
        Self { socket }
    }

    /// Sends bytes.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends bytes, reading nothing; whether they were taken.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok()
    }

    /// Sends `piece` so often, or until it is no longer taken; and reads along. The code of the GOAWAY that came, where one did.
    pub(super) async fn flood(self, mut piece: impl FnMut(u32) -> Vec<u8>, times: u32) -> Flooded {
        let (mut reading, mut writing) = self.socket.into_split();
        let read = tokio::spawn(async move {
            let mut seen = Flooded::default();
            while let Ok(frame) = read_frame(&mut reading).await {
                seen.frames += 1;
                if let (GOAWAY, _, _, payload) = frame {
                    seen.goaway = payload[4..8].try_into().ok().map(u32::from_be_bytes);
                }
            }
            seen
        });
        let written = async {
            let mut number = 0;
            while number < times {
                let end = (number + 64).min(times);
                let batch: Vec<u8> = (number..end).flat_map(&mut piece).collect();
                if writing.write_all(&batch).await.is_err() {
                    break;
                }
                number = end;
            }
            number
        };
        let sent = tokio::time::timeout(Duration::from_mins(1), written).await;
        let sent = sent.unwrap();
        // What was sent has been dealt with when the end has been seen.
        drop(writing.shutdown().await);
        let seen = tokio::time::timeout(aurora_testkit::PATIENCE, read).await;
        let seen = seen.unwrap().unwrap();
        Flooded { sent, ..seen }
    }

    /// Everything in the DATA of `stream` until it ends.
    pub(super) async fn until_end_of(&mut self, stream: u32) -> String {
        let read = async {
            let mut text = Vec::new();
            while let Ok((kind, flags, of, payload)) = read_frame(&mut self.socket).await {
                if of != stream {
                    continue;
                }
                if kind == DATA {
                    text.extend(payload);
                }
                if kind == RST_STREAM || flags & END_STREAM != 0 && kind <= HEADERS {
                    break;
                }
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        let read = tokio::time::timeout(aurora_testkit::PATIENCE, read).await;
        read.unwrap()
    }
}

/// What became of a flood.
#[derive(Debug, Default)]
pub(super) struct Flooded {
    /// Pieces that were taken.
    pub(super) sent: u32,
    /// Frames that came back.
    pub(super) frames: u64,
    /// The code of the GOAWAY, where one came.
    pub(super) goaway: Option<u32>,
}

async fn read_frame(socket: &mut (impl tokio::io::AsyncRead + Unpin)) -> std::io::Result<Frame> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await?;
    Ok((head[3], head[4], stream, payload))
}
