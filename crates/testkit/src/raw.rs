//! A client that writes and reads bytes, for what a well-behaved one never does.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A raw connection.
#[derive(Debug)]
pub struct RawClient {
    socket: TcpStream,
}

impl RawClient {
    /// Connects to `host:port`.
    pub async fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket }
    }

    /// Writes bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Writes a POST of JSON.
    pub async fn post(&mut self, path: &str, body: &str) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.send(head + body).await;
    }

    /// Reads until `text` has come or the connection ends; everything that came.
    pub async fn read_until(&mut self, text: &str) -> String {
        let read = async {
            let mut all = Vec::new();
            let mut buffer = vec![0; 16 * 1024];
            loop {
                match self.socket.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => all.extend_from_slice(&buffer[..length]),
                }
                if !text.is_empty() && String::from_utf8_lossy(&all).contains(text) {
                    break;
                }
            }
            String::from_utf8_lossy(&all).into_owned()
        };
        tokio::time::timeout(crate::PATIENCE, read)
            .await
            .expect("the gateway answers or closes")
    }

    /// Reads to the end of the connection.
    pub async fn read_to_end(&mut self) -> String {
        self.read_until("").await
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }
}
