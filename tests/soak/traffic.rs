//! Who asks for what, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::asks;
use super::setting::Setting;

/// One request; `Err` says in full what was not as it should be. The number tells requests of a kind apart.
type Ask = fn(Arc<Visitor>, u64) -> BoxFuture<'static, Result<(), String>>;

/// So many clients ask one after the other, with a pause.
struct Kind {
    name: &'static str,
    clients: u64,
    pause: Duration,
    ask: Ask,
}

macro_rules! kind {
    ($name:expr, $clients:expr, $pause:expr, $ask:path) => {
        Kind {
            name: $name,
            clients: $clients,
            pause: Duration::from_millis($pause),
            ask: |visitor, number| Box::pin(async move { $ask(&visitor, number).await }),
        }
    };
}

const KINDS: [Kind; 15] = [
    kind!("chat", 3, 50, asks::chat),
    kind!("chat, streamed", 3, 60, asks::chat_stream),
    kind!("chat, slow stream", 4, 50, asks::slow_stream),
    kind!("chat, left in the middle", 2, 200, asks::leave_stream),
    kind!("upload of 8 MiB", 1, 1500, asks::upload),
    kind!("upload, left in the middle", 1, 1000, asks::leave_upload),
    kind!("embeddings", 1, 50, asks::embeddings),
    kind!("models", 1, 200, asks::models),
    kind!("responses", 1, 100, asks::responses),
    kind!("responses, emulated", 1, 100, asks::emulated),
    kind!("ChatGPT account", 2, 300, asks::web),
    kind!("plugin", 2, 50, asks::plugin),
    kind!("plugin, streamed", 2, 100, asks::plugin_stream),
    kind!("wrong key", 1, 200, asks::wrong_key),
    kind!("broken JSON, no route", 1, 200, asks::broken),
];

/// Who asks. Its connections close with it.
pub(super) struct Visitor {
    setting: Arc<Setting>,
    clients: [reqwest::Client; 3],
}

impl Visitor {
    fn new(setting: &Arc<Setting>) -> Self {
        let builder = || {
            reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(30))
        };
        // Keeps its connections, opens one for each request, speaks HTTP/2.
        let builders = [
            builder(),
            builder().pool_max_idle_per_host(0),
            builder().http2_prior_knowledge(),
        ];
        Self {
            setting: Arc::clone(setting),
            clients: builders.map(|builder| builder.build().unwrap()),
        }
    }

    /// Where the gateway listens.
    pub(super) fn url(&self) -> &str {
        self.setting.aurora.url()
    }

    /// The client of request `number`.
    pub(super) fn client(&self, number: u64) -> &reqwest::Client {
        let place = usize::try_from(number).unwrap() % self.clients.len();
        &self.clients[place]
    }
}

/// Traffic under way.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

pub(super) fn begin(setting: &Arc<Setting>) -> Traffic {
    let stop = Arc::new(AtomicBool::new(false));
    let visitor = Arc::new(Visitor::new(setting));
    let mut clients = Vec::new();
    for kind in KINDS {
        for client in 0..kind.clients {
            let (visitor, stop) = (Arc::clone(&visitor), Arc::clone(&stop));
            clients.push(tokio::spawn(async move {
                let mut number = client;
                while !stop.load(Ordering::Relaxed) {
                    let outcome = (kind.ask)(Arc::clone(&visitor), number).await;
                    visitor.setting.tally.count(kind.name, outcome);
                    number += kind.clients;
                    tokio::time::sleep(kind.pause).await;
                }
            }));
        }
    }
    Traffic { stop, clients }
}

impl Traffic {
    /// Lets what is under way end.
    pub(super) async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}
