//! The text of Advanced SIMD instructions.

use super::names::*;
use super::{Text, bits, core, cvt_letter, d, exponent, number, q, rint_letter, s, sign, v};
use emu::isa::simd::*;

fn two_text(op: SimdTwo, size: u8, unsigned: bool, long: bool, dest: u8, m: u8) -> Text {
    use SimdTwo::*;
    let bits = bits(size);
    let (name, types, zero) = match op {
        Rev16 => ("vrev16", format!(".{bits}"), false),
        Rev32 => ("vrev32", format!(".{bits}"), false),
        Rev64 => ("vrev64", format!(".{bits}"), false),
        Paddl => ("vpaddl", format!(".{}{bits}", sign(unsigned)), false),
        Padal => ("vpadal", format!(".{}{bits}", sign(unsigned)), false),
        Cls => ("vcls", format!(".s{bits}"), false),
        Clz => ("vclz", format!(".i{bits}"), false),
        Cnt => ("vcnt", ".8".to_string(), false),
        Mvn => ("vmvn", String::new(), false),
        Qabs => ("vqabs", format!(".s{bits}"), false),
        Qneg => ("vqneg", format!(".s{bits}"), false),
        Abs => ("vabs", format!(".s{bits}"), false),
        Neg => ("vneg", format!(".s{bits}"), false),
        CgtZero => ("vcgt", format!(".s{bits}"), true),
        CgeZero => ("vcge", format!(".s{bits}"), true),
        CeqZero => ("vceq", format!(".i{bits}"), true),
        CleZero => ("vcle", format!(".s{bits}"), true),
        CltZero => ("vclt", format!(".s{bits}"), true),
        Recpe => ("vrecpe", format!(".u{bits}"), false),
        Rsqrte => ("vrsqrte", format!(".u{bits}"), false),
        Fabs => ("vabs", format!(".f{bits}"), false),
        Fneg => ("vneg", format!(".f{bits}"), false),
        FcgtZero => ("vcgt", format!(".f{bits}"), true),
        FcgeZero => ("vcge", format!(".f{bits}"), true),
        FceqZero => ("vceq", format!(".f{bits}"), true),
        FcleZero => ("vcle", format!(".f{bits}"), true),
        FcltZero => ("vclt", format!(".f{bits}"), true),
        Frecpe => ("vrecpe", format!(".f{bits}"), false),
        Frsqrte => ("vrsqrte", format!(".f{bits}"), false),
    };
    let zero = if zero { ", #0" } else { "" };
    Text::new(name, types, format!("{}, {}{zero}", v(long, dest), v(long, m)))
}

fn narrow_text(op: SimdNarrow, size: u8, unsigned: bool, amount: u8, dest: u8, m: u8) -> Text {
    use SimdNarrow::*;
    let (name, kind) = match (op, amount) {
        (Shrn, 0) => ("vmovn", 'i'),
        (Qshrn, 0) => ("vqmovn", sign(unsigned)),
        (Qshrun, 0) => ("vqmovun", 's'),
        (Shrn, _) => ("vshrn", 'i'),
        (Rshrn, _) => ("vrshrn", 'i'),
        (Qshrn, _) => ("vqshrn", sign(unsigned)),
        (Qrshrn, _) => ("vqrshrn", sign(unsigned)),
        (Qshrun, _) => ("vqshrun", 's'),
        (Qrshrun, _) => ("vqrshrun", 's'),
    };
    let amount = match amount {
        0 => String::new(),
        n => format!(", {}", number(u64::from(n))),
    };
    let operands = format!("{}, {}{amount}", d(dest), q(m));
    Text::new(name, format!(".{kind}{}", 2 * bits(size)), operands)
}

