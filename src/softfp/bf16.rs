//! BFloat16: the upper half of a single.

use super::format::Format;
use super::{Mode, Rounding, Status, arith, convert};

/// The format: that of a single, with 7 fraction bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bf16(u16);

impl Format for Bf16 {
    const BITS: u32 = 16;
    const FRAC: u32 = 7;
    const HALF: bool = false;
    fn to_raw(self) -> u64 {
        self.0.into()
    }
    fn from_raw(raw: u64) -> Bf16 {
        Bf16(raw as u16)
    }
}

/// FPConvertBF: `value` rounded to bfloat16.
pub fn f32_to_bf16(value: u32, mode: Mode, status: &mut Status) -> u16 {
    convert::convert::<u32, Bf16>(value, mode, status).0
}

/// BFDotAdd: `addend` plus the products of the two bfloat16 in `x` with those in `y`. Rounding is to odd after each
/// step, denormals are zeros, every NaN is the default NaN and no exception is raised, whatever FPSCR says.
pub fn bf16_dot_add(addend: u32, x: u32, y: u32) -> u32 {
    let mode = Mode {
        rounding: Rounding::Odd,
        fz: true,
        dn: true,
        ..Mode::default()
    };
    let mut ignored = Status::default();
    let mut product = |x: u32, y: u32| arith::mul(x, y, mode, &mut ignored);
    let even = product(x << 16, y << 16);
    let odd = product(x & 0xffff_0000, y & 0xffff_0000);
    let sum = arith::add(even, odd, mode, &mut ignored);
    arith::add(addend, sum, mode, &mut ignored)
}
