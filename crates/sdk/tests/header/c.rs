//! What the header says, asked by small programs in C.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::mirror::{Constant, Layout, Member, OPAQUE, Value};

/// Prints the bytes of a note, as Rust shows them.
pub(crate) const NOTE: &str = r#"
    const unsigned char *bytes = (const unsigned char *)&aurora_abi_note_v1;
    for (size_t i = 0; i < sizeof aurora_abi_note_v1; i++) printf("%s%d", i ? ", " : "[", bytes[i]);
    printf("]\n");
"#;

/// All that the header has for authors, in a library that is both C and C++.
const LIBRARY: &str = r#"
#include "aurora_plugin.h"
static aur_rc ready(aur_str text) { return text.len == 5 ? AUR_OK : AUR_E_INVALID; }
static aur_rc create(const aur_host *host, int32_t as, aur_str options, aur_instance **out, aur_build_failure *failure) {
    (void)as; (void)options; (void)out; (void)failure;
    AUR_TRY(ready(AUR_S("hello")));
    return AUR_HAS(aur_host, host, now_ns) ? AUR_E_UNSUPPORTED : AUR_E_CONFIG;
}
static void destroy(aur_instance *instance) { (void)instance; }
static const aur_plugin_vtable vtable = {
    sizeof(aur_plugin_vtable), AUR_PLUGIN_UNLOADABLE, AUR_S_INIT("{}"), create, NULL, NULL, destroy, NULL, NULL};
AUR_DEFINE_PLUGIN(&vtable, 0)
"#;

const WARNINGS: [&str; 7] = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wundef",
    "-Werror",
];

/// A folder of the test called `test`.
fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("header")
        .join(test);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn compiler(name: &str) -> Command {
    let mut compiler = Command::new(name);
    compiler.arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../../include"));
    compiler
}

/// Runs `statements` beside the header; returns what they print.
pub(crate) fn run(test: &str, statements: &str) -> String {
    let (source, program) = (folder(test).join("ask.c"), folder(test).join("ask"));
    let text = format!(
        "#include <stdio.h>\n#include \"aurora_plugin.h\"\n\
         const aur_plugin_vtable vtable = {{0}};\nAUR_DEFINE_PLUGIN(&vtable, 7)\n\
         int main(void) {{\n{statements}return 0;\n}}\n"
    );
    fs::write(&source, text).unwrap();
    let built = compiler("gcc")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let ran = Command::new(program).output().unwrap();
    assert!(ran.status.success());
    String::from_utf8(ran.stdout).unwrap()
}

