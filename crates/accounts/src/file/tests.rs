use std::os::unix::fs::symlink;
use std::time::SystemTime;

use aurora_chatgpt::credential::lines;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;

fn replacement<'a>(old: &'a str, new: &'a str) -> Replacement<'a> {
    Replacement {
        old,
        new,
        append: &[],
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn only_the_token_of_its_line_changes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("session.txt");
    let text = "\u{feff}# mine: old\r\n\r\n  old : team-a \r\nother\r\nold\n# old\nold2:old";
    fs::write(&path, text).unwrap();

    TokenFile::new(path.clone())
        .write(&replacement("old", "new"))
        .unwrap();

    let expected = "\u{feff}# mine: old\r\n\r\n  new : team-a \r\nother\r\nnew\n# old\nold2:old";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(names(&folder), ["session.txt"]);
}

#[test]
fn a_line_that_is_gone_is_appended_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("session.txt");
    let file = TokenFile::new(path.clone());
    let teams = [None, Some("team".to_owned())];
    let append = Replacement {
        append: &teams,
        ..replacement("old", "new")
    };

    file.write(&append).unwrap();
    let created = fs::read_to_string(&path).unwrap();
    file.write(&append).unwrap();
    let again = fs::read_to_string(&path).unwrap();
    fs::write(&path, "a\r\nb").unwrap();
    file.write(&append).unwrap();
    file.write(&replacement("gone", "newer")).unwrap();

    assert_eq!(created, "new\nnew:team\n");
    assert_eq!(again, created);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, "a\r\nb\r\nnew\r\nnew:team\r\n");
}

#[test]
fn a_link_stays_and_its_target_changes() {
    let folder = TempDir::new().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "old\n").unwrap();
    symlink(&real, &link).unwrap();

    TokenFile::new(link.clone())
        .write(&replacement("old", "new"))
        .unwrap();

    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "new\n");
}

#[test]
fn what_cannot_be_read_is_never_truncated() {
    let folder = TempDir::new().unwrap();
    let binary = folder.path().join("binary");
    fs::write(&binary, b"old\n\xff").unwrap();
    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();

    let write = |path: &Path, new| TokenFile::new(path.to_owned()).write(&replacement("old", new));

    assert!(matches!(write(&binary, "new"), Err(WriteError::NotText)));
    assert!(matches!(write(&directory, "new"), Err(WriteError::Read(_))));
    for bad in ["", " ", "a b", "a\nb", "a:b", "#a"] {
        assert!(
            matches!(write(&binary, bad), Err(WriteError::Token)),
            "{bad:?}"
        );
    }
    assert_eq!(fs::read(&binary).unwrap(), b"old\n\xff");
}

#[test]
fn a_file_beside_which_none_can_be_made_is_written_in_place() {
    let folder = TempDir::new().unwrap();
    // The name of a file under way would be longer than any file system takes.
    let path = folder.path().join("s".repeat(250));
    fs::write(&path, "# stays\nold-and-long\n").unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&path);

    let written = TokenFile::new(path.clone()).write(&replacement("old-and-long", "new"));

    written.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "# stays\nnew\n");
    assert_eq!((inode(&path), mode(&path)), (before, 0o600));
}

#[test]
fn where_nothing_can_be_written_the_caller_hears_of_it() {
    let folder = TempDir::new().unwrap();
    let file = TokenFile::new(folder.path().join("missing/session.txt"));
    let append = Replacement {
        append: &[None],
        ..replacement("old", "new")
    };

    let written = file.write(&append);

    assert!(matches!(written, Err(WriteError::Write(_))), "{written:?}");
}

#[test]
fn files_that_a_crash_left_are_removed_and_those_under_way_stay() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s.txt");
    fs::write(&path, "old\n").unwrap();
    // What is older than the process goes with the first look at the file.
    let file = TokenFile::new(path);
    for name in [
        ".s.txt.left.aurora",
        ".s.txt.busy.aurora",
        ".t.txt.x.aurora",
    ] {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    let hour = Duration::from_hours(1);
    for name in [".s.txt.left.aurora", ".t.txt.x.aurora"] {
        let left = File::options().write(true).open(folder.path().join(name));
        left.unwrap()
            .set_modified(SystemTime::now() - hour)
            .unwrap();
    }

    file.write(&replacement("old", "new")).unwrap();

    let expected = [".s.txt.busy.aurora", ".t.txt.x.aurora", "s.txt"];
    assert_eq!(names(&folder), expected);
}

fn line() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("old"),
        Just("old2"),
        Just("other"),
        Just("ol"),
        Just("")
    ];
    let around = prop_oneof![Just(""), Just(" "), Just("\t"), Just("\u{feff}"), Just("#")];
    let after = prop_oneof![
        Just(""),
        Just(":team"),
        Just(" : a:old"),
        Just(": "),
        Just(" x")
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n"), Just("")];
    let known = (around, token, after, end).prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"));
    prop_oneof![4 => known, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_text_keeps_everything_but_the_token(text in proptest::collection::vec(line(), 0..12)) {
        let text = text.concat();
        let change = replacement("old", "a-new.one");

        let new = change.apply(&text);

        let read = |text: &str| -> Vec<_> {
            let lines = lines(text).into_iter();
            lines
                .map(|line| (line.number, line.token.expose_secret().to_owned(), line.team))
                .collect()
        };
        let mut expected = read(&text);
        let holds = expected.iter().any(|(_, token, _)| token == "old");
        prop_assert_eq!(new.is_some(), holds);
        let new = new.unwrap_or_else(|| text.clone());
        for (_, token, _) in &mut expected {
            if token == "old" {
                "a-new.one".clone_into(token);
            }
        }
        prop_assert_eq!(read(&new), expected);
        // Line by line nothing else has changed.
        prop_assert_eq!(text.split('\n').count(), new.split('\n').count());
        for (before, after) in text.split('\n').zip(new.split('\n')) {
            prop_assert!(before == after || before.replacen("old", "a-new.one", 1) == after);
        }
    }
}
