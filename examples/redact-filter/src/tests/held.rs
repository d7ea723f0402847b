//! What is held back, and that it makes no difference where a text is cut.

use super::*;
use crate::kinds::LONGEST;

/// All that is looked for, what is like it, and what stands around it.
const TEXTS: [&str; 12] = [
    "write to ann@example.com, or call +49 30 1234567.",
    "card 4111 1111 1111 1111 123, IBAN DE89 3704 0044 0532 0130 00.",
    "(415) 555-0123 and (see 415-555-0123) in 2024",
    "0171 1234567 0172 7654321 01.02.2024 10.30",
    "müller@exämple.de o'neil@x.ie. a@b..c@d.ee",
    "关于项目甲的 ann@example.com谢谢 我的电话是13812345678。",
    "the project x and Project Xylophone, projec",
    "4111-1111-1111-1111@example.com 4111111111111112",
    "FR14 2004 1010 0505 0001 3M02 606 gb29nwbk60161331926819x",
    "1-800-555-0199+1 415 555 0123 000123 00441632960961",
    "https://example.com/a?b=c@d.com#e ann@ @ann ann@-x.com",
    "🙂ann@example.com🙂 +49 🙂 (",
];

#[test]
fn it_makes_no_difference_where_a_text_is_cut() {
    let masks = all();
    for text in TEXTS {
        let expected = whole(&masks, text);
        let borders: Vec<usize> = (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .collect();
        for one in &borders {
            for other in borders.iter().filter(|other| *other >= one).take(20) {
                let pieces = [&text[..*one], &text[*one..*other], &text[*other..]];
                assert_eq!(in_pieces(&masks, pieces), expected, "{pieces:?}");
            }
        }
        let characters = borders.windows(2).map(|ends| &text[ends[0]..ends[1]]);
        assert_eq!(in_pieces(&masks, characters), expected);
    }
}

#[test]
fn it_makes_no_difference_how_any_text_is_cut() {
    let parts = [
        "a",
        "@",
        ".",
        "com",
        "b.c",
        " ",
        "-",
        "+",
        "(",
        ")",
        "0",
        "1",
        "4",
        "49",
        "415",
        "1111",
        "DE89",
        "x",
        "Project ",
        "ü",
        "甲",
        "🙂",
        "@example.",
        "30 1234567",
        "370400440532013000",
        "\u{a0}",
        "/",
        "'",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ];
    let masks = all();
    // A generator of Lehmer's: the same texts each time.
    let mut seed: u64 = 1;
    let mut next = |below: usize| {
        seed = seed * 48271 % 0x7fff_ffff;
        usize::try_from(seed).unwrap() % below
    };
    for _ in 0..2000 {
        let pieces: Vec<&str> = (0..next(40)).map(|_| parts[next(parts.len())]).collect();
        let text = pieces.concat();
        assert_eq!(
            in_pieces(&masks, pieces.iter().copied()),
            whole(&masks, &text),
            "{pieces:?}"
        );
    }
}

#[test]
fn only_what_could_become_a_secret_is_held_back() {
    let table = [
        ("hello ", ""),
        ("hello", "hello"),
        ("hello,", ""),
        ("你好", ""),
        ("in 2024", "2024"),
        ("in 2024 ", "2024 "),
        ("in 2024 a", "a"),
        ("in 1024 ", ""),
        ("it is 10 %", ""),
        ("f(", ""),
        ("f (", "("),
        ("f(x", "x"),
        ("f(x)", ""),
        ("+", "+"),
        ("+ ", ""),
        ("ann@", "ann@"),
        ("ann@ ", ""),
        ("ann@-", ""),
        ("to ann@example.com", "ann@example.com"),
        ("to ann@example.com.", "ann@example.com."),
        ("to ann@example.com. ", ""),
        ("to ann@example.com ", ""),
        ("DE89 3704 ", "DE89 3704 "),
        ("DE8 ", ""),
        ("DE89370400440532013000", "DE89370400440532013000"),
        ("the project", "project"),
        ("the project ", "project "),
        ("the project y", "y"),
        ("the project x", "project x"),
        ("the project x.", ""),
        ("项目", "项目"),
        ("项目乙", ""),
    ];
    let masks = all();
    for (text, held) in table {
        let (mut tail, mut count) = (Tail::default(), 0);
        let free = tail.push(&masks, text, &mut count);
        let rest = tail.finish(&masks, &mut count);
        let masked = whole(&masks, text);
        assert_eq!(rest, whole(&masks, held), "{text}");
        assert_eq!(format!("{free}{rest}"), masked, "{text}");
    }
}

#[test]
fn little_is_held_back_whatever_comes() {
    let masks = all();
    let endless = [
        "a", "1", "4", "0", "+", "(", "a@", "a.", "@a.", "1 ", "49 ", "DE89", "a1b2", "-", "ü",
        "Project ", "a@b.", "0 1",
    ];
    for part in endless {
        let (mut tail, mut count, mut free) = (Tail::default(), 0, 0);
        for sent in 1..600 {
            free += tail.push(&masks, part, &mut count).len();
            let held = sent * part.len() - free;
            assert!(count > 0 || held < LONGEST, "{part}: {held}");
        }
        let text = part.repeat(599);
        assert_eq!(
            in_pieces(&masks, std::iter::repeat_n(part, 599)),
            whole(&masks, &text)
        );
    }
}
