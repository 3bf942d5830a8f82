//! Which shapes and immediates the vector operations have: for the verifier, and for what generates them.

use super::vector::{RoundTo, Shape, VecOp};

const BYTES: u8 = 1;
const HALVES: u8 = 2;
const WORDS: u8 = 4;
const DOUBLES: u8 = 8;
/// 8, 16 and 32 bits.
const INTS: u8 = BYTES | HALVES | WORDS;
const ALL: u8 = INTS | DOUBLES;
const FLOATS: u8 = HALVES | WORDS;

/// Which lengths an operation has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    D,
    Q,
    Both,
    /// What it reads and what it yields differ in length: the shape's has no meaning.
    Mixed,
}

/// Whether an operation has signed and unsigned forms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Matters,
    None,
}

impl VecOp {
    /// Lane sizes as a set (bit n: of 2^n bytes), lengths, signs.
    fn form(self) -> (u8, Length, Sign) {
        use Length::*;
        use VecOp::*;
        match self {
            And | Or | Xor | AndNot | OrNot | Not | BitSelect => (ALL, Both, Sign::None),
            Add | Sub | ShlInsert | ShrInsert | Shl => (ALL, Both, Sign::None),
            Mul | Neg | Abs | CmpEq | Tst | Clz | Cls => (INTS, Both, Sign::None),
            HAdd | RHAdd | HSub | Min | Max | AbsDiff | CmpGt | CmpGe => (INTS, Both, Sign::Matters),
            Cnt | PolyMul => (BYTES, Both, Sign::None),
            PairAdd => (INTS, D, Sign::None),
            PairMin | PairMax => (INTS, D, Sign::Matters),
            PairAddLong => (INTS, Both, Sign::Matters),
            Shr | RShr | ShlVar | RShlVar => (ALL, Both, Sign::Matters),
            Widen | MulLong => (INTS, Mixed, Sign::Matters),
            PolyMulLong => (BYTES | DOUBLES, Mixed, Sign::None),
            NarrowShr | NarrowRShr => (INTS, Mixed, Sign::None),
            DupLane => (ALL, Both, Sign::None),
            Ext => (ALL, Both, Sign::None),
            Rev => (INTS, Both, Sign::None),
            // Of 64 bits in the Q form alone.
            TrnEven | TrnOdd | ZipLo | ZipHi | UzpEven | UzpOdd => (ALL, Both, Sign::None),
            Table => (BYTES, D, Sign::None),
            Deinterleave3 => (INTS, D, Sign::None),
            // The immediate says which length.
            Interleave3 => (INTS, Both, Sign::None),
            Unzip => (INTS, Q, Sign::None),
            Concat => (ALL, Q, Sign::None),
            High => (ALL, Mixed, Sign::None),
            RecipEst | RsqrtEst | Dot => (WORDS, Both, Sign::None),
            MatMul => (WORDS, Q, Sign::None),
            AesE | AesD | AesMc | AesImc | Sha1C | Sha1P | Sha1M | Sha1H | Sha1Su0 | Sha1Su1 | Sha256H
            | Sha256H2 | Sha256Su0 | Sha256Su1 => (ALL, Q, Sign::None),
            FNeg | FAbs => (FLOATS, Both, Sign::None),

            QAdd | QSub | QShlVar | QRShlVar | QShl => (ALL, Both, Sign::Matters),
            QAbs | QNeg => (INTS, Both, Sign::None),
            QShlu => (ALL, Both, Sign::None),
            QNarrowShr | QNarrowRShr => (INTS, Mixed, Sign::Matters),
            QNarrowShru | QNarrowRShru => (INTS, Mixed, Sign::None),
            QDMulH | QRDMulH | QRDMlaH | QRDMlsH => (HALVES | WORDS, Both, Sign::None),
            QDMulLong => (HALVES | WORDS, Mixed, Sign::None),

            FAdd | FSub | FMul | FMa | FMin | FMax | FMinNm | FMaxNm | FCmpEq | FCmpGe | FCmpGt | FRecpe
            | FRsqrte | FRecps | FRsqrts | FRint => (FLOATS, Both, Sign::None),
            FToInt | IntToF | FToFixed | FixedToF => (FLOATS, Both, Sign::Matters),
            FMlal => (HALVES, Both, Sign::None),
            HalfToF | FToHalf | FToBf16 => (HALVES, Mixed, Sign::None),
            BfDot => (WORDS, Both, Sign::None),
            BfMatMul => (WORDS, Q, Sign::None),
            BfMlal => (HALVES, Q, Sign::None),
        }
    }

