//! Event streams as files.

macro_rules! transcripts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../transcripts/", $name, ".sse")))),*]
    };
}

const ALL: &[(&str, &[u8])] = transcripts![
    "01_snapshot_basic",
    "02_delta_basic",
    "03_delta_reasoning",
    "04_several_messages",
    "05_image_tool_inline",
    "06_image_async",
    "07_max_tokens_continue_a",
    "07_max_tokens_continue_b",
    "08_max_tokens_in_metadata",
    "09_moderation_blocked",
    "10_error_mid_stream",
    "11_error_first",
    "12_unicode_split",
    "13_patch_inheritance",
    "14_memory_tool",
    "15_citations_markers",
    "16_citations_old",
    "17_code_tool",
    "18_stream_handoff",
    "18b_handoff_resume",
    "19_cut_inside_frame",
    "20_tool_call_text",
    "21_tts_seed",
    "22_framing_variants",
    "23_empty_answer",
    "24_rewritten_snapshot",
    "25_image_quota",
    "26_model_downgrade",
    "27_tool_call_variants",
    "28_image_edit",
];

/// The names of all.
pub(super) fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// The transcript of that name; the beginning of the name up to an underscore is enough.
pub(super) fn find(name: &str) -> Option<&'static [u8]> {
    let begins = |known: &str| {
        known
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    ALL.iter()
        .find(|(known, _)| begins(known))
        .map(|(_, bytes)| *bytes)
}
