//! The import rule of `docs/design.md`: reads every source file and fails on what the table does not allow.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A room, the rooms it may import, and whether it may hold `unsafe`.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
    may_be_unsafe: bool,
}

const fn room(name: &'static str, may_use: &'static [&'static str], may_be_unsafe: bool) -> Room {
    Room {
        name,
        may_use,
        may_be_unsafe,
    }
}

/// `cpu` (state, model, conditions) is common vocabulary and not listed. A path such as `exec::machine` allows
/// that part of a room only.
#[rustfmt::skip]
const ROOMS: [Room; 19] = [
    room("cpu",     &[], false),
    room("isa",     &[], false),
    room("softfp",  &[], false),
    room("ir",      &["softfp"], false),
    room("lift",    &["isa", "ir"], false),
    room("opt",     &["ir"], false),
    room("x64",     &["ir", "softfp", "diag"], true),
    room("cache",   &["x64", "mem", "diag"], true),
    room("exec",    &["isa", "lift", "opt", "ir", "x64", "cache", "mem", "softfp", "diag"], true),
    room("mem",     &["diag"], true),
    room("load",    &["mem", "diag"], true),
    room("linux",   &["exec::family", "exec::machine", "exec::signals", "mem", "load", "confine", "diag", "cli"], true),
    room("confine", &[], true),
    room("diag",    &[], true),
    room("cli",     &["diag", "confine"], true),
    room("binfmt",  &[], true),
    room("doctor",  &["binfmt", "exec", "confine"], true),
    // A binary of its own, whose files are each other's: what counts is what it takes from the library.
    room("oci",     &["linux", "load", "confine"], true),
    // Wiring: the library's root names the rooms, the binary joins them.
    room("main",    &[], true),
];

/// The room of a file: the first component below `src`, without `.rs`.
fn room_of(path: &Path) -> String {
    let first = path.components().next().expect("a path below src").as_os_str();
    let name = first.to_string_lossy();
    name.trim_end_matches(".rs")
        .trim_end_matches("_tests")
        .to_string()
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable source directory") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Code without line comments, string contents and test modules: tests may look anywhere.
fn code_of(text: &str) -> String {
    let mut out = String::new();
    let mut in_test_attribute = false;
    for line in text.lines() {
        let code = strip_strings_and_comment(line);
        if code.trim() == "#[cfg(test)]" {
            in_test_attribute = true;
            continue;
        }
        if in_test_attribute {
            // A module in this file runs to its end; a module elsewhere or a single item is one line here.
            if code.trim_start().starts_with("mod ") && code.contains('{') {
                break;
            }
            in_test_attribute = code.trim_start().starts_with("#[");
            continue;
        }
        out.push_str(&code);
        out.push('\n');
    }
    out
}

fn strip_strings_and_comment(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            // A character literal of a quote would otherwise open a string.
            '\'' if !quoted && chars.peek() == Some(&'"') => {
                chars.next();
            }
            _ if quoted => {}
            _ => out.push(c),
        }
    }
    out
}

/// Every path after `crate::` (in another crate of the package: its name), groups opened one level: `crate::{a::b, c}` gives `a::b` and `c`.
fn crate_paths(code: &str) -> Vec<String> {
    paths_after("crate::", code)
}

fn paths_after(prefix: &str, code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if at > 0 && code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => out.push(path_prefix(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        ',' if depth == 0 => out.push(path_prefix(&std::mem::take(&mut item))),
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ if depth == 0 => item.push(c),
                        _ => {}
                    }
                }
                out.push(path_prefix(&item));
            }
        }
    }
    out.retain(|p| !p.is_empty());
    out
}

/// The leading `a::b::c` of `text`.
fn path_prefix(text: &str) -> String {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    text[..end].trim_end_matches(':').to_string()
}

fn allowed(room: &Room, path: &str) -> bool {
    let top = path.split("::").next().unwrap_or("");
    // The crate root itself holds only modules and diag's exported macro.
    top == room.name
        || top == "cpu"
        || (top == "log_line" && room.may_use.contains(&"diag"))
        || room
            .may_use
            .iter()
            .any(|m| path == *m || path.starts_with(&format!("{m}::")))
}

fn sources() -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a readable source file");
        (
            path.strip_prefix(&src).expect("a path below src").to_path_buf(),
            text,
        )
    };
    files.into_iter().map(read).collect()
}

fn is_test_file(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem == "tests" || stem.ends_with("_tests") || path.components().any(|c| c.as_os_str() == "tests")
}

#[test]
fn every_import_is_in_the_table() {
    let mut bad = BTreeSet::new();
    for (path, text) in sources() {
        let name = room_of(&path);
        if is_test_file(&path) || name == "lib" || name == "main" {
            continue;
        }
        let Some(room) = ROOMS.iter().find(|r| r.name == name) else {
            bad.insert(format!("{}: room {name:?} is not in the table", path.display()));
            continue;
        };
        let prefix = if name == "oci" { "emu::" } else { "crate::" };
        for import in paths_after(prefix, &code_of(&text)) {
            if !allowed(room, &import) {
                bad.insert(format!("{}: {name} must not use crate::{import}", path.display()));
            }
        }
    }
    assert!(
        bad.is_empty(),
        "{}",
        bad.into_iter().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let mut bad = Vec::new();
    for (path, text) in sources() {
        let name = room_of(&path);
        let may = ROOMS.iter().any(|r| r.name == name && r.may_be_unsafe);
        let code = code_of(&text);
        let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if !may && words.into_iter().any(|w| w == "unsafe") {
            bad.push(path.display().to_string());
        }
    }
    assert!(bad.is_empty(), "unsafe outside its rooms: {}", bad.join(", "));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "));
    let names: Vec<_> = silent.map(|(path, _)| path.display().to_string()).collect();
    assert!(names.is_empty(), "no //! line first: {}", names.join(", "));
}

#[test]
fn the_reader_finds_what_it_must() {
    let code = code_of(
        "use crate::{ir::ops::Op, x64::{a, b}, cpu};\nlet s = \"crate::no\"; // crate::no\nf(crate::mem::x);\n\
         #[cfg(test)]\nmod tests { use crate::exec::y; }\n",
    );
    assert_eq!(crate_paths(&code), ["ir::ops::Op", "x64", "cpu", "mem::x"]);
    let linux = ROOMS.iter().find(|r| r.name == "linux").expect("linux");
    assert!(allowed(linux, "exec::machine::Machine") && !allowed(linux, "exec::run::Jit"));
    assert!(!allowed(linux, "exec") && !allowed(linux, "x64::emit"));
}
