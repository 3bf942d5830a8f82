//! Advanced SIMD: operations on whole vectors, lanes and tables. Shifts and operations between lane sizes are in
//! `simd_shift`, floating-point conversions and products of lanes in `simd_fp`, structure accesses in `simd_mem`.
//!
//! Each instruction reads all its registers before it writes one: destinations may overlap the sources.

use super::{Flow, Lifter};
use crate::ir::ops::Value;
use crate::ir::vector::{Shape, VecOp};
use crate::isa::simd::{CryptoThree, CryptoTwo, Simd, SimdImm, SimdPermute, SimdThree, SimdTwo};

/// Bytes: what bitwise operations work on.
pub(super) const fn bits(q: bool) -> Shape {
    Shape::new(0, q, false)
}

/// How a two-operand operation is said.
enum Plan {
    /// On n and m.
    Two(VecOp),
    /// On m and n.
    Swapped(VecOp),
    /// The second operation on d and the first one's result.
    Accumulate(VecOp, VecOp),
    /// On d, n and m.
    Three(VecOp),
    /// On even lanes of m:n and on odd ones: neighbours.
    Pairwise(VecOp),
    /// On the magnitudes of n and m.
    Magnitudes(VecOp),
    Special,
}

fn plan(op: SimdThree) -> Plan {
    use Plan::{Accumulate, Magnitudes, Pairwise, Special, Swapped, Three, Two};
    use SimdThree::*;
    match op {
        And => Two(VecOp::And),
        Bic => Two(VecOp::AndNot),
        Orr | Eor | Bsl | Bit | Bif | Fms | Fabd => Special,
        Orn => Two(VecOp::OrNot),

        Add => Two(VecOp::Add),
        Sub => Two(VecOp::Sub),
        Mul => Two(VecOp::Mul),
        Mla => Accumulate(VecOp::Mul, VecOp::Add),
        Mls => Accumulate(VecOp::Mul, VecOp::Sub),
        PolyMul => Two(VecOp::PolyMul),
        Hadd => Two(VecOp::HAdd),
        Rhadd => Two(VecOp::RHAdd),
        Hsub => Two(VecOp::HSub),
        Qadd => Two(VecOp::QAdd),
        Qsub => Two(VecOp::QSub),
        Ceq => Two(VecOp::CmpEq),
        Cgt => Two(VecOp::CmpGt),
        Cge => Two(VecOp::CmpGe),
        Tst => Two(VecOp::Tst),
        Max => Two(VecOp::Max),
        Min => Two(VecOp::Min),
        Abd => Two(VecOp::AbsDiff),
        Aba => Accumulate(VecOp::AbsDiff, VecOp::Add),
        Shl => Swapped(VecOp::ShlVar),
        Qshl => Swapped(VecOp::QShlVar),
        Rshl => Swapped(VecOp::RShlVar),
        Qrshl => Swapped(VecOp::QRShlVar),
        Qdmulh => Two(VecOp::QDMulH),
        Qrdmulh => Two(VecOp::QRDMulH),
        Qrdmlah => Three(VecOp::QRDMlaH),
        Qrdmlsh => Three(VecOp::QRDMlsH),
        Padd => Two(VecOp::PairAdd),
        Pmax => Two(VecOp::PairMax),
        Pmin => Two(VecOp::PairMin),

        Fadd => Two(VecOp::FAdd),
        Fsub => Two(VecOp::FSub),
        Fmul => Two(VecOp::FMul),
        // Rounded after the product; the order and sign of operands do not matter, all NaNs being the default one.
        Fmla => Accumulate(VecOp::FMul, VecOp::FAdd),
        Fmls => Accumulate(VecOp::FMul, VecOp::FSub),
        Fma => Three(VecOp::FMa),
        Fceq => Two(VecOp::FCmpEq),
        Fcge => Two(VecOp::FCmpGe),
        Fcgt => Two(VecOp::FCmpGt),
        Facge => Magnitudes(VecOp::FCmpGe),
        Facgt => Magnitudes(VecOp::FCmpGt),
        Fmax => Two(VecOp::FMax),
        Fmin => Two(VecOp::FMin),
        Fmaxnm => Two(VecOp::FMaxNm),
        Fminnm => Two(VecOp::FMinNm),
        Frecps => Two(VecOp::FRecps),
        Frsqrts => Two(VecOp::FRsqrts),
        Fpadd => Pairwise(VecOp::FAdd),
        Fpmax => Pairwise(VecOp::FMax),
        Fpmin => Pairwise(VecOp::FMin),
    }
}

