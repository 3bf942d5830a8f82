//! Conversions between formats, and to and from integers and fixed point.

use super::format::{
    Class, Format, infinity, process_nans, round, round_cv, rounds_up, split, unpack, unpack_cv, with_sign,
    zero,
};
use super::{Mode, Rounding, Status};

/// FPDoubleToSingle and its kin: `value` in another format.
pub(super) fn convert<S: Format, D: Format>(value: S, mode: Mode, status: &mut Status) -> D {
    let x = unpack_cv(value, mode, status);
    let alternative = D::HALF && mode.ahp;
    match x.class {
        Class::Zero => zero(x.negative),
        Class::Finite => round_cv(x.negative, x.exp, u128::from(x.sig), mode, status),
        Class::Infinity if alternative => {
            status.raise(Status::IOC);
            with_sign(x.negative, D::SIGN - 1)
        }
        Class::Infinity => infinity(x.negative),
        Class::QuietNan | Class::SignallingNan => {
            if x.class == Class::SignallingNan || alternative {
                status.raise(Status::IOC);
            }
            if alternative {
                zero(x.negative)
            } else if mode.dn {
                D::from_raw(D::DEFAULT_NAN)
            } else {
                // The payload keeps its most significant bits.
                let payload = if D::FRAC >= S::FRAC {
                    x.sig << (D::FRAC - S::FRAC)
                } else {
                    x.sig >> (S::FRAC - D::FRAC)
                };
                with_sign(x.negative, D::DEFAULT_NAN | payload)
            }
        }
    }
}

/// VCVT.F64.F32.
pub fn f32_to_f64(value: u32, mode: Mode, status: &mut Status) -> u64 {
    convert(value, mode, status)
}

/// VCVT.F32.F64.
pub fn f64_to_f32(value: u64, mode: Mode, status: &mut Status) -> u32 {
    convert(value, mode, status)
}

/// VCVTB/VCVTT.F32.F16.
pub fn half_to_f32(value: u16, mode: Mode, status: &mut Status) -> u32 {
    convert(value, mode, status)
}

/// VCVTB/VCVTT.F16.F32.
pub fn f32_to_half(value: u32, mode: Mode, status: &mut Status) -> u16 {
    convert(value, mode, status)
}

/// VCVTB/VCVTT.F64.F16.
pub fn half_to_f64(value: u16, mode: Mode, status: &mut Status) -> u64 {
    convert(value, mode, status)
}

/// VCVTB/VCVTT.F16.F64, rounded once.
pub fn f64_to_half(value: u64, mode: Mode, status: &mut Status) -> u16 {
    convert(value, mode, status)
}

/// A half-precision factor of VFMAL: read as arithmetic does (FZ16, no AHP). The conversion is exact, and a signalling
/// NaN stays one for the operation to find.
pub fn half_to_f32_arithmetic(value: u16, mode: Mode, status: &mut Status) -> u32 {
    let x = unpack(value, mode, status);
    match x.class {
        Class::Zero => zero(x.negative),
        Class::Infinity => infinity(x.negative),
        // The quiet bit comes along.
        Class::QuietNan | Class::SignallingNan => with_sign(x.negative, u32::INFINITY | x.sig << 13),
        Class::Finite => round(x.negative, x.exp, u128::from(x.sig), mode, status),
    }
}

/// FPRoundInt: to an integral value, rounded by `mode`; Inexact only if `exact`.
pub fn round_to_integral<T: Format>(value: T, exact: bool, mode: Mode, status: &mut Status) -> T {
    let x = unpack(value, mode, status);
    if let Some(nan) = process_nans(&[(value, x)], mode, status) {
        return nan;
    }
    match x.class {
        Class::Zero => return zero(x.negative),
        Class::Finite if x.exp < 0 => {}
        _ => return value,
    }
    let (int, half, whole) = match -x.exp as u32 {
        shift @ 1..=127 => split(u128::from(x.sig), shift),
        _ => (0, std::cmp::Ordering::Less, false),
    };
    let int = int + u128::from(rounds_up(mode.rounding, x.negative, int & 1 != 0, half, whole));
    if exact && !whole {
        status.raise(Status::IXC);
    }
    if int == 0 {
        zero(x.negative)
    } else {
        // At most one bit longer than the significand, and then a power of two.
        round(x.negative, 0, int, mode, status)
    }
}

