//! What the targets share: how an input says where it is cut, and how to compare what came out.

/// The last bytes of an input say how long its pieces are, one after the other and then from the beginning again.
const LENGTHS: usize = 8;

/// The document in an input, and the pieces in which it arrives. A document too short to say anything arrives in bytes.
pub fn cut(input: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (document, lengths) = split(input);
    let mut lengths = lengths.iter().cycle();
    let mut pieces = Vec::new();
    let mut rest = document;
    while !rest.is_empty() {
        let length = lengths.next().map_or(1, |length| usize::from(*length) + 1);
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    (document, pieces)
}

/// As [`cut`] for what arrives as text; what is no UTF-8 is replaced.
pub fn cut_text(input: &[u8]) -> (String, Vec<String>) {
    let (document, lengths) = split(input);
    let document = String::from_utf8_lossy(document).into_owned();
    let mut lengths = lengths.iter().cycle();
    let mut pieces = Vec::new();
    let mut rest = document.chars().peekable();
    while rest.peek().is_some() {
        let length = lengths.next().map_or(1, |length| usize::from(*length) + 1);
        pieces.push(rest.by_ref().take(length).collect());
    }
    (document, pieces)
}

fn split(input: &[u8]) -> (&[u8], &[u8]) {
    input.split_at(input.len().saturating_sub(LENGTHS))
}

/// Whether `part` is what is left of `whole` when some of it is taken out.
pub fn is_rest_of(part: &str, whole: &str) -> bool {
    let mut whole = whole.chars();
    part.chars().all(|c| whole.any(|found| found == c))
}
