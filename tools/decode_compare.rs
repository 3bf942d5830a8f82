//! Compares the decoders with capstone, and the disagreements' classes with QEMU.
//!
//! `tools/decode-compare COUNT` compares all 16-bit T32 words and COUNT random words each of A32 and 32-bit T32, and prints
//! the classes of disagreement. With `--qemu GUEST` (GUEST as `fixtures/sigill/build.sh` makes it) QEMU executes
//! samples of every class, and then as many random words (a million at most; for the older models a tenth of that), on
//! which its SIGILL is compared with ours.

#[path = "../tests/decode_support/mod.rs"]
#[allow(dead_code, reason = "shared with the test, which uses another part of it")]
mod support;

use emu::cpu::model::{Features, Model};
use emu::isa::insn::Insn;
use std::path::Path;
use std::process::ExitCode;
use support::arbiter::{Verdict, verdicts};
use support::classes::{CLASSES, Qemu, classify};
use support::{Set, View, capstone, linux_breakpoint, qemu_only, report, words};

/// Words that QEMU executes in the direct comparison, at most.
const DIRECT: usize = 1_000_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(count) = args.first().and_then(|a| a.parse().ok()) else {
        eprintln!("usage: decode-compare COUNT [--qemu GUEST]");
        return ExitCode::from(2);
    };
    let found = report::run(count);
    println!("# {} words compared, {} alike", found.compared, found.agreed);
    found.lines().iter().for_each(|line| println!("{line}"));
    found
        .unclassified
        .iter()
        .take(20)
        .for_each(|line| println!("UNCLASSIFIED {line}"));
    let mut failures = found.unclassified.len();
    if let [_, flag, guest] = &args[..]
        && flag == "--qemu"
    {
        match ask(Path::new(guest), &found, count.min(DIRECT)) {
            Ok(wrong) => failures += wrong,
            Err(e) => {
                eprintln!("decode-compare: qemu-arm: {e}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("# {failures} failures");
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Asks QEMU about the samples of every class, and about random words; the number of answers that were not expected.
fn ask(guest: &Path, found: &report::Report, direct: usize) -> std::io::Result<usize> {
    let mut wrong = 0;
    for (&(set, class), group) in &found.groups {
        let class = &CLASSES[class];
        let expected = match class.qemu {
            Qemu::Sigill => Verdict::Sigill,
            Qemu::Runs => Verdict::Runs,
        };
        let answers = verdicts(guest, "max", set, &group.samples)?;
        let mut unexpected = Vec::new();
        for (&word, &answer) in group.samples.iter().zip(&answers) {
            if answer != expected && answer != Verdict::Unknown {
                unexpected.push(word);
            }
        }
        if !unexpected.is_empty() {
            let some = &unexpected[..unexpected.len().min(8)];
            println!(
                "QEMU {} {}: {} of {} not as expected: {some:08x?}",
                set.name(),
                class.name,
                unexpected.len(),
                answers.len()
            );
            wrong += unexpected.len();
        }
    }
    for model in Model::all() {
        let count = if model.name == "max" { direct } else { direct / 10 };
        for set in Set::ALL {
            if set != Set::T32 || model.features.contains(Features::V6T2) {
                wrong += ask_random(guest, model, set, count)?;
            }
        }
    }
    Ok(wrong)
}

/// Compares what QEMU and we execute among `count` random words; the number of differences that have no class.
fn ask_random(guest: &Path, model: &Model, set: Set, count: usize) -> std::io::Result<usize> {
    let disassembler = capstone::Disassembler::new();
    let list: Vec<u32> = words(set, count).collect();
    let answers = verdicts(guest, model.name, set, &list)?;
    let (mut alike, mut classed, mut untried, mut wrong) = (0, 0, 0, 0);
    for (&word, &answer) in list.iter().zip(&answers) {
        let view = View::of(set, word, model.features, &disassembler);
        let executes = !matches!(
            view.ours.map(|d| d.insn),
            Err(_) | Ok(Insn::Hlt { .. } | Insn::Udf { .. })
        );
        if answer == Verdict::Unknown || linux_breakpoint(set, word) {
            untried += 1;
        } else if (answer == Verdict::Runs) == executes {
            alike += 1;
        } else if classify(&view).is_some() || qemu_only(&view, model.features) {
            classed += 1;
        } else {
            wrong += 1;
            if wrong <= 30 {
                let (ours, theirs) = (view.ours, view.capstone);
                println!(
                    "DIRECT {} {} {word:#010x}: QEMU {answer:?}, ours {ours:?}, capstone {theirs:?}",
                    model.name,
                    set.name()
                );
            }
        }
    }
    println!(
        "# {} {}: QEMU and we alike on {alike}, in a class {classed}, not tried {untried}, wrong {wrong}",
        model.name,
        set.name()
    );
    Ok(wrong)
}
