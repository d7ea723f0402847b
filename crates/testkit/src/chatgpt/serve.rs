//! The two listeners, and which room answers which call.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::answer::{Answer, Plain};
use super::auth::{self, Caller};
use super::fault::Kind;
use super::perform::{Ended, perform};
use super::record::{Host, Recorded};
use super::world::Shared;
use super::{audio, blob, catalog, conversations, files, handoff, signin, turn, websocket};
use crate::fake;

/// Serves until it is dropped; connections end with it.
pub(super) async fn serve(listener: TcpListener, host: Host, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { return };
                let shared = Arc::clone(&shared);
                // A peer that breaks off is what many tests are about.
                connections.spawn(async move { drop(connection(socket, host, &shared).await) });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut socket: TcpStream,
    host: Host,
    shared: &Arc<Shared>,
) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    socket.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    while let Some(raw) = fake::wire::read_request(&mut socket, &mut buffer, 0, true).await? {
        let request = record(shared, host, raw);
        let fault = shared.world().faults.take(&request);
        let answer = match fault {
            Some(Kind::Reset) => return socket.set_zero_linger(),
            Some(Kind::Close) => return Ok(()),
            Some(Kind::Silence) => return silence(socket).await,
            Some(Kind::Answer(plain)) => plain.into(),
            Some(Kind::Delay(time)) => {
                tokio::time::sleep(time).await;
                answer(shared, &request).await
            }
            None => answer(shared, &request).await,
        };
        match answer {
            Answer::Plain(plain) => socket.write_all(&plain.to_bytes()).await?,
            Answer::Stream(performance) => {
                if perform(&mut socket, &mut buffer, *performance).await? == Ended::Closed {
                    return Ok(());
                }
            }
            Answer::Websocket(account) => {
                return websocket::talk(socket, buffer, shared, (&request, account)).await;
            }
        }
    }
    Ok(())
}

/// Keeps the connection open until the client closes it.
async fn silence(mut socket: TcpStream) -> std::io::Result<()> {
    use tokio::io::AsyncReadExt as _;
    let mut void = [0; 1024];
    while socket.read(&mut void).await? > 0 {}
    Ok(())
}

/// Writes the request down.
fn record(shared: &Shared, host: Host, raw: fake::Recorded) -> Recorded {
    let target = origin_form(&raw.target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let host = if path.starts_with("/p7/ws/") && host == Host::Service {
        Host::Websocket
    } else {
        host
    };
    let mut request = Recorded {
        host,
        method: raw.method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: raw.headers,
        body: raw.body,
        account: None,
        workspace: None,
    };
    let mut world = shared.world();
    request.account = auth::claimed(&world, &request);
    request.workspace = request.header("chatgpt-account-id").map(str::to_owned);
    world.requests.push(request.clone());
    request
}

async fn answer(shared: &Arc<Shared>, request: &Recorded) -> Answer {
    let answer = match request.host {
        Host::Blob => blob::answer(&mut shared.world(), request).map(Answer::Plain),
        Host::Websocket => handoff::ticket(&shared.world(), request).map(Answer::Websocket),
        Host::Service => service(shared, request).await,
    };
    match answer {
        Ok(Answer::Plain(plain)) | Err(plain) if request.host == Host::Service => plain
            .header("x-oai-request-id", &Uuid::new_v4().to_string())
            .into(),
        Ok(answer) => answer,
        Err(plain) => plain.into(),
    }
}

async fn service(shared: &Arc<Shared>, request: &Recorded) -> Result<Answer, Plain> {
    let is_api = request.route() != request.path;
    if !is_api {
        let mut world = shared.world();
        return match request.call().as_str() {
            "POST /oauth/token" => signin::refresh(&mut world, request).map(Answer::Plain),
            "GET /api/auth/session" => Ok(signin::session(&mut world, request).into()),
            _ => Err(Plain::not_found()),
        };
    }
    let caller = auth::admit(&shared.world(), request)?;
    let segments: Vec<&str> = request.route().split('/').skip(1).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["f", "conversation"] | ["conversation"]) => {
            turn::converse(shared, &caller, request).await
        }
        ("POST", ["f", "conversation", "resume"]) => {
            handoff::resume(&mut shared.world(), &caller, request)
        }
        ("POST", ["transcribe"]) => {
            caller.with_account()?;
            let is_plain = shared.world().settings.plain_transcripts;
            audio::transcribe(is_plain, request)
                .await
                .map(Answer::Plain)
        }
        (method, segments) => {
            let plain = match segments {
                ["f" | "conversation" | "conversations", ..] => {
                    talking(shared, &caller, request, (method, segments))
                }
                ["files" | "estuary", ..] => {
                    caller.with_account()?;
                    filing(shared, &caller, request, (method, segments))
                }
                _ => telling(shared, &caller, request, (method, segments)),
            };
            plain.map(Answer::Plain)
        }
    }
}

