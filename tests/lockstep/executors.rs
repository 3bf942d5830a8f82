//! Under what a case runs: QEMU, `emu`, and `emu` with everything that can be switched off switched off.

use super::compare::Exactness;
use super::desk::{Executor, Setting};
use super::process::Emulator;
use emu::cpu::model::{Features, Model};
use emu::lift::Context;
use emu::x64::HostFeatures;
use std::path::Path;

/// How much of what a campaign executes the variants of `emu` execute too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Variants {
    None,
    /// Each batch one of them.
    Turn,
    /// Everything.
    All,
}

fn emulator(name: &str, words: &[&str]) -> Emulator {
    Emulator {
        name: name.into(),
        command: words.iter().map(|w| w.to_string()).collect(),
        // QEMU says that it aborts.
        quiet: words[0] == "qemu-arm",
    }
}

/// QEMU and the emulator `emu` as processor `model`, with `program` from fixtures/src/lockstep.c.
pub fn setting(emu: &str, model: &'static Model, program: &Path, variants: Variants) -> Setting {
    let exact = Exactness {
        nzcv_at_fault: true,
        underflow: true,
        siginfo: true,
    };
    let block = Exactness {
        nzcv_at_fault: false,
        underflow: false,
        ..exact
    };
    let mut executors = vec![Executor {
        emulator: emulator("qemu-arm", &["qemu-arm", "-cpu", model.name, "-s", "65536"]),
        exact,
        turns: false,
    }];
    let mut ours = |flags: &[&str], exact: Exactness, turns: bool| {
        let words = [&[emu, "--no-aslr", "-s", "65536", "--cpu", model.name], flags].concat();
        let name = [&["emu"], flags].concat().join(" ");
        executors.push(Executor {
            emulator: emulator(&name, &words),
            exact,
            turns,
        });
    };
    ours(&[], block, false);
    if variants != Variants::None {
        let turns = variants == Variants::Turn;
        let underflow = false;
        ours(&["--one-insn-per-block"], Exactness { underflow, ..exact }, turns);
        let nzcv_at_fault = false;
        ours(
            &["--strict-fp"],
            Exactness {
                nzcv_at_fault,
                ..exact
            },
            turns,
        );
        // What can be is interpreted, always; else the first inputs of a sequence are.
        ours(&["--interpret", "4294967295"], block, turns);
        ours(&["--interpret", "0"], block, turns);
        let host = HostFeatures::detect();
        for name in HostFeatures::NAMES {
            if host.without([*name]).is_ok_and(|less| less != host) {
                ours(&["--host-without", name], block, turns);
            }
        }
        ours(&["--host-without", &HostFeatures::NAMES.join(",")], block, turns);
    }
    let has = |feature| u32::from(model.features.contains(feature));
    Setting {
        executors,
        program: program.to_path_buf(),
        wide: has(Features::D32) | has(Features::V6K) << 1,
        context: Context::new(model),
    }
}

/// Name of the guest program for `model` in fixtures/.
pub fn guest(model: &Model) -> &'static str {
    if model.features.contains(Features::V7) {
        "armhf/lockstep"
    } else {
        "armel/lockstep"
    }
}
