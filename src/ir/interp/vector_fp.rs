//! Vector operations in floating point, with the standard FPSCR value.

use super::vector::{build, lane};
use crate::ir::vector::{Shape, VecOp};
use crate::softfp::{self, Format, Mode, Status};

/// Value and cumulative bits of a floating-point `op`.
pub(super) fn vec_fp(op: VecOp, shape: Shape, imm: u32, args: [u128; 3], fpscr: u32) -> (u128, u32) {
    let mut status = Status::default();
    let mode = Mode::standard(fpscr);
    let value = match shape.esize() {
        16 => lanes::<u16>(op, shape, imm, args, mode, &mut status),
        _ => lanes::<u32>(op, shape, imm, args, mode, &mut status),
    };
    (value, status.0)
}

/// Operations on lanes of one format.
fn lanes<T: Format>(
    op: VecOp,
    shape: Shape,
    _imm: u32,
    args: [u128; 3],
    mode: Mode,
    status: &mut Status,
) -> u128 {
    build(shape.lanes(), T::BITS, |i| {
        let [a, b, c] = args.map(|v| T::from_raw(lane(v, T::BITS, i)));
        let all_if = |holds: bool| T::from_raw(if holds { u64::MAX } else { 0 });
        let r = match op {
            VecOp::FAdd => softfp::add(a, b, mode, status),
            VecOp::FSub => softfp::sub(a, b, mode, status),
            VecOp::FMul => softfp::mul(a, b, mode, status),
            VecOp::FMa => softfp::fma(a, b, c, mode, status),
            VecOp::FCmpEq => all_if(softfp::compare(a, b, false, mode, status) == 0x6000_0000),
            VecOp::FCmpGe => all_if(matches!(
                softfp::compare(a, b, true, mode, status),
                0x6000_0000 | 0x2000_0000
            )),
            VecOp::FCmpGt => all_if(softfp::compare(a, b, true, mode, status) == 0x2000_0000),
            _ => T::from_raw(0),
        };
        r.to_raw().into()
    })
}
