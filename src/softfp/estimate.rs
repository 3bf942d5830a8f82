//! Reciprocal and reciprocal square root: estimates (Arm ARM DDI 0487, RecipEstimate, RecipSqrtEstimate) and steps.

use super::arith::{mul, sub};
use super::format::{
    Format, Unpacked, infinity, invalid, overflows_to_infinity, process_nans, unpack, with_sign, zero,
};
use super::{Mode, Status};

/// RecipEstimate: the reciprocal of `a` / 512 in units of 1/256; `a` and the result are from 256 to 511.
const fn recip_estimate_table(a: u32) -> u32 {
    // The middle of [a, a + 1), in halves.
    let a = a * 2 + 1;
    ((1 << 19) / a).div_ceil(2)
}

/// RecipSqrtEstimate: one over the square root of `a` / 512, in units of 1/256; `a` from 128 to 511, the result from
/// 256 to 511.
const fn rsqrt_estimate_table(a: u32) -> u32 {
    let a = if a < 256 { a * 2 + 1 } else { (a & !1) * 2 + 2 };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// The estimates' fractions of 8 bits: first reciprocals, by the operand's upper 8 fraction bits; then reciprocal square
/// roots, by the lowest bit of the biased exponent (in single precision) and the upper 7 fraction bits.
pub static ESTIMATES: [[u8; 256]; 2] = {
    let mut tables = [[0; 256]; 2];
    let mut i = 0;
    while i < 256 {
        tables[0][i as usize] = recip_estimate_table(256 | i) as u8;
        // The exponent of an odd power of two is even, and the operand twice as large.
        let scaled = if i < 128 { 256 | i << 1 } else { i };
        tables[1][i as usize] = rsqrt_estimate_table(scaled) as u8;
        i += 1;
    }
    tables
};

/// UnsignedRecipEstimate (VRECPE.U32): operand and result are 0.32 fixed point, the result from 1 to 2.
pub fn unsigned_recip_estimate(operand: u32) -> u32 {
    if operand >> 31 == 0 {
        u32::MAX
    } else {
        recip_estimate_table(operand >> 23) << 23
    }
}

/// UnsignedRSqrtEstimate (VRSQRTE.U32).
pub fn unsigned_rsqrt_estimate(operand: u32) -> u32 {
    if operand >> 30 == 0 {
        u32::MAX
    } else {
        rsqrt_estimate_table(operand >> 23) << 23
    }
}

/// FPRecipEstimate: some 8 bits of 1 / `value`.
pub fn recip_estimate<T: Format>(value: T, mode: Mode, status: &mut Status) -> T {
    let x = unpack(value, mode, status);
    if let Some(nan) = process_nans(&[(value, x)], mode, status) {
        return nan;
    }
    if x.is_inf() {
        return zero(x.negative);
    }
    if x.is_zero() {
        status.raise(Status::DZC);
        return infinity(x.negative);
    }
    let (fraction, exp) = normalised::<T>(x);
    // Below 2^-(bias + 1) the reciprocal overflows.
    if exp < -1 {
        status.raise(Status::OFC | Status::IXC);
        let to_infinity = overflows_to_infinity(mode.rounding, x.negative);
        return with_sign(x.negative, if to_infinity { T::INFINITY } else { T::MAX_NORMAL });
    }
    let result_exp = 2 * T::BIAS - 1 - exp;
    if T::flush(mode) && result_exp <= 0 {
        status.raise(Status::UFC);
        return zero(x.negative);
    }
    let estimate = recip_estimate_table(256 | top_bits::<T>(fraction, 8));
    let fraction = u64::from(estimate & 255) << (T::FRAC - 8);
    // A denormal result has the implicit bit in its fraction.
    let (result_exp, fraction) = match result_exp {
        0 => (0, (fraction | T::MIN_NORMAL) >> 1),
        -1 => (0, (fraction | T::MIN_NORMAL) >> 2),
        normal => (normal as u64, fraction),
    };
    with_sign(x.negative, result_exp << T::FRAC | fraction)
}

/// FPRSqrtEstimate: some 8 bits of 1 / sqrt(`value`).
pub fn rsqrt_estimate<T: Format>(value: T, mode: Mode, status: &mut Status) -> T {
    let x = unpack(value, mode, status);
    if let Some(nan) = process_nans(&[(value, x)], mode, status) {
        return nan;
    }
    if x.is_zero() {
        status.raise(Status::DZC);
        return infinity(x.negative);
    }
    if x.negative {
        return invalid(status);
    }
    if x.is_inf() {
        return zero(false);
    }
    let (fraction, exp) = normalised::<T>(x);
    let scaled = if exp & 1 == 0 {
        256 | top_bits::<T>(fraction, 8)
    } else {
        128 | top_bits::<T>(fraction, 7)
    };
    let result_exp = (3 * T::BIAS - 1 - exp).div_euclid(2) as u64;
    let estimate = rsqrt_estimate_table(scaled);
    T::from_raw(result_exp << T::FRAC | u64::from(estimate & 255) << (T::FRAC - 8))
}

/// Fraction and biased exponent of a finite number, a denormal's as if the exponent had no lower end.
fn normalised<T: Format>(x: Unpacked) -> (u64, i32) {
    let shift = T::FRAC as i32 - (63 - x.sig.leading_zeros() as i32);
    let exp = x.exp + T::FRAC as i32 + T::BIAS - shift;
    (x.sig << shift & T::FRAC_MASK, exp)
}

fn top_bits<T: Format>(fraction: u64, bits: u32) -> u32 {
    (fraction >> (T::FRAC - bits)) as u32
}

/// VRECPS: 2 - `a` * `b`, the product rounded first; 2 where one factor is infinite and the other zero.
pub fn recip_step<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    let product = step_product(a, b, mode, status);
    match product {
        Ok(product) => sub(T::from_raw(T::TWO), product, mode, status),
        Err(nan) => nan,
    }
}

/// VRSQRTS: (3 - `a` * `b`) / 2, the product rounded first; 1.5 where one factor is infinite and the other zero.
pub fn rsqrt_step<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    // The difference is never small, so halving it is exact.
    let three = T::TWO | T::MIN_NORMAL >> 1;
    match step_product(a, b, mode, status) {
        Ok(product) => {
            let difference = sub(T::from_raw(three), product, mode, status);
            let half = (T::BIAS as u64 - 1) << T::FRAC;
            mul(difference, T::from_raw(half), mode, status)
        }
        Err(nan) => nan,
    }
}

/// The product in a step, or the NaN that the whole step yields.
fn step_product<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> Result<T, T> {
    let x = unpack(a, mode, status);
    let y = unpack(b, mode, status);
    if let Some(nan) = process_nans(&[(a, x), (b, y)], mode, status) {
        return Err(nan);
    }
    Ok(if (x.is_inf() && y.is_zero()) || (x.is_zero() && y.is_inf()) {
        zero(false)
    } else {
        mul(a, b, mode, status)
    })
}
