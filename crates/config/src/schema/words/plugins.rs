//! Texts that name libraries, and say which of them are trusted.

use super::{Fault, fault, sha256};

/// `sha256:` and 64 hexadecimal digits.
pub(crate) fn digest(text: &str) -> Result<[u8; 32], Fault> {
    let bad = |label: &str| {
        fault("AUR0116", "must be `sha256:` and 64 hexadecimal digits")
            .label(label)
            .help("`sha256sum FILE` prints the digits")
    };
    let digits = text
        .strip_prefix("sha256:")
        .ok_or_else(|| bad("does not begin with `sha256:`"))?;
    sha256(digits).map_err(|_| bad("not 64 digits"))
}

/// The shape of a minisign public key: 42 bytes in base64, of which the first two are `Ed`.
///
/// What follows, the key's number and the Ed25519 key, is for who checks signatures.
pub(super) fn public_key(text: &str) -> Result<(), Fault> {
    let bad = |label: &str| {
        fault("AUR0116", "must be a minisign public key")
            .label(label)
            .help("it is the second line of the `.pub` file: 56 characters that begin with `RW`")
    };
    if text.chars().count() != 56 {
        return Err(bad("not 56 characters"));
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    if !text.chars().all(base64) {
        return Err(bad("not base64"));
    }
    // The third character has the last four bits of `d` and two of the key's number.
    let begins = text
        .strip_prefix("RW")
        .is_some_and(|rest| rest.starts_with(['Q', 'R', 'S', 'T']));
    if begins {
        Ok(())
    } else {
        Err(bad("not an Ed25519 key"))
    }
}

/// The name of a file, without a folder.
pub(super) fn file_name(text: &str) -> Result<(), Fault> {
    if text.contains(['/', '\\']) || matches!(text, "." | "..") {
        return Err(
            fault("AUR0116", "must be the name of a file without a folder")
                .label("a path")
                .help("the library lies directly in `dir` of [plugins]"),
        );
    }
    if text.chars().any(char::is_control) {
        return Err(fault("AUR0116", "must not contain control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_their_algorithm_and_all_their_digits() {
        let digits = "0aF".repeat(21);

        let read = digest(&format!("sha256:{digits}9")).unwrap();

        assert_eq!((read[0], read[1], read[31]), (0x0a, 0xf0, 0xf9));
        for wrong in [
            format!("sha256:{digits}"),
            format!("sha256:{digits}g"),
            format!("sha512:{digits}9"),
            format!("{digits}9"),
            format!("sha256: {digits}"),
            "sha256:".to_owned(),
        ] {
            assert_eq!(digest(&wrong).unwrap_err().code, "AUR0116", "{wrong}");
        }
    }

    #[test]
    fn public_keys_are_42_bytes_that_begin_with_ed() {
        // The example of the minisign manual.
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

        let table = [
            (key.to_owned(), None),
            (key.replace("RWQ", "RWT"), None),
            (key.replace("RWQ", "RWU"), Some("not an Ed25519 key")),
            (key.replace("RWQ", "QWQ"), Some("not an Ed25519 key")),
            (key.replace("RWQ", "RW="), Some("not base64")),
            (key.replace("RWQ", "RWé"), Some("not base64")),
            (format!("{key}="), Some("not 56 characters")),
            (format!(" {key}"), Some("not 56 characters")),
        ];
        for (text, label) in table {
            let found = public_key(&text).err().and_then(|fault| fault.label);
            assert_eq!(found.as_deref(), label, "{text}");
        }
    }

    #[test]
    fn a_file_name_has_no_folder() {
        for name in ["libhello.so", "hello-1.2.dylib", "..a.so"] {
            assert!(file_name(name).is_ok(), "{name}");
        }
        for name in ["../libhello.so", "/x.so", "a\\b.dll", "..", ".", "a\0.so"] {
            assert!(file_name(name).is_err(), "{name}");
        }
    }
}
