//! Uploaded files.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, NOTHING, NOW, body, error, form, json};

fn upload(client: &Client, name: &str, purpose: &str) -> Value {
    let parts = [
        ("file", Some(name), name.as_bytes()),
        ("purpose", None, purpose.as_bytes()),
    ];
    json(&client.form("files", &parts))
}

fn path(file: &Value, rest: &str) -> String {
    format!("files/{}{rest}", file["id"].as_str().unwrap())
}

#[test]
fn a_file_lives_from_its_upload_to_its_deletion() {
    let client = Client::default();

    let file = upload(&client, "r\u{e9}port.txt", "assistants");
    let shown = json(&client.get(&path(&file, "")));
    let content = client.get(&path(&file, "/content"));
    let deleted = client.send_as("ann", &Method::DELETE, &path(&file, ""), NOTHING);

    assert_eq!(file["object"], "file");
    assert_eq!(file["bytes"], 11);
    assert_eq!(file["created_at"], NOW);
    assert_eq!(file["purpose"], "assistants");
    assert_eq!(shown, file);
    assert_eq!(*body(&content), "r\u{e9}port.txt".as_bytes());
    assert_eq!(
        content.headers["content-disposition"],
        "attachment; filename=\"r_port.txt\""
    );
    assert_eq!(
        json(&deleted),
        json!({"id": file["id"], "object": "file", "deleted": true})
    );
    assert_eq!(error(&client.get(&path(&file, ""))).0, 404);
    assert_eq!(json(&client.get("files"))["data"], json!([]));
}

#[test]
fn the_list_is_paged_and_filtered() {
    let client = Client::default();
    let one = upload(&client, "1", "batch");
    let two = upload(&client, "2", "vision");
    let three = upload(&client, "3", "batch");

    let first = json(&client.get("files?limit=2"));
    let rest = json(&client.get(&format!(
        "files?limit=2&after={}",
        two["id"].as_str().unwrap()
    )));
    let batch = json(&client.get("files?purpose=batch&order=asc"));

    assert_eq!(first["data"], json!([three, two]));
    assert_eq!(first["has_more"], true);
    assert_eq!(first["first_id"], three["id"]);
    assert_eq!(first["last_id"], two["id"]);
    assert_eq!(rest["data"], json!([one]));
    assert_eq!(rest["has_more"], false);
    assert_eq!(batch["data"], json!([one, three]));
    assert_eq!(
        error(&client.get("files?limit=0")).2.as_deref(),
        Some("limit")
    );
    assert_eq!(
        error(&client.get("files?after=x")).2.as_deref(),
        Some("after")
    );
    assert_eq!(
        error(&client.get("files?order=up")).2.as_deref(),
        Some("order")
    );
}

#[test]
fn owners_never_see_each_others_files() {
    let client = Client::default();
    let file = upload(&client, "secret", "assistants");
    let ask = |method: Method, path: &str| client.send_as("bob", &method, path, NOTHING);

    assert_eq!(json(&ask(Method::GET, "files"))["data"], json!([]));
    assert_eq!(error(&ask(Method::GET, &path(&file, ""))).0, 404);
    assert_eq!(error(&ask(Method::GET, &path(&file, "/content"))).0, 404);
    assert_eq!(error(&ask(Method::DELETE, &path(&file, ""))).0, 404);
    assert_eq!(json(&client.get(&path(&file, ""))), file);
}

#[test]
fn what_is_too_much_is_refused() {
    let client = Client::default();

    let large = vec![0; 16 * 1024 * 1024 + 1];
    let large = client.form("files", &[("file", Some("a"), &large)]);
    for number in 0..200 {
        upload(&client, &number.to_string(), "batch");
    }
    let more = form(&[("file", Some("one more"), b"x")]);
    let full = client.send_as("ann", &Method::POST, "files", more.clone());
    let other = client.send_as("bob", &Method::POST, "files", more);

    assert_eq!(
        error(&large),
        (413, "file_too_large".to_owned(), Some("file".to_owned()))
    );
    assert_eq!(error(&full).1, "file_limit_reached");
    assert_eq!(json(&other)["filename"], "one more");
}
