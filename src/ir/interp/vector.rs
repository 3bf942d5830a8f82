//! Vector operations on 128-bit values: bitwise, integer lanes, shifts, permutations, saturation, estimates and dot
//! products. Floating point is in `vector_fp.rs`, cryptography in `crypto.rs`.

use super::{crypto, vector_fp};
use crate::ir::ops::Op;
use crate::ir::vector::{Shape, VecOp};
use crate::softfp;

/// FPSCR.QC.
pub const QC: u32 = 1 << 27;

const LOW: u128 = u64::MAX as u128;

/// The value of `op` on `args` (those it doesn't have are ignored), and the bits that it raises in FPSCR: QC and the
/// cumulative exceptions. `fpscr` chooses the modes that floating-point operations take from it. The upper half of a
/// D-form result is zero, and no upper half of a D-form operand is looked at.
pub fn vec_op(op: VecOp, shape: Shape, imm: u32, args: [u128; 3], fpscr: u32) -> (u128, u32) {
    let [a, b, c] = args;
    let (value, raised) = match op.class() {
        Op::VecSat => {
            let mut saturation = Saturation::default();
            let value = saturating(op, shape, imm, args, &mut saturation);
            (value, if saturation.happened { QC } else { 0 })
        }
        Op::VecFp => vector_fp::vec_fp(op, shape, imm, args, fpscr),
        _ => {
            let value = match op {
                VecOp::And => a & b,
                VecOp::Or => a | b,
                VecOp::Xor => a ^ b,
                VecOp::AndNot => a & !b,
                VecOp::OrNot => a | !b,
                VecOp::Not => !a,
                VecOp::BitSelect => a & b | !a & c,
                _ => None
                    .or_else(|| lanewise(op, shape, imm, args))
                    .or_else(|| permutation(op, shape, imm, args))
                    .or_else(|| crypto::crypto(op, args))
                    .unwrap_or(0),
            };
            (value, 0)
        }
    };
    (
        if op.writes_upper(shape) {
            value
        } else {
            value & LOW
        },
        raised,
    )
}

/// Bits `[i * esize, (i + 1) * esize)`.
pub(super) fn lane(v: u128, esize: u32, i: u32) -> u64 {
    let bits = (v >> (i * esize)) as u64;
    if esize == 64 {
        bits
    } else {
        bits & ((1 << esize) - 1)
    }
}

/// The vector of `count` lanes of `esize` bits (1 to 128) that `f` gives by lane number, cut to their size.
pub(super) fn build(count: u32, esize: u32, mut f: impl FnMut(u32) -> u128) -> u128 {
    let mask = u128::MAX >> (128 - esize);
    (0..count).fold(0, |v, i| v | (f(i) & mask) << (i * esize))
}

/// A lane as a number.
fn number(v: u128, esize: u32, i: u32, unsigned: bool) -> i128 {
    let bits = lane(v, esize, i);
    if unsigned {
        i128::from(bits)
    } else {
        let unused = 64 - esize;
        i128::from((bits << unused) as i64 >> unused)
    }
}

/// `value` shifted left by `shift`, right (rounding half up if `round`) if it is negative. The result is exact in its
/// low `esize` bits, and out of their range where the exact one is.
fn shifted(value: i128, shift: i32, round: bool, esize: u32) -> i128 {
    if shift >= 0 {
        // A shift by esize or more leaves nothing of the lane, and saturates whatever isn't 0.
        if shift as u32 >= esize {
            value.signum() << 100
        } else {
            value << shift
        }
    } else {
        // Values have at most 65 bits.
        let n = shift.unsigned_abs().min(120);
        let half = if round { 1 << (n - 1) } else { 0 };
        (value + half) >> n
    }
}

/// The count of a shift by vector: the signed low byte.
fn count(v: u128, esize: u32, i: u32) -> i32 {
    i32::from(lane(v, esize, i) as i8)
}

