//! What is printed of a difference: assembly, inputs, both outcomes, IR before and after optimisation, host code.

use super::case::Case;
use super::desk::{Desk, Mismatch};
use super::interp;
use super::layout::{Input, Output, VFP};
use emu::diag::disasm;
use emu::ir::liveness::Liveness;
use emu::ir::ops::Flags;
use emu::ir::print::print;
use emu::opt::{self, Outside};
use emu::x64::regs::PINNED_SET;
use emu::x64::{self, HostFeatures};
use std::fmt::Write;

/// The code as text, one instruction a line. It is read in the state it starts in; another one is read in both.
pub fn assembly(case: &Case) -> Vec<String> {
    let used = case
        .code
        .iter()
        .rposition(|w| *w != 0xe7ff_defe)
        .map_or(1, |i| i + 1);
    let bytes: Vec<u8> = case.code[..used].iter().flat_map(|w| w.to_le_bytes()).collect();
    disasm::guest(&bytes, case.address(), case.thumb())
}

fn state(text: &mut String, r: &[u32; 16], cpsr: u32, fpscr: u32, d: Option<&[u64; 32]>) {
    for (i, r) in r.iter().enumerate() {
        let _ = write!(text, "  r{i:<2} {r:08x}{}", if i % 8 == 7 { "\n" } else { "" });
    }
    let _ = writeln!(text, "  cpsr {cpsr:08x} fpscr {fpscr:08x}");
    if let Some(d) = d {
        for (i, d) in d.iter().enumerate() {
            let _ = write!(text, "  d{i:<2} {d:016x}{}", if i % 4 == 3 { "\n" } else { "" });
        }
    }
}

fn input(text: &mut String, input: &Input, flags: u32) {
    state(
        text,
        &input.r,
        input.cpsr,
        input.fpscr,
        (flags & VFP != 0).then_some(&input.d),
    );
}

fn output(text: &mut String, output: &Output, flags: u32) {
    state(
        text,
        &output.r,
        output.cpsr,
        output.fpscr,
        (flags & VFP != 0).then_some(&output.d),
    );
    let _ = writeln!(
        text,
        "  signal {} code {} address {:08x} written chunks {:08x} hash {:08x}",
        output.signal, output.code, output.address, output.dirty, output.hash
    );
}

/// Everything about a mismatch.
pub fn report(desk: &mut Desk<'_>, case: &Case, mismatch: &Mismatch) -> String {
    let mut text = format!("{}: {}\n\n", mismatch.who, mismatch.what);
    for line in assembly(case) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\ninput {} of {}:", mismatch.input + 1, case.inputs.len());
    input(&mut text, &case.inputs[mismatch.input], case.flags);
    if let Some([ours, theirs]) = &mismatch.outputs {
        let _ = writeln!(text, "\n{}:", mismatch.who);
        output(&mut text, ours, case.flags);
        let _ = writeln!(text, "\nqemu-arm:");
        output(&mut text, theirs, case.flags);
    }
    if case.inputs.len() == 1 && matches!(desk.run(case), Ok(Ok(_))) {
        for (address, words) in desk.written(case).iter().take(32) {
            let words: Vec<String> = words.iter().map(|w| format!("{w:08x}")).collect();
            let _ = writeln!(text, "  [{address:08x}] qemu-arm first: {}", words.join(" "));
        }
    }
    let Ok(found) = interp::run(&desk.setting.context, case, desk.backgrounds()) else {
        return text;
    };
    let Some(found) = found.get(mismatch.input) else {
        return text;
    };
    if found.stray {
        let _ = writeln!(
            text,
            "\n(this input meets memory that is not the same everywhere)"
        );
    }
    let mut shown = Vec::new();
    for (location, block) in &found.blocks {
        if shown.contains(&location) || shown.len() == 6 {
            continue;
        }
        shown.push(location);
        let _ = writeln!(
            text,
            "\nIR of {:08x} {}\n{}",
            location.pc,
            if location.thumb { "T32" } else { "A32" },
            print(block)
        );
        let mut optimised = block.clone();
        let mut liveness = Liveness::default();
        let mut outside = Outside {
            live_at: &mut |_| Flags::NZCV,
            precise: false,
            in_registers: PINNED_SET,
        };
        opt::run(&mut optimised, &mut outside, &mut liveness);
        let _ = writeln!(text, "optimised\n{}", print(&optimised));
        let options = x64::Options {
            soft_fp: false,
            flush: false,
            default_nan: false,
            directed: false,
            precise_flags: false,
            hash_lookup: false,
            based: false,
            host: HostFeatures::detect(),
            run_counter: None,
        };
        let code = x64::compile(&optimised, &liveness, &options);
        let _ = writeln!(text, "host code\n{}", disasm::host(&code.bytes, 0).join("\n"));
    }
    text
}
