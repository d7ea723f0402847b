//! The note of a library, read out of its file: no code of a wrong library ever runs.

use aurora_sdk::abi::raw::Note;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

/// How the note is called.
const SYMBOL: &str = "aurora_abi_note_v1";

/// Reads the note of the library in `bytes`.
///
/// # Errors
/// Why there is none.
pub(super) fn read(bytes: &[u8]) -> Result<Note, String> {
    let file = object::File::parse(bytes)
        .map_err(|error| format!("it is no library that can be read: {error}"))?;
    let symbol = file
        .dynamic_symbols()
        .find(|symbol| {
            symbol
                .name()
                .is_ok_and(|name| name.trim_start_matches('_') == SYMBOL)
        })
        .ok_or(
            "it has no note of a plugin (symbol `aurora_abi_note_v1`): is it an Aurora plugin?",
        )?;
    let section = symbol
        .section_index()
        .and_then(|index| file.section_by_index(index).ok())
        .ok_or("its note is in no section")?;
    let bytes = section
        .data_range(symbol.address(), Note::SIZE as u64)
        .ok()
        .flatten()
        .ok_or("its note cannot be read")?;
    parse(bytes, file.is_little_endian()).ok_or_else(|| "its note is too short".to_owned())
}

fn parse(bytes: &[u8], little_endian: bool) -> Option<Note> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let mut rest = rest;
    let mut number = || {
        let (number, left) = rest.split_first_chunk::<4>()?;
        rest = left;
        Some(if little_endian {
            u32::from_le_bytes(*number)
        } else {
            u32::from_be_bytes(*number)
        })
    };
    let (note_size, abi_major, abi_minor, min_host_minor) =
        (number()?, number()?, number()?, number()?);
    let [pointer_bits, endian, ..] = *rest.first_chunk::<2>()?;
    Some(Note {
        magic: *magic,
        note_size,
        abi_major,
        abi_minor,
        min_host_minor,
        pointer_bits,
        little_endian: endian,
        flags: 0,
        reserved: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_says_so() {
        for bytes in [&b""[..], b"hello", b"\x7fELF", &[0; 64]] {
            assert!(read(bytes).unwrap_err().contains("no library"), "{bytes:?}");
        }
    }

    #[test]
    fn a_library_without_a_note_says_so() {
        // Every test binary is an executable file without the symbol.
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();

        assert!(read(&bytes).unwrap_err().contains("aurora_abi_note_v1"));
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let mut bytes = b"AURPLUG1".to_vec();
        for number in [32_u32, 1, 2, 3] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([64, 1, 0, 0, 0, 0, 0, 0]);

        let note = parse(&bytes, true).unwrap();

        assert_eq!(
            (note.abi_major, note.abi_minor, note.min_host_minor),
            (1, 2, 3)
        );
        assert_eq!((note.pointer_bits, note.little_endian), (64, 1));
        assert_eq!(parse(&bytes[..20], true), None);
    }
}
