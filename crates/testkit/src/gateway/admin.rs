//! What the admin side of a gateway says.

use serde_json::Value;

use super::Aurora;
use crate::eventually;

/// No connection is kept: tests count what is open.
const CLOSE: (&str, &str) = ("connection", "close");

impl Aurora {
    /// A JSON answer of the admin listener, with its status.
    pub async fn admin(&self, method: &str, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.admin_url());
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client().request(method, url);
        let response = request.header(CLOSE.0, CLOSE.1).send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    }

    /// `/metrics`.
    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.admin_url());
        let request = self.client().get(url);
        let response = request.header(CLOSE.0, CLOSE.1).send().await.unwrap();
        response.text().await.unwrap()
    }

    /// The value of `series`, such as `aurora_requests_total{status="200"}`; 0 where it is not there.
    pub async fn metric(&self, series: &str) -> u64 {
        let text = self.metrics().await;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.trim_end_matches(".0").parse().unwrap())
    }

    /// `/status`.
    pub async fn status(&self) -> Value {
        self.admin("GET", "/status").await.1
    }

    /// The generation that serves.
    pub async fn generation(&self) -> u64 {
        self.status().await["generation"].as_u64().unwrap()
    }

    /// Waits until `generation` or a later one serves.
    pub async fn wait_for_generation(&self, generation: u64) {
        eventually("the next generation", async || {
            self.generation().await >= generation
        })
        .await;
    }

    /// Waits until the config on disk has been refused, and returns the diagnostics.
    pub async fn wait_for_reload_error(&self) -> String {
        eventually("a refused reload", async || {
            !self.status().await["reload"]["error"].is_null()
        })
        .await;
        self.status().await["reload"]["error"]["diagnostics"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}
