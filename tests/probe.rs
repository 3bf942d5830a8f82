//! The probe of the kernel's interface under emu, against what an ARM kernel answered (`tools/probe --boot`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Rows by name; a value may be empty.
fn rows(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .collect()
}

/// A line of the list of differences: a row, or the beginning of rows with `*`; what emu answers, or `*`; the reason.
struct Listed<'a> {
    name: &'a str,
    answer: &'a str,
}

fn listed(text: &str) -> Vec<Listed<'_>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [name, answer, reason] = parts[..] else {
                panic!("not `row | answer | reason`: {line}");
            };
            assert!(!reason.is_empty(), "{line}");
            Listed { name, answer }
        })
        .collect()
}

impl Listed<'_> {
    fn names(&self, row: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => row.starts_with(beginning),
            None => self.name == row,
        }
    }
}

#[test]
fn answers_are_an_arm_kernels() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let read = |name: &str| std::fs::read_to_string(fixtures.join(name)).expect(name);
    let (kept, list) = (read("probe/arm-6.1.txt"), read("probe/differences.txt"));
    let (arm, list) = (rows(&kept), listed(&list));
    let output = Command::new(env!("CARGO_BIN_EXE_emu"))
        .arg(fixtures.join("armhf/probe"))
        .stdin(Stdio::null())
        .output()
        .expect("emu starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let emu = rows(&text);
    let mut wrong = Vec::new();
    for name in arm.keys().chain(emu.keys().filter(|n| !arm.contains_key(*n))) {
        let (want, got) = (arm.get(name).unwrap_or(&"-"), emu.get(name).unwrap_or(&"-"));
        let entry = list.iter().find(|l| l.names(name));
        let fits = entry.is_some_and(|l| l.answer == "*" || l.answer == *got);
        // An entry with a value must be needed; one without may be a matter of the host's kernel.
        let idle = entry.is_some_and(|l| l.name == *name && l.answer != "*") && want == got;
        if want != got && !fits || idle {
            wrong.push(format!("{name}: ARM {want}, emu {got}"));
        }
    }
    assert!(
        wrong.is_empty() && output.status.success(),
        "{} of {} rows differ and are not listed so (fixtures/probe/differences.txt):\n{}\n{}",
        wrong.len(),
        arm.len(),
        wrong.join("\n"),
        String::from_utf8_lossy(&output.stderr),
    );
}
