//! The built-in `files` plugin: upload, list, look at, read and delete files. Uploads and downloads are streamed through.

use std::sync::Arc;

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Handler, Manifest, Operation, Plugin, PluginHost,
    Request, Response,
};
use serde_json::{Map, Value};

#[cfg(feature = "export")]
aurora_sdk::export_plugin!(Files);

/// Serves `/v1/files`, `/v1/files/{id}` and `/v1/files/{id}/content`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl Plugin for Files {
    fn manifest(&self) -> Manifest {
        Manifest::handler("files", env!("CARGO_PKG_VERSION"))
            .about("files: upload, list, look at, read, delete")
            .methods(["GET", "POST", "DELETE"])
    }

    fn build(
        &self,
        _host: &Arc<dyn PluginHost>,
        options: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        BuildError::unknown_options(options, &[])?;
        Ok(Box::new(FilesHandler))
    }
}

struct FilesHandler;

impl Handler for FilesHandler {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            let path = match request.path.find("/files") {
                Some(at) => request.path.split_at(at + 1).1.to_owned(),
                None => {
                    return Err(Error::internal(
                        "the files plugin needs a route with `/files` in its path",
                    ));
                }
            };
            relay(
                cx,
                request,
                Operation::Files,
                Payload::ByContentType,
                path.trim_end_matches('/'),
            )
            .await
        })
    }
}
