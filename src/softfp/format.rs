//! The three formats, and the two ends of every operation: unpacking operands and rounding results.

use super::{Mode, Rounding, Status};

/// A binary interchange format, implemented by the integer that holds its bits.
pub trait Format: Copy + Eq {
    /// Width in bits.
    const BITS: u32;
    /// Fraction bits.
    const FRAC: u32;
    /// IEEE half precision, which has modes of its own.
    const HALF: bool = Self::BITS == 16;
    /// Exponent bits.
    const EXP: u32 = Self::BITS - 1 - Self::FRAC;
    /// Exponent bias.
    const BIAS: i32 = (1 << (Self::EXP - 1)) - 1;
    /// Exponent of the smallest normal number.
    const MIN_EXP: i32 = 1 - Self::BIAS;
    /// The biased exponent of infinities and NaNs.
    const EXP_ONES: u64 = (1 << Self::EXP) - 1;
    const SIGN: u64 = 1 << (Self::BITS - 1);
    /// The fraction's top bit: set in quiet NaNs.
    const QUIET: u64 = 1 << (Self::FRAC - 1);
    const FRAC_MASK: u64 = (1 << Self::FRAC) - 1;
    const INFINITY: u64 = Self::EXP_ONES << Self::FRAC;
    /// The NaN that operations create: positive, quiet, no payload.
    const DEFAULT_NAN: u64 = Self::INFINITY | Self::QUIET;
    /// The largest finite magnitude.
    const MAX_NORMAL: u64 = Self::INFINITY - 1;
    /// The smallest normal magnitude.
    const MIN_NORMAL: u64 = 1 << Self::FRAC;

    /// 2.0.
    const TWO: u64 = (Self::BIAS as u64 + 1) << Self::FRAC;

    /// Whether denormals of this format are zeros in arithmetic: FZ16 for half precision, else FZ.
    fn flush(mode: Mode) -> bool {
        if Self::HALF { mode.fz16 } else { mode.fz }
    }

    /// The bits, zero-extended.
    fn to_raw(self) -> u64;

    /// The low `BITS` bits of `raw`.
    fn from_raw(raw: u64) -> Self;
}

impl Format for u16 {
    const BITS: u32 = 16;
    const FRAC: u32 = 10;
    fn to_raw(self) -> u64 {
        u64::from(self)
    }
    fn from_raw(raw: u64) -> u16 {
        raw as u16
    }
}

impl Format for u32 {
    const BITS: u32 = 32;
    const FRAC: u32 = 23;
    fn to_raw(self) -> u64 {
        u64::from(self)
    }
    fn from_raw(raw: u64) -> u32 {
        raw as u32
    }
}

impl Format for u64 {
    const BITS: u32 = 64;
    const FRAC: u32 = 52;
    fn to_raw(self) -> u64 {
        self
    }
    fn from_raw(raw: u64) -> u64 {
        raw
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Zero,
    /// Not zero, not infinite.
    Finite,
    Infinity,
    QuietNan,
    SignallingNan,
}

/// An operand taken apart. A finite value's magnitude is `sig * 2^exp`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unpacked {
    pub class: Class,
    pub negative: bool,
    pub exp: i32,
    pub sig: u64,
}

impl Unpacked {
    pub fn is_zero(&self) -> bool {
        self.class == Class::Zero
    }

    pub fn is_inf(&self) -> bool {
        self.class == Class::Infinity
    }

    pub fn is_nan(&self) -> bool {
        matches!(self.class, Class::QuietNan | Class::SignallingNan)
    }
}

/// FPUnpack: flushes a denormal single or double to zero under FZ, raising Input Denormal, and a denormal half under
/// FZ16, raising nothing.
pub(super) fn unpack<T: Format>(value: T, mode: Mode, status: &mut Status) -> Unpacked {
    unpack_base(value, T::flush(mode), false, status)
}

/// FPUnpackCV, for conversions: half precision is never flushed and, under AHP, has no infinities and NaNs.
pub(super) fn unpack_cv<T: Format>(value: T, mode: Mode, status: &mut Status) -> Unpacked {
    unpack_base(value, mode.fz && !T::HALF, mode.ahp && T::HALF, status)
}

fn unpack_base<T: Format>(value: T, flush: bool, alternative: bool, status: &mut Status) -> Unpacked {
    let raw = value.to_raw();
    let negative = raw & T::SIGN != 0;
    let biased = raw >> T::FRAC & T::EXP_ONES;
    let frac = raw & T::FRAC_MASK;
    let (class, exp, sig) = if biased == 0 {
        if frac == 0 {
            (Class::Zero, 0, 0)
        } else if flush {
            if !T::HALF {
                status.raise(Status::IDC);
            }
            (Class::Zero, 0, 0)
        } else {
            (Class::Finite, T::MIN_EXP - T::FRAC as i32, frac)
        }
    } else if biased == T::EXP_ONES && !alternative {
        if frac == 0 {
            (Class::Infinity, 0, 0)
        } else if frac & T::QUIET != 0 {
            (Class::QuietNan, 0, frac)
        } else {
            (Class::SignallingNan, 0, frac)
        }
    } else {
        let exp = biased as i32 - T::BIAS - T::FRAC as i32;
        (Class::Finite, exp, frac | T::MIN_NORMAL)
    };
    Unpacked {
        class,
        negative,
        exp,
        sig,
    }
}

pub(super) fn zero<T: Format>(negative: bool) -> T {
    T::from_raw(if negative { T::SIGN } else { 0 })
}

pub(super) fn infinity<T: Format>(negative: bool) -> T {
    with_sign(negative, T::INFINITY)
}

pub(super) fn with_sign<T: Format>(negative: bool, magnitude: u64) -> T {
    T::from_raw(magnitude | if negative { T::SIGN } else { 0 })
}