/// The immediate as an assembler has it: the smallest lane of which the value is a repetition, and whose single
/// non-zero byte it is (or, with ones below it, MSL's forms).
pub fn modified(op: SimdImm, value: u64, long: bool, dest: u8) -> Vec<Text> {
    let names = match op {
        SimdImm::Mov => [("vmov", value), ("vmvn", !value)],
        SimdImm::Orr => [("vorr", value); 2],
        SimdImm::Bic => [("vbic", value); 2],
    };
    let mut texts = Vec::new();
    for (name, value) in names {
        let push = |texts: &mut Vec<Text>, types: String, imm: String| {
            texts.push(Text::new(name, types, format!("{}, {imm}", v(long, dest))));
        };
        for size in [0, 1, 2, 3] {
            let lane = if size == 3 {
                value
            } else {
                value & ((1 << bits(size)) - 1)
            };
            let repeated =
                (0..64 / bits(size)).all(|i| (value >> (i * bits(size)) ^ lane) << (64 - bits(size)) == 0);
            if repeated {
                push(&mut texts, format!(".i{}", bits(size)), number(lane));
            }
        }
        if value >> 32 == value & 0xffff_ffff
            && value & 0x7_ffff == 0
            && f32::from_bits(value as u32).is_normal()
        {
            let float = f32::from_bits(value as u32);
            push(&mut texts, ".f32".into(), format!("#{}", exponent(float)));
        }
    }
    texts
}

fn address(a: &SimdAddress) -> String {
    let align = match a.align {
        1 => String::new(),
        n => format!(":{:#x}", 8 * u32::from(n)),
    };
    let post = match a.post {
        PostIndex::None => String::new(),
        PostIndex::By(_) => "!".to_string(),
        PostIndex::Reg(r) => format!(", {}", core(r)),
    };
    format!("[{}{align}]{post}", core(a.rn))
}

fn list(registers: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", registers.collect::<Vec<_>>().join(", "))
}

fn structures_text(kind: &str, a: &Structures) -> Text {
    let count = a.elements * a.groups;
    let inc = if a.groups > 1 { 1 } else { a.inc };
    let registers = list((0..count).map(|i| d(a.d + i * inc)));
    let name = format!("{kind}{}", a.elements);
    if let PostIndex::By(n) = a.addr.post {
        assert_eq!(n, 8 * count);
    }
    let operands = format!("{registers}, {}", address(&a.addr));
    Text::new(name, format!(".{}", bits(a.size)), operands)
}

fn lane_text(kind: &str, a: &Lane) -> Text {
    let registers = list((0..a.elements).map(|i| format!("{}[{}]", d(a.d + i * a.inc), a.index)));
    if let PostIndex::By(n) = a.addr.post {
        assert_eq!(n, a.elements << a.size);
    }
    let operands = format!("{registers}, {}", address(&a.addr));
    Text::new(
        format!("{kind}{}", a.elements),
        format!(".{}", bits(a.size)),
        operands,
    )
}

/// Lane of a scalar operand, where there is one.
fn lane(index: Option<u8>) -> String {
    index.map_or(String::new(), |i| format!("[{i}]"))
}

/// `m` as a vector, or as a register with a lane.
fn vector_or_scalar(long: bool, m: u8, index: Option<u8>) -> String {
    match index {
        Some(i) => format!("{}[{i}]", d(m)),
        None => v(long, m),
    }
}

