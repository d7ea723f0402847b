//! A plugin that does next to nothing, so that what is measured is the way to it and back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use aurora_sdk::relay::{Payload, relay};
use aurora_sdk::{
    BoxFuture, BuildError, Context, Error, Filter, Follows, Handler, Manifest, Operation, Pass,
    Plugin, PluginHost, Request, Response,
};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Map, Value};

/// See the module.
pub(crate) struct Bench;

impl Plugin for Bench {
    fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::handler("bench", "1.0.0").without_upstream();
        manifest.kinds.push(aurora_sdk::Kind::Filter);
        manifest
    }

    fn build(
        &self,
        _: &Arc<dyn PluginHost>,
        _: &Map<String, Value>,
    ) -> Result<Box<dyn Handler>, BuildError> {
        Ok(Box::new(Server))
    }

    fn build_filter(
        &self,
        _: &Arc<dyn PluginHost>,
        _: &Map<String, Value>,
    ) -> Result<Box<dyn Filter>, BuildError> {
        Ok(Box::new(Nothing))
    }
}

struct Server;

impl Handler for Server {
    fn handle<'a>(
        &'a self,
        cx: &'a Context,
        request: Request,
    ) -> BoxFuture<'a, Result<Response, Error>> {
        Box::pin(async move {
            match request.path.as_str() {
                "/short" => Ok(Response::new(
                    "application/json",
                    Bytes::from_static(b"{\"message\":\"hello\"}"),
                )),
                "/relay" => {
                    relay(
                        cx,
                        request,
                        Operation::Chat,
                        Payload::Json,
                        "chat/completions",
                    )
                    .await
                }
                path => {
                    let count = path
                        .rsplit('/')
                        .next()
                        .and_then(|count| count.parse().ok())
                        .unwrap_or(0);
                    let paced = path.starts_with("/paced/");
                    Ok(Response::events(Box::pin(Chunks {
                        left: count,
                        paced,
                        waits: paced,
                    })))
                }
            }
        })
    }
}

/// Pieces of 36 bytes, each there at once, or, paced, each for itself.
struct Chunks {
    left: u32,
    paced: bool,
    waits: bool,
}

impl Stream for Chunks {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.waits {
            self.waits = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waits = self.paced;
        self.left -= 1;
        Poll::Ready(Some(Ok(Bytes::from_static(
            b"data: 0123456789012345678901234567\n\n",
        ))))
    }
}

/// A filter that looks at nothing.
struct Nothing;

impl Filter for Nothing {
    fn follows(&self) -> Follows {
        Follows::Nothing
    }

    fn begin(&self, _: &Context) -> Box<dyn Pass> {
        struct Through;
        impl Pass for Through {}
        Box::new(Through)
    }
}
