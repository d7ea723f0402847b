//! The models: the service's own list while it can be had, a known one while it cannot.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aurora_accounts::{Feature, Lease};
use aurora_chatgpt::model::{FALLBACK_MODELS, listed};
use aurora_openai::models::{Model, ModelList};
use aurora_sdk::Error;

use super::serving::Asking;
use super::web::Ask;
use super::{Service, decided, json_answer};
use crate::providers::{Answer, Call, Fault, Tries, Visitor};

/// How long a list is good.
const FRESH: Duration = Duration::from_mins(10);

/// How long a failure is remembered: clients that ask for models again and again must not cost a call each time.
const RETRY: Duration = Duration::from_secs(30);

/// How long the service may keep a client waiting for a list that is known anyway.
const PATIENCE: Duration = Duration::from_secs(8);

/// Answered since the historic gateway.
const CREATED: i64 = 1_685_474_247;

/// The last list.
#[derive(Debug, Default)]
pub(super) struct Catalog(Mutex<Option<Known>>);

#[derive(Debug, Clone)]
struct Known {
    models: Option<Arc<[String]>>,
    until: Instant,
}

/// Answers `GET models`.
pub(super) async fn answer(service: &Arc<Service>, call: Call) -> Result<Answer, Fault> {
    let known = service.catalog.get();
    let models = match known {
        Some(known) if known.until > Instant::now() => known.models,
        known => {
            let asked =
                tokio::time::timeout(PATIENCE, ask(service, &call.visitor, &call.tries)).await;
            let found = match asked {
                Ok(Ok(found)) if !found.is_empty() => Some(found.into()),
                Ok(Ok(_)) | Err(_) => None,
                Ok(Err(fault)) => {
                    tracing::info!(upstream = service.web.name, cause = ?fault, "the service's models cannot be had");
                    None
                }
            };
            service.catalog.put(found, known)
        }
    };
    let names = models.as_deref().map_or_else(
        || FALLBACK_MODELS.map(str::to_owned).to_vec(),
        <[String]>::to_vec,
    );
    let list = names
        .into_iter()
        .map(|name| Model::new(name, CREATED, "openai"));
    let list = ModelList::new(list.collect());
    let value = serde_json::to_value(&list).map_err(|error| decided(Error::internal(error)))?;
    Ok(json_answer(&value))
}

async fn ask(
    service: &Arc<Service>,
    visitor: &Visitor,
    tries: &Tries,
) -> Result<Vec<String>, Fault> {
    let asking = Asking {
        visitor,
        tries,
        model: None,
        feature: Feature::Other,
        login_for: Some("the model list"),
        pinned: None,
        turn: false,
    };
    let list = |lease: Arc<Lease>| async move {
        let ask = Ask::get("models?history_and_training_disabled=false");
        service.web.value(&lease, ask).await
    };
    let (answer, _) = service.with_account(&asking, list).await?;
    let mut models = listed(&answer);
    // The service takes it from everybody, listed or not.
    if !models.is_empty() && !models.iter().any(|model| model == "auto") {
        models.insert(0, "auto".to_owned());
    }
    Ok(models)
}

impl Catalog {
    fn get(&self) -> Option<Known> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Remembers a list; without one, the last stays a while longer.
    fn put(&self, found: Option<Arc<[String]>>, before: Option<Known>) -> Option<Arc<[String]>> {
        let keep = if found.is_some() { FRESH } else { RETRY };
        let models = found.or_else(|| before.and_then(|before| before.models));
        let known = Known {
            models: models.clone(),
            until: Instant::now() + keep,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        models
    }
}