/// FPToFixed: `value * 2^frac` rounded by `mode` to an integer of `size` bits (at most 32), saturating. The result is
/// extended to 32 bits according to `signed`. A NaN gives 0; it and saturation raise Invalid, else a fraction lost
/// raises Inexact.
fn to_integer<T: Format>(
    value: T,
    size: u32,
    frac: u32,
    signed: bool,
    mode: Mode,
    status: &mut Status,
) -> u32 {
    let x = unpack(value, mode, status);
    let (max, min): (i64, i64) = if signed {
        ((1 << (size - 1)) - 1, -(1 << (size - 1)))
    } else {
        ((1 << size) - 1, 0)
    };
    let saturate = |status: &mut Status| {
        status.raise(Status::IOC);
        (if x.negative { min } else { max }) as u32
    };
    match x.class {
        Class::QuietNan | Class::SignallingNan => {
            status.raise(Status::IOC);
            return 0;
        }
        Class::Infinity => return saturate(status),
        Class::Zero => return 0,
        Class::Finite => {}
    }
    let shift = -(x.exp + frac as i32);
    let (int, half, exact) = match shift {
        ..=-64 => return saturate(status),
        -63..=0 => (u128::from(x.sig) << -shift, std::cmp::Ordering::Less, true),
        1..=126 => split(u128::from(x.sig), shift as u32),
        _ => (0, std::cmp::Ordering::Less, false),
    };
    let magnitude = int + u128::from(rounds_up(mode.rounding, x.negative, int & 1 != 0, half, exact));
    if magnitude > 1 << 33 {
        return saturate(status);
    }
    let result = if x.negative {
        -(magnitude as i64)
    } else {
        magnitude as i64
    };
    if !(min..=max).contains(&result) {
        return saturate(status);
    }
    if !exact {
        status.raise(Status::IXC);
    }
    result as u32
}

/// FPToFixedJS: towards zero, modulo 2^32; whether the result is `value` exactly (negative zero isn't).
pub fn to_javascript(value: u64, mode: Mode, status: &mut Status) -> (u32, bool) {
    let x = unpack(value, mode, status);
    let (magnitude, whole) = match x.class {
        // Not zero if it was flushed.
        Class::Zero => return (0, value == 0),
        Class::Finite if x.exp < -63 => (0, false),
        Class::Finite if x.exp < 0 => {
            let (int, _, whole) = split(x.sig.into(), -x.exp as u32);
            (int, whole)
        }
        // 2^32 divides what is shifted further, but it must stay out of range.
        Class::Finite => (u128::from(x.sig) << x.exp.min(64), true),
        _ => {
            status.raise(Status::IOC);
            return (0, false);
        }
    };
    let limit = (1 << 31) - u128::from(!x.negative);
    let fits = magnitude <= limit;
    if !fits {
        status.raise(Status::IOC);
    } else if !whole {
        status.raise(Status::IXC);
    }
    let low = magnitude as u32;
    (if x.negative { low.wrapping_neg() } else { low }, fits && whole)
}

/// FixedToFP: the integer `value` (any i64 of 32 significant bits) times 2^-frac.
fn from_integer<T: Format>(value: i64, frac: u32, mode: Mode, status: &mut Status) -> T {
    if value == 0 {
        return zero(false);
    }
    let sig = u128::from(value.unsigned_abs());
    round(value < 0, -(frac as i32), sig, mode, status)
}

/// To an integer of `size` (16 or 32) bits, rounded by the mode; extended to 32 bits.
pub fn to_int<T: Format>(value: T, size: u32, signed: bool, mode: Mode, status: &mut Status) -> u32 {
    to_integer(value, width(size), 0, signed, mode, status)
}

/// From an integer in the low `size` (16 or 32) bits of `value`, rounded by the mode.
pub fn from_int<T: Format>(value: u32, size: u32, signed: bool, mode: Mode, status: &mut Status) -> T {
    from_integer(extend(value, width(size), signed), 0, mode, status)
}

/// VCVT to fixed point with `frac` fraction bits in `size` (16 or 32) bits, rounded towards zero. The result is
/// extended to 32 bits.
pub fn to_fixed<T: Format>(
    value: T,
    size: u32,
    frac: u32,
    signed: bool,
    mode: Mode,
    status: &mut Status,
) -> u32 {
    let mode = mode.with_rounding(Rounding::Zero);
    to_integer(value, width(size), frac, signed, mode, status)
}

/// VCVT from fixed point in the low `size` (16 or 32) bits of `value`, rounded to nearest.
pub fn from_fixed<T: Format>(
    value: u32,
    size: u32,
    frac: u32,
    signed: bool,
    mode: Mode,
    status: &mut Status,
) -> T {
    let mode = mode.with_rounding(Rounding::Nearest);
    from_integer(extend(value, width(size), signed), frac, mode, status)
}

/// The two container sizes that exist.
fn width(size: u32) -> u32 {
    if size == 16 { 16 } else { 32 }
}

fn extend(value: u32, size: u32, signed: bool) -> i64 {
    let unused = 64 - size;
    let high = u64::from(value) << unused;
    if signed {
        high as i64 >> unused
    } else {
        (high >> unused) as i64
    }
}