/// Calls about conversations.
fn talking(
    shared: &Shared,
    caller: &Caller,
    request: &Recorded,
    call: (&str, &[&str]),
) -> Result<Plain, Plain> {
    let world = &mut *shared.world();
    match call {
        ("POST", ["conversation", "init"]) => catalog::init(request),
        ("POST", ["f", "conversation", "prepare"]) => catalog::prepare(world, request),
        ("GET", ["conversations"]) => Ok(conversations::list(world, caller, request)),
        ("GET", ["conversation", id]) => conversations::read(world, caller, id),
        ("PATCH", ["conversation", id]) => conversations::change(world, caller, id, request),
        ("GET", ["conversation", id, "stream_status"]) => {
            conversations::stream_status(world, caller, id)
        }
        ("GET", ["conversation", id, "attachment", file, "download"]) => {
            caller.with_account()?;
            world.conversations.of(&caller.owner, id)?;
            files::download(shared, world, caller, (file, id))
        }
        ("GET", ["conversation", id, "interpreter", "download"]) => {
            let message = request.parameter("message_id").unwrap_or_default();
            let path = request.parameter("sandbox_path").unwrap_or_default();
            audio::sandbox(shared, world, caller, (id, &message, &path))
        }
        ("POST", ["conversation", id, "interpreter", "download"]) => {
            let body = request.json();
            let message = body["message_id"].as_str().unwrap_or_default();
            let path = body["sandbox_path"].as_str().unwrap_or_default();
            audio::sandbox(shared, world, caller, (id, message, path))
        }
        _ => Err(Plain::not_found()),
    }
}

/// Calls about files.
fn filing(
    shared: &Shared,
    caller: &Caller,
    request: &Recorded,
    call: (&str, &[&str]),
) -> Result<Plain, Plain> {
    let world = &mut *shared.world();
    match call {
        ("POST", ["files"]) => files::create(shared, world, caller, request),
        ("POST", ["files", "process_upload_stream"]) => files::process(world, caller, request),
        ("POST", ["files", id, "uploaded"]) => files::uploaded(shared, world, caller, id),
        ("GET", ["files", "download", id]) => {
            let cid = request.parameter("conversation_id").unwrap_or_default();
            files::download(shared, world, caller, (id, &cid))
        }
        ("GET", ["files", id]) => files::look(world, caller, id),
        ("GET", ["files", id, "download"]) => files::download(shared, world, caller, (id, "")),
        ("GET", ["estuary", "content"]) => files::content(world, caller, request),
        _ => Err(Plain::not_found()),
    }
}

/// All other calls.
fn telling(
    shared: &Shared,
    caller: &Caller,
    request: &Recorded,
    call: (&str, &[&str]),
) -> Result<Plain, Plain> {
    let world = &mut *shared.world();
    if call == ("GET", &["models"]) {
        return Ok(catalog::models(world, caller));
    }
    caller.with_account()?;
    match call {
        ("GET", ["me"]) => catalog::me(world, caller),
        ("GET", ["accounts", "check", _]) => catalog::accounts(world, caller),
        ("GET", ["settings", "voices"]) => Ok(catalog::voices()),
        ("GET", ["synthesize"]) => audio::synthesize(shared, world, caller, request),
        ("GET", ["celsius", "ws", "user"]) => handoff::websocket(shared, world, caller),
        ("POST", ["attributions"]) => catalog::attributions(request),
        _ => Err(Plain::not_found()),
    }
}

/// A target without scheme and host, which it has behind a proxy (RFC 9112 section 3.2.2).
fn origin_form(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else {
        return target;
    };
    let path = rest.find('/').and_then(|at| rest.get(at..));
    path.unwrap_or("/")
}
