//! Pictures that the service makes.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::Owner;
use super::files::Files;
use super::messages::{self, Cast};
use super::script::Pictures;

/// The tool's name, as newer answers have it.
pub(super) const TOOL: &str = "t2uay3k.sj1i4kz";

/// Pixels of a side.
const SIDE: u32 = 64;

/// The messages of finished pictures, each with its states: a visible one per picture and a hidden twin.
pub(super) fn made(
    files: &mut Files,
    owner: &Owner,
    wanted: &Pictures,
    call: (&str, &str),
) -> Vec<Vec<Value>> {
    let (parent, prompt) = call;
    let mut told = Vec::new();
    let mut before = Value::Null;
    for index in 0..wanted.count {
        let mut pointer = picture(files, owner, prompt, SIDE);
        if wanted.is_revised {
            pointer["metadata"]["dalle"]["parent_gen_id"] = before.clone();
            pointer["metadata"]["generation"]["parent_gen_id"] = before;
        }
        before = pointer["metadata"]["dalle"]["gen_id"].clone();
        let content = json!({"content_type": "multimodal_text", "parts": [pointer]});
        let mut message = messages::tool(TOOL, parent, &content);
        message["metadata"]["image_gen_title"] = prompt.into();
        let mut states = vec![message.clone()];
        if wanted.has_preview {
            let mut early = messages::unfinished(&message);
            let blurry = picture(files, owner, prompt, SIDE / 4);
            early["content"]["parts"][0]["asset_pointer"] = blurry["asset_pointer"].clone();
            states.insert(0, early);
        }
        let id = message["id"].as_str().unwrap_or_default();
        let caption = format!("Displayed picture {} of {}.", index + 1, wanted.count);
        let content = json!({"content_type": "multimodal_text", "parts": [pointer, caption]});
        let mut twin = messages::tool(TOOL, id, &content);
        twin["weight"] = 0.0.into();
        twin["metadata"]["is_visually_hidden_from_conversation"] = true.into();
        told.push(states);
        told.push(vec![twin]);
    }
    told
}

/// The message that says that pictures come later.
pub(super) fn placeholder(parent: &str) -> Value {
    let mut message = messages::tool(
        TOOL,
        parent,
        &messages::text("Processing image\n\nIt will be here in a while."),
    );
    message["end_turn"] = true.into();
    message["metadata"]["image_gen_async"] = true.into();
    message["metadata"]["image_gen_task_id"] =
        format!("imagegen_{}", Uuid::new_v4().simple()).into();
    message["metadata"]["trigger_async_ux"] = true.into();
    message
}

/// What comes later in the end.
pub(super) fn late(
    files: &mut Files,
    owner: &Owner,
    wanted: &Pictures,
    cast: &Cast,
    prompt: &str,
) -> Vec<Value> {
    if let Some(text) = &wanted.refused {
        let mut message = messages::assistant(cast, &messages::text(text));
        message["end_turn"] = true.into();
        return vec![message];
    }
    let states = made(files, owner, wanted, (&cast.parent, prompt));
    let mut finished: Vec<Value> = states
        .iter()
        .step_by(2)
        .filter_map(|states| states.last().cloned())
        .collect();
    if let Some(last) = finished.last_mut() {
        last["end_turn"] = true.into();
    }
    finished
}

/// The tool's error for an account that has made enough pictures.
pub(super) fn quota(parent: &str, time: &str) -> Value {
    let text = format!(
        "Error: this account has made too many images. Please wait for {time} before generating more images."
    );
    let content = json!({"content_type": "system_error", "name": "ChatGPTAgentToolRateLimitException", "text": text});
    messages::tool(TOOL, parent, &content)
}

/// A stored picture and the pointer to it.
fn picture(files: &mut Files, owner: &Owner, prompt: &str, side: u32) -> Value {
    let shade = prompt.bytes().fold(40_u8, u8::wrapping_add);
    let bytes = png(side, shade);
    let size = bytes.len();
    let id = files.put(owner, "image.png", "image/png", bytes);
    let made = Uuid::new_v4().to_string();
    json!({
        "content_type": "image_asset_pointer", "asset_pointer": format!("{}{id}", files.scheme()),
        "size_bytes": size, "width": side, "height": side, "fovea": null,
        "metadata": {
            "dalle": {"gen_id": made, "prompt": prompt, "seed": null, "parent_gen_id": null, "edit_op": null},
            "generation": {"gen_id": made, "gen_size": "image", "seed": null, "parent_gen_id": null,
                "height": side, "width": side, "transparent_background": false, "orientation": null},
            "gizmo": null, "sanitized": false,
        },
    })
}

/// A square PNG.
pub(super) fn png(side: u32, shade: u8) -> Bytes {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels: Vec<u8> = (0..side * side)
        .map(|at| shade.wrapping_add(u8::try_from(at % 64).unwrap_or_default()))
        .collect();
    let mut writer = encoder.write_header().expect("memory takes every write");
    writer.write_image_data(&pixels).expect("the pixels fit");
    drop(writer);
    out.into()
}
