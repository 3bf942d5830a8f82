//! The text of ARMv8 VFP and half-precision instructions.

use super::{Text, core, cvt_letter, d, exponent, number, rint_letter, s, sign};
use emu::isa::insn::*;

fn arith_name(op: VfpArith) -> &'static str {
    use VfpArith::*;
    match op {
        Vmla => "vmla",
        Vmls => "vmls",
        Vnmla => "vnmla",
        Vnmls => "vnmls",
        Vmul => "vmul",
        Vnmul => "vnmul",
        Vadd => "vadd",
        Vsub => "vsub",
        Vdiv => "vdiv",
        Vfma => "vfma",
        Vfms => "vfms",
        Vfnma => "vfnma",
        Vfnms => "vfnms",
    }
}

fn select_name(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "vseleq",
        Cond::Vs => "vselvs",
        Cond::Ge => "vselge",
        Cond::Gt => "vselgt",
        other => panic!("VSEL has no condition {other:?}"),
    }
}

/// Integer signedness and size of a conversion's type.
fn int(signed: bool, size: u8) -> String {
    format!("{}{size}", sign(!signed))
}

pub fn text(vfp: &Vfp) -> Option<Text> {
    let register = |double: bool, n: u8| if double { d(n) } else { s(n) };
    let width = |double: bool| if double { 64 } else { 32 };
    Some(match *vfp {
        Vfp::CvtHalf {
            to_half,
            double,
            top,
            d: dest,
            m,
        } => {
            let name = if top { "vcvtt" } else { "vcvtb" };
            let width = width(double);
            match to_half {
                true => Text::new(
                    name,
                    format!(".f16.f{width}"),
                    format!("{}, {}", s(dest), register(double, m)),
                ),
                false => Text::new(
                    name,
                    format!(".f{width}.f16"),
                    format!("{}, {}", register(double, dest), s(m)),
                ),
            }
        }
        Vfp::Select {
            cond,
            double,
            d: dest,
            n,
            m,
        } => {
            let r = |n| register(double, n);
            let operands = format!("{}, {}, {}", r(dest), r(n), r(m));
            Text::new(select_name(cond), format!(".f{}", width(double)), operands)
        }
        Vfp::MinMaxNm {
            max,
            double,
            d: dest,
            n,
            m,
        } => {
            let r = |n| register(double, n);
            let operands = format!("{}, {}, {}", r(dest), r(n), r(m));
            let name = if max { "vmaxnm" } else { "vminnm" };
            Text::new(name, format!(".f{}", width(double)), operands)
        }
        Vfp::Rint {
            round,
            exact,
            double,
            d: dest,
            m,
        } => Text::new(
            format!("vrint{}", rint_letter(round, exact)),
            format!(".f{}", width(double)),
            format!("{}, {}", register(double, dest), register(double, m)),
        ),
        Vfp::CvtRound {
            round,
            double,
            signed,
            d: dest,
            m,
        } => Text::new(
            format!("vcvt{}", cvt_letter(round)),
            format!(".{}.f{}", int(signed, 32), width(double)),
            format!("{}, {}", s(dest), register(double, m)),
        ),
        Vfp::CvtJs { d: dest, m } => Text::new("vjcvt", ".s32.f64", format!("{}, {}", s(dest), d(m))),
        Vfp::CvtBf16 { top, d: dest, m } => {
            let name = if top { "vcvtt" } else { "vcvtb" };
            Text::new(name, ".bf16.f32", format!("{}, {}", s(dest), s(m)))
        }
        Vfp::Half(ref half) => half_text(half),
        _ => return None,
    })
}

fn half_text(half: &VfpHalf) -> Text {
    let typed = |name: &str, operands: String| Text::new(name, ".f16", operands);
    match *half {
        VfpHalf::Arith { op, d, n, m } => typed(arith_name(op), format!("s{d}, s{n}, s{m}")),
        VfpHalf::Unary { op, d, m } => {
            let name = match op {
                VfpUnary::Vmov => "vmov",
                VfpUnary::Vabs => "vabs",
                VfpUnary::Vneg => "vneg",
                VfpUnary::Vsqrt => "vsqrt",
            };
            typed(name, format!("s{d}, s{m}"))
        }
        VfpHalf::MovImm { d, bits } => {
            // Normal numbers only: exponents -3 to 4, four fraction bits.
            let magnitude = f32::from_bits((u32::from(bits & 0x7fff) << 13) + (112 << 23));
            let value = if bits >> 15 == 1 { -magnitude } else { magnitude };
            typed("vmov", format!("s{d}, #{}", exponent(value)))
        }
        VfpHalf::Cmp { signal, d, m } => {
            let name = if signal { "vcmpe" } else { "vcmp" };
            typed(name, format!("s{d}, {}", m.map_or("#0".to_string(), s)))
        }
        VfpHalf::CvtFromInt { signed, d, m } => {
            Text::new("vcvt", format!(".f16.{}", int(signed, 32)), format!("s{d}, s{m}"))
        }
        VfpHalf::CvtToInt { round, signed, d, m } => Text::new(
            format!("vcvt{}", cvt_letter(round)),
            format!(".{}.f16", int(signed, 32)),
            format!("s{d}, s{m}"),
        ),
        VfpHalf::CvtFixed {
            to_fixed,
            signed,
            size,
            frac,
            d,
        } => {
            let int = int(signed, size);
            let types = match to_fixed {
                true => format!(".{int}.f16"),
                false => format!(".f16.{int}"),
            };
            Text::new("vcvt", types, format!("s{d}, s{d}, {}", number(u64::from(frac))))
        }
        VfpHalf::Select { cond, d, n, m } => typed(select_name(cond), format!("s{d}, s{n}, s{m}")),
        VfpHalf::MinMaxNm { max, d, n, m } => {
            let name = if max { "vmaxnm" } else { "vminnm" };
            typed(name, format!("s{d}, s{n}, s{m}"))
        }
        VfpHalf::Rint { round, exact, d, m } => typed(
            &format!("vrint{}", rint_letter(round, exact)),
            format!("s{d}, s{m}"),
        ),
        VfpHalf::Load { d, rn, offset } => Text::new("vldr", ".16", half_access(d, rn, offset)),
        VfpHalf::Store { d, rn, offset } => Text::new("vstr", ".16", half_access(d, rn, offset)),
        VfpHalf::MovCore { to_core: true, rt, s } => typed("vmov", format!("{}, s{s}", core(rt))),
        VfpHalf::MovCore {
            to_core: false,
            rt,
            s,
        } => typed("vmov", format!("s{s}, {}", core(rt))),
        VfpHalf::MovX { d, m } => typed("vmovx", format!("s{d}, s{m}")),
        VfpHalf::Ins { d, m } => typed("vins", format!("s{d}, s{m}")),
    }
}

fn half_access(d: u8, rn: Reg, offset: i32) -> String {
    let offset = match offset {
        0 => String::new(),
        n if n < 0 => format!(", #-{}", &number(u64::from(n.unsigned_abs()))[1..]),
        n => format!(", {}", number(n as u64)),
    };
    format!("s{d}, [{}{offset}]", core(rn))
}
