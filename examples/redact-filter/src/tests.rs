//! What is masked, whatever it comes in and however it is cut.

mod answers;
mod held;
mod kinds;
mod requests;

use serde_json::{Map, Value, json};

use crate::Options;
use crate::kinds::Kinds;
use crate::mask::{Masks, Tail};

/// As with these options; what is masked becomes `#`.
fn masks(options: &Value) -> Masks {
    let members: Map<String, Value> = options.as_object().unwrap().clone();
    let options: Options = aurora_sdk::options::read(&members).unwrap();
    Masks {
        kinds: Kinds::new(options.kinds, &options.words),
        replacement: "#".to_owned(),
    }
}

/// Everything, and two words.
fn all() -> Masks {
    masks(&json!({ "words": ["Project X", "项目甲"] }))
}

fn whole(masks: &Masks, text: &str) -> String {
    let masked = masks.whole(text, &mut 0);
    masked.unwrap_or_else(|| text.to_owned())
}

/// The text in these pieces, and the most that was held back.
fn in_pieces<'a>(masks: &Masks, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let (mut tail, mut count) = (Tail::default(), 0);
    let mut all = String::new();
    for piece in pieces {
        all.push_str(&tail.push(masks, piece, &mut count));
    }
    all.push_str(&tail.finish(masks, &mut count));
    all
}
