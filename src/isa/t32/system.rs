//! 32-bit T32 branches, status register access, hints, barriers and privileged instructions.

use crate::cpu::model::Features;
use crate::isa::insn::{Barrier::*, Insn, Insn::*, Operand, Undecoded, Undecoded::*};
use crate::isa::operands::*;
use crate::isa::pattern::{Context, Row, rows};

const V4T: Features = Features::empty();
const V5T: Features = Features::V5T;
const T2: Features = Features::V6T2;
const V7: Features = Features::V7;
const DIV: Features = Features::DIV;

/// Offset of the 25-bit branches: S:I1:I2:imm10:imm11:0 with I = NOT(J EOR S). `i` is imm10:imm11.
fn far(s: u32, j1: u32, j2: u32, i: u32) -> i32 {
    let high = s << 2 | (j1 ^ s ^ 1) << 1 | (j2 ^ s ^ 1);
    sext(high << 22 | i << 1, 25)
}

/// BL, BLX (immediate). Before Thumb-2 J1 and J2 are fixed at one: other suffixes do not make a pair.
fn call(s: u32, (j1, j2): (u32, u32), i: u32, exchange: bool, cx: Context) -> Result<Insn, Undecoded> {
    if !cx.features.contains(Features::V6T2) && (j1 & j2) == 0 {
        return Err(Undefined);
    }
    Ok(Bl {
        offset: far(s, j1, j2, i),
        exchange,
    })
}

#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    // Conditions 111x are the control instructions further down. A conditional branch inside an IT block is
    // UNPREDICTABLE, and UNDEFINED here.
    "b"       "1111 0scc cckk kkkk 10j0 Jiii iiii iiii" T2 [s c k j J i; cx] unless (cx.in_it) => match c {
        14.. => Err(Undefined),
        _ => Ok(B { offset: sext(s << 20 | J << 19 | j << 18 | k << 12 | i << 1, 21) }),
    };
    "b"       "1111 0sii iiii iiii 10j1 Jiii iiii iiii" T2  [s i j J] => B { offset: far(s, j, J, i) };
    "bl"      "1111 0sii iiii iiii 11j1 Jiii iiii iiii" V4T [s i j J; cx] => call(s, (j, J), i, false, cx);
    "blx"     "1111 0sii iiii iiii 11j0 Jiii iiii iii0" V5T [s i j J; cx] => call(s, (j, J), i << 1, true, cx);

    "nop"     "1111 0011 1010 1111 1000 0000 iiii iiii" T2 ^2 [i] => hint(i);
    "cps"     "1111 0011 1010 1111 1000 0--- ---- ----" T2 ^1 [] => PrivilegedNop;
    "clrex"   "1111 0011 1011 1111 1000 1111 0010 1111" V7 ^1 [] => Clrex;
    "dsb"     "1111 0011 1011 1111 1000 1111 0100 ----" V7 ^1 [] => Barrier(Dsb);
    "dmb"     "1111 0011 1011 1111 1000 1111 0101 ----" V7 ^1 [] => Barrier(Dmb);
    "isb"     "1111 0011 1011 1111 1000 1111 0110 ----" V7 ^1 [] => Barrier(Isb);
    "bxj"     "1111 0011 1100 mmmm 1000 1111 0000 0000" T2 ^1 [m] => Bxj { rm: r(m) };
    "mrs"     "1111 0011 1110 1111 1000 dddd 0000 0000" T2 ^1 [d] => Mrs { rd: r(d) };
    "msr"     "1111 0011 1000 nnnn 1000 kkkk 0000 0000" T2 ^1 [n k; cx] => msr(k, Operand::Reg(r(n)), cx);
    "udf"     "1111 0111 1111 kkkk 1010 iiii iiii iiii" T2 ^1 [k i] => Udf { imm: k << 12 | i };

    // Privileged, UNDEFINED in User mode.
    "mrs"     "1111 0011 1111 1111 1000 ---- 0000 0000" T2 ^1 [] => Undefined;
    "msr"     "1111 0011 1001 ---- 1000 ---- 0000 0000" T2 ^1 [] => Undefined;
    "mrs"     "1111 0011 111- ---- 1000 ---- 001- 0000" DIV ^1 [] => Undefined;
    "msr"     "1111 0011 100- ---- 1000 ---- 001- 0000" DIV ^1 [] => Undefined;
    "sub"     "1111 0011 1101 1110 1000 1111 ---- ----" T2 ^1 [] => Undefined;
    "hvc"     "1111 0111 1110 ---- 1000 ---- ---- ----" DIV ^1 [] => Undefined;
    "smc"     "1111 0111 1111 ---- 1000 ---- ---- ----" T2 ^1 [] => Undefined;
    "rfe"     "1110 1000 00-1 ---- 1100 0000 0000 0000" T2 [] => Undefined;
    "rfe"     "1110 1001 10-1 ---- 1100 0000 0000 0000" T2 [] => Undefined;
    "srs"     "1110 1000 00-0 1101 1100 0000 000- ----" T2 [] => Undefined;
    "srs"     "1110 1001 10-0 1101 1100 0000 000- ----" T2 [] => Undefined;
};
