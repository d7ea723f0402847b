//! How client keys stand with their limits. Keys by name.

use serde_json::{Map, Value, json};

use crate::limits::{Level, Now};
use crate::snapshot::Snapshot;

pub(super) fn all(snapshot: &Snapshot) -> Map<String, Value> {
    let now = Now::read();
    let keys = snapshot.keys.limits();
    keys.map(|limits| {
        let standing = limits.standing(now);
        let levels = [
            ("requests_per_minute", standing.requests),
            ("tokens_per_minute", standing.tokens),
            ("concurrent", standing.concurrent),
            ("tokens_per_day", standing.day),
        ];
        let shown = levels
            .into_iter()
            .filter_map(|(limit, level)| Some((limit.to_owned(), self::level(level?))));
        (limits.name().to_owned(), Value::Object(shown.collect()))
    })
    .collect()
}

fn level(level: Level) -> Value {
    json!({ "limit": level.limit, "used": level.used })
}
