//! What is masked, and what is not.

use super::*;

fn check(masks: &Masks, table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(whole(masks, text), *expected, "{text}");
    }
}

#[test]
fn e_mail_addresses() {
    let long = format!("{}@example.com", "a".repeat(300));
    let longest = format!("{}#", "a".repeat(300 - 64));
    let table = [
        ("ann@example.com", "#"),
        (
            "write to ann.lee+news@mail.example.co.uk, please",
            "write to #, please",
        ),
        ("<ann@example.com>.", "<#>."),
        ("ann@example.com.", "#."),
        ("mailto:ann_1%x@a-b.example", "mailto:#"),
        ("müller@exämple.de und o'neil@x.ie", "# und #"),
        ("联系ann@example.com谢谢", "联系#谢谢"),
        ("a@b.cc;c@d.ee", "#;#"),
        (&long, &longest),
        (
            "ann@localhost, @ann, ann@, 3@4.5, a@b.c",
            "ann@localhost, @ann, ann@, 3@4.5, a@b.c",
        ),
        ("ann@-x.com a @ b.com", "ann@-x.com a @ b.com"),
    ];
    check(&masks(&json!({ "kinds": ["email"] })), &table);
}

#[test]
fn card_numbers() {
    let table = [
        ("4111111111111111", "#"),
        ("card 4111 1111 1111 1111, please", "card #, please"),
        ("378282246310005 or 5555-5555-5555-4444.", "# or #."),
        ("4111\u{a0}1111\u{a0}1111\u{a0}1111", "#"),
        ("4111 1111 1111 1111 123", "# 123"),
        ("no 12 4111111111111111", "no 12 #"),
        ("4111111111111112", "4111111111111112"),
        (
            "1700000000000 14111111111111111 411111111111",
            "1700000000000 14111111111111111 411111111111",
        ),
        ("41111111111111111111111", "41111111111111111111111"),
        ("4111  1111 1111 1111", "4111  1111 1111 1111"),
    ];
    check(&masks(&json!({ "kinds": ["card"] })), &table);
}

#[test]
fn ibans() {
    let table = [
        ("DE89370400440532013000", "#"),
        ("to DE89 3704 0044 0532 0130 00 and on", "to # and on"),
        ("gb29 nwbk 6016 1331 9268 19", "#"),
        (
            "NO93 8601 1117 947, FR14 2004 1010 0505 0001 3M02 606",
            "#, #",
        ),
        ("IBAN:MT84MALT011000012345MTLCAST001S.", "IBAN:#."),
        ("DE88370400440532013000", "DE88370400440532013000"),
        ("XX89370400440532013000", "XX89370400440532013000"),
        ("DE8937040044053201300", "DE8937040044053201300"),
        ("aDE89370400440532013000", "aDE89370400440532013000"),
        (
            "DE89  3704 0044 0532 0130 00",
            "DE89  3704 0044 0532 0130 00",
        ),
        ("账号DE89370400440532013000。", "账号#。"),
    ];
    check(&masks(&json!({ "kinds": ["iban"] })), &table);
}

#[test]
fn phone_numbers() {
    let table = [
        ("+49 30 1234567", "#"),
        ("call +49 (0) 30 1234-567.", "call #."),
        ("(+49) 30 1234567", "#"),
        ("tel:+4915112345678,", "tel:#,"),
        ("0049 30 1234567 and 00441632960961", "# and #"),
        ("030 1234567, 0171/1234567, 06.12.34.56.78", "#, #, #"),
        ("020 7946 0958", "#"),
        ("0171 1234567 0172 7654321", "# #"),
        ("(415) 555-0123, 415-555-0123, 415.555.0123", "#, #, #"),
        ("1-800-555-0199 or +1 (415) 555-0123", "# or #"),
        ("(see 415-555-0123)", "(see #)"),
        ("(415-555-0123)", "(#)"),
        ("我的电话是13812345678。", "我的电话是#。"),
        ("138 1234 5678", "#"),
        (
            "in 2024, 10 of 12345678901 and 4155550123",
            "in 2024, 10 of 12345678901 and 4155550123",
        ),
        (
            "2024-05-06 07:08:09, 01.02.2024 10.30",
            "2024-05-06 07:08:09, 01.02.2024 10.30",
        ),
        (
            "0.123456789, 1.5, 192.168.100.200, -0",
            "0.123456789, 1.5, 192.168.100.200, -0",
        ),
        (
            "1 + 12345678, C++ 12345678, x0171234567",
            "1 + 12345678, C++ 12345678, x0171234567",
        ),
        (
            "+1234567890123456, 000123456789, 123-456-7890",
            "+1234567890123456, 000123456789, 123-456-7890",
        ),
    ];
    check(&masks(&json!({ "kinds": ["phone"] })), &table);
}

#[test]
fn words_in_any_case_and_not_inside_of_others() {
    let table = [
        ("Project X", "#"),
        ("the PROJECT x's end", "the #'s end"),
        (
            "Project Xylophone, subProject X, Project  X",
            "Project Xylophone, subProject X, Project  X",
        ),
        ("关于项目甲的进展", "关于#的进展"),
        ("C++ and c++17", "# and #17"),
    ];
    let words = json!({ "kinds": [], "words": ["Project X", "项目甲", "C++"] });
    check(&masks(&words), &table);
}

#[test]
fn what_begins_first_and_is_longest_counts() {
    let masks = masks(&json!({ "words": ["ann", "ann@example.com (work)"] }));
    let table = [
        ("ann", "#"),
        ("ann@example.com", "#"),
        ("ann@example.com (work)", "#"),
        ("ann@example.com (home)", "# (home)"),
    ];
    check(&masks, &table);
}

#[test]
fn nothing_is_masked_that_is_not_asked_for() {
    let text = "ann@example.com, +49 30 1234567, 4111111111111111, DE89370400440532013000";
    assert_eq!(whole(&masks(&json!({ "kinds": [] })), text), text);
    assert_eq!(masks(&json!({ "kinds": [] })).whole(text, &mut 0), None);
}
