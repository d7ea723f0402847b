//! Libraries that cannot be used: each is refused with a sentence that says why, once, and everything else serves on.

use std::path::Path;
use std::process::Command;

use aurora_testkit::Aurora;

use super::{FIXTURE, config, fixture, library, serving, version, wait_for, with_fixture};
use crate::support::aurora;

/// Builds a library of C.
pub(super) fn compile(folder: &Path, name: &str, source: &str) -> Vec<u8> {
    let (file, out) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("{name}.so")),
    );
    std::fs::write(&file, source).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let built = Command::new("gcc")
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-I",
        ])
        .arg(include)
        .arg("-o")
        .args([&out, &file])
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    std::fs::read(out).unwrap()
}

/// A plugin in C that can be created; `rest` has its manifest, its table and what it exports.
fn in_c(rest: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let head = r#"
#include "aurora_plugin.h"
#include <string.h>
static aur_rc create(const aur_host *host, int32_t kind, aur_str options, aur_instance **out, aur_build_failure *failure) {
    (void)host; (void)kind; (void)options; (void)failure; *out = (aur_instance *)1; return AUR_OK;
}
static aur_rc handle(aur_instance *self, aur_req *req, aur_task *task) { (void)self; (void)req; (void)task; return AUR_OK; }
static void destroy(aur_instance *self) { (void)self; }
#define MANIFEST "{\"name\":\"c\",\"version\":\"1\",\"needs_upstream\":false}"
"#;
    compile(folder.path(), "plugin", &format!("{head}\n{rest}"))
}

/// A table with everything that must be there.
const TABLE: &str = "static const aur_plugin_vtable table = { .size = sizeof(aur_plugin_vtable), .manifest = AUR_S_INIT(MANIFEST),
    .create = create, .handle = handle, .destroy = destroy };";

fn table(change: &str) -> String {
    TABLE.replace(".size =", &format!("{change} .size ="))
}

/// Puts `bytes` beside the fixture and returns the reason for which they are refused.
async fn reason(aurora: &Aurora, name: &str, bytes: &[u8]) -> String {
    let file = format!("plugins/{name}.so");
    aurora.write(&file, bytes);
    aurora
        .wait_for_output(&format!(
            "plugin refused file={}",
            aurora.path(&file).display()
        ))
        .await;
    let output = aurora.output();
    let line = output
        .lines()
        .find(|line| line.contains("plugin refused") && line.contains(&file))
        .unwrap();
    line.split_once("reason=").unwrap().1.to_owned()
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_its_own_sentence() {
    let aurora = with_fixture("").start().await;
    let fixture = fixture(1);
    let define = "\nAUR_DEFINE_PLUGIN(&table, 0)";
    let mut other_cpu = fixture.clone();
    // e_machine of the file's head: AArch64 in the place of x86-64, or the other way round.
    other_cpu[18] = if other_cpu[18] == 0xB7 { 0x3E } else { 0xB7 };
    let wrong_major = in_c(&format!("{}{define}", table("")))
        .replacing(b"AURPLUG1\x20\0\0\0\x01", b"AURPLUG1\x20\0\0\0\x02");
    let note_only = "const aur_abi_note aurora_abi_note_v1 __attribute__((visibility(\"default\"))) = \
                     {{'A','U','R','P','L','U','G','1'}, 32, 1, 0, 0, 64, 1, 0, 0};";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("text", b"hello".to_vec(), "it is no library that can be read"),
        ("zeros", vec![0; 4096], "it is no library that can be read"),
        ("empty", Vec::new(), "it is empty"),
        ("truncated", fixture[..fixture.len() / 2].to_vec(), "its|it"),
        ("machine", other_cpu, "system cannot load it"),
        ("plain", in_c("int x = 1;"), "no note of a plugin"),
        ("major", wrong_major, "built for plugin interface 2.0, and this gateway speaks 1.0"),
        ("minor", in_c(&format!("{}\nAUR_DEFINE_PLUGIN(&table, 9)", table(""))), "needs plugin interface 1.9"),
        ("entry", in_c(note_only), "no entry function"),
        ("null", in_c("AUR_DEFINE_PLUGIN(0, 0)"), "gave no table"),
        ("small", in_c(&format!("{}{define}", table("").replace("sizeof(aur_plugin_vtable)", "16"))), "table has 16 bytes"),
        ("flags", in_c(&format!("{}{define}", table(".flags = 0x20000,"))), "flags 0x20000"),
        ("nohandle", in_c(&format!("{}{define}", table("").replace(".handle = handle,", ""))), "lacks"),
        ("badjson", in_c(&format!("{}{define}", table("")).replace("MANIFEST)", "\"{\\\"name\\\"\")")), "manifest cannot be read"),
        ("badname", in_c(&format!("{}{define}", table("")).replace("MANIFEST)", "\"{\\\"name\\\":\\\"A B\\\",\\\"version\\\":\\\"1\\\"}\")")), "lower-case"),
        ("service", in_c(&format!("{}{define}", table("")).replace("MANIFEST)", "\"{\\\"name\\\":\\\"c\\\",\\\"version\\\":\\\"1\\\",\\\"services\\\":[\\\"aurora.ws.v1\\\"]}\")")), "aurora.ws.v1"),
    ];
    for (name, bytes, part) in cases {
        let reason = reason(&aurora, name, &bytes).await;
        assert!(
            part.split('|').any(|part| reason.contains(part)),
            "{name}: {reason}"
        );
    }
    assert_eq!(serving(&aurora).await, version(1));
    // Each was said once, however often the folder was looked at since.
    assert_eq!(
        aurora.output().matches("plugin refused").count(),
        16,
        "{}",
        aurora.output()
    );
}

