//! Minimum and maximum, and their number forms.

use super::format::{Class, Format, infinity, process_nans, round, unpack, zero};
use super::{Mode, Status, arith};

/// FPMin: of zeros, the negative one.
pub fn min<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    choose(a, b, false, mode, status)
}

/// FPMax: of zeros, the positive one.
pub fn max<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    choose(a, b, true, mode, status)
}

fn choose<T: Format>(a: T, b: T, larger: bool, mode: Mode, status: &mut Status) -> T {
    let x = unpack(a, mode, status);
    let y = unpack(b, mode, status);
    if let Some(nan) = process_nans(&[(a, x), (b, y)], mode, status) {
        return nan;
    }
    if x.is_zero() && y.is_zero() {
        return zero(if larger {
            x.negative && y.negative
        } else {
            x.negative || y.negative
        });
    }
    // Flushed operands have raised what they raise.
    let order = arith::compare(a, b, false, mode, &mut Status::default());
    const GREATER: u32 = 0x2000_0000;
    let chosen = if (order == GREATER) == larger { x } else { y };
    match chosen.class {
        Class::Zero => zero(chosen.negative),
        Class::Infinity => infinity(chosen.negative),
        // Exact: the value comes from this format.
        _ => round(chosen.negative, chosen.exp, u128::from(chosen.sig), mode, status),
    }
}

/// FPMinNum: a quiet NaN gives way to a number.
pub fn min_number<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    let (a, b) = without_quiet_nan(a, b, infinity(false));
    min(a, b, mode, status)
}

/// FPMaxNum: a quiet NaN gives way to a number.
pub fn max_number<T: Format>(a: T, b: T, mode: Mode, status: &mut Status) -> T {
    let (a, b) = without_quiet_nan(a, b, infinity(true));
    max(a, b, mode, status)
}

/// A quiet NaN beside what is none becomes `neutral`.
fn without_quiet_nan<T: Format>(a: T, b: T, neutral: T) -> (T, T) {
    let quiet = |v: T| v.to_raw() & !T::SIGN & T::DEFAULT_NAN == T::DEFAULT_NAN;
    match (quiet(a), quiet(b)) {
        (true, false) => (neutral, b),
        (false, true) => (a, neutral),
        _ => (a, b),
    }
}
