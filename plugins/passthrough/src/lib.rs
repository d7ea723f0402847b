//! The built-in `passthrough` plugin: any path, any method, byte for byte.

use std::sync::Arc;

use aurora_sdk::relay::{Payload, below, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Passthrough);

/// Serves any path by sending it on below the upstream's `base_url`.
///
/// Option `strip_prefix` (default `/v1`): the beginning of the path that `base_url` already has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passthrough;

impl Plugin for Passthrough {
    fn manifest(&self) -> Manifest {
        Manifest::handler("passthrough", env!("CARGO_PKG_VERSION"))
            .about("any path, any method, byte for byte")
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &["strip_prefix"])?;
        let strip_prefix = match options.get("strip_prefix") {
            None => "/v1".to_owned(),
            Some(Value::String(prefix)) if prefix.is_empty() || prefix.starts_with('/') => {
                prefix.clone()
            }
            Some(_) => {
                return Err(
                    BuildError::new("strip_prefix", "`strip_prefix` must be a path").with_hint(
                        "write it as in `strip_prefix = \"/v1\"`, or `\"\"` to keep the whole path",
                    ),
                );
            }
        };
        Ok(Box::new(PassthroughHandler { strip_prefix }))
    }
}

struct PassthroughHandler {
    strip_prefix: String,
}

impl Handler for PassthroughHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let path = below(&request.path, &self.strip_prefix).to_owned();
            relay(cx, request, Operation::Other, Payload::ByContentType, &path).await
        })
    }
}
