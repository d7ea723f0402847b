//! `include/aurora_plugin.h` and its mirror in `abi::raw` are one interface, and stay the one that was released.
//!
//! gcc must be there, as for the examples; g++ and clang are asked where they are. `UPDATE_GOLDEN=1` writes
//! `tests/abi.golden` anew: then look at the difference. Lines may be added, and the size of a struct that begins with
//! `size` may grow; everything else breaks plugins that are out there.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "test code: a failed expectation is a failed test"
)]

mod c;
mod mirror;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aurora_sdk::abi::raw::Note;

const HEADER: &str = include_str!("../../../../include/aurora_plugin.h");
const MIRROR: [&str; 4] = [
    include_str!("../../src/abi/raw.rs"),
    include_str!("../../src/abi/raw/plugin.rs"),
    include_str!("../../src/abi/raw/request.rs"),
    include_str!("../../src/abi/raw/tables.rs"),
];

/// What one of the two texts has and the other has not, line by line.
fn differences(ours: &str, theirs: &str) -> Vec<String> {
    let [ours, theirs] = [ours, theirs].map(|text| text.lines().collect::<BTreeSet<_>>());
    let only_ours = ours.difference(&theirs).map(|line| format!("- {line}"));
    let only_theirs = theirs.difference(&ours).map(|line| format!("+ {line}"));
    only_ours.chain(only_theirs).collect()
}

#[test]
fn the_header_and_its_mirror_agree_on_every_offset_and_size() {
    let layouts = mirror::layouts();

    let of_header = c::run("layouts", &c::layouts(&layouts));

    let of_mirror = mirror::text_of_layouts(&layouts);
    assert_eq!(differences(&of_mirror, &of_header), [""; 0]);
}

#[test]
fn the_header_and_its_mirror_agree_on_every_type_and_signature() {
    let layouts = mirror::layouts();

    let disagreements = c::run("types", &c::types(&layouts));

    assert_eq!(disagreements, "");
}

#[test]
fn the_header_and_its_mirror_agree_on_every_constant() {
    let constants = mirror::constants();

    let of_header = c::run("constants", &c::constants(&constants));

    let of_mirror = mirror::text_of_constants(&constants);
    assert_eq!(differences(&of_mirror, &of_header), [""; 0]);
}

/// Members of structs cannot be forgotten: see the macro in [`mirror`].
#[test]
fn these_tests_leave_no_struct_and_no_constant_out() {
    let layouts = mirror::layouts();
    let constants = mirror::constants();
    let mut known: BTreeSet<&str> = layouts.iter().map(|layout| layout.rust).collect();
    known.extend(mirror::OPAQUE.map(|(rust, _)| rust));
    known.extend(constants.iter().map(|constant| constant.rust));
    // A folder for constants, a list of others, an empty task; and `pub const fn`.
    known.extend(["Handlers", "EXTENSIONS", "NONE", "fn"]);
    let in_c: BTreeSet<&str> = constants.iter().map(|constant| constant.c).collect();

    let declared = MIRROR.iter().flat_map(|source| source.lines());
    let declared = declared.filter_map(|line| {
        let line = line.trim_start();
        let rest = line
            .strip_prefix("pub const ")
            .or_else(|| line.strip_prefix("pub struct "))?;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    });
    let forgotten: Vec<&str> = declared.filter(|name| !known.contains(name)).collect();
    let enumerated = HEADER
        .split([',', '{', '\n'])
        .filter_map(|part| part.split_once(" = "));
    let enumerated = enumerated
        .map(|(name, _)| name.trim())
        .filter(|name| name.starts_with("AUR_"));
    let unknown: Vec<&str> = enumerated.filter(|name| !in_c.contains(name)).collect();

    assert_eq!((forgotten, unknown), (vec![], vec![]));
}

#[test]
fn nothing_has_moved_since_it_was_released() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/abi.golden");
    let now = format!(
        "# Where pointers have 64 bits. See tests/header/main.rs before you change this file.\n{}{}",
        mirror::text_of_constants(&mirror::constants()),
        mirror::text_of_layouts(&mirror::layouts())
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }

    let released = fs::read_to_string(&path).unwrap_or_default();

    assert_eq!(differences(&released, &now), [""; 0]);
}

#[test]
fn every_c_and_cpp_compiler_takes_the_header_without_a_word() {
    for (compiler, standard) in c::dialects() {
        let said = c::compile_library("dialects", compiler, standard);

        assert_eq!(said, "", "{compiler} -std={standard}");
    }
}

#[test]
fn a_library_in_c_exports_two_symbols_alone() {
    c::compile_library("symbols", "gcc", "c99");

    let symbols = c::exported("symbols");

    assert_eq!(symbols, ["aurora_abi_note_v1", "aurora_plugin_entry_v1"]);
}

#[test]
fn the_note_in_c_is_the_one_in_rust() {
    let in_c = c::run("note", c::NOTE);

    let note = Note::current(7);
    let mut bytes = note.magic.to_vec();
    for number in [
        note.note_size,
        note.abi_major,
        note.abi_minor,
        note.min_host_minor,
    ] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend([note.pointer_bits, note.little_endian]);
    bytes.extend(note.flags.to_ne_bytes());
    bytes.extend(note.reserved.to_ne_bytes());
    assert_eq!(
        (in_c.trim(), bytes.len()),
        (format!("{bytes:?}").as_str(), Note::SIZE)
    );
}
