//! Rows of Advanced SIMD, written with A32's bits; T32 has the same under other first bytes ([`Row::simd_in_t32`]).
//!
//! In these patterns `d` and `m` are whole register numbers (D:Vd, M:Vm). `n` has its extra bit last (Vn:N): that is an
//! S register's number, and [`vn`] makes a D register's of it. `s` is the size field, `u` the sign, `q` the length.
//!
//! UNDEFINED, as the builders decide: an odd register as the name of a Q register, D16 and up where the model has 16,
//! a size that the operation doesn't have, half precision without its arithmetic.

mod data;
mod extension;
mod memory;
mod misc;
mod shift;

pub use data::{LONG, SAME, SCALAR};
pub use extension::{TRANSFER, UNCONDITIONAL};
pub use memory::ROWS as MEMORY;
pub use misc::ROWS as MISC;
pub use shift::ROWS as SHIFT;

use super::insn::{Insn, Undecoded, Undecoded::*};
use super::pattern::{Context, Row};
use super::simd::{Simd, SimdThree, SimdTwo};
use crate::cpu::model::Features;

const NEON: Features = Features::NEON;
const V8: Features = Features::NEON.union(Features::V8);

type Decode = Result<Insn, Undecoded>;

/// Sets of sizes: bit n for lanes of 2^n bytes.
const B: u32 = 1;
const H: u32 = 2;
const W: u32 = 4;
const D: u32 = 8;
const BH: u32 = B | H;
const HW: u32 = H | W;
const BHW: u32 = B | H | W;
const BHWD: u32 = B | H | W | D;

/// `size`, if it is in `sizes`.
fn sized(size: u32, sizes: u32) -> Result<u8, Undecoded> {
    match sizes >> size & 1 {
        1 => Ok(size as u8),
        _ => Err(Undefined),
    }
}

/// The size of floating-point lanes: 1 (half precision, where the model computes with it) or 2.
fn float(size: u32, cx: Context) -> Result<u8, Undecoded> {
    match size {
        2 => Ok(2),
        1 if cx.features.contains(Features::FP16_ARITH) => Ok(1),
        _ => Err(Undefined),
    }
}

/// A D register from its number.
fn dreg(number: u32, cx: Context) -> Result<u8, Undecoded> {
    match number > 15 && !cx.features.contains(Features::D32) {
        true => Err(Undefined),
        false => Ok(number as u8),
    }
}

/// A Q register from the number of its first D register.
fn qreg(number: u32, cx: Context) -> Result<u8, Undecoded> {
    match number & 1 {
        1 => Err(Undefined),
        _ => dreg(number, cx),
    }
}

/// A register of the operation's length.
fn vreg(q: u32, number: u32, cx: Context) -> Result<u8, Undecoded> {
    match q {
        1 => qreg(number, cx),
        _ => dreg(number, cx),
    }
}

/// The D register N:Vn from Vn:N.
fn vn(n: u32) -> u32 {
    n >> 1 | (n & 1) << 4
}

/// The S register Vm:M (or Vd:D) from M:Vm.
fn sreg(m: u32) -> u8 {
    ((m & 15) << 1 | m >> 4) as u8
}

/// A scalar operand: its register and lane from M:Vm. 16-bit lanes are in D0 to D7, 32-bit lanes in D0 to D15.
fn scalar(size: u8, m: u32) -> (u8, u8) {
    match size {
        1 => (m as u8 & 7, m as u8 >> 3),
        _ => (m as u8 & 15, m as u8 >> 4),
    }
}

/// Fields d, n and m.
type Registers = (u32, u32, u32);

fn three(op: SimdThree, sizes: u32, size: u32, u: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Three {
        op,
        size: sized(size, sizes)?,
        unsigned: u == 1,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: vreg(q, m, cx)?,
    }))
}

/// Floating point; `z` is 1 for half precision.
fn fthree(op: SimdThree, z: u32, q: u32, registers: Registers, cx: Context) -> Decode {
    three(op, HW, u32::from(float(2 - z, cx)?), 0, q, registers, cx)
}

fn two(op: SimdTwo, sizes: u32, size: u32, u: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Two {
        op,
        size: sized(size, sizes)?,
        unsigned: u == 1,
        q: q == 1,
        d: vreg(q, d, cx)?,
        m: vreg(q, m, cx)?,
    }))
}

fn ftwo(op: SimdTwo, size: u32, q: u32, registers: (u32, u32), cx: Context) -> Decode {
    two(op, HW, u32::from(float(size, cx)?), 0, q, registers, cx)
}

/// The rows of `rows` as T32 has them.
pub const fn in_t32<const N: usize>(rows: &[Row]) -> [Row; N] {
    let mut all = [rows[0]; N];
    let mut i = 0;
    while i < N {
        all[i] = rows[i].simd_in_t32();
        i += 1;
    }
    all
}
