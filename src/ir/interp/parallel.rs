//! The parallel additions and subtractions of ARMv6 SIMD, as [`crate::ir::ops::Op::Parallel`] encodes them.

/// The prefix of the mnemonic, in encoding order (`isa`'s ParallelKind).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    SignedSat,
    SignedHalving,
    Unsigned,
    UnsignedSat,
    UnsignedHalving,
}

/// Lanes: where a's and the result's begins, where b's begins, and whether it subtracts.
type Lanes = &'static [(u32, u32, bool)];

/// By operation (`isa`'s ParallelOp).
#[rustfmt::skip]
const LANES: [Lanes; 6] = [
    /* ADD16 */ &[(0, 0, false), (16, 16, false)],
    /* ASX   */ &[(0, 16, true), (16, 0, false)],
    /* SAX   */ &[(0, 16, false), (16, 0, true)],
    /* SUB16 */ &[(0, 0, true), (16, 16, true)],
    /* ADD8  */ &[(0, 0, false), (8, 8, false), (16, 16, false), (24, 24, false)],
    /* SUB8  */ &[(0, 0, true), (8, 8, true), (16, 16, true), (24, 24, true)],
];

/// The result of `aux` (ParallelKind * 8 + ParallelOp) on `a` and `b`, and the GE byte mask if the kind sets it. What
/// `aux` doesn't name is SADD16.
pub fn parallel(aux: u8, a: u32, b: u32) -> (u32, Option<u32>) {
    use Kind::*;
    let kinds = [
        Signed,
        SignedSat,
        SignedHalving,
        Unsigned,
        UnsignedSat,
        UnsignedHalving,
    ];
    let kind = kinds.get(usize::from(aux >> 3)).copied().unwrap_or(Signed);
    let lanes = LANES.get(usize::from(aux & 7)).copied().unwrap_or(LANES[0]);
    let bits = 32 / lanes.len() as u32;
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