/// A copy with `new` in the place of `old`.
trait Replacing {
    fn replacing(self, old: &[u8], new: &[u8]) -> Self;
}

impl Replacing for Vec<u8> {
    fn replacing(mut self, old: &[u8], new: &[u8]) -> Self {
        let at = self
            .windows(old.len())
            .position(|window| window == old)
            .unwrap();
        self[at..at + new.len()].copy_from_slice(new);
        self
    }
}

#[tokio::test]
async fn a_newer_minor_version_that_asks_for_nothing_new_is_loaded() {
    let newer = in_c(&format!(
        "{}\nAUR_DEFINE_PLUGIN(&table, 0)",
        table("")
            .replace("sizeof(aur_plugin_vtable)", "sizeof(larger)")
            .replace(
                "static const",
                "typedef struct { aur_plugin_vtable table; void *more[4]; } larger;\nstatic const"
            )
    ));
    let newer = newer.replacing(
        b"AURPLUG1\x20\0\0\0\x01\0\0\0\0",
        b"AURPLUG1\x20\0\0\0\x01\0\0\0\x07",
    );
    let aurora = aurora("[[routes]]\npath = \"/c\"\nplugin = \"c\"\n")
        .file("plugins/c.so", newer)
        .start()
        .await;

    // It answers nothing, and that is said.
    let refused = crate::support::refusal(aurora.get("/c").send().await.unwrap()).await;

    assert_eq!(
        (refused.status, refused.code.as_str()),
        (500, "plugin_error")
    );
    assert!(
        refused.message.contains("finished without a response"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn no_code_of_a_library_with_a_wrong_note_runs() {
    let touched = tempfile::tempdir().unwrap();
    let mark = touched.path().join("ran");
    let source = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void early(void) {{ FILE *f = fopen(\"{}\", \"w\"); if (f) fclose(f); }}\n{}\nAUR_DEFINE_PLUGIN(&table, 0)",
        mark.display(),
        table("")
    );
    let good = in_c(&source);
    let wrong = good
        .clone()
        .replacing(b"AURPLUG1\x20\0\0\0\x01", b"AURPLUG1\x20\0\0\0\x03");
    let aurora = with_fixture("").start().await;

    reason(&aurora, "wrong", &wrong).await;
    assert!(!mark.exists());

    // The same library with the right note does run, or the test would show nothing.
    aurora.write("plugins/good.so", &good);
    aurora_testkit::eventually("its constructor has run", async || mark.exists()).await;
}

#[tokio::test]
async fn a_missing_symbol_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include \"aurora_plugin.h\"\nextern int nowhere_to_be_found(void);\nint use(void);\n__attribute__((visibility(\"default\"))) int use(void) {{ return nowhere_to_be_found(); }}\nAUR_DEFINE_PLUGIN(0, 0)";
    let library = compile(folder.path(), "missing", source);
    let aurora = with_fixture("").start().await;

    let reason = reason(&aurora, "missing", &library).await;

    assert!(
        reason.contains("undefined symbol") && reason.contains("nowhere_to_be_found"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_route_that_names_a_refused_library_is_told_why() {
    let (code, text) = aurora(&config(""))
        .file(FIXTURE, "no library")
        .run_to_end()
        .await;

    assert_eq!(code, Some(1));
    assert!(
        text.contains("AUR0209") && text.contains("libfixture.so"),
        "{text}"
    );
    assert!(text.contains("it is no library that can be read"), "{text}");
}

#[tokio::test]
async fn a_file_that_becomes_another_plugin_is_refused_and_the_old_one_serves_on() {
    let aurora = with_fixture("").start().await;

    aurora.replace(FIXTURE, std::fs::read(library("hello_plugin")).unwrap());

    aurora.wait_for_output("it calls itself `hello`").await;
    assert_eq!(serving(&aurora).await, version(1));
    aurora.replace(FIXTURE, fixture(2));
    wait_for(&aurora, 2).await;
}

#[tokio::test]
async fn a_second_library_of_the_same_name_is_refused_and_told_how_to_have_both() {
    let aurora = with_fixture("")
        .file("plugins/zweite.so", fixture(2))
        .start()
        .await;

    assert_eq!(serving(&aurora).await, version(1));
    let list = Command::new(env!("CARGO_BIN_EXE_aurora"))
        .args(["plugin", "list", "--config"])
        .arg(aurora.path("aurora.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&list.stderr).into_owned();
    assert!(
        text.contains("has a plugin `fixture` already")
            && text.contains("`file` in [plugins.NAME]"),
        "{text}"
    );
}

#[tokio::test]
async fn a_create_that_takes_too_long_is_refused_and_holds_nothing_up() {
    let aurora = with_fixture("").start().await;

    aurora.write(
        "aurora.toml",
        config("[plugins.fixture]\ncreate = \"hang\""),
    );
    let error = aurora.wait_for_reload_error().await;

    assert!(error.contains("was not created within 10 s"), "{error}");
    assert_eq!(serving(&aurora).await, version(1));
}
