//! A fake of the ChatGPT web service: as strict as the service, with knobs for what goes wrong.
//!
//! Two listeners on loopback: the service itself (API, OAuth, session exchange, websocket) and a blob store, which is a
//! foreign origin and must see no credentials. It knows only the accounts, tokens and device ids that it handed out.

mod accounts;
mod answer;
mod audio;
mod auth;
mod blob;
mod catalog;
mod compose;
mod controls;
mod conversations;
mod echo;
mod fault;
mod files;
mod frames;
mod handoff;
mod images;
mod messages;
mod pace;
mod perform;
mod record;
mod refusal;
mod replay;
mod running;
mod script;
mod serve;
mod settings;
mod signin;
mod transcripts;
mod turn;
mod validate;
mod websocket;
mod world;

pub use accounts::AccountSpec;
pub use fault::Fault;
pub use record::{Host, Recorded};
pub use script::{Form, Reply};
pub use settings::{Indexing, Links};

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use world::Shared;

/// See the module. Clones are the same service; it stops with the last of them.
#[derive(Debug, Clone)]
pub struct FakeChatGpt {
    shared: Arc<Shared>,
    _listeners: Arc<Listeners>,
}

#[derive(Debug)]
struct Listeners([JoinHandle<()>; 2]);

impl Drop for Listeners {
    fn drop(&mut self) {
        for listener in &self.0 {
            listener.abort();
        }
    }
}

impl FakeChatGpt {
    /// Starts it on two free ports.
    ///
    /// # Panics
    /// Where there is no free port.
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// Starts the service on `port`, the blob store on a free one.
    ///
    /// # Panics
    /// Where the port is taken.
    pub async fn start_on(port: u16) -> Self {
        let service = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let blob = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (service.local_addr().unwrap(), blob.local_addr().unwrap());
        let shared = Arc::new(Shared::new(addresses.0, addresses.1));
        let serve =
            |listener, host| tokio::spawn(serve::serve(listener, host, Arc::clone(&shared)));
        let listeners = Listeners([serve(service, Host::Service), serve(blob, Host::Blob)]);
        Self {
            shared,
            _listeners: Arc::new(listeners),
        }
    }

    /// The API root, for `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/backend-api", self.shared.service)
    }

    /// Where refresh tokens are exchanged.
    pub fn oauth_url(&self) -> String {
        format!("http://{}/oauth/token", self.shared.service)
    }

    /// Where session tokens are exchanged.
    pub fn session_url(&self) -> String {
        format!("http://{}/api/auth/session", self.shared.service)
    }

    /// The root of the blob store.
    pub fn blob_url(&self) -> String {
        format!("http://{}", self.shared.blob)
    }
}
