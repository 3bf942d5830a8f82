//! Floating point: single operations on raw bits, and FPSCR as the sum of its parts in the state.

use super::vector::QC;
use crate::cpu::state::{CpuState, nzcv_to_fp_cmp};
use crate::ir::ops::Op;
use crate::ir::vector::{HalfOp, RoundTo};
use crate::softfp::{self, Mode, Rounding, Status};

/// FPSCR whole: flags, modes and the cumulative bits of the state, the kept MXCSR and the kept saturation.
pub fn read_fpscr(state: &CpuState) -> u32 {
    let qc = if state.qc == [0; 2] { 0 } else { QC };
    state.fp_nzcv() | state.fpscr | mxcsr_cumulative(state.mxcsr) | qc
}

/// FPSCR.FZ and FPSCR.IXC.
const FZ: u32 = 1 << 24;
const IXC: u32 = 1 << 4;

/// Sets FPSCR as far as the model has its bits, and in the kept MXCSR clears the sticky bits and sets the rounding mode.
/// Under FZ, Inexact is unmasked there until it has been raised once: a result that ARM flushes raises Underflow alone,
/// but the host's sticky bit for Inexact as well, from which nothing could be told afterwards.
pub fn write_fpscr(state: &mut CpuState, value: u32) {
    state.fp_cmp = nzcv_to_fp_cmp(value);
    state.fpscr = value & state.fpscr_writable & 0x0fff_ffff;
    state.qc = [0; 2];
    // x86 has rounding down and up the other way round.
    let rounding = [0, 2, 1, 3][(value >> 22 & 3) as usize];
    let masked = state.fpscr & FZ == 0 || state.fpscr & IXC != 0;
    state.mxcsr = state.mxcsr & !0x703f | rounding << 13 | u32::from(masked) << 12;
}

/// The sticky bits of MXCSR that are ARM's: IE, ZE, OE, UE, PE in bits 0, 2, 3, 4, 5. DE has no counterpart.
fn mxcsr_cumulative(mxcsr: u32) -> u32 {
    mxcsr & 1 | mxcsr >> 1 & 0x1e
}

/// One floating-point operation on raw bits, as [`Op`] defines it. Comparisons yield N, Z, C, V in bits 31 to 28 (and
/// `F64ToJs` beside its value, in bits 63 to 60), 32-bit results are zero-extended, operations that are not floating-point yield 0.
#[allow(
    clippy::too_many_arguments,
    reason = "the fields of an instruction, for callers that have no Inst"
)]
pub fn fp_op(
    op: Op,
    aux: u8,
    imm: u32,
    imm2: u32,
    a: u64,
    b: u64,
    c: u64,
    mode: Mode,
    status: &mut Status,
) -> u64 {
    let (a32, b32, c32) = (a as u32, b as u32, c as u32);
    let signed = aux & 1 != 0;
    let to_int_mode = if aux & 2 != 0 {
        mode.with_rounding(Rounding::Zero)
    } else {
        mode
    };
    let chosen = rounded(mode, aux.into());
    let flag = aux & 8 != 0;
    match op {
        Op::FAdd32 => softfp::add(a32, b32, mode, status).into(),
        Op::FSub32 => softfp::sub(a32, b32, mode, status).into(),
        Op::FMul32 => softfp::mul(a32, b32, mode, status).into(),
        Op::FDiv32 => softfp::div(a32, b32, mode, status).into(),
        Op::FSqrt32 => softfp::sqrt(a32, mode, status).into(),
        Op::FMa32 => softfp::fma(a32, b32, c32, mode, status).into(),
        Op::FNeg32 => softfp::neg(a32).into(),
        Op::FAbs32 => softfp::abs(a32).into(),
        Op::FAdd64 => softfp::add(a, b, mode, status),
        Op::FSub64 => softfp::sub(a, b, mode, status),
        Op::FMul64 => softfp::mul(a, b, mode, status),
        Op::FDiv64 => softfp::div(a, b, mode, status),
        Op::FSqrt64 => softfp::sqrt(a, mode, status),
        Op::FMa64 => softfp::fma(a, b, c, mode, status),
        Op::FNeg64 => softfp::neg(a),
        Op::FAbs64 => softfp::abs(a),
        Op::FCmp32 => softfp::compare(a32, b32, signed, mode, status).into(),
        Op::FCmp64 => softfp::compare(a, b, signed, mode, status).into(),
        Op::F32ToF64 => softfp::f32_to_f64(a32, mode, status),
        Op::F64ToF32 => softfp::f64_to_f32(a, mode, status).into(),
        Op::F32ToInt => softfp::to_int(a32, 32, signed, to_int_mode, status).into(),
        Op::F64ToInt => softfp::to_int(a, 32, signed, to_int_mode, status).into(),
        Op::IntToF32 => softfp::from_int::<u32>(a32, 32, signed, mode, status).into(),
        Op::IntToF64 => softfp::from_int::<u64>(a32, 32, signed, mode, status),
        Op::F32ToFixed => softfp::to_fixed(a32, imm2, imm, signed, mode, status).into(),
        Op::F64ToFixed => softfp::to_fixed(a, imm2, imm, signed, mode, status).into(),
        Op::FixedToF32 => softfp::from_fixed::<u32>(a32, imm2, imm, signed, mode, status).into(),
        Op::FixedToF64 => softfp::from_fixed::<u64>(a32, imm2, imm, signed, mode, status),
        Op::HalfToF32 => softfp::half_to_f32(a as u16, mode, status).into(),
        Op::F32ToHalf => softfp::f32_to_half(a32, mode, status).into(),
        Op::FMinNm32 => softfp::min_number(a32, b32, mode, status).into(),
        Op::FMaxNm32 => softfp::max_number(a32, b32, mode, status).into(),
        Op::FMinNm64 => softfp::min_number(a, b, mode, status),
        Op::FMaxNm64 => softfp::max_number(a, b, mode, status),
        Op::FRint32 => softfp::round_to_integral(a32, flag, chosen, status).into(),
        Op::FRint64 => softfp::round_to_integral(a, flag, chosen, status),
        Op::F32Round => softfp::to_int(a32, 32, flag, chosen, status).into(),
        Op::F64Round => softfp::to_int(a, 32, flag, chosen, status).into(),
        Op::HalfToF64 => softfp::half_to_f64(a as u16, mode, status),
        Op::F64ToHalf => softfp::f64_to_half(a, mode, status).into(),
        Op::Half => HalfOp::from_aux(aux).map_or(0, |op| half_op(op, imm, [a32, b32, c32], mode, status)),
        Op::F64ToJs => {
            let (value, exact) = softfp::to_javascript(a, mode, status);
            u64::from(value) | u64::from(exact) << 62
        }
        Op::F32ToBf16 => softfp::f32_to_bf16(a32, mode, status).into(),
        Op::HalfCmp => softfp::compare(a as u16, b as u16, signed, mode, status).into(),
        _ => 0,
    }
}

