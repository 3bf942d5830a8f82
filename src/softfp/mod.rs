//! Bit-exact ARM VFP floating point in integer arithmetic: the one meaning of FP for the oracle, the cold paths
//! and the trap handler.
//!
//! Values are bit patterns and their type chooses the format: `u16` half, `u32` single, `u64` double precision
//! (see [`Format`]); bfloat16 is apart. Every function takes the [`Mode`] that FPSCR selects and accumulates exceptions in a
//! [`Status`]. The rules are those of the pseudocode in the Arm ARM (DDI 0406C, A2.7 and DDI 0487, shared
//! functions `FPUnpack`, `FPProcessNaNs`, `FPRound`): tininess is detected before rounding, a flushed result raises
//! Underflow alone, a flushed operand raises Input Denormal, trapped exceptions don't exist.

mod arith;
mod bf16;
mod convert;
mod estimate;
mod format;
mod minmax;

pub use arith::{abs, add, compare, div, fma, mul, neg, sqrt, sub};
pub use bf16::{bf16_dot_add, f32_to_bf16};
pub use convert::{
    f32_to_f64, f32_to_half, f64_to_f32, f64_to_half, from_fixed, from_int, half_to_f32,
    half_to_f32_arithmetic, half_to_f64, round_to_integral, to_fixed, to_int, to_javascript,
};
pub use estimate::{
    ESTIMATES, recip_estimate, recip_step, rsqrt_estimate, rsqrt_step, unsigned_recip_estimate,
    unsigned_rsqrt_estimate,
};
pub use format::Format;
pub use minmax::{max, max_number, min, min_number};

/// Rounding; for the modes of FPSCR.RMode the discriminant is the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Rounding {
    /// To nearest, ties to even.
    #[default]
    Nearest = 0,
    PlusInf = 1,
    MinusInf = 2,
    Zero = 3,
    /// To nearest, ties away from zero: conversions and rounding to integral only.
    NearestAway = 4,
    /// The low bit is set if anything was lost: the dot products of bfloat16 only.
    Odd = 5,
}

impl Rounding {
    /// The mode with the two-bit encoding of FPSCR.RMode.
    pub fn from_bits(bits: u32) -> Rounding {
        match bits & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::PlusInf,
            2 => Rounding::MinusInf,
            _ => Rounding::Zero,
        }
    }
}

/// The control bits of FPSCR that change results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mode {
    pub rounding: Rounding,
    /// FZ: single- and double-precision denormals, as operands and as results, are zeros.
    pub fz: bool,
    /// DN: every NaN result is the default NaN.
    pub dn: bool,
    /// AHP: half precision without infinities and NaNs, in conversions.
    pub ahp: bool,
    /// FZ16: as FZ, for arithmetic in half precision (not for conversions).
    pub fz16: bool,
}

impl Mode {
    /// AHP is bit 26 of FPSCR, DN 25, FZ 24, RMode 23-22, FZ16 19.
    pub fn from_fpscr(fpscr: u32) -> Mode {
        Mode {
            rounding: Rounding::from_bits(fpscr >> 22),
            fz: fpscr >> 24 & 1 != 0,
            dn: fpscr >> 25 & 1 != 0,
            ahp: fpscr >> 26 & 1 != 0,
            fz16: fpscr >> 19 & 1 != 0,
        }
    }

    /// The standard FPSCR value, which Advanced SIMD uses: to nearest, FZ, DN; AHP and FZ16 from `fpscr`.
    pub fn standard(fpscr: u32) -> Mode {
        Mode {
            rounding: Rounding::Nearest,
            fz: true,
            dn: true,
            ..Mode::from_fpscr(fpscr)
        }
    }

    /// The control bits at their places in FPSCR.
    pub fn to_fpscr(self) -> u32 {
        (self.rounding as u32 & 3) << 22
            | u32::from(self.fz) << 24
            | u32::from(self.dn) << 25
            | u32::from(self.ahp) << 26
            | u32::from(self.fz16) << 19
    }

    /// This mode with another rounding.
    pub fn with_rounding(self, rounding: Rounding) -> Mode {
        Mode { rounding, ..self }
    }
}

/// Cumulative exception bits, at their places in FPSCR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status(pub u32);

impl Status {
    /// Invalid Operation.
    pub const IOC: u32 = 1;
    /// Division by Zero.
    pub const DZC: u32 = 2;
    /// Overflow.
    pub const OFC: u32 = 4;
    /// Underflow.
    pub const UFC: u32 = 8;
    /// Inexact.
    pub const IXC: u32 = 16;
    /// Input Denormal.
    pub const IDC: u32 = 128;
    /// All of them.
    pub const ALL: u32 = 0x9f;

    /// Accumulates `bits`.
    pub fn raise(&mut self, bits: u32) {
        self.0 |= bits;
    }
}
