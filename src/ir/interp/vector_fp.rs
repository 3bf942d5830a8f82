//! Vector operations in floating point, with the standard FPSCR value.

use super::fp::rounded;
use super::vector::{build, lane};
use crate::ir::vector::{Shape, VecOp};
use crate::softfp::{self, Format, Mode, Status};

/// FPCompare's results.
const EQUAL: u32 = 0x6000_0000;
const GREATER: u32 = 0x2000_0000;

/// Value and cumulative bits of a floating-point `op`.
pub(super) fn vec_fp(op: VecOp, shape: Shape, imm: u32, args: [u128; 3], fpscr: u32) -> (u128, u32) {
    let mut status = Status::default();
    let mode = Mode::standard(fpscr);
    let value = mixed(op, shape, imm, args, mode, &mut status).unwrap_or_else(|| match shape.esize() {
        16 => lanes::<u16>(op, shape, imm, args, mode, &mut status),
        _ => lanes::<u32>(op, shape, imm, args, mode, &mut status),
    });
    (value, status.0)
}

/// Operations between formats.
fn mixed(
    op: VecOp,
    shape: Shape,
    imm: u32,
    [a, b, c]: [u128; 3],
    mode: Mode,
    status: &mut Status,
) -> Option<u128> {
    let half = |v: u128, i: u32| lane(v, 16, i) as u16;
    let single = |v: u128, i: u32| lane(v, 32, i) as u32;
    // Half of the lanes in a D form.
    let singles = if shape.is_q() { 4 } else { 2 };
    Some(match op {
        VecOp::HalfToF => build(4, 32, |i| softfp::half_to_f32(half(a, i), mode, status).into()),
        VecOp::FToHalf => build(4, 16, |i| softfp::f32_to_half(single(a, i), mode, status).into()),
        VecOp::FToBf16 => build(4, 16, |i| softfp::f32_to_bf16(single(a, i), mode, status).into()),
        VecOp::FMlal => build(singles, 32, |i| {
            let x = softfp::half_to_f32_arithmetic(half(b, i), mode, status);
            let y = softfp::half_to_f32_arithmetic(half(c, i), mode, status);
            softfp::fma(single(a, i), x, y, mode, status).into()
        }),
        VecOp::BfMlal => build(4, 32, |i| {
            let widened = |v: u128| u32::from(half(v, 2 * i + (imm & 1))) << 16;
            softfp::fma(single(a, i), widened(b), widened(c), mode, status).into()
        }),
        VecOp::BfDot => build(singles, 32, |i| {
            softfp::bf16_dot_add(single(a, i), single(b, i), single(c, i)).into()
        }),
        VecOp::BfMatMul => build(4, 32, |i| {
            let (row, column) = (i / 2 * 2, i % 2 * 2);
            let first = softfp::bf16_dot_add(single(a, i), single(b, row), single(c, column));
            softfp::bf16_dot_add(first, single(b, row + 1), single(c, column + 1)).into()
        }),
        _ => return None,
    })
}

/// Operations on lanes of one format.
fn lanes<T: Format>(
    op: VecOp,
    shape: Shape,
    imm: u32,
    args: [u128; 3],
    mode: Mode,
    status: &mut Status,
) -> u128 {
    let (size, signed) = (T::BITS, !shape.is_unsigned());
    build(shape.lanes(), size, |i| {
        let bits = args.map(|v| lane(v, size, i));
        let [a, b, c] = bits.map(T::from_raw);
        let int = bits[0] as u32;
        let mask = |holds: bool| if holds { u128::MAX } else { 0 };
        let value = match op {
            VecOp::FCmpEq => return mask(softfp::compare(a, b, false, mode, status) == EQUAL),
            VecOp::FCmpGe => {
                let order = softfp::compare(a, b, true, mode, status);
                return mask(matches!(order, EQUAL | GREATER));
            }
            VecOp::FCmpGt => return mask(softfp::compare(a, b, true, mode, status) == GREATER),
            VecOp::FToInt => return softfp::to_int(a, size, signed, rounded(mode, imm), status).into(),
            VecOp::FToFixed => return softfp::to_fixed(a, size, imm, signed, mode, status).into(),
            VecOp::IntToF => softfp::from_int::<T>(int, size, signed, mode, status),
            VecOp::FixedToF => softfp::from_fixed::<T>(int, size, imm, signed, mode, status),
            VecOp::FAdd => softfp::add(a, b, mode, status),
            VecOp::FSub => softfp::sub(a, b, mode, status),
            VecOp::FMul => softfp::mul(a, b, mode, status),
            VecOp::FMa => softfp::fma(a, b, c, mode, status),
            VecOp::FMin => softfp::min(a, b, mode, status),
            VecOp::FMax => softfp::max(a, b, mode, status),
            VecOp::FMinNm => softfp::min_number(a, b, mode, status),
            VecOp::FMaxNm => softfp::max_number(a, b, mode, status),
            VecOp::FRecpe => softfp::recip_estimate(a, mode, status),
            VecOp::FRsqrte => softfp::rsqrt_estimate(a, mode, status),
            VecOp::FRecps => softfp::recip_step(a, b, mode, status),
            VecOp::FRsqrts => softfp::rsqrt_step(a, b, mode, status),
            VecOp::FRint => softfp::round_to_integral(a, imm & 8 != 0, rounded(mode, imm), status),
            _ => T::from_raw(0),
        };
        value.to_raw().into()
    })
}