/// Prints what [`crate::mirror::text_of_layouts`] writes.
pub(crate) fn layouts(layouts: &[Layout]) -> String {
    let mut program = String::new();
    for Layout { c, members, .. } in layouts {
        writeln!(program, r#"printf("{c} size %zu\n", sizeof({c}));"#).unwrap();
        for Member { name, .. } in members {
            writeln!(
                program,
                r#"printf("{c}.{name} offset %zu size %zu\n", offsetof({c}, {name}), sizeof((({c} *)0)->{name}));"#
            )
            .unwrap();
        }
    }
    program
}

/// Prints the members whose type in C is not what their type in Rust says.
pub(crate) fn types(layouts: &[Layout]) -> String {
    let mut names: BTreeMap<&str, &str> = layouts
        .iter()
        .map(|layout| (layout.rust, layout.c))
        .collect();
    names.extend(OPAQUE);
    let mut program = String::new();
    for Layout { c, members, .. } in layouts {
        // The elements of arrays are numbers or characters, and those are called differently on each machine.
        let members = members
            .iter()
            .filter(|member| !member.rust_type.starts_with('['));
        for Member {
            name, rust_type, ..
        } in members
        {
            let c_type = c_type(rust_type, &names);
            writeln!(
                program,
                r#"if (!__builtin_types_compatible_p(__typeof__((({c} *)0)->{name}), {c_type}))
                puts("{c}.{name} is not {c_type}");"#
            )
            .unwrap();
        }
    }
    program
}

/// The type in C that `rust` is, as `type_name` spells it.
fn c_type(rust: &str, names: &BTreeMap<&str, &str>) -> String {
    if let Some(inner) = rust.strip_prefix("core::option::Option<") {
        return c_type(inner.strip_suffix('>').unwrap(), names);
    }
    if let Some(signature) = rust.strip_prefix("unsafe extern \"C\" fn(") {
        return function(signature, names);
    }
    match rust.split_once(' ') {
        // Text is `char` in C.
        Some(("*const", "u8" | "i8")) => return "char const *".to_owned(),
        Some(("*const", inner)) => return format!("{} const *", c_type(inner, names)),
        Some(("*mut", inner)) => return format!("{} *", c_type(inner, names)),
        _ => (),
    }
    let name = rust.rsplit("::").next().unwrap();
    let known = match name {
        "c_void" => "void",
        "usize" => "size_t",
        "f64" => "double",
        "u8" => "uint8_t",
        "u16" => "uint16_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "i32" => "int32_t",
        "i64" => "int64_t",
        name => names[name],
    };
    known.to_owned()
}

/// A pointer to the function with that signature, which begins behind the first bracket: `u32, u64) -> i32`.
fn function(signature: &str, names: &BTreeMap<&str, &str>) -> String {
    let (mut arguments, mut depth, mut begin) = (Vec::new(), 0, 0);
    let mut result = "void".to_owned();
    for (place, character) in signature.char_indices() {
        match character {
            ')' if depth == 0 => {
                arguments.push(&signature[begin..place]);
                if let Some(returned) = signature[place + 1..].strip_prefix(" -> ") {
                    result = c_type(returned, names);
                }
                break;
            }
            ',' if depth == 0 => {
                arguments.push(&signature[begin..place]);
                begin = place + 2;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => (),
        }
    }
    let arguments: Vec<String> = match arguments[..] {
        [""] => vec!["void".to_owned()],
        _ => arguments
            .iter()
            .map(|argument| c_type(argument, names))
            .collect(),
    };
    format!("{result} (*)({})", arguments.join(", "))
}

/// Prints what [`crate::mirror::text_of_constants`] writes.
pub(crate) fn constants(constants: &[Constant]) -> String {
    let mut program = String::new();
    for Constant { c, value, .. } in constants {
        match value {
            Value::Number(_) => writeln!(program, r#"printf("{c} %lld\n", (long long)({c}));"#),
            Value::Text(_) => writeln!(program, r#"printf("{c} %s\n", {c});"#),
        }
        .unwrap();
    }
    program
}

/// Compilers of this machine, each with a standard. gcc must be there.
pub(crate) fn dialects() -> Vec<(&'static str, &'static str)> {
    let all = [
        ("gcc", ["c99", "c11"]),
        ("g++", ["c++11", "c++17"]),
        ("clang", ["c99", "c11"]),
        ("clang++", ["c++11", "c++17"]),
    ];
    all.into_iter()
        .filter(|(name, _)| *name == "gcc" || Command::new(name).arg("--version").output().is_ok())
        .flat_map(|(name, standards)| standards.map(|standard| (name, standard)))
        .collect()
}

/// Compiles a library that uses the header; returns what the compiler says to it.
pub(crate) fn compile_library(test: &str, name: &str, standard: &str) -> String {
    let extension = if standard.starts_with("c++") {
        "cc"
    } else {
        "c"
    };
    let source = folder(test).join(format!("library.{extension}"));
    fs::write(&source, LIBRARY).unwrap();
    let built = compiler(name)
        .args(WARNINGS)
        .args(["-shared", "-fPIC", "-fvisibility=hidden"])
        .arg(format!("-std={standard}"))
        .arg("-o")
        .arg(folder(test).join("library.so"))
        .arg(&source)
        .output()
        .unwrap();
    String::from_utf8(built.stderr).unwrap()
}

/// The symbols that the library of `test` exports, sorted.
pub(crate) fn exported(test: &str) -> Vec<String> {
    let listed = Command::new("nm")
        .args(["-D", "--defined-only", "--format=posix"])
        .arg(folder(test).join("library.so"))
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let mut symbols: Vec<String> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    symbols.sort();
    symbols
}
