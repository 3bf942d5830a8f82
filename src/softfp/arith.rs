//! Arithmetic: add, subtract, multiply, divide, square root, fused multiply-add, comparison, sign.

use super::format::{
    Class, Format, Unpacked, infinity, invalid, process_nans, round, shift_right_sticky, unpack, zero,
};
use super::{Mode, Rounding, Status};
use std::cmp::Ordering;

/// FPAdd.
pub fn add<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    add_signed(a, b, false, mode, status)
}

/// FPSub. A NaN operand keeps its sign: this is not the addition of a negated operand.
pub fn sub<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    add_signed(a, b, true, mode, status)
}

fn add_signed<T: Format>(a: T, b: T, negate: bool, mode: Mode, status: &mut Status) -> T {
    let x = unpack(a, mode, status);
    let mut y = unpack(b, mode, status);
    if let Some(nan) = process_nans(&[(a, x), (b, y)], mode, status) {
        return nan;
    }
    y.negative ^= negate;
    sum(x, Term::from(y), mode, status)
}

/// A magnitude `sig * 2^exp` with a sign, wide enough for an exact product; `sig` below 2^126.
struct Term {
    class: Class,
    negative: bool,
    exp: i32,
    sig: u128,
}

impl From<Unpacked> for Term {
    fn from(u: Unpacked) -> Term {
        Term {
            class: u.class,
            negative: u.negative,
            exp: u.exp,
            sig: u128::from(u.sig),
        }
    }
}

impl Term {
    /// The same value with bit 125 the top one, which leaves room for a carry.
    fn normalised(self) -> Term {
        let shift = self.sig.leading_zeros() as i32 - 2;
        Term {
            exp: self.exp - shift,
            sig: self.sig << shift,
            ..self
        }
    }
}

/// `x + t`, neither a NaN.
fn sum<T: Format>(x: Unpacked, t: Term, mode: Mode, status: &mut Status) -> T {
    match (x.class, t.class) {
        (Class::Infinity, Class::Infinity) if x.negative != t.negative => return invalid(status),
        (Class::Infinity, _) => return infinity(x.negative),
        (_, Class::Infinity) => return infinity(t.negative),
        (Class::Zero, Class::Zero) => {
            return if x.negative == t.negative {
                zero(x.negative)
            } else {
                zero(mode.rounding == Rounding::MinusInf)
            };
        }
        (Class::Zero, _) => return round(t.negative, t.exp, t.sig, mode, status),
        (_, Class::Zero) => return round(x.negative, x.exp, u128::from(x.sig), mode, status),
        _ => {}
    }
    let (x, t) = (Term::from(x).normalised(), t.normalised());
    // An operand loses bits only when it is shifted by more than 1, and then no subtraction cancels more than one
    // leading bit: the sticky bit stays far below the rounding position.
    let (big, small) = if (x.exp, x.sig) >= (t.exp, t.sig) {
        (x, t)
    } else {
        (t, x)
    };
    let aligned = shift_right_sticky(small.sig, (big.exp - small.exp) as u32);
    let sig = if big.negative == small.negative {
        big.sig + aligned
    } else {
        big.sig - aligned
    };
    if sig == 0 {
        return zero(mode.rounding == Rounding::MinusInf);
    }
    round(big.negative, big.exp, sig, mode, status)
}

/// FPMul.
pub fn mul<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    let x = unpack(a, mode, status);
    let y = unpack(b, mode, status);
    if let Some(nan) = process_nans(&[(a, x), (b, y)], mode, status) {
        return nan;
    }
    let negative = x.negative != y.negative;
    if (x.is_inf() && y.is_zero()) || (x.is_zero() && y.is_inf()) {
        invalid(status)
    } else if x.is_inf() || y.is_inf() {
        infinity(negative)
    } else if x.is_zero() || y.is_zero() {
        zero(negative)
    } else {
        let sig = u128::from(x.sig) * u128::from(y.sig);
        round(negative, x.exp + y.exp, sig, mode, status)
    }
}

