//! Advanced SIMD and ARMv8 VFP instructions as capstone writes them, from their decoded form: every field shows.

mod names;
mod simd;
mod vfp;

use emu::isa::insn::*;
use emu::isa::simd::{Rounding, Simd};

/// A base mnemonic, data types and operands; the condition goes behind the mnemonic.
pub struct Text {
    pub name: String,
    pub types: String,
    pub operands: String,
}

impl Text {
    fn new(name: impl Into<String>, types: impl Into<String>, operands: impl Into<String>) -> Text {
        Text {
            name: name.into(),
            types: types.into(),
            operands: operands.into(),
        }
    }

    /// The whole, under the condition that A32's bits 31 to 28 say.
    pub fn with_condition(&self, cond: u32) -> String {
        let conds = [
            "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "", "",
        ];
        format!(
            "{}{}{} {}",
            self.name, conds[cond as usize], self.types, self.operands
        )
    }
}

/// The text of the instructions that this file knows.
pub fn text(insn: &Insn) -> Option<Text> {
    match insn {
        Insn::Simd(simd) => Some(simd::text(simd)),
        Insn::Vfp(vfp) => vfp::text(vfp),
        _ => None,
    }
}

/// Capstone's text with VEXT in bytes, whatever lanes it counts in, and without an offset of minus zero.
pub fn plain(text: &str) -> String {
    let vext = || {
        let (lanes, rest) = text.strip_prefix("vext.")?.split_once(' ')?;
        let (registers, start) = rest.rsplit_once('#')?;
        let (lanes, start): (u64, u64) = (lanes.parse().ok()?, start.parse().ok()?);
        Some(format!("vext.8 {registers}{}", number(lanes / 8 * start)))
    };
    vext().unwrap_or_else(|| text.replace(", #-0]", "]"))
}

fn bits(size: u8) -> u32 {
    8 << size
}

fn sign(unsigned: bool) -> char {
    if unsigned { 'u' } else { 's' }
}

fn d(n: u8) -> String {
    format!("d{n}")
}

fn s(n: u8) -> String {
    format!("s{n}")
}

fn q(n: u8) -> String {
    assert!(n.is_multiple_of(2));
    format!("q{}", n / 2)
}

fn v(long: bool, n: u8) -> String {
    if long { q(n) } else { d(n) }
}

fn core(r: Reg) -> &'static str {
    [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "sb", "sl", "fp", "ip", "sp", "lr", "pc",
    ][usize::from(r.0)]
}

fn number(n: u64) -> String {
    if n > 9 {
        format!("#{n:#x}")
    } else {
        format!("#{n}")
    }
}

fn round_letter(round: Rounding) -> &'static str {
    match round {
        Rounding::NearestAway => "a",
        Rounding::NearestEven => "n",
        Rounding::PlusInf => "p",
        Rounding::MinusInf => "m",
        Rounding::Zero => "z",
        Rounding::Fpscr => "r",
    }
}

/// The letter of VRINT.
fn rint_letter(round: Rounding, exact: bool) -> &'static str {
    if exact { "x" } else { round_letter(round) }
}

/// VCVT's letter: none for VCVT itself.
fn cvt_letter(round: Rounding) -> &'static str {
    if round == Rounding::Zero {
        ""
    } else {
        round_letter(round)
    }
}

/// As C's %e.
fn exponent(value: f32) -> String {
    let text = format!("{value:.6e}");
    let (mantissa, exponent) = text.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A text that stands for all that an assembler could write: of a modified immediate there may be several.
pub fn alternatives(insn: &Insn) -> Vec<Text> {
    match *insn {
        Insn::Simd(Simd::ModifiedImm { op, value, q, d }) => simd::modified(op, value, q, d),
        _ => text(insn).into_iter().collect(),
    }
}