impl Lifter<'_> {
    pub fn simd(&mut self, simd: &Simd) -> Flow {
        match *simd {
            Simd::Three {
                op,
                size,
                unsigned,
                q,
                d,
                n,
                m,
            } => {
                let (vn, vm) = (self.b.get_v(n, q), self.b.get_v(m, q));
                let v = self.simd_three(op, Shape::new(size, q, unsigned), d, vn, vm);
                self.b.set_v(d, q, v);
            }
            Simd::ByScalar {
                op,
                size,
                q,
                d,
                n,
                m,
                index,
            } => {
                let shape = Shape::new(size, q, false);
                let vn = self.b.get_v(n, q);
                let vm = self.scalar_lanes(shape, m, index);
                let v = self.simd_three(op, shape, d, vn, vm);
                self.b.set_v(d, q, v);
            }
            Simd::Two {
                op,
                size,
                unsigned,
                q,
                d,
                m,
            } => {
                let vm = self.b.get_v(m, q);
                let v = self.simd_two(op, Shape::new(size, q, unsigned), d, vm);
                self.b.set_v(d, q, v);
            }
            Simd::Permute { op, size, q, d, m } => self.permute(op, size, q, d, m),
            Simd::ModifiedImm { op, value, q, d } => {
                let imm = self.b.vconst(value);
                let v = match op {
                    SimdImm::Mov => imm,
                    SimdImm::Orr | SimdImm::Bic => {
                        let old = self.b.get_v(d, q);
                        let op = if op == SimdImm::Orr {
                            VecOp::Or
                        } else {
                            VecOp::AndNot
                        };
                        self.b.vec2(op, bits(q), 0, old, imm)
                    }
                };
                self.b.set_v(d, q, v);
            }
            Simd::Ext { start, q, d, n, m } => {
                let (vn, vm) = (self.b.get_v(n, q), self.b.get_v(m, q));
                let v = if start == 0 {
                    vn
                } else {
                    self.b.vec2(VecOp::Ext, bits(q), u32::from(start), vn, vm)
                };
                self.b.set_v(d, q, v);
            }
            Simd::Table { keep, len, d, n, m } => self.table(keep, len, d, n, m),
            Simd::DupScalar { size, index, q, d, m } => {
                let v = self.scalar_lanes(Shape::new(size, q, false), m, index);
                self.b.set_v(d, q, v);
            }
            Simd::DupCore { size, q, d, rt } => {
                let rt = self.reg(rt);
                let v = self.b.vdup(Shape::new(size, q, false), rt);
                self.b.set_v(d, q, v);
            }
            Simd::MovLane {
                to_core,
                size,
                unsigned,
                index,
                d,
                rt,
            } => {
                let (vd, lane, q) = self.b.lane(d, index, size);
                let shape = Shape::new(size, q, unsigned);
                if to_core {
                    let v = self.b.vextract(shape, vd, lane);
                    self.set(rt, v);
                } else {
                    let rt = self.reg(rt);
                    let v = self.b.vinsert(shape, vd, lane, rt);
                    self.b.set_v(if q { d & !1 } else { d }, q, v);
                }
            }
            Simd::CryptoTwo { op, d, m } => self.crypto_two(op, d, m),
            Simd::CryptoThree { op, d, n, m } => {
                let (vd, vn, vm) = (
                    self.b.get_v(d, true),
                    self.b.get_v(n, true),
                    self.b.get_v(m, true),
                );
                let op = match op {
                    CryptoThree::Sha1c => VecOp::Sha1C,
                    CryptoThree::Sha1p => VecOp::Sha1P,
                    CryptoThree::Sha1m => VecOp::Sha1M,
                    CryptoThree::Sha1su0 => VecOp::Sha1Su0,
                    CryptoThree::Sha256h => VecOp::Sha256H,
                    CryptoThree::Sha256h2 => VecOp::Sha256H2,
                    CryptoThree::Sha256su1 => VecOp::Sha256Su1,
                };
                let v = self.b.vec3(op, bits(true), 0, vd, vn, vm);
                self.b.set_v(d, true, v);
            }

            Simd::Long { .. }
            | Simd::LongByScalar { .. }
            | Simd::Wide { .. }
            | Simd::HighHalf { .. }
            | Simd::Shift { .. }
            | Simd::Narrow { .. }
            | Simd::ShiftLong { .. } => self.simd_resize(simd),

            Simd::ToInt { .. }
            | Simd::FromInt { .. }
            | Simd::ToFixed { .. }
            | Simd::FromFixed { .. }
            | Simd::Rint { .. }
            | Simd::ToHalf { .. }
            | Simd::FromHalf { .. }
            | Simd::ToBf16 { .. }
            | Simd::Dot { .. }
            | Simd::MatMul { .. }
            | Simd::BfDot { .. }
            | Simd::BfMatMul { .. }
            | Simd::BfMlal { .. }
            | Simd::HalfMlal { .. }
            | Simd::ComplexAdd { .. }
            | Simd::ComplexMla { .. } => self.simd_fp(simd),

            Simd::Load(s) => self.load_structures(&s),
            Simd::Store(s) => self.store_structures(&s),
            Simd::LoadLane(l) => self.load_lane(&l),
            Simd::StoreLane(l) => self.store_lane(&l),
            Simd::LoadAllLanes {
                elements,
                regs,
                inc,
                size,
                d,
                addr,
            } => self.load_all_lanes(elements, regs, inc, size, d, &addr),
        }
        Flow::Next
    }

    /// Lane `index` of D`m` in every lane.
    pub(super) fn scalar_lanes(&mut self, shape: Shape, m: u8, index: u8) -> Value {
        let (vm, lane, _) = self.b.lane(m, index, shape.log2_bytes());
        self.b.vec1(VecOp::DupLane, shape, lane.into(), vm)
    }

    /// The value of an operation on `n` and `m`; register `d` is read where it is an operand.
    fn simd_three(&mut self, op: SimdThree, shape: Shape, d: u8, n: Value, m: Value) -> Value {
        let q = shape.is_q();
        match plan(op) {
            Plan::Two(op) => self.b.vec2(op, shape, 0, n, m),
            Plan::Swapped(op) => self.b.vec2(op, shape, 0, m, n),
            Plan::Accumulate(op, add) => {
                let v = self.b.vec2(op, shape, 0, n, m);
                let d = self.b.get_v(d, q);
                self.b.vec2(add, shape, 0, d, v)
            }
            Plan::Three(op) => {
                let d = self.b.get_v(d, q);
                self.b.vec3(op, shape, 0, d, n, m)
            }
            Plan::Pairwise(op) => {
                let even = self.b.vec2(VecOp::UzpEven, shape, 0, n, m);
                let odd = self.b.vec2(VecOp::UzpOdd, shape, 0, n, m);
                self.b.vec2(op, shape, 0, even, odd)
            }
            Plan::Magnitudes(op) => {
                let n = self.b.vec1(VecOp::FAbs, shape, 0, n);
                let m = self.b.vec1(VecOp::FAbs, shape, 0, m);
                self.b.vec2(op, shape, 0, n, m)
            }
            Plan::Special => self.simd_special(op, shape, d, n, m),
        }
    }

    fn simd_special(&mut self, op: SimdThree, shape: Shape, d: u8, n: Value, m: Value) -> Value {
        let q = shape.is_q();
        match op {
            // VMOV.
            SimdThree::Orr if n == m => n,
            SimdThree::Orr => self.b.vec2(VecOp::Or, shape, 0, n, m),
            // How a register is cleared.
            SimdThree::Eor if n == m => self.b.vconst(0),
            SimdThree::Eor => self.b.vec2(VecOp::Xor, shape, 0, n, m),
            SimdThree::Bsl | SimdThree::Bit | SimdThree::Bif => {
                let d = self.b.get_v(d, q);
                let [mask, ones, zeros] = match op {
                    SimdThree::Bsl => [d, n, m],
                    SimdThree::Bit => [m, n, d],
                    _ => [m, d, n],
                };
                self.b.vec3(VecOp::BitSelect, shape, 0, mask, ones, zeros)
            }
            SimdThree::Fms => {
                let n = self.b.vec1(VecOp::FNeg, shape, 0, n);
                let d = self.b.get_v(d, q);
                self.b.vec3(VecOp::FMa, shape, 0, d, n, m)
            }
            // VABD.
            _ => {
                let v = self.b.vec2(VecOp::FSub, shape, 0, n, m);
                self.b.vec1(VecOp::FAbs, shape, 0, v)
            }
        }
    }

    fn simd_two(&mut self, op: SimdTwo, shape: Shape, d: u8, m: Value) -> Value {
        use SimdTwo::*;
        let q = shape.is_q();
        let signed = Shape::new(shape.log2_bytes(), q, false);
        match op {
            Rev16 => self.b.vec1(VecOp::Rev, shape, 1, m),
            Rev32 => self.b.vec1(VecOp::Rev, shape, 2, m),
            Rev64 => self.b.vec1(VecOp::Rev, shape, 3, m),
            Paddl => self.b.vec1(VecOp::PairAddLong, shape, 0, m),
            Padal => {
                let v = self.b.vec1(VecOp::PairAddLong, shape, 0, m);
                let d = self.b.get_v(d, q);
                let wide = Shape::new(shape.log2_bytes() + 1, q, false);
                self.b.vec2(VecOp::Add, wide, 0, d, v)
            }
            Cls => self.b.vec1(VecOp::Cls, shape, 0, m),
            Clz => self.b.vec1(VecOp::Clz, shape, 0, m),
            Cnt => self.b.vec1(VecOp::Cnt, shape, 0, m),
            Mvn => self.b.vec1(VecOp::Not, shape, 0, m),
            Qabs => self.b.vec1(VecOp::QAbs, shape, 0, m),
            Qneg => self.b.vec1(VecOp::QNeg, shape, 0, m),
            Abs => self.b.vec1(VecOp::Abs, shape, 0, m),
            Neg => self.b.vec1(VecOp::Neg, shape, 0, m),
            Recpe => self.b.vec1(VecOp::RecipEst, shape, 0, m),
            Rsqrte => self.b.vec1(VecOp::RsqrtEst, shape, 0, m),
            Fabs => self.b.vec1(VecOp::FAbs, shape, 0, m),
            Fneg => self.b.vec1(VecOp::FNeg, shape, 0, m),
            Frecpe => self.b.vec1(VecOp::FRecpe, shape, 0, m),
            Frsqrte => self.b.vec1(VecOp::FRsqrte, shape, 0, m),
            CgtZero | CgeZero | CeqZero | CleZero | CltZero | FcgtZero | FcgeZero | FceqZero | FcleZero
            | FcltZero => {
                let zero = self.b.vconst(0);
                let (op, [a, b]) = match op {
                    CgtZero => (VecOp::CmpGt, [m, zero]),
                    CgeZero => (VecOp::CmpGe, [m, zero]),
                    CeqZero => (VecOp::CmpEq, [m, zero]),
                    CleZero => (VecOp::CmpGe, [zero, m]),
                    CltZero => (VecOp::CmpGt, [zero, m]),
                    FcgtZero => (VecOp::FCmpGt, [m, zero]),
                    FcgeZero => (VecOp::FCmpGe, [m, zero]),
                    FceqZero => (VecOp::FCmpEq, [m, zero]),
                    FcleZero => (VecOp::FCmpGe, [zero, m]),
                    _ => (VecOp::FCmpGt, [zero, m]),
                };
                self.b.vec2(op, signed, 0, a, b)
            }
        }
    }

    /// VSWP, VTRN, VUZP, VZIP. With d = m the results are UNKNOWN: here they are QEMU's. D's is what stays, but VTRN.32
    /// exchanges neighbours.
    fn permute(&mut self, op: SimdPermute, size: u8, q: bool, d: u8, m: u8) {
        let shape = Shape::new(size, q, false);
        let (vd, vm) = (self.b.get_v(d, q), self.b.get_v(m, q));
        let (low, high) = match op {
            SimdPermute::Swp => {
                self.b.set_v(m, q, vd);
                self.b.set_v(d, q, vm);
                return;
            }
            SimdPermute::Trn if d == m && size == 2 => {
                let v = self.b.vec1(VecOp::Rev, shape, 3, vd);
                return self.b.set_v(d, q, v);
            }
            SimdPermute::Trn => (VecOp::TrnEven, VecOp::TrnOdd),
            SimdPermute::Uzp => (VecOp::UzpEven, VecOp::UzpOdd),
            SimdPermute::Zip => (VecOp::ZipLo, VecOp::ZipHi),
        };
        let low = self.b.vec2(low, shape, 0, vd, vm);
        let high = self.b.vec2(high, shape, 0, vd, vm);
        self.b.set_v(m, q, high);
        self.b.set_v(d, q, low);
    }

    /// VTBL, VTBX.
    fn table(&mut self, keep: bool, len: u8, d: u8, n: u8, m: u8) {
        let index = self.b.get_v(m, false);
        let old = self.b.get_v(d, false);
        let mut pair = |first: u8, wanted: u8| match wanted {
            0 | 1 => self.b.get_v(first, false),
            _ if first & 1 == 0 => self.b.get_v(first, true),
            _ => {
                let (lo, hi) = (self.b.get_v(first, false), self.b.get_v(first + 1, false));
                self.b.vec2(VecOp::Concat, bits(true), 0, lo, hi)
            }
        };
        let low = pair(n, len);
        let high = if len > 2 { pair(n + 2, len - 2) } else { low };
        let bytes = 8 * u32::from(len);
        let mut v = self.b.vec3(VecOp::Table, bits(false), bytes, low, high, index);
        if keep {
            // The table yields zeros where the index is beyond it.
            let limit = self.b.vconst(u64::from(bytes) * 0x0101_0101_0101_0101);
            let beyond = self
                .b
                .vec2(VecOp::CmpGe, Shape::new(0, false, true), 0, index, limit);
            let kept = self.b.vec2(VecOp::And, bits(false), 0, old, beyond);
            v = self.b.vec2(VecOp::Or, bits(false), 0, v, kept);
        }
        self.b.set_v(d, false, v);
    }

    fn crypto_two(&mut self, op: CryptoTwo, d: u8, m: u8) {
        let vm = self.b.get_v(m, true);
        let mut with_d = |op: VecOp| {
            let vd = self.b.get_v(d, true);
            self.b.vec2(op, bits(true), 0, vd, vm)
        };
        let v = match op {
            CryptoTwo::Aese => with_d(VecOp::AesE),
            CryptoTwo::Aesd => with_d(VecOp::AesD),
            CryptoTwo::Sha1su1 => with_d(VecOp::Sha1Su1),
            CryptoTwo::Sha256su0 => with_d(VecOp::Sha256Su0),
            CryptoTwo::Aesmc => self.b.vec1(VecOp::AesMc, bits(true), 0, vm),
            CryptoTwo::Aesimc => self.b.vec1(VecOp::AesImc, bits(true), 0, vm),
            CryptoTwo::Sha1h => self.b.vec1(VecOp::Sha1H, bits(true), 0, vm),
        };
        self.b.set_v(d, true, v);
    }
}
