use super::*;

const FORM: &str = "--B1\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n\r\n--B1\r\n\
    content-disposition: form-data; name=\"model\"\r\n\r\nfast\r\n--B1\r\nContent-Disposition: form-data; \
    name=\"file\"; filename=\"a\"\r\nContent-Type: x/y\r\n\r\n\r\n--B\r\nmodel\r\n--B1--\r\nmore";

fn renaming() -> Form {
    Form::renaming(
        "B1",
        BTreeMap::from([("fast".to_owned(), "gpt-4o".to_owned())]),
    )
}

fn run(mut form: Form, pieces: &[&[u8]]) -> (Vec<u8>, Option<String>) {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&form.push(Bytes::copy_from_slice(piece)));
    }
    let model = form.model().map(str::to_owned);
    out.extend_from_slice(&form.finish());
    (out, model)
}

#[test]
fn every_split_passes_byte_for_byte_and_finds_the_model() {
    let bytes = FORM.as_bytes();
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        let (out, model) = run(Form::new("B1"), &[head, tail]);

        assert_eq!(out, bytes, "split at {at}");
        assert_eq!(model.as_deref(), Some("fast"), "split at {at}");
    }
}

#[test]
fn every_split_replaces_the_model_alone() {
    let expected = FORM.replacen("\r\n\r\nfast", "\r\n\r\ngpt-4o", 1);
    let bytes = FORM.as_bytes();
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        let (out, _) = run(renaming(), &[head, tail]);

        assert_eq!(String::from_utf8(out).unwrap(), expected, "split at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(renaming(), &single).0, expected.as_bytes());
}

#[test]
fn it_is_decided_by_the_model_a_file_or_the_end() {
    let decided = |text: &str| {
        let mut form = Form::new("B1");
        form.push(Bytes::copy_from_slice(text.as_bytes()));
        form.is_decided()
    };

    let file = FORM.find("filename").unwrap();
    assert!(!decided(FORM.split_at(40).0));
    assert!(decided(FORM.split_at(file).0));
    assert!(decided(
        "--B1\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n"
    ));
    assert!(decided("--B1--"));
}

#[test]
fn a_form_with_two_models_is_ambiguous_wherever_it_is_split() {
    let part = |head: &str| format!("--B1\r\n{head}\r\n\r\nx\r\n");
    let named = |rest: &str| part(&format!("Content-Disposition: form-data; {rest}"));
    let (model, end) = (named("name=\"model\""), "--B1--\r\n".to_owned());
    let ambiguous = |pieces: &[&String], at: usize| {
        let text: String = pieces.iter().map(|piece| piece.as_str()).collect();
        let (head, tail) = text.split_at(at.min(text.len()));
        let mut form = Form::new("B1");
        form.push(Bytes::copy_from_slice(head.as_bytes()));
        form.push(Bytes::copy_from_slice(tail.as_bytes()));
        form.is_ambiguous()
    };
    let seconds = [
        named("name=model"),
        named("name=\"model\"; filename=\"a\""),
        named("name=\"mo\\del\""),
        named("name=\"model\"; x=\";name=y\""),
        named("name*=utf-8''%6dodel"),
        part("Content-Disposition: form-data;\r\n name=\"model\""),
        part("X: y\nContent-Disposition: form-data; name=\"model\""),
    ];

    for at in 0..model.len() + 90 {
        for second in &seconds {
            assert!(ambiguous(&[&model, second, &end], at), "{second}");
            assert!(ambiguous(&[&model, &end, second, &end], at), "{second}");
            assert!(!ambiguous(&[second, &end], at), "{second}");
        }
        let other = named("name=\"file\"; filename=\"model\"");
        assert!(!ambiguous(&[&model, &other, &end], at));
    }
}

#[test]
fn soup_passes_untouched_and_is_never_held_for_long() {
    let soup = [b"--B1\r\n".as_slice(), &vec![b'a'; 3 * MAX_HEAD]].concat();
    let mut form = Form::new("B1");

    let out = form.push(Bytes::from(soup.clone()));

    assert_eq!(out, soup);
    assert_eq!(form.model(), None);
}

#[test]
fn the_boundary_is_read_from_the_content_type() {
    assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
    assert_eq!(
        boundary("Multipart/Form-Data; charset=x; Boundary=\"a b\""),
        Some("a b")
    );
    assert_eq!(boundary("multipart/form-data"), None);
    assert_eq!(boundary("application/json; boundary=x"), None);
}