/// The default NaN, as the result of an invalid operation.
pub(super) fn invalid<T: Format>(status: &mut Status) -> T {
    status.raise(Status::IOC);
    T::from_raw(T::DEFAULT_NAN)
}

/// FPProcessNaN: what an operation yields for the NaN operand `value`.
fn process_nan<T: Format>(value: T, class: Class, mode: Mode, status: &mut Status) -> T {
    if class == Class::SignallingNan {
        status.raise(Status::IOC);
    }
    T::from_raw(if mode.dn {
        T::DEFAULT_NAN
    } else {
        value.to_raw() | T::QUIET
    })
}

/// FPProcessNaNs and FPProcessNaNs3: the first signalling NaN in operand order, else the first quiet one.
pub(super) fn process_nans<T: Format>(
    operands: &[(T, Unpacked)],
    mode: Mode,
    status: &mut Status,
) -> Option<T> {
    [Class::SignallingNan, Class::QuietNan]
        .into_iter()
        .find_map(|class| operands.iter().find(|(_, u)| u.class == class))
        .map(|&(value, u)| process_nan(value, u.class, mode, status))
}

/// `sig >> count`, the lost bits ORed into bit 0 so that rounding still sees them.
pub(super) fn shift_right_sticky(sig: u128, count: u32) -> u128 {
    if count == 0 {
        sig
    } else if count >= 128 {
        u128::from(sig != 0)
    } else {
        sig >> count | u128::from(sig << (128 - count) != 0)
    }
}

/// Whether the magnitude `int + error` rounds up; `half` compares the error with one half.
pub(super) fn rounds_up(
    rounding: Rounding,
    negative: bool,
    odd: bool,
    half: std::cmp::Ordering,
    exact: bool,
) -> bool {
    match rounding {
        Rounding::Nearest => half.is_gt() || (half.is_eq() && odd),
        Rounding::NearestAway => half.is_ge(),
        Rounding::Odd => !exact && !odd,
        Rounding::PlusInf => !exact && !negative,
        Rounding::MinusInf => !exact && negative,
        Rounding::Zero => false,
    }
}

/// Whether a result too large becomes infinite, rather than the largest number.
pub(super) fn overflows_to_infinity(rounding: Rounding, negative: bool) -> bool {
    match rounding {
        Rounding::Nearest | Rounding::NearestAway | Rounding::Odd => true,
        Rounding::PlusInf => !negative,
        Rounding::MinusInf => negative,
        Rounding::Zero => false,
    }
}

/// Splits `sig / 2^shift` (`shift` from 1 to 127) in integer part, comparison of the rest with one half, exactness.
pub(super) fn split(sig: u128, shift: u32) -> (u128, std::cmp::Ordering, bool) {
    let rest = sig & ((1 << shift) - 1);
    (sig >> shift, rest.cmp(&(1 << (shift - 1))), rest == 0)
}

/// FPRound of `sig * 2^exp`, `sig` not 0. Bit 0 of `sig` may be sticky if `sig` has at least FRAC + 3 bits.
pub(super) fn round<T: Format>(negative: bool, exp: i32, sig: u128, mode: Mode, status: &mut Status) -> T {
    round_base(negative, exp, sig, T::flush(mode), false, mode.rounding, status)
}

/// FPRoundCV, for conversions: a half-precision result is never flushed and, under AHP, neither infinite nor NaN.
pub(super) fn round_cv<T: Format>(negative: bool, exp: i32, sig: u128, mode: Mode, status: &mut Status) -> T {
    let (flush, alternative) = (mode.fz && !T::HALF, mode.ahp && T::HALF);
    round_base(negative, exp, sig, flush, alternative, mode.rounding, status)
}

fn round_base<T: Format>(
    negative: bool,
    exp: i32,
    sig: u128,
    flush: bool,
    alternative: bool,
    rounding: Rounding,
    status: &mut Status,
) -> T {
    // The value is in [2^magnitude, 2^(magnitude+1)).
    let magnitude = exp + 127 - sig.leading_zeros() as i32;
    if flush && magnitude < T::MIN_EXP {
        status.raise(Status::UFC);
        return zero(negative);
    }
    let tiny = magnitude < T::MIN_EXP;
    // Exponent of the unit in the last place of the result, and how far `sig` must move to be counted in it.
    let ulp = magnitude.max(T::MIN_EXP) - T::FRAC as i32;
    let shift = ulp - exp;
    let (mut int, half_way, exact) = match shift {
        ..=0 => (sig << -shift, std::cmp::Ordering::Less, true),
        1..=127 => split(sig, shift as u32),
        _ => (0, std::cmp::Ordering::Less, false),
    };
    if tiny && !exact {
        status.raise(Status::UFC);
    }
    if rounds_up(rounding, negative, int & 1 != 0, half_way, exact) {
        int += 1;
    }
    // The implicit bit of a normal number adds one to the exponent field, and so does a carry out of the fraction.
    let field = if tiny { 0 } else { (magnitude - T::MIN_EXP) as u128 };
    let packed = (field << T::FRAC) + int;
    let biased = packed >> T::FRAC;
    if alternative {
        if biased > u128::from(T::EXP_ONES) {
            status.raise(Status::IOC);
            return with_sign(negative, T::SIGN - 1);
        }
    } else if biased >= u128::from(T::EXP_ONES) {
        status.raise(Status::OFC | Status::IXC);
        let to_infinity = overflows_to_infinity(rounding, negative);
        return with_sign(negative, if to_infinity { T::INFINITY } else { T::MAX_NORMAL });
    }
    if !exact {
        status.raise(Status::IXC);
    }
    with_sign(negative, packed as u64)
}
