//! Advanced SIMD and ARMv8 VFP instructions as capstone writes them, from their decoded form: every field shows.

use emu::isa::insn::*;
use emu::isa::simd::{Rounding, *};

/// A base mnemonic, data types and operands; the condition goes behind the mnemonic.
pub struct Text {
    pub name: String,
    pub types: String,
    pub operands: String,
}

impl Text {
    fn new(name: impl Into<String>, types: impl Into<String>, operands: impl Into<String>) -> Text {
        Text {
            name: name.into(),
            types: types.into(),
            operands: operands.into(),
        }
    }

    /// The whole, under the condition that A32's bits 31 to 28 say.
    pub fn with_condition(&self, cond: u32) -> String {
        let conds = [
            "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "", "",
        ];
        format!(
            "{}{}{} {}",
            self.name, conds[cond as usize], self.types, self.operands
        )
    }
}

/// The text of the instructions that this file knows.
pub fn text(insn: &Insn) -> Option<Text> {
    match insn {
        Insn::Simd(simd) => Some(simd_text(simd)),
        Insn::Vfp(vfp) => vfp_text(vfp),
        _ => None,
    }
}

/// Capstone's text with VEXT in bytes, whatever lanes it counts in, and without an offset of minus zero.
pub fn plain(text: &str) -> String {
    let vext = || {
        let (lanes, rest) = text.strip_prefix("vext.")?.split_once(' ')?;
        let (registers, start) = rest.rsplit_once('#')?;
        let (lanes, start): (u64, u64) = (lanes.parse().ok()?, start.parse().ok()?);
        Some(format!("vext.8 {registers}{}", number(lanes / 8 * start)))
    };
    vext().unwrap_or_else(|| text.replace(", #-0]", "]"))
}

fn bits(size: u8) -> u32 {
    8 << size
}

fn sign(unsigned: bool) -> char {
    if unsigned { 'u' } else { 's' }
}

fn d(n: u8) -> String {
    format!("d{n}")
}

fn s(n: u8) -> String {
    format!("s{n}")
}

fn q(n: u8) -> String {
    assert!(n.is_multiple_of(2));
    format!("q{}", n / 2)
}

fn v(long: bool, n: u8) -> String {
    if long { q(n) } else { d(n) }
}

fn core(r: Reg) -> &'static str {
    [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "sb", "sl", "fp", "ip", "sp", "lr", "pc",
    ][usize::from(r.0)]
}

fn number(n: u64) -> String {
    if n > 9 {
        format!("#{n:#x}")
    } else {
        format!("#{n}")
    }
}

fn three_name(op: SimdThree) -> &'static str {
    use SimdThree::*;
    match op {
        And => "vand",
        Bic => "vbic",
        Orr => "vorr",
        Orn => "vorn",
        Eor => "veor",
        Bsl => "vbsl",
        Bit => "vbit",
        Bif => "vbif",
        Add | Fadd => "vadd",
        Sub | Fsub => "vsub",
        Mul | PolyMul | Fmul => "vmul",
        Mla | Fmla => "vmla",
        Mls | Fmls => "vmls",
        Hadd => "vhadd",
        Rhadd => "vrhadd",
        Hsub => "vhsub",
        Qadd => "vqadd",
        Qsub => "vqsub",
        Ceq | Fceq => "vceq",
        Cgt | Fcgt => "vcgt",
        Cge | Fcge => "vcge",
        Tst => "vtst",
        Max | Fmax => "vmax",
        Min | Fmin => "vmin",
        Abd | Fabd => "vabd",
        Aba => "vaba",
        Shl => "vshl",
        Qshl => "vqshl",
        Rshl => "vrshl",
        Qrshl => "vqrshl",
        Qdmulh => "vqdmulh",
        Qrdmulh => "vqrdmulh",
        Qrdmlah => "vqrdmlah",
        Qrdmlsh => "vqrdmlsh",
        Padd | Fpadd => "vpadd",
        Pmax | Fpmax => "vpmax",
        Pmin | Fpmin => "vpmin",
        Fma => "vfma",
        Fms => "vfms",
        Facge => "vacge",
        Facgt => "vacgt",
        Fmaxnm => "vmaxnm",
        Fminnm => "vminnm",
        Frecps => "vrecps",
        Frsqrts => "vrsqrts",
    }
}

