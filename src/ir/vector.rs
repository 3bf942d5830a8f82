//! The vector operations: what [`Op::Vec`], [`Op::VecSat`] and [`Op::VecFp`] compute.
//!
//! A vector value is 128 bits. `Inst::aux` is a [`VecOp`], `Inst::imm2` a [`Shape`], `Inst::imm` the immediate that
//! the operation's comment names. A D-form operation (without [`Shape::Q`]) computes the low 64 bits from the low 64
//! bits of its operands; the upper half of its value is unspecified (the interpreter yields zeros, the back end what
//! comes cheapest), and nothing that is kept may depend on it. Lane 0 is the least significant.
//!
//! "Esize" is [`Shape::esize`] in bits. Widening operations take esize lanes from the low 64 bits and yield lanes of
//! twice that size in 128 bits; narrowing ones take 128 bits of lanes twice esize and yield esize lanes in the low 64.
//! Signedness is [`Shape::UNSIGNED`] where the comment says (U).

use super::ops::Op;

/// Lane size, vector length and signedness of a vector operation, in the low byte of `Inst::imm2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape(pub u8);

impl Shape {
    /// 128-bit form.
    pub const Q: u8 = 4;
    pub const UNSIGNED: u8 = 8;

    /// `log2_bytes` 0-3: lanes of 8, 16, 32, 64 bits.
    pub const fn new(log2_bytes: u8, q: bool, unsigned: bool) -> Shape {
        Shape(log2_bytes & 3 | if q { Shape::Q } else { 0 } | if unsigned { Shape::UNSIGNED } else { 0 })
    }

    /// Lane size in bits: 8, 16, 32, 64.
    pub const fn esize(self) -> u32 {
        8 << (self.0 & 3)
    }

    pub const fn log2_bytes(self) -> u8 {
        self.0 & 3
    }

    pub const fn is_q(self) -> bool {
        self.0 & Shape::Q != 0
    }

    pub const fn is_unsigned(self) -> bool {
        self.0 & Shape::UNSIGNED != 0
    }

    /// Bytes of the vector: 8 or 16.
    pub const fn bytes(self) -> u32 {
        if self.is_q() { 16 } else { 8 }
    }

    pub const fn lanes(self) -> u32 {
        self.bytes() >> self.log2_bytes()
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.is_unsigned() { "u" } else { "" };
        write!(f, "{}x{sign}{}", self.lanes(), self.esize())
    }
}

/// Rounding of [`VecOp::FToInt`], [`VecOp::FRint`] and their scalar kin; the discriminant is the immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RoundTo {
    NearestEven = 0,
    PlusInf = 1,
    MinusInf = 2,
    Zero = 3,
    NearestAway = 4,
    /// As FPSCR.RMode says (scalar operations only).
    Fpscr = 5,
}

/// Operations of [`Op::Half`] on a, b, c; the discriminant is `aux`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum HalfOp {
    Add = 0,
    Sub = 1,
    Mul = 2,
    Div = 3,
    /// Of a.
    Sqrt = 4,
    /// Fused a + b * c.
    Ma = 5,
    MinNm = 6,
    MaxNm = 7,
    /// a to integral; imm bits 2-0 a [`RoundTo`], bit 3: raise Inexact.
    Rint = 8,
    /// a to a 32-bit integer, saturating; imm bits 2-0 a [`RoundTo`], bit 3: signed.
    ToInt = 9,
    /// From the 32-bit integer a; imm bit 3: signed.
    FromInt = 10,
    /// a to fixed point, towards zero: imm bits 15-8 fraction bits, bits 7-0 the size 16 or 32, bit 16: signed;
    /// extended to 32 bits according to its signedness.
    ToFixed = 11,
    /// From fixed point (a's low bits), round to nearest; imm as for ToFixed.
    FromFixed = 12,
}

impl HalfOp {
    pub const ALL: [HalfOp; 13] = [
        HalfOp::Add,
        HalfOp::Sub,
        HalfOp::Mul,
        HalfOp::Div,
        HalfOp::Sqrt,
        HalfOp::Ma,
        HalfOp::MinNm,
        HalfOp::MaxNm,
        HalfOp::Rint,
        HalfOp::ToInt,
        HalfOp::FromInt,
        HalfOp::ToFixed,
        HalfOp::FromFixed,
    ];