/// Operations that make each lane from lanes of the same number, or from neighbours.
fn lanewise(op: VecOp, shape: Shape, imm: u32, [a, b, c]: [u128; 3]) -> Option<u128> {
    use VecOp::*;
    let (e, n, u) = (shape.esize(), shape.lanes(), shape.is_unsigned());
    let num = |v: u128, i: u32| number(v, e, i, u);
    // The signed reading serves where only the low bits of the result count.
    let one = |f: &dyn Fn(i128) -> i128| build(n, e, |i| f(num(a, i)) as u128);
    let two = |f: &dyn Fn(i128, i128) -> i128| build(n, e, |i| f(num(a, i), num(b, i)) as u128);
    let compare = |f: &dyn Fn(i128, i128) -> bool| two(&|x, y| if f(x, y) { -1 } else { 0 });
    let pairs = |f: &dyn Fn(i128, i128) -> i128| {
        build(n, e, |i| {
            let from = if i < n / 2 { a } else { b };
            let at = 2 * (i % (n / 2).max(1));
            f(num(from, at), num(from, at + 1)) as u128
        })
    };
    let wide = |f: &dyn Fn(u32) -> i128| build(64 / e, 2 * e, |i| f(i) as u128);
    Some(match op {
        Add => two(&|x, y| x + y),
        Sub => two(&|x, y| x - y),
        Mul => two(&|x, y| x.wrapping_mul(y)),
        Neg => one(&|x| -x),
        Abs => build(n, e, |i| number(a, e, i, false).unsigned_abs()),
        HAdd => two(&|x, y| (x + y) >> 1),
        RHAdd => two(&|x, y| (x + y + 1) >> 1),
        HSub => two(&|x, y| (x - y) >> 1),
        Min => two(&i128::min),
        Max => two(&i128::max),
        AbsDiff => two(&|x, y| (x - y).abs()),
        CmpEq => compare(&|x, y| x == y),
        CmpGt => compare(&|x, y| x > y),
        CmpGe => compare(&|x, y| x >= y),
        Tst => compare(&|x, y| x & y != 0),
        Clz => build(n, e, |i| u128::from(lane(a, e, i).leading_zeros() - (64 - e))),
        Cls => build(n, e, |i| {
            let x = number(a, e, i, false) as i64;
            u128::from((x ^ x >> 63).leading_zeros() - (64 - e) - 1)
        }),
        Cnt => build(n, e, |i| lane(a, e, i).count_ones().into()),
        PolyMul => build(n, e, |i| carryless(lane(a, e, i), lane(b, e, i))),
        PairAdd => pairs(&|x, y| x + y),
        PairMin => pairs(&i128::min),
        PairMax => pairs(&i128::max),
        PairAddLong => build(n / 2, 2 * e, |i| (num(a, 2 * i) + num(a, 2 * i + 1)) as u128),

        Shl => one(&|x| x << (imm & 63)),
        Shr => one(&|x| shifted(x, -(imm as i32 & 0xff), false, e)),
        RShr => one(&|x| shifted(x, -(imm as i32 & 0xff), true, e)),
        ShlVar | RShlVar => build(n, e, |i| {
            shifted(num(a, i), count(b, e, i), op == RShlVar, e) as u128
        }),
        ShlInsert => {
            let kept = (1 << (imm & 63)) - 1;
            build(n, e, |i| {
                u128::from(lane(b, e, i)) << (imm & 63) | u128::from(lane(a, e, i)) & kept
            })
        }
        ShrInsert => {
            let ones = u128::MAX >> (128 - e);
            let kept = !(ones >> (imm & 127));
            build(n, e, |i| {
                u128::from(lane(b, e, i)) >> (imm & 127) | u128::from(lane(a, e, i)) & kept
            })
        }

        Widen => wide(&|i| num(a, i)),
        MulLong => wide(&|i| num(a, i) * num(b, i)),
        PolyMulLong => build(64 / e, 2 * e, |i| carryless(lane(a, e, i), lane(b, e, i))),
        NarrowShr | NarrowRShr => build(64 / e, e, |i| {
            let x = i128::from(lane(a, 2 * e, i));
            shifted(x, -(imm as i32 & 0xff), op == NarrowRShr, 64) as u128
        }),

        RecipEst => build(n, e, |i| {
            softfp::unsigned_recip_estimate(lane(a, e, i) as u32).into()
        }),
        RsqrtEst => build(n, e, |i| {
            softfp::unsigned_rsqrt_estimate(lane(a, e, i) as u32).into()
        }),
        Dot => build(n, e, |i| (num(a, i) + byte_products(b, i, c, i, 4, imm)) as u128),
        MatMul => build(4, 32, |i| {
            (number(a, 32, i, false) + byte_products(b, i / 2, c, i % 2, 8, imm)) as u128
        }),

        FNeg => build(n, e, |i| u128::from(lane(a, e, i) ^ 1 << (e - 1))),
        FAbs => build(n, e, |i| u128::from(lane(a, e, i) & !(1 << (e - 1)))),
        _ => return None,
    })
}

/// Sum of the products of `count` bytes: group `i` of `x` with group `j` of `y`. `imm` bits 0 and 1: which is unsigned.
fn byte_products(x: u128, i: u32, y: u128, j: u32, count: u32, imm: u32) -> i128 {
    (0..count)
        .map(|k| {
            let x = number(x, 8, i * count + k, imm & 1 != 0);
            x * number(y, 8, j * count + k, imm & 2 != 0)
        })
        .sum()
}

/// Polynomial product over GF(2).
fn carryless(x: u64, y: u64) -> u128 {
    (0..64)
        .filter(|i| y >> i & 1 != 0)
        .fold(0, |product, i| product ^ u128::from(x) << i)
}

