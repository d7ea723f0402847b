//! A plugin for Aurora: `GET` answers with a greeting, `POST` streams a chat from the route's upstream.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value, json};

aurora_sdk::export_plugin!(Hello);

struct Hello;

impl Plugin for Hello {
    fn manifest(&self) -> Manifest {
        Manifest::json(include_str!("../plugin.json"))
    }

    fn build(
        &self,
        _: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        Ok(Box::new(aurora_sdk::options::read::<Greeter>(options)?))
    }
}

#[derive(serde::Deserialize)]
#[serde(default)]
struct Greeter {
    greeting: String,
}

impl Default for Greeter {
    fn default() -> Self {
        Self {
            greeting: "hello".to_owned(),
        }
    }
}

impl Handler for Greeter {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            if request.method == "POST" {
                return relay(
                    cx,
                    request,
                    Operation::Chat,
                    Payload::Json,
                    "chat/completions",
                )
                .await;
            }
            Response::json(
                &json!({ "message": format!("{}, {}", self.greeting, cx.client().name) }),
            )
        })
    }
}
