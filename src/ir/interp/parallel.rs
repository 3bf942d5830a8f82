//! The parallel additions and subtractions of ARMv6 SIMD, as [`crate::ir::ops::Op::Parallel`] encodes them.

use crate::isa::insn::{ParallelKind, ParallelOp};

/// The result of `aux` (ParallelKind * 8 + ParallelOp) on `a` and `b`, and the GE byte mask if the kind sets it. What
/// `aux` doesn't name is SADD16.
pub(super) fn parallel(aux: u8, a: u32, b: u32) -> (u32, Option<u32>) {
    use ParallelKind::*;
    use ParallelOp::*;
    let kind = [
        Signed,
        SignedSat,
        SignedHalving,
        Unsigned,
        UnsignedSat,
        UnsignedHalving,
    ]
    .into_iter()
    .find(|k| *k as u8 == aux >> 3)
    .unwrap_or(Signed);
    let op = [Add16, Asx, Sax, Sub16, Add8, Sub8]
        .into_iter()
        .find(|o| *o as u8 == aux & 7)
        .unwrap_or(Add16);
    // Lanes: shift of a's lane, of b's lane, and whether it subtracts.
    let lanes: &[(u32, u32, bool)] = match op {
        Add16 => &[(0, 0, false), (16, 16, false)],
        Asx => &[(0, 16, true), (16, 0, false)],
        Sax => &[(0, 16, false), (16, 0, true)],
        Sub16 => &[(0, 0, true), (16, 16, true)],
        Add8 => &[(0, 0, false), (8, 8, false), (16, 16, false), (24, 24, false)],
        Sub8 => &[(0, 0, true), (8, 8, true), (16, 16, true), (24, 24, true)],
    };
    let bits = if matches!(op, Add8 | Sub8) { 8 } else { 16 };
    let mask = (1u32 << bits) - 1;
    let signed = matches!(kind, Signed | SignedSat | SignedHalving);
    let lane = |x: u32, shift: u32| {
        let value = (x >> shift & mask) as i32;
        if signed {
            value << (32 - bits) >> (32 - bits)
        } else {
            value
        }
    };
    let (mut result, mut ge) = (0, 0);
    for &(shift_a, shift_b, subtract) in lanes {
        let (x, y) = (lane(a, shift_a), lane(b, shift_b));
        let exact = if subtract { x - y } else { x + y };
        let value = match kind {
            Signed | Unsigned => exact,
            SignedSat => exact.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            UnsignedSat => exact.clamp(0, mask as i32),
            SignedHalving | UnsignedHalving => exact >> 1,
        };
        result |= (value as u32 & mask) << shift_a;
        // GE: no borrow or a carry for unsigned lanes, not negative for signed ones.
        let greater_equal = if kind == Unsigned && !subtract {
            exact > mask as i32
        } else {
            exact >= 0
        };
        if greater_equal {
            ge |= mask << shift_a;
        }
    }
    (result, matches!(kind, Signed | Unsigned).then_some(ge))
}
