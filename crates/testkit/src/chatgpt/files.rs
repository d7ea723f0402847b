//! Files: uploads, made pictures, and the addresses they are had at.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::accounts::random;
use super::answer::{Outcome, Plain};
use super::auth::{Caller, Owner};
use super::record::Recorded;
use super::settings::{Indexing, Links};
use super::world::{Shared, World, now};

const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/// A file that somebody announced, uploaded, or had made.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) size: u64,
    pub(super) use_case: String,
    pub(super) bytes: Option<Bytes>,
    /// `uploaded` was called, or the service made it.
    pub(super) is_ready: bool,
    looks: usize,
    is_indexed: bool,
}

impl File {
    /// Whether it is a document that nobody has seen indexed yet.
    pub(super) fn is_pending(&self) -> bool {
        self.use_case == "my_files" && !self.is_indexed
    }
}

/// What a signed address allows.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) file: String,
    pub(super) is_for_writing: bool,
    pub(super) is_stale: bool,
}

/// All files, by id, and addresses, by signature.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) by_id: HashMap<String, File>,
    pub(super) links: HashMap<String, Link>,
    /// What the code tool left behind, by its path.
    pub(super) sandbox: HashMap<String, Bytes>,
    pub(super) has_old_ids: bool,
}

impl Files {
    /// A file that the service made.
    pub(super) fn put(
        &mut self,
        owner: &Owner,
        name: &str,
        mime_type: &str,
        bytes: Bytes,
    ) -> String {
        let id = self.new_id();
        self.put_as(&id, owner, (name, mime_type), bytes);
        id
    }

    /// The same under an id that is given.
    pub(super) fn put_as(&mut self, id: &str, owner: &Owner, kind: (&str, &str), bytes: Bytes) {
        let file = File {
            owner: owner.clone(),
            name: kind.0.to_owned(),
            mime_type: kind.1.to_owned(),
            size: u64::try_from(bytes.len()).unwrap_or_default(),
            use_case: "generated".to_owned(),
            bytes: Some(bytes),
            is_ready: true,
            looks: 0,
            is_indexed: false,
        };
        self.by_id.insert(id.to_owned(), file);
    }

    fn new_id(&self) -> String {
        if self.has_old_ids {
            return format!("file-{}", random(22));
        }
        format!("file_{}", Uuid::new_v4().simple())
    }

    /// What pointers to a file begin with.
    pub(super) fn scheme(&self) -> &'static str {
        if self.has_old_ids {
            "file-service://"
        } else {
            "sediment://"
        }
    }

    /// The file, if it is this owner's.
    pub(super) fn of(&mut self, owner: &Owner, id: &str) -> Option<&mut File> {
        self.by_id.get_mut(id).filter(|file| file.owner == *owner)
    }

    pub(super) fn sign(&mut self, file: &str, is_for_writing: bool, is_stale: bool) -> String {
        let signature = random(43);
        let link = Link {
            file: file.to_owned(),
            is_for_writing,
            is_stale,
        };
        self.links.insert(signature.clone(), link);
        signature
    }
}

/// `POST /files`.
pub(super) fn create(
    shared: &Shared,
    world: &mut World,
    caller: &Caller,
    request: &Recorded,
) -> Outcome {
    let body = request.json();
    let field = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    let Some(name) = field("file_name") else {
        return Err(invalid("file_name"));
    };
    let Some(size) = body["file_size"].as_u64().filter(|size| *size > 0) else {
        return Err(invalid("file_size"));
    };
    let use_case = field("use_case").unwrap_or_default();
    if !["multimodal", "my_files", "ace_upload"].contains(&use_case) {
        return Err(invalid("use_case"));
    }
    let mime_type = field("mime_type").unwrap_or("application/octet-stream");
    if use_case == "multimodal" && !PICTURES.contains(&mime_type) {
        return Ok(failed("file_type_not_supported", "File type not supported"));
    }
    let id = world.files.new_id();
    let file = File {
        owner: caller.owner.clone(),
        name: name.to_owned(),
        mime_type: mime_type.to_owned(),
        size,
        use_case: use_case.to_owned(),
        bytes: None,
        is_ready: false,
        looks: 0,
        is_indexed: false,
    };
    world.files.by_id.insert(id.clone(), file);
    let signature = world.files.sign(&id, true, false);
    let url = format!(
        "http://{}/files/{id}/raw?se=2099-01-01T00%3A00%3A00Z&sp=c&sv=2024-08-04&sr=b&sig={signature}",
        shared.blob
    );
    let mut answer = json!({"status": "success", "file_id": id, "upload_url": url});
    if body["store_in_library"] == true {
        answer["library_file_id"] = format!("lib{id}").into();
    }
    Ok(Plain::ok(&answer))
}

/// `POST /files/{id}/uploaded`.
pub(super) fn uploaded(shared: &Shared, world: &mut World, caller: &Caller, id: &str) -> Outcome {
    let file = world.files.of(&caller.owner, id).ok_or_else(unknown)?;
    check_bytes(file)?;
    file.is_ready = true;
    let (name, is_document) = (file.name.clone(), file.use_case == "my_files");
    if is_document {
        return Ok(Plain::ok(&json!({"status": "success", "file_id": id})));
    }
    let url = address(shared, world, id, "");
    Ok(Plain::ok(&json!({
        "status": "success", "download_url": url, "metadata": null, "file_name": name, "creation_time": null,
    })))
}

/// Whether what was announced has come.
fn check_bytes(file: &File) -> Result<(), Plain> {
    let Some(bytes) = &file.bytes else {
        let text = "The file has not been uploaded.";
        return Err(Plain::detail(400, "file_not_uploaded", text));
    };
    if u64::try_from(bytes.len()) != Ok(file.size) {
        let text = "The file has another size than was announced.";
        return Err(Plain::detail(400, "file_size_mismatch", text));
    }
    Ok(())
}