fn three_types(op: SimdThree, size: u8, unsigned: bool) -> String {
    use SimdThree::*;
    let bits = bits(size);
    match op {
        And | Bic | Orr | Orn | Eor | Bsl | Bit | Bif => String::new(),
        Add | Sub | Mul | Mla | Mls | Ceq | Padd => format!(".i{bits}"),
        PolyMul => ".p8".to_string(),
        Tst => format!(".{bits}"),
        Fadd | Fsub | Fmul | Fmla | Fmls | Fma | Fms | Fabd | Fceq | Fcge | Fcgt | Facge | Facgt | Fmax
        | Fmin | Fmaxnm | Fminnm | Frecps | Frsqrts | Fpadd | Fpmax | Fpmin => format!(".f{bits}"),
        _ => format!(".{}{bits}", sign(unsigned)),
    }
}

fn long_name(op: SimdLong) -> &'static str {
    use SimdLong::*;
    match op {
        Addl => "vaddl",
        Subl => "vsubl",
        Abal => "vabal",
        Abdl => "vabdl",
        Mull | PolyMull => "vmull",
        Mlal => "vmlal",
        Mlsl => "vmlsl",
        Qdmull => "vqdmull",
        Qdmlal => "vqdmlal",
        Qdmlsl => "vqdmlsl",
    }
}

fn long_types(op: SimdLong, size: u8, unsigned: bool) -> String {
    match op {
        SimdLong::PolyMull => format!(".p{}", bits(size)),
        _ => format!(".{}{}", sign(unsigned), bits(size)),
    }
}

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

fn shift_name(op: SimdShift) -> &'static str {
    use SimdShift::*;
    match op {
        Shr => "vshr",
        Sra => "vsra",
        Rshr => "vrshr",
        Rsra => "vrsra",
        Sri => "vsri",
        Shl => "vshl",
        Sli => "vsli",
        Qshl => "vqshl",
        Qshlu => "vqshlu",
    }
}

fn shift_types(op: SimdShift, size: u8, unsigned: bool) -> String {
    match op {
        SimdShift::Sri | SimdShift::Sli => format!(".{}", bits(size)),
        SimdShift::Shl => format!(".i{}", bits(size)),
        _ => format!(".{}{}", sign(unsigned), bits(size)),
    }
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
fn modified_text(op: SimdImm, value: u64, long: bool, dest: u8) -> Vec<Text> {
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

/// As C's %e.
fn exponent(value: f32) -> String {
    let text = format!("{value:.6e}");
    let (mantissa, exponent) = text.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
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

fn crypto_name(op: CryptoThree) -> &'static str {
    use CryptoThree::*;
    match op {
        Sha1c => "sha1c",
        Sha1p => "sha1p",
        Sha1m => "sha1m",
        Sha1su0 => "sha1su0",
        Sha256h => "sha256h",
        Sha256h2 => "sha256h2",
        Sha256su1 => "sha256su1",
    }
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

fn round_letter(round: Rounding) -> &'static str {
    match round {
        Rounding::NearestAway => "a",
        Rounding::NearestEven => "n",
        Rounding::PlusInf => "p",
        Rounding::MinusInf => "m",
        Rounding::Zero => "z",
        Rounding::Fpscr => "r",
    }
}

/// The letter of VRINT.
fn rint_letter(round: Rounding, exact: bool) -> &'static str {
    if exact { "x" } else { round_letter(round) }
}

/// VCVT's letter: none for VCVT itself.
fn cvt_letter(round: Rounding) -> &'static str {
    if round == Rounding::Zero {
        ""
    } else {
        round_letter(round)
    }
}

/// A text that stands for all that an assembler could write: of a modified immediate there may be several.
pub fn alternatives(insn: &Insn) -> Vec<Text> {
    match *insn {
        Insn::Simd(Simd::ModifiedImm { op, value, q, d }) => modified_text(op, value, q, d),
        _ => text(insn).into_iter().collect(),
    }
}

fn simd_text(simd: &Simd) -> Text {
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
        } => modified_text(op, value, long, d).swap_remove(0),
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

fn vfp_text(vfp: &Vfp) -> Option<Text> {
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