/// FPSCR's N, Z, C, V (bits 31 to 28) that `op` sets with the `result` of [`fp_op`], if it sets them.
pub fn fp_flags(op: Op, result: u64) -> Option<u32> {
    match op {
        Op::FCmp32 | Op::FCmp64 | Op::HalfCmp => Some(result as u32),
        Op::F64ToJs => Some((result >> 32) as u32),
        _ => None,
    }
}

/// `mode` with the rounding that a [`RoundTo`] in bits 2 to 0 of `field` says.
pub(super) fn rounded(mode: Mode, field: u32) -> Mode {
    let roundings = [
        (RoundTo::NearestEven, Rounding::Nearest),
        (RoundTo::PlusInf, Rounding::PlusInf),
        (RoundTo::MinusInf, Rounding::MinusInf),
        (RoundTo::Zero, Rounding::Zero),
        (RoundTo::NearestAway, Rounding::NearestAway),
    ];
    let chosen = roundings.into_iter().find(|&(to, _)| to as u32 == field & 7);
    chosen.map_or(mode, |(_, rounding)| mode.with_rounding(rounding))
}

/// Half-precision scalar arithmetic.
fn half_op(op: HalfOp, imm: u32, args: [u32; 3], mode: Mode, status: &mut Status) -> u64 {
    let [a, b, c] = args.map(|v| v as u16);
    let (chosen, flag) = (rounded(mode, imm), imm & 8 != 0);
    let (frac, size, signed) = (imm >> 8 & 0xff, imm & 0xff, imm >> 16 & 1 != 0);
    match op {
        HalfOp::Add => softfp::add(a, b, mode, status).into(),
        HalfOp::Sub => softfp::sub(a, b, mode, status).into(),
        HalfOp::Mul => softfp::mul(a, b, mode, status).into(),
        HalfOp::Div => softfp::div(a, b, mode, status).into(),
        HalfOp::Sqrt => softfp::sqrt(a, mode, status).into(),
        HalfOp::Ma => softfp::fma(a, b, c, mode, status).into(),
        HalfOp::MinNm => softfp::min_number(a, b, mode, status).into(),
        HalfOp::MaxNm => softfp::max_number(a, b, mode, status).into(),
        HalfOp::Rint => softfp::round_to_integral(a, flag, chosen, status).into(),
        HalfOp::ToInt => softfp::to_int(a, 32, flag, chosen, status).into(),
        HalfOp::FromInt => softfp::from_int::<u16>(args[0], 32, flag, mode, status).into(),
        HalfOp::ToFixed => softfp::to_fixed(a, size, frac, signed, mode, status).into(),
        HalfOp::FromFixed => softfp::from_fixed::<u16>(args[0], size, frac, signed, mode, status).into(),
    }
}
