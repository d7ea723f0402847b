//! What became of the files in the plugin folder.

use serde_json::{Value, json};

use crate::plugins::{Generation, SlotStatus, hex};

pub(super) fn slot(slot: &SlotStatus) -> Value {
    json!({
        "name": slot.name,
        "file": slot.file,
        "missing": slot.is_missing,
        "serving": slot.serving.as_deref().map(generation),
        "can_roll_back_to": slot.history,
        "loaded_generations": slot.loaded,
        "refused": slot.refused.as_ref().map(|(reason, at)| json!({ "reason": reason, "at": super::time(*at) })),
    })
}

fn generation(generation: &Generation) -> Value {
    let counts = generation.counts();
    json!({
        "generation": generation.number,
        "version": generation.manifest.version,
        "about": generation.manifest.about,
        "sha256": hex(&generation.origin.hash),
        "loaded_at": super::time(generation.loaded_at),
        "panics": counts.panics,
        "slow_polls": counts.slow_polls,
        "leaked_handles": counts.leaked_handles,
    })
}