/// Operations that move lanes.
fn permutation(op: VecOp, shape: Shape, imm: u32, [a, b, c]: [u128; 3]) -> Option<u128> {
    use VecOp::*;
    let (e, n) = (shape.esize(), shape.lanes());
    let pick = |v: u128, i: u32| u128::from(lane(v, e, i));
    // Three 8-byte pieces one after another, and a lane of 24 bytes.
    let three = [a as u64, (a >> 64) as u64, b as u64];
    let of_three = |i: u32| lane(three[(i * e / 64) as usize % 3].into(), e, i % (64 / e));
    Some(match op {
        DupLane => build(n, e, |_| pick(a, imm % (128 / e))),
        Ext => {
            let bytes = shape.bytes();
            build(bytes, 8, |i| match i + imm {
                at if at < bytes => lane(a, 8, at).into(),
                at => lane(b, 8, (at - bytes) % 16).into(),
            })
        }
        Rev => {
            let per = ((1 << (imm & 3)) * 8 / e).max(1);
            build(n, e, |i| pick(a, i / per * per + (per - 1 - i % per)))
        }
        TrnEven => build(n, e, |i| pick(if i & 1 == 0 { a } else { b }, i & !1)),
        TrnOdd => build(n, e, |i| pick(if i & 1 == 0 { a } else { b }, i | 1)),
        ZipLo => build(n, e, |i| pick(if i & 1 == 0 { a } else { b }, i / 2)),
        ZipHi => build(n, e, |i| pick(if i & 1 == 0 { a } else { b }, (n + i) / 2)),
        UzpEven | UzpOdd => build(n, e, |i| {
            let at = 2 * i + u32::from(op == UzpOdd);
            if at < n {
                pick(a, at)
            } else {
                pick(b, (at - n) % n)
            }
        }),
        Table => build(8, 8, |i| match lane(c, 8, i) as u32 {
            at if at >= imm => 0,
            at => lane(if at < 16 { a } else { b }, 8, at % 16).into(),
        }),
        Deinterleave3 => build(64 / e, e, |i| of_three(3 * i + imm).into()),
        Interleave3 => {
            let (first, count) = if imm == 0 { (0, 128 / e) } else { (128 / e, 64 / e) };
            build(count, e, |i| {
                let at = first + i;
                pick([a, b, c][(at % 3) as usize], at / 3)
            })
        }
        Unzip => {
            let per = imm.clamp(1, n);
            build(n, e, |i| pick(a, i % (n / per) * per + i / (n / per)))
        }
        Concat => a & LOW | b << 64,
        High => a >> 64,
        _ => return None,
    })
}

/// Whether a lane did not fit.
#[derive(Default)]
struct Saturation {
    happened: bool,
}

impl Saturation {
    /// SatQ: `value` brought to the range of `esize` bits.
    fn to(&mut self, value: i128, esize: u32, unsigned: bool) -> u128 {
        let (min, max) = if unsigned {
            (0, (1 << esize) - 1)
        } else {
            (-(1 << (esize - 1)), (1 << (esize - 1)) - 1)
        };
        let fitting = value.clamp(min, max);
        self.happened |= fitting != value;
        fitting as u128
    }
}

fn saturating(op: VecOp, shape: Shape, imm: u32, [a, b, c]: [u128; 3], sat: &mut Saturation) -> u128 {
    use VecOp::*;
    let (e, n, u) = (shape.esize(), shape.lanes(), shape.is_unsigned());
    let num = |v: u128, i: u32| number(v, e, i, u);
    let signed = |v: u128, i: u32| number(v, e, i, false);
    let shift = imm as i32 & 0xff;
    let half = 1 << (e - 1);
    match op {
        QAdd => build(n, e, |i| sat.to(num(a, i) + num(b, i), e, u)),
        QSub => build(n, e, |i| sat.to(num(a, i) - num(b, i), e, u)),
        QAbs => build(n, e, |i| sat.to(signed(a, i).abs(), e, false)),
        QNeg => build(n, e, |i| sat.to(-signed(a, i), e, false)),
        QShlVar | QRShlVar => build(n, e, |i| {
            sat.to(shifted(num(a, i), count(b, e, i), op == QRShlVar, e), e, u)
        }),
        QShl => build(n, e, |i| sat.to(shifted(num(a, i), shift, false, e), e, u)),
        QShlu => build(n, e, |i| sat.to(shifted(signed(a, i), shift, false, e), e, true)),
        QNarrowShr | QNarrowRShr => build(64 / e, e, |i| {
            let x = number(a, 2 * e, i, u);
            sat.to(shifted(x, -shift, op == QNarrowRShr, 2 * e), e, u)
        }),
        QNarrowShru | QNarrowRShru => build(64 / e, e, |i| {
            let x = number(a, 2 * e, i, false);
            sat.to(shifted(x, -shift, op == QNarrowRShru, 2 * e), e, true)
        }),
        QDMulH => build(n, e, |i| sat.to((2 * signed(a, i) * signed(b, i)) >> e, e, false)),
        QRDMulH => build(n, e, |i| {
            sat.to((2 * signed(a, i) * signed(b, i) + half) >> e, e, false)
        }),
        QDMulLong => build(64 / e, 2 * e, |i| {
            sat.to(2 * signed(a, i) * signed(b, i), 2 * e, false)
        }),
        QRDMlaH | QRDMlsH => build(n, e, |i| {
            let product = 2 * signed(b, i) * signed(c, i);
            let product = if op == QRDMlaH { product } else { -product };
            sat.to(((signed(a, i) << e) + product + half) >> e, e, false)
        }),
        _ => 0,
    }
}