    /// Whether the immediate is one that the operation has in a shape that it has.
    fn takes(self, shape: Shape, imm: u32) -> bool {
        use VecOp::*;
        let esize = shape.esize();
        match self {
            Shl | ShlInsert | QShl | QShlu => imm < esize,
            Shr | RShr | ShrInsert | NarrowRShr | QNarrowRShr | QNarrowRShru | FToFixed | FixedToF => {
                (1..=esize).contains(&imm)
            }
            NarrowShr | QNarrowShr | QNarrowShru => imm <= esize,
            DupLane => imm < 128 / esize,
            Ext => imm < shape.bytes(),
            Rev => imm <= 3 && imm > u32::from(shape.log2_bytes()),
            Table => matches!(imm, 8 | 16 | 24 | 32),
            Deinterleave3 => imm < 3,
            Interleave3 => imm == u32::from(!shape.is_q()),
            TrnEven | TrnOdd | ZipLo | ZipHi | UzpEven | UzpOdd => imm == 0 && shape.lanes() > 1,
            Unzip => matches!(imm, 2 | 4) && imm < shape.lanes(),
            Dot => imm < 4,
            // There is no product of signed by unsigned: the other way round yields the transpose.
            MatMul => matches!(imm, 0 | 1 | 3),
            BfMlal => imm < 2,
            FToInt => imm <= RoundTo::NearestAway as u32,
            FRint => imm & 7 <= RoundTo::NearestAway as u32 && imm < 16,
            _ => imm == 0,
        }
    }

    /// Whether this is an operation that the table defines. Signedness and length may be anything where they have no
    /// meaning.
    pub fn is_valid(self, shape: Shape, imm: u32) -> bool {
        let (sizes, length, _) = self.form();
        let length_fits = match length {
            Length::D => !shape.is_q(),
            Length::Q => shape.is_q(),
            Length::Both | Length::Mixed => true,
        };
        shape.0 < 16 && sizes >> shape.log2_bytes() & 1 != 0 && length_fits && self.takes(shape, imm)
    }

    /// Whether the operation looks at the upper 64 bits of operand `i` (0 to 2). Where it doesn't, that half of the
    /// operand may be anything.
    pub fn reads_upper(self, shape: Shape, imm: u32, i: usize) -> bool {
        use VecOp::*;
        match self {
            Widen | MulLong | PolyMulLong | QDMulLong | HalfToF | Concat | Interleave3 => false,
            NarrowShr | NarrowRShr | QNarrowShr | QNarrowShru | QNarrowRShr | QNarrowRShru | FToHalf
            | FToBf16 | High => true,
            DupLane => (imm + 1) * shape.esize() > 64,
            Table => imm > 16 * i as u32 + 8 && i < 2,
            Deinterleave3 => i == 0,
            FMlal => shape.is_q() && i == 0,
            _ => shape.is_q(),
        }
    }

    /// Whether the operation defines the upper 64 bits of its value.
    pub fn writes_upper(self, shape: Shape) -> bool {
        use VecOp::*;
        match self {
            Widen | MulLong | PolyMulLong | QDMulLong | HalfToF => true,
            NarrowShr | NarrowRShr | QNarrowShr | QNarrowShru | QNarrowRShr | QNarrowRShru | FToHalf
            | FToBf16 | High => false,
            _ => shape.is_q(),
        }
    }

    /// Every valid shape and immediate; where signedness or length have no meaning, their bits are clear.
    pub fn forms(self) -> impl Iterator<Item = (Shape, u32)> {
        let (_, length, sign) = self.form();
        (0..16)
            .map(Shape)
            .filter(move |s| sign == Sign::Matters || !s.is_unsigned())
            .filter(move |s| length != Length::Mixed || !s.is_q())
            .flat_map(|s| (0..=64).map(move |imm| (s, imm)))
            .filter(move |&(s, imm)| self.is_valid(s, imm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_forms() {
        for op in VecOp::ALL {
            assert!(op.forms().next().is_some(), "{op:?}");
        }
        let count = |op: VecOp| op.forms().count();
        // Amounts 0 to esize - 1 of four sizes, in D and Q.
        assert_eq!(count(VecOp::Shl), 2 * (8 + 16 + 32 + 64));
        assert_eq!(count(VecOp::QNarrowShr), 2 * (9 + 17 + 33));
        assert_eq!(count(VecOp::Rev), 2 * (3 + 2 + 1));
        assert_eq!(count(VecOp::Interleave3), 6);
        // Bytes 8 to 15 of the table are the upper half of its first register.
        assert!(!VecOp::Table.reads_upper(Shape::new(0, false, false), 8, 0));
        assert!(VecOp::Table.reads_upper(Shape::new(0, false, false), 24, 0));
        assert!(!VecOp::Table.reads_upper(Shape::new(0, false, false), 24, 1));
        assert!(!VecOp::Table.reads_upper(Shape::new(0, false, false), 32, 2));
        assert!(!VecOp::AesE.is_valid(Shape::new(0, false, false), 0));
        assert!(VecOp::Widen.is_valid(Shape::new(0, true, true), 0));
    }
}
