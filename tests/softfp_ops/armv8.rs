//! The scalar instructions that came with ARMv8 and later: half-precision arithmetic, rounding, number minimum and
//! maximum, conversions between double and half precision, JavaScript's conversion, bfloat16.

use super::{Case, D, DD, H, HH, HHH, I, Kind, S, SS, fixed_point_forms};
use emu::ir::ops::Op;
use emu::ir::vector::{HalfOp, RoundTo};

/// The RM field of VRINTA to VRINTM and VCVTA to VCVTM.
const MODES: [RoundTo; 4] = [
    RoundTo::NearestAway,
    RoundTo::NearestEven,
    RoundTo::PlusInf,
    RoundTo::MinusInf,
];

/// Bit 3 of a rounding operation's immediate: signed result, or exact.
const FLAG: u8 = 8;

fn case(
    name: &'static str,
    word: u32,
    op: Op,
    aux: u8,
    imm: u32,
    operands: &'static [Kind],
    result: Kind,
) -> Case {
    Case {
        name,
        word,
        op,
        aux,
        imm,
        imm2: 0,
        operands,
        result,
    }
}

fn half(
    name: &'static str,
    word: u32,
    op: HalfOp,
    imm: u32,
    operands: &'static [Kind],
    result: Kind,
) -> Case {
    case(name, word, Op::Half, op as u8, imm, operands, result)
}

/// Rounding to integral and to integers in one format, whose "sz" field is `size` (1 half, 2 single, 3 double).
fn roundings(size: u32, mut push: impl FnMut(&'static str, u32, bool, u8, Kind)) {
    let sz = size << 8;
    let float = [Kind::Half, Kind::Single, Kind::Double][size as usize - 1];
    for (rm, mode) in MODES.into_iter().enumerate() {
        let (rm, mode) = ((rm as u32) << 16, mode as u8);
        push("vrint{a,n,p,m}", 0xfeb8_0840 | sz | rm, false, mode, float);
        push("vcvt{a,n,p,m}.u32", 0xfebc_0840 | sz | rm, true, mode, Kind::Int);
        push(
            "vcvt{a,n,p,m}.s32",
            0xfebc_08c0 | sz | rm,
            true,
            mode | FLAG,
            Kind::Int,
        );
    }
    let (zero, fpscr) = (RoundTo::Zero as u8, RoundTo::Fpscr as u8);
    push("vrintz", 0xeeb6_08c0 | sz, false, zero, float);
    push("vrintr", 0xeeb6_0840 | sz, false, fpscr, float);
    push("vrintx", 0xeeb7_0840 | sz, false, fpscr | FLAG, float);
    push("vcvt.s32", 0xeebd_08c0 | sz, true, zero | FLAG, Kind::Int);
    push("vcvt.u32", 0xeebc_08c0 | sz, true, zero, Kind::Int);
    push("vcvtr.s32", 0xeebd_0840 | sz, true, fpscr | FLAG, Kind::Int);
}

/// All of them.
pub fn cases() -> Vec<Case> {
    use Kind::{Double, Flags, Half, Single};
    #[rustfmt::skip]
    let mut cases = vec![
        case("vmaxnm.f32",    0xfe80_0a01, Op::FMaxNm32, 0, 0, SS, Single),
        case("vminnm.f32",    0xfe80_0a41, Op::FMinNm32, 0, 0, SS, Single),
        case("vmaxnm.f64",    0xfe80_0b01, Op::FMaxNm64, 0, 0, DD, Double),
        case("vminnm.f64",    0xfe80_0b41, Op::FMinNm64, 0, 0, DD, Double),
        case("vcvtb.f64.f16", 0xeeb2_0b40, Op::HalfToF64, 0, 0, H, Double),
        case("vcvtb.f16.f64", 0xeeb3_0b40, Op::F64ToHalf, 0, 0, D, Half),
        case("vjcvt.s32.f64", 0xeeb9_0bc0, Op::F64ToJs, 0, 0, D, Kind::IntAndFlags),
        case("vcvtb.bf16.f32", 0xeeb3_0940, Op::F32ToBf16, 0, 0, S, Half),
        case("vcmp.f16",      0xeeb4_0941, Op::HalfCmp, 0, 0, HH, Flags),
        case("vcmpe.f16",     0xeeb4_09c1, Op::HalfCmp, 1, 0, HH, Flags),
        half("vadd.f16",      0xee30_0901, HalfOp::Add, 0, HH, Half),
        half("vsub.f16",      0xee30_0941, HalfOp::Sub, 0, HH, Half),
        half("vmul.f16",      0xee20_0901, HalfOp::Mul, 0, HH, Half),
        half("vdiv.f16",      0xee80_0901, HalfOp::Div, 0, HH, Half),
        half("vsqrt.f16",     0xeeb1_09c0, HalfOp::Sqrt, 0, H, Half),
        half("vfma.f16",      0xeea1_0902, HalfOp::Ma, 0, HHH, Half),
        half("vmaxnm.f16",    0xfe80_0901, HalfOp::MaxNm, 0, HH, Half),
        half("vminnm.f16",    0xfe80_0941, HalfOp::MinNm, 0, HH, Half),
        half("vcvt.f16.s32",  0xeeb8_09c0, HalfOp::FromInt, 8, I, Half),
        half("vcvt.f16.u32",  0xeeb8_0940, HalfOp::FromInt, 0, I, Half),
    ];
    roundings(1, |name, word, int, imm, result| {
        let op = if int { HalfOp::ToInt } else { HalfOp::Rint };
        cases.push(half(name, word, op, imm.into(), H, result));
    });
    roundings(2, |name, word, int, aux, result| {
        let op = if int { Op::F32Round } else { Op::FRint32 };
        cases.push(case(name, word, op, aux, 0, S, result));
    });
    roundings(3, |name, word, int, aux, result| {
        let op = if int { Op::F64Round } else { Op::FRint64 };
        cases.push(case(name, word, op, aux, 0, D, result));
    });
    cases
}

/// Fixed point in half precision, in all its widths and fraction bits.
pub fn fixed_point_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (_, to_fixed, signed, size) in fixed_point_forms().filter(|form| !form.0) {
        for frac in u32::from(size == 32)..=size {
            // As in single precision, with 1001 in bits 11 to 8.
            let field = size - frac;
            let word = 0xeeba_0940
                | u32::from(to_fixed) << 18
                | u32::from(!signed) << 16
                | u32::from(size == 32) << 7
                | (field & 1) << 5
                | field >> 1;
            let imm = size | frac << 8 | u32::from(signed) << 16;
            cases.push(if to_fixed {
                half("vcvt.fixed.f16", word, HalfOp::ToFixed, imm, H, Kind::Int)
            } else {
                half("vcvt.f16.fixed", word, HalfOp::FromFixed, imm, I, Kind::Half)
            });
        }
    }
    cases
}