/// `POST /files/process_upload_stream`: lines of JSON.
pub(super) fn process(world: &mut World, caller: &Caller, request: &Recorded) -> Outcome {
    let body = request.json();
    let id = body["file_id"].as_str().unwrap_or_default();
    let indexing = world.settings.indexing;
    let file = world.files.of(&caller.owner, id).ok_or_else(unknown)?;
    check_bytes(file)?;
    file.is_ready = true;
    let line = |event: &str, progress: f64, extra: Value| {
        let event = format!("file.processing.{event}");
        json!({"file_id": id, "event": event, "message": null, "progress": progress, "extra": extra})
    };
    let extra = json!({"mime_type": file.mime_type, "total_tokens": tokens(file), "metadata_object_id": null});
    let mut lines = vec![
        line("started", 0.0, Value::Null),
        line("metadata", 50.0, extra),
    ];
    match indexing {
        Indexing::After(_) => {
            file.looks = usize::MAX;
            file.is_indexed = true;
            lines.push(line("completed", 100.0, Value::Null));
        }
        Indexing::Failed => lines.push(line("failed", 50.0, Value::Null)),
        Indexing::Never => {}
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let text = lines.join("\n") + "\n";
    Ok(Plain::new(200, "application/json", text))
}

/// `GET /files/{id}`.
pub(super) fn look(world: &mut World, caller: &Caller, id: &str) -> Outcome {
    let indexing = world.settings.indexing;
    let file = world.files.of(&caller.owner, id).ok_or_else(unknown)?;
    let looks = file.looks;
    file.looks = looks.saturating_add(1);
    let status = match indexing {
        _ if file.use_case != "my_files" => Value::Null,
        _ if !file.is_ready => "pending".into(),
        Indexing::After(pending) if looks >= pending => "success".into(),
        Indexing::Failed if looks > 0 => "failed".into(),
        _ => "pending".into(),
    };
    file.is_indexed |= status == "success";
    let tokens = (status == "success").then(|| tokens(file));
    let retrieval = if status == "pending" {
        "parsing".into()
    } else {
        status.clone()
    };
    Ok(Plain::ok(&json!({
        "id": id, "name": file.name, "creation_time": now(), "size": file.size,
        "state": if file.is_ready { "ready" } else { "created" }, "use_case": file.use_case, "variants": null,
        "metadata": {"retrieval": {"status": retrieval, "file_size_tokens": tokens}},
        "retrieval_index_status": status, "file_size_tokens": tokens,
    })))
}

fn tokens(file: &File) -> u64 {
    file.size.div_ceil(4)
}

/// A lookup of the address of a file, by any of the calls that do that; `cid` says for which conversation.
pub(super) fn download(
    shared: &Shared,
    world: &mut World,
    caller: &Caller,
    ids: (&str, &str),
) -> Outcome {
    let (id, cid) = ids;
    if !id.starts_with("file-") && !id.starts_with("file_") {
        return Err(invalid("file_id"));
    }
    let Some(file) = world
        .files
        .of(&caller.owner, id)
        .filter(|file| file.is_ready)
    else {
        return Ok(failed("file_not_found", "File not found"));
    };
    let file = file.clone();
    if world.settings.slow_links > 0 {
        world.settings.slow_links -= 1;
        return Ok(Plain::ok(&json!({"status": "retry"})));
    }
    let url = address(shared, world, id, cid);
    Ok(Plain::ok(&json!({
        "status": "success", "download_url": url, "metadata": null, "creation_time": null,
        "file_name": file.name, "file_size_bytes": file.size, "mime_type": file.mime_type,
    })))
}

/// A fresh address of a file.
pub(super) fn address(shared: &Shared, world: &mut World, id: &str, cid: &str) -> String {
    let is_stale = world.settings.stale_links > 0;
    world.settings.stale_links = world.settings.stale_links.saturating_sub(1);
    let signature = world.files.sign(id, false, is_stale);
    match world.settings.links {
        Links::Blob => format!(
            "http://{}/files/{id}/raw?se=2099-01-01T00%3A00%3A00Z&sp=r&sv=2024-08-04&sr=b&sig={signature}",
            shared.blob
        ),
        Links::Estuary => format!(
            "http://{}/backend-api/estuary/content?id={id}&ts=492208&p=fs&cid={cid}&sig={signature}&v=0",
            shared.service
        ),
    }
}

/// `GET /estuary/content`: on the service itself, for the account that the file belongs to.
pub(super) fn content(world: &mut World, caller: &Caller, request: &Recorded) -> Outcome {
    let id = request.parameter("id").unwrap_or_default();
    let signature = request.parameter("sig").unwrap_or_default();
    let link = world.files.links.get(&signature);
    if link.is_none_or(|link| link.file != id || link.is_stale || link.is_for_writing) {
        return Err(Plain::sentence(403, "The link has expired."));
    }
    let file = world.files.of(&caller.owner, &id).ok_or_else(unknown)?;
    let bytes = file.bytes.clone().unwrap_or_default();
    Ok(Plain::new(200, &file.mime_type, bytes))
}

/// The answer 200 of a call that did not work.
pub(super) fn failed(code: &str, message: &str) -> Plain {
    Plain::ok(&json!({"status": "error", "error_code": code, "error_message": message}))
}

pub(super) fn unknown() -> Plain {
    Plain::detail(404, "file_not_found", "File not found")
}

fn invalid(field: &str) -> Plain {
    let item = json!({"loc": ["body", field], "msg": "field required or not valid", "type": "value_error"});
    Plain::json(422, &json!({ "detail": [item] }))
}
