//! The models of all the route's upstreams, each once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aurora_openai::models::{Model, ModelList};
use aurora_sdk::{Body, Error, ErrorKind, Operation, Origin, UpstreamRequest};
use futures_util::future::join_all;
use http::{HeaderMap, Method};

use super::RequestHost;
use crate::upstream::{Audience, Upstream, send};

/// How long one upstream may keep the others' models waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest model list that is read.
const MAX_LIST: u64 = 8 * 1024 * 1024;

pub(super) async fn merged(host: &RequestHost) -> Result<Vec<Model>, Error> {
    let targets = host.targets(None);
    let lists = targets.iter().map(|upstream| async move {
        let listed = tokio::time::timeout(PATIENCE, list(host, upstream)).await;
        listed.unwrap_or_else(|_| Err(unreadable(upstream, "no answer in time")))
    });
    let lists = join_all(lists).await;
    let mut by_id = BTreeMap::new();
    let mut failure = None;
    for (upstream, list) in targets.iter().zip(lists) {
        match list {
            Ok(models) => {
                for model in models {
                    by_id.entry(model.id.clone()).or_insert(model);
                }
            }
            Err(error) => failure = Some(error),
        }
        for alias in upstream.settings.models.keys() {
            let model = Model::new(alias.clone(), 0, upstream.name.clone());
            by_id.entry(alias.clone()).or_insert(model);
        }
    }
    match failure {
        // Better a short list than none; but none at all would hide that something is wrong.
        Some(error) if by_id.is_empty() => Err(error),
        _ => Ok(by_id
            .into_values()
            .filter(|model| host.admission.allows_model(&model.id))
            .collect()),
    }
}

async fn list(host: &RequestHost, upstream: &Arc<Upstream>) -> Result<Vec<Model>, Error> {
    let request = UpstreamRequest {
        operation: Operation::Models,
        method: Method::GET,
        path: "models".to_owned(),
        headers: HeaderMap::new().into(),
        body: Body::empty(),
        model: None,
    };
    let exchange = host.exchange(vec![Arc::clone(upstream)]);
    let response = send(&exchange, Audience::Aurora, request).await?;
    let status = response.status;
    let bytes = response.body.read_all(MAX_LIST).await?;
    if !status.is_success() {
        return Err(unreadable(upstream, &format!("status {}", status.as_u16())));
    }
    let list: ModelList =
        serde_json::from_slice(&bytes).map_err(|_| unreadable(upstream, "no model list"))?;
    Ok(list.data)
}

fn unreadable(upstream: &Upstream, what: &str) -> Error {
    let message = format!(
        "upstream `{}` did not list its models ({what})",
        upstream.name
    );
    Error::new(
        ErrorKind::BadGateway,
        Origin::Upstream,
        "upstream_error",
        message,
    )
}
