//! The decoded form of Advanced SIMD instructions, shared by A32 and T32, grouped by the shape of their operands.
//!
//! Register fields `d`, `n`, `m` are D register numbers, 0 to 31; where `q` is set, or the group says that an operand
//! has 128 bits, the number is even and names the pair. Every group has been validated: no register lies past the
//! model's last, and sizes are those that the operation has.
//!
//! `size` is log2 of the lane's bytes (0 to 3 for 8 to 64 bits); for floating point 1 is half and 2 is single
//! precision. In widening groups it is the narrow source's, in narrowing groups the narrow result's. `unsigned` is
//! false where signedness has no meaning.

use super::insn::Reg;

/// Rounding of a conversion to an integer or to an integral value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// VCVTA, VRINTA.
    NearestAway,
    /// VCVTN, VRINTN, VRINTX of Advanced SIMD.
    NearestEven,
    /// VCVTP, VRINTP.
    PlusInf,
    /// VCVTM, VRINTM.
    MinusInf,
    /// VCVT, VRINTZ.
    Zero,
    /// VCVTR, VRINTR, VRINTX of VFP: FPSCR.RMode.
    Fpscr,
}

/// Operations on two vectors of one lane size. "(U)": `unsigned` tells signed from unsigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdThree {
    // Bitwise; `size` is 0.
    And,
    Bic,
    Orr,
    Orn,
    Eor,
    /// VBSL: `d` selects between `n` (ones) and `m`.
    Bsl,
    /// VBIT: bits of `n` where `m` has ones.
    Bit,
    /// VBIF: bits of `n` where `m` has zeros.
    Bif,

    // Integer.
    Add,
    Sub,
    Mul,
    /// VMLA: d + n * m.
    Mla,
    /// VMLS: d - n * m.
    Mls,
    /// VMUL.P8; `size` 0.
    PolyMul,
    /// (U).
    Hadd,
    /// (U).
    Rhadd,
    /// (U).
    Hsub,
    /// (U).
    Qadd,
    /// (U).
    Qsub,
    /// VCEQ.
    Ceq,
    /// (U).
    Cgt,
    /// (U).
    Cge,
    Tst,
    /// (U).
    Max,
    /// (U).
    Min,
    /// (U).
    Abd,
    /// VABA: d + |n - m| (U).
    Aba,
    /// VSHL by register: `m` is shifted by the lanes of `n`, as in the three below (U).
    Shl,
    /// (U).
    Qshl,
    /// (U).
    Rshl,
    /// (U).
    Qrshl,
    /// VQDMULH.
    Qdmulh,
    Qrdmulh,
    /// VQRDMLAH: d + ...
    Qrdmlah,
    Qrdmlsh,
    /// VPADD; D form, as the pairwise operations below.
    Padd,
    /// (U).
    Pmax,
    /// (U).
    Pmin,

    // Floating point; `size` 1 or 2.
    Fadd,
    Fsub,
    Fmul,
    /// VMLA: d + n * m, rounded twice.
    Fmla,
    Fmls,
    /// VFMA: fused.
    Fma,
    /// VFMS: d - n * m, fused.
    Fms,
    /// |n - m|.
    Fabd,
    Fceq,
    Fcge,
    Fcgt,
    /// VACGE: |n| >= |m|.
    Facge,
    Facgt,
    Fmax,
    Fmin,
    Fmaxnm,
    Fminnm,
    Frecps,
    Frsqrts,
    /// D form, as the two below.
    Fpadd,
    Fpmax,
    Fpmin,
}

/// Operations from two D registers to a Q register, and with a Q register as the accumulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdLong {
    /// (U).
    Addl,
    /// (U).
    Subl,
    /// VABAL: d + |n - m| (U).
    Abal,
    /// (U).
    Abdl,
    /// (U).
    Mull,
    /// (U).
    Mlal,
    /// (U).
    Mlsl,
    Qdmull,
    Qdmlal,
    Qdmlsl,
    /// VMULL.P8 (`size` 0) and VMULL.P64 (`size` 3).
    PolyMull,
}

/// The upper half of a sum or difference of two Q registers, to a D register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdHighHalf {
    Addhn,
    Raddhn,
    Subhn,
    Rsubhn,
}

/// Operations on one vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdTwo {
    /// VREV16: lanes of `size` reversed within 2 bytes.
    Rev16,
    Rev32,
    Rev64,
    /// VPADDL: to lanes of twice the size, same length (U).
    Paddl,
    /// VPADAL: d + ... (U).
    Padal,
    Cls,
    Clz,
    /// `size` 0.
    Cnt,
    /// VMVN; `size` 0.
    Mvn,
    Qabs,
    Qneg,
    Abs,
    Neg,
    /// Signed comparisons with zero.
    CgtZero,
    CgeZero,
    CeqZero,
    CleZero,
    CltZero,
    /// VRECPE.U32, VRSQRTE.U32; `size` 2.
    Recpe,
    Rsqrte,

    // Floating point; `size` 1 or 2.
    Fabs,
    Fneg,
    FcgtZero,
    FcgeZero,
    FceqZero,
    FcleZero,
    FcltZero,
    Frecpe,
    Frsqrte,
}