    /// The operation with this discriminant.
    pub fn from_aux(aux: u8) -> Option<HalfOp> {
        HalfOp::ALL.get(usize::from(aux)).copied()
    }

    /// Number of operands, 1 to 3.
    pub fn args(self) -> usize {
        match self {
            HalfOp::Add | HalfOp::Sub | HalfOp::Mul | HalfOp::Div | HalfOp::MinNm | HalfOp::MaxNm => 2,
            HalfOp::Ma => 3,
            _ => 1,
        }
    }
}

macro_rules! vec_ops {
    ($( $(#[$doc:meta])* $name:ident $class:ident $args:literal; )*) => {
        /// Vector operations on operands a, b, c.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum VecOp { $( $(#[$doc])* $name, )* }

        impl VecOp {
            /// Every operation, in table order.
            pub const ALL: &'static [VecOp] = &[ $( VecOp::$name, )* ];

            pub fn name(self) -> &'static str {
                match self { $( VecOp::$name => stringify!($name), )* }
            }

            /// The operation of the main table it comes under: what effects it has.
            pub fn class(self) -> Op {
                match self { $( VecOp::$name => Op::$class, )* }
            }

            /// Number of operands, 1 to 3.
            pub fn args(self) -> usize {
                match self { $( VecOp::$name => $args, )* }
            }

            /// The operation with this discriminant.
            pub fn from_aux(aux: u8) -> Option<VecOp> {
                VecOp::ALL.get(usize::from(aux)).copied()
            }
        }
    };
}

vec_ops! {
    // --- bitwise (esize does not matter) ---
    And Vec 2;
    Or Vec 2;
    Xor Vec 2;
    /// a & !b.
    AndNot Vec 2;
    /// a | !b.
    OrNot Vec 2;
    Not Vec 1;
    /// (a & b) | (!a & c): a is the mask.
    BitSelect Vec 3;

    // --- integer lanes ---
    Add Vec 2;
    Sub Vec 2;
    /// Low half of the product; esize 8, 16, 32.
    Mul Vec 2;
    Neg Vec 1;
    /// Absolute value, of the minimum itself.
    Abs Vec 1;
    /// (a + b) >> 1 without overflow (U).
    HAdd Vec 2;
    /// (a + b + 1) >> 1 (U).
    RHAdd Vec 2;
    /// (a - b) >> 1 (U).
    HSub Vec 2;
    /// (U).
    Min Vec 2;
    /// (U).
    Max Vec 2;
    /// |a - b| as an unsigned number of esize bits (U: how a and b are read).
    AbsDiff Vec 2;
    /// All ones where equal, else zero.
    CmpEq Vec 2;
    /// a > b (U).
    CmpGt Vec 2;
    /// a >= b (U).
    CmpGe Vec 2;
    /// All ones where a & b is not zero.
    Tst Vec 2;
    /// Leading zeros; esize 8, 16, 32.
    Clz Vec 1;
    /// Leading bits equal to the sign bit, itself not counted.
    Cls Vec 1;
    /// Ones in each byte (esize 8).
    Cnt Vec 1;
    /// Carry-less product of bytes, low 8 bits (esize 8).
    PolyMul Vec 2;
    /// Lanes of the low half: sums of neighbours of a; of the high half: of b. D form.
    PairAdd Vec 2;
    /// (U) D form.
    PairMin Vec 2;
    /// (U) D form.
    PairMax Vec 2;
    /// Sums of neighbours, as lanes of twice esize (U); length as the shape says.
    PairAddLong Vec 1;

    // --- shifts ---
    /// Left by imm, 0 to esize - 1.
    Shl Vec 1;
    /// Right by imm, 1 to esize (U).
    Shr Vec 1;
    /// Right by imm, 1 to esize, rounding half up (U).
    RShr Vec 1;
    /// a shifted left by the signed low byte of each lane of b, right if negative (U).
    ShlVar Vec 2;
    /// The same, rounding half up when shifting right (U).
    RShlVar Vec 2;
    /// b << imm, with the low imm bits of a kept; imm 0 to esize - 1.
    ShlInsert Vec 2;
    /// b >> imm, with the high imm bits of a kept; imm 1 to esize.
    ShrInsert Vec 2;

    // --- widening and narrowing ---
    /// (U).
    Widen Vec 1;
    /// (U); esize 8, 16, 32.
    MulLong Vec 2;
    /// Carry-less; esize 8 (lanes of 16) or 64 (one of 128).
    PolyMulLong Vec 2;
    /// Low halves of the lanes, after a logical right shift by imm, 0 to esize.
    NarrowShr Vec 1;
    /// The same, rounding half up (imm at least 1).
    NarrowRShr Vec 1;

    // --- permutations ---
    /// Lane imm of a (of its low 64 or all 128 bits: any lane number below 128 / esize) in every lane.
    DupLane Vec 1;
    /// Bytes imm and up of b:a (a the lower); imm below the vector's length.
    Ext Vec 2;
    /// Lanes reversed within containers of 2^imm bytes.
    Rev Vec 1;
    /// Even lanes: of a's even; odd lanes: of b's even.
    TrnEven Vec 2;
    /// Even lanes: of a's odd; odd lanes: of b's odd.
    TrnOdd Vec 2;
    /// Lanes of the lower halves of a and b, alternating.
    ZipLo Vec 2;
    /// Lanes of the upper halves of a and b, alternating.
    ZipHi Vec 2;
    /// Even lanes of a, then of b.
    UzpEven Vec 2;
    /// Odd lanes of a, then of b.
    UzpOdd Vec 2;
    /// Byte c[i] of the table b:a (a bytes 0-15) of imm bytes (8, 16, 24, 32), 0 where c[i] >= imm. D form.
    Table Vec 3;
    /// Element imm (0-2) of each structure of three: a bytes 0-15, b (low half) bytes 16-23. D form.
    Deinterleave3 Vec 2;
    /// Bytes 0-15 (imm 0, Q form) or 16-23 (imm 1, D form) of structures of three from the low halves of a, b, c.
    Interleave3 Vec 3;
    /// The lanes of a as structures of imm (2, 4) elements: all first elements, then all second, and so on. Q form.
    Unzip Vec 1;
    /// Low half of a, then low half of b. Q form.
    Concat Vec 2;
    /// Upper half of a as a D-form value.
    High Vec 1;

    // --- estimates, dot products ---
    /// UnsignedRecipEstimate; esize 32.
    RecipEst Vec 1;
    /// UnsignedRSqrtEstimate; esize 32.
    RsqrtEst Vec 1;
    /// a (32-bit lanes) + sums of four byte products; imm bit 0: b unsigned, bit 1: c unsigned.
    Dot Vec 3;
    /// a (2x2 of 32 bits) + b (2x8 bytes) * transposed c (2x8 bytes); imm as Dot. Q form.
    MatMul Vec 3;

    // --- cryptography (Q form); the pseudocode of the instruction with the same name ---
    /// AESE: a the state, b the key.
    AesE Vec 2;
    AesD Vec 2;
    AesMc Vec 1;
    AesImc Vec 1;
    /// a = Qd, b = Qn, c = Qm, in this and those below.
    Sha1C Vec 3;
    Sha1P Vec 3;
    Sha1M Vec 3;
    /// a = Qm.
    Sha1H Vec 1;
    Sha1Su0 Vec 3;
    /// a = Qd, b = Qm.
    Sha1Su1 Vec 2;
    Sha256H Vec 3;
    Sha256H2 Vec 3;
    /// a = Qd, b = Qm.
    Sha256Su0 Vec 2;
    Sha256Su1 Vec 3;

    // --- sign bits of floats: esize 16, 32 ---
    FNeg Vec 1;
    FAbs Vec 1;

    // --- saturating: QC is set where a lane saturates ---
    /// (U).
    QAdd VecSat 2;
    /// (U).
    QSub VecSat 2;
    QAbs VecSat 1;
    QNeg VecSat 1;
    /// As ShlVar (U).
    QShlVar VecSat 2;
    /// As RShlVar (U).
    QRShlVar VecSat 2;
    /// Left by imm, 0 to esize - 1 (U).
    QShl VecSat 1;
    /// Signed a left by imm, saturated to unsigned.
    QShlu VecSat 1;
    /// Lanes right by imm (0 to esize), saturated to esize (U: both sides).
    QNarrowShr VecSat 1;
    /// Signed lanes right by imm (0 to esize), saturated to unsigned.
    QNarrowShru VecSat 1;
    /// As QNarrowShr, rounding half up (imm at least 1).
    QNarrowRShr VecSat 1;
    /// As QNarrowShru, rounding half up (imm at least 1).
    QNarrowRShru VecSat 1;
    /// High half of twice the product; esize 16, 32.
    QDMulH VecSat 2;
    /// The same, rounded half up.
    QRDMulH VecSat 2;
    /// Twice the product, in lanes of twice esize (16, 32).
    QDMulLong VecSat 2;
    /// a + high half of twice b * c, rounded; esize 16, 32.
    QRDMlaH VecSat 3;
    /// a - high half of twice b * c, rounded; esize 16, 32.
    QRDMlsH VecSat 3;

    // --- floating point with the standard FPSCR value (round to nearest, FZ, DN; AHP and FZ16 as FPSCR has them);
    //     esize 16 or 32 unless said otherwise ---
    FAdd VecFp 2;
    FSub VecFp 2;
    FMul VecFp 2;
    /// Fused a + b * c.
    FMa VecFp 3;
    FMin VecFp 2;
    FMax VecFp 2;
    FMinNm VecFp 2;
    FMaxNm VecFp 2;
    /// Quiet comparison.
    FCmpEq VecFp 2;
    /// a >= b; quiet NaNs raise Invalid.
    FCmpGe VecFp 2;
    /// a > b; quiet NaNs raise Invalid.
    FCmpGt VecFp 2;
    /// FPRecipEstimate.
    FRecpe VecFp 1;
    /// FPRSqrtEstimate.
    FRsqrte VecFp 1;
    /// VRECPS: 2 - a * b, rounded after each step.
    FRecps VecFp 2;
    /// VRSQRTS: (3 - a * b) / 2, rounded after each step.
    FRsqrts VecFp 2;
    /// To an integer of esize, saturating; imm is a [`RoundTo`] (U).
    FToInt VecFp 1;
    /// From an integer of esize (U).
    IntToF VecFp 1;
    /// To fixed point with imm fraction bits, towards zero (U).
    FToFixed VecFp 1;
    /// From fixed point with imm fraction bits (U).
    FixedToF VecFp 1;
    /// To integral; imm bits 2-0 a [`RoundTo`], bit 3: raise Inexact.
    FRint VecFp 1;
    /// Fused a (single precision) + b * c, the half-precision lanes of their low halves; esize 16. A D form uses two
    /// lanes of each (the low 32 bits). Denormal halves are zeros if FPSCR.FZ16 is set, AHP does not matter.
    FMlal VecFp 3;
    /// Four half to four single precision (low half to 128 bits); esize 16, as in FToHalf and FToBf16.
    HalfToF VecFp 1;
    /// Four single to four half precision (128 bits to the low half).
    FToHalf VecFp 1;
    /// BFDOT on 32-bit lanes (esize 32): a + pairs of bfloat16 products (pseudocode BFDotAdd).
    BfDot VecFp 3;
    /// BFMMLA. Q form, esize 32.
    BfMatMul VecFp 3;
    /// BFMLAL: a + even (imm 0) or odd (imm 1) bfloat16 lanes of b * c, fused. Q form, esize 16.
    BfMlal VecFp 3;
    /// Four single precision to four bfloat16 (128 bits to the low half).
    FToBf16 VecFp 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let s = Shape::new(1, true, true);
        assert_eq!((s.esize(), s.lanes(), s.bytes()), (16, 8, 16));
        assert!(s.is_unsigned());
        assert_eq!(Shape::new(3, false, false).lanes(), 1);
    }

    #[test]
    fn discriminants_are_table_indices() {
        for (i, op) in HalfOp::ALL.iter().enumerate() {
            assert_eq!(*op as usize, i);
        }
        for (i, op) in VecOp::ALL.iter().enumerate() {
            assert_eq!(VecOp::from_aux(i as u8), Some(*op));
            assert!(matches!(op.class(), Op::Vec | Op::VecSat | Op::VecFp));
            assert!((1..=3).contains(&op.args()));
        }
    }
}
