//! What of two outcomes must be equal.

use super::exclude;
use super::layout::{CODE_WORDS, Output, VFP};
use super::rows::decode;
use emu::cpu::model::Features;
use emu::isa::insn::{Insn, Undecoded};
use emu::isa::t32;

/// What an executor's outcomes show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exactness {
    /// NZCV at a fault holds even flags that no instruction reads (divergence D2).
    pub nzcv_at_fault: bool,
    /// FPSCR.UFC is exact (divergence D10).
    pub underflow: bool,
    /// The outcome has si_code and si_addr.
    pub siginfo: bool,
}

/// Whether nothing of what [`difference`] looks at differs, fast.
pub fn same(ours: &Output, theirs: &Output, flags: u32) -> bool {
    let core = |o: &Output| (o.r, o.cpsr, o.signal, o.code, o.address, o.dirty, o.hash);
    core(ours) == core(theirs) && (flags & VFP == 0 || ours.fpscr == theirs.fpscr && ours.d == theirs.d)
}

/// What differs (ours / theirs), if anything.
pub fn difference(
    ours: &Output,
    theirs: &Output,
    flags: u32,
    exact: Exactness,
    listing: &Listing<'_>,
) -> Option<String> {
    // What a refused access of several did before it was refused is UNKNOWN.
    let unknown = exclude::several_at(theirs, listing);
    let mut what = Vec::new();
    let mut word = |name: &str, a: u32, b: u32| {
        if a != b {
            what.push(format!("{name} {a:#x} / {b:#x}"));
        }
    };
    word("signal", ours.signal, theirs.signal);
    if exact.siginfo {
        if exclude::compares_code(theirs.signal) {
            word("si_code", ours.code, theirs.code);
        }
        word("si_addr", ours.address, theirs.address);
    }
    word("pc", ours.r[15], theirs.r[15]);
    let mut mask = if theirs.signal != 0 && !exact.nzcv_at_fault {
        0x0fff_ffff
    } else {
        u32::MAX
    };
    if !exact.siginfo {
        // The interpreter has no mode bits.
        mask &= 0xfe0f_fe20;
    }
    word("cpsr", ours.cpsr & mask, theirs.cpsr & mask);
    for i in 0..15 {
        if unknown.unwrap_or(0) >> i & 1 == 0 {
            word(&format!("r{i}"), ours.r[i], theirs.r[i]);
        }
    }
    if unknown.is_none() {
        word("written chunks", ours.dirty, theirs.dirty);
        word("hash", ours.hash, theirs.hash);
    }
    if flags & VFP != 0 {
        let mask = if exact.underflow {
            u32::MAX
        } else {
            !exclude::inexact_flags(ours.fpscr, theirs.fpscr, listing)
        };
        word("fpscr", ours.fpscr & mask, theirs.fpscr & mask);
        for i in 0..32 {
            if unknown.is_none() && ours.d[i] != theirs.d[i] {
                what.push(format!("d{i} {:#x} / {:#x}", ours.d[i], theirs.d[i]));
            }
        }
    }
    (!what.is_empty()).then(|| what.join(", "))
}

/// A sequence's instructions.
pub struct Listing<'a> {
    pub code: &'a [u32; CODE_WORDS],
    pub base: u32,
    pub features: Features,
    /// As far as they are known, data that may become instructions included.
    pub insns: &'a [Insn],
}

impl Listing<'_> {
    /// The word at which a signal ended the sequence, in A32 state.
    pub fn word_at(&self, output: &Output) -> Option<u32> {
        let at = output.r[15].wrapping_sub(self.base);
        self.code.get(at as usize / 4).copied()
    }

    /// The instruction at which a signal ended the sequence.
    pub fn at(&self, output: &Output) -> Option<Insn> {
        self.decoded_at(output)?.ok()
    }

    /// Whether that is an UNPREDICTABLE one.
    pub fn unpredictable_at(&self, output: &Output) -> bool {
        matches!(self.decoded_at(output), Some(Err(Undecoded::Unpredictable)))
    }

    fn decoded_at(&self, output: &Output) -> Option<Result<Insn, Undecoded>> {
        let at = output.r[15].wrapping_sub(self.base);
        if output.signal == 0 || at >= 4 * CODE_WORDS as u32 {
            return None;
        }
        Some(one(self.code, at as usize / 2, output.cpsr & 0x20 != 0, self.features).1)
    }
}

/// The instruction at halfword `i`, with its halfwords.
fn one(code: &[u32], i: usize, thumb: bool, features: Features) -> (usize, Result<Insn, Undecoded>) {
    let half = |i: usize| (code.get(i / 2).copied().unwrap_or(0) >> (16 * (i % 2))) as u16;
    let wide = !thumb || t32::is_wide(half(i), features);
    let word = match (thumb, wide) {
        (false, _) => code[i / 2],
        (true, true) => u32::from(half(i)) << 16 | u32::from(half(i + 1)),
        (true, false) => half(i).into(),
    };
    let insn = decode(word, thumb, !wide, false, features).map(|d| d.insn);
    (if wide { 2 } else { 1 }, insn)
}

/// What may be an instruction in `code`, in either state.
pub fn any_instructions(code: &[u32], features: Features) -> Vec<Insn> {
    let mut found = Vec::new();
    for thumb in [false, true] {
        let mut i = 0;
        while i < 2 * code.len() {
            let (halves, insn) = one(code, i, thumb, features);
            found.extend(insn);
            i += halves;
        }
    }
    found
}