/// Operations that write both their registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdPermute {
    /// `size` 0.
    Swp,
    Trn,
    Uzp,
    Zip,
}

/// Shifts by an immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdShift {
    /// Right by 1 to the lane's bits, as the next five (U).
    Shr,
    /// VSRA: d + ... (U).
    Sra,
    /// (U).
    Rshr,
    /// (U).
    Rsra,
    Sri,
    /// Left by 0 to the lane's bits less one, as the rest.
    Shl,
    Sli,
    /// (U).
    Qshl,
    /// VQSHLU: signed to unsigned.
    Qshlu,
}

/// Narrowing right shifts, by 0 (VMOVN, VQMOVN, VQMOVUN) to the narrow lane's bits; those that round by at least 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdNarrow {
    /// VSHRN, VMOVN.
    Shrn,
    Rshrn,
    /// VQSHRN, VQMOVN (U: both sides).
    Qshrn,
    /// (U).
    Qrshrn,
    /// VQSHRUN, VQMOVUN: signed to unsigned.
    Qshrun,
    Qrshrun,
}

/// What a modified immediate does to `d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SimdImm {
    /// VMOV; VMVN with the value inverted.
    Mov,
    Orr,
    /// `value` is what is cleared.
    Bic,
}

/// Cryptographic operations on two Q registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CryptoTwo {
    Aese,
    Aesd,
    Aesmc,
    Aesimc,
    Sha1h,
    Sha1su1,
    Sha256su0,
}

/// Cryptographic operations on three Q registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CryptoThree {
    Sha1c,
    Sha1p,
    Sha1m,
    Sha1su0,
    Sha256h,
    Sha256h2,
    Sha256su1,
}

/// What happens to the base register of an element or structure access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PostIndex {
    None,
    /// Plus this many bytes: the size of the transfer.
    By(u8),
    /// Plus this register.
    Reg(Reg),
}

/// Base of an element or structure access. Elements need no alignment of their own in User mode under Linux; where
/// `align` is above 1, an address that is not a multiple of it is an alignment fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SimdAddress {
    pub rn: Reg,
    /// Bytes: 1 (none stated), 2, 4, 8, 16 or 32.
    pub align: u8,
    pub post: PostIndex,
}

/// VLD1-VLD4, VST1-VST4 (multiple structures): `groups` groups of registers hold structures of `elements` elements.
/// For each group g, for each lane, for each element e in this order, memory meets that lane of D`d + g + e * inc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Structures {
    /// 1 to 4.
    pub elements: u8,
    /// VLD1: 1 to 4, VLD2: 1 or 2, else 1.
    pub groups: u8,
    /// Distance of the registers of a structure: 1 or 2.
    pub inc: u8,
    pub size: u8,
    pub d: u8,
    pub addr: SimdAddress,
}

/// VLD1-VLD4, VST1-VST4 (one lane): element e is lane `index` of D`d + e * inc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lane {
    /// 1 to 4.
    pub elements: u8,
    pub inc: u8,
    /// 0 to 2.
    pub size: u8,
    pub index: u8,
    pub d: u8,
    pub addr: SimdAddress,
}

