//! The built-in `models` plugin: the models of all the route's upstreams, with the configured aliases.

use std::sync::Arc;

use aurora_openai::models::{Model, ModelList};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, ErrorKind, Handler, Manifest, Origin, Plugin,
    PluginHost, Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Models);

/// Serves `GET /v1/models` and `GET /v1/models/{id}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Models;

impl Plugin for Models {
    fn manifest(&self) -> Manifest {
        Manifest::handler("models", env!("CARGO_PKG_VERSION"))
            .about("the models of all upstreams of the route")
            .methods(["GET"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(ModelsHandler))
    }
}

struct ModelsHandler;

impl Handler for ModelsHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        _request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let models = cx.host().models().await?;
            match wanted(cx) {
                None => Response::json(&ModelList::new(models)),
                Some(id) => Response::json(&find(models, id)?),
            }
        })
    }
}

/// The id in the path, under any name: `{id}`, `{model}` and `{*rest}` (ids may have slashes) are all in use.
fn wanted(cx: &Context) -> Option<&str> {
    ["id", "model", "rest"]
        .into_iter()
        .find_map(|name| cx.params().get(name))
}

fn find(models: Vec<Model>, id: &str) -> Result<Model, Error> {
    models
        .into_iter()
        .find(|model| model.id == id)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Origin::Downstream,
                "model_not_found",
                format!("there is no model `{id}` here; GET the model list to see which there are"),
            )
            .with_param("model")
        })
}