/// FPDiv.
pub fn div<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    let x = unpack(a, mode, status);
    let y = unpack(b, mode, status);
    if let Some(nan) = process_nans(&[(a, x), (b, y)], mode, status) {
        return nan;
    }
    let negative = x.negative != y.negative;
    if (x.is_inf() && y.is_inf()) || (x.is_zero() && y.is_zero()) {
        invalid(status)
    } else if x.is_inf() || y.is_zero() {
        if !x.is_inf() {
            status.raise(Status::DZC);
        }
        infinity(negative)
    } else if x.is_zero() || y.is_inf() {
        zero(negative)
    } else {
        // With the dividend's top bit at 126 and the divisor below 2^53 the quotient has at least 74 bits.
        let shift = u128::from(x.sig).leading_zeros() - 1;
        let (dividend, divisor) = (u128::from(x.sig) << shift, u128::from(y.sig));
        let sticky = u128::from(dividend % divisor != 0);
        let exp = x.exp - y.exp - shift as i32;
        round(negative, exp, (dividend / divisor) | sticky, mode, status)
    }
}

/// FPSqrt.
pub fn sqrt<T: Format>(a: T, mode: Mode, status: &mut Status) -> T {
    let x = unpack(a, mode, status);
    if let Some(nan) = process_nans(&[(a, x)], mode, status) {
        return nan;
    }
    if x.is_zero() {
        zero(x.negative)
    } else if x.negative {
        invalid(status)
    } else if x.is_inf() {
        infinity(false)
    } else {
        // An even exponent halves exactly; at least 126 bits give a root of at least 63.
        let spare = u128::from(x.sig).leading_zeros() as i32;
        let shift = spare - ((spare ^ x.exp) & 1);
        let sig = u128::from(x.sig) << shift;
        let root = sig.isqrt();
        let sticky = u128::from(root * root != sig);
        round(false, (x.exp - shift) / 2, root | sticky, mode, status)
    }
}

/// FPMulAdd: `addend + a * b` with one rounding.
pub fn fma<T: Format>(addend: T, a: T, b: T, mode: Mode, status: &mut Status) -> T {
    let z = unpack(addend, mode, status);
    let x = unpack(a, mode, status);
    let y = unpack(b, mode, status);
    let invalid_product = (x.is_inf() && y.is_zero()) || (x.is_zero() && y.is_inf());
    let nan = process_nans(&[(addend, z), (a, x), (b, y)], mode, status);
    if invalid_product && (nan.is_none() || z.class == Class::QuietNan) {
        return invalid(status);
    }
    if let Some(nan) = nan {
        return nan;
    }
    let class = if x.is_inf() || y.is_inf() {
        Class::Infinity
    } else if x.is_zero() || y.is_zero() {
        Class::Zero
    } else {
        Class::Finite
    };
    let product = Term {
        class,
        negative: x.negative != y.negative,
        exp: x.exp + y.exp,
        sig: u128::from(x.sig) * u128::from(y.sig),
    };
    sum(z, product, mode, status)
}

/// FPCompare: N, Z, C, V in bits 31 to 28. A signalling NaN raises Invalid, and so does a quiet one if `signal_all`.
pub fn compare<T: Format>(a: T, b: T, signal_all: bool, mode: Mode, status: &mut Status) -> u32 {
    let x = unpack(a, mode, status);
    let y = unpack(b, mode, status);
    if x.is_nan() || y.is_nan() {
        if signal_all || x.class == Class::SignallingNan || y.class == Class::SignallingNan {
            status.raise(Status::IOC);
        }
        return 0x3000_0000;
    }
    // Flushed operands compare as zeros, so the order is taken from magnitudes that know of it.
    let key = |u: &Unpacked, raw: u64| {
        let magnitude = if u.is_zero() { 0 } else { (raw & !T::SIGN) as i64 };
        if u.negative { -magnitude } else { magnitude }
    };
    match key(&x, a.to_raw()).cmp(&key(&y, b.to_raw())) {
        Ordering::Equal => 0x6000_0000,
        Ordering::Less => 0x8000_0000,
        Ordering::Greater => 0x2000_0000,
    }
}

/// FPNeg: the sign bit inverted, nothing else (no flush, no exception, any NaN).
pub fn neg<T: Format>(a: T) -> T {
    T::from_raw(a.to_raw() ^ T::SIGN)
}

/// FPAbs: the sign bit cleared, nothing else.
pub fn abs<T: Format>(a: T) -> T {
    T::from_raw(a.to_raw() & !T::SIGN)
}
