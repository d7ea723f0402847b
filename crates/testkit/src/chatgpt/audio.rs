//! Speech and transcription.

use bytes::Bytes;
use serde_json::json;

use super::answer::{Outcome, Plain};
use super::auth::Caller;
use super::conversations::{self, text_of};
use super::files;
use super::record::Recorded;
use super::world::{Shared, World};

/// The voices that the service knows.
pub(super) const VOICES: [&str; 12] = [
    "cove", "fathom", "vale", "ember", "breeze", "orbit", "maple", "glimmer", "juniper", "arbor",
    "sol", "spruce",
];

/// `GET /synthesize`. The bytes begin as the format does; then they say which voice speaks which text.
pub(super) fn synthesize(
    shared: &Shared,
    world: &mut World,
    caller: &Caller,
    request: &Recorded,
) -> Outcome {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default();
    let (voice, format) = (parameter("voice"), parameter("format"));
    let (mime_type, mark): (&str, &[u8]) = match format.as_str() {
        "mp3" => ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0"),
        "opus" => ("audio/ogg", b"OggS\0\x02"),
        "aac" => ("audio/aac", b"\xff\xf1\x50\x80"),
        _ => return Err(refused("format")),
    };
    if !VOICES.contains(&voice.as_str()) {
        return Err(refused("voice"));
    }
    let id = parameter("conversation_id");
    let conversation = world
        .conversations
        .saved(&caller.owner, &id)
        .map_err(|_refused| Plain::sentence(404, "Conversation not found"))?;
    let message = conversation
        .message(&parameter("message_id"))
        .filter(|message| message["author"]["role"] == "assistant")
        .ok_or_else(|| Plain::sentence(404, "Message not found"))?;
    let said = format!("voice={voice};text={}", text_of(message));
    let audio = Bytes::from([mark, said.as_bytes()].concat());
    if !world.settings.speech_by_url {
        return Ok(Plain::new(200, mime_type, audio));
    }
    let name = format!("speech.{format}");
    let file = world.files.put(&caller.owner, &name, mime_type, audio);
    let url = files::address(shared, world, &file, "");
    Ok(Plain::ok(&json!({ "download_url": url })))
}

fn refused(field: &str) -> Plain {
    let item = json!({"loc": ["query", field], "msg": "value is not a valid enumeration member", "type": "type_error.enum"});
    Plain::json(422, &json!({ "detail": [item] }))
}

/// What came to be transcribed.
#[derive(Debug, Default)]
struct Recording {
    name: Option<String>,
    mime_type: Option<String>,
    bytes: usize,
    language: Option<String>,
}

/// `POST /transcribe`. The text names the file's size and type, and the language.
pub(super) async fn transcribe(is_plain: bool, request: &Recorded) -> Outcome {
    let recording = read(request)
        .await
        .ok_or_else(|| Plain::sentence(400, "The body must be a form with a file"))?;
    let (Some(_), Some(mime_type)) = (&recording.name, &recording.mime_type) else {
        return Err(Plain::sentence(400, "The file needs a name and a type"));
    };
    if recording.bytes == 0 {
        return Err(Plain::sentence(400, "Audio file is too short"));
    }
    let language = recording.language.as_deref().unwrap_or("unknown");
    let text = format!(
        "{} bytes of {mime_type}, language {language}.",
        recording.bytes
    );
    if is_plain {
        return Ok(Plain::new(200, "text/plain", text));
    }
    Ok(Plain::ok(&json!({ "text": text })))
}

async fn read(request: &Recorded) -> Option<Recording> {
    let boundary = multer::parse_boundary(request.header("content-type")?).ok()?;
    let body = request.body.clone();
    let stream = futures_util::stream::once(async move { Ok::<_, std::io::Error>(body) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut recording = None;
    let mut language = None;
    while let Some(field) = form.next_field().await.ok()? {
        match field.name() {
            Some("file") => {
                let name = field.file_name().map(str::to_owned);
                let mime_type = field.content_type().map(ToString::to_string);
                let bytes = field.bytes().await.ok()?.len();
                recording = Some(Recording {
                    name,
                    mime_type,
                    bytes,
                    language: None,
                });
            }
            Some("language") => language = Some(field.text().await.ok()?),
            _ => {}
        }
    }
    recording.map(|recording| Recording {
        language,
        ..recording
    })
}

/// `GET /conversation/{cid}/interpreter/download`, and the same by POST.
pub(super) fn sandbox(
    shared: &Shared,
    world: &mut World,
    caller: &Caller,
    asked: (&str, &str, &str),
) -> Outcome {
    let (id, message, path) = asked;
    let conversation = world.conversations.of(&caller.owner, id)?;
    let names_it = conversation
        .message(message)
        .is_some_and(|message| text_of(message).contains(&format!("sandbox:{path}")));
    if !names_it {
        return Err(conversations::unknown());
    }
    let Some(bytes) = world.files.sandbox.get(path).cloned() else {
        return Ok(files::failed("file_not_found", "File not found"));
    };
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let file = world
        .files
        .put(&caller.owner, &name, "application/octet-stream", bytes);
    let url = files::address(shared, world, &file, id);
    Ok(Plain::ok(
        &json!({"status": "success", "download_url": url, "file_name": name}),
    ))
}