pub fn text(simd: &Simd) -> Text {
    match *simd {
        Simd::Three {
            op,
            size,
            unsigned,
            q: long,
            d: dest,
            n,
            m,
        } => {
            use SimdThree::*;
            let types = three_types(op, size, unsigned);
            let (a, b) = match op {
                Shl | Qshl | Rshl | Qrshl => (m, n),
                _ => (n, m),
            };
            let operands = format!("{}, {}, {}", v(long, dest), v(long, a), v(long, b));
            Text::new(three_name(op), types, operands)
        }
        Simd::ByScalar {
            op,
            size,
            q: long,
            d: dest,
            n,
            m,
            index,
        } => {
            let operands = format!("{}, {}, {}[{index}]", v(long, dest), v(long, n), d(m));
            Text::new(three_name(op), three_types(op, size, false), operands)
        }
        Simd::Long {
            op,
            size,
            unsigned,
            d: dest,
            n,
            m,
        } => {
            let operands = format!("{}, {}, {}", q(dest), d(n), d(m));
            Text::new(long_name(op), long_types(op, size, unsigned), operands)
        }
        Simd::LongByScalar {
            op,
            size,
            unsigned,
            d: dest,
            n,
            m,
            index,
        } => {
            let operands = format!("{}, {}, {}[{index}]", q(dest), d(n), d(m));
            Text::new(long_name(op), long_types(op, size, unsigned), operands)
        }
        Simd::Wide {
            sub,
            size,
            unsigned,
            d: dest,
            n,
            m,
        } => {
            let name = if sub { "vsubw" } else { "vaddw" };
            let operands = format!("{}, {}, {}", q(dest), q(n), d(m));
            Text::new(name, format!(".{}{}", sign(unsigned), bits(size)), operands)
        }
        Simd::HighHalf {
            op,
            size,
            d: dest,
            n,
            m,
        } => {
            let name = match op {
                SimdHighHalf::Addhn => "vaddhn",
                SimdHighHalf::Raddhn => "vraddhn",
                SimdHighHalf::Subhn => "vsubhn",
                SimdHighHalf::Rsubhn => "vrsubhn",
            };
            let operands = format!("{}, {}, {}", d(dest), q(n), q(m));
            Text::new(name, format!(".i{}", 2 * bits(size)), operands)
        }
        Simd::Two {
            op,
            size,
            unsigned,
            q: long,
            d: dest,
            m,
        } => two_text(op, size, unsigned, long, dest, m),
        Simd::Permute {
            op,
            size,
            q: long,
            d: dest,
            m,
        } => {
            let (name, types) = match op {
                SimdPermute::Swp => ("vswp", String::new()),
                SimdPermute::Trn => ("vtrn", format!(".{}", bits(size))),
                SimdPermute::Uzp => ("vuzp", format!(".{}", bits(size))),
                SimdPermute::Zip => ("vzip", format!(".{}", bits(size))),
            };
            Text::new(name, types, format!("{}, {}", v(long, dest), v(long, m)))
        }
        Simd::Shift {
            op,
            size,
            unsigned,
            q: long,
            amount,
            d: dest,
            m,
        } => {
            let operands = format!("{}, {}, {}", v(long, dest), v(long, m), number(u64::from(amount)));
            Text::new(shift_name(op), shift_types(op, size, unsigned), operands)
        }
        Simd::Narrow {
            op,
            size,
            unsigned,
            amount,
            d,
            m,
        } => narrow_text(op, size, unsigned, amount, d, m),
        Simd::ShiftLong {
            size,
            unsigned,
            amount,
            d: dest,
            m,
        } => {
            let bits = bits(size);
            let whole = u32::from(amount) == bits;
            let types = format!(".{}{bits}", if whole { 'i' } else { sign(unsigned) });
            match amount {
                0 => Text::new("vmovl", types, format!("{}, {}", q(dest), d(m))),
                n => {
                    let operands = format!("{}, {}, {}", q(dest), d(m), number(u64::from(n)));
                    Text::new("vshll", types, operands)
                }
            }
        }
        Simd::ModifiedImm {
            op,
            value,
            q: long,
            d,
        } => modified(op, value, long, d).swap_remove(0),
        Simd::Ext {
            start,
            q: long,
            d: dest,
            n,
            m,
        } => {
            let operands = format!("{}, {}, {}", v(long, dest), v(long, n), v(long, m));
            Text::new("vext", ".8", format!("{operands}, {}", number(u64::from(start))))
        }
        Simd::Table {
            keep,
            len,
            d: dest,
            n,
            m,
        } => {
            let name = if keep { "vtbx" } else { "vtbl" };
            let table = list((n..n + len).map(d));
            Text::new(name, ".8", format!("{}, {table}, {}", d(dest), d(m)))
        }
        Simd::DupScalar {
            size,
            index,
            q: long,
            d: dest,
            m,
        } => {
            let operands = format!("{}, {}[{index}]", v(long, dest), d(m));
            Text::new("vdup", format!(".{}", bits(size)), operands)
        }
        Simd::DupCore {
            size,
            q: long,
            d: dest,
            rt,
        } => Text::new(
            "vdup",
            format!(".{}", bits(size)),
            format!("{}, {}", v(long, dest), core(rt)),
        ),
        Simd::MovLane {
            to_core,
            size,
            unsigned,
            index,
            d: register,
            rt,
        } => {
            let lane = format!("{}[{index}]", d(register));
            match to_core {
                true => Text::new(
                    "vmov",
                    format!(".{}{}", sign(unsigned), bits(size)),
                    format!("{}, {lane}", core(rt)),
                ),
                false => Text::new(
                    "vmov",
                    format!(".{}", bits(size)),
                    format!("{lane}, {}", core(rt)),
                ),
            }
        }
        Simd::ToInt {
            size,
            unsigned,
            round,
            q: long,
            d: dest,
            m,
        } => Text::new(
            format!("vcvt{}", cvt_letter(round)),
            format!(".{}{}.f{}", sign(unsigned), bits(size), bits(size)),
            format!("{}, {}", v(long, dest), v(long, m)),
        ),
        Simd::FromInt {
            size,
            unsigned,
            q: long,
            d: dest,
            m,
        } => Text::new(
            "vcvt",
            format!(".f{}.{}{}", bits(size), sign(unsigned), bits(size)),
            format!("{}, {}", v(long, dest), v(long, m)),
        ),
        Simd::ToFixed {
            size,
            unsigned,
            frac,
            q: long,
            d: dest,
            m,
        } => Text::new(
            "vcvt",
            format!(".{}{}.f{}", sign(unsigned), bits(size), bits(size)),
            format!("{}, {}, {}", v(long, dest), v(long, m), number(u64::from(frac))),
        ),
        Simd::FromFixed {
            size,
            unsigned,
            frac,
            q: long,
            d: dest,
            m,
        } => Text::new(
            "vcvt",
            format!(".f{}.{}{}", bits(size), sign(unsigned), bits(size)),
            format!("{}, {}, {}", v(long, dest), v(long, m), number(u64::from(frac))),
        ),
        Simd::Rint {
            size,
            round,
            exact,
            q: long,
            d: dest,
            m,
        } => Text::new(
            format!("vrint{}", rint_letter(round, exact)),
            format!(".f{}", bits(size)),
            format!("{}, {}", v(long, dest), v(long, m)),
        ),
        Simd::ToHalf { d: dest, m } => Text::new("vcvt", ".f16.f32", format!("{}, {}", d(dest), q(m))),
        Simd::FromHalf { d: dest, m } => Text::new("vcvt", ".f32.f16", format!("{}, {}", q(dest), d(m))),
        Simd::ToBf16 { d: dest, m } => Text::new("vcvt", ".bf16.f32", format!("{}, {}", d(dest), q(m))),
        Simd::Dot {
            unsigned_n,
            unsigned_m,
            q: long,
            d: dest,
            n,
            m,
            index,
        } => {
            let (name, types) = match (unsigned_n, unsigned_m) {
                (false, false) => ("vsdot", ".s8"),
                (true, true) => ("vudot", ".u8"),
                (true, false) => ("vusdot", ".s8"),
                (false, true) => ("vsudot", ".u8"),
            };
            let m = vector_or_scalar(long, m, index);
            Text::new(name, types, format!("{}, {}, {m}", v(long, dest), v(long, n)))
        }
        Simd::MatMul {
            unsigned_n,
            unsigned_m,
            d: dest,
            n,
            m,
        } => {
            let (name, types) = match (unsigned_n, unsigned_m) {
                (false, _) => ("vsmmla", ".s8"),
                (true, true) => ("vummla", ".u8"),
                (true, false) => ("vusmmla", ".s8"),
            };
            Text::new(name, types, format!("{}, {}, {}", q(dest), q(n), q(m)))
        }
        Simd::BfDot {
            q: long,
            d: dest,
            n,
            m,
            index,
        } => {
            let m = vector_or_scalar(long, m, index);
            Text::new("vdot", ".bf16", format!("{}, {}, {m}", v(long, dest), v(long, n)))
        }
        Simd::BfMatMul { d: dest, n, m } => {
            Text::new("vmmla", ".bf16", format!("{}, {}, {}", q(dest), q(n), q(m)))
        }
        Simd::BfMlal {
            top,
            d: dest,
            n,
            m,
            index,
        } => {
            let name = if top { "vfmat" } else { "vfmab" };
            let m = vector_or_scalar(true, m, index);
            Text::new(name, ".bf16", format!("{}, {}, {m}", q(dest), q(n)))
        }
        Simd::HalfMlal {
            sub,
            q: long,
            d: dest,
            n,
            m,
            index,
        } => {
            let name = if sub { "vfmsl" } else { "vfmal" };
            let source = if long { d } else { s };
            let operands = format!("{}, {}, {}{}", v(long, dest), source(n), source(m), lane(index));
            Text::new(name, ".f16", operands)
        }
        Simd::ComplexAdd {
            size,
            rotate,
            q: long,
            d: dest,
            n,
            m,
        } => {
            let operands = format!("{}, {}, {}", v(long, dest), v(long, n), v(long, m));
            let rotate = number(u64::from(rotate));
            Text::new(
                "vcadd",
                format!(".f{}", bits(size)),
                format!("{operands}, {rotate}"),
            )
        }
        Simd::ComplexMla {
            size,
            rotate,
            q: long,
            d: dest,
            n,
            m,
            index,
        } => {
            let m = vector_or_scalar(long, m, index);
            let rotate = number(u64::from(rotate));
            let operands = format!("{}, {}, {m}, {rotate}", v(long, dest), v(long, n));
            Text::new("vcmla", format!(".f{}", bits(size)), operands)
        }
        Simd::CryptoTwo { op, d: dest, m } => {
            let (name, types) = match op {
                CryptoTwo::Aese => ("aese", ".8"),
                CryptoTwo::Aesd => ("aesd", ".8"),
                CryptoTwo::Aesmc => ("aesmc", ".8"),
                CryptoTwo::Aesimc => ("aesimc", ".8"),
                CryptoTwo::Sha1h => ("sha1h", ".32"),
                CryptoTwo::Sha1su1 => ("sha1su1", ".32"),
                CryptoTwo::Sha256su0 => ("sha256su0", ".32"),
            };
            Text::new(name, types, format!("{}, {}", q(dest), q(m)))
        }
        Simd::CryptoThree { op, d: dest, n, m } => {
            Text::new(crypto_name(op), ".32", format!("{}, {}, {}", q(dest), q(n), q(m)))
        }
        Simd::Load(ref a) => structures_text("vld", a),
        Simd::Store(ref a) => structures_text("vst", a),
        Simd::LoadLane(ref a) => lane_text("vld", a),
        Simd::StoreLane(ref a) => lane_text("vst", a),
        Simd::LoadAllLanes {
            elements,
            regs,
            inc,
            size,
            d: first,
            ref addr,
        } => {
            let count = elements.max(regs);
            let registers = list((0..count).map(|i| format!("{}[]", d(first + i * inc))));
            if let PostIndex::By(n) = addr.post {
                assert_eq!(n, elements << size);
            }
            let operands = format!("{registers}, {}", address(addr));
            Text::new(format!("vld{elements}"), format!(".{}", bits(size)), operands)
        }
    }
}