/// Advanced SIMD instructions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Simd {
    Three {
        op: SimdThree,
        size: u8,
        unsigned: bool,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// The same with lane `index` of D`m` as every lane of the third operand: Mul, Mla, Mls, Fmul, Fmla, Fmls, Qdmulh,
    /// Qrdmulh, Qrdmlah, Qrdmlsh.
    ByScalar {
        op: SimdThree,
        size: u8,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
        index: u8,
    },
    /// Q`d` from D`n` and D`m`.
    Long {
        op: SimdLong,
        size: u8,
        unsigned: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// The same with lane `index` of D`m` as every lane: Mull, Mlal, Mlsl, Qdmull, Qdmlal, Qdmlsl.
    LongByScalar {
        op: SimdLong,
        size: u8,
        unsigned: bool,
        d: u8,
        n: u8,
        m: u8,
        index: u8,
    },
    /// VADDW, VSUBW (`sub`): Q`d` = Q`n` plus or minus the widened D`m`.
    Wide {
        sub: bool,
        size: u8,
        unsigned: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// D`d` from Q`n` and Q`m`.
    HighHalf {
        op: SimdHighHalf,
        size: u8,
        d: u8,
        n: u8,
        m: u8,
    },
    Two {
        op: SimdTwo,
        size: u8,
        unsigned: bool,
        q: bool,
        d: u8,
        m: u8,
    },
    Permute {
        op: SimdPermute,
        size: u8,
        q: bool,
        d: u8,
        m: u8,
    },
    Shift {
        op: SimdShift,
        size: u8,
        unsigned: bool,
        q: bool,
        amount: u8,
        d: u8,
        m: u8,
    },
    /// D`d` from Q`m`.
    Narrow {
        op: SimdNarrow,
        size: u8,
        unsigned: bool,
        amount: u8,
        d: u8,
        m: u8,
    },
    /// VSHLL, VMOVL (`amount` 0): Q`d` from D`m`; `amount` up to the narrow lane's bits.
    ShiftLong {
        size: u8,
        unsigned: bool,
        amount: u8,
        d: u8,
        m: u8,
    },
    /// `value` is the expanded immediate, the same for each D register.
    ModifiedImm {
        op: SimdImm,
        value: u64,
        q: bool,
        d: u8,
    },
    /// VEXT: bytes `start` and up of m:n, `n` the lower.
    Ext {
        start: u8,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// VTBL, VTBX (`keep`: indices out of range leave `d`'s byte): a table of `len` (1-4) registers from D`n`, which end
    /// at D31 or before.
    Table {
        keep: bool,
        len: u8,
        d: u8,
        n: u8,
        m: u8,
    },
    /// VDUP (scalar): lane `index` of D`m`.
    DupScalar {
        size: u8,
        index: u8,
        q: bool,
        d: u8,
        m: u8,
    },
    /// VDUP (core register).
    DupCore {
        size: u8,
        q: bool,
        d: u8,
        rt: Reg,
    },
    /// VMOV between a core register and lane `index` of D`d`, `size` 0 or 1 (32-bit lanes are `Vfp::MovLane`);
    /// `unsigned` has a meaning for `to_core`.
    MovLane {
        to_core: bool,
        size: u8,
        unsigned: bool,
        index: u8,
        d: u8,
        rt: Reg,
    },

    // Conversions of lanes of `size` 1 or 2, floating point to or from integers of the same size.
    ToInt {
        size: u8,
        unsigned: bool,
        /// Zero, or what VCVTA, VCVTN, VCVTP and VCVTM say.
        round: Rounding,
        q: bool,
        d: u8,
        m: u8,
    },
    FromInt {
        size: u8,
        unsigned: bool,
        q: bool,
        d: u8,
        m: u8,
    },
    /// With `frac` (1 to the lane's bits) fraction bits, rounding towards zero.
    ToFixed {
        size: u8,
        unsigned: bool,
        frac: u8,
        q: bool,
        d: u8,
        m: u8,
    },
    FromFixed {
        size: u8,
        unsigned: bool,
        frac: u8,
        q: bool,
        d: u8,
        m: u8,
    },
    /// VRINT; `exact` (VRINTX) raises Inexact.
    Rint {
        size: u8,
        round: Rounding,
        exact: bool,
        q: bool,
        d: u8,
        m: u8,
    },
    /// VCVT.F16.F32: D`d` from Q`m`.
    ToHalf {
        d: u8,
        m: u8,
    },
    /// VCVT.F32.F16: Q`d` from D`m`.
    FromHalf {
        d: u8,
        m: u8,
    },
    /// VCVT.BF16.F32: D`d` from Q`m`.
    ToBf16 {
        d: u8,
        m: u8,
    },

    // Products of several lanes. `index` chooses the 32-bit lane of D`m` that serves as every lane, where it is there.
    /// VSDOT, VUDOT, VUSDOT, VSUDOT: signedness of the operands `n` and `m`.
    Dot {
        unsigned_n: bool,
        unsigned_m: bool,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
        index: Option<u8>,
    },
    /// VSMMLA, VUMMLA, VUSMMLA, on Q registers.
    MatMul {
        unsigned_n: bool,
        unsigned_m: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    BfDot {
        q: bool,
        d: u8,
        n: u8,
        m: u8,
        index: Option<u8>,
    },
    /// VMMLA.BF16, on Q registers.
    BfMatMul {
        d: u8,
        n: u8,
        m: u8,
    },
    /// VFMAB, VFMAT (`top`), on Q registers; `index` chooses a 16-bit lane of D`m`.
    BfMlal {
        top: bool,
        d: u8,
        n: u8,
        m: u8,
        index: Option<u8>,
    },
    /// VFMAL, VFMSL (`sub`): half-precision products added to single-precision lanes. With `q`, D`n` and D`m` to Q`d`;
    /// else `n` and `m` are S register numbers. `index` chooses a 16-bit lane of the register `m`.
    HalfMlal {
        sub: bool,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
        index: Option<u8>,
    },
    /// VCADD; `rotate` is 90 or 270.
    ComplexAdd {
        size: u8,
        rotate: u16,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// VCMLA; `rotate` is 0, 90, 180 or 270; `index` chooses a complex number of D`m`.
    ComplexMla {
        size: u8,
        rotate: u16,
        q: bool,
        d: u8,
        n: u8,
        m: u8,
        index: Option<u8>,
    },

    // On Q registers.
    CryptoTwo {
        op: CryptoTwo,
        d: u8,
        m: u8,
    },
    CryptoThree {
        op: CryptoThree,
        d: u8,
        n: u8,
        m: u8,
    },

    Load(Structures),
    Store(Structures),
    LoadLane(Lane),
    StoreLane(Lane),
    /// VLD1-VLD4 (to all lanes): element e goes to every lane of D`d + e * inc`, and of the next register as well where
    /// `regs` is 2 (VLD1 only).
    LoadAllLanes {
        elements: u8,
        regs: u8,
        inc: u8,
        size: u8,
        d: u8,
        addr: SimdAddress,
    },
}
