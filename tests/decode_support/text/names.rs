//! Mnemonics and data types of Advanced SIMD operations.

use super::{bits, sign};
use emu::isa::simd::*;

pub fn three_name(op: SimdThree) -> &'static str {
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

pub fn three_types(op: SimdThree, size: u8, unsigned: bool) -> String {
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

pub fn long_name(op: SimdLong) -> &'static str {
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

pub fn long_types(op: SimdLong, size: u8, unsigned: bool) -> String {
    match op {
        SimdLong::PolyMull => format!(".p{}", bits(size)),
        _ => format!(".{}{}", sign(unsigned), bits(size)),
    }
}

pub fn shift_name(op: SimdShift) -> &'static str {
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

pub fn shift_types(op: SimdShift, size: u8, unsigned: bool) -> String {
    match op {
        SimdShift::Sri | SimdShift::Sli => format!(".{}", bits(size)),
        SimdShift::Shl => format!(".i{}", bits(size)),
        _ => format!(".{}{}", sign(unsigned), bits(size)),
    }
}

pub fn crypto_name(op: CryptoThree) -> &'static str {
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
