use super::super::{Attachment, Draft, Role};
use super::*;

fn fixture() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/bodies/conversation_requests.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn settings(model: &str) -> Settings {
    Settings {
        model: Model::of(model),
        effort: Effort::Standard,
        temporary: true,
        form: Form::Snapshot,
        timezone: "America/Los_Angeles".to_owned(),
        timezone_offset_min: 420,
        thread: None,
    }
}

fn said(role: Role, text: &str, id: u32, uploads: &[Attachment], hints: &[&str]) -> Value {
    let draft = Draft {
        role,
        text: text.to_owned(),
        references: Vec::new(),
    };
    let id = format!("5d0a1c11-0a01-4b6e-8d6a-0d6a{id:08}");
    draft.message(&id, 1_771_950_000.125, uploads, hints)
}

fn thread() -> Continuation {
    Continuation {
        conversation_id: "67a1f0c2-3b44-8006-9d1e-5c0a7b21e4f0".to_owned(),
        parent_message_id: "5d0a1c11-0a01-4b6e-8d6a-0d6a00000003".to_owned(),
    }
}

#[test]
fn text_requests_are_as_the_service_knows_them() {
    let fixture = fixture();
    let user = said(Role::User, "Say this is a test!", 2, &[], &[]);
    let system = said(Role::System, "You are terse.", 1, &[], &[]);
    let delta = Settings {
        form: Form::Delta,
        ..settings("auto")
    };
    let second = Settings {
        thread: Some(thread()),
        ..settings("auto")
    };
    let french = said(Role::User, "And now in French?", 41, &[], &[]);
    let hello = said(Role::User, "hello", 2, &[], &[]);

    assert_eq!(
        conversation(&settings("auto"), vec![system, user.clone()]),
        fixture["text"]
    );
    assert_eq!(
        conversation(&delta, vec![user]),
        fixture["text_delta_encoding"]
    );
    assert_eq!(
        conversation(&second, vec![french]),
        fixture["second_turn_same_conversation"]
    );
    assert_eq!(
        conversation(&settings("g-fakeGizmo01"), vec![hello]),
        fixture["custom_gpt"]
    );
    assert_eq!(
        continuation(&settings("auto"), &thread()),
        fixture["continue"]
    );
}

#[test]
fn thinking_and_pictures_have_their_hints() {
    let fixture = fixture();
    let thinking = Settings {
        effort: Effort::Max,
        ..settings("gpt-5-6-thinking")
    };
    let asked = said(Role::User, "What is 17*23?", 2, &[], &["reason"]);
    assert_eq!(conversation(&thinking, vec![asked]), fixture["thinking"]);

    let image = Settings {
        model: Model::for_images(""),
        form: Form::Delta,
        ..settings("")
    };
    let text = "A cute orange cat wearing sunglasses, digital art";
    let mut expected = fixture["image_generation"].clone();
    expected
        .as_object_mut()
        .unwrap()
        .remove("enable_message_followups");
    expected["messages"][0]["metadata"]["selected_sources"] = json!([]);
    let asked = said(Role::User, text, 2, &[], &["picture_v2"]);
    assert_eq!(conversation(&image, vec![asked]), expected);
}

#[test]
fn uploads_are_named_twice() {
    let fixture = fixture();
    let picture = Attachment {
        id: "file_00000000c4a761f7b6c0d4e5f6a7b800".to_owned(),
        name: "cat.png".to_owned(),
        mime_type: "image/png".to_owned(),
        size: 30_211,
        dimensions: Some((512, 512)),
        library_file_id: None,
    };
    let document = Attachment {
        id: "file_000000000df061f7b6c0d4e5f6a7b801".to_owned(),
        name: "report.pdf".to_owned(),
        mime_type: "application/pdf".to_owned(),
        size: 120_034,
        ..Attachment::default()
    };

    let seen = said(Role::User, "What is on this picture?", 2, &[picture], &[]);
    let read = said(Role::User, "Summarise this file", 2, &[document], &[]);

    assert_eq!(
        conversation(&settings("auto"), vec![seen]),
        fixture["with_picture"]
    );
    assert_eq!(
        conversation(&settings("auto"), vec![read]),
        fixture["with_pdf"]
    );
}

#[test]
fn speech_prepare_and_init_are_as_the_service_knows_them() {
    let fixture = fixture();
    let kept = Settings {
        temporary: false,
        ..settings("auto")
    };
    let seed = said(Role::Assistant, "Hello, this is a test!", 31, &[], &[]);

    assert_eq!(conversation(&kept, vec![seed]), fixture["tts_seed"]);
    assert_eq!(init(&kept), fixture["init"]["body"]);
    let query = Some(("id", "Say this"));
    assert_eq!(
        prepare(&kept, PrepareState::None, query),
        fixture["prepare"]["body"]
    );
    let sent = prepare(&kept, PrepareState::Sent, query);
    assert_eq!(sent["partial_query"]["content"]["parts"], json!(["Say t"]));
}
